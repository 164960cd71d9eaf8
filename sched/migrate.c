/* SPDX-License-Identifier: MIT */
/* Which CPU: where a thread wakes up, what an idle CPU takes from the others, and affinity. A thread moves only under
 * both run queues' locks with on_cpu == 0 (I-SCHED-3). */
#include "sched/runq_priv.h"
#include "kernel/core/irq.h"
#include "lib/errno.h"

/* How many ready threads of another queue an idle CPU looks at before it gives up. */
#define STEAL_LOOK 16

static unsigned nr_ready(unsigned cpu)
{
	return READ_ONCE(runq_of_cpu(cpu)->ready.nr);
}

/* An idle CPU if there is one, then where it last ran; a new thread goes to the shortest queue. All of this is read
 * without locks: a wrong guess costs time, never correctness. */
struct runq *runq_select(cpumask_t mask, struct runq *last, bool new)
{
	cpumask_t online = READ_ONCE(sched_online_cpus), idle;
	unsigned here = this_cpu()->id, best;

	if (!(online & mask))
		return mask & BIT(last->cpu) ? last : runq_of_cpu((unsigned)__builtin_ctzl(mask));
	mask &= online;
	idle = READ_ONCE(sched_idle_cpus) & mask;
	if (idle & BIT(here))
		return runq_of_cpu(here);
	if (idle & BIT(last->cpu))
		return last;
	if (idle)
		return runq_of_cpu((unsigned)__builtin_ctzl(idle));
	if (!new && (mask & BIT(last->cpu)))
		return last;
	best = mask & BIT(here) ? here : (unsigned)__builtin_ctzl(mask);
	for (cpumask_t left = mask; left; left &= left - 1) {
		unsigned cpu = (unsigned)__builtin_ctzl(left);

		if (nr_ready(cpu) < nr_ready(best))
			best = cpu;
	}
	return runq_of_cpu(best);
}

/* Both locks held. */
static struct thread *steal_choose(struct runq *victim, const struct runq *thief)
{
	struct rb_node *n = rb_first(&victim->ready.tree);

	for (unsigned i = 0; n && i < STEAL_LOOK; i++, n = rb_next(n)) {
		struct thread *t = rb_entry(n, struct thread, ent.node);

		if (t != victim->curr && !atomic_load_acquire(&t->on_cpu) &&
		    (t->affinity & BIT(thief->cpu)))
			return t;
	}
	return NULL;
}

static bool steal_from(struct runq *victim, struct runq *rq)
{
	struct thread *t;

	runq_lock_two(victim, rq);
	t = steal_choose(victim, rq);
	if (t) {
		runq_dequeue(victim, t, 0);
		WRITE_ONCE(t->rq, rq);
		runq_enqueue_here(rq, t);
		rq->steals++;
	}
	runq_unlock_two(victim, rq);
	return t != NULL;
}

bool runq_steal(struct runq *rq)
{
	for (unsigned i = 1; i < cpu_count(); i++) {
		struct runq *victim = runq_of_cpu((rq->cpu + i) % cpu_count());

		if (READ_ONCE(victim->ready.nr) > 1 && steal_from(victim, rq)) {
			/* There may be more to take: pass it on. */
			sched_kick_stealer(victim, ~(cpumask_t)0);
			return true;
		}
	}
	return false;
}

void __no_lock_check thread_push_away(struct thread *t)
{
	struct runq *src = t->rq, *dst;
	int kick;

	for (;;) {
		dst = perturbed_target(t, runq_select(READ_ONCE(t->affinity), src, true));
		runq_lock_two(src, dst);
		if (t->affinity & BIT(dst->cpu))
			break;
		runq_unlock_two(src, dst);
	}
	ASSERT(t->moving && !t->queued && t->rq == src);
	t->moving = false;
	WRITE_ONCE(t->rq, dst);
	runq_charge(dst);
	kick = runq_enqueue(dst, t);
	runq_unlock_two(src, dst);
	sched_kick(kick);
}

/* Those that are up, also if they have not come to sched_start() yet. */
static cpumask_t online_cpus(void)
{
	cpumask_t mask = 0;
	struct cpu *c;

	for_each_cpu (c)
		if (cpu_is_online(c))
			mask |= BIT(c->id);
	return mask;
}

int __no_lock_check thread_set_affinity(struct thread *t, cpumask_t mask)
{
	struct runq *rq;
	bool push = false, kick = false;
	irqflags_t f;

	if (!(mask & online_cpus()))
		return -EINVAL;
	rq = runq_lock_of(t, &f);
	WRITE_ONCE(t->affinity, mask);
	if (!(mask & BIT(rq->cpu))) {
		if (rq->curr == t) {
			kick = !atomic_exchange(&rq->c->need_resched, 1) && rq != this_runq();
		} else if (t->queued) {
			runq_dequeue(rq, t, 0);
			t->moving = true;
			push = true;
		}
	}
	spin_unlock(&rq->lock);
	if (push)
		thread_push_away(t);
	else
		sched_kick_stealer(rq, mask);
	if (kick)
		irq_send_resched(rq->cpu);
	irq_restore_resched(f);
	return 0;
}

int __no_lock_check thread_set_nice(struct thread *t, int nice)
{
	struct runq *rq;
	bool kick = false;
	irqflags_t f;

	if (nice < NICE_MIN || nice > NICE_MAX)
		return -EINVAL;
	rq = runq_lock_of(t, &f);
	runq_charge(rq);
	WRITE_ONCE(t->nice, (int8_t)nice);
	eevdf_reweight(t->queued ? &rq->ready : NULL, &t->ent, eevdf_weight(nice));
	if (t->queued)
		kick = !atomic_exchange(&rq->c->need_resched, 1) && rq != this_runq();
	spin_unlock(&rq->lock);
	if (kick)
		irq_send_resched(rq->cpu);
	irq_restore_resched(f);
	return 0;
}
