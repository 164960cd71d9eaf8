/* SPDX-License-Identifier: MIT */
/* Pages: the account under fire, misuse, poison, what the machine's map reserved. */
#include "tests/kernel/ktest.h"

#include "kernel/core/clock.h"
#include "kernel/core/machine.h"
#include "lib/string.h"
#include "mm/phys/page_priv.h"
#include "mm/phys/slab.h"
#include "tests/kernel/crew.h"

static uint64_t sum(const struct page_stats *s)
{
	return s->free + s->reserved + s->slab + s->tables + s->user + s->kernel;
}

/* --- RC-005, RC-009: the account ---------------------------------------------------------------------------------- */

#define HOARD	   48
#define ORDERS_MAX 4

static uint32_t hammers_left;

struct hammer {
	uint64_t seed;
	unsigned rounds;
};

static void hammer(void *arg)
{
	struct hammer *h = arg;
	struct page *mine[HOARD] = { 0 };

	for (unsigned i = 0; i < h->rounds; i++) {
		uint64_t x = crew_random(&h->seed);
		unsigned k = x % HOARD, order = (x >> 16) % 8 ? 0 : (x >> 24) % ORDERS_MAX;

		if (mine[k]) {
			page_put(mine[k]);
			mine[k] = NULL;
			continue;
		}
		mine[k] = page_alloc(order, x >> 32 & 1 ? ALLOC_ZERO : 0);
		if (mine[k])
			*(uint64_t *)page_addr(mine[k]) = x;
	}
	for (unsigned k = 0; k < HOARD; k++)
		if (mine[k])
			page_put(mine[k]);
	atomic_fetch_sub(&hammers_left, 1);
}

KTEST(pmm_conserve)
{
	unsigned n = cpu_count() * 2;
	static struct hammer h[16];
	struct crew crew = { 0 };
	struct page_stats s;
	uint64_t moving;

	n = MIN(n, (unsigned)ARRAY_SIZE(h));
	moving = cpu_count() * 64 + n * HOARD * (1UL << (ORDERS_MAX - 1));
	hammers_left = n;
	for (unsigned i = 0; i < n; i++) {
		h[i] = (struct hammer){ kt_seed() + i * 77, (unsigned)(3000 * kt_scale()) };
		crew_add(&crew, hammer, &h[i], BIT(i % cpu_count()));
	}
	while (atomic_load_relaxed(&hammers_left) > 0) {
		/* a page is nobody's while it is on its way, at most one block a CPU; and the parts of the account are not read
		 * at one moment: while we stand still between two, each hammer may take or give all it has */
		page_stats(&s);
		KT_CHECK(sum(&s) <= s.total + moving);
		KT_CHECK(sum(&s) + moving >= s.total);
		buddy_check();
		KT_CHECK(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) == 0);
	}
	crew_join(&crew);
	/* the threads' own pages are still on their way for a moment */
	for (uint64_t end = crew_hang_deadline();;) {
		page_stats(&s);
		if (sum(&s) == s.total || clock_now_ns() > end)
			break;
		KT_CHECK(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) == 0);
	}
	KT_CHECK(sum(&s) == s.total);
	buddy_check();
}

/* RC-009: a block is given back while the owner of its neighbour says whose that is. The two are buddies; the one comes and
 * goes on the buddy's list, and the first frame of the other through a CPU's cache. */
struct turner {
	struct page *page;
	unsigned order;
	uint32_t *
		at_it; /* [atomic] who has not had his turns; until nobody is left all go on, beside one another */
};

static void take_in_turn(void *arg)
{
	struct turner *t = arg;
	const uint64_t turns = 20000 * kt_scale();

	for (uint64_t i = 1; t->page && atomic_load_relaxed(t->at_it) > 0; i++) {
		page_put(t->page);
		t->page = page_alloc(t->order, ALLOC_ATOMIC);
		if (i == turns || (!t->page && i < turns))
			atomic_fetch_sub(t->at_it, 1);
	}
	KT_CHECK(t->page);
}

/* Our block falls into two of half its order: the second. */
static struct page *split(struct page *p)
{
	struct page *half = p + (1UL << --p->order);

	half->order = p->order;
	half->owner = p->owner;
	half->flags = 0;
	list_init(&half->link);
	refcount_init(&half->ref, 1);
	return half;
}

KTEST(pages_beside_those_given_back)
{
	struct crew crew = { 0 };
	struct page *p = page_alloc(2, 0);
	uint32_t at_it = 2;

	KT_CHECK(p);
	if (!p || cpu_count() < 2) {
		if (p)
			page_put(p);
		return;
	}

	struct turner block = { split(p), 1, &at_it }, single = { p, 0, &at_it };
	struct page *rest = split(p);

	crew_add(&crew, take_in_turn, &single, BIT(0));
	crew_add(&crew, take_in_turn, &block, BIT(1));
	crew_join(&crew);
	page_put(rest);
	if (single.page)
		page_put(single.page);
	if (block.page)
		page_put(block.page);
	buddy_check();
}

/* X-31, L7: drain the allocator to its last page, writing to each; nobody's stack or data is among them. */
static void keep_pattern(void *arg)
{
	uint32_t *stop = arg;
	uint64_t on_stack[64];

	for (unsigned i = 0; i < 64; i++)
		WRITE_ONCE(on_stack[i], i * 0x9e3779b97f4a7c15UL);
	while (!atomic_load_relaxed(stop)) {
		for (unsigned i = 0; i < 64; i++)
			KT_CHECK(READ_ONCE(on_stack[i]) == i * 0x9e3779b97f4a7c15UL);
		KT_CHECK(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) == 0);
	}
}

KTEST(drain_to_the_last_page)
{
	struct list_head all = LIST_HEAD_INIT(all);
	struct crew crew = { 0 };
	struct page_stats s;
	uint32_t stop = 0;
	struct page *p;

	/* seconds in the suite */
	page_stats(&s);
	if (s.total > (1UL << 30) / PAGE_SIZE && kt_scale() == 1)
		return;
	for (unsigned i = 0; i < 4; i++)
		crew_add(&crew, keep_pattern, &stop, UINT64_MAX);
	/* in big pieces first: 8 GiB are many pages */
	for (unsigned order = PAGE_ORDER_MAX;; order--) {
		while ((p = page_alloc(order, ALLOC_ATOMIC))) {
			uint64_t *w = page_addr(p);

			for (size_t i = 0; i < (PAGE_SIZE << order) / 8; i += 8192)
				w[i] = page_to_phys(p).pa;
			list_push_back(&p->link, &all);
		}
		if (order == 0)
			break;
	}
	page_stats(&s);
	KT_CHECK(s.free < 64);
	KT_CHECK(page_alloc(0, ALLOC_ATOMIC) == NULL);
	sched_yield();
	while (!list_empty(&all)) {
		p = list_first(&all, struct page, link);
		KT_CHECK(*(uint64_t *)page_addr(p) == page_to_phys(p).pa);
		list_del(&p->link);
		page_put(p);
	}
	atomic_store_relaxed(&stop, 1);
	crew_join(&crew);
}

KTEST(reservations_are_disjoint)
{
	for (unsigned i = 0; i < machine.nr_reserved; i++) {
		const struct phys_range *a = &machine.reserved[i];

		for (unsigned j = 0; j < i; j++) {
			const struct phys_range *b = &machine.reserved[j];

			KT_CHECK(a->start + a->size <= b->start || b->start + b->size <= a->start);
		}
		for (uint64_t at = a->start; at < a->start + a->size; at += PAGE_SIZE)
			if (phys_is_ram(paddr(at)))
				KT_CHECK(page_of_phys(paddr(at))->owner == PAGE_RESERVED);
	}
}

/* --- misuse ----------------------------------------------------------------------------------------------------------- */

static void put(void *p)
{
	page_put(p);
}

static void alloc(void *unused)
{
	(void)unused;
	KT_CHECK(page_alloc(0, 0) == NULL);
}

static void look_up(void *p)
{
	KT_CHECK(page_of_addr(p) == NULL);
}

KTEST(page_misuse)
{
	struct page *p = page_alloc(0, 0), *q = page_alloc(1, 0);
	int local;

	KT_CHECK(p && q);
	page_put(p);
	kt_expect_bug(put, p, "put of page");
	page_set_owner(q, PAGE_TABLE);
	kt_expect_bug(put, q, "put of page");
	page_set_owner(q, PAGE_KERNEL);
	page_put(q);
	kt_expect_bug(put, q, "put of page");
	/* H5: boot memory is never given back piecemeal */
	for (unsigned i = 0; i < machine.nr_reserved; i++)
		if (phys_is_ram(paddr(machine.reserved[i].start)))
			kt_expect_bug(put, page_of_phys(paddr(machine.reserved[i].start)),
				      "reserved");
	kt_expect_bug(look_up, &local, "not in RAM");
	kt_expect_bug(look_up, (void *)0x400000UL, "not in RAM");
	current_base()->alloc_forbidden = true;
	kt_expect_bug(alloc, NULL, "forbidden");
	current_base()->alloc_forbidden = false;
}

KTEST(page_write_after_free)
{
	struct page *p;
	uint64_t *w;

	preempt_disable();
	p = page_alloc(0, ALLOC_ATOMIC);
	w = page_addr(p);
	page_put(p);
	/* the cache's top: the next one out. One byte, behind the sanitizer's back */
	__asm__ __volatile__("strb wzr, [%0]" : : "r"(w + 20) : "memory");
	kt_expect_bug((void (*)(void *))alloc, NULL, "written to");
	preempt_enable();
	/* it was on its way out when that was found */
	KT_CHECK(p->owner == PAGE_KERNEL);
	page_put(p);
}

/* REL-003, I-MM-4 */
KTEST(page_count_sticks)
{
	struct page *p = page_alloc(0, 0);

	KT_CHECK(p != NULL);
	p->ref.n = REFCOUNT_STUCK - 1;
	page_get(p);
	page_get(p);
	for (unsigned i = 0; i < 8; i++)
		page_put(p);
	KT_CHECK(p->owner == PAGE_KERNEL && refcount_read(&p->ref) == REFCOUNT_STUCK);
	refcount_init(&p->ref, 1);
	page_put(p);
}

/* MS-004, ARCH-001: a physical address is no pointer. */
KTEST(physical_addresses_do_not_translate)
{
	struct page *p = page_alloc(0, ALLOC_ZERO);
	uint64_t v;

	KT_CHECK(arch_probe_read64(page_addr(p), &v) && v == 0);
	KT_CHECK(!arch_probe_read64((void *)page_to_phys(p).pa, &v));
	KT_CHECK(!arch_probe_read64((void *)0x40000000UL, &v));
	KT_CHECK(!arch_probe_read64(NULL, &v));
	page_put(p);
}

/* PERF-003: a block costs as much when memory is nearly full. Blocks of two pages: single ones are the CPU's own. */
static uint64_t time_of_allocs(struct list_head *all)
{
	uint64_t begin = clock_now_ns();

	for (unsigned i = 0; i < 64; i++) {
		struct page *p = page_alloc(1, ALLOC_ATOMIC);

		if (p)
			list_push_back(&p->link, all);
	}
	return clock_now_ns() - begin;
}

KTEST(icount_page_alloc_speed)
{
	struct list_head all = LIST_HEAD_INIT(all);
	uint64_t empty = time_of_allocs(&all), full;
	struct page_stats s;
	struct page *p;

	page_stats(&s);
	for (uint64_t left = s.free; left > s.total / 20 + (1 << 8); left -= 1 << 8) {
		p = page_alloc(8, ALLOC_ATOMIC);
		if (!p)
			break;
		list_push_back(&p->link, &all);
	}
	full = time_of_allocs(&all);
	log_info("ktest: 64 blocks take %lu ns empty, %lu full", (unsigned long)empty,
		 (unsigned long)full);
	KT_CHECK(full < empty + empty / 4);
	while (!list_empty(&all)) {
		p = list_first(&all, struct page, link);
		list_del(&p->link);
		page_put(p);
	}
}

static void phys_of(void *image)
{
	(void)virt_to_phys(image);
}

/* The kernel's image is no place for what a device is to read: it is not in the linear map. */
KTEST(image_has_no_physical_address)
{
	static char in_image[64];

	kt_expect_bug(phys_of, in_image, "linear");
}

KTEST(nth_page_fails)
{
	struct page *p;

	preempt_disable();
	alloc_fail_after(1);
	p = page_alloc(0, 0);
	alloc_fail_after(0);
	preempt_enable();
	KT_CHECK(p == NULL);
	p = page_alloc(0, 0);
	KT_CHECK(p != NULL);
	page_put(p);
}
