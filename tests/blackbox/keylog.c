/* SPDX-License-Identifier: MIT */
/* What keylog.py needs of C: the client's half of the key encapsulations with what the server put into them, the forms in
 * which the server's cryptography keeps a key, and the search of a machine's RAM. Built with the server's own sources. */
/* sources: @tests/blackbox/keylog.sources */
/* flags: -O2 -fPIC @tests/host/ssh.flags */
#include <bearssl.h>
#include <endian.h>
#include <sodium/crypto_scalarmult_curve25519.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <inner.h> /* of bearssl/src: after its public header */

void arc4random_buf(void *p, size_t n)
{
	if (getrandom(p, n, 0) != (ssize_t)n)
		abort();
}

#define fatal_f(text) abort()
#include <openssh/libcrux_mlkem768_sha3.h>
#include <openssh/sntrup761.c>
#undef p
#undef q

void mlkem768_keypair(uint8_t *public, uint8_t *secret)
{
	struct libcrux_mlkem768_keypair pair;
	uint8_t seed[64];

	arc4random_buf(seed, sizeof(seed));
	pair = libcrux_ml_kem_mlkem768_portable_generate_key_pair(seed);
	memcpy(public, pair.pk.value, sizeof(pair.pk.value));
	memcpy(secret, pair.sk.value, sizeof(pair.sk.value));
}

/* The secret that both have, and the 32 bytes that the server drew. */
void mlkem768_open(const uint8_t *secret, const uint8_t *cipher, uint8_t shared[32], uint8_t *drawn)
{
	struct libcrux_mlkem768_sk sk;
	struct libcrux_mlkem768_ciphertext ct;

	memcpy(sk.value, secret, sizeof(sk.value));
	memcpy(ct.value, cipher, sizeof(ct.value));
	libcrux_ml_kem_mlkem768_portable_decapsulate(&sk, &ct, shared);
	libcrux_ml_kem_ind_cpa_decrypt_43(
		Eurydice_array_to_subslice2(sk.value, (size_t)0, (size_t)1152, uint8_t), ct.value,
		drawn);
}

void sntrup761_keypair(uint8_t *public, uint8_t *secret)
{
	crypto_kem_sntrup761_keypair(public, secret);
}

/* Drawn: the small polynomial, as it is encoded (191 bytes). */
void sntrup761_open(const uint8_t *secret, const uint8_t *cipher, uint8_t shared[32],
		    uint8_t *drawn)
{
	Inputs r;

	crypto_kem_sntrup761_dec(shared, cipher, secret);
	ZDecrypt(r, cipher, secret);
	Small_encode(drawn, r);
}

/* An AES key as it is kept, and as it stands in a frame while it is used: how many bytes of out. */
size_t aes_forms(const uint8_t *key, size_t len, uint64_t out[150])
{
	unsigned rounds = br_aes_ct64_keysched(out, key, len);
	size_t kept = 2 * (rounds + 1);

	br_aes_ct64_skey_expand(out + kept, rounds, out);
	return (kept + 8 * (rounds + 1)) * 8;
}

/* A key of HMAC as it is kept: both hashes' states behind the block of the key. */
size_t hmac_forms(const uint8_t *key, size_t len, uint8_t out[128])
{
	br_hmac_key_context k;

	br_hmac_key_init(&k, len == 64 ? &br_sha512_vtable : &br_sha256_vtable, key, len);
	memcpy(out, k.ksi, len);
	memcpy(out + len, k.kso, len);
	return 2 * len;
}

#define SLOTS (1u << 20)

static uint32_t slot_of(uint64_t word)
{
	return (uint32_t)(word * 0x9e3779b97f4a7c15u >> 44);
}

/* Where words of 8 bytes, at any address, are one of these. Pairs of offset and number into found; how many. */
size_t search(const uint8_t *ram, size_t n, const uint64_t *words, size_t count, uint64_t *found,
	      size_t most)
{
	uint32_t *first = calloc(SLOTS, sizeof(*first)), *next = calloc(count + 1, sizeof(*next));
	size_t hits = 0;

	for (size_t i = 0; i < count; i++) {
		next[i + 1] = first[slot_of(words[i])];
		first[slot_of(words[i])] = (uint32_t)i + 1;
	}
	for (size_t at = 0; at + 8 <= n && hits < most; at++) {
		uint64_t word;

		memcpy(&word, ram + at, 8);
		for (uint32_t i = first[slot_of(word)]; i && hits < most; i = next[i])
			if (words[i - 1] == word) {
				found[2 * hits] = at;
				found[2 * hits++ + 1] = i - 1;
			}
	}
	free(first);
	free(next);
	return hits;
}

/* 32 random bytes have about 30 values, an address or an instruction repeats some. */
static bool may_be_scalar(const uint8_t *p)
{
	uint64_t seen[4] = { 0 };
	int values = 0;

	for (int i = 0; i < 32; i++)
		seen[p[i] >> 6] |= 1ull << (p[i] & 63);
	for (int i = 0; i < 4; i++)
		values += __builtin_popcountll(seen[i]);
	return values >= 24;
}

/* As digits from -8 to 8, the form that is multiplied by. */
static bool from_digits(const uint8_t *p, uint8_t scalar[32])
{
	const int8_t *digit = (const int8_t *)p;
	int carry = 0, zeros = 0;

	for (int i = 0; i < 64; i++) {
		if (digit[i] < -8 || digit[i] > 8)
			return false;
		zeros += digit[i] == 0;
	}
	for (int i = 0; i < 32 && zeros < 24; i++) {
		carry += digit[2 * i] + 16 * digit[2 * i + 1];
		scalar[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return zeros < 24;
}

/* Where bytes in whole pages that are not as before are a scalar of one of these points: offsets into found; how many. */
size_t search_scalars(const uint8_t *ram, const uint8_t *before, size_t n, const uint8_t *points,
		      size_t count, uint64_t *found, size_t most)
{
	uint8_t point[32], scalar[32];
	size_t hits = 0;

	for (size_t at = 0; at + 64 <= n && hits < most; at += 4) {
		if ((at & 4095) == 0 && memcmp(ram + at, before + at, 4096) == 0) {
			at += 4092;
			continue;
		}
		memcpy(scalar, ram + at, 32);
		if (!may_be_scalar(ram + at) && !from_digits(ram + at, scalar))
			continue;
		crypto_scalarmult_curve25519_base(point, scalar);
		for (size_t i = 0; i < count; i++)
			if (memcmp(point, points + 32 * i, 32) == 0)
				found[hits++] = at;
	}
	return hits;
}
