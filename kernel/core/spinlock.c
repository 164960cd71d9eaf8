/* SPDX-License-Identifier: MIT */
/* Spinlocks: test and test-and-set. Waiters read until the lock looks free, and then try to take it; no queue, since with
 * fewer host cores than CPUs a queue waits for whoever is not running. I-LOCK-7: between two looks is one hint, for a machine
 * whose CPUs take turns (TCG with one thread) ends the turn at each: who paused for 64 waited that many rounds of the others. */
#include "kernel/core/spinlock.h"

#include "kernel/core/irqs_off.h"
#include "kernel/core/lock_order.h"
#include "kernel/core/lock_stat.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "kernel/core/trace.h"
#include "lib/atomic.h"

#define CALLER ((uintptr_t)__builtin_return_address(0))

/* Preemption goes off with the first lock and on with the last; need_resched is looked at then. */
void preempt_enable_due(void)
{
	if (current_base()->preempt_depth == 0 && !arch_irqs_off())
		preempt_resched();
}

void spin_init(spinlock_t *l, enum lock_class cls)
{
	l->owner = 0;
	l->cls = (uint16_t)cls;
	lock_order_forget(l);
}

void spin_take_slowly(spinlock_t *l)
{
	uintptr_t pc = CALLER;

	trace(TRACE_LOCK_WAIT, l->cls, pc);
	if (READ_ONCE(l->owner) == this_cpu()->id + 1)
		BUG("lock: %s taken twice on one cpu", lock_class_name(l->cls));
	perturb_spins(true);
	do {
		while (READ_ONCE(l->owner))
			arch_spin_hint();
	} while (!spin_try(l));
	perturb_spins(false);
	trace(TRACE_LOCK_GOT, l->cls, pc);
}

/* Preemption is off. */
static void take(spinlock_t *l, bool pair, uintptr_t pc)
{
	perturb(PERTURB_LOCK);
	lock_check_acquire(l, l->cls, false, pair, pc);
	if (!spin_try(l)) {
		uint64_t start = lock_stat_now();

		spin_take_slowly(l);
		lock_stat_waited(l->cls, start, pc);
	}
	lock_check_acquired(l, l->cls, false, false, pc);
}

#ifdef DEBUG
static void release(spinlock_t *l)
{
	lock_check_release(l, l->cls, false);
	spin_release(l);
}

void spin_lock(spinlock_t *l) __no_lock_check
{
	preempt_disable();
	take(l, false, CALLER);
}

void spin_unlock(spinlock_t *l) __no_lock_check
{
	release(l);
	perturb(PERTURB_UNLOCK);
	preempt_enable();
}

irqflags_t spin_lock_irqsave(spinlock_t *l) __no_lock_check
{
	irqflags_t f = arch_irq_save();

	preempt_disable();
	irqs_off_begin(f);
	take(l, false, CALLER);
	return f;
}

void spin_unlock_irqrestore(spinlock_t *l, irqflags_t f) __no_lock_check
{
	release(l);
	irqs_off_end(f, CALLER);
	arch_irq_restore(f);
	perturb(PERTURB_UNLOCK);
	preempt_enable();
}
#endif

bool spin_trylock(spinlock_t *l) __no_lock_check
{
	preempt_disable();
	perturb(PERTURB_LOCK);
	lock_check_context(l->cls, false, CALLER);
	if (!spin_try(l)) {
		preempt_enable();
		return false;
	}
	lock_check_acquired(l, l->cls, false, true, CALLER);
	return true;
}

void spin_lock_pair(spinlock_t *a, spinlock_t *b) __no_lock_check
{
	spinlock_t *first = (uintptr_t)a < (uintptr_t)b ? a : b;
	spinlock_t *second = first == a ? b : a;

	preempt_disable();
	take(first, false, CALLER);
	preempt_disable();
	take(second, true, CALLER);
}

void spin_handoff(spinlock_t *l)
{
	DASSERT(arch_irqs_off());
	DASSERT(spin_held(l));
	/* I-LOCK-3: the run-queue lock alone goes through a switch. */
	DASSERT(this_cpu()->spinlocks.n == 1);
}

bool spin_held(const spinlock_t *l)
{
	irqflags_t f = arch_irq_save();
	bool held = READ_ONCE(l->owner) == arch_cpu()->id + 1;

	arch_irq_restore(f);
	return held;
}

void assert_spin_held(const spinlock_t *l) __no_lock_check
{
	DASSERT(spin_held(l));
}
