/* SPDX-License-Identifier: MIT */
/* Memory and string functions. The compiler may turn struct copies into calls of the first four, so they
 * must not be compiled into calls of themselves: the Makefile gives this file -fno-builtin. Word-wide; the kernel has
 * no SIMD registers to use. */
#include "lib/string.h"
#include "lib/sanitize.h"

#ifndef HOSTED
typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

#define WORD sizeof(word_t)

static bool same_alignment(const void *a, const void *b)
{
	return (((uintptr_t)a ^ (uintptr_t)b) & (WORD - 1)) == 0;
}

typedef uint32_t __attribute__((may_alias, aligned(1))) half_t;

static inline void copy_four(uint8_t *d, const uint8_t *s)
{
	const word_t *from = (const word_t *)s;
	word_t a = from[0], b = from[1], c = from[2], e = from[3];
	word_t *to = (word_t *)d;

	to[0] = a;
	to[1] = b;
	to[2] = c;
	to[3] = e;
}

/* Forward, in words from wherever they lie; each piece is loaded before it is stored, and none overtakes what is yet to
 * be loaded, so memmove() may use this. The Makefile allows this file unaligned loads and stores. Before the MMU is on they
 * would fault: there both must be multiples of 8. memset() aligns its words, so it is used there. */
void *memcpy(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	SAN_READS(src, n);
	SAN_WRITES(dst, n);
	for (; n >= 8 * WORD; n -= 8 * WORD, d += 8 * WORD, s += 8 * WORD) {
		copy_four(d, s);
		copy_four(d + 4 * WORD, s + 4 * WORD);
	}
	if (n & 4 * WORD) {
		copy_four(d, s);
		d += 4 * WORD;
		s += 4 * WORD;
	}
	if (n & 2 * WORD) {
		word_t a = ((const word_t *)s)[0], b = ((const word_t *)s)[1];

		((word_t *)d)[0] = a;
		((word_t *)d)[1] = b;
		d += 2 * WORD;
		s += 2 * WORD;
	}
	if (n & WORD) {
		*(word_t *)d = *(const word_t *)s;
		d += WORD;
		s += WORD;
	}
	if (n & 4) {
		*(half_t *)d = *(const half_t *)s;
		d += 4;
		s += 4;
	}
	for (n &= 3; n > 0; n--)
		*d++ = *s++;
	return dst;
}

static void copy_backward(uint8_t *d, const uint8_t *s, size_t n)
{
	d += n;
	s += n;
	if (same_alignment(d, s)) {
		for (; n > 0 && !IS_ALIGNED((uintptr_t)d, WORD); n--)
			*--d = *--s;
		for (; n >= WORD; n -= WORD) {
			d -= WORD;
			s -= WORD;
			*(word_t *)d = *(const word_t *)s;
		}
	}
	while (n-- > 0)
		*--d = *--s;
}

void *memmove(void *dst, const void *src, size_t n)
{
	if ((uintptr_t)dst - (uintptr_t)src >= n)
		return memcpy(dst, src, n);
	SAN_READS(src, n);
	SAN_WRITES(dst, n);
	copy_backward(dst, src, n);
	return dst;
}

static inline uint8_t *set_words(uint8_t *d, word_t w, unsigned words)
{
	for (unsigned i = 0; i < words; i++)
		((word_t *)d)[i] = w;
	return d + words * WORD;
}

void *memset(void *dst, int c, size_t n)
{
	uint8_t *d = dst;
	word_t w = 0x0101010101010101UL * (uint8_t)c;

	SAN_WRITES(dst, n);
	for (; n > 0 && !IS_ALIGNED((uintptr_t)d, WORD); n--)
		*d++ = (uint8_t)c;
	for (; n >= 8 * WORD; n -= 8 * WORD) {
		d = set_words(d, w, 4);
		d = set_words(d, w, 4);
	}
	if (n & 4 * WORD)
		d = set_words(d, w, 4);
	if (n & 2 * WORD)
		d = set_words(d, w, 2);
	if (n & WORD)
		d = set_words(d, w, 1);
	for (n &= WORD - 1; n > 0; n--)
		*d++ = (uint8_t)c;
	return dst;
}

/* The word's bytes in the order of memory, so that words compare as their bytes do. */
static int compare_words(word_t a, word_t b)
{
	return __builtin_bswap64(a) < __builtin_bswap64(b) ? -1 : 1;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	SAN_READS(a, n);
	SAN_READS(b, n);
	for (; n >= WORD; n -= WORD, x += WORD, y += WORD)
		if (*(const word_t *)x != *(const word_t *)y)
			return compare_words(*(const word_t *)x, *(const word_t *)y);
	for (; n > 0; n--, x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

#define EACH_BYTE(b) (0x0101010101010101ul * (b))

/* A byte of a word is 0 where the subtraction borrows into its top bit, which it did not have: exact for the first. */
void *memchr(const void *s, int c, size_t n)
{
	word_t all = EACH_BYTE((uint8_t)c), word, zeros;
	const uint8_t *p = s;

	for (; n >= WORD; n -= WORD, p += WORD) {
		word = *(const word_t *)p ^ all;
		zeros = (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80);
		if (zeros)
			return (void *)((uintptr_t)p + (size_t)__builtin_ctzl(zeros) / 8);
	}
	for (; n > 0; n--, p++)
		if (*p == (uint8_t)c)
			return (void *)(uintptr_t)p;
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	SAN_READS(s, n + 1);
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++)
		if (*a != *b || !*a)
			return (uint8_t)*a - (uint8_t)*b;
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)(uintptr_t)last;
	}
}
#endif

size_t str_copy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);

	if (size > 0) {
		size_t k = MIN(n, size - 1);
		memcpy(dst, src, k);
		dst[k] = '\0';
	}
	return n;
}

void secure_zero(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

bool secure_equal(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= x[i] ^ y[i];
	__asm__ __volatile__("" : "+r"(diff));
	return diff == 0;
}
