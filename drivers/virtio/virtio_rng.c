/* SPDX-License-Identifier: MIT */
/* virtio-rng: one buffer, filled once, at boot. The interrupt handler mixes it in. */
#include "drivers/virtio/virtq.h"
#include "kernel/core/irq.h"
#include "kernel/core/random.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"

#define SEED_BYTES 64u

struct virtio_rng {
	struct virtio_device *dev;
	struct virtq vq;
	uint8_t *buffer; /* the device's until its one interrupt */
};

static void request(struct virtio_rng *r)
{
	struct virtq_piece in = { virt_to_phys(r->buffer), SEED_BYTES, true };

	if (virtq_submit(&r->vq, &in, 1, r) < 0)
		return;
	virtq_arm(&r->vq, 1);
	virtq_kick(&r->vq);
}

static void interrupt(void *arg)
{
	struct virtio_rng *r = arg;
	struct virtq_done done;

	virtio_ack(r->dev);
	if (!virtq_collect(&r->vq, &done, 1))
		return;
	random_add(r->buffer, done.len, done.len * 8);
	secure_zero(r->buffer, SEED_BYTES);
}

int virtio_rng_probe(struct virtio_device *d)
{
	struct virtio_rng *r;
	int ret = virtio_begin(d, 0, 0);

	if (ret < 0)
		return ret;
	r = kzalloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->dev = d;
	r->buffer = kzalloc(SEED_BYTES);
	ret = r->buffer ? virtq_create(&r->vq, d, 0, 4) : -ENOMEM;
	if (ret < 0)
		goto fail;
	virtio_driver_ok(d);
	ret = irq_register(d->irq, d->edge ? IRQ_EDGE : IRQ_LEVEL, interrupt, r, d->name);
	if (ret < 0)
		goto destroy;
	request(r);
	return 0;

destroy:
	virtio_reset(d);
	virtq_destroy(&r->vq);
fail:
	virtio_fail(d);
	kfree(r->buffer);
	kfree(r);
	return ret;
}
