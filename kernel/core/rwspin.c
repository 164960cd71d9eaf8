/* SPDX-License-Identifier: MIT */
/* The two sides each store their own word and then read the other's, with a full fence between: one of them at least sees
 * the other. I-RW-1: while `writing` is set and the writer has looked at every CPU, no CPU's word is set. */
#include "kernel/core/rwspin.h"

#include "kernel/core/lock_stat.h"
#include "kernel/core/panic.h"
#include "kernel/core/perturb.h"

#define CALLER ((uintptr_t)__builtin_return_address(0))

/* In a test, after a BUG. */
static void drop_reader(const void *lock)
{
	const struct rwspin *l = lock;

	atomic_store_release(this_cpu_ptr(*l->reading), 0);
}

static void drop_writer(const void *lock)
{
	struct rwspin *l = container_of((spinlock_t *)(uintptr_t)lock, struct rwspin, writer);

	atomic_store_release(&l->writing, 0);
	spin_release(&l->writer);
}

void rwspin_read_lock(struct rwspin *l) __no_lock_check
{
	uint32_t *reading;

	preempt_disable();
	lock_check_acquire(l, l->writer.cls, false, false, CALLER);
	reading = this_cpu_ptr(*l->reading);
	atomic_store_relaxed(reading, 1);
	perturb(PERTURB_LOCK);
	/* pairs with the fence in rwspin_write_lock() */
	atomic_fence();
	/* acquire: pairs with the release in rwspin_write_unlock() */
	if (unlikely(atomic_load_acquire(&l->writing))) {
		/* no writer is inside while we hold its lock, and the next one finds our word */
		atomic_store_relaxed(reading, 0);
		spin_lock(&l->writer);
		atomic_store_relaxed(reading, 1);
		spin_unlock(&l->writer);
	}
	lock_check_acquired(l, l->writer.cls, false, false, CALLER);
	lock_check_drop_by(drop_reader);
}

void rwspin_read_unlock(struct rwspin *l) __no_lock_check
{
	lock_check_release(l, l->writer.cls, false);
	/* pairs with the acquire in rwspin_write_lock(): what we read, we read before the writer's stores */
	atomic_store_release(this_cpu_ptr(*l->reading), 0);
	perturb(PERTURB_UNLOCK);
	preempt_enable();
}

static void wait_for_reader(struct rwspin *l, const struct cpu *c, const uint32_t *reading,
			    uintptr_t pc)
{
	uint64_t start = lock_stat_now();

	if (c == this_cpu())
		BUG("lock: %s taken for writing by its reader", lock_class_name(l->writer.cls));
	while (atomic_load_acquire(reading))
		arch_spin_hint();
	lock_stat_waited(l->writer.cls, start, pc);
}

void rwspin_write_lock(struct rwspin *l) __no_lock_check
{
	const uint32_t *reading;
	struct cpu *c;

	spin_lock(&l->writer);
	lock_check_drop_by(drop_writer);
	atomic_store_relaxed(&l->writing, 1);
	perturb(PERTURB_LOCK);
	/* pairs with the fence in rwspin_read_lock() */
	atomic_fence();
	for_each_cpu (c) {
		reading = per_cpu_ptr(*l->reading, c);
		if (unlikely(atomic_load_acquire(reading)))
			wait_for_reader(l, c, reading, CALLER);
	}
}

void rwspin_write_unlock(struct rwspin *l) __no_lock_check
{
	atomic_store_release(&l->writing, 0);
	spin_unlock(&l->writer);
}
