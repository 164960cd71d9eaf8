/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/stack.sources */
/* flags: @tests/host/stack.flags */
/* Anything a neighbour can send, to the whole of net/ with lwIP. The input is a list of moves: raw frames,
 * frames with their checksums put right, TCP segments near the numbers the stack expects, time, and what a program
 * does with the socket. Afterwards every buffer is back, and no socket is left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/priv/tcp_priv.h>

#include "fs/file.h"
#include "lib/errno.h"
#include "net/arch/cc.h"
#include "net/interface.h"
#include "net/net.h"
#include "net/socket.h"
#include "tests/host/memory_env.h"
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"
#include "tests/host/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUR_PORT   7
#define THEIR_PORT 4000
#define EXPECT(c)  ((c) ? (void)0 : fail(#c, __LINE__))

/* lwIP keeps the fragments of a datagram in a list through unaligned words, where the leak checker does not look. Lost
 * memory shows in end() instead. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

uint64_t test_seed = 1;
int test_scale = 1;

static void fail(const char *what, int line)
{
	fprintf(stderr, "frame_fuzz.c:%d: %s\n", line, what);
	abort();
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, fmt);
	abort();
}

uint64_t test_random(void)
{
	test_seed = test_seed * 6364136223846793005u + 1442695040888963407u;
	return test_seed >> 16;
}

uint64_t test_below(uint64_t limit)
{
	return test_random() % limit;
}

void test_register(struct test_case *t)
{
}

/* --- the input -------------------------------------------------------------------------------------------- */

struct moves {
	const uint8_t *at;
	size_t left;
};

static uint8_t byte(struct moves *m)
{
	if (!m->left)
		return 0;
	m->left--;
	return *m->at++;
}

static uint16_t word(struct moves *m)
{
	uint16_t high = byte(m);

	return (uint16_t)(high << 8 | byte(m));
}

static size_t bytes(struct moves *m, uint8_t *out, size_t n)
{
	n = MIN(n, m->left);
	memcpy(out, m->at, n);
	m->at += n;
	m->left -= n;
	return n;
}

/* --- frames --------------------------------------------------------------------------------------------------- */

static const uint8_t their_mac[6] = { 2, 9, 9, 9, 9, 9 };
static const uint8_t ours[4] = { 10, 9, 0, 1 }, theirs[4] = { 10, 9, 0, 2 };
/* What the connection's numbers are, as seen in what the stack sent. */
static uint32_t next_seq, next_ack;

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void set_sum(uint8_t *field, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	memcpy(field, &(uint16_t){ (uint16_t)sum }, 2);
}

/* Put the checksums of an IPv4 or IPv6 frame right, where its lengths allow. */
static void fix_sums(uint8_t *f, size_t n)
{
	size_t ip = 20, off;
	uint8_t proto, *pseudo;

	memcpy(f, wire.nd.mac, 6);
	if (f[13] == 0xdd) {
		ip = 40;
		proto = f[20];
		pseudo = f + 22;
	} else {
		ip = (f[14] & 15) * 4u;
		proto = f[23];
		pseudo = f + 26;
	}
	if (ip < 20 || n < 14 + ip + 8)
		return;
	if (f[13] != 0xdd) {
		put16(f + 24, 0);
		set_sum(f + 24, net_checksum(f + 14, (int)ip));
	}
	off = proto == 6 ? 16 : proto == 17 ? 6 : 2;
	if (n < 14 + ip + off + 2)
		return;
	put16(f + 14 + ip + off, 0);
	uint32_t sum = net_checksum(f + 14 + ip, (int)(n - 14 - ip));

	if (proto != 1) {
		uint8_t tail[4] = { 0, proto, (uint8_t)((n - 14 - ip) >> 8),
				    (uint8_t)(n - 14 - ip) };

		sum += net_checksum(pseudo, f[13] == 0xdd ? 32 : 8) + net_checksum(tail, 4);
	}
	set_sum(f + 14 + ip + off, sum);
}

static void receive(const uint8_t *f, size_t n)
{
	EXPECT(wire_receive(f, n));
	wire_settle();
	/* the stack's answer tells the numbers it uses now */
	if (wire.last_len >= 54 && wire.last[12] == 8 && wire.last[13] == 0 && wire.last[23] == 6) {
		next_ack = get32(wire.last + 38);
		if (wire.last[47] & 3)
			next_ack++;
		next_seq = get32(wire.last + 42);
	}
}

static void say_arp(void)
{
	uint8_t f[60] = { 0 };

	memset(f, 0xff, 6);
	memcpy(f + 6, their_mac, 6);
	memcpy(f + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	memcpy(f + 22, their_mac, 6);
	memcpy(f + 28, theirs, 4);
	memcpy(f + 38, ours, 4);
	receive(f, sizeof(f));
}

static void send_tcp(uint8_t flags, uint32_t seq, uint32_t ack, uint16_t window,
		     const uint8_t *options, size_t nr_options, const uint8_t *data, size_t n)
{
	uint8_t f[1600] = { 0 };
	size_t tcp = 20 + (nr_options & ~3u);

	memcpy(f + 6, their_mac, 6);
	f[12] = 8;
	f[14] = 0x45;
	put16(f + 16, (uint32_t)(20 + tcp + n));
	f[22] = 64;
	f[23] = 6;
	memcpy(f + 26, theirs, 4);
	memcpy(f + 30, ours, 4);
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

static struct file *listener, *server, *datagrams[4];

static void move_frame(struct moves *m, bool right)
{
	uint8_t f[1600] = { 0 };
	size_t n = bytes(m, f, word(m) % sizeof(f));

	if (right && n >= 34) {
		if (f[12] != 0x86) {
			f[12] = 8;
			f[13] = 0;
			memcpy(f + 30, ours, 4);
		} else {
			f[13] = 0xdd;
		}
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
	struct socket_addr there = { .port = THEIR_PORT };

	memcpy(there.addr, theirs, 4);
	EXPECT(socket_create(SOCKET_DGRAM, 0, FILE_NONBLOCK, &datagrams[0]) == 0);
	EXPECT(socket_bind(datagrams[0], &here) == 0);
	EXPECT(socket_create(SOCKET_DGRAM, SOCKET_PROTO_UDP, FILE_NONBLOCK, &datagrams[1]) == 0);
	EXPECT(socket_connect(datagrams[1], &there) == 0);
	EXPECT(socket_create(SOCKET_DGRAM, SOCKET_PROTO_ICMP, FILE_NONBLOCK, &datagrams[2]) == 0);
	EXPECT(socket_create(SOCKET_RAW, SOCKET_PROTO_ICMP, FILE_NONBLOCK, &datagrams[3]) == 0);
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

static void move_time(unsigned ms)
{
	shim_now_ns += ms * NS_PER_MS;
	wire_settle();
}

static void begin(void)
{
	wire_start();
	wire.mirror = false;
	next_seq = 1001;
	next_ack = 0;
	wire.last_len = 0;
	EXPECT(socket_listen_tcp(OUR_PORT, 4, &listener) == 0);
	listener->flags |= FILE_KERNEL_NONBLOCK;
	say_arp();
	open_datagrams();
}

static void end(void)
{
	static unsigned rounds;
	static uint64_t most;
	struct net_usage u;

	if (server)
		(void)!socket_abort(server);
	if (server)
		file_put(server);
	file_put(listener);
	for (size_t i = 0; i < ARRAY_SIZE(datagrams); i++)
		file_put(datagrams[i]);
	server = NULL;
	wire_settle();
	net_usage(&u);
	EXPECT(u.sockets == 0);
	EXPECT(u.tcp_listening == 0);
	/* I-NET-4 */
	EXPECT(u.rx_frames == u.rx_delivered + u.rx_dropped);
	if (++rounds % 256)
		return;
	/* what reassembly, ARP and closing connections held is given back in time */
	for (int i = 0; i < 5000; i++)
		move_time(35);
	net_forget_time_wait();
	net_usage(&u);
	for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
		fprintf(stderr,
			"left: state %d, flags %#x, poll %u of %u, persist %u, unsent %p, unacked %p\n",
			p->state, p->flags, p->polltmr, p->pollinterval, p->persist_backoff,
			(void *)p->unsent, (void *)p->unacked);
	EXPECT(u.tcp_active == 0);
	EXPECT(u.rx_posted == wire.rx_ring);
	EXPECT(u.rx_buffers <= wire.rx_ring + 20);
	most = most ? most : env_objects + 40;
	EXPECT(env_objects <= most);
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
			move_time(byte(&m) * 4u);
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
