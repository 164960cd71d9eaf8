/* SPDX-License-Identifier: MIT */
/* N2: a process in each call that can wait for ever, asleep in it, is killed, with all other signals blocked and with none:
 * it ends by that signal at once, and nothing of it is left. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define FIFO	  "/tmp/killed-fifo"
#define FILE_NAME "/tmp/killed-file"

static int empty[2], full[2], file, other, counter, full_counter, timer, master, slave, set;
static uint32_t *word;
static char byte, page[4096];

/* --- calls that wait --------------------------------------------------------------------------------------------------- */

static void in_read(void)
{
	read(empty[0], &byte, 1);
}

static void in_readv(void)
{
	struct iovec v = { &byte, 1 };

	readv(empty[0], &v, 1);
}

static void in_write(void)
{
	write(full[1], &byte, 1);
}

static void in_sendfile(void)
{
	off_t at = 0;

	sendfile(full[1], file, &at, 100);
}

static void in_open_to_read(void)
{
	open(FIFO, O_RDONLY);
}

static void in_open_to_write(void)
{
	open(FIFO, O_WRONLY);
}

static void in_counter_read(void)
{
	uint64_t v;

	read(counter, &v, sizeof(v));
}

static void in_counter_write(void)
{
	uint64_t v = 5;

	write(full_counter, &v, sizeof(v));
}

static void in_timer_read(void)
{
	uint64_t v;

	read(timer, &v, sizeof(v));
}

static void in_slave_read(void)
{
	read(slave, &byte, 1);
}

/* Nobody reads what the program says. */
static void in_slave_write(void)
{
	while (write(slave, page, sizeof(page)) > 0)
		;
}

static void in_master_read(void)
{
	int fresh = open("/dev/ptmx", O_RDWR | O_NOCTTY), zero = 0;

	ioctl(fresh, TIOCSPTLCK, &zero);
	zero = ioctl(fresh, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY);
	read(fresh, &byte, 1);
}

/* Nobody reads what is typed. */
static void in_master_write(void)
{
	while (write(master, page, sizeof(page)) > 0)
		;
}

static void in_poll(void)
{
	struct pollfd p[2] = { { empty[0], POLLIN, 0 }, { full[1], POLLOUT, 0 } };

	poll(p, 2, -1);
}

static void in_select(void)
{
	fd_set in;

	FD_ZERO(&in);
	FD_SET(empty[0], &in);
	select(empty[0] + 1, &in, NULL, NULL, NULL);
}

static void in_epoll(void)
{
	struct epoll_event ev;

	epoll_wait(set, &ev, 1, -1);
}

static void in_nanosleep(void)
{
	struct timespec t = { 100000, 0 };

	nanosleep(&t, NULL);
}

static void in_clock_nanosleep(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 100000;
	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL);
}

static void in_sigsuspend(void)
{
	sigset_t all;

	sigfillset(&all);
	sigsuspend(&all);
}

static void in_sigwait(void)
{
	sigset_t one;
	siginfo_t si;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR2);
	sigprocmask(SIG_BLOCK, &one, NULL);
	sigwaitinfo(&one, &si);
}

static void in_futex(void)
{
	syscall(SYS_futex, word, 0, 0, NULL);
}

static void in_private_futex(void)
{
	syscall(SYS_futex, word, 128, 0, NULL);
}

static void in_lock(void)
{
	struct flock l = { .l_type = F_RDLCK };

	fcntl(file, F_SETLKW, &l);
}

static void in_open_file_lock(void)
{
	struct flock l = { .l_type = F_WRLCK };

	fcntl(other, F_OFD_SETLKW, &l);
}

static void in_flock(void)
{
	flock(other, LOCK_SH);
}

/* The child goes when its parent does, or has gone. */
static void sleep_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static void in_wait4(void)
{
	pid_t self = getpid();

	if (fork() == 0)
		sleep_with(self);
	wait4(-1, NULL, 0, NULL);
}

static void in_waitid(void)
{
	pid_t self = getpid();
	siginfo_t si;

	if (fork() == 0)
		sleep_with(self);
	waitid(P_ALL, 0, &si, WEXITED);
}

static void in_vfork(void)
{
	pid_t self = getpid();

	if (raw_clone(CLONE_VM | CLONE_VFORK | SIGCHLD) == 0)
		sleep_with(self);
}

static void in_stop(void)
{
	raise(SIGSTOP);
}

static void *reads(void *arg)
{
	in_read();
	return arg;
}

static void in_join(void)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, reads, NULL) == 0);
	pthread_join(t, NULL);
}

/* Only another thread is left, and it is asleep. */
static void *reads_alone(void *arg)
{
	in_read();
	return arg;
}

static void in_thread(void)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, reads_alone, NULL) == 0);
	syscall(SYS_exit, 0);
}

static const struct {
	const char *name;
	void (*call)(void);
} calls[] = {
	{ "read", in_read },
	{ "readv", in_readv },
	{ "write", in_write },
	{ "sendfile", in_sendfile },
	{ "open to read", in_open_to_read },
	{ "open to write", in_open_to_write },
	{ "eventfd read", in_counter_read },
	{ "eventfd write", in_counter_write },
	{ "timerfd read", in_timer_read },
	{ "slave read", in_slave_read },
	{ "slave write", in_slave_write },
	{ "master read", in_master_read },
	{ "master write", in_master_write },
	{ "poll", in_poll },
	{ "select", in_select },
	{ "epoll_wait", in_epoll },
	{ "nanosleep", in_nanosleep },
	{ "clock_nanosleep", in_clock_nanosleep },
	{ "sigsuspend", in_sigsuspend },
	{ "sigwaitinfo", in_sigwait },
	{ "futex", in_futex },
	{ "private futex", in_private_futex },
	{ "F_SETLKW", in_lock },
	{ "F_OFD_SETLKW", in_open_file_lock },
	{ "flock", in_flock },
	{ "wait4", in_wait4 },
	{ "waitid", in_waitid },
	{ "vfork", in_vfork },
	{ "stop", in_stop },
	{ "pthread_join", in_join },
	{ "a thread", in_thread },
};

/* --- what they wait for ------------------------------------------------------------------------------------------------- */

static void open_all(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct flock l = { .l_type = F_WRLCK };
	uint64_t most = UINT64_MAX - 1;
	struct termios t;
	int zero = 0;

	CHECK(pipe(empty) == 0 && pipe(full) == 0);
	CHECK(fcntl(full[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(full[1], page, sizeof(page)) > 0)
		;
	CHECK(fcntl(full[1], F_SETFL, 0) == 0);
	unlink(FIFO);
	CHECK(mkfifo(FIFO, 0600) == 0);
	file = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
	other = open(FILE_NAME, O_RDWR);
	CHECK(file >= 0 && other >= 0 && write(file, page, sizeof(page)) == sizeof(page));
	CHECK(fcntl(file, F_SETLK, &l) == 0 && flock(file, LOCK_EX) == 0);
	counter = eventfd(0, 0);
	full_counter = eventfd(0, 0);
	CHECK(write(full_counter, &most, sizeof(most)) == sizeof(most));
	timer = timerfd_create(CLOCK_MONOTONIC, 0);
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	CHECK(master >= 0 && ioctl(master, TIOCSPTLCK, &zero) == 0);
	slave = ioctl(master, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0 && tcgetattr(slave, &t) == 0);
	cfmakeraw(&t);
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
	set = epoll_create1(0);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, empty[0], &ev) == 0);
	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(word != MAP_FAILED);
}

static bool waits(pid_t pid)
{
	int asleep = 0;

	/* D: it waits for what only a kill ends, as the parent of a vfork. Its first thread may be gone, the others not. */
	return AWAIT((asleep = strchr("SDTZ", state_of(pid)) ? asleep + 1 : 0) == 3);
}

static void kill_in(unsigned k, bool blocked)
{
	int status = -1;
	sigset_t all;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		/* who cannot be killed does not keep the caller waiting */
		for (int fd = 0; fd < 3; fd++)
			dup2(counter, fd);
		sigfillset(&all);
		if (blocked)
			sigprocmask(SIG_BLOCK, &all, NULL);
		calls[k].call();
		_exit(77);
	}
	CHECK(waits(pid));
	if (waitpid(pid, &status, WNOHANG)) {
		printf("%s: did not wait, status %#x\n", calls[k].name, status);
		exit(1);
	}
	CHECK(kill(pid, SIGKILL) == 0);
	if (!AWAIT(waitpid(pid, &status, WNOHANG) == pid)) {
		printf("%s: killed, and still there in state %c\n", calls[k].name, state_of(pid));
		exit(1);
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		printf("%s: killed, and ended with status %#x\n", calls[k].name, status);
		exit(1);
	}
}

int main(void)
{
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	open_all();
	for (unsigned k = 0; k < sizeof(calls) / sizeof(calls[0]); k++) {
		kill_in(k, false);
		kill_in(k, true);
		/* what was said and typed */
		tcflush(slave, TCIOFLUSH);
		tcflush(master, TCIOFLUSH);
	}
	while (wait(NULL) > 0)
		;
	CHECK(errno == ECHILD);
	CHECK(unlink(FIFO) == 0 && unlink(FILE_NAME) == 0);
	return 0;
}
