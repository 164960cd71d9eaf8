/* SPDX-License-Identifier: MIT */
/* Sleeping locks, owned by a thread, checked by rank like spinlocks. No mutex is held across a wait for a peer, a
 * user or a device: drop it, wait, retake it (wait_event_mutex). */
#ifndef TERN_SCHED_MUTEX_H
#define TERN_SCHED_MUTEX_H

#include "kernel/core/lock.h"
#include "sched/wait.h"

struct __capability("mutex") mutex
{
	struct thread *owner; /* [atomic] NULL when free */
	uint16_t cls;	      /* [init] */
	struct waitq waiters;
};

void mutex_init(struct mutex *m, enum lock_class cls);
#define MUTEX_INIT(name, cls_name)                                                                 \
	{                                                                                          \
		NULL, LOCK_##cls_name, WAITQ_INIT((name).waiters)                                  \
	}

/* Context: thread, may sleep; no spinlock held. */
void mutex_lock(struct mutex *m) __acquires(*m);
void mutex_unlock(struct mutex *m) __releases(*m);
bool mutex_trylock(struct mutex *m) __try_acquires(true, *m) __must_check;
bool mutex_held(const struct mutex *m);
void assert_mutex_held(const struct mutex *m) __asserts_held(*m);
/* One more of a class of which one is held: the caller has an order of his own that knows no circle. */
void mutex_lock_nested(struct mutex *m) __acquires(*m);
/* Two of one class by address. */
void mutex_lock_pair(struct mutex *a, struct mutex *b) __acquires(*a, *b);

#endif
