/* SPDX-License-Identifier: MIT */
#ifndef TERN_TESTS_HOST_STACK_ENV_H
#define TERN_TESTS_HOST_STACK_ENV_H

#include "lib/types.h"

extern uint64_t env_notifies;
/* All events announced since the test cleared it. */
extern uint32_t env_events;
/* What others do meanwhile. Called once: behind the next copy from a user; within the next poll_notify(). */
extern void (*env_copy_hook)(void);
extern void (*env_notify_hook)(void);
/* Called by who would sleep, who then looks again. */
extern void (*env_sleep_hook)(void);

#endif
