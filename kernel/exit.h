/* SPDX-License-Identifier: MIT */
/* The end of processes. */
#ifndef TERN_KERNEL_EXIT_H
#define TERN_KERNEL_EXIT_H

#include "kernel/proc/process.h"

/* The current thread leaves its process and is gone; the last one closes files, gives the memory back and becomes a
 * zombie with this wait status. Context: thread, no lock held. */
void exit_current(int wait_status) __noreturn;

/* Release what kernel/ hangs on a process: files, directory context, memory. Of a dying or abandoned process. */
void process_release(struct process *p);

/* The word a thread asked to have cleared when it leaves its memory (CLONE_CHILD_CLEARTID), and who waits on it. */
void thread_release_tid(struct thread *t);

/* A vforked child has its own memory now, or is gone: let the parent go on. */
void vfork_release(struct process *p);

#endif
