/* SPDX-License-Identifier: MIT */
/* curve25519-sha256 (RFC 8731), and its older name. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/kex_priv.h"
#include <sodium/crypto_scalarmult_curve25519.h>

#define POINT_BYTES 32

/* RFC 7748 s6.1: an all-zero result means a point of small order. libsodium refuses those too; said again here,
 * where the RFC asks for it. */
static bool is_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

static int curve25519_respond(struct ssh_conn *c, struct bytes client, struct wr *reply,
			      uint8_t *secret, size_t *secret_len)
{
	uint8_t scalar[POINT_BYTES], point[POINT_BYTES];
	int err = -EPROTO;

	if (client.n != POINT_BYTES)
		return -EPROTO;
	err = c->ops->random(c->host, scalar, sizeof(scalar));
	if (err)
		return err;
	err = -EPROTO;
	(void)crypto_scalarmult_curve25519_base(point, scalar);
	if (crypto_scalarmult_curve25519(secret, scalar, client.p) == 0 &&
	    !is_zero(secret, POINT_BYTES)) {
		wr_put(reply, point, sizeof(point));
		*secret_len = POINT_BYTES;
		err = 0;
	}
	secure_zero(scalar, sizeof(scalar));
	return err;
}

const struct ssh_kex_alg ssh_kex_curve25519 = {
	.name = "curve25519-sha256",
	.hash = &br_sha256_vtable,
	.respond = curve25519_respond,
};

const struct ssh_kex_alg ssh_kex_curve25519_libssh = {
	.name = "curve25519-sha256@libssh.org",
	.hash = &br_sha256_vtable,
	.respond = curve25519_respond,
};

const struct ssh_kex_alg *const ssh_kexes[] = {
	&ssh_kex_curve25519,
	&ssh_kex_curve25519_libssh,
	NULL,
};
