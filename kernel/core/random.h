/* SPDX-License-Identifier: MIT */
/* The one random generator: ChaCha20 with keys that are erased, drawn by HMAC-DRBG from the device tree's rng-seed,
 * virtio-rng, RNDR and interrupt timing. It never sleeps. */
#ifndef TERN_KERNEL_CORE_RANDOM_H
#define TERN_KERNEL_CORE_RANDOM_H

#include "lib/types.h"

void random_init(void);
/* Mix in n bytes worth `bits` bits of entropy by the caller's honest estimate. Any context. */
void random_add(const void *p, size_t n, unsigned bits);
/* Interrupt timing; irq context; cheap. */
void random_add_interrupt(unsigned irq);
bool random_seeded(void);
/* Fill buf. 0, or -EAGAIN until seeded (256 bits). Any context but irq. Locks: takes RANDOM. */
int random_bytes(void *buf, size_t n) __must_check;
/* For hash seeds, ports, back-off: never fails, weaker before seeding. */
uint32_t random_u32(void);
/* Called once when the generator becomes seeded; may wake waiters above sched/. One registration. */
void random_on_seeded(void (*fn)(void));

#endif
