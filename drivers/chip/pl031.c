/* SPDX-License-Identifier: MIT */
/* The PL031 real-time clock (Arm DDI 0224): seconds since 1970, read once. */
#include "arch/aarch64/arch.h"
#include "drivers/chip/chip.h"
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"

#define RTCDR 0x00

void pl031_init(void)
{
	char *base;

	if (!machine.rtc.size)
		return;
	base = device_map(machine.rtc);
	if (base && clock_set_wall(mmio_read32(base + RTCDR) * NS_PER_S) < 0)
		log_warn("pl031: the clock says 1970: the time of day begins with the boot");
}
