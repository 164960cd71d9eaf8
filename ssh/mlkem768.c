/* SPDX-License-Identifier: MIT */
/* ML-KEM-768 of libcrux, as OpenSSH carries it. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/kem.h"
#include <endian.h>

/* What the header wants of its surroundings. A broken internal state is not to be survived. */
#define MISSING_BUILTIN_POPCOUNT 1
#define fatal_f(text)		 __builtin_trap()
#include <openssh/libcrux_mlkem768_sha3.h>

void __noinline ssh_kem_wipe_stack(void)
{
	uint8_t frames[SSH_KEM_STACK - 256];

	secure_zero(frames, sizeof(frames));
}

void __noinline ssh_kex_wipe_stack(void)
{
	uint8_t frames[SSH_KEX_STACK];

	secure_zero(frames, sizeof(frames));
}

/* FIPS 203 s7.2 before its s7.3: each coefficient of the key must be below q. */
static int mlkem768_encapsulate(const uint8_t *key, uint8_t *random, uint8_t *cipher,
				uint8_t secret[SSH_KEM_SECRET])
{
	struct libcrux_mlkem768_pk pk;
	struct libcrux_mlkem768_enc_result result;

	memcpy(pk.value, key, sizeof(pk.value));
	if (!libcrux_ml_kem_mlkem768_portable_validate_public_key(&pk))
		return -EPROTO;
	result = libcrux_ml_kem_mlkem768_portable_encapsulate(&pk, random);
	memcpy(cipher, result.fst.value, sizeof(result.fst.value));
	memcpy(secret, result.snd, SSH_KEM_SECRET);
	return 0;
}

const struct ssh_kem ssh_mlkem768 = {
	.key_len = sizeof(struct libcrux_mlkem768_pk),
	.random_len = LIBCRUX_ML_KEM_ENC_PRNG_LEN,
	.cipher_len = sizeof(struct libcrux_mlkem768_ciphertext),
	.encapsulate = mlkem768_encapsulate,
};
