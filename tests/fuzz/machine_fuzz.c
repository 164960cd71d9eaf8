/* SPDX-License-Identifier: MIT */
/* sources: kernel/core/machine.c deps/device-tree-compiler/libfdt/fdt*.c */
/* flags: -Ideps/device-tree-compiler/libfdt */
/* The device-tree reader on any bytes. The tree lies in a buffer of the size the kernel maps, so that what it reads
 * beyond the fuzzer's bytes is there; what it makes of them must be in order whatever they say. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arch/aarch64/arch.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"

#define WINDOW (4UL << 20)

static uint8_t *window;
uintptr_t shim_linear_base;
uint64_t arch_linear_pa;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const void *arch_map_tree(paddr_t pa, size_t size)
{
	return size <= WINDOW ? window : NULL;
}

void arch_set_linear_base(uint64_t lowest_ram)
{
}

bool arch_map_ram(uint64_t start, uint64_t size)
{
	return true;
}

void *arch_map_device(uint64_t start, uint64_t size)
{
	return NULL;
}

paddr_t arch_image_start(void)
{
	return paddr(0x40200000);
}

size_t arch_image_size(void)
{
	return 1 << 20;
}

uint64_t arch_mpidr(void)
{
	return 0;
}

void arch_set_psci_conduit(bool smc)
{
}

void log_warn(const char *fmt, ...)
{
}

/* Sorted, disjoint, not wrapping. */
static void check_ranges(const struct phys_range *r, unsigned n)
{
	if (n > MACHINE_RANGES)
		abort();
	for (unsigned i = 0; i < n; i++) {
		if (r[i].size == 0 || r[i].start + r[i].size < r[i].start)
			abort();
		if (i && r[i - 1].start + r[i - 1].size >= r[i].start)
			abort();
	}
}

static void count_device(const struct machine_device *d, void *arg)
{
	if (d->irq >= 1020)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!window)
		window = malloc(WINDOW);
	if (size > WINDOW)
		return 0;
	memset(window, 0, 2 * size + 4096 < WINDOW ? 2 * size + 4096 : WINDOW);
	memcpy(window, data, size);
	memset(&machine, 0, sizeof(machine));
	if (machine_init(paddr(0x48000000)) == NULL) {
		if (!machine.nr_ram || !machine.nr_cpus || machine.nr_cpus > 64 ||
		    !machine.gic.version)
			abort();
	}
	check_ranges(machine.ram, machine.nr_ram);
	check_ranges(machine.reserved, machine.nr_reserved);
	if (strlen(machine.cmdline) > WINDOW)
		abort();
	machine_for_each_device("virtio,mmio", count_device, NULL);
	return 0;
}
