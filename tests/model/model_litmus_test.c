/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources */
/* I-MODEL-1: the models' memory and scheduler themselves. What the litmus tests may and may not answer, and that the reduction loses none
 * of it. */
#include "lib/atomic.h"
#include "tests/model/env.h"

static unsigned a, b, plain;
static unsigned r[4];
static int store_order, load_order;
static bool fenced;

static void setup(void)
{
}

static void put(unsigned *p)
{
	if (store_order == __ATOMIC_RELEASE)
		atomic_store_release(p, 1);
	else
		atomic_store_relaxed(p, 1);
}

static unsigned get(unsigned *p)
{
	return load_order == __ATOMIC_ACQUIRE ? atomic_load_acquire(p) : atomic_load_relaxed(p);
}

static void fence(void)
{
	if (fenced)
		atomic_fence();
}

static void note(void)
{
	model_note(r[0] | r[1] << 1 | r[2] << 2 | r[3] << 3);
}

/* The answers of both: with all orders run, and with the reduction. */
static unsigned answers(const char *name, struct modelled m)
{
	uint64_t reduced;

	m.setup = setup;
	m.end = note;
	reduced = model_explore(name, &m);
	m.unreduced = true;
	CHECK_EQ(model_explore(name, &m), reduced);
	return (unsigned)reduced;
}

static void begin(int store, int load, bool with_fence)
{
	store_order = store;
	load_order = load;
	fenced = with_fence;
}

static void mp_writes(void)
{
	atomic_store_relaxed(&a, 1);
	fence();
	put(&b);
}

static void mp_reads(void)
{
	r[0] = get(&b);
	fence();
	r[1] = atomic_load_relaxed(&a);
}

TEST(model_litmus_message)
{
	static const struct modelled m = { .cpus = 2, .run = { mp_writes, mp_reads } };

	begin(__ATOMIC_RELEASE, __ATOMIC_ACQUIRE, false);
	CHECK_EQ(answers("message passing, release and acquire", m), 0xd);
	begin(__ATOMIC_RELAXED, __ATOMIC_ACQUIRE, false);
	CHECK_EQ(answers("message passing, relaxed store", m), 0xf);
	begin(__ATOMIC_RELEASE, __ATOMIC_RELAXED, false);
	CHECK_EQ(answers("message passing, relaxed load", m), 0xf);
	begin(__ATOMIC_RELAXED, __ATOMIC_RELAXED, true);
	CHECK_EQ(answers("message passing, fences", m), 0xd);
}

static void sb_first(void)
{
	put(&a);
	fence();
	r[0] = get(&b);
}

static void sb_second(void)
{
	put(&b);
	fence();
	r[1] = get(&a);
}

TEST(model_litmus_stores)
{
	static const struct modelled m = { .cpus = 2, .run = { sb_first, sb_second } };

	begin(__ATOMIC_RELEASE, __ATOMIC_ACQUIRE, false);
	CHECK_EQ(answers("store buffering, release and acquire", m), 0xf);
	begin(__ATOMIC_RELAXED, __ATOMIC_RELAXED, true);
	CHECK_EQ(answers("store buffering, fences", m), 0xe);
}

static void writes_a(void)
{
	put(&a);
}

static void writes_b(void)
{
	put(&b);
}

static void reads_ab(void)
{
	r[0] = get(&a);
	fence();
	r[1] = get(&b);
}

static void reads_ba(void)
{
	r[2] = get(&b);
	fence();
	r[3] = get(&a);
}

/* a first, then b; and the other way round: bits 0 and 2 alone */
#define BOTH_ORDERS (1u << (1 | 1 << 2))

TEST(model_litmus_readers)
{
	static const struct modelled m = { .cpus = 4,
					   .run = { writes_a, writes_b, reads_ab, reads_ba } };

	begin(__ATOMIC_RELEASE, __ATOMIC_ACQUIRE, false);
	CHECK(answers("independent readers, release and acquire", m) & BOTH_ORDERS);
	begin(__ATOMIC_RELAXED, __ATOMIC_RELAXED, true);
	CHECK_EQ(answers("independent readers, fences", m) & BOTH_ORDERS, 0);
}

static void same_word(void)
{
	atomic_store_relaxed(&a, 1);
}

static void reads_twice(void)
{
	r[0] = atomic_load_relaxed(&a);
	r[1] = atomic_load_relaxed(&a);
}

static void counts(void)
{
	r[model_cpu()] = atomic_fetch_add(&a, 1) & 1;
	MODEL_CHECK(atomic_load_relaxed(&a) > 0);
}

TEST(model_litmus_one_word)
{
	static const struct modelled reads = { .cpus = 2, .run = { same_word, reads_twice } };
	static const struct modelled adds = { .cpus = 3, .run = { counts } };

	begin(0, 0, false);
	CHECK_EQ(answers("a word never goes back", reads), 0xd);
	CHECK_EQ(answers("three count", adds), 1u << 1 | 1u << 2 | 1u << 4);
}

/* What a read-modify-write has read goes on with its own message. */
static void passes_on(void)
{
	(void)__atomic_fetch_add(&b, 1, __ATOMIC_RELAXED);
}

static void mp_reads_two(void)
{
	r[0] = atomic_load_acquire(&b) == 2;
	r[1] = atomic_load_relaxed(&a);
}

TEST(model_litmus_release_sequence)
{
	static const struct modelled m = { .cpus = 3,
					   .run = { mp_writes, passes_on, mp_reads_two } };

	begin(__ATOMIC_RELEASE, 0, false);
	CHECK_EQ(answers("a count between release and acquire", m), 0xf & ~(1u << 1));
}

static void waits(void)
{
	while (!get(&b))
		model_spin();
	r[0] = plain;
}

static void writes_plainly(void)
{
	plain = 1;
	put(&b);
}

TEST(model_litmus_waits)
{
	static const struct modelled m = { .cpus = 2, .run = { writes_plainly, waits } };

	begin(__ATOMIC_RELEASE, __ATOMIC_ACQUIRE, false);
	CHECK_EQ(answers("waits for a store", m), 1u << 1);
}
