/* SPDX-License-Identifier: MIT */
/* virtio-blk: one queue, a request of three pieces: what is wanted, the data, and a byte that says how it went. The interrupt
 * takes all that is done and wakes who asked; nobody polls (PERF-007). virtio v1.1 s5.2. */
#include "drivers/virtio/virtio_blk.h"

#include <linux/virtio_blk.h>

#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"

#define RING	    128u
#define MAX_BYTES   65536u
#define STATUS_NONE 0xffu /* no device says this */
#define WANTED                                                                                     \
	(BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |             \
	 BIT(VIRTIO_BLK_F_SIZE_MAX))

static struct virtio_blk *of(struct blockdev *d)
{
	return container_of(d, struct virtio_blk, bd);
}

static int vblk_submit(struct blockdev *d, struct block_request *r)
{
	static const uint32_t types[] = { [BLOCK_READ] = VIRTIO_BLK_T_IN,
					  [BLOCK_WRITE] = VIRTIO_BLK_T_OUT,
					  [BLOCK_FLUSH] = VIRTIO_BLK_T_FLUSH };
	struct virtio_blk *v = of(d);
	struct virtq_piece piece[3];
	unsigned n = 0;
	int ret;

	ASSERT((r->len > 0) == (r->op != BLOCK_FLUSH) && r->len <= d->max_bytes);
	if (atomic_load_relaxed(&v->dead))
		return -EIO;
	r->wire.type = types[r->op];
	r->wire.ioprio = 0;
	r->wire.sector = r->sector;
	r->wire.status = STATUS_NONE;
	piece[n++] = (struct virtq_piece){ virt_to_phys(&r->wire), 16, false };
	if (r->len)
		piece[n++] = (struct virtq_piece){ r->data, r->len, r->op == BLOCK_READ };
	piece[n++] = (struct virtq_piece){ virt_to_phys(&r->wire.status), 1, true };
	ret = virtq_submit(&v->vq, piece, n, r);
	if (ret == 0)
		virtq_kick(&v->vq);
	return ret;
}

static int error_of(uint8_t status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

/* Everything that is done, until nothing is and an interrupt will tell of the next. */
static void take_done(struct virtio_blk *v)
{
	struct virtq_done done[16];
	unsigned n;

	if (virtio_ack(v->dev) & VIRTIO_ISR_CONFIG)
		atomic_store_relaxed(&v->config_changed, 1);
	do {
		while ((n = virtq_collect(&v->vq, done, ARRAY_SIZE(done))) > 0) {
			for (unsigned i = 0; i < n; i++) {
				struct block_request *r = done[i].cookie;

				block_finish(&v->bd, r, error_of(READ_ONCE(r->wire.status)));
			}
		}
	} while (virtq_arm(&v->vq, 1));
	/* who waits for a broken device is to see it */
	if (virtio_is_broken(v->dev) || atomic_load_relaxed(&v->config_changed))
		wake_all(&v->bd.wq);
}

void virtio_blk_interrupt(void *arg)
{
	take_done(arg);
}

static void vblk_look(struct blockdev *d)
{
	take_done(of(d));
}

static bool vblk_broken(struct blockdev *d)
{
	struct virtio_blk *v = of(d);

	if (atomic_load_relaxed(&v->dead))
		return false;
	if (atomic_exchange(&v->config_changed, 0))
		virtio_check_status(v->dev);
	if (virtq_stalled(&v->vq, d->limit_ns))
		virtq_fail(&v->vq, "requests do not come back");
	return virtio_is_broken(v->dev);
}

static int negotiate(struct virtio_blk *v)
{
	return virtio_begin(v->dev, WANTED, 0);
}

static void vblk_reset(struct blockdev *d)
{
	struct virtio_blk *v = of(d);
	struct block_request *r;
	int ret;

	mutex_lock(&d->reset_lock);
	if (!vblk_broken(d)) {
		/* another has done it */
		mutex_unlock(&d->reset_lock);
		return;
	}
	log_warn("virtio: %s: %s is reset: %s", v->dev->name, d->name,
		 atomic_load_relaxed(&v->dev->why));
	virtq_close(&v->vq);
	virtio_reset(v->dev);
	while ((r = virtq_take_back(&v->vq)) != NULL)
		block_finish(d, r, -EIO);
	ret = negotiate(v);
	if (ret == 0)
		ret = virtq_restart(&v->vq);
	if (ret == 0) {
		virtio_driver_ok(v->dev);
		virtq_open(&v->vq);
		virtq_arm(&v->vq, 1);
		atomic_add_relaxed(&d->resets, 1);
	} else {
		log_warn("virtio: %s: %s does not come back: error %d", v->dev->name, d->name,
			 -ret);
		atomic_store_relaxed(&v->dead, 1);
		virtio_fail(v->dev);
	}
	mutex_unlock(&d->reset_lock);
}

static const struct blockdev_ops vblk_ops = {
	.submit = vblk_submit,
	.look = vblk_look,
	.broken = vblk_broken,
	.reset = vblk_reset,
};

static int read_config(struct virtio_blk *v)
{
	struct blockdev *d = &v->bd;
	uint32_t size_max = MAX_BYTES;

	d->block_size = BLOCK_SECTOR;
	virtio_config(v->dev, offsetof(struct virtio_blk_config, capacity), &d->sectors,
		      sizeof(d->sectors));
	if (virtio_has(v->dev, VIRTIO_BLK_F_BLK_SIZE))
		virtio_config(v->dev, offsetof(struct virtio_blk_config, blk_size), &d->block_size,
			      sizeof(d->block_size));
	if (virtio_has(v->dev, VIRTIO_BLK_F_SIZE_MAX))
		virtio_config(v->dev, offsetof(struct virtio_blk_config, size_max), &size_max,
			      sizeof(size_max));
	if (d->block_size < BLOCK_SECTOR || d->block_size > PAGE_SIZE ||
	    (d->block_size & (d->block_size - 1)) || size_max < d->block_size ||
	    d->sectors > INT64_MAX / BLOCK_SECTOR) {
		log_warn(
			"virtio: %s: a disk of %lu sectors in blocks of %u bytes, %u at once, is not served",
			v->dev->name, d->sectors, d->block_size, size_max);
		return -EINVAL;
	}
	/* a block at the end that is not whole is not used */
	d->sectors -= d->sectors % (d->block_size / BLOCK_SECTOR);
	d->max_bytes = MIN(size_max, MAX_BYTES) / d->block_size * d->block_size;
	d->read_only = virtio_has(v->dev, VIRTIO_BLK_F_RO);
	d->flushes = virtio_has(v->dev, VIRTIO_BLK_F_FLUSH);
	return 0;
}

struct virtio_blk *virtio_blk_create(struct virtio_device *d)
{
	struct virtio_blk *v = kzalloc(sizeof(*v));

	if (!v)
		return NULL;
	v->dev = d;
	v->bd.ops = &vblk_ops;
	if (negotiate(v) < 0 || read_config(v) < 0 || virtq_create(&v->vq, d, 0, RING) < 0) {
		virtio_fail(d);
		kfree(v);
		return NULL;
	}
	blockdev_init(&v->bd);
	virtio_driver_ok(d);
	virtq_arm(&v->vq, 1);
	return v;
}

void virtio_blk_destroy(struct virtio_blk *v)
{
	virtio_reset(v->dev);
	virtq_destroy(&v->vq);
	kfree(v);
}

int virtio_blk_probe(struct virtio_device *d)
{
	struct virtio_blk *v = virtio_blk_create(d);
	int ret;

	if (!v)
		return -ENODEV;
	ret = irq_register(d->irq, d->edge ? IRQ_EDGE : IRQ_LEVEL, virtio_blk_interrupt, v,
			   d->name);
	if (ret < 0) {
		virtio_blk_destroy(v);
		return ret;
	}
	blockdev_register(&v->bd);
	log_info("virtio: %s: %s, %lu KiB%s", d->name, v->bd.name, v->bd.sectors / 2,
		 v->bd.read_only ? ", read only" : "");
	return 0;
}
