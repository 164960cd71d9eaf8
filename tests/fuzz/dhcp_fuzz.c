/* SPDX-License-Identifier: MIT */
/* sources: @tests/host/stack.sources tests/fuzz/net_host.c */
/* flags: @tests/host/stack.flags */
/* A DHCP server that knows what it was asked and answers as it likes, over the life of leases, with the cable pulled and
 * connections that come before the address does. The address is always one that an answer to us has named. */
#include <string.h>

#include <lwip/dhcp.h>

#include "fs/file.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "net/core.h"
#include "net/socket.h"
#include "tests/fuzz/net_host.h"
#include "tests/host/memory_env.h"
#include "tests/host/test.h"
#include "tests/host/wire.h"

#define BOOTP	42 /* where it begins in a frame */
#define OPTIONS (BOOTP + 240)
#define COOKIE	0x63825363u
#define NAMED	64

static struct netif *ours;
static uint32_t xid;
static uint8_t asked; /* the kind of what was sent last */
static uint32_t named[NAMED];
static unsigned nr_named;
static struct file *listener;

static void on_sent(const uint8_t *f, size_t n)
{
	if (get16(f + 12) != 0x0800 || f[23] != 17 || get16(f + 36) != 67)
		return;
	/* what goes out is whole */
	EXPECT(n >= OPTIONS + 4 && f[BOOTP] == 1 && get32(f + OPTIONS - 4) == COOKIE);
	EXPECT(memcmp(f + BOOTP + 28, wire.nd.mac, 6) == 0);
	EXPECT(f[OPTIONS] == 53 && f[OPTIONS + 1] == 1);
	xid = get32(f + BOOTP + 4);
	asked = f[OPTIONS + 2];
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

static uint32_t some_address(struct moves *m)
{
	static const uint32_t odd[] = { 0,	    0xffffffff, 0x7f000001, 0xe0000001,
					0x0a0900ff, THEIR_IP,	0x0a090000, 0xf0000000 };
	uint8_t how = byte(m);

	return how < 0xc0 ? 0x0a090001u + (how & 3) : odd[how & 7];
}

/* An option of this kind as it should be, but for its length now and then. Returns where it ends. */
static size_t put_option(struct moves *m, uint8_t *f, size_t at)
{
	static const uint8_t kinds[16] = { 53, 54, 51, 58, 59, 1,   3,	6,
					   6,  12, 15, 52, 0,  255, 42, 61 };
	uint8_t how = byte(m), kind = kinds[how & 15], len = 4;

	if (kind == 0 || kind == 255) {
		f[at] = kind;
		return at + 1;
	}
	if (kind == 53 || kind == 52)
		len = 1;
	if (kind == 6 || kind == 3)
		len = (uint8_t)(4 * (1 + (how >> 4 & 3)));
	f[at] = kind;
	f[at + 1] = how & 0x80 ? byte(m) : len;
	if (kind >= 51 && kind <= 59 && kind != 54 && len == 4)
		/* times: short ones, so that they come */
		put32(f + at + 2, how & 0x40 ? 0xffffffff - byte(m) : byte(m));
	else if (kind == 1)
		put32(f + at + 2, ~0u << byte(m) % 33 % 32);
	else
		(void)bytes(m, f + at + 2, len);
	return at + 2 + len;
}

/* Begins as the answer that is waited for. */
static size_t put_usual(struct moves *m, uint8_t *f, uint8_t how)
{
	static const uint8_t kinds[] = { 2, 5, 6, 0 };
	size_t at = OPTIONS;

	f[at] = 53;
	f[at + 1] = 1;
	f[at + 2] = how & 1 ? (asked == 1 ? 2 : 5) : kinds[byte(m) & 3];
	memcpy(f + at + 3, "\x36\x04\x0a\x09\x00\x02\x33\x04\x00\x00\x00", 11);
	f[at + 14] = how & 2 ? 60 : byte(m);
	memcpy(f + at + 15, "\x01\x04\xff\xff\xff\x00\x03\x04\x0a\x09\x00\x02", 12);
	return at + 27;
}

static void move_answer(struct moves *m)
{
	uint8_t f[FRAME_ROOM] = { 0 };
	uint8_t how = byte(m);
	unsigned many = byte(m) & 15;
	uint32_t address = some_address(m);
	size_t at = OPTIONS;

	f[BOOTP] = how & 64 ? byte(m) : 2;
	f[BOOTP + 1] = 1;
	f[BOOTP + 2] = 6;
	put32(f + BOOTP + 4, how & 128 ? xid ^ byte(m) : xid);
	put32(f + BOOTP + 16, address);
	memcpy(f + BOOTP + 28, wire.nd.mac, 6);
	put32(f + OPTIONS - 4, COOKIE);
	/* names that may hold options */
	(void)bytes(m, f + BOOTP + 44, how & 4 ? byte(m) % 192 : 0);
	if (!(how & 8))
		at = put_usual(m, f, how);
	while (many-- && at < 1200)
		at = put_option(m, f, at);
	if (!(how & 16))
		f[at++] = 255;
	if (how & 32)
		at = MAX(at - MIN(at, (size_t)byte(m)), (size_t)BOOTP);
	put_ip4(f, 17, at - 34);
	put32(f + 30, byte(m) & 1 ? address : 0xffffffff);
	memset(f, 0xff, 6);
	put16(f + 34, 67);
	put16(f + 36, 68);
	put16(f + 38, (uint32_t)at - 34);
	fix_sums(f, at);
	if (nr_named < NAMED)
		named[nr_named++] = address;
	receive(f, at);
}

/* --- the rest -------------------------------------------------------------------------------------------------------- */

/* A connection, perhaps before there is an address. */
static void move_connection(struct moves *m)
{
	uint8_t f[54] = { 0 };
	struct file *new;

	put_ip4(f, 6, 20);
	put32(f + 30, some_address(m));
	put16(f + 34, 4000u + byte(m));
	put16(f + 36, 7);
	f[46] = 0x50;
	f[47] = byte(m) & 0x3f;
	fix_sums(f, sizeof(f));
	receive(f, sizeof(f));
	if (socket_accept(listener, &new, NULL) == 0)
		file_put(new);
}

static void move_send(struct moves *m)
{
	struct socket_message msg = { .named = true, .addr = { .port = 9 } };
	uint8_t some[64] = { 0 };
	struct file *f;
	struct io io;

	if (socket_create(SOCKET_INET, SOCKET_DGRAM, 0, FILE_NONBLOCK, &f) < 0)
		return;
	put32(msg.addr.addr, byte(m) & 1 ? THEIR_IP : 0x08080808);
	io_init_kernel(&io, some, sizeof(some));
	(void)!socket_send(f, &io, &msg);
	file_put(f);
	let_pass_ms(0);
}

static void check_address(void)
{
	uint32_t ip = lwip_ntohl(netif_ip4_addr(ours)->addr);

	for (unsigned i = 0; ip && nr_named < NAMED && i <= nr_named; i++) {
		EXPECT(i < nr_named);
		if (named[i] == ip)
			return;
	}
}

static void set_link(bool up)
{
	atomic_store_relaxed(&wire.nd.link_up, up);
	let_pass_ms(0);
}

static void restart(bool by_dhcp)
{
	ip4_addr_t address = { by_dhcp ? 0 : PP_HTONL(OUR_IP) };
	ip4_addr_t mask = { PP_HTONL(0xffffff00) }, none = { 0 };

	net_lock();
	dhcp_release_and_stop(ours);
	netif_set_addr(ours, &address, &mask, &none);
	if (by_dhcp)
		(void)dhcp_start(ours);
	net_unlock();
	let_pass_ms(0);
}

static void begin(void)
{
	fuzz_begin(NULL);
	fuzz_sent = on_sent;
	fuzz_finds_unset = true;
	for (ours = netif_list; ours->output_ip6 == NULL || !(ours->flags & NETIF_FLAG_ETHARP);)
		ours = ours->next;
	nr_named = 0;
	restart(true);
	EXPECT(socket_listen_tcp(7, 4, &listener) == 0);
	listener->flags |= FILE_KERNEL_NONBLOCK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct moves m = { data, size };

	begin();
	while (m.left) {
		uint8_t op = byte(&m);

		env_fail_in = op & 0x80 ? 1 + (op >> 4 & 7) : 0;
		switch (op & 7) {
		case 0:
		case 1:
		case 2:
			move_answer(&m);
			break;
		case 3:
		case 4:
			let_pass_ms(byte(&m) * (op & 8 ? 500u : 20u));
			break;
		case 5:
			set_link(byte(&m) & 1);
			break;
		case 6:
			move_connection(&m);
			break;
		default:
			move_send(&m);
		}
		env_fail_in = 0;
		check_address();
	}
	set_link(true);
	restart(false);
	file_put(listener);
	fuzz_end();
	return 0;
}
