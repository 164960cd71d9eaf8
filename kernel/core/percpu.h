/* SPDX-License-Identifier: MIT */
/* Per-CPU data: TPIDR_EL1 points at struct cpu, and through it everything per CPU is reached, in no other
 * way. Upper floors add their own variables with DEFINE_PER_CPU. */
#ifndef TERN_KERNEL_CORE_PERCPU_H
#define TERN_KERNEL_CORE_PERCPU_H

#include "arch/aarch64/arch.h"
#include "kernel/core/current.h"
#include "kernel/core/lock.h"
#include "kernel/core/panic.h"
#include "kernel/core/perturb.h"
#include "lib/atomic.h"

#define CPU_MAX                                                                                    \
	64 /* the GIC affinity and cpumask_t limit; arrays are sized by cpu_count, not by this */

struct cpu {
	struct cpu *self;	  /* [init] I-CPU-1: equals TPIDR_EL1 */
	unsigned id;		  /* [init] 0 .. cpu_count-1, boot CPU first */
	int irq_depth;		  /* [cpu] > 0 while serving an interrupt */
	uint64_t mpidr;		  /* [init] affinity fields only */
	struct thread *current;	  /* [cpu] equals SP_EL0 at EL1 */
	uint32_t need_resched;	  /* [atomic] set by anyone, cleared by this CPU's scheduler */
	uint32_t online;	  /* [atomic] release-set by the CPU when it can take work */
	uintptr_t percpu_offset;  /* [init] from a variable of the .percpu section to this CPU's */
	uintptr_t overflow_stack; /* [init] top of the stack for kernel stack overflow */
	struct thread_base
		*boot_thread;	     /* [init] what this CPU starts on; becomes its idle thread */
	uint64_t scratch[2];	     /* [cpu] vectors.S: stack-overflow check */
	uint64_t irq_count;	     /* [cpu] interrupts served */
	uintptr_t irq_pc;	     /* [cpu] what the last one interrupted */
	uint64_t irqs_off_since;     /* [cpu] debug images: counter when irqs went off for an irq */
	uint64_t irqs_off_max;	     /* [cpu] longest seen, counter units */
	uintptr_t irqs_off_end;	     /* [cpu] where that span ended */
	struct held_stack spinlocks; /* [cpu] debug images */
	struct thread_base
		first_thread; /* [init] what boot_thread points at, but on the boot CPU */
};

#define CPU_IS(member, off) static_assert(offsetof(struct cpu, member) == (off), #member)
CPU_IS(current, CPU_CURRENT);
CPU_IS(overflow_stack, CPU_OVERFLOW_STACK);
CPU_IS(boot_thread, CPU_BOOT_THREAD);
CPU_IS(scratch, CPU_SCRATCH);
static_assert(offsetof(struct thread_base, stack_lo) == BASE_STACK_LO, "stack_lo");
static_assert(offsetof(struct thread_base, stack_hi) == BASE_STACK_HI, "stack_hi");

/* The boot CPU's: boot.S points TPIDR_EL1 at it before any C. */
extern struct cpu boot_cpu;

/* How many CPUs the machine has and started; set before any secondary runs. */
unsigned cpu_count(void);
/* By number, 0 <= id < cpu_count(). */
struct cpu *cpu_get(unsigned id);
#define for_each_cpu(c)                                                                            \
	for (unsigned cpu_i_##c = 0; cpu_i_##c < cpu_count() && ((c) = cpu_get(cpu_i_##c), 1);     \
	     cpu_i_##c++)

/* This CPU. Context: preemption or interrupts off (asserted in debug images). */
static inline struct cpu *this_cpu(void)
{
	struct cpu *c = arch_cpu();

	DASSERT(c->self == c);
	DASSERT(arch_irqs_off() || current_base()->preempt_depth > 0);
	return c;
}

/* spinlock.c: the rest of preempt_enable() if this CPU has a reschedule due. */
void preempt_enable_due(void);

static inline void preempt_enable(void)
{
	preempt_enable_no_resched();
	/* the count before the look: an interrupt that finds it above 0 leaves the reschedule to us */
	__asm__ __volatile__("" : : : "memory");
	if (unlikely(READ_ONCE(arch_cpu()->need_resched)))
		preempt_enable_due();
}

/* The number of the CPU we run on, good for a hint only: we may have moved. */
static inline unsigned cpu_id_hint(void)
{
	return arch_cpu()->id;
}

static inline bool in_irq(void)
{
	irqflags_t f;
	bool in;

	/* In an interrupt we do not move, so 0 is the truth, whosever it is. */
	if (likely(READ_ONCE(arch_cpu()->irq_depth) == 0))
		return false;
	f = arch_irq_save();
	in = arch_cpu()->irq_depth > 0;
	arch_irq_restore(f);
	return in;
}

/* By the CPU itself, once it can take work; who finds it so sees what it did before. */
static inline void cpu_tell_online(struct cpu *c)
{
	/* pairs with the acquire in cpu_is_online() */
	atomic_publish(&c->online, 1);
}

static inline bool cpu_is_online(const struct cpu *c)
{
	/* pairs with the release in cpu_tell_online() */
	return atomic_load_acquire(&c->online);
}

/* A variable of which each CPU has its own copy, zeroed or as initialised. */
#define DEFINE_PER_CPU(type, name) __section(".percpu") __typeof__(type) name
#define per_cpu_ptr(var, c)	   ((__typeof__(var) *)((c)->percpu_offset + (uintptr_t) & (var)))
#define this_cpu_ptr(var)	   per_cpu_ptr(var, this_cpu())
extern char percpu_start[], percpu_end[]; /* linker.ld: the section's initial image */

/* A set of CPUs by number. */
typedef uint64_t cpumask_t;

/* boot: allocate and fill struct cpu for every CPU of the machine description; boot CPU is 0 and works before, but its
 * DEFINE_PER_CPU variables move here: nothing may point at one earlier. alloc gives zeroed memory that stays. */
void percpu_init(void *(*alloc)(size_t size, size_t align));
/* boot: start all others and wait until each is online. Each has been given a stack
 * by cpu_set_stack(); secondary_main runs there, with irqs off. A CPU that does not start is reported and left out. 0, or -ENXIO if
 * any is missing. */
int cpus_start(void (*secondary_main)(void));
/* drivers/chip/psci.c: how to start a CPU at the physical address entry with context in x0. */
void cpus_set_starter(int (*start)(uint64_t mpidr, paddr_t entry, uint64_t context));
/* boot: the stack on which a CPU other than the boot CPU starts; its idle thread keeps it. */
void cpu_set_stack(struct cpu *c, uintptr_t lo, uintptr_t hi);

#endif
