/* SPDX-License-Identifier: MIT */
/* Physical pages: one struct page per frame of RAM, a buddy allocator behind per-CPU caches, and before it the
 * boot allocator. RAM is reached through the linear map. */
#ifndef TERN_MM_PHYS_PAGE_H
#define TERN_MM_PHYS_PAGE_H

#include "arch/aarch64/arch.h"
#include "lib/list.h"
#include "lib/refcount.h"

#define PAGE_ORDER_MAX 10 /* largest block: 4 MiB */

/* Who owns a page: checked by whoever gives it back (H5). */
enum page_owner {
	PAGE_RESERVED,	/* never the allocator's: image, device tree, holes */
	PAGE_FREE,	/* on a buddy list */
	PAGE_CPU_CACHE, /* on a CPU's list of single free pages */
	PAGE_KERNEL,	/* given out by page_alloc() */
	PAGE_SLAB,
	PAGE_TABLE, /* a page table */
	PAGE_USER,  /* anonymous or file memory of programs; counted by ref */
	PAGE_TAIL,  /* inside a block, not its head */
	PAGE_OWNERS,
};

struct page {
	struct list_head link; /* [PAGES] free list; else the owner's */
	struct refcount ref;   /* [atomic] owners PAGE_KERNEL and PAGE_USER */
	/* enum page_owner. To and from PAGE_FREE under PAGES, else the owner's. Whoever gives a neighbour back looks at it
	 * meanwhile: READ_ONCE, WRITE_ONCE. */
	uint8_t owner;
	uint8_t order;	/* [PAGES] while free, then [init] of the block this page heads */
	uint16_t flags; /* the owner's; PAGE_POISONED while free */
	void *priv;	/* the owner's: slab cache, inode ... */
	uint64_t index; /* the owner's */
};

/* Who must not be refused lightly, and who may sleep. 0: ordinary. */
#define ALLOC_ZERO   BIT(0) /* zeroed */
#define ALLOC_ATOMIC BIT(1) /* from a thread in atomic context: no reclaim */
#define ALLOC_USER   BIT(2) /* memory of a program, PAGE_USER: leaves the kernel its reserve */

/* --- boot memory: only before pages_init() ------------------------------------------------------------- */

/* Take size bytes aligned to align from RAM that is not reserved, zeroed, and reserve them. Panics if there is
 * none (boot only). Returns a linear-map address. Context: boot. */
void *boot_alloc(size_t size, size_t align);
/* The same, not zeroed. */
void *boot_alloc_raw(size_t size, size_t align);
/* Build struct page for all RAM and give what is not reserved to the buddy. Overlapping reservations panic. It
 * writes nothing per free page, so its time does not grow with RAM. After percpu_init(). Context: boot, single CPU. */
void pages_init(void);
/* Give the initrd's reservation, which pages_usable() counts from boot on, back page by page; partial pages stay. */
void pages_free_reserved(paddr_t start, size_t size);

/* --- pages --------------------------------------------------------------------------------------------------- */

/* 2^order contiguous pages, one reference. NULL if there are none (after reclaim, unless ALLOC_ATOMIC).
 * Context: thread or atomic; not irq. Locks: PAGES inside. */
struct page *page_alloc(unsigned order, unsigned flags) __must_check;
/* Drop one reference; the last frees the block. The owner must be PAGE_KERNEL or PAGE_USER; a reserved page counts
 * its users but is never freed. Context: thread or atomic; not irq. */
void page_put(struct page *p);
/* The same of each of n: those that go, go together. */
void pages_put(struct page *const *pages, unsigned n);
/* The block changes hands: PAGE_KERNEL, PAGE_SLAB, PAGE_TABLE or PAGE_USER. By its only owner. */
void page_set_owner(struct page *p, enum page_owner owner);
static inline void page_get(struct page *p)
{
	/* stuck counts stay usable, a dead page is a bug the put of the owner reports */
	if (!refcount_get(&p->ref))
		__builtin_trap();
}

/* Conversions. page_of_* BUG on an address that is not RAM. */
paddr_t page_to_phys(const struct page *p);
struct page *page_of_phys(paddr_t pa);
struct page *page_of_addr(const void *linear);
void *page_addr(const struct page *p);
void *phys_to_virt(paddr_t pa);
paddr_t virt_to_phys(const void *linear);
/* Is it RAM with a struct page? */
bool phys_is_ram(paddr_t pa);

/* The account: total = free + cached + every owner's; one snapshot, exact when the machine is quiet. */
struct page_stats {
	uint64_t total; /* pages of RAM with a struct page */
	uint64_t reserved;
	uint64_t lent;	     /* part of reserved: the initrd, which is given back */
	uint64_t free;	     /* buddy and CPU caches */
	uint64_t cpu_cached; /* part of free */
	uint64_t slab;
	uint64_t tables;
	uint64_t user;
	uint64_t kernel;
	uint64_t free_blocks[PAGE_ORDER_MAX + 1];
};
void page_stats(struct page_stats *out);
/* What there is to have a share of, in pages, as sysinfo(2) tells it: RAM without what the image, its tables and a sanitizer's
 * shadow took at boot. The same from the beginning on (I-MM-5). */
static inline uint64_t pages_usable(void)
{
	struct page_stats s;

	page_stats(&s);
	return s.total - s.reserved + s.lent;
}

/* Give all CPU-cached pages back to the buddy (tests, reclaim). Context: thread. */
void pages_drain_caches(void);

/* Shrinkers: called when memory is short; each returns the pages it freed. It may not allocate (asserted), and takes
 * mutexes only by trylock, for its caller may hold any. Context: thread, no spinlock held. Never unregistered. */
struct shrinker {
	struct list_head link;
	size_t (*shrink)(size_t want_pages);
};
void shrinker_register(struct shrinker *s);

/* Debug images, for tests: fail the n-th allocation from now (1: the next); 0 turns it off. Counts pages and slab
 * objects. At random: fault=alloc:N (kernel/core/fault.h). */
void alloc_fail_after(uint64_t n);

#endif
