/* SPDX-License-Identifier: MIT */
/* Where a handler returns to if its program named no other place (glibc never does). Unwinders know the frame by these two
 * instructions, debuggers by the symbol. vdso.lds says where it lies. */
#include <asm/unistd.h>

	.section .sigreturn, "ax"
	.global	__kernel_rt_sigreturn
	.type	__kernel_rt_sigreturn, %function
	nop	/* the caller of a handler is looked up by the address before its return address */
__kernel_rt_sigreturn:
	mov	x8, #__NR_rt_sigreturn
	svc	#0
	.size	__kernel_rt_sigreturn, . - __kernel_rt_sigreturn
	.section .note.GNU-stack, "", %progbits
