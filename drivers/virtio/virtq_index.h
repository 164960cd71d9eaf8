/* SPDX-License-Identifier: MIT */
/* The part of a queue that no lock covers: driver and device each store an index, and a wish for when to be told, and read the
 * other's. relacy compiles it. */
#ifndef TERN_DRIVERS_VIRTIO_VIRTQ_INDEX_H
#define TERN_DRIVERS_VIRTIO_VIRTQ_INDEX_H

#include "arch/aarch64/arch.h"
#include "lib/types.h"

/* What it covers is seen before the index, and the index before the other's wish is looked at. */
static inline void virtq_publish(uint16_t *index, uint16_t to)
{
	/* pairs with the other's barrier between its read of the index and of what that covers */
	arch_dma_wmb();
	WRITE_ONCE(*index, to);
	/* pairs with the other's barrier between its wish and its look, as in virtq_wish() */
	arch_dma_mb();
}

/* Before the other's index is looked at again: either it is seen there, or who stores it sees the wish. */
static inline void virtq_wish(uint16_t *wish, uint16_t to)
{
	WRITE_ONCE(*wish, to);
	/* pairs with the other's barrier between its index and its test of our wish, as in virtq_publish() */
	arch_dma_mb();
}

/* Whether who wishes to be told of the one behind `wish` is to be told of those from `from` to `to` (2.7.10 of the specification). */
static inline bool virtq_wished(uint16_t wish, uint16_t to, uint16_t from)
{
	return (uint16_t)(to - wish - 1) < (uint16_t)(to - from);
}

#endif
