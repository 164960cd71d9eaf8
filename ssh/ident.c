/* SPDX-License-Identifier: MIT */
/* The identification lines (RFC 4253 s4.2). Ours goes out at once; lines before it are for servers only, so the
 * client's first line must be the one. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/conn_priv.h"

int ssh_ident_send(struct ssh_conn *c)
{
	struct wr w;
	int err = ssh_buf_reserve(c, &c->tx, SSH_IDENT_MAX);

	if (err)
		return err;
	w = wr_over(c->tx.p + c->tx.tail, SSH_IDENT_MAX);
	wr_put(&w, c->cfg->ident, strlen(c->cfg->ident));
	wr_put(&w, "\r\n", 2);
	if (w.bad)
		return -EINVAL;
	c->tx.tail += w.len;
	return 0;
}

static bool ident_is_good(const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)line[i] < ' ' || line[i] == 0x7f)
			return false;
	return (n > 8 && memcmp(line, "SSH-2.0-", 8) == 0) ||
	       (n > 9 && memcmp(line, "SSH-1.99-", 9) == 0);
}

int ssh_ident_input(struct ssh_conn *c)
{
	size_t have = ssh_buf_used(&c->rx), n;
	const uint8_t *line, *end;

	if (have == 0)
		return 0;
	line = c->rx.p + c->rx.head;
	end = memchr(line, '\n', MIN(have, (size_t)SSH_IDENT_MAX));
	if (!end && have < SSH_IDENT_MAX)
		return 0;
	if (!end)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "identification too long");
	n = (size_t)(end - line);
	if (n > 0 && line[n - 1] == '\r')
		n--;
	memcpy(c->ident, line, n);
	c->ident_len = n;
	ssh_buf_consume(&c->rx, (size_t)(end - line) + 1);
	if (!ident_is_good(c->ident, n))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "bad identification");
	c->phase = SSH_PHASE_KEXINIT;
	return 1;
}
