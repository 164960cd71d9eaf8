/* SPDX-License-Identifier: MIT */
/* Synchronous exceptions taken at EL1, and walks of a stack. A fault is resolved (a user page is brought in), fixed up
 * (the instruction is listed in __ex_table), or the end. */
#include "arch/aarch64/arch.h"
#include "arch/aarch64/esr.h"
#include "arch/aarch64/image.h"

#define SPSR_I BIT(7)

/* vectors.S */
void fault_el1(struct trap_frame *f, uint64_t esr, uint64_t far);
void fault_overflow(struct trap_frame *f, uint64_t esr, uint64_t far);
void fault_unexpected(struct trap_frame *f, uint64_t esr, uint64_t far, unsigned reason);

static const struct ex_entry *find_fix_up(uintptr_t pc)
{
	for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++) {
		if ((uintptr_t)&e->from + (uintptr_t)e->from == pc)
			return e;
	}
	return NULL;
}

/* A user address touched by the kernel: the page may come from above, which may sleep, so interrupts go back to what
 * they were where the fault happened. */
static bool resolve(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	bool irqs_were_on = !(f->spsr & SPSR_I);
	bool ok;

	if (esr_class(esr) != ESR_DATA_ABORT_KERNEL || far >= USER_MAX)
		return false;
	if (irqs_were_on)
		arch_irq_enable();
	ok = trap_sync_kernel(f, esr, far);
	arch_irq_disable();
	return ok;
}

/* Only an instruction with a fix-up may fault: a stray access to a user address is the end, page or no page. */
void fault_el1(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	const struct ex_entry *fix_up = find_fix_up(f->elr);

	if (!fix_up)
		trap_fatal(f, esr, far, "unexpected exception in the kernel");
	if (!resolve(f, esr, far))
		f->elr = (uintptr_t)&fix_up->to + (uintptr_t)fix_up->to;
}

void fault_overflow(struct trap_frame *f, uint64_t esr, uint64_t far)
{
	trap_fatal(f, esr, far, "kernel stack overflow");
}

void fault_unexpected(struct trap_frame *f, uint64_t esr, uint64_t far, unsigned reason)
{
	static const char *const what[] = { "FIQ", "SError", "exception of an unused vector" };

	trap_fatal(f, esr, far, what[reason]);
}

void arch_backtrace(uintptr_t fp, uintptr_t lo, uintptr_t hi, bool (*fn)(uintptr_t pc, void *arg),
		    void *arg)
{
	uint64_t next, pc;

	if (!fp)
		fp = (uintptr_t)__builtin_frame_address(0);
	/* each record lies above the last, so the walk ends */
	while (fp >= lo && fp + 16 <= hi && IS_ALIGNED(fp, 8UL)) {
		if (!arch_probe_read64((const void *)fp, &next) ||
		    !arch_probe_read64((const void *)(fp + 8), &pc) || !pc || !fn(pc, arg) ||
		    next <= fp)
			return;
		fp = next;
	}
}
