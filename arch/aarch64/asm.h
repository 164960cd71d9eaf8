/* SPDX-License-Identifier: MIT */
/* Macros of the assembly files, and system-register bits shared with C. */
#ifndef TERN_ARCH_AARCH64_ASM_H
#define TERN_ARCH_AARCH64_ASM_H

/* SCTLR_EL1: the bits that are RES1 where they mean nothing, and no MMU. Bit 23 (SPAN) is cleared on CPUs with
 * PAN, so that each exception to EL1 sets PAN. nTWI and
 * nTWE stay clear: a program's wfi and wfe trap and give way. */
#define SCTLR_RES1     0x30d00980
#define SCTLR_SPAN_BIT 23
#define SCTLR_M	       (1 << 0)
#define SCTLR_C	       (1 << 2)
#define SCTLR_SA       (1 << 3)
#define SCTLR_SA0      (1 << 4)
#define SCTLR_I	       (1 << 12)
#define SCTLR_DZE      (1 << 14)
#define SCTLR_UCT      (1 << 15)
#define SCTLR_UCI      (1 << 26)
#define SCTLR_ON                                                                                   \
	(SCTLR_RES1 | SCTLR_M | SCTLR_C | SCTLR_SA | SCTLR_SA0 | SCTLR_I | SCTLR_DZE | SCTLR_UCT | \
	 SCTLR_UCI)

/* TCR_EL1 but for the address size and ASID size: 39-bit halves, 4 KiB granule, inner shareable, write-back
 * walks, ASIDs in TTBR0 (A1 = 0). */
#define TCR_FIXED                                                                                  \
	((25 << 0) | (1 << 8) | (1 << 10) | (3 << 12) | (25 << 16) | (1 << 24) | (1 << 26) |       \
	 (3 << 28) | (2 << 30))

/* MAIR_EL1: attribute 0 normal write-back, 1 device-nGnRE. */
#define MAIR_VALUE 0x04ff

#ifdef __ASSEMBLER__
/* clang-format off */
#define FUNC(name) .global name; .type name, %function; .balign 16; name:
#define END(name) .size name, . - name

/* A fault at `from` goes on at `to` (arch/aarch64/fault.c). */
	.macro ex_entry from, to
	.pushsection __ex_table, "a"
	.balign 4
	.long \from - .
	.long \to - .
	.popsection
	.endm

	.macro mov64 reg, value
	movz \reg, #((\value) & 0xffff)
	movk \reg, #(((\value) >> 16) & 0xffff), lsl #16
	movk \reg, #(((\value) >> 32) & 0xffff), lsl #32
	.endm
/* clang-format on */
#endif

#endif
