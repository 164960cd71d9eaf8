/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources drivers/virtio/virtq.c drivers/virtio/virtio.c
tests/kernel/virtio_model.c tests/host/virtq_env.c tests/host/shim/identity.c lib/fmt.c */
/* The virtqueue against a device that runs beside it: each side sleeps when it has nothing to do, and is told. Every
 * buffer is taken, with what was written before it was submitted, and comes back, with what the device has written. */
#include "drivers/virtio/virtq.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "mm/phys/page.h"
#include "tests/kernel/virtio_model.h"
#include "tests/model/env.h"

#define BUFFERS 2

static struct model m;
static struct virtq vq;
static uint64_t features;
static unsigned nr_buffers, nr_drivers, queue_size;
static uint8_t memory[BUFFERS];
static uint32_t notified, raised; /* [atomic] how often */
static unsigned taken, back[BUFFERS];

static void on_notify(struct model *of, unsigned queue)
{
	/* no barrier of ours: the queue's is before it */
	(void)__atomic_fetch_add(&notified, 1, __ATOMIC_RELAXED);
}

static void on_interrupt(void *arg)
{
	(void)__atomic_fetch_add(&raised, 1, __ATOMIC_RELEASE);
}

static void setup(void)
{
	env_cpus(nr_drivers + 1);
	model_init(&m, VIRTIO_ID_RNG, features, queue_size);
	m.on_notify = on_notify;
	m.interrupt = on_interrupt;
	MODEL_CHECK(virtio_begin(&m.dev, 0, 0) == 0);
	MODEL_CHECK(virtq_create(&vq, &m.dev, 0, VIRTQ_MAX) == 0);
	virtio_driver_ok(&m.dev);
	virtq_disarm(&vq);
	model_wish_notify(&m, 0, false);
}

/* Buffer i is i + 1 long, and the device adds 1 to its byte. False: no room. */
static bool submit(unsigned i)
{
	struct virtq_piece p = { virt_to_phys(&memory[i]), i + 1, true };

	memory[i] = (uint8_t)(10 * (i + 1));
	if (virtq_submit(&vq, &p, 1, &memory[i]) != 0)
		return false;
	virtq_kick(&vq);
	return true;
}

static void collect(void)
{
	struct virtq_done done[BUFFERS];
	unsigned n = virtq_collect(&vq, done, BUFFERS);

	for (unsigned k = 0; k < n; k++) {
		unsigned i = (unsigned)((uint8_t *)done[k].cookie - memory);

		MODEL_CHECK(done[k].len == i + 1 && memory[i] == 10 * (i + 1) + 1);
		back[i]++;
	}
}

static bool all_back(void)
{
	return back[0] + (nr_buffers > 1 ? back[1] : 0) == nr_buffers;
}

/* Interrupts are off while it works, as the card's driver does it. */
static void drives(void)
{
	uint32_t heard = 0;
	unsigned next = 0;

	env_enter();
	for (;;) {
		collect();
		if (all_back())
			return;
		if (next < nr_buffers && submit(next)) {
			next += nr_drivers;
			continue;
		}
		if (virtq_arm(&vq, 1))
			continue;
		while (atomic_load_acquire(&raised) == heard)
			model_idle();
		heard++;
		virtq_disarm(&vq);
	}
}

static void submits(void)
{
	env_enter();
	MODEL_CHECK(submit(1));
}

static bool serve(void)
{
	struct model_buffer b;

	if (!model_take(&m, 0, &b))
		return false;
	taken++;
	MODEL_CHECK(b.nr == 1 && *b.piece[0].at == 10 * b.writable);
	++*b.piece[0].at;
	model_used(&m, &b, b.writable);
	(void)model_signal(&m, 0);
	return true;
}

static void device(void)
{
	uint32_t heard = 0;

	env_enter();
	while (taken < nr_buffers) {
		if (serve())
			continue;
		model_wish_notify(&m, 0, true);
		arch_dma_mb();
		if (!serve()) {
			while (atomic_load_acquire(&notified) == heard)
				model_idle();
			heard = atomic_load_acquire(&notified);
		}
		model_wish_notify(&m, 0, false);
	}
}

static void end(void)
{
	MODEL_CHECK(!m.complaint && !virtio_is_broken(&m.dev));
	MODEL_CHECK(all_back());
}

static void explore(const char *name, unsigned preemptions)
{
	struct modelled one = { .cpus = 2, .run = { drives, device } };
	struct modelled two = { .cpus = 3, .run = { drives, submits, device } };
	struct modelled model = nr_drivers == 1 ? one : two;

	model.setup = setup;
	model.end = end;
	model.preemptions = preemptions;
	model_explore(name, &model);
}

static void explore_all(void)
{
	nr_drivers = nr_buffers = queue_size = 1;
	explore("virtqueue, a buffer", 0);
	nr_buffers = 2;
	explore("virtqueue, a place used twice", test_scale > 1 ? 4 : 3);
	queue_size = 2;
	explore("virtqueue, two buffers", test_scale > 1 ? 4 : 3);
	nr_drivers = 2;
	explore("virtqueue, two CPUs and the device", test_scale > 1 ? 2 : 1);
}

TEST(model_virtq_flags)
{
	features = BIT(VIRTIO_F_VERSION_1);
	explore_all();
}

TEST(model_virtq_event_idx)
{
	features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX);
	explore_all();
}
