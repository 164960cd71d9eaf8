/* SPDX-License-Identifier: MIT */
#ifndef TERN_KERNEL_SEED_H
#define TERN_KERNEL_SEED_H

#include "lib/types.h"

/* boot, after random_init(). */
void seed_init(void);
/* Sleep until the generator is seeded, and say so once. 0 or -EINTR (killed). Context: thread. */
int random_wait(void) __must_check;

#endif
