/* SPDX-License-Identifier: MIT */
/* The Internet checksum: the ones' complement sum of 16-bit words. Ones' complement addition does not care about the
 * width, so 8 bytes at a time are added as two halves of 32 bits, each into 64, where no carry is lost; and it does
 * not care about byte order, so the words are the machine's. The Makefile allows this file unaligned loads: the network
 * stack runs long after the MMU is on. */
#include "arch/cc.h"
#include "lib/string.h"
#include "net/core.h"

typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

#define WORD sizeof(word_t)

static uint64_t add(uint64_t sum, uint64_t v)
{
	return sum + (uint32_t)v + (v >> 32);
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The last 0 to 7 bytes as a number: bytes keep their even or odd place. */
static uint64_t tail(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint16_t net_checksum(const void *data, int len)
{
	const uint8_t *p = data;
	size_t n = len > 0 ? (size_t)len : 0;
	uint64_t sum = 0;

	for (; n >= 4 * WORD; n -= 4 * WORD, p += 4 * WORD) {
		const word_t *w = (const word_t *)p;

		sum = add(add(add(add(sum, w[0]), w[1]), w[2]), w[3]);
	}
	for (; n >= WORD; n -= WORD, p += WORD)
		sum = add(sum, *(const word_t *)p);
	return fold(add(sum, tail(p, n)));
}

bool net_sum_needless;

/* Each word is loaded once for both. */
uint16_t net_checksum_copy(void *dst, const void *src, uint16_t len)
{
	const uint8_t *p = src;
	uint8_t *d = dst;
	size_t n = len;
	uint64_t sum = 0;

	if (net_sum_needless) {
		memcpy(dst, src, len);
		return 0;
	}
	for (; n >= 4 * WORD; n -= 4 * WORD, p += 4 * WORD, d += 4 * WORD) {
		const word_t *w = (const word_t *)p;
		word_t a = w[0], b = w[1], c = w[2], e = w[3];
		word_t *to = (word_t *)d;

		to[0] = a;
		to[1] = b;
		to[2] = c;
		to[3] = e;
		sum = add(add(add(add(sum, a), b), c), e);
	}
	for (; n >= WORD; n -= WORD, p += WORD, d += WORD) {
		word_t a = *(const word_t *)p;

		*(word_t *)d = a;
		sum = add(sum, a);
	}
	for (size_t i = 0; i < n; i++)
		d[i] = p[i];
	return fold(add(sum, tail(p, n)));
}
