/* SPDX-License-Identifier: MIT */
#include "drivers/virtio/virtq.h"

#include <linux/virtio_ring.h>

#include "arch/aarch64/arch.h"
#include "kernel/core/clock.h"
#include "kernel/core/fault.h"
#include "kernel/core/machine.h"
#include "lib/atomic.h"

#define LATE_NS	     (20 * NS_PER_MS)
#define LINK_NS	     (2 * NS_PER_S)
#define GICD_ISPENDR 0x200

static char *gic_dist; /* [init] */

/* The device's own interrupt, by way of the controller. */
static void due(struct timer *t)
{
	struct virtio_device *d = container_of(t, struct virtio_device, fault.timer);

	mmio_write32(gic_dist + GICD_ISPENDR + d->irq / 32 * 4, 1u << d->irq % 32);
}

static void tell(struct virtio_device *d, uint32_t isr, uint64_t when)
{
	struct virtio_fault *v = &d->fault;

	atomic_fetch_or(&v->isr, isr);
	/* one timer: what was to be told of sooner is told of later */
	if (!timer_armed(&v->timer) || READ_ONCE(v->timer.deadline_ns) < when)
		timer_arm(&v->timer, when);
}

void virtio_fault_begin(struct virtio_device *d)
{
	if (!d->irq)
		return;
	if (!gic_dist)
		gic_dist = device_map(machine.gic.dist);
	if (!d->fault.timer.fn)
		timer_init(&d->fault.timer, due);
	atomic_store_relaxed(&d->fault.needs_reset, 0);
}

uint32_t virtio_fault_ack(struct virtio_device *d, uint32_t isr)
{
	struct virtio_fault *v = &d->fault;

	if (!d->irq || !v->timer.fn)
		return isr;
	isr |= atomic_exchange(&v->isr, 0);
	if (fault_hits(FAULT_DEVICE_RESET)) {
		atomic_store_relaxed(&v->needs_reset, 1);
		isr |= VIRTIO_ISR_CONFIG;
	}
	if (fault_hits(FAULT_LINK_DOWN)) {
		uint64_t to = clock_now_ns() + fault_draw(FAULT_LINK_DOWN, LINK_NS);

		atomic_store_relaxed(&v->link_down_to, to);
		tell(d, VIRTIO_ISR_CONFIG, to);
		isr |= VIRTIO_ISR_CONFIG;
	}
	return isr;
}

bool virtio_fault_needs_reset(struct virtio_device *d)
{
	return atomic_load_relaxed(&d->fault.needs_reset);
}

bool virtio_fault_link_down(struct virtio_device *d)
{
	return clock_now_ns() < atomic_load_relaxed(&d->fault.link_down_to);
}

uint16_t virtq_fault_used(struct virtq *vq, uint16_t idx)
{
	struct virtq_fault *v = &vq->fault;
	uint64_t now;

	if (!vq->dev->irq)
		return idx;
	now = clock_now_ns();
	if (now < v->late_to)
		return v->used;
	v->late_to = 0;
	if (idx == vq->last_used || !fault_hits(FAULT_USED_LATE))
		return idx;
	v->used = (uint16_t)(vq->last_used +
			     fault_draw(FAULT_USED_LATE, (uint16_t)(idx - vq->last_used)));
	v->late_to = now + fault_draw(FAULT_USED_LATE, LATE_NS);
	tell(vq->dev, VIRTIO_ISR_QUEUE, v->late_to);
	return v->used;
}

static struct vring_used_elem *entry(struct virtq *vq, uint16_t i)
{
	return &vq->used->ring[(uint16_t)(vq->last_used + i) & (vq->num - 1)];
}

void virtq_fault_ring(struct virtq *vq, uint16_t ready)
{
	struct vring_used_elem *first = entry(vq, 0), *other, kept;

	if (!vq->dev->irq)
		return;
	if (fault_hits(FAULT_DEVICE_LIES))
		first->id = vq->num;
	if (ready < 2 || !fault_hits(FAULT_USED_REORDER))
		return;
	other = entry(vq, (uint16_t)(1 + fault_draw(FAULT_USED_REORDER, ready - 1u)));
	kept = *first;
	*first = *other;
	*other = kept;
}
