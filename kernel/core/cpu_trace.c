/* SPDX-License-Identifier: MIT */
/* Traces of CPUs. Each has one place for its answer; who asks takes a number, and any answer begun after that serves. A copy
 * during which another answer began is made again. */
#include "kernel/core/cpu_trace.h"

#include "kernel/core/clock.h"
#include "kernel/core/irq.h"
#include "kernel/core/kcsan.h"
#include "kernel/core/perturb.h"
#include "lib/atomic.h"
#include "lib/string.h"

#define PATIENCE (100 * NS_PER_MS)

struct answer {
	uint32_t asked;	   /* [atomic] */
	uint32_t begun;	   /* [atomic] the question now answered, before trace changes */
	uint32_t answered; /* [atomic] and when it is whole */
	struct cpu_trace trace;
};

static DEFINE_PER_CPU(struct answer, answers);

static bool add_frame(uintptr_t pc, void *arg)
{
	struct cpu_trace *t = arg;

	t->frame[t->n++] = pc;
	return t->n < CPU_TRACE_DEPTH;
}

/* Preemption is off. */
static void look(struct cpu_trace *t, uintptr_t pc)
{
	const struct thread_base *b = current_base();

	t->thread = b->id;
	str_copy(t->name, b->name, sizeof(t->name));
	t->pc = pc;
	t->n = 0;
	arch_backtrace((uintptr_t)__builtin_frame_address(0), b->stack_lo, b->stack_hi, add_frame,
		       t);
}

void cpu_trace_answer(void *unused)
{
	struct answer *a = this_cpu_ptr(answers);
	uint32_t question = atomic_load_acquire(&a->asked);

	(void)unused;
	/* who asked copies it now, and would not see that it is written again */
	if (question == a->answered)
		return;
	WRITE_ONCE(a->begun, question);
	/* pairs with the fence in cpu_trace() */
	atomic_fence();
	look(&a->trace, this_cpu()->irq_pc);
	atomic_publish(&a->answered, question);
}

bool cpu_trace(struct cpu *c, struct cpu_trace *out)
{
	struct answer *a = per_cpu_ptr(answers, c);
	uint64_t end = clock_now_ns() + PATIENCE;
	uint32_t mine, seen;

	preempt_disable();
	if (c == this_cpu()) {
		look(out, 0);
		preempt_enable();
		return true;
	}
	mine = atomic_fetch_add(&a->asked, 1) + 1;
	irq_send_trace(c->id);
	preempt_enable();
	do {
		/* pairs with the release in cpu_trace_answer() */
		seen = atomic_load_acquire(&a->answered);
		if ((int32_t)(seen - mine) >= 0) {
			/* that it was whole is asked behind it */
			*out = data_race(a->trace);
			atomic_fence();
			if (READ_ONCE(a->begun) == seen)
				return true;
		}
		arch_spin_hint();
	} while (clock_now_ns() < end);
	return false;
}
