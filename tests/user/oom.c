/* SPDX-License-Identifier: MIT */
/* When memory is out the largest ends, whichever way it asked, and nobody else: small processes beside it keep running
 * and keep what they have. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/check.h"

#define PAGE  4096UL
#define STEP  (1UL << 20)
#define SMALL 3

static char *map(size_t n)
{
	char *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(m != MAP_FAILED);
	return m;
}

/* Take memory until somebody ends us: by touching it, or by having the kernel write to it. */
static void eat(int by_read)
{
	int zero = open("/dev/zero", O_RDONLY);

	for (;;) {
		char *m = map(STEP);

		if (by_read)
			CHECK(read(zero, m, STEP) == (ssize_t)STEP);
		for (size_t i = 0; i < STEP; i += PAGE)
			m[i] = 1;
	}
}

static pid_t eater(int by_read)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		eat(by_read);
	return pid;
}

/* Look after a little memory, and take more now and then, until the pipe is closed. */
static void live_small(int fd)
{
	uint32_t *m = (uint32_t *)map(STEP / 2), round = 0;
	char c;

	for (size_t i = 0; i < STEP / 8; i++)
		m[i] = (uint32_t)i * 7;
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	while (read(fd, &c, 1) < 0) {
		size_t at = round++ * 1021 % (STEP / 8);
		char *more = map(4 * PAGE);

		more[3 * PAGE] = 1;
		if (m[at] != (uint32_t)at * 7 || more[0] != 0 || munmap(more, 4 * PAGE) < 0)
			_exit(1);
		usleep(1000);
	}
	_exit(0);
}

/* --- a lock between the victim and who needs its memory ------------------------------------------------------------ */

static int shared_file;

static void *read_for_ever(void *unused)
{
	static char buf[STEP];

	for (;;)
		CHECK(pread(shared_file, buf, STEP, 0) == (ssize_t)STEP);
	return unused;
}

/* It takes all memory, while another of its threads is in the file most of the time. */
static pid_t eater_in_file(void)
{
	pthread_t t;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(pthread_create(&t, NULL, read_for_ever, NULL) == 0);
		eat(0);
	}
	return pid;
}

/* A read of the file holds its lock while it finds no memory for what it writes to: the victim needs that lock to end, and
 * still no read is cut short. */
static void locked_out(void)
{
	int status;

	shared_file = open("/tmp/oom", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(shared_file >= 0 && ftruncate(shared_file, STEP) == 0 && unlink("/tmp/oom") == 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid = eater_in_file();

		while (waitpid(pid, &status, WNOHANG) == 0) {
			char *m = map(STEP);

			CHECK(pread(shared_file, m, STEP, 0) == (ssize_t)STEP);
			CHECK(munmap(m, STEP) == 0);
		}
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	close(shared_file);
}

int main(void)
{
	pid_t small[SMALL], big[3];
	int fds[2], status;

	CHECK(pipe(fds) == 0);
	for (int i = 0; i < SMALL; i++) {
		small[i] = fork();
		CHECK(small[i] >= 0);
		if (small[i] == 0) {
			close(fds[1]);
			live_small(fds[0]);
		}
	}
	close(fds[0]);
	/* one after the other goes */
	for (int i = 0; i < 3; i++)
		big[i] = eater(i & 1);
	for (int i = 0; i < 3; i++) {
		CHECK(waitpid(big[i], &status, 0) == big[i]);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	close(fds[1]);
	for (int i = 0; i < SMALL; i++) {
		CHECK(waitpid(small[i], &status, 0) == small[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	locked_out();
	return 0;
}
