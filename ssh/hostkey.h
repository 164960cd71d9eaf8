/* SPDX-License-Identifier: MIT */
/* The server's host key: ssh-ed25519 (RFC 8709). */
#ifndef TERN_SSH_HOSTKEY_H
#define TERN_SSH_HOSTKEY_H

#include "lib/cursor.h"
#include "lib/types.h"

#define SSH_HOSTKEY_SEED_BYTES 32
#define SSH_FINGERPRINT_BYTES  52 /* "SHA256:", 43 characters, NUL, rounded up */
#define SSH_HOSTKEY_BLOB_BYTES 51
#define SSH_HOSTKEY_LINE_BYTES 96

struct ssh_hostkey {
	uint8_t public[32];
	uint8_t secret[64]; /* seed, public key: libsodium's form */
};

/* The key made from 32 random bytes. */
void ssh_hostkey_from_seed(struct ssh_hostkey *k, const uint8_t seed[SSH_HOSTKEY_SEED_BYTES]);
/* Read an unencrypted OpenSSH private key file (openssh-key-v1). 0, -EINVAL if it is malformed or the halves do
 * not belong together, -EOPNOTSUPP if it is encrypted or of another type. */
int ssh_hostkey_parse(struct ssh_hostkey *k, const char *text, size_t n) __must_check;

const char *ssh_hostkey_name(const struct ssh_hostkey *k);
/* Append the public key blob, as a string. */
void ssh_hostkey_write(const struct ssh_hostkey *k, struct wr *w);
/* Append a signature over n bytes, as a string. 0 or -EIO. */
int ssh_hostkey_sign(const struct ssh_hostkey *k, const void *p, size_t n,
		     struct wr *w) __must_check;
/* "ssh-ed25519 BASE64", as in a known_hosts file. */
void ssh_hostkey_line(const struct ssh_hostkey *k, char line[SSH_HOSTKEY_LINE_BYTES]);

/* "SHA256:..." of a public key blob. */
void ssh_fingerprint(struct bytes blob, char text[SSH_FINGERPRINT_BYTES]);
void ssh_hostkey_fingerprint(const struct ssh_hostkey *k, char text[SSH_FINGERPRINT_BYTES]);

#endif
