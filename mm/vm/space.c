/* SPDX-License-Identifier: MIT */
/* Spaces: making, switching, and their end. A CPU's TTBR0 keeps the last user space while kernel threads run; that
 * CPU is counted in `active`. When the last reference goes, the pages go at once, for nobody can run in the space any
 * more, and the tables as soon as no TTBR0 holds them: at once if none does, else by a worker that asks the CPUs to
 * let go, a batch of spaces at a time. The switch itself frees nothing.
 *
 * I-VM-2: a table page of a space is in memory as long as any CPU's TTBR0 holds its root. */
#include "mm/vm/space_priv.h"

#include "kernel/core/irq.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"
#include "sched/thread.h"

/* Dead spaces are collected for this long, to trouble the other CPUs less often. */
#define REAP_DELAY (20 * NS_PER_MS)

static DEFINE_PER_CPU(struct vm_space *, held_space); /* what TTBR0 has; NULL: the empty table */

static struct slab_cache *cache;     /* [init] */
static struct vm_space *dead_spaces; /* [atomic] linked by dead_next */
static struct waitq dead_wq = WAITQ_INIT(dead_wq);
static uint32_t reaps; /* [atomic] how many take spaces off that list or free what they took */
static struct waitq reaped_wq = WAITQ_INIT(reaped_wq);

struct vm_space *vm_space_create(void)
{
	static uint64_t ids; /* [atomic] */
	struct vm_space *s = slab_zalloc(cache);

	if (!s)
		return NULL;
	if (pgtable_create(&s->table) < 0) {
		slab_free(cache, s);
		return NULL;
	}
	mutex_init(&s->lock, LOCK_VM_SPACE);
	refcount_init(&s->ref, 1);
	s->id = atomic_fetch_add(&ids, 1) + 1;
	vm_regions_setup(s);
	s->mmap_base = VM_MMAP_BASE;
	s->stack_limit = VM_STACK_LIMIT;
	s->as_limit = s->data_limit = UINT64_MAX;
	return s;
}

void vm_space_get(struct vm_space *s)
{
	if (!refcount_get(&s->ref))
		BUG("vm: space %p is dead", (void *)s);
}

bool vm_space_is_shared(const struct vm_space *s)
{
	return refcount_read(&s->ref) > 1;
}

struct vm_space *vm_current(void)
{
	return current_thread()->space;
}

void vm_space_activate(struct vm_space *s)
{
	assert_irqs_off();

	struct vm_space **held = this_cpu_ptr(held_space);
	struct vm_space *old = *held;

	if (!s || s == old)
		return;
	atomic_fetch_add(&s->active, 1);
	asid_activate(&s->asid, s->table.root);
	*held = s;
	/* pairs with the load in let_go_of(): TTBR0 has left the old table; we touch it no more */
	if (old)
		atomic_fetch_sub(&old->active, 1);
}

/* Take a space nobody references out of this CPU's TTBR0. irq context, or irqs off. */
static void drop_dead(void *unused)
{
	irqflags_t f = arch_irq_save();
	struct vm_space **held = this_cpu_ptr(held_space);
	struct vm_space *old = *held;

	if (old && refcount_read(&old->ref) == 0) {
		arch_set_user_table(paddr(0), 0);
		*held = NULL;
		atomic_fetch_sub(&old->active, 1);
	}
	arch_irq_restore(f);
}

static void destroy(struct vm_space *s)
{
	ASSERT(atomic_load_acquire(&s->active) == 0);
	pgtable_destroy(&s->table);
	slab_free(cache, s);
}

/* The pages and regions of a space that has no users. Nothing is invalidated: its ASID is never used again before
 * every TLB has been flushed. */
static void drop_contents(struct vm_space *s)
{
	struct vm_region *dead;
	struct gather g;

	g.f = (struct flush){ .space = s, .ended = true };
	mutex_lock(&s->lock);
	for (struct vm_region *r = region_find(s, 0); r; r = region_next(r))
		pgtable_walk(&s->table, r->start, r->end, gather_entries, &g);
	gather_finish(&g, false);
	dead = regions_remove_all(s);
	ASSERT(s->pages == 0 && s->anon_pages == 0 && s->mapped_pages == 0 && s->nr_regions == 0);
	ASSERT(s->data_pages == 0 && s->locked_pages == 0);
	mutex_unlock(&s->lock);
	regions_destroy(dead);
}

static void leave_to_worker(struct vm_space *s)
{
	struct vm_space *head = atomic_load_relaxed(&dead_spaces);

	do {
		s->dead_next = head;
	} while (!atomic_compare_exchange(&dead_spaces, &head, s));
	wake_one(&dead_wq);
}

void vm_space_put(struct vm_space *s)
{
	if (!refcount_put(&s->ref))
		return;
	might_sleep();
	/* a switch would activate what is about to be freed */
	DASSERT(vm_current() != s);
	drop_contents(s);
	drop_dead(NULL);
	if (atomic_load_acquire(&s->active) == 0)
		destroy(s);
	else
		leave_to_worker(s);
}

void vm_space_put_async(struct vm_space *s)
{
	if (refcount_put(&s->ref))
		leave_to_worker(s);
}

static void reap_list(void)
{
	struct vm_space *s = atomic_exchange(&dead_spaces, NULL);

	if (!s)
		return;
	drop_dead(NULL);
	cpus_call(drop_dead, NULL);
	while (s) {
		struct vm_space *next = s->dead_next;

		/* one that was put by vm_space_put_async() has them still */
		drop_contents(s);
		destroy(s);
		s = next;
	}
}

static void reap(void)
{
	/* counted before it takes anything: who finds the list empty then sees the count */
	atomic_fetch_add(&reaps, 1);
	reap_list();
	if (atomic_fetch_sub(&reaps, 1) == 1)
		wake_all(&reaped_wq);
}

void vm_space_reap(void)
{
	reap();
	/* pairs with the subtraction in reap(): what others took before us is free */
	wait_event(&reaped_wq, atomic_load_acquire(&reaps) == 0);
}

static void reaper(void *unused)
{
	for (;;) {
		wait_event(&dead_wq, atomic_load_relaxed(&dead_spaces) != NULL);
		/* uninterruptible: it always sleeps its time */
		(void)sleep_until(clock_now_ns() + REAP_DELAY, WAIT_UNINTERRUPTIBLE);
		reap();
	}
}

void vm_init(void)
{
	regions_init();
	cache = slab_create("vm_space", sizeof(struct vm_space), 0);
	if (!cache || thread_spawn("vm-reaper", reaper, NULL) < 0)
		panic("vm: no memory at boot");
	sched_set_space_switch(vm_space_activate);
}
