/* SPDX-License-Identifier: MIT */
/* virtio over memory-mapped registers: the modern dialect (version 2) and the legacy one (version 1), which QEMU
 * speaks unless told otherwise. */
#include "drivers/virtio/virtio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include "arch/aarch64/arch.h"
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "lib/errno.h"

#define MMIO_MAGIC     0x74726976u /* "virt" */
#define LEGACY_ALIGN   4096u
#define RESET_LIMIT_NS (10 * NS_PER_MS)

static uint32_t reg_read(struct virtio_device *d, unsigned off)
{
	return mmio_read32((char *)d->regs + off);
}

static void reg_write(struct virtio_device *d, unsigned off, uint32_t v)
{
	mmio_write32((char *)d->regs + off, v);
}

static void write_pair(struct virtio_device *d, unsigned low, paddr_t pa)
{
	reg_write(d, low, (uint32_t)pa.pa);
	reg_write(d, low + 4, (uint32_t)(pa.pa >> 32));
}

static uint8_t get_status(struct virtio_device *d)
{
	return (uint8_t)reg_read(d, VIRTIO_MMIO_STATUS);
}

static void set_status(struct virtio_device *d, uint8_t status)
{
	uint64_t limit;

	/* what was written to memory for the device before the move is seen after it */
	arch_dma_mb();
	reg_write(d, VIRTIO_MMIO_STATUS, status);
	if (status)
		return;
	limit = clock_now_ns() + RESET_LIMIT_NS;
	while (get_status(d) != 0 && clock_now_ns() < limit)
		clock_spin_ns(10 * NS_PER_US);
}

static uint64_t offered(struct virtio_device *d)
{
	uint64_t low, high;

	reg_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	low = reg_read(d, VIRTIO_MMIO_DEVICE_FEATURES);
	reg_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	high = reg_read(d, VIRTIO_MMIO_DEVICE_FEATURES);
	return low | high << 32;
}

static uint64_t offered_legacy(struct virtio_device *d)
{
	return (uint32_t)offered(d);
}

static void accept(struct virtio_device *d, uint64_t features)
{
	reg_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	reg_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static void accept_legacy(struct virtio_device *d, uint64_t features)
{
	reg_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	reg_write(d, VIRTIO_MMIO_GUEST_PAGE_SIZE, LEGACY_ALIGN);
}

/* Byte by byte: any field, at any offset, in both dialects. */
static void config_read(struct virtio_device *d, unsigned off, void *buf, unsigned len)
{
	uint8_t *out = buf;

	for (unsigned i = 0; i < len; i++)
		out[i] = mmio_read8((char *)d->regs + VIRTIO_MMIO_CONFIG + off + i);
}

static uint32_t config_generation(struct virtio_device *d)
{
	return reg_read(d, VIRTIO_MMIO_CONFIG_GENERATION);
}

static uint32_t config_generation_legacy(struct virtio_device *d)
{
	return 0;
}

static unsigned queue_max(struct virtio_device *d, unsigned index)
{
	reg_write(d, VIRTIO_MMIO_QUEUE_SEL, index);
	return reg_read(d, VIRTIO_MMIO_QUEUE_NUM_MAX);
}

static int queue_enable(struct virtio_device *d, unsigned index, unsigned num, paddr_t desc,
			paddr_t avail, paddr_t used)
{
	reg_write(d, VIRTIO_MMIO_QUEUE_SEL, index);
	if (reg_read(d, VIRTIO_MMIO_QUEUE_READY))
		return -EBUSY;
	reg_write(d, VIRTIO_MMIO_QUEUE_NUM, num);
	write_pair(d, VIRTIO_MMIO_QUEUE_DESC_LOW, desc);
	write_pair(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, avail);
	write_pair(d, VIRTIO_MMIO_QUEUE_USED_LOW, used);
	/* the zeroed rings are seen before the queue is used */
	arch_dma_mb();
	reg_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	return 0;
}

/* Legacy devices derive avail and used from the page number; virtq.c lays the rings out that way. */
static int queue_enable_legacy(struct virtio_device *d, unsigned index, unsigned num, paddr_t desc,
			       paddr_t avail, paddr_t used)
{
	reg_write(d, VIRTIO_MMIO_QUEUE_SEL, index);
	if (reg_read(d, VIRTIO_MMIO_QUEUE_PFN))
		return -EBUSY;
	if (desc.pa / LEGACY_ALIGN > UINT32_MAX)
		return -ENOMEM;
	arch_dma_mb();
	reg_write(d, VIRTIO_MMIO_QUEUE_NUM, num);
	reg_write(d, VIRTIO_MMIO_QUEUE_ALIGN, LEGACY_ALIGN);
	reg_write(d, VIRTIO_MMIO_QUEUE_PFN, (uint32_t)(desc.pa / LEGACY_ALIGN));
	return 0;
}

static void notify(struct virtio_device *d, unsigned index)
{
	reg_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, index);
}

static uint32_t ack(struct virtio_device *d)
{
	uint32_t status = reg_read(d, VIRTIO_MMIO_INTERRUPT_STATUS);

	if (status)
		reg_write(d, VIRTIO_MMIO_INTERRUPT_ACK, status);
	return status;
}

static const struct virtio_transport_ops modern_ops = {
	.name = "mmio",
	.get_status = get_status,
	.set_status = set_status,
	.offered = offered,
	.accept = accept,
	.config_read = config_read,
	.config_generation = config_generation,
	.queue_max = queue_max,
	.queue_enable = queue_enable,
	.notify = notify,
	.ack = ack,
};

static const struct virtio_transport_ops legacy_ops = {
	.name = "mmio (legacy)",
	.get_status = get_status,
	.set_status = set_status,
	.offered = offered_legacy,
	.accept = accept_legacy,
	.config_read = config_read,
	.config_generation = config_generation_legacy,
	.queue_max = queue_max,
	.queue_enable = queue_enable_legacy,
	.notify = notify,
	.ack = ack,
};

int virtio_mmio_open(struct virtio_device *d, void *regs)
{
	uint32_t version;

	d->regs = regs;
	if (reg_read(d, VIRTIO_MMIO_MAGIC_VALUE) != MMIO_MAGIC) {
		log_warn("virtio: %s: no virtio registers in this slot", d->name);
		return -EPROTO;
	}
	d->kind = reg_read(d, VIRTIO_MMIO_DEVICE_ID);
	if (!d->kind)
		return -ENODEV;
	version = reg_read(d, VIRTIO_MMIO_VERSION);
	if (version != 1 && version != 2) {
		log_warn("virtio: %s: MMIO version %u is unknown", d->name, version);
		return -EPROTO;
	}
	d->ops = version == 1 ? &legacy_ops : &modern_ops;
	virtio_reset(d);
	return 0;
}
