/* SPDX-License-Identifier: MIT */
/* One direction's protection of packets. A packet lies in memory as
 *	uint32 packet_length, byte padding_length, payload, padding		("len" bytes in all)
 * followed by its tag. Everything is done in place.
 *
 * Four kinds: none; AEAD (chacha20-poly1305@openssh.com, aes*-gcm@openssh.com: packet_length is outside the
 * block alignment); encrypt-then-MAC (packet_length is clear and outside the alignment); encrypt-and-MAC
 * (packet_length is in the first cipher block, and in the alignment). */
#ifndef TERN_SSH_CIPHER_H
#define TERN_SSH_CIPHER_H

#include "lib/types.h"
#include <bearssl.h>

struct ssh_keys;

struct ssh_mac_alg {
	const char *name;
	const br_hash_class *hash;
	uint8_t len; /* of key and of tag */
	bool etm;
};

struct ssh_cipher_ops {
	/* NULL: there is nothing to set up. */
	void (*init)(struct ssh_keys *k, const uint8_t *key, const uint8_t *iv);
	/* As ssh_peek(). NULL: packet_length is clear. */
	uint32_t (*peek)(struct ssh_keys *k, uint32_t seq, uint8_t *p);
	/* Encrypt or decrypt, and make the packet's tag. */
	void (*run)(struct ssh_keys *k, bool encrypt, uint32_t seq, uint8_t *p, size_t len,
		    uint8_t *tag);
};

struct ssh_cipher_alg {
	const char *name;
	uint8_t key_len;
	uint8_t iv_len;
	uint8_t block;
	uint8_t tag_len; /* of an AEAD; 0: needs a MAC */
	const struct ssh_cipher_ops *ops;
};

struct ssh_keys {
	const struct ssh_cipher_alg *cipher;
	const struct ssh_mac_alg *mac; /* NULL for none and AEAD */
	uint8_t head_len;	       /* bytes that peek wants */
	uint8_t tag_len;
	uint8_t block;	     /* alignment, at least 8 */
	bool length_outside; /* packet_length does not count for the alignment */
	union {
		struct {
			uint8_t main[32];
			uint8_t header[32];
		} chacha;
		struct {
			br_aes_ct64_ctr_keys aes;
			br_gcm_context ctx;
			uint8_t nonce[12];
		} gcm;
		struct {
			br_aes_ct64_ctrcbc_keys aes;
			uint8_t counter[16];
		} ctr;
	};
	br_hmac_key_context hmac;
};

extern const struct ssh_cipher_alg ssh_cipher_none;
extern const struct ssh_cipher_alg ssh_cipher_chachapoly;
extern const struct ssh_cipher_alg ssh_cipher_aes128_gcm;
extern const struct ssh_cipher_alg ssh_cipher_aes256_gcm;
extern const struct ssh_cipher_alg ssh_cipher_aes128_ctr;
extern const struct ssh_cipher_alg ssh_cipher_aes256_ctr;

extern const struct ssh_mac_alg ssh_mac_sha256;
extern const struct ssh_mac_alg ssh_mac_sha256_etm;
extern const struct ssh_mac_alg ssh_mac_sha512_etm;

/* Lists in our order of preference, the fastest first (the test ssh_speed); the client's decides. Ended by NULL. */
extern const struct ssh_cipher_alg *const ssh_ciphers[];
extern const struct ssh_mac_alg *const ssh_macs[];

/* Set k up; iv, key and mac_key have the lengths the algorithms say. mac is ignored for an AEAD. */
void ssh_keys_init(struct ssh_keys *k, const struct ssh_cipher_alg *cipher,
		   const struct ssh_mac_alg *mac, const uint8_t *key, const uint8_t *iv,
		   const uint8_t *mac_key);

/* The packet_length; p has k->head_len bytes. Call once for each packet. */
uint32_t ssh_peek(struct ssh_keys *k, uint32_t seq, uint8_t *p);
/* Decrypt. 0, or -EBADMSG: the tag at p + len is not the packet's, and what was decrypted is not to be looked at. */
int ssh_open(struct ssh_keys *k, uint32_t seq, uint8_t *p, size_t len) __must_check;
/* Encrypt, and put the tag at p + len. */
void ssh_seal(struct ssh_keys *k, uint32_t seq, uint8_t *p, size_t len);

static inline size_t ssh_hash_len(const br_hash_class *h)
{
	return (h->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK;
}

/* The hash of n bytes, which may be secret; its length. */
size_t ssh_hash(const br_hash_class *h, const void *p, size_t n, uint8_t *out);

/* The MAC over the sequence number and len bytes. */
void ssh_mac_compute(const struct ssh_keys *k, uint32_t seq, const uint8_t *p, size_t len,
		     uint8_t *tag);

#endif
