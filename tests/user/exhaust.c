/* SPDX-License-Identifier: MIT */
/* Programs that want too much die alone: more memory than there is, a stack without end (REL-002). And many
 * small blocks, again and again, take no more room than a few (H4). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define PAGE 4096UL

/* Touch memory until somebody stops us. */
static void eat(void)
{
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			exit(3);
		for (unsigned long i = 0; i < 1 << 20; i += PAGE)
			p[i] = 1;
	}
}

static volatile int bottom;

static int dive(volatile char *above)
{
	volatile char here[512];

	here[0] = above[0];
	return bottom ? 0 : dive(here) + here[1];
}

static int run(const char *self, const char *what)
{
	char *args[] = { (char *)self, (char *)what, NULL }, *env[] = { NULL };
	int status;
	pid_t pid;

	CHECK(posix_spawn(&pid, self, NULL, NULL, args, env) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void small_blocks(void)
{
	char *first = NULL, *low, *high;

	for (int i = 0; i < 100000; i++) {
		char *p = malloc(16);

		CHECK(p != NULL);
		p[15] = (char)i;
		if (!first)
			first = low = high = p;
		low = p < low ? p : low;
		high = p > high ? p : high;
		free(p);
	}
	CHECK(high - low < 1 << 20);
}

/* What was unmapped is found again: addresses do not run away. */
static void holes(void)
{
	char *low = NULL, *high = NULL;

	for (int i = 0; i < 3000; i++) {
		char *p = mmap(NULL, (1 + i % 7) * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(p != MAP_FAILED && p[0] == 0 && p[(i % 7) * PAGE + PAGE - 1] == 0);
		p[0] = 1;
		if (!low)
			low = high = p;
		low = p < low ? p : low;
		high = p > high ? p : high;
		CHECK(munmap(p, (1 + i % 7) * PAGE) == 0);
	}
	CHECK(high - low < 1 << 20);
}

/* As many descriptors as a process may have can be waited for in one call. */
static void many_polled(void)
{
	const struct rlimit many = { 65536, 65536 };
	struct pollfd *set = calloc(many.rlim_cur, sizeof(*set));
	pid_t parent = getpid(), pid;
	struct sysinfo si;
	int p[2];

	CHECK(set && sysinfo(&si) == 0 && setrlimit(RLIMIT_NOFILE, &many) == 0 && pipe(p) == 0);
	if (si.freeram * si.mem_unit < 32 << 20)
		return;
	for (unsigned i = 0; i < many.rlim_cur; i++)
		set[i] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		until_asleep(parent);
		_exit(write(p[1], "x", 1) != 1);
	}
	CHECK(poll(set, many.rlim_cur, -1) == (int)many.rlim_cur);
	CHECK(set[0].revents == POLLIN && set[many.rlim_cur - 1].revents == POLLIN);
	CHECK(waitpid(pid, NULL, 0) == pid);
	free(set);
	close(p[0]);
	close(p[1]);
}

/* What the kernel keeps of the sets that users wait for is an eighth of memory at most, whatever they are. */
static void polled_by_users(void)
{
	enum { SET = 65536, PAGES_OF_SET = SET / 48 };
	struct pollfd *set = calloc(SET, sizeof(*set));
	pid_t pid[200];
	int p[2], status, n, most, refused = 0;
	struct sysinfo si;

	CHECK(set && sysinfo(&si) == 0 && pipe(p) == 0);
	most = (int)(si.totalram * si.mem_unit / PAGE / 8 / PAGES_OF_SET) + 2;
	CHECK(most <= 200);
	for (unsigned i = 0; i < SET; i++)
		set[i] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	for (n = 0; n < most && !refused; n++) {
		pid[n] = fork();
		CHECK(pid[n] >= 0);
		/* none outlives a failed check: they would hold its standard output */
		if (pid[n] == 0)
			_exit(prctl(PR_SET_PDEATHSIG, SIGKILL) || setgid(100) || setuid(1000) ? 99
			      : poll(set, SET, -1) < 0 ? errno
						       : 0);
		CHECK(until_asleep(pid[n]));
		refused = waitpid(pid[n], &status, WNOHANG) == pid[n];
	}
	CHECK(refused && WIFEXITED(status) && WEXITSTATUS(status) == ENOMEM);
	/* small ones go on */
	CHECK(poll(set, 32, 0) == 0);
	for (int i = 0; i < n - 1; i++)
		CHECK(kill(pid[i], SIGKILL) == 0 && waitpid(pid[i], NULL, 0) == pid[i]);
	free(set);
	close(p[0]);
	close(p[1]);
}

int main(int argc, char **argv)
{
	char zero = 0;
	int status;

	if (argc > 1 && strcmp(argv[1], "eat") == 0)
		eat();
	if (argc > 1 && strcmp(argv[1], "dive") == 0)
		return dive(&zero);
	small_blocks();
	holes();
	many_polled();
	polled_by_users();
	for (int i = 0; i < 3; i++) {
		status = run(argv[0], "dive");
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
	status = run(argv[0], "eat");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* and the machine goes on */
	small_blocks();
	return 0;
}
