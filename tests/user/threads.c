/* SPDX-License-Identifier: MIT */
/* Threads: many of them, what they share, numbers, exits in every order, fork and exec among them. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

static char *self;
static volatile int go;

static int status_of(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* --- many ---------------------------------------------------------------------------------------------------- */

static __thread int mine;
static int total;

static void *add_one(void *arg)
{
	CHECK(mine == 0);
	mine = (int)(long)arg;
	sched_yield();
	CHECK(mine == (int)(long)arg);
	__atomic_fetch_add(&total, 1, __ATOMIC_RELAXED);
	return arg;
}

static void many(int n)
{
	pthread_t *t = calloc((size_t)n, sizeof(*t));
	pthread_attr_t attr;
	void *got;

	total = 0;
	CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 16384) == 0);
	for (long i = 0; i < n; i++)
		CHECK(pthread_create(&t[i], &attr, add_one, (void *)(i + 1)) == 0);
	for (long i = 0; i < n; i++)
		CHECK(pthread_join(t[i], &got) == 0 && got == (void *)(i + 1));
	CHECK(total == n);
	free(t);
}

/* All alive at once. */
static pthread_barrier_t barrier;

static void *meet(void *arg)
{
	pthread_barrier_wait(&barrier);
	return arg;
}

static void at_once(int n)
{
	pthread_t *t = calloc((size_t)n, sizeof(*t));
	pthread_attr_t attr;

	CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 16384) == 0);
	CHECK(pthread_barrier_init(&barrier, NULL, (unsigned)n + 1) == 0);
	for (int i = 0; i < n; i++)
		CHECK(pthread_create(&t[i], &attr, meet, NULL) == 0);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < n; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	free(t);
}

/* --- what they share ------------------------------------------------------------------------------------------- */

static void *change_all(void *arg)
{
	int *fd = arg;

	CHECK(getpid() == getppid() || getpid() > 0);
	CHECK(gettid() != getpid());
	fd[0] = open("/dev/null", O_RDONLY);
	fd[1] = gettid();
	CHECK(chdir("/tmp") == 0);
	umask(077);
	return NULL;
}

static void shared(void)
{
	int fd[2];
	char cwd[64];
	pthread_t t;

	CHECK(chdir("/") == 0);
	umask(022);
	CHECK(pthread_create(&t, NULL, change_all, fd) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(fcntl(fd[0], F_GETFD) == 0 && close(fd[0]) == 0);
	CHECK(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/tmp") == 0);
	CHECK(umask(022) == 077);
	/* the number is free again, or about to be */
	while (syscall(SYS_tgkill, getpid(), fd[1], 0) == 0)
		sched_yield();
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), fd[1], 0), ESRCH);
}

/* Names looked up while another thread changes the directory they start from, which is gone then (RC-012). */
static void *wander(void *arg)
{
	(void)arg;
	while (!go) {
		CHECK(mkdir("/tmp/a/b", 0755) == 0 && chdir("/tmp/a/b") == 0);
		CHECK(rmdir("/tmp/a/b") == 0 && chdir("/tmp") == 0);
	}
	return NULL;
}

static void *stat_names(void *arg)
{
	struct stat st;
	char cwd[64];

	(void)arg;
	for (int i = 0; i < 1000; i++) {
		CHECK(stat(".", &st) == 0 && S_ISDIR(st.st_mode));
		CHECK(getcwd(cwd, sizeof(cwd)) || errno == ENOENT);
		close(open("..", O_RDONLY | O_DIRECTORY));
	}
	return NULL;
}

static void places(void)
{
	pthread_t w, s[3];

	CHECK(mkdir("/tmp/a", 0755) == 0);
	go = 0;
	CHECK(pthread_create(&w, NULL, wander, NULL) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&s[i], NULL, stat_names, NULL) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(s[i], NULL) == 0);
	go = 1;
	CHECK(pthread_join(w, NULL) == 0);
	CHECK(rmdir("/tmp/a") == 0);
	CHECK(chdir("/") == 0);
}

/* --- ends ---------------------------------------------------------------------------------------------------------- */

static void *sleep_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *spin_for_ever(void *arg)
{
	for (;;)
		__asm__ volatile("");
	return arg;
}

static void *end_all(void *arg)
{
	_exit((int)(long)arg);
}

static void *end_self(void *arg)
{
	CHECK(AWAIT(state_of(getpid()) == 'Z'));
	syscall(SYS_exit, (long)arg);
	return NULL;
}

static void start(void *(*fn)(void *), long arg)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, fn, (void *)arg) == 0);
}

/* In a child: threads that sleep and compute; one of them, or the first, ends it all. */
static void ends(void)
{
	pid_t pid;

	for (int how = 0; how < 5; how++) {
		pid = fork();
		if (pid == 0) {
			for (int i = 0; how < 4 && i < 3; i++) {
				start(sleep_for_ever, 0);
				start(spin_for_ever, 0);
			}
			if (how == 0)
				_exit(3);
			if (how == 1)
				start(end_all, 3);
			if (how == 2)
				kill(getpid(), SIGKILL);
			if (how == 3)
				abort();
			if (how == 4) {
				/* the status is that of the last */
				start(end_self, 3);
				syscall(SYS_exit, 9);
			}
			for (;;)
				pause();
		}
		if (how == 2)
			CHECK(WTERMSIG(status_of(pid)) == SIGKILL);
		else if (how == 3)
			CHECK(WTERMSIG(status_of(pid)) == SIGABRT);
		else
			CHECK(status_of(pid) == 3 << 8);
	}
}

/* --- fork and exec --------------------------------------------------------------------------------------------------- */

/* Only the caller of fork goes with the child, as its first thread. */
static void *fork_here(void *arg)
{
	pid_t pid = fork();

	(void)arg;
	if (pid == 0) {
		CHECK(gettid() == getpid());
		_exit(8);
	}
	CHECK(pid > 0 && status_of(pid) == 8 << 8);
	return NULL;
}

static void forks(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, fork_here, NULL) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

static void *exec_here(void *arg)
{
	char number[16], *args[] = { self, (char *)"after", number, NULL };

	snprintf(number, sizeof(number), "%d", getpid());
	if (arg) {
		__atomic_fetch_add(&go, 1, __ATOMIC_RELAXED);
		while (go < 3)
			;
	}
	execv(self, args);
	_exit(5);
}

/* The number of threads and the process's number after exec from a thread: 1, and as before. */
static int after(const char *number)
{
	CHECK(getpid() == atoi(number) && gettid() == getpid());
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), getpid() + 1, 0), ESRCH);
	many(3);
	return 6;
}

/* The first thread has gone before, and there are no others. */
static void *exec_alone(void *arg)
{
	while (syscall(SYS_tgkill, getpid(), getpid(), 0) == 0)
		sched_yield();
	return exec_here(arg);
}

static void execs(void)
{
	for (int how = 0; how < 5; how++) {
		pid_t pid = fork();

		if (pid == 0) {
			go = 0;
			for (int i = 0; how < 4 && i < 2; i++) {
				start(sleep_for_ever, 0);
				start(spin_for_ever, 0);
			}
			if (how == 0)
				exec_here(NULL);
			if (how == 1)
				start(exec_here, 0);
			if (how == 2) {
				/* the first has gone before */
				start(exec_here, 0);
				syscall(SYS_exit, 1);
			}
			if (how == 4) {
				start(exec_alone, 0);
				syscall(SYS_exit, 1);
			}
			/* several at once: one wins */
			for (int i = 0; how == 3 && i < 3; i++)
				start(exec_here, 1);
			for (;;)
				pause();
		}
		CHECK(status_of(pid) == 6 << 8);
	}
}

static int64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	CHECK(clock_gettime(clock, &t) == 0);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void *exec_slowly(void *arg)
{
	char number[16], *args[18] = { self, (char *)"after", number };

	snprintf(number, sizeof(number), "%d", getpid());
	for (int i = 3; i < 17; i++)
		args[i] = arg;
	execv(self, args);
	/* behind it is the parent's part */
	_exit(5);
}

/* A stop that comes while exec ends the other threads: they go all the same, and what is left stands still. */
static void stopped_execs(int rounds)
{
	char *words = malloc(100001);

	memset(words, 'w', 100000);
	words[100000] = 0;
	for (int i = 0; i < rounds; i++) {
		pid_t pid = fork();
		clockid_t clock;
		int64_t before;
		int status;

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			start(spin_for_ever, 0);
			start(spin_for_ever, 0);
			exec_slowly(words);
		}
		CHECK(clock_getcpuclockid(pid, &clock) == 0);
		/* stopped anywhere */
		let_pass_us(500 + i % 20 * 400);
		CHECK(kill(pid, SIGSTOP) == 0);
		CHECK(waitpid(pid, &status, WUNTRACED) == pid);
		if (WIFEXITED(status)) {
			CHECK(status == 6 << 8);
			continue;
		}
		/* the parent may hear of it before the last thread sleeps */
		CHECK(AWAIT((before = cpu_ns(clock), let_pass(5), cpu_ns(clock) == before)));
		CHECK(kill(pid, SIGCONT) == 0 && status_of(pid) == 6 << 8);
	}
	free(words);
}

/* exec and exit_group and kill against the making of threads. */
static void *breed(void *arg)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 16384);
	for (;;)
		if (pthread_create(&t, &attr, add_one, arg))
			sched_yield();
	return NULL;
}

/* A thread that was born unseen would keep it for ever. */
static int status_soon(pid_t pid)
{
	int status;

	CHECK(AWAIT(waitpid(pid, &status, WNOHANG) == pid));
	return status;
}

static void races(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			start(breed, 0);
			start(breed, 0);
			/* at any moment of their births */
			let_pass_us(i % 7 * 300);
			if (i % 3 == 0)
				exec_here(NULL);
			if (i % 3 == 1)
				_exit(6);
			kill(getpid(), SIGKILL);
		}
		if (i % 3 < 2)
			CHECK(status_soon(pid) == 6 << 8);
		else
			CHECK(WTERMSIG(status_soon(pid)) == SIGKILL);
	}
}

int main(int argc, char **argv)
{
	const char *scale = getenv("SCALE");
	int n = scale ? atoi(scale) : 1;

	self = argv[0];
	if (argc > 2)
		return after(argv[2]);
	many(100 * n);
	at_once(100 * n > 1000 ? 1000 : 100 * n);
	shared();
	places();
	ends();
	forks();
	execs();
	stopped_execs(20 * n);
	races(9 * n);
	return 0;
}
