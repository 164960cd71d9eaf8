/* SPDX-License-Identifier: MIT */
/* For the programs of the differential ring: what one prints under Linux it prints under tern. A program is a list of
 * cases; each runs in a child of its own, in a new session, in an empty folder, with descriptors 0 to 2 alone, default
 * signals and umask 022. So a case that hangs or dies takes no other with it.
 *
 * Lines hold no addresses, times, process ids or sizes that a kernel may choose. What is printed ends in a tab and the
 * number of its source line, which run.py takes off before it compares. */
#ifndef TERN_TESTS_DIFF_LIB_DIFF_H
#define TERN_TESTS_DIFF_LIB_DIFF_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"

typedef void (*case_fn)(void);

void diff_add_case(const char *name, case_fn fn);

/* The body of a case follows. Cases run in the order they are written. */
#define CASE(name)                                                                                 \
	static void case_##name(void);                                                             \
	__attribute__((constructor)) static void add_##name(void)                                  \
	{                                                                                          \
		diff_add_case(#name, case_##name);                                                 \
	}                                                                                          \
	static void case_##name(void)

/* The absolute name of this program, for exec. */
extern char diff_self[100];

/* A program that runs itself has this: what the new program does, or -1 when its words are not for it. */
int diff_exec(int argc, char **argv);

/* One line, by one write. */
void diff_say(int line, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define say(...) diff_say(__LINE__, __VA_ARGS__)

/* The text of a call and what came of it: its value, or -1 and the errno's name. Returns the value. */
long diff_result(int line, const char *text, long value);
#define R(call) diff_result(__LINE__, #call, (errno = 0, (long)(call)))

/* The same where only success counts, because a kernel chooses the value. */
long diff_success(int line, const char *text, long value);
#define OK(call) diff_success(__LINE__, #call, (errno = 0, (long)(call)))

/* A condition, as yes or no. */
#define Q(cond) diff_say(__LINE__, "%s: %s", #cond, (cond) ? "yes" : "no")

/* How a child ended or stopped, as wait's status says it. */
void diff_status(int line, const char *text, int status);
#define STATUS(status) diff_status(__LINE__, #status, status)

const char *errno_name(int e);
const char *signal_name(int sig);

/* "self", "parent", "child" (the last of start_child) or "other". */
const char *who(pid_t pid);

/* fork; the child calls fn(arg) and exits with what that returns. */
pid_t start_child(int (*fn)(void *arg), void *arg);

/* waitpid for a child that ends, and how it ended, as a line. */
void diff_reap(int line, pid_t pid);
#define REAP(pid) diff_reap(__LINE__, pid)

int64_t now_ns(clockid_t clock);

/* Linux passes a terminal's bytes and signals on in a worker of its own, and tells nobody when: its run gives it time. Under
 * tern all that has been done when the call returns, so there it is looked for at once. */
void settle(void);

/* The whole of a small file, or "" ; static room. */
const char *slurp(const char *path);
void put_file(const char *path, const char *text, mode_t mode);

/* The names in a folder but . and .., sorted, as one line. */
void diff_list(int line, const char *path);
#define LIST(path) diff_list(__LINE__, path)

/* What stat says of a name that is not a kernel's choice: type, mode, owner, links, size. */
void diff_stat(int line, const char *path);
#define STAT(path) diff_stat(__LINE__, path)

/* An address where nothing is ever mapped, which no compiler knows. */
extern volatile uintptr_t diff_bad;
#define BAD ((void *)diff_bad)

/* A page with nothing mapped behind it. */
char *page_before_hole(void);

#endif
