/* SPDX-License-Identifier: MIT */
/* How programs in a guest wait. What another process writes, ends or sends is waited for by read, waitpid, sigsuspend. For
 * a state that nobody tells of there is AWAIT; for what must not happen, let_pass. */
#ifndef TERN_TESTS_USER_AWAIT_H
#define TERN_TESTS_USER_AWAIT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define AWAIT_SECONDS 20

/* Time in which what must not happen could, or that is the load: no result depends on how long it is. */
static inline void let_pass_us(long us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000L };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static inline void let_pass(int ms)
{
	let_pass_us(ms * 1000L);
}

static inline bool await_over(time_t start)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec - start > AWAIT_SECONDS;
}

/* Until the condition is true; false if it is not within AWAIT_SECONDS. */
#define AWAIT(cond)                                                                                \
	({                                                                                         \
		struct timespec await_start;                                                       \
		bool await_true;                                                                   \
		clock_gettime(CLOCK_MONOTONIC, &await_start);                                      \
		while (!(await_true = (cond)) && !await_over(await_start.tv_sec))                  \
			let_pass(1);                                                               \
		await_true;                                                                        \
	})

/* The state that a file of /proc says: a letter, or 0 if it is no more. */
static inline char state_in(const char *format, pid_t pid)
{
	char path[40], text[300], *p;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), format, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n <= 0)
		return 0;
	text[n] = 0;
	p = strrchr(text, ')');
	return (char)(p && p[1] == ' ' ? p[2] : 0);
}

static inline char state_of(pid_t pid)
{
	return state_in("/proc/%d/stat", pid);
}

/* Until it sleeps in the kernel, is stopped or has ended (of which strchr finds the 0), and does so each time it is asked:
 * what it wanted, it waits for. */
static inline bool until_asleep_in(const char *format, pid_t pid)
{
	int asleep = 0;

	return AWAIT((asleep = strchr("STtZ", state_in(format, pid)) ? asleep + 1 : 0) == 3);
}

static inline bool until_asleep(pid_t pid)
{
	return until_asleep_in("/proc/%d/stat", pid);
}

/* The same for another thread of this process. */
static inline bool until_thread_asleep(pid_t tid)
{
	return until_asleep_in("/proc/self/task/%d/stat", tid);
}

#endif
