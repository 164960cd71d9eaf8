/* SPDX-License-Identifier: MIT */
/* Readiness: who watches a source is on its list; a notification moves the watch onto its poller's ready list and
 * wakes the poller. Locks: POLLSRC, then READY, then WAITQ. fired is a hint: the poller asks the object itself. */
#include "sched/poll.h"
#include "kernel/core/panic.h"
#include "lib/atomic.h"

void poll_source_init(struct poll_source *s)
{
	spin_init(&s->lock, LOCK_POLLSRC);
	list_init(&s->watchers);
	waitq_init(&s->wq);
}

static void watch_fire(struct poll_watch *w, uint32_t events)
{
	struct poller *p = w->poller;
	irqflags_t f = spin_lock_irqsave(&p->lock);

	w->fired |= events;
	if (!list_linked(&w->ready_link))
		list_push_back(&w->ready_link, &p->ready);
	spin_unlock_irqrestore(&p->lock, f);
	wake_all(&p->wq);
}

void poll_notify(struct poll_source *s, uint32_t events)
{
	irqflags_t f = spin_lock_irqsave(&s->lock);
	struct poll_watch *w;

	list_for_each (w, &s->watchers, src_link) {
		uint32_t hit = events & (w->events | POLL_ERR | POLL_HUP);

		if (hit)
			watch_fire(w, hit);
	}
	spin_unlock_irqrestore(&s->lock, f);
	wake_all(&s->wq);
}

void poller_init(struct poller *p)
{
	spin_init(&p->lock, LOCK_READY);
	list_init(&p->ready);
	waitq_init(&p->wq);
}

void poll_watch_add(struct poller *p, struct poll_watch *w, struct poll_source *s, uint32_t events,
		    void *cookie)
{
	irqflags_t f;

	*w = (struct poll_watch){ .src = s, .poller = p, .events = events, .cookie = cookie };
	list_init(&w->src_link);
	list_init(&w->ready_link);
	if (!s)
		return;
	f = spin_lock_irqsave(&s->lock);
	list_push_back(&w->src_link, &s->watchers);
	spin_unlock_irqrestore(&s->lock, f);
	/* Watching before the owner checks the object: pairs with the lock a notifier takes after its change. */
	atomic_fence();
}

void poll_watch_set(struct poll_watch *w, uint32_t events)
{
	irqflags_t f;

	if (!w->src) {
		w->events = events;
		return;
	}
	f = spin_lock_irqsave(&w->src->lock);
	w->events = events;
	spin_unlock_irqrestore(&w->src->lock, f);
	atomic_fence();
}

void poll_watch_remove(struct poll_watch *w)
{
	irqflags_t f;

	/* A notifier uses w only under the source's lock: once we have had it, none does. */
	if (w->src) {
		f = spin_lock_irqsave(&w->src->lock);
		list_del(&w->src_link);
		spin_unlock_irqrestore(&w->src->lock, f);
	}
	f = spin_lock_irqsave(&w->poller->lock);
	list_del(&w->ready_link);
	spin_unlock_irqrestore(&w->poller->lock, f);
}

struct poll_watch *poller_next(struct poller *p, uint32_t *events)
{
	irqflags_t f = spin_lock_irqsave(&p->lock);
	struct poll_watch *w = list_first_or_null(&p->ready, struct poll_watch, ready_link);

	if (w) {
		list_del(&w->ready_link);
		*events = w->fired;
		w->fired = 0;
	}
	spin_unlock_irqrestore(&p->lock, f);
	return w;
}

static bool poller_ready(struct poller *p)
{
	irqflags_t f = spin_lock_irqsave(&p->lock);
	bool ready = !list_empty(&p->ready);

	spin_unlock_irqrestore(&p->lock, f);
	return ready;
}

int poller_wait(struct poller *p, enum wait_mode mode, uint64_t deadline_ns)
{
	return wait_event_mode(&p->wq, poller_ready(p), mode, deadline_ns);
}

void poll_watch_kick(struct poll_watch *w, uint32_t events)
{
	watch_fire(w, events);
}

void poll_source_check_idle(struct poll_source *s)
{
	if (!list_empty(&s->watchers))
		BUG("poll source %p goes away while it is watched", (void *)s);
	if (waitq_has_sleepers(&s->wq))
		BUG("poll source %p goes away while somebody sleeps on it", (void *)s);
}
