/* SPDX-License-Identifier: MIT */
#include "drivers/virtio/virtq.h"

#include <linux/virtio_ring.h>

#include "kernel/core/panic.h"

void virtq_check(struct virtq *vq)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);
	unsigned free = 0, used = 0, buffers = 0;

	for (uint16_t i = vq->free_head; free < vq->nr_free; i = vq->slots[i].next) {
		ASSERT(i < vq->num && vq->slots[i].pieces == 0);
		free++;
	}
	for (unsigned i = 0; i < vq->num; i++) {
		used += vq->slots[i].pieces;
		buffers += vq->slots[i].pieces != 0;
	}
	/* I-VIRTQ-2 */
	ASSERT(free + used == vq->num);
	ASSERT(buffers == vq->in_flight);
	/* I-VIRTQ-1 */
	ASSERT(vq->failed || READ_ONCE(vq->avail->idx) == vq->published);
	spin_unlock_irqrestore(&vq->lock, f);
}
