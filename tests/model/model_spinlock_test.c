/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources */
/* Spinlocks: one holder at a time, who sees what the one before has done. */
#include "kernel/core/spinlock.h"
#include "tests/model/env.h"

static spinlock_t lock = SPINLOCK_INIT(WAITQ);
static spinlock_t second = SPINLOCK_INIT(RUNQ);
static unsigned held, other;

static void setup(void)
{
	unsigned n = 4;

	env_cpus(n);
}

static void once(void)
{
	spin_lock(&lock);
	held++;
	spin_unlock(&lock);
}

static void lock_once(void)
{
	env_enter();
	once();
}

static void lock_twice(void)
{
	env_enter();
	once();
	once();
}

static void held_twice(void)
{
	MODEL_CHECK(held == 2);
}

static void held_thrice(void)
{
	MODEL_CHECK(held == 3);
}

static void held_four_times(void)
{
	MODEL_CHECK(held == 4);
}

TEST(model_spinlock)
{
	static const struct modelled two = { .cpus = 2,
					     .setup = setup,
					     .run = { lock_once },
					     .end = held_twice,
					     .stale_cas = true };
	static const struct modelled twice = {
		.cpus = 2, .setup = setup, .run = { lock_twice }, .end = held_four_times
	};
	static const struct modelled three = {
		.cpus = 3, .setup = setup, .run = { lock_once }, .end = held_thrice
	};

	model_explore("spinlock, 2 CPUs", &two);
	model_explore("spinlock, 2 CPUs twice", &twice);
	model_explore("spinlock, 3 CPUs", &three);
}

static void try(void)
{
	env_enter();
	if (spin_trylock(&lock)) {
		held++;
		spin_unlock(&lock);
	}
}

static void held_once_or_twice(void)
{
	MODEL_CHECK(held == 1 || held == 2);
}

TEST(model_spin_trylock)
{
	static const struct modelled m = {
		2, setup, { lock_once, try }, held_once_or_twice, .stale_cas = true
	};

	model_explore("spin_trylock", &m);
}

static void pair(void)
{
	bool swapped = model_cpu();

	env_enter();
	spin_lock_pair(swapped ? &lock : &second, swapped ? &second : &lock);
	held++;
	other++;
	spin_unlock(&second);
	spin_unlock(&lock);
}

TEST(model_spin_pair)
{
	static const struct modelled m = {
		.cpus = 2, .setup = setup, .run = { pair }, .end = held_twice
	};

	model_explore("spin_lock_pair", &m);
}

/* OWN-22: a hint may give the whole turn away. Whoever waits looks after each, however long he has waited. */
static unsigned hints, hints_until_free;

bool env_spun(void)
{
	if (!hints_until_free)
		return false;
	if (++hints == hints_until_free)
		__atomic_store_n(&lock.owner, 0, __ATOMIC_RELEASE);
	return true;
}

static void held_by_another(void)
{
	setup();
	hints_until_free = 5;
	__atomic_store_n(&lock.owner, 2, __ATOMIC_RELAXED);
}

static void taken_at_the_fifth(void)
{
	MODEL_CHECK(held == 1 && hints == 5);
}

TEST(model_spinlock_looks_after_each_hint)
{
	static const struct modelled m = {
		.cpus = 1, .setup = held_by_another, .run = { lock_once }, .end = taken_at_the_fifth
	};

	model_explore("spinlock, freed at the fifth look", &m);
}
