/* SPDX-License-Identifier: MIT */
/* /proc/tern/faults, of debug images: what is to go wrong, and how often it has. Written to, it changes. */
#include "fs/procfs.h"
#include "kernel/core/fault.h"
#include "kernel/core/log.h"
#include "kernel/procinfo.h"

static void show_faults(struct proc_text *t)
{
	proc_printf(t, "fault one_in at seed passed happened\n");
	for (unsigned s = 0; s < FAULT_SITES; s++) {
		struct fault_count c = fault_count((enum fault_site)s);

		proc_printf(t, "%s %lu %lu %lu %lu %lu\n", c.name, c.every, c.at, c.seed, c.passed,
			    c.happened);
	}
}

void faults_init(void)
{
	if (procfs_register_settable("tern/faults", show_faults, fault_ask) < 0)
		log_warn("proc: no memory for /proc/tern/faults");
}
