/* SPDX-License-Identifier: MIT */
/* Process groups, sessions, masks and dispositions, with children made by posix_spawn. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

static char *self;

static pid_t start(const char *what, short flags, pid_t group, int ignore)
{
	char *args[] = { self, (char *)what, NULL }, *env[] = { NULL };
	posix_spawnattr_t attr;
	sigset_t set;
	pid_t pid;

	(void)ignore;
	sigemptyset(&set);
	CHECK(posix_spawnattr_init(&attr) == 0);
	CHECK(posix_spawnattr_setflags(&attr, flags) == 0);
	CHECK(posix_spawnattr_setpgroup(&attr, group) == 0);
	CHECK(posix_spawnattr_setsigmask(&attr, &set) == 0);
	CHECK(posix_spawn(&pid, self, NULL, &attr, args, env) == 0);
	posix_spawnattr_destroy(&attr);
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void group_kill(void)
{
	pid_t leader = start("sleep", POSIX_SPAWN_SETPGROUP, 0, 0);
	pid_t member = start("sleep", POSIX_SPAWN_SETPGROUP, leader, 0);
	pid_t other = start("sleep", 0, 0, 0);

	CHECK(getpgid(leader) == leader);
	CHECK(getpgid(member) == leader);
	CHECK(getpgid(other) == getpgrp());
	CHECK(getsid(leader) == getsid(0));
	CHECK(kill(-leader, SIGTERM) == 0);
	CHECK(WTERMSIG(status_of(leader)) == SIGTERM);
	CHECK(WTERMSIG(status_of(member)) == SIGTERM);
	CHECK_ERRNO(kill(-leader, 0), ESRCH);
	CHECK(waitpid(other, NULL, WNOHANG) == 0);
	CHECK(kill(other, SIGKILL) == 0);
	CHECK(WTERMSIG(status_of(other)) == SIGKILL);
}

static void errors(void)
{
	pid_t child = start("sleep", 0, 0, 0);

	CHECK_ERRNO(setpgid(child, child), EACCES);
	CHECK_ERRNO(setpgid(0, -5), EINVAL);
	CHECK_ERRNO(getpgid(4000000), ESRCH);
	CHECK_ERRNO(kill(4000000, 0), ESRCH);
	CHECK_ERRNO(kill(child, 65), EINVAL);
	CHECK(kill(child, 0) == 0);
	CHECK(kill(child, SIGKILL) == 0);
	CHECK(WTERMSIG(status_of(child)) == SIGKILL);
}

/* Ignored across exec; blocked until the mask lets it through. */
static void dispositions(void)
{
	sigset_t set, old, pending;
	pid_t pid;

	CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);
	pid = start("sleep", 0, 0, 0);
	CHECK(signal(SIGTERM, SIG_DFL) == SIG_IGN);
	CHECK(kill(pid, SIGTERM) == 0);
	/* in which it could die */
	let_pass(20);
	CHECK(waitpid(pid, NULL, WNOHANG) == 0);
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(WTERMSIG(status_of(pid)) == SIGKILL);

	CHECK_ERRNO(sigaction(SIGKILL, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL), EINVAL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);

	pid = start("unblock", 0, 0, 0);
	CHECK(WTERMSIG(status_of(pid)) == SIGUSR2);
}

static int child(const char *what)
{
	sigset_t set;

	if (strcmp(what, "session") == 0) {
		CHECK(setsid() == getpid());
		CHECK(getsid(0) == getpid() && getpgrp() == getpid());
		CHECK_ERRNO(setsid(), EPERM);
		return 7;
	}
	if (strcmp(what, "unblock") == 0) {
		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		sigprocmask(SIG_BLOCK, &set, NULL);
		raise(SIGUSR2);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		return 8;
	}
	for (;;)
		pause();
}

/* A stopped job that is killed and not yet waited for can be let go on no more: who looked after it ends all the same. */
static void end_beside_a_killed_job(void)
{
	int status, gone = 0;
	pid_t leader = fork(), job;

	CHECK(leader >= 0);
	if (leader == 0) {
		siginfo_t info;

		CHECK(setsid() == getpid());
		job = fork();
		if (job == 0) {
			setpgid(0, 0);
			raise(SIGSTOP);
			_exit(1);
		}
		CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status));
		CHECK(kill(job, SIGKILL) == 0);
		CHECK(waitid(P_PID, (id_t)job, &info, WEXITED | WNOWAIT) == 0);
		_exit(3);
	}
	CHECK(AWAIT((gone = waitpid(leader, &status, WNOHANG)) != 0));
	CHECK(gone == leader && status == 3 << 8);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1)
		return child(argv[1]);
	for (int i = 0; i < 5; i++) {
		group_kill();
		errors();
		dispositions();
		CHECK(WEXITSTATUS(status_of(start("session", 0, 0, 0))) == 7);
	}
	end_beside_a_killed_job();
	return 0;
}
