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

/* The lists of a KEXINIT, in the message's order: from CIPHER on two of each kind, the client's direction first. */
enum { KEX, HOSTKEY, CIPHER, MAC = 4, COMPRESSION = 6, LANGUAGE = 8, LISTS = 10 };

/* What we have for a list, and a bit for each that we offer. */
struct offer {
	ssh_name_fn *name;
	uint32_t mask;
	const char *missing;
};

static const char *compression_name(size_t i)
{
	return i == 0 ? "none" : NULL;
}

static struct offer offer_of(const struct ssh_config *cfg, unsigned list)
{
	const struct offer offers[] = {
		{ ssh_kex_name, cfg->kexes, "no key exchange method in common" },
		{ ssh_hostkey_alg_name, ssh_hostkey_algs_of(cfg), "no host key type in common" },
		{ ssh_cipher_name, cfg->ciphers, "no cipher in common" },
		{ ssh_mac_name, cfg->macs, "no MAC in common" },
		{ compression_name, 1, "no compression in common" },
		{ compression_name, 0, NULL },
	};

	return offers[list < CIPHER ? list : 1 + list / 2];
}

/* A name-list of what is offered, and what is to follow it. */
static void put_names(struct wr *w, struct offer ours, const char *more)
{
	size_t mark = wr_string_begin(w), empty = w->len;

	for (size_t i = 0; ours.name(i); i++) {
		if (!(ours.mask >> i & 1))
			continue;
		if (w->len > empty)
			wr_u8(w, ',');
		wr_put(w, ours.name(i), strlen(ours.name(i)));
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
	for (unsigned i = 0; i < LISTS; i++)
		put_names(&w, offer_of(c->cfg, i),
			  i == KEX && c->session_id_len == 0 ? "," STRICT_SERVER : "");
	wr_bool(&w, false);
	wr_u32(&w, 0);
	if (w.bad)
		return -EMSGSIZE;
	c->kex->init_len = w.len;
	return 0;
}

/* The place in ours of the client's first name that is offered, or -1. */
static int choose(struct bytes list, struct offer ours)
{
	struct bytes name;

	while (ssh_namelist_next(&list, &name))
		for (int i = 0; ours.name((size_t)i); i++)
			if ((ours.mask >> i & 1) && bytes_is(name, ours.name((size_t)i)))
				return i;
	return -1;
}

/* Is what the client wants most what we do? */
static bool same_first(struct bytes list, struct offer ours)
{
	return bytes_is(bytes_until(&list, ','), ours.name((size_t)__builtin_ctz(ours.mask)));
}

static void set_suite(struct ssh_suite *s, int cipher, int mac)
{
	s->cipher = ssh_ciphers[cipher];
	s->mac = s->cipher->tag_len > 0 ? NULL : ssh_macs[mac];
}

/* What is missing, or NULL. An AEAD needs no MAC. */
static const char *choose_all(struct ssh_conn *c, const struct bytes list[LISTS])
{
	int chosen[LANGUAGE];

	for (unsigned i = 0; i < LANGUAGE; i++) {
		struct offer ours = offer_of(c->cfg, i);

		chosen[i] = choose(list[i], ours);
		if (chosen[i] < 0 && !(i / 2 == MAC / 2 && ssh_ciphers[chosen[i - 2]]->tag_len > 0))
			return ours.missing;
	}
	c->kex->alg = &ssh_kexes[chosen[KEX]];
	c->hostkey_alg = &ssh_hostkey_algs[chosen[HOSTKEY]];
	set_suite(&c->kex->in, chosen[CIPHER], chosen[MAC]);
	set_suite(&c->kex->out, chosen[CIPHER + 1], chosen[MAC + 1]);
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
	c->kex->drop_guess = guess && !(same_first(list[KEX], offer_of(c->cfg, KEX)) &&
					same_first(list[HOSTKEY], offer_of(c->cfg, HOSTKEY)));
	return 0;
}
