/* SPDX-License-Identifier: MIT */
#include "drivers/chip/chip.h"
#include "kernel/core/machine.h"

bool gic_init(void)
{
	return machine.gic.version == 3 ? gicv3_init() : gicv2_init();
}
