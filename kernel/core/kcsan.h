/* SPDX-License-Identifier: MIT */
/* The detector of data races (SAN=thread): two CPUs touch the same bytes at the same time, one of them writes, and not
 * both say so by READ_ONCE(), WRITE_ONCE() or an atomic operation. Empty in other images. */
#ifndef TERN_KERNEL_CORE_KCSAN_H
#define TERN_KERNEL_CORE_KCSAN_H

#include "lib/types.h"

#ifdef SAN_THREAD
/* boot, when all CPUs run: from here on races are looked for. With one CPU there are none. */
void kcsan_start(void);

/* What this thread does between +1 and -1 races with nothing. Nests; context: thread. */
void kcsan_ignore(int step);

/* The value of an expression whose race is meant; the reason stands beside it. */
#define data_race(expr)                                                                            \
	({                                                                                         \
		kcsan_ignore(1);                                                                   \
		__typeof__(expr) raced_value = (expr);                                             \
		kcsan_ignore(-1);                                                                  \
		raced_value;                                                                       \
	})

/* Tests: every how many plain accesses of a place one is watched at least, on average (0: what it was at boot), and the bytes whose races
 * are expected: they are printed as such, and counted if both sides were seen. NULL: none. */
void kcsan_watch_every(unsigned n);
void kcsan_expect(const void *p, size_t n);
unsigned kcsan_expected(void);
#else
static inline void kcsan_start(void)
{
}

#define data_race(expr) (expr)
#endif

#endif
