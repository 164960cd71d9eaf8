/* SPDX-License-Identifier: MIT */
/* ctty: the terminal that a session's leader opens becomes its own, TIOCGPTPEER, and a hung-up terminal's answers. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "check.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

extern char **environ;

/* In a process that leads no group, so that it may begin a session. */
static int leader(void)
{
	int master, slave, peer, n, zero = 0;
	struct termios t;
	struct stat by_file, by_name;
	char name[32];

	CHECK(setsid() == getpid());
	CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR);
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
	master = open("/dev/ptmx", O_RDWR | O_CLOEXEC);
	CHECK(master >= 0);
	CHECK(ioctl(master, TIOCSPTLCK, &zero) == 0 && ioctl(master, TIOCGPTN, &n) == 0);
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);

	/* by the master, whatever its name: and no controlling terminal */
	peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	CHECK(peer >= 0 && isatty(peer));
	CHECK(fcntl(peer, F_GETFD) == FD_CLOEXEC);
	CHECK(write(peer, "x", 1) == 1 && read(master, name, 1) == 1 && name[0] == 'x');
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	CHECK(fstat(peer, &by_file) == 0 && stat(name, &by_name) == 0);
	CHECK(by_file.st_ino == by_name.st_ino && by_file.st_dev == by_name.st_dev);
	CHECK(by_file.st_rdev == by_name.st_rdev && S_ISCHR(by_file.st_mode));
	slave = open(name, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0 && (fcntl(slave, F_GETFL) & O_NOCTTY) == 0);
	CHECK(close(slave) == 0);
	slave = open(name, O_WRONLY);
	CHECK(slave >= 0 && close(slave) == 0);
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);

	slave = open(name, O_RDWR);
	CHECK(slave >= 0 && tcgetsid(slave) == getpid() && tcgetpgrp(slave) == getpid());
	n = open("/dev/tty", O_RDWR);
	CHECK(n >= 0 && close(n) == 0);

	CHECK(close(master) == 0);
	CHECK_ERRNO(tcgetattr(slave, &t), EIO);
	CHECK_ERRNO(ioctl(slave, TIOCSCTTY, 0), EIO);
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
	return 0;
}

int main(int argc, char **argv)
{
	char *const args[] = { argv[0], (char *)"leader", NULL };
	int status;
	pid_t pid;

	if (argc > 1)
		return leader();
	CHECK(posix_spawn(&pid, "/tests/ctty", NULL, NULL, args, environ) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}
