/* SPDX-License-Identifier: MIT */
/* sources: lib/passwd.c lib/cursor.c */
/* Lines of /etc/passwd and /etc/group, good ones and others. */
#include <stdlib.h>
#include <string.h>
#include "lib/passwd.h"
#include "tests/host/test.h"

static struct bytes of(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static bool is(struct bytes b, const char *s)
{
	return b.n == strlen(s) && memcmp(b.p, s, b.n) == 0;
}

static const char users[] = "root:x:0:0:root:/root:/bin/sh\n"
			    "short:x:1:1\n"
			    "odd:x:-1:5::/:/bin/sh\n"
			    "odd:x:7x:5::/:/bin/sh\n"
			    "odd:x:4294967295:5::/:/bin/sh\n"
			    "odd:x::5::/:/bin/sh\n"
			    "\n"
			    "ann:!x:1000:100:Ann,,,:/home/ann:\n"
			    "last:x:4294967294:2:a:/b:/c:d";

TEST(passwd_lines)
{
	struct passwd p;

	CHECK(passwd_find(of(users), of("root"), &p));
	CHECK(p.uid == 0 && p.gid == 0 && !p.locked && is(p.home, "/root") &&
	      is(p.shell, "/bin/sh"));
	CHECK(passwd_find(of(users), of("ann"), &p));
	CHECK(p.uid == 1000 && p.gid == 100 && p.locked && is(p.home, "/home/ann") &&
	      is(p.shell, ""));
	CHECK(passwd_find(of(users), of("last"), &p));
	CHECK(p.uid == 4294967294u && is(p.shell, "/c:d"));
}

TEST(passwd_refusals)
{
	static const char *const none[] = { "",	      "short", "odd", "roo",   "roott",
					    "root:x", "x",     "\n",  "ann:!x" };
	struct passwd p = { .uid = 42 };

	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CHECK(!passwd_find(of(users), of(none[i]), &p));
	CHECK(!passwd_find(of(""), of("root"), &p));
	CHECK(!passwd_find((struct bytes){ NULL, 0 }, of("root"), &p));
	CHECK_EQ(p.uid, 42);
}

TEST(group_lists)
{
	static const char groups[] = "root:x:0:\nwheel:x:10:ann,bob\nbad:x:a:ann\nshort:x:1\n"
				     "tty:x:5:bob\nusers:x:100:carol,ann";
	uint32_t gid[4];

	CHECK_EQ(group_list(of(groups), of("ann"), gid, 4), 2);
	CHECK(gid[0] == 10 && gid[1] == 100);
	CHECK_EQ(group_list(of(groups), of("ann"), gid, 1), 1);
	CHECK_EQ(group_list(of(groups), of("an"), gid, 4), 0);
	CHECK_EQ(group_list(of(groups), of(""), gid, 4), 0);
	CHECK_EQ(group_list(of(groups), of("bob"), gid, 4), 2);
}

/* Whatever the bytes, nothing is read outside of them: the address sanitizer looks on. */
TEST(passwd_any_bytes)
{
	static const char alphabet[] = "ab:,\n0!";
	uint32_t gid[2];
	struct passwd p;

	srand((unsigned)test_seed);
	for (int round = 0; round < 20000 * test_scale; round++) {
		size_t n = (size_t)rand() % 40;
		char *text = malloc(n + !n);

		for (size_t i = 0; i < n; i++)
			text[i] = alphabet[rand() % 7];
		(void)!passwd_find((struct bytes){ (uint8_t *)text, n }, of("a"), &p);
		CHECK(group_list((struct bytes){ (uint8_t *)text, n }, of("a"), gid, 2) <= 2);
		free(text);
	}
}
