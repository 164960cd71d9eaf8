/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/virtq.sources */
#include "drivers/virtio/virtq.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "tests/host/memory_env.h"
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"
#include "tests/kernel/virtio_model.h"

static struct model m;
static struct virtq vq;

static void one_cpu(void)
{
	static bool done;

	if (!done)
		shim_cpus_init(1);
	done = true;
}

static void start(uint64_t features, unsigned size)
{
	one_cpu();
	model_init(&m, VIRTIO_ID_RNG, features, size);
	CHECK_EQ(virtio_begin(&m.dev, 0, 0), 0);
	CHECK_EQ(virtq_create(&vq, &m.dev, 0, VIRTQ_MAX), 0);
	virtio_driver_ok(&m.dev);
}

static void stop(void)
{
	virtio_reset(&m.dev);
	while (virtq_take_back(&vq))
		;
	virtq_destroy(&vq);
	CHECK_EQ(env_objects, 0);
	CHECK_EQ(env_pages, 0);
}

static const uint64_t modern = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX);

static int send(void *memory, uint32_t len, void *cookie)
{
	struct virtq_piece p = { virt_to_phys(memory), len, false };

	return virtq_submit(&vq, &p, 1, cookie);
}

TEST(virtq_layout)
{
	/* every size a device may offer; the model checks the alignment */
	for (unsigned size = 1; size <= VIRTQ_MAX; size *= 2) {
		start(modern, size);
		CHECK_EQ(vq.num, size);
		CHECK(m.complaint == NULL);
		virtq_check(&vq);
		stop();
	}
}

TEST(virtq_roundtrip)
{
	char text[] = "hello";
	struct model_buffer b;
	struct virtq_done done;

	start(modern, 8);
	CHECK_EQ(send(text, 5, text), 0);
	/* not visible before the kick */
	CHECK(!model_take(&m, 0, &b));
	virtq_kick(&vq);
	CHECK_EQ(m.notifies, 1);
	CHECK(model_take(&m, 0, &b));
	CHECK_EQ(b.readable, 5);
	CHECK(memcmp(b.piece[0].at, "hello", 5) == 0);
	CHECK_EQ(virtq_collect(&vq, &done, 1), 0);
	model_used(&m, &b, 0);
	CHECK_EQ(virtq_collect(&vq, &done, 1), 1);
	CHECK(done.cookie == text && done.len == 0);
	virtq_check(&vq);
	CHECK(m.complaint == NULL);
	stop();
}

TEST(virtq_full_and_back)
{
	char byte = 0;
	struct model_buffer b;
	struct virtq_done done[8];

	start(modern, 4);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(send(&byte, 1, &vq), 0);
	CHECK_EQ(send(&byte, 1, &vq), -ENOBUFS);
	virtq_kick(&vq);
	CHECK(model_take(&m, 0, &b));
	model_used(&m, &b, 0);
	CHECK_EQ(virtq_collect(&vq, done, 8), 1);
	CHECK_EQ(send(&byte, 1, &vq), 0);
	CHECK_EQ(send(&byte, 1, &vq), -ENOBUFS);
	virtq_check(&vq);
	stop();
}

/* N5: random chains, random batches, completion in random order; a shadow says what must come back. Long enough for
 * the 16-bit indices to wrap (N4). */
static void storm(uint64_t features, unsigned size)
{
	static uint8_t memory[4096];
	enum { COOKIES = 2048 };
	static uint8_t state[COOKIES]; /* 0 ours, 1 with the device */
	struct model_buffer held[64];
	unsigned nr_held = 0;
	uint64_t sent = 0, back = 0;
	uint64_t rounds = 70000 * (uint64_t)test_scale;

	start(features, size);
	memset(state, 0, sizeof(state));
	while (back < rounds) {
		unsigned what = (unsigned)test_below(5);

		if (what < 2) {
			unsigned c = (unsigned)test_below(COOKIES);
			struct virtq_piece p[3];
			unsigned n = 1 + (unsigned)test_below(3);

			if (state[c])
				continue;
			for (unsigned i = 0; i < n; i++)
				p[i] = (struct virtq_piece){ virt_to_phys(memory),
							     1 + (uint32_t)test_below(4096),
							     i == n - 1 };
			p[n - 1].len = c + 1;
			int ret = virtq_submit(&vq, p, n, &state[c]);

			CHECK(ret == 0 || ret == -ENOBUFS);
			if (ret == 0) {
				state[c] = 1;
				sent++;
			}
		} else if (what == 2) {
			virtq_kick(&vq);
		} else if (what == 3) {
			while (nr_held < 64 && model_take(&m, 0, &held[nr_held]))
				nr_held++;
			CHECK_MSG(!m.complaint, "%s", m.complaint);
			for (uint64_t k = nr_held ? test_below(nr_held + 1) : 0; k > 0; k--) {
				unsigned i = (unsigned)test_below(nr_held);

				model_used(&m, &held[i], held[i].writable);
				held[i] = held[--nr_held];
			}
			model_signal(&m, 0);
		} else {
			struct virtq_done done[16];
			unsigned n = virtq_collect(&vq, done, 1 + (unsigned)test_below(16));

			for (unsigned i = 0; i < n; i++) {
				uint8_t *c = done[i].cookie;

				CHECK_EQ(*c, 1);
				CHECK_EQ(done[i].len, (c - state) + 1);
				*c = 0;
				back++;
			}
		}
		CHECK_EQ(virtq_in_flight(&vq), sent - back);
	}
	virtq_check(&vq);
	CHECK(!virtio_is_broken(&m.dev));
	stop();
}

TEST(virtq_storm_event_idx)
{
	storm(modern, 64);
}

TEST(virtq_storm_flags)
{
	storm(0, 32);
}

/* The index wraps at 65,536 with the ring nearly empty and nearly full. */
TEST(virtq_wrap)
{
	char byte = 0;
	struct model_buffer b;
	struct virtq_done done;

	start(modern, 4);
	for (unsigned i = 0; i < 65536 + 256; i++) {
		CHECK_EQ(send(&byte, 1, &byte), 0);
		virtq_kick(&vq);
		CHECK(model_take(&m, 0, &b));
		model_used(&m, &b, 0);
		CHECK_EQ(virtq_collect(&vq, &done, 1), 1);
	}
	CHECK(m.complaint == NULL);
	stop();
}

static void publish_scribbled(void *arg)
{
	virtq_kick(&vq);
}

TEST(virtq_scribbled_index)
{
	/* A5: the device must never see it */
	char byte = 0;
	struct model_buffer b;

	start(modern, 8);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(send(&byte, 1, &byte), 0);
		virtq_kick(&vq);
		CHECK(model_take(&m, 0, &b));
	}
	vq.avail->idx = 0;
	CHECK_EQ(send(&byte, 1, &byte), 0);
	CHECK(shim_expect_bug(publish_scribbled, NULL, "avail->idx"));
	CHECK(m.complaint == NULL);
}

static void submit_nothing(void *arg)
{
	char byte = 0;

	(void)!send(&byte, 0, &byte);
}

static void submit_wrong_order(void *arg)
{
	char byte = 0;
	struct virtq_piece p[2] = { { virt_to_phys(&byte), 1, true },
				    { virt_to_phys(&byte), 1, false } };

	(void)!virtq_submit(&vq, p, 2, &byte);
}

TEST(virtq_zero_length)
{
	start(modern, 8);
	CHECK(shim_expect_bug(submit_nothing, NULL, "len != 0"));
}

TEST(virtq_wrong_order)
{
	start(modern, 8);
	CHECK(shim_expect_bug(submit_wrong_order, NULL, "device_writes"));
}

/* A lying device: each lie breaks the queue, nothing else, and a reset mends it. */
static void tell_lie(unsigned lie, struct model_buffer *b)
{
	switch (lie) {
	case 0:
		model_used_raw(&m, 0, 4711, 0);
		break;
	case 1:
		/* a free descriptor */
		model_used_raw(&m, 0, (b->id + 5u) & 7, 0);
		break;
	case 2:
		model_used_raw(&m, 0, b->id, 17);
		break;
	case 3:
		/* twice the same */
		model_used(&m, b, 0);
		model_used_raw(&m, 0, b->id, 0);
		break;
	case 4:
		model_used_index(&m, 0, 400);
		break;
	case 5:
		model_used_index(&m, 0, 0xffff);
		break;
	default:
		/* the middle of a chain */
		model_used_raw(&m, 0, (b->id + 1u) & 7, 0);
	}
}

TEST(virtq_liar)
{
	char byte[16];
	struct virtq_piece p[2] = { { virt_to_phys(byte), 8, false },
				    { virt_to_phys(byte), 16, true } };

	for (unsigned lie = 0; lie < 7; lie++) {
		struct model_buffer b;
		struct virtq_done done[8];
		unsigned back;

		start(modern, 8);
		CHECK_EQ(virtq_submit(&vq, p, 2, byte), 0);
		CHECK_EQ(virtq_submit(&vq, p, 2, byte), 0);
		virtq_kick(&vq);
		CHECK(model_take(&m, 0, &b));
		tell_lie(lie, &b);
		back = virtq_collect(&vq, done, 8);
		back += virtq_collect(&vq, done, 8);
		CHECK_EQ(back, lie == 3 ? 1 : 0);
		CHECK(virtio_is_broken(&m.dev));
		CHECK_EQ(virtq_submit(&vq, p, 2, byte), -EIO);
		virtq_kick(&vq);
		virtio_reset(&m.dev);
		while (virtq_take_back(&vq))
			back++;
		CHECK_EQ(back, 2);
		CHECK_EQ(virtio_begin(&m.dev, 0, 0), 0);
		CHECK_EQ(virtq_restart(&vq), 0);
		CHECK_EQ(virtq_submit(&vq, p, 2, byte), -EIO);
		virtio_driver_ok(&m.dev);
		virtq_open(&vq);
		CHECK(!virtio_is_broken(&m.dev));
		CHECK_EQ(virtq_submit(&vq, p, 2, byte), 0);
		virtq_kick(&vq);
		CHECK(model_take(&m, 0, &b));
		/* A7: nothing of what was there before the reset */
		CHECK(!model_take(&m, 0, &b));
		virtq_check(&vq);
		stop();
	}
}

TEST(virtq_interrupt_wish)
{
	char byte = 0;
	struct model_buffer b[6];
	struct virtq_done done[8];
	const uint64_t sets[] = { modern, 0 };

	for (unsigned k = 0; k < 2; k++) {
		start(sets[k], 8);
		for (int i = 0; i < 6; i++)
			CHECK_EQ(send(&byte, 1, &byte), 0);
		virtq_disarm(&vq);
		virtq_kick(&vq);
		for (int i = 0; i < 6; i++)
			CHECK(model_take(&m, 0, &b[i]));
		model_used(&m, &b[0], 0);
		CHECK(!model_signal(&m, 0));
		/* there already: no sleep */
		CHECK(virtq_arm(&vq, 1));
		CHECK_EQ(virtq_collect(&vq, done, 8), 1);
		CHECK(!virtq_arm(&vq, 1));
		model_used(&m, &b[1], 0);
		CHECK(model_signal(&m, 0));
		CHECK_EQ(virtq_collect(&vq, done, 8), 1);
		/* only after three */
		CHECK(!virtq_arm(&vq, 3));
		model_used(&m, &b[2], 0);
		CHECK_EQ(model_signal(&m, 0), k == 1);
		model_used(&m, &b[3], 0);
		CHECK_EQ(model_signal(&m, 0), k == 1);
		model_used(&m, &b[4], 0);
		CHECK(model_signal(&m, 0));
		stop();
	}
}

TEST(virtq_notify_wish)
{
	char byte = 0;
	const uint64_t sets[] = { modern, 0 };

	for (unsigned k = 0; k < 2; k++) {
		start(sets[k], 8);
		model_wish_notify(&m, 0, false);
		CHECK_EQ(send(&byte, 1, &byte), 0);
		virtq_kick(&vq);
		CHECK_EQ(m.notifies, 0);
		model_wish_notify(&m, 0, true);
		/* nothing new: nothing to say */
		virtq_kick(&vq);
		CHECK_EQ(m.notifies, 0);
		stop();
	}
}

TEST(virtq_stall)
{
	char byte = 0;
	struct model_buffer b;

	start(modern, 8);
	shim_now_ns = 5 * NS_PER_S;
	CHECK(!virtq_stalled(&vq, NS_PER_S));
	CHECK_EQ(send(&byte, 1, &byte), 0);
	virtq_kick(&vq);
	CHECK(!virtq_stalled(&vq, NS_PER_S));
	/* the host had halted the machine, or the clock jumps: the device, too, had no time */
	shim_now_ns = 70 * NS_PER_S;
	CHECK(!virtq_stalled(&vq, NS_PER_S));
	for (unsigned i = 0; i < 3; i++) {
		shim_now_ns += 250 * NS_PER_MS;
		CHECK(!virtq_stalled(&vq, NS_PER_S));
		/* time counts once, however often somebody looks */
		CHECK(!virtq_stalled(&vq, NS_PER_S));
	}
	shim_now_ns += NS_PER_MS;
	CHECK(virtq_stalled(&vq, NS_PER_S));
	CHECK(model_take(&m, 0, &b));
	model_used(&m, &b, 0);
	/* used, only nobody looked */
	CHECK(!virtq_stalled(&vq, NS_PER_S));
	stop();
}

TEST(virtq_create_fails_clean)
{
	for (uint64_t n = 1; n < 4; n++) {
		one_cpu();
		model_init(&m, VIRTIO_ID_RNG, modern, 64);
		CHECK_EQ(virtio_begin(&m.dev, 0, 0), 0);
		env_fail_in = n;
		int ret = virtq_create(&vq, &m.dev, 0, 64);

		env_fail_in = 0;
		CHECK_EQ(ret, n < 3 ? -ENOMEM : 0);
		if (ret == 0) {
			virtio_reset(&m.dev);
			virtq_destroy(&vq);
		}
		CHECK_EQ(env_objects + env_pages, 0);
	}
}
