/* SPDX-License-Identifier: MIT */
/* A connection's inside: shared by the files of ssh/, by nobody else.
 *
 * Phases. The dispatch table says which message is legal in which:
 *	IDENT     waiting for the client's identification line
 *	KEXINIT   first key exchange: waiting for KEXINIT
 *	KEX       its KEXINIT is in: waiting for its half of the key exchange
 *	NEWKEYS   our half is out: waiting for its NEWKEYS
 *	SERVICE   encrypted: waiting for SERVICE_REQUEST
 *	AUTH      ssh-userauth runs
 *	OPEN      logged in: the connection protocol
 *	REKEX, RENEWKEYS    KEX and NEWKEYS of a later key exchange (in SERVICE, AUTH or OPEN)
 *	OVER      nothing is read any more
 * The first seven go in this order, at most once each; the REs nest in the fifth to seventh. */
#ifndef TERN_SSH_CONN_PRIV_H
#define TERN_SSH_CONN_PRIV_H

#include "lib/list.h"
#include "ssh/buf.h"
#include "ssh/proto.h"
#include "ssh/ssh.h"

enum ssh_phase {
	SSH_PHASE_IDENT = 1 << 0,
	SSH_PHASE_KEXINIT = 1 << 1,
	SSH_PHASE_KEX = 1 << 2,
	SSH_PHASE_NEWKEYS = 1 << 3,
	SSH_PHASE_SERVICE = 1 << 4,
	SSH_PHASE_AUTH = 1 << 5,
	SSH_PHASE_OPEN = 1 << 6,
	SSH_PHASE_REKEX = 1 << 7,
	SSH_PHASE_RENEWKEYS = 1 << 8,
	SSH_PHASE_OVER = 1 << 9,
};

struct ssh_keys;
struct ssh_hostkey_alg;
struct ssh_kex;

/* Transport: one direction. */
struct ssh_dir {
	struct ssh_keys *keys;
	uint32_t seq;
	uint64_t packets; /* in all */
	uint64_t bytes;
	uint64_t rekey_packets; /* since the last NEWKEYS */
	uint64_t rekey_bytes;
};

struct ssh_auth {
	struct ssh_grant grant; /* command and options are [alloc]; valid in OPEN */
	bool proven; /* this very request is signed by a key that the host lists for the user: I-SSH-26 */
	unsigned tries, queries, requests;
	bool answer_due; /* a failure waits for answer_at */
	uint64_t answer_at;
};

/* Whose wish a channel is: the client's for a program or a connection, a stranger's who came to a port of ours. Each kind has
 * its own bounds (I-SSH-17). */
enum ssh_chan_kind { CHAN_SESSION, CHAN_DIRECT, CHAN_ARRIVAL, CHAN_KINDS };

/* Open channels by slot; a channel's number is its slot and a count of the slot's uses, so that a late
 * message for a closed channel finds none. */
struct ssh_chans {
	struct ssh_chan **slot; /* [alloc] cap of them */
	uint32_t *uses;		/* [alloc] */
	unsigned cap, open;
	struct {
		unsigned open;
		uint64_t window_granted; /* sum of initial windows */
	} kind[CHAN_KINDS];
};

struct ssh_conn {
	const struct ssh_config *cfg;	     /* [init] */
	const struct ssh_host_ops *ops;	     /* [init] */
	const struct ssh_chan_ops *chan_ops; /* NULL: nothing was granted */
	void *host;			     /* [init] */
	enum ssh_phase phase;		     /* never REKEX or RENEWKEYS: those are in kex */
	uint64_t now;			     /* of the last call */
	uint64_t created;
	uint64_t active_at;	  /* last packet either way */
	uint64_t short_since;	  /* no memory for input since then; 0: there is */
	uint64_t kex_short_since; /* nor for a key exchange */
	uint64_t pause_until;	  /* input is not looked at before this time */
	uint64_t
		discard_until; /* a bad length in encrypt-and-MAC mode: fail then, or when discard is 0 */
	size_t discard;
	size_t memory;

	struct ssh_buf rx, tx;
	struct ssh_buf
		held; /* messages that wait for the end of a key exchange: u32 length, a byte, payload */
	struct ssh_dir in, out;
	uint32_t packet_length; /* of the packet at the front of rx; 0: not known yet */
	size_t packet_done;	/* bytes of the packet being handled, with its tag */
	bool packet_again; /* it was not handled, for want of memory: once more, as it lies in rx, open */
	struct wr msg;	/* the message being built */
	bool msg_held;	/* it goes to held */
	bool in_output; /* between ssh_chan_output_begin() and end */

	char ident[SSH_IDENT_MAX + 1]; /* the client's, without line end */
	size_t ident_len;
	struct ssh_kex *kex; /* [alloc] NULL when no key exchange runs */
	uint8_t session_id[SSH_HASH_MAX];
	size_t session_id_len; /* 0 before the first key exchange */
	bool strict;
	bool ext_info;
	const char *kex_name;
	const struct ssh_hostkey_alg *hostkey_alg; /* of the last KEXINIT */
	uint64_t kexed_at;
	unsigned rekeys;
	unsigned late;		  /* holds that their timer has ended */
	uint64_t rekey_credit_at; /* token bucket: a peer's rekey is on credit up to this time */

	struct ssh_auth auth;
	struct ssh_chans chans;
	unsigned listeners; /* the host has for us */
	uint64_t heard_at;  /* last packet in */
	uint64_t asked_at;  /* last keepalive */
	unsigned unanswered;
	bool proved; /* it has asked for the proof of our host keys */
};

/* A shortage of memory may pass: after so long another try, and no more after that. */
#define SSH_SHORT_RETRY_NS (20 * NS_PER_MS)
#define SSH_SHORT_MAX_NS   (5 * NS_PER_S)

/* Output that waits for the socket: beyond SOFT channels give no more, beyond STOP no input is looked at, so
 * that a peer which asks and does not read holds no more than this. And what one key exchange may hold back. */
#define SSH_TX_SOFT  (64 * 1024)
#define SSH_TX_STOP  (128 * 1024)
#define SSH_TX_LOGIN (16 * 1024) /* instead of both, before the login */
#define SSH_HELD_MAX (64 * 1024)

/* conn.c */
/* There was no memory: wait, the shortage may pass. False: it has lasted too long, since *since; 0: it begins. */
bool ssh_short(struct ssh_conn *c, uint64_t *since);
void *ssh_alloc(struct ssh_conn *c, size_t n) __must_check;
void ssh_free(struct ssh_conn *c, void *p, size_t n);
/* A copy in memory of its own; p is NULL if there is no memory or b is empty. */
struct bytes ssh_dup(struct ssh_conn *c, struct bytes b);
void ssh_dup_free(struct ssh_conn *c, struct bytes *b);
void ssh_log(struct ssh_conn *c, enum ssh_log level, const char *text, struct bytes about);
/* End the connection with a disconnect message and a log line. Always -EPROTO. */
int ssh_fail(struct ssh_conn *c, uint32_t code, const char *text);
/* The same for lack of memory or randomness. Always the error. */
int ssh_fail_local(struct ssh_conn *c, int error);
enum ssh_phase ssh_conn_phase(const struct ssh_conn *c);

/* ident.c */
int ssh_ident_send(struct ssh_conn *c) __must_check;
/* 1 when the line is in and good, 0: need more, or -errno after ssh_fail(). */
int ssh_ident_input(struct ssh_conn *c) __must_check;

/* packet.c */
/* Take the next packet from rx: 1 and its payload (valid until ssh_packet_done()), 0: need more, or -errno. */
int ssh_packet_next(struct ssh_conn *c, struct bytes *payload) __must_check;
void ssh_packet_done(struct ssh_conn *c);
/* How many bytes the packet at the front of rx still wants. */
size_t ssh_packet_wants(const struct ssh_conn *c) __must_check;
/* The largest max (at most this) for which a message can be begun now; 0: no memory. */
size_t ssh_msg_room(struct ssh_conn *c, size_t max) __must_check;
/* Build a message of at most max bytes: begin, fill, end. Sticky: with no memory or a connection that is over
 * the writer is bad and end does nothing. Held back while a key exchange forbids it. */
struct wr *ssh_msg_begin(struct ssh_conn *c, uint8_t type, size_t max);
void ssh_msg_end(struct ssh_conn *c);
/* Drop what was begun. */
void ssh_msg_cancel(struct ssh_conn *c);
/* Send what a key exchange held back. */
void ssh_held_send(struct ssh_conn *c);
/* May a message of the connection protocol go out now? */
bool ssh_msg_may_send(const struct ssh_conn *c);

/* dispatch.c */
int ssh_dispatch(struct ssh_conn *c, struct bytes payload) __must_check;

/* kexinit.c, kex.c */
/* The identification is in: wait for the client's KEXINIT, not too long. */
int ssh_kex_expect(struct ssh_conn *c) __must_check;
int ssh_kexinit_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_kex_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_newkeys_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
/* Should the packet just received be dropped as a wrong guess? Asked once. */
bool ssh_kex_drops_guess(struct ssh_conn *c, uint8_t type);
void ssh_kex_run(struct ssh_conn *c);
uint64_t ssh_kex_deadline(const struct ssh_conn *c);
/* A key exchange that is ours to begin, once somebody is logged in. */
void ssh_rekey_run(struct ssh_conn *c);
uint64_t ssh_rekey_deadline(const struct ssh_conn *c);
/* The next ssh_rekey_run() begins one, unless one runs or there is a pause: until then channels give and open no more (I-SSH-21). */
bool ssh_rekey_is_due(const struct ssh_conn *c);
/* Our KEXINIT is out and our NEWKEYS is not. */
bool ssh_kex_blocks_output(const struct ssh_conn *c);
void ssh_kex_free(struct ssh_conn *c);
void ssh_keys_free(struct ssh_conn *c, struct ssh_keys **k);

/* auth.c */
int ssh_service_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_auth_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
void ssh_auth_run(struct ssh_conn *c);
uint64_t ssh_auth_deadline(const struct ssh_conn *c);
void ssh_auth_fini(struct ssh_conn *c);

/* hostkeys.c */
/* Tell a client that is logged in of all host keys, if there is more than the one it knows. */
void ssh_hostkeys_announce(struct ssh_conn *c);
/* Answer the request for proofs of those that r names. False: not answered, refuse it. */
bool ssh_hostkeys_prove(struct ssh_conn *c, struct rd *r) __must_check;

/* channel.c, chanreq.c, global.c */
int ssh_chan_open_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_chan_confirm_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_chan_failure_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_chan_adjust_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_chan_data_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_chan_extended_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_chan_eof_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_chan_close_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_chan_reply_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_chan_request_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_global_request_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
int ssh_global_reply_input(struct ssh_conn *c, struct rd *r, struct bytes payload);
void ssh_chans_fini(struct ssh_conn *c);
/* End what drains for too long. */
void ssh_chans_run(struct ssh_conn *c);
uint64_t ssh_chans_deadline(const struct ssh_conn *c);
void ssh_chans_info(const struct ssh_conn *c, struct ssh_conn_info *info);
void ssh_keepalive_run(struct ssh_conn *c);
uint64_t ssh_keepalive_deadline(const struct ssh_conn *c);

#endif
