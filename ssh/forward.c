/* SPDX-License-Identifier: MIT */
/* TCP forwarding (RFC 4254 s7): who may, and why not. The channels are those of ssh/channel.c. */
#include "lib/errno.h"
#include "ssh/authkeys.h"
#include "ssh/chan_priv.h"

bool ssh_forward_allowed(const struct ssh_conn *c, bool listen, struct bytes host, uint32_t port)
{
	const struct ssh_grant *g = &c->auth.grant;

	if (g->no_forwarding || !c->ops->chan_connect)
		return false;
	if (!(listen ? g->limits_listen : g->limits_open))
		return true;
	return ssh_authkeys_permit(g->options, listen, host, port);
}

uint32_t ssh_forward_reason(int error, const char **text)
{
	switch (error) {
	case -EACCES:
		*text = "forwarding is not allowed";
		return SSH_OPEN_ADMINISTRATIVELY_PROHIBITED;
	case -ENOMEM:
		*text = "out of memory";
		return SSH_OPEN_RESOURCE_SHORTAGE;
	case -ECONNREFUSED:
		*text = "connection refused";
		break;
	case -ETIMEDOUT:
		*text = "connection timed out";
		break;
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		*text = "no way to the host";
		break;
	case -ENOENT:
		*text = "unknown host name";
		break;
	default:
		*text = "cannot connect";
	}
	return SSH_OPEN_CONNECT_FAILED;
}
