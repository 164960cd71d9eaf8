/* SPDX-License-Identifier: MIT */
/* IPv6 sockets and hostile arguments: addresses of each length and family and with any scope, room for names and for what
 * goes with a datagram down to a byte and at the end of memory, options of all numbers. What is right is asked by
 * tests/diff/sockets6.c; here all of it must give an answer, and everything back. */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define BAD ((void *)8)

static struct sockaddr_in6 at(const char *ip, int port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };

	CHECK(inet_pton(AF_INET6, ip, &a.sin6_addr) == 1);
	return a;
}

static int port_of(int s)
{
	struct sockaddr_in6 a;

	CHECK(getsockname(s, (struct sockaddr *)&a, &(socklen_t){ sizeof(a) }) == 0);
	return ntohs(a.sin6_port);
}

static int made(int type, int protocol)
{
	int s = socket(AF_INET6, type | SOCK_NONBLOCK, protocol);

	CHECK(s >= 0);
	return s;
}

static const struct {
	int type, protocol;
} kinds[] = { { SOCK_STREAM, 0 }, { SOCK_DGRAM, 0 }, { SOCK_RAW, IPPROTO_ICMPV6 } };

/* The last bytes of a page behind which there is nothing. */
static uint8_t *edge(void)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED && munmap(p + 4096, 4096) == 0);
	return p + 4096;
}

/* Each call takes an address of each length, and reads no further. */
static void lengths(void)
{
	static const char *const ip[] = {
		"::",	   "::1",     "::ffff:127.0.0.1", "::ffff:0.0.0.0",
		"fe80::1", "ff02::1", "2001:db8::1",	  "::7f00:1"
	};
	static const uint32_t scopes[] = { 0, 1, 2, 3, 77, 256, 0x10001, 0xffffffff };
	static const int families[] = { AF_INET6, AF_INET, AF_UNSPEC, 77, 0xffff };
	uint8_t *end = edge();

	for (size_t k = 0; k < 3; k++)
		for (int len = 0; len <= 130; len += len < 32 ? 1 : 49)
			for (size_t i = (size_t)len % 3; i < 8 * 8; i += 3) {
				struct sockaddr_in6 a = at(ip[i % 8], 9);
				int s = made(kinds[k].type, kinds[k].protocol);
				struct sockaddr *to = (void *)(end - len);

				a.sin6_scope_id = scopes[i / 8];
				a.sin6_family = (sa_family_t)families[(i + (size_t)len) % 5];
				memset(to, 0, (size_t)len);
				memcpy(to, &a, (size_t)len < sizeof(a) ? (size_t)len : sizeof(a));
				(void)sendto(s, "12345678", 8, 0, to, (socklen_t)len);
				CHECK(len >= 24 || bind(s, to, (socklen_t)len) < 0);
				(void)connect(s, to, (socklen_t)len);
				if (len < 24 && a.sin6_family == AF_INET6)
					CHECK_ERRNO(connect(s, to, (socklen_t)len), EINVAL);
				CHECK(close(s) == 0);
			}
	CHECK(munmap(end - 4096, 4096) == 0);
}

static void pointers(void)
{
	struct sockaddr_in6 a = at("::1", 9);
	socklen_t len = sizeof(a);
	int s = made(SOCK_DGRAM, 0);

	CHECK_ERRNO(bind(s, BAD, 28), EFAULT);
	CHECK_ERRNO(connect(s, BAD, 28), EFAULT);
	CHECK_ERRNO(sendto(s, "x", 1, 0, BAD, 28), EFAULT);
	CHECK_ERRNO(getsockname(s, BAD, &len), EFAULT);
	CHECK_ERRNO(getsockname(s, (struct sockaddr *)&a, BAD), EFAULT);
	len = (socklen_t)-1;
	CHECK_ERRNO(getsockname(s, (struct sockaddr *)&a, &len), EINVAL);
	CHECK_ERRNO(bind(s, (struct sockaddr *)&a, (socklen_t)-1), EINVAL);
	CHECK(close(s) == 0);
}

/* Any option of any level, of no value, a short one, and one of a hostile kind. */
static void options(void)
{
	static const int levels[] = { SOL_SOCKET,  IPPROTO_IP,	   IPPROTO_IPV6,
				      IPPROTO_TCP, IPPROTO_ICMPV6, 255,
				      -1 };
	uint8_t value[64];
	socklen_t len;

	for (size_t k = 0; k < 3; k++)
		for (size_t l = 0; l < sizeof(levels) / sizeof(levels[0]); l++)
			for (int name = -1; name < 90; name++) {
				int s = made(kinds[k].type, kinds[k].protocol);

				memset(value, name, sizeof(value));
				for (socklen_t n = 0; n <= 64; n += n < 4 ? 2 : 30)
					(void)setsockopt(s, levels[l], name, value, n);
				CHECK(setsockopt(s, levels[l], name, BAD, 64) < 0);
				(void)getsockopt(s, levels[l], name, value, &(socklen_t){ 64 });
				len = 64;
				CHECK(getsockopt(s, levels[l], name, BAD, &len) < 0);
				CHECK(close(s) == 0);
			}
}

/* A sum may be anywhere but behind the bytes. */
static void sums(void)
{
	int s = made(SOCK_RAW, IPPROTO_ICMPV6);
	struct sockaddr_in6 to = at("::1", 0);
	uint8_t bytes[300] = { ICMP6_ECHO_REQUEST };

	for (int at = -2; at < 300; at++) {
		int ok = setsockopt(s, 255, IPV6_CHECKSUM, &at, sizeof(at));

		CHECK((ok == 0) == (at < 0 || (at % 2 == 0 && at <= 255)));
		for (size_t n = 0; n < 300; n += 7)
			if (sendto(s, bytes, n, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
				CHECK(errno == EINVAL && n < 300);
	}
	CHECK(close(s) == 0);
}

/* What goes with a datagram is put where there is room, and no byte behind it. */
static void controls(void)
{
	struct sockaddr_in6 self = at("::1", 0);
	int a = made(SOCK_DGRAM, 0), b = made(SOCK_DGRAM, 0), one = 1;
	uint8_t *end = edge();
	char byte;

	CHECK(setsockopt(a, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, 4) == 0);
	CHECK(setsockopt(a, IPPROTO_IPV6, IPV6_2292HOPLIMIT, &one, 4) == 0);
	CHECK(bind(a, (struct sockaddr *)&self, sizeof(self)) == 0);
	self.sin6_port = htons((uint16_t)port_of(a));
	CHECK(connect(b, (struct sockaddr *)&self, sizeof(self)) == 0);
	for (size_t room = 0; room <= 60; room++) {
		struct iovec v = { &byte, 1 };
		struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

		m.msg_control = end - room;
		m.msg_controllen = (socklen_t)room;
		CHECK(send(b, "x", 1, 0) == 1);
		AWAIT(poll(&(struct pollfd){ a, POLLIN, 0 }, 1, 0) == 1);
		CHECK(recvmsg(a, &m, 0) == 1);
		CHECK(m.msg_controllen <= room && !(m.msg_flags & MSG_CTRUNC) == (room >= 44));
		m.msg_control = BAD;
		m.msg_controllen = 64;
		CHECK(send(b, "x", 1, 0) == 1);
		AWAIT(poll(&(struct pollfd){ a, POLLIN, 0 }, 1, 0) == 1);
		CHECK_ERRNO(recvmsg(a, &m, 0), EFAULT);
	}
	CHECK(munmap(end - 4096, 4096) == 0 && close(a) == 0 && close(b) == 0);
}

/* One listener for both, and whoever waits for a connection by either can be killed. */
static void both(void)
{
	struct sockaddr_in6 a = at("::", 0), peer;
	struct sockaddr_in four = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int l = socket(AF_INET6, SOCK_STREAM, 0), s, b, status;
	socklen_t len;
	char got[4];
	pid_t pid;

	CHECK(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 4) == 0);
	four.sin_port = htons((uint16_t)port_of(l));
	for (int i = 0; i < 50; i++) {
		struct sockaddr_in6 six = at(i % 3 ? "::1" : "::ffff:127.0.0.1", port_of(l));

		s = socket(i % 2 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
		CHECK(i % 2 ? connect(s, (struct sockaddr *)&six, sizeof(six)) == 0
			    : connect(s, (struct sockaddr *)&four, sizeof(four)) == 0);
		len = sizeof(peer);
		b = accept(l, (struct sockaddr *)&peer, &len);
		CHECK(b >= 0 && len == sizeof(peer) && peer.sin6_family == AF_INET6);
		CHECK(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr) == (i % 2 == 0 || i % 3 == 0));
		CHECK(ntohs(peer.sin6_port) == port_of(s));
		CHECK(send(b, "abc", 4, 0) == 4 && recv(s, got, 4, MSG_WAITALL) == 4);
		CHECK(close(b) == 0 && close(s) == 0);
	}
	pid = fork();
	if (pid == 0)
		exit(accept(l, NULL, NULL));
	CHECK(until_asleep(pid) && kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && close(l) == 0);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	lengths();
	pointers();
	options();
	sums();
	controls();
	both();
	return 0;
}
