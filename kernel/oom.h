/* SPDX-License-Identifier: MIT */
/* When a program's page cannot be had: the largest process ends, and whoever needs memory waits for that. */
#ifndef TERN_KERNEL_OOM_H
#define TERN_KERNEL_OOM_H

#include "lib/types.h"

struct process;

/* The current thread's fault found no memory. Choose a victim, unless one is on its way out, and wait until its memory is
 * back. 0: try again; -EINTR: the caller is being killed, perhaps as the largest; -ETIMEDOUT; -ENOMEM: not a program.
 * Context: thread. With a lock held that the victim may need, give a deadline. */
int oom_wait(uint64_t deadline_ns) __must_check;
/* p has given its memory back. */
void oom_process_gone(struct process *p);

#endif
