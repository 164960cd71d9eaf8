/* SPDX-License-Identifier: MIT */
/* The exception vectors. Every exception builds the frame of frame.h in full and restores it in full; but on the plain way
 * back from a system call x19 to x28 hold what the frame does: C has kept them, and nobody has written to it (I-TRAP-6).
 *
 * From EL0 the stack is the thread's own, empty: the frame lies at its very top. SP_EL0, which held the user's stack
 * pointer, is saved and then holds the current thread. From EL1 the frame is pushed below what is there, after a look
 * whether it fits: if not, the report is made on this CPU's overflow stack.
 *
 * TPIDRRO_EL0 lends the EL1 entries one register and is 0 otherwise; no memory outside struct cpu and the stack is
 * touched before the frame is complete. After frame_restore begins, no register is used but to restore it. */
#include "arch/aarch64/asm.h"
#include "arch/aarch64/frame.h"

/* The frame, at sp. from: the exception level it came from. Leaves x29 at the frame record, and x0 to x8 and x19 to x28 as
 * they were. */
	.macro frame_save from
	stp	x0, x1, [sp, #FRAME_X(0)]
	stp	x2, x3, [sp, #FRAME_X(2)]
	stp	x4, x5, [sp, #FRAME_X(4)]
	stp	x6, x7, [sp, #FRAME_X(6)]
	stp	x8, x9, [sp, #FRAME_X(8)]
	stp	x10, x11, [sp, #FRAME_X(10)]
	stp	x12, x13, [sp, #FRAME_X(12)]
	stp	x14, x15, [sp, #FRAME_X(14)]
	stp	x16, x17, [sp, #FRAME_X(16)]
	stp	x18, x19, [sp, #FRAME_X(18)]
	stp	x20, x21, [sp, #FRAME_X(20)]
	stp	x22, x23, [sp, #FRAME_X(22)]
	stp	x24, x25, [sp, #FRAME_X(24)]
	stp	x26, x27, [sp, #FRAME_X(26)]
	stp	x28, x29, [sp, #FRAME_X(28)]
	mrs	x9, sp_el0
	mrs	x10, elr_el1
	mrs	x11, spsr_el1
	stp	x30, x9, [sp, #FRAME_X(30)]
	stp	x10, x11, [sp, #FRAME_ELR]
	mov	x12, #-1
	stp	x12, x0, [sp, #FRAME_SYSCALL]
	.if	\from == 0
	mrs	x13, tpidr_el1
	ldr	x13, [x13, #CPU_CURRENT]
	msr	sp_el0, x13
	stp	xzr, xzr, [sp, #FRAME_FP]
	.else
	stp	x29, x10, [sp, #FRAME_FP]
	.endif
	add	x29, sp, #FRAME_FP
	.endm

/* Everything back, and return from the exception. SP_EL0 is the user's again, or stays the current thread.
 * ERET clears the exclusive monitor, so no CLREX is needed. */
	.macro frame_restore to
	ldp	x22, x23, [sp, #FRAME_ELR]
	.if	\to == 0
	ldr	x21, [sp, #FRAME_SP_EL0]
	msr	sp_el0, x21
	.endif
	msr	elr_el1, x22
	msr	spsr_el1, x23
	ldp	x0, x1, [sp, #FRAME_X(0)]
	ldp	x2, x3, [sp, #FRAME_X(2)]
	ldp	x4, x5, [sp, #FRAME_X(4)]
	ldp	x6, x7, [sp, #FRAME_X(6)]
	ldp	x8, x9, [sp, #FRAME_X(8)]
	ldp	x10, x11, [sp, #FRAME_X(10)]
	ldp	x12, x13, [sp, #FRAME_X(12)]
	ldp	x14, x15, [sp, #FRAME_X(14)]
	ldp	x16, x17, [sp, #FRAME_X(16)]
	ldp	x18, x19, [sp, #FRAME_X(18)]
	ldp	x20, x21, [sp, #FRAME_X(20)]
	ldp	x22, x23, [sp, #FRAME_X(22)]
	ldp	x24, x25, [sp, #FRAME_X(24)]
	ldp	x26, x27, [sp, #FRAME_X(26)]
	ldp	x28, x29, [sp, #FRAME_X(28)]
	ldr	x30, [sp, #FRAME_X(30)]
	add	sp, sp, #FRAME_SIZE
	eret
	.endm

/* The same from a system call that left x19 to x28, and the frame, as they were. */
	.macro frame_restore_call
	ldp	x10, x11, [sp, #FRAME_ELR]
	ldp	x30, x9, [sp, #FRAME_X(30)]
	msr	sp_el0, x9
	msr	elr_el1, x10
	msr	spsr_el1, x11
	ldp	x0, x1, [sp, #FRAME_X(0)]
	ldp	x2, x3, [sp, #FRAME_X(2)]
	ldp	x4, x5, [sp, #FRAME_X(4)]
	ldp	x6, x7, [sp, #FRAME_X(6)]
	ldp	x8, x9, [sp, #FRAME_X(8)]
	ldp	x10, x11, [sp, #FRAME_X(10)]
	ldp	x12, x13, [sp, #FRAME_X(12)]
	ldp	x14, x15, [sp, #FRAME_X(14)]
	ldp	x16, x17, [sp, #FRAME_X(16)]
	ldr	x18, [sp, #FRAME_X(18)]
	ldr	x29, [sp, #FRAME_X(29)]
	add	sp, sp, #FRAME_SIZE
	eret
	.endm

/* An entry from EL1: is there room for a frame? The flags are live, so the test is by the sign of a difference. */
	.macro slot_el1 handler
	.balign	128
	msr	tpidrro_el0, x0
	mrs	x0, tpidr_el1
	str	x1, [x0, #CPU_SCRATCH]
	mrs	x1, sp_el0
	ldr	x1, [x1, #BASE_STACK_LO]
	add	x1, x1, #FRAME_SIZE
	sub	x1, sp, x1
	tbnz	x1, #63, el1_no_room_\handler
	ldr	x1, [x0, #CPU_SCRATCH]
	mrs	x0, tpidrro_el0
	msr	tpidrro_el0, xzr
	sub	sp, sp, #FRAME_SIZE
	b	\handler
	.endm

	.macro slot_el0 handler
	.balign	128
	sub	sp, sp, #FRAME_SIZE
	b	\handler
	.endm

/* Exceptions that this kernel never takes: AArch32 callers, and EL1 running on SP_EL0. */
	.macro slot_never
	.balign	128
	sub	sp, sp, #FRAME_SIZE
	b	never
	.endm

	.section .vectors, "ax"
	.balign	2048
	.global	vectors
vectors:
	slot_never
	slot_never
	slot_never
	slot_never
	slot_el1	el1_sync
	slot_el1	el1_irq
	slot_el1	el1_fiq
	slot_el1	el1_serror
	slot_el0	el0_sync
	slot_el0	el0_irq
	slot_el0	el0_fiq
	slot_el0	el0_serror
	slot_never
	slot_never
	slot_never
	slot_never
	.balign	128

/* No room: x0 is this CPU, x1 free, TPIDRRO_EL0 and scratch[0] hold the two. A fault while already on the overflow
 * stack (the report itself failed) goes on where it is; else switch to it and report. */
	.macro no_room handler
el1_no_room_\handler:
	ldr	x1, [x0, #CPU_OVERFLOW_STACK]
	sub	x1, sp, x1
	asr	x1, x1, #12
	mvn	x1, x1
	cbz	x1, 1f
	mov	x1, sp
	str	x1, [x0, #(CPU_SCRATCH + 8)]
	ldr	x1, [x0, #CPU_OVERFLOW_STACK]
	mov	sp, x1
	ldr	x1, [x0, #CPU_SCRATCH]
	mrs	x0, tpidrro_el0
	sub	sp, sp, #FRAME_SIZE
	b	el1_overflow
1:	ldr	x1, [x0, #CPU_SCRATCH]
	mrs	x0, tpidrro_el0
	sub	sp, sp, #FRAME_SIZE
	b	\handler
	.endm

	no_room	el1_sync
	no_room	el1_irq
	no_room	el1_fiq
	no_room	el1_serror

	.macro handler_args
	mov	x0, sp
	mrs	x1, esr_el1
	mrs	x2, far_el1
	.endm

FUNC(el1_sync)
	frame_save 1
	handler_args
	bl	fault_el1
	frame_restore 1
END(el1_sync)

FUNC(el1_irq)
	frame_save 1
	mov	x0, sp
	bl	trap_irq
	frame_restore 1
END(el1_irq)

FUNC(el0_sync)
	frame_save 0
	mrs	x1, esr_el1
	mov	x0, sp
	ubfx	x9, x1, #26, #6
	cmp	x9, #ESR_EC_SVC64
	b.ne	1f
	msr	daifclr, #3
	bl	syscall_enter
	tbz	w0, #0, frame_back
	frame_restore_call
1:	mrs	x2, far_el1
	msr	daifclr, #3
	bl	trap_sync_user
	b	return_to_user
END(el0_sync)

FUNC(el0_irq)
	frame_save 0
	mov	x0, sp
	bl	trap_irq
	msr	daifclr, #3
	b	return_to_user
END(el0_irq)

/* sp is the user frame, interrupts are on; trap_return_user turns them off. */
	.global	return_to_user
return_to_user:
	mov	x0, sp
	bl	trap_return_user
frame_back:
	frame_restore 0

FUNC(el1_overflow)
	frame_save 1
	handler_args
	bl	fault_overflow
END(el1_overflow)

	.macro fatal name, from, reason
FUNC(\name)
	frame_save \from
	handler_args
	mov	x3, #\reason
	bl	fault_unexpected
END(\name)
	.endm

	fatal	el1_fiq, 1, 0
	fatal	el1_serror, 1, 1
	fatal	el0_fiq, 0, 0
	fatal	el0_serror, 0, 1
	fatal	never, 1, 2
