/* SPDX-License-Identifier: MIT */
/* The roof: boot as a list of calls, in two halves. The first runs on the boot CPU's own stack with interrupts off
 * until the scheduler takes over; the second in a thread, and may sleep. */
#include "arch/aarch64/arch.h"
#include "drivers/chip/chip.h"
#include "drivers/chip/pl011.h"
#include "drivers/tty/tty.h"
#include "drivers/virtio/virtio.h"
#include "fs/vfs.h"
#include "kernel/core/clock.h"
#include "kernel/core/fault.h"
#include "kernel/core/irq.h"
#include "kernel/core/kasan.h"
#include "kernel/core/kcsan.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "kernel/core/random.h"
#include "kernel/futex.h"
#include "kernel/init.h"
#include "kernel/layout.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/procinfo.h"
#include "kernel/machine_report.h"
#include "kernel/seed.h"
#include "kernel/syscall.h"
#include "kernel/tracefile.h"
#include "kernel/vdso.h"
#include "kernel/version.h"
#include "kernel/watchdog.h"
#include "mm/phys/asid.h"
#include "mm/phys/kstack.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"
#include "net/net.h"
#include "sched/thread.h"
#include "ssh/server/server.h"
#include "tests/kernel/ktest.h"

/* What cannot be done without ends the boot; the rest is said and missed. */
static void need(int err, const char *what)
{
	if (err < 0)
		panic("boot: %s failed: error %d", what, -err);
}

static void want(int err, const char *what)
{
	if (err < 0)
		log_warn("boot: no %s: error %d", what, -err);
}

/* In a thread, on whatever CPU. */
static void boot_thread_main(void *arg)
{
	char *tests = cmdline_dup("test");

	vm_init();			      /* address spaces, and the worker that frees them */
	process_init();			      /* the pid table */
	futex_init();			      /* where threads wait for words of memory */
	poll_init();			      /* and for many files */
	vdso_init();			      /* the clock's page and its code, for programs */
	layout_init();			      /* where the parts of programs go */
	seed_init();			      /* who waits for randomness is woken */
	need(vfs_init(), "root file system"); /* built-in files, then the initrd over them */
	need(tty_init(), "terminals");
	procinfo_init(); /* /proc */
	need(watchdog_init(), "watchdog");
	virtio_init(); /* network, entropy, disks */
	want(machine_report_init(), "/proc/tern/report");
	pl011_set_break(machine_report_to_log);
	want(tracefile_init(), "/proc/tern/trace");
	need(blockfile_init(), "nodes of disks");
	want(net_procfs_init(), "/proc/net");
	want(net_init(), "network");
	log_info("tern: up after %lu us", (unsigned long)(clock_now_ns() / NS_PER_US));
	if (tests) {
		fault_start();
		ktest_run_all(tests);
	}
	init_start(); /* pid 1, or run= */
	want(ssh_server_start(), "ssh server");
	fault_start();
	init_wait();
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

static void start_cpus(void)
{
	struct cpu *c;
	struct kstack stack;

	for_each_cpu (c) {
		if (c->id == 0)
			continue;
		if (kstack_alloc(&stack, KSTACK_SIZE) < 0)
			panic("boot: no memory for the stack of cpu %u", c->id);
		cpu_set_stack(c, stack.lo, stack.hi);
	}
	sched_init();
	if (cpus_start(sched_start) < 0)
		log_warn("boot: going on with fewer cpus");
}

/* Where there is no UART, whoever emulates the machine may listen. */
static const struct console_ops last_resort = { "semihosting", arch_debug_write };

/* The first C in the kernel's half: CPU 0, irqs off, on the boot stack. */
void kernel_main(paddr_t tree)
{
	char text[160];
	const char *problem;

	arch_leave_identity_map();
	clock_init();
	problem = machine_init(tree); /* what the device tree says */
	if (!pl011_init())	      /* from here on there is a console */
		log_set_console(&last_resort);
	if (problem)
		panic("machine: %s", problem);
	arch_describe_cpu(text, sizeof(text));
	log_info("tern: version " TERN_VERSION ", %s", text);
	kasan_start(boot_alloc);
	percpu_init(boot_alloc);
	pages_init();
	slab_init();
	kstack_init();
	asid_init();
	random_init();
	stack_canary_init((uint64_t)random_u32() << 32 | random_u32());
	ASSERT(arch_kernel_map_is_safe()); /* nothing both writable and executable */
	start_chips();
	perturb_init();
	fault_init();
	trace_boot();
	start_cpus(); /* the others: idle at once */
	kcsan_start();
	need(thread_spawn("boot", boot_thread_main, NULL), "the boot thread");
	sched_start(); /* CPU 0 becomes idle, and runs what it finds */
}
