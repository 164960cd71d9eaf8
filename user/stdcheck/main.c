/* SPDX-License-Identifier: MIT */
/* stdcheck [ROUNDS]: what ordinary programs do with their heap, with every byte checked: growing strings
 * and vectors, many small blocks, resizing at random, large blocks; over brk, over mmap and over malloc.
 * The Makefile links it in several layouts, among them the two that failed in seeds/001. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/lib/say.h"
#include "user/stdcheck/heap.h"

/* In bss, to be found zero. */
static unsigned char untouched[300];
extern char _end[];

static uint64_t seed = 88172645463325252UL;

static uint64_t random_word(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* The byte that belongs at place i of the object called tag. */
static unsigned char expected(unsigned tag, size_t i)
{
	return (unsigned char)(tag * 37 + i * 11 + (i >> 8) * 3);
}

static void paint(unsigned char *p, unsigned tag, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		p[i] = expected(tag, i);
}

static int intact(const unsigned char *p, unsigned tag, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != expected(tag, i)) {
			say(1, "stdcheck: byte %lu of object %u at %lx is %x, not %x\n", i, tag,
			    (unsigned long)p, p[i], expected(tag, i));
			return 0;
		}
	}
	return 1;
}

/* Some strings that grow by turns, by a few bytes each time. */
static int check_strings(const struct heap *h)
{
	struct {
		unsigned char *bytes;
		size_t length, room;
	} s[8] = { 0 };
	int good = 1;

	for (int turn = 0; turn < 400 && good; turn++) {
		unsigned k = random_word() % 8;
		size_t more = 1 + random_word() % 40;

		if (s[k].length + more > s[k].room) {
			size_t room = s[k].room ? 2 * s[k].room : 8;

			while (room < s[k].length + more)
				room *= 2;
			s[k].bytes = h->resize(s[k].bytes, s[k].room, room);
			if (!s[k].bytes)
				return 0;
			s[k].room = room;
		}
		paint(s[k].bytes, k, s[k].length, s[k].length + more);
		s[k].length += more;
		good = intact(s[k].bytes, k, s[k].length);
	}
	for (unsigned k = 0; k < 8; k++) {
		good = good && (!s[k].bytes || intact(s[k].bytes, k, s[k].length));
		if (s[k].bytes)
			h->resize(s[k].bytes, s[k].room, 0);
	}
	return good;
}

/* A vector of words that doubles from 1 to 32768. */
static int check_vector(const struct heap *h)
{
	uint64_t *v = NULL;
	size_t room = 0, count = 32768;
	int good = 1;

	for (size_t i = 0; i < count; i++) {
		if (i == room) {
			size_t wider = room ? 2 * room : 1;

			v = h->resize(v, room * sizeof(*v), wider * sizeof(*v));
			if (!v)
				return 0;
			room = wider;
		}
		/* cppcheck-suppress nullPointer ; room is 0 at first, so v is set */
		v[i] = i * 0x9e3779b97f4a7c15UL;
	}
	for (size_t i = 0; i < count && good; i++)
		good = v[i] == i * 0x9e3779b97f4a7c15UL;
	h->resize(v, room * sizeof(*v), 0);
	return good;
}

/* Many small blocks: all checked, every other one given back, others taken, all checked again. */
static int check_small(const struct heap *h)
{
	struct {
		unsigned char *bytes;
		size_t size;
	} block[600] = { 0 };
	unsigned count = sizeof(block) / sizeof(block[0]);
	int good = 1;

	for (int round = 0; round < 2; round++) {
		for (unsigned k = 0; k < count; k++) {
			if (block[k].bytes)
				continue;
			block[k].size = 1 + random_word() % 200;
			block[k].bytes = h->resize(NULL, 0, block[k].size);
			if (!block[k].bytes)
				return 0;
			paint(block[k].bytes, k, 0, block[k].size);
		}
		for (unsigned k = 0; k < count && good; k++)
			good = intact(block[k].bytes, k, block[k].size);
		for (unsigned k = 0; k < count; k += 2 - round) {
			h->resize(block[k].bytes, block[k].size, 0);
			block[k].bytes = NULL;
		}
	}
	return good;
}

/* Blocks resized up and down at random. */
static int check_resize(const struct heap *h)
{
	struct {
		unsigned char *bytes;
		size_t size;
	} block[20] = { 0 };
	int good = 1;

	for (int turn = 0; turn < 600 && good; turn++) {
		unsigned k = random_word() % 20;
		size_t size = 1 + random_word() % 3000;
		size_t kept = size < block[k].size ? size : block[k].size;

		block[k].bytes = h->resize(block[k].bytes, block[k].size, size);
		if (!block[k].bytes)
			return 0;
		good = intact(block[k].bytes, k, kept);
		paint(block[k].bytes, k, kept, size);
		block[k].size = size;
	}
	for (unsigned k = 0; k < 20; k++) {
		good = good && (!block[k].bytes || intact(block[k].bytes, k, block[k].size));
		if (block[k].bytes)
			h->resize(block[k].bytes, block[k].size, 0);
	}
	return good;
}

/* A few large blocks, written around every page boundary. */
static int check_large(const struct heap *h)
{
	enum { SIZE = 300000, COUNT = 3 };
	unsigned char *p[COUNT];
	int good = 1;

	for (unsigned k = 0; k < COUNT; k++) {
		p[k] = h->resize(NULL, 0, SIZE);
		if (!p[k])
			return 0;
		for (size_t i = 4094; i + 4 < SIZE; i += 4096)
			paint(p[k], k, i, i + 4);
	}
	for (unsigned k = 0; k < COUNT; k++) {
		for (size_t i = 4094; i + 4 < SIZE; i += 4096)
			for (size_t j = i; j < i + 4; j++)
				good = good && p[k][j] == expected(k, j);
		h->resize(p[k], SIZE, 0);
	}
	return good;
}

static const struct {
	const char *name;
	int (*run)(const struct heap *h);
} checks[] = {
	{ "strings", check_strings },	 { "a vector", check_vector },
	{ "small blocks", check_small }, { "resizing", check_resize },
	{ "large blocks", check_large },
};

/* bss, and what is behind it up to the end of its page, which the loader must have cleared. */
static int check_bss(void)
{
	for (size_t i = 0; i < sizeof(untouched); i++)
		if (((volatile unsigned char *)untouched)[i])
			return 0;
	for (const volatile char *p = _end; (uintptr_t)p % 4096; p++)
		if (*p)
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	const struct heap *heaps[] = { &heap_brk, &heap_mmap, &heap_libc };
	unsigned long rounds = 1;
	int failed = 0;

	if (argc > 2 || (argc > 1 && parse_number(argv[1], &rounds))) {
		say(2, "usage: stdcheck [ROUNDS]\n");
		return 2;
	}
	if (!check_bss()) {
		say(1, "stdcheck: bss: FAIL\n");
		failed = 1;
	}
	for (unsigned long round = 0; round < rounds && !failed; round++) {
		for (size_t i = 0; i < sizeof(heaps) / sizeof(heaps[0]); i++) {
			for (size_t k = 0; k < sizeof(checks) / sizeof(checks[0]); k++) {
				if (checks[k].run(heaps[i]))
					continue;
				say(1, "stdcheck: %s over %s: FAIL\n", checks[k].name,
				    heaps[i]->name);
				failed = 1;
			}
			failed |= heaps[i]->close() != 0;
		}
	}
	say(1, "stdcheck: %s (bss ends at %lx)\n", failed ? "FAIL" : "ok", (unsigned long)_end);
	return failed;
}
