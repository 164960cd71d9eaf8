/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/virtq.sources tests/host/shim/weak.c */
/* flags: -include tests/host/shim/weak.h */
/* The queue's four barriers on a weakly ordered machine: with them nothing goes wrong in any order that the model
 * allows, and without any one of them something does. */
#include "drivers/virtio/virtq.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "mm/phys/page.h"
#include "tests/host/memory_env.h"
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"
#include "tests/kernel/virtio_model.h"

#define BUFFERS 2 /* and as many descriptors: what is stale is soon something else */
#define ROUNDS	2

static struct model m;
static struct virtq vq;
static uint64_t features;
static uint8_t memory[BUFFERS][64];

static void begin(void)
{
	static bool cpus;

	if (!cpus)
		shim_cpus_init(1);
	cpus = true;
	model_init(&m, VIRTIO_ID_RNG, features, BUFFERS);
	CHECK_EQ(virtio_begin(&m.dev, 0, 0), 0);
	CHECK_EQ(virtq_create(&vq, &m.dev, 0, VIRTQ_MAX), 0);
	virtio_driver_ok(&m.dev);
	weak_watch(vq.desc, PAGE_SIZE << vq.pages->order);
}

static bool end(bool good)
{
	weak_be(WEAK_DRIVER);
	weak_watch(NULL, 0);
	good &= !m.complaint && !virtio_is_broken(&m.dev);
	virtio_reset(&m.dev);
	while (virtq_take_back(&vq))
		;
	virtq_destroy(&vq);
	return good;
}

/* A length of its own for each buffer of each round. */
static uint32_t length(unsigned round, unsigned i)
{
	return 1 + round * BUFFERS + i;
}

static void submit(unsigned round, unsigned i)
{
	struct virtq_piece p = { virt_to_phys(memory[i]), length(round, i), true };

	CHECK_EQ(virtq_submit(&vq, &p, 1, memory[i]), 0);
}

static bool take(struct model_buffer *b)
{
	bool got;

	weak_be(WEAK_DEVICE);
	got = model_take(&m, 0, b);
	weak_be(WEAK_DRIVER);
	return got;
}

static void give_back(const struct model_buffer *b)
{
	weak_be(WEAK_DEVICE);
	model_used(&m, b, b->writable);
	weak_be(WEAK_DRIVER);
}

/* Collect what can be seen; is it what the device gave back, in its order: the last buffer first? */
static bool collect(unsigned round, unsigned *back)
{
	struct virtq_done done[BUFFERS];
	unsigned n = virtq_collect(&vq, done, BUFFERS);
	bool good = true;

	for (unsigned k = 0; k < n; k++) {
		unsigned i = BUFFERS - 1 - (*back)++;

		good &= i < BUFFERS && done[k].cookie == memory[i] &&
			done[k].len == length(round, i);
	}
	return good;
}

/* used.idx before the entries. */
static bool used_ring(void)
{
	bool good = true;

	begin();
	for (unsigned round = 0; good && round < ROUNDS; round++) {
		struct model_buffer b[BUFFERS];
		unsigned back = 0;

		for (unsigned i = 0; i < BUFFERS; i++)
			submit(round, i);
		virtq_kick(&vq);
		weak_see_all(WEAK_DEVICE);
		for (unsigned i = 0; i < BUFFERS; i++)
			good &= take(&b[i]) && b[i].piece[0].at == memory[i];
		for (unsigned i = BUFFERS; good && i-- > 0;) {
			give_back(&b[i]);
			if (weak_choose(2))
				good &= collect(round, &back);
		}
		good = good && collect(round, &back);
		weak_see_all(WEAK_DRIVER);
		good = good && collect(round, &back) && back == BUFFERS;
	}
	return end(good);
}

/* Descriptors and avail entries before avail.idx. */
static bool avail_ring(void)
{
	bool good = true;

	begin();
	for (unsigned round = 0; good && round < ROUNDS; round++) {
		struct model_buffer b[BUFFERS];
		struct virtq_done done[BUFFERS];
		unsigned n = 0;

		for (unsigned i = 0; i < BUFFERS; i++) {
			submit(round, i);
			if (weak_choose(2))
				virtq_kick(&vq);
			n += n <= i && take(&b[n]);
		}
		virtq_kick(&vq);
		n += n < BUFFERS && take(&b[n]);
		weak_see_all(WEAK_DEVICE);
		while (n < BUFFERS && take(&b[n]))
			n++;
		good = n == BUFFERS;
		for (unsigned i = 0; good && i < BUFFERS; i++) {
			unsigned which = b[i].piece[0].at == memory[1];

			good = b[i].piece[0].at == memory[which] &&
			       b[i].writable == length(round, which);
		}
		for (unsigned i = 0; good && i < BUFFERS; i++)
			give_back(&b[i]);
		weak_see_all(WEAK_DRIVER);
		good = good && virtq_collect(&vq, done, BUFFERS) == BUFFERS;
	}
	return end(good);
}

/* The device wishes to be told, and looks once more; the driver publishes, and looks at the wish. */
static bool device_looks(struct model_buffer *b)
{
	weak_be(WEAK_DEVICE);
	model_wish_notify(&m, 0, true);
	arch_dma_mb();
	return take(b);
}

static bool wish_to_be_notified(void)
{
	struct model_buffer b;
	bool first, seen = false;
	uint64_t before;

	begin();
	weak_be(WEAK_DEVICE);
	model_wish_notify(&m, 0, false);
	weak_see_all(WEAK_DRIVER);
	weak_be(WEAK_DRIVER);
	submit(0, 0);
	before = m.notifies;
	first = weak_choose(2);
	if (first)
		seen = device_looks(&b);
	virtq_kick(&vq);
	if (!first)
		seen = device_looks(&b);
	return end(seen || m.notifies > before);
}

/* The driver arms, and looks once more; the device gives back, and looks at the wish. */
static bool device_signals(const struct model_buffer *b)
{
	bool told;

	give_back(b);
	weak_be(WEAK_DEVICE);
	told = model_signal(&m, 0);
	weak_be(WEAK_DRIVER);
	return told;
}

static bool wish_for_an_interrupt(void)
{
	struct model_buffer b;
	bool first, told = false, there, got;

	begin();
	virtq_disarm(&vq);
	submit(0, 0);
	virtq_kick(&vq);
	weak_see_all(WEAK_DEVICE);
	got = take(&b);
	first = weak_choose(2);
	if (got && first)
		told = device_signals(&b);
	there = virtq_arm(&vq, 1);
	if (got && !first)
		told = device_signals(&b);
	return end(got && (there || told));
}

/* Right as it is, in more than one way; wrong without the barrier. */
static void needs(bool (*run)(void), enum weak_barrier barrier)
{
	static const uint64_t sets[] = { BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX),
					 0 };

	for (unsigned i = 0; i < 2; i++) {
		features = sets[i];
		CHECK(weak_explore(run, WEAK_NONE) > 1);
		CHECK_EQ(weak_explore(run, barrier), 0);
	}
	CHECK_EQ(env_objects + env_pages, 0);
}

TEST(virtq_order_used_ring)
{
	needs(used_ring, WEAK_RMB);
}

TEST(virtq_order_avail_ring)
{
	needs(avail_ring, WEAK_WMB);
}

TEST(virtq_order_notification)
{
	needs(wish_to_be_notified, WEAK_MB);
}

TEST(virtq_order_interrupt)
{
	needs(wish_for_an_interrupt, WEAK_MB);
}
