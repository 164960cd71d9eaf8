/* SPDX-License-Identifier: MIT */
/* How often each class of locks is taken, how long it is held and waited for: counted for each CPU by itself, debug images. */
#ifndef TERN_KERNEL_CORE_LOCK_STAT_H
#define TERN_KERNEL_CORE_LOCK_STAT_H

#include "kernel/core/lock.h"

/* What is summed is so many units of the counter, or of ns once lock_stat_get() has it; _at: where the longest was taken. */
struct lock_stat {
	uint64_t count, contended;
	uint64_t hold, hold_max;
	uint64_t wait, wait_max;
	uintptr_t hold_max_at, wait_max_at;
};

/* The first two: irqs off. waited: the lock was not free at once, and has been waited for since `start`; any context. */
#ifdef DEBUG
void lock_stat_taken(struct held_lock *h);
void lock_stat_let_go(const struct held_lock *h);
uint64_t lock_stat_now(void);
void lock_stat_waited(enum lock_class cls, uint64_t start, uintptr_t pc);
/* The sum of all CPUs, each as it is at about this time. */
void lock_stat_get(enum lock_class cls, struct lock_stat *out);
#else
static inline uint64_t lock_stat_now(void)
{
	return 0;
}
static inline void lock_stat_waited(enum lock_class cls, uint64_t start, uintptr_t pc)
{
}
#endif

#endif
