/* SPDX-License-Identifier: MIT */
/* Frames: their array, the addresses of them, and giving them out. Single pages go through a small list a CPU, whose
 * lock only strangers contend for (the account, and whoever drains it when memory is short); blocks go to the buddy
 * directly. A cache's lock and the buddy's are never held together: they are of one class.
 *
 * I-MM-2: each frame of RAM is reserved, or on a buddy list, or in one CPU's cache, or owned; total = reserved + free
 * + slab + tables + user + kernel whenever nobody is half-way through. The owners' sums are kept a CPU and added up
 * when asked, so the equality is a check of the allocator and not its definition (REL-005). */
#include "mm/phys/page_priv.h"

#include "kernel/core/fault.h"
#include "kernel/core/log.h"
#include "lib/string.h"

struct page_cache {
	spinlock_t lock;	/* PAGES */
	unsigned n;		/* [lock] */
	struct list_head pages; /* [lock] */
	int64_t owned
		[PAGE_OWNERS]; /* [cpu] irqs off: pages given to an owner here less those taken from it */
};

static DEFINE_PER_CPU(struct page_cache, page_cache);

struct page_range page_ranges[MACHINE_RANGES]; /* [init] */
static unsigned nr_ranges;
static uint64_t total_pages; /* [init] */
static unsigned
	cache_high; /* [init] a CPU keeps at most this many, and moves half of it at a time */
static uint64_t user_reserve; /* [init] pages of the buddy's that programs do not get */
static struct list_head shrinkers = LIST_HEAD_INIT(shrinkers); /* [PAGES] only ever added to */

/* --- addresses ---------------------------------------------------------------------------------------------- */

paddr_t virt_to_phys(const void *linear)
{
	DASSERT((uintptr_t)linear - LINEAR_BASE < LINEAR_SIZE);
	return paddr((uintptr_t)linear - LINEAR_BASE + arch_linear_pa);
}

static struct page *frame_lookup(uint64_t frame)
{
	for (const struct page_range *r = page_ranges; r < page_ranges + nr_ranges; r++)
		if (frame - r->first < r->count)
			return &r->pages[frame - r->first];
	return NULL;
}

struct page_range *page_range_of(const struct page *p)
{
	for (struct page_range *r = page_ranges; r < page_ranges + nr_ranges; r++)
		if ((uintptr_t)p - (uintptr_t)r->pages < r->count * sizeof(struct page))
			return r;
	BUG("mm: %p is no page", (const void *)p);
}

bool phys_is_ram(paddr_t pa)
{
	return frame_lookup(pa.pa >> PAGE_SHIFT) != NULL;
}

struct page *frame_page_slow(uint64_t frame)
{
	struct page *p = frame_lookup(frame);

	if (!p)
		BUG("mm: no RAM at physical address %llx", (unsigned long long)frame << PAGE_SHIFT);
	return p;
}

uint64_t frame_number_slow(const struct page *p)
{
	return range_frame(page_range_of(p), p);
}

struct page *page_of_phys(paddr_t pa)
{
	return frame_page(pa);
}

paddr_t page_to_phys(const struct page *p)
{
	return frame_phys(p);
}

void *phys_to_virt(paddr_t pa)
{
	return frame_virt(pa);
}

void *page_addr(const struct page *p)
{
	return frame_virt(frame_phys(p));
}

struct page *page_of_addr(const void *linear)
{
	uintptr_t off = (uintptr_t)linear - LINEAR_BASE;
	paddr_t pa = paddr(off + arch_linear_pa);

	if (unlikely(off >= LINEAR_SIZE) ||
	    (unlikely(!frame_is_usual(pa)) && !frame_lookup(pa.pa >> PAGE_SHIFT)))
		BUG("mm: address %p is not in RAM's linear map", linear);
	return frame_page(pa);
}

/* --- boot ----------------------------------------------------------------------------------------------------- */

/* The largest aligned blocks: none of them has a free buddy. */
static void give_range(struct page_range *r, uint64_t from, uint64_t to) __requires(buddy.lock)
{
	while (from < to) {
		unsigned order = from ? (unsigned)__builtin_ctzll(from) : PAGE_ORDER_MAX;

		order = MIN(order, (unsigned)PAGE_ORDER_MAX);
		while (from + (1UL << order) > to)
			order--;
		buddy_add(&r->pages[from - r->first], order);
		from += 1UL << order;
	}
}

static void reserve_range(struct page_range *r, uint64_t from, uint64_t to) __requires(buddy.lock)
{
	for (; from < to; from++) {
		struct page *p = &r->pages[from - r->first];

		memset(p, 0, sizeof(*p));
		list_init(&p->link);
		refcount_init(&p->ref, 1);
		p->owner = PAGE_RESERVED;
		buddy.nr_reserved++;
	}
}

/* The reserved frames of r, or the gaps between them. */
static void fill_range(struct page_range *r, const struct phys_range *reserved, unsigned n,
		       bool give) __requires(buddy.lock)
{
	uint64_t at = r->first, end = r->first + r->count;

	for (unsigned i = 0; i < n && at < end; i++) {
		uint64_t from = reserved[i].start >> PAGE_SHIFT;
		uint64_t to = (reserved[i].start + reserved[i].size + PAGE_SIZE - 1) >> PAGE_SHIFT;

		from = MIN(MAX(from, at), end);
		to = MIN(MAX(to, at), end);
		if (give)
			give_range(r, at, from);
		else
			reserve_range(r, from, to);
		at = to;
	}
	if (give)
		give_range(r, at, end);
}

static void ranges_init(void)
{
	for (unsigned i = 0; i < machine.nr_ram; i++) {
		uint64_t first = (machine.ram[i].start + PAGE_SIZE - 1) >> PAGE_SHIFT;
		uint64_t end = (machine.ram[i].start + machine.ram[i].size) >> PAGE_SHIFT;

		if (first >= end)
			continue;

		size_t bytes = (end - first) * sizeof(struct page);
		struct page_range *r = &page_ranges[nr_ranges++];

		r->first = first;
		r->count = end - first;
		/* not zeroed in the release image: I-MM-1 */
		r->pages = boot_alloc_raw(bytes, 64);
		if (MM_DEBUG)
			memset(r->pages, 0, bytes);
		total_pages += r->count;
	}
}

static void caches_init(void)
{
	struct cpu *c;

	user_reserve = total_pages / 64;
	cache_high = (unsigned)MIN(MAX(total_pages / (cpu_count() * 64), 4UL), 256UL);
	for_each_cpu (c) {
		struct page_cache *pc = per_cpu_ptr(page_cache, c);

		spin_init(&pc->lock, LOCK_PAGES);
		list_init(&pc->pages);
		pc->n = 0;
	}
}

/* The whole frames of a range. */
static void frames_of(paddr_t start, size_t size, uint64_t *from, uint64_t *to)
{
	*from = (start.pa + PAGE_SIZE - 1) >> PAGE_SHIFT;
	*to = MAX(*from, (start.pa + size) >> PAGE_SHIFT);
}

void pages_init(void)
{
	uint64_t from, to;
	static struct phys_range reserved[MACHINE_RANGES];

	nr_ranges = 0;
	total_pages = 0;
	ranges_init();
	caches_init();
	buddy_init();

	unsigned n = boot_finish(reserved, ARRAY_SIZE(reserved));
	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	for (unsigned i = 0; i < nr_ranges; i++)
		fill_range(&page_ranges[i], reserved, n, false);
	for (unsigned i = 0; i < nr_ranges; i++)
		fill_range(&page_ranges[i], reserved, n, true);
	frames_of(paddr(machine.initrd.start), machine.initrd.size, &from, &to);
	buddy.nr_lent = to - from;
	spin_unlock_irqrestore(&buddy.lock, f);
	log_info("mm: %llu KiB of RAM, %llu free", (unsigned long long)total_pages * 4,
		 (unsigned long long)buddy.nr_free * 4);
}

void pages_free_reserved(paddr_t start, size_t size)
{
	uint64_t from, to;

	frames_of(start, size, &from, &to);
	for (; from < to; from++) {
		struct page *p = page_of_phys(paddr(from << PAGE_SHIFT));
		irqflags_t f = spin_lock_irqsave(&buddy.lock);

		ASSERT(p->owner == PAGE_RESERVED && refcount_read(&p->ref) == 1);
		p->owner = PAGE_TAIL;
		buddy.nr_reserved--;
		ASSERT(buddy.nr_lent > 0);
		buddy.nr_lent--;
		buddy_give(p, 0);
		spin_unlock_irqrestore(&buddy.lock, f);
	}
}

/* --- checks ---------------------------------------------------------------------------------------- */

void alloc_check_context(void)
{
	if (in_irq())
		BUG("mm: allocation in irq context");
	if (current_base()->alloc_forbidden)
		BUG("mm: allocation where it is forbidden");
}

/* Reclaim may take its time and wait for nobody, but it runs other floors' code: not from atomic context. */
static bool may_reclaim(unsigned flags)
{
	return !(flags & ALLOC_ATOMIC) && !arch_irqs_off() && current_base()->preempt_depth == 0;
}

/* --- giving out and taking back --------------------------------------------------------------------------------- */

/* irqs off, pc this CPU's. */
static void account_here(struct page_cache *pc, enum page_owner owner, int64_t pages)
{
	WRITE_ONCE(pc->owned[owner], pc->owned[owner] + pages);
}

static void account(enum page_owner owner, int64_t pages)
{
	irqflags_t f = arch_irq_save();

	account_here(this_cpu_ptr(page_cache), owner, pages);
	arch_irq_restore(f);
}

/* Pages that the buddy gives or takes in one hold, interrupts off. */
enum { HOLD_BATCH = 32 };

/* Move up to n single pages between the buddy and a private list. The smallest block is used up first, as a whole if that
 * is not too much. */
static unsigned buddy_take_hold(struct list_head *out, unsigned n)
{
	irqflags_t f = spin_lock_irqsave(&buddy.lock);
	unsigned got = 0;

	while (got < n && buddy.nonempty) {
		unsigned order = MIN((unsigned)__builtin_ctz(buddy.nonempty),
				     31u - (unsigned)__builtin_clz(n - got));
		struct page *p = buddy_take(order), *end = p + (1UL << order);
		uint16_t flags = p->flags;

		for (; p < end; p++, got++) {
			p->flags = flags;
			p->owner = PAGE_CPU_CACHE;
			p->order = 0;
			list_push_back(&p->link, out);
		}
	}
	spin_unlock_irqrestore(&buddy.lock, f);
	return got;
}

static unsigned buddy_take_batch(struct list_head *out, unsigned n)
{
	unsigned got = 0, more;

	do {
		more = buddy_take_hold(out, MIN(n - got, (unsigned)HOLD_BATCH));
		got += more;
	} while (more && got < n);
	return got;
}

static void buddy_give_batch(struct list_head *pages)
{
	while (!list_empty(pages)) {
		irqflags_t f = spin_lock_irqsave(&buddy.lock);

		for (unsigned n = 0; n < HOLD_BATCH && !list_empty(pages); n++) {
			struct page *p = list_first(pages, struct page, link);

			list_del(&p->link);
			buddy_give(p, 0);
		}
		spin_unlock_irqrestore(&buddy.lock, f);
	}
}

/* Take the oldest n pages of pc into out. */
static void cache_shed(struct page_cache *pc, unsigned n, struct list_head *out)
	__requires(pc->lock)
{
	for (; n > 0 && pc->n > 0; n--, pc->n--) {
		struct page *p = list_last(&pc->pages, struct page, link);

		list_del(&p->link);
		list_push_back(&p->link, out);
	}
}

/* A page of this CPU's cache for owner. */
static struct page *cache_take(enum page_owner owner)
{
	irqflags_t f = arch_irq_save();
	struct page_cache *pc = this_cpu_ptr(page_cache);
	struct page *p = NULL;

	spin_lock(&pc->lock);
	if (pc->n > 0) {
		p = list_first(&pc->pages, struct page, link);
		list_del(&p->link);
		pc->n--;
		account_here(pc, owner, 1);
	}
	spin_unlock(&pc->lock);
	arch_irq_restore(f);
	return p;
}

/* Put pages of owner's (PAGE_FREE: the buddy's) into this CPU's cache; what is too much for it goes to the buddy. */
static void cache_give(struct list_head *pages, unsigned n, enum page_owner owner)
{
	struct list_head excess = LIST_HEAD_INIT(excess);
	irqflags_t f = arch_irq_save();
	struct page_cache *pc = this_cpu_ptr(page_cache);

	spin_lock(&pc->lock);
	list_splice_back(&pc->pages, pages);
	list_splice_back(pages, &pc->pages);
	pc->n += n;
	account_here(pc, owner, -(int64_t)n);
	if (pc->n > cache_high)
		cache_shed(pc, cache_high / 2 + pc->n - cache_high, &excess);
	spin_unlock(&pc->lock);
	arch_irq_restore(f);
	if (!list_empty(&excess))
		buddy_give_batch(&excess);
}

void pages_drain_caches(void)
{
	struct cpu *c;

	for_each_cpu (c) {
		struct list_head out = LIST_HEAD_INIT(out);
		struct page_cache *pc = per_cpu_ptr(page_cache, c);
		irqflags_t f = spin_lock_irqsave(&pc->lock);

		cache_shed(pc, pc->n, &out);
		spin_unlock_irqrestore(&pc->lock, f);
		buddy_give_batch(&out);
	}
}

/* With half a load for the cache, which is empty. */
static __noinline struct page *take_batch(enum page_owner owner)
{
	struct list_head batch = LIST_HEAD_INIT(batch);
	unsigned n = buddy_take_batch(&batch, MAX(cache_high / 2, 1u));
	struct page *p;

	if (n == 0)
		return NULL;
	p = list_first(&batch, struct page, link);
	list_del(&p->link);
	account(owner, 1);
	if (n > 1)
		cache_give(&batch, n - 1, PAGE_FREE);
	return p;
}

static struct page *take_block(unsigned order, enum page_owner owner)
{
	struct page *p;
	irqflags_t f;

	if (order == 0) {
		p = cache_take(owner);
		return p ? p : take_batch(owner);
	}
	f = spin_lock_irqsave(&buddy.lock);
	p = buddy_take(order);
	if (p)
		p->owner = PAGE_CPU_CACHE;
	spin_unlock_irqrestore(&buddy.lock, f);
	if (p)
		account(owner, 1L << order);
	return p;
}

static struct shrinker *shrinker_next(struct shrinker *s)
{
	irqflags_t f = spin_lock_irqsave(&buddy.lock);
	struct list_head *next = s ? s->link.next : shrinkers.next;

	spin_unlock_irqrestore(&buddy.lock, f);
	return next == &shrinkers ? NULL : list_entry(next, struct shrinker, link);
}

static size_t run_shrinkers(size_t want)
{
	size_t freed = 0;

	current_base()->alloc_forbidden = true;
	for (struct shrinker *s = shrinker_next(NULL); s; s = shrinker_next(s))
		freed += s->shrink(want);
	current_base()->alloc_forbidden = false;
	return freed;
}

/* Programs leave the last pages to the kernel, which needs some to end them. */
static bool may_take(unsigned flags)
{
	return !(flags & ALLOC_USER) || READ_ONCE(buddy.nr_free) > user_reserve;
}

/* Memory is short: other CPUs' caches first, then what the floors above can spare, as long as that helps. */
static __noinline struct page *take_slow(unsigned order, unsigned flags, enum page_owner owner)
{
	struct page *p;
	size_t freed;

	do {
		freed = may_reclaim(flags) ? run_shrinkers(1UL << order) : 0;
		pages_drain_caches();
		p = may_take(flags) ? take_block(order, owner) : NULL;
	} while (!p && freed > 0);
	return p;
}

struct page *page_alloc(unsigned order, unsigned flags)
{
	enum page_owner owner = flags & ALLOC_USER ? PAGE_USER : PAGE_KERNEL;

	alloc_check_context();
	ASSERT(order <= PAGE_ORDER_MAX);
	if (fault_hits(FAULT_ALLOC))
		return NULL;

	struct page *p = may_take(flags) ? take_block(order, owner) : NULL;

	if (!p)
		p = take_slow(order, flags, owner);
	if (!p)
		return NULL;
	DASSERT(p->owner == PAGE_CPU_CACHE && p->order == order);
	WRITE_ONCE(p->owner, owner);
	p->priv = NULL;
	p->index = 0;
	list_init(&p->link);
	refcount_init(&p->ref, 1);
	page_check_out(p, order, flags);
	p->flags = 0;
	for (unsigned i = 0; (flags & ALLOC_ZERO) && i < 1u << order; i++)
		arch_zero_page((char *)page_addr(p) + i * PAGE_SIZE);
	return p;
}

static void free_block(struct page *p)
{
	irqflags_t f;

	ASSERT(p->order <= PAGE_ORDER_MAX);
	account(p->owner, -(1L << p->order));
	p->flags = 0;
	page_check_in(p, p->order);
	f = spin_lock_irqsave(&buddy.lock);
	buddy_give(p, p->order);
	spin_unlock_irqrestore(&buddy.lock, f);
}

/* Single pages that nobody has any more, on their way into this CPU's cache together. */
struct freed {
	struct list_head pages;
	enum page_owner owner; /* theirs until now */
	unsigned n;
};

static void freed_finish(struct freed *fr)
{
	if (fr->n > 0)
		cache_give(&fr->pages, fr->n, fr->owner);
	fr->n = 0;
}

static void free_last(struct freed *fr, struct page *p)
{
	if (p->owner == PAGE_RESERVED)
		BUG("mm: last put of reserved page %p", (void *)p);
	if (p->order > 0) {
		free_block(p);
		return;
	}
	if (fr->owner != p->owner)
		freed_finish(fr);
	fr->owner = p->owner;
	fr->n++;
	p->flags = 0;
	page_check_in(p, 0);
	WRITE_ONCE(p->owner, PAGE_CPU_CACHE);
	list_push_back(&p->link, &fr->pages);
}

static inline bool put_is_last(struct page *p)
{
	DASSERT(!in_irq());
	if (p->owner != PAGE_USER && p->owner != PAGE_KERNEL && p->owner != PAGE_RESERVED)
		BUG("mm: put of page %p with owner %u", (void *)p, p->owner);
	return refcount_put(&p->ref);
}

void pages_put(struct page *const *pages, unsigned n)
{
	struct freed fr = { LIST_HEAD_INIT(fr.pages), PAGE_FREE, 0 };

	for (unsigned i = 0; i < n; i++)
		if (put_is_last(pages[i]))
			free_last(&fr, pages[i]);
	freed_finish(&fr);
}

static __noinline void put_last(struct page *p)
{
	struct freed fr = { LIST_HEAD_INIT(fr.pages), PAGE_FREE, 0 };

	free_last(&fr, p);
	freed_finish(&fr);
}

/* Nothing but the count in the usual case. */
void page_put(struct page *p)
{
	if (put_is_last(p))
		put_last(p);
}

void page_set_owner(struct page *p, enum page_owner owner)
{
	ASSERT(p->owner >= PAGE_KERNEL && p->owner <= PAGE_USER);
	ASSERT(owner >= PAGE_KERNEL && owner <= PAGE_USER);
	account(p->owner, -(1L << p->order));
	account(owner, 1L << p->order);
	WRITE_ONCE(p->owner, (uint8_t)owner);
}

void shrinker_register(struct shrinker *s)
{
	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	list_push_back(&s->link, &shrinkers);
	spin_unlock_irqrestore(&buddy.lock, f);
}

/* --- the account ------------------------------------------------------------------------------------------------ */

void page_stats(struct page_stats *out)
{
	int64_t owned[PAGE_OWNERS] = { 0 };
	uint64_t cached = 0;
	struct cpu *c;

	for_each_cpu (c) {
		struct page_cache *pc = per_cpu_ptr(page_cache, c);
		irqflags_t f = spin_lock_irqsave(&pc->lock);

		cached += pc->n;
		for (unsigned i = 0; i < PAGE_OWNERS; i++)
			owned[i] += READ_ONCE(pc->owned[i]);
		spin_unlock_irqrestore(&pc->lock, f);
	}

	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	out->total = total_pages;
	out->reserved = buddy.nr_reserved;
	out->lent = buddy.nr_lent;
	out->cpu_cached = cached;
	out->free = buddy.nr_free + cached;
	memcpy(out->free_blocks, buddy.blocks, sizeof(out->free_blocks));
	spin_unlock_irqrestore(&buddy.lock, f);
	out->slab = (uint64_t)owned[PAGE_SLAB];
	out->tables = (uint64_t)owned[PAGE_TABLE];
	out->user = (uint64_t)owned[PAGE_USER];
	out->kernel = (uint64_t)owned[PAGE_KERNEL];
}
