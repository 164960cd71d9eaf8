/* SPDX-License-Identifier: MIT */
/* Every call on a socket in every state it can be in over loop-back, one at a time, and how ready it is before and after:
 * by poll, and by epoll of each kind. Whoever would wait says EAGAIN. */
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include "tests/diff/lib/inet.h"

/* What each case finds: the socket itself, its other end, who listens, and a port of nobody. */
static int s, other, l;
static struct sockaddr_in nobody;

static long send_to(int fd, struct sockaddr_in a)
{
	return sendto(fd, "to", 2, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&a, sizeof(a));
}

static const char *event_names(int e)
{
	static char text[80];

	snprintf(text, sizeof(text), "%s%s%s%s%s%s", e & POLLIN ? " IN" : "",
		 e & POLLOUT ? " OUT" : "", e & POLLPRI ? " PRI" : "",
		 e & POLLRDHUP ? " RDHUP" : "", e & POLLHUP ? " HUP" : "",
		 e & POLLERR ? " ERR" : "");
	return *text ? text : " none";
}

static void reset(int fd)
{
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	close(fd);
}

/* --- states -------------------------------------------------------------------------------------------------------- */

static void listen_at_l(void)
{
	l = socket(AF_INET, SOCK_STREAM, 0);
	bind_to(l, at(INADDR_LOOPBACK, 0));
	listen(l, 8);
}

static void fresh(void)
{
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static void bound(void)
{
	fresh();
	bind_to(s, at(INADDR_LOOPBACK, 0));
}

static void listening(void)
{
	bound();
	listen(s, 4);
}

static void listening_and_called(void)
{
	listening();
	other = socket(AF_INET, SOCK_STREAM, 0);
	connect_to(other, name_of(s));
	AWAIT(events_of(s) & POLLIN);
}

/* Of an address that nobody has: under way as long as the case looks. */
static void connecting(void)
{
	fresh();
	connect_to(s, at(0x0a000263, 80));
}

static void refused(void)
{
	fresh();
	connect_to(s, nobody);
	AWAIT(events_of(s) & POLLERR);
}

static void open_pair(void)
{
	fresh();
	connect_to(s, name_of(l));
	AWAIT(events_of(s) & POLLOUT);
	other = accept(l, NULL, NULL);
}

static void open_with_bytes(void)
{
	open_pair();
	send(other, "hello", 5, 0);
	AWAIT(events_of(s) & POLLIN);
}

static void full(void)
{
	static char buf[65536];

	open_pair();
	/* until what is under way has come to rest, too; how many bytes there is room for is the kernel's choice */
	do
		while (send(s, buf, sizeof(buf), 0) > 0)
			;
	while (poll(&(struct pollfd){ s, POLLOUT, 0 }, 1, 100) > 0);
}

static void shut_to_write(void)
{
	open_pair();
	shutdown(s, SHUT_WR);
	AWAIT(events_of(other) & POLLRDHUP);
}

static void shut_to_read(void)
{
	open_with_bytes();
	shutdown(s, SHUT_RD);
}

static void shut_both(void)
{
	open_pair();
	shutdown(s, SHUT_RDWR);
	AWAIT(events_of(other) & POLLRDHUP);
}

static void peer_shut(void)
{
	open_with_bytes();
	shutdown(other, SHUT_WR);
	AWAIT(events_of(s) & POLLRDHUP);
}

static void both_shut(void)
{
	open_with_bytes();
	shutdown(s, SHUT_WR);
	shutdown(other, SHUT_WR);
	AWAIT(events_of(s) & POLLHUP);
}

static void peer_gone(void)
{
	open_with_bytes();
	close(other);
	AWAIT(events_of(s) & POLLRDHUP);
}

static void was_reset(void)
{
	open_with_bytes();
	reset(other);
	AWAIT(events_of(s) & POLLERR);
}

static void reset_and_told(void)
{
	was_reset();
	getsockopt(s, SOL_SOCKET, SO_ERROR, &(int){ 0 }, &(socklen_t){ 4 });
}

static void udp_fresh(void)
{
	s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
}

static void udp_bound(void)
{
	udp_fresh();
	bind_to(s, at(INADDR_LOOPBACK, 0));
}

static void udp_with_two(void)
{
	udp_bound();
	other = socket(AF_INET, SOCK_DGRAM, 0);
	sendto(other, "first", 5, 0, (struct sockaddr *)&(struct sockaddr_in){ 0 }, 0);
	send_to(other, name_of(s));
	send_to(other, name_of(s));
	AWAIT(events_of(s) & POLLIN);
}

static void udp_connected(void)
{
	other = socket(AF_INET, SOCK_DGRAM, 0);
	bind_to(other, at(INADDR_LOOPBACK, 0));
	udp_fresh();
	connect_to(s, name_of(other));
}

static void udp_refused(void)
{
	udp_connected();
	close(other);
	other = -1;
	send(s, "?", 1, 0);
	AWAIT(events_of(s) & POLLERR);
}

static void udp_shut(void)
{
	udp_connected();
	shutdown(s, SHUT_RDWR);
}

static void ping(void)
{
	s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_ICMP);
}

static void ping_answered(void)
{
	struct icmphdr out = { .type = ICMP_ECHO };
	struct sockaddr_in a = at(INADDR_LOOPBACK, 0);

	ping();
	sendto(s, &out, sizeof(out), 0, (struct sockaddr *)&a, sizeof(a));
	AWAIT(events_of(s) & POLLIN);
}

static void raw(void)
{
	s = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

static struct sockaddr_in any(void)
{
	return at(INADDR_LOOPBACK, 0);
}

static long take(int flags)
{
	char buf[16];

	return recv(s, buf, sizeof(buf), flags);
}

static long give(int flags)
{
	return send(s, "give", 4, flags | MSG_NOSIGNAL);
}

static long number(long ret, int n)
{
	return ret < 0 ? ret : n;
}

static long queued(unsigned long what)
{
	int n = -1;

	return number(ioctl(s, what, &n), n);
}

static long option(int level, int which)
{
	int n = -1;
	long ret = getsockopt(s, level, which, &n, &(socklen_t){ sizeof(n) });

	return number(ret, n);
}

/* 0 none, 1 of loop-back without a port, 2 with one. */
static long kind_of_name(int (*fn)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_in a = { 0 };
	socklen_t len = sizeof(a);
	long ret = fn(s, (struct sockaddr *)&a, &len);

	return number(ret, len != 16 ? -2 : (a.sin_addr.s_addr ? 1 : 0) + (a.sin_port ? 2 : 0));
}

static long message(bool out, int flags)
{
	char one[3] = "abc", two[20] = "defgh", name[32];
	struct iovec iov[2] = { { one, 3 }, { two, 5 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	if (out)
		return sendmsg(s, &m, flags | MSG_NOSIGNAL);
	m.msg_name = name;
	m.msg_namelen = sizeof(name);
	return number(recvmsg(s, &m, flags), (int)(m.msg_namelen * 10000) + m.msg_flags);
}

static long without_a_peer(void)
{
	return connect(s, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr));
}

#define CALLS(X)                                                                                   \
	X(bind_to(s, any()))                                                                       \
	X(listen(s, 1))                                                                            \
	X(accept4(s, NULL, NULL, SOCK_NONBLOCK) < 0 ? -1 : 0)                                      \
	X(connect_to(s, name_of(l)))                                                               \
	X(connect_to(s, nobody))                                                                   \
	X(shutdown(s, SHUT_RD))                                                                    \
	X(shutdown(s, SHUT_WR))                                                                    \
	X(shutdown(s, SHUT_RDWR))                                                                  \
	X(shutdown(s, -1))                                                                         \
	X(kind_of_name(getsockname))                                                               \
	X(kind_of_name(getpeername))                                                               \
	X(take(0))                                                                                 \
	X(take(MSG_DONTWAIT))                                                                      \
	X(take(MSG_PEEK))                                                                          \
	X(take(MSG_WAITALL))                                                                       \
	X(take(MSG_TRUNC))                                                                         \
	X(take(MSG_PEEK | MSG_TRUNC))                                                              \
	X(take(MSG_NOSIGNAL))                                                                      \
	X(take(MSG_CMSG_CLOEXEC))                                                                  \
	X(recv(s, NULL, 0, 0))                                                                     \
	X(recv(s, NULL, 0, MSG_PEEK))                                                              \
	X(recv(s, BAD, 4, 0))                                                                      \
	X(read(s, &(char){ 0 }, 1))                                                                \
	X(message(false, 0))                                                                       \
	X(message(false, MSG_TRUNC))                                                               \
	X(give(0))                                                                                 \
	X(give(MSG_DONTWAIT))                                                                      \
	X(send(s, NULL, 0, MSG_NOSIGNAL))                                                          \
	X(send(s, BAD, 4, MSG_NOSIGNAL))                                                           \
	X(write(s, "w", 1))                                                                        \
	X(message(true, 0))                                                                        \
	X(send_to(s, name_of(l)))                                                                  \
	X(send_to(s, at(INADDR_LOOPBACK, 0)))                                                      \
	X(sendto(s, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&(struct sockaddr_in){ 0 }, 16))      \
	X(queued(FIONREAD))                                                                        \
	X(option(SOL_SOCKET, SO_ERROR))                                                            \
	X(option(SOL_SOCKET, SO_ACCEPTCONN))                                                       \
	X(close(s))

typedef long (*call_fn)(void);

/* clang-format off */
#define TEXT(call) #call,
static const char *const call_texts[] = { CALLS(TEXT) };
/* clang-format on */
#define CALL_COUNT ((int)(sizeof(call_texts) / sizeof(call_texts[0])))

static long make_call(int which)
{
	int i = 0;
	long ret = 0;

#define MAKE(call)                                                                                 \
	if (i++ == which)                                                                          \
		ret = (long)(call);
	CALLS(MAKE)
	return ret;
}

/* --- how ready --------------------------------------------------------------------------------------------------------- */

static int wait_once(int ep)
{
	struct epoll_event ev = { 0 };

	return epoll_wait(ep, &ev, 1, 0) == 1 ? (int)ev.events : 0;
}

static void watched_by(uint32_t kind, const char *name)
{
	struct epoll_event ev = { .events = kind | EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI };
	int ep = epoll_create1(0);

	epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
	say("%s, first:%s", name, event_names(wait_once(ep)));
	say("%s, again:%s", name, event_names(wait_once(ep)));
	epoll_ctl(ep, EPOLL_CTL_MOD, s, &ev);
	say("%s, anew:%s", name, event_names(wait_once(ep)));
	/* one event alone is asked for; errors are told unasked */
	ev.events = kind | EPOLLPRI;
	epoll_ctl(ep, EPOLL_CTL_MOD, s, &ev);
	say("%s, unasked:%s", name, event_names(wait_once(ep)));
	close(ep);
}

static void end_all(void)
{
	for (int fd = 3; fd < 20; fd++)
		close(fd);
	other = -1;
}

static void begin(void (*make)(void))
{
	other = -1;
	listen_at_l();
	nobody = name_of(l);
	close(l);
	listen_at_l();
	make();
}

/* Does the text begin with one of the words? */
static bool is_one_of(const char *text, const char *words)
{
	char name[40];

	snprintf(name, sizeof(name), " %.*s ", (int)strcspn(text, "("), text);
	return strstr(words, name) != NULL;
}

/* `odd`: calls in which tern differs here. They have cases of their own, at the end. */
static void in_state(void (*make)(void), const char *odd)
{
	signal(SIGPIPE, SIG_IGN);
	begin(make);
	say("as it is:%s", event_names(events_of(s)));
	watched_by(0, "level");
	watched_by(EPOLLET, "edge");
	watched_by(EPOLLONESHOT, "one shot");
	end_all();
	for (int i = 0; i < CALL_COUNT; i++) {
		long ret;

		if (is_one_of(call_texts[i], odd))
			continue;
		begin(make);
		errno = 0;
		ret = make_call(i);
		if (ret < 0 && errno)
			say("%s = %s,%s", call_texts[i], errno_name(errno),
			    event_names(events_of(s)));
		else
			say("%s = %ld,%s", call_texts[i], ret, event_names(events_of(s)));
		end_all();
	}
}

#define STATE(name, odd)                                                                           \
	CASE(name)                                                                                 \
	{                                                                                          \
		in_state(name, odd);                                                               \
	}

STATE(fresh, "")
STATE(bound, "")
STATE(listening, "")
STATE(listening_and_called, "")
STATE(connecting, "")
STATE(refused, " bind_to ")
STATE(open_pair, "")
STATE(open_with_bytes, "")
STATE(full, " give send write message send_to sendto ")
STATE(shut_to_write, "")
STATE(shut_to_read, "")
STATE(shut_both, "")
STATE(peer_shut, "")
STATE(both_shut, " bind_to ")
STATE(peer_gone, "")
STATE(was_reset, " bind_to ")
STATE(reset_and_told, " bind_to ")
STATE(udp_fresh, "")
STATE(udp_bound, "")
STATE(udp_with_two, " recv ")
STATE(udp_connected, "")
STATE(udp_refused, "")
STATE(udp_shut, "")
STATE(ping, " message ")
STATE(ping_answered, " message ")
STATE(raw, " kind_of_name sendto ")

/* --- not connected any more ------------------------------------------------------------------------------------------ */

CASE(disconnected)
{
	begin(open_pair);
	R(without_a_peer());
	say("%s", event_names(events_of(s)));
	R(kind_of_name(getpeername));
}

static void connected_anew(const char *name, void (*make)(void))
{
	begin(make);
	say("%s:", name);
	R(without_a_peer());
	say("%s", event_names(events_of(s)));
	R(take(0));
	R(take(0));
	R(give(0));
	R(connect_to(s, name_of(l)));
	AWAIT(events_of(s) & POLLOUT);
	say("%s", event_names(events_of(s)));
	R(option(SOL_SOCKET, SO_ERROR));
	R(connect_to(s, name_of(l)));
	R(give(0));
	R(without_a_peer());
	R(connect_to(s, nobody));
	AWAIT(events_of(s) & POLLERR);
	R(connect_to(s, nobody));
	end_all();
}

CASE(connected_again)
{
	connected_anew("fresh", fresh);
	connected_anew("refused", refused);
	connected_anew("connecting", connecting);
	connected_anew("open", open_pair);
	connected_anew("with bytes", open_with_bytes);
	connected_anew("shut to write", shut_to_write);
	connected_anew("shut to read", shut_to_read);
	connected_anew("shut both", shut_both);
	connected_anew("peer shut", peer_shut);
	connected_anew("peer gone", peer_gone);
	connected_anew("both shut", both_shut);
	connected_anew("reset", was_reset);
	connected_anew("reset and told", reset_and_told);
	connected_anew("called", listening_and_called);
}

/* A shutdown that fails counts all the same. */
CASE(shut_before)
{
	begin(fresh);
	R(shutdown(s, SHUT_RD));
	R(take(0));
	R(give(0));
	R(shutdown(s, SHUT_WR));
	say("%s", event_names(events_of(s)));
	R(give(0));
	R(without_a_peer());
	say("%s", event_names(events_of(s)));
	R(take(0));
}

/* It counts for the connection that is made then, too; but what has not been told of its end yet can be. */
CASE(shut_and_connected)
{
	static const int ways[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };

	for (unsigned i = 0; i < 3; i++) {
		begin(fresh);
		R(shutdown(s, ways[i]));
		R(connect_to(s, name_of(l)));
		AWAIT(events_of(s) & POLLOUT);
		other = accept(l, NULL, NULL);
		R(connect_to(s, name_of(l)));
		say("%s", event_names(events_of(s)));
		R(give(0));
		R(take(0));
		AWAIT(ways[i] != SHUT_RD || events_of(other) & POLLIN);
		R(recv(other, &(char){ 0 }, 1, MSG_DONTWAIT));
		R(shutdown(s, SHUT_WR));
		AWAIT(events_of(other) & POLLRDHUP);
		say("%s,", event_names(events_of(other)));
		say("%s", event_names(events_of(s)));
		R(shutdown(s, SHUT_WR));
		end_all();
	}
}

static int reader(void *arg)
{
	fcntl(s, F_SETFL, 0);
	return take(0) < 0 ? errno : 0;
}

/* Who sleeps in a read of a connection that another lets go of does not read what the next one brings. */
CASE(read_across_the_end)
{
	pid_t pid;

	begin(open_pair);
	pid = start_child(reader, NULL);
	until_asleep(pid);
	fcntl(s, F_SETFL, O_NONBLOCK);
	R(without_a_peer());
	connect_to(s, name_of(l));
	other = accept(l, NULL, NULL);
	send(other, "next", 4, 0);
	REAP(pid);
	AWAIT(events_of(s) & POLLIN);
	R(option(SOL_SOCKET, SO_ERROR));
	R(take(0));
}

/* How the other end hears of it. */
CASE(disconnected_peer)
{
	begin(open_with_bytes);
	R(send(other, "more", 4, 0));
	R(without_a_peer());
	AWAIT(events_of(other) & POLLERR);
	say("%s", event_names(events_of(other)));
	R(option(SOL_SOCKET, SO_ERROR));
}

CASE(flags)
{
	static const int flags[] = { MSG_MORE, MSG_DONTROUTE, MSG_CONFIRM, MSG_EOR };

	begin(open_pair);
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		R(give(flags[i]));
	R(take(MSG_OOB));
	R(take(MSG_ERRQUEUE));
}

/* --- in which tern differs: tests/diff/gaps ------------------------------------------------------------------------- */

CASE(urgent)
{
	begin(open_pair);
	R(give(MSG_OOB));
}

CASE(bound_after_the_end)
{
	begin(was_reset);
	R(bind_to(s, any()));
}

/* A shutdown that fails counts all the same, and what is over can be connected and bound anew. */
CASE(after_the_end)
{
	begin(fresh);
	R(shutdown(s, SHUT_RD));
	say("%s", event_names(events_of(s)));
	begin(connecting);
	R(shutdown(s, SHUT_RD));
	say("%s", event_names(events_of(s)));
	begin(was_reset);
	R(connect_to(s, nobody));
	say("%s", event_names(events_of(s)));
	R(bind_to(s, any()));
}

CASE(odd_datagrams)
{
	begin(raw);
	R(kind_of_name(getsockname));
	begin(ping);
	R(message(true, 0));
}
