/* SPDX-License-Identifier: MIT */
#include "kernel/core/panic.h"
#include "mm/phys/page.h"
#include "mm/vm/space_priv.h"

struct check {
	struct vm_space *s;
	const struct vm_region *r;
	uint64_t pages, anon;
};

static void check_entry(struct check *c, vaddr_t va, pte_t v)
{
	const struct page *p = page_of_phys(arch_pte_addr(v));

	ASSERT(va >= c->r->start && va < c->r->end);
	ASSERT(p->owner == PAGE_USER || p->owner == PAGE_RESERVED);
	ASSERT(refcount_read(&p->ref) >= 1);
	ASSERT(arch_pte_valid(v) == ((c->r->prot & VM_PROT) != 0));
	if (arch_pte_valid(v) && (arch_pte_prot(v) & PTE_WRITE)) {
		ASSERT(c->r->prot & VM_WRITE);
		/* I-VM-4 */
		ASSERT((c->r->prot & VM_SHARED) || page_is_sole(p));
	}
	c->pages++;
	c->anon += page_is_anon(p);
}

static void check_entries(vaddr_t va, pte_t *e, unsigned n, void *arg)
{
	for (unsigned i = 0; i < n; i++)
		if (pte_get(&e[i]))
			check_entry(arg, va + i * PAGE_SIZE, pte_get(&e[i]));
}

static void count_entries(vaddr_t va, pte_t *e, unsigned n, void *arg)
{
	for (unsigned i = 0; i < n; i++)
		*(uint64_t *)arg += pte_get(&e[i]) != 0;
}

void vm_check(struct vm_space *s)
{
	struct check c = { .s = s };
	uint64_t mapped = 0, data = 0, locked = 0, regions = 0, all = 0;
	vaddr_t end = 0;

	mutex_lock(&s->lock);
	for (struct vm_region *r = region_find(s, 0); r; r = region_next(r)) {
		/* I-VM-1 */
		ASSERT(r->start >= end && r->start < r->end && r->end <= USER_MAX);
		end = r->end;
		mapped += (r->end - r->start) / PAGE_SIZE;
		data += vm_is_data(r->prot) ? (r->end - r->start) / PAGE_SIZE : 0;
		locked += r->prot & VM_LOCKED ? (r->end - r->start) / PAGE_SIZE : 0;
		regions++;
		c.r = r;
		pgtable_walk(&s->table, r->start, r->end, check_entries, &c);
	}
	pgtable_walk(&s->table, 0, USER_MAX, count_entries, &all);
	/* I-VM-3 */
	ASSERT(all == c.pages && all == s->pages && c.anon == s->anon_pages);
	ASSERT(data == s->data_pages && locked == s->locked_pages);
	ASSERT(mapped == s->mapped_pages && regions == s->nr_regions);
	mutex_unlock(&s->lock);
}
