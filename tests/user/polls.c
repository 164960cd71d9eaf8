/* SPDX-License-Identifier: MIT */
/* poll, select and epoll: what each tells of a pipe, time-outs, and bad arguments. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

static int r, w;

static long long now(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void open_pipe(void)
{
	int p[2];

	CHECK(pipe2(p, O_NONBLOCK) == 0);
	r = p[0];
	w = p[1];
}

static void close_pipe(void)
{
	CHECK(close(r) == 0 && close(w) == 0);
}

static void byte_in(void)
{
	CHECK(write(w, "x", 1) == 1);
}

static void byte_out(void)
{
	char c;

	CHECK(read(r, &c, 1) == 1);
}

static void polls(void)
{
	struct pollfd p[4];
	struct timespec t = { 0, 3000000 };
	long long start = now();

	open_pipe();
	p[0] = (struct pollfd){ r, POLLIN | POLLRDNORM, 99 };
	p[1] = (struct pollfd){ w, POLLOUT, 99 };
	p[2] = (struct pollfd){ -1, POLLIN, 99 };
	p[3] = (struct pollfd){ 777, 0, 99 };
	CHECK(poll(p, 1, 3) == 0 && now() >= start + 3000000 && p[0].revents == 0);
	CHECK(poll(p, 4, -1) == 2 && p[1].revents == POLLOUT && p[2].revents == 0 &&
	      p[3].revents == POLLNVAL);
	byte_in();
	CHECK(poll(p, 1, -1) == 1 && p[0].revents == (POLLIN | POLLRDNORM));
	CHECK(syscall(SYS_ppoll, p + 2, 1, &t, NULL, 0) == 0);
	CHECK(t.tv_sec == 0 && t.tv_nsec == 0);
	CHECK(poll(NULL, 0, 1) == 0);
	CHECK_ERRNO(syscall(SYS_ppoll, 8, 1, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(syscall(SYS_ppoll, p, 1, 8, NULL, 0), EFAULT);
	CHECK_ERRNO(syscall(SYS_ppoll, p, 0x7fffffff, NULL, NULL, 0), EINVAL);
	t.tv_nsec = -1;
	CHECK_ERRNO(syscall(SYS_ppoll, p, 1, &t, NULL, 0), EINVAL);
	close_pipe();
	CHECK(poll(p, 2, 0) == 2 && p[0].revents == POLLNVAL);
}

static void selects(void)
{
	struct timeval tv = { 0, 2000 };
	fd_set in, out;

	open_pipe();
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(r, &in);
	FD_SET(w, &out);
	CHECK(select(w + 1, &in, &out, NULL, NULL) == 1 && !FD_ISSET(r, &in) && FD_ISSET(w, &out));
	byte_in();
	FD_SET(r, &in);
	CHECK(select(w + 1, &in, NULL, &out, &tv) == 1 && FD_ISSET(r, &in) && !FD_ISSET(w, &out));
	byte_out();
	FD_SET(r, &in);
	CHECK(select(w + 1, &in, NULL, NULL, &tv) == 0 && !FD_ISSET(r, &in));
	/* beyond the table of descriptors nobody looks */
	FD_SET(999, &in);
	CHECK(select(1000, &in, NULL, NULL, &tv) == 0);
	FD_SET(60, &in);
	CHECK_ERRNO(select(1000, &in, NULL, NULL, &tv), EBADF);
	CHECK_ERRNO(syscall(SYS_pselect6, -1L, NULL, NULL, NULL, NULL, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_pselect6, 64, 8, NULL, NULL, NULL, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, NULL, 8), EFAULT);
	/* RC-020: descriptor numbers are not numbers of anything else */
	close_pipe();
}

static void epolls(void)
{
	struct epoll_event ev = { .events = EPOLLIN }, got[4];
	int ep = epoll_create1(EPOLL_CLOEXEC), copy;
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	open_pipe();
	CHECK(ep >= 0 && page != MAP_FAILED && (fcntl(ep, F_GETFD) & FD_CLOEXEC));
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, r, &ev) == 0);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, r, &ev), EEXIST);
	CHECK(epoll_wait(ep, got, 4, 2) == 0);
	byte_in();
	CHECK(epoll_wait(ep, got, 4, -1) == 1 && got[0].events == EPOLLIN);
	/* another number of the same pipe keeps it watched */
	copy = dup(r);
	CHECK(copy >= 0 && close(r) == 0);
	CHECK(epoll_wait(ep, got, 4, 0) == 1);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, r, NULL), EBADF);
	CHECK(close(copy) == 0 && epoll_wait(ep, got, 4, 0) == 0);
	CHECK(close(w) == 0);
	open_pipe();
	CHECK_ERRNO(epoll_create1(1), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(r, EPOLL_CTL_ADD, w, &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, 777, &ev), EBADF);
	CHECK_ERRNO(epoll_ctl(777, EPOLL_CTL_ADD, r, &ev), EBADF);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, r, &ev), ENOENT);
	CHECK_ERRNO(epoll_ctl(ep, 9, r, &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, r, (void *)8), EFAULT);
	CHECK_ERRNO(epoll_wait(ep, got, 0, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(ep, got, -1, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(r, got, 1, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_epoll_pwait, ep, -8L, 4, 0, NULL, 8), EFAULT);
	CHECK_ERRNO(read(ep, got, 8), EINVAL);
	byte_in();
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, r, &ev) == 0);
	CHECK_ERRNO(epoll_wait(ep, page, 1, 0), EFAULT);
	CHECK(epoll_wait(ep, got, 1, 0) == 1);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, open("/etc/passwd", O_RDONLY), &ev), EPERM);
	close_pipe();
	CHECK(close(ep) == 0 && munmap(page, 4096) == 0);
}

/* PERF-008 and more: the poll of a thousand pipes, one of them ready. */
static void many(void)
{
	static struct pollfd p[1000];
	int ep = epoll_create1(0), fd[2], last = -1;
	struct epoll_event ev = { .events = EPOLLIN };

	for (int i = 0; i < 500; i++) {
		CHECK(pipe(fd) == 0);
		p[2 * i] = (struct pollfd){ fd[0], POLLIN, 0 };
		p[2 * i + 1] = (struct pollfd){ fd[1], POLLIN, 0 };
		ev.data.fd = fd[0];
		CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &ev) == 0);
		last = fd[1];
	}
	CHECK(poll(p, 1000, 1) == 0);
	CHECK(write(last, "x", 1) == 1);
	CHECK(poll(p, 1000, -1) == 1 && p[998].revents == POLLIN);
	CHECK(epoll_wait(ep, &ev, 1, -1) == 1 && ev.data.fd == p[998].fd);
	for (int i = 0; i < 1000; i++)
		CHECK(close(p[i].fd) == 0);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
	CHECK(close(ep) == 0);
}

/* --- sleeping on files of several kinds ------------------------------------------------------------------------------- */

enum { PIPE, EVENT, TIMER, MASTER, KINDS };

static void poll_them(const int *fd)
{
	struct pollfd p[KINDS];

	for (int i = 0; i < KINDS; i++)
		p[i] = (struct pollfd){ fd[i], POLLIN, 0 };
	_exit(poll(p, KINDS, -1) != 1 || p[PIPE].revents != POLLIN);
}

static void select_them(const int *fd)
{
	fd_set in;
	int most = 0;

	FD_ZERO(&in);
	for (int i = 0; i < KINDS; i++) {
		FD_SET(fd[i], &in);
		most = fd[i] > most ? fd[i] : most;
	}
	_exit(select(most + 1, &in, NULL, NULL, NULL) != 1 || !FD_ISSET(fd[PIPE], &in));
}

static void epoll_them(const int *fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0);

	for (int i = 0; i < KINDS; i++) {
		ev.data.fd = i;
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &ev))
			_exit(2);
	}
	_exit(epoll_wait(ep, &ev, 1, -1) != 1 || ev.data.fd != PIPE);
}

static long switches_of(pid_t pid)
{
	char path[40], text[2000], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && (n = read(fd, text, sizeof(text) - 1)) > 0 && close(fd) == 0);
	text[n] = 0;
	at = strstr(text, "\nvoluntary_ctxt_switches:");
	CHECK(at != NULL);
	return strtol(strchr(at, ':') + 1, NULL, 10);
}

/* RC-021: who waits for files of several kinds sleeps until one has something: nobody wakes him to look again. */
static void mixed_sets_sleep(void)
{
	void (*const how[])(const int *) = { poll_them, select_them, epoll_them };
	int fd[KINDS], status;
	long before;
	pid_t pid;

	open_pipe();
	fd[PIPE] = r;
	fd[EVENT] = eventfd(0, 0);
	fd[TIMER] = timerfd_create(CLOCK_MONOTONIC, 0);
	fd[MASTER] = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	for (unsigned k = 0; k < sizeof(how) / sizeof(how[0]); k++) {
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			how[k](fd);
		}
		CHECK(until_asleep(pid));
		before = switches_of(pid);
		/* in which it could be woken for nothing */
		let_pass(200);
		CHECK(state_of(pid) == 'S' && switches_of(pid) == before);
		byte_in();
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		byte_out();
	}
	for (int i = EVENT; i < KINDS; i++)
		CHECK(close(fd[i]) == 0);
	close_pipe();
}

/* --- nothing is missed on the way to sleep ------------------------------------------------------------------------------ */

enum { GAMES = 3000 };

static bool wait_by_poll(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, AWAIT_SECONDS * 1000) == 1;
}

/* Edge-triggered and told once: it has to be armed anew each time. */
static bool wait_by_epoll(int fd)
{
	static int ep = -1;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET | EPOLLONESHOT };

	if (ep < 0) {
		ep = epoll_create1(0);
		CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
	} else {
		CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev) == 0);
	}
	return epoll_wait(ep, &ev, 1, AWAIT_SECONDS * 1000) == 1;
}

static void play(bool (*wait_for)(int), int in, int out)
{
	char c;

	for (int i = 0; i < GAMES; i++)
		if (!wait_for(in) || read(in, &c, 1) != 1 || write(out, "x", 1) != 1)
			_exit(1);
}

/* N12: two that answer each other at once: an event that comes between a look and a sleep leaves both waiting. */
static void no_event_is_missed(bool (*wait_for)(int))
{
	int there[2], back[2], status;
	pid_t pid;

	CHECK(pipe(there) == 0 && pipe(back) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		play(wait_for, there[0], back[1]);
		_exit(0);
	}
	CHECK(write(there[1], "x", 1) == 1);
	for (int i = 0; i < GAMES; i++) {
		char c;

		CHECK(read(back[0], &c, 1) == 1);
		/* sometimes just as the other looks, or falls asleep */
		for (volatile int k = i * 37 % 4000; k > 0; k--)
			;
		if (i + 1 < GAMES)
			CHECK(write(there[1], "x", 1) == 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(close(there[0]) == 0 && close(there[1]) == 0 && close(back[0]) == 0 &&
	      close(back[1]) == 0);
}

int main(void)
{
	polls();
	selects();
	epolls();
	many();
	mixed_sets_sleep();
	no_event_is_missed(wait_by_poll);
	no_event_is_missed(wait_by_epoll);
	return 0;
}
