/* SPDX-License-Identifier: MIT */
/* What is looked at before each return to user mode. */
#ifndef TERN_KERNEL_TRAP_H
#define TERN_KERNEL_TRAP_H

#include "arch/aarch64/arch.h"
#include "kernel/core/panic.h"
#include "sched/thread.h"

/* Is there a signal, a switch, a kill? Context: irqs off. */
static inline bool trap_work_due(void)
{
	return READ_ONCE(this_cpu()->need_resched) | READ_ONCE(current_thread()->notify);
}

static inline void trap_check_return(const struct trap_frame *f)
{
	lock_check_none_held("return to user mode");
	DASSERT(frame_from_user(f));
	/* I-TRAP-2 */
	DASSERT(f == arch_user_frame());
}

#endif
