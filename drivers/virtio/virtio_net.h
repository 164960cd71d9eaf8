/* SPDX-License-Identifier: MIT */
/* virtio-net behind struct netdev. The functions below are for tests that bring their own device. */
#ifndef TERN_DRIVERS_VIRTIO_VIRTIO_NET_H
#define TERN_DRIVERS_VIRTIO_VIRTIO_NET_H

#include "drivers/netdev.h"
#include "drivers/virtio/virtq.h"

struct virtio_net {
	struct netdev nd;
	struct virtio_device *dev; /* [init] */
	struct virtq rx, tx;	   /* VIRTQ inside */
	unsigned header;	   /* [init] bytes of virtio header before each frame */
	bool own_header;	 /* [init] the header needs a descriptor of its own (old devices) */
	void *zeros;		 /* [init] a header of zeros, which many transmits share */
	uint32_t config_changed; /* [atomic] the interrupt handler saw VIRTIO_ISR_CONFIG */
	uint32_t told;		 /* [atomic] an interrupt has come since we asked for one */
	uint32_t alive;		 /* [atomic] 0 after a reset that failed */
	uint64_t
		tx_limit_ns; /* [atomic] transmits that do not come back for so long mean a dead device */
};

/* Negotiate, read the configuration, set up the queues: all of the probe but the registry and the interrupt. NULL:
 * it did not work (logged by the caller). Context: thread. */
struct virtio_net *virtio_net_create(struct virtio_device *d) __must_check;
/* The device is reset, everything in flight given to gone(). */
void virtio_net_destroy(struct virtio_net *v, void (*gone)(void *cookie, bool transmit, void *arg),
			void *arg);
/* What the interrupt does. irq context, or the test's thread with irqs off. */
void virtio_net_interrupt(void *v);

#endif
