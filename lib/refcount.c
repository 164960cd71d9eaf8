/* SPDX-License-Identifier: MIT */
#include "lib/refcount.h"

bool refcount_get(struct refcount *r)
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

bool refcount_put(struct refcount *r)
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
