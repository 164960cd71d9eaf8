/* SPDX-License-Identifier: MIT */
/* Ranks order the classes; within a class only what was seen can be judged. Each pair of locks held together is an edge
 * from the first to the second, and a circle of edges is a deadlock that needs nothing but bad luck. The newest EDGES are
 * kept. Each CPU remembers the edges it met last, so that what is known already touches no shared memory but a number that
 * changes when a lock is forgotten. */
#include "kernel/core/lock_order.h"

#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "lib/atomic.h"

#define EDGES	512
#define BUCKETS 256
#define RECENT	32

struct edge {
	const void *from, *to; /* from NULL: unused */
	uintptr_t from_pc, to_pc;
	uint16_t next; /* in the bucket of from: 1 + index; 0: the last */
};

static uint32_t busy;		  /* [atomic] 1: somebody looks or changes; irqs off */
static struct edge edges[EDGES];  /* [busy] */
static uint16_t buckets[BUCKETS]; /* [busy] 1 + index */
static unsigned oldest;		  /* [busy] where the next edge goes */
static uint32_t
	ends[BUCKETS];	    /* [busy] edges that begin or end at a lock of this hash; read by all */
static uint32_t generation; /* [atomic] changes when edges are dropped */
static uint16_t reached[EDGES];	  /* [busy] of a search: edges, in the order of finding */
static uint8_t is_reached[EDGES]; /* [busy] */

struct known {
	const void *from, *to;
	uint32_t generation;
};
static DEFINE_PER_CPU(struct known[RECENT], recent); /* [cpu] */

static unsigned hash_of(const void *lock)
{
	return (unsigned)((uintptr_t)lock * 0x9e3779b97f4a7c15UL >> 56) % BUCKETS;
}

static irqflags_t graph_lock(void)
{
	irqflags_t f = arch_irq_save();

	while (READ_ONCE(busy) || atomic_exchange(&busy, 1))
		arch_spin_hint();
	return f;
}

static void graph_unlock(irqflags_t f)
{
	atomic_store_release(&busy, 0);
	arch_irq_restore(f);
}

static void edge_drop(unsigned i)
{
	struct edge *e = &edges[i];
	uint16_t *at = &buckets[hash_of(e->from)];

	while (*at != i + 1)
		at = &edges[*at - 1].next;
	*at = e->next;
	WRITE_ONCE(ends[hash_of(e->from)], ends[hash_of(e->from)] - 1);
	WRITE_ONCE(ends[hash_of(e->to)], ends[hash_of(e->to)] - 1);
	e->from = NULL;
	atomic_fetch_add(&generation, 1);
}

static void edge_put(const struct edge *new)
{
	unsigned i = oldest++ % EDGES, h = hash_of(new->from);

	if (edges[i].from)
		edge_drop(i);
	edges[i] = *new;
	edges[i].next = buckets[h];
	buckets[h] = (uint16_t)(i + 1);
	WRITE_ONCE(ends[h], ends[h] + 1);
	WRITE_ONCE(ends[hash_of(new->to)], ends[hash_of(new->to)] + 1);
}

static bool edge_known(const struct edge *new)
{
	for (unsigned i = buckets[hash_of(new->from)]; i; i = edges[i - 1].next)
		if (edges[i - 1].from == new->from && edges[i - 1].to == new->to)
			return true;
	return false;
}

/* Mark the edges that begin at a lock, and say how many are marked then. */
static unsigned reach(const void *from, unsigned n)
{
	for (unsigned i = buckets[hash_of(from)]; i; i = edges[i - 1].next)
		if (edges[i - 1].from == from && !is_reached[i - 1]) {
			is_reached[i - 1] = true;
			reached[n++] = (uint16_t)(i - 1);
		}
	return n;
}

/* The last edge of a path from one lock to another, copied. False: no path. */
static bool find_path(const void *from, const void *to, struct edge *last)
{
	unsigned n = reach(from, 0);
	bool found = false;

	for (unsigned i = 0; i < n && !found; i++) {
		*last = edges[reached[i]];
		found = last->to == to;
		n = reach(last->to, n);
	}
	while (n > 0)
		is_reached[reached[--n]] = false;
	return found;
}

static void say(const char *when, const struct edge *e)
{
	size_t from_offset, to_offset;
	const char *from = symbol_of(e->from_pc, &from_offset);
	const char *to = symbol_of(e->to_pc, &to_offset);

	log_warn("core: lock order, %s: %p at %lx %s+0x%zx, then %p at %lx %s+0x%zx", when, e->from,
		 e->from_pc, from, from_offset, e->to, e->to_pc, to, to_offset);
}

static void check_new(const struct edge *new, const char *class)
{
	irqflags_t f = graph_lock();
	struct edge other;
	bool circle = false;

	if (!edge_known(new)) {
		circle = find_path(new->to, new->from, &other);
		if (!circle)
			edge_put(new);
	}
	graph_unlock(f);
	if (!circle)
		return;
	say("now", new);
	say("before", &other);
	BUG("lock: a circle of %s: %p taken at %lx with %p held, which was taken after it at %lx",
	    class, new->to, new->to_pc, new->from, other.to_pc);
}

void lock_order_add(const struct held_lock *h, const void *lock, uintptr_t pc)
{
	struct edge new = { .from = h->lock, .to = lock, .from_pc = h->pc, .to_pc = pc };
	/* before the look: what is dropped from here on changes it */
	uint32_t now = atomic_load_acquire(&generation);
	unsigned slot = (hash_of(new.from) ^ hash_of(new.to) << 1) % RECENT;
	irqflags_t f = arch_irq_save();
	struct known *r = &(*this_cpu_ptr(recent))[slot];

	if (r->from != new.from || r->to != new.to || r->generation != now) {
		check_new(&new, lock_class_name(h->cls));
		r->from = new.from;
		r->to = new.to;
		r->generation = now;
	}
	arch_irq_restore(f);
}

void lock_order_forget(const void *lock)
{
	irqflags_t f;

	if (likely(!READ_ONCE(ends[hash_of(lock)])))
		return;
	f = graph_lock();
	for (unsigned i = 0; i < EDGES; i++)
		if (edges[i].from && (edges[i].from == lock || edges[i].to == lock))
			edge_drop(i);
	graph_unlock(f);
}
