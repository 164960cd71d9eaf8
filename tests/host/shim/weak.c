/* SPDX-License-Identifier: MIT */
/* The views are those of the operational models of C11 and Arm: for each word, the oldest message an agent may still
 * read. */
#include "tests/host/shim/weak.h"

#include <stdlib.h>
#include <string.h>

#define WORDS	 48
#define MESSAGES 24
#define CHOICES	 256

struct view {
	uint8_t first[WORDS];
};

struct message {
	uint64_t value;
	struct view before; /* what the writer's last barrier put before it */
};

static struct word {
	const volatile void *at;
	size_t n;
	unsigned nr;
	struct message m[MESSAGES];
} words[WORDS];

static struct {
	struct view now;   /* may read nothing older */
	struct view heard; /* came with the messages it read: `now` after a read barrier */
	struct view said;  /* `now` at its last write barrier: goes with its messages */
} agents[2];

static struct view fenced; /* full barriers have one order */
static unsigned nr_words, missing;
static enum weak_agent self;
static uintptr_t base;
static size_t size;

/* The choices of this run, and of how many each was one. */
static uint8_t chosen[CHOICES], of[CHOICES];
static unsigned depth, at_choice;

static void join(struct view *v, const struct view *other)
{
	for (unsigned i = 0; i < WORDS; i++)
		v->first[i] = MAX(v->first[i], other->first[i]);
}

unsigned weak_choose(unsigned n)
{
	if (n == 1)
		return 0;
	if (at_choice == depth) {
		if (depth == CHOICES)
			abort();
		chosen[depth] = 0;
		of[depth++] = (uint8_t)n;
	}
	return chosen[at_choice++];
}

/* The next combination of choices; false: there is none. */
static bool next_way(void)
{
	while (depth && chosen[depth - 1] + 1 == of[depth - 1])
		depth--;
	if (!depth)
		return false;
	chosen[depth - 1]++;
	return true;
}

unsigned weak_explore(bool (*run)(void), unsigned without)
{
	unsigned runs = 0;

	missing = without;
	depth = 0;
	do {
		at_choice = 0;
		size = 0;
		self = WEAK_DRIVER;
		if (!run())
			return 0;
		runs++;
	} while (next_way());
	return runs;
}

void weak_watch(const void *at, size_t n)
{
	base = (uintptr_t)at;
	size = n;
	nr_words = 0;
	memset(agents, 0, sizeof(agents));
	memset(&fenced, 0, sizeof(fenced));
}

void weak_be(enum weak_agent who)
{
	self = who;
}

void weak_see_all(enum weak_agent who)
{
	for (unsigned i = 0; i < nr_words; i++)
		agents[who].now.first[i] = (uint8_t)(words[i].nr - 1);
}

static uint64_t memory(const volatile void *at, size_t n)
{
	uint64_t value = 0;

	memcpy(&value, (const void *)at, n);
	return value;
}

/* The word there; NULL: not watched. */
static struct word *word_of(const volatile void *at, size_t n)
{
	struct word *w = words;

	if ((uintptr_t)at - base >= size)
		return NULL;
	while (w < words + nr_words && w->at != at)
		w++;
	if (w == words + nr_words) {
		if (++nr_words == WORDS)
			abort();
		*w = (struct word){ .at = at, .n = n, .nr = 1 };
		w->m[0].value = memory(at, n);
	}
	if (w->n != n)
		abort();
	return w;
}

uint64_t weak_load(const volatile void *at, size_t n)
{
	struct word *w = word_of(at, n);
	unsigned which;

	if (!w)
		return memory(at, n);
	which = w->nr - 1 - weak_choose(w->nr - agents[self].now.first[w - words]);
	agents[self].now.first[w - words] = (uint8_t)which;
	join(&agents[self].heard, &w->m[which].before);
	return w->m[which].value;
}

void weak_store(volatile void *at, size_t n, uint64_t value)
{
	struct word *w = word_of(at, n);

	if (w) {
		if (w->nr == MESSAGES)
			abort();
		agents[self].now.first[w - words] = (uint8_t)w->nr;
		w->m[w->nr].before = agents[self].said;
		w->m[w->nr++].value = value;
	}
	memcpy((void *)at, &value, n);
}

void weak_fence(enum weak_barrier kind)
{
	if (self == WEAK_DRIVER && (missing & kind))
		return;
	if (kind & (WEAK_RMB | WEAK_MB))
		join(&agents[self].now, &agents[self].heard);
	if (kind & WEAK_MB) {
		join(&agents[self].now, &fenced);
		fenced = agents[self].now;
	}
	if (kind & (WEAK_WMB | WEAK_MB))
		agents[self].said = agents[self].now;
}
