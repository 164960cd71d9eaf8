/* SPDX-License-Identifier: MIT */
/* Inside the slab allocator: a cache, and what kmalloc needs of it. */
#ifndef TERN_MM_PHYS_SLAB_PRIV_H
#define TERN_MM_PHYS_SLAB_PRIV_H

#include "mm/phys/page_priv.h"
#include "mm/phys/slab.h"

struct slab_cache {
	spinlock_t lock;	  /* SLAB */
	struct list_head partial; /* [lock] struct slab, by I-SLAB-2 */
	struct list_head full;	  /* [lock] */
	struct list_head empty;	  /* [lock] */
	uint64_t nr_slabs;	  /* [lock] on the three lists */
	uint64_t nr_empty;	  /* [lock] */
	uint64_t nr_out;	  /* [lock] objects out of their slabs */
	char *magazines;	  /* [atomic] set once; one a CPU */
	void *magazines_block;	  /* [init] */
	const char *name;	  /* [init] */
	size_t size;		  /* [init] what the user gets */
	size_t align;		  /* [init] */
	size_t stride;		  /* [init] from object to object */
	uint32_t first;		  /* [init] offset of the first object (its zone) in a slab */
	uint16_t per_slab;	  /* [init] */
	uint16_t words;		  /* [init] of each bitmap */
	uint16_t capacity;	  /* [init] of a magazine */
	uint32_t magazine_bytes;  /* [init] */
	uint8_t order;		  /* [init] */
	uint64_t most;		  /* [init] slabs it may have; 0: any number */
	bool (*exempt)(void);	  /* [init] may the caller have more? */
	struct list_head link;	  /* [list lock] */
	unsigned pins;		  /* [list lock] walkers that stand on it */
	bool dying;		  /* [list lock] the last walker destroys it */
};

/* A cache in memory of its own, without magazines yet. */
void slab_cache_init(struct slab_cache *c, const char *name, size_t size, size_t align);
/* slab_alloc() and slab_free() on behalf of the caller at pc. */
void *slab_alloc_from(struct slab_cache *c, uintptr_t pc) __must_check;
void slab_free_from(struct slab_cache *c, void *p, uintptr_t pc);
/* kmalloc.c: its caches; before any has magazines. */
void kmalloc_init(void);
#define SLAB_MAGIC 0x736c6162u

struct slab {
	struct list_head link;	  /* [cache->lock] on one of its lists */
	struct slab_cache *cache; /* [init] */
	uint32_t magic;		  /* [init] */
	uint16_t nr_used;	  /* [cache->lock] */
	uint16_t first_free;	  /* [cache->lock] no object below this word's is free */
	uint64_t bits[]; /* [cache->lock] used; then, debug images: [atomic] held by users */
};

/* What the zone before an object holds in debug images. */
struct slab_zone {
	uint64_t fill;
	uintptr_t pc; /* who took or gave it last */
};

static inline size_t slab_zone_size(const struct slab_cache *c)
{
	return MM_DEBUG ? MAX(c->align, sizeof(struct slab_zone)) : 0;
}

/* The slab a page of owner PAGE_SLAB belongs to. */
static inline struct slab *slab_of_page(const struct page *pg)
{
	struct slab *s = pg->priv;

	ASSERT(s->magic == SLAB_MAGIC);
	return s;
}

/* The slab p lies in. BUG if p is not slab memory (MS-002). */
struct slab *slab_of(const void *p);
/* Which object of s p is. BUG if it is not the start of one. */
unsigned slab_object_index(const struct slab_cache *c, const struct slab *s, const void *p);
/* Walk the caches: the one after prev (NULL: the first), which stays until the next step. */
struct slab_cache *slab_cache_next(struct slab_cache *prev);
#define for_each_cache(c) for ((c) = slab_cache_next(NULL); (c); (c) = slab_cache_next(c))

#ifdef DEBUG
/* slab_check.c: p is of a new slab; goes out; comes back (is it ours, at a start, and with a user until now?). */
void slab_check_new(const struct slab_cache *c, void *p);
void slab_check_out(const struct slab_cache *c, void *p, uintptr_t pc);
void slab_check_in(const struct slab_cache *c, void *p, uintptr_t pc);
/* Check every cache's lists and counts. Tests. */
void slab_check(void);
#else
static inline void slab_check_new(const struct slab_cache *c, void *p)
{
}
static inline void slab_check_out(const struct slab_cache *c, void *p, uintptr_t pc)
{
}
static inline void slab_check_in(const struct slab_cache *c, void *p, uintptr_t pc)
{
}
#endif

#endif
