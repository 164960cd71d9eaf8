/* SPDX-License-Identifier: MIT */
/* Power State Coordination Interface (Arm DEN 0022): starting CPUs. */
#include "arch/aarch64/arch.h"
#include "drivers/chip/chip.h"
#include "kernel/core/percpu.h"

#define PSCI_CPU_ON 0xc4000003

static int cpu_on(uint64_t mpidr, paddr_t entry, uint64_t context)
{
	return (int)arch_psci_call(PSCI_CPU_ON, mpidr, entry.pa, context);
}

void psci_init(void)
{
	cpus_set_starter(cpu_on);
}
