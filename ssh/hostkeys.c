/* SPDX-License-Identifier: MIT */
/* OpenSSH's announcement of host keys (its PROTOCOL 2.5): a client that knows one of ours is told of all, asks for a proof of
 * each that is new to it, and keeps them. So a key can be added, and later the old one taken away, without a warning. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/conn_priv.h"
#include "ssh/hostkey.h"
#include "ssh/kem.h"

#define PROVE	 "hostkeys-prove-00@openssh.com"
#define KEYS_MAX (SSH_HOSTKEY_KINDS * SSH_HOSTKEY_BLOB_MAX)

/* One key is no news to who has just verified it. */
void ssh_hostkeys_announce(struct ssh_conn *c)
{
	const struct ssh_hostkey *const *keys = c->cfg->hostkeys;
	struct wr *w;

	if (!keys[SSH_HOSTKEY_ED25519] || !keys[SSH_HOSTKEY_RSA] ||
	    ssh_msg_room(c, 64 + KEYS_MAX) < 64 + KEYS_MAX)
		return;
	w = ssh_msg_begin(c, SSH_MSG_GLOBAL_REQUEST, 64 + KEYS_MAX);
	wr_cstring(w, "hostkeys-00@openssh.com");
	wr_bool(w, false);
	for (unsigned i = 0; i < SSH_HOSTKEY_KINDS; i++)
		ssh_hostkey_write(keys[i], w);
	ssh_msg_end(c);
}

/* The proofs, for another stack. */
struct proof {
	struct ssh_conn *c;
	struct rd *keys;
	struct wr *w;
	int err;
};

static int prove_one(const struct proof *p, const struct ssh_hostkey *k)
{
	const struct ssh_hostkey_alg *alg = p->c->hostkey_alg;
	uint8_t text[sizeof(PROVE) + SSH_HASH_MAX + SSH_HOSTKEY_BLOB_MAX + 16];
	struct wr t = wr_over(text, sizeof(text));

	wr_cstring(&t, PROVE);
	wr_string(&t, p->c->session_id, p->c->session_id_len);
	ssh_hostkey_write(k, &t);
	if (t.bad)
		return -EMSGSIZE;
	return ssh_hostkey_sign(k, alg->kind == k->kind ? alg : NULL, text, t.len, p->w);
}

static const struct ssh_hostkey *find(const struct ssh_conn *c, struct bytes blob)
{
	uint8_t space[SSH_HOSTKEY_BLOB_MAX];

	for (unsigned i = 0; i < SSH_HOSTKEY_KINDS; i++) {
		struct wr w = wr_over(space, sizeof(space));

		if (!c->cfg->hostkeys[i])
			continue;
		ssh_hostkey_write(c->cfg->hostkeys[i], &w);
		if (bytes_equal(blob, (struct bytes){ space + 4, w.len - 4 }))
			return c->cfg->hostkeys[i];
	}
	return NULL;
}

static void prove_all(void *arg)
{
	struct proof *p = arg;
	const struct ssh_hostkey *k;

	for (unsigned i = 0; i < SSH_HOSTKEY_KINDS && p->keys->left > 0 && !p->err; i++) {
		k = find(p->c, rd_string(p->keys));
		p->err = k ? prove_one(p, k) : -ENOENT;
	}
	if (rd_finish(p->keys))
		p->err = -EPROTO;
	ssh_kex_wipe_stack();
}

bool ssh_hostkeys_prove(struct ssh_conn *c, struct rd *r)
{
	struct proof p = { .c = c, .keys = r };
	int err = 0;

	/* each is as dear as a key exchange, and one is all that a client needs; amid an exchange there is no room for it */
	if (c->proved || !ssh_msg_may_send(c) || ssh_msg_room(c, 1 + KEYS_MAX) < 1 + KEYS_MAX)
		return false;
	c->proved = true;
	p.w = ssh_msg_begin(c, SSH_MSG_REQUEST_SUCCESS, 1 + KEYS_MAX);
	if (c->ops->deep)
		err = c->ops->deep(c->host, prove_all, &p);
	else
		prove_all(&p);
	if (err || p.err) {
		ssh_msg_cancel(c);
		return false;
	}
	ssh_msg_end(c);
	return true;
}
