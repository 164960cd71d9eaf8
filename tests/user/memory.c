/* SPDX-License-Identifier: MIT */
/* brk, mmap, munmap, mprotect, madvise: contents, zeros, limits, errors. */
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tests/user/check.h"

#define PAGE 4096UL

static unsigned long break_at(unsigned long where)
{
	return (unsigned long)syscall(SYS_brk, where);
}

static void breaks(void)
{
	unsigned long base = break_at(0), top = base + 300 * PAGE + 123;
	unsigned char *p = (unsigned char *)base;

	CHECK(base != 0);
	CHECK(break_at(top) == top);
	for (unsigned long i = 0; i < 300 * PAGE; i += 97) {
		CHECK(p[i] == 0);
		p[i] = (unsigned char)i;
	}
	for (unsigned long i = 0; i < 300 * PAGE; i += 97)
		CHECK(p[i] == (unsigned char)i);
	CHECK(break_at(base) == base);
	CHECK(break_at(top) == top);
	for (unsigned long i = PAGE; i < 300 * PAGE; i += 97)
		CHECK(p[i] == 0);
	/* What cannot be had leaves the break where it was. */
	CHECK(break_at(1UL << 46) == top);
	CHECK(break_at(16) == top);
	CHECK(break_at(base) == base);
}

static char *map(size_t n, int prot)
{
	char *m = mmap(NULL, n, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(m != MAP_FAILED);
	return m;
}

static void maps(void)
{
	char *m = map(16 * PAGE, PROT_READ | PROT_WRITE);

	for (int i = 0; i < 16; i++)
		m[i * PAGE] = (char)(i + 1);
	/* A hole in the middle, then something else in it. */
	CHECK(munmap(m + 4 * PAGE, 4 * PAGE) == 0);
	for (int i = 0; i < 16; i++)
		if (i < 4 || i >= 8)
			CHECK(m[i * PAGE] == i + 1);
	CHECK(mmap(m + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == m + 4 * PAGE);
	CHECK(m[4 * PAGE] == 0 && m[3 * PAGE] == 4 && m[8 * PAGE] == 9);
	CHECK(mprotect(m, 2 * PAGE, PROT_READ) == 0);
	CHECK(m[0] == 1);
	CHECK(mprotect(m, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	m[0] = 99;
	CHECK(madvise(m + 8 * PAGE, 8 * PAGE, MADV_DONTNEED) == 0);
	CHECK(m[9 * PAGE] == 0 && m[0] == 99);
	CHECK(munmap(m, 16 * PAGE) == 0);
	CHECK(munmap(m, 16 * PAGE) == 0);
}

static void errors(void)
{
	char *m = map(PAGE, PROT_READ);

	CHECK_ERRNO((long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO((long)mmap(NULL, 1UL << 46, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		    ENOMEM);
	CHECK_ERRNO((long)mmap((void *)123, PAGE, PROT_READ,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		    EINVAL);
	CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
	CHECK_ERRNO(munmap(m + 1, PAGE), EINVAL);
	CHECK_ERRNO(syscall(SYS_mprotect, m + 1, PAGE, PROT_READ), EINVAL);
	CHECK(munmap(m, PAGE) == 0);
	CHECK_ERRNO(mprotect(m, PAGE, PROT_READ), ENOMEM);
	/* Wild pointers are the caller's fault, not the kernel's. */
	CHECK_ERRNO(write(1, (void *)8, 4), EFAULT);
	CHECK_ERRNO(write(1, m, 4), EFAULT);
	CHECK_ERRNO(write(1, (void *)0xffffff8000000000UL, 4), EFAULT);
	CHECK_ERRNO(syscall(SYS_uname, (void *)0xffffffc000000000UL), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_gettime, 0, (void *)(1UL << 39)), EFAULT);
}

/* Random blocks, each filled with a pattern of its own and checked before it goes. */
static void shuffle(void)
{
	static struct {
		uint32_t *p;
		size_t words;
		uint32_t seed;
	} block[64];
	uint64_t x = 88172645463325252UL;

	for (int n = 0; n < 4000; n++) {
		unsigned i;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		i = x % 64;
		if (block[i].p) {
			for (size_t w = 0; w < block[i].words; w += 61)
				CHECK(block[i].p[w] == block[i].seed + w);
			free(block[i].p);
			block[i].p = NULL;
			continue;
		}
		block[i].words = 1 + (x >> 32) % ((n % 16) ? 2000 : 60000);
		block[i].seed = (uint32_t)x;
		block[i].p = malloc(block[i].words * 4);
		CHECK(block[i].p);
		for (size_t w = 0; w < block[i].words; w += 61)
			block[i].p[w] = block[i].seed + (uint32_t)w;
	}
}

int main(void)
{
	breaks();
	maps();
	errors();
	shuffle();
	return 0;
}
