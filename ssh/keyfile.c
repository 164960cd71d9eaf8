/* SPDX-License-Identifier: MIT */
/* OpenSSH's private key file (its PROTOCOL.key): base 64 between two lines, holding
 *	"openssh-key-v1" NUL, string cipher, string kdf, string kdf options, uint32 number of keys,
 *	string public key, string secrets
 * and in the secrets, when the cipher is none:
 *	uint32 check, uint32 check, string type, ... key ..., string comment, bytes 1 2 3 .. to a multiple of 8 */
#include "lib/base64.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/hostkey.h"

#define BEGIN_LINE "-----BEGIN OPENSSH PRIVATE KEY-----"
#define END_LINE   "-----END OPENSSH PRIVATE KEY-----"
#define MAGIC	   "openssh-key-v1"

/* What is between the two lines; p is NULL if they are not there. */
static struct bytes armored(const char *text, size_t n)
{
	size_t begin = sizeof(BEGIN_LINE) - 1, end = sizeof(END_LINE) - 1;

	while (n > 0 && (*text == '\n' || *text == '\r' || *text == ' ')) {
		text++;
		n--;
	}
	if (n < begin + end || memcmp(text, BEGIN_LINE, begin) != 0)
		return (struct bytes){ NULL, 0 };
	for (size_t i = begin; i + end <= n; i++)
		if (memcmp(text + i, END_LINE, end) == 0)
			return (struct bytes){ (const uint8_t *)text + begin, i - begin };
	return (struct bytes){ NULL, 0 };
}

static int parse_ed25519(struct ssh_hostkey *k, struct rd *r)
{
	struct bytes public = rd_string(r), secret = rd_string(r);

	if (r->bad || public.n != 32 || secret.n != 64)
		return -EINVAL;
	ssh_hostkey_from_seed(k, secret.p);
	if (memcmp(k->public, public.p, 32) != 0 || !secure_equal(k->secret, secret.p, 64))
		return -EINVAL;
	return 0;
}

static int parse_secrets(struct ssh_hostkey *k, struct bytes secrets)
{
	struct rd r = rd_bytes_of(secrets);
	uint32_t check1 = rd_u32(&r), check2 = rd_u32(&r);
	struct bytes type = rd_string(&r);
	int err;

	if (r.bad || check1 != check2)
		return -EINVAL;
	if (bytes_is(type, "ssh-ed25519")) {
		err = parse_ed25519(k, &r);
	} else if (bytes_is(type, "ssh-rsa")) {
		k->kind = SSH_HOSTKEY_RSA;
		err = ssh_rsa_parse(&k->rsa, &r);
	} else {
		err = -EOPNOTSUPP;
	}
	if (err)
		return err;
	(void)rd_string(&r);
	if (r.bad || secrets.n % 8 != 0 || r.left >= 8)
		return -EINVAL;
	for (uint8_t i = 1; r.left > 0; i++)
		if (rd_u8(&r) != i)
			return -EINVAL;
	return 0;
}

/* The public half of the file is the key's, and what the key signs can be verified with it. */
static int check_halves(const struct ssh_hostkey *k, struct bytes public)
{
	uint8_t space[SSH_HOSTKEY_BLOB_MAX];
	struct wr w = wr_over(space, sizeof(space));

	ssh_hostkey_write(k, &w);
	if (w.bad || !bytes_equal(public, (struct bytes){ space + 4, w.len - 4 }))
		return -EINVAL;
	w.len = 0;
	return k->kind == SSH_HOSTKEY_RSA && ssh_hostkey_sign(k, NULL, "", 0, &w) ? -EINVAL : 0;
}

static int parse_file(struct ssh_hostkey *k, const uint8_t *p, size_t n)
{
	struct rd r = rd_over(p, n);
	struct bytes magic = rd_take(&r, sizeof(MAGIC)), cipher, kdf, options, public, secrets;
	uint32_t keys;
	int err;

	if (magic.n != sizeof(MAGIC) || memcmp(magic.p, MAGIC, sizeof(MAGIC)) != 0)
		return -EINVAL;
	cipher = rd_string(&r);
	kdf = rd_string(&r);
	options = rd_string(&r);
	keys = rd_u32(&r);
	public = rd_string(&r);
	secrets = rd_string(&r);
	if (rd_finish(&r) || keys != 1)
		return -EINVAL;
	if (!bytes_is(cipher, "none") || !bytes_is(kdf, "none") || options.n != 0)
		return -EOPNOTSUPP;
	err = parse_secrets(k, secrets);
	return err ? err : check_halves(k, public);
}

int ssh_hostkey_parse(struct ssh_hostkey *k, char *text, size_t n)
{
	struct bytes body = armored(text, n);
	ssize_t len = -EINVAL;
	int err = -EINVAL;

	/* three bytes of four characters: what is written is never ahead of what is read */
	if (body.p)
		len = base64_decode((const char *)body.p, body.n, (uint8_t *)text, n, true);
	if (len >= 0)
		err = parse_file(k, (const uint8_t *)text, (size_t)len);
	if (err)
		secure_zero(k, sizeof(*k));
	secure_zero(text, n);
	return err;
}
