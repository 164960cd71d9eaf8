/* SPDX-License-Identifier: MIT */
/* The vector registers of user threads, which hold their values while the kernel runs. The only code of the kernel that
 * names one: it is built with -mgeneral-regs-only, and a lint looks at its instructions. */
#include "arch/aarch64/asm.h"

	.arch	armv8-a+fp+simd

#define FPSIMD_FPSR 512
#define FPSIMD_FPCR 516

/* void fpsimd_save(struct fpsimd_state *s x0). Clobbers x9. */
FUNC(fpsimd_save)
	stp	q0, q1, [x0, #0]
	stp	q2, q3, [x0, #32]
	stp	q4, q5, [x0, #64]
	stp	q6, q7, [x0, #96]
	stp	q8, q9, [x0, #128]
	stp	q10, q11, [x0, #160]
	stp	q12, q13, [x0, #192]
	stp	q14, q15, [x0, #224]
	stp	q16, q17, [x0, #256]
	stp	q18, q19, [x0, #288]
	stp	q20, q21, [x0, #320]
	stp	q22, q23, [x0, #352]
	stp	q24, q25, [x0, #384]
	stp	q26, q27, [x0, #416]
	stp	q28, q29, [x0, #448]
	stp	q30, q31, [x0, #480]
	mrs	x9, fpsr
	str	w9, [x0, #FPSIMD_FPSR]
	mrs	x9, fpcr
	str	w9, [x0, #FPSIMD_FPCR]
	ret
END(fpsimd_save)

/* void fpsimd_load(const struct fpsimd_state *s x0). Clobbers x9. */
FUNC(fpsimd_load)
	ldp	q0, q1, [x0, #0]
	ldp	q2, q3, [x0, #32]
	ldp	q4, q5, [x0, #64]
	ldp	q6, q7, [x0, #96]
	ldp	q8, q9, [x0, #128]
	ldp	q10, q11, [x0, #160]
	ldp	q12, q13, [x0, #192]
	ldp	q14, q15, [x0, #224]
	ldp	q16, q17, [x0, #256]
	ldp	q18, q19, [x0, #288]
	ldp	q20, q21, [x0, #320]
	ldp	q22, q23, [x0, #352]
	ldp	q24, q25, [x0, #384]
	ldp	q26, q27, [x0, #416]
	ldp	q28, q29, [x0, #448]
	ldp	q30, q31, [x0, #480]
	ldr	w9, [x0, #FPSIMD_FPSR]
	msr	fpsr, x9
	ldr	w9, [x0, #FPSIMD_FPCR]
	msr	fpcr, x9
	ret
END(fpsimd_load)

/* void arch_copy_page(void *to x0, const void *from x1): by registers that are put back. Clobbers x2. */
FUNC(arch_copy_page)
	sub	sp, sp, #128
	stp	q0, q1, [sp, #0]
	stp	q2, q3, [sp, #32]
	stp	q4, q5, [sp, #64]
	stp	q6, q7, [sp, #96]
	add	x2, x1, #4096
1:	.irp	at, 0,128,256,384
	ldp	q0, q1, [x1, #\at]
	ldp	q2, q3, [x1, #(\at + 32)]
	ldp	q4, q5, [x1, #(\at + 64)]
	ldp	q6, q7, [x1, #(\at + 96)]
	stp	q0, q1, [x0, #\at]
	stp	q2, q3, [x0, #(\at + 32)]
	stp	q4, q5, [x0, #(\at + 64)]
	stp	q6, q7, [x0, #(\at + 96)]
	.endr
	add	x0, x0, #512
	add	x1, x1, #512
	cmp	x1, x2
	b.ne	1b
	ldp	q0, q1, [sp, #0]
	ldp	q2, q3, [sp, #32]
	ldp	q4, q5, [sp, #64]
	ldp	q6, q7, [sp, #96]
	add	sp, sp, #128
	ret
END(arch_copy_page)

/* void fpsimd_zero(void) */
FUNC(fpsimd_zero)
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	movi	v\n\().2d, #0
	.endr
	msr	fpsr, xzr
	msr	fpcr, xzr
	ret
END(fpsimd_zero)
