/* SPDX-License-Identifier: MIT */
/* Very many frames through the machine's own network device, whatever it is: row A6. QEMU looks at each descriptor, and the
 * indices of both rings pass 65536 again and again. Echo requests of all sizes to the gateway; most are answered.
 * Only by name: tests/blackbox/test_packets.py runs it, packets= says how many. */
#include <lwip/inet_chksum.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>

#include "kernel/core/machine.h"
#include "lib/string.h"
#include "net/core.h"
#include "net/net.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define HEADERS	   42 /* Ethernet, IPv4, ICMP */
#define FRAME_MOST 1514

static void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put_sum(uint8_t *at, const uint8_t *from, size_t n)
{
	uint16_t sum = inet_chksum(from, (u16_t)n);

	memcpy(at, &sum, sizeof(sum));
}

/* An echo request for 10.0.2.2, or, too short for that, bytes that nobody understands. */
static void make_frame(const struct netif *netif, uint8_t *f, size_t n)
{
	static const uint8_t gateway[10] = { 0x52, 0x55, 10, 0, 2, 2, 10, 0, 2, 2 };

	memset(f, 0, n);
	if (n < HEADERS)
		return;
	memcpy(f, gateway, 6);
	memcpy(f + 6, netif->hwaddr, 6);
	f[12] = 8;
	f[14] = 0x45;
	put16(f + 16, (unsigned)n - 14);
	f[22] = 64;
	f[23] = 1;
	memcpy(f + 26, netif_ip4_addr(netif), 4);
	memcpy(f + 30, gateway + 6, 4);
	put_sum(f + 24, f + 14, 20);
	f[34] = 8;
	put_sum(f + 36, f + 34, n - 34);
}

/* Called with NET_CORE. False: the ring is full. */
static bool send_one(struct netif *netif, size_t n)
{
	struct pbuf *q = pbuf_alloc(PBUF_RAW_TX, (u16_t)n, PBUF_RAM);
	bool sent;

	if (!q)
		return false;
	make_frame(netif, q->payload, n);
	sent = netif->linkoutput(netif, q) == ERR_OK;
	pbuf_free(q);
	return sent;
}

static uint64_t frames_received(void)
{
	struct net_usage now;

	net_usage(&now);
	return now.rx_frames;
}

/* A host that is outrun drops its answers, the faster we are the more: so no more than this many are outstanding. */
#define OUTSTANDING 256

/* The answers to @asked of our frames, less what may be outstanding, are here, or nothing came for 20 ms: the difference is
 * lost, and returned. */
static uint64_t await_answers(uint64_t asked, uint64_t since)
{
	uint64_t got = frames_received() - since, last = clock_now_ns();

	while (got + OUTSTANDING < asked && clock_now_ns() < last + 20000000) {
		uint64_t now;

		(void)!sleep_until(clock_now_ns() + 100000, WAIT_UNINTERRUPTIBLE);
		now = frames_received() - since;
		if (now != got)
			last = clock_now_ns();
		got = now;
	}
	return got + OUTSTANDING < asked ? asked - got : 0;
}

KTEST(long_packets)
{
	uint64_t want = cmdline_u64("packets", 1000), sent = 0, asked = 0, seed = kt_seed();
	uint64_t end = crew_deadline_ms(600000);
	uint64_t answers =
		MIN(want / 2, 65537UL); /* once round the receive ring's index at least */
	struct net_usage before, after;

	if (net_wait_address(crew_hang_deadline()) < 0)
		return kt_fail(__FILE__, __LINE__, "no address");
	net_usage(&before);
	while ((sent < want || frames_received() - before.rx_frames < answers) &&
	       clock_now_ns() < end) {
		unsigned burst = 0;

		net_lock();
		while (burst < 64) {
			size_t n = 1 + crew_random(&seed) % FRAME_MOST;

			if (!send_one(netif_default, n))
				break;
			burst++;
			asked += n >= HEADERS;
		}
		net_unlock();
		sent += burst;
		if (burst < 64)
			(void)!sleep_until(clock_now_ns() + 200000, WAIT_UNINTERRUPTIBLE);
		asked -= await_answers(asked, before.rx_frames);
	}
	(void)await_answers(asked + OUTSTANDING, before.rx_frames);
	net_usage(&after);
	log_info("ktest: %lu frames sent, %lu received", sent, after.rx_frames - before.rx_frames);
	KT_CHECK(sent >= want);
	KT_CHECK(after.resets == before.resets);
	KT_CHECK(after.rx_frames - before.rx_frames >= answers);
	/* I-NET-4 */
	KT_CHECK(after.rx_frames == after.rx_delivered + after.rx_dropped);
}
