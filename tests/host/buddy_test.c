/* SPDX-License-Identifier: MIT */
/* sources: mm/phys/boot.c mm/phys/buddy.c mm/phys/page.c mm/phys/page_check.c */
/* sources: @tests/host/shim.sources */
/* Boot memory and the page allocator against naive models: a byte a frame says who has it. */
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"

#include "kernel/core/machine.h"
#include "kernel/core/kasan.h"
#include "mm/phys/page_priv.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RAM_PA 0x40000000UL
#define MIB    (1UL << 20)

static void boot(unsigned cpus, uint64_t pa, size_t ram)
{
	shim_cpus_init(cpus);
	shim_ram_init(pa, ram);
}

static void reserve(uint64_t start, uint64_t size)
{
	machine.reserved[machine.nr_reserved++] = (struct phys_range){ start, size };
}

static void check_account(void)
{
	struct page_stats s;

	page_stats(&s);
	buddy_check();
	CHECK_EQ(s.total, s.free + s.reserved + s.slab + s.tables + s.user + s.kernel);
}

static uint64_t free_pages(void)
{
	struct page_stats s;

	page_stats(&s);
	return s.free;
}

/* L7: pieces of boot memory are disjoint, aligned, in RAM, and clear of every reservation. */
TEST(boot_memory_is_disjoint)
{
	static uint8_t taken[16 * MIB / 16];
	const uint64_t pa = RAM_PA + test_below(4) * 0x1230;

	memset(taken, 0, sizeof(taken));
	boot(1, pa, 16 * MIB);
	for (uint64_t at = test_below(MIB); at < 16 * MIB && test_below(8);) {
		uint64_t size = 1 + test_below(MIB);

		size = MIN(size, 16 * MIB - at);
		reserve(pa + at, size);
		memset(taken + at / 16, 1, (at % 16 + size + 15) / 16);
		at += size + test_below(2 * MIB);
	}
	for (int i = 0; i < 100; i++) {
		size_t align = 16UL << test_below(10), size = 16 * (1 + test_below(2000));
		uint8_t *p = boot_alloc(size, align);
		uint64_t off = (uintptr_t)p - shim_linear_base;

		CHECK_EQ((pa + off) % align, 0);
		CHECK(off + size <= 16 * MIB);
		for (size_t k = 0; k < size; k++)
			CHECK(p[k] == 0);
		for (size_t k = off / 16; k < (off + size + 15) / 16; k++)
			CHECK(!taken[k]);
		memset(taken + off / 16, 2, (size + 15) / 16);
		memset(p, 0xff, size);
	}
	pages_init();
	check_account();
	/* no page given out overlaps boot memory */
	struct page *p;
	while ((p = page_alloc(0, 0)) != NULL) {
		uint64_t off = page_to_phys(p).pa - pa;

		for (size_t k = off / 16; k < (off + PAGE_SIZE) / 16; k++)
			CHECK(!taken[k]);
	}
}

static void call_pages_init(void *arg)
{
	pages_init();
}

static void call_boot_alloc(void *arg)
{
	CHECK(boot_alloc(8 * MIB, 16) == NULL);
}

TEST(overlapping_reservations_panic)
{
	boot(1, RAM_PA, 4 * MIB);
	reserve(RAM_PA + MIB, 8192);
	reserve(RAM_PA + MIB + 4096, 8192);
	CHECK(shim_expect_bug(call_pages_init, NULL, "reservations overlap"));
}

TEST(boot_memory_runs_out_with_a_panic)
{
	boot(1, RAM_PA, 4 * MIB);
	CHECK(shim_expect_bug(call_boot_alloc, NULL, "no boot memory"));
}

/* Random blocks; a model says which frame is whose. At the end all RAM is one piece again. */
static void random_blocks(unsigned cpus, uint64_t pa, size_t ram, int rounds)
{
	enum { SLOTS = 600 };
	struct page *block[SLOTS] = { 0 };
	unsigned order[SLOTS];
	uint8_t *owner;
	uint64_t before, biggest;
	struct page_stats s;

	boot(cpus, pa, ram);
	reserve(pa + 3 * MIB + 100, 5000);
	pages_init();
	check_account();
	pages_drain_caches();
	page_stats(&s);
	before = s.free;
	biggest = s.free_blocks[PAGE_ORDER_MAX];
	owner = calloc(1, ram / PAGE_SIZE);
	for (int i = 0; i < rounds; i++) {
		unsigned k = (unsigned)test_below(SLOTS);

		if (cpus > 1)
			shim_enter_cpu((unsigned)test_below(cpus));
		if (block[k]) {
			uint64_t first = (page_to_phys(block[k]).pa - pa) / PAGE_SIZE;

			memset(owner + first, 0, 1UL << order[k]);
			page_put(block[k]);
			block[k] = NULL;
			continue;
		}
		order[k] = test_below(4) ? 0 : (unsigned)test_below(PAGE_ORDER_MAX + 1);
		block[k] = page_alloc(order[k], test_below(2) ? ALLOC_ZERO : 0);
		if (!block[k])
			continue;

		uint64_t at = page_to_phys(block[k]).pa;
		uint8_t *bytes = page_addr(block[k]);

		CHECK_EQ(at % (PAGE_SIZE << order[k]), 0);
		CHECK(page_of_phys(paddr(at)) == block[k]);
		CHECK(page_of_addr(bytes + 17) == block[k]);
		for (uint64_t f = (at - pa) / PAGE_SIZE, n = 1UL << order[k]; n > 0; n--, f++) {
			CHECK_EQ(owner[f], 0);
			owner[f] = 1;
		}
		memset(bytes, (int)k, PAGE_SIZE << order[k]);
		if (i % 1000 == 0)
			check_account();
	}
	check_account();
	for (unsigned k = 0; k < SLOTS; k++)
		if (block[k])
			page_put(block[k]);
	check_account();
	CHECK_EQ(free_pages(), before);
	pages_drain_caches();
	page_stats(&s);
	CHECK_EQ(s.cpu_cached, 0);
	CHECK_EQ(s.free_blocks[PAGE_ORDER_MAX], biggest);
	free(owner);
}

TEST(buddy_matches_model)
{
	random_blocks(1, RAM_PA, 16 * MIB, 100000 * test_scale);
}

TEST(buddy_matches_model_many_cpus)
{
	random_blocks(4, RAM_PA, 16 * MIB, 100000 * test_scale);
}

TEST(buddy_with_odd_ram)
{
	random_blocks(2, RAM_PA + 0x3000, 16 * MIB - 0x5000, 30000 * test_scale);
}

TEST(zeroed_pages_are_zero)
{
	boot(1, RAM_PA, 4 * MIB);
	pages_init();
	for (int i = 0; i < 2000; i++) {
		unsigned order = (unsigned)test_below(3);
		struct page *p = page_alloc(order, ALLOC_ZERO);
		uint64_t *w = page_addr(p);

		for (size_t k = 0; k < (PAGE_SIZE << order) / 8; k++)
			CHECK(w[k] == 0);
		memset(w, 0xff, PAGE_SIZE << order);
		page_put(p);
	}
}

/* Every page can be had, and after that the allocator says so; with caches of other CPUs full. */
TEST(exhaustion_takes_all_and_says_null)
{
	boot(4, RAM_PA, 8 * MIB);
	pages_init();

	uint64_t n = free_pages(), got = 0;
	struct page **all = calloc(n + 1, sizeof(*all));

	for (unsigned cpu = 0; cpu < 4; cpu++) {
		shim_enter_cpu(cpu);
		struct page *p = page_alloc(0, 0);
		page_put(p);
	}
	while ((all[got] = page_alloc(0, ALLOC_ATOMIC)) != NULL)
		got++;
	CHECK_EQ(got, n);
	CHECK_EQ(free_pages(), 0);
	check_account();
	for (uint64_t i = 0; i < got; i++)
		page_put(all[i]);
	CHECK_EQ(free_pages(), n);
	free(all);
}

static struct page *hoard[64];

static size_t give_hoard(size_t want)
{
	size_t n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(hoard); i++)
		if (hoard[i]) {
			page_put(hoard[i]);
			hoard[i] = NULL;
			n++;
		}
	return n;
}

TEST(shrinkers_run_when_memory_is_short)
{
	static struct shrinker s = { .shrink = give_hoard };
	struct page *p;
	unsigned n = 0;

	boot(1, RAM_PA, 4 * MIB);
	pages_init();
	shrinker_register(&s);
	for (unsigned i = 0; i < ARRAY_SIZE(hoard); i++)
		hoard[i] = page_alloc(0, 0);
	while ((p = page_alloc(0, ALLOC_ATOMIC)) != NULL)
		n++;
	CHECK(hoard[0] != NULL);
	p = page_alloc(0, 0);
	CHECK(p != NULL && hoard[0] == NULL);
	check_account();
}

TEST(nth_allocation_fails_on_request)
{
	boot(1, RAM_PA, 4 * MIB);
	pages_init();
	alloc_fail_after(3);
	CHECK(page_alloc(0, 0) != NULL);
	CHECK(page_alloc(0, 0) != NULL);
	CHECK(page_alloc(0, 0) == NULL);
	CHECK(page_alloc(0, 0) != NULL);
}

/* --- misuse ----------------------------------------------------------------------------------------------------- */

static void put(void *p)
{
	page_put(p);
}

static void take(void *arg)
{
	CHECK(page_alloc(0, 0) == NULL);
}

static void lookup(void *arg)
{
	CHECK(page_of_addr(arg) == NULL);
}

TEST(misuse_is_a_bug)
{
	boot(1, RAM_PA, 4 * MIB);

	void *boot_object = boot_alloc(100, 16);

	pages_init();

	struct page *p = page_alloc(0, 0), *q = page_alloc(2, 0);

	page_put(p);
	CHECK(shim_expect_bug(put, p, "put of page"));
	page_set_owner(q, PAGE_SLAB);
	CHECK(shim_expect_bug(put, q, "put of page"));
	page_set_owner(q, PAGE_KERNEL);
	page_put(q);
	CHECK(shim_expect_bug(put, q, "put of page"));
	/* H5: boot memory never becomes the allocator's */
	CHECK(shim_expect_bug(put, page_of_addr(boot_object), "last put of reserved"));
	CHECK(shim_expect_bug(lookup, &boot_object, "not in RAM"));
	shim_cpu->irq_depth = 1;
	CHECK(shim_expect_bug(take, NULL, "irq context"));
	shim_cpu->irq_depth = 0;
	current_base()->alloc_forbidden = true;
	CHECK(shim_expect_bug(take, NULL, "forbidden"));
	current_base()->alloc_forbidden = false;
}

static void drain(void *arg)
{
	while (page_alloc(0, 0))
		;
}

TEST(write_after_free_is_found)
{
	boot(1, RAM_PA, 4 * MIB);
	pages_init();

	struct page *p = page_alloc(0, 0);
	volatile uint8_t *bytes = page_addr(p);

	page_put(p);
	__asan_unpoison_memory_region((void *)bytes, PAGE_SIZE);
	bytes[100] = 1;
	CHECK(shim_expect_bug(drain, NULL, "written to"));
}

/* REL-003: at its limit the count sticks, and the page stays. */
/* A put of many is as many puts: who has references, of which owner, and how large the blocks are. */
TEST(many_put_at_once)
{
	static struct page *mine[400], *again[400];
	struct page_stats st;
	unsigned kernel = 0, user = 0, n = 0;

	boot(2, RAM_PA, 16 * MIB);
	pages_init();
	uint64_t before = free_pages();

	for (unsigned i = 0; i < ARRAY_SIZE(mine); i++) {
		bool is_user = test_below(3);
		unsigned order = is_user ? 0 : (unsigned)test_below(3);

		mine[i] = page_alloc(order, is_user ? ALLOC_USER : 0);
		CHECK(mine[i] != NULL);
		/* kept by somebody else */
		if (test_below(4) == 0) {
			page_get(mine[i]);
			again[n++] = mine[i];
			*(is_user ? &user : &kernel) += 1u << order;
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(mine);) {
		unsigned k = 1 + (unsigned)test_below(80);

		k = MIN(k, (unsigned)ARRAY_SIZE(mine) - i);
		pages_put(&mine[i], k);
		i += k;
	}
	page_stats(&st);
	CHECK_EQ(st.user, user);
	CHECK_EQ(st.kernel, kernel);
	CHECK_EQ(st.free, before - user - kernel);
	check_account();
	pages_put(again, n);
	pages_put(again, 0);
	CHECK_EQ(free_pages(), before);
	pages_drain_caches();
	check_account();
}

/* Programs leave the last pages to the kernel, and get them no other way either. */
TEST(programs_leave_the_last_pages)
{
	struct list_head all = LIST_HEAD_INIT(all);
	struct page_stats st;
	struct page *p, *next;

	boot(1, RAM_PA, 16 * MIB);
	pages_init();
	page_stats(&st);
	while ((p = page_alloc(0, ALLOC_USER)))
		list_push_back(&p->link, &all);
	CHECK_EQ(free_pages(), st.total / 64);
	for (uint64_t n = st.total / 64; n > 0; n--) {
		CHECK((p = page_alloc(0, 0)) != NULL);
		list_push_back(&p->link, &all);
	}
	CHECK(page_alloc(0, 0) == NULL);
	list_for_each_safe (p, next, &all, link) {
		list_del(&p->link);
		page_put(p);
	}
	check_account();
}

static uint64_t free_before, most_moved;

static void note_moved(const void *l)
{
	uint64_t moved = free_before > buddy.nr_free ? free_before - buddy.nr_free
						     : buddy.nr_free - free_before;

	if (l != &buddy.lock)
		return;
	most_moved = MAX(most_moved, moved);
	free_before = buddy.nr_free;
}

/* PERF-003: a CPU's load of pages is not moved in one hold. */
TEST(a_hold_moves_few_pages)
{
	struct page *p[300];

	boot(1, RAM_PA, 64 * MIB);
	pages_init();
	free_before = buddy.nr_free;
	most_moved = 0;
	shim_unlock_hook = note_moved;
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		CHECK((p[i] = page_alloc(0, 0)) != NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		page_put(p[i]);
	pages_drain_caches();
	shim_unlock_hook = NULL;
	CHECK(most_moved > 0 && most_moved <= 32);
}

TEST(reference_count_sticks)
{
	boot(1, RAM_PA, 4 * MIB);
	pages_init();

	struct page *p = page_alloc(0, 0);
	uint64_t before = free_pages();

	p->ref.n = REFCOUNT_STUCK - 1;
	page_get(p);
	page_get(p);
	for (int i = 0; i < 10; i++)
		page_put(p);
	CHECK_EQ(refcount_read(&p->ref), REFCOUNT_STUCK);
	CHECK_EQ(free_pages(), before);
}

/* I-MM-5 */
TEST(reserved_ram_can_be_given_back)
{
	boot(1, RAM_PA, 8 * MIB);
	reserve(RAM_PA, MIB);
	reserve(RAM_PA + 2 * MIB + 100, MIB);
	machine.initrd = (struct phys_range){ RAM_PA + 2 * MIB + 100, MIB };
	pages_init();

	uint64_t before = free_pages(), usable = pages_usable();
	struct page *p = page_of_phys(paddr(RAM_PA + 2 * MIB + 8192));

	/* its users count references like anybody's */
	page_get(p);
	page_put(p);
	pages_free_reserved(paddr(RAM_PA + 2 * MIB + 100), MIB);
	CHECK_EQ(free_pages(), before + MIB / PAGE_SIZE - 1);
	CHECK_EQ(pages_usable(), usable);
	check_account();
}

/* MS-005, RC-010: 8 GiB; building the frames touches few of them (the arena is not even backed by memory). */
TEST(big_ram)
{
	boot(4, RAM_PA, 8UL << 30);
	pages_init();
	check_account();

	struct page *p = page_alloc(PAGE_ORDER_MAX, 0);

	CHECK(p != NULL);
	page_put(p);
}

/* RC-005: threads as CPUs; the sums hold at every moment within what is in flight, exactly at the end. */
struct hammer {
	unsigned cpu;
	uint64_t seed;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	struct page *mine[64] = { 0 };
	uint64_t x = h->seed;

	shim_enter_cpu(h->cpu);
	for (int i = 0; i < 30000 * test_scale; i++) {
		unsigned k, order;

		x = x * 6364136223846793005u + 1442695040888963407u;
		k = x >> 33 & 63;
		order = (x >> 40 & 7) ? 0 : x >> 43 & 3;
		if (mine[k]) {
			page_put(mine[k]);
			mine[k] = NULL;
		} else {
			mine[k] = page_alloc(order, 0);
		}
	}
	for (unsigned k = 0; k < 64; k++)
		if (mine[k])
			page_put(mine[k]);
	return NULL;
}

TEST(many_cpus_at_once)
{
	pthread_t t[4];
	struct hammer h[4];

	boot(5, RAM_PA, 4 * MIB);
	pages_init();

	uint64_t before = free_pages();

	for (unsigned i = 0; i < 4; i++) {
		h[i] = (struct hammer){ i + 1, test_random() };
		pthread_create(&t[i], NULL, hammer, &h[i]);
	}
	for (int i = 0; i < 2000; i++)
		buddy_check();
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	check_account();
	CHECK_EQ(free_pages(), before);
}
