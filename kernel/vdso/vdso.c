/* SPDX-License-Identifier: MIT */
/* Code of programs, that the kernel brings along: the time without a system call. Page 0 of the mapping is clock.c's data,
 * page 1 is this, as a shared object. */
#include <linux/time.h>
#include <asm/unistd.h>
#include "kernel/vdso/page.h"

struct timespec64 {
	int64_t sec, nsec;
};
struct timeval64 {
	int64_t sec, usec;
};

int __kernel_clock_gettime(int64_t id, struct timespec64 *to);
int __kernel_gettimeofday(struct timeval64 *to, void *zone);
int __kernel_clock_getres(int64_t id, struct timespec64 *to);

static int call(long nr, int64_t a0, void *a1)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a0;
	register void *x1 __asm__("x1") = a1;

	__asm__ __volatile__("svc #0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
	return (int)x0;
}

static inline uint64_t monotonic(void)
{
	uint64_t count;

	__asm__ __volatile__("isb\n\tmrs %0, cntvct_el0" : "=r"(count) : : "memory");
	return clock_data_ns(&clock_page, count - clock_page.counter_base);
}

static inline int put(struct timespec64 *to, uint64_t ns)
{
	uint64_t second = NS_PER_S;

	/* hidden from the compiler, which would make ten instructions of the division */
	__asm__("" : "+r"(second));
	to->sec = (int64_t)(ns / second);
	to->nsec = (int64_t)(ns % second);
	return 0;
}

int __kernel_clock_gettime(int64_t id, struct timespec64 *to)
{
	/* asked for most */
	if ((int)id == CLOCK_MONOTONIC)
		return put(to, monotonic());
	switch ((int)id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI: /* nobody told us of leap seconds */
		return put(to, monotonic() + READ_ONCE(clock_page.wall_offset));
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		return put(to, monotonic());
	default:
		return call(__NR_clock_gettime, id, to);
	}
}

int __kernel_gettimeofday(struct timeval64 *to, void *zone)
{
	uint64_t ns = monotonic() + READ_ONCE(clock_page.wall_offset);

	if (zone)
		return call(__NR_gettimeofday, (int64_t)to, zone);
	if (to) {
		to->sec = (int64_t)(ns / NS_PER_S);
		to->usec = (int64_t)(ns % NS_PER_S / NS_PER_US);
	}
	return 0;
}

int __kernel_clock_getres(int64_t id, struct timespec64 *to)
{
	return call(__NR_clock_getres, id, to);
}
