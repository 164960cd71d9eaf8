/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources tests/model/env_sleep.c sched/wait.c sched/mutex.c */
/* Wait queues and mutexes (I-WAIT-1): a wake-up after the change of state is never lost; one owner at a time, who sees
 * what the one before has done. */
#include "lib/errno.h"
#include "sched/mutex.h"
#include "tests/model/env.h"

static struct waitq wq = WAITQ_INIT(wq);
static struct mutex mutex = MUTEX_INIT(mutex, FDTABLE);
static uint32_t there; /* [atomic] */
static unsigned data, held;

static void two_cpus(void)
{
	env_cpus(2);
}

static void three_cpus(void)
{
	env_cpus(3);
}

static void all_ended(void)
{
	MODEL_CHECK(model_all_ended());
}

static void sleeps(void)
{
	env_enter();
	wait_event(&wq, atomic_load_acquire(&there));
	MODEL_CHECK(data == 1);
}

static void wakes(void)
{
	env_enter();
	data = 1;
	atomic_store_release(&there, 1);
	wake_all(&wq);
}

TEST(model_wait)
{
	const struct modelled one = {
		.cpus = 2, .setup = two_cpus, .run = { sleeps, wakes }, .end = all_ended
	};
	const struct modelled two = { .cpus = 3,
				      .setup = three_cpus,
				      .run = { sleeps, sleeps, wakes },
				      .end = all_ended,
				      .preemptions = test_scale > 1 ? 3 : 2 };

	model_explore("wait, a sleeper and a waker", &one);
	model_explore("wait, two sleepers and a waker", &two);
}

/* One for each of two. */
static bool take(void)
{
	uint32_t n = atomic_load_relaxed(&there);

	while (n)
		if (atomic_compare_exchange(&there, &n, n - 1))
			return true;
	return false;
}

static void takes_one(void)
{
	env_enter();
	wait_event(&wq, take());
	/* the wake-up for another may have come to us while we took ours: the model's finding, and wake_one()'s contract */
	if (atomic_load_relaxed(&there))
		wake_one(&wq);
}

static void gives_two(void)
{
	env_enter();
	atomic_fetch_add(&there, 1);
	wake_one(&wq);
	atomic_fetch_add(&there, 1);
	wake_one(&wq);
}

TEST(model_wait_one_each)
{
	const struct modelled m = { .cpus = 3,
				    .setup = three_cpus,
				    .run = { takes_one, takes_one, gives_two },
				    .end = all_ended,
				    .preemptions = test_scale > 1 ? 3 : 2 };

	model_explore("wait, one wake-up for each of two", &m);
}

/* Until it is killed. */
static void sleeps_killable(void)
{
	env_enter();
	MODEL_CHECK(wait_event_killable(&wq, atomic_load_acquire(&there)) == (there ? 0 : -EINTR));
}

static void kills(void)
{
	env_enter();
	thread_notify(env_thread(0), NOTIFY_KILL);
}

TEST(model_wait_killed)
{
	const struct modelled kill = {
		.cpus = 2, .setup = two_cpus, .run = { sleeps_killable, kills }, .end = all_ended
	};

	model_explore("wait, killed", &kill);
}

static void locks(void)
{
	env_enter();
	mutex_lock(&mutex);
	held++;
	mutex_unlock(&mutex);
}

static void locks_twice(void)
{
	locks();
	locks();
}

static void tries(void)
{
	env_enter();
	if (mutex_trylock(&mutex)) {
		held++;
		mutex_unlock(&mutex);
	}
}

static void held_by_all(void)
{
	MODEL_CHECK(model_all_ended());
	MODEL_CHECK(held >= 2);
}

TEST(model_mutex)
{
	const struct modelled two = {
		.cpus = 2, .setup = two_cpus, .run = { locks }, .end = held_by_all
	};
	const struct modelled twice = { .cpus = 2,
					.setup = two_cpus,
					.run = { locks_twice },
					.end = held_by_all,
					.preemptions = 3 };
	const struct modelled three = { .cpus = 3,
					.setup = three_cpus,
					.run = { locks },
					.end = held_by_all,
					.preemptions = test_scale > 1 ? 3 : 2 };
	const struct modelled tried = { .cpus = 3,
					.setup = three_cpus,
					.run = { locks, locks, tries },
					.end = held_by_all,
					.preemptions = 2 };

	model_explore("mutex, 2 CPUs", &two);
	model_explore("mutex, 2 CPUs twice", &twice);
	model_explore("mutex, 3 CPUs", &three);
	model_explore("mutex, 3 CPUs, one tries", &tried);
}
