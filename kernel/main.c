/* SPDX-License-Identifier: MIT */
/* The roof: the boot as a list. */
#include "arch/aarch64/arch.h"
#include "drivers/chip/chip.h"
#include "drivers/chip/pl011.h"
#include "kernel/core/clock.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "kernel/core/random.h"
#include "mm/phys/page.h"
#include "tests/kernel/ktest.h"

static void idle(void)
{
	for (;;) {
		arch_irq_disable();
		arch_wait_for_interrupt();
		arch_irq_enable();
	}
}

static void start_chips(void)
{
	if (!gic_init())
		panic("machine: the interrupt controller cannot be used");
	irq_init();
	irq_cpu_init();
	if (timer_chip_init() < 0)
		panic("machine: the timer's interrupt cannot be used");
	clock_cpu_init();
	psci_init();
	pl031_init();
}

void kernel_main(paddr_t tree)
{
	char text[160];
	const char *problem;

	clock_init();
	problem = machine_init(tree);
	pl011_init();
	if (problem)
		panic("machine: %s", problem);
	percpu_init(boot_alloc);
	random_init();
	stack_canary_init((uint64_t)random_u32() << 32 | random_u32());
	arch_describe_cpu(text, sizeof(text));
	log_info("tern: %s", text);
	ASSERT(arch_kernel_map_is_safe());
	start_chips();
	perturb_init();
	cpus_plain_threads(boot_alloc);
	if (cpus_start(idle) < 0)
		log_warn("core: going on with fewer cpus");
	arch_irq_enable();
	log_info("tern: up after %lu us", clock_now_ns() / NS_PER_US);
	if (cmdline_get("test", text, sizeof(text)) == 0)
		ktest_run_all(text);
	idle();
	panic("idle returned");
}
