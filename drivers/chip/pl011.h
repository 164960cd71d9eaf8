/* SPDX-License-Identifier: MIT */
/* The PL011 UART: the console. */
#ifndef TERN_DRIVERS_CHIP_PL011_H
#define TERN_DRIVERS_CHIP_PL011_H

#include "lib/types.h"

/* boot: find it, set it up, become the log's console. False if the machine has none. */
bool pl011_init(void);

/* Give each byte received to fn, in irq context. 0, or -ENODEV, or what irq_register() says. Once. */
/* And of each BREAK this, in irq context. The emulator sends one at Ctrl-A B. Once, before or after. */
void pl011_set_break(void (*fn)(void));
int pl011_set_rx(void (*fn)(uint8_t c, void *arg), void *arg) __must_check;

#endif
