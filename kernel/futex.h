/* SPDX-License-Identifier: MIT */
/* Futexes: threads that sleep until a word of user memory changes. */
#ifndef TERN_KERNEL_FUTEX_H
#define TERN_KERNEL_FUTEX_H

#include "lib/types.h"

void futex_init(void); /* boot: the buckets */

/* The current thread ends, or leaves its memory in exec, which is still its own: the locks on its robust list are marked
 * and their next owners woken. */
void futex_exit_robust(void);
/* CLONE_CHILD_CLEARTID: store 0 at addr, then wake one who waits there. What is not writable is left alone. */
void futex_wake_clear_tid(vaddr_t addr);

#endif
