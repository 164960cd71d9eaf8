/* SPDX-License-Identifier: MIT */
/* RSA of host keys: PKCS #1 v1.5 with SHA-2 (RFC 8332 s3), by BearSSL in constant time, and checked before it is sent (I-SSH-25). */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/cipher.h"
#include "ssh/hostkey.h"
#include "ssh/proto.h"

#define WORDS (SSH_RSA_FACTOR_MAX / 4 + 1) /* and a bit to carry into */

static bool take(struct ssh_rsa_number *to, struct bytes from)
{
	if (from.n > sizeof(to->b))
		return false;
	memcpy(to->b, from.p, from.n);
	to->n = from.n;
	return true;
}

/* rest = d mod (prime - 1), in the same time for all d of one length: bit by bit, subtracting where it fits. */
static void reduce(struct ssh_rsa_number *rest, struct bytes d, const struct ssh_rsa_number *prime)
{
	uint32_t mod[WORDS] = { 0 }, rem[WORDS] = { 0 }, less[WORDS];

	for (size_t i = 0; i < prime->n; i++)
		mod[i / 4] |= (uint32_t)prime->b[prime->n - 1 - i] << (i % 4 * 8);
	mod[0] &= ~1u;
	for (size_t i = 0; i < d.n * 8; i++) {
		uint32_t carry = d.p[i / 8] >> (7 - i % 8) & 1, borrow = 0;

		for (size_t j = 0; j < WORDS; j++) {
			uint32_t twice = rem[j] << 1 | carry;
			uint64_t v = (uint64_t)twice - mod[j] - borrow;

			carry = rem[j] >> 31;
			rem[j] = twice;
			less[j] = (uint32_t)v;
			borrow = v >> 63;
		}
		for (size_t j = 0; j < WORDS; j++)
			rem[j] ^= (rem[j] ^ less[j]) & (borrow - 1);
	}
	rest->n = prime->n;
	for (size_t i = 0; i < prime->n; i++)
		rest->b[prime->n - 1 - i] = (uint8_t)(rem[i / 4] >> (i % 4 * 8));
	secure_zero(mod, sizeof(mod));
	secure_zero(rem, sizeof(rem));
	secure_zero(less, sizeof(less));
}

int ssh_rsa_parse(struct ssh_rsa_key *k, struct rd *r)
{
	struct bytes n = rd_mpint(r), e = rd_mpint(r), d = rd_mpint(r), iq = rd_mpint(r),
		     p = rd_mpint(r), q = rd_mpint(r);

	if (r->bad)
		return -EINVAL;
	if (n.n < SSH_RSA_MIN || n.n > SSH_RSA_MAX || (n.n == SSH_RSA_MIN && !(*n.p & 0x80)))
		return -ERANGE;
	if (e.n > sizeof(k->e) || d.n > n.n || !take(&k->iq, iq) || !take(&k->p, p) ||
	    !take(&k->q, q))
		return -EINVAL;
	memcpy(k->n, n.p, n.n);
	memcpy(k->e, e.p, e.n);
	k->n_len = n.n;
	k->e_len = e.n;
	reduce(&k->dp, d, &k->p);
	reduce(&k->dq, d, &k->q);
	return 0;
}

#define PART(number) .number = (unsigned char *)k->number.b, .number##len = k->number.n

static bool sign(const struct ssh_rsa_key *k, const struct ssh_hostkey_alg *alg,
		 const uint8_t *digest, size_t len, uint8_t *sig)
{
	br_rsa_private_key sk = {
		(uint32_t)k->n_len * 8, PART(p), PART(q), PART(dp), PART(dq), PART(iq)
	};

	return br_rsa_i62_pkcs1_sign_get()(alg->oid, digest, len, &sk, sig);
}

static bool verifies(const struct ssh_rsa_key *k, const struct ssh_hostkey_alg *alg,
		     const uint8_t *digest, size_t len, const uint8_t *sig)
{
	br_rsa_public_key pk = { (unsigned char *)k->n, k->n_len, (unsigned char *)k->e, k->e_len };
	uint8_t signed_digest[SSH_HASH_MAX];

	return br_rsa_i62_pkcs1_vrfy_get()(sig, k->n_len, alg->oid, len, &pk, signed_digest) &&
	       secure_equal(digest, signed_digest, len);
}

int ssh_rsa_sign(const struct ssh_rsa_key *k, const struct ssh_hostkey_alg *alg, const void *p,
		 size_t n, uint8_t sig[SSH_RSA_MAX])
{
	uint8_t digest[SSH_HASH_MAX];
	size_t len = ssh_hash(alg->hash, p, n, digest);

	if (sign(k, alg, digest, len, sig) && verifies(k, alg, digest, len, sig))
		return 0;
	secure_zero(sig, k->n_len);
	return -EIO;
}
