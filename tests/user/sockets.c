/* SPDX-License-Identifier: MIT */
/* TCP sockets over loop-back: what each call says in each state, readiness, hostile arguments, and that whoever waits in
 * one can be interrupted and killed. */
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"
#include "tests/user/inet.h"

static int stream(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(s >= 0);
	return s;
}

static int listener(void)
{
	int l = stream();

	CHECK(bind_to(l, at(INADDR_LOOPBACK, 0)) == 0 && listen(l, 8) == 0);
	return l;
}

/* A port that nobody listens on. */
static struct sockaddr_in nobody(void)
{
	int l = listener();
	struct sockaddr_in a = name_of(l);

	CHECK(close(l) == 0);
	return a;
}

static void pair(int *a, int *b)
{
	int l = listener();

	*a = stream();
	CHECK(connect_to(*a, name_of(l)) == 0);
	*b = accept(l, NULL, NULL);
	CHECK(*b >= 0 && close(l) == 0);
}

static void nonblocking(int s)
{
	CHECK(fcntl(s, F_SETFL, O_NONBLOCK) == 0);
}

static int option(int s, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	CHECK(getsockopt(s, level, name, &value, &len) == 0 && len == sizeof(value));
	return value;
}

static void set(int s, int level, int name, int value)
{
	CHECK(setsockopt(s, level, name, &value, sizeof(value)) == 0);
}

/* Close with a reset. */
static void reset(int s)
{
	struct linger l = { 1, 0 };

	CHECK(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0 && close(s) == 0);
}

/* --- making and naming --------------------------------------------------------------------------------------------- */

static void making(void)
{
	struct stat st;
	int s;

	CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 0), EAFNOSUPPORT);
	CHECK_ERRNO(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, 11, 0), EINVAL);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM | 0x100, 0), EINVAL);
	CHECK_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, -1), EINVAL);
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	CHECK(s >= 0 && fcntl(s, F_GETFD) == FD_CLOEXEC &&
	      fcntl(s, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(fstat(s, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino);
	CHECK_ERRNO(lseek(s, 0, SEEK_CUR), ESPIPE);
	CHECK_ERRNO(pread(s, &st, 1, 0), ESPIPE);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, s, 0) == MAP_FAILED && errno == ENODEV);
	CHECK_ERRNO(ioctl(s, TCGETS, &st), ENOTTY);
	CHECK(close(s) == 0);
}

/* What is no socket, and what is no descriptor. */
static void not_sockets(void)
{
	struct sockaddr_in a = at(INADDR_LOOPBACK, 0);
	struct sockaddr *sa = (struct sockaddr *)&a;
	struct msghdr m = { 0 };
	int p[2], value = 1;
	socklen_t len = sizeof(value);
	char c;

	CHECK(pipe(p) == 0);
	for (int i = 0; i < 2; i++) {
		int fd = i ? 777 : p[0], want = i ? EBADF : ENOTSOCK;

		CHECK_ERRNO(bind(fd, sa, sizeof(a)), want);
		CHECK_ERRNO(listen(fd, 1), want);
		CHECK_ERRNO(accept(fd, NULL, NULL), want);
		CHECK_ERRNO(connect(fd, sa, sizeof(a)), want);
		CHECK_ERRNO(getsockname(fd, sa, &len), want);
		CHECK_ERRNO(getpeername(fd, sa, &len), want);
		CHECK_ERRNO(shutdown(fd, SHUT_RD), want);
		CHECK_ERRNO(send(fd, &c, 1, 0), want);
		CHECK_ERRNO(recv(fd, &c, 1, 0), want);
		CHECK_ERRNO(sendmsg(fd, &m, 0), want);
		CHECK_ERRNO(recvmsg(fd, &m, 0), want);
		CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, len), want);
		CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &len), want);
	}
	CHECK(close(p[0]) == 0 && close(p[1]) == 0);
}

static void naming(void)
{
	int a = stream(), b = stream();
	struct sockaddr_in n = name_of(a), full = at(INADDR_LOOPBACK, 0), wrong = full;
	struct sockaddr *sa = (struct sockaddr *)&full;
	socklen_t len;
	char small[4] = { 0 };

	CHECK(n.sin_family == AF_INET && n.sin_port == 0 && n.sin_addr.s_addr == 0);
	len = sizeof(n);
	CHECK_ERRNO(getpeername(a, (struct sockaddr *)&n, &len), ENOTCONN);
	CHECK_ERRNO(bind(a, BAD, 16), EFAULT);
	CHECK_ERRNO(bind(a, sa, 15), EINVAL);
	CHECK_ERRNO(bind(a, sa, (socklen_t)-1), EINVAL);
	CHECK_ERRNO(bind(a, sa, 129), EINVAL);
	wrong.sin_family = AF_INET6;
	CHECK_ERRNO(bind_to(a, wrong), EAFNOSUPPORT);
	CHECK_ERRNO(bind_to(a, at(0xc0000201, 0)), EADDRNOTAVAIL);
	CHECK(bind_to(a, full) == 0);
	n = name_of(a);
	CHECK(n.sin_port && n.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	CHECK_ERRNO(bind_to(a, full), EINVAL);
	CHECK_ERRNO(bind_to(b, n), EADDRINUSE);
	CHECK_ERRNO(bind_to(b, at(INADDR_ANY, ntohs(n.sin_port))), EADDRINUSE);
	/* the port of a listener is its own, whoever says SO_REUSEADDR */
	set(b, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_ERRNO(bind_to(b, at(INADDR_ANY, 22)), EADDRINUSE);
	CHECK_ERRNO(bind_to(b, n), EADDRINUSE);
	set(a, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK(bind_to(b, n) == 0 && listen(a, 1) == 0);
	CHECK_ERRNO(listen(b, 1), EADDRINUSE);
	len = sizeof(small);
	CHECK(getsockname(a, (struct sockaddr *)small, &len) == 0 && len == 16 &&
	      small[0] == AF_INET);
	CHECK_ERRNO(getsockname(a, BAD, &len), EFAULT);
	CHECK_ERRNO(getsockname(a, sa, BAD), EFAULT);
	len = (socklen_t)-1;
	CHECK_ERRNO(getsockname(a, sa, &len), EINVAL);
	CHECK(close(a) == 0 && close(b) == 0);
}

static void low_ports(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		CHECK(setuid(1000) == 0);
		CHECK_ERRNO(bind_to(stream(), at(INADDR_ANY, 80)), EACCES);
		CHECK(bind_to(stream(), at(INADDR_ANY, 0)) == 0);
		exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* --- connecting ------------------------------------------------------------------------------------------------------ */

static void connecting(void)
{
	struct sockaddr_in none = nobody(), a;
	struct sockaddr *sa = (struct sockaddr *)&none;
	int l = listener(), s = stream(), b;
	socklen_t len = sizeof(a);
	struct pollfd p;

	CHECK_ERRNO(connect(s, sa, 1), EINVAL);
	CHECK_ERRNO(connect(s, sa, 15), EINVAL);
	CHECK_ERRNO(connect(s, BAD, 16), EFAULT);
	a = none;
	a.sin_family = 99;
	CHECK_ERRNO(connect_to(s, a), EAFNOSUPPORT);
	CHECK_ERRNO(connect_to(s, at(0xffffffff, 80)), ENETUNREACH);
	CHECK_ERRNO(connect_to(s, at(0xe0000001, 80)), ENETUNREACH);
	/* refused, and the same socket tries again */
	CHECK_ERRNO(connect_to(s, none), ECONNREFUSED);
	CHECK(events_of(s) == (POLLOUT | POLLHUP) && option(s, SOL_SOCKET, SO_ERROR) == 0);
	CHECK(connect_to(s, name_of(l)) == 0 && events_of(s) == POLLOUT);
	CHECK_ERRNO(connect_to(s, name_of(l)), EISCONN);
	CHECK_ERRNO(listen(s, 1), EINVAL);
	CHECK_ERRNO(connect_to(l, none), EISCONN);
	b = accept4(l, (struct sockaddr *)&a, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK(b >= 0 && len == 16 && a.sin_port == name_of(s).sin_port);
	CHECK(fcntl(b, F_GETFD) == FD_CLOEXEC && (fcntl(b, F_GETFL) & O_NONBLOCK));
	len = sizeof(a);
	CHECK(getpeername(s, (struct sockaddr *)&a, &len) == 0 &&
	      a.sin_port == name_of(l).sin_port);
	CHECK(close(s) == 0 && close(b) == 0);
	/* without waiting: refused */
	s = stream();
	nonblocking(s);
	CHECK_ERRNO(connect_to(s, none), EINPROGRESS);
	p = (struct pollfd){ s, POLLOUT, 0 };
	CHECK(poll(&p, 1, -1) == 1 && p.revents == (POLLOUT | POLLERR | POLLHUP));
	CHECK(option(s, SOL_SOCKET, SO_ERROR) == ECONNREFUSED &&
	      option(s, SOL_SOCKET, SO_ERROR) == 0);
	CHECK_ERRNO(connect_to(s, name_of(l)), ECONNABORTED);
	/* and made */
	CHECK_ERRNO(connect_to(s, name_of(l)), EINPROGRESS);
	CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLOUT && option(s, SOL_SOCKET, SO_ERROR) == 0);
	CHECK(connect_to(s, name_of(l)) == 0);
	CHECK_ERRNO(connect_to(s, name_of(l)), EISCONN);
	CHECK(close(s) == 0);
	/* 0.0.0.0 is this machine */
	s = stream();
	CHECK(connect_to(s, at(INADDR_ANY, ntohs(name_of(l).sin_port))) == 0);
	CHECK(close(s) == 0 && close(l) == 0);
}

/* Under way for as long as the test looks: nobody has this address. */
static void black_hole(void)
{
	struct sockaddr_in hole = at(0x0a000263, 80);
	struct timeval t = { 0, 20000 };
	int s = stream();

	nonblocking(s);
	CHECK_ERRNO(connect_to(s, hole), EINPROGRESS);
	CHECK_ERRNO(connect_to(s, hole), EALREADY);
	CHECK(events_of(s) == 0);
	CHECK_ERRNO(send(s, "x", 1, 0), EAGAIN);
	CHECK_ERRNO(recv(s, &t, 1, 0), EAGAIN);
	CHECK_ERRNO(getpeername(s, (struct sockaddr *)&hole, &(socklen_t){ 16 }), ENOTCONN);
	CHECK(name_of(s).sin_port);
	CHECK(close(s) == 0);
	s = stream();
	CHECK(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) == 0);
	CHECK_ERRNO(connect_to(s, hole), EINPROGRESS);
	CHECK_ERRNO(connect_to(s, hole), EALREADY);
	CHECK(shutdown(s, SHUT_RDWR) == 0);
	CHECK(close(s) == 0);
}

static void accepting(void)
{
	int l = stream(), s;
	struct timeval t = { 0, 1000 };
	socklen_t len = 16;
	char buf[16];

	CHECK_ERRNO(accept(l, NULL, NULL), EINVAL);
	CHECK(events_of(l) == (POLLOUT | POLLHUP));
	/* an address of its own if it has none */
	CHECK(listen(l, -1) == 0 && name_of(l).sin_port && events_of(l) == 0);
	CHECK(option(l, SOL_SOCKET, SO_ACCEPTCONN) == 1);
	CHECK_ERRNO(ioctl(l, FIONREAD, &s), EINVAL);
	CHECK_ERRNO(recv(l, buf, 1, 0), ENOTCONN);
	CHECK_ERRNO(recv(l, buf, 1, MSG_PEEK | MSG_WAITALL), ENOTCONN);
	CHECK_ERRNO(send(l, buf, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(syscall(SYS_accept4, l, NULL, NULL, 1), EINVAL);
	CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
	nonblocking(l);
	CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
	s = stream();
	CHECK(connect_to(s, name_of(l)) == 0 && events_of(l) == POLLIN);
	CHECK_ERRNO(accept(l, BAD, &len), EFAULT);
	CHECK(events_of(l) == 0 && close(s) == 0);
	/* one that breaks while it waits is given out, broken */
	s = stream();
	CHECK(connect_to(s, name_of(l)) == 0);
	reset(s);
	s = accept(l, NULL, NULL);
	CHECK(s >= 0);
	CHECK_ERRNO(recv(s, buf, 1, 0), ECONNRESET);
	CHECK(close(s) == 0);
	CHECK(shutdown(l, SHUT_RDWR) == 0);
	CHECK_ERRNO(accept(l, NULL, NULL), EINVAL);
	CHECK(listen(l, 1) == 0 && close(l) == 0);
}

/* Who has no number for a connection is told so, whether one waits or not, and it is there for who has. */
static void no_numbers(void)
{
	int l = listener(), a = stream(), b;
	struct rlimit old, few;

	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	few = (struct rlimit){ (rlim_t)a + 1, old.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHECK_ERRNO(accept(l, NULL, NULL), EMFILE);
	CHECK(connect_to(a, name_of(l)) == 0 && events_of(l) == POLLIN);
	for (int i = 0; i < 3; i++)
		CHECK_ERRNO(accept(l, NULL, NULL), EMFILE);
	CHECK(events_of(l) == POLLIN && events_of(a) == POLLOUT);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	b = accept(l, NULL, NULL);
	CHECK(b == a + 1 && send(b, "x", 1, 0) == 1 && recv(a, &old, 1, 0) == 1);
	CHECK(close(a) == 0 && close(b) == 0 && close(l) == 0);
}

/* The number that accept will give is nobody's while it waits. */
struct accepting {
	int listener;
	pid_t tid;
	sem_t begun;
};

static void *accepts(void *arg)
{
	struct accepting *a = arg;

	a->tid = (pid_t)syscall(SYS_gettid);
	CHECK(sem_post(&a->begun) == 0);
	return (void *)(long)accept(a->listener, NULL, NULL);
}

static void numbers_kept(void)
{
	int l = listener(), a = stream(), status;
	struct accepting by = { .listener = l };
	char state[40];
	pid_t watcher;
	pthread_t t;
	void *got;

	CHECK(sem_init(&by.begun, 0, 0) == 0 && pthread_create(&t, NULL, accepts, &by) == 0);
	CHECK(sem_wait(&by.begun) == 0);
	/* another process looks: a file opened here would have the lowest number while accept wants it */
	snprintf(state, sizeof(state), "/proc/%d/task/%%d/stat", getpid());
	watcher = fork();
	CHECK(watcher >= 0);
	if (watcher == 0)
		_exit(!until_asleep_in(state, by.tid));
	CHECK(waitpid(watcher, &status, 0) == watcher && status == 0);
	/* not by the C library, which tries again and again */
	CHECK_ERRNO(syscall(SYS_dup3, l, a + 1, 0), EBUSY);
	CHECK_ERRNO(fcntl(a + 1, F_GETFD), EBADF);
	CHECK_ERRNO(close(a + 1), EBADF);
	CHECK(connect_to(a, name_of(l)) == 0 && pthread_join(t, &got) == 0 && (long)got == a + 1);
	CHECK(close(a + 1) == 0 && close(a) == 0 && close(l) == 0);
}

/* --- bytes ----------------------------------------------------------------------------------------------------------- */

static void transfers(void)
{
	struct iovec out[3] = { { (void *)"ab", 2 }, { NULL, 0 }, { (void *)"cde", 3 } }, in[2];
	struct msghdr m = { .msg_iov = out, .msg_iovlen = 3 };
	char buf[64], two[2], rest[8];
	int a, b, n;
	socklen_t len;

	pair(&a, &b);
	CHECK(events_of(b) == POLLOUT);
	CHECK_ERRNO(recv(b, buf, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(send(a, "hello", 5, 0) == 5);
	CHECK(events_of(b) == (POLLIN | POLLOUT) && ioctl(b, FIONREAD, &n) == 0 && n == 5);
	CHECK_ERRNO(ioctl(b, FIONREAD, BAD), EFAULT);
	CHECK(recv(b, buf, sizeof(buf), MSG_PEEK) == 5 && memcmp(buf, "hello", 5) == 0);
	CHECK(recv(b, buf, 2, MSG_PEEK | MSG_TRUNC) == 2);
	CHECK(recv(b, buf, 2, MSG_TRUNC) == 2);
	CHECK_ERRNO(recv(b, BAD, 2, 0), EFAULT);
	CHECK_ERRNO(recv(b, BAD, 2, MSG_PEEK), EFAULT);
	CHECK(recv(b, buf, sizeof(buf), MSG_WAITALL | MSG_DONTWAIT) == 3 &&
	      memcmp(buf, "llo", 3) == 0);
	CHECK(sendmsg(a, &m, 0) == 5);
	in[0] = (struct iovec){ two, 2 };
	in[1] = (struct iovec){ rest, 8 };
	len = sizeof(buf);
	m = (struct msghdr){ .msg_iov = in,
			     .msg_iovlen = 2,
			     .msg_name = buf,
			     .msg_namelen = len,
			     .msg_control = buf,
			     .msg_controllen = 8,
			     .msg_flags = -1 };
	CHECK(recvmsg(b, &m, 0) == 5 && memcmp(two, "ab", 2) == 0 && memcmp(rest, "cde", 3) == 0);
	CHECK(m.msg_namelen == 0 && m.msg_controllen == 0 && m.msg_flags == 0);
	CHECK(writev(b, out, 3) == 5 && readv(a, in, 2) == 5 && memcmp(rest, "cde", 3) == 0);
	/* an address on a connection means nothing, and none comes back */
	CHECK(sendto(a, "x", 1, 0, (struct sockaddr *)&(struct sockaddr_in){ 0 }, 16) == 1);
	CHECK(recvfrom(b, buf, 4, 0, (struct sockaddr *)rest, &len) == 1 && len == 0);
	CHECK(send(a, buf, 0, 0) == 0 && read(b, buf, 0) == 0);
	/* what is not there is refused */
	CHECK_ERRNO(send(a, "x", 1, MSG_OOB), EOPNOTSUPP);
	CHECK_ERRNO(recv(a, buf, 1, MSG_OOB), EINVAL);
	CHECK_ERRNO(recv(a, buf, 1, MSG_ERRQUEUE), EAGAIN);
	CHECK_ERRNO(send(a, "x", 1, MSG_FASTOPEN), EOPNOTSUPP);
	m = (struct msghdr){
		.msg_iov = out, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = 16
	};
	CHECK_ERRNO(sendmsg(a, &m, 0), EOPNOTSUPP);
	CHECK(close(a) == 0 && close(b) == 0);
}

static void bad_messages(void)
{
	struct iovec low = { BAD, 4 }, minus = { (void *)"x", (size_t)-1 };
	struct msghdr m = { .msg_iov = &low, .msg_iovlen = 1 };
	char c;
	int a, b;

	pair(&a, &b);
	CHECK(send(b, "y", 1, 0) == 1);
	/* not by the C library, which looks into the header */
	CHECK_ERRNO(syscall(SYS_sendmsg, a, BAD, 0), EFAULT);
	CHECK_ERRNO(syscall(SYS_recvmsg, a, BAD, 0), EFAULT);
	CHECK_ERRNO(sendmsg(a, &m, 0), EFAULT);
	CHECK_ERRNO(recvmsg(a, &m, 0), EFAULT);
	m.msg_iov = &minus;
	CHECK_ERRNO(sendmsg(a, &m, 0), EINVAL);
	m.msg_iov = BAD;
	CHECK_ERRNO(sendmsg(a, &m, 0), EFAULT);
	m.msg_iovlen = 1025;
	CHECK_ERRNO(sendmsg(a, &m, 0), EMSGSIZE);
	CHECK_ERRNO(recvmsg(a, &m, 0), EMSGSIZE);
	m = (struct msghdr){ .msg_name = &c, .msg_namelen = (socklen_t)-1 };
	CHECK_ERRNO(syscall(SYS_sendmsg, a, &m, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_recvmsg, a, &m, 0), EINVAL);
	m = (struct msghdr){ .msg_name = BAD, .msg_namelen = 16 };
	CHECK_ERRNO(sendmsg(a, &m, 0), EFAULT);
	CHECK_ERRNO(send(a, BAD, 4, 0), EFAULT);
	CHECK_ERRNO(send(a, (void *)-1L, 4, 0), EFAULT);
	CHECK_ERRNO(sendto(a, &c, 1, 0, BAD, 16), EFAULT);
	CHECK_ERRNO(sendto(a, &c, 1, 0, (void *)&c, 200), EINVAL);
	/* nothing of all that has gone, and the byte is still there */
	CHECK_ERRNO(recv(b, &c, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(recv(a, &c, 1, 0) == 1 && c == 'y');
	CHECK(close(a) == 0 && close(b) == 0);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	pipes++;
}

static void endings(void)
{
	struct sigaction sa = { .sa_handler = on_pipe };
	char buf[8];
	int a, b;

	CHECK(sigaction(SIGPIPE, &sa, NULL) == 0);
	pair(&a, &b);
	CHECK(send(a, "end", 3, 0) == 3 && shutdown(a, SHUT_WR) == 0);
	CHECK(events_of(a) == POLLOUT);
	CHECK(events_of(b) == (POLLIN | POLLOUT | POLLRDHUP));
	CHECK(recv(b, buf, 8, MSG_WAITALL) == 3 && recv(b, buf, 8, 0) == 0 && read(b, buf, 8) == 0);
	CHECK_ERRNO(send(a, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(pipes == 0);
	CHECK_ERRNO(send(a, "x", 1, 0), EPIPE);
	CHECK(pipes == 1);
	CHECK_ERRNO(write(a, "x", 1), EPIPE);
	CHECK(pipes == 2);
	/* the other half still works */
	CHECK(send(b, "back", 4, 0) == 4 && recv(a, buf, 8, 0) == 4);
	CHECK(shutdown(b, SHUT_WR) == 0);
	CHECK(AWAIT(events_of(b) & POLLHUP));
	CHECK_ERRNO(shutdown(a, 3), EINVAL);
	CHECK(close(a) == 0 && close(b) == 0);
	/* read no more: what is queued, then the end */
	pair(&a, &b);
	CHECK(send(b, "q", 1, 0) == 1 && shutdown(a, SHUT_RD) == 0);
	CHECK(events_of(a) == (POLLIN | POLLOUT | POLLRDHUP));
	CHECK(recv(a, buf, 8, 0) == 1 && recv(a, buf, 8, 0) == 0);
	CHECK(close(a) == 0 && close(b) == 0);
	a = stream();
	CHECK_ERRNO(recv(a, buf, 1, 0), ENOTCONN);
	CHECK_ERRNO(shutdown(a, SHUT_RDWR), ENOTCONN);
	CHECK(recv(a, buf, 1, 0) == 0);
	CHECK_ERRNO(send(a, buf, 1, MSG_NOSIGNAL), EPIPE);
	CHECK(close(a) == 0 && signal(SIGPIPE, SIG_DFL) != SIG_ERR);
}

/* Packets that came by the loop-back, as /proc/net/dev says. */
static unsigned long looped(void)
{
	char text[2048], *at;
	int f = open("/proc/net/dev", O_RDONLY);
	ssize_t n = read(f, text, sizeof(text) - 1);

	CHECK(n > 0 && close(f) == 0);
	text[n] = '\0';
	at = strstr(text, "lo:");
	CHECK(at);
	at = strchr(at, ':') + 1;
	(void)strtoul(at, &at, 10);
	return strtoul(at, &at, 10);
}

/* One byte read leaves nothing unread, though the stack hears of it late. */
static void lone_bytes(void)
{
	unsigned long before = looped();
	char c;
	int a, b;

	for (int i = 0; i < 20; i++) {
		pair(&a, &b);
		CHECK(write(a, "x", 1) == 1 && read(b, &c, 1) == 1 && c == 'x');
		if (i % 2)
			CHECK(write(b, "y", 1) == 1 && read(a, &c, 1) == 1 && c == 'y');
		CHECK(close(b) == 0);
		CHECK(read(a, &c, 1) == 0);
		CHECK(close(a) == 0);
	}
	CHECK(looped() >= before + 20 * 6);
}

static void resets(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int a, b, ep = epoll_create1(0);
	char c;

	pair(&a, &b);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, a, &ev) == 0 && epoll_wait(ep, &ev, 1, 0) == 0);
	CHECK(send(b, "z", 1, 0) == 1 && epoll_wait(ep, &ev, 1, -1) == 1 && ev.events == EPOLLIN);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
	reset(b);
	CHECK(epoll_wait(ep, &ev, 1, -1) == 1 && ev.events == (EPOLLIN | EPOLLERR | EPOLLHUP));
	CHECK(events_of(a) == (POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP));
	CHECK(recv(a, &c, 1, 0) == 1);
	CHECK_ERRNO(recv(a, &c, 1, 0), ECONNRESET);
	CHECK(recv(a, &c, 1, 0) == 0);
	CHECK_ERRNO(send(a, &c, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(getpeername(a, (void *)&ev, &(socklen_t){ 12 }), ENOTCONN);
	CHECK(close(a) == 0);
	/* unread bytes are lost to the sender: it is told */
	pair(&a, &b);
	CHECK(send(a, "lost", 4, 0) == 4 && close(b) == 0);
	CHECK_ERRNO(recv(a, &c, 1, 0), ECONNRESET);
	CHECK(close(a) == 0 && close(ep) == 0);
}

/* A writer whose reader does not read holds a bounded number of bytes, and all of them come in the end. */
static void back_pressure(int size)
{
	static unsigned char buf[65536];
	size_t sent = 0, got = 0;
	int a, b;

	pair(&a, &b);
	nonblocking(a);
	if (size) {
		set(a, SOL_SOCKET, SO_SNDBUF, size);
		set(b, SOL_SOCKET, SO_RCVBUF, size);
		CHECK(option(a, SOL_SOCKET, SO_SNDBUF) == 2 * size);
	}
	for (;;) {
		ssize_t n;

		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (unsigned char)((sent + i) % 251);
		n = send(a, buf, sizeof(buf), 0);
		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { a, POLLOUT, 0 };

			/* until nothing is under way either: a second of the peer's not taking any */
			if (poll(&p, 1, 1000) == 0)
				break;
			continue;
		}
		CHECK(n > 0);
		sent += (size_t)n;
	}
	CHECK(sent >= 4096 && sent <= 1 << 20);
	CHECK(shutdown(a, SHUT_WR) == 0);
	while (got < sent) {
		ssize_t n = recv(b, buf, sizeof(buf), 0);

		CHECK(n > 0);
		for (ssize_t i = 0; i < n; i++)
			CHECK(buf[i] == (got + (size_t)i) % 251);
		got += (size_t)n;
	}
	CHECK(recv(b, buf, 1, 0) == 0 && close(a) == 0 && close(b) == 0);
}

/* A buffer smaller than the segments of the loop-back: what is sent is cut to it, whether it was small from the beginning
 * or became so. */
static void small_buffer_of(int size)
{
	static unsigned char buf[262144], got[sizeof(buf)];
	size_t sent, had;
	int a, b;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i * 7 + i / 251);
	for (int late = 0; late < 2; late++) {
		int l = listener();

		if (!late)
			set(l, SOL_SOCKET, SO_RCVBUF, size);
		a = stream();
		CHECK(connect_to(a, name_of(l)) == 0);
		b = accept(l, NULL, NULL);
		CHECK(b >= 0 && close(l) == 0);
		nonblocking(a);
		nonblocking(b);
		for (sent = had = 0; had < sizeof(buf);) {
			struct pollfd p = { b, POLLIN, 0 };
			ssize_t n = send(a, buf + sent, sizeof(buf) - sent, 0);

			sent += n > 0 ? (size_t)n : 0;
			if (late && had == 0)
				set(b, SOL_SOCKET, SO_RCVBUF, size);
			CHECK(poll(&p, 1, -1) == 1);
			n = recv(b, got + had, sizeof(got) - had, 0);
			CHECK(n > 0);
			had += (size_t)n;
		}
		CHECK(memcmp(buf, got, sizeof(buf)) == 0);
		CHECK(close(a) == 0 && close(b) == 0);
	}
}

static void small_buffers(void)
{
	for (int size = 1024; size <= 65536; size *= 4)
		small_buffer_of(size);
}

/* I-SOCK-4: very many whose peers do not read hold a part of memory between them, and the least share of each; and each
 * still takes some bytes. */
static void bounded(void)
{
	enum { N = 150, LEAST = 4096 };
	static char buf[65536];
	static int a[N], b[N];
	struct sysinfo info;
	size_t total = 0, most;

	for (int i = 0; i < N; i++) {
		pair(&a[i], &b[i]);
		nonblocking(a[i]);
	}
	for (int i = 0; i < N; i++) {
		size_t before = total;
		ssize_t n;

		while ((n = send(a[i], buf, sizeof(buf), 0)) > 0)
			total += (size_t)n;
		CHECK(errno == EAGAIN && total > before);
	}
	CHECK(sysinfo(&info) == 0);
	most = info.totalram / 32;
	CHECK(total < most + (most > 2 * N * LEAST ? most : 2 * N * LEAST));
	for (int i = 0; i < N; i++)
		CHECK(close(a[i]) == 0 && close(b[i]) == 0);
}

/* A user's sockets themselves are a part of memory; root still has some. */
static void counted(void)
{
	struct rlimit many = { 65536, 65536 };
	struct sysinfo info;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		unsigned long n = 0;

		CHECK(setrlimit(RLIMIT_NOFILE, &many) == 0 && setuid(1000) == 0);
		CHECK(sysinfo(&info) == 0);
		while (socket(AF_INET, SOCK_STREAM, 0) >= 0)
			n++;
		CHECK(errno == ENOMEM && n > info.totalram / 131072 && n < info.totalram / 32768);
		exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(close(stream()) == 0);
}

/* Both ends are full to the last byte and say so to each other: that ends. */
static void both_full(void)
{
	static char buf[1024];
	unsigned long before;
	int a, b;

	pair(&a, &b);
	set(a, IPPROTO_TCP, TCP_NODELAY, 1);
	set(b, IPPROTO_TCP, TCP_NODELAY, 1);
	nonblocking(a);
	nonblocking(b);
	/* more than the peer's window; what is left when it is shut probes it, and is answered */
	for (int i = 0; i < 300; i++)
		(void)!send(a, buf, sizeof(buf), 0);
	for (int i = 0; i < 300; i++)
		(void)!send(b, buf, sizeof(buf), 0);
	/* a probe of each and its answer, and what would follow */
	before = looped();
	CHECK(AWAIT(looped() >= before + 8));
	CHECK(recv(a, buf, sizeof(buf), 0) == sizeof(buf));
	CHECK(recv(b, buf, sizeof(buf), 0) == sizeof(buf));
	CHECK(close(a) == 0 && close(b) == 0);
}

/* Connections that die while they wait to be accepted are counted until they are. */
static void dead_backlog(void)
{
	int l = stream(), n = 0, s;

	CHECK(bind_to(l, at(INADDR_LOOPBACK, 0)) == 0 && listen(l, 4) == 0);
	for (int i = 0; i < 40; i++) {
		s = stream();
		nonblocking(s);
		(void)!connect_to(s, name_of(l));
		reset(s);
	}
	nonblocking(l);
	while ((s = accept(l, NULL, NULL)) >= 0) {
		n++;
		CHECK(close(s) == 0);
	}
	CHECK(errno == EAGAIN && n > 0 && n <= 5 && close(l) == 0);
}

/* /proc/net/tcp tells of a listener's peer that it has none. */
static void listeners_shown(void)
{
	char line[256], want[64];
	int l = listener(), found = 0;
	FILE *f = fopen("/proc/net/tcp", "r");

	CHECK(f);
	snprintf(want, sizeof(want), ":%04X 00000000:0000 0A", ntohs(name_of(l).sin_port));
	while (fgets(line, sizeof(line), f))
		found += strstr(line, want) != NULL;
	CHECK(found == 1 && fclose(f) == 0 && close(l) == 0);
}

static const struct linger_case {
	int seconds, bytes;
	bool reads, signalled;
	long end_by; /* the call; 0: close */
} linger_cases[] = {
	{ 1000, 400000, true, false, 0 }, /* until the reader has taken all */
	{ 1, 400000, false, false, 0 },	  /* until the time is over */
	{ 1000, 400000, false, true, 0 }, /* until a signal comes */
	{ 1000, 1000, false, false, 0 },  /* the peer has room: it acknowledges at once */
	{ 1000, 400000, false, false, SYS_exit_group }, /* a program that ends does not wait */
	{ 1000, 400000, false, false, SYS_exit }, /* nor if it is the end of its last thread */
};

static void on_usr1(int sig)
{
}

/* A child that has the only descriptor of a, and none of b, and begins when we have let go of a. */
static pid_t only_ends(int a, int b)
{
	char c;
	int p[2];
	pid_t pid;

	CHECK(pipe(p) == 0);
	pid = fork();
	if (pid)
		CHECK(pid > 0 && close(a) == 0);
	else
		CHECK(close(b) == 0 && close(p[1]) == 0 && read(p[0], &c, 1) == 0);
	CHECK(close(p[0]) == 0 && (!pid || close(p[1]) == 0));
	return pid;
}

/* SO_LINGER: close waits for what was written to be acknowledged, and says 0 however that ends. */
static void lingers(const struct linger_case *c)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	struct linger l = { 1, c->seconds };
	static char buf[400000];
	int a, b, status;
	ssize_t n, got = 0;
	pid_t pid;

	pair(&a, &b);
	CHECK(setsockopt(a, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0);
	pid = only_ends(a, b);
	if (pid == 0) {
		CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
		CHECK(send(a, buf, (size_t)c->bytes, 0) == c->bytes);
		CHECK(c->end_by || close(a) == 0);
		syscall(c->end_by ?: SYS_exit_group, 0);
	}
	if (c->reads || c->signalled)
		CHECK(until_asleep(pid) && waitpid(pid, &status, WNOHANG) == 0);
	if (c->signalled)
		CHECK(kill(pid, SIGUSR1) == 0);
	while (c->reads && (n = recv(b, buf, sizeof(buf), 0)) > 0)
		got += n;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	while ((n = recv(b, buf, sizeof(buf), 0)) > 0)
		got += n;
	/* what was not taken in time is sent all the same */
	CHECK(n == 0 && got == c->bytes && close(b) == 0);
}

static void lingering(void)
{
	for (size_t i = 0; i < sizeof(linger_cases) / sizeof(linger_cases[0]); i++)
		lingers(&linger_cases[i]);
}

static void files_to_sockets(void)
{
	int a, b, f = open("/tmp/sockets.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char buf[8];
	off_t off = 2;

	pair(&a, &b);
	CHECK(write(f, "0123456", 7) == 7 && sendfile(a, f, &off, 100) == 5 && off == 7);
	CHECK(recv(b, buf, 8, 0) == 5 && memcmp(buf, "23456", 5) == 0);
	CHECK(close(a) == 0 && close(b) == 0 && close(f) == 0 && unlink("/tmp/sockets.file") == 0);
}

/* --- options ----------------------------------------------------------------------------------------------------------- */

static void options(void)
{
	struct timeval t = { 1, 500000 }, got;
	struct linger l = { 1, 5 };
	socklen_t len = sizeof(got);
	int s = stream(), one = 1;

	CHECK(option(s, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
	CHECK(option(s, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
	CHECK(option(s, SOL_SOCKET, SO_ERROR) == 0 && option(s, SOL_SOCKET, SO_ACCEPTCONN) == 0);
	for (int i = 0; i < 2; i++) {
		static const int on_off[][2] = { { SOL_SOCKET, SO_REUSEADDR },
						 { SOL_SOCKET, SO_KEEPALIVE },
						 { SOL_SOCKET, SO_BROADCAST },
						 { IPPROTO_TCP, TCP_NODELAY } };

		for (unsigned k = 0; k < 4; k++) {
			CHECK(option(s, on_off[k][0], on_off[k][1]) == i);
			set(s, on_off[k][0], on_off[k][1], i ? 0 : 7);
		}
	}
	CHECK(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	CHECK(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &got, &len) == 0 && got.tv_sec == 1 &&
	      got.tv_usec == 500000);
	t.tv_usec = 1000000;
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)), EDOM);
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, 8), EINVAL);
	CHECK(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0);
	len = sizeof(l);
	CHECK(getsockopt(s, SOL_SOCKET, SO_LINGER, &l, &len) == 0 && l.l_onoff && l.l_linger == 5);
	/* less than no time: at once */
	t = (struct timeval){ -1, 0 };
	CHECK(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) == 0);
	len = sizeof(got);
	CHECK(getsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &got, &len) == 0 && got.tv_sec == 0 &&
	      got.tv_usec == 0);
	set(s, SOL_SOCKET, SO_RCVBUF, 1 << 30);
	CHECK(option(s, SOL_SOCKET, SO_RCVBUF) == 512 * 1024);
	set(s, SOL_SOCKET, SO_SNDBUF, 1);
	CHECK(option(s, SOL_SOCKET, SO_SNDBUF) == 4096);
	set(s, IPPROTO_IP, IP_TTL, 7);
	CHECK(option(s, IPPROTO_IP, IP_TTL) == 7);
	one = 256;
	CHECK_ERRNO(setsockopt(s, IPPROTO_IP, IP_TTL, &one, 4), EINVAL);
	one = 1;
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_ERROR, &one, 4), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, 4), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo\0", 4), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(s, IPPROTO_TCP, TCP_CORK, &one, 4), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(s, 99, 1, &one, 4), ENOPROTOOPT);
	CHECK_ERRNO(getsockopt(s, IPPROTO_TCP, TCP_INFO, &one, &len), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 3), EINVAL);
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, (socklen_t)-1), EINVAL);
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, BAD, 4), EFAULT);
	CHECK_ERRNO(getsockopt(s, SOL_SOCKET, SO_TYPE, BAD, &len), EFAULT);
	CHECK_ERRNO(getsockopt(s, SOL_SOCKET, SO_TYPE, &one, BAD), EFAULT);
	len = (socklen_t)-1;
	CHECK_ERRNO(getsockopt(s, SOL_SOCKET, SO_TYPE, &one, &len), EINVAL);
	len = 2;
	one = -1;
	CHECK(getsockopt(s, SOL_SOCKET, SO_TYPE, &one, &len) == 0 && len == 2 &&
	      (one & 0xffff) == SOCK_STREAM);
	CHECK(close(s) == 0);
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

enum call { ACCEPT, CONNECT, RECV, RECVMSG, READ, WAITALL, SEND, WRITE, POLL, CALLS };

static int wait_in(enum call call, int s)
{
	static char big[65536];
	struct iovec iov = { big, 8 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd p = { s, POLLIN, 0 };
	ssize_t n = 0;

	switch (call) {
	case ACCEPT:
		return accept(s, NULL, NULL);
	case CONNECT:
		return connect_to(s, at(0x0a000263, 81));
	case RECV:
		return (int)recv(s, big, 8, 0);
	case RECVMSG:
		return (int)recvmsg(s, &m, 0);
	case READ:
		return (int)read(s, big, 8);
	case WAITALL:
		return (int)recv(s, big, 8, MSG_WAITALL);
	case POLL:
		return poll(&p, 1, -1);
	default:
		while (n >= 0)
			n = call == SEND ? send(s, big, sizeof(big), 0)
					 : write(s, big, sizeof(big));
		return -1;
	}
}

static void on_alarm(int sig)
{
}

/* The socket that waits for ever in this call, and the other end, if there is one. */
static int socket_for(enum call call, int *other)
{
	int a;

	*other = -1;
	if (call == ACCEPT)
		return listener();
	if (call == CONNECT)
		return stream();
	pair(&a, other);
	return a;
}

/* Asleep for good, not for a moment in the middle of a full queue's emptying. */
static void until_it_waits(pid_t pid)
{
	CHECK(until_asleep(pid));
}

/* In each call a signal with a handler ends the wait, and SIGKILL ends the process. */
static void interrupted(enum call call)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int other, s = socket_for(call, &other), status;
	pid_t pid = fork();

	if (pid == 0) {
		CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
		CHECK_ERRNO(wait_in(call, s), EINTR);
		/* the second one is for a writer whose first call had taken some bytes, or none, as it happens */
		CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
		wait_in(call, s);
		exit(1);
	}
	until_it_waits(pid);
	CHECK(kill(pid, SIGUSR1) == 0);
	/* a writer that had written something says how much, and then waits again */
	until_it_waits(pid);
	if (call == SEND || call == WRITE) {
		CHECK(kill(pid, SIGUSR1) == 0);
		until_it_waits(pid);
	}
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(close(s) == 0);
	if (other >= 0)
		reset(other);
}

/* With SA_RESTART the call goes on; with a time-out it does not. */
static void restarted(void)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct timeval t = { 100, 0 };
	int a, b, status;
	pid_t pid;
	char c;

	pair(&a, &b);
	pid = fork();
	if (pid == 0) {
		CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
		CHECK(recv(a, &c, 1, 0) == 1 && c == 'r');
		CHECK(setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
		CHECK_ERRNO(recv(a, &c, 1, 0), EINTR);
		t = (struct timeval){ 0, 10000 };
		CHECK(setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
		CHECK_ERRNO(recv(a, &c, 1, 0), EAGAIN);
		exit(0);
	}
	until_it_waits(pid);
	CHECK(kill(pid, SIGUSR1) == 0);
	until_it_waits(pid);
	CHECK(send(b, "r", 1, 0) == 1);
	CHECK(AWAIT(({
		int n = 1;
		ioctl(a, FIONREAD, &n);
		n == 0;
	})));
	until_it_waits(pid);
	CHECK(kill(pid, SIGUSR1) == 0 && waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(close(a) == 0 && close(b) == 0);
}

static int shared;
static pid_t thread;

static void *in_thread(void *arg)
{
	__atomic_store_n(&thread, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	long ret = *(int *)arg == ACCEPT ? accept(shared, NULL, NULL)
					 : recv(shared, &(char){ 0 }, 1, 0);

	return (void *)(ret < 0 ? -(long)errno : ret);
}

/* A thread that waits in accept or recv. */
static pthread_t waiting(int *which)
{
	pthread_t t;

	thread = 0;
	CHECK(pthread_create(&t, NULL, in_thread, which) == 0);
	CHECK(AWAIT(__atomic_load_n(&thread, __ATOMIC_ACQUIRE)));
	CHECK(until_thread_asleep(thread));
	return t;
}

static long joined(pthread_t t)
{
	void *ret;

	CHECK(pthread_join(t, &ret) == 0);
	return (long)ret;
}

/* Another thread shuts the socket, resets it, or closes its number. */
static void under_their_feet(void)
{
	int which = ACCEPT, b;
	pthread_t t;

	shared = listener();
	t = waiting(&which);
	CHECK(shutdown(shared, SHUT_RDWR) == 0 && joined(t) == -EINVAL && close(shared) == 0);
	which = RECV;
	pair(&shared, &b);
	t = waiting(&which);
	CHECK(shutdown(shared, SHUT_RD) == 0 && joined(t) == 0);
	CHECK(close(shared) == 0 && close(b) == 0);
	pair(&shared, &b);
	t = waiting(&which);
	reset(b);
	CHECK(joined(t) == -ECONNRESET && close(shared) == 0);
	pair(&shared, &b);
	t = waiting(&which);
	CHECK(close(shared) == 0 && send(b, "x", 1, 0) == 1 && joined(t) == 1 && close(b) == 0);
}

/* --- many -------------------------------------------------------------------------------------------------------------- */

static void sequence(int n)
{
	int l = listener();
	char buf[8];

	for (int i = 0; i < n; i++) {
		int a = stream(), b;

		CHECK(connect_to(a, name_of(l)) == 0 && send(a, "ping", 4, 0) == 4);
		b = accept(l, NULL, NULL);
		CHECK(b >= 0 && recv(b, buf, 4, MSG_WAITALL) == 4 && send(b, "pong", 4, 0) == 4);
		CHECK(recv(a, buf, 4, MSG_WAITALL) == 4 && memcmp(buf, "pong", 4) == 0);
		if (i % 3 == 0)
			reset(a);
		else
			CHECK(close(a) == 0);
		CHECK(close(b) == 0);
	}
	CHECK(close(l) == 0);
}

/* More than the back-log: those beyond it ask again, and none is lost. */
static void crowd(void)
{
	enum { N = 8 };
	int l = stream(), s[N];
	struct pollfd p;

	CHECK(listen(l, 4) == 0);
	for (int i = 0; i < N; i++) {
		s[i] = stream();
		nonblocking(s[i]);
		CHECK_ERRNO(connect_to(s[i], at(INADDR_LOOPBACK, ntohs(name_of(l).sin_port))),
			    EINPROGRESS);
	}
	for (int i = 0; i < N; i++) {
		int b = accept(l, NULL, NULL);

		CHECK(b >= 0 && close(b) == 0);
	}
	for (int i = 0; i < N; i++) {
		p = (struct pollfd){ s[i], POLLIN, 0 };
		CHECK(poll(&p, 1, -1) == 1 && read(s[i], &p, 1) == 0 && close(s[i]) == 0);
	}
	CHECK(close(l) == 0);
}

/* --- several at one socket --------------------------------------------------------------------------------------------- */

static pid_t its_tid;

static void *writer(void *arg)
{
	static char buf[20000];

	its_tid = (pid_t)syscall(SYS_gettid);
	return (void *)send(*(int *)arg, buf, sizeof(buf), 0);
}

/* Room that SO_SNDBUF makes is room for who waits for it. */
static void more_room(void)
{
	static char buf[65536];
	int a, b;
	pthread_t t;

	pair(&a, &b);
	set(a, SOL_SOCKET, SO_SNDBUF, 4096);
	while (send(a, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	its_tid = 0;
	CHECK(pthread_create(&t, NULL, writer, &a) == 0);
	CHECK(AWAIT(__atomic_load_n(&its_tid, __ATOMIC_SEQ_CST)) && until_thread_asleep(its_tid));
	set(a, SOL_SOCKET, SO_SNDBUF, 1 << 20);
	CHECK(joined(t) == 20000 && close(a) == 0 && close(b) == 0);
}

static void *looks(void *arg)
{
	char c;

	for (int i = 0; i < 3000; i++)
		if (recv(*(int *)arg, &c, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
			return (void *)(long)errno;
	return NULL;
}

/* Two look at the only byte, or the only datagram: it is there for both, at all times. */
static void lookers(void)
{
	int a, b, u = socket(AF_INET, SOCK_DGRAM, 0);
	char c;

	CHECK(bind_to(u, at(INADDR_LOOPBACK, 0)) == 0 && send_to(u, "x", 1, name_of(u)) == 1);
	pair(&a, &b);
	CHECK(send(a, "x", 1, 0) == 1);
	for (int i = 0; i < 2; i++) {
		int *s = i ? &u : &b;
		pthread_t t;

		CHECK(AWAIT(events_of(*s) & POLLIN));
		CHECK(pthread_create(&t, NULL, looks, s) == 0 && looks(s) == NULL &&
		      joined(t) == 0);
		CHECK(recv(*s, &c, 1, 0) == 1 && c == 'x');
	}
	CHECK(close(a) == 0 && close(b) == 0 && close(u) == 0);
}

#define ROUNDS 100
#define MANY   65536

struct reader {
	int s;
	size_t n;
	pthread_barrier_t *begins;
};

/* Into fresh memory each time, so that a large copy takes long. */
static void *reads(void *arg)
{
	struct reader *r = arg;
	char *p = mmap(NULL, r->n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long failed = p == MAP_FAILED;

	for (int i = 0; i < ROUNDS && !failed; i++) {
		pthread_barrier_wait(r->begins);
		failed = recv(r->s, p, r->n, MSG_WAITALL) != (ssize_t)r->n ||
			 madvise(p, r->n, MADV_DONTNEED) != 0;
		/* nothing new comes before both have their bytes, which would wake them as well */
		pthread_barrier_wait(r->begins);
	}
	return (void *)failed;
}

/* One reads much, one a byte: who finds the queue in the other's hands is woken when it is put back. */
static void readers(void)
{
	static char buf[MANY + 1];
	pthread_barrier_t begins;
	struct reader r[2];
	pthread_t t[2];
	int a, b;

	pair(&a, &b);
	CHECK(pthread_barrier_init(&begins, NULL, 3) == 0);
	for (int i = 0; i < 2; i++) {
		r[i] = (struct reader){ b, i ? 1 : MANY, &begins };
		CHECK(pthread_create(&t[i], NULL, reads, &r[i]) == 0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(send(a, buf, sizeof(buf), 0) == sizeof(buf));
		pthread_barrier_wait(&begins);
		pthread_barrier_wait(&begins);
	}
	CHECK(joined(t[0]) == 0 && joined(t[1]) == 0 && close(a) == 0 && close(b) == 0);
}

static void interruptions(void)
{
	for (enum call c = 0; c < CALLS; c++)
		interrupted(c);
}

static void pressures(void)
{
	back_pressure(0);
	back_pressure(8192);
}

static void sequences(void)
{
	const char *scale = getenv("SCALE");

	sequence(200 * (scale ? atoi(scale) : 1));
}

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "making", making },
	{ "not_sockets", not_sockets },
	{ "naming", naming },
	{ "low_ports", low_ports },
	{ "connecting", connecting },
	{ "black_hole", black_hole },
	{ "accepting", accepting },
	{ "no_numbers", no_numbers },
	{ "numbers_kept", numbers_kept },
	{ "transfers", transfers },
	{ "bad_messages", bad_messages },
	{ "endings", endings },
	{ "lone_bytes", lone_bytes },
	{ "resets", resets },
	{ "pressures", pressures },
	{ "small_buffers", small_buffers },
	{ "bounded", bounded },
	{ "counted", counted },
	{ "both_full", both_full },
	{ "dead_backlog", dead_backlog },
	{ "listeners_shown", listeners_shown },
	{ "lingering", lingering },
	{ "files_to_sockets", files_to_sockets },
	{ "options", options },
	{ "interruptions", interruptions },
	{ "restarted", restarted },
	{ "under_their_feet", under_their_feet },
	{ "more_room", more_room },
	{ "lookers", lookers },
	{ "readers", readers },
	{ "sequences", sequences },
	{ "crowd", crowd },
};

/* All parts, or the one that is named. */
int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (argc < 2 || strcmp(argv[1], parts[i].name) == 0)
			parts[i].run();
	return 0;
}
