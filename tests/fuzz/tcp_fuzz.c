/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/stack.sources tests/fuzz/net_host.c */
/* flags: @tests/host/stack.flags */
/* A peer that knows every sequence number and keeps to no rule, against connections that it makes and that the program
 * makes, between the calls of that program. The peer's byte at each place of its stream is a function of the place, so
 * whatever it sends, in whatever order and however often, a model of one bit a byte says what the program may read:
 *   - what is acknowledged was sent without a gap, and so was what a selective acknowledgement names;
 *   - what the program reads is the stream's beginning; at the end, all that was acknowledged;
 *   - what the stack sends is what the program wrote, within the window; it promises no window and takes it back;
 *   - readiness says what the calls then do.
 * Of a port used twice only the bytes are looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/priv/tcp_priv.h>

#include "fs/file.h"
#include "lib/errno.h"
#include "net/socket.h"
#include "tests/fuzz/net_host.h"
#include "tests/host/memory_env.h"
#include "tests/host/test.h"
#include "tests/host/wire.h"
#include "tests/kernel/mirror.h"

#define OUR_PORT 7
#define CONNS	 4	       /* the first half are the peer's, the rest the program's */
#define STREAM	 (320u * 1024) /* more than a window */
#define FIN	 0x01
#define SYN	 0x02
#define RST	 0x04
#define ACK	 0x10
#define SLACK	 8 /* a scaled window is rounded down */

/* With TCP_FUZZ_SHOW in the environment an input tells what it does. */
#define SHOW(...)                                                                                  \
	do {                                                                                       \
		if (getenv("TCP_FUZZ_SHOW"))                                                       \
			fprintf(stderr, __VA_ARGS__);                                              \
	} while (0)

struct conn {
	uint16_t port, our_port;
	struct file *file;
	bool opened; /* the stack has sent a SYN of its own */
	bool known;  /* isn is what the stack believes in */
	bool twice;  /* the port was used before */
	bool reset;  /* by either side */
	bool shut_rx, shut_tx;
	bool lacked; /* memory for a segment: lwIP names such a one as received, which delays what it costs only */
	uint32_t isn, iss; /* the peer's first number, the stack's */
	uint32_t acked;	   /* the stack's last acknowledgement */
	uint32_t nxt;	   /* behind all that the stack sent */
	uint32_t una;	   /* the peer's last plausible acknowledgement */
	uint32_t edge;	   /* of the window that the stack promised */
	uint32_t window;   /* the largest of the peer's */
	unsigned scale, scale_in;
	size_t got, put;
	uint8_t sent[STREAM / 8]; /* places the peer has sent */
	bool ended;		  /* it has said somewhere that it ends, and lwIP may move that */
	uint32_t prefix;	  /* places before it have all been sent */
};

static struct conn conns[CONNS];
static struct file *listener;
static uint16_t next_port;

static bool is_set(const uint8_t *map, uint32_t at)
{
	return at < STREAM && map[at / 8] & 1 << at % 8;
}

static uint8_t theirs(const struct conn *c, uint32_t at)
{
	uint8_t v = (uint8_t)(at * 7 + (at >> 8) * 13 + c->port);

	return v == 0xbe ? 0xbd : v;
}

static uint8_t ours(const struct conn *c, uint32_t at)
{
	return theirs(c, at ^ 0x5555);
}

static struct conn *conn_of(uint16_t port)
{
	for (size_t i = 0; i < CONNS; i++)
		if (conns[i].port == port)
			return &conns[i];
	return NULL;
}

/* From a port that was not used before. */
static void forget(struct conn *c)
{
	memset(c, 0, sizeof(*c));
	c->port = next_port++;
	/* some begin just before the numbers wrap */
	c->isn = c->port & 1 ? 0xfffffc00u + c->port : c->port * 0x01000193u;
}

/* --- what the stack sends -------------------------------------------------------------------------------------------- */

static void note_options(struct conn *c, const uint8_t *t, size_t head, bool syn)
{
	for (size_t at = 20; at < head && t[at]; at += t[at] == 1 ? 1 : t[at + 1]) {
		if (t[at] == 3 && syn)
			c->scale = t[at + 2];
		if (t[at] != 5)
			continue;
		/* selective acknowledgements */
		for (size_t k = at + 2; k < at + t[at + 1]; k += 8) {
			uint32_t from = get32(t + k) - c->isn - 1,
				 to = get32(t + k + 4) - c->isn - 1;

			EXPECT(c->twice || c->lacked || !c->known ||
			       (from < to && to <= STREAM + 1));
			for (; c->known && !c->twice && !c->lacked && from < to; from++)
				EXPECT(is_set(c->sent, from) || (c->ended && from + 1 == to));
		}
	}
}

static void note_ack(struct conn *c, uint32_t ack, uint32_t window)
{
	uint32_t n = ack - c->isn - 1;

	c->acked = ack;
	if (c->twice)
		return;
	EXPECT(n <= c->prefix || (c->ended && n - 1 <= c->prefix));
	EXPECT((int32_t)(ack + window - c->edge) >= -SLACK);
	c->edge = ack + window;
}

static void note_bytes(struct conn *c, uint32_t seq, const uint8_t *p, size_t n, bool fin)
{
	uint32_t at = seq - c->iss - 1;

	if (c->twice || !c->known)
		return;
	EXPECT(!n || at + n <= c->put);
	for (size_t i = 0; i < n; i++)
		EXPECT(p[i] == ours(c, at + (uint32_t)i));
	/* a probe is one byte beyond */
	EXPECT(!n || (int32_t)(seq + n - (c->una + c->window)) <= 1);
	EXPECT(!fin || c->shut_tx || !c->file);
}

/* The first numbers of a connection are what the stack says they are. */
static void note_syn(struct conn *c, const uint8_t *t)
{
	if (c->opened && c->iss != get32(t + 4))
		c->twice = true;
	c->opened = true;
	c->our_port = get16(t);
	c->iss = get32(t + 4);
	c->una = c->iss;
	if (t[13] & ACK) {
		if (c->isn != get32(t + 8) - 1)
			c->twice = true;
		c->isn = get32(t + 8) - 1;
		c->acked = c->edge = c->isn + 1;
		c->known = true;
	}
}

static const struct tcp_pcb *pcb_of(const struct conn *c)
{
	const struct tcp_pcb *pcb = tcp_active_pcbs;

	while (pcb && (pcb->local_port != c->our_port || pcb->remote_port != c->port))
		pcb = pcb->next;
	return pcb;
}

/* The stack has taken the peer's first number, of a connection that the program makes. */
static void learn(struct conn *c, uint32_t isn)
{
	const struct tcp_pcb *pcb = pcb_of(c);

	if (!pcb || pcb->state < ESTABLISHED)
		return;
	c->isn = isn;
	c->known = true;
	c->acked = c->edge = isn + 1;
	/* has it read in the options that windows are scaled? */
	if (!(pcb->flags & TF_WND_SCALE))
		c->scale = 0;
}

static void on_sent(const uint8_t *f, size_t n)
{
	const uint8_t *t = f + 34;
	size_t head;
	struct conn *c;
	uint32_t seq, end;

	SHOW("out %u > %u flags %#x seq %#x ack %#x window %u, %zu bytes\n", get16(t), get16(t + 2),
	     t[13], get32(t + 4), get32(t + 8), get16(t + 14), n);

	if (get16(f + 12) != 0x0800 || f[23] != 6)
		return;
	c = conn_of(get16(t + 2));
	if (!c)
		return;
	if (t[13] & RST) {
		c->reset = true;
		return;
	}
	head = (t[12] >> 4) * 4u;
	seq = get32(t + 4);
	if (t[13] & SYN)
		note_syn(c, t);
	if (!c->opened)
		return;
	if (!c->known && !c->twice)
		learn(c, c->isn);
	note_options(c, t, head, t[13] & SYN);
	if (c->known && !(t[13] & SYN))
		note_ack(c, get32(t + 8), (uint32_t)get16(t + 14) << c->scale);
	if (!(t[13] & SYN))
		note_bytes(c, seq, t + head, n - 34 - head, t[13] & FIN);
	end = seq + (uint32_t)(n - 34 - head) + (t[13] & (SYN | FIN) ? 1 : 0);
	if (t[13] & SYN || (int32_t)(end - c->nxt) > 0)
		c->nxt = end;
}

/* --- what the peer sends --------------------------------------------------------------------------------------------- */

/* A number near one that matters. */
static uint32_t choose(struct moves *m, struct conn *c, bool ack)
{
	uint8_t how = byte(m);
	int32_t off = how & 0x80 ? (int8_t)byte(m) : 0;
	uint32_t base;

	switch (how & 7) {
	case 0:
	case 1:
	case 2:
		base = ack ? c->nxt : c->acked;
		break;
	case 3:
		base = ack ? c->una : c->isn + 1 + c->prefix;
		break;
	case 4:
		base = ack ? c->iss : c->edge;
		break;
	case 5:
		base = (ack ? c->nxt : c->acked) + word(m);
		break;
	case 6:
		base = ack ? c->nxt + 0x80000000u : c->acked + 0x80000000u;
		break;
	default:
		base = ack ? c->nxt : c->isn;
	}
	return base + (uint32_t)off;
}

/* Fills o, of 40 bytes. */
static size_t put_options(struct moves *m, struct conn *c, uint8_t *o)
{
	unsigned many = byte(m) & 3;
	size_t n = 0;

	while (many-- && n <= 28) {
		uint8_t kind = byte(m), v = byte(m);

		switch (kind % 8) {
		case 0:
			n += bytes(m, o + n, v % 12);
			break;
		case 1:
			memcpy(o + n, "\x02\x04", 2);
			put16(o + n + 2, v & 1 ? 1460 : v * 4u);
			n += 4;
			break;
		case 2:
			memcpy(o + n, "\x03\x03", 2);
			o[n + 2] = v % 17;
			n += 3;
			break;
		case 3:
			memcpy(o + n, "\x04\x02", 2);
			n += 2;
			break;
		case 4:
			memcpy(o + n, "\x08\x0a", 2);
			put32(o + n + 2, v * 1000u);
			put32(o + n + 6, v);
			n += 10;
			break;
		case 5:
			memcpy(o + n, "\x05\x0a", 2);
			put32(o + n + 2, c->una + v);
			put32(o + n + 6, c->una + v + word(m));
			n += 10;
			break;
		case 6:
			o[n++] = 1;
			break;
		default:
			o[n++] = kind;
			o[n++] = v;
		}
	}
	/* what the stack may have read of it is not known here: the most it can mean */
	for (size_t i = 0; i + 2 < n; i++)
		if (o[i] == 3 && o[i + 1] == 3)
			c->scale_in = MAX(c->scale_in, MIN(o[i + 2], 14u));
	return n;
}

static void note_sent(struct conn *c, uint32_t seq, size_t n, uint8_t flags)
{
	uint32_t at = seq - c->isn - 1 + (flags & SYN ? 1 : 0);

	for (size_t i = 0; i < n; i++, at++)
		if (at < STREAM)
			c->sent[at / 8] |= (uint8_t)(1 << at % 8);
	c->ended |= flags & FIN;
	while (is_set(c->sent, c->prefix))
		c->prefix++;
}

static void put_bytes(struct conn *c, uint8_t *p, uint32_t seq, size_t n, uint8_t flags)
{
	uint32_t at = seq - c->isn - 1 + (flags & SYN ? 1 : 0);

	for (size_t i = 0; i < n; i++, at++)
		p[i] = at < STREAM ? theirs(c, at) : 0xee;
}

static void segment(struct moves *m, struct conn *c, uint8_t flags, uint32_t seq, uint32_t ack,
		    size_t n, bool options)
{
	uint8_t f[FRAME_ROOM] = { 0 };
	uint16_t window = word(m);
	size_t head = 20;

	if (options)
		head += put_options(m, c, f + 54);
	head = (head + 3) & ~(size_t)3;
	n = MIN(n, 1480 - head);
	/* more than the model holds */
	if (seq - c->isn < 0x80000000u && seq - c->isn + n + 1 >= STREAM)
		return;
	c->lacked |= env_fail_in != 0;
	put_ip4(f, 6, head + n);
	put16(f + 34, c->port);
	put16(f + 36, c->our_port ? c->our_port : OUR_PORT);
	put32(f + 38, seq);
	put32(f + 42, ack);
	f[46] = (uint8_t)(head / 4 << 4);
	f[47] = flags;
	put16(f + 48, window);
	if (flags & 0x20)
		put16(f + 52, byte(m));
	put_bytes(c, f + 34 + head, seq, n, flags);
	note_sent(c, seq, n, flags);
	c->window = MAX(c->window, (uint32_t)window << c->scale_in);
	if (flags & ACK && (int32_t)(ack - c->una) > 0 && (int32_t)(ack - c->nxt) <= 0)
		c->una = ack;
	if (flags & RST)
		c->reset = true;
	SHOW("in %u flags %#x seq %#x ack %#x window %u, %zu bytes\n", c->port, flags, seq, ack,
	     window, n);
	fix_sums(f, 34 + head + n);
	receive(f, 34 + head + n);
	if (c->opened && !c->known && flags & SYN)
		learn(c, seq);
}

static const uint8_t usual_flags[16] = { ACK,	    ACK, ACK | 8, ACK | 8,   ACK | FIN, ACK | 0x20,
					 SYN,	    RST, FIN,	  SYN | ACK, RST | ACK, SYN | FIN,
					 ACK | SYN, 0,	 0xff,	  ACK };

/* Any segment. */
static void move_segment(struct moves *m)
{
	uint8_t what = byte(m), how = byte(m);
	struct conn *c = &conns[what % CONNS];
	uint8_t flags = how & 0x40 ? byte(m) : usual_flags[how & 15];
	uint32_t seq = choose(m, c, false), ack = choose(m, c, true);
	size_t n = what & 0x10 ? word(m) % 1461 : what & 0x20 ? byte(m) : 0;

	/* another number to begin from: that connection is none of the model's */
	if (flags & SYN && seq != c->isn)
		c->twice = true;
	segment(m, c, flags, seq, ack, n, how & 0x20);
}

/* The next of a handshake, rightly. */
static void move_handshake(struct moves *m)
{
	uint8_t what = byte(m);
	struct conn *c = &conns[what % CONNS];
	bool active = c >= conns + CONNS / 2;

	if (active && c->opened) {
		segment(m, c, SYN | ACK, c->isn, c->nxt, 0, what & 0x20);
	} else if (!active && (!c->opened || c->reset)) {
		if (c->opened && !c->file && !(what & 0x80))
			forget(c);
		c->twice |= c->opened;
		segment(m, c, SYN, c->isn, 0, 0, what & 0x20);
		segment(m, c, ACK, c->isn + 1, c->nxt, what & 0x40 ? byte(m) : 0, false);
	} else {
		segment(m, c, ACK, c->acked, c->nxt, byte(m), false);
	}
}

/* --- the program --------------------------------------------------------------------------------------------------- */

static void take_one(void)
{
	struct socket_addr from;
	struct file *f;
	struct conn *c;

	if (socket_accept(listener, &f, &from) < 0)
		return;
	c = conn_of(from.port);
	if (!c || c->file) {
		/* of a port that has been used again */
		if (c)
			c->shut_tx = c->twice = true;
		file_put(f);
		return;
	}
	c->file = f;
	c->got = c->put = 0;
	f->flags |= FILE_NONBLOCK;
}

static void connect_one(struct conn *c)
{
	struct socket_addr to = { 0 };

	if (c->file)
		return;
	forget(c);
	to.port = c->port;
	put32(to.addr, THEIR_IP);
	if (socket_create(SOCKET_INET, SOCKET_STREAM, 0, FILE_NONBLOCK, &c->file) < 0) {
		c->file = NULL;
		return;
	}
	(void)!socket_connect(c->file, &to);
}

static ssize_t read_one(struct conn *c, size_t n, unsigned flags)
{
	static uint8_t buf[65536];
	struct socket_message msg = { .flags = flags };
	/* of what was disconnected an error is told, though there is no end to read */
	bool ready = file_poll(c->file) & (POLL_IN | POLL_ERR);
	bool only_count = flags & SOCKET_MSG_TRUNC, look = flags & SOCKET_MSG_PEEK;
	struct io io;
	ssize_t ret;

	io_init_kernel(&io, buf, n);
	ret = socket_receive(c->file, &io, &msg);
	EXPECT(!n || ready == (ret != -EAGAIN) || ret == -ENOTCONN);
	EXPECT(ret <= (ssize_t)n);
	for (ssize_t i = 0; i < ret && !only_count; i++)
		EXPECT(buf[i] == theirs(c, (uint32_t)(c->got + (size_t)i)));
	EXPECT(c->twice || ret <= 0 || c->got + (size_t)ret <= c->prefix);
	if (ret > 0 && !look)
		c->got += (size_t)ret;
	return ret;
}

static void write_one(struct conn *c, size_t n)
{
	static uint8_t buf[65536];
	bool ready = file_poll(c->file) & POLL_OUT && !env_fail_in;
	ssize_t ret;

	n = MIN(n, sizeof(buf));
	for (size_t i = 0; i < n; i++)
		buf[i] = ours(c, (uint32_t)(c->put + i));
	/* the stack sends in the call */
	c->put += n;
	ret = file_write_kernel(c->file, buf, n);
	EXPECT(ret <= (ssize_t)n);
	EXPECT(!ready || ret != -EAGAIN);
	c->put -= n - (ret > 0 ? (size_t)ret : 0);
}

static void set_one(struct conn *c, uint8_t what, uint16_t value)
{
	static const uint8_t names[] = { SOCKET_REUSE,	 SOCKET_KEEPALIVE, SOCKET_NODELAY,
					 SOCKET_LINGER,	 SOCKET_RX_SIZE,   SOCKET_TX_SIZE,
					 SOCKET_RX_SIZE, SOCKET_TTL };

	if (what % 9 == 8)
		(void)!socket_set_keepalive(c->file, value % 50, value % 7, value % 4);
	else
		(void)!socket_set(c->file, names[what % 9], what & 0x80 ? value * 64 : value % 300);
}

static void close_one(struct conn *c)
{
	struct file *f = c->file;

	c->file = NULL;
	file_put(f);
}

static void move_program(struct moves *m)
{
	static const unsigned reads[] = { 0, 0, SOCKET_MSG_PEEK, SOCKET_MSG_WAITALL,
					  SOCKET_MSG_TRUNC };
	uint8_t which = byte(m), what = byte(m);
	struct conn *c = &conns[which % CONNS];
	uint16_t n = word(m);

	if (c < conns + CONNS / 2)
		take_one();
	else if (!c->file)
		connect_one(c);
	if (!c->file)
		return;
	switch (what % 8) {
	case 0:
	case 1:
		(void)read_one(c, n, reads[(what >> 3) % ARRAY_SIZE(reads)]);
		break;
	case 2:
	case 3:
		write_one(c, n);
		break;
	case 4:
		c->shut_rx |= n % 3 != SOCKET_SHUT_WR;
		c->shut_tx |= n % 3 != SOCKET_SHUT_RD;
		(void)!socket_shutdown(c->file, n % 3);
		break;
	case 5:
		set_one(c, what >> 3, n);
		break;
	case 6:
		if (what & 0x80) {
			c->reset = true;
			(void)!socket_abort(c->file);
		} else if (what & 0x40) {
			close_one(c);
		}
		break;
	default:
		(void)file_poll(c->file);
	}
	let_pass_ms(0);
}

static void move_listener(struct moves *m)
{
	uint8_t what = byte(m);

	if (what & 1)
		(void)!socket_listen(listener, what >> 2);
	else if (what & 2)
		(void)!socket_shutdown(listener, SOCKET_SHUT_RD);
	let_pass_ms(0);
}

/* --- an input ------------------------------------------------------------------------------------------------------ */

static void begin(void)
{
	fuzz_begin(MIRROR_SELF);
	fuzz_sent = on_sent;
	fuzz_finds_unset = true;
	next_port = 4000;
	for (size_t i = 0; i < CONNS; i++)
		forget(&conns[i]);
	EXPECT(socket_listen_tcp(OUR_PORT, 3, &listener) == 0);
	listener->flags |= FILE_KERNEL_NONBLOCK;
}

/* All that was acknowledged can be read, whatever has become of the connection. */
static void drain(struct conn *c)
{
	bool whole = c->known && !c->twice && !c->shut_rx;
	uint32_t acked = c->acked - c->isn - 1;
	ssize_t ret;

	do
		ret = read_one(c, 30000, 0);
	while (ret && ret != -EAGAIN && ret != -ENOTCONN);
	SHOW("conn %u: isn %#x acked %#x got %zu\n", c->port, c->isn, c->acked, c->got);
	if (whole)
		EXPECT(c->got >= acked || (c->ended && c->got + 1 == acked));
}

static void end(void)
{
	env_fail_in = 0;
	let_pass_ms(0);
	for (size_t i = 0; i < CONNS / 2; i++)
		take_one();
	for (size_t i = 0; i < CONNS; i++) {
		if (!conns[i].file)
			continue;
		drain(&conns[i]);
		close_one(&conns[i]);
	}
	file_put(listener);
	fuzz_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct moves m = { data, size };

	begin();
	while (m.left) {
		uint8_t op = byte(&m);

		/* one allocation on the way fails */
		env_fail_in = op & 0x80 ? 1 + (op >> 3 & 15) : 0;
		switch (op & 7) {
		case 0:
		case 1:
		case 2:
			move_segment(&m);
			break;
		case 3:
			move_handshake(&m);
			break;
		case 4:
			let_pass_ms(op & 8 ? byte(&m) * 40u : byte(&m));
			break;
		case 5:
		case 6:
			move_program(&m);
			break;
		default:
			move_listener(&m);
		}
		env_fail_in = 0;
	}
	end();
	return 0;
}
