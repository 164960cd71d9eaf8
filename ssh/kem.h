/* SPDX-License-Identifier: MIT */
/* Key encapsulation: from a client's public key and random bytes a ciphertext, and the secret that it alone can take
 * out of it. Pure, and in constant time but for what is public. */
#ifndef TERN_SSH_KEM_H
#define TERN_SSH_KEM_H

#include "lib/types.h"

#define SSH_KEM_SECRET 32
#define SSH_KEM_STACK  (46 * 1024) /* what either uses, at most */
#define SSH_KEX_STACK  (8 * 1024)  /* and the rest of a key exchange: hashes, keys, the signature */

struct ssh_kem {
	size_t key_len, random_len, cipher_len;
	/* 0; -EPROTO: the key is none. All are aligned to 4 bytes but the key. */
	int (*encapsulate)(const uint8_t *key, uint8_t *random, uint8_t *cipher,
			   uint8_t secret[SSH_KEM_SECRET]);
};

extern const struct ssh_kem ssh_mlkem768; /* FIPS 203 */
extern const struct ssh_kem ssh_sntrup761;

/* Their frames hold secrets: write over SSH_KEM_STACK bytes below the caller's. */
void ssh_kem_wipe_stack(void);
/* The same for SSH_KEX_STACK. */
void ssh_kex_wipe_stack(void);

#endif
