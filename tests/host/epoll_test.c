/* SPDX-License-Identifier: MIT */
/* sources: fs/epoll.c fs/pipe.c fs/file.c sched/poll.c tests/host/fs_nonames.c lib/rbtree.c @tests/host/fs_env.sources */
#include "fs/epoll.h"
#include "fs/pipe.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "tests/host/fs_env.h"
#include "tests/host/test.h"
#include <linux/eventpoll.h>
#include <pthread.h>
#include <string.h>

static struct file *ep, *r, *w;
static struct epoll_event got[64];

static struct file *new_epoll(void)
{
	struct file *f;

	CHECK_EQ(file_init(), 0);
	CHECK_EQ(epoll_init(), 0);
	CHECK_EQ(epoll_create(&f), 0);
	return f;
}

static int control(struct file *e, unsigned op, struct file *f, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data = (uint64_t)fd };

	return epoll_control(e, op, f, fd, &ev);
}

static int add(struct file *f, int fd, uint32_t events)
{
	return control(ep, EPOLL_CTL_ADD, f, fd, events);
}

static int wait_for(struct file *e, int max, uint64_t deadline)
{
	struct io io;

	io_init_kernel(&io, got, (size_t)max * sizeof(got[0]));
	return epoll_wait(e, &io, max, deadline);
}

static int now(void)
{
	return wait_for(ep, 64, 0);
}

static void begin(void)
{
	ep = new_epoll();
	CHECK_EQ(pipe_create(&r, &w, FILE_NONBLOCK), 0);
}

static void end(void)
{
	file_put(ep);
	file_put(r);
	file_put(w);
	CHECK_EQ(env_objects, 0);
}

static void put_byte(void)
{
	CHECK_EQ(file_write_kernel(w, "x", 1), 1);
}

static void take_byte(void)
{
	char c;

	CHECK_EQ(file_read_kernel(r, &c, 1), 1);
}

TEST(epoll_level)
{
	begin();
	CHECK_EQ(add(r, 3, EPOLLIN), 0);
	CHECK_EQ(now(), 0);
	put_byte();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(now(), 1);
		CHECK_EQ(got[0].events, EPOLLIN);
		CHECK_EQ(got[0].data, 3);
	}
	take_byte();
	CHECK_EQ(now(), 0);
	CHECK_EQ(add(w, 4, EPOLLOUT | EPOLLIN), 0);
	CHECK_EQ(now(), 1);
	CHECK_EQ(got[0].events, EPOLLOUT);
	CHECK_EQ(control(ep, EPOLL_CTL_MOD, w, 4, EPOLLIN), 0);
	CHECK_EQ(now(), 0);
	CHECK_EQ(control(ep, EPOLL_CTL_MOD, w, 4, EPOLLOUT | EPOLLWRNORM), 0);
	CHECK_EQ(now(), 1);
	CHECK_EQ(got[0].events, EPOLLOUT | EPOLLWRNORM);
	end();
}

TEST(epoll_edge_and_once)
{
	begin();
	put_byte();
	CHECK_EQ(add(r, 3, EPOLLIN | EPOLLET), 0);
	CHECK_EQ(now(), 1);
	CHECK_EQ(now(), 0);
	put_byte();
	CHECK_EQ(now(), 1);
	CHECK_EQ(now(), 0);
	CHECK_EQ(control(ep, EPOLL_CTL_MOD, r, 3, EPOLLIN | EPOLLONESHOT), 0);
	CHECK_EQ(now(), 1);
	put_byte();
	CHECK_EQ(now(), 0);
	/* disarmed: not even the end of the pipe */
	file_put(w);
	CHECK_EQ(now(), 0);
	CHECK_EQ(control(ep, EPOLL_CTL_MOD, r, 3, EPOLLONESHOT), 0);
	CHECK_EQ(now(), 1);
	CHECK_EQ(got[0].events, EPOLLHUP);
	CHECK_EQ(now(), 0);
	file_put(r);
	file_put(ep);
	CHECK_EQ(env_objects, 0);
}

TEST(epoll_errors)
{
	struct file *other = new_epoll();
	struct epoll_event ev = { 0 };

	begin();
	CHECK_EQ(add(ep, 3, EPOLLIN), -EINVAL);
	CHECK_EQ(control(r, EPOLL_CTL_ADD, w, 3, EPOLLIN), -EINVAL);
	CHECK_EQ(control(ep, 9, w, 3, EPOLLIN), -EINVAL);
	CHECK_EQ(control(ep, EPOLL_CTL_MOD, r, 3, EPOLLIN), -ENOENT);
	CHECK_EQ(epoll_control(ep, EPOLL_CTL_DEL, r, 3, &ev), -ENOENT);
	CHECK_EQ(add(r, 3, EPOLLIN), 0);
	CHECK_EQ(add(r, 3, EPOLLIN), -EEXIST);
	CHECK_EQ(add(r, 4, EPOLLIN), 0);
	CHECK_EQ(epoll_control(ep, EPOLL_CTL_DEL, r, 3, &ev), 0);
	CHECK_EQ(add(other, 5, EPOLLIN | EPOLLEXCLUSIVE), -EINVAL);
	CHECK_EQ(add(w, 5, EPOLLIN | EPOLLONESHOT | EPOLLEXCLUSIVE), -EINVAL);
	CHECK_EQ(add(w, 5, EPOLLIN | EPOLLEXCLUSIVE), 0);
	CHECK_EQ(control(ep, EPOLL_CTL_MOD, w, 5, EPOLLOUT), -EINVAL);
	alloc_fail_after(1);
	CHECK_EQ(add(w, 6, EPOLLIN), -ENOMEM);
	alloc_fail_after(0);
	file_put(other);
	end();
}

/* The buffer is bad: the events are there for the next who asks. */
TEST(epoll_bad_buffer)
{
	struct io_segment bad = { ENV_BAD_ADDRESS, sizeof(got) };
	struct io io;

	begin();
	put_byte();
	CHECK_EQ(add(r, 3, EPOLLIN | EPOLLET), 0);
	io_init_segments(&io, &bad, 1, true);
	CHECK_EQ(epoll_wait(ep, &io, 4, 0), -EFAULT);
	CHECK_EQ(now(), 1);
	CHECK_EQ(now(), 0);
	end();
}

/* RC-012: a watched file goes, the epoll stays; and the other way round. */
TEST(epoll_outlives_files)
{
	begin();
	CHECK_EQ(add(r, 3, EPOLLIN), 0);
	CHECK_EQ(add(r, 4, EPOLLIN), 0);
	put_byte();
	CHECK_EQ(now(), 2);
	file_put(r);
	file_put(w);
	CHECK_EQ(now(), 0);
	CHECK_EQ(pipe_create(&r, &w, 0), 0);
	CHECK_EQ(add(r, 3, EPOLLIN), 0);
	put_byte();
	end();
}

TEST(epoll_rounds)
{
	struct file *rr[8], *ww[8];
	uint64_t seen = 0;

	ep = new_epoll();
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(pipe_create(&rr[i], &ww[i], FILE_NONBLOCK), 0);
		CHECK_EQ(add(rr[i], i, EPOLLIN), 0);
		CHECK_EQ(file_write_kernel(ww[i], "x", 1), 1);
	}
	/* three at a time, nobody starves */
	for (int k = 0; k < 3; k++) {
		CHECK_EQ(wait_for(ep, 3, 0), 3);
		for (int i = 0; i < 3; i++)
			seen |= 1u << got[i].data;
	}
	CHECK_EQ(seen, 0xff);
	for (int i = 0; i < 8; i++) {
		file_put(rr[i]);
		file_put(ww[i]);
	}
	file_put(ep);
	CHECK_EQ(env_objects, 0);
}

TEST(epoll_nesting)
{
	struct file *chain[6];

	begin();
	for (int i = 0; i < 6; i++)
		chain[i] = new_epoll();
	CHECK_EQ(control(chain[0], EPOLL_CTL_ADD, r, 1, EPOLLIN), 0);
	for (int i = 1; i < 5; i++)
		CHECK_EQ(control(chain[i], EPOLL_CTL_ADD, chain[i - 1], 1, EPOLLIN), 0);
	CHECK_EQ(control(chain[5], EPOLL_CTL_ADD, chain[4], 1, EPOLLIN), -EINVAL);
	CHECK_EQ(control(chain[0], EPOLL_CTL_ADD, chain[4], 1, EPOLLIN), -ELOOP);
	CHECK_EQ(control(chain[0], EPOLL_CTL_ADD, chain[1], 1, EPOLLIN), -ELOOP);
	CHECK_EQ(control(chain[0], EPOLL_CTL_ADD, chain[5], 1, EPOLLIN), -EINVAL);
	CHECK_EQ(file_poll(chain[4]), 0);
	CHECK_EQ(wait_for(chain[4], 1, 0), 0);
	put_byte();
	CHECK_EQ(file_poll(chain[4]), POLL_IN);
	CHECK_EQ(wait_for(chain[4], 1, 0), 1);
	take_byte();
	/* what was said below is no longer so, and nobody has collected it */
	CHECK_EQ(file_poll(chain[4]), 0);
	CHECK_EQ(wait_for(chain[4], 1, 0), 0);
	put_byte();
	file_put(chain[2]);
	CHECK_EQ(wait_for(chain[4], 1, 0), 0);
	CHECK_EQ(control(chain[4], EPOLL_CTL_MOD, chain[3], 1, EPOLLIN), 0);
	CHECK_EQ(wait_for(chain[4], 1, 0), 0);
	for (int i = 0; i < 6; i++)
		if (i != 2)
			file_put(chain[i]);
	end();
}

/* Level-triggered items against a model that asks every file, over random operations. */
TEST(epoll_matches_model)
{
	enum { PIPES = 6, FDS = 2 };
	struct file *rr[PIPES], *ww[PIPES];
	uint32_t want[PIPES][FDS] = { { 0 } };
	bool in[PIPES][FDS] = { { 0 } };
	char buf[4096];

	ep = new_epoll();
	memset(buf, 0, sizeof(buf));
	for (int i = 0; i < PIPES; i++)
		CHECK_EQ(pipe_create(&rr[i], &ww[i], FILE_NONBLOCK), 0);
	for (int k = 0; k < 20000 * test_scale; k++) {
		int p = (int)test_below(PIPES), d = (int)test_below(FDS), expect = 0, n;
		struct file *f = d ? ww[p] : rr[p];
		uint32_t events = (uint32_t)(test_below(2) * EPOLLIN + test_below(2) * EPOLLOUT);

		switch (test_below(6)) {
		case 0:
			CHECK_EQ(add(f, d, events), in[p][d] ? -EEXIST : 0);
			want[p][d] = in[p][d] ? want[p][d] : events;
			in[p][d] = true;
			break;
		case 1:
			CHECK_EQ(control(ep, EPOLL_CTL_MOD, f, d, events), in[p][d] ? 0 : -ENOENT);
			want[p][d] = in[p][d] ? events : 0;
			break;
		case 2:
			CHECK_EQ(control(ep, EPOLL_CTL_DEL, f, d, 0), in[p][d] ? 0 : -ENOENT);
			in[p][d] = false;
			break;
		case 3:
			(void)!file_write_kernel(ww[p], buf, 1 + test_below(sizeof(buf)));
			break;
		case 4:
			(void)!file_read_kernel(rr[p], buf, 1 + test_below(sizeof(buf)));
			break;
		default:
			for (int i = 0; i < PIPES; i++)
				for (int j = 0; j < FDS; j++)
					expect += in[i][j] &&
						  (file_poll(j ? ww[i] : rr[i]) & want[i][j]);
			n = now();
			CHECK_EQ(n, expect);
		}
	}
	file_put(ep);
	for (int i = 0; i < PIPES; i++) {
		file_put(rr[i]);
		file_put(ww[i]);
	}
	CHECK_EQ(env_objects, 0);
}

static void *writer(void *arg)
{
	for (int i = 0; i < 2000; i++)
		while (file_write_kernel(w, "x", 1) != 1)
			;
	return arg;
}

/* Edge-triggered, another thread writes: no byte is left behind unannounced. */
TEST(epoll_edge_with_a_writer)
{
	pthread_t t;
	char buf[64];
	int bytes = 0;

	begin();
	CHECK_EQ(add(r, 3, EPOLLIN | EPOLLET), 0);
	CHECK_EQ(pthread_create(&t, NULL, writer, NULL), 0);
	while (bytes < 2000) {
		ssize_t n;

		CHECK_EQ(wait_for(ep, 1, DEADLINE_NEVER), 1);
		while ((n = file_read_kernel(r, buf, sizeof(buf))) > 0)
			bytes += (int)n;
	}
	pthread_join(t, NULL);
	env_signal = -ERESTARTSYS;
	CHECK_EQ(wait_for(ep, 1, DEADLINE_NEVER), -EINTR);
	end();
}

/* Layers of epolls, each watched by all of the layer above: the ways from bottom to top are the product. ADD refuses before
 * a notification would have too many to go, and says so in time itself. */
TEST(epoll_ways)
{
	enum { LAYERS = 5, WIDE = 12 };
	static struct file *e[LAYERS][WIDE];
	int refused = 0, made = 0;

	begin();
	for (int k = 0; k < LAYERS * WIDE; k++)
		e[k / WIDE][k % WIDE] = new_epoll();
	CHECK_EQ(control(e[0][0], EPOLL_CTL_ADD, r, 1, EPOLLIN), 0);
	for (int l = 1; l < LAYERS; l++)
		for (int k = 0; k < WIDE * WIDE; k++) {
			int err = control(e[l][k / WIDE], EPOLL_CTL_ADD, e[l - 1][k % WIDE], k,
					  EPOLLIN);

			CHECK(err == 0 || err == -EINVAL);
			made += !err;
			refused += err == -EINVAL;
		}
	/* 12 + 12 * 12 ways up to the layer above the next are few, the next layer's are not */
	CHECK(made >= 2 * WIDE * WIDE && refused > WIDE);
	put_byte();
	CHECK_EQ(wait_for(e[1][0], 1, 0), 1);
	for (int k = 0; k < LAYERS * WIDE; k++)
		file_put(e[k / WIDE][k % WIDE]);
	end();
}

/* A thousand may watch one, and one may watch thousands. */
TEST(epoll_wide)
{
	enum { MANY = 1000, MORE = 3000 };
	static struct file *above[MANY], *below[MORE];
	struct file *top = new_epoll();

	begin();
	for (int k = 0; k < MANY; k++) {
		above[k] = new_epoll();
		CHECK_EQ(control(above[k], EPOLL_CTL_ADD, ep, 1, EPOLLIN), 0);
	}
	CHECK_EQ(control(top, EPOLL_CTL_ADD, ep, 1, EPOLLIN), -EINVAL);
	for (int k = 0; k < MORE; k++) {
		below[k] = new_epoll();
		CHECK_EQ(control(top, EPOLL_CTL_ADD, below[k], k, EPOLLIN), 0);
	}
	file_put(above[0]);
	CHECK_EQ(control(top, EPOLL_CTL_ADD, ep, 1, EPOLLIN), 0);
	for (int k = 1; k < MANY; k++)
		file_put(above[k]);
	for (int k = 0; k < MORE; k++)
		file_put(below[k]);
	file_put(top);
	end();
}

/* Each time it is not told of both, it counts. */
static void *collector(void *arg)
{
	struct epoll_event events[4];
	intptr_t missed = 0;
	struct io io;

	pthread_barrier_wait(arg);
	for (int i = 0; i < 50000; i++) {
		io_init_kernel(&io, events, sizeof(events));
		missed += epoll_wait(ep, &io, 4, 0) != 2;
	}
	return (void *)missed;
}

/* Two epolls in one, both ready, and threads that all ask at once: everyone is told of both, each once. */
TEST(epoll_nested_collectors)
{
	struct file *below[2];
	pthread_barrier_t barrier;
	pthread_t t[3];
	void *missed;

	pthread_barrier_init(&barrier, NULL, 3);
	begin();
	put_byte();
	for (int k = 0; k < 2; k++) {
		below[k] = new_epoll();
		CHECK_EQ(control(below[k], EPOLL_CTL_ADD, r, 1, EPOLLIN), 0);
		CHECK_EQ(add(below[k], k, EPOLLIN), 0);
	}
	for (int k = 0; k < 3; k++)
		CHECK_EQ(pthread_create(&t[k], NULL, collector, &barrier), 0);
	for (int k = 0; k < 3; k++) {
		pthread_join(t[k], &missed);
		CHECK_EQ((intptr_t)missed, 0);
	}
	pthread_barrier_destroy(&barrier);
	for (int k = 0; k < 2; k++)
		file_put(below[k]);
	end();
}

static struct poll_source late_source;
static uint32_t late_state;
static bool late; /* it becomes ready just after the next answer */

static uint32_t late_poll(struct file *f)
{
	uint32_t answer = late_state;

	if (late) {
		late = false;
		late_state = POLL_IN;
		poll_notify(&late_source, POLL_IN);
	}
	return answer;
}

/* What has been read is still listed: the next notification may come while it is found not to be ready. */
TEST(epoll_notified_while_it_leaves)
{
	static const struct file_ops late_ops = { .name = "late", .poll = late_poll };
	struct file *f;

	begin();
	poll_source_init(&late_source);
	f = file_create(&late_ops, FILE_RDWR, &late_source, NULL);
	CHECK(f);
	late_state = POLL_IN;
	CHECK_EQ(add(f, 1, EPOLLIN), 0);
	CHECK_EQ(now(), 1);
	late_state = 0;
	late = true;
	CHECK_EQ(now(), 1);
	/* nor if it is an epoll that is asked */
	late_state = 0;
	late = true;
	CHECK_EQ(file_poll(ep), POLL_IN);
	CHECK_EQ(now(), 1);
	late_state = 0;
	CHECK_EQ(now(), 0);
	/* nor is an edge lost that comes as the one before is told */
	late_state = POLL_IN;
	CHECK_EQ(control(ep, EPOLL_CTL_MOD, f, 1, EPOLLIN | EPOLLET), 0);
	late = true;
	CHECK_EQ(wait_for(ep, 1, 0), 1);
	CHECK_EQ(now(), 1);
	CHECK_EQ(now(), 0);
	file_put(f);
	end();
}

/* Where a notification lets interrupts in, behind the 32nd. */
static void leave_at_pause(spinlock_t *l)
{
	if (l->cls == LOCK_POLLSRC)
		CHECK_EQ(control(ep, EPOLL_CTL_DEL, r, 32, 0), 0);
	else
		env_unlock_hook = leave_at_pause;
}

/* RC-017: the watch that a notification was at goes meanwhile, and is freed; those behind it are told. */
TEST(epoll_watch_leaves_while_notified)
{
	begin();
	for (int fd = 1; fd <= 40; fd++)
		CHECK_EQ(add(r, fd, EPOLLIN), 0);
	env_unlock_hook = leave_at_pause;
	put_byte();
	CHECK(!env_unlock_hook);
	CHECK_EQ(now(), 39);
	end();
}
