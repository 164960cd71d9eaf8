/* SPDX-License-Identifier: MIT */
/* Memory for hosted tests of what lies above mm/: malloc, so that ASan sees every object, each counted, and any made to fail.
 * Of a page, its bytes are the allocation in priv. */
#include "tests/host/memory_env.h"

#include "lib/errno.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include <stdlib.h>
#include <string.h>

uint64_t env_objects;
uint64_t env_pages;
uint64_t env_fail_in;
bool env_fail_all;
void (*env_page_hook)(void);

void alloc_fail_after(uint64_t n)
{
	env_fail_in = n;
}

static bool fails(void)
{
	return env_fail_all || (env_fail_in && --env_fail_in == 0);
}

static void *count(void *p)
{
	if (p)
		__atomic_fetch_add(&env_objects, 1, __ATOMIC_RELAXED);
	return p;
}

void *kmalloc(size_t size)
{
	return !size || fails() ? NULL : count(malloc(size));
}

void *kcalloc(size_t n, size_t size)
{
	return !n || !size || fails() ? NULL : count(calloc(n, size));
}

void *kzalloc(size_t size)
{
	return kcalloc(1, size);
}

void *krealloc(void *p, size_t size)
{
	if (!p)
		return kmalloc(size);
	return fails() ? NULL : realloc(p, size);
}

void kfree(void *p)
{
	if (p)
		__atomic_fetch_sub(&env_objects, 1, __ATOMIC_RELAXED);
	free(p);
}

char *kstrdup(const char *s)
{
	char *p = kmalloc(strlen(s) + 1);

	return p ? strcpy(p, s) : NULL;
}

struct slab_cache {
	size_t size, align;
};

struct slab_cache *slab_create(const char *name, size_t size, size_t align)
{
	struct slab_cache *c = malloc(sizeof(*c));

	(void)name;
	c->align = MAX(align, (size_t)16);
	c->size = ALIGN_UP(size, c->align);
	return c;
}

void slab_bound(struct slab_cache *c, uint64_t pages, bool (*exempt)(void))
{
	(void)c;
	(void)pages;
	(void)exempt;
}

bool caller_is_root(void)
{
	return true;
}

bool caller_is_ending(void)
{
	return false;
}

void *slab_alloc(struct slab_cache *c)
{
	return fails() ? NULL : count(aligned_alloc(c->align, c->size));
}

void *slab_zalloc(struct slab_cache *c)
{
	void *p = slab_alloc(c);

	return p ? memset(p, 0, c->size) : NULL;
}

/* The sanitizer knows. */
void slab_assert_held(const void *p)
{
	(void)p;
}

void slab_free(struct slab_cache *c, void *p)
{
	(void)c;
	kfree(p);
}

struct page *page_alloc(unsigned order, unsigned flags)
{
	void (*hook)(void) = env_page_hook;
	struct page *p;

	if (fails())
		return NULL;
	env_page_hook = NULL;
	if (hook)
		hook();
	p = calloc(1, sizeof(*p));
	p->priv = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
	memset(p->priv, flags & ALLOC_ZERO ? 0 : 0xa5, PAGE_SIZE << order);
	p->order = (uint8_t)order;
	p->owner = PAGE_KERNEL;
	refcount_init(&p->ref, 1);
	__atomic_fetch_add(&env_pages, 1UL << order, __ATOMIC_RELAXED);
	return p;
}

void page_put(struct page *p)
{
	if (!refcount_put(&p->ref))
		return;
	__atomic_fetch_sub(&env_pages, 1UL << p->order, __ATOMIC_RELAXED);
	free(p->priv);
	free(p);
}

void *page_addr(const struct page *p)
{
	return p->priv;
}
