/* SPDX-License-Identifier: MIT */
/* Inside the page allocator: the frames, and the buddy lists under one lock. */
#ifndef TERN_MM_PHYS_PAGE_PRIV_H
#define TERN_MM_PHYS_PAGE_PRIV_H

#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"
#include "kernel/core/spinlock.h"
#include "mm/phys/frame.h"

/* Filled in on the way in and on the way out; an address of either pattern is not canonical. */
#define PAGE_POISON_FREE  0x6b
#define PAGE_POISON_ALLOC 0x5a

/* Bigger blocks are not filled: it would take longer than anything they are used for. */
#define PAGE_POISON_ORDER 4

/* page->flags of a free block: its bytes are PAGE_POISON_FREE. */
#define PAGE_POISONED BIT(15)

/* [init] The range p belongs to. BUG if none. */
struct page_range *page_range_of(const struct page *p);

static inline uint64_t range_frame(const struct page_range *r, const struct page *p)
{
	return r->first + (uint64_t)(p - r->pages);
}

struct buddy {
	spinlock_t lock;			   /* PAGES */
	struct list_head free[PAGE_ORDER_MAX + 1]; /* [lock] blocks by order */
	uint64_t blocks[PAGE_ORDER_MAX + 1];	   /* [lock] lengths of the lists */
	uint32_t nonempty;			   /* [lock] bit k: free[k] has a block */
	uint64_t nr_free;			   /* [lock] pages on the lists */
	uint64_t nr_reserved;			   /* [lock] */
	uint64_t nr_lent;			   /* [lock] of them, those to be given back */
};

extern struct buddy buddy;

void buddy_init(void);
/* The smallest block that will do, split down to order. NULL if there is none. */
struct page *buddy_take(unsigned order) __requires(buddy.lock);
/* Give a block back; it grows with its free neighbours. BUG if it is on a list already. */
void buddy_give(struct page *p, unsigned order) __requires(buddy.lock);
/* boot: a block that has no free buddy. */
void buddy_add(struct page *p, unsigned order) __requires(buddy.lock);
/* The block's buddy if it is free as a whole. I-MM-1: its first frame heads some block or is reserved, since the
 * block above both was split, or never was. */
struct page *buddy_free_buddy(const struct page_range *r, uint64_t frame, unsigned order)
	__requires(buddy.lock);

/* boot.c: what is reserved, sorted by address; the boot allocator is closed for good. */
unsigned boot_finish(struct phys_range *out, unsigned max);

/* BUG in irq context or where allocation is forbidden. */
void alloc_check_context(void);

#ifdef DEBUG
#define MM_DEBUG 1
/* page_check.c: the block is about to go out (flags are page_alloc()'s), or has come in. */
void page_check_out(struct page *p, unsigned order, unsigned flags);
void page_check_in(struct page *p, unsigned order);
/* Check lists, counts and that no two free buddies are unmerged. Tests. */
void buddy_check(void);
#else
#define MM_DEBUG 0
static inline void page_check_out(struct page *p, unsigned order, unsigned flags)
{
}
static inline void page_check_in(struct page *p, unsigned order)
{
}
#endif

#endif
