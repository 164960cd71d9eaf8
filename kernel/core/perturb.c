/* SPDX-License-Identifier: MIT */
/* Perturbed schedules. Each CPU draws from a generator of its own, so that a seed gives the same decisions in the same
 * order on each CPU, whatever the others do. A decision is to go on, to dawdle for a moment with whatever is held, or
 * to ask this CPU's scheduler to switch at the next place where it may. */
#include "kernel/core/perturb.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"

/* Turns of an empty loop. Not of arch_spin_hint(): a machine of one CPU under TCG leaves the generated code at each,
 * and a delay meant to take microseconds takes milliseconds. */
#define DAWDLE_MAX 4096

static uint64_t seed; /* [atomic] 0: off */

struct perturb_state {
	uint64_t seed; /* [cpu] what x was made from */
	uint64_t x;    /* [cpu] */
};

static DEFINE_PER_CPU(struct perturb_state, perturb_state);

/* One in how many asks for a delay, and for a switch, at each point. */
static const struct {
	uint16_t delay, resched;
} odds[] = {
	[PERTURB_LOCK] = { 64, 0 },	  [PERTURB_UNLOCK] = { 64, 64 },
	[PERTURB_WAKE] = { 8, 16 },	  [PERTURB_SWITCH] = { 16, 32 },
	[PERTURB_IRQ_RETURN] = { 16, 8 }, [PERTURB_PUBLISH] = { 4, 4 },
};

void perturb_set_seed(uint64_t s)
{
	WRITE_ONCE(seed, s);
}

void perturb_init(void)
{
	perturb_set_seed(cmdline_u64("perturb", 0));
	if (READ_ONCE(seed))
		log_info("core: schedules perturbed from seed %lu", READ_ONCE(seed));
}

/* irqs off. */
static uint64_t draw(struct perturb_state *s, uint64_t from, unsigned cpu)
{
	if (s->seed != from) {
		s->seed = from;
		s->x = (from + cpu + 1) * 0x9e3779b97f4a7c15UL;
	}
	s->x ^= s->x << 13;
	s->x ^= s->x >> 7;
	s->x ^= s->x << 17;
	return s->x * 0x2545f4914f6cdd1dUL >> 16;
}

void perturb(enum perturb_point p)
{
	uint64_t from = READ_ONCE(seed), x;
	irqflags_t f;

	if (likely(!from))
		return;
	f = arch_irq_save();
	x = draw(this_cpu_ptr(perturb_state), from, this_cpu()->id);
	if (odds[p].resched && (x & 0xffff) % odds[p].resched == 0)
		WRITE_ONCE(this_cpu()->need_resched, 1);
	arch_irq_restore(f);
	if (odds[p].delay && (x >> 16 & 0xffff) % odds[p].delay == 0)
		for (uint64_t n = (x >> 32) % DAWDLE_MAX; n > 0; n--)
			__asm__ __volatile__("");
}
