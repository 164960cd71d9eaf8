/* SPDX-License-Identifier: MIT */
/* init: the first program, pid 1. It mounts what the kernel has not, keeps a login shell on the console, collects the
 * orphans, and ends the machine when told to: SIGUSR1 halts, SIGUSR2 switches off and SIGTERM or SIGINT starts again,
 * as BusyBox's halt, poweroff and reboot ask. All signals are blocked and waited for, so none is missed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/lib/say.h"

#define STEP_NS	    20000000
#define GRACE_STEPS 50

static const struct timespec step = { .tv_nsec = STEP_NS };
static sigset_t every_signal, no_signal;

static void mount_missing(void)
{
	static const struct {
		const char *type, *where, *proof;
	} wanted[] = {
		{ "proc", "/proc", "/proc/uptime" },
		{ "devtmpfs", "/dev", "/dev/null" },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (access(wanted[i].proof, F_OK) &&
		    mount(wanted[i].type, wanted[i].where, wanted[i].type, 0, NULL))
			say(2, "init: no %s at %s: %s\n", wanted[i].type, wanted[i].where,
			    strerror(errno));
}

/* In the child: a session of its own, with the console as its terminal. */
static _Noreturn void become_shell(void)
{
	static const char *const words[] = { "-sh", NULL };
	static const char *const environment[] = { "HOME=/root",
						   "USER=root",
						   "LOGNAME=root",
						   "SHELL=/bin/sh",
						   "TERM=vt100",
						   "PATH=/bin:/sbin:/usr/bin:/usr/sbin",
						   NULL };
	int fd;

	setsid();
	fd = open("/dev/console", O_RDWR);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0))
		say(2, "init: /dev/console: %s\n", strerror(errno));
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
	if (chdir("/root"))
		say(2, "init: /root: %s\n", strerror(errno));
	sigprocmask(SIG_SETMASK, &no_signal, NULL);
	execve("/bin/sh", (char **)words, (char **)environment);
	say(2, "init: /bin/sh: %s\n", strerror(errno));
	_exit(127);
}

static pid_t start_shell(void)
{
	pid_t pid = fork();

	if (pid == 0)
		become_shell();
	if (pid < 0)
		say(2, "init: no shell on the console: %s\n", strerror(errno));
	return pid;
}

/* Collect who has ended. Returns pid, or 0 if it has. */
static pid_t collect(pid_t pid)
{
	pid_t ended;

	while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
		if (ended == pid)
			pid = 0;
	return pid;
}

/* Send everybody a signal and wait a second for them to go. */
static void tell_all(int sig)
{
	kill(-1, sig);
	kill(-1, SIGCONT);
	for (int i = 0; i == 0 || (i < GRACE_STEPS && !kill(-1, 0)); i++) {
		nanosleep(&step, NULL);
		collect(0);
	}
}

static void end(int how, const char *what)
{
	say(1, "init: %s\n", what);
	/* who asked may end by itself */
	nanosleep(&step, NULL);
	kill(-1, SIGHUP);
	tell_all(SIGTERM);
	tell_all(SIGKILL);
	sync();
	reboot(how);
	say(2, "init: %s: %s\n", what, strerror(errno));
}

int main(void)
{
	static const struct timespec pause = { .tv_sec = 1 };
	pid_t shell;

	sigfillset(&every_signal);
	sigemptyset(&no_signal);
	sigprocmask(SIG_BLOCK, &every_signal, NULL);
	mount_missing();
	shell = start_shell();
	for (;;) {
		shell = collect(shell);
		/* without a shell: a moment, so that one that cannot run does not keep a CPU busy, then another */
		switch (sigtimedwait(&every_signal, NULL, shell > 0 ? NULL : &pause)) {
		case SIGUSR1:
			end(RB_HALT_SYSTEM, "halt");
			break;
		case SIGUSR2:
			end(RB_POWER_OFF, "power off");
			break;
		case SIGTERM:
		case SIGINT:
			end(RB_AUTOBOOT, "restart");
			break;
		case -1:
			if (errno == EAGAIN)
				shell = start_shell();
			break;
		}
	}
}
