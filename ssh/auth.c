/* SPDX-License-Identifier: MIT */
/* User authentication (RFC 4252): publickey only.
 *
 * First the host is asked whether the user has the key in a list of his at all, and no more is read of it. Who has signed with such a
 * key, over this session, has proven who he is; then the host says what the key is good for, and whether this user is let in (I-SSH-26).
 *
 * A failed attempt is answered after a delay that depends on nothing the client chose; until then no input of
 * this connection is looked at. The question whether a key would do, and the method none that clients start
 * with, are answered at once; both are counted. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/conn_priv.h"
#include "ssh/hostkey.h"
#include "ssh/sig.h"

#define USER_MAX      256
#define REQUESTS_MAX  64
#define QUERIES_A_TRY 3 /* refused questions for each failed login that is allowed */
#define METHODS	      "publickey"
#define REPLY_MAX     64

int ssh_service_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct bytes service = rd_string(r);
	struct wr *w;

	if (rd_finish(r))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed service request");
	if (!bytes_is(service, "ssh-userauth"))
		return ssh_fail(c, SSH_DISCONNECT_SERVICE_NOT_AVAILABLE, "service not available");
	c->phase = SSH_PHASE_AUTH;
	w = ssh_msg_begin(c, SSH_MSG_SERVICE_ACCEPT, REPLY_MAX);
	wr_bytes(w, service);
	ssh_msg_end(c);
	return 0;
}

static void failure_send(struct ssh_conn *c)
{
	struct wr *w = ssh_msg_begin(c, SSH_MSG_USERAUTH_FAILURE, REPLY_MAX);

	wr_cstring(w, METHODS);
	wr_bool(w, false);
	ssh_msg_end(c);
}

/* RFC 4252 s5.4 */
static void banner_send(struct ssh_conn *c)
{
	struct wr *w;

	if (c->cfg->banner.n == 0)
		return;
	w = ssh_msg_begin(c, SSH_MSG_USERAUTH_BANNER, REPLY_MAX + c->cfg->banner.n);
	wr_bytes(w, c->cfg->banner);
	wr_cstring(w, "");
	ssh_msg_end(c);
}

static int too_many(struct ssh_conn *c)
{
	return ssh_fail(c, SSH_DISCONNECT_NO_MORE_AUTH_METHODS, "too many failed logins");
}

/* A real attempt failed. */
static void reject(struct ssh_conn *c, struct bytes user)
{
	ssh_log(c, SSH_LOG_INFO, "login refused", user);
	c->auth.tries++;
	c->auth.answer_due = true;
	c->auth.answer_at = c->now + c->ops->auth_failed(c->host, user);
}

void ssh_auth_run(struct ssh_conn *c)
{
	if (c->phase != SSH_PHASE_AUTH || !c->auth.answer_due || c->now < c->auth.answer_at)
		return;
	c->auth.answer_due = false;
	if (c->auth.tries >= c->cfg->max_tries)
		(void)too_many(c);
	else
		failure_send(c);
}

uint64_t ssh_auth_deadline(const struct ssh_conn *c)
{
	return c->auth.answer_due ? c->auth.answer_at : DEADLINE_NEVER;
}

void ssh_auth_fini(struct ssh_conn *c)
{
	ssh_dup_free(c, &c->auth.grant.command);
	ssh_dup_free(c, &c->auth.grant.options);
}

static bool user_is_good(struct bytes user)
{
	return user.n > 0 && user.n <= USER_MAX && !memchr(user.p, 0, user.n);
}

static void log_login(struct ssh_conn *c, struct bytes user, struct bytes key)
{
	char text[SSH_FINGERPRINT_BYTES + 40];
	size_t n = MIN(user.n, (size_t)32);

	memcpy(text, user.p, n);
	text[n++] = ' ';
	ssh_fingerprint(key, text + n);
	ssh_log(c, SSH_LOG_INFO, "login by publickey",
		(struct bytes){ (uint8_t *)text, n + strlen(text + n) });
}

/* A copy of the forced command (not empty), \" made ", blanks where that made it shorter. False: no memory. */
static bool keep_command(struct ssh_conn *c, struct bytes raw)
{
	uint8_t *p;
	size_t n = 0;

	if (!raw.p)
		return true;
	c->auth.grant.command = ssh_dup(c, raw);
	p = (uint8_t *)c->auth.grant.command.p;
	if (!p)
		return false;
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] == '\\' && i + 1 < raw.n && raw.p[i + 1] == '"')
			i++;
		p[n++] = raw.p[i];
	}
	memset(p + n, ' ', c->auth.grant.command.n - n);
	return true;
}

/* Where the key may lead, and its variables, are looked up at each question. */
static bool keep_options(struct ssh_conn *c, const struct ssh_grant *grant)
{
	struct ssh_grant *g = &c->auth.grant;

	g->no_pty = grant->no_pty;
	g->no_forwarding = grant->no_forwarding;
	g->limits_open = grant->limits_open;
	g->limits_listen = grant->limits_listen;
	g->environment = grant->environment && c->cfg->user_environment;
	if (grant->environment && !g->environment)
		ssh_log(c, SSH_LOG_INFO,
			"the key's environment is ignored: PermitUserEnvironment is not set",
			BYTES_LIT(""));
	if (!g->limits_open && !g->limits_listen && !g->environment)
		return true;
	g->options = ssh_dup(c, grant->options);
	return g->options.p;
}

static int log_in(struct ssh_conn *c, struct bytes user, struct bytes key)
{
	struct ssh_grant grant = { 0 };

	if (c->ops->admit(c->host, user, key, &grant))
		return -EACCES;
	c->chan_ops = grant.chan_ops;
	if (!keep_command(c, grant.command) || !keep_options(c, &grant))
		return ssh_fail_local(c, -ENOMEM);
	(void)ssh_msg_begin(c, SSH_MSG_USERAUTH_SUCCESS, 1);
	ssh_msg_end(c);
	if (c->phase == SSH_PHASE_OVER)
		return -EPROTO;
	c->phase = SSH_PHASE_OPEN;
	c->ops->auth_done(c->host, user);
	/* one of those that are logged in: newcomers cannot crowd it out of the log */
	log_login(c, user, key);
	ssh_hostkeys_announce(c);
	return 0;
}

/* 0, -EACCES, or another when the connection is over. */
static int admit(struct ssh_conn *c, struct bytes user, struct bytes key)
{
	/* I-SSH-18, I-SSH-26 */
	if (!c->auth.proven)
		return -EACCES;
	c->auth.proven = false;
	return log_in(c, user, key);
}

/* The signature covers the session's name, as a string, and the request up to itself (RFC 4252 s7). */
static int verify(struct ssh_conn *c, struct bytes alg, struct bytes key, struct bytes sig,
		  struct bytes request)
{
	size_t n = 4 + c->session_id_len + request.n;
	uint8_t *text = ssh_alloc(c, n);
	struct wr w = wr_over(text, n);
	int err;

	if (!text)
		return ssh_fail_local(c, -ENOMEM);
	wr_string(&w, c->session_id, c->session_id_len);
	wr_put(&w, request.p, request.n);
	err = ssh_sig_verify(alg, key, sig, text, n);
	ssh_free(c, text, n);
	return err;
}

static int answer_query(struct ssh_conn *c, bool good, struct bytes alg, struct bytes key)
{
	struct wr *w;

	if (!good) {
		if (c->auth.queries++ >=
		    MIN(c->cfg->max_queries, QUERIES_A_TRY * c->cfg->max_tries))
			return too_many(c);
		failure_send(c);
		return 0;
	}
	w = ssh_msg_begin(c, SSH_MSG_USERAUTH_PK_OK, 1 + 8 + alg.n + key.n);
	wr_bytes(w, alg);
	wr_bytes(w, key);
	ssh_msg_end(c);
	return 0;
}

static int publickey_input(struct ssh_conn *c, struct rd *r, struct bytes payload,
			   struct bytes user)
{
	bool is_signed = rd_bool(r);
	struct bytes alg = rd_string(r), key = rd_string(r), sig = { NULL, 0 };
	struct bytes request = { payload.p, payload.n - r->left };
	bool good;
	int err;

	if (is_signed)
		sig = rd_string(r);
	if (rd_finish(r))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed publickey request");
	good = ssh_sig_key_is_good(alg, key) && user_is_good(user);
	if (c->ops->key_check(c->host, user_is_good(user) ? user : BYTES_LIT("-"), key, good))
		good = false;
	if (!is_signed)
		return answer_query(c, good, alg, key);
	err = good ? verify(c, alg, key, sig, request) : -EACCES;
	c->auth.proven = err == 0;
	if (!err)
		err = admit(c, user, key);
	if (err != -EACCES)
		return err;
	reject(c, user);
	return 0;
}

int ssh_auth_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct bytes user = rd_string(r), service = rd_string(r), method = rd_string(r);

	/* RFC 4252 s5.1: after the login further requests are ignored. */
	if (c->phase == SSH_PHASE_OPEN)
		return 0;
	if (r->bad)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed login request");
	if (!bytes_is(service, "ssh-connection"))
		return ssh_fail(c, SSH_DISCONNECT_SERVICE_NOT_AVAILABLE, "service not available");
	if (++c->auth.requests > REQUESTS_MAX)
		return too_many(c);
	if (c->auth.requests == 1)
		banner_send(c);
	if (bytes_is(method, "publickey"))
		return publickey_input(c, r, payload, user);
	if (bytes_is(method, "none"))
		failure_send(c);
	else
		reject(c, user);
	return 0;
}
