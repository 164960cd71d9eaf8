/* SPDX-License-Identifier: MIT */
/* sources: fs/pipe.c fs/file.c tests/host/fs_nonames.c @tests/host/fs_env.sources */
#include "fs/pipe.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "tests/host/fs_env.h"
#include "tests/host/test.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct file *r, *w;

static void new_pipe(uint32_t flags)
{
	CHECK_EQ(file_init(), 0);
	CHECK_EQ(pipe_create(&r, &w, flags), 0);
}

static void close_both(void)
{
	file_put(r);
	file_put(w);
	CHECK_EQ(env_objects, 0);
	CHECK_EQ(env_pages, 0);
}

TEST(pipe_bytes_in_order)
{
	char buf[16];

	new_pipe(0);
	CHECK_EQ(file_poll(r), 0);
	CHECK_EQ(file_poll(w), POLL_OUT);
	CHECK_EQ(file_write_kernel(w, "hello", 5), 5);
	CHECK_EQ(file_poll(r), POLL_IN);
	CHECK_EQ(file_read_kernel(r, buf, 3), 3);
	CHECK_EQ(file_write_kernel(w, " all", 4), 4);
	CHECK_EQ(file_read_kernel(r, buf + 3, sizeof(buf) - 3), 6);
	CHECK_MEM(buf, "hello all", 9);
	CHECK_EQ(file_read_kernel(w, buf, 1), -EBADF);
	CHECK_EQ(file_write_kernel(r, buf, 1), -EBADF);
	CHECK_EQ(file_read_kernel(r, buf, 0), 0);
	close_both();
}

TEST(pipe_ends)
{
	char buf[4];

	new_pipe(0);
	CHECK_EQ(file_write_kernel(w, "x", 1), 1);
	file_put(w);
	CHECK_EQ(file_poll(r), POLL_IN | POLL_HUP);
	CHECK_EQ(file_read_kernel(r, buf, 4), 1);
	CHECK_EQ(file_read_kernel(r, buf, 4), 0);
	CHECK_EQ(file_poll(r), POLL_HUP);
	file_put(r);
	new_pipe(0);
	file_put(r);
	CHECK_EQ(file_poll(w), POLL_OUT | POLL_ERR);
	CHECK_EQ(file_write_kernel(w, "x", 1), -EPIPE);
	file_put(w);
	CHECK_EQ(env_objects, 0);
}

TEST(pipe_nonblocking_and_whole_small_writes)
{
	static char buf[PIPE_SIZE + 100];

	new_pipe(FILE_NONBLOCK);
	CHECK_EQ(file_read_kernel(r, buf, 1), -EAGAIN);
	CHECK_EQ(file_write_kernel(w, buf, PIPE_SIZE + 100), PIPE_SIZE);
	CHECK_EQ(file_poll(w), 0);
	CHECK_EQ(file_write_kernel(w, buf, 1), -EAGAIN);
	CHECK_EQ(file_read_kernel(r, buf, 4095), 4095);
	CHECK_EQ(file_write_kernel(w, buf, 4096), -EAGAIN);
	CHECK_EQ(file_poll(w), 0);
	CHECK_EQ(file_read_kernel(r, buf, 1), 1);
	CHECK_EQ(file_poll(w), POLL_OUT);
	CHECK_EQ(file_write_kernel(w, buf, 4096), 4096);
	CHECK_EQ(file_read_kernel(r, buf, sizeof(buf)), PIPE_SIZE);
	close_both();
}

TEST(pipe_signal_ends_the_wait)
{
	static char buf[PIPE_SIZE + 1];

	new_pipe(0);
	env_signal = -ERESTARTSYS;
	CHECK_EQ(file_read_kernel(r, buf, 1), -ERESTARTSYS);
	CHECK_EQ(file_write_kernel(w, buf, PIPE_SIZE + 1), PIPE_SIZE);
	CHECK_EQ(file_write_kernel(w, buf, 1), -ERESTARTSYS);
	close_both();
}

/* MS-007: what is in the pipe goes with it; and pages go when they have been read. */
TEST(pipe_pages_come_and_go)
{
	static char buf[PIPE_SIZE];

	new_pipe(FILE_NONBLOCK);
	CHECK_EQ(env_pages, 0);
	CHECK_EQ(file_write_kernel(w, buf, 100), 100);
	CHECK_EQ(env_pages, 1);
	CHECK_EQ(file_write_kernel(w, buf, PIPE_SIZE - 100), PIPE_SIZE - 100);
	CHECK_EQ(env_pages, PIPE_SIZE / PAGE_SIZE);
	CHECK_EQ(file_read_kernel(r, buf, 3 * PAGE_SIZE), 3 * PAGE_SIZE);
	CHECK_EQ(env_pages, PIPE_SIZE / PAGE_SIZE - 3);
	close_both();
}

TEST(pipe_no_memory)
{
	static char buf[PIPE_SIZE];

	CHECK_EQ(file_init(), 0);
	for (int i = 1; i <= 3; i++) {
		alloc_fail_after((uint64_t)i);
		CHECK_EQ(pipe_create(&r, &w, 0), -ENOMEM);
		CHECK_EQ(env_objects, 0);
	}
	new_pipe(0);
	CHECK_EQ(file_write_kernel(w, buf, 4000), 4000);
	alloc_fail_after(1);
	CHECK_EQ(file_write_kernel(w, buf, 200), -ENOMEM);
	CHECK_EQ(file_read_kernel(r, buf, 9000), 4000);
	alloc_fail_after(3);
	/* fails in the middle, once: the write goes on */
	CHECK_EQ(file_write_kernel(w, buf, PIPE_SIZE), PIPE_SIZE);
	close_both();
}

TEST(pipe_bad_address)
{
	struct io_segment seg[2] = { { (uintptr_t) "abc", 3 }, { ENV_BAD_ADDRESS, 5 } };
	struct io io;
	char buf[10];

	new_pipe(FILE_NONBLOCK);
	io_init_segments(&io, seg, 2, true);
	CHECK_EQ(file_write(w, &io), 3);
	io_init_segments(&io, seg + 1, 1, true);
	CHECK_EQ(file_write(w, &io), -EFAULT);
	io_init_segments(&io, seg + 1, 1, true);
	CHECK_EQ(file_read(r, &io), -EFAULT);
	CHECK_EQ(file_read_kernel(r, buf, 10), 3);
	close_both();
}

/* Random sizes against a running count: every byte is its position's. */
static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos * 167 + (pos >> 8));
}

TEST(pipe_random_sizes)
{
	static uint8_t buf[PIPE_SIZE + 4096];
	uint64_t in = 0, out = 0;

	new_pipe(FILE_NONBLOCK);
	for (int i = 0; i < 20000 * test_scale; i++) {
		size_t n = test_below(3) ? test_below(5000) : test_below(sizeof(buf));
		size_t room = PIPE_SIZE - (in - out);
		ssize_t got;

		if (test_below(2)) {
			for (size_t k = 0; k < n; k++)
				buf[k] = byte_at(in + k);
			got = file_write_kernel(w, buf, n);
			if (n <= room)
				CHECK_EQ(got, n);
			else
				CHECK_EQ(got,
					 n <= PIPE_ATOMIC || room == 0 ? -EAGAIN : (ssize_t)room);
			in += got > 0 ? (uint64_t)got : 0;
		} else {
			got = file_read_kernel(r, buf, n);
			if (n > 0 && in == out)
				CHECK_EQ(got, -EAGAIN);
			else
				CHECK_EQ(got, MIN(n, (size_t)(in - out)));
			for (ssize_t k = 0; k < got; k++)
				CHECK_EQ(buf[k], byte_at(out + (uint64_t)k));
			out += got > 0 ? (uint64_t)got : 0;
		}
	}
	close_both();
}

enum { LINES = 3000, LINE = 100 };

static void *write_lines(void *arg)
{
	char line[LINE];

	for (int i = 0; i < LINES; i++) {
		memset(line, (int)(intptr_t)arg, sizeof(line));
		CHECK_EQ(file_write_kernel(w, line, sizeof(line)), sizeof(line));
	}
	return NULL;
}

/* Another size at any moment: every byte stays, in order, and no more get in than the size says. */
TEST(pipe_random_resizes)
{
	static uint8_t buf[1 << 19];
	uint64_t written = 0, read = 0, size = PIPE_SIZE, x = test_seed | 1;

	new_pipe(FILE_NONBLOCK);
	CHECK_EQ(pipe_size(r), PIPE_SIZE);
	for (int i = 0; i < 4000 * test_scale; i++) {
		size_t n = 1 + test_below(i % 3 ? 3000 : 200000);
		uint64_t want = 1UL << test_below(20);
		int64_t got;

		for (size_t k = 0; k < n; k++)
			buf[k] = byte_at(written + k);
		got = file_write_kernel(w, buf, n);
		if (got > 0)
			written += (uint64_t)got;
		else
			CHECK_EQ(got, -EAGAIN);
		CHECK(written - read <= size);
		x = x * 6364136223846793005u + 1442695040888963407u;
		if ((x >> 40) % 4 == 0) {
			got = pipe_set_size((x >> 50) & 1 ? r : w, want);
			want = MAX(want, PAGE_SIZE);
			CHECK_EQ(got, want < written - read ? -EBUSY : (int64_t)want);
			size = got < 0 ? size : want;
			CHECK_EQ(pipe_size(w), (int64_t)size);
		}
		got = file_read_kernel(r, buf, test_below(i % 5 ? 4000 : 150000));
		for (int64_t k = 0; k < got; k++)
			CHECK_EQ(buf[k], byte_at(read + (uint64_t)k));
		read += got > 0 ? (uint64_t)got : 0;
	}
	while (read < written) {
		int64_t got = file_read_kernel(r, buf, sizeof(buf));

		for (int64_t k = 0; k < got; k++)
			CHECK_EQ(buf[k], byte_at(read + (uint64_t)k));
		read += (uint64_t)got;
	}
	CHECK(env_pages <= 1);
	close_both();
}

TEST(pipe_sizes)
{
	static char buf[1 << 20];

	new_pipe(FILE_NONBLOCK);
	CHECK_EQ(pipe_set_size(r, 0), 4096);
	CHECK_EQ(pipe_set_size(r, 4097), 8192);
	CHECK_EQ(pipe_set_size(r, PIPE_SIZE_MAX + 1UL), -EINVAL);
	CHECK_EQ(file_write_kernel(w, buf, 9000), 8192);
	CHECK_EQ(pipe_set_size(w, 4096), -EBUSY);
	/* one lap and a bit: the head's page is the tail's */
	CHECK_EQ(pipe_set_size(w, PIPE_SIZE), PIPE_SIZE);
	CHECK_EQ(file_write_kernel(w, buf, PIPE_SIZE), PIPE_SIZE - 8192);
	CHECK_EQ(file_read_kernel(r, buf, 100), 100);
	CHECK_EQ(file_write_kernel(w, buf, 100), 100);
	alloc_fail_after(1);
	CHECK_EQ(pipe_set_size(w, 1 << 20), -ENOMEM);
	alloc_fail_after(2);
	CHECK_EQ(pipe_set_size(w, 1 << 20), -ENOMEM);
	alloc_fail_after(0);
	CHECK_EQ(pipe_set_size(w, 1 << 20), 1 << 20);
	CHECK_EQ(file_write_kernel(w, buf, 1 << 20), (1 << 20) - PIPE_SIZE);
	CHECK_EQ(file_read_kernel(r, buf, 1 << 20), 1 << 20);
	close_both();
}

/* Blocking, four writers: small writes never mix, nothing is lost, and the reader sees the end. */
TEST(pipe_writers_do_not_mix)
{
	unsigned count[4] = { 0 };
	char line[LINE];
	pthread_t t[4];
	size_t got;

	new_pipe(0);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, write_lines, (void *)(intptr_t)('a' + i));
	for (int i = 0; i < 4 * LINES; i++) {
		for (got = 0; got < LINE;) {
			ssize_t n = file_read_kernel(r, line + got, LINE - got);

			CHECK(n > 0);
			got += (size_t)n;
		}
		for (int k = 1; k < LINE; k++)
			CHECK_EQ(line[k], line[0]);
		count[line[0] - 'a']++;
	}
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(count[i], LINES);
		pthread_join(t[i], NULL);
	}
	close_both();
}

static void *write_much(void *arg)
{
	uint64_t total = *(uint64_t *)arg, done = 0;
	uint8_t *buf = malloc(200000);

	while (done < total) {
		size_t n = MIN((size_t)200000, (size_t)(total - done));

		for (size_t k = 0; k < n; k++)
			buf[k] = byte_at(done + k);
		CHECK_EQ(file_write_kernel(w, buf, n), n);
		done += n;
	}
	file_put(w);
	free(buf);
	return NULL;
}

static void *close_later(void *f)
{
	env_await_asleep();
	file_put(f);
	return NULL;
}

/* The end of one side wakes who sleeps on the other. */
TEST(pipe_close_wakes_the_other_end)
{
	static char buf[PIPE_SIZE + 1];
	pthread_t t;

	new_pipe(0);
	pthread_create(&t, NULL, close_later, w);
	CHECK_EQ(file_read_kernel(r, buf, 1), 0);
	pthread_join(t, NULL);
	file_put(r);
	new_pipe(0);
	CHECK_EQ(file_write_kernel(w, buf, PIPE_SIZE), PIPE_SIZE);
	pthread_create(&t, NULL, close_later, r);
	CHECK_EQ(file_write_kernel(w, buf, 1), -EPIPE);
	pthread_join(t, NULL);
	file_put(w);
	CHECK_EQ(env_objects, 0);
	CHECK_EQ(env_pages, 0);
}

TEST(pipe_blocking_stream)
{
	uint64_t total = 6000000, pos = 0;
	uint8_t buf[7000];
	pthread_t t;
	ssize_t n;

	new_pipe(0);
	pthread_create(&t, NULL, write_much, &total);
	while ((n = file_read_kernel(r, buf, 1 + (pos * 31) % sizeof(buf))) > 0)
		for (ssize_t k = 0; k < n; k++)
			CHECK_EQ(buf[k], byte_at(pos++));
	CHECK_EQ(n, 0);
	CHECK_EQ(pos, total);
	pthread_join(t, NULL);
	file_put(r);
	CHECK_EQ(env_pages, 0);
}
