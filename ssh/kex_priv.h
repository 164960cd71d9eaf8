/* SPDX-License-Identifier: MIT */
/* A key exchange under way: made when one begins, gone when both NEWKEYS are through. */
#ifndef TERN_SSH_KEX_PRIV_H
#define TERN_SSH_KEX_PRIV_H

#include "ssh/cipher.h"
#include "ssh/conn_priv.h"

#define SSH_SECRET_MAX (4 + 1 + SSH_HASH_MAX) /* as it is hashed */
#define SSH_INIT_MAX   1024		      /* our KEXINIT */

struct ssh_kem;

/* One method. All have the client send a blob and us answer with one (RFC 5656 s4). */
struct ssh_kex_alg {
	const char *name; /* NULL ends ssh_kexes[] */
	const br_hash_class *hash;
	const struct ssh_kem *kem; /* of a hybrid: K is hashed as a string. NULL: an mpint */
};

extern const struct ssh_kex_alg ssh_kexes[];

/* What was agreed for one direction. */
struct ssh_suite {
	const struct ssh_cipher_alg *cipher;
	const struct ssh_mac_alg *mac; /* NULL with an AEAD */
	struct ssh_keys *keys;	       /* [alloc] from our reply until NEWKEYS takes them */
};

struct ssh_kex {
	bool sent_init, got_init, replied, sent_newkeys, got_newkeys;
	bool drop_guess;     /* the next packet is a wrong guess */
	uint64_t give_up_at; /* of one that is not the first, if the client does not answer */
	uint64_t
		hold_until; /* our KEXINIT, or later our NEWKEYS, goes out by then; DEADLINE_NEVER: no hold */
	const struct ssh_kex_alg *alg;
	struct ssh_suite in, out;
	uint8_t init[SSH_INIT_MAX]; /* our KEXINIT, for the exchange hash */
	size_t init_len;
	br_hash_compat_context hash; /* over what is known so far, once got_init and sent_init */
};

/* exchange.c */
/* Write our half, and the shared secret as it is hashed (I-SSH-15). 0, -EPROTO: the client's half is no good, or -errno.
 * Needs a large stack: struct ssh_host_ops. */
int ssh_kex_respond(struct ssh_conn *c, struct bytes client, struct wr *reply,
		    struct wr *secret) __must_check;

/* kexinit.c */
/* What we have of each kind, in our order: NULL at the end. */
typedef const char *ssh_name_fn(size_t i);
ssh_name_fn ssh_kex_name, ssh_hostkey_alg_name, ssh_cipher_name, ssh_mac_name;
/* Agree on everything from the client's KEXINIT. 0 or -EPROTO after ssh_fail(). */
int ssh_kex_negotiate(struct ssh_conn *c, struct rd *r) __must_check;
/* Make kex->init. */
int ssh_kexinit_write(struct ssh_conn *c) __must_check;

#endif
