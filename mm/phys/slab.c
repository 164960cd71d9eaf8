/* SPDX-License-Identifier: MIT */
/* Slab caches. A slab is a block of pages with a header and objects of one size; a bitmap in the header says which
 * are out, so a free object holds nothing the allocator needs. A cache keeps its slabs on three lists: full, partial,
 * empty; it takes from the first partial one and gives all but a few empty ones back. In front of them is a magazine
 * a CPU: a stack of objects, behind a lock only reclaim contends for. The magazine's lock and the cache's are of one
 * class and never held together: objects cross between them in a batch on the stack.
 * What debug images add is in slab_check.c.
 *
 * I-SLAB-1: an object is out of its slab (bit in `used`) iff it is in a magazine or with a user.
 * I-SLAB-2: a slab is on full iff nr_used is all, on empty iff it is 0, else on partial. */
#include "mm/phys/slab_priv.h"

#include "kernel/core/fault.h"
#include "kernel/core/perturb.h"
#include "lib/string.h"

#define SLAB_ORDER_MAX 3
#define BATCH_MAX      16u
#define MIN_ALIGN      16UL
/* Empty slabs a cache keeps. */
#define EMPTY_KEPT 1

struct magazine {
	spinlock_t lock; /* SLAB */
	unsigned n;	 /* [lock] */
	void *object[];	 /* [lock] the last given back is on top */
} __aligned(64);

static struct slab_cache caches_cache; /* of struct slab_cache */
static spinlock_t list_lock = SPINLOCK_INIT(KMEM);
static struct list_head caches = LIST_HEAD_INIT(caches); /* [list_lock] */
static struct shrinker shrinker;

/* --- geometry ------------------------------------------------------------------------------------------------- */

static size_t header_size(unsigned words)
{
	return sizeof(struct slab) + words * sizeof(uint64_t) * (MM_DEBUG ? 2 : 1);
}

/* Fit as many objects as go into a block of this order. */
static void fit_objects(struct slab_cache *c, unsigned order)
{
	size_t bytes = PAGE_SIZE << order;
	size_t n = bytes / c->stride;

	for (; n > 0; n--) {
		unsigned words = (unsigned)DIV_ROUND_UP(n, 64);
		size_t start = ALIGN_UP(header_size(words), c->align);

		if (start + n * c->stride > bytes)
			continue;
		c->order = (uint8_t)order;
		c->per_slab = (uint16_t)n;
		c->words = (uint16_t)words;
		c->first = (uint32_t)start;
		return;
	}
	c->per_slab = 0;
}

static void set_geometry(struct slab_cache *c, size_t size, size_t align)
{
	c->size = size;
	c->align = MAX(align, MIN_ALIGN);
	c->stride = ALIGN_UP(size, c->align) + slab_zone_size(c);
	if (MM_DEBUG)
		c->stride = ALIGN_UP(size + MIN_ALIGN, c->align) + slab_zone_size(c);
	for (unsigned order = 0; order <= SLAB_ORDER_MAX; order++) {
		size_t bytes = PAGE_SIZE << order;

		fit_objects(c, order);
		if (c->per_slab && bytes - c->per_slab * c->stride <= bytes / 8)
			return;
	}
}

static void *object_at(const struct slab_cache *c, const struct slab *s, unsigned i)
{
	return (char *)s + c->first + i * c->stride + slab_zone_size(c);
}

unsigned slab_object_index(const struct slab_cache *c, const struct slab *s, const void *p)
{
	size_t off = (size_t)((const char *)p - (const char *)s) - c->first - slab_zone_size(c);

	if (off % c->stride || off / c->stride >= c->per_slab)
		BUG("slab: %p is inside an object of %s, not its start", p, c->name);
	return (unsigned)(off / c->stride);
}

struct slab *slab_of(const void *p)
{
	struct page *pg = frame_of_addr(p);

	if (pg->owner != PAGE_SLAB)
		BUG("slab: %p is not slab memory: page owner %u", p, pg->owner);
	return slab_of_page(pg);
}

/* --- slabs -------------------------------------------------------------------------------------------------------- */

static struct slab *slab_make(struct slab_cache *c)
{
	struct page *pg = page_alloc(c->order, 0);

	if (!pg)
		return NULL;

	struct slab *s = page_addr(pg);

	page_set_owner(pg, PAGE_SLAB);
	pg[0].priv = s;
	for (unsigned i = 1; i < 1u << c->order; i++) {
		pg[i].owner = PAGE_SLAB;
		pg[i].priv = s;
	}
	memset(s, 0, header_size(c->words));
	list_init(&s->link);
	s->cache = c;
	s->magic = SLAB_MAGIC;
	for (unsigned i = 0; i < c->per_slab; i++)
		slab_check_new(c, object_at(c, s, i));
	return s;
}

static void slab_give_back(struct slab_cache *c, struct slab *s)
{
	struct page *pg = page_of_addr(s);

	ASSERT(s->nr_used == 0);
	s->magic = 0;
	for (unsigned i = 1; i < 1u << c->order; i++)
		pg[i].owner = PAGE_TAIL;
	page_set_owner(pg, PAGE_KERNEL);
	page_put(pg);
}

static void file_slab(struct slab_cache *c, struct slab *s) __requires(c->lock)
{
	list_del(&s->link);
	if (s->nr_used == 0)
		list_push_front(&s->link, &c->empty);
	else if (s->nr_used == c->per_slab)
		list_push_front(&s->link, &c->full);
	else
		list_push_front(&s->link, &c->partial);
}

static void *slab_pop(struct slab_cache *c, struct slab *s) __requires(c->lock)
{
	unsigned w = s->first_free;

	while (w < c->words && s->bits[w] == UINT64_MAX)
		w++;

	unsigned i = w * 64 + (unsigned)__builtin_ctzll(~s->bits[w]);

	ASSERT(i < c->per_slab);
	s->first_free = (uint16_t)w;
	s->bits[w] |= BIT(i % 64);
	s->nr_used++;
	if (s->nr_used == c->per_slab || s->nr_used == 1)
		file_slab(c, s);
	return object_at(c, s, i);
}

/* Take up to n objects from the slabs there are. */
static unsigned slabs_take(struct slab_cache *c, void **out, unsigned n) __requires(c->lock)
{
	unsigned got = 0;

	for (; got < n; got++) {
		struct list_head *from = !list_empty(&c->partial) ? &c->partial : &c->empty;

		if (list_empty(from))
			break;
		if (from == &c->empty)
			c->nr_empty--;
		out[got] = slab_pop(c, list_first(from, struct slab, link));
	}
	c->nr_out += got;
	return got;
}

/* Give objects back to their slabs; slabs that are empty and too many move to excess. */
static void slabs_give(struct slab_cache *c, void *const *objects, unsigned n,
		       struct list_head *excess) __requires(c->lock)
{
	for (unsigned k = 0; k < n; k++) {
		struct slab *s = slab_of(objects[k]);

		if (s->cache != c)
			BUG("slab: object %p of %s freed to %s", objects[k], s->cache->name,
			    c->name);

		unsigned i = slab_object_index(c, s, objects[k]);

		if (!(s->bits[i / 64] & BIT(i % 64)))
			BUG("slab: double free of %p of %s", objects[k], c->name);
		s->bits[i / 64] &= ~BIT(i % 64);
		s->first_free = (uint16_t)MIN((unsigned)s->first_free, i / 64);
		s->nr_used--;
		if (s->nr_used == 0 || s->nr_used == c->per_slab - 1)
			file_slab(c, s);
		if (s->nr_used > 0)
			continue;
		if (c->nr_empty < EMPTY_KEPT) {
			c->nr_empty++;
		} else {
			list_del(&s->link);
			list_push_back(&s->link, excess);
			WRITE_ONCE(c->nr_slabs, c->nr_slabs - 1);
		}
	}
	c->nr_out -= n;
}

static size_t drop_slabs(struct slab_cache *c, struct list_head *slabs)
{
	size_t pages = 0;

	while (!list_empty(slabs)) {
		struct slab *s = list_first(slabs, struct slab, link);

		list_del(&s->link);
		slab_give_back(c, s);
		pages += 1UL << c->order;
	}
	return pages;
}

static void cache_give(struct slab_cache *c, void *const *objects, unsigned n)
{
	struct list_head excess = LIST_HEAD_INIT(excess);
	irqflags_t f = spin_lock_irqsave(&c->lock);

	slabs_give(c, objects, n, &excess);
	spin_unlock_irqrestore(&c->lock, f);
	drop_slabs(c, &excess);
}

void slab_bound(struct slab_cache *c, uint64_t pages, bool (*exempt)(void))
{
	c->most = MAX(pages >> c->order, 1UL);
	c->exempt = exempt;
}

static bool may_grow(const struct slab_cache *c)
{
	return !c->most || READ_ONCE(c->nr_slabs) < c->most || c->exempt();
}

/* At least one object, at most n, growing the cache if it must. 0: no memory. */
static unsigned cache_take(struct slab_cache *c, void **out, unsigned n)
{
	irqflags_t f = spin_lock_irqsave(&c->lock);
	unsigned got = slabs_take(c, out, n);

	spin_unlock_irqrestore(&c->lock, f);
	if (got)
		return got;

	struct slab *s = may_grow(c) ? slab_make(c) : NULL;

	if (!s)
		return 0;
	f = spin_lock_irqsave(&c->lock);
	list_push_front(&s->link, &c->empty);
	c->nr_empty++;
	WRITE_ONCE(c->nr_slabs, c->nr_slabs + 1);
	got = slabs_take(c, out, n);
	spin_unlock_irqrestore(&c->lock, f);
	ASSERT(got > 0);
	return got;
}

/* --- magazines ------------------------------------------------------------------------------------------------------ */

static struct magazine *magazine_of(const struct slab_cache *c, unsigned cpu)
{
	return (struct magazine *)(c->magazines + (size_t)cpu * c->magazine_bytes);
}

/* A CPU keeps at most about a page's worth of objects of one cache. */
static void add_magazines(struct slab_cache *c)
{
	c->capacity =
		(uint16_t)MIN(MAX(PAGE_SIZE / c->stride, MM_DEBUG ? 8UL : 4UL), 2UL * BATCH_MAX);

	c->magazine_bytes =
		(uint32_t)ALIGN_UP(sizeof(struct magazine) + c->capacity * sizeof(void *), 64UL);

	char *m = kzalloc(cpu_count() * (size_t)c->magazine_bytes + 64);

	if (!m)
		return;
	c->magazines_block = m;
	m = (char *)ALIGN_UP((uintptr_t)m, 64UL);
	for (unsigned i = 0; i < cpu_count(); i++) {
		struct magazine *mag = (struct magazine *)(m + i * c->magazine_bytes);

		spin_init(&mag->lock, LOCK_SLAB);
	}
	/* pairs with the acquire in this_magazine() */
	atomic_publish(&c->magazines, m);
}

/* irqs off. NULL: this cache has none, early in the boot or for want of memory. */
static struct magazine *this_magazine(const struct slab_cache *c, const struct cpu *cpu)
{
	return atomic_load_acquire(&c->magazines) ? magazine_of(c, cpu->id) : NULL;
}

/* Debug images keep what was given back from being given out at once, and then give out the oldest, so that whoever still
 * uses it is found by the fill or the held bit, not by its next owner (MS-003). */
static unsigned quarantine(const struct slab_cache *c)
{
	return MM_DEBUG ? c->capacity / 2u : 0;
}

static void *magazine_pop(struct magazine *m) __requires(m->lock)
{
	void *p = m->object[MM_DEBUG ? 0 : m->n - 1];

	m->n--;
	if (MM_DEBUG)
		memmove(m->object, m->object + 1, m->n * sizeof(void *));
	return p;
}

/* But for the `keep` youngest. The context is checked here, where irqs are off anyway. */
static inline void *magazine_take(struct slab_cache *c, unsigned keep)
{
	irqflags_t f = arch_irq_save();
	const struct cpu *cpu = this_cpu();
	struct magazine *m = this_magazine(c, cpu);
	void *p = NULL;

	if (cpu->irq_depth > 0)
		BUG("slab: allocation in irq context");
	if (m) {
		spin_lock(&m->lock);
		if (m->n > keep)
			p = magazine_pop(m);
		spin_unlock(&m->lock);
	}
	arch_irq_restore(f);
	return p;
}

/* Put n objects, returning how many had no room: they are the last of the array. */
static inline __attribute__((always_inline)) unsigned magazine_put(struct slab_cache *c,
								   void *const *objects, unsigned n)
{
	irqflags_t f = arch_irq_save();
	const struct cpu *cpu = this_cpu();
	struct magazine *m = this_magazine(c, cpu);
	unsigned put = 0;

	if (cpu->irq_depth > 0)
		BUG("slab: free in irq context");
	if (m) {
		spin_lock(&m->lock);
		for (; put < n && m->n < c->capacity; put++)
			m->object[m->n++] = objects[put];
		spin_unlock(&m->lock);
	}
	arch_irq_restore(f);
	return n - put;
}

/* Take up to n of the oldest objects of a magazine. */
static unsigned magazine_shed(struct magazine *m, void **out, unsigned n)
{
	irqflags_t f = spin_lock_irqsave(&m->lock);

	n = MIN(n, m->n);
	memcpy(out, m->object, n * sizeof(void *));
	m->n -= n;
	memmove(m->object, m->object + n, m->n * sizeof(void *));
	spin_unlock_irqrestore(&m->lock, f);
	return n;
}

/* The magazine has nothing to give. */
static __noinline void *take_slowly(struct slab_cache *c)
{
	void *batch[BATCH_MAX];
	unsigned want = READ_ONCE(c->magazines) ? MAX(MIN(c->capacity / 2u, BATCH_MAX), 1u) : 1;
	unsigned got = cache_take(c, batch, want);

	if (!got)
		return magazine_take(c, 0);
	if (got > 1) {
		unsigned left = magazine_put(c, batch + 1, got - 1);

		if (left)
			cache_give(c, batch + got - left, left);
	}
	return batch[0];
}

/* The magazine had no room. */
static __noinline void give_slowly(struct slab_cache *c, void *p)
{
	void *batch[BATCH_MAX];

	if (!READ_ONCE(c->magazines)) {
		cache_give(c, &p, 1);
		return;
	}

	irqflags_t f = arch_irq_save();
	struct magazine *m = this_magazine(c, this_cpu());

	arch_irq_restore(f);

	unsigned n = magazine_shed(m, batch, MIN(c->capacity / 2u, BATCH_MAX - 1));

	/* the newest stays: it is warm, and in debug images it is to rest; full again: another thread was faster */
	if (magazine_put(c, &p, 1) > 0)
		batch[n++] = p;
	cache_give(c, batch, n);
}

/* --- the interface ---------------------------------------------------------------------------------------------------- */

static inline void *alloc_from(struct slab_cache *c, uintptr_t pc)
{
	/* that this is no interrupt, magazine_take() checks */
	if (unlikely(current_base()->alloc_forbidden))
		alloc_check_context();
	if (fault_hits(FAULT_ALLOC))
		return NULL;

	void *p = magazine_take(c, quarantine(c));

	if (unlikely(!p))
		p = take_slowly(c);
	if (p)
		slab_check_out(c, p, pc);
	return p;
}

#define CALLER (MM_DEBUG ? (uintptr_t)__builtin_return_address(0) : 0)

void *slab_alloc(struct slab_cache *c)
{
	return alloc_from(c, CALLER);
}

void *slab_zalloc(struct slab_cache *c)
{
	void *p = alloc_from(c, CALLER);

	if (p)
		memset(p, 0, c->size);
	return p;
}

void slab_free_from(struct slab_cache *c, void *p, uintptr_t pc)
{
	slab_check_in(c, p, pc);
	if (unlikely(magazine_put(c, &p, 1) > 0))
		give_slowly(c, p);
}

void slab_free(struct slab_cache *c, void *p)
{
	slab_free_from(c, p, CALLER);
}

void *slab_alloc_from(struct slab_cache *c, uintptr_t pc)
{
	return alloc_from(c, pc);
}

void slab_cache_init(struct slab_cache *c, const char *name, size_t size, size_t align)
{
	memset(c, 0, sizeof(*c));
	c->name = name;
	spin_init(&c->lock, LOCK_SLAB);
	list_init(&c->partial);
	list_init(&c->full);
	list_init(&c->empty);
	set_geometry(c, size, align);
	ASSERT(c->per_slab > 0);

	irqflags_t f = spin_lock_irqsave(&list_lock);

	list_push_back(&c->link, &caches);
	spin_unlock_irqrestore(&list_lock, f);
}

struct slab_cache *slab_create(const char *name, size_t size, size_t align)
{
	ASSERT(size > 0 && (align & (align - 1)) == 0);

	struct slab_cache *c = slab_alloc(&caches_cache);

	if (!c)
		return NULL;
	slab_cache_init(c, name, size, align);
	add_magazines(c);
	return c;
}

/* Empty the magazines and the list of empty slabs; returns pages freed. */
static size_t cache_reap(struct slab_cache *c)
{
	struct list_head excess = LIST_HEAD_INIT(excess);
	size_t pages = 0;

	for (unsigned i = 0; atomic_load_acquire(&c->magazines) && i < cpu_count(); i++) {
		void *batch[BATCH_MAX];
		unsigned n;

		while ((n = magazine_shed(magazine_of(c, i), batch, BATCH_MAX)) > 0) {
			struct list_head dropped = LIST_HEAD_INIT(dropped);
			irqflags_t f = spin_lock_irqsave(&c->lock);

			slabs_give(c, batch, n, &dropped);
			spin_unlock_irqrestore(&c->lock, f);
			pages += drop_slabs(c, &dropped);
		}
	}

	irqflags_t f = spin_lock_irqsave(&c->lock);

	list_splice_back(&c->empty, &excess);
	WRITE_ONCE(c->nr_slabs, c->nr_slabs - c->nr_empty);
	c->nr_empty = 0;
	spin_unlock_irqrestore(&c->lock, f);
	return pages + drop_slabs(c, &excess);
}

static void destroy(struct slab_cache *c)
{
	cache_reap(c);
	if (c->nr_slabs)
		BUG("slab: %s destroyed with %llu objects out", c->name,
		    (unsigned long long)c->nr_out);
	kfree(c->magazines_block);
	slab_free(&caches_cache, c);
}

void slab_destroy(struct slab_cache *c)
{
	irqflags_t f = spin_lock_irqsave(&list_lock);
	bool walked = c->pins > 0;

	c->dying = walked;
	list_del(&c->link);
	spin_unlock_irqrestore(&list_lock, f);
	if (!walked)
		destroy(c);
}

struct slab_cache *slab_cache_next(struct slab_cache *prev)
{
	irqflags_t f = spin_lock_irqsave(&list_lock);
	struct list_head *next = prev ? prev->link.next : caches.next;
	struct slab_cache *c = NULL;
	bool last = prev && --prev->pins == 0 && prev->dying;

	/* one taken off the list meanwhile points at itself: the walk ends there */
	if (next != &caches && !(prev && next == &prev->link)) {
		c = list_entry(next, struct slab_cache, link);
		c->pins++;
	}
	spin_unlock_irqrestore(&list_lock, f);
	if (last)
		destroy(prev);
	return c;
}

size_t slab_reap(void)
{
	struct slab_cache *c;
	size_t pages = 0;

	for_each_cache (c)
		pages += cache_reap(c);
	return pages;
}

static void cache_stats(struct slab_cache *c, struct slab_stats *out)
{
	uint64_t cached = 0;

	for (unsigned i = 0; atomic_load_acquire(&c->magazines) && i < cpu_count(); i++) {
		struct magazine *m = magazine_of(c, i);
		irqflags_t f = spin_lock_irqsave(&m->lock);

		cached += m->n;
		spin_unlock_irqrestore(&m->lock, f);
	}

	irqflags_t f = spin_lock_irqsave(&c->lock);

	out->name = c->name;
	out->size = c->size;
	out->in_use = c->nr_out > cached ? c->nr_out - cached : 0;
	out->slabs = c->nr_slabs;
	out->pages = c->nr_slabs << c->order;
	spin_unlock_irqrestore(&c->lock, f);
}

void slab_for_each(void (*fn)(const struct slab_stats *s, void *arg), void *arg)
{
	struct slab_stats stats;
	struct slab_cache *c;

	for_each_cache (c) {
		cache_stats(c, &stats);
		fn(&stats, arg);
	}
}

static size_t shrink(size_t want_pages)
{
	(void)want_pages;
	return slab_reap();
}

void slab_init(void)
{
	struct slab_cache *c;

	list_init(&caches);
	slab_cache_init(&caches_cache, "slab_cache", sizeof(struct slab_cache), 0);
	kmalloc_init();
	for_each_cache (c)
		add_magazines(c);
	shrinker.shrink = shrink;
	shrinker_register(&shrinker);
}
