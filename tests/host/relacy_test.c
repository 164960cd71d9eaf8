/* SPDX-License-Identifier: MIT */
/* sources: tests/model/relacy_locks.cc */
/* flags: -lstdc++ */
#include "tests/model/relacy_locks.h"
#include "tests/host/test.h"

#include <stdio.h>

/* relacy keeps its fibres' stacks. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

TEST(relacy_spinlock)
{
	unsigned long runs = relacy_spinlock();

	CHECK(runs > 0);
	printf("relacy spinlock, 2 CPUs: %lu runs, exhaustive\n", runs);
}

TEST(relacy_refcount)
{
	unsigned long runs = relacy_refcount();

	CHECK(runs > 0);
	printf("relacy reference count, 3 CPUs: %lu runs, exhaustive\n", runs);
}
