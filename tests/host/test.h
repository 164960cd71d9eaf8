/* SPDX-License-Identifier: MIT */
/* Host unit tests: the kernel's own sources, linked against the host's libc under ASan and UBSan.
 *
 *	sources: lib/rbtree.c mm/phys/buddy.c      the kernel files linked in (globs work)
 *	flags: -Ideps/lwip/src/include             further compiler flags, if any
 *	TEST(rbtree_insert) { CHECK(expr); CHECK_EQ(a, b); }
 *
 * Each test runs in a child of its own, so it may leave any state behind and may crash or hang alone. A failed check
 * ends its test. Random tests draw from test_random(), which starts at test_seed for each test (TEST_SEED in the
 * environment, printed with a failure); loops multiply their length by test_scale (TEST_SCALE). TEST_NOFORK=1 runs
 * in one process, for a debugger. */
#ifndef TERN_TESTS_HOST_TEST_H
#define TERN_TESTS_HOST_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_case {
	const char *name;
	const char *known_gap; /* [init] NULL, or why the test is expected to fail */
	void (*run)(void);
	struct test_case *next;
};

extern uint64_t test_seed;
extern int test_scale;

void test_register(struct test_case *t);
uint64_t test_random(void);
/* A number in [0, limit); limit > 0. */
uint64_t test_below(uint64_t limit);
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

/* The test has a known gap: it must fail, and a pass is reported as a failure.
 */
#define TEST_KNOWN_GAP(name, reason)                                                               \
	static void test_##name(void);                                                             \
	__attribute__((constructor)) static void test_add_##name(void)                             \
	{                                                                                          \
		static struct test_case t = { #name, reason, test_##name, NULL };                  \
		test_register(&t);                                                                 \
	}                                                                                          \
	static void test_##name(void)

#define TEST(name) TEST_KNOWN_GAP(name, NULL)

#define CHECK(expr)                                                                                \
	do {                                                                                       \
		if (!(expr))                                                                       \
			test_fail(__FILE__, __LINE__, "%s", #expr);                                \
	} while (0)

#define CHECK_MSG(expr, ...)                                                                       \
	do {                                                                                       \
		if (!(expr))                                                                       \
			test_fail(__FILE__, __LINE__, __VA_ARGS__);                                \
	} while (0)

/* Compares as long long; shows both values. */
#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		long long check_a = (long long)(a), check_b = (long long)(b);                      \
		if (check_a != check_b)                                                            \
			test_fail(__FILE__, __LINE__, "%s == %s: %lld (%#llx) and %lld (%#llx)",   \
				  #a, #b, check_a, check_a, check_b, check_b);                     \
	} while (0)

#define CHECK_STR(a, b)	     test_check_str(__FILE__, __LINE__, #a, #b, (a), (b))
#define CHECK_MEM(a, b, len) test_check_mem(__FILE__, __LINE__, #a, #b, (a), (b), (len))

void test_check_str(const char *file, int line, const char *ea, const char *eb, const char *a,
		    const char *b);
void test_check_mem(const char *file, int line, const char *ea, const char *eb, const void *a,
		    const void *b, size_t len);

#endif
