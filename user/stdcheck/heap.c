/* SPDX-License-Identifier: MIT */
#include "user/stdcheck/heap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "user/lib/say.h"

#define PAGE	 4096UL
#define UP(n, a) (((n) + (a)-1) & ~((a)-1))

/* The words that seeds/001 found changed under the allocator's hands. */
static struct {
	uintptr_t head, end;
} bump;
static uintptr_t first_break;

static uintptr_t set_break(uintptr_t to)
{
	return (uintptr_t)syscall(SYS_brk, to);
}

static int all_zero(const char *p, size_t n)
{
	while (n > 0 && !*p) {
		p++;
		n--;
	}
	return !n;
}

static void *bump_take(size_t size)
{
	uintptr_t start, end;

	if (!bump.head)
		first_break = bump.head = bump.end = set_break(0);
	start = UP(bump.head, 16);
	end = start + size;
	if (end > bump.end) {
		uintptr_t wanted = UP(end, PAGE);

		if (set_break(wanted) != wanted)
			return NULL;
		if (!all_zero((char *)bump.end, wanted - bump.end)) {
			say(1, "stdcheck: brk gave memory that is not zero\n");
			return NULL;
		}
		bump.end = wanted;
	}
	bump.head = end;
	return (void *)start;
}

static void *brk_resize(void *p, size_t old_size, size_t size)
{
	void *to;

	if (!size)
		return NULL;
	if (p && (uintptr_t)p + old_size == bump.head && (uintptr_t)p + size <= bump.end) {
		bump.head = (uintptr_t)p + size;
		return p;
	}
	to = bump_take(size);
	if (to && p)
		memcpy(to, p, old_size < size ? old_size : size);
	return to;
}

/* Shrink to the first break and grow again: the pages must come back as zeroes. */
static int brk_close(void)
{
	uintptr_t again = first_break + 4 * PAGE;
	int bad = 0;

	if (set_break(first_break) != first_break || set_break(again) != again) {
		say(1, "stdcheck: brk would not shrink and grow again\n");
		return -1;
	}
	if (!all_zero((char *)first_break, 4 * PAGE)) {
		say(1, "stdcheck: brk gave old contents back\n");
		bad = -1;
	}
	if (set_break(1) != again) {
		say(1, "stdcheck: a brk that cannot be met did not return the old break\n");
		bad = -1;
	}
	set_break(first_break);
	bump.head = bump.end = 0;
	return bad;
}

static void *mmap_resize(void *p, size_t old_size, size_t size)
{
	void *to = NULL;

	if (size && p && UP(old_size, PAGE) == UP(size, PAGE))
		return p;
	if (size) {
		to = mmap(NULL, UP(size, PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
		if (to == MAP_FAILED)
			return NULL;
		if (!all_zero(to, UP(size, PAGE))) {
			say(1, "stdcheck: mmap gave memory that is not zero\n");
			return NULL;
		}
		if (p)
			memcpy(to, p, old_size < size ? old_size : size);
	}
	if (p && munmap(p, UP(old_size, PAGE))) {
		say(1, "stdcheck: munmap failed\n");
		return NULL;
	}
	return to;
}

static void *libc_resize(void *p, size_t old_size, size_t size)
{
	if (size)
		return realloc(p, size);
	free(p);
	return NULL;
}

static int nothing_to_close(void)
{
	return 0;
}

const struct heap heap_brk = { "brk", brk_resize, brk_close };
const struct heap heap_mmap = { "mmap", mmap_resize, nothing_to_close };
const struct heap heap_libc = { "malloc", libc_resize, nothing_to_close };
