/* SPDX-License-Identifier: MIT */
/* What the two halves of the page-table code share: early_map.c runs before the MMU is on, mmu.c after. */
#ifndef TERN_ARCH_AARCH64_MMU_PRIV_H
#define TERN_ARCH_AARCH64_MMU_PRIV_H

#include "arch/aarch64/arch.h"
#include "arch/aarch64/image.h"

#define PTES 512

/* The tables made at boot come from a fixed pool inside the image: the boot allocator needs the linear map, and the
 * linear map needs tables. */
#define BOOT_TABLES 18

/* What early_map() leaves for the C code of the kernel's half. */
struct boot_info {
	uint64_t image_pa;    /* where the image was loaded */
	unsigned tables_used; /* of the pool */
};

extern struct boot_info boot_info;	     /* [init] */
extern pte_t boot_tables[BOOT_TABLES][PTES]; /* [init] */
extern pte_t kernel_root[PTES];		     /* PAGES (mm/phys/pgtable.c) after boot */
extern pte_t boot_identity_root[PTES];	     /* [init] */

/* Map [va, va + size) to pa with the largest blocks that fit. table_delta: address of a table minus its physical
 * address. False if the pool is used up. All multiples of the page size. */
bool boot_map(pte_t *root, uint64_t table_delta, vaddr_t va, uint64_t pa, uint64_t size,
	      unsigned prot);

/* boot.S: the first C code. image_pa: where we run. */
void early_map(uint64_t image_pa);

#endif
