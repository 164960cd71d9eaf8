/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources @tests/host/ssh_keys.sources */
/* flags: @tests/host/ssh.flags */
/* Known answers: from RFCs, and from python3-cryptography (ssh_vectors.h) for what only SSH has. */
#include "lib/errno.h"
#include "ssh/authkeys.h"
#include "ssh/cipher.h"
#include "ssh/hostkey.h"
#include "ssh/kem.h"
#include "ssh/namelist.h"
#include "ssh/sig.h"
#include "ssh/ssh.h"
#include "tests/host/ssh_vectors.h"
#include "tests/host/test.h"
#include <sodium/crypto_onetimeauth_poly1305.h>
#include <sodium/crypto_scalarmult_curve25519.h>
#include <sodium/crypto_stream_chacha20.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(a) ((struct bytes){ a, sizeof(a) })

static void unhex(const char *text, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char two[3] = { text[2 * i], text[2 * i + 1], 0 };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
}

/* One packet each way through the cipher, and each of its bits flipped. */
static void check_cipher(const struct ssh_cipher_alg *cipher, const struct ssh_mac_alg *mac,
			 const uint8_t *key, const uint8_t *iv, const uint8_t *mac_key,
			 const uint8_t *plain, size_t len, const uint8_t *sealed, size_t sealed_len)
{
	uint8_t buf[512];
	struct ssh_keys k;

	ssh_keys_init(&k, cipher, mac, key, iv, mac_key);
	CHECK_EQ(len + k.tag_len, sealed_len);
	memcpy(buf, plain, len);
	ssh_seal(&k, VECTOR_SEQ, buf, len);
	CHECK_MEM(buf, sealed, sealed_len);

	ssh_keys_init(&k, cipher, mac, key, iv, mac_key);
	CHECK_EQ(ssh_peek(&k, VECTOR_SEQ, buf), len - 4);
	CHECK_EQ(ssh_open(&k, VECTOR_SEQ, buf, len), 0);
	CHECK_MEM(buf + 4, plain + 4, len - 4);

	for (size_t bit = 32; bit < sealed_len * 8; bit += 7) {
		memcpy(buf, sealed, sealed_len);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ssh_keys_init(&k, cipher, mac, key, iv, mac_key);
		(void)ssh_peek(&k, VECTOR_SEQ, buf);
		CHECK_EQ(ssh_open(&k, VECTOR_SEQ, buf, len), -EBADMSG);
	}
	memcpy(buf, sealed, sealed_len);
	ssh_keys_init(&k, cipher, mac, key, iv, mac_key);
	(void)ssh_peek(&k, VECTOR_SEQ, buf);
	/* AES-GCM counts by itself */
	if (cipher->tag_len == 0 || cipher == &ssh_cipher_chachapoly)
		CHECK_EQ(ssh_open(&k, VECTOR_SEQ + 1, buf, len), -EBADMSG);
}

#define CHECK_CIPHER(alg, mac, v)                                                                  \
	check_cipher(&(alg), mac, v##_key, v##_iv, v##_mac_key, v##_plain, sizeof(v##_plain),      \
		     v##_sealed, sizeof(v##_sealed))

TEST(chacha20_poly1305_openssh)
{
	CHECK_CIPHER(ssh_cipher_chachapoly, NULL, chacha);
}

TEST(aes_gcm)
{
	CHECK_CIPHER(ssh_cipher_aes128_gcm, NULL, gcm128);
	CHECK_CIPHER(ssh_cipher_aes256_gcm, NULL, gcm256);
}

TEST(aes_ctr_plain_mac)
{
	CHECK_CIPHER(ssh_cipher_aes128_ctr, &ssh_mac_sha256, ctr128);
	CHECK_CIPHER(ssh_cipher_aes256_ctr, &ssh_mac_sha256, ctr256);
}

TEST(aes_ctr_etm)
{
	CHECK_CIPHER(ssh_cipher_aes128_ctr, &ssh_mac_sha256_etm, etm256);
	CHECK_CIPHER(ssh_cipher_aes256_ctr, &ssh_mac_sha512_etm, etm512);
}

TEST(gcm_counts_packets)
{
	uint8_t a[64] = { 0, 0, 0, 28 }, b[64] = { 0, 0, 0, 28 };
	struct ssh_keys out, in;

	ssh_keys_init(&out, &ssh_cipher_aes128_gcm, NULL, gcm128_key, gcm128_iv, NULL);
	ssh_keys_init(&in, &ssh_cipher_aes128_gcm, NULL, gcm128_key, gcm128_iv, NULL);
	out.gcm.nonce[11] = in.gcm.nonce[11] = 0xff;
	ssh_seal(&out, 0, a, 32);
	ssh_seal(&out, 0, b, 32);
	CHECK(memcmp(a + 4, b + 4, 44) != 0);
	CHECK_EQ(ssh_open(&in, 0, a, 32), 0);
	CHECK_EQ(ssh_open(&in, 0, b, 32), 0);
}

/* RFC 7748 s5.2 and s6.1 */
TEST(x25519_known)
{
	uint8_t k[32], u[32], want[32], out[32], base[32] = { 9 };

	unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", k, 32);
	unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", u, 32);
	unhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552", want, 32);
	CHECK_EQ(crypto_scalarmult_curve25519(out, k, u), 0);
	CHECK_MEM(out, want, 32);
	unhex("77076d0a7318a57d3c16c17251b26645df1f7a8f4f5b2c8fb0b4e8b5a2ba2bd6", k, 32);
	CHECK_EQ(crypto_scalarmult_curve25519_base(out, k), 0);
	CHECK_EQ(crypto_scalarmult_curve25519(want, k, base), 0);
	CHECK_MEM(out, want, 32);
}

/* RFC 7748 s5.2, 1,000 rounds */
TEST(x25519_iterated)
{
	uint8_t k[32] = { 9 }, u[32] = { 9 }, out[32], want[32];

	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(crypto_scalarmult_curve25519(out, k, u), 0);
		memcpy(u, k, 32);
		memcpy(k, out, 32);
	}
	unhex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51", want, 32);
	CHECK_MEM(k, want, 32);
}

TEST(x25519_refuses_low_order)
{
	uint8_t k[32] = { 1, 2, 3 }, u[32] = { 0 }, out[32];

	CHECK(crypto_scalarmult_curve25519(out, k, u) != 0);
	u[0] = 1;
	CHECK(crypto_scalarmult_curve25519(out, k, u) != 0);
	unhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", u, 32);
	CHECK(crypto_scalarmult_curve25519(out, k, u) != 0);
}

/* RFC 8439 s2.5.2 and s2.4.2 */
static void check_kem(const struct ssh_kem *kem, const uint8_t want[32])
{
	uint8_t some[3044] __aligned(4), cipher[1088], out[64];
	br_sha256_context h;

	for (size_t i = 0; i < sizeof(some); i++)
		some[i] = i & 0x7b;
	CHECK_EQ(kem->encapsulate(some, some, cipher, out), 0);
	br_sha256_init(&h);
	br_sha256_update(&h, cipher, kem->cipher_len);
	br_sha256_out(&h, out + 32);
	br_sha256_init(&h);
	br_sha256_update(&h, out, 64);
	br_sha256_out(&h, out);
	CHECK_MEM(out, want, 32);
}

TEST(kems_known)
{
	check_kem(&ssh_mlkem768, mlkem768_answer);
	check_kem(&ssh_sntrup761, sntrup761_answer);
}

TEST(poly1305_and_chacha20_known)
{
	static const char text[] = "Cryptographic Forum Research Group";
	uint8_t key[32], want[16], tag[16], iv[12], stream[16] = { 0 };

	unhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b", key, 32);
	unhex("a8061dc1305136c6c22b8baf0c0127a9", want, 16);
	crypto_onetimeauth_poly1305(tag, (const uint8_t *)text, 34, key);
	CHECK_MEM(tag, want, 16);
	for (int i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
	unhex("000000090000004a00000000", iv, 12);
	unhex("10f1e7e4d13b5915500fdd1fa32071c4", want, 16);
	crypto_stream_chacha20_ietf_xor_ic(stream, stream, 16, iv, 1, key);
	CHECK_MEM(stream, want, 16);
}

/* RFC 4231 s4.3: the key is not of the MAC's length, so the context is set up by hand */
TEST(hmac_known)
{
	uint8_t want[64], out[64];
	br_hmac_key_context key;
	br_hmac_context ctx;

	unhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", want, 32);
	br_hmac_key_init(&key, &br_sha256_vtable, "Jefe", 4);
	br_hmac_init(&ctx, &key, 0);
	br_hmac_update(&ctx, "what do ya want for nothing?", 28);
	CHECK_EQ(br_hmac_out(&ctx, out), 32);
	CHECK_MEM(out, want, 32);
}

/* RFC 8032 s7.1, tests 1 and 2 */
TEST(ed25519_known)
{
	uint8_t seed[32], want[64], out[128], message[1] = { 0x72 };
	struct ssh_hostkey k;
	struct wr w = wr_over(out, sizeof(out));

	unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed, 32);
	unhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", want, 32);
	ssh_hostkey_from_seed(&k, seed);
	CHECK_MEM(k.public, want, 32);
	unhex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
	      "d25bf5f0595bbe24655141438e7a100b",
	      want, 64);
	CHECK_EQ(ssh_hostkey_sign(&k, NULL, "", 0, &w), 0);
	CHECK_EQ(w.len, 4 + 4 + 11 + 4 + 64);
	CHECK_MEM(out + w.len - 64, want, 64);
	unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", seed, 32);
	unhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
	      "387b2eaeb4302aeeb00d291612bb0c00",
	      want, 64);
	ssh_hostkey_from_seed(&k, seed);
	w = wr_over(out, sizeof(out));
	CHECK_EQ(ssh_hostkey_sign(&k, NULL, message, 1, &w), 0);
	CHECK_MEM(out + w.len - 64, want, 64);
}

static int verify(const char *alg, struct bytes key, struct bytes sig)
{
	return ssh_sig_verify((struct bytes){ (const uint8_t *)alg, strlen(alg) }, key, sig,
			      signed_text, sizeof(signed_text));
}

/* Good as it is; not with any single bit of the signature or key changed (sampled); not under another name. */
static void check_signature(const char *alg, struct bytes key, struct bytes sig)
{
	uint8_t copy[1200];

	CHECK_EQ(verify(alg, key, sig), 0);
	for (size_t bit = test_below(23); bit < sig.n * 8; bit += 23) {
		memcpy(copy, sig.p, sig.n);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_EQ(verify(alg, key, (struct bytes){ copy, sig.n }), -EACCES);
	}
	for (size_t bit = test_below(41); bit < key.n * 8; bit += 41) {
		memcpy(copy, key.p, key.n);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_EQ(verify(alg, (struct bytes){ copy, key.n }, sig), -EACCES);
	}
	for (size_t n = 0; n < sig.n; n++)
		CHECK_EQ(verify(alg, key, (struct bytes){ sig.p, n }), -EACCES);
	for (size_t n = 0; n < key.n; n += 3)
		CHECK_EQ(verify(alg, (struct bytes){ key.p, n }, sig), -EACCES);
	CHECK_EQ(verify("ssh-dss", key, sig), -EACCES);
	CHECK_EQ(verify("", key, sig), -EACCES);
}

TEST(sig_ed25519)
{
	uint8_t zero_key[sizeof(ed_key)];

	check_signature("ssh-ed25519", BYTES(ed_key), BYTES(ed_sig));
	CHECK_EQ(verify("ssh-ed25519", BYTES(ed_key), BYTES(ed_sig_s_plus_l)), -EACCES);
	memcpy(zero_key, ed_key, sizeof(ed_key));
	memset(zero_key + sizeof(ed_key) - 32, 0, 32);
	CHECK_EQ(verify("ssh-ed25519", BYTES(zero_key), BYTES(ed_sig)), -EACCES);
}

TEST(sig_ecdsa)
{
	check_signature("ecdsa-sha2-nistp256", BYTES(ec_key), BYTES(ec_sig));
	/* a number has no leading zeros: of one in 128 one of the two is shorter */
	check_signature("ecdsa-sha2-nistp256", BYTES(ec_key), BYTES(ec_sig_short_r));
	check_signature("ecdsa-sha2-nistp256", BYTES(ec_key), BYTES(ec_sig_short_s));
	CHECK_EQ(verify("ecdsa-sha2-nistp256", BYTES(ec_key), BYTES(ec_sig_r0)), -EACCES);
	CHECK_EQ(verify("ecdsa-sha2-nistp256", BYTES(ec_key), BYTES(ec_sig_s0)), -EACCES);
	CHECK_EQ(verify("ecdsa-sha2-nistp256", BYTES(ec_key), BYTES(ec_sig_rn)), -EACCES);
	CHECK_EQ(verify("ecdsa-sha2-nistp256", BYTES(ec_key), BYTES(ec_sig_sn)), -EACCES);
	CHECK_EQ(verify("ecdsa-sha2-nistp256", BYTES(ec_key), BYTES(ec_sig_negative)), -EACCES);
}

TEST(sig_rsa)
{
	check_signature("rsa-sha2-256", BYTES(rsa_key), BYTES(rsa_sig_rsa_sha2_256));
	check_signature("rsa-sha2-512", BYTES(rsa_key), BYTES(rsa_sig_rsa_sha2_512));
	CHECK_EQ(verify("rsa-sha2-512", BYTES(rsa_key), BYTES(rsa_sig_rsa_sha2_256)), -EACCES);
	CHECK_EQ(verify("rsa-sha2-256", BYTES(rsa_key), BYTES(rsa_sig_long)), -EACCES);
	CHECK_EQ(verify("rsa-sha2-256", BYTES(rsa_key), BYTES(rsa_sig_short)), -EACCES);
	/* one in 256 begins with a zero, which some clients leave out */
	check_signature("rsa-sha2-512", BYTES(rsa_key_zero), BYTES(rsa_sig_zero));
	check_signature("rsa-sha2-512", BYTES(rsa_key_zero), BYTES(rsa_sig_no_zero));
	CHECK_EQ(verify("ssh-rsa", BYTES(rsa_key), BYTES(rsa_sig_ssh_rsa)), -EACCES);
	CHECK_EQ(verify("rsa-sha2-256", BYTES(rsa1024_key), BYTES(rsa1024_sig_rsa_sha2_256)),
		 -EACCES);
	CHECK(!ssh_sig_key_is_good(BYTES_LIT("rsa-sha2-256"), BYTES(rsa1024_key)));
	CHECK(!ssh_sig_key_is_good(BYTES_LIT("ssh-ed25519"), BYTES(rsa_key)));
}

/* The text is wiped, whatever comes of it. */
static int parse_key(struct ssh_hostkey *k, const char *text, size_t n)
{
	char copy[4096];
	int err;

	CHECK(n <= sizeof(copy));
	memcpy(copy, text, n);
	err = ssh_hostkey_parse(k, copy, n);
	for (size_t i = 0; i < n; i++)
		CHECK(copy[i] == 0);
	return err;
}

#define PARSE(k, text) parse_key(k, text, sizeof(text) - 1)

TEST(keyfile_good)
{
	char print[SSH_FINGERPRINT_BYTES], line[SSH_HOSTKEY_LINE_BYTES];
	struct ssh_hostkey k;

	CHECK_EQ(parse_key(&k, keyfile_plain, sizeof(keyfile_plain) - 1), 0);
	ssh_hostkey_fingerprint(&k, print);
	CHECK_STR(print, keyfile_fingerprint);
	ssh_hostkey_line(&k, line);
	CHECK_STR(line, keyfile_public);
}

TEST(keyfile_refused)
{
	char copy[sizeof(keyfile_plain)];
	struct ssh_hostkey k, zero;

	memset(&zero, 0, sizeof(zero));
	CHECK_EQ(parse_key(&k, keyfile_locked, sizeof(keyfile_locked) - 1), -EOPNOTSUPP);
	CHECK_EQ(parse_key(&k, keyfile_ecdsa, sizeof(keyfile_ecdsa) - 1), -EOPNOTSUPP);
	CHECK_EQ(parse_key(&k, "", 0), -EINVAL);
	for (size_t n = 0; n < sizeof(keyfile_plain) - 2; n++)
		CHECK(parse_key(&k, keyfile_plain, n) < 0);
	/* no single character can change but in the comment, whose place is near the end */
	for (size_t i = 40; i < 300; i++) {
		memcpy(copy, keyfile_plain, sizeof(copy));
		copy[i] = copy[i] == 'A' ? 'B' : 'A';
		CHECK_MSG(parse_key(&k, copy, sizeof(copy) - 1) < 0, "character %zu", i);
	}
	CHECK_MEM(&k, &zero, sizeof(k));
	CHECK_EQ(PARSE(&k, keyfile_rsa2048), -ERANGE);
	CHECK_EQ(PARSE(&k, keyfile_rsa4160), -ERANGE);
	CHECK_MEM(&k, &zero, sizeof(k));
}

/* RFC 8332: both hashes, against another implementation. */
TEST(rsa_host_key_signs)
{
	uint8_t out[600];
	char line[SSH_HOSTKEY_LINE_BYTES];
	struct wr w = wr_over(out, sizeof(out));
	struct ssh_hostkey k;

	CHECK_EQ(PARSE(&k, keyfile_rsa3072), 0);
	ssh_hostkey_line(&k, line);
	CHECK_STR(line, keyfile_rsa3072_public);
	CHECK_EQ(ssh_hostkey_sign(&k, NULL, signed_text, sizeof(signed_text), &w), 0);
	CHECK_EQ(w.len, 4 + sizeof(rsa3072_sig_512));
	CHECK_MEM(out + 4, rsa3072_sig_512, sizeof(rsa3072_sig_512));
	w.len = 0;
	CHECK_STR(ssh_hostkey_algs[2].name, "rsa-sha2-256");
	CHECK_EQ(ssh_hostkey_sign(&k, &ssh_hostkey_algs[2], signed_text, sizeof(signed_text), &w),
		 0);
	CHECK_EQ(w.len, 4 + sizeof(rsa3072_sig_256));
	CHECK_MEM(out + 4, rsa3072_sig_256, sizeof(rsa3072_sig_256));
}

/* I-SSH-25: one bit wrong in half of the computation gives the factors to whoever sees the result. */
TEST(rsa_faults_stay_inside)
{
	struct ssh_rsa_number *parts[] = { NULL, NULL, NULL, NULL, NULL };
	struct ssh_hostkey k;
	uint8_t out[600];

	CHECK_EQ(PARSE(&k, keyfile_rsa3072), 0);
	parts[0] = &k.rsa.p;
	parts[1] = &k.rsa.q;
	parts[2] = &k.rsa.dp;
	parts[3] = &k.rsa.dq;
	parts[4] = &k.rsa.iq;
	for (size_t i = 0; i < 5; i++) {
		struct wr w = wr_over(out, sizeof(out));

		parts[i]->b[100] ^= 4;
		CHECK_MSG(ssh_hostkey_sign(&k, NULL, signed_text, sizeof(signed_text), &w) == -EIO,
			  "part %zu", i);
		CHECK_EQ(w.len, 0);
		parts[i]->b[100] ^= 4;
	}
}

/* A number of the file that is not the key's: seen before anybody is served. */
TEST(rsa_halves_belong_together)
{
	char copy[sizeof(keyfile_rsa3072)];
	struct ssh_hostkey k;

	for (size_t i = 60; i < sizeof(copy) - 100; i += 97) {
		memcpy(copy, keyfile_rsa3072, sizeof(copy));
		copy[i] = copy[i] == 'A' ? 'B' : 'A';
		CHECK_MSG(parse_key(&k, copy, sizeof(copy) - 1) < 0, "character %zu", i);
	}
}

static unsigned refused_line;
static const char *refused_why;

static void note_refused(void *arg, unsigned line, const char *why)
{
	refused_line = line;
	refused_why = why;
}

static struct ssh_login login = { BYTES_LIT("10.0.2.2"), 1800000000, note_refused, NULL };

static int find(const char *text, struct ssh_grant *g)
{
	refused_line = 0;
	refused_why = "";
	return ssh_authkeys_find((struct bytes){ (const uint8_t *)text, strlen(text) },
				 BYTES(ed_key), &login, g);
}

/* "ssh-ed25519 BASE64" of ed_key */
static const char *ed_line(void)
{
	static char line[SSH_HOSTKEY_LINE_BYTES];
	struct ssh_hostkey k;

	ssh_hostkey_from_seed(&k, ed_seed);
	ssh_hostkey_line(&k, line);
	return line;
}

static int find_with(const char *before, const char *after, struct ssh_grant *g)
{
	/* g->command points into it */
	static char text[1000];

	*g = (struct ssh_grant){ 0 };
	snprintf(text, sizeof(text), "%s%s%s", before, ed_line(), after);
	return find(text, g);
}

TEST(authkeys_good_lines)
{
	struct ssh_grant g;

	CHECK_EQ(find_with("", "", &g), 0);
	CHECK_EQ(find_with("# comment\n\n  \t", " me@host\n", &g), 0);
	CHECK_EQ(find_with("junk\n", "\r\n", &g), 0);
	CHECK_EQ(find_with("no-pty ", "", &g), 0);
	CHECK(g.no_pty && !g.no_forwarding && !g.command.p);
	CHECK_EQ(find_with("restrict,pty ", "", &g), 0);
	CHECK(!g.no_pty && g.no_forwarding);
	CHECK_EQ(find_with("No-PTY,no-X11-forwarding,no-agent-forwarding\t", " x", &g), 0);
	CHECK_EQ(find_with("command=\"echo \\\"a b\\\" #\",no-pty ", "", &g), 0);
	CHECK(bytes_is(g.command, "echo \\\"a b\\\" #"));
}

TEST(authkeys_refused_lines)
{
	static const char *const bad[] = { "unknown ",
					   "no-pty,unknown ",
					   "no-pty, ",
					   ",no-pty ",
					   "command= ",
					   "command=\"\" ",
					   "command=\"x ",
					   "command=\"x\"y ",
					   "command=\"a\",command=\"b\" ",
					   "environment=\"A\" ",
					   "environment=\"=x\" ",
					   "environment=\"a-b=x\" ",
					   "environment ",
					   "environment=A=B ",
					   "#",
					   "from=\"\" ",
					   "cert-authority ",
					   "no-pty,cert-authority,principals=\"root\" ",
					   "principals=\"root\" ",
					   "no-pty=\"x\" ",
					   "expiry-time=\"20300101\",from=\"10.0.0.1\" ",
					   "command ",
					   "no-pty no-pty ",
					   "no-ptyx ",
					   "permitopen=\"a\" ",
					   "permitopen=\"a:0\" ",
					   "permitopen=\"a:65536\" ",
					   "permitopen=\":1\" ",
					   "permitopen=\"a:1x\" ",
					   "permitopen=\"1\" ",
					   "permitlisten=\"a:\" " };
	struct ssh_grant g;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_MSG(find_with(bad[i], "", &g) == -EACCES, "%s", bad[i]);
	CHECK_EQ(find_with("", "=", &g), -EACCES);
	CHECK_EQ(find_with("", "AAAA", &g), -EACCES);
	CHECK_EQ(find("", &g), -EACCES);
	CHECK_EQ(find("ssh-ed25519", &g), -EACCES);
	CHECK_EQ(find("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAA", &g), -EACCES);
}

static bool permits(const char *options, bool listen, const char *host, uint32_t port)
{
	struct ssh_grant g;

	CHECK_EQ(find_with(options, " x", &g), 0);
	return ssh_authkeys_permit(g.options, listen,
				   (struct bytes){ (const uint8_t *)host, strlen(host) }, port);
}

TEST(authkeys_permits)
{
	static const char two[] =
		"no-pty,permitopen=\"a:1\",command=\"x,permitopen=\\\"c:1\\\"\",PermitOpen=\"[::1]:*\" ";
	struct ssh_grant g;

	CHECK_EQ(find_with(two, " x", &g), 0);
	CHECK(g.limits_open && !g.limits_listen && !g.no_forwarding);
	CHECK(permits(two, false, "a", 1));
	CHECK(!permits(two, false, "a", 2));
	CHECK(!permits(two, false, "b", 1));
	CHECK(!permits(two, false, "A", 1));
	CHECK(!permits(two, false, "c", 1));
	CHECK(permits(two, false, "::1", 65535));
	CHECK(!permits(two, true, "a", 1));
	CHECK(permits("permitopen=\"*:80\" ", false, "", 80));
	CHECK(!permits("permitopen=\"*:80\" ", false, "x", 81));
	CHECK(permits("permitlisten=\"8080\" ", true, "localhost", 8080));
	CHECK(!permits("permitlisten=\"8080\" ", true, "localhost", 0));
	CHECK(!permits("permitlisten=\"8080\" ", false, "localhost", 8080));
	CHECK(permits("permitlisten=\"localhost:*\" ", true, "localhost", 0));
	CHECK(!permits("permitlisten=\"localhost:*\" ", true, "", 0));
}

TEST(authkeys_from)
{
	static const struct {
		const char *list, *from;
		bool good;
	} cases[] = {
		{ "10.0.2.2", "10.0.2.2", true },
		{ "10.0.2.3", "10.0.2.2", false },
		{ "10.0.2.*", "10.0.2.2", true },
		{ "10.0.?.2", "10.0.2.2", true },
		{ "*", "10.0.2.2", true },
		{ "!10.0.2.2,*", "10.0.2.2", false },
		{ "*,!10.0.2.0/24", "10.0.2.2", false },
		{ "!10.0.2.3", "10.0.2.2", false },
		{ "!10.0.2.3,10.0.2.*", "10.0.2.2", true },
		{ "10.0.2.0/24", "10.0.2.2", true },
		{ "10.0.2.0/31", "10.0.2.2", false },
		{ "10.0.2.2/32", "10.0.2.2", true },
		{ "0.0.0.0/0", "10.0.2.2", true },
		{ "0.0.0.0/0", "fec0::2", false },
		{ "::/0", "fec0::2", true },
		{ "::/0", "10.0.2.2", false },
		{ "fec0::/16", "fec0::2", true },
		{ "FEC0:0:0:0:0:0:0:2", "fec0::2", true },
		{ "fec0::3,fec0::2", "fec0::2", true },
		{ "fec0::/127", "fec0::2", false },
		{ "::ffff:10.0.2.2", "::ffff:a00:202", true },
		/* no good at all */
		{ "10.0.2.2/24", "10.0.2.2", false },
		{ "10.0.2.0/33,10.0.2.2", "10.0.2.2", false },
		{ "10.0.2.0/,10.0.2.2", "10.0.2.2", false },
		{ "10.0.2.0/-1,*", "10.0.2.2", false },
		{ "10.0.2/24,*", "10.0.2.2", false },
		{ "fec0:::/16,*", "fec0::2", false },
		{ "1:2:3:4:5:6:7:8:9/16,*", "fec0::2", false },
		{ "1::2::3/16,*", "fec0::2", false },
		{ "*,,x", "10.0.2.2", false },
		{ "*, x", "10.0.2.2", false },
		{ "!", "10.0.2.2", false },
		{ "host.example,10.0.2.300", "10.0.2.2", false },
	};
	struct bytes before = login.from;
	struct ssh_grant g;
	char option[100];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(option, sizeof(option), "from=\"%s\" ", cases[i].list);
		login.from =
			(struct bytes){ (const uint8_t *)cases[i].from, strlen(cases[i].from) };
		CHECK_MSG((find_with(option, "", &g) == 0) == cases[i].good, "%s from %s",
			  cases[i].list, cases[i].from);
	}
	login.from = before;
	CHECK_EQ(find_with("\n\nfrom=\"10.0.0.1\" ", "", &g), -EACCES);
	CHECK_EQ(refused_line, 3);
	CHECK_STR(refused_why, "not from this address");
}

/* now is 2027-01-15 08:00:00 */
TEST(authkeys_expiry)
{
	static const struct {
		const char *time, *why;
	} cases[] = {
		{ "20270115", "the key has expired" },
		{ "20270116", "" },
		{ "202701150759", "the key has expired" },
		{ "20270115080000Z", "" },
		{ "20270115075959", "the key has expired" },
		{ "202701150801Z", "" },
		{ "20280229", "" },
		{ "99991231235959", "" },
		{ "20270229", "bad expiry-time option" },
		{ "21000229", "bad expiry-time option" },
		{ "20271301", "bad expiry-time option" },
		{ "20270100", "bad expiry-time option" },
		{ "2027011524", "bad expiry-time option" },
		{ "202701152400", "bad expiry-time option" },
		{ "20270115080060", "bad expiry-time option" },
		{ "2027-1-1", "bad expiry-time option" },
		{ "19691231", "bad expiry-time option" },
		{ "Z", "bad expiry-time option" },
	};
	struct ssh_grant g;
	char option[100];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(option, sizeof(option), "expiry-time=\"%s\" ", cases[i].time);
		CHECK_EQ(find_with(option, "", &g), *cases[i].why ? -EACCES : 0);
		CHECK_STR(refused_why, cases[i].why);
	}
	CHECK_EQ(find_with("expiry-time=\"20300101\",expiry-time=\"20260101\" ", "", &g), -EACCES);
	login.now = 3600;
	CHECK_EQ(find_with("expiry-time=\"20300101\" ", "", &g), -EACCES);
	CHECK_STR(refused_why, "expiry-time, and the clock is not set");
	login.now = 1800000000;
}

TEST(authkeys_environment)
{
	struct bytes name, value;
	struct ssh_grant g;

	CHECK_EQ(
		find_with("no-pty,environment=\"A=x y,\\\"z=\",command=\"c\",Environment=\"B_2=\" ",
			  "", &g),
		0);
	CHECK(g.environment && g.no_pty && bytes_is(g.command, "c"));
	CHECK(ssh_authkeys_variable(g.options, 0, &name, &value));
	CHECK(bytes_is(name, "A") && bytes_is(value, "x y,\\\"z="));
	CHECK(ssh_authkeys_variable(g.options, 1, &name, &value));
	CHECK(bytes_is(name, "B_2") && value.n == 0);
	CHECK(!ssh_authkeys_variable(g.options, 2, &name, &value));
	CHECK_EQ(find_with("no-pty ", "", &g), 0);
	CHECK(!g.environment && !ssh_authkeys_variable(g.options, 0, &name, &value));
}

/* Whose key it is, is told; of other lines nothing. And the next line with it counts. */
TEST(authkeys_says_which_line)
{
	struct ssh_grant g;
	char before[300];

	CHECK_EQ(find_with("x y\r\n \r\n#\r\nno-pty,cert-authority ", "\r\n", &g), -EACCES);
	CHECK_EQ(refused_line, 4);
	CHECK_STR(refused_why, "certificates are not implemented");
	snprintf(before, sizeof(before), "tunnel=\"0\" %s\n\t", ed_line());
	CHECK_EQ(find_with(before, "", &g), 0);
	CHECK_EQ(refused_line, 1);
	CHECK_STR(refused_why, "unknown option");
	CHECK_EQ(
		find("tunnel=\"0\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAA\n", &g),
		-EACCES);
	CHECK_EQ(refused_line, 0);
}

/* dropbear 2026.92: the rest of a line too long must not count as a line */
TEST(authkeys_long_line)
{
	static char text[20000];
	struct ssh_grant g;

	memset(text, 'x', 9000);
	snprintf(text + 9000, sizeof(text) - 9000, " %s\n", ed_line());
	CHECK_EQ(find(text, &g), -EACCES);
	snprintf(text + 9000, sizeof(text) - 9000, "\n%s\n", ed_line());
	CHECK_EQ(find(text, &g), 0);
}

static void count_bad(void *arg, unsigned line, const char *why)
{
	*(unsigned *)arg = *(unsigned *)arg * 10 + line;
}

TEST(authkeys_check_names_lines)
{
	char text[1000];
	unsigned bad = 0;

	snprintf(text, sizeof(text), "# x\nfoo bar\n%s\nssh-ed25519 short\n", ed_line());
	CHECK_EQ(ssh_authkeys_check((struct bytes){ (uint8_t *)text, strlen(text) }, count_bad,
				    &bad),
		 1);
	CHECK_EQ(bad, 24);
}

TEST(namelists)
{
	CHECK(ssh_namelist_is_good(BYTES_LIT("")));
	CHECK(ssh_namelist_is_good(BYTES_LIT("a")));
	CHECK(ssh_namelist_is_good(BYTES_LIT("a,b@c.d")));
	CHECK(!ssh_namelist_is_good(BYTES_LIT(",")));
	CHECK(ssh_namelist_is_good(BYTES_LIT("a,")));
	CHECK(!ssh_namelist_is_good(BYTES_LIT("a,,")));
	CHECK(!ssh_namelist_is_good(BYTES_LIT(",a")));
	CHECK(!ssh_namelist_is_good(BYTES_LIT("a,,b")));
	CHECK(!ssh_namelist_is_good(BYTES_LIT("a b")));
	CHECK(!ssh_namelist_is_good(BYTES_LIT("a\0b")));
	CHECK(ssh_namelist_has(BYTES_LIT("ab,cd,e"), "cd"));
	CHECK(ssh_namelist_has(BYTES_LIT("ab,cd,e"), "e"));
	CHECK(!ssh_namelist_has(BYTES_LIT("ab,cd,e"), "c"));
}

TEST(selftest_finds_what_is_wrong)
{
	static const char *const names[] = {
		"chacha20-poly1305", "aes128-gcm", "aes256-gcm", "aes128-ctr",
		"aes256-ctr",	     "curve25519", "ed25519"
	};

	CHECK(ssh_selftest("") == NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *failed = ssh_selftest(names[i]);

		CHECK(failed && strcmp(failed, names[i]) == 0);
	}
}
