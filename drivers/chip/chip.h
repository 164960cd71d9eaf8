/* SPDX-License-Identifier: MIT */
/* The chips of the machine: each finds itself in `machine` and registers its operations with kernel/core. */
#ifndef TERN_DRIVERS_CHIP_CHIP_H
#define TERN_DRIVERS_CHIP_CHIP_H

#include "lib/types.h"

/* boot: the interrupt controller, GICv2 or GICv3. False if its registers cannot be mapped or make no sense. */
bool gic_init(void) __must_check;
bool gicv2_init(void) __must_check;
bool gicv3_init(void) __must_check;

/* boot: the EL1 virtual timer as the clock-event device. 0 or -errno. */
int timer_chip_init(void) __must_check;

/* boot: how CPUs are started. */
void psci_init(void);

/* boot: wall time from the real-time clock, if there is one. */
void pl031_init(void);

#endif
