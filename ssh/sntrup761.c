/* SPDX-License-Identifier: MIT */
/* Streamlined NTRU Prime sntrup761, as OpenSSH carries it. Its own crypto_kem_sntrup761_enc() draws random words one
 * by one from somewhere that cannot fail; ours are drawn before, so its steps are said again here. */
#include "lib/string.h"
#include "ssh/kem.h"

void arc4random_buf(void *p, size_t n);

#include <openssh/sntrup761.c>

/* Any bytes are a key: each coefficient is taken modulo q. */
static int sntrup761_encapsulate(const uint8_t *key, uint8_t *random, uint8_t *cipher,
				 uint8_t secret[SSH_KEM_SECRET])
{
	uint8_t r_enc[Small_bytes], cache[Hash_bytes];
	Inputs r;

	Hash_prefix(cache, 4, key, crypto_kem_sntrup761_PUBLICKEYBYTES);
	Short_fromlist(r, (uint32_t *)(void *)random);
	Hide(cipher, r_enc, r, key, cache);
	HashSession(secret, 1, r_enc, cipher);
	return 0;
}

const struct ssh_kem ssh_sntrup761 = {
	.key_len = crypto_kem_sntrup761_PUBLICKEYBYTES,
	.random_len = p * sizeof(uint32_t),
	.cipher_len = crypto_kem_sntrup761_CIPHERTEXTBYTES,
	.encapsulate = sntrup761_encapsulate,
};
