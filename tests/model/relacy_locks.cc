/* SPDX-License-Identifier: MIT */
/* The sources of the spinlock and of the reference count under relacy, which has a memory and a scheduler of its own: a second
 * opinion on what tests/model/model.c says of them. It is C++ and its atomics are a class, which a uint32_t of theirs is here. */
#include <relacy/relacy.hpp>

#include "tests/model/relacy_locks.h"

struct word {
	rl::atomic<unsigned> shared;
	unsigned local; /* what a function keeps for itself */

	word(unsigned v = 0) : local(v)
	{
	}
	operator unsigned() const
	{
		return local;
	}
	void operator=(unsigned v)
	{
		shared.store(v, rl::mo_relaxed, $);
	}
};

static rl::memory_order order_of(int order)
{
	return order == __ATOMIC_RELAXED   ? rl::mo_relaxed
	       : order == __ATOMIC_ACQUIRE ? rl::mo_acquire
	       : order == __ATOMIC_RELEASE ? rl::mo_release
	       : order == __ATOMIC_ACQ_REL ? rl::mo_acq_rel
					   : rl::mo_seq_cst;
}

static bool exchange_if(word *p, word *expected, unsigned v, int order, int failed)
{
	return p->shared.compare_exchange_strong(expected->local, v, order_of(order), $,
						 order_of(failed), $);
}

static void store(word *p, unsigned v, int order)
{
	p->shared.store(v, order_of(order), $);
}

static unsigned load(const word *p, int order)
{
	return p->shared.load(order_of(order), $);
}

/* What the sources include, as far as they need it. */
#define TERN_LIB_TYPES_H
#define TERN_LIB_ATOMIC_H
#define TERN_ARCH_AARCH64_ARCH_H
#define TERN_KERNEL_CORE_LOCK_H
#define TERN_KERNEL_CORE_PERCPU_H
#define TERN_KERNEL_CORE_PANIC_H
#define TERN_KERNEL_CORE_PERTURB_H
#define TERN_KERNEL_CORE_TRACE_H
#define TERN_KERNEL_CORE_IRQS_OFF_H
#define TERN_KERNEL_CORE_LOCK_ORDER_H
#define TERN_KERNEL_CORE_LOCK_STAT_H
#define __capability(x)
#define __acquires(...)
#define __releases(...)
#define __try_acquires(...)
#define __asserts_held(...)
#define __no_lock_check
#define __must_check
#define unlikely(x)		   (x)
#define MIN(a, b)		   ((a) < (b) ? (a) : (b))
#define BUG(...)		   RL_ASSERT(!"BUG")
#define DASSERT(cond)		   ((void)0)
#define READ_ONCE(x)		   load(&(x), __ATOMIC_RELAXED)
#define atomic_load_relaxed(p)	   load((p), __ATOMIC_RELAXED)
#define atomic_store_relaxed(p, v) store((p), (v), __ATOMIC_RELAXED)
#define atomic_store_release(p, v) store((p), (v), __ATOMIC_RELEASE)
#define __atomic_compare_exchange_n(p, expected, v, weak, order, failed)                           \
	exchange_if((p), (expected), (v), (order), (failed))

enum lock_class { LOCK_NONE };
typedef uint64_t irqflags_t;
struct cpu {
	unsigned id;
	struct {
		unsigned n;
	} spinlocks;
};
static struct cpu cpus[] = { { 0 }, { 1 }, { 2 }, { 3 } };
struct thread_base {
	int preempt_depth;
};

static struct cpu *this_cpu()
{
	return &cpus[rl::thread_index()];
}
#define arch_cpu this_cpu
static irqflags_t arch_irq_save()
{
	return 0;
}
static void arch_irq_restore(irqflags_t)
{
}
static bool arch_irqs_off()
{
	return true;
}
static struct thread_base *current_base()
{
	static struct thread_base base = { 1 };

	return &base;
}
static void preempt_disable()
{
}
static void preempt_enable()
{
}
static void preempt_resched()
{
}
static void arch_spin_hint()
{
	rl::yield(1, $);
}
static const char *lock_class_name(int)
{
	return "";
}
static uint64_t lock_stat_now()
{
	return 0;
}
static void lock_stat_waited(int, uint64_t, uintptr_t)
{
}
static void lock_order_forget(const void *)
{
}
static void perturb_spins(bool)
{
}
#define trace(...)		 ((void)0)
#define perturb(point)		 ((void)0)
#define lock_check_acquire(...)	 ((void)0)
#define lock_check_acquired(...) ((void)0)
#define lock_check_context(...)	 ((void)0)
#define uint32_t		 word

#include "kernel/core/spinlock.h"
#include "kernel/core/spinlock.c"
#include "lib/refcount.h"

#undef uint32_t

struct locks : rl::test_suite<locks, 2> {
	spinlock_t lock;
	rl::var<int> held;

	void before()
	{
		spin_init(&lock, LOCK_NONE);
		held($) = 0;
	}
	void thread(unsigned)
	{
		spin_lock(&lock);
		held($) = held($) + 1;
		spin_unlock(&lock);
	}
	void after()
	{
		RL_ASSERT(held($) == 2);
	}
};

/* Who puts the last reference sees what the others have done with the object. */
struct counts : rl::test_suite<counts, 3> {
	struct refcount ref;
	rl::var<int> used[3];

	void before()
	{
		refcount_init(&ref, 3);
		for (int i = 0; i < 3; i++)
			used[i]($) = 0;
	}
	void thread(unsigned i)
	{
		used[i]($) = 1;
		if (!refcount_put(&ref))
			return;
		for (int k = 0; k < 3; k++)
			RL_ASSERT(used[k]($) == 1);
	}
};

template <typename T> static unsigned long explore()
{
	rl::test_params p;

	p.search_type = rl::sched_full;
	p.execution_depth_limit = 2000;
	return rl::simulate<T>(p) ? p.stop_iteration : 0;
}

unsigned long relacy_spinlock(void)
{
	return explore<locks>();
}

unsigned long relacy_refcount(void)
{
	return explore<counts>();
}
