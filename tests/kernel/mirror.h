/* SPDX-License-Identifier: MIT */
/* A neighbour that is ourselves: frames sent to PEER come back as frames from PEER, so a connection to it is a
 * connection to ourselves over a real wire. Swapping source and destination leaves the checksums right. ARP for PEER
 * is answered. Used with the model devices of the hosted and the in-kernel tests. */
#ifndef TERN_TESTS_KERNEL_MIRROR_H
#define TERN_TESTS_KERNEL_MIRROR_H

#include "lib/types.h"

#define MIRROR_SELF "10.9.0.1/24"
#define MIRROR_PEER                                                                                \
	{                                                                                          \
		10, 9, 0, 2                                                                        \
	}

/* Turn the frame into what comes back. False: nothing does. */
bool mirror_frame(uint8_t *frame, size_t n);
/* Bytes of TCP payload in it; 0 for anything else. */
size_t mirror_tcp_payload(const uint8_t *frame, size_t n);

#endif
