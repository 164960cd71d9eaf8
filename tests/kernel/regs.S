/* SPDX-License-Identifier: MIT */
#include "arch/aarch64/asm.h"

/* uint64_t regs_spin(uint64_t turns x0)
 * Fill x1-x30 with patterns and the flags with N and C, spin, and see what is still there: bit n of the result is
 * set if xn changed, bit 0 if the flags did. x1 is the scratch of the comparison. */
FUNC(regs_spin)
	stp	x29, x30, [sp, #-96]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	movz	x\n, #(0x1100 + \n)
	movk	x\n, #(0xa500 + \n), lsl #48
	.endr
	movz	x1, #0xa000, lsl #16
	msr	nzcv, x1
1:	sub	x0, x0, #1
	cbnz	x0, 1b
	mrs	x0, nzcv
	movz	x1, #0xa000, lsl #16
	cmp	x0, x1
	cset	x0, ne
	.irp	n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	movz	x1, #(0x1100 + \n)
	movk	x1, #(0xa500 + \n), lsl #48
	cmp	x\n, x1
	cset	x1, ne
	orr	x0, x0, x1, lsl #\n
	.endr
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #96
	ret
END(regs_spin)
