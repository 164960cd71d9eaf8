/* SPDX-License-Identifier: MIT */
/* sources: lib/string.c */
#include "lib/string.h"
#include "tests/host/test.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

TEST(str_copy_cuts_and_ends)
{
	char buf[4];

	CHECK_EQ(str_copy(buf, "ab", sizeof(buf)), 2);
	CHECK_STR(buf, "ab");
	CHECK_EQ(str_copy(buf, "abcdef", sizeof(buf)), 6);
	CHECK_STR(buf, "abc");
	CHECK_EQ(str_copy(buf, "", sizeof(buf)), 0);
	CHECK_STR(buf, "");
}

TEST(secure_equal_finds_each_difference)
{
	unsigned char a[33], b[33];

	for (size_t i = 0; i < sizeof(a); i++)
		a[i] = b[i] = (unsigned char)test_random();
	CHECK(secure_equal(a, b, sizeof(a)));
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] ^= (unsigned char)(1u << test_below(8));
		CHECK(!secure_equal(a, b, sizeof(a)));
		b[i] = a[i];
	}
	CHECK(secure_equal(a, b, 0));
}

static sigjmp_buf beyond;

static void went_beyond(int sig)
{
	siglongjmp(beyond, sig);
}

/* I-SSH-11: it goes on to the last byte, wherever the first difference is: here that byte is not there. */
TEST(secure_equal_looks_at_all)
{
	unsigned char *page =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char other[32] = { 1 };
	struct sigaction was, sa = { .sa_handler = went_beyond };
	volatile bool fell = false;

	CHECK(page != MAP_FAILED && mprotect(page + 4096, 4096, PROT_NONE) == 0);
	sigaction(SIGSEGV, &sa, &was);
	if (sigsetjmp(beyond, 1) == 0)
		(void)secure_equal(page + 4096 - 31, other, sizeof(other));
	else
		fell = true;
	sigaction(SIGSEGV, &was, NULL);
	CHECK(fell);
	munmap(page, 8192);
}

TEST(secure_zero_zeroes_only_its_bytes)
{
	unsigned char a[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	secure_zero(a + 1, 6);
	CHECK_EQ(a[0], 1);
	for (int i = 1; i < 7; i++)
		CHECK_EQ(a[i], 0);
	CHECK_EQ(a[7], 8);
}
