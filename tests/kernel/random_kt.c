/* SPDX-License-Identifier: MIT */
/* The generator: no two requests, CPUs or epochs give the same. Row X-17. */
#include "kernel/core/kcsan.h"
#include "kernel/core/percpu.h"
#include "kernel/core/random.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define DRAWS 64

static uint64_t drawn[8 * DRAWS];

static void draw_fn(void *arg)
{
	for (unsigned i = 0; i < DRAWS; i++) {
		uint64_t *at = &drawn[(uintptr_t)arg * DRAWS + i];

		KT_CHECK(random_bytes(at, sizeof(*at)) == 0);
		if (i % 8 == 0)
			random_add(at, sizeof(*at), 32);
	}
}

/* Where in [p, p + n) those 16 bytes lie, or NULL. */
static const uint8_t *find_bytes(const uint8_t *p, size_t n, const uint8_t bytes[16])
{
	for (const uint8_t *end = p + n - 16; p <= end; p++)
		/* all of a CPU's data is looked through while its CPU goes on */
		if (data_race(memcmp(p, bytes, 16)) == 0)
			return p;
	return NULL;
}

/* I-RANDOM-2: what a CPU has given out it does not keep; what comes next it has, so that a search would find it. */
KTEST(random_keeps_nothing)
{
	static uint8_t copy[65536];
	size_t area = MIN((size_t)(percpu_end - percpu_start), sizeof(copy));
	uint8_t given[16], next[16];
	bool found = false;
	struct cpu *c;

	if (!random_seeded())
		random_add("the test says that this is random", 32, 256);
	for (unsigned i = 0; i < 100; i++) {
		KT_CHECK(random_bytes(given, sizeof(given)) == 0);
		for_each_cpu (c)
			KT_CHECK(!find_bytes((const uint8_t *)per_cpu_ptr(percpu_start, c), area,
					     given));
		preempt_disable();
		memcpy(copy, (const void *)this_cpu_ptr(percpu_start), area);
		KT_CHECK(random_bytes(next, sizeof(next)) == 0);
		preempt_enable();
		found |= find_bytes(copy, area, next) != NULL;
	}
	KT_CHECK(found);
}

/* I-RANDOM-1: without a seed, an error and no bytes. */
KTEST(random_draws)
{
	struct crew crew = { 0 };
	unsigned n = MIN(cpu_count(), 8u), same = 0;
	static uint8_t big[300], zero[300];

	if (!random_seeded()) {
		KT_CHECK(random_bytes(big, sizeof(big)) == -EAGAIN);
		random_add("the test says that this is random", 32, 256);
	}
	for (unsigned i = 0; i < n; i++)
		crew_add(&crew, draw_fn, (void *)(uintptr_t)i, BIT(i));
	crew_join(&crew);
	for (unsigned i = 0; i < n * DRAWS; i++) {
		for (unsigned k = 0; k < i; k++)
			same += drawn[i] == drawn[k];
	}
	KT_CHECK(same == 0);
	for (size_t size = 1; size <= sizeof(big); size += 13) {
		memset(big, 0, sizeof(big));
		KT_CHECK(random_bytes(big, size) == 0);
		/* nothing behind the end, and the last bytes are not left out */
		KT_CHECK(memcmp(big + size, zero, sizeof(big) - size) == 0);
		KT_CHECK(size < 20 || memcmp(big + size - 16, zero, 16) != 0);
	}
	KT_CHECK(random_u32() != random_u32() || random_u32() != random_u32());
}
