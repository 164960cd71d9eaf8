/* SPDX-License-Identifier: MIT */
/* aes128-ctr and aes256-ctr (RFC 4344 s4) under a MAC, before or after encryption. With a plain MAC the first
 * block is decrypted to learn the length; open() then goes on behind it. */
#include "lib/cursor.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/cipher.h"
#include "ssh/proto.h"

static void ctr_init(struct ssh_keys *k, const uint8_t *key, const uint8_t *iv)
{
	br_aes_ct64_ctrcbc_init(&k->ctr.aes, key, k->cipher->key_len);
	memcpy(k->ctr.counter, iv, sizeof(k->ctr.counter));
}

static void ctr_crypt(struct ssh_keys *k, uint8_t *p, size_t n)
{
	br_aes_ct64_ctrcbc_ctr(&k->ctr.aes, k->ctr.counter, p, n);
}

static uint32_t ctr_peek(struct ssh_keys *k, uint32_t seq, uint8_t *p)
{
	if (!k->length_outside)
		ctr_crypt(k, p, k->head_len);
	return load_be32(p);
}

static int ctr_open(struct ssh_keys *k, uint32_t seq, uint8_t *p, size_t len)
{
	uint8_t tag[SSH_TAG_MAX];

	if (!k->length_outside)
		ctr_crypt(k, p + k->head_len, len - k->head_len);
	ssh_mac_compute(k, seq, p, len, tag);
	if (!secure_equal(tag, p + len, k->tag_len))
		return -EBADMSG;
	if (k->length_outside)
		ctr_crypt(k, p + 4, len - 4);
	return 0;
}

static void ctr_seal(struct ssh_keys *k, uint32_t seq, uint8_t *p, size_t len)
{
	if (!k->length_outside) {
		ssh_mac_compute(k, seq, p, len, p + len);
		ctr_crypt(k, p, len);
		return;
	}
	ctr_crypt(k, p + 4, len - 4);
	ssh_mac_compute(k, seq, p, len, p + len);
}

static const struct ssh_cipher_ops ops = { ctr_init, ctr_peek, ctr_open, ctr_seal };

const struct ssh_cipher_alg ssh_cipher_aes128_ctr = { "aes128-ctr", 16, 16, 16, 0, &ops };
const struct ssh_cipher_alg ssh_cipher_aes256_ctr = { "aes256-ctr", 32, 16, 16, 0, &ops };
