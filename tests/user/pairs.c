/* SPDX-License-Identifier: MIT */
/* Socket pairs: bytes in order and records whole through a full queue, many who send and one who reads, time-outs, an end
 * that is closed or killed under a sleeper, and that nothing is left of what nobody read. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

enum { BYTES = 2000000, SENDERS = 4, RECORDS = 500, ROUNDS = 20000 };

static int s[2];
static int *volatile nowhere = (int *)8;

static uint32_t step(uint32_t *seed)
{
	return *seed = *seed * 1664525 + 1013904223;
}

/* --- a stream -------------------------------------------------------------------------------------------------------- */

/* Both ways at once; the queues are full most of the time. */
static void *send_all(void *arg)
{
	static unsigned char out[2][70000];
	long me = (long)arg, at = 0, n;
	uint32_t seed = (uint32_t)me + 1;

	while (at < BYTES) {
		long size = (long)(step(&seed) >> 8) % (long)sizeof(out[0]) + 1;

		size = size < BYTES - at ? size : BYTES - at;
		for (long i = 0; i < size; i++)
			out[me][i] = (unsigned char)((at + i) * 7 + me);
		n = write(s[me], out[me], (size_t)size);
		CHECK(n == size);
		at += n;
	}
	CHECK(shutdown(s[me], SHUT_WR) == 0);
	return NULL;
}

static void *receive_all(void *arg)
{
	static unsigned char in[2][50000];
	long me = (long)arg, from = !me, at = 0, n;
	uint32_t seed = (uint32_t)me + 77;

	while ((n = recv(s[me], in[me], (step(&seed) >> 8) % sizeof(in[0]) + 1,
			 step(&seed) >> 31 ? MSG_WAITALL : 0)) > 0) {
		for (long i = 0; i < n; i++)
			CHECK(in[me][i] == (unsigned char)((at + i) * 7 + from));
		at += n;
	}
	CHECK(n == 0 && at == BYTES);
	return NULL;
}

static void streams(void)
{
	pthread_t t[4];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	for (long i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, i < 2 ? send_all : receive_all,
				     (void *)(i % 2)) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

/* --- records --------------------------------------------------------------------------------------------------------- */

static void *send_records(void *arg)
{
	unsigned char record[3000];
	uint32_t seed = (uint32_t)(long)arg;

	for (int i = 0; i < RECORDS; i++) {
		size_t size = (step(&seed) >> 8) % (sizeof(record) - 8) + 8;

		memset(record, (int)(long)arg, size);
		memcpy(record, &i, sizeof(i));
		memcpy(record + 4, &size, 4);
		CHECK(send(s[0], record, size, 0) == (ssize_t)size);
	}
	return NULL;
}

static void records(int type)
{
	static unsigned char record[4000];
	int next[SENDERS] = { 0 }, number, size;
	pthread_t t[SENDERS];

	CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
	for (long i = 0; i < SENDERS; i++)
		CHECK(pthread_create(&t[i], NULL, send_records, (void *)(i + 1)) == 0);
	for (int i = 0; i < SENDERS * RECORDS; i++) {
		ssize_t n = recv(s[1], record, sizeof(record), 0);
		int who = n > 8 ? record[8] - 1 : -1;

		memcpy(&number, record, 4);
		memcpy(&size, record + 4, 4);
		/* a record of 8 bytes does not say who sent it */
		CHECK(n == size && n >= 8);
		if (n == 8)
			continue;
		CHECK(who >= 0 && who < SENDERS && number >= next[who]);
		for (int k = 8; k < n; k++)
			CHECK(record[k] == who + 1);
		next[who] = number + 1;
	}
	for (int i = 0; i < SENDERS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(recv(s[1], record, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

/* --- waiting --------------------------------------------------------------------------------------------------------- */

/* One byte there and back, by poll and by sleeping: a wake-up that is lost hangs this. */
static void *echo(void *arg)
{
	struct pollfd p = { s[1], POLLIN, 0 };
	char c;

	for (int i = 0; i < ROUNDS; i++) {
		if (i % 2)
			CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLIN);
		CHECK(read(s[1], &c, 1) == 1 && c == (char)i);
		CHECK(write(s[1], &c, 1) == 1);
	}
	return NULL;
}

static void ping_pong(void)
{
	pthread_t t;
	char c;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(pthread_create(&t, NULL, echo, NULL) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		c = (char)i;
		CHECK(write(s[0], &c, 1) == 1);
		CHECK(read(s[0], &c, 1) == 1 && c == (char)i);
	}
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

/* A sender asleep before a full queue, whose reader goes, is shut, or reads. */
static void full_queue(void)
{
	static char block[100000];
	int status;
	pid_t pid;

	for (int how = 0; how < 4; how++) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
		while (send(s[0], block, sizeof(block), MSG_DONTWAIT) > 0)
			;
		CHECK(errno == EAGAIN);
		pid = fork();
		if (pid == 0) {
			ssize_t n;

			CHECK(close(s[1]) == 0);
			signal(SIGPIPE, SIG_IGN);
			n = write(s[0], block, sizeof(block));
			_exit(n == sizeof(block) ? 1 : n < 0 && errno == EPIPE ? 2 : 3);
		}
		CHECK(until_asleep(pid));
		if (how == 0) {
			CHECK(close(s[1]) == 0);
		} else if (how == 1) {
			CHECK(shutdown(s[1], SHUT_RD) == 0);
		} else if (how == 2) {
			CHECK(kill(pid, SIGKILL) == 0);
		} else {
			for (ssize_t n, at = 0; at < 300000; at += n)
				CHECK((n = read(s[1], block, sizeof(block))) > 0);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		if (how == 2)
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		else
			CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (how == 3 ? 1 : 2));
		CHECK(close(s[0]) == 0);
		if (how)
			CHECK(close(s[1]) == 0);
	}
}

/* A sender asleep before a full queue that is made longer. */
static void longer_queue(void)
{
	static char block[4096];
	int small = 4096, big = 100000, status;
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
	while (send(s[0], block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	CHECK(errno == EAGAIN);
	pid = fork();
	if (pid == 0)
		_exit(write(s[0], block, sizeof(block)) != sizeof(block));
	CHECK(until_asleep(pid));
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big)) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

/* SIGPIPE is for streams. */
static void signals(void)
{
	for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_STREAM) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
			CHECK(close(s[1]) == 0);
			CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
			CHECK_ERRNO(send(s[0], "x", 1, 0), EPIPE);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(type == SOCK_STREAM ? WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE
					  : WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

/* --- nothing is left --------------------------------------------------------------------------------------------------- */

static void unread(void)
{
	static char block[50000];
	int n, none[2];

	for (int i = 0; i < 300; i++) {
		CHECK(socketpair(AF_UNIX, i % 2 ? SOCK_STREAM : SOCK_DGRAM, 0, s) == 0);
		for (n = 0; send(s[i % 3 > 0], block, sizeof(block), MSG_DONTWAIT) > 0; n++)
			;
		CHECK(n > 0 && errno == EAGAIN);
		CHECK(close(s[0]) == 0 && close(s[1]) == 0);
	}
	CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 5, none), EPROTONOSUPPORT);
	CHECK_ERRNO(socketpair(AF_UNIX, SOCK_RDM, 0, none), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM | 0x100, 0, none), EINVAL);
	/* the numbers could not be told: nobody has the files */
	CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, nowhere), EFAULT);
	CHECK(dup(0) == 3 && close(3) == 0);
}

int main(void)
{
	streams();
	records(SOCK_SEQPACKET);
	records(SOCK_DGRAM);
	ping_pong();
	full_queue();
	longer_queue();
	signals();
	unread();
	return 0;
}
