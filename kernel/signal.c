/* SPDX-License-Identifier: MIT */
/* Handlers. The frame on the user's stack is Linux arm64's, byte for byte: siginfo, ucontext with the general registers,
 * then records of which we write the vector registers', after a fault the syndrome, and the end; below all of it (above in
 * memory) a frame record, so that unwinders go through. What is read back by rt_sigreturn is the program's to forge: it
 * gets no more than it could set by itself. */
#include "kernel/signal.h"
#include <asm/sigcontext.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include "kernel/proc/process.h"
#include "kernel/sys_priv.h"
#include "kernel/vdso.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"

#define SVC_SIZE	   4
#define SS_ONSTACK_FLAG	   1
#define SS_DISABLE_FLAG	   2
#define SS_AUTODISARM_FLAG (1U << 31)
#define FPSIMD_SIZE	   sizeof(struct fpsimd_context)

/* I-SIG-4. PSTATE as EL0 may have it: AArch64, nothing masked. Of the rest it keeps the flags that it can set itself: NZCV, DIT, SSBS. */
#define PSTATE_KEEP ((0xfUL << 28) | BIT(24) | BIT(12))
#define PSTATE_BAD  (0x1fUL | (0xfUL << 6))

struct frame_record {
	uint64_t fp, lr;
};

/* What lies at the stack pointer of a handler: siginfo_t, then struct ucontext up to the records, for which 4 KiB are
 * reserved, most of them never written. */
struct sigframe {
	uint8_t info[128];
	struct {
		uint64_t flags, link;
		uint64_t alt_sp;
		int32_t alt_flags, pad;
		uint64_t alt_size;
		uint64_t mask;
		uint8_t unused[128];
		uint64_t fault_address, regs[31], sp, pc, pstate, pad2;
	} uc;
};
#define UC_OFFSET   offsetof(struct sigframe, uc)
#define RECORDS	    sizeof(struct sigframe)
#define FRAME_TOTAL (RECORDS + sizeof(((struct sigcontext *)0)->__reserved))
static_assert(UC_OFFSET == 128 && RECORDS == 592 && FRAME_TOTAL == 4688, "the ABI's");
static_assert(offsetof(struct sigframe, uc.mask) == 128 + 40, "the ABI's");
static_assert(offsetof(struct sigframe, uc.fault_address) == 128 + 176, "the ABI's");
static_assert(RECORDS - offsetof(struct sigframe, uc.fault_address) ==
		      offsetof(struct sigcontext, __reserved),
	      "the ABI's");
static_assert(FPSIMD_SIZE == 0x210, "the ABI's");

/* --- the other stack ------------------------------------------------------------------------------------------------ */

static bool on_alt_stack(const struct thread_signals *s, uint64_t sp)
{
	return !((uint32_t)s->alt.flags & SS_AUTODISARM_FLAG) && sp > s->alt.sp &&
	       sp - s->alt.sp <= s->alt.size;
}

static void alt_stack_off(struct thread_signals *s)
{
	s->alt.sp = s->alt.size = 0;
	s->alt.flags = SS_DISABLE_FLAG;
}

static int set_alt_stack(struct thread_signals *s, uint64_t sp_now, uint64_t sp, int flags,
			 uint64_t size)
{
	int mode = flags & (int)~SS_AUTODISARM_FLAG;

	if (on_alt_stack(s, sp_now))
		return -EPERM;
	if (mode != 0 && mode != SS_ONSTACK_FLAG && mode != SS_DISABLE_FLAG)
		return -EINVAL;
	if (mode == SS_DISABLE_FLAG) {
		alt_stack_off(s);
		return 0;
	}
	if (size < MINSIGSTKSZ)
		return -ENOMEM;
	s->alt.sp = sp;
	s->alt.size = size;
	s->alt.flags = flags;
	return 0;
}

int64_t sys_sigaltstack(const uint64_t a[6])
{
	struct thread_signals *s = &current_thread()->sig;
	uint64_t sp = arch_user_frame()->sp_el0;
	stack_t ss, old;
	int err = 0;

	/* with what is between its members: the program sees all of it */
	memset(&old, 0, sizeof(old));
	old.ss_sp = (void *)s->alt.sp;
	old.ss_size = s->alt.size;
	old.ss_flags = !s->alt.size ? SS_DISABLE_FLAG : on_alt_stack(s, sp) ? SS_ONSTACK_FLAG : 0;
	old.ss_flags |= s->alt.flags & (int)SS_AUTODISARM_FLAG;
	if (a[0] && user_copy_from(&ss, a[0], sizeof(ss)) < 0)
		return -EFAULT;
	if (a[0])
		err = set_alt_stack(s, sp, (uint64_t)ss.ss_sp, ss.ss_flags, ss.ss_size);
	if (err == 0 && a[1])
		err = user_copy_to(a[1], &old, sizeof(old));
	return err;
}

/* --- building -------------------------------------------------------------------------------------------------------- */

/* The vector registers' record with the header of the next one, for one copy; and as fpsimd_save() has them. */
struct fp_record {
	struct _aarch64_ctx head;
	uint32_t fpsr, fpcr;
	union {
		struct fpsimd_state state;
		struct {
			__uint128_t v[32];
			struct _aarch64_ctx next;
		};
	};
};
#define FP_RECORD_SIZE (FPSIMD_SIZE + sizeof(struct _aarch64_ctx))
static_assert(offsetof(struct fp_record, v) == 16, "the ABI's");
static_assert(offsetof(struct fp_record, next) == FPSIMD_SIZE, "the ABI's");

static __noinline int write_records(struct thread *t, vaddr_t to)
{
	struct fp_record r;
	struct {
		struct esr_context esr;
		struct _aarch64_ctx end;
	} tail = { { { ESR_MAGIC, sizeof(struct esr_context) }, t->sig.fault_esr }, { 0, 0 } };
	int err;

	fpsimd_save(&r.state);
	r.head = (struct _aarch64_ctx){ FPSIMD_MAGIC, FPSIMD_SIZE };
	r.fpsr = r.state.fpsr;
	r.fpcr = r.state.fpcr;
	r.next = tail.end;
	err = user_copy_to(to, &r, FP_RECORD_SIZE);
	if (err == 0 && t->sig.fault_esr)
		err = user_copy_to(to + FPSIMD_SIZE, &tail, sizeof(tail));
	return err;
}

static int write_frame(struct thread *t, const struct trap_frame *f,
		       const struct signal_delivery *d, vaddr_t to)
{
	struct thread_signals *s = &t->sig;
	struct sigframe h;

	memset(&h, 0, offsetof(struct sigframe, uc.fault_address));
	memcpy(h.info, &d->info, sizeof(d->info));
	h.uc.alt_sp = s->alt.sp;
	h.uc.alt_flags = s->alt.size ? s->alt.flags : SS_DISABLE_FLAG;
	h.uc.alt_size = s->alt.size;
	h.uc.mask = d->mask;
	h.uc.fault_address = s->fault_addr;
	memcpy(h.uc.regs, f->x, sizeof(h.uc.regs));
	h.uc.sp = f->sp_el0;
	h.uc.pc = f->elr;
	h.uc.pstate = f->spsr;
	h.uc.pad2 = 0;
	if (user_copy_to(to, &h, sizeof(h)) < 0)
		return -EFAULT;
	return write_records(t, to + RECORDS);
}

/* Where a handler's stack begins: the other one, if it is asked for and not in use. */
static vaddr_t frame_top(const struct thread_signals *s, uint64_t sp, uint64_t flags)
{
	if ((flags & SA_ONSTACK) && s->alt.size && !on_alt_stack(s, sp))
		return s->alt.sp + s->alt.size;
	return sp;
}

static int enter_handler(struct trap_frame *f, const struct signal_delivery *d)
{
	struct thread *t = current_thread();
	const struct signal_action *a = &d->action;
	vaddr_t record = ALIGN_DOWN(
		frame_top(&t->sig, f->sp_el0, a->flags) - sizeof(struct frame_record), 16);
	vaddr_t sp = record - FRAME_TOTAL;
	struct frame_record below = { f->x[29], f->x[30] };

	if (user_copy_to(record, &below, sizeof(below)) < 0 || write_frame(t, f, d, sp) < 0)
		return -EFAULT;
	f->x[0] = (uint64_t)d->info.signo;
	f->x[29] = record;
	f->x[30] = (a->flags & SA_RESTORER) ? a->restorer : vdso_sigreturn(t->space);
	f->sp_el0 = sp;
	f->elr = a->handler;
	f->spsr &= PSTATE_KEEP;
	if (a->flags & SA_SIGINFO) {
		f->x[1] = sp;
		f->x[2] = sp + UC_OFFSET;
	}
	if ((uint32_t)t->sig.alt.flags & SS_AUTODISARM_FLAG)
		alt_stack_off(&t->sig);
	return 0;
}

/* --- returning ------------------------------------------------------------------------------------------------------------ */

/* Is there room, `at` bytes into the records, for the one of that header? */
static bool record_fits(const struct _aarch64_ctx *c, size_t at)
{
	size_t room = sizeof(((struct sigcontext *)0)->__reserved) - at;

	return c->size >= sizeof(*c) && c->size % 16 == 0 && c->size + sizeof(*c) <= room;
}

/* The vector registers from the one record that must be there, the others as they please, up to the end. All of it is no
 * shorter than that record and the end's header. */
static __noinline int read_records(vaddr_t from)
{
	struct _aarch64_ctx c;
	struct fp_record r;
	bool found = false;
	size_t at = 0;

	if (user_copy_from(&r, from, FP_RECORD_SIZE) < 0)
		return -EFAULT;
	for (c = r.head; c.magic || c.size;) {
		if (!record_fits(&c, at))
			return -EINVAL;
		if (c.magic == FPSIMD_MAGIC) {
			if (found || c.size != FPSIMD_SIZE)
				return -EINVAL;
			if (at > 0 && user_copy_from(&r, from + at, FP_RECORD_SIZE) < 0)
				return -EFAULT;
			found = true;
			c = r.next;
			at += FPSIMD_SIZE;
		} else if (c.magic == ESR_MAGIC) {
			at += c.size;
			if (user_copy_from(&c, from + at, sizeof(c)) < 0)
				return -EFAULT;
		} else {
			return -EINVAL;
		}
	}
	if (!found)
		return -EINVAL;
	r.state.fpsr = r.fpsr;
	r.state.fpcr = r.fpcr;
	fpsimd_load(&r.state);
	return 0;
}

static int restore(struct trap_frame *f)
{
	struct thread_signals *s = &current_thread()->sig;
	struct sigframe h;
	vaddr_t sp = f->sp_el0;

	if (sp % 16 || user_copy_from(&h.uc, sp + UC_OFFSET, sizeof(h.uc)) < 0 ||
	    (h.uc.pstate & PSTATE_BAD) || read_records(sp + RECORDS) < 0)
		return -EFAULT;
	signal_set_mask(h.uc.mask);
	memcpy(f->x, h.uc.regs, sizeof(f->x));
	f->sp_el0 = h.uc.sp;
	f->elr = h.uc.pc;
	f->spsr = h.uc.pstate & PSTATE_KEEP;
	IGNORE(set_alt_stack(s, h.uc.sp, h.uc.alt_sp, h.uc.alt_flags, h.uc.alt_size));
	return 0;
}

int64_t sys_rt_sigreturn(const uint64_t a[6])
{
	struct trap_frame *f = arch_user_frame();

	if (restore(f) < 0)
		(void)signal_force(SIG_SEGV, SIC_SEGV_UNMAPPED, f->sp_el0);
	return -EFRAMESET;
}

/* --- before the return to user mode ------------------------------------------------------------------------------------------ */

/* An interrupted call, and no handler to tell of it or one that may be told afterwards: it is made again. */
static void make_again(struct trap_frame *f)
{
	if ((int64_t)f->x[0] == -ERESTART_RESTARTBLOCK)
		f->x[8] = __NR_restart_syscall;
	f->x[0] = f->orig_x0;
	f->elr -= SVC_SIZE;
}

static void settle_call(struct trap_frame *f, const struct signal_action *handler)
{
	if (f->syscall < 0)
		return;
	if (!handler || (int64_t)f->x[0] == -ERESTARTNOINTR ||
	    ((int64_t)f->x[0] == -ERESTARTSYS && (handler->flags & SA_RESTART)))
		make_again(f);
	else
		f->x[0] = (uint64_t)-EINTR;
	f->syscall = -1;
}

/* REL-007: a handler that cannot be entered is a fault of its own, which another handler may take, but not the same. */
static void bad_stack(const struct signal_delivery *d)
{
	struct signal_action was;

	signal_untake(d);
	if (d->info.signo == SIG_SEGV)
		signal_action(current_process(), SIG_SEGV, &(struct signal_action){ 0 }, &was);
	(void)signal_force(SIG_SEGV, SIC_KERNEL, 0);
}

void signal_deliver(struct trap_frame *f)
{
	struct signal_delivery d;

	if (READ_ONCE(current_thread()->notify) & NOTIFY_CPU)
		cputime_check();
	/* a call with a mask of its own that had its answer: its mask lets nothing in any more */
	if (f->syscall < 0 && (int64_t)f->x[0] != -EINTR)
		signal_restore_mask();
	if (signal_take(&d)) {
		settle_call(f, &d.action);
		if (enter_handler(f, &d) < 0)
			bad_stack(&d);
	} else if (!thread_killed(current_thread())) {
		settle_call(f, NULL);
		signal_restore_mask();
	}
}
