/* SPDX-License-Identifier: MIT */
/* A crew: n threads of a test, started together, joined together. */
#ifndef TERN_TESTS_KERNEL_CREW_H
#define TERN_TESTS_KERNEL_CREW_H

#include "kernel/core/clock.h"
#include "sched/thread.h"

#define CREW_MAX 64

/* Longer than any wait for another thread takes, on a host however busy: what lasts this long hangs. */
#define CREW_HANG_MS 20000

struct crew {
	unsigned n;
	struct thread *thread[CREW_MAX];
};

/* Add a thread; it runs only on the CPUs of mask. */
void crew_add(struct crew *c, void (*fn)(void *), void *arg, cpumask_t mask);
void crew_join(struct crew *c);

/* Until t sleeps in a wait and has left its CPU, or has ended. */
void crew_await_asleep(struct thread *t);

/* A small generator for tests: xorshift, state not 0. */
static inline uint64_t crew_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint64_t crew_deadline_ms(uint64_t ms)
{
	return clock_now_ns() + ms * NS_PER_MS;
}

/* For a wait that only a hang would end at this time. */
static inline uint64_t crew_hang_deadline(void)
{
	return crew_deadline_ms(CREW_HANG_MS);
}

#endif
