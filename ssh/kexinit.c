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

/* Writes a name-list one name at a time. */
static void put_name(struct wr *w, size_t mark, const char *name)
{
	if (w->len > mark)
		wr_u8(w, ',');
	wr_put(w, name, strlen(name));
}

static void put_kexes(struct wr *w, bool first)
{
	size_t mark = wr_string_begin(w);

	for (size_t i = 0; ssh_kexes[i].name; i++)
		put_name(w, mark, ssh_kexes[i].name);
	if (first)
		put_name(w, mark, STRICT_SERVER);
	wr_string_end(w, mark);
}

static void put_ciphers(struct wr *w)
{
	size_t mark = wr_string_begin(w);

	for (size_t i = 0; ssh_ciphers[i]; i++)
		put_name(w, mark, ssh_ciphers[i]->name);
	wr_string_end(w, mark);
}

static void put_macs(struct wr *w)
{
	size_t mark = wr_string_begin(w);

	for (size_t i = 0; ssh_macs[i]; i++)
		put_name(w, mark, ssh_macs[i]->name);
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
	put_kexes(&w, c->session_id_len == 0);
	wr_cstring(&w, ssh_hostkey_name(c->cfg->hostkey));
	put_ciphers(&w);
	put_ciphers(&w);
	put_macs(&w);
	put_macs(&w);
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

static const struct ssh_kex_alg *choose_kex(struct bytes list)
{
	struct bytes name;

	while (ssh_namelist_next(&list, &name))
		for (size_t i = 0; ssh_kexes[i].name; i++)
			if (bytes_is(name, ssh_kexes[i].name))
				return &ssh_kexes[i];
	return NULL;
}

static const struct ssh_cipher_alg *choose_cipher(struct bytes list)
{
	struct bytes name;

	while (ssh_namelist_next(&list, &name))
		for (size_t i = 0; ssh_ciphers[i]; i++)
			if (bytes_is(name, ssh_ciphers[i]->name))
				return ssh_ciphers[i];
	return NULL;
}

static const struct ssh_mac_alg *choose_mac(struct bytes list)
{
	struct bytes name;

	while (ssh_namelist_next(&list, &name))
		for (size_t i = 0; ssh_macs[i]; i++)
			if (bytes_is(name, ssh_macs[i]->name))
				return ssh_macs[i];
	return NULL;
}

/* Cipher and MAC of one direction; what is missing, or NULL. */
static const char *choose_suite(struct ssh_suite *s, struct bytes ciphers, struct bytes macs)
{
	s->cipher = choose_cipher(ciphers);
	if (!s->cipher)
		return "no cipher in common";
	s->mac = s->cipher->tag_len > 0 ? NULL : choose_mac(macs);
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

	kex->alg = choose_kex(list[KEX]);
	if (!kex->alg)
		return "no key exchange method in common";
	kex->hostkey = c->cfg->hostkey;
	if (!ssh_namelist_has(list[HOSTKEY], ssh_hostkey_name(kex->hostkey)))
		return "no host key type in common";
	missing = choose_suite(&kex->in, list[CIPHER_IN], list[MAC_IN]);
	if (!missing)
		missing = choose_suite(&kex->out, list[CIPHER_OUT], list[MAC_OUT]);
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
		guess && !(ssh_namelist_starts(list[KEX], ssh_kexes[0].name) &&
			   ssh_namelist_starts(list[HOSTKEY], ssh_hostkey_name(c->kex->hostkey)));
	return 0;
}
