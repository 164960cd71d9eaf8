/* SPDX-License-Identifier: MIT */
/* Sockets over loop-back: results, errnos and readiness of each call in each state. */
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "tests/diff/lib/inet.h"

/* What poll says once it says all of `wanted`. */
static void say_events(int line, int fd, short wanted)
{
	struct pollfd f = { fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0 };

	AWAIT((poll(&f, 1, 0), (f.revents & wanted) == wanted));
	diff_say(line, "events:%s%s%s%s%s%s", f.revents & POLLIN ? " IN" : "",
		 f.revents & POLLOUT ? " OUT" : "", f.revents & POLLPRI ? " PRI" : "",
		 f.revents & POLLRDHUP ? " RDHUP" : "", f.revents & POLLHUP ? " HUP" : "",
		 f.revents & POLLERR ? " ERR" : "");
}
#define EVENTS(fd, wanted) say_events(__LINE__, fd, wanted)

static int listener(void)
{
	int l = socket(AF_INET, SOCK_STREAM, 0);

	bind_to(l, at(INADDR_LOOPBACK, 0));
	listen(l, 8);
	return l;
}

static struct sockaddr_in nobody(void)
{
	int l = listener();
	struct sockaddr_in a = name_of(l);

	close(l);
	return a;
}

static void pair(int *a, int *b)
{
	int l = listener();

	*a = socket(AF_INET, SOCK_STREAM, 0);
	connect_to(*a, name_of(l));
	*b = accept(l, NULL, NULL);
	close(l);
}

static int pending_error(int s)
{
	int error = -1;

	getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof(error) });
	return error;
}

static void reset(int s)
{
	struct linger l = { 1, 0 };

	setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(s);
}

CASE(kinds)
{
	R(socket(-1, SOCK_STREAM, 0));
	R(socket(99, SOCK_STREAM, 0));
	R(socket(AF_INET, 0, 0));
	R(socket(AF_INET, 11, 0));
	R(socket(AF_INET, SOCK_STREAM | 0x100, 0));
	R(socket(AF_INET, SOCK_SEQPACKET, 0));
	R(socket(AF_INET, SOCK_RDM, 0));
	R(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	R(socket(AF_INET, SOCK_STREAM, -1));
	R(socket(AF_INET, SOCK_STREAM, 1000));
	R(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
}

CASE(fresh)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	char c;

	signal(SIGPIPE, SIG_IGN);
	EVENTS(s, 0);
	R(recv(s, &c, 1, 0));
	R(recv(s, &c, 1, MSG_DONTWAIT));
	R(read(s, &c, 1));
	R(send(s, &c, 1, 0));
	R(write(s, &c, 1));
	R(accept(s, NULL, NULL));
	R(getpeername(s, (struct sockaddr *)&a, &len));
	R(getsockname(s, (struct sockaddr *)&a, &len));
	Q(a.sin_family == AF_INET && a.sin_port == 0 && a.sin_addr.s_addr == 0);
	R(shutdown(s, SHUT_RDWR));
	R(shutdown(s, 3));
	R(lseek(s, 0, SEEK_CUR));
	R(fsync(s));
	R(ftruncate(s, 0));
	R(pending_error(s));
	R(fcntl(s, F_GETFL));
}

CASE(binding)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in a = at(INADDR_LOOPBACK, 0);

	R(bind(s, (struct sockaddr *)&a, 15));
	R(bind(s, (struct sockaddr *)&a, 1));
	R(bind(s, (struct sockaddr *)&a, -1));
	R(bind(s, (struct sockaddr *)&a, 129));
	R(bind_to(s, at(0xc0000201, 0)));
	a.sin_family = 77;
	R(bind_to(s, a));
	R(bind_to(s, at(INADDR_LOOPBACK, 0)));
	R(bind_to(s, at(INADDR_LOOPBACK, 0)));
	R(bind_to(t, name_of(s)));
	R(bind_to(t, at(INADDR_ANY, ntohs(name_of(s).sin_port))));
	R(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 4));
	R(setsockopt(t, SOL_SOCKET, SO_REUSEADDR, &one, 4));
	R(bind_to(t, name_of(s)));
	R(listen(s, 1));
	R(listen(t, 1));
	R(listen(s, 0));
	R(listen(s, -5));
}

CASE(refused)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), l = listener();
	struct sockaddr_in none = nobody();
	char c;

	R(connect_to(s, none));
	EVENTS(s, 0);
	R(pending_error(s));
	R(recv(s, &c, 1, 0));
	R(connect_to(s, name_of(l)));
	EVENTS(s, POLLOUT);
	R(connect_to(s, name_of(l)));
	R(listen(s, 1));
	R(connect_to(l, none));
}

CASE(refused_without_waiting)
{
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), l = listener();
	struct sockaddr_in none = nobody();

	R(connect_to(s, none));
	EVENTS(s, POLLERR);
	R(connect_to(s, none));
	R(connect_to(s, none));
	EVENTS(s, POLLERR);
	R(pending_error(s));
	R(pending_error(s));
	EVENTS(s, 0);
	R(connect_to(s, name_of(l)));
	R(connect_to(s, name_of(l)));
	EVENTS(s, POLLOUT);
	R(pending_error(s));
	R(connect_to(s, name_of(l)));
	R(connect_to(s, name_of(l)));
}

CASE(refused_and_read)
{
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	char c;

	R(connect_to(s, nobody()));
	EVENTS(s, POLLERR);
	R(recv(s, &c, 1, 0));
	R(recv(s, &c, 1, 0));
	R(send(s, &c, 1, MSG_NOSIGNAL));
	EVENTS(s, 0);
}

CASE(bad_connects)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = at(INADDR_LOOPBACK, 1);

	R(connect(s, (struct sockaddr *)&a, 1));
	R(connect(s, (struct sockaddr *)&a, 15));
	R(connect(s, (struct sockaddr *)&a, 200));
	a.sin_family = 99;
	R(connect_to(s, a));
}

CASE(listening)
{
	int l = listener(), s = socket(AF_INET, SOCK_STREAM, 0), n, b;
	struct timeval t = { 0, 1000 };
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	char c;

	EVENTS(l, 0);
	R(recv(l, &c, 1, 0));
	R(send(l, &c, 1, MSG_NOSIGNAL));
	R(ioctl(l, FIONREAD, &n));
	R(getpeername(l, (struct sockaddr *)&a, &len));
	R(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	R(accept(l, NULL, NULL));
	R(connect_to(s, name_of(l)));
	EVENTS(l, POLLIN);
	fcntl(l, F_SETFL, O_NONBLOCK);
	b = (int)OK(accept(l, (struct sockaddr *)&a, &len));
	Q(len == 16 && a.sin_port == name_of(s).sin_port);
	R(fcntl(b, F_GETFL));
	EVENTS(l, 0);
	R(accept(l, NULL, NULL));
	R(shutdown(l, SHUT_WR));
	EVENTS(l, 0);
	R(shutdown(l, SHUT_RD));
	EVENTS(l, POLLHUP);
	R(accept(l, NULL, NULL));
	R(listen(l, 1));
	EVENTS(l, 0);
}

CASE(broken_before_accept)
{
	int l = listener(), s = socket(AF_INET, SOCK_STREAM, 0), b;
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	char c;

	R(connect_to(s, name_of(l)));
	EVENTS(l, POLLIN);
	reset(s);
	b = (int)OK(accept(l, (struct sockaddr *)&a, &len));
	R(len);
	EVENTS(b, POLLERR);
	R(recv(b, &c, 1, 0));
	R(recv(b, &c, 1, 0));
	R(getpeername(b, (struct sockaddr *)&a, &len));
}

CASE(bytes)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[32] = { 0 };
	int a, b, n;

	pair(&a, &b);
	EVENTS(b, 0);
	R(recv(b, buf, 1, MSG_DONTWAIT));
	R(send(a, "hello", 5, 0));
	EVENTS(b, POLLIN);
	R(ioctl(b, FIONREAD, &n));
	R(n);
	R(recv(b, buf, sizeof(buf), MSG_PEEK));
	R(recv(b, buf, 2, MSG_TRUNC | MSG_PEEK));
	R(recv(b, buf, 2, MSG_TRUNC));
	R(recvfrom(b, buf, 2, 0, (struct sockaddr *)&from, &len));
	say("%.2s, address of %d", buf, (int)len);
	R(recv(b, buf, 8, MSG_WAITALL | MSG_DONTWAIT));
	R(recv(b, buf, 8, MSG_DONTWAIT));
	R(send(a, buf, 0, 0));
	R(recv(b, buf, 0, MSG_DONTWAIT));
	R(sendto(a, "x", 1, 0, (struct sockaddr *)&from, 16));
	EVENTS(b, POLLIN);
	R(recv(b, BAD, 1, 0));
	R(recv(b, BAD, 1, MSG_PEEK));
	R(recv(b, buf, 1, 0));
	R(send(a, BAD, 1, 0));
	R(recv(b, buf, 1, MSG_DONTWAIT));
}

CASE(messages)
{
	struct iovec out[3] = { { (void *)"ab", 2 }, { NULL, 0 }, { (void *)"cde", 3 } }, in[2];
	struct msghdr m = { .msg_iov = out, .msg_iovlen = 3 };
	char name[64], two[2], rest[8];
	int a, b;

	pair(&a, &b);
	R(sendmsg(a, &m, 0));
	in[0] = (struct iovec){ two, 2 };
	in[1] = (struct iovec){ rest, 8 };
	m = (struct msghdr){ .msg_iov = in,
			     .msg_iovlen = 2,
			     .msg_name = name,
			     .msg_namelen = 64,
			     .msg_control = name,
			     .msg_controllen = 8,
			     .msg_flags = -1 };
	EVENTS(b, POLLIN);
	R(recvmsg(b, &m, 0));
	say("%d %d %x", (int)m.msg_namelen, (int)m.msg_controllen, m.msg_flags);
	m.msg_iovlen = 1025;
	R(syscall(SYS_sendmsg, a, &m, 0));
	R(syscall(SYS_recvmsg, a, &m, 0));
	R(writev(a, out, 3));
	EVENTS(b, POLLIN);
	R(readv(b, in, 2));
}

CASE(half_closed)
{
	char buf[8];
	int a, b;

	signal(SIGPIPE, SIG_IGN);
	pair(&a, &b);
	R(send(a, "end", 3, 0));
	R(shutdown(a, SHUT_WR));
	R(shutdown(a, SHUT_WR));
	EVENTS(a, 0);
	EVENTS(b, POLLRDHUP);
	R(recv(b, buf, 8, MSG_WAITALL));
	R(recv(b, buf, 8, 0));
	EVENTS(b, 0);
	R(send(a, "x", 1, 0));
	R(pending_error(a));
	R(send(b, "back", 4, 0));
	EVENTS(a, POLLIN);
	R(recv(a, buf, 8, 0));
	R(shutdown(b, SHUT_WR));
	EVENTS(b, POLLHUP);
	EVENTS(a, POLLHUP);
	R(recv(a, buf, 8, 0));
	R(recv(b, buf, 8, 0));
}

CASE(read_no_more)
{
	char buf[8];
	int a, b;

	pair(&a, &b);
	R(send(b, "q", 1, 0));
	EVENTS(a, POLLIN);
	R(shutdown(a, SHUT_RD));
	EVENTS(a, 0);
	R(recv(a, buf, 8, 0));
	R(recv(a, buf, 8, 0));
	R(send(a, "x", 1, 0));
}

CASE(peer_closed)
{
	char buf[8];
	int a, b;

	pair(&a, &b);
	R(send(b, "last", 4, 0));
	R(close(b));
	EVENTS(a, POLLRDHUP);
	R(recv(a, buf, 8, MSG_WAITALL));
	R(recv(a, buf, 8, 0));
	R(send(a, "x", 1, MSG_NOSIGNAL));
	EVENTS(a, POLLHUP);
	R(send(a, "x", 1, MSG_NOSIGNAL));
	R(recv(a, buf, 8, 0));
}

CASE(peer_reset)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int a, b, ep = epoll_create1(0);
	char c;

	pair(&a, &b);
	R(epoll_ctl(ep, EPOLL_CTL_ADD, a, &ev));
	R(send(b, "z", 1, 0));
	EVENTS(a, POLLIN);
	reset(b);
	EVENTS(a, POLLERR);
	R(epoll_wait(ep, &ev, 1, -1));
	say("%x", ev.events);
	R(recv(a, &c, 1, 0));
	R(recv(a, &c, 1, 0));
	R(recv(a, &c, 1, 0));
	R(send(a, &c, 1, MSG_NOSIGNAL));
	EVENTS(a, 0);
	R(shutdown(a, SHUT_RDWR));
	R(getpeername(a, (struct sockaddr *)&(struct sockaddr_in){ 0 }, &(socklen_t){ 16 }));
	R(connect_to(a, nobody()));
	pair(&a, &b);
	R(send(a, "lost", 4, 0));
	EVENTS(b, POLLIN);
	R(close(b));
	EVENTS(a, POLLERR);
	R(pending_error(a));
	R(recv(a, &c, 1, 0));
}

CASE(options)
{
	static const int on_off[][2] = { { SOL_SOCKET, SO_REUSEADDR },
					 { SOL_SOCKET, SO_KEEPALIVE },
					 { SOL_SOCKET, SO_BROADCAST },
					 { IPPROTO_TCP, TCP_NODELAY } };
	int s = socket(AF_INET, SOCK_STREAM, 0), v = 7;
	struct timeval t = { 1, 500000 };
	struct linger l = { 1, 0 };
	socklen_t len = 4;

	for (int i = 0; i < 4; i++) {
		R(setsockopt(s, on_off[i][0], on_off[i][1], &v, 4));
		R(getsockopt(s, on_off[i][0], on_off[i][1], &v, &len));
		R(v);
		v = 7;
	}
	R(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &len));
	R(v);
	R(getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN, &v, &len));
	R(v);
	R(getsockopt(s, SOL_SOCKET, SO_PROTOCOL, &v, &len));
	R(v);
	R(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	t.tv_usec = 1000000;
	R(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)));
	R(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, 8));
	R(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	len = sizeof(l);
	R(getsockopt(s, SOL_SOCKET, SO_LINGER, &l, &len));
	R(l.l_onoff);
	R(l.l_linger);
	v = 20000;
	R(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, 4));
	len = 4;
	R(getsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, &len));
	R(v);
	R(setsockopt(s, SOL_SOCKET, SO_TYPE, &v, 4));
	R(setsockopt(s, SOL_SOCKET, 9999, &v, 4));
	R(getsockopt(s, SOL_SOCKET, 9999, &v, &len));
	R(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, 3));
	R(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, -1));
	len = -1;
	R(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &len));
	len = 2;
	R(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &len));
	R(len);
	R(setsockopt(s, IPPROTO_IP, IP_TTL, &(int){ 0 }, 4));
	R(setsockopt(s, IPPROTO_IP, IP_TTL, &(int){ 7 }, 4));
	R(setsockopt(s, 99, 1, &v, 4));
}

/* --- datagrams ------------------------------------------------------------------------------------------------------ */

static ssize_t send_to(int s, const void *p, size_t n, struct sockaddr_in a)
{
	return sendto(s, p, n, 0, (struct sockaddr *)&a, sizeof(a));
}

static int bound(void)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	bind_to(s, at(INADDR_LOOPBACK, 0));
	return s;
}

static void say_linger(int s, int onoff, int seconds)
{
	struct linger l = { onoff, seconds };
	socklen_t len = sizeof(l);

	R(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	R(getsockopt(s, SOL_SOCKET, SO_LINGER, &l, &len));
	R(l.l_onoff);
	R(l.l_linger);
}

CASE(linger)
{
	int a, b, s = socket(AF_INET, SOCK_STREAM, 0);
	char c;

	say_linger(s, 1, 5);
	say_linger(s, 0, 7);
	say_linger(s, 7, 0);
	R(close(s));
	pair(&a, &b);
	say_linger(a, 1, 100);
	R(send(a, "abc", 3, 0));
	R(close(a));
	R(recv(b, &c, 1, 0));
	R(close(b));
	/* closed with bytes unread: a reset, and no wait */
	pair(&a, &b);
	say_linger(a, 1, 100);
	R(send(b, "abc", 3, 0));
	R(close(a));
	EVENTS(b, POLLERR);
	R(recv(b, &c, 1, 0));
	pair(&a, &b);
	say_linger(a, 1, 0);
	R(send(a, "abc", 3, 0));
	R(close(a));
	EVENTS(b, POLLERR);
	R(recv(b, &c, 1, 0));
}

CASE(time_outs)
{
	int a, b, l = listener();
	struct timeval t = { -1, 0 }, got = { 9, 9 };
	socklen_t len = sizeof(got);
	char c;

	pair(&a, &b);
	R(setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	R(getsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &got, &len));
	Q(got.tv_sec == 0 && got.tv_usec == 0);
	R(recv(a, &c, 1, 0));
	R(recv(a, &c, 1, MSG_PEEK | MSG_WAITALL));
	R(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	R(accept(l, NULL, NULL));
	R(recv(l, &c, 1, MSG_PEEK | MSG_WAITALL));
	t.tv_usec = -1;
	R(setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
}

/* Two connections of the same four numbers; a second listener. */
CASE(same_numbers)
{
	int l = listener(), a = socket(AF_INET, SOCK_STREAM, 0),
	    b = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	R(bind_to(a, at(INADDR_LOOPBACK, 0)));
	R(bind_to(b, name_of(a)));
	R(connect_to(a, name_of(l)));
	R(connect_to(b, name_of(l)));
	Q(name_of(b).sin_port == name_of(a).sin_port);
	close(a);
	close(b);
	a = socket(AF_INET, SOCK_STREAM, 0);
	b = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	R(bind_to(a, at(INADDR_LOOPBACK, 0)));
	R(bind_to(b, name_of(a)));
	R(listen(a, 1));
	R(listen(b, 1));
	Q(name_of(b).sin_port == name_of(a).sin_port);
	R(close(a));
	R(listen(b, 1));
}

CASE(no_number_to_accept)
{
	int l = listener(), a = socket(AF_INET, SOCK_STREAM, 0);
	struct rlimit few = { (rlim_t)a + 1, (rlim_t)a + 1 };

	R(setrlimit(RLIMIT_NOFILE, &few));
	R(accept(l, NULL, NULL));
	R(connect_to(a, name_of(l)));
	R(accept(l, NULL, NULL));
	R(accept(0, NULL, NULL));
	EVENTS(l, POLLIN);
	R(close(0));
	R(accept(l, NULL, NULL));
}

CASE(datagrams)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = bound(), n;
	struct sockaddr_in from, to = name_of(b);
	socklen_t len = sizeof(from);
	char buf[16];

	EVENTS(a, 0);
	R(send(a, "x", 1, 0));
	R(send_to(a, "x", 1, at(INADDR_LOOPBACK, 0)));
	R(recv(b, buf, 1, MSG_DONTWAIT));
	R(send_to(a, "hello", 5, to));
	R(send_to(a, "", 0, to));
	R(send_to(a, "longer", 6, to));
	EVENTS(b, POLLIN);
	R(ioctl(b, FIONREAD, &n));
	R(n);
	R(read(b, buf, 0));
	R(recvfrom(b, buf, 16, MSG_PEEK, (struct sockaddr *)&from, &len));
	R(len);
	R(recv(b, buf, 2, MSG_TRUNC));
	R(recv(b, buf, 16, 0));
	R(recv(b, buf, 4, 0));
	R(recv(b, buf, 4, MSG_DONTWAIT));
	R(send_to(a, "bad", 3, to));
	EVENTS(b, POLLIN);
	R(recv(b, BAD, 3, 0));
	R(recv(b, buf, 3, MSG_DONTWAIT));
	R(send_to(a, BAD, 3, to));
	R(sendto(a, "x", 1, 0, (struct sockaddr *)&to, 15));
	to.sin_family = 55;
	R(send_to(a, "x", 1, to));
	R(listen(a, 1));
	R(accept(a, NULL, NULL));
	R(bind_to(b, at(INADDR_LOOPBACK, 0)));
	R(bind_to(socket(AF_INET, SOCK_DGRAM, 0), name_of(b)));
	R(setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &n, 4));
}

CASE(long_datagrams)
{
	static char buf[70000];
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = bound();

	R(send_to(a, buf, 65508, name_of(b)));
	R(send_to(a, buf, 65507, name_of(b)));
	EVENTS(b, POLLIN);
	R(recv(b, buf, sizeof(buf), 0));
}

CASE(connected_datagrams)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = bound(), c = bound();
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_in gone;
	socklen_t len = sizeof(gone);
	char buf[8];

	R(getpeername(a, (struct sockaddr *)&gone, &len));
	R(connect_to(a, name_of(b)));
	R(getpeername(a, (struct sockaddr *)&gone, &len));
	Q(name_of(a).sin_addr.s_addr == htonl(INADDR_LOOPBACK) && name_of(a).sin_port);
	R(write(a, "one", 3));
	EVENTS(b, POLLIN);
	R(read(b, buf, 8));
	R(send_to(c, "no", 2, name_of(a)));
	R(send_to(b, "yes", 3, name_of(a)));
	EVENTS(a, POLLIN);
	R(recv(a, buf, 8, 0));
	R(recv(a, buf, 8, MSG_DONTWAIT));
	R(connect(a, &none, sizeof(none)));
	Q(name_of(a).sin_port == 0);
	R(send(a, "x", 1, 0));
	gone = name_of(b);
	R(close(b));
	R(connect_to(a, gone));
	R(send(a, "x", 1, 0));
	EVENTS(a, POLLERR);
	R(recv(a, buf, 8, 0));
	R(recv(a, buf, 8, MSG_DONTWAIT));
	R(send(a, "x", 1, 0));
	EVENTS(a, POLLERR);
	R(send(a, "x", 1, 0));
	R(send(a, "x", 1, 0));
	EVENTS(a, POLLERR);
	R(pending_error(a));
	EVENTS(a, 0);
}

CASE(shut_datagrams)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = bound();
	char c;

	R(shutdown(b, SHUT_RD));
	EVENTS(b, 0);
	R(recv(b, &c, 1, MSG_DONTWAIT));
	R(connect_to(a, name_of(b)));
	R(shutdown(a, SHUT_WR));
	R(send(a, "x", 1, MSG_NOSIGNAL));
	EVENTS(a, 0);
	R(shutdown(a, SHUT_RD));
	EVENTS(a, 0);
	R(recv(a, &c, 1, 0));
}

/* --- back-logs -------------------------------------------------------------------------------------------------------- */

/* Many call at once: how many are through before anybody is accepted, and, if that is asked, how many are accepted in the
 * end. */
static void call_at_once(int asked, int *through, int *taken)
{
	enum { N = 12 };
	int l = socket(AF_INET, SOCK_STREAM, 0), s[N];
	struct pollfd p;

	*through = 0;
	bind_to(l, at(INADDR_LOOPBACK, 0));
	listen(l, asked);
	for (int i = 0; i < N; i++) {
		s[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect_to(s[i], name_of(l));
		p = (struct pollfd){ s[i], POLLOUT, 0 };
		/* on the loop-back at once, or not before somebody is accepted */
		*through += poll(&p, 1, 20) == 1;
	}
	for (int i = 0; taken && i < N; i++) {
		int b = accept(l, NULL, NULL);

		*taken += b >= 0;
		close(b);
	}
}

CASE(back_logs)
{
	int through;

	call_at_once(0, &through, NULL);
	R(through);
	call_at_once(1, &through, NULL);
	R(through);
	call_at_once(4, &through, NULL);
	R(through);
	call_at_once(20, &through, NULL);
	R(through);
	call_at_once(-1, &through, NULL);
	R(through);
}

/* Hundreds, one after the other. */
CASE(long_back_log)
{
	enum { N = 400 };
	int l = socket(AF_INET, SOCK_STREAM, 0), s, through = 0;

	bind_to(l, at(INADDR_LOOPBACK, 0));
	listen(l, N - 1);
	for (int i = 0; i < N; i++) {
		s = socket(AF_INET, SOCK_STREAM, 0);
		through += connect_to(s, name_of(l)) == 0;
	}
	R(through);
}

/* Who finds no room asks again, and is not told otherwise. */
CASE(full_back_log)
{
	int through, taken = 0;

	call_at_once(1, &through, &taken);
	R(taken);
	taken = 0;
	call_at_once(3, &through, &taken);
	R(taken);
}

/* The line of a socket in a file of /proc/net: its ends, of which the ports are this one's and its peer's, state and queues. */
static void shown(int line, const char *file, int s, unsigned own, unsigned peer)
{
	char text[300], local[40], remote[40], queues[40];
	unsigned local_port, remote_port, state, uid;
	FILE *f = fopen(file, "r");
	struct stat st;
	unsigned long ino;

	fstat(s, &st);
	while (f && fgets(text, sizeof(text), f)) {
		if (sscanf(text, "%*u: %39[^:]:%x %39[^:]:%x %x %39s %*s %*s %u %*u %lu", local,
			   &local_port, remote, &remote_port, &state, queues, &uid, &ino) == 8 &&
		    ino == st.st_ino)
			diff_say(line, "%s %zu %s%s %s%s %x %s uid %u", file, strcspn(text, ":"),
				 local, local_port == own ? "" : " another port", remote,
				 remote_port == peer ? "" : " another port", state, queues, uid);
	}
	if (f)
		fclose(f);
}

CASE(shown_datagrams)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), r = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	int r6 = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	const char *text;
	unsigned port;

	port = ntohs(nobody().sin_port);
	bind_to(s, at(INADDR_ANY, (int)port));
	shown(__LINE__, "/proc/net/udp", s, port, 0);
	connect_to(s, at(INADDR_LOOPBACK, 9));
	shown(__LINE__, "/proc/net/udp", s, port, 9);
	Q(name_of(s).sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	R(connect(s, &none, sizeof(none)));
	shown(__LINE__, "/proc/net/udp", s, port, 0);
	Q(name_of(s).sin_addr.s_addr == 0 && name_of(s).sin_port == htons((uint16_t)port));
	shown(__LINE__, "/proc/net/raw", r, IPPROTO_ICMP, 0);
	shown(__LINE__, "/proc/net/raw6", r6, IPPROTO_ICMPV6, 0);
	connect_to(r, at(INADDR_LOOPBACK, 9));
	shown(__LINE__, "/proc/net/raw", r, IPPROTO_ICMP, 0);
	say("%s", slurp("/proc/net/unix")[0] == 'N' ? "unix sockets" : "no unix sockets");
	text = slurp("/proc/net/raw6");
	say("%.*s", (int)strcspn(text, "\n"), text);
}

/* Whose each is: of who makes it, or accepts it. */
CASE(shown_owners)
{
	int u, l, c, a;
	struct stat st;

	R(setegid(200));
	R(seteuid(1000));
	u = socket(AF_INET, SOCK_DGRAM, 0);
	l = socket(AF_INET, SOCK_STREAM, 0);
	R(bind_to(u, at(INADDR_LOOPBACK, 0)));
	R(bind_to(l, at(INADDR_LOOPBACK, 0)));
	R(listen(l, 1));
	R(seteuid(0));
	R(seteuid(2000));
	c = socket(AF_INET, SOCK_STREAM, 0);
	R(connect_to(c, name_of(l)));
	R(seteuid(0));
	R(seteuid(3000));
	a = OK(accept(l, NULL, NULL));
	R(seteuid(0));
	shown(__LINE__, "/proc/net/udp", u, ntohs(name_of(u).sin_port), 0);
	shown(__LINE__, "/proc/net/tcp", l, ntohs(name_of(l).sin_port), 0);
	shown(__LINE__, "/proc/net/tcp", c, ntohs(name_of(c).sin_port), ntohs(name_of(l).sin_port));
	shown(__LINE__, "/proc/net/tcp", a, ntohs(name_of(l).sin_port), ntohs(name_of(c).sin_port));
	fstat(a, &st);
	say("uid %u gid %u", st.st_uid, st.st_gid);
}
