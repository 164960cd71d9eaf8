/* SPDX-License-Identifier: MIT */
/* What the files we take of libsodium call and we do not take: SHA-512 is BearSSL's, the memory helpers are
 * lib/string.h's, and the random generator is not to be reached from there. */
#include "lib/string.h"
#include "lib/types.h"
#include "ssh/cipher.h"
#include <sodium/core.h>
#include <sodium/crypto_hash_sha512.h>
#include <sodium/randombytes.h>
#include <sodium/utils.h>

static_assert(sizeof(crypto_hash_sha512_state) >= sizeof(br_sha512_context), "SHA-512 state fits");
static_assert(_Alignof(crypto_hash_sha512_state) >= _Alignof(br_sha512_context), "and is aligned");

int crypto_hash_sha512_init(crypto_hash_sha512_state *state)
{
	br_sha512_init((br_sha512_context *)state);
	return 0;
}

int crypto_hash_sha512_update(crypto_hash_sha512_state *state, const unsigned char *in,
			      unsigned long long n)
{
	br_sha512_update((br_sha512_context *)state, in, n);
	return 0;
}

int crypto_hash_sha512_final(crypto_hash_sha512_state *state, unsigned char *out)
{
	br_sha512_out((br_sha512_context *)state, out);
	secure_zero(state, sizeof(*state));
	return 0;
}

int crypto_hash_sha512(unsigned char *out, const unsigned char *in, unsigned long long n)
{
	(void)ssh_hash(&br_sha512_vtable, in, n, out);
	return 0;
}

void sodium_memzero(void *const p, const size_t n)
{
	secure_zero(p, n);
}

int sodium_memcmp(const void *const a, const void *const b, size_t n)
{
	return secure_equal(a, b, n) ? 0 : -1;
}

int sodium_is_zero(const unsigned char *p, const size_t n)
{
	unsigned char any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

/* Key pairs are made from seeds we draw ourselves; a call would be a bug in this build, and a weak key. */
void randombytes_buf(void *const buf, const size_t n)
{
	__builtin_trap();
}

void sodium_misuse(void)
{
	__builtin_trap();
}
