/* SPDX-License-Identifier: MIT */
/* Each edge that epoll tells of a connection: a step, then every EPOLLET event it made. */
#include <sys/epoll.h>
#include "tests/diff/lib/inet.h"

static int ep, l, s, other;

static void print(int line, const char *step, uint32_t e)
{
	diff_say(line, "%s:%s%s%s%s%s%s", step, e & EPOLLIN ? " IN" : "",
		 e & EPOLLOUT ? " OUT" : "", e & EPOLLRDHUP ? " RDHUP" : "",
		 e & EPOLLHUP ? " HUP" : "", e & EPOLLERR ? " ERR" : "", e ? "" : " none");
}

/* What there is after the step, of s or the listener. When two come of one step, whether the second meets the first still
 * untold is the kernel's choice. */
static void edges(int line, const char *step)
{
	struct epoll_event ev;
	uint32_t all = 0;

	while (epoll_wait(ep, &ev, 1, 0) == 1)
		all |= ev.events;
	print(line, step, all);
}
/* A step, and until when its work is done. */
#define STEP(step, until)                                                                          \
	do {                                                                                       \
		(void)(step);                                                                      \
		AWAIT(until);                                                                      \
		edges(__LINE__, #step);                                                            \
	} while (0)

static void watch(int fd)
{
	struct epoll_event ev = { .events = EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI };

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static void begin(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	ep = epoll_create1(0);
	l = socket(AF_INET, SOCK_STREAM, 0);
	bind(l, (struct sockaddr *)&a, sizeof(a));
	listen(l, 8);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static void open_pair(void)
{
	begin();
	connect_to(s, name_of(l));
	AWAIT(events_of(s) & POLLOUT);
	other = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	watch(s);
	edges(__LINE__, "watched");
}

static void reset(int fd)
{
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	close(fd);
}

CASE(connecting)
{
	begin();
	watch(s);
	edges(__LINE__, "fresh");
	STEP(connect_to(s, name_of(l)), events_of(s) & POLLOUT);
	STEP(connect_to(s, name_of(l)), true);
	STEP(connect_to(s, name_of(l)), true);
}

CASE(refused)
{
	struct sockaddr_in nobody;

	begin();
	nobody = name_of(l);
	close(l);
	watch(s);
	edges(__LINE__, "fresh");
	STEP(connect_to(s, nobody), events_of(s) & POLLERR);
	STEP(connect_to(s, nobody), true);
	STEP(getsockopt(s, SOL_SOCKET, SO_ERROR, &(int){ 0 }, &(socklen_t){ 4 }), true);
	STEP(connect_to(s, nobody), events_of(s) & POLLERR);
}

CASE(listening)
{
	int c[3];

	begin();
	watch(l);
	edges(__LINE__, "listening");
	for (int i = 0; i < 3; i++)
		c[i] = socket(AF_INET, SOCK_STREAM, 0);
	STEP(connect_to(c[0], name_of(l)), events_of(l) & POLLIN);
	STEP(connect_to(c[1], name_of(l)), true);
	STEP(accept(l, NULL, NULL), true);
	STEP(connect_to(c[2], name_of(l)), true);
	STEP(accept(l, NULL, NULL), true);
	STEP(accept(l, NULL, NULL), true);
	STEP(shutdown(l, SHUT_RD), events_of(l) & POLLHUP);
}

CASE(arrival)
{
	char buf[16];

	open_pair();
	STEP(send(other, "one", 3, 0), events_of(s) & POLLIN);
	STEP(send(other, "two", 3, 0), recv(s, buf, 6, MSG_PEEK) == 6);
	STEP(recv(s, buf, 2, 0), true);
	STEP(recv(s, buf, 16, 0), true);
	STEP(recv(s, buf, 16, 0), true);
	STEP(send(other, "three", 5, 0), events_of(s) & POLLIN);
	STEP(recv(s, buf, 16, 0), true);
}

static int fill(void)
{
	static char buf[65536];
	int total = 0;
	ssize_t n;

	/* until what is under way has come to rest, too */
	do
		while ((n = send(s, buf, sizeof(buf), 0)) > 0)
			total += (int)n;
	while (poll(&(struct pollfd){ s, POLLOUT, 0 }, 1, 100) > 0);
	return total;
}

static int drain(int total)
{
	static char buf[65536];
	ssize_t n;

	while (total > 0 && ((n = recv(other, buf, sizeof(buf), 0)) > 0 || errno == EAGAIN))
		total -= n > 0 ? (int)n : 0;
	return total;
}

CASE(room)
{
	char c;
	int total;

	open_pair();
	STEP(send(s, "x", 1, 0), events_of(other) & POLLIN);
	STEP(recv(other, &c, 1, 0), true);
	total = fill();
	/* what came while it was filled is the kernel's choice */
	while (epoll_wait(ep, &(struct epoll_event){ 0 }, 1, 0) == 1)
		;
	STEP(send(s, "x", 1, 0), true);
	STEP(drain(total), events_of(s) & POLLOUT);
	STEP(send(s, "x", 1, 0), true);
	STEP(send(other, "y", 1, 0), events_of(s) & POLLIN);
}

CASE(shut_to_write)
{
	open_pair();
	STEP(shutdown(s, SHUT_WR), events_of(other) & POLLRDHUP);
	STEP(send(other, "x", 1, 0), events_of(s) & POLLIN);
	STEP(close(other), events_of(s) & POLLHUP);
}

CASE(shut_to_read)
{
	open_pair();
	STEP(shutdown(s, SHUT_RD), true);
	STEP(shutdown(s, SHUT_WR), true);
}

CASE(shut_both)
{
	open_pair();
	STEP(shutdown(s, SHUT_RDWR), events_of(other) & POLLRDHUP);
}

CASE(peer_closes)
{
	char buf[8];

	open_pair();
	STEP(send(other, "last", 4, 0), events_of(s) & POLLIN);
	STEP(close(other), events_of(s) & POLLRDHUP);
	STEP(recv(s, buf, 8, 0), true);
	STEP(recv(s, buf, 8, 0), true);
	STEP(send(s, "x", 1, MSG_NOSIGNAL), events_of(s) & POLLHUP);
	STEP(send(s, "x", 1, MSG_NOSIGNAL), true);
	STEP(send(s, "x", 1, MSG_NOSIGNAL), true);
}

CASE(peer_shuts)
{
	open_pair();
	STEP(shutdown(other, SHUT_WR), events_of(s) & POLLRDHUP);
	STEP(shutdown(s, SHUT_WR), events_of(s) & POLLHUP);
	STEP(close(other), true);
}

CASE(peer_resets)
{
	char c;

	open_pair();
	STEP(reset(other), events_of(s) & POLLERR);
	STEP(recv(s, &c, 1, 0), true);
	STEP(recv(s, &c, 1, 0), true);
	STEP(send(s, &c, 1, MSG_NOSIGNAL), true);
}

CASE(disconnected)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	open_pair();
	STEP(connect(s, &none, sizeof(none)), events_of(s) & POLLHUP);
	STEP(connect_to(s, name_of(l)), events_of(s) & POLLOUT);
}
