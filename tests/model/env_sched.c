/* SPDX-License-Identifier: MIT */
/* What sched/ needs of the CPU and of the floors below: a switch saves and loads one word, which is enough for a race with whoever
 * does it too early; stacks are memory that can be freed; an interrupt of another CPU comes where interrupts are let in. */
#include "tests/model/env_sched.h"

#include "kernel/core/irq.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "sched/runq_priv.h"

#define STACK_SIZE (48UL << 10) /* of the host's functions, and a report */

char sched_text_start[1], sched_text_end[1];

static uint32_t pending[MODEL_CPUS];		  /* [atomic] an interrupt for this CPU */
static struct model_context *running[MODEL_CPUS]; /* [cpu] */

void env_sched(unsigned n)
{
	env_cpus(n);
	sched_init();
}

void env_schedule(void)
{
	unsigned cpu = model_cpu();

	env_enter();
	shim_irqs_off = true;
	running[cpu] = model_context(NULL, 0, NULL, NULL);
	sched_start();
}

struct thread *env_start(const char *name, void (*fn)(void *), void *arg, cpumask_t mask)
{
	struct thread *t = thread_create(name, fn, arg, KSTACK_SIZE);

	t->affinity = mask;
	t->rq = runq_of_cpu((unsigned)__builtin_ctzl(mask));
	thread_start(t);
	return t;
}

/* --- the CPU ------------------------------------------------------------------------------------------------------ */

struct start {
	struct model_context *context;
	void (*entry)(void *);
	void *arg;
};

static void begins(void *prev, void *arg)
{
	struct start *s = arg;

	sched_switched(prev);
	s->entry(s->arg);
}

void arch_thread_init(struct arch_thread *at, void *stack_top, void (*entry)(void *), void *arg)
{
	struct start *s = model_alloc(sizeof(*s));

	*s = (struct start){ .entry = entry, .arg = arg };
	s->context = model_context((char *)stack_top - STACK_SIZE, STACK_SIZE, begins, s);
	at->sp = (uintptr_t)s->context;
}

struct thread *arch_switch(struct thread *prev, struct arch_thread *prev_at, bool prev_user,
			   struct thread *next, struct arch_thread *next_at, bool next_user)
{
	struct model_context *from = running[model_cpu()], *to = (void *)next_at->sp;

	MODEL_CHECK(to);
	next_at->sp = 0;
	prev_at->sp = (uintptr_t)from;
	running[model_cpu()] = to;
	shim_current = next;
	shim_cpu->current = next;
	return model_switch(from, to, prev);
}

void irq_send_resched(unsigned cpu)
{
	atomic_store_release(&pending[cpu], 1);
}

void arch_wait_for_interrupt(void)
{
	while (!atomic_load_acquire(&pending[model_cpu()]))
		model_idle();
}

void env_irqs_on(void)
{
	while (atomic_load_acquire(&pending[model_cpu()])) {
		atomic_store_relaxed(&pending[model_cpu()], 0);
		shim_irqs_off = true;
		trap_preempt();
		shim_irqs_off = false;
	}
}

/* --- the floors below ------------------------------------------------------------------------------------------------- */

int kstack_alloc(struct kstack *out, size_t size)
{
	out->lo = (uintptr_t)model_alloc(STACK_SIZE);
	out->hi = out->lo + STACK_SIZE;
	return 0;
}

void kstack_free(struct kstack *s)
{
	model_free((void *)s->lo);
}

struct slab_cache {
	size_t size;
};

struct slab_cache *slab_create(const char *name, size_t size, size_t align)
{
	struct slab_cache *c = model_alloc(sizeof(*c));

	c->size = size;
	return c;
}

void *slab_zalloc(struct slab_cache *c)
{
	return model_alloc(c->size);
}

void slab_free(struct slab_cache *c, void *p)
{
	model_free(p);
}

size_t str_copy(char *dst, const char *src, size_t size)
{
	size_t n = 0;

	for (; n + 1 < size && src[n]; n++)
		dst[n] = src[n];
	dst[n] = 0;
	return n;
}

void timer_init(struct timer *t, timer_fn fn)
{
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
}

bool timer_cancel(struct timer *t)
{
	return false;
}
