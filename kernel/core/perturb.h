/* SPDX-License-Identifier: MIT */
/* Perturbed schedules, in debug images: at every lock operation, wake-up, switch, interrupt return and publication a seeded
 * generator decides what happens there. On the command line:
 *
 *   perturb=SEED          all decisions at random, from boot on
 *   perturb=A..B          each test once for each seed, from A to B, and off between them
 *   perturb=pct:A..B[:D]  bounded preemption: threads have random priorities, of those that could run only the highest gets on, and
 *                         at D steps drawn from those that a run takes (3) the one that is there becomes the lowest
 *
 * At random: dawdle with whatever is held, ask for a switch, for a move to another CPU, or for a timer interrupt a few hundred
 * instructions later, which then may switch anywhere. Who comes next is drawn too (sched/choose_perturbed.c). How often is drawn
 * for each seed. */
#ifndef TERN_KERNEL_CORE_PERTURB_H
#define TERN_KERNEL_CORE_PERTURB_H

#include "lib/atomic.h"
#include "lib/types.h"

struct thread_base;

enum perturb_point {
	PERTURB_LOCK,
	PERTURB_UNLOCK,
	PERTURB_WAKE,
	PERTURB_SWITCH,
	PERTURB_IRQ_RETURN,
	PERTURB_PUBLISH
};

enum perturb_mode { PERTURB_OFF, PERTURB_COUNT, PERTURB_RANDOM, PERTURB_PCT };

#ifdef DEBUG
void perturb_init(void);
void perturb(enum perturb_point p); /* any context */

/* For the runner of tests: the seeds that each test is to run with; false if the command line names none. */
bool perturb_seeds(uint64_t *first, uint64_t *last);
/* From now on by this seed; 0: undisturbed, but count how many steps it takes. */
void perturb_begin(uint64_t seed);
void perturb_end(void);
/* The seed that is at work, or 0. */
uint64_t perturb_seed(void);

/* For the scheduler. Context: irqs off. */
enum perturb_mode perturb_mode(void);
uint64_t perturb_draw(void);
/* The thread's priority; by PCT the highest runs. */
uint32_t perturb_priority(struct thread_base *t);
/* PCT: behind all others. */
void perturb_last(struct thread_base *t);
/* This CPU goes on with t; NULL: with nothing. */
void perturb_runs(struct thread_base *t);
/* Whether the thread here is to move to another CPU; asked once. */
bool perturb_moves(void);
/* This CPU spins for a lock: whoever has it may go on, whatever its priority. Preemption off. */
void perturb_spins(bool spins);
#else
static inline void perturb_init(void)
{
}
static inline void perturb(enum perturb_point p)
{
}
static inline void perturb_spins(bool spins)
{
}
#endif

/* A release that tells other CPUs something: a point, then atomic_store_release(). In any context: with interrupts off, or half-way
 * through a switch, the point dawdles, and a switch that it asks for comes later. Lock words have points of their own. */
#define atomic_publish(p, v)                                                                       \
	do {                                                                                       \
		perturb(PERTURB_PUBLISH);                                                          \
		atomic_store_release((p), (v));                                                    \
	} while (0)

#endif
