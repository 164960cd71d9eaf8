/* SPDX-License-Identifier: MIT */
/* When memory is out the largest ends, whichever way it asked, and nobody else: small processes beside it keep running
 * and keep what they have. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define PAGE  4096UL
#define STEP  (1UL << 20)
#define SMALL 3
#define SET   65536
/* threads that have a lock when they end: more than are seen to at a time */
#define HOLDERS 40

static char *map(size_t n)
{
	char *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(m != MAP_FAILED);
	return m;
}

/* Take memory until somebody ends us: by touching it, or by having the kernel write to it. */
static void eat(int how)
{
	int by_read = how == 1, zero = open("/dev/zero", O_RDONLY);

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
		/* the load: in no hurry, for as long as the others eat */
		let_pass(1);
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

/* --- what the kernel keeps for a process ---------------------------------------------------------------------------------- */

static size_t free_bytes(void)
{
	struct sysinfo si;

	CHECK(sysinfo(&si) == 0);
	return si.freeram * si.mem_unit;
}

/* Fill pipes with so much, then say so. */
static void hoard_pipes(size_t n, int ready)
{
	static char buf[65536];
	struct rlimit many = { 65536, 65536 };
	int fds[2];

	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &many) == 0);
	for (size_t done = 0; done < n; done += sizeof(buf)) {
		CHECK(pipe(fds) == 0);
		CHECK(write(fds[1], buf, sizeof(buf)) == (ssize_t)sizeof(buf));
	}
	CHECK(write(ready, "r", 1) == 1);
	for (;;)
		pause();
}

static void *poll_for_ever(void *set)
{
	poll(set, SET, -1);
	return NULL;
}

/* Wait for so many files at once, in as many threads as that takes. */
static void hoard_polls(size_t n, int ready)
{
	struct rlimit many = { 65536, 65536 };
	struct pollfd *set = calloc(SET, sizeof(*set));
	size_t goal = free_bytes() - n;
	pthread_t t;
	int fds[2];

	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && pipe(fds) == 0);
	CHECK(set && setrlimit(RLIMIT_NOFILE, &many) == 0);
	for (int i = 0; i < SET; i++)
		set[i] = (struct pollfd){ .fd = fds[0], .events = POLLIN };
	while (free_bytes() > goal) {
		size_t before = free_bytes();

		CHECK(pthread_create(&t, NULL, poll_for_ever, set) == 0);
		CHECK(AWAIT(free_bytes() + SET * 64UL < before));
	}
	CHECK(write(ready, "r", 1) == 1);
	for (;;)
		pause();
}

/* Who has most of memory in what the kernel keeps for it ends before who has less in memory of its own. */
static void hoarder_goes(void (*hoard)(size_t, int), size_t all)
{
	size_t n = 0;
	int fds[2], status = 0;
	pid_t pid;
	char c;

	/* what the one before had is back */
	CHECK(pipe(fds) == 0 && AWAIT(free_bytes() > all / 10 * 9));
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		hoard(all / 10 * 6, fds[1]);
	close(fds[1]);
	CHECK(read(fds[0], &c, 1) == 1);
	close(fds[0]);
	char *m = map(all);

	while (n < all && waitpid(pid, &status, WNOHANG) == 0)
		for (size_t end = n + STEP / 4; n < end; n += PAGE)
			m[n] = 1;
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(munmap(m, all) == 0);
}

/* --- locks of a victim ------------------------------------------------------------------------------------------------------ */

static void *lock_and_stay(void *lock)
{
	CHECK(pthread_mutex_lock(lock) == 0);
	CHECK(write(shared_file, "l", 1) == 1);
	for (;;)
		pause();
	return NULL;
}

/* Locks that a victim's threads hold in shared memory come to who waits for them, as those of others that die. */
static void robust(void)
{
	pthread_mutex_t *lock =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;
	int fds[2], status;
	pid_t pid, heir;
	pthread_t t;
	char c;

	CHECK(lock != MAP_FAILED && pthread_mutexattr_init(&attr) == 0 && pipe(fds) == 0);
	CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	CHECK(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0);
	for (int i = 0; i <= HOLDERS; i++)
		CHECK(pthread_mutex_init(lock + i, &attr) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		shared_file = fds[1];
		CHECK(pthread_mutex_lock(lock) == 0);
		CHECK(signal(SIGUSR1, eat) != SIG_ERR);
		for (int i = 1; i <= HOLDERS; i++)
			CHECK(pthread_create(&t, NULL, lock_and_stay, lock + i) == 0);
		for (;;)
			pause();
	}
	for (int i = 0; i < HOLDERS; i++)
		CHECK(read(fds[0], &c, 1) == 1);
	heir = fork();
	CHECK(heir >= 0);
	if (heir == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		_exit(pthread_mutex_lock(lock) == EOWNERDEAD ? 0 : 1);
	until_asleep(heir);
	CHECK(kill(pid, SIGUSR1) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	      WTERMSIG(status) == SIGKILL);
	for (int i = 1; i <= HOLDERS; i++)
		CHECK(pthread_mutex_trylock(lock + i) == EOWNERDEAD);
	CHECK(waitpid(heir, &status, 0) == heir && status == 0);
	close(fds[0]);
	close(fds[1]);
	CHECK(munmap(lock, PAGE) == 0);
}

int main(void)
{
	size_t all = free_bytes();
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
	robust();
	hoarder_goes(hoard_pipes, all);
	hoarder_goes(hoard_polls, all);
	return 0;
}
