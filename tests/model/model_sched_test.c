/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/sched.sources */
/* The run queues: a thread is on one CPU at a time, and nobody has its stack or its registers before it has left them
 * (I-SCHED-3, 4, 5); none that is ready is forgotten. */
#include "sched/wait.h"
#include "tests/model/env_sched.h"

#define ANYWHERE 3UL

static uint32_t done; /* [atomic] */
static unsigned wanted;
static struct waitq wq = WAITQ_INIT(wq);
static uint32_t there; /* [atomic] */

static void all_done(void)
{
	MODEL_CHECK(atomic_load_relaxed(&done) == wanted);
}

static void explore(const char *name, void (*setup)(void), unsigned preemptions)
{
	const struct modelled m = { .cpus = 2,
				    .setup = setup,
				    .run = { env_schedule },
				    .end = all_done,
				    .preemptions = preemptions + (test_scale > 1) };

	model_explore(name, &m);
}

/* A local that is on its stack, wherever it goes on. */
static void yields(void *arg)
{
	volatile unsigned mine = 1;

	sched_yield();
	MODEL_CHECK(mine == 1);
	mine = 2;
	atomic_fetch_add(&done, 1);
}

static void two_yield(void)
{
	env_sched(2);
	wanted = 2;
	thread_put(env_start("a", yields, NULL, ANYWHERE));
	thread_put(env_start("b", yields, NULL, ANYWHERE));
}

TEST(model_sched_steal)
{
	explore("scheduler, two yield and may be stolen", two_yield, 1);
}

static void sleeps(void *arg)
{
	wait_event(&wq, atomic_load_acquire(&there));
	atomic_fetch_add(&done, 1);
}

static void wakes(void *arg)
{
	atomic_store_release(&there, 1);
	wake_all(&wq);
	atomic_fetch_add(&done, 1);
}

static void sleeper_and_waker(void)
{
	env_sched(2);
	wanted = 2;
	thread_put(env_start("sleeper", sleeps, NULL, ANYWHERE));
	thread_put(env_start("waker", wakes, NULL, BIT(1)));
}

TEST(model_sched_wake)
{
	explore("scheduler, a sleeper is woken from another CPU", sleeper_and_waker, 2);
}

static struct thread *joined;
static unsigned result;

static void ends(void *arg)
{
	result = 1;
	atomic_fetch_add(&done, 1);
}

static void joins(void *arg)
{
	thread_join(joined);
	MODEL_CHECK(result == 1);
	thread_put(joined);
	atomic_fetch_add(&done, 1);
}

static void joiner(void)
{
	env_sched(2);
	wanted = 2;
	joined = env_start("ends", ends, NULL, BIT(0));
	thread_put(env_start("joins", joins, NULL, BIT(1)));
}

TEST(model_sched_join)
{
	explore("scheduler, a thread ends and is joined", joiner, 1);
}

/* It wakes one that another CPU must take, which runs out of work meanwhile: this one does not give way. */
static void burns(void *arg)
{
	wakes(arg);
	while (atomic_load_relaxed(&done) < wanted)
		model_idle();
}

static void returns(void *arg)
{
	atomic_fetch_add(&done, 1);
}

/* Who makes a thread takes along what has died, wherever: nobody looks at that any more. */
static void makes(void *arg)
{
	thread_put(thread_create("new", returns, NULL, KSTACK_SIZE));
	atomic_fetch_add(&done, 1);
}

static void maker(void)
{
	env_sched(2);
	wanted = 2;
	thread_put(env_start("returns", returns, NULL, BIT(0)));
	thread_put(env_start("makes", makes, NULL, BIT(1)));
}

TEST(model_sched_reap)
{
	explore("scheduler, the dead are taken along", maker, 1);
}

static void burner(void)
{
	env_sched(2);
	wanted = 3;
	thread_put(env_start("sleeper", sleeps, NULL, ANYWHERE));
	thread_put(env_start("burns", burns, NULL, BIT(0)));
	thread_put(env_start("returns", returns, NULL, BIT(1)));
}

TEST(model_sched_idle)
{
	explore("scheduler, a CPU runs out of work as another has too much", burner, 1);
}

static uint32_t number[2]; /* [cpu] */

static void two_cpus(void)
{
	env_sched(2);
}

static void creates(void)
{
	env_enter();
	number[model_cpu()] = thread_create("new", yields, NULL, KSTACK_SIZE)->base.id;
}

static void numbers_differ(void)
{
	MODEL_CHECK(number[0] != number[1]);
}

/* RC-018 */
TEST(model_thread_numbers)
{
	const struct modelled m = { .cpus = 2,
				    .setup = two_cpus,
				    .run = { creates },
				    .end = numbers_differ,
				    .preemptions = 2 };

	model_explore("scheduler, two threads are made at once", &m);
}
