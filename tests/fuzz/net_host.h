/* SPDX-License-Identifier: MIT */
/* What the fuzzers of net/ share: the input as a list of moves, frames with their checksums put right, and what must be
 * true of every frame that the stack sends and of its accounts when an input has been played. */
#ifndef TERN_TESTS_FUZZ_NET_HOST_H
#define TERN_TESTS_FUZZ_NET_HOST_H

#include "lib/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(c) ((c) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #c))
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

/* The input: 0 when it has ended. */
struct moves {
	const uint8_t *at;
	size_t left;
};
uint8_t byte(struct moves *m);
uint16_t word(struct moves *m);
size_t bytes(struct moves *m, uint8_t *out, size_t n); /* as many as there are */

#define FRAME_ROOM 1600
#define OUR_IP	   0x0a090001u
#define THEIR_IP   0x0a090002u
extern const uint8_t their_mac[6];
extern const uint8_t our_ip6[16], their_ip6[16]; /* link-local */

void put16(uint8_t *p, uint32_t v);
void put32(uint8_t *p, uint32_t v);
uint16_t get16(const uint8_t *p);
uint32_t get32(const uint8_t *p);

/* The Ethernet header, from them to us; 14. */
size_t put_ethernet(uint8_t *f, uint16_t type);
/* The IPv4 header without options of a packet of n bytes behind it; 34. */
size_t put_ip4(uint8_t *f, uint8_t protocol, size_t n);
/* Put the checksums of an IPv4 or IPv6 frame of n bytes right, where its lengths allow. */
void fix_sums(uint8_t *f, size_t n);
/* A frame arrives, and what follows from it happens. ARP requests for them are answered. */
void receive(const uint8_t *f, size_t n);
void let_pass_ms(unsigned ms);

/* Called for each frame sent, which is well formed (that is seen to). */
extern void (*fuzz_sent)(const uint8_t *f, size_t n);
/* No payload here has bytes that look like fresh memory: so whoever sends such has not set it. */
extern bool fuzz_finds_unset;
/* Programs send ICMP as they like here. */
extern bool fuzz_sends_raw;
bool looks_unset(const uint8_t *p, size_t n);

/* Start the stack, with this address or by DHCP (NULL). */
void fuzz_begin(const char *address);
/* The program has closed its files: resets what lwIP still has, and looks at every account. */
void fuzz_end(void);

#endif
