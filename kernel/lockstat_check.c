/* SPDX-License-Identifier: MIT */
/* /proc/tern/lockstat, of debug images: the locks by class, and how long each CPU had interrupts off. */
#include "fs/vfs.h"
#include "kernel/core/clock.h"
#include "kernel/core/lock_stat.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "kernel/procinfo.h"

static void show_place(struct proc_text *t, uintptr_t pc)
{
	size_t offset;
	const char *name = symbol_of(pc, &offset);

	if (pc)
		proc_printf(t, " %s+0x%zx", name, offset);
	else
		proc_printf(t, " -");
}

static void show_lockstat(struct proc_text *t)
{
	struct lock_stat s;
	struct cpu *c;

	proc_printf(t, "class count contended hold_us hold_max_ns hold_max_at wait_us wait_max_ns "
		       "wait_max_at irq\n");
	for (unsigned i = 0; i < LOCK_CLASSES; i++) {
		lock_stat_get((enum lock_class)i, &s);
		proc_printf(t, "%s %lu %lu %lu %lu", lock_class_name((enum lock_class)i), s.count,
			    s.contended, s.hold / NS_PER_US, s.hold_max);
		show_place(t, s.hold_max_at);
		proc_printf(t, " %lu %lu", s.wait / NS_PER_US, s.wait_max);
		show_place(t, s.wait_max_at);
		proc_printf(t, " %s\n", lock_seen_in((enum lock_class)i));
	}
	proc_printf(t, "cpu irqs_off_max_ns irqs_off_max_to\n");
	for_each_cpu (c) {
		proc_printf(t, "cpu%u %lu", c->id, clock_counter_to_ns(READ_ONCE(c->irqs_off_max)));
		show_place(t, READ_ONCE(c->irqs_off_end));
		proc_printf(t, "\n");
	}
}

void lockstat_init(void)
{
	if (procfs_register("tern/lockstat", show_lockstat) < 0)
		log_warn("proc: no memory for /proc/tern/lockstat");
}
