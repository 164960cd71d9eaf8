/* SPDX-License-Identifier: MIT */
/* New processes and their first thread. */
#ifndef TERN_KERNEL_CLONE_H
#define TERN_KERNEL_CLONE_H

#include "arch/aarch64/frame.h"
#include "kernel/proc/process.h"

/* A thread in the memory of p that starts in user mode with this frame, which is copied, after it has written its number
 * to set_tid (0: nowhere). Not yet one of p's threads; not started; one reference. NULL: no memory. */
struct thread *user_thread_create(struct process *p, const struct trap_frame *frame,
				  vaddr_t set_tid) __must_check;

#endif
