/* SPDX-License-Identifier: MIT */
/* The kernel's own memcpy and memmove, at every alignment, against byte loops. */
#include "lib/string.h"
#include "mm/phys/page.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define AREA 512

static void fill(uint8_t *p, uint64_t *seed)
{
	for (unsigned i = 0; i < AREA; i++)
		p[i] = (uint8_t)crew_random(seed);
}

static bool copied_right(uint8_t *area, unsigned to, unsigned from, unsigned n, uint64_t *seed)
{
	static uint8_t before[AREA];

	fill(area, seed);
	memcpy(before, area, AREA);
	if (to + n <= from || from + n <= to)
		memcpy(area + to, area + from, n);
	else
		memmove(area + to, area + from, n);
	for (unsigned i = 0; i < AREA; i++) {
		uint8_t want = i >= to && i < to + n ? before[from + i - to] : before[i];

		if (area[i] != want)
			return false;
	}
	return true;
}

KTEST(string_copies)
{
	struct page *p = page_alloc(0, 0);
	uint64_t seed = kt_seed();
	uint8_t *area;

	if (!p)
		return kt_fail(__FILE__, __LINE__, "no page");
	/* at the very end of the page, so that a read too far may be seen */
	area = (uint8_t *)page_addr(p) + PAGE_SIZE - AREA;
	for (unsigned to = 0; to < 16; to++) {
		for (unsigned from = 256; from < 264; from++) {
			for (unsigned n = 0; n < 80; n++)
				KT_CHECK(copied_right(area, to, from, n, &seed));
		}
	}
	for (int i = 0; i < 3000; i++) {
		unsigned to = (unsigned)(crew_random(&seed) % AREA);
		unsigned from = (unsigned)(crew_random(&seed) % AREA);
		unsigned n = (unsigned)(crew_random(&seed) % (AREA + 1 - (to > from ? to : from)));

		KT_CHECK(copied_right(area, to, from, n, &seed));
	}
	page_put(p);
}

/* The first byte that differs, or is looked for, at each place of each length, from each alignment: neither what follows in
 * the other direction nor what lies behind is minded. */
static void look(unsigned from, unsigned n, unsigned at)
{
	static uint8_t a[64], b[64];
	const uint8_t *found = at < n ? &a[from + at] : NULL;
	int below = at < n ? -1 : 0;

	memset(a, 0x80, sizeof(a));
	memset(b, 0x80, sizeof(b));
	memset(a + from + at, 0x90, sizeof(a) - from - at);
	a[from + at] = 0x7f;
	KT_CHECK(memcmp(a + from, b + from, n) == below);
	KT_CHECK(memcmp(b + from, a + from, n) == -below);
	KT_CHECK(memchr(a + from, 0x7f, n) == found);
	a[from + at] = 0;
	KT_CHECK(memchr(a + from, 0x100, n) == found);
}

KTEST(string_looks)
{
	for (unsigned from = 0; from < 8; from++)
		for (unsigned n = 0; n < 40; n++)
			for (unsigned at = 0; at <= n; at++)
				look(from, n, at);
}
