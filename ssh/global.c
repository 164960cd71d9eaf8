/* SPDX-License-Identifier: MIT */
/* Global requests (RFC 4254 s4, s7.1): to listen for the client, and to prove our host keys. And our own question whether the peer
 * lives. */
#include "lib/errno.h"
#include "ssh/chan_priv.h"

/* *chosen: the port, if it was for us to choose; else 0. */
static bool listen_request(struct ssh_conn *c, struct rd *r, uint16_t *chosen)
{
	struct bytes address = rd_string(r);
	uint32_t asked = rd_u32(r);
	uint16_t port = (uint16_t)asked;
	const char *text;
	int err;

	if (rd_finish(r) || asked > UINT16_MAX)
		err = -EINVAL;
	else if (c->listeners >= c->cfg->max_channels)
		err = -EMFILE;
	else if (!ssh_forward_allowed(c, true, address, asked))
		err = -EACCES;
	else
		err = c->chan_ops->listen(c->host, address, &port);
	if (err) {
		(void)ssh_forward_refused(c, "listen at", address, asked, err, &text);
		return false;
	}
	c->listeners++;
	*chosen = asked == 0 ? port : 0;
	return true;
}

static bool unlisten_request(struct ssh_conn *c, struct rd *r)
{
	struct bytes address = rd_string(r);
	uint32_t port = rd_u32(r);

	if (rd_finish(r) || port > UINT16_MAX || c->listeners == 0 ||
	    c->chan_ops->unlisten(c->host, address, (uint16_t)port))
		return false;
	c->listeners--;
	return true;
}

int ssh_global_request_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct bytes name = rd_string(r);
	bool want_reply = rd_bool(r), good = false;
	uint16_t chosen = 0;
	struct wr *w;

	if (r->bad)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed global request");
	ssh_log(c, SSH_LOG_DEBUG, "global request", name);
	if (bytes_is(name, "tcpip-forward"))
		good = listen_request(c, r, &chosen);
	else if (bytes_is(name, "cancel-tcpip-forward"))
		good = unlisten_request(c, r);
	else if (want_reply && bytes_is(name, "hostkeys-prove-00@openssh.com") &&
		 ssh_hostkeys_prove(c, r))
		return 0;
	if (want_reply) {
		w = ssh_msg_begin(c, good ? SSH_MSG_REQUEST_SUCCESS : SSH_MSG_REQUEST_FAILURE, 5);
		if (chosen)
			wr_u32(w, chosen);
		ssh_msg_end(c);
	}
	return 0;
}

/* The answer to a keepalive: that it came is all we want, and that was noted with the packet. */
int ssh_global_reply_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
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
