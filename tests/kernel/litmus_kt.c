/* SPDX-License-Identifier: MIT */
/* What orders two CPUs see of each other: message passing, store buffering and load buffering, with relaxed accesses and
 * with those that forbid the weak outcome. Under emulation on x86 store buffering alone shows; scripts/test.sh weak wants the
 * others, before the storms say anything of barriers. Here only what is forbidden is a failure. */
#include "lib/atomic.h"
#include "kernel/core/machine.h"
#include "mm/phys/slab.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define CELLS	512
#define BATCHES 32
#define LINE	128 /* no line of any CPU's caches is longer */

struct cell {
	uint64_t x;
	uint64_t y __aligned(LINE);
} __aligned(LINE);

/* Each side does its two accesses, and says whether it saw its half of the weak outcome. */
struct shape {
	const char *name;
	bool (*side[2])(struct cell *c);
};

struct run {
	const struct shape *shape;
	struct cell *cells;
	uint64_t batches;
	uint64_t weak;		/* [self] of side 0 */
	uint32_t at[2];		/* [atomic] how often each has come to meet() */
	uint8_t seen[2][CELLS]; /* [self] of each side; after meet() of both */
};

struct side {
	struct run *run;
	unsigned me;
};

static bool mp_send(struct cell *c)
{
	WRITE_ONCE(c->x, 1);
	WRITE_ONCE(c->y, 1);
	return true;
}

static bool mp_receive(struct cell *c)
{
	uint64_t flag = READ_ONCE(c->y);

	return READ_ONCE(c->x) == 0 && flag == 1;
}

static bool mp_send_ordered(struct cell *c)
{
	WRITE_ONCE(c->x, 1);
	/* pairs with the acquire in mp_receive_ordered() */
	atomic_store_release(&c->y, 1);
	return true;
}

static bool mp_receive_ordered(struct cell *c)
{
	/* pairs with the release in mp_send_ordered() */
	uint64_t flag = atomic_load_acquire(&c->y);

	return READ_ONCE(c->x) == 0 && flag == 1;
}

static bool sb_left(struct cell *c)
{
	WRITE_ONCE(c->x, 1);
	return READ_ONCE(c->y) == 0;
}

static bool sb_right(struct cell *c)
{
	WRITE_ONCE(c->y, 1);
	return READ_ONCE(c->x) == 0;
}

static bool sb_left_ordered(struct cell *c)
{
	WRITE_ONCE(c->x, 1);
	/* pairs with the fence in sb_right_ordered() */
	atomic_fence();
	return READ_ONCE(c->y) == 0;
}

static bool sb_right_ordered(struct cell *c)
{
	WRITE_ONCE(c->y, 1);
	/* pairs with the fence in sb_left_ordered() */
	atomic_fence();
	return READ_ONCE(c->x) == 0;
}

static bool lb_left(struct cell *c)
{
	uint64_t v = READ_ONCE(c->x);

	WRITE_ONCE(c->y, 1);
	return v == 1;
}

static bool lb_right(struct cell *c)
{
	uint64_t v = READ_ONCE(c->y);

	WRITE_ONCE(c->x, 1);
	return v == 1;
}

static bool lb_left_ordered(struct cell *c)
{
	/* pairs with the release in lb_right_ordered() */
	uint64_t v = atomic_load_acquire(&c->x);

	atomic_store_release(&c->y, 1);
	return v == 1;
}

static bool lb_right_ordered(struct cell *c)
{
	/* pairs with the release in lb_left_ordered() */
	uint64_t v = atomic_load_acquire(&c->y);

	atomic_store_release(&c->x, 1);
	return v == 1;
}

/* Until the other side has come here as often. */
static void meet(struct run *r, unsigned me)
{
	uint32_t times = r->at[me] + 1;

	atomic_store_release(&r->at[me], times);
	/* pairs with the release of the other: what it saw, or that the cells are zero */
	while (atomic_load_acquire(&r->at[!me]) < times)
		cond_resched();
}

static void count_and_clear(struct run *r)
{
	for (unsigned i = 0; i < CELLS; i++) {
		r->weak += r->seen[0][i] & r->seen[1][i];
		WRITE_ONCE(r->cells[i].x, 0);
		WRITE_ONCE(r->cells[i].y, 0);
	}
}

static void side_fn(void *arg)
{
	struct side *s = arg;
	struct run *r = s->run;
	bool (*act)(struct cell * c) = r->shape->side[s->me];
	uint64_t seed = kt_seed() + s->me + 1;

	for (uint64_t n = 0; n < r->batches; n++) {
		meet(r, s->me);
		/* who is first changes from batch to batch */
		for (uint64_t wait = crew_random(&seed) % 64; wait > 0; wait--)
			arch_spin_hint();
		for (unsigned i = 0; i < CELLS; i++)
			r->seen[s->me][i] = act(&r->cells[i]);
		meet(r, s->me);
		if (s->me == 0)
			count_and_clear(r);
	}
}

/* How many outcomes of how many were weak; is told. */
static uint64_t weak_outcomes(const struct shape *shape)
{
	struct run *r = kzalloc(sizeof(*r));
	struct cell *cells = kzalloc(CELLS * sizeof(*cells));
	struct side sides[2] = { { r, 0 }, { r, 1 } };
	struct crew crew = { 0 };
	uint64_t weak = 0;

	KT_CHECK(r && cells);
	if (r && cells) {
		r->shape = shape;
		r->cells = cells;
		r->batches = BATCHES * kt_scale();
		crew_add(&crew, side_fn, &sides[0], BIT(0));
		crew_add(&crew, side_fn, &sides[1], BIT(cpu_count() - 1));
		crew_join(&crew);
		weak = r->weak;
		log_info("ktest: litmus %s: %lu weak of %lu", shape->name, weak,
			 r->batches * CELLS);
	}
	kfree(cells);
	kfree(r);
	return weak;
}

static void litmus(const struct shape *relaxed, const struct shape *ordered)
{
	if (cpu_count() < 2)
		return;
	(void)weak_outcomes(relaxed);
	KT_CHECK(weak_outcomes(ordered) == 0);
}

KTEST(litmus_message_passing)
{
	static const struct shape relaxed = { "MP", { mp_send, mp_receive } };
	static const struct shape ordered = { "MP ordered",
					      { mp_send_ordered, mp_receive_ordered } };

	litmus(&relaxed, &ordered);
}

KTEST(litmus_store_buffering)
{
	static const struct shape relaxed = { "SB", { sb_left, sb_right } };
	static const struct shape ordered = { "SB ordered", { sb_left_ordered, sb_right_ordered } };

	litmus(&relaxed, &ordered);
}

KTEST(litmus_load_buffering)
{
	static const struct shape relaxed = { "LB", { lb_left, lb_right } };
	static const struct shape ordered = { "LB ordered", { lb_left_ordered, lb_right_ordered } };

	litmus(&relaxed, &ordered);
}
