/* SPDX-License-Identifier: MIT */
#ifndef TERN_TESTS_HOST_STACK_ENV_H
#define TERN_TESTS_HOST_STACK_ENV_H

#include "lib/types.h"

extern uint64_t env_notifies;
/* All events announced since the test cleared it. */
extern uint32_t env_events;

#endif
