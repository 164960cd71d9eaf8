/* SPDX-License-Identifier: MIT */
/* storm [SEED [SECONDS]]: random system calls, with good and with hostile arguments, from many processes at once, some of
 * them with threads. They fork, execute, signal and kill each other; the first process kills one now and then, and each
 * that makes no progress. What must hold: a killed process is gone soon, the first one lives, and run.py finds every
 * page and object back.
 *
 * All but the first run as users without rights, so that "every process" means the storm's. A worker's calls follow
 * from its seed alone, which is said when something fails, and that is checked: when a worker has ended, the first process
 * goes through its first calls without making them. How workers meet each other is the scheduler's. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define WORKERS	  10
#define FIRST_UID 1000
#define FOLDER	  "/tmp/storm"
#define AREA	  (64 * 4096L)
/* So many of a worker's calls are held against its seed. */
#define TRACED 300
/* More than the longest length: what is written, or unmapped, beside the area is not what all share. */
#define GUARD (32 * 4096L)

/* An argument's kind:
 *   f descriptor  d folder's descriptor  p path  b buffer  l length  o offset  n small number  F flags  m mode
 *   a page-aligned address in the area  L length of pages  t timespec  s signal set  8 eight  g signal  P process
 *   v vector  e epoll event  w futex word  0 zero  c clock  u user  B poll structures  x anything */
static const struct {
	short number, weight;
	const char *args;
} calls[] = {
	{ SYS_read, 9, "fbl" },
	{ SYS_write, 9, "fbl" },
	{ SYS_readv, 3, "fvn" },
	{ SYS_writev, 3, "fvn" },
	{ SYS_pread64, 3, "fblo" },
	{ SYS_pwrite64, 3, "fblo" },
	{ SYS_preadv, 1, "fvno" },
	{ SYS_pwritev, 1, "fvno" },
	{ SYS_lseek, 3, "fon" },
	{ SYS_openat, 9, "dpFm" },
	{ SYS_close, 4, "f" },
	{ SYS_close_range, 1, "ffn" },
	{ SYS_dup, 3, "f" },
	{ SYS_dup3, 3, "ffF" },
	{ SYS_fcntl, 5, "fnx" },
	{ SYS_ioctl, 3, "fxb" },
	{ SYS_flock, 2, "fn" },
	{ SYS_ftruncate, 3, "fo" },
	{ SYS_truncate, 2, "po" },
	{ SYS_fallocate, 2, "fnol" },
	{ SYS_fsync, 1, "f" },
	{ SYS_sendfile, 3, "ffbl" },
	{ SYS_copy_file_range, 1, "fbfbl0" },
	{ SYS_pipe2, 5, "bF" },
	{ SYS_socketpair, 2, "nn0b" },
	{ SYS_memfd_create, 1, "pn" },
	{ SYS_mkdirat, 3, "dpm" },
	{ SYS_mknodat, 2, "dpm0" },
	{ SYS_unlinkat, 5, "dpn" },
	{ SYS_unlinkat, 2, "dpx" },
	{ SYS_linkat, 3, "dpdpn" },
	{ SYS_symlinkat, 3, "pdp" },
	{ SYS_readlinkat, 2, "dpbl" },
	{ SYS_renameat2, 5, "dpdpn" },
	{ SYS_faccessat, 2, "dpn" },
	{ SYS_faccessat2, 1, "dpnF" },
	{ SYS_fchmod, 1, "fm" },
	{ SYS_fchmodat, 2, "dpm" },
	{ SYS_fchownat, 2, "dpuuF" },
	{ SYS_newfstatat, 4, "dpbF" },
	{ SYS_fstat, 3, "fb" },
	{ SYS_statx, 2, "dpFFb" },
	{ SYS_statfs, 1, "pb" },
	{ SYS_fstatfs, 1, "fb" },
	{ SYS_utimensat, 2, "dptF" },
	{ SYS_getdents64, 4, "fbl" },
	{ SYS_getcwd, 1, "bl" },
	{ SYS_chdir, 2, "p" },
	{ SYS_fchdir, 1, "f" },
	{ SYS_chroot, 1, "p" },
	{ SYS_mount, 1, "pppnb" },
	{ SYS_umount2, 1, "pn" },
	{ SYS_umask, 1, "m" },
	{ SYS_brk, 2, "a" },
	{ SYS_mmap, 7, "aLnFfo" },
	{ SYS_munmap, 5, "aL" },
	{ SYS_mprotect, 5, "aLn" },
	{ SYS_mremap, 4, "aLLna" },
	{ SYS_madvise, 3, "aLn" },
	{ SYS_msync, 1, "aLn" },
	{ SYS_mincore, 1, "aLb" },
	{ SYS_mlock, 1, "aL" },
	{ SYS_munlock, 1, "aL" },
	{ SYS_wait4, 5, "Pbnb" },
	{ SYS_waitid, 3, "nPbnb" },
	{ SYS_kill, 2, "Pg" },
	{ SYS_tkill, 2, "Pg" },
	{ SYS_tgkill, 2, "PPg" },
	{ SYS_rt_sigqueueinfo, 1, "Pgb" },
	{ SYS_rt_sigaction, 2, "gbb8" },
	{ SYS_rt_sigprocmask, 3, "nsb8" },
	{ SYS_rt_sigpending, 1, "b8" },
	{ SYS_rt_sigsuspend, 1, "s8" },
	{ SYS_rt_sigtimedwait, 2, "sbt8" },
	{ SYS_sigaltstack, 1, "bb" },
	{ SYS_setitimer, 1, "nbb" },
	{ SYS_getitimer, 1, "nb" },
	{ SYS_setpgid, 2, "PP" },
	{ SYS_getpgid, 1, "P" },
	{ SYS_setsid, 1, "" },
	{ SYS_getsid, 1, "P" },
	{ SYS_setuid, 1, "u" },
	{ SYS_setresuid, 1, "uuu" },
	{ SYS_setgroups, 1, "nb" },
	{ SYS_sethostname, 1, "bl" },
	{ SYS_setdomainname, 1, "bl" },
	{ SYS_getgroups, 1, "nb" },
	{ SYS_prlimit64, 1, "Pn0b" },
	{ SYS_getrusage, 1, "nb" },
	{ SYS_times, 1, "b" },
	{ SYS_prctl, 2, "nbbbb" },
	{ SYS_sched_yield, 2, "" },
	{ SYS_sched_getaffinity, 1, "Plb" },
	{ SYS_sched_setaffinity, 1, "Plb" },
	{ SYS_sched_setscheduler, 1, "Pnb" },
	{ SYS_setpriority, 1, "nPn" },
	{ SYS_getpriority, 1, "nP" },
	{ SYS_uname, 1, "b" },
	{ SYS_sysinfo, 1, "b" },
	{ SYS_getrandom, 1, "bln" },
	{ SYS_nanosleep, 2, "tb" },
	{ SYS_clock_nanosleep, 2, "cntb" },
	{ SYS_clock_gettime, 1, "cb" },
	{ SYS_clock_getres, 1, "cb" },
	{ SYS_clock_settime, 1, "cb" },
	{ SYS_timer_create, 1, "cbb" },
	{ SYS_timer_settime, 1, "nnbb" },
	{ SYS_timer_delete, 1, "n" },
	{ SYS_timerfd_create, 2, "cF" },
	{ SYS_timerfd_settime, 2, "fnbb" },
	{ SYS_timerfd_gettime, 1, "fb" },
	{ SYS_eventfd2, 2, "nF" },
	{ SYS_signalfd4, 1, "fs8F" },
	{ SYS_epoll_create1, 2, "F" },
	{ SYS_epoll_ctl, 6, "fnfe" },
	{ SYS_epoll_pwait, 4, "fbnns8" },
	{ SYS_ppoll, 5, "Bnts8" },
	{ SYS_pselect6, 3, "nbbbtb" },
	{ SYS_futex, 7, "wnntwn" },
	{ SYS_set_robust_list, 1, "bl" },
	{ SYS_get_robust_list, 1, "Pbb" },
	{ SYS_set_tid_address, 1, "w" },
	{ SYS_execve, 1, "pvv" },
	{ SYS_execveat, 1, "dpvvn" },
	{ SYS_exit, 1, "n" },
};

struct shared {
	uint64_t made
		[WORKERS]; /* [atomic] calls of each worker, so that one sees whether it is alive */
	uint64_t trace
		[WORKERS]; /* [atomic] trace_of() its last call; of itself, not of what it started */
	volatile pid_t pids[WORKERS];
	volatile bool stop;
	uint32_t words[16];
};

static struct shared *shared;
static char *area, *buffer;
static unsigned total_weight;
static int worker;
static bool dry; /* draw as a worker does, and make no call */

static uint64_t next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 2685821657736338717UL;
}

static unsigned below(uint64_t *state, unsigned n)
{
	return (unsigned)((next(state) >> 20) % n);
}

static const char *random_path(uint64_t *r)
{
	static const char *const all[] = {
		"a",
		"b",
		"c",
		"d",
		"a/b",
		"b/c",
		"a/b/c",
		".",
		"",
		"/dev/null",
		"/dev/zero",
		"/dev/ptmx",
		"/dev/tty",
		"/dev/full",
		"/dev/urandom",
		"/proc",
		"/proc/self/maps",
		"/proc/self/fd",
		"/proc/self/status",
		"/proc/self/task",
		"/proc/meminfo",
		"/tests/storm",
		"/bin/true",
		FOLDER "/0",
		FOLDER "/1/a",
		FOLDER "/2/b",
		"/",
		"/etc/passwd",
		"/proc/self/fd/3",
	};

	return all[below(r, sizeof(all) / sizeof(all[0]))];
}

static uint64_t hostile(uint64_t *r)
{
	static const uint64_t all[] = { 0,
					1,
					8,
					4095,
					4096,
					0xffff000000001000,
					0x00f0000000001000,
					-1UL,
					-4096UL,
					1UL << 31,
					1UL << 32,
					1UL << 47,
					1UL << 48,
					1UL << 63,
					0x7fffffffffffffff };

	return below(r, 3) ? all[below(r, sizeof(all) / sizeof(all[0]))] : next(r);
}

/* Room for what a pointer leads to, filled anew: mostly zeros and small numbers, as structures have. */
static uint64_t some_buffer(uint64_t *r, unsigned at)
{
	uint32_t *p = (uint32_t *)(buffer + at * 512);

	for (int i = 0; i < 64; i++)
		p[i] = below(r, 4) ? 0 : below(r, 3) ? below(r, 40) : (uint32_t)next(r);
	return (uint64_t)p;
}

static uint64_t some_vector(uint64_t *r, unsigned at)
{
	uint64_t *v = (uint64_t *)(buffer + at * 512);

	for (int i = 0; i < 8; i++) {
		v[2 * i] = below(r, 8) ? (uint64_t)(area + below(r, AREA)) : hostile(r);
		v[2 * i + 1] = below(r, 8) ? below(r, 5000) : hostile(r);
	}
	v[14] = 0;
	return (uint64_t)v;
}

static uint64_t argument(uint64_t *r, char kind, unsigned at)
{
	uint64_t *p = (uint64_t *)(buffer + at * 512);

	if (below(r, 16) == 0)
		return hostile(r);
	switch (kind) {
	case 'f':
		return below(r, 40) ? below(r, 24) : below(r, 2000);
	case 'd':
		return below(r, 5) ? (uint64_t)AT_FDCWD : below(r, 24);
	case 'p':
		strcpy((char *)p, random_path(r));
		return (uint64_t)p;
	case 'b':
		return some_buffer(r, at);
	case 'l':
		return below(r, 4) ? below(r, 300) : below(r, 70000);
	case 'o':
		return below(r, 4) ? below(r, 10000) : next(r) >> below(r, 64);
	case 'n':
		return below(r, 4) ? below(r, 5) : below(r, 64);
	case 'F':
		return below(r, 3) ? 1U << below(r, 24) | 1U << below(r, 24) : below(r, 3);
	case 'm':
		return below(r, 2) ? 0100755 : next(r) & 0177777;
	case 'a':
		return (uint64_t)area + below(r, AREA / 4096) * 4096;
	case 'L':
		return below(r, 20) * 4096 + (below(r, 8) ? 0 : below(r, 4096));
	case 't':
		p[0] = 0;
		p[1] = below(r, 8) ? below(r, 2000000) : hostile(r);
		return (uint64_t)p;
	case 's':
		p[0] = next(r) & next(r) & ~(1UL << (SIGALRM - 1));
		return (uint64_t)p;
	case '8':
		return 8;
	case 'g':
		return below(r, 65);
	case 'P':
		return below(r, 3)   ? (uint64_t)shared->pids[below(r, WORKERS)]
		       : below(r, 2) ? 0
				     : -1UL;
	case 'v':
		return some_vector(r, at);
	case 'w':
		return (uint64_t)&shared->words[below(r, 16)];
	case 'e':
		p[0] = below(r, 2) ? 1 : next(r);
		p[1] = next(r);
		return (uint64_t)p;
	case 'B':
		for (int i = 0; i < 8; i++)
			p[i] = below(r, 24) | (uint64_t)below(r, 0x40) << 32;
		return (uint64_t)p;
	case 'c':
		return below(r, 12);
	case 'u':
		return below(r, 4) ? (uint64_t)(FIRST_UID + below(r, 4)) : below(r, 2) ? 0 : -1UL;
	case '0':
		return 0;
	default:
		return below(r, 2) ? 0x5400 + below(r, 0x60) : next(r);
	}
}

static void one_call(uint64_t *r)
{
	unsigned pick = below(r, total_weight), i = 0;
	uint64_t v[6] = { 0 };
	const char *args;

	while (pick >= (unsigned)calls[i].weight)
		pick -= (unsigned)calls[i++].weight;
	args = calls[i].args;
	for (unsigned k = 0; args[k]; k++)
		v[k] = argument(r, args[k], k);
	/* an exit is nothing for every hundredth call */
	if (calls[i].number == SYS_exit && below(r, 20))
		return;
	if (!dry)
		syscall(calls[i].number, v[0], v[1], v[2], v[3], v[4], v[5]);
}

/* Any number, any arguments, but for what starts processes past all limits. */
static void any_call(uint64_t *r)
{
	long number = below(r, 470);
	uint64_t v[6];

	for (int i = 0; i < 6; i++)
		v[i] = below(r, 3) ? hostile(r)
				   : argument(r, "fpblnaxPwt"[below(r, 10)], (unsigned)i);
	if (dry || number == SYS_clone || number == SYS_clone3 || number == SYS_exit_group)
		return;
	syscall(number, v[0], v[1], v[2], v[3], v[4], v[5]);
}

static uint64_t work(uint64_t seed, unsigned count, uint64_t *trace);

static void *thread_main(void *arg)
{
	work((uint64_t)arg | 1, 2000, NULL);
	return NULL;
}

/* What is started has a seed of its own. */
static void start_program(uint64_t seed_of_it)
{
	char seed[24], number[8];
	char *argv[] = { (char *)"storm", seed, number, NULL };
	char *env[] = { NULL };

	snprintf(seed, sizeof(seed), "%lu", (unsigned long)seed_of_it);
	snprintf(number, sizeof(number), "%d", worker);
	execve("/tests/storm", argv, env);
}

static void start_thread(uint64_t seed)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 32768);
	pthread_create(&t, &attr, thread_main, (void *)seed);
}

static void start_something(uint64_t *r)
{
	unsigned what = below(r, 6);
	uint64_t seed = next(r);

	if (dry)
		return;
	switch (what) {
	case 0:
	case 1:
		if (fork() == 0) {
			work(seed | 1, 300, NULL);
			_exit(0);
		}
		break;
	case 2:
		if (vfork() == 0)
			_exit(0);
		break;
	case 3:
		if (fork() == 0) {
			start_program(seed);
			_exit(1);
		}
		break;
	case 4:
		start_program(seed);
		break;
	default:
		start_thread(seed);
	}
}

/* How many calls were drawn, and from which state the next one will be. */
static uint64_t trace_of(unsigned made, uint64_t r)
{
	return (uint64_t)made << 48 | (r & 0xffffffffffff);
}

static uint64_t work(uint64_t seed, unsigned count, uint64_t *trace)
{
	uint64_t r = seed;

	for (unsigned i = 0; i < count && (dry || !shared->stop); i++) {
		if (below(&r, 100) == 0)
			start_something(&r);
		else if (below(&r, 20) == 0)
			any_call(&r);
		else
			one_call(&r);
		if (trace && i < TRACED)
			__atomic_store_n(trace, trace_of(i + 1, r), __ATOMIC_RELAXED);
		if (!dry)
			__atomic_add_fetch(&shared->made[worker], 1, __ATOMIC_RELAXED);
	}
	return r;
}

/* Did worker i, of this seed, draw what its seed says, as far as it came? */
static void check_trace(int i, uint64_t seed)
{
	uint64_t found = __atomic_load_n(&shared->trace[i], __ATOMIC_RELAXED);
	unsigned made = (unsigned)(found >> 48);

	dry = true;
	if (made && trace_of(made, work(seed | 1, made, NULL)) != found) {
		printf("worker %d of seed %lu made other calls than its seed says, within %u\n", i,
		       (unsigned long)seed, made);
		exit(1);
	}
	dry = false;
	shared->trace[i] = 0;
}

static void nothing(int sig)
{
	(void)sig;
}

static void limit(int which, rlim_t value)
{
	struct rlimit l = { value, value };

	setrlimit(which, &l);
}

static void map_memory(void)
{
	const int rw = PROT_READ | PROT_WRITE;

	buffer = mmap(NULL, 4096 + AREA + GUARD + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	CHECK(buffer != MAP_FAILED && mprotect(buffer, 4096 + AREA, rw) == 0);
	area = buffer + 4096;
	shared = mmap(area + AREA + GUARD, 4096, rw, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(shared != MAP_FAILED);
}

/* A worker, after fork and again after each exec. */
static void worker_main(uint64_t seed)
{
	struct itimerval tick = { { 0, 5000 }, { 0, 5000 } };
	struct sigaction sa = { .sa_handler = nothing };
	char folder[40];

	snprintf(folder, sizeof(folder), FOLDER "/%d", worker);
	if (chdir(folder) < 0)
		_exit(2);
	/* what blocks is interrupted soon */
	sigaction(SIGALRM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGXFSZ, &sa, NULL);
	sigaction(SIGPIPE, &sa, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
	work(seed | 1, 20000, &shared->trace[worker]);
	_exit(0);
}

static pid_t start_worker(int i, int null, uint64_t seed)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	worker = i;
	/* what they write is nobody's to read */
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	limit(RLIMIT_NPROC, 60);
	limit(RLIMIT_FSIZE, 1 << 18);
	limit(RLIMIT_AS, 24 << 20);
	limit(RLIMIT_NOFILE, 100);
	limit(RLIMIT_CORE, 0);
	setsid();
	if (setgid(FIRST_UID + i % 4) < 0 || setuid(FIRST_UID + i % 4) < 0)
		_exit(3);
	worker_main(seed);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A killed process is reaped soon, whatever it was in. */
static void end_worker(int i, uint64_t seed)
{
	pid_t pid = shared->pids[i];

	kill(pid, SIGKILL);
	if (!AWAIT(waitpid(pid, NULL, WNOHANG) != 0)) {
		printf("worker %d, process %d, was killed %d s ago and is still there\n", i, pid,
		       AWAIT_SECONDS);
		exit(1);
	}
	check_trace(i, seed);
}

/* Whatever the workers left behind: their users' processes. */
static void end_users(void)
{
	for (int u = 0; u < 4; u++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			setuid(FIRST_UID + u);
			_exit(!AWAIT(kill(-1, SIGKILL) < 0));
		}
		CHECK(waitpid(pid, NULL, 0) == pid);
	}
}

static void remove_tree(const char *path)
{
	char name[600];
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d))) {
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && unlink(name) < 0)
			remove_tree(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static void storm(uint64_t seed, double seconds, int null)
{
	/* two generators: the n-th worker's seed does not depend on what was killed when */
	uint64_t r = seed ^ 0x9e3779b97f4a7c15, kills = ~r, seen[WORKERS] = { 0 }, total = 0;
	double end = now() + seconds;
	uint64_t seeds[WORKERS];
	unsigned started = WORKERS;

	for (int i = 0; i < WORKERS; i++)
		shared->pids[i] = start_worker(i, null, seeds[i] = next(&r));
	while (now() < end) {
		/* the load: how often the first process looks */
		let_pass(50);
		for (int i = 0; i < WORKERS; i++) {
			uint64_t made = __atomic_load_n(&shared->made[i], __ATOMIC_RELAXED);

			if (made != seen[i] && below(&kills, 10)) {
				seen[i] = made;
				continue;
			}
			/* it sleeps, has ended, is stopped, or it is its turn */
			end_worker(i, seeds[i]);
			shared->pids[i] = start_worker(i, null, seeds[i] = next(&r));
			started++;
		}
	}
	shared->stop = true;
	for (int i = 0; i < WORKERS; i++) {
		end_worker(i, seeds[i]);
		total += shared->made[i];
	}
	end_users();
	printf("%u processes made %lu calls\n", started, (unsigned long)total);
	CHECK(total > 1000);
}

/* The kernel keeps who asked for calls it does not have, up to a number. Have it full, or it looks like a leak. */
static void fill_missing_calls(void)
{
	char name[16];

	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "storm%d", i);
		prctl(PR_SET_NAME, name);
		syscall(9999);
	}
	prctl(PR_SET_NAME, "storm");
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	char name[40];
	int fd;

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		total_weight += (unsigned)calls[i].weight;
	if (getuid()) {
		/* a worker that executed itself */
		worker = argc > 2 ? atoi(argv[2]) % WORKERS : 0;
		map_memory();
		worker_main(seed);
	}
	remove_tree(FOLDER);
	CHECK(mkdir(FOLDER, 0755) == 0);
	for (int i = 0; i < WORKERS; i++) {
		snprintf(name, sizeof(name), FOLDER "/%d", i);
		CHECK(mkdir(name, 0777) == 0 && chmod(name, 0777) == 0);
	}
	printf("storm: seed %lu\n", (unsigned long)seed);
	fflush(stdout);
	fd = open("/dev/null", O_RDWR);
	CHECK(fd >= 0);
	map_memory();
	fill_missing_calls();
	storm(seed, argc > 2 ? atof(argv[2]) : 5, fd);
	remove_tree(FOLDER);
	return 0;
}
