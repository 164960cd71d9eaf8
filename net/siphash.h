/* SPDX-License-Identifier: MIT */
#ifndef TERN_NET_SIPHASH_H
#define TERN_NET_SIPHASH_H

#include "lib/types.h"

/* SipHash-2-4 with a 16-byte key: a keyed hash that a peer without the key cannot predict. */
uint64_t siphash(const uint8_t key[16], const void *data, size_t n);

#endif
