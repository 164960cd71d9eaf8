/* SPDX-License-Identifier: MIT */
/* every system call with hostile pointers at every argument, one at a time, the other arguments being good: none,
 * unmapped, the kernel's, not canonical, read-only where the kernel writes, and across the end of a mapping. A call
 * without pointers gets hostile numbers. Each call answers, and nothing else happens.
 *
 * scripts/syscalls.py --check makes sure that every call of the table has its line here. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "tests/diff/lib/diff.h"

/* The C library's other names. */
#undef pread64
#undef pwrite64
#undef prlimit64

#define PAGE 4096L

enum kind { VALUE, NUMBER, LIMIT, IN, OUT, TEXT };

struct arg {
	enum kind kind;
	long value;	  /* of VALUE; bytes of IN and OUT */
	const void *init; /* what a good IN holds, or NULL for zeros; the good TEXT */
};

/* An argument that stays, and one that is tried as a number. */
#define V(x)                                                                                       \
	{                                                                                          \
		VALUE, (long)(x), NULL                                                             \
	}
#define N(x)                                                                                       \
	{                                                                                          \
		NUMBER, (long)(x), NULL                                                            \
	}
#define IN(n)                                                                                      \
	{                                                                                          \
		IN, (n), NULL                                                                      \
	}
#define WITH(x)                                                                                    \
	{                                                                                          \
		IN, sizeof(x), &(x)                                                                \
	}
/* A time limit: no pointer would mean none. */
#define LIMIT(x)                                                                                   \
	{                                                                                          \
		LIMIT, sizeof(x), &(x)                                                             \
	}
#define OUT(n)                                                                                     \
	{                                                                                          \
		OUT, (n), NULL                                                                     \
	}
#define TEXT(s)                                                                                    \
	{                                                                                          \
		TEXT, 0, (s)                                                                       \
	}
#define PATH TEXT("file")
#define CWD  V(AT_FDCWD)

/* What a case finds open. */
enum { FILE_FD = 3, FOLDER, PIPE, PIPE_END, EPOLL, EVENT, TIMER, SOCKET, SOCKET_END, TERMINAL };

static char *good, *readonly, *edge;

/* Over loop-back. */
static void connected_pair(int p[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	p[0] = socket(AF_INET, SOCK_STREAM, 0);
	bind(l, (struct sockaddr *)&a, sizeof(a));
	listen(l, 1);
	getsockname(l, (struct sockaddr *)&a, &len);
	connect(p[0], (struct sockaddr *)&a, sizeof(a));
	p[1] = accept(l, NULL, NULL);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	close(l);
}

static void set_up(void)
{
	int p[2];

	alarm(50);
	put_file("file", "0123456789012345678901234567890123456789", 0644);
	mkdir("folder", 0755);
	symlink("file", "link");
	good = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readonly = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	edge = page_before_hole();
	dup2(open("file", O_RDWR), 40);
	dup2(open("folder", O_RDONLY), 41);
	pipe2(p, O_NONBLOCK);
	dup2(p[0], 42);
	dup2(p[1], 43);
	dup2((int)syscall(SYS_epoll_create1, 0), 44);
	dup2((int)syscall(SYS_eventfd2, 1, O_NONBLOCK), 45);
	dup2((int)syscall(SYS_timerfd_create, CLOCK_MONOTONIC, O_NONBLOCK), 46);
	connected_pair(p);
	dup2(p[0], 47);
	dup2(p[1], 48);
	dup2(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK), 49);
	for (int i = 3; i < 40; i++)
		close(i);
	for (int i = 0; i < 10; i++)
		fcntl(40 + i, F_DUPFD, 3 + i);
	write(PIPE_END, "pipe", 4);
}

/* The good value of an argument, fresh for each call. */
static long good_value(const struct arg *a, int i)
{
	char *at = good + i * PAGE;

	if (a->kind == VALUE || a->kind == NUMBER)
		return a->value;
	memset(at, 0, PAGE);
	if (a->kind == TEXT)
		strcpy(at, a->init);
	else if (a->init)
		memcpy(at, a->init, a->value);
	return (long)at;
}

static const char *const pointer_names[] = { "null", "low", "kernel", "high", "readonly", "edge" };

/* The bad pointer number k for the argument, or -1 if there is none. */
static long bad_pointer(const struct arg *a, int k)
{
	long half = a->kind == TEXT ? 2 : a->value / 2;

	switch (k) {
	case 0:
		return a->kind == LIMIT ? -1 : 0;
	case 1:
		return 8;
	case 2:
		return (long)0xffff000000001000;
	case 3:
		return (long)0x00f0000000001000;
	case 4:
		return a->kind == OUT ? (long)readonly + 64 : -1;
	default:
		if (!half)
			return -1;
		memset(edge + PAGE - half, a->kind == TEXT ? 'x' : 0, half);
		if (a->kind <= IN && a->init)
			memcpy(edge + PAGE - half, a->init, half);
		return (long)edge + PAGE - half;
	}
}

static const char *call(long number, const long *v)
{
	static char text[40];
	pid_t me = getpid();
	long got;

	errno = 0;
	got = syscall(number, v[0], v[1], v[2], v[3], v[4], v[5]);
	if (getpid() != me)
		_exit(0);
	if (got == -1 && errno)
		return errno_name(errno);
	snprintf(text, sizeof(text), "ok");
	return text;
}

static void hostile(int line, long number, const struct arg *args, int n)
{
	static const long numbers[] = { -1, INT32_MIN, INT64_MAX };
	char text[600];
	long v[6] = { 0 };

	set_up();
	for (int i = 0; i < n; i++) {
		bool pointer = args[i].kind >= LIMIT;
		int tries = pointer ? 6 : args[i].kind == NUMBER ? 3 : 0;

		if (!tries)
			continue;
		snprintf(text, sizeof(text), "argument %d:", i);
		for (int k = 0; k < tries; k++) {
			for (int j = 0; j < n; j++)
				v[j] = good_value(&args[j], j);
			v[i] = pointer ? bad_pointer(&args[i], k) : numbers[k];
			if (pointer && v[i] == -1)
				continue;
			snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s %s",
				 pointer ? pointer_names[k] : "", call(number, v));
		}
		diff_say(line, "%s", text);
	}
}

#define CALL(name, ...)                                                                            \
	CASE(name)                                                                                 \
	{                                                                                          \
		static const struct arg args[] = { __VA_ARGS__ };                                  \
		hostile(__LINE__, SYS_##name, args, sizeof(args) / sizeof(args[0]));               \
	}

/* Calls that take no argument, or do not come back, or whose numbers are everybody's: others try them. */
#define NOT_TRIED(...)
NOT_TRIED(exit, exit_group, getegid, geteuid, getgid, getpid, getppid, gettid, getuid, kill,
	  munlockall, restart_syscall, rt_sigreturn, sched_yield, setsid, sync, tkill, vhangup)

static const struct timespec soon = { 0, 1000 };
static const struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
static const struct itimerspec timer = { { 0, 0 }, { 0, 1000000 } };
static const uint64_t mask = 1UL << 9, one = 1;
static const int two_fds[2] = { 1, 1 };
static const uint64_t big_limits[2] = { ~0UL, ~0UL };
static const struct flock lock = { F_RDLCK, SEEK_SET, 0, 1, 0 };
static const struct epoll_event event = { .events = EPOLLIN };
/* A signal's information as sigqueue makes it. */
static const int queued[32] = { 10, 0, -1 };
static const unsigned char window[8];
static const struct {
	int fd;
	short events, revents;
} polled = { PIPE, 1, 0 };
static const uint32_t word = 5;

/* ---- files */
CALL(read, V(FILE_FD), OUT(16), V(16))
CALL(write, V(FILE_FD), IN(16), V(16))
CALL(pread64, V(FILE_FD), OUT(16), V(16), V(0))
CALL(pwrite64, V(FILE_FD), IN(16), V(16), V(0))
CALL(readv, V(FILE_FD), IN(32), V(2))
CALL(writev, V(FILE_FD), IN(32), V(2))
CALL(preadv, V(FILE_FD), IN(32), V(2), V(0))
CALL(pwritev, V(FILE_FD), IN(32), V(2), V(0))
CALL(preadv2, V(FILE_FD), IN(32), V(2), V(0), V(0), V(0))
CALL(pwritev2, V(FILE_FD), IN(32), V(2), V(0), V(0), V(0))
CALL(lseek, N(FILE_FD), N(0), N(0))
CALL(ftruncate, N(FILE_FD), N(5))
CALL(truncate, PATH, V(5))
CALL(fallocate, N(FILE_FD), N(0), N(0), V(5))
CALL(fsync, N(FILE_FD))
CALL(fdatasync, N(FILE_FD))
CALL(syncfs, N(FILE_FD))
CALL(close, N(60))
CALL(close_range, N(60), N(61), N(0))
CALL(dup, N(FILE_FD))
CALL(dup3, N(FILE_FD), N(60), N(0))
CALL(fcntl, N(FILE_FD), N(F_GETFD), V(0))
CALL(flock, N(FILE_FD), N(6))
CALL(sendfile, V(PIPE_END), V(FILE_FD), OUT(8), V(4))
CALL(copy_file_range, V(FILE_FD), OUT(8), V(FILE_FD), OUT(8), V(4), V(0))
CALL(fadvise64, N(FILE_FD), N(0), N(0), N(0))
CALL(readahead, N(FILE_FD), N(0), N(0))
CALL(pipe2, OUT(8), N(0))
CALL(ioctl, N(FILE_FD), N(0), V(0))
CALL(memfd_create, TEXT("name"), N(0))
CALL(splice, V(PIPE), OUT(8), V(FILE_FD), OUT(8), V(4), V(0))
CALL(tee, N(PIPE), N(PIPE_END), N(4), N(0))
CALL(vmsplice, V(PIPE_END), IN(16), V(1), V(0))

CASE(fcntl_locks)
{
	static const struct arg args[] = { V(FILE_FD), V(F_SETLK), WITH(lock) };

	hostile(__LINE__, SYS_fcntl, args, 3);
}

CASE(fcntl_getlk)
{
	static const struct arg args[] = { V(FILE_FD), V(F_GETLK), OUT(32) };

	hostile(__LINE__, SYS_fcntl, args, 3);
}

CASE(ioctl_fionread)
{
	static const struct arg args[] = { V(PIPE), V(0x541b), OUT(4) };

	hostile(__LINE__, SYS_ioctl, args, 3);
}

CASE(ioctl_fionbio)
{
	static const struct arg args[] = { V(PIPE), V(0x5421), IN(4) };

	hostile(__LINE__, SYS_ioctl, args, 3);
}

CASE(ioctl_terminal)
{
	static const struct arg get[] = { V(TERMINAL), V(0x5401), OUT(36) };
	static const struct arg set[] = { V(TERMINAL), V(0x5402), IN(36) };
	static const struct arg size[] = { V(TERMINAL), V(0x5413), OUT(8) };
	static const struct arg resize[] = { V(TERMINAL), V(0x5414), WITH(window) };
	static const struct arg number[] = { V(TERMINAL), V(0x80045430), OUT(4) };
	static const struct arg unlock[] = { V(TERMINAL), V(0x40045431), IN(4) };

	hostile(__LINE__, SYS_ioctl, get, 3);
	hostile(__LINE__, SYS_ioctl, set, 3);
	hostile(__LINE__, SYS_ioctl, size, 3);
	hostile(__LINE__, SYS_ioctl, resize, 3);
	hostile(__LINE__, SYS_ioctl, number, 3);
	hostile(__LINE__, SYS_ioctl, unlock, 3);
}

/* Vectors that are good and whose pieces are not. */
CASE(pieces)
{
	static const uint64_t low[2] = { 8, 4 }, kernel[2] = { 0xffff000000001000, 4 },
			      high[2] = { 0x00f0000000001000, 4 }, endless[2] = { 8, ~0UL };
	static const uint64_t *const all[] = { low, kernel, high, endless };

	set_up();
	for (int i = 0; i < 4; i++) {
		R(syscall(SYS_readv, FILE_FD, all[i], 1));
		R(syscall(SYS_writev, FILE_FD, all[i], 1));
		R(syscall(SYS_preadv, FILE_FD, all[i], 1, 0, 0));
		R(syscall(SYS_pwritev, FILE_FD, all[i], 1, 0, 0));
		R(syscall(SYS_readv, PIPE, all[i], 1));
		R(syscall(SYS_writev, PIPE_END, all[i], 1));
	}
}

/* ---- names */
CALL(openat, N(AT_FDCWD), PATH, N(0), N(0))
CALL(openat2, CWD, PATH, IN(24), V(24))
CALL(mkdirat, N(AT_FDCWD), TEXT("made"), N(0700))
CALL(mknodat, N(AT_FDCWD), TEXT("node"), N(0010600), N(0))
CALL(unlinkat, N(AT_FDCWD), TEXT("none"), N(0))
CALL(linkat, CWD, PATH, CWD, TEXT("hard"), N(0))
CALL(symlinkat, TEXT("to"), N(AT_FDCWD), TEXT("from"))
CALL(readlinkat, N(AT_FDCWD), TEXT("link"), OUT(4), N(4))
CALL(renameat, CWD, TEXT("none"), CWD, TEXT("other"))
CALL(renameat2, CWD, TEXT("none"), CWD, TEXT("other"), N(0))
CALL(faccessat, N(AT_FDCWD), PATH, N(0))
CALL(faccessat2, N(AT_FDCWD), PATH, N(0), N(0))
CALL(fchmod, N(FILE_FD), N(0644))
CALL(fchmodat, N(AT_FDCWD), PATH, N(0644))
CALL(fchown, N(FILE_FD), N(0), N(0))
CALL(fchownat, N(AT_FDCWD), PATH, N(0), N(0), N(0))
CALL(newfstatat, N(AT_FDCWD), PATH, OUT(128), N(0))
CALL(fstat, N(FILE_FD), OUT(128))
CALL(statx, N(AT_FDCWD), PATH, N(0), N(0x7ff), OUT(256))
CALL(statfs, PATH, OUT(120))
CALL(fstatfs, N(FILE_FD), OUT(120))
CALL(utimensat, N(AT_FDCWD), PATH, WITH(times), N(0))
CALL(getdents64, N(FOLDER), OUT(200), N(200))
CALL(getcwd, OUT(10), N(10))
CALL(chdir, TEXT("folder"))
CALL(fchdir, N(FOLDER))
CALL(chroot, TEXT("/"))
CALL(umask, N(022))
CALL(mount, TEXT("none"), TEXT("folder"), TEXT("nosuchfs"), V(0), V(0))
CALL(umount2, TEXT("folder"), N(0))

/* ---- processes */
CALL(clone, V(SIGCHLD | CLONE_PARENT_SETTID), V(0), OUT(4), V(0), V(0))
CALL(clone3, IN(64), V(64))
CALL(execve, TEXT("file"), IN(16), IN(16))
CALL(execveat, CWD, TEXT("file"), IN(16), IN(16), V(0))
CALL(wait4, N(-1), OUT(4), N(1), OUT(144))
CALL(waitid, N(0), N(0), OUT(128), N(5), OUT(144))
CALL(setpgid, N(0), N(0))
CALL(getpgid, N(0))
CALL(getsid, N(0))
CALL(set_tid_address, OUT(4))
CALL(getpriority, N(0), N(0))
CALL(setpriority, N(0), N(0), N(0))
CALL(prlimit64, N(0), N(7), WITH(big_limits), OUT(16))
CALL(getrlimit, N(7), OUT(16))
CALL(setrlimit, N(7), WITH(big_limits))
CALL(getrusage, N(0), OUT(144))
CALL(times, OUT(32))
CALL(prctl, V(16), OUT(16))
CALL(sched_getaffinity, N(0), V(128), OUT(8))
CALL(sched_setaffinity, N(0), V(8), WITH(one))
CALL(sched_getparam, N(0), OUT(4))
CALL(sched_setparam, N(0), IN(4))
CALL(sched_getscheduler, N(0))
CALL(sched_setscheduler, N(0), N(0), IN(4))
CALL(sched_get_priority_max, N(0))
CALL(sched_get_priority_min, N(0))
CALL(sched_rr_get_interval, N(0), OUT(16))
CALL(getcpu, OUT(4), OUT(4), V(0))
CALL(personality, V(0xffffffff))
CALL(getgroups, N(10), OUT(40))
CALL(setgroups, N(2), WITH(two_fds))
CALL(getresuid, OUT(4), OUT(4), OUT(4))
CALL(getresgid, OUT(4), OUT(4), OUT(4))
CALL(setresgid, N(0), N(0), N(0))
CALL(setregid, N(0), N(0))
CALL(setgid, N(0))
CALL(setfsgid, N(0))
CALL(setresuid, N(0), N(0), N(0))
CALL(setreuid, N(0), N(0))
CALL(setuid, N(0))
CALL(setfsuid, N(0))
CALL(uname, OUT(390))
CALL(sethostname, TEXT("host"), N(4))
CALL(setdomainname, TEXT("domain"), N(6))
CALL(sysinfo, OUT(112))
CALL(getrandom, OUT(16), V(16), N(0))
CALL(syslog, N(10), OUT(16), V(16))
CALL(reboot, N(1), N(2), N(3), V(0))

/* ---- signals */
CALL(rt_sigaction, N(10), IN(32), OUT(32), V(8))
CALL(rt_sigprocmask, N(0), WITH(mask), OUT(8), V(8))
CALL(rt_sigpending, OUT(8), V(8))
CALL(rt_sigsuspend, IN(8), V(4))
CALL(rt_sigtimedwait, WITH(mask), OUT(128), LIMIT(soon), V(8))
CALL(rt_sigqueueinfo, N(1 << 21), V(10), WITH(queued))
CALL(rt_tgsigqueueinfo, N(1 << 21), N(1 << 21), V(10), WITH(queued))
CALL(sigaltstack, IN(24), OUT(24))
CALL(tgkill, N(1 << 21), N(1 << 21), N(0))
CALL(getitimer, N(0), OUT(32))
CALL(setitimer, N(0), IN(32), OUT(32))
CALL(signalfd4, N(-1), WITH(mask), V(8), N(0))

/* ---- time */
CALL(clock_gettime, N(1), OUT(16))
CALL(clock_settime, N(1), IN(16))
CALL(clock_getres, N(1), OUT(16))
CALL(clock_nanosleep, N(1), N(0), LIMIT(soon), OUT(16))
CALL(nanosleep, LIMIT(soon), OUT(16))
CALL(gettimeofday, OUT(16), OUT(8))
CALL(settimeofday, V(0), IN(8))
CALL(adjtimex, OUT(208))
CALL(clock_adjtime, N(0), OUT(208))
CALL(timer_create, N(1), V(0), OUT(4))
CALL(timer_settime, N(99), N(0), WITH(timer), OUT(32))
CALL(timer_gettime, N(99), OUT(32))
CALL(timer_getoverrun, N(99))
CALL(timer_delete, N(99))
CALL(timerfd_create, N(1), N(0))
CALL(timerfd_settime, N(TIMER), N(0), WITH(timer), OUT(32))
CALL(timerfd_gettime, N(TIMER), OUT(32))

/* ---- waiting and talking */
CALL(ppoll, WITH(polled), V(1), LIMIT(soon), WITH(mask), V(8))
CALL(pselect6, V(5), OUT(8), OUT(8), OUT(8), LIMIT(soon), V(0))
CALL(epoll_create1, N(0))
CALL(epoll_ctl, N(EPOLL), N(1), N(PIPE), WITH(event))
CALL(epoll_pwait, N(EPOLL), OUT(16), N(1), V(0), IN(8), V(8))
CALL(epoll_pwait2, V(EPOLL), OUT(16), V(1), LIMIT(soon), IN(8), V(8))
CALL(eventfd2, N(0), N(0))
CALL(futex, WITH(word), V(0), V(5), LIMIT(soon), V(0), V(0))
CALL(set_robust_list, IN(24), V(24))
CALL(get_robust_list, N(0), OUT(8), OUT(8))
CALL(membarrier, N(0), N(0))
CALL(socketpair, N(1), N(1), N(0), OUT(8))
CALL(socket, N(2), N(1), N(0))
CALL(bind, V(SOCKET), IN(16), V(16))
CALL(listen, N(SOCKET), N(5))
CALL(accept, V(SOCKET), OUT(16), OUT(4))
CALL(accept4, V(SOCKET), OUT(16), OUT(4), V(0))
CALL(connect, V(SOCKET), IN(16), V(16))
CALL(getsockname, V(SOCKET), OUT(16), OUT(4))
CALL(getpeername, V(SOCKET), OUT(16), OUT(4))
CALL(sendto, V(SOCKET), IN(16), V(16), V(0), V(0), V(0))
CALL(recvfrom, V(SOCKET), OUT(16), V(16), V(0), V(0), V(0))
CALL(sendmsg, V(SOCKET), IN(56), V(0))
CALL(sendmmsg, V(SOCKET), IN(64), V(1), V(0))
CALL(recvmsg, V(SOCKET), IN(56), V(0))
CALL(setsockopt, V(SOCKET), V(1), V(2), IN(4), V(4))
CALL(getsockopt, V(SOCKET), V(1), V(3), OUT(4), OUT(4))
CALL(shutdown, N(SOCKET), N(0))

/* ---- memory: an address here is not a pointer the kernel follows */
CALL(brk, N(0))
CALL(mmap, N(0), N(4096), N(3), V(0x22), V(-1), V(0))
CALL(munmap, N(0), N(4096))
CALL(mprotect, N(0), N(4096), N(0))
CALL(mremap, N(0), N(4096), N(4096), N(0), V(0))
CALL(madvise, N(0), N(4096), N(0))
CALL(msync, N(0), N(4096), N(4))
CALL(mincore, V(4096), V(4096), OUT(1))
CALL(mlock, N(0), N(4096))
CALL(mlock2, N(0), N(4096), N(0))
CALL(munlock, N(0), N(4096))
CALL(mlockall, N(8))
