/* SPDX-License-Identifier: MIT */
#include "drivers/virtio/virtio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/perturb.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "mm/phys/slab.h"

#define RING_F_EVENT_IDX 29
#define CONFIG_TRIES	 16

int virtio_begin(struct virtio_device *d, uint64_t wanted, uint64_t needed)
{
	uint64_t offered;
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	virtio_fault_begin(d);
	d->ops->set_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	d->ops->set_status(d, status);
	offered = d->ops->offered(d);
	if ((offered & needed) != needed) {
		virtio_fail(d);
		return -ENODEV;
	}
	wanted |=
		needed | BIT(VIRTIO_F_VERSION_1) | BIT(RING_F_EVENT_IDX) | BIT(VIRTIO_F_ANY_LAYOUT);
	d->features = offered & wanted;
	d->ops->accept(d, d->features);
	if (!virtio_has(d, VIRTIO_F_VERSION_1))
		return 0;
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	d->ops->set_status(d, status);
	if (!(d->ops->get_status(d) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		virtio_fail(d);
		return -ENODEV;
	}
	return 0;
}

void virtio_driver_ok(struct virtio_device *d)
{
	d->ops->set_status(d, d->ops->get_status(d) | VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_fail(struct virtio_device *d)
{
	d->ops->set_status(d, d->ops->get_status(d) | VIRTIO_CONFIG_S_FAILED);
}

void virtio_reset(struct virtio_device *d)
{
	d->ops->set_status(d, 0);
	atomic_store_relaxed(&d->why, NULL);
	/* pairs with the acquire in virtio_is_broken() */
	atomic_publish(&d->broken, 0);
}

bool virtio_is_broken(const struct virtio_device *d)
{
	/* pairs with the release in virtq_fail() and below */
	return atomic_load_acquire(&d->broken);
}

void virtio_check_status(struct virtio_device *d)
{
	if (!(d->ops->get_status(d) & VIRTIO_CONFIG_S_NEEDS_RESET) && !virtio_fault_needs_reset(d))
		return;
	atomic_store_relaxed(&d->why, "it asks for a reset");
	/* pairs with the acquire in virtio_is_broken() */
	atomic_publish(&d->broken, 1);
}

void virtio_config(struct virtio_device *d, unsigned off, void *buf, unsigned len)
{
	for (int i = 0; i < CONFIG_TRIES; i++) {
		uint32_t before = d->ops->config_generation(d);

		d->ops->config_read(d, off, buf, len);
		if (d->ops->config_generation(d) == before)
			return;
	}
	log_warn("virtio: %s: configuration does not hold still", d->name);
}

/* [init] while the devices are probed, by one thread */
static struct list_head driven = LIST_HEAD_INIT(driven);

/* What each kind of device is called, who drives it, and for those without a driver what to use instead. */
static const struct kind {
	unsigned id;
	const char *name;
	int (*probe)(struct virtio_device *d);
	const char *instead;
} kinds[] = {
	{ VIRTIO_ID_NET, "net", virtio_net_probe, NULL },
	{ VIRTIO_ID_RNG, "rng", virtio_rng_probe, NULL },
	{ VIRTIO_ID_BLOCK, "block", virtio_blk_probe, NULL },
	{ VIRTIO_ID_CONSOLE, "console", NULL, "the console is the PL011: use -serial" },
	{ VIRTIO_ID_9P, "9p", NULL, "files come by -initrd or scripts/run-qemu.sh --put" },
	{ VIRTIO_ID_GPU, "gpu", NULL, "the console is the PL011: use -serial" },
};

static const struct kind *kind_of(unsigned id)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].id == id)
			return &kinds[i];
	}
	return NULL;
}

static void start_driver(struct virtio_device *d)
{
	const struct kind *k = kind_of(d->kind);
	int ret;

	if (!k || !k->probe) {
		log_warn("virtio: %s: no driver for a %s device (kind %u)%s%s", d->name,
			 k ? k->name : "strange", d->kind, k ? "; " : "", k ? k->instead : "");
		kfree(d);
		return;
	}
	ret = k->probe(d);
	if (ret == 0) {
		list_push_back(&d->link, &driven);
		return;
	}
	log_warn("virtio: %s: the %s device did not start: error %d", d->name, k->name, -ret);
	kfree(d);
}

static void probe_slot(const struct machine_device *slot, void *arg)
{
	unsigned *number = arg;
	void *regs = device_map(slot->reg);
	struct virtio_device *d = kzalloc(sizeof(*d));

	if (!regs || !d)
		goto free;
	fmt_print(d->name, sizeof(d->name), "virtio%u", (*number)++);
	if (!slot->irq || virtio_mmio_open(d, regs) < 0)
		goto free;
	d->irq = slot->irq;
	d->edge = slot->edge;
	start_driver(d);
	return;
free:
	kfree(d);
}

void virtio_for_each(void (*fn)(struct virtio_device *d, void *arg), void *arg)
{
	struct virtio_device *d;

	list_for_each (d, &driven, link)
		fn(d, arg);
}

void virtio_init(void)
{
	unsigned number = 0;

	machine_for_each_device("virtio,mmio", probe_slot, &number);
}
