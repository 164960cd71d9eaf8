/* SPDX-License-Identifier: MIT */
/* Futexes: threads that sleep until a word of user memory changes. */
#ifndef TERN_KERNEL_FUTEX_H
#define TERN_KERNEL_FUTEX_H

#include "lib/types.h"

struct process;
struct vm_space;

void futex_init(void); /* boot: the buckets */

/* What restart_syscall does for an interrupted timed wait: a are futex(2)'s arguments, deadline_ns of the clock they name. */
int64_t futex_wait_again(const uint64_t a[6], uint64_t deadline_ns);

/* The current thread ends, or leaves its memory in exec, which is still its own: the locks on its robust list are marked
 * and their next owners woken. */
void futex_exit_robust(void);
/* The same for every thread of p, from outside: s, which was its memory, is sealed, and they cannot do it any more. */
void futex_settle_sealed(struct process *p, struct vm_space *s);
/* CLONE_CHILD_CLEARTID: store 0 at addr, then wake one who waits there. What is not writable is left alone. */
void futex_wake_clear_tid(vaddr_t addr);

#endif
