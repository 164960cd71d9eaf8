/* SPDX-License-Identifier: MIT */
/* Spinlocks: test-and-test-and-set, one hint between two looks. They belong to a CPU; preemption is off while one is
 * held. A class marked IRQ is taken by the _irqsave form (or _lock with interrupts already off), never
 * otherwise; a class marked NOIRQ never in interrupt context. */
#ifndef TERN_KERNEL_CORE_SPINLOCK_H
#define TERN_KERNEL_CORE_SPINLOCK_H

#include "arch/aarch64/arch.h"
#include "kernel/core/lock.h"
#include "kernel/core/percpu.h"
#include "lib/atomic.h"

typedef struct __capability("spinlock") spinlock
{
	uint32_t owner; /* [atomic] the holder's CPU number + 1; 0: free */
	uint16_t cls;	/* [init] enum lock_class */
}
spinlock_t;

#define SPINLOCK_INIT(name)                                                                        \
	{                                                                                          \
		0, LOCK_##name                                                                     \
	}

void spin_init(spinlock_t *l, enum lock_class cls);

/* Inside of spin_lock(), preemption off, and if it was not free. The exchange pairs with the release in spin_release(). */
static inline bool spin_try(spinlock_t *l)
{
	uint32_t none = 0;

	return __atomic_compare_exchange_n(&l->owner, &none, this_cpu()->id + 1, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void spin_take_slowly(spinlock_t *l);

static inline void spin_release(spinlock_t *l)
{
	atomic_store_release(&l->owner, 0);
}

/* Context: any; see the class. Do not nest two locks of one class but through spin_lock_pair(). Debug images check,
 * and have calls; in the release image the four are a handful of instructions where they stand. */
#ifdef DEBUG
void spin_lock(spinlock_t *l) __acquires(*l);
void spin_unlock(spinlock_t *l) __releases(*l);
irqflags_t spin_lock_irqsave(spinlock_t *l) __acquires(*l) __must_check;
void spin_unlock_irqrestore(spinlock_t *l, irqflags_t f) __releases(*l);
#else
static inline void spin_take(spinlock_t *l)
{
	if (unlikely(!spin_try(l)))
		spin_take_slowly(l);
}

static inline void spin_lock(spinlock_t *l) __acquires(*l) __no_lock_check
{
	preempt_disable();
	spin_take(l);
}

static inline void spin_unlock(spinlock_t *l) __releases(*l) __no_lock_check
{
	spin_release(l);
	preempt_enable();
}

static inline irqflags_t spin_lock_irqsave(spinlock_t *l) __acquires(*l) __no_lock_check
{
	irqflags_t f = arch_irq_save();

	preempt_disable();
	spin_take(l);
	return f;
}

static inline void spin_unlock_irqrestore(spinlock_t *l, irqflags_t f)
	__releases(*l) __no_lock_check
{
	spin_release(l);
	arch_irq_restore(f);
	preempt_enable();
}
#endif
/* True if taken. */
bool spin_trylock(spinlock_t *l) __try_acquires(true, *l) __must_check;

/* Two locks of one class, lower address first (run queues have their own order and function). irqs off by the
 * caller if the class is IRQ. */
void spin_lock_pair(spinlock_t *a, spinlock_t *b) __acquires(*a, *b);

/* The one place where a held lock changes hands: across a thread switch the lock stays with the CPU, the code
 * path that releases it is another. Tells the checker; sched/sched.c alone calls it. */
void spin_handoff(spinlock_t *l);

/* Is it held by this CPU? Assertions use it. */
bool spin_held(const spinlock_t *l);
#define assert_held(l) assert_spin_held(l)
void assert_spin_held(const spinlock_t *l) __asserts_held(*l);

#endif
