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
#include "mm/vm/user_copy.h"

static char global[13];
static unsigned five = 5;

/* A number the compiler cannot know; what is made of one is kept by another. */
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

static void copy_in_over(void *p)
{
	KT_CHECK(user_copy_from(hidden_pointer(p), USER_MIN, hidden(33)) < 0);
}

static void copy_out_beyond(void *p)
{
	KT_CHECK(user_copy_to(USER_MIN, hidden_pointer(p), hidden(33)) < 0);
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

static void subtract_too_much(void *unused)
{
	int least = (int)hidden(0x80000000);

	KT_CHECK(least - (int)five != 77);
}

static void multiply_too_much(void *unused)
{
	int big = (int)hidden(0x7fffffff);

	KT_CHECK(big * (int)five != 77);
}

static void negate_the_least(void *unused)
{
	int least = (int)hidden(0x80000000);

	KT_CHECK(hidden((size_t)-least) != 77);
}

static void divide_by_zero(void *unused)
{
	KT_CHECK(77 / (int)hidden(0) != 77);
}

static void index_too_far(void *unused)
{
	static const int few[3] = { 1, 2, 3 };

	KT_CHECK(few[hidden(3)] != 77);
}

static void neither_true_nor_false(void *unused)
{
	uint8_t byte = (uint8_t)hidden(2);
	const bool *b = (const bool *)(const void *)hidden_pointer(&byte);

	KT_CHECK(hidden(*b) != 77);
}

static void load_misaligned(void *unused)
{
	uint64_t room[2] = { 0 };
	const uint32_t *p = (const uint32_t *)(const void *)(hidden_pointer(room) + hidden(1));

	KT_CHECK(*p != 77);
}

static void pointer_around(void *unused)
{
	char room[8];
	const char *p = hidden_pointer(room);

	KT_CHECK(hidden((size_t)(p + hidden(SIZE_MAX / 2))) != 77);
}

static void unreachable_reached(void *unused)
{
	if (hidden(1))
		__builtin_unreachable();
}

static __noinline __attribute__((nonnull)) void take(const char *p)
{
	KT_CHECK(hidden((size_t)p) != 77);
}

static void give_null(void *unused)
{
	take(hidden_pointer(NULL));
}

static __noinline __attribute__((returns_nonnull)) char *promise(void)
{
	return hidden_pointer(NULL);
}

static void get_null(void *unused)
{
	KT_CHECK(promise() != global);
}

static void zeros_of_zero(void *unused)
{
	KT_CHECK(hidden((size_t)__builtin_ctzl(hidden(0))) != 77);
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
	kt_expect_bug(copy_in_over, p, "kasan: write of 33 bytes");
	kt_expect_bug(copy_out_beyond, p, "kasan: read of 33 bytes");
	kfree(p);
	kt_expect_bug(use_after_free, NULL, "kasan: write of 1 bytes");
	kt_expect_bug(page_after_free, NULL, "kasan: read of 1 bytes");
	kt_expect_bug(stack_overrun, NULL, "the stack beside a variable");
	kt_expect_bug(global_overrun, NULL, "the end of");
}

KTEST(undefined_behaviour)
{
	kt_expect_bug(shift_too_far, NULL, "ubsan: shift");
	kt_expect_bug(add_too_much, NULL, "ubsan: signed addition");
	kt_expect_bug(subtract_too_much, NULL, "ubsan: signed subtraction");
	kt_expect_bug(multiply_too_much, NULL, "ubsan: signed multiplication");
	kt_expect_bug(negate_the_least, NULL, "ubsan: signed negation");
	kt_expect_bug(divide_by_zero, NULL, "ubsan: division by zero");
	kt_expect_bug(index_too_far, NULL, "ubsan: index");
	kt_expect_bug(neither_true_nor_false, NULL, "ubsan: value not valid");
	kt_expect_bug(load_misaligned, NULL, "ubsan: NULL or misaligned");
	kt_expect_bug(pointer_around, NULL, "ubsan: pointer arithmetic");
	kt_expect_bug(unreachable_reached, NULL, "ubsan: unreachable");
	kt_expect_bug(give_null, NULL, "ubsan: NULL given");
	kt_expect_bug(get_null, NULL, "ubsan: NULL returned");
	kt_expect_bug(zeros_of_zero, NULL, "ubsan: builtin called");
}

#endif
