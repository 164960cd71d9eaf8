/* SPDX-License-Identifier: MIT */
/* sources: fs/fdtable.c fs/file.c tests/host/fs_nonames.c @tests/host/fs_env.sources */
#include "fs/fdtable.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "tests/host/fs_env.h"
#include "tests/host/test.h"
#include <pthread.h>

static unsigned released; /* [atomic] */

static void count_release(struct file *f)
{
	(void)f;
	atomic_fetch_add(&released, 1);
}

static const struct file_ops ops = { .name = "test", .release = count_release };

static struct file *new_file(void)
{
	struct file *f = file_create(&ops, FILE_RDWR, NULL, NULL);

	CHECK(f);
	return f;
}

static struct fdtable *new_table(void)
{
	struct fdtable *t;

	CHECK_EQ(file_init(), 0);
	t = fdtable_create();
	CHECK(t);
	return t;
}

TEST(fdtable_lowest_number_first)
{
	struct fdtable *t = new_table();

	for (int i = 0; i < 1000; i++)
		CHECK_EQ(fdtable_install(t, new_file(), 0, false, 1024), i);
	CHECK_EQ(fdtable_close(t, 3), 0);
	CHECK_EQ(fdtable_close(t, 700), 0);
	CHECK_EQ(fdtable_install(t, new_file(), 0, false, 1024), 3);
	CHECK_EQ(fdtable_install(t, new_file(), 0, false, 1024), 700);
	CHECK_EQ(fdtable_install(t, new_file(), 0, false, 1024), 1000);
	CHECK_EQ(fdtable_count(t), 1001);
	fdtable_put(t);
	CHECK_EQ(released, 1003);
	CHECK_EQ(env_objects, 0);
}

TEST(fdtable_limit_and_minimum)
{
	struct fdtable *t = new_table();
	struct file *f = new_file();

	CHECK_EQ(fdtable_install(t, f, 10, true, 12), 10);
	CHECK_EQ(fdtable_install(t, file_get(f), 10, false, 12), 11);
	CHECK_EQ(fdtable_install(t, f, 10, false, 12), -EMFILE);
	CHECK_EQ(fdtable_install(t, f, -1, false, 12), -EINVAL);
	CHECK_EQ(fdtable_install(t, file_get(f), 500, false, 1000), 500);
	CHECK_EQ(fdtable_get_cloexec(t, 10), 1);
	CHECK_EQ(fdtable_get_cloexec(t, 11), 0);
	CHECK_EQ(fdtable_get_cloexec(t, 0), -EBADF);
	CHECK_EQ(fdtable_set_cloexec(t, 11, true), 0);
	fdtable_close_on_exec(t);
	CHECK_EQ(fdtable_count(t), 1);
	CHECK_EQ(fdtable_close(t, 500), 0);
	CHECK_EQ(released, 1);
	CHECK_EQ(fdtable_close(t, 500), -EBADF);
	CHECK_EQ(fdtable_close(t, -1), -EBADF);
	CHECK_EQ(fdtable_close(t, 1 << 30), -EBADF);
	CHECK(!fdtable_lookup(t, 10));
	fdtable_put(t);
}

TEST(fdtable_install_at_replaces)
{
	struct fdtable *t = new_table();

	CHECK_EQ(fdtable_install_at(t, 5, new_file(), false, 100), 5);
	CHECK_EQ(fdtable_install_at(t, 5, new_file(), true, 100), 5);
	CHECK_EQ(released, 1);
	CHECK_EQ(fdtable_get_cloexec(t, 5), 1);
	CHECK_EQ(fdtable_install_at(t, 99, new_file(), false, 100), 99);
	struct file *f = new_file();
	CHECK_EQ(fdtable_install_at(t, 100, f, false, 100), -EBADF);
	CHECK_EQ(fdtable_install_at(t, -1, f, false, 100), -EBADF);
	CHECK_EQ(fdtable_install(t, f, 0, false, 100), 0);
	fdtable_put(t);
	CHECK_EQ(released, 4);
}

TEST(fdtable_clone_shares_the_files)
{
	struct fdtable *t = new_table(), *copy;
	struct file *f = new_file();

	for (int i = 0; i < 200; i++)
		CHECK_EQ(fdtable_install(t, file_get(f), 0, i % 2, 1024), i);
	copy = fdtable_clone(t);
	CHECK(copy);
	CHECK_EQ(refcount_read(&f->ref), 401);
	fdtable_close_on_exec(copy);
	CHECK_EQ(fdtable_count(copy), 100);
	CHECK_EQ(fdtable_count(t), 200);
	CHECK_EQ(fdtable_install(copy, file_get(f), 0, false, 1024), 1);
	fdtable_put(copy);
	fdtable_put(t);
	CHECK_EQ(released, 0);
	file_put(f);
	CHECK_EQ(released, 1);
	CHECK_EQ(env_objects, 0);
}

/* A number that is reserved is nobody's to close, to look up, to inherit or to take. */
TEST(fdtable_reserved)
{
	struct fdtable *t = new_table(), *copy;
	struct file *f = new_file();
	uint64_t pages = 0;
	unsigned fd = 0;

	CHECK_EQ(fdtable_reserve(t, true, 3), 0);
	CHECK_EQ(fdtable_install(t, file_get(f), 0, false, 3), 1);
	CHECK_EQ(fdtable_reserve(t, false, 3), 2);
	CHECK_EQ(fdtable_reserve(t, false, 3), -EMFILE);
	CHECK(!fdtable_lookup(t, 0));
	CHECK_EQ(fdtable_close(t, 0), -EBADF);
	CHECK_EQ(fdtable_get_cloexec(t, 0), -EBADF);
	CHECK_EQ(fdtable_install_at(t, 0, f, false, 3), -EBUSY);
	CHECK_EQ(fdtable_next(t, 0), 1);
	CHECK_EQ(fdtable_next(t, 2), -1);
	CHECK(!fdtable_held(t, &fd, &pages));
	CHECK_EQ(pages, 0);
	copy = fdtable_clone(t);
	CHECK(copy);
	CHECK_EQ(fdtable_count(copy), 1);
	CHECK_EQ(fdtable_install(copy, file_get(f), 0, false, 3), 0);
	fdtable_put(copy);
	fdtable_close_range(t, 0, 2, false);
	CHECK_EQ(refcount_read(&f->ref), 1);
	fdtable_settle(t, 2, NULL);
	fdtable_settle(t, 0, f);
	CHECK_EQ(fdtable_get_cloexec(t, 0), 1);
	CHECK_EQ(fdtable_install(t, file_get(f), 0, false, 3), 1);
	fdtable_put(t);
	CHECK_EQ(released, 1);
	CHECK_EQ(env_objects, 0);
}

TEST(fdtable_random_against_model)
{
	static bool model[9000];
	struct fdtable *t = new_table();
	unsigned open = 0;

	for (; open < ARRAY_SIZE(model); open++) {
		CHECK_EQ(fdtable_install(t, new_file(), 0, false, ARRAY_SIZE(model)), open);
		model[open] = true;
	}
	for (int i = 0; i < 30000 * test_scale; i++) {
		unsigned fd = (unsigned)test_below(ARRAY_SIZE(model)), want;

		if (test_below(100) < 50) {
			unsigned min = test_below(4) ? 0 : fd;
			struct file *f = new_file();

			for (want = min; want < ARRAY_SIZE(model) && model[want]; want++)
				;
			int got = fdtable_install(t, f, (int)min, false, ARRAY_SIZE(model));
			if (want == ARRAY_SIZE(model)) {
				CHECK_EQ(got, -EMFILE);
				file_put(f);
			} else {
				CHECK_EQ(got, want);
				model[want] = true;
				open++;
			}
		} else {
			CHECK_EQ(fdtable_close(t, (int)fd), model[fd] ? 0 : -EBADF);
			open -= model[fd];
			model[fd] = false;
		}
		CHECK_EQ(fdtable_count(t), open);
	}
	/* RC-020: a number beyond the table is nobody's, though its remainder be open */
	for (unsigned i = 0; i < 200; i++) {
		unsigned fd = (unsigned)test_below(ARRAY_SIZE(model));

		CHECK(!fdtable_lookup(t, (int)(fd + (16384u << test_below(16)))));
		CHECK(!fdtable_lookup(t, -1 - (int)fd));
	}
	fdtable_put(t);
	CHECK_EQ(env_objects, 0);
}

static unsigned asked;

static uint64_t three_pages(const struct file *f)
{
	(void)f;
	asked++;
	return 3;
}

static const struct file_ops holding_ops = { .name = "holding", .held = three_pages };

/* All is counted, and a bounded part of it in one hold. */
TEST(fdtable_held_in_steps)
{
	const unsigned n = 5000;
	struct fdtable *t = new_table();
	uint64_t pages = 0, files = 0;
	unsigned fd = 0, before = 0;
	bool more = true;

	for (unsigned i = 0; i < n; i++) {
		struct file *f = file_create(&holding_ops, FILE_RDWR, NULL, NULL);

		CHECK(f && fdtable_install(t, f, 0, false, n) == (int)i);
	}
	while (more) {
		more = fdtable_held(t, &fd, &pages);
		CHECK(asked - before <= 1024);
		before = asked;
	}
	files = pages - 8192 * sizeof(struct file *) / PAGE_SIZE;
	CHECK_EQ(asked, n);
	CHECK_EQ(files, 3 * n);
	fdtable_put(t);
}

TEST(fdtable_no_memory_leaves_it_whole)
{
	struct fdtable *t = new_table();
	struct file *f = new_file();

	for (unsigned n = 1; n <= 3; n++) {
		alloc_fail_after(n);
		CHECK_EQ(fdtable_install(t, f, 128, false, 1024), -ENOMEM);
		alloc_fail_after(n);
		CHECK(!fdtable_clone(t));
	}
	CHECK_EQ(fdtable_install(t, f, 64, false, 1024), 64);
	fdtable_put(t);
	CHECK_EQ(env_objects, 0);
}

static void *close_and_reopen(void *arg)
{
	struct fdtable *t = arg;

	for (int i = 0; i < 20000; i++) {
		CHECK_EQ(fdtable_install_at(t, 7, new_file(), false, 64), 7);
		if (i % 3 == 0)
			(void)fdtable_close(t, 7);
	}
	return NULL;
}

static void *look_up(void *arg)
{
	struct fdtable *t = arg;
	struct file *f;

	for (int i = 0; i < 40000; i++) {
		f = fdtable_lookup(t, 7);
		if (!f)
			continue;
		CHECK(f->ops == &ops);
		file_put(f);
	}
	return NULL;
}

/* RC-012: a file found stays while it is used, whoever closes it. */
TEST(fdtable_lookup_against_close)
{
	struct fdtable *t = new_table();
	pthread_t a, b, c;

	pthread_create(&a, NULL, close_and_reopen, t);
	pthread_create(&b, NULL, look_up, t);
	pthread_create(&c, NULL, look_up, t);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	pthread_join(c, NULL);
	fdtable_put(t);
	CHECK_EQ(released, 20000);
	CHECK_EQ(env_objects, 0);
}
