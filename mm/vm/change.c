/* SPDX-License-Identifier: MIT */
/* Changing how a range is mapped: protection, and what mlock and madvise say about it. */
#include "mm/vm/space_priv.h"

#include "lib/errno.h"

struct change {
	struct flush f;
	const struct vm_region *r;
};

/* The new access of the pages that are there. What was copy-on-write stays so: the next write's fault decides. */
static void protect_entries(vaddr_t va, pte_t *e, unsigned n, void *arg)
{
	struct change *c = arg;
	unsigned prot = c->r->prot;

	for (; n > 0; n--, e++, va += PAGE_SIZE) {
		pte_t v = pte_get(e);
		struct page *p;

		if (!v)
			continue;
		p = frame_page(arch_pte_addr(v));
		if (prot & VM_EXEC)
			vm_sync_page(p);
		pte_set(e, vm_entry(c->r, p,
				    (prot & VM_WRITE) && (page_is_sole(p) || (prot & VM_SHARED))));
		flush_note(&c->f, va);
	}
}

static void change_region(struct vm_space *s, struct vm_region *r, unsigned prot)
	__requires(s->lock)
{
	struct change c = { .f = { .space = s }, .r = r };
	bool access = (r->prot ^ prot) & VM_PROT;

	region_set_prot(s, r, prot);
	if (!access)
		return;
	pgtable_walk(&s->table, r->start, r->end, protect_entries, &c);
	flush_finish(&c.f, false);
}

/* May all of the range, which begins in r, be changed so? */
static int check_change(struct vm_space *s, const struct vm_region *r, vaddr_t start, vaddr_t end,
			unsigned clear, unsigned set) __requires(s->lock)
{
	vaddr_t at = start;
	uint64_t more = 0;
	int err = 0;

	for (; r && r->start <= at && at < end; r = region_next(r)) {
		if ((set & VM_WRITE) && (r->prot & VM_NOWRITE))
			err = -EACCES;
		if (!vm_is_data(r->prot) && vm_is_data((r->prot & ~clear) | set))
			more += (MIN(end, r->end) - at) / PAGE_SIZE;
		at = r->end;
	}
	if (at < end)
		return -ENOMEM;
	if (!err && more && s->data_pages + more > s->data_limit / PAGE_SIZE)
		return -ENOMEM;
	return err;
}

static int change_locked(struct vm_space *s, vaddr_t start, vaddr_t end, unsigned clear,
			 unsigned set, struct spare *sp) __requires(s->lock)
{
	struct vm_region *r = region_find(s, start);
	int err = s->sealed ? -ENOMEM : check_change(s, r, start, end, clear, set);

	/* one region as a whole: nothing is cut */
	if (!err && (r->start != start || r->end != end)) {
		if (s->nr_regions + 2 > VM_REGIONS_MAX)
			return -ENOMEM;
		err = spare_check(s, start, end, sp);
		if (!err) {
			regions_cut(s, start, end, sp);
			r = region_find(s, start);
		}
	}
	for (; !err && r && r->start < end; r = region_next(r)) {
		change_region(s, r, (r->prot & ~clear) | set);
		/* a neighbour that joins is mapped so already */
		r = region_merge(s, r);
	}
	return err;
}

int vm_change(struct vm_space *s, vaddr_t addr, size_t len, unsigned clear, unsigned set)
{
	struct spare sp = { .n = 0 };
	int err;

	if (!IS_ALIGNED(addr, PAGE_SIZE))
		return -EINVAL;
	if (len == 0)
		return 0;
	if (len > USER_MAX || !range_ok(addr, ALIGN_UP(len, PAGE_SIZE)))
		return -ENOMEM;
	do {
		mutex_lock(&s->lock);
		err = change_locked(s, addr, addr + ALIGN_UP(len, PAGE_SIZE), clear, set, &sp);
		mutex_unlock(&s->lock);
	} while (err == SPARE_SHORT && (err = spare_fill(&sp, SPARE_RANGE)) == 0);
	spare_release(&sp);
	return err;
}

int vm_protect(struct vm_space *s, vaddr_t addr, size_t len, unsigned prot)
{
	return prot & ~VM_PROT ? -EINVAL : vm_change(s, addr, len, VM_PROT, prot);
}

int vm_lock_range(struct vm_space *s, vaddr_t addr, size_t len, uint64_t limit, bool now)
{
	vaddr_t start = ALIGN_DOWN(addr, PAGE_SIZE);
	uint64_t pages;
	int err;

	if (addr > USER_MAX || len > USER_MAX - addr)
		return -ENOMEM;
	len = ALIGN_UP(addr + len, PAGE_SIZE) - start;
	mutex_lock(&s->lock);
	pages = s->locked_pages + len / PAGE_SIZE;
	for (struct vm_region *r = region_find(s, start); r && r->start < start + len;
	     r = region_next(r))
		if (r->prot & VM_LOCKED)
			pages -= (MIN(start + len, r->end) - MAX(start, r->start)) / PAGE_SIZE;
	mutex_unlock(&s->lock);
	if (pages > limit / PAGE_SIZE)
		return -ENOMEM;
	err = vm_change(s, start, len, 0, VM_LOCKED);
	return err || !now ? err : vm_populate(s, start, len, 0);
}

/* The next region from addr on that is locked. */
static bool next_locked(struct vm_space *s, vaddr_t addr, vaddr_t *start, size_t *len)
{
	struct vm_region *r;

	mutex_lock(&s->lock);
	for (r = region_find(s, addr); r && !(r->prot & VM_LOCKED);)
		r = region_next(r);
	if (r) {
		*start = r->start;
		*len = r->end - r->start;
	}
	mutex_unlock(&s->lock);
	return r != NULL;
}

int vm_lock_all(struct vm_space *s, bool now, bool future, uint64_t limit)
{
	vaddr_t at = 0;
	size_t len = 0;

	mutex_lock(&s->lock);
	if (now && s->mapped_pages > limit / PAGE_SIZE) {
		mutex_unlock(&s->lock);
		return -ENOMEM;
	}
	WRITE_ONCE(s->map_flags, future ? VM_LOCKED : 0);
	for (struct vm_region *r = region_find(s, 0); r; r = region_next(r)) {
		region_set_prot(s, r, now ? r->prot | VM_LOCKED : r->prot & ~VM_LOCKED);
		r = region_merge(s, r);
	}
	mutex_unlock(&s->lock);
	/* what cannot be had is left, as on Linux */
	while (now && next_locked(s, at + len, &at, &len))
		if (vm_populate(s, at, len, 0) == -EINTR)
			return -EINTR;
	return 0;
}
