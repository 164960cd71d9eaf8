/* SPDX-License-Identifier: MIT */
/* TCP forwarding (RFC 4254 s7): who may, and why not. The channels are those of ssh/channel.c. */
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "ssh/authkeys.h"
#include "ssh/chan_priv.h"
#include "ssh/config.h"

#define REFUSAL_BYTES 96
#define NAME_BYTES    40 /* of a name, in a line */

bool ssh_forward_allowed(const struct ssh_conn *c, bool listen, struct bytes host, uint32_t port)
{
	const struct ssh_grant *g = &c->auth.grant;

	if (g->no_forwarding || !c->chan_ops->chan_connect ||
	    !ssh_config_permits(c->cfg, listen, host, port))
		return false;
	if (!(listen ? g->limits_listen : g->limits_open))
		return true;
	return ssh_authkeys_permit(g->options, listen, host, port);
}

static uint32_t reason_of(int error, const char **text)
{
	switch (error) {
	case -EACCES:
		*text = "forwarding is not allowed";
		return SSH_OPEN_ADMINISTRATIVELY_PROHIBITED;
	case -ENOMEM:
		*text = "out of memory";
		return SSH_OPEN_RESOURCE_SHORTAGE;
	case -EMFILE:
		*text = "too many";
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
	case -EADDRINUSE:
		*text = "address in use";
		break;
	default:
		*text = "not possible";
	}
	return SSH_OPEN_CONNECT_FAILED;
}

uint32_t ssh_forward_refused(struct ssh_conn *c, const char *what, struct bytes host, uint32_t port,
			     int error, const char **text)
{
	uint32_t reason = reason_of(error, text);
	char line[REFUSAL_BYTES];

	fmt_print(line, sizeof(line), "%s %.*s port %u: %s", what,
		  (int)MIN(host.n, (size_t)NAME_BYTES), host.p ? (const char *)host.p : "", port,
		  *text);
	ssh_log(c, SSH_LOG_REFUSAL, "forwarding refused",
		(struct bytes){ (const uint8_t *)line, strlen(line) });
	return reason;
}
