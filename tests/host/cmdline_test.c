/* SPDX-License-Identifier: MIT */
/* sources: kernel/core/cmdline.c lib/fmt.c @tests/host/shim.sources */
#include "tests/host/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/core/machine.h"

static char value[64];

static int get(const char *line, const char *name)
{
	machine.cmdline = line;
	memset(value, 'x', sizeof(value));
	return cmdline_get(name, value, sizeof(value));
}

TEST(cmdline_words)
{
	CHECK_EQ(get("", "a"), -ENOENT);
	CHECK_EQ(get("a", "a"), 0);
	CHECK_STR(value, "");
	CHECK_EQ(get("a=1", "a"), 0);
	CHECK_STR(value, "1");
	CHECK_EQ(get("  b=2 \t a=1\n", "a"), 0);
	CHECK_STR(value, "1");
	CHECK_EQ(get("a=1 a=2", "a"), 0);
	CHECK_STR(value, "2");
	CHECK_EQ(get("ab=1", "a"), -ENOENT);
	CHECK_EQ(get("a=1", "ab"), -ENOENT);
	CHECK_EQ(get("x=a=1", "a"), -ENOENT);
	CHECK_EQ(get("a==", "a"), 0);
	CHECK_STR(value, "=");
}

TEST(cmdline_quotes)
{
	CHECK_EQ(get("a='b c' d", "a"), 0);
	CHECK_STR(value, "b c");
	CHECK_EQ(get("\"a=b c\" d=e", "a"), 0);
	CHECK_STR(value, "b c");
	CHECK_EQ(get("\"a=b c\" d=e", "d"), 0);
	CHECK_STR(value, "e");
	CHECK_EQ(get("a=x\"y 'z\"'w v'", "a"), 0);
	CHECK_STR(value, "xy 'zw v");
	/* a name inside another's quotes is no word */
	CHECK_EQ(get("a='b c=1'", "c"), -ENOENT);
	/* a quote that never ends takes the rest */
	CHECK_EQ(get("a='b c", "a"), 0);
	CHECK_STR(value, "b c");
}

TEST(cmdline_sizes)
{
	char small[3];

	machine.cmdline = "run=abcdef n=12 h=0x10 bad=1x";
	CHECK_EQ(cmdline_get("run", small, sizeof(small)), -E2BIG);
	CHECK_STR(small, "ab");
	CHECK(cmdline_has("n") && !cmdline_has("m"));
	CHECK_EQ(cmdline_u64("n", 5), 12);
	CHECK_EQ(cmdline_u64("h", 5), 16);
	CHECK_EQ(cmdline_u64("bad", 5), 5);
	CHECK_EQ(cmdline_u64("none", 5), 5);
}

TEST(cmdline_random_bytes)
{
	static const char alphabet[] = "ab= '\"\t\nc";
	char line[40];

	for (long i = 0; i < 20000L * test_scale; i++) {
		size_t n = test_below(sizeof(line));

		for (size_t k = 0; k < n; k++)
			line[k] = alphabet[test_below(sizeof(alphabet) - 1)];
		line[n] = 0;
		machine.cmdline = line;
		if (cmdline_get("a", value, sizeof(value)) == 0)
			CHECK(strlen(value) <= n);
	}
	machine.cmdline = "";
}
