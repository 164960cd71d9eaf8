/* SPDX-License-Identifier: MIT */
/* No faults between devices and drivers: drivers/virtio/virtio_fault.c is not of the hosted tests. */
#include "drivers/virtio/virtq.h"

void virtio_fault_begin(struct virtio_device *d)
{
}

bool virtio_fault_needs_reset(struct virtio_device *d)
{
	return false;
}

uint16_t virtq_fault_used(struct virtq *vq, uint16_t idx)
{
	return idx;
}

void virtq_fault_ring(struct virtq *vq, uint16_t ready)
{
}
