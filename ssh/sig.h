/* SPDX-License-Identifier: MIT */
/* Signatures by users' keys: ssh-ed25519 (RFC 8709), ecdsa-sha2-nistp256 (RFC 5656), rsa-sha2-256 and
 * rsa-sha2-512 (RFC 8332). */
#ifndef TERN_SSH_SIG_H
#define TERN_SSH_SIG_H

#include "lib/cursor.h"

/* For server-sig-algs (RFC 8308 s3.1). */
#define SSH_SIG_ALGS "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256"
#define SSH_KEY_MAX  1200 /* the largest key blob taken: RSA with 8192 bits */

/* Can signatures named alg be made by this key, and is it whole and strong enough? */
bool ssh_sig_key_is_good(struct bytes alg, struct bytes key) __must_check;
/* Is sig, which must name alg, a signature over the n bytes by this key? 0 or -EACCES. */
int ssh_sig_verify(struct bytes alg, struct bytes key, struct bytes sig, const void *p,
		   size_t n) __must_check;

#endif
