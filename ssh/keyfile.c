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
#define FILE_MAX   600 /* an ed25519 key with a long comment */

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

static int parse_secrets(struct ssh_hostkey *k, struct bytes secrets)
{
	struct rd r = rd_bytes_of(secrets);
	uint32_t check1 = rd_u32(&r), check2 = rd_u32(&r);
	struct bytes type = rd_string(&r), public, secret;

	if (r.bad || check1 != check2)
		return -EINVAL;
	if (!bytes_is(type, "ssh-ed25519"))
		return -EOPNOTSUPP;
	public = rd_string(&r);
	secret = rd_string(&r);
	(void)rd_string(&r);
	if (r.bad || public.n != 32 || secret.n != 64 || secrets.n % 8 != 0 || r.left >= 8)
		return -EINVAL;
	for (uint8_t i = 1; r.left > 0; i++)
		if (rd_u8(&r) != i)
			return -EINVAL;
	ssh_hostkey_from_seed(k, secret.p);
	if (memcmp(k->public, public.p, 32) != 0 || !secure_equal(k->secret, secret.p, 64))
		return -EINVAL;
	return 0;
}

static int parse_file(struct ssh_hostkey *k, const uint8_t *p, size_t n)
{
	struct rd r = rd_over(p, n);
	struct bytes magic = rd_take(&r, sizeof(MAGIC)), cipher, kdf, options, public, secrets;
	uint32_t keys;
	struct rd pub;
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
	if (err)
		return err;
	pub = rd_bytes_of(public);
	if (!bytes_is(rd_string(&pub), "ssh-ed25519"))
		return -EINVAL;
	public = rd_string(&pub);
	if (rd_finish(&pub) || public.n != 32 || memcmp(public.p, k->public, 32) != 0)
		return -EINVAL;
	return 0;
}

int ssh_hostkey_parse(struct ssh_hostkey *k, const char *text, size_t n)
{
	struct bytes body = armored(text, n);
	struct ssh_hostkey key;
	uint8_t raw[FILE_MAX];
	ssize_t len;
	int err;

	if (!body.p)
		return -EINVAL;
	len = base64_decode((const char *)body.p, body.n, raw, sizeof(raw), true);
	if (len == -ENOSPC)
		err = -EOPNOTSUPP;
	else
		err = len < 0 ? -EINVAL : parse_file(&key, raw, (size_t)len);
	if (!err)
		*k = key;
	secure_zero(&key, sizeof(key));
	secure_zero(raw, sizeof(raw));
	return err;
}
