/* SPDX-License-Identifier: MIT */
/* A mutex for host tests that do not link the scheduler: spins, checks its owner. */
#include "tests/host/shim/shim.h"

#include "lib/atomic.h"
#include "sched/mutex.h"

#include <sched.h>

void mutex_init(struct mutex *m, enum lock_class cls)
{
	m->owner = NULL;
	m->cls = (uint16_t)cls;
}

void mutex_lock(struct mutex *m) __no_lock_check
{
	struct thread *none = NULL;

	might_sleep();
	if (mutex_held(m))
		BUG("mutex %s taken twice", lock_class_name(m->cls));
	while (!atomic_compare_exchange(&m->owner, &none, arch_current())) {
		none = NULL;
		sched_yield();
	}
}

bool mutex_trylock(struct mutex *m) __no_lock_check
{
	struct thread *none = NULL;

	return atomic_compare_exchange(&m->owner, &none, arch_current());
}

void mutex_unlock(struct mutex *m) __no_lock_check
{
	assert_mutex_held(m);
	atomic_store_release(&m->owner, NULL);
}

bool mutex_held(const struct mutex *m)
{
	return atomic_load_relaxed(&m->owner) == arch_current();
}

void assert_mutex_held(const struct mutex *m) __no_lock_check
{
	if (!mutex_held(m))
		BUG("mutex %s is not held", lock_class_name(m->cls));
}

void mutex_lock_nested(struct mutex *m) __no_lock_check
{
	mutex_lock(m);
}

void mutex_lock_pair(struct mutex *a, struct mutex *b) __no_lock_check
{
	mutex_lock(a < b ? a : b);
	mutex_lock(a < b ? b : a);
}
