/* SPDX-License-Identifier: MIT */
/* Pipes under real threads on several CPUs: order, wake-ups, whole small writes, ends, kills, readiness. */
#include "fs/pipe.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define ALL_CPUS (~(cpumask_t)0)

static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos * 167 + (pos >> 8));
}

struct stream {
	struct file *r, *w;
	uint64_t total;
};

static void stream_writer(void *arg)
{
	struct stream *s = arg;
	uint8_t *buf = kmalloc(100000);
	uint64_t done = 0, seed = kt_seed() | 1;

	KT_CHECK(buf);
	while (buf && done < s->total) {
		size_t n =
			MIN((size_t)(crew_random(&seed) % 100000 + 1), (size_t)(s->total - done));

		for (size_t k = 0; k < n; k++)
			buf[k] = byte_at(done + k);
		KT_CHECK(file_write_kernel(s->w, buf, n) == (ssize_t)n);
		done += n;
	}
	kfree(buf);
	file_put(s->w);
}

KTEST(pipe_stream)
{
	struct stream s = { .total = 2000000 * kt_scale() };
	struct crew crew = { 0 };
	uint64_t pos = 0, wrong = 0;
	uint8_t buf[300];
	ssize_t n;

	KT_CHECK(pipe_create(&s.r, &s.w, 0) == 0);
	crew_add(&crew, stream_writer, &s, ALL_CPUS);
	while ((n = file_read_kernel(s.r, buf, sizeof(buf))) > 0)
		for (ssize_t k = 0; k < n; k++)
			wrong += buf[k] != byte_at(pos++);
	KT_CHECK(n == 0);
	KT_CHECK(wrong == 0);
	KT_CHECK(pos == s.total);
	crew_join(&crew);
	file_put(s.r);
}

struct pingpong {
	struct file *to_r, *to_w, *back_r, *back_w;
	uint64_t rounds;
};

static void echo_fn(void *arg)
{
	struct pingpong *p = arg;
	uint64_t v;

	while (file_read_kernel(p->to_r, &v, sizeof(v)) == sizeof(v))
		KT_CHECK(file_write_kernel(p->back_w, &v, sizeof(v)) == sizeof(v));
}

/* One message at a time: a lost wake-up hangs it. */
KTEST(pipe_pingpong)
{
	struct pingpong p = { .rounds = 300 * kt_scale() };
	struct crew crew = { 0 };
	uint64_t v;

	KT_CHECK(pipe_create(&p.to_r, &p.to_w, 0) == 0);
	KT_CHECK(pipe_create(&p.back_r, &p.back_w, 0) == 0);
	crew_add(&crew, echo_fn, &p, ALL_CPUS);
	for (uint64_t i = 0; i < p.rounds; i++) {
		KT_CHECK(file_write_kernel(p.to_w, &i, sizeof(i)) == sizeof(i));
		KT_CHECK(file_read_kernel(p.back_r, &v, sizeof(v)) == sizeof(v));
		KT_CHECK(v == i);
	}
	file_put(p.to_w);
	crew_join(&crew);
	file_put(p.to_r);
	file_put(p.back_r);
	file_put(p.back_w);
}

enum { LINE = 100 };

static void line_writer(void *arg)
{
	struct file *w = arg;
	char line[LINE];

	memset(line, 'a' + (current_base()->id & 15), sizeof(line));
	for (uint64_t i = 0; i < 500 * kt_scale(); i++)
		KT_CHECK(file_write_kernel(w, line, sizeof(line)) == sizeof(line));
	file_put(w);
}

KTEST(pipe_small_writes_are_whole)
{
	struct crew crew = { 0 };
	struct file *r, *w;
	uint64_t lines = 0, mixed = 0;
	char line[LINE];
	size_t got = 0;
	ssize_t n;

	KT_CHECK(pipe_create(&r, &w, 0) == 0);
	for (int i = 0; i < 4; i++)
		crew_add(&crew, line_writer, file_get(w), ALL_CPUS);
	file_put(w);
	while ((n = file_read_kernel(r, line + got, LINE - got)) > 0) {
		got += (size_t)n;
		if (got < LINE)
			continue;
		for (int k = 1; k < LINE; k++)
			mixed += line[k] != line[0];
		lines++;
		got = 0;
	}
	KT_CHECK(lines == 4 * 500 * kt_scale());
	KT_CHECK(mixed == 0);
	crew_join(&crew);
	file_put(r);
}

/* MS-007, RC-019: what is on its way goes with the pipe; the harness compares the accounts. */
KTEST(pipe_closed_full)
{
	static char buf[PIPE_SIZE];
	struct file *r, *w;

	for (uint64_t i = 0; i < 300 * kt_scale(); i++) {
		KT_CHECK(pipe_create(&r, &w, FILE_NONBLOCK) == 0);
		KT_CHECK(file_write_kernel(w, buf, sizeof(buf)) == sizeof(buf));
		file_put(i % 2 ? r : w);
		file_put(i % 2 ? w : r);
	}
}

struct blocked {
	struct file *f;
	bool write;
	ssize_t result;
};

static void block_fn(void *arg)
{
	static char buf[PIPE_SIZE];
	struct blocked *b = arg;

	if (b->write)
		b->result = file_write_kernel(b->f, buf, PIPE_SIZE + 1);
	else
		b->result = file_read_kernel(b->f, buf, 1);
}

/* N2: a thread that waits in a read or a write ends when it is killed. */
static void kill_blocked(struct blocked *b)
{
	struct thread *t = thread_create("blocked", block_fn, b, KSTACK_SIZE);

	KT_CHECK(t);
	thread_start(t);
	crew_await_asleep(t);
	thread_notify(t, NOTIFY_KILL | NOTIFY_SIGNAL);
	thread_join(t);
	thread_put(t);
}

KTEST(pipe_killed_while_waiting)
{
	struct blocked b = { .result = 1 };
	struct file *r, *w;

	KT_CHECK(pipe_create(&r, &w, 0) == 0);
	b.f = r;
	kill_blocked(&b);
	KT_CHECK(b.result == -ERESTARTSYS || b.result == -EINTR);
	b.f = w;
	b.write = true;
	kill_blocked(&b);
	KT_CHECK(b.result == PIPE_SIZE);
	file_put(r);
	file_put(w);
}

static void slow_writer(void *arg)
{
	struct file *w = arg;

	(void)sleep_until(clock_now_ns() + 2 * NS_PER_MS, WAIT_UNINTERRUPTIBLE);
	KT_CHECK(file_write_kernel(w, "x", 1) == 1);
}

/* RC-021: one sleep for many sources; the one that becomes ready is the one named. */
KTEST(pipe_poll)
{
	struct file *r[4], *w[4];
	struct poll_watch watch[4];
	struct poller poller;
	struct crew crew = { 0 };
	struct poll_watch *ready;
	uint32_t events;

	poller_init(&poller);
	for (int i = 0; i < 4; i++) {
		KT_CHECK(pipe_create(&r[i], &w[i], 0) == 0);
		poll_watch_add(&poller, &watch[i], r[i]->source, POLL_IN, r[i]);
		KT_CHECK(file_poll(r[i]) == 0);
	}
	crew_add(&crew, slow_writer, w[2], ALL_CPUS);
	KT_CHECK(poller_wait(&poller, WAIT_INTERRUPTIBLE, crew_hang_deadline()) == 0);
	ready = poller_next(&poller, &events);
	KT_CHECK(ready == &watch[2]);
	KT_CHECK(file_poll(r[2]) == POLL_IN);
	KT_CHECK(file_poll(r[1]) == 0);
	crew_join(&crew);
	file_put(w[0]);
	KT_CHECK(poller_wait(&poller, WAIT_INTERRUPTIBLE, crew_hang_deadline()) == 0);
	KT_CHECK(poller_next(&poller, &events) == &watch[0]);
	KT_CHECK(file_poll(r[0]) == POLL_HUP);
	for (int i = 0; i < 4; i++) {
		poll_watch_remove(&watch[i]);
		file_put(r[i]);
		if (i)
			file_put(w[i]);
	}
}
