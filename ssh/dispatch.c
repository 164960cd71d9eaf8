/* SPDX-License-Identifier: MIT */
/* The gate every message passes: a type is handled in the phases its row names and in no other. What has a row
 * but not this phase ends the connection; what has no row is answered with UNIMPLEMENTED where that is allowed. */
#include "lib/errno.h"
#include "ssh/conn_priv.h"

#define KEX_PHASES                                                                                 \
	(SSH_PHASE_KEXINIT | SSH_PHASE_KEX | SSH_PHASE_NEWKEYS | SSH_PHASE_REKEX |                 \
	 SSH_PHASE_RENEWKEYS)
#define FIRST_KEX (SSH_PHASE_KEXINIT | SSH_PHASE_KEX | SSH_PHASE_NEWKEYS)
#define ENCRYPTED (SSH_PHASE_SERVICE | SSH_PHASE_AUTH | SSH_PHASE_OPEN)
#define ANY	  (KEX_PHASES | ENCRYPTED)
#define NEVER	  (1 << 15) /* no phase: only a server sends it */

typedef int handler_fn(struct ssh_conn *c, struct rd *r, struct bytes payload);

static int ignore_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	return 0;
}

static int disconnect_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	(void)rd_u32(r);
	ssh_log(c, SSH_LOG_VERBOSE, "disconnected by the client", rd_string(r));
	c->phase = SSH_PHASE_OVER;
	return -EPROTO;
}

/* By number. No phases: we do not know it. */
static const struct row {
	uint16_t phases;
	handler_fn *handler;
} rows[UINT8_MAX + 1] = {
	[SSH_MSG_DISCONNECT] = { ANY, disconnect_input },
	[SSH_MSG_IGNORE] = { ANY, ignore_input },
	[SSH_MSG_UNIMPLEMENTED] = { ANY, ignore_input },
	[SSH_MSG_DEBUG] = { ANY, ignore_input },
	[SSH_MSG_SERVICE_REQUEST] = { SSH_PHASE_SERVICE | SSH_PHASE_AUTH, ssh_service_input },
	[SSH_MSG_SERVICE_ACCEPT] = { NEVER, NULL },
	[SSH_MSG_KEXINIT] = { SSH_PHASE_KEXINIT | ENCRYPTED, ssh_kexinit_input },
	[SSH_MSG_NEWKEYS] = { SSH_PHASE_NEWKEYS | SSH_PHASE_RENEWKEYS, ssh_newkeys_input },
	[SSH_MSG_KEX_ECDH_INIT] = { SSH_PHASE_KEX | SSH_PHASE_REKEX, ssh_kex_input },
	[SSH_MSG_KEX_ECDH_REPLY] = { NEVER, NULL },
	[SSH_MSG_USERAUTH_REQUEST] = { SSH_PHASE_AUTH | SSH_PHASE_OPEN, ssh_auth_input },
	[SSH_MSG_USERAUTH_FAILURE] = { NEVER, NULL },
	[SSH_MSG_USERAUTH_SUCCESS] = { NEVER, NULL },
	[SSH_MSG_USERAUTH_BANNER] = { NEVER, NULL },
	[SSH_MSG_USERAUTH_PK_OK] = { NEVER, NULL },
};

/* Those of the connection protocol. */
static const struct row open_rows[UINT8_MAX + 1] = {
	[SSH_MSG_GLOBAL_REQUEST] = { SSH_PHASE_OPEN, ssh_global_request_input },
	[SSH_MSG_REQUEST_SUCCESS] = { SSH_PHASE_OPEN, ssh_global_reply_input },
	[SSH_MSG_REQUEST_FAILURE] = { SSH_PHASE_OPEN, ssh_global_reply_input },
	[SSH_MSG_CHANNEL_OPEN] = { SSH_PHASE_OPEN, ssh_chan_open_input },
	[SSH_MSG_CHANNEL_OPEN_CONFIRMATION] = { SSH_PHASE_OPEN, ssh_chan_confirm_input },
	[SSH_MSG_CHANNEL_OPEN_FAILURE] = { SSH_PHASE_OPEN, ssh_chan_failure_input },
	[SSH_MSG_CHANNEL_WINDOW_ADJUST] = { SSH_PHASE_OPEN, ssh_chan_adjust_input },
	[SSH_MSG_CHANNEL_DATA] = { SSH_PHASE_OPEN, ssh_chan_data_input },
	[SSH_MSG_CHANNEL_EXTENDED_DATA] = { SSH_PHASE_OPEN, ssh_chan_extended_input },
	[SSH_MSG_CHANNEL_EOF] = { SSH_PHASE_OPEN, ssh_chan_eof_input },
	[SSH_MSG_CHANNEL_CLOSE] = { SSH_PHASE_OPEN, ssh_chan_close_input },
	[SSH_MSG_CHANNEL_REQUEST] = { SSH_PHASE_OPEN, ssh_chan_request_input },
	[SSH_MSG_CHANNEL_SUCCESS] = { SSH_PHASE_OPEN, ssh_chan_reply_input },
	[SSH_MSG_CHANNEL_FAILURE] = { SSH_PHASE_OPEN, ssh_chan_reply_input },
};

static const struct row *open_row(const struct ssh_conn *c, uint8_t type)
{
	/* I-SSH-18 */
	if (c->phase != SSH_PHASE_OPEN)
		return &rows[type];
	return &open_rows[type];
}

static void unimplemented_send(struct ssh_conn *c)
{
	struct wr *w = ssh_msg_begin(c, SSH_MSG_UNIMPLEMENTED, 5);

	wr_u32(w, c->in.seq - 1);
	ssh_msg_end(c);
}

/* In a strict first key exchange not even the harmless ones are allowed. */
static bool breaks_strict_kex(const struct ssh_conn *c, uint8_t type, enum ssh_phase phase)
{
	return c->strict && (phase & FIRST_KEX) && type >= SSH_MSG_IGNORE && type <= SSH_MSG_DEBUG;
}

int ssh_dispatch(struct ssh_conn *c, struct bytes payload)
{
	enum ssh_phase phase = ssh_conn_phase(c);
	struct rd r = rd_bytes_of(payload);
	uint8_t type = rd_u8(&r);
	const struct row *row = rows[type].phases ? &rows[type] : open_row(c, type);

	if (c->ops->message)
		c->ops->message(c->host, false, type, payload.n);
	if (ssh_kex_drops_guess(c, type))
		return 0;
	if ((row->phases & phase) && !breaks_strict_kex(c, type, phase))
		return row->handler(c, &r, payload);
	if ((phase & KEX_PHASES) || row->phases ||
	    (type >= SSH_MSG_GLOBAL_REQUEST && phase != SSH_PHASE_OPEN))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "message not allowed now");
	unimplemented_send(c);
	return 0;
}
