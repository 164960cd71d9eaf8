/* SPDX-License-Identifier: MIT */
/* The server's host keys: ssh-ed25519 (RFC 8709) and, if there is one, RSA with SHA-2 (RFC 8332). */
#ifndef TERN_SSH_HOSTKEY_H
#define TERN_SSH_HOSTKEY_H

#include "lib/cursor.h"
#include "lib/types.h"
#include "ssh/ssh.h"
#include <bearssl.h>

#define SSH_HOSTKEY_SEED_BYTES	  32
#define SSH_FINGERPRINT_BYTES	  52  /* "SHA256:", 43 characters, NUL, rounded up */
#define SSH_HOSTKEY_ED25519_BYTES 51  /* its public key blob */
#define SSH_HOSTKEY_BLOB_MAX	  560 /* that of RSA */
#define SSH_HOSTKEY_LINE_BYTES	  768
#define SSH_RSA_MAX		  512 /* bytes of a modulus: what BearSSL computes with */
#define SSH_RSA_MIN		  384 /* and those of 3072 bits */
#define SSH_RSA_FACTOR_MAX	  260

struct ssh_rsa_number {
	size_t n;
	uint8_t b[SSH_RSA_FACTOR_MAX];
};

struct ssh_rsa_key {
	size_t n_len, e_len;
	uint8_t n[SSH_RSA_MAX], e[8];
	struct ssh_rsa_number p, q, dp, dq, iq; /* RFC 8017 s3.2 */
};

struct ssh_hostkey {
	enum ssh_hostkey_kind kind;
	union {
		struct {
			uint8_t public[32];
			uint8_t secret[64]; /* seed, public key: libsodium's form */
		};
		struct ssh_rsa_key rsa;
	};
};

/* How a key of a kind signs. */
struct ssh_hostkey_alg {
	const char *name; /* NULL ends ssh_hostkey_algs[] */
	enum ssh_hostkey_kind kind;
	const br_hash_class *hash; /* of RSA */
	const unsigned char *oid;
};

extern const struct ssh_hostkey_alg ssh_hostkey_algs[];

/* The key made from 32 random bytes. */
void ssh_hostkey_from_seed(struct ssh_hostkey *k, const uint8_t seed[SSH_HOSTKEY_SEED_BYTES]);
/* Read an unencrypted OpenSSH private key file (openssh-key-v1), and try what it says. The text is decoded in its own place, and
 * wiped; so is *k on failure. 0, -EINVAL if it is malformed or its parts do not belong together, -EOPNOTSUPP if it is encrypted
 * or of another type, -ERANGE: an RSA key of less than 3072 bits, or more than 4096. RSA needs SSH_KEX_STACK. */
int ssh_hostkey_parse(struct ssh_hostkey *k, char *text, size_t n) __must_check;

/* Append the public key blob, as a string. */
void ssh_hostkey_write(const struct ssh_hostkey *k, struct wr *w);
/* Append a signature over n bytes, as a string; alg is of the key's kind, NULL: the first of them. 0 or -EIO. */
int ssh_hostkey_sign(const struct ssh_hostkey *k, const struct ssh_hostkey_alg *alg, const void *p,
		     size_t n, struct wr *w) __must_check;
/* "TYPE BASE64", as in a known_hosts file. */
void ssh_hostkey_line(const struct ssh_hostkey *k, char line[SSH_HOSTKEY_LINE_BYTES]);

/* "SHA256:..." of a public key blob. */
void ssh_fingerprint(struct bytes blob, char text[SSH_FINGERPRINT_BYTES]);
void ssh_hostkey_fingerprint(const struct ssh_hostkey *k, char text[SSH_FINGERPRINT_BYTES]);

/* rsa.c */
/* Take the numbers of a key file; d is used up, and not kept. 0, -EINVAL or -ERANGE as above. */
int ssh_rsa_parse(struct ssh_rsa_key *k, struct rd *r) __must_check;
/* Sign n bytes; sig has room for the modulus. Nothing goes out that the public key does not verify: one wrong bit in half of the
 * computation would give the key away. 0 or -EIO. */
int ssh_rsa_sign(const struct ssh_rsa_key *k, const struct ssh_hostkey_alg *alg, const void *p,
		 size_t n, uint8_t sig[SSH_RSA_MAX]) __must_check;

#endif
