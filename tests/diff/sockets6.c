/* SPDX-License-Identifier: MIT */
/* IPv6 sockets over loop-back: names, scopes, IPv4 in them, options, and what other areas ask of IPv4's sockets where the
 * family could make a difference. */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include "tests/diff/lib/diff.h"

#define ANY	"::"
#define SELF	"::1"
#define MAPPED	"::ffff:127.0.0.1"
#define NOWHERE "2001:db8::1" /* of no network we are on */

static struct sockaddr_in6 at(const char *ip, int port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };

	inet_pton(AF_INET6, ip, &a.sin6_addr);
	return a;
}

static struct sockaddr_in at4(uint32_t ip, int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(ip) };
}

static struct sockaddr_in6 scoped(const char *ip, int port, unsigned scope)
{
	struct sockaddr_in6 a = at(ip, port);

	a.sin6_scope_id = scope;
	return a;
}

static int port_of(int s)
{
	struct sockaddr_in6 a = { 0 };

	getsockname(s, (struct sockaddr *)&a, &(socklen_t){ sizeof(a) });
	return ntohs(a.sin6_port);
}

static int bind_to(int s, struct sockaddr_in6 a)
{
	return bind(s, (struct sockaddr *)&a, sizeof(a));
}

static int bind4(int s, struct sockaddr_in a)
{
	return bind(s, (struct sockaddr *)&a, sizeof(a));
}

static int connect_to(int s, struct sockaddr_in6 a)
{
	return connect(s, (struct sockaddr *)&a, sizeof(a));
}

static int connect4(int s, struct sockaddr_in a)
{
	return connect(s, (struct sockaddr *)&a, sizeof(a));
}

static int send6(int s, struct sockaddr_in6 a)
{
	return (int)sendto(s, "x", 1, 0, (struct sockaddr *)&a, sizeof(a));
}

static int send4(int s, struct sockaddr_in a)
{
	return (int)sendto(s, "x", 1, 0, (struct sockaddr *)&a, sizeof(a));
}

static int stream(void)
{
	return socket(AF_INET6, SOCK_STREAM, 0);
}

static int udp(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}

static int listener(const char *ip)
{
	int l = stream();

	bind_to(l, at(ip, 0));
	listen(l, 8);
	return l;
}

static int option(int s, int level, int name)
{
	int v = -77;

	return getsockopt(s, level, name, &v, &(socklen_t){ sizeof(v) }) < 0 ? -1 : v;
}

static int set(int s, int level, int name, int v)
{
	return setsockopt(s, level, name, &v, sizeof(v));
}

/* An end as text; its port only as being there. */
static void say_name(int line, const char *what, int ret, const struct sockaddr_in6 *a,
		     socklen_t len)
{
	char text[64] = "";

	if (ret < 0) {
		diff_say(line, "%s: %s", what, errno_name(errno));
		return;
	}
	inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof(text));
	diff_say(line, "%s: family %d len %d %s%s scope %u flow %u", what, a->sin6_family, (int)len,
		 text, a->sin6_port ? ", port" : "", a->sin6_scope_id, a->sin6_flowinfo);
}

static void say_ends(int line, int s)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);
	int ret;

	memset(&a, 0xee, sizeof(a));
	ret = getsockname(s, (struct sockaddr *)&a, &len);
	say_name(line, "local", ret, &a, len);
	memset(&a, 0xee, sizeof(a));
	len = sizeof(a);
	ret = getpeername(s, (struct sockaddr *)&a, &len);
	say_name(line, "peer", ret, &a, len);
}
#define ENDS(s) say_ends(__LINE__, s)

static void await_readable(int s)
{
	struct pollfd p = { s, POLLIN, 0 };

	AWAIT(poll(&p, 1, 0) == 1);
}

CASE(kinds)
{
	R(socket(AF_INET6, 0, 0));
	R(socket(AF_INET6, 11, 0));
	R(socket(AF_INET6, SOCK_SEQPACKET, 0));
	R(socket(AF_INET6, SOCK_STREAM, IPPROTO_UDP));
	R(socket(AF_INET6, SOCK_STREAM, -1));
	R(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMP));
	R(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6));
	R(socket(AF_INET6, SOCK_RAW, 0));
	R(option(stream(), SOL_SOCKET, SO_DOMAIN));
	R(option(stream(), SOL_SOCKET, SO_PROTOCOL));
	R(option(udp(), SOL_SOCKET, SO_TYPE));
	R(option(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), SOL_SOCKET, SO_PROTOCOL));
	R(option(socket(AF_INET, SOCK_STREAM, 0), SOL_SOCKET, SO_DOMAIN));
}

CASE(names)
{
	struct sockaddr_in6 a;
	socklen_t len;
	int s = stream(), l = listener(SELF);

	ENDS(s);
	ENDS(udp());
	ENDS(l);
	R(connect_to(s, at(SELF, port_of(l))));
	ENDS(s);
	memset(&a, 0xee, sizeof(a));
	len = sizeof(a);
	s = (int)OK(accept(l, (struct sockaddr *)&a, &len));
	say_name(__LINE__, "accepted", 0, &a, len);
	ENDS(s);
	for (len = 0; len < 40; len += 13) {
		socklen_t n = len;

		memset(&a, 0, sizeof(a));
		R(getsockname(l, (struct sockaddr *)&a, &n));
		say("%d of %d: family %d", (int)n, (int)len, a.sin6_family);
	}
}

CASE(binding)
{
	struct sockaddr_in6 a = at(SELF, 0);
	int s = stream(), t;

	R(bind(s, (struct sockaddr *)&a, 1));
	R(bind(s, (struct sockaddr *)&a, 16));
	R(bind(s, (struct sockaddr *)&a, 23));
	R(bind(s, (struct sockaddr *)&a, 129));
	R(bind4(s, at4(INADDR_LOOPBACK, 0)));
	R(bind_to(s, at(NOWHERE, 0)));
	R(bind_to(s, at("::ffff:192.0.2.1", 0)));
	R(bind_to(s, at("ff02::1", 0)));
	R(bind(s, (struct sockaddr *)&a, 24));
	ENDS(s);
	R(bind_to(s, at(SELF, 0)));
	R(bind_to(stream(), at(SELF, port_of(s))));
	R(bind_to(stream(), at(ANY, port_of(s))));
	t = socket(AF_INET, SOCK_STREAM, 0);
	R(bind(t, (struct sockaddr *)&a, sizeof(a)));
	R(bind4(t, at4(INADDR_LOOPBACK, port_of(s))));
	R(bind(stream(), (struct sockaddr *)&a, 128));
}

CASE(scopes)
{
	int s = stream(), u = udp();

	R(bind_to(s, scoped("fe80::1", 0, 0)));
	R(bind_to(s, scoped("fe80::1", 0, 1)));
	R(bind_to(s, scoped("fe80::1", 0, 77)));
	R(bind_to(s, scoped("fe80::1", 0, 0x10001)));
	s = stream();
	R(bind_to(s, scoped(SELF, 0, 77)));
	ENDS(s);
	R(connect_to(stream(), scoped("fe80::1", 9, 0)));
	R(connect_to(stream(), scoped("fe80::1", 9, 77)));
	R(connect_to(u, scoped("fe80::1", 9, 0)));
	R(connect_to(stream(), at("ff02::1", 9)));
}

CASE(refused)
{
	int s = stream(), l = listener(SELF), port = port_of(l);
	struct sockaddr_in6 a = at(SELF, port);

	R(connect(s, (struct sockaddr *)&a, 1));
	R(connect(s, (struct sockaddr *)&a, 23));
	R(connect(s, (struct sockaddr *)&a, 129));
	R(connect4(s, at4(INADDR_LOOPBACK, port)));
	close(l);
	R(connect_to(stream(), at(MAPPED, port)));
	R(connect_to(s, at(SELF, port)));
	R(connect_to(s, at(ANY, port)));
	a.sin6_family = AF_INET;
	R(connect_to(s, a));
}

CASE(any_is_this_machine)
{
	int l = listener(ANY), s = stream();

	ENDS(l);
	R(connect_to(s, at(ANY, port_of(l))));
	ENDS(s);
	await_readable(l);
	ENDS(accept(l, NULL, NULL));
}

CASE(both_families)
{
	int l = listener(ANY), s = stream(), t = socket(AF_INET, SOCK_STREAM, 0), b;
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);
	char c[4];

	R(connect4(t, at4(INADDR_LOOPBACK, port_of(l))));
	b = (int)OK(accept(l, (struct sockaddr *)&a, &len));
	say_name(__LINE__, "accepted", 0, &a, len);
	ENDS(b);
	R(send(t, "abc", 3, 0));
	await_readable(b);
	R(recv(b, c, 3, 0));
	R(option(b, IPPROTO_IPV6, IPV6_V6ONLY));
	R(connect_to(s, at(MAPPED, port_of(l))));
	ENDS(s);
	await_readable(l);
	ENDS(accept(l, NULL, NULL));
	close(l);
	l = listener(MAPPED);
	ENDS(l);
	s = stream();
	R(connect_to(stream(), at(SELF, port_of(l))));
	R(connect_to(s, at("::ffff:0.0.0.0", port_of(l))));
	ENDS(s);
}

CASE(one_family)
{
	int l = stream(), s = stream(), t;

	R(option(l, IPPROTO_IPV6, IPV6_V6ONLY));
	R(set(l, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	R(option(l, IPPROTO_IPV6, IPV6_V6ONLY));
	R(bind_to(l, at(MAPPED, 0)));
	R(bind_to(l, at(ANY, 0)));
	R(set(l, IPPROTO_IPV6, IPV6_V6ONLY, 0));
	R(set(l, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	R(listen(l, 4));
	R(connect_to(stream(), at(MAPPED, port_of(l))));
	R(connect_to(s, at(SELF, port_of(l))));
	await_readable(l);
	R(option(accept(l, NULL, NULL), IPPROTO_IPV6, IPV6_V6ONLY));
	/* the port is free for the other */
	t = socket(AF_INET, SOCK_STREAM, 0);
	R(bind4(t, at4(INADDR_ANY, port_of(l))));
	R(listen(t, 4));
	s = stream();
	R(set(s, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	R(connect_to(s, at(MAPPED, port_of(l))));
	s = udp();
	R(set(s, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	R(send6(s, at(MAPPED, 9)));
	R(connect_to(s, at(MAPPED, 9)));
	R(send4(s, at4(INADDR_LOOPBACK, 9)));
}

static void taken(int line, int type, const char *ip, int only, int port)
{
	int s = socket(AF_INET6, type, 0);

	set(s, IPPROTO_IPV6, IPV6_V6ONLY, only);
	errno = 0;
	diff_result(line, ip, bind_to(s, at(ip, port)));
	close(s);
}

static void taken4(int line, int type, const char *text, uint32_t ip, int port)
{
	int s = socket(AF_INET, type, 0);

	errno = 0;
	diff_result(line, text, bind4(s, at4(ip, port)));
	close(s);
}

static void say_taken(int line, int type, int port)
{
	taken(line, type, ANY, 0, port);
	taken(line, type, ANY, 1, port);
	taken(line, type, SELF, 0, port);
	taken(line, type, MAPPED, 0, port);
	taken(line, type, "::ffff:0.0.0.0", 0, port);
	taken4(line, type, "0.0.0.0", INADDR_ANY, port);
	taken4(line, type, "127.0.0.1", INADDR_LOOPBACK, port);
}

CASE(ports)
{
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		static const char *const first[] = { ANY, SELF, MAPPED };
		int s;

		for (int i = 0; i < 3; i++) {
			s = socket(AF_INET6, type, 0);
			bind_to(s, at(first[i], 0));
			say("%d beside %s", type, first[i]);
			say_taken(__LINE__, type, port_of(s));
			close(s);
		}
		s = socket(AF_INET, type, 0);
		bind4(s, at4(INADDR_ANY, 0));
		say("%d beside 0.0.0.0", type);
		say_taken(__LINE__, type, port_of(s));
		close(s);
	}
}

CASE(datagrams)
{
	int a = udp(), b = udp(), c = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	struct sockaddr_in six = { .sin_family = AF_INET6 };
	struct sockaddr_in6 wrong = at(SELF, 9);
	char buf[8];
	int ret;

	R(bind_to(a, at(ANY, 0)));
	R(send6(b, at(SELF, port_of(a))));
	ENDS(b);
	await_readable(a);
	ret = (int)recvfrom(a, buf, 8, 0, (struct sockaddr *)&from, &len);
	say_name(__LINE__, "from", ret, &from, len);
	R(send4(c, at4(INADDR_LOOPBACK, port_of(a))));
	await_readable(a);
	ret = (int)recvfrom(a, buf, 8, 0, (struct sockaddr *)&from, &len);
	say_name(__LINE__, "from", ret, &from, len);
	/* back to it, as it was told */
	R(sendto(a, "y", 1, 0, (struct sockaddr *)&from, len));
	await_readable(c);
	R(recv(c, buf, 8, 0));
	R(send6(b, at(MAPPED, port_of(a))));
	R(send4(b, at4(INADDR_LOOPBACK, port_of(a))));
	R(sendto(b, "x", 1, 0, (struct sockaddr *)&six, sizeof(six)));
	R(sendto(b, "x", 1, 0, (struct sockaddr *)&from, 23));
	wrong.sin6_family = AF_UNSPEC;
	R(send6(b, wrong));
	wrong.sin6_family = 77;
	R(send6(b, wrong));
	R(send6(b, at(SELF, 0)));
	R(send6(b, at(ANY, port_of(a))));
	R(connect_to(b, at(SELF, port_of(a))));
	ENDS(b);
	R(send(b, "z", 1, 0));
	wrong.sin6_family = AF_UNSPEC;
	R(send6(b, wrong));
	R(connect_to(b, wrong));
	ENDS(b);
	b = udp();
	R(connect_to(b, at(MAPPED, port_of(a))));
	ENDS(b);
	b = udp();
	R(connect4(b, at4(INADDR_LOOPBACK, port_of(a))));
	ENDS(b);
}

CASE(datagrams_refused)
{
	int s = udp(), t = udp(), port;
	char c;

	bind_to(t, at(SELF, 0));
	port = port_of(t);
	close(t);
	R(connect_to(s, at(SELF, port)));
	R(send(s, "x", 1, 0));
	AWAIT(poll(&(struct pollfd){ s, 0, 0 }, 1, 0) == 1);
	R(recv(s, &c, 1, 0));
	R(recv(s, &c, 1, MSG_DONTWAIT));
	s = udp();
	R(connect_to(s, at(MAPPED, port)));
	R(send(s, "x", 1, 0));
	AWAIT(poll(&(struct pollfd){ s, 0, 0 }, 1, 0) == 1);
	R(send(s, "x", 1, 0));
}

CASE(large_datagrams)
{
	static char buf[65536];
	int a = udp(), b = udp();

	bind_to(a, at(SELF, 0));
	connect_to(b, at(SELF, port_of(a)));
	R(send(b, buf, 40000, 0));
	await_readable(a);
	R(recv(a, buf, sizeof(buf), 0));
	R(send(b, buf, 65528, 0));
}

CASE(options)
{
	int s = stream(), four = socket(AF_INET, SOCK_STREAM, 0), l = listener(SELF), n = 0;

	R(option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS));
	R(set(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9));
	R(option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS));
	R(set(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256));
	R(set(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -2));
	R(set(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1));
	R(option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS));
	R(option(s, IPPROTO_IPV6, IPV6_MTU));
	R(connect_to(s, at(SELF, port_of(l))));
	R(option(s, IPPROTO_IPV6, IPV6_MTU));
	R(setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &n, 3));
	R(set(s, IPPROTO_IPV6, 4711, 1));
	R(option(s, IPPROTO_IPV6, 4711));
	R(set(four, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	s = udp();
	R(option(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT));
	R(set(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
	R(option(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT));
}

static void say_message(int line, int s, size_t room)
{
	char control[64] __attribute__((aligned(8))), data[8];
	struct iovec v = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = (socklen_t)room };
	struct cmsghdr *c;
	ssize_t n;

	await_readable(s);
	n = recvmsg(s, &m, 0);
	diff_say(line, "%d bytes, %d of control, flags %x", (int)n, (int)m.msg_controllen,
		 m.msg_flags);
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_len == CMSG_LEN(4))
		diff_say(line, "level %d type %d: %d", c->cmsg_level, c->cmsg_type,
			 *(int *)CMSG_DATA(c));
	else if (c)
		diff_say(line, "of %d", (int)c->cmsg_len);
}

CASE(hops)
{
	static const size_t room[] = { 64, 24, 23, 20, 19, 16, 15, 0 };
	int a = udp(), b = udp();

	bind_to(a, at(SELF, 0));
	connect_to(b, at(SELF, port_of(a)));
	R(send(b, "x", 1, 0));
	say_message(__LINE__, a, 64);
	R(set(a, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
	for (size_t i = 0; i < sizeof(room) / sizeof(room[0]); i++) {
		R(set(b, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 10 + (int)i));
		R(send(b, "x", 1, 0));
		say_message(__LINE__, a, room[i]);
	}
	R(set(a, IPPROTO_IPV6, IPV6_2292HOPLIMIT, 1));
	R(option(a, IPPROTO_IPV6, IPV6_2292HOPLIMIT));
	R(send(b, "x", 1, 0));
	say_message(__LINE__, a, 64);
	R(set(a, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0));
	R(send(b, "x", 1, 0));
	say_message(__LINE__, a, 64);
}

CASE(raw)
{
	int s = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	struct icmp6_hdr echo = { .icmp6_type = ICMP6_ECHO_REQUEST,
				  .icmp6_cksum = 77,
				  .icmp6_id = htons(4711),
				  .icmp6_seq = htons(5) };
	struct sockaddr_in6 to = at(SELF, 0), from;
	socklen_t len = sizeof(from);
	struct icmp6_filter f;
	struct icmp6_hdr got;
	int ret;

	R(option(s, SOL_RAW, IPV6_CHECKSUM));
	R(set(s, SOL_RAW, IPV6_CHECKSUM, 3));
	R(set(s, SOL_RAW, IPV6_CHECKSUM, 2));
	len = sizeof(f);
	R(getsockopt(s, IPPROTO_ICMPV6, ICMP6_FILTER, &f, &len));
	say("%d: %x %x", (int)len, f.icmp6_filt[0], f.icmp6_filt[7]);
	ICMP6_FILTER_SETBLOCKALL(&f);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &f);
	R(setsockopt(s, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof(f)));
	R(setsockopt(udp(), IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof(f)));
	R(sendto(s, &echo, 8, 0, (struct sockaddr *)&to, sizeof(to)));
	await_readable(s);
	len = sizeof(from);
	ret = (int)recvfrom(s, &got, sizeof(got), 0, (struct sockaddr *)&from, &len);
	say_name(__LINE__, "from", ret, &from, len);
	say("%d: type %d id %d seq %d", ret, got.icmp6_type, ntohs(got.icmp6_id),
	    ntohs(got.icmp6_seq));
	R(recv(s, &got, sizeof(got), MSG_DONTWAIT));
	R(sendto(s, &echo, 3, 0, (struct sockaddr *)&to, sizeof(to)));
	R(bind_to(s, at(MAPPED, 0)));
	R(bind_to(s, at(SELF, 0)));
	R(connect_to(s, to));
	R(send(s, &echo, 8, 0));
	await_readable(s);
	R(recv(s, &got, sizeof(got), 0));
}
