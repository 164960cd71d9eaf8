/* SPDX-License-Identifier: MIT */
/* Exceptions above the vectors: system calls, user faults, and what is due before a return to user mode. A program's
 * mistake ends the program with its signal and one line; a fault of the kernel's own is not handled here. */
#include "arch/aarch64/esr.h"
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/exit.h"
#include "kernel/oom.h"
#include "kernel/proc/process.h"
#include "kernel/signal.h"
#include "kernel/trap.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/vm/space.h"

#define PSTATE_I      BIT(7)
#define INSN_SIZE     4
#define TOLD_A_SECOND 10

/* A program makes any number of mistakes, and a line holds up everybody: of those with one name only so many are told each
 * second, and of all programs so many times the number of budgets. */
static bool may_tell(const char *name)
{
	static struct {
		uint64_t second; /* [atomic] the present one */
		uint32_t told;	 /* [atomic] in it */
	} budget[16], *b;
	uint64_t now = clock_now_ns() / NS_PER_S;
	uint32_t hash = 0;

	while (*name)
		hash = hash * 31 + (uint8_t)*name++;
	b = &budget[hash % ARRAY_SIZE(budget)];
	if (atomic_exchange(&b->second, now) != now)
		atomic_store_relaxed(&b->told, 0);
	return atomic_fetch_add(&b->told, 1) < TOLD_A_SECOND;
}

/* The program's own mistake: its handler's, or its end. */
static void fault_signal(const struct trap_frame *f, int sig, int code, uint64_t addr)
{
	struct process *p = current_process();

	if (signal_force(sig, code, addr) && may_tell(p->name))
		log_info("proc: %s[%d]: SIG%s at pc %#lx, address %#lx", p->name, p->pid,
			 signal_name(sig), (unsigned long)f->elr, (unsigned long)addr);
}

/* What a handler is shown of a fault. Whether there is something at a kernel's address is not for it to know. */
static void note_fault(uint64_t esr, uint64_t far)
{
	struct thread_signals *s = &current_thread()->sig;

	s->fault_addr = far;
	s->fault_esr = far < USER_MAX ? esr : esr_as_unmapped(esr);
}

static void user_abort(struct trap_frame *f, uint64_t esr, uint64_t addr,
		       enum vm_fault_access access)
{
	enum abort_kind kind = esr_abort_kind(esr);
	uint32_t kills;
	int err;

	if (kind == ABORT_ALIGNMENT || kind == ABORT_OTHER) {
		note_fault(esr, addr);
		fault_signal(f, SIG_BUS,
			     kind == ABORT_ALIGNMENT ? SIC_BUS_ALIGNMENT : SIC_BUS_HARDWARE, addr);
		return;
	}
	atomic_add_relaxed(&current_process()->min_faults, 1);
	kills = oom_kills();
	err = vm_fault(current_thread()->space, addr, access);
	switch (err) {
	case 0:
		return;
	case -EINTR:
		/* else its memory went with that of a victim, who shared it */
		if (!thread_killed(current_thread()))
			signal_group_exit(current_process(), SIG_KILL);
		return;
	case -ENOMEM:
		/* then the program tries again, or ends */
		IGNORE(oom_wait(kills));
		return;
	case -EIO:
		note_fault(esr, addr);
		fault_signal(f, SIG_BUS, SIC_BUS_BEYOND, addr);
		return;
	default:
		note_fault(esr, addr);
		fault_signal(f, SIG_SEGV, err == -EACCES ? SIC_SEGV_ACCESS : SIC_SEGV_UNMAPPED,
			     addr);
	}
}

/* Which of the conditions an untrapped program would find in FPSR. */
static int fp_code(uint64_t esr)
{
	static const int codes[] = { SIC_FPE_INVALID, SIC_FPE_DIVIDE, SIC_FPE_OVERFLOW,
				     SIC_FPE_UNDERFLOW, SIC_FPE_INEXACT };

	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++)
		if (esr & BIT(i))
			return codes[i];
	return SIC_FPE_UNKNOWN;
}

void trap_sync_user(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	enum esr_class cls = esr_class(esr);

	switch (cls) {
	case ESR_INSN_ABORT_USER:
		user_abort(f, esr, far, VM_FAULT_EXEC);
		break;
	case ESR_DATA_ABORT_USER:
		user_abort(f, esr, far, esr_abort_is_write(esr) ? VM_FAULT_WRITE : VM_FAULT_READ);
		break;
	case ESR_WFX:
		/* a program's wfi or wfe would stop this CPU until an interrupt, and no tick comes: it only gives way */
		f->elr += INSN_SIZE;
		sched_yield();
		break;
	case ESR_PC_ALIGN:
	case ESR_SP_ALIGN:
		note_fault(esr, far);
		fault_signal(f, SIG_BUS, SIC_BUS_ALIGNMENT,
			     cls == ESR_SP_ALIGN ? f->sp_el0 : f->elr);
		break;
	case ESR_BRK:
	case ESR_BREAKPOINT_USER:
	case ESR_STEP_USER:
		fault_signal(f, SIG_TRAP, cls == ESR_BRK ? SIC_TRAP_BREAK : SIC_TRAP_TRACE, f->elr);
		break;
	case ESR_FP:
		fault_signal(f, SIG_FPE, fp_code(esr), f->elr);
		break;
	default:
		fault_signal(f, SIG_ILL, SIC_ILL_OPCODE, f->elr);
	}
}

/* A fault at EL1 on a user address, in a user copy: the vectors ask only for instructions that have a fix-up. Bring
 * the page in as if the program had touched it. Sleeping is right only where the copy's caller may sleep. */
bool trap_sync_kernel(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	enum abort_kind kind = esr_abort_kind(esr);
	enum vm_fault_access access = esr_abort_is_write(esr) ? VM_FAULT_WRITE : VM_FAULT_READ;
	struct vm_space *space = vm_current();
	uint32_t kills;
	int err;

	if (esr_class(esr) != ESR_DATA_ABORT_KERNEL || far >= USER_MAX || !space ||
	    current_base()->nofault)
		return false;
	if ((f->spsr & PSTATE_I) || current_base()->preempt_depth > 0)
		return false;
	if (kind != ABORT_TRANSLATION && kind != ABORT_PERMISSION && kind != ABORT_ACCESS_FLAG)
		return false;
	do {
		kills = oom_kills();
		err = vm_fault(space, far, access);
	} while (err == -ENOMEM && oom_relieve(kills) == 0);
	return err == 0;
}

/* What is due before the return to user mode. */
static __noinline void return_work(struct trap_frame *f)
{
	if (thread_killed(current_thread()))
		exit_current(signal_exit_status(current_process()));
	if (READ_ONCE(current_thread()->notify))
		signal_deliver(f);
	cond_resched();
}

/* Before a return to user mode. irqs on at entry; off at exit, with nothing left to do: what arrives later
 * interrupts the user program and comes here again. */
void trap_return_user(struct trap_frame *f)
{
	for (;;) {
		arch_irq_disable();
		if (!trap_work_due())
			break;
		arch_irq_enable();
		return_work(f);
	}
	trap_check_return(f);
}
