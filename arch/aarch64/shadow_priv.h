/* SPDX-License-Identifier: MIT */
/* The address sanitizer's shadow (SAN=address): one byte for eight of the kernel's half. At first all of it is one page
 * of zeros, read-only, but for the image's part; arch_map_shadow() gives memory to the parts that need it. */
#ifndef TERN_ARCH_AARCH64_SHADOW_PRIV_H
#define TERN_ARCH_AARCH64_SHADOW_PRIV_H

#include "arch/aarch64/mmu_priv.h"

#ifdef SAN_ADDRESS
/* early_map.c: before the MMU is on. */
void shadow_early_map(void);
#else
static inline void shadow_early_map(void)
{
}
#endif

/* Entries of the root table that lead to the shadow: they share tables, so a walk of them has no end. */
static inline bool shadow_root_index(unsigned i)
{
	return i >= (SHADOW_BASE >> 30 & (PTES - 1)) &&
	       i <= ((SHADOW_BASE + SHADOW_SIZE - 1) >> 30 & (PTES - 1));
}

#endif
