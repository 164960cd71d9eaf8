/* SPDX-License-Identifier: MIT */
#include "tests/kernel/vnet_player.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "fs/file.h"
#include "kernel/core/clock.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "net/core.h"
#include "net/interface.h"
#include "sched/poll.h"
#include "sched/thread.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"
#include "tests/kernel/mirror.h"

enum { QUEUE_RX, QUEUE_TX };

#define FRAME_ROOM 1600
#define WIRE_MAX   512
#define HEADER	   sizeof(struct virtio_net_hdr_mrg_rxbuf)

const struct socket_addr player_peer = { .port = 7, .addr = MIRROR_PEER };

struct player_frame {
	struct player_frame *next;
	size_t n;
	uint8_t data[FRAME_ROOM];
};

/* Read as a device reads: KASAN does not see it, and what the driver freed too early can be summed. */
__attribute__((no_sanitize_address)) static uint32_t sum_of(const struct model_buffer *b)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < b->nr; i++) {
		for (uint32_t k = 0; k < b->piece[i].len; k++)
			sum = sum * 31 + b->piece[i].at[k];
	}
	return sum;
}

static size_t gather(const struct model_buffer *b, uint8_t *out, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; i < b->nr; i++) {
		if (n + b->piece[i].len > size)
			return 0;
		memcpy(out + n, b->piece[i].at, b->piece[i].len);
		n += b->piece[i].len;
	}
	return n;
}

static bool lucky(struct player *p, uint32_t *permille)
{
	return crew_random(&p->seed) % 1000 < atomic_load_relaxed(permille);
}

/* A copy of what was taken, as far as it fits, and the sum of it: the reset that takes it back waits for that. False: it
 * has been taken back. */
static bool read_frame(struct player *p, struct held *h, struct player_frame *f)
{
	bool ours;

	spin_lock(&p->m.lock);
	ours = model_holds(&p->m, &h->b);
	if (ours)
		h->sum = sum_of(&h->b);
	if (ours && f)
		f->n = gather(&h->b, f->data, FRAME_ROOM);
	spin_unlock(&p->m.lock);
	return ours;
}

static void put_on_wire(struct player *p, struct player_frame *f)
{
	if (!f)
		return;
	if (f->n <= HEADER || lucky(p, &p->lose) ||
	    !READ_ONCE(p->turn)(f->data + HEADER, f->n - HEADER)) {
		p->lost++;
		kfree(f);
		return;
	}
	f->next = NULL;
	*p->last = f;
	p->last = &f->next;
	p->on_wire++;
}

static void complete(struct player *p, unsigned i)
{
	struct held *h = &p->held[i];

	/* what is the device's must not have changed */
	spin_lock(&p->m.lock);
	if (model_holds(&p->m, &h->b) && sum_of(&h->b) != h->sum)
		p->changed++;
	spin_unlock(&p->m.lock);
	model_used(&p->m, &h->b, 0);
	/* tests look at this number, and at those of frames and of what was delivered */
	WRITE_ONCE(p->nr_held, p->nr_held - 1);
	*h = p->held[p->nr_held];
}

static bool play_tx(struct player *p)
{
	bool any = false;

	while (p->nr_held < PLAYER_HELD && model_take(&p->m, QUEUE_TX, &p->held[p->nr_held].b)) {
		bool deaf = atomic_load_relaxed(&p->silent) || p->on_wire == WIRE_MAX;
		struct player_frame *f = deaf ? NULL : kmalloc(sizeof(*f));

		any = true;
		if (!read_frame(p, &p->held[p->nr_held], f)) {
			kfree(f);
			continue;
		}
		WRITE_ONCE(p->frames, p->frames + 1);
		WRITE_ONCE(p->nr_held, p->nr_held + 1);
		put_on_wire(p, f);
	}
	if (atomic_load_relaxed(&p->hold_tx))
		return any;
	while (p->nr_held) {
		unsigned i = 0;

		if (atomic_load_relaxed(&p->shuffle)) {
			if (p->nr_held < 4 && crew_random(&p->seed) % 8)
				break;
			i = (unsigned)(crew_random(&p->seed) % p->nr_held);
		}
		complete(p, i);
	}
	if (!atomic_load_relaxed(&p->mute))
		model_signal(&p->m, QUEUE_TX);
	return any;
}

static bool play_rx(struct player *p)
{
	struct model_buffer b;
	bool any = false;

	while (p->first && model_take(&p->m, QUEUE_RX, &b)) {
		struct player_frame *f = p->first;

		if (b.nr == 1 && b.writable >= f->n) {
			memset(f->data, 0, HEADER);
			if (model_write(&p->m, &b, f->data, (uint32_t)f->n))
				WRITE_ONCE(p->delivered, p->delivered + 1);
			model_used(&p->m, &b, (uint32_t)f->n);
		} else {
			model_used(&p->m, &b, 0);
		}
		p->first = f->next;
		if (!p->first)
			p->last = &p->first;
		p->on_wire--;
		kfree(f);
		any = true;
	}
	if (any)
		model_signal(&p->m, QUEUE_RX);
	return any;
}

static void player_main(void *arg)
{
	struct player *p = arg;

	while (!atomic_load_relaxed(&p->stop)) {
		bool any;

		/* pairs with the release in player_poke() */
		atomic_exchange(&p->pending, 0);
		any = play_tx(p);
		any |= play_rx(p);
		if (any)
			continue;
		/* held frames are completed by and by, without anybody's help */
		(void)wait_event_mode(&p->wq, atomic_load_acquire(&p->pending),
				      WAIT_UNINTERRUPTIBLE,
				      clock_now_ns() + (p->nr_held ? NS_PER_MS : 50 * NS_PER_MS));
	}
}

void player_poke(struct player *p)
{
	atomic_store_release(&p->pending, 1);
	wake_all(&p->wq);
}

static void notified(struct model *m, unsigned queue)
{
	player_poke(m->owner);
}

static bool attach(struct player *p)
{
	net_lock();
	p->ifc = net_if_attach(&p->v->nd, MIRROR_SELF);
	net_unlock();
	return p->ifc != NULL;
}

bool player_start(struct player *p, uint64_t features)
{
	static const uint8_t mac[6] = { 2, 1, 1, 1, 1, 1 };

	memset(p, 0, sizeof(*p));
	model_init(&p->m, VIRTIO_ID_NET,
		   features | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS), 256);
	memcpy(p->m.config, mac, sizeof(mac));
	p->m.config[6] = VIRTIO_NET_S_LINK_UP;
	p->m.owner = p;
	p->m.on_notify = notified;
	waitq_init(&p->wq);
	p->last = &p->first;
	p->turn = mirror_frame;
	p->seed = kt_seed();
	p->v = virtio_net_create(&p->m.dev);
	if (!p->v)
		return kt_fail(__FILE__, __LINE__, "no driver"), false;
	memcpy(p->v->nd.name, "mirror", 7);
	p->m.interrupt_arg = p->v;
	p->m.interrupt = virtio_net_interrupt;
	p->thread = thread_create("player", player_main, p, KSTACK_SIZE);
	if (!p->thread || !attach(p))
		return kt_fail(__FILE__, __LINE__, "no memory"), false;
	thread_start(p->thread);
	return true;
}

static void nobody(void *cookie, bool transmit, void *arg)
{
	kt_fail(__FILE__, __LINE__, "a buffer was left with the device");
}

void player_stop(struct player *p)
{
	net_forget_time_wait();
	net_lock();
	net_if_detach(p->ifc);
	net_unlock();
	atomic_store_relaxed(&p->stop, 1);
	player_poke(p);
	thread_join(p->thread);
	thread_put(p->thread);
	virtio_net_destroy(p->v, nobody, NULL);
	while (p->first) {
		struct player_frame *f = p->first;

		p->first = f->next;
		kfree(f);
	}
	KT_CHECK(p->changed == 0);
	if (p->m.complaint)
		kt_fail(__FILE__, __LINE__, p->m.complaint);
}

struct file *player_listen(void)
{
	struct file *f;

	if (socket_listen_tcp(player_peer.port, 64, &f) == 0)
		return f;
	kt_fail(__FILE__, __LINE__, "cannot listen");
	return NULL;
}

static bool wait_for(struct file *f, uint32_t events)
{
	struct poller poller;
	struct poll_watch w;
	uint64_t end = crew_deadline_ms(30000);
	int ret = 0;

	poller_init(&poller);
	poll_watch_add(&poller, &w, f->source, events, NULL);
	while (!(file_poll(f) & (events | POLL_ERR)) && ret == 0) {
		uint32_t fired;

		ret = poller_wait(&poller, WAIT_UNINTERRUPTIBLE, end);
		while (poller_next(&poller, &fired))
			;
	}
	poll_watch_remove(&w);
	return ret == 0;
}

bool player_connect(struct file *listener, struct file **client, struct file **server)
{
	if (socket_connect_tcp(&player_peer, client) < 0)
		return kt_fail(__FILE__, __LINE__, "cannot connect"), false;
	if (!wait_for(*client, POLL_OUT) || !wait_for(listener, POLL_IN) ||
	    socket_accept(listener, server, NULL) < 0) {
		file_put(*client);
		return kt_fail(__FILE__, __LINE__, "no connection"), false;
	}
	return true;
}
