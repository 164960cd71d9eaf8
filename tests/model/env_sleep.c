/* SPDX-License-Identifier: MIT */
/* What sched/wait.c needs below it, where each CPU has but one thread: to sleep is to wait until somebody has made it READY.
 * The run queue's lock, which orders the two in the kernel, is a release and an acquire here. No time passes. */
#include "kernel/core/irq.h"
#include "tests/model/env.h"
#include "sched/runq_priv.h"

char sched_text_start[1], sched_text_end[1];

void sched_block(void)
{
	struct thread *t = current_thread();

	while (atomic_load_acquire(&t->state) == THREAD_BLOCKED)
		model_idle();
}

bool thread_wake_locked(struct thread *t, cpumask_t *kicks)
{
	if (READ_ONCE(t->state) != THREAD_BLOCKED)
		return false;
	atomic_store_release(&t->state, THREAD_READY);
	return true;
}

void sched_kick_all(cpumask_t cpus)
{
}

void irq_send_resched(unsigned cpu)
{
}

struct runq *runq_lock_of(struct thread *t, irqflags_t *f)
{
	model_fail(__FILE__, __LINE__, "no run queues here");
}

void timer_init(struct timer *t, timer_fn fn)
{
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
}

bool timer_cancel(struct timer *t)
{
	return false;
}
