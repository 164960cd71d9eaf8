/* SPDX-License-Identifier: MIT */
#include "mm/phys/pgtable.h"

#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "mm/phys/frame.h"

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
	return frame_virt(arch_pte_addr(e));
}

static pte_t *root_of(const struct pgtable *pt)
{
	return frame_virt(pt->root);
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
	pt->root = frame_phys(p);
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
	struct page *root = frame_page(pt->root);

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
static __noinline bool add_table(struct pgtable *pt, pte_t *e, unsigned level)
{
	struct page *p = table_alloc();

	if (!p)
		return false;
	p->index = level + 1;
	WRITE_ONCE(pt->tables, pt->tables + 1);
	list_push_back(&p->link, &frame_page(pt->root)->link);
	/* the zeroes of the table are seen before the entry: pte_set() */
	pte_set(e, arch_pte_table(frame_phys(p)));
	arch_pte_sync();
	return true;
}

static inline pte_t *next_table(struct pgtable *pt, pte_t *table, vaddr_t va, unsigned level,
				bool create)
{
	pte_t *e = &table[entry_index(va, level)];

	if (!arch_pte_valid(pte_get(e)) && !(create && add_table(pt, e, level)))
		return NULL;
	return arch_pte_is_table(pte_get(e), level) ? table_of(pte_get(e)) : NULL;
}

pte_t *pgtable_leaf(struct pgtable *pt, vaddr_t va, bool create)
{
	pte_t *middle = next_table(pt, root_of(pt), va, TOP_LEVEL, create);
	pte_t *leaves = middle ? next_table(pt, middle, va, TOP_LEVEL + 1, create) : NULL;

	return leaves ? &leaves[entry_index(va, LEAF_LEVEL)] : NULL;
}

/* The end of the entry of this level that va lies in, or end if that comes first. */
static vaddr_t entry_end(vaddr_t va, vaddr_t end, unsigned level)
{
	vaddr_t next = (va | (BIT(level_shift(level)) - 1)) + 1;

	return next > va && next < end ? next : end;
}

static void walk_table(pte_t *table, unsigned level, vaddr_t va, vaddr_t end,
		       void (*fn)(vaddr_t, pte_t *, unsigned, void *), void *arg)
{
	while (va < end) {
		pte_t *e = &table[entry_index(va, level)];
		vaddr_t next = entry_end(va, end, level);

		if (arch_pte_is_table(pte_get(e), level) && level + 1 < LEAF_LEVEL)
			walk_table(table_of(pte_get(e)), level + 1, va, next, fn, arg);
		else if (arch_pte_is_table(pte_get(e), level))
			fn(va, &table_of(pte_get(e))[entry_index(va, LEAF_LEVEL)],
			   (unsigned)DIV_ROUND_UP(next - va, PAGE_SIZE), arg);
		va = next;
	}
}

void pgtable_walk(struct pgtable *pt, vaddr_t start, vaddr_t end,
		  void (*fn)(vaddr_t va, pte_t *e, unsigned n, void *arg), void *arg)
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
				WRITE_ONCE(p->pt->tables, p->pt->tables - 1);
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
