/* SPDX-License-Identifier: MIT */
/* What all kinds of sockets have in common with files and with each other: operations that go to the kind, names,
 * options. */
#include "net/socket_impl.h"

#include <lwip/ip.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>
#include <lwip/raw.h>

#include "fs/file.h"
#include "fs/inode.h"
#include "kernel/proc/process.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "net/address.h"
#include "net/core.h"
#include "net/interface.h"

#define FIONREAD	0x541bu
#define TIOCOUTQ	0x5411u

#define STREAM_BUFFER	(256u * 1024) /* TCP_WND and TCP_SND_BUF */
#define DATAGRAM_BUFFER (208u * 1024)
#define SIZE_MIN	2048u
#define MEMORY_PART	32 /* I-SOCK-4: what sockets hold is one part in so many of memory */
#define SHARE_MOST	(16u * 1024)
#define BACKLOG_MAX	4096u /* as in Linux */
#define SHARE_LEAST	(2u * SOCKET_LOWAT)
/* What programs' sockets themselves may be of memory: with two least shares each, an eighth of it. */
#define SOCKETS_PART (8 * 2 * SHARE_LEAST / sizeof(struct socket))

static unsigned nr_sockets;   /* [atomic] */
static uint64_t next_ino = 1; /* [atomic] */
static int64_t charged;	      /* [atomic] I-SOCK-4 */
static int64_t charge_limit;  /* [init] */
static struct slab_cache *socket_cache;

static const struct file_ops socket_ops;

/* --- life ---------------------------------------------------------------------------------------------------------- */

void socket_unname(struct socket *s)
{
	s->local = (struct socket_addr){ .v6 = s->v6 };
}

uint8_t socket_ip_type(const struct socket *s)
{
	if (!s->v6)
		return IPADDR_TYPE_V4;
	return s->opt.v6only || s->kind->protocol6 == SOCKET_PROTO_ICMP6 ? IPADDR_TYPE_V6
									 : IPADDR_TYPE_ANY;
}

struct socket *socket_alloc(const struct socket_kind *kind, bool v6, enum socket_state state)
{
	size_t size = kind == &socket_stream ? STREAM_BUFFER : DATAGRAM_BUFFER;
	struct socket *s = slab_alloc(socket_cache);

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	spin_init(&s->lock, LOCK_SOCK);
	poll_source_init(&s->source);
	s->kind = kind;
	s->v6 = s->local.v6 = v6;
	s->state = state;
	s->ino = atomic_fetch_add(&next_ino, 1);
	s->opt.rx_size = s->opt.tx_size = size;
	/* nothing that is theirs could be taken: on from the start, as in Linux */
	s->opt.reuse = kind == &socket_ping || kind == &socket_raw;
	list_init(&s->link);
	list_init(&s->backlog);
	list_init(&s->arrived);
	list_init(&s->changed);
	atomic_fetch_add(&nr_sockets, 1);
	return s;
}

void socket_free(struct socket *s)
{
	ASSERT(!s->pcb && !s->rx_bytes && list_empty(&s->backlog) && !list_linked(&s->changed));
	poll_source_check_idle(&s->source);
	slab_free(socket_cache, s);
	atomic_fetch_sub(&nr_sockets, 1);
}

unsigned socket_count(void)
{
	return atomic_load_relaxed(&nr_sockets);
}

void socket_charge(int64_t bytes)
{
	atomic_add_relaxed(&charged, bytes);
}

int64_t socket_charged(void)
{
	return atomic_load_relaxed(&charged);
}

int socket_init(void)
{
	charge_limit = (int64_t)(pages_usable() * PAGE_SIZE / MEMORY_PART);
	if (!socket_cache)
		socket_cache = fs_cache("socket", sizeof(struct socket), SOCKETS_PART);
	return socket_cache ? 0 : -ENOMEM;
}

static int64_t room(void)
{
	return charge_limit - socket_charged();
}

/* What each may hold when all hold more than they may. */
static size_t share(void)
{
	size_t each = (size_t)charge_limit / (socket_count() + 1);

	return each < SHARE_LEAST ? SHARE_LEAST : MIN(each, SHARE_MOST);
}

size_t socket_may_take(size_t own)
{
	int64_t all = room();
	size_t mine;

	if (all >= (int64_t)SHARE_MOST)
		return (size_t)all;
	mine = share();
	mine = own < mine ? mine - own : 0;
	return all > (int64_t)mine ? (size_t)all : mine;
}

bool socket_may_hold(size_t own)
{
	return own < SHARE_LEAST || socket_may_take(own);
}

unsigned socket_backlog_of(unsigned asked)
{
	size_t most = (size_t)charge_limit / 2 / sizeof(struct socket);

	return (unsigned)MIN(MIN(asked, BACKLOG_MAX), most);
}

bool socket_may_orphan(size_t bytes)
{
	return bytes < SHARE_LEAST || room() > (int64_t)bytes || bytes < share();
}

/* --- ports --------------------------------------------------------------------------------------------------------- */

#define PORT_FIRST 49152u
#define NR_PORTS   (65536u - PORT_FIRST)

static uint64_t ports[NR_PORTS / 64]; /* [NET_CORE] taken, while one is looked for */

void socket_port_taken(uint16_t port)
{
	if (port >= PORT_FIRST)
		ports[(port - PORT_FIRST) / 64] |= BIT(port % 64);
}

uint16_t socket_port_free(bool unguessable)
{
	static unsigned last; /* [NET_CORE] */
	unsigned first = unguessable || !last ? net_random() : last + 1;
	uint16_t found = 0;

	for (unsigned i = 0; i < NR_PORTS && !found; i++) {
		unsigned n = (first + i) % NR_PORTS;

		if (!(ports[n / 64] & BIT(n % 64))) {
			found = (uint16_t)(PORT_FIRST + n);
			last = n;
		}
	}
	memset(ports, 0, sizeof(ports));
	return found;
}

/* --- files --------------------------------------------------------------------------------------------------------- */

static ssize_t socket_read(struct file *f, struct io *io, off_t *pos)
{
	struct socket *s = f->priv;
	struct socket_message m = { 0 };

	return io->left ? s->kind->receive(s, io, &m, !file_nonblocking(f)) : 0;
}

static ssize_t socket_write(struct file *f, struct io *io, off_t *pos)
{
	struct socket *s = f->priv;
	struct socket_message m = { 0 };

	return s->kind->send(s, io, &m, !file_nonblocking(f));
}

static uint32_t socket_poll(struct file *f)
{
	struct socket *s = f->priv;

	return s->kind->poll(s);
}

static int64_t socket_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct socket *s = f->priv;
	int32_t n;

	if (cmd != FIONREAD && cmd != TIOCOUTQ)
		return net_if_ioctl(cmd, arg);
	if (s->state == SOCKET_LISTENING)
		return -EINVAL;
	if (cmd == FIONREAD && !s->kind->readable)
		return -ENOTTY;
	n = (int32_t)(cmd == FIONREAD ? s->kind->readable(s) : READ_ONCE(s->tx_pending));
	return user_copy_to(arg, &n, sizeof(n));
}

static int socket_stat(struct file *f, struct kstat *st)
{
	struct socket *s = f->priv;

	*st = (struct kstat){ .dev = VFS_DEV_SOCKET,
			      .ino = s->ino,
			      .mode = 0140777,
			      .nlink = 1,
			      .uid = s->uid,
			      .gid = s->gid,
			      .blksize = PAGE_SIZE };
	return 0;
}

static uint64_t socket_held(const struct file *f)
{
	const struct socket *s = f->priv;
	size_t n = s->kind == &socket_stream ? READ_ONCE(s->rx_held) + READ_ONCE(s->tx_held)
					     : READ_ONCE(s->rx_bytes) + READ_ONCE(s->tx_pending);

	/* those that wait to be accepted with what each may hold; they cannot be asked here */
	return (n + READ_ONCE(s->nr_backlog) * SHARE_LEAST) / PAGE_SIZE;
}

static void socket_release(struct file *f)
{
	struct socket *s = f->priv;

	/* NULL: nobody was there to accept */
	if (s)
		s->kind->destroy(s);
}

static const struct file_ops socket_ops = {
	.name = "socket",
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.ioctl = socket_ioctl,
	.stat = socket_stat,
	.held = socket_held,
	.release = socket_release,
};

struct socket *socket_of(struct file *f)
{
	return f->ops == &socket_ops ? f->priv : NULL;
}

bool socket_is(struct file *f)
{
	return socket_of(f) != NULL;
}

bool socket_is_local(struct file *f)
{
	struct socket *s = socket_of(f);

	return s && s->kind->local;
}

void socket_own(struct socket *s)
{
	const struct process *p = current_process();

	if (!p)
		return;
	WRITE_ONCE(s->uid, READ_ONCE(p->cred.fsuid));
	WRITE_ONCE(s->gid, READ_ONCE(p->cred.fsgid));
}

int socket_file(struct socket *s, uint32_t flags, struct file **out)
{
	if (s)
		socket_own(s);
	*out = file_create(&socket_ops, FILE_RDWR | flags, s ? &s->source : NULL, s);
	return *out ? 0 : -ENOMEM;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

int socket_create(int domain, int type, int protocol, uint32_t flags, struct file **out)
{
	static const struct socket_kind *const kinds[] = { &socket_stream, &socket_udp,
							   &socket_ping, &socket_raw };
	const struct socket_kind *kind = NULL;
	bool known = false, v6 = domain == SOCKET_INET6;
	struct socket *s;
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && !kind; i++) {
		known |= kinds[i]->type == type;
		/* raw sockets have no usual protocol, and the first of a type is its usual one */
		if (kinds[i]->type == type &&
		    (protocol == (v6 ? kinds[i]->protocol6 : kinds[i]->protocol) ||
		     (!protocol && type != SOCKET_RAW)))
			kind = kinds[i];
	}
	if (!kind)
		return known ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT;
	s = socket_alloc(kind, v6, SOCKET_FRESH);
	if (!s)
		return -ENOMEM;
	net_lock();
	ret = kind->create ? kind->create(s) : 0;
	net_unlock();
	if (ret == 0)
		ret = socket_file(s, flags, out);
	if (ret < 0)
		kind->destroy(s);
	return ret;
}

/* Any address, or one of an interface. */
static bool is_ours(const struct socket_addr *a) __requires(net_core)
{
	struct netif *n;
	ip_addr_t ip;
	int8_t i;

	address_to_lwip(&ip, a);
	if (ip_addr_isany(&ip) || (!a->v6 && a->addr[0] == 127))
		return true;
	NETIF_FOREACH(n)
	{
		i = a->v6 ? netif_get_ip6_addr_match(n, ip_2_ip6(&ip)) : -1;
		if (a->v6 ? i >= 0 && ip6_addr_isvalid(netif_ip6_addr_state(n, i))
			  : ip4_addr_eq(netif_ip4_addr(n), ip_2_ip4(&ip)))
			return true;
	}
	return false;
}

int socket_bind(struct file *f, const struct socket_addr *a)
{
	struct socket *s = socket_of(f);
	int ret;

	if (!s)
		return -ENOTSOCK;
	net_lock();
	ret = address_check(a);
	if (s->bound || s->state != SOCKET_FRESH || s->local.port || (!a->v6 && s->opt.v6only))
		ret = -EINVAL;
	else if (ret == 0 && (!is_ours(a) || (s->v6 && !a->v6 && s->kind == &socket_raw)))
		ret = -EADDRNOTAVAIL;
	else if (ret == 0)
		ret = s->kind->bind(s, a);
	net_unlock();
	return ret;
}

int socket_connect(struct file *f, const struct socket_addr *to)
{
	struct socket *s = socket_of(f);

	return s ? s->kind->connect(s, to, !file_nonblocking(f)) : -ENOTSOCK;
}

int socket_name(struct file *f, struct socket_addr *out)
{
	struct socket *s = socket_of(f);

	if (!s)
		return -ENOTSOCK;
	spin_lock(&s->lock);
	*out = s->local;
	spin_unlock(&s->lock);
	return 0;
}

int socket_peer(struct file *f, struct socket_addr *out)
{
	struct socket *s = socket_of(f);
	int ret = -ENOTCONN;

	if (!s)
		return -ENOTSOCK;
	spin_lock(&s->lock);
	if (s->state == SOCKET_OPEN) {
		*out = s->peer;
		ret = 0;
	}
	spin_unlock(&s->lock);
	return ret;
}

int socket_local(struct file *f, struct socket_addr *out)
{
	struct socket *s = socket_of(f);
	int ret = -ENOTCONN;

	if (!s)
		return -ENOTSOCK;
	spin_lock(&s->lock);
	if (s->peer.port) {
		*out = s->local;
		ret = 0;
	}
	spin_unlock(&s->lock);
	return ret;
}

int socket_shutdown(struct file *f, int how)
{
	struct socket *s = socket_of(f);
	int ret;

	if (!s)
		return -ENOTSOCK;
	if (how < SOCKET_SHUT_RD || how > SOCKET_SHUT_RDWR)
		return -EINVAL;
	if (s->kind->local)
		return s->kind->shutdown(s, how);
	net_lock();
	ret = s->kind->shutdown(s, how);
	net_unlock();
	return ret;
}

/* --- bytes ----------------------------------------------------------------------------------------------------------- */

static bool may_wait(struct file *f, const struct socket_message *m)
{
	return !file_nonblocking(f) && !(m->flags & SOCKET_MSG_DONTWAIT);
}

ssize_t socket_send(struct file *f, struct io *io, struct socket_message *m)
{
	struct socket *s = socket_of(f);

	return s ? s->kind->send(s, io, m, may_wait(f, m)) : -ENOTSOCK;
}

ssize_t socket_receive(struct file *f, struct io *io, struct socket_message *m)
{
	struct socket *s = socket_of(f);

	return s ? s->kind->receive(s, io, m, may_wait(f, m)) : -ENOTSOCK;
}

size_t socket_tx_pending(struct file *f)
{
	struct socket *s = socket_of(f);

	return s ? READ_ONCE(s->tx_pending) : 0;
}

size_t socket_rx_queued(struct file *f)
{
	struct socket *s = socket_of(f);

	return s ? READ_ONCE(s->rx_bytes) : 0;
}

/* --- options ----------------------------------------------------------------------------------------------------------- */

/* Half of what Linux calls the size is for bytes, the rest for what they cost. */
static size_t queue_size(const struct socket *s, int64_t asked)
{
	size_t most = s->kind == &socket_stream ? STREAM_BUFFER : DATAGRAM_BUFFER;

	return asked < SIZE_MIN ? SIZE_MIN : MIN((size_t)asked, most);
}

static int set_locked(struct socket *s, enum socket_option what, int64_t value) __requires(net_core)
{
	struct socket_settings *o = &s->opt;
	bool on = value != 0;

	switch (what) {
	case SOCKET_REUSE:
		WRITE_ONCE(o->reuse, on);
		break;
	case SOCKET_KEEPALIVE:
		WRITE_ONCE(o->keepalive, on);
		break;
	case SOCKET_NODELAY:
		if (s->kind != &socket_stream)
			return -ENOPROTOOPT;
		WRITE_ONCE(o->nodelay, on);
		break;
	case SOCKET_BROADCAST:
		WRITE_ONCE(o->broadcast, on);
		break;
	case SOCKET_LINGER:
		WRITE_ONCE(o->linger, (value & SOCKET_LINGERS) != 0);
		/* what it was is kept, as in Linux */
		if (o->linger)
			WRITE_ONCE(o->linger_s, (uint32_t)value);
		break;
	case SOCKET_RX_TIMEOUT:
		WRITE_ONCE(o->rx_timeout_ns, (uint64_t)value);
		break;
	case SOCKET_TX_TIMEOUT:
		WRITE_ONCE(o->tx_timeout_ns, (uint64_t)value);
		break;
	case SOCKET_RX_SIZE:
		WRITE_ONCE(o->rx_size, queue_size(s, value));
		break;
	case SOCKET_TX_SIZE:
		WRITE_ONCE(o->tx_size, queue_size(s, value));
		break;
	case SOCKET_TTL:
		/* -1: the usual */
		if (value != -1 && (value < 1 || value > 255))
			return -EINVAL;
		WRITE_ONCE(o->ttl, value == -1 ? 0 : (uint8_t)value);
		break;
	case SOCKET_V6ONLY:
		if (s->local.port)
			return -EINVAL;
		WRITE_ONCE(o->v6only, on);
		break;
	case SOCKET_TELL_HOPS:
	case SOCKET_TELL_HOPS_OLD:
		WRITE_ONCE(o->tell, on ? o->tell | BIT(what) : o->tell & ~BIT(what));
		break;
	case SOCKET_TELL_ERRORS:
		if (s->kind != &socket_udp)
			return -ENOPROTOOPT;
		WRITE_ONCE(o->tell_errors, on);
		break;
	case SOCKET_CHECKSUM:
		if (s->kind != &socket_raw || !s->v6)
			return -ENOPROTOOPT;
		if (value > UINT8_MAX || (value > 0 && value % 2))
			return -EINVAL;
		s->raw->chksum_reqd = value >= 0;
		s->raw->chksum_offset = value >= 0 ? (uint16_t)value : 0;
		break;
	default:
		return -ENOPROTOOPT;
	}
	s->kind->apply(s);
	return 0;
}

int socket_set(struct file *f, enum socket_option what, int64_t value)
{
	struct socket *s = socket_of(f);
	int ret;

	if (!s)
		return -ENOTSOCK;
	net_lock();
	ret = set_locked(s, what, value);
	net_unlock();
	return ret;
}

static struct socket *filtering(struct file *f)
{
	struct socket *s = socket_of(f);

	return s && s->v6 && s->kind == &socket_raw ? s : NULL;
}

int socket_set_filter(struct file *f, const uint32_t blocked[SOCKET_FILTER_WORDS])
{
	struct socket *s = filtering(f);

	if (!s)
		return -ENOPROTOOPT;
	net_lock();
	memcpy(s->blocked, blocked, sizeof(s->blocked));
	net_unlock();
	return 0;
}

int socket_get_filter(struct file *f, uint32_t blocked[SOCKET_FILTER_WORDS])
{
	struct socket *s = filtering(f);

	if (!s)
		return -ENOPROTOOPT;
	net_lock();
	memcpy(blocked, s->blocked, sizeof(s->blocked));
	net_unlock();
	return 0;
}

/* Of packets to the peer. */
static int mtu_of(struct socket *s, int64_t *value) __requires(net_core)
{
	struct netif *n;
	ip_addr_t ip;

	if (s->state != SOCKET_OPEN)
		return -ENOTCONN;
	address_to_lwip(&ip, &s->peer);
	n = ip_route(IP_ANY_TYPE, &ip);
	if (!n)
		return -ENETUNREACH;
	if (!n->mtu)
		*value = NET_LOOP_MTU;
	else
		*value = s->peer.v6 ? nd6_get_destination_mtu(ip_2_ip6(&ip), n) : n->mtu;
	return 0;
}

int socket_get(struct file *f, enum socket_option what, int64_t *value)
{
	struct socket *s = socket_of(f);
	const struct socket_settings *o;
	int ret;

	if (!s)
		return -ENOTSOCK;
	o = &s->opt;
	switch (what) {
	case SOCKET_ERROR:
		spin_lock(&s->lock);
		*value = -socket_take_error(s);
		spin_unlock(&s->lock);
		return 0;
	case SOCKET_TYPE:
		*value = s->kind->type;
		return 0;
	case SOCKET_PROTOCOL:
		*value = s->v6 ? s->kind->protocol6 : s->kind->protocol;
		return 0;
	case SOCKET_ACCEPTING:
		*value = READ_ONCE(s->state) == SOCKET_LISTENING;
		return 0;
	case SOCKET_REUSE:
		*value = READ_ONCE(o->reuse);
		return 0;
	case SOCKET_KEEPALIVE:
		*value = READ_ONCE(o->keepalive);
		return 0;
	case SOCKET_NODELAY:
		*value = READ_ONCE(o->nodelay);
		return s->kind == &socket_stream ? 0 : -ENOPROTOOPT;
	case SOCKET_BROADCAST:
		*value = READ_ONCE(o->broadcast);
		return 0;
	case SOCKET_LINGER:
		*value = (int64_t)READ_ONCE(o->linger_s) |
			 (READ_ONCE(o->linger) ? SOCKET_LINGERS : 0);
		return 0;
	case SOCKET_RX_TIMEOUT:
		*value = (int64_t)READ_ONCE(o->rx_timeout_ns);
		return 0;
	case SOCKET_TX_TIMEOUT:
		*value = (int64_t)READ_ONCE(o->tx_timeout_ns);
		return 0;
	case SOCKET_RX_SIZE:
		*value = 2 * (int64_t)READ_ONCE(o->rx_size);
		return 0;
	case SOCKET_TX_SIZE:
		*value = 2 * (int64_t)READ_ONCE(o->tx_size);
		return 0;
	case SOCKET_TTL:
		*value = READ_ONCE(o->ttl);
		if (!*value)
			*value = 64;
		return 0;
	case SOCKET_DOMAIN:
		*value = s->kind->local ? SOCKET_UNIX : s->v6 ? SOCKET_INET6 : SOCKET_INET;
		return 0;
	case SOCKET_V6ONLY:
		*value = READ_ONCE(o->v6only);
		return 0;
	case SOCKET_TELL_HOPS:
	case SOCKET_TELL_HOPS_OLD:
		*value = (READ_ONCE(o->tell) & BIT(what)) != 0;
		return 0;
	case SOCKET_TELL_ERRORS:
		*value = READ_ONCE(o->tell_errors);
		return s->kind == &socket_udp ? 0 : -ENOPROTOOPT;
	case SOCKET_CHECKSUM:
		if (s->kind != &socket_raw || !s->v6)
			return -ENOPROTOOPT;
		*value = s->raw->chksum_reqd ? s->raw->chksum_offset : -1;
		return 0;
	case SOCKET_MTU:
		net_lock();
		ret = mtu_of(s, value);
		net_unlock();
		return ret;
	}
	return -ENOPROTOOPT;
}
