/* SPDX-License-Identifier: MIT */
/* For the torture programs: a failed check says where and ends the program with status 1. */
#ifndef TERN_TESTS_USER_CHECK_H
#define TERN_TESTS_USER_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#endif
