/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/stack.sources */
/* flags: @tests/host/stack.flags */
/* The whole of net/ with lwIP, hosted: connections to ourselves over a wire that loses, repeats and reorders. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/icmp.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/tcp.h>

#include "fs/file.h"
#include "lib/errno.h"
#include "net/arch/cc.h"
#include "net/core.h"
#include "net/net.h"
#include "net/siphash.h"
#include "net/socket.h"
#include "net/socket_impl.h"
#include "tests/host/memory_env.h"
#include "tests/host/shim/shim.h"
#include "tests/host/stack_env.h"
#include "tests/host/test.h"
#include "tests/host/wire.h"
#include "tests/kernel/mirror.h"

static const struct socket_addr peer = { .port = 7, .addr = MIRROR_PEER };

/* --- pieces ---------------------------------------------------------------------------------------------- */

static uint16_t naive_sum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

TEST(net_checksum)
{
	static uint8_t memory[70000], copy[70000];

	for (int i = 0; i < 20000 * test_scale; i++) {
		size_t at = test_below(64);
		size_t n = i % 100 ? test_below(1600) : test_below(65536);
		size_t to = test_below(64);

		for (size_t k = 0; k < n; k++)
			memory[at + k] = test_below(4) ? (uint8_t)test_random() : 0xff;
		uint16_t want = naive_sum(memory + at, n);

		CHECK_EQ(net_checksum(memory + at, (int)n), want);
		CHECK_EQ(net_checksum_copy(copy + to, memory + at, (uint16_t)n), want);
		CHECK(memcmp(copy + to, memory + at, n) == 0);
	}
}

TEST(net_siphash)
{
	/* the vector of the paper */
	uint8_t key[16], data[15];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		data[i] = i;
	CHECK(siphash(key, data, 15) == 0xa129ca6149be45e5u);
}

TEST(net_isn)
{
	/* two connections differ, the same one moves on with time */
	uint32_t a = 0x0100007f, b = 0x0200007f;

	wire_start();
	uint32_t one = net_tcp_isn(&a, 4, 22, &b, 1000);

	CHECK(net_tcp_isn(&a, 4, 22, &b, 1001) != one);
	CHECK(net_tcp_isn(&a, 4, 22, &b, 1000) == one);
	shim_now_ns += NS_PER_S;
	CHECK_EQ(net_tcp_isn(&a, 4, 22, &b, 1000) - one, NS_PER_S / 4096);
}

/* --- connections ------------------------------------------------------------------------------------------- */

static struct file *listener, *client, *server;

static void nonblocking(struct file *f)
{
	f->flags |= FILE_KERNEL_NONBLOCK;
}

static void listen_on(uint16_t port, unsigned backlog)
{
	wire_start();
	CHECK_EQ(socket_listen_tcp(port, backlog, &listener), 0);
	nonblocking(listener);
}

static void connect_pair(void)
{
	struct socket_addr from, to;

	listen_on(7, 8);
	CHECK_EQ(socket_connect_tcp(&peer, &client), 0);
	nonblocking(client);
	wire_run(20);
	CHECK(file_poll(client) & POLL_OUT);
	CHECK_EQ(file_poll(listener), POLL_IN);
	CHECK_EQ(socket_accept(listener, &server, &from), 0);
	nonblocking(server);
	CHECK_EQ(socket_accept(listener, &server, NULL), -EAGAIN);
	CHECK_EQ(socket_local(client, &to), 0);
	CHECK_EQ(from.port, to.port);
}

static void all_closed(void)
{
	struct net_usage u;

	/* past TIME_WAIT */
	wire.lose = wire.repeat = wire.reorder = 0;
	wire_run(15000);
	net_usage(&u);
	CHECK_EQ(u.sockets, 0);
	CHECK_EQ(u.tcp_active, 0);
	CHECK_EQ(u.tcp_time_wait, 0);
	CHECK_EQ(u.tcp_listening, 0);
	/* I-NET-4 */
	CHECK_EQ(u.rx_frames, u.rx_delivered + u.rx_dropped);
	CHECK_EQ(u.rx_posted, wire.rx_ring);
}

static void close_all(void)
{
	file_put(client);
	file_put(server);
	file_put(listener);
	all_closed();
}

TEST(net_echo)
{
	char buf[64];

	connect_pair();
	CHECK_EQ(file_read_kernel(server, buf, sizeof(buf)), -EAGAIN);
	CHECK_EQ(socket_tx_pending(client), 0);
	CHECK_EQ(file_write_kernel(client, "ping", 4), 4);
	CHECK_EQ(socket_tx_pending(client), 4);
	wire_run(2);
	CHECK(file_poll(server) & POLL_IN);
	CHECK_EQ(file_read_kernel(server, buf, sizeof(buf)), 4);
	CHECK(memcmp(buf, "ping", 4) == 0);
	CHECK_EQ(file_write_kernel(server, "pong!", 5), 5);
	wire_run(2);
	CHECK_EQ(file_read_kernel(client, buf, 2), 2);
	CHECK_EQ(file_read_kernel(client, buf + 2, 10), 3);
	CHECK(memcmp(buf, "pong!", 5) == 0);
	close_all();
}

TEST(net_half_close)
{
	char buf[64];

	connect_pair();
	CHECK_EQ(file_write_kernel(client, "last words", 10), 10);
	CHECK_EQ(socket_shutdown(client, SOCKET_SHUT_WR), 0);
	CHECK_EQ(file_write_kernel(client, "x", 1), -EPIPE);
	wire_run(2);
	CHECK(file_poll(server) & POLL_RDHUP);
	CHECK_EQ(file_read_kernel(server, buf, 4), 4);
	CHECK_EQ(file_read_kernel(server, buf, 64), 6);
	CHECK_EQ(file_read_kernel(server, buf, 64), 0);
	CHECK_EQ(file_read_kernel(server, buf, 64), 0);
	/* the other way is still open */
	CHECK_EQ(file_write_kernel(server, "heard", 5), 5);
	wire_run(2);
	CHECK_EQ(file_read_kernel(client, buf, 64), 5);
	CHECK_EQ(socket_shutdown(server, SOCKET_SHUT_WR), 0);
	wire_run(100);
	CHECK_EQ(file_read_kernel(client, buf, 64), 0);
	CHECK(file_poll(client) & POLL_HUP);
	CHECK(file_poll(server) & POLL_HUP);
	/* long after TIME_WAIT the files must still be safe to use */
	wire_run(20000);
	CHECK_EQ(file_read_kernel(client, buf, 64), 0);
	CHECK_EQ(file_write_kernel(server, "x", 1), -EPIPE);
	close_all();
}

TEST(net_close_sends_all)
{
	static uint8_t out[100000], in[100000];
	size_t got = 0;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)test_random();
	connect_pair();
	CHECK_EQ(file_write_kernel(client, out, sizeof(out)), sizeof(out));
	file_put(client);
	for (;;) {
		ssize_t n = file_read_kernel(server, in + got, sizeof(in) - got + 1);

		if (n == 0)
			break;
		if (n > 0)
			got += (size_t)n;
		else
			CHECK_EQ(n, -EAGAIN);
		wire_run(1);
	}
	CHECK_EQ(got, sizeof(out));
	CHECK(memcmp(in, out, got) == 0);
	file_put(server);
	file_put(listener);
	all_closed();
}

TEST(net_abort)
{
	char buf[8];

	connect_pair();
	CHECK_EQ(file_write_kernel(client, "data", 4), 4);
	wire_run(2);
	CHECK_EQ(socket_abort(client), 0);
	CHECK_EQ(file_read_kernel(client, buf, 8), -ECONNABORTED);
	CHECK_EQ(file_read_kernel(client, buf, 8), 0);
	CHECK_EQ(file_write_kernel(client, buf, 8), -EPIPE);
	wire_run(2);
	/* what came before the reset is read first */
	CHECK_EQ(file_read_kernel(server, buf, 8), 4);
	CHECK(file_poll(server) & POLL_ERR);
	CHECK_EQ(file_read_kernel(server, buf, 8), -ECONNRESET);
	CHECK_EQ(file_read_kernel(server, buf, 8), 0);
	CHECK_EQ(socket_abort(server), 0);
	/* the listener survives */
	file_put(client);
	file_put(server);
	CHECK_EQ(socket_connect_tcp(&peer, &client), 0);
	wire_run(20);
	CHECK_EQ(socket_accept(listener, &server, NULL), 0);
	close_all();
}

TEST(net_refused)
{
	struct socket_addr nobody = peer;
	char c;

	wire_start();
	nobody.port = 4711;
	CHECK_EQ(socket_connect_tcp(&nobody, &client), 0);
	nonblocking(client);
	CHECK_EQ(file_poll(client), 0);
	wire_run(100);
	CHECK(file_poll(client) & POLL_ERR);
	CHECK_EQ(file_read_kernel(client, &c, 1), -ECONNREFUSED);
	file_put(client);
	all_closed();
}

/* How long a connect takes to fail, in ms, and why. */
static unsigned failing_connect(int *error)
{
	unsigned ms = 0;
	char c;

	CHECK_EQ(socket_connect_tcp(&peer, &client), 0);
	nonblocking(client);
	while (!(file_poll(client) & POLL_ERR) && ms < 300000) {
		wire_run(10);
		ms += 10;
	}
	*error = (int)file_read_kernel(client, &c, 1);
	file_put(client);
	return ms;
}

TEST(net_connect_times_out)
{
	unsigned ms;
	int error;

	/* the neighbour is known, and says nothing more */
	wire_start();
	(void)failing_connect(&error);
	CHECK_EQ(error, -ECONNREFUSED);
	wire.mirror = false;
	ms = failing_connect(&error);
	wire.mirror = true;
	CHECK_EQ(error, -ETIMEDOUT);
	/* TCP_SYNMAXRTX of a second each, within a tenth */
	CHECK(ms >= 10800 && ms <= 13200);
	all_closed();
}

TEST(net_neighbour_is_not_there)
{
	unsigned ms;
	int error;

	wire_start();
	wire.mirror = false;
	/* forget who is there */
	wire_run(400000);
	for (int i = 0; i < 3; i++) {
		ms = failing_connect(&error);
		CHECK_EQ(error, -EHOSTUNREACH);
		CHECK(ms >= 2000 && ms <= 4000);
	}
	wire.mirror = true;
	all_closed();
}

static uint32_t attached_with(const char *address)
{
	wire.address = address;
	wire_start();
	return netif_ip4_addr(netif_list)->addr;
}

TEST(net_static_address)
{
	static const char *const right[] = { "10.9.0.1/24", "10.9.0.1/8,10.0.0.1", "10.9.0.1/32",
					     "10.9.0.1/31,10.9.0.0" };

	CHECK_EQ(attached_with(right[test_below(ARRAY_SIZE(right))]), lwip_htonl(0x0a090001));
}

/* A program each: the stack is started once. */
#define NO_ADDRESS(name, text)                                                                     \
	TEST(net_static_##name)                                                                    \
	{                                                                                          \
		CHECK_EQ(attached_with(text), 0);                                                  \
	}
NO_ADDRESS(without_bits, "10.9.0.1")
NO_ADDRESS(no_bits, "10.9.0.1/")
NO_ADDRESS(bits_0, "10.9.0.1/0")
NO_ADDRESS(bits_33, "10.9.0.1/33")
NO_ADDRESS(bits_words, "10.9.0.1/24x")
NO_ADDRESS(bits_behind_the_gateway, "10.9.0.1,10.9.0.2/24")
NO_ADDRESS(short, "10.9.1/24")
NO_ADDRESS(hex, "0xa.9.0.1/24")
NO_ADDRESS(big, "10.9.0.256/24")
NO_ADDRESS(empty, "")
NO_ADDRESS(empty_gateway, "10.9.0.1/24,")
NO_ADDRESS(bad_gateway, "10.9.0.1/24,10.9")
NO_ADDRESS(two_gateways, "10.9.0.1/24,10.9.0.2,10.9.0.3")
NO_ADDRESS(gateway_elsewhere, "10.9.0.1/24,10.8.0.1")
NO_ADDRESS(gateway_self, "10.9.0.1/24,10.9.0.1")
NO_ADDRESS(any, "0.0.0.0/24")
NO_ADDRESS(loop, "127.0.0.1/8")
NO_ADDRESS(group, "224.0.0.1/24")
NO_ADDRESS(all, "255.255.255.255/24")
NO_ADDRESS(network, "10.9.0.0/24")
NO_ADDRESS(broadcast, "10.9.0.255/24")
NO_ADDRESS(long, "10.9.0.1/24                                                              ")

static uint8_t probe[42];

static void keep_probe(const uint8_t *f, size_t n)
{
	if (n >= 42 && f[12] == 8 && f[13] == 6 && !probe[12])
		memcpy(probe, f, sizeof(probe));
}

TEST(net_address_of_another)
{
	uint64_t before = net_counters.address_conflicts;

	/* before the address is ours it is asked for, from no address; whoever has it answers */
	wire.tap = keep_probe;
	CHECK_EQ(attached_with("10.9.0.1/24"), lwip_htonl(0x0a090001));
	CHECK(memcmp(probe + 28, "\0\0\0\0", 4) == 0 && memcmp(probe + 38, "\x0a\x09\0\1", 4) == 0);
	memcpy(probe, probe + 6, 6);
	probe[21] = 2;
	memcpy(probe + 32, probe + 22, 6);
	memcpy(probe + 22, "\2\3\3\3\3\3", 6);
	memcpy(probe + 28, probe + 38, 4);
	for (int i = 0; i < 3; i++) {
		CHECK(wire_receive(probe, sizeof(probe)));
		wire_run(1);
	}
	CHECK_EQ(net_counters.address_conflicts, before + 1);
}

/* A SYN to port 7 of ours, from a neighbour's address and port of that number. */
static void strange_syn(unsigned n)
{
	uint8_t f[54] = { 0 }, pseudo[32];
	uint16_t sum;

	memcpy(f, wire.nd.mac, 6);
	memset(f + 6, 2, 6);
	f[12] = 8;
	memcpy(f + 14, "\x45\0\0\x28\0\0\0\0\x40\6\0\0\x0a\x09\0\0\x0a\x09\0\1", 20);
	/* few enough that ARP keeps up */
	f[29] = (uint8_t)(10 + n % 16);
	sum = (uint16_t)~naive_sum(f + 14, 20);
	memcpy(f + 24, &sum, 2);
	f[34] = (uint8_t)(4 + n % 250);
	f[35] = (uint8_t)(n / 250);
	f[37] = 7;
	f[41] = (uint8_t)n;
	f[46] = 0x50;
	f[47] = 2;
	f[48] = 0x20;
	memcpy(pseudo, f + 26, 8);
	memcpy(pseudo + 8, "\0\6\0\x14", 4);
	memcpy(pseudo + 12, f + 34, 20);
	sum = (uint16_t)~naive_sum(pseudo, 32);
	memcpy(f + 50, &sum, 2);
	CHECK(wire_receive(f, sizeof(f)));
	wire_settle();
}

/* An ICMP error about the SYN of the only connection. */
static void icmp_about_syn(uint8_t type, uint8_t code)
{
	const struct tcp_pcb *pcb = tcp_active_pcbs;
	uint32_t seqno = lwip_htonl(pcb->snd_nxt - 1);
	uint16_t ports[2] = { lwip_htons(pcb->local_port), lwip_htons(pcb->remote_port) }, sum;
	uint8_t f[70] = { 0 };

	memcpy(f, wire.nd.mac, 6);
	memset(f + 6, 2, 6);
	f[12] = 8;
	memcpy(f + 14, "\x45\0\0\x38\0\0\0\0\x40\1\0\0\x0a\x09\0\x63\x0a\x09\0\1", 20);
	sum = (uint16_t)~naive_sum(f + 14, 20);
	memcpy(f + 24, &sum, 2);
	f[34] = type;
	f[35] = code;
	memcpy(f + 42, "\x45\0\0\x2c\0\0\0\0\x40\6\0\0", 12);
	memcpy(f + 54, &pcb->local_ip, 4);
	memcpy(f + 58, &pcb->remote_ip, 4);
	memcpy(f + 62, ports, 4);
	memcpy(f + 66, &seqno, 4);
	sum = (uint16_t)~naive_sum(f + 34, 36);
	memcpy(f + 36, &sum, 2);
	CHECK(wire_receive(f, sizeof(f)));
	wire_settle();
}

/* Which errors end a connection that is being made, and as what. */
TEST(net_icmp_ends_a_connect)
{
	static const struct {
		uint8_t type, code;
		int error; /* 0: it goes on */
	} cases[] = { { ICMP_DUR, 0, -ENETUNREACH },
		      { ICMP_DUR, 1, -EHOSTUNREACH },
		      { ICMP_DUR, 2, -ENOPROTOOPT },
		      { ICMP_DUR, 3, -ECONNREFUSED },
		      { ICMP_DUR, 4, 0 },
		      { ICMP_DUR, 13, -EHOSTUNREACH },
		      { ICMP_DUR, 16, 0 },
		      { 4, 0, 0 },
		      { ICMP_TE, 0, -EHOSTUNREACH },
		      { ICMP_PP, 0, -EPROTO } };
	int error;
	char c;

	wire_start();
	/* who is asked is known */
	(void)failing_connect(&error);
	wire.mirror = false;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_EQ(socket_connect_tcp(&peer, &client), 0);
		nonblocking(client);
		wire_run(10);
		icmp_about_syn(cases[i].type, cases[i].code);
		CHECK_MSG(!(file_poll(client) & POLL_ERR) == !cases[i].error, "type %d, code %d",
			  cases[i].type, cases[i].code);
		if (cases[i].error)
			CHECK_EQ(file_read_kernel(client, &c, 1), cases[i].error);
		file_put(client);
	}
	wire.mirror = true;
	all_closed();
}

TEST(net_syn_flood)
{
	struct net_usage u;
	unsigned n = 0;

	/* strangers, many more than the backlog, and they go on while good clients come: each is in before its SYN's first retry */
	listen_on(7, 1);
	while (n < 1000)
		strange_syn(n++);
	net_usage(&u);
	CHECK_EQ(u.tcp_active, 512);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(socket_connect_tcp(&peer, &client), 0);
		nonblocking(client);
		for (unsigned ms = 0; ms < 900 && file_poll(client) == 0; ms++) {
			for (int k = 0; k < 4; k++)
				strange_syn(n++);
			wire_run(1);
		}
		CHECK_EQ(file_poll(client), POLL_OUT);
		CHECK_EQ(socket_accept(listener, &server, NULL), 0);
		file_put(client);
		file_put(server);
		wire_run(100);
	}
	/* none but strangers: they go by themselves */
	wire_run(40000);
	net_usage(&u);
	CHECK_EQ(u.tcp_active, 0);
	file_put(listener);
	all_closed();
}

/* The port of one UDP socket says nothing of the next one's. */
TEST(net_udp_ports_unguessable)
{
	struct socket_addr here[2] = { { .v6 = false } };
	struct file *f[2];
	unsigned near = 0;

	wire_start();
	for (unsigned i = 0; i < 50; i++) {
		for (unsigned k = 0; k < 2; k++) {
			struct socket_addr any = { .v6 = false };

			CHECK_EQ(socket_create(SOCKET_INET, SOCKET_DGRAM, 0, 0, &f[k]), 0);
			CHECK_EQ(socket_bind(f[k], &any), 0);
			CHECK_EQ(socket_name(f[k], &here[k]), 0);
		}
		near += here[1].port - here[0].port <= 16u;
		file_put(f[0]);
		file_put(f[1]);
	}
	CHECK(near < 5);
	all_closed();
}

TEST(net_small_buffer_takes_a_datagram)
{
	struct socket_addr here = { .port = 5353, .addr = { 127, 0, 0, 1 } };
	static char big[30000], back[40000];
	struct file *f;

	wire_start();
	CHECK_EQ(socket_create(SOCKET_INET, SOCKET_DGRAM, 0, FILE_NONBLOCK, &f), 0);
	CHECK_EQ(socket_bind(f, &here), 0);
	CHECK_EQ(socket_connect(f, &here), 0);
	CHECK_EQ(socket_set(f, SOCKET_RX_SIZE, 1), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(file_write_kernel(f, big, sizeof(big)), sizeof(big));
	CHECK_EQ(file_read_kernel(f, back, sizeof(back)), sizeof(big));
	/* the others found it full */
	CHECK_EQ(file_read_kernel(f, back, sizeof(back)), -EAGAIN);
	file_put(f);
	all_closed();
}

TEST(net_address_in_use)
{
	struct file *second;

	listen_on(7, 1);
	CHECK_EQ(socket_listen_tcp(7, 1, &second), -EADDRINUSE);
	CHECK_EQ(socket_listen_tcp(0, 1, &second), -EINVAL);
	file_put(listener);
	CHECK_EQ(socket_listen_tcp(7, 1, &listener), 0);
	file_put(listener);
	all_closed();
}

TEST(net_backlog)
{
	struct file *c[8], *s[8];
	unsigned open = 0, accepted = 0;

	listen_on(7, 3);
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(socket_connect_tcp(&peer, &c[i]), 0);
		nonblocking(c[i]);
		/* one after the other: those that wait for accept count, not only those in their handshake */
		wire_run(20);
	}
	for (int i = 0; i < 8; i++)
		open += (file_poll(c[i]) & POLL_OUT) != 0;
	/* as in Linux: one more */
	CHECK_EQ(open, 4);
	/* room again: the others come as their SYNs are sent again */
	for (int ms = 0; ms < 20000 && accepted < 8; ms++) {
		if (socket_accept(listener, &s[accepted], NULL) == 0)
			accepted++;
		wire_run(1);
	}
	CHECK_EQ(accepted, 8);
	for (int i = 0; i < 8; i++) {
		CHECK(file_poll(c[i]) & POLL_OUT);
		file_put(c[i]);
		file_put(s[i]);
	}
	file_put(listener);
	all_closed();
}

/* All SYNs are in before the first connection is complete: what the backlog has no room for is not reset, but asks again. */
TEST(net_backlog_at_once)
{
	struct file *c[8], *s[8];
	unsigned accepted = 0;

	listen_on(7, 1);
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(socket_connect_tcp(&peer, &c[i]), 0);
		nonblocking(c[i]);
	}
	wire_run(100);
	for (int ms = 0; ms < 30000 && accepted < 8; ms++) {
		if (socket_accept(listener, &s[accepted], NULL) == 0) {
			CHECK_EQ(socket_accept(listener, &s[accepted + 1], NULL), 0);
			CHECK_EQ(socket_accept(listener, &s[accepted + 2], NULL), -EAGAIN);
			accepted += 2;
		}
		wire_run(500);
	}
	CHECK_EQ(accepted, 8);
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(file_poll(c[i]), POLL_OUT);
		file_put(c[i]);
		file_put(s[i]);
	}
	file_put(listener);
	all_closed();
}

/* Without memory for its file, a connection goes on to wait. */
TEST(net_accept_without_memory)
{
	struct file *f;

	listen_on(7, 3);
	CHECK_EQ(socket_connect_tcp(&peer, &client), 0);
	wire_run(20);
	for (int i = 0; i < 3; i++) {
		env_fail_in = 1;
		CHECK_EQ(socket_accept(listener, &f, NULL), -ENOMEM);
		env_fail_in = 0;
		CHECK_EQ(file_poll(listener), POLL_IN);
	}
	CHECK_EQ(socket_accept(listener, &server, NULL), 0);
	CHECK_EQ(file_write_kernel(server, "x", 1), 1);
	wire_run(20);
	CHECK_EQ(socket_rx_queued(client), 1);
	close_all();
}

TEST(net_listener_closed_with_waiting)
{
	struct file *c[3];
	char byte;

	listen_on(7, 8);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(socket_connect_tcp(&peer, &c[i]), 0);
		nonblocking(c[i]);
	}
	wire_run(20);
	CHECK_EQ(file_write_kernel(c[0], "x", 1), 1);
	wire_run(5);
	file_put(listener);
	wire_run(5);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(file_read_kernel(c[i], &byte, 1), -ECONNRESET);
		file_put(c[i]);
	}
	all_closed();
}

/* Bulk both ways over a bad wire; every byte in order. */
static unsigned bulk(size_t total, unsigned max_ms)
{
	static uint8_t out[65536], in[65536];
	struct file *end[2] = { client, server };
	size_t sent[2] = { 0, 0 }, got[2] = { 0, 0 };
	unsigned ms = 0;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)test_random();
	while (got[0] < total || got[1] < total) {
		for (int e = 0; e < 2; e++) {
			size_t n = 1 + test_below(30000);
			size_t at = sent[e] % 65536;
			ssize_t r;

			n = MIN(n, 65536 - at);
			n = MIN(n, total - sent[e]);
			if (n) {
				r = file_write_kernel(end[e], out + at, n);
				CHECK(r > 0 || r == -EAGAIN);
				sent[e] += r > 0 ? (size_t)r : 0;
			}
			r = file_read_kernel(end[e], in, 1 + test_below(sizeof(in)));
			CHECK(r > 0 || r == -EAGAIN);
			for (ssize_t k = 0; k < r; k++)
				CHECK(in[k] == out[(got[e] + (size_t)k) % 65536]);
			got[e] += r > 0 ? (size_t)r : 0;
		}
		wire_run(1);
		CHECK_MSG(ms++ < max_ms, "stuck at %zu/%zu and %zu/%zu of %zu", sent[0], got[1],
			  sent[1], got[0], total);
	}
	return ms;
}

TEST(net_bulk)
{
	connect_pair();
	bulk(3000000, 20000);
	close_all();
}

/* A peer that does not scale windows has 64 KiB of one, of which a small SO_RCVBUF may not withhold more than there is. */
TEST(net_small_buffer_unscaled)
{
	connect_pair();
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		pcb->flags &= (tcpflags_t)~TF_WND_SCALE;
		pcb->snd_scale = pcb->rcv_scale = 0;
		pcb->rcv_wnd = pcb->rcv_ann_wnd = pcb->snd_wnd = 0xffff;
		pcb->rcv_ann_right_edge = pcb->rcv_nxt + 0xffff;
	}
	CHECK_EQ(socket_set(client, SOCKET_RX_SIZE, 16384), 0);
	CHECK_EQ(socket_set(server, SOCKET_RX_SIZE, 16384), 0);
	bulk(300000, 20000);
	close_all();
}

TEST(net_bulk_bad_wire)
{
	connect_pair();
	wire.lose = 20;
	wire.repeat = 20;
	wire.reorder = 50;
	bulk(1000000, 400000);
	CHECK(wire.lost > 5);
	close_all();
}

TEST(net_bulk_small_rings)
{
	/* a full ring is back-pressure: not one frame is lost */
	wire.rx_ring = 32;
	wire.tx_ring = 4;
	wire.lazy = true;
	connect_pair();
	unsigned ms = bulk(500000, 20000);

	CHECK(net_counters.tx_full > 0);
	/* who was refused goes on when there is room, not at some timer */
	CHECK_MSG(ms < 600, "%u ms", ms);
	CHECK_EQ(net_counters.tx_errors, 0);
	close_all();
}

TEST(net_tiny_ring)
{
	/* fewer buffers than are kept for a device with many */
	wire.rx_ring = 4;
	connect_pair();
	bulk(100000, 20000);
	CHECK(net_counters.rx_delivered > 0);
	close_all();
}

/* And the round trip is known: a byte at a time, each acknowledged. */
static void connect_and_measure(void)
{
	char buf[16];

	connect_pair();
	for (int i = 0; i < 30; i++) {
		CHECK_EQ(file_write_kernel(client, "x", 1), 1);
		wire_run(60);
		CHECK_EQ(file_read_kernel(server, buf, 16), 1);
	}
}

TEST(net_tail_loss)
{
	/* the last segment is lost: sent again within 300 ms */
	char buf[16];
	unsigned ms = 0;

	connect_and_measure();
	wire.drop_data = 1;
	CHECK_EQ(file_write_kernel(client, "y", 1), 1);
	while (file_read_kernel(server, buf, 16) != 1) {
		wire_run(1);
		CHECK_MSG(++ms < 300, "not there after %u ms", ms);
	}
	CHECK_EQ(wire.lost, 1);
	close_all();
}

/* Loses the next segment whose flags are these, of those in the mask. */
static uint8_t losing_mask, losing;

static bool lose_by_flags(const uint8_t *f, size_t n)
{
	if (n < 54 || f[12] != 8 || f[13] != 0 || f[23] != 6 || mirror_tcp_payload(f, n) ||
	    (f[47] & losing_mask) != losing)
		return false;
	wire.loses = NULL;
	return true;
}

static void lose_next(uint8_t mask, uint8_t flags)
{
	losing_mask = mask;
	losing = flags;
	wire.loses = lose_by_flags;
}

TEST(net_last_ack_loss)
{
	/* the acknowledgement of the last segment is lost: that segment is sent and acknowledged again within 300 ms */
	char buf[16];
	unsigned ms = 0;

	connect_and_measure();
	CHECK_EQ(file_write_kernel(client, "y", 1), 1);
	lose_next(TCP_SYN | TCP_FIN | TCP_RST, 0);
	while (socket_tx_pending(client)) {
		wire_run(1);
		CHECK_MSG(++ms < 300, "not acknowledged after %u ms", ms);
	}
	CHECK_EQ(wire.lost, 1);
	CHECK_EQ(file_read_kernel(server, buf, 16), 1);
	CHECK_EQ(file_read_kernel(server, buf, 16), -EAGAIN);
	close_all();
}

TEST(net_syn_loss)
{
	/* a SYN, or the answer to it: the next is sent a second later */
	static const uint8_t flags[] = { TCP_SYN, TCP_SYN | TCP_ACK };

	listen_on(7, 8);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		unsigned ms = 0;

		lose_next(TCP_SYN | TCP_ACK, flags[i]);
		CHECK_EQ(socket_connect_tcp(&peer, &client), 0);
		nonblocking(client);
		while (!file_poll(client)) {
			wire_run(1);
			CHECK_MSG(++ms < 1200, "no connection after %u ms", ms);
		}
		CHECK_EQ(file_poll(client), POLL_OUT);
		CHECK_EQ(wire.lost, i + 1);
		CHECK_EQ(socket_accept(listener, &server, NULL), 0);
		file_put(client);
		file_put(server);
		wire_run(100);
	}
	file_put(listener);
	all_closed();
}

static void send_byte(bool more)
{
	struct socket_message m = { .flags = more ? SOCKET_MSG_MORE : 0 };
	struct io io;

	io_init_kernel(&io, "x", 1);
	CHECK_EQ(socket_send(client, &io, &m), 1);
}

/* What is said to be followed waits for that, but not for long. */
TEST(net_more_to_follow)
{
	uint64_t before;
	char in[8];

	connect_pair();
	CHECK_EQ(socket_set_nodelay(client, true), 0);
	wire_run(500);
	before = net_counters.tx_frames;
	send_byte(true);
	send_byte(true);
	CHECK_EQ(net_counters.tx_frames, before);
	send_byte(false);
	CHECK_EQ(net_counters.tx_frames, before + 1);
	wire_run(20);
	CHECK_EQ(file_read_kernel(server, in, sizeof(in)), 3);
	send_byte(true);
	wire_run(200);
	CHECK_EQ(file_read_kernel(server, in, sizeof(in)), 1);
	/* and what is closed goes at once */
	send_byte(true);
	file_put(client);
	wire_run(20);
	CHECK_EQ(file_read_kernel(server, in, sizeof(in)), 1);
	CHECK_EQ(file_read_kernel(server, in, sizeof(in)), 0);
	file_put(server);
	file_put(listener);
	all_closed();
}

TEST(net_small_segments)
{
	/* I-SOCK-3: a byte a segment must not pin a frame each */
	struct net_usage u;
	static char in[20000];
	uint64_t before;
	ssize_t got = 0, n;

	connect_pair();
	CHECK_EQ(socket_set_nodelay(client, true), 0);
	before = env_objects;
	for (int i = 0; i < 10000; i++) {
		char c = (char)i;

		CHECK_EQ(file_write_kernel(client, &c, 1), 1);
		wire_settle();
	}
	net_usage(&u);
	CHECK_EQ(socket_rx_queued(server), 10000);
	CHECK_MSG(env_objects < before + 40, "%llu objects for 10000 bytes",
		  (unsigned long long)(env_objects - before));
	CHECK(u.rx_buffers <= 64 + 64 + 2);
	while ((n = file_read_kernel(server, in + got, 777)) > 0)
		got += n;
	CHECK_EQ(got, 10000);
	for (int i = 0; i < 10000; i++)
		CHECK(in[i] == (char)i);
	close_all();
}

/* A peer asks for segments of a byte: whoever is told that there is room can write, and a byte is not a segment. */
TEST(net_tiny_segments)
{
	static char block[65536];
	uint64_t before, got = 0;
	ssize_t n;

	connect_pair();
	before = wire.sent;
	for (int i = 0; i < 100; i++) {
		bool room = file_poll(client) & POLL_OUT;

		/* as an option of any segment may */
		for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
			pcb->mss = 1;
		n = file_write_kernel(client, block, sizeof(block));
		CHECK(n > 0 || (n == -EAGAIN && !room));
		got += (size_t)MAX(n, 0);
		wire_run(1);
		while (file_read_kernel(server, block, sizeof(block)) > 0)
			;
	}
	CHECK(got > 1000000);
	CHECK(wire.sent < before + got / 500);
	close_all();
}

TEST(net_window_closes_and_opens)
{
	static char block[65536];
	size_t sent = 0, got = 0;
	ssize_t n;

	connect_pair();
	for (int i = 0; i < 100; i++) {
		n = file_write_kernel(client, block, sizeof(block));
		sent += n > 0 ? (size_t)n : 0;
		wire_run(5);
	}
	/* the peer does not read: two windows' worth, then -EAGAIN and no POLL_OUT */
	CHECK(sent >= 300000 && sent <= 530000);
	CHECK(!(file_poll(client) & POLL_OUT));
	wire_run(30000);
	CHECK_EQ(file_write_kernel(client, block, 1), -EAGAIN);
	env_events = 0;
	while (got < sent) {
		n = file_read_kernel(server, block, sizeof(block));
		CHECK(n > 0 || n == -EAGAIN);
		got += n > 0 ? (size_t)n : 0;
		wire_run(1);
	}
	CHECK(file_poll(client) & POLL_OUT);
	CHECK(env_events & POLL_OUT);
	close_all();
}

/* What comes for a side that is shut is dropped, and makes room for more: who sends it comes to the end. */
TEST(net_shut_side_takes_all)
{
	static char block[65536];
	unsigned ms = 0;

	connect_pair();
	CHECK_EQ(socket_shutdown(server, SOCKET_SHUT_RD), 0);
	for (size_t sent = 0; sent < 4 * TCP_WND || socket_tx_pending(client); ms++) {
		ssize_t n =
			sent < 4 * TCP_WND ? file_write_kernel(client, block, sizeof(block)) : 0;

		sent += n > 0 ? (size_t)n : 0;
		wire_run(1);
		CHECK_MSG(ms < 5000, "stuck behind %zu", sent);
	}
	close_all();
}

static char theirs[TCP_SND_BUF], mine[4 * TCP_MSS], got[TCP_SND_BUF + 4 * TCP_MSS];
static size_t nr_theirs, nr_got;

static void another_sends(void)
{
	nr_theirs = ((struct socket *)client->priv)->tx_room - 100;
	CHECK_EQ(file_write_kernel(client, theirs, nr_theirs), nr_theirs);
}

static void receive(void)
{
	ssize_t n = file_read_kernel(server, got + nr_got, sizeof(got) - nr_got);

	CHECK(n > 0 || n == -EAGAIN);
	nr_got += n > 0 ? (size_t)n : 0;
	wire_run(1);
}

/* The room that a sender saw is gone when its bytes are copied: of the piece goes what there is room for, and the rest before
 * the next. */
TEST(net_another_sends_meanwhile)
{
	struct socket_message m = { 0 };
	struct io io;

	connect_pair();
	client->flags &= ~FILE_KERNEL_NONBLOCK;
	for (size_t i = 0; i < sizeof(mine); i++)
		mine[i] = (char)test_random();
	nr_got = 0;
	env_copy_hook = another_sends;
	env_sleep_hook = receive;
	io_init_user(&io, (vaddr_t)mine, sizeof(mine));
	CHECK_EQ(socket_send(client, &io, &m), sizeof(mine));
	for (unsigned ms = 0; nr_got < nr_theirs + sizeof(mine); ms++) {
		CHECK_MSG(ms < 5000, "%zu of %zu", nr_got, nr_theirs + sizeof(mine));
		receive();
	}
	env_sleep_hook = NULL;
	CHECK(memcmp(got, theirs, nr_theirs) == 0);
	CHECK(memcmp(got + nr_theirs, mine, sizeof(mine)) == 0);
	close_all();
}

static int nr_sleeps;

/* A reader is done and wakes who waits for it; the next is at it before that one looks. Then he is done, too. */
static void readers_in_turn(void)
{
	struct socket *s = server->priv;

	CHECK(s->reading && s->read_awaited);
	s->read_awaited = false;
	s->reading = nr_sleeps++ < 3;
}

TEST(net_reader_waits_for_the_next)
{
	char c;

	connect_pair();
	nr_sleeps = 0;
	((struct socket *)server->priv)->reading = true;
	env_sleep_hook = readers_in_turn;
	CHECK_EQ(file_read_kernel(server, &c, 1), -EAGAIN);
	env_sleep_hook = NULL;
	CHECK_EQ(nr_sleeps, 4);
	close_all();
}

/* Two ends that are full tell each other so, and probe: not one byte gets in beyond the window. */
TEST(net_full_stays_full)
{
	static char block[65536];

	connect_pair();
	CHECK_EQ(socket_set_nodelay(client, true), 0);
	CHECK_EQ(socket_set_nodelay(server, true), 0);
	for (int i = 0; i < 100; i++) {
		(void)!file_write_kernel(client, block, sizeof(block));
		(void)!file_write_kernel(server, block, sizeof(block));
		wire_run(5);
	}
	wire_run(60000);
	CHECK_EQ(socket_rx_queued(client), TCP_WND);
	CHECK_EQ(socket_rx_queued(server), TCP_WND);
	close_all();
}

/* A small receive buffer is told of when it is empty again, not when a timer comes by. */
TEST(net_small_window)
{
	static char block[4096];
	size_t got = 0;
	unsigned ms = 0;

	connect_pair();
	CHECK_EQ(socket_set(server, SOCKET_RX_SIZE, 2048), 0);
	for (; got < 600000; ms++) {
		ssize_t n;

		(void)!file_write_kernel(client, block, sizeof(block));
		wire_run(1);
		n = file_read_kernel(server, block, sizeof(block));
		got += n > 0 ? (size_t)n : 0;
		CHECK(ms < 2000);
	}
	close_all();
}

/* I-SOCK-4: what is charged is what it costs, and the chooser of who is to end sees it. */
TEST(net_charged_by_cost)
{
	static char block[100000];
	struct net_usage before, u;

	connect_pair();
	CHECK_EQ(socket_set_nodelay(client, true), 0);
	net_usage(&before);
	wire.mirror = false;
	for (int i = 0; i < 500; i++) {
		CHECK_EQ(file_write_kernel(client, "x", 1), 1);
		if (i % 50 == 0)
			wire_run(1);
	}
	net_usage(&u);
	CHECK(u.socket_bytes - before.socket_bytes >= 500 * 64);
	wire.mirror = true;
	wire_run(3000);
	/* the bytes have come, and lie together */
	net_usage(&u);
	CHECK_EQ(socket_rx_queued(server), 500);
	CHECK(u.socket_bytes - before.socket_bytes <= 2 * 2048);
	CHECK_EQ(file_write_kernel(client, block, sizeof(block)), sizeof(block));
	wire_run(3000);
	CHECK(server->ops->held(server) * 4096 >= sizeof(block));
	close_all();
	net_usage(&u);
	CHECK_EQ(u.socket_bytes, 0);
}

/* Behind the bound of I-SOCK-4 a peer's last bytes come with its end, to a connection that lwIP is about to forget: they are
 * there all the same. */
static void last_bytes(void)
{
	static uint8_t block[20000];
	size_t sent, got = 0;
	ssize_t n;

	connect_pair();
	socket_charge(INT64_MAX / 2);
	CHECK_EQ(socket_shutdown(server, SOCKET_SHUT_WR), 0);
	/* more than it takes: the rest is lost and sent again, the last of it with the end */
	n = file_write_kernel(client, block, 12000 + test_below(8000));
	CHECK(n > 0);
	sent = (size_t)n;
	wire_run(1500);
	file_put(client);
	for (int i = 0; i < 100 && got < sent; i++) {
		n = file_read_kernel(server, block, 1500);
		CHECK(n > 0 || n == -EAGAIN);
		got += n > 0 ? (size_t)n : 0;
		wire_run(100 + test_below(900));
	}
	CHECK_EQ(got, sent);
	CHECK_EQ(file_read_kernel(server, block, 1), 0);
	socket_charge(-(INT64_MAX / 2));
	file_put(server);
	file_put(listener);
	all_closed();
}

TEST(net_last_bytes_beyond_the_bound)
{
	for (int i = 0; i < 20; i++)
		last_bytes();
}

/* Ports that are chosen are all different, and when there are no more, one that comes back is found. */
TEST(net_ports_run_out)
{
	static struct file *s[20000];
	static struct socket_addr any;
	static bool seen[65536];
	struct socket_addr name;
	unsigned n = 0;
	int ret = 0;

	wire_start();
	while (ret == 0 && n < 20000) {
		CHECK_EQ(socket_create(SOCKET_INET, SOCKET_DGRAM, 0, 0, &s[n]), 0);
		ret = socket_bind(s[n], &any);
		CHECK_EQ(socket_name(s[n], &name), 0);
		CHECK(ret < 0 || (name.port >= 49152 && !seen[name.port]));
		seen[name.port] = true;
		n++;
	}
	CHECK_EQ(ret, -EADDRINUSE);
	CHECK_EQ(n, 16385);
	CHECK_EQ(socket_name(s[777], &name), 0);
	file_put(s[777]);
	CHECK_EQ(socket_bind(s[n - 1], &any), 0);
	uint16_t port = name.port;

	CHECK_EQ(socket_name(s[n - 1], &name), 0);
	CHECK_EQ(name.port, port);
	for (unsigned i = 0; i < n; i++)
		if (i != 777)
			file_put(s[i]);
	all_closed();
}

/* Connections that have ended do not fill memory, nor take all ports, however many they are. */
TEST(net_time_waits_are_bounded)
{
	static const struct socket_addr self = { .port = 7, .addr = { 127, 0, 0, 1 } };
	struct net_usage u;

	listen_on(7, 8);
	for (int i = 0; i < 9000; i++) {
		CHECK_EQ(socket_connect_tcp(&self, &client), 0);
		CHECK_EQ(socket_accept(listener, &server, NULL), 0);
		file_put(client);
		file_put(server);
	}
	net_usage(&u);
	CHECK(u.tcp_time_wait > 100 && u.tcp_time_wait <= 8192);
	file_put(listener);
	all_closed();
}

TEST(net_orphan_is_freed)
{
	/* closed with bytes the peer never takes: gone after a minute or so */
	static char block[65536];
	struct net_usage u;

	connect_pair();
	for (int i = 0; i < 10; i++) {
		(void)!file_write_kernel(client, block, sizeof(block));
		wire_run(5);
	}
	file_put(client);
	wire_run(10000);
	net_usage(&u);
	CHECK(u.tcp_active == 2);
	wire_run(70000);
	net_usage(&u);
	CHECK(u.tcp_active <= 1);
	file_put(server);
	file_put(listener);
	all_closed();
}

TEST(net_keepalive)
{
	char c;

	connect_pair();
	CHECK_EQ(socket_set_keepalive(client, 10, 2, 3), 0);
	wire_run(30000);
	CHECK_EQ(file_read_kernel(client, &c, 1), -EAGAIN);
	/* the peer vanishes */
	wire.mirror = false;
	wire_run(30000);
	CHECK_EQ(file_read_kernel(client, &c, 1), -ETIMEDOUT);
	wire.mirror = true;
	close_all();
}

TEST(net_receive_memory)
{
	/* no memory for new receive buffers: frames are dropped and counted, and it recovers */
	connect_pair();
	for (int i = 0; i < 200; i++) {
		env_fail_in = 1 + test_below(4);
		(void)!file_write_kernel(client, "0123456789", 10);
		wire_run(1);
	}
	env_fail_in = 0;
	wire_run(2000);
	CHECK(socket_rx_queued(server) > 0);
	close_all();
}

TEST(net_neighbour6_queue_without_memory)
{
	/* what had no memory to wait for its neighbour takes no place from what comes later */
	ip6_addr_t to = { .addr = { PP_HTONL(0xfe800000), 0, 0, 0 } };
	const u8_t *hw;
	struct pbuf *p;
	err_t err;

	connect_pair();
	net_lock();
	p = pbuf_alloc(PBUF_LINK, 100, PBUF_RAM);
	CHECK(p);
	for (unsigned i = 0; i <= 2 * MEMP_NUM_ND6_QUEUE; i++) {
		to.addr[3] = lwip_htonl(1 + i % 3);
		env_fail_all = i < 2 * MEMP_NUM_ND6_QUEUE;
		err = nd6_get_next_hop_addr_or_queue(netif_list, p, &to, &hw);
		CHECK(env_fail_all ? err != ERR_OK : err == ERR_OK && !hw);
	}
	pbuf_free(p);
	net_unlock();
	wire_run(20000);
	close_all();
}

TEST(net_receive_without_memory)
{
	/* not one byte to be had, and a sender that goes on: the ring keeps its last buffers, what is dropped is counted */
	struct net_usage u;
	uint8_t frame[600] = { 0 };

	connect_pair();
	memcpy(frame, wire.nd.mac, 6);
	frame[12] = 8;
	/* fragments that wait for the rest of their datagram: the stack holds on to them */
	memcpy(frame + 14, "\x45\0\x02\x4a\0\1\x20\0\x40\x11", 10);
	memcpy(frame + 26, "\x0a\x09\0\2\x0a\x09\0\1", 8);
	env_fail_all = true;
	for (unsigned i = 0; i < 300; i++) {
		frame[18] = (uint8_t)i;
		frame[24] = frame[25] = 0;
		uint16_t sum = (uint16_t)~net_checksum(frame + 14, 20);

		memcpy(frame + 24, &sum, 2);
		CHECK(wire_receive(frame, sizeof(frame)));
		wire_settle();
	}
	env_fail_all = false;
	net_usage(&u);
	CHECK(u.rx_posted > 8);
	CHECK_EQ(u.rx_frames, u.rx_delivered + u.rx_dropped);
	/* the fragments grow old, and their buffers go back to the ring */
	wire_run(16000);
	close_all();
}

TEST(net_write_without_memory)
{
	/* memory runs out in the middle of writes from a user's buffer: nothing is lost, nothing sent twice */
	static uint8_t out[60000], in[60000];
	struct io io;
	size_t sent = 0, got = 0;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)test_random();
	connect_pair();
	for (unsigned round = 0; got < sizeof(out); round++) {
		ssize_t n = 0;

		CHECK(round < 20000);
		if (sent < sizeof(out)) {
			io_init_kernel(&io, out + sent, sizeof(out) - sent);
			io.user = true;
			env_fail_in = 1 + test_below(60);
			n = client->ops->write(client, &io, NULL);
			env_fail_in = 0;
			CHECK(n > 0 || n == -EAGAIN || n == -ENOMEM);
			sent += n > 0 ? (size_t)n : 0;
			CHECK(n <= 0 || io.left == sizeof(out) - sent);
		}
		wire_run(2);
		n = file_read_kernel(server, in + got, sizeof(in) - got);
		got += n > 0 ? (size_t)n : 0;
	}
	CHECK(memcmp(in, out, sizeof(out)) == 0);
	close_all();
}

/* Every allocation of a connection's life fails once: no crash, no leak. */
TEST(net_nth_allocation_fails)
{
	wire_start();
	for (uint64_t n = 1; n < 60; n++) {
		struct file *c = NULL, *s = NULL, *l = NULL;
		uint64_t before = env_objects;
		char buf[8];

		env_fail_in = n;
		if (socket_listen_tcp(9, 2, &l) == 0) {
			struct socket_addr to = peer;

			to.port = 9;
			if (socket_connect_tcp(&to, &c) == 0) {
				nonblocking(c);
				wire_run(3000);
				if (socket_accept(l, &s, NULL) == 0)
					nonblocking(s);
				(void)!file_write_kernel(c, "abc", 3);
				wire_run(400);
				if (s)
					(void)!file_read_kernel(s, buf, 8);
			}
		}
		env_fail_in = 0;
		if (c)
			file_put(c);
		if (s)
			file_put(s);
		if (l)
			file_put(l);
		all_closed();
		/* spares and ARP's entries may differ a little, connections may not */
		CHECK_MSG(env_objects <= before + 6, "%llu objects more after failing %llu",
			  (unsigned long long)(env_objects - before), (unsigned long long)n);
	}
}

/* What is wrong with the sum of the peer's next segments. */
static uint16_t garbled;

/* The peer's segment from port to 7, with one byte of data unless it is a SYN. The flags of the answer; 0: none. */
static uint8_t answer_to(uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack)
{
	bool syn = flags & TCP_SYN;
	static const uint8_t self_ip[] = { 10, 9, 0, 1 }, peer_ip[] = MIRROR_PEER;
	uint8_t f[55] = { [12] = 8, [14] = 0x45, [17] = 41,    [22] = 64,   [23] = 6,
			  [37] = 7, [46] = 0x50, [47] = flags, [48] = 0x10, [54] = 'x' };
	uint8_t pseudo[33] = { [9] = 6, [11] = 21 };
	uint16_t sum;

	memcpy(f, wire.nd.mac, 6);
	f[6] = 2;
	memcpy(f + 26, peer_ip, 4);
	memcpy(f + 30, self_ip, 4);
	port = lwip_htons(port);
	seq = lwip_htonl(seq);
	ack = lwip_htonl(ack);
	f[17] -= syn;
	pseudo[11] -= syn;
	memcpy(f + 34, &port, 2);
	memcpy(f + 38, &seq, 4);
	memcpy(f + 42, &ack, 4);
	memcpy(pseudo, f + 26, 8);
	memcpy(pseudo + 12, f + 34, syn ? 20 : 21);
	sum = (uint16_t)~naive_sum(f + 14, 20);
	memcpy(f + 24, &sum, 2);
	sum = garbled ^ (uint16_t)~naive_sum(pseudo, syn ? 32 : 33);
	memcpy(f + 50, &sum, 2);
	wire.last_len = 0;
	CHECK(wire_receive(f, sizeof(f) - syn));
	wire_settle();
	return wire.last_len >= 54 ? wire.last[47] : 0;
}

static uint8_t answer_to_syn(uint16_t port, uint32_t seq)
{
	return answer_to(port, TCP_SYN, seq, 0);
}

/* The sequence number of the frame sent last. */
static uint32_t last_seq(void)
{
	uint32_t v;

	memcpy(&v, wire.last + 38, 4);
	return lwip_ntohl(v);
}

/* A peer takes the ports of a connection that has ended here: above the old one's numbers it is answered at once. */
TEST(net_same_ports_again)
{
	struct socket_addr from;
	uint32_t end, sent;

	connect_pair();
	CHECK_EQ(socket_local(client, &from), 0);
	file_put(server);
	wire_run(2);
	file_put(client);
	wire_run(100);
	CHECK(tcp_tw_pcbs && !tcp_tw_pcbs->next && tcp_tw_pcbs->local_port == 7);
	if (!tcp_tw_pcbs)
		return;
	end = tcp_tw_pcbs->rcv_nxt;
	/* as if it had sent far more than the clock of first numbers counts in its time */
	sent = tcp_tw_pcbs->snd_nxt += 1u << 28;
	wire.mirror = false;
	CHECK_EQ(answer_to_syn(from.port, end - 1000), TCP_ACK);
	CHECK_EQ(answer_to_syn(from.port, end), TCP_RST | TCP_ACK);
	CHECK_EQ(answer_to_syn((uint16_t)(from.port + 1), end + 1000), TCP_SYN | TCP_ACK);
	garbled = 0x100;
	CHECK_EQ(answer_to_syn(from.port, end + 1000), 0);
	garbled = 0;
	CHECK(tcp_tw_pcbs != NULL);
	CHECK_EQ(answer_to_syn(from.port, end + 1000), TCP_SYN | TCP_ACK);
	CHECK(tcp_tw_pcbs == NULL);
	CHECK(TCP_SEQ_GT(last_seq(), sent));
	wire_clear();
	file_put(listener);
	wire_run(60000);
	wire.mirror = true;
	all_closed();
}

/* Strangers who send nothing but bytes out of order, each in a frame of its own, take all receive buffers there are.
 * Those bytes are given up, then, and the next frame is heard. */
TEST(net_bytes_out_of_order_keep_no_frame_out)
{
	enum { STRANGERS = 50, EACH = 500 };
	struct net_usage u;

	listen_on(7, 64);
	/* so that the peer's hardware address is known */
	CHECK_EQ(socket_connect_tcp(&peer, &client), 0);
	wire_run(20);
	wire.mirror = false;
	for (uint16_t port = 1000; port < 1000 + STRANGERS; port++) {
		uint32_t ack;

		CHECK_EQ(answer_to_syn(port, 0), TCP_SYN | TCP_ACK);
		ack = last_seq() + 1;
		for (uint32_t k = 1; k <= EACH; k++)
			(void)answer_to(port, TCP_ACK, 2 * k + 1, ack);
		wire_clear();
	}
	CHECK_EQ(answer_to_syn(999, 0), TCP_SYN | TCP_ACK);
	net_usage(&u);
	CHECK_EQ(u.rx_dropped, 0);
	CHECK(net_counters.rx_shed > 0);
	wire_clear();
	file_put(client);
	file_put(listener);
	wire_run(60000);
	wire.mirror = true;
	all_closed();
}

/* Of a frame that is shorter than its kind's header nothing is read that is behind it (the wire poisons that). */
TEST(net_short_frames)
{
	static const uint8_t kind[3][3] = { { 8, 6, 42 }, { 8, 0, 34 }, { 0x86, 0xdd, 54 } };
	uint8_t frame[64] = { [14] = 0x45 };
	struct net_usage u;
	uint64_t dropped;

	wire_start();
	net_usage(&u);
	dropped = u.rx_dropped;
	memcpy(frame, wire.nd.mac, 6);
	for (size_t k = 0; k < 3; k++) {
		memcpy(frame + 12, kind[k], 2);
		for (size_t n = 0; n < kind[k][2]; n++) {
			CHECK(wire_receive(frame, n));
			wire_settle();
			dropped++;
		}
	}
	net_usage(&u);
	CHECK_EQ(u.rx_dropped, dropped);
	all_closed();
}

TEST(net_frames_of_all_sizes)
{
	uint8_t frame[1600];

	wire_start();
	for (int i = 0; i < 20000 * test_scale; i++) {
		size_t n = test_below(1600);

		for (size_t k = 0; k < n; k++)
			frame[k] = (uint8_t)test_random();
		if (n > 14) {
			memcpy(frame, wire.nd.mac, 6);
			frame[12] = 8;
			frame[13] = test_below(8) ? 0 : 6;
			frame[14] = 0x45;
		}
		CHECK(wire_receive(frame, n));
		wire_settle();
	}
	all_closed();
}

/* --- pairs --------------------------------------------------------------------------------------------------- */

static struct file *ends[2];

static void close_the_other(void)
{
	file_put(ends[1]);
}

/* I-PAIR-1: one end is closed while the other still tells it of its own end. */
TEST(net_pair_closed_by_two)
{
	static const int types[] = { SOCKET_STREAM, SOCKET_DGRAM, SOCKET_SEQPACKET };

	wire_start();
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		uint64_t before = env_objects;

		CHECK_EQ(socket_pair(types[i], 0, 0, ends), 0);
		env_notify_hook = close_the_other;
		file_put(ends[0]);
		CHECK_EQ(env_objects, before);
	}
	all_closed();
}
