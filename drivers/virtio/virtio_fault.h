/* SPDX-License-Identifier: MIT */
/* What goes wrong between a virtio device and its driver, in debug images (kernel/core/fault.h). Only devices with an interrupt
 * line have faults: those of the machine, not the model of the tests. */
#ifndef TERN_DRIVERS_VIRTIO_VIRTIO_FAULT_H
#define TERN_DRIVERS_VIRTIO_VIRTIO_FAULT_H

#include "kernel/core/clock.h"

struct virtio_device;

#ifdef DEBUG
struct virtio_fault {
	struct timer timer;    /* raises the interrupt of what is due by then */
	uint32_t isr;	       /* [atomic] to be told with the next interrupt */
	uint32_t needs_reset;  /* [atomic] until it is reset */
	uint64_t link_down_to; /* [atomic] ns */
};
struct virtq_fault {
	uint64_t late_to; /* [lock] ns; 0: nothing is late */
	uint16_t used;	  /* [lock] the index to be seen until then */
};

/* The device begins. Context: thread. */
void virtio_fault_begin(struct virtio_device *d);
/* The interrupt status read as isr. */
uint32_t virtio_fault_ack(struct virtio_device *d, uint32_t isr);
bool virtio_fault_needs_reset(struct virtio_device *d);
bool virtio_fault_link_down(struct virtio_device *d);
#else
struct virtio_fault {
};
struct virtq_fault {
};

static inline void virtio_fault_begin(struct virtio_device *d)
{
}
static inline uint32_t virtio_fault_ack(struct virtio_device *d, uint32_t isr)
{
	return isr;
}
static inline bool virtio_fault_needs_reset(struct virtio_device *d)
{
	return false;
}
static inline bool virtio_fault_link_down(struct virtio_device *d)
{
	return false;
}
#endif

#endif
