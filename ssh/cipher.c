/* SPDX-License-Identifier: MIT */
/* The lists of ciphers, their common set-up, and the cipher before the first key exchange: none. */
#include "ssh/cipher.h"
#include "lib/cursor.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/proto.h"

const struct ssh_cipher_alg *const ssh_ciphers[] = {
	&ssh_cipher_chachapoly, &ssh_cipher_aes128_gcm, &ssh_cipher_aes128_ctr,
	&ssh_cipher_aes256_gcm, &ssh_cipher_aes256_ctr, NULL,
};

static void none_run(struct ssh_keys *k, bool encrypt, uint32_t seq, uint8_t *p, size_t len,
		     uint8_t *tag)
{
}

static const struct ssh_cipher_ops ops = { .run = none_run };

const struct ssh_cipher_alg ssh_cipher_none = { "none", 0, 0, 8, 0, &ops };

void ssh_keys_init(struct ssh_keys *k, const struct ssh_cipher_alg *cipher,
		   const struct ssh_mac_alg *mac, const uint8_t *key, const uint8_t *iv,
		   const uint8_t *mac_key)
{
	bool aead = cipher->tag_len > 0;

	memset(k, 0, sizeof(*k));
	k->cipher = cipher;
	k->mac = aead ? NULL : mac;
	k->tag_len = aead ? cipher->tag_len : mac ? mac->len : 0;
	k->block = cipher->block < 8 ? 8 : cipher->block;
	k->length_outside = aead || (mac && mac->etm);
	k->head_len = mac && !k->length_outside ? cipher->block : 4;
	if (cipher->ops->init)
		cipher->ops->init(k, key, iv);
	if (!aead && mac)
		br_hmac_key_init(&k->hmac, mac->hash, mac_key, mac->len);
}

uint32_t ssh_peek(struct ssh_keys *k, uint32_t seq, uint8_t *p)
{
	return k->cipher->ops->peek ? k->cipher->ops->peek(k, seq, p) : load_be32(p);
}

int ssh_open(struct ssh_keys *k, uint32_t seq, uint8_t *p, size_t len)
{
	uint8_t tag[SSH_TAG_MAX];

	k->cipher->ops->run(k, false, seq, p, len, tag);
	return secure_equal(tag, p + len, k->tag_len) ? 0 : -EBADMSG;
}

void ssh_seal(struct ssh_keys *k, uint32_t seq, uint8_t *p, size_t len)
{
	k->cipher->ops->run(k, true, seq, p, len, p + len);
}
