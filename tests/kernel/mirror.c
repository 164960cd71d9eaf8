/* SPDX-License-Identifier: MIT */
#include "tests/kernel/mirror.h"

#include "lib/string.h"

static const uint8_t peer_ip[4] = MIRROR_PEER;
static const uint8_t peer_mac[6] = { 2, 9, 9, 9, 9, 9 };

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

static bool mirror_arp(uint8_t *frame, size_t n)
{
	uint8_t *arp = frame + 14;

	if (n < 42 || arp[7] != 1 || memcmp(arp + 24, peer_ip, 4) != 0)
		return false;
	arp[7] = 2;
	memcpy(arp + 18, arp + 8, 6);
	memcpy(arp + 8, peer_mac, 6);
	swap(arp + 14, arp + 24, 4);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, peer_mac, 6);
	return true;
}

bool mirror_frame(uint8_t *frame, size_t n)
{
	if (n < 34 || frame[12] != 8)
		return false;
	if (frame[13] == 6)
		return mirror_arp(frame, n);
	if (frame[13] != 0 || memcmp(frame + 30, peer_ip, 4) != 0)
		return false;
	swap(frame, frame + 6, 6);
	swap(frame + 26, frame + 30, 4);
	return true;
}

size_t mirror_tcp_payload(const uint8_t *frame, size_t n)
{
	size_t ip, tcp, total;

	if (n < 54 || frame[12] != 8 || frame[13] != 0 || frame[23] != 6)
		return 0;
	ip = (frame[14] & 15) * 4u;
	total = (size_t)frame[16] << 8 | frame[17];
	tcp = (frame[14 + ip + 12] >> 4) * 4u;
	return total >= ip + tcp ? total - ip - tcp : 0;
}
