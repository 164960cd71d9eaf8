/* SPDX-License-Identifier: MIT */
/* Memory for the hosted tests of drivers/virtio and net/: malloc, so that ASan sees every object; a physical address
 * is the host's own. Above tests/host/shim/core.c. */
#include "tests/host/net_env.h"

#include "kernel/core/random.h"
#include "kernel/core/irq.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include <stdlib.h>
#include <string.h>

uint64_t env_objects;
uint64_t env_pages;
uint64_t env_fail_in;
bool env_fail_all;

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
	return fails() || !size ? NULL : count(malloc(size));
}

void *kzalloc(size_t size)
{
	return kcalloc(1, size);
}

void *kcalloc(size_t n, size_t size)
{
	return fails() ? NULL : count(calloc(n, size));
}

void kfree(void *p)
{
	if (p)
		__atomic_fetch_sub(&env_objects, 1, __ATOMIC_RELAXED);
	free(p);
}

struct slab_cache {
	size_t size, align;
};

struct slab_cache *slab_create(const char *name, size_t size, size_t align)
{
	struct slab_cache *c = malloc(sizeof(*c));

	c->size = ALIGN_UP(size, MAX(align, (size_t)16));
	c->align = MAX(align, (size_t)16);
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
	kfree(p);
}

struct page *page_alloc(unsigned order, unsigned flags)
{
	struct page *p = fails() ? NULL : calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->priv = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
	memset(p->priv, flags & ALLOC_ZERO ? 0 : 0xa5, PAGE_SIZE << order);
	env_pages += 1UL << order;
	p->order = (uint8_t)order;
	return p;
}

void page_put(struct page *p)
{
	env_pages -= 1UL << p->order;
	free(p->priv);
	free(p);
}

void *page_addr(const struct page *p)
{
	return p->priv;
}

paddr_t page_to_phys(const struct page *p)
{
	return paddr((uintptr_t)p->priv);
}

paddr_t virt_to_phys(const void *linear)
{
	return paddr((uintptr_t)linear);
}

void *phys_to_virt(paddr_t pa)
{
	return (void *)(uintptr_t)pa.pa;
}

void page_stats(struct page_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->total = 65536;
	out->free = 65536 - env_pages;
}

int random_bytes(void *buf, size_t n)
{
	memset(buf, 0x5a, n);
	return 0;
}

uint32_t random_u32(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15u;

	x = x * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(x >> 32);
}

int irq_register(unsigned irq, enum irq_trigger trigger, irq_handler_t fn, void *arg,
		 const char *name)
{
	return -EINVAL;
}
