/* SPDX-License-Identifier: MIT */
/* futex(2) alone: what each operation answers, every bad argument, and words whose page goes. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

enum {
	FUTEX_WAIT,
	FUTEX_WAKE,
	FUTEX_FD,
	FUTEX_REQUEUE,
	FUTEX_CMP_REQUEUE,
	FUTEX_WAKE_OP,
	FUTEX_LOCK_PI,
	FUTEX_WAIT_BITSET = 9,
	FUTEX_WAKE_BITSET,
	PRIVATE = 128,
	FUTEX_CLOCK_REALTIME = 256
};
enum {
	FUTEX_OP_SET,
	FUTEX_OP_ADD,
	FUTEX_OP_OR,
	FUTEX_OP_ANDN,
	FUTEX_OP_XOR,
	FUTEX_OP_OPARG_SHIFT = 8
};
enum {
	FUTEX_OP_CMP_EQ,
	FUTEX_OP_CMP_NE,
	FUTEX_OP_CMP_LT,
	FUTEX_OP_CMP_LE,
	FUTEX_OP_CMP_GT,
	FUTEX_OP_CMP_GE
};
#define FUTEX_OP(op, oparg, cmp, cmparg)                                                           \
	((uint32_t)(op) << 28 | (uint32_t)(cmp) << 24 | ((oparg)&0xfff) << 12 | ((cmparg)&0xfff))
struct robust_list {
	struct robust_list *next;
};
struct robust_list_head {
	struct robust_list list;
	long futex_offset;
	struct robust_list *list_op_pending;
};
#define ANY	  0xffffffffu
#define NS_PER_MS 1000000LL

static uint32_t word[4];

static long futex(void *at, int op, uint32_t val, const void *t, void *at2, uint32_t val3)
{
	return syscall(SYS_futex, at, op, val, t, at2, val3);
}

static long long now(clockid_t c)
{
	struct timespec t;

	CHECK(clock_gettime(c, &t) == 0);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct timespec at_time(long long ns)
{
	return (struct timespec){ ns / 1000000000, ns % 1000000000 };
}

static void time_outs(void)
{
	struct timespec t = at_time(2 * NS_PER_MS);
	long long start = now(CLOCK_MONOTONIC);

	CHECK_ERRNO(futex(word, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT);
	CHECK(now(CLOCK_MONOTONIC) >= start + 2 * NS_PER_MS);
	t = at_time(now(CLOCK_MONOTONIC) + 2 * NS_PER_MS);
	CHECK_ERRNO(futex(word, FUTEX_WAIT_BITSET | PRIVATE, 0, &t, NULL, ANY), ETIMEDOUT);
	CHECK(now(CLOCK_MONOTONIC) >= t.tv_sec * 1000000000LL + t.tv_nsec);
	t = at_time(now(CLOCK_REALTIME) + 2 * NS_PER_MS);
	CHECK_ERRNO(futex(word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, NULL, ANY),
		    ETIMEDOUT);
	CHECK(now(CLOCK_REALTIME) >= t.tv_sec * 1000000000LL + t.tv_nsec);
	t = at_time(1);
	CHECK_ERRNO(futex(word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, NULL, ANY),
		    ETIMEDOUT);
	CHECK_ERRNO(futex(word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 0, &t, NULL, 0), ENOSYS);
	t.tv_nsec = 1000000000;
	CHECK_ERRNO(futex(word, FUTEX_WAIT, 0, &t, NULL, 0), EINVAL);
	t = (struct timespec){ -1, 0 };
	CHECK_ERRNO(futex(word, FUTEX_WAIT, 0, &t, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(word, FUTEX_WAIT, 0, (void *)8, NULL, 0), EFAULT);
}

/* a word at every offset of a page, the last ones beside a hole. */
static void places(void)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED && munmap(p + 4096, 4096) == 0);
	for (int off = 0; off < 4096; off++) {
		CHECK_ERRNO(futex(p + off, FUTEX_WAIT, 1, NULL, NULL, 0),
			    off % 4 ? EINVAL : EAGAIN);
		CHECK_ERRNO(futex(p + off, FUTEX_WAIT | PRIVATE, 1, NULL, NULL, 0),
			    off % 4 ? EINVAL : EAGAIN);
		if (off % 4)
			CHECK_ERRNO(futex(p + off, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
		else
			CHECK(futex(p + off, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	}
	CHECK_ERRNO(futex(p + 4096, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(p + 4096, FUTEX_WAIT | PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(p + 4096, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(NULL, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex((void *)-4096, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex((void *)-4096, FUTEX_WAKE | PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK(munmap(p, 4096) == 0);
}

static void operations(void)
{
	const uint32_t set_5 = FUTEX_OP(FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 0);

	word[0] = word[1] = 0;
	CHECK_ERRNO(futex(word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	CHECK(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	CHECK_ERRNO(futex(word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	CHECK(futex(word, FUTEX_REQUEUE, 1, (void *)1, word + 1, 0) == 0);
	CHECK_ERRNO(futex(word, FUTEX_CMP_REQUEUE, 1, (void *)1, word + 1, 9), EAGAIN);
	CHECK_ERRNO(futex(word, FUTEX_CMP_REQUEUE, (uint32_t)-1, (void *)1, word + 1, 0), EINVAL);
	CHECK_ERRNO(futex(word, FUTEX_CMP_REQUEUE | PRIVATE, 1, (void *)1, (void *)2, 0), EINVAL);
	CHECK(futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, set_5) == 0 && word[1] == 5);
	CHECK(futex(word, FUTEX_WAKE_OP | PRIVATE, 1, (void *)1, word + 1,
		    FUTEX_OP(FUTEX_OP_ADD, -2, FUTEX_OP_CMP_GT, -1)) == 0 &&
	      word[1] == 3);
	CHECK(futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1,
		    FUTEX_OP(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_LT, 3)) == 0 &&
	      word[1] == 19);
	CHECK(futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1,
		    FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_GE, 3)) == 0 &&
	      word[1] == 18);
	CHECK(futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1,
		    FUTEX_OP(FUTEX_OP_XOR, 3, FUTEX_OP_CMP_LE, 3)) == 0 &&
	      word[1] == 17);
	CHECK_ERRNO(futex(word, FUTEX_WAKE_OP, 1, (void *)1, (void *)16, set_5), EFAULT);
	for (int op = FUTEX_LOCK_PI; op < 128; op++)
		if (op != FUTEX_WAIT_BITSET && op != FUTEX_WAKE_BITSET)
			CHECK_ERRNO(futex(word, op, 0, NULL, word + 1, 0), ENOSYS);
	CHECK_ERRNO(futex(word, FUTEX_FD, 0, NULL, NULL, 0), ENOSYS);
}

/* --- words in shared pages that go (I-FUTEX-1) ------------------------------------------------------------------- */

#define PAGE  4096UL
#define PAGES 512UL

static char *map_shared(void *at, size_t n)
{
	char *m = mmap(at, n, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);

	CHECK(m != MAP_FAILED);
	return m;
}

#define SLEEPERS 32

static volatile pid_t sleeper_id[SLEEPERS];
static char *sleeps_at;

/* Nobody wakes it: in the end a signal does. */
static void *sleep_on(void *arg)
{
	long n = (long)arg;

	sleeper_id[n] = gettid();
	CHECK_ERRNO(futex(sleeps_at + (unsigned long)n * PAGE, FUTEX_WAIT, 0, NULL, NULL, 0),
		    EINTR);
	return NULL;
}

static void nothing(int sig)
{
	(void)sig;
}

/* Who sleeps on a word keeps its page, also after it was moved there: so the page does not become another word's, whose
 * wake-ups would find it. */
static void unmapped_under_sleepers(int moved)
{
	char *to = map_shared(NULL, SLEEPERS * PAGE), *many;
	pthread_t t[SLEEPERS];

	sleeps_at = map_shared(NULL, SLEEPERS * PAGE);
	for (long i = 0; i < SLEEPERS; i++) {
		sleeper_id[i] = 0;
		to[(unsigned long)i * PAGE] = 0;
		CHECK(pthread_create(&t[i], NULL, sleep_on, (void *)i) == 0);
	}
	for (unsigned long i = 0; i < SLEEPERS; i++) {
		CHECK(AWAIT(sleeper_id[i]) && until_thread_asleep(sleeper_id[i]));
		if (moved)
			CHECK(futex(sleeps_at + i * PAGE, FUTEX_REQUEUE, 0, (void *)1,
				    to + i * PAGE, 0) == 1);
	}
	CHECK(munmap(sleeps_at, SLEEPERS * PAGE) == 0 && munmap(to, SLEEPERS * PAGE) == 0);
	many = map_shared(NULL, PAGES * PAGE);
	for (char *p = many; p < many + PAGES * PAGE; p += PAGE) {
		*p = 0;
		CHECK(futex(p, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	}
	CHECK(munmap(many, PAGES * PAGE) == 0);
	for (int i = 0; i < SLEEPERS; i++)
		CHECK(pthread_kill(t[i], SIGUSR1) == 0 && pthread_join(t[i], NULL) == 0);
}

static volatile int stop;

static void *wake_all_the_time(void *arg)
{
	while (!stop)
		CHECK(futex(arg, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	return NULL;
}

/* A page that goes while its word is looked up. */
static void unmapped_under_a_waker(void)
{
	char *at = map_shared(NULL, PAGE);
	pthread_t t[3];

	stop = 0;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, wake_all_the_time, at) == 0);
	for (int i = 0; i < 2000; i++) {
		*map_shared(at, PAGE) = 0;
		if (i % 16 == 0)
			sched_yield();
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(munmap(at, PAGE) == 0);
}

static void pages_that_go(void)
{
	struct sigaction sa = { .sa_handler = nothing };
	cpu_set_t all, one;

	/* a CPU gives out first what was freed on it */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	unmapped_under_sleepers(0);
	unmapped_under_sleepers(1);
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
	unmapped_under_a_waker();
}

static void robust(void)
{
	struct robust_list_head head = { { &head.list }, 0, NULL };
	void *got = NULL;
	size_t len = 0;

	CHECK_ERRNO(syscall(SYS_set_robust_list, &head, sizeof(head) - 1), EINVAL);
	CHECK(syscall(SYS_set_robust_list, &head, sizeof(head)) == 0);
	CHECK(syscall(SYS_get_robust_list, 0, &got, &len) == 0 && got == &head &&
	      len == sizeof(head));
	CHECK_ERRNO(syscall(SYS_get_robust_list, 0, 8, &len), EFAULT);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 0, &got, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 0x3fffffff, &got, &len), ESRCH);
}

static struct {
	struct robust_list link;
	uint32_t word;
} leaving;

/* It was leaving a lock: the word is free already, and nobody has been woken. */
static void *leaves(void *arg)
{
	static struct robust_list_head head = { { &head.list },
						(char *)&leaving.word - (char *)&leaving.link,
						&leaving.link };

	CHECK(until_thread_asleep(*(pid_t *)arg));
	CHECK(syscall(SYS_set_robust_list, &head, sizeof(head)) == 0);
	return NULL;
}

static void left_half(void)
{
	struct timespec t = at_time(AWAIT_SECONDS * 1000 * NS_PER_MS);
	pid_t self = (pid_t)syscall(SYS_gettid);
	pthread_t by;

	CHECK(pthread_create(&by, NULL, leaves, &self) == 0);
	CHECK(futex(&leaving.word, FUTEX_WAIT, 0, &t, NULL, 0) == 0);
	CHECK(pthread_join(by, NULL) == 0);
}

/* The last thing: a list that never ends, and goes through memory that is not there. */
static void leave_hostile_list(void)
{
	static struct robust_list a, b;
	static struct robust_list_head head = { { &a }, 1, (void *)0xfffffffffffffff0 };

	a.next = &b;
	b.next = &a;
	CHECK(syscall(SYS_set_robust_list, &head, sizeof(head)) == 0);
}

int main(void)
{
	time_outs();
	places();
	operations();
	pages_that_go();
	robust();
	left_half();
	leave_hostile_list();
	return 0;
}
