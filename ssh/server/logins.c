/* SPDX-License-Identifier: MIT */
/* Who came, with which key, and what came of it: a record of each connection that named a user. While the connection lives it
 * has the record; then it is one of the last LOGINS_KEPT sessions, or one of as many refusals, so that neither crowds out the
 * other (I-SSH-23). /proc/tern/logins shows them to root; the log has a line of each. */
#include "fs/procfs.h"
#include "kernel/core/clock.h"
#include "lib/date.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "mm/phys/slab.h"
#include "ssh/server/server_priv.h"

#define LOGINS_KEPT 64
#define LINE_BYTES  192

static spinlock_t ended_lock = SPINLOCK_INIT(SSHCONN);
/* Refusals, and sessions. */
static struct ended {
	struct server_login
		*ring;	/* [init] of LOGINS_KEPT: what is kept costs the same from the boot on */
	unsigned count; /* [ended_lock] in all: the next one's place, modulo LOGINS_KEPT */
} ended[2];

void server_login_named(struct server_conn *s, struct bytes user, struct bytes key)
{
	struct server_login *l = s->login ?: kzalloc(sizeof(*l));
	size_t n = MIN(user.n, sizeof(l->user) - 1);

	s->login = l;
	if (!l)
		return;
	l->at = clock_wall_ns() / NS_PER_S;
	l->peer = s->peer;
	for (size_t i = 0; i < n; i++)
		l->user[i] = user.p[i] > ' ' && user.p[i] < 0x7f ? (char)user.p[i] : '?';
	l->user[n] = 0;
	l->key[0] = 0;
	if (key.n > 0)
		ssh_fingerprint(key, l->key);
}

void server_login_refused(struct server_conn *s, const char *why)
{
	if (!s->login)
		return;
	s->login->why = why;
	s->login->refusals++;
}

/* In the place of the oldest of its kind. */
static void keep(const struct server_login *l)
{
	struct ended *e = &ended[l->opened];

	spin_lock(&ended_lock);
	e->ring[e->count++ % LOGINS_KEPT] = *l;
	spin_unlock(&ended_lock);
}

void server_login_end(struct server_conn *s, const char *why)
{
	struct server_login *l = s->login;
	char line[LINE_BYTES];

	s->login = NULL;
	if (!l)
		return;
	l->seconds = (clock_now_ns() - s->accepted_ns) / NS_PER_S;
	l->opened = s->stage == CONN_OPEN;
	if (l->opened) {
		l->why = why;
		fmt_print(line, sizeof(line), "%s after %llu s: %s", l->user,
			  (unsigned long long)l->seconds, why);
		server_log(s, SSH_LOG_INFO, "session ended", line);
	} else {
		l->why = l->why ?: "no signature came";
		fmt_print(line, sizeof(line), "%s publickey %s refused %u times, last: %s", l->user,
			  l->key[0] ? l->key : "-", l->refusals, l->why);
		server_log(s, SSH_LOG_INFO, "no login", line);
	}
	keep(l);
	kfree(l);
}

static void show_login(struct proc_text *t, const struct server_login *l, const char *result)
{
	char peer[SOCKET_ADDR_TEXT], at[DATE_TEXT];

	date_format(at, l->at);
	socket_addr_format(peer, sizeof(peer), &l->peer);
	proc_printf(t, "%s %s %s publickey %s %s %llu s", at, l->user, peer,
		    l->key[0] ? l->key : "-", result, (unsigned long long)l->seconds);
	if (l->refusals)
		proc_printf(t, " refused %u", l->refusals);
	proc_printf(t, "%s%s\n", l->why ? ": " : "", l->why ?: "");
}

static void show_open(struct server_conn *s, void *arg)
{
	struct server_login l;

	/* a newcomer's record is its owner's alone */
	if (s->stage != CONN_OPEN || !s->login)
		return;
	l = *s->login;
	l.seconds = (clock_now_ns() - s->accepted_ns) / NS_PER_S;
	l.why = NULL;
	show_login(arg, &l, "open");
}

static void show_ended(struct proc_text *t, const struct ended *e, const char *result)
{
	unsigned first;

	spin_lock(&ended_lock);
	first = e->count - MIN(e->count, (unsigned)LOGINS_KEPT);
	for (unsigned i = first; i != e->count; i++)
		show_login(t, &e->ring[i % LOGINS_KEPT], result);
	spin_unlock(&ended_lock);
}

static void show(struct proc_text *t)
{
	proc_printf(t, "time user from method key result length\n");
	show_ended(t, &ended[false], "refused");
	show_ended(t, &ended[true], "ended");
	server_conn_for_each(show_open, t);
}

int logins_init(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ended); i++) {
		ended[i].ring = kcalloc(LOGINS_KEPT, sizeof(*ended[i].ring));
		if (!ended[i].ring)
			return -ENOMEM;
	}
	return procfs_register_private("tern/logins", show);
}
