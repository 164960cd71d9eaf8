/* SPDX-License-Identifier: MIT */
#include "tests/kernel/virtio_model.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"

static struct model *of(struct virtio_device *d)
{
	return container_of(d, struct model, dev);
}

static void complain(struct model *m, const char *what)
{
	if (!m->complaint)
		m->complaint = what;
}

/* --- transport ------------------------------------------------------------------------------------------ */

static uint8_t get_status(struct virtio_device *d)
{
	return READ_ONCE(of(d)->status);
}

static void set_status(struct virtio_device *d, uint8_t status)
{
	struct model *m = of(d);

	spin_lock(&m->lock);
	if (!status) {
		for (unsigned q = 0; q < MODEL_QUEUES; q++)
			memset(&m->queue[q], 0, sizeof(m->queue[q]));
		m->accepted = 0;
		m->resets++;
		WRITE_ONCE(m->isr, 0);
	} else if ((status & VIRTIO_CONFIG_S_FEATURES_OK) && (m->accepted & ~m->offered)) {
		complain(m, "accepts features that were not offered");
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	}
	WRITE_ONCE(m->status, status);
	spin_unlock(&m->lock);
}

static uint64_t offered(struct virtio_device *d)
{
	return of(d)->offered;
}

static void accept(struct virtio_device *d, uint64_t features)
{
	of(d)->accepted = features;
}

static void config_read(struct virtio_device *d, unsigned off, void *buf, unsigned len)
{
	struct model *m = of(d);

	if (off + len > sizeof(m->config))
		return complain(m, "reads behind the configuration");
	memcpy(buf, m->config + off, len);
}

static uint32_t config_generation(struct virtio_device *d)
{
	return READ_ONCE(of(d)->generation);
}

static unsigned queue_max(struct virtio_device *d, unsigned index)
{
	return index < MODEL_QUEUES ? of(d)->queue_size : 0;
}

static int queue_enable(struct virtio_device *d, unsigned index, unsigned num, paddr_t desc,
			paddr_t avail, paddr_t used)
{
	struct model *m = of(d);
	struct model_queue *q = &m->queue[index];

	spin_lock(&m->lock);
	if (q->enabled)
		complain(m, "enables a queue twice");
	if (num > m->queue_size || (num & (num - 1)))
		complain(m, "queue size");
	/* */
	if (desc.pa & 15 || avail.pa & 1 || used.pa & 3)
		complain(m, "ring alignment");
	q->num = num;
	q->desc = phys_to_virt(desc);
	q->avail = phys_to_virt(avail);
	q->used = phys_to_virt(used);
	q->enabled = true;
	spin_unlock(&m->lock);
	if (m->on_enable)
		m->on_enable(m, index);
	return 0;
}

static void notify(struct virtio_device *d, unsigned index)
{
	struct model *m = of(d);

	atomic_fetch_add(&m->notifies, 1);
	/* one that is not told to begin yet hears nothing */
	if (m->on_notify && (READ_ONCE(m->status) & VIRTIO_CONFIG_S_DRIVER_OK))
		m->on_notify(m, index);
}

static uint32_t ack(struct virtio_device *d)
{
	return atomic_exchange(&of(d)->isr, 0);
}

static const struct virtio_transport_ops model_ops = {
	.name = "model",
	.get_status = get_status,
	.set_status = set_status,
	.offered = offered,
	.accept = accept,
	.config_read = config_read,
	.config_generation = config_generation,
	.queue_max = queue_max,
	.queue_enable = queue_enable,
	.notify = notify,
	.ack = ack,
};

void model_init(struct model *m, unsigned kind, uint64_t features, unsigned queue_size)
{
	memset(m, 0, sizeof(*m));
	spin_init(&m->lock, LOCK_FUTEX);
	m->dev.ops = &model_ops;
	m->dev.kind = kind;
	memcpy(m->dev.name, "model", 6);
	m->offered = features;
	m->queue_size = queue_size;
}

/* --- the device's side of the rings ----------------------------------------------------------------------------- */

static bool live(const struct model *m, const struct model_queue *q)
{
	return q->enabled && (m->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	       !(m->status & (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED));
}

static uint16_t *used_event(struct model_queue *q)
{
	return &((struct vring_avail *)q->avail)->ring[q->num];
}

static uint16_t *avail_event(struct model_queue *q)
{
	return (uint16_t *)&((struct vring_used *)q->used)->ring[q->num];
}

static bool has_event_idx(const struct model *m)
{
	return m->accepted & BIT(VIRTIO_RING_F_EVENT_IDX);
}

/* Read one chain, strictly. */
static bool read_chain(struct model *m, struct model_queue *q, struct model_buffer *b)
{
	struct vring_desc *desc = q->desc;
	uint16_t at = b->id;

	for (;;) {
		struct vring_desc *d = &desc[at];
		uint16_t flags = READ_ONCE(d->flags);
		uint32_t len = READ_ONCE(d->len);
		bool writable = flags & VRING_DESC_F_WRITE;

		if (b->nr == MODEL_PIECES)
			return complain(m, "chain too long, or a loop"), false;
		if (!len)
			return complain(m, "zero sized buffers are not allowed"), false;
		if (b->writable && !writable)
			return complain(m, "readable after writable"), false;
		b->piece[b->nr].at = phys_to_virt(paddr(READ_ONCE(d->addr)));
		b->piece[b->nr].len = len;
		b->piece[b->nr].writable = writable;
		b->nr++;
		*(writable ? &b->writable : &b->readable) += len;
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
		at = READ_ONCE(d->next);
		if (at >= q->num)
			return complain(m, "next descriptor out of range"), false;
	}
}

static bool take_locked(struct model *m, unsigned queue, struct model_buffer *b)
{
	struct model_queue *q = &m->queue[queue];
	struct vring_avail *avail = q->avail;
	uint16_t idx;

	if (!live(m, q))
		return false;
	idx = READ_ONCE(avail->idx);
	if (idx == q->last_avail)
		return false;
	if ((uint16_t)(idx - q->last_avail) > q->num)
		return complain(m, "Guest moved used index"), false;
	/* pairs with the driver's barrier before avail.idx */
	arch_dma_rmb();
	memset(b, 0, sizeof(*b));
	b->queue = queue;
	b->resets = m->resets;
	b->id = READ_ONCE(avail->ring[q->last_avail & (q->num - 1)]);
	if (b->id >= q->num || q->out[b->id])
		return complain(m, "head out of range or already out"), false;
	if (!read_chain(m, q, b))
		return false;
	q->last_avail++;
	q->out[b->id] = true;
	q->nr_out++;
	if (has_event_idx(m))
		WRITE_ONCE(*avail_event(q), q->last_avail);
	return true;
}

bool model_take(struct model *m, unsigned queue, struct model_buffer *b)
{
	bool got;

	spin_lock(&m->lock);
	got = take_locked(m, queue, b);
	spin_unlock(&m->lock);
	return got;
}

static void used_locked(struct model *m, struct model_queue *q, uint32_t id, uint32_t len)
{
	struct vring_used *used = q->used;
	struct vring_used_elem *e = &used->ring[q->used_idx & (q->num - 1)];

	WRITE_ONCE(e->id, id);
	WRITE_ONCE(e->len, len);
	/* pairs with the rmb in virtq_collect() */
	arch_dma_wmb();
	q->used_idx++;
	WRITE_ONCE(used->idx, q->used_idx);
}

bool model_holds(const struct model *m, const struct model_buffer *b)
{
	const struct model_queue *q = &m->queue[b->queue];

	return live(m, q) && b->resets == m->resets && q->out[b->id];
}

bool model_write(struct model *m, const struct model_buffer *b, const void *data, uint32_t n)
{
	bool ours;

	spin_lock(&m->lock);
	ours = model_holds(m, b) && b->piece[0].len >= n;
	if (ours)
		memcpy(b->piece[0].at, data, n);
	spin_unlock(&m->lock);
	return ours;
}

void model_used(struct model *m, const struct model_buffer *b, uint32_t len)
{
	struct model_queue *q = &m->queue[b->queue];

	spin_lock(&m->lock);
	/* a reset may have come between */
	if (model_holds(m, b)) {
		q->out[b->id] = false;
		q->nr_out--;
		used_locked(m, q, b->id, len);
	}
	spin_unlock(&m->lock);
}

bool model_signal(struct model *m, unsigned queue)
{
	struct model_queue *q = &m->queue[queue];
	bool wanted = false;

	spin_lock(&m->lock);
	if (live(m, q)) {
		/* pairs with the mb in virtq_arm(): our index before its wish */
		arch_dma_mb();
		if (has_event_idx(m))
			wanted = vring_need_event(READ_ONCE(*used_event(q)), q->used_idx,
						  q->signalled);
		else
			wanted = q->used_idx != q->signalled &&
				 !(READ_ONCE(((struct vring_avail *)q->avail)->flags) &
				   VRING_AVAIL_F_NO_INTERRUPT);
		q->signalled = q->used_idx;
	}
	spin_unlock(&m->lock);
	if (wanted)
		model_raise(m, VIRTIO_ISR_QUEUE);
	return wanted;
}

void model_wish_notify(struct model *m, unsigned queue, bool on)
{
	struct model_queue *q = &m->queue[queue];

	spin_lock(&m->lock);
	if (q->enabled) {
		if (has_event_idx(m))
			WRITE_ONCE(*avail_event(q), (uint16_t)(q->last_avail - (on ? 0 : 1)));
		else
			WRITE_ONCE(((struct vring_used *)q->used)->flags,
				   on ? 0 : VRING_USED_F_NO_NOTIFY);
	}
	spin_unlock(&m->lock);
}

void model_used_raw(struct model *m, unsigned queue, uint32_t id, uint32_t len)
{
	spin_lock(&m->lock);
	if (m->queue[queue].enabled)
		used_locked(m, &m->queue[queue], id, len);
	spin_unlock(&m->lock);
}

void model_used_index(struct model *m, unsigned queue, uint16_t idx)
{
	spin_lock(&m->lock);
	m->queue[queue].used_idx = idx;
	if (m->queue[queue].enabled)
		WRITE_ONCE(((struct vring_used *)m->queue[queue].used)->idx, idx);
	spin_unlock(&m->lock);
}

void model_raise(struct model *m, uint32_t isr)
{
	irqflags_t f = arch_irq_save();

	atomic_fetch_or(&m->isr, isr);
	atomic_fetch_add(&m->interrupts, 1);
	if (m->interrupt)
		m->interrupt(m->interrupt_arg);
	arch_irq_restore(f);
}

void model_need_reset(struct model *m)
{
	spin_lock(&m->lock);
	WRITE_ONCE(m->status, m->status | VIRTIO_CONFIG_S_NEEDS_RESET);
	spin_unlock(&m->lock);
	model_raise(m, VIRTIO_ISR_CONFIG);
}
