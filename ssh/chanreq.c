/* SPDX-License-Identifier: MIT */
/* Channel requests (RFC 4254 s6, RFC 4335): a table of names. Each is answered, if an answer is wanted, before the
 * next message is looked at, so replies keep the order of requests. A malformed or refused one is a FAILURE. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/chan_priv.h"
#include "ssh/config.h"

#define TERM_MAX  64
#define ENV_MAX	  32
#define NAME_MAX  64
#define VALUE_MAX 1024
#define SIDE_MAX  65535 /* of a terminal */

static bool has_nul(struct bytes b)
{
	return b.n > 0 && memchr(b.p, 0, b.n);
}

bool ssh_pty_mode_next(struct rd *modes, uint8_t *opcode, uint32_t *value)
{
	*opcode = modes->left > 0 ? rd_u8(modes) : 0;
	/* 0 is TTY_OP_END; from 160 on the arguments are of unknown form. */
	if (*opcode == 0 || *opcode >= 160)
		return false;
	*value = rd_u32(modes);
	return !modes->bad;
}

static bool modes_are_whole(struct bytes modes)
{
	struct rd r = rd_bytes_of(modes);
	uint32_t value;
	uint8_t opcode;

	while (ssh_pty_mode_next(&r, &opcode, &value))
		;
	return !r.bad;
}

static bool read_winsize(struct rd *r, struct ssh_winsize *size)
{
	uint32_t cols = rd_u32(r), rows = rd_u32(r), x = rd_u32(r), y = rd_u32(r);

	*size = (struct ssh_winsize){ (uint16_t)cols, (uint16_t)rows, (uint16_t)x, (uint16_t)y };
	return !r->bad && cols <= SIDE_MAX && rows <= SIDE_MAX && x <= SIDE_MAX && y <= SIDE_MAX;
}

static bool pty_request(struct ssh_chan *ch, struct rd *r)
{
	struct ssh_conn *c = ch->c;
	struct ssh_pty pty;
	bool good;

	pty.term = rd_string(r);
	good = read_winsize(r, &pty.size);
	pty.modes = rd_string(r);
	if (rd_finish(r) || !good || !modes_are_whole(pty.modes))
		return false;
	if (pty.term.n > TERM_MAX || has_nul(pty.term) || ch->started || ch->has_pty ||
	    c->auth.grant.no_pty || !c->cfg->permit_tty)
		return false;
	ch->has_pty = c->chan_ops->chan_pty(c->host, ch, &pty) == 0;
	return ch->has_pty;
}

static bool winsize_request(struct ssh_chan *ch, struct rd *r)
{
	struct ssh_winsize size;

	if (!read_winsize(r, &size) || rd_finish(r) || !ch->has_pty)
		return false;
	return ch->c->chan_ops->chan_winsize(ch->c->host, ch, &size) == 0;
}

static bool env_request(struct ssh_chan *ch, struct rd *r)
{
	struct bytes name = rd_string(r), value = rd_string(r);

	if (rd_finish(r) || ch->started || ch->env_count >= ENV_MAX)
		return false;
	if (name.n == 0 || name.n > NAME_MAX || memchr(name.p, '=', name.n) || has_nul(name) ||
	    has_nul(value) || value.n > VALUE_MAX || !ssh_config_takes_variable(ch->c->cfg, name))
		return false;
	ch->env_count++;
	return ch->c->chan_ops->chan_env(ch->c->host, ch, name, value) == 0;
}

/* What runs in any case, the configuration's before the key's. */
static struct bytes forced_command(const struct ssh_conn *c)
{
	return c->cfg->force_command.p ? c->cfg->force_command : c->auth.grant.command;
}

static bool start(struct ssh_chan *ch, enum ssh_start_kind kind, struct bytes command)
{
	struct ssh_conn *c = ch->c;
	struct ssh_start s = { .kind = kind, .command = command };
	struct bytes forced = forced_command(c);

	if (ch->started || has_nul(command))
		return false;
	if (forced.p) {
		s.kind = SSH_START_EXEC;
		s.original = s.command;
		s.command = forced;
	}
	if (c->auth.grant.environment)
		s.options = c->auth.grant.options;
	if (c->chan_ops->chan_start(c->host, ch, &s))
		return false;
	ch->started = true;
	return true;
}

static bool shell_request(struct ssh_chan *ch, struct rd *r)
{
	return !rd_finish(r) && start(ch, SSH_START_SHELL, (struct bytes){ NULL, 0 });
}

static bool exec_request(struct ssh_chan *ch, struct rd *r)
{
	struct bytes command = rd_string(r);

	return !rd_finish(r) && start(ch, SSH_START_EXEC, command);
}

/* A command like another. */
static bool subsystem_request(struct ssh_chan *ch, struct rd *r)
{
	struct bytes name = rd_string(r), command;

	return !rd_finish(r) && ssh_config_subsystem(ch->c->cfg, name, &command) &&
	       start(ch, SSH_START_EXEC, command);
}

const char *ssh_signal_find(struct bytes name)
{
	static const char *const names[] = { "ABRT", "ALRM", "FPE",  "HUP",  "ILL",  "INT", "KILL",
					     "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (bytes_is(name, names[i]))
			return names[i];
	return NULL;
}

static bool signal_request(struct ssh_chan *ch, struct rd *r)
{
	const char *name = ssh_signal_find(rd_string(r));

	/* who may run but one command may not end it halfway: OpenSSH and dropbear */
	return !rd_finish(r) && ch->started && !forced_command(ch->c).p && name &&
	       ch->c->chan_ops->chan_signal(ch->c->host, ch, name) == 0;
}

static bool break_request(struct ssh_chan *ch, struct rd *r)
{
	uint32_t ms = rd_u32(r);

	return !rd_finish(r) && ch->started &&
	       ch->c->chan_ops->chan_break(ch->c->host, ch, ms) == 0;
}

static const struct {
	const char *name;
	bool (*handle)(struct ssh_chan *ch, struct rd *r);
} requests[] = {
	{ "pty-req", pty_request },	    { "env", env_request },
	{ "shell", shell_request },	    { "exec", exec_request },
	{ "subsystem", subsystem_request }, { "window-change", winsize_request },
	{ "signal", signal_request },	    { "break", break_request },
};

static bool handle(struct ssh_chan *ch, struct bytes name, struct rd *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (bytes_is(name, requests[i].name))
			return requests[i].handle(ch, r);
	return false;
}

int ssh_chan_request_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	uint32_t number = rd_u32(r);
	struct bytes name = rd_string(r);
	bool want_reply = rd_bool(r), was_started, good;
	struct ssh_chan *ch;
	struct wr *w;

	if (r->bad)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed channel request");
	ch = ssh_chan_find(c, number);
	if (!ch)
		return -EPROTO;
	/* After our CLOSE nothing may follow on the channel. */
	if (ch->close_out)
		return 0;
	was_started = ch->started;
	/* to the host a forwarded connection is no session */
	good = ch->kind == CHAN_SESSION && handle(ch, name, r);
	if (want_reply) {
		w = ssh_msg_begin(c, good ? SSH_MSG_CHANNEL_SUCCESS : SSH_MSG_CHANNEL_FAILURE, 5);
		wr_u32(w, ch->peer);
		ssh_msg_end(c);
	}
	if (ch->started && !was_started)
		ssh_chan_started(ch);
	return 0;
}
