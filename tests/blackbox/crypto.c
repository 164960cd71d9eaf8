/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources @tests/host/ssh_keys.sources */
/* flags: -O2 -fPIC @tests/host/ssh.flags */
/* The server's cryptography for test_crypto.py, which holds it to another implementation. */
#include "ssh/cipher.h"
#include "ssh/hostkey.h"
#include "ssh/sig.h"
#include <sodium/crypto_scalarmult_curve25519.h>
#include <string.h>

int crypto_x25519(uint8_t *out, const uint8_t *scalar, const uint8_t *point)
{
	return crypto_scalarmult_curve25519(out, scalar, point);
}

int crypto_verify(const char *alg, const uint8_t *key, size_t key_len, const uint8_t *sig,
		  size_t sig_len, const uint8_t *text, size_t text_len)
{
	return ssh_sig_verify((struct bytes){ (const uint8_t *)alg, strlen(alg) },
			      (struct bytes){ key, key_len }, (struct bytes){ sig, sig_len }, text,
			      text_len);
}

void crypto_sign(const uint8_t *seed, const uint8_t *text, size_t n, uint8_t *blob)
{
	struct wr w = wr_over(blob, 83 + 4);
	struct ssh_hostkey k;

	ssh_hostkey_from_seed(&k, seed);
	(void)ssh_hostkey_sign(&k, NULL, text, n, &w);
}

static struct ssh_keys keys[2];

/* For packets that go out (0), and come in (1). */
int crypto_keys(int in, const char *cipher, const char *mac, const uint8_t *key, const uint8_t *iv,
		const uint8_t *mac_key)
{
	for (size_t c = 0; ssh_ciphers[c]; c++)
		for (size_t m = 0; ssh_macs[m]; m++)
			if (!strcmp(ssh_ciphers[c]->name, cipher) &&
			    !strcmp(ssh_macs[m]->name, mac)) {
				ssh_keys_init(&keys[in], ssh_ciphers[c], ssh_macs[m], key, iv,
					      mac_key);
				return keys[in].tag_len;
			}
	return -1;
}

void crypto_seal(uint32_t seq, uint8_t *packet, size_t n)
{
	ssh_seal(&keys[0], seq, packet, n);
}

/* The packet's length, or negative. */
int crypto_open(uint32_t seq, uint8_t *packet, size_t n)
{
	uint32_t length = ssh_peek(&keys[1], seq, packet);
	int err = ssh_open(&keys[1], seq, packet, n - keys[1].tag_len);

	return err ? err : (int)length;
}
