/* SPDX-License-Identifier: MIT */
/* Inside net/: what a socket is. TCP's half is net/socket.c, the datagrams' net/datagram.c; what both share, and what
 * programs may set, net/option.c.
 *
 * States of a stream, all moves under NET_CORE and SOCK:
 *   FRESH      -> LISTENING   socket_listen()
 *   LISTENING, CONNECTING -> FRESH  socket_shutdown()
 *   FRESH      -> CONNECTING  socket_connect(), on_accepted()
 *   CONNECTING -> OPEN        opened(): network thread or loop-back
 *   CONNECTING -> GONE        on_error(): refused, unreachable, timed out
 *   OPEN       -> GONE        on_error(), end of both sides: lwIP has let go of the pcb
 *   any        -> FRESH       socket_connect() tells why there is no connection, or is told to have none
 * A FRESH stream has a pcb when it is bound. The pcb is ours to name until it is NULL: lwIP frees it with an error
 * callback, or quietly at the end of TIME_WAIT, which is why we let go as soon as both ends have been closed
 * (I-SOCK-2). A socket of datagrams is FRESH, or OPEN once it is connected, and has a pcb at all times.
 *
 *   I-SOCK-1  no user memory is touched with NET_CORE or SOCK held.
 *   I-SOCK-2  s->pcb != NULL implies that lwIP's pcb names s, and may be used under NET_CORE.
 *   I-SOCK-3  bytes queued cost at most a small multiple of their number in memory: small segments are copied
 *             together, so a peer cannot pin a frame per byte; a datagram is charged with its head.
 *   I-SOCK-4  what all sockets hold is bounded: behind the bound (a part of memory) each is given a share of it
 *             either way and no more, so one program that does not read, or writes to who does not, takes
 *             nothing from the others. What is charged is what it costs, not the bytes. The share grows
 *             small as sockets grow many, not so small that nothing moves; so their number is bounded too. */
#ifndef TERN_NET_SOCKET_IMPL_H
#define TERN_NET_SOCKET_IMPL_H

#include <lwip/ip_addr.h>

#include "lib/errno.h"
#include "lib/list.h"
#include "net/core.h"
#include "net/socket.h"
#include "sched/poll.h"
#include "sched/wait.h"

struct io;
struct pbuf;
struct tcp_pcb;
struct udp_pcb;
struct raw_pcb;
struct socket_pair;
struct socket;

enum socket_state { SOCKET_FRESH, SOCKET_LISTENING, SOCKET_CONNECTING, SOCKET_OPEN, SOCKET_GONE };

/* What differs between kinds. Context: thread, no lock held, unless it says NET_CORE. */
struct socket_kind {
	const char *name;
	int type, protocol, protocol6;	 /* Linux's numbers; with IPv6 */
	bool local;			 /* AF_UNIX: nothing here is called with NET_CORE held */
	int (*create)(struct socket *s); /* NET_CORE held; NULL: there is nothing to do */
	/* NET_CORE held. a: an address of ours or any; port 0: choose one. Called once. */
	int (*bind)(struct socket *s, const struct socket_addr *a);
	int (*connect)(struct socket *s, const struct socket_addr *to, bool wait);
	int (*shutdown)(struct socket *s, int how); /* NET_CORE held */
	ssize_t (*send)(struct socket *s, struct io *io, struct socket_message *m, bool wait);
	ssize_t (*receive)(struct socket *s, struct io *io, struct socket_message *m, bool wait);
	uint32_t (*poll)(struct socket *s);
	size_t (*readable)(struct socket *s); /* what FIONREAD says; NULL: nothing */
	void (*apply)(struct socket *s);      /* NET_CORE held: bring s->opt to the pcb */
	void (*destroy)(struct socket *s);
};
extern const struct socket_kind socket_stream, socket_udp, socket_ping, socket_raw;

/* What setsockopt sets. [NET_CORE] for writing; read anywhere */
struct socket_settings {
	bool reuse, keepalive, nodelay, broadcast;
	bool linger; /* close waits linger_s; for none: it resets */
	uint32_t linger_s;
	bool v6only, tell_errors;
	unsigned tell;			       /* BIT(SOCKET_TELL_...) */
	uint8_t ttl;			       /* 0: the usual */
	size_t rx_size, tx_size;	       /* bytes queued at most */
	uint64_t rx_timeout_ns, tx_timeout_ns; /* 0: none */
};

struct socket {
	spinlock_t lock; /* SOCK */
	struct poll_source source;
	const struct socket_kind *kind; /* [init] */
	bool v6;			/* [init] of AF_INET6 */
	uint64_t ino;			/* [init] */
	uint32_t uid, gid;		/* [init] whose it is; nobody's before it is accepted */
	union {
		struct tcp_pcb *pcb; /* [NET_CORE] I-SOCK-2 */
		struct udp_pcb *udp;
		struct raw_pcb *raw;
		struct socket_pair *pair; /* [init] */
	};
	enum socket_state state; /* [lock] */
	int error;		 /* [lock] taken by the next read or write */
	bool bound;		 /* [NET_CORE] local was asked for */
	bool connecting;	 /* [lock] socket_connect() has not told the end of it yet */
	unsigned life;		 /* [lock] connections it has let go of, to be made anew */
	struct socket_settings opt;
	struct pbuf *rx_first; /* [lock] queued bytes, linked by ->next, one pbuf each */
	struct pbuf *rx_last;  /* [lock] */
	size_t rx_bytes;       /* [lock] of datagrams: with what they cost */
	size_t rx_room; /* [lock] bytes free at the end of rx_last's memory; 0 if it is a frame */
	size_t rx_withheld;   /* [NET_CORE] bytes of lwIP's window kept shut, rx_size being less */
	bool rx_lent;	      /* [NET_CORE] lwIP's window is LENT more than it is */
	struct pbuf *rx_used; /* [lock] read, and lwIP to be told when NET_CORE is taken next */
	size_t rx_unopened;   /* [lock] bytes likewise */
	bool reading;	      /* [lock] a reader has taken pbufs off and may put some back */
	bool read_awaited;    /* [lock] another waits for that */
	bool rx_end;	      /* [lock] the peer has sent its last */
	bool rx_shut;	      /* [lock] nobody will read */
	bool tx_shut;	      /* [lock] we have sent, or promised, our last */
	bool aborting;	      /* [NET_CORE] the error is our own doing */
	bool lingering;	      /* [atomic] close waits for the peer's acknowledgements */
	uint16_t mss;	      /* [NET_CORE] what segments are cut to, once it is open */
	size_t tx_room; /* [NET_CORE] for writing: what lwIP would take; none unless it is open */
	size_t tx_pending; /* [NET_CORE] for writing, of a pair [its lock]: written, not acknowledged */
	size_t rx_held; /* [lock] of a stream: what the bytes queued cost; I-SOCK-4 */
	size_t tx_held; /* [NET_CORE] likewise those written */
	struct socket_addr peer, local; /* [lock] */
	struct list_head
		link; /* [listener's lock] in its backlog; of raw and ping sockets: [NET_CORE] all */
	struct list_head backlog; /* [lock] of a listener: sockets nobody has accepted */
	unsigned nr_backlog;	  /* [lock] those, the dead among them too */
	unsigned backlog_most;	  /* [NET_CORE] as asked: one more is kept */
	struct list_head arrived; /* [lock] struct datagram */
	uint32_t blocked
		[SOCKET_FILTER_WORDS]; /* [NET_CORE] ICMPv6 types a raw socket does not see */
	struct list_head changed;      /* [NET_CORE] on the list of those to announce */
	uint32_t events;	       /* [NET_CORE] to announce */
};

/* The socket whose pcb it is, or NULL. */
struct socket *socket_of_pcb(const struct tcp_pcb *pcb) __requires(net_core);
struct socket *socket_of_udp(const struct udp_pcb *pcb) __requires(net_core);
/* The raw sockets of a family, one after the other: from NULL to NULL. */
struct socket *socket_next_raw(const struct socket *s, bool v6) __requires(net_core);

/* --- net/icmp.c, and whom it tells that what they sent did not arrive; error < 0 --------------------------------- */

void net_icmp_init(void) __requires(net_core);
/* From whom to whom it went. */
struct packet_ends {
	ip_addr_t local, remote;
	uint16_t local_port, remote_port;
};
/* soft: the way may come back. */
void socket_udp_failed(const struct packet_ends *sent, int error, bool soft) __requires(net_core);
void socket_tcp_failed(const struct packet_ends *sent, uint32_t seqno, int error)
	__requires(net_core);
/* All that are being made to there. */
void socket_tcp_unreached(const ip_addr_t *remote, int error) __requires(net_core);
/* Is the ICMP sum of what lies behind the first `skip` bytes right? */
bool socket_sum_right(struct pbuf *p, size_t skip) __requires(net_core);

/* --- net/socket.c ------------------------------------------------------------------------------------------------ */

int socket_init(void) __must_check; /* boot */
struct socket *socket_alloc(const struct socket_kind *kind, bool v6,
			    enum socket_state state) __must_check;
/* It has no address, and no port. s->lock held. */
void socket_unname(struct socket *s) __requires(s->lock);
/* Nobody knows the socket any more, and nothing is queued. */
void socket_free(struct socket *s);
/* Announce events when NET_CORE is left: once a batch of frames, not once a segment. */
void socket_announce(struct socket *s, uint32_t events) __requires(net_core);
/* No watcher is left: forget what waits to be announced, and what is queued. */
void socket_forget(struct socket *s) __requires(net_core);
int socket_error_of(int err); /* lwIP's err_t as -errno */
/* s->error, which is 0 then. s->lock held. */
int socket_take_error(struct socket *s) __requires(s->lock);
/* It is the caller's from now on. */
void socket_own(struct socket *s);
/* A file for s, or, NULL, for one whose priv and source are set before anybody else knows of it. 0 or -ENOMEM. */
int socket_file(struct socket *s, uint32_t flags, struct file **out) __must_check;
struct socket *socket_of(struct file *f); /* NULL: it is none */
/* Sockets that exist, accepted or not. Any context. */
unsigned socket_count(void);
/* I-SOCK-4: bytes that came or go, queued anywhere, changed by that many. Any context. */
void socket_charge(int64_t bytes);
int64_t socket_charged(void);
/* How much more a socket that holds `own` may hold: what is left for all, or of its share when there is less. */
size_t socket_may_take(size_t own);
/* May it hold more? */
bool socket_may_hold(size_t own);
/* The back-log that a listener gets which asks for so much. */
unsigned socket_backlog_of(unsigned asked);
/* May sockets that are closed hold that many bytes, for which nobody is charged? */
bool socket_may_orphan(size_t bytes);

/* A port to choose: tell of all that are taken, then ask. 0: there is none. Unguessable: who asks a name server is answered by
 * whoever guesses the port and 16 bits more. */
void socket_port_taken(uint16_t port) __requires(net_core);
uint16_t socket_port_free(bool unguessable) __requires(net_core);

/* Wait for a time-out set by SO_RCVTIMEO or SO_SNDTIMEO (0: for ever) that began at start_ns. 0, -EAGAIN when it is over,
 * -ERESTARTSYS; -EINTR if the call cannot be made again with the same result. */
#define socket_wait(s, cond, timeout_ns, start_ns)                                                 \
	socket_waited(wait_event_mode(&(s)->source.wq, cond, WAIT_INTERRUPTIBLE,                   \
				      (timeout_ns) ? (start_ns) + (timeout_ns) : DEADLINE_NEVER),  \
		      timeout_ns)
static inline int socket_waited(int ret, uint64_t timeout_ns)
{
	if (ret == -ETIMEDOUT)
		return -EAGAIN;
	return ret == -ERESTARTSYS && timeout_ns ? -EINTR : ret;
}

#endif
