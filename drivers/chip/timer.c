/* SPDX-License-Identifier: MIT */
/* The EL1 virtual timer of each CPU (Arm ARM D11): one comparator, set to the next deadline. */
#include "arch/aarch64/arch.h"
#include "arch/aarch64/sysreg.h"
#include "drivers/chip/chip.h"
#include "kernel/core/clock.h"
#include "kernel/core/irq.h"
#include "kernel/core/machine.h"

#define CTL_ENABLE BIT(0)

static void set_next(uint64_t deadline_ns)
{
	uint64_t count = clock_ns_to_counter(deadline_ns);

	/* the comparator knows no sign: what is past would be the far future */
	if ((int64_t)count < 0 && count != UINT64_MAX)
		count = 0;
	if (deadline_ns == DEADLINE_NEVER) {
		sysreg_write(cntv_ctl_el0, 0);
	} else {
		sysreg_write(cntv_cval_el0, count);
		sysreg_write(cntv_ctl_el0, CTL_ENABLE);
	}
	isb();
}

static void cpu_init(void)
{
	set_next(DEADLINE_NEVER);
}

static const struct clock_event_ops ops = { set_next, cpu_init };

/* The line stays up until the comparator moves: timer_interrupt() always sets it anew. */
static void interrupt(void *unused)
{
	(void)unused;
	timer_interrupt();
}

int timer_chip_init(void)
{
	clock_set_event_device(&ops);
	return irq_register(machine.timer_irq, IRQ_LEVEL, interrupt, NULL, "timer");
}
