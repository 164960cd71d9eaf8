/* SPDX-License-Identifier: MIT */
/* For the areas that are about terminals: a pair of them, keys typed at it, and signals counted. */
#ifndef TERN_TESTS_DIFF_LIB_TERMINAL_H
#define TERN_TESTS_DIFF_LIB_TERMINAL_H

#include <sys/ioctl.h>
#include "tests/diff/lib/diff.h"

static int master, slave;
static volatile sig_atomic_t caught[65];

static inline void count_signal(int sig)
{
	caught[sig]++;
}

static inline void on(int sig, void (*fn)(int))
{
	struct sigaction sa = { .sa_handler = fn };

	sigaction(sig, &sa, NULL);
}

static inline const char *slave_name(void)
{
	static char name[32];
	int n = -1;

	ioctl(master, TIOCGPTN, &n);
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	return name;
}

/* A new pair; with no flag the slave becomes the session's terminal if it may. */
static inline bool open_pair(int flags)
{
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	ioctl(master, TIOCSPTLCK, &(int){ 0 });
	slave = open(slave_name(), O_RDWR | flags);
	if (master < 0 || slave < 0)
		say("no terminal: %s", errno_name(errno));
	return slave >= 0;
}

static inline void type(const char *text)
{
	if (write(master, text, strlen(text)) != (ssize_t)strlen(text))
		say("not typed: %s", text);
	settle();
}

#endif
