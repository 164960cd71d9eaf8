/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/host/ssh_peer.h"
#include "lib/errno.h"
#include "tests/host/test.h"
#include <endian.h>
#include <openssh/crypto_api.h>
#include <sodium/crypto_scalarmult_curve25519.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define fatal_f(text) abort()
#include <openssh/libcrux_mlkem768_sha3.h>

#define IDENT "SSH-2.0-peer"

/* --- the host ------------------------------------------------------------------------------------------------- */

static void *host_alloc(void *host, size_t n)
{
	struct peer *p = host;

	if (p->no_memory)
		return NULL;
	if (p->fail_alloc_after > 0 && --p->fail_alloc_after == 0)
		return NULL;
	p->allocs++;
	p->live += (long)n;
	p->most = p->live > p->most ? p->live : p->most;
	return malloc(n);
}

static void host_free(void *host, void *m, size_t n)
{
	struct peer *p = host;

	p->live -= (long)n;
	p->leaked += p->secret && memmem(m, n, p->secret, strlen(p->secret));
	free(m);
}

static int host_random(void *host, void *buf, size_t n)
{
	struct peer *p = host;

	for (size_t i = 0; i < n; i++) {
		p->random_state = p->random_state * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)buf)[i] = (uint8_t)(p->random_state >> 56);
	}
	if (n == p->watch) {
		memcpy(p->watched, buf, sizeof(p->watched) - 1);
		p->secret = p->watched;
		p->watch = 0;
	}
	return 0;
}

static int host_deep(void *host, void (*work)(void *), void *arg)
{
	struct peer *p = host;

	p->deep++;
	if (p->no_memory || (p->fail_alloc_after > 0 && --p->fail_alloc_after == 0))
		return -ENOMEM;
	work(arg);
	p->now += p->deep_takes;
	return 0;
}

static uint64_t host_now(void *host)
{
	return ((struct peer *)host)->now;
}

static void note(char *where, size_t size, const char *text)
{
	size_t n = strlen(where);

	snprintf(where + n, size - n, "%s ", text);
}

static void event(struct peer *p, const char *text)
{
	note(p->events, sizeof(p->events), text);
}

static void host_log(void *host, enum ssh_log level, const char *text, struct bytes about)
{
	struct peer *p = host;

	note(p->log, sizeof(p->log), text);
	p->refusals += level == SSH_LOG_REFUSAL;
	if (level == SSH_LOG_REFUSAL)
		snprintf(p->refusal, sizeof(p->refusal), "%s: %.*s", text, (int)about.n,
			 about.n ? (const char *)about.p : "");
}

static int host_key_check(void *host, struct bytes user, struct bytes key, bool spoken)
{
	struct peer *p = host;

	event(p, "key");
	return p->allow_key && bytes_is(user, "root") ? 0 : -EACCES;
}

static const struct ssh_chan_ops chan_ops;

static int host_admit(void *host, struct bytes user, struct bytes key, struct ssh_grant *grant)
{
	struct peer *p = host;

	event(p, "admit");
	*grant = p->grant;
	grant->chan_ops = &chan_ops;
	return p->refuse_login ? -EACCES : 0;
}

static uint64_t host_auth_failed(void *host, struct bytes user)
{
	return 300 * NS_PER_MS;
}

static void host_auth_done(void *host, struct bytes user)
{
	event(host, "login");
}

static int host_open(void *host, struct ssh_chan *ch)
{
	struct peer *p = host;

	if (p->refuse_open)
		return -ENOMEM;
	event(p, "open");
	p->chan = ch;
	p->chans++;
	return 0;
}

static int host_env(void *host, struct ssh_chan *ch, struct bytes name, struct bytes value)
{
	event(host, "env");
	return 0;
}

static int host_pty(void *host, struct ssh_chan *ch, const struct ssh_pty *pty)
{
	struct peer *p = host;

	event(p, "pty");
	return p->refuse_pty ? -ENOMEM : 0;
}

static int host_start(void *host, struct ssh_chan *ch, const struct ssh_start *start)
{
	struct peer *p = host;
	char text[64];

	snprintf(text, sizeof(text), "start%d:%.*s", start->kind, (int)start->command.n,
		 start->command.p);
	event(p, text);
	return p->refuse_start ? -ENOEXEC : 0;
}

static ssize_t host_input(void *host, struct ssh_chan *ch, const void *data, size_t n)
{
	struct peer *p = host;
	size_t took = n < p->stdin_room ? n : p->stdin_room;

	if (p->input_gone)
		return -EPIPE;
	if (p->input_error)
		return p->input_error;
	if (took > sizeof(p->input) - p->input_len)
		took = sizeof(p->input) - p->input_len;
	p->refused += took == 0;
	memcpy(p->input + p->input_len, data, took);
	p->input_len += took;
	p->stdin_room -= took;
	return (ssize_t)took;
}

static void host_input_eof(void *host, struct ssh_chan *ch)
{
	event(host, "eof");
}

static int host_winsize(void *host, struct ssh_chan *ch, const struct ssh_winsize *size)
{
	char text[32];

	snprintf(text, sizeof(text), "size%ux%u", size->cols, size->rows);
	event(host, text);
	return 0;
}

static int host_signal(void *host, struct ssh_chan *ch, const char *name)
{
	event(host, name);
	return 0;
}

static int host_break(void *host, struct ssh_chan *ch, uint32_t ms)
{
	event(host, "break");
	return 0;
}

static bool host_hang_up(void *host, struct ssh_chan *ch)
{
	struct peer *p = host;

	return p->outlives;
}

static void host_closed(void *host, struct ssh_chan *ch)
{
	struct peer *p = host;

	event(p, "closed");
	p->chans--;
	if (p->chan == ch)
		p->chan = NULL;
}

static int host_connect(void *host, struct ssh_chan *ch, struct bytes to, uint16_t port)
{
	struct peer *p = host;
	char text[64];

	snprintf(text, sizeof(text), "connect:%.*s:%u", (int)to.n, to.p, port);
	event(p, text);
	if (p->connect_error)
		return p->connect_error;
	p->chan = ch;
	p->chans++;
	return 0;
}

static int host_listen(void *host, struct bytes address, uint16_t *port)
{
	struct peer *p = host;
	char text[64];

	snprintf(text, sizeof(text), "listen:%.*s:%u", (int)address.n, address.p, *port);
	event(p, text);
	*port = *port ? *port : 4711;
	return p->listen_error;
}

static int host_unlisten(void *host, struct bytes address, uint16_t port)
{
	struct peer *p = host;

	event(p, "unlisten");
	return p->listen_error;
}

static void host_reset(void *host, struct ssh_chan *ch)
{
	event(host, "reset");
}

static const struct ssh_chan_ops chan_ops = {
	.chan_open = host_open,
	.chan_env = host_env,
	.chan_pty = host_pty,
	.chan_start = host_start,
	.chan_input = host_input,
	.chan_input_eof = host_input_eof,
	.chan_winsize = host_winsize,
	.chan_signal = host_signal,
	.chan_break = host_break,
	.chan_hang_up = host_hang_up,
	.chan_closed = host_closed,
	.chan_reset = host_reset,
	.chan_connect = host_connect,
	.listen = host_listen,
	.unlisten = host_unlisten,
};

static const struct ssh_host_ops ops = {
	.alloc = host_alloc,
	.free = host_free,
	.random = host_random,
	.deep = host_deep,
	.now = host_now,
	.log = host_log,
	.key_check = host_key_check,
	.admit = host_admit,
	.auth_failed = host_auth_failed,
	.auth_done = host_auth_done,
};

size_t host_output(struct peer *p, struct ssh_chan *ch, bool err, const void *data, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t room;
		void *at = ssh_chan_output_begin(ch, err, &room);

		if (!at)
			break;
		room = room < n - done ? room : n - done;
		memcpy(at, (const char *)data + done, room);
		ssh_chan_output_end(ch, room);
		done += room;
	}
	return done;
}

/* --- bytes and packets ------------------------------------------------------------------------------------------ */

struct peer *peer_create(void)
{
	struct peer *p = calloc(1, sizeof(*p));
	uint8_t seed[32] = { 1 };

	p->now = 1000 * NS_PER_S;
	p->random_state = 1;
	ssh_hostkey_from_seed(&p->hostkey, seed);
	seed[0] = 2;
	ssh_hostkey_from_seed(&p->userkey, seed);
	ssh_config_init(&p->cfg, &p->hostkey);
	p->kex = PEER_KEX;
	p->hostkeys = "ssh-ed25519";
	p->hostkey_alg = &ssh_hostkey_algs[0];
	p->ciphers = PEER_CIPHERS;
	p->macs = PEER_MACS;
	p->allow_key = true;
	p->stdin_room = SIZE_MAX;
	ssh_keys_init(&p->in, &ssh_cipher_none, NULL, NULL, NULL, NULL);
	ssh_keys_init(&p->out, &ssh_cipher_none, NULL, NULL, NULL, NULL);
	p->c = ssh_conn_create(&p->cfg, &ops, p, p->now);
	CHECK(p->c);
	return p;
}

void peer_destroy(struct peer *p)
{
	ssh_conn_destroy(p->c);
	CHECK_EQ(p->live, 0);
	CHECK_EQ(p->chans, 0);
	free(p);
}

static void drain(struct peer *p)
{
	const void *out;
	size_t n;

	while ((out = ssh_conn_output(p->c, &n))) {
		if (p->rx_head > 0) {
			memmove(p->rx, p->rx + p->rx_head, p->rx_len - p->rx_head);
			p->rx_len -= p->rx_head;
			p->rx_head = 0;
		}
		n = n < sizeof(p->rx) - p->rx_len ? n : sizeof(p->rx) - p->rx_len;
		if (n == 0)
			return;
		memcpy(p->rx + p->rx_len, out, n);
		p->rx_len += n;
		ssh_conn_output_sent(p->c, n);
	}
}

void peer_run(struct peer *p, uint64_t ns)
{
	p->now += ns;
	ssh_conn_run(p->c, p->now);
	drain(p);
	ssh_conn_run(p->c, p->now);
	drain(p);
}

void peer_feed(struct peer *p, const void *data, size_t n)
{
	const uint8_t *at = data;

	while (n > 0) {
		size_t room;
		void *in = ssh_conn_input_space(p->c, &room);

		if (!in && p->patient && !ssh_conn_is_over(p->c)) {
			peer_run(p, 20 * NS_PER_MS);
			continue;
		}
		if (!in)
			return;
		room = room < n ? room : n;
		memcpy(in, at, room);
		ssh_conn_input_done(p->c, room);
		peer_run(p, 0);
		at += room;
		n -= room;
	}
}

void peer_send(struct peer *p, const void *payload, size_t n)
{
	size_t block = p->out.block, fixed = p->out.length_outside ? 1 : 5;
	size_t pad = block - (fixed + n) % block;
	uint8_t *m = malloc(5 + n + 300);

	pad += pad < 4 ? block : 0;
	memset(m, 0x55, 5 + n + 300);
	store_be32(m, (uint32_t)(1 + n + pad));
	m[4] = (uint8_t)pad;
	memcpy(m + 5, payload, n);
	ssh_seal(&p->out, p->out_seq++, m, 5 + n + pad);
	peer_feed(p, m, 5 + n + pad + p->out.tag_len);
	free(m);
}

void peer_send_wr(struct peer *p, const struct wr *w)
{
	CHECK(!w->bad);
	peer_send(p, w->p, w->len);
}

uint8_t peer_recv(struct peer *p)
{
	uint8_t *m = p->rx + p->rx_head;
	size_t have = p->rx_len - p->rx_head;
	uint8_t first[16];
	uint32_t length;

	if (have < p->in.head_len)
		return 0;
	memcpy(first, m, p->in.head_len);
	CHECK(have >= 16);
	/* whole packets come out, so the length need be decrypted only once */
	length = ssh_peek(&p->in, p->in_seq, m);
	CHECK(length <= SSH_PACKET_MAX && 4 + length + p->in.tag_len <= have);
	CHECK_EQ(ssh_open(&p->in, p->in_seq++, m, 4 + length), 0);
	CHECK(m[4] >= 4 && m[4] + 1u < length);
	CHECK(4 + length >= 16);
	p->payload_len = length - 1 - m[4];
	memcpy(p->payload, m + 5, p->payload_len);
	p->rx_head += 4 + length + p->in.tag_len;
	return p->payload[0];
}

void peer_expect(struct peer *p, uint8_t type)
{
	uint8_t got;

	while ((got = peer_recv(p)) != type)
		CHECK_MSG(got != 0, "no message %u; log: %s", type, p->log);
}

struct rd peer_reader(struct peer *p)
{
	return rd_over(p->payload + 1, p->payload_len - 1);
}

uint32_t peer_disconnected(struct peer *p)
{
	uint32_t code = 0;
	uint8_t type;

	CHECK_MSG(ssh_conn_is_over(p->c), "still open; log: %s", p->log);
	while ((type = peer_recv(p)))
		if (type == SSH_MSG_DISCONNECT) {
			struct rd r = peer_reader(p);

			code = rd_u32(&r);
		}
	return code;
}

/* --- the protocol ------------------------------------------------------------------------------------------------- */

void peer_ident(struct peer *p)
{
	uint8_t *end;

	drain(p);
	end = memchr(p->rx, '\n', p->rx_len);
	CHECK(end && memcmp(p->rx, "SSH-2.0-tern\r\n", 14) == 0);
	p->rx_head = 14;
	peer_feed(p, IDENT "\r\n", sizeof(IDENT) + 1);
}

void peer_kexinit(struct peer *p)
{
	struct wr w = wr_over(p->kexinit_c, sizeof(p->kexinit_c));

	wr_u8(&w, SSH_MSG_KEXINIT);
	wr_put(&w, "0123456789abcdef", 16);
	wr_cstring(&w, p->kex);
	wr_cstring(&w, p->hostkeys);
	wr_cstring(&w, p->ciphers);
	wr_cstring(&w, p->ciphers);
	wr_cstring(&w, p->macs);
	wr_cstring(&w, p->macs);
	wr_cstring(&w, "zlib,none");
	wr_cstring(&w, "none");
	wr_cstring(&w, "");
	wr_cstring(&w, "");
	wr_bool(&w, p->guess);
	wr_u32(&w, 0);
	p->kexinit_c_len = w.len;
	peer_send_wr(p, &w);
}

void peer_read_kexinit(struct peer *p)
{
	struct rd r;

	peer_expect(p, SSH_MSG_KEXINIT);
	memcpy(p->kexinit_s, p->payload, p->payload_len);
	p->kexinit_s_len = p->payload_len;
	if (!p->has_session) {
		r = peer_reader(p);
		(void)rd_take(&r, 16);
		CHECK(bytes_is(
			rd_string(&r),
			"mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,"
			"curve25519-sha256,curve25519-sha256@libssh.org,kex-strict-s-v00@openssh.com"));
		p->strict = strstr(p->kex, "kex-strict-c") != NULL;
	}
}

/* The first of ours that the server has: what it must choose. */
static const struct ssh_kex_alg *agreed(const struct peer *p)
{
	for (const char *at = p->kex; *at; at += strcspn(at, ","), at += *at == ',')
		for (const struct ssh_kex_alg *a = ssh_kexes; a->name; a++)
			if (strlen(a->name) == strcspn(at, ",") &&
			    !memcmp(a->name, at, strlen(a->name)))
				return a;
	return NULL;
}

void peer_make_blob(struct peer *p)
{
	const struct ssh_kex_alg *last = p->alg;
	uint8_t seed[64];
	size_t at;

	p->alg = agreed(p);
	CHECK(p->alg);
	at = p->alg->kem ? p->alg->kem->key_len : 0;
	if (p->alg->kem == &ssh_mlkem768 && (!last || last->kem != p->alg->kem)) {
		struct libcrux_mlkem768_keypair pair;

		host_random(p, seed, sizeof(seed));
		pair = libcrux_ml_kem_mlkem768_portable_generate_key_pair(seed);
		memcpy(p->blob, pair.pk.value, at);
		memcpy(p->kem_secret, pair.sk.value, sizeof(pair.sk.value));
	} else if (p->alg->kem && (!last || last->kem != p->alg->kem)) {
		crypto_kem_sntrup761_keypair(p->blob, p->kem_secret);
	}
	host_random(p, p->scalar, 32);
	crypto_scalarmult_curve25519_base(p->blob + at, p->scalar);
	p->blob_len = at + 32;
}

void peer_send_blob(struct peer *p, size_t n)
{
	uint8_t m[1300];
	struct wr w = wr_over(m, sizeof(m));

	wr_u8(&w, SSH_MSG_KEX_ECDH_INIT);
	wr_string(&w, p->blob, n);
	peer_send_wr(p, &w);
}

void peer_ecdh_init(struct peer *p)
{
	peer_make_blob(p);
	peer_send_blob(p, p->blob_len);
}

/* The shared secret as it is hashed: RFC 8731, draft-ietf-sshm-mlkem-hybrid-kex, RFC 9941. */
static void agree(struct peer *p, struct bytes theirs, struct wr *form)
{
	const struct ssh_kem *kem = p->alg->kem;
	size_t at = kem ? kem->cipher_len : 0;
	uint8_t both[64], digest[64];
	br_hash_compat_context h;

	CHECK_EQ(theirs.n, at + 32);
	if (kem == &ssh_mlkem768) {
		struct libcrux_mlkem768_sk sk;
		struct libcrux_mlkem768_ciphertext ct;

		memcpy(sk.value, p->kem_secret, sizeof(sk.value));
		memcpy(ct.value, theirs.p, sizeof(ct.value));
		libcrux_ml_kem_mlkem768_portable_decapsulate(&sk, &ct, both);
	} else if (kem) {
		crypto_kem_sntrup761_dec(both, theirs.p, p->kem_secret);
	}
	CHECK_EQ(crypto_scalarmult_curve25519(both + 32, p->scalar, theirs.p + at), 0);
	if (!kem) {
		wr_mpint(form, both + 32, 32);
		return;
	}
	p->alg->hash->init(&h.vtable);
	h.vtable->update(&h.vtable, both, 64);
	h.vtable->out(&h.vtable, digest);
	wr_string(form, digest, ssh_hash_len(p->alg->hash));
}

static void hash_string(br_hash_compat_context *h, const void *s, size_t n)
{
	uint8_t len[4];

	store_be32(len, (uint32_t)n);
	h->vtable->update(&h->vtable, len, 4);
	h->vtable->update(&h->vtable, s, n);
}

static void derive(struct peer *p, struct wr *secret, const uint8_t *hash, char letter,
		   uint8_t *out, size_t n)
{
	size_t have = 0, len = ssh_hash_len(p->alg->hash);
	br_hash_compat_context h;

	while (have < n) {
		uint8_t block[64];

		p->alg->hash->init(&h.vtable);
		h.vtable->update(&h.vtable, secret->p, secret->len);
		h.vtable->update(&h.vtable, hash, len);
		if (have == 0) {
			h.vtable->update(&h.vtable, &letter, 1);
			h.vtable->update(&h.vtable, p->session, p->hash_len);
		} else {
			h.vtable->update(&h.vtable, out, have);
		}
		h.vtable->out(&h.vtable, block);
		memcpy(out + have, block, n - have < len ? n - have : len);
		have += n - have < len ? n - have : len;
	}
}

static void derive_keys(struct peer *p, struct ssh_keys *k, struct wr *secret, const uint8_t *hash,
			const char *letters)
{
	const struct ssh_cipher_alg *cipher = NULL;
	const struct ssh_mac_alg *mac = NULL;
	uint8_t iv[64], key[64], mac_key[64];
	size_t first = strcspn(p->ciphers, ","), mac_first = strcspn(p->macs, ",");

	for (size_t i = 0; ssh_ciphers[i]; i++)
		if (strncmp(ssh_ciphers[i]->name, p->ciphers, first) == 0 &&
		    strlen(ssh_ciphers[i]->name) == first)
			cipher = ssh_ciphers[i];
	for (size_t i = 0; ssh_macs[i]; i++)
		if (strncmp(ssh_macs[i]->name, p->macs, mac_first) == 0 &&
		    strlen(ssh_macs[i]->name) == mac_first)
			mac = ssh_macs[i];
	CHECK(cipher && (mac || cipher->tag_len));
	derive(p, secret, hash, letters[0], iv, 64);
	derive(p, secret, hash, letters[1], key, 64);
	derive(p, secret, hash, letters[2], mac_key, 64);
	ssh_keys_init(k, cipher, cipher->tag_len ? NULL : mac, key, iv, mac_key);
}

void peer_read_reply(struct peer *p)
{
	uint8_t form[80], hash[64], want[600], key_blob[SSH_HOSTKEY_BLOB_MAX];
	struct wr secret = wr_over(form, sizeof(form)), sig = wr_over(want, sizeof(want)),
		  blob = wr_over(key_blob, sizeof(key_blob));
	const struct ssh_hostkey *key = p->cfg.hostkeys[p->hostkey_alg->kind];
	struct bytes host_key, point, got;
	size_t len = ssh_hash_len(p->alg->hash);
	br_hash_compat_context h;
	struct rd r;

	peer_expect(p, SSH_MSG_KEX_ECDH_REPLY);
	r = peer_reader(p);
	host_key = rd_string(&r);
	point = rd_string(&r);
	got = rd_string(&r);
	CHECK_EQ(rd_finish(&r), 0);
	ssh_hostkey_write(key, &blob);
	CHECK(host_key.n == blob.len - 4 && memcmp(host_key.p, key_blob + 4, host_key.n) == 0);
	agree(p, point, &secret);
	memcpy(p->agreed, form + 4, secret.len - 4);
	p->agreed_len = secret.len - 4;
	p->alg->hash->init(&h.vtable);
	hash_string(&h, IDENT, sizeof(IDENT) - 1);
	hash_string(&h, "SSH-2.0-tern", 12);
	hash_string(&h, p->kexinit_c, p->kexinit_c_len);
	hash_string(&h, p->kexinit_s, p->kexinit_s_len);
	hash_string(&h, host_key.p, host_key.n);
	hash_string(&h, p->blob, p->blob_len);
	hash_string(&h, point.p, point.n);
	h.vtable->update(&h.vtable, form, secret.len);
	h.vtable->out(&h.vtable, hash);
	CHECK_EQ(ssh_hostkey_sign(key, p->hostkey_alg, hash, len, &sig), 0);
	CHECK(got.n == sig.len - 4 && memcmp(got.p, want + 4, got.n) == 0);
	if (!p->has_session) {
		memcpy(p->session, hash, len);
		p->hash_len = len;
	}
	p->has_session = true;
	derive_keys(p, &p->next_out, &secret, hash, "ACE");
	derive_keys(p, &p->next_in, &secret, hash, "BDF");
}

void peer_newkeys(struct peer *p)
{
	uint8_t m = SSH_MSG_NEWKEYS;

	peer_send(p, &m, 1);
	p->out = p->next_out;
	if (p->strict)
		p->out_seq = 0;
	if (p->out.cipher->ops->init == ssh_cipher_aes128_gcm.ops->init)
		p->out.gcm.ctx.bctx = &p->out.gcm.aes.vtable;
}

void peer_read_newkeys(struct peer *p)
{
	peer_expect(p, SSH_MSG_NEWKEYS);
	CHECK_EQ(p->payload_len, 1);
	p->in = p->next_in;
	if (p->strict)
		p->in_seq = 0;
	if (p->in.cipher->ops->init == ssh_cipher_aes128_gcm.ops->init)
		p->in.gcm.ctx.bctx = &p->in.gcm.aes.vtable;
}

void peer_kex(struct peer *p)
{
	peer_kexinit(p);
	peer_read_kexinit(p);
	peer_ecdh_init(p);
	peer_read_reply(p);
	peer_newkeys(p);
	peer_read_newkeys(p);
}

void peer_service(struct peer *p)
{
	uint8_t m[64];
	struct wr w = wr_over(m, sizeof(m));

	wr_u8(&w, SSH_MSG_SERVICE_REQUEST);
	wr_cstring(&w, "ssh-userauth");
	peer_send_wr(p, &w);
	peer_expect(p, SSH_MSG_SERVICE_ACCEPT);
}

void peer_auth(struct peer *p, const char *user, int flags)
{
	uint8_t m[512], text[600], key_blob[60], sig[100];
	struct wr w = wr_over(m, sizeof(m)), t = wr_over(text, sizeof(text)),
		  k = wr_over(key_blob, sizeof(key_blob)), s = wr_over(sig, sizeof(sig));

	ssh_hostkey_write(&p->userkey, &k);
	wr_u8(&w, SSH_MSG_USERAUTH_REQUEST);
	wr_cstring(&w, user);
	wr_cstring(&w, "ssh-connection");
	wr_cstring(&w, "publickey");
	wr_bool(&w, !(flags & AUTH_QUERY));
	wr_cstring(&w, flags & AUTH_OTHER_ALG ? "rsa-sha2-256" : "ssh-ed25519");
	wr_put(&w, key_blob, k.len);
	if (!(flags & AUTH_QUERY)) {
		if (flags & AUTH_BAD_SESSION)
			p->session[0] ^= 1;
		wr_string(&t, p->session, p->hash_len);
		wr_put(&t, m, w.len);
		if (flags & AUTH_BAD_SESSION)
			p->session[0] ^= 1;
		CHECK_EQ(ssh_hostkey_sign(&p->userkey, NULL, text, t.len, &s), 0);
		if (flags & AUTH_BAD_SIG)
			sig[s.len - 1] ^= 1;
		wr_put(&w, sig, s.len);
	}
	peer_send_wr(p, &w);
}

void peer_login(struct peer *p)
{
	peer_ident(p);
	peer_kex(p);
	peer_service(p);
	peer_auth(p, "root", 0);
	peer_expect(p, SSH_MSG_USERAUTH_SUCCESS);
}

uint32_t peer_open(struct peer *p, uint32_t mine, uint32_t window, uint32_t max)
{
	uint8_t m[64];
	struct wr w = wr_over(m, sizeof(m));
	uint32_t theirs;
	struct rd r;

	wr_u8(&w, SSH_MSG_CHANNEL_OPEN);
	wr_cstring(&w, "session");
	wr_u32(&w, mine);
	wr_u32(&w, window);
	wr_u32(&w, max);
	peer_send_wr(p, &w);
	peer_expect(p, SSH_MSG_CHANNEL_OPEN_CONFIRMATION);
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), mine);
	theirs = rd_u32(&r);
	CHECK(rd_u32(&r) >= 32768);
	CHECK_EQ(rd_u32(&r), SSH_DATA_MAX);
	CHECK_EQ(rd_finish(&r), 0);
	return theirs;
}

uint32_t peer_forward(struct peer *p, uint32_t mine, const char *to, uint32_t port)
{
	uint8_t m[200];
	struct wr w = wr_over(m, sizeof(m));
	struct rd r;

	wr_u8(&w, SSH_MSG_CHANNEL_OPEN);
	wr_cstring(&w, "direct-tcpip");
	wr_u32(&w, mine);
	wr_u32(&w, 100000);
	wr_u32(&w, 32768);
	wr_cstring(&w, to);
	wr_u32(&w, port);
	wr_cstring(&w, "127.0.0.1");
	wr_u32(&w, 1234);
	peer_send_wr(p, &w);
	if (peer_recv(p) != SSH_MSG_CHANNEL_OPEN_FAILURE)
		return UINT32_MAX;
	r = peer_reader(p);
	CHECK_EQ(rd_u32(&r), mine);
	return rd_u32(&r);
}

uint8_t peer_listen(struct peer *p, bool on, const char *address, uint32_t port)
{
	uint8_t m[200];
	struct wr w = wr_over(m, sizeof(m));

	wr_u8(&w, SSH_MSG_GLOBAL_REQUEST);
	wr_cstring(&w, on ? "tcpip-forward" : "cancel-tcpip-forward");
	wr_bool(&w, true);
	wr_cstring(&w, address);
	wr_u32(&w, port);
	peer_send_wr(p, &w);
	return peer_recv(p);
}

void peer_request(struct peer *p, uint32_t chan, const char *name, bool reply, const void *rest,
		  size_t n)
{
	uint8_t *m = malloc(100 + n);
	struct wr w = wr_over(m, 100 + n);

	wr_u8(&w, SSH_MSG_CHANNEL_REQUEST);
	wr_u32(&w, chan);
	wr_cstring(&w, name);
	wr_bool(&w, reply);
	wr_put(&w, rest, n);
	peer_send_wr(p, &w);
	free(m);
}

void peer_exec(struct peer *p, uint32_t chan, const char *command)
{
	uint8_t m[300];
	struct wr w = wr_over(m, sizeof(m));

	wr_cstring(&w, command);
	peer_request(p, chan, "exec", true, m, w.len);
	peer_expect(p, SSH_MSG_CHANNEL_SUCCESS);
}

void peer_data(struct peer *p, uint32_t chan, const void *data, size_t n)
{
	uint8_t *m = malloc(9 + n);
	struct wr w = wr_over(m, 9 + n);

	wr_u8(&w, SSH_MSG_CHANNEL_DATA);
	wr_u32(&w, chan);
	wr_string(&w, data, n);
	peer_send_wr(p, &w);
	free(m);
}

void peer_numbers(struct peer *p, uint8_t type, unsigned count, uint32_t a, uint32_t b)
{
	uint8_t m[9] = { type };

	store_be32(m + 1, a);
	store_be32(m + 5, b);
	peer_send(p, m, 1 + 4 * count);
}
