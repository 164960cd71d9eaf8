/* SPDX-License-Identifier: MIT */
/* The names of the lock classes, and how long each was waited for. */
#include "kernel/core/lock.h"

#include "lib/atomic.h"

static const char *const names[LOCK_CLASSES] = {
#define LOCK_CLASS(name, kind, irq, floor, protects) [LOCK_##name] = #name,
#include "kernel/core/lock_ranks.def"
#undef LOCK_CLASS
};

static struct lock_stat stats[LOCK_CLASSES]; /* [atomic] */

const char *lock_class_name(enum lock_class cls)
{
	return cls < LOCK_CLASSES ? names[cls] : "?";
}

void lock_stat_contended(enum lock_class cls, uint64_t wait_ns)
{
	uint64_t max = READ_ONCE(stats[cls].max_wait_ns);

	atomic_add_relaxed(&stats[cls].contended, 1);
	while (wait_ns > max && !atomic_compare_exchange(&stats[cls].max_wait_ns, &max, wait_ns))
		;
}

void lock_stat_get(enum lock_class cls, struct lock_stat *out)
{
	out->contended = READ_ONCE(stats[cls].contended);
	out->max_wait_ns = READ_ONCE(stats[cls].max_wait_ns);
}
