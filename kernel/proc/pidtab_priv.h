/* SPDX-License-Identifier: MIT */
/* The tables behind process.c, for kernel/proc alone; creation and death go through the calls in lifecycle.h. */
#ifndef TERN_KERNEL_PROC_PIDTAB_PRIV_H
#define TERN_KERNEL_PROC_PIDTAB_PRIV_H

#include "kernel/core/spinlock.h"

extern spinlock_t pidtab_lock; /* PIDTAB */

/* Tests: the number tried first for the next process. Returns the one it would have been. */
int pidtab_set_next(int pid);

#endif
