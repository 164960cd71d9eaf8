/* SPDX-License-Identifier: MIT */
/* What floors above the scheduler call of it, for host tests that have none: nothing is ever spawned, and no wait finds its
 * condition false; a cross-CPU call runs here in each CPU's name. */
#include "tests/host/shim/shim.h"

#include "kernel/core/irq.h"
#include "sched/thread.h"

#include <stdlib.h>

int thread_spawn(const char *name, void (*entry)(void *), void *arg)
{
	(void)name;
	(void)entry;
	(void)arg;
	return 0;
}

unsigned waitq_wake(struct waitq *wq, unsigned n)
{
	(void)wq;
	(void)n;
	return 0;
}

void wait_prepare(struct waitq *wq, struct wait_entry *e, enum wait_mode mode)
{
	(void)wq;
	(void)e;
	(void)mode;
}

int wait_sleep(struct wait_entry *e, enum wait_mode mode, uint64_t deadline_ns)
{
	(void)e;
	(void)mode;
	(void)deadline_ns;
	abort();
}

void wait_finish(struct wait_entry *e)
{
	(void)e;
}

int sleep_until(uint64_t deadline_ns, enum wait_mode mode)
{
	(void)deadline_ns;
	(void)mode;
	abort();
}

void sched_set_space_switch(void (*activate)(struct vm_space *s))
{
	(void)activate;
}

void cpus_call(void (*fn)(void *), void *arg)
{
	struct cpu *self = shim_cpu, *c;

	for_each_cpu (c) {
		if (c == self)
			continue;
		shim_cpu = c;
		c->irq_depth++;
		shim_irqs_off = true;
		fn(arg);
		shim_irqs_off = false;
		c->irq_depth--;
	}
	shim_cpu = self;
}
