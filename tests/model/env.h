/* SPDX-License-Identifier: MIT */
/* What the modelled sources need of the floors below. */
#ifndef TERN_TESTS_MODEL_ENV_H
#define TERN_TESTS_MODEL_ENV_H

#include "sched/thread.h"
#include "tests/model/model.h"

/* In setup(): that many CPUs, each with a thread of its own. */
void env_cpus(unsigned n);
/* First of all on each CPU. */
void env_enter(void);
struct thread *env_thread(unsigned cpu);

#endif
