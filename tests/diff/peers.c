/* SPDX-License-Identifier: MIT */
/* Sockets to a peer on the host, tests/diff/peer.py, the same for both kernels: what each call says, its errno, and how
 * ready the socket is while a connection is made, refused, half closed, reset, held up and let go. */
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include "tests/diff/lib/inet.h"

enum { COMMAND, REFUSING, ECHO };

static struct sockaddr_in peer(int which)
{
	const char *p = getenv("PEER");

	for (; p && which; which--)
		p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL;
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)(p ? atoi(p) : 0)),
				     .sin_addr.s_addr = htonl(0x0a000202) };
}

/* A connection whose peer does what the words say. */
static int asked(const char *words)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (connect_to(s, peer(COMMAND)) < 0 || send(s, words, strlen(words), 0) < 0)
		say("no peer: %s", errno_name(errno));
	return s;
}

/* What poll says once it says all of `wanted`. */
static void say_events(int line, int fd, int wanted)
{
	int e = 0;

	AWAIT(((e = events_of(fd)) & wanted) == wanted);
	diff_say(line, "events:%s%s%s%s%s%s", e & POLLIN ? " IN" : "", e & POLLOUT ? " OUT" : "",
		 e & POLLPRI ? " PRI" : "", e & POLLRDHUP ? " RDHUP" : "",
		 e & POLLHUP ? " HUP" : "", e & POLLERR ? " ERR" : "");
}
#define EVENTS(fd, wanted) say_events(__LINE__, fd, wanted)

static int pending_error(int s)
{
	int error = -1;

	getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof(error) });
	return error;
}

CASE(refused)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);

	R(connect_to(s, peer(REFUSING)));
	EVENTS(s, 0);
	R(connect_to(s, peer(REFUSING)));
	R(connect_to(s, peer(COMMAND)));
	EVENTS(s, POLLOUT);
	R(connect_to(s, peer(COMMAND)));
}

CASE(refused_without_waiting)
{
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET };

	R(connect_to(s, peer(REFUSING)));
	R(epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev));
	R(epoll_wait(ep, &ev, 1, -1));
	say("%x", ev.events);
	EVENTS(s, POLLERR);
	R(pending_error(s));
	EVENTS(s, 0);
	R(connect_to(s, peer(REFUSING)));
	R(connect_to(s, peer(REFUSING)));
	EVENTS(s, POLLERR);
	R(recv(s, &ev, 1, 0));
}

CASE(made_without_waiting)
{
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	R(connect_to(s, peer(COMMAND)));
	R(epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev));
	R(epoll_wait(ep, &ev, 1, -1));
	say("%x", ev.events);
	R(epoll_wait(ep, &ev, 1, 0));
	R(pending_error(s));
	R(connect_to(s, peer(COMMAND)));
	R(connect_to(s, peer(COMMAND)));
	R(getpeername(s, (struct sockaddr *)&a, &len));
	Q(a.sin_port == peer(COMMAND).sin_port && len == 16);
	R(getsockname(s, (struct sockaddr *)&a, &len));
	Q(a.sin_addr.s_addr == htonl(0x0a00020f) && a.sin_port);
}

CASE(bytes)
{
	char buf[32] = { 0 };
	int s = asked("echo\n"), n;

	EVENTS(s, POLLOUT);
	R(recv(s, buf, 1, MSG_DONTWAIT));
	R(send(s, "hello", 5, 0));
	AWAIT((ioctl(s, FIONREAD, &n), n == 5));
	EVENTS(s, POLLIN);
	R(n);
	R(recv(s, buf, 2, MSG_PEEK));
	R(recv(s, buf, 2, MSG_TRUNC));
	R(recv(s, buf, 32, MSG_WAITALL | MSG_DONTWAIT));
	EVENTS(s, 0);
	R(send(s, "123456", 6, 0));
	R(recv(s, buf, 6, MSG_WAITALL));
	say("%.6s", buf);
	R(shutdown(s, SHUT_WR));
	R(recv(s, buf, 6, 0));
	EVENTS(s, POLLHUP);
	R(recv(s, buf, 6, 0));
	R(send(s, "x", 1, MSG_NOSIGNAL));
}

CASE(half_closed_by_the_peer)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT };
	int s = asked("bye\n"), ep = epoll_create1(0);
	char buf[8];

	EVENTS(s, POLLRDHUP);
	R(epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev));
	R(epoll_wait(ep, &ev, 1, -1));
	say("%x", ev.events);
	R(epoll_wait(ep, &ev, 1, 0));
	R(recv(s, buf, 8, MSG_WAITALL));
	R(recv(s, buf, 8, 0));
	R(send(s, "more", 4, 0));
	R(send(s, "more", 4, 0));
	EVENTS(s, POLLOUT);
	R(shutdown(s, SHUT_WR));
	EVENTS(s, POLLHUP);
}

CASE(reset_by_the_peer)
{
	int s = asked("reset\n");
	char c;

	EVENTS(s, POLLERR);
	R(recv(s, &c, 1, 0));
	EVENTS(s, 0);
	R(recv(s, &c, 1, 0));
	R(send(s, &c, 1, MSG_NOSIGNAL));
	R(shutdown(s, SHUT_RDWR));
	s = asked("reset\n");
	EVENTS(s, POLLERR);
	R(pending_error(s));
	R(pending_error(s));
	R(recv(s, &c, 1, 0));
	s = asked("reset\n");
	EVENTS(s, POLLERR);
	R(send(s, &c, 1, MSG_NOSIGNAL));
	R(send(s, &c, 1, MSG_NOSIGNAL));
}

CASE(reset_behind_bytes)
{
	int s = asked("reset text\n");
	char buf[8];

	EVENTS(s, POLLIN);
	R(send(s, "!", 1, 0));
	EVENTS(s, POLLERR);
	R(recv(s, buf, 2, 0));
	R(recv(s, buf, 8, 0));
	R(recv(s, buf, 8, 0));
	R(recv(s, buf, 8, 0));
}

CASE(closed_with_bytes_unread)
{
	int s = asked("unread\n");
	char c;

	R(send(s, "nobody reads", 12, 0));
	EVENTS(s, POLLERR);
	R(recv(s, &c, 1, 0));
	R(recv(s, &c, 1, 0));
}

/* We close with bytes unread; the peer finds its end all the same. */
CASE(closed_at_once)
{
	int s = asked("bye\n");

	EVENTS(s, POLLRDHUP);
	R(close(s));
	s = asked("echo\n");
	R(close(s));
}

CASE(held_up)
{
	static char buf[65536];
	struct timeval t = { 0, 200000 };
	long total = 0, n;
	int s = asked("hold\n"), go;

	R(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)));
	while ((n = send(s, buf, sizeof(buf), 0)) > 0)
		total += n;
	Q(errno == EAGAIN);
	EVENTS(s, 0);
	go = asked("go\n");
	EVENTS(s, POLLOUT);
	t = (struct timeval){ 0, 0 };
	R(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)));
	R(send(s, "end", 3, 0));
	R(shutdown(s, SHUT_WR));
	memset(buf, 0, sizeof(buf));
	while ((n = recv(s, buf + strlen(buf), 100, 0)) > 0)
		;
	R(n);
	Q(atol(buf) == total + 3);
	R(recv(go, buf, 1, 0));
}

CASE(a_lot)
{
	static unsigned char buf[50000];
	long total = 0, wrong = 0, n;
	int s = asked("flood 3000000\n");

	while ((n = recv(s, buf, sizeof(buf), 0)) > 0)
		for (long i = 0; i < n; i++)
			wrong += buf[i] != total++ % 64257 % 251;
	R(n);
	R(total);
	R(wrong);
	EVENTS(s, POLLRDHUP);
}

CASE(waits_in_vain)
{
	struct timeval t = { 0, 50000 };
	int s = asked("echo\n");
	char c;

	R(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	R(recv(s, &c, 1, 0));
	R(read(s, &c, 1));
	R(poll(&(struct pollfd){ s, POLLIN, 0 }, 1, 20));
	R(send(s, "x", 1, 0));
	t.tv_usec = 0;
	R(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	R(recv(s, &c, 1, 0));
}

/* Of an address in our network that nobody has. */
CASE(nobody_there)
{
	struct sockaddr_in a = peer(COMMAND);
	struct timeval t = { 0, 50000 };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(0x0a000263);
	R(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)));
	R(connect_to(s, a));
	EVENTS(s, 0);
	R(connect_to(s, a));
	R(recv(s, &t, 1, MSG_DONTWAIT));
	R(send(s, &t, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
	R(close(s));
	s = socket(AF_INET, SOCK_STREAM, 0);
	R(connect_to(s, a));
}

CASE(datagrams)
{
	struct sockaddr_in a = peer(ECHO), from;
	socklen_t len = sizeof(from);
	char buf[2000] = "echo";
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	R(sendto(s, buf, 4, 0, (struct sockaddr *)&a, sizeof(a)));
	EVENTS(s, POLLIN);
	R(recvfrom(s, buf, 3, MSG_TRUNC, (struct sockaddr *)&from, &len));
	Q(from.sin_port == a.sin_port && from.sin_addr.s_addr == a.sin_addr.s_addr);
	R(sendto(s, buf, 1472, 0, (struct sockaddr *)&a, sizeof(a)));
	R(recv(s, buf, sizeof(buf), 0));
	R(sendto(s, buf, 2000, 0, (struct sockaddr *)&a, sizeof(a)));
	R(recv(s, buf, sizeof(buf), 0));
	R(connect_to(s, a));
	R(send(s, buf, 1, 0));
	R(recv(s, buf, sizeof(buf), 0));
	R(recv(s, buf, sizeof(buf), MSG_DONTWAIT));
}

CASE(pings)
{
	struct icmphdr out = { .type = ICMP_ECHO, .un.echo.sequence = htons(7) }, in[8];
	struct sockaddr_in a = peer(COMMAND), from;
	socklen_t len = sizeof(from);
	int s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);

	R(sendto(s, &out, sizeof(out), 0, (struct sockaddr *)&a, sizeof(a)));
	EVENTS(s, POLLIN);
	R(recvfrom(s, in, sizeof(in), 0, (struct sockaddr *)&from, &len));
	Q(in[0].type == ICMP_ECHOREPLY && in[0].un.echo.sequence == htons(7));
	Q(from.sin_addr.s_addr == a.sin_addr.s_addr && from.sin_port == 0);
	R(connect_to(s, a));
	R(send(s, &out, sizeof(out), 0));
	R(recv(s, in, sizeof(in), 0));
	R(recv(s, in, sizeof(in), MSG_DONTWAIT));
}

CASE(raw_pings)
{
	struct icmphdr out = { .type = ICMP_ECHO, .un.echo.id = 9, .checksum = 0 };
	struct sockaddr_in a = peer(COMMAND);
	unsigned char in[64];
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);

	out.checksum = (uint16_t) ~(8 + 9);
	R(sendto(s, &out, sizeof(out), 0, (struct sockaddr *)&a, sizeof(a)));
	EVENTS(s, POLLIN);
	R(recv(s, in, sizeof(in), 0));
	Q(in[0] == 0x45 && in[9] == IPPROTO_ICMP && in[20] == ICMP_ECHOREPLY);
	R(recv(s, in, sizeof(in), MSG_DONTWAIT));
}
