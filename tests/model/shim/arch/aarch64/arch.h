/* SPDX-License-Identifier: MIT */
/* The host's stand-in for the CPU, with what a model must know of: barriers of devices as C11 has them, waiting, interrupts. */
#ifndef TERN_TESTS_MODEL_ARCH_H
#define TERN_TESTS_MODEL_ARCH_H

#define arch_spin_hint		host_spin_hint
#define arch_dma_wmb		host_dma_wmb
#define arch_dma_rmb		host_dma_rmb
#define arch_wait_for_interrupt host_wait_for_interrupt
#define arch_irq_restore	host_irq_restore
#define arch_irq_enable		host_irq_enable
/* by path: the rooted name is this file */
#include "../../../../host/shim/arch/aarch64/arch.h"
#undef arch_spin_hint
#undef arch_dma_wmb
#undef arch_dma_rmb
#undef arch_wait_for_interrupt
#undef arch_irq_restore
#undef arch_irq_enable

void model_spin(void);
/* env.c; a test may have its own, and say that it was for it. */
bool env_spun(void);

static inline void arch_spin_hint(void)
{
	if (!env_spun())
		model_spin();
}

static inline void arch_dma_wmb(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void arch_dma_rmb(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* Interrupts come where they are let in, and nowhere else. */
void env_irqs_on(void);

static inline void arch_irq_enable(void)
{
	shim_irqs_off = false;
	env_irqs_on();
}

static inline void arch_irq_restore(irqflags_t f)
{
	shim_irqs_off = f;
	if (!f)
		env_irqs_on();
}

/* Until this CPU is interrupted. */
void arch_wait_for_interrupt(void);

static inline void arch_set_current(struct thread *t)
{
	shim_current = t;
}

void trap_preempt(void);
void sched_switched(struct thread *prev);

/* No model asks for these; the sources name them. */
static inline uintptr_t arch_thread_fp(const struct arch_thread *at)
{
	return at->sp;
}

static inline void arch_backtrace(uintptr_t fp, uintptr_t lo, uintptr_t hi,
				  bool (*fn)(uintptr_t pc, void *arg), void *arg)
{
}

static inline uint64_t arch_user_ns(uint64_t now_ns)
{
	return 0;
}

#endif
