/* SPDX-License-Identifier: MIT */
/* Slab objects in debug images: a red zone around each, filled on both ways, and a second bitmap of those that users
 * hold, so that a second free is found at once wherever the object is (MS-001); and the caches as they should be. */
#include "mm/phys/slab_priv.h"

#include "kernel/core/kasan.h"
#include "lib/string.h"

/* Fills: an object given out, one given back, and the zones around it. */
#define FILL_ALLOC 0x5a
#define FILL_FREE  0x6b
#define FILL_ZONE  0xbb

static uint64_t *held_bits(const struct slab_cache *c, struct slab *s)
{
	return s->bits + c->words;
}

static const uint64_t zone_fill = 0x0101010101010101UL * FILL_ZONE;

static struct slab_zone *zone_of(const void *p)
{
	return (struct slab_zone *)((uintptr_t)p - sizeof(struct slab_zone));
}

/* From the object's end to the next object's zone. */
static size_t tail_size(const struct slab_cache *c)
{
	return c->stride - slab_zone_size(c) - c->size;
}

static void check_fill(const struct slab_cache *c, const void *p, const uint8_t *from, size_t n,
		       uint8_t fill, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (from[i] != fill)
			BUG("slab: %s object %p of %s: byte %ld is %02x, last user %lx", what, p,
			    c->name, (long)(from + i - (const uint8_t *)p), from[i],
			    (unsigned long)zone_of(p)->pc);
}

static void check_zones(const struct slab_cache *c, const void *p)
{
	kasan_unpoison(zone_of(p), sizeof(struct slab_zone));
	kasan_unpoison((const char *)p + c->size, tail_size(c));
	if (zone_of(p)->fill != zone_fill)
		BUG("slab: underrun of object %p of %s, last user %lx", p, c->name,
		    (unsigned long)zone_of(p)->pc);
	check_fill(c, p, (const uint8_t *)p + c->size, tail_size(c), FILL_ZONE, "overrun of");
}

static void poison_zones(const struct slab_cache *c, void *p)
{
	size_t end = ALIGN_UP(c->size, 8UL);

	kasan_poison(zone_of(p), sizeof(struct slab_zone));
	kasan_poison((char *)p + end, tail_size(c) - (end - c->size));
}

/* A new slab's object: as if it had been given back. */
void slab_check_new(const struct slab_cache *c, void *p)
{
	zone_of(p)->fill = zone_fill;
	zone_of(p)->pc = 0;
	memset(p, FILL_FREE, c->size);
	memset((char *)p + c->size, FILL_ZONE, tail_size(c));
	kasan_poison(p, c->size);
	poison_zones(c, p);
}

void slab_check_out(const struct slab_cache *c, void *p, uintptr_t pc)
{
	struct slab *s = slab_of(p);
	unsigned i = slab_object_index(c, s, p);
	uint64_t old = atomic_fetch_or(&held_bits(c, s)[i / 64], BIT(i % 64));

	ASSERT(!(old & BIT(i % 64)));
	kasan_unpoison(p, c->size);
	check_zones(c, p);
	check_fill(c, p, p, c->size, FILL_FREE, "write after free of");
	memset(p, FILL_ALLOC, c->size);
	zone_of(p)->pc = pc;
	poison_zones(c, p);
}

/* p comes back: is it ours, at a start, and with a user until now? */
void slab_check_in(const struct slab_cache *c, void *p, uintptr_t pc)
{
	struct slab *s = slab_of(p);

	if (s->cache != c)
		BUG("slab: object %p of %s freed to %s", p, s->cache->name, c->name);

	unsigned i = slab_object_index(c, s, p);

	check_zones(c, p);

	uint64_t old = atomic_fetch_and(&held_bits(c, s)[i / 64], ~BIT(i % 64));

	if (!(old & BIT(i % 64)))
		BUG("slab: double free of %p of %s, last user %lx", p, c->name,
		    (unsigned long)zone_of(p)->pc);
	memset(p, FILL_FREE, c->size);
	zone_of(p)->pc = pc;
	kasan_poison(p, c->size);
	poison_zones(c, p);
}

/* Of an object that another CPU may be giving back just now: its zone is poisoned at any moment. */
static NO_KASAN uintptr_t last_user(const void *p)
{
	return READ_ONCE(((const struct slab_zone *)((uintptr_t)p - sizeof(struct slab_zone)))->pc);
}

void slab_assert_held(const void *p)
{
	if (page_of_addr(p)->owner == PAGE_KERNEL)
		return;

	struct slab *s = slab_of(p);
	unsigned i = slab_object_index(s->cache, s, p);

	if (READ_ONCE(held_bits(s->cache, s)[i / 64]) & BIT(i % 64))
		return;
	BUG("slab: %p of %s is used after its free, last user %lx", p, s->cache->name,
	    (unsigned long)last_user(p));
}

static void add_bytes(const struct slab_stats *s, void *arg)
{
	*(uint64_t *)arg += s->in_use * s->size;
}

uint64_t slab_bytes_in_use(void)
{
	uint64_t bytes = 0;

	slab_for_each(add_bytes, &bytes);
	return bytes;
}

static void check_list(struct slab_cache *c, struct list_head *l, uint64_t *slabs, uint64_t *out)
	__requires(c->lock)
{
	struct slab *s;

	list_for_each (s, l, link) {
		unsigned used = 0;

		for (unsigned w = 0; w < c->words; w++)
			used += (unsigned)__builtin_popcountll(s->bits[w]);
		ASSERT(s->magic == SLAB_MAGIC && s->cache == c);
		ASSERT(used == s->nr_used && used <= c->per_slab);
		/* I-SLAB-2 */
		ASSERT((l == &c->full) == (used == c->per_slab));
		ASSERT((l == &c->empty) == (used == 0));
		*out += used;
		++*slabs;
	}
}

void slab_check(void)
{
	struct slab_cache *c;

	for_each_cache (c) {
		uint64_t slabs = 0, out = 0;
		irqflags_t f = spin_lock_irqsave(&c->lock);

		check_list(c, &c->full, &slabs, &out);
		check_list(c, &c->partial, &slabs, &out);
		check_list(c, &c->empty, &slabs, &out);
		ASSERT(slabs == c->nr_slabs && out == c->nr_out);
		spin_unlock_irqrestore(&c->lock, f);
	}
}
