/* SPDX-License-Identifier: MIT */
/* A virtio device made of code: the other side of the rings, for tests of the queue and of the drivers, hosted and in
 * the kernel. It is a strict device: what the specification forbids a driver is noted in `complaint`. And it can lie.
 *
 * One thread at a time plays the device; the transport operations may come from any. */
#ifndef TERN_TESTS_KERNEL_VIRTIO_MODEL_H
#define TERN_TESTS_KERNEL_VIRTIO_MODEL_H

#include "drivers/virtio/virtio.h"
#include "kernel/core/spinlock.h"

#define MODEL_QUEUES 3
#define MODEL_PIECES 20

/* One buffer the driver made available. */
struct model_buffer {
	unsigned queue;
	uint16_t id;
	uint64_t resets; /* of the device, when it was taken */
	unsigned nr;
	struct {
		uint8_t *at;
		uint32_t len;
		bool writable;
	} piece[MODEL_PIECES];
	uint32_t readable; /* sums */
	uint32_t writable;
};

struct model_queue {
	bool enabled;
	unsigned num;
	void *desc, *avail, *used;
	uint16_t last_avail; /* next to take */
	uint16_t used_idx;   /* as stored */
	uint16_t signalled;  /* used_idx at the last interrupt */
	bool out[1024];	     /* ids taken and not completed */
	unsigned nr_out;
};

struct model {
	struct virtio_device dev; /* first */
	spinlock_t lock;	  /* FUTEX: status and queues against resets */
	uint8_t status;
	uint64_t offered;
	uint64_t accepted;
	uint8_t config[64];
	uint32_t generation;
	unsigned queue_size; /* offered, per queue */
	struct model_queue queue[MODEL_QUEUES];
	uint32_t isr;	       /* [atomic] */
	uint64_t notifies;     /* [atomic] */
	uint64_t interrupts;   /* [atomic] */
	uint64_t resets;       /* [lock] */
	const char *complaint; /* first thing the driver did wrong */
	/* irqs off: what the interrupt line does */
	void (*interrupt)(void *arg);
	void *interrupt_arg;
	/* a queue is there, and the driver's last word is not: what others do at that moment; may be NULL */
	void (*on_enable)(struct model *m, unsigned queue);
	/* a notification came: wakes the device's thread; may be NULL */
	void (*on_notify)(struct model *m, unsigned queue);
	void *owner;
};

void model_init(struct model *m, unsigned kind, uint64_t offered, unsigned queue_size);

/* The next available buffer of a queue. False: there is none (or no live device). */
bool model_take(struct model *m, unsigned queue, struct model_buffer *b);
/* Is it still the device's? A reset has taken it back otherwise, and its memory may be another's: whoever reads or writes
 * there has held the lock since before asking. Requires m->lock. */
bool model_holds(const struct model *m, const struct model_buffer *b);
/* Copy n bytes into a buffer's first piece, if it is the device's. */
bool model_write(struct model *m, const struct model_buffer *b, const void *data, uint32_t n);
/* Put it on the used ring: visible at once, no interrupt. len: bytes it says it wrote. */
void model_used(struct model *m, const struct model_buffer *b, uint32_t len);
/* Interrupt if the driver asked for it. True if it did. */
bool model_signal(struct model *m, unsigned queue);
/* Should the driver have notified for what is available? EVENT_IDX or the flag. */
void model_wish_notify(struct model *m, unsigned queue, bool on);

/* Lies. */
void model_used_raw(struct model *m, unsigned queue, uint32_t id, uint32_t len);
void model_used_index(struct model *m, unsigned queue, uint16_t idx);
void model_need_reset(struct model *m);
void model_raise(struct model *m, uint32_t isr);

#endif
