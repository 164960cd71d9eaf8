/* SPDX-License-Identifier: MIT */
/* A reference count that cannot wrap: at its limit it sticks, and the object is never freed (REL-003). */
#ifndef TERN_LIB_REFCOUNT_H
#define TERN_LIB_REFCOUNT_H

#include "lib/atomic.h"

struct refcount {
	uint32_t n; /* [atomic] */
};

#define REFCOUNT_STUCK 0xc0000000u

static inline void refcount_init(struct refcount *r, uint32_t n)
{
	atomic_store_relaxed(&r->n, n);
}

/* Take a reference; the caller already holds one, or a lock that keeps the object findable. False if the
 * count was 0: the object is dying, do not use it. At the limit the count sticks and the object stays. */
static inline __must_check bool refcount_get(struct refcount *r)
{
	uint32_t n = atomic_load_relaxed(&r->n);

	do {
		if (n == 0)
			return false;
		if (n >= REFCOUNT_STUCK)
			return true;
	} while (!__atomic_compare_exchange_n(&r->n, &n, n + 1, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

/* Drop a reference. True if that was the last: the caller destroys the object. */
static inline __must_check bool refcount_put(struct refcount *r)
{
	uint32_t n = atomic_load_relaxed(&r->n);

	do {
		if (n >= REFCOUNT_STUCK)
			return false;
		if (n == 0)
			__builtin_trap();
		/* release: our uses come before; acquire: the destroyer sees everybody's. Pairs with itself. */
	} while (!__atomic_compare_exchange_n(&r->n, &n, n - 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return n == 1;
}

static inline uint32_t refcount_read(const struct refcount *r)
{
	return atomic_load_relaxed(&r->n);
}

#endif
