/* SPDX-License-Identifier: MIT */
/* The order in which locks of one class were seen taken, where a class lets two be held: lock by lock, debug images. */
#ifndef TERN_KERNEL_CORE_LOCK_ORDER_H
#define TERN_KERNEL_CORE_LOCK_ORDER_H

#include "kernel/core/lock.h"

/* A lock is about to be waited for with h, of the same class, held. A BUG if the locks seen taken after it lead to h: the
 * two orders together are a deadlock, whoever comes first. Forget: the lock begins anew, or its place among the others does.
 * Context: any. */
#ifdef DEBUG
void lock_order_add(const struct held_lock *h, const void *lock, uintptr_t pc);
void lock_order_forget(const void *lock);
#else
static inline void lock_order_forget(const void *lock)
{
}
#endif

#endif
