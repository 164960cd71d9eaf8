/* SPDX-License-Identifier: MIT */
/* The kernel's own mappings above the linear map, and the stacks that live there. The stack area is cut into slots,
 * one part for each size; a slot's stack is at its upper end and all below it is never mapped, so running over its
 * low end faults whatever the frame's size. A bitmap in pages of its own says which slots are taken. A few
 * free stacks of each size stay mapped for the next thread.
 *
 * I-MM-3: there is one kernel page table, changed only under table_lock, and every unmapping is followed by the
 * invalidation on all CPUs before its page is given away. */
#include "mm/phys/kstack.h"

#include "kernel/core/kasan.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page_priv.h"
#include "mm/phys/pgtable.h"

#define CHUNK_SLOTS (PAGE_SIZE * 8)
#define CHUNKS_MAX  64
#define KEEP_MAX    16

/* The stacks of one size. */
struct stack_class {
	size_t size;	    /* [init] */
	size_t slot;	    /* [init] size and the hole below */
	vaddr_t base;	    /* [init] */
	unsigned nr_chunks; /* [table_lock] bitmap pages in use */
	unsigned hint;	    /* [table_lock] no free slot below this one */
	uint64_t *chunk
		[CHUNKS_MAX];	  /* [table_lock] one page each; as many as the area has room for */
	unsigned keep;		  /* [init] free stacks kept mapped */
	unsigned nr_kept;	  /* [table_lock] */
	uintptr_t kept[KEEP_MAX]; /* [table_lock] their low ends */
};

static spinlock_t table_lock = SPINLOCK_INIT(KMEM);
static struct shrinker shrinker;

/* How much of the area each size has. The sanitizer's shadow reaches as far up as half of RAM. */
#ifdef SAN_ADDRESS
#define CLASS_AREA(ram) ALIGN_DOWN(MIN((ram) / 4, KSTACK_AREA_SIZE / 2), 2 * KSTACK_SIZE_LARGE)
#else
#define CLASS_AREA(ram) ((void)(ram), KSTACK_AREA_SIZE / 2)
#endif
static uint64_t class_area; /* [init] */

static struct stack_class classes[] = {
	{ .size = KSTACK_SIZE, .slot = 2 * KSTACK_SIZE },
	{ .size = KSTACK_SIZE_LARGE, .slot = 2 * KSTACK_SIZE_LARGE },
};

static_assert(KSTACK_AREA_SIZE / 2 / (2 * KSTACK_SIZE) <= CHUNKS_MAX * CHUNK_SLOTS,
	      "the bitmap covers the area");

/* --- the kernel's table ------------------------------------------------------------------------------------------ */

static struct pgtable kernel_table(void)
{
	return (struct pgtable){ .root = virt_to_phys(arch_kernel_root()) };
}

static int map_locked(vaddr_t va, paddr_t pa, unsigned prot) __requires(table_lock)
{
	struct pgtable pt = kernel_table();
	pte_t *e = pgtable_leaf(&pt, va, true);

	if (!e)
		return -ENOMEM;
	if (arch_pte_valid(pte_get(e)))
		return -EEXIST;
	pte_set(e, arch_pte_leaf(pa, 3, prot));
	arch_pte_sync();
	return 0;
}

/* The page is still the caller's. The invalidation is complete on return. */
static int unmap_locked(vaddr_t va, paddr_t *pa) __requires(table_lock)
{
	struct pgtable pt = kernel_table();
	pte_t *e = pgtable_leaf(&pt, va, false);

	if (!e || !arch_pte_valid(pte_get(e)))
		return -ENOENT;
	*pa = arch_pte_addr(pte_get(e));
	pte_set(e, 0);
	arch_tlb_flush_kernel_page(va);
	return 0;
}

/* --- slots ---------------------------------------------------------------------------------------------------------- */

static struct stack_class *class_of(size_t size)
{
	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
		if (classes[i].size == size)
			return &classes[i];
	BUG("kstack: no stacks of %zu bytes", size);
}

static unsigned nr_slots(const struct stack_class *c)
{
	return (unsigned)(class_area / c->slot);
}

/* -ENOMEM, or 0 with a bitmap page more. */
static int grow_bitmap(struct stack_class *c) __requires(table_lock)
{
	struct page *p;

	if (c->nr_chunks * CHUNK_SLOTS >= nr_slots(c))
		return -ENOMEM;
	p = page_alloc(0, ALLOC_ZERO);
	if (!p)
		return -ENOMEM;
	c->chunk[c->nr_chunks++] = page_addr(p);
	return 0;
}

static int slot_take(struct stack_class *c, uintptr_t *lo) __requires(table_lock)
{
	for (unsigned w = c->hint / 64;; w++) {
		if (w * 64 >= c->nr_chunks * CHUNK_SLOTS) {
			int err = grow_bitmap(c);

			if (err)
				return err;
		}

		uint64_t *word = &c->chunk[w * 64 / CHUNK_SLOTS][w % (CHUNK_SLOTS / 64)];

		if (*word == UINT64_MAX)
			continue;

		unsigned bit = (unsigned)__builtin_ctzll(~*word), slot = w * 64 + bit;

		if (slot >= nr_slots(c))
			return -ENOMEM;
		*word |= BIT(bit);
		c->hint = slot + 1;
		*lo = c->base + (slot + 1UL) * c->slot - c->size;
		return 0;
	}
}

static void slot_give(struct stack_class *c, uintptr_t lo) __requires(table_lock)
{
	unsigned slot = (unsigned)((lo - c->base) / c->slot);
	uint64_t *word = &c->chunk[slot / CHUNK_SLOTS][slot % CHUNK_SLOTS / 64];

	ASSERT(*word & BIT(slot % 64));
	*word &= ~BIT(slot % 64);
	c->hint = MIN(c->hint, slot);
}

/* --- stacks --------------------------------------------------------------------------------------------------------- */

/* Unmap n pages from lo, and the tables that held nothing else; all of it into a list to be freed. */
static void unmap_stack(struct stack_class *c, uintptr_t lo, unsigned n, struct list_head *pages,
			struct list_head *tables) __requires(table_lock)
{
	struct pgtable pt = kernel_table();

	for (unsigned i = 0; i < n; i++) {
		paddr_t pa;

		if (unmap_locked(lo + i * PAGE_SIZE, &pa) < 0)
			BUG("kstack: page %u of the stack at %lx is not mapped", i,
			    (unsigned long)lo);
		list_push_back(&page_of_phys(pa)->link, pages);
	}
	slot_give(c, lo);
	pgtable_prune(&pt, lo, lo + c->size, 0, 0, tables);
	if (!list_empty(tables))
		arch_tlb_flush_kernel_page(lo);
}

static size_t free_pages(struct list_head *pages)
{
	size_t n = 0;

	for (; !list_empty(pages); n++) {
		struct page *p = list_first(pages, struct page, link);

		list_del(&p->link);
		page_put(p);
	}
	return n;
}

static bool take_kept(struct stack_class *c, uintptr_t *lo)
{
	irqflags_t f = spin_lock_irqsave(&table_lock);
	bool found = c->nr_kept > 0;

	if (found)
		*lo = c->kept[--c->nr_kept];
	spin_unlock_irqrestore(&table_lock, f);
	return found;
}

/* Map the pages of the list, emptying it. */
static int map_stack(struct stack_class *c, struct list_head *pages, uintptr_t *lo)
{
	struct list_head tables = LIST_HEAD_INIT(tables);
	irqflags_t f = spin_lock_irqsave(&table_lock);
	unsigned n = 0;
	int err = slot_take(c, lo);

	while (!err && !list_empty(pages)) {
		struct page *p = list_first(pages, struct page, link);

		err = map_locked(*lo + n * PAGE_SIZE, page_to_phys(p), PTE_WRITE | PTE_GLOBAL);
		if (err) {
			unmap_stack(c, *lo, n, pages, &tables);
			break;
		}
		list_del(&p->link);
		n++;
	}
	spin_unlock_irqrestore(&table_lock, f);
	pgtable_free_tables(&tables);
	return err;
}

static int make_stack(struct stack_class *c, uintptr_t *lo)
{
	struct list_head pages = LIST_HEAD_INIT(pages);
	int err = 0;

	for (unsigned i = 0; i < c->size / PAGE_SIZE && !err; i++) {
		struct page *p = page_alloc(0, 0);

		if (p)
			list_push_back(&p->link, &pages);
		else
			err = -ENOMEM;
	}
	if (!err)
		err = map_stack(c, &pages, lo);
	free_pages(&pages);
	return err;
}

/* As page_alloc() leaves pages, so that a test can tell how deep it was used. Through the linear map: hosted tests have
 * no other. */
static void fill_stack(uintptr_t lo, size_t size)
{
	struct pgtable pt = kernel_table();

	for (uintptr_t va = lo; va < lo + size; va += PAGE_SIZE)
		memset(phys_to_virt(arch_pte_addr(pte_get(pgtable_leaf(&pt, va, false)))),
		       PAGE_POISON_ALLOC, PAGE_SIZE);
}

int kstack_alloc(struct kstack *out, size_t size)
{
	struct stack_class *c = class_of(size);
	uintptr_t lo = 0;

	if (!take_kept(c, &lo)) {
		int err = make_stack(c, &lo);

		if (err)
			return err;
	}
	kasan_unpoison((const void *)lo, size);
	if (MM_DEBUG)
		fill_stack(lo, size);
	out->lo = lo;
	out->hi = lo + size;
	return 0;
}

static size_t destroy_stack(struct stack_class *c, uintptr_t lo)
{
	struct list_head pages = LIST_HEAD_INIT(pages), tables = LIST_HEAD_INIT(tables);
	irqflags_t f = spin_lock_irqsave(&table_lock);

	unmap_stack(c, lo, (unsigned)(c->size / PAGE_SIZE), &pages, &tables);
	spin_unlock_irqrestore(&table_lock, f);
	pgtable_free_tables(&tables);
	return free_pages(&pages);
}

void kstack_free(struct kstack *s)
{
	struct stack_class *c = class_of(s->hi - s->lo);
	irqflags_t f = spin_lock_irqsave(&table_lock);
	bool kept = c->nr_kept < c->keep;

	if (kept)
		c->kept[c->nr_kept++] = s->lo;
	spin_unlock_irqrestore(&table_lock, f);
	if (!kept)
		destroy_stack(c, s->lo);
	s->lo = s->hi = 0;
}

size_t kstack_reap(void)
{
	size_t pages = 0;
	uintptr_t lo;

	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
		while (take_kept(&classes[i], &lo))
			pages += destroy_stack(&classes[i], lo);
	return pages;
}

static size_t shrink(size_t want_pages)
{
	(void)want_pages;
	return kstack_reap();
}

void kstack_init(void)
{
	struct page_stats stats;

	page_stats(&stats);
	class_area = CLASS_AREA(stats.total * PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
		classes[i].base = KSTACK_AREA_BASE + i * class_area;

		irqflags_t f = spin_lock_irqsave(&table_lock);
		int err = grow_bitmap(&classes[i]);

		spin_unlock_irqrestore(&table_lock, f);
		if (err)
			panic("kstack: no memory at boot");
		/* at most one part in 64 of what can be had */
		classes[i].keep = (unsigned)MIN(pages_usable() / 64 / (classes[i].size / PAGE_SIZE),
						(uint64_t)KEEP_MAX);
	}
	shrinker.shrink = shrink;
	shrinker_register(&shrinker);
}
