/* SPDX-License-Identifier: MIT */
/* The network's peer in the guest, one static program for both kernels: net PORT. A connection's first byte says what it
 * is for: 'd' sends for ever, 'u' takes what comes and answers its end with a byte, anything else is sent back, and all
 * that follows it. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/lib/say.h"

#define CONNECTIONS 2048
#define BULK	    65536

enum purpose { UNKNOWN, DOWN, UP, ECHO };

static unsigned char bulk[BULK];
static enum purpose purposes[CONNECTIONS];
static int epoll;

static void must(int good, const char *what)
{
	if (good)
		return;
	say(2, "net: %s: error %d\n", what, errno);
	_exit(1);
}

static void watch(int operation, int s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = s };

	must(epoll_ctl(epoll, operation, s, &e) == 0, "epoll_ctl");
}

static int listening(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = __builtin_bswap16((uint16_t)port) };
	int on = 1, s = socket(AF_INET, SOCK_STREAM, 0);

	must(s >= 0 && setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0, "socket");
	must(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 128) == 0, "listen");
	return s;
}

static void welcome(int listener)
{
	int on = 1, s = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	if (s < 0)
		return;
	must(s < CONNECTIONS, "too many connections");
	(void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	purposes[s] = UNKNOWN;
	watch(EPOLL_CTL_ADD, s, EPOLLIN);
}

/* False: the connection is over. What is sent back is short: its peer waits for it. */
static int serve(int s)
{
	ssize_t n;

	if (purposes[s] == DOWN)
		return write(s, bulk, BULK) > 0 || errno == EAGAIN;
	n = read(s, bulk, BULK);
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return purposes[s] == UP && write(s, "!", 1) == 1 && 0;
	if (purposes[s] == UNKNOWN) {
		purposes[s] = bulk[0] == 'd' ? DOWN : bulk[0] == 'u' ? UP : ECHO;
		if (purposes[s] == DOWN)
			watch(EPOLL_CTL_MOD, s, EPOLLOUT);
	}
	return purposes[s] != ECHO || write(s, bulk, (size_t)n) == n;
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	unsigned long port;
	int listener;

	if (argc != 2 || parse_number(argv[1], &port) < 0 || port > 65535) {
		say(2, "usage: net PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	listener = listening((unsigned)port);
	epoll = epoll_create1(0);
	must(epoll >= 0, "epoll_create1");
	watch(EPOLL_CTL_ADD, listener, EPOLLIN);
	say(1, "ready\n");
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				welcome(listener);
			else if (!serve(events[i].data.fd))
				close(events[i].data.fd);
		}
	}
}
