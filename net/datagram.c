/* SPDX-License-Identifier: MIT */
/* Sockets of datagrams: UDP, ICMP echo ("ping"), and raw ICMP, of both families. What arrives is copied at once into memory of its own size
 * and charged with it, so no receive buffer of a device waits for a program; more than rx_size is dropped and counted.
 * Sending takes what lwIP and the device take now, or fails: there is no queue of ours to wait for.
 *
 * An echo reply goes to the one ping socket whose identifier it carries; every raw socket sees every ICMP packet. */
#include "net/socket_impl.h"

#include <lwip/icmp.h>
#include <lwip/icmp6.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip.h>
#include <lwip/prot/icmp6.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>
#include <lwip/raw.h>
#include <lwip/udp.h>

#include "fs/file.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"
#include "net/address.h"

#define DATAGRAM_MAX  65507 /* behind an IP header of no options and one of 8 bytes */
#define DATAGRAM6_MAX 65487 /* lwIP counts the header too */
#define SUM_AT	      2	    /* of ICMP */

/* One that has arrived. */
struct datagram {
	struct list_head link;
	struct socket_addr from;
	unsigned users; /* [lock] the queue, or who has taken it, and those who look */
	uint8_t hops;	/* it had left */
	size_t size;
	uint8_t data[];
};

static struct list_head raws = LIST_HEAD_INIT(raws); /* [NET_CORE] ping and raw sockets */

/* --- receiving ------------------------------------------------------------------------------------------------------- */

static size_t cost(const struct datagram *d)
{
	return sizeof(*d) + d->size;
}

/* Copy what is in p behind `skip` bytes. */
static void arrive(struct socket *s, const struct pbuf *p, size_t skip, const ip_addr_t *ip,
		   uint16_t port) __requires(net_core)
{
	size_t size = p->tot_len - skip;
	struct datagram *d;

	/* as Linux: one goes beyond the size, so none is too long for it */
	if (s->rx_shut || READ_ONCE(s->rx_bytes) > s->opt.rx_size ||
	    !socket_may_hold(READ_ONCE(s->rx_bytes) + size) || !(d = kmalloc(sizeof(*d) + size))) {
		net_counters.datagrams_dropped++;
		return;
	}
	d->size = size;
	d->users = 1;
	address_from_lwip(&d->from, ip, port);
	d->hops = ip_current_is_v6() ? IP6H_HOPLIM(ip6_current_header())
				     : IPH_TTL(ip4_current_header());
	pbuf_copy_partial(p, d->data, (u16_t)size, (u16_t)skip);
	net_counters.datagrams++;
	socket_charge((int64_t)cost(d));
	spin_lock(&s->lock);
	list_push_back(&d->link, &s->arrived);
	WRITE_ONCE(s->rx_bytes, s->rx_bytes + cost(d));
	spin_unlock(&s->lock);
	socket_announce(s, POLL_IN);
}

static void on_udp(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip,
		   uint16_t port)
{
	assert_mutex_held(&net_core);
	arrive(arg, p, 0, ip, port);
	pbuf_free(p);
}

/* p begins with the IP header; 0: lwIP goes on with it. */
static uint8_t on_raw(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *ip)
{
	struct socket *s = arg;
	size_t skip = ip_current_header_tot_len();
	uint8_t type;

	assert_mutex_held(&net_core);
	/* of IPv6 no header is given, and what is wrong is not seen; what is shorter than a header of ICMP is kept back */
	if (!s->v6 && p->tot_len >= skip + sizeof(struct icmp_echo_hdr))
		arrive(s, p, 0, ip, 0);
	else if (s->v6 && pbuf_copy_partial(p, &type, 1, (u16_t)skip) == 1 &&
		 !(s->blocked[type / 32] & BIT(type % 32)) &&
		 (!pcb->chksum_reqd || socket_sum_right(p, skip)))
		arrive(s, p, skip, ip, 0);
	return 0;
}

bool socket_sum_right(struct pbuf *p, size_t skip)
{
	uint16_t sum;

	if (pbuf_remove_header(p, skip))
		return false;
	if (ip_current_is_v6())
		sum = ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->tot_len, ip6_current_src_addr(),
					ip6_current_dest_addr());
	else
		sum = inet_chksum_pbuf(p);
	(void)pbuf_add_header_force(p, skip);
	return sum == 0;
}

static uint8_t on_ping(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *ip)
{
	struct socket *s = arg;
	size_t skip = ip_current_header_tot_len();
	struct icmp_echo_hdr echo;

	assert_mutex_held(&net_core);
	if (pbuf_copy_partial(p, &echo, sizeof(echo), (u16_t)skip) == sizeof(echo) &&
	    echo.type == (s->v6 ? ICMP6_TYPE_EREP : ICMP_ER) && s->local.port &&
	    lwip_ntohs(echo.id) == s->local.port && socket_sum_right(p, skip))
		arrive(s, p, skip, ip, 0);
	return 0;
}

/* The oldest, or NULL. */
static struct datagram *take(struct socket *s)
{
	struct datagram *d = list_first_or_null(&s->arrived, struct datagram, link);

	if (d) {
		list_del(&d->link);
		WRITE_ONCE(s->rx_bytes, s->rx_bytes - cost(d));
	}
	return d;
}

/* 1 and *out, for done(); -EAGAIN, or the pending error. Who only looks leaves it queued. */
static int next(struct socket *s, struct datagram **out, bool look)
{
	int ret;

	spin_lock(&s->lock);
	ret = socket_take_error(s);
	if (ret == 0) {
		*out = look ? list_first_or_null(&s->arrived, struct datagram, link) : take(s);
		if (*out && look)
			(*out)->users++;
		ret = *out ? 1 : -EAGAIN;
	}
	spin_unlock(&s->lock);
	return ret;
}

static void done(struct socket *s, struct datagram *d)
{
	bool last;

	spin_lock(&s->lock);
	last = --d->users == 0;
	spin_unlock(&s->lock);
	if (!last)
		return;
	socket_charge(-(int64_t)cost(d));
	kfree(d);
}

static bool something(struct socket *s)
{
	bool any;

	spin_lock(&s->lock);
	any = s->error || s->rx_shut || !list_empty(&s->arrived);
	spin_unlock(&s->lock);
	return any;
}

static ssize_t datagram_receive(struct socket *s, struct io *io, struct socket_message *m,
				bool wait)
{
	uint64_t timeout = READ_ONCE(s->opt.rx_timeout_ns), start = timeout ? clock_now_ns() : 0;
	unsigned asked = m->flags;
	struct datagram *d = NULL;
	size_t n;
	ssize_t ret;

	m->flags = 0;
	m->named = false;
	while ((ret = next(s, &d, asked & SOCKET_MSG_PEEK)) == -EAGAIN && wait) {
		/* only who would wait is told of the end */
		if (READ_ONCE(s->rx_shut))
			return 0;
		ret = socket_wait(s, something(s), timeout, start);
		if (ret < 0)
			break;
	}
	if (!d)
		return ret;
	n = MIN(io->left, d->size);
	ret = n ? io_copy_to(io, d->data, n) : 0;
	if (ret >= 0 && (size_t)ret < n)
		ret = -EFAULT;
	m->named = true;
	m->addr = d->from;
	m->tell = s->opt.tell;
	m->hops = d->hops;
	if (n < d->size)
		m->flags = SOCKET_MSG_TRUNC;
	if (ret >= 0 && (asked & SOCKET_MSG_TRUNC))
		ret = (ssize_t)d->size;
	done(s, d);
	return ret;
}

struct socket *socket_of_udp(const struct udp_pcb *pcb)
{
	return pcb->recv == on_udp ? pcb->recv_arg : NULL;
}

/* How near is what the socket sends to the packet? 0: that is another's; the connected one is the nearest. */
static unsigned nearness(const struct socket *s, const struct packet_ends *sent)
	__requires(net_core)
{
	ip_addr_t local;

	/* it names an address of ours once it is connected */
	address_to_lwip(&local, &s->local);
	if (s->udp->local_port != sent->local_port ||
	    !IP_ADDR_PCB_VERSION_MATCH(s->udp, &sent->remote) ||
	    !(ip_addr_isany(&local) || ip_addr_zoneless_eq(&local, &sent->local)))
		return 0;
	if (s->state != SOCKET_OPEN)
		return ip_addr_isany(&local) ? 1 : 2;
	return s->udp->remote_port == sent->remote_port &&
			       ip_addr_eq(&s->udp->remote_ip, &sent->remote)
		       ? 3
		       : 0;
}

void socket_udp_failed(const struct packet_ends *sent, int error, bool soft)
{
	struct socket *s = NULL;
	unsigned best = 0;

	for (struct udp_pcb *u = udp_pcbs; u; u = u->next) {
		struct socket *one = socket_of_udp(u);
		unsigned near = one ? nearness(one, sent) : 0;

		if (near > best) {
			best = near;
			s = one;
		}
	}
	if (!s || !(s->opt.tell_errors || (s->state == SOCKET_OPEN && !soft)))
		return;
	spin_lock(&s->lock);
	WRITE_ONCE(s->error, error);
	spin_unlock(&s->lock);
	socket_announce(s, POLL_IN | POLL_OUT | POLL_ERR);
}

/* --- sending --------------------------------------------------------------------------------------------------------- */

/* An address that all of a network listen to, given without SO_BROADCAST. */
static bool forbidden(const struct socket *s, const ip_addr_t *ip) __requires(net_core)
{
	struct netif *n = IP_IS_V4(ip) ? ip_route(IP4_ADDR_ANY, ip) : NULL;

	return !s->opt.broadcast && n && ip4_addr_isbroadcast(ip_2_ip4(ip), n);
}

static struct socket *ping_of(bool v6, uint16_t id) __requires(net_core)
{
	struct socket *s;

	list_for_each (s, &raws, link) {
		if (s->kind == &socket_ping && s->v6 == v6 && s->local.port == id)
			return s;
	}
	return NULL;
}

struct socket *socket_next_raw(const struct socket *s, bool v6)
{
	struct list_head *link = s ? s->link.next : raws.next;

	for (; link != &raws; link = link->next) {
		struct socket *next = container_of(link, struct socket, link);

		if (next->kind == &socket_raw && next->v6 == v6)
			return next;
	}
	return NULL;
}

/* An identifier of its own, or the one asked for. */
static int ping_take_id(struct socket *s, uint16_t id) __requires(net_core)
{
	static uint16_t last; /* [NET_CORE] */

	for (unsigned tries = 0; !id && tries < UINT16_MAX; tries++) {
		last = (uint16_t)(last + 1 ? last + 1 : 1);
		if (!ping_of(s->v6, last))
			id = last;
	}
	if (!id || (ping_of(s->v6, id) && ping_of(s->v6, id) != s))
		return -EADDRINUSE;
	spin_lock(&s->lock);
	s->local.port = id;
	spin_unlock(&s->lock);
	return 0;
}

/* An echo request is the socket's own: its identifier, its sum. */
static int make_echo(struct socket *s, uint8_t *data, size_t size) __requires(net_core)
{
	struct icmp_echo_hdr *echo = (struct icmp_echo_hdr *)data;

	if (echo->type != (s->v6 ? ICMP6_TYPE_EREQ : ICMP_ECHO) || echo->code != 0)
		return -EINVAL;
	echo->id = lwip_htons(s->local.port);
	echo->chksum = 0;
	/* IPv6's is raw_sendto()'s, who knows both addresses */
	if (!s->v6)
		echo->chksum = inet_chksum(data, (u16_t)size);
	return 0;
}

/* Where raw_sendto() will put it. */
static int clear_sum(const struct raw_pcb *pcb, uint8_t *data, size_t size) __requires(net_core)
{
	if (!pcb->chksum_reqd)
		return 0;
	if (size < pcb->chksum_offset + sizeof(uint16_t))
		return -EINVAL;
	memset(data + pcb->chksum_offset, 0, sizeof(uint16_t));
	return 0;
}

/* A UDP socket that is to send has a port, chosen by us: lwIP's own search asks all sockets about each. */
static uint16_t choose_port(void) __requires(net_core)
{
	for (const struct udp_pcb *u = udp_pcbs; u; u = u->next)
		socket_port_taken(u->local_port);
	return socket_port_free(true);
}

static bool has_port(struct socket *s) __requires(net_core)
{
	uint16_t port;

	if (s->kind != &socket_udp || s->udp->local_port)
		return true;
	port = choose_port();
	return port && udp_bind(s->udp, &s->udp->local_ip, port) == ERR_OK;
}

static int give(struct socket *s, struct pbuf *p, const ip_addr_t *ip, uint16_t port)
	__requires(net_core)
{
	err_t err;

	if (!has_port(s))
		return -EAGAIN;
	if (s->kind == &socket_udp)
		err = udp_sendto(s->udp, p, ip, port);
	else
		err = raw_sendto(s->raw, p, ip);
	/* the device's ring is full, or memory is */
	if (err == ERR_MEM || err == ERR_BUF)
		return -ENOBUFS;
	return socket_error_of(err);
}

static int send_locked(struct socket *s, uint8_t *data, size_t size, const struct socket_addr *to)
	__requires(net_core)
{
	struct pbuf *p;
	ip_addr_t ip;
	int ret = address_of_peer(s, to, &ip);

	if (ret < 0)
		return ret;
	if (forbidden(s, &ip))
		return -EACCES;
	if (IP_IS_V6(&ip) && !address_source(&ip))
		return -ENETUNREACH;
	if (IP_IS_V6(&ip) && size > DATAGRAM6_MAX)
		return -EMSGSIZE;
	if (s->kind == &socket_ping && !s->local.port)
		ret = ping_take_id(s, 0);
	if (s->kind == &socket_ping && ret == 0)
		ret = make_echo(s, data, size);
	else if (s->kind == &socket_raw)
		ret = clear_sum(s->raw, data, size);
	if (ret < 0)
		return ret;
	p = pbuf_alloc(s->kind == &socket_udp ? PBUF_TRANSPORT : PBUF_IP, (u16_t)size, PBUF_RAM);
	if (!p)
		return -ENOBUFS;
	pbuf_take(p, data, (u16_t)size);
	ret = give(s, p, &ip, to->port);
	pbuf_free(p);
	if (s->kind == &socket_udp && !s->local.port) {
		spin_lock(&s->lock);
		s->local.port = s->udp->local_port;
		spin_unlock(&s->lock);
	}
	return ret;
}

/* 0, and where to; or why not. */
static int where_to(struct socket *s, const struct socket_message *m, struct socket_addr *to)
{
	int ret;

	spin_lock(&s->lock);
	*to = m->named ? m->addr : s->peer;
	if (!m->named && s->state != SOCKET_OPEN)
		ret = -EDESTADDRREQ;
	else if (s->kind == &socket_udp && !to->port)
		ret = -EINVAL;
	else
		ret = socket_take_error(s);
	if (ret == 0 && s->tx_shut)
		ret = -EPIPE;
	spin_unlock(&s->lock);
	return ret;
}

static ssize_t datagram_send(struct socket *s, struct io *io, struct socket_message *m, bool wait)
{
	size_t size = io->left;
	struct socket_addr to;
	uint8_t *data;
	ssize_t ret;

	if (size > DATAGRAM_MAX)
		return -EMSGSIZE;
	if (s->kind == &socket_ping && size < sizeof(struct icmp_echo_hdr))
		return -EINVAL;
	ret = where_to(s, m, &to);
	if (ret < 0)
		return ret;
	data = kmalloc(size + 1);
	if (!data)
		return -ENOMEM;
	ret = size ? io_copy_from(io, data, size) : 0;
	if (ret >= 0 && (size_t)ret < size)
		ret = -EFAULT;
	if (ret >= 0) {
		net_lock();
		ret = send_locked(s, data, size, &to);
		net_unlock();
	}
	kfree(data);
	return ret < 0 ? ret : (ssize_t)size;
}

/* --- names ------------------------------------------------------------------------------------------------------------- */

static int udp_create(struct socket *s) __requires(net_core)
{
	s->udp = udp_new_ip_type(socket_ip_type(s));
	if (!s->udp)
		return -ENOMEM;
	udp_recv(s->udp, on_udp, s);
	return 0;
}

static int raw_create(struct socket *s) __requires(net_core)
{
	s->raw = raw_new_ip_type(socket_ip_type(s), s->v6 ? IP6_NEXTH_ICMP6 : IP_PROTO_ICMP);
	if (!s->raw)
		return -ENOMEM;
	s->raw->chksum_reqd = s->v6;
	s->raw->chksum_offset = s->v6 ? SUM_AT : 0;
	raw_recv(s->raw, s->kind == &socket_ping ? on_ping : on_raw, s);
	list_push_back(&s->link, &raws);
	return 0;
}

static int udp_bind_to(struct socket *s, const struct socket_addr *a) __requires(net_core)
{
	uint16_t port;
	ip_addr_t ip;
	err_t err;

	address_to_bind(s, a, &ip);
	port = a->port ? a->port : choose_port();
	err = port ? udp_bind(s->udp, &ip, port) : ERR_USE;
	if (err != ERR_OK)
		return -EADDRINUSE;
	s->bound = true;
	spin_lock(&s->lock);
	address_from_lwip(&s->local, &ip, s->udp->local_port);
	spin_unlock(&s->lock);
	return 0;
}

static int raw_bind_to(struct socket *s, const struct socket_addr *a) __requires(net_core)
{
	ip_addr_t ip;
	int ret = s->kind == &socket_ping ? ping_take_id(s, a->port) : 0;

	if (ret < 0)
		return ret;
	address_to_lwip(&ip, a);
	raw_bind(s->raw, &ip);
	s->bound = true;
	spin_lock(&s->lock);
	address_from_lwip(&s->local, &ip, s->local.port);
	spin_unlock(&s->lock);
	return 0;
}

/* The address asked for, in the pcb of either kind; any: none was. */
#define local_of(s) (((const struct ip_pcb *)(s)->raw)->local_ip)

/* The peer is remembered, and our address of the way there. */
static int connect_locked(struct socket *s, const struct socket_addr *to) __requires(net_core)
{
	const ip_addr_t *source;
	ip_addr_t ip;
	int ret = address_of_peer(s, to, &ip);

	if (ret < 0)
		return ret;
	source = address_source(&ip);
	if (!source)
		return -ENETUNREACH;
	if (forbidden(s, &ip))
		return -EACCES;
	if (s->kind == &socket_udp &&
	    (!has_port(s) || udp_connect(s->udp, &ip, to->port) != ERR_OK))
		return -EAGAIN;
	if (s->kind != &socket_udp)
		raw_connect(s->raw, &ip);
	spin_lock(&s->lock);
	address_from_lwip(&s->peer, &ip, to->port);
	if (s->kind == &socket_udp)
		s->local.port = s->udp->local_port;
	if (ip_addr_isany(&local_of(s)))
		address_from_lwip(&s->local, source, s->local.port);
	WRITE_ONCE(s->state, SOCKET_OPEN);
	spin_unlock(&s->lock);
	return 0;
}

static void disconnect_locked(struct socket *s) __requires(net_core)
{
	if (s->kind == &socket_udp) {
		udp_disconnect(s->udp);
		/* a port that was not asked for goes as well */
		if (!s->bound)
			s->udp->local_port = 0;
	} else {
		raw_disconnect(s->raw);
	}
	spin_lock(&s->lock);
	memset(&s->peer, 0, sizeof(s->peer));
	if (s->bound) {
		address_from_lwip(&s->local, &local_of(s), s->local.port);
	} else {
		uint16_t id = s->kind == &socket_udp ? 0 : s->local.port;

		socket_unname(s);
		s->local.port = id;
	}
	WRITE_ONCE(s->state, SOCKET_FRESH);
	spin_unlock(&s->lock);
}

static int datagram_connect(struct socket *s, const struct socket_addr *to, bool wait)
{
	int ret = 0;

	net_lock();
	if (to)
		ret = connect_locked(s, to);
	else
		disconnect_locked(s);
	net_unlock();
	return ret;
}

/* Linux says that there is no connection, and does it all the same. */
static int datagram_shutdown(struct socket *s, int how) __requires(net_core)
{
	spin_lock(&s->lock);
	WRITE_ONCE(s->rx_shut, s->rx_shut | (how != SOCKET_SHUT_WR));
	WRITE_ONCE(s->tx_shut, s->tx_shut | (how != SOCKET_SHUT_RD));
	spin_unlock(&s->lock);
	socket_announce(s, POLL_IN | POLL_RDHUP | POLL_HUP);
	return s->state == SOCKET_OPEN ? 0 : -ENOTCONN;
}

/* --- the rest ---------------------------------------------------------------------------------------------------------- */

static uint32_t datagram_poll(struct socket *s)
{
	uint32_t events = POLL_OUT;

	spin_lock(&s->lock);
	if (!list_empty(&s->arrived) || s->rx_shut)
		events |= POLL_IN;
	if (s->error)
		events |= POLL_ERR;
	if (s->rx_shut)
		events |= POLL_RDHUP;
	if (s->rx_shut && s->tx_shut)
		events |= POLL_HUP;
	spin_unlock(&s->lock);
	return events;
}

/* Of the next one. */
static size_t datagram_readable(struct socket *s)
{
	struct datagram *d;
	size_t n;

	spin_lock(&s->lock);
	d = list_first_or_null(&s->arrived, struct datagram, link);
	n = d ? d->size : 0;
	spin_unlock(&s->lock);
	return n;
}

static void datagram_apply(struct socket *s) __requires(net_core)
{
	uint8_t ttl = s->opt.ttl ? s->opt.ttl : IP_DEFAULT_TTL;

	if (s->kind != &socket_udp) {
		s->raw->ttl = ttl;
		return;
	}
	s->udp->ttl = ttl;
	if (!s->bound && !s->local.port)
		IP_SET_TYPE_VAL(s->udp->local_ip, socket_ip_type(s));
	if (s->opt.reuse)
		ip_set_option(s->udp, SOF_REUSEADDR);
	else
		ip_reset_option(s->udp, SOF_REUSEADDR);
}

static void datagram_destroy(struct socket *s)
{
	struct datagram *d;

	net_lock();
	if (s->udp && s->kind == &socket_udp)
		udp_remove(s->udp);
	else if (s->raw)
		raw_remove(s->raw);
	s->pcb = NULL;
	list_del(&s->link);
	while ((d = take(s)) != NULL)
		done(s, d);
	socket_forget(s);
	net_unlock();
	socket_free(s);
}

/* What all three are. */
#define DATAGRAMS                                                                                  \
	.connect = datagram_connect, .shutdown = datagram_shutdown, .send = datagram_send,         \
	.receive = datagram_receive, .poll = datagram_poll, .apply = datagram_apply,               \
	.destroy = datagram_destroy

const struct socket_kind socket_udp = {
	.name = "udp",
	.type = SOCKET_DGRAM,
	.protocol = SOCKET_PROTO_UDP,
	.protocol6 = SOCKET_PROTO_UDP,
	.create = udp_create,
	.bind = udp_bind_to,
	.readable = datagram_readable,
	DATAGRAMS,
};

/* What FIONREAD asks it does not know, as in Linux. */
const struct socket_kind socket_ping = {
	.name = "ping",
	.type = SOCKET_DGRAM,
	.protocol = SOCKET_PROTO_ICMP,
	.protocol6 = SOCKET_PROTO_ICMP6,
	.create = raw_create,
	.bind = raw_bind_to,
	DATAGRAMS,
};

const struct socket_kind socket_raw = {
	.name = "raw",
	.type = SOCKET_RAW,
	.protocol = SOCKET_PROTO_ICMP,
	.protocol6 = SOCKET_PROTO_ICMP6,
	.create = raw_create,
	.bind = raw_bind_to,
	.readable = datagram_readable,
	DATAGRAMS,
};
