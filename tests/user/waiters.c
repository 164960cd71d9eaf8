/* SPDX-License-Identifier: MIT */
/* Threads that wait for each other through libc: mutexes, conditions, barriers, joins, semaphores, robust mutexes of other
 * processes, and a thousand threads at once. A wake-up that is lost hangs the program. */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

enum { CREW = 8, ROUNDS = 2000, MANY = 1000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static long counter, turn, crowd = MANY;

static void start(pthread_t *t, void *(*fn)(void *), long arg)
{
	pthread_attr_t attr;

	CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 16384) == 0);
	CHECK(pthread_create(t, &attr, fn, (void *)arg) == 0);
	CHECK(pthread_attr_destroy(&attr) == 0);
}

static void crew(void *(*fn)(void *))
{
	pthread_t t[CREW];

	for (long i = 0; i < CREW; i++)
		start(&t[i], fn, i);
	for (int i = 0; i < CREW; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

static void *count(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

/* Each waits for its number: a broadcast wakes all, musl requeues them onto the mutex. */
static void *in_turn(void *arg)
{
	for (int i = 0; i < ROUNDS / 10; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % CREW != (long)arg)
			pthread_cond_wait(&cond, &mutex);
		turn++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void *meet(void *arg)
{
	for (int i = 0; i < ROUNDS / 10; i++) {
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			counter++;
		sem_post(&sem);
		sem_wait(&sem);
	}
	return arg;
}

/* Time-outs and wake-ups at once: who is woken is not also timed out. */
static void *wait_a_little(void *arg)
{
	struct timespec t;

	for (int i = 0; i < ROUNDS / 20; i++) {
		CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0);
		t.tv_nsec += 100000 * (1 + i % 5);
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		if (sem_timedwait(&sem, &t) == 0)
			__atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
		else
			CHECK(errno == ETIMEDOUT);
	}
	return arg;
}

static void time_outs(void)
{
	pthread_t t[4];
	int posted = 150, left;

	counter = 0;
	CHECK(sem_init(&sem, 0, 0) == 0);
	for (int i = 0; i < 4; i++)
		start(&t[i], wait_a_little, i);
	for (int i = 0; i < posted; i++) {
		CHECK(sem_post(&sem) == 0);
		/* posted in a trickle, so that waits time out too */
		let_pass_us(100);
	}
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(sem_getvalue(&sem, &left) == 0 && counter + left == posted);
}

static void *one_of_many(void *arg)
{
	pthread_mutex_lock(&mutex);
	if (++counter == crowd)
		pthread_cond_broadcast(&cond);
	while (counter < crowd)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
	return (char *)arg + 1;
}

/* A thread takes a stack of 16 KiB in the kernel, some of its own, and a little more. */
static void many(void)
{
	static pthread_t t[MANY];
	struct sysinfo s;
	void *result;

	CHECK(sysinfo(&s) == 0);
	if (s.freeram * s.mem_unit / MANY < 48 << 10) {
		crowd = (long)(s.freeram * s.mem_unit / (48 << 10));
		printf("waiters: memory for %ld threads at once, not %d\n", crowd, MANY);
		CHECK(crowd > 50);
	}
	counter = 0;
	for (long i = 0; i < crowd; i++)
		start(&t[i], one_of_many, i);
	for (long i = 0; i < crowd; i++)
		CHECK(pthread_join(t[i], &result) == 0 && (long)result == i + 1);
}

/* The owner of a shared lock dies; the next one, in another process, is told. */
static void robust(void)
{
	pthread_mutex_t *m =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;
	int status;
	pid_t pid;

	CHECK(m != MAP_FAILED && pthread_mutexattr_init(&a) == 0);
	CHECK(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0);
	CHECK(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0);
	CHECK(pthread_mutex_init(m, &a) == 0);
	for (int i = 0; i < 20; i++) {
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			CHECK(pthread_mutex_lock(m) == 0);
			/* dies with and without somebody who waits */
			let_pass_us(i % 2 ? 2000 : 0);
			_exit(0);
		}
		if (i % 2)
			/* dies with and without somebody who waits */
			let_pass(1);
		status = pthread_mutex_lock(m);
		if (status == EOWNERDEAD)
			CHECK(pthread_mutex_consistent(m) == 0);
		else
			CHECK(status == 0);
		CHECK(pthread_mutex_unlock(m) == 0);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		/* it may have got the lock after us */
		status = pthread_mutex_lock(m);
		CHECK(status == 0 || (status == EOWNERDEAD && pthread_mutex_consistent(m) == 0));
		CHECK(pthread_mutex_unlock(m) == 0);
	}
	CHECK(munmap(m, 4096) == 0);
}

int main(void)
{
	crew(count);
	CHECK(counter == CREW * ROUNDS);
	crew(in_turn);
	CHECK(turn == CREW * (ROUNDS / 10));
	counter = 0;
	CHECK(pthread_barrier_init(&barrier, NULL, CREW) == 0 && sem_init(&sem, 0, 0) == 0);
	crew(meet);
	CHECK(counter == ROUNDS / 10);
	time_outs();
	many();
	robust();
	return 0;
}
