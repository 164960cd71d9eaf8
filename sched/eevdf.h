/* SPDX-License-Identifier: MIT */
/* Earliest eligible virtual deadline first: who runs next on one CPU. Arithmetic only: no clock, no lock, no thread;
 * builds hosted, where a naive model checks every decision.
 *
 * Each entity has a virtual runtime v (ns served, divided by weight/1024) and asks for a slice at a time; its virtual
 * deadline is v + slice/weight at the time of asking. The queue's virtual time V is the weighted mean of all v. An
 * entity is eligible if v <= V: it has not had more than its share. Of the eligible ones the earliest deadline runs.
 * The entity that runs stays in the tree, so V always counts everybody who wants the CPU.
 *
 * I-EEVDF-1: base is the weighted mean of v rounded down, and 0 <= excess < weight of all (or both are 0), where
 * excess is the sum of weight * (v - base): so "eligible" is v <= base.
 * I-EEVDF-2: the tree is ordered by deadline, equals by arrival, and each node's min_vruntime is that of its subtree. */
#ifndef TERN_SCHED_EEVDF_H
#define TERN_SCHED_EEVDF_H

#include "lib/rbtree.h"

#define EEVDF_SLICE_NS	  3000000
#define EEVDF_WEIGHT_ZERO 1024 /* of nice 0 */
#define NICE_MIN	  (-20)
#define NICE_MAX	  19

struct eevdf_entity {
	struct rb_node node;   /* linked while it wants the CPU */
	uint64_t vruntime;     /* wraps; compared by difference */
	uint64_t deadline;     /* wraps */
	uint64_t min_vruntime; /* of the subtree below node, itself included */
	uint64_t rest;	       /* of the last division by weight: no service is lost */
	uint32_t weight;
	int64_t lag;	  /* while away: the mean of the others at leaving, minus v */
	uint64_t left_at; /* while away: base of the queue at leaving */
};

struct eevdf {
	struct rb_root tree;
	uint64_t base;
	int64_t excess;
	uint64_t weight; /* sum over the tree */
	unsigned nr;
};

uint32_t eevdf_weight(int nice);
void eevdf_init(struct eevdf *q);
void eevdf_entity_init(struct eevdf_entity *e, uint32_t weight);

/* e wants the CPU: it comes in with the lag it left with. */
void eevdf_add(struct eevdf *q, struct eevdf_entity *e);
/* e, served for ns since it was charged last, no longer wants it (sleep, exit, move). Its lag is kept, bounded by two slices
 * either way. */
void eevdf_remove(struct eevdf *q, struct eevdf_entity *e, uint64_t ns);
/* e, which left q, is about to come back somewhere: forgive its debt as far as the others in q, charged up to now, have
 * caught up, and no further: sleeping gains nothing. */
void eevdf_settle(struct eevdf *q, struct eevdf_entity *e);

/* e has been served for ns. True if its slice is used up; it has then asked for the next. */
bool eevdf_charge(struct eevdf *q, struct eevdf_entity *e, uint64_t ns);
/* e, served for ns since it was charged last, gives up its turn: anybody else is eligible before it. */
void eevdf_yield(struct eevdf *q, struct eevdf_entity *e, uint64_t ns);
/* A new weight keeps lag and the rest of the slice in proportion. q: where it is linked, or NULL. */
void eevdf_reweight(struct eevdf *q, struct eevdf_entity *e, uint32_t weight);

/* NULL if the queue is empty. */
struct eevdf_entity *eevdf_pick(const struct eevdf *q);
/* Service until e's slice is used up, ns, at least 1. */
uint64_t eevdf_slice_left(const struct eevdf_entity *e);
/* Check I-EEVDF-1 and -2 by recomputing: debug images. */
bool eevdf_check(const struct eevdf *q);

#endif
