/* SPDX-License-Identifier: MIT */
/* From a signal to its handler and back: frames on the user's stack, and calls that are made again. */
#ifndef TERN_KERNEL_SIGNAL_H
#define TERN_KERNEL_SIGNAL_H

#include "arch/aarch64/frame.h"

/* Before a return to user mode by a thread with NOTIFY_SIGNAL or NOTIFY_MASK: act on what is deliverable. f becomes the
 * handler's, or the interrupted call is made again or fails, and the mask is what it should be. May sleep (stops).
 * Context: thread, irqs on, no lock held. */
void signal_deliver(struct trap_frame *f);

/* Does a system call's result ask to be made again? */
static inline bool signal_is_restart(int64_t ret)
{
	return ret <= -512 && ret >= -516;
}

#endif
