/* SPDX-License-Identifier: MIT */
/* I-FLOCK-1: of one kind, two locks of different owners that overlap are both shared; those of one owner do not overlap.
 *
 * The lists are walked under one spinlock, so there is an end to their length; and to the memory of all of them, since
 * who locks byte after byte needs no more than one open file. Root alone is not held to either. */
#include "fs/filelock.h"
#include "kernel/core/panic.h"
#include "kernel/proc/process.h"
#include "lib/rbtree.h"
#include "mm/phys/slab.h"
#include "sched/wait.h"

/* Locks on one file; one part of all memory; and how far a circle of waiters is looked for, as on Linux. */
enum { ONE_FILE_MAX = 4096, MEMORY_PART = 64, CIRCLE_MAX = 10 };

static spinlock_t filelock_lock = SPINLOCK_INIT(FILELOCK);
static struct slab_cache *held_cache; /* [init] */

struct held {
	struct list_head link;
	struct file_lock l;
};

struct file_locks {
	struct list_head held; /* [filelock_lock] */
	unsigned count;	       /* [filelock_lock] of them */
	struct waitq wq;
};

/* Who sleeps, and for whom: what deadlocks are found by. */
struct waiter {
	struct rb_node node;
	const void *owner, *for_owner;
};
static struct rb_root waiters; /* [filelock_lock] by owner */

/* A request, with the elements it may need: no allocation under the lock. */
struct request {
	struct file_locks *locks;
	const struct file_lock *want;
	struct held *spare[2];
	struct waiter waiter;
	bool wait;
	bool unbound; /* by the number on one file */
	bool circles; /* the owner is a process, which can wait for itself */
	bool freed;   /* something others may have waited for */
};

int filelock_init(void)
{
	held_cache = fs_cache("filelock", sizeof(struct held), MEMORY_PART);
	return held_cache ? 0 : -ENOMEM;
}

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

static bool waiter_before(const struct rb_node *a, const struct rb_node *b)
{
	return (uintptr_t)rb_entry(a, struct waiter, node)->owner <
	       (uintptr_t)rb_entry(b, struct waiter, node)->owner;
}

static const void *waits_for(const void *owner) __requires(filelock_lock)
{
	struct rb_node *n = waiters.node;

	while (n) {
		const struct waiter *w = rb_entry(n, struct waiter, node);

		if (w->owner == owner)
			return w->for_owner;
		n = (uintptr_t)w->owner < (uintptr_t)owner ? n->right : n->left;
	}
	return NULL;
}

/* Does who is in the way wait, perhaps by way of others, for us? */
static bool would_deadlock(const void *us, const void *in_the_way) __requires(filelock_lock)
{
	for (unsigned k = 0; k < CIRCLE_MAX && in_the_way && in_the_way != us; k++)
		in_the_way = waits_for(in_the_way);
	return in_the_way == us;
}

static void waits_no_more(struct request *r) __requires(filelock_lock)
{
	if (rb_linked(&r->waiter.node))
		rb_erase(&waiters, &r->waiter.node);
}

static void add_held(struct file_locks *locks, struct held *h) __requires(filelock_lock)
{
	list_push_back(&h->link, &locks->held);
	locks->count++;
}

static void remove_held(struct file_locks *locks, struct held *h) __requires(filelock_lock)
{
	list_del(&h->link);
	locks->count--;
	slab_free(held_cache, h);
}

/* Would it make one more than there may be, or is there memory for? To let go of the middle of a lock makes two of it. */
static bool too_many(const struct request *r) __requires(filelock_lock)
{
	const struct file_lock *l = r->want;
	struct held *h;

	if (r->spare[0] && r->spare[1] && (r->unbound || r->locks->count < ONE_FILE_MAX))
		return false;
	list_for_each (h, &r->locks->held, link)
		if (same_owner(&h->l, l) && h->l.start < l->start && h->l.end > l->end)
			return true;
	return l->type != LOCK_NONE;
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
			remove_held(r->locks, h);
			continue;
		}
		if (!overlap(&h->l, l))
			continue;
		r->freed = true;
		if (h->l.end > l->end && h->l.start < l->start) {
			rest = r->spare[1];
			r->spare[1] = NULL;
			ASSERT(rest);
			rest->l = h->l;
			rest->l.start = l->end + 1;
			add_held(r->locks, rest);
			h->l.end = l->start - 1;
		} else if (h->l.end > l->end) {
			h->l.start = l->end + 1;
		} else if (h->l.start < l->start) {
			h->l.end = l->start - 1;
		} else {
			remove_held(r->locks, h);
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
	add_held(r->locks, h);
}

/* flock lets go of the old lock before it waits for the new one. */
static void let_go(struct request *r) __requires(filelock_lock)
{
	const struct file_lock none = {
		.owner = r->want->owner, .whole = true, .type = LOCK_NONE, .end = INT64_MAX
	};
	struct request drop = { .locks = r->locks, .want = &none };

	apply(&drop);
	r->freed |= drop.freed;
}

static void wait_for(struct request *r, const void *owner) __requires(filelock_lock)
{
	r->waiter.owner = r->want->owner;
	r->waiter.for_owner = owner;
	if (r->circles)
		rb_insert(&waiters, &r->waiter.node, waiter_before);
}

/* One attempt. -EAGAIN: something is in the way. Only who frees something wakes: he is asleep on the same queue. */
static int try_set(struct request *r)
{
	struct held *conflict = NULL;
	int err = -EAGAIN;

	r->freed = false;
	spin_lock(&filelock_lock);
	waits_no_more(r);
	if (r->want->type != LOCK_NONE)
		conflict = find_conflict(r->locks, r->want);
	if (conflict && r->want->whole)
		let_go(r);
	if (!conflict)
		err = too_many(r) ? -ENOLCK : 0;
	else if (r->wait && r->circles && would_deadlock(r->want->owner, conflict->l.owner))
		err = -EDEADLK;
	if (!err)
		apply(r);
	else if (r->wait && err == -EAGAIN)
		wait_for(r, conflict->l.owner);
	spin_unlock(&filelock_lock);
	if (r->freed)
		wake_all(&r->locks->wq);
	return err;
}

static struct file_locks *locks_of(struct inode *i)
{
	struct file_locks *fresh, *none = NULL;

	/* pairs with the exchange below */
	fresh = atomic_load_acquire(&i->locks);
	if (fresh)
		return fresh;
	fresh = kmalloc(sizeof(*fresh));
	if (!fresh)
		return NULL;
	list_init(&fresh->held);
	fresh->count = 0;
	waitq_init(&fresh->wq);
	if (atomic_compare_exchange(&i->locks, &none, fresh))
		return fresh;
	kfree(fresh);
	return none;
}

int filelock_set(struct file *f, const struct file_lock *want, bool wait)
{
	struct request r = { .want = want, .wait = wait, .unbound = caller_is_root() };
	int err = -ENOLCK, slept = 0;

	if (!f->inode)
		return -EINVAL;
	rb_node_init(&r.waiter.node);
	r.circles = !want->whole && want->owner != f;
	r.locks = locks_of(f->inode);
	for (unsigned k = 0; k < 2; k++)
		r.spare[k] = slab_alloc(held_cache);
	if (r.locks) {
		err = try_set(&r);
		if (err == -EAGAIN && wait)
			slept = wait_event_interruptible(&r.locks->wq,
							 (err = try_set(&r)) != -EAGAIN);
		if (slept && err == -EAGAIN)
			err = slept;
		spin_lock(&filelock_lock);
		waits_no_more(&r);
		spin_unlock(&filelock_lock);
	}
	for (unsigned k = 0; k < 2; k++)
		if (r.spare[k])
			slab_free(held_cache, r.spare[k]);
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
		remove_held(locks, h);
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
	waitq_check_idle(&i->locks->wq);
	kfree(i->locks);
}
