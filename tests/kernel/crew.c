/* SPDX-License-Identifier: MIT */
#include "tests/kernel/crew.h"
#include "kernel/core/panic.h"

void crew_add(struct crew *c, void (*fn)(void *), void *arg, cpumask_t mask)
{
	struct thread *t = thread_create("crew", fn, arg, KSTACK_SIZE);

	ASSERT(t && c->n < CREW_MAX);
	ASSERT(thread_set_affinity(t, mask) == 0);
	c->thread[c->n++] = t;
	thread_start(t);
}

void crew_await_asleep(struct thread *t)
{
	for (;;) {
		irqflags_t f = spin_lock_irqsave(&t->lock);
		/* t->lock guards the moves into and out of BLOCKED alone: dying and the others are the run queue's. */
		enum thread_state state = atomic_load_acquire(&t->state);
		bool there = state == THREAD_DEAD ||
			     (t->waiting_on && state == THREAD_BLOCKED && !READ_ONCE(t->on_cpu));

		spin_unlock_irqrestore(&t->lock, f);
		if (there)
			return;
		(void)!sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE);
	}
}

void crew_join(struct crew *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		thread_join(c->thread[i]);
		thread_put(c->thread[i]);
	}
	c->n = 0;
}
