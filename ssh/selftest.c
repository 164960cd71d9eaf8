/* SPDX-License-Identifier: MIT */
/* Known answers of what every login uses: each cipher and MAC in both directions, the key exchanges, Ed25519; the hash
 * that shortens the answers is one more. Made by other implementations (python3-cryptography, and
 * tests/host/ssh_vectors.py of the key encapsulations) over counting bytes. */
#include "lib/cursor.h"
#include "lib/string.h"
#include "ssh/cipher.h"
#include "ssh/kem.h"
#include "ssh/ssh.h"
#include <sodium/crypto_scalarmult_curve25519.h>
#include <sodium/crypto_sign_ed25519.h>

#define PACKET	   64 /* bytes of a packet without its tag */
#define ANSWER_MAX (PACKET + 64)
#define SEQ	   7

struct known {
	const char *name;
	/* Put the answer into out; its length, 0: it is wrong in itself. */
	size_t (*make)(const struct known *k, uint8_t out[ANSWER_MAX]);
	uint8_t want[8]; /* how its SHA-256 begins */
	const struct ssh_cipher_alg *cipher;
	const struct ssh_mac_alg *mac;
};

static void count(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)i;
}

static void packet(uint8_t p[PACKET])
{
	count(p, PACKET);
	store_be32(p, PACKET - 4);
}

/* Seal a packet, and open it again in a copy. */
static size_t make_sealed(const struct known *t, uint8_t out[ANSWER_MAX])
{
	static struct ssh_keys keys; /* [self] the one thread that tests */
	uint8_t key[64], again[ANSWER_MAX], plain[PACKET];
	bool same;

	count(key, sizeof(key));
	packet(plain);
	packet(out);
	ssh_keys_init(&keys, t->cipher, t->mac, key, key, key);
	ssh_seal(&keys, SEQ, out, PACKET);
	memcpy(again, out, PACKET + keys.tag_len);
	ssh_keys_init(&keys, t->cipher, t->mac, key, key, key);
	same = ssh_peek(&keys, SEQ, again) == PACKET - 4 &&
	       ssh_open(&keys, SEQ, again, PACKET) == 0 &&
	       memcmp(again + 4, plain + 4, PACKET - 4) == 0;
	return same ? PACKET + keys.tag_len : 0;
}

static size_t make_x25519(const struct known *t, uint8_t out[ANSWER_MAX])
{
	static const uint8_t base[32] = { 9 };
	uint8_t scalar[32];

	(void)t;
	count(scalar, sizeof(scalar));
	return crypto_scalarmult_curve25519(out, scalar, base) ? 0 : sizeof(scalar);
}

/* The secret, and the ciphertext's hash. Any of ML-KEM's numbers made of these bytes is below its q. */
static size_t make_kem(const struct ssh_kem *kem, uint8_t out[ANSWER_MAX])
{
	static struct {
		uint8_t key[1184], cipher[1088];
		uint8_t random[3044] __aligned(4);
	} area; /* [self] */
	br_sha256_context ctx;

	for (size_t i = 0; i < sizeof(area.random); i++)
		area.random[i] = i & 0x7b;
	memcpy(area.key, area.random, sizeof(area.key));
	if (kem->encapsulate(area.key, area.random, area.cipher, out))
		return 0;
	br_sha256_init(&ctx);
	br_sha256_update(&ctx, area.cipher, kem->cipher_len);
	br_sha256_out(&ctx, out + SSH_KEM_SECRET);
	return SSH_KEM_SECRET + 32;
}

static size_t make_mlkem(const struct known *t, uint8_t out[ANSWER_MAX])
{
	return make_kem(&ssh_mlkem768, out);
}

static size_t make_sntrup(const struct known *t, uint8_t out[ANSWER_MAX])
{
	return make_kem(&ssh_sntrup761, out);
}

static size_t make_ed25519(const struct known *t, uint8_t out[ANSWER_MAX])
{
	uint8_t seed[32], public[32], secret[64], text[PACKET];

	(void)t;
	count(seed, sizeof(seed));
	packet(text);
	(void)crypto_sign_ed25519_seed_keypair(public, secret, seed);
	return crypto_sign_ed25519_detached(out, NULL, text, PACKET, secret) ? 0 : 64;
}

/* clang-format off */
static const struct known known[] = {
	{ "chacha20-poly1305", make_sealed, { 0xf9, 0x58, 0x36, 0x1c, 0xc7, 0xf8, 0xc6, 0xd1 },
	  &ssh_cipher_chachapoly, NULL },
	{ "aes128-gcm", make_sealed, { 0x07, 0x7c, 0x23, 0xf4, 0xed, 0xb0, 0x6f, 0x00 },
	  &ssh_cipher_aes128_gcm, NULL },
	{ "aes256-gcm", make_sealed, { 0x62, 0x51, 0xf6, 0xa7, 0x7d, 0x29, 0x6e, 0xd5 },
	  &ssh_cipher_aes256_gcm, NULL },
	{ "aes128-ctr", make_sealed, { 0x82, 0x2d, 0x72, 0x0f, 0x84, 0x80, 0x72, 0x15 },
	  &ssh_cipher_aes128_ctr, &ssh_mac_sha256 },
	{ "aes256-ctr", make_sealed, { 0x0d, 0x42, 0x73, 0xc2, 0x90, 0x04, 0x41, 0x56 },
	  &ssh_cipher_aes256_ctr, &ssh_mac_sha512_etm },
	{ "curve25519", make_x25519, { 0xee, 0xdd, 0x88, 0x3d, 0xa0, 0xa9, 0x45, 0x15 }, NULL, NULL },
	{ "mlkem768", make_mlkem, { 0xd7, 0x19, 0x89, 0x75, 0x2a, 0x5f, 0xc9, 0x79 }, NULL, NULL },
	{ "sntrup761", make_sntrup, { 0xcd, 0x4a, 0x5f, 0x54, 0x3a, 0xb3, 0x6d, 0xc1 }, NULL, NULL },
	{ "ed25519", make_ed25519, { 0x85, 0x2b, 0x9e, 0x13, 0x90, 0x8b, 0x29, 0x83 }, NULL, NULL },
};
/* clang-format on */

static bool holds(const struct known *t, bool spoil)
{
	uint8_t out[ANSWER_MAX], digest[32];
	br_sha256_context ctx;
	size_t n = t->make(t, out);

	out[0] ^= spoil;
	br_sha256_init(&ctx);
	br_sha256_update(&ctx, out, n);
	br_sha256_out(&ctx, digest);
	return n > 0 && memcmp(digest, t->want, sizeof(t->want)) == 0;
}

const char *ssh_selftest(const char *spoil)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!holds(&known[i], strcmp(known[i].name, spoil) == 0))
			return known[i].name;
	return NULL;
}
