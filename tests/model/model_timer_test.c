/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources kernel/core/clock.c lib/rbtree.c */
/* A timer that is on no queue any more may be armed on another at once: who claims it sees all that its last queue did to it. */
#include "kernel/core/clock.h"
#include "tests/model/env.h"

static struct timer timer;

uint64_t arch_counter(void)
{
	return 1;
}

uint64_t arch_counter_hz(void)
{
	return NS_PER_S;
}

static void rings(struct timer *t)
{
	(void)t;
}

/* Armed on CPU 0's queue, far in the future. */
static void armed_on_the_first(void)
{
	env_cpus(3);
	clock_cpu_init();
	timer_init(&timer, rings);
	timer_arm(&timer, NS_PER_S);
}

static void queue_of_its_own(void)
{
	env_enter();
	clock_cpu_init();
}

static void cancel(void)
{
	env_enter();
	(void)timer_cancel(&timer);
}

static void look_on(void)
{
	env_enter();
	(void)timer_armed(&timer);
}

static void arm_here(void)
{
	queue_of_its_own();
	timer_arm(&timer, 2 * NS_PER_S);
}

/* If it is still armed, then for the time it was armed for last. */
static void armed_once_or_not(void)
{
	MODEL_CHECK(timer_armed(&timer) == (timer.queue != NULL));
	MODEL_CHECK(!timer_armed(&timer) || timer.deadline_ns == 2 * NS_PER_S);
}

static void armed(void)
{
	MODEL_CHECK(timer_armed(&timer) && timer.queue && timer.deadline_ns == 2 * NS_PER_S);
}

TEST(model_timer_cancelled_and_armed)
{
	static const struct modelled m = { .cpus = 2,
					   .setup = armed_on_the_first,
					   .run = { cancel, arm_here },
					   .end = armed_once_or_not };

	model_explore("timer, cancelled here and armed there", &m);
}

TEST(model_timer_armed_by_two)
{
	static const struct modelled m = { .cpus = 3,
					   .setup = armed_on_the_first,
					   .run = { look_on, arm_here, arm_here },
					   .end = armed };

	model_explore("timer, armed by two", &m);
}
