/* SPDX-License-Identifier: MIT */
/* Readiness. Each pollable object has a poll source; a poller watches many sources and sleeps once. The object's
 * state is changed under its own lock, then poll_notify() is called. Order: POLLSRC, READY, WAITQ, never up.
 * poll(), epoll, select and the SSH server all use this. */
#ifndef TERN_SCHED_POLL_H
#define TERN_SCHED_POLL_H

#include "kernel/core/spinlock.h"
#include "lib/list.h"
#include "sched/wait.h"

/* Event bits, the values of Linux's POLL*. */
#define POLL_IN	   0x001u
#define POLL_PRI   0x002u
#define POLL_OUT   0x004u
#define POLL_ERR   0x008u
#define POLL_HUP   0x010u
#define POLL_NVAL  0x020u
#define POLL_RDHUP 0x2000u
/* In a watch's interest: not notified when that has woken somebody for another watch that says so. */
#define POLL_EXCLUSIVE BIT(28)

/* What a program asks for and is told has two more names for ordinary data. */
#define POLL_RDNORM 0x040u
#define POLL_WRNORM 0x100u
static inline uint32_t poll_narrow(uint32_t asked)
{
	asked |= (asked & POLL_RDNORM ? POLL_IN : 0) | (asked & POLL_WRNORM ? POLL_OUT : 0);
	return asked & ~(POLL_RDNORM | POLL_WRNORM);
}

static inline uint32_t poll_widen(uint32_t events)
{
	return events | (events & POLL_IN ? POLL_RDNORM : 0) |
	       (events & POLL_OUT ? POLL_WRNORM : 0);
}

struct poll_source {
	spinlock_t lock;	   /* POLLSRC */
	struct list_head watchers; /* [lock] struct poll_watch */
	struct waitq
		wq; /* also woken by poll_notify(): for blocking reads and writes of the object */
};

#define POLL_SOURCE_INIT(name)                                                                     \
	{                                                                                          \
		SPINLOCK_INIT(POLLSRC), LIST_HEAD_INIT((name).watchers), WAITQ_INIT((name).wq)     \
	}

struct poller {
	spinlock_t lock;	/* READY */
	struct list_head ready; /* [lock] watches notified since last taken */
	struct waitq wq;
	struct poll_source
		*up; /* [init] notified when something here is; NULL: nobody watches the poller */
	struct poller *up_next; /* [the notifier that set up_pending] */
	bool up_pending;	/* [lock] a notifier is about to notify up */
	unsigned notifiers;	/* [lock] notifiers that may still use up */
};

/* One source watched by one poller. Owned by the poller's owner. */
struct poll_watch {
	struct list_head src_link;   /* [src->lock] */
	struct list_head ready_link; /* [poller->lock] */
	struct poll_source *src;     /* [init] */
	struct poller *poller;	     /* [init] */
	uint32_t events;	     /* [src->lock] interest, with ERR and HUP; 0: disarmed */
	uint32_t
		fired; /* [poller->lock] events notified since last taken: a hint, ask the object */
	void *cookie;  /* [init] the owner's */
};

void poll_source_init(struct poll_source *s);
/* Announce events after the state change; wakes watchers interested, and s->wq. Context: any. */
void poll_notify(struct poll_source *s, uint32_t events);

void poller_init(struct poller *p);
/* Start watching; check the object's readiness after this call. Context: any. */
void poll_watch_add(struct poller *p, struct poll_watch *w, struct poll_source *s, uint32_t events,
		    void *cookie);
void poll_watch_set(struct poll_watch *w, uint32_t events);
/* No notification at all until the next poll_watch_set(). */
void poll_watch_disarm(struct poll_watch *w);
/* Returns only when no notifier uses w. */
void poll_watch_remove(struct poll_watch *w);
/* Take the next ready watch (fired copied to *events), or NULL. */
struct poll_watch *poller_next(struct poller *p, uint32_t *events);
/* The same in two steps, where only the caller takes and puts back: the first in line, which stays there; and off it. Who is
 * to sleep for one that is not there asks poller_ready(). */
struct poll_watch *poller_first(struct poller *p);
void poll_watch_take(struct poll_watch *w);
/* Wait until some watch is ready. 0, -ETIMEDOUT, -EINTR, -ERESTARTSYS. Context: thread. */
int poller_wait(struct poller *p, enum wait_mode mode, uint64_t deadline_ns) __must_check;
/* Mark w ready itself (first check found it ready). */
void poll_watch_kick(struct poll_watch *w, uint32_t events);
/* A watch that is still ready becomes the last in line, whether it was taken or not; nobody is woken. */
void poll_watch_requeue(struct poll_watch *w);
/* Something is ready: for those who leave it to another thread. */
bool poller_ready(struct poller *p);
/* Wait until no notifier uses p->up any more; all of p's watches have been removed. */
void poller_quiesce(struct poller *p);

/* The source is going away (its object is being destroyed): no watcher may be left. */
void poll_source_check_idle(struct poll_source *s);

#endif
