/* SPDX-License-Identifier: MIT */
/* The binary packet protocol (RFC 4253 s6): packets in from rx, packets out to tx, both handled in place. */
#include "lib/errno.h"
#include "lib/string.h"
#include "ssh/cipher.h"
#include "ssh/conn_priv.h"

#define HEADER_BYTES 5 /* packet_length and padding_length */
#define TAIL_BYTES   (255 + SSH_TAG_MAX)

/* After a bad length under encrypt-and-MAC, go on reading as if a largest packet came, so that when we give up
 * says nothing about what the length decrypted to; but not for longer than this. */
#define DISCARD_NS (4 * NS_PER_S)

static bool length_is_good(const struct ssh_keys *k, uint32_t length)
{
	size_t aligned = k->length_outside ? length : (size_t)length + 4;

	return length >= 1 + SSH_PADDING_MIN + 1 && length <= SSH_PACKET_MAX &&
	       aligned % k->block == 0;
}

static int bad_length(struct ssh_conn *c)
{
	if (c->in.keys->head_len == 4)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "bad packet length");
	c->discard = SSH_PACKET_MAX - MIN(ssh_buf_used(&c->rx), (size_t)SSH_PACKET_MAX - 1);
	c->discard_until = c->now + DISCARD_NS;
	ssh_buf_consume(&c->rx, ssh_buf_used(&c->rx));
	return 0;
}

static int discard_input(struct ssh_conn *c)
{
	size_t n = MIN(c->discard, ssh_buf_used(&c->rx));

	c->discard -= n;
	ssh_buf_consume(&c->rx, n);
	if (c->discard > 0 && c->now < c->discard_until)
		return 0;
	c->discard = 0;
	return ssh_fail(c, SSH_DISCONNECT_MAC_ERROR, "bad message authentication code");
}

size_t ssh_packet_wants(const struct ssh_conn *c)
{
	size_t have = ssh_buf_used(&c->rx), need = c->in.keys->head_len;

	if (c->packet_length > 0)
		need = 4 + c->packet_length + c->in.keys->tag_len;
	return need > have ? need - have : 0;
}

/* Strip the padding. 0, or -EPROTO after ssh_fail(). */
static int packet_payload(struct ssh_conn *c, const uint8_t *p, struct bytes *payload)
{
	uint32_t length = c->packet_length;
	uint8_t padding = p[4];

	if (padding < SSH_PADDING_MIN || length < (uint32_t)padding + 2)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "bad padding");
	*payload = (struct bytes){ p + HEADER_BYTES, length - 1 - padding };
	return 0;
}

static void dir_count(struct ssh_dir *d, size_t bytes)
{
	d->seq++;
	d->packets++;
	d->bytes += bytes;
	d->rekey_packets++;
	d->rekey_bytes += bytes;
}

int ssh_packet_next(struct ssh_conn *c, struct bytes *payload)
{
	struct ssh_keys *k = c->in.keys;
	uint8_t *p;

	if (c->discard > 0)
		return discard_input(c);
	if (ssh_buf_used(&c->rx) == 0)
		return 0;
	p = c->rx.p + c->rx.head;
	if (c->packet_again) {
		c->packet_again = false;
		return packet_payload(c, p, payload) ? -EPROTO : 1;
	}
	if (c->packet_length == 0) {
		uint32_t length;

		if (ssh_buf_used(&c->rx) < k->head_len)
			return 0;
		length = ssh_peek(k, c->in.seq, p);
		if (!length_is_good(k, length))
			return bad_length(c);
		c->packet_length = length;
	}
	if (ssh_packet_wants(c) > 0)
		return 0;
	if (ssh_open(k, c->in.seq, p, 4 + c->packet_length))
		return ssh_fail(c, SSH_DISCONNECT_MAC_ERROR, "bad message authentication code");
	if (c->in.seq == UINT32_MAX && c->phase < SSH_PHASE_SERVICE)
		return ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR, "sequence number wraps");
	c->packet_done = 4 + c->packet_length + k->tag_len;
	dir_count(&c->in, c->packet_done);
	c->heard_at = c->active_at = c->now;
	c->unanswered = 0;
	return packet_payload(c, p, payload) ? -EPROTO : 1;
}

void ssh_packet_done(struct ssh_conn *c)
{
	/* The tag's length is that of the keys the packet came under, which NEWKEYS has replaced by now. */
	ssh_buf_consume(&c->rx, c->packet_done);
	c->packet_length = 0;
}

static size_t padding_for(const struct ssh_keys *k, size_t payload)
{
	size_t aligned = 1 + payload + (k->length_outside ? 0 : 4);
	size_t padding = k->block - aligned % k->block;

	while (padding < SSH_PADDING_MIN || HEADER_BYTES + payload + padding < SSH_PACKET_MIN)
		padding += k->block;
	return padding;
}

/* The payload of n bytes lies at tx.tail + HEADER_BYTES: make it a packet. */
static int packet_seal(struct ssh_conn *c, size_t n)
{
	struct ssh_keys *k = c->out.keys;
	uint8_t *p = c->tx.p + c->tx.tail;
	size_t padding = padding_for(k, n), len = HEADER_BYTES + n + padding;
	int err = c->ops->random(c->host, p + HEADER_BYTES + n, padding);

	if (err)
		return err;
	if (c->ops->message)
		c->ops->message(c->host, true, p[HEADER_BYTES], n);
	store_be32(p, (uint32_t)(len - 4));
	p[4] = (uint8_t)padding;
	ssh_seal(k, c->out.seq, p, len);
	c->tx.tail += len + k->tag_len;
	dir_count(&c->out, len + k->tag_len);
	c->active_at = c->now;
	return 0;
}

/* While a key exchange runs, only messages of the transport's lower half may go (RFC 4253 s7.1). */
static bool must_hold(const struct ssh_conn *c, uint8_t type)
{
	bool transport = type <= SSH_MSG_DEBUG ||
			 (type >= SSH_MSG_KEXINIT && type < SSH_MSG_USERAUTH_REQUEST);

	return !transport && ssh_kex_blocks_output(c);
}

bool ssh_msg_may_send(const struct ssh_conn *c)
{
	return c->phase == SSH_PHASE_OPEN && !ssh_kex_blocks_output(c);
}

size_t ssh_msg_room(struct ssh_conn *c, size_t max)
{
	size_t room;

	if (ssh_buf_reserve(c, &c->tx, HEADER_BYTES + max + TAIL_BYTES) == 0)
		return max;
	room = c->tx.cap - c->tx.tail;
	return room > HEADER_BYTES + TAIL_BYTES ? room - HEADER_BYTES - TAIL_BYTES : 0;
}

struct wr *ssh_msg_begin(struct ssh_conn *c, uint8_t type, size_t max)
{
	struct ssh_buf *b;
	int err;

	c->msg = (struct wr){ .bad = true };
	if (c->phase == SSH_PHASE_OVER)
		return &c->msg;
	c->msg_held = must_hold(c, type);
	b = c->msg_held ? &c->held : &c->tx;
	err = ssh_buf_reserve(c, b, HEADER_BYTES + max + TAIL_BYTES);
	if (err) {
		(void)ssh_fail_local(c, err);
		return &c->msg;
	}
	c->msg = wr_over(b->p + b->tail + HEADER_BYTES, max);
	wr_u8(&c->msg, type);
	return &c->msg;
}

void ssh_msg_cancel(struct ssh_conn *c)
{
	c->msg.bad = true;
}

void ssh_msg_end(struct ssh_conn *c)
{
	struct wr w = c->msg;
	int err;

	c->msg.bad = true;
	if (w.bad) {
		if (w.p && c->phase != SSH_PHASE_OVER)
			(void)ssh_fail_local(c, -EMSGSIZE);
		return;
	}
	if (c->msg_held) {
		store_be32(w.p - HEADER_BYTES, (uint32_t)w.len);
		c->held.tail += HEADER_BYTES + w.len;
		if (ssh_buf_used(&c->held) > SSH_HELD_MAX)
			(void)ssh_fail(c, SSH_DISCONNECT_PROTOCOL_ERROR,
				       "too much to do in a key exchange");
		return;
	}
	err = packet_seal(c, w.len);
	if (err)
		(void)ssh_fail_local(c, err);
}

void ssh_held_send(struct ssh_conn *c)
{
	while (ssh_buf_used(&c->held) > 0 && c->phase != SSH_PHASE_OVER) {
		const uint8_t *p = c->held.p + c->held.head;
		uint32_t n = load_be32(p);
		struct wr *w = ssh_msg_begin(c, p[HEADER_BYTES], n);

		wr_put(w, p + HEADER_BYTES + 1, n - 1);
		ssh_msg_end(c);
		ssh_buf_consume(&c->held, HEADER_BYTES + n);
	}
	ssh_buf_release(c, &c->held);
}
