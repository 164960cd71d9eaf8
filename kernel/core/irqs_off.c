/* SPDX-License-Identifier: MIT */
#include "kernel/core/irqs_off.h"

#include "kernel/core/clock.h"
#include "kernel/core/percpu.h"

#define DAIF_I 0x80

void irqs_off_begin(irqflags_t before)
{
	if (!(before & DAIF_I))
		arch_cpu()->irqs_off_since = arch_counter();
}

void irqs_off_end(irqflags_t after, uintptr_t pc)
{
	struct cpu *c = arch_cpu();
	uint64_t span;

	if ((after & DAIF_I) || !c->irqs_off_since)
		return;
	span = arch_counter() - c->irqs_off_since;
	c->irqs_off_since = 0;
	if (span > c->irqs_off_max) {
		c->irqs_off_max = span;
		c->irqs_off_end = pc;
	}
}

uint64_t irqs_off_longest_ns(void)
{
	struct cpu *c;
	uint64_t max = 0;

	for_each_cpu (c)
		max = MAX(max, READ_ONCE(c->irqs_off_max));
	return clock_counter_to_ns(max);
}

uintptr_t irqs_off_longest_end(void)
{
	struct cpu *c;
	uint64_t max = 0;
	uintptr_t end = 0;

	for_each_cpu (c) {
		if (READ_ONCE(c->irqs_off_max) > max) {
			max = READ_ONCE(c->irqs_off_max);
			end = READ_ONCE(c->irqs_off_end);
		}
	}
	return end;
}
