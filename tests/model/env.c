/* SPDX-License-Identifier: MIT */
#include "tests/model/env.h"

#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"

#include <stdarg.h>
#include <stdio.h>

__thread struct cpu *shim_cpu;
__thread void *shim_current;
__thread bool shim_irqs_off;
uintptr_t shim_linear_base;
uint64_t arch_linear_pa;

static struct cpu *cpus;
static struct thread *threads;
static unsigned nr_cpus;

void env_cpus(unsigned n)
{
	size_t size = (size_t)(__stop_percpu_host - __start_percpu_host);

	nr_cpus = n;
	cpus = model_alloc(n * sizeof(*cpus));
	threads = model_alloc(n * sizeof(*threads));
	for (unsigned i = 0; i < n; i++) {
		cpus[i].self = &cpus[i];
		cpus[i].id = i;
		cpus[i].online = 1;
		cpus[i].boot_thread = &threads[i].base;
		cpus[i].percpu_offset =
			(uintptr_t)model_alloc(size) - (uintptr_t)__start_percpu_host;
		threads[i].base.name = "model";
		threads[i].state = THREAD_RUNNING;
		threads[i].magic = THREAD_MAGIC;
		spin_init(&threads[i].lock, LOCK_THREAD);
	}
	env_enter();
}

void env_enter(void)
{
	shim_cpu = &cpus[model_cpu()];
	shim_current = &threads[model_cpu()];
	shim_irqs_off = false;
}

struct thread *env_thread(unsigned cpu)
{
	return &threads[cpu];
}

unsigned cpu_count(void)
{
	return nr_cpus;
}

struct cpu *cpu_get(unsigned id)
{
	return &cpus[id];
}

void bug(const char *file, int line, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	model_fail(file, line, "BUG: %s", text);
}

void panic(const char *fmt, ...)
{
	model_fail(__FILE__, __LINE__, "panic: %s", fmt);
}

const char *lock_class_name(enum lock_class cls)
{
	(void)cls;
	return "of the model";
}

__attribute__((weak)) void preempt_resched(void)
{
}

__attribute__((weak)) void env_irqs_on(void)
{
}

#define LOG_FUNCTION(name)                                                                         \
	void name(const char *fmt, ...)                                                            \
	{                                                                                          \
		(void)fmt;                                                                         \
	}
LOG_FUNCTION(log_info)
LOG_FUNCTION(log_warn)
LOG_FUNCTION(log_debug)

uint64_t clock_now_ns(void)
{
	return 0;
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

/* Of a page, its bytes are in priv; a physical address is the host's own. */
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
