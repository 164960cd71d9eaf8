/* SPDX-License-Identifier: MIT */
/* The buddy allocator: free blocks of 2^k frames, aligned to their size, on one list an order. A bit an order says
 * which lists have blocks, a frame's owner and order say whether its buddy is free, so taking and giving cost at
 * most PAGE_ORDER_MAX steps whatever the size of RAM (PERF-003). Everything is under buddy.lock. */
#include "mm/phys/page_priv.h"

struct buddy buddy = { .lock = SPINLOCK_INIT(PAGES) };

void buddy_init(void)
{
	for (unsigned k = 0; k <= PAGE_ORDER_MAX; k++)
		list_init(&buddy.free[k]);
}

static void push(struct page *p, unsigned order) __requires(buddy.lock)
{
	p->owner = PAGE_FREE;
	p->order = (uint8_t)order;
	list_push_front(&p->link, &buddy.free[order]);
	buddy.blocks[order]++;
	buddy.nonempty |= 1u << order;
}

static void pull(struct page *p) __requires(buddy.lock)
{
	unsigned order = p->order;

	list_del(&p->link);
	buddy.blocks[order]--;
	if (list_empty(&buddy.free[order]))
		buddy.nonempty &= ~(1u << order);
}

struct page *buddy_take(unsigned order)
{
	uint32_t fit = buddy.nonempty & ~((1u << order) - 1);

	assert_held(&buddy.lock);
	if (!fit)
		return NULL;

	unsigned k = (unsigned)__builtin_ctz(fit);
	struct page *p = list_first(&buddy.free[k], struct page, link);

	DASSERT(p->owner == PAGE_FREE && p->order == k);
	pull(p);
	while (k > order) {
		k--;
		p[1UL << k].flags = p->flags;
		push(&p[1UL << k], k);
	}
	p->order = (uint8_t)order;
	WRITE_ONCE(buddy.nr_free, buddy.nr_free - (1UL << order));
	return p;
}

void buddy_add(struct page *p, unsigned order)
{
	assert_held(&buddy.lock);
	p->flags = 0;
	WRITE_ONCE(buddy.nr_free, buddy.nr_free + (1UL << order));
	push(p, order);
}

struct page *buddy_free_buddy(const struct page_range *r, uint64_t frame, unsigned order)
{
	uint64_t other = frame ^ (1UL << order);

	if (other < r->first || other + (1UL << order) > r->first + r->count)
		return NULL;

	struct page *b = &r->pages[other - r->first];

	/* any other owner may be changing it, but not to PAGE_FREE: that takes the lock */
	return READ_ONCE(b->owner) == PAGE_FREE && b->order == order ? b : NULL;
}

void buddy_give(struct page *p, unsigned order)
{
	struct page_range *r = page_range_of(p);
	uint64_t frame = range_frame(r, p);
	uint16_t flags = p->flags;

	assert_held(&buddy.lock);
	ASSERT(p->owner != PAGE_FREE);
	DASSERT(IS_ALIGNED(frame, 1UL << order));
	WRITE_ONCE(buddy.nr_free, buddy.nr_free + (1UL << order));
	for (; order < PAGE_ORDER_MAX; order++) {
		struct page *b = buddy_free_buddy(r, frame, order);

		if (!b)
			break;
		pull(b);
		flags &= b->flags;
		frame &= ~(1UL << order);
		struct page *tail = b > p ? b : p;

		p = b > p ? p : b;
		tail->owner = PAGE_TAIL;
	}
	p->flags = flags;
	push(p, order);
}
