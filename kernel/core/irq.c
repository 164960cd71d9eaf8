/* SPDX-License-Identifier: MIT */
/* Interrupt dispatch, and calls from one CPU to the others. */
#include "kernel/core/irq.h"

#include "arch/aarch64/arch.h"
#include "kernel/core/cpu_trace.h"
#include "kernel/core/fault.h"
#include "kernel/core/irqs_off.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "kernel/core/random.h"
#include "kernel/core/clock.h"
#include "kernel/core/trace.h"
#include "lib/atomic.h"
#include "lib/errno.h"

/* What the architecture of the GIC can number: SGIs, PPIs and SPIs. */
#define IRQ_LIMIT  1020
#define SPI_FIRST  32
#define DAIF_I	   0x80
#define STOP_LIMIT (10 * NS_PER_MS)

struct irq_line {
	irq_handler_t fn; /* [atomic] released after arg; NULL: nobody's */
	void *arg;	  /* [init] */
	const char *name; /* [init] */
	uint32_t count;	  /* [atomic] statistics */
	uint32_t trigger; /* [init] */
};

static struct irq_line lines[IRQ_LIMIT];
static const struct irq_chip *chip; /* [init] */
static uint32_t unexpected;	    /* [atomic] interrupts nobody registered for */

void irq_set_chip(const struct irq_chip *c)
{
	ASSERT(c->nr_irqs <= IRQ_LIMIT);
	chip = c;
}

const struct irq_chip *irq_chip(void)
{
	return chip;
}

int irq_register(unsigned irq, enum irq_trigger trigger, irq_handler_t fn, void *arg,
		 const char *name)
{
	struct irq_line *l;

	if (!chip || irq >= chip->nr_irqs)
		return -EINVAL;
	l = &lines[irq];
	if (READ_ONCE(l->fn))
		return -EBUSY;
	l->arg = arg;
	l->name = name;
	l->trigger = trigger;
	/* Pairs with the acquire in trap_irq(). */
	atomic_publish(&l->fn, fn);
	chip->enable(irq, trigger);
	return 0;
}

/* Of a device: as if its line were shared. */
static void run_all(void)
{
	for (unsigned i = SPI_FIRST; i < chip->nr_irqs; i++) {
		irq_handler_t fn = atomic_load_acquire(&lines[i].fn);

		if (fn)
			fn(lines[i].arg);
	}
}

static void dispatch(int irq)
{
	struct irq_line *l = &lines[irq];
	irq_handler_t fn = atomic_load_acquire(&l->fn);

	if (!fn) {
		/* enabled by nobody here: a leftover of the firmware */
		atomic_add_relaxed(&unexpected, 1);
		chip->disable((unsigned)irq);
		return;
	}
	atomic_add_relaxed(&l->count, 1);
	if (irq < SPI_FIRST) {
		fn(l->arg);
		return;
	}
	if (fault_hits(FAULT_IRQ_LOST))
		return;
	fn(l->arg);
	if (fault_hits(FAULT_IRQ_SPURIOUS))
		fn(l->arg);
	if (fault_hits(FAULT_IRQ_SHARED))
		run_all();
}

static __noinline void dispatch_traced(int irq)
{
	trace_event(TRACE_IRQ_IN, (uint64_t)irq, 0);
	dispatch(irq);
	trace_event(TRACE_IRQ_OUT, (uint64_t)irq, 0);
}

/* Interrupts stay off until the return; a spurious one is dropped without an end-of-interrupt. */
void trap_irq(struct trap_frame *f)
{
	struct cpu *c = arch_cpu();
	uint32_t token;
	int irq;

	irqs_off_begin(f->spsr);
	WRITE_ONCE(c->irq_depth, c->irq_depth + 1);
	WRITE_ONCE(c->irq_pc, f->elr);
	irq = chip->ack(&token);
	if (irq >= 0) {
		WRITE_ONCE(c->irq_count, c->irq_count + 1);
		if (trace_on(TRACE_IRQ_IN))
			dispatch_traced(irq);
		else
			dispatch(irq);
		chip->eoi(token);
		if (irq >= SPI_FIRST)
			random_add_interrupt((unsigned)irq);
	}
	WRITE_ONCE(c->irq_depth, c->irq_depth - 1);
	if (frame_from_user(f)) {
		irqs_off_end(0, (uintptr_t)trap_irq);
		return;
	}
	perturb(PERTURB_IRQ_RETURN);
	if (!(f->spsr & DAIF_I) && current_base()->preempt_depth == 0 && c->irq_depth == 0 &&
	    READ_ONCE(c->need_resched)) {
		irqs_off_end(0, (uintptr_t)trap_irq);
		trap_preempt();
		return;
	}
	irqs_off_end(f->spsr, (uintptr_t)trap_irq);
}

void irq_send_resched(unsigned cpu)
{
	chip->send_sgi(SGI_RESCHED, cpu);
}

void irq_send_trace(unsigned cpu)
{
	chip->send_sgi(SGI_TRACE, cpu);
}

/* --- calls to all others -------------------------------------------------------------------------------- */

static struct {
	uint32_t busy;	      /* [atomic] one call at a time */
	void (*fn)(void *);   /* [busy] */
	void *arg;	      /* [busy] */
	uint32_t outstanding; /* [atomic] CPUs that have not finished */
} call;

void cpus_call(void (*fn)(void *), void *arg)
{
	struct cpu *c;

	DASSERT(!arch_irqs_off());
	preempt_disable();
	/* irqs are on: while another CPU calls, we answer it */
	while (READ_ONCE(call.busy) || atomic_exchange(&call.busy, 1))
		arch_spin_hint();
	call.fn = fn;
	call.arg = arg;
	for_each_cpu (c) {
		if (c == this_cpu() || !READ_ONCE(c->online))
			continue;
		atomic_fetch_add(&call.outstanding, 1);
		chip->send_sgi(SGI_CALL, c->id);
	}
	/* Pairs with the release in answer_call(): what fn did there is seen here. */
	while (atomic_load_acquire(&call.outstanding))
		arch_spin_hint();
	atomic_publish(&call.busy, 0);
	preempt_enable();
}

static void answer_call(void *unused)
{
	call.fn(call.arg);
	__atomic_fetch_sub(&call.outstanding, 1, __ATOMIC_RELEASE);
}

static void answer_resched(void *unused)
{
	/* the return from this interrupt looks at need_resched */
}

static uint64_t stopped; /* [atomic] CPUs that answered SGI_STOP */

static void answer_stop(void *unused)
{
	atomic_fetch_or(&stopped, BIT(arch_cpu()->id));
	for (;;)
		arch_wait_for_interrupt();
}

void irq_stop_others(void)
{
	uint64_t limit = clock_now_ns() + STOP_LIMIT;
	uint64_t want = 0;
	struct cpu *c;

	if (!chip)
		return;
	for_each_cpu (c) {
		if (c == arch_cpu() || !READ_ONCE(c->online))
			continue;
		want |= BIT(c->id);
		chip->send_sgi(SGI_STOP, c->id);
	}
	/* one that has interrupts off does not answer: go on without */
	while ((READ_ONCE(stopped) & want) != want && clock_now_ns() < limit)
		arch_spin_hint();
}

static const struct {
	irq_handler_t fn;
	const char *name;
} sgis[] = {
	[SGI_RESCHED] = { answer_resched, "resched" },
	[SGI_CALL] = { answer_call, "call" },
	[SGI_STOP] = { answer_stop, "stop" },
	[SGI_TRACE] = { cpu_trace_answer, "trace" },
};

void irq_init(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sgis); i++) {
		lines[i].name = sgis[i].name;
		lines[i].trigger = IRQ_EDGE;
		atomic_store_release(&lines[i].fn, sgis[i].fn);
	}
}

void irq_cpu_init(void)
{
	chip->cpu_init();
	for (unsigned i = 0; i < SPI_FIRST; i++) {
		if (READ_ONCE(lines[i].fn))
			chip->enable(i, lines[i].trigger);
	}
}

void irq_for_each(void (*fn)(unsigned irq, const char *name, uint64_t count, void *arg), void *arg)
{
	for (unsigned i = 0; chip && i < chip->nr_irqs; i++) {
		if (atomic_load_acquire(&lines[i].fn))
			fn(i, lines[i].name, READ_ONCE(lines[i].count), arg);
	}
}
