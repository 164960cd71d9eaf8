/* SPDX-License-Identifier: MIT */
/* aes128-gcm@openssh.com, aes256-gcm@openssh.com (RFC 5647): the length is clear and authenticated; the nonce is
 * four fixed bytes and a 64-bit count of packets, both from the key exchange. */
#include "lib/string.h"
#include "ssh/cipher.h"

static void gcm_init(struct ssh_keys *k, const uint8_t *key, const uint8_t *iv)
{
	br_aes_ct64_ctr_init(&k->gcm.aes, key, k->cipher->key_len);
	br_gcm_init(&k->gcm.ctx, &k->gcm.aes.vtable, br_ghash_ctmul64);
	memcpy(k->gcm.nonce, iv, sizeof(k->gcm.nonce));
}

/* BearSSL decrypts while it authenticates. */
static void gcm_run(struct ssh_keys *k, bool encrypt, uint32_t seq, uint8_t *p, size_t len,
		    uint8_t *tag)
{
	br_gcm_context *ctx = &k->gcm.ctx;

	br_gcm_reset(ctx, k->gcm.nonce, sizeof(k->gcm.nonce));
	br_gcm_aad_inject(ctx, p, 4);
	br_gcm_flip(ctx);
	br_gcm_run(ctx, encrypt, p + 4, len - 4);
	br_gcm_get_tag(ctx, tag);
	for (size_t i = sizeof(k->gcm.nonce); i-- > 4 && ++k->gcm.nonce[i] == 0;)
		;
}

static const struct ssh_cipher_ops ops = { gcm_init, NULL, gcm_run };

const struct ssh_cipher_alg ssh_cipher_aes128_gcm = {
	"aes128-gcm@openssh.com", 16, 12, 16, 16, &ops
};
const struct ssh_cipher_alg ssh_cipher_aes256_gcm = {
	"aes256-gcm@openssh.com", 32, 12, 16, 16, &ops
};
