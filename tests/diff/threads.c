/* SPDX-License-Identifier: MIT */
/* Threads and futexes: clone's thread flags by hand, the library's threads, every futex operation with its errors. */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include "tests/diff/lib/diff.h"

extern char **environ;

static int word;

static long futex(void *at, int op, long val, const void *timeout, void *at2, long val3)
{
	return syscall(SYS_futex, at, op, val, timeout, at2, val3);
}

static long wait_ms(void *at, int op, long val, int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	return futex(at, op, val, &t, NULL, 0);
}

CASE(futex_errors)
{
	struct timespec t = { 0, 1000000 }, bad = { 0, 1000000000 }, negative = { -1, 0 };
	char *edge = page_before_hole();
	int a = 5, b = 5;

	R(futex(&a, FUTEX_WAIT, 4, NULL, NULL, 0));
	R(futex(&a, FUTEX_WAIT, 5, &t, NULL, 0));
	R(futex(&a, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 4, NULL, NULL, 0));
	R(futex(&a, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 5, &t, NULL, 0));
	R(futex(&a, FUTEX_WAIT, 5, &bad, NULL, 0));
	R(futex(&a, FUTEX_WAIT, 5, &negative, NULL, 0));
	R(futex(&a, FUTEX_WAIT, 5, BAD, NULL, 0));
	R(futex((char *)&a + 1, FUTEX_WAIT, 5, &t, NULL, 0));
	R(futex((char *)&a + 2, FUTEX_WAKE, 1, NULL, NULL, 0));
	R(futex((char *)&a + 2, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
	R(futex(BAD, FUTEX_WAIT, 5, &t, NULL, 0));
	R(futex(BAD, FUTEX_WAKE, 1, NULL, NULL, 0));
	R(futex(BAD, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
	R(futex(NULL, FUTEX_WAIT, 5, &t, NULL, 0));
	R(futex(edge + 4092, FUTEX_WAIT, 1, &t, NULL, 0));
	R(futex(edge + 4096, FUTEX_WAIT, 1, &t, NULL, 0));
	R(futex((void *)0xffff000000001000, FUTEX_WAIT, 1, &t, NULL, 0));
	R(futex((void *)0xffff000000001000, FUTEX_WAKE, 1, NULL, NULL, 0));
	R(futex(&a, FUTEX_WAKE, 0, NULL, NULL, 0));
	R(futex(&a, FUTEX_WAKE, -1, NULL, NULL, 0));
	R(futex(&a, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
	R(futex(&a, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0));
	R(futex(&a, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
	R(futex(&a, FUTEX_WAKE_BITSET, 1, NULL, NULL, 1));
	R(futex(&a, FUTEX_REQUEUE, 1, (void *)1L, &b, 0));
	R(futex(&a, FUTEX_REQUEUE, -1, (void *)1L, &b, 0));
	R(futex(&a, FUTEX_REQUEUE, 1, (void *)-1L, &b, 0));
	R(futex(&a, FUTEX_CMP_REQUEUE, 1, (void *)1L, &b, 5));
	R(futex(&a, FUTEX_CMP_REQUEUE, 1, (void *)1L, &b, 6));
	R(futex(&a, FUTEX_CMP_REQUEUE, 1, (void *)1L, BAD, 5));
	R(futex(&a, FUTEX_CMP_REQUEUE, 1, (void *)1L, (char *)&b + 1, 5));
	R(futex(&a, FUTEX_FD, 1, NULL, NULL, 0));
	R(futex(&a, 77, 1, NULL, NULL, 0));
	R(futex(&a, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
}

CASE(futex_deadlines)
{
	struct timespec t;
	int a = 5;
	int64_t begin;

	/* WAIT is relative, WAIT_BITSET absolute by the clock its flag names */
	begin = now_ns(CLOCK_MONOTONIC);
	R(wait_ms(&a, FUTEX_WAIT, 5, 20));
	Q(now_ns(CLOCK_MONOTONIC) - begin >= 20000000);
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec = 0;
	R(futex(&a, FUTEX_WAIT_BITSET, 5, &t, NULL, -1));
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec -= 1;
	R(futex(&a, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &t, NULL, -1));
	clock_gettime(CLOCK_MONOTONIC, &t);
	begin = now_ns(CLOCK_MONOTONIC);
	t.tv_nsec += 20000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	R(futex(&a, FUTEX_WAIT_BITSET, 5, &t, NULL, -1));
	Q(now_ns(CLOCK_MONOTONIC) - begin >= 19000000);
	R(futex(&a, FUTEX_WAIT_BITSET, 4, &t, NULL, -1));
}

static int *shared;

static int waiter(void *arg)
{
	(void)arg;
	return futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : errno;
}

/* By page, so that two processes meet; private, so that they do not. */
CASE(futex_shared)
{
	pid_t a, b;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	a = start_child(waiter, NULL);
	until_asleep(a);
	R(futex(shared, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
	R(futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0));
	REAP(a);
	a = start_child(waiter, NULL);
	b = start_child(waiter, NULL);
	until_asleep(a);
	until_asleep(b);
	R(futex(shared + 1, FUTEX_WAKE, 10, NULL, NULL, 0));
	R(futex(shared, FUTEX_WAKE, 10, NULL, NULL, 0));
	REAP(a);
	REAP(b);
	/* the same address in private memory is not the same word */
	shared = &word;
	a = start_child(waiter, NULL);
	until_asleep(a);
	R(futex(shared, FUTEX_WAKE, 10, NULL, NULL, 0));
	kill(a, SIGKILL);
	REAP(a);
}

CASE(futex_file)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	pid_t a;

	R(ftruncate(fd, 4096));
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED) {
		say("no shared mapping of a file: %s", errno_name(errno));
		return;
	}
	a = start_child(waiter, NULL);
	until_asleep(a);
	int *second = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	Q(second != shared);
	R(futex(second, FUTEX_WAKE, 10, NULL, NULL, 0));
	REAP(a);
}

/* ---- threads by the library */

static volatile int go, count;
static pid_t tids[10];
static int results[10], masks[10];

static void until_waiting(int i)
{
	AWAIT(__atomic_load_n(&tids[i], __ATOMIC_ACQUIRE));
	until_thread_asleep(tids[i]);
}

static void *wait_thread(void *arg)
{
	int i = (int)(intptr_t)arg;
	long got;

	__atomic_store_n(&tids[i], syscall(SYS_gettid), __ATOMIC_RELEASE);
	got = futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, NULL, NULL,
		    masks[i] ? masks[i] : -1);
	results[i] = got < 0 ? errno : 0;
	__atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void start_waiters(pthread_t *t, int n)
{
	memset(tids, 0, sizeof(tids));
	count = 0;
	for (int i = 0; i < n; i++) {
		pthread_create(&t[i], NULL, wait_thread, (void *)(intptr_t)i);
		until_waiting(i);
	}
}

static void until_woken(int n)
{
	AWAIT(count >= n);
	/* and no more */
	let_pass(5);
	say("%d woken", count);
}

CASE(futex_wakes)
{
	pthread_t t[5];

	start_waiters(t, 5);
	R(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
	until_woken(1);
	R(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 2, NULL, NULL, 0));
	until_woken(3);
	R(futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0));
	R(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0));
	until_woken(5);
	R(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0));
	for (int i = 0; i < 5; i++)
		R(pthread_join(t[i], NULL));
}

CASE(futex_bitsets)
{
	pthread_t t[3];

	masks[0] = 1;
	masks[1] = 2;
	masks[2] = 3;
	start_waiters(t, 3);
	R(futex(&word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 4));
	R(futex(&word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 2));
	until_woken(2);
	R(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0));
	until_woken(3);
}

CASE(futex_requeue)
{
	static int other;
	pthread_t t[5];

	start_waiters(t, 5);
	R(futex(&word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1, (void *)2L, &other, 1));
	R(futex(&word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1, (void *)2L, &other, 0));
	until_woken(1);
	R(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0));
	until_woken(3);
	R(futex(&other, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0));
	until_woken(5);
	start_waiters(t, 3);
	R(futex(&word, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 0, (void *)10L, &other, 0));
	R(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0));
	R(futex(&other, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 1, (void *)10L, &other, 0));
	until_woken(1);
	R(futex(&other, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0));
	until_woken(3);
}

CASE(futex_wake_op)
{
	static int second = 5;
	pthread_t t[2];

	start_waiters(t, 1);
	/* second |= 2, and wake there if it was 5 */
	R(futex(&word, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, (void *)1L, &second,
		FUTEX_OP(FUTEX_OP_OR, 2, FUTEX_OP_CMP_EQ, 5)));
	say("second %d", second);
	until_woken(1);
	R(futex(&second, FUTEX_WAKE_OP, 1, (void *)1L, &second,
		FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GT, 5)));
	say("second %d", second);
	R(futex(&second, FUTEX_WAKE_OP, 1, (void *)1L, &second,
		FUTEX_OP(FUTEX_OP_ANDN, 2, FUTEX_OP_CMP_LT, 5)));
	say("second %d", second);
	R(futex(&second, FUTEX_WAKE_OP, 1, (void *)1L, &second,
		FUTEX_OP(FUTEX_OP_XOR, 7, FUTEX_OP_CMP_NE, 5)));
	say("second %d", second);
	R(futex(&second, FUTEX_WAKE_OP, 1, (void *)1L, &second,
		FUTEX_OP((FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT), 4, FUTEX_OP_CMP_LE, 5)));
	say("second %d", second);
	R(futex(&second, FUTEX_WAKE_OP, 1, (void *)1L, &second, FUTEX_OP(7, 4, 0, 5)));
	R(futex(&second, FUTEX_WAKE_OP, 1, (void *)1L, &second, FUTEX_OP(0, 4, 7, 5)));
	R(futex(&second, FUTEX_WAKE_OP, 1, (void *)1L, BAD, FUTEX_OP(0, 4, 0, 5)));
}

static volatile int handled;

static void handle(int sig)
{
	(void)sig;
	handled++;
}

CASE(futex_signals)
{
	pthread_t t[1];

	for (int flags = 0; flags < 2; flags++) {
		struct sigaction sa = { .sa_handler = handle, .sa_flags = flags ? SA_RESTART : 0 };
		struct timespec late = { 1000, 0 };

		sigaction(SIGUSR1, &sa, NULL);
		start_waiters(t, 1);
		handled = 0;
		R(pthread_kill(t[0], SIGUSR1));
		/* behind the handler the call ends, or sleeps again */
		AWAIT(handled);
		AWAIT(count || until_thread_asleep(tids[0]));
		say("result %s", count ? errno_name(results[0]) : "still waiting");
		R(futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
		pthread_join(t[0], NULL);
		/* with a time limit it is never made again */
		if (fork() == 0) {
			until_asleep(getppid());
			kill(getppid(), SIGUSR1);
			_exit(0);
		}
		R(futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &late, NULL, 0));
		while (wait(NULL) > 0 || errno == EINTR)
			;
	}
}

static int timed_waiter(void *arg)
{
	struct timespec t = { 1000, 0 };

	if (arg)
		clock_gettime(*(int *)arg ? CLOCK_REALTIME : CLOCK_MONOTONIC, &t);
	t.tv_sec += 1000 * (arg != NULL);
	return futex(shared,
		     !arg ? FUTEX_WAIT
			  : FUTEX_WAIT_BITSET | (*(int *)arg ? FUTEX_CLOCK_REALTIME : 0),
		     0, &t, NULL, 1) == 0
		       ? 0
		       : errno;
}

/* A stop ends no wait, with a time limit or without: it goes on when its process does. */
CASE(futex_stops)
{
	int clocks[2] = { 0, 1 }, status;
	void *kind[3] = { NULL, &clocks[0], &clocks[1] };

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid = start_child(timed_waiter, kind[i]);

		until_asleep(pid);
		R(kill(pid, SIGSTOP));
		waitpid(pid, &status, WUNTRACED);
		STATUS(status);
		R(kill(pid, SIGCONT));
		until_asleep(pid);
		R(futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0));
		REAP(pid);
	}
}

/* ---- threads by hand */

static char stacks[4][32768] __attribute__((aligned(16)));
static int child_tid, parent_tid;
#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* No library in here: the thread pointer is not a thread's. */
static int bare(void *arg)
{
	int *at = arg;

	at[0] = (int)syscall(SYS_getpid);
	at[1] = (int)syscall(SYS_gettid);
	at[2] = (int)syscall(SYS_getppid);
	while (!go)
		syscall(SYS_sched_yield);
	syscall(SYS_exit, 0);
	return 0;
}

static long thread_word(void)
{
	long at;

	__asm__("mrs %0, tpidr_el0" : "=r"(at));
	return at;
}

CASE(bare_threads)
{
	static int ids[3];
	pid_t tid;

	go = 0;
	child_tid = 77;
	/* as TLS our own: the C library's errno is shared with us, who make no calls meanwhile */
	tid = clone(bare, stacks[0] + sizeof(stacks[0]),
		    THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |
			    CLONE_CHILD_SETTID | CLONE_DETACHED,
		    ids, &parent_tid, thread_word(), &child_tid);
	Q(tid > 0 && tid != getpid());
	Q(parent_tid == tid);
	while (!*(volatile int *)&ids[2])
		;
	Q(child_tid == tid);
	Q(ids[0] == getpid() && ids[1] == tid && ids[2] == getppid());
	R(syscall(SYS_tgkill, getpid(), tid, 0));
	R(syscall(SYS_tgkill, tid, tid, 0));
	R(syscall(SYS_tkill, tid, 0));
	R(kill(tid, 0));
	R(waitpid(tid, NULL, __WALL));
	R(setpgid(tid, tid));
	Q(getpgid(tid) == getpgrp());
	go = 1;
	while (__atomic_load_n(&child_tid, __ATOMIC_ACQUIRE))
		futex(&child_tid, FUTEX_WAIT, tid, NULL, NULL, 0);
	say("child_tid %d parent_tid %s", child_tid, parent_tid == tid ? "kept" : "changed");
	while (syscall(SYS_tkill, tid, 0) == 0)
		;
	R(syscall(SYS_tkill, tid, 0));
	R(syscall(SYS_tgkill, getpid(), tid, 0));
}

static void *note_ids(void *arg)
{
	(void)arg;
	Q(getpid() != syscall(SYS_gettid));
	Q(getsid(0) == getpid());
	return (void *)5;
}

CASE(joins)
{
	pthread_t t;
	void *got;

	Q(getpid() == syscall(SYS_gettid));
	pthread_create(&t, NULL, note_ids, NULL);
	R(pthread_join(t, &got));
	say("%ld", (long)got);
	R(syscall(SYS_set_tid_address, &child_tid) == syscall(SYS_gettid));
}

static void *add(void *arg)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&m);
		++*(volatile int *)arg;
		pthread_mutex_unlock(&m);
	}
	return NULL;
}

CASE(mutexes)
{
	pthread_t t[4];
	int total = 0;

	for (int i = 0; i < 4; i++)
		R(pthread_create(&t[i], NULL, add, &total));
	for (int i = 0; i < 4; i++)
		R(pthread_join(t[i], NULL));
	say("total %d", total);
}

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int turn;

static void *take_turns(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < 5; i++) {
		pthread_mutex_lock(&m);
		while (turn != me)
			pthread_cond_wait(&c, &m);
		say("thread %d round %d", me, i);
		turn = (me + 1) % 3;
		pthread_cond_broadcast(&c);
		pthread_mutex_unlock(&m);
	}
	return NULL;
}

CASE(conditions)
{
	pthread_t t[3];
	struct timespec late;

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, take_turns, (void *)(intptr_t)i);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	clock_gettime(CLOCK_REALTIME, &late);
	pthread_mutex_lock(&m);
	say("%s", errno_name(pthread_cond_timedwait(&c, &m, &late)));
	pthread_mutex_unlock(&m);
}

static void *post(void *arg)
{
	for (int i = 0; i < 100; i++)
		sem_post(arg);
	return NULL;
}

CASE(others_of_the_library)
{
	pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
	pthread_barrier_t b;
	pthread_t t;
	sem_t s;
	int n;

	R(sem_init(&s, 0, 0));
	pthread_create(&t, NULL, post, &s);
	for (int i = 0; i < 100; i++)
		sem_wait(&s);
	pthread_join(t, NULL);
	R(sem_trywait(&s));
	R(sem_getvalue(&s, &n));
	R(pthread_rwlock_rdlock(&rw));
	R(pthread_rwlock_rdlock(&rw));
	say("%s", errno_name(pthread_rwlock_trywrlock(&rw)));
	R(pthread_barrier_init(&b, NULL, 1));
	R(pthread_barrier_wait(&b));
}

static void *dies_holding(void *arg)
{
	pthread_mutex_lock(arg);
	return NULL;
}

CASE(robust)
{
	pthread_mutexattr_t a;
	pthread_mutex_t *r =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_t t;
	pid_t pid;
	void *head = NULL;
	size_t size = 0;

	R(syscall(SYS_get_robust_list, 0, &head, &size));
	say("size %zu", size);
	R(syscall(SYS_set_robust_list, &head, 5));
	R(syscall(SYS_get_robust_list, 1 << 21, &head, &size));
	R(syscall(SYS_get_robust_list, 0, BAD, &size));
	pthread_mutexattr_init(&a);
	R(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
	R(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
	R(pthread_mutex_init(r, &a));
	R(pthread_create(&t, NULL, dies_holding, r));
	pthread_join(t, NULL);
	say("%s", errno_name(pthread_mutex_lock(r)));
	R(pthread_mutex_consistent(r));
	R(pthread_mutex_unlock(r));
	pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(r);
		kill(getpid(), SIGKILL);
	}
	REAP(pid);
	say("%s", errno_name(pthread_mutex_lock(r)));
	R(pthread_mutex_unlock(r));
	say("%s", errno_name(pthread_mutex_lock(r)));
	/* one that waits is woken by the death */
	pthread_mutex_init(r, &a);
	pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(r);
		until_asleep(getppid());
		kill(getpid(), SIGKILL);
	}
	AWAIT(pthread_mutex_trylock(r) != 0 || pthread_mutex_unlock(r) != 0);
	say("%s", errno_name(pthread_mutex_lock(r)));
	REAP(pid);
}

/* ---- what ends and what replaces a process with threads */

static void *sleep_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void *tell_and_sleep(void *tid)
{
	__atomic_store_n((pid_t *)tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	return sleep_for_ever(NULL);
}

static void *exits(void *arg)
{
	exit((int)(intptr_t)arg);
}

static void *executes(void *arg)
{
	char *argv[] = { (char *)"x", (char *)"alone", NULL };

	(void)arg;
	execve(diff_self, argv, environ);
	_exit(9);
}

static void *kills(void *arg)
{
	raise((int)(intptr_t)arg);
	return NULL;
}

static pid_t with_threads(void *(*fn)(void *), intptr_t arg, int leader)
{
	pthread_t t;
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 3; i++)
			pthread_create(&t, NULL, sleep_for_ever, NULL);
		pthread_create(&t, NULL, fn, (void *)arg);
		if (leader)
			syscall(SYS_exit, 4);
		sleep_for_ever(NULL);
	}
	return pid;
}

CASE(ends)
{
	REAP(with_threads(exits, 5, 0));
	REAP(with_threads(exits, 6, 1));
	REAP(with_threads(kills, SIGTERM, 0));
	REAP(with_threads(kills, SIGSEGV, 1));
	REAP(with_threads(executes, 0, 0));
	REAP(with_threads(executes, 0, 1));
}

static void *late(void *arg)
{
	(void)arg;
	/* ends after the other thread, as good as always */
	let_pass(30);
	return NULL;
}

static void *until_told(void *arg)
{
	int *p = arg;
	char byte;

	close(p[1]);
	if (read(p[0], &byte, 1) != 0)
		say("told something");
	return NULL;
}

/* The first thread may go first: the process's status is that of the last. */
CASE(leader_first)
{
	pthread_t t;
	pid_t pid;
	int p[2];

	pipe(p);
	pid = fork();
	if (pid == 0) {
		pthread_create(&t, NULL, until_told, p);
		syscall(SYS_exit, 7);
	}
	AWAIT(state_of(pid) == 'Z');
	R(waitpid(pid, NULL, WNOHANG));
	R(kill(pid, 0));
	close(p[1]);
	REAP(pid);
}

CASE(fork_with_threads)
{
	pthread_t t;
	pid_t pid;
	int n = 0;

	R(pthread_create(&t, NULL, sleep_for_ever, NULL));
	pid = fork();
	if (pid == 0) {
		char name[40];

		Q(getpid() == syscall(SYS_gettid));
		for (int i = 1; i < 20; i++) {
			snprintf(name, sizeof(name), "/proc/self/task/%d", getpid() + i);
			n += access(name, F_OK) == 0;
		}
		say("%d other threads", n);
		R(pthread_create(&t, NULL, late, NULL));
		R(pthread_join(t, NULL));
		_exit(0);
	}
	REAP(pid);
}

static void *say_mask(void *arg)
{
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	Q(sigismember(&set, SIGUSR2) == 1);
	sigpending(&set);
	Q(sigismember(&set, SIGUSR2) == 1);
	Q(sigismember(&set, SIGHUP) == 1);
	return NULL;
}

static volatile pid_t ran_on;

static void note_thread(int sig)
{
	(void)sig;
	ran_on = (pid_t)syscall(SYS_gettid);
}

CASE(signals_of_threads)
{
	struct sigaction sa = { .sa_handler = note_thread };
	sigset_t set;
	pthread_t t;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* the process's is everybody's, a thread's its own */
	kill(getpid(), SIGUSR2);
	pthread_kill(pthread_self(), SIGHUP);
	pthread_create(&t, NULL, say_mask, NULL);
	pthread_join(t, NULL);
	/* goes to the thread that does not block it */
	sigaction(SIGUSR1, &sa, NULL);
	tids[0] = 0;
	pthread_create(&t, NULL, wait_thread, NULL);
	until_waiting(0);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	AWAIT(ran_on);
	Q(ran_on == tids[0]);
	futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
	R(pthread_join(t, NULL));
}

CASE(stop_all)
{
	volatile int *n =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int before, status;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t t;

		pthread_create(&t, NULL, late, NULL);
		pthread_create(&t, NULL, sleep_for_ever, NULL);
		for (;;)
			++*n;
	}
	AWAIT(*n);
	R(kill(pid, SIGSTOP));
	Q(waitpid(pid, &status, WUNTRACED) == pid);
	STATUS(status);
	before = *n;
	/* in which a stopped one could count */
	let_pass(30);
	Q(*n == before);
	R(kill(pid, SIGCONT));
	Q(waitpid(pid, &status, WCONTINUED) == pid);
	R(kill(pid, SIGKILL));
	REAP(pid);
}

static void *use_table(void *arg)
{
	int *fd = arg;

	*fd = open("/dev/null", O_RDONLY);
	if (chdir("/") < 0)
		say("chdir failed");
	umask(077);
	return NULL;
}

CASE(shares)
{
	char cwd[100];
	pthread_t t;
	int fd = -1;

	pthread_create(&t, NULL, use_table, &fd);
	pthread_join(t, NULL);
	say("fd %d", fd);
	R(fcntl(fd, F_GETFD));
	say("cwd %s", getcwd(cwd, sizeof(cwd)));
	R(umask(022));
}

CASE(cancel)
{
	pid_t tid = 0;
	pthread_t t;
	void *got;

	pthread_create(&t, NULL, tell_and_sleep, &tid);
	AWAIT(__atomic_load_n(&tid, __ATOMIC_ACQUIRE));
	until_thread_asleep(tid);
	R(pthread_cancel(t));
	R(pthread_join(t, &got));
	Q(got == PTHREAD_CANCELED);
}

static void *drop_rights(void *arg)
{
	(void)arg;
	AWAIT(go);
	say("uid %d", (int)getuid());
	return NULL;
}

/* setuid is the process's by the library's doing, which interrupts every thread. */
CASE(setuid_everywhere)
{
	pthread_t t;

	go = 0;
	pthread_create(&t, NULL, drop_rights, NULL);
	R(setuid(1000));
	go = 1;
	pthread_join(t, NULL);
}

CASE(many)
{
	static pthread_t t[200];
	pthread_attr_t a;
	int made = 0;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 16384);
	for (int i = 0; i < 200; i++)
		made += pthread_create(&t[i], &a, late, NULL) == 0;
	for (int i = 0; i < made; i++)
		pthread_join(t[i], NULL);
	say("%d threads", made);
}

CASE(membarrier)
{
	long query = syscall(SYS_membarrier, 0, 0, 0);

	Q(query > 0 || errno == ENOSYS);
	Q(syscall(SYS_rseq, 0, 0, 0, 0) == -1);
}

int diff_exec(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "alone"))
		return -1;
	say("alone: %s", getpid() == syscall(SYS_gettid) ? "the leader" : "not the leader");
	return 0;
}
