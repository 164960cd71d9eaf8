/* SPDX-License-Identifier: MIT */
#include "tests/host/wire.h"

#include <stdlib.h>
#include <string.h>

#include <lwip/timeouts.h>
#include <sanitizer/asan_interface.h>

#include "fs/inode.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "net/core.h"
#include "net/interface.h"
#include "net/net.h"
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"
#include "tests/kernel/mirror.h"

#define RING 256
#define TAIL 4

struct wire wire = { .rx_ring = 64, .tx_ring = 64, .address = MIRROR_SELF };

struct posted {
	void *cookie;
	uint8_t *at;
	uint32_t len;
	uint32_t filled;
};
static struct posted rx[RING], done[RING];
static unsigned nr_rx, nr_done;
static void *tx[RING], *tx_used[RING];
static unsigned nr_tx, nr_tx_used;

struct flying {
	struct flying *next;
	size_t n;
	uint8_t data[];
};
static struct flying *first, **last = &first;

static void fly(const uint8_t *data, size_t n)
{
	struct flying *f = malloc(sizeof(*f) + n);

	f->n = n;
	memcpy(f->data, data, n);
	if (first && test_below(1000) < wire.reorder) {
		f->next = first;
		first = f;
		return;
	}
	f->next = NULL;
	*last = f;
	last = &f->next;
}

static int op_transmit(struct netdev *d, const struct netdev_piece *piece, unsigned n, void *cookie)
{
	uint8_t frame[2048];
	size_t len = 0;

	if (nr_tx == wire.tx_ring)
		return -ENOBUFS;
	for (unsigned i = 0; i < n; i++) {
		CHECK(piece[i].len && len + piece[i].len <= sizeof(frame));
		memcpy(frame + len, phys_to_virt(piece[i].addr), piece[i].len);
		len += piece[i].len;
	}
	/* the headroom is zeros, as asked */
	for (unsigned i = 0; i < d->tx_headroom; i++)
		CHECK_EQ(frame[i], 0);
	tx[nr_tx++] = cookie;
	wire.sent++;
	wire.last_len = len - d->tx_headroom;
	memcpy(wire.last, frame + d->tx_headroom, wire.last_len);
	if (wire.tap)
		wire.tap(wire.last, wire.last_len);
	if (!wire.mirror)
		return 0;
	if (wire.drop_data && mirror_tcp_payload(wire.last, wire.last_len)) {
		wire.drop_data--;
		wire.lost++;
		return 0;
	}
	if (wire.loses && wire.loses(wire.last, wire.last_len)) {
		wire.lost++;
		return 0;
	}
	memcpy(frame, wire.last, wire.last_len);
	if (!mirror_frame(frame, wire.last_len))
		return 0;
	if (test_below(1000) < wire.lose) {
		wire.lost++;
		return 0;
	}
	fly(frame, wire.last_len);
	if (test_below(1000) < wire.repeat)
		fly(frame, wire.last_len);
	return 0;
}

static int op_post(struct netdev *d, struct netdev_piece buffer, void *cookie)
{
	if (nr_rx + nr_done >= wire.rx_ring)
		return -ENOBUFS;
	ASAN_UNPOISON_MEMORY_REGION(phys_to_virt(buffer.addr), buffer.len);
	rx[nr_rx++] = (struct posted){ cookie, phys_to_virt(buffer.addr), buffer.len, 0 };
	return 0;
}

/* The device is done with what it has. */
static void give_back(void)
{
	memcpy(tx_used + nr_tx_used, tx, nr_tx * sizeof(tx[0]));
	nr_tx_used += nr_tx;
	nr_tx = 0;
}

static void op_kick(struct netdev *d)
{
	if (!wire.lazy)
		give_back();
}

static unsigned op_reclaim(struct netdev *d, void **cookie, unsigned max)
{
	unsigned n = MIN(max, nr_tx_used);

	memcpy(cookie, tx_used, n * sizeof(cookie[0]));
	nr_tx_used -= n;
	memmove(tx_used, tx_used + n, nr_tx_used * sizeof(tx_used[0]));
	return n;
}

static unsigned op_receive(struct netdev *d, struct netdev_frame *frame, unsigned max)
{
	unsigned n = MIN(max, nr_done);

	for (unsigned i = 0; i < n; i++)
		frame[i] = (struct netdev_frame){ done[i].cookie, d->rx_headroom, done[i].filled };
	nr_done -= n;
	memmove(done, done + n, nr_done * sizeof(done[0]));
	return n;
}

static bool op_arm(struct netdev *d, bool tx_room)
{
	return nr_done || (tx_room && nr_tx_used);
}

static void op_nothing(struct netdev *d)
{
}

static bool op_broken(struct netdev *d)
{
	return false;
}

static int op_reset(struct netdev *d, void (*gone)(void *cookie, bool transmit, void *arg),
		    void *arg)
{
	while (nr_tx)
		gone(tx[--nr_tx], true, arg);
	while (nr_tx_used)
		gone(tx_used[--nr_tx_used], true, arg);
	while (nr_rx)
		gone(rx[--nr_rx].cookie, false, arg);
	while (nr_done)
		gone(done[--nr_done].cookie, false, arg);
	return 0;
}

static const struct netdev_ops wire_ops = {
	.transmit = op_transmit,
	.post = op_post,
	.kick = op_kick,
	.reclaim = op_reclaim,
	.receive = op_receive,
	.arm = op_arm,
	.disarm = op_nothing,
	.service = op_nothing,
	.broken = op_broken,
	.reset = op_reset,
};

bool wire_receive(const void *frame, size_t n)
{
	struct posted *p;

	if (!nr_rx)
		return false;
	p = &done[nr_done++];
	*p = rx[0];
	memmove(rx, rx + 1, --nr_rx * sizeof(rx[0]));
	n = MIN(n, (size_t)p->len - wire.nd.rx_headroom);
	memset(p->at, 0, wire.nd.rx_headroom);
	memcpy(p->at + wire.nd.rx_headroom, frame, n);
	p->filled = (uint32_t)n;
	/* what was there before is nobody's to read; some bytes behind the frame are the interface's to write */
	if (n + TAIL < p->len - wire.nd.rx_headroom)
		ASAN_POISON_MEMORY_REGION(p->at + wire.nd.rx_headroom + n + TAIL,
					  p->len - wire.nd.rx_headroom - n - TAIL);
	return true;
}

void wire_clear(void)
{
	while (first) {
		struct flying *f = first;

		first = f->next;
		free(f);
	}
	last = &first;
}

/* A round of the network thread. */
static void thread_round(void)
{
	give_back();
	net_lock();
	while (net_if_poll_all())
		;
	sys_check_timeouts();
	net_unlock();
}

void wire_settle(void)
{
	do {
		while (first && wire_receive(first->data, first->n)) {
			struct flying *f = first;

			first = f->next;
			if (!first)
				last = &first;
			free(f);
		}
		thread_round();
	} while (first);
}

void wire_run(unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		wire_settle();
		shim_now_ns += NS_PER_MS;
	}
	wire_settle();
}

void wire_start(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	shim_cpus_init(1);
	CHECK_EQ(file_init(), 0);
	shim_now_ns = NS_PER_S;
	CHECK_EQ(net_init(), 0);
	wire.nd.ops = &wire_ops;
	wire.nd.driver = "wire";
	memcpy(wire.nd.mac, "\x02\x01\x01\x01\x01\x01", 6);
	wire.nd.mtu = 1500;
	wire.nd.rx_headroom = 12;
	wire.nd.tx_headroom = 12;
	wire.nd.rx_ring = wire.rx_ring;
	wire.nd.tx_ring = wire.tx_ring;
	wire.nd.link_up = 1;
	wire.mirror = true;
	netdev_register(&wire.nd);
	net_lock();
	CHECK(net_if_attach(&wire.nd, wire.address) != NULL);
	net_unlock();
	wire_run(10);
}
