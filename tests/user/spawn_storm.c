/* SPDX-License-Identifier: MIT */
/* Many children at once, each with its own status; wait by pid, by any, with WNOHANG; numbers are not given twice while
 * they live; what is not there, or is no program, is an error of posix_spawn. */
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/check.h"

#define BATCH 16

static pid_t start(const char *self, int code)
{
	char number[12];
	char *args[] = { (char *)self, number, NULL }, *env[] = { NULL };
	pid_t pid;

	snprintf(number, sizeof(number), "%d", code);
	CHECK(posix_spawn(&pid, self, NULL, NULL, args, env) == 0);
	CHECK(pid > 0);
	return pid;
}

static void by_pid(const char *self)
{
	pid_t pid[BATCH];
	int status;

	for (int i = 0; i < BATCH; i++) {
		pid[i] = start(self, i + 1);
		for (int j = 0; j < i; j++)
			CHECK(pid[j] != pid[i]);
	}
	for (int i = BATCH - 1; i >= 0; i--) {
		CHECK(waitpid(pid[i], &status, 0) == pid[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i + 1);
	}
	CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
	CHECK_ERRNO(waitpid(-1, &status, WNOHANG), ECHILD);
}

static void by_any(const char *self)
{
	int status, seen = 0;
	pid_t pid;

	for (int i = 0; i < BATCH; i++)
		start(self, i + 1);
	for (int n = 0; n < BATCH;) {
		pid = waitpid(-1, &status, n % 2 ? WNOHANG : 0);
		CHECK(pid >= 0);
		if (pid == 0)
			continue;
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) >= 1 &&
		      WEXITSTATUS(status) <= BATCH);
		CHECK(!(seen & 1 << WEXITSTATUS(status)));
		seen |= 1 << WEXITSTATUS(status);
		n++;
	}
	CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
}

int main(int argc, char **argv)
{
	char *args[] = { argv[0], NULL }, *env[] = { NULL };
	pid_t pid;

	if (argc > 1)
		return atoi(argv[1]);
	for (int i = 0; i < 4; i++) {
		by_pid(argv[0]);
		by_any(argv[0]);
	}
	CHECK(posix_spawn(&pid, "/no/such/program", NULL, NULL, args, env) == ENOENT);
	CHECK(posix_spawn(&pid, "/etc", NULL, NULL, args, env) == EACCES);
	return 0;
}
