/* SPDX-License-Identifier: MIT */
/* epoll under threads of several CPUs: nothing that becomes ready is missed, through two levels, while watches come and
 * go and watched files are closed (RC-012, RC-021, N12). */
#include "fs/epoll.h"
#include <linux/eventpoll.h>
#include "fs/event.h"
#include "fs/pipe.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define ALL_CPUS (~(cpumask_t)0)
#define PIPES	 6

struct storm {
	struct file *outer, *inner;
	struct file *r[PIPES], *w[PIPES];
	uint64_t bytes;	  /* each writer's */
	uint64_t read;	  /* [atomic] */
	uint32_t writers; /* [atomic] */
};

static int control(struct file *e, unsigned op, struct file *f, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data = (uint64_t)fd };

	return epoll_control(e, op, f, fd, &ev);
}

static int wait_on(struct file *e, struct epoll_event *ev, int max, uint64_t deadline)
{
	struct io io;

	io_init_kernel(&io, ev, (size_t)max * sizeof(*ev));
	return epoll_wait(e, &io, max, deadline);
}

static void storm_writer(void *arg)
{
	struct storm *s = arg;
	uint64_t seed = kt_seed() + atomic_fetch_add(&s->writers, 1) + 1;

	for (uint64_t i = 0; i < s->bytes; i++) {
		KT_CHECK(file_write_kernel(s->w[crew_random(&seed) % PIPES], "x", 1) == 1);
		if (crew_random(&seed) % 8 == 0)
			sched_yield();
	}
	atomic_fetch_sub(&s->writers, 1);
}

static bool all_read(struct storm *s)
{
	return atomic_load_acquire(&s->read) >= 2 * s->bytes;
}

static void storm_reader(void *arg)
{
	struct storm *s = arg;
	struct epoll_event ev[4] = { 0 };
	char buf[16];

	while (!all_read(s)) {
		int n = wait_on(s->outer, ev, 1, crew_hang_deadline());

		KT_CHECK(n == 1);
		if (n != 1)
			break;
		n = wait_on(s->inner, ev, 4, 0);
		KT_CHECK(n >= 0);
		for (int i = 0; i < n; i++) {
			ssize_t got;

			/* the meddler's own, which is gone */
			if (ev[i].data == PIPES)
				continue;
			got = file_read_kernel(s->r[ev[i].data], buf, sizeof(buf));
			KT_CHECK(got > 0 || got == -EAGAIN);
			if (got > 0)
				atomic_fetch_add(&s->read, (uint64_t)got);
		}
	}
	/* the other may be asleep */
	KT_CHECK(file_write_kernel(s->w[0], "y", 1) == 1);
}

/* Watches come and go; so do files that are watched under way. */
static void storm_meddler(void *arg)
{
	struct storm *s = arg;
	uint64_t seed = kt_seed() | 1;
	struct file *r, *w;

	while (!all_read(s)) {
		int p = (int)(crew_random(&seed) % PIPES);

		KT_CHECK(control(s->inner, EPOLL_CTL_DEL, s->r[p], p, 0) == 0);
		KT_CHECK(pipe_create(&r, &w, FILE_NONBLOCK) == 0);
		KT_CHECK(control(s->inner, EPOLL_CTL_ADD, r, PIPES, EPOLLIN | EPOLLET) == 0);
		KT_CHECK(control(s->outer, EPOLL_CTL_ADD, w, PIPES, EPOLLERR) == 0);
		KT_CHECK(control(s->inner, EPOLL_CTL_ADD, s->r[p], p, EPOLLIN) == 0);
		file_put(w);
		file_put(r);
		KT_CHECK(control(s->inner, EPOLL_CTL_ADD, s->outer, 1, EPOLLIN) == -ELOOP);
	}
}

KTEST(epoll_storm)
{
	struct storm s = { .bytes = 2000 * kt_scale() };
	struct crew crew = { 0 };

	KT_CHECK(epoll_create(&s.outer) == 0 && epoll_create(&s.inner) == 0);
	KT_CHECK(control(s.outer, EPOLL_CTL_ADD, s.inner, 0, EPOLLIN) == 0);
	for (int i = 0; i < PIPES; i++) {
		KT_CHECK(pipe_create(&s.r[i], &s.w[i], FILE_NONBLOCK) == 0);
		KT_CHECK(control(s.inner, EPOLL_CTL_ADD, s.r[i], i, EPOLLIN) == 0);
	}
	crew_add(&crew, storm_reader, &s, ALL_CPUS);
	crew_add(&crew, storm_reader, &s, ALL_CPUS);
	crew_add(&crew, storm_meddler, &s, ALL_CPUS);
	crew_add(&crew, storm_writer, &s, ALL_CPUS);
	crew_add(&crew, storm_writer, &s, ALL_CPUS);
	crew_join(&crew);
	for (int i = 0; i < PIPES; i++) {
		file_put(s.r[i]);
		file_put(s.w[i]);
	}
	file_put(s.inner);
	file_put(s.outer);
}

/* Which epoll's lock is the outer one is a matter of who watches whom, and may change: I-LOCK-6. */
KTEST(epoll_turned_around)
{
	struct epoll_event ev[2] = { 0 };
	struct file *ep[2], *r, *w;

	KT_CHECK(pipe_create(&r, &w, FILE_NONBLOCK) == 0);
	KT_CHECK(file_write_kernel(w, "x", 1) == 1);
	for (int i = 0; i < 2; i++) {
		KT_CHECK(epoll_create(&ep[i]) == 0);
		KT_CHECK(control(ep[i], EPOLL_CTL_ADD, r, 0, EPOLLIN) == 0);
	}
	for (int i = 0; i < 4; i++) {
		KT_CHECK(control(ep[i % 2], EPOLL_CTL_ADD, ep[!(i % 2)], 1, EPOLLIN) == 0);
		KT_CHECK(wait_on(ep[i % 2], ev, 2, 0) == 2);
		KT_CHECK(control(ep[i % 2], EPOLL_CTL_DEL, ep[!(i % 2)], 1, 0) == 0);
	}
	for (int i = 0; i < 2; i++)
		file_put(ep[i]);
	file_put(r);
	file_put(w);
}

struct sleeper {
	struct file *epoll;
	int got;
};

static void sleeper_fn(void *arg)
{
	struct sleeper *s = arg;
	struct epoll_event ev = { 0 };

	s->got = wait_on(s->epoll, &ev, 1, DEADLINE_NEVER);
}

/* Of many epolls that watch exclusively, one wakes up; of all that do not, each. */
static unsigned woken_by_one_byte(uint32_t flag)
{
	enum { N = 40 };
	static struct sleeper s[N];
	struct thread *t[N];
	struct file *r, *w;
	unsigned woken = 0;

	KT_CHECK(pipe_create(&r, &w, FILE_NONBLOCK) == 0);
	for (int i = 0; i < N; i++) {
		KT_CHECK(epoll_create(&s[i].epoll) == 0);
		KT_CHECK(control(s[i].epoll, EPOLL_CTL_ADD, r, 3, EPOLLIN | flag) == 0);
		t[i] = thread_create("sleeper", sleeper_fn, &s[i], KSTACK_SIZE);
		KT_CHECK(t[i]);
		thread_start(t[i]);
		crew_await_asleep(t[i]);
	}
	KT_CHECK(file_write_kernel(w, "x", 1) == 1);
	for (int i = 0; i < N; i++) {
		/* N2: the others are still there, and can be killed */
		thread_notify(t[i], NOTIFY_KILL | NOTIFY_SIGNAL);
		thread_join(t[i]);
		thread_put(t[i]);
		woken += s[i].got == 1;
		file_put(s[i].epoll);
	}
	file_put(r);
	file_put(w);
	return woken;
}

KTEST(epoll_exclusive)
{
	KT_CHECK(woken_by_one_byte(EPOLLEXCLUSIVE) == 1);
	KT_CHECK(woken_by_one_byte(0) == 40);
}

/* What read() would give is there for poll() too: the interrupt may come late, as on a CPU that a host has halted. */
KTEST(timer_is_ready_before_its_interrupt)
{
	const struct timerfd_setting soon = { NS_PER_MS, 0 };
	struct timerfd_setting old;
	struct file *f;
	uint32_t events;
	irqflags_t irq;
	int err;

	KT_CHECK(timerfd_create(false, 0, &f) == 0);
	irq = arch_irq_save();
	err = timerfd_set(f, &soon, false, false, &old);
	clock_spin_ns(NS_PER_MS);
	events = file_poll(f);
	arch_irq_restore(irq);
	KT_CHECK(err == 0 && events == POLL_IN);
	file_put(f);
}
