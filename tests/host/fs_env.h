/* SPDX-License-Identifier: MIT */
#ifndef TERN_TESTS_HOST_FS_ENV_H
#define TERN_TESTS_HOST_FS_ENV_H

#include "kernel/core/spinlock.h"
#include "tests/host/memory_env.h"

/* Not 0: a wait of this thread that would sleep gives this instead (-EINTR, -ERESTARTSYS). */
extern __thread int env_signal;
/* Announcements made. */
extern uint64_t env_notifies;
/* Pages of files said to be written to. */
extern uint64_t env_written;

extern uint32_t env_random; /* numbers drawn */
extern bool env_unseeded;   /* the generator is not seeded */
/* Four pages whose struct page can be asked for. */
void *env_page_memory(void);

/* Called once, behind this thread's next release of a spinlock: what others do meanwhile. */
extern __thread void (*env_unlock_hook)(struct spinlock *l);

/* Until a thread sleeps in a wait. */
void env_await_asleep(void);

/* A segment here faults. */
#define ENV_BAD_ADDRESS ((uintptr_t)0x10)

#endif
