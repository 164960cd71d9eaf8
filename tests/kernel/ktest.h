/* SPDX-License-Identifier: MIT */
/* In-kernel tests, linked into debug images by section. A test runs in a thread of its own; a failed check marks
 * it and goes on. Free pages and slab objects are compared before and after each. */
#ifndef TERN_TESTS_KERNEL_KTEST_H
#define TERN_TESTS_KERNEL_KTEST_H

#include "kernel/core/log.h"
#include "lib/types.h"

struct ktest {
	const char *name;
	void (*fn)(void);
};

/* linker.ld */
extern const struct ktest ktests_start[], ktests_end[];

/* A name that begins with icount_ is of a test about times: it runs on a machine of one CPU whose clock counts its
 * instructions (scripts/ktest.py), so that nothing else on the host is in them. */
#define KTEST(test_name)                                                                           \
	static void kt_##test_name(void);                                                          \
	static const struct ktest ktest_##test_name __used __section(                              \
		".ktests") = { #test_name, kt_##test_name };                                       \
	static void kt_##test_name(void)

#define KT_CHECK(cond)                                                                             \
	do {                                                                                       \
		if (!(cond))                                                                       \
			kt_fail(__FILE__, __LINE__, #cond);                                        \
	} while (0)

/* Any thread of the test may call it. */
void kt_fail(const char *file, int line, const char *what);

/* fn(arg) must end in a BUG whose text contains `text`; else the test fails. Locks that fn left held are
 * dropped by the harness. Context: thread, or a handler in an interrupt. */
void kt_expect_bug(void (*fn)(void *), void *arg, const char *text);

/* perturb=, seeds: a number that differs from run to run by -append, for random tests. */
uint64_t kt_seed(void);
/* Multiply iteration counts by it: 1 in the suite, more by scale= on the command line. */
uint64_t kt_scale(void);

/* kernel/main.c: run what test= names and stop the machine. Release images have no tests and say so. */
#ifdef DEBUG
void ktest_run_all(const char *names) __noreturn;
#else
static inline void ktest_run_all(const char *names)
{
	log_warn("ktest: test=%s needs the debug image", names);
}
#endif

#endif
