/* SPDX-License-Identifier: MIT */
#include "kernel/core/trace.h"

#include "kernel/core/percpu.h"

static DEFINE_PER_CPU(struct trace_ring, rings);

uint32_t trace_mask;

struct trace_ring *trace_ring_of(struct cpu *c)
{
	return per_cpu_ptr(rings, c);
}

/* Interrupts are off meanwhile, so there is one writer, and none of another CPU. */
void trace_event(uint64_t kind, uint64_t a, uint64_t b)
{
	irqflags_t f = arch_irq_save();
	struct cpu *c = arch_cpu();
	struct trace_ring *r = per_cpu_ptr(rings, c);
	/* pairs with the release in trace_ring_open(): its mask is there, too */
	struct trace_record *at = atomic_load_acquire(&r->at);

	if (at)
		trace_ring_put(r, at, arch_counter(),
			       kind | (uint64_t)(uint32_t)c->irq_depth << 8 |
				       (uint64_t)(uint32_t)current_base()->id << 32,
			       a, b);
	arch_irq_restore(f);
}
