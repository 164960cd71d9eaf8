/* SPDX-License-Identifier: MIT */
/* chacha20-poly1305@openssh.com: two ChaCha20 keys, one for the length, one for the rest; the nonce is the
 * sequence number; the Poly1305 key is block 0 of the second, the payload starts at block 1. The tag covers the
 * encrypted length too. */
#include "lib/cursor.h"
#include "lib/string.h"
#include "ssh/cipher.h"
#include <sodium/crypto_onetimeauth_poly1305.h>
#include <sodium/crypto_stream_chacha20.h>

/* In place. The 64-bit block counter of the original cipher, and its 8-byte nonce. */
static void chacha(const uint8_t key[32], uint32_t seq, uint32_t block, uint8_t *p, size_t n)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES] = { 0 };

	store_be32(nonce + 4, seq);
	(void)crypto_stream_chacha20_xor_ic(p, p, n, nonce, block, key);
}

static void chachapoly_init(struct ssh_keys *k, const uint8_t *key, const uint8_t *iv)
{
	memcpy(k->chacha.main, key, 32);
	memcpy(k->chacha.header, key + 32, 32);
}

static uint32_t chachapoly_peek(struct ssh_keys *k, uint32_t seq, uint8_t *p)
{
	uint8_t length[4];

	memcpy(length, p, 4);
	chacha(k->chacha.header, seq, 0, length, 4);
	return load_be32(length);
}

static void chachapoly_run(struct ssh_keys *k, bool encrypt, uint32_t seq, uint8_t *p, size_t len,
			   uint8_t *tag)
{
	uint8_t key[32] = { 0 };

	chacha(k->chacha.main, seq, 0, key, sizeof(key));
	if (encrypt) {
		chacha(k->chacha.header, seq, 0, p, 4);
		chacha(k->chacha.main, seq, 1, p + 4, len - 4);
	}
	crypto_onetimeauth_poly1305(tag, p, len, key);
	secure_zero(key, sizeof(key));
	if (!encrypt)
		chacha(k->chacha.main, seq, 1, p + 4, len - 4);
}

static const struct ssh_cipher_ops ops = { chachapoly_init, chachapoly_peek, chachapoly_run };

const struct ssh_cipher_alg ssh_cipher_chachapoly = {
	"chacha20-poly1305@openssh.com", 64, 0, 8, 16, &ops
};
