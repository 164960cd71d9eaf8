/* SPDX-License-Identifier: MIT */
/* The PL011 UART: the console. */
#ifndef TERN_DRIVERS_CHIP_PL011_H
#define TERN_DRIVERS_CHIP_PL011_H

#include "lib/types.h"

/* boot: find it, set it up, become the log's console. False if the machine has none. */
bool pl011_init(void);

/* Give each byte received to fn, in irq context. 0, or -ENODEV, or what irq_register() says. Once. */
int pl011_set_rx(void (*fn)(uint8_t c, void *arg), void *arg) __must_check;

#endif
