/* SPDX-License-Identifier: MIT */
/* Streams: TCP connections and listeners. A socket is changed by lwIP's callbacks (NET_CORE held, then SOCK) and by the
 * threads that use the file; readiness reads SOCK only. States and invariants are in net/socket_impl.h. */
#include "net/socket_impl.h"

#include <lwip/ip.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

#include "fs/file.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/proc/process.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "net/address.h"
#include "net/core.h"

#define SMALL_SEGMENT 512  /* at most this long: copied behind the last one */
#define COMPACT_SIZE  2000 /* of the memory small segments are collected in */
#define RX_COST                                                                                    \
	2048 /* of what is queued, a frame or memory for small segments, at least: I-SOCK-4 */
#define TX_COST	     256 /* of a segment to be sent, besides its bytes */
#define RX_UNOPENED  512 /* bytes read that lwIP need not be told of at once */
#define TX_FEW	     128 /* written by way of the stack */
#define WRITE_CHUNK  ((size_t)TCP_MSS)
#define FRAME_MSS    1460
#define ORPHAN_POLL  200 /* slow timer ticks of 70 ms */
#define ORPHAN_POLLS 3	 /* then a closed connection that cannot send its rest is reset */
#define MSS_LEAST    48	 /* as in Linux: what a peer may have its segments cut to */
#define LENT	     2	 /* net_tcp_seen() */

static struct list_head changed_sockets = LIST_HEAD_INIT(changed_sockets); /* [NET_CORE] */

static void linger_look(struct socket *s) __requires(net_core);
static void stop_listening(struct socket *s) __requires(net_core);

/* --- helpers --------------------------------------------------------------------------------------------------- */

void socket_announce(struct socket *s, uint32_t events)
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
		if (READ_ONCE(s->lingering))
			linger_look(s);
		poll_notify(&s->source, events);
	}
}

int socket_error_of(int err)
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

/* --- receive queue ------------------------------------------------------------------------------------------------ */

static void rx_append(struct socket *s, struct pbuf *p, size_t room) __requires(s->lock)
{
	p->next = NULL;
	if (s->rx_first)
		s->rx_last->next = p;
	else
		WRITE_ONCE(s->rx_first, p);
	s->rx_last = p;
	WRITE_ONCE(s->rx_bytes, s->rx_bytes + p->len);
	/* until it is freed nobody else wants to know how long a packet it was */
	p->tot_len = MAX((u16_t)RX_COST, p->len);
	WRITE_ONCE(s->rx_held, s->rx_held + p->tot_len);
	WRITE_ONCE(s->rx_room, room);
	socket_charge(p->tot_len);
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

	/* without the lock: readers only take it away */
	if (READ_ONCE(s->rx_room) < p->len)
		return false;
	spin_lock(&s->lock);
	if (s->rx_first && s->rx_room >= p->len) {
		memcpy((uint8_t *)s->rx_last->payload + s->rx_last->len, p->payload, p->len);
		s->rx_last->len += p->len;
		WRITE_ONCE(s->rx_bytes, s->rx_bytes + p->len);
		WRITE_ONCE(s->rx_room, s->rx_room - p->len);
		done = true;
	}
	spin_unlock(&s->lock);
	return done;
}

/* A small segment of the loop-back, whose memory is no device's, nor one of those below. */
static bool rx_is_light(const struct pbuf *p)
{
	return !(p->flags & PBUF_FLAG_IS_CUSTOM) && p->if_idx != NETIF_NO_INDEX;
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
		/* what came over the loop-back alone lies in memory of its own size */
		q = rx_is_light(p) && !READ_ONCE(s->rx_first)
			    ? NULL
			    : pbuf_alloc(PBUF_RAW, COMPACT_SIZE, PBUF_RAM);
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

/* See net_tcp_seen(). */
static void rx_take_back(struct socket *s) __requires(net_core)
{
	if (s->pcb && s->rx_lent)
		s->pcb->rcv_wnd -= LENT;
	s->rx_lent = false;
}

/* lwIP tells the peer of a window that has grown by four segments, which a small one never does: of one that was too small for a
 * segment it is told at once. */
static void tell_window(struct tcp_pcb *pcb) __requires(net_core)
{
	uint32_t known = pcb->rcv_ann_right_edge - pcb->rcv_nxt;

	if (known >= pcb->mss || pcb->rcv_ann_wnd <= known)
		return;
	tcp_ack_now(pcb);
	(void)tcp_output(pcb);
}

/* Open the window by what was read, so far as rx_size lets it be open; lwIP counts in 16 bits. A window is never shut that
 * was open: when rx_size shrinks, it is what is read that does not open it again. */
static void rx_opened(struct socket *s, size_t n) __requires(net_core)
{
	/* a peer that does not scale windows has a smaller one */
	size_t whole = s->pcb ? TCP_WND_MAX(s->pcb) : 0, take;
	size_t withhold = whole > s->opt.rx_size ? whole - s->opt.rx_size : 0;
	bool told = false;

	/* nearly always: a few bytes of the whole window */
	if (!(withhold | s->rx_withheld | s->rx_lent) && s->pcb && n && n <= RX_UNOPENED) {
		tcp_recved(s->pcb, (u16_t)n);
		return;
	}
	if (s->rx_withheld < withhold) {
		take = MIN(n, withhold - s->rx_withheld);
		s->rx_withheld += take;
		n -= take;
	} else {
		n += s->rx_withheld - withhold;
		s->rx_withheld = withhold;
	}
	rx_take_back(s);
	while (s->pcb && n) {
		struct tcp_pcb *pcb = s->pcb;
		size_t step = MIN(n, (size_t)0xffff);
		u16_t mss = pcb->mss;

		/* lwIP moves the window by segments; a small one would never hold one of the loop-back's */
		pcb->mss = MIN(mss, (u16_t)FRAME_MSS);
		tcp_recved(pcb, (u16_t)step);
		if (s->pcb)
			pcb->mss = mss;
		n -= step;
		told = true;
	}
	if (told && s->pcb)
		tell_window(s->pcb);
}

/* Tell lwIP of what was read. */
static void rx_settle(struct socket *s) __requires(net_core)
{
	struct pbuf *used;
	size_t n;

	spin_lock(&s->lock);
	used = s->rx_used;
	n = s->rx_unopened;
	s->rx_used = NULL;
	WRITE_ONCE(s->rx_unopened, 0);
	spin_unlock(&s->lock);
	rx_free_chain(used);
	rx_opened(s, n);
}

/* --- what lwIP calls: NET_CORE held ------------------------------------------------------------------------------------- */

/* What the bytes written and their segments cost. */
static size_t tx_cost(const struct tcp_pcb *pcb) __requires(net_core)
{
	return TCP_SND_BUF - pcb->snd_buf + tcp_sndqueuelen(pcb) * TX_COST;
}

static void refresh_tx(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb = s->pcb;
	/* not tcp_sndbuf(), which says at most 65535 */
	size_t room = pcb->snd_buf, pending = TCP_SND_BUF - room;
	size_t held = tx_cost(pcb);
	size_t most = s->opt.tx_size;
	bool was_full = s->tx_room < SOCKET_LOWAT;

	/* I-SOCK-4 */
	most = MIN(most, pending + socket_may_take(held));
	/* each byte may cost a pbuf of its own: stop before lwIP's count of them does */
	if (tcp_sndqueuelen(pcb) + 8 >= TCP_SND_QUEUELEN || pending >= most)
		room = 0;
	else
		room = MIN(room, most - pending);
	socket_charge((int64_t)held - (int64_t)s->tx_held);
	WRITE_ONCE(s->tx_held, held);
	WRITE_ONCE(s->tx_room, s->tx_shut ? 0 : room);
	WRITE_ONCE(s->tx_pending, pending);
	if (was_full && s->tx_room >= SOCKET_LOWAT)
		socket_announce(s, POLL_OUT);
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
	socket_charge(-(int64_t)s->tx_held);
	WRITE_ONCE(s->tx_held, 0);
	spin_lock(&s->lock);
	WRITE_ONCE(s->state, SOCKET_GONE);
	WRITE_ONCE(s->error, error);
	WRITE_ONCE(s->rx_end, true);
	WRITE_ONCE(s->tx_room, 0);
	WRITE_ONCE(s->tx_pending, 0);
	spin_unlock(&s->lock);
	socket_announce(s, POLL_IN | POLL_OUT | POLL_RDHUP | POLL_HUP | (error ? POLL_ERR : 0));
}

/* lwIP has freed the pcb. */
static void on_error(void *arg, err_t err)
{
	struct socket *s = arg;
	int error = socket_error_of(err);

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
	else if (err == ERR_RST && READ_ONCE(s->rx_end))
		error = -EPIPE;
	became_gone(s, error);
}

/* The peer's end of stream. */
static void on_end(struct socket *s) __requires(net_core)
{
	bool both;

	spin_lock(&s->lock);
	WRITE_ONCE(s->rx_end, true);
	both = s->tx_shut;
	spin_unlock(&s->lock);
	socket_announce(s, POLL_IN | POLL_RDHUP);
	if (both && (s->pcb->state == TIME_WAIT ||
		     (s->pcb->state == CLOSING && !READ_ONCE(s->lingering)))) {
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
	if (READ_ONCE(s->lingering)) {
		/* nobody will read it, and the peer is told */
		pbuf_free(p);
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	if (READ_ONCE(s->rx_shut)) {
		rx_take_back(s);
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
		return ERR_OK;
	}
	/* I-SOCK-4: lwIP keeps it, takes no more, and asks again at its next tick. But not what came with the peer's last
	 * (the state says so): it may forget such a connection, and what it keeps, without asking */
	if (pcb->state < CLOSE_WAIT && !socket_may_hold(READ_ONCE(s->rx_held)))
		return ERR_MEM;
	while (p) {
		struct pbuf *next = p->next;

		ASSERT(p->ref == 1);
		p->next = NULL;
		rx_queue_one(s, p);
		p = next;
	}
	socket_announce(s, POLL_IN);
	return ERR_OK;
}

static bool backlog_full(const struct tcp_pcb_listen *listener) __requires(net_core)
{
	const struct socket *s = listener ? socket_of_pcb((const struct tcp_pcb *)listener) : NULL;

	/* as in Linux: one more than was asked for */
	return s && READ_ONCE(s->nr_backlog) > s->backlog_most;
}

/* As in Linux: a listener whose back-log is full hears no SYN, nor the acknowledgement that would complete a connection; who
 * sent it asks again. */
static bool may_arrive(const struct tcp_pcb *pcb, unsigned flags) __requires(net_core)
{
	if (pcb->state == SYN_RCVD)
		return (flags & TCP_RST) || !(flags & TCP_ACK) || !backlog_full(pcb->listener);
	if (pcb->state != LISTEN || (flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return true;
	if (backlog_full((const struct tcp_pcb_listen *)pcb))
		return false;
	net_embryo_make_room();
	return true;
}

/* An empty segment that stands at the end of a shut window, or one behind it, for lwIP counts its probe as sent, has nothing
 * outside of the window. Yet lwIP answers it; so two ends that are both full would answer each other for ever. A window of
 * two, lent for the time it is looked at, takes it in; it is back before bytes are counted, so that none comes beyond. */
int net_tcp_seen(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, const struct pbuf *p)
{
	bool open = pcb->state >= ESTABLISHED && pcb->state < TIME_WAIT;
	struct socket *s;

	assert_mutex_held(&net_core);
	if (!may_arrive(pcb, TCPH_FLAGS(hdr)))
		return ERR_MEM;
	s = open ? socket_of_pcb(pcb) : NULL;
	if (!s)
		return ERR_OK;
	if (READ_ONCE(s->lingering))
		socket_announce(s, POLL_OUT);
	rx_take_back(s);
	s->rx_lent = !p->tot_len && !pcb->rcv_wnd && hdr->seqno - pcb->rcv_nxt < LENT &&
		     !(TCPH_FLAGS(hdr) & (TCP_SYN | TCP_FIN | TCP_RST));
	pcb->rcv_wnd += s->rx_lent ? LENT : 0;
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct socket *s = arg;

	assert_mutex_held(&net_core);
	refresh_tx(s);
	return ERR_OK;
}

static void attach(struct socket *s, struct tcp_pcb *pcb) __requires(net_core)
{
	s->pcb = pcb;
	s->rx_withheld = 0;
	s->rx_lent = false;
	tcp_arg(pcb, s);
	tcp_recv(pcb, on_received);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
}

/* The socket's settings, to a pcb that is no listener's, or to what a listener has for its children. */
static void stream_apply(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb = s->pcb;

	if (!pcb)
		return;
	if (s->opt.reuse)
		ip_set_option(pcb, SOF_REUSEADDR);
	else
		ip_reset_option(pcb, SOF_REUSEADDR);
	if (s->opt.keepalive)
		ip_set_option(pcb, SOF_KEEPALIVE);
	else
		ip_reset_option(pcb, SOF_KEEPALIVE);
	pcb->ttl = s->opt.ttl ? s->opt.ttl : TCP_TTL;
	if (pcb->state == LISTEN)
		return;
	if (s->opt.nodelay)
		tcp_nagle_disable(pcb);
	else
		tcp_nagle_enable(pcb);
	if (s->state == SOCKET_OPEN)
		refresh_tx(s);
	rx_opened(s, 0);
}

static void opened(struct socket *s) __requires(net_core)
{
	struct socket_addr peer, local;

	address_from_lwip(&peer, &s->pcb->remote_ip, s->pcb->remote_port);
	address_from_lwip(&local, &s->pcb->local_ip, s->pcb->local_port);
	/* lwIP stops the machine when what segments are cut to shrinks under segments that wait to be sent; a peer can
	 * do that by any option of any segment, and by its first window if it was none */
	s->mss = s->pcb->mss = MAX(s->pcb->mss, MSS_LEAST);
	/* of which lwIP lets out none whose size is above the congestion window */
	s->pcb->cwnd = MAX(s->pcb->cwnd, s->mss);
	s->pcb->snd_wnd_max = MAX(s->pcb->snd_wnd_max, 2u * MSS_LEAST);
	spin_lock(&s->lock);
	s->peer = peer;
	s->local = local;
	WRITE_ONCE(s->state, SOCKET_OPEN);
	spin_unlock(&s->lock);
	refresh_tx(s);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct socket *s = arg;

	assert_mutex_held(&net_core);
	opened(s);
	socket_announce(s, POLL_OUT);
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
	s = socket_alloc(&socket_stream, listener->v6, SOCKET_CONNECTING);
	if (!s)
		return ERR_MEM;
	net_time_waits_trim();
	attach(s, pcb);
	s->opt = listener->opt;
	opened(s);
	stream_apply(s);
	spin_lock(&listener->lock);
	list_push_back(&s->link, &listener->backlog);
	WRITE_ONCE(listener->nr_backlog, listener->nr_backlog + 1);
	spin_unlock(&listener->lock);
	socket_announce(listener, POLL_IN);
	return ERR_OK;
}

/* --- files ------------------------------------------------------------------------------------------------------------------ */

static uint32_t stream_poll(struct socket *s)
{
	uint32_t events = 0;

	spin_lock(&s->lock);
	if (s->state == SOCKET_LISTENING) {
		if (!list_empty(&s->backlog))
			events |= POLL_IN;
		goto unlock;
	}
	if (s->state == SOCKET_FRESH)
		events |= POLL_OUT | POLL_HUP;
	if (s->rx_bytes || s->rx_end || s->rx_shut)
		events |= POLL_IN;
	if (s->rx_end || s->rx_shut)
		events |= POLL_RDHUP;
	if (READ_ONCE(s->tx_room) >= SOCKET_LOWAT || s->error || s->state == SOCKET_GONE ||
	    (s->tx_shut && s->state == SOCKET_OPEN))
		events |= POLL_OUT;
	if (s->error)
		events |= POLL_ERR;
	if (s->state == SOCKET_GONE || ((s->rx_end || s->rx_shut) && s->tx_shut))
		events |= POLL_HUP;
unlock:
	spin_unlock(&s->lock);
	return events;
}

int socket_take_error(struct socket *s)
{
	int error = s->error;

	WRITE_ONCE(s->error, 0);
	return error;
}

/* A call of recv: it is of the connection there was when it began. */
struct rx_call {
	unsigned life, flags;
	size_t total; /* read so far */
};

/* Take pbufs worth at least `want` bytes off the queue, or all. >0 and *chain; 0 end of stream; -EAGAIN; -EBUSY another is at it; -errno, but the
 * pending error only for the first bytes of a call. */
static ssize_t rx_grab(struct socket *s, const struct rx_call *call, size_t want,
		       struct pbuf **chain)
{
	struct pbuf *last;
	size_t n;
	ssize_t ret;

	spin_lock(&s->lock);
	if (s->life != call->life) {
		ret = -EPIPE;
		goto unlock;
	}
	if (s->state == SOCKET_LISTENING || s->state == SOCKET_FRESH) {
		ret = s->error ? socket_take_error(s) : -ENOTCONN;
		if (ret == -ENOTCONN && s->rx_shut && s->state == SOCKET_FRESH)
			ret = 0;
		goto unlock;
	}
	if (s->reading) {
		ret = -EBUSY;
		goto unlock;
	}
	if (!s->rx_first) {
		if (s->error)
			ret = call->total ? 0 : socket_take_error(s);
		else
			ret = s->rx_end || s->rx_shut ? 0 : -EAGAIN;
		goto unlock;
	}
	last = s->rx_first;
	n = last->len;
	while (n < want && last->next) {
		last = last->next;
		n += last->len;
	}
	*chain = s->rx_first;
	WRITE_ONCE(s->rx_first, last->next);
	last->next = NULL;
	if (!s->rx_first) {
		s->rx_last = NULL;
		WRITE_ONCE(s->rx_room, 0);
	}
	WRITE_ONCE(s->reading, true);
	ret = (ssize_t)n;
unlock:
	spin_unlock(&s->lock);
	return ret;
}

/* May lwIP be told of what was read when NET_CORE is taken for something else? A single byte is not worth it; but nothing
 * that counts may be held, neither memory nor window. */
static bool rx_may_wait(const struct socket *s, const struct pbuf *used) __requires(s->lock)
{
	return s->rx_unopened <= RX_UNOPENED && s->opt.rx_size >= TCP_WND / 2 && !s->rx_used &&
	       (!used || (!used->next && rx_is_light(used)));
}

/* The reader is done: what it did not consume goes back to the front. True: rx_settle() is due. */
static bool rx_return(struct socket *s, struct pbuf *rest, struct pbuf *used, size_t consumed)
{
	bool more, due;
	size_t freed = 0;

	spin_lock(&s->lock);
	WRITE_ONCE(s->rx_unopened, s->rx_unopened + consumed);
	due = consumed && !rx_may_wait(s, used);
	if (used) {
		struct pbuf *last = used;

		for (freed = last->tot_len; last->next; freed += last->tot_len)
			last = last->next;
		last->next = s->rx_used;
		s->rx_used = used;
	}
	if (rest) {
		struct pbuf *last = rest;

		while (last->next)
			last = last->next;
		last->next = s->rx_first;
		if (!s->rx_first) {
			s->rx_last = last;
			WRITE_ONCE(s->rx_room, 0);
		}
		WRITE_ONCE(s->rx_first, rest);
	}
	WRITE_ONCE(s->rx_bytes, s->rx_bytes - consumed);
	WRITE_ONCE(s->rx_held, s->rx_held - freed);
	socket_charge(-(int64_t)freed);
	WRITE_ONCE(s->reading, false);
	more = s->rx_bytes || s->rx_end || s->rx_shut || s->error || s->read_awaited;
	s->read_awaited = false;
	spin_unlock(&s->lock);
	/* another reader may have found the queue taken; who watches is told of what comes, not of what is left */
	if (more)
		wake_all(&s->source.wq);
	return due;
}

/* Does nobody copy what was queued? Whoever does wakes who asked; that is asked anew before each sleep, for by the time who was
 * woken looks again the next may be at it. */
static bool rx_is_free(struct socket *s)
{
	bool is;

	spin_lock(&s->lock);
	is = !s->reading;
	s->read_awaited |= !is;
	spin_unlock(&s->lock);
	return is;
}

/* Let n bytes of the io pass. */
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

/* One pbuf's bytes, or, with SOCKET_MSG_TRUNC, none of them, though they count. */
static ssize_t rx_copy_one(struct io *io, const struct pbuf *p, unsigned flags)
{
	size_t n = MIN((size_t)p->len, io->left);

	if (!(flags & SOCKET_MSG_TRUNC))
		return io_copy_to(io, p->payload, p->len);
	io_skip(io, n);
	return (ssize_t)n;
}

/* Copy from the chain, no lock held (I-SOCK-1). Consumed pbufs move to *used; *chain is the rest. */
static ssize_t rx_copy(struct io *io, struct pbuf **chain, struct pbuf **used, unsigned flags)
{
	struct pbuf **end = used;
	ssize_t total = 0;

	*used = NULL;
	while (*chain && io->left) {
		struct pbuf *p = *chain;
		ssize_t n = rx_copy_one(io, p, flags);

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

/* The same, and nothing is consumed. */
static ssize_t rx_look(struct io *io, const struct pbuf *p, unsigned flags)
{
	ssize_t total = 0, n = 0;

	for (; p && io->left && n >= 0; p = p->next) {
		n = rx_copy_one(io, p, flags);
		total += n > 0 ? n : 0;
	}
	return total ? total : n;
}

/* Is it worth a look? Without the lock: rx_grab() has it, and who changes one of these wakes. */
static bool rx_waiting(struct socket *s, const struct rx_call *call, size_t want)
{
	return !READ_ONCE(s->reading) &&
	       ((READ_ONCE(s->rx_first) && READ_ONCE(s->rx_bytes) >= want) ||
		READ_ONCE(s->rx_end) || READ_ONCE(s->rx_shut) || READ_ONCE(s->error) ||
		READ_ONCE(s->state) <= SOCKET_LISTENING || READ_ONCE(s->life) != call->life);
}

/* What is queued now, or what rx_grab() says. */
static ssize_t rx_step(struct socket *s, const struct rx_call *call, struct io *io)
{
	bool look = call->flags & SOCKET_MSG_PEEK;
	struct pbuf *chain = NULL, *used = NULL;
	ssize_t ret = rx_grab(s, call, io->left, &chain);

	if (ret <= 0)
		return ret;
	ret = look ? rx_look(io, chain, call->flags) : rx_copy(io, &chain, &used, call->flags);
	if (rx_return(s, chain, used, ret > 0 && !look ? (size_t)ret : 0)) {
		net_lock();
		rx_settle(s);
		net_unlock();
	}
	return ret;
}

static ssize_t stream_receive(struct socket *s, struct io *io, struct socket_message *m, bool wait)
{
	uint64_t timeout = READ_ONCE(s->opt.rx_timeout_ns), start = timeout ? clock_now_ns() : 0;
	struct rx_call call = { READ_ONCE(s->life), m->flags, 0 };
	bool all = m->flags & SOCKET_MSG_WAITALL, look = m->flags & SOCKET_MSG_PEEK;
	/* who looks for all of it does not take what is there */
	size_t want = all && look ? io->left : 1;
	/* who has to wait looks once, not twice */
	bool step = !wait || READ_ONCE(s->rx_first);
	ssize_t ret = 0;

	do {
		if (step && (want == 1 || !wait || rx_waiting(s, &call, want)))
			ret = rx_step(s, &call, io);
		else
			ret = -EAGAIN;
		if (ret > 0) {
			call.total += (size_t)ret;
			if (!all || look)
				break;
			continue;
		}
		/* what another reader or looker leaves is there for who does not wait, too; he is only copying */
		if (ret == -EBUSY) {
			ret = wait_event_killable(&s->source.wq, rx_is_free(s));
			if (ret < 0)
				break;
			continue;
		}
		if (ret != -EAGAIN || !wait)
			break;
		ret = socket_wait(s, rx_waiting(s, &call, want), timeout, start);
		if (ret < 0)
			break;
		step = true;
	} while (io->left);
	m->flags = 0;
	m->named = false;
	return call.total ? (ssize_t)call.total : ret;
}

/* All of *n bytes, or as many as lwIP has room for: a peer that wants tiny segments, or has a tiny window, uses up lwIP's
 * count of them long before its bytes, and lwIP takes all or nothing. */
static err_t tx_write(struct tcp_pcb *pcb, const void *data, size_t *n, bool more)
	__requires(net_core)
{
	u8_t flags = TCP_WRITE_FLAG_COPY | (more ? TCP_WRITE_FLAG_MORE : 0);
	err_t err;

	while ((err = tcp_write(pcb, data, (u16_t)*n, flags)) == ERR_MEM && *n > 1)
		*n /= 2;
	return err;
}

/* A call of send: it is for the connection there was when it began. */
struct tx_call {
	unsigned life;
	bool more;
};

/* Give n bytes of kernel memory to lwIP. Bytes taken, -EAGAIN none now, -EPIPE, -ENOMEM. */
static ssize_t tx_push(struct socket *s, const struct tx_call *call, const void *data, size_t n)
	__requires(net_core)
{
	size_t sent = 0;
	err_t err = ERR_OK;

	/* since it was looked at without NET_CORE the socket may have been disconnected, and listen, or connect anew */
	if (s->state != SOCKET_OPEN || s->life != call->life || !s->pcb || s->tx_shut)
		return -EPIPE;
	if (READ_ONCE(s->rx_unopened))
		rx_settle(s);
	/* I-SOCK-4: others may have taken since what there was room for */
	if (n > FRAME_MSS && socket_may_take(tx_cost(s->pcb)) < n) {
		refresh_tx(s);
		n = MIN(n, s->tx_room);
		if (!n)
			return -EAGAIN;
	}
	/* what lwIP keeps of a segment that the peer had no room for is nobody's */
	if (n > FRAME_MSS && s->mss > FRAME_MSS && !s->pcb->unsent && !socket_may_hold(TCP_MSS))
		s->mss = FRAME_MSS;
again:
	net_sum_needless = ip_addr_isloopback(&s->pcb->remote_ip);
	s->pcb->mss = s->mss;
	while (sent < n && err == ERR_OK) {
		size_t step = MIN(n - sent, (size_t)s->pcb->snd_buf);

		step = MIN(step, (size_t)0x8000);
		if (!step)
			break;
		err = tx_write(s->pcb, (const uint8_t *)data + sent, &step, sent + step < n);
		if (err == ERR_OK)
			sent += step;
	}
	net_sum_needless = false;
	if (err != ERR_OK && err != ERR_MEM && !sent)
		return socket_error_of(err) == -ENOTCONN ? -EPIPE : socket_error_of(err);
	/* what does not fill a segment goes with what is said to follow, or when lwIP looks next, in 70 ms */
	if (!call->more || sent < n || !s->pcb->unsent || s->pcb->unsent->next)
		(void)tcp_output(s->pcb);
	/* an error found while sending may have freed it */
	if (s->pcb)
		refresh_tx(s);
	if (sent)
		return (ssize_t)sent;
	/* no memory and nothing under way whose acknowledgement would wake us */
	if (err == ERR_MEM && s->pcb && !s->pcb->unacked && !s->pcb->unsent) {
		if (s->mss <= FRAME_MSS)
			return -ENOMEM;
		/* pages side by side are rarer */
		s->mss = FRAME_MSS;
		err = ERR_OK;
		goto again;
	}
	if (err == ERR_MEM)
		WRITE_ONCE(s->tx_room, 0);
	return -EAGAIN;
}

/* One step of a write: as much as lwIP takes now. Bytes, -EAGAIN, -errno. */
static ssize_t tx_step(struct socket *s, const struct tx_call *call, struct io *io, size_t room)
{
	struct io before = *io;
	size_t want = MIN(io->left, room);
	uint8_t few[TX_FEW];
	ssize_t n, ret;
	void *buf = few;

	want = MIN(want, (size_t)WRITE_CHUNK);
	if (want > sizeof(few))
		buf = kmalloc(want);
	if (!buf)
		return -ENOMEM;
	/* I-SOCK-1 */
	n = io_copy_from(io, buf, want);
	if (n < (ssize_t)want) {
		*io = before;
		ret = -EFAULT;
		goto free;
	}
	net_lock();
	ret = tx_push(s, call, buf, (size_t)n);
	net_unlock();
	if (ret != n) {
		*io = before;
		if (ret > 0)
			io_skip(io, (size_t)ret);
	}
free:
	if (buf != few)
		kfree(buf);
	return ret;
}

/* Kernel memory needs no copy of its own before the lock. */
static ssize_t tx_step_kernel(struct socket *s, const struct tx_call *call, struct io *io,
			      size_t room)
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
	ret = tx_push(s, call, (const void *)io->cur.base, want);
	net_unlock();
	if (ret > 0)
		io_skip(io, (size_t)ret);
	return ret;
}

/* Why nothing more can be written in this life: the pending error, which is taken if no byte went before, or -EPIPE. 0: it can. */
static ssize_t tx_ended(struct socket *s, unsigned life, bool first)
{
	ssize_t ret = 0;

	spin_lock(&s->lock);
	if (s->life != life)
		ret = -EPIPE;
	else if (s->error)
		ret = first ? socket_take_error(s) : s->error;
	else if ((s->state != SOCKET_OPEN && s->state != SOCKET_CONNECTING) || s->tx_shut)
		ret = -EPIPE;
	spin_unlock(&s->lock);
	return ret;
}

/* What may be written now: >0, -EAGAIN, -EPIPE or the pending error. */
static ssize_t tx_state(struct socket *s, unsigned life, bool first)
{
	size_t room = READ_ONCE(s->tx_room);
	ssize_t ret;

	/* whatever ends it leaves no room; tx_push() asks again */
	if (room && READ_ONCE(s->life) == life && !READ_ONCE(s->error))
		return (ssize_t)room;
	ret = tx_ended(s, life, first);
	if (ret < 0)
		return ret;
	return room ? (ssize_t)room : -EAGAIN;
}

static bool tx_waiting(struct socket *s, unsigned life)
{
	enum socket_state state = READ_ONCE(s->state);

	return READ_ONCE(s->tx_room) >= SOCKET_LOWAT || READ_ONCE(s->error) ||
	       READ_ONCE(s->tx_shut) || (state != SOCKET_OPEN && state != SOCKET_CONNECTING) ||
	       READ_ONCE(s->life) != life;
}

/* An error where a byte would be one. */
static ssize_t send_nothing(struct socket *s)
{
	ssize_t ret = tx_state(s, READ_ONCE(s->life), true);

	return ret > 0 || (ret == -EAGAIN && READ_ONCE(s->state) == SOCKET_OPEN) ? 0 : ret;
}

static ssize_t stream_send(struct socket *s, struct io *io, struct socket_message *m, bool wait)
{
	uint64_t timeout = READ_ONCE(s->opt.tx_timeout_ns), start = timeout ? clock_now_ns() : 0;
	struct tx_call call = { READ_ONCE(s->life), m->flags & SOCKET_MSG_MORE };
	ssize_t total = 0, ret = 0;

	if (!io->left)
		return send_nothing(s);
	while (io->left) {
		ret = tx_state(s, call.life, !total);
		if (ret > 0) {
			ret = io->user ? tx_step(s, &call, io, (size_t)ret)
				       : tx_step_kernel(s, &call, io, (size_t)ret);
			/* it has ended since it was looked at: by an error, perhaps */
			if (ret == -EPIPE)
				ret = tx_ended(s, call.life, !total) ?: -EPIPE;
		}
		if (ret > 0) {
			total += ret;
			continue;
		}
		if (ret != -EAGAIN || !wait)
			break;
		ret = socket_wait(s, tx_waiting(s, call.life), timeout, start);
		if (ret < 0)
			break;
	}
	io->broken = ret == -EPIPE && !total;
	return total ? total : ret;
}

/* What closed sockets still have to send. */
static size_t orphaned(void) __requires(net_core)
{
	size_t n = 0;

	for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (pcb->poll == on_orphan_poll)
			n += tx_cost(pcb);
	return n;
}

/* The peer is told, unless it has not heard of the connection yet (RFC 9293 s3.10.5). */
static void abandon(struct tcp_pcb *pcb) __requires(net_core)
{
	tcp_abandon(pcb, pcb->state != SYN_SENT);
}

static void abort_pcb(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb = s->pcb;

	detach(s);
	if (pcb)
		abandon(pcb);
}

/* Send what was written, then close; the pcb is lwIP's from here on. I-SOCK-4: nobody is charged for it then, so it is
 * reset when there is too much of that. */
static void close_pcb(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb;

	if (s->state != SOCKET_LISTENING &&
	    ((s->opt.linger && !s->opt.linger_s) ||
	     (s->tx_pending && !socket_may_orphan(orphaned() + s->tx_held))))
		return abort_pcb(s);
	/* lwIP takes a window that is not wholly open for bytes unread, and resets */
	rx_settle(s);
	if (!s->rx_bytes && s->rx_withheld) {
		s->opt.rx_size = TCP_WND;
		rx_opened(s, 0);
	}
	pcb = orphan(s);
	/* without memory for it now, lwIP's timer tries again */
	if (pcb)
		(void)tcp_close(pcb);
}

static struct socket *backlog_take(struct socket *listener)
{
	struct socket *s;

	spin_lock(&listener->lock);
	s = list_first_or_null(&listener->backlog, struct socket, link);
	if (s) {
		list_del(&s->link);
		WRITE_ONCE(listener->nr_backlog, listener->nr_backlog - 1);
	}
	spin_unlock(&listener->lock);
	return s;
}

void socket_forget(struct socket *s)
{
	list_del(&s->changed);
	rx_free_chain(s->rx_first);
	rx_free_chain(s->rx_used);
	WRITE_ONCE(s->rx_first, NULL);
	s->rx_used = NULL;
	socket_charge(-(int64_t)(s->rx_held + s->tx_held));
	WRITE_ONCE(s->rx_bytes, 0);
	WRITE_ONCE(s->tx_pending, 0);
	WRITE_ONCE(s->rx_held, 0);
	WRITE_ONCE(s->tx_held, 0);
}

static void drop_backlog(struct socket *s) __requires(net_core)
{
	struct socket *child;

	while ((child = backlog_take(s)) != NULL) {
		abort_pcb(child);
		socket_forget(child);
		socket_free(child);
	}
}

/* s has a pcb, whose state says whether the peer has been told: it may have been shut when there was no peer. */
static void shut_tx(struct socket *s) __requires(net_core)
{
	spin_lock(&s->lock);
	WRITE_ONCE(s->tx_shut, true);
	WRITE_ONCE(s->tx_room, 0);
	spin_unlock(&s->lock);
	/* without memory for it now, lwIP's timer tries again */
	(void)tcp_shutdown(s->pcb, 0, 1);
}

/* Has the peer acknowledged all, the end too, or is the connection gone? */
static void linger_look(struct socket *s)
{
	struct tcp_pcb *pcb = s->pcb;

	if (pcb && pcb->state != FIN_WAIT_2 && pcb->state != TIME_WAIT)
		return;
	WRITE_ONCE(s->lingering, false);
	/* no callback would tell of its end */
	if (pcb && pcb->state == TIME_WAIT)
		(void)orphan(s);
}

/* SO_LINGER: nobody can use the file any more, and the socket waits for what the peer says; not if that is lost to a reset
 * anyway, nor when the program ends. */
static void linger(struct socket *s)
{
	net_lock();
	rx_settle(s);
	if (s->opt.linger_s && s->state == SOCKET_OPEN && s->pcb && !s->rx_bytes &&
	    !s->pcb->refused_data && !caller_is_ending()) {
		WRITE_ONCE(s->lingering, true);
		WRITE_ONCE(s->rx_shut, true);
		shut_tx(s);
		linger_look(s);
	}
	net_unlock();
	(void)wait_event_mode(&s->source.wq, !READ_ONCE(s->lingering), WAIT_INTERRUPTIBLE,
			      clock_now_ns() + s->opt.linger_s * NS_PER_S);
	WRITE_ONCE(s->lingering, false);
}

static void stream_destroy(struct socket *s)
{
	if (s->opt.linger)
		linger(s);
	net_lock();
	close_pcb(s);
	drop_backlog(s);
	socket_forget(s);
	net_unlock();
	socket_free(s);
}

struct socket *socket_of_pcb(const struct tcp_pcb *pcb)
{
	bool ours = pcb->state == LISTEN
			    ? ((const struct tcp_pcb_listen *)pcb)->accept == on_accepted
			    : pcb->errf == on_error;

	return ours ? pcb->callback_arg : NULL;
}

static bool is_opening(const struct tcp_pcb *pcb, const ip_addr_t *remote)
{
	return pcb->state == SYN_SENT && pcb->errf == on_error &&
	       ip_addr_eq(&pcb->remote_ip, remote);
}

static void connect_failed(struct tcp_pcb *pcb, int error) __requires(net_core)
{
	struct socket *s = pcb->callback_arg;

	abort_pcb(s);
	became_gone(s, error);
}

void socket_tcp_failed(const struct packet_ends *sent, uint32_t seqno, int error)
{
	struct tcp_pcb *pcb = tcp_active_pcbs;

	while (pcb &&
	       (!is_opening(pcb, &sent->remote) || pcb->local_port != sent->local_port ||
		pcb->remote_port != sent->remote_port || !ip_addr_eq(&pcb->local_ip, &sent->local)))
		pcb = pcb->next;
	if (pcb && pcb->snd_nxt == seqno + 1)
		connect_failed(pcb, error);
}

void socket_tcp_unreached(const ip_addr_t *remote, int error)
{
	struct tcp_pcb *pcb, *next;

	for (pcb = tcp_active_pcbs; pcb; pcb = next) {
		next = pcb->next;
		if (is_opening(pcb, remote))
			connect_failed(pcb, error);
	}
}

/* --- binding, listening, connecting --------------------------------------------------------------------------------- */

static bool overlap(const ip_addr_t *a, const ip_addr_t *b)
{
	if (IP_IS_ANY_TYPE_VAL(*a) || IP_IS_ANY_TYPE_VAL(*b))
		return true;
	return IP_IS_V6(a) == IP_IS_V6(b) &&
	       (ip_addr_isany(a) || ip_addr_isany(b) || ip_addr_eq(a, b));
}

/* Is the port of that address another's? Two that have both said SO_REUSEADDR may share it as long as neither listens:
 * lwIP would let a second listener take connections from the first. */
static bool port_taken(const struct tcp_pcb *self, const ip_addr_t *ip, uint16_t port,
		       bool listeners_only) __requires(net_core)
{
	bool reuse = ip_get_option(self, SOF_REUSEADDR);
	const struct tcp_pcb *pcb;

	for (size_t i = 0; i < NUM_TCP_PCB_LISTS; i++) {
		for (pcb = *tcp_pcb_lists[i]; pcb; pcb = pcb->next) {
			if (pcb == self || pcb->local_port != port || !overlap(&pcb->local_ip, ip))
				continue;
			if (pcb->state == LISTEN)
				return true;
			if (!listeners_only && !(reuse && ip_get_option(pcb, SOF_REUSEADDR)))
				return true;
		}
	}
	return false;
}

/* I-SOCK-2. As abort_pcb(), for one that no peer knows of. */
static void drop_pcb(struct socket *s) __requires(net_core)
{
	abort_pcb(s);
	s->bound = false;
	spin_lock(&s->lock);
	socket_unname(s);
	spin_unlock(&s->lock);
}

/* A pcb for a FRESH socket that has none, with its settings and the address it was bound to. */
static int pcb_make(struct socket *s) __requires(net_core)
{
	struct tcp_pcb *pcb;
	ip_addr_t ip;

	if (s->pcb)
		return 0;
	pcb = tcp_new_ip_type(socket_ip_type(s));
	if (!pcb)
		return -ENOMEM;
	attach(s, pcb);
	stream_apply(s);
	if (!s->bound)
		return 0;
	address_to_bind(s, &s->local, &ip);
	if (port_taken(pcb, &ip, s->local.port, true)) {
		abort_pcb(s);
		return -EADDRINUSE;
	}
	/* not tcp_bind(), which minds the connections of the port: it has been ours since */
	ip_addr_copy(pcb->local_ip, ip);
	pcb->local_port = s->local.port;
	TCP_REG(&tcp_bound_pcbs, pcb);
	return 0;
}

/* lwIP's own search asks all connections about each port. */
static uint16_t choose_port(void) __requires(net_core)
{
	for (size_t i = 0; i < NUM_TCP_PCB_LISTS; i++)
		for (const struct tcp_pcb *pcb = *tcp_pcb_lists[i]; pcb; pcb = pcb->next)
			socket_port_taken(pcb->local_port);
	return socket_port_free(false);
}

static int stream_bind(struct socket *s, const struct socket_addr *a) __requires(net_core)
{
	ip_addr_t ip;
	err_t err = ERR_USE;
	uint16_t port;
	int ret = pcb_make(s);

	if (ret < 0)
		return ret;
	address_to_bind(s, a, &ip);
	port = a->port ? a->port : choose_port();
	if (port && !(a->port && port_taken(s->pcb, &ip, port, false)))
		err = tcp_bind(s->pcb, &ip, port);
	if (err != ERR_OK) {
		drop_pcb(s);
		return socket_error_of(err);
	}
	s->bound = true;
	spin_lock(&s->lock);
	address_from_lwip(&s->local, &ip, s->pcb->local_port);
	spin_unlock(&s->lock);
	return 0;
}

/* s is bound. */
static int listen_locked(struct socket *s, unsigned backlog) __requires(net_core)
{
	struct tcp_pcb *listening;
	err_t err;

	if (port_taken(s->pcb, &s->pcb->local_ip, s->pcb->local_port, true))
		return -EADDRINUSE;
	listening = tcp_listen_with_backlog_and_err(s->pcb, 1, &err);
	if (!listening)
		return socket_error_of(err);
	s->pcb = listening;
	s->backlog_most = socket_backlog_of(backlog);
	tcp_arg(listening, s);
	tcp_accept(listening, on_accepted);
	spin_lock(&s->lock);
	WRITE_ONCE(s->state, SOCKET_LISTENING);
	spin_unlock(&s->lock);
	return 0;
}

/* Begin: the state is CONNECTING if that succeeds. */
static int connect_locked(struct socket *s, const struct socket_addr *to) __requires(net_core)
{
	ip_addr_t ip;
	err_t err;
	int ret;

	address_to_lwip(&ip, to);
	if (ip_addr_ismulticast(&ip) || (!to->v6 && ip_2_ip4(&ip)->addr == IPADDR_BROADCAST))
		return -ENETUNREACH;
	ret = address_of_peer(s, to, &ip);
	if (ret == 0 && !address_source(&ip))
		ret = -ENETUNREACH;
	if (ret < 0)
		return ret;
	ret = pcb_make(s);
	if (ret < 0)
		return ret;
	net_time_waits_trim();
	if (!s->pcb->local_port) {
		s->pcb->local_port = choose_port();
		if (s->pcb->local_port)
			TCP_REG(&tcp_bound_pcbs, s->pcb);
	}
	/* lwIP looks for another connection of the same four numbers only where a port may be shared */
	ip_set_option(s->pcb, SOF_REUSEADDR);
	err = s->pcb->local_port ? tcp_connect(s->pcb, &ip, to->port, on_connected) : ERR_USE;
	if (!s->opt.reuse)
		ip_reset_option(s->pcb, SOF_REUSEADDR);
	if (err != ERR_OK) {
		abort_pcb(s);
		return err == ERR_USE ? -EADDRNOTAVAIL : socket_error_of(err);
	}
	spin_lock(&s->lock);
	WRITE_ONCE(s->state, SOCKET_CONNECTING);
	WRITE_ONCE(s->error, 0);
	address_from_lwip(&s->local, &s->pcb->local_ip, s->pcb->local_port);
	spin_unlock(&s->lock);
	return 0;
}

/* The first step of connect: 0 it has begun; -EALREADY it had before, or has ended; -errno. */
static int connect_begin(struct socket *s, const struct socket_addr *to) __requires(net_core)
{
	int ret;

	if (s->connecting)
		return -EALREADY;
	if (s->state != SOCKET_FRESH)
		return -EISCONN;
	ret = connect_locked(s, to);
	if (ret == 0)
		s->connecting = true;
	return ret;
}

/* As new, but for its settings, its name if that was asked for, and an error that nobody has been told. -EBUSY: somebody copies
 * what was queued, and wakes who waits. */
static int make_fresh(struct socket *s) __requires(net_core)
{
	struct pbuf *queued, *used;
	size_t held;

	spin_lock(&s->lock);
	if (s->reading) {
		spin_unlock(&s->lock);
		return -EBUSY;
	}
	queued = s->rx_first;
	used = s->rx_used;
	held = s->rx_held + s->tx_held;
	WRITE_ONCE(s->rx_first, NULL);
	s->rx_last = NULL;
	s->rx_used = NULL;
	WRITE_ONCE(s->rx_bytes, 0);
	WRITE_ONCE(s->rx_room, 0);
	WRITE_ONCE(s->rx_held, 0);
	WRITE_ONCE(s->rx_unopened, 0);
	WRITE_ONCE(s->tx_room, 0);
	WRITE_ONCE(s->tx_pending, 0);
	WRITE_ONCE(s->tx_held, 0);
	WRITE_ONCE(s->rx_end, false);
	WRITE_ONCE(s->rx_shut, false);
	WRITE_ONCE(s->tx_shut, false);
	s->connecting = false;
	WRITE_ONCE(s->life, s->life + 1);
	WRITE_ONCE(s->state, SOCKET_FRESH);
	memset(&s->peer, 0, sizeof(s->peer));
	if (!s->bound)
		socket_unname(s);
	spin_unlock(&s->lock);
	socket_charge(-(int64_t)held);
	rx_free_chain(queued);
	rx_free_chain(used);
	return 0;
}

/* Who asks for AF_UNSPEC, or shuts what is not made yet. The peer is told, and so is the next call. */
static int disconnect_locked(struct socket *s) __requires(net_core)
{
	bool ends = s->pcb && s->pcb->state >= SYN_SENT && s->pcb->state <= CLOSE_WAIT;
	int ret;

	if (s->state == SOCKET_LISTENING) {
		stop_listening(s);
		return 0;
	}
	ret = make_fresh(s);
	if (ret < 0)
		return ret;
	if (s->pcb && s->pcb->state != CLOSED)
		abort_pcb(s);
	spin_lock(&s->lock);
	WRITE_ONCE(s->error, ends ? -ECONNRESET : s->error);
	spin_unlock(&s->lock);
	socket_announce(s, POLL_IN | POLL_OUT | POLL_HUP | POLL_ERR);
	return 0;
}

/* The last: it is made, or why not, and then it may begin anew. -EBUSY as above. */
static int connect_end(struct socket *s) __requires(net_core)
{
	bool over = s->connecting && s->state == SOCKET_GONE;
	int ret = over ? make_fresh(s) : 0;

	if (ret < 0)
		return ret;
	if (over)
		socket_announce(s, POLL_OUT | POLL_HUP);
	spin_lock(&s->lock);
	if (s->state != SOCKET_OPEN) {
		/* or another has heard of it, or it was made and has ended since */
		ret = socket_take_error(s);
		ret = ret ? ret : -ECONNABORTED;
	}
	/* it may be another's by now */
	if (s->state != SOCKET_CONNECTING)
		s->connecting = false;
	spin_unlock(&s->lock);
	return ret;
}

static bool connect_over(struct socket *s)
{
	return READ_ONCE(s->state) != SOCKET_CONNECTING;
}

/* With NET_CORE, and again as long as a reader copies. */
static int when_unread(struct socket *s, int (*fn)(struct socket *s))
{
	int ret;

	do {
		net_lock();
		ret = fn(s);
		net_unlock();
	} while (ret == -EBUSY && (ret = wait_event_killable(&s->source.wq, rx_is_free(s))) == 0);
	return ret;
}

static int stream_connect(struct socket *s, const struct socket_addr *to, bool wait)
{
	uint64_t timeout = READ_ONCE(s->opt.tx_timeout_ns), start = timeout ? clock_now_ns() : 0;
	int begun, ret;

	if (!to)
		return when_unread(s, disconnect_locked);
	net_lock();
	begun = connect_begin(s, to);
	net_unlock();
	if (begun < 0 && begun != -EALREADY)
		return begun;
	/* as Linux says it, even if it is over by now */
	if (begun == 0 && !wait)
		return -EINPROGRESS;
	if (begun == -EALREADY && !wait && !connect_over(s))
		return -EALREADY;
	ret = socket_wait(s, connect_over(s), timeout, start);
	if (ret < 0)
		return ret == -EAGAIN ? (begun ? begun : -EINPROGRESS) : ret;
	return when_unread(s, connect_end);
}

/* --- the contract of net/socket.h ----------------------------------------------------------------------------------------------- */

/* For the kernel: on any address, of either kind. */
static int listen_any(struct socket *s, uint16_t port, unsigned backlog) __requires(net_core)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
	err_t err;

	if (!pcb)
		return -ENOMEM;
	s->opt.reuse = true;
	attach(s, pcb);
	stream_apply(s);
	if (port_taken(pcb, IP_ANY_TYPE, port, false))
		return -EADDRINUSE;
	err = tcp_bind(pcb, IP_ANY_TYPE, port);
	return err == ERR_OK ? listen_locked(s, backlog) : socket_error_of(err);
}

int socket_listen_tcp(uint16_t port, unsigned backlog, struct file **out)
{
	struct socket *s;
	int ret;

	if (!port)
		return -EINVAL;
	s = socket_alloc(&socket_stream, true, SOCKET_FRESH);
	if (!s)
		return -ENOMEM;
	net_lock();
	ret = listen_any(s, port, backlog);
	net_unlock();
	if (ret == 0 && (ret = socket_file(s, 0, out)) == 0)
		return 0;
	stream_destroy(s);
	return ret;
}

int socket_listen(struct file *f, unsigned backlog)
{
	struct socket *s = socket_of(f);
	struct socket_addr any = { 0 };
	int ret = 0;

	if (!s)
		return -ENOTSOCK;
	if (s->kind != &socket_stream)
		return -EOPNOTSUPP;
	net_lock();
	if (s->state == SOCKET_LISTENING) {
		s->backlog_most = socket_backlog_of(backlog);
	} else if (s->state != SOCKET_FRESH) {
		ret = -EINVAL;
	} else {
		bool asked = s->bound;

		any.v6 = s->v6;
		ret = asked ? pcb_make(s) : stream_bind(s, &any);
		if (ret == 0)
			ret = listen_locked(s, backlog);
		if (ret < 0 && !asked)
			drop_pcb(s);
		s->bound = asked;
	}
	net_unlock();
	return ret;
}

int socket_accept(struct file *listener, struct file **out, struct socket_addr *peer)
{
	struct socket *l = socket_of(listener);
	struct socket *s;
	struct file *f;
	int ret;

	if (!l)
		return -ENOTSOCK;
	if (l->kind != &socket_stream)
		return -EOPNOTSUPP;
	if (READ_ONCE(l->state) != SOCKET_LISTENING)
		return -EINVAL;
	if (!READ_ONCE(l->nr_backlog))
		return -EAGAIN;
	/* first, so that a connection that is taken is never to be put back */
	ret = socket_file(NULL, 0, &f);
	if (ret < 0)
		return ret;
	s = backlog_take(l);
	if (!s) {
		file_put(f);
		return -EAGAIN;
	}
	socket_own(s);
	f->priv = s;
	f->source = &s->source;
	*out = f;
	if (peer)
		*peer = s->peer;
	return 0;
}

static bool accept_over(struct socket *l)
{
	bool over;

	spin_lock(&l->lock);
	over = l->state != SOCKET_LISTENING || !list_empty(&l->backlog);
	spin_unlock(&l->lock);
	return over;
}

int socket_accept_wait(struct file *listener, struct file **out, struct socket_addr *peer)
{
	struct socket *l = socket_of(listener);
	uint64_t timeout, start;
	int ret;

	if (!l)
		return -ENOTSOCK;
	timeout = READ_ONCE(l->opt.rx_timeout_ns);
	start = timeout ? clock_now_ns() : 0;
	while ((ret = socket_accept(listener, out, peer)) == -EAGAIN) {
		if (file_nonblocking(listener))
			return -EAGAIN;
		ret = socket_wait(l, accept_over(l), timeout, start);
		if (ret < 0)
			return ret;
	}
	return ret;
}

int socket_connect_tcp(const struct socket_addr *to, struct file **out)
{
	struct socket *s = socket_alloc(&socket_stream, to->v6, SOCKET_FRESH);
	int ret;

	if (!s)
		return -ENOMEM;
	net_lock();
	ret = connect_locked(s, to);
	net_unlock();
	if (ret == 0 && (ret = socket_file(s, 0, out)) == 0)
		return 0;
	stream_destroy(s);
	return ret;
}

int socket_set_nodelay(struct file *f, bool on)
{
	return socket_set(f, SOCKET_NODELAY, on);
}

int socket_set_keepalive(struct file *f, unsigned idle_s, unsigned interval_s, unsigned count)
{
	struct socket *s = socket_of(f);

	if (!s)
		return -ENOTSOCK;
	if (idle_s > 1000000 || interval_s > 1000000)
		return -EINVAL;
	net_lock();
	s->opt.keepalive = idle_s != 0;
	stream_apply(s);
	if (s->pcb && s->pcb->state != LISTEN) {
		s->pcb->keep_idle = idle_s * 1000;
		s->pcb->keep_intvl = interval_s * 1000;
		s->pcb->keep_cnt = count;
	}
	net_unlock();
	return 0;
}

/* Who waits in accept is told -EINVAL. An address that was asked for stays its own. */
static void stop_listening(struct socket *s) __requires(net_core)
{
	close_pcb(s);
	drop_backlog(s);
	spin_lock(&s->lock);
	WRITE_ONCE(s->state, SOCKET_FRESH);
	if (!s->bound)
		socket_unname(s);
	spin_unlock(&s->lock);
	socket_announce(s, POLL_IN | POLL_OUT | POLL_HUP);
}

static void abort_connection(struct socket *s) __requires(net_core)
{
	s->aborting = true;
	if (s->pcb)
		abandon(s->pcb);
	s->aborting = false;
}

static int stream_shutdown(struct socket *s, int how) __requires(net_core)
{
	if (s->state == SOCKET_OPEN) {
		/* a connect that has not heard yet that it is made need not be told */
		spin_lock(&s->lock);
		s->connecting = false;
		spin_unlock(&s->lock);
	}
	if (s->state == SOCKET_LISTENING) {
		if (how != SOCKET_SHUT_WR)
			stop_listening(s);
		return 0;
	}
	if (s->state == SOCKET_CONNECTING)
		return disconnect_locked(s);
	if (!s->pcb || s->state != SOCKET_OPEN) {
		/* as Linux: it counts all the same */
		spin_lock(&s->lock);
		WRITE_ONCE(s->rx_shut, s->rx_shut | (how != SOCKET_SHUT_WR));
		WRITE_ONCE(s->tx_shut, s->tx_shut | (how != SOCKET_SHUT_RD));
		spin_unlock(&s->lock);
		socket_announce(s, POLL_IN | POLL_RDHUP | POLL_HUP);
		return -ENOTCONN;
	}
	if (how != SOCKET_SHUT_WR) {
		spin_lock(&s->lock);
		WRITE_ONCE(s->rx_shut, true);
		spin_unlock(&s->lock);
		socket_announce(s, POLL_IN | POLL_RDHUP | POLL_HUP);
	}
	if (how != SOCKET_SHUT_RD) {
		shut_tx(s);
		socket_announce(s, POLL_OUT | POLL_HUP);
	}
	return 0;
}

int socket_abort(struct file *f)
{
	struct socket *s = socket_of(f);

	if (!s)
		return -ENOTSOCK;

	enum socket_state state = READ_ONCE(s->state);

	if (s->kind != &socket_stream || state == SOCKET_LISTENING || state == SOCKET_FRESH)
		return -EINVAL;
	net_lock();
	abort_connection(s);
	net_unlock();
	return 0;
}

static size_t stream_readable(struct socket *s)
{
	return READ_ONCE(s->rx_bytes);
}

const struct socket_kind socket_stream = {
	.name = "tcp",
	.type = SOCKET_STREAM,
	.protocol = SOCKET_PROTO_TCP,
	.protocol6 = SOCKET_PROTO_TCP,
	.bind = stream_bind,
	.connect = stream_connect,
	.shutdown = stream_shutdown,
	.send = stream_send,
	.receive = stream_receive,
	.poll = stream_poll,
	.readable = stream_readable,
	.apply = stream_apply,
	.destroy = stream_destroy,
};
