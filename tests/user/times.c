/* SPDX-License-Identifier: MIT */
/* Sleeping, clocks, and small calls: never early, never backwards, errors as on Linux. */
#include <sched.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

static long long now(clockid_t c)
{
	struct timespec t;

	CHECK(clock_gettime(c, &t) == 0);
	CHECK(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleeps(void)
{
	struct timespec t;

	for (int i = 0; i < 200; i++) {
		long long start = now(CLOCK_MONOTONIC), want = 100000LL * (i % 20), slept;

		t = (struct timespec){ 0, want };
		CHECK(nanosleep(&t, NULL) == 0);
		slept = now(CLOCK_MONOTONIC) - start;
		CHECK(slept >= want);
		CHECK(slept < want + AWAIT_SECONDS * 1000000000LL);
	}
	t = (struct timespec){ 0, 1000000000 };
	CHECK_ERRNO(nanosleep(&t, NULL), EINVAL);
	t = (struct timespec){ 0, 0 };
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0);
}

static void clocks(void)
{
	long long last = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);

	for (int i = 0; i < 20000; i++) {
		long long t = now(CLOCK_MONOTONIC);

		CHECK(t >= last);
		last = t;
		if (i % 1000 == 0)
			sched_yield();
	}
	CHECK(now(CLOCK_PROCESS_CPUTIME_ID) >= cpu);
	CHECK(now(CLOCK_REALTIME) > 0);
	CHECK_ERRNO(syscall(SYS_clock_gettime, 99, &(struct timespec){ 0 }), EINVAL);
}

static void small(void)
{
	unsigned char a[64] = { 0 }, b[64] = { 0 };
	struct utsname u;
	struct rlimit r;
	cpu_set_t set;

	CHECK(uname(&u) == 0 && strcmp(u.machine, "aarch64") == 0);
	CHECK(getrandom(a, sizeof(a), 0) == 64 && getrandom(b, sizeof(b), 0) == 64);
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	CHECK(getrlimit(RLIMIT_STACK, &r) == 0 && r.rlim_cur > 0);
	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0);
	CHECK(getpid() > 0 && getuid() == geteuid());
	CHECK_ERRNO(syscall(9999), ENOSYS);
	CHECK_ERRNO(syscall(-1), ENOSYS);
	CHECK_ERRNO(close(12345), EBADF);
	CHECK_ERRNO(read(-1, a, 1), EBADF);
}

int main(void)
{
	sleeps();
	clocks();
	small();
	return 0;
}
