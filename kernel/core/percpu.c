/* SPDX-License-Identifier: MIT */
/* struct cpu of every CPU, and how they come up. The boot CPU's is static, so that locks and per-CPU variables work from
 * the first line of C; the others' follow when there is memory. */
#include "kernel/core/percpu.h"

#include "kernel/core/clock.h"
#include "kernel/core/fault.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "lib/errno.h"
#include "lib/string.h"

#define BOOT_STACK_SIZE	    16384
#define OVERFLOW_STACK_SIZE 4096
#define CPU_START_LIMIT_NS  NS_PER_S

static char boot_stack[BOOT_STACK_SIZE] __section(".bss.boot_stack") __aligned(16);
static char boot_overflow_stack[OVERFLOW_STACK_SIZE] __aligned(16);

static struct thread_base boot_thread = {
	.preempt_depth = 1,
	.stack_lo = (uintptr_t)boot_stack,
	.stack_hi = (uintptr_t)boot_stack + BOOT_STACK_SIZE,
	.name = "boot",
};

struct cpu boot_cpu = {
	.self = &boot_cpu,
	.current = (struct thread *)&boot_thread,
	.boot_thread = &boot_thread,
	.overflow_stack = (uintptr_t)boot_overflow_stack + OVERFLOW_STACK_SIZE,
	.online = 1,
};

static struct cpu **cpus;    /* [init] NULL until percpu_init() */
static unsigned nr_cpus = 1; /* [init] */
static int (*starter)(uint64_t mpidr, paddr_t entry, uint64_t context); /* [init] */
static void (*secondary_entry)(void);					/* [init] */

unsigned cpu_count(void)
{
	return nr_cpus;
}

struct cpu *cpu_get(unsigned id)
{
	ASSERT(id < nr_cpus);
	return cpus ? cpus[id] : &boot_cpu;
}

static void cpu_fill(struct cpu *c, unsigned id, char *data, char *stack)
{
	memcpy(data, percpu_start, (size_t)(percpu_end - percpu_start));
	c->self = c;
	c->id = id;
	c->mpidr = machine.cpus[id].mpidr;
	c->percpu_offset = (uintptr_t)data - (uintptr_t)percpu_start;
	if (stack)
		c->overflow_stack = (uintptr_t)stack + OVERFLOW_STACK_SIZE;
}

/* The boot CPU's variables move from the section itself to a copy: nothing points at them yet. All copies lie in one
 * block in the order of the CPUs, so that addresses order as numbers do (I-CPU-2). */
void percpu_init(void *(*alloc)(size_t size, size_t align))
{
	size_t size = ALIGN_UP(MAX((size_t)(percpu_end - percpu_start), 64UL), 64UL);
	unsigned n = machine.nr_cpus;
	struct cpu **all = alloc(n * sizeof(struct cpu *), 64);
	char *data = alloc(n * size, 64);

	all[0] = &boot_cpu;
	cpu_fill(&boot_cpu, 0, data, NULL);
	for (unsigned i = 1; i < n; i++) {
		all[i] = alloc(sizeof(struct cpu), 64);
		cpu_fill(all[i], i, data + i * size, alloc(OVERFLOW_STACK_SIZE, 16));
	}
	cpus = all;
	nr_cpus = n;
}

void cpu_set_stack(struct cpu *c, uintptr_t lo, uintptr_t hi)
{
	c->first_thread.preempt_depth = 1;
	c->first_thread.name = "boot";
	c->first_thread.stack_lo = lo;
	c->first_thread.stack_hi = hi;
	c->boot_thread = &c->first_thread;
}

void cpus_set_starter(int (*start)(uint64_t mpidr, paddr_t entry, uint64_t context))
{
	starter = start;
}

/* The first C of every CPU but the boot CPU. */
void cpu_secondary_start(void)
{
	struct cpu *c = arch_cpu();

	c->current = (struct thread *)c->boot_thread;
	ASSERT(c->mpidr == arch_mpidr());
	arch_leave_identity_map();
	irq_cpu_init();
	clock_cpu_init();
	if (fault_hits(FAULT_CPU_LATE))
		clock_spin_ns(fault_draw(FAULT_CPU_LATE, 3 * CPU_START_LIMIT_NS / 2));
	cpu_tell_online(c);
	secondary_entry();
	panic("cpu %u has nothing to do", c->id);
}

/* Ask for one CPU. True if the firmware took it. */
static bool start_one(struct cpu *c)
{
	int err = starter(c->mpidr, arch_secondary_entry(), (uintptr_t)c);

	if (err)
		log_warn("core: cpu %u does not start: error %d", c->id, err);
	return err == 0;
}

static bool wait_online(struct cpu *c, uint64_t limit)
{
	while (!cpu_is_online(c)) {
		if (clock_now_ns() > limit) {
			log_warn("core: cpu %u was started and does not answer", c->id);
			return false;
		}
		arch_spin_hint();
	}
	return true;
}

int cpus_start(void (*secondary_main)(void))
{
	cpumask_t asked = 0;
	unsigned up = 1;

	secondary_entry = secondary_main;
	/* all at once: each takes a while */
	for (unsigned i = 1; i < nr_cpus && starter; i++)
		asked |= start_one(cpus[i]) ? BIT(i) : 0;
	for (unsigned i = 1; i < nr_cpus; i++)
		up += (asked & BIT(i)) && wait_online(cpus[i], clock_now_ns() + CPU_START_LIMIT_NS);
	log_info("core: %u of %u cpus up", up, machine.nr_cpus);
	return up == nr_cpus ? 0 : -ENXIO;
}
