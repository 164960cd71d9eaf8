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

static void pair_fn(void *arg)
{
	struct mutex *m = arg;
	bool swap = (uintptr_t)current_thread() & 64;

	for (uint64_t i = 0; i < 500 * kt_scale(); i++) {
		mutex_lock_pair(&m[swap], &m[!swap]);
		mutex_unlock(&m[swap]);
		mutex_unlock(&m[!swap]);
	}
}

KTEST(mutex_pairs)
{
	static struct mutex m[2];
	struct crew crew = { 0 };

	mutex_init(&m[0], LOCK_INODE);
	mutex_init(&m[1], LOCK_INODE);
	for (unsigned i = 0; i < 4; i++)
		crew_add(&crew, pair_fn, m, ALL_CPUS);
	crew_join(&crew);
}
