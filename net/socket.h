/* SPDX-License-Identifier: MIT */
/* Sockets: TCP connections and listeners as files. Bytes move by file_read() and file_write(), readiness by
 * file_poll() and the file's poll source; what only sockets can do is here. Nobody above net/ sees a pcb or a pbuf.
 *
 * Readiness of a connection: POLL_IN bytes queued, or the peer has closed, or an error; POLL_OUT room to send (at
 * least SOCKET_LOWAT bytes, so that a writer is not woken for each acknowledged byte), or an error; POLL_RDHUP the
 * peer has closed its side; POLL_HUP both sides closed or the connection is gone; POLL_ERR an error is pending.
 * Of a listener: POLL_IN a connection waits in socket_accept().
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

#define SOCKET_LOWAT 2048

/* One end of a connection. IPv4 addresses are in the first four bytes. */
struct socket_addr {
	bool v6;
	uint16_t port; /* host order */
	uint8_t addr[16];
};
#define SOCKET_ADDR_TEXT 56
/* "10.0.2.2:4711" or "[fec0::2]:4711" into buf of SOCKET_ADDR_TEXT bytes. */
void socket_addr_format(char *buf, size_t size, const struct socket_addr *a);

/* Listen on port on every address of the machine, now and later (so before the lease is there). backlog: connections
 * kept waiting for socket_accept(), 1 to 255. 0 and *out (one reference, O_NONBLOCK clear); -EADDRINUSE, -ENOMEM,
 * -EINVAL. */
int socket_listen_tcp(uint16_t port, unsigned backlog, struct file **out) __must_check;
/* Take the oldest waiting connection. Never waits: -EAGAIN if there is none. peer may be NULL. A connection that
 * died while it waited is still given out, in its broken state. */
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

#endif
