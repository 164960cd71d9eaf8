/* SPDX-License-Identifier: MIT */
/* L6: more spaces than numbers, each with its own value at one address, on all CPUs while the numbers roll over. */
#include "tests/kernel/ktest.h"

#include "kernel/context.h"
#include "mm/phys/asid.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"
#include "tests/kernel/crew.h"

#define CELL 0x7000000UL

static uint64_t until_generation; /* [init] of a storm */

static void own_cell(void *arg)
{
	struct vm_space *s = vm_space_create();
	uint64_t mine = (uint64_t)arg, v;
	vaddr_t at;

	if (!s) {
		kt_fail(__FILE__, __LINE__, "no memory for a space");
		return;
	}
	space_switch(s);
	KT_CHECK(vm_map(s, CELL, PAGE_SIZE, VM_READ | VM_WRITE | VM_FIXED, NULL, 0, &at) == 0);
	KT_CHECK(user_copy_to(CELL, &mine, 8) == 0);
	for (unsigned i = 0; i < 100 * kt_scale() || asid_generations() < until_generation; i++) {
		KT_CHECK(user_copy_from(&v, CELL, 8) == 0);
		KT_CHECK(v == mine);
		if (v != mine)
			break; /* it would be so at each turn */
		if (i % 50 == 0) {
			/* a new page, so a flush of this number must reach wherever we have been */
			KT_CHECK(vm_discard(s, CELL, PAGE_SIZE) == 0);
			KT_CHECK(user_copy_from(&v, CELL, 8) == 0 && v == 0);
			KT_CHECK(user_copy_to(CELL, &mine, 8) == 0);
		}
		sched_yield();
	}
	space_switch(NULL);
	vm_space_put(s);
}

static void storm(unsigned spaces, uint64_t generations)
{
	struct crew crew = { 0 };

	until_generation = asid_generations() + generations;
	for (uint64_t i = 0; i < spaces; i++)
		crew_add(&crew, own_cell, (void *)(i + 1), UINT64_MAX);
	crew_join(&crew);
	vm_space_reap();
}

/* Some 2.5 ms of a CPU each: by scale= there are thousands, in 'all'. */
KTEST(asid_rollover)
{
	asid_limit(4);
	storm(40, 500 * kt_scale());
	asid_limit(0);
}

KTEST(asid_no_rollover)
{
	storm(40, 0);
}
