/* SPDX-License-Identifier: MIT */
/* virtio-blk: a disk behind one queue. */
#ifndef TERN_DRIVERS_VIRTIO_VIRTIO_BLK_H
#define TERN_DRIVERS_VIRTIO_VIRTIO_BLK_H

#include "drivers/blockdev.h"
#include "drivers/virtio/virtq.h"

struct virtio_blk {
	struct virtio_device *dev; /* [init] */
	struct blockdev bd;
	struct virtq vq;
	uint32_t dead;		 /* [atomic] did not come back from a reset */
	uint32_t config_changed; /* [atomic] */
};

/* For tests; programs get theirs by virtio_blk_probe(). NULL: no memory, or a device that cannot be served. destroy: nothing
 * is under way any more. */
struct virtio_blk *virtio_blk_create(struct virtio_device *d) __must_check;
void virtio_blk_destroy(struct virtio_blk *v);
void virtio_blk_interrupt(void *v); /* irq */

#endif
