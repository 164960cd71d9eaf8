/* SPDX-License-Identifier: MIT */
/* The GICv2 interrupt controller (Arm IHI 0048B): up to 8 CPUs. Shared interrupts go to the boot CPU. */
#include "arch/aarch64/sysreg.h"
#include "drivers/chip/chip.h"
#include "drivers/chip/gic_priv.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"

#define GICC_CTLR 0x00
#define GICC_PMR  0x04
#define GICC_BPR  0x08
#define GICC_IAR  0x0c
#define GICC_EOIR 0x10

static char *dist;   /* [init] */
static char *cpu_if; /* [init] */
static uint8_t cpu_bit
	[8]; /* [init] by CPU number: its bit in target lists; written by that CPU as it starts */
static struct irq_chip chip; /* [init] */

static int gicv2_ack(uint32_t *token)
{
	uint32_t iar = mmio_read32(cpu_if + GICC_IAR);
	unsigned irq = iar & GIC_ID_MASK;

	/* the token keeps the bits that name an SGI's sender: the end of interrupt must give them back */
	*token = iar;
	return irq >= GIC_SPURIOUS ? -1 : (int)irq;
}

static void gicv2_eoi(uint32_t token)
{
	mmio_write32(cpu_if + GICC_EOIR, token);
}

static void gicv2_enable(unsigned irq, enum irq_trigger trigger)
{
	gic_set_trigger(dist, irq, trigger);
	if (irq >= 32)
		mmio_write8(dist + GICD_ITARGETSR + irq, cpu_bit[0]);
	gic_set_bit(dist, GICD_ISENABLER, irq);
}

static void gicv2_disable(unsigned irq)
{
	gic_set_bit(dist, GICD_ICENABLER, irq);
}

static void gicv2_send_sgi(unsigned sgi, unsigned cpu)
{
	/* what was stored before is seen by whoever takes the interrupt */
	dsb(ishst);
	mmio_write32(dist + GICD_SGIR, (uint32_t)cpu_bit[cpu] << 16 | sgi);
}

static void gicv2_cpu_init(void)
{
	/* the banked targets of the first interrupts read as this CPU's own bit; a single CPU may read 0 */
	uint8_t self = mmio_read8(dist + GICD_ITARGETSR);

	cpu_bit[arch_cpu()->id] = self ? self : 1;
	gic_quiet_word(dist, 0);
	mmio_write32(cpu_if + GICC_PMR, GIC_PRIORITY_MASK);
	mmio_write32(cpu_if + GICC_BPR, 0);
	mmio_write32(cpu_if + GICC_CTLR, 1);
}

bool gicv2_init(void)
{
	unsigned n;

	if (machine.nr_cpus > ARRAY_SIZE(cpu_bit))
		return false;
	dist = device_map(machine.gic.dist);
	cpu_if = device_map(machine.gic.cpu_or_redist);
	if (!dist || !cpu_if)
		return false;
	n = gic_nr_irqs(mmio_read32(dist + GICD_TYPER));
	mmio_write32(dist + GICD_CTLR, 0);
	for (unsigned i = 32; i < n; i += 32)
		gic_quiet_word(dist, i);
	mmio_write32(dist + GICD_CTLR, 1);
	chip = (struct irq_chip){ "gicv2",	 gicv2_ack,	 gicv2_eoi,	 gicv2_enable,
				  gicv2_disable, gicv2_send_sgi, gicv2_cpu_init, n };
	irq_set_chip(&chip);
	return true;
}
