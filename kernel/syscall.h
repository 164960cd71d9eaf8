/* SPDX-License-Identifier: MIT */
/* The system-call table: one row a call, numbers from the packaged uapi headers. */
#ifndef TERN_KERNEL_SYSCALL_H
#define TERN_KERNEL_SYSCALL_H

#include "arch/aarch64/frame.h"

typedef int64_t (*syscall_fn)(const uint64_t a[6]);

void poll_init(void); /* boot: what poll and select keep the sets of many files in */

/* Run the call in f (number in x8) and put its result into f->x[0]. -ENOSYS for what is not there, counted. False: it was
 * interrupted, or has changed more of the frame. Context: thread, irqs on, no lock held before or after (asserted). */
bool syscall_dispatch(struct trap_frame *f);

/* Calls fn for each unknown number seen so far and the programs that asked, for /proc/tern/syscalls. */
void syscall_for_each_unknown(void (*fn)(unsigned nr, const char *program, uint64_t count,
					 void *arg),
			      void *arg);

#endif
