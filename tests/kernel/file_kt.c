/* SPDX-License-Identifier: MIT */
/* Descriptor tables and open files under threads. */
#include "fs/fdtable.h"
#include "fs/filelock.h"
#include "fs/pipe.h"
#include "fs/vfs.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define ALL_CPUS (~(cpumask_t)0)
#define LIMIT	 1024

struct race {
	struct fdtable *t;
	uint64_t rounds;
	uint32_t stop;	/* [atomic] */
	uint64_t found; /* [atomic] */
};

static void reopen_fn(void *arg)
{
	struct race *race = arg;
	struct file *r, *w;

	for (uint64_t i = 0; i < race->rounds; i++) {
		KT_CHECK(pipe_create(&r, &w, FILE_NONBLOCK) == 0);
		KT_CHECK(fdtable_install_at(race->t, 7, w, false, LIMIT) == 7);
		file_put(r);
		if (i % 2)
			KT_CHECK(fdtable_close(race->t, 7) == 0);
	}
	atomic_store_release(&race->stop, 1);
}

static void use_fn(void *arg)
{
	struct race *race = arg;
	struct file *f;
	ssize_t n;

	while (!atomic_load_acquire(&race->stop)) {
		f = fdtable_lookup(race->t, 7);
		if (!f)
			continue;
		n = file_write_kernel(f, "x", 1);
		KT_CHECK(n == 1 || n == -EPIPE || n == -EAGAIN);
		file_put(f);
		atomic_add_relaxed(&race->found, 1);
	}
}

/* RC-012: written to while it is closed and its number is used again. */
KTEST(file_lookup_against_close)
{
	struct race race = { .t = fdtable_create(), .rounds = 2000 * kt_scale() };
	struct crew crew = { 0 };

	KT_CHECK(race.t);
	crew_add(&crew, reopen_fn, &race, ALL_CPUS);
	crew_add(&crew, use_fn, &race, ALL_CPUS);
	crew_add(&crew, use_fn, &race, ALL_CPUS);
	crew_join(&crew);
	fdtable_put(race.t);
}

struct readers {
	struct file *f;
	uint32_t seen[1000]; /* [atomic] */
};

static void record_fn(void *arg)
{
	struct readers *r = arg;
	uint32_t record[25];

	while (file_read_kernel(r->f, record, sizeof(record)) == sizeof(record)) {
		for (int k = 1; k < 25; k++)
			KT_CHECK(record[k] == record[0]);
		KT_CHECK(record[0] < ARRAY_SIZE(r->seen));
		atomic_fetch_add(&r->seen[record[0]], 1);
	}
}

/* USER-001: the position of one open file is one, whoever reads: each record comes once, whole. */
KTEST(file_shared_position)
{
	static struct readers r;
	struct vfs_context ctx = { .root = vfs_root() };
	struct crew crew = { 0 };
	uint32_t record[25];

	ctx.cwd = ctx.root;
	memset(&r, 0, sizeof(r));
	KT_CHECK(vfs_open(&ctx, NULL, "/kt-records", VFS_O_CREAT | VFS_O_TRUNC | FILE_RDWR, 0600,
			  &r.f) == 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(r.seen); i++) {
		for (int k = 0; k < 25; k++)
			record[k] = i;
		KT_CHECK(file_write_kernel(r.f, record, sizeof(record)) == sizeof(record));
	}
	KT_CHECK(file_seek(r.f, 0, 0) == 0);
	for (int i = 0; i < 4; i++)
		crew_add(&crew, record_fn, &r, ALL_CPUS);
	crew_join(&crew);
	for (uint32_t i = 0; i < ARRAY_SIZE(r.seen); i++)
		KT_CHECK(r.seen[i] == 1);
	KT_CHECK(vfs_unlink(&ctx, NULL, "/kt-records", false) == 0);
	file_put(r.f);
	dentry_put(ctx.root);
}

/* A file whose every transfer lets others run between its look at the position and its step. */
static ssize_t slow_transfer(struct file *f, struct io *io, off_t *pos)
{
	struct readers *r = f->priv;
	off_t at = *pos;

	sched_yield();
	io->left = 0;
	*pos = at + 1;
	KT_CHECK((size_t)at < ARRAY_SIZE(r->seen));
	atomic_fetch_add(&r->seen[at], 1);
	return 1;
}

static off_t slow_seek(struct file *f, off_t offset, int whence)
{
	off_t base = f->pos;

	(void)whence;
	sched_yield();
	return f->pos = base + offset;
}

static const struct file_ops slow_ops = {
	.name = "slow", .read = slow_transfer, .write = slow_transfer, .seek = slow_seek
};

#define SLOW_EACH 100

static void slow_fn(void *arg)
{
	struct readers *r = arg;
	char c;

	for (int i = 0; i < SLOW_EACH; i++) {
		KT_CHECK(file_read_kernel(r->f, &c, 1) == 1);
		KT_CHECK(file_write_kernel(r->f, "x", 1) == 1);
		KT_CHECK(file_seek(r->f, 1, 1) > 0);
	}
}

/* USER-001: reads, writes and seeks of one open file go one after the other, however long each takes. */
KTEST(file_position_is_held)
{
	static struct readers r;
	struct crew crew = { 0 };

	memset(&r, 0, sizeof(r));
	r.f = file_create(&slow_ops, FILE_RDWR, NULL, &r);
	KT_CHECK(r.f);
	if (!r.f)
		return;
	for (int i = 0; i < 3; i++)
		crew_add(&crew, slow_fn, &r, ALL_CPUS);
	crew_join(&crew);
	KT_CHECK(r.f->pos == 3 * 3 * SLOW_EACH);
	for (uint32_t i = 0; i < ARRAY_SIZE(r.seen); i++)
		KT_CHECK(r.seen[i] <= 1);
	file_put(r.f);
}

static void append_fn(void *arg)
{
	struct file *f = arg;
	char line[64];

	memset(line, 'a' + (current_base()->id & 15), sizeof(line));
	for (int i = 0; i < 300; i++)
		KT_CHECK(file_write_kernel(f, line, sizeof(line)) == sizeof(line));
	file_put(f);
}

/* Appending through separate open files loses and mixes nothing. */
KTEST(file_append)
{
	struct vfs_context ctx = { .root = vfs_root() };
	struct crew crew = { 0 };
	struct file *f;
	char line[64];
	unsigned lines = 0;

	ctx.cwd = ctx.root;
	for (int i = 0; i < 4; i++) {
		KT_CHECK(vfs_open(&ctx, NULL, "/kt-append", VFS_O_CREAT | FILE_APPEND | FILE_WRONLY,
				  0600, &f) == 0);
		crew_add(&crew, append_fn, f, ALL_CPUS);
	}
	crew_join(&crew);
	KT_CHECK(vfs_open(&ctx, NULL, "/kt-append", FILE_RDONLY, 0, &f) == 0);
	while (file_read_kernel(f, line, sizeof(line)) == sizeof(line)) {
		for (int k = 1; k < 64; k++)
			KT_CHECK(line[k] == line[0]);
		lines++;
	}
	KT_CHECK(lines == 1200);
	file_put(f);
	KT_CHECK(vfs_unlink(&ctx, NULL, "/kt-append", false) == 0);
	dentry_put(ctx.root);
}

static uint64_t time_of_64(struct fdtable *t, struct file *f)
{
	uint64_t begin = clock_now_ns();

	for (int i = 0; i < 64; i++)
		KT_CHECK(fdtable_install(t, file_get(f), 0, false, 4096) >= 0);
	return clock_now_ns() - begin;
}

/* PERF-008: a number is found as fast among thousands of open files, also where one below has just been free. */
KTEST(icount_descriptor_is_found_at_once)
{
	struct fdtable *t = fdtable_create();
	uint64_t first, last, after_hole;
	struct file *r, *w;

	if (!t || pipe_create(&r, &w, FILE_NONBLOCK) < 0) {
		KT_CHECK(!"memory for a table and a pipe");
		return;
	}
	first = time_of_64(t, r);
	while (fdtable_count(t) < 3900)
		KT_CHECK(fdtable_install(t, file_get(r), 0, false, 4096) >= 0);
	last = time_of_64(t, r);
	KT_CHECK(fdtable_close(t, 3) == 0);
	KT_CHECK(fdtable_install(t, file_get(r), 0, false, 4096) == 3);
	after_hole = time_of_64(t, r);
	log_info("ktest: 64 numbers take %lu ns, %lu among 3900, %lu behind a hole",
		 (unsigned long)first, (unsigned long)last, (unsigned long)after_hole);
	KT_CHECK(last < 3 * first && after_hole < 3 * first);
	fdtable_put(t);
	file_put(r);
	file_put(w);
}

/* A table with so large a number asks for no block of megabytes. */
KTEST(descriptor_far_out)
{
	const int far = 1 << 18;
	struct fdtable *t = fdtable_create(), *copy = NULL;
	struct file *r, *w;

	if (!t || pipe_create(&r, &w, FILE_NONBLOCK) < 0) {
		KT_CHECK(!"memory for a table and a pipe");
		return;
	}
	KT_CHECK(fdtable_install_at(t, 3, file_get(w), false, 1 << 20) == 3);
	KT_CHECK(fdtable_install_at(t, far, r, false, 1 << 20) == far);
	KT_CHECK(fdtable_peek(t, 3) == w && fdtable_peek(t, far) == r);
	copy = fdtable_clone(t);
	KT_CHECK(copy && fdtable_peek(copy, far) == r && fdtable_next(copy, 4) == far);
	if (copy)
		fdtable_put(copy);
	fdtable_put(t);
	file_put(w);
}

/* --- advisory locks ---------------------------------------------------------------------------------------------------- */

struct claims {
	struct dentry *root;
	uint64_t rounds;
	uint32_t inside; /* [atomic] who has the lock now */
};

/* Half of the time without waiting: then many look at the same moment. */
static void claim_fn(void *arg)
{
	struct claims *c = arg;
	struct vfs_context ctx = { .root = c->root, .cwd = c->root };
	struct file_lock want = { .type = LOCK_EXCLUSIVE, .end = INT64_MAX };
	struct file *f;
	int err;

	KT_CHECK(vfs_open(&ctx, NULL, "/kt-claims", VFS_O_CREAT | FILE_RDWR, 0600, &f) == 0);
	want.owner = f;
	for (uint64_t i = 0; i < c->rounds; i++) {
		want.type = LOCK_EXCLUSIVE;
		while ((err = filelock_set(f, &want, i % 2)) == -EAGAIN)
			cond_resched();
		KT_CHECK(err == 0 && atomic_fetch_add(&c->inside, 1) == 0);
		clock_spin_ns(500);
		atomic_fetch_sub(&c->inside, 1);
		want.type = LOCK_NONE;
		KT_CHECK(filelock_set(f, &want, false) == 0);
	}
	file_put(f);
}

/* I-FLOCK-1: what was found free is taken before anybody else looks. */
KTEST(file_lock_has_one_holder)
{
	struct claims c = { .root = vfs_root(), .rounds = 1000 * kt_scale() };
	struct vfs_context ctx = { .root = c.root, .cwd = c.root };
	struct crew crew = { 0 };

	for (int i = 0; i < 4; i++)
		crew_add(&crew, claim_fn, &c, ALL_CPUS);
	crew_join(&crew);
	KT_CHECK(vfs_unlink(&ctx, NULL, "/kt-claims", false) == 0);
	dentry_put(c.root);
}
