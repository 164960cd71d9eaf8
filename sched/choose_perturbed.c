/* SPDX-License-Identifier: MIT */
/* The scheduler's choices under perturb= (debug images): who is next, and where a thread goes. Drawn, or by the random
 * priorities of a bounded-preemption schedule; fairness is off meanwhile, but who uses up its slice lets all others before it. */
#include "kernel/core/perturb.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/core/machine.h"
#include "sched/runq_priv.h"

/* Turns of an empty loop, of a CPU that counts on, until it gives way and looks whether it still is to. */
#define COUNT_ON 2048

static uint32_t waiting; /* [atomic] CPUs in perturbed_wait() */

static struct thread *drawn_thread(const struct runq *rq)
{
	uint64_t n = perturb_draw() % rq->ready.nr;
	struct rb_node *node = rb_first(&rq->ready.tree);

	for (; n; n--)
		node = rb_next(node);
	return rb_entry(node, struct thread, ent.node);
}

static struct thread *highest_thread(const struct runq *rq)
{
	struct thread *best = NULL, *curr = rq->curr;

	if (curr && curr->queued && clock_now_ns() >= rq->slice_end_ns)
		perturb_last(&curr->base);
	for (struct rb_node *n = rb_first(&rq->ready.tree); n; n = rb_next(n)) {
		struct thread *t = rb_entry(n, struct thread, ent.node);

		if (!best || perturb_priority(&t->base) > perturb_priority(&best->base))
			best = t;
	}
	return best;
}

struct thread *perturbed_next(struct runq *rq, struct thread *next)
{
	enum perturb_mode mode = perturb_mode();

	if (next != rq->idle && mode == PERTURB_RANDOM)
		next = drawn_thread(rq);
	else if (next != rq->idle && mode == PERTURB_PCT)
		next = highest_thread(rq);
	if (mode != PERTURB_OFF)
		perturb_runs(next == rq->idle ? NULL : &next->base);
	return next;
}

void perturbed_yield(void)
{
	if (perturb_mode() == PERTURB_PCT)
		perturb_last(current_base());
}

bool perturbed_move(const struct runq *rq, const struct thread *t)
{
	return perturb_moves() && (t->affinity & READ_ONCE(sched_online_cpus) & ~BIT(rq->cpu));
}

struct runq *perturbed_target(const struct thread *t, struct runq *target)
{
	cpumask_t mask = READ_ONCE(t->affinity) & READ_ONCE(sched_online_cpus);
	uint64_t x;

	if (perturb_mode() != PERTURB_RANDOM || !mask)
		return target;
	x = perturb_draw();
	if (x & 3)
		return target;
	for (x = (x >> 2) % (unsigned)__builtin_popcountl(mask); x; x--)
		mask &= mask - 1;
	return runq_of_cpu((unsigned)__builtin_ctzl(mask));
}

/* Whether an interrupt would come if they were on. */
static bool interrupt_pending(void)
{
	return sysreg_read(isr_el1) != 0;
}

static bool all_wait(void)
{
	return atomic_load_relaxed(&waiting) >=
	       (unsigned)__builtin_popcountl(READ_ONCE(sched_online_cpus));
}

/* I-PERTURB-1: who comes last goes on until another has left, which then is the one to find that all wait. */
void perturbed_wait(void)
{
	static int replays = -1; /* [atomic] as the command line says; -1: not asked yet */

	if (replays < 0)
		WRITE_ONCE(replays, cmdline_has("replay"));
	if (!replays) {
		arch_wait_for_interrupt();
		return;
	}
	atomic_fetch_add(&waiting, 1);
	while (all_wait() && !interrupt_pending()) {
		for (unsigned n = 0; n < COUNT_ON; n++)
			__asm__ __volatile__("");
		/* one that a timer has woken comes on only then */
		arch_spin_hint();
	}
	/* with an interrupt pending it is over at once */
	arch_wait_for_interrupt();
	atomic_fetch_add(&waiting, -1u);
}
