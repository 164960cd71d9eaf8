/* SPDX-License-Identifier: MIT */
/* Interrupt dispatch. The controller (drivers/chip/gic*.c) registers its ops; drivers register handlers. */
#ifndef TERN_KERNEL_CORE_IRQ_H
#define TERN_KERNEL_CORE_IRQ_H

#include "lib/types.h"

/* Interrupt numbers are the GIC's: SGI 0-15, PPI 16-31, SPI 32 up. */
enum irq_trigger { IRQ_LEVEL, IRQ_EDGE };

struct irq_chip {
	const char *name;
	/* Accept the next pending interrupt: its number, or -1 if there is none (spurious). *token goes to eoi. */
	int (*ack)(uint32_t *token);
	void (*eoi)(uint32_t token);
	void (*enable)(unsigned irq, enum irq_trigger trigger);
	void (*disable)(unsigned irq);
	/* Send SGI to one CPU. Orders earlier stores before it. */
	void (*send_sgi)(unsigned sgi, unsigned cpu);
	/* Set up this CPU's interface; on each CPU. */
	void (*cpu_init)(void);
	unsigned nr_irqs;
};

/* The software interrupts. */
enum { SGI_RESCHED = 0, SGI_CALL = 1, SGI_STOP = 2, SGI_TRACE = 3, SGI_MAX = 16 };

/* Runs in irq context, irqs off. May not sleep nor allocate: acknowledge the device and wake somebody. */
typedef void (*irq_handler_t)(void *arg);

void irq_set_chip(const struct irq_chip *chip);
const struct irq_chip *irq_chip(void);

/* boot: the software interrupts' handlers, before irq_cpu_init(). */
void irq_init(void);

/* -EBUSY if the number is taken, -EINVAL out of range. PPIs: called once, the enable is repeated on each CPU by
 * irq_cpu_init(). Context: thread or boot. */
int irq_register(unsigned irq, enum irq_trigger trigger, irq_handler_t fn, void *arg,
		 const char *name) __must_check;
/* On each CPU as it comes up: the controller's CPU interface and the PPIs and SGIs registered so far. */
void irq_cpu_init(void);

/* Make a CPU run its scheduler (SGI_RESCHED); its handler sets nothing: need_resched is set before. */
void irq_send_resched(unsigned cpu);

/* Make a CPU look at itself (SGI_TRACE): cpu_trace.c. */
void irq_send_trace(unsigned cpu);

/* Run fn(arg) in irq context on every other online CPU and wait for all. Context: irqs on, no spinlock held. */
void cpus_call(void (*fn)(void *), void *arg);

/* panic: make every other CPU stop for good; waits a moment for those that have interrupts off. */
void irq_stop_others(void);

/* Counts for /proc/interrupts: calls fn for each registered interrupt. */
void irq_for_each(void (*fn)(unsigned irq, const char *name, uint64_t count, void *arg), void *arg);

#endif
