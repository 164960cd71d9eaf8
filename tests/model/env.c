/* SPDX-License-Identifier: MIT */
#include "tests/model/env.h"

#include "kernel/core/percpu.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "tests/host/shim/shim.h"

static struct thread *threads;

void env_cpus(unsigned n)
{
	size_t size = (size_t)(__stop_percpu_host - __start_percpu_host);

	shim_cpus_are(model_alloc(n * sizeof(struct cpu)), n);
	threads = model_alloc(n * sizeof(*threads));
	for (unsigned i = 0; i < n; i++) {
		shim_cpu_begin(i, model_alloc(size));
		cpu_get(i)->boot_thread = &threads[i].base;
		threads[i].base.name = "model";
		threads[i].state = THREAD_RUNNING;
		threads[i].magic = THREAD_MAGIC;
		spin_init(&threads[i].lock, LOCK_THREAD);
	}
	env_enter();
}

void env_enter(void)
{
	shim_cpu = cpu_get(model_cpu());
	shim_current = &threads[model_cpu()];
	shim_irqs_off = false;
}

struct thread *env_thread(unsigned cpu)
{
	return &threads[cpu];
}

void shim_bug(const char *file, int line, const char *text)
{
	model_fail(file, line, "BUG: %s", text);
}

__attribute__((weak)) void preempt_resched(void)
{
}

__attribute__((weak)) bool env_spun(void)
{
	return false;
}

__attribute__((weak)) void env_irqs_on(void)
{
}

void *kmalloc(size_t size)
{
	return model_alloc(size);
}

void *kzalloc(size_t size)
{
	return model_alloc(size);
}

void *kcalloc(size_t n, size_t size)
{
	return model_alloc(n * size);
}

void kfree(void *p)
{
	model_free(p);
}

/* Of a page, its bytes are in priv. */
struct page *page_alloc(unsigned order, unsigned flags)
{
	struct page *p = model_alloc(sizeof(*p));

	(void)flags;
	p->priv = model_alloc(PAGE_SIZE << order);
	p->order = (uint8_t)order;
	refcount_init(&p->ref, 1);
	return p;
}

void page_put(struct page *p)
{
	if (!refcount_put(&p->ref))
		return;
	model_free(p->priv);
	model_free(p);
}

void *page_addr(const struct page *p)
{
	return p->priv;
}
