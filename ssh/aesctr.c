/* SPDX-License-Identifier: MIT */
/* aes128-ctr and aes256-ctr (RFC 4344 s4) under a MAC, before or after encryption. With a plain MAC the first
 * block is decrypted to learn the length; what opens the packet then goes on behind it. */
#include "lib/cursor.h"
#include "lib/string.h"
#include "ssh/cipher.h"

static void ctr_init(struct ssh_keys *k, const uint8_t *key, const uint8_t *iv)
{
	br_aes_ct64_ctrcbc_init(&k->ctr.aes, key, k->cipher->key_len);
	memcpy(k->ctr.counter, iv, sizeof(k->ctr.counter));
}

static uint32_t ctr_peek(struct ssh_keys *k, uint32_t seq, uint8_t *p)
{
	if (!k->length_outside)
		br_aes_ct64_ctrcbc_ctr(&k->ctr.aes, k->ctr.counter, p, k->head_len);
	return load_be32(p);
}

/* The MAC is made before encryption, or behind it; to check it, the other way round. */
static void ctr_run(struct ssh_keys *k, bool encrypt, uint32_t seq, uint8_t *p, size_t len,
		    uint8_t *tag)
{
	bool etm = k->length_outside;
	size_t head = etm ? 4 : encrypt ? 0 : k->head_len;

	if (encrypt != etm)
		ssh_mac_compute(k, seq, p, len, tag);
	br_aes_ct64_ctrcbc_ctr(&k->ctr.aes, k->ctr.counter, p + head, len - head);
	if (encrypt == etm)
		ssh_mac_compute(k, seq, p, len, tag);
}

static const struct ssh_cipher_ops ops = { ctr_init, ctr_peek, ctr_run };

const struct ssh_cipher_alg ssh_cipher_aes128_ctr = { "aes128-ctr", 16, 16, 16, 0, &ops };
const struct ssh_cipher_alg ssh_cipher_aes256_ctr = { "aes256-ctr", 32, 16, 16, 0, &ops };
