/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/stack.sources tests/fuzz/net_host.c */
/* flags: @tests/host/stack.flags */
/* Packets that get deep: ARP, IPv4 with options and in fragments, IPv6 with extension headers, ICMP and its errors about
 * what the stack itself has sent, neighbours and routers that lie; their sums are right. Beside them UDP sockets that
 * programs use: a datagram begins with its number, so what a socket gives is one that was sent to it, whole, once, and
 * from whom it says. */
#include <string.h>

#include "fs/file.h"
#include "lib/errno.h"
#include "net/socket.h"
#include "tests/fuzz/net_host.h"
#include "tests/host/memory_env.h"
#include "tests/host/test.h"
#include "tests/host/wire.h"
#include "tests/kernel/mirror.h"

#define OUR_PORT   7
#define THEIR_PORT 53
#define MARK	   0xa5 /* the first byte of a datagram with a number */
#define DATAGRAMS  256

static struct file *sockets[4];
/* What was sent to the sockets, by number. */
static struct sent {
	size_t size;
	uint16_t from, to;
	unsigned times; /* it may be delivered */
} sent[DATAGRAMS];
static unsigned nr_sent;
static uint8_t last_sent[FRAME_ROOM];
static size_t last_size;

/* --- addresses and headers ------------------------------------------------------------------------------------------- */

static uint32_t some_ip4(struct moves *m, uint32_t usual)
{
	static const uint32_t odd[] = { OUR_IP,	    THEIR_IP,	0xffffffff, 0x0a0900ff,
					0x0a090000, 0x7f000001, 0xe0000001, 0 };
	uint8_t how = byte(m);

	if (how < 0xc0)
		return usual;
	if (how < 0xf8)
		return odd[how % ARRAY_SIZE(odd)];
	return (uint32_t)word(m) << 16 | word(m);
}

static void some_ip6(struct moves *m, uint8_t *at, const uint8_t usual[16])
{
	static const uint8_t nodes[16] = { 0xff, 2, [15] = 1 };
	static const uint8_t solicited[16] = { 0xff, 2, [11] = 1, 0xff, 1, 1, 1 };
	uint8_t how = byte(m);

	memcpy(at, usual, 16);
	if (how < 0xc0)
		return;
	switch (how & 7) {
	case 0:
		memcpy(at, nodes, 16);
		break;
	case 1:
		memcpy(at, solicited, 16);
		break;
	case 2:
		memset(at, 0, 16);
		break;
	case 3:
		memcpy(at, our_ip6, 16);
		break;
	case 4:
		memset(at, 0, 15);
		at[15] = 1;
		break;
	case 5:
		/* of a prefix that a router may have told */
		memcpy(at, "\x20\x01\x0d\xb8\0\0\0", 8);
		break;
	default:
		(void)bytes(m, at, 16);
	}
}

/* A chain of extension headers from at on; where it ends. *next: the field that says what comes. */
static size_t put_extensions(struct moves *m, uint8_t *f, size_t at, size_t *next)
{
	static const uint8_t kinds[] = { 0, 60, 43, 44, 60, 0, 51, 59 };
	unsigned many = byte(m) & 3;

	while (many-- && at < 600) {
		uint8_t kind = kinds[byte(m) & 7], size = kind == 44 ? 0 : byte(m) & 3;

		f[*next] = kind;
		*next = at;
		(void)bytes(m, f + at + 2, 6 + 8u * size);
		f[at + 1] = size;
		if (kind == 44)
			put16(f + at + 2, word(m) & 0x3ff9);
		at += 8 + 8u * size;
	}
	return at;
}

/* --- IPv4 -------------------------------------------------------------------------------------------------------------- */

static void move_ip4(struct moves *m)
{
	static const uint8_t protocols[] = { 1, 17, 6, 2, 1, 17, 255, 0 };
	uint8_t f[FRAME_ROOM] = { 0 };
	uint8_t how = byte(m);
	size_t options = how & 8 ? (byte(m) & 10) * 4u : 0, n = 34 + options;

	put_ip4(f, protocols[how & 7], 0);
	f[14] = (uint8_t)(0x45 + options / 4);
	(void)bytes(m, f + 34, options);
	put32(f + 26, some_ip4(m, THEIR_IP));
	put32(f + 30, some_ip4(m, OUR_IP));
	if (how & 16) {
		put16(f + 18, byte(m) & 3);
		put16(f + 20, word(m) & 0x7fff);
		/* what they make together would be no datagram with a number */
		if (f[23] == 17)
			f[23] = 1;
	}
	n += bytes(m, f + n, how & 32 ? word(m) % 1400 : byte(m));
	if (f[23] == 17 && n > 42 + options && f[42 + options] == MARK)
		f[42 + options]++;
	put16(f + 16, how & 64 ? word(m) : (uint32_t)n - 14);
	fix_sums(f, n);
	receive(f, how & 128 ? MAX(n - MIN(n, (size_t)byte(m)), (size_t)14) : n);
}

static void move_arp(struct moves *m)
{
	uint8_t f[60] = { 0 };
	uint8_t how = byte(m);

	put_ethernet(f, 0x0806);
	memcpy(f + 14, "\x00\x01\x08\x00\x06\x04\x00", 7);
	f[21] = how & 3;
	memcpy(f + 22, their_mac, 6);
	put32(f + 28, some_ip4(m, THEIR_IP));
	put32(f + 38, some_ip4(m, OUR_IP));
	if (how & 4)
		f[27] = byte(m);
	if (how & 8)
		(void)bytes(m, f + 14 + byte(m) % 8, 8);
	receive(f, how & 16 ? 14 + byte(m) % 46 : sizeof(f));
	/* who they are is not in doubt, or nothing would be answered any more */
	memcpy(f, wire.nd.mac, 6);
	memcpy(f + 14, "\x00\x01\x08\x00\x06\x04\x00\x01", 8);
	memcpy(f + 22, their_mac, 6);
	put32(f + 28, THEIR_IP);
	put32(f + 38, OUR_IP);
	receive(f, sizeof(f));
}

/* An error about the packet sent last, or about one that was never sent. */
static void move_error(struct moves *m)
{
	static const uint8_t types[] = { 3, 11, 12, 4, 5, 3, 3, 3 };
	uint8_t f[FRAME_ROOM] = { 0 };
	uint8_t how = byte(m);
	size_t n = 42;

	put_ip4(f, 1, 0);
	put32(f + 26, some_ip4(m, THEIR_IP));
	f[34] = types[how & 7];
	f[35] = byte(m) % 17;
	if (how & 8) {
		n += bytes(m, f + n, byte(m));
	} else if (last_size > 14) {
		size_t quoted = MIN(last_size - 14, how & 16 ? 28u : byte(m));

		memcpy(f + n, last_sent + 14, quoted);
		n += quoted;
	}
	if (how & 32 && n > 42)
		f[42 + byte(m) % (n - 42)] ^= byte(m);
	put16(f + 16, (uint32_t)n - 14);
	fix_sums(f, n);
	receive(f, n);
}

/* --- IPv6 -------------------------------------------------------------------------------------------------------------- */

static size_t put_ip6(struct moves *m, uint8_t *f, uint8_t protocol)
{
	put_ethernet(f, 0x86dd);
	memset(f + 14, 0, 40);
	f[14] = 0x60;
	f[20] = protocol;
	f[21] = 255;
	some_ip6(m, f + 22, their_ip6);
	some_ip6(m, f + 38, our_ip6);
	return 54;
}

static void receive_ip6(uint8_t *f, size_t n)
{
	put16(f + 18, (uint32_t)n - 54);
	fix_sums(f, n);
	receive(f, n);
}

static void move_ip6(struct moves *m)
{
	static const uint8_t protocols[] = { 58, 17, 6, 59 };
	uint8_t f[FRAME_ROOM] = { 0 };
	uint8_t how = byte(m);
	size_t n = put_ip6(m, f, protocols[how & 3]), next = 20;

	n = put_extensions(m, f, n, &next);
	f[next] = protocols[how & 3];
	n += bytes(m, f + n, how & 32 ? word(m) % 900 : byte(m));
	receive_ip6(f, n);
}

/* Routers, neighbours, redirects, packets too big, listeners. */
static void move_icmp6(struct moves *m)
{
	static const uint8_t types[16] = { 133, 134, 135, 136, 137, 2,	 1,   3,
					   4,	128, 129, 130, 131, 134, 135, 136 };
	static const uint8_t heads[16] = {
		8, 16, 24, 24, 40, 8, 8, 8, 8, 8, 8, 24, 24, 16, 24, 24
	};
	uint8_t f[FRAME_ROOM] = { 0 };
	uint8_t how = byte(m) & 15;
	size_t n = put_ip6(m, f, 58), at = n;
	unsigned many = byte(m) & 7;

	f[at] = types[how];
	f[at + 1] = byte(m) & 1;
	(void)bytes(m, f + at + 4, 4);
	if (heads[how] == 16)
		(void)bytes(m, f + at + 8, 8);
	if (heads[how] >= 24)
		some_ip6(m, f + at + 8, our_ip6);
	if (heads[how] == 40)
		some_ip6(m, f + at + 24, their_ip6);
	n += heads[how];
	/* options: what they are, how long they say they are, and bytes for eight */
	while (many-- && n < 1000) {
		f[n] = byte(m) % 32;
		f[n + 1] = byte(m) & 7;
		(void)bytes(m, f + n + 2, 6 + 8u * (f[n + 1] & 3));
		n += 8u * MAX(f[n + 1] & 3, 1);
	}
	if (how >= 5 && how <= 8 && last_size > 14) {
		size_t quoted = MIN(last_size - 14, (size_t)byte(m));

		memcpy(f + n, last_sent + 14, quoted);
		n += quoted;
	}
	receive_ip6(f, n);
}

/* --- datagrams to sockets ------------------------------------------------------------------------------------------------ */

static uint8_t content(unsigned number, size_t i)
{
	return (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

/* A UDP packet with a number, without its IP header; its size. */
static size_t make_datagram(struct moves *m, uint8_t *p, size_t size)
{
	unsigned number = nr_sent % DATAGRAMS;
	struct sent *s = &sent[number];
	uint8_t how = byte(m);

	*s = (struct sent){ size, how & 1 ? THEIR_PORT : (uint16_t)(how * 100u), OUR_PORT, 1 };
	if (how & 2)
		s->to = (uint16_t)(OUR_PORT + (how >> 4));
	nr_sent++;
	put16(p, s->from);
	put16(p + 2, s->to);
	put16(p + 4, (uint32_t)size + 8);
	for (size_t i = 0; i < size; i++)
		p[8 + i] = content(number, i);
	p[8] = MARK;
	p[9] = (uint8_t)number;
	/* its head and its bytes do not agree on the length */
	if (how & 8) {
		s->times = 0;
		put16(p + 4, word(m));
		p[8]++;
	}
	return size + 8;
}

static void move_datagram(struct moves *m)
{
	uint8_t f[FRAME_ROOM] = { 0 };
	size_t n = make_datagram(m, f + 34, 2 + word(m) % 1400);

	put_ip4(f, 17, n);
	fix_sums(f, 34 + n);
	receive(f, 34 + n);
}

/* One in pieces: some come twice, or late, or never, and they may overlap. */
static void move_fragments(struct moves *m)
{
	static uint8_t whole[34 + 8 + 9002];
	uint8_t f[FRAME_ROOM];
	size_t n = make_datagram(m, whole + 34, 2 + word(m) % 9000);
	unsigned many = 2 + byte(m) % 12;
	uint16_t id;

	/* pieces that come twice may make it twice */
	sent[(nr_sent - 1) % DATAGRAMS].times *= many;
	put_ip4(whole, 17, n);
	fix_sums(whole, 34 + n);
	id = get16(whole + 18);
	for (unsigned i = 0; i < many; i++) {
		size_t piece = (8 + 8u * (byte(m) & 0xb7u)), at = i * piece;
		uint8_t how = byte(m);

		if (how & 1)
			at = 8u * byte(m);
		if (at >= n)
			continue;
		piece = MIN(piece, n - at);
		put_ip4(f, 17, piece);
		put16(f + 18, id);
		put16(f + 20, (uint32_t)(at / 8) | (at + piece < n ? 0x2000u : 0));
		memcpy(f + 34, whole + 34 + at, piece);
		fix_sums(f, 34);
		if (!(how & 0x80))
			receive(f, 34 + piece);
	}
}

static void check_datagram(const uint8_t *p, size_t room, size_t size,
			   const struct socket_message *msg, bool look)
{
	struct sent *s = &sent[p[1]];

	if (size < 2 || room < 2 || p[0] != MARK)
		return;
	EXPECT(s->size == size && s->times);
	EXPECT(msg->named && msg->addr.port == s->from && get32(msg->addr.addr) == THEIR_IP);
	for (size_t i = 2; i < MIN(size, room); i++)
		EXPECT(p[i] == content(p[1], i));
	if (!look)
		s->times--;
}

static void take_datagram(struct file *f, size_t room, unsigned flags)
{
	static uint8_t buf[70000];
	struct socket_message msg = { .flags = flags | SOCKET_MSG_TRUNC };
	bool ready = file_poll(f) & (POLL_IN | POLL_ERR);
	struct io io;
	ssize_t ret;

	io_init_kernel(&io, buf, room);
	ret = socket_receive(f, &io, &msg);
	EXPECT(ready || ret == -EAGAIN);
	/* the raw ones give the IP header, too */
	if (ret > 0 && f != sockets[3])
		check_datagram(buf, room, (size_t)ret, &msg, flags);
}

static void send_datagram(struct moves *m, struct file *f)
{
	static uint8_t buf[70000] = { 8 };
	struct socket_message msg = { .named = byte(m) & 1, .addr = { .port = THEIR_PORT } };
	struct io io;

	put32(msg.addr.addr, some_ip4(m, THEIR_IP));
	io_init_kernel(&io, buf, word(m));
	(void)!socket_send(f, &io, &msg);
}

static void open_socket(unsigned i)
{
	static const uint8_t kind[4][2] = { { SOCKET_DGRAM, 0 },
					    { SOCKET_DGRAM, 0 },
					    { SOCKET_DGRAM, SOCKET_PROTO_ICMP },
					    { SOCKET_RAW, SOCKET_PROTO_ICMP } };
	struct socket_addr here = { .port = OUR_PORT }, there = { .port = THEIR_PORT };

	sockets[i] = NULL;
	if (socket_create(SOCKET_INET, kind[i][0], kind[i][1], FILE_NONBLOCK, &sockets[i]) < 0) {
		sockets[i] = NULL;
		return;
	}
	put32(there.addr, THEIR_IP);
	if (i == 0)
		(void)!socket_bind(sockets[i], &here);
	else if (i == 1)
		(void)!socket_connect(sockets[i], &there);
}

static void move_program(struct moves *m)
{
	uint8_t what = byte(m);
	unsigned i = what & 3;
	struct socket_addr to = { .port = what };

	if (!sockets[i])
		open_socket(i);
	if (!sockets[i])
		return;
	switch (what >> 2 & 7) {
	case 0:
	case 1:
		take_datagram(sockets[i], byte(m) & 1 ? 65535 : byte(m), 0);
		break;
	case 2:
		take_datagram(sockets[i], word(m), SOCKET_MSG_PEEK);
		break;
	case 3:
	case 4:
		send_datagram(m, sockets[i]);
		break;
	case 5:
		put32(to.addr, some_ip4(m, THEIR_IP));
		(void)!socket_connect(sockets[i], what & 128 ? NULL : &to);
		break;
	case 6:
		(void)!socket_set(sockets[i], byte(m) % 20, word(m));
		break;
	default:
		if (what & 128)
			(void)!socket_shutdown(sockets[i], what >> 5 & 3);
		file_put(sockets[i]);
		open_socket(i);
	}
	let_pass_ms(0);
}

/* --- an input -------------------------------------------------------------------------------------------------------- */

static void on_sent(const uint8_t *f, size_t n)
{
	if (get16(f + 12) == 0x0806)
		return;
	last_size = n;
	memcpy(last_sent, f, n);
}

static void (*const move[])(struct moves *m) = {
	move_ip4,      move_arp,       move_error,   move_ip6,	   move_icmp6,
	move_datagram, move_fragments, move_program, move_program,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct moves m = { data, size };

	fuzz_begin(MIRROR_SELF);
	fuzz_sent = on_sent;
	fuzz_sends_raw = true;
	last_size = nr_sent = 0;
	memset(sent, 0, sizeof(sent));
	for (unsigned i = 0; i < ARRAY_SIZE(sockets); i++)
		open_socket(i);
	while (m.left) {
		uint8_t op = byte(&m);

		env_fail_in = op & 0x80 ? 1 + (op >> 4 & 7) : 0;
		if (op % 16 < ARRAY_SIZE(move))
			move[op % 16](&m);
		else
			let_pass_ms(byte(&m) * (op & 16 ? 100u : 10u));
		env_fail_in = 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sockets); i++)
		if (sockets[i])
			file_put(sockets[i]);
	fuzz_end();
	return 0;
}
