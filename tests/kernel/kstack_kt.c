/* SPDX-License-Identifier: MIT */
/* Kernel stacks: the hole below, coming and going on all CPUs, and the end of memory. */
#include "tests/kernel/ktest.h"

#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/kstack.h"
#include "mm/phys/page.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/kernel_table.h"

/* the page below is not mapped, by the processor and by the table. */
KTEST(stack_has_a_hole_below)
{
	static const size_t sizes[] = { KSTACK_SIZE, KSTACK_SIZE_LARGE };
	paddr_t pa;
	uint64_t v;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct kstack s;

		KT_CHECK(kstack_alloc(&s, sizes[i]) == 0);
		memset((void *)s.lo, 0x33, s.hi - s.lo);
		KT_CHECK(arch_probe_read64((void *)s.lo, &v) && v == 0x3333333333333333UL);
		KT_CHECK(!arch_probe_read64((void *)(s.lo - 8), &v));
		KT_CHECK(!arch_probe_read64((void *)(s.lo - PAGE_SIZE), &v));
		KT_CHECK(kernel_translate(s.lo - PAGE_SIZE, &pa) == -ENOENT);
		kstack_free(&s);
	}
	/* this thread's own */
	KT_CHECK(!arch_probe_read64((void *)(current_base()->stack_lo - 8), &v));
}

struct juggler {
	uint64_t seed;
	unsigned rounds;
};

static void juggle(void *arg)
{
	struct juggler *j = arg;
	struct kstack s[6] = { { 0, 0 } };

	for (unsigned i = 0; i < j->rounds; i++) {
		uint64_t x = crew_random(&j->seed);
		struct kstack *k = &s[x % 6];

		if (k->lo) {
			/* nobody else wrote to it */
			KT_CHECK(*(uint64_t *)k->lo == k->hi && *((uint64_t *)k->hi - 1) == k->lo);
			kstack_free(k);
		} else if (kstack_alloc(k, x >> 20 & 3 ? KSTACK_SIZE : KSTACK_SIZE_LARGE) == 0) {
			*(uint64_t *)k->lo = k->hi;
			*((uint64_t *)k->hi - 1) = k->lo;
		}
	}
	for (unsigned i = 0; i < 6; i++)
		if (s[i].lo)
			kstack_free(&s[i]);
}

KTEST(stack_storm)
{
	static struct juggler j[16];
	struct crew crew = { 0 };
	unsigned n = MIN(cpu_count() * 2, (unsigned)ARRAY_SIZE(j));

	for (unsigned i = 0; i < n; i++) {
		j[i] = (struct juggler){ kt_seed() + i * 31337, (unsigned)(300 * kt_scale()) };
		crew_add(&crew, juggle, &j[i], UINT64_MAX);
	}
	for (unsigned i = 0; i < 10; i++) {
		kstack_reap();
		KT_CHECK(sleep_until(crew_deadline_ms(2), WAIT_UNINTERRUPTIBLE) == 0);
	}
	crew_join(&crew);
}

KTEST(stack_nth_failure)
{
	for (unsigned n = 1; n < 24; n++) {
		struct kstack s;
		int err;

		kstack_reap();
		alloc_fail_after(n);
		err = kstack_alloc(&s, n & 1 ? KSTACK_SIZE : KSTACK_SIZE_LARGE);
		alloc_fail_after(0);
		KT_CHECK(err == 0 || err == -ENOMEM);
		if (!err)
			kstack_free(&s);
	}
}
