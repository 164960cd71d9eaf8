/* SPDX-License-Identifier: MIT */
/* helper: traffic whose every byte is checked, for tests/traffic.py:
 *   serve PORT                        echo by TCP and by UDP, until it is killed
 *   stream ADDRESS PORT BYTES SEED    send to such a server and read back at the same time
 *   datagrams ADDRESS PORT COUNT SEED one after the other; one that is lost is sent again
 *   storm ROUNDS SEED                 connect to a listener of its own and reset, close, accept, in any order
 *   killed MS STATUS WORDS...         run these words as a program, kill it after MS ms, and see that it goes; it may have
 *                                     ended by itself, with 0 or this status */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

/* Byte i of the stream of a seed. */
static unsigned char byte_of(uint64_t seed, uint64_t i)
{
	return (unsigned char)((i + seed * 977 + 1) * 0x9e3779b97f4a7c15u >> 56);
}

static uint64_t random_state;

static unsigned random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 32) % n;
}

static struct sockaddr_in at(const char *ip, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	CHECK(inet_pton(AF_INET, ip, &a.sin_addr) == 1);
	return a;
}

static void nonblocking(int s)
{
	CHECK(fcntl(s, F_SETFL, O_NONBLOCK) == 0);
}

/* --- the server ------------------------------------------------------------------------------------------------------ */

/* A connection: what has come and has not gone back. */
struct client {
	int fd;
	unsigned from, to;
	unsigned char bytes[8192];
};

static int epoll_fd;

static void watch(struct client *c, int how)
{
	struct epoll_event ev = { .events = c->from < c->to ? EPOLLOUT : EPOLLIN, .data.ptr = c };

	CHECK(epoll_ctl(epoll_fd, how, c->fd, &ev) == 0);
}

static void take_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct client *c = malloc(sizeof(*c));

		CHECK(c);
		c->fd = fd;
		c->from = c->to = 0;
		watch(c, EPOLL_CTL_ADD);
	}
	CHECK(errno == EAGAIN);
}

/* Give back what is there, then take what comes. False: it is over. */
static bool echo(struct client *c)
{
	ssize_t n;

	if (c->from == c->to) {
		c->from = 0;
		n = recv(c->fd, c->bytes, sizeof(c->bytes), 0);
		c->to = n > 0 ? (unsigned)n : 0;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
	}
	n = send(c->fd, c->bytes + c->from, c->to - c->from, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN;
	c->from += (unsigned)n;
	return true;
}

static void echo_datagrams(int s)
{
	static unsigned char buf[65536];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(s, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &len)) >=
	       0)
		(void)!sendto(s, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
}

static int serve(char **words)
{
	struct rlimit files = { 4096, 4096 };
	struct sockaddr_in a = at("0.0.0.0", words[0]);
	int one = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
	    u = socket(AF_INET, SOCK_DGRAM, 0);
	struct client listener = { .fd = l }, datagrams = { .fd = u };

	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
	CHECK(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, 4) == 0);
	CHECK(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 200) == 0);
	CHECK(bind(u, (struct sockaddr *)&a, sizeof(a)) == 0);
	epoll_fd = epoll_create1(0);
	watch(&listener, EPOLL_CTL_ADD);
	watch(&datagrams, EPOLL_CTL_ADD);
	CHECK(write(1, "ready\n", 6) == 6);
	for (;;) {
		struct epoll_event ev[64];
		int n = epoll_wait(epoll_fd, ev, 64, -1);

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			struct client *c = ev[i].data.ptr;
			bool had = c->from < c->to;

			if (c == &listener) {
				take_all(l);
			} else if (c == &datagrams) {
				echo_datagrams(u);
			} else if (!echo(c)) {
				CHECK(close(c->fd) == 0);
				free(c);
			} else if (had != (c->from < c->to)) {
				watch(c, EPOLL_CTL_MOD);
			}
		}
	}
}

/* --- its clients ------------------------------------------------------------------------------------------------------- */

/* Send what the socket takes of the stream. */
static void send_some(int s, uint64_t seed, uint64_t *sent, uint64_t total)
{
	unsigned char buf[4096];
	size_t n = 1 + random_below(sizeof(buf));
	ssize_t gone;

	if (n > total - *sent)
		n = total - *sent;
	for (size_t i = 0; i < n; i++)
		buf[i] = byte_of(seed, *sent + i);
	gone = send(s, buf, n, 0);
	CHECK(gone > 0 || errno == EAGAIN);
	if (gone > 0)
		*sent += (uint64_t)gone;
	if (*sent == total)
		CHECK(shutdown(s, SHUT_WR) == 0);
}

/* Check what has come; false at the end. */
static bool take_some(int s, uint64_t seed, uint64_t *got)
{
	unsigned char buf[4096];
	ssize_t n = recv(s, buf, 1 + random_below(sizeof(buf)), 0);

	CHECK(n >= 0 || errno == EAGAIN);
	for (ssize_t i = 0; i < n; i++)
		CHECK(buf[i] == byte_of(seed, *got + (uint64_t)i));
	*got += n > 0 ? (uint64_t)n : 0;
	return n != 0;
}

static int stream(char **words)
{
	struct sockaddr_in a = at(words[0], words[1]);
	uint64_t total = strtoull(words[2], NULL, 10), seed = strtoull(words[3], NULL, 10),
		 sent = 0, got = 0;
	int s = socket(AF_INET, SOCK_STREAM, 0);

	random_state = seed + 1;
	CHECK(connect(s, (struct sockaddr *)&a, sizeof(a)) == 0);
	nonblocking(s);
	for (bool more = true; more;) {
		struct pollfd p = { s, (short)(POLLIN | (sent < total ? POLLOUT : 0)), 0 };

		CHECK(poll(&p, 1, -1) == 1);
		if (sent < total && p.revents & POLLOUT)
			send_some(s, seed, &sent, total);
		if (p.revents & POLLIN)
			more = take_some(s, seed, &got);
	}
	CHECK(got == total && close(s) == 0);
	printf("%llu bytes\n", (unsigned long long)total);
	return 0;
}

/* Whether what has come is datagram i, not one before it that was sent twice. */
static bool is_echo(int s, const unsigned char *want, size_t n)
{
	static unsigned char in[65536];
	ssize_t got = recv(s, in, sizeof(in), 0);

	CHECK(got >= 4);
	if (memcmp(in, want, 4) != 0)
		return false;
	CHECK((size_t)got == n && memcmp(in, want, n) == 0);
	return true;
}

static int datagrams(char **words)
{
	static unsigned char out[65536];
	struct sockaddr_in a = at(words[0], words[1]);
	uint32_t count = (uint32_t)atoi(words[2]), again = 0;
	uint64_t seed = strtoull(words[3], NULL, 10);
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	random_state = seed + 1;
	CHECK(connect(s, (struct sockaddr *)&a, sizeof(a)) == 0);
	for (uint32_t i = 0; i < count; i++) {
		size_t n = 4 + random_below(random_below(4) ? 1400 : 9000);
		struct pollfd p = { s, POLLIN, 0 };

		memcpy(out, &i, 4);
		for (size_t k = 4; k < n; k++)
			out[k] = byte_of(seed, i * 7919u + k);
		do {
			CHECK(send(s, out, n, 0) == (ssize_t)n || errno == ENOBUFS);
			while (poll(&p, 1, 2000) == 0) {
				again++;
				(void)!send(s, out, n, 0);
			}
		} while (!is_echo(s, out, n));
	}
	CHECK(close(s) == 0);
	printf("%u datagrams, %u again\n", count, again);
	return 0;
}

/* --- what is rude ------------------------------------------------------------------------------------------------------ */

static void reset(int s)
{
	struct linger l = { 1, 0 };

	CHECK(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0 && close(s) == 0);
}

static int storm(char **words)
{
	enum { OPEN = 40 };
	int open[OPEN], n = 0, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in a = at("127.0.0.1", "0");
	socklen_t len = sizeof(a);

	random_state = strtoull(words[1], NULL, 10) + 1;
	CHECK(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 16) == 0);
	CHECK(getsockname(l, (struct sockaddr *)&a, &len) == 0);
	for (int i = 0; i < atoi(words[0]); i++) {
		int what = (int)random_below(10), s = -1;

		if (what < 5 && n < OPEN) {
			s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
			CHECK(s >= 0);
			CHECK(connect(s, (struct sockaddr *)&a, sizeof(a)) == 0 ||
			      errno == EINPROGRESS);
			open[n++] = s;
		} else if (what < 8 && n < OPEN && (s = accept(l, NULL, NULL)) >= 0) {
			open[n++] = s;
		} else if (n) {
			int k = (int)random_below((unsigned)n);

			(void)!send(open[k], "storm", 5, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (what & 1)
				reset(open[k]);
			else
				CHECK(close(open[k]) == 0);
			open[k] = open[--n];
		}
	}
	while (n)
		CHECK(close(open[--n]) == 0);
	CHECK(close(l) == 0);
	return 0;
}

static int killed(char **words)
{
	pid_t pid = fork(), gone = 0;
	int status;

	if (pid == 0) {
		execvp(words[2], words + 2);
		exit(127);
	}
	/* killed when the caller says */
	let_pass(atoi(words[0]));
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(AWAIT((gone = waitpid(pid, &status, WNOHANG)) != 0) && gone == pid);
	if (WIFSIGNALED(status))
		CHECK(WTERMSIG(status) == SIGKILL);
	else
		CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == atoi(words[1]));
	return 0;
}

static const struct {
	const char *name;
	int words;
	int (*run)(char **words);
} modes[] = {
	{ "serve", 1, serve }, { "stream", 4, stream }, { "datagrams", 4, datagrams },
	{ "storm", 2, storm }, { "killed", 3, killed },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (argc > 1 && strcmp(argv[1], modes[i].name) == 0 && argc - 2 >= modes[i].words)
			return modes[i].run(argv + 2);
	printf("traffic: which?\n");
	return 2;
}
