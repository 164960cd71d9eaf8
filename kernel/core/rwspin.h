/* SPDX-License-Identifier: MIT */
/* A spinlock for what is read far more often than it is changed. A reader marks its own CPU's word and looks whether
 * somebody writes: readers share no memory that any of them stores to. A writer holds the spinlock, says that it writes, and
 * waits for the readers there are. Its class is the spinlock's, for readers as for writers; NOIRQ only. */
#ifndef TERN_KERNEL_CORE_RWSPIN_H
#define TERN_KERNEL_CORE_RWSPIN_H

#include "kernel/core/spinlock.h"

struct __capability("rwspin") rwspin
{
	spinlock_t writer;
	uint32_t writing;  /* [atomic] set and cleared under writer */
	uint32_t *reading; /* [init] a DEFINE_PER_CPU: this CPU reads */
};

#define RWSPIN_INIT(name, per_cpu)                                                                 \
	{                                                                                          \
		SPINLOCK_INIT(name), 0, &(per_cpu)                                                 \
	}

/* Context: thread; preemption is off until the unlock. Reading does not nest. */
void rwspin_read_lock(struct rwspin *l) __acquires_shared(*l);
void rwspin_read_unlock(struct rwspin *l) __releases_shared(*l);
void rwspin_write_lock(struct rwspin *l) __acquires(*l);
void rwspin_write_unlock(struct rwspin *l) __releases(*l);

#endif
