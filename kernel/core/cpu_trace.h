/* SPDX-License-Identifier: MIT */
/* What another CPU does just now: it is interrupted and looks. */
#ifndef TERN_KERNEL_CORE_CPU_TRACE_H
#define TERN_KERNEL_CORE_CPU_TRACE_H

#include "kernel/core/percpu.h"

#define CPU_TRACE_DEPTH 24

struct cpu_trace {
	int thread;
	char name[16];
	uintptr_t pc; /* what was interrupted; 0 if it was the CPU that asks */
	unsigned n;
	uintptr_t frame
		[CPU_TRACE_DEPTH]; /* return addresses, innermost first, the interrupt's own included */
};

/* False: no answer within a tenth of a second; it has interrupts off, or the host does not let it run. Context: thread. */
bool cpu_trace(struct cpu *c, struct cpu_trace *out) __must_check;
/* irq.c, when a CPU is asked. */
void cpu_trace_answer(void *unused);

#endif
