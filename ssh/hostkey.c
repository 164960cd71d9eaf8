/* SPDX-License-Identifier: MIT */
#include "ssh/hostkey.h"
#include "lib/base64.h"
#include "lib/errno.h"
#include "lib/string.h"
#include <bearssl.h>
#include <sodium/crypto_sign_ed25519.h>

#define NAME "ssh-ed25519"

const char *ssh_hostkey_name(const struct ssh_hostkey *k)
{
	(void)k;
	return NAME;
}

void ssh_hostkey_from_seed(struct ssh_hostkey *k, const uint8_t seed[SSH_HOSTKEY_SEED_BYTES])
{
	(void)crypto_sign_ed25519_seed_keypair(k->public, k->secret, seed);
}

void ssh_hostkey_write(const struct ssh_hostkey *k, struct wr *w)
{
	size_t mark = wr_string_begin(w);

	wr_cstring(w, NAME);
	wr_string(w, k->public, sizeof(k->public));
	wr_string_end(w, mark);
}

int ssh_hostkey_sign(const struct ssh_hostkey *k, const void *p, size_t n, struct wr *w)
{
	uint8_t sig[64];
	size_t mark;

	if (crypto_sign_ed25519_detached(sig, NULL, p, n, k->secret))
		return -EIO;
	mark = wr_string_begin(w);
	wr_cstring(w, NAME);
	wr_string(w, sig, sizeof(sig));
	wr_string_end(w, mark);
	return 0;
}

/* The public key blob without a length before it. */
static struct bytes hostkey_blob(const struct ssh_hostkey *k,
				 uint8_t blob[4 + SSH_HOSTKEY_BLOB_BYTES])
{
	struct wr w = wr_over(blob, 4 + SSH_HOSTKEY_BLOB_BYTES);

	ssh_hostkey_write(k, &w);
	return (struct bytes){ blob + 4, w.len - 4 };
}

void ssh_hostkey_line(const struct ssh_hostkey *k, char line[SSH_HOSTKEY_LINE_BYTES])
{
	uint8_t space[4 + SSH_HOSTKEY_BLOB_BYTES];
	struct bytes blob = hostkey_blob(k, space);

	memcpy(line, NAME " ", sizeof(NAME));
	base64_encode(blob.p, blob.n, line + sizeof(NAME), true);
}

void ssh_fingerprint(struct bytes blob, char text[SSH_FINGERPRINT_BYTES])
{
	br_sha256_context ctx;
	uint8_t digest[32];

	br_sha256_init(&ctx);
	br_sha256_update(&ctx, blob.p, blob.n);
	br_sha256_out(&ctx, digest);
	(void)str_copy(text, "SHA256:", SSH_FINGERPRINT_BYTES);
	base64_encode(digest, sizeof(digest), text + 7, false);
}

void ssh_hostkey_fingerprint(const struct ssh_hostkey *k, char text[SSH_FINGERPRINT_BYTES])
{
	uint8_t space[4 + SSH_HOSTKEY_BLOB_BYTES];

	ssh_fingerprint(hostkey_blob(k, space), text);
}
