/* SPDX-License-Identifier: MIT */
/* When a program's page cannot be had: the largest process ends, and whoever needs memory waits for that. */
#ifndef TERN_KERNEL_OOM_H
#define TERN_KERNEL_OOM_H

#include "lib/types.h"

struct process;

/* The current thread's fault in user mode found no memory. Choose a victim, unless one is on its way out, and wait until all
 * its memory is back. 0: try again; -EINTR: the caller is being killed, perhaps as the largest; -ENOMEM: nobody can be.
 * seen: oom_kills() before the fault, so that it is tried again if somebody has died since. Context: thread, no lock held. */
uint32_t oom_kills(void);
int oom_wait(uint32_t seen) __must_check;
/* The same for a fault in a user copy, whose caller may hold what the victim waits for: what the victim has to itself is
 * taken from it here and now. Context: thread, no lock at or inside OOM held. */
int oom_relieve(uint32_t seen) __must_check;
/* p has given its memory back. */
void oom_process_gone(struct process *p);

#endif
