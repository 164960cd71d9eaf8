/* SPDX-License-Identifier: MIT */
/* The PL011 UART (Arm DDI 0183). Output waits for room in the FIFO, input interrupts. */
#include "drivers/chip/pl011.h"

#include "arch/aarch64/arch.h"
#include "kernel/core/clock.h"
#include "kernel/core/fault.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/perturb.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#define DR	0x00
#define DR_BE	BIT(10) /* no byte: a BREAK */
#define FR	0x18
#define FR_RXFE BIT(4)
#define FR_TXFF BIT(5)
#define IBRD	0x24
#define FBRD	0x28
#define LCR_H	0x2c
#define LCR_8N1 0x70 /* eight bits, FIFOs on */
#define CR	0x30
#define CR_ON	0x301 /* enable, transmit, receive */
#define IFLS	0x34
#define IMSC	0x38
#define ICR	0x44
#define INT_RX	BIT(4)
#define INT_RT	BIT(6) /* something has waited in the FIFO */

/* Bytes taken in one interrupt: what the FIFO holds, twice. */
#define RX_BUDGET 64u

/* The divisor for 115200 baud at the 24 MHz that boards with this UART have; an emulator does not care. */
#define BAUD_INT   13
#define BAUD_FRACT 1

static struct {
	char *base;			  /* [init] */
	void (*rx)(uint8_t c, void *arg); /* [init] */
	void *rx_arg;			  /* [init] */
	void (*brk)(void);		  /* [atomic] NULL: nobody asks */
} uart;

#define FULL_NS (2 * NS_PER_MS)

static void put(char c)
{
	if (fault_hits(FAULT_CONSOLE_FULL))
		clock_spin_ns(fault_draw(FAULT_CONSOLE_FULL, FULL_NS));
	while (mmio_read32(uart.base + FR) & FR_TXFF)
		arch_spin_hint();
	mmio_write32(uart.base + DR, (uint8_t)c);
}

static void pl011_write(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(s[i]);
}

static const struct console_ops console = { "pl011", pl011_write };

bool pl011_init(void)
{
	if (!machine.uart.size)
		return false;
	uart.base = device_map(machine.uart);
	if (!uart.base)
		return false;
	mmio_write32(uart.base + CR, 0);
	mmio_write32(uart.base + IMSC, 0);
	mmio_write32(uart.base + ICR, 0x7ff);
	mmio_write32(uart.base + IBRD, BAUD_INT);
	mmio_write32(uart.base + FBRD, BAUD_FRACT);
	mmio_write32(uart.base + LCR_H, LCR_8N1);
	mmio_write32(uart.base + IFLS, 0);
	mmio_write32(uart.base + CR, CR_ON);
	log_set_console(&console);
	return true;
}

static bool have_byte(void)
{
	return !(mmio_read32(uart.base + FR) & FR_RXFE);
}

static void receive(uint32_t word)
{
	void (*brk)(void) = atomic_load_acquire(&uart.brk);

	if (!(word & DR_BE))
		uart.rx((uint8_t)word, uart.rx_arg);
	else if (brk)
		brk();
}

static void pl011_interrupt(void *unused)
{
	unsigned n = 0;

	(void)unused;
	do {
		/* of a host that never stops others must get their turn: what is left keeps the line up */
		for (; have_byte(); n++) {
			if (n == RX_BUDGET)
				return;
			receive(mmio_read32(uart.base + DR));
		}
		mmio_write32(uart.base + ICR, INT_RX | INT_RT);
		/* one that came before that would not be told of again */
	} while (have_byte());
}

void pl011_set_break(void (*fn)(void))
{
	atomic_publish(&uart.brk, fn);
}

int pl011_set_rx(void (*fn)(uint8_t c, void *arg), void *arg)
{
	int err;

	if (!uart.base)
		return -ENODEV;
	uart.rx = fn;
	uart.rx_arg = arg;
	err = irq_register(machine.uart_irq, IRQ_LEVEL, pl011_interrupt, NULL, "pl011");
	if (err)
		return err;
	mmio_write32(uart.base + IMSC, INT_RX | INT_RT);
	return 0;
}
