/* SPDX-License-Identifier: MIT */
/* Hashes, and HMAC of RFC 6668, plain and in OpenSSH's encrypt-then-MAC form. */
#include "lib/cursor.h"
#include "lib/string.h"
#include "ssh/cipher.h"

const struct ssh_mac_alg ssh_mac_sha256 = { "hmac-sha2-256", &br_sha256_vtable, 32, false };
const struct ssh_mac_alg ssh_mac_sha256_etm = { "hmac-sha2-256-etm@openssh.com", &br_sha256_vtable,
						32, true };
const struct ssh_mac_alg ssh_mac_sha512_etm = { "hmac-sha2-512-etm@openssh.com", &br_sha512_vtable,
						64, true };

const struct ssh_mac_alg *const ssh_macs[] = {
	&ssh_mac_sha512_etm,
	&ssh_mac_sha256_etm,
	&ssh_mac_sha256,
	NULL,
};

size_t ssh_hash(const br_hash_class *h, const void *p, size_t n, uint8_t *out)
{
	br_hash_compat_context ctx;

	h->init(&ctx.vtable);
	h->update(&ctx.vtable, p, n);
	h->out(&ctx.vtable, out);
	secure_zero(&ctx, sizeof(ctx));
	return ssh_hash_len(h);
}

void ssh_mac_compute(const struct ssh_keys *k, uint32_t seq, const uint8_t *p, size_t len,
		     uint8_t *tag)
{
	br_hmac_context ctx;
	uint8_t number[4];

	store_be32(number, seq);
	br_hmac_init(&ctx, &k->hmac, 0);
	br_hmac_update(&ctx, number, sizeof(number));
	br_hmac_update(&ctx, p, len);
	br_hmac_out(&ctx, tag);
}
