/* SPDX-License-Identifier: MIT */
#include "drivers/virtio/virtio_net.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "kernel/core/clock.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/random.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"

enum { QUEUE_RX, QUEUE_TX };

#define RX_RING	    256u
#define TX_RING	    256u
#define DEFAULT_MTU 1500
#define MIN_MTU	    1280 /* IPv6's */
#define TX_LIMIT_NS (2 * NS_PER_S)
#define WANTED	    (BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MTU))

static struct virtio_net *of(struct netdev *d)
{
	return container_of(d, struct virtio_net, nd);
}

static int vnet_transmit(struct netdev *d, const struct netdev_piece *piece, unsigned n,
			 void *cookie)
{
	struct virtio_net *v = of(d);
	struct virtq_piece out[NETDEV_PIECES + 1];
	unsigned k = 0;

	ASSERT(n > 0 && n <= NETDEV_PIECES);
	if (v->own_header)
		out[k++] = (struct virtq_piece){ virt_to_phys(v->zeros), v->header, false };
	for (unsigned i = 0; i < n; i++)
		out[k++] = (struct virtq_piece){ piece[i].addr, piece[i].len, false };
	return virtq_submit(&v->tx, out, k, cookie);
}

static int vnet_post(struct netdev *d, struct netdev_piece buffer, void *cookie)
{
	struct virtio_net *v = of(d);
	struct virtq_piece in[2] = { { buffer.addr, buffer.len, true } };

	ASSERT(buffer.len > v->header);
	if (!v->own_header)
		return virtq_submit(&v->rx, in, 1, cookie);
	/* old devices: the header in a descriptor of its own, from the same buffer */
	in[0].len = v->header;
	in[1] = (struct virtq_piece){ paddr(buffer.addr.pa + v->header), buffer.len - v->header,
				      true };
	return virtq_submit(&v->rx, in, 2, cookie);
}

static void vnet_kick(struct netdev *d)
{
	virtq_kick(&of(d)->tx);
	virtq_kick(&of(d)->rx);
}

static unsigned vnet_reclaim(struct netdev *d, void **cookie, unsigned max)
{
	struct virtq_done done[32];
	unsigned n = virtq_collect(&of(d)->tx, done, MIN(max, (unsigned)ARRAY_SIZE(done)));

	for (unsigned i = 0; i < n; i++)
		cookie[i] = done[i].cookie;
	return n;
}

/* N7: read and acknowledge once. What there was to tell. */
static uint32_t hear(struct virtio_net *v)
{
	uint32_t status = virtio_ack(v->dev);

	atomic_store_relaxed(&v->told, 1);
	if (status & VIRTIO_ISR_CONFIG)
		atomic_store_relaxed(&v->config_changed, 1);
	return status;
}

static unsigned vnet_receive(struct netdev *d, struct netdev_frame *frame, unsigned max)
{
	struct virtio_net *v = of(d);
	struct virtq_done done[32];
	unsigned n = virtq_collect(&v->rx, done, MIN(max, (unsigned)ARRAY_SIZE(done)));

	for (unsigned i = 0; i < n; i++) {
		frame[i] = (struct netdev_frame){ done[i].cookie, v->header, 0 };
		if (done[i].len >= v->header)
			frame[i].len = done[i].len - v->header;
		else
			virtq_fail(&v->rx, "it received a frame shorter than its own header");
	}
	/* I-IRQ-3: nobody told of them, and as long as nobody acknowledges that, nobody will */
	if (n && !atomic_load_relaxed(&v->told) && hear(v))
		atomic_add_relaxed(&v->nd.unheard, 1);
	return n;
}

static bool vnet_arm(struct netdev *d, bool tx_room)
{
	struct virtio_net *v = of(d);
	bool there;

	atomic_store_relaxed(&v->told, 0);
	there = virtq_arm(&v->rx, 1);
	/* a full ring: one interrupt when a quarter of what is out has come back */
	if (tx_room)
		there |= virtq_arm(&v->tx, MAX(1u, virtq_in_flight(&v->tx) / 4));
	if (there)
		atomic_store_relaxed(&v->told, 1);
	/* heard of while frames were received, and the handler was late: service() has not seen it */
	return there || atomic_load_relaxed(&v->config_changed);
}

static void vnet_disarm(struct netdev *d)
{
	virtq_disarm(&of(d)->rx);
	virtq_disarm(&of(d)->tx);
}

static void read_link(struct virtio_net *v)
{
	uint16_t status = VIRTIO_NET_S_LINK_UP;

	if (virtio_has(v->dev, VIRTIO_NET_F_STATUS))
		virtio_config(v->dev, offsetof(struct virtio_net_config, status), &status,
			      sizeof(status));
	atomic_store_relaxed(&v->nd.link_up,
			     (status & VIRTIO_NET_S_LINK_UP) && !virtio_fault_link_down(v->dev));
}

static void vnet_service(struct netdev *d)
{
	struct virtio_net *v = of(d);

	if (!atomic_exchange(&v->config_changed, 0))
		return;
	virtio_check_status(v->dev);
	if (!virtio_is_broken(v->dev))
		read_link(v);
}

static bool vnet_broken(struct netdev *d)
{
	struct virtio_net *v = of(d);

	if (!atomic_load_relaxed(&v->alive))
		return false;
	if (virtq_stalled(&v->tx, READ_ONCE(v->tx_limit_ns)))
		virtq_fail(&v->tx, "transmits do not come back");
	return virtio_is_broken(v->dev);
}

static int negotiate(struct virtio_net *v)
{
	int ret = virtio_begin(v->dev, WANTED, 0);

	if (ret < 0)
		return ret;
	v->header = sizeof(struct virtio_net_hdr);
	if (virtio_has(v->dev, VIRTIO_F_VERSION_1))
		v->header = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	v->own_header =
		!virtio_has(v->dev, VIRTIO_F_VERSION_1) && !virtio_has(v->dev, VIRTIO_F_ANY_LAYOUT);
	return 0;
}

static void take_all_back(struct virtio_net *v,
			  void (*gone)(void *cookie, bool transmit, void *arg), void *arg)
{
	void *cookie;

	while ((cookie = virtq_take_back(&v->tx)) != NULL)
		gone(cookie, true, arg);
	while ((cookie = virtq_take_back(&v->rx)) != NULL)
		gone(cookie, false, arg);
}

static int vnet_reset(struct netdev *d, void (*gone)(void *cookie, bool transmit, void *arg),
		      void *arg)
{
	struct virtio_net *v = of(d);
	unsigned header = v->header;
	bool own_header = v->own_header;
	int ret;

	virtio_reset(v->dev);
	take_all_back(v, gone, arg);
	ret = negotiate(v);
	/* the buffers of the stack were made for what was agreed first */
	if (ret == 0 && (v->header != header || v->own_header != own_header))
		ret = -ENODEV;
	if (ret == 0)
		ret = virtq_restart(&v->rx);
	if (ret == 0)
		ret = virtq_restart(&v->tx);
	if (ret < 0) {
		virtio_fail(v->dev);
		atomic_store_relaxed(&v->alive, 0);
		atomic_store_relaxed(&v->nd.link_up, 0);
		return ret;
	}
	virtio_driver_ok(v->dev);
	virtq_open(&v->rx);
	virtq_open(&v->tx);
	read_link(v);
	atomic_add_relaxed(&v->nd.resets, 1);
	return 0;
}

static const struct netdev_ops vnet_ops = {
	.transmit = vnet_transmit,
	.post = vnet_post,
	.kick = vnet_kick,
	.reclaim = vnet_reclaim,
	.receive = vnet_receive,
	.arm = vnet_arm,
	.disarm = vnet_disarm,
	.service = vnet_service,
	.broken = vnet_broken,
	.reset = vnet_reset,
};

/* N7: the stack then looks at both queues, whichever raised it. */
void virtio_net_interrupt(void *arg)
{
	struct virtio_net *v = arg;
	uint32_t status = hear(v);
	void (*event)(void *) = atomic_load_acquire(&v->nd.event);

	atomic_add_relaxed(&v->nd.interrupts, 1);
	if (!status) {
		atomic_add_relaxed(&v->nd.spurious, 1);
		return;
	}
	if (event)
		event(v->nd.event_arg);
}

static void read_config(struct virtio_net *v)
{
	uint16_t mtu = DEFAULT_MTU;

	if (virtio_has(v->dev, VIRTIO_NET_F_MAC)) {
		virtio_config(v->dev, offsetof(struct virtio_net_config, mac), v->nd.mac,
			      sizeof(v->nd.mac));
	} else {
		uint32_t r[2] = { random_u32(), random_u32() };

		/* locally administered, not a group */
		memcpy(v->nd.mac, r, sizeof(v->nd.mac));
		v->nd.mac[0] = (v->nd.mac[0] & 0xfc) | 2;
	}
	if (virtio_has(v->dev, VIRTIO_NET_F_MTU))
		virtio_config(v->dev, offsetof(struct virtio_net_config, mtu), &mtu, sizeof(mtu));
	v->nd.mtu = mtu < MIN_MTU || mtu > DEFAULT_MTU ? DEFAULT_MTU : mtu;
	read_link(v);
}

struct virtio_net *virtio_net_create(struct virtio_device *d)
{
	struct virtio_net *v = kzalloc(sizeof(*v));

	if (!v)
		return NULL;
	v->dev = d;
	v->tx_limit_ns = TX_LIMIT_NS;
	v->zeros = kzalloc(sizeof(struct virtio_net_hdr_mrg_rxbuf));
	if (!v->zeros || negotiate(v) < 0)
		goto free;
	if (virtq_create(&v->rx, d, QUEUE_RX, RX_RING) < 0)
		goto reset;
	if (virtq_create(&v->tx, d, QUEUE_TX, TX_RING) < 0)
		goto destroy_rx;
	read_config(v);
	v->nd.ops = &vnet_ops;
	v->nd.driver = d->ops->name;
	v->nd.rx_headroom = v->header;
	v->nd.tx_headroom = v->own_header ? 0 : v->header;
	v->nd.rx_ring = v->rx.num / (v->own_header ? 2 : 1);
	v->nd.tx_ring = v->tx.num;
	atomic_store_relaxed(&v->alive, 1);
	virtio_driver_ok(d);
	return v;

destroy_rx:
	virtio_reset(d);
	virtq_destroy(&v->rx);
reset:
	virtio_fail(d);
free:
	kfree(v->zeros);
	kfree(v);
	return NULL;
}

void virtio_net_destroy(struct virtio_net *v, void (*gone)(void *cookie, bool transmit, void *arg),
			void *arg)
{
	virtio_reset(v->dev);
	take_all_back(v, gone, arg);
	virtq_destroy(&v->rx);
	virtq_destroy(&v->tx);
	kfree(v->zeros);
	kfree(v);
}

/* A device that no stack has opened yet holds nothing. */
static void none_is_out(void *cookie, bool transmit, void *arg)
{
	ASSERT(!cookie);
}

int virtio_net_probe(struct virtio_device *d)
{
	struct virtio_net *v = virtio_net_create(d);
	int ret;

	if (!v)
		return -ENODEV;
	ret = irq_register(d->irq, d->edge ? IRQ_EDGE : IRQ_LEVEL, virtio_net_interrupt, v,
			   d->name);
	if (ret < 0) {
		/* nobody has given it a buffer yet */
		virtio_net_destroy(v, none_is_out, NULL);
		return ret;
	}
	netdev_register(&v->nd);
	return 0;
}
