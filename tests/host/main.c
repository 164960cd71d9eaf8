/* SPDX-License-Identifier: MIT */
/* Runs the tests registered by TEST(): NAME_test [FILTER]. Prints "ok NAME" or
 * "not ok NAME: file:line: text" for each test whose name contains FILTER;
 * exits 1 if one failed. */
#include "tests/host/test.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One test may take this long; a hang is a failure. */
#define TIME_LIMIT_S 120

/* The child's exit status that means "the failure has been printed". */
#define FAILED_STATUS 77

uint64_t test_seed = 1;
int test_scale = 1;

static struct test_case *tests;
static struct test_case **tests_end = &tests;
static struct test_case *running;
static uint64_t random_state;
static sigjmp_buf on_failure;

void test_register(struct test_case *t)
{
	*tests_end = t;
	tests_end = &t->next;
}

/* splitmix64: any seed is a good seed. */
uint64_t test_random(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t test_below(uint64_t limit)
{
	return test_random() % limit;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	if (!running->known_gap) {
		printf("not ok %s: %s:%d: ", running->name, file, line);
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
		printf(" (TEST_SEED=%llu)\n", (unsigned long long)test_seed);
	}
	fflush(stdout);
	siglongjmp(on_failure, 1);
}

void test_check_str(const char *file, int line, const char *ea, const char *eb, const char *a,
		    const char *b)
{
	if (!a || !b || strcmp(a, b) != 0)
		test_fail(file, line, "%s == %s: \"%s\" and \"%s\"", ea, eb, a ? a : "(null)",
			  b ? b : "(null)");
}

void test_check_mem(const char *file, int line, const char *ea, const char *eb, const void *a,
		    const void *b, size_t len)
{
	const unsigned char *p = a, *q = b;

	for (size_t i = 0; i < len; i++)
		if (p[i] != q[i])
			test_fail(file, line, "%s == %s: byte %zu of %zu is %#x and %#x", ea, eb, i,
				  len, p[i], q[i]);
}

/* Whether the test met no failed check. */
static bool run_here(struct test_case *t)
{
	running = t;
	random_state = test_seed;
	if (sigsetjmp(on_failure, 1))
		return false;
	t->run();
	return true;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool report(struct test_case *t, bool passed, double begun)
{
	if (!t->known_gap) {
		if (passed)
			printf("ok %s (%.1f s)\n", t->name, now() - begun);
		return passed;
	}
	if (passed)
		printf("not ok %s: it passes, but is marked a known gap: %s\n", t->name,
		       t->known_gap);
	else
		printf("ok %s (known gap: %s)\n", t->name, t->known_gap);
	return !passed;
}

static bool run_in_child(struct test_case *t, double begun)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		printf("not ok %s: fork: %s\n", t->name, strerror(errno));
		return false;
	}
	if (pid == 0) {
		alarm((unsigned)(TIME_LIMIT_S * test_scale));
		exit(run_here(t) ? 0 : FAILED_STATUS);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return report(t, true, begun);
	if (WIFEXITED(status) && WEXITSTATUS(status) == FAILED_STATUS)
		return report(t, false, begun);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		printf("not ok %s: still running after %d s (TEST_SEED=%llu)\n", t->name,
		       TIME_LIMIT_S * test_scale, (unsigned long long)test_seed);
	else
		printf("not ok %s: died with %s %d, see above (TEST_SEED=%llu)\n", t->name,
		       WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		       (unsigned long long)test_seed);
	return false;
}

int main(int argc, char **argv)
{
	const char *filter = argc > 1 ? argv[1] : "";
	bool fork_each = !getenv("TEST_NOFORK"), good = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getenv("TEST_SEED"))
		test_seed = strtoull(getenv("TEST_SEED"), NULL, 0);
	if (getenv("TEST_SCALE"))
		test_scale = atoi(getenv("TEST_SCALE"));
	if (test_scale < 1)
		test_scale = 1;
	for (struct test_case *t = tests; t; t = t->next) {
		double begun = now();

		if (!strstr(t->name, filter))
			continue;
		if (!(fork_each ? run_in_child(t, begun) : report(t, run_here(t), begun)))
			good = false;
	}
	return good ? 0 : 1;
}
