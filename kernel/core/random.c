/* SPDX-License-Identifier: MIT */
/* The generator. What comes in is stirred into one pool, cheaply, under RANDOM. Each CPU has an HMAC-DRBG (SHA-256) of its
 * own, used with preemption off and no lock; when the pool has gained enough since the CPU last looked, it takes a
 * copy, seeds itself from it, and leaves in the pool what follows from it one way: so neither an old copy nor the pool
 * tells what was given out. Long requests are made, preemptible, by a generator keyed for that request. */
#include "kernel/core/random.h"

#include <bearssl_hash.h>
#include <bearssl_rand.h>

#include "kernel/core/clock.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"
#include "kernel/core/spinlock.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

#define SEED_BITS   256
#define RESEED_BITS 128 /* so much has come in: the CPUs seed themselves anew */
#define POOL_WORDS  8
#define KEY_SIZE    32
#define STOCK_SIZE  256

static spinlock_t lock = SPINLOCK_INIT(RANDOM);
static uint64_t pool[POOL_WORDS]; /* [lock] */
static unsigned pool_at;	  /* [lock] */
static unsigned entropy;	  /* [lock] bits believed to have come in, up to SEED_BITS */
static unsigned unused_bits;	  /* [lock] of them since the last epoch */
static uint64_t epoch;		  /* [atomic] grows when there is reason to reseed */
static bool seeded;		  /* [atomic] set once */
static void (*on_seeded)(void);	  /* [lock] */

/* A CPU's own. Its stock are bytes made and not yet given out. */
struct generator {
	br_hmac_drbg_context drbg;
	uint64_t epoch; /* of the pool it was seeded from */
	bool ready;
	unsigned left; /* bytes of the stock, at its end */
	uint8_t stock[STOCK_SIZE];
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
	atomic_store_release(&epoch, epoch + 1);
	atomic_store_release(&seeded, true);
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

/* What a CPU seeds itself from: the pool, and what tells it from the others. */
struct seed {
	uint64_t pool[POOL_WORDS];
	uint64_t counter;
	uint64_t cpu;
};

static void reseed(struct generator *g, uint64_t to_epoch)
{
	struct seed s = { .counter = arch_counter(), .cpu = arch_cpu()->id };
	uint64_t next[POOL_WORDS];
	irqflags_t f = spin_lock_irqsave(&lock);

	memcpy(s.pool, pool, sizeof(pool));
	spin_unlock_irqrestore(&lock, f);
	if (g->ready)
		br_hmac_drbg_update(&g->drbg, &s, sizeof(s));
	else
		br_hmac_drbg_init(&g->drbg, &br_sha256_vtable, &s, sizeof(s));
	g->ready = true;
	g->epoch = to_epoch;
	g->left = 0;
	br_hmac_drbg_generate(&g->drbg, next, sizeof(next));
	/* unless somebody stirred in between, the pool is now just next */
	f = spin_lock_irqsave(&lock);
	for (unsigned i = 0; i < POOL_WORDS; i++)
		pool[i] ^= s.pool[i] ^ next[i];
	spin_unlock_irqrestore(&lock, f);
	secure_zero(&s, sizeof(s));
	secure_zero(next, sizeof(next));
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
	if (g->left < n) {
		br_hmac_drbg_generate(&g->drbg, g->stock, sizeof(g->stock));
		g->left = sizeof(g->stock);
	}
	memcpy(buf, g->stock + sizeof(g->stock) - g->left, n);
	secure_zero(g->stock + sizeof(g->stock) - g->left, n);
	g->left -= n;
}

static void generate_short(void *buf, size_t n)
{
	preempt_disable();
	take(generator_get(), buf, n);
	preempt_enable();
}

static void generate(void *buf, size_t n)
{
	br_hmac_drbg_context own;
	uint8_t key[KEY_SIZE];

	if (n <= STOCK_SIZE / 2) {
		generate_short(buf, n);
		return;
	}
	generate_short(key, sizeof(key));
	br_hmac_drbg_init(&own, &br_sha256_vtable, key, sizeof(key));
	br_hmac_drbg_generate(&own, buf, n);
	secure_zero(&own, sizeof(own));
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
