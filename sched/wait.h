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
	spinlock_t lock;  /* WAITQ */
	uint32_t magic;	  /* [init] REL-008 */
	uint32_t pausing; /* [lock] wakers that let interrupts in and come back: I-WAIT-2 */
	struct list_head
		sleepers; /* [lock] struct wait_entry, in the order of coming but for who has been looked at */
};

#define WAITQ_INIT(name)                                                                           \
	{                                                                                          \
		SPINLOCK_INIT(WAITQ), WAITQ_MAGIC, 0, LIST_HEAD_INIT((name).sleepers)              \
	}

/* What may end the wait besides a wake-up. */
enum wait_mode {
	WAIT_BOUNDED, /* nothing: its deadline is what something outside may take, and somebody then sees to it */
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

/* The memory of wq is about to go. A BUG if somebody sleeps there, or a waker is to come back: I-WAIT-2. */
static inline void waitq_check_idle(const struct waitq *wq)
{
	if (!list_empty(&wq->sleepers) || READ_ONCE(wq->pausing))
		BUG("wait queue %p goes away in use", (const void *)wq);
}

/* Wake the oldest n sleepers that are still asleep (0: all that sleep as it begins). Call after the state change.
 * I-WAIT-2: the queue outlives the call, unless it never has but one sleeper: then the sleeper may free it when it has been
 * woken, for the call's last touch is to release the lock, which the sleeper takes before it leaves.
 * Who counts as woken may just have found its condition true by itself: where several wait for one of several things, whoever
 * has taken one wakes another if there is more (mutex_unlock() and epoll_wait() do).
 * Context: any; interrupts are let in now and then, if they were on. Locks: takes WAITQ, THREAD, RUNQ; the caller holds
 * none of these. Returns how many were woken. */
unsigned waitq_wake(struct waitq *wq, unsigned n);
#define wake_one(wq) ((void)waitq_wake((wq), 1))
#define wake_all(wq) ((void)waitq_wake((wq), 0))
/* Is anybody linked? Who is not seen here tests its condition after the caller's change of state: the fence between that and
 * the look pairs with the one in wait_prepare(). */
static inline bool waitq_has_sleepers(struct waitq *wq)
{
	atomic_fence();
	return READ_ONCE(wq->sleepers.next) != &wq->sleepers;
}

/* The pieces of the macros below. Context: thread, may sleep. */
void wait_prepare(struct waitq *wq, struct wait_entry *e, enum wait_mode mode); /* link, BLOCKED */
/* Switch away unless already woken or notified in a way that ends this mode. 0; -ETIMEDOUT; -EINTR (KILLABLE, or
 * killed) or -ERESTARTSYS (INTERRUPTIBLE). */
int wait_sleep(struct wait_entry *e, enum wait_mode mode, uint64_t deadline_ns);
void wait_finish(struct wait_entry *e); /* unlink, RUNNING */

/* Wait until cond is true. After a wake-up it is tested before the entry is linked again: mostly what was waited for has
 * come. Value: 0 with cond true; -ETIMEDOUT; -EINTR; -ERESTARTSYS.
 * Context: thread, may sleep; no lock held but, for _mutex, m (dropped while asleep, held on return). */
#define wait_loop(wq, cond, mode, deadline_ns, before_sleep, after_sleep)                          \
	({                                                                                         \
		int wait_ret = 0;                                                                  \
		bool wait_done;                                                                    \
		struct wait_entry wait_e;                                                          \
		do {                                                                               \
			wait_prepare((wq), &wait_e, (mode));                                       \
			wait_done = (cond);                                                        \
			if (wait_done) {                                                           \
				wait_finish(&wait_e);                                              \
				break;                                                             \
			}                                                                          \
			before_sleep;                                                              \
			wait_ret = wait_sleep(&wait_e, (mode), (deadline_ns));                     \
			wait_finish(&wait_e);                                                      \
			after_sleep;                                                               \
			wait_done = (cond);                                                        \
		} while (!wait_done && !wait_ret);                                                 \
		wait_done ? 0 : wait_ret;                                                          \
	})
#define wait_event_mode(wq, cond, mode, deadline_ns)                                               \
	wait_loop(wq, cond, mode, deadline_ns, (void)0, (void)0)
#define wait_event(wq, cond)	      ((void)wait_event_mode(wq, cond, WAIT_UNINTERRUPTIBLE, DEADLINE_NEVER))
#define wait_event_killable(wq, cond) wait_event_mode(wq, cond, WAIT_KILLABLE, DEADLINE_NEVER)
#define wait_event_interruptible(wq, cond)                                                         \
	wait_event_mode(wq, cond, WAIT_INTERRUPTIBLE, DEADLINE_NEVER)
#define wait_event_mutex(wq, m, cond, mode, deadline_ns)                                           \
	wait_loop(wq, cond, mode, deadline_ns, mutex_unlock(m), mutex_lock(m))

/* Sleep until the deadline. 0 when it has come; -EINTR or -ERESTARTSYS by mode. */
int sleep_until(uint64_t deadline_ns, enum wait_mode mode);

/* If t waits, let it test its condition and work out its deadline anew: what those depend on has changed before, and has no
 * wait queue. Context: any but irq. */
void wait_look_again(struct thread *t);

#endif
