/* SPDX-License-Identifier: MIT */
#ifndef TERN_TESTS_HOST_MEMORY_ENV_H
#define TERN_TESTS_HOST_MEMORY_ENV_H

#include "lib/types.h"

/* Objects and pages out. */
extern uint64_t env_objects;
extern uint64_t env_pages;
/* The n-th allocation from now fails; 0: none. */
extern uint64_t env_fail_in;
/* Every one fails. */
extern bool env_fail_all;
/* Called once, by the next page_alloc(): what others do meanwhile. */
extern void (*env_page_hook)(void);

/* kernel/proc/process.h, which has no place here */
bool caller_is_root(void);
bool caller_is_ending(void);

#endif
