/* SPDX-License-Identifier: MIT */
/* Watchdogs. watchdog=SECONDS on the command line: how long a thread may sleep for ever, a CPU not switch that should, or not
 * take its timer's interrupt; 0: off. Each CPU, and the one that looks for threads, counts its own ticks, WATCHDOG_TICKS in that
 * time: when the host halts the machine, whatever the clock says, nobody has had any. */
#ifndef TERN_KERNEL_WATCHDOG_H
#define TERN_KERNEL_WATCHDOG_H

#include "lib/types.h"

#define WATCHDOG_TICKS 5

/* If it is not on the command line. */
#ifdef DEBUG
#define WATCHDOG_SECONDS 30
#else
#define WATCHDOG_SECONDS 0
#endif

int watchdog_init(void) __must_check; /* boot, all CPUs up. 0 or -ENOMEM */
/* Tests: another limit, from now on; and who is told instead of the log, any context (NULL: the log). */
uint64_t watchdog_limit(void);
void watchdog_set(uint64_t limit_ns);
void watchdog_set_hook(void (*hook)(const char *text));
/* How many ticks this CPU has had. */
uint64_t watchdog_beats(unsigned cpu);
/* How often has the thread looked? */
uint64_t watchdog_looks(void);

#endif
