/* SPDX-License-Identifier: MIT */
/* The Internet checksum: the ones' complement sum of 16-bit words. Summed 8 bytes at a time: the carries that a
 * 64-bit addition loses are counted by comparing, and ones' complement addition does not care about the width. */
#include "arch/cc.h"

#include "lib/string.h"

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t add(uint64_t sum, uint64_t v)
{
	sum += v;
	return sum + (sum < v);
}

/* The last 0 to 7 bytes as a little-endian number: bytes keep their even or odd place. */
static uint64_t tail(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Bytes up to the first multiple of 8, when p starts at an odd place, would change sides; aligned words do not
 * matter on this machine for ordinary memory, but the compiler must not assume alignment: it makes single loads of
 * them only where it knows it. So: walk aligned words, and swap the sum's bytes if the walk began at an odd one. */
uint16_t net_checksum(const void *data, int len)
{
	const uint8_t *p = data;
	size_t n = len > 0 ? (size_t)len : 0;
	size_t lead = MIN((size_t)(-(uintptr_t)p & 7), n);
	uint64_t sum = tail(p, lead);
	uint64_t rest = 0;

	p += lead;
	n -= lead;
	for (; n >= 32; n -= 32, p += 32) {
		const uint8_t *a = __builtin_assume_aligned(p, 8);

		rest = add(rest, load64(a));
		rest = add(rest, load64(a + 8));
		rest = add(rest, load64(a + 16));
		rest = add(rest, load64(a + 24));
	}
	for (; n >= 8; n -= 8, p += 8)
		rest = add(rest, load64(__builtin_assume_aligned(p, 8)));
	rest = add(rest, tail(p, n));
	rest = fold(rest);
	if (lead & 1)
		rest = __builtin_bswap16((uint16_t)rest);
	return fold(sum + rest);
}

uint16_t net_checksum_copy(void *dst, const void *src, uint16_t len)
{
	memcpy(dst, src, len);
	return net_checksum(dst, len);
}
