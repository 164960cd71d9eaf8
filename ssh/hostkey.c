/* SPDX-License-Identifier: MIT */
#include "ssh/hostkey.h"
#include "lib/base64.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/cipher.h"
#include <sodium/crypto_sign_ed25519.h>

/* In our order of preference. */
const struct ssh_hostkey_alg ssh_hostkey_algs[] = {
	{ "ssh-ed25519", SSH_HOSTKEY_ED25519, NULL, NULL },
	{ "rsa-sha2-512", SSH_HOSTKEY_RSA, &br_sha512_vtable, BR_HASH_OID_SHA512 },
	{ "rsa-sha2-256", SSH_HOSTKEY_RSA, &br_sha256_vtable, BR_HASH_OID_SHA256 },
	{ NULL, 0, NULL, NULL },
};

void ssh_hostkey_from_seed(struct ssh_hostkey *k, const uint8_t seed[SSH_HOSTKEY_SEED_BYTES])
{
	k->kind = SSH_HOSTKEY_ED25519;
	(void)crypto_sign_ed25519_seed_keypair(k->public, k->secret, seed);
}

void ssh_hostkey_write(const struct ssh_hostkey *k, struct wr *w)
{
	size_t mark = wr_string_begin(w);

	if (k->kind == SSH_HOSTKEY_RSA) {
		wr_cstring(w, "ssh-rsa");
		wr_mpint(w, k->rsa.e, k->rsa.e_len);
		wr_mpint(w, k->rsa.n, k->rsa.n_len);
	} else {
		wr_cstring(w, "ssh-ed25519");
		wr_string(w, k->public, sizeof(k->public));
	}
	wr_string_end(w, mark);
}

int ssh_hostkey_sign(const struct ssh_hostkey *k, const struct ssh_hostkey_alg *alg, const void *p,
		     size_t n, struct wr *w)
{
	uint8_t sig[SSH_RSA_MAX];
	size_t mark, len;

	for (size_t i = 0; !alg; i++)
		if (ssh_hostkey_algs[i].kind == k->kind)
			alg = &ssh_hostkey_algs[i];
	if (k->kind == SSH_HOSTKEY_RSA) {
		if (ssh_rsa_sign(&k->rsa, alg, p, n, sig))
			return -EIO;
		len = k->rsa.n_len;
	} else {
		if (crypto_sign_ed25519_detached(sig, NULL, p, n, k->secret))
			return -EIO;
		len = 64;
	}
	mark = wr_string_begin(w);
	wr_cstring(w, alg->name);
	wr_string(w, sig, len);
	wr_string_end(w, mark);
	return 0;
}

/* The public key blob without a length before it. */
static struct bytes hostkey_blob(const struct ssh_hostkey *k, uint8_t blob[SSH_HOSTKEY_BLOB_MAX])
{
	struct wr w = wr_over(blob, SSH_HOSTKEY_BLOB_MAX);

	ssh_hostkey_write(k, &w);
	return (struct bytes){ blob + 4, w.len - 4 };
}

void ssh_hostkey_line(const struct ssh_hostkey *k, char line[SSH_HOSTKEY_LINE_BYTES])
{
	uint8_t space[SSH_HOSTKEY_BLOB_MAX];
	struct bytes blob = hostkey_blob(k, space);
	struct rd r = rd_bytes_of(blob);
	struct bytes type = rd_string(&r);

	memcpy(line, type.p, type.n);
	line[type.n] = ' ';
	base64_encode(blob.p, blob.n, line + type.n + 1, true);
}

void ssh_fingerprint(struct bytes blob, char text[SSH_FINGERPRINT_BYTES])
{
	uint8_t digest[32];

	(void)ssh_hash(&br_sha256_vtable, blob.p, blob.n, digest);
	(void)str_copy(text, "SHA256:", SSH_FINGERPRINT_BYTES);
	base64_encode(digest, sizeof(digest), text + 7, false);
}

void ssh_hostkey_fingerprint(const struct ssh_hostkey *k, char text[SSH_FINGERPRINT_BYTES])
{
	uint8_t space[SSH_HOSTKEY_BLOB_MAX];

	ssh_fingerprint(hostkey_blob(k, space), text);
}
