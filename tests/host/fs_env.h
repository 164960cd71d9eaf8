/* SPDX-License-Identifier: MIT */
#ifndef TERN_TESTS_HOST_FS_ENV_H
#define TERN_TESTS_HOST_FS_ENV_H

#include "lib/types.h"

/* Not 0: a wait of this thread that would sleep gives this instead (-EINTR, -ERESTARTSYS). */
extern __thread int env_signal;
/* Objects and pages out, and announcements made. */
extern uint64_t env_objects;
extern uint64_t env_pages;
extern uint64_t env_notifies;
/* Pages of files said to be written to. */
extern uint64_t env_written;
/* Called once, by the next page_alloc(): what others do meanwhile. */
extern void (*env_page_hook)(void);

extern bool env_unseeded;  /* the generator is not seeded */
bool caller_is_root(void); /* kernel/proc/process.h, which has no place here */
/* Four pages whose struct page can be asked for. */
void *env_page_memory(void);

/* A segment here faults. */
#define ENV_BAD_ADDRESS ((uintptr_t)0x10)

#endif
