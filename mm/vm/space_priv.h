/* SPDX-License-Identifier: MIT */
/* Inside address spaces: regions, and taking pages out of the table. */
#ifndef TERN_MM_VM_SPACE_PRIV_H
#define TERN_MM_VM_SPACE_PRIV_H

#include "kernel/core/panic.h"
#include "mm/phys/frame.h"
#include "mm/vm/space.h"

#define VM_PROT (VM_READ | VM_WRITE | VM_EXEC)
/* Lowest address the hole search gives out. */
#define VM_LOWEST 0x10000UL
/* Never mapped between a stack and what is below it. */
#define VM_STACK_GAP (256 * PAGE_SIZE)
/* Until exec says otherwise. */
#define VM_MMAP_BASE   (USER_MAX - (256UL << 20))
#define VM_STACK_LIMIT (8UL << 20)

/* page->flags of PAGE_USER pages. */
#define PAGE_ANON                                                                                  \
	BIT(0) /* [init] private to whoever holds references: writable in place by a sole owner */
#define PAGE_SYNCED BIT(1) /* [atomic] the instruction cache has been made to see it */
#define PAGE_CODE   BIT(2) /* [atomic] somebody may execute it, or is about to */

/* May a private mapping that holds a reference write to it in place? Only a space whose lock is held can add one. */
static inline bool page_is_sole(const struct page *p)
{
	return (READ_ONCE(p->flags) & PAGE_ANON) && refcount_read(&p->ref) == 1;
}

static inline unsigned page_is_anon(const struct page *p)
{
	return READ_ONCE(p->flags) & PAGE_ANON;
}

/* So many pages more (or less), anonymous ones among them, have an entry. */
static inline void space_account(struct vm_space *s, int64_t pages, int64_t anon)
{
	WRITE_ONCE(s->pages, s->pages + (uint64_t)pages);
	s->anon_pages += (uint64_t)anon;
	s->peak_pages = MAX(s->peak_pages, s->pages);
}

/* The page of the backing at va. */
static inline uint64_t region_index(const struct vm_region *r, vaddr_t va)
{
	return r->offset + (va - r->start) / PAGE_SIZE;
}

/* Does RLIMIT_DATA count it? */
static inline bool vm_is_data(unsigned prot)
{
	return (prot & (VM_WRITE | VM_SHARED | VM_STACK)) == VM_WRITE;
}

static inline bool range_ok(vaddr_t addr, size_t len)
{
	return addr >= USER_MIN && addr < USER_MAX && len <= USER_MAX - addr;
}

/* --- region.c: the tree ------------------------------------------------------------------------------------------- */

void regions_init(void);
void vm_regions_setup(struct vm_space *s);
/* A region with a reference of its own to backing; not in the tree. NULL: no memory. */
struct vm_region *region_create(vaddr_t start, vaddr_t end, unsigned prot,
				struct vm_backing *backing, uint64_t offset) __must_check;
/* Puts the backing, which may take any lock above VM_SPACE: no space's lock is held. */
void region_destroy(struct vm_region *r);
/* A list of them by dead_next. */
void regions_destroy(struct vm_region *r);
/* The first region that ends above addr, or NULL. */
struct vm_region *region_find(struct vm_space *s, vaddr_t addr) __requires(s->lock);
struct vm_region *region_next(const struct vm_region *r);
struct vm_region *region_prev(const struct vm_region *r);
struct vm_region *region_last(struct vm_space *s) __requires(s->lock);
/* BUG if it meets a neighbour (REL-001). */
void region_insert(struct vm_space *s, struct vm_region *r) __requires(s->lock);
void region_remove(struct vm_space *s, struct vm_region *r) __requires(s->lock);
/* All of them, as a list by dead_next: none is left. */
struct vm_region *regions_remove_all(struct vm_space *s) __requires(s->lock);
/* Move an end of r without touching a neighbour; the offset follows the start. */
void region_resize(struct vm_space *s, struct vm_region *r, vaddr_t start, vaddr_t end)
	__requires(s->lock);
/* To another place, where nothing is. It stays among its object's regions all the while: vm_mapping_trim() finds it. */
void region_move(struct vm_space *s, struct vm_region *r, vaddr_t to) __requires(s->lock);
void region_set_prot(struct vm_space *s, struct vm_region *r, unsigned prot) __requires(s->lock);
/* Cut r in two at `at`; the upper part is `upper`, made by region_create() and filled in here. */
void region_split(struct vm_space *s, struct vm_region *r, vaddr_t at, struct vm_region *upper)
	__requires(s->lock);
/* Join r with the neighbours that continue it. Returns the region that now holds r's addresses. */
struct vm_region *region_merge(struct vm_space *s, struct vm_region *r) __requires(s->lock);
/* The highest hole of len bytes below mmap_base, or 0. */
vaddr_t region_find_hole(struct vm_space *s, size_t len) __requires(s->lock);

/* --- map.c: ranges of regions --------------------------------------------------------------------------------------- */

/* Empty regions for what cutting ranges out of others can need: SPARE_RANGE for one range. And those cut out, to be
 * destroyed when the lock is dropped. */
#define SPARE_RANGE 2
#define SPARE_MAX   5
struct spare {
	struct vm_region *r[SPARE_MAX];
	unsigned n;
	struct vm_region *dead;
};
int spare_fill(struct spare *sp, unsigned n) __must_check;
void spare_release(struct spare *sp);
/* Not an errno: give back the lock, fill sp, and begin again. */
#define SPARE_SHORT 1
/* 0, or SPARE_SHORT if borders of regions must be made at start and end, and sp is empty. */
int spare_check(struct vm_space *s, vaddr_t start, vaddr_t end, const struct spare *sp)
	__requires(s->lock);
/* Make start and end borders of regions. */
void regions_cut(struct vm_space *s, vaddr_t start, vaddr_t end, struct spare *sp)
	__requires(s->lock);
void regions_unmap(struct vm_space *s, vaddr_t start, vaddr_t end, struct spare *sp)
	__requires(s->lock);
/* Pages of [start, end) that are mapped. */
uint64_t regions_mapped(struct vm_space *s, vaddr_t start, vaddr_t end) __requires(s->lock);
/* Would that many pages more, with these flags, break a limit? */
bool over_limit(struct vm_space *s, uint64_t more_pages, unsigned prot) __requires(s->lock);

/* --- entries ---------------------------------------------------------------------------------------------------------- */

/* A leaf whose page nobody may touch (PROT_NONE) keeps its page with the valid bit off. */
#define PTE_VALID_BIT 1UL

/* The entry for page p in a region of this protection. */
static inline pte_t vm_entry(const struct vm_region *r, const struct page *p, bool write)
{
	pte_t e = arch_pte_leaf(frame_phys(p), 3,
				PTE_USER | (write ? PTE_WRITE : 0) |
					((r->prot & VM_EXEC) ? PTE_EXEC : 0));

	return r->prot & VM_PROT ? e : e & ~PTE_VALID_BIT;
}

/* Make instruction fetches see the page's bytes; once for each page. */
void vm_sync_page(struct page *p);

/* Entries that have lost access, for one invalidation. Above this many pages, the whole ASID goes. */
#define FLUSH_PAGES_MAX 8
struct flush {
	struct vm_space *space;
	bool ended; /* nobody can run in the space any more: no TLB is told */
	unsigned n;
	vaddr_t va[FLUSH_PAGES_MAX];
};
static inline void flush_note(struct flush *f, vaddr_t va)
{
	if (f->n < FLUSH_PAGES_MAX)
		f->va[f->n] = va;
	f->n++;
}
/* Tell the TLBs; all: tables went too. */
void flush_finish(struct flush *f, bool all);

/* Pages on their way out: entries cleared, then one invalidation, then the references dropped. */
#define GATHER_MAX 64
struct gather {
	struct flush f;
	struct page *page[GATHER_MAX]; /* f.n of them */
};
/* For pgtable_walk(): clear the entries and gather their pages; and the rest of it, all: tables went too. */
void gather_entries(vaddr_t va, pte_t *e, unsigned n, void *gather);
void gather_finish(struct gather *g, bool all);
/* Take all pages of [start, end) out of the table; unmapped: no region is left there, and tables that no region reaches
 * into go too. */
void vm_clear_range(struct vm_space *s, vaddr_t start, vaddr_t end, bool unmapped)
	__requires(s->lock);
/* Unlink the tables of [start, end), where no region is, that no region reaches into. */
void vm_prune(struct vm_space *s, vaddr_t start, vaddr_t end, struct list_head *tables)
	__requires(s->lock);

#endif
