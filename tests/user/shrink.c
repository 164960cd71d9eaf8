/* SPDX-License-Identifier: MIT */
/* A file that is mapped becomes shorter and longer again: what lies behind its end is SIGBUS, for everybody and at once,
 * and comes back as zeros, while others fork, touch and map it. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/check.h"

#define PAGE  4096UL
#define PAGES 16
#define KEPT  5 /* and a piece of the next */

static sigjmp_buf over;

static void on_bus(int sig)
{
	siglongjmp(over, 1);
}

/* 0 if the word can be read, then *v. */
static int look(volatile uint64_t *at, uint64_t *v)
{
	if (sigsetjmp(over, 1))
		return -1;
	*v = *at;
	return 0;
}

static int put(volatile uint64_t *at, uint64_t v)
{
	if (sigsetjmp(over, 1))
		return -1;
	*at = v;
	return 0;
}

static char *map(int fd, int type)
{
	char *m = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, type, fd, 0);

	CHECK(m != MAP_FAILED);
	return m;
}

/* Touch the second words until the flag is set; now and then in a child, now and then in a new mapping. */
static void disturb(int fd, volatile uint32_t *stop, unsigned x)
{
	char *m = map(fd, MAP_SHARED), *mine = map(fd, MAP_PRIVATE);

	for (unsigned n = 0; !*stop; n++) {
		uint64_t *at = (uint64_t *)((n & 1 ? m : mine) + x % PAGES * PAGE), v;

		x = x * 1103515245 + 12345;
		if (x >> 30 & 1)
			put(at + 1, x);
		else
			look(at + 1, &v);
		if (n % 64 == 0 && fork() == 0) {
			for (int i = 0; i < PAGES; i++)
				put((uint64_t *)(m + i * PAGE) + 1, n);
			_exit(0);
		}
		if (n % 64 == 0)
			wait(NULL);
		if (n % 200 == 0) {
			munmap(mine, PAGES * PAGE);
			mine = map(fd, MAP_PRIVATE);
		}
	}
	_exit(0);
}

static void shrink_and_look(int fd, char *m, uint64_t round)
{
	uint64_t v = 77;

	for (int i = 0; i < PAGES; i++) {
		CHECK(pwrite(fd, &round, 8, (long)(i * PAGE)) == 8);
		CHECK(look((uint64_t *)(m + i * PAGE), &v) == 0 && v == round);
	}
	CHECK(ftruncate(fd, KEPT * PAGE + 100) == 0);
	for (int i = KEPT + 1; i < PAGES; i++)
		CHECK(look((uint64_t *)(m + i * PAGE), &v) < 0);
	CHECK(look((uint64_t *)(m + KEPT * PAGE), &v) == 0 && v == round);
	CHECK(ftruncate(fd, PAGES * PAGE) == 0);
	for (int i = 0; i < PAGES; i++) {
		CHECK(look((uint64_t *)(m + i * PAGE), &v) == 0);
		CHECK(v == (i <= KEPT ? round : 0));
	}
}

int main(void)
{
	int fd = open("/tmp/shrink", O_RDWR | O_CREAT | O_TRUNC, 0600);
	volatile uint32_t *stop =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *m;

	CHECK(fd >= 0 && unlink("/tmp/shrink") == 0 && ftruncate(fd, PAGES * PAGE) == 0);
	CHECK(signal(SIGBUS, on_bus) != SIG_ERR);
	m = map(fd, MAP_SHARED);
	for (unsigned i = 0; i < 3; i++)
		if (fork() == 0)
			disturb(fd, stop, i);
	for (uint64_t round = 1; round <= 100; round++)
		shrink_and_look(fd, m, round);
	*stop = 1;
	for (int i = 0; i < 3; i++) {
		int status = -1;

		CHECK(wait(&status) > 0 && status == 0);
	}
	return 0;
}
