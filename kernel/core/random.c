/* SPDX-License-Identifier: MIT */
/* The generator. What comes in is stirred into one pool, cheaply, under RANDOM. Each CPU has a ChaCha20 key of its own, used
 * with preemption off and no lock. Whatever is made with a key begins with the next one, which takes its place before the
 * rest is given out; so what is in memory tells nothing of what was given out. When the pool has gained enough since the
 * CPU last looked, it takes a copy and draws its key, from that and the old one, by HMAC-DRBG (SHA-256), and leaves in the
 * pool what follows one way. Long requests are made, preemptible, with a key for that request. */
#include "kernel/core/random.h"

#include <bearssl_block.h>
#include <bearssl_hash.h>
#include <bearssl_rand.h>

#include "kernel/core/clock.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "kernel/core/spinlock.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

#define SEED_BITS   256
#define RESEED_BITS 128 /* so much has come in: the CPUs seed themselves anew */
#define POOL_WORDS  8
#define KEY_SIZE    32
#define STOCK_SIZE  480

static spinlock_t lock = SPINLOCK_INIT(RANDOM);
static uint64_t pool[POOL_WORDS]; /* [lock] */
static unsigned pool_at;	  /* [lock] */
static unsigned entropy;	  /* [lock] bits believed to have come in, up to SEED_BITS */
static unsigned unused_bits;	  /* [lock] of them since the last epoch */
static uint64_t epoch;		  /* [atomic] grows when there is reason to reseed */
static bool seeded;		  /* [atomic] set once */
static void (*on_seeded)(void);	  /* [lock] */

/* A CPU's own. Its stock are bytes made and not yet given out; those that were are zeros. */
struct generator {
	uint64_t epoch; /* of the pool it was seeded from */
	bool ready;
	unsigned left; /* bytes of the stock, at its end */
	struct {
		uint8_t key[KEY_SIZE], stock[STOCK_SIZE];
	} out;
};
static DEFINE_PER_CPU(struct generator, generator);

/* A few bits of interrupt timing gather here before they take the lock. */
struct jitter {
	uint64_t mix;
	unsigned count;
};
static DEFINE_PER_CPU(struct jitter, jitter);

static uint64_t rotate(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

/* --- in ----------------------------------------------------------------------------------------------------- */

/* One word; each step can be undone, so nothing that was in the pool is lost. */
static void stir(uint64_t v) __requires(lock)
{
	pool[pool_at] = rotate(pool[pool_at], 23) * 0x9e3779b97f4a7c15 ^ v;
	pool_at = (pool_at + 1) % POOL_WORDS;
}

/* True if these bits were what was missing to be seeded. */
static bool credit(unsigned bits) __requires(lock)
{
	bool first = !seeded;

	entropy = MIN(entropy + bits, (unsigned)SEED_BITS);
	unused_bits += bits;
	if (entropy < SEED_BITS || (seeded && unused_bits < RESEED_BITS))
		return false;
	unused_bits = 0;
	/* Pairs with the acquire in generator_get(): whoever sees the epoch finds the bits in the pool. */
	atomic_publish(&epoch, epoch + 1);
	atomic_publish(&seeded, true);
	return first;
}

void random_add(const void *p, size_t n, unsigned bits)
{
	const uint8_t *from = p;
	irqflags_t f = spin_lock_irqsave(&lock);
	void (*tell)(void);

	while (n) {
		size_t part = MIN(n, sizeof(uint64_t));
		uint64_t v = 0;

		memcpy(&v, from, part);
		stir(v);
		from += part;
		n -= part;
	}
	tell = credit(bits) ? on_seeded : NULL;
	spin_unlock_irqrestore(&lock, f);
	if (tell)
		tell();
}

#define JITTER_BATCH 64
/* Of a batch's timings, what we dare to call random: little, since an emulator may be regular. */
#define JITTER_BITS 4

void random_add_interrupt(unsigned irq)
{
	struct jitter *j = per_cpu_ptr(jitter, arch_cpu());

	j->mix = rotate(j->mix, 7) ^ arch_counter() ^ (uint64_t)irq << 56;
	if (++j->count < JITTER_BATCH)
		return;
	j->count = 0;
	random_add(&j->mix, sizeof(j->mix), JITTER_BITS);
}

bool random_seeded(void)
{
	return atomic_load_acquire(&seeded);
}

void random_on_seeded(void (*fn)(void))
{
	irqflags_t f = spin_lock_irqsave(&lock);
	bool now = seeded;

	on_seeded = fn;
	spin_unlock_irqrestore(&lock, f);
	if (now)
		fn();
}

/* --- out ---------------------------------------------------------------------------------------------------- */

/* What a CPU seeds itself from: the pool, what it had, and what tells it from the others. */
struct seed {
	uint64_t pool[POOL_WORDS];
	uint8_t key[KEY_SIZE];
	uint64_t counter;
	uint64_t cpu;
};

static void reseed(struct generator *g, uint64_t to_epoch)
{
	struct seed s = { .counter = arch_counter(), .cpu = arch_cpu()->id };
	br_hmac_drbg_context drbg;
	uint64_t next[POOL_WORDS];
	irqflags_t f = spin_lock_irqsave(&lock);

	memcpy(s.pool, pool, sizeof(pool));
	spin_unlock_irqrestore(&lock, f);
	memcpy(s.key, g->out.key, sizeof(s.key));
	br_hmac_drbg_init(&drbg, &br_sha256_vtable, &s, sizeof(s));
	br_hmac_drbg_generate(&drbg, &g->out, sizeof(g->out.key));
	secure_zero(g->out.stock, sizeof(g->out.stock));
	g->ready = true;
	g->epoch = to_epoch;
	g->left = 0;
	br_hmac_drbg_generate(&drbg, next, sizeof(next));
	/* unless somebody stirred in between, the pool is now just next */
	f = spin_lock_irqsave(&lock);
	for (unsigned i = 0; i < POOL_WORDS; i++)
		pool[i] ^= s.pool[i] ^ next[i];
	spin_unlock_irqrestore(&lock, f);
	secure_zero(&drbg, sizeof(drbg));
	secure_zero(&s, sizeof(s));
	secure_zero(next, sizeof(next));
}

/* What the cipher leaves of the key on the stack below its caller. */
static __noinline void wipe_stack(void)
{
	uint8_t below[512];

	secure_zero(below, sizeof(below));
}

/* n bytes of the stream of a key that makes no other. */
static void stream(const uint8_t key[KEY_SIZE], void *out, size_t n)
{
	static const uint8_t nonce[12];

	memset(out, 0, n);
	(void)br_chacha20_ct_run(key, nonce, 0, out, n);
	wipe_stack();
}

/* This CPU's generator, seeded from all there is. Preemption is off. */
static struct generator *generator_get(void)
{
	struct generator *g = this_cpu_ptr(generator);
	uint64_t now = atomic_load_acquire(&epoch);

	DASSERT(!in_irq());
	if (!g->ready || g->epoch != now)
		reseed(g, now);
	return g;
}

static void take(struct generator *g, void *buf, size_t n)
{
	uint8_t key[KEY_SIZE], *from;

	if (g->left < n) {
		memcpy(key, g->out.key, sizeof(key));
		stream(key, &g->out, sizeof(g->out));
		secure_zero(key, sizeof(key));
		g->left = STOCK_SIZE;
	}
	from = g->out.stock + STOCK_SIZE - g->left;
	memcpy(buf, from, n);
	secure_zero(from, n);
	g->left -= (unsigned)n;
}

static void generate_short(void *buf, size_t n)
{
	preempt_disable();
	take(generator_get(), buf, n);
	preempt_enable();
}

static void generate(void *buf, size_t n)
{
	uint8_t key[KEY_SIZE];

	if (n <= STOCK_SIZE / 2) {
		generate_short(buf, n);
		return;
	}
	generate_short(key, sizeof(key));
	stream(key, buf, n);
	secure_zero(key, sizeof(key));
}

int random_bytes(void *buf, size_t n)
{
	if (!random_seeded())
		return -EAGAIN;
	generate(buf, n);
	return 0;
}

uint32_t random_u32(void)
{
	uint32_t v;

	generate(&v, sizeof(v));
	return v;
}

/* --- boot --------------------------------------------------------------------------------------------------- */

/* 64 bits an instruction, if the CPU has it. */
static void add_cpu_random(void)
{
	uint64_t v[4];

	for (unsigned i = 0; i < ARRAY_SIZE(v); i++) {
		if (!arch_random64(&v[i]))
			return;
	}
	random_add(v, sizeof(v), SEED_BITS);
	secure_zero(v, sizeof(v));
}

void random_init(void)
{
	uint64_t start[2] = { arch_counter(), arch_mpidr() };

	random_add(start, sizeof(start), 0);
	if (machine.rng_seed_len) {
		random_add(machine.rng_seed, machine.rng_seed_len, machine.rng_seed_len * 8);
		secure_zero(machine.rng_seed, sizeof(machine.rng_seed));
		machine.rng_seed_len = 0;
	}
	add_cpu_random();
}
