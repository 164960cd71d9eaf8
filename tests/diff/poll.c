/* SPDX-License-Identifier: MIT */
/* Waiting for several: poll, select, epoll, eventfd, timerfd, signalfd, socket pairs; and sleeping. */
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include "tests/diff/lib/diff.h"

static void say_events(int line, int fd)
{
	struct pollfd f = { fd, POLLIN | POLLOUT | POLLPRI, 0 };
	int n = poll(&f, 1, 0);

	diff_say(line, "poll %d:%s%s%s%s%s%s", n, f.revents & POLLIN ? " IN" : "",
		 f.revents & POLLOUT ? " OUT" : "", f.revents & POLLPRI ? " PRI" : "",
		 f.revents & POLLHUP ? " HUP" : "", f.revents & POLLERR ? " ERR" : "",
		 f.revents & POLLNVAL ? " NVAL" : "");
}
#define EVENTS(fd) say_events(__LINE__, fd)

CASE(pipes)
{
	static char buf[70000];
	int p[2], q[2];

	R(pipe(p));
	EVENTS(p[0]);
	EVENTS(p[1]);
	R(write(p[1], buf, 10));
	EVENTS(p[0]);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	Q(write(p[1], buf, 70000) > 60000);
	EVENTS(p[1]);
	R(read(p[0], buf, 100));
	EVENTS(p[1]);
	R(read(p[0], buf, 4096));
	EVENTS(p[1]);
	R(close(p[1]));
	EVENTS(p[0]);
	Q(read(p[0], buf, 70000) > 50000);
	EVENTS(p[0]);
	R(pipe(q));
	R(close(q[0]));
	EVENTS(q[1]);
	EVENTS(q[0]);
	EVENTS(-1);
	EVENTS(999);
}

CASE(named_pipes)
{
	int r, w;

	R(mkfifo("fifo", 0600));
	r = R(open("fifo", O_RDONLY | O_NONBLOCK));
	/* there has been no writer yet */
	EVENTS(r);
	w = R(open("fifo", O_WRONLY));
	EVENTS(r);
	EVENTS(w);
	close(w);
	EVENTS(r);
	close(r);
	r = R(open("fifo", O_RDWR | O_NONBLOCK));
	EVENTS(r);
	close(r);
	r = R(open("fifo", O_RDONLY | O_NONBLOCK));
	EVENTS(r);
}

CASE(files)
{
	EVENTS(open("f", O_RDWR | O_CREAT, 0600));
	EVENTS(open("f", O_RDONLY));
	EVENTS(open(".", O_RDONLY));
	EVENTS(open("/dev/null", O_RDWR));
	EVENTS(open("/dev/zero", O_RDONLY));
	EVENTS(open("/dev/urandom", O_RDONLY));
	EVENTS(open("/proc/self/stat", O_RDONLY));
	EVENTS(open("f", O_PATH));
}

CASE(poll_calls)
{
	struct pollfd f[3] = { { 0, 0, 0 } };
	struct timespec bad = { 0, 1000000000 }, negative = { -1, 0 }, none = { 0, 0 };
	struct timespec little = { 0, 20000000 };
	int64_t begin = now_ns(CLOCK_MONOTONIC);
	int p[2];

	R(poll(NULL, 0, 20));
	Q(now_ns(CLOCK_MONOTONIC) - begin >= 20000000);
	R(poll(BAD, 1, 0));
	R(poll(BAD, 0, 0));
	R(syscall(SYS_ppoll, f, 100000, &none, NULL, 8));
	R(syscall(SYS_ppoll, f, -1, &none, NULL, 8));
	R(syscall(SYS_ppoll, f, 0, &bad, NULL, 8));
	R(syscall(SYS_ppoll, f, 0, &negative, NULL, 8));
	R(syscall(SYS_ppoll, f, 0, BAD, NULL, 8));
	R(syscall(SYS_ppoll, f, 0, &none, BAD, 8));
	/* the time left is written back */
	R(syscall(SYS_ppoll, f, 0, &little, NULL, 8));
	say("%ld %ld", (long)little.tv_sec, (long)little.tv_nsec);
	pipe(p);
	f[0] = (struct pollfd){ p[0], POLLIN, 77 };
	f[1] = (struct pollfd){ -1, POLLIN, 77 };
	f[2] = (struct pollfd){ p[1], POLLOUT, 77 };
	R(poll(f, 3, -1));
	say("%d %d %d", f[0].revents, f[1].revents, f[2].revents);
	f[2].events = 0;
	R(poll(f, 3, 0));
	/* one descriptor several times */
	f[0] = f[1] = f[2] = (struct pollfd){ p[1], POLLOUT, 0 };
	R(poll(f, 3, -1));
	if (fork() == 0) {
		until_asleep(getppid());
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
	f[0] = (struct pollfd){ p[0], POLLIN | POLLRDNORM, 0 };
	R(poll(f, 1, -1));
	say("%x", f[0].revents);
	wait(NULL);
}

static int from_file(const char *path)
{
	return open(path, O_RDWR | O_CREAT, 0600);
}

CASE(select_calls)
{
	fd_set r, w, e;
	struct timeval t = { 0, 20000 }, bad = { 0, -1 };
	struct timespec none = { 0, 0 };
	int p[2];

	pipe(p);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	R(select(p[1] + 1, &r, &w, &e, NULL));
	Q(!FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w));
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	R(select(p[1] + 1, &r, NULL, NULL, &t));
	Q(!FD_ISSET(p[0], &r));
	write(p[1], "x", 1);
	FD_SET(p[0], &r);
	R(select(p[1] + 1, &r, NULL, NULL, NULL));
	FD_SET(99, &r);
	R(select(100, &r, NULL, NULL, NULL));
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	R(select(p[0], &r, NULL, NULL, &(struct timeval){ 0, 0 }));
	R(select(-1, NULL, NULL, NULL, &t));
	R(select(0, NULL, NULL, NULL, &bad));
	R(syscall(SYS_pselect6, 5, BAD, NULL, NULL, &none, NULL));
	R(syscall(SYS_pselect6, 0, NULL, NULL, NULL, BAD, NULL));
	R(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &none, BAD));
	close(p[1]);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(p[0], &r);
	FD_SET(p[0], &e);
	R(select(p[0] + 1, &r, NULL, &e, NULL));
	Q(FD_ISSET(p[0], &r));
	Q(FD_ISSET(p[0], &e));
	FD_ZERO(&r);
	FD_SET(from_file("f"), &r);
	R(select(20, &r, NULL, NULL, NULL));
}

/* ---- epoll */

static void say_ready(int line, int e, int timeout)
{
	struct epoll_event ev[10];
	char text[300] = "";
	int n = epoll_wait(e, ev, 10, timeout);

	for (int i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %x for %d",
			 ev[i].events, (int)ev[i].data.u64);
	diff_say(line, "%d ready:%s", n, text);
}
#define READY(e, timeout) say_ready(__LINE__, e, timeout)

static int control(int e, int op, int fd, unsigned events)
{
	struct epoll_event ev = { .events = events, .data.u64 = fd };

	return epoll_ctl(e, op, fd, &ev);
}

CASE(epoll_errors)
{
	struct epoll_event ev;
	int e = R(epoll_create1(EPOLL_CLOEXEC)), p[2];

	R(fcntl(e, F_GETFD));
	R(epoll_create1(1));
	R(pipe(p));
	R(control(e, EPOLL_CTL_MOD, p[0], EPOLLIN));
	R(control(e, EPOLL_CTL_DEL, p[0], EPOLLIN));
	R(control(e, EPOLL_CTL_ADD, p[0], EPOLLIN));
	R(control(e, EPOLL_CTL_ADD, p[0], EPOLLIN));
	R(control(e, EPOLL_CTL_ADD, e, EPOLLIN));
	R(control(e, EPOLL_CTL_ADD, 99, EPOLLIN));
	R(control(99, EPOLL_CTL_ADD, p[0], EPOLLIN));
	R(control(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN));
	R(control(e, 7, p[1], EPOLLIN));
	R(control(e, EPOLL_CTL_ADD, from_file("f"), EPOLLIN));
	R(control(e, EPOLL_CTL_ADD, open(".", O_RDONLY), EPOLLIN));
	R(control(e, EPOLL_CTL_ADD, open("/dev/null", O_RDONLY), EPOLLIN));
	R(epoll_ctl(e, EPOLL_CTL_ADD, p[1], BAD));
	R(epoll_ctl(e, EPOLL_CTL_DEL, p[0], BAD));
	R(epoll_wait(e, &ev, 0, 0));
	R(epoll_wait(e, &ev, -1, 0));
	R(epoll_wait(p[0], &ev, 1, 0));
	R(epoll_wait(99, &ev, 1, 0));
	R(epoll_wait(e, &ev, 1, 0));
	R(control(e, EPOLL_CTL_ADD, p[1], EPOLLOUT));
	R(epoll_wait(e, BAD, 1, 0));
	R(epoll_wait(e, &ev, 1, 0));
	R(syscall(SYS_epoll_pwait, e, &ev, 1, 0, BAD, 8));
	R(syscall(SYS_epoll_pwait, e, &ev, 1, 0, &ev, 4));
	R(read(e, &ev, 1));
	R(write(e, &ev, 1));
	R(lseek(e, 0, SEEK_SET));
}

CASE(epoll_modes)
{
	int e = epoll_create1(0), p[2], q[2];
	char c;

	pipe(p);
	pipe(q);
	say("level");
	R(control(e, EPOLL_CTL_ADD, p[0], EPOLLIN));
	READY(e, 0);
	write(p[1], "ab", 2);
	READY(e, -1);
	READY(e, -1);
	read(p[0], &c, 1);
	READY(e, -1);
	read(p[0], &c, 1);
	READY(e, 20);
	say("edge");
	R(control(e, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET));
	write(p[1], "ab", 2);
	READY(e, 0);
	READY(e, 0);
	write(p[1], "c", 1);
	READY(e, 0);
	read(p[0], &c, 1);
	READY(e, 0);
	R(control(e, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET));
	READY(e, 0);
	say("once");
	R(control(e, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT));
	READY(e, 0);
	READY(e, 0);
	write(p[1], "d", 1);
	READY(e, 0);
	R(control(e, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT));
	READY(e, 0);
	say("others");
	R(control(e, EPOLL_CTL_MOD, p[0], 0));
	close(p[1]);
	READY(e, 0);
	R(control(e, EPOLL_CTL_DEL, p[0], 0));
	READY(e, 0);
	R(control(e, EPOLL_CTL_ADD, q[1], EPOLLOUT));
	R(control(e, EPOLL_CTL_ADD, q[0], EPOLLIN));
	READY(e, 0);
	close(q[0]);
	READY(e, 0);
	close(q[1]);
	READY(e, 0);
}

CASE(epoll_files)
{
	int e = epoll_create1(0), p[2], d, outer = epoll_create1(0);

	/* what is watched is the open file, under the number it was given */
	pipe(p);
	R(control(e, EPOLL_CTL_ADD, p[0], EPOLLIN));
	d = dup(p[0]);
	write(p[1], "x", 1);
	R(close(p[0]));
	READY(e, 0);
	R(control(e, EPOLL_CTL_DEL, p[0], 0));
	R(control(e, EPOLL_CTL_ADD, d, EPOLLIN));
	READY(e, 0);
	R(close(d));
	READY(e, 0);
	/* one inside another */
	pipe(p);
	R(control(e, EPOLL_CTL_ADD, p[0], EPOLLIN));
	R(control(outer, EPOLL_CTL_ADD, e, EPOLLIN));
	R(control(e, EPOLL_CTL_ADD, outer, EPOLLIN));
	READY(outer, 0);
	write(p[1], "x", 1);
	READY(outer, -1);
	EVENTS(e);
	EVENTS(outer);
	if (fork() == 0) {
		READY(e, 0);
		_exit(0);
	}
	wait(NULL);
}

CASE(epoll_wakes)
{
	int e = epoll_create1(0), p[2];
	int64_t begin;

	pipe(p);
	control(e, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET);
	if (fork() == 0) {
		until_asleep(getppid());
		write(p[1], "x", 1);
		_exit(0);
	}
	READY(e, -1);
	wait(NULL);
	begin = now_ns(CLOCK_MONOTONIC);
	READY(e, 30);
	Q(now_ns(CLOCK_MONOTONIC) - begin >= 30000000);
	/* one that is added while another waits */
	if (fork() == 0) {
		until_asleep(getppid());
		control(e, EPOLL_CTL_ADD, p[1], EPOLLOUT);
		_exit(0);
	}
	READY(e, -1);
	wait(NULL);
}

CASE(epoll_many)
{
	struct epoll_event ev[100];
	int e = epoll_create1(0), p[40][2], seen = 0;

	for (int i = 0; i < 40; i++) {
		pipe(p[i]);
		control(e, EPOLL_CTL_ADD, p[i][0], EPOLLIN);
		write(p[i][1], "x", 1);
	}
	R(epoll_wait(e, ev, 100, -1));
	/* in turns, when there is room for some only */
	for (int i = 0; i < 8; i++) {
		int n = epoll_wait(e, ev, 5, -1);
		char c;

		for (int k = 0; k < n; k++)
			seen += read((int)ev[k].data.u64, &c, 1);
	}
	say("%d read", seen);
	READY(e, 0);
}

/* ---- other things one can wait for */

CASE(eventfd)
{
	uint64_t v = 0;
	int fd = R(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));

	R(fcntl(fd, F_GETFD));
	EVENTS(fd);
	R(read(fd, &v, 8));
	say("%lu", v);
	R(read(fd, &v, 8));
	EVENTS(fd);
	v = 5;
	R(write(fd, &v, 8));
	R(write(fd, &v, 8));
	R(read(fd, &v, 7));
	R(write(fd, &v, 7));
	R(read(fd, &v, 100));
	say("%lu", v);
	v = -1UL;
	R(write(fd, &v, 8));
	v = -2UL;
	R(write(fd, &v, 8));
	EVENTS(fd);
	v = 1;
	R(write(fd, &v, 8));
	R(read(fd, &v, 8));
	say("%lx", v);
	R(read(fd, BAD, 8));
	R(write(fd, BAD, 8));
	R(lseek(fd, 0, SEEK_SET));
	R(eventfd(0, 7));
	fd = R(eventfd(2, EFD_SEMAPHORE));
	R(read(fd, &v, 8));
	say("%lu", v);
	R(read(fd, &v, 8));
	if (fork() == 0) {
		until_asleep(getppid());
		v = 2;
		write(fd, &v, 8);
		_exit(0);
	}
	R(read(fd, &v, 8));
	wait(NULL);
}

CASE(timerfd)
{
	struct itimerspec t = { { 0, 0 }, { 1000, 0 } }, soon = { { 0, 0 }, { 0, 10000000 } }, old;
	uint64_t v = 0;
	int fd = R(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));

	R(read(fd, &v, 8));
	EVENTS(fd);
	R(timerfd_settime(fd, 0, &t, &old));
	say("%ld %ld", (long)old.it_value.tv_sec, (long)old.it_value.tv_nsec);
	R(read(fd, &v, 8));
	timerfd_settime(fd, 0, &soon, NULL);
	fcntl(fd, F_SETFL, 0);
	R(read(fd, &v, 8));
	say("%lu", v);
	t = (struct itimerspec){ { 0, 5000000 }, { 0, 1 } };
	R(timerfd_settime(fd, 0, &t, NULL));
	/* it expires before anybody asks */
	let_pass(30);
	EVENTS(fd);
	R(read(fd, &v, 8));
	Q(v >= 6);
	R(timerfd_gettime(fd, &old));
	say("%ld %ld", (long)old.it_interval.tv_sec, (long)old.it_interval.tv_nsec);
	Q(old.it_value.tv_sec == 0 && old.it_value.tv_nsec <= 5000000);
	memset(&t, 0, sizeof(t));
	R(timerfd_settime(fd, 0, &t, &old));
	R(timerfd_gettime(fd, &old));
	say("%ld %ld", (long)old.it_value.tv_sec, (long)old.it_value.tv_nsec);
	clock_gettime(CLOCK_MONOTONIC, &t.it_value);
	R(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
	R(read(fd, &v, 8));
	R(read(fd, &v, 7));
	R(write(fd, &v, 8));
	t.it_value.tv_nsec = 1000000000;
	R(timerfd_settime(fd, 0, &t, NULL));
	t.it_value.tv_nsec = 0;
	R(timerfd_settime(fd, 77, &t, NULL));
	R(timerfd_settime(fd, 0, BAD, NULL));
	R(timerfd_settime(0, 0, &t, NULL));
	R(timerfd_settime(-1, 0, &t, NULL));
	R(timerfd_gettime(fd, BAD));
	R(timerfd_create(77, 0));
	R(timerfd_create(CLOCK_MONOTONIC, 77));
	R(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC));
	R(timerfd_create(CLOCK_BOOTTIME, 0));
	R(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
}

CASE(signalfd)
{
	struct signalfd_siginfo si[2];
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = R(signalfd(-1, &set, SFD_NONBLOCK));
	EVENTS(fd);
	R(read(fd, si, sizeof(si)));
	raise(SIGUSR1);
	EVENTS(fd);
	R(read(fd, si, sizeof(si)));
	say("signo %u code %d uid %u", si[0].ssi_signo, si[0].ssi_code, si[0].ssi_uid);
	R(read(fd, si, 10));
	R(signalfd(fd, &set, 0));
	R(signalfd(0, &set, 0));
	R(syscall(SYS_signalfd4, -1, &set, 4, 0));
	R(syscall(SYS_signalfd4, -1, &set, 8, 7));
}

CASE(socket_pairs)
{
	static char buf[300000];
	int s[2];

	R(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s));
	R(fcntl(s[0], F_GETFD));
	EVENTS(s[0]);
	R(read(s[0], buf, 1));
	R(write(s[0], "hello", 5));
	EVENTS(s[1]);
	R(read(s[1], buf, 3));
	R(read(s[1], buf, 3));
	R(write(s[1], "back", 4));
	R(read(s[0], buf, 100));
	R(lseek(s[0], 0, SEEK_SET));
	Q(write(s[0], buf, sizeof(buf)) > 0);
	R(write(s[0], buf, sizeof(buf)));
	EVENTS(s[0]);
	R(shutdown(s[1], SHUT_WR));
	EVENTS(s[0]);
	R(read(s[0], buf, 1));
	R(close(s[1]));
	EVENTS(s[0]);
	signal(SIGPIPE, SIG_IGN);
	R(write(s[0], "x", 1));
	R(send(s[0], "x", 1, MSG_NOSIGNAL));
	R(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	R(write(s[0], "hello", 5));
	R(write(s[0], "x", 1));
	R(read(s[1], buf, 2));
	R(read(s[1], buf, 10));
	R(socketpair(AF_UNIX, 77, 0, s));
	R(socketpair(77, SOCK_STREAM, 0, s));
	R(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD));
	R(socketpair(AF_INET, SOCK_STREAM, 0, s));
}

CASE(pair_messages)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct sockaddr_storage a;
	socklen_t len;
	char buf[100];
	int n, s[2];

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		say("type %d", types[i]);
		R(socketpair(AF_UNIX, types[i] | SOCK_NONBLOCK, i ? 0 : AF_UNIX, s));
		R(send(s[0], "", 0, 0));
		EVENTS(s[1]);
		R(send(s[0], "hello", 5, 0));
		R(send(s[0], "world", 5, 0));
		R(ioctl(s[1], FIONREAD, &n));
		say("%d bytes", n);
		R(recv(s[1], buf, 8, MSG_PEEK));
		R(recv(s[1], buf, 8, MSG_PEEK));
		R(recv(s[1], buf, 2, i ? MSG_TRUNC : 0));
		R(recv(s[1], buf, 2, i ? MSG_TRUNC : 0));
		R(recv(s[1], buf, 100, MSG_WAITALL));
		R(recv(s[1], buf, 100, 0));
		R(recv(s[1], buf, 0, 0));
		len = sizeof(a);
		R(getsockname(s[0], (struct sockaddr *)&a, &len));
		say("family %d, %d bytes", a.ss_family, (int)len);
		len = sizeof(a);
		R(getpeername(s[0], (struct sockaddr *)&a, &len));
		say("family %d, %d bytes", a.ss_family, (int)len);
		R(send(s[0], "x", 1, 0));
		R(shutdown(s[0], SHUT_WR));
		EVENTS(s[0]);
		EVENTS(s[1]);
		R(send(s[0], "x", 1, 0));
		R(recv(s[1], buf, 10, 0));
		R(recv(s[1], buf, 10, 0));
		R(shutdown(s[0], SHUT_RD));
		EVENTS(s[0]);
		EVENTS(s[1]);
		R(send(s[1], "x", 1, 0));
		R(recv(s[0], buf, 10, 0));
		R(close(s[1]));
		EVENTS(s[0]);
		R(send(s[0], "x", 1, 0));
		R(recv(s[0], buf, 10, 0));
		R(close(s[0]));
	}
}

CASE(pair_ends)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct timeval t = { 0, 20000 };
	struct stat st;
	char buf[100];
	int n, s[2];
	socklen_t len;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		say("type %d", types[i]);
		R(socketpair(AF_UNIX, types[i], 0, s));
		R(send(s[0], "unread", 6, 0));
		R(send(s[1], "to be read", 10, 0));
		R(close(s[1]));
		EVENTS(s[0]);
		R(recv(s[0], buf, 4, 0));
		R(recv(s[0], buf, 100, MSG_DONTWAIT));
		R(recv(s[0], buf, 100, MSG_DONTWAIT));
		R(recv(s[0], buf, 100, MSG_DONTWAIT));
		R(send(s[0], "x", 1, 0));
		R(send(s[0], "x", 1, 0));
		len = sizeof(n);
		R(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &n, &len));
		say("%d", n);
		R(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &n, &len));
		say("%d", n);
		R(getsockopt(s[0], SOL_SOCKET, SO_ACCEPTCONN, &n, &len));
		say("%d", n);
		R(getsockopt(s[0], IPPROTO_TCP, 1, &n, &len));
		R(setsockopt(s[0], IPPROTO_IP, 2, &n, sizeof(n)));
		R(fstat(s[0], &st));
		say("mode %o, size %d", st.st_mode, (int)st.st_size);
		R(close(s[0]));
		R(socketpair(AF_UNIX, types[i], 0, s));
		R(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
		R(recv(s[0], buf, 1, 0));
		R(listen(s[0], 1) < 0);
		R(accept(s[0], NULL, NULL) < 0);
		R(send(s[0], BAD, 5, 0));
		R(send(s[0], "hello", 5, 0));
		R(recv(s[1], BAD, 5, 0));
		R(recv(s[1], buf, 5, MSG_DONTWAIT));
	}
}

CASE(sleeps)
{
	struct timespec t = { 0, 20000000 }, bad = { 0, 1000000000 }, negative = { -1, 0 }, rest;
	int64_t begin = now_ns(CLOCK_MONOTONIC);

	R(nanosleep(&t, NULL));
	Q(now_ns(CLOCK_MONOTONIC) - begin >= 20000000);
	R(nanosleep(&bad, NULL));
	R(nanosleep(&negative, NULL));
	R(nanosleep(BAD, NULL));
	R(nanosleep(&(struct timespec){ 0, 0 }, BAD));
	begin = now_ns(CLOCK_MONOTONIC);
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += 20000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	R(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	Q(now_ns(CLOCK_MONOTONIC) - begin >= 20000000);
	R(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	clock_gettime(CLOCK_REALTIME, &t);
	R(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL));
	t = (struct timespec){ 0, 1000 };
	R(syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &t, NULL));
	R(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
	R(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &t, NULL));
	R(syscall(SYS_clock_nanosleep, 77, 0, &t, NULL));
	R(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &bad, NULL));
	R(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, BAD, NULL));
	R(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 8, &t, &rest));
}
