/* SPDX-License-Identifier: MIT */
/* Memory of any size: slab caches of seventeen sizes from 16 to 2048 bytes, whole pages above. What a pointer is, is written in
 * its page: a slab's, or the head of a block that came from here; anything else given to kfree() is a BUG. */
#include "mm/phys/slab_priv.h"

#include "lib/string.h"

static const uint16_t sizes[] = { 16,  32,  48,	 64,  80,  96,	 112,  128, 192,
				  256, 384, 512, 576, 768, 1024, 1536, 2048 };
static struct slab_cache caches[ARRAY_SIZE(sizes)];
static uint8_t cache_by_16[2048 / 16 + 1]; /* [init] sizes rounded up to 16 -> index */

static const char *const names[ARRAY_SIZE(sizes)] = {
	"kmalloc-16",  "kmalloc-32",  "kmalloc-48",   "kmalloc-64",   "kmalloc-80",   "kmalloc-96",
	"kmalloc-112", "kmalloc-128", "kmalloc-192",  "kmalloc-256",  "kmalloc-384",  "kmalloc-512",
	"kmalloc-576", "kmalloc-768", "kmalloc-1024", "kmalloc-1536", "kmalloc-2048",
};

/* page->flags of a block given out here; page->index is its size in bytes. */
#define PAGE_KMALLOC BIT(0)

#define CALLER	     (MM_DEBUG ? (uintptr_t)__builtin_return_address(0) : 0)

void kmalloc_init(void)
{
	unsigned k = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		slab_cache_init(&caches[i], names[i], sizes[i], 16);
	for (unsigned i = 0; i < ARRAY_SIZE(cache_by_16); i++) {
		if (i * 16 > sizes[k])
			k++;
		cache_by_16[i] = (uint8_t)k;
	}
}

static void *alloc_pages(size_t size, unsigned flags)
{
	unsigned order = 0;

	while (order <= PAGE_ORDER_MAX && PAGE_SIZE << order < size)
		order++;
	if (order > PAGE_ORDER_MAX)
		return NULL;

	struct page *p = page_alloc(order, flags);

	if (!p)
		return NULL;
	p->flags = PAGE_KMALLOC;
	p->index = PAGE_SIZE << order;
	return page_addr(p);
}

static void *alloc_from(size_t size, uintptr_t pc)
{
	if (size == 0)
		return NULL;
	if (size > 2048)
		return alloc_pages(size, 0);
	return slab_alloc_from(&caches[cache_by_16[(size + 15) / 16]], pc);
}

/* p, which is no slab memory, must be a block of whole pages; pg is its page. */
static void check_pages(const struct page *pg, const void *p)
{
	if (pg->owner != PAGE_KERNEL || !(pg->flags & PAGE_KMALLOC) ||
	    !IS_ALIGNED((uintptr_t)p, PAGE_SIZE))
		BUG("kfree: %p did not come from kmalloc: page owner %u", p, pg->owner);
}

void *kmalloc(size_t size)
{
	return alloc_from(size, CALLER);
}

void *kzalloc(size_t size)
{
	if (size > 2048)
		return alloc_pages(size, ALLOC_ZERO);

	void *p = alloc_from(size, CALLER);

	if (p)
		memset(p, 0, size);
	return p;
}

void *kcalloc(size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return kzalloc(bytes);
}

size_t kmalloc_usable(const void *p)
{
	struct page *pg = frame_of_addr(p);

	if (pg->owner == PAGE_SLAB)
		return slab_of_page(pg)->cache->size;
	check_pages(pg, p);
	return pg->index;
}

static void free_from(void *p, uintptr_t pc)
{
	if (!p)
		return;

	struct page *pg = frame_of_addr(p);

	if (pg->owner == PAGE_SLAB) {
		struct slab_cache *c = slab_of_page(pg)->cache;

		if (c < caches || c >= caches + ARRAY_SIZE(caches))
			BUG("kfree: %p is of slab cache %s, not from kmalloc", p, c->name);
		slab_free_from(c, p, pc);
		return;
	}
	check_pages(pg, p);
	page_put(pg);
}

void kfree(void *p)
{
	free_from(p, CALLER);
}

void *krealloc(void *p, size_t size)
{
	if (!p)
		return alloc_from(size, CALLER);

	slab_assert_held(p);

	size_t old = kmalloc_usable(p);

	/* stays where it is unless it grows, or wastes more than half */
	if (size <= old && (size > old / 2 || old == sizes[0]) && size > 0)
		return p;

	void *q = alloc_from(size, CALLER);

	if (!q)
		return NULL;
	memcpy(q, p, MIN(old, size));
	free_from(p, CALLER);
	return q;
}

char *kstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = alloc_from(n, CALLER);

	if (copy)
		memcpy(copy, s, n);
	return copy;
}
