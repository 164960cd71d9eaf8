/* SPDX-License-Identifier: MIT */
/* What happens on each CPU, as it happens: off by default, then it costs where it stands a load, a test and a branch that is
 * not taken. On, an event is 32 bytes of its CPU's ring. kernel/tracefile.c switches it and shows it. */
#ifndef TERN_KERNEL_CORE_TRACE_H
#define TERN_KERNEL_CORE_TRACE_H

#include "lib/trace_ring.h"

/* A group is two neighbours, which are switched together. Each has, besides the time, the thread and whether it was in an
 * interrupt, two words: */
enum trace_kind {
	TRACE_SWITCH =
		0, /* from this thread; to: id, state this one leaves in << 32; 8 bytes of to's name */
	TRACE_WAKE =
		2, /* by this thread or in its time; who: id, CPU it goes to << 32; where it waits */
	TRACE_LOCK_WAIT = 4, /* class; who takes it */
	TRACE_LOCK_GOT,
	TRACE_IRQ_IN = 6, /* number */
	TRACE_IRQ_OUT,
	TRACE_CALL_IN = 8, /* number; first argument, or result */
	TRACE_CALL_OUT,
	TRACE_RX = 10, /* bytes of the frame */
	TRACE_TX,
	TRACE_SSH_IN = 12, /* message; bytes of its payload */
	TRACE_SSH_OUT,
	TRACE_TEST = 14, /* tests' own */
	TRACE_KINDS = 16,
};
#define TRACE_ALL 0x7f

#if __STDC_HOSTED__ && !defined(TRACE_HOSTED)
static inline bool trace_on(enum trace_kind kind)
{
	return false;
}
static inline void trace_event(uint64_t kind, uint64_t a, uint64_t b)
{
}
#else
extern uint32_t trace_mask; /* [atomic] a bit for each group */

static inline bool trace_on(enum trace_kind kind)
{
	return unlikely(READ_ONCE(trace_mask) & BIT(kind / 2));
}

/* Whatever is switched on. Context: any. */
void trace_event(uint64_t kind, uint64_t a, uint64_t b);
#endif

/* a and b are worked out only if it is on. Context: any. */
#define trace(kind, a, b)                                                                          \
	do {                                                                                       \
		if (trace_on(kind))                                                                \
			trace_event(kind, a, b);                                                   \
	} while (0)

/* Of word 1. */
static inline enum trace_kind trace_record_kind(const struct trace_record *r)
{
	return (enum trace_kind)(r->word[1] & 0xff);
}
static inline bool trace_record_in_irq(const struct trace_record *r)
{
	return r->word[1] & 0xff00;
}
static inline int trace_record_thread(const struct trace_record *r)
{
	return (int)(r->word[1] >> 32);
}

struct cpu;
struct trace_ring *trace_ring_of(struct cpu *c);

#endif
