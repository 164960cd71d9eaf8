/* SPDX-License-Identifier: MIT */
/* One channel (RFC 4254 s5): a session, or a forwarded connection of either way.
 *
 * Each direction ends by itself: eof_in and eof_out. A channel is free when CLOSE went both ways. Ours answers the peer's at
 * once, but where bytes for a forwarded connection still wait, those it has sent and may rely on, or the host says that a
 * program is to have them and to end.
 *	CONNECTING -> OPEN     ssh_chan_connected()
 *	OFFERED    -> OPEN     OPEN_CONFIRMATION
 *	OPEN       -> DRAINING the peer's CLOSE; the end when all is given, or the program has ended; or DRAIN_NS later,
 *	                       when it is reset, or hung up
 * The peer may name it in OPEN alone (I-SSH-16); in OFFERED it says yes or no. */
#ifndef TERN_SSH_CHAN_PRIV_H
#define TERN_SSH_CHAN_PRIV_H

#include "ssh/conn_priv.h"

/* Input the program has not taken. */
struct ssh_chunk {
	struct ssh_chunk *next;
	uint32_t cap, head, tail;
	uint8_t data[];
};

enum ssh_chan_stage { CHAN_OPEN, CHAN_CONNECTING, CHAN_OFFERED, CHAN_DRAINING };

struct ssh_chan {
	struct ssh_conn *c;
	void *data;	 /* the host's */
	uint32_t number; /* ours: what the peer calls it */
	uint32_t peer;	 /* the peer's: what we call it in messages */
	unsigned slot;

	uint32_t peer_window; /* bytes we may send */
	uint32_t peer_max;    /* in one message */
	uint32_t offer;	      /* how much the next read of output asks for: follows what comes */

	uint32_t window;     /* bytes the peer may send */
	uint32_t window_max; /* what it began with */
	uint32_t credit;     /* bytes taken since the last WINDOW_ADJUST */
	struct ssh_chunk *first, *last;
	size_t waiting; /* in the chunks */

	struct bytes to; /* [alloc] where to, for the log, in CONNECTING */
	uint32_t port;
	uint64_t drain_until; /* of DRAINING */

	enum ssh_chan_stage stage;
	enum ssh_chan_kind kind; /* [init] */
	bool started;		 /* shell, exec or subsystem succeeded: once; a connection: OPEN */
	bool has_pty;
	bool reader_gone; /* the program reads no more: what comes is dropped */
	bool eof_in, eof_told;
	bool eof_out, close_out;
	unsigned env_count;
};

/* chunk.c */
/* Keep n bytes. 0 or -ENOMEM. */
int ssh_chunks_add(struct ssh_chan *ch, const uint8_t *p, size_t n) __must_check;
/* Drop n bytes from the front. */
void ssh_chunks_take(struct ssh_chan *ch, size_t n);
void ssh_chunks_free(struct ssh_chan *ch);

/* channel.c */
/* The channel a message is for, or NULL after ssh_fail(). */
struct ssh_chan *ssh_chan_find(struct ssh_conn *c, uint32_t number);
/* The program started: give it what came before. */
void ssh_chan_started(struct ssh_chan *ch);

/* chanreq.c */
/* The signal of this name in RFC 4254 s6.10; NULL: it has none. */
const char *ssh_signal_find(struct bytes name);

/* forward.c */
/* May the client have us connect to there, or listen? */
bool ssh_forward_allowed(const struct ssh_conn *c, bool listen, struct bytes host, uint32_t port);
/* A line that says what is refused and why; the reason by an error, in words too. */
uint32_t ssh_forward_refused(struct ssh_conn *c, const char *what, struct bytes host, uint32_t port,
			     int error, const char **text);

#endif
