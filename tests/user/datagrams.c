/* SPDX-License-Identifier: MIT */
/* UDP and ICMP sockets over loop-back: what each call says in each state, the errors that come back, and that whoever
 * waits can be interrupted and killed. */
#include <fcntl.h>
#include <netinet/ip_icmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"
#include "tests/user/inet.h"

static int udp(void)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(s >= 0);
	return s;
}

static int bound(void)
{
	int s = udp();

	CHECK(bind_to(s, at(INADDR_LOOPBACK, 0)) == 0 && name_of(s).sin_port);
	return s;
}

static void transfers(void)
{
	int a = udp(), b = bound(), n, one = 1;
	struct sockaddr_in from, full = name_of(b);
	socklen_t len = sizeof(from);
	struct iovec iov;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	char buf[16];

	CHECK(events_of(a) == POLLOUT && name_of(a).sin_port == 0);
	CHECK_ERRNO(send(a, "x", 1, 0), EDESTADDRREQ);
	CHECK_ERRNO(send_to(a, "x", 1, at(INADDR_LOOPBACK, 0)), EINVAL);
	CHECK_ERRNO(recv(b, buf, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(send_to(a, "hello", 5, full) == 5 && name_of(a).sin_port);
	CHECK(send_to(a, "", 0, full) == 0 && send_to(a, "longer", 6, full) == 6);
	CHECK(events_of(b) == (POLLIN | POLLOUT) && ioctl(b, FIONREAD, &n) == 0 && n == 5);
	CHECK(recvfrom(b, buf, 16, MSG_PEEK, (struct sockaddr *)&from, &len) == 5);
	CHECK(len == 16 && from.sin_port == name_of(a).sin_port);
	CHECK_ERRNO(recv(b, buf, 1, MSG_OOB), EOPNOTSUPP);
	CHECK(recv(b, buf, 2, MSG_TRUNC) == 5 && memcmp(buf, "he", 2) == 0);
	CHECK(recv(b, buf, 16, 0) == 0);
	iov = (struct iovec){ buf, 4 };
	CHECK(recvmsg(b, &m, 0) == 4 && m.msg_flags == MSG_TRUNC && memcmp(buf, "long", 4) == 0);
	CHECK_ERRNO(recv(b, buf, 1, MSG_DONTWAIT), EAGAIN);
	/* what cannot be read is gone, as in Linux */
	CHECK(send_to(a, "bad", 3, full) == 3);
	CHECK_ERRNO(recv(b, BAD, 3, 0), EFAULT);
	CHECK_ERRNO(recv(b, buf, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_ERRNO(send_to(a, BAD, 3, full), EFAULT);
	CHECK_ERRNO(sendto(a, "x", 1, 0, (struct sockaddr *)&full, 15), EINVAL);
	CHECK_ERRNO(sendto(a, "x", 1, 0, BAD, 16), EFAULT);
	full.sin_family = 55;
	CHECK_ERRNO(send_to(a, "x", 1, full), EAFNOSUPPORT);
	CHECK_ERRNO(send_to(a, "x", 1, at(0xffffffff, 9)), EACCES);
	CHECK(setsockopt(a, SOL_SOCKET, SO_BROADCAST, &one, 4) == 0);
	CHECK(send_to(a, "x", 1, at(0xffffffff, 9)) == 1);
	CHECK_ERRNO(listen(a, 1), EOPNOTSUPP);
	CHECK_ERRNO(accept(a, NULL, NULL), EOPNOTSUPP);
	CHECK(close(a) == 0 && close(b) == 0);
}

static void large(void)
{
	static char out[70000], in[70000];
	int a = udp(), b = bound();

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7);
	CHECK_ERRNO(send_to(a, out, 65508, name_of(b)), EMSGSIZE);
	CHECK(send_to(a, out, 65507, name_of(b)) == 65507);
	CHECK(recv(b, in, sizeof(in), 0) == 65507 && memcmp(in, out, 65507) == 0);
	CHECK(close(a) == 0 && close(b) == 0);
}

/* More than a queue holds is dropped; what is kept is in order, and the sender is not held up. */
static void overrun(void)
{
	int a = udp(), b = bound(), n, last = -1, got = 0, size = 8192;

	CHECK(setsockopt(b, SOL_SOCKET, SO_RCVBUF, &size, 4) == 0);
	for (int i = 0; i < 2000; i++)
		CHECK(send_to(a, &i, sizeof(i), name_of(b)) == sizeof(i));
	while (recv(b, &n, sizeof(n), MSG_DONTWAIT) == sizeof(n)) {
		CHECK(n == last + 1);
		last = n;
		got++;
	}
	CHECK(got >= 20 && got < 1000);
	CHECK(close(a) == 0 && close(b) == 0);
}

static void connected(void)
{
	int a = udp(), b = bound(), c = bound();
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_in peer, gone;
	socklen_t len = sizeof(peer);
	char buf[8];

	CHECK_ERRNO(getpeername(a, (struct sockaddr *)&peer, &len), ENOTCONN);
	CHECK(connect_to(a, name_of(b)) == 0);
	CHECK(getpeername(a, (struct sockaddr *)&peer, &len) == 0 &&
	      peer.sin_port == name_of(b).sin_port);
	CHECK(name_of(a).sin_addr.s_addr == htonl(INADDR_LOOPBACK) && name_of(a).sin_port);
	CHECK(write(a, "one", 3) == 3 && read(b, buf, 8) == 3);
	/* nobody but the peer is heard */
	CHECK(send_to(c, "no", 2, name_of(a)) == 2 && send_to(b, "yes", 3, name_of(a)) == 3);
	CHECK(recv(a, buf, 8, 0) == 3 && memcmp(buf, "yes", 3) == 0);
	CHECK_ERRNO(recv(a, buf, 8, MSG_DONTWAIT), EAGAIN);
	CHECK(connect(a, &none, sizeof(none)) == 0);
	CHECK_ERRNO(send(a, "x", 1, 0), EDESTADDRREQ);
	CHECK(name_of(a).sin_port == 0);
	/* a port that nobody has: the next call is told, once */
	gone = name_of(b);
	CHECK(close(b) == 0 && connect_to(a, gone) == 0 && send(a, "x", 1, 0) == 1);
	CHECK(AWAIT(events_of(a) & POLLERR));
	CHECK_ERRNO(recv(a, buf, 8, 0), ECONNREFUSED);
	CHECK_ERRNO(recv(a, buf, 8, MSG_DONTWAIT), EAGAIN);
	CHECK(send(a, "x", 1, 0) == 1 && AWAIT(events_of(a) & POLLERR));
	CHECK_ERRNO(send(a, "x", 1, 0), ECONNREFUSED);
	CHECK(close(a) == 0 && close(c) == 0);
}

static void shut(void)
{
	int a = udp(), b = bound();
	char c;

	CHECK_ERRNO(shutdown(a, SHUT_RD), ENOTCONN);
	CHECK(close(a) == 0);
	a = udp();
	CHECK(connect_to(a, name_of(b)) == 0 && shutdown(a, SHUT_WR) == 0);
	/* datagrams raise no signal */
	CHECK_ERRNO(send(a, "x", 1, 0), EPIPE);
	CHECK_ERRNO(write(a, "x", 1), EPIPE);
	CHECK(events_of(a) == POLLOUT && shutdown(a, SHUT_RD) == 0);
	CHECK(events_of(a) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP) && recv(a, &c, 1, 0) == 0);
	CHECK(close(a) == 0 && close(b) == 0);
}

static void ports(void)
{
	int a = bound(), b = udp(), one = 1;

	CHECK_ERRNO(bind_to(b, name_of(a)), EADDRINUSE);
	CHECK_ERRNO(bind_to(b, at(0xc0000201, 0)), EADDRNOTAVAIL);
	CHECK_ERRNO(bind_to(a, name_of(a)), EINVAL);
	CHECK(setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, 4) == 0);
	CHECK(setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, 4) == 0);
	CHECK(bind_to(b, name_of(a)) == 0);
	CHECK(close(a) == 0 && close(b) == 0);
}

/* --- ICMP ------------------------------------------------------------------------------------------------------------ */

static uint16_t sum(const void *p, size_t n)
{
	const uint16_t *w = p;
	uint32_t s = 0;

	for (; n; n -= 2)
		s += *w++;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void pings(void)
{
	int a = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP),
	    b = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	struct icmphdr out = { .type = ICMP_ECHO }, in[4];

	CHECK(a >= 0 && b >= 0);
	/* b has a number of its own from its first request on */
	CHECK(send_to(b, &out, sizeof(out), at(INADDR_LOOPBACK, 0)) == sizeof(out));
	CHECK(recv(b, in, sizeof(in), 0) == sizeof(out));
	for (int i = 0; i < 10; i++) {
		out.un.echo.sequence = htons((uint16_t)i);
		CHECK(send_to(a, &out, sizeof(out), at(INADDR_LOOPBACK, 0)) == sizeof(out));
		CHECK(recv(a, in, sizeof(in), 0) == sizeof(out));
		CHECK(in[0].type == ICMP_ECHOREPLY &&
		      in[0].un.echo.sequence == out.un.echo.sequence);
	}
	/* N10: another's replies do not come here */
	CHECK_ERRNO(recv(b, in, sizeof(in), MSG_DONTWAIT), EAGAIN);
	out.type = ICMP_DEST_UNREACH;
	CHECK_ERRNO(send_to(a, &out, sizeof(out), at(INADDR_LOOPBACK, 0)), EINVAL);
	CHECK_ERRNO(send_to(a, &out, 7, at(INADDR_LOOPBACK, 0)), EINVAL);
	CHECK(close(a) == 0 && close(b) == 0);
}

static void raws(void)
{
	int a = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), status;
	struct icmphdr out = { .type = ICMP_ECHO, .un.echo.id = 77 };
	unsigned char in[64];
	pid_t pid;

	CHECK(a >= 0);
	CHECK_ERRNO(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_TCP), EPROTONOSUPPORT);
	out.checksum = sum(&out, sizeof(out));
	CHECK(send_to(a, &out, sizeof(out), at(INADDR_LOOPBACK, 0)) == sizeof(out));
	/* the request, then the reply, each with its IP header */
	for (int i = 0; i < 2; i++) {
		CHECK(recv(a, in, sizeof(in), 0) == 28 && in[0] == 0x45 && in[9] == IPPROTO_ICMP);
		CHECK(in[20] == (i ? ICMP_ECHOREPLY : ICMP_ECHO));
	}
	CHECK(close(a) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK(setuid(1000) == 0);
		CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
		CHECK(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) >= 0);
		exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* An ICMP error about a packet from `from` to a port, as root can forge one. */
static void unreachable(uint32_t from, struct sockaddr_in sender, struct sockaddr_in to)
{
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct {
		struct icmphdr icmp;
		uint8_t ip[20];
		uint16_t src, dest, len, sum;
	} p = { .icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_PORT_UNREACH },
		.ip = { 0x45, [3] = 28, [8] = 64, [9] = IPPROTO_UDP },
		.src = sender.sin_port,
		.dest = to.sin_port,
		.len = htons(8) };

	from = htonl(from);
	memcpy(p.ip + 12, &from, 4);
	memcpy(p.ip + 16, &to.sin_addr, 4);
	p.icmp.checksum = sum(&p, sizeof(p));
	CHECK(s >= 0 && send_to(s, &p, sizeof(p), at(INADDR_LOOPBACK, 0)) == sizeof(p));
	CHECK(close(s) == 0);
}

/* An error that quotes a packet of another address is not this socket's. */
static void forged(void)
{
	int a = udp(), b = bound();

	CHECK(connect_to(a, name_of(b)) == 0);
	unreachable(0x0a090909, name_of(a), name_of(b));
	CHECK(events_of(a) == POLLOUT && send(a, "x", 1, 0) == 1);
	unreachable(INADDR_LOOPBACK, name_of(a), name_of(b));
	CHECK(events_of(a) & POLLERR);
	CHECK_ERRNO(send(a, "x", 1, 0), ECONNREFUSED);
	CHECK(close(a) == 0 && close(b) == 0);
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

static void on_signal(int sig)
{
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct timeval t = { 0, 2000 };
	int s = bound(), status;
	char c;
	pid_t pid;

	CHECK(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	CHECK_ERRNO(recv(s, &c, 1, 0), EAGAIN);
	t.tv_usec = 0;
	CHECK(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
		CHECK_ERRNO(recv(s, &c, 1, 0), EINTR);
		recv(s, &c, 1, 0);
		exit(1);
	}
	CHECK(until_asleep(pid) && kill(pid, SIGUSR1) == 0);
	CHECK(until_asleep(pid) && kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(close(s) == 0);
}

/* /proc/net/udp shows each of many sockets once, in lines that are numbered. */
static void all_shown(void)
{
	enum { MANY = 200 };
	unsigned shown[65536] = { 0 }, port, number, next = 0;
	char line[256];
	int s[MANY];
	FILE *f;

	for (int i = 0; i < MANY; i++)
		s[i] = bound();
	f = fopen("/proc/net/udp", "r");
	CHECK(f && fgets(line, sizeof(line), f));
	while (fgets(line, sizeof(line), f)) {
		CHECK(sscanf(line, " %u: %*8x:%x ", &number, &port) == 2 && number == next++);
		shown[port]++;
	}
	CHECK(fclose(f) == 0 && next >= MANY);
	for (int i = 0; i < MANY; i++) {
		CHECK(shown[ntohs(name_of(s[i]).sin_port)] == 1);
		CHECK(close(s[i]) == 0);
	}
}

int main(void)
{
	transfers();
	large();
	overrun();
	connected();
	shut();
	ports();
	all_shown();
	pings();
	forged();
	raws();
	interrupted();
	return 0;
}
