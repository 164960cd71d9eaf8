/* SPDX-License-Identifier: MIT */
#include "drivers/virtio/virtq.h"

#include <linux/virtio_ring.h>

#include "arch/aarch64/arch.h"
#include "drivers/virtio/virtq_index.h"
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/perturb.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"

/* The legacy layout, good for both dialects: descriptors, avail ring, and from the next 4 KiB on the used ring. */
#define RING_ALIGN 4096u

/* what the device expects of the layout. */
static_assert(sizeof(struct vring_desc) == 16, "descriptor size");
static_assert(sizeof(struct vring_used_elem) == 8, "used entry size");
static_assert(offsetof(struct vring_avail, ring) == 4, "avail ring offset");
static_assert(offsetof(struct vring_used, ring) == 4, "used ring offset");
static_assert(RING_ALIGN % 16 == 0, "descriptors are 16-byte aligned, used entries 4");
static_assert((VIRTQ_MAX & (VIRTQ_MAX - 1)) == 0, "queue sizes are powers of two");

static size_t avail_offset(unsigned num)
{
	return num * sizeof(struct vring_desc);
}

static size_t used_offset(unsigned num)
{
	return ALIGN_UP(avail_offset(num) + (3 + num) * sizeof(uint16_t), RING_ALIGN);
}

static size_t rings_size(unsigned num)
{
	return used_offset(num) + 3 * sizeof(uint16_t) + num * sizeof(struct vring_used_elem);
}

static unsigned order_for(size_t size)
{
	unsigned order = 0;

	while ((PAGE_SIZE << order) < size)
		order++;
	return order;
}

/* The device's wish, when EVENT_IDX is agreed: notify when avail.idx passes this. */
static uint16_t *avail_event(struct virtq *vq)
{
	return (uint16_t *)&vq->used->ring[vq->num];
}

/* Our wish: interrupt when used.idx passes this. */
static uint16_t *used_event(struct virtq *vq)
{
	return &vq->avail->ring[vq->num];
}

static uint16_t mask(const struct virtq *vq, uint16_t i)
{
	return i & (vq->num - 1);
}

/* Up to where the device has used what it was given, as far as it is seen. */
static uint16_t used_index(struct virtq *vq) __requires(vq->lock)
{
	return virtq_fault_used(vq, READ_ONCE(vq->used->idx));
}

/* Empty rings and a full free list. The queue is not the device's. */
static void clear(struct virtq *vq)
{
	ASSERT(vq->in_flight == 0);
	memset(vq->desc, 0, rings_size(vq->num));
	for (unsigned i = 0; i < vq->num; i++)
		vq->slots[i] = (struct virtq_slot){ .next = (uint16_t)(i + 1) };
	vq->shadow = 0;
	vq->published = 0;
	vq->last_used = 0;
	vq->fault = (struct virtq_fault){};
	vq->free_head = 0;
	vq->nr_free = vq->num;
	vq->event_idx = virtio_has(vq->dev, VIRTIO_RING_F_EVENT_IDX);
}

static int enable(struct virtq *vq)
{
	paddr_t pa = page_to_phys(vq->pages);

	return vq->dev->ops->queue_enable(vq->dev, vq->index, vq->num, pa,
					  paddr(pa.pa + avail_offset(vq->num)),
					  paddr(pa.pa + used_offset(vq->num)));
}

int virtq_create(struct virtq *vq, struct virtio_device *dev, unsigned index, unsigned most)
{
	unsigned max = dev->ops->queue_max(dev, index);
	unsigned num = 1;
	int ret = -ENOMEM;

	if (!max)
		return -ENOENT;
	ASSERT(most <= VIRTQ_MAX);
	while (num * 2 <= MIN(max, most))
		num *= 2;
	memset(vq, 0, sizeof(*vq));
	spin_init(&vq->lock, LOCK_VIRTQ);
	vq->dev = dev;
	vq->index = index;
	vq->num = (uint16_t)num;
	vq->slots = kcalloc(num, sizeof(*vq->slots));
	if (!vq->slots)
		return -ENOMEM;
	vq->pages = page_alloc(order_for(rings_size(num)), ALLOC_ZERO);
	if (!vq->pages)
		goto free_slots;
	vq->desc = page_addr(vq->pages);
	vq->avail = (void *)((char *)vq->desc + avail_offset(num));
	vq->used = (void *)((char *)vq->desc + used_offset(num));
	clear(vq);
	ret = enable(vq);
	if (ret < 0)
		goto free_pages;
	ASSERT(index < VIRTIO_QUEUES);
	dev->queue[index] = vq;
	return 0;

free_pages:
	page_put(vq->pages);
free_slots:
	kfree(vq->slots);
	return ret;
}

void virtq_destroy(struct virtq *vq)
{
	ASSERT(vq->in_flight == 0);
	vq->dev->queue[vq->index] = NULL;
	page_put(vq->pages);
	kfree(vq->slots);
	vq->pages = NULL;
	vq->slots = NULL;
}

int virtq_restart(struct virtq *vq)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);

	clear(vq);
	vq->failed = true;
	spin_unlock_irqrestore(&vq->lock, f);
	return enable(vq);
}

static void set_failed(struct virtq *vq, bool failed)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);

	vq->failed = failed;
	spin_unlock_irqrestore(&vq->lock, f);
}

void virtq_close(struct virtq *vq)
{
	set_failed(vq, true);
}

void virtq_open(struct virtq *vq)
{
	set_failed(vq, false);
}

static void fail_locked(struct virtq *vq, const char *why) __requires(vq->lock)
{
	if (vq->failed)
		return;
	vq->failed = true;
	atomic_store_relaxed(&vq->dev->why, why);
	/* pairs with the acquire in virtio_is_broken() */
	atomic_publish(&vq->dev->broken, 1);
	log_warn("virtio: %s: queue %u is broken: %s", vq->dev->name, vq->index, why);
}

void virtq_fail(struct virtq *vq, const char *why)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);

	fail_locked(vq, why);
	spin_unlock_irqrestore(&vq->lock, f);
}

/* Fill a chain from the free list and put its head into the avail ring, not yet published. */
static void fill(struct virtq *vq, const struct virtq_piece *piece, unsigned n, void *cookie)
	__requires(vq->lock)
{
	uint16_t head = vq->free_head;
	uint16_t at = head;
	uint32_t writable = 0;

	for (unsigned i = 0; i < n; i++) {
		struct vring_desc *d = &vq->desc[at];
		uint16_t next = vq->slots[at].next;

		/* A6, and the order the specification asks for */
		ASSERT(piece[i].len != 0);
		ASSERT(!writable || piece[i].device_writes);
		if (piece[i].device_writes)
			writable += piece[i].len;
		WRITE_ONCE(d->addr, piece[i].addr.pa);
		WRITE_ONCE(d->len, piece[i].len);
		WRITE_ONCE(d->flags, (piece[i].device_writes ? VRING_DESC_F_WRITE : 0) |
					     (i + 1 < n ? VRING_DESC_F_NEXT : 0));
		WRITE_ONCE(d->next, i + 1 < n ? next : 0);
		at = next;
	}
	vq->slots[head].cookie = cookie;
	vq->slots[head].writable = writable;
	vq->slots[head].pieces = (uint16_t)n;
	vq->free_head = at;
	vq->nr_free -= n;
	WRITE_ONCE(vq->avail->ring[mask(vq, vq->shadow)], head);
	vq->shadow++;
}

static void progress(struct virtq *vq) __requires(vq->lock)
{
	vq->looked_ns = clock_now_ns();
	vq->silent_ns = 0;
}

int virtq_submit(struct virtq *vq, const struct virtq_piece *piece, unsigned n, void *cookie)
{
	irqflags_t f;
	int ret = 0;

	ASSERT(n > 0 && cookie);
	f = spin_lock_irqsave(&vq->lock);
	if (vq->failed) {
		ret = -EIO;
	} else if (n > vq->nr_free) {
		ret = -ENOBUFS;
		vq->full++;
	} else {
		fill(vq, piece, n, cookie);
		if (vq->in_flight++ == 0)
			progress(vq);
		vq->submitted++;
	}
	spin_unlock_irqrestore(&vq->lock, f);
	return ret;
}

/* Store avail.idx; true if the device wants to be notified. */
static bool publish(struct virtq *vq) __requires(vq->lock)
{
	uint16_t old = vq->published;
	uint16_t idx = vq->shadow;

	if (idx == old)
		return false;
	/* I-VIRTQ-1, A5: nobody else stores it, so anything else is memory overwritten */
	DASSERT(READ_ONCE(vq->avail->idx) == old);
	perturb(PERTURB_PUBLISH);
	virtq_publish(&vq->avail->idx, idx);
	vq->published = idx;
	if (vq->event_idx)
		return virtq_wished(READ_ONCE(*avail_event(vq)), idx, old);
	return !(READ_ONCE(vq->used->flags) & VRING_USED_F_NO_NOTIFY);
}

void virtq_kick(struct virtq *vq)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);
	bool notify = !vq->failed && publish(vq);

	if (notify)
		vq->notifies++;
	spin_unlock_irqrestore(&vq->lock, f);
	/* outside the lock: the register access may cost more than all the rest, and its order does not matter */
	if (notify)
		vq->dev->ops->notify(vq->dev, vq->index);
}

/* Return a buffer's descriptors to the free list. */
static void *release(struct virtq *vq, uint16_t head) __requires(vq->lock)
{
	void *cookie = vq->slots[head].cookie;
	unsigned n = vq->slots[head].pieces;
	uint16_t last = head;

	for (unsigned i = 1; i < n; i++)
		last = vq->slots[last].next;
	vq->slots[last].next = vq->free_head;
	vq->free_head = head;
	vq->nr_free += n;
	vq->slots[head].cookie = NULL;
	vq->slots[head].pieces = 0;
	vq->in_flight--;
	return cookie;
}

/* Take the used entry at last_used. False: it lies, and the queue is broken now. */
static bool take_used(struct virtq *vq, struct virtq_done *done) __requires(vq->lock)
{
	struct vring_used_elem *e = &vq->used->ring[mask(vq, vq->last_used)];
	uint32_t id = READ_ONCE(e->id);
	uint32_t len = READ_ONCE(e->len);

	if (id >= vq->num || vq->slots[id].pieces == 0) {
		fail_locked(vq, "it gave back a buffer that it does not have");
		return false;
	}
	if (len > vq->slots[id].writable) {
		fail_locked(vq, "it says it wrote more than the buffer holds");
		return false;
	}
	vq->last_used++;
	done->len = len;
	done->cookie = release(vq, (uint16_t)id);
	vq->collected++;
	return true;
}

unsigned virtq_collect(struct virtq *vq, struct virtq_done *done, unsigned max)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);
	uint16_t ready = (uint16_t)(used_index(vq) - vq->last_used);
	unsigned n = 0;

	if (vq->failed || !ready)
		goto unlock;
	if (ready > vq->in_flight) {
		fail_locked(vq, "its used index runs ahead of what it was given");
		goto unlock;
	}
	/* the index before the entries; pairs with the device's barrier before it stores used.idx */
	arch_dma_rmb();
	virtq_fault_ring(vq, ready);
	while (n < max && n < ready && take_used(vq, &done[n]))
		n++;
	if (n)
		progress(vq);
unlock:
	spin_unlock_irqrestore(&vq->lock, f);
	return n;
}

void *virtq_take_back(struct virtq *vq)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);
	void *cookie = NULL;

	/* the queue is dead until virtq_open(): nothing is taken from or put on its rings */
	vq->failed = true;
	for (unsigned i = 0; i < vq->num && vq->in_flight && !cookie; i++) {
		if (vq->slots[i].pieces)
			cookie = release(vq, (uint16_t)i);
	}
	spin_unlock_irqrestore(&vq->lock, f);
	return cookie;
}

bool virtq_arm(struct virtq *vq, unsigned after)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);
	bool there = false;

	if (vq->failed)
		goto unlock;
	if (vq->event_idx)
		virtq_wish(used_event(vq), (uint16_t)(vq->last_used + after - 1));
	else
		virtq_wish(&vq->avail->flags, 0);
	there = (uint16_t)(used_index(vq) - vq->last_used) >= (vq->event_idx ? after : 1);
unlock:
	spin_unlock_irqrestore(&vq->lock, f);
	return there;
}

void virtq_disarm(struct virtq *vq)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);

	if (vq->event_idx)
		WRITE_ONCE(*used_event(vq), (uint16_t)(vq->last_used - 1));
	else
		WRITE_ONCE(vq->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
	spin_unlock_irqrestore(&vq->lock, f);
}

bool virtq_stalled(struct virtq *vq, uint64_t limit_ns)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);
	uint64_t now = clock_now_ns();
	bool stalled;

	vq->silent_ns += MIN(now - vq->looked_ns, limit_ns / 4);
	vq->looked_ns = now;
	stalled = vq->in_flight && !vq->failed && used_index(vq) == vq->last_used &&
		  vq->silent_ns > limit_ns;
	spin_unlock_irqrestore(&vq->lock, f);
	return stalled;
}

unsigned virtq_in_flight(struct virtq *vq)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);
	unsigned n = vq->in_flight;

	spin_unlock_irqrestore(&vq->lock, f);
	return n;
}

void virtq_look(struct virtq *vq, struct virtq_view *out)
{
	irqflags_t f;

	memset(out, 0, sizeof(*out));
	f = spin_lock_irqsave(&vq->lock);
	out->num = vq->num;
	out->nr_free = vq->nr_free;
	out->in_flight = vq->in_flight;
	out->shadow = vq->shadow;
	out->published = vq->published;
	out->used = used_index(vq);
	out->last_used = vq->last_used;
	out->failed = vq->failed;
	out->submitted = vq->submitted;
	out->collected = vq->collected;
	out->notifies = vq->notifies;
	out->full = vq->full;
	for (unsigned i = 0; i < vq->num; i++)
		if (vq->slots[i].pieces)
			out->heads[i / 64] |= BIT(i % 64);
	spin_unlock_irqrestore(&vq->lock, f);
}
