/* SPDX-License-Identifier: MIT */
/* From one thread to the next, a thread's first steps, and marks to jump back to. */
#include "arch/aarch64/asm.h"
#include "arch/aarch64/frame.h"

#define SWITCH_SIZE 96 /* x19-x30; arch/aarch64/thread.c builds one for a new thread */

/* struct thread *arch_switch(prev x0, prev_at x1, prev_user w2, next x3, next_at x4, next_user w5)
 * Saves x19-x30 on the old stack and resumes the new one where it called us, or at thread_first. Irqs off; the
 * run-queue lock is held across and belongs to the next thread's code path afterwards. Returns prev. */
FUNC(arch_switch)
	sub	sp, sp, #SWITCH_SIZE
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	mov	x9, sp
	str	x9, [x1, #0]
	mov	x19, x0
	mov	x20, x3
	mov	x21, x4
	mov	w22, w5
	cbz	w2, 1f
	mrs	x9, tpidr_el0
	str	x9, [x1, #8]
	add	x0, x1, #16
	bl	fpsimd_save
1:	cbz	w22, 2f
	ldr	x9, [x21, #8]
	msr	tpidr_el0, x9
	add	x0, x21, #16
	bl	fpsimd_load
2:	mov	x0, x19
	mrs	x9, tpidr_el1
	str	x20, [x9, #CPU_CURRENT]
	msr	sp_el0, x20
	ldr	x9, [x21, #0]
	mov	sp, x9
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	add	sp, sp, #SWITCH_SIZE
	ret
END(arch_switch)

/* The first code of a new thread: x0 is the one before it; x19 and x20 are its entry and argument. */
FUNC(thread_first)
	mov	x29, xzr
	bl	sched_switched
	mov	x0, x20
	mov	x30, xzr
	br	x19
END(thread_first)

/* void arch_user_reset(void) */
FUNC(arch_user_reset)
	msr	tpidr_el0, xzr
	b	fpsimd_zero
END(arch_user_reset)

/* void arch_enter_user(const struct trap_frame *frame x0)
 * frame may lie on this very stack, anywhere: the copy to its top runs on the part below both. */
FUNC(arch_enter_user)
	mrs	x2, sp_el0
	ldr	x2, [x2, #BASE_STACK_HI]
	sub	x20, x2, #FRAME_SIZE
	mov	x9, sp
	cmp	x9, x20
	csel	x9, x9, x20, lo
	mov	sp, x9
	mov	x1, x0
	mov	x0, x20
	mov	x2, #FRAME_SIZE
	bl	memmove
	mov	x9, #-1
	str	x9, [x20, #FRAME_SYSCALL]
	stp	xzr, xzr, [x20, #FRAME_FP]
	msr	daifset, #3
	mov	sp, x20
	add	x29, sp, #FRAME_FP
	msr	daifclr, #3
	b	return_to_user
END(arch_enter_user)

/* int arch_mark(struct arch_jump_buf *b) */
FUNC(arch_mark)
	stp	x19, x20, [x0, #0]
	stp	x21, x22, [x0, #16]
	stp	x23, x24, [x0, #32]
	stp	x25, x26, [x0, #48]
	stp	x27, x28, [x0, #64]
	stp	x29, x30, [x0, #80]
	mov	x9, sp
	mrs	x10, daif
	stp	x9, x10, [x0, #96]
	mov	w0, #0
	ret
END(arch_mark)

/* void arch_jump(struct arch_jump_buf *b, int v) */
FUNC(arch_jump)
	ldp	x9, x10, [x0, #96]
	mov	sp, x9
	ldp	x19, x20, [x0, #0]
	ldp	x21, x22, [x0, #16]
	ldp	x23, x24, [x0, #32]
	ldp	x25, x26, [x0, #48]
	ldp	x27, x28, [x0, #64]
	ldp	x29, x30, [x0, #80]
	msr	daif, x10
	mov	w0, w1
	ret
END(arch_jump)
