/* SPDX-License-Identifier: MIT */
/* sources: mm/phys/boot.c mm/phys/buddy.c mm/phys/page.c mm/phys/page_check.c mm/phys/slab.c mm/phys/slab_check.c mm/phys/kmalloc.c */
/* sources: mm/phys/pgtable.c mm/phys/kstack.c tests/kernel/kernel_table.c @tests/host/shim.sources */
/* Page tables against an array of what was put in; kernel stacks and their holes in a kernel table of our own. */
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"

#include "lib/errno.h"
#include "mm/phys/kstack.h"
#include "mm/phys/page_priv.h"
#include "mm/phys/pgtable.h"
#include "mm/phys/slab.h"
#include "tests/kernel/kernel_table.h"

#include <stdlib.h>
#include <string.h>

#define RAM_PA 0x40000000UL
#define MIB    (1UL << 20)

static pte_t *root;

pte_t *arch_kernel_root(void)
{
	return root;
}

static void boot(size_t ram)
{
	shim_cpus_init(2);
	shim_ram_init(RAM_PA, ram);
	pages_init();
	slab_init();
	root = page_addr(page_alloc(0, ALLOC_ZERO));
	kstack_init();
}

static uint64_t tables(void)
{
	struct page_stats s;

	page_stats(&s);
	return s.tables;
}

static uint64_t free_pages(void)
{
	struct page_stats s;

	page_stats(&s);
	return s.free;
}

/* Addresses that share tables at every level, and some that share none. */
#define SLOTS 512
static vaddr_t slot_va(unsigned i)
{
	static const vaddr_t base[] = { 0, 0x1ff000, 0x3fffe000, 0x7000000000UL };

	return base[i & 3] + (i >> 2) * PAGE_SIZE * (i & 4 ? 512 : 1);
}

static pte_t seen[SLOTS];
static vaddr_t last_va;

static void see(vaddr_t va, pte_t *e, unsigned n, void *arg)
{
	CHECK(va >= last_va && IS_ALIGNED(va, PAGE_SIZE) && n > 0);
	/* within one table */
	CHECK(va / (512 * PAGE_SIZE) == (va + (n - 1) * PAGE_SIZE) / (512 * PAGE_SIZE));
	last_va = va + n * PAGE_SIZE;
	for (unsigned i = 0; i < n; i++)
		*(unsigned *)arg += pte_get(&e[i]) != 0;
}

TEST(table_matches_model)
{
	struct pgtable pt;
	static pte_t model[SLOTS];
	vaddr_t end = USER_MAX;

	boot(16 * MIB);
	CHECK_EQ(pgtable_create(&pt), 0);

	uint64_t before = free_pages();

	for (int i = 0; i < 20000 * test_scale; i++) {
		unsigned k = (unsigned)test_below(SLOTS), n = 0, want = 0;
		vaddr_t va = slot_va(k);
		pte_t *e = pgtable_leaf(&pt, va, test_below(2));
		struct list_head unlinked = LIST_HEAD_INIT(unlinked);

		if (!e) {
			CHECK_EQ(model[k], 0);
			continue;
		}
		for (unsigned j = 0; j < SLOTS; j++)
			if (slot_va(j) == va)
				CHECK_EQ(pte_get(e), model[j]);
		pte_t v = test_below(2) ? arch_pte_leaf(paddr(k * PAGE_SIZE), 3, PTE_USER) : 0;

		pte_set(e, v);
		for (unsigned j = 0; j < SLOTS; j++)
			if (slot_va(j) == va)
				model[j] = v;
		if (v == 0 && test_below(2)) {
			pgtable_prune(&pt, va, va + PAGE_SIZE, 0, 0, &unlinked);
			pgtable_free_tables(&unlinked);
		}
		if (i % 500)
			continue;
		last_va = 0;
		pgtable_walk(&pt, 0, end, see, &n);
		memset(seen, 0, sizeof(seen));
		for (unsigned j = 0; j < SLOTS; j++) {
			bool again = false;

			for (unsigned l = 0; l < j; l++)
				again |= slot_va(l) == slot_va(j);
			want += model[j] && !again;
		}
		CHECK_EQ(n, want);
	}
	for (unsigned k = 0; k < SLOTS; k++) {
		pte_t *e = pgtable_leaf(&pt, slot_va(k), false);

		if (e)
			pte_set(e, 0);
	}
	/* everything empty goes in one prune but the root */
	struct list_head unlinked = LIST_HEAD_INIT(unlinked);

	pgtable_prune(&pt, 0, end, 0, end, &unlinked);
	pgtable_free_tables(&unlinked);
	CHECK_EQ(tables(), 1);
	CHECK_EQ(free_pages(), before);
	pgtable_destroy(&pt);
	CHECK_EQ(tables(), 0);
}

TEST(table_without_memory)
{
	struct pgtable pt;

	boot(4 * MIB);
	alloc_fail_after(1);
	CHECK_EQ(pgtable_create(&pt), -ENOMEM);
	CHECK_EQ(pgtable_create(&pt), 0);
	alloc_fail_after(2);
	CHECK(pgtable_leaf(&pt, 0x1000, true) == NULL);
	CHECK(pgtable_leaf(&pt, 0x1000, false) == NULL);
	CHECK(pgtable_leaf(&pt, 0x1000, true) != NULL);
	pgtable_destroy(&pt);
	CHECK_EQ(tables(), 0);
}

/* --- the kernel's own ------------------------------------------------------------------------------------------------ */

static bool mapped(vaddr_t va)
{
	paddr_t pa;

	return kernel_translate(va, &pa) == 0;
}

static unsigned kernel_flushes;

static void count_flush(vaddr_t va, uint16_t asid, bool local)
{
	CHECK(!local);
	kernel_flushes++;
}

/* below each stack is a hole, and all that is unmapped is invalidated everywhere. X-31: no stack shares
 * memory with anything. */
TEST(stacks_have_holes_and_come_back)
{
	enum { N = 100 };
	static struct kstack s[N];
	uint64_t before, table_pages;

	boot(32 * MIB);
	/* the bitmap's first pages */
	CHECK_EQ(kstack_alloc(&s[0], KSTACK_SIZE), 0);
	CHECK_EQ(kstack_alloc(&s[1], KSTACK_SIZE_LARGE), 0);
	kstack_free(&s[0]);
	kstack_free(&s[1]);
	kstack_reap();
	before = free_pages();
	table_pages = tables();
	shim_on_tlb = count_flush;
	for (int round = 0; round < 20; round++) {
		for (unsigned i = 0; i < N; i++) {
			size_t size = test_below(4) ? KSTACK_SIZE : KSTACK_SIZE_LARGE;

			if (s[i].lo && test_below(2))
				kstack_free(&s[i]);
			if (s[i].lo)
				continue;
			CHECK_EQ(kstack_alloc(&s[i], size), 0);
			CHECK_EQ(s[i].hi - s[i].lo, size);
			CHECK_EQ(s[i].hi % 16, 0);
		}
		for (unsigned i = 0; i < N; i++) {
			CHECK(!mapped(s[i].lo - 1) && !mapped(s[i].lo - PAGE_SIZE));
			for (uintptr_t a = s[i].lo; a < s[i].hi; a += PAGE_SIZE)
				CHECK(mapped(a));
			for (unsigned j = 0; j < i; j++)
				CHECK(s[i].hi <= s[j].lo || s[j].hi <= s[i].lo);
		}
	}
	for (unsigned i = 0; i < N; i++)
		kstack_free(&s[i]);
	CHECK(kernel_flushes > 0);
	kstack_reap();
	CHECK_EQ(free_pages(), before);
	CHECK_EQ(tables(), table_pages);
}

TEST(stacks_nth_failure)
{
	struct kstack s;
	uint64_t before = 0;

	boot(8 * MIB);
	for (uint64_t n = 1; n < 40; n++) {
		alloc_fail_after(n);
		int err = kstack_alloc(&s, n & 1 ? KSTACK_SIZE : KSTACK_SIZE_LARGE);

		alloc_fail_after(0);
		CHECK(err == 0 || err == -ENOMEM);
		if (!err)
			kstack_free(&s);
		kstack_reap();
		/* after the first rounds the bitmap pages are there */
		if (n == 20)
			before = free_pages();
		if (n > 20)
			CHECK_EQ(free_pages(), before);
	}
}

TEST(stacks_until_memory_is_gone)
{
	struct kstack s;
	unsigned n = 0;

	boot(8 * MIB);
	while (kstack_alloc(&s, KSTACK_SIZE) == 0)
		n++;
	CHECK(n > 300);
}
