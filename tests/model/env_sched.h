/* SPDX-License-Identifier: MIT */
/* The whole scheduler: threads that switch, wake each other and move from CPU to CPU. No time passes, so no slice ends. */
#ifndef TERN_TESTS_MODEL_ENV_SCHED_H
#define TERN_TESTS_MODEL_ENV_SCHED_H

#include "tests/model/env.h"

/* In setup(). */
void env_sched(unsigned cpus);
/* A thread that may run on the CPUs of the mask; started. */
struct thread *env_start(const char *name, void (*fn)(void *), void *arg, cpumask_t mask);
/* What each CPU runs. */
void env_schedule(void);

#endif
