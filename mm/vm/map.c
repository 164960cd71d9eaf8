/* SPDX-License-Identifier: MIT */
/* Changing what is mapped. Each call takes the space's lock once; it allocates the regions it may need before it
 * changes anything, so it is done whole or not at all. A page leaves in three steps: its entry is cleared, the TLBs
 * are told, its reference is dropped (RC-006). */
#include "mm/vm/space_priv.h"

#include "lib/errno.h"

/* --- entries ---------------------------------------------------------------------------------------------------------- */

void flush_finish(struct flush *f, bool all)
{
	if (f->ended)
		return;
	if (all || f->n > FLUSH_PAGES_MAX) {
		asid_flush_all(&f->space->asid);
		return;
	}
	for (unsigned i = 0; i < f->n; i++)
		asid_flush_page(&f->space->asid, f->va[i]);
}

void gather_finish(struct gather *g, bool all)
{
	flush_finish(&g->f, all);
	pages_put(g->page, g->f.n);
	g->f.n = 0;
}

void gather_entries(vaddr_t va, pte_t *e, unsigned n, void *gather)
{
	struct gather *g = gather;
	int64_t pages = 0, anon = 0;

	for (; n > 0; n--, e++, va += PAGE_SIZE) {
		pte_t v = pte_get(e);
		struct page *p;

		if (!v)
			continue;
		if (g->f.n == GATHER_MAX)
			gather_finish(g, false);
		p = frame_page(arch_pte_addr(v));
		g->page[g->f.n] = p;
		flush_note(&g->f, va);
		pte_set(e, 0);
		pages++;
		anon += page_is_anon(p);
	}
	space_account(g->f.space, -pages, -anon);
}

void vm_prune(struct vm_space *s, vaddr_t start, vaddr_t end, struct list_head *tables)
{
	struct vm_region *next = region_find(s, start),
			 *prev = next ? region_prev(next) : region_last(s);

	pgtable_prune(&s->table, start, end, prev ? prev->end : 0, next ? next->start : USER_MAX,
		      tables);
}

/* What the file shows goes, a private copy of it stays. */
static void gather_shown(vaddr_t va, pte_t *e, unsigned n, void *gather)
{
	for (; n > 0; n--, e++, va += PAGE_SIZE)
		if (pte_get(e) && !page_is_anon(frame_page(arch_pte_addr(pte_get(e)))))
			gather_entries(va, e, 1, gather);
}

void vm_clear_range(struct vm_space *s, vaddr_t start, vaddr_t end, bool unmapped)
{
	struct list_head tables = LIST_HEAD_INIT(tables);
	struct gather g;

	g.f = (struct flush){ .space = s };
	s->generation++;
	pgtable_walk(&s->table, start, end, gather_entries, &g);
	if (unmapped)
		vm_prune(s, start, end, &tables);
	gather_finish(&g, !list_empty(&tables));
	pgtable_free_tables(&tables);
}

/* --- regions ---------------------------------------------------------------------------------------------------------- */

void spare_release(struct spare *sp)
{
	while (sp->n > 0)
		region_destroy(sp->r[--sp->n]);
	regions_destroy(sp->dead);
}

int spare_fill(struct spare *sp, unsigned n)
{
	sp->dead = NULL;
	for (sp->n = 0; sp->n < n; sp->n++) {
		sp->r[sp->n] = region_create(0, 0, 0, NULL, 0);
		if (!sp->r[sp->n]) {
			spare_release(sp);
			return -ENOMEM;
		}
	}
	return 0;
}

int spare_check(struct vm_space *s, vaddr_t start, vaddr_t end, const struct spare *sp)
{
	const struct vm_region *r = region_find(s, start), *last = region_find(s, end - 1);

	if (sp->n > 0)
		return 0;
	return (r && r->start < start) || (last && last->start < end && end < last->end)
		       ? SPARE_SHORT
		       : 0;
}

void regions_cut(struct vm_space *s, vaddr_t start, vaddr_t end, struct spare *sp)
{
	struct vm_region *r = region_find(s, start);

	if (r && r->start < start)
		region_split(s, r, start, sp->r[--sp->n]);
	r = region_find(s, end - 1);
	if (r && r->start < end && end < r->end)
		region_split(s, r, end, sp->r[--sp->n]);
}

void regions_unmap(struct vm_space *s, vaddr_t start, vaddr_t end, struct spare *sp)
{
	struct vm_region *r;
	bool any = false;

	regions_cut(s, start, end, sp);
	while ((r = region_find(s, start)) && r->start < end) {
		region_remove(s, r);
		r->dead_next = sp->dead;
		sp->dead = r;
		any = true;
	}
	if (any)
		vm_clear_range(s, start, end, true);
}

uint64_t regions_mapped(struct vm_space *s, vaddr_t start, vaddr_t end)
{
	uint64_t pages = 0;

	for (struct vm_region *r = region_find(s, start); r && r->start < end; r = region_next(r))
		pages += (MIN(end, r->end) - MAX(start, r->start)) / PAGE_SIZE;
	return pages;
}

bool over_limit(struct vm_space *s, uint64_t more_pages, unsigned prot)
{
	assert_mutex_held(&s->lock);
	return s->mapped_pages + more_pages > s->as_limit / PAGE_SIZE ||
	       (vm_is_data(prot) && s->data_pages + more_pages > s->data_limit / PAGE_SIZE);
}

void vm_set_limits(struct vm_space *s, uint64_t as, uint64_t data, uint64_t stack)
{
	mutex_lock(&s->lock);
	s->as_limit = as;
	s->data_limit = data;
	s->stack_limit = stack;
	mutex_unlock(&s->lock);
}

/* Where a mapping goes. */
static int choose(struct vm_space *s, vaddr_t addr, size_t len, unsigned flags, vaddr_t *out)
	__requires(s->lock)
{
	struct vm_region *r;

	if (flags & (VM_FIXED | VM_FIXED_NOREPLACE)) {
		if (!IS_ALIGNED(addr, PAGE_SIZE))
			return -EINVAL;
		if (!range_ok(addr, len))
			return -ENOMEM;
		r = region_find(s, addr);
		if ((flags & VM_FIXED_NOREPLACE) && r && r->start < addr + len)
			return -EEXIST;
		*out = addr;
		return 0;
	}
	addr = ALIGN_DOWN(addr, PAGE_SIZE);
	if (addr >= VM_LOWEST && range_ok(addr, len)) {
		r = region_find(s, addr);
		if (!r || r->start >= addr + len) {
			*out = addr;
			return 0;
		}
	}
	addr = region_find_hole(s, len);
	if (!addr)
		return -ENOMEM;
	*out = addr;
	return 0;
}

static int map_locked(struct vm_space *s, vaddr_t addr, struct vm_region *r, size_t len,
		      unsigned flags, struct spare *sp, vaddr_t *out) __requires(s->lock)
{
	int err = choose(s, addr, len, flags, &addr);

	if (err)
		return err;
	if (s->nr_regions + 2 > VM_REGIONS_MAX ||
	    over_limit(s, len / PAGE_SIZE - regions_mapped(s, addr, addr + len), r->prot))
		return -ENOMEM;
	regions_unmap(s, addr, addr + len, sp);
	r->start = addr;
	r->end = addr + len;
	r->prot |= s->map_flags;
	*out = addr;
	region_insert(s, r);
	region_merge(s, r);
	return 0;
}

int vm_map(struct vm_space *s, vaddr_t addr, size_t len, unsigned flags, struct vm_backing *backing,
	   uint64_t offset_pages, vaddr_t *out)
{
	struct vm_region *r;
	struct spare sp;
	int err;

	if (len == 0)
		return -EINVAL;
	if (len > USER_MAX)
		return -ENOMEM;
	len = ALIGN_UP(len, PAGE_SIZE);
	/* nothing is cut for what goes into a hole */
	err = spare_fill(&sp, (flags & VM_FIXED) ? SPARE_RANGE : 0);
	if (err)
		return err;
	err = -ENOMEM;
	r = region_create(0, len, flags & ~(VM_FIXED | VM_FIXED_NOREPLACE), backing, offset_pages);
	if (!r)
		goto release_spare;
	mutex_lock(&s->lock);
	err = map_locked(s, addr, r, len, flags, &sp, out);
	mutex_unlock(&s->lock);
	if (err)
		region_destroy(r);
release_spare:
	spare_release(&sp);
	return err;
}

/* Out of the midst of one, two are left. */
static int unmap_locked(struct vm_space *s, vaddr_t start, vaddr_t end, struct spare *sp)
	__requires(s->lock)
{
	const struct vm_region *r = region_find(s, start);
	int err = spare_check(s, start, end, sp);

	if (err)
		return err;
	if (r && r->start < start && end < r->end && s->nr_regions >= VM_REGIONS_MAX)
		return -ENOMEM;
	regions_unmap(s, start, end, sp);
	return 0;
}

int vm_unmap(struct vm_space *s, vaddr_t addr, size_t len)
{
	struct spare sp = { .n = 0 };
	int err;

	if (!IS_ALIGNED(addr, PAGE_SIZE) || len == 0 || len > USER_MAX)
		return -EINVAL;
	len = ALIGN_UP(len, PAGE_SIZE);
	if (addr >= USER_MAX || len > USER_MAX - addr)
		return -EINVAL;
	do {
		mutex_lock(&s->lock);
		err = unmap_locked(s, addr, addr + len, &sp);
		mutex_unlock(&s->lock);
	} while (err == SPARE_SHORT && (err = spare_fill(&sp, SPARE_RANGE)) == 0);
	spare_release(&sp);
	return err;
}

/* --- the break ---------------------------------------------------------------------------------------------------------- */

/* Does the break at `to` leave the region above it alone, and a stack what it may still grow by? */
static bool leaves_room(const struct vm_space *s, vaddr_t to, const struct vm_region *next)
{
	uint64_t reserve = MIN(s->stack_limit, (uint64_t)VM_STACK_RESERVE) + VM_STACK_GAP;

	if (!next)
		return true;
	if (next->start < to)
		return false;
	return !(next->prot & VM_STACK) || next->end - to >= reserve;
}

static int grow_break(struct vm_space *s, vaddr_t from, vaddr_t to, struct vm_region *r)
	__requires(s->lock)
{
	struct vm_region *next = region_find(s, from);

	if (to > USER_MAX || to < from || over_limit(s, (to - from) / PAGE_SIZE, r->prot) ||
	    !leaves_room(s, to, next) || s->nr_regions + 1 > VM_REGIONS_MAX)
		return -ENOMEM;
	r->start = from;
	r->end = to;
	r->prot |= s->map_flags;
	region_insert(s, r);
	region_merge(s, r);
	return 0;
}

static int move_break(struct vm_space *s, vaddr_t brk, struct vm_region *r, struct spare *sp,
		      bool *used) __requires(s->lock)
{
	vaddr_t old = ALIGN_UP(s->brk, PAGE_SIZE), new = ALIGN_UP(brk, PAGE_SIZE);

	if (brk < s->brk_start || brk > USER_MAX)
		return -EINVAL;
	if (new > old) {
		int err = grow_break(s, old, new, r);

		if (err)
			return err;
		*used = true;
	} else if (new < old) {
		regions_unmap(s, new, old, sp);
	}
	s->brk = brk;
	return 0;
}

vaddr_t vm_brk(struct vm_space *s, vaddr_t brk)
{
	struct vm_region *r = region_create(0, 0, VM_READ | VM_WRITE | VM_HEAP, NULL, 0);
	struct spare sp = { .n = 0, .dead = NULL };
	bool used = false;

	if (r && spare_fill(&sp, SPARE_RANGE) < 0) {
		region_destroy(r);
		r = NULL;
	}
	mutex_lock(&s->lock);
	/* on failure the break is what it was, and that is the answer */
	if (r && move_break(s, brk, r, &sp, &used) < 0)
		used = false;
	brk = s->brk;
	mutex_unlock(&s->lock);
	if (r && !used)
		region_destroy(r);
	spare_release(&sp);
	return brk;
}

int vm_discard(struct vm_space *s, vaddr_t addr, size_t len)
{
	vaddr_t end;
	int err = 0;

	if (!IS_ALIGNED(addr, PAGE_SIZE) || len > USER_MAX)
		return -EINVAL;
	end = addr + ALIGN_UP(len, PAGE_SIZE);
	if (len == 0)
		return 0;
	if (!range_ok(addr, end - addr))
		return -ENOMEM;
	mutex_lock(&s->lock);
	if (regions_mapped(s, addr, end) != (end - addr) / PAGE_SIZE)
		err = -ENOMEM;
	for (struct vm_region *r = region_find(s, addr); r && r->start < end; r = region_next(r)) {
		if (r->prot & VM_LOCKED) {
			err = -EINVAL;
			break;
		}
		vm_clear_range(s, MAX(addr, r->start), MIN(end, r->end), false);
	}
	mutex_unlock(&s->lock);
	return err;
}

static void hide_entries(vaddr_t va, pte_t *e, unsigned n, void *arg)
{
	for (; n > 0; n--, e++)
		if (pte_get(e))
			pte_set(e, pte_get(e) & ~PTE_VALID_BIT);
}

void vm_space_seal(struct vm_space *s)
{
	mutex_lock(&s->lock);
	WRITE_ONCE(s->sealed, true);
	s->generation++;
	pgtable_walk(&s->table, USER_MIN, USER_MAX, hide_entries, NULL);
	asid_flush_all(&s->asid);
	mutex_unlock(&s->lock);
}

bool vm_space_is_sealed(const struct vm_space *s)
{
	return READ_ONCE(s->sealed);
}

void vm_space_strip(struct vm_space *s)
{
	mutex_lock(&s->lock);
	ASSERT(s->sealed);
	vm_clear_range(s, USER_MIN, USER_MAX, false);
	mutex_unlock(&s->lock);
}

/* --- an object is no longer what it was ------------------------------------------------------------------------------------- */

void vm_mapping_init(struct vm_mapping *m)
{
	spin_init(&m->lock, LOCK_PGCACHE);
	list_init(&m->regions);
	/* regions begin with 0 */
	m->round = 1;
}

struct trim {
	uint64_t from, end; /* pages of the object */
	bool copies;
};

static void trim_region(struct vm_space *s, const struct vm_region *r, const struct trim *t)
	__requires(s->lock)
{
	uint64_t pages = (r->end - r->start) / PAGE_SIZE;
	uint64_t from = MAX(t->from, r->offset) - r->offset;
	uint64_t end = MIN(MAX(t->end, r->offset) - r->offset, pages);
	struct gather g;

	if (from >= end)
		return;
	g.f = (struct flush){ .space = s };
	s->generation++;
	pgtable_walk(&s->table, r->start + from * PAGE_SIZE, r->start + end * PAGE_SIZE,
		     t->copies ? gather_entries : gather_shown, &g);
	gather_finish(&g, false);
}

/* All of a space's regions of m at once: they may be cut and joined, but under its lock. */
static void trim_space(struct vm_space *s, struct vm_mapping *m, const struct trim *t)
{
	mutex_lock(&s->lock);
	for (struct vm_region *r = region_find(s, 0); r; r = region_next(r)) {
		if (!r->backing || r->backing->mapping != m)
			continue;
		trim_region(s, r, t);
		spin_lock(&m->lock);
		r->round = m->round;
		list_del(&r->mapping_link);
		list_push_back(&r->mapping_link, &m->regions);
		spin_unlock(&m->lock);
	}
	mutex_unlock(&s->lock);
}

void vm_mapping_trim(struct vm_mapping *m, uint64_t from, uint64_t end, bool copies)
{
	const struct trim t = { from, end, copies };

	spin_lock(&m->lock);
	m->round++;
	while (!list_empty(&m->regions)) {
		struct vm_region *r = list_first(&m->regions, struct vm_region, mapping_link);
		struct vm_space *s = r->space;

		if (r->round == m->round)
			break;
		if (refcount_get(&s->ref)) {
			spin_unlock(&m->lock);
			trim_space(s, m, &t);
			/* the caller may hold what the end of a space needs */
			vm_space_put_async(s);
			spin_lock(&m->lock);
		} else {
			/* it is being taken apart */
			r->round = m->round;
			list_del(&r->mapping_link);
			list_push_back(&r->mapping_link, &m->regions);
		}
	}
	spin_unlock(&m->lock);
}
