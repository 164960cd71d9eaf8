/* SPDX-License-Identifier: MIT */
/* What time is made of, on a page of its own that programs read through the vDSO: the same arithmetic on both sides. All
 * but wall_offset is fixed at boot, and that is one word, so there is nothing to be read half. */
#ifndef TERN_KERNEL_CORE_CLOCK_DATA_H
#define TERN_KERNEL_CORE_CLOCK_DATA_H

#include "lib/types.h"

struct clock_data {
	uint64_t counter_base; /* [init] */
	uint64_t counter_hz;   /* [init] */
	uint64_t ns_whole;     /* [init] ns a count, 0 if that is no whole number */
	uint64_t wall_offset;  /* [atomic] ns */
};

/* Rounds down, and clock_ns_to_counter() up, both exactly: a deadline's count is never before the deadline. */
static inline uint64_t clock_data_ns(const struct clock_data *d, uint64_t count)
{
	if (likely(d->ns_whole))
		return count * d->ns_whole;
	return count / d->counter_hz * NS_PER_S + count % d->counter_hz * NS_PER_S / d->counter_hz;
}

#endif
