/* SPDX-License-Identifier: MIT */
/* What goes wrong on purpose, in debug images: at each site named here a seeded generator decides whether it happens there. On
 * the command line, and written to /proc/tern/faults at any time (there also "off"):
 *
 *   fault=NAME:N[:SEED][,...]   of the times a site is passed one in N, drawn from the seed (1)
 *   fault=NAME:@N[,...]         the N-th time from then on, and no other
 *
 * Faults of the command line begin when the machine is up; those of its start, at once. /proc/tern/faults counts, for each site,
 * how often it was passed and how often it happened. */
#ifndef TERN_KERNEL_CORE_FAULT_H
#define TERN_KERNEL_CORE_FAULT_H

#include "lib/types.h"

enum fault_site {
	FAULT_ALLOC,	    /* no page, no object */
	FAULT_IRQ_LOST,	    /* a device's interrupt has no handler run */
	FAULT_IRQ_SPURIOUS, /* its handler runs once more, with nothing to do */
	FAULT_IRQ_SHARED,   /* all other devices' handlers run too */
	FAULT_USED_LATE,    /* what a device has used is seen up to 20 ms later */
	FAULT_USED_REORDER, /* and in another order */
	FAULT_DEVICE_LIES,  /* it gives back what it was not given */
	FAULT_DEVICE_RESET, /* it asks for a reset */
	FAULT_LINK_DOWN,    /* no cable, for up to 2 s */
	FAULT_CLOCK_JUMP,   /* the counter is up to 2 s further */
	FAULT_CONSOLE_FULL, /* no room for a byte, for up to 2 ms */
	FAULT_CPU_LATE,	    /* a CPU takes up to 1.5 s to start */
	FAULT_SITES
};

#ifdef DEBUG
void fault_init(void);	/* boot: what the command line asks for */
void fault_start(void); /* the machine is up */

/* As written to /proc/tern/faults; text is spoilt. 0; -EINVAL: the log says what is not understood, all before it holds. */
int fault_ask(char *text) __must_check;
/* At the n-th time from now on (1: the next) and no other; 0: not at all. For tests. */
void fault_after(enum fault_site s, uint64_t n);

/* Does it happen, here and now? Any context. */
bool fault_hits(enum fault_site s);
/* How long, how far, which: below n, by the site's seed. Any context. */
uint64_t fault_draw(enum fault_site s, uint64_t n);

struct fault_count {
	const char *name;
	uint64_t every, at, seed; /* one in so many, or only that one; 0: no */
	uint64_t passed, happened;
};
struct fault_count fault_count(enum fault_site s);
#else
static inline void fault_init(void)
{
}
static inline void fault_start(void)
{
}
static inline bool fault_hits(enum fault_site s)
{
	return false;
}
static inline uint64_t fault_draw(enum fault_site s, uint64_t n)
{
	return 0;
}
#endif

#endif
