/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/ssh.sources @tests/host/ssh_keys.sources tests/host/ssh_peer.c */
/* flags: @tests/host/ssh.flags */
/* The state machine against a client in memory: what is right, and the rows of the attack table that need exact
 * bytes or exact time. */
#define _GNU_SOURCE
#include "lib/errno.h"
#include "ssh/buf.h"
#include "tests/host/ssh_peer.h"
#include "tests/host/ssh_vectors.h"
#include "tests/host/test.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MS NS_PER_MS

static struct peer *at_kex(void)
{
	struct peer *p = peer_create();

	peer_ident(p);
	return p;
}

static struct peer *at_auth(void)
{
	struct peer *p = at_kex();

	peer_kex(p);
	peer_service(p);
	return p;
}

static struct peer *logged_in(void)
{
	struct peer *p = peer_create();

	peer_login(p);
	return p;
}

/* --- identification ----------------------------------------------------------------------------------------------- */

static bool ident_is_taken(const char *line, size_t n, size_t step)
{
	struct peer *p = peer_create();
	bool taken;

	for (size_t i = 0; i < n && !ssh_conn_is_over(p->c); i += step)
		peer_feed(p, line + i, n - i < step ? n - i : step);
	peer_run(p, 21 * MS);
	p->rx_head = 14;
	taken = !ssh_conn_is_over(p->c) && peer_recv(p) == SSH_MSG_KEXINIT;
	peer_destroy(p);
	return taken;
}

#define TAKEN(s) ident_is_taken(s, sizeof(s) - 1, 4096)

TEST(ident_good)
{
	char long_line[300];

	CHECK(TAKEN("SSH-2.0-x\r\n"));
	CHECK(TAKEN("SSH-2.0-x\n"));
	CHECK(TAKEN("SSH-1.99-x\r\n"));
	CHECK(TAKEN("SSH-2.0-x y z\r\n"));
	CHECK(ident_is_taken("SSH-2.0-slow\r\n", 14, 1));
	memset(long_line, 'a', sizeof(long_line));
	memcpy(long_line, "SSH-2.0-", 8);
	memcpy(long_line + 253, "\r\n", 2);
	CHECK(ident_is_taken(long_line, 255, 4096));
	memcpy(long_line + 253, "aa\r\n", 4);
	CHECK(!ident_is_taken(long_line, 257, 4096));
}

TEST(ident_bad)
{
	CHECK(!TAKEN("SSH-1.5-old\r\n"));
	CHECK(!TAKEN("GET / HTTP/1.0\r\n"));
	CHECK(!TAKEN("SSH-2.0-a\0b\r\n"));
	CHECK(!TAKEN("SSH-2.0-\r\n"));
	CHECK(!TAKEN("\r\nSSH-2.0-x\r\n"));
	CHECK(!TAKEN("SSH-2.0-no end"));
}

/* --- key exchange --------------------------------------------------------------------------------------------------- */

static unsigned late(struct peer *p)
{
	struct ssh_conn_info info;

	ssh_conn_info(p->c, &info);
	return info.late;
}

/* I-SSH-5 */
TEST(kexinit_waits_for_the_client)
{
	struct peer *p = at_kex();

	CHECK_EQ(peer_recv(p), 0);
	CHECK_EQ(ssh_conn_deadline(p->c), p->now + 20 * MS);
	peer_run(p, 19 * MS);
	CHECK_EQ(peer_recv(p), 0);
	peer_run(p, 1 * MS);
	peer_read_kexinit(p);
	peer_kexinit(p);
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_newkeys(p);
	peer_read_newkeys(p);
	CHECK_EQ(late(p), 1);
	peer_service(p);
	peer_destroy(p);
}

TEST(newkeys_waits_for_the_client)
{
	struct peer *p = at_kex();

	peer_kexinit(p);
	peer_read_kexinit(p);
	peer_ecdh_init(p);
	peer_read_reply(p);
	CHECK_EQ(peer_recv(p), 0);
	CHECK_EQ(late(p), 0);
	peer_run(p, 20 * MS);
	peer_read_newkeys(p);
	CHECK_EQ(late(p), 1);
	CHECK_EQ(peer_recv(p), SSH_MSG_EXT_INFO);
	/* what answers its NEWKEYS at once, though ours is out */
	CHECK_EQ(peer_recv(p), 0);
	peer_newkeys(p);
	CHECK_EQ(peer_recv(p), SSH_MSG_IGNORE);
	peer_service(p);
	peer_destroy(p);
}

/* An RSA signature takes longer than the hold: it is counted from then on. */
TEST(newkeys_waits_behind_a_slow_answer)
{
	struct peer *p = at_kex();

	p->deep_takes = 50 * MS;
	peer_kexinit(p);
	peer_read_kexinit(p);
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_run(p, 19 * MS);
	CHECK_EQ(peer_recv(p), 0);
	peer_newkeys(p);
	peer_read_newkeys(p);
	CHECK_EQ(late(p), 0);
	peer_destroy(p);
}

TEST(ext_info_is_first_after_newkeys)
{
	struct peer *p = at_kex();
	struct rd r;

	peer_kex(p);
	CHECK_EQ(peer_recv(p), SSH_MSG_EXT_INFO);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), 1);
	CHECK(bytes_is(rd_string(&r), "server-sig-algs"));
	CHECK(bytes_is(rd_string(&r), "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256"));
	CHECK_EQ(rd_finish(&r), 0);
	peer_destroy(p);
}

TEST(no_ext_info_unasked)
{
	struct peer *p = peer_create();

	p->kex = "curve25519-sha256@libssh.org";
	peer_login(p);
	peer_destroy(p);
	p = peer_create();
	p->kex = "curve25519-sha256";
	peer_ident(p);
	peer_kex(p);
	CHECK_EQ(peer_recv(p), 0);
	peer_destroy(p);
}

TEST(all_suites_log_in)
{
	for (size_t i = 0; ssh_ciphers[i]; i++)
		for (size_t k = 0; ssh_macs[k]; k++) {
			struct peer *p = peer_create();
			uint32_t chan;

			p->ciphers = ssh_ciphers[i]->name;
			p->macs = ssh_macs[k]->name;
			peer_login(p);
			chan = peer_open(p, 7, 100000, 32768);
			peer_exec(p, chan, "x");
			peer_data(p, chan, "hello", 5);
			CHECK_EQ(p->input_len, 5);
			CHECK_EQ(host_output(p, p->chan, false, p->rx, 50000), 50000);
			peer_run(p, 0);
			peer_expect(p, SSH_MSG_CHANNEL_DATA);
			peer_kex(p);
			peer_data(p, chan, "again", 5);
			CHECK_EQ(p->input_len, 10);
			peer_destroy(p);
		}
}

TEST(all_key_exchanges_log_in)
{
	for (const struct ssh_kex_alg *a = ssh_kexes; a->name; a++)
		for (const struct ssh_kex_alg *b = ssh_kexes; b->name; b++) {
			struct peer *p = peer_create();
			struct ssh_conn_info info;
			uint32_t chan;

			p->kex = a->name;
			peer_login(p);
			chan = peer_open(p, 7, 100000, 32768);
			peer_exec(p, chan, "x");
			p->kex = b->name;
			peer_kex(p);
			ssh_conn_info(p->c, &info);
			CHECK(strcmp(info.kex, b->name) == 0);
			peer_data(p, chan, "hello", 5);
			CHECK_EQ(p->input_len, 5);
			CHECK_EQ(p->deep, 2);
			peer_destroy(p);
		}
}

/* I-SSH-15: a secret begins with a zero byte once in 256 times, and with a set bit every other time: what it is hashed as shows.
 * Beyond scale 1 it is 1,000 a scale for each name. */
static void exchange_often(const char *method, int rounds)
{
	struct peer *p = peer_create();

	p->patient = true;
	p->kex = method;
	peer_login(p);
	for (int n = 0; n < (test_scale > 1 ? 1000 * test_scale : rounds); n++)
		peer_kex(p);
	peer_destroy(p);
}

TEST(exchanges_agree)
{
	exchange_often("curve25519-sha256", 1000);
}

TEST(exchanges_agree_libssh)
{
	exchange_often("curve25519-sha256@libssh.org", 1000);
}

TEST(exchanges_agree_mlkem)
{
	exchange_often("mlkem768x25519-sha256", 1000);
}

TEST(exchanges_agree_sntrup)
{
	exchange_often("sntrup761x25519-sha512", 40);
}

TEST(exchanges_agree_openssh)
{
	exchange_often("sntrup761x25519-sha512@openssh.com", 40);
}

/* Its first message is by a guess, which is wrong: the next one is taken. */
static void guess_wrongly(struct peer *p)
{
	uint8_t m[37] = { SSH_MSG_KEX_ECDH_INIT, 0, 0, 0, 32 };

	p->guess = true;
	peer_kexinit(p);
	peer_read_kexinit(p);
	peer_send(p, m, sizeof(m));
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_newkeys(p);
	peer_read_newkeys(p);
	peer_service(p);
	peer_destroy(p);
}

TEST(wrong_guess_is_dropped)
{
	static const char *const kexes[] = {
		"ecdh-sha2-nistp256,curve25519-sha256,kex-strict-c-v00@openssh.com",
		"curve25519-sha256,ecdh-sha2-nistp256,kexguess2@matt.ucc.asn.au"
	};

	for (size_t i = 0; i < 2; i++) {
		struct peer *p = at_kex();

		p->kex = kexes[i];
		guess_wrongly(p);
	}
}

static struct ssh_hostkey rsa_host_key;

static struct peer *with_rsa_key(void)
{
	struct peer *p = at_kex();
	char text[sizeof(keyfile_rsa3072)];

	memcpy(text, keyfile_rsa3072, sizeof(text));
	CHECK_EQ(ssh_hostkey_parse(&rsa_host_key, text, sizeof(text) - 1), 0);
	p->cfg.hostkeys[SSH_HOSTKEY_RSA] = &rsa_host_key;
	return p;
}

TEST(host_key_by_the_clients_order)
{
	static const struct {
		const char *offered;
		unsigned taken;
	} lists[] = { { "ssh-ed25519,rsa-sha2-512", 0 },
		      { "rsa-sha2-512,ssh-ed25519", 1 },
		      { "ssh-rsa,rsa-sha2-256,rsa-sha2-512", 2 },
		      { "ecdsa-sha2-nistp256,rsa-sha2-512", 1 } };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct peer *p = with_rsa_key();

		p->hostkeys = lists[i].offered;
		p->hostkey_alg = &ssh_hostkey_algs[lists[i].taken];
		peer_kex(p);
		peer_service(p);
		peer_destroy(p);
	}
}

TEST(host_key_algorithms_as_configured)
{
	struct peer *p = with_rsa_key();

	p->cfg.hostkey_algs = 1 << 2;
	p->hostkeys = "ssh-ed25519,rsa-sha2-512";
	peer_kexinit(p);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_KEY_EXCHANGE_FAILED);
	peer_destroy(p);
}

/* RFC 4253 s7: a guess is wrong if the first host keys differ, too. */
TEST(guess_of_another_host_key_is_dropped)
{
	struct peer *p = with_rsa_key();

	p->kex = "mlkem768x25519-sha256";
	p->hostkeys = "rsa-sha2-512,ssh-ed25519";
	p->hostkey_alg = &ssh_hostkey_algs[1];
	guess_wrongly(p);
}

static void ask_proof(struct peer *p, const struct ssh_hostkey *const *keys, size_t n)
{
	uint8_t m[2000];
	struct wr w = wr_over(m, sizeof(m));

	wr_u8(&w, SSH_MSG_GLOBAL_REQUEST);
	wr_cstring(&w, "hostkeys-prove-00@openssh.com");
	wr_bool(&w, true);
	for (size_t i = 0; i < n; i++)
		ssh_hostkey_write(keys[i], &w);
	peer_send_wr(p, &w);
}

/* What is signed names this session and one key; each key is proved, none that is not ours, and once. */
TEST(host_keys_are_announced_and_proved)
{
	for (unsigned i = 0; i < 3; i++) {
		struct peer *p = with_rsa_key();
		const struct ssh_hostkey *keys[3] = { &rsa_host_key, &p->hostkey, &p->userkey };
		uint8_t text[800], want[600], blob[SSH_HOSTKEY_BLOB_MAX];
		struct rd r;

		p->hostkeys = i ? "ssh-ed25519" : "rsa-sha2-256";
		p->hostkey_alg = &ssh_hostkey_algs[i ? 0 : 2];
		peer_kex(p);
		peer_service(p);
		peer_auth(p, "root", 0);
		peer_expect(p, SSH_MSG_USERAUTH_SUCCESS);
		peer_expect(p, SSH_MSG_GLOBAL_REQUEST);
		r = peer_reader(p);
		CHECK(bytes_is(rd_string(&r), "hostkeys-00@openssh.com"));
		CHECK(!rd_bool(&r));
		for (unsigned j = 0; j < 2; j++) {
			struct wr w = wr_over(blob, sizeof(blob));

			ssh_hostkey_write(keys[1 - j], &w);
			CHECK(bytes_equal(rd_string(&r), (struct bytes){ blob + 4, w.len - 4 }));
		}
		CHECK_EQ(rd_finish(&r), 0);
		ask_proof(p, keys, i < 2 ? 2 : 3);
		if (i == 2) {
			peer_expect(p, SSH_MSG_REQUEST_FAILURE);
			peer_destroy(p);
			continue;
		}
		peer_expect(p, SSH_MSG_REQUEST_SUCCESS);
		r = peer_reader(p);
		for (unsigned j = 0; j < 2; j++) {
			struct wr t = wr_over(text, sizeof(text)), s = wr_over(want, sizeof(want));

			wr_cstring(&t, "hostkeys-prove-00@openssh.com");
			wr_string(&t, p->session, p->hash_len);
			ssh_hostkey_write(keys[j], &t);
			CHECK_EQ(ssh_hostkey_sign(keys[j], j == 0 && i == 0 ? p->hostkey_alg : NULL,
						  text, t.len, &s),
				 0);
			CHECK(bytes_equal(rd_string(&r), (struct bytes){ want + 4, s.len - 4 }));
		}
		CHECK_EQ(rd_finish(&r), 0);
		ask_proof(p, keys, 1);
		peer_expect(p, SSH_MSG_REQUEST_FAILURE);
		peer_destroy(p);
	}
}

TEST(right_guess_is_used)
{
	struct peer *p = at_kex();

	p->guess = true;
	p->kex = "mlkem768x25519-sha256,curve25519-sha256";
	peer_kexinit(p);
	peer_ecdh_init(p);
	peer_read_kexinit(p);
	peer_read_reply(p);
	peer_newkeys(p);
	peer_read_newkeys(p);
	peer_service(p);
	peer_destroy(p);
}

TEST(nothing_in_common)
{
	static const struct {
		const char *kex, *hostkeys, *ciphers, *macs;
	} bad[] = { { "diffie-hellman-group14-sha256", "ssh-ed25519", PEER_CIPHERS, PEER_MACS },
		    { PEER_KEX, "ssh-rsa", PEER_CIPHERS, PEER_MACS },
		    { PEER_KEX, "ssh-ed25519", "aes128-cbc,none", PEER_MACS },
		    { PEER_KEX, "ssh-ed25519", "aes128-ctr", "hmac-sha1" },
		    { "", "ssh-ed25519", PEER_CIPHERS, PEER_MACS } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct peer *p = at_kex();

		p->kex = bad[i].kex;
		p->hostkeys = bad[i].hostkeys;
		p->ciphers = bad[i].ciphers;
		p->macs = bad[i].macs;
		peer_kexinit(p);
		CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_KEY_EXCHANGE_FAILED);
		peer_destroy(p);
	}
}

TEST(aead_needs_no_mac_in_common)
{
	struct peer *p = peer_create();

	p->ciphers = "aes256-gcm@openssh.com";
	p->macs = "hmac-sha2-512-etm@openssh.com";
	peer_ident(p);
	peer_kex(p);
	peer_destroy(p);
}

static void expect_bad_kexinit(const void *m, size_t n)
{
	struct peer *p = at_kex();

	peer_send(p, m, n);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

TEST(kexinit_malformed)
{
	uint8_t m[30000] = { SSH_MSG_KEXINIT };

	expect_bad_kexinit(m, 40);
	memset(m + 17, 0xff, 3);
	m[20] = 0xf0;
	expect_bad_kexinit(m, 40);
	/* a list of nothing but commas */
	store_be32(m + 17, 29000);
	memset(m + 21, ',', 29000);
	memset(m + 29021, 0, 41);
	expect_bad_kexinit(m, 29021 + 41);
}

TEST(kex_bad_values)
{
	static const uint8_t order8[32] = { 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae,
					    0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
					    0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd,
					    0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 };
	static const size_t lengths[] = { 0, 31, 33, 32, 32, 32 };

	for (size_t i = 0; i < 6; i++) {
		struct peer *p = at_kex();
		uint8_t m[64] = { SSH_MSG_KEX_ECDH_INIT };

		store_be32(m + 1, (uint32_t)lengths[i]);
		if (i == 4)
			memcpy(m + 5, order8, 32);
		if (i == 5)
			store_be32(m + 1, 0xffffffff);
		peer_kexinit(p);
		peer_send(p, m, 5 + lengths[i]);
		CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_KEY_EXCHANGE_FAILED);
		peer_destroy(p);
	}
}

static struct peer *at_blob(const struct ssh_kex_alg *alg)
{
	struct peer *p = at_kex();

	p->kex = alg->name;
	peer_kexinit(p);
	peer_read_kexinit(p);
	peer_make_blob(p);
	return p;
}

static void expect_bad_blob(struct peer *p, size_t n)
{
	peer_send_blob(p, n);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_KEY_EXCHANGE_FAILED);
	CHECK(!p->has_session);
	peer_destroy(p);
}

/* I-SSH-13 */
TEST(hybrid_bad_lengths_and_points)
{
	for (const struct ssh_kex_alg *alg = ssh_kexes; alg->kem; alg++) {
		size_t key = alg->kem->key_len,
		       bad[] = { 0, 1, 31, 32, key - 1, key, key + 31, key + 33 };
		struct peer *p;

		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			expect_bad_blob(at_blob(alg), bad[i]);
		for (uint8_t u = 0; u < 2; u++) { /* of order 4 and 1 */
			p = at_blob(alg);
			memset(p->blob + key, 0, 32);
			p->blob[key] = u;
			expect_bad_blob(p, p->blob_len);
		}
	}
}

/* FIPS 203 s7.2: 3328 is the largest coefficient there is. */
TEST(mlkem_key_must_be_reduced)
{
	for (unsigned i = 0; i < 768; i += i < 4 || i > 762 ? 1 : 61)
		for (unsigned v = 3328; v <= 4095; v += v == 3328 ? 1 : 383) {
			struct peer *p = at_blob(&ssh_kexes[0]);
			uint8_t *at = p->blob + i / 2 * 3 + i % 2;

			if (i % 2) {
				at[0] = (uint8_t)(at[0] & 0x0f) | (uint8_t)(v << 4);
				at[1] = (uint8_t)(v >> 4);
			} else {
				at[0] = (uint8_t)v;
				at[1] = (uint8_t)(at[1] & 0xf0) | (uint8_t)(v >> 8);
			}
			if (v >= 3329) {
				expect_bad_blob(p, p->blob_len);
				continue;
			}
			peer_send_blob(p, p->blob_len);
			CHECK_EQ(peer_recv(p), SSH_MSG_KEX_ECDH_REPLY);
			peer_destroy(p);
		}
}

/* I-SSH-11 */
TEST(randomness_of_an_encapsulation_is_wiped)
{
	for (const struct ssh_kex_alg *alg = ssh_kexes; alg->kem; alg++) {
		struct peer *p = at_blob(alg);

		p->watch = alg->kem->random_len;
		peer_send_blob(p, p->blob_len);
		CHECK(p->secret && strlen(p->secret) > 8);
		peer_read_reply(p);
		CHECK_EQ(p->leaked, 0);
		peer_destroy(p);
	}
}

static void *send_blob(void *arg)
{
	struct peer *p = arg;

	peer_send_blob(p, p->blob_len);
	return NULL;
}

/* How many pieces of the secret are there: as it is, or its bytes swapped as hashes load words. */
static unsigned traces(const uint8_t *stack, size_t n, const uint8_t *secret, size_t len)
{
	unsigned found = 0;

	for (size_t at = 0; at + 8 <= len; at++)
		for (size_t word = 1; word <= 8; word *= word == 1 ? 4 : 2) {
			uint8_t piece[8];

			for (size_t i = 0; i < 8; i++)
				piece[i] = secret[at + (i ^ (word - 1))];
			found += memmem(stack, n, piece, 8) != NULL;
		}
	return found;
}

/* I-SSH-11: of K and of the keys made from it nothing stays in the frames of the thread that agreed on them. */
TEST(shared_secret_leaves_no_frame)
{
	enum { STACK = 512 * 1024 };

	for (const struct ssh_kex_alg *alg = ssh_kexes; alg->name; alg++) {
		struct peer *p = at_blob(alg);
		uint8_t *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pthread_attr_t attr;
		pthread_t t;

		CHECK(stack != MAP_FAILED);
		pthread_attr_init(&attr);
		CHECK_EQ(pthread_attr_setstack(&attr, stack, STACK), 0);
		CHECK_EQ(pthread_create(&t, &attr, send_blob, p), 0);
		pthread_join(t, NULL);
		pthread_attr_destroy(&attr);
		peer_read_reply(p);
		CHECK(p->agreed_len >= 32);
		CHECK_EQ(traces(p->agreed, p->agreed_len, p->agreed, p->agreed_len),
			 p->agreed_len - 7);
		CHECK_EQ(traces(stack, STACK, p->agreed, p->agreed_len), 0);
		CHECK_EQ(traces(stack, STACK, p->next_in.chacha.main, 32), 0);
		CHECK_EQ(traces(stack, STACK, p->next_out.chacha.main, 32), 0);
		munmap(stack, STACK);
		peer_destroy(p);
	}
}

/* Each message a client may think of, where it has no business. */
static void expect_refused(struct peer *p, uint8_t type, size_t n)
{
	uint8_t m[64] = { type };

	peer_send(p, m, n);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK(!strstr(p->events, "open") && !strstr(p->events, "start"));
	peer_destroy(p);
}

TEST(strict_kex)
{
	static const uint8_t types[] = { 2, 3, 4, 5, 20, 21, 50, 80, 90, 192 };

	for (size_t i = 0; i < sizeof(types); i++) {
		struct peer *p = at_kex();

		peer_kexinit(p);
		expect_refused(p, types[i], 20);
		p = at_kex();
		peer_kexinit(p);
		peer_read_kexinit(p);
		peer_ecdh_init(p);
		peer_read_reply(p);
		if (types[i] != 21)
			expect_refused(p, types[i], 20);
		else
			peer_destroy(p);
	}
}

TEST(strict_kex_needs_kexinit_first)
{
	uint8_t ignore[9] = { SSH_MSG_IGNORE };
	struct peer *p = at_kex();

	peer_send(p, ignore, 5);
	peer_kexinit(p);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
	/* and without the marker that is well */
	p = at_kex();
	p->kex = "curve25519-sha256";
	peer_send(p, ignore, 5);
	peer_kexinit(p);
	peer_read_kexinit(p);
	peer_send(p, ignore, 5);
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_newkeys(p);
	peer_read_newkeys(p);
	peer_service(p);
	peer_destroy(p);
}

/* --- packets ---------------------------------------------------------------------------------------------------- */

static uint32_t code_for_bytes(const void *data, size_t n)
{
	struct peer *p = at_kex();
	uint32_t code;

	peer_feed(p, data, n);
	if (!ssh_conn_is_over(p->c)) {
		peer_destroy(p);
		return 0;
	}
	code = peer_disconnected(p);
	peer_destroy(p);
	return code;
}

static uint32_t code_for_length(uint32_t length, uint8_t padding)
{
	uint8_t m[64] = { 0, 0, 0, 0, padding, SSH_MSG_IGNORE };

	store_be32(m, length);
	return code_for_bytes(m, sizeof(m));
}

TEST(packet_lengths)
{
	CHECK_EQ(code_for_length(0, 4), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(1, 4), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(4, 4), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(13, 4), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(0x7fffffff, 4), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(0xffffffff, 4), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(0xfffffffc, 4), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(1 << 20, 4), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(12, 255), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(12, 11), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(12, 0), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_length(12, 3), SSH_DISCONNECT_PROTOCOL_ERROR);
}

TEST(packet_of_the_largest_size)
{
	static uint8_t m[35000];
	struct peer *p = at_kex();

	p->kex = "curve25519-sha256";
	m[0] = SSH_MSG_IGNORE;
	peer_send(p, m, 34900);
	CHECK(!ssh_conn_is_over(p->c));
	peer_kex(p);
	peer_destroy(p);
}

TEST(packets_byte_by_byte)
{
	struct peer *p = at_auth();
	uint8_t m[64] = { 0 };

	p->out.block = p->out.block;
	m[5] = SSH_MSG_IGNORE;
	store_be32(m, 24);
	m[4] = 18;
	ssh_seal(&p->out, p->out_seq++, m, 28);
	for (size_t i = 0; i < 28u + p->out.tag_len; i++)
		peer_feed(p, m + i, 1);
	peer_auth(p, "root", 0);
	peer_expect(p, SSH_MSG_USERAUTH_SUCCESS);
	peer_destroy(p);
}

TEST(bad_mac)
{
	for (size_t i = 0; ssh_ciphers[i]; i++)
		for (size_t k = 0; ssh_macs[k]; k++) {
			struct peer *p = peer_create();
			uint8_t m[128] = { 0, 0, 0, 28, 20, SSH_MSG_IGNORE };

			p->ciphers = ssh_ciphers[i]->name;
			p->macs = ssh_macs[k]->name;
			peer_ident(p);
			peer_kex(p);
			store_be32(m, p->out.length_outside ? 32 : 28);
			ssh_seal(&p->out, p->out_seq, m, p->out.length_outside ? 36 : 32);
			m[p->out.length_outside ? 36 : 32] ^= 1;
			peer_feed(p, m, (p->out.length_outside ? 36 : 32) + p->out.tag_len);
			CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_MAC_ERROR);
			peer_destroy(p);
		}
}

/* With encrypt-and-MAC a bad length and a bad MAC must look alike: the connection ends when a largest packet's bytes
 * are in, or after a time. */
TEST(bad_length_under_plain_mac)
{
	static uint8_t junk[40000];
	struct peer *p = peer_create();

	memset(junk, 0xaa, sizeof(junk));
	p->ciphers = "aes128-ctr";
	peer_ident(p);
	peer_kex(p);
	peer_feed(p, junk, 100);
	CHECK(!ssh_conn_is_over(p->c));
	peer_feed(p, junk, sizeof(junk));
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_MAC_ERROR);
	peer_destroy(p);

	p = peer_create();
	p->ciphers = "aes128-ctr";
	peer_ident(p);
	peer_kex(p);
	peer_feed(p, junk, 100);
	CHECK(ssh_conn_deadline(p->c) <= p->now + 5 * NS_PER_S);
	peer_run(p, 5 * NS_PER_S);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_MAC_ERROR);
	peer_destroy(p);
}

/* --- login ------------------------------------------------------------------------------------------------------ */

static struct peer *at_phase(enum ssh_phase phase)
{
	struct peer *p;

	switch (phase) {
	case SSH_PHASE_KEXINIT:
		return at_kex();
	case SSH_PHASE_KEX:
	case SSH_PHASE_NEWKEYS:
		p = at_kex();
		break;
	case SSH_PHASE_SERVICE:
		p = at_kex();
		peer_kex(p);
		CHECK_EQ(peer_recv(p), SSH_MSG_EXT_INFO);
		return p;
	case SSH_PHASE_AUTH:
		return at_auth();
	default:
		p = logged_in();
	}
	if (phase == SSH_PHASE_OPEN)
		return p;
	peer_kexinit(p);
	peer_read_kexinit(p);
	if (phase & (SSH_PHASE_KEX | SSH_PHASE_REKEX))
		return p;
	peer_ecdh_init(p);
	peer_read_reply(p);
	if (phase == SSH_PHASE_RENEWKEYS)
		peer_read_newkeys(p);
	return p;
}

#define SSH_PHASE_ENCRYPTED (SSH_PHASE_SERVICE | SSH_PHASE_AUTH | SSH_PHASE_OPEN)

/* Where a client may send it, as the RFCs say; what has no row is no message of a client's. */
static unsigned phases_of(unsigned type)
{
	switch (type) {
	case SSH_MSG_SERVICE_REQUEST:
		return SSH_PHASE_SERVICE | SSH_PHASE_AUTH;
	case SSH_MSG_KEXINIT:
		return SSH_PHASE_KEXINIT | SSH_PHASE_ENCRYPTED;
	case SSH_MSG_NEWKEYS:
		return SSH_PHASE_NEWKEYS | SSH_PHASE_RENEWKEYS;
	case SSH_MSG_KEX_ECDH_INIT:
		return SSH_PHASE_KEX | SSH_PHASE_REKEX;
	case SSH_MSG_USERAUTH_REQUEST:
		return SSH_PHASE_AUTH | SSH_PHASE_OPEN;
	case SSH_MSG_GLOBAL_REQUEST ... SSH_MSG_REQUEST_FAILURE:
	case SSH_MSG_CHANNEL_OPEN ... SSH_MSG_CHANNEL_FAILURE:
		return SSH_PHASE_OPEN;
	default:
		return 0;
	}
}

static bool only_servers_send(unsigned type)
{
	return type == SSH_MSG_SERVICE_ACCEPT || type == SSH_MSG_KEX_ECDH_REPLY ||
	       (type >= SSH_MSG_USERAUTH_FAILURE && type <= SSH_MSG_USERAUTH_BANNER) ||
	       type == SSH_MSG_USERAUTH_PK_OK;
}

enum reaction { ENDS, IGNORED, REFUSED, UNKNOWN, HANDLED };

static enum reaction stated(unsigned type, enum ssh_phase phase)
{
	bool kex = !(phase & SSH_PHASE_ENCRYPTED);

	if (type == SSH_MSG_DISCONNECT)
		return ENDS;
	if (type >= SSH_MSG_IGNORE && type <= SSH_MSG_DEBUG)
		return phase & (SSH_PHASE_KEX | SSH_PHASE_NEWKEYS) ? REFUSED : IGNORED;
	if (phases_of(type) & phase)
		return HANDLED;
	if (kex || phases_of(type) || only_servers_send(type) ||
	    (type >= SSH_MSG_GLOBAL_REQUEST && phase != SSH_PHASE_OPEN))
		return REFUSED;
	return UNKNOWN;
}

/* I-SSH-4: each number in each phase, with a body that says nothing. What is not handled starts nothing, whatever it is; and
 * every byte comes back. */
TEST(every_message_in_every_phase)
{
	unsigned seen[HANDLED + 1] = { 0 };

	for (unsigned n = 0; n < 8 * 256; n++) {
		enum ssh_phase phase = SSH_PHASE_KEXINIT << n / 256;
		unsigned type = n % 256;
		enum reaction want = stated(type, phase);
		struct peer *p = at_phase(phase);
		uint8_t m[64] = { (uint8_t)type }, got;
		uint32_t seq = p->out_seq;
		struct rd r;

		CHECK_EQ(ssh_conn_phase(p->c), phase);
		p->events[0] = 0;
		seen[want]++;
		peer_send(p, m, 20);
		got = peer_recv(p);
		r = peer_reader(p);
		CHECK_MSG(want == HANDLED || !*p->events, "type %u in %#x: %s", type, phase,
			  p->events);
		CHECK_MSG(want != REFUSED || (got == SSH_MSG_DISCONNECT &&
					      rd_u32(&r) == SSH_DISCONNECT_PROTOCOL_ERROR),
			  "type %u in %#x is answered by %u", type, phase, got);
		CHECK_MSG(want != UNKNOWN || (got == SSH_MSG_UNIMPLEMENTED && rd_u32(&r) == seq),
			  "type %u in %#x is answered by %u", type, phase, got);
		CHECK_MSG(want != HANDLED || (got != SSH_MSG_UNIMPLEMENTED &&
					      !strstr(p->log, "message not allowed now")),
			  "type %u in %#x does not reach its handler", type, phase);
		CHECK_MSG((want != ENDS && want != IGNORED) || got == 0,
			  "type %u in %#x is answered by %u", type, phase, got);
		CHECK_MSG(want == HANDLED ||
				  ssh_conn_is_over(p->c) == (want == ENDS || want == REFUSED),
			  "type %u in %#x", type, phase);
		peer_destroy(p);
	}
	/* the other side of each row of the table */
	CHECK_EQ(seen[ENDS], 8);
	CHECK_EQ(seen[IGNORED], 3 * 6);
	CHECK_EQ(seen[HANDLED], 2 + 4 + 2 + 2 + 2 + 3 + 11);
}

TEST(service_connection_before_login)
{
	struct peer *p = at_kex();
	uint8_t m[64];
	struct wr w = wr_over(m, sizeof(m));

	peer_kex(p);
	wr_u8(&w, SSH_MSG_SERVICE_REQUEST);
	wr_cstring(&w, "ssh-connection");
	peer_send_wr(p, &w);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_SERVICE_NOT_AVAILABLE);
	peer_destroy(p);
}

TEST(login_by_query_and_signature)
{
	struct peer *p = at_auth();
	struct rd r;

	peer_auth(p, "root", AUTH_QUERY);
	peer_expect(p, SSH_MSG_USERAUTH_PK_OK);
	r = peer_reader(p);
	CHECK(bytes_is(rd_string(&r), "ssh-ed25519"));
	CHECK_EQ(rd_string(&r).n, SSH_HOSTKEY_ED25519_BYTES);
	CHECK_EQ(rd_finish(&r), 0);
	CHECK(!ssh_conn_is_authenticated(p->c));
	peer_auth(p, "root", 0);
	peer_expect(p, SSH_MSG_USERAUTH_SUCCESS);
	CHECK(ssh_conn_is_authenticated(p->c));
	/* later requests are ignored */
	peer_auth(p, "root", 0);
	CHECK_EQ(peer_recv(p), 0);
	peer_destroy(p);
}

static void none_request(struct peer *p, const char *service, const char *method)
{
	uint8_t m[128];
	struct wr w = wr_over(m, sizeof(m));

	wr_u8(&w, SSH_MSG_USERAUTH_REQUEST);
	wr_cstring(&w, "root");
	wr_cstring(&w, service);
	wr_cstring(&w, method);
	if (strcmp(method, "password") == 0) {
		wr_bool(&w, false);
		wr_cstring(&w, "secret");
	}
	peer_send_wr(p, &w);
}

TEST(method_none_lists_methods)
{
	struct peer *p = at_auth();
	struct rd r;

	none_request(p, "ssh-connection", "none");
	peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
	r = peer_reader(p);
	CHECK(bytes_is(rd_string(&r), "publickey"));
	CHECK(!rd_bool(&r));
	peer_destroy(p);
}

TEST(service_evil)
{
	struct peer *p = at_auth();

	none_request(p, "evil", "none");
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_SERVICE_NOT_AVAILABLE);
	peer_destroy(p);
}

TEST(bad_signatures)
{
	static const int flags[] = { AUTH_BAD_SESSION, AUTH_BAD_SIG, AUTH_OTHER_ALG };

	for (size_t i = 0; i < 3; i++) {
		struct peer *p = at_auth();

		peer_auth(p, "root", flags[i]);
		CHECK_EQ(peer_recv(p), 0);
		peer_run(p, 300 * MS);
		peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
		CHECK(!ssh_conn_is_authenticated(p->c));
		/* I-SSH-23: the host is told, whatever the form */
		CHECK_STR(p->events, "key ");
		peer_destroy(p);
	}
}

/* I-SSH-26: what a key is good for is asked when it has signed, once for each signature, and what is said then decides. */
TEST(admission_follows_the_signature)
{
	struct peer *p = at_auth();

	p->refuse_login = true;
	peer_auth(p, "root", AUTH_QUERY);
	peer_expect(p, SSH_MSG_USERAUTH_PK_OK);
	peer_auth(p, "root", AUTH_BAD_SIG);
	peer_run(p, 300 * MS);
	peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
	CHECK_STR(p->events, "key key ");
	peer_auth(p, "root", 0);
	CHECK_EQ(peer_recv(p), 0);
	peer_run(p, 299 * MS);
	CHECK_EQ(peer_recv(p), 0);
	peer_run(p, 1 * MS);
	peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
	CHECK(!ssh_conn_is_authenticated(p->c));
	CHECK_STR(p->events, "key key key admit ");
	p->refuse_login = false;
	peer_auth(p, "root", AUTH_BAD_SESSION);
	peer_run(p, 300 * MS);
	peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
	CHECK_STR(p->events, "key key key admit key ");
	peer_auth(p, "root", 0);
	peer_expect(p, SSH_MSG_USERAUTH_SUCCESS);
	CHECK_STR(p->events, "key key key admit key key admit login ");
	peer_destroy(p);
}

TEST(six_tries)
{
	struct peer *p = at_auth();

	for (int i = 0; i < 6; i++) {
		none_request(p, "ssh-connection", "password");
		peer_run(p, 299 * MS);
		CHECK_EQ(peer_recv(p), 0);
		peer_run(p, 1 * MS);
		if (i < 5)
			peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
	}
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_NO_MORE_AUTH_METHODS);
	peer_destroy(p);
}

static void expect_queries(unsigned tries, int most)
{
	struct peer *p = at_auth();

	p->allow_key = false;
	p->cfg.max_tries = tries;
	for (int i = 0; i < most; i++) {
		peer_auth(p, "root", AUTH_QUERY);
		peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
	}
	peer_auth(p, "root", AUTH_QUERY);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_NO_MORE_AUTH_METHODS);
	peer_destroy(p);
}

TEST(queries_are_bounded)
{
	expect_queries(6, 15);
	expect_queries(2, 6);
	expect_queries(1, 3);
}

TEST(unknown_user_looks_the_same)
{
	struct peer *p = at_auth();

	peer_auth(p, "nobody", AUTH_QUERY);
	peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
	peer_auth(p, "nobody", 0);
	CHECK_EQ(peer_recv(p), 0);
	peer_run(p, 300 * MS);
	peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
	CHECK_STR(p->events, "key key ");
	peer_destroy(p);
}

static uint32_t code_for_user(const void *user, uint32_t length, size_t n)
{
	static uint8_t m[34000];
	struct wr w = wr_over(m, sizeof(m));
	struct peer *p = at_auth();
	uint32_t code = 0;

	wr_u8(&w, SSH_MSG_USERAUTH_REQUEST);
	wr_u32(&w, length);
	wr_put(&w, user, n);
	wr_cstring(&w, "ssh-connection");
	wr_cstring(&w, "none");
	peer_send_wr(p, &w);
	if (ssh_conn_is_over(p->c))
		code = peer_disconnected(p);
	else
		peer_expect(p, SSH_MSG_USERAUTH_FAILURE);
	peer_destroy(p);
	return code;
}

TEST(odd_users)
{
	static char long_name[32768];

	memset(long_name, 'u', sizeof(long_name));
	CHECK_EQ(code_for_user("root", 0xffffffff, 4), SSH_DISCONNECT_PROTOCOL_ERROR);
	CHECK_EQ(code_for_user("ro\0t", 4, 4), 0);
	CHECK_EQ(code_for_user("", 0, 0), 0);
	CHECK_EQ(code_for_user(long_name, sizeof(long_name), sizeof(long_name)), 0);
}

TEST(login_grace)
{
	struct peer *p = at_auth();

	CHECK_EQ(ssh_conn_deadline(p->c) <= 1030 * NS_PER_S, 1);
	peer_run(p, 30 * NS_PER_S);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_BY_APPLICATION);
	peer_destroy(p);
	p = peer_create();
	peer_run(p, 30 * NS_PER_S);
	CHECK(ssh_conn_is_over(p->c));
	peer_destroy(p);
	p = logged_in();
	peer_run(p, 31 * NS_PER_S);
	CHECK(!ssh_conn_is_over(p->c));
	peer_destroy(p);
}

/* I-SSH-18: what would be due is not, nor does anybody wake for it. */
TEST(nothing_of_a_session_is_due_before_login)
{
	struct peer *p = at_auth();

	p->cfg.keepalive_ns = p->cfg.rekey_ns = NS_PER_S;
	p->cfg.rekey_bytes = 1;
	peer_run(p, 5 * NS_PER_S);
	CHECK_EQ(peer_recv(p), 0);
	CHECK_EQ(ssh_conn_deadline(p->c), 1030 * NS_PER_S);
	peer_destroy(p);
}

TEST(too_much_before_login)
{
	static uint8_t m[32000] = { SSH_MSG_IGNORE };
	struct peer *p = at_auth();

	for (int i = 0; i < 20 && !ssh_conn_is_over(p->c); i++)
		peer_send(p, m, sizeof(m));
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

TEST(rekeys_before_login_are_few)
{
	struct peer *p = at_auth();

	for (int i = 0; i < 3; i++)
		peer_kex(p);
	peer_kexinit(p);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

/* --- channels ------------------------------------------------------------------------------------------------- */

/* I-SSH-8 */
TEST(exec_and_exit_status)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 42, 1000, 100);
	struct rd r;

	peer_exec(p, chan, "echo");
	CHECK_EQ(host_output(p, p->chan, false, "hello\n", 6), 6);
	CHECK_EQ(host_output(p, p->chan, true, "oops", 4), 4);
	ssh_chan_eof(p->chan);
	ssh_chan_exit_status(p->chan, 3);
	ssh_chan_close(p->chan);
	peer_run(p, 0);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_DATA);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), 42);
	CHECK(bytes_is(rd_string(&r), "hello\n"));
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_EXTENDED_DATA);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), 42);
	CHECK_EQ(rd_u32(&r), SSH_EXTENDED_DATA_STDERR);
	CHECK(bytes_is(rd_string(&r), "oops"));
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_EOF);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_REQUEST);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), 42);
	CHECK(bytes_is(rd_string(&r), "exit-status"));
	CHECK(!rd_bool(&r));
	CHECK_EQ(rd_u32(&r), 3);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_CLOSE);
	CHECK_EQ(peer_recv(p), 0);
	CHECK_EQ(p->chans, 1);
	peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
	CHECK_EQ(p->chans, 0);
	CHECK_EQ(peer_recv(p), 0);
	CHECK_STR(p->events, "key admit login open start1:echo closed ");
	peer_destroy(p);
}

TEST(exit_signal)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 100);
	struct rd r;

	peer_exec(p, chan, "x");
	ssh_chan_exit_signal(p->chan, "KILL", true);
	peer_run(p, 0);
	peer_expect(p, SSH_MSG_CHANNEL_REQUEST);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), 1);
	CHECK(bytes_is(rd_string(&r), "exit-signal"));
	CHECK(!rd_bool(&r));
	CHECK(bytes_is(rd_string(&r), "KILL"));
	CHECK(rd_bool(&r));
	CHECK(bytes_is(rd_string(&r), ""));
	CHECK(bytes_is(rd_string(&r), ""));
	CHECK_EQ(rd_finish(&r), 0);
	peer_destroy(p);
}

/* RFC 4254 s6.10: what it does not name goes by a name of our own. */
TEST(exit_signal_of_our_own)
{
	struct peer *p = logged_in();
	struct rd r;

	peer_exec(p, peer_open(p, 1, 1000, 100), "x");
	ssh_chan_exit_signal(p->chan, "BUS", false);
	peer_run(p, 0);
	peer_expect(p, SSH_MSG_CHANNEL_REQUEST);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), 1);
	CHECK(bytes_is(rd_string(&r), "exit-signal"));
	CHECK(!rd_bool(&r));
	CHECK(bytes_is(rd_string(&r), "BUS@tern"));
	peer_destroy(p);
}

TEST(output_obeys_window_and_packet_size)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 10, 4);
	size_t sizes[3] = { 4, 4, 2 };
	uint8_t data[100] = { 0 };
	struct rd r;

	peer_exec(p, chan, "yes");
	CHECK_EQ(host_output(p, p->chan, false, data, 100), 10);
	CHECK_EQ(ssh_chan_room(p->chan), 0);
	peer_run(p, 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_DATA);
		r = peer_reader(p);
		rd_u32(&r);
		CHECK_EQ(rd_string(&r).n, sizes[i]);
	}
	CHECK_EQ(peer_recv(p), 0);
	peer_numbers(p, SSH_MSG_CHANNEL_WINDOW_ADJUST, 2, chan, 5);
	CHECK_EQ(host_output(p, p->chan, true, data, 100), 5);
	peer_destroy(p);
}

TEST(max_packet_one_and_zero)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1);
	uint8_t m[64];
	struct wr w = wr_over(m, sizeof(m));

	peer_exec(p, chan, "echo");
	CHECK_EQ(host_output(p, p->chan, false, "hello\n", 6), 6);
	peer_run(p, 0);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_DATA);
	CHECK_EQ(peer_recv(p), 0);
	wr_u8(&w, SSH_MSG_CHANNEL_OPEN);
	wr_cstring(&w, "session");
	wr_u32(&w, 2);
	wr_u32(&w, 1000);
	wr_u32(&w, 0);
	peer_send_wr(p, &w);
	peer_expect(p, SSH_MSG_CHANNEL_OPEN_FAILURE);
	peer_destroy(p);
}

TEST(window_overflow)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_numbers(p, SSH_MSG_CHANNEL_WINDOW_ADJUST, 2, chan, 0xffffffff - 1000);
	CHECK(!ssh_conn_is_over(p->c));
	peer_numbers(p, SSH_MSG_CHANNEL_WINDOW_ADJUST, 2, chan, 1);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

/* A program that reads nothing: the peer gets its window and no more; when it reads, the window opens again. */
TEST(input_waits_and_window_closes)
{
	static uint8_t data[32768];
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);
	size_t sent = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	p->stdin_room = 0;
	peer_exec(p, chan, "sleep");
	while (sent < p->cfg.window) {
		peer_data(p, chan, data, sizeof(data));
		sent += sizeof(data);
	}
	CHECK(!ssh_conn_is_over(p->c));
	CHECK_EQ(peer_recv(p), 0);
	CHECK_EQ(ssh_chan_input_waiting(p->chan), sent);
	p->stdin_room = 5000;
	ssh_chan_input_ready(p->chan);
	CHECK_EQ(p->input_len, 5000);
	peer_run(p, 0);
	CHECK_EQ(peer_recv(p), 0);
	p->stdin_room = SIZE_MAX;
	ssh_chan_input_ready(p->chan);
	CHECK_EQ(p->input_len, sent);
	for (size_t i = 0; i < sent; i++)
		CHECK(p->input[i] == data[i % sizeof(data)]);
	peer_run(p, 0);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_WINDOW_ADJUST);
	peer_destroy(p);
}

/* A program that takes part of what it is given is asked again, until it takes nothing: the host waits for room only
 * then. */
TEST(input_taken_in_part_is_offered_again)
{
	uint8_t data[1000] = { 0 };
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_exec(p, chan, "cat");
	p->stdin_room = 100;
	p->refused = 0;
	peer_data(p, chan, data, sizeof(data));
	CHECK_EQ(p->input_len, 100);
	CHECK_EQ(p->refused, 1);
	p->stdin_room = 500;
	ssh_chan_input_ready(p->chan);
	CHECK_EQ(p->input_len, 600);
	CHECK_EQ(p->refused, 2);
	peer_destroy(p);
}

TEST(data_beyond_window)
{
	static uint8_t data[32768];
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	p->stdin_room = 0;
	peer_exec(p, chan, "sleep");
	for (size_t sent = 0; sent < p->cfg.window; sent += sizeof(data))
		peer_data(p, chan, data, sizeof(data));
	peer_data(p, chan, data, 1);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

TEST(single_bytes_cost_no_more_than_the_window)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);
	struct ssh_conn_info info;

	p->stdin_room = 0;
	peer_exec(p, chan, "sleep");
	for (int i = 0; i < 20000; i++)
		peer_data(p, chan, "x", 1);
	ssh_conn_info(p->c, &info);
	CHECK(info.memory < 20000 + 32768);
	peer_destroy(p);
}

TEST(input_before_start_is_kept)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_data(p, chan, "early ", 6);
	peer_numbers(p, SSH_MSG_CHANNEL_EOF, 1, chan, 0);
	CHECK_EQ(p->input_len, 0);
	peer_exec(p, chan, "cat");
	CHECK_EQ(p->input_len, 6);
	CHECK_STR(p->events, "key admit login open start1:cat eof ");
	peer_destroy(p);
}

TEST(input_to_a_program_that_reads_no_more)
{
	static uint8_t data[32768];
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);
	size_t granted = p->cfg.window;
	uint8_t type;

	peer_exec(p, chan, "true");
	p->input_gone = true;
	for (int i = 0; i < 100; i++) {
		peer_data(p, chan, data, sizeof(data));
		granted -= sizeof(data);
		while ((type = peer_recv(p))) {
			struct rd r = peer_reader(p);

			CHECK_EQ(type, SSH_MSG_CHANNEL_WINDOW_ADJUST);
			rd_u32(&r);
			granted += rd_u32(&r);
		}
		CHECK(granted >= sizeof(data));
	}
	peer_destroy(p);
}

/* A want of memory is no end of the reader: rather no connection than one that loses bytes in silence. */
TEST(input_without_memory)
{
	uint8_t data[100] = { 0 };
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_exec(p, chan, "cat");
	p->input_error = -ENOMEM;
	peer_data(p, chan, data, sizeof(data));
	CHECK(ssh_conn_is_over(p->c));
	CHECK(strstr(p->log, "out of memory") != NULL);
	peer_destroy(p);
	/* the same when what waits is offered again */
	p = logged_in();
	chan = peer_open(p, 1, 1000, 1000);
	p->stdin_room = 0;
	peer_exec(p, chan, "cat");
	peer_data(p, chan, data, sizeof(data));
	CHECK(!ssh_conn_is_over(p->c));
	p->input_error = -ENOMEM;
	ssh_chan_input_ready(p->chan);
	CHECK(ssh_conn_is_over(p->c));
	peer_destroy(p);
}

/* What is typed ahead may be a password. */
TEST(input_that_waited_is_wiped)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	p->stdin_room = 0;
	peer_exec(p, chan, "cat");
	p->secret = "open sesame";
	peer_data(p, chan, (const uint8_t *)p->secret, 11);
	CHECK_EQ(ssh_chan_input_waiting(p->chan), 11);
	p->stdin_room = SIZE_MAX;
	ssh_chan_input_ready(p->chan);
	CHECK_EQ(ssh_chan_input_waiting(p->chan), 0);
	CHECK_EQ(p->leaked, 0);
	peer_destroy(p);
}

/* Of a buffer that grows all that it held goes, what was read already and what was not. */
TEST(buffer_that_grows_is_wiped)
{
	struct peer *p = at_kex();
	struct ssh_buf b = { 0 };

	p->secret = "open sesame";
	CHECK_EQ(ssh_buf_reserve(p->c, &b, 4096), 0);
	memset(b.p, 'x', 4096);
	memcpy(b.p, p->secret, 11);
	memcpy(b.p + 4096 - 11, p->secret, 11);
	b.tail = 4096;
	ssh_buf_consume(&b, 2048);
	CHECK_EQ(ssh_buf_reserve(p->c, &b, 8192), 0);
	/* all is read, and a little has come since */
	memcpy(b.p + 4096, p->secret, 11);
	b.tail = 8192;
	ssh_buf_consume(&b, ssh_buf_used(&b));
	b.tail = 10;
	CHECK_EQ(ssh_buf_reserve(p->c, &b, 20000), 0);
	ssh_buf_release(p->c, &b);
	CHECK_EQ(p->leaked, 0);
	peer_destroy(p);
}

TEST(data_after_eof)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_exec(p, chan, "cat");
	peer_numbers(p, SSH_MSG_CHANNEL_EOF, 1, chan, 0);
	peer_data(p, chan, "x", 1);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

/* Output still flows after the client's EOF. */
TEST(half_close)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_exec(p, chan, "sort");
	peer_numbers(p, SSH_MSG_CHANNEL_EOF, 1, chan, 0);
	CHECK_EQ(host_output(p, p->chan, false, "a", 1), 1);
	peer_run(p, 0);
	peer_expect(p, SSH_MSG_CHANNEL_DATA);
	peer_destroy(p);
}

TEST(client_closes_first)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_exec(p, chan, "sleep");
	peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
	peer_expect(p, SSH_MSG_CHANNEL_CLOSE);
	CHECK_EQ(p->chans, 0);
	peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

/* I-SSH-8. What the client sent before its CLOSE is the program's, which then says how it ended. */
TEST(session_drains_before_it_closes)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	p->outlives = true;
	peer_exec(p, chan, "cat");
	p->stdin_room = 3;
	peer_data(p, chan, "all of it", 9);
	peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
	CHECK(p->chan);
	CHECK(!strstr(p->events, "eof"));
	p->stdin_room = 6;
	ssh_chan_input_ready(p->chan);
	CHECK_EQ(p->input_len, 9);
	CHECK(strstr(p->events, "eof"));
	CHECK(p->chan);
	CHECK_EQ(peer_recv(p), 0);
	ssh_chan_eof(p->chan);
	ssh_chan_exit_status(p->chan, 0);
	ssh_chan_close(p->chan);
	CHECK(!p->chan);
	peer_run(p, 0);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_EOF);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_REQUEST);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_CLOSE);
	CHECK_EQ(peer_recv(p), 0);
	peer_destroy(p);
}

/* A minute, for nobody hears of it any more; but whoever closed because our EOF had come may wait for how it ends. */
TEST(session_outlives_close_a_minute)
{
	for (int told = 0; told < 2; told++) {
		struct peer *p = logged_in();
		uint32_t chan = peer_open(p, 1, 1000, 1000);

		p->outlives = true;
		peer_exec(p, chan, "sleep");
		if (told)
			ssh_chan_eof(p->chan);
		peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
		CHECK(strstr(p->events, "eof"));
		peer_run(p, 60 * NS_PER_S - 1);
		CHECK(p->chan);
		peer_run(p, 1);
		CHECK_EQ(p->chan != NULL, told);
		CHECK_EQ(p->refusals, !told);
		if (told)
			ssh_chan_close(p->chan);
		peer_run(p, 0);
		peer_expect(p, SSH_MSG_CHANNEL_CLOSE);
		CHECK(strstr(p->events, "closed"));
		peer_destroy(p);
	}
}

/* I-SSH-7. A late message for a closed channel must not reach the one that has its slot now. */
TEST(numbers_are_not_mixed_up)
{
	struct peer *p = logged_in();
	uint32_t old = peer_open(p, 1, 1000, 1000), new;

	peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, old, 0);
	new = peer_open(p, 1, 1000, 1000);
	CHECK(new != old);
	peer_exec(p, new, "cat");
	peer_data(p, old, "stray", 5);
	CHECK_EQ(p->input_len, 0);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

TEST(adjust_between_the_closes)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_exec(p, chan, "x");
	ssh_chan_exit_status(p->chan, 0);
	ssh_chan_close(p->chan);
	peer_numbers(p, SSH_MSG_CHANNEL_WINDOW_ADJUST, 2, chan, 5);
	peer_data(p, chan, "late", 4);
	peer_numbers(p, SSH_MSG_CHANNEL_EOF, 1, chan, 0);
	peer_request(p, chan, "shell", true, NULL, 0);
	CHECK(!ssh_conn_is_over(p->c));
	peer_expect(p, SSH_MSG_CHANNEL_CLOSE);
	CHECK_EQ(peer_recv(p), 0);
	peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
	peer_numbers(p, SSH_MSG_CHANNEL_WINDOW_ADJUST, 2, chan, 5);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

TEST(channels_are_bounded)
{
	struct peer *p = logged_in();
	uint8_t m[64];
	struct wr w = wr_over(m, sizeof(m));
	struct rd r;

	for (unsigned i = 0; i < p->cfg.max_channels; i++)
		peer_open(p, i, 1000, 1000);
	wr_u8(&w, SSH_MSG_CHANNEL_OPEN);
	wr_cstring(&w, "session");
	wr_u32(&w, 1000);
	wr_u32(&w, 1000);
	wr_u32(&w, 1000);
	for (int i = 0; i < 3; i++) {
		peer_send_wr(p, &w);
		peer_expect(p, SSH_MSG_CHANNEL_OPEN_FAILURE);
		r = peer_reader(p);
		CHECK_EQ(rd_u32(&r), 1000);
		CHECK_EQ(rd_u32(&r), SSH_OPEN_RESOURCE_SHORTAGE);
	}
	CHECK_EQ(p->chans, p->cfg.max_channels);
	peer_destroy(p);
}

TEST(unknown_channel_type)
{
	struct peer *p = logged_in();
	uint8_t m[64];
	struct wr w = wr_over(m, sizeof(m));
	struct rd r;

	wr_u8(&w, SSH_MSG_CHANNEL_OPEN);
	wr_cstring(&w, "x11");
	wr_u32(&w, 5);
	wr_u32(&w, 1000);
	wr_u32(&w, 1000);
	wr_cstring(&w, "host");
	peer_send_wr(p, &w);
	peer_expect(p, SSH_MSG_CHANNEL_OPEN_FAILURE);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), 5);
	CHECK_EQ(rd_u32(&r), SSH_OPEN_UNKNOWN_CHANNEL_TYPE);
	peer_destroy(p);
}

TEST(unknown_messages_and_requests)
{
	struct peer *p = logged_in();
	uint8_t m[64] = { 220 };
	struct wr w = wr_over(m, sizeof(m));
	uint32_t seq = p->out_seq;
	struct rd r;

	peer_send(p, m, 5);
	peer_expect(p, SSH_MSG_UNIMPLEMENTED);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), seq);
	wr_u8(&w, SSH_MSG_GLOBAL_REQUEST);
	wr_cstring(&w, "keepalive@openssh.com");
	wr_bool(&w, true);
	peer_send_wr(p, &w);
	peer_expect(p, SSH_MSG_REQUEST_FAILURE);
	w = wr_over(m, sizeof(m));
	wr_u8(&w, SSH_MSG_GLOBAL_REQUEST);
	wr_cstring(&w, "no-more-sessions@openssh.com");
	wr_bool(&w, false);
	peer_send_wr(p, &w);
	CHECK_EQ(peer_recv(p), 0);
	peer_destroy(p);
}

TEST(replies_keep_order)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_request(p, chan, "unknown", true, NULL, 0);
	peer_request(p, chan, "exec", true, "\0\0\0\1x", 5);
	peer_request(p, chan, "exec", true, "\0\0\0\1x", 5);
	peer_request(p, chan, "xon-xoff", false, NULL, 0);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_FAILURE);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_SUCCESS);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_FAILURE);
	CHECK_EQ(peer_recv(p), 0);
	peer_destroy(p);
}

static void put_pty(struct wr *w, uint32_t cols, const void *modes, size_t n)
{
	wr_cstring(w, "xterm");
	wr_u32(w, cols);
	wr_u32(w, 24);
	wr_u32(w, 0);
	wr_u32(w, 0);
	wr_string(w, modes, n);
}

static uint8_t pty_answer(uint32_t cols, const void *modes, size_t n)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);
	uint8_t m[128], type;
	struct wr w = wr_over(m, sizeof(m));

	put_pty(&w, cols, modes, n);
	peer_request(p, chan, "pty-req", true, m, w.len);
	type = peer_recv(p);
	peer_destroy(p);
	return type;
}

TEST(pty_requests)
{
	static const uint8_t good[] = { 53, 0, 0, 0, 1, 128, 0, 0, 0x96, 0, 0 },
			     cut[] = { 53, 0, 0 };

	CHECK_EQ(pty_answer(80, good, sizeof(good)), SSH_MSG_CHANNEL_SUCCESS);
	CHECK_EQ(pty_answer(80, "", 0), SSH_MSG_CHANNEL_SUCCESS);
	CHECK_EQ(pty_answer(80, cut, sizeof(cut)), SSH_MSG_CHANNEL_FAILURE);
	CHECK_EQ(pty_answer(0xffffffff, good, sizeof(good)), SSH_MSG_CHANNEL_FAILURE);
}

TEST(other_requests)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);
	static const uint8_t size[] = { 0, 0, 0, 132, 0, 0, 0, 43, 0, 0, 0, 0, 0, 0, 0, 0 };
	uint8_t m[128];
	struct wr w = wr_over(m, sizeof(m));

	put_pty(&w, 80, "", 0);
	peer_request(p, chan, "window-change", true, size, sizeof(size));
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_FAILURE);
	peer_request(p, chan, "pty-req", true, m, w.len);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_SUCCESS);
	peer_request(p, chan, "env", true, "\0\0\0\4LANG\0\0\0\1C", 13);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_SUCCESS);
	peer_request(p, chan, "env", true, "\0\0\0\12LD_PRELOAD\0\0\0\1C", 19);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_FAILURE);
	peer_request(p, chan, "signal", true, "\0\0\0\4TERM", 8);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_FAILURE);
	peer_request(p, chan, "shell", true, NULL, 0);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_SUCCESS);
	peer_request(p, chan, "window-change", false, size, sizeof(size));
	peer_request(p, chan, "signal", false, "\0\0\0\4TERM", 8);
	peer_request(p, chan, "signal", true, "\0\0\0\4STOP", 8);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_FAILURE);
	peer_request(p, chan, "break", true, "\0\0\1\0", 4);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_SUCCESS);
	CHECK_STR(p->events, "key admit login open pty env start0: size132x43 TERM break ");
	peer_destroy(p);
}

TEST(forced_command_and_no_pty)
{
	struct peer *p = peer_create();
	uint32_t chan;
	uint8_t m[128];
	struct wr w = wr_over(m, sizeof(m));

	p->grant = (struct ssh_grant){ .no_pty = true, .command = BYTES_LIT("echo \\\"x\\\"") };
	peer_login(p);
	chan = peer_open(p, 1, 1000, 1000);
	put_pty(&w, 80, "", 0);
	peer_request(p, chan, "pty-req", true, m, w.len);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_FAILURE);
	peer_exec(p, chan, "sh");
	CHECK(strstr(p->events, "start1:echo \"x\""));
	/* in the place of a shell too */
	chan = peer_open(p, 2, 1000, 1000);
	peer_request(p, chan, "shell", true, NULL, 0);
	peer_expect(p, SSH_MSG_CHANNEL_SUCCESS);
	CHECK(!strstr(p->events, "start0"));
	peer_destroy(p);
}

/* --- rekeying ----------------------------------------------------------------------------------------------------- */

/* I-SSH-6 */
TEST(rekey_by_bytes)
{
	static uint8_t data[30000];
	struct peer *p = peer_create();
	uint32_t chan;

	p->cfg.rekey_bytes = 100000;
	peer_login(p);
	chan = peer_open(p, 1, 1 << 24, 32768);
	peer_exec(p, chan, "x");
	for (int round = 0; round < 5; round++) {
		struct ssh_conn_info info;

		while (ssh_chan_room(p->chan) > 0) {
			CHECK(host_output(p, p->chan, false, data, sizeof(data)) > 0);
			peer_run(p, 0);
		}
		/* what was sent, then its KEXINIT and nothing behind it; ours is in flight */
		peer_data(p, chan, "in flight", 9);
		peer_request(p, chan, "unknown", true, NULL, 0);
		peer_read_kexinit(p);
		CHECK_EQ(peer_recv(p), 0);
		CHECK_EQ(p->input_len, (size_t)(round + 1) * 9);
		ssh_chan_exit_status(p->chan, 0);
		peer_run(p, 0);
		CHECK_EQ(peer_recv(p), 0);
		peer_kexinit(p);
		peer_ecdh_init(p);
		peer_read_reply(p);
		peer_newkeys(p);
		peer_read_newkeys(p);
		CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_FAILURE);
		CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_REQUEST);
		ssh_conn_info(p->c, &info);
		CHECK_EQ(info.rekeys, round + 1);
	}
	/* the same when the client begins, and nothing is due */
	CHECK(ssh_chan_room(p->chan) > 0);
	peer_kexinit(p);
	CHECK_EQ(ssh_chan_room(p->chan), 0);
	peer_destroy(p);
}

/* I-SSH-21. Bytes that have gone since the last NEWKEYS, by what the wire would carry. */
static uint64_t sent_since(struct peer *p, uint64_t *before)
{
	struct ssh_conn_info info;
	uint64_t n;

	ssh_conn_info(p->c, &info);
	n = info.bytes_out - *before;
	*before = info.bytes_out;
	return n;
}

/* Two programs give all there is room for, turn by turn, until a key exchange is due. */
static size_t give_until_due(struct peer *p, struct ssh_chan *chans[2])
{
	static uint8_t data[32768];
	size_t sent = 0;

	for (;;) {
		while (ssh_chan_room(chans[0]) > 0 || ssh_chan_room(chans[1]) > 0)
			sent += host_output(p, chans[0], false, data, sizeof(data)) +
				host_output(p, chans[1], false, data, sizeof(data));
		if (ssh_conn_deadline(p->c) == p->now)
			return sent;
		peer_run(p, 0);
	}
}

/* Our KEXINIT is the message just received. */
static void rekey_of_ours(struct peer *p)
{
	memcpy(p->kexinit_s, p->payload, p->payload_len);
	p->kexinit_s_len = p->payload_len;
	CHECK_EQ(peer_recv(p), 0);
	peer_kexinit(p);
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_newkeys(p);
	peer_read_newkeys(p);
}

static struct peer *two_channels(struct ssh_chan *chans[2])
{
	struct peer *p = peer_create();

	peer_login(p);
	for (uint32_t i = 0; i < 2; i++) {
		peer_exec(p, peer_open(p, i, UINT32_MAX, 32768), "x");
		chans[i] = p->chan;
	}
	return p;
}

/* I-SSH-21: no keys carry more than the limit and the packet that reaches it, so the count of exchanges is exact. */
static void own_rekeys(uint64_t limit, unsigned packets)
{
	enum { TOTAL = 3000000, PACKET = 32768 };
	struct ssh_chan *chans[2];
	struct peer *p = two_channels(chans);
	uint64_t before = 0, under;
	struct ssh_conn_info info;
	unsigned rounds = 0;
	size_t sent = 0;

	p->cfg.rekey_bytes = limit;
	/* until packets are of the largest size */
	for (int i = 0; i < 3; i++) {
		(void)give_until_due(p, chans);
		peer_run(p, 0);
		peer_expect(p, SSH_MSG_KEXINIT);
		rekey_of_ours(p);
	}
	(void)sent_since(p, &before);
	for (; sent < TOTAL; rounds++) {
		sent += give_until_due(p, chans);
		under = sent_since(p, &before);
		CHECK(under >= limit && under < limit + PACKET + 64);
		peer_run(p, 0);
		peer_expect(p, SSH_MSG_KEXINIT);
		rekey_of_ours(p);
		(void)sent_since(p, &before);
	}
	CHECK_EQ(rounds, DIV_ROUND_UP(TOTAL, packets * PACKET));
	ssh_conn_info(p->c, &info);
	CHECK_EQ(info.rekeys, rounds + 3);
	peer_destroy(p);
}

TEST(own_rekeys_are_on_time)
{
	own_rekeys(16384, 1);
	own_rekeys(65536, 2);
	own_rekeys(100000, 4);
}

/* The client's NEWKEYS comes late: meanwhile what goes under ours has the same limit, and the next exchange begins behind it. */
TEST(rekey_with_late_newkeys)
{
	struct ssh_chan *chans[2];
	struct peer *p = two_channels(chans);
	static uint8_t data[32768];
	uint64_t before = 0;

	p->cfg.rekey_bytes = 16384;
	(void)give_until_due(p, chans);
	peer_run(p, 0);
	peer_read_kexinit(p);
	peer_kexinit(p);
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_read_newkeys(p);
	(void)sent_since(p, &before);
	for (int i = 0; i < 10; i++) {
		(void)host_output(p, chans[i & 1], false, data, sizeof(data));
		peer_run(p, 0);
	}
	CHECK(sent_since(p, &before) < 16384 + sizeof(data) + 64);
	CHECK(ssh_conn_deadline(p->c) > p->now);
	peer_newkeys(p);
	peer_expect(p, SSH_MSG_KEXINIT);
	rekey_of_ours(p);
	peer_destroy(p);
}

/* And by packets, each way; those of the exchange itself count for the keys that they go under. */
TEST(rekey_by_packets)
{
	struct ssh_chan *chans[2];
	struct peer *p = two_channels(chans);
	uint8_t ignore[] = { SSH_MSG_IGNORE, 0, 0, 0, 0 };

	p->cfg.rekey_packets = 10;
	/* to where the counts are known */
	while (peer_recv(p) == 0)
		peer_send(p, ignore, sizeof(ignore));
	CHECK_EQ(p->payload[0], SSH_MSG_KEXINIT);
	rekey_of_ours(p);
	for (int round = 0; round < 5; round++) {
		int n = 0;

		for (; ssh_chan_room(chans[0]) > 0; n++)
			CHECK_EQ(host_output(p, chans[n & 1], false, "x", 1), 1);
		CHECK_EQ(n, 10);
		peer_run(p, 0);
		for (int i = 0; i < n; i++)
			CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_DATA);
		CHECK_EQ(peer_recv(p), SSH_MSG_KEXINIT);
		rekey_of_ours(p);
		for (n = 0; n < 10; n++) {
			CHECK_EQ(peer_recv(p), 0);
			peer_send(p, ignore, sizeof(ignore));
		}
		CHECK_EQ(peer_recv(p), SSH_MSG_KEXINIT);
		rekey_of_ours(p);
	}
	peer_destroy(p);
}

TEST(rekey_by_time)
{
	struct peer *p = peer_create();

	p->cfg.keepalive_ns = 0;
	peer_login(p);
	peer_run(p, 2 * NS_PER_S);
	CHECK_EQ(ssh_conn_deadline(p->c), 1000 * NS_PER_S + 3600 * NS_PER_S);
	peer_run(p, 3600 * NS_PER_S);
	peer_read_kexinit(p);
	/* and a client that does not answer */
	peer_run(p, 30 * NS_PER_S);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_KEY_EXCHANGE_FAILED);
	peer_destroy(p);
}

/* Whatever LoginGraceTime is: once the server has answered, the first exchange ends as soon as a later one does. */
TEST(newkeys_that_never_come)
{
	struct peer *p = at_kex();

	p->cfg.grace_ns = SSH_FOREVER_NS;
	peer_kexinit(p);
	peer_read_kexinit(p);
	peer_run(p, 40 * NS_PER_S);
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_run(p, 29 * NS_PER_S);
	CHECK(!ssh_conn_is_over(p->c));
	peer_run(p, 2 * NS_PER_S);
	CHECK(ssh_conn_is_over(p->c));
	peer_destroy(p);
}

/* A key exchange in which each message may have to wait for memory. */
static void rekey_slowly(struct peer *p)
{
	peer_kexinit(p);
	peer_run(p, 20 * MS);
	peer_read_kexinit(p);
	peer_ecdh_init(p);
	peer_run(p, 20 * MS);
	peer_read_reply(p);
	peer_newkeys(p);
	peer_run(p, 20 * MS);
	peer_read_newkeys(p);
}

/* A session does not end because a rekey came when memory was short. */
TEST(rekey_waits_for_memory)
{
	bool done = false;
	int n;

	for (n = 1; !done; n++) {
		struct peer *p = logged_in();

		p->patient = true;
		peer_run(p, 2 * NS_PER_S);
		p->fail_alloc_after = n;
		rekey_slowly(p);
		done = p->fail_alloc_after > 0;
		p->fail_alloc_after = 0;
		(void)peer_open(p, 1, 1000, 1000);
		peer_destroy(p);
		CHECK(n < 30);
	}
	/* its state, our KEXINIT, the reply, two sets of keys, a large stack */
	CHECK(n > 6);
}

/* But not for ever: both sides are told why. */
TEST(rekey_without_memory)
{
	struct peer *p = logged_in();

	peer_kexinit(p);
	peer_read_kexinit(p);
	p->no_memory = true;
	peer_ecdh_init(p);
	for (int i = 0; i < 499; i++) {
		peer_run(p, 10 * MS);
		CHECK(ssh_conn_deadline(p->c) > p->now);
	}
	CHECK(!ssh_conn_is_over(p->c));
	peer_run(p, 30 * MS);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_KEY_EXCHANGE_FAILED);
	CHECK(strstr(p->log, "no memory for a key exchange"));
	peer_destroy(p);
}

/* Ours too waits, and does not turn idly. */
TEST(own_rekey_waits_for_memory)
{
	for (int again = 0; again < 2; again++) {
		struct peer *p = logged_in();

		peer_run(p, p->cfg.rekey_ns - 2 * NS_PER_S);
		while (peer_recv(p))
			;
		p->no_memory = true;
		for (int i = 0; i < 300; i++) {
			peer_run(p, 20 * MS);
			CHECK(ssh_conn_deadline(p->c) > p->now);
		}
		CHECK(!ssh_conn_is_over(p->c));
		p->no_memory = !again;
		peer_run(p, again ? 20 * MS : 1100 * MS);
		if (again) {
			rekey_slowly(p);
			(void)peer_open(p, 1, 1000, 1000);
		} else {
			CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_KEY_EXCHANGE_FAILED);
		}
		peer_destroy(p);
	}
}

/* Whatever has no memory says so, as far as what it has allows. */
TEST(out_of_memory_is_told)
{
	uint8_t data[100] = { 0 };
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	p->stdin_room = 0;
	peer_exec(p, chan, "cat");
	p->no_memory = true;
	peer_data(p, chan, data, sizeof(data));
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_BY_APPLICATION);
	peer_destroy(p);
}

TEST(rekey_allows_only_kex_messages)
{
	static const uint8_t types[] = { 5, 20, 21, 50, 80, 90, 94, 98, 192 };

	for (size_t i = 0; i < sizeof(types); i++) {
		struct peer *p = logged_in();

		peer_kexinit(p);
		expect_refused(p, types[i], 20);
	}
}

/* A9: an open session takes no key exchange that it has not begun, and one under way takes no channel's data. */
TEST(session_and_key_exchange_keep_apart)
{
	static const uint8_t types[] = { SSH_MSG_NEWKEYS, SSH_MSG_KEX_ECDH_INIT,
					 SSH_MSG_KEX_ECDH_REPLY };
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1000, 1000);

	peer_kexinit(p);
	peer_data(p, chan, "x", 1);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
	for (size_t i = 0; i < sizeof(types); i++)
		expect_refused(logged_in(), types[i], 20);
}

TEST(rekey_flood_is_slowed)
{
	struct peer *p = logged_in();
	int done = 0;

	while (done < 300) {
		peer_kexinit(p);
		if (!ssh_conn_wants_input(p->c))
			break;
		peer_read_kexinit(p);
		peer_ecdh_init(p);
		peer_read_reply(p);
		peer_newkeys(p);
		peer_read_newkeys(p);
		done++;
	}
	CHECK_EQ(done, 200);
	CHECK(ssh_conn_deadline(p->c) <= p->now + 20 * MS);
	peer_run(p, 20 * MS);
	CHECK(ssh_conn_wants_input(p->c));
	peer_read_kexinit(p);
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_destroy(p);
}

TEST(held_messages_are_bounded)
{
	struct peer *p = peer_create();
	uint32_t chan;

	p->cfg.rekey_ns = NS_PER_S;
	peer_login(p);
	chan = peer_open(p, 1, 1000, 1000);
	peer_run(p, 2 * NS_PER_S);
	peer_read_kexinit(p);
	for (int i = 0; i < 20000 && !ssh_conn_is_over(p->c); i++)
		peer_request(p, chan, "unknown", true, NULL, 0);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

/* --- forwarding ------------------------------------------------------------------------------------------------------- */

/* A connection to there, made; the server's number of its channel. */
static uint32_t forwarded(struct peer *p)
{
	struct rd r;

	CHECK_EQ(peer_forward(p, 9, "h", 80), UINT32_MAX);
	CHECK(p->chan);
	ssh_chan_connected(p->chan);
	peer_run(p, 0);
	peer_expect(p, SSH_MSG_CHANNEL_OPEN_CONFIRMATION);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), 9);
	return rd_u32(&r);
}

TEST(forward_connects_and_says_why_not)
{
	static const struct {
		int error;
		uint32_t reason;
	} why[] = {
		{ -ECONNREFUSED, SSH_OPEN_CONNECT_FAILED }, { -ETIMEDOUT, SSH_OPEN_CONNECT_FAILED },
		{ -EHOSTUNREACH, SSH_OPEN_CONNECT_FAILED }, { -ENOENT, SSH_OPEN_CONNECT_FAILED },
		{ -EIO, SSH_OPEN_CONNECT_FAILED },	    { -ENOMEM, SSH_OPEN_RESOURCE_SHORTAGE }
	};
	struct peer *p = logged_in();
	struct rd r;

	for (size_t i = 0; i < sizeof(why) / sizeof(why[0]); i++) {
		p->connect_error = why[i].error;
		CHECK_EQ(peer_forward(p, 3, "h", 80), why[i].reason);
		/* the same, heard later */
		p->connect_error = 0;
		CHECK_EQ(peer_forward(p, 3, "h", 80), UINT32_MAX);
		ssh_chan_refuse(p->chan, why[i].error);
		CHECK(!p->chan);
		peer_run(p, 0);
		peer_expect(p, SSH_MSG_CHANNEL_OPEN_FAILURE);
		r = peer_reader(p);
		CHECK_EQ(rd_u32(&r), 3);
		CHECK_EQ(rd_u32(&r), why[i].reason);
		CHECK_EQ(p->refusals, 2 * i + 2);
		CHECK_EQ(strncmp(p->refusal, "forwarding refused: connect to h port 80: ", 42), 0);
	}
	CHECK(strstr(p->events, "connect:h:80 "));
	p->events[0] = 0;
	CHECK_EQ(peer_forward(p, 3, "h", 0), SSH_OPEN_CONNECT_FAILED);
	CHECK_EQ(peer_forward(p, 3, "h", 65536 + 80), SSH_OPEN_CONNECT_FAILED);
	CHECK(!strstr(p->events, "connect"));
	peer_destroy(p);
}

TEST(forward_is_asked_for_permission)
{
	struct peer *p = peer_create();

	p->grant.no_forwarding = true;
	peer_login(p);
	CHECK_EQ(peer_forward(p, 3, "h", 80), SSH_OPEN_ADMINISTRATIVELY_PROHIBITED);
	CHECK_EQ(peer_listen(p, true, "", 80), SSH_MSG_REQUEST_FAILURE);
	CHECK(!strstr(p->events, "connect") && !strstr(p->events, "listen"));
	peer_destroy(p);
	p = peer_create();
	p->grant = (struct ssh_grant){ .limits_open = true,
				       .limits_listen = true,
				       .options = BYTES_LIT(
					       "permitopen=\"h:80\",permitlisten=\"7\"") };
	peer_login(p);
	CHECK_EQ(peer_forward(p, 3, "h", 81), SSH_OPEN_ADMINISTRATIVELY_PROHIBITED);
	CHECK_EQ(peer_forward(p, 3, "i", 80), SSH_OPEN_ADMINISTRATIVELY_PROHIBITED);
	CHECK_EQ(p->refusals, 2);
	CHECK_EQ(strcmp(p->refusal,
			"forwarding refused: connect to i port 80: forwarding is not allowed"),
		 0);
	CHECK_EQ(peer_listen(p, true, "", 8), SSH_MSG_REQUEST_FAILURE);
	CHECK_EQ(strcmp(p->refusal,
			"forwarding refused: listen at  port 8: forwarding is not allowed"),
		 0);
	CHECK(!strstr(p->events, "connect") && !strstr(p->events, "listen"));
	CHECK_EQ(peer_listen(p, true, "", 7), SSH_MSG_REQUEST_SUCCESS);
	(void)forwarded(p);
	peer_destroy(p);
}

/* Each way ends by itself, and the channel when both have and CLOSE went both ways. */
TEST(forward_half_closes)
{
	struct peer *p = logged_in();
	uint32_t chan = forwarded(p);

	peer_data(p, chan, "up", 2);
	CHECK_EQ(p->input_len, 2);
	peer_numbers(p, SSH_MSG_CHANNEL_EOF, 1, chan, 0);
	CHECK(strstr(p->events, "eof"));
	CHECK_EQ(peer_recv(p), 0);
	CHECK_EQ(host_output(p, p->chan, false, "down", 4), 4);
	ssh_chan_eof(p->chan);
	ssh_chan_close(p->chan);
	CHECK(p->chan);
	peer_run(p, 0);
	peer_expect(p, SSH_MSG_CHANNEL_DATA);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_EOF);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_CLOSE);
	peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
	CHECK(!p->chan);
	CHECK_EQ(peer_recv(p), 0);
	peer_destroy(p);
}

/* What the client sent before its CLOSE arrives, however slow it is taken. */
TEST(forward_drains_before_it_closes)
{
	for (int how = 0; how < 3; how++) {
		struct peer *p = logged_in();
		uint32_t chan = forwarded(p);

		p->stdin_room = 3;
		peer_data(p, chan, "all of it", 9);
		peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
		CHECK(p->chan);
		CHECK_EQ(peer_recv(p), 0);
		/* what the other side says is dropped, so that it can go on reading */
		CHECK_EQ(host_output(p, p->chan, false, p->rx, 200000), 200000);
		peer_run(p, 0);
		CHECK_EQ(peer_recv(p), 0);
		if (how == 1) {
			/* the reader goes */
			p->input_gone = true;
		} else if (how == 2) {
			ssh_chan_close(p->chan);
			CHECK(!p->chan);
			peer_destroy(p);
			continue;
		}
		p->stdin_room = 6;
		ssh_chan_input_ready(p->chan);
		CHECK(!p->chan);
		peer_run(p, 0);
		CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_CLOSE);
		CHECK_EQ(p->input_len, how == 0 ? 9 : 3);
		CHECK(how == 1 || strstr(p->events, "eof"));
		peer_destroy(p);
	}
}

/* Who takes nothing keeps a place for a minute, and is reset. */
TEST(forward_drains_not_for_ever)
{
	struct peer *p = logged_in();
	uint32_t chan = forwarded(p);
	uint64_t start = p->now;

	p->stdin_room = 3;
	peer_data(p, chan, "all of it", 9);
	peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
	p->stdin_room = 1;
	ssh_chan_input_ready(p->chan);
	CHECK(ssh_conn_deadline(p->c) <= start + 60 * NS_PER_S);
	peer_run(p, 60 * NS_PER_S - 1);
	CHECK(p->chan);
	CHECK(!strstr(p->events, "reset"));
	peer_run(p, 1);
	CHECK(!p->chan);
	CHECK(strstr(p->events, "reset closed"));
	peer_expect(p, SSH_MSG_CHANNEL_CLOSE);
	CHECK_EQ(p->refusals, 1);
	CHECK(!ssh_conn_is_over(p->c));
	(void)peer_open(p, 1, 1000, 1000);
	peer_destroy(p);
}

/* What a connection's end cuts off must not look whole; what has all arrived ends in order. */
TEST(forward_cut_off_is_reset)
{
	for (int cut = 0; cut < 2; cut++) {
		struct peer *p = logged_in();
		uint32_t chan = forwarded(p);

		p->stdin_room = cut ? 3 : 9;
		peer_data(p, chan, "all of it", 9);
		p->events[0] = 0;
		ssh_chans_fini(p->c);
		CHECK_EQ(strcmp(p->events, cut ? "reset closed " : "closed "), 0);
		peer_destroy(p);
	}
}

/* No memory for what its target does not take ends a forwarded connection, and no other; a session's would lose bytes
 * in silence. */
TEST(forward_without_memory)
{
	static uint8_t data[32768];

	for (int forward = 0; forward < 2; forward++) {
		struct peer *p = logged_in();
		uint32_t chan = forward ? forwarded(p) : peer_open(p, 1, 1000, 1000);

		p->stdin_room = 0;
		if (!forward)
			peer_exec(p, chan, "cat");
		/* the rest of a page waits, then comes more */
		peer_data(p, chan, data, 3900);
		p->events[0] = 0;
		p->no_memory = true;
		peer_data(p, chan, data, 500);
		p->no_memory = false;
		CHECK_EQ(ssh_conn_is_over(p->c), !forward);
		if (forward) {
			CHECK_EQ(strcmp(p->events, "reset "), 0);
			CHECK_EQ(p->refusals, 1);
			CHECK_EQ(ssh_chan_input_waiting(p->chan), 0);
			CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_EOF);
			CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_CLOSE);
			/* what is under way is dropped */
			peer_data(p, chan, data, 100);
			peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
			CHECK(!p->chan);
			peer_exec(p, peer_open(p, 1, 1000, 1000), "true");
		}
		peer_destroy(p);
	}
}

/* A forced command is no bar to forwarding, as in OpenSSH; `restrict` is. But it is not ended halfway by a signal. */
TEST(forced_command_and_forwarding)
{
	struct peer *p = peer_create();
	uint32_t chan;

	p->grant.command = BYTES_LIT("backup");
	peer_login(p);
	(void)forwarded(p);
	CHECK_EQ(peer_listen(p, true, "", 80), SSH_MSG_REQUEST_SUCCESS);
	chan = peer_open(p, 1, 1000, 1000);
	peer_exec(p, chan, "anything");
	CHECK(strstr(p->events, "start1:backup"));
	peer_request(p, chan, "signal", true, "\0\0\0\4KILL", 8);
	peer_expect(p, SSH_MSG_CHANNEL_FAILURE);
	CHECK(!strstr(p->events, "KILL"));
	peer_destroy(p);
}

/* I-SSH-16: what is not open is not named, whatever the client says, and a CLOSE is its last word. */
TEST(forward_is_named_when_open)
{
	static const uint8_t types[] = { SSH_MSG_CHANNEL_OPEN_CONFIRMATION,
					 SSH_MSG_CHANNEL_OPEN_FAILURE,
					 SSH_MSG_CHANNEL_WINDOW_ADJUST,
					 SSH_MSG_CHANNEL_DATA,
					 SSH_MSG_CHANNEL_EXTENDED_DATA,
					 SSH_MSG_CHANNEL_EOF,
					 SSH_MSG_CHANNEL_CLOSE,
					 SSH_MSG_CHANNEL_REQUEST,
					 SSH_MSG_CHANNEL_SUCCESS };

	for (size_t i = 0; i < sizeof(types); i++)
		for (int stage = 0; stage < 3; stage++) {
			struct peer *p = logged_in();
			struct ssh_arrival a = { BYTES_LIT("x"), BYTES_LIT("y"), 1, 2 };
			uint8_t m[17] = { types[i] };

			if (stage == 0) {
				CHECK_EQ(peer_forward(p, 3, "h", 80), UINT32_MAX);
			} else if (stage == 1) {
				if (types[i] <= SSH_MSG_CHANNEL_OPEN_FAILURE) {
					peer_destroy(p);
					continue;
				}
				p->chan = ssh_chan_arrive(p->c, &a);
				p->chans++;
			} else {
				uint32_t chan = forwarded(p);

				p->stdin_room = 0;
				peer_data(p, chan, "x", 1);
				peer_numbers(p, SSH_MSG_CHANNEL_CLOSE, 1, chan, 0);
			}
			store_be32(m + 1, ssh_chan_number(p->chan));
			m[16] = 1;
			peer_send(p, m,
				  types[i] == SSH_MSG_CHANNEL_DATA	      ? 9
				  : types[i] == SSH_MSG_CHANNEL_EXTENDED_DATA ? 13
				  : types[i] == SSH_MSG_CHANNEL_WINDOW_ADJUST ? 9
				  : types[i] == SSH_MSG_CHANNEL_REQUEST	      ? 10
				  : types[i] <= SSH_MSG_CHANNEL_OPEN_FAILURE  ? 17
									      : 5);
			CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
			CHECK(!strstr(p->events, "start"));
			peer_destroy(p);
		}
}

/* To the host it is no session: it is asked for nothing that is a session's. */
TEST(forward_takes_no_requests)
{
	struct peer *p = logged_in();
	uint32_t chan = forwarded(p);

	peer_request(p, chan, "exec", true, "\0\0\0\1x", 5);
	peer_expect(p, SSH_MSG_CHANNEL_FAILURE);
	peer_request(p, chan, "window-change", true, "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1", 16);
	peer_expect(p, SSH_MSG_CHANNEL_FAILURE);
	peer_request(p, chan, "signal", true, "\0\0\0\3HUP", 7);
	peer_expect(p, SSH_MSG_CHANNEL_FAILURE);
	CHECK(!strstr(p->events, "start") && !strstr(p->events, "HUP"));
	peer_destroy(p);
}

TEST(listen_and_cancel)
{
	struct peer *p = logged_in();
	struct rd r;

	CHECK_EQ(peer_listen(p, true, "localhost", 80), SSH_MSG_REQUEST_SUCCESS);
	CHECK_EQ(p->payload_len, 1);
	CHECK(strstr(p->events, "listen:localhost:80 "));
	CHECK_EQ(peer_listen(p, true, "", 0), SSH_MSG_REQUEST_SUCCESS);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), 4711);
	CHECK_EQ(peer_listen(p, true, "", 65536), SSH_MSG_REQUEST_FAILURE);
	CHECK_EQ(peer_listen(p, false, "", 4711), SSH_MSG_REQUEST_SUCCESS);
	CHECK_EQ(peer_listen(p, false, "localhost", 80), SSH_MSG_REQUEST_SUCCESS);
	CHECK_EQ(peer_listen(p, false, "localhost", 80), SSH_MSG_REQUEST_FAILURE);
	p->listen_error = -EADDRINUSE;
	CHECK_EQ(peer_listen(p, true, "", 80), SSH_MSG_REQUEST_FAILURE);
	p->listen_error = 0;
	for (unsigned i = 0; i < p->cfg.max_channels; i++)
		CHECK_EQ(peer_listen(p, true, "", 80), SSH_MSG_REQUEST_SUCCESS);
	CHECK_EQ(peer_listen(p, true, "", 80), SSH_MSG_REQUEST_FAILURE);
	p->listen_error = -ENOENT;
	CHECK_EQ(peer_listen(p, false, "", 80), SSH_MSG_REQUEST_FAILURE);
	peer_destroy(p);
}

static uint32_t arrival(struct peer *p)
{
	struct ssh_arrival a = { BYTES_LIT("localhost"), BYTES_LIT("1.2.3.4"), 80, 5 };
	uint32_t number;
	struct rd r;

	p->chan = ssh_chan_arrive(p->c, &a);
	if (!p->chan)
		return UINT32_MAX;
	p->chans++;
	CHECK_EQ(ssh_chan_room(p->chan), 0);
	peer_run(p, 0);
	peer_expect(p, SSH_MSG_CHANNEL_OPEN);
	r = peer_reader(p);
	CHECK(bytes_is(rd_string(&r), "forwarded-tcpip"));
	number = rd_u32(&r);
	CHECK(rd_u32(&r) >= 32768);
	CHECK_EQ(rd_u32(&r), SSH_DATA_MAX);
	CHECK(bytes_is(rd_string(&r), "localhost"));
	CHECK_EQ(rd_u32(&r), 80);
	CHECK(bytes_is(rd_string(&r), "1.2.3.4"));
	CHECK_EQ(rd_u32(&r), 5);
	CHECK_EQ(rd_finish(&r), 0);
	return number;
}

TEST(arrival_is_offered)
{
	struct peer *p = logged_in();
	uint32_t chan = arrival(p);
	uint8_t m[100];
	struct wr w = wr_over(m, sizeof(m));

	wr_u8(&w, SSH_MSG_CHANNEL_OPEN_CONFIRMATION);
	wr_u32(&w, chan);
	wr_u32(&w, 77);
	wr_u32(&w, 10);
	wr_u32(&w, 4);
	peer_send_wr(p, &w);
	CHECK_EQ(host_output(p, p->chan, false, "0123456789ab", 12), 10);
	peer_run(p, 0);
	CHECK_EQ(peer_recv(p), SSH_MSG_CHANNEL_DATA);
	CHECK_EQ(p->payload_len, 9 + 4);
	CHECK_EQ(p->payload[4], 77);
	peer_data(p, chan, "up", 2);
	CHECK_EQ(p->input_len, 2);
	/* once is enough */
	peer_send_wr(p, &w);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_PROTOCOL_ERROR);
	peer_destroy(p);
}

/* Nobody took it: it is reset, as when the connection ends before the client has said so. */
TEST(arrival_is_refused)
{
	struct peer *p = logged_in();
	uint8_t m[100];
	struct wr w;

	for (unsigned i = 0; i < 2 * p->cfg.max_channels; i++) {
		uint32_t chan = arrival(p);

		w = wr_over(m, sizeof(m));
		wr_u8(&w, SSH_MSG_CHANNEL_OPEN_FAILURE);
		wr_u32(&w, chan);
		wr_u32(&w, SSH_OPEN_CONNECT_FAILED);
		wr_cstring(&w, "no");
		wr_cstring(&w, "");
		p->events[0] = 0;
		peer_send_wr(p, &w);
		CHECK(!p->chan);
		CHECK_STR(p->events, "reset closed ");
	}
	(void)arrival(p);
	p->events[0] = 0;
	ssh_chans_fini(p->c);
	CHECK_STR(p->events, "reset closed ");
	peer_destroy(p);
}

/* I-SSH-17: whoever can reach a port of ours takes nothing from the user, neither places nor windows. */
TEST(arrivals_are_bounded_by_themselves)
{
	struct peer *p = logged_in();
	uint32_t window = 0;

	for (unsigned i = 0; i < p->cfg.max_channels; i++)
		CHECK(arrival(p) != UINT32_MAX);
	CHECK(arrival(p) == UINT32_MAX);
	for (unsigned i = 0; i < p->cfg.max_channels; i++) {
		(void)forwarded(p);
		(void)peer_open(p, i, 1000, 1000);
		if (i == 0)
			window = load_be32(p->payload + 9);
	}
	CHECK_EQ(window, p->cfg.window);
	CHECK_EQ(peer_forward(p, 3, "h", 80), SSH_OPEN_RESOURCE_SHORTAGE);
	peer_destroy(p);
}

/* An arrival is nobody's fault: neither want of memory nor a key exchange makes it the end of the connection. */
TEST(arrival_at_a_bad_time)
{
	struct ssh_arrival a = { BYTES_LIT("x"), BYTES_LIT("1.2.3.4"), 1, 2 };
	struct peer *p = logged_in();

	CHECK(ssh_chan_may_arrive(p->c));
	p->no_memory = true;
	CHECK(!ssh_chan_arrive(p->c, &a));
	p->no_memory = false;
	CHECK(!ssh_conn_is_over(p->c));
	CHECK_EQ(strcmp(p->refusal, "no room for a connection that came: 1.2.3.4"), 0);
	peer_kexinit(p);
	CHECK(!ssh_chan_may_arrive(p->c));
	peer_read_kexinit(p);
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_newkeys(p);
	peer_read_newkeys(p);
	CHECK(ssh_chan_may_arrive(p->c));
	(void)arrival(p);
	peer_destroy(p);
}

/* --- limits of memory and time ---------------------------------------------------------------------------------------- */

/* I-SSH-3. A client that asks and does not read: input stops being looked at, memory stays bounded. */
TEST(output_backlog_stops_input)
{
	struct peer *p = logged_in();
	uint8_t m[256];
	struct wr w = wr_over(m, sizeof(m));
	struct ssh_conn_info info;
	bool stopped = false;

	wr_u8(&w, SSH_MSG_GLOBAL_REQUEST);
	wr_cstring(&w, "x");
	wr_bool(&w, true);
	/* the client's buffer is full, so peer_run() leaves output where it is */
	p->rx_head = 0;
	p->rx_len = sizeof(p->rx);
	for (int i = 0; i < 100000 && !stopped; i++) {
		peer_send_wr(p, &w);
		stopped = !ssh_conn_wants_input(p->c);
	}
	CHECK(stopped);
	ssh_conn_info(p->c, &info);
	CHECK(info.memory < 512 * 1024);
	p->rx_len = 0;
	peer_destroy(p);
}

/* The time for a bad length is up also while input is not looked at: what is due is done, or the owner would turn for ever. */
TEST(bad_length_and_output_backlog)
{
	static const uint8_t junk[100] = { 0xaa };
	uint8_t m[16];
	struct wr w = wr_over(m, sizeof(m));
	struct peer *p = peer_create();
	size_t waits = 0;
	uint32_t chan;

	p->ciphers = "aes128-ctr";
	peer_login(p);
	chan = peer_open(p, 1, 1000, 1000);
	peer_exec(p, chan, "x");
	wr_u8(&w, SSH_MSG_GLOBAL_REQUEST);
	wr_cstring(&w, "x");
	wr_bool(&w, true);
	/* the client's buffer is full; each answer is 48 bytes, the program's status is 80 */
	p->rx_head = 0;
	p->rx_len = sizeof(p->rx);
	while (waits + 48 < SSH_TX_STOP) {
		peer_send_wr(p, &w);
		CHECK(ssh_conn_output(p->c, &waits));
	}
	peer_feed(p, junk, sizeof(junk));
	CHECK(ssh_conn_wants_input(p->c));
	ssh_chan_exit_status(p->chan, 0);
	CHECK(!ssh_conn_wants_input(p->c));
	for (int i = 0; i < 6 && !ssh_conn_is_over(p->c); i++) {
		CHECK(ssh_conn_deadline(p->c) > p->now);
		peer_run(p, ssh_conn_deadline(p->c) - p->now);
	}
	p->rx_len = 0;
	peer_run(p, 0);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_MAC_ERROR);
	peer_destroy(p);
}

/* The connection is not over, and neither holds more than it may nor ever did. */
static void expect_memory(struct peer *p, size_t most)
{
	struct ssh_conn_info info;

	ssh_conn_info(p->c, &info);
	CHECK_EQ(info.memory, (size_t)p->live);
	CHECK_EQ(info.memory_max, most);
	CHECK((size_t)p->most <= most);
	CHECK(!ssh_conn_is_over(p->c));
}

/* Feed the beginning of a packet of the largest size. */
static void begin_large_packet(struct peer *p)
{
	static uint8_t m[SSH_PACKET_MAX] = { 4 };

	store_be32(m, SSH_PACKET_MAX - 4);
	peer_feed(p, m, SSH_PACKET_MAX - 100);
}

/* I-SSH-19: what a hostile client makes the server hold, phase by phase. */
TEST(memory_of_each_phase)
{
	static uint8_t data[32768];
	struct peer *p = peer_create();
	uint8_t unknown[] = { 70 };
	struct ssh_conn_info info;

	peer_feed(p, "SSH-2.0-", 8);
	expect_memory(p, SSH_MEMORY_IDENT);
	peer_destroy(p);

	p = at_kex();
	begin_large_packet(p);
	expect_memory(p, SSH_MEMORY_KEX);
	peer_destroy(p);

	/* answers are not read: a large banner, then UNIMPLEMENTED and UNIMPLEMENTED */
	p = at_auth();
	p->cfg.banner = (struct bytes){ data, 16 * 1024 };
	p->rx_head = 0;
	p->rx_len = sizeof(p->rx);
	none_request(p, "ssh-connection", "none");
	while (ssh_conn_wants_input(p->c))
		peer_send(p, unknown, sizeof(unknown));
	expect_memory(p, SSH_MEMORY_LOGIN);
	p->rx_len = 0;
	peer_destroy(p);

	/* nothing is taken by two programs, and a rekey begins */
	p = logged_in();
	p->stdin_room = 0;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t chan = peer_open(p, i, 1 << 21, 32768);

		peer_exec(p, chan, "x");
		for (size_t sent = 0; sent < p->cfg.window; sent += sizeof(data))
			peer_data(p, chan, data, sizeof(data));
	}
	peer_kexinit(p);
	expect_memory(p, SSH_MEMORY_OPEN + 2 * (p->cfg.window + SSH_MEMORY_CHANNEL));
	ssh_conn_info(p->c, &info);
	CHECK(info.memory > 2 * p->cfg.window);
	peer_destroy(p);
}

/* Beyond it the connection ends: with a banner for which there is no room. */
TEST(memory_beyond_the_budget)
{
	static uint8_t text[SSH_MEMORY_LOGIN];
	struct peer *p = at_auth();

	p->cfg.banner = (struct bytes){ text, sizeof(text) };
	none_request(p, "ssh-connection", "none");
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_BY_APPLICATION);
	CHECK(strstr(p->log, "out of memory"));
	CHECK((size_t)p->most <= SSH_MEMORY_LOGIN);
	peer_destroy(p);
}

TEST(idle_memory)
{
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 1 << 21, 32768);
	static uint8_t data[60000];
	struct ssh_conn_info info;

	peer_exec(p, chan, "x");
	host_output(p, p->chan, false, data, sizeof(data));
	peer_data(p, chan, data, 32768);
	peer_run(p, 0);
	CHECK(ssh_conn_deadline(p->c) <= p->now + NS_PER_S);
	peer_run(p, NS_PER_S);
	ssh_conn_info(p->c, &info);
	printf("# an idle connection with one session holds %zu bytes\n", info.memory);
	CHECK(info.memory < 5 * 1024);
	peer_destroy(p);
}

/* Eight packets out in one turn, eight in, of many lengths; all that the client hears is taken. */
static void send_batch(struct peer *p, uint32_t chan, unsigned round)
{
	static uint8_t data[32768];

	for (unsigned i = 0; i < 8; i++) {
		size_t n = round % 32 == 0 ? sizeof(data) : 1 + (round * 8 + i) * 37 % 2000;

		CHECK_EQ(host_output(p, p->chan, i % 2, data, n), n);
		if (n == sizeof(data))
			peer_run(p, 0);
	}
	peer_run(p, 0);
	for (unsigned i = 0; i < 8; i++)
		peer_data(p, chan, data, round % 32 == 0 ? sizeof(data) : 1 + i * 200);
	p->input_len = 0;
	while (peer_recv(p))
		;
}

TEST(data_allocates_nothing)
{
	for (size_t i = 0; ssh_ciphers[i]; i++)
		for (size_t k = 0; ssh_macs[k] && (k == 0 || !ssh_ciphers[i]->tag_len); k++) {
			struct peer *p = peer_create();
			struct ssh_conn_info before, after;
			unsigned allocs;
			uint32_t chan;

			p->ciphers = ssh_ciphers[i]->name;
			p->macs = ssh_macs[k]->name;
			peer_login(p);
			chan = peer_open(p, 1, INT32_MAX, 32768);
			peer_exec(p, chan, "cat");
			send_batch(p, chan, 0);
			ssh_conn_info(p->c, &before);
			allocs = p->allocs;
			for (unsigned n = 1; n <= 125; n++)
				send_batch(p, chan, n);
			ssh_conn_info(p->c, &after);
			CHECK(after.packets_in >= before.packets_in + 1000 &&
			      after.packets_out >= before.packets_out + 1000);
			CHECK_MSG(p->allocs == allocs, "%u allocations by %s %s",
				  p->allocs - allocs, p->ciphers, p->macs);
			peer_destroy(p);
		}
}

TEST(keepalive)
{
	struct peer *p = logged_in();
	uint8_t failure = SSH_MSG_REQUEST_FAILURE;
	struct rd r;

	peer_run(p, 60 * NS_PER_S);
	peer_expect(p, SSH_MSG_GLOBAL_REQUEST);
	r = peer_reader(p);
	CHECK(bytes_is(rd_string(&r), "keepalive@openssh.com"));
	CHECK(rd_bool(&r));
	peer_send(p, &failure, 1);
	for (int i = 0; i < 3; i++) {
		peer_run(p, 60 * NS_PER_S);
		peer_expect(p, SSH_MSG_GLOBAL_REQUEST);
	}
	peer_run(p, 60 * NS_PER_S);
	CHECK_EQ(peer_disconnected(p), SSH_DISCONNECT_CONNECTION_LOST);
	peer_destroy(p);
}

/* An idle connection is held for as long as the client answers: here a month, of keepalives and of a key exchange each hour. */
TEST(idle_for_a_month)
{
	struct peer *p = logged_in();
	uint8_t failure = SSH_MSG_REQUEST_FAILURE;
	struct ssh_conn_info info;
	uint64_t end = p->now + 30 * 86400 * NS_PER_S;
	unsigned asked = 0;

	while (p->now < end) {
		uint8_t type;

		CHECK(ssh_conn_deadline(p->c) > p->now);
		peer_run(p, ssh_conn_deadline(p->c) - p->now);
		CHECK(!ssh_conn_is_over(p->c));
		type = peer_recv(p);
		if (type == SSH_MSG_KEXINIT) {
			rekey_of_ours(p);
		} else if (type) {
			CHECK_EQ(type, SSH_MSG_GLOBAL_REQUEST);
			peer_send(p, &failure, 1);
			asked++;
		}
	}
	ssh_conn_info(p->c, &info);
	CHECK(info.rekeys >= 30 * 24 - 1 && asked > 30 * 24 * 58);
	peer_destroy(p);
}

/* Without memory for a large packet the connection waits; small ones still go through. */
TEST(input_waits_for_memory)
{
	static uint8_t data[30000];
	struct peer *p = logged_in();
	uint32_t chan = peer_open(p, 1, 100000, 30000);
	size_t room;

	peer_exec(p, chan, "cat");
	peer_run(p, NS_PER_S);
	p->no_memory = true;
	peer_data(p, chan, "small", 5);
	CHECK_EQ(p->input_len, 5);
	CHECK(host_output(p, p->chan, false, data, sizeof(data)) >= 400);
	peer_run(p, 0);
	peer_expect(p, SSH_MSG_CHANNEL_DATA);
	peer_data(p, chan, data, sizeof(data));
	CHECK(!ssh_conn_is_over(p->c));
	CHECK(!ssh_conn_wants_input(p->c));
	CHECK(ssh_conn_deadline(p->c) <= p->now + 20 * MS);
	p->no_memory = false;
	peer_run(p, 20 * MS);
	CHECK(ssh_conn_input_space(p->c, &room));
	p->no_memory = true;
	for (int i = 0; i < 300 && !ssh_conn_is_over(p->c); i++) {
		peer_run(p, 20 * MS);
		if (ssh_conn_wants_input(p->c) && ssh_conn_input_space(p->c, &room))
			break;
	}
	p->no_memory = false;
	peer_destroy(p);
}

/* Whatever allocation fails, the connection goes on or ends, and everything is given back. */
static void story(struct peer *p)
{
	uint8_t data[3000] = { 0 };
	uint8_t open[32] = { 0 };
	struct wr w = wr_over(open, sizeof(open));

	peer_feed(p, "SSH-2.0-peer\r\n", 14);
	peer_kexinit(p);
	peer_run(p, 20 * MS);
	if (ssh_conn_is_over(p->c))
		return;
	p->rx_head = 14;
	peer_read_kexinit(p);
	peer_ecdh_init(p);
	peer_run(p, 20 * MS);
	if (ssh_conn_is_over(p->c))
		return;
	peer_read_reply(p);
	peer_newkeys(p);
	if (ssh_conn_is_over(p->c))
		return;
	peer_read_newkeys(p);
	wr_u8(&w, SSH_MSG_SERVICE_REQUEST);
	wr_cstring(&w, "ssh-userauth");
	peer_send_wr(p, &w);
	peer_auth(p, "root", 0);
	w = wr_over(open, sizeof(open));
	wr_u8(&w, SSH_MSG_CHANNEL_OPEN);
	wr_cstring(&w, "session");
	wr_u32(&w, 1);
	wr_u32(&w, 1000000);
	wr_u32(&w, 32768);
	peer_send_wr(p, &w);
	p->stdin_room = 0;
	if (p->chan) {
		uint32_t number = ssh_chan_number(p->chan);

		peer_request(p, number, "exec", true, "\0\0\0\1x", 5);
		peer_data(p, number, data, sizeof(data));
		if (p->chan)
			host_output(p, p->chan, false, data, sizeof(data));
		peer_run(p, 0);
	}
	if (!ssh_conn_is_over(p->c) && peer_forward(p, 2, "h", 80) == UINT32_MAX && p->chans > 1)
		ssh_chan_connected(p->chan);
	if (!ssh_conn_is_over(p->c))
		(void)peer_listen(p, true, "", 80);
	if (!ssh_conn_is_over(p->c))
		peer_kexinit(p);
	peer_run(p, NS_PER_S);
}

TEST(every_allocation_may_fail)
{
	int survived = 0;

	for (int n = 1; survived < 2; n++) {
		struct peer *p = peer_create();

		p->patient = true;
		p->grant.command = BYTES_LIT("forced");
		p->grant.options = BYTES_LIT("permitopen=\"a:1\"");
		p->grant.limits_open = true;
		p->fail_alloc_after = n;
		story(p);
		survived += p->fail_alloc_after > 0;
		p->fail_alloc_after = 0;
		peer_destroy(p);
		CHECK(n < 100);
	}
}

TEST(disconnect_by_the_client)
{
	struct peer *p = logged_in();
	uint8_t m[64];
	struct wr w = wr_over(m, sizeof(m));

	peer_open(p, 1, 1, 1);
	wr_u8(&w, SSH_MSG_DISCONNECT);
	wr_u32(&w, SSH_DISCONNECT_BY_APPLICATION);
	wr_cstring(&w, "bye");
	wr_cstring(&w, "");
	peer_send_wr(p, &w);
	CHECK_EQ(peer_disconnected(p), 0);
	peer_destroy(p);
}

/* Random messages in a logged-in connection: nothing but well-formed answers and ends. */
TEST(random_messages)
{
	for (int i = 0; i < 200 * test_scale; i++) {
		struct peer *p = logged_in();
		uint32_t chan = peer_open(p, 1, 5000, 100);

		for (int k = 0; k < 20 && !ssh_conn_is_over(p->c); k++) {
			uint8_t m[80];
			size_t n = 1 + test_below(sizeof(m));

			for (size_t b = 0; b < n; b++)
				m[b] = (uint8_t)(test_below(3) ? 0 : test_random());
			m[0] = (uint8_t)(test_below(2) ? 90 + test_below(11) : test_below(256));
			if (n > 5 && test_below(4))
				store_be32(m + 1, chan);
			if (m[0] == SSH_MSG_KEXINIT || m[0] == SSH_MSG_DISCONNECT)
				continue;
			peer_send(p, m, n);
			if (p->chan && test_below(2))
				host_output(p, p->chan, test_below(2), m, n);
			peer_run(p, 0);
			while (peer_recv(p))
				;
		}
		peer_destroy(p);
	}
}
