/* SPDX-License-Identifier: MIT */
#include "tests/kernel/memory_backing.h"

#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "tests/kernel/kernel_table.h"

struct memory_backing {
	struct vm_backing base;
	const char *start;     /* [init] */
	size_t len;	       /* [init] */
	paddr_t pa;	       /* [init] of start; the memory is contiguous */
	struct page *copies[]; /* [atomic] by index, set once: pages that cannot be used in place */
};

static struct memory_backing *memory_of(struct vm_backing *b)
{
	return container_of(b, struct memory_backing, base);
}

static bool in_place(const struct memory_backing *m, uint64_t index)
{
	return IS_ALIGNED(m->pa.pa, PAGE_SIZE) && (index + 1) * PAGE_SIZE <= m->len;
}

static uint64_t nr_pages(const struct memory_backing *m)
{
	return DIV_ROUND_UP(m->len, PAGE_SIZE);
}

static struct page *page_at_hand(struct memory_backing *m, uint64_t index)
{
	struct page *p;

	if (index >= nr_pages(m))
		return NULL;
	if (in_place(m, index)) {
		p = page_of_phys(paddr(m->pa.pa + index * PAGE_SIZE));
		DASSERT(p->owner == PAGE_RESERVED);
	} else {
		p = atomic_load_acquire(&m->copies[index]);
	}
	if (p)
		page_get(p);
	return p;
}

static void memory_peek(struct vm_backing *b, uint64_t index, unsigned n, struct page **out)
{
	for (unsigned i = 0; i < n; i++)
		out[i] = page_at_hand(memory_of(b), index + i);
}

static int memory_fill(struct vm_backing *b, uint64_t index, struct page **out)
{
	struct memory_backing *m = memory_of(b);
	struct page *p = page_at_hand(m, index), *none = NULL;

	if (index >= nr_pages(m))
		return -EIO;
	if (!p) {
		p = page_alloc(0, ALLOC_ZERO);
		if (!p)
			return -ENOMEM;
		page_set_owner(p, PAGE_USER);
		memcpy(page_addr(p), m->start + index * PAGE_SIZE,
		       MIN(PAGE_SIZE, m->len - index * PAGE_SIZE));
		/* pairs with the acquire in page_at_hand(); who comes second takes the first one's */
		if (!atomic_compare_exchange(&m->copies[index], &none, p)) {
			page_put(p);
			p = none;
		}
		page_get(p);
	}
	*out = p;
	return 0;
}

static void memory_release(struct vm_backing *b)
{
	struct memory_backing *m = memory_of(b);

	for (uint64_t i = 0; i < nr_pages(m); i++)
		if (m->copies[i])
			page_put(m->copies[i]);
	kfree(m);
}

struct vm_backing *vm_backing_memory_create(const void *start, size_t len)
{
	struct memory_backing *m =
		kzalloc(sizeof(*m) + DIV_ROUND_UP(len, PAGE_SIZE) * sizeof(m->copies[0]));

	if (!m)
		return NULL;
	refcount_init(&m->base.ref, 1);
	m->base.fill = memory_fill;
	m->base.peek = memory_peek;
	m->base.release = memory_release;
	m->start = start;
	m->len = len;
	if ((uintptr_t)start - LINEAR_BASE < LINEAR_SIZE)
		m->pa = virt_to_phys(start);
	else if (kernel_translate((vaddr_t)start, &m->pa) < 0)
		BUG("vm: backing at %p is not mapped", start);
	return &m->base;
}
