/* SPDX-License-Identifier: MIT */
/* A connection's life and its wheel: input through the gate, timers, buffers. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/cipher.h"
#include "ssh/conn_priv.h"
#include "ssh/kex_priv.h"

#define TRIM_NS		NS_PER_S
#define UNAUTH_MAX	(256 * 1024) /* bytes a client may send before it is logged in */
#define INPUT_ROOM	4096	     /* what a read of the socket is worth doing for */
#define ABOUT_MAX	96
#define DISCONNECT_HEAD 16 /* type, code, two lengths, and some */

void ssh_config_init(struct ssh_config *cfg, const struct ssh_hostkey *hostkey)
{
	*cfg = (struct ssh_config){
		.hostkeys = { hostkey },
		.ident = "SSH-2.0-tern",
		.hold_ns = 20 * NS_PER_MS,
		.rekey_packets = 1UL << 31,
		.rekey_wait_ns = 30 * NS_PER_S,
		.max_queries = 15,
		.max_channels = 64,
		.window = 256 * 1024,
		.window_budget = 1024 * 1024,
		.window_small = 64 * 1024,
		.log_level = SSH_LOG_INFO,
		.grace_ns = 30 * NS_PER_S,
		.rekey_ns = 3600 * NS_PER_S,
		.rekey_bytes = SSH_REKEY_BYTES,
		.keepalive_ns = 60 * NS_PER_S,
		.keepalive_max = 3,
		.max_tries = 6,
		.max_sessions = 64,
		.max_newcomers = 256,
		.permit_tty = true,
		.forward = SSH_FORWARD_LOCAL | SSH_FORWARD_REMOTE,
		.kexes = UINT32_MAX,
		.hostkey_algs = UINT32_MAX,
		.ciphers = UINT32_MAX,
		.macs = UINT32_MAX,
	};
}

/* I-SSH-19 */
static size_t memory_max(const struct ssh_conn *c)
{
	size_t most = SSH_MEMORY_OPEN;

	if (c->phase == SSH_PHASE_IDENT)
		return SSH_MEMORY_IDENT;
	if (c->phase < SSH_PHASE_SERVICE)
		return SSH_MEMORY_KEX;
	if (c->phase < SSH_PHASE_OPEN)
		return SSH_MEMORY_LOGIN;
	for (unsigned i = 0; i < CHAN_KINDS; i++)
		most += c->chans.kind[i].window_granted +
			c->chans.kind[i].open * SSH_MEMORY_CHANNEL;
	return most;
}

void *ssh_alloc(struct ssh_conn *c, size_t n)
{
	void *p = NULL;

	if (c->memory + n <= memory_max(c))
		p = c->ops->alloc(c->host, n);
	if (p)
		c->memory += n;
	return p;
}

void ssh_free(struct ssh_conn *c, void *p, size_t n)
{
	if (!p)
		return;
	c->memory -= n;
	c->ops->free(c->host, p, n);
}

struct bytes ssh_dup(struct ssh_conn *c, struct bytes b)
{
	uint8_t *p = b.n > 0 ? ssh_alloc(c, b.n) : NULL;

	if (p)
		memcpy(p, b.p, b.n);
	return (struct bytes){ p, p ? b.n : 0 };
}

void ssh_dup_free(struct ssh_conn *c, struct bytes *b)
{
	ssh_free(c, (void *)b->p, b->n);
	*b = (struct bytes){ NULL, 0 };
}

/* What the peer wrote goes to a log only as printable ASCII, and not much of it. */
void ssh_log(struct ssh_conn *c, enum ssh_log level, const char *text, struct bytes about)
{
	uint8_t clean[ABOUT_MAX];
	size_t n = MIN(about.n, sizeof(clean));

	for (size_t i = 0; i < n; i++)
		clean[i] = about.p[i] >= ' ' && about.p[i] < 0x7f ? about.p[i] : '?';
	c->ops->log(c->host, level, text, (struct bytes){ clean, n });
}

static void disconnect_send(struct ssh_conn *c, uint32_t code, const char *text)
{
	struct wr *w;

	if (c->phase == SSH_PHASE_IDENT)
		return;
	w = ssh_msg_begin(c, SSH_MSG_DISCONNECT, DISCONNECT_HEAD + strlen(text));
	wr_u32(w, code);
	wr_cstring(w, text);
	wr_cstring(w, "");
	ssh_msg_end(c);
}

void ssh_conn_disconnect(struct ssh_conn *c, uint32_t code, const char *text)
{
	if (c->phase == SSH_PHASE_OVER)
		return;
	disconnect_send(c, code, text);
	c->phase = SSH_PHASE_OVER;
}

int ssh_fail(struct ssh_conn *c, uint32_t code, const char *text)
{
	if (c->phase != SSH_PHASE_OVER)
		ssh_log(c, SSH_LOG_INFO, text, (struct bytes){ NULL, 0 });
	ssh_conn_disconnect(c, code, text);
	return -EPROTO;
}

int ssh_fail_local(struct ssh_conn *c, int error)
{
	const char *text = error == -ENOMEM   ? "out of memory"
			   : error == -EAGAIN ? "no random numbers yet"
					      : "internal error";
	size_t n = DISCONNECT_HEAD + strlen(text);

	if (c->phase == SSH_PHASE_OVER)
		return error;
	ssh_log(c, SSH_LOG_INFO, text, (struct bytes){ NULL, 0 });
	/* a connection at rest has room for a word; more cannot fail again */
	if (error == -ENOMEM && ssh_msg_room(c, n) == n)
		disconnect_send(c, SSH_DISCONNECT_BY_APPLICATION, text);
	c->phase = SSH_PHASE_OVER;
	return error;
}

struct ssh_conn *ssh_conn_create(const struct ssh_config *cfg, const struct ssh_host_ops *ops,
				 void *host, uint64_t now)
{
	struct ssh_conn *c = ops->alloc(host, sizeof(*c));

	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->memory = sizeof(*c);
	c->cfg = cfg;
	c->ops = ops;
	c->host = host;
	c->phase = SSH_PHASE_IDENT;
	c->now = c->created = c->heard_at = c->active_at = now;
	c->in.keys = ssh_alloc(c, sizeof(*c->in.keys));
	c->out.keys = ssh_alloc(c, sizeof(*c->out.keys));
	if (!c->in.keys || !c->out.keys)
		goto destroy;
	ssh_keys_init(c->in.keys, &ssh_cipher_none, NULL, NULL, NULL, NULL);
	ssh_keys_init(c->out.keys, &ssh_cipher_none, NULL, NULL, NULL, NULL);
	if (ssh_ident_send(c))
		goto destroy;
	return c;
destroy:
	ssh_conn_destroy(c);
	return NULL;
}

static void end_login(struct ssh_conn *c)
{
	/* I-SSH-18: nothing was granted */
	if (!c->chan_ops)
		return;
	ssh_chans_fini(c);
	ssh_auth_fini(c);
}

void ssh_conn_destroy(struct ssh_conn *c)
{
	const struct ssh_host_ops *ops = c->ops;
	void *host = c->host;

	c->phase = SSH_PHASE_OVER;
	end_login(c);
	ssh_kex_free(c);
	ssh_keys_free(c, &c->in.keys);
	ssh_keys_free(c, &c->out.keys);
	ssh_buf_release(c, &c->rx);
	ssh_buf_release(c, &c->tx);
	ssh_buf_release(c, &c->held);
	secure_zero(c, sizeof(*c));
	ops->free(host, c, sizeof(*c));
}

enum ssh_phase ssh_conn_phase(const struct ssh_conn *c)
{
	bool again = c->kex && c->kex->got_init &&
		     (c->phase & (SSH_PHASE_SERVICE | SSH_PHASE_AUTH | SSH_PHASE_OPEN));

	if (!again || c->kex->got_newkeys)
		return c->phase;
	return c->kex->replied ? SSH_PHASE_RENEWKEYS : SSH_PHASE_REKEX;
}

bool ssh_conn_is_over(const struct ssh_conn *c)
{
	return c->phase == SSH_PHASE_OVER;
}

bool ssh_conn_is_authenticated(const struct ssh_conn *c)
{
	return c->phase == SSH_PHASE_OPEN;
}

bool ssh_conn_wants_input(const struct ssh_conn *c)
{
	size_t stop = c->phase < SSH_PHASE_OPEN ? SSH_TX_LOGIN : SSH_TX_STOP;

	return c->phase != SSH_PHASE_OVER && c->now >= c->pause_until && !c->auth.answer_due &&
	       ssh_buf_used(&c->tx) < stop;
}

bool ssh_short(struct ssh_conn *c, uint64_t *since)
{
	/* one of long ago is another */
	if (*since == 0 || c->now > c->pause_until + SSH_SHORT_MAX_NS)
		*since = c->now;
	c->pause_until = MAX(c->pause_until, c->now + SSH_SHORT_RETRY_NS);
	return c->now - *since < SSH_SHORT_MAX_NS;
}

void *ssh_conn_input_space(struct ssh_conn *c, size_t *n)
{
	size_t want;
	int err;

	if (!ssh_conn_wants_input(c))
		return NULL;
	want = MAX(c->phase == SSH_PHASE_IDENT ? 0 : ssh_packet_wants(c), (size_t)1);
	if (c->rx.head > 0 && c->rx.cap - c->rx.tail < INPUT_ROOM)
		want = MAX(want, c->rx.cap - ssh_buf_used(&c->rx));
	err = ssh_buf_reserve(c, &c->rx, want);
	if (err) {
		if (!ssh_short(c, &c->short_since))
			(void)ssh_fail_local(c, err);
		return NULL;
	}
	c->short_since = 0;
	*n = c->rx.cap - c->rx.tail;
	return c->rx.p + c->rx.tail;
}

void ssh_conn_input_done(struct ssh_conn *c, size_t n)
{
	c->rx.tail += n;
}

const void *ssh_conn_output(const struct ssh_conn *c, size_t *n)
{
	*n = ssh_buf_used(&c->tx);
	return *n > 0 ? c->tx.p + c->tx.head : NULL;
}

void ssh_conn_output_sent(struct ssh_conn *c, size_t n)
{
	ssh_buf_consume(&c->tx, n);
}

/* One line or packet of input. False when there is none, or it must wait. */
static bool input_step(struct ssh_conn *c)
{
	struct bytes payload;
	int got;

	if (!ssh_conn_wants_input(c))
		return false;
	if (c->phase == SSH_PHASE_IDENT)
		return ssh_ident_input(c) == 1 && ssh_kex_expect(c) == 0;
	got = ssh_packet_next(c, &payload);
	if (got != 1)
		return false;
	if (ssh_dispatch(c, payload))
		c->phase = SSH_PHASE_OVER;
	if (c->packet_again)
		return false;
	ssh_packet_done(c);
	if (c->phase < SSH_PHASE_OPEN && c->in.bytes > UNAUTH_MAX)
		(void)ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "too much sent before login");
	return true;
}

static void check_grace(struct ssh_conn *c)
{
	if (c->phase < SSH_PHASE_OPEN && c->now - c->created >= c->cfg->grace_ns)
		(void)ssh_fail(c, SSH_DISCONNECT_BY_APPLICATION, "login took too long");
}

static bool is_trimmable(const struct ssh_buf *b)
{
	return ssh_buf_is_large(b) && ssh_buf_used(b) == 0;
}

/* Of who is logged in: a newcomer's are in its bound (I-SSH-19). */
static void trim_buffers(struct ssh_conn *c)
{
	if (c->now - c->active_at < TRIM_NS)
		return;
	if (is_trimmable(&c->rx))
		ssh_buf_trim(c, &c->rx);
	if (is_trimmable(&c->tx))
		ssh_buf_trim(c, &c->tx);
	/* If there was no memory for it, not at once again. */
	c->active_at = c->now;
}

static void open_run(struct ssh_conn *c)
{
	/* I-SSH-18 */
	if (c->phase != SSH_PHASE_OPEN)
		return;
	ssh_rekey_run(c);
	ssh_keepalive_run(c);
	ssh_chans_run(c);
	trim_buffers(c);
}

void ssh_conn_run(struct ssh_conn *c, uint64_t now)
{
	struct bytes none;

	c->now = now;
	ssh_auth_run(c);
	while (input_step(c))
		;
	/* though no input is wanted */
	if (c->discard > 0 && now >= c->discard_until && ssh_packet_next(c, &none))
		c->phase = SSH_PHASE_OVER;
	if (c->phase == SSH_PHASE_OVER)
		return;
	ssh_kex_run(c);
	open_run(c);
	check_grace(c);
}

static uint64_t open_deadline(const struct ssh_conn *c)
{
	uint64_t t;

	/* I-SSH-18 */
	if (c->phase != SSH_PHASE_OPEN)
		return DEADLINE_NEVER;
	t = MIN(ssh_keepalive_deadline(c), ssh_chans_deadline(c));
	t = MIN(t, ssh_rekey_deadline(c));
	if (is_trimmable(&c->rx) || is_trimmable(&c->tx))
		t = MIN(t, c->active_at + TRIM_NS);
	return t;
}

uint64_t ssh_conn_deadline(const struct ssh_conn *c)
{
	uint64_t t = DEADLINE_NEVER;

	if (c->phase == SSH_PHASE_OVER)
		return c->now;
	t = MIN(t, ssh_auth_deadline(c));
	t = MIN(t, ssh_kex_deadline(c));
	t = MIN(t, open_deadline(c));
	if (c->phase < SSH_PHASE_OPEN)
		t = MIN(t, c->created + c->cfg->grace_ns);
	if (c->pause_until > c->now)
		t = MIN(t, c->pause_until);
	if (c->discard > 0)
		t = MIN(t, c->discard_until);
	return t;
}

/* Of each phase, in the order of its bits. */
static const char *const phase_names[] = { "ident", "kex",  "kex",   "kex",   "auth",
					   "auth",  "open", "rekey", "rekey", "over" };

static const char *mac_name(const struct ssh_keys *k)
{
	return k->mac ? k->mac->name : k->cipher->tag_len > 0 ? "implicit" : "none";
}

void ssh_conn_info(const struct ssh_conn *c, struct ssh_conn_info *info)
{
	*info = (struct ssh_conn_info){
		.phase = phase_names[__builtin_ctz(ssh_conn_phase(c))],
		.kex = c->kex_name ? c->kex_name : "none",
		.cipher_in = c->in.keys->cipher->name,
		.cipher_out = c->out.keys->cipher->name,
		.mac_in = mac_name(c->in.keys),
		.mac_out = mac_name(c->out.keys),
		.bytes_in = c->in.bytes,
		.bytes_out = c->out.bytes,
		.packets_in = c->in.packets,
		.packets_out = c->out.packets,
		.rekeys = c->rekeys,
		.late = c->late,
		.channels = c->chans.open,
		.memory = c->memory,
		.memory_max = memory_max(c),
	};
	/* I-SSH-18 */
	if (c->phase != SSH_PHASE_OPEN)
		return;
	ssh_chans_info(c, info);
}
