/* SPDX-License-Identifier: MIT */
/* The methods of key exchange: X25519 alone (RFC 8731), and behind a key encapsulation: ML-KEM-768
 * (draft-ietf-sshm-mlkem-hybrid-kex) or sntrup761 (RFC 9941). A hybrid's blobs are the other's half, then the point;
 * its secret is the hash of both secrets, and enters the exchange hash as a string. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/kem.h"
#include "ssh/kex_priv.h"
#include <sodium/crypto_scalarmult_curve25519.h>
#include <sodium/utils.h>

#define POINT_BYTES 32

/* RFC 7748 s6.1: an all-zero result means a point of small order. libsodium refuses those too; said again here,
 * where the RFC asks for it. */
static int x25519(struct ssh_conn *c, const uint8_t *theirs, struct wr *reply, uint8_t *secret)
{
	uint8_t scalar[POINT_BYTES], point[POINT_BYTES];
	int err = c->ops->random(c->host, scalar, sizeof(scalar));

	if (err)
		return err;
	err = -EPROTO;
	(void)crypto_scalarmult_curve25519_base(point, scalar);
	if (crypto_scalarmult_curve25519(secret, scalar, theirs) == 0 &&
	    !sodium_is_zero(secret, POINT_BYTES)) {
		wr_put(reply, point, sizeof(point));
		err = 0;
	}
	secure_zero(scalar, sizeof(scalar));
	return err;
}

static int encapsulate(struct ssh_conn *c, const struct ssh_kem *kem, const uint8_t *key,
		       struct wr *reply, uint8_t *secret)
{
	size_t n = kem->random_len + kem->cipher_len;
	uint8_t *work = ssh_alloc(c, n);
	int err;

	if (!work)
		return -ENOMEM;
	err = c->ops->random(c->host, work, kem->random_len);
	if (!err)
		err = kem->encapsulate(key, work, work + kem->random_len, secret);
	if (!err)
		wr_put(reply, work + kem->random_len, kem->cipher_len);
	secure_zero(work, n);
	ssh_free(c, work, n);
	return err;
}

int ssh_kex_respond(struct ssh_conn *c, struct bytes client, struct wr *reply, struct wr *secret)
{
	const struct ssh_kex_alg *alg = c->kex->alg;
	const struct ssh_kem *kem = alg->kem;
	size_t key_len = kem ? kem->key_len : 0;
	uint8_t both[SSH_KEM_SECRET + POINT_BYTES];
	int err;

	static_assert(sizeof(both) >= SSH_HASH_MAX, "has room for a hash");
	if (client.n != key_len + POINT_BYTES)
		return -EPROTO;
	err = kem ? encapsulate(c, kem, client.p, reply, both) : 0;
	if (!err)
		err = x25519(c, client.p + key_len, reply, both + SSH_KEM_SECRET);
	if (!err && kem)
		wr_string(secret, both, ssh_hash(alg->hash, both, sizeof(both), both));
	else if (!err)
		wr_mpint(secret, both + SSH_KEM_SECRET, POINT_BYTES);
	secure_zero(both, sizeof(both));
	ssh_kem_wipe_stack();
	return err;
}

/* In our order of preference; each name is followed by its older one. */
const struct ssh_kex_alg ssh_kexes[] = {
	{ "mlkem768x25519-sha256", &br_sha256_vtable, &ssh_mlkem768 },
	{ "sntrup761x25519-sha512", &br_sha512_vtable, &ssh_sntrup761 },
	{ "sntrup761x25519-sha512@openssh.com", &br_sha512_vtable, &ssh_sntrup761 },
	{ "curve25519-sha256", &br_sha256_vtable, NULL },
	{ "curve25519-sha256@libssh.org", &br_sha256_vtable, NULL },
	{ NULL, NULL, NULL },
};
