/* SPDX-License-Identifier: MIT */
/* A virtio device seen from its driver: status, features, configuration and queues behind a table of transport
 * operations, so that MMIO in its two dialects and the model device of the tests stand behind the same queue code.
 *
 * Life of a device (the status byte; moves are made by its driver, one thread at a time):
 *   RESET        -> NEGOTIATED  virtio_begin(): acknowledge, driver, features agreed
 *   NEGOTIATED   -> LIVE        virtio_driver_ok(), after the queues are there
 *   LIVE         -> BROKEN      a lying ring (virtq_fail()), NEEDS_RESET, or a stall its driver noticed
 *   BROKEN, LIVE -> RESET       virtio_reset(): the device forgets every buffer */
#ifndef TERN_DRIVERS_VIRTIO_VIRTIO_H
#define TERN_DRIVERS_VIRTIO_VIRTIO_H

#include "lib/list.h"
#include "drivers/virtio/virtio_fault.h"
#include "lib/types.h"

struct virtio_device;
struct virtq;

/* Queues that a driver of ours has of one device. */
#define VIRTIO_QUEUES	  2

#define VIRTIO_ISR_QUEUE  BIT(0)
#define VIRTIO_ISR_CONFIG BIT(1)

struct virtio_transport_ops {
	const char *name;
	uint8_t (*get_status)(struct virtio_device *d);
	/* 0 resets; returns when the reset is complete or after a bounded time. */
	void (*set_status)(struct virtio_device *d, uint8_t status);
	uint64_t (*offered)(struct virtio_device *d);
	void (*accept)(struct virtio_device *d, uint64_t features);
	void (*config_read)(struct virtio_device *d, unsigned off, void *buf, unsigned len);
	uint32_t (*config_generation)(struct virtio_device *d);
	/* Largest size of the queue, 0 if there is none. */
	unsigned (*queue_max)(struct virtio_device *d, unsigned index);
	int (*queue_enable)(struct virtio_device *d, unsigned index, unsigned num, paddr_t desc,
			    paddr_t avail, paddr_t used);
	void (*notify)(struct virtio_device *d, unsigned index);
	/* Read the interrupt status once and acknowledge it: VIRTIO_ISR_*. Drivers call virtio_ack(). */
	uint32_t (*ack)(struct virtio_device *d);
};

struct virtio_device {
	const struct virtio_transport_ops *ops; /* [init] */
	void *regs;				/* [init] the transport's */
	char name[12];				/* [init] "virtio31" */
	unsigned kind;				/* [init] VIRTIO_ID_* */
	unsigned irq;				/* [init] */
	bool edge;				/* [init] */
	uint64_t features;			/* [driver] agreed on */
	uint32_t broken; /* [atomic] set by virtq_fail(), cleared by virtio_reset() */
	const char *why; /* [atomic] what was wrong, for the report */
	struct virtio_fault fault;
	struct virtq *queue[VIRTIO_QUEUES]; /* [init] by index, for the report; NULL: none */
	struct list_head link;		    /* [init] of those that are driven */
};

/* RESET -> NEGOTIATED with those of `wanted` (and VERSION_1, EVENT_IDX, ANY_LAYOUT) that are offered.
 * 0; -ENODEV if one of `needed` is missing or the device refuses. Context: boot or thread. */
int virtio_begin(struct virtio_device *d, uint64_t wanted, uint64_t needed) __must_check;
void virtio_driver_ok(struct virtio_device *d);
/* Give up: FAILED in the status byte. */
void virtio_fail(struct virtio_device *d);
/* Any state -> RESET. No buffer is the device's afterwards. The caller sees to it that nobody submits. */
void virtio_reset(struct virtio_device *d);
/* Broken, by our finding or by the device's own word, as last looked at? Any context. */
bool virtio_is_broken(const struct virtio_device *d);
/* After a VIRTIO_ISR_CONFIG interrupt: look for NEEDS_RESET in the status byte. Context: thread. */
void virtio_check_status(struct virtio_device *d);
/* Read the interrupt status once and acknowledge it: VIRTIO_ISR_*. Context: any. */
static inline uint32_t virtio_ack(struct virtio_device *d)
{
	return virtio_fault_ack(d, d->ops->ack(d));
}
static inline bool virtio_has(const struct virtio_device *d, unsigned feature_bit)
{
	return d->features & BIT(feature_bit);
}
/* Read configuration consistently (repeated while the generation changes, a bounded number of times). */
void virtio_config(struct virtio_device *d, unsigned off, void *buf, unsigned len);

/* boot, in a thread: look at every virtio,mmio slot and start the drivers of what is there. */
void virtio_init(void);

/* Those that have a driver, in order of discovery. */
void virtio_for_each(void (*fn)(struct virtio_device *d, void *arg), void *arg);

/* The drivers, by kind. 0, or -errno: the device is left failed. */
int virtio_net_probe(struct virtio_device *d) __must_check;
int virtio_rng_probe(struct virtio_device *d) __must_check;
int virtio_blk_probe(struct virtio_device *d) __must_check;

/* virtio_mmio.c: fill *d from a slot. -ENODEV if it is empty, -EPROTO if it is no virtio. */
int virtio_mmio_open(struct virtio_device *d, void *regs) __must_check;

#endif
