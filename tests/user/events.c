/* SPDX-License-Identifier: MIT */
/* eventfd and timerfd: counts, blocking both ways, intervals, and poll on all of them. */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/check.h"

static int fd;

static long long now(clockid_t c)
{
	struct timespec t;

	CHECK(clock_gettime(c, &t) == 0);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint64_t take(void)
{
	uint64_t v = 0;

	CHECK(read(fd, &v, sizeof(v)) == sizeof(v));
	return v;
}

static void put(uint64_t v)
{
	CHECK(write(fd, &v, sizeof(v)) == sizeof(v));
}

static short ready(void)
{
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void counters(void)
{
	uint64_t v = -1;

	fd = eventfd(0, EFD_NONBLOCK);
	CHECK(fd >= 0 && ready() == POLLOUT);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
	CHECK_ERRNO(write(fd, &v, 8), EINVAL);
	put(5);
	put(6);
	CHECK(ready() == (POLLIN | POLLOUT) && take() == 11 && ready() == POLLOUT);
	put(UINT64_MAX - 1);
	CHECK(ready() == POLLIN);
	v = 1;
	CHECK_ERRNO(write(fd, &v, 8), EAGAIN);
	CHECK_ERRNO(read(fd, (void *)8, 8), EFAULT);
	CHECK(close(fd) == 0);
	fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	CHECK(take() == 1 && take() == 1);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
	CHECK(close(fd) == 0);
}

static void *putter(void *arg)
{
	for (int i = 0; i < 3000; i++)
		put(i % 3 == 0 ? UINT64_MAX / 2 : 1);
	return arg;
}

/* Both sides block: nothing is lost, nothing counted twice. */
static void two_threads(void)
{
	uint64_t sum = 0, want = 1000 * (UINT64_MAX / 2) + 2000;
	pthread_t t;
	int taken = 0;

	fd = eventfd(0, 0);
	CHECK(pthread_create(&t, NULL, putter, NULL) == 0);
	while (sum != want || taken < 500) {
		sum += take();
		taken++;
	}
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(ready() == POLLOUT && close(fd) == 0);
}

static void timers(void)
{
	struct itimerspec t = { { 0, 2000000 }, { 0, 1000000 } }, old;
	long long start = now(CLOCK_MONOTONIC);
	uint64_t v = 0, n;

	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	CHECK(fd >= 0 && ready() == 0);
	CHECK(timerfd_settime(fd, 0, &t, &old) == 0 && !old.it_value.tv_sec &&
	      !old.it_value.tv_nsec);
	while (v < 10) {
		n = take();
		CHECK(n > 0);
		v += n;
		CHECK(now(CLOCK_MONOTONIC) - start >= 1000000 + (long long)(v - 1) * 2000000);
	}
	CHECK(timerfd_gettime(fd, &t) == 0 && t.it_interval.tv_nsec == 2000000 &&
	      t.it_value.tv_nsec <= 2000000);
	CHECK(t.it_value.tv_nsec > 0);
	/* a nanosecond's interval is no storm */
	t = (struct itimerspec){ { 0, 1 }, { 0, 1 } };
	CHECK(timerfd_settime(fd, 0, &t, NULL) == 0 && take() > 0 && take() > 0 &&
	      ready() == POLLIN);
	/* disarmed */
	t = (struct itimerspec){ { 0, 1 }, { 0, 0 } };
	CHECK(timerfd_settime(fd, 0, &t, NULL) == 0 && ready() == 0);
	CHECK(close(fd) == 0);

	fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	n = (uint64_t)now(CLOCK_REALTIME) + 3000000;
	t = (struct itimerspec){ { 0, 0 }, { n / 1000000000 + 1000, 0 } };
	CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
	t = (struct itimerspec){ { 0, 0 }, { n / 1000000000, n % 1000000000 } };
	CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
	while (ready() != POLLIN)
		CHECK(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, -1) == 1);
	CHECK((uint64_t)now(CLOCK_REALTIME) >= n && take() == 1);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
	CHECK_ERRNO(timerfd_settime(fd, 8, &t, NULL), EINVAL);
	CHECK_ERRNO(timerfd_settime(1000, 0, &t, NULL), EBADF);
	CHECK_ERRNO(timerfd_settime(1, 0, &t, NULL), EINVAL);
	CHECK_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	CHECK(close(fd) == 0);
}

/* The clock is set under a timer that waits for one of its times. */
static void stepped(void)
{
	struct timespec real;
	struct itimerspec t;
	uint64_t v;

	fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	CHECK(clock_gettime(CLOCK_REALTIME, &real) == 0);
	t = (struct itimerspec){ { 0, 0 }, { real.tv_sec + 1000, 0 } };
	CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) == 0 && ready() == 0);
	real.tv_sec += 1001;
	CHECK(clock_settime(CLOCK_REALTIME, &real) == 0);
	CHECK(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, -1) == 1 && take() == 1);
	t.it_value.tv_sec += 5000;
	CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &t, NULL) == 0);
	real.tv_sec -= 1001;
	CHECK(clock_settime(CLOCK_REALTIME, &real) == 0);
	CHECK(ready() == POLLIN);
	CHECK_ERRNO(read(fd, &v, 8), ECANCELED);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
	CHECK(close(fd) == 0);
}

/* I-TIMER-3. Behind the monotonic clock a time to come of the wall clock would be a deadline before the boot: always over and never
 * there, in an interrupt that does not end. */
static void never_before_boot(void)
{
	struct timespec first = { 0, 0 };

	CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &first), EINVAL);
}

int main(void)
{
	counters();
	two_threads();
	timers();
	stepped();
	never_before_boot();
	return 0;
}
