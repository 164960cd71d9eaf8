/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/net_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/nd6.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/timeouts.h>

#include "net/arch/cc.h"
#include "net/core.h"
#include "net/interface.h"
#include "net/net.h"
#include "tests/host/memory_env.h"
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"
#include "tests/host/wire.h"

#define FRESH 0xbe /* what the sanitizer fills new memory with */

uint64_t test_seed = 1;
int test_scale = 1;

const uint8_t their_mac[6] = { 2, 9, 9, 9, 9, 9 };
const uint8_t our_ip6[16] = { 0xfe, 0x80, [8] = 0, 1, 1, 0xff, 0xfe, 1, 1, 1 };
const uint8_t their_ip6[16] = { 0xfe, 0x80, [8] = 0, 9, 9, 0xff, 0xfe, 9, 9, 9 };
void (*fuzz_sent)(const uint8_t *f, size_t n);
bool fuzz_finds_unset, fuzz_sends_raw;
static bool asked_for_them;

/* lwIP keeps the fragments of a datagram in a list through unaligned words, where the leak checker does not look. Lost
 * memory shows in fuzz_end() instead. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

void fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	fuzz_fail(file, line, fmt);
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
	(void)t;
}

/* --- the input ----------------------------------------------------------------------------------------------------- */

uint8_t byte(struct moves *m)
{
	if (!m->left)
		return 0;
	m->left--;
	return *m->at++;
}

uint16_t word(struct moves *m)
{
	uint16_t high = byte(m);

	return (uint16_t)(high << 8 | byte(m));
}

size_t bytes(struct moves *m, uint8_t *out, size_t n)
{
	n = MIN(n, m->left);
	memcpy(out, m->at, n);
	m->at += n;
	m->left -= n;
	return n;
}

/* --- frames -------------------------------------------------------------------------------------------------------- */

void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

size_t put_ethernet(uint8_t *f, uint16_t type)
{
	memcpy(f, wire.nd.mac, 6);
	memcpy(f + 6, their_mac, 6);
	put16(f + 12, type);
	return 14;
}

size_t put_ip4(uint8_t *f, uint8_t protocol, size_t n)
{
	static uint16_t id;

	put_ethernet(f, 0x0800);
	memset(f + 14, 0, 20);
	f[14] = 0x45;
	put16(f + 16, (uint32_t)(20 + n));
	put16(f + 18, ++id);
	f[22] = 64;
	f[23] = protocol;
	put32(f + 26, THEIR_IP);
	put32(f + 30, OUR_IP);
	return 34;
}

/* What a checksum field should hold, given the sum of all else. */
static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(~sum & 0xffff);
}

/* The sum of the n bytes at p with the pseudo header of addresses at `from`. ICMP has none. */
static uint16_t transport_sum(const uint8_t *p, size_t n, uint8_t protocol, const uint8_t *from,
			      size_t addresses)
{
	uint8_t tail[4] = { 0, protocol, (uint8_t)(n >> 8), (uint8_t)n };
	uint32_t sum = net_checksum(p, (int)n);

	if (protocol != 1)
		sum += net_checksum(from, (int)addresses) + net_checksum(tail, 4);
	return folded(sum);
}

/* Where a packet's protocol is, and where its checksum is in it; 0: it has none that we know. */
static size_t sum_offset(uint8_t protocol)
{
	switch (protocol) {
	case 6:
		return 16;
	case 17:
		return 6;
	case 1:
	case 58:
		return 2;
	default:
		return 0;
	}
}

/* The header behind the extension headers of IPv6, and its kind; n: there is none, or a fragment's. */
static size_t behind_extensions(const uint8_t *f, size_t n, uint8_t *next)
{
	size_t at = 54;

	*next = f[20];
	while (at + 8 <= n && (*next == 0 || *next == 43 || *next == 60)) {
		*next = f[at];
		at += 8 + 8u * f[at + 1];
	}
	return *next == 44 || at > n ? n : at;
}

void fix_sums(uint8_t *f, size_t n)
{
	bool v6 = n > 14 && f[14] >> 4 == 6;
	size_t at = v6 ? 54 : 14 + (f[14] & 15) * 4u, end = n, off;
	uint8_t protocol = f[23];
	uint16_t sum;

	if (n < (v6 ? 54 : 34) || at < 34 || at > n)
		return;
	if (v6) {
		at = behind_extensions(f, n, &protocol);
	} else {
		put16(f + 24, 0);
		sum = folded(net_checksum(f + 14, (int)(at - 14)));
		memcpy(f + 24, &sum, 2);
		end = MAX(at, MIN(n, 14u + get16(f + 16)));
	}
	off = sum_offset(protocol);
	if (!off || end < at + off + 2)
		return;
	put16(f + at + off, 0);
	sum = transport_sum(f + at, end - at, protocol, f + (v6 ? 22 : 26), v6 ? 32 : 8);
	memcpy(f + at + off, &sum, 2);
}

static void say_arp(uint16_t what)
{
	uint8_t f[60] = { 0 };

	put_ethernet(f, 0x0806);
	memcpy(f + 14, "\x00\x01\x08\x00\x06\x04", 6);
	put16(f + 20, what);
	memcpy(f + 22, their_mac, 6);
	put32(f + 28, THEIR_IP);
	memcpy(f + 32, wire.nd.mac, 6);
	put32(f + 38, OUR_IP);
	EXPECT(wire_receive(f, sizeof(f)));
	wire_settle();
}

static void settle(void)
{
	wire_settle();
	while (asked_for_them) {
		asked_for_them = false;
		say_arp(2);
	}
}

void receive(const uint8_t *f, size_t n)
{
	EXPECT(wire_receive(f, n));
	settle();
}

void let_pass_ms(unsigned ms)
{
	shim_now_ns += ms * NS_PER_MS;
	settle();
}

/* --- what is sent ---------------------------------------------------------------------------------------------------- */

bool looks_unset(const uint8_t *p, size_t n)
{
	size_t run = 0;

	for (size_t i = 0; i < n; i++) {
		run = p[i] == FRESH ? run + 1 : 0;
		if (run == 6)
			return true;
	}
	return false;
}

static void check_tcp(const uint8_t *t, size_t n)
{
	size_t head = (t[12] >> 4) * 4u, at = 20;

	EXPECT(n >= 20 && head >= 20 && head <= n);
	while (at < head && t[at] != 0) {
		EXPECT(t[at] == 1 || (at + 1 < head && t[at + 1] >= 2 && at + t[at + 1] <= head));
		at += t[at] == 1 ? 1 : t[at + 1];
	}
	for (; at < head; at++)
		EXPECT(t[at] == 0);
}

static void check_transport(const uint8_t *t, size_t n, uint8_t protocol, const uint8_t *from,
			    size_t addresses)
{
	size_t off = sum_offset(protocol);

	EXPECT(off && n >= off + 2);
	if (protocol == 6)
		check_tcp(t, n);
	if (protocol == 17)
		EXPECT(n >= 8 && get16(t + 4) == n);
	/* IPv4's UDP may go without */
	if (protocol != 17 || get16(t + 6) != 0)
		EXPECT(transport_sum(t, n, protocol, from, addresses) == 0);
}

static void check_ip4(const uint8_t *f, size_t n)
{
	size_t head = (f[14] & 15) * 4u;

	EXPECT(n >= 34 && f[14] >> 4 == 4 && head >= 20 && 14 + head <= n);
	EXPECT(get16(f + 16) == n - 14);
	EXPECT(folded(net_checksum(f + 14, (int)head)) == 0);
	EXPECT(f[22] != 0);
	/* fragments have one sum together */
	if (!(get16(f + 20) & 0x3fff) && !(fuzz_sends_raw && f[23] == 1))
		check_transport(f + 14 + head, n - 14 - head, f[23], f + 26, 8);
}

static void check_ip6(const uint8_t *f, size_t n)
{
	uint8_t next;
	size_t at;

	EXPECT(n >= 54 && f[14] >> 4 == 6 && get16(f + 18) == n - 54);
	at = behind_extensions(f, n, &next);
	if (next != 44)
		check_transport(f + at, n - at, next, f + 22, 32);
}

/* I-NET-4's other side: nothing malformed goes out, and nothing that was never set. */
static void on_sent(const uint8_t *f, size_t n)
{
	EXPECT(n >= 14 && n <= 1514);
	EXPECT(memcmp(f + 6, wire.nd.mac, 6) == 0);
	EXPECT(!fuzz_finds_unset || !looks_unset(f, n));
	switch (get16(f + 12)) {
	case 0x0806:
		EXPECT(n >= 42 && memcmp(f + 22, wire.nd.mac, 6) == 0);
		if (get16(f + 20) == 1 && get32(f + 38) == THEIR_IP)
			asked_for_them = true;
		break;
	case 0x0800:
		check_ip4(f, n);
		break;
	case 0x86dd:
		check_ip6(f, n);
		break;
	default:
		EXPECT(!"a frame of no kind");
	}
	if (fuzz_sent)
		fuzz_sent(f, n);
}

/* --- accounts -------------------------------------------------------------------------------------------------------- */

void fuzz_begin(const char *address)
{
	static bool started;

	env_fail_in = 0;
	test_seed = 1;
	if (!started) {
		started = true;
		wire.address = address;
		wire.tap = on_sent;
		wire_start();
		wire.mirror = false;
		wire_clear();
		/* so that addresses are no longer tentative */
		wire_run(3000);
	}
	wire.last_len = 0;
	if (address)
		say_arp(1);
}

static void reset_all(void)
{
	struct netif *n;

	net_lock();
	while (tcp_active_pcbs)
		tcp_abort(tcp_active_pcbs);
	/* what a router has told is good for hours */
	NETIF_FOREACH(n)
	{
		for (s8_t i = 1; n->output_ip6 == ethip6_output && i < LWIP_IPV6_NUM_ADDRESSES; i++)
			netif_ip6_addr_set_state(n, i, IP6_ADDR_INVALID);
		if (n->output_ip6 == ethip6_output)
			nd6_cleanup_netif(n);
	}
	net_unlock();
	net_forget_time_wait();
	settle();
}

/* What reassembly and the neighbours' queues hold is given back in time. */
static void grow_old(void)
{
	for (int i = 0; i < 400; i++)
		let_pass_ms(500);
}

void fuzz_end(void)
{
	static uint64_t before;
	static bool known;
	struct net_usage u;

	env_fail_in = 0;
	settle();
	reset_all();
	net_usage(&u);
	EXPECT(u.sockets == 0 && u.socket_bytes == 0);
	EXPECT(u.tcp_active == 0 && u.tcp_time_wait == 0 && u.tcp_listening == 0);
	/* I-NET-4 */
	EXPECT(u.rx_frames == u.rx_delivered + u.rx_dropped);
	if (!known || env_objects - u.rx_buffers != before || u.rx_posted != u.rx_buffers) {
		grow_old();
		net_usage(&u);
	}
	EXPECT(u.rx_posted == wire.rx_ring);
	EXPECT(u.rx_buffers == u.rx_posted);
	before = known ? before : env_objects - u.rx_buffers;
	known = true;
	if (env_objects - u.rx_buffers != before)
		fprintf(stderr, "%llu objects, %llu before\n",
			(unsigned long long)(env_objects - u.rx_buffers),
			(unsigned long long)before);
	EXPECT(env_objects - u.rx_buffers == before);
}
