/* SPDX-License-Identifier: MIT */
/* ASIDs with generations. asid_bits=N on the command line narrows them so that roll-over can be tested (L6). */
#ifndef TERN_MM_PHYS_ASID_H
#define TERN_MM_PHYS_ASID_H

#include "kernel/core/percpu.h"

/* A space's place in the ASID world and on the CPUs. */
struct asid_ctx {
	uint64_t asid;	/* [atomic] generation << 16 | number; 0: none yet */
	cpumask_t cpus; /* [atomic] CPUs whose TLB may hold entries of it: I-ASID-2 */
};

void asid_init(void); /* boot, after slab_init() */
/* Load the table with a current ASID into TTBR0 of this CPU. Context: atomic, irqs off (the switch). */
void asid_activate(struct asid_ctx *ctx, paddr_t root);
/* Invalidate a page, or all, of this space: locally if it has run only here, else broadcast. After the table
 * store. One at a time for a space: the caller holds its lock. Context: preemption may be on. */
void asid_flush_page(struct asid_ctx *ctx, vaddr_t va);
void asid_flush_all(struct asid_ctx *ctx);

/* Tests: from now on only 2^bits numbers, or as few as the CPUs allow; begins a new generation. 0: all again. */
void asid_limit(unsigned bits);
/* Generations begun since boot. */
uint64_t asid_generations(void);

#endif
