/* SPDX-License-Identifier: MIT */
/* Channels (RFC 4254 s5): numbers, windows, data both ways, and their end. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/chan_priv.h"

#define SLOT_BITS 12 /* of a channel's number; the rest counts the slot's uses */
#define SLOTS_MAX (1u << SLOT_BITS)
#define SLOTS_MIN 4
#define REPLY_MAX 64
#define OFFER_MIN 2048
#define DATA_HEAD 13 /* type, channel, data type, length */
#define DRAIN_NS  (60 * NS_PER_S)

/* Numbers. */

static int grow_slots(struct ssh_conn *c)
{
	struct ssh_chans *s = &c->chans;
	unsigned cap = s->cap ? s->cap * 2 : SLOTS_MIN;
	struct ssh_chan **slot = ssh_alloc(c, cap * sizeof(*slot));
	uint32_t *uses = ssh_alloc(c, cap * sizeof(*uses));

	if (!slot || !uses) {
		ssh_free(c, slot, cap * sizeof(*slot));
		ssh_free(c, uses, cap * sizeof(*uses));
		return -ENOMEM;
	}
	memset(slot, 0, cap * sizeof(*slot));
	memset(uses, 0, cap * sizeof(*uses));
	if (s->cap > 0) {
		memcpy(slot, s->slot, s->cap * sizeof(*slot));
		memcpy(uses, s->uses, s->cap * sizeof(*uses));
		ssh_free(c, s->slot, s->cap * sizeof(*slot));
		ssh_free(c, s->uses, s->cap * sizeof(*uses));
	}
	s->slot = slot;
	s->uses = uses;
	s->cap = cap;
	return 0;
}

static int take_slot(struct ssh_conn *c, struct ssh_chan *ch)
{
	struct ssh_chans *s = &c->chans;
	unsigned max = ch->kind == CHAN_SESSION ? c->cfg->max_sessions : c->cfg->max_channels;
	unsigned i = 0;

	/* I-SSH-17 */
	if (s->kind[ch->kind].open >= max || s->open >= SLOTS_MAX)
		return -EMFILE;
	if (s->open == s->cap && grow_slots(c))
		return -ENOMEM;
	while (s->slot[i])
		i++;
	s->slot[i] = ch;
	s->open++;
	s->kind[ch->kind].open++;
	ch->slot = i;
	ch->number = i | s->uses[i]++ << SLOT_BITS;
	return 0;
}

static struct ssh_chan *chan_lookup(const struct ssh_conn *c, uint32_t number)
{
	unsigned i = number & (SLOTS_MAX - 1);
	struct ssh_chan *ch = i < c->chans.cap ? c->chans.slot[i] : NULL;

	return ch && ch->number == number ? ch : NULL;
}

struct ssh_chan *ssh_chan_find(struct ssh_conn *c, uint32_t number)
{
	struct ssh_chan *ch = chan_lookup(c, number);

	/* I-SSH-16 */
	if (ch && ch->stage != CHAN_OPEN)
		ch = NULL;
	if (!ch)
		(void)ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR,
			       "message for a channel that is not open");
	return ch;
}

static void chan_free(struct ssh_chan *ch)
{
	struct ssh_conn *c = ch->c;

	c->chans.slot[ch->slot] = NULL;
	c->chans.open--;
	c->chans.kind[ch->kind].open--;
	c->chans.kind[ch->kind].window_granted -= ch->window_max;
	ssh_chunks_free(ch);
	ssh_dup_free(c, &ch->to);
	ssh_free(c, ch, sizeof(*ch));
}

static void chan_end(struct ssh_chan *ch)
{
	/* what its peer has sent is lost, or nobody took it */
	if (ch->stage == CHAN_OFFERED || (ch->kind != CHAN_SESSION && ch->waiting > 0))
		ch->c->chan_ops->chan_reset(ch->c->host, ch);
	ch->c->chan_ops->chan_closed(ch->c->host, ch);
	chan_free(ch);
}

void ssh_chans_fini(struct ssh_conn *c)
{
	struct ssh_chans *s = &c->chans;

	for (unsigned i = 0; i < s->cap; i++)
		if (s->slot[i])
			chan_end(s->slot[i]);
	ssh_free(c, s->slot, s->cap * sizeof(struct ssh_chan *));
	ssh_free(c, s->uses, s->cap * sizeof(uint32_t));
	*s = (struct ssh_chans){ 0 };
}

void ssh_chan_set_data(struct ssh_chan *ch, void *data)
{
	ch->data = data;
}

void *ssh_chan_data(const struct ssh_chan *ch)
{
	return ch->data;
}

uint32_t ssh_chan_number(const struct ssh_chan *ch)
{
	return ch->number;
}

/* A message that is nothing but a channel's number. */
static void chan_message(struct ssh_chan *ch, uint8_t type)
{
	struct wr *w = ssh_msg_begin(ch->c, type, 5);

	wr_u32(w, ch->peer);
	ssh_msg_end(ch->c);
}

/* Opening. */

static int open_failure(struct ssh_conn *c, uint32_t peer, uint32_t reason, const char *text)
{
	struct wr *w = ssh_msg_begin(c, SSH_MSG_CHANNEL_OPEN_FAILURE, 128);

	wr_u32(w, peer);
	wr_u32(w, reason);
	wr_cstring(w, text);
	wr_cstring(w, "");
	ssh_msg_end(c);
	return 0;
}

static void grant_window(struct ssh_conn *c, struct ssh_chan *ch)
{
	uint64_t *granted = &c->chans.kind[ch->kind].window_granted;
	bool rich = *granted + c->cfg->window <= c->cfg->window_budget;

	ch->window = ch->window_max = rich ? c->cfg->window : c->cfg->window_small;
	*granted += ch->window_max;
}

static void confirm(struct ssh_chan *ch)
{
	struct wr *w = ssh_msg_begin(ch->c, SSH_MSG_CHANNEL_OPEN_CONFIRMATION, REPLY_MAX);

	wr_u32(w, ch->peer);
	wr_u32(w, ch->number);
	wr_u32(w, ch->window);
	wr_u32(w, SSH_DATA_MAX);
	ssh_msg_end(ch->c);
}

static struct ssh_chan *chan_new(struct ssh_conn *c, enum ssh_chan_kind kind)
{
	static const enum ssh_chan_stage first[CHAN_KINDS] = { CHAN_OPEN, CHAN_CONNECTING,
							       CHAN_OFFERED };
	struct ssh_chan *ch = ssh_alloc(c, sizeof(*ch));

	if (!ch)
		return NULL;
	*ch = (struct ssh_chan){ .c = c, .kind = kind, .stage = first[kind], .offer = OFFER_MIN };
	if (take_slot(c, ch)) {
		ssh_free(c, ch, sizeof(*ch));
		return NULL;
	}
	grant_window(c, ch);
	return ch;
}

static void set_peer(struct ssh_chan *ch, uint32_t peer, uint32_t window, uint32_t max)
{
	ch->peer = peer;
	ch->peer_window = window;
	ch->peer_max = MIN(max, (uint32_t)SSH_DATA_MAX);
}

static int open_session(struct ssh_chan *ch)
{
	struct ssh_conn *c = ch->c;
	uint32_t peer = ch->peer;

	if (c->chan_ops->chan_open(c->host, ch)) {
		chan_free(ch);
		return open_failure(c, peer, SSH_OPEN_RESOURCE_SHORTAGE, "no room for a session");
	}
	confirm(ch);
	return 0;
}

static int open_tcp(struct ssh_chan *ch, struct bytes to, uint32_t port)
{
	struct ssh_conn *c = ch->c;
	uint32_t peer = ch->peer, reason;
	const char *text;
	int err = port == 0 || port > UINT16_MAX ? -EINVAL : 0;

	if (!err && !ssh_forward_allowed(c, false, to, port))
		err = -EACCES;
	if (!err)
		err = c->chan_ops->chan_connect(c->host, ch, to, (uint16_t)port);
	if (!err) {
		ch->to = ssh_dup(c, to);
		ch->port = port;
		return 0;
	}
	chan_free(ch);
	reason = ssh_forward_refused(c, "connect to", to, port, err, &text);
	return open_failure(c, peer, reason, text);
}

int ssh_chan_open_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct bytes type = rd_string(r), to = { NULL, 0 };
	uint32_t peer = rd_u32(r), window = rd_u32(r), max = rd_u32(r), port = 0;
	bool tcp = bytes_is(type, "direct-tcpip");
	struct ssh_chan *ch;

	if (r->bad)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed channel open");
	if (!tcp && !bytes_is(type, "session"))
		return open_failure(c, peer, SSH_OPEN_UNKNOWN_CHANNEL_TYPE, "unknown channel type");
	if (tcp) {
		to = rd_string(r);
		port = rd_u32(r);
		/* whose it is: whatever the client says */
		(void)rd_string(r);
		(void)rd_u32(r);
	}
	if (rd_finish(r))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed channel open");
	if (max == 0)
		return open_failure(c, peer, SSH_OPEN_ADMINISTRATIVELY_PROHIBITED,
				    "maximum packet size is 0");
	ch = chan_new(c, tcp ? CHAN_DIRECT : CHAN_SESSION);
	if (!ch) {
		ssh_log(c, SSH_LOG_REFUSAL, "no room for a channel", type);
		return open_failure(c, peer, SSH_OPEN_RESOURCE_SHORTAGE, "no room for a channel");
	}
	set_peer(ch, peer, window, max);
	return tcp ? open_tcp(ch, to, port) : open_session(ch);
}

void ssh_chan_connected(struct ssh_chan *ch)
{
	ch->stage = CHAN_OPEN;
	ssh_dup_free(ch->c, &ch->to);
	confirm(ch);
	ssh_chan_started(ch);
}

void ssh_chan_refuse(struct ssh_chan *ch, int error)
{
	const char *text;
	uint32_t reason = ssh_forward_refused(ch->c, "connect to", ch->to, ch->port, error, &text);

	open_failure(ch->c, ch->peer, reason, text);
	chan_end(ch);
}

bool ssh_chan_may_arrive(const struct ssh_conn *c)
{
	return ssh_msg_may_send(c) && !ssh_rekey_is_due(c) && ssh_buf_used(&c->tx) < SSH_TX_SOFT;
}

struct ssh_chan *ssh_chan_arrive(struct ssh_conn *c, const struct ssh_arrival *a)
{
	size_t n = REPLY_MAX + a->address.n + a->from.n;
	/* want of memory for a stranger ends no connection */
	bool may = c->phase == SSH_PHASE_OPEN && ssh_msg_room(c, n) == n;
	struct ssh_chan *ch = may ? chan_new(c, CHAN_ARRIVAL) : NULL;
	struct wr *w;

	if (!ch) {
		ssh_log(c, SSH_LOG_REFUSAL, "no room for a connection that came", a->from);
		return NULL;
	}
	w = ssh_msg_begin(c, SSH_MSG_CHANNEL_OPEN, n);
	wr_cstring(w, "forwarded-tcpip");
	wr_u32(w, ch->number);
	wr_u32(w, ch->window);
	wr_u32(w, SSH_DATA_MAX);
	wr_string(w, a->address.p, a->address.n);
	wr_u32(w, a->port);
	wr_string(w, a->from.p, a->from.n);
	wr_u32(w, a->from_port);
	ssh_msg_end(c);
	return ch;
}

/* The channel that we offered, or NULL after ssh_fail(). */
static struct ssh_chan *find_offered(struct ssh_conn *c, uint32_t number)
{
	struct ssh_chan *ch = chan_lookup(c, number);

	if (ch && ch->stage == CHAN_OFFERED)
		return ch;
	(void)ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "answer about a channel not offered");
	return NULL;
}

int ssh_chan_confirm_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	uint32_t number = rd_u32(r), peer = rd_u32(r), window = rd_u32(r), max = rd_u32(r);
	struct ssh_chan *ch;

	if (rd_finish(r) || max == 0)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed confirmation");
	ch = find_offered(c, number);
	if (!ch)
		return -EPROTO;
	set_peer(ch, peer, window, max);
	ch->stage = CHAN_OPEN;
	ssh_chan_started(ch);
	return 0;
}

int ssh_chan_failure_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	uint32_t number = rd_u32(r);
	struct ssh_chan *ch;

	(void)rd_u32(r);
	(void)rd_string(r);
	(void)rd_string(r);
	if (rd_finish(r))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed open failure");
	ch = find_offered(c, number);
	if (!ch)
		return -EPROTO;
	chan_end(ch);
	return 0;
}

/* Input. */

static void credit_input(struct ssh_chan *ch, size_t n)
{
	struct wr *w;

	ch->credit += (uint32_t)n;
	if (ch->credit < ch->window_max / 2 || ch->eof_in || ch->close_out)
		return;
	w = ssh_msg_begin(ch->c, SSH_MSG_CHANNEL_WINDOW_ADJUST, 9);
	wr_u32(w, ch->peer);
	wr_u32(w, ch->credit);
	ssh_msg_end(ch->c);
	ch->window += ch->credit;
	ch->credit = 0;
}

/* Give the program n bytes; how many it took, which is all of them once it reads no more. */
static size_t feed(struct ssh_chan *ch, const uint8_t *p, size_t n)
{
	ssize_t took = ch->c->chan_ops->chan_input(ch->c->host, ch, p, n);

	/* the reader is still there: what it would miss it may not notice */
	if (took == -ENOMEM) {
		(void)ssh_fail_local(ch->c, -ENOMEM);
		return 0;
	}
	if (took < 0) {
		ch->reader_gone = true;
		took = (ssize_t)n;
	}
	return (size_t)took;
}

static void tell_eof(struct ssh_chan *ch)
{
	if (!ch->eof_in || ch->eof_told || !ch->started || ch->waiting > 0)
		return;
	ch->eof_told = true;
	if (!ch->reader_gone)
		ch->c->chan_ops->chan_input_eof(ch->c->host, ch);
}

/* Our CLOSE, if it is not out, answers the peer's: the end. */
static void close_now(struct ssh_chan *ch)
{
	if (!ch->close_out)
		chan_message(ch, SSH_MSG_CHANNEL_CLOSE);
	chan_end(ch);
}

void ssh_chans_run(struct ssh_conn *c)
{
	for (unsigned i = 0; i < c->chans.cap; i++) {
		struct ssh_chan *ch = c->chans.slot[i];

		if (!ch || ch->stage != CHAN_DRAINING || c->now < ch->drain_until)
			continue;
		ssh_log(c, SSH_LOG_REFUSAL,
			ch->kind == CHAN_SESSION ? "a program outlives its channel: hung up"
						 : "a forwarded connection takes no more: reset",
			(struct bytes){ NULL, 0 });
		close_now(ch);
	}
}

uint64_t ssh_chans_deadline(const struct ssh_conn *c)
{
	uint64_t t = DEADLINE_NEVER;

	for (unsigned i = 0; i < c->chans.cap; i++) {
		const struct ssh_chan *ch = c->chans.slot[i];

		if (ch && ch->stage == CHAN_DRAINING)
			t = MIN(t, ch->drain_until);
	}
	return t;
}

void ssh_chans_info(const struct ssh_conn *c, struct ssh_conn_info *info)
{
	for (unsigned i = 0; i < c->chans.cap; i++) {
		const struct ssh_chan *ch = c->chans.slot[i];

		if (!ch)
			continue;
		info->stalled += ch->started && ch->peer_window == 0;
		info->window_in += ch->window;
		info->window_out += ch->peer_window;
		info->waiting += ch->waiting;
	}
}

void ssh_chan_input_ready(struct ssh_chan *ch)
{
	while (ch->waiting > 0 && !ch->reader_gone) {
		struct ssh_chunk *k = ch->first;
		size_t took = feed(ch, k->data + k->head, k->tail - k->head);

		if (took == 0)
			return;
		ssh_chunks_take(ch, took);
		credit_input(ch, took);
	}
	if (ch->waiting > 0) {
		size_t n = ch->waiting;

		ssh_chunks_free(ch);
		credit_input(ch, n);
	}
	tell_eof(ch);
	if (ch->stage == CHAN_DRAINING && ch->kind != CHAN_SESSION)
		close_now(ch);
}

void ssh_chan_started(struct ssh_chan *ch)
{
	ch->started = true;
	ssh_chan_input_ready(ch);
}

size_t ssh_chan_input_waiting(const struct ssh_chan *ch)
{
	return ch->started ? ch->waiting : 0;
}

/* No memory for what a forwarded connection does not take: it ends, and no other. */
static int cut_off(struct ssh_chan *ch)
{
	ssh_log(ch->c, SSH_LOG_REFUSAL, "no memory for a forwarded connection: reset",
		(struct bytes){ NULL, 0 });
	ch->c->chan_ops->chan_reset(ch->c->host, ch);
	ssh_chan_close(ch);
	return 0;
}

/* What the host does not take waits in chunks, and then it was asked until it took nothing: only that makes it call
 * ssh_chan_input_ready(). */
static int take_input(struct ssh_chan *ch, const uint8_t *p, size_t n)
{
	bool idle = ch->started && ch->waiting == 0;
	size_t took = 0;

	if (ch->reader_gone || ch->close_out)
		took = n;
	else if (idle && n > 0)
		took = feed(ch, p, n);
	if (ssh_chunks_add(ch, p + took, n - took))
		return ch->kind == CHAN_SESSION ? ssh_fail_local(ch->c, -ENOMEM) : cut_off(ch);
	if (took > 0)
		credit_input(ch, took);
	if (took > 0 && took < n)
		ssh_chan_input_ready(ch);
	return 0;
}

/* Does the peer keep to its window and to what it said before? */
static int check_input(struct ssh_chan *ch, struct bytes data)
{
	if (ch->eof_in)
		return ssh_fail(ch->c, SSH_DISCONNECT_PROTOCOL_ERROR, "data after end of file");
	if (data.n > ch->window || data.n > SSH_DATA_MAX)
		return ssh_fail(ch->c, SSH_DISCONNECT_PROTOCOL_ERROR, "data beyond the window");
	ch->window -= (uint32_t)data.n;
	return 0;
}

int ssh_chan_data_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	uint32_t number = rd_u32(r);
	struct bytes data = rd_string(r);
	struct ssh_chan *ch;

	if (rd_finish(r))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed channel data");
	ch = ssh_chan_find(c, number);
	if (!ch || check_input(ch, data))
		return -EPROTO;
	return take_input(ch, data.p, data.n);
}

/* There is no extended data from client to server: counted and dropped. */
int ssh_chan_extended_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	uint32_t number = rd_u32(r);
	struct bytes data;
	struct ssh_chan *ch;

	(void)rd_u32(r);
	data = rd_string(r);
	if (rd_finish(r))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed channel data");
	ch = ssh_chan_find(c, number);
	if (!ch || check_input(ch, data))
		return -EPROTO;
	credit_input(ch, data.n);
	return 0;
}

int ssh_chan_adjust_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	uint32_t number = rd_u32(r), more = rd_u32(r);
	struct ssh_chan *ch;

	if (rd_finish(r))
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed window adjust");
	ch = ssh_chan_find(c, number);
	if (!ch)
		return -EPROTO;
	if (more > UINT32_MAX - ch->peer_window)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "window grows beyond 2^32-1");
	ch->peer_window += more;
	return 0;
}

/* A message that must be nothing but a channel's number: the channel, or NULL after ssh_fail(). */
static struct ssh_chan *read_number(struct ssh_conn *c, struct rd *r)
{
	uint32_t number = rd_u32(r);

	if (rd_finish(r)) {
		(void)ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "malformed channel message");
		return NULL;
	}
	return ssh_chan_find(c, number);
}

int ssh_chan_eof_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct ssh_chan *ch = read_number(c, r);

	if (!ch)
		return -EPROTO;
	ch->eof_in = true;
	tell_eof(ch);
	return 0;
}

/* Is there more to do than to answer the peer's CLOSE? */
static bool must_drain(struct ssh_chan *ch)
{
	const struct ssh_chan_ops *ops = ch->c->chan_ops;

	if (ch->kind != CHAN_SESSION)
		return ch->waiting > 0;
	return ch->started && !ch->close_out && ops->chan_hang_up &&
	       ops->chan_hang_up(ch->c->host, ch);
}

int ssh_chan_close_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	struct ssh_chan *ch = read_number(c, r);

	if (!ch)
		return -EPROTO;
	ch->eof_in = true;
	if (!must_drain(ch)) {
		close_now(ch);
		return 0;
	}
	ch->stage = CHAN_DRAINING;
	/* who has heard our EOF may be waiting for how it ends */
	ch->drain_until =
		ch->kind == CHAN_SESSION && ch->eof_out ? DEADLINE_NEVER : c->now + DRAIN_NS;
	tell_eof(ch);
	return 0;
}

/* We send no channel request that wants a reply. */
int ssh_chan_reply_input(struct ssh_conn *c, struct rd *r, struct bytes payload)
{
	return read_number(c, r) ? 0 : -EPROTO;
}

/* Output. */

size_t ssh_chan_room(const struct ssh_chan *ch)
{
	const struct ssh_conn *c = ch->c;

	if (!ssh_msg_may_send(c) || ssh_rekey_is_due(c) || ch->eof_out || ch->close_out ||
	    ssh_buf_used(&c->tx) >= SSH_TX_SOFT)
		return 0;
	if (ch->stage == CHAN_DRAINING)
		return SSH_DATA_MAX;
	return ch->stage == CHAN_OPEN ? MIN(ch->peer_window, ch->peer_max) : 0;
}

void *ssh_chan_output_begin(struct ssh_chan *ch, bool err, size_t *n)
{
	struct ssh_conn *c = ch->c;
	size_t room = MIN(ssh_chan_room(ch), (size_t)ch->offer);
	struct wr *w;

	room = room > 0 ? ssh_msg_room(c, DATA_HEAD + room) : 0;
	if (room <= DATA_HEAD)
		return NULL;
	room -= DATA_HEAD;
	w = ssh_msg_begin(c, err ? SSH_MSG_CHANNEL_EXTENDED_DATA : SSH_MSG_CHANNEL_DATA,
			  DATA_HEAD + room);
	wr_u32(w, ch->peer);
	if (err)
		wr_u32(w, SSH_EXTENDED_DATA_STDERR);
	wr_u32(w, 0);
	if (w->bad)
		return NULL;
	*n = room;
	return w->p + w->len;
}

/* Ask for more next time if the reader filled what it got, for less if it left most of it. */
static void adapt_offer(struct ssh_chan *ch, size_t n)
{
	if (n >= ch->offer)
		ch->offer = MIN(ch->offer * 4, (uint32_t)SSH_DATA_MAX);
	else if (n < ch->offer / 8 && ch->offer > OFFER_MIN)
		ch->offer /= 2;
}

void ssh_chan_output_end(struct ssh_chan *ch, size_t n)
{
	struct ssh_conn *c = ch->c;
	struct wr *w = &c->msg;

	adapt_offer(ch, n);
	/* who waits until we have read may not read itself: taken, and dropped */
	if (n == 0 || ch->stage == CHAN_DRAINING) {
		ssh_msg_cancel(c);
		return;
	}
	store_be32(w->p + w->len - 4, (uint32_t)n);
	w->len += n;
	ssh_msg_end(c);
	ch->peer_window -= (uint32_t)n;
}

void ssh_chan_eof(struct ssh_chan *ch)
{
	if (ch->eof_out || ch->close_out)
		return;
	ch->eof_out = true;
	chan_message(ch, SSH_MSG_CHANNEL_EOF);
}

void ssh_chan_exit_status(struct ssh_chan *ch, uint32_t status)
{
	struct wr *w;

	if (ch->close_out)
		return;
	w = ssh_msg_begin(ch->c, SSH_MSG_CHANNEL_REQUEST, REPLY_MAX);
	wr_u32(w, ch->peer);
	wr_cstring(w, "exit-status");
	wr_bool(w, false);
	wr_u32(w, status);
	ssh_msg_end(ch->c);
}

void ssh_chan_exit_signal(struct ssh_chan *ch, const char *name, bool core)
{
	struct bytes plain = { (const uint8_t *)name, strlen(name) };
	struct wr *w;
	size_t mark;

	if (ch->close_out)
		return;
	w = ssh_msg_begin(ch->c, SSH_MSG_CHANNEL_REQUEST, REPLY_MAX);
	wr_u32(w, ch->peer);
	wr_cstring(w, "exit-signal");
	wr_bool(w, false);
	mark = wr_string_begin(w);
	wr_put(w, name, strlen(name));
	/* RFC 4250 s4.6.1: a name of our own says whose it is */
	if (!ssh_signal_find(plain))
		wr_put(w, "@tern", 5);
	wr_string_end(w, mark);
	wr_bool(w, core);
	wr_cstring(w, "");
	wr_cstring(w, "");
	ssh_msg_end(ch->c);
}

void ssh_chan_close(struct ssh_chan *ch)
{
	if (ch->close_out)
		return;
	ssh_chan_eof(ch);
	chan_message(ch, SSH_MSG_CHANNEL_CLOSE);
	ch->close_out = true;
	ssh_chunks_free(ch);
	if (ch->stage == CHAN_DRAINING)
		chan_end(ch);
}
