/* SPDX-License-Identifier: MIT */
/* The course of a key exchange (RFC 4253 s7 to s9, strict kex of draft-miller-sshm-strict-kex).
 *
 * Ours goes out late on purpose. Our KEXINIT waits for the client's and our NEWKEYS for the client's NEWKEYS, each at
 * most cfg->hold_ns; a client's first NEWKEYS, if later, is answered by IGNORE: one with Nagle's algorithm on would else
 * stall on a delayed acknowledgement twice, which costs 85 ms of each login.
 *
 *	-> KEXINIT, <- KEXINIT (either first)	got_init, sent_init	hash begins, suites are agreed
 *	-> KEX_ECDH_INIT			replied			keys are derived, <- KEX_ECDH_REPLY
 *	<- NEWKEYS, -> NEWKEYS (either first)	sent_newkeys, got_newkeys	each direction changes keys
 * Between sent_init and sent_newkeys all but transport messages are held back. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/hostkey.h"
#include "ssh/kem.h"
#include "ssh/kex_priv.h"
#include "ssh/sig.h"

/* A client may rekey REKEY_BURST times at once, then once each REKEY_EACH_NS; more is answered late. Before login
 * a few times at most. */
#define REKEY_EACH_NS	 (20 * NS_PER_MS)
#define REKEY_BURST	 200
#define REKEY_MAX_UNAUTH 3

#define KEX_MESSAGE_MAX	 4096

static void hash_u32(struct ssh_kex *kex, uint32_t v)
{
	uint8_t b[4];

	store_be32(b, v);
	kex->alg->hash->update(&kex->hash.vtable, b, sizeof(b));
}

static void hash_string(struct ssh_kex *kex, const void *p, size_t n)
{
	hash_u32(kex, (uint32_t)n);
	kex->alg->hash->update(&kex->hash.vtable, p, n);
}

static struct ssh_kex *kex_begin(struct ssh_conn *c)
{
	struct ssh_kex *kex = ssh_alloc(c, sizeof(*kex));

	if (!kex)
		return NULL;
	memset(kex, 0, sizeof(*kex));
	kex->give_up_at = c->session_id_len > 0 ? c->now + c->cfg->rekey_wait_ns : DEADLINE_NEVER;
	kex->hold_until = DEADLINE_NEVER;
	c->kex = kex;
	return kex;
}

void ssh_keys_free(struct ssh_conn *c, struct ssh_keys **k)
{
	if (!*k)
		return;
	/* and what AES left of it in its frames, a key's rounds */
	ssh_kex_wipe_stack();
	secure_zero(*k, sizeof(**k));
	ssh_free(c, *k, sizeof(**k));
	*k = NULL;
}

void ssh_kex_free(struct ssh_conn *c)
{
	if (!c->kex)
		return;
	ssh_keys_free(c, &c->kex->in.keys);
	ssh_keys_free(c, &c->kex->out.keys);
	secure_zero(c->kex, sizeof(*c->kex));
	ssh_free(c, c->kex, sizeof(*c->kex));
	c->kex = NULL;
}

bool ssh_kex_blocks_output(const struct ssh_conn *c)
{
	return c->kex && c->kex->sent_init && !c->kex->sent_newkeys;
}

static int kexinit_send(struct ssh_conn *c)
{
	struct ssh_kex *kex = c->kex;
	struct wr *w;
	int err = ssh_kexinit_write(c);

	if (err)
		return ssh_fail_local(c, err);
	w = ssh_msg_begin(c, SSH_MSG_KEXINIT, kex->init_len);
	wr_put(w, kex->init + 1, kex->init_len - 1);
	ssh_msg_end(c);
	kex->sent_init = true;
	kex->hold_until = DEADLINE_NEVER;
	return 0;
}

/* No memory for a key exchange: another try a little later, but not for ever. */
static int kex_short(struct ssh_conn *c)
{
	if (ssh_short(c, &c->kex_short_since))
		return 0;
	return ssh_fail(c, SSH_DISCONNECT_KEY_EXCHANGE_FAILED, "no memory for a key exchange");
}

/* The same for a message of the client's: nothing has come of it yet. */
static int message_again(struct ssh_conn *c)
{
	c->packet_again = kex_short(c) == 0;
	return c->packet_again ? 0 : -EPROTO;
}

static bool has_room(struct ssh_conn *c, size_t n)
{
	return ssh_msg_room(c, n) == n;
}

int ssh_kex_expect(struct ssh_conn *c)
{
	if (!kex_begin(c))
		return ssh_fail_local(c, -ENOMEM);
	c->kex->hold_until = c->now + c->cfg->hold_ns;
	return 0;
}

/* A client that does nothing but rekey costs us elliptic curves: slow it down, not its memory. */
static int limit_rekeys(struct ssh_conn *c)
{
	uint64_t burst = REKEY_BURST * REKEY_EACH_NS;

	if (c->session_id_len == 0)
		return 0;
	if (c->phase != SSH_PHASE_OPEN && c->rekeys >= REKEY_MAX_UNAUTH)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR,
				"too many key exchanges before login");
	c->rekey_credit_at = MAX(c->rekey_credit_at, c->now) + REKEY_EACH_NS;
	if (c->rekey_credit_at > c->now + burst)
		c->pause_until = MAX(c->pause_until, c->rekey_credit_at - burst);
	return 0;
}

int ssh_kexinit_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct ssh_kex *kex;
	int err;

	if (!has_room(c, SSH_INIT_MAX) || (!c->kex && !kex_begin(c)))
		return message_again(c);
	kex = c->kex;
	err = kex->sent_init ? 0 : limit_rekeys(c) ?: kexinit_send(c);
	err = err ?: ssh_kex_negotiate(c, r);
	if (err)
		return err;
	kex->got_init = true;
	kex->alg->hash->init(&kex->hash.vtable);
	hash_string(kex, c->ident, c->ident_len);
	hash_string(kex, c->cfg->ident, strlen(c->cfg->ident));
	hash_string(kex, payload.p, payload.n);
	hash_string(kex, kex->init, kex->init_len);
	if (c->phase == SSH_PHASE_KEXINIT)
		c->phase = SSH_PHASE_KEX;
	return 0;
}

bool ssh_kex_drops_guess(struct ssh_conn *c, uint8_t type)
{
	bool drop = c->kex && c->kex->drop_guess && type >= SSH_MSG_KEX_ECDH_INIT &&
		    type < SSH_MSG_USERAUTH_REQUEST;

	if (c->kex)
		c->kex->drop_guess = false;
	return drop;
}

/* RFC 4253 s7.2: key material named by letter, n bytes or more, up to SSH_HASH_MAX, as whole hashes K1 || K2 .. secret is in the form
 * it is hashed in. */
static void derive(struct ssh_conn *c, struct bytes secret, const uint8_t *hash, char letter,
		   uint8_t out[2 * SSH_HASH_MAX], size_t n)
{
	const br_hash_class *h = c->kex->alg->hash;
	size_t len = ssh_hash_len(h);
	br_hash_compat_context ctx;

	for (size_t have = 0; have < n; have += len) {
		h->init(&ctx.vtable);
		h->update(&ctx.vtable, secret.p, secret.n);
		h->update(&ctx.vtable, hash, len);
		if (have == 0) {
			h->update(&ctx.vtable, &letter, 1);
			h->update(&ctx.vtable, c->session_id, c->session_id_len);
		}
		h->update(&ctx.vtable, out, have);
		h->out(&ctx.vtable, out + have);
	}
	secure_zero(&ctx, sizeof(ctx));
}

static void derive_suite(struct ssh_conn *c, struct ssh_suite *s, struct bytes secret,
			 const uint8_t *hash, const char letters[3])
{
	struct {
		uint8_t iv[2 * SSH_HASH_MAX], key[2 * SSH_HASH_MAX], mac[2 * SSH_HASH_MAX];
	} m;

	derive(c, secret, hash, letters[0], m.iv, s->cipher->iv_len);
	derive(c, secret, hash, letters[1], m.key, s->cipher->key_len);
	derive(c, secret, hash, letters[2], m.mac, s->mac ? s->mac->len : 0);
	ssh_keys_init(s->keys, s->cipher, s->mac, m.key, m.iv, m.mac);
	secure_zero(&m, sizeof(m));
}

/* The exchange hash, the session's name, and the keys of both directions. */
static void finish_hash(struct ssh_conn *c, struct bytes secret, uint8_t hash[SSH_HASH_MAX])
{
	struct ssh_kex *kex = c->kex;
	const br_hash_class *h = kex->alg->hash;

	h->update(&kex->hash.vtable, secret.p, secret.n);
	h->out(&kex->hash.vtable, hash);
	secure_zero(&kex->hash, sizeof(kex->hash));
	if (c->session_id_len == 0) {
		/* the server answered: now it is the client's turn, as in the later ones */
		kex->give_up_at = c->now + c->cfg->rekey_wait_ns;
		c->session_id_len = ssh_hash_len(h);
		memcpy(c->session_id, hash, c->session_id_len);
	}
	derive_suite(c, &kex->in, secret, hash, "ACE");
	derive_suite(c, &kex->out, secret, hash, "BDF");
}

static bool take_keys(struct ssh_conn *c, struct ssh_suite *s)
{
	if (!s->keys)
		s->keys = ssh_alloc(c, sizeof(*s->keys));
	return s->keys;
}

/* Our half into w (a message under construction), the hash of all into hash. -ENOMEM: nothing has come of it yet. */
static int exchange(struct ssh_conn *c, struct bytes client, struct wr *w, uint8_t *hash)
{
	struct ssh_kex *kex = c->kex;
	uint8_t form[SSH_SECRET_MAX];
	struct wr secret = wr_over(form, sizeof(form));
	size_t mark, key = w->len + 4;
	int err;

	if (!take_keys(c, &kex->in) || !take_keys(c, &kex->out))
		return -ENOMEM;
	ssh_hostkey_write(c->cfg->hostkeys[c->hostkey_alg->kind], w);
	mark = wr_string_begin(w);
	err = ssh_kex_respond(c, client, w, &secret);
	if (!err && (w->bad || secret.bad))
		err = -EMSGSIZE;
	if (!err) {
		wr_string_end(w, mark);
		hash_string(kex, w->p + key, mark - 4 - key);
		hash_string(kex, client.p, client.n);
		hash_string(kex, w->p + mark, w->len - mark);
		finish_hash(c, (struct bytes){ form, secret.len }, hash);
	}
	secure_zero(form, sizeof(form));
	return err;
}

/* The whole answer, for another stack. */
struct answer {
	struct ssh_conn *c;
	struct bytes client;
	struct wr *w;
	int err;
};

static void make_answer(void *arg)
{
	struct answer *a = arg;
	const struct ssh_hostkey_alg *alg = a->c->hostkey_alg;
	uint8_t hash[SSH_HASH_MAX];

	a->err = exchange(a->c, a->client, a->w, hash);
	if (!a->err)
		a->err = ssh_hostkey_sign(a->c->cfg->hostkeys[alg->kind], alg, hash,
					  ssh_hash_len(a->c->kex->alg->hash), a->w);
	secure_zero(hash, sizeof(hash));
	ssh_kex_wipe_stack();
}

static void ext_info_send(struct ssh_conn *c)
{
	struct wr *w = ssh_msg_begin(c, SSH_MSG_EXT_INFO, 256);

	wr_u32(w, 1);
	wr_cstring(w, "server-sig-algs");
	wr_cstring(w, SSH_SIG_ALGS);
	ssh_msg_end(c);
}

/* Both NEWKEYS are through. */
static void kex_finish(struct ssh_conn *c)
{
	c->kex_name = c->kex->alg->name;
	c->kexed_at = c->now;
	c->kex_short_since = 0;
	ssh_kex_free(c);
}

/* What follows in this direction is under the new keys. */
static void change_keys(struct ssh_conn *c, struct ssh_dir *d, struct ssh_suite *agreed)
{
	ssh_keys_free(c, &d->keys);
	d->keys = agreed->keys;
	agreed->keys = NULL;
	d->rekey_bytes = d->rekey_packets = 0;
	if (c->strict)
		d->seq = 0;
}

static void newkeys_send(struct ssh_conn *c)
{
	struct ssh_kex *kex = c->kex;

	(void)ssh_msg_begin(c, SSH_MSG_NEWKEYS, 1);
	ssh_msg_end(c);
	if (c->phase == SSH_PHASE_OVER)
		return;
	change_keys(c, &c->out, &kex->out);
	kex->sent_newkeys = true;
	/* RFC 8308 s2.4: the first behind it, for some clients choose how to sign as soon as they have NEWKEYS */
	if (!c->kex_name && c->ext_info)
		ext_info_send(c);
	kex->hold_until = DEADLINE_NEVER;
	ssh_held_send(c);
	if (kex->got_newkeys)
		kex_finish(c);
}

int ssh_kex_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct answer a = { .c = c, .client = rd_string(r) };
	int err = 0;

	if (rd_finish(r))
		return ssh_fail(c, SSH_DISCONNECT_KEY_EXCHANGE_FAILED,
				"malformed key exchange message");
	if (!has_room(c, KEX_MESSAGE_MAX))
		return message_again(c);
	a.w = ssh_msg_begin(c, SSH_MSG_KEX_ECDH_REPLY, KEX_MESSAGE_MAX);
	if (c->ops->deep)
		err = c->ops->deep(c->host, make_answer, &a);
	else
		make_answer(&a);
	err = err ? err : a.err;
	if (err) {
		ssh_msg_cancel(c);
		if (err == -ENOMEM)
			return message_again(c);
		if (err == -EPROTO)
			return ssh_fail(c, SSH_DISCONNECT_KEY_EXCHANGE_FAILED,
					"bad key exchange value");
		return ssh_fail_local(c, err);
	}
	ssh_msg_end(c);
	c->kex->replied = true;
	if (c->phase == SSH_PHASE_KEX) {
		c->phase = SSH_PHASE_NEWKEYS;
		/* an RSA signature takes longer than the hold */
		c->now = c->ops->now ? c->ops->now(c->host) : c->now;
		c->kex->hold_until = c->now + c->cfg->hold_ns;
	} else {
		c->rekeys++;
		newkeys_send(c);
	}
	return 0;
}

int ssh_newkeys_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct ssh_kex *kex = c->kex;

	if (rd_finish(r))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed NEWKEYS");
	change_keys(c, &c->in, &kex->in);
	kex->got_newkeys = true;
	if (c->phase == SSH_PHASE_NEWKEYS)
		c->phase = SSH_PHASE_SERVICE;
	if (!kex->sent_newkeys) {
		newkeys_send(c);
		return 0;
	}
	/* what a client with Nagle's algorithm waits for: its acknowledgement */
	if (!c->kex_name) {
		wr_u32(ssh_msg_begin(c, SSH_MSG_IGNORE, 5), 0);
		ssh_msg_end(c);
	}
	kex_finish(c);
	return 0;
}

static bool is_spent(const struct ssh_config *cfg, const struct ssh_dir *d)
{
	return d->rekey_bytes >= cfg->rekey_bytes || d->rekey_packets >= cfg->rekey_packets;
}

bool ssh_rekey_is_due(const struct ssh_conn *c)
{
	/* ours may be spent before the client's NEWKEYS has come */
	return is_spent(c->cfg, &c->out) ||
	       (!c->kex && (is_spent(c->cfg, &c->in) || c->now - c->kexed_at >= c->cfg->rekey_ns));
}

void ssh_rekey_run(struct ssh_conn *c)
{
	if (c->kex || !ssh_rekey_is_due(c) || c->now < c->pause_until)
		return;
	/* On failure the connection is over, which the caller sees. */
	if (!has_room(c, SSH_INIT_MAX) || !kex_begin(c))
		(void)kex_short(c);
	else
		(void)kexinit_send(c);
}

uint64_t ssh_rekey_deadline(const struct ssh_conn *c)
{
	if (c->kex)
		return DEADLINE_NEVER;
	return MAX(ssh_rekey_is_due(c) ? c->now : c->kexed_at + c->cfg->rekey_ns, c->pause_until);
}

void ssh_kex_run(struct ssh_conn *c)
{
	struct ssh_kex *kex = c->kex;

	if (!kex)
		return;
	if (kex->hold_until <= c->now) {
		if (!kex->sent_init && !has_room(c, SSH_INIT_MAX)) {
			(void)kex_short(c);
			kex->hold_until = c->pause_until;
		} else {
			c->late++;
			if (kex->sent_init)
				newkeys_send(c);
			else
				(void)kexinit_send(c);
		}
	} else if (kex->give_up_at <= c->now) {
		(void)ssh_fail(c, SSH_DISCONNECT_KEY_EXCHANGE_FAILED,
			       "no answer to a key exchange");
	}
}

uint64_t ssh_kex_deadline(const struct ssh_conn *c)
{
	return c->kex ? MIN(c->kex->hold_until, c->kex->give_up_at) : DEADLINE_NEVER;
}
