/* SPDX-License-Identifier: MIT */
/* RC-016: children that sleep, read, write into a full pipe or compute are killed, from outside and at any moment; each
 * is reaped with the signal's status, and nothing is left. The program is its own child. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define ROUNDS 60

static int child(const char *how)
{
	char buf[4096] = { 0 };
	int p[2];

	if (strcmp(how, "spin") == 0)
		for (;;)
			__asm__ volatile("" : : : "memory");
	if (strcmp(how, "sleep") == 0)
		for (;;)
			sleep(1000);
	if (strcmp(how, "syscall") == 0)
		for (;;)
			getppid();
	if (strcmp(how, "fault") == 0)
		for (;;) {
			volatile char *m = malloc(1 << 20);

			for (int i = 0; i < 1 << 20; i += 4096)
				m[i] = 1;
			free((void *)m);
		}
	if (pipe(p) < 0)
		return 2;
	if (strcmp(how, "read") == 0)
		return read(p[0], buf, 1) == 1 ? 3 : 4;
	for (;;)
		if (write(p[1], buf, sizeof(buf)) < 0)
			return 5;
}

static int wait_for(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

int main(int argc, char **argv)
{
	static const char *const how[] = { "spin", "sleep", "syscall", "fault", "read", "write" };
	static const int sig[] = { SIGKILL, SIGTERM, SIGINT, SIGHUP };
	unsigned long x = 12345;

	if (argc > 1)
		return child(argv[1]);
	for (int i = 0; i < ROUNDS; i++) {
		char *args[] = { argv[0], (char *)how[i % 6], NULL }, *env[] = { NULL };
		int s = sig[i % 4], status;
		pid_t pid;

		CHECK(posix_spawn(&pid, argv[0], NULL, NULL, args, env) == 0);
		x = x * 6364136223846793005UL + 1442695040888963407UL;
		/* killed anywhere in its life */
		let_pass_us((long)(x >> 33) % 3000);
		CHECK(kill(pid, s) == 0);
		status = wait_for(pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == s);
		CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
		CHECK_ERRNO(kill(pid, 0), ESRCH);
	}
	return 0;
}
