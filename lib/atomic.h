/* SPDX-License-Identifier: MIT */
/* Atomic operations on plain integers and pointers, by the compiler's builtins. Name the partner of each
 * acquire and release where it is used. */
#ifndef TERN_LIB_ATOMIC_H
#define TERN_LIB_ATOMIC_H

#include "lib/types.h"

#define atomic_load_relaxed(p)	   __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_load_acquire(p)	   __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
/* Each returns the value before the operation. */
#define atomic_fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_or(p, v)  __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_and(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define atomic_exchange(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
/* Statistics: no order. */
#define atomic_add_relaxed(p, v) ((void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
/* True if *p was *expected and is now v; else *expected is what was found. */
#define atomic_compare_exchange(p, expected, v)                                                    \
	__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define atomic_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
