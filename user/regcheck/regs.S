/* SPDX-License-Identifier: MIT */
/* While the thing under test happens no register is free, so SP is the way back: it points to *out. */
#include "user/regcheck/regs.h"

.macro save_host
	add	x2, x1, #REGS_HOST
	stp	x19, x20, [x2, #0]
	stp	x21, x22, [x2, #16]
	stp	x23, x24, [x2, #32]
	stp	x25, x26, [x2, #48]
	stp	x27, x28, [x2, #64]
	stp	x29, x30, [x2, #80]
	stp	d8, d9, [x2, #96]
	stp	d10, d11, [x2, #112]
	stp	d12, d13, [x2, #128]
	stp	d14, d15, [x2, #144]
	mrs	x3, fpcr
	mrs	x4, fpsr
	stp	x3, x4, [x2, #160]
	mrs	x3, tpidr_el0
	mov	x4, sp
	stp	x3, x4, [x2, #176]
.endm

.macro restore_host
	add	x2, x1, #REGS_HOST
	ldp	x19, x20, [x2, #0]
	ldp	x21, x22, [x2, #16]
	ldp	x23, x24, [x2, #32]
	ldp	x25, x26, [x2, #48]
	ldp	x27, x28, [x2, #64]
	ldp	x29, x30, [x2, #80]
	ldp	d8, d9, [x2, #96]
	ldp	d10, d11, [x2, #112]
	ldp	d12, d13, [x2, #128]
	ldp	d14, d15, [x2, #144]
	ldp	x3, x4, [x2, #160]
	msr	fpcr, x3
	msr	fpsr, x4
	ldp	x3, x4, [x2, #176]
	msr	tpidr_el0, x3
	mov	sp, x4
.endm

.macro load_vectors
	add	x2, x0, #REGS_V
	.irp n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
	load_vector_pair \n
	.endr
.endm

.macro load_vector_pair n
	.set	next_vector, \n + 1
	vector_pair ldp, \n, %next_vector
.endm

.macro store_vectors
	add	x2, x1, #REGS_V
	.irp n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
	store_vector_pair \n
	.endr
.endm

.macro store_vector_pair n
	.set	next_vector, \n + 1
	vector_pair stp, \n, %next_vector
.endm

.altmacro
.macro vector_pair op, a, b
	\op	q\a, q\b, [x2, #16 * \a]
.endm

.macro runner name, thing:vararg
	.section .text.\name, "ax"
	.global	\name
	.type	\name, %function
\name:
	save_host
	load_vectors
	ldp	x3, x4, [x0, #REGS_FPCR]
	msr	fpcr, x3
	msr	fpsr, x4
	ldr	x3, [x0, #REGS_TPIDR]
	msr	tpidr_el0, x3
	ldr	x3, [x0, #REGS_NZCV]
	msr	nzcv, x3
	mov	sp, x1
	ldp	x2, x3, [x0, #16]
	ldp	x4, x5, [x0, #32]
	ldp	x6, x7, [x0, #48]
	ldp	x8, x9, [x0, #64]
	ldp	x10, x11, [x0, #80]
	ldp	x12, x13, [x0, #96]
	ldp	x14, x15, [x0, #112]
	ldp	x16, x17, [x0, #128]
	ldp	x18, x19, [x0, #144]
	ldp	x20, x21, [x0, #160]
	ldp	x22, x23, [x0, #176]
	ldp	x24, x25, [x0, #192]
	ldp	x26, x27, [x0, #208]
	ldp	x28, x29, [x0, #224]
	ldr	x30, [x0, #240]
	ldp	x0, x1, [x0, #0]
	\thing
	stp	x0, x1, [sp, #0]
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x19, [sp, #144]
	stp	x20, x21, [sp, #160]
	stp	x22, x23, [sp, #176]
	stp	x24, x25, [sp, #192]
	stp	x26, x27, [sp, #208]
	stp	x28, x29, [sp, #224]
	str	x30, [sp, #240]
	mov	x1, sp
	str	x1, [x1, #REGS_SP]
	mrs	x3, nzcv
	str	x3, [x1, #REGS_NZCV]
	mrs	x3, fpcr
	mrs	x4, fpsr
	stp	x3, x4, [x1, #REGS_FPCR]
	mrs	x3, tpidr_el0
	str	x3, [x1, #REGS_TPIDR]
	store_vectors
	restore_host
	ret
	.size	\name, . - \name
.endm

.macro count_down
77:	sub	x30, x30, #1
	cbnz	x30, 77b
.endm

.macro load_x29
	ldr	x29, [x28]
.endm

.macro store_w27
	strb	w27, [x28]
.endm

.macro system_call
	svc	#0
.endm

	runner regs_run_svc, system_call
	runner regs_run_spin, count_down
	runner regs_run_load, load_x29
	runner regs_run_store, store_w27

/* void regs_trash(int): a handler, and so free to change what its frame gives back. */
	.section .text.regs_trash, "ax"
	.global	regs_trash
	.type	regs_trash, %function
regs_trash:
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
	mov	x\n, #-\n
	.endr
	ret
	.size	regs_trash, . - regs_trash

	.section .note.GNU-stack, "", %progbits
