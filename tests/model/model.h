/* SPDX-License-Identifier: MIT */
/* Models: the kernel's own sources, unchanged, under a controlled scheduler and a weak memory, every way that two to four
 * CPUs can go run once. The compiler announces each access (-fsanitize=thread); tests/model/model.c is what it calls:
 *
 *  - before each atomic access the scheduler decides which CPU goes on. Orders that no dependent access tells apart are run
 *    once (dynamic partial-order reduction with sleep sets).
 *  - each atomic store is a message of its word. A load takes any that the CPU is not yet bound to have seen, as in the
 *    operational models of C11: release, acquire and fences bind, relaxed accesses do not.
 *  - plain accesses are checked for races: two of one place, one a write, that nothing orders.
 *
 * What it cannot show: a load that takes a store of its own future (which needs a broken dependency), stores of one word in
 * another order than they were made, and sequentially consistent accesses: those count as acquire and release. So it
 * allows less than Arm in the first two and more in the last. */
#ifndef TERN_TESTS_MODEL_MODEL_H
#define TERN_TESTS_MODEL_MODEL_H

#include "tests/host/test.h"

#define MODEL_CPUS 4

struct modelled {
	unsigned cpus;
	void (*setup)(void);	       /* by CPU 0, alone; all know what it did */
	void (*run[MODEL_CPUS])(void); /* NULL: as the one before */
	void (*end)(void); /* alone, when all have returned or wait in model_idle(); may be NULL */
	unsigned
		preemptions; /* at most so many switches away from who could go on; 0: any number */
	bool unreduced;	     /* also orders that nothing tells apart */
	bool stale_cas;	     /* a compare-and-exchange may fail by an old value */
	/* comes to each CPU once, or not at all, before any atomic access of its while interrupts are on; may be NULL */
	void (*interrupt)(void);
};

/* Explore it. Fails the test by the first run that goes wrong, and prints that run. Returns what the runs have noted. */
uint64_t model_explore(const char *name, const struct modelled *m);

/* In a run. */
void model_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
#define MODEL_CHECK(cond)                                                                          \
	do {                                                                                       \
		if (!(cond))                                                                       \
			model_fail(__FILE__, __LINE__, "%s", #cond);                               \
	} while (0)
unsigned model_cpu(void);
/* In end(): whether all have returned. */
bool model_all_ended(void);
/* That this has happened in some run: a bit of 64. */
void model_note(unsigned bit);
/* One of n ways to go on. */
unsigned model_choose(unsigned n);
/* In a loop that waits: this CPU goes on when the word it read last has another store. */
void model_spin(void);
/* The same, and the run may end here. */
void model_idle(void);
/* Zeroed memory until the end of the run. Once freed, nobody may touch it. */
void *model_alloc(size_t size);
void model_free(void *p);
/* How many are out. */
unsigned model_objects(void);

/* A thread of execution beside those of the CPUs, for a CPU to switch to: entry(passed, arg) runs on this stack. entry NULL:
 * for what the CPU runs already. */
struct model_context;
struct model_context *model_context(void *stack, size_t size,
				    void (*entry)(void *passed, void *arg), void *arg);
/* This CPU leaves `from`, which it runs, and goes on with `to`. Returns when a CPU goes on with `from`: what that one passed. */
void *model_switch(struct model_context *from, struct model_context *to, void *pass);

#endif
