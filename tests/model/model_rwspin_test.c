/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources kernel/core/rwspin.c */
/* Locks of readers and writers: a reader and a writer are never inside together, and each sees what the writers before
 * have done. */
#include "kernel/core/rwspin.h"
#include "tests/model/env.h"

static DEFINE_PER_CPU(uint32_t, reading);
static struct rwspin lock = RWSPIN_INIT(WAITQ, reading);
static unsigned first, second;

static void read_once(void)
{
	unsigned seen;

	env_enter();
	rwspin_read_lock(&lock);
	seen = first;
	MODEL_CHECK(second == seen);
	rwspin_read_unlock(&lock);
}

static void write_once(void)
{
	env_enter();
	rwspin_write_lock(&lock);
	first++;
	second++;
	rwspin_write_unlock(&lock);
}

static void two_cpus(void)
{
	env_cpus(2);
}

static void three_cpus(void)
{
	env_cpus(3);
}

static void write_and_read(void)
{
	write_once();
	read_once();
}

TEST(model_rwspin)
{
	static const struct modelled two = { .cpus = 2,
					     .setup = two_cpus,
					     .run = { read_once, write_once } };
	static const struct modelled both = { .cpus = 2,
					      .setup = two_cpus,
					      .run = { write_and_read } };
	const struct modelled three = { .cpus = 3,
					.setup = three_cpus,
					.run = { write_once, read_once },
					.preemptions = test_scale > 1 ? 0 : 2 };

	model_explore("rwspin, a reader and a writer", &two);
	model_explore("rwspin, both write, then read", &both);
	model_explore("rwspin, two readers and a writer", &three);
}
