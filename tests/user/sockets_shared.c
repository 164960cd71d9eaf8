/* SPDX-License-Identifier: MIT */
/* One socket and many that use it: threads that all wait in it, take from it, close and replace it under each other, a
 * child that shares it, and whoever is killed in any wait. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define THREADS 8

static int listener(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 64) == 0);
	CHECK(getsockname(l, (struct sockaddr *)&a, &len) == 0);
	*port = a.sin_port;
	return l;
}

static int caller(int port, int flags)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = (in_port_t)port,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s = socket(AF_INET, SOCK_STREAM | flags, 0);

	CHECK(s >= 0);
	CHECK(connect(s, (struct sockaddr *)&a, sizeof(a)) == 0 || (flags && errno == EINPROGRESS));
	return s;
}

static void pair(int *a, int *b)
{
	int port, l = listener(&port);

	*a = caller(port, 0);
	*b = accept(l, NULL, NULL);
	CHECK(*b >= 0 && close(l) == 0);
}

static void reset(int s)
{
	struct linger l = { 1, 0 };

	CHECK(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0 && close(s) == 0);
}

/* --- all wait in it ------------------------------------------------------------------------------------------------- */

enum call { ACCEPT, RECV, POLL, EPOLL, SELECT, SEND, SENDMSG, SENDFILE, UDP_RECV, CALLS };

static int wait_in(enum call call, int s)
{
	static char big[65536];
	struct iovec iov = { big, sizeof(big) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd p = { s, POLLIN, 0 };
	fd_set set;
	ssize_t n = 0;
	int fd;

	switch (call) {
	case ACCEPT:
		return accept(s, NULL, NULL);
	case POLL:
		return poll(&p, 1, -1);
	case EPOLL:
		fd = epoll_create1(0);
		CHECK(epoll_ctl(fd, EPOLL_CTL_ADD, s, &ev) == 0);
		n = epoll_wait(fd, &ev, 1, -1);
		CHECK(close(fd) == 0);
		return (int)n;
	case SELECT:
		FD_ZERO(&set);
		FD_SET(s, &set);
		return select(s + 1, &set, NULL, NULL, NULL);
	case SEND:
		while ((n = send(s, big, sizeof(big), MSG_NOSIGNAL)) > 0)
			;
		return (int)n;
	case SENDMSG:
		while ((n = sendmsg(s, &m, MSG_NOSIGNAL)) > 0)
			;
		return (int)n;
	case SENDFILE:
		fd = open("/bin/busybox", O_RDONLY);
		CHECK(fd >= 0);
		for (off_t at = 0; (n = sendfile(s, fd, &at, sizeof(big))) >= 0; at %= 262144)
			;
		CHECK(close(fd) == 0);
		return (int)n;
	default:
		return (int)recv(s, big, 8, 0);
	}
}

/* The socket that waits in this call, and its other end or -1. */
static int socket_for(enum call call, int *other)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s, port;

	*other = -1;
	if (call == ACCEPT)
		return listener(&port);
	if (call == UDP_RECV) {
		s = socket(AF_INET, SOCK_DGRAM, 0);
		CHECK(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0);
		return s;
	}
	pair(&s, other);
	return s;
}

struct waiter {
	pthread_t thread;
	enum call call;
	int s;
	_Atomic pid_t tid;
	int result, error;
};

static void *wait_there(void *arg)
{
	struct waiter *w = arg;

	w->tid = gettid();
	w->result = wait_in(w->call, w->s);
	w->error = errno;
	return NULL;
}

enum end { BY_SHUTDOWN, BY_RESET, BY_DISCONNECT };

static void disconnect(int s)
{
	CHECK(connect(s, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)) ==
	      0);
}

/* A shutdown, the peer's reset, or that it is to have no peer, wakes each of them, and tells each that it is over. */
static void all_wake(enum call call, enum end how)
{
	bool by_reset = how == BY_RESET;
	struct waiter w[THREADS] = { 0 };
	int other, s = socket_for(call, &other);

	for (int i = 0; i < THREADS; i++) {
		w[i].call = call;
		w[i].s = s;
		CHECK(pthread_create(&w[i].thread, NULL, wait_there, &w[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(AWAIT(w[i].tid) && until_thread_asleep(w[i].tid));
	if (by_reset) {
		reset(other);
		other = -1;
	} else if (how == BY_DISCONNECT) {
		disconnect(s);
	} else {
		/* of a datagram socket it says that it has no peer, and does it */
		(void)!shutdown(s, SHUT_RDWR);
	}
	for (int i = 0; i < THREADS; i++) {
		CHECK(pthread_join(w[i].thread, NULL) == 0);
		if (call == ACCEPT)
			CHECK(w[i].result == -1 && w[i].error == EINVAL);
		else if (call == POLL || call == EPOLL || call == SELECT)
			CHECK(w[i].result == 1);
		else if (call == RECV || call == UDP_RECV)
			/* of a disconnect none is told what was for another */
			CHECK(how == BY_DISCONNECT
				      ? w[i].result == -1 && w[i].error == EPIPE
				      : w[i].result == 0 || (how && w[i].error == ECONNRESET));
		else
			CHECK(w[i].result == -1 &&
			      (w[i].error == EPIPE || w[i].error == ECONNRESET));
	}
	CHECK(close(s) == 0 && (other < 0 || close(other) == 0));
}

static void all_are_told(void)
{
	signal(SIGPIPE, SIG_IGN);
	for (enum call c = 0; c < CALLS; c++) {
		all_wake(c, BY_SHUTDOWN);
		if (c != ACCEPT && c != UDP_RECV)
			all_wake(c, BY_RESET);
		if (c != UDP_RECV)
			all_wake(c, BY_DISCONNECT);
	}
}

/* N2: SIGKILL ends a process in any of these waits, and the socket is as good as before. */
static void killed(void)
{
	for (enum call c = 0; c < CALLS; c++) {
		int other, s = socket_for(c, &other), status;
		pid_t pid = fork();

		if (pid == 0) {
			wait_in(c, s);
			exit(1);
		}
		CHECK(until_asleep(pid) && kill(pid, SIGKILL) == 0);
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
		CHECK(fcntl(s, F_GETFL) == O_RDWR);
		if (other >= 0)
			reset(other);
		CHECK(close(s) == 0);
	}
}

/* --- all take from it ------------------------------------------------------------------------------------------------ */

static int accepting;
static _Atomic int accepted;

static void *accept_all(void *arg)
{
	int s;

	while ((s = accept(accepting, NULL, NULL)) >= 0) {
		accepted++;
		CHECK(send(s, "!", 1, 0) == 1 && close(s) == 0);
	}
	CHECK(errno == EINVAL);
	return arg;
}

/* Each connection goes to one of them. */
static void accepted_once(void)
{
	enum { N = 200 };
	pthread_t t[THREADS];
	int port;
	char c;

	accepting = listener(&port);
	accepted = 0;
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, accept_all, NULL) == 0);
	for (int i = 0; i < N; i++) {
		int s = caller(port, 0);

		CHECK(recv(s, &c, 1, 0) == 1 && recv(s, &c, 1, 0) == 0 && close(s) == 0);
	}
	CHECK(accepted == N && shutdown(accepting, SHUT_RDWR) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(close(accepting) == 0);
}

#define SHARED_BYTES 40000

static int shared_out, shared_in;
static _Atomic int counted[THREADS];

static void *write_mine(void *arg)
{
	char buf[700];
	int left = SHARED_BYTES;

	memset(buf, (int)(intptr_t)arg, sizeof(buf));
	while (left) {
		ssize_t n = send(shared_out, buf, left < 700 ? (size_t)left : 700, 0);

		CHECK(n > 0);
		left -= (int)n;
	}
	return NULL;
}

static void *read_any(void *arg)
{
	unsigned char buf[1000];
	ssize_t n;

	while ((n = recv(shared_in, buf, sizeof(buf), 0)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			CHECK(buf[i] < THREADS);
			counted[buf[i]]++;
		}
	CHECK(n == 0);
	return arg;
}

/* What many write at once many read at once: every byte by one of them. */
static void bytes_once(void)
{
	pthread_t w[THREADS], r[THREADS];

	pair(&shared_out, &shared_in);
	for (intptr_t i = 0; i < THREADS; i++) {
		counted[i] = 0;
		CHECK(pthread_create(&r[i], NULL, read_any, NULL) == 0);
		CHECK(pthread_create(&w[i], NULL, write_mine, (void *)i) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(w[i], NULL) == 0);
	CHECK(shutdown(shared_out, SHUT_WR) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(r[i], NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(counted[i] == SHARED_BYTES);
	CHECK(close(shared_in) == 0 && close(shared_out) == 0);
}

/* --- it is taken away -------------------------------------------------------------------------------------------------- */

enum { SLOTS = 6 };
static int slots[SLOTS], storm_port;
static _Atomic bool storm_over;

static unsigned next_random(unsigned *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 16;
}

/* Any call on any of the numbers, whatever they are by now. */
static void *use_slots(void *arg)
{
	unsigned seed = (unsigned)(intptr_t)arg;
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = (in_port_t)storm_port,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	while (!storm_over) {
		int s = slots[next_random(&seed) % SLOTS];
		struct pollfd p = { s, POLLIN | POLLOUT, 0 };
		char buf[300];

		switch (next_random(&seed) % 9) {
		case 0:
			(void)!send(s, buf, sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT);
			break;
		case 1:
			(void)!recv(s, buf, sizeof(buf), MSG_DONTWAIT);
			break;
		case 2:
			(void)!poll(&p, 1, 1);
			break;
		case 3:
			(void)!connect(s, (struct sockaddr *)&a, sizeof(a));
			break;
		case 4:
			(void)!shutdown(s, (int)(next_random(&seed) % 3));
			break;
		case 5:
			(void)!listen(s, 3);
			break;
		case 6:
			(void)!getpeername(s, (struct sockaddr *)buf, &(socklen_t){ 16 });
			break;
		case 7:
			(void)!recv(s, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);
			break;
		default:
			(void)!getsockopt(s, SOL_SOCKET, SO_ERROR, buf, &(socklen_t){ 4 });
		}
	}
	return NULL;
}

/* The numbers are closed, reset and made anew while the others use them. */
static void replaced(void)
{
	unsigned seed = 77;
	pthread_t t[THREADS];
	int l, s;

	l = listener(&storm_port);
	CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
	for (int i = 0; i < SLOTS; i++)
		slots[i] = caller(storm_port, SOCK_NONBLOCK);
	storm_over = false;
	for (intptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, use_slots, (void *)i) == 0);
	for (int i = 0; i < 1500; i++) {
		int k = (int)(next_random(&seed) % SLOTS);

		s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(s >= 0 && dup2(s, slots[k]) == slots[k] && close(s) == 0);
		while ((s = accept(l, NULL, NULL)) >= 0) {
			if (i % 2)
				reset(s);
			else
				CHECK(close(s) == 0);
		}
	}
	storm_over = true;
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	for (int i = 0; i < SLOTS; i++)
		CHECK(close(slots[i]) == 0);
	/* the listener has survived it */
	while ((s = accept(l, NULL, NULL)) >= 0)
		CHECK(close(s) == 0);
	s = caller(storm_port, 0);
	CHECK(fcntl(l, F_SETFL, 0) == 0 && close(s) == 0 && (s = accept(l, NULL, NULL)) >= 0);
	CHECK(close(s) == 0 && close(l) == 0);
}

/* --- a writer, and a socket that is disconnected, listens and connects anew under it --------------------------------- */

static int lives;
static int lives_over;

static void *write_on(void *arg)
{
	static char block[2][30000];

	while (!__atomic_load_n(&lives_over, __ATOMIC_RELAXED))
		(void)!send(lives, block[(long)arg], sizeof(block[0]), MSG_DONTWAIT | MSG_NOSIGNAL);
	return NULL;
}

/* What a write began with is not what it ends with: it is for that connection or for none. */
static void written_across_lives(void)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	int port, l = listener(&port), s;
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = (in_port_t)port,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	pthread_t t[2];

	lives_over = 0;
	lives = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(lives >= 0);
	for (long i = 0; i < 2; i++)
		CHECK(pthread_create(&t[i], NULL, write_on, (void *)i) == 0);
	for (int i = 0; i < 300; i++) {
		/* what the one before has left is told once, to whom it may be */
		if (connect(lives, (struct sockaddr *)&a, sizeof(a)) == 0) {
			s = accept(l, NULL, NULL);
			CHECK(s >= 0 && close(s) == 0);
		}
		CHECK(connect(lives, &none, sizeof(none)) == 0);
		if (i % 2) {
			CHECK(listen(lives, 1) == 0);
			sched_yield();
			CHECK(connect(lives, &none, sizeof(none)) == 0);
		}
	}
	__atomic_store_n(&lives_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(close(lives) == 0 && close(l) == 0);
}

/* --- a child has it too ------------------------------------------------------------------------------------------------ */

static void shared_with_a_child(void)
{
	int a, b, status;
	char c;
	pid_t pid;

	pair(&a, &b);
	/* closed in one, open in the other */
	pid = fork();
	if (pid == 0) {
		CHECK(close(b) == 0 && read(a, &c, 1) == 1 && write(a, &c, 1) == 1);
		exit(0);
	}
	CHECK(close(a) == 0 && write(b, "c", 1) == 1 && read(b, &c, 1) == 1 && c == 'c');
	/* the last to close it ends the connection */
	CHECK(waitpid(pid, &status, 0) == pid && status == 0 && read(b, &c, 1) == 0);
	CHECK(close(b) == 0);
	/* a shutdown is of the socket, not of the number */
	pair(&a, &b);
	pid = fork();
	if (pid == 0)
		exit(shutdown(a, SHUT_WR));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0 && read(b, &c, 1) == 0);
	CHECK(send(a, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	CHECK(close(a) == 0 && close(b) == 0);
	/* a child that is killed is no more than one number less */
	pair(&a, &b);
	pid = fork();
	if (pid == 0) {
		(void)!read(a, &c, 1);
		exit(1);
	}
	CHECK(until_asleep(pid) && kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
	CHECK(write(b, "y", 1) == 1 && read(a, &c, 1) == 1 && close(a) == 0);
	CHECK(read(b, &c, 1) == 0 && close(b) == 0);
}

static struct {
	int s;
	long asked, took;
	bool stop;
} polite;

static void *asks(void *arg)
{
	char c;

	while (!__atomic_load_n(&polite.stop, __ATOMIC_RELAXED)) {
		ssize_t n = recv(polite.s, &c, 1, MSG_DONTWAIT);

		CHECK(n == 1 || errno == EAGAIN);
		__atomic_add_fetch(&polite.took, n == 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&polite.asked, 1, __ATOMIC_RELAXED);
	}
	return arg;
}

/* Who does not wait meets another that takes all there is, into pages that are not there yet. */
static void asked_meanwhile(void)
{
	enum { SIZE = 32768 };
	static char out[SIZE];
	int rw = PROT_READ | PROT_WRITE, s;
	char *in = mmap(NULL, SIZE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long sent = 0, got = 0;
	pthread_t t;

	pair(&s, &polite.s);
	CHECK(in != MAP_FAILED && pthread_create(&t, NULL, asks, NULL) == 0);
	for (int i = 0; i < 100; i++) {
		long before;

		CHECK(write(s, out, SIZE) == SIZE);
		sent += SIZE;
		while (got + __atomic_load_n(&polite.took, __ATOMIC_RELAXED) < sent) {
			ssize_t n;

			CHECK(madvise(in, SIZE, MADV_DONTNEED) == 0);
			n = recv(polite.s, in, SIZE, MSG_DONTWAIT);
			CHECK(n > 0 || errno == EAGAIN);
			got += n > 0 ? n : 0;
		}
		before = __atomic_load_n(&polite.asked, __ATOMIC_RELAXED);
		CHECK(AWAIT(__atomic_load_n(&polite.asked, __ATOMIC_RELAXED) != before));
	}
	__atomic_store_n(&polite.stop, true, __ATOMIC_RELAXED);
	CHECK(pthread_join(t, NULL) == 0 && munmap(in, SIZE) == 0);
	CHECK(close(s) == 0 && close(polite.s) == 0);
}

int main(void)
{
	all_are_told();
	killed();
	accepted_once();
	bytes_once();
	asked_meanwhile();
	replaced();
	written_across_lives();
	shared_with_a_child();
	return 0;
}
