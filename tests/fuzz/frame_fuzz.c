/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/stack.sources tests/fuzz/net_host.c */
/* flags: @tests/host/stack.flags */
/* Anything a neighbour can send, to the whole of net/ with lwIP. The input is a list of moves: raw frames,
 * frames with their checksums put right, TCP segments near the numbers the stack expects, time, and what a program
 * does with the socket. Afterwards every buffer is back, and no socket is left. */
#include <stdio.h>
#include <string.h>

#include <lwip/priv/tcp_priv.h>

#include "fs/file.h"
#include "lib/errno.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/socket.h"
#include "tests/fuzz/net_host.h"
#include "tests/host/test.h"
#include "tests/host/wire.h"
#include "tests/kernel/mirror.h"

#define OUR_PORT   7
#define THEIR_PORT 4000

/* What the connection's numbers are, as seen in what the stack sent. */
static uint32_t next_seq, next_ack;

/* The stack's answer tells the numbers it uses now. */
static void on_sent(const uint8_t *f, size_t n)
{
	if (n < 54 || get16(f + 12) != 0x0800 || f[23] != 6)
		return;
	next_ack = get32(f + 38) + (f[47] & 3 ? 1 : 0);
	next_seq = get32(f + 42);
}

static void send_tcp(uint8_t flags, uint32_t seq, uint32_t ack, uint16_t window,
		     const uint8_t *options, size_t nr_options, const uint8_t *data, size_t n)
{
	uint8_t f[FRAME_ROOM] = { 0 };
	size_t tcp = 20 + (nr_options & ~3u);

	put_ip4(f, 6, tcp + n);
	put16(f + 34, THEIR_PORT);
	put16(f + 36, OUR_PORT);
	put32(f + 38, seq);
	put32(f + 42, ack);
	f[46] = (uint8_t)(tcp / 4 << 4);
	f[47] = flags;
	put16(f + 48, window);
	memcpy(f + 54, options, nr_options & ~3u);
	memcpy(f + 34 + tcp, data, n);
	fix_sums(f, 34 + tcp + n);
	receive(f, 34 + tcp + n);
}

/* --- moves ------------------------------------------------------------------------------------------------------- */

static struct file *listener, *server, *datagrams[8];

static void move_frame(struct moves *m, bool right)
{
	uint8_t f[FRAME_ROOM] = { 0 };
	size_t n = bytes(m, f, word(m) % sizeof(f));

	if (right && n >= 34) {
		if (f[12] != 0x86) {
			f[12] = 8;
			f[13] = 0;
			put32(f + 30, OUR_IP);
		} else {
			f[13] = 0xdd;
		}
		memcpy(f, wire.nd.mac, 6);
		fix_sums(f, n);
	}
	receive(f, n);
}

static void move_tcp(struct moves *m)
{
	uint8_t options[40], data[1400];
	uint8_t flags = byte(m);
	uint32_t seq = next_seq + (uint32_t)(int8_t)byte(m);
	uint32_t ack = next_ack + (uint32_t)(int8_t)byte(m);
	uint16_t window = word(m);
	size_t o = bytes(m, options, byte(m) % 41);
	size_t n = bytes(m, data, word(m) % 1400);

	send_tcp(flags, seq, ack, window, options, o, data, n);
}

static void move_handshake(void)
{
	const uint8_t next[1] = { 0 };

	send_tcp(2, 1000, 0, 65535, (const uint8_t *)"\x02\x04\x05\xb4\x01\x03\x03\x07", 8, next,
		 0);
	send_tcp(0x10, next_seq, next_ack, 512, next, 0, next, 0);
}

static void open_datagrams(void)
{
	static const struct socket_addr here = { .port = OUR_PORT };
	struct socket_addr there = { .port = THEIR_PORT }, here6 = { .v6 = true, .port = OUR_PORT };

	put32(there.addr, THEIR_IP);
	EXPECT(socket_create(SOCKET_INET, SOCKET_DGRAM, 0, FILE_NONBLOCK, &datagrams[0]) == 0);
	EXPECT(socket_bind(datagrams[0], &here) == 0);
	EXPECT(socket_create(SOCKET_INET, SOCKET_DGRAM, SOCKET_PROTO_UDP, FILE_NONBLOCK,
			     &datagrams[1]) == 0);
	EXPECT(socket_connect(datagrams[1], &there) == 0);
	EXPECT(socket_create(SOCKET_INET, SOCKET_DGRAM, SOCKET_PROTO_ICMP, FILE_NONBLOCK,
			     &datagrams[2]) == 0);
	EXPECT(socket_create(SOCKET_INET, SOCKET_RAW, SOCKET_PROTO_ICMP, FILE_NONBLOCK,
			     &datagrams[3]) == 0);
	/* IPv6 alone at that port, and both families at the next */
	EXPECT(socket_create(SOCKET_INET6, SOCKET_DGRAM, 0, FILE_NONBLOCK, &datagrams[4]) == 0);
	EXPECT(socket_set(datagrams[4], SOCKET_V6ONLY, 1) == 0);
	EXPECT(socket_set(datagrams[4], SOCKET_TELL_HOPS, 1) == 0);
	EXPECT(socket_bind(datagrams[4], &here6) == 0);
	here6.port++;
	EXPECT(socket_create(SOCKET_INET6, SOCKET_DGRAM, 0, FILE_NONBLOCK, &datagrams[5]) == 0);
	EXPECT(socket_bind(datagrams[5], &here6) == 0);
	EXPECT(socket_create(SOCKET_INET6, SOCKET_DGRAM, SOCKET_PROTO_ICMP6, FILE_NONBLOCK,
			     &datagrams[6]) == 0);
	EXPECT(socket_create(SOCKET_INET6, SOCKET_RAW, SOCKET_PROTO_ICMP6, FILE_NONBLOCK,
			     &datagrams[7]) == 0);
}

/* Look at what is first, or take it, or send as much back. */
static void move_datagrams(struct moves *m)
{
	static uint8_t buf[70000];
	uint8_t what = byte(m);
	struct file *f = datagrams[what % ARRAY_SIZE(datagrams)];
	struct socket_message msg = { .flags = what & 64 ? SOCKET_MSG_PEEK : SOCKET_MSG_TRUNC };
	struct io io;

	io_init_kernel(&io, buf, word(m));
	if (socket_receive(f, &io, &msg) >= 0 && msg.named && what & 128) {
		io_init_kernel(&io, buf, word(m));
		(void)!socket_send(f, &io, &msg);
	}
	wire_settle();
}

static void move_program(struct moves *m)
{
	static uint8_t buf[70000];
	uint8_t what = byte(m);
	size_t n = word(m);

	if (!server && socket_accept(listener, &server, NULL) == 0)
		server->flags |= FILE_KERNEL_NONBLOCK;
	if (!server)
		return;
	switch (what % 8) {
	case 0:
	case 1:
		(void)!file_read_kernel(server, buf, n);
		break;
	case 2:
	case 3:
		(void)!file_write_kernel(server, buf, n);
		break;
	case 4:
		(void)!socket_shutdown(server, (int)(n % 3));
		break;
	case 5:
		(void)!socket_abort(server);
		break;
	case 6:
		file_put(server);
		server = NULL;
		break;
	default:
		(void)!socket_set_nodelay(server, n & 1);
	}
	wire_settle();
}

static void begin(void)
{
	fuzz_begin(MIRROR_SELF);
	fuzz_sent = on_sent;
	fuzz_sends_raw = true;
	next_seq = 1001;
	next_ack = 0;
	EXPECT(socket_listen_tcp(OUR_PORT, 4, &listener) == 0);
	listener->flags |= FILE_KERNEL_NONBLOCK;
	open_datagrams();
}

/* Connections that nobody resets end by themselves. */
static void end_in_time(void)
{
	struct net_usage u;

	for (int i = 0; i < 5000; i++)
		let_pass_ms(35);
	net_forget_time_wait();
	net_usage(&u);
	for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
		fprintf(stderr,
			"left: state %d, flags %#x, poll %u of %u, persist %u, unsent %p, unacked %p\n",
			p->state, p->flags, p->polltmr, p->pollinterval, p->persist_backoff,
			(void *)p->unsent, (void *)p->unacked);
	EXPECT(u.tcp_active == 0);
}

static void end(void)
{
	static unsigned rounds;

	if (server)
		(void)!socket_abort(server);
	if (server)
		file_put(server);
	file_put(listener);
	for (size_t i = 0; i < ARRAY_SIZE(datagrams); i++)
		file_put(datagrams[i]);
	server = NULL;
	if (++rounds % 256 == 0)
		end_in_time();
	fuzz_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct moves m = { data, size };

	begin();
	while (m.left) {
		uint8_t op = byte(&m);

		switch (op & 7) {
		case 0:
			move_frame(&m, false);
			break;
		case 1:
			move_frame(&m, true);
			break;
		case 2:
		case 3:
			move_tcp(&m);
			break;
		case 4:
			move_handshake();
			break;
		case 5:
			let_pass_ms(byte(&m) * 4u);
			break;
		case 6:
			move_datagrams(&m);
			break;
		default:
			move_program(&m);
		}
	}
	end();
	return 0;
}
