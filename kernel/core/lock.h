/* SPDX-License-Identifier: MIT */
/* Lock classes and what a checker remembers of each lock held. The classes and their ranks are in
 * lock_ranks.def; debug images check every acquire against everything held (docs/04-locks.md). */
#ifndef TERN_KERNEL_CORE_LOCK_H
#define TERN_KERNEL_CORE_LOCK_H

#include "lib/annotate.h"
#include "lib/types.h"

enum lock_class {
#define LOCK_CLASS(name, kind, irq, floor, protects) LOCK_##name,
#include "kernel/core/lock_ranks.def"
#undef LOCK_CLASS
	LOCK_CLASSES,
};

/* One lock held, as the checker remembers it. */
struct held_lock {
	const void *lock;
	enum lock_class cls;
	bool tried;			/* taken by trylock: recorded, not ordered */
	void (*drop)(const void *lock); /* lets it go, in a test; NULL: a spinlock */
	uintptr_t pc;			/* who took it */
	uint64_t since;			/* the counter then */
};

#define HELD_MAX 16

/* The locks held by a CPU (spinlocks) or a thread (mutexes), in the order taken. */
struct held_stack {
	unsigned n;
	struct held_lock at[HELD_MAX];
};

const char *lock_class_name(enum lock_class cls);

/* The checker, called by spinlock.c and sched/mutex.c; nothing in the release image. tried: by trylock, recorded but
 * not ordered; pair: the second of two locks of one class taken by address (or by CPU number). */
#ifdef DEBUG
#define LOCKS_KNOWN true
void lock_check_acquire(const void *lock, enum lock_class cls, bool mutex, bool pair, uintptr_t pc);
/* The part of it that holds for trylock too: may a lock of this class be taken here at all? */
void lock_check_context(enum lock_class cls, bool mutex, uintptr_t pc);
void lock_check_acquired(const void *lock, enum lock_class cls, bool mutex, bool tried,
			 uintptr_t pc);
void lock_check_release(const void *lock, enum lock_class cls, bool mutex);
/* Where a class has been taken so far: "irq" in interrupts, "on" with them on, "off" neither. */
const char *lock_seen_in(enum lock_class cls);
/* What was taken last is not let go as a spinlock is. */
void lock_check_drop_by(void (*drop)(const void *lock));
/* No lock at all may be held: before a return to user mode, and where a thread exits. */
void lock_check_none_held(const char *where);
/* Sleeping is forbidden here if a spinlock is held, preemption is off or an interrupt is being served. */
void lock_check_may_sleep(const char *where);
/* Up to room of the mutexes that a thread holds; how many it holds. Of a thread that runs it is a guess. */
struct thread_base;
unsigned lock_held_by(const struct thread_base *t, struct held_lock *out, unsigned room);
/* Print what each CPU and the current thread hold. Any context, panic included. */
void lock_dump_held(void);
/* Tests only: let go of what was taken since the stacks had these sizes; a mutex is forgotten, not unlocked. */
void lock_drop_above(unsigned spinlocks, unsigned mutexes);
#else
#define LOCKS_KNOWN false
static inline void lock_check_acquire(const void *lock, enum lock_class cls, bool mutex, bool pair,
				      uintptr_t pc)
{
}
static inline void lock_check_context(enum lock_class cls, bool mutex, uintptr_t pc)
{
}
static inline void lock_check_acquired(const void *lock, enum lock_class cls, bool mutex,
				       bool tried, uintptr_t pc)
{
}
static inline void lock_check_drop_by(void (*drop)(const void *lock))
{
}
static inline void lock_check_release(const void *lock, enum lock_class cls, bool mutex)
{
}
static inline void lock_check_none_held(const char *where)
{
}
static inline void lock_dump_held(void)
{
}
struct thread_base;
static inline unsigned lock_held_by(const struct thread_base *t, struct held_lock *out,
				    unsigned room)
{
	return 0;
}
#endif

#endif
