/* SPDX-License-Identifier: MIT */
/* I-FLOCK-1: of one kind, two locks of different owners that overlap are both shared; those of one owner do not overlap. */
#include "fs/filelock.h"
#include "kernel/core/panic.h"
#include "mm/phys/slab.h"
#include "sched/wait.h"

static spinlock_t filelock_lock = SPINLOCK_INIT(FILELOCK);

struct held {
	struct list_head link;
	struct file_lock l;
};

struct file_locks {
	struct list_head held; /* [filelock_lock] */
	struct waitq wq;
};

/* Who sleeps, and for whom: what deadlocks are found by. */
struct waiter {
	struct list_head link;
	const void *owner, *for_owner;
};
static struct list_head waiters = LIST_HEAD_INIT(waiters); /* [filelock_lock] */

/* A request, with the elements it may need: no allocation under the lock. */
struct request {
	struct file_locks *locks;
	const struct file_lock *want;
	struct held *spare[2];
	struct waiter waiter;
	bool wait;
};

static bool overlap(const struct file_lock *a, const struct file_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

static bool same_owner(const struct file_lock *a, const struct file_lock *b)
{
	return a->whole == b->whole && a->owner == b->owner;
}

/* The one that begins first. */
static struct held *find_conflict(struct file_locks *locks, const struct file_lock *want)
	__requires(filelock_lock)
{
	struct held *h, *first = NULL;

	list_for_each (h, &locks->held, link)
		if (h->l.whole == want->whole && h->l.owner != want->owner &&
		    overlap(&h->l, want) && (!first || h->l.start < first->l.start) &&
		    (h->l.type == LOCK_EXCLUSIVE || want->type == LOCK_EXCLUSIVE))
			first = h;
	return first;
}

static const void *waits_for(const void *owner) __requires(filelock_lock)
{
	struct waiter *w;

	list_for_each (w, &waiters, link)
		if (w->owner == owner)
			return w->for_owner;
	return NULL;
}

/* Does who is in the way wait, perhaps by way of others, for us? The chain is as long as there are waiters. */
static bool would_deadlock(const void *us, const void *in_the_way) __requires(filelock_lock)
{
	struct waiter *w;

	list_for_each (w, &waiters, link) {
		if (!in_the_way || in_the_way == us)
			break;
		in_the_way = waits_for(in_the_way);
	}
	return in_the_way == us;
}

static void remove_held(struct held *h) __requires(filelock_lock)
{
	list_del(&h->link);
	kfree(h);
}

/* Make room for [start, end] among the owner's: what is of the same type and touches it is taken in, the rest cut off. */
static void make_way(struct request *r, struct file_lock *l) __requires(filelock_lock)
{
	struct held *h, *next, *rest;

	list_for_each_safe (h, next, &r->locks->held, link) {
		if (!same_owner(&h->l, l))
			continue;
		if (h->l.type == l->type && (h->l.start == 0 || h->l.start - 1 <= l->end) &&
		    (l->start == 0 || l->start - 1 <= h->l.end)) {
			l->start = MIN(l->start, h->l.start);
			l->end = MAX(l->end, h->l.end);
			remove_held(h);
			continue;
		}
		if (!overlap(&h->l, l))
			continue;
		if (h->l.end > l->end && h->l.start < l->start) {
			rest = r->spare[1];
			r->spare[1] = NULL;
			ASSERT(rest);
			rest->l = h->l;
			rest->l.start = l->end + 1;
			list_push_back(&rest->link, &r->locks->held);
			h->l.end = l->start - 1;
		} else if (h->l.end > l->end) {
			h->l.start = l->end + 1;
		} else if (h->l.start < l->start) {
			h->l.end = l->start - 1;
		} else {
			remove_held(h);
		}
	}
}

static void apply(struct request *r) __requires(filelock_lock)
{
	struct file_lock l = *r->want;
	struct held *h = r->spare[0];

	make_way(r, &l);
	if (l.type == LOCK_NONE)
		return;
	ASSERT(h != NULL);
	r->spare[0] = NULL;
	h->l = l;
	list_push_back(&h->link, &r->locks->held);
}

/* One attempt. -EAGAIN: something is in the way. */
static int try_set(struct request *r)
{
	const struct file_lock none = { r->want->owner, true, LOCK_NONE, 0, INT64_MAX, 0 };
	struct request drop = { .locks = r->locks, .want = &none };
	struct held *conflict = NULL;
	int err = 0;

	spin_lock(&filelock_lock);
	list_del(&r->waiter.link);
	if (r->want->type != LOCK_NONE)
		conflict = find_conflict(r->locks, r->want);
	if (!conflict) {
		apply(r);
	} else {
		err = -EAGAIN;
		/* flock lets go of the old lock before it waits for the new one */
		if (r->want->whole)
			apply(&drop);
		else if (r->wait && would_deadlock(r->want->owner, conflict->l.owner))
			err = -EDEADLK;
		if (r->wait && err == -EAGAIN) {
			r->waiter.owner = r->want->whole ? NULL : r->want->owner;
			r->waiter.for_owner = conflict->l.owner;
			list_push_back(&r->waiter.link, &waiters);
		}
	}
	spin_unlock(&filelock_lock);
	if (!conflict || r->want->whole)
		wake_all(&r->locks->wq);
	return err;
}

static struct file_locks *locks_of(struct inode *i)
{
	struct file_locks *fresh, *none = NULL;

	if (atomic_load_acquire(&i->locks)) /* pairs with the exchange below */
		return i->locks;
	fresh = kmalloc(sizeof(*fresh));
	if (!fresh)
		return NULL;
	list_init(&fresh->held);
	waitq_init(&fresh->wq);
	if (!atomic_compare_exchange(&i->locks, &none, fresh))
		kfree(fresh);
	return i->locks;
}

int filelock_set(struct file *f, const struct file_lock *want, bool wait)
{
	struct request r = { .want = want, .wait = wait };
	int err = -ENOLCK, slept = 0;

	if (!f->inode)
		return -EINVAL;
	list_init(&r.waiter.link);
	r.locks = locks_of(f->inode);
	r.spare[0] = kmalloc(sizeof(*r.spare[0]));
	r.spare[1] = kmalloc(sizeof(*r.spare[1]));
	if (r.locks && r.spare[0] && r.spare[1]) {
		err = try_set(&r);
		if (err == -EAGAIN && wait)
			slept = wait_event_interruptible(&r.locks->wq,
							 (err = try_set(&r)) != -EAGAIN);
		if (slept && err == -EAGAIN)
			err = slept;
		spin_lock(&filelock_lock);
		list_del(&r.waiter.link);
		spin_unlock(&filelock_lock);
	}
	kfree(r.spare[0]);
	kfree(r.spare[1]);
	return err;
}

bool filelock_test(struct file *f, const struct file_lock *want, struct file_lock *out)
{
	struct file_locks *locks = f->inode ? atomic_load_acquire(&f->inode->locks) : NULL;
	struct held *h;

	if (!locks)
		return false;
	spin_lock(&filelock_lock);
	h = find_conflict(locks, want);
	if (h)
		*out = h->l;
	spin_unlock(&filelock_lock);
	return h;
}

void filelock_release(struct inode *i, const void *owner)
{
	struct file_locks *locks = i ? atomic_load_acquire(&i->locks) : NULL;
	struct held *h, *next;
	bool any = false;

	if (!locks)
		return;
	spin_lock(&filelock_lock);
	list_for_each_safe (h, next, &locks->held, link) {
		if (h->l.owner != owner)
			continue;
		remove_held(h);
		any = true;
	}
	spin_unlock(&filelock_lock);
	if (any)
		wake_all(&locks->wq);
}

void filelock_destroy(struct inode *i)
{
	if (!i->locks)
		return;
	ASSERT(list_empty(&i->locks->held));
	kfree(i->locks);
}
