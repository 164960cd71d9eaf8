/* SPDX-License-Identifier: MIT */
/* Mutexes: exclusion under contention, progress, ownership. */
#include "tests/kernel/ktest.h"
#include "kernel/core/panic.h"
#include "sched/mutex.h"
#include "tests/kernel/crew.h"

#define ALL_CPUS (~(cpumask_t)0)

struct account {
	struct mutex lock;
	uint64_t a, b; /* [lock] */
	uint64_t rounds;
	uint32_t inside; /* [atomic] */
};

static void clerk_fn(void *arg)
{
	struct account *acc = arg;

	for (uint64_t i = 0; i < acc->rounds; i++) {
		if (i % 8 == 7) {
			if (!mutex_trylock(&acc->lock)) {
				i--;
				sched_yield();
				continue;
			}
		} else {
			mutex_lock(&acc->lock);
		}
		KT_CHECK(atomic_exchange(&acc->inside, 1) == 0 && mutex_held(&acc->lock));
		acc->a++;
		if (i % 16 == 0)
			sched_yield();
		acc->b++;
		KT_CHECK(acc->a == acc->b);
		atomic_exchange(&acc->inside, 0);
		mutex_unlock(&acc->lock);
	}
}

KTEST(mutex_contention)
{
	struct account acc = { .rounds = 1000 * kt_scale() };
	struct crew crew = { 0 };

	mutex_init(&acc.lock, LOCK_INODE);
	for (unsigned i = 0; i < 8; i++)
		crew_add(&crew, clerk_fn, &acc, ALL_CPUS);
	crew_join(&crew);
	KT_CHECK(acc.a == 8 * acc.rounds);
	KT_CHECK(!mutex_held(&acc.lock));
}

static void __no_lock_check lock_twice(void *arg)
{
	mutex_lock(arg);
	mutex_lock(arg);
}

static void __no_lock_check unlock_free(void *arg)
{
	mutex_unlock(arg);
}

static void __no_lock_check lock_inverted(void *arg)
{
	struct mutex *pair = arg;

	mutex_lock(&pair[0]);
	mutex_lock(&pair[1]);
}

KTEST(mutex_misuse)
{
	static struct mutex m[2];

	mutex_init(&m[0], LOCK_INODE);
	kt_expect_bug(lock_twice, &m[0], "taken again");
	mutex_init(&m[0], LOCK_INODE);
	kt_expect_bug(unlock_free, &m[0], "does not hold it");
	mutex_init(&m[0], LOCK_INODE);
	mutex_init(&m[1], LOCK_NET_CORE);
	kt_expect_bug(lock_inverted, m, "while holding");
}

static struct mutex pair[2];
static uint64_t pair_rounds; /* [both of pair] */
static uint32_t pair_ready;  /* [atomic] threads that have come to the start */

/* Half of the threads name the two in the other order: without one order for all, two of them wait for each other. */
static void pair_fn(void *arg)
{
	unsigned first = (unsigned)(uintptr_t)arg;

	atomic_fetch_add(&pair_ready, 1);
	while (READ_ONCE(pair_ready) < 4)
		sched_yield();
	for (uint64_t i = 0; i < 500 * kt_scale(); i++) {
		uint64_t was;

		mutex_lock_pair(&pair[first], &pair[!first]);
		was = READ_ONCE(pair_rounds);
		KT_CHECK(mutex_held(&pair[0]) && mutex_held(&pair[1]));
		if (i % 16 == 0)
			sched_yield();
		WRITE_ONCE(pair_rounds, was + 1);
		mutex_unlock(&pair[first]);
		mutex_unlock(&pair[!first]);
	}
}

KTEST(mutex_pairs)
{
	struct crew crew = { 0 };

	mutex_init(&pair[0], LOCK_INODE);
	mutex_init(&pair[1], LOCK_INODE);
	pair_rounds = 0;
	pair_ready = 0;
	for (unsigned i = 0; i < 4; i++)
		crew_add(&crew, pair_fn, (void *)(uintptr_t)(i % 2), ALL_CPUS);
	crew_join(&crew);
	KT_CHECK(pair_rounds == 4 * 500 * kt_scale());
}
