/* SPDX-License-Identifier: MIT */
/* /proc/PID/wchan: the kernel's function that each kind of sleeper is in, and of who comes and goes all the time a name or
 * none, never anything else. */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

static int fds[2], word, lock_fd;

static void in_read(void)
{
	char c;

	CHECK(read(fds[0], &c, 1) == 1);
}

static void in_sleep(void)
{
	/* for ever: it is what is looked at */
	let_pass(1000000);
}

static void in_wait(void)
{
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	wait(NULL);
}

static void in_futex(void)
{
	syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void in_poll(void)
{
	poll(&(struct pollfd){ .fd = fds[0], .events = POLLIN }, 1, -1);
}

static void in_flock(void)
{
	flock(open("/tmp/wchan", O_RDONLY), LOCK_SH);
}

static const char *wchan_of(const char *format, pid_t pid)
{
	static char text[100];
	char path[40];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), format, pid, pid);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	CHECK(n > 0 && close(fd) == 0);
	text[n] = 0;
	return text;
}

static pid_t start(void (*fn)(void))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
		fn();
		_exit(1);
	}
	setpgid(pid, pid);
	return pid;
}

static void end(pid_t pid)
{
	CHECK(kill(-pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static void each_kind(void)
{
	/* what its name has in it */
	static const struct {
		void (*fn)(void);
		const char *name;
	} kinds[] = {
		{ in_read, "pipe" }, { in_sleep, "sleep" }, { in_wait, "child" },
		{ in_poll, "poll" }, { in_futex, "wait" },  { in_flock, "lock" },
	};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		pid_t pid = start(kinds[i].fn);
		const char *got;

		CHECK(until_asleep(pid));
		got = wchan_of("/proc/%d/wchan", pid);
		if (!strstr(got, kinds[i].name))
			printf("kind %u sleeps in %s, not %s\n", i, got, kinds[i].name);
		CHECK(strstr(got, kinds[i].name));
		CHECK(strstr(wchan_of("/proc/%d/task/%d/wchan", pid), kinds[i].name));
		end(pid);
	}
	CHECK(strcmp(wchan_of("/proc/%d/wchan", getpid()), "0") == 0);
}

static void come_and_go(void)
{
	for (unsigned i = 0;; i++)
		/* the load: asleep and awake in turn */
		let_pass_us(i % 3 * 20);
}

int main(void)
{
	pid_t busy[2];
	unsigned seen = 0;

	lock_fd = open("/tmp/wchan", O_RDWR | O_CREAT, 0600);
	CHECK(pipe(fds) == 0 && lock_fd >= 0 && flock(lock_fd, LOCK_EX) == 0);
	each_kind();
	for (int i = 0; i < 2; i++)
		busy[i] = start(come_and_go);
	/* at any speed: until one was met asleep */
	for (unsigned i = 0; i < 4000 || !seen; i++) {
		const char *got = wchan_of("/proc/%d/wchan", busy[i % 2]);

		CHECK(strcmp(got, "0") == 0 || strstr(got, "sleep"));
		seen += got[0] != '0';
	}
	end(busy[0]);
	end(busy[1]);
	CHECK(unlink("/tmp/wchan") == 0);
	return 0;
}
