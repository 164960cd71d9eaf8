/* SPDX-License-Identifier: MIT */
#ifndef TERN_KERNEL_MACHINE_REPORT_H
#define TERN_KERNEL_MACHINE_REPORT_H

#include "lib/types.h"

/* boot, after vfs_init(): /proc/tern/report. 0 or -errno. */
int machine_report_init(void) __must_check;
/* The same goes to the log, soon. Context: any; after that. */
void machine_report_to_log(void);

#endif
