/* SPDX-License-Identifier: MIT */
/* sources: lib/fmt.c */
#include "tests/host/test.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/fmt.h"

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char ours[128], theirs[128];                                                       \
		size_t n = fmt_print(ours, sizeof(ours), __VA_ARGS__);                             \
		CHECK_EQ(n, snprintf(theirs, sizeof(theirs), __VA_ARGS__));                        \
		CHECK_STR(ours, theirs);                                                           \
	} while (0)

TEST(fmt_like_libc)
{
	SAME("plain");
	SAME("%d %d %d", 0, -1, 2147483647);
	SAME("%ld %ld", (long)INT64_MIN, INT64_MAX);
	SAME("%u %x %X %08x %-8x|", 4000000000U, 0xbeefU, 0xbeefU, 0xbeefU, 0xbeefU);
	SAME("%lu %lx %llu %llx", UINT64_MAX, UINT64_MAX, 1ULL << 63, 1ULL << 63);
	SAME("%zu %zd %zx", (size_t)12, (ssize_t)-12, (size_t)255);
	SAME("%c%c|%3c|%-3c|", 'a', 'b', 'c', 'd');
	SAME("%s|%10s|%-10s|%.3s|%.*s|", "text", "text", "text", "text", 2, "text");
	SAME("%5d|%05d|%-5d|%.4d|", -42, -42, -42, 7);
	SAME("%*d|%-*d|", 6, 42, 6, 42);
	SAME("%#x %#x %#lx %#10x|%#010X", 0U, 255U, 1UL << 40, 255U, 255U);
	SAME("100%% %p", (void *)0x1234);
}

TEST(fmt_bounds)
{
	char buf[8];

	memset(buf, 'x', sizeof(buf));
	CHECK_EQ(fmt_print(buf, 4, "%s", "abcdef"), 6);
	CHECK_STR(buf, "abc");
	CHECK_EQ(buf[4], 'x');
	CHECK_EQ(fmt_print(buf, 0, "%d", 123), 3);
	CHECK_EQ(buf[0], 'a');
	CHECK_EQ(fmt_print(buf, 1, "%d", 123), 3);
	CHECK_EQ(buf[0], 0);
	/* a precision keeps it from reading an unterminated string */
	buf[0] = buf[1] = 'q';
	char out[8];
	CHECK_EQ(fmt_print(out, sizeof(out), "%.2s", buf), 2);
	CHECK_STR(out, "qq");
}

TEST(fmt_parse_u64)
{
	uint64_t v = 1;

	CHECK_EQ(parse_u64("0", &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(parse_u64("18446744073709551615", &v), 0);
	CHECK(v == UINT64_MAX);
	CHECK_EQ(parse_u64("0xFfffffffffffffff", &v), 0);
	CHECK(v == UINT64_MAX);
	v = 7;
	CHECK_EQ(parse_u64("18446744073709551616", &v), -ERANGE);
	CHECK_EQ(parse_u64("0x10000000000000000", &v), -ERANGE);
	CHECK_EQ(parse_u64("", &v), -EINVAL);
	CHECK_EQ(parse_u64("0x", &v), -EINVAL);
	CHECK_EQ(parse_u64("12a", &v), -EINVAL);
	CHECK_EQ(parse_u64("-1", &v), -EINVAL);
	CHECK_EQ(parse_u64(" 1", &v), -EINVAL);
	CHECK_EQ(v, 7);
}
