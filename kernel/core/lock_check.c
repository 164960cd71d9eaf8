/* SPDX-License-Identifier: MIT */
/* The lock checker, of debug images: what is held, and whether one more may be taken. A spinlock is held by a CPU, a
 * mutex by a thread. */
#include "kernel/core/lock.h"

#include "kernel/core/lock_order.h"
#include "kernel/core/lock_stat.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/spinlock.h"
#include "lib/atomic.h"

enum lock_kind { MUTEX, SPIN };
enum lock_irq { NOIRQ, IRQ };

static const struct {
	enum lock_kind kind;
	enum lock_irq irq;
} classes[LOCK_CLASSES] = {
#define LOCK_CLASS(name, kind, irq, floor, protects) [LOCK_##name] = { kind, irq },
#include "kernel/core/lock_ranks.def"
#undef LOCK_CLASS
};

static_assert(LOCK_CLASSES <= 64, "a bit each in locks_taken");

static void dump_stack(const struct held_stack *s, const char *kind, unsigned id)
{
	for (unsigned i = 0; i < MIN(s->n, (unsigned)HELD_MAX); i++) {
		size_t offset;
		const char *name = symbol_of(s->at[i].pc, &offset);

		log_warn("core: %s %u holds %s %p taken at %lx %s+0x%zx", kind, id,
			 lock_class_name(s->at[i].cls), s->at[i].lock, s->at[i].pc, name, offset);
	}
}

/* Of the other CPUs it is a look without their leave: they have been stopped, or it is a guess. */
void lock_dump_held(void)
{
	struct cpu *c;

	for_each_cpu (c)
		dump_stack(&c->spinlocks, "cpu", c->id);
	dump_stack(&current_base()->mutexes, "thread", (unsigned)current_base()->id);
}

unsigned lock_held_by(const struct thread_base *t, struct held_lock *out, unsigned room)
{
	unsigned n = MIN(READ_ONCE(t->mutexes.n), (unsigned)HELD_MAX);

	for (unsigned i = 0; i < MIN(n, room); i++)
		out[i] = t->mutexes.at[i];
	return n;
}

void lock_drop_above(unsigned spinlocks, unsigned mutexes)
{
	struct held_stack *s = &arch_cpu()->spinlocks;

	while (s->n > spinlocks) {
		const struct held_lock *h = &s->at[--s->n];

		if (h->drop)
			h->drop(h->lock);
		else
			spin_release((spinlock_t *)(uintptr_t)h->lock);
	}
	current_base()->mutexes.n = MIN(current_base()->mutexes.n, mutexes);
}

/* May cls be taken while h is held? */
static void check_order(const struct held_lock *h, const void *lock, enum lock_class cls, bool pair,
			uintptr_t pc)
{
	if (h->lock == lock)
		BUG("lock: %s taken twice, first at %lx", lock_class_name(cls), h->pc);
	if (cls > h->cls)
		return;
	if (cls == h->cls && pair) {
		lock_order_add(h, lock, pc);
		return;
	}
	BUG("lock: %s taken while holding %s taken at %lx", lock_class_name(cls),
	    lock_class_name(h->cls), h->pc);
}

/* Where each class was first taken in an interrupt, and where with interrupts on. I-LOCK-2: one of the two is 0. */
static uintptr_t taken_in_irq[LOCK_CLASSES];  /* [atomic] */
static uintptr_t taken_irqs_on[LOCK_CLASSES]; /* [atomic] */

/* As it is taken, and as it was seen taken; what the table of classes says of it holds too before anything was seen. */
static void check_irq_state(enum lock_class cls, uintptr_t pc)
{
	const char *name = lock_class_name(cls);
	bool irq = in_irq();
	uintptr_t *mine = irq ? &taken_in_irq[cls] : &taken_irqs_on[cls];
	uintptr_t other = irq ? READ_ONCE(taken_irqs_on[cls]) : READ_ONCE(taken_in_irq[cls]);

	if (!irq && arch_irqs_off())
		return;
	if (other && irq)
		BUG("lock: %s taken in interrupt context, and with interrupts on at %lx", name,
		    other);
	if (other)
		BUG("lock: %s taken with interrupts on, and in an interrupt at %lx", name, other);
	if (irq && classes[cls].irq == NOIRQ)
		BUG("lock: %s taken in interrupt context", name);
	if (!irq && classes[cls].irq == IRQ)
		BUG("lock: %s taken with interrupts on", name);
	if (!READ_ONCE(*mine))
		WRITE_ONCE(*mine, pc);
}

const char *lock_seen_in(enum lock_class cls)
{
	return READ_ONCE(taken_in_irq[cls]) ? "irq" : READ_ONCE(taken_irqs_on[cls]) ? "on" : "off";
}

void lock_check_context(enum lock_class cls, bool mutex, uintptr_t pc)
{
	ASSERT(cls < LOCK_CLASSES);
	if ((classes[cls].kind == MUTEX) != mutex)
		BUG("lock: class %s is of the other kind", lock_class_name(cls));
	check_irq_state(cls, pc);
}

void lock_check_acquire(const void *lock, enum lock_class cls, bool mutex, bool pair, uintptr_t pc)
{
	const struct held_stack *mutexes = &current_base()->mutexes;
	irqflags_t f;

	lock_check_context(cls, mutex, pc);
	if (mutex)
		lock_check_may_sleep("taking a mutex");
	for (unsigned i = 0; i < mutexes->n; i++)
		check_order(&mutexes->at[i], lock, cls, pair, pc);
	/* irqs off: stay on this CPU while looking; a BUG ends the test or the machine anyway */
	f = arch_irq_save();
	for (unsigned i = 0; i < arch_cpu()->spinlocks.n; i++)
		check_order(&arch_cpu()->spinlocks.at[i], lock, cls, pair, pc);
	arch_irq_restore(f);
}

void lock_check_acquired(const void *lock, enum lock_class cls, bool mutex, bool tried,
			 uintptr_t pc)
{
	/* irqs off: an interrupt pushes and pops on the same stack */
	irqflags_t f = arch_irq_save();
	struct held_stack *s = mutex ? &current_base()->mutexes : &arch_cpu()->spinlocks;

	if (s->n == HELD_MAX)
		BUG("lock: more than %d held", HELD_MAX);
	s->at[s->n] = (struct held_lock){ lock, cls, tried, NULL, pc, 0 };
	lock_stat_taken(&s->at[s->n]);
	s->n++;
	if (!in_irq())
		current_base()->locks_taken |= BIT(cls);
	arch_irq_restore(f);
}

void lock_check_drop_by(void (*drop)(const void *lock))
{
	irqflags_t f = arch_irq_save();
	struct held_stack *s = &arch_cpu()->spinlocks;

	s->at[s->n - 1].drop = drop;
	arch_irq_restore(f);
}

void lock_check_release(const void *lock, enum lock_class cls, bool mutex)
{
	irqflags_t f = arch_irq_save();
	struct held_stack *s = mutex ? &current_base()->mutexes : &arch_cpu()->spinlocks;
	unsigned i = s->n;

	while (i > 0 && s->at[i - 1].lock != lock)
		i--;
	if (i == 0)
		BUG("lock: %s released by somebody who does not hold it", lock_class_name(cls));
	lock_stat_let_go(&s->at[i - 1]);
	for (; i < s->n; i++)
		s->at[i - 1] = s->at[i];
	s->n--;
	arch_irq_restore(f);
}

void lock_check_none_held(const char *where)
{
	irqflags_t f = arch_irq_save();
	unsigned spins = arch_cpu()->spinlocks.n;
	const struct held_stack *m = &current_base()->mutexes;

	if (spins)
		BUG("lock: %s held: %s", lock_class_name(arch_cpu()->spinlocks.at[spins - 1].cls),
		    where);
	if (m->n)
		BUG("lock: %s held: %s", lock_class_name(m->at[m->n - 1].cls), where);
	arch_irq_restore(f);
}

void lock_check_may_sleep(const char *where)
{
	irqflags_t f = arch_irq_save();
	const struct cpu *c = arch_cpu();

	if (c->irq_depth)
		BUG("sleep in interrupt context: %s", where);
	if (c->spinlocks.n)
		BUG("sleep while holding %s: %s",
		    lock_class_name(c->spinlocks.at[c->spinlocks.n - 1].cls), where);
	if (current_base()->preempt_depth)
		BUG("sleep with preemption off: %s", where);
	arch_irq_restore(f);
}

void might_sleep(void)
{
	if (arch_irqs_off())
		BUG("sleep with interrupts off");
	lock_check_may_sleep("might_sleep");
}

void assert_irqs_off(void)
{
	ASSERT(arch_irqs_off());
}
