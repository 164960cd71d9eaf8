/* SPDX-License-Identifier: MIT */
/* Faults by rate and seed (kernel/core/fault.h): what is drawn, and what is not understood. */
#include "kernel/core/fault.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "sched/thread.h"
#include "tests/kernel/ktest.h"

#define DRAWS 32

static int ask(const char *words)
{
	char text[64];

	fmt_print(text, sizeof(text), "%s", words);
	return fault_ask(text);
}

/* Preemption is off: each CPU draws otherwise. */
static void draw(const char *words, uint64_t *out)
{
	KT_CHECK(ask(words) == 0);
	for (unsigned i = 0; i < DRAWS; i++)
		out[i] = fault_draw(FAULT_ALLOC, 1000);
	KT_CHECK(ask("off") == 0);
}

KTEST(faults_follow_the_seed)
{
	uint64_t first[DRAWS], again[DRAWS], other[DRAWS];

	preempt_disable();
	draw("alloc:1000000000000:7", first);
	draw("alloc:1000000000000:8", other);
	draw("alloc:1000000000000:7", again);
	preempt_enable();
	KT_CHECK(memcmp(first, again, sizeof(first)) == 0);
	KT_CHECK(memcmp(first, other, sizeof(first)) != 0);
}

KTEST(faults_come_at_their_rate)
{
	uint64_t hits = 0, before = fault_count(FAULT_ALLOC).happened;

	preempt_disable();
	KT_CHECK(ask("alloc:8:5") == 0);
	for (unsigned i = 0; i < 8000; i++)
		hits += fault_hits(FAULT_ALLOC);
	KT_CHECK(ask("off") == 0);
	preempt_enable();
	KT_CHECK(hits > 800 && hits < 1200);
	KT_CHECK(fault_count(FAULT_ALLOC).happened - before >= hits);
	KT_CHECK(!fault_hits(FAULT_ALLOC));
}

KTEST(faults_are_named)
{
	KT_CHECK(ask("nothing:3") == -EINVAL);
	KT_CHECK(ask("alloc") == -EINVAL);
	KT_CHECK(ask("alloc:often") == -EINVAL);
	KT_CHECK(ask("alloc:3:x") == -EINVAL);
	KT_CHECK(ask("alloc:0,nothing:3") == -EINVAL);
	KT_CHECK(ask("alloc:0:3,alloc:@0") == 0);
}
