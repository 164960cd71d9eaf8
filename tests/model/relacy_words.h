/* SPDX-License-Identifier: MIT */
/* What the kernel's sources mean by a word that CPUs share, for relacy, which has a memory and a scheduler of its own: a second
 * opinion on what tests/model/model.c says of them. It is C++ and its atomics are a class; a uint32_t of the sources is here
 * one of these. */
#ifndef TERN_TESTS_MODEL_RELACY_WORDS_H
#define TERN_TESTS_MODEL_RELACY_WORDS_H

#include <relacy/relacy.hpp>

static bool threads_run; /* false: in before() */

template <typename T> struct shared_word {
	rl::atomic<T> shared;
	T local; /* what a function keeps for itself */

	shared_word(T v = 0) : local(v)
	{
	}
	shared_word(const shared_word &v) : local(v.local)
	{
	}
	operator T() const
	{
		return local;
	}
	void operator=(T v)
	{
		local = v;
		if (!threads_run)
			shared.store(v, rl::mo_relaxed, $);
	}
	void operator=(const shared_word &v)
	{
		*this = v.local;
	}
	void operator+=(T v)
	{
		local += v;
	}
	void operator++()
	{
		local++;
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

template <typename T>
static bool exchange_if(shared_word<T> *p, shared_word<T> *expected, T v, int order, int failed)
{
	return p->shared.compare_exchange_strong(expected->local, v, order_of(order), $,
						 order_of(failed), $);
}

template <typename T, typename V> static void store(shared_word<T> *p, V v, int order)
{
	p->shared.store((T)v, order_of(order), $);
}

template <typename T> static T load(const shared_word<T> *p, int order)
{
	return p->shared.load(order_of(order), $);
}

/* A member that is shared and also used plainly, under its lock. */
template <typename T> struct shared_member {
	rl::atomic<T> shared;

	operator T() const
	{
		return shared.load(rl::mo_relaxed, $);
	}
	T operator->() const
	{
		return *this;
	}
	void operator=(T v)
	{
		shared.store(v, rl::mo_relaxed, $);
	}
	void operator=(const shared_member &v)
	{
		*this = (T)v;
	}
};

template <typename T, typename V> static void store(shared_member<T> *p, V v, int order)
{
	p->shared.store((T)v, order_of(order), $);
}

template <typename T> static T load(const shared_member<T> *p, int order)
{
	return p->shared.load(order_of(order), $);
}

/* What is neither is nobody's to share. */
template <typename T, typename V> static void store(T *p, V v, int)
{
	*p = (T)v;
}

template <typename T> static T load(const T *p, int)
{
	return *p;
}

/* What the sources include, as far as they need it. */
#define TERN_LIB_TYPES_H
#define TERN_LIB_ATOMIC_H
#define TERN_ARCH_AARCH64_ARCH_H
#define __capability(x)
#define __acquires(...)
#define __releases(...)
#define __try_acquires(...)
#define __asserts_held(...)
#define __requires(...)
#define __no_lock_check
#define __must_check
#define __noinline
#define unlikely(x)		   (x)
#define MIN(a, b)		   ((a) < (b) ? (a) : (b))
#define READ_ONCE(x)		   load(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	   store(&(x), (v), __ATOMIC_RELAXED)
#define atomic_load_relaxed(p)	   load((p), __ATOMIC_RELAXED)
#define atomic_load_acquire(p)	   load((p), __ATOMIC_ACQUIRE)
#define atomic_store_relaxed(p, v) store((p), (v), __ATOMIC_RELAXED)
#define atomic_store_release(p, v) store((p), (v), __ATOMIC_RELEASE)
#define atomic_fence()		   rl::atomic_thread_fence(rl::mo_seq_cst, $)
#define arch_dma_wmb()		   rl::atomic_thread_fence(rl::mo_release, $)
#define arch_dma_rmb()		   rl::atomic_thread_fence(rl::mo_acquire, $)
#define arch_dma_mb()		   rl::atomic_thread_fence(rl::mo_seq_cst, $)
#define __atomic_compare_exchange_n(p, expected, v, weak, order, failed)                           \
	exchange_if((p), (expected), (v), (order), (failed))

/* How many runs there were, all of them good; 0: one was not, and has been printed. switches: at most so many away from who
 * could go on; 0: any number. */
template <typename T> static unsigned long explore(unsigned switches)
{
	rl::test_params p;

	p.search_type = switches ? rl::sched_bound : rl::sched_full;
	p.context_bound = switches;
	p.execution_depth_limit = 2000;
	p.progress_output_period = UINT_MAX;
	return rl::simulate<T>(p) ? p.stop_iteration : 0;
}

#endif
