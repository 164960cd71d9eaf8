/* SPDX-License-Identifier: MIT */
#include "ssh/sig.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/cipher.h"
#include "ssh/proto.h"
#include <sodium/crypto_sign_ed25519.h>

#define ED25519_KEY_BYTES 32
#define ED25519_SIG_BYTES 64
#define P256_BYTES	  32
#define P256_POINT_BYTES  65
#define RSA_MIN_BITS	  2048
#define RSA_MAX_BYTES	  512 /* BearSSL's BR_MAX_RSA_SIZE */
#define RSA_MAX_EXPONENT  8

/* One kind of signature. key_is_good: is the rest of the blob, after its type, a good key? */
struct sig_alg {
	const char *name;
	const char *key_type;
	bool (*key_is_good)(struct rd *key);
	bool (*verify)(struct rd *key, struct bytes sig, const void *p, size_t n);
	const br_hash_class *hash; /* of RSA */
	const unsigned char *oid;
};

static bool ed25519_parse(struct rd *key)
{
	struct bytes point = rd_string(key);

	return !rd_finish(key) && point.n == ED25519_KEY_BYTES;
}

/* libsodium refuses S >= L, points that are not canonical and those of small order. */
static bool ed25519_verify(struct rd *key, struct bytes sig, const void *p, size_t n)
{
	struct bytes point = rd_string(key);

	return sig.n == ED25519_SIG_BYTES &&
	       crypto_sign_ed25519_verify_detached(sig.p, p, n, point.p) == 0;
}

/* Whether the point is on the curve is seen when a signature is verified. */
static bool p256_parse(struct rd *key)
{
	struct bytes curve = rd_string(key), point = rd_string(key);

	return !rd_finish(key) && bytes_is(curve, "nistp256") && point.n == P256_POINT_BYTES &&
	       point.p[0] == 4;
}

/* A number of n bytes, which may have come without the zeros it begins with. */
static bool take_number(struct bytes v, uint8_t *out, size_t n)
{
	if (v.n > n)
		return false;
	memset(out, 0, n - v.n);
	memcpy(out + n - v.n, v.p, v.n);
	return true;
}

static bool p256_verify(struct rd *key, struct bytes sig, const void *p, size_t n)
{
	uint8_t raw[2 * P256_BYTES], digest[32];
	struct rd r = rd_bytes_of(sig);
	br_ec_public_key pk = { .curve = BR_EC_secp256r1 };
	struct bytes point;

	if (!take_number(rd_mpint(&r), raw, P256_BYTES) ||
	    !take_number(rd_mpint(&r), raw + P256_BYTES, P256_BYTES) || rd_finish(&r))
		return false;
	(void)rd_string(key);
	point = rd_string(key);
	pk.q = (unsigned char *)point.p;
	pk.qlen = point.n;
	(void)ssh_hash(&br_sha256_vtable, p, n, digest);
	return br_ecdsa_i31_vrfy_raw(&br_ec_p256_m31, digest, sizeof(digest), &pk, raw,
				     sizeof(raw)) == 1;
}

static size_t bits_of(struct bytes number)
{
	size_t bits = number.n * 8;

	for (uint8_t top = number.p[0]; !(top & 0x80); top = (uint8_t)(top << 1))
		bits--;
	return bits;
}

static bool rsa_parse(struct rd *key)
{
	struct bytes e = rd_mpint(key), m = rd_mpint(key);

	if (rd_finish(key) || e.n > RSA_MAX_EXPONENT || m.n > RSA_MAX_BYTES)
		return false;
	return bits_of(m) >= RSA_MIN_BITS && (m.p[m.n - 1] & 1) && (e.p[e.n - 1] & 1) &&
	       bits_of(e) > 1;
}

/* RFC 8017 s8.2.2: the signature is as long as the modulus; PuTTY leaves out the zeros that one in 256 begins with. */
static bool rsa_verify(struct rd *key, struct bytes sig, const struct sig_alg *a, const void *p,
		       size_t n)
{
	struct bytes e = rd_mpint(key), m = rd_mpint(key);
	br_rsa_public_key pk = { (unsigned char *)m.p, m.n, (unsigned char *)e.p, e.n };
	uint8_t digest[SSH_HASH_MAX], signed_digest[SSH_HASH_MAX], whole[RSA_MAX_BYTES];
	size_t len = ssh_hash(a->hash, p, n, digest);

	return take_number(sig, whole, m.n) &&
	       br_rsa_i62_pkcs1_vrfy_get()(whole, m.n, a->oid, len, &pk, signed_digest) &&
	       secure_equal(digest, signed_digest, len);
}

static const struct sig_alg algs[] = {
	{ "ssh-ed25519", "ssh-ed25519", ed25519_parse, ed25519_verify, NULL, NULL },
	{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", p256_parse, p256_verify, NULL, NULL },
	{ "rsa-sha2-256", "ssh-rsa", rsa_parse, NULL, &br_sha256_vtable, BR_HASH_OID_SHA256 },
	{ "rsa-sha2-512", "ssh-rsa", rsa_parse, NULL, &br_sha512_vtable, BR_HASH_OID_SHA512 },
};

/* The algorithm, and the key's cursor behind its type; NULL if they do not fit. */
static const struct sig_alg *find(struct bytes alg, struct bytes key, struct rd *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		if (!bytes_is(alg, algs[i].name))
			continue;
		*r = rd_bytes_of(key);
		return bytes_is(rd_string(r), algs[i].key_type) ? &algs[i] : NULL;
	}
	return NULL;
}

bool ssh_sig_key_is_good(struct bytes alg, struct bytes key)
{
	struct rd r;
	const struct sig_alg *a = key.n <= SSH_KEY_MAX ? find(alg, key, &r) : NULL;

	return a && a->key_is_good(&r);
}

int ssh_sig_verify(struct bytes alg, struct bytes key, struct bytes sig, const void *p, size_t n)
{
	struct rd r, s = rd_bytes_of(sig);
	struct bytes name = rd_string(&s), value = rd_string(&s);
	const struct sig_alg *a;
	bool good;

	if (rd_finish(&s) || !bytes_equal(name, alg) || !ssh_sig_key_is_good(alg, key))
		return -EACCES;
	a = find(alg, key, &r);
	good = a->verify ? a->verify(&r, value, p, n) : rsa_verify(&r, value, a, p, n);
	return good ? 0 : -EACCES;
}
