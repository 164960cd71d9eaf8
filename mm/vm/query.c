/* SPDX-License-Identifier: MIT */
/* What is mapped, for those who ask. */
#include "mm/vm/space_priv.h"

#include "lib/errno.h"
#include "mm/phys/slab.h"

bool vm_range_mapped(struct vm_space *s, vaddr_t addr, size_t len, unsigned *flags)
{
	vaddr_t end = addr + len;
	bool mapped = false;

	*flags = 0;
	if (!range_ok(addr, len))
		return false;
	mutex_lock(&s->lock);
	mapped = regions_mapped(s, addr, end) * PAGE_SIZE >= len;
	for (struct vm_region *r = region_find(s, addr); r && r->start < end; r = region_next(r))
		*flags |= r->prot | (r->backing ? VM_BACKED : 0);
	mutex_unlock(&s->lock);
	return mapped;
}

static bool page_resident(struct vm_space *s, const struct vm_region *r, vaddr_t va)
	__requires(s->lock)
{
	pte_t *e = pgtable_leaf(&s->table, va, false);
	struct page *p;

	if (e && pte_get(e))
		return true;
	if (!r->backing)
		return false;
	p = vm_backing_peek(r->backing, region_index(r, va));
	if (p)
		page_put(p);
	return p != NULL;
}

int vm_resident(struct vm_space *s, vaddr_t addr, unsigned pages, uint8_t *out)
{
	int err = 0;

	mutex_lock(&s->lock);
	for (; pages > 0 && !err; pages--, addr += PAGE_SIZE) {
		struct vm_region *r = region_find(s, addr);

		if (r && r->start <= addr)
			*out++ = page_resident(s, r, addr);
		else
			err = -ENOMEM;
	}
	mutex_unlock(&s->lock);
	return err;
}

uint64_t vm_space_footprint(const struct vm_space *s)
{
	return READ_ONCE(s->pages) + READ_ONCE(s->table.tables) +
	       READ_ONCE(s->nr_regions) * sizeof(struct vm_region) / PAGE_SIZE;
}

void vm_stats(struct vm_space *s, struct vm_stats *out)
{
	mutex_lock(&s->lock);
	*out = (struct vm_stats){ .mapped = s->mapped_pages,
				  .peak_mapped = s->peak_mapped_pages,
				  .resident = s->pages,
				  .peak_resident = s->peak_pages,
				  .anonymous = s->anon_pages,
				  .data = s->data_pages,
				  .locked = s->locked_pages };
	for (struct vm_region *r = region_find(s, 0); r; r = region_next(r)) {
		uint64_t pages = (r->end - r->start) / PAGE_SIZE;

		if (r->prot & VM_STACK)
			out->stack += pages;
		else if ((r->prot & (VM_EXEC | VM_WRITE)) == VM_EXEC)
			out->text += pages;
	}
	mutex_unlock(&s->lock);
}

static const char *region_name(const struct vm_region *r)
{
	if (r->backing)
		return r->backing->name;
	return r->prot & VM_HEAP ? "[heap]" : r->prot & VM_STACK ? "[stack]" : NULL;
}

void vm_for_each_region(struct vm_space *s,
			void (*fn)(const struct vm_region_info *info, void *arg), void *arg)
{
	mutex_lock(&s->lock);
	for (struct vm_region *r = region_find(s, 0); r; r = region_next(r)) {
		struct vm_region_info info = { .start = r->start,
					       .end = r->end,
					       .prot = r->prot,
					       .offset = r->offset * PAGE_SIZE,
					       .file = r->backing ? r->backing->file : NULL,
					       .name = region_name(r) };

		fn(&info, arg);
	}
	mutex_unlock(&s->lock);
}

/* --- pages of the kernel's ---------------------------------------------------------------------------------------------- */

struct kernel_pages {
	struct vm_backing b;
	struct page *const *pages; /* [init] */
	unsigned n;		   /* [init] */
};

static void kernel_peek(struct vm_backing *b, uint64_t index, unsigned n, struct page **out)
{
	const struct kernel_pages *k = container_of(b, struct kernel_pages, b);

	for (; n > 0; n--, index++, out++) {
		*out = index < k->n ? k->pages[index] : NULL;
		if (*out)
			page_get(*out);
	}
}

/* Where peek had nothing. */
static int kernel_fill(struct vm_backing *b, uint64_t index, struct page **out)
{
	return -EIO;
}

static void kernel_release(struct vm_backing *b)
{
	kfree(container_of(b, struct kernel_pages, b));
}

struct vm_backing *vm_backing_kernel_pages(const char *name, struct page *const *pages, unsigned n)
{
	struct kernel_pages *k = kzalloc(sizeof(*k));

	if (!k)
		return NULL;
	refcount_init(&k->b.ref, 1);
	k->b.peek = kernel_peek;
	k->b.fill = kernel_fill;
	k->b.release = kernel_release;
	k->b.name = name;
	k->pages = pages;
	k->n = n;
	return &k->b;
}
