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
#include "mm/phys/asid.h"
#include "mm/phys/kstack.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "sched/thread.h"
#include "tests/kernel/ktest.h"

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

static void start_memory(void)
{
	percpu_init(boot_alloc);
	pages_init();
	slab_init();
	kstack_init();
	asid_init();
}

static void start_cpus(void)
{
	struct cpu *c;
	struct kstack stack;

	for_each_cpu (c) {
		if (c->id == 0)
			continue;
		if (kstack_alloc(&stack, KSTACK_SIZE) < 0)
			panic("machine: no memory for the stack of cpu %u", c->id);
		cpu_set_stack(c, stack.lo, stack.hi);
	}
	sched_init();
	if (cpus_start(sched_start) < 0)
		log_warn("core: going on with fewer cpus");
}

#ifdef DEBUG
static void run_tests(const char *names)
{
	ktest_run_all(names);
}
#else
static void run_tests(const char *names)
{
	panic("test=%s: the tests are in the debug image", names);
}
#endif

/* The first thread: the rest of the boot, where sleeping is allowed. */
static void init_main(void *unused)
{
	char names[160];

	log_info("tern: up after %lu us", clock_now_ns() / NS_PER_US);
	if (cmdline_get("test", names, sizeof(names)) == 0)
		run_tests(names);
}

static void say_hello(void)
{
	char text[128];

	arch_describe_cpu(text, sizeof(text));
	log_info("tern: %s", text);
	for (unsigned i = 0; i < machine.nr_ram; i++)
		log_info("tern: ram %lx, %lu KiB", machine.ram[i].start, machine.ram[i].size >> 10);
}

/* boot.S: the MMU is on, bss is clear, this is CPU 0, interrupts are off. */
void kernel_main(paddr_t tree)
{
	const char *problem;

	clock_init();
	problem = machine_init(tree);
	pl011_init();
	if (problem)
		panic("machine: %s", problem);
	say_hello();
	start_memory();
	random_init();
	stack_canary_init((uint64_t)random_u32() << 32 | random_u32());
	ASSERT(arch_kernel_map_is_safe());
	start_chips();
	perturb_init();
	start_cpus();
	if (thread_spawn("init", init_main, NULL) < 0)
		panic("tern: no memory for the first thread");
	sched_start();
}
