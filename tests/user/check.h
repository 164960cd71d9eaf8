/* SPDX-License-Identifier: MIT */
/* For the torture programs: a failed check says where and ends the program with status 1. */
#ifndef TERN_TESTS_USER_CHECK_H
#define TERN_TESTS_USER_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #cond, errno);        \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* The call fails with this errno. */
#define CHECK_ERRNO(call, want)                                                                    \
	do {                                                                                       \
		errno = 0;                                                                         \
		long check_got = (long)(call);                                                     \
		if (check_got != -1 || errno != (want)) {                                          \
			printf("%s:%d: %s gave %ld, errno %d, wanted %d\n", __FILE__, __LINE__,    \
			       #call, check_got, errno, (want));                                   \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* clone(2) in place: a child on the same stack returns from no function that its parent still needs. */
static inline __attribute__((always_inline)) long raw_clone(long flags)
{
	register long x8 __asm__("x8") = SYS_clone;
	register long x0 __asm__("x0") = flags;
	register long x1 __asm__("x1") = 0;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1) : "x2", "x3", "x4", "memory");
	return x0;
}

#endif
