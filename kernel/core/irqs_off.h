/* SPDX-License-Identifier: MIT */
/* How long interrupts stay off: spans that begin in spin_lock_irqsave() or at an interrupt's entry are measured in debug
 * images, the longest of each CPU is kept in struct cpu. */
#ifndef TERN_KERNEL_CORE_IRQS_OFF_H
#define TERN_KERNEL_CORE_IRQS_OFF_H

#include "arch/aarch64/arch.h"

/* before: the flags from before interrupts went off; after: those about to be restored; pc: by whom. A span nested in another
 * counts as part of it. Context: irqs off. */
#ifdef DEBUG
void irqs_off_begin(irqflags_t before);
void irqs_off_end(irqflags_t after, uintptr_t pc);
/* The longest span of any CPU so far, in ns. */
uint64_t irqs_off_longest_ns(void);
/* Where in the code that span ended. */
uintptr_t irqs_off_longest_end(void);
#else
static inline void irqs_off_begin(irqflags_t before)
{
}
static inline void irqs_off_end(irqflags_t after, uintptr_t pc)
{
}
#endif

#endif
