/* SPDX-License-Identifier: MIT */
/* sources: lib/string.c */
#include "lib/string.h"
#include "tests/host/test.h"

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

TEST(secure_zero_zeroes_only_its_bytes)
{
	unsigned char a[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	secure_zero(a + 1, 6);
	CHECK_EQ(a[0], 1);
	for (int i = 1; i < 7; i++)
		CHECK_EQ(a[i], 0);
	CHECK_EQ(a[7], 8);
}
