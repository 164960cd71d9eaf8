/* SPDX-License-Identifier: MIT */
/* CPU time: what was the program's and what the kernel's for it is told apart, by every call alike; seen from elsewhere
 * neither part ever falls; the timers and the limit follow it, and no other time. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define MS    1000000L
#define BLOCK (1UL << 20)
/* The clocks of pid 0, the caller: user time alone, and both. */
#define USER_CLOCK (-8 | 1)
#define BOTH_CLOCK (-8 | 0)

static char *block;
static int zero;

static int64_t now(clockid_t clock)
{
	struct timespec t;

	CHECK(syscall(SYS_clock_gettime, clock, &t) == 0);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static int64_t ns_of(struct timeval t)
{
	return t.tv_sec * 1000000000L + t.tv_usec * 1000L;
}

/* Until so much CPU time has gone: all but a little of it here, or there. */
static void compute(int64_t ns)
{
	int64_t end = now(CLOCK_PROCESS_CPUTIME_ID) + ns;

	while (now(CLOCK_PROCESS_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 100000; i++)
			;
}

static void call(int64_t ns)
{
	int64_t end = now(CLOCK_PROCESS_CPUTIME_ID) + ns;

	while (now(CLOCK_PROCESS_CPUTIME_ID) < end)
		CHECK(read(zero, block, BLOCK) == (ssize_t)BLOCK);
}

struct split {
	int64_t user, system;
};

static struct split split_of(int who)
{
	struct rusage ru;

	CHECK(getrusage(who, &ru) == 0);
	return (struct split){ ns_of(ru.ru_utime), ns_of(ru.ru_stime) };
}

static struct split since(struct split before, int who)
{
	struct split s = split_of(who);

	return (struct split){ s.user - before.user, s.system - before.system };
}

/* For as long as the host halts a machine it seems to run, where it is: the parts below may be off because of that, but not
 * each time. What adds up, adds up always. */

static bool computes_in_user_mode(void)
{
	struct split self = split_of(RUSAGE_SELF), thread = split_of(RUSAGE_THREAD), s;
	int64_t user = now(USER_CLOCK), both = now(BOTH_CLOCK);
	struct tms before, after;

	times(&before);
	compute(200 * MS);
	s = since(self, RUSAGE_SELF);
	thread = since(thread, RUSAGE_THREAD);
	CHECK(now(BOTH_CLOCK) - both >= 200 * MS);
	user = now(USER_CLOCK) - user;
	times(&after);
	return s.user >= 150 * MS && s.system * 4 < s.user && thread.user >= 150 * MS &&
	       thread.system * 4 < thread.user && user >= 150 * MS &&
	       after.tms_utime - before.tms_utime >= 14;
}

static bool calls_in_the_kernel(void)
{
	struct split self = split_of(RUSAGE_SELF), s;
	int64_t user = now(USER_CLOCK);
	struct tms before, after;

	times(&before);
	call(200 * MS);
	s = since(self, RUSAGE_SELF);
	user = now(USER_CLOCK) - user;
	times(&after);
	return s.system >= 150 * MS && s.user * 4 < s.system && user < 50 * MS &&
	       after.tms_stime - before.tms_stime >= 14;
}

static void told_apart(void)
{
	struct split s;

	CHECK(AWAIT(computes_in_user_mode()));
	CHECK(AWAIT(calls_in_the_kernel()));
	/* two readings of one sum, the second later */
	s = split_of(RUSAGE_SELF);
	CHECK(s.user + s.system <= now(CLOCK_PROCESS_CPUTIME_ID));
	CHECK(now(BOTH_CLOCK) <= now(CLOCK_PROCESS_CPUTIME_ID));
	CHECK(now(USER_CLOCK) <= now(CLOCK_PROCESS_CPUTIME_ID));
}

/* Sums of nanoseconds are told in microseconds: the difference of two is off by up to one. */
static bool same(int64_t a, int64_t b)
{
	return a - b >= -1000 && a - b <= 1000;
}

/* Of a child that is waited for. */
static bool inherited(void)
{
	struct split before = split_of(RUSAGE_CHILDREN), s;
	struct rusage ru;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		compute(100 * MS);
		call(300 * MS);
		_exit(0);
	}
	CHECK(wait4(pid, &status, 0, &ru) == pid && status == 0);
	s = since(before, RUSAGE_CHILDREN);
	CHECK(same(s.user, ns_of(ru.ru_utime)) && same(s.system, ns_of(ru.ru_stime)));
	CHECK(s.user + s.system >= 400 * MS);
	return s.user >= 50 * MS && s.system >= 200 * MS && s.system > s.user;
}

static void read_stat(pid_t pid, unsigned long *user, unsigned long *system)
{
	char path[64], text[512];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n] = '\0';
	close(fd);
	CHECK(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		     user, system) == 2);
}

/* Whether it gets on in user mode alone: it makes no call any more, and maybe nothing interrupts it. */
static bool only_computes(pid_t pid)
{
	unsigned long user, system, u, s;

	read_stat(pid, &u, &s);
	do
		read_stat(pid, &user, &system);
	while (user < u + 20);
	return system <= s + 5;
}

/* While it runs on another CPU: nothing falls, and all of it is there at once. */
static bool from_elsewhere(void)
{
	unsigned long user = 0, system = 0, u, s;
	int status, fds[2];
	pid_t pid;
	char c;

	CHECK(pipe(fds) == 0);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 8; i++) {
			compute(40 * MS);
			call(40 * MS);
		}
		compute(100 * MS);
		CHECK(write(fds[1], "", 1) == 1);
		for (;;)
			;
	}
	CHECK(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
	while (read(fds[0], &c, 1) != 1) {
		read_stat(pid, &u, &s);
		CHECK(u >= user && s >= system);
		user = u;
		system = s;
		/* the load: looked at a thousand times a second */
		let_pass(1);
	}
	read_stat(pid, &u, &s);
	CHECK(u >= user && s >= system && u + s >= 70);
	CHECK(AWAIT(only_computes(pid)));
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
	CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
	return u >= 30 && s >= 20;
}

/* --- the timers --------------------------------------------------------------------------------------------------- */

static volatile int rung[NSIG];

static void ring(int sig)
{
	rung[sig]++;
}

static void set_timer(int which, long interval_us)
{
	struct itimerval it = { { 0, interval_us }, { 0, interval_us } };

	CHECK(setitimer(which, &it, NULL) == 0);
}

/* Do something until sig has come five times: no sooner than the periods of its own time allow. */
static void five_times(int sig, clockid_t clock, void (*work)(int64_t ns))
{
	int64_t start = now(clock);

	rung[sig] = 0;
	while (rung[sig] < 5)
		work(2 * MS);
	CHECK(now(clock) - start >= 40 * MS);
}

static void timers(void)
{
	int64_t user, both;

	signal(SIGVTALRM, ring);
	signal(SIGPROF, ring);
	set_timer(ITIMER_VIRTUAL, 10000);
	five_times(SIGVTALRM, USER_CLOCK, compute);
	CHECK(!rung[SIGPROF]);
	user = now(USER_CLOCK);
	rung[SIGVTALRM] = 0;
	call(200 * MS);
	CHECK(rung[SIGVTALRM] <= (now(USER_CLOCK) - user) / (10 * MS) + 1);
	set_timer(ITIMER_PROF, 10000);
	five_times(SIGPROF, BOTH_CLOCK, call);
	set_timer(ITIMER_VIRTUAL, 0);
	set_timer(ITIMER_PROF, 50000);
	rung[SIGPROF] = rung[SIGVTALRM] = 0;
	both = now(BOTH_CLOCK);
	/* sleep, that neither timer may count */
	let_pass(200);
	CHECK(rung[SIGPROF] <= (now(BOTH_CLOCK) - both) / (50 * MS) + 1 && !rung[SIGVTALRM]);
	set_timer(ITIMER_PROF, 0);
}

static void *computing(void *stop)
{
	while (!atomic_load((atomic_bool *)stop))
		;
	return NULL;
}

/* What other threads use counts, also that of one that came, or went, after the timer was set. */
static void shared(void)
{
	atomic_bool stop = false;
	pthread_t t[3];

	rung[SIGPROF] = 0;
	set_timer(ITIMER_PROF, 50000);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, computing, &stop) == 0);
	CHECK(AWAIT(rung[SIGPROF] >= 4));
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(now(CLOCK_PROCESS_CPUTIME_ID) >= 200 * MS);
	set_timer(ITIMER_PROF, 10000);
	five_times(SIGPROF, BOTH_CLOCK, compute);
	set_timer(ITIMER_PROF, 0);
}

/* --- the limit ---------------------------------------------------------------------------------------------------- */

static void limited(bool in_thread)
{
	struct rlimit limit = { 1, 1 };
	struct rusage ru;
	atomic_bool stop = false;
	pthread_t t;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		CHECK(setrlimit(RLIMIT_CPU, &limit) == 0);
		if (in_thread)
			CHECK(pthread_create(&t, NULL, computing, &stop) == 0);
		else
			computing(&stop);
		for (;;)
			pause();
	}
	CHECK(wait4(pid, &status, 0, &ru) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(ns_of(ru.ru_utime) + ns_of(ru.ru_stime) >= 1000 * MS);
}

int main(void)
{
	block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	zero = open("/dev/zero", O_RDONLY);
	CHECK(block != MAP_FAILED && zero >= 0);
	told_apart();
	CHECK(AWAIT(inherited()));
	CHECK(AWAIT(from_elsewhere()));
	timers();
	shared();
	limited(false);
	limited(true);
	return 0;
}
