/* SPDX-License-Identifier: MIT */
/* sources: lib/cursor.c lib/base64.c lib/string.c */
#include "lib/base64.h"
#include "lib/cursor.h"
#include "lib/errno.h"
#include "tests/host/test.h"
#include <string.h>

TEST(rd_reads_in_order)
{
	uint8_t m[] = { 7, 2, 0x01, 0x02, 0x03, 0x04, 0, 0, 0, 2, 'h', 'i' };
	struct rd r = rd_over(m, sizeof(m));

	CHECK_EQ(rd_u8(&r), 7);
	CHECK(rd_bool(&r));
	CHECK_EQ(rd_u32(&r), 0x01020304);
	CHECK(bytes_is(rd_string(&r), "hi"));
	CHECK_EQ(rd_finish(&r), 0);
}

TEST(rd_is_sticky)
{
	uint8_t m[] = { 0, 0, 0, 9, 1, 2, 3 };
	struct rd r = rd_over(m, sizeof(m));

	CHECK_EQ(rd_string(&r).n, 0);
	CHECK(r.bad);
	CHECK_EQ(rd_u8(&r), 0);
	CHECK_EQ(rd_u32(&r), 0);
	CHECK_EQ(rd_finish(&r), -EPROTO);
}

TEST(rd_huge_length)
{
	uint8_t m[] = { 0xff, 0xff, 0xff, 0xff, 1 };
	struct rd r = rd_over(m, sizeof(m));

	CHECK_EQ(rd_string(&r).n, 0);
	CHECK(r.bad);
}

TEST(rd_left_over)
{
	uint8_t m[] = { 1, 2 };
	struct rd r = rd_over(m, sizeof(m));

	rd_u8(&r);
	CHECK_EQ(rd_finish(&r), -EPROTO);
}

static bool mpint_is_bad(const uint8_t *m, size_t n)
{
	struct rd r = rd_over(m, n);

	rd_mpint(&r);
	return r.bad;
}

TEST(rd_mpint_forms)
{
	static const uint8_t zero[] = { 0, 0, 0, 0 }, negative[] = { 0, 0, 0, 1, 0x80 };
	static const uint8_t padded[] = { 0, 0, 0, 2, 0, 0x7f }, lone[] = { 0, 0, 0, 1, 0 };
	static const uint8_t good[] = { 0, 0, 0, 2, 0, 0x80 };
	struct rd r = rd_over(good, sizeof(good));
	struct bytes b = rd_mpint(&r);

	CHECK(mpint_is_bad(zero, sizeof(zero)));
	CHECK(mpint_is_bad(negative, sizeof(negative)));
	CHECK(mpint_is_bad(padded, sizeof(padded)));
	CHECK(mpint_is_bad(lone, sizeof(lone)));
	CHECK(!r.bad);
	CHECK_EQ(b.n, 1);
	CHECK_EQ(b.p[0], 0x80);
}

TEST(wr_writes_and_sticks)
{
	static const uint8_t want[] = { 5, 0, 0, 0, 2, 'o', 'k', 0, 0, 0, 3, 'a', ',', 'b' };
	uint8_t out[14];
	struct wr w = wr_over(out, sizeof(out));
	size_t mark;

	wr_u8(&w, 5);
	wr_cstring(&w, "ok");
	mark = wr_string_begin(&w);
	wr_put(&w, "a,b", 3);
	wr_string_end(&w, mark);
	CHECK(!w.bad);
	CHECK_MEM(out, want, sizeof(want));
	wr_u8(&w, 1);
	CHECK(w.bad);
	CHECK_EQ(w.len, sizeof(want));
}

TEST(wr_mpint_forms)
{
	static const uint8_t want[] = { 0, 0, 0, 2, 0, 0x80, 0, 0, 0, 1, 0x7f, 0, 0, 0, 0 };
	uint8_t out[32];
	struct wr w = wr_over(out, sizeof(out));

	wr_mpint(&w, (const uint8_t *)"\0\0\x80", 3);
	wr_mpint(&w, (const uint8_t *)"\x7f", 1);
	wr_mpint(&w, (const uint8_t *)"\0\0", 2);
	CHECK_EQ(w.len, sizeof(want));
	CHECK_MEM(out, want, sizeof(want));
}

TEST(cursors_round_trip)
{
	for (int i = 0; i < 2000 * test_scale; i++) {
		uint8_t buf[64], text[40];
		struct wr w = wr_over(buf, sizeof(buf));
		size_t n = test_below(sizeof(text));
		uint32_t v = (uint32_t)test_random();
		struct rd r;
		struct bytes b;

		for (size_t k = 0; k < n; k++)
			text[k] = (uint8_t)test_random();
		wr_u32(&w, v);
		wr_string(&w, text, n);
		r = rd_over(buf, w.len);
		CHECK_EQ(rd_u32(&r), v);
		b = rd_string(&r);
		CHECK_EQ(rd_finish(&r), 0);
		CHECK_EQ(b.n, n);
		CHECK(memcmp(b.p, text, n) == 0);
		r = rd_over(buf, test_below(w.len));
		rd_u32(&r);
		rd_string(&r);
		CHECK(r.bad);
	}
}

TEST(base64_known)
{
	static const struct {
		const char *plain, *coded;
	} v[] = { { "", "" },
		  { "f", "Zg==" },
		  { "fo", "Zm8=" },
		  { "foo", "Zm9v" },
		  { "foob", "Zm9vYg==" },
		  { "fooba", "Zm9vYmE=" },
		  { "foobar", "Zm9vYmFy" } };

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		uint8_t out[16];
		char text[16];

		CHECK_EQ(base64_encode((const uint8_t *)v[i].plain, strlen(v[i].plain), text, true),
			 strlen(v[i].coded));
		CHECK_STR(text, v[i].coded);
		CHECK_EQ(base64_decode(v[i].coded, strlen(v[i].coded), out, sizeof(out), false),
			 strlen(v[i].plain));
		CHECK(memcmp(out, v[i].plain, strlen(v[i].plain)) == 0);
	}
}

TEST(base64_refuses)
{
	static const char *const bad[] = { "Z",	   "Zg",       "Zg=",	"Zg===", "Zh==", "Zm9=",
					   "Z*==", "Zg==Zg==", "Zm 9v", "====",	 "=",	 "Zm9vZ" };
	uint8_t out[16];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_MSG(base64_decode(bad[i], strlen(bad[i]), out, sizeof(out), false) == -EINVAL,
			  "%s", bad[i]);
	CHECK_EQ(base64_decode("Zm 9\nv", 6, out, sizeof(out), true), 3);
	CHECK_EQ(base64_decode("Zm9v", 4, out, 2, false), -ENOSPC);
}
