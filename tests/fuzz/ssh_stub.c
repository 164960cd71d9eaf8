/* SPDX-License-Identifier: MIT */
/* Instead of libsodium and the key encapsulations in the fuzzers: arithmetic that is fast, keys and signatures that
 * input can forge. Everything else of the protocol is what it is. */
#include "lib/errno.h"
#include "ssh/kem.h"
#include <sodium/crypto_onetimeauth_poly1305.h>
#include <sodium/crypto_scalarmult_curve25519.h>
#include <sodium/crypto_sign_ed25519.h>
#include <string.h>

int crypto_scalarmult_curve25519(unsigned char *q, const unsigned char *n, const unsigned char *p)
{
	for (int i = 0; i < 32; i++)
		q[i] = n[i] ^ p[i];
	return p[0] == 0 ? -1 : 0;
}

int crypto_scalarmult_curve25519_base(unsigned char *q, const unsigned char *n)
{
	memcpy(q, n, 32);
	return 0;
}

int crypto_onetimeauth_poly1305(unsigned char *out, const unsigned char *in, unsigned long long n,
				const unsigned char *k)
{
	memset(out, 0, 16);
	return 0;
}

int crypto_sign_ed25519_seed_keypair(unsigned char *pk, unsigned char *sk,
				     const unsigned char *seed)
{
	memcpy(pk, seed, 32);
	memcpy(sk, seed, 32);
	memcpy(sk + 32, seed, 32);
	return 0;
}

int crypto_sign_ed25519_detached(unsigned char *sig, unsigned long long *len,
				 const unsigned char *m, unsigned long long n,
				 const unsigned char *sk)
{
	memset(sig, 1, 64);
	return 0;
}

int crypto_sign_ed25519_verify_detached(const unsigned char *sig, const unsigned char *m,
					unsigned long long n, const unsigned char *pk)
{
	return sig[0] == 0 ? 0 : -1;
}

static int encapsulate(const uint8_t *key, uint8_t *random, uint8_t *cipher,
		       uint8_t secret[SSH_KEM_SECRET])
{
	memcpy(secret, random, SSH_KEM_SECRET);
	memcpy(cipher, key, 1039);
	return key[0] == 0 ? -EPROTO : 0;
}

const struct ssh_kem ssh_mlkem768 = { 1184, 32, 1088, encapsulate };
const struct ssh_kem ssh_sntrup761 = { 1158, 3044, 1039, encapsulate };

void ssh_kem_wipe_stack(void)
{
}

void ssh_kex_wipe_stack(void)
{
}
