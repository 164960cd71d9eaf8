/* SPDX-License-Identifier: MIT */
/* The generator: HMAC-DRBG over SHA-256. What comes in is stirred into a small pool at once, cheaply; the generator is
 * reseeded from it when somebody wants bytes. Bytes for a caller are made outside the lock, by a generator of his own
 * that the one generator has keyed: so RANDOM is held for one short step, whatever the length. */
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

#define SEED_BITS  256
#define POOL_WORDS 8

static spinlock_t lock = SPINLOCK_INIT(RANDOM);
static br_hmac_drbg_context drbg; /* [lock] */
static uint64_t pool[POOL_WORDS]; /* [lock] stirred in at the next request */
static unsigned pool_at;	  /* [lock] */
static bool pool_fresh;		  /* [lock] the pool holds something new */
static unsigned entropy;	  /* [lock] bits believed to have come in, up to SEED_BITS */
static bool seeded;		  /* [atomic] set once */
static void (*on_seeded)(void);	  /* [lock] */

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

static void stir(uint64_t v) __requires(lock)
{
	pool[pool_at] = rotate(pool[pool_at], 23) * 0x9e3779b97f4a7c15 ^ v;
	pool_at = (pool_at + 1) % POOL_WORDS;
	pool_fresh = true;
}

static void (*credit(unsigned bits))(void) __requires(lock);

/* Count the bits; the callback to make, outside the lock, if this was what was missing. */
static void (*credit(unsigned bits))(void)
{
	entropy = MIN(entropy + bits, (unsigned)SEED_BITS);
	if (entropy < SEED_BITS || seeded)
		return NULL;
	WRITE_ONCE(seeded, true);
	return on_seeded;
}

void random_add(const void *p, size_t n, unsigned bits)
{
	irqflags_t f = spin_lock_irqsave(&lock);
	void (*tell)(void);

	/* a whole seed goes straight in, all of it */
	if (n > sizeof(uint64_t))
		br_hmac_drbg_update(&drbg, p, n);
	else {
		uint64_t v = 0;

		memcpy(&v, p, n);
		stir(v);
	}
	tell = credit(bits);
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
	return READ_ONCE(seeded);
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

/* A key for the caller's own generator. */
static void draw_key(void *key, size_t n)
{
	irqflags_t f = spin_lock_irqsave(&lock);

	if (pool_fresh) {
		br_hmac_drbg_update(&drbg, pool, sizeof(pool));
		pool_fresh = false;
	}
	br_hmac_drbg_generate(&drbg, key, n);
	spin_unlock_irqrestore(&lock, f);
}

static void generate(void *buf, size_t n)
{
	br_hmac_drbg_context own;
	uint8_t key[32];

	if (n <= sizeof(key)) {
		draw_key(buf, n);
		return;
	}
	draw_key(key, sizeof(key));
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

	br_hmac_drbg_init(&drbg, &br_sha256_vtable, start, sizeof(start));
	if (machine.rng_seed_len) {
		random_add(machine.rng_seed, machine.rng_seed_len, machine.rng_seed_len * 8);
		secure_zero(machine.rng_seed, sizeof(machine.rng_seed));
		machine.rng_seed_len = 0;
	}
	add_cpu_random();
}
