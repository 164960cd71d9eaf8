/* SPDX-License-Identifier: MIT */
/* The exception syndrome, decoded for the floors above (Arm ARM D17.2.37). */
#ifndef TERN_ARCH_AARCH64_ESR_H
#define TERN_ARCH_AARCH64_ESR_H

#include "arch/aarch64/frame.h"
#include "lib/types.h"

/* ESR_EL1.EC */
enum esr_class {
	ESR_UNKNOWN = 0x00,
	ESR_WFX = 0x01,
	ESR_ILLEGAL_STATE = 0x0e,
	ESR_SVC64 = ESR_EC_SVC64,
	ESR_SYSREG = 0x18,
	ESR_INSN_ABORT_USER = 0x20,
	ESR_INSN_ABORT_KERNEL = 0x21,
	ESR_PC_ALIGN = 0x22,
	ESR_DATA_ABORT_USER = 0x24,
	ESR_DATA_ABORT_KERNEL = 0x25,
	ESR_SP_ALIGN = 0x26,
	ESR_FP = 0x2c,
	ESR_BREAKPOINT_USER = 0x30,
	ESR_STEP_USER = 0x32,
	ESR_BRK = 0x3c,
};

static inline enum esr_class esr_class(uint64_t esr)
{
	return (enum esr_class)((esr >> 26) & 0x3f);
}

/* What kind of fault an abort reports: its fault status code without the level. */
enum abort_kind {
	ABORT_TRANSLATION,
	ABORT_ACCESS_FLAG,
	ABORT_PERMISSION,
	ABORT_ALIGNMENT,
	ABORT_OTHER
};

static inline enum abort_kind esr_abort_kind(uint64_t esr)
{
	switch (esr & 0x3f) {
	case 0x04 ... 0x07:
		return ABORT_TRANSLATION;
	case 0x08 ... 0x0b:
		return ABORT_ACCESS_FLAG;
	case 0x0c ... 0x0f:
		return ABORT_PERMISSION;
	case 0x21:
		return ABORT_ALIGNMENT;
	default:
		return ABORT_OTHER;
	}
}

/* The same abort as if nothing were mapped there, at any level. */
static inline uint64_t esr_as_unmapped(uint64_t esr)
{
	return (esr & ~0x3fUL) | 0x04;
}

/* Was a data abort caused by a write? Cache maintenance reports as a write but is a read. */
static inline bool esr_abort_is_write(uint64_t esr)
{
	return (esr & BIT(6)) && !(esr & BIT(8));
}

#endif
