/* SPDX-License-Identifier: MIT */
/* System calls that wait for files: poll, select, epoll; and the files made for that: eventfd, timerfd. */
#include <asm/poll.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/time.h>
#include <linux/timerfd.h>
#include "fs/epoll.h"
#include "fs/event.h"
#include "fs/fdtable.h"
#include "kernel/core/panic.h"
#include "kernel/sys_priv.h"
#include "kernel/syscall.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"

/* A relative time-out as a deadline, in ns; 0: do not wait. */
static uint64_t deadline_in(uint64_t ns)
{
	return ns ? clock_now_ns() + ns : 0;
}

/* At a user address, 0: none. */
static int get_deadline(vaddr_t ts, uint64_t *deadline)
{
	uint64_t ns;
	int err;

	*deadline = DEADLINE_NEVER;
	if (!ts)
		return 0;
	err = time_from_user(ts, &ns);
	if (err == 0)
		*deadline = deadline_in(ns);
	return err;
}

/* What is left of the time is told; an interrupted call can be made again only with that. */
static int64_t put_time_left(vaddr_t ts, uint64_t deadline, int64_t ret)
{
	uint64_t now;

	/* 0 is left of no time */
	if (!ts || !deadline)
		return ret;
	now = clock_now_ns();
	if (time_to_user(ts, deadline > now ? deadline - now : 0) < 0 && ret == -ERESTARTNOHAND)
		return -EINTR;
	return ret;
}

/* The mask to wait with, at a user address; 0: the thread's own. */
static int wait_with_mask(vaddr_t at, uint64_t size)
{
	sigset_t64 mask;

	if (!at)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (user_copy_from(&mask, at, sizeof(mask)) < 0)
		return -EFAULT;
	return signal_set_temp_mask(mask);
}

/* --- sets ---------------------------------------------------------------------------------------------------------- */

enum { FEW = 32, PIECE_MAX = 48 };

struct poll_slot {
	struct file *file;
	struct poll_watch watch;
};

struct poll_piece {
	struct poll_piece *next;
	struct pollfd *pfd;
	struct poll_slot *slot; /* NULL: nobody waits yet */
	unsigned n;
};

/* The first few lie on the stack, and what they wait with in a small block; the others in pieces of a page. */
struct poll_set {
	struct poll_piece first;
	unsigned nr_pages;
	struct pollfd few[FEW];
};

struct poll_page {
	struct poll_piece p;
	struct pollfd pfd[PIECE_MAX];
	struct poll_slot slot[PIECE_MAX];
};
static_assert(sizeof(struct poll_page) <= PAGE_SIZE - 200, "with what the cache adds");

#define POLL_MEMORY_PART 8
static struct slab_cache *page_cache; /* [init] */

void poll_init(void)
{
	page_cache = fs_cache("poll", sizeof(struct poll_page), POLL_MEMORY_PART);
	if (!page_cache)
		panic("poll: no memory");
}

static void set_free(struct poll_set *s)
{
	struct poll_piece *p = s->first.next;

	while (p) {
		struct poll_piece *next = p->next;

		slab_free(page_cache, container_of(p, struct poll_page, p));
		p = next;
	}
	if (s->nr_pages)
		atomic_fetch_sub(&current_process()->poll_pages, s->nr_pages);
}

/* Room for n. If it fails, what there is is to be freed all the same. */
static int set_init(struct poll_set *s, unsigned n)
{
	struct poll_piece **at = &s->first.next;

	s->first = (struct poll_piece){ .pfd = s->few, .n = MIN(n, (unsigned)FEW) };
	s->nr_pages = DIV_ROUND_UP(n - s->first.n, (unsigned)PIECE_MAX);
	if (s->nr_pages)
		atomic_fetch_add(&current_process()->poll_pages, s->nr_pages);
	for (n -= s->first.n; n > 0; n -= (*at)->n, at = &(*at)->next) {
		struct poll_page *page = slab_alloc(page_cache);

		if (!page)
			return -ENOMEM;
		page->p = (struct poll_piece){ .pfd = page->pfd, .n = MIN(n, (unsigned)PIECE_MAX) };
		*at = &page->p;
	}
	return 0;
}

/* --- poll ---------------------------------------------------------------------------------------------------------- */

/* What file f, NULL if there is none, says to p: 1 if that is something. */
static inline unsigned answer(struct pollfd *p, struct file *f)
{
	uint32_t want = (uint16_t)p->events | POLL_ERR | POLL_HUP | POLL_NVAL, got;

	if (likely(f))
		got = poll_widen(file_poll(f)) & want;
	else
		got = p->fd < 0 ? 0 : POLL_NVAL;
	p->revents = (short)got;
	return got != 0;
}

static unsigned look_at(struct pollfd *pfd, unsigned n)
{
	const struct fdtable *t = current_process()->files;
	unsigned ready = 0;

	if (fds_alone()) {
		for (unsigned i = 0; i < n; i++)
			ready += answer(&pfd[i], fdtable_peek(t, pfd[i].fd));
		return ready;
	}
	for (unsigned i = 0; i < n; i++) {
		struct file *f = fd_get((uint64_t)pfd[i].fd);

		ready += answer(&pfd[i], f);
		if (f)
			file_put(f);
	}
	return ready;
}

/* One look that does not wait. */
static unsigned look(struct poll_set *s)
{
	unsigned ready = 0;

	for (struct poll_piece *p = &s->first; p; p = p->next)
		ready += look_at(p->pfd, p->n);
	return ready;
}

/* References to the files, for the wait. */
static int hold_all(struct poll_set *s)
{
	s->first.slot = kcalloc(s->first.n + 1, sizeof(s->first.slot[0]));
	if (!s->first.slot)
		return -ENOMEM;
	for (struct poll_piece *p = &s->first; p; p = p->next) {
		if (p != &s->first)
			p->slot = container_of(p, struct poll_page, p)->slot;
		for (unsigned i = 0; i < p->n; i++)
			p->slot[i].file = fd_get((uint64_t)p->pfd[i].fd);
	}
	return 0;
}

static void drop_all(struct poll_set *s)
{
	for (struct poll_piece *p = &s->first; p; p = p->next)
		for (unsigned i = 0; i < p->n; i++)
			if (p->slot[i].file)
				file_put(p->slot[i].file);
	kfree(s->first.slot);
}

static unsigned check_ready(const struct poll_set *s)
{
	unsigned ready = 0;

	for (const struct poll_piece *p = &s->first; p; p = p->next)
		for (unsigned i = 0; i < p->n; i++)
			ready += answer(&p->pfd[i], p->slot[i].file);
	return ready;
}

static void watch_all(struct poller *poller, struct poll_set *s)
{
	for (struct poll_piece *p = &s->first; p; p = p->next)
		for (unsigned i = 0; i < p->n; i++)
			if (p->slot[i].file)
				poll_watch_add(poller, &p->slot[i].watch, p->slot[i].file->source,
					       poll_narrow((uint16_t)p->pfd[i].events), NULL);
}

static void watch_none(struct poll_set *s)
{
	for (struct poll_piece *p = &s->first; p; p = p->next)
		for (unsigned i = 0; i < p->n; i++)
			if (p->slot[i].file)
				poll_watch_remove(&p->slot[i].watch);
}

/* Register all, check all, sleep once; again when something happened (RC-021). */
static int64_t watch_and_wait(struct poll_set *set, uint64_t deadline)
{
	struct poller poller;
	unsigned ready;
	uint32_t hint;
	int err = 0;

	poller_init(&poller);
	watch_all(&poller, set);
	for (;;) {
		while (poller_next(&poller, &hint))
			;
		ready = check_ready(set);
		if (ready || err)
			break;
		err = poller_wait(&poller, WAIT_INTERRUPTIBLE, deadline);
	}
	watch_none(set);
	if (ready || err == -ETIMEDOUT)
		return ready;
	return -ERESTARTNOHAND;
}

static __noinline int64_t poll_waiting(struct poll_set *set, uint64_t deadline)
{
	int64_t ret = hold_all(set);

	if (ret < 0)
		return ret;
	ret = watch_and_wait(set, deadline);
	drop_all(set);
	return ret;
}

static int64_t poll_files(struct poll_set *set, uint64_t deadline)
{
	unsigned ready = look(set);

	/* a signal that the mask lets in is told of even by a look that does not wait */
	if (ready || (!deadline && !signal_pending_current()))
		return ready;
	return poll_waiting(set, deadline);
}

/* The caller's set; this checks the range for the answers too. */
static int64_t get_set(struct poll_set *s, vaddr_t from)
{
	int64_t ret = 0;

	for (struct poll_piece *p = &s->first; p && ret == 0; p = p->next) {
		ret = user_copy_from(p->pfd, from, p->n * sizeof(p->pfd[0]));
		from += p->n * sizeof(p->pfd[0]);
	}
	return ret;
}

static int64_t put_answers(vaddr_t to, const struct poll_set *s)
{
	to += offsetof(struct pollfd, revents);
	for (const struct poll_piece *p = &s->first; p; p = p->next)
		for (unsigned i = 0; i < p->n; i++, to += sizeof(p->pfd[0]))
			if (!arch_put_user16(to, (uint16_t)p->pfd[i].revents))
				return -EFAULT;
	return 0;
}

int64_t sys_ppoll(const uint64_t a[6])
{
	struct poll_set set;
	uint64_t deadline;
	int64_t ret, err;

	if (a[1] > fd_limit())
		return -EINVAL;
	ret = get_deadline(a[2], &deadline);
	if (ret == 0)
		ret = wait_with_mask(a[3], a[4]);
	if (ret < 0)
		return ret;
	ret = set_init(&set, (unsigned)a[1]);
	if (ret == 0)
		ret = get_set(&set, a[0]);
	if (ret == 0)
		ret = poll_files(&set, deadline);
	err = ret < 0 ? 0 : put_answers(a[0], &set);
	if (err < 0)
		ret = err;
	set_free(&set);
	return put_time_left(a[2], deadline, ret);
}

/* --- select -------------------------------------------------------------------------------------------------------- */

enum { SET_IN, SET_OUT, SET_EX, SETS };

/* What a set asks poll for, and what of its answers puts a file into the set. */
static const uint32_t set_asks[SETS] = { POLL_IN, POLL_OUT, POLL_PRI };
static const uint32_t set_answers[SETS] = { POLL_IN | POLL_HUP | POLL_ERR, POLL_OUT | POLL_ERR,
					    POLL_PRI };

struct select {
	unsigned n;	      /* numbers looked at */
	size_t words;	      /* of each set */
	uint64_t *set[SETS];  /* NULL: not given */
	struct poll_set poll; /* those that are in some set */
};

static uint32_t select_asks(const struct select *s, unsigned fd)
{
	uint32_t asks = 0;

	for (int k = 0; k < SETS; k++)
		if (s->set[k] && s->set[k][fd / 64] >> (fd % 64) & 1)
			asks |= set_asks[k];
	return asks;
}

static int select_load(struct select *s, const uint64_t a[6])
{
	struct poll_piece *p = &s->poll.first;
	unsigned count = 0, i = 0;
	int err;

	for (int k = 0; k < SETS; k++) {
		if (!a[1 + k])
			continue;
		s->set[k] = kcalloc(s->words + 1, sizeof(uint64_t));
		if (!s->set[k])
			return -ENOMEM;
		if (user_copy_from(s->set[k], a[1 + k], s->words * sizeof(uint64_t)) < 0)
			return -EFAULT;
	}
	for (unsigned fd = 0; fd < s->n; fd++)
		count += select_asks(s, fd) != 0;
	err = set_init(&s->poll, count);
	if (err < 0)
		return err;
	for (unsigned fd = 0; fd < s->n; fd++) {
		uint32_t asks = select_asks(s, fd);

		if (!asks)
			continue;
		if (i == p->n) {
			p = p->next;
			i = 0;
		}
		p->pfd[i++] = (struct pollfd){ (int)fd, (short)asks, 0 };
	}
	return 0;
}

/* The bits that p's answer sets, or -EBADF. */
static int select_one(struct select *s, const struct pollfd *p)
{
	int bits = 0;

	if (p->revents & POLL_NVAL)
		return -EBADF;
	for (int k = 0; k < SETS; k++) {
		if (!s->set[k] || !(p->events & set_asks[k]) ||
		    !((uint32_t)p->revents & set_answers[k]))
			continue;
		s->set[k][p->fd / 64] |= BIT(p->fd % 64);
		bits++;
	}
	return bits;
}

/* How many bits are set in the answer, or -EBADF. */
static int64_t select_answer(struct select *s)
{
	int64_t bits = 0;

	for (int k = 0; k < SETS; k++)
		if (s->set[k])
			memset(s->set[k], 0, s->words * sizeof(uint64_t));
	for (const struct poll_piece *p = &s->poll.first; p; p = p->next) {
		for (unsigned i = 0; i < p->n; i++) {
			int n = select_one(s, &p->pfd[i]);

			if (n < 0)
				return n;
			bits += n;
		}
	}
	return bits;
}

static int64_t select_files(struct select *s, const uint64_t a[6], uint64_t deadline)
{
	int64_t ret = select_load(s, a);

	if (ret == 0)
		ret = poll_files(&s->poll, deadline);
	if (ret >= 0)
		ret = select_answer(s);
	for (int k = 0; k < SETS; k++) {
		if (s->set[k] && ret >= 0 &&
		    user_copy_to(a[1 + k], s->set[k], s->words * sizeof(uint64_t)) < 0)
			ret = -EFAULT;
	}
	for (int k = 0; k < SETS; k++)
		kfree(s->set[k]);
	set_free(&s->poll);
	return ret;
}

int64_t sys_pselect6(const uint64_t a[6])
{
	struct select s = { 0 };
	uint64_t mask[2] = { 0, 0 }, deadline;
	int64_t ret;

	if ((int)a[0] < 0)
		return -EINVAL;
	/* what is beyond the table cannot be open, and is not looked at */
	s.n = MIN((unsigned)a[0], fdtable_size(current_process()->files));
	s.words = DIV_ROUND_UP(s.n, 64u);
	if (a[5] && user_copy_from(mask, a[5], sizeof(mask)) < 0)
		return -EFAULT;
	ret = get_deadline(a[4], &deadline);
	if (ret == 0)
		ret = wait_with_mask(mask[0], mask[1]);
	if (ret < 0)
		return ret;
	return put_time_left(a[4], deadline, select_files(&s, a, deadline));
}

/* --- epoll --------------------------------------------------------------------------------------------------------- */

int64_t sys_epoll_create1(const uint64_t a[6])
{
	struct file *f;
	int err;

	if (a[0] & ~(uint64_t)EPOLL_CLOEXEC)
		return -EINVAL;
	err = epoll_create(&f);
	return err < 0 ? err : fd_install(f, 0, a[0] & EPOLL_CLOEXEC);
}

int64_t sys_epoll_ctl(const uint64_t a[6])
{
	struct epoll_event ev = { 0 };
	struct file *epoll, *target;
	int64_t ret = -EBADF;

	if ((unsigned)a[1] != EPOLL_CTL_DEL && user_copy_from(&ev, a[3], sizeof(ev)) < 0)
		return -EFAULT;
	epoll = fd_get(a[0]);
	target = fd_get(a[2]);
	if (epoll && target)
		ret = epoll_control(epoll, (unsigned)a[1], target, (int)a[2], &ev);
	if (target)
		file_put(target);
	if (epoll)
		file_put(epoll);
	return ret;
}

static int64_t wait_epoll(const uint64_t a[6], uint64_t deadline)
{
	size_t size = a[2] * sizeof(struct epoll_event);
	struct borrowed epoll;
	struct io io;
	int64_t ret;

	if ((int)a[2] <= 0 || a[2] > INT32_MAX / sizeof(struct epoll_event))
		return -EINVAL;
	if (!user_range_ok(a[1], size))
		return -EFAULT;
	epoll = fd_borrow(a[0]);
	if (!epoll.file)
		return -EBADF;
	io_init_user(&io, a[1], size);
	ret = file_is_epoll(epoll.file) ? epoll_wait(epoll.file, &io, (int)a[2], deadline)
					: -EINVAL;
	fd_return(epoll);
	return ret;
}

/* A time-out in ms, below 0: none. */
int64_t sys_epoll_pwait(const uint64_t a[6])
{
	int ms = (int)a[3], err = wait_with_mask(a[4], a[5]);

	if (err < 0)
		return err;
	return wait_epoll(a, ms < 0 ? DEADLINE_NEVER : deadline_in((uint64_t)ms * NS_PER_MS));
}

int64_t sys_epoll_pwait2(const uint64_t a[6])
{
	uint64_t deadline;
	int err = get_deadline(a[3], &deadline);

	if (err == 0)
		err = wait_with_mask(a[4], a[5]);
	return err < 0 ? err : wait_epoll(a, deadline);
}

/* --- eventfd, timerfd ------------------------------------------------------------------------------------------------ */

#define EFD_SEMAPHORE 1

/* Their flags are O_CLOEXEC and O_NONBLOCK. */
static int64_t install_event(int err, struct file *f, uint64_t flags)
{
	return err < 0 ? err : fd_install(f, 0, flags & O_CLOEXEC);
}

int64_t sys_eventfd2(const uint64_t a[6])
{
	struct file *f;

	if (a[1] & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	return install_event(
		eventfd_create((uint32_t)a[0], a[1] & EFD_SEMAPHORE, a[1] & O_NONBLOCK, &f), f,
		a[1]);
}

int64_t sys_timerfd_create(const uint64_t a[6])
{
	struct file *f;

	if ((a[1] & ~(uint64_t)(TFD_CLOEXEC | TFD_NONBLOCK)) ||
	    (a[0] != CLOCK_REALTIME && a[0] != CLOCK_MONOTONIC && a[0] != CLOCK_BOOTTIME))
		return -EINVAL;
	return install_event(timerfd_create(a[0] == CLOCK_REALTIME, a[1] & O_NONBLOCK, &f), f,
			     a[1]);
}

/* A struct itimerspec: the interval, then the value. */
#define INTERVAL_OFF offsetof(struct __kernel_itimerspec, it_interval)
#define VALUE_OFF    offsetof(struct __kernel_itimerspec, it_value)

static int put_setting(vaddr_t to, const struct timerfd_setting *s)
{
	int err = time_to_user(to + INTERVAL_OFF, s->interval_ns);

	return err < 0 ? err : time_to_user(to + VALUE_OFF, s->value_ns);
}

int64_t sys_timerfd_settime(const uint64_t a[6])
{
	struct timerfd_setting new, old;
	struct file *f;
	int64_t ret = time_from_user(a[2] + INTERVAL_OFF, &new.interval_ns);

	if (ret == 0)
		ret = time_from_user(a[2] + VALUE_OFF, &new.value_ns);
	if (ret < 0)
		return ret;
	if (a[1] & ~(uint64_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		return -EINVAL;
	f = fd_get(a[0]);
	if (!f)
		return -EBADF;
	ret = timerfd_set(f, &new, a[1] & TFD_TIMER_ABSTIME, a[1] & TFD_TIMER_CANCEL_ON_SET, &old);
	file_put(f);
	return ret == 0 && a[3] ? put_setting(a[3], &old) : ret;
}

int64_t sys_timerfd_gettime(const uint64_t a[6])
{
	struct file *f = fd_get(a[0]);
	struct timerfd_setting s;
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = timerfd_get(f, &s);
	file_put(f);
	return ret < 0 ? ret : put_setting(a[1], &s);
}
