/* SPDX-License-Identifier: MIT */
/* Perturbed schedules: with perturb=SEED on the command line of a debug image, every lock operation, wake-up and
 * switch asks a seeded generator whether to delay, yield or take a reschedule here. Nothing in release images. */
#ifndef TERN_KERNEL_CORE_PERTURB_H
#define TERN_KERNEL_CORE_PERTURB_H

#include "lib/types.h"

enum perturb_point {
	PERTURB_LOCK,
	PERTURB_UNLOCK,
	PERTURB_WAKE,
	PERTURB_SWITCH,
	PERTURB_IRQ_RETURN,
	PERTURB_PUBLISH
};

#ifdef DEBUG
void perturb_init(void);
void perturb_set_seed(uint64_t seed); /* 0 turns it off */
void perturb(enum perturb_point p);   /* any context */
#else
static inline void perturb_init(void)
{
}
static inline void perturb(enum perturb_point p)
{
}
#endif

#endif
