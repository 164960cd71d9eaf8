/* SPDX-License-Identifier: MIT */
/* The GICv3 interrupt controller (Arm IHI 0069), by system registers; group 1, one security state as seen from here.
 * Shared interrupts go to the boot CPU. */
#include "arch/aarch64/sysreg.h"
#include "drivers/chip/chip.h"
#include "drivers/chip/gic_priv.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"

#define GICD_IROUTER   0x6000
#define CTLR_RWP       BIT(31)
#define CTLR_ARE       BIT(4)
#define CTLR_GROUP1    BIT(1)
#define GICR_CTLR      0x0000
#define GICR_TYPER     0x0008
#define GICR_WAKER     0x0014
#define WAKER_SLEEP    BIT(1)
#define WAKER_ASLEEP   BIT(2)
#define GICR_RWP       BIT(3)
#define GICR_SGI_BASE  0x10000
#define TYPER_LAST     BIT(4)
#define TYPER_VLPIS    BIT(1)
#define FRAME_BYTES    0x20000
#define FRAME_BYTES_V4 0x40000

static char *dist;		       /* [init] */
static char *redist_region;	       /* [init] */
static DEFINE_PER_CPU(char *, redist); /* [cpu] this CPU's frame, its SGI page at GICR_SGI_BASE */
static struct irq_chip chip;	       /* [init] */

static int gicv3_ack(uint32_t *token)
{
	uint32_t iar = (uint32_t)sysreg_read(s3_0_c12_c12_0); /* ICC_IAR1_EL1 */

	/* the device must see the acknowledge before we look at it */
	dsb(sy);
	*token = iar;
	return (iar & 0xffffff) >= GIC_SPURIOUS ? -1 : (int)(iar & 0xffffff);
}

static void gicv3_eoi(uint32_t token)
{
	sysreg_write(s3_0_c12_c12_1, token); /* ICC_EOIR1_EL1 */
	isb();
}

static char *frame_of(unsigned irq)
{
	return irq < 32 ? *per_cpu_ptr(redist, arch_cpu()) + GICR_SGI_BASE : dist;
}

static void gicv3_enable(unsigned irq, enum irq_trigger trigger)
{
	irqflags_t f = arch_irq_save();
	char *base = frame_of(irq);

	gic_set_trigger(base, irq, trigger);
	if (irq >= 32)
		mmio_write64(dist + GICD_IROUTER + irq * 8, machine.cpus[0].mpidr);
	gic_set_bit(base, GICD_ISENABLER, irq);
	arch_irq_restore(f);
}

static void gicv3_disable(unsigned irq)
{
	irqflags_t f = arch_irq_save();

	gic_set_bit(frame_of(irq), GICD_ICENABLER, irq);
	arch_irq_restore(f);
}

static void gicv3_send_sgi(unsigned sgi, unsigned cpu)
{
	uint64_t m = cpu_get(cpu)->mpidr;
	uint64_t aff0 = m & 0xff;
	/* ICC_SGI1R_EL1: Aff3.Aff2.Aff1, the 16 CPUs from RS * 16, one bit of them */
	uint64_t v = (m >> 32 & 0xff) << 48 | (m >> 16 & 0xff) << 32 | (m >> 8 & 0xff) << 16 |
		     (aff0 >> 4) << 44 | (uint64_t)sgi << 24 | BIT(aff0 & 15);

	/* what was stored before is seen by whoever takes the interrupt */
	dsb(ishst);
	sysreg_write(s3_0_c12_c11_5, v);
	isb();
}

/* This CPU's redistributor: the frame whose TYPER carries our affinity. */
static char *find_redist(void)
{
	uint64_t m = arch_mpidr();
	uint32_t affinity = (uint32_t)((m >> 32 & 0xff) << 24 | (m & 0xffffff));
	uint64_t at = 0;

	while (at + FRAME_BYTES <= machine.gic.cpu_or_redist.size) {
		uint64_t typer = mmio_read64(redist_region + at + GICR_TYPER);

		if (typer >> 32 == affinity)
			return redist_region + at;
		if (typer & TYPER_LAST)
			break;
		at += typer & TYPER_VLPIS ? FRAME_BYTES_V4 : FRAME_BYTES;
	}
	panic("gicv3: cpu %lx has no redistributor", m);
}

static void gicv3_cpu_init(void)
{
	char *r = find_redist();
	char *sgi = r + GICR_SGI_BASE;

	*per_cpu_ptr(redist, arch_cpu()) = r;
	mmio_write32(r + GICR_WAKER, mmio_read32(r + GICR_WAKER) & ~(uint32_t)WAKER_SLEEP);
	while (mmio_read32(r + GICR_WAKER) & WAKER_ASLEEP)
		arch_spin_hint();
	gic_quiet_word(sgi, 0);
	mmio_write32(sgi + GICD_IGROUPR, ~0U);
	while (mmio_read32(r + GICR_CTLR) & GICR_RWP)
		arch_spin_hint();
	sysreg_write(s3_0_c12_c12_5, 7); /* ICC_SRE_EL1: system registers, no bypass */
	isb();
	sysreg_write(s3_0_c4_c6_0, GIC_PRIORITY_MASK); /* ICC_PMR_EL1 */
	sysreg_write(s3_0_c12_c12_3, 0);	       /* ICC_BPR1_EL1 */
	sysreg_write(s3_0_c12_c12_4, 0);	       /* ICC_CTLR_EL1: EOI drops and deactivates */
	sysreg_write(s3_0_c12_c12_7, 1);	       /* ICC_IGRPEN1_EL1 */
	isb();
}

static void dist_wait(void)
{
	while (mmio_read32(dist + GICD_CTLR) & CTLR_RWP)
		arch_spin_hint();
}

bool gicv3_init(void)
{
	unsigned n;

	dist = device_map(machine.gic.dist);
	redist_region = device_map(machine.gic.cpu_or_redist);
	if (!dist || !redist_region)
		return false;
	n = gic_nr_irqs(mmio_read32(dist + GICD_TYPER));
	mmio_write32(dist + GICD_CTLR, 0);
	dist_wait();
	/* with affinity routing on, the shared interrupts' registers mean what gicv3_enable() thinks */
	mmio_write32(dist + GICD_CTLR, CTLR_ARE);
	dist_wait();
	for (unsigned i = 32; i < n; i += 32) {
		gic_quiet_word(dist, i);
		mmio_write32(dist + GICD_IGROUPR + i / 8, ~0U);
	}
	dist_wait();
	mmio_write32(dist + GICD_CTLR, CTLR_ARE | CTLR_GROUP1);
	dist_wait();
	chip = (struct irq_chip){ "gicv3",	 gicv3_ack,	 gicv3_eoi,	 gicv3_enable,
				  gicv3_disable, gicv3_send_sgi, gicv3_cpu_init, n };
	irq_set_chip(&chip);
	return true;
}
