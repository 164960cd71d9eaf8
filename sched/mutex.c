/* SPDX-License-Identifier: MIT */
/* Mutexes. The owner word decides; whoever finds it free takes it, also before a waiter that has just been woken
 * (handing over would make every contended unlock a switch). A waiter that loses waits again; each unlock that finds
 * a sleeper wakes one, so one is always on its way while the mutex is free. */
#include "sched/mutex.h"
#include "kernel/core/lock_order.h"
#include "kernel/core/lock_stat.h"
#include "kernel/core/panic.h"
#include "kernel/core/perturb.h"
#include "kernel/core/trace.h"
#include "sched/thread.h"

#define CALLER() ((uintptr_t)__builtin_return_address(0))

void mutex_init(struct mutex *m, enum lock_class cls)
{
	m->owner = NULL;
	m->cls = (uint16_t)cls;
	waitq_init(&m->waiters);
	lock_order_forget(m);
}

static bool mutex_take(struct mutex *m)
{
	struct thread *none = NULL;

	return atomic_compare_exchange(&m->owner, &none, current_thread());
}

static void __noinline take_slowly(struct mutex *m, uintptr_t pc)
{
	uint64_t start = lock_stat_now();

	trace(TRACE_LOCK_WAIT, m->cls, pc);
	wait_event(&m->waiters, mutex_take(m));
	trace(TRACE_LOCK_GOT, m->cls, pc);
	lock_stat_waited(m->cls, start, pc);
}

static void mutex_lock_checked(struct mutex *m, bool pair, uintptr_t pc)
{
	might_sleep();
	if (READ_ONCE(m->owner) == current_thread())
		BUG("mutex %s taken again by its owner %s", lock_class_name(m->cls),
		    current_base()->name);
	lock_check_acquire(m, m->cls, true, pair, pc);
	perturb(PERTURB_LOCK);
	if (!mutex_take(m))
		take_slowly(m, pc);
	lock_check_acquired(m, m->cls, true, false, pc);
}

void __no_lock_check mutex_lock(struct mutex *m)
{
	mutex_lock_checked(m, false, CALLER());
}

void __no_lock_check mutex_lock_nested(struct mutex *m)
{
	mutex_lock_checked(m, true, CALLER());
}

void __no_lock_check mutex_unlock(struct mutex *m)
{
	if (READ_ONCE(m->owner) != current_thread())
		BUG("mutex %s released by %s, which does not hold it", lock_class_name(m->cls),
		    current_base()->name);
	lock_check_release(m, m->cls, true);
	atomic_store_release(&m->owner, NULL);
	if (waitq_has_sleepers(&m->waiters))
		wake_one(&m->waiters);
	perturb(PERTURB_UNLOCK);
}

bool __no_lock_check mutex_trylock(struct mutex *m)
{
	lock_check_context(m->cls, true, CALLER());
	perturb(PERTURB_LOCK);
	if (!mutex_take(m))
		return false;
	lock_check_acquired(m, m->cls, true, true, CALLER());
	return true;
}

bool mutex_held(const struct mutex *m)
{
	return READ_ONCE(m->owner) == current_thread();
}

void __no_lock_check assert_mutex_held(const struct mutex *m)
{
	ASSERT(mutex_held(m));
}

void __no_lock_check mutex_lock_pair(struct mutex *a, struct mutex *b)
{
	ASSERT(a != b);
	if (a > b) {
		struct mutex *swap = a;

		a = b;
		b = swap;
	}
	mutex_lock_checked(a, false, CALLER());
	mutex_lock_checked(b, true, CALLER());
}
