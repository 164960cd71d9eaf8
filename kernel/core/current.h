/* SPDX-License-Identifier: MIT */
/* What the lowest kernel floor must know of a thread. It is the first member of struct thread (sched/thread.h);
 * each CPU boots on one of its own, which becomes its idle thread. */
#ifndef TERN_KERNEL_CORE_CURRENT_H
#define TERN_KERNEL_CORE_CURRENT_H

#include "arch/aarch64/arch.h"
#include "kernel/core/lock.h"

struct thread_base {
	int preempt_depth; /* [self] > 0: may not be switched away from */
	bool nofault; /* [self] user faults are not resolved but reported: atomic user copies */
	bool alloc_forbidden; /* [self] tests: an allocation now is a BUG */
	uintptr_t stack_lo;   /* [init] lowest usable byte of the kernel stack */
	uintptr_t stack_hi;   /* [init] one past the highest */
	const char *name;     /* [init] for reports; never NULL */
	int id;		      /* [init] thread id for reports */
#ifdef DEBUG
	struct held_stack mutexes; /* [self] */
	uint64_t locks_taken;	   /* [self] a bit for each class, outside interrupts; for tests */
	uint32_t perturb_generation; /* [runq] perturb.c */
	uint32_t perturb_priority;   /* [runq] */
#endif
#ifdef SAN_THREAD
	int races_ignored; /* [self] inside data_race() */
#endif
	struct arch_jump_buf *expect; /* [self] a test expects a BUG: where to go on */
	int expect_depth;	      /* [self] and the irq depth at which it waits */
};

static inline struct thread_base *current_base(void)
{
	return (struct thread_base *)arch_current();
}

/* Preemption is counted per thread, so the count needs no CPU to stay put. preempt_enable() switches at once if
 * a reschedule is due and this was the outermost (sched's up-call preempt_resched()); kernel/core/percpu.h has it. */
static inline void preempt_disable(void)
{
	current_base()->preempt_depth++;
	__asm__ __volatile__("" : : : "memory");
}

/* As preempt_enable(), without the check: for code that is about to switch anyway, or with irqs off. */
static inline void preempt_enable_no_resched(void)
{
	__asm__ __volatile__("" : : : "memory");
	current_base()->preempt_depth--;
}

/* Up-call, sched/sched.c: switch if this CPU's need_resched is set. Context: thread, irqs on, depth 0. */
void preempt_resched(void);

#endif
