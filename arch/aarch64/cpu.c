/* SPDX-License-Identifier: MIT */
/* What this CPU is and can do, its counter, and the machine's end. */
#include "arch/aarch64/arch.h"
#include "arch/aarch64/image.h"
#include "arch/aarch64/sysreg.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"

bool semihost_call(uint64_t op, const void *arg);

enum conduit { CONDUIT_UNKNOWN, CONDUIT_HVC, CONDUIT_SMC };
static enum conduit conduit; /* [init] */

uint64_t arch_counter_hz(void)
{
	return sysreg_read(cntfrq_el0);
}

/* QEMU's cycles are ns. */
uint64_t arch_user_ns(uint64_t now_ns)
{
	return field(sysreg_read(id_aa64dfr0_el1), 8) - 1 < 14 ? sysreg_read(pmccntr_el0) : now_ns;
}

void arch_wait_for_interrupt(void)
{
	dsb(sy);
	__asm__ __volatile__("wfi" : : : "memory");
}

uint64_t arch_mpidr(void)
{
	return sysreg_read(mpidr_el1) & 0xff00ffffffUL;
}

paddr_t arch_secondary_entry(void)
{
	return paddr(arch_image_start().pa + (uint64_t)(boot_secondary - image_start));
}

bool arch_has_pan(void)
{
	return field(sysreg_read(id_aa64mmfr1_el1), 20);
}

static bool has_rndr(void)
{
	return field(sysreg_read(id_aa64isar0_el1), 60);
}

bool arch_random64(uint64_t *out)
{
	uint64_t v, ok;

	if (!has_rndr())
		return false;
	/* RNDR; it clears Z when it succeeds */
	__asm__ __volatile__("mrs %0, s3_3_c2_c4_0\n\tcset %1, ne" : "=r"(v), "=r"(ok) : : "cc");
	if (!ok)
		return false;
	*out = v;
	return true;
}

/* The one feature programs may count on is switched for them: FP and SIMD. The rest has no state of its own. */
uint64_t arch_hwcap(void)
{
	uint64_t isar0 = sysreg_read(id_aa64isar0_el1);
	uint64_t cap = BIT(0) | BIT(1);

	if (field(isar0, 4) >= 1)
		cap |= BIT(3);
	if (field(isar0, 4) >= 2)
		cap |= BIT(4);
	if (field(isar0, 8))
		cap |= BIT(5);
	if (field(isar0, 12))
		cap |= BIT(6);
	if (field(isar0, 16))
		cap |= BIT(7);
	if (field(isar0, 20) >= 2)
		cap |= BIT(8);
	return cap;
}

static const struct {
	uint16_t part;
	const char *name;
} cpu_names[] = {
	{ 0xd03, "cortex-a53" }, { 0xd07, "cortex-a57" },  { 0xd08, "cortex-a72" },
	{ 0xd0b, "cortex-a76" }, { 0xd0c, "neoverse-n1" }, { 0x051, "max" },
};

void arch_describe_cpu(char *buf, size_t size)
{
	uint64_t midr = sysreg_read(midr_el1);
	uint64_t isar0 = sysreg_read(id_aa64isar0_el1);
	const char *name = "unknown";

	for (unsigned i = 0; i < ARRAY_SIZE(cpu_names); i++) {
		if (cpu_names[i].part == (midr >> 4 & 0xfff))
			name = cpu_names[i].name;
	}
	fmt_print(buf, size, "%s (midr %lx)%s%s%s%s, %u-bit asids", name, midr,
		  field(isar0, 20) >= 2 ? " lse" : "", arch_has_pan() ? " pan" : "",
		  has_rndr() ? " rndr" : "", field(isar0, 4) ? " aes" : "", arch_asid_bits());
}

void arch_set_psci_conduit(bool smc)
{
	conduit = smc ? CONDUIT_SMC : CONDUIT_HVC;
}

int64_t arch_psci_call(uint64_t fn, uint64_t a1, uint64_t a2, uint64_t a3)
{
	/* read first: a sanitizer's call at the read would take the registers */
	enum conduit how = conduit;
	register uint64_t x0 __asm__("x0") = fn;
	register uint64_t x1 __asm__("x1") = a1;
	register uint64_t x2 __asm__("x2") = a2;
	register uint64_t x3 __asm__("x3") = a3;

	/* SMC calling convention 1.0: x4-x17 may be lost too. */
#define CALL(insn)                                                                                 \
	__asm__ __volatile__(insn " #0"                                                            \
			     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                              \
			     :                                                                     \
			     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",     \
			       "x14", "x15", "x16", "x17", "memory")
	switch (how) {
	case CONDUIT_HVC:
		CALL("hvc");
		break;
	case CONDUIT_SMC:
		CALL("smc");
		break;
	case CONDUIT_UNKNOWN:
		return -1;
	}
	return (int64_t)x0;
}

#define PSCI_SYSTEM_OFF		 0x84000008
#define PSCI_SYSTEM_RESET	 0x84000009
#define SEMIHOST_WRITEC		 0x03
#define SEMIHOST_EXIT		 0x18
#define SEMIHOST_EXIT_REASON_APP 0x20026

void arch_debug_write(const char *s, size_t n)
{
	while (n-- > 0 && semihost_call(SEMIHOST_WRITEC, s++))
		;
}

void arch_machine_exit(int status)
{
	const uint64_t block[2] = { SEMIHOST_EXIT_REASON_APP, (uint64_t)status };

	arch_irq_disable();
	(void)semihost_call(SEMIHOST_EXIT, block);
	arch_psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
	for (;;)
		arch_wait_for_interrupt();
}

void arch_machine_restart(void)
{
	arch_irq_disable();
	arch_psci_call(PSCI_SYSTEM_RESET, 0, 0, 0);
	for (;;)
		arch_wait_for_interrupt();
}
