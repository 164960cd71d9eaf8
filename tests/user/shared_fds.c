/* SPDX-License-Identifier: MIT */
/* Descriptors under those who use them: closed, replaced and opened anew by another thread, or by another process that
 * shares the table, while a call is in progress; and the moments when a thread stops being the only one, or becomes it. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

enum { FIRST = 20, NUMBERS = 4, CREW = 3, ROUNDS = 300 };

static pid_t sleeper;
static int p[2], q[2];

/* The other side: a thread of ours, or a process with our descriptors but memory of its own. */
static void beside(void *(*fn)(void *), bool process, void (*sleep)(void))
{
	pthread_t t;
	pid_t pid = 0;
	int status;

	sleeper = (pid_t)syscall(SYS_gettid);
	CHECK(pipe(p) == 0 && pipe(q) == 0);
	if (process) {
		pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
		CHECK(pid >= 0);
		if (pid == 0) {
			fn(&sleeper);
			_exit(0);
		}
	} else {
		CHECK(pthread_create(&t, NULL, fn, NULL) == 0);
	}
	sleep();
	if (process)
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	else
		CHECK(pthread_join(t, NULL) == 0);
	CHECK(close(p[0]) == 0 && close(p[1]) == 0 && close(q[0]) == 0 && close(q[1]) == 0);
}

static void await_sleeper(const void *process)
{
	CHECK(process ? until_asleep(sleeper) : until_thread_asleep(sleeper));
}

/* What sleeps in a call goes on with the file it began with, whatever its number stands for by then. */
static void *replace_and_write(void *process)
{
	await_sleeper(process);
	CHECK(dup2(q[0], p[0]) == p[0]);
	CHECK(write(p[1], "old", 3) == 3);
	return NULL;
}

static void read_old(void)
{
	char c[4];

	CHECK(read(p[0], c, 4) == 3 && memcmp(c, "old", 3) == 0);
	/* and the next one finds the new file */
	CHECK(write(q[1], "new", 3) == 3);
	CHECK(read(p[0], c, 4) == 3 && memcmp(c, "new", 3) == 0);
}

/* The last descriptor of the pipe's other side goes: the file lives as long as somebody sleeps with it. */
static void *close_all(void *process)
{
	int r = p[0];

	await_sleeper(process);
	CHECK(close(r) == 0);
	CHECK(fcntl(r, F_GETFD) == -1 && errno == EBADF);
	CHECK(close(p[1]) == 0);
	CHECK(open("/dev/null", O_RDWR) == r && dup2(r, p[1]) == p[1]);
	return NULL;
}

static void read_end(void)
{
	char c;

	CHECK(read(p[0], &c, 1) == 0);
}

static void *replace_and_fill(void *process)
{
	int old = dup(p[0]);

	await_sleeper(process);
	CHECK(dup2(q[0], p[0]) == p[0]);
	/* both: which of the two is asked again when it wakes is nobody's promise */
	CHECK(write(q[1], "x", 1) == 1 && write(p[1], "x", 1) == 1);
	CHECK(close(old) == 0);
	return NULL;
}

static void poll_both(void)
{
	struct pollfd f = { p[0], POLLIN, 0 };

	CHECK(poll(&f, 1, -1) == 1 && f.revents == POLLIN);
}

static void select_both(void)
{
	fd_set in;

	FD_ZERO(&in);
	FD_SET(p[0], &in);
	CHECK(select(p[0] + 1, &in, NULL, NULL, NULL) == 1 && FD_ISSET(p[0], &in));
}

/* The epoll's own number is closed while somebody waits in it. */
static int ep;

static void *close_epoll(void *process)
{
	await_sleeper(process);
	CHECK(close(ep) == 0);
	CHECK(write(p[1], "x", 1) == 1);
	return NULL;
}

static void wait_epoll(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data = { .u32 = 7 } };

	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev) == 0);
	ev.data.u32 = 0;
	CHECK(epoll_wait(ep, &ev, 1, -1) == 1 && ev.data.u32 == 7);
	CHECK_ERRNO(epoll_wait(ep, &ev, 1, 0), EBADF);
}

/* --- users and closers --------------------------------------------------------------------------------------------- */

static int stop; /* atomic */

static uint32_t random_number(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Any answer will do that a file or the lack of one can give; the kernel is to survive it. */
static void use(uint32_t *seed)
{
	int fd = FIRST + (int)(random_number(seed) % NUMBERS);
	struct pollfd f[NUMBERS];
	struct stat st;
	char c = 'x';
	ssize_t n;

	switch (random_number(seed) % 6) {
	case 0:
		n = write(fd, &c, 1);
		CHECK(n == 1 || errno == EBADF || errno == EPIPE || errno == EAGAIN);
		break;
	case 1:
		n = read(fd, &c, 1);
		CHECK(n >= 0 || errno == EBADF || errno == EAGAIN);
		break;
	case 2:
		for (int i = 0; i < NUMBERS; i++)
			f[i] = (struct pollfd){ FIRST + i, POLLIN | POLLOUT, 0 };
		CHECK(poll(f, NUMBERS, 0) >= 0);
		break;
	case 3:
		CHECK(fstat(fd, &st) == 0 || errno == EBADF);
		break;
	case 4:
		CHECK(lseek(fd, 0, SEEK_CUR) >= 0 || errno == EBADF || errno == ESPIPE);
		break;
	default:
		CHECK(fcntl(fd, F_GETFL) >= 0 || errno == EBADF);
	}
}

static void change(uint32_t *seed)
{
	int fd = FIRST + (int)(random_number(seed) % NUMBERS), ends[2];

	switch (random_number(seed) % 3) {
	case 0:
		CHECK(close(fd) == 0 || errno == EBADF);
		break;
	case 1:
		CHECK(pipe2(ends, O_NONBLOCK) == 0);
		CHECK(dup2(ends[random_number(seed) % 2], fd) == fd);
		CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
		break;
	default:
		ends[0] = open("/dev/null", O_RDWR);
		CHECK(ends[0] >= 0 && dup2(ends[0], fd) == fd && close(ends[0]) == 0);
	}
}

static void *use_on(void *seed)
{
	uint32_t s = (uint32_t)(uintptr_t)seed;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		use(&s);
	return NULL;
}

static void storm(unsigned rounds)
{
	pthread_t t[CREW];
	uint32_t seed = 1;

	for (uintptr_t i = 0; i < CREW; i++)
		CHECK(pthread_create(&t[i], NULL, use_on, (void *)(i + 2)) == 0);
	for (unsigned i = 0; i < rounds; i++)
		change(&seed);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < CREW; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

/* One that changes some and leaves, while the other uses them: from two to one, at any moment. */
static void *change_and_go(void *seed)
{
	uint32_t s = (uint32_t)(uintptr_t)seed;

	for (int i = 0; i < 4; i++)
		change(&s);
	return NULL;
}

static int child_changes(uint32_t seed)
{
	int pid = (int)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);

	CHECK(pid >= 0);
	if (pid == 0) {
		change_and_go((void *)(uintptr_t)seed);
		_exit(0);
	}
	return pid;
}

static void come_and_go(unsigned rounds)
{
	uint32_t seed = 99;
	int status;

	for (unsigned i = 0; i < rounds; i++) {
		pthread_t t;
		pid_t pid = 0;

		if (i % 4)
			CHECK(pthread_create(&t, NULL, change_and_go, (void *)(uintptr_t)(i + 1)) ==
			      0);
		else
			pid = child_changes(i + 1);
		for (int k = 0; k < 20; k++)
			use(&seed);
		if (i % 4)
			CHECK(pthread_join(t, NULL) == 0);
		else
			CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
}

/* Whoever looks at our files from outside changes nothing of them. */
static void looked_at(unsigned rounds)
{
	uint32_t seed = 5;
	pid_t pid, me = getpid();
	int status;

	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		for (unsigned i = 0; i < rounds; i++) {
			char path[40], text[64];

			snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)me,
				 FIRST + (int)i % NUMBERS);
			CHECK(readlink(path, text, sizeof(text)) > 0 || errno == ENOENT);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		change(&seed);
		for (int k = 0; k < 5; k++)
			use(&seed);
	}
	CHECK(status == 0);
}

int main(void)
{
	const char *scale = getenv("SCALE");
	unsigned rounds = ROUNDS * (unsigned)(scale ? atoi(scale) : 1);

	signal(SIGPIPE, SIG_IGN);
	for (int process = 0; process < 2; process++) {
		beside(replace_and_write, process, read_old);
		beside(close_all, process, read_end);
		beside(replace_and_fill, process, poll_both);
		beside(replace_and_fill, process, select_both);
		ep = epoll_create1(0);
		CHECK(ep >= 0);
		beside(close_epoll, process, wait_epoll);
	}
	storm(rounds * 10);
	come_and_go(rounds);
	looked_at(rounds);
	for (int fd = FIRST; fd < FIRST + NUMBERS; fd++)
		close(fd);
	return 0;
}
