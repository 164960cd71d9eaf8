/* SPDX-License-Identifier: MIT */
/* Spinlocks: test-and-test-and-set with bounded back-off. They belong to a CPU; preemption is off while one is
 * held. A class marked IRQ is taken by the _irqsave form (or _lock with interrupts already off), never
 * otherwise; a class marked NOIRQ never in interrupt context. */
#ifndef TERN_KERNEL_CORE_SPINLOCK_H
#define TERN_KERNEL_CORE_SPINLOCK_H

#include "arch/aarch64/arch.h"
#include "kernel/core/lock.h"

typedef struct __capability("spinlock") spinlock
{
	uint32_t locked; /* [atomic] */
	uint16_t cls;	 /* [init] enum lock_class */
	uint16_t owner;	 /* [atomic] CPU number + 1 while locked, else 0 */
}
spinlock_t;

#define SPINLOCK_INIT(name)                                                                        \
	{                                                                                          \
		0, LOCK_##name, 0                                                                  \
	}

void spin_init(spinlock_t *l, enum lock_class cls);

/* Context: any; see the class. Do not nest two locks of one class but through spin_lock_pair(). */
void spin_lock(spinlock_t *l) __acquires(*l);
void spin_unlock(spinlock_t *l) __releases(*l);
irqflags_t spin_lock_irqsave(spinlock_t *l) __acquires(*l) __must_check;
void spin_unlock_irqrestore(spinlock_t *l, irqflags_t f) __releases(*l);
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
