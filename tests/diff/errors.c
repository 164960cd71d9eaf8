/* SPDX-License-Identifier: MIT */
/* ICMP errors, as root can forge them: which of them UDP sockets are told, and as what. */
#include <netinet/ip_icmp.h>
#include "tests/diff/lib/inet.h"

static int bound(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	bind(s, (struct sockaddr *)&a, sizeof(a));
	return s;
}

static uint16_t sum(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t n = 0;

	for (size_t i = 0; i < size; i += 2)
		n += (uint32_t)(p[i] | p[i + 1] << 8);
	while (n >> 16)
		n = (n & 0xffff) + (n >> 16);
	return (uint16_t)~n;
}

/* An error about a datagram from `sender` to `to`. */
static void forge(int type, int code, struct sockaddr_in sender, struct sockaddr_in to)
{
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct {
		struct icmphdr icmp;
		uint8_t ip[20];
		uint16_t src, dest, len, sum;
	} p = { .icmp = { .type = (uint8_t)type, .code = (uint8_t)code },
		.ip = { 0x45, [3] = 28, [8] = 64, [9] = IPPROTO_UDP },
		.src = sender.sin_port,
		.dest = to.sin_port,
		.len = htons(8) };

	memcpy(p.ip + 12, &sender.sin_addr, 4);
	memcpy(p.ip + 16, &to.sin_addr, 4);
	if (type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED)
		p.icmp.un.frag.mtu = htons(1400);
	p.icmp.checksum = sum(&p, sizeof(p));
	to.sin_port = 0;
	sendto(s, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to));
	close(s);
}

/* What a is told; a datagram that comes behind the error says that it has come. */
static void told(int line, const char *what, int n, int a, int b)
{
	struct sockaddr_in to = name_of(a);
	struct pollfd p = { a, POLLIN, 0 };
	int error = -1;
	char c;

	sendto(b, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	AWAIT(poll(&p, 1, 0) == 1 && (p.revents & POLLIN));
	diff_say(line, "%s %d:%s%s", what, n, p.revents & POLLERR ? " ERR" : "",
		 p.revents & POLLHUP ? " HUP" : "");
	getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof(error) });
	diff_say(line, "%s", error ? errno_name(error) : "nothing");
	R(recv(a, &c, 1, MSG_DONTWAIT));
}
#define TOLD(what, n, a, b) told(__LINE__, what, n, a, b)

static void connected(int *a, int *b)
{
	struct sockaddr_in to;

	*a = bound();
	*b = bound();
	to = name_of(*b);
	connect(*a, (struct sockaddr *)&to, sizeof(to));
}

CASE(unreachable)
{
	int a, b;

	connected(&a, &b);
	for (int code = 0; code < 20; code++) {
		forge(ICMP_DEST_UNREACH, code, name_of(a), name_of(b));
		TOLD("code", code, a, b);
	}
}

CASE(other_types)
{
	static const int types[] = { ICMP_SOURCE_QUENCH, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB,
				     ICMP_ECHOREPLY,	 ICMP_TIMESTAMP,     40 };
	int a, b;

	connected(&a, &b);
	for (int i = 0; i < 6; i++) {
		for (int code = 0; code < 2; code++) {
			forge(types[i], code, name_of(a), name_of(b));
			TOLD("type", types[i], a, b);
		}
	}
}

/* Who is not connected hears of none. */
CASE(not_connected)
{
	int a = bound(), b = bound();

	for (int code = 0; code < 5; code++) {
		forge(ICMP_DEST_UNREACH, code, name_of(a), name_of(b));
		TOLD("code", code, a, b);
	}
}

/* Two errors before one call: the last counts. */
CASE(two_at_once)
{
	int a, b;

	connected(&a, &b);
	forge(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, name_of(a), name_of(b));
	forge(ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, name_of(a), name_of(b));
	TOLD("two", 2, a, b);
	forge(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, name_of(a), name_of(b));
	forge(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, name_of(a), name_of(b));
	TOLD("two", 2, a, b);
}

static int told_of_all(int domain, uint16_t port)
{
	int s = socket(domain, SOCK_DGRAM, 0), one = 1;
	struct sockaddr_in6 a = { .sin6_family = (sa_family_t)domain, .sin6_port = port };

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(s, IPPROTO_IP, IP_RECVERR, &one, sizeof(one));
	setsockopt(s, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one));
	setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	bind(s, (struct sockaddr *)&a, domain == AF_INET ? 16 : sizeof(a));
	return s;
}

static void say_error(int line, const char *who, int s)
{
	int error = -1;

	getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof(error) });
	diff_say(line, "%s: %s", who, error ? errno_name(error) : "nothing");
}

/* One port of several: the error is for whose datagram it was. */
CASE(whose)
{
	int b = bound(), c, any, v6;
	struct sockaddr_in to = name_of(b), me;

	c = told_of_all(AF_INET, 0);
	me = name_of(c);
	me.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v6 = told_of_all(AF_INET6, me.sin_port);
	forge(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, me, to);
	say_error(__LINE__, "IPv6 alone", v6);
	say_error(__LINE__, "IPv4", c);
	connect(c, (struct sockaddr *)&to, sizeof(to));
	any = told_of_all(AF_INET, me.sin_port);
	forge(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, me, to);
	say_error(__LINE__, "not connected", any);
	say_error(__LINE__, "connected", c);
	to.sin_port ^= 0x100;
	forge(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, me, to);
	say_error(__LINE__, "connected to another", c);
	say_error(__LINE__, "not connected", any);
}
