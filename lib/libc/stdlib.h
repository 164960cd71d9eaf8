/* SPDX-License-Identifier: MIT */
/* <stdlib.h> for third-party files in the kernel: what they call of it, and no more. */
#ifndef TERN_LIB_LIBC_STDLIB_H
#define TERN_LIB_LIBC_STDLIB_H

#include <stddef.h>

/* A sequence of decimal digits, after an optional sign; 0 if there is none. */
static inline int atoi(const char *s)
{
	int negative = *s == '-';
	int n = 0;

	for (s += negative; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (*s - '0');
	return negative ? -n : n;
}

/* A third-party file found its own state broken. The floor that links the file defines it. */
void abort(void) __attribute__((noreturn));

#endif
