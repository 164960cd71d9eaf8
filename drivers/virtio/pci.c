/* SPDX-License-Identifier: MIT */
/* PCI is only looked at, and only when no network device was found: so that who gave QEMU a NIC on PCI (its default)
 * reads what it is and what would work instead. */
#include "drivers/virtio/pci.h"

#include "arch/aarch64/arch.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"

#define DEVICES	      32
#define DEVICE_SIZE   (1u << 15) /* eight functions of 4 KiB */
#define CLASS_NETWORK 2

static const char *name_of(uint32_t id)
{
	switch (id) {
	case 0x10001af4:
	case 0x10411af4:
		return "virtio-net-pci";
	case 0x100e8086:
		return "e1000";
	case 0x10d38086:
		return "e1000e";
	case 0x813910ec:
		return "rtl8139";
	default:
		return "a NIC";
	}
}

static void look_at(const struct machine_device *host, unsigned device)
{
	struct phys_range r = { host->reg.start + (uint64_t)device * DEVICE_SIZE, PAGE_SIZE };
	char *config = device_map(r);
	uint32_t id;

	if (!config)
		return;
	id = mmio_read32(config);
	if (id == UINT32_MAX || mmio_read32(config + 8) >> 24 != CLASS_NETWORK)
		return;
	log_warn(
		"net: %s (%04x:%04x) is on PCI, which has no driver: use -device virtio-net-device",
		name_of(id), id & 0xffff, id >> 16);
}

static void look_at_bus(const struct machine_device *host, void *arg)
{
	for (unsigned i = 0; i < DEVICES && host->reg.size >= (i + 1) * (uint64_t)DEVICE_SIZE; i++)
		look_at(host, i);
}

void pci_report_network(void)
{
	machine_for_each_device("pci-host-ecam-generic", look_at_bus, NULL);
}
