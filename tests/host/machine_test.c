/* SPDX-License-Identifier: MIT */
/* sources: kernel/core/machine.c deps/device-tree-compiler/libfdt/fdt*.c */
/* flags: -Ideps/device-tree-compiler/libfdt */
/* The machine from trees built here: row X-21, and each way in which one cannot be used. */
#include "tests/host/test.h"

#include <libfdt.h>
#include <stdarg.h>
#include <string.h>

#include "arch/aarch64/arch.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"

static uint8_t window[1 << 16];
uintptr_t shim_linear_base;
uint64_t arch_linear_pa;

const void *arch_map_tree(paddr_t pa, size_t size)
{
	return size <= sizeof(window) ? window : NULL;
}

void arch_set_linear_base(uint64_t lowest_ram)
{
	arch_linear_pa = lowest_ram;
}

bool arch_map_ram(uint64_t start, uint64_t size)
{
	return start < 1UL << 40;
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
	return 0x100000;
}

uint64_t arch_mpidr(void)
{
	return 1;
}

void arch_set_psci_conduit(bool smc)
{
}

void log_warn(const char *fmt, ...)
{
}

enum { NO_RAM = 1, NO_GIC = 2, NO_TIMER = 4, NO_CPU = 8, RAM_FAR = 16 };

static void reg(uint64_t start, uint64_t size)
{
	uint64_t v[2] = { cpu_to_fdt64(start), cpu_to_fdt64(size) };

	CHECK_EQ(fdt_property(window, "reg", v, sizeof(v)), 0);
}

static void begin(const char *name)
{
	CHECK_EQ(fdt_begin_node(window, name), 0);
}

static void end(void)
{
	CHECK_EQ(fdt_end_node(window), 0);
}

static void cells(void)
{
	fdt_property_u32(window, "#address-cells", 2);
	fdt_property_u32(window, "#size-cells", 2);
}

static void build_cpus(unsigned missing)
{
	begin("cpus");
	fdt_property_u32(window, "#address-cells", 1);
	fdt_property_u32(window, "#size-cells", 0);
	for (uint32_t i = 0; i < 3; i++) {
		char name[] = "cpu@0";

		name[4] = (char)('0' + i);
		begin(name);
		fdt_property_string(window, "device_type", "cpu");
		fdt_property_u32(window, "reg", missing & NO_CPU ? i + 5 : i);
		end();
	}
	end();
}

static void build_reserved(void)
{
	begin("reserved-memory");
	cells();
	fdt_property(window, "ranges", NULL, 0);
	begin("kept@44000000");
	reg(0x44000800, 0x1000);
	end();
	begin("gone@46000000");
	reg(0x46000000, 0x200000);
	fdt_property(window, "no-map", NULL, 0);
	end();
	end();
}

static void build_devices(unsigned missing)
{
	static const uint32_t timer[] = { 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4 };
	static const uint32_t slot[2][3] = { { 0, 16, 1 }, { 0, 17, 4 } };
	uint32_t be[12];

	if (!(missing & NO_GIC)) {
		uint64_t v[4] = { cpu_to_fdt64(0x8000000), cpu_to_fdt64(0x10000),
				  cpu_to_fdt64(0x8010000), cpu_to_fdt64(0x10000) };

		begin("intc@8000000");
		fdt_property_string(window, "compatible", "arm,cortex-a15-gic");
		fdt_property(window, "reg", v, sizeof(v));
		end();
	}
	if (!(missing & NO_TIMER)) {
		for (unsigned i = 0; i < 12; i++)
			be[i] = cpu_to_fdt32(timer[i]);
		begin("timer");
		fdt_property(window, "compatible", "arm,armv8-timer\0arm,armv7-timer", 32);
		fdt_property(window, "interrupts", be, sizeof(be));
		end();
	}
	for (unsigned i = 0; i < 2; i++) {
		char name[] = "virtio_mmio@a000000";

		name[16] = (char)('0' + i);
		for (unsigned k = 0; k < 3; k++)
			be[k] = cpu_to_fdt32(slot[i][k]);
		begin(name);
		fdt_property_string(window, "compatible", "virtio,mmio");
		reg(0xa000000 + i * 0x200, 0x200);
		fdt_property(window, "interrupts", be, 12);
		end();
	}
	begin("off@1");
	fdt_property_string(window, "compatible", "virtio,mmio");
	fdt_property_string(window, "status", "disabled");
	reg(0xb000000, 0x200);
	fdt_property(window, "interrupts", be, 12);
	end();
}

static const char *build(unsigned missing)
{
	memset(&machine, 0, sizeof(machine));
	memset(window, 0, sizeof(window));
	CHECK_EQ(fdt_create(window, sizeof(window)), 0);
	fdt_add_reservemap_entry(window, 0x45000000, 0x3000);
	fdt_add_reservemap_entry(window, UINT64_MAX - 10, 100);
	fdt_finish_reservemap(window);
	begin("");
	cells();
	if (!(missing & NO_RAM)) {
		begin("memory@48000000");
		fdt_property_string(window, "device_type", "memory");
		reg(0x48000000, 0x8000000);
		end();
		begin("memory@40000000");
		fdt_property_string(window, "device_type", "memory");
		reg(missing & RAM_FAR ? 1UL << 41 : 0x40000000, 0x8000000);
		end();
	}
	build_cpus(missing);
	build_reserved();
	build_devices(missing);
	begin("chosen");
	fdt_property_string(window, "bootargs", "test=all");
	fdt_property_u32(window, "linux,initrd-start", 0x4a000000);
	fdt_property_u64(window, "linux,initrd-end", 0x4a001234);
	fdt_property(window, "rng-seed", "0123456789abcdef0123456789abcdef", 32);
	end();
	end();
	CHECK_EQ(fdt_finish(window), 0);
	return machine_init(paddr(0x4c000000));
}

static bool reserved(uint64_t start, uint64_t size)
{
	for (unsigned i = 0; i < machine.nr_reserved; i++) {
		const struct phys_range *r = &machine.reserved[i];

		if (r->start <= start && start + size <= r->start + r->size)
			return true;
	}
	return false;
}

static void check_slot(const struct machine_device *d, void *arg)
{
	unsigned *n = arg;

	CHECK_EQ(d->reg.start, 0xa000000 + *n * 0x200);
	CHECK_EQ(d->irq, 48 + *n);
	CHECK_EQ(d->edge, *n == 0);
	++*n;
}

TEST(machine_from_tree)
{
	const char *problem = build(0);
	unsigned slots = 0;

	CHECK_MSG(!problem, "%s", problem);
	/* two ranges that touch, with a hole where nothing may be mapped */
	CHECK_EQ(machine.nr_ram, 2);
	CHECK_EQ(machine.ram[0].start, 0x40000000);
	CHECK_EQ(machine.ram[0].size, 0x6000000);
	CHECK_EQ(machine.ram[1].start, 0x46200000);
	CHECK_EQ(machine.ram[1].size, 0x9e00000);
	CHECK(reserved(0x40200000, 0x100000));
	CHECK(reserved(0x44000000, 0x2000));
	CHECK(reserved(0x45000000, 0x3000));
	CHECK(reserved(0x4a000000, 0x2000));
	CHECK(reserved(0x4c000000, 0x400));
	/* the room to grow behind the tree is free */
	CHECK(!reserved(0x4c000000, sizeof(window)));
	CHECK_EQ(machine.nr_cpus, 3);
	CHECK_EQ(machine.cpus[0].mpidr, 1);
	CHECK_EQ(machine.timer_irq, 27);
	CHECK_EQ(machine.gic.version, 2);
	CHECK_STR(machine.cmdline, "test=all");
	CHECK_EQ(machine.initrd.size, 0x1234);
	CHECK_EQ(machine.rng_seed_len, 32);
	CHECK_EQ(machine_for_each_device("virtio,mmio", check_slot, &slots), 2);
	CHECK_EQ(machine_for_each_device("virtio,mm", check_slot, &slots), 0);
}

TEST(machine_undecodable)
{
	CHECK_STR(build(NO_RAM), "the device tree has no memory node");
	CHECK(strstr(build(NO_GIC), "no interrupt controller") != NULL);
	CHECK(strstr(build(NO_TIMER), "armv8-timer") != NULL);
	CHECK(strstr(build(NO_CPU), "the cpu that runs") != NULL);
	CHECK(strstr(build(RAM_FAR), "linear map") != NULL);
	memset(window, 0, sizeof(window));
	CHECK_STR(machine_init(paddr(0)), "no device tree");
}

TEST(machine_many_reservations)
{
	CHECK(build(0) == NULL);
	/* those that touch become one; the table says when it is full */
	for (unsigned i = 0; i < 200; i++)
		CHECK(machine_reserve(0x50000000 + i * 4096UL, 4096));
	for (unsigned i = 0; machine_reserve(0x60000000 + i * 8192UL, 1); i++)
		CHECK(i < MACHINE_RANGES);
	CHECK_EQ(machine.nr_reserved, MACHINE_RANGES);
	for (unsigned i = 1; i < machine.nr_reserved; i++)
		CHECK(machine.reserved[i - 1].start + machine.reserved[i - 1].size <
		      machine.reserved[i].start);
}
