/* SPDX-License-Identifier: MIT */
/* Exceptions above the vectors: system calls, user faults, and what is due before a return to user mode. A program's
 * mistake ends the program with its signal and one line; a fault of the kernel's own is not handled here. */
#include "arch/aarch64/esr.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/exit.h"
#include "kernel/oom.h"
#include "kernel/proc/process.h"
#include "kernel/syscall.h"
#include "lib/errno.h"
#include "mm/vm/space.h"

#define PSTATE_I  BIT(7)
#define INSN_SIZE 4
/* How long a user copy waits for somebody's end before it is -EFAULT. */
#define OOM_WAIT_IN_COPY NS_PER_S

/* End the process for a fault of its own making. */
static void fault_kill(const struct trap_frame *f, int sig, uint64_t addr)
{
	struct process *p = current_process();

	log_info("proc: %s[%d]: SIG%s at pc %#lx, address %#lx", p->name, p->pid, signal_name(sig),
		 (unsigned long)f->elr, (unsigned long)addr);
	signal_fault(p, sig);
}

static void user_abort(struct trap_frame *f, uint64_t addr, enum vm_fault_access access,
		       enum abort_kind kind)
{
	int err;

	if (kind == ABORT_ALIGNMENT || kind == ABORT_OTHER) {
		fault_kill(f, SIG_BUS, addr);
		return;
	}
	atomic_add_relaxed(&current_process()->min_faults, 1);
	err = vm_fault(current_thread()->space, addr, access);
	switch (err) {
	case 0:
	case -EINTR:
		return;
	case -ENOMEM:
		/* then the program tries again, or ends */
		err = oom_wait(DEADLINE_NEVER);
		return;
	case -EIO:
		fault_kill(f, SIG_BUS, addr);
		return;
	default:
		fault_kill(f, SIG_SEGV, addr);
	}
}

void trap_sync_user(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	enum esr_class cls = esr_class(esr);

	f->syscall = -1;
	switch (cls) {
	case ESR_SVC64:
		syscall_dispatch(f);
		break;
	case ESR_INSN_ABORT_USER:
		user_abort(f, far, VM_FAULT_EXEC, esr_abort_kind(esr));
		break;
	case ESR_DATA_ABORT_USER:
		user_abort(f, far, esr_abort_is_write(esr) ? VM_FAULT_WRITE : VM_FAULT_READ,
			   esr_abort_kind(esr));
		break;
	case ESR_WFX:
		/* a program's wfi or wfe would stop this CPU until an interrupt, and no tick comes: it only gives way */
		f->elr += INSN_SIZE;
		sched_yield();
		break;
	case ESR_PC_ALIGN:
	case ESR_SP_ALIGN:
		fault_kill(f, SIG_BUS, far);
		break;
	case ESR_BRK:
	case ESR_BREAKPOINT_USER:
	case ESR_STEP_USER:
		fault_kill(f, SIG_TRAP, f->elr);
		break;
	case ESR_FP:
		fault_kill(f, SIG_FPE, f->elr);
		break;
	default:
		fault_kill(f, SIG_ILL, f->elr);
	}
}

/* A fault at EL1 on a user address, in a user copy: the vectors ask only for instructions that have a fix-up. Bring
 * the page in as if the program had touched it. Sleeping is right only where the copy's caller may sleep. */
bool trap_sync_kernel(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	enum abort_kind kind = esr_abort_kind(esr);
	enum vm_fault_access access = esr_abort_is_write(esr) ? VM_FAULT_WRITE : VM_FAULT_READ;
	struct vm_space *space = vm_current();
	int err;

	if (esr_class(esr) != ESR_DATA_ABORT_KERNEL || far >= USER_MAX || !space ||
	    current_base()->nofault)
		return false;
	if ((f->spsr & PSTATE_I) || current_base()->preempt_depth > 0)
		return false;
	if (kind != ABORT_TRANSLATION && kind != ABORT_PERMISSION && kind != ABORT_ACCESS_FLAG)
		return false;
	do {
		err = vm_fault(space, far, access);
		/* the copy's caller may hold a lock that the victim waits for */
	} while (err == -ENOMEM && oom_wait(clock_now_ns() + OOM_WAIT_IN_COPY) == 0);
	return err == 0;
}

/* Before each return to user mode. irqs on at entry; off at exit, with nothing left to do: what arrives later
 * interrupts the user program and comes here again. */
void trap_return_user(struct trap_frame *f)
{
	for (;;) {
		if (thread_killed(current_thread()))
			exit_current(signal_exit_status(current_process()));
		cond_resched();
		arch_irq_disable();
		if (!READ_ONCE(this_cpu()->need_resched) && !thread_killed(current_thread()))
			break;
		arch_irq_enable();
	}
	lock_check_none_held("return to user mode");
	DASSERT(frame_from_user(f));
	/* I-TRAP-2 */
	DASSERT(f == arch_user_frame());
}
