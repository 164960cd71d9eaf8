/* SPDX-License-Identifier: MIT */
/* The tables behind process.c, for kernel/proc alone; creation and death go through the calls in lifecycle.h. */
#ifndef TERN_KERNEL_PROC_PIDTAB_PRIV_H
#define TERN_KERNEL_PROC_PIDTAB_PRIV_H

#include "kernel/proc/process.h"

extern spinlock_t pidtab_lock; /* PIDTAB */

/* A zombie goes out of every table. The group reference it held is given to process_drop_unlinked(), with PIDTAB dropped. */
struct pgroup *process_unlink(struct process *p) __requires(pidtab_lock) __must_check;
void process_drop_unlinked(struct process *p, struct pgroup *g);
/* A published child of parent by number; NULL. */
struct process *process_child(struct process *parent, int pid) __requires(pidtab_lock) __must_check;

/* Tests: the number tried first for the next process. Returns the one it would have been. */
int pidtab_set_next(int pid);

#endif
