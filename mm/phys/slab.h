/* SPDX-License-Identifier: MIT */
/* Slab caches: objects of one size, per-CPU magazines, a lock a cache, O(1) paths, empty slabs given back.
 * kmalloc takes from caches of sizes 16 to 2048 and whole pages above. */
#ifndef TERN_MM_PHYS_SLAB_H
#define TERN_MM_PHYS_SLAB_H

#include "lib/types.h"

struct slab_cache;

/* name is kept, not copied. Objects are aligned to at least 16. NULL: no memory. Context: boot or thread. */
struct slab_cache *slab_create(const char *name, size_t size, size_t align) __must_check;
/* Before its first use: it grows to so many pages and no further, as if there was no memory, unless exempt(). Context of
 * that: a thread's, irqs on or off. */
void slab_bound(struct slab_cache *c, uint64_t pages, bool (*exempt)(void));
/* All objects must have been freed. */
void slab_destroy(struct slab_cache *c);

/* An object, contents undefined (slab_zalloc: zeroed). NULL: no memory. Context: thread or atomic; a BUG in irq
 * context (A12). */
void *slab_alloc(struct slab_cache *c) __must_check;
void *slab_zalloc(struct slab_cache *c) __must_check;
/* p came from this cache, once; anything else is a BUG in debug images (MS-001, MS-002). Context: any but irq. */
void slab_free(struct slab_cache *c, void *p);

/* Debug images: BUG unless p is the start of an object (of any cache, or of kmalloc's pages) that has not been freed. Where
 * somebody gives back what was lent, or relies on what another should still hold (MS-003, A8). */
#ifdef DEBUG
void slab_assert_held(const void *p);
#else
static inline void slab_assert_held(const void *p)
{
	(void)p;
}
#endif

/* Any size up to 4 MiB. NULL: no memory, or size 0. Same contexts as slab_alloc. */
void *kmalloc(size_t size) __must_check;
void *kzalloc(size_t size) __must_check;
/* n * size, checked for overflow. */
void *kcalloc(size_t n, size_t size) __must_check;
/* Contents kept up to the smaller size. The old block is untouched on failure. */
void *krealloc(void *p, size_t size) __must_check;
void kfree(void *p); /* NULL is allowed */
/* What kmalloc gave for p in bytes, >= what was asked. */
size_t kmalloc_usable(const void *p);
char *kstrdup(const char *s) __must_check;

void slab_init(void); /* boot, after pages_init() */

struct slab_stats {
	const char *name;
	size_t size;
	uint64_t in_use; /* objects out, magazines not counted */
	uint64_t slabs;
	uint64_t pages;
};
/* Calls fn for each cache, kmalloc's included. Context: thread. */
void slab_for_each(void (*fn)(const struct slab_stats *s, void *arg), void *arg);
/* Bytes in use over all caches: for before/after comparisons. */
uint64_t slab_bytes_in_use(void);
/* Empty the magazines and give empty slabs back; returns pages freed. Context: thread. */
size_t slab_reap(void);

#endif
