/* SPDX-License-Identifier: MIT */
/* The distributor's registers that GICv2 and GICv3 share (Arm IHI 0048 and 0069). */
#ifndef TERN_DRIVERS_CHIP_GIC_PRIV_H
#define TERN_DRIVERS_CHIP_GIC_PRIV_H

#include "arch/aarch64/arch.h"
#include "kernel/core/irq.h"

#define GICD_CTLR	  0x000
#define GICD_TYPER	  0x004
#define GICD_IGROUPR	  0x080
#define GICD_ISENABLER	  0x100
#define GICD_ICENABLER	  0x180
#define GICD_ICPENDR	  0x280
#define GICD_ICACTIVER	  0x380
#define GICD_IPRIORITYR	  0x400
#define GICD_ITARGETSR	  0x800
#define GICD_ICFGR	  0xc00
#define GICD_SGIR	  0xf00

#define GIC_PRIORITY	  0xa0 /* of every interrupt: there is no nesting by priority */
#define GIC_PRIORITY_WORD 0xa0a0a0a0
#define GIC_PRIORITY_MASK 0xf0 /* all above this are taken */
#define GIC_SPURIOUS	  1020 /* this number and up: none, and no end of interrupt */
#define GIC_ID_MASK	  0x3ff

static inline unsigned gic_nr_irqs(uint32_t typer)
{
	unsigned n = ((typer & 0x1f) + 1) * 32;

	return MIN(n, (unsigned)GIC_SPURIOUS);
}

/* A bit of a register array with one bit an interrupt. */
static inline void gic_set_bit(char *base, unsigned reg, unsigned irq)
{
	mmio_write32(base + reg + irq / 32 * 4, 1U << irq % 32);
}

/* SGIs have no choice; the rest two bits each, the upper one: edge. */
static inline void gic_set_trigger(char *base, unsigned irq, enum irq_trigger trigger)
{
	char *reg = base + GICD_ICFGR + irq / 16 * 4;
	uint32_t bit = 2U << irq % 16 * 2;
	uint32_t v = mmio_read32(reg);

	if (irq < 16)
		return;
	mmio_write32(reg, trigger == IRQ_EDGE ? v | bit : v & ~bit);
}

/* Nothing enabled, pending or active from before us, for the interrupts of one 32-bit word; all of our priority. */
static inline void gic_quiet_word(char *base, unsigned first)
{
	mmio_write32(base + GICD_ICENABLER + first / 8, ~0U);
	mmio_write32(base + GICD_ICPENDR + first / 8, ~0U);
	mmio_write32(base + GICD_ICACTIVER + first / 8, ~0U);
	for (unsigned i = 0; i < 32; i += 4)
		mmio_write32(base + GICD_IPRIORITYR + first + i, GIC_PRIORITY_WORD);
}

#endif
