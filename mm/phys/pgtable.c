/* SPDX-License-Identifier: MIT */
#include "mm/phys/pgtable.h"

#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "mm/phys/page.h"

#define ENTRIES	   (PAGE_SIZE / sizeof(pte_t))
#define TOP_LEVEL  1u
#define LEAF_LEVEL 3u

static unsigned level_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * (LEAF_LEVEL - level);
}

static unsigned entry_index(vaddr_t va, unsigned level)
{
	return va >> level_shift(level) & (ENTRIES - 1);
}

static pte_t *table_of(pte_t e)
{
	return phys_to_virt(arch_pte_addr(e));
}

static pte_t *root_of(const struct pgtable *pt)
{
	return phys_to_virt(pt->root);
}

static struct page *table_alloc(void)
{
	struct page *p = page_alloc(0, ALLOC_ZERO);

	if (p)
		page_set_owner(p, PAGE_TABLE);
	return p;
}

static void table_free(struct page *p)
{
	page_set_owner(p, PAGE_KERNEL);
	page_put(p);
}

int pgtable_create(struct pgtable *pt)
{
	struct page *p = table_alloc();

	if (!p)
		return -ENOMEM;
	pt->root = page_to_phys(p);
	pt->tables = 1;
	return 0;
}

static bool table_empty(const pte_t *table)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (pte_get(&table[i]) != 0)
			return false;
	return true;
}

void pgtable_destroy(struct pgtable *pt)
{
	struct page *root = page_of_phys(pt->root);

	while (!list_empty(&root->link)) {
		struct page *p = list_first(&root->link, struct page, link);

		DASSERT(p->index < LEAF_LEVEL || table_empty(page_addr(p)));
		list_del(&p->link);
		table_free(p);
	}
	table_free(root);
	pt->root = paddr(0);
}

/* Each new table is on the list that begins at the root's page, so that pgtable_destroy() need not look for it. */
pte_t *pgtable_leaf(struct pgtable *pt, vaddr_t va, bool create)
{
	pte_t *table = root_of(pt);

	for (unsigned level = TOP_LEVEL; level < LEAF_LEVEL; level++) {
		pte_t *e = &table[entry_index(va, level)];

		if (!arch_pte_valid(pte_get(e))) {
			struct page *p = create ? table_alloc() : NULL;

			if (!p)
				return NULL;
			p->index = level + 1;
			pt->tables++;
			list_push_back(&p->link, &page_of_phys(pt->root)->link);
			/* the zeroes of the table are seen before the entry: pte_set() */
			pte_set(e, arch_pte_table(page_to_phys(p)));
			arch_pte_sync();
		}
		if (!arch_pte_is_table(pte_get(e), level))
			return NULL;
		table = table_of(pte_get(e));
	}
	return &table[entry_index(va, LEAF_LEVEL)];
}

/* The end of the entry of this level that va lies in, or end if that comes first. */
static vaddr_t entry_end(vaddr_t va, vaddr_t end, unsigned level)
{
	vaddr_t next = (va | (BIT(level_shift(level)) - 1)) + 1;

	return next > va && next < end ? next : end;
}

static void walk_leaves(pte_t *table, vaddr_t va, vaddr_t end, void (*fn)(vaddr_t, pte_t *, void *),
			void *arg)
{
	for (pte_t *e = &table[entry_index(va, LEAF_LEVEL)]; va < end; e++, va += PAGE_SIZE)
		if (pte_get(e) != 0)
			fn(va, e, arg);
}

static void walk_table(pte_t *table, unsigned level, vaddr_t va, vaddr_t end,
		       void (*fn)(vaddr_t, pte_t *, void *), void *arg)
{
	while (va < end) {
		pte_t *e = &table[entry_index(va, level)];
		vaddr_t next = entry_end(va, end, level);

		if (arch_pte_is_table(pte_get(e), level) && level + 1 < LEAF_LEVEL)
			walk_table(table_of(pte_get(e)), level + 1, va, next, fn, arg);
		else if (arch_pte_is_table(pte_get(e), level))
			walk_leaves(table_of(pte_get(e)), va, next, fn, arg);
		va = next;
	}
}

void pgtable_walk(struct pgtable *pt, vaddr_t start, vaddr_t end,
		  void (*fn)(vaddr_t va, pte_t *e, void *arg), void *arg)
{
	walk_table(root_of(pt), TOP_LEVEL, ALIGN_DOWN(start, PAGE_SIZE), end, fn, arg);
}

struct prune {
	struct pgtable *pt;
	vaddr_t floor, ceiling;
	struct list_head *unlinked;
};

/* Does the table behind the entry of va at this level hold nothing? */
static bool may_unlink(const struct prune *p, const pte_t *table, vaddr_t va, unsigned level)
{
	vaddr_t first = ALIGN_DOWN(va, BIT(level_shift(level)));

	if (p->floor == p->ceiling)
		return table_empty(table);
	return first >= p->floor && first + BIT(level_shift(level)) <= p->ceiling;
}

static void prune_table(pte_t *table, unsigned level, vaddr_t va, vaddr_t end,
			const struct prune *p)
{
	while (va < end) {
		pte_t *e = &table[entry_index(va, level)];
		vaddr_t next = entry_end(va, end, level);

		if (arch_pte_is_table(pte_get(e), level)) {
			pte_t *below = table_of(pte_get(e));

			if (level + 1 < LEAF_LEVEL)
				prune_table(below, level + 1, va, next, p);
			if (may_unlink(p, below, va, level)) {
				struct page *page = page_of_addr(below);

				DASSERT(table_empty(below));
				pte_set(e, 0);
				list_del(&page->link);
				list_push_back(&page->link, p->unlinked);
				p->pt->tables--;
			}
		}
		va = next;
	}
}

void pgtable_prune(struct pgtable *pt, vaddr_t start, vaddr_t end, vaddr_t floor, vaddr_t ceiling,
		   struct list_head *unlinked)
{
	struct prune p = { pt, floor, ceiling, unlinked };

	prune_table(root_of(pt), TOP_LEVEL, start, end, &p);
}

void pgtable_free_tables(struct list_head *unlinked)
{
	while (!list_empty(unlinked)) {
		struct page *p = list_first(unlinked, struct page, link);

		list_del(&p->link);
		table_free(p);
	}
}
