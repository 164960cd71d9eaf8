/* SPDX-License-Identifier: MIT */
/* sources: tests/model/relacy_*.cc */
/* flags: -lstdc++ */
#include "tests/model/relacy.h"
#include "tests/host/test.h"

#include <stdio.h>

/* relacy keeps its fibres' stacks. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void explored(const char *what, unsigned long runs, const char *bound)
{
	CHECK_MSG(runs > 0, "%s: see above", what);
	printf("relacy %s: %lu runs, %s\n", what, runs, bound);
}

TEST(relacy_spinlock)
{
	explored("spinlock, 2 CPUs", relacy_spinlock(), "exhaustive");
}

TEST(relacy_refcount)
{
	explored("reference count, 3 CPUs", relacy_refcount(), "exhaustive");
}

TEST(relacy_wait)
{
	explored("wait queue, 2 CPUs", relacy_wait(), "all with up to 3 preemptions");
}

TEST(relacy_trace_ring)
{
	explored("trace ring, 2 CPUs", relacy_trace_ring(), "all with up to 3 preemptions");
}

TEST(relacy_virtq_index)
{
	explored("virtqueue's indices, both sides", relacy_virtq_index(),
		 "all with up to 3 preemptions");
}
