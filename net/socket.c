/* SPDX-License-Identifier: MIT */
/* TCP sockets as files. A socket is changed by lwIP's callbacks (NET_CORE held, then SOCK) and by the threads that
 * use the file; readiness reads SOCK only.
 *
 * States, all moves under SOCK:
 *   CONNECTING -> OPEN      on_connected()                network thread or loop-back
 *   OPEN       -> GONE      on_error(), end of both sides lwIP has let go of the pcb
 *   CONNECTING -> GONE      on_error()
 *   LISTENING                until release
 * The pcb is ours to name until it is NULL: lwIP frees it with an error callback, or quietly at the end of TIME_WAIT,
 * which is why we let go as soon as both ends have been closed (I-SOCK-2).
 *
 *   I-SOCK-1  no user memory is touched with NET_CORE or SOCK held.
 *   I-SOCK-2  s->pcb != NULL implies that lwIP's pcb names s, and may be used under NET_CORE.
 *   I-SOCK-3  bytes queued cost at most a small multiple of their number in memory: small segments are copied
 *             together, so a peer cannot pin a frame per byte. */
#include "net/socket.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

#include "fs/file.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "net/core.h"
#include "net/socket_impl.h"

#define SMALL_SEGMENT 512  /* at most this long: copied behind the last one */
#define COMPACT_SIZE  2000 /* of the memory small segments are collected in */
#define WRITE_CHUNK   (16u * 1024)
#define ORPHAN_POLL   200 /* slow timer ticks of 70 ms */
#define ORPHAN_POLLS  3	  /* then a closed connection that cannot send its rest is reset */
#define BACKLOG_MAX   255

enum socket_state { SOCKET_LISTENING, SOCKET_CONNECTING, SOCKET_OPEN, SOCKET_GONE };

struct socket {
	spinlock_t lock; /* SOCK */
	struct poll_source source;
	struct tcp_pcb *pcb;	 /* [NET_CORE] I-SOCK-2 */
	enum socket_state state; /* [lock] */
	int error;		 /* [lock] taken by the next read or write */
	struct pbuf *rx_first;	 /* [lock] queued bytes, linked by ->next, one pbuf each */
	struct pbuf *rx_last;	 /* [lock] */
	size_t rx_bytes;	 /* [lock] */
	size_t rx_room; /* [lock] bytes free at the end of rx_last's memory; 0 if it is a frame */
	bool reading;	/* [lock] a reader has taken pbufs off and may put some back */
	bool rx_end;	/* [lock] the peer has sent its last */
	bool rx_shut;	/* [lock] nobody will read */
	bool tx_shut;	/* [lock] we have sent, or promised, our last */
	bool aborting;	/* [NET_CORE] the error is our own doing */
	size_t tx_room; /* [lock] what lwIP would take */
	size_t tx_pending;		/* [lock] written, not acknowledged */
	struct socket_addr peer, local; /* [lock] known from OPEN on */
	struct list_head link;		/* [listener's lock] in its backlog */
	struct list_head backlog;	/* [lock] of a listener: sockets nobody has accepted */
	struct list_head changed;	/* [NET_CORE] on the list of those to announce */
	uint32_t events;		/* [NET_CORE] to announce */
};

static struct list_head changed_sockets = LIST_HEAD_INIT(changed_sockets); /* [NET_CORE] */
static unsigned nr_sockets;						   /* [atomic] */

static const struct file_ops socket_ops;

/* --- helpers --------------------------------------------------------------------------------------------------- */

/* Announce events when NET_CORE is left: once a batch of frames, not once a segment. */
static void announce(struct socket *s, uint32_t events) __requires(net_core)
{
	s->events |= events;
	if (!list_linked(&s->changed))
		list_push_back(&s->changed, &changed_sockets);
}

void net_socket_notify_all(void)
{
	while (!list_empty(&changed_sockets)) {
		struct socket *s = list_first(&changed_sockets, struct socket, changed);
		uint32_t events = s->events;

		list_del(&s->changed);
		s->events = 0;
		poll_notify(&s->source, events);
	}
}

static int error_of(err_t err)
{
	switch (err) {
	case ERR_OK:
		return 0;
	case ERR_MEM:
	case ERR_BUF:
		return -ENOMEM;
	case ERR_USE:
		return -EADDRINUSE;
	case ERR_RTE:
		return -ENETUNREACH;
	case ERR_ISCONN:
		return -EISCONN;
	case ERR_CONN:
	case ERR_CLSD:
		return -ENOTCONN;
	case ERR_IF:
		return -ENETDOWN;
	case ERR_RST:
		return -ECONNRESET;
	case ERR_ABRT:
		return -ETIMEDOUT;
	default:
		return -EINVAL;
	}
}

static void addr_from_lwip(struct socket_addr *out, const ip_addr_t *ip, uint16_t port)
{
	memset(out, 0, sizeof(*out));
	out->port = port;
	out->v6 = IP_IS_V6(ip);
	if (out->v6)
		memcpy(out->addr, ip_2_ip6(ip)->addr, 16);
	else
		memcpy(out->addr, &ip_2_ip4(ip)->addr, 4);
}

static void addr_to_lwip(ip_addr_t *out, const struct socket_addr *a)
{
	ip_addr_set_zero(out);
	if (a->v6) {
		IP_SET_TYPE(out, IPADDR_TYPE_V6);
		memcpy(ip_2_ip6(out)->addr, a->addr, 16);
		ip6_addr_clear_zone(ip_2_ip6(out));
	} else {
		IP_SET_TYPE(out, IPADDR_TYPE_V4);
		memcpy(&ip_2_ip4(out)->addr, a->addr, 4);
	}
}

void socket_addr_format(char *buf, size_t size, const struct socket_addr *a)
{
	char text[48];
	size_t n = 0;

	if (!a->v6) {
		fmt_print(buf, size, "%u.%u.%u.%u:%u", a->addr[0], a->addr[1], a->addr[2],
			  a->addr[3], a->port);
		return;
	}
	for (int i = 0; i < 16; i += 2)
		n += fmt_print(text + n, sizeof(text) - n, "%s%x", i ? ":" : "",
			       (unsigned)a->addr[i] << 8 | a->addr[i + 1]);
	fmt_print(buf, size, "[%s]:%u", text, a->port);
}

/* --- receive queue ------------------------------------------------------------------------------------------------ */

static void rx_append(struct socket *s, struct pbuf *p, size_t room) __requires(s->lock)
{
	p->next = NULL;
	if (s->rx_first)
		s->rx_last->next = p;
	else
		s->rx_first = p;
	s->rx_last = p;
	s->rx_bytes += p->len;
	s->rx_room = room;
}

/* A single pbuf of ours again, as lwIP knows it. */
static void rx_free_one(struct pbuf *p) __requires(net_core)
{
	p->next = NULL;
	p->tot_len = p->len;
	pbuf_free(p);
}

static void rx_free_chain(struct pbuf *p) __requires(net_core)
{
	while (p) {
		struct pbuf *next = p->next;

		rx_free_one(p);
		p = next;
	}
}

/* Copy a small segment behind the last one. False: there is no room there. */
static bool rx_squeeze(struct socket *s, struct pbuf *p)
{
	bool done = false;

	spin_lock(&s->lock);
	if (s->rx_first && s->rx_room >= p->len) {
		memcpy((uint8_t *)s->rx_last->payload + s->rx_last->len, p->payload, p->len);
		s->rx_last->len += p->len;
		s->rx_bytes += p->len;
		s->rx_room -= p->len;
		done = true;
	}
	spin_unlock(&s->lock);
	return done;
}

/* I-SOCK-3. Queue one pbuf, in its own memory or copied. */
static void rx_queue_one(struct socket *s, struct pbuf *p) __requires(net_core)
{
	size_t room = 0;

	if (!p->len) {
		rx_free_one(p);
		return;
	}
	if (p->len <= SMALL_SEGMENT) {
		struct pbuf *q;

		if (rx_squeeze(s, p)) {
			rx_free_one(p);
			return;
		}
		q = pbuf_alloc(PBUF_RAW, COMPACT_SIZE, PBUF_RAM);
		if (q) {
			memcpy(q->payload, p->payload, p->len);
			room = COMPACT_SIZE - p->len;
			q->len = p->len;
			rx_free_one(p);
			p = q;
		}
	}
	spin_lock(&s->lock);
	rx_append(s, p, room);
	spin_unlock(&s->lock);
}

/* --- what lwIP calls: NET_CORE held ------------------------------------------------------------------------------------- */

static void refresh_tx(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb = s->pcb;
	/* not tcp_sndbuf(), which says at most 65535 */
	size_t room = pcb->snd_buf, pending = TCP_SND_BUF - room;

	/* each byte may cost a pbuf of its own: stop before lwIP's count of them does */
	if (tcp_sndqueuelen(pcb) + 8 >= TCP_SND_QUEUELEN)
		room = 0;
	spin_lock(&s->lock);
	s->tx_room = s->tx_shut ? 0 : room;
	s->tx_pending = pending;
	spin_unlock(&s->lock);
}

/* lwIP and we part: I-SOCK-2. The pcb, if it still lives, belongs to lwIP alone. */
static void detach(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb = s->pcb;

	s->pcb = NULL;
	if (!pcb)
		return;
	tcp_arg(pcb, NULL);
	if (pcb->state == LISTEN) {
		tcp_accept(pcb, NULL);
		return;
	}
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
}

/* A closed socket's pcb that still has bytes to deliver: for a minute, no longer, since the memory is ours. */
static err_t on_orphan_poll(void *arg, struct tcp_pcb *pcb)
{
	uintptr_t polls = (uintptr_t)arg + 1;

	if (polls >= ORPHAN_POLLS) {
		tcp_arg(pcb, NULL);
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	tcp_arg(pcb, (void *)polls);
	return ERR_OK;
}

/* Part from the pcb; what it still has to send has its time. NULL: there is none. */
static struct tcp_pcb *orphan(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb = s->pcb;

	detach(s);
	if (pcb && pcb->state != LISTEN)
		tcp_poll(pcb, on_orphan_poll, ORPHAN_POLL);
	return pcb;
}

static void became_gone(struct socket *s, int error) __requires(net_core)
{
	spin_lock(&s->lock);
	s->state = SOCKET_GONE;
	s->error = error;
	s->rx_end = true;
	s->tx_room = 0;
	s->tx_pending = 0;
	spin_unlock(&s->lock);
	announce(s, POLL_IN | POLL_OUT | POLL_RDHUP | POLL_HUP | (error ? POLL_ERR : 0));
}

/* lwIP has freed the pcb. */
static void on_error(void *arg, err_t err)
{
	struct socket *s = arg;
	int error = error_of(err);

	assert_mutex_held(&net_core);
	if (!s)
		return;
	s->pcb = NULL;
	if (s->aborting)
		error = -ECONNABORTED;
	else if (err == ERR_CLSD)
		error = 0;
	else if (err == ERR_RST && READ_ONCE(s->state) == SOCKET_CONNECTING)
		error = -ECONNREFUSED;
	became_gone(s, error);
}

/* The peer's end of stream. */
static void on_end(struct socket *s) __requires(net_core)
{
	bool both;

	spin_lock(&s->lock);
	s->rx_end = true;
	both = s->tx_shut;
	spin_unlock(&s->lock);
	announce(s, POLL_IN | POLL_RDHUP);
	if (both && (s->pcb->state == TIME_WAIT || s->pcb->state == CLOSING)) {
		/* no further callback would tell us of its end */
		orphan(s);
		became_gone(s, 0);
	}
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct socket *s = arg;

	assert_mutex_held(&net_core);
	if (!p) {
		on_end(s);
		return ERR_OK;
	}
	if (READ_ONCE(s->rx_shut)) {
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
		return ERR_OK;
	}
	while (p) {
		struct pbuf *next = p->next;

		ASSERT(p->ref == 1);
		p->next = NULL;
		rx_queue_one(s, p);
		p = next;
	}
	announce(s, POLL_IN);
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct socket *s = arg;
	bool was_full = s->tx_room < SOCKET_LOWAT;

	assert_mutex_held(&net_core);
	refresh_tx(s);
	if (was_full && s->tx_room >= SOCKET_LOWAT)
		announce(s, POLL_OUT);
	return ERR_OK;
}

static void attach(struct socket *s, struct tcp_pcb *pcb) __requires(net_core)
{
	s->pcb = pcb;
	tcp_arg(pcb, s);
	tcp_recv(pcb, on_received);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
}

static struct socket *socket_alloc(enum socket_state state)
{
	struct socket *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	spin_init(&s->lock, LOCK_SOCK);
	poll_source_init(&s->source);
	s->state = state;
	list_init(&s->link);
	list_init(&s->backlog);
	list_init(&s->changed);
	atomic_fetch_add(&nr_sockets, 1);
	return s;
}

static void opened(struct socket *s) __requires(net_core)
{
	struct socket_addr peer, local;

	addr_from_lwip(&peer, &s->pcb->remote_ip, s->pcb->remote_port);
	addr_from_lwip(&local, &s->pcb->local_ip, s->pcb->local_port);
	spin_lock(&s->lock);
	s->peer = peer;
	s->local = local;
	s->state = SOCKET_OPEN;
	spin_unlock(&s->lock);
	refresh_tx(s);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct socket *s = arg;

	assert_mutex_held(&net_core);
	opened(s);
	announce(s, POLL_OUT);
	return ERR_OK;
}

static err_t on_accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct socket *listener = arg;
	struct socket *s;

	assert_mutex_held(&net_core);
	/* no memory in lwIP: the peer was refused, the listener goes on */
	if (!pcb || err != ERR_OK || !listener)
		return ERR_VAL;
	s = socket_alloc(SOCKET_CONNECTING);
	if (!s)
		return ERR_MEM;
	tcp_backlog_delayed(pcb);
	attach(s, pcb);
	opened(s);
	spin_lock(&listener->lock);
	list_push_back(&s->link, &listener->backlog);
	spin_unlock(&listener->lock);
	announce(listener, POLL_IN);
	return ERR_OK;
}

/* --- files ------------------------------------------------------------------------------------------------------------------ */

static uint32_t socket_poll(struct file *f)
{
	struct socket *s = f->priv;
	uint32_t events = 0;

	spin_lock(&s->lock);
	if (s->state == SOCKET_LISTENING) {
		if (!list_empty(&s->backlog))
			events |= POLL_IN;
		goto unlock;
	}
	if (s->rx_bytes || s->rx_end || s->rx_shut || s->error)
		events |= POLL_IN;
	if (s->rx_end || s->rx_shut)
		events |= POLL_RDHUP;
	if (s->tx_room >= SOCKET_LOWAT || s->error || s->state == SOCKET_GONE ||
	    (s->tx_shut && s->state == SOCKET_OPEN))
		events |= POLL_OUT;
	if (s->error)
		events |= POLL_ERR;
	if (s->state == SOCKET_GONE || (s->rx_end && s->tx_shut))
		events |= POLL_HUP;
unlock:
	spin_unlock(&s->lock);
	return events;
}

static int take_error(struct socket *s) __requires(s->lock)
{
	int error = s->error;

	s->error = 0;
	return error;
}

/* Take pbufs worth at least `want` bytes off the queue, or all. >0 and *chain; 0 end of stream; -EAGAIN; -errno. */
static ssize_t rx_grab(struct socket *s, size_t want, struct pbuf **chain)
{
	struct pbuf *last;
	size_t n;
	ssize_t ret;

	spin_lock(&s->lock);
	if (s->state == SOCKET_LISTENING || s->state == SOCKET_CONNECTING) {
		ret = s->error ? take_error(s) : -ENOTCONN;
		goto unlock;
	}
	if (s->reading) {
		ret = -EAGAIN;
		goto unlock;
	}
	if (!s->rx_first) {
		ret = s->error ? take_error(s) : s->rx_end || s->rx_shut ? 0 : -EAGAIN;
		goto unlock;
	}
	last = s->rx_first;
	n = last->len;
	while (n < want && last->next) {
		last = last->next;
		n += last->len;
	}
	*chain = s->rx_first;
	s->rx_first = last->next;
	last->next = NULL;
	if (!s->rx_first) {
		s->rx_last = NULL;
		s->rx_room = 0;
	}
	s->reading = true;
	ret = (ssize_t)n;
unlock:
	spin_unlock(&s->lock);
	return ret;
}

/* The reader is done: what it did not consume goes back to the front. */
static void rx_return(struct socket *s, struct pbuf *rest, size_t consumed)
{
	bool more;

	spin_lock(&s->lock);
	if (rest) {
		struct pbuf *last = rest;

		while (last->next)
			last = last->next;
		last->next = s->rx_first;
		if (!s->rx_first) {
			s->rx_last = last;
			s->rx_room = 0;
		}
		s->rx_first = rest;
	}
	s->rx_bytes -= consumed;
	s->reading = false;
	more = s->rx_bytes || s->rx_end;
	spin_unlock(&s->lock);
	/* another reader may have found the queue taken */
	if (more)
		poll_notify(&s->source, POLL_IN);
}

/* Copy from the chain, no lock held (I-SOCK-1). Consumed pbufs move to *used; *chain is the rest. */
static ssize_t rx_copy(struct io *io, struct pbuf **chain, struct pbuf **used)
{
	struct pbuf **end = used;
	ssize_t total = 0;

	*used = NULL;
	while (*chain && io->left) {
		struct pbuf *p = *chain;
		ssize_t n = io_copy_to(io, p->payload, p->len);

		if (n < 0)
			return total ? total : n;
		total += n;
		if (n < p->len) {
			p->payload = (uint8_t *)p->payload + n;
			p->len -= (u16_t)n;
			break;
		}
		*chain = p->next;
		p->next = NULL;
		*end = p;
		end = &p->next;
	}
	return total;
}

/* Open the window by what was read; lwIP counts in 16 bits. */
static void rx_opened(struct socket *s, size_t n) __requires(net_core)
{
	while (s->pcb && n) {
		size_t step = MIN(n, (size_t)0xffff);

		tcp_recved(s->pcb, (u16_t)step);
		n -= step;
	}
}

static bool rx_waiting(struct socket *s)
{
	bool go;

	spin_lock(&s->lock);
	go = !s->reading && (s->rx_first || s->rx_end || s->rx_shut || s->error);
	spin_unlock(&s->lock);
	return go;
}

static ssize_t socket_read(struct file *f, struct io *io, off_t *pos)
{
	struct socket *s = f->priv;
	struct pbuf *chain = NULL, *used;
	ssize_t ret;

	if (!io->left)
		return 0;
	while ((ret = rx_grab(s, io->left, &chain)) == -EAGAIN) {
		if (file_nonblocking(f))
			return -EAGAIN;
		ret = wait_event_interruptible(&s->source.wq, rx_waiting(s));
		if (ret < 0)
			return ret;
	}
	if (ret <= 0)
		return ret;
	ret = rx_copy(io, &chain, &used);
	rx_return(s, chain, ret > 0 ? (size_t)ret : 0);
	if (ret > 0) {
		net_lock();
		rx_free_chain(used);
		rx_opened(s, (size_t)ret);
		net_unlock();
	}
	return ret;
}

/* Give n bytes of kernel memory to lwIP. Bytes taken, -EAGAIN none now, -EPIPE, -ENOMEM. */
static ssize_t tx_push(struct socket *s, const void *data, size_t n) __requires(net_core)
{
	size_t sent = 0;
	err_t err = ERR_OK;

	if (!s->pcb || s->tx_shut)
		return -EPIPE;
	while (sent < n && err == ERR_OK) {
		size_t step = MIN(n - sent, (size_t)s->pcb->snd_buf);

		step = MIN(step, (size_t)0x8000);
		if (!step)
			break;
		err = tcp_write(s->pcb, (const uint8_t *)data + sent, (u16_t)step,
				TCP_WRITE_FLAG_COPY | (sent + step < n ? TCP_WRITE_FLAG_MORE : 0));
		if (err == ERR_OK)
			sent += step;
	}
	if (err != ERR_OK && err != ERR_MEM && !sent)
		return error_of(err) == -ENOTCONN ? -EPIPE : error_of(err);
	(void)tcp_output(s->pcb);
	/* an error found while sending may have freed it */
	if (s->pcb)
		refresh_tx(s);
	if (sent)
		return (ssize_t)sent;
	/* no memory and nothing under way whose acknowledgement would wake us */
	if (err == ERR_MEM && s->pcb && !s->pcb->unacked && !s->pcb->unsent)
		return -ENOMEM;
	if (err == ERR_MEM) {
		spin_lock(&s->lock);
		s->tx_room = 0;
		spin_unlock(&s->lock);
	}
	return -EAGAIN;
}

static void io_skip(struct io *io, size_t n)
{
	while (n) {
		size_t step = MIN(n, io->cur.len);

		io->cur.base += step;
		io->cur.len -= step;
		io->left -= step;
		n -= step;
		if (!io->cur.len && io->nr_seg) {
			io->cur = *io->seg++;
			io->nr_seg--;
		}
	}
}

/* One step of a write: as much as lwIP takes now. Bytes, -EAGAIN, -errno. */
static ssize_t tx_step(struct socket *s, struct io *io, size_t room)
{
	struct io before = *io;
	size_t want = MIN(io->left, room);
	ssize_t n, ret;
	void *buf;

	want = MIN(want, (size_t)WRITE_CHUNK);
	buf = kmalloc(want);
	if (!buf)
		return -ENOMEM;
	/* I-SOCK-1 */
	n = io_copy_from(io, buf, want);
	if (n <= 0) {
		kfree(buf);
		return n;
	}
	net_lock();
	ret = tx_push(s, buf, (size_t)n);
	net_unlock();
	kfree(buf);
	if (ret != n) {
		*io = before;
		if (ret > 0)
			io_skip(io, (size_t)ret);
	}
	return ret;
}

/* Kernel memory needs no copy of its own before the lock. */
static ssize_t tx_step_kernel(struct socket *s, struct io *io, size_t room)
{
	size_t want;
	ssize_t ret;

	while (!io->cur.len && io->nr_seg) {
		io->cur = *io->seg++;
		io->nr_seg--;
	}
	want = MIN(io->cur.len, room);
	want = MIN(want, (size_t)WRITE_CHUNK * 4);
	net_lock();
	ret = tx_push(s, (const void *)io->cur.base, want);
	net_unlock();
	if (ret > 0)
		io_skip(io, (size_t)ret);
	return ret;
}

/* What may be written now: >0, -EAGAIN, -EPIPE or the pending error. */
static ssize_t tx_state(struct socket *s)
{
	ssize_t ret;

	spin_lock(&s->lock);
	if (s->error)
		ret = take_error(s);
	else if (s->state == SOCKET_LISTENING)
		ret = -ENOTCONN;
	else if (s->state == SOCKET_GONE || s->tx_shut)
		ret = -EPIPE;
	else
		ret = s->tx_room ? (ssize_t)s->tx_room : -EAGAIN;
	spin_unlock(&s->lock);
	return ret;
}

static bool tx_waiting(struct socket *s)
{
	bool go;

	spin_lock(&s->lock);
	go = s->tx_room >= SOCKET_LOWAT || s->error || s->state == SOCKET_GONE || s->tx_shut;
	spin_unlock(&s->lock);
	return go;
}

static ssize_t socket_write(struct file *f, struct io *io, off_t *pos)
{
	struct socket *s = f->priv;
	ssize_t total = 0, ret = 0;

	while (io->left) {
		ret = tx_state(s);
		if (ret > 0)
			ret = io->user ? tx_step(s, io, (size_t)ret)
				       : tx_step_kernel(s, io, (size_t)ret);
		if (ret > 0) {
			total += ret;
			continue;
		}
		if (ret != -EAGAIN || file_nonblocking(f))
			break;
		ret = wait_event_interruptible(&s->source.wq, tx_waiting(s));
		if (ret < 0)
			break;
	}
	return total ? total : ret;
}

/* Nobody knows the socket any more but its pcb. */
static void socket_free(struct socket *s)
{
	ASSERT(!s->pcb && !s->rx_first && list_empty(&s->backlog) && !list_linked(&s->changed));
	poll_source_check_idle(&s->source);
	kfree(s);
	atomic_fetch_sub(&nr_sockets, 1);
}

/* Send what was written, then close; the pcb is lwIP's from here on. */
static void close_pcb(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb = orphan(s);

	/* without memory for it now, lwIP's timer tries again */
	if (pcb)
		(void)tcp_close(pcb);
}

static void abort_pcb(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb = s->pcb;

	detach(s);
	if (pcb)
		tcp_abort(pcb);
}

static struct socket *backlog_take(struct socket *listener)
{
	struct socket *s;

	spin_lock(&listener->lock);
	s = list_first_or_null(&listener->backlog, struct socket, link);
	if (s)
		list_del(&s->link);
	spin_unlock(&listener->lock);
	return s;
}

/* Forget what waits to be announced: no watcher is left. */
static void forget(struct socket *s) __requires(net_core)
{
	list_del(&s->changed);
	rx_free_chain(s->rx_first);
	s->rx_first = NULL;
}

static void socket_destroy(struct socket *s)
{
	struct socket *child;

	net_lock();
	close_pcb(s);
	while ((child = backlog_take(s)) != NULL) {
		abort_pcb(child);
		forget(child);
		socket_free(child);
	}
	forget(s);
	net_unlock();
	socket_free(s);
}

static void socket_release(struct file *f)
{
	socket_destroy(f->priv);
}

static int socket_stat(struct file *f, struct kstat *st)
{
	memset(st, 0, sizeof(*st));
	st->mode = 0140777;
	st->nlink = 1;
	st->blksize = 4096;
	return 0;
}

static const struct file_ops socket_ops = {
	.name = "socket",
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.stat = socket_stat,
	.release = socket_release,
};

static struct socket *socket_of(struct file *f)
{
	return f->ops == &socket_ops ? f->priv : NULL;
}

static int file_for(struct socket *s, struct file **out)
{
	*out = file_create(&socket_ops, FILE_RDWR, &s->source, s);
	return *out ? 0 : -ENOMEM;
}

/* --- the contract of net/socket.h ----------------------------------------------------------------------------------------------- */

static int listen_locked(struct socket *s, uint16_t port, unsigned backlog) __requires(net_core)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
	struct tcp_pcb *listening;
	err_t err;

	if (!pcb)
		return -ENOMEM;
	ip_set_option(pcb, SOF_REUSEADDR);
	err = tcp_bind(pcb, IP_ANY_TYPE, port);
	if (err != ERR_OK) {
		tcp_abort(pcb);
		return error_of(err);
	}
	listening = tcp_listen_with_backlog_and_err(pcb, (u8_t)backlog, &err);
	if (!listening) {
		tcp_abort(pcb);
		return error_of(err);
	}
	s->pcb = listening;
	tcp_arg(listening, s);
	tcp_accept(listening, on_accepted);
	return 0;
}

int socket_listen_tcp(uint16_t port, unsigned backlog, struct file **out)
{
	struct socket *s;
	int ret;

	if (!port || !backlog || backlog > BACKLOG_MAX)
		return -EINVAL;
	s = socket_alloc(SOCKET_LISTENING);
	if (!s)
		return -ENOMEM;
	net_lock();
	ret = listen_locked(s, port, backlog);
	net_unlock();
	if (ret == 0 && (ret = file_for(s, out)) == 0)
		return 0;
	socket_destroy(s);
	return ret;
}

int socket_accept(struct file *listener, struct file **out, struct socket_addr *peer)
{
	struct socket *l = socket_of(listener);
	struct socket *s;
	int ret;

	if (!l)
		return -ENOTSOCK;
	if (l->state != SOCKET_LISTENING)
		return -EINVAL;
	s = backlog_take(l);
	if (!s)
		return -EAGAIN;
	ret = file_for(s, out);
	net_lock();
	if (s->pcb)
		tcp_backlog_accepted(s->pcb);
	if (ret < 0) {
		abort_pcb(s);
		forget(s);
	}
	net_unlock();
	if (ret < 0)
		socket_free(s);
	else if (peer)
		*peer = s->peer;
	return ret;
}

static int connect_locked(struct socket *s, const struct socket_addr *to) __requires(net_core)
{
	struct tcp_pcb *pcb;
	ip_addr_t ip;
	err_t err;

	addr_to_lwip(&ip, to);
	pcb = tcp_new_ip_type(IP_GET_TYPE(&ip));
	if (!pcb)
		return -ENOMEM;
	attach(s, pcb);
	err = tcp_connect(pcb, &ip, to->port, on_connected);
	if (err != ERR_OK)
		abort_pcb(s);
	return error_of(err);
}

int socket_connect_tcp(const struct socket_addr *to, struct file **out)
{
	struct socket *s = socket_alloc(SOCKET_CONNECTING);
	int ret;

	if (!s)
		return -ENOMEM;
	net_lock();
	ret = connect_locked(s, to);
	net_unlock();
	if (ret == 0 && (ret = file_for(s, out)) == 0)
		return 0;
	socket_destroy(s);
	return ret;
}

int socket_set_nodelay(struct file *f, bool on)
{
	struct socket *s = socket_of(f);

	if (!s)
		return -ENOTSOCK;
	net_lock();
	if (s->pcb && s->pcb->state != LISTEN) {
		if (on)
			tcp_nagle_disable(s->pcb);
		else
			tcp_nagle_enable(s->pcb);
	}
	net_unlock();
	return 0;
}

int socket_set_keepalive(struct file *f, unsigned idle_s, unsigned interval_s, unsigned count)
{
	struct socket *s = socket_of(f);

	if (!s)
		return -ENOTSOCK;
	if (idle_s > 1000000 || interval_s > 1000000)
		return -EINVAL;
	net_lock();
	if (s->pcb && s->pcb->state != LISTEN) {
		if (idle_s)
			ip_set_option(s->pcb, SOF_KEEPALIVE);
		else
			ip_reset_option(s->pcb, SOF_KEEPALIVE);
		s->pcb->keep_idle = idle_s * 1000;
		s->pcb->keep_intvl = interval_s * 1000;
		s->pcb->keep_cnt = count;
	}
	net_unlock();
	return 0;
}

static bool shut_tx(struct socket *s)
{
	bool first;

	spin_lock(&s->lock);
	first = !s->tx_shut;
	s->tx_shut = true;
	s->tx_room = 0;
	spin_unlock(&s->lock);
	return first;
}

int socket_shutdown(struct file *f, int how)
{
	struct socket *s = socket_of(f);
	int ret = 0;

	if (!s)
		return -ENOTSOCK;
	if (how < SOCKET_SHUT_RD || how > SOCKET_SHUT_RDWR)
		return -EINVAL;
	net_lock();
	if (!s->pcb || s->state != SOCKET_OPEN) {
		ret = -ENOTCONN;
		goto unlock;
	}
	if (how != SOCKET_SHUT_WR) {
		spin_lock(&s->lock);
		s->rx_shut = true;
		spin_unlock(&s->lock);
		announce(s, POLL_IN | POLL_RDHUP);
	}
	if (how != SOCKET_SHUT_RD && shut_tx(s)) {
		/* without memory for it now, lwIP's timer tries again */
		(void)tcp_shutdown(s->pcb, 0, 1);
		announce(s, POLL_OUT);
	}
unlock:
	net_unlock();
	return ret;
}

int socket_abort(struct file *f)
{
	struct socket *s = socket_of(f);

	if (!s)
		return -ENOTSOCK;
	if (s->state == SOCKET_LISTENING)
		return -EINVAL;
	net_lock();
	s->aborting = true;
	if (s->pcb)
		tcp_abort(s->pcb);
	net_unlock();
	return 0;
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

unsigned socket_count(void)
{
	return atomic_load_relaxed(&nr_sockets);
}
