/* SPDX-License-Identifier: MIT */
/* One queue, many CPUs, a model device: A3, A5, A6, N5, X-11. */
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "drivers/virtio/virtq.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"
#include "tests/kernel/virtio_model.h"

#define ALL_CPUS (~(cpumask_t)0)
#define SENDERS	 4
#define SLOTS	 64

/* A request: its place says who sent it; the device answers with a number made from it. */
struct request {
	uint64_t number;
	uint64_t answer;
	uint32_t out; /* [atomic] 1 while with the device */
};

struct storm {
	struct model m;
	struct virtq vq;
	struct request *requests; /* SENDERS * SLOTS */
	uint64_t each;		  /* requests per sender */
	uint64_t back;		  /* [atomic] */
	uint64_t wrong;		  /* [atomic] */
	uint32_t stop;		  /* [atomic] */
	struct crew senders, devices;
	struct model_buffer held[16]; /* the device's thread's */
	uint32_t next_sender;	      /* [atomic] */
};

static void collect(struct storm *s)
{
	struct virtq_done done[8];
	unsigned n = virtq_collect(&s->vq, done, ARRAY_SIZE(done));

	for (unsigned i = 0; i < n; i++) {
		struct request *r = done[i].cookie;

		if (done[i].len != sizeof(r->answer) || r->answer != ~r->number)
			atomic_fetch_add(&s->wrong, 1);
		r->answer = 0;
		/* pairs with the acquire in sender() */
		if (atomic_exchange(&r->out, 0) != 1)
			atomic_fetch_add(&s->wrong, 1);
		atomic_fetch_add(&s->back, 1);
	}
}

static void sender(void *arg)
{
	struct storm *s = arg;
	unsigned me = atomic_fetch_add(&s->next_sender, 1);
	uint64_t sent = 0, seed = kt_seed() + me;

	while (sent < s->each) {
		struct request *r = &s->requests[me * SLOTS + crew_random(&seed) % SLOTS];
		struct virtq_piece p[2] = { { virt_to_phys(&r->number), sizeof(r->number), false },
					    { virt_to_phys(&r->answer), sizeof(r->answer), true } };

		if (atomic_load_acquire(&r->out)) {
			collect(s);
			sched_yield();
			continue;
		}
		r->number = crew_random(&seed);
		atomic_store_relaxed(&r->out, 1);
		if (virtq_submit(&s->vq, p, 2, r) < 0) {
			atomic_store_relaxed(&r->out, 0);
			/* full of what nobody has kicked yet: one in some fifty runs ended here for ever */
			virtq_kick(&s->vq);
			collect(s);
			sched_yield();
			continue;
		}
		sent++;
		if (crew_random(&seed) % 4)
			virtq_kick(&s->vq);
	}
	virtq_kick(&s->vq);
}

/* Takes batches, answers in any order. */
static void device(void *arg)
{
	struct storm *s = arg;
	struct model_buffer *held = s->held;
	unsigned n = 0;
	uint64_t seed = kt_seed() * 3 + 1;

	while (!atomic_load_relaxed(&s->stop)) {
		while (n < ARRAY_SIZE(s->held) && model_take(&s->m, 0, &held[n]))
			n++;
		if (!n)
			sched_yield();
		while (n && crew_random(&seed) % 8) {
			unsigned i = (unsigned)(crew_random(&seed) % n);
			uint64_t number;

			__builtin_memcpy(&number, held[i].piece[0].at, sizeof(number));
			number = ~number;
			__builtin_memcpy(held[i].piece[1].at, &number, sizeof(number));
			model_used(&s->m, &held[i], sizeof(number));
			held[i] = held[--n];
		}
	}
}

static struct storm *storm_start(uint64_t features, unsigned size)
{
	struct storm *s = kzalloc(sizeof(*s));
	bool ok;

	if (!s)
		return kt_fail(__FILE__, __LINE__, "no memory"), NULL;
	model_init(&s->m, VIRTIO_ID_RNG, features, size);
	s->requests = kcalloc(SENDERS * SLOTS, sizeof(*s->requests));
	ok = s->requests && virtio_begin(&s->m.dev, 0, 0) == 0 &&
	     virtq_create(&s->vq, &s->m.dev, 0, size) == 0;
	if (!ok)
		return kt_fail(__FILE__, __LINE__, "no queue"), NULL;
	virtio_driver_ok(&s->m.dev);
	return s;
}

static void storm_end(struct storm *s)
{
	if (s->m.complaint)
		kt_fail(__FILE__, __LINE__, s->m.complaint);
	virtio_reset(&s->m.dev);
	while (virtq_take_back(&s->vq))
		;
	virtq_destroy(&s->vq);
	kfree(s->requests);
	kfree(s);
}

static void storm(uint64_t features, unsigned size)
{
	struct storm *s = storm_start(features, size);
	uint64_t end;

	if (!s)
		return;
	s->each = 1000 * kt_scale();
	crew_add(&s->devices, device, s, ALL_CPUS);
	for (int i = 0; i < SENDERS; i++)
		crew_add(&s->senders, sender, s, ALL_CPUS);
	crew_join(&s->senders);
	end = crew_hang_deadline();
	while (atomic_load_relaxed(&s->back) < SENDERS * s->each && clock_now_ns() < end) {
		collect(s);
		sched_yield();
	}
	atomic_store_relaxed(&s->stop, 1);
	crew_join(&s->devices);
	KT_CHECK(s->back == SENDERS * s->each);
	KT_CHECK(s->wrong == 0);
	KT_CHECK(virtq_in_flight(&s->vq) == 0);
	virtq_check(&s->vq);
	storm_end(s);
}

KTEST(vq_storm)
{
	storm(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX), 32);
}

KTEST(vq_storm_plain)
{
	storm(0, 16);
}

/* Submit n, one kick; how often the device was told. */
static uint64_t told(struct storm *s, unsigned n)
{
	uint64_t before = atomic_load_relaxed(&s->m.notifies);

	for (unsigned i = 0; i < n; i++) {
		struct virtq_piece p = { virt_to_phys(&s->requests[i]), 8, false };

		KT_CHECK(virtq_submit(&s->vq, &p, 1, s) == 0);
	}
	virtq_kick(&s->vq);
	return atomic_load_relaxed(&s->m.notifies) - before;
}

/* The device takes all and gives it back. */
static void serve(struct storm *s)
{
	struct virtq_done done[4];
	struct model_buffer b;

	while (model_take(&s->m, 0, &b))
		model_used(&s->m, &b, 0);
	while (virtq_collect(&s->vq, done, ARRAY_SIZE(done)) > 0)
		;
}

/* A device that has taken all there was is told once of the next, be it one buffer or several; one that still has
 * some to take, or does not want to hear, is not. */
static void notifies(uint64_t features)
{
	struct storm *s = storm_start(features, 16);

	if (!s)
		return;
	for (unsigned i = 0; i < 500; i++) {
		bool again = told(s, 1 + i % 3) != 1;

		if (features & BIT(VIRTIO_RING_F_EVENT_IDX))
			again |= told(s, 2) != 0;
		serve(s);
		if (again) {
			kt_fail(__FILE__, __LINE__, "told once, and not again");
			break;
		}
	}
	model_wish_notify(&s->m, 0, false);
	KT_CHECK(told(s, 1) == 0);
	serve(s);
	storm_end(s);
}

KTEST(vq_tells_once)
{
	notifies(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX));
	notifies(0);
}

static void publish_again(void *arg)
{
	struct storm *s = arg;
	struct virtq_piece p = { virt_to_phys(&s->requests[1]), 8, false };

	(void)!virtq_submit(&s->vq, &p, 1, s);
	virtq_kick(&s->vq);
}

static void submit_nothing(void *arg)
{
	struct storm *s = arg;
	struct virtq_piece p = { virt_to_phys(s->requests), 0, false };

	(void)!virtq_submit(&s->vq, &p, 1, s);
}

KTEST(vq_scribbled_index)
{
	/* A5: found before the device can see it */
	struct storm *s = storm_start(BIT(VIRTIO_F_VERSION_1), 16);
	struct virtq_piece p;
	struct model_buffer b;

	if (!s)
		return;
	for (int i = 0; i < 5; i++) {
		p = (struct virtq_piece){ virt_to_phys(&s->requests[i]), 8, false };
		KT_CHECK(virtq_submit(&s->vq, &p, 1, s) == 0);
		virtq_kick(&s->vq);
		KT_CHECK(model_take(&s->m, 0, &b));
	}
	WRITE_ONCE(s->vq.avail->idx, 0);
	kt_expect_bug(publish_again, s, "avail->idx");
	KT_CHECK(!s->m.complaint);
	storm_end(s);
}

KTEST(vq_zero_length)
{
	struct storm *s = storm_start(BIT(VIRTIO_F_VERSION_1), 16);

	if (!s)
		return;
	kt_expect_bug(submit_nothing, s, "len != 0");
	storm_end(s);
}

/* What a report shows of a queue: some buffers out, one of them not published, one come back. */
KTEST(vq_look)
{
	struct storm *s = storm_start(0, 8);
	struct virtq_piece pair[2];
	struct virtq_view v;

	if (!s)
		return;
	pair[0] = (struct virtq_piece){ virt_to_phys(&s->requests[0]), 8, false };
	pair[1] = (struct virtq_piece){ virt_to_phys(&s->requests[1]), 8, true };
	(void)told(s, 1);
	serve(s);
	(void)told(s, 1);
	KT_CHECK(virtq_submit(&s->vq, pair, 2, s) == 0);
	virtq_look(&s->vq, &v);
	KT_CHECK(v.num == 8 && v.nr_free == 5 && v.in_flight == 2 && !v.failed);
	KT_CHECK(v.shadow == 3 && v.published == 2 && v.used == 1 && v.last_used == 1);
	KT_CHECK(v.submitted == 3 && v.collected == 1 && __builtin_popcountl(v.heads[0]) == 2);
	KT_CHECK(s->m.dev.queue[0] == &s->vq);
	storm_end(s);
}
