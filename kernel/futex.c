/* SPDX-License-Identifier: MIT */
/* Futexes. A waiter is on the list of the bucket its key hashes to. The word is compared under the bucket's lock, and
 * whoever changes the word wakes afterwards, under the same lock: so the waiter either sees the change or is seen.
 * The compare never sleeps: a page that is not there is brought in with the lock dropped, and all begins again.
 *
 * A key is the address space and the address, or for shared mappings the page and the offset in it. The page is held by
 * a reference as long as the key is in use, so no other word can get the same key meanwhile; a space outlives its
 * threads. Who waits privately is not found by a wake-up that is not private.
 *
 * I-FUTEX-1: a waiter is linked in the bucket of its key, or it is woken and in none; who unlinks it is not finished with
 * it before the bucket's lock is dropped, and the waiter takes that lock once more before it goes. */
#include "kernel/futex.h"
#include <linux/futex.h>
#include "kernel/context.h"
#include "kernel/core/panic.h"
#include "kernel/proc/process.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"

#define BUCKETS_PER_CPU 64

struct futex_key {
	const void *object; /* the space, or the page */
	uint64_t offset;    /* the address, or the offset in the page */
	struct page *page;  /* the reference to the page; NULL: private */
};

struct bucket {
	spinlock_t lock;	  /* FUTEX */
	struct list_head waiters; /* [lock] oldest first */
};

/* On the sleeper's stack. */
struct waiter {
	struct list_head link; /* [bucket->lock] */
	struct futex_key
		key; /* [bucket->lock] changed by a requeue; its reference is the waiter's */
	struct bucket *bucket; /* [bucket->lock] changed by a requeue, under both locks */
	uint32_t bitset;       /* [init] */
	bool woken;	       /* [bucket->lock], read anywhere */
	struct waitq wq;
};

static struct bucket *buckets; /* [init] */
static uint64_t bucket_mask;   /* [init] */

void futex_init(void)
{
	uint64_t n = BUCKETS_PER_CPU;

	while (n < (uint64_t)BUCKETS_PER_CPU * cpu_count())
		n *= 2;
	buckets = kcalloc(n, sizeof(*buckets));
	if (!buckets)
		panic("futex: no memory for %lu buckets", (unsigned long)n);
	bucket_mask = n - 1;
	for (uint64_t i = 0; i < n; i++) {
		spin_init(&buckets[i].lock, LOCK_FUTEX);
		list_init(&buckets[i].waiters);
	}
}

static struct bucket *bucket_of(const struct futex_key *k)
{
	uint64_t h = ((uintptr_t)k->object ^ k->offset >> 2) * 0x9e3779b97f4a7c15UL;

	return &buckets[h >> 32 & bucket_mask];
}

static bool key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

/* an aligned word cannot straddle pages. */
static int key_get(vaddr_t addr, bool shared, struct futex_key *k)
{
	struct vm_space *s = current_thread()->space;
	int err = 0;

	*k = (struct futex_key){ s, addr, NULL };
	if (addr & 3)
		return -EINVAL;
	if (!user_range_ok(addr, sizeof(uint32_t)))
		return -EFAULT;
	if (shared)
		err = vm_shared_page(s, addr, &k->page);
	/* an address is a multiple of 4: the flag is part of the key, as Linux has it */
	k->offset |= shared;
	if (k->page)
		*k = (struct futex_key){ k->page, addr & (PAGE_SIZE - 1), k->page };
	return err;
}

static void key_put(const struct futex_key *k)
{
	if (k->page)
		page_put(k->page);
}

static int read_word(vaddr_t addr, uint32_t *value)
{
	return user_copy_from(value, addr, sizeof(*value));
}

/* --- waking ------------------------------------------------------------------------------------------------------- */

static int wake_locked(struct bucket *b, const struct futex_key *k, int n, uint32_t bitset)
	__requires(b->lock)
{
	struct waiter *w, *next;
	int woken = 0;

	list_for_each_safe (w, next, &b->waiters, link) {
		if (woken >= n)
			break;
		if (!(w->bitset & bitset) || !key_equal(&w->key, k))
			continue;
		list_del(&w->link);
		WRITE_ONCE(w->woken, true);
		wake_one(&w->wq);
		woken++;
	}
	return woken;
}

static int futex_wake(vaddr_t addr, bool shared, int n, uint32_t bitset)
{
	struct futex_key k;
	struct bucket *b;
	int ret;

	if (!bitset)
		return -EINVAL;
	ret = key_get(addr, shared, &k);
	if (ret < 0)
		return ret;
	b = bucket_of(&k);
	spin_lock(&b->lock);
	/* as Linux has it: who asks for none wakes one */
	ret = wake_locked(b, &k, MAX(n, 1), bitset);
	spin_unlock(&b->lock);
	key_put(&k);
	return ret;
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

/* Link w if the word is still `value`. 0, -EAGAIN, -EFAULT. */
static int enqueue(struct waiter *w, vaddr_t addr, uint32_t value)
{
	struct bucket *b = w->bucket;
	uint32_t now = 0;
	int err;

	for (;;) {
		spin_lock(&b->lock);
		err = user_copy_from_nofault(&now, addr, sizeof(now));
		if (err == 0 && now == value)
			list_push_back(&w->link, &b->waiters);
		spin_unlock(&b->lock);
		if (err == 0)
			return now == value ? 0 : -EAGAIN;
		if (read_word(addr, &now) < 0)
			return -EFAULT;
	}
}

/* Off the list, wherever a requeue has put it. True if it was still waiting. */
static bool dequeue(struct waiter *w) __no_lock_check
{
	struct bucket *b;
	bool waiting;

	for (;;) {
		b = READ_ONCE(w->bucket);
		spin_lock(&b->lock);
		if (b == w->bucket)
			break;
		spin_unlock(&b->lock);
	}
	/* I-FUTEX-1 */
	DASSERT(w->woken || b == bucket_of(&w->key));
	waiting = !w->woken;
	list_del(&w->link);
	spin_unlock(&b->lock);
	return waiting;
}

/* When a wait ends: a time of the monotonic clock, or of the wall clock, which may be set meanwhile. */
struct deadline {
	uint64_t ns;
	bool wall;
};

static uint64_t monotonic(const struct deadline *d)
{
	return d->wall ? clock_wall_deadline(d->ns) : d->ns;
}

static int futex_wait(vaddr_t addr, bool shared, uint32_t value, uint32_t bitset,
		      const struct deadline *d)
{
	struct waiter w = { .bitset = bitset };
	int err;

	if (!bitset)
		return -EINVAL;
	err = key_get(addr, shared, &w.key);
	if (err < 0)
		return err;
	list_init(&w.link);
	waitq_init(&w.wq);
	w.bucket = bucket_of(&w.key);
	err = enqueue(&w, addr, value);
	if (err == 0) {
		err = wait_event_mode(&w.wq, READ_ONCE(w.woken), WAIT_INTERRUPTIBLE, monotonic(d));
		if (!dequeue(&w))
			err = 0;
		waitq_check_idle(&w.wq);
	}
	key_put(&w.key);
	return err;
}

/* --- two words ---------------------------------------------------------------------------------------------------- */

struct pair {
	struct futex_key k1, k2;
	struct bucket *b1, *b2;
};

static int pair_get(struct pair *p, vaddr_t addr1, vaddr_t addr2, bool shared)
{
	int err = key_get(addr1, shared, &p->k1);

	if (err < 0)
		return err;
	err = key_get(addr2, shared, &p->k2);
	if (err < 0) {
		key_put(&p->k1);
		return err;
	}
	p->b1 = bucket_of(&p->k1);
	p->b2 = bucket_of(&p->k2);
	return 0;
}

static void pair_put(struct pair *p)
{
	key_put(&p->k1);
	key_put(&p->k2);
}

/* The analysis cannot follow two names of one lock. */
static void pair_lock(struct pair *p) __no_lock_check
{
	if (p->b1 == p->b2)
		spin_lock(&p->b1->lock);
	else
		spin_lock_pair(&p->b1->lock, &p->b2->lock);
}

static void pair_unlock(struct pair *p) __no_lock_check
{
	spin_unlock(&p->b1->lock);
	if (p->b1 != p->b2)
		spin_unlock(&p->b2->lock);
}

/* Wake n of the first word, move up to `max` of the rest to the second. Woken and moved, and how many were moved. */
static int requeue_locked(struct pair *p, int n, int max, int *moved) __no_lock_check
{
	struct waiter *w, *next;
	int woken = wake_locked(p->b1, &p->k1, n, FUTEX_BITSET_MATCH_ANY);

	*moved = 0;
	list_for_each_safe (w, next, &p->b1->waiters, link) {
		if (*moved >= max)
			break;
		if (!key_equal(&w->key, &p->k1))
			continue;
		++*moved;
		if (key_equal(&p->k1, &p->k2))
			continue;
		list_del(&w->link);
		list_push_back(&w->link, &p->b2->waiters);
		w->key = p->k2;
		if (p->k2.page)
			page_get(p->k2.page);
		WRITE_ONCE(w->bucket, p->b2);
	}
	return woken + *moved;
}

static int futex_requeue(vaddr_t addr1, vaddr_t addr2, bool shared, int n, int max,
			 const uint32_t *value)
{
	struct pair p;
	uint32_t now = 0;
	int moved = 0, ret, err;

	if (n < 0 || max < 0)
		return -EINVAL;
	ret = pair_get(&p, addr1, addr2, shared);
	if (ret < 0)
		return ret;
	do {
		pair_lock(&p);
		err = value ? user_copy_from_nofault(&now, addr1, sizeof(now)) : 0;
		if (err == 0)
			ret = value && now != *value ? -EAGAIN : requeue_locked(&p, n, max, &moved);
		pair_unlock(&p);
	} while (err < 0 && read_word(addr1, &now) == 0);
	/* the references of those moved to the word they have left */
	while (!key_equal(&p.k1, &p.k2) && moved-- > 0)
		key_put(&p.k1);
	pair_put(&p);
	return err < 0 ? err : ret;
}

struct wake_op {
	struct pair p;
	uint32_t op, oparg, cmp, cmparg;
	int n1, n2, ret;
};

static uint32_t apply(const struct wake_op *o, uint32_t old)
{
	switch (o->op) {
	case FUTEX_OP_SET:
		return o->oparg;
	case FUTEX_OP_ADD:
		return old + o->oparg;
	case FUTEX_OP_OR:
		return old | o->oparg;
	case FUTEX_OP_ANDN:
		return old & ~o->oparg;
	default:
		return old ^ o->oparg;
	}
}

static bool compare(const struct wake_op *o, uint32_t old)
{
	int32_t a = (int32_t)old, b = (int32_t)o->cmparg;

	switch (o->cmp) {
	case FUTEX_OP_CMP_EQ:
		return a == b;
	case FUTEX_OP_CMP_NE:
		return a != b;
	case FUTEX_OP_CMP_LT:
		return a < b;
	case FUTEX_OP_CMP_LE:
		return a <= b;
	case FUTEX_OP_CMP_GT:
		return a > b;
	default:
		return a >= b;
	}
}

/* On the second word, whose page stays where it is as long as this runs. */
static void wake_op_on_word(uint32_t *word, void *arg) __no_lock_check
{
	struct wake_op *o = arg;
	uint32_t old;

	pair_lock(&o->p);
	old = atomic_load_relaxed(word);
	while (!atomic_compare_exchange(word, &old, apply(o, old)))
		;
	o->ret = wake_locked(o->p.b1, &o->p.k1, o->n1, FUTEX_BITSET_MATCH_ANY);
	if (compare(o, old))
		o->ret += wake_locked(o->p.b2, &o->p.k2, o->n2, FUTEX_BITSET_MATCH_ANY);
	pair_unlock(&o->p);
}

static int futex_wake_op(vaddr_t addr1, vaddr_t addr2, bool shared, int n1, int n2, uint32_t code)
{
	struct wake_op o = {
		.op = code >> 28 & 7,
		.cmp = code >> 24 & 15,
		.oparg = (uint32_t)((int32_t)(code << 8) >> 20),
		.cmparg = (uint32_t)((int32_t)(code << 20) >> 20),
		.n1 = MAX(n1, 1),
		.n2 = MAX(n2, 1),
	};
	int err;

	if (code >> 28 & FUTEX_OP_OPARG_SHIFT)
		o.oparg = 1U << (o.oparg & 31);
	if (o.op > FUTEX_OP_XOR || o.cmp > FUTEX_OP_CMP_GE)
		return -ENOSYS;
	err = pair_get(&o.p, addr1, addr2, shared);
	if (err < 0)
		return err;
	err = vm_word_update(current_thread()->space, addr2, wake_op_on_word, &o);
	pair_put(&o.p);
	return err < 0 ? err : o.ret;
}

/* --- the call ------------------------------------------------------------------------------------------------------- */

/* FUTEX_WAIT's time-out is relative, FUTEX_WAIT_BITSET's absolute. */
static int wait_deadline(vaddr_t addr, uint32_t op, struct deadline *d)
{
	int err;

	*d = (struct deadline){ DEADLINE_NEVER, false };
	if (!addr)
		return 0;
	err = time_from_user(addr, &d->ns);
	if (err < 0)
		return err;
	if ((op & FUTEX_CMD_MASK) == FUTEX_WAIT)
		d->ns += clock_now_ns();
	d->wall = op & FUTEX_CLOCK_REALTIME;
	return 0;
}

/* A timed wait that no handler cut short goes on to the same end: restart_syscall has its arguments, and we keep the end. */
static int64_t wait_until(const uint64_t a[6], const struct deadline *d)
{
	struct thread_signals *s = &current_thread()->sig;
	uint32_t op = (uint32_t)a[1];
	uint32_t bitset =
		(op & FUTEX_CMD_MASK) == FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : (uint32_t)a[5];
	int err = futex_wait(a[0], !(op & FUTEX_PRIVATE_FLAG), (uint32_t)a[2], bitset, d);

	if (err != -ERESTARTSYS || d->ns == DEADLINE_NEVER)
		return err;
	s->restart_ns = MAX(d->ns, 1UL);
	s->restart_futex = true;
	return -ERESTART_RESTARTBLOCK;
}

static int64_t sys_wait(const uint64_t a[6], uint32_t op)
{
	struct deadline d;
	int err = wait_deadline(a[3], op, &d);

	return err < 0 ? err : wait_until(a, &d);
}

int64_t futex_wait_again(const uint64_t a[6], uint64_t deadline_ns)
{
	const struct deadline d = { deadline_ns, (uint32_t)a[1] & FUTEX_CLOCK_REALTIME };

	return wait_until(a, &d);
}

int64_t sys_futex(const uint64_t a[6])
{
	uint32_t op = (uint32_t)a[1], cmd = op & FUTEX_CMD_MASK, value = (uint32_t)a[2];
	uint32_t value3 = (uint32_t)a[5];
	bool shared = !(op & FUTEX_PRIVATE_FLAG);

	if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return sys_wait(a, op);
	case FUTEX_WAKE:
		return futex_wake(a[0], shared, (int)value, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake(a[0], shared, (int)value, value3);
	case FUTEX_REQUEUE:
		return futex_requeue(a[0], a[4], shared, (int)value, (int)a[3], NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(a[0], a[4], shared, (int)value, (int)a[3], &value3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(a[0], a[4], shared, (int)value, (int)a[3], value3);
	default:
		return -ENOSYS;
	}
}

/* --- a thread's end --------------------------------------------------------------------------------------------------- */

void futex_wake_clear_tid(vaddr_t addr)
{
	uint32_t zero = 0;

	if (!addr || (addr & 3))
		return;
	if (user_copy_to(addr, &zero, sizeof(zero)) < 0)
		return;
	IGNORE(futex_wake(addr, true, 1, FUTEX_BITSET_MATCH_ANY));
}

struct owner_death {
	uint32_t tid;
	bool pending; /* the thread was in the middle of taking or leaving it */
	bool wake;
};

/* The lock of a dead owner: marked for the next. One that was being left may be free already, with its wake-up not made. */
static void bury(uint32_t *word, void *arg)
{
	struct owner_death *d = arg;
	uint32_t old = atomic_load_relaxed(word);

	do {
		d->wake = d->pending && !(old & FUTEX_TID_MASK);
		if ((old & FUTEX_TID_MASK) != d->tid)
			return;
		d->wake = old & FUTEX_WAITERS;
	} while (!atomic_compare_exchange(word, &old, (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED));
}

/* What a thread leaves: its locks, and where they are listed. */
struct estate {
	uint32_t tid;
	vaddr_t head_at; /* 0: there is no list */
	struct vm_space
		*sealed; /* a victim's memory, seen from outside; NULL: the current thread's */
};

/* The program made the list: it lies anywhere. */
static int read_estate(const struct estate *o, void *to, vaddr_t from, size_t n)
{
	if (!o->sealed)
		return user_copy_from(to, from, n);
	while (n > 0) {
		size_t at = from % PAGE_SIZE, part = MIN(n, PAGE_SIZE - at);
		struct page *p = vm_sealed_page(o->sealed, from, false);

		if (!p)
			return -EFAULT;
		memcpy(to, (char *)page_addr(p) + at, part);
		page_put(p);
		to = (char *)to + part;
		from += part;
		n -= part;
	}
	return 0;
}

/* What others can see of a victim's locks lies in shared memory. */
static void bury_sealed(const struct estate *o, vaddr_t addr, struct owner_death *d)
{
	struct futex_key k = { .offset = addr & (PAGE_SIZE - 1) };
	struct bucket *b;

	k.page = vm_sealed_page(o->sealed, addr, true);
	if (!k.page)
		return;
	k.object = k.page;
	bury((uint32_t *)((char *)page_addr(k.page) + k.offset), d);
	b = bucket_of(&k);
	spin_lock(&b->lock);
	if (d->wake)
		(void)wake_locked(b, &k, 1, FUTEX_BITSET_MATCH_ANY);
	spin_unlock(&b->lock);
	key_put(&k);
}

/* entry is the user's pointer to a link in a lock; its lowest bit says that it inherits priority, which ours do not. */
static void lock_of_dead(const struct estate *o, uint64_t entry, int64_t offset, bool pending)
{
	struct owner_death d = { .tid = o->tid, .pending = pending };
	vaddr_t addr = (entry & ~1UL) + (uint64_t)offset;

	if (addr & 3)
		return;
	if (o->sealed)
		bury_sealed(o, addr, &d);
	else if (vm_word_update(current_thread()->space, addr, bury, &d) == 0 && d.wake)
		IGNORE(futex_wake(addr, true, 1, FUTEX_BITSET_MATCH_ANY));
}

/* Of at most *steps locks, which it counts down. */
static void settle(const struct estate *o, unsigned *steps)
{
	struct robust_list_head head;
	uint64_t entry, next, pending;

	if (!o->head_at || read_estate(o, &head, o->head_at, sizeof(head)) < 0)
		return;
	entry = (uint64_t)head.list.next;
	pending = (uint64_t)head.list_op_pending;
	/* it may be of any shape, and endless */
	for (int i = 0; i<ROBUST_LIST_LIMIT && * steps> 0 && (entry & ~1UL) != o->head_at;
	     i++, --*steps) {
		int err = read_estate(o, &next, entry & ~1UL, sizeof(next));

		if ((entry & ~1UL) != (pending & ~1UL))
			lock_of_dead(o, entry, head.futex_offset, false);
		if (err < 0)
			break;
		entry = next;
	}
	if (pending)
		lock_of_dead(o, pending, head.futex_offset, true);
}

void futex_exit_robust(void)
{
	struct thread *t = current_thread();
	struct estate o = { (uint32_t)t->tid, READ_ONCE(t->robust_list), NULL };
	unsigned steps = 2 * ROBUST_LIST_LIMIT;

	settle(&o, &steps);
	/* If it was sealed under us: what has left it by now has been settled by futex_settle_sealed(), which finds our list as
	 * long as we have not forgotten it. */
	if (o.head_at && vm_space_is_sealed(t->space)) {
		o.sealed = t->space;
		settle(&o, &steps);
	}
	WRITE_ONCE(t->robust_list, 0);
}

/* So many lists are taken in one hold of PIDTAB; and so many locks settled for one process, which may have listed any number
 * that it never held. */
enum { HEIRS = 16, SEALED_STEPS = 32 * ROBUST_LIST_LIMIT };

struct heirs {
	struct vm_space *space;
	unsigned n;
	struct estate of[HEIRS];
};

/* The list is ours then. Its thread, which may be on its way out, has read where it is before, or leaves it to us. */
static void take_list(struct thread *t, void *arg)
{
	struct heirs *h = arg;

	if (h->n < HEIRS && READ_ONCE(t->robust_list)) {
		h->of[h->n++] = (struct estate){ (uint32_t)t->tid, t->robust_list, h->space };
		WRITE_ONCE(t->robust_list, 0);
	}
}

void futex_settle_sealed(struct process *p, struct vm_space *s)
{
	unsigned steps = SEALED_STEPS;
	struct heirs h;

	do {
		h = (struct heirs){ .space = s };
		process_for_each_thread(p, take_list, &h);
		for (unsigned i = 0; i < h.n; i++)
			settle(&h.of[i], &steps);
	} while (h.n == HEIRS);
}

int64_t sys_set_robust_list(const uint64_t a[6])
{
	if (a[1] != sizeof(struct robust_list_head))
		return -EINVAL;
	WRITE_ONCE(current_thread()->robust_list, a[0]);
	return 0;
}

int64_t sys_get_robust_list(const uint64_t a[6])
{
	uint64_t len = sizeof(struct robust_list_head),
		 head = READ_ONCE(current_thread()->robust_list);
	struct thread *t;
	struct process *p;
	bool may;

	if ((int)a[0]) {
		t = thread_find((int)a[0]);
		if (!t)
			return -ESRCH;
		head = READ_ONCE(t->robust_list);
		p = process_of(t);
		thread_put(t);
		may = p && process_may_look(p);
		if (p)
			process_put(p);
		if (!may)
			return p ? -EPERM : -ESRCH;
	}
	if (user_copy_to(a[2], &len, sizeof(len)) < 0)
		return -EFAULT;
	return user_copy_to(a[1], &head, sizeof(head));
}
