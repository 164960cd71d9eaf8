/* SPDX-License-Identifier: MIT */
/* The SSH-2 server protocol as a pure state machine (RFC 4251 to 4254): bytes in, bytes out, time by argument.
 * It never blocks, does no I/O, keeps no globals. What it needs of the world is struct ssh_host_ops.
 *
 * The thread that owns a connection turns this wheel:
 *
 *	ssh_conn_run(): a pause may be over
 *	read the socket into ssh_conn_input_space(), ssh_conn_input_done(), ssh_conn_run()
 *	for each channel with ssh_chan_room(): read the program's output between
 *		ssh_chan_output_begin() and ssh_chan_output_end()
 *	ssh_chan_input_ready() where a program's stdin has room again
 *	write ssh_conn_output() to the socket, ssh_conn_output_sent()
 *	sleep until a file is ready or ssh_conn_deadline()
 *
 * Locks: none. A connection and its channels belong to one thread at a time; operations are called on that
 * thread from inside these functions, and must not call back except where it is said. */
#ifndef TERN_SSH_SSH_H
#define TERN_SSH_SSH_H

#include "lib/cursor.h"
#include "lib/types.h"

/* What a connection holds through ssh_host_ops.alloc, at most (I-SSH-19): until its identification is in, until the first key
 * exchange is done, until the login; and then, and each channel its window and so much besides. */
#define SSH_MEMORY_IDENT   (16 * 1024)
#define SSH_MEMORY_KEX	   (96 * 1024)
#define SSH_MEMORY_LOGIN   (128 * 1024)
#define SSH_MEMORY_OPEN	   (640 * 1024)
#define SSH_MEMORY_CHANNEL (40 * 1024)

struct ssh_conn;
struct ssh_chan;
struct ssh_chan_ops;
struct ssh_hostkey;

/* At most one key of each. */
enum ssh_hostkey_kind { SSH_HOSTKEY_ED25519, SSH_HOSTKEY_RSA, SSH_HOSTKEY_KINDS };

enum ssh_log {
	SSH_LOG_QUIET,	 /* nothing */
	SSH_LOG_ERROR,	 /* our own failures */
	SSH_LOG_REFUSAL, /* of what is asked after the login: as often as a peer likes */
	SSH_LOG_INFO,	 /* logins and their refusals, abnormal ends */
	SSH_LOG_VERBOSE, /* ordinary ends */
	SSH_LOG_DEBUG,	 /* the rest */
};

/* What an accepted key may do, by its line of authorized_keys, and what serves its channels: never NULL once it is granted. */
struct ssh_grant {
	const struct ssh_chan_ops *chan_ops;
	bool no_pty;
	bool no_forwarding;
	bool limits_open, limits_listen; /* only to, only at what the options name */
	bool environment;		 /* they name variables */
	struct bytes command;		 /* forced command; p is NULL if there is none */
	struct bytes options;
};

struct ssh_winsize {
	uint16_t cols, rows, xpixel, ypixel;
};

struct ssh_pty {
	struct bytes term;
	struct ssh_winsize size;
	struct bytes modes; /* checked to be whole: walk it with ssh_pty_mode_next() */
};

enum ssh_start_kind {
	SSH_START_SHELL,
	SSH_START_EXEC,
};

struct ssh_start {
	enum ssh_start_kind kind;
	struct bytes command;  /* exec: the command; has no NUL in it */
	struct bytes original; /* what the client asked for, when the key forces another command */
	struct bytes options;  /* of the key, if its variables count: ssh_authkeys_variable() */
};

/* A connection that came to a port we listen on for the client (RFC 4254 s7.2). */
struct ssh_arrival {
	struct bytes address, from; /* as the client asked for it; whose it is */
	uint16_t port, from_port;
};

/* All are called with the host pointer given to ssh_conn_create(). None may block for a peer, a user or a
 * device; those that start a program may sleep for memory and files. */
struct ssh_host_ops {
	void *(*alloc)(void *host, size_t n);
	void (*free)(void *host, void *p, size_t n);
	/* Fill with random bytes; 0 or -errno, which ends the connection. */
	int (*random)(void *host, void *buf, size_t n);
	/* Call work(arg) where it has SSH_KEM_STACK bytes of stack and some more, and return when it has. 0 or
	 * -ENOMEM: it was not called. NULL: any place will do. */
	int (*deep)(void *host, void (*work)(void *), void *arg);
	/* One line: text, and what it is about, printable, in quotes if not empty. */
	void (*log)(void *host, enum ssh_log level, const char *text, struct bytes about);
	/* A message came in, or goes out: its number, and the bytes of its payload. NULL: nobody wants to know. */
	void (*message)(void *host, bool out, uint8_t type, size_t n);
	/* Has this user this public key (RFC 4253 s6.6 blob) in a list? 0 or -EACCES. Strangers ask: it must take as long for an unknown
	 * user as for a known one, and says nothing of what the key is good for. spoken: else it will be refused, for its form or its
	 * algorithm, and is asked about for the record. */
	int (*key_check)(void *host, struct bytes user, struct bytes key, bool spoken);
	/* The time, as ssh_conn_run() is told it. NULL: it stands still meanwhile. */
	uint64_t (*now)(void *host);
	/* May he log in with it? Asked when key_check said 0 and the signature is good (I-SSH-26). 0 and *grant, or -EACCES. */
	int (*admit)(void *host, struct bytes user, struct bytes key, struct ssh_grant *grant);
	/* A login failed: how many ns until the answer may go out. */
	uint64_t (*auth_failed)(void *host, struct bytes user);
	/* The login succeeded; the connection no longer counts as unauthenticated. */
	void (*auth_done)(void *host, struct bytes user);
};

/* The same of those who are logged in: they come with what the host grants, so there is nothing to call before (I-SSH-18). */
struct ssh_chan_ops {
	/* A session channel opens: remember it (ssh_chan_set_data()). 0, or -errno refuses it. */
	int (*chan_open)(void *host, struct ssh_chan *ch);
	/* These come before chan_start; 0 or -errno. */
	int (*chan_env)(void *host, struct ssh_chan *ch, struct bytes name, struct bytes value);
	int (*chan_pty)(void *host, struct ssh_chan *ch, const struct ssh_pty *pty);
	/* Start the program. 0 or -errno. */
	int (*chan_start)(void *host, struct ssh_chan *ch, const struct ssh_start *start);
	/* Bytes for the program's stdin: returns how many were taken, -errno when nobody will read any more,
	 * but -ENOMEM, which ends the connection. 0 when
	 * it is full: only then, and then always, the host calls ssh_chan_input_ready() when it no longer is. */
	ssize_t (*chan_input)(void *host, struct ssh_chan *ch, const void *p, size_t n);
	/* No more input will come. */
	void (*chan_input_eof)(void *host, struct ssh_chan *ch);
	int (*chan_winsize)(void *host, struct ssh_chan *ch, const struct ssh_winsize *size);
	/* Name without SIG, one of RFC 4254 s6.10. 0 or -errno. */
	int (*chan_signal)(void *host, struct ssh_chan *ch, const char *name);
	/* RFC 4335. 0 or -errno. */
	int (*chan_break)(void *host, struct ssh_chan *ch, uint32_t ms);
	/* The client wants no more of a program. True: what it sent before comes yet, and its end, and within 60 s, if
	 * output had not ended before, the host calls ssh_chan_close(). False, or NULL: the channel ends now. */
	bool (*chan_hang_up)(void *host, struct ssh_chan *ch);
	/* The channel is gone; ch is invalid on return. Called once for each channel that chan_open or chan_connect
	 * accepted or ssh_chan_arrive() made, whoever ended it; what still runs on it is to be hung up. */
	void (*chan_closed)(void *host, struct ssh_chan *ch);
	/* A forwarded connection takes no more, or not in time, and bytes for it are lost: reset it, that what came may not
	 * look whole. */
	void (*chan_reset)(void *host, struct ssh_chan *ch);
	/* A connection to there is wanted: begin it, remember the channel, and later call ssh_chan_connected() or
	 * ssh_chan_refuse(). -errno refuses it now. Its bytes go by chan_input as a program's do; when both ways
	 * have ended the host calls ssh_chan_close(). NULL: there is no forwarding. */
	int (*chan_connect)(void *host, struct ssh_chan *ch, struct bytes to, uint16_t port);
	/* Listen; *port 0 is chosen. For each connection ssh_chan_arrive(). 0 or -errno. */
	int (*listen)(void *host, struct bytes address, uint16_t *port);
	/* No more. -ENOENT: it did not. What has arrived goes on. */
	int (*unlisten)(void *host, struct bytes address, uint16_t port);
};

enum ssh_root { SSH_ROOT_YES, SSH_ROOT_FORCED, SSH_ROOT_NO };
enum { SSH_FORWARD_LOCAL = 1, SSH_FORWARD_REMOTE = 2 };
enum ssh_gateway { SSH_GATEWAY_CLIENT, SSH_GATEWAY_YES, SSH_GATEWAY_NO };

#define SSH_FOREVER_NS	(1UL << 62)
#define SSH_REKEY_BYTES (1UL << 30) /* RFC 4253 s9 */

/* [init] Shared by connections; each keeps to its end the one it began with (I-SSH-20). The second part is what
 * ssh/config.h reads. */
struct ssh_config {
	const struct ssh_hostkey *hostkeys[SSH_HOSTKEY_KINDS]; /* NULL: there is none */
	const char *ident;	/* our identification, without its line end */
	uint64_t hold_ns;	/* longest wait for the client's message before ours */
	uint64_t rekey_packets; /* a new key exchange is due after this many in one direction */
	uint64_t rekey_wait_ns; /* how long the client may take to answer ours */
	unsigned max_queries;	/* publickey questions for keys we refuse */
	unsigned max_channels;	/* of each kind open at once, and as many listeners */
	uint32_t window;	/* bytes a client may send ahead on a channel */
	uint32_t window_budget; /* and on all of a kind: beyond it channels get window_small */
	uint32_t window_small;
	struct bytes banner; /* shown before a login; the host's, as banner_file says */

	unsigned log_level;	/* enum ssh_log */
	uint64_t grace_ns;	/* from connect to login */
	uint64_t rekey_ns;	/* a new key exchange is due after this time, */
	uint64_t rekey_bytes;	/* or this many bytes in one direction */
	uint64_t keepalive_ns;	/* of silence before we ask whether the peer lives; 0 never */
	unsigned keepalive_max; /* unanswered before we give up */
	unsigned max_tries;	/* failed logins */
	unsigned max_sessions;	/* session channels open at once */
	unsigned max_newcomers; /* the host's: not logged in at once */
	unsigned root;		/* enum ssh_root */
	unsigned permit_tty, user_environment; /* bool; a key's environment counts */
	unsigned forward;		       /* SSH_FORWARD_ bits */
	unsigned
		gateway; /* the host's: enum ssh_gateway, whose addresses a client's listener has */
	/* a bit for each of ours that is offered */
	uint32_t kexes, hostkey_algs, ciphers, macs;
	struct bytes force_command, banner_file, hostkey_file; /* in text; p is NULL: none */
	struct bytes text;				       /* the file */
};

/* Does the crypto give known answers? NULL, or the name of what does not. spoil: tests name one to be falsified; "".
 * Once, before the first connection. */
const char *ssh_selftest(const char *spoil) __must_check;
/* hostkey: of ED25519, or NULL. */
void ssh_config_init(struct ssh_config *cfg, const struct ssh_hostkey *hostkey);
/* The algorithms of the host keys there are, as far as they are offered: a bit for each. None is no server. */
uint32_t ssh_hostkey_algs_of(const struct ssh_config *cfg) __must_check;

/* Counters and names for /proc and logs. Strings are static. */
struct ssh_conn_info {
	const char *phase, *kex, *cipher_in, *cipher_out, *mac_in, *mac_out;
	uint64_t bytes_in, bytes_out, packets_in, packets_out;
	size_t memory_max; /* bytes it may hold through alloc (I-SSH-19) */
	unsigned rekeys, channels;
	unsigned stalled; /* of them: may be sent nothing until the client grants more */
	uint64_t window_in, window_out,
		waiting; /* bytes of all channels: granted each way, and come but not taken */
	unsigned late;	 /* waits for the client in a key exchange that hold_ns ended */
	size_t memory;	 /* bytes held through alloc */
};

/* A connection just accepted; the identification is in its output. NULL: no memory. */
struct ssh_conn *ssh_conn_create(const struct ssh_config *cfg, const struct ssh_host_ops *ops,
				 void *host, uint64_t now);
/* Closes what is open (chan_closed for each channel), wipes and frees. */
void ssh_conn_destroy(struct ssh_conn *c);

/* Room for bytes from the socket, *n of them, or NULL if none are wanted now. */
void *ssh_conn_input_space(struct ssh_conn *c, size_t *n) __must_check;
/* n bytes were put there. Follow with ssh_conn_run(). */
void ssh_conn_input_done(struct ssh_conn *c, size_t n);
/* Would ssh_conn_input_space() give room? */
bool ssh_conn_wants_input(const struct ssh_conn *c) __must_check;

/* Bytes for the socket, or NULL. */
const void *ssh_conn_output(const struct ssh_conn *c, size_t *n) __must_check;
/* The first n of them are sent. */
void ssh_conn_output_sent(struct ssh_conn *c, size_t n);

/* Do all that can be done at this time: timers, buffered input, held messages. */
void ssh_conn_run(struct ssh_conn *c, uint64_t now);
/* When ssh_conn_run() must be called though nothing else happened; DEADLINE_NEVER if it need not. */
uint64_t ssh_conn_deadline(const struct ssh_conn *c) __must_check;
/* Over: send what output is left (briefly) and destroy. */
bool ssh_conn_is_over(const struct ssh_conn *c) __must_check;
bool ssh_conn_is_authenticated(const struct ssh_conn *c) __must_check;
/* End it from our side with SSH_MSG_DISCONNECT; code is one of ssh/proto.h. */
void ssh_conn_disconnect(struct ssh_conn *c, uint32_t code, const char *text);
void ssh_conn_info(const struct ssh_conn *c, struct ssh_conn_info *info);

void ssh_chan_set_data(struct ssh_chan *ch, void *data);
void *ssh_chan_data(const struct ssh_chan *ch);
uint32_t ssh_chan_number(const struct ssh_chan *ch);

/* How many bytes of output the peer's window and our buffer take now. When the client of a forwarded connection is gone all
 * is taken, and dropped. */
size_t ssh_chan_room(const struct ssh_chan *ch) __must_check;
/* Where to put output, *n at most; NULL if there is no room. err: the program's stderr (extended data 1).
 * Nothing else of this connection may be called until ssh_chan_output_end() says how many came (0 is well). */
void *ssh_chan_output_begin(struct ssh_chan *ch, bool err, size_t *n) __must_check;
void ssh_chan_output_end(struct ssh_chan *ch, size_t n);
/* The program's stdin has room again: give it what waits. Ends a forwarded connection whose client is gone when it has all:
 * chan_closed. */
void ssh_chan_input_ready(struct ssh_chan *ch);
/* Bytes that wait for it. */
size_t ssh_chan_input_waiting(const struct ssh_chan *ch) __must_check;
/* All output was given: EOF, once. Nothing may follow but the two below. */
void ssh_chan_eof(struct ssh_chan *ch);
/* How the program ended, a signal by its name without SIG, then CLOSE. The channel lives on until chan_closed, which
 * ssh_chan_close() may call. */
void ssh_chan_exit_status(struct ssh_chan *ch, uint32_t status);
void ssh_chan_exit_signal(struct ssh_chan *ch, const char *name, bool core);
void ssh_chan_close(struct ssh_chan *ch);

/* What chan_connect began is made, or not, which ends the channel: chan_closed. */
void ssh_chan_connected(struct ssh_chan *ch);
void ssh_chan_refuse(struct ssh_chan *ch, int error);
/* Can a connection that came be offered now? If not, it is to wait: the next turn of the wheel may do. */
bool ssh_chan_may_arrive(const struct ssh_conn *c) __must_check;
/* Offer the client a connection that came. Nothing is given or taken until it agrees; it may refuse: chan_closed. NULL: there
 * is no room. */
struct ssh_chan *ssh_chan_arrive(struct ssh_conn *c, const struct ssh_arrival *a) __must_check;

/* Walk the terminal modes of RFC 4254 s8: false at the end. */
bool ssh_pty_mode_next(struct rd *modes, uint8_t *opcode, uint32_t *value);

#endif
