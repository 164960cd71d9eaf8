/* SPDX-License-Identifier: MIT */
/* What a network driver gives to the stack: frames by physical address with a cookie. It knows no pbuf and no
 * protocol. Everything is asynchronous: a transmit returns at once and its cookie comes back by reclaim; receive
 * buffers are posted with a cookie and come back with a frame in them. The interrupt handler only acknowledges the
 * device and calls event().
 *
 * One user at a time calls the operations (the stack, under its own lock); event() comes from irq context at any
 * time between open and close. */
#ifndef TERN_DRIVERS_NETDEV_H
#define TERN_DRIVERS_NETDEV_H

#include "lib/list.h"
#include "lib/types.h"

#define NETDEV_PIECES 16

struct netdev;

struct netdev_piece {
	paddr_t addr;
	uint32_t len; /* not 0 */
};

/* A frame received: it lies at `offset` of the buffer that was posted with the cookie. len 0: nothing usable. */
struct netdev_frame {
	void *cookie;
	uint32_t offset;
	uint32_t len;
};

struct netdev_ops {
	/* Take over a frame of n pieces (1 to NETDEV_PIECES) until its cookie comes back. The first piece begins with
	 * tx_headroom zero bytes. 0, -ENOBUFS (the ring is full: reclaim and try later), -EIO (broken). */
	int (*transmit)(struct netdev *d, const struct netdev_piece *piece, unsigned n,
			void *cookie);
	/* Give a receive buffer. 0, -ENOBUFS, -EIO. */
	int (*post)(struct netdev *d, struct netdev_piece buffer, void *cookie);
	/* Make all of the above visible to the device: once a batch. */
	void (*kick)(struct netdev *d);
	/* Cookies of transmits the device is done with. */
	unsigned (*reclaim)(struct netdev *d, void **cookie, unsigned max);
	unsigned (*receive)(struct netdev *d, struct netdev_frame *frame, unsigned max);
	/* Before sleeping: event() at the next frame, and if tx_room at the next reclaimable transmits. True: there is
	 * work already, do not sleep. */
	bool (*arm)(struct netdev *d, bool tx_room);
	/* While polling: no events wanted. */
	void (*disarm)(struct netdev *d);
	/* Look at what an interrupt said of the link and of the device's health. */
	void (*service)(struct netdev *d);
	/* Does it need reset()? Also true when transmits have not come back for too long. */
	bool (*broken)(struct netdev *d);
	/* Stop the device, give every cookie back through gone(), start it again with nothing posted. 0, or -errno: it
	 * is dead and every cookie was given back all the same. Context: thread. */
	int (*reset)(struct netdev *d, void (*gone)(void *cookie, bool transmit, void *arg),
		     void *arg);
};

struct netdev {
	struct list_head link;	      /* the registry's */
	const struct netdev_ops *ops; /* [init] */
	char name[8];		      /* [init] "eth0" */
	const char *driver;	      /* [init] for reports */
	uint8_t mac[6];		      /* [init] */
	uint16_t mtu;		      /* [init] without the 14 bytes of header */
	unsigned rx_headroom;	      /* [init] bytes the device puts before a frame */
	unsigned tx_headroom;	      /* [init] zero bytes it wants before a frame */
	unsigned rx_ring,
		tx_ring;     /* [init] buffers that may be posted; descriptors for transmits */
	uint32_t link_up;    /* [atomic] as the device said last */
	uint32_t resets;     /* [atomic] */
	uint64_t interrupts; /* [atomic] */
	uint64_t spurious;   /* [atomic] interrupts with nothing to acknowledge */
	uint64_t
		unheard; /* [atomic] times frames were found that an interrupt should have told of */
	/* The stack's: irq context, may only wake somebody. */
	void (*event)(void *arg); /* [init] by netdev_open() */
	void *event_arg;
};

/* A driver has found a device. It gets its name here. Context: boot or thread. */
void netdev_register(struct netdev *d);
/* The devices there are, in order of discovery. */
void netdev_for_each(void (*fn)(struct netdev *d, void *arg), void *arg);
/* From now on events go to event(arg). */
void netdev_open(struct netdev *d, void (*event)(void *arg), void *arg);

#endif
