/* SPDX-License-Identifier: MIT */
/* Global requests (RFC 4254 s4): none is granted yet. And our own question whether the peer lives. */
#include "ssh/conn_priv.h"

int ssh_global_request_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct bytes name = rd_string(r);
	bool want_reply = rd_bool(r);

	(void)payload;
	if (r->bad)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed global request");
	ssh_log(c, SSH_LOG_DEBUG, "global request", name);
	if (want_reply) {
		(void)ssh_msg_begin(c, SSH_MSG_REQUEST_FAILURE, 1);
		ssh_msg_end(c);
	}
	return 0;
}

/* The answer to a keepalive: that it came is all we want, and that was noted with the packet. */
int ssh_global_reply_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	(void)c;
	(void)r;
	(void)payload;
	return 0;
}

uint64_t ssh_keepalive_deadline(const struct ssh_conn *c)
{
	if (c->phase != SSH_PHASE_OPEN || c->cfg->keepalive_ns == 0)
		return DEADLINE_NEVER;
	return MAX(c->heard_at, c->asked_at) + c->cfg->keepalive_ns;
}

void ssh_keepalive_run(struct ssh_conn *c)
{
	struct wr *w;

	if (c->now < ssh_keepalive_deadline(c))
		return;
	if (c->unanswered >= c->cfg->keepalive_max) {
		(void)ssh_fail(c, SSH_DISCONNECT_CONNECTION_LOST, "the client does not answer");
		return;
	}
	c->unanswered++;
	c->asked_at = c->now;
	w = ssh_msg_begin(c, SSH_MSG_GLOBAL_REQUEST, 64);
	wr_cstring(w, "keepalive@openssh.com");
	wr_bool(w, true);
	ssh_msg_end(c);
}
