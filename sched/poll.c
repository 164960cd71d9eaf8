/* SPDX-License-Identifier: MIT */
/* Readiness: who watches a source is on its list; a notification moves the watch onto its poller's ready list and
 * wakes the poller. Locks: POLLSRC, then READY, then WAITQ. fired is a hint: the poller asks the object itself. */
#include "sched/poll.h"
#include "kernel/core/kcsan.h"
#include "kernel/core/panic.h"
#include "lib/atomic.h"

void poll_source_init(struct poll_source *s)
{
	spin_init(&s->lock, LOCK_POLLSRC);
	list_init(&s->watchers);
	waitq_init(&s->wq);
}

/* Watchers notified with interrupts off at a stretch. */
#define NOTIFY_BATCH 32

/* True if that woke somebody. A poller that is itself watched goes on the list *ups, once. */
static bool watch_fire(struct poll_watch *w, uint32_t events, struct poller **ups)
{
	struct poller *p = w->poller;
	irqflags_t f = spin_lock_irqsave(&p->lock);

	w->fired |= events;
	if (!list_linked(&w->ready_link))
		list_push_back(&w->ready_link, &p->ready);
	if (p->up && !p->up_pending) {
		p->up_pending = true;
		p->notifiers++;
		p->up_next = *ups;
		*ups = p;
	}
	spin_unlock_irqrestore(&p->lock, f);
	return waitq_wake(&p->wq, 1) > 0;
}

static void fire_watchers(struct poll_source *s, uint32_t events, struct poller **ups)
{
	irqflags_t f = spin_lock_irqsave(&s->lock);
	struct poll_watch *w, place;
	bool served = false;
	unsigned n = 0;

	place.events = 0;
	list_for_each (w, &s->watchers, src_link) {
		uint32_t hit = events & w->events;

		if (hit && !(served && (w->events & POLL_EXCLUSIVE)))
			served |= watch_fire(w, hit, ups) && (w->events & POLL_EXCLUSIVE);
		if (++n % NOTIFY_BATCH)
			continue;
		/* let interrupts in; a watch of nobody keeps our place */
		list_insert_between(&place.src_link, &w->src_link, w->src_link.next);
		spin_unlock_irqrestore(&s->lock, f);
		f = spin_lock_irqsave(&s->lock);
		w = list_entry(place.src_link.prev, struct poll_watch, src_link);
		list_del(&place.src_link);
	}
	spin_unlock_irqrestore(&s->lock, f);
}

static void notify_watchers(struct poll_source *s, uint32_t events, struct poller **ups)
{
	/* The change of state before the look at the list: pairs with the fence in poll_watch_add(). */
	atomic_fence();
	if (READ_ONCE(s->watchers.next) != &s->watchers)
		fire_watchers(s, events, ups);
	wake_all(&s->wq);
}

/* Pollers that are watched, and those that watch these: a chain of bounded length without a loop, which fs/epoll.c sees
 * to. Each is notified with no lock held, for all are of one class. */
static void notify_up(struct poller *ups)
{
	while (ups) {
		struct poller *p = ups;
		irqflags_t f;

		ups = p->up_next;
		f = spin_lock_irqsave(&p->lock);
		p->up_pending = false;
		spin_unlock_irqrestore(&p->lock, f);
		notify_watchers(p->up, POLL_IN, &ups);
		f = spin_lock_irqsave(&p->lock);
		if (--p->notifiers == 0)
			wake_all(&p->wq);
		spin_unlock_irqrestore(&p->lock, f);
	}
}

void poll_notify(struct poll_source *s, uint32_t events)
{
	struct poller *ups = NULL;

	notify_watchers(s, events, &ups);
	notify_up(ups);
}

void poller_init(struct poller *p)
{
	spin_init(&p->lock, LOCK_READY);
	list_init(&p->ready);
	waitq_init(&p->wq);
	p->up = NULL;
	p->up_pending = false;
	p->notifiers = 0;
}

void poll_watch_add(struct poller *p, struct poll_watch *w, struct poll_source *s, uint32_t events,
		    void *cookie)
{
	irqflags_t f;

	events |= POLL_ERR | POLL_HUP;
	*w = (struct poll_watch){ .src = s, .poller = p, .events = events, .cookie = cookie };
	list_init(&w->src_link);
	list_init(&w->ready_link);
	if (!s)
		return;
	f = spin_lock_irqsave(&s->lock);
	list_push_back(&w->src_link, &s->watchers);
	spin_unlock_irqrestore(&s->lock, f);
	/* Watching before the owner checks the object: pairs with the fence in notify_watchers(). */
	atomic_fence();
}

static void set_interest(struct poll_watch *w, uint32_t events)
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

void poll_watch_set(struct poll_watch *w, uint32_t events)
{
	set_interest(w, events | POLL_ERR | POLL_HUP);
}

void poll_watch_disarm(struct poll_watch *w)
{
	set_interest(w, 0);
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
	poll_watch_take(w);
}

/* Of w on the list nothing is looked at but what its owner wrote; a notifier may be about to link the first. */
struct poll_watch *poller_first(struct poller *p)
{
	struct list_head *first = READ_ONCE(p->ready.next);

	return first == &p->ready ? NULL : list_entry(first, struct poll_watch, ready_link);
}

void poll_watch_take(struct poll_watch *w)
{
	irqflags_t f = spin_lock_irqsave(&w->poller->lock);

	list_del(&w->ready_link);
	w->fired = 0;
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

bool poller_ready(struct poller *p)
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
	struct poller *ups = NULL;

	(void)watch_fire(w, events, &ups);
	notify_up(ups);
}

void poll_watch_requeue(struct poll_watch *w)
{
	irqflags_t f;

	/* who fires another meanwhile puts it behind this one, or before: nobody asked for an order of the two */
	if (data_race(READ_ONCE(w->poller->ready.prev)) == &w->ready_link)
		return;
	f = spin_lock_irqsave(&w->poller->lock);
	list_del(&w->ready_link);
	list_push_back(&w->ready_link, &w->poller->ready);
	spin_unlock_irqrestore(&w->poller->lock, f);
}

static bool poller_idle(struct poller *p)
{
	irqflags_t f = spin_lock_irqsave(&p->lock);
	bool idle = p->notifiers == 0;

	spin_unlock_irqrestore(&p->lock, f);
	return idle;
}

void poller_quiesce(struct poller *p)
{
	wait_event(&p->wq, poller_idle(p));
	waitq_check_idle(&p->wq);
}

void poll_source_check_idle(struct poll_source *s)
{
	if (!list_empty(&s->watchers))
		BUG("poll source %p goes away while it is watched", (void *)s);
	waitq_check_idle(&s->wq);
}
