/* SPDX-License-Identifier: MIT */
/* The user page table: a three-level tree walked by index, through the linear map. The caller holds the space's
 * lock; entries are stored whole (64-bit single-copy atomic). Table pages are freed only after the invalidation. */
#ifndef TERN_MM_PHYS_PGTABLE_H
#define TERN_MM_PHYS_PGTABLE_H

#include "arch/aarch64/arch.h"

struct pgtable {
	paddr_t root;
};

int pgtable_create(struct pgtable *pt) __must_check; /* 0 or -ENOMEM */
/* No leaf may be left. Frees every table. */
void pgtable_destroy(struct pgtable *pt);
/* The leaf entry for va; NULL if a table is missing and !create, or on -ENOMEM. */
pte_t *pgtable_leaf(struct pgtable *pt, vaddr_t va, bool create) __must_check;
/* Call fn for each valid leaf in [start, end), in order; it may change the entry. */
void pgtable_walk(struct pgtable *pt, vaddr_t start, vaddr_t end,
		  void (*fn)(vaddr_t va, pte_t *e, void *arg), void *arg);
/* Free table pages that hold nothing within [start, end). After the TLB invalidation. */
void pgtable_prune(struct pgtable *pt, vaddr_t start, vaddr_t end);

#endif
