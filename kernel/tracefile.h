/* SPDX-License-Identifier: MIT */
/* The trace (kernel/core/trace.h): trace=WHAT on the command line, and /proc/tern/trace, root's. Written to: all, off, free (its memory,
 * too), or some of switch, wake, lock, irq, call, packet and ssh, with commas between; or their bits as a number. Read: what
 * there is when it is opened, in the order of time, as text that scripts/trace.py takes; what is read is gone, and what was made
 * ready for a reader who then closed it. */
#ifndef TERN_KERNEL_TRACEFILE_H
#define TERN_KERNEL_TRACEFILE_H

#include "lib/types.h"

/* boot, before other CPUs run. */
void trace_boot(void);
/* boot, after vfs_init(). 0 or -errno. */
int tracefile_init(void) __must_check;

/* Record these groups (0: none) from now on; what is there is dropped if nothing was recorded before. The first time rings of at most
 * 2^order pages each are made. 0 or -ENOMEM. Context: thread. */
int trace_start(uint32_t groups, unsigned order) __must_check;
/* Nothing is recorded, and the rings go. */
void trace_free(void);

#endif
