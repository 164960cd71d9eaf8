/* SPDX-License-Identifier: MIT */
/* sources: lib/cpio.c lib/fmt.c */
#include "lib/cpio.h"
#include "tests/host/test.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char archive[20000];
static size_t len;

static void pad(void)
{
	while (len % 4)
		archive[len++] = 0;
}

static void add(const char *name, unsigned mode, const void *data, size_t n)
{
	len += (size_t)sprintf(archive + len,
			       "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", 7,
			       mode, 1, 2, 1, 1000, n, 3, 4, 5, 6, strlen(name) + 1, 0);
	memcpy(archive + len, name, strlen(name) + 1);
	len += strlen(name) + 1;
	pad();
	memcpy(archive + len, data, n);
	len += n;
	pad();
}

/* A copy of exactly n bytes, so that ASan sees a read past its end. */
static int count(size_t n)
{
	char *copy = malloc(n ? n : 1);
	struct cpio_entry e;
	struct cpio c;
	int got, entries = 0;

	memcpy(copy, archive, n);
	cpio_init(&c, copy, n);
	while ((got = cpio_next(&c, &e)) > 0) {
		CHECK(e.name_len == strlen(e.name));
		for (size_t i = 0; i < e.size; i++)
			CHECK(e.data[i] < 255);
		entries++;
	}
	if (got < 0)
		CHECK_EQ(cpio_next(&c, &e), got);
	free(copy);
	return got < 0 ? got : entries;
}

TEST(cpio_entries_and_fields)
{
	struct cpio_entry e;
	struct cpio c;

	add("bin", 040755, "", 0);
	add("bin/true", 0100755, "ELF!!", 5);
	add("TRAILER!!!", 0, "", 0);
	cpio_init(&c, archive, len);
	CHECK_EQ(cpio_next(&c, &e), 1);
	CHECK_STR(e.name, "bin");
	CHECK_EQ(e.mode, 040755);
	CHECK_EQ(e.size, 0);
	CHECK_EQ(cpio_next(&c, &e), 1);
	CHECK_STR(e.name, "bin/true");
	CHECK_MEM(e.data, "ELF!!", 5);
	CHECK_EQ(e.ino, 7);
	CHECK_EQ(e.uid, 1);
	CHECK_EQ(e.gid, 2);
	CHECK_EQ(e.mtime, 1000);
	CHECK_EQ(e.dev_minor, 4);
	CHECK_EQ(e.rdev_major, 5);
	CHECK_EQ(e.rdev_minor, 6);
	CHECK_EQ(cpio_next(&c, &e), 0);
	CHECK_EQ(cpio_next(&c, &e), 0);
}

TEST(cpio_archives_one_behind_the_other)
{
	add("a", 0100644, "1", 1);
	add("TRAILER!!!", 0, "", 0);
	memset(archive + len, 0, 511);
	len += 511;
	/* the second one starts at no multiple of 4: its padding counts from its own start */
	size_t first = len;
	char second[400];
	len = 0;
	static char keep[4000];
	memcpy(keep, archive, first);
	add("bcd", 0100644, "23", 2);
	add("TRAILER!!!", 0, "", 0);
	memcpy(second, archive, len);
	memcpy(archive, keep, first);
	memcpy(archive + first, second, len);
	len += first;
	CHECK_EQ(count(len), 2);
}

TEST(cpio_cut_anywhere)
{
	add("one", 0100644, "12345", 5);
	add("two/three", 0100644, "abc", 3);
	size_t whole = len;
	for (size_t n = 0; n < whole; n++) {
		int got = count(n);

		CHECK(got == -EINVAL || got == 0 || got == 1 || (got == 2 && whole - n < 4));
	}
	CHECK_EQ(count(whole), 2);
}

static void change(const char *what, size_t at)
{
	len = 0;
	add("name", 0100644, "data", 4);
	add("other", 0100644, "data", 4);
	memcpy(archive + at, what, strlen(what));
}

TEST(cpio_hostile_fields)
{
	const size_t filesize = 6 + 6 * 8, namesize = 6 + 11 * 8;

	change("070707", 0);
	CHECK_EQ(count(len), -EINVAL);
	change("FFFFFFFF", filesize);
	CHECK_EQ(count(len), -EINVAL);
	change("FFFFFFFF", namesize);
	CHECK_EQ(count(len), -EINVAL);
	change("00000000", namesize);
	CHECK_EQ(count(len), -EINVAL);
	change("00000001", namesize);
	CHECK_EQ(count(len), -EINVAL);
	change("00000004", namesize);
	CHECK_EQ(count(len), -EINVAL);
	change("0000000G", filesize);
	CHECK_EQ(count(len), -EINVAL);
	change(" 0000004", filesize);
	CHECK_EQ(count(len), -EINVAL);
	CHECK_EQ(count(0), 0);
}

TEST(cpio_long_name_padded_with_nul)
{
	struct cpio_entry e;
	struct cpio c;

	add("nameXXXX", 0100644, "data", 4);
	memset(archive + 110 + 4, 0, 4);
	cpio_init(&c, archive, len);
	CHECK_EQ(cpio_next(&c, &e), 1);
	CHECK_STR(e.name, "name");
	CHECK_MEM(e.data, "data", 4);
}

TEST(cpio_random_bytes)
{
	for (int round = 0; round < 20000 * test_scale; round++) {
		len = 0;
		add("name", 0100644, "data", 4);
		add("o", 0100644, "da", 2);
		for (uint64_t k = 1 + test_below(4); k > 0; k--)
			archive[test_below(len)] = (char)test_below(128);
		(void)count(test_below(4) ? len : test_below(len));
	}
}
