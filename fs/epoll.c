/* SPDX-License-Identifier: MIT */
/* epoll. An item is a file watched under a number; its watch (sched/poll.h) is moved to the ready list by whoever changes
 * the file. What is on that list is a hint: the file itself is asked when events are collected. A level-triggered item
 * that is ready goes to the end of the list, an edge-triggered one leaves it until it is notified again, a one-shot one is
 * disarmed. Only who holds the epoll's lock takes items off; a notification puts them on at any time.
 *
 * An epoll can be watched like any file: readiness goes up through poller.up. The shape of such a graph changes under
 * EPSHAPE alone, so that ADD can refuse what would become a loop, too deep, or too long to walk: a notification goes
 * every way up, so there are never more than WAYS_MAX of them. What is not about an epoll in an epoll takes no EPSHAPE.
 *
 * An item holds no reference to its file: the file's last file_put() takes it out (epoll_forget()).
 * I-EPOLL-1: an item is in its epoll's tree and on its file's list, or in neither; both under the epoll's lock. While it
 * is, its file is not freed.
 *
 * Locks: EPSHAPE, EPOLL, then EPLINK. Who asks an epoll in an epoll holds both locks, the outer one first: so nobody
 * finds an item off the ready list because another is just asking it, and no item is given twice. There is no loop. */
#include "fs/epoll.h"
#include <linux/eventpoll.h>
#include "fs/inode.h"
#include "kernel/core/lock_order.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "lib/rbtree.h"
#include "mm/phys/slab.h"

/* How many epolls may be above one another, how many ways may lead up from one, and what ADD looks at to make sure. */
enum { NESTING_MAX = 5, WAYS_MAX = 1000, LOOKS_MAX = 100000 };

/* Of an item's events, what is not about its file. */
#define FLAGS (EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE)
/* What may be asked for together with EPOLLEXCLUSIVE. */
#define EXCLUSIVE_MAX                                                                              \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

struct epoll {
	struct mutex lock;	   /* EPOLL */
	struct refcount ref;	   /* its file's, and of those who forget a file */
	struct rb_root items;	   /* [lock] by file, then number */
	struct list_head nested;   /* [EPSHAPE and lock] items whose files are epolls */
	uint64_t look;		   /* [EPSHAPE] the last shape_check() that came by ... */
	int ways_added;		   /* [EPSHAPE] ... and the ways up that it would add */
	uint64_t round;		   /* [lock] how often events have been collected */
	struct poller poller;	   /* its watches: the items' */
	struct poll_source source; /* for those who watch this epoll */
	struct file *file;	   /* [init] no reference */
};

struct item {
	struct poll_watch watch;
	struct rb_node node;	      /* [ep->lock] */
	struct list_head file_link;   /* [EPLINK] in file->watchers */
	struct list_head nested_link; /* [EPSHAPE and ep->lock] */
	uint64_t round;		      /* [ep->lock] in which it was given last */
	struct epoll *ep;	      /* [init] */
	struct file *file;	      /* [init] no reference */
	int fd;			      /* [init] */
	uint32_t events;	      /* [ep->lock] only flags: disarmed */
	uint64_t data;		      /* [ep->lock] */
};

static struct mutex shape = MUTEX_INIT(shape, EPSHAPE);
static spinlock_t links = SPINLOCK_INIT(EPLINK);

static struct slab_cache *item_cache; /* [init] */

static const struct file_ops epoll_ops;

bool file_is_epoll(const struct file *f)
{
	return f->ops == &epoll_ops;
}

static struct item *item_of(struct rb_node *n)
{
	return n ? rb_entry(n, struct item, node) : NULL;
}

static bool item_before(const struct item *i, const struct file *f, int fd)
{
	return i->file != f ? (uintptr_t)i->file < (uintptr_t)f : i->fd < fd;
}

static bool item_less(const struct rb_node *a, const struct rb_node *b)
{
	const struct item *i = rb_entry(b, struct item, node);

	return item_before(rb_entry(a, struct item, node), i->file, i->fd);
}

/* The first item of f whose number is not below fd, or NULL. */
static struct item *find(struct epoll *ep, const struct file *f, int fd) __requires(ep->lock)
{
	struct item *best = NULL, *i;

	for (struct rb_node *n = ep->items.node; (i = item_of(n));) {
		if (item_before(i, f, fd)) {
			n = n->right;
		} else {
			best = i;
			n = n->left;
		}
	}
	return best && best->file == f ? best : NULL;
}

static struct item *find_exactly(struct epoll *ep, const struct file *f, int fd)
	__requires(ep->lock)
{
	struct item *i = find(ep, f, fd);

	return i && i->fd == fd ? i : NULL;
}

static void epoll_put(struct epoll *ep)
{
	if (refcount_put(&ep->ref))
		kfree(ep);
}

/* --- readiness ------------------------------------------------------------------------------------------------------ */

/* The interest in an item's file, as those who notify know it. */
static uint32_t interest(uint32_t events)
{
	return poll_narrow(events & ~(FLAGS & ~EPOLLEXCLUSIVE));
}

static uint32_t ask(struct file *f, uint32_t events)
{
	return poll_widen(file_poll(f)) & events;
}

static uint32_t item_ready(const struct item *i)
{
	return i->events & ~FLAGS ? ask(i->file, i->events) : 0;
}

static struct item *first_ready(struct epoll *ep) __requires(ep->lock)
{
	struct poll_watch *w = poller_first(&ep->poller);

	return w ? w->cookie : NULL;
}

/* The events of an item on the list. If there are none it leaves the list, and is asked once more: a notification that came
 * after the first answer found it there and did nothing. */
static uint32_t listed_ready(struct item *i)
{
	uint32_t ready = item_ready(i);

	if (ready)
		return ready;
	poll_watch_take(&i->watch);
	ready = item_ready(i);
	if (ready)
		poll_watch_requeue(&i->watch);
	return ready;
}

/* Does anything here wait to be collected? What turns out not to be ready leaves the list. */
static uint32_t epoll_poll(struct file *f)
{
	struct epoll *ep = f->priv;
	struct item *i;
	uint32_t ready = 0;

	mutex_lock_nested(&ep->lock);
	while (!ready && (i = first_ready(ep)))
		ready = listed_ready(i) ? POLL_IN : 0;
	mutex_unlock(&ep->lock);
	return ready;
}

/* --- items ---------------------------------------------------------------------------------------------------------- */

/* With EPSHAPE held, if its file is an epoll. */
static void item_remove(struct epoll *ep, struct item *i) __requires(ep->lock)
{
	/* the watch first: whoever finds the file's list without it may free the source */
	poll_watch_remove(&i->watch);
	rb_erase(&ep->items, &i->node);
	if (list_linked(&i->nested_link))
		lock_order_forget(&ep->lock);
	list_del(&i->nested_link);
	spin_lock(&links);
	list_del(&i->file_link);
	spin_unlock(&links);
	slab_free(item_cache, i);
}

static void item_insert(struct epoll *ep, struct item *i, const struct epoll_event *ev)
	__requires(ep->lock)
{
	struct file *f = i->file;

	i->ep = ep;
	i->events = ev->events | POLL_ERR | POLL_HUP;
	i->data = ev->data;
	rb_node_init(&i->node);
	rb_insert(&ep->items, &i->node, item_less);
	spin_lock(&links);
	if (!f->watchers.next)
		list_init(&f->watchers);
	list_push_back(&i->file_link, &f->watchers);
	spin_unlock(&links);
	poll_watch_add(&ep->poller, &i->watch, f->source, interest(i->events), i);
}

/* If it is ready now, nobody else will say so. An epoll is asked when events are collected. */
static void item_first_look(struct item *i)
{
	uint32_t ready = file_is_epoll(i->file) ? POLL_IN : ask(i->file, i->events);

	if (ready)
		poll_watch_kick(&i->watch, ready);
}

static void forget(struct file *f)
{
	for (;;) {
		struct item *i;
		struct epoll *ep = NULL;

		spin_lock(&links);
		i = list_first_or_null(&f->watchers, struct item, file_link);
		/* linked: its epoll has not been through its own release */
		if (i && refcount_get(&i->ep->ref))
			ep = i->ep;
		spin_unlock(&links);
		if (!ep)
			return;
		mutex_lock(&ep->lock);
		while ((i = find(ep, f, INT32_MIN)))
			item_remove(ep, i);
		mutex_unlock(&ep->lock);
		epoll_put(ep);
	}
}

void epoll_forget(struct file *f)
{
	if (!file_is_epoll(f)) {
		forget(f);
		return;
	}
	mutex_lock(&shape);
	forget(f);
	mutex_unlock(&shape);
}

/* --- the shape of nested epolls ----------------------------------------------------------------------------------------- */

/* What is to become of the graph when `ep` watches another epoll. */
struct change {
	const struct epoll *ep;
	uint64_t look;
	int ways;   /* up from ep, and the one more to it */
	int above;  /* epolls on the longest of them, ep too */
	int looked; /* at that many */
	int err;
};

/* The ways up from ep, and the length of the longest so far. The links of an epoll's file change under EPSHAPE too. */
static int ways_up(const struct epoll *ep, int level, int *longest) __requires(shape)
{
	struct item *i;
	int n = 0;

	*longest = MAX(*longest, level);
	if (ep->file->watchers.next)
		list_for_each (i, &ep->file->watchers, file_link)
			n += 1 + ways_up(i->ep, level + 1, longest);
	return n;
}

/* ep, and all that is below it, get c->ways more ways up. */
static void look_below(struct epoll *ep, struct change *c, int level) __requires(shape)
{
	struct item *i;
	int ways, longest = 0;

	if (ep == c->ep || level > NESTING_MAX)
		c->err = -ELOOP;
	if (c->err == -ELOOP || c->looked > LOOKS_MAX)
		return;
	if (ep->look != c->look)
		ep->ways_added = 0;
	ep->look = c->look;
	ep->ways_added += c->ways;
	ways = ways_up(ep, 0, &longest);
	c->looked += 1 + ways;
	if (ways + ep->ways_added > WAYS_MAX || level + c->above > NESTING_MAX ||
	    c->looked > LOOKS_MAX)
		c->err = -EINVAL;
	list_for_each (i, &ep->nested, nested_link)
		look_below(i->file->priv, c, level + 1);
}

static int shape_check(struct epoll *ep, struct file *target) __requires(shape)
{
	static uint64_t looks; /* [shape] */
	struct change c = { .ep = ep, .look = ++looks };

	c.ways = 1 + ways_up(ep, 1, &c.above);
	look_below(target->priv, &c, 1);
	return c.err;
}

/* --- control -------------------------------------------------------------------------------------------------------------- */

static int add_locked(struct epoll *ep, struct item *i, const struct epoll_event *ev)
	__requires(ep->lock)
{
	if (find_exactly(ep, i->file, i->fd))
		return -EEXIST;
	item_insert(ep, i, ev);
	item_first_look(i);
	return 0;
}

static int add_nested(struct epoll *ep, struct item *i, const struct epoll_event *ev)
{
	int err;

	mutex_lock(&shape);
	err = shape_check(ep, i->file);
	if (!err) {
		mutex_lock(&ep->lock);
		err = add_locked(ep, i, ev);
		if (!err)
			list_push_back(&i->nested_link, &ep->nested);
		mutex_unlock(&ep->lock);
	}
	mutex_unlock(&shape);
	return err;
}

static int control_add(struct epoll *ep, struct file *target, int fd, const struct epoll_event *ev)
{
	struct item *i;
	int err;

	if ((ev->events & EPOLLEXCLUSIVE) &&
	    (file_is_epoll(target) || (poll_narrow(ev->events) & ~EXCLUSIVE_MAX)))
		return -EINVAL;
	i = slab_zalloc(item_cache);
	if (!i)
		return -ENOMEM;
	i->file = target;
	i->fd = fd;
	list_init(&i->nested_link);
	list_init(&i->file_link);
	if (file_is_epoll(target)) {
		err = add_nested(ep, i, ev);
	} else {
		mutex_lock(&ep->lock);
		err = add_locked(ep, i, ev);
		mutex_unlock(&ep->lock);
	}
	if (err)
		slab_free(item_cache, i);
	return err;
}

static int control_modify(struct epoll *ep, struct file *target, int fd,
			  const struct epoll_event *ev)
{
	struct item *i;
	int err = 0;

	mutex_lock(&ep->lock);
	i = find_exactly(ep, target, fd);
	if (!i)
		err = -ENOENT;
	else if ((i->events | ev->events) & EPOLLEXCLUSIVE)
		err = -EINVAL;
	if (!err) {
		i->events = ev->events | POLL_ERR | POLL_HUP;
		i->data = ev->data;
		poll_watch_set(&i->watch, interest(i->events));
		item_first_look(i);
	}
	mutex_unlock(&ep->lock);
	return err;
}

static int delete (struct epoll *ep, struct file *target, int fd)
{
	struct item *i;

	mutex_lock(&ep->lock);
	i = find_exactly(ep, target, fd);
	if (i)
		item_remove(ep, i);
	mutex_unlock(&ep->lock);
	return i ? 0 : -ENOENT;
}

static int control_delete(struct epoll *ep, struct file *target, int fd)
{
	int err;

	if (!file_is_epoll(target))
		return delete (ep, target, fd);
	mutex_lock(&shape);
	err = delete (ep, target, fd);
	mutex_unlock(&shape);
	return err;
}

int epoll_control(struct file *epoll, unsigned op, struct file *target, int fd,
		  const struct epoll_event *ev)
{
	if (!target->ops->poll)
		return -EPERM;
	if (!file_is_epoll(epoll) || epoll == target)
		return -EINVAL;
	switch (op) {
	case EPOLL_CTL_ADD:
		return control_add(epoll->priv, target, fd, ev);
	case EPOLL_CTL_MOD:
		return control_modify(epoll->priv, target, fd, ev);
	case EPOLL_CTL_DEL:
		return control_delete(epoll->priv, target, fd);
	default:
		return -EINVAL;
	}
}

/* --- waiting ----------------------------------------------------------------------------------------------------------------- */

/* One event out. 1, -EFAULT: then the item is ready as before. */
static int give(struct item *i, uint32_t ready, struct io *to)
{
	struct epoll_event ev = { .events = ready, .data = i->data };

	if (io_copy_to(to, &ev, sizeof(ev)) != (ssize_t)sizeof(ev)) {
		poll_watch_requeue(&i->watch);
		return -EFAULT;
	}
	if (i->events & EPOLLONESHOT) {
		i->events &= FLAGS;
		poll_watch_disarm(&i->watch);
	}
	return 1;
}

/* What is ready now, to `to`: how many, or -EFAULT if that is the first. */
static int collect(struct epoll *ep, struct io *to, int max)
{
	struct item *i;
	int n = 0, ret = 0;

	mutex_lock(&ep->lock);
	ep->round++;
	while (n < max && ret >= 0 && (i = first_ready(ep)) && i->round != ep->round) {
		bool once = i->events & (EPOLLET | EPOLLONESHOT);
		uint32_t ready;

		/* before its file is asked: of what comes later it is to be told again */
		if (once)
			poll_watch_take(&i->watch);
		ready = once ? item_ready(i) : listed_ready(i);
		if (!ready)
			continue;
		ret = give(i, ready, to);
		n += ret > 0;
		if (once)
			continue;
		i->round = ep->round;
		poll_watch_requeue(&i->watch);
	}
	mutex_unlock(&ep->lock);
	return n ? n : MIN(ret, 0);
}

int epoll_wait(struct file *epoll, struct io *to, int max, uint64_t deadline_ns)
{
	struct epoll *ep = epoll->priv;
	int err = 0, n;

	for (;;) {
		n = collect(ep, to, max);
		if (n || err || !deadline_ns)
			break;
		err = poller_wait(&ep->poller, WAIT_INTERRUPTIBLE, deadline_ns);
	}
	/* one is woken for each notification: what is left, or was not taken after all, is for another */
	if (poller_first(&ep->poller))
		wake_one(&ep->poller.wq);
	if (n || err == -ETIMEDOUT)
		return n;
	return err ? -EINTR : 0;
}

/* --- the file ------------------------------------------------------------------------------------------------------------------ */

static void remove_all(struct epoll *ep)
{
	struct rb_node *n;

	mutex_lock(&ep->lock);
	while ((n = rb_first(&ep->items)))
		item_remove(ep, item_of(n));
	mutex_unlock(&ep->lock);
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->priv;
	bool nested;

	/* nobody adds any more */
	mutex_lock(&ep->lock);
	nested = !list_empty(&ep->nested);
	mutex_unlock(&ep->lock);
	if (nested) {
		mutex_lock(&shape);
		remove_all(ep);
		mutex_unlock(&shape);
	} else {
		remove_all(ep);
	}
	poller_quiesce(&ep->poller);
	poll_source_check_idle(&ep->source);
	epoll_put(ep);
}

static const struct file_ops epoll_ops = {
	.name = "eventpoll",
	.poll = epoll_poll,
	.stat = file_stat_anonymous,
	.release = epoll_release,
};

int epoll_init(void)
{
	if (!item_cache)
		item_cache = fs_cache("epoll_item", sizeof(struct item), 25);
	return item_cache ? 0 : -ENOMEM;
}

int epoll_create(struct file **out)
{
	struct epoll *ep = kzalloc(sizeof(*ep));

	if (!ep)
		return -ENOMEM;
	mutex_init(&ep->lock, LOCK_EPOLL);
	refcount_init(&ep->ref, 1);
	rb_init(&ep->items, NULL);
	list_init(&ep->nested);
	poller_init(&ep->poller);
	poll_source_init(&ep->source);
	ep->poller.up = &ep->source;
	*out = file_create(&epoll_ops, FILE_RDWR, &ep->source, ep);
	if (!*out) {
		kfree(ep);
		return -ENOMEM;
	}
	ep->file = *out;
	return 0;
}
