/* SPDX-License-Identifier: MIT */
/* What drivers/virtio/virtio.c names and the queue's tests do not use. */
#include "drivers/virtio/virtio.h"
#include "kernel/core/machine.h"
#include "lib/errno.h"

int virtio_net_probe(struct virtio_device *d)
{
	return -ENODEV;
}

int virtio_rng_probe(struct virtio_device *d)
{
	return -ENODEV;
}

int virtio_blk_probe(struct virtio_device *d)
{
	return -ENODEV;
}

int virtio_mmio_open(struct virtio_device *d, void *regs)
{
	return -ENODEV;
}

unsigned machine_for_each_device(const char *compatible,
				 void (*fn)(const struct machine_device *d, void *arg), void *arg)
{
	return 0;
}

void *device_map(struct phys_range r)
{
	return NULL;
}
