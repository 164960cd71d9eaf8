/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources */
/* A CPU that is found online has done all that comes before. */
#include "kernel/core/percpu.h"
#include "tests/model/env.h"

static unsigned prepared;

static void one_is_off(void)
{
	env_cpus(2);
	cpu_get(1)->online = 0;
	prepared = 0;
}

static void waits(void)
{
	env_enter();
	while (!cpu_is_online(cpu_get(1)))
		arch_spin_hint();
	MODEL_CHECK(prepared == 1);
}

static void comes(void)
{
	env_enter();
	prepared = 1;
	cpu_tell_online(cpu_get(1));
}

TEST(model_online)
{
	static const struct modelled m = { .cpus = 2,
					   .setup = one_is_off,
					   .run = { waits, comes } };

	model_explore("a CPU comes online", &m);
}
