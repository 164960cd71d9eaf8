/* SPDX-License-Identifier: MIT */
/* The driver and the stack on a model device: A3, A4, A7, N4, N5, N7, X-09, X-10, X-12. */
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <lwip/etharp.h>
#include <lwip/inet_chksum.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <netif/ethernet.h>

#include "fs/file.h"
#include "fs/inode.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "net/core.h"
#include "net/interface.h"
#include "net/net.h"
#include "sched/poll.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"
#include "tests/kernel/mirror.h"
#include "tests/kernel/vnet_player.h"

#define ALL_CPUS (~(cpumask_t)0)
#define MODERN	 (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX))
#define STREAMS	 4

/* One direction of one connection: numbers from a generator, checked as they come. */
struct stream {
	struct file *out, *in;
	uint64_t seed;
	size_t total;
	size_t got;
	uint64_t wrong;
	uint32_t finished; /* [atomic] */
	bool may_fail;	   /* [init] memory is short on purpose */
};

static void fill(uint8_t *buf, size_t n, uint64_t *seed)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)(crew_random(seed) >> 11);
}

static void writer(void *arg)
{
	struct stream *s = arg;
	uint64_t seed = s->seed, sizes = s->seed ^ 77;
	uint8_t *buf = kmalloc(8192);
	size_t left = s->total;

	while (buf && left) {
		size_t n = 1 + crew_random(&sizes) % 8192;

		n = MIN(n, left);
		fill(buf, n, &seed);
		if (file_write_kernel(s->out, buf, n) != (ssize_t)n)
			break;
		left -= n;
	}
	KT_CHECK(left == 0 || s->may_fail);
	KT_CHECK(socket_shutdown(s->out, SOCKET_SHUT_WR) == 0);
	kfree(buf);
}

static void reader(void *arg)
{
	struct stream *s = arg;
	uint64_t seed = s->seed;
	uint8_t *buf = kmalloc(8192), *want = kmalloc(8192);
	ssize_t n;

	while (buf && want && (n = file_read_kernel(s->in, buf, 8192)) > 0) {
		fill(want, (size_t)n, &seed);
		s->wrong += memcmp(buf, want, (size_t)n) != 0;
		s->got += (size_t)n;
	}
	atomic_store_release(&s->finished, 1);
	kfree(buf);
	kfree(want);
}

struct traffic {
	struct file *listener;
	struct file *client[STREAMS], *server[STREAMS];
	struct stream stream[2 * STREAMS];
	struct crew crew;
};

static struct traffic *traffic_begin(size_t total, bool may_fail)
{
	struct traffic *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->listener = player_listen();
	for (unsigned i = 0; i < STREAMS; i++) {
		if (!player_connect(t->listener, &t->client[i], &t->server[i]))
			return t;
		t->stream[2 * i] = (struct stream){ .out = t->client[i],
						    .in = t->server[i],
						    .seed = kt_seed() + i,
						    .total = total };
		t->stream[2 * i + 1] = (struct stream){ .out = t->server[i],
							.in = t->client[i],
							.seed = kt_seed() + 100 + i,
							.total = total };
	}
	for (unsigned i = 0; i < 2 * STREAMS; i++) {
		t->stream[i].may_fail = may_fail;
		crew_add(&t->crew, writer, &t->stream[i], ALL_CPUS);
		crew_add(&t->crew, reader, &t->stream[i], ALL_CPUS);
	}
	return t;
}

static struct traffic *traffic_start(size_t total)
{
	return traffic_begin(total, false);
}

static bool traffic_done(struct traffic *t)
{
	for (unsigned i = 0; i < 2 * STREAMS; i++) {
		if (!atomic_load_acquire(&t->stream[i].finished))
			return false;
	}
	return true;
}

static void traffic_end(struct traffic *t)
{
	crew_join(&t->crew);
	for (unsigned i = 0; i < 2 * STREAMS; i++) {
		KT_CHECK(t->stream[i].got == t->stream[i].total);
		KT_CHECK(t->stream[i].wrong == 0);
	}
	for (unsigned i = 0; i < STREAMS; i++) {
		file_put(t->client[i]);
		file_put(t->server[i]);
	}
	file_put(t->listener);
	kfree(t);
}

static void nap(uint64_t ms)
{
	(void)!sleep_until(crew_deadline_ms(ms), WAIT_UNINTERRUPTIBLE);
}

static struct player *start(uint64_t features)
{
	struct player *p = kzalloc(sizeof(*p));

	/* the machine's own interface is quiet when it has its lease */
	(void)!net_wait_address(crew_hang_deadline());
	if (file_init() < 0 || !p || !player_start(p, features)) {
		kt_fail(__FILE__, __LINE__, "no player");
		return NULL;
	}
	return p;
}

static void stop(struct player *p)
{
	struct net_usage u;

	player_stop(p);
	kfree(p);
	net_usage(&u);
	/* I-NET-4 */
	KT_CHECK(u.rx_frames == u.rx_delivered + u.rx_dropped);
}

static void streams(uint64_t features, uint32_t shuffle, uint32_t lose)
{
	struct player *p = start(features);
	struct traffic *t;

	if (!p)
		return;
	atomic_store_relaxed(&p->shuffle, shuffle);
	atomic_store_relaxed(&p->lose, lose);
	t = traffic_start(150000 * kt_scale());
	traffic_end(t);
	KT_CHECK(READ_ONCE(p->frames) > 800);
	stop(p);
}

KTEST(vnet_streams)
{
	streams(MODERN, 0, 0);
}

/* N5: transmits complete late and in any order; no EVENT_IDX. */
KTEST(vnet_streams_shuffled)
{
	streams(BIT(VIRTIO_F_VERSION_1), 1, 0);
}

KTEST(vnet_streams_lossy)
{
	streams(MODERN, 1, 10);
}

/* X-09, N4: for 700 ms nothing comes back, then all; no transmit interrupt is ever raised. Back-pressure, not loss. */
KTEST(vnet_transmits_held)
{
	struct player *p = start(MODERN);
	struct traffic *t;
	struct net_usage before, after;
	uint64_t begin, held = 0;

	if (!p)
		return;
	atomic_store_relaxed(&p->mute, 1);
	net_usage(&before);
	t = traffic_start(200000);
	for (int i = 0; i < 2; i++) {
		begin = clock_now_ns();
		atomic_store_relaxed(&p->hold_tx, 1);
		nap(700);
		atomic_store_relaxed(&p->hold_tx, 0);
		player_poke(p);
		held = MAX(held, clock_now_ns() - begin);
		nap(50);
	}
	traffic_end(t);
	net_usage(&after);
	/* unless the host made it so long that the watchdog was right */
	KT_CHECK(after.resets == before.resets || held > NS_PER_S);
	stop(p);
}

/* A4: interrupts and transmits while somebody holds the queue's lock, 200 us at a time and once for 100 ms. The handler needs
 * no lock of the driver (or it would find this CPU holding it); who transmits waits, and nothing is dropped. */
static void hold_queue(struct player *p, struct virtq *vq, uint64_t ns)
{
	irqflags_t f = spin_lock_irqsave(&vq->lock);

	model_raise(&p->m, VIRTIO_ISR_QUEUE);
	clock_spin_ns(ns);
	model_raise(&p->m, VIRTIO_ISR_QUEUE);
	spin_unlock_irqrestore(&vq->lock, f);
}

KTEST(vnet_lock_held)
{
	struct player *p = start(MODERN);
	struct net_usage before, after;
	struct traffic *t;

	if (!p)
		return;
	net_usage(&before);
	t = traffic_start(100000);
	hold_queue(p, &p->v->tx, 100 * NS_PER_MS);
	for (unsigned i = 0; i < 200 && !traffic_done(t); i++) {
		hold_queue(p, i % 2 ? &p->v->tx : &p->v->rx, 200000);
		sched_yield();
	}
	traffic_end(t);
	net_usage(&after);
	KT_CHECK(after.resets == before.resets);
	stop(p);
}

/* A7: the device asks for a reset, or lies, in mid-traffic: the connections live on, all buffers are posted again. */
static void misbehave(struct player *p, unsigned how)
{
	switch (how) {
	case 0:
		model_need_reset(&p->m);
		break;
	case 1:
		model_used_raw(&p->m, 1, 4711, 0);
		model_raise(&p->m, VIRTIO_ISR_QUEUE);
		break;
	case 2:
		model_used_index(&p->m, 0, 0x7777);
		model_raise(&p->m, VIRTIO_ISR_QUEUE);
		break;
	default:
		model_used_raw(&p->m, 0, 3, 0xffffffff);
		model_raise(&p->m, VIRTIO_ISR_QUEUE);
	}
}

KTEST(vnet_reset_in_traffic)
{
	struct player *p = start(MODERN);
	struct net_usage before, after;
	unsigned done = 0;

	if (!p)
		return;
	net_usage(&before);
	/* each of its misdeeds twice, in as much traffic as that takes */
	while (done < 8) {
		struct traffic *t = traffic_start(400000);

		for (; done < 8 && !traffic_done(t); done++) {
			nap(20);
			misbehave(p, done % 4);
		}
		traffic_end(t);
	}
	net_usage(&after);
	KT_CHECK(after.resets > before.resets);
	KT_CHECK(after.rx_posted == before.rx_posted);
	stop(p);
}

/* The watchdog: transmits that never come back. */
KTEST(vnet_stall)
{
	struct player *p = start(MODERN);
	struct net_usage before, after;
	uint64_t end = crew_hang_deadline();

	if (!p)
		return;
	net_usage(&before);
	/* again if it was all over before the device stopped */
	do {
		struct traffic *t = traffic_start(50000);

		atomic_store_relaxed(&p->hold_tx, 1);
		atomic_store_relaxed(&p->silent, 1);
		do {
			nap(50);
			net_usage(&after);
		} while (after.resets == before.resets && !traffic_done(t) && clock_now_ns() < end);
		atomic_store_relaxed(&p->hold_tx, 0);
		atomic_store_relaxed(&p->silent, 0);
		player_poke(p);
		traffic_end(t);
	} while (after.resets == before.resets && clock_now_ns() < end);
	KT_CHECK(after.resets > before.resets);
	stop(p);
}

/* N7: interrupts without work are counted and harmless; both directions go on. */
KTEST(vnet_interrupt_storm)
{
	struct player *p = start(MODERN);
	struct traffic *t;
	uint64_t raised = 0, spurious;

	if (!p)
		return;
	t = traffic_start(100000);
	while (!traffic_done(t) || raised < 20000) {
		model_raise(&p->m, raised % 2 ? VIRTIO_ISR_QUEUE : 0);
		raised++;
		if (raised % 64 == 0)
			sched_yield();
	}
	traffic_end(t);
	spurious = atomic_load_relaxed(&p->v->nd.spurious);
	KT_CHECK(spurious > 0);
	stop(p);
}

static void none_is_out(void *cookie, bool transmit, void *arg)
{
	kt_fail(__FILE__, __LINE__, "a buffer was left with the device");
}

/* N7: what an interrupt tells of the link is heard as a frame is received, and its handler, which is late, finds nothing more:
 * nobody sleeps before it is looked at. */
KTEST(vnet_link_heard_while_receiving)
{
	static struct model m;
	struct page *page = page_alloc(0, ALLOC_ZERO);
	struct netdev_frame frame;
	struct model_buffer b;
	struct virtio_net *v;
	struct netdev *d;

	model_init(&m, VIRTIO_ID_NET, MODERN | BIT(VIRTIO_NET_F_STATUS), 4);
	m.config[offsetof(struct virtio_net_config, status)] = VIRTIO_NET_S_LINK_UP;
	v = virtio_net_create(&m.dev);
	KT_CHECK(v && page);
	if (!v || !page)
		return;
	d = &v->nd;
	KT_CHECK(atomic_load_relaxed(&d->link_up));
	KT_CHECK(d->ops->post(d, (struct netdev_piece){ page_to_phys(page), 2048 }, page) == 0);
	d->ops->kick(d);
	KT_CHECK(!d->ops->arm(d, false));
	KT_CHECK(model_take(&m, 0, &b));
	model_used(&m, &b, 100);
	m.config[offsetof(struct virtio_net_config, status)] = 0;
	model_raise(&m, VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG);
	KT_CHECK(d->ops->receive(d, &frame, 1) == 1);
	KT_CHECK(d->ops->arm(d, false));
	d->ops->service(d);
	KT_CHECK(!atomic_load_relaxed(&d->link_up));
	KT_CHECK(!d->ops->arm(d, false));
	virtio_net_destroy(v, none_is_out, NULL);
	page_put(page);
}

/* Frames in any number while memory is short: dropped, counted, and afterwards everything works. */
KTEST(vnet_flood_no_memory)
{
	struct player *p = start(MODERN);
	struct traffic *t;

	if (!p)
		return;
	t = traffic_begin(60000, true);
	for (int i = 0; i < 100 && !traffic_done(t); i++) {
		alloc_fail_after(1 + (uint64_t)i % 7);
		nap(1);
	}
	alloc_fail_after(0);
	/* a failed write ends its stream: what was promised is not checked here, only that all ends */
	crew_join(&t->crew);
	for (unsigned i = 0; i < STREAMS; i++) {
		(void)!socket_abort(t->client[i]);
		file_put(t->client[i]);
		(void)!socket_abort(t->server[i]);
		file_put(t->server[i]);
	}
	file_put(t->listener);
	kfree(t);
	stop(p);
}

/* How long all streams take for `total` bytes each. */
static uint64_t traffic_time(size_t total)
{
	uint64_t begin = clock_now_ns();

	traffic_end(traffic_start(total));
	return clock_now_ns() - begin;
}

static void stall(void *arg)
{
	struct file *f = arg;
	uint8_t *buf = kzalloc(8192);

	while (buf && file_write_kernel(f, buf, 8192) > 0)
		;
	kfree(buf);
}

/* A13: one connection's reader never reads; its window is full, its writer waits. The others are as fast as before, within
 * a fifth, in a machine whose clock counts instructions; and no more waits for the reader than its window and the
 * sender's buffer. */
KTEST(icount_stalled_reader)
{
	struct player *p = start(MODERN);
	struct file *listener, *client, *server;
	size_t total = 200000 * kt_scale();
	struct crew crew = { 0 };
	uint64_t alone, beside;

	if (!p)
		return;
	/* the first time, much is new to everybody */
	(void)traffic_time(total);
	alone = traffic_time(total);
	listener = player_listen();
	if (!player_connect(listener, &client, &server))
		return;
	file_put(listener);
	crew_add(&crew, stall, client, ALL_CPUS);
	while (file_poll(client) & POLL_OUT)
		nap(10);
	beside = traffic_time(total);
	KT_CHECK(!(file_poll(client) & POLL_OUT));
	KT_CHECK(socket_rx_queued(server) + socket_tx_pending(client) <= 2 * 256 * 1024);
	log_info("ktest: %llu us alone, %llu us beside a stalled reader",
		 (unsigned long long)alone / 1000, (unsigned long long)beside / 1000);
	KT_CHECK(beside <= alone + alone / 5);
	KT_CHECK(socket_abort(server) == 0);
	crew_join(&crew);
	file_put(client);
	file_put(server);
	stop(p);
}

/* --- A8, X-10, I-NET-2: whose a frame's memory is ------------------------------------------------------------------- */

/* A frame that the mirror sends back, `tag` in its payload. Called with NET_CORE. */
static struct pbuf *send_frame(struct player *p, size_t n, uint32_t tag)
{
	static const uint8_t peer[4] = MIRROR_PEER;
	struct netif *netif = (struct netif *)p->ifc; /* its first member */
	struct pbuf *q = pbuf_alloc(PBUF_RAW_TX, (u16_t)n, PBUF_RAM);
	uint8_t *frame;

	if (!q)
		return NULL;
	frame = q->payload;
	memset(frame, 0, n);
	frame[12] = 8;
	memcpy(frame + 30, peer, 4);
	memcpy(frame + 40, &tag, sizeof(tag));
	if (netif->linkoutput(netif, q) == ERR_OK)
		return q;
	pbuf_free(q);
	return NULL;
}

static void reclaim(void *unused) __requires(net_core)
{
	(void)net_if_poll_all();
}

/* Until the device has given back all that the stack has said so far, neighbour discovery a second after the interface
 * came up with it. While NET_CORE is held nobody says more. */
static void settle(struct player *p) __requires(net_core)
{
	uint64_t end = crew_hang_deadline();

	atomic_store_relaxed(&p->silent, 1);
	while (net_if_poll_all() || (virtq_in_flight(&p->v->tx) && clock_now_ns() < end)) {
		net_if_flush_all();
		nap(1);
	}
	KT_CHECK(!virtq_in_flight(&p->v->tx));
	atomic_store_relaxed(&p->hold_tx, 1);
}

/* A bug frees the reference that is the device's: found when the device gives the frame back, before it is freed twice. */
KTEST(vnet_freed_too_early)
{
	struct player *p = start(MODERN);
	uint64_t end = crew_hang_deadline();
	struct pbuf *q;

	if (!p)
		return;
	net_lock();
	settle(p);
	q = send_frame(p, 100, 1);
	net_if_flush_all();
	while (!READ_ONCE(p->nr_held) && clock_now_ns() < end)
		nap(1);
	KT_CHECK(q && READ_ONCE(p->nr_held) == 1);
	pbuf_free(q);
	pbuf_free(q);
	atomic_store_relaxed(&p->hold_tx, 0);
	player_poke(p);
	while (READ_ONCE(p->nr_held) && clock_now_ns() < end)
		nap(1);
	kt_expect_bug(reclaim, NULL, "used after its free");
	net_unlock();
	/* the device saw it as well */
	KT_CHECK(p->changed == 1);
	p->changed = 0;
	stop(p);
}

static struct {
	struct pbuf *kept;
	uint32_t seen; /* [atomic] */
	uint32_t tag;
} taker;

static uint32_t tag_of(struct pbuf *q)
{
	uint32_t tag;

	memcpy(&tag, (uint8_t *)q->payload + 40, sizeof(tag));
	return tag;
}

static err_t take_frame(struct pbuf *q, struct netif *netif)
{
	if (q->tot_len == 100 && tag_of(q) == taker.tag && !taker.kept)
		taker.kept = q;
	else
		pbuf_free(q);
	atomic_fetch_add(&taker.seen, 1);
	return ERR_OK;
}

/* The stack keeps one frame while a thousand others go through the ring: nobody writes into it. */
KTEST(vnet_receive_buffer_is_the_stacks)
{
	struct player *p = start(MODERN);
	uint64_t end = crew_deadline_ms(20000);
	struct netif *netif;
	unsigned sent = 0;

	if (!p)
		return;
	netif = (struct netif *)p->ifc;
	nap(100);
	memset(&taker, 0, sizeof(taker));
	taker.tag = 0xcafe;
	net_lock();
	netif->input = take_frame;
	net_unlock();
	while (sent < 1000 && clock_now_ns() < end) {
		struct pbuf *q;

		net_lock();
		q = send_frame(p, 100, sent == 0 ? taker.tag : sent);
		if (q)
			pbuf_free(q);
		net_unlock();
		sent += q != NULL;
		/* the wire holds 512 */
		while (atomic_load_relaxed(&taker.seen) + 200 < sent && clock_now_ns() < end)
			nap(1);
	}
	while (atomic_load_relaxed(&taker.seen) < 1000 && clock_now_ns() < end)
		nap(1);
	KT_CHECK(atomic_load_relaxed(&taker.seen) >= 1000);
	KT_CHECK(taker.kept && tag_of(taker.kept) == taker.tag);
	net_lock();
	netif->input = ethernet_input;
	if (taker.kept)
		pbuf_free(taker.kept);
	net_unlock();
	stop(p);
}

/* N8: nobody is in the stack and no timer is due, and what has come is looked at all the same. */
KTEST(icount_frame_wakes_the_stack)
{
	struct player *p = start(MODERN);
	uint64_t begin, worst = 0;
	struct netif *netif;
	struct pbuf *q;
	uint32_t seen;

	if (!p)
		return;
	netif = (struct netif *)p->ifc;
	memset(&taker, 0, sizeof(taker));
	taker.tag = 0xcafe;
	net_lock();
	netif->input = take_frame;
	net_unlock();
	for (unsigned i = 0; i < 20; i++) {
		nap(10);
		seen = atomic_load_relaxed(&taker.seen);
		net_lock();
		q = send_frame(p, 100, i);
		net_unlock();
		begin = clock_now_ns();
		while (atomic_load_relaxed(&taker.seen) == seen &&
		       clock_now_ns() < begin + NS_PER_S)
			(void)!sleep_until(clock_now_ns() + 50 * NS_PER_US, WAIT_UNINTERRUPTIBLE);
		worst = MAX(worst, clock_now_ns() - begin);
		net_lock();
		if (q)
			pbuf_free(q);
		net_unlock();
	}
	net_lock();
	netif->input = ethernet_input;
	net_unlock();
	log_info("ktest: a frame was taken after %lu ns at most", worst);
	KT_CHECK(worst < 5 * NS_PER_MS);
	stop(p);
}

/* --- how deep the stack goes ----------------------------------------------------------------------------------- */

#define WRAPPED	   0x88b5 /* a frame of the test's own: what it carries comes back as IP */
#define FLOOD_SIZE 78

static uint32_t arp_requests; /* [atomic] */

static bool unwrap_frame(uint8_t *frame, size_t n)
{
	if (n > 14 && frame[12] == WRAPPED >> 8 && frame[13] == (WRAPPED & 255)) {
		frame[12] = 8;
		frame[13] = 0;
		return true;
	}
	if (n > 14 && frame[12] == 8 && frame[13] == 6)
		atomic_fetch_add(&arp_requests, 1);
	return mirror_frame(frame, n);
}

/* Where nobody answers. */
static void nobody_at(uint8_t addr[4], unsigned n)
{
	const uint8_t a[4] = { 10, 9, 0, (uint8_t)(3 + n % 250) };

	memcpy(addr, a, sizeof(a));
}

/* A datagram to be answered at once, by an echo or by "port unreachable", to a host that no ARP request finds. */
static void flood_packet(uint8_t *ip, unsigned n)
{
	static const uint8_t self[4] = { 10, 9, 0, 1 };
	bool echo = n % 2;
	uint16_t sum;

	memset(ip, 0, FLOOD_SIZE - 14);
	ip[0] = 0x45;
	ip[3] = FLOOD_SIZE - 14;
	ip[8] = 64;
	ip[9] = echo ? 1 : 17;
	nobody_at(ip + 12, n);
	memcpy(ip + 16, self, sizeof(self));
	sum = inet_chksum(ip, 20);
	memcpy(ip + 10, &sum, sizeof(sum));
	ip[20] = echo ? 8 : 0x40;
	if (echo) {
		sum = inet_chksum(ip + 20, FLOOD_SIZE - 34);
		memcpy(ip + 22, &sum, sizeof(sum));
	} else {
		ip[22] = 0x77;
		ip[25] = FLOOD_SIZE - 34;
	}
}

/* A SYN to the port that player_listen() has, from a host that no route leads to and a port of that number. */
static void syn_packet(uint8_t *ip, unsigned n)
{
	const uint8_t self[4] = { 10, 9, 0, 1 },
		      stranger[4] = { 198, 18, (uint8_t)(n >> 8), (uint8_t)n };
	ip4_addr_t from, to;
	struct pbuf p = { .payload = ip + 20, .len = 20, .tot_len = 20 };
	uint16_t sum;

	memset(ip, 0, FLOOD_SIZE - 14);
	ip[0] = 0x45;
	ip[3] = 40;
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, stranger, sizeof(stranger));
	memcpy(ip + 16, self, sizeof(self));
	sum = inet_chksum(ip, 20);
	memcpy(ip + 10, &sum, sizeof(sum));
	ip[20] = (uint8_t)(4 + n / 256 % 128);
	ip[21] = (uint8_t)n;
	ip[22] = (uint8_t)(player_peer.port >> 8);
	ip[23] = (uint8_t)player_peer.port;
	ip[27] = (uint8_t)n;
	ip[32] = 0x50;
	ip[33] = 2;
	ip[34] = 0x20;
	memcpy(&from.addr, ip + 12, 4);
	memcpy(&to.addr, ip + 16, 4);
	sum = inet_chksum_pseudo(&p, 6, 20, &from, &to);
	memcpy(ip + 36, &sum, sizeof(sum));
}

/* Called with NET_CORE. */
static bool flood_one(struct netif *netif, unsigned n, void (*make)(uint8_t *ip, unsigned n))
{
	struct pbuf *q = pbuf_alloc(PBUF_RAW_TX, FLOOD_SIZE, PBUF_RAM);
	uint8_t *frame;
	bool sent;

	if (!q)
		return false;
	frame = q->payload;
	memcpy(frame, netif->hwaddr, 6);
	memset(frame + 6, 2, 6);
	frame[12] = WRAPPED >> 8;
	frame[13] = WRAPPED & 255;
	make(frame + 14, n);
	sent = netif->linkoutput(netif, q) == ERR_OK;
	pbuf_free(q);
	return sent;
}

struct depth {
	char name[16];
	size_t used, size;
};

/* The thread that has used the largest part of its stack: what it never touched is as page_alloc() left it. */
static void measure_stack(struct thread *t, void *arg)
{
	struct depth *d = arg;
	uintptr_t at = t->base.stack_lo;
	size_t size = t->base.stack_hi - at, used;
	uint64_t fresh, v;

	if (!arch_probe_read64((void *)at, &fresh))
		return;
	while (at < t->base.stack_hi && arch_probe_read64((void *)at, &v) && v == fresh)
		at += sizeof(v);
	used = t->base.stack_hi - at;
	if (d->size && used * d->size <= d->used * size)
		return;
	memcpy(d->name, t->name, sizeof(d->name));
	d->used = used;
	d->size = size;
}

/* Every frame is answered from within its reception, to somebody whose address must be asked for in vain: 32 places in
 * the ARP table for 250 hosts, given up again and again, connections that wait for it, and interrupts all the while.
 * No thread, net or who was interrupted, may use half of its stack. */
KTEST(vnet_flood_unresolvable)
{
	struct player *p = start(MODERN);
	struct depth deepest = { .used = 0 };
	struct file *f[8] = { NULL };
	struct traffic *t;
	unsigned sent = 0, many = 3000 * (unsigned)kt_scale();
	uint64_t end = crew_deadline_ms(30000);

	if (!p)
		return;
	atomic_store_relaxed(&arp_requests, 0);
	WRITE_ONCE(p->turn, unwrap_frame);
	t = traffic_start(50000);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		struct socket_addr to = { .port = 9 };

		nobody_at(to.addr, i * 31);
		KT_CHECK(socket_connect_tcp(&to, &f[i]) == 0);
	}
	while (sent < many && clock_now_ns() < end) {
		net_lock();
		sent += flood_one((struct netif *)p->ifc, sent, flood_packet);
		if (sent % 16 == 0)
			etharp_tmr();
		net_unlock();
		model_raise(&p->m, VIRTIO_ISR_QUEUE);
		while (READ_ONCE(p->delivered) + 200 < sent && clock_now_ns() < end)
			nap(1);
		if (sent % 1000 == 0)
			thread_for_each(measure_stack, &deepest);
	}
	traffic_end(t);
	thread_for_each(measure_stack, &deepest);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		(void)!socket_abort(f[i]);
		file_put(f[i]);
	}
	log_info("ktest: deepest stack: %s, %zu of %zu bytes, after %u ARP requests", deepest.name,
		 deepest.used, deepest.size, atomic_load_relaxed(&arp_requests));
	KT_CHECK(sent == many);
	KT_CHECK(atomic_load_relaxed(&arp_requests) > 500);
	KT_CHECK(deepest.used < deepest.size / 2);
	stop(p);
}

static struct {
	struct player *p;
	uint32_t stop;	  /* [atomic] */
	uint32_t strange; /* [atomic] SYNs so far */
	unsigned most;	  /* connections there were at once */
} syns;

/* Those on their way, at most: fewer than are kept, so that who means it is not overrun within a round trip. */
#define SYNS_UNDER_WAY 8
#define SYNS_KEPT      512

/* Each one that has arrived is kept, or has driven another out. */
static bool too_many_syns(unsigned n, uint64_t before)
{
	uint64_t gone;

	net_lock();
	gone = net_counters.embryos_dropped - before;
	net_unlock();
	return n > gone + SYNS_KEPT + SYNS_UNDER_WAY;
}

static void syn_flood(void *arg)
{
	struct net_usage u;
	uint64_t before;
	unsigned n = 0;

	net_lock();
	before = net_counters.embryos_dropped;
	net_unlock();
	while (!atomic_load_acquire(&syns.stop)) {
		if (too_many_syns(n, before)) {
			nap(1);
			continue;
		}
		net_lock();
		n += flood_one((struct netif *)syns.p->ifc, n, syn_packet);
		net_unlock();
		atomic_store_release(&syns.strange, n);
		model_raise(&syns.p->m, VIRTIO_ISR_QUEUE);
		net_usage(&u);
		syns.most = MAX(syns.most, u.tcp_active);
	}
}

/* Strangers come again and again; who means it gets in, and no more than a number of them is kept. */
KTEST(vnet_syn_flood)
{
	struct player *p = start(MODERN);
	struct crew crew = { 0 };
	struct file *listener, *c, *s;
	uint64_t end = crew_deadline_ms(30000);

	if (!p)
		return;
	WRITE_ONCE(p->turn, unwrap_frame);
	memset(&syns, 0, sizeof(syns));
	syns.p = p;
	listener = player_listen();
	crew_add(&crew, syn_flood, NULL, ALL_CPUS);
	while (atomic_load_acquire(&syns.strange) < 1000 && clock_now_ns() < end)
		nap(1);
	for (int i = 0; i < 20; i++) {
		if (!player_connect(listener, &c, &s))
			break;
		file_put(c);
		file_put(s);
	}
	atomic_store_release(&syns.stop, 1);
	crew_join(&crew);
	KT_CHECK(syns.strange >= 1000);
	/* and 20 with two ends each, and what the machine has itself */
	KT_CHECK(syns.most <= SYNS_KEPT + 2 * 20 + 8);
	file_put(listener);
	stop(p);
}

/* --- the receive ring while the stack keeps what came ----------------------------------------------------------------- */

#define HOARD 600

static struct {
	struct pbuf *kept[HOARD];
	uint32_t n; /* [atomic] */
} hoard;

static err_t hoard_frame(struct pbuf *q, struct netif *netif)
{
	if (q->tot_len == 100 && hoard.n < HOARD)
		hoard.kept[hoard.n++] = q;
	else
		pbuf_free(q);
	return ERR_OK;
}

static uint64_t dropped(void)
{
	struct net_usage u;

	net_usage(&u);
	return u.rx_dropped;
}

/* Send frames, each when the one before was kept or dropped, until n are kept or so many dropped. */
static void hoard_until(struct player *p, uint32_t n, uint64_t drops)
{
	uint64_t end = crew_hang_deadline(), before = dropped();

	while (READ_ONCE(hoard.n) < n && dropped() < before + drops && clock_now_ns() < end) {
		uint64_t was = READ_ONCE(hoard.n) + dropped();
		struct pbuf *q;

		net_lock();
		q = send_frame(p, 100, 1);
		if (q)
			pbuf_free(q);
		net_unlock();
		while (READ_ONCE(hoard.n) + dropped() == was && clock_now_ns() < end)
			sched_yield();
	}
	KT_CHECK(clock_now_ns() < end);
}

static unsigned posted(void)
{
	struct net_usage u;

	net_usage(&u);
	return u.rx_posted;
}

/* Once nothing is under way: what came is taken, and its place filled again. */
static unsigned settled_posted(void)
{
	unsigned before, now = posted();

	do {
		before = now;
		nap(50);
		now = posted();
	} while (now != before);
	return now;
}

/* While there is memory the ring is filled up again; when there is none, frames are dropped before its last buffers
 * are. Afterwards all are back. */
KTEST(vnet_receive_ring_stays_filled)
{
	struct player *p = start(MODERN);
	unsigned all, ring, limit;
	struct netif *netif;

	if (!p)
		return;
	netif = (struct netif *)p->ifc;
	ring = p->v->nd.rx_ring;
	all = settled_posted();
	hoard.n = 0;
	net_lock();
	netif->input = hoard_frame;
	net_unlock();
	hoard_until(p, ring - 40, 50);
	KT_CHECK(hoard.n == ring - 40);
	KT_CHECK(posted() >= all - ring / 2);
	net_lock();
	limit = net_if_limit_rx(0);
	net_unlock();
	hoard_until(p, HOARD, 50);
	KT_CHECK(hoard.n < HOARD);
	KT_CHECK(posted() >= all - ring + 15);
	net_lock();
	netif->input = ethernet_input;
	net_if_limit_rx(limit);
	while (hoard.n)
		pbuf_free(hoard.kept[--hoard.n]);
	net_unlock();
	KT_CHECK(settled_posted() == all);
	stop(p);
}

/* --- back-pressure ------------------------------------------------------------------------------------------------------ */

static void await_held(struct player *p, unsigned n)
{
	uint64_t end = crew_hang_deadline();

	while (READ_ONCE(p->nr_held) != n && clock_now_ns() < end)
		nap(1);
	KT_CHECK(READ_ONCE(p->nr_held) == n);
}

/* Frames that nobody answers, as many as the ring takes; and a segment that finds no room. */
static void fill_ring(struct player *p, struct file *out)
{
	uint64_t end = crew_hang_deadline(), full;
	struct pbuf *q;
	unsigned n = 0;

	net_lock();
	settle(p);
	for (; (q = send_frame(p, 100, n)) != NULL; n++)
		pbuf_free(q);
	full = net_counters.tx_full;
	net_unlock();
	await_held(p, n);
	atomic_store_relaxed(&p->silent, 0);
	KT_CHECK(file_write_kernel(out, "refused", 7) == 7);
	while (READ_ONCE(net_counters.tx_full) == full && clock_now_ns() < end)
		nap(1);
	KT_CHECK(net_counters.tx_full > full);
}

/* A player whose ring is full, and a connection whose segment was refused. */
struct full {
	struct player *p;
	struct file *listener, *client, *server;
};

static bool start_full(struct full *f)
{
	f->p = start(MODERN);
	if (!f->p)
		return false;
	/* a slow host is no device to be reset */
	WRITE_ONCE(f->p->v->tx_limit_ns, 3600 * NS_PER_S);
	f->listener = player_listen();
	if (!player_connect(f->listener, &f->client, &f->server))
		return false;
	fill_ring(f->p, f->client);
	return true;
}

/* The segment comes. */
static void end_full(struct full *f)
{
	char buf[8];

	KT_CHECK(file_read_kernel(f->server, buf, sizeof(buf)) == 7);
	file_put(f->client);
	file_put(f->server);
	file_put(f->listener);
	stop(f->p);
}

/* What was refused for want of room goes when there is room again. NET_CORE is held all the while, so no timer of
 * TCP's can be what sends it. */
KTEST(vnet_refused_is_sent_when_there_is_room)
{
	struct full f;
	struct player *p;
	uint64_t end = crew_hang_deadline(), frames;

	if (!start_full(&f))
		return;
	p = f.p;
	net_lock();
	frames = READ_ONCE(p->frames);
	atomic_store_relaxed(&p->hold_tx, 0);
	player_poke(p);
	await_held(p, 0);
	(void)net_if_poll_all();
	net_if_flush_all();
	while (READ_ONCE(p->frames) == frames && clock_now_ns() < end)
		nap(1);
	KT_CHECK(READ_ONCE(p->frames) > frames);
	net_unlock();
	end_full(&f);
}

/* N4: whose ring was full is told by an interrupt that there is room, though nothing is received. */
KTEST(vnet_room_is_told)
{
	struct full f;
	struct player *p;
	uint64_t end = crew_hang_deadline(), polls, told;

	if (!start_full(&f))
		return;
	p = f.p;
	atomic_store_relaxed(&p->silent, 1);
	/* until the network's thread, which the segment's timer wakes, has asked for it */
	polls = READ_ONCE(net_counters.polls);
	while (READ_ONCE(net_counters.polls) == polls && clock_now_ns() < end)
		nap(1);
	/* who looked meanwhile, for a timer, would find the room without being told */
	net_lock();
	told = atomic_load_relaxed(&p->v->nd.interrupts);
	atomic_store_relaxed(&p->hold_tx, 0);
	player_poke(p);
	while (atomic_load_relaxed(&p->v->nd.interrupts) == told && clock_now_ns() < end)
		nap(1);
	KT_CHECK(atomic_load_relaxed(&p->v->nd.interrupts) > told);
	net_unlock();
	atomic_store_relaxed(&p->silent, 0);
	player_poke(p);
	end_full(&f);
}

/* I-NET-1: lwIP's memory without the lock. */
static void allocate_unlocked(void *arg)
{
	void *net_mem_alloc(size_t size);

	net_mem_alloc(64);
}

KTEST(net_core_not_held)
{
	kt_expect_bug(allocate_unlocked, NULL, "net_core.owner");
}
