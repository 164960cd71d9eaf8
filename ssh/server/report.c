/* SPDX-License-Identifier: MIT */
/* /proc/tern/ssh: the bound on newcomers, and a line for each connection. */
#include "fs/procfs.h"
#include "kernel/core/clock.h"
#include "kernel/core/kcsan.h"
#include "ssh/server/server_priv.h"

static void show_conn(struct server_conn *s, void *arg)
{
	/* the owner writes it meanwhile; each word is a count, or a string that stays */
	const struct ssh_conn_info info = data_race(s->shown), *i = &info;
	char peer[SOCKET_ADDR_TEXT];

	socket_addr_format(peer, sizeof(peer), &s->peer);
	proc_printf(
		arg,
		"%u %s %s %s %s %s/%s %s/%s in %llu out %llu rekeys %u late %u channels %u stalled %u window in %llu out %llu waiting %llu memory %zu of %zu age %llu\n",
		s->number, peer, s->user[0] ? s->user : "-", i->phase ? i->phase : "new",
		i->kex ? i->kex : "-", i->cipher_in ? i->cipher_in : "-",
		i->cipher_out ? i->cipher_out : "-", i->mac_in ? i->mac_in : "-",
		i->mac_out ? i->mac_out : "-", (unsigned long long)i->bytes_in,
		(unsigned long long)i->bytes_out, i->rekeys, i->late, i->channels, i->stalled,
		(unsigned long long)i->window_in, (unsigned long long)i->window_out,
		(unsigned long long)i->waiting, i->memory, i->memory_max,
		(unsigned long long)((clock_now_ns() - s->accepted_ns) / NS_PER_S));
}

static void show(struct proc_text *t)
{
	struct server_counts c;

	server_get_counts(&c);
	proc_printf(t, "newcomers %u of %u displaced %llu refused %llu\n", c.newcomers,
		    c.newcomers_max, (unsigned long long)c.displaced,
		    (unsigned long long)c.refused);
	proc_printf(
		t,
		"memory at most: ident %u kex %u login %u open %u, each channel %u and its window\n",
		SSH_MEMORY_IDENT, SSH_MEMORY_KEX, SSH_MEMORY_LOGIN, SSH_MEMORY_OPEN,
		SSH_MEMORY_CHANNEL);
	proc_printf(
		t,
		"number peer user phase kex cipher mac bytes rekeys late channels stalled window waiting memory age\n");
	server_conn_for_each(show_conn, t);
}

int report_init(void)
{
	return procfs_register_settable("tern/ssh", show, server_config_ask);
}
