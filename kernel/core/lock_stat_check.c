/* SPDX-License-Identifier: MIT */
/* Statistics of locks. A hold is counted where it ends, which for a mutex may be another CPU than where it began. */
#include "kernel/core/lock_stat.h"

#include "kernel/core/clock.h"
#include "kernel/core/percpu.h"

static DEFINE_PER_CPU(struct lock_stat[LOCK_CLASSES], stats); /* [cpu] irqs off; read by all */

void lock_stat_taken(struct held_lock *h)
{
	struct lock_stat *s = &(*per_cpu_ptr(stats, arch_cpu()))[h->cls];

	h->since = arch_counter();
	WRITE_ONCE(s->count, s->count + 1);
}

void lock_stat_let_go(const struct held_lock *h)
{
	struct lock_stat *s = &(*per_cpu_ptr(stats, arch_cpu()))[h->cls];
	uint64_t hold = arch_counter() - h->since;

	WRITE_ONCE(s->hold, s->hold + hold);
	if (unlikely(hold > s->hold_max)) {
		WRITE_ONCE(s->hold_max, hold);
		WRITE_ONCE(s->hold_max_at, h->pc);
	}
}

uint64_t lock_stat_now(void)
{
	return arch_counter();
}

void lock_stat_waited(enum lock_class cls, uint64_t start, uintptr_t pc)
{
	irqflags_t f = arch_irq_save();
	struct lock_stat *s = &(*per_cpu_ptr(stats, arch_cpu()))[cls];
	uint64_t wait = arch_counter() - start;

	WRITE_ONCE(s->contended, s->contended + 1);
	WRITE_ONCE(s->wait, s->wait + wait);
	if (wait > s->wait_max) {
		WRITE_ONCE(s->wait_max, wait);
		WRITE_ONCE(s->wait_max_at, pc);
	}
	arch_irq_restore(f);
}

static void larger(uint64_t *max, uintptr_t *max_at, uint64_t ns, uintptr_t at)
{
	if (ns > *max) {
		*max = ns;
		*max_at = at;
	}
}

void lock_stat_get(enum lock_class cls, struct lock_stat *out)
{
	struct cpu *c;

	*out = (struct lock_stat){ 0 };
	for_each_cpu (c) {
		const struct lock_stat *s = &(*per_cpu_ptr(stats, c))[cls];

		out->count += READ_ONCE(s->count);
		out->contended += READ_ONCE(s->contended);
		out->hold += clock_counter_to_ns(READ_ONCE(s->hold));
		out->wait += clock_counter_to_ns(READ_ONCE(s->wait));
		larger(&out->hold_max, &out->hold_max_at,
		       clock_counter_to_ns(READ_ONCE(s->hold_max)), READ_ONCE(s->hold_max_at));
		larger(&out->wait_max, &out->wait_max_at,
		       clock_counter_to_ns(READ_ONCE(s->wait_max)), READ_ONCE(s->wait_max_at));
	}
}
