/* SPDX-License-Identifier: MIT */
/* Advisory locks: fcntl's ranges by process and by open file, flock; who waits, who would wait for ever, what a close
 * lets go of. Leaves nothing behind. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/as_user.h"
#include "tests/user/await.h"
#include "tests/user/check.h"

#define FILE_NAME "/tmp/locks-test"

static int lock(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock fl = { .l_type = (short)type, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &fl);
}

/* What another process would find in the way of a write lock there: its type, or F_UNLCK. */
static struct flock seen_by_child(int fd, off_t start, off_t len)
{
	struct flock fl = { .l_type = F_WRLCK, .l_start = start, .l_len = len };
	int p[2], status;
	pid_t pid;

	CHECK(pipe(p) == 0);
	pid = fork();
	if (pid == 0)
		_exit(fcntl(fd, F_GETLK, &fl) || write(p[1], &fl, sizeof(fl)) != sizeof(fl));
	CHECK(read(p[0], &fl, sizeof(fl)) == sizeof(fl));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(close(p[0]) == 0 && close(p[1]) == 0);
	return fl;
}

static void ranges(int fd)
{
	struct flock fl;

	CHECK(lock(fd, F_SETLK, F_WRLCK, 100, 100) == 0);
	fl = seen_by_child(fd, 0, 0);
	CHECK(fl.l_type == F_WRLCK && fl.l_start == 100 && fl.l_len == 100 && fl.l_pid == getpid());
	/* a hole in it, then the hole filled: one lock again */
	CHECK(lock(fd, F_SETLK, F_UNLCK, 140, 20) == 0);
	CHECK(seen_by_child(fd, 140, 20).l_type == F_UNLCK);
	fl = seen_by_child(fd, 160, 1);
	CHECK(fl.l_start == 160 && fl.l_len == 40);
	CHECK(lock(fd, F_SETLK, F_WRLCK, 140, 20) == 0);
	fl = seen_by_child(fd, 150, 1);
	CHECK(fl.l_start == 100 && fl.l_len == 100);
	CHECK(lock(fd, F_SETLK, F_RDLCK, 150, -10) == 0);
	fl = seen_by_child(fd, 140, 1);
	CHECK(fl.l_type == F_RDLCK && fl.l_start == 140 && fl.l_len == 10);
	CHECK(lock(fd, F_SETLK, F_RDLCK, 190, 0) == 0);
	fl = seen_by_child(fd, 1000, 1);
	CHECK(fl.l_start == 190 && fl.l_len == 0);
	CHECK(lock(fd, F_GETLK, F_WRLCK, 0, 0) == 0);
	CHECK_ERRNO(lock(fd, F_GETLK, F_UNLCK, 0, 0), EINVAL);
	CHECK_ERRNO(lock(fd, F_SETLK, 9, 0, 0), EINVAL);
	CHECK_ERRNO(lock(fd, F_SETLK, F_RDLCK, -1, 0), EINVAL);
	CHECK_ERRNO(lock(fd, F_SETLK, F_RDLCK, 5, -6), EINVAL);
	CHECK_ERRNO(lock(fd, F_SETLK, F_RDLCK, INT64_MAX, 2), EOVERFLOW);
	CHECK_ERRNO(fcntl(fd, F_SETLK, 8), EFAULT);
	CHECK_ERRNO(fcntl(fd, F_GETLK, NULL), EFAULT);
	CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
	CHECK(seen_by_child(fd, 0, 0).l_type == F_UNLCK);
}

/* Closing any descriptor of the file lets go of a process's locks, but not of an open file's. */
static void closes(int fd)
{
	int other = open(FILE_NAME, O_RDONLY);

	CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
	CHECK_ERRNO(lock(other, F_SETLK, F_WRLCK, 0, 0), EBADF);
	CHECK(seen_by_child(fd, 0, 0).l_type == F_WRLCK);
	/* by another put in its place, too */
	CHECK(dup2(0, other) == other);
	CHECK(seen_by_child(fd, 0, 0).l_type == F_UNLCK);
	CHECK(close(other) == 0);
	other = open(FILE_NAME, O_RDWR);
	CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
	CHECK(close(other) == 0);
	CHECK(seen_by_child(fd, 0, 0).l_type == F_UNLCK);
	other = open(FILE_NAME, O_RDWR);
	CHECK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10) == 0);
	CHECK_ERRNO(lock(other, F_OFD_SETLK, F_WRLCK, 9, 1), EAGAIN);
	CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 0, 0), EAGAIN);
	CHECK(seen_by_child(fd, 0, 0).l_pid == -1);
	CHECK(close(other) == 0);
	other = dup(fd);
	CHECK(close(other) == 0 && seen_by_child(fd, 0, 0).l_type == F_WRLCK);
	CHECK(lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0) == 0);
}

/* The child waits for byte 1, which we hold, and holds byte 0, for which we must not wait. */
static void deadlock(int fd)
{
	int p[2], status;
	bool told;
	char c;
	pid_t pid;

	CHECK(pipe(p) == 0);
	CHECK(lock(fd, F_SETLK, F_WRLCK, 1, 1) == 0);
	pid = fork();
	if (pid == 0) {
		if (lock(fd, F_SETLK, F_WRLCK, 0, 1) || write(p[1], "x", 1) != 1)
			_exit(1);
		_exit(lock(fd, F_SETLKW, F_WRLCK, 1, 1) ? 2 : 0);
	}
	CHECK(read(p[0], &c, 1) == 1);
	CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 0, 1), EAGAIN);
	CHECK(until_asleep(pid));
	/* whoever comes second is told */
	told = lock(fd, F_SETLKW, F_WRLCK, 0, 1) != 0;
	CHECK(!told || errno == EDEADLK);
	CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 2) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == (told ? 0 : 2 << 8));
	/* N2: who waits can be killed */
	CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
	pid = fork();
	if (pid == 0)
		_exit(lock(fd, F_SETLKW, F_RDLCK, 0, 0));
	CHECK(until_asleep(pid));
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
	CHECK(close(p[0]) == 0 && close(p[1]) == 0);
}

/* Who waits goes on when the lock goes with a close, or with its owner, as well as when it is unlocked. */
static void lock_goes(int fd)
{
	for (int how = 0; how < 3; how++) {
		int other = open(FILE_NAME, O_RDWR), p[2], q[2], status;
		pid_t owner, pid;
		char c;

		CHECK(other >= 0 && pipe(p) == 0 && pipe(q) == 0);
		owner = fork();
		if (owner == 0) {
			if (lock(fd, F_SETLK, F_WRLCK, 0, 0) || write(p[1], "x", 1) != 1 ||
			    read(q[0], &c, 1) != 1)
				_exit(1);
			if (how == 0)
				_exit(lock(fd, F_SETLK, F_UNLCK, 0, 0) || pause());
			_exit(how == 1 ? close(other) || pause() : 0);
		}
		CHECK(read(p[0], &c, 1) == 1);
		pid = fork();
		if (pid == 0)
			_exit(lock(fd, F_SETLKW, F_WRLCK, 0, 0));
		CHECK(until_asleep(pid) && write(q[1], "x", 1) == 1);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		if (how < 2)
			CHECK(kill(owner, SIGKILL) == 0);
		CHECK(waitpid(owner, &status, 0) == owner && (how < 2 || status == 0));
		CHECK(close(other) == 0 && close(p[0]) == 0 && close(p[1]) == 0);
		CHECK(close(q[0]) == 0 && close(q[1]) == 0);
	}
}

/* ... and when the part goes that it waits for, at either end or in the midst, or is made shared. */
static void part_goes(int fd)
{
	static const struct {
		int start, to;
	} parts[] = { { 0, F_UNLCK }, { 40, F_UNLCK }, { 90, F_UNLCK }, { 40, F_RDLCK } };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int status = -1;
		pid_t pid;

		CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 100) == 0);
		pid = fork();
		if (pid == 0)
			_exit(lock(fd, F_SETLKW, F_RDLCK, parts[i].start, 10));
		CHECK(until_asleep(pid));
		CHECK(lock(fd, F_SETLK, parts[i].to, parts[i].start, 10) == 0);
		CHECK(AWAIT(waitpid(pid, &status, WNOHANG) == pid) && status == 0);
		CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
	}
}

static volatile pid_t waiter_id;

static void *wait_on(void *arg)
{
	int fd = *(int *)arg;

	waiter_id = gettid();
	*(int *)arg = lock(fd, F_SETLKW, F_WRLCK, 0, 0) ? errno : 0;
	return NULL;
}

/* A descriptor closed while a lock is waited for through it: the lock would have nobody to let go of it. */
static void close_before_lock(int fd)
{
	for (int reuse = 0; reuse < 2; reuse++) {
		int other = open(FILE_NAME, O_RDWR), arg = other, p[2], q[2], status;
		pthread_t t;
		pid_t pid;
		char c;

		CHECK(other >= 0 && pipe(p) == 0 && pipe(q) == 0);
		pid = fork();
		if (pid == 0)
			_exit(lock(fd, F_SETLK, F_WRLCK, 0, 0) || write(p[1], "x", 1) != 1 ||
			      read(q[0], &c, 1) != 1);
		CHECK(read(p[0], &c, 1) == 1);
		waiter_id = 0;
		CHECK(pthread_create(&t, NULL, wait_on, &arg) == 0);
		CHECK(AWAIT(waiter_id) && until_thread_asleep(waiter_id));
		if (reuse)
			CHECK(dup2(p[0], other) == other);
		else
			CHECK(close(other) == 0);
		CHECK(write(q[1], "x", 1) == 1 && waitpid(pid, &status, 0) == pid && status == 0);
		CHECK(pthread_join(t, NULL) == 0 && arg == EBADF);
		CHECK(seen_by_child(fd, 0, 0).l_type == F_UNLCK);
		if (reuse)
			CHECK(close(other) == 0);
		CHECK(close(p[0]) == 0 && close(p[1]) == 0 && close(q[0]) == 0 && close(q[1]) == 0);
	}
}

static void whole_files(int fd)
{
	int other = open(FILE_NAME, O_RDONLY), status;
	pid_t pid;

	CHECK(flock(fd, LOCK_SH) == 0 && flock(other, LOCK_SH | LOCK_NB) == 0);
	CHECK_ERRNO(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	/* the failed attempt has let go of the shared one */
	CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0);
	CHECK_ERRNO(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0 && lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
	pid = fork();
	if (pid == 0)
		_exit(flock(other, LOCK_EX));
	CHECK(until_asleep(pid));
	CHECK(waitpid(pid, &status, WNOHANG) == 0);
	CHECK(flock(fd, LOCK_UN) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	/* the child's copy of the descriptor was of the same open file: it still holds */
	CHECK_ERRNO(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(close(other) == 0);
	CHECK(flock(fd, LOCK_SH | LOCK_NB) == 0 && flock(fd, LOCK_UN) == 0);
	CHECK_ERRNO(flock(fd, 0), EINVAL);
	CHECK_ERRNO(flock(fd, LOCK_SH | LOCK_EX), EINVAL);
	CHECK_ERRNO(flock(99, LOCK_SH), EBADF);
}

/* Whether a process uses no time at all while some goes by. */
static bool stands_still(pid_t pid)
{
	struct timespec before, after;
	clockid_t clock;

	CHECK(clock_getcpuclockid(pid, &clock) == 0);
	CHECK(clock_gettime(clock, &before) == 0);
	/* in which who waits could use the CPU */
	let_pass(300);
	CHECK(clock_gettime(clock, &after) == 0);
	return after.tv_sec == before.tv_sec && after.tv_nsec == before.tv_nsec;
}

/* Who waits for a lock sleeps, alone and with others. */
static void waiting_is_idle(int fd)
{
	pid_t pid[2];
	int status;

	CHECK(flock(fd, LOCK_EX) == 0);
	for (int k = 0; k < 2; k++) {
		pid[k] = fork();
		if (pid[k] == 0)
			_exit(flock(open(FILE_NAME, O_RDONLY), LOCK_SH));
		/* it may still be on its way to sleep */
		CHECK(until_asleep(pid[k]) && AWAIT(stands_still(pid[k])));
	}
	CHECK(stands_still(pid[0]));
	CHECK(flock(fd, LOCK_UN) == 0);
	for (int k = 0; k < 2; k++)
		CHECK(waitpid(pid[k], &status, 0) == pid[k] && status == 0);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Open files are nobody that could wait for himself: Linux looks for circles among processes only. */
static void no_circle_of_files(int fd)
{
	/* again and again: the first may come before the wait */
	struct itimerval often = { { 0, 100000 }, { 0, 100000 } }, off = { 0 };
	struct sigaction act = { .sa_handler = on_alarm };
	int other = open(FILE_NAME, O_RDWR), status;
	pid_t pid;

	CHECK(sigaction(SIGALRM, &act, NULL) == 0);
	CHECK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 1) == 0 &&
	      lock(other, F_OFD_SETLK, F_WRLCK, 1, 1) == 0);
	pid = fork();
	if (pid == 0) {
		_exit(lock(other, F_OFD_SETLKW, F_WRLCK, 0, 1) == 0 || errno != EINTR);
	}
	CHECK(until_asleep(pid));
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	CHECK_ERRNO(lock(fd, F_OFD_SETLKW, F_WRLCK, 1, 1), EINTR);
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
	CHECK(kill(pid, SIGALRM) == 0 && waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(close(other) == 0 && lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0) == 0);
}

/* A user who locks byte after byte comes to an end, and gets no further by making two of one. Root does. */
static int many_locks(int fd, int most)
{
	int n = 0;

	while (n < most && lock(fd, F_SETLK, F_WRLCK, 2 * n, 1) == 0)
		n++;
	return n;
}

static int locked_fd;

static int as_user(void)
{
	int fd = locked_fd, n = many_locks(fd, 10000);

	if (n >= 10000 || n < 1000 || errno != ENOLCK)
		return 1;
	if (lock(fd, F_SETLK, F_UNLCK, 0, 1) || lock(fd, F_SETLK, F_WRLCK, 100000, 10))
		return 2;
	if (!lock(fd, F_SETLK, F_UNLCK, 100003, 1) || errno != ENOLCK)
		return 3;
	return lock(fd, F_SETLK, F_UNLCK, 0, 0) ? 4 : 0;
}

static void limits(int fd)
{
	locked_fd = fd;
	check_as_user(as_user);
	CHECK(many_locks(fd, 6000) == 6000 && lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
}

/* Many processes count in one file under a lock: nothing is lost. */
static void counting(int fd)
{
	int n = 0, status;

	CHECK(pwrite(fd, &n, sizeof(n), 0) == sizeof(n));
	for (int k = 0; k < 8; k++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid > 0)
			continue;
		for (int i = 0; i < 200; i++) {
			if (lock(fd, F_SETLKW, F_WRLCK, 0, 4) || pread(fd, &n, sizeof(n), 0) != 4)
				_exit(1);
			n++;
			if (pwrite(fd, &n, sizeof(n), 0) != 4 || lock(fd, F_SETLK, F_UNLCK, 0, 4))
				_exit(2);
		}
		_exit(0);
	}
	for (int k = 0; k < 8; k++)
		CHECK(wait(&status) > 0 && status == 0);
	CHECK(pread(fd, &n, sizeof(n), 0) == sizeof(n) && n == 1600);
}

int main(void)
{
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	ranges(fd);
	closes(fd);
	deadlock(fd);
	lock_goes(fd);
	part_goes(fd);
	close_before_lock(fd);
	whole_files(fd);
	waiting_is_idle(fd);
	no_circle_of_files(fd);
	limits(fd);
	counting(fd);
	CHECK(close(fd) == 0 && unlink(FILE_NAME) == 0);
	return 0;
}
