/* SPDX-License-Identifier: MIT */
/* Wait queues: the one way to sleep. The sleeper links its entry and becomes BLOCKED under wq->lock, tests the
 * condition with the lock dropped, and switches only if it is false. A waker changes the state first (under the
 * object's lock), then wakes. Only the sleeper unlinks its entry. I-WAIT-1: a wake-up after the state change is
 * never lost, whatever the interleaving.
 *
 * The condition may take the object's spinlock (rank below WAITQ) but no mutex: for state under a mutex there is
 * wait_event_mutex(). */
#ifndef TERN_SCHED_WAIT_H
#define TERN_SCHED_WAIT_H

#include "kernel/core/clock.h"
#include "kernel/core/panic.h"
#include "kernel/core/spinlock.h"
#include "lib/list.h"

struct thread;
struct mutex;

#define WAITQ_MAGIC 0x57414954u

struct waitq {
	spinlock_t lock;	   /* WAITQ */
	uint32_t magic;		   /* [init] REL-008 */
	struct list_head sleepers; /* [lock] struct wait_entry, oldest first */
};

#define WAITQ_INIT(name)                                                                           \
	{                                                                                          \
		SPINLOCK_INIT(WAITQ), WAITQ_MAGIC, LIST_HEAD_INIT((name).sleepers)                 \
	}

/* What may end the wait besides a wake-up. */
enum wait_mode {
	WAIT_UNINTERRUPTIBLE, /* nothing: bounded waits only */
	WAIT_KILLABLE,	      /* a fatal signal: -EINTR */
	WAIT_INTERRUPTIBLE,   /* any signal not blocked nor ignored: -ERESTARTSYS */
};

struct wait_entry {
	struct list_head link; /* [wq->lock] */
	struct thread *thread; /* [init] NULL: a waker's mark */
	struct waitq *wq;      /* [init] */
};

void waitq_init(struct waitq *wq);

/* Wake the oldest n sleepers that are still asleep (0: all that sleep as it begins). Call after the state change.
 * Context: any; interrupts are let in now and then, if they were on. Locks: takes WAITQ, THREAD, RUNQ; the caller holds
 * none of these. Returns how many were woken. */
unsigned waitq_wake(struct waitq *wq, unsigned n);
#define wake_one(wq) ((void)waitq_wake((wq), 1))
#define wake_all(wq) ((void)waitq_wake((wq), 0))
/* Is anybody linked? Racy: a hint after a full fence. */
bool waitq_has_sleepers(struct waitq *wq);

/* The pieces of the macros below. */
void wait_prepare(struct waitq *wq, struct wait_entry *e, enum wait_mode mode); /* link, BLOCKED */
/* Switch away unless already woken or notified in a way that ends this mode. 0; -ETIMEDOUT; -EINTR (KILLABLE, or
 * killed) or -ERESTARTSYS (INTERRUPTIBLE). */
int wait_sleep(struct wait_entry *e, enum wait_mode mode, uint64_t deadline_ns);
void wait_finish(struct wait_entry *e); /* unlink, RUNNING */

/* Wait until cond is true. After a wake-up it is tested before the entry is linked again: mostly what was waited for has
 * come. Value: 0 with cond true; -ETIMEDOUT; -EINTR; -ERESTARTSYS.
 * Context: thread, may sleep; no lock held but, for _mutex, m (dropped while asleep, held on return). */
#define wait_event_mode(wq, cond, mode, deadline_ns)                                               \
	({                                                                                         \
		int wait_ret = 0;                                                                  \
		bool wait_done, wait_linked = true;                                                \
		struct wait_entry wait_e;                                                          \
		might_sleep();                                                                     \
		wait_prepare((wq), &wait_e, (mode));                                               \
		for (;;) {                                                                         \
			wait_done = (cond);                                                        \
			if (!wait_linked && (wait_done || wait_ret))                               \
				break;                                                             \
			if (!wait_linked) {                                                        \
				wait_prepare((wq), &wait_e, (mode));                               \
				wait_linked = true;                                                \
				continue;                                                          \
			}                                                                          \
			if (!wait_done)                                                            \
				wait_ret = wait_sleep(&wait_e, (mode), (deadline_ns));             \
			wait_finish(&wait_e);                                                      \
			wait_linked = false;                                                       \
			if (wait_done)                                                             \
				break;                                                             \
		}                                                                                  \
		wait_done ? 0 : wait_ret;                                                          \
	})
#define wait_event(wq, cond)	      ((void)wait_event_mode(wq, cond, WAIT_UNINTERRUPTIBLE, DEADLINE_NEVER))
#define wait_event_killable(wq, cond) wait_event_mode(wq, cond, WAIT_KILLABLE, DEADLINE_NEVER)
#define wait_event_interruptible(wq, cond)                                                         \
	wait_event_mode(wq, cond, WAIT_INTERRUPTIBLE, DEADLINE_NEVER)

#define wait_event_mutex(wq, m, cond, mode, deadline_ns)                                           \
	({                                                                                         \
		int wait_ret = 0;                                                                  \
		bool wait_done, wait_linked = true;                                                \
		struct wait_entry wait_e;                                                          \
		wait_prepare((wq), &wait_e, (mode));                                               \
		for (;;) {                                                                         \
			wait_done = (cond);                                                        \
			if (!wait_linked && (wait_done || wait_ret))                               \
				break;                                                             \
			if (!wait_linked) {                                                        \
				wait_prepare((wq), &wait_e, (mode));                               \
				wait_linked = true;                                                \
				continue;                                                          \
			}                                                                          \
			if (wait_done) {                                                           \
				wait_finish(&wait_e);                                              \
				break;                                                             \
			}                                                                          \
			mutex_unlock(m);                                                           \
			wait_ret = wait_sleep(&wait_e, (mode), (deadline_ns));                     \
			wait_finish(&wait_e);                                                      \
			mutex_lock(m);                                                             \
			wait_linked = false;                                                       \
		}                                                                                  \
		wait_done ? 0 : wait_ret;                                                          \
	})

/* Sleep until the deadline. 0 when it has come; -EINTR or -ERESTARTSYS by mode. */
int sleep_until(uint64_t deadline_ns, enum wait_mode mode);

/* If t waits, let it test its condition and work out its deadline anew: what those depend on has changed before, and has no
 * wait queue. Context: any but irq. */
void wait_look_again(struct thread *t);

#endif
