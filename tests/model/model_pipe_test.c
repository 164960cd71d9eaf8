/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources tests/model/env_sleep.c sched/wait.c sched/mutex.c
sched/poll.c fs/pipe.c */
/* Pipes: bytes come in their order, a reader of an empty pipe and a writer of a full one are woken, and an end that is closed
 * is noticed. */
#include "fs/inode.h"
#include "fs/pipe.h"
#include "kernel/core/clock.h"
#include "kernel/proc/process.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "mm/vm/user_copy.h"
#include "tests/model/env.h"

static struct file *r, *w;

/* Only the first and the last byte of a piece are copied: the others are what they were. */
static void copy(char *dst, const char *src, size_t n)
{
	dst[0] = src[0];
	dst[n - 1] = src[n - 1];
}

static ssize_t io(struct file *f, bool write, char *buf, size_t n)
{
	struct io io;

	io_init_one(&io, (uintptr_t)buf, n, false);
	return write ? f->ops->write(f, &io, NULL) : f->ops->read(f, &io, NULL);
}

static void setup(void)
{
	env_cpus(2);
	MODEL_CHECK(pipe_create(&r, &w, 0) == 0);
}

static void end(void)
{
	MODEL_CHECK(model_all_ended());
}

static void writes(void)
{
	char a = 'a', b = 'b';

	env_enter();
	MODEL_CHECK(io(w, true, &a, 1) == 1);
	MODEL_CHECK(io(w, true, &b, 1) == 1);
	w->ops->release(w);
}

/* To the end. */
static void reads(void)
{
	char got, next = 'a';
	ssize_t n;

	env_enter();
	while ((n = io(r, false, &got, 1)) > 0)
		MODEL_CHECK(got == next++);
	MODEL_CHECK(n == 0 && next == 'c');
}

TEST(model_pipe)
{
	const struct modelled m = { .cpus = 2,
				    .setup = setup,
				    .run = { writes, reads },
				    .end = end,
				    .preemptions = test_scale > 1 ? 3 : 2 };

	model_explore("pipe, two writes and the end", &m);
}

static char large[PIPE_SIZE];

static void full(void)
{
	setup();
	MODEL_CHECK(io(w, true, large, PIPE_SIZE) == PIPE_SIZE);
}

static void writes_one_more(void)
{
	char c = 'c';

	env_enter();
	MODEL_CHECK(io(w, true, &c, 1) == 1);
}

static void reads_a_page(void)
{
	env_enter();
	MODEL_CHECK(io(r, false, large, PAGE_SIZE) == PAGE_SIZE);
}

TEST(model_pipe_full)
{
	const struct modelled m = { .cpus = 2,
				    .setup = full,
				    .run = { writes_one_more, reads_a_page },
				    .end = end,
				    .preemptions = test_scale > 1 ? 0 : 3 };

	model_explore("pipe, a writer waits for room", &m);
}

/* A write to a pipe that nobody can read ends, also when it waited. */
static void writes_or_is_told(void)
{
	char c = 'c';

	env_enter();
	MODEL_CHECK(io(w, true, &c, 1) == -EPIPE);
}

static void closes(void)
{
	env_enter();
	r->ops->release(r);
}

TEST(model_pipe_broken)
{
	const struct modelled m = { .cpus = 2,
				    .setup = full,
				    .run = { writes_or_is_told, closes },
				    .end = end,
				    .preemptions = test_scale > 1 ? 0 : 3 };

	model_explore("pipe, a writer waits and the reader goes", &m);
}

/* --- what the source names ------------------------------------------------------------------------------------------ */

struct file *file_create(const struct file_ops *ops, uint32_t flags, struct poll_source *source,
			 void *priv)
{
	struct file *f = model_alloc(sizeof(*f));

	f->ops = ops;
	f->flags = flags;
	f->priv = priv;
	return f;
}

bool file_nonblocking(const struct file *f)
{
	return false;
}

void file_put(struct file *f)
{
}

ssize_t io_copy_to(struct io *io, const void *src, size_t n)
{
	copy((char *)io->cur.base, src, n);
	io->cur.base += n;
	io->left -= n;
	return (ssize_t)n;
}

ssize_t io_copy_from(struct io *io, void *dst, size_t n)
{
	copy(dst, (char *)io->cur.base, n);
	io->cur.base += n;
	io->left -= n;
	return (ssize_t)n;
}

int user_copy_to(vaddr_t dst, const void *src, size_t n)
{
	return -EFAULT;
}

uint64_t clock_wall_ns(void)
{
	return 0;
}

bool caller_is_root(void)
{
	return true;
}

void page_stats(struct page_stats *out)
{
	*out = (struct page_stats){ .total = 65536, .free = 65536 };
}

void inode_stat(struct inode *i, struct kstat *st)
{
}
