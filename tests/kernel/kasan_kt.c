/* SPDX-License-Identifier: MIT */
/* The sanitizers find what they are there to find. Only in the SAN=address image. */
#include "tests/kernel/ktest.h"

#ifdef SAN_ADDRESS

#include "arch/aarch64/arch.h"
#include "lib/string.h"
#include "kernel/core/kasan.h"
#include "mm/phys/kstack.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"

static char global[13];
static unsigned five = 5;

/* An index the compiler cannot know. */
static size_t hidden(size_t n)
{
	__asm__ __volatile__("" : "+r"(n));
	return n;
}

static char *hidden_pointer(void *p)
{
	return (char *)hidden((size_t)p);
}

static void heap_overflow(void *p)
{
	hidden_pointer(p)[hidden(32)] = 1;
}

static void use_after_free(void *unused)
{
	char *p = hidden_pointer(kmalloc(24));

	kfree(p);
	p[0] = 1;
}

static void page_after_free(void *unused)
{
	struct page *pg = page_alloc(0, 0);
	char *p = hidden_pointer(page_addr(pg));

	page_put(pg);
	KT_CHECK(p[8] == 0);
}

static void stack_overrun(void *unused)
{
	char room[24];
	char *p = hidden_pointer(room);

	p[hidden(24)] = 1;
}

static void global_overrun(void *unused)
{
	hidden_pointer(global)[hidden(13)] = 1;
}

static void copy_over(void *p)
{
	memcpy(hidden_pointer(p), page_addr(page_of_addr(p)), hidden(33));
}

static void copy_beyond(void *p)
{
	char room[64];

	memcpy(hidden_pointer(room), p, hidden(40));
}

static void move_over(void *p)
{
	memmove(hidden_pointer(p) + 1, p, hidden(32));
}

static void fill_over(void *p)
{
	memset(hidden_pointer(p), 0, hidden(100));
}

static void compare_beyond(void *p)
{
	KT_CHECK(memcmp(hidden_pointer(p), global, hidden(14)) != 77);
}

static void text_without_end(void *p)
{
	memset(p, 'x', 32);
	KT_CHECK(strlen(hidden_pointer(p)) != 77);
}

static void touch(void *p)
{
	KT_CHECK(hidden_pointer(p)[hidden(8)] != 77);
}

/* Stacks of both sizes, however many: their shadow is there. */
static void stacks_have_shadow(size_t size, unsigned n)
{
	struct kstack *s = kcalloc(n, sizeof(*s));
	unsigned made = 0;

	while (s && made < n && kstack_alloc(&s[made], size) == 0)
		made++;
	KT_CHECK(made == n);
	if (made == n) {
		void *p = (void *)s[n - 1].lo;

		kasan_poison(p, 64);
		kt_expect_bug(touch, p, "kasan: read of 1 bytes");
		kasan_unpoison(p, 64);
	}
	while (made-- > 0)
		kstack_free(&s[made]);
	kfree(s);
	(void)kstack_reap();
}

KTEST(sanitizer_knows_all_stacks)
{
	stacks_have_shadow(KSTACK_SIZE, 200);
	stacks_have_shadow(KSTACK_SIZE_LARGE, 80);
}

static void shift_too_far(void *unused)
{
	KT_CHECK((1u << hidden(32 + five)) != 77);
}

static void add_too_much(void *unused)
{
	int big = (int)hidden(0x7fffffff);

	KT_CHECK(big + (int)five != 77);
}

KTEST(sanitizers)
{
	char *p = kmalloc(32);

	KT_CHECK(p != NULL);
	kt_expect_bug(heap_overflow, p, "kasan: write of 1 bytes");
	kt_expect_bug(copy_over, p, "kasan: write of 33 bytes");
	kt_expect_bug(copy_beyond, p, "kasan: read of 40 bytes");
	kt_expect_bug(move_over, p, "kasan: write of 32 bytes");
	kt_expect_bug(fill_over, p, "kasan: write of 100 bytes");
	kt_expect_bug(compare_beyond, p, "kasan: read of 14 bytes");
	kt_expect_bug(text_without_end, p, "kasan: read of");
	kfree(p);
	kt_expect_bug(use_after_free, NULL, "kasan: write of 1 bytes");
	kt_expect_bug(page_after_free, NULL, "kasan: read of 1 bytes");
	kt_expect_bug(stack_overrun, NULL, "the stack beside a variable");
	kt_expect_bug(global_overrun, NULL, "the end of");
	kt_expect_bug(shift_too_far, NULL, "ubsan: shift");
	kt_expect_bug(add_too_much, NULL, "ubsan: signed addition");
}

#endif
