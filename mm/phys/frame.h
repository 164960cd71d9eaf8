/* SPDX-License-Identifier: MIT */
/* page.h's conversions in line, for the paths of mm/ that make very many. */
#ifndef TERN_MM_PHYS_FRAME_H
#define TERN_MM_PHYS_FRAME_H

#include "mm/phys/page.h"

/* One range of RAM and its frames. A frame's struct page is meaningful from its first role as reserved or as head of
 * a block; I-MM-1: the allocator never looks at one that is neither. */
struct page_range {
	uint64_t first; /* [init] frame number */
	uint64_t count; /* [init] */
	struct page *pages;
};
/* [init] Nearly all frames are in the first. */
extern struct page_range page_ranges[];
/* Of the other ranges. BUG if there is none. */
struct page *frame_page_slow(uint64_t frame);
uint64_t frame_number_slow(const struct page *p);

/* Is it in the first range? */
static inline bool frame_is_usual(paddr_t pa)
{
	return (pa.pa >> PAGE_SHIFT) - page_ranges[0].first < page_ranges[0].count;
}

static inline struct page *frame_page(paddr_t pa)
{
	uint64_t frame = pa.pa >> PAGE_SHIFT;

	return likely(frame_is_usual(pa)) ? &page_ranges[0].pages[frame - page_ranges[0].first]
					  : frame_page_slow(frame);
}

static inline paddr_t frame_phys(const struct page *p)
{
	uint64_t i = (uint64_t)(p - page_ranges[0].pages);

	return paddr(
		(likely(i < page_ranges[0].count) ? page_ranges[0].first + i : frame_number_slow(p))
		<< PAGE_SHIFT);
}

static inline void *frame_virt(paddr_t pa)
{
	return (void *)(LINEAR_BASE + (pa.pa - arch_linear_pa));
}

static inline struct page *frame_of_addr(const void *linear)
{
	uintptr_t off = (uintptr_t)linear - LINEAR_BASE;
	paddr_t pa = paddr(off + arch_linear_pa);

	return likely(off < LINEAR_SIZE && frame_is_usual(pa)) ? frame_page(pa)
							       : page_of_addr(linear);
}

#endif
