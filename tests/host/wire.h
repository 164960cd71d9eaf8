/* SPDX-License-Identifier: MIT */
/* A hosted netdev whose other end is the mirror (tests/kernel/mirror.h) or the test itself. Frames wait on the wire
 * until wire_run() moves them; it can lose, repeat and reorder. */
#ifndef TERN_TESTS_HOST_WIRE_H
#define TERN_TESTS_HOST_WIRE_H

#include "drivers/netdev.h"

struct wire {
	struct netdev nd;
	unsigned rx_ring, tx_ring;
	/* of a thousand frames */
	unsigned lose, repeat, reorder;
	bool lazy;	     /* transmits come back only when the network thread runs */
	bool mirror;	     /* what is sent comes back from the peer */
	const char *address; /* ours, for wire_start(); NULL: by DHCP */
	void (*tap)(const uint8_t *frame, size_t n);   /* is shown what is sent */
	bool (*loses)(const uint8_t *frame, size_t n); /* whether the mirror loses it */
	unsigned drop_data; /* so many frames with payload are lost next */
	uint64_t sent, lost;
	uint8_t last[2048]; /* the last frame sent */
	size_t last_len;
};
extern struct wire wire;

/* Start the stack with the wire as its only device, once. */
void wire_start(void);
/* Let everything move that can without time passing. */
void wire_settle(void);
/* ms of time, in steps of 1 ms, settling at each. */
void wire_run(unsigned ms);
/* A frame arrives. False: no receive buffer is posted. */
bool wire_receive(const void *frame, size_t n);
/* Throw away what is on the wire. */
void wire_clear(void);

#endif
