/* SPDX-License-Identifier: MIT */
/* The interfaces: each netdev as an lwIP netif. Receive buffers are custom pbufs that go back to the device's ring
 * when the stack frees them (X-10: never before); transmits hold a reference to their pbuf until the device has used
 * it. Everything here runs under NET_CORE but the event, which only wakes the network thread. */
#include "net/core.h"

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/prot/ip.h>
#include <lwip/priv/tcp_priv.h>
#include <netif/ethernet.h>

#include "drivers/netdev.h"
#include "drivers/virtio/pci.h"
#include "kernel/core/clock.h"
#include "kernel/core/log.h"
#include "kernel/core/trace.h"
#include "kernel/core/machine.h"
#include "kernel/core/panic.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "net/interface.h"
#include "net/lwip_hooks.h"
#include "net/net.h"
#include "net/route.h"

#define RX_BUDGET	64
#define RX_LOW		16 /* posted, or half a ring: below it a frame is dropped, its buffer kept */
#define FRAME_MAX	1518 /* 1500 bytes, Ethernet header, VLAN tag */
#define HEADROOM_MAX	12
#define RX_TAIL		4 /* zeros: lwIP looks there for a TCP option's length, and for a UDP port */
#define RX_PAD		6 /* at most, the headroom being even: puts what TCP carries at a multiple of 8 */
#define EARLY_MAX	16
#define ETHERNET_HEADER 14
#define TCP_HEADERS	40
#define LOOP_SHARED	2048 /* from this length a segment is not copied */

struct interface {
	struct netif netif; /* first */
	struct netdev *dev; /* [init] */
	struct list_head link;
	unsigned posted;	/* receive buffers with the device */
	unsigned buffers;	/* all there are */
	unsigned rx_pad;	/* [init] */
	bool kick;		/* something was submitted since the last kick */
	bool tx_blocked;	/* lwIP was refused: interrupt and tcp_txnow() when there is room */
	bool tx_resume;		/* room has come back since */
	bool dead;		/* could not be mended */
	uint32_t conflict;	/* the address another machine was said to have */
	struct route routes[2]; /* its network and its gateway */
	struct net_traffic traffic;
	/* Connections that came before our address did: whoever hands out the lease knows it first, and sends what
	 * waited for it. Kept until the address is there, or their peers would wait seconds to try again. */
	struct netdev_frame early[EARLY_MAX];
	unsigned nr_early;
};

/* A receive buffer. Owned by the device while posted, by the stack while a pbuf refers to it. */
struct rx_buffer {
	struct pbuf_custom pc; /* first: lwIP gives it back as a pbuf */
	struct interface *ifc; /* [init] */
	bool with_stack;
	uint8_t data[RX_PAD + HEADROOM_MAX + FRAME_MAX + RX_TAIL] __aligned(64);
};

static struct netif *loop; /* [init] */
/* The packet under way came by a device, not over a loop: what is for an interface's own address comes in by it too. */
static bool from_wire;						 /* [NET_CORE] */
static struct net_traffic loop_traffic;				 /* [NET_CORE] */
static struct list_head interfaces = LIST_HEAD_INIT(interfaces); /* [init] */
static struct slab_cache *rx_cache;				 /* [init] */
static unsigned rx_limit; /* [NET_CORE] buffers in all: an eighth of memory */
static unsigned rx_total; /* [NET_CORE] */
static netif_ext_callback_t changes;
static struct waitq address_wq = WAITQ_INIT(address_wq);
static uint32_t have_address; /* [atomic] */

/* --- receive ------------------------------------------------------------------------------------------------ */

static struct rx_buffer *rx_take(struct interface *i)
{
	struct rx_buffer *b;

	if (rx_total >= rx_limit)
		return NULL;
	b = slab_alloc(rx_cache);
	if (!b)
		return NULL;
	b->ifc = i;
	b->with_stack = false;
	rx_total++;
	i->buffers++;
	return b;
}

static void rx_drop(struct rx_buffer *b)
{
	rx_total--;
	b->ifc->buffers--;
	slab_free(rx_cache, b);
}

static bool rx_post(struct rx_buffer *b)
{
	struct interface *i = b->ifc;
	struct netdev_piece piece = { virt_to_phys(b->data + i->rx_pad),
				      i->dev->rx_headroom + FRAME_MAX };

	/* I-NET-2: the stack must have let go of it */
	ASSERT(!b->with_stack);
	if (i->dead || i->posted >= i->dev->rx_ring || i->dev->ops->post(i->dev, piece, b) < 0)
		return false;
	i->posted++;
	i->kick = true;
	return true;
}

static void rx_fill(struct interface *i)
{
	while (i->posted < i->dev->rx_ring) {
		struct rx_buffer *b = rx_take(i);

		if (!b)
			return;
		if (!rx_post(b)) {
			rx_drop(b);
			return;
		}
	}
}

/* Buffers that the stack has come back to the ring by themselves (rx_freed()), so new ones are made only when many are
 * out, or when none is and the ring still has room: some were lost for want of memory. */
static bool rx_is_low(const struct interface *i)
{
	return i->posted < i->dev->rx_ring / 2 ||
	       (i->posted == i->buffers && i->posted < i->dev->rx_ring);
}

/* The stack frees the last reference: back to the ring, or to the heap. */
static void rx_freed(struct pbuf *p)
{
	struct rx_buffer *b = (struct rx_buffer *)p;

	net_assert_core();
	ASSERT(b->with_stack);
	b->with_stack = false;
	if (!rx_post(b))
		rx_drop(b);
}

static void rx_deliver(struct interface *i, const struct netdev_frame *f)
{
	struct rx_buffer *b = f->cookie;
	uint8_t *frame = b->data + i->rx_pad + f->offset;
	struct pbuf *p;
	err_t err;

	memset(frame + f->len, 0, RX_TAIL);
	b->pc.custom_free_function = rx_freed;
	b->with_stack = true;
	p = pbuf_alloced_custom(PBUF_RAW, (u16_t)f->len, PBUF_REF, &b->pc, frame, FRAME_MAX);
	ASSERT(p);
	net_counters.rx_delivered++;
	i->traffic.rx_frames++;
	i->traffic.rx_bytes += f->len;
	from_wire = true;
	err = i->netif.input(p, &i->netif);
	from_wire = false;
	if (err != ERR_OK) {
		net_counters.rx_delivered--;
		i->traffic.rx_frames--;
		i->traffic.rx_bytes -= f->len;
		i->traffic.rx_dropped++;
		net_counters.rx_bad++;
		pbuf_free(p);
	}
}

/* Another machine says in ARP that our address is its own: said once, until we have another. We keep it, as Linux does. */
static void look_for_conflict(struct interface *i, const struct netdev_frame *f)
{
	struct rx_buffer *b = f->cookie;
	const uint8_t *frame = b->data + i->rx_pad + f->offset, *mac = frame + 22;
	uint32_t ip = netif_ip4_addr(&i->netif)->addr;

	if (f->len < 42 || frame[12] != 8 || frame[13] != 6 || !ip || i->conflict == ip ||
	    memcmp(frame + 28, &ip, sizeof(ip)) != 0 || memcmp(mac, i->dev->mac, 6) == 0)
		return;
	i->conflict = ip;
	net_counters.address_conflicts++;
	log_warn("net: %s: %02x:%02x:%02x:%02x:%02x:%02x has our address too", i->dev->name, mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* A TCP segment for us while we have no address. */
static bool is_early(struct interface *i, const struct netdev_frame *f)
{
	struct rx_buffer *b = f->cookie;
	const uint8_t *frame = b->data + i->rx_pad + f->offset;

	return ip4_addr_isany_val(*netif_ip4_addr(&i->netif)) && i->nr_early < EARLY_MAX &&
	       f->len >= 54 && frame[12] == 8 && frame[13] == 0 && frame[23] == IP_PROTO_TCP &&
	       memcmp(frame, i->dev->mac, sizeof(i->dev->mac)) == 0;
}

/* The address has come: they are delivered now, lwIP drops what is not for it. */
static void early_deliver(struct interface *i)
{
	unsigned n = i->nr_early;

	if (!n || ip4_addr_isany_val(*netif_ip4_addr(&i->netif)))
		return;
	i->nr_early = 0;
	for (unsigned k = 0; k < n; k++)
		rx_deliver(i, &i->early[k]);
}

/* Back to the ring with what was in it unread. */
static void rx_discard(struct rx_buffer *b, uint64_t *counter)
{
	(*counter)++;
	b->ifc->traffic.rx_dropped++;
	if (!rx_post(b))
		rx_drop(b);
}

static void early_forget(struct interface *i)
{
	while (i->nr_early)
		rx_discard(i->early[--i->nr_early].cookie, &net_counters.rx_bad);
}

/* Segments that wait for those before them are the first to go: their senders still have them, and a stranger can make
 * us keep hundreds for each connection. One connection's; false: nobody has any. */
static bool shed_out_of_order(void)
{
	struct tcp_pcb *pcb = tcp_active_pcbs;

	while (pcb && !pcb->ooseq)
		pcb = pcb->next;
	if (!pcb)
		return false;
	net_counters.rx_shed++;
	tcp_free_ooseq(pcb);
	return true;
}

/* lwIP looks into the header of a kind before it looks at the length, and what is behind a short frame is an older one's. */
static size_t least_length(const uint8_t *frame)
{
	switch (frame[12] << 8 | frame[13]) {
	case ETHTYPE_ARP:
		return ETHERNET_HEADER + SIZEOF_ETHARP_HDR;
	case ETHTYPE_IP:
		return ETHERNET_HEADER + IP_HLEN;
	case ETHTYPE_IPV6:
		return ETHERNET_HEADER + IP6_HLEN;
	default:
		return ETHERNET_HEADER;
	}
}

static void rx_frame(struct interface *i, const struct netdev_frame *f)
{
	struct rx_buffer *b = f->cookie;
	unsigned low = MIN((unsigned)RX_LOW, i->dev->rx_ring / 2);

	ASSERT(b->ifc == i && !b->with_stack && i->posted > 0);
	i->posted--;
	net_counters.rx_frames++;
	trace(TRACE_RX, f->len, 0);
	if (f->len < ETHERNET_HEADER || f->len > FRAME_MAX ||
	    f->len < least_length(b->data + i->rx_pad + f->offset))
		return rx_discard(b, &net_counters.rx_bad);
	if (i->posted < low)
		rx_fill(i);
	while (i->posted < low && shed_out_of_order())
		rx_fill(i);
	if (i->posted < low)
		return rx_discard(b, &net_counters.rx_no_memory);
	look_for_conflict(i, f);
	if (is_early(i, f))
		i->early[i->nr_early++] = *f;
	else
		rx_deliver(i, f);
}

/* Up to the budget. True: there may be more. */
static bool rx_poll(struct interface *i)
{
	struct netdev_frame frame[16];
	unsigned total = 0, n;

	do {
		n = i->dev->ops->receive(i->dev, frame, ARRAY_SIZE(frame));
		for (unsigned k = 0; k < n; k++)
			rx_frame(i, &frame[k]);
		total += n;
	} while (n == ARRAY_SIZE(frame) && total < RX_BUDGET);
	return total >= RX_BUDGET;
}

/* --- transmit --------------------------------------------------------------------------------------------------- */

static void tx_reclaim(struct interface *i)
{
	void *cookie[32];
	unsigned n;
	bool any = false;

	while ((n = i->dev->ops->reclaim(i->dev, cookie, ARRAY_SIZE(cookie))) > 0) {
		for (unsigned k = 0; k < n; k++) {
			/* I-NET-2, A8: our reference kept it until now */
			slab_assert_held(cookie[k]);
			pbuf_free(cookie[k]);
		}
		any = true;
	}
	/* not tcp_txnow() here: we may be below tcp_output(), which does not stand being entered again */
	if (any && i->tx_blocked) {
		i->tx_blocked = false;
		i->tx_resume = true;
	}
}

/* Outside of any lwIP function: send what was refused. */
static void tx_resume(struct interface *i)
{
	if (!i->tx_resume)
		return;
	i->tx_resume = false;
	tcp_txnow();
}

/* The pieces of a frame; 0: too many. */
static unsigned tx_pieces(struct pbuf *p, struct netdev_piece *piece)
{
	unsigned n = 0;

	for (; p; p = p->next) {
		if (!p->len)
			continue;
		if (n == NETDEV_PIECES)
			return 0;
		piece[n++] = (struct netdev_piece){ virt_to_phys(p->payload), p->len };
	}
	return n;
}

/* Transmit p, whose first bytes are the headroom. Takes a reference of its own. */
static err_t tx_submit(struct interface *i, struct pbuf *p)
{
	struct netdev_piece piece[NETDEV_PIECES];
	unsigned n = tx_pieces(p, piece);
	int ret;

	if (!n)
		return ERR_BUF;
	ret = i->dev->ops->transmit(i->dev, piece, n, p);
	if (ret == -ENOBUFS) {
		/* what was submitted must be visible before its room can come back */
		i->dev->ops->kick(i->dev);
		tx_reclaim(i);
		ret = i->dev->ops->transmit(i->dev, piece, n, p);
	}
	if (ret == -ENOBUFS) {
		i->tx_blocked = true;
		net_counters.tx_full++;
		return ERR_MEM;
	}
	if (ret < 0) {
		net_counters.tx_errors++;
		i->traffic.tx_errors++;
		return ERR_IF;
	}
	pbuf_ref(p);
	net_counters.tx_frames++;
	trace(TRACE_TX, p->tot_len - i->dev->tx_headroom, 0);
	i->traffic.tx_frames++;
	i->traffic.tx_bytes += p->tot_len - i->dev->tx_headroom;
	i->kick = true;
	return ERR_OK;
}

/* In memory of its own, in one piece, with the headroom. */
static err_t tx_copy(struct interface *i, struct pbuf *p)
{
	struct pbuf *q = pbuf_alloc(PBUF_RAW, (u16_t)(i->dev->tx_headroom + p->tot_len), PBUF_RAM);
	err_t err;

	if (!q) {
		net_counters.tx_errors++;
		return ERR_MEM;
	}
	memset(q->payload, 0, i->dev->tx_headroom);
	pbuf_copy_partial(p, (uint8_t *)q->payload + i->dev->tx_headroom, p->tot_len, 0);
	net_counters.tx_copied++;
	err = tx_submit(i, q);
	pbuf_free(q);
	return err;
}

static err_t tx_frame(struct netif *netif, struct pbuf *p)
{
	struct interface *i = (struct interface *)netif;
	unsigned headroom = i->dev->tx_headroom;
	err_t err;

	net_assert_core();
	if (i->dead || !netif_is_up(netif))
		return ERR_IF;
	/* The headers lwIP makes have room before them (PBUF_LINK_ENCAPSULATION_HLEN). A frame still at the device may
	 * not be sent again in the same memory: lwIP asks for ref == 1 before it does. */
	if (pbuf_add_header(p, headroom))
		return tx_copy(i, p);
	memset(p->payload, 0, headroom);
	err = tx_submit(i, p);
	pbuf_remove_header(p, headroom);
	return err == ERR_BUF ? tx_copy(i, p) : err;
}

/* From an address that cannot be out there: the loop-back's, our own, or none but in a broadcast. Who answers writes to
 * itself or to all, and who trusts 127.0.0.1 is deceived (RFC 1122 s3.2.1.3). */
static bool is_martian(const struct pbuf *p, struct netif *in)
{
	const struct ip6_hdr *ip6 = p->payload;
	const struct ip_hdr *ip = p->payload;
	ip4_addr_t from, to;
	ip6_addr_t from6;
	s8_t own;

	if (p->len >= IP6_HLEN && IP6H_V(ip6) == 6) {
		ip6_addr_copy_from_packed(from6, ip6->src);
		own = netif_get_ip6_addr_match(in, &from6);
		/* who has had an address before us says so from there, while it is not ours yet */
		return ip6_addr_isloopback(&from6) ||
		       (own >= 0 && ip6_addr_isvalid(netif_ip6_addr_state(in, own)));
	}
	if (p->len < IP_HLEN)
		return false;
	ip4_addr_copy(from, ip->src);
	ip4_addr_copy(to, ip->dest);
	if (ip4_addr_isany_val(from))
		return to.addr != IPADDR_BROADCAST;
	return ip4_addr_isloopback(&from) || ip4_addr_cmp(&from, netif_ip4_addr(in));
}

int net_see_packet(struct pbuf *p, struct netif *in)
{
	assert_mutex_held(&net_core);
	if (from_wire && (is_martian(p, in) || net_lease_lies(p))) {
		IP_STATS_INC(ip.drop);
		pbuf_free(p);
		return 1;
	}
	net_see_time_wait(p, in);
	return 0;
}

/* --- health -------------------------------------------------------------------------------------------------------- */

static void tx_or_rx_gone(void *cookie, bool transmit, void *arg)
{
	struct interface *i = arg;

	if (transmit) {
		pbuf_free(cookie);
		return;
	}
	i->posted--;
	rx_drop(cookie);
}

/* A7: everything comes back, the device starts again, the neighbours hear of us, TCP sends again what was lost. */
static void mend(struct interface *i)
{
	int ret = i->dev->ops->reset(i->dev, tx_or_rx_gone, i);

	ASSERT(i->posted == 0);
	if (ret < 0) {
		i->dead = true;
		netif_set_link_down(&i->netif);
		log_warn("net: %s: the device did not come back: error %d", i->dev->name, -ret);
		return;
	}
	net_counters.resets++;
	log_warn("net: %s: device reset and started again", i->dev->name);
	rx_fill(i);
	i->tx_blocked = false;
	i->tx_resume = true;
	if (!ip4_addr_isany_val(*netif_ip4_addr(&i->netif)))
		etharp_gratuitous(&i->netif);
}

static void follow_link(struct interface *i)
{
	bool up = atomic_load_relaxed(&i->dev->link_up);

	if (up == !!netif_is_link_up(&i->netif))
		return;
	log_info("net: %s: link %s", i->dev->name, up ? "up" : "down");
	if (up)
		netif_set_link_up(&i->netif);
	else
		netif_set_link_down(&i->netif);
}

bool net_if_poll_all(void)
{
	struct interface *i;
	bool more = false;

	list_for_each (i, &interfaces, link) {
		if (i->dead)
			continue;
		i->dev->ops->disarm(i->dev);
		i->dev->ops->service(i->dev);
		if (i->dev->ops->broken(i->dev))
			mend(i);
		if (i->dead)
			continue;
		follow_link(i);
		tx_reclaim(i);
		tx_resume(i);
		more |= rx_poll(i);
		early_deliver(i);
	}
	return more;
}

bool net_if_arm_all(void)
{
	struct interface *i;
	bool there = false;

	list_for_each (i, &interfaces, link) {
		if (!i->dead)
			there |= i->dev->ops->arm(i->dev, i->tx_blocked);
	}
	return there;
}

void net_if_flush_all(void)
{
	struct interface *i;

	list_for_each (i, &interfaces, link) {
		tx_resume(i);
		if (!i->dead && rx_is_low(i))
			rx_fill(i);
		if (i->kick && !i->dead) {
			i->kick = false;
			i->dev->ops->kick(i->dev);
		}
	}
}

unsigned net_if_limit_rx(unsigned n)
{
	unsigned was = rx_limit;

	rx_limit = n;
	return was;
}

void net_if_usage(struct net_usage *out)
{
	struct interface *i;

	out->rx_buffers = rx_total;
	out->rx_posted = 0;
	list_for_each (i, &interfaces, link)
		out->rx_posted += i->posted;
}

/* --- addresses -------------------------------------------------------------------------------------------------------- */

static unsigned prefix_bits(uint32_t mask)
{
	unsigned n = 0;

	for (; mask; mask &= mask - 1)
		n++;
	return n;
}

static void say_ipv4(struct netif *n)
{
	struct interface *i = (struct interface *)n;
	char address[16], gateway[16];

	ip4addr_ntoa_r(netif_ip4_addr(n), address, sizeof(address));
	ip4addr_ntoa_r(netif_ip4_gw(n), gateway, sizeof(gateway));
	log_info("net: %s: address %s/%u, gateway %s", i->dev->name, address,
		 prefix_bits(netif_ip4_netmask(n)->addr), gateway);
}

/* Taken down or up by ifconfig. */
static void follow_state(struct netif *n, bool up) __requires(net_core)
{
	struct interface *i = (struct interface *)n;

	log_info("net: %s: %s", i->dev->name, up ? "up" : "down");
	if (!up)
		return route_forget(n, i->routes);
	route_follow(n, i->routes);
	dhcp_network_changed_link_up(n);
}

static void changed(struct netif *n, netif_nsc_reason_t reason,
		    const netif_ext_callback_args_t *args)
{
	bool there = !ip4_addr_isany_val(*netif_ip4_addr(n));

	assert_mutex_held(&net_core);
	if (n->linkoutput != tx_frame)
		return;
	/* told of before it is down */
	if (reason & LWIP_NSC_STATUS_CHANGED)
		follow_state(n, args->status_changed.state);
	if (!(reason & (LWIP_NSC_IPV4_SETTINGS_CHANGED | LWIP_NSC_IPV4_ADDRESS_CHANGED)))
		return;
	route_follow(n, net_if_own_routes(n));
	if (there)
		say_ipv4(n);
	else
		log_info("net: %s: no address", ((struct interface *)n)->dev->name);
	atomic_store_relaxed(&have_address, there);
	if (there)
		wake_all(&address_wq);
}

int net_wait_address(uint64_t deadline_ns)
{
	if (list_empty(&interfaces))
		return -ENODEV;
	return wait_event_mode(&address_wq, atomic_load_relaxed(&have_address),
			       WAIT_UNINTERRUPTIBLE, deadline_ns);
}

/* Four decimal numbers and nothing else: lwIP would take "10.2" too. */
static bool parse_address(const char *text, ip4_addr_t *out)
{
	char again[16];

	return ip4addr_aton(text, out) && ip4addr_ntoa_r(out, again, sizeof(again)) &&
	       strcmp(text, again) == 0;
}

/* "10.0.2.15/24,10.0.2.2"; the gateway may be missing. NULL, or what is wrong with it. */
static const char *parse_static(char *text, ip4_addr_t *address, ip4_addr_t *mask,
				ip4_addr_t *gateway)
{
	char *gw = strchr(text, ','), *bits;
	uint64_t n;

	if (gw)
		*gw++ = '\0';
	bits = strchr(text, '/');
	if (bits)
		*bits++ = '\0';
	ip4_addr_set_zero(gateway);
	if (!bits || parse_u64(bits, &n) < 0 || !n || n > 32 || !parse_address(text, address) ||
	    (gw && !parse_address(gw, gateway)))
		return "is not ADDRESS/BITS[,GATEWAY]";
	mask->addr = lwip_htonl(~0u << (32 - n));
	if (!net_address_usable(*address, *mask))
		return "is no machine's address";
	if (gw && (!ip4_addr_net_eq(address, gateway, mask) || ip4_addr_eq(address, gateway)))
		return "has a gateway that is not a neighbour";
	return NULL;
}

/* Addresses as text says: one of its own, "none", or NULL or anything else for DHCP. */
static void configure(struct interface *i, const char *text)
{
	ip4_addr_t address, mask, gateway;
	const char *wrong;
	char copy[64] = "";

	netif_create_ip6_linklocal_address(&i->netif, 1);
	netif_set_ip6_autoconfig_enabled(&i->netif, 1);
	if (text) {
		if (strcmp(text, "none") == 0)
			return;
		fmt_print(copy, sizeof(copy), "%s", text);
		wrong = parse_static(copy, &address, &mask, &gateway);
		if (!wrong) {
			/* asked from no address yet: whoever answers has it */
			(void)etharp_request(&i->netif, &address);
			netif_set_addr(&i->netif, &address, &mask, &gateway);
			return;
		}
		log_warn("net: ip=%s %s; asking DHCP", text, wrong);
	}
	if (dhcp_start(&i->netif) != ERR_OK)
		log_warn("net: %s: no memory for DHCP", i->dev->name);
}

/* To whom a packet goes next; ARP knows them. */
static err_t ip4_out(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	bool all = ip4_addr_isbroadcast(to, n) || ip4_addr_ismulticast(to);
	const struct route *r = all ? NULL : route_find(to->addr, n);
	ip4_addr_t next = { r && r->via ? r->via : to->addr };

	return etharp_output(n, p, &next);
}

static err_t netif_setup(struct netif *n)
{
	struct interface *i = (struct interface *)n;

	n->name[0] = 'e';
	n->name[1] = 'n';
	n->hostname = "tern";
	n->mtu = i->dev->mtu;
	n->hwaddr_len = sizeof(i->dev->mac);
	memcpy(n->hwaddr, i->dev->mac, sizeof(i->dev->mac));
	n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	n->output = ip4_out;
	n->output_ip6 = ethip6_output;
	n->linkoutput = tx_frame;
	return ERR_OK;
}

/* irq context */
static void event(void *arg)
{
	net_kick_thread();
}

static struct interface *interface_create(struct netdev *d)
{
	struct interface *i = kzalloc(sizeof(*i));

	if (!i)
		return NULL;
	i->dev = d;
	i->rx_pad = (unsigned)(-(d->rx_headroom + ETHERNET_HEADER + TCP_HEADERS)) & 7;
	ASSERT(d->rx_headroom <= HEADROOM_MAX && d->tx_headroom <= PBUF_LINK_ENCAPSULATION_HLEN);
	/* the device writes that far */
	ASSERT(i->rx_pad <= RX_PAD);
	if (!netif_add(&i->netif, NULL, NULL, NULL, i, netif_setup, ethernet_input)) {
		kfree(i);
		return NULL;
	}
	list_push_back(&i->link, &interfaces);
	rx_fill(i);
	return i;
}

struct interface *net_if_attach(struct netdev *d, const char *address)
{
	struct interface *i = interface_create(d);

	if (!i)
		return NULL;
	netdev_open(d, event, i);
	if (atomic_load_relaxed(&d->link_up))
		netif_set_link_up(&i->netif);
	netif_set_up(&i->netif);
	configure(i, address);
	return i;
}

void net_if_detach(struct interface *i)
{
	netdev_open(i->dev, NULL, NULL);
	netif_remove(&i->netif);
	route_follow(&i->netif, i->routes);
	i->dead = true;
	(void)i->dev->ops->reset(i->dev, tx_or_rx_gone, i);
	early_forget(i);
	/* who detaches has closed what came in by it */
	ASSERT(i->buffers == 0);
	list_del(&i->link);
	kfree(i);
}

void net_if_name(const struct netif *n, char name[NET_NAME_MAX])
{
	const struct interface *i = (const struct interface *)n;

	fmt_print(name, NET_NAME_MAX, "%s", n->linkoutput == tx_frame ? i->dev->name : "lo");
}

struct netif *net_if_called(const char *name)
{
	char its[NET_NAME_MAX];
	struct netif *n;

	NETIF_FOREACH(n)
	{
		net_if_name(n, its);
		if (strcmp(its, name) == 0)
			return n;
	}
	return NULL;
}

struct route *net_if_own_routes(struct netif *n)
{
	return ((struct interface *)n)->routes;
}

struct netif *net_if_loop(void)
{
	return loop;
}

int net_if_mtu_max(const struct netif *n)
{
	return n == loop ? UINT16_MAX : ((const struct interface *)n)->dev->mtu;
}

/* lwIP takes in what is for an interface's address, so for as long as the packet is under way that is what it is for. */
void net_if_loop_accept(struct netif *n, const struct pbuf *p)
{
	const struct ip_hdr *ip = p->payload;
	ip4_addr_t home = { PP_HTONL(IPADDR_LOOPBACK) };

	if (n != loop)
		return;
	if (p->len >= IP_HLEN && IPH_V(ip) == 4 &&
	    (ip->dest.addr & PP_HTONL(0xff000000)) == PP_HTONL(0x7f000000))
		home.addr = ip->dest.addr;
	ip4_addr_set(ip_2_ip4(&n->ip_addr), &home);
}

void net_if_traffic(const struct netif *n, struct net_traffic *out)
{
	*out = n->linkoutput == tx_frame ? ((const struct interface *)n)->traffic : loop_traffic;
}

/* What never leaves memory needs no sums; ICMP's stays, since programs make it themselves. */
#define LOOP_UNSUMMED                                                                              \
	(NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_UDP | NETIF_CHECKSUM_GEN_TCP |                 \
	 NETIF_CHECKSUM_CHECK_IP | NETIF_CHECKSUM_CHECK_UDP | NETIF_CHECKSUM_CHECK_TCP)

/* Packets that the loop-back takes before NET_CORE is left. */
#define LOOP_BUDGET 4096
static unsigned loop_budget = LOOP_BUDGET; /* [NET_CORE] */

void net_if_loop_refill(void)
{
	loop_budget = LOOP_BUDGET;
	/* after net_if_loop_accept() */
	ip4_addr_set_loopback(ip_2_ip4(&loop->ip_addr));
}

/* The bytes of a segment where its sender has them. */
struct loop_part {
	struct pbuf_custom pc; /* first */
	struct pbuf *of;
};

static void loop_part_freed(struct pbuf *p)
{
	struct loop_part *l = (struct loop_part *)p;

	pbuf_free(l->of);
	mem_free(l);
}

/* The length of p's IP and TCP headers; 0: it is not TCP. */
static u16_t tcp_heads(const struct pbuf *p)
{
	const uint8_t *b = p->payload;
	bool v6 = b[0] >> 4 == 6;
	unsigned ip = v6 ? IP6_HLEN : (b[0] & 15u) * 4;

	return b[v6 ? 6 : 9] == IP_PROTO_TCP ? (u16_t)(ip + (b[ip + 12] >> 4) * 4u) : 0;
}

/* A long segment: a copy of its headers, which the receiver changes, and a reference to the rest, which nobody does. While
 * there is one lwIP does not send the segment again. */
static struct pbuf *loop_share(struct pbuf *p)
{
	u16_t heads = tcp_heads(p);
	struct pbuf *head = pbuf_alloc(PBUF_RAW, heads, PBUF_RAM);
	struct loop_part *l;

	if (!head)
		return NULL;
	l = mem_malloc(sizeof(*l));
	if (!l) {
		pbuf_free(head);
		return NULL;
	}
	memcpy(head->payload, p->payload, heads);
	l->pc.custom_free_function = loop_part_freed;
	l->of = p;
	pbuf_ref(p);
	pbuf_cat(head, pbuf_alloced_custom(PBUF_RAW, p->len - heads, PBUF_REF, &l->pc,
					   (uint8_t *)p->payload + heads, p->len - heads));
	return head;
}

static struct pbuf *loop_copy(struct pbuf *p)
{
	struct pbuf *copy = pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM);

	if (!copy)
		return NULL;
	if (p->next)
		pbuf_copy_partial(p, copy->payload, p->tot_len, 0);
	else
		memcpy(copy->payload, p->payload, p->len);
	return copy;
}

/* What p says, to the end of the queue that netif_poll() empties. */
static err_t loop_queue(struct netif *n, struct pbuf *p)
{
	bool share = !p->next && p->len >= LOOP_SHARED && tcp_heads(p);
	struct pbuf *in = NULL;

	if (n->loop_cnt_current + 1 < LWIP_LOOPBACK_MAX_PBUFS)
		in = share ? loop_share(p) : loop_copy(p);
	if (!in)
		return ERR_MEM;
	if (n->loop_first)
		n->loop_last->next = in;
	else
		n->loop_first = in;
	n->loop_last = share ? in->next : in;
	n->loop_cnt_current += 1 + share;
	return ERR_OK;
}

/* Counted: what goes in comes out. Beyond the budget it is lost, as on a wire: whatever two ends have to say to each other
 * may not keep us for ever. */
err_t net_loop_output(struct netif *n, struct pbuf *p)
{
	err_t err;

	if (!loop_budget) {
		loop_traffic.rx_dropped++;
		return ERR_OK;
	}
	loop_budget--;
	err = loop_queue(n, p);
	if (err != ERR_OK) {
		loop_traffic.tx_errors++;
		return err;
	}
	loop_traffic.tx_frames = ++loop_traffic.rx_frames;
	loop_traffic.tx_bytes = loop_traffic.rx_bytes += p->tot_len;
	return ERR_OK;
}

static void start(struct netdev *d, void *arg)
{
	char text[64];
	bool given = cmdline_get("ip", text, sizeof(text)) != -ENOENT;
	struct interface *i;

	assert_mutex_held(&net_core);
	log_info("net: %s: virtio-net over %s, %02x:%02x:%02x:%02x:%02x:%02x", d->name, d->driver,
		 d->mac[0], d->mac[1], d->mac[2], d->mac[3], d->mac[4], d->mac[5]);
	i = net_if_attach(d, given ? text : NULL);
	if (!i)
		log_warn("net: %s: no memory for the interface", d->name);
	else if (!netif_default)
		netif_set_default(&i->netif);
}

void net_if_init(void)
{
	/* the only one so far */
	loop = netif_list;
	NETIF_SET_CHECKSUM_CTRL(loop, NETIF_CHECKSUM_ENABLE_ALL & ~LOOP_UNSUMMED);
	netif_ip6_addr_set_state(loop, 0, IP6_ADDR_PREFERRED);
	rx_limit = (unsigned)(pages_usable() * PAGE_SIZE / 8 / sizeof(struct rx_buffer));
	rx_cache = slab_create("net_rx", sizeof(struct rx_buffer), 64);
	if (!rx_cache) {
		log_warn("net: no memory for receive buffers");
		return;
	}
	netif_add_ext_callback(&changes, changed);
	netdev_for_each(start, NULL);
	if (!list_empty(&interfaces))
		return;
	log_warn("net: no NIC found: start QEMU with -netdev user,id=n0 "
		 "-device virtio-net-device,netdev=n0");
	pci_report_network();
}
