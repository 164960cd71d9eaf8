/* SPDX-License-Identifier: MIT */
/* Sockets: TCP connections and listeners, UDP and ICMP, as files. Bytes move by file_read() and file_write(), readiness
 * by file_poll() and the file's poll source; what only sockets can do is here. Nobody above net/ sees a pcb or a pbuf.
 * The SSH server uses the first part, which never waits; system calls the second.
 *
 * Readiness of a connection: POLL_IN bytes queued, or the peer has closed, or an error; POLL_OUT room to send (at
 * least SOCKET_LOWAT bytes, so that a writer is not woken for each acknowledged byte), or an error; POLL_RDHUP the
 * peer has closed its side; POLL_HUP both sides closed or the connection is gone; POLL_ERR an error is pending.
 * Of a listener: POLL_IN a connection waits in socket_accept(). Of a stream that was never connected: POLL_OUT and
 * POLL_HUP. Of datagrams: POLL_IN one is queued; POLL_ERR an error is pending; POLL_OUT always.
 *
 * Reads give bytes, 0 at the peer's end of stream, -EAGAIN if the file is O_NONBLOCK and nothing is there, else they
 * wait (interruptible); -ECONNRESET, -ETIMEDOUT ... once, when the connection broke. Writes copy what fits (at least
 * one byte unless -EAGAIN), and -EPIPE after the connection is gone or shut down; no signal is raised here.
 *
 * All functions here: Context: thread, may sleep (NET_CORE is taken inside, for short). The caller holds a reference
 * to the file and no lock. A file that is no socket gets -ENOTSOCK. */
#ifndef TERN_NET_SOCKET_H
#define TERN_NET_SOCKET_H

#include "lib/types.h"

struct file;
struct io;

#define SOCKET_LOWAT 2048

/* One end of a connection. IPv4 addresses are in the first four bytes; one that an IPv6 socket of a program reaches is
 * that here too, and ::ffff:a.b.c.d only in the program. */
struct socket_addr {
	bool v6;
	uint16_t port; /* host order */
	uint8_t addr[16];
	uint32_t
		scope; /* of an address that means something on one link only: the interface's index */
};
#define SOCKET_ADDR_TEXT 56
/* An address in text, of either family, without a port. 0 or -EINVAL: it is none. */
int socket_addr_parse(struct socket_addr *a, const char *text) __must_check;
/* "10.0.2.2:4711" or "[fec0::2]:4711" into buf of SOCKET_ADDR_TEXT bytes. */
void socket_addr_format(char *buf, size_t size, const struct socket_addr *a);

/* Listen on port on every address of the machine, now and later (so before the lease is there). backlog: connections
 * kept waiting for socket_accept(), as socket_listen() says. 0 and *out (one reference, O_NONBLOCK clear); -EADDRINUSE, -ENOMEM,
 * -EINVAL. */
int socket_listen_tcp(uint16_t port, unsigned backlog, struct file **out) __must_check;
/* Take the oldest waiting connection. Never waits: -EAGAIN if there is none. peer may be NULL. A connection that
 * died while it waited is still given out, in its broken state. -ENOMEM takes none. */
int socket_accept(struct file *listener, struct file **out, struct socket_addr *peer) __must_check;
/* Begin to connect. 0 and *out at once; POLL_OUT when established, POLL_ERR when refused or timed out (then
 * the next read says why). -ENETUNREACH, -ENOMEM. */
int socket_connect_tcp(const struct socket_addr *to, struct file **out) __must_check;

/* Small segments go at once (no Nagle). */
int socket_set_nodelay(struct file *f, bool on) __must_check;
/* Probe a silent peer after idle_s, then each interval_s; count unanswered probes end it with -ETIMEDOUT. 0 s: off. */
int socket_set_keepalive(struct file *f, unsigned idle_s, unsigned interval_s,
			 unsigned count) __must_check;
/* Promise to send no more (the peer reads end of stream after all that was written), to read no more, or both. */
#define SOCKET_SHUT_RD	 0
#define SOCKET_SHUT_WR	 1
#define SOCKET_SHUT_RDWR 2
int socket_shutdown(struct file *f, int how) __must_check;
/* Reset the connection now: unsent data is dropped and everybody waiting on it wakes. The file stays and reads
 * -ECONNABORTED. Closing the file without this sends what was written, then a normal close. */
int socket_abort(struct file *f);

/* Bytes written and not yet acknowledged by the peer. */
size_t socket_tx_pending(struct file *f);
/* Bytes a read would give now. */
size_t socket_rx_queued(struct file *f);
/* Our end of a connection; -ENOTCONN before it is one. */
int socket_local(struct file *f, struct socket_addr *out) __must_check;

/* --- for programs. What waits does so interruptibly: -ERESTARTSYS; -EAGAIN if the file is O_NONBLOCK or its time-out is
 * over, and -EINTR in place of -ERESTARTSYS if it has one. --------------------------------------------------------- */

bool socket_is(struct file *f);

/* Linux's numbers. */
#define SOCKET_STREAM	   1
#define SOCKET_DGRAM	   2
#define SOCKET_RAW	   3
#define SOCKET_SEQPACKET   5
#define SOCKET_PROTO_LOCAL 1
#define SOCKET_PROTO_ICMP  1
#define SOCKET_PROTO_TCP   6
#define SOCKET_PROTO_UDP   17
#define SOCKET_PROTO_ICMP6 58
#define SOCKET_UNIX	   1
#define SOCKET_INET	   2
#define SOCKET_INET6	   10

/* domain: SOCKET_INET, or SOCKET_INET6, whose streams and UDP reach IPv4 as well until SOCKET_V6ONLY. protocol 0: the
 * usual one. 0 and *out (flags: FILE_NONBLOCK); -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -ENOMEM. Whether the caller may is the
 * caller's to ask. */
int socket_create(int domain, int type, int protocol, uint32_t flags,
		  struct file **out) __must_check;
/* Two sockets of this machine that are each other's peer: a stream, datagrams, or records in order. They have no names, and
 * never will. 0 and one reference each; -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -ENOMEM. */
int socket_pair(int type, int protocol, uint32_t flags, struct file *out[2]) __must_check;
bool socket_is_local(struct file *f); /* one of such a pair */
/* -EINVAL bound already, an address of one link without its scope, or IPv4's where it is not reached; -ENODEV no such
 * scope; -EADDRNOTAVAIL not ours; -EADDRINUSE. The port of ICMP is its identifier. */
int socket_bind(struct file *f, const struct socket_addr *a) __must_check;
/* Streams: take connections from now on, as in Linux one more than backlog of them before the first is accepted, and 4097 at
 * most. -EINVAL connected, -EADDRINUSE, -EOPNOTSUPP not a stream. */
int socket_listen(struct file *f, unsigned backlog) __must_check;
/* As socket_accept(), but waits for one. -EINVAL no listener (any more), -EOPNOTSUPP not a stream. */
int socket_accept_wait(struct file *listener, struct file **out,
		       struct socket_addr *peer) __must_check;
/* Connect and wait for it. Without waiting -EINPROGRESS, and -EALREADY if it had begun before; a signal leaves it under
 * way. Later calls tell the end, once; then -EISCONN, or it begins anew. -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH,
 * -ENETUNREACH, -EADDRNOTAVAIL. `to` NULL: a connection is reset, and may be begun anew. Datagrams: only remembers the peer,
 * or forgets it. */
int socket_connect(struct file *f, const struct socket_addr *to) __must_check;
int socket_peer(struct file *f, struct socket_addr *out) __must_check; /* -ENOTCONN */
/* As socket_local(), of any socket: 0.0.0.0 and port 0 as long as there is none. */
int socket_name(struct file *f, struct socket_addr *out) __must_check;

/* What goes with bytes that are sent or received. */
#define SOCKET_MSG_PEEK	    BIT(0) /* leave them queued */
#define SOCKET_MSG_WAITALL  BIT(1) /* a stream: not before all are there, or no more will come */
#define SOCKET_MSG_DONTWAIT BIT(2)
#define SOCKET_MSG_MORE	    BIT(4) /* sent: more is to follow at once */
#define SOCKET_MSG_TRUNC                                                                           \
	BIT(3) /* asked: a datagram's true length, a stream: drop the bytes; told: was longer */
struct socket_message {
	unsigned flags; /* asked, and told */
	bool named;	/* addr is where to, or where from */
	struct socket_addr addr;
	unsigned tell; /* told: what was asked for to be told with it, BIT(SOCKET_TELL_...) */
	uint8_t hops;  /* told: how many it had left */
};
/* As file_write() and file_read(). A datagram goes whole or not at all: -EMSGSIZE, -EDESTADDRREQ, -EACCES (broadcast
 * without SOCKET_BROADCAST), -ENOBUFS the device has no room, and the error of an earlier one, once. */
ssize_t socket_send(struct file *f, struct io *io, struct socket_message *m) __must_check;
ssize_t socket_receive(struct file *f, struct io *io, struct socket_message *m) __must_check;

/* What can be set and asked. Truths are 0 or 1, times ns (0: none), sizes bytes. */
#define SOCKET_LINGERS BIT(32)
enum socket_option {
	SOCKET_ERROR, /* asked: the pending error, positive, which is gone then */
	SOCKET_TYPE,
	SOCKET_PROTOCOL,
	SOCKET_ACCEPTING,
	SOCKET_REUSE,
	SOCKET_KEEPALIVE,
	SOCKET_NODELAY,
	SOCKET_BROADCAST,
	/* Seconds and SOCKET_LINGERS: close waits so long, unless a signal comes, for what was written to be acknowledged; with
	 * 0 s it resets. Without SOCKET_LINGERS it is sent later. */
	SOCKET_LINGER,
	SOCKET_RX_TIMEOUT,
	SOCKET_TX_TIMEOUT,
	SOCKET_RX_SIZE, /* as Linux tells it: twice what was asked for, within limits */
	SOCKET_TX_SIZE,
	SOCKET_TTL,
	SOCKET_DOMAIN,	  /* asked */
	SOCKET_V6ONLY,	  /* -EINVAL once there is a port */
	SOCKET_TELL_HOPS, /* datagrams: with each; the other is the same by its old name */
	SOCKET_TELL_HOPS_OLD,
	SOCKET_TELL_ERRORS, /* UDP: unreachable for now, and of what an unconnected one sent, too; there is no queue of them */
	SOCKET_CHECKSUM, /* raw IPv6: where the sum is put, -1: it is not */
	SOCKET_MTU,	 /* asked, of the way to the peer: -ENOTCONN */
};
/* -ENOPROTOOPT not for this kind, or only to be asked; -EINVAL. */
int socket_set(struct file *f, enum socket_option what, int64_t value) __must_check;
int socket_get(struct file *f, enum socket_option what, int64_t *value) __must_check;
/* Which types of ICMPv6 a raw socket does not see: a bit each. -ENOPROTOOPT it is none. */
#define SOCKET_FILTER_WORDS 8
int socket_set_filter(struct file *f, const uint32_t blocked[SOCKET_FILTER_WORDS]) __must_check;
int socket_get_filter(struct file *f, uint32_t blocked[SOCKET_FILTER_WORDS]) __must_check;

#endif
