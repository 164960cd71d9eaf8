/* SPDX-License-Identifier: MIT */
/* Slab and kmalloc in the kernel: misuse is found wherever the object is, many CPUs at once, memory comes back. */
#include "tests/kernel/ktest.h"

#include "lib/string.h"
#include "mm/phys/page_priv.h"
#include "mm/phys/slab_priv.h"
#include "tests/kernel/crew.h"

/* --- MS-001, MS-002, H5: misuse ------------------------------------------------------------------------------------- */

static void give(void *p)
{
	kfree(p);
}

static void give_twice(void *p)
{
	kfree(p);
	kfree(p);
}

static void give_alloc_give(void *p)
{
	void *q[8];

	kfree(p);
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++)
		q[i] = kmalloc(700);
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++)
		kfree(q[i]);
	kfree(p);
}

static void give_on(void *p)
{
	kfree(p);
}

static struct slab_cache *other;

static void give_to_other(void *p)
{
	slab_free(other, p);
}

static void *taken[64];

/* More than any magazine keeps, so that what was freed on this CPU comes out again. */
static void alloc_many(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < ARRAY_SIZE(taken); i++)
		taken[i] = kmalloc(64);
}

static void free_taken(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(taken); i++) {
		kfree(taken[i]);
		taken[i] = NULL;
	}
}

static void alloc(void *unused)
{
	(void)unused;
	kfree(kmalloc(64));
}

KTEST(slab_double_free)
{
	struct crew crew = { 0 };
	void *p;

	kt_expect_bug(give_twice, kmalloc(64), "double free");
	kt_expect_bug(give_alloc_give, kmalloc(64), "double free");
	kt_expect_bug(give_twice, kmalloc(9000), "kfree");
	/* the first free by another CPU: the object is in that one's magazine */
	p = kmalloc(128);
	crew_add(&crew, give_on, p, BIT(cpu_count() - 1));
	crew_join(&crew);
	kt_expect_bug(give, p, "double free");
}

KTEST(slab_wrong_pointers)
{
	char local[32], *p = kmalloc(64);
	struct page *page = page_alloc(0, 0);
	void *q;

	other = slab_create("kt_other", 48, 0);
	q = slab_alloc(other);
	kt_expect_bug(give, local, "not in RAM");
	kt_expect_bug(give, (void *)(uintptr_t)alloc, "not in RAM");
	kt_expect_bug(give, (void *)0x10000UL, "not in RAM");
	kt_expect_bug(give, p + 8, "not its start");
	kt_expect_bug(give, page_addr(page), "did not come from kmalloc");
	kt_expect_bug(give, q, "not from kmalloc");
	kt_expect_bug(give_to_other, p, "freed to kt_other");
	slab_free(other, q);
	slab_destroy(other);
	page_put(page);
	kfree(p);
}

/* The stores are the machine's own, so that the sanitizer's report does not come first. */
static void store_byte(void *p, uint8_t byte)
{
	__asm__ __volatile__("strb %w1, [%0]" : : "r"(p), "r"(byte) : "memory");
}

KTEST(slab_red_zones)
{
	char *p;

	p = kmalloc(64);
	store_byte(p + 64, 0);
	kt_expect_bug(give, p, "overrun");
	store_byte(p + 64, 0xbb);
	store_byte(p - 10, 0);
	kt_expect_bug(give, p, "underrun");
	store_byte(p - 10, 0xbb);
	preempt_disable();
	kfree(p);
	store_byte(p + 30, 0);
	kt_expect_bug(alloc_many, NULL, "write after free");
	preempt_enable();
	/* it was on its way out when that was found */
	kfree(p);
	free_taken();
}

KTEST(slab_context)
{
	current_base()->alloc_forbidden = true;
	kt_expect_bug(alloc, NULL, "forbidden");
	current_base()->alloc_forbidden = false;
}

/* A12, I-IRQ-2: in a real interrupt. The thread below expects a BUG of its own meanwhile, which must not be mixed up with this one. */
static uint32_t irq_tries; /* [atomic] */

static void take_page(void *unused)
{
	(void)unused;
	page_put(page_alloc(0, ALLOC_ATOMIC));
}

static void allocating_timer(struct timer *t)
{
	(void)t;
	kt_expect_bug(alloc, NULL, "allocation in irq context");
	kt_expect_bug(take_page, NULL, "allocation in irq context");
	KT_CHECK(arch_irqs_off() && arch_cpu()->irq_depth == 1);
	atomic_fetch_add(&irq_tries, 1);
}

static void wait_for_the_timer(void *t)
{
	uint64_t end = crew_hang_deadline();

	timer_arm(t, clock_now_ns());
	while (!atomic_load_acquire(&irq_tries) && clock_now_ns() < end)
		arch_spin_hint();
	BUG("the thread's own");
}

KTEST(slab_in_interrupt)
{
	struct timer t;

	atomic_store_relaxed(&irq_tries, 0);
	timer_init(&t, allocating_timer);
	preempt_disable();
	kt_expect_bug(wait_for_the_timer, &t, "the thread's own");
	preempt_enable();
	timer_cancel(&t);
	KT_CHECK(atomic_load_relaxed(&irq_tries) == 1);
}

/* --- use of memory ------------------------------------------------------------------------------------------------------ */

static uint64_t used_pages(void)
{
	struct page_stats s;

	page_stats(&s);
	return s.slab + s.kernel;
}

/* A chain of objects: the first word links them. */
static unsigned long make_chain(size_t size, unsigned long n, void **out)
{
	void **head = NULL;
	unsigned long got = 0;

	for (; got < n; got++) {
		void **p = kmalloc(size);

		if (!p)
			break;
		*p = head;
		head = p;
	}
	*out = head;
	return got;
}

static void free_chain(void *head)
{
	while (head) {
		void *next = *(void **)head;

		kfree(head);
		head = next;
	}
}

/* H6: the debug image spends 32 bytes of red zone on each. */
KTEST(small_objects_share_pages)
{
	uint64_t before = used_pages();
	void *chain;

	KT_CHECK(make_chain(32, 10000, &chain) == 10000);
	KT_CHECK(used_pages() - before <= 100 * 2 + 16);
	free_chain(chain);
}

/* PERF-004: half of what is free, in small objects; all given back; then big blocks can be had as before. */
KTEST(empty_slabs_come_back)
{
	struct page_stats before, after;
	struct page *p;
	unsigned long n;
	void *chain;

	slab_reap();
	pages_drain_caches();
	page_stats(&before);
	n = MIN((4UL << 20) / 128 * kt_scale(), before.free * PAGE_SIZE / 2 / 200);
	KT_CHECK(make_chain(128, n, &chain) == n);
	free_chain(chain);
	slab_check();
	/* nobody had to ask */
	page_stats(&after);
	KT_CHECK(after.slab <= before.slab + 64);
	slab_reap();
	pages_drain_caches();
	page_stats(&after);
	KT_CHECK(after.free * 100 >= before.free * 98);
	if (before.free_blocks[9] || before.free_blocks[10]) {
		p = page_alloc(9, 0);
		KT_CHECK(p != NULL);
		if (p)
			page_put(p);
	}
}

/* PERF-001, PERF-005: neither way grows with the number of slabs. Room for the host's moods. */
static uint64_t time_of_pairs(void)
{
	uint64_t best = UINT64_MAX;
	void *p[64];

	for (unsigned round = 0; round < 10; round++) {
		uint64_t t = arch_counter();

		for (unsigned i = 0; i < 64; i++)
			p[i] = kmalloc(256);
		for (unsigned i = 0; i < 64; i++)
			kfree(p[i]);
		best = MIN(best, arch_counter() - t);
	}
	return best;
}

KTEST(slab_speed_does_not_depend_on_slabs)
{
	struct page_stats s;
	uint64_t few, many;
	void *chain;

	page_stats(&s);
	few = time_of_pairs();
	KT_CHECK(make_chain(256, MIN(20000UL, s.free * 4), &chain) > 1000);
	many = time_of_pairs();
	free_chain(chain);
	log_info("ktest: 64 objects take %lu counts with few slabs, %lu with many",
		 (unsigned long)few, (unsigned long)many);
	KT_CHECK(many < few * 10);
}

/* --- many CPUs ------------------------------------------------------------------------------------------------------------ */

/* PERF-002: while another CPU sits on the cache's lock, this one goes on with its magazine and never waits. One lock for
 * all would stop it until the other gives up. */
static struct {
	struct slab_cache *cache;
	uint32_t filled, held, pairs; /* [atomic] */
	uint32_t gave_up;	      /* [atomic] */
} depot;

#define DEPOT_PAIRS 1000

static void hold_depot(void *unused)
{
	uint64_t end = crew_hang_deadline();
	irqflags_t f;

	(void)unused;
	while (!atomic_load_acquire(&depot.filled))
		sched_yield();
	f = spin_lock_irqsave(&depot.cache->lock);
	atomic_store_release(&depot.held, 1);
	while (atomic_load_acquire(&depot.pairs) < DEPOT_PAIRS && !depot.gave_up)
		depot.gave_up = clock_now_ns() > end;
	spin_unlock_irqrestore(&depot.cache->lock, f);
}

static void use_magazine(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < 64; i++)
		slab_free(depot.cache, slab_alloc(depot.cache));
	atomic_store_release(&depot.filled, 1);
	while (!atomic_load_acquire(&depot.held))
		sched_yield();
	for (unsigned i = 0; i < DEPOT_PAIRS; i++) {
		slab_free(depot.cache, slab_alloc(depot.cache));
		atomic_fetch_add(&depot.pairs, 1);
	}
}

KTEST(slab_cpus_do_not_meet)
{
	struct crew crew = { 0 };

	if (cpu_count() == 1)
		return;
	depot.cache = slab_create("kt_depot", 64, 0);
	depot.filled = depot.held = depot.pairs = depot.gave_up = 0;
	crew_add(&crew, use_magazine, NULL, BIT(0));
	crew_add(&crew, hold_depot, NULL, BIT(1));
	crew_join(&crew);
	KT_CHECK(!depot.gave_up);
	slab_destroy(depot.cache);
}

#define BOXES 64

static void *box[BOXES];

struct trader {
	uint64_t seed;
	unsigned rounds;
};

/* Objects made by one CPU, checked and freed by another. */
static void trade(void *arg)
{
	struct trader *t = arg;

	for (unsigned i = 0; i < t->rounds; i++) {
		uint64_t x = crew_random(&t->seed);
		size_t size = 16 + x % 1000;
		uint8_t *p = kmalloc(size);

		KT_CHECK(p != NULL);
		if (p) {
			memset(p, (int)(size & 0x7f), size);
			*(size_t *)p = size;
		}
		p = atomic_exchange(&box[(x >> 32) % BOXES], p);
		if (p) {
			size = *(size_t *)p;
			KT_CHECK(size >= 16 && size < 1016 && p[size - 1] == (size & 0x7f));
			kfree(p);
		}
	}
}

KTEST(slab_storm)
{
	static struct trader t[16];
	struct crew crew = { 0 };
	unsigned n = MIN(cpu_count() * 2, (unsigned)ARRAY_SIZE(t));

	for (unsigned i = 0; i < n; i++) {
		t[i] = (struct trader){ kt_seed() + i * 1234567, (unsigned)(2000 * kt_scale()) };
		crew_add(&crew, trade, &t[i], UINT64_MAX);
	}
	for (unsigned i = 0; i < 20; i++) {
		slab_reap();
		slab_check();
		KT_CHECK(sleep_until(crew_deadline_ms(2), WAIT_UNINTERRUPTIBLE) == 0);
	}
	crew_join(&crew);
	for (unsigned i = 0; i < BOXES; i++)
		kfree(atomic_exchange(&box[i], NULL));
	slab_check();
}

/* MS-003: the caller owns the object; a free meanwhile is found. */
static void realloc_freed(void *p)
{
	kfree(p);
	/* it still fits, so it would stay where it is not any more */
	p = krealloc(p, 400);
	kfree(p);
}

/* Freed by another CPU, at any moment: the next use finds it. */
struct race {
	void *p;
	uint32_t go, freed; /* [atomic] */
};

static void free_other(void *arg)
{
	struct race *r = arg;

	while (!atomic_load_acquire(&r->go))
		arch_spin_hint();
	kfree(READ_ONCE(r->p));
	atomic_store_release(&r->freed, 1);
}

static void realloc_raced(void *arg)
{
	struct race *r = arg;
	uint64_t end = crew_hang_deadline();
	unsigned after = 0;

	atomic_store_release(&r->go, 1);
	while (after < 10 && clock_now_ns() < end) {
		after += atomic_load_acquire(&r->freed);
		WRITE_ONCE(r->p, krealloc(READ_ONCE(r->p), 300 + clock_now_ns() % 80));
	}
}

/* Also when the magazine is full and something must go: the oldest do. */
static void free_into_full(void)
{
	static void *before[200];
	void *after[4];

	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		before[i] = kmalloc(64);
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++) {
		kfree(before[i]);
		for (unsigned k = 0; k < ARRAY_SIZE(after); k++) {
			after[k] = kmalloc(64);
			KT_CHECK(after[k] != before[i]);
		}
		for (unsigned k = 0; k < ARRAY_SIZE(after); k++)
			kfree(after[k]);
	}
}

/* I-SLAB-3. Freed objects rest: the next allocations do not give them out, and a late writer is found. */
KTEST(slab_quarantine)
{
	void *p[4];

	preempt_disable();
	free_into_full();
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = kmalloc(64);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		kfree(p[i]);
	for (unsigned i = 0; i < 4; i++) {
		taken[i] = kmalloc(64);
		for (unsigned k = 0; k < ARRAY_SIZE(p); k++)
			KT_CHECK(taken[i] != p[k]);
	}
	free_taken();
	store_byte(p[0], 1);
	kt_expect_bug(alloc_many, NULL, "write after free");
	kfree(p[0]);
	preempt_enable();
	free_taken();
}

KTEST(realloc_against_free)
{
	for (uint64_t i = 0; i < 5 * kt_scale(); i++) {
		struct crew crew = { 0 };
		struct race race = { kmalloc(380), 0, 0 };

		crew_add(&crew, free_other, &race, BIT(cpu_count() - 1));
		kt_expect_bug(realloc_raced, &race, "used after its free");
		crew_join(&crew);
	}
}

KTEST(realloc_keeps_bytes)
{
	uint64_t seed = kt_seed();
	uint8_t *p = kmalloc(1);
	size_t size = 1;

	memset(p, 7, size);
	for (unsigned i = 0; i < 200; i++) {
		size_t want = 1 + crew_random(&seed) % 6000;
		uint8_t *q = krealloc(p, want);

		KT_CHECK(q != NULL);
		if (!q)
			break;
		p = q;
		for (size_t k = 0; k < MIN(size, want); k++)
			KT_CHECK(p[k] == 7);
		size = want;
		memset(p, 7, size);
	}
	kfree(p);
	kt_expect_bug(realloc_freed, kmalloc(500), "used after its free");
}

KTEST(slab_nth_failure)
{
	for (unsigned n = 1; n < 12; n++) {
		struct slab_cache *c;
		void *p = NULL;

		alloc_fail_after(n);
		c = slab_create("kt_nth", 200, 64);
		if (c)
			p = slab_zalloc(c);
		alloc_fail_after(0);
		if (p)
			slab_free(c, p);
		if (c)
			slab_destroy(c);
	}
	slab_check();
}
