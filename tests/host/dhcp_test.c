/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/stack.sources */
/* flags: @tests/host/stack.flags */
/* The life of a lease, beside a server that does as the test says: renewed, rebound, refused, run out, and lies. */
#include <string.h>

#include <lwip/dns.h>
#include <lwip/netif.h>

#include "fs/file.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "net/core.h"
#include "net/socket.h"
#include "tests/host/memory_env.h"
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"
#include "tests/host/wire.h"

enum { DISCOVER = 1, OFFER, REQUEST, ACK = 5, NAK };

#define BOOTP	42
#define OPTIONS (BOOTP + 240)
#define LEASE_S 600u

static const uint8_t server_mac[6] = { 2, 7, 7, 7, 7, 7 };

/* What the server is and does. */
static struct {
	uint8_t ip[4], gives[4], mask[4], router[4], names[4];
	bool silent, refuses;
	bool only_broadcasts; /* what is sent to one server is not for this one */
	unsigned discovers, requests, unicasts;
} server;

static void put_option(uint8_t *f, size_t *at, uint8_t kind, const void *value, uint8_t n)
{
	f[(*at)++] = kind;
	f[(*at)++] = n;
	memcpy(f + *at, value, n);
	*at += n;
}

static uint16_t sum_of(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void answer(const uint8_t *asked, uint8_t kind)
{
	uint8_t f[400] = { 0 };
	const uint8_t lease[4] = { 0, 0, LEASE_S >> 8, LEASE_S & 255 };
	size_t at = OPTIONS;

	memcpy(f, wire.nd.mac, 6);
	memcpy(f + 6, server_mac, 6);
	f[12] = 8;
	f[14] = 0x45;
	f[22] = 64;
	f[23] = 17;
	memcpy(f + 26, server.ip, 4);
	memset(f + 30, 255, 4);
	put16(f + 34, 67);
	put16(f + 36, 68);
	memcpy(f + BOOTP, asked + BOOTP, 44);
	f[BOOTP] = 2;
	if (kind != NAK)
		memcpy(f + BOOTP + 16, server.gives, 4);
	memcpy(f + OPTIONS - 4, "\x63\x82\x53\x63", 4);
	put_option(f, &at, 53, &kind, 1);
	put_option(f, &at, 54, server.ip, 4);
	if (kind != NAK) {
		put_option(f, &at, 51, lease, 4);
		put_option(f, &at, 1, server.mask, 4);
		put_option(f, &at, 3, server.router, 4);
		put_option(f, &at, 6, server.names, 4);
	}
	f[at++] = 255;
	put16(f + 16, at - 14);
	put16(f + 24, sum_of(f + 14, 20));
	put16(f + 38, at - 34);
	CHECK(wire_receive(f, sizeof(f)));
}

static void answer_arp(const uint8_t *asked)
{
	uint8_t f[42];

	/* all servers there ever are */
	if (asked[21] != 1 || memcmp(asked + 38, server.ip, 3) != 0 || asked[41] > 4)
		return;
	memcpy(f, asked, sizeof(f));
	memcpy(f, asked + 6, 6);
	memcpy(f + 6, server_mac, 6);
	f[21] = 2;
	memcpy(f + 22, server_mac, 6);
	memcpy(f + 28, asked + 38, 4);
	memcpy(f + 32, asked + 22, 10);
	CHECK(wire_receive(f, sizeof(f)));
}

static void on_sent(const uint8_t *f, size_t n)
{
	bool all = f[30] == 255;
	uint8_t kind;

	if (f[12] == 8 && f[13] == 6)
		answer_arp(f);
	if (f[12] != 8 || f[13] != 0 || f[23] != 17 || f[37] != 67)
		return;
	kind = f[OPTIONS + 2];
	server.discovers += kind == DISCOVER;
	server.requests += kind == REQUEST;
	server.unicasts += kind == REQUEST && !all;
	if (server.silent || (server.only_broadcasts && !all))
		return;
	if (kind == DISCOVER)
		answer(f, OFFER);
	else if (kind == REQUEST)
		answer(f, server.refuses ? NAK : ACK);
}

static void pass(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10; i++) {
		shim_now_ns += 100 * NS_PER_MS;
		wire_settle();
	}
}

static uint32_t address(void)
{
	/* the newest is the first */
	return netif_ip4_addr(netif_list)->addr;
}

static bool has(const uint8_t ip[4])
{
	uint32_t now = address();

	return memcmp(&now, ip, 4) == 0;
}

static void server_is(uint8_t last, uint8_t gives)
{
	memset(&server, 0, sizeof(server));
	memcpy(server.ip, (uint8_t[]){ 10, 9, 0, last }, 4);
	memcpy(server.gives, (uint8_t[]){ 10, 9, 0, gives }, 4);
	memcpy(server.mask, (uint8_t[]){ 255, 255, 255, 0 }, 4);
	memcpy(server.router, server.ip, 4);
	memcpy(server.names, (uint8_t[]){ 10, 9, 0, (uint8_t)(last + 100) }, 4);
}

/* A lease of the address .5 from the server .2, just given. */
static void bound(void)
{
	server_is(2, 5);
	wire.tap = on_sent;
	wire.address = NULL;
	wire_start();
	wire.mirror = false;
	pass(5);
	server.requests = server.discovers = 0;
}

static int connects(void)
{
	struct socket_addr to = { .port = 9, .addr = { 10, 9, 0, 2 } };
	struct file *f;
	int ret = socket_connect_tcp(&to, &f);

	if (ret == 0)
		file_put(f);
	return ret;
}

TEST(dhcp_gives_address_gateway_names)
{
	bound();
	CHECK(has(server.gives));
	CHECK(memcmp(&netif_ip4_gw(netif_list)->addr, server.router, 4) == 0);
	CHECK(memcmp(&ip_2_ip4(dns_getserver(0))->addr, server.names, 4) == 0);
	CHECK_EQ(connects(), 0);
}

TEST(dhcp_renews)
{
	bound();
	CHECK(has(server.gives));
	for (unsigned s = 0; s < 5 * LEASE_S; s++) {
		pass(1);
		CHECK(has(server.gives));
	}
	/* each half of a lease, asking the one that gave it */
	CHECK(server.unicasts >= 9 && server.unicasts <= 13);
	CHECK_EQ(server.requests, server.unicasts);
	CHECK_EQ(server.discovers, 0);
}

TEST(dhcp_rebinds)
{
	bound();
	/* the one that gave it is gone, and another knows of the lease */
	server_is(3, 5);
	server.only_broadcasts = true;
	for (unsigned s = 0; s < 3 * LEASE_S; s++) {
		pass(1);
		CHECK(has(server.gives));
	}
	CHECK(server.unicasts > 0 && server.requests > server.unicasts);
	CHECK_EQ(server.discovers, 0);
	CHECK(memcmp(&ip_2_ip4(dns_getserver(0))->addr, server.names, 4) == 0);
}

TEST(dhcp_refused_lease_is_left)
{
	struct socket_addr to = { .port = 9, .addr = { 10, 9, 0, 2 } };
	struct file *f;
	char c;

	bound();
	CHECK_EQ(socket_connect_tcp(&to, &f), 0);
	f->flags |= FILE_KERNEL_NONBLOCK;
	wire.nd.link_up = 0;
	pass(1);
	wire.nd.link_up = 1;
	server.refuses = true;
	pass(3);
	/* who was connected from there is told */
	CHECK(!address());
	CHECK(file_poll(f) & POLL_ERR);
	CHECK_EQ(file_read_kernel(f, &c, 1), -ETIMEDOUT);
	file_put(f);
	CHECK_EQ(connects(), -ENETUNREACH);
	server_is(2, 6);
	pass(70);
	CHECK(has(server.gives));
}

TEST(dhcp_lease_runs_out)
{
	unsigned s = 0;

	bound();
	server.silent = true;
	while (address() && s < 2 * LEASE_S) {
		pass(1);
		s++;
	}
	/* lwIP counts minutes */
	CHECK(s >= LEASE_S - 60 && s <= LEASE_S + 60);
	CHECK_EQ(connects(), -ENETUNREACH);
	/* another server after a while, with other names */
	pass(300);
	CHECK(server.discovers > 3);
	server_is(4, 7);
	pass(70);
	CHECK(has(server.gives));
	CHECK(memcmp(&ip_2_ip4(dns_getserver(0))->addr, server.names, 4) == 0);
	CHECK_EQ(connects(), 0);
}

TEST(dhcp_asks_again_after_link_up)
{
	bound();
	wire.nd.link_up = 0;
	pass(5);
	CHECK(has(server.gives));
	CHECK_EQ(server.requests, 0);
	wire.nd.link_up = 1;
	pass(1);
	CHECK(server.requests > 0);
	CHECK_EQ(server.discovers, 0);
	CHECK(has(server.gives));
}

TEST(dhcp_lies_are_dropped)
{
	static const struct {
		uint8_t gives[4], mask[4], router[4];
	} lie[] = {
		{ { 0, 0, 0, 0 }, { 255, 255, 255, 0 }, { 10, 9, 0, 2 } },
		{ { 127, 0, 0, 5 }, { 255, 255, 255, 0 }, { 10, 9, 0, 2 } },
		{ { 224, 0, 0, 1 }, { 255, 255, 255, 0 }, { 10, 9, 0, 2 } },
		{ { 255, 255, 255, 255 }, { 255, 255, 255, 0 }, { 10, 9, 0, 2 } },
		{ { 10, 9, 0, 0 }, { 255, 255, 255, 0 }, { 10, 9, 0, 2 } },
		{ { 10, 9, 0, 255 }, { 255, 255, 255, 0 }, { 10, 9, 0, 2 } },
		{ { 10, 9, 0, 5 }, { 255, 0, 255, 0 }, { 10, 9, 0, 2 } },
		{ { 10, 9, 0, 5 }, { 255, 255, 255, 0 }, { 224, 0, 0, 1 } },
	};

	bound();
	server.refuses = true;
	wire.nd.link_up = 0;
	pass(1);
	wire.nd.link_up = 1;
	pass(3);
	CHECK(!address());
	server.refuses = false;
	for (size_t i = 0; i < ARRAY_SIZE(lie); i++) {
		uint64_t before = net_counters.leases_refused;

		memcpy(server.gives, lie[i].gives, 4);
		memcpy(server.mask, lie[i].mask, 4);
		memcpy(server.router, lie[i].router, 4);
		pass(130);
		CHECK(!address());
		CHECK(net_counters.leases_refused > before);
	}
	server_is(2, 5);
	pass(130);
	CHECK(has(server.gives));
}
