/* SPDX-License-Identifier: MIT */
/* A split virtqueue: one object, one lock, whatever the device. Buffers are submitted with a cookie, made visible
 * in batches, and their cookies come back by virtq_collect() once the device has used them. The driver owns a
 * buffer before submit and after collect; between them the device does.
 *
 *   I-VIRTQ-1  avail.idx in memory is what was last published: checked before each publish (A5).
 *   I-VIRTQ-2  every descriptor is free or belongs to exactly one buffer in flight.
 *   I-VIRTQ-3  a descriptor becomes free only through the used entry of its buffer, or after a reset.
 *   I-VIRTQ-4  nothing the device writes is used before it was checked against what we gave it; a device that lies
 *              breaks its queue (virtq_fail()), never the kernel.
 *
 * The indices are free-running 16-bit numbers; slot = index & (num - 1). Barriers, with their partners:
 *   virtq_kick():    descriptors and avail entries -> wmb -> avail.idx          the device's read of avail.idx
 *                    avail.idx -> mb -> its wish for a notification             the device's store of the wish
 *   virtq_collect(): used.idx -> rmb -> the used entries                        the device's write of them before idx
 *   virtq_arm():     our wish for an interrupt -> mb -> used.idx                the device's test before interrupting */
#ifndef TERN_DRIVERS_VIRTIO_VIRTQ_H
#define TERN_DRIVERS_VIRTIO_VIRTQ_H

#include "drivers/virtio/virtio.h"
#include "kernel/core/spinlock.h"

struct vring_desc;
struct vring_avail;
struct vring_used;
struct page;

#define VIRTQ_MAX 1024

/* One piece of a buffer. Pieces the device writes come after those it reads. */
struct virtq_piece {
	paddr_t addr;
	uint32_t len; /* never 0 (A6) */
	bool device_writes;
};

/* A buffer given back. */
struct virtq_done {
	void *cookie;
	uint32_t len; /* bytes the device says it wrote, at most what it might */
};

/* Our side of a descriptor. What the device can reach is never read back. */
struct virtq_slot {
	void *cookie;	   /* [lock] of the head of a buffer in flight */
	uint32_t writable; /* [lock] bytes the device may write to this buffer */
	uint16_t next;	   /* [lock] next of the chain, or of the free list */
	uint16_t pieces;   /* [lock] of the head of a buffer in flight, else 0 */
};

struct virtq {
	spinlock_t lock;	   /* VIRTQ */
	struct virtio_device *dev; /* [init] */
	unsigned index;		   /* [init] its number in the device */
	uint16_t num;		   /* [init] a power of two */
	bool event_idx;		   /* [init] */
	struct page *pages;	   /* [init] the rings' memory, ours while the queue lives */
	struct vring_desc *desc;   /* [lock] the device reads */
	struct vring_avail *avail; /* [lock] the device reads */
	struct vring_used *used;   /* [lock] the device writes */
	struct virtq_slot *slots;  /* [lock] num of them */
	uint16_t shadow;	   /* [lock] avail.idx after the next publish */
	uint16_t published;	   /* [lock] avail.idx as last stored */
	uint16_t last_used;	   /* [lock] next used entry to take */
	uint16_t free_head;	   /* [lock] of the list through slots[].next */
	uint16_t nr_free;	   /* [lock] descriptors */
	uint16_t in_flight;	   /* [lock] buffers submitted and not collected */
	bool failed;		   /* [lock] refuses: broken, or not open again */
	uint64_t looked_ns;	   /* [lock] the last look for a stall, or progress: */
	uint64_t silent_ns;	   /* [lock] since a buffer came back, or the first went out */
	uint64_t submitted;	   /* [lock] counts since creation */
	uint64_t collected;	   /* [lock] */
	uint64_t notifies;	   /* [lock] */
	uint64_t full;		   /* [lock] submits refused for want of descriptors */
	struct virtq_fault fault;  /* [lock] */
};

/* Lay out and enable queue `index` with at most `most` descriptors. 0, -ENOENT (no such queue), -ENOMEM, -EBUSY.
 * Context: thread. */
int virtq_create(struct virtq *vq, struct virtio_device *dev, unsigned index,
		 unsigned most) __must_check;
/* The device has been reset. Buffers still in flight must have been taken out. */
void virtq_destroy(struct virtq *vq);
/* After a reset and a new negotiation: the same rings, empty, enabled again, and refusing as a broken queue does until
 * virtq_open(): a device that is not LIVE yet hears no notification, so what was published then would wait for ever, and with
 * EVENT_IDX all behind it. Nothing may be in flight. */
int virtq_restart(struct virtq *vq) __must_check;
/* The device is about to be reset: from here on it refuses, until virtq_open(). */
void virtq_close(struct virtq *vq);
/* The device is LIVE again. */
void virtq_open(struct virtq *vq);

/* All below: Context: any but irq, unless said otherwise. Locks: VIRTQ inside. */

/* Give a buffer of n pieces to the device; it sees it at the next virtq_kick(). 0; -ENOBUFS: not enough free
 * descriptors now; -EIO: the queue is broken. A piece of length 0 is a BUG. */
int virtq_submit(struct virtq *vq, const struct virtq_piece *piece, unsigned n,
		 void *cookie) __must_check;
/* Publish what was submitted since the last time, and notify the device if it wants to know. */
void virtq_kick(struct virtq *vq);
/* Take up to max buffers the device is done with, in the order of its used ring. */
unsigned virtq_collect(struct virtq *vq, struct virtq_done *done, unsigned max);
/* After virtio_reset() only: take a buffer still in flight, used or not. NULL: there is none. */
void *virtq_take_back(struct virtq *vq);

/* Ask for an interrupt when `after` more buffers (at least 1) are used. True if that many are there already:
 * collect instead of sleeping. */
bool virtq_arm(struct virtq *vq, unsigned after);
/* No interrupts wanted; a hint, late ones may come. */
void virtq_disarm(struct virtq *vq);

/* Break the queue: what the device did cannot be right. Logs once. */
void virtq_fail(struct virtq *vq, const char *why);
/* Buffers are in flight and none has come back for limit_ns. Of what has passed between two looks at most a quarter of that
 * counts: a clock that jumps, as where a host has halted the machine, is no stall. */
bool virtq_stalled(struct virtq *vq, uint64_t limit_ns);
unsigned virtq_in_flight(struct virtq *vq);
/* The queue at one moment, for reports. */
struct virtq_view {
	uint16_t num, nr_free, in_flight;
	uint16_t shadow,
		published; /* avail.idx with what is not published yet, and as the device sees it */
	uint16_t used, last_used; /* used.idx, and up to where it was taken */
	bool failed;
	uint64_t submitted, collected, notifies, full;
	uint64_t heads[VIRTQ_MAX /
		       64]; /* a bit for each descriptor that begins a buffer in flight */
};
void virtq_look(struct virtq *vq, struct virtq_view *out);
/* Debug images: I-VIRTQ-1 and -2; a BUG if broken. Any queue at any time. */
void virtq_check(struct virtq *vq);

#ifdef DEBUG
/* virtio_fault.c. The used index was read as idx: what of it is seen. */
uint16_t virtq_fault_used(struct virtq *vq, uint16_t idx) __requires(vq->lock);
/* These many used entries are to be taken: in another order, or a lie. */
void virtq_fault_ring(struct virtq *vq, uint16_t ready) __requires(vq->lock);
#else
static inline uint16_t virtq_fault_used(struct virtq *vq, uint16_t idx) __requires(vq->lock)
{
	return idx;
}
static inline void virtq_fault_ring(struct virtq *vq, uint16_t ready) __requires(vq->lock)
{
}
#endif

#endif
