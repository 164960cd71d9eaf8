/* SPDX-License-Identifier: MIT */
/* The first instructions of every CPU. Entered at EL1 or EL2 with the MMU off, at any 2 MiB boundary of RAM; until
 * the MMU is on, every address here is PC-relative, and so physical. */
#include "arch/aarch64/asm.h"
#include "arch/aarch64/frame.h"

	.section .head.text, "ax"
/* The Image header of the Linux arm64 boot protocol. */
	.global _start
_start:
	b	boot_primary
	.long	0
	.quad	0			/* load offset from a 2 MiB boundary */
	.quad	image_size
	.quad	0xa			/* little-endian, 4 KiB pages, anywhere in RAM */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

	.section .boot.text, "ax"

/* x0: physical address of the device tree. */
FUNC(boot_primary)
	msr	daifset, #0xf
	mov	x21, x0
	bl	boot_to_el1
	bl	boot_cpu_setup
	/* What is written with the caches off must not be hidden by an old line, now or later. */
	bl	boot_invalidate_scratch
	adrp	x0, boot_early_stack_top
	mov	sp, x0
	mov	x29, xzr
	adrp	x0, image_start
	bl	early_map
	bl	boot_invalidate_scratch
	ldr	x27, =boot_high
	b	boot_mmu_on
END(boot_primary)

/* A CPU started by PSCI. x0: its struct cpu (an address of the kernel's half). */
FUNC(boot_secondary)
	msr	daifset, #0xf
	mov	x21, x0
	bl	boot_to_el1
	bl	boot_cpu_setup
	ldr	x27, =boot_secondary_high
	b	boot_mmu_on
END(boot_secondary)

/* From EL2, give EL1 everything it wants and go there; at EL1, just return. Clobbers x0, x1. */
FUNC(boot_to_el1)
	mov64	x0, SCTLR_RES1
	mrs	x1, CurrentEL
	cmp	x1, #(2 << 2)
	b.eq	1f
	msr	sctlr_el1, x0
	isb
	ret
1:	msr	sctlr_el1, x0
	mov	x0, #(1 << 31)			/* HCR: EL1 is AArch64; pointer authentication not trapped */
	orr	x0, x0, #(3 << 40)
	msr	hcr_el2, x0
	isb
	mov	x0, #3				/* the physical counter and timer are EL1's */
	msr	cnthctl_el2, x0
	msr	cntvoff_el2, xzr
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	mov	x0, #0x33ff			/* CPTR: FP and SIMD not trapped */
	msr	cptr_el2, x0
	msr	hstr_el2, xzr
	msr	vttbr_el2, xzr
	mrs	x0, id_aa64dfr0_el1		/* a PMU: all its counters are EL1's */
	ubfx	x0, x0, #8, #4
	sub	x0, x0, #1
	cmp	x0, #14
	b.hs	2f
	mrs	x0, pmcr_el0
	ubfx	x0, x0, #11, #5
	msr	mdcr_el2, x0
2:	mrs	x0, id_aa64pfr0_el1		/* GICv3 system registers for EL1 */
	ubfx	x0, x0, #24, #4
	cbz	x0, 3f
	mrs	x0, S3_4_C12_C9_5		/* ICC_SRE_EL2 */
	orr	x0, x0, #0xf
	msr	S3_4_C12_C9_5, x0
	isb
	msr	S3_4_C12_C11_0, xzr		/* ICH_HCR_EL2 */
3:	mrs	x0, id_aa64mmfr0_el1		/* fine-grained traps off */
	ubfx	x0, x0, #56, #4
	cbz	x0, 4f
	msr	S3_4_C1_C1_4, xzr		/* HFGRTR_EL2, HFGWTR, HFGITR, HDFGRTR, HDFGWTR */
	msr	S3_4_C1_C1_5, xzr
	msr	S3_4_C1_C1_6, xzr
	msr	S3_4_C3_C1_4, xzr
	msr	S3_4_C3_C1_5, xzr
4:	mov	x0, #0x3c5			/* EL1, its own stack pointer, all masked */
	msr	spsr_el2, x0
	msr	elr_el2, x30
	eret
END(boot_to_el1)

/* All of EL1's state that reset leaves unknown, but for translation. Clobbers x0, x1. */
FUNC(boot_cpu_setup)
	adr	x0, boot_vectors
	msr	vbar_el1, x0
	mov	x0, #(3 << 20)			/* CPACR: FP and SIMD for EL0 and EL1 */
	msr	cpacr_el1, x0
	msr	mdscr_el1, xzr
	msr	contextidr_el1, xzr
	msr	tpidr_el0, xzr
	msr	tpidrro_el0, xzr
	mov	x0, #2				/* CNTKCTL: EL0 reads the virtual counter, nothing else */
	msr	cntkctl_el1, x0
	msr	cntv_ctl_el0, xzr
	mrs	x0, id_aa64dfr0_el1
	ubfx	x0, x0, #8, #4
	sub	x0, x0, #1
	cmp	x0, #14
	b.hs	1f
	msr	pmuserenr_el0, xzr
	msr	pmintenclr_el1, xzr
	mov	x0, #(1 << 31)			/* the cycle counter counts at EL0 alone: arch_user_ns() */
	msr	pmccfiltr_el0, x0
	msr	pmcntenset_el0, x0
	mov	x0, #0x45			/* PMCR: on, 64 bits, from 0 */
	msr	pmcr_el0, x0
1:	isb
	ret
END(boot_cpu_setup)

/* Discard what the cache may hold of [boot_scratch_start, boot_scratch_end). Clobbers x0-x3. */
FUNC(boot_invalidate_scratch)
	adrp	x0, boot_scratch_start
	adrp	x1, boot_scratch_end
	mrs	x2, ctr_el0
	ubfx	x2, x2, #16, #4
	mov	x3, #4
	lsl	x2, x3, x2
	dmb	sy
1:	dc	ivac, x0
	add	x0, x0, x2
	cmp	x0, x1
	b.lo	1b
	dsb	sy
	ret
END(boot_invalidate_scratch)

/* Turn translation on and go to x27, an address of the kernel's half. Keeps x21. */
FUNC(boot_mmu_on)
	mov64	x0, MAIR_VALUE
	msr	mair_el1, x0
	mov64	x0, TCR_FIXED
	mrs	x1, id_aa64mmfr0_el1
	and	x2, x1, #0xf			/* physical address size, at most 48 bits */
	mov	x3, #5
	cmp	x2, x3
	csel	x2, x2, x3, lo
	orr	x0, x0, x2, lsl #32
	ubfx	x2, x1, #5, #1			/* 16-bit ASIDs: ASIDBits is 0 or 2 */
	orr	x0, x0, x2, lsl #36
	msr	tcr_el1, x0
	adrp	x0, boot_identity_root
	msr	ttbr0_el1, x0
	adrp	x0, kernel_root
	msr	ttbr1_el1, x0
	isb
	tlbi	vmalle1				/* nothing from before our tables */
	dsb	nsh
	ic	iallu
	dsb	nsh
	isb
	mov64	x0, SCTLR_ON
	mrs	x1, id_aa64mmfr1_el1
	ubfx	x1, x1, #20, #4
	cbz	x1, 1f
	bic	x0, x0, #(1 << SCTLR_SPAN_BIT)
1:	msr	sctlr_el1, x0
	isb
	cbz	x1, 2f
	.inst	0xd500419f			/* msr pan, #1 */
2:	br	x27
END(boot_mmu_on)

/* Before the MMU nothing is known of the machine: an exception stops here, and a debugger finds ESR and ELR. */
	.balign 2048
boot_vectors:
	.rept	16
	.balign	128
	mrs	x0, esr_el1
	mrs	x1, elr_el1
	mrs	x2, far_el1
1:	wfi
	b	1b
	.endr

/* --- in the kernel's half ---------------------------------------------------------------------------- */

	.text
/* The CPU whose struct is at \cpu, on the stack of its first thread. x1 is lost. */
	.macro become_cpu cpu
	msr	tpidr_el1, \cpu
	ldr	x1, [\cpu, #CPU_BOOT_THREAD]
	msr	sp_el0, x1
	ldr	x1, [x1, #BASE_STACK_HI]
	mov	sp, x1
	mov	x29, xzr
	mov	x30, xzr
	isb
	.endm

/* x21: physical address of the device tree. Clear bss, become CPU 0, and go to C. */
FUNC(boot_high)
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el1, x0
	adrp	x0, bss_start
	add	x0, x0, :lo12:bss_start
	adrp	x1, bss_end
	add	x1, x1, :lo12:bss_end
1:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	1b
	adrp	x0, boot_cpu
	add	x0, x0, :lo12:boot_cpu
	become_cpu x0
	mov	x0, x21
	b	kernel_main
END(boot_high)

FUNC(boot_secondary_high)
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el1, x0
	become_cpu x21
	b	cpu_secondary_start
END(boot_secondary_high)

	.section .bss.boot_scratch, "aw", %nobits
	.balign	4096
	.global	kernel_root
kernel_root:
	.skip	4096
	.global	boot_identity_root
boot_identity_root:
	.skip	4096
	.skip	4096
boot_early_stack_top:
