/* SPDX-License-Identifier: MIT */
/* SSH_MSG_KEXINIT (RFC 4253 s7.1): our offer, and the choice by the client's order. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/hostkey.h"
#include "ssh/kex_priv.h"
#include "ssh/namelist.h"

#define COOKIE_BYTES  16
#define STRICT_SERVER "kex-strict-s-v00@openssh.com"
#define STRICT_CLIENT "kex-strict-c-v00@openssh.com"
#define EXT_CLIENT    "ext-info-c"

const char *ssh_kex_name(size_t i)
{
	return ssh_kexes[i].name;
}

const char *ssh_hostkey_alg_name(size_t i)
{
	return ssh_hostkey_algs[i].name;
}

const char *ssh_cipher_name(size_t i)
{
	return ssh_ciphers[i] ? ssh_ciphers[i]->name : NULL;
}

const char *ssh_mac_name(size_t i)
{
	return ssh_macs[i] ? ssh_macs[i]->name : NULL;
}

uint32_t ssh_hostkey_algs_of(const struct ssh_config *cfg)
{
	uint32_t mask = 0;

	for (size_t i = 0; ssh_hostkey_algs[i].name; i++)
		if (cfg->hostkeys[ssh_hostkey_algs[i].kind])
			mask |= 1u << i;
	return mask & cfg->hostkey_algs;
}

/* A name-list of those of ours that the mask has, and what is to follow it. */
static void put_names(struct wr *w, ssh_name_fn *ours, uint32_t mask, const char *more)
{
	size_t mark = wr_string_begin(w), empty = w->len;

	for (size_t i = 0; ours(i); i++) {
		if (!(mask >> i & 1))
			continue;
		if (w->len > empty)
			wr_u8(w, ',');
		wr_put(w, ours(i), strlen(ours(i)));
	}
	wr_put(w, more, strlen(more));
	wr_string_end(w, mark);
}

int ssh_kexinit_write(struct ssh_conn *c)
{
	uint8_t cookie[COOKIE_BYTES];
	struct wr w = wr_over(c->kex->init, sizeof(c->kex->init));
	int err = c->ops->random(c->host, cookie, sizeof(cookie));

	if (err)
		return err;
	wr_u8(&w, SSH_MSG_KEXINIT);
	wr_put(&w, cookie, sizeof(cookie));
	put_names(&w, ssh_kex_name, c->cfg->kexes, c->session_id_len == 0 ? "," STRICT_SERVER : "");
	put_names(&w, ssh_hostkey_alg_name, ssh_hostkey_algs_of(c->cfg), "");
	put_names(&w, ssh_cipher_name, c->cfg->ciphers, "");
	put_names(&w, ssh_cipher_name, c->cfg->ciphers, "");
	put_names(&w, ssh_mac_name, c->cfg->macs, "");
	put_names(&w, ssh_mac_name, c->cfg->macs, "");
	wr_cstring(&w, "none");
	wr_cstring(&w, "none");
	wr_cstring(&w, "");
	wr_cstring(&w, "");
	wr_bool(&w, false);
	wr_u32(&w, 0);
	if (w.bad)
		return -EMSGSIZE;
	c->kex->init_len = w.len;
	return 0;
}

/* The place in ours of the client's first name that is there, and in the mask, or -1. */
static int choose(struct bytes list, ssh_name_fn *ours, uint32_t mask)
{
	struct bytes name;

	while (ssh_namelist_next(&list, &name))
		for (int i = 0; ours((size_t)i); i++)
			if ((mask >> i & 1) && bytes_is(name, ours((size_t)i)))
				return i;
	return -1;
}

/* Cipher and MAC of one direction; what is missing, or NULL. */
static const char *choose_suite(struct ssh_suite *s, const struct ssh_config *cfg,
				struct bytes ciphers, struct bytes macs)
{
	int cipher = choose(ciphers, ssh_cipher_name, cfg->ciphers),
	    mac = choose(macs, ssh_mac_name, cfg->macs);

	if (cipher < 0)
		return "no cipher in common";
	s->cipher = ssh_ciphers[cipher];
	s->mac = s->cipher->tag_len > 0 || mac < 0 ? NULL : ssh_macs[mac];
	return s->cipher->tag_len > 0 || s->mac ? NULL : "no MAC in common";
}

/* The lists of a KEXINIT, in the message's order. */
enum {
	KEX,
	HOSTKEY,
	CIPHER_IN,
	CIPHER_OUT,
	MAC_IN,
	MAC_OUT,
	COMP_IN,
	COMP_OUT,
	LANG_IN,
	LANG_OUT,
	LISTS
};

static const char *choose_all(struct ssh_conn *c, const struct bytes list[LISTS])
{
	struct ssh_kex *kex = c->kex;
	const char *missing;
	int method = choose(list[KEX], ssh_kex_name, c->cfg->kexes),
	    hostkey = choose(list[HOSTKEY], ssh_hostkey_alg_name, ssh_hostkey_algs_of(c->cfg));

	if (method < 0)
		return "no key exchange method in common";
	kex->alg = &ssh_kexes[method];
	if (hostkey < 0)
		return "no host key type in common";
	c->hostkey_alg = &ssh_hostkey_algs[hostkey];
	missing = choose_suite(&kex->in, c->cfg, list[CIPHER_IN], list[MAC_IN]);
	if (!missing)
		missing = choose_suite(&kex->out, c->cfg, list[CIPHER_OUT], list[MAC_OUT]);
	if (missing)
		return missing;
	if (!ssh_namelist_has(list[COMP_IN], "none") || !ssh_namelist_has(list[COMP_OUT], "none"))
		return "no compression in common";
	return NULL;
}

/* Markers count in the first exchange only. Strict: the KEXINIT just counted must be packet 0. */
static int read_markers(struct ssh_conn *c, struct bytes kexes)
{
	if (c->session_id_len > 0)
		return 0;
	c->ext_info = ssh_namelist_has(kexes, EXT_CLIENT);
	c->strict = ssh_namelist_has(kexes, STRICT_CLIENT);
	if (c->strict && c->in.seq != 1)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR,
				"strict key exchange: KEXINIT is not the first packet");
	return 0;
}

int ssh_kex_negotiate(struct ssh_conn *c, struct rd *r)
{
	struct bytes list[LISTS];
	const char *missing;
	const struct ssh_hostkey_alg *ours =
		&ssh_hostkey_algs[__builtin_ctz(ssh_hostkey_algs_of(c->cfg))];
	bool good = true, guess;

	(void)rd_take(r, COOKIE_BYTES);
	for (size_t i = 0; i < LISTS; i++) {
		list[i] = rd_string(r);
		good = good && ssh_namelist_is_good(list[i]);
	}
	guess = rd_bool(r);
	(void)rd_u32(r);
	if (rd_finish(r) || !good)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed KEXINIT");
	if (read_markers(c, list[KEX]))
		return -EPROTO;
	missing = choose_all(c, list);
	if (missing)
		return ssh_fail(c, SSH_DISCONNECT_KEY_EXCHANGE_FAILED, missing);
	c->kex->drop_guess =
		guess &&
		!(ssh_namelist_starts(list[KEX], ssh_kexes[__builtin_ctz(c->cfg->kexes)].name) &&
		  ssh_namelist_starts(list[HOSTKEY], ours->name));
	return 0;
}
