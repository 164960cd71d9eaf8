/* SPDX-License-Identifier: MIT */
/* A client in memory, and a host with recorded wishes, around one struct ssh_conn. Time is a variable. The client
 * speaks the protocol right unless told otherwise, message by message. */
#ifndef TERN_TESTS_HOST_SSH_PEER_H
#define TERN_TESTS_HOST_SSH_PEER_H

#include "ssh/cipher.h"
#include "ssh/hostkey.h"
#include "ssh/kem.h"
#include "ssh/kex_priv.h"
#include "ssh/proto.h"
#include "ssh/ssh.h"

#define PEER_KEX     "curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com"
#define PEER_CIPHERS "chacha20-poly1305@openssh.com"
#define PEER_MACS    "hmac-sha2-256"

struct peer {
	struct ssh_conn *c;
	struct ssh_config cfg;
	struct ssh_hostkey hostkey, userkey;
	uint64_t now;
	long live, most;       /* bytes allocated and not freed; the most there ever were */
	unsigned allocs;       /* allocations so far */
	bool patient;	       /* when the server takes no input, time passes until it does */
	bool no_memory;	       /* every allocation fails */
	long fail_alloc_after; /* the n-th allocation from now fails; 0 never */
	unsigned deep;	       /* times that a large stack was asked for */
	uint64_t deep_takes;   /* ns that pass meanwhile */

	/* what the client offers; change before peer_kex() */
	const char *kex, *hostkeys, *ciphers, *macs;
	const struct ssh_hostkey_alg *hostkey_alg; /* that is to be taken of them */
	bool guess;

	uint8_t rx[1 << 20]; /* from the server, not parsed */
	size_t rx_len, rx_head;
	struct ssh_keys in, out; /* the client's: in is from the server */
	uint32_t in_seq, out_seq;
	uint8_t session[SSH_HASH_MAX];
	size_t hash_len; /* of the session and of the exchange's hash */
	bool has_session, strict;
	uint8_t kexinit_c[2048], kexinit_s[2048];
	size_t kexinit_c_len, kexinit_s_len;
	const struct ssh_kex_alg *alg;
	uint8_t scalar[32], kem_secret[2400],
		blob[1216]; /* its half: the key of the KEM, the point */
	size_t blob_len;
	struct ssh_keys next_in, next_out;
	uint8_t agreed[80]; /* the secret, as it is hashed */
	size_t agreed_len;
	uint8_t payload[40000]; /* the last packet received */
	size_t payload_len;

	/* the host */
	bool allow_key, refuse_login, refuse_open, refuse_start, refuse_pty;
	int connect_error, listen_error;
	struct ssh_grant grant;
	char events[8192]; /* one word for each thing the host was asked */
	char log[4096];
	char refusal[128]; /* the last */
	unsigned refusals;
	struct ssh_chan *chan; /* the last opened */
	unsigned chans;
	size_t stdin_room;
	unsigned refused; /* times that stdin took nothing */
	uint8_t input[1 << 20];
	size_t input_len;
	bool input_gone;
	bool outlives;	    /* the program has what came before CLOSE, and says how it ends */
	int input_error;    /* what stdin answers, if not 0 */
	const char *secret; /* must not be in what is given back */
	unsigned leaked;    /* times it was */
	size_t watch; /* the secret is how the next random bytes begin of which this many are asked for */
	char watched[17];
	uint64_t random_state;
};

struct peer *peer_create(void);
/* Ends the connection; checks that it gave all memory back. */
void peer_destroy(struct peer *p);

/* Raw bytes to the server. */
void peer_feed(struct peer *p, const void *data, size_t n);
void peer_run(struct peer *p, uint64_t ns);
/* One message to the server, under the keys of the moment. */
void peer_send(struct peer *p, const void *payload, size_t n);
void peer_send_wr(struct peer *p, const struct wr *w);
/* The next message from the server into payload: its type, 0 if there is none. */
uint8_t peer_recv(struct peer *p);
/* Skip to the first message of this type; fails the test if none comes. */
void peer_expect(struct peer *p, uint8_t type);
struct rd peer_reader(struct peer *p); /* over the last message, behind its type */
/* The connection is over; the code of the DISCONNECT that came, or 0. */
uint32_t peer_disconnected(struct peer *p);

void peer_ident(struct peer *p);
void peer_kexinit(struct peer *p);
/* Its half into blob; keeps the KEM's key of the time before if there is one. */
void peer_make_blob(struct peer *p);
void peer_send_blob(struct peer *p, size_t n);
void peer_read_kexinit(struct peer *p);
void peer_ecdh_init(struct peer *p);
void peer_read_reply(struct peer *p);
void peer_newkeys(struct peer *p);
void peer_read_newkeys(struct peer *p);
void peer_kex(struct peer *p); /* all of them, from where the connection stands */
void peer_service(struct peer *p);
/* A publickey request. flags spoil it. */
enum { AUTH_QUERY = 1, AUTH_BAD_SESSION = 2, AUTH_BAD_SIG = 4, AUTH_OTHER_ALG = 8 };
void peer_auth(struct peer *p, const char *user, int flags);
void peer_login(struct peer *p);
/* A channel to there is wanted; 0 or the reason why not, if that is known at once, else UINT32_MAX. */
uint32_t peer_forward(struct peer *p, uint32_t mine, const char *to, uint32_t port);
/* The client wants us to listen, or no more; the answer's type, and then its port. */
uint8_t peer_listen(struct peer *p, bool on, const char *address, uint32_t port);
/* Returns the server's number of the channel. */
uint32_t peer_open(struct peer *p, uint32_t mine, uint32_t window, uint32_t max);
void peer_request(struct peer *p, uint32_t chan, const char *name, bool reply, const void *rest,
		  size_t n);
void peer_exec(struct peer *p, uint32_t chan, const char *command);
void peer_data(struct peer *p, uint32_t chan, const void *data, size_t n);
/* A message of type and the numbers given (up to two). */
void peer_numbers(struct peer *p, uint8_t type, unsigned count, uint32_t a, uint32_t b);
/* The program writes; how many bytes were taken. */
size_t host_output(struct peer *p, struct ssh_chan *ch, bool err, const void *data, size_t n);

#endif
