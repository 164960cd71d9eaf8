/* SPDX-License-Identifier: MIT */
/* Pages in debug images: what free ones hold, and the free lists as they should be. */
#include "mm/phys/page_priv.h"

#include "kernel/core/fault.h"
#include "kernel/core/kasan.h"
#include "lib/string.h"

void alloc_fail_after(uint64_t n)
{
	fault_after(FAULT_ALLOC, n);
}

static void check_poison(const struct page *p, unsigned order)
{
	const uint64_t want = 0x0101010101010101UL * PAGE_POISON_FREE;
	const uint64_t *w = page_addr(p);

	for (size_t i = 0; i < (PAGE_SIZE << order) / sizeof(*w); i++)
		if (w[i] != want)
			BUG("mm: free page %p written to at %p: %llx", (const void *)p,
			    (const void *)&w[i], (unsigned long long)w[i]);
}

void page_check_out(struct page *p, unsigned order, unsigned flags)
{
	kasan_unpoison(page_addr(p), PAGE_SIZE << order);
	if (p->flags & PAGE_POISONED)
		check_poison(p, order);
	if (!(flags & ALLOC_ZERO) && order <= PAGE_POISON_ORDER)
		memset(page_addr(p), PAGE_POISON_ALLOC, PAGE_SIZE << order);
}

void page_check_in(struct page *p, unsigned order)
{
	kasan_unpoison(page_addr(p), PAGE_SIZE << order);
	if (order <= PAGE_POISON_ORDER) {
		memset(page_addr(p), PAGE_POISON_FREE, PAGE_SIZE << order);
		p->flags = PAGE_POISONED;
	}
	kasan_poison(page_addr(p), PAGE_SIZE << order);
}

void buddy_check(void)
{
	irqflags_t f = spin_lock_irqsave(&buddy.lock);
	uint64_t pages = 0;

	for (unsigned k = 0; k <= PAGE_ORDER_MAX; k++) {
		uint64_t blocks = 0;
		struct page *p;

		list_for_each (p, &buddy.free[k], link) {
			struct page_range *r = page_range_of(p);

			ASSERT(p->owner == PAGE_FREE && p->order == k);
			ASSERT(IS_ALIGNED(range_frame(r, p), 1UL << k));
			ASSERT(k == PAGE_ORDER_MAX || !buddy_free_buddy(r, range_frame(r, p), k));
			blocks++;
		}
		ASSERT(blocks == buddy.blocks[k]);
		ASSERT(!(buddy.nonempty >> k & 1) == (blocks == 0));
		pages += blocks << k;
	}
	ASSERT(pages == buddy.nr_free);
	spin_unlock_irqrestore(&buddy.lock, f);
}
