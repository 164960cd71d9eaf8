/* SPDX-License-Identifier: MIT */
/* mremap(2): a region, or a part of one, becomes longer, shorter, or goes elsewhere with its pages. Tables for the new
 * place are made before anything moves, so that nothing is left half-way. */
#include "mm/vm/space_priv.h"

#include "lib/errno.h"

struct move {
	struct vm_space *s;
	int64_t by; /* from the old address to the new one */
	int err;
};

static void make_tables(vaddr_t va, pte_t *e, unsigned n, void *arg)
{
	struct move *m = arg;

	for (unsigned i = 0; i < n && !m->err; i++)
		if (pte_get(&e[i]) &&
		    !pgtable_leaf(&m->s->table, va + i * PAGE_SIZE + (vaddr_t)m->by, true))
			m->err = -ENOMEM;
}

static void move_entries(vaddr_t va, pte_t *e, unsigned n, void *arg)
{
	struct move *m = arg;

	for (; n > 0; n--, e++, va += PAGE_SIZE) {
		pte_t v = pte_get(e);

		if (!v)
			continue;
		pte_set(e, 0);
		pte_set(pgtable_leaf(&m->s->table, va + (vaddr_t)m->by, false), v);
	}
}

/* Nothing is mapped there any more: tables go, addresses are forgotten. */
static void forget(struct vm_space *s, vaddr_t start, vaddr_t end) __requires(s->lock)
{
	struct list_head tables = LIST_HEAD_INIT(tables);

	vm_prune(s, start, end, &tables);
	asid_flush_all(&s->asid);
	pgtable_free_tables(&tables);
}

/* r, cut out to be just that, goes to `to` with its pages. */
static int move_region(struct vm_space *s, struct vm_region *r, vaddr_t to) __requires(s->lock)
{
	vaddr_t start = r->start, end = r->end;
	struct move m = { .s = s, .by = (int64_t)(to - start) };

	pgtable_walk(&s->table, start, end, make_tables, &m);
	if (m.err) {
		forget(s, to, to + (end - start));
		return m.err;
	}
	region_set_prot(s, r, r->prot & ~(VM_STACK | VM_HEAP));
	region_move(s, r, to);
	pgtable_walk(&s->table, start, end, move_entries, &m);
	/* before anybody's fault can see the pages at their new place */
	forget(s, start, end);
	return 0;
}

/* Where [addr, addr + len) of r may become new_len long: 0 and *to, or -ENOMEM. */
static int choose_place(struct vm_space *s, const struct vm_region *r, vaddr_t addr, size_t len,
			size_t new_len, bool may_move, vaddr_t *to) __requires(s->lock)
{
	const struct vm_region *next = region_next(r);

	*to = addr;
	if (new_len <= len)
		return 0;
	/* what grows down does not grow up */
	if (r->end == addr + len && !(r->prot & VM_STACK) && range_ok(addr, new_len) &&
	    (!next || next->start >= addr + new_len))
		return 0;
	*to = may_move ? region_find_hole(s, new_len) : 0;
	return *to ? 0 : -ENOMEM;
}

static int move_locked(struct vm_space *s, vaddr_t addr, size_t len, size_t new_len, unsigned flags,
		       bool may_move, vaddr_t *to, struct spare *sp) __requires(s->lock)
{
	struct vm_region *r = region_find(s, addr);
	size_t keep = MIN(len, new_len);
	int err;

	/* shrinking in place may span regions */
	if (!r || r->start > addr || ((flags & VM_FIXED || new_len > len) && keep > r->end - addr))
		return -EFAULT;
	if (s->nr_regions + SPARE_MAX > VM_REGIONS_MAX ||
	    (new_len > len && over_limit(s, (new_len - len) / PAGE_SIZE, r->prot)))
		return -ENOMEM;
	err = flags & VM_FIXED ? 0 : choose_place(s, r, addr, len, new_len, may_move, to);
	if (err)
		return err;
	if (flags & VM_FIXED)
		regions_unmap(s, *to, *to + new_len, sp);
	if (new_len < len)
		regions_unmap(s, addr + new_len, addr + len, sp);
	if (*to != addr) {
		regions_cut(s, addr, addr + keep, sp);
		r = region_find(s, addr);
		err = move_region(s, r, *to);
	} else {
		r = region_find(s, addr);
	}
	if (!err && new_len > len)
		region_resize(s, r, r->start, *to + new_len);
	if (!err)
		region_merge(s, r);
	return err;
}

int vm_move(struct vm_space *s, vaddr_t addr, size_t old_len, size_t new_len, unsigned flags,
	    bool may_move, vaddr_t new_addr, vaddr_t *out)
{
	struct spare sp;
	int err;

	if (!range_ok(addr, old_len))
		return -EFAULT;
	if (!(flags & VM_FIXED) && new_len > USER_MAX)
		return -ENOMEM;
	if (flags & VM_FIXED) {
		if (!IS_ALIGNED(new_addr, PAGE_SIZE) || !range_ok(new_addr, new_len) ||
		    (new_addr < addr + old_len && addr < new_addr + new_len))
			return -EINVAL;
	}
	/* the place it goes to, the part that is cut off, the start of what moves */
	err = spare_fill(&sp, SPARE_MAX);
	if (err)
		return err;
	mutex_lock(&s->lock);
	err = move_locked(s, addr, old_len, new_len, flags, may_move, &new_addr, &sp);
	mutex_unlock(&s->lock);
	spare_release(&sp);
	if (!err)
		*out = new_addr;
	return err;
}
