/* SPDX-License-Identifier: MIT */
/* A file that is mapped becomes shorter and longer again: what lies behind its end is SIGBUS, for everybody and at once,
 * and comes back as zeros, while others fork, touch and map it. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

/* What the process of wander() and ours tell each other. */
struct talk {
	volatile uint32_t stop;
	volatile uint64_t round, seen, found;
};

/* Move our only mapping of the file to and fro, touch it, and say what it shows when a round is over. */
static void wander(int fd, struct talk *talk)
{
	char *room = mmap(NULL, 2 * PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *m = mremap(map(fd, MAP_SHARED), PAGES * PAGE, PAGES * PAGE,
			 MREMAP_MAYMOVE | MREMAP_FIXED, room);
	uint64_t v;

	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	for (unsigned n = 0; !talk->stop; n++) {
		uint64_t round = talk->round;

		__sync_synchronize();
		CHECK(m != MAP_FAILED);
		for (int i = 0; i < PAGES; i++)
			look((uint64_t *)(m + i * PAGE), &v);
		if (round != talk->seen) {
			CHECK(look((uint64_t *)(m + (PAGES - 1) * PAGE), &v) == 0);
			talk->found = v;
			__sync_synchronize();
			talk->seen = round;
		}
		m = mremap(m, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   room + (n & 1 ? 0 : PAGES * PAGE));
	}
	_exit(0);
}

/* What is cut off a file is gone from a mapping that is just being moved, too. */
static void moves(int fd, struct talk *talk, uint64_t rounds)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		wander(fd, talk);
	for (uint64_t round = 1; round <= rounds; round++) {
		for (int i = 0; i < PAGES; i++)
			CHECK(pwrite(fd, "a round before", 14, (long)(i * PAGE)) == 14);
		for (unsigned i = 0; i < 50 + round % 50; i++)
			sched_yield();
		CHECK(ftruncate(fd, 0) == 0 && ftruncate(fd, PAGES * PAGE) == 0);
		CHECK(pwrite(fd, &round, 8, (PAGES - 1) * PAGE) == 8);
		talk->round = round;
		while (talk->seen != round) {
			CHECK(waitpid(pid, NULL, WNOHANG) == 0);
			sched_yield();
		}
		CHECK(talk->found == round);
	}
	talk->stop = 1;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* What was mapped as it was built in follows the file once somebody writes to it, all but private copies; a file is built in
 * as long as nobody has written to it. */
static void built_in(void)
{
	int fd = open("/bin/hello", O_RDONLY);
	char *shared = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0), *mine, was;

	mine = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(fd >= 0 && shared != MAP_FAILED && mine != MAP_FAILED);
	was = shared[1];
	CHECK(mine[1] == was);
	mine[PAGE] = 'm';
	close(fd);
	fd = open("/bin/hello", O_WRONLY);
	CHECK(fd >= 0 && pwrite(fd, "X", 1, 1) == 1 && pwrite(fd, shared + PAGE, 1, PAGE) == 1);
	CHECK(shared[1] == 'X' && mine[1] == 'X' && mine[PAGE] == 'm');
	CHECK(pwrite(fd, &was, 1, 1) == 1 && shared[1] == was);
	close(fd);
	munmap(shared, 2 * PAGE);
	munmap(mine, 2 * PAGE);
}

int main(void)
{
	int fd = open("/tmp/shrink", O_RDWR | O_CREAT | O_TRUNC, 0600);
	volatile uint32_t *stop =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *m;

	CHECK(fd >= 0 && unlink("/tmp/shrink") == 0 && ftruncate(fd, PAGES * PAGE) == 0);
	CHECK(signal(SIGBUS, on_bus) != SIG_ERR);
	built_in();
	/* on one CPU each turn that is given up takes as long as the other may run */
	moves(fd, (struct talk *)(stop + 64), sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 500 : 30);
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
