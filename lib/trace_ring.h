/* SPDX-License-Identifier: MIT */
/* Events in a ring: one writer at a time, whom nobody interrupts, and readers anywhere, who never hold it up. What is written
 * over before it was read is lost, and counted.
 *
 *   I-TRACE-1  an event that a reader gets is one that was written, whole; in order, each once.
 *
 * The writer counts an event as done when all of it is there; from then on it may write over the oldest. A reader copies one that
 * is done, and looks then whether so many are done that the next takes its place. Builds hosted; lib/atomic.h is all it needs. */
#ifndef TERN_LIB_TRACE_RING_H
#define TERN_LIB_TRACE_RING_H

#include "lib/atomic.h"

#define TRACE_WORDS 4

struct trace_record {
	uint64_t word[TRACE_WORDS]; /* [atomic] */
};

struct trace_ring {
	struct trace_record *at; /* [atomic] released with mask; NULL: no memory, nothing is kept */
	uint64_t mask;		 /* [init] a power of two records, less one */
	uint64_t done;		 /* [atomic] how many, ever; the writer's */
};

/* From now on it is written to `at`, of so many records, a power of two. */
static inline void trace_ring_open(struct trace_ring *r, struct trace_record *at, uint64_t records)
{
	r->mask = records - 1;
	/* pairs with the acquire in trace_event() */
	atomic_store_release(&r->at, at);
}

/* at: r->at, not NULL. */
static inline void trace_ring_put(struct trace_ring *r, struct trace_record *at, uint64_t w0,
				  uint64_t w1, uint64_t w2, uint64_t w3)
{
	uint64_t n = atomic_load_relaxed(&r->done);
	struct trace_record *e = &at[n & r->mask];

	/* that n are done before any word of the next; pairs with the fence in trace_ring_get() */
	atomic_fence();
	atomic_store_relaxed(&e->word[0], w0);
	atomic_store_relaxed(&e->word[1], w1);
	atomic_store_relaxed(&e->word[2], w2);
	atomic_store_relaxed(&e->word[3], w3);
	/* pairs with the acquire in trace_ring_end() */
	atomic_store_release(&r->done, n + 1);
}

/* Whoever has read this may read all before it. */
static inline uint64_t trace_ring_end(const struct trace_ring *r)
{
	/* pairs with the release in trace_ring_put() */
	return atomic_load_acquire(&r->done);
}

/* The record *next, or the oldest that is left, if it is before end, which is trace_ring_end()'s: *next is the one behind it.
 * False: none is. *lost grows by those that were written over. */
static inline bool trace_ring_get(const struct trace_ring *r, uint64_t *next, uint64_t end,
				  struct trace_record *out, uint64_t *lost)
{
	while (*next < end) {
		const struct trace_record *e = &r->at[*next & r->mask];
		uint64_t oldest;

		for (unsigned i = 0; i < TRACE_WORDS; i++)
			out->word[i] = atomic_load_relaxed(&e->word[i]);
		/* the words before the look; pairs with the fence in trace_ring_put() */
		atomic_fence();
		oldest = atomic_load_relaxed(&r->done) - r->mask;
		if ((int64_t)(*next - oldest) >= 0) {
			++*next;
			return true;
		}
		*lost += oldest - *next;
		*next = oldest;
	}
	return false;
}

#endif
