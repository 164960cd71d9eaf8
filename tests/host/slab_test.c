/* SPDX-License-Identifier: MIT */
/* sources: mm/phys/boot.c mm/phys/buddy.c mm/phys/page.c mm/phys/page_check.c mm/phys/slab.c mm/phys/slab_check.c mm/phys/kmalloc.c */
/* sources: @tests/host/shim.sources */
/* Slab and kmalloc: random histories against a model of what each object holds, misuse, threads as CPUs. */
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"

#include "kernel/core/kasan.h"
#include "kernel/core/machine.h"
#include "mm/phys/slab_priv.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RAM_PA 0x80000000UL
#define MIB    (1UL << 20)

static void boot(unsigned cpus, size_t ram)
{
	shim_cpus_init(cpus);
	shim_ram_init(RAM_PA, ram);
	pages_init();
	slab_init();
}

static struct page_stats account(void)
{
	struct page_stats s;

	slab_check();
	page_stats(&s);
	CHECK_EQ(s.total, s.free + s.reserved + s.slab + s.tables + s.user + s.kernel);
	return s;
}

struct object {
	uint8_t *p;
	size_t size;
	uint8_t fill;
};

static void check_object(const struct object *o)
{
	for (size_t i = 0; i < o->size; i++)
		CHECK_MSG(o->p[i] == o->fill, "byte %zu of %zu at %p is %02x, not %02x", i, o->size,
			  o->p, o->p[i], o->fill);
}

static size_t random_size(void)
{
	switch (test_below(4)) {
	case 0:
		return 1 + test_below(64);
	case 1:
		return 1 + test_below(2100);
	case 2:
		return test_below(100) ? 1 + test_below(300) : 1 + test_below(100000);
	default:
		return 16UL << test_below(8);
	}
}

TEST(kmalloc_matches_model)
{
	enum { SLOTS = 2000 };
	static struct object o[SLOTS];

	boot(3, 64 * MIB);
	slab_reap();

	uint64_t used = slab_bytes_in_use(), pages = account().free;

	for (int i = 0; i < 200000 * test_scale; i++) {
		struct object *x = &o[test_below(SLOTS)];

		shim_enter_cpu((unsigned)test_below(3));
		if (i % 20000 == 0)
			account();
		if (!x->p) {
			x->size = random_size();
			x->fill = (uint8_t)test_random();
			x->p = kmalloc(x->size);
			CHECK(x->p != NULL);
			CHECK_EQ((uintptr_t)x->p % 16, 0);
			CHECK(kmalloc_usable(x->p) >= x->size);
			memset(x->p, x->fill, x->size);
			continue;
		}
		check_object(x);
		if (test_below(3) == 0) {
			/* MS-003: contents are kept up to the smaller size */
			size_t size = random_size();
			uint8_t *p = krealloc(x->p, size);

			CHECK(p != NULL);
			x->p = p;
			x->size = MIN(size, x->size);
			check_object(x);
			x->size = size;
			memset(p, x->fill, size);
		} else {
			kfree(x->p);
			x->p = NULL;
		}
	}
	for (unsigned k = 0; k < SLOTS; k++)
		kfree(o[k].p);
	CHECK_EQ(slab_bytes_in_use(), used);
	slab_reap();
	CHECK_EQ(account().free, pages);
}

TEST(odd_sizes_and_alignments)
{
	boot(1, 32 * MIB);
	for (int i = 0; i < 300 * test_scale; i++) {
		size_t size = 1 + test_below(3000), align = 1UL << test_below(9);
		struct slab_cache *c = slab_create("odd", size, align);
		uint8_t *p[40];

		CHECK(c != NULL);
		for (unsigned k = 0; k < 40; k++) {
			p[k] = k & 1 ? slab_zalloc(c) : slab_alloc(c);
			CHECK(p[k] != NULL);
			CHECK_EQ((uintptr_t)p[k] % MAX(align, 16UL), 0);
			for (size_t n = 0; (k & 1) && n < size; n++)
				CHECK(p[k][n] == 0);
			memset(p[k], 0xee, size);
		}
		slab_check();
		for (unsigned k = 0; k < 40; k++)
			slab_free(c, p[k]);
		slab_destroy(c);
	}
	slab_check();
}

/* H6: small objects share pages. PERF-004: what is empty goes back. */
TEST(small_objects_share_pages)
{
	enum { N = 10000 };
	static void *p[N];

	boot(1, 32 * MIB);

	uint64_t before = account().free;

	for (unsigned i = 0; i < N; i++)
		p[i] = kmalloc(32);
	/* debug images spend as much again on red zones */
	CHECK(before - account().free <= 220);
	for (unsigned i = 0; i < N; i++)
		kfree(p[i]);
	slab_reap();
	CHECK(account().free >= before);
}

TEST(sizes_nobody_has)
{
	boot(1, 16 * MIB);
	CHECK(kmalloc(0) == NULL);
	CHECK(kmalloc((4UL << 20) + 1) == NULL);
	CHECK(kmalloc(SIZE_MAX) == NULL);
	CHECK(kcalloc(SIZE_MAX / 2, 4) == NULL);
	kfree(NULL);

	char *s = kstrdup("tern");

	CHECK_STR(s, "tern");
	kfree(s);
}

TEST(exhaustion_is_null_and_passes)
{
	static void *p[20000];
	unsigned n = 0;

	boot(2, 4 * MIB);

	uint64_t used = slab_bytes_in_use();

	while ((p[n] = kmalloc(300)) != NULL)
		n++;
	CHECK(n > 5000);
	account();
	for (unsigned i = 0; i < n; i++)
		kfree(p[i]);
	CHECK_EQ(slab_bytes_in_use(), used);
	CHECK(kmalloc(MIB) != NULL);
}

TEST(nth_failure_leaks_nothing)
{
	boot(1, 4 * MIB);
	slab_reap();

	uint64_t used = slab_bytes_in_use();

	for (uint64_t n = 1; n < 30; n++) {
		alloc_fail_after(n);
		struct slab_cache *c = slab_create("nth", 100, 0);
		void *p = c ? slab_alloc(c) : NULL;
		void *q = kmalloc(5000);

		alloc_fail_after(0);
		if (p)
			slab_free(c, p);
		if (c)
			slab_destroy(c);
		kfree(q);
		CHECK_EQ(slab_bytes_in_use(), used);
	}
	account();
}

/* --- misuse: MS-001, MS-002 ------------------------------------------------------------------------------------- */

static void do_kfree(void *p)
{
	kfree(p);
}

static void two_kfrees(void *p)
{
	kfree(p);
	kfree(p);
}

static void kfree_between(void *p)
{
	kfree(p);
	/* the object itself may be given out again: then the second free is another's */
	CHECK(kmalloc(500) != NULL);
	kfree(p);
}

static void kfree_elsewhere(void *p)
{
	kfree(p);
	shim_cpu = cpu_get(1);
	kfree(p);
}

static struct slab_cache *other;

static void wrong_cache(void *p)
{
	slab_free(other, p);
}

TEST(double_free_is_a_bug)
{
	boot(2, 4 * MIB);
	CHECK(shim_expect_bug(two_kfrees, kmalloc(100), "double free"));
	CHECK(shim_expect_bug(kfree_between, kmalloc(100), "double free"));
	CHECK(shim_expect_bug(two_kfrees, kmalloc(10000), "did not come from kmalloc"));
	CHECK(shim_expect_bug(kfree_elsewhere, kmalloc(100), "double free"));
}

static int text_like(void)
{
	return 0;
}

TEST(wrong_pointers_are_bugs)
{
	char on_stack[16];
	struct page *page;
	char *p;

	boot(1, 4 * MIB);
	page = page_alloc(0, 0);
	p = kmalloc(100);
	other = slab_create("other", 40, 0);
	CHECK(shim_expect_bug(do_kfree, on_stack, "not in RAM"));
	CHECK(shim_expect_bug(do_kfree, (void *)(uintptr_t)text_like, "not in RAM"));
	CHECK(shim_expect_bug(do_kfree, (void *)0x400000UL, "not in RAM"));
	CHECK(shim_expect_bug(do_kfree, p + 8, "not its start"));
	CHECK(shim_expect_bug(do_kfree, (void *)((uintptr_t)p & ~(PAGE_SIZE - 1)),
			      "not its start"));
	CHECK(shim_expect_bug(do_kfree, page_addr(page), "did not come from kmalloc"));
	CHECK(shim_expect_bug(do_kfree, slab_alloc(other), "not from kmalloc"));
	CHECK(shim_expect_bug(wrong_cache, p, "freed to other"));
	p = kmalloc(20000);
	CHECK(shim_expect_bug(do_kfree, p + PAGE_SIZE, "did not come from kmalloc"));
}

/* More than a magazine keeps: what was freed comes out again. */
static void alloc_many(void *size)
{
	for (unsigned i = 0; i < 64; i++)
		CHECK(kmalloc((size_t)size) != NULL);
}

static void realloc_it(void *p)
{
	p = krealloc(p, 400);
	CHECK(p == NULL);
}

/* MS-003: what was freed rests, and its owner of before is found. */
TEST(freed_objects_rest)
{
	char *p, *q;

	boot(1, 4 * MIB);
	p = kmalloc(64);
	kfree(p);
	for (unsigned i = 0; i < 8; i++) {
		q = kmalloc(64);
		CHECK(q != p);
	}
	p = kmalloc(500);
	kfree(p);
	CHECK(shim_expect_bug(realloc_it, p, "used after its free"));
	slab_assert_held(q);
	slab_assert_held(kmalloc(5000));
}

TEST(red_zones_and_poison)
{
	uint8_t *p;

	boot(1, 4 * MIB);
	p = kmalloc(64);
	__asan_unpoison_memory_region(p - 16, 112);
	p[64] = 0;
	CHECK(shim_expect_bug(do_kfree, p, "overrun"));
	p = kmalloc(64);
	__asan_unpoison_memory_region(p - 16, 112);
	p[-9] = 0;
	CHECK(shim_expect_bug(do_kfree, p, "underrun"));
	p = kmalloc(1000);
	kfree(p);
	__asan_unpoison_memory_region(p, 1000);
	p[500] = 1;
	CHECK(shim_expect_bug(alloc_many, (void *)1000, "write after free"));
}

static void alloc_in_irq(void *arg)
{
	CHECK(kmalloc(10) == NULL);
}

static void destroy(void *c)
{
	slab_destroy(c);
}

TEST(contexts)
{
	boot(1, 4 * MIB);
	shim_cpu->irq_depth = 1;
	CHECK(shim_expect_bug(alloc_in_irq, NULL, "irq context"));
	shim_cpu->irq_depth = 0;
	other = slab_create("busy", 40, 0);
	CHECK(slab_alloc(other) != NULL);
	CHECK(shim_expect_bug(destroy, other, "objects out"));
}

/* --- threads -------------------------------------------------------------------------------------------------------- */

/* Objects made by one CPU and freed by the next, while another reaps and counts. */
static void *box[4][64];

static void *worker(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;
	uint64_t x = test_seed + id;

	shim_enter_cpu(id);
	for (int i = 0; i < 40000 * test_scale; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		size_t size = 8 + (x >> 40) % 400;
		uint64_t *p = kmalloc(size);

		CHECK(p != NULL);
		*p = size;
		p = atomic_exchange(&box[x >> 33 & 3][x >> 35 & 31], p);
		if (p) {
			CHECK(*p >= 8 && *p < 408);
			kfree(p);
		}
	}
	return NULL;
}

TEST(many_cpus_at_once)
{
	pthread_t t[4];

	boot(5, 16 * MIB);
	slab_reap();

	uint64_t used = slab_bytes_in_use(), pages = account().free;

	for (unsigned i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, worker, (void *)(uintptr_t)(i + 1));
	for (int i = 0; i < 300; i++) {
		slab_reap();
		slab_check();
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < 64; k++)
			kfree(box[i][k]);
	CHECK_EQ(slab_bytes_in_use(), used);
	slab_reap();
	CHECK_EQ(account().free, pages);
}
