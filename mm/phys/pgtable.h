/* SPDX-License-Identifier: MIT */
/* Page tables: a three-level tree walked by index, through the linear map. The caller holds the lock that guards the
 * table; entries are stored whole (64-bit single-copy atomic), by pte_set(). A table page is freed only after the
 * invalidation that follows its unlinking: pgtable_prune(), flush, pgtable_free_tables() (RC-006). */
#ifndef TERN_MM_PHYS_PGTABLE_H
#define TERN_MM_PHYS_PGTABLE_H

#include "arch/aarch64/arch.h"
#include "lib/list.h"

struct pgtable {
	paddr_t root;
	uint64_t tables; /* pages of them, the root too */
};

int pgtable_create(struct pgtable *pt) __must_check; /* 0 or -ENOMEM */
/* No leaf may be left. Frees every table. */
void pgtable_destroy(struct pgtable *pt);
/* The leaf entry for va; NULL if a table is missing and !create, or on -ENOMEM. */
pte_t *pgtable_leaf(struct pgtable *pt, vaddr_t va, bool create) __must_check;
/* Call fn for the leaf entries of [start, end), in order, a table at a time: the n from e on, of which the first is va's; it
 * may change them. Tables that are not there are passed over. */
void pgtable_walk(struct pgtable *pt, vaddr_t start, vaddr_t end,
		  void (*fn)(vaddr_t va, pte_t *e, unsigned n, void *arg), void *arg);
/* Unlink the table pages below the root that reach into [start, end) and hold nothing, and put them on unlinked. Those hold
 * nothing that lie within [floor, ceiling), where the caller has no mapping; if the two are equal, each is looked at. The
 * caller invalidates those addresses, intermediate entries included, and then frees them. */
void pgtable_prune(struct pgtable *pt, vaddr_t start, vaddr_t end, vaddr_t floor, vaddr_t ceiling,
		   struct list_head *unlinked);
void pgtable_free_tables(struct list_head *unlinked);

/* One store, which another CPU's walker sees whole; it comes after all earlier stores of this CPU to the page. */
static inline void pte_set(pte_t *e, pte_t v)
{
	__atomic_store_n(e, v, __ATOMIC_RELEASE);
}

static inline pte_t pte_get(const pte_t *e)
{
	return READ_ONCE(*e);
}

#endif
