/* SPDX-License-Identifier: MIT */
/* New processes and their first thread. */
#ifndef TERN_KERNEL_CLONE_H
#define TERN_KERNEL_CLONE_H

#include "arch/aarch64/frame.h"
#include "kernel/proc/process.h"

/* A thread for p that starts in user mode with this frame and TLS pointer. It is not started; one reference. The frame
 * is copied. NULL: no memory. */
struct thread *user_thread_create(struct process *p, const struct trap_frame *frame,
				  uint64_t tls) __must_check;

/* clone(2): the combinations of flags we have; -ENOSYS for the others, by name in the log once. */
int64_t sys_clone(const uint64_t a[6]);

#endif
