/* SPDX-License-Identifier: MIT */
#ifndef TERN_DRIVERS_VIRTIO_VIRTIO_RNG_H
#define TERN_DRIVERS_VIRTIO_VIRTIO_RNG_H

#include "lib/types.h"

/* Ask the device for more entropy; it is mixed in when it comes. False if there is no device. Any context but irq. */
bool virtio_rng_request(void);

#endif
