/* SPDX-License-Identifier: MIT */
/* Each option of each kind of socket, with each length and with values at every edge: what setsockopt says, and what
 * getsockopt finds then. */
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "tests/diff/lib/diff.h"

static const struct option {
	const char *name;
	int level, number;
	bool size; /* its value is the kernel's choice */
} options[] = {
	{ "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, false },
	{ "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, false },
	{ "SO_BROADCAST", SOL_SOCKET, SO_BROADCAST, false },
	{ "SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, true },
	{ "SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, true },
	{ "SO_TYPE", SOL_SOCKET, SO_TYPE, false },
	{ "SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL, false },
	{ "SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, false },
	{ "SO_ERROR", SOL_SOCKET, SO_ERROR, false },
	{ "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, false },
	{ "IP_TTL", IPPROTO_IP, IP_TTL, false },
	{ "none of SOL_SOCKET", SOL_SOCKET, 9999, false },
	{ "none of a level", 99, 1, false },
};
#define OPTIONS ((int)(sizeof(options) / sizeof(options[0])))

static const char *outcome(long ret)
{
	return ret < 0 ? errno_name(errno) : "ok";
}

/* The value, or what is known of it. */
static const char *shown(const struct option *o, int value)
{
	static char text[20];

	if (o->size)
		return value >= 2048 ? "enough" : "little";
	snprintf(text, sizeof(text), "%d", value);
	return text;
}

static void say_value(int s, const struct option *o, const char *what)
{
	int value = -77;
	socklen_t len = sizeof(value);
	const char *how = outcome(getsockopt(s, o->level, o->number, &value, &len));

	say("%s %s: then %s, %s of %d", o->name, what, how, shown(o, value), (int)len);
}

static void set_each_value(int s, const struct option *o)
{
	static const int values[] = { 1,   0,	2,   -1,   7,	    64,	     128,
				      255, 256, 257, 4096, INT_MAX, INT_MIN, 0x10000 };

	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char what[40];
		long ret = setsockopt(s, o->level, o->number, &values[i], 4);

		snprintf(what, sizeof(what), "set to %d is %s", values[i], outcome(ret));
		say_value(s, o, what);
	}
}

static void set_each_length(int s, const struct option *o)
{
	static const int lengths[] = { 0, 1, 2, 3, 4, 5, 8, 16, 128, -1, INT_MIN };
	int values[64] = { 1 };

	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char what[40];
		long ret = setsockopt(s, o->level, o->number, values, (socklen_t)lengths[i]);

		snprintf(what, sizeof(what), "set by %d is %s", lengths[i], outcome(ret));
		say_value(s, o, what);
	}
}

static void get_each_length(int s, const struct option *o)
{
	static const int lengths[] = { 0, 1, 2, 3, 4, 5, 8, 16, -1, INT_MIN };

	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		unsigned char got[64];
		socklen_t len = (socklen_t)lengths[i];
		int wrote = 0;
		const char *how;

		memset(got, 0xa5, sizeof(got));
		how = outcome(getsockopt(s, o->level, o->number, got, &len));
		while (wrote < 64 && got[wrote] != 0xa5)
			wrote++;
		say("%s got by %d: %s, %d, %d bytes", o->name, lengths[i], how, (int)len, wrote);
	}
	errno = 0;
	say("%s nowhere: %s", o->name, outcome(setsockopt(s, o->level, o->number, BAD, 4)));
	say("%s to nowhere: %s", o->name,
	    outcome(getsockopt(s, o->level, o->number, BAD, &(socklen_t){ 4 })));
	say("%s without a length: %s", o->name,
	    outcome(getsockopt(s, o->level, o->number, &(int){ 0 }, BAD)));
}

static void each_option(int type, int protocol)
{
	for (int i = 0; i < OPTIONS; i++) {
		int s = socket(AF_INET, type, protocol);

		say_value(s, &options[i], "as made");
		set_each_value(s, &options[i]);
		close(s);
		s = socket(AF_INET, type, protocol);
		set_each_length(s, &options[i]);
		get_each_length(s, &options[i]);
		close(s);
	}
}

CASE(of_tcp)
{
	each_option(SOCK_STREAM, 0);
}

CASE(of_udp)
{
	each_option(SOCK_DGRAM, 0);
}

CASE(of_ping)
{
	each_option(SOCK_DGRAM, IPPROTO_ICMP);
}

CASE(of_raw)
{
	each_option(SOCK_RAW, IPPROTO_ICMP);
}

/* --- what is no number ------------------------------------------------------------------------------------------------ */

static void times(int s, int which, const char *name)
{
	static const struct timeval t[] = {
		{ 0, 0 },	 { 1, 500000 },	      { 0, 1 },
		{ 0, 900000 },	 { 0, 1000000 },      { 1, -1 },
		{ -1, 0 },	 { -1, 900000 },      { LONG_MAX, 0 },
		{ LONG_MIN, 0 }, { LONG_MAX / 2, 5 },
	};
	static const int lengths[] = { 0, 1, 8, 15, 16, 17, 64, -1 };
	struct timeval got, many[8] = { { 2, 0 } };
	socklen_t len;

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		long ret = setsockopt(s, SOL_SOCKET, which, &t[i], sizeof(t[i]));
		const char *how = outcome(ret);

		len = sizeof(got);
		getsockopt(s, SOL_SOCKET, which, &got, &len);
		/* the kernel's tick is as long as it likes */
		say("%s %ld.%ld is %s: %ld s and %s, of %d", name, (long)t[i].tv_sec,
		    (long)t[i].tv_usec, how, (long)got.tv_sec, got.tv_usec ? "a part" : "no part",
		    (int)len);
	}
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		say("%s by %d: %s", name, lengths[i],
		    outcome(setsockopt(s, SOL_SOCKET, which, many, (socklen_t)lengths[i])));
		len = (socklen_t)lengths[i];
		many[0].tv_sec = 2;
		say("%s got by %d: %s", name, lengths[i],
		    outcome(getsockopt(s, SOL_SOCKET, which, many, &len)));
		say("%d", (int)len);
		many[0].tv_sec = 2;
	}
}

CASE(time_outs)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);

	times(s, SO_RCVTIMEO, "SO_RCVTIMEO");
	times(s, SO_SNDTIMEO, "SO_SNDTIMEO");
}

/* Of no time alone: to wait in close is a gap. */
CASE(lingers)
{
	static const struct linger l[] = { { 0, 0 }, { 1, 0 }, { 0, 9 }, { 7, 0 }, { -1, 0 } };
	static const int lengths[] = { 0, 4, 7, 8, 9, 16, -1 };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	for (unsigned i = 0; i < sizeof(l) / sizeof(l[0]); i++) {
		struct linger got = { 55, 55 };
		socklen_t len = sizeof(got);

		R(setsockopt(s, SOL_SOCKET, SO_LINGER, &l[i], sizeof(l[i])));
		R(getsockopt(s, SOL_SOCKET, SO_LINGER, &got, &len));
		say("%d %d of %d", got.l_onoff, got.l_linger, (int)len);
	}
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct linger many[4] = { { 1, 0 } };
		socklen_t len = (socklen_t)lengths[i];

		say("by %d: %s", lengths[i],
		    outcome(setsockopt(s, SOL_SOCKET, SO_LINGER, many, len)));
		say("got by %d: %s", lengths[i],
		    outcome(getsockopt(s, SOL_SOCKET, SO_LINGER, many, &len)));
		say("%d", (int)len);
	}
	R(setsockopt(s, SOL_SOCKET, SO_LINGER, BAD, 8));
	R(getsockopt(s, SOL_SOCKET, SO_LINGER, BAD, &(socklen_t){ 8 }));
}

/* What options say of a connection, its listener and what was accepted. */
CASE(inherited)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval t = { 3, 0 };
	struct linger l = { 1, 0 };
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0), b;

	for (int i = 0; i < OPTIONS; i++)
		if (!options[i].size && options[i].number != IP_TTL)
			setsockopt(listener, options[i].level, options[i].number, &(int){ 1 }, 4);
	setsockopt(listener, IPPROTO_IP, IP_TTL, &(int){ 33 }, 4);
	setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(listener, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	bind(listener, (struct sockaddr *)&a, sizeof(a));
	R(listen(listener, 3));
	getsockname(listener, (struct sockaddr *)&a, &len);
	R(connect(s, (struct sockaddr *)&a, sizeof(a)));
	b = (int)OK(accept(listener, NULL, NULL));
	for (int i = 0; i < OPTIONS; i++) {
		say_value(listener, &options[i], "of the listener");
		say_value(s, &options[i], "of the caller");
		say_value(b, &options[i], "of the called");
	}
	len = sizeof(t);
	memset(&t, 0, sizeof(t));
	R(getsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &t, &len));
	R(t.tv_sec);
	len = sizeof(l);
	memset(&l, 0, sizeof(l));
	R(getsockopt(b, SOL_SOCKET, SO_LINGER, &l, &len));
	R(l.l_onoff);
}

/* --- what C libraries' resolvers ask for ------------------------------------------------------------------------------ */

/* Of port 1 nobody hears. Errors are told also of what was sent without a connection. */
CASE(told_of_errors)
{
	struct sockaddr_in dead = { .sin_family = AF_INET, .sin_port = htons(1) };
	char b;

	dead.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 4; i++) {
		int s = socket(AF_INET, SOCK_DGRAM, 0), told = i & 1, value = 7;
		socklen_t len = sizeof(value);

		R(setsockopt(s, IPPROTO_IP, IP_RECVERR, &told, sizeof(told)));
		R(getsockopt(s, IPPROTO_IP, IP_RECVERR, &value, &len));
		say("%d of %d", value, (int)len);
		if (i & 2)
			R(connect(s, (void *)&dead, sizeof(dead)));
		R(sendto(s, "a", 1, 0, i & 2 ? NULL : (void *)&dead, i & 2 ? 0 : sizeof(dead)));
		R(recv(s, &b, 1, MSG_DONTWAIT));
		R(recv(s, &b, 1, MSG_DONTWAIT));
		close(s);
	}
}
