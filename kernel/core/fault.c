/* SPDX-License-Identifier: MIT */
/* Faults by rate and seed. Each CPU draws for each site from a generator of its own: what a site's seed decides on a CPU does
 * not depend on the other CPUs, nor on the other sites. */
#include "kernel/core/fault.h"

#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"

static const char *const names[] = {
	[FAULT_ALLOC] = "alloc",
	[FAULT_IRQ_LOST] = "irq_lost",
	[FAULT_IRQ_SPURIOUS] = "irq_spurious",
	[FAULT_IRQ_SHARED] = "irq_shared",
	[FAULT_USED_LATE] = "used_late",
	[FAULT_USED_REORDER] = "used_reorder",
	[FAULT_DEVICE_LIES] = "device_lies",
	[FAULT_DEVICE_RESET] = "device_reset",
	[FAULT_LINK_DOWN] = "link_down",
	[FAULT_CLOCK_JUMP] = "clock_jump",
	[FAULT_CONSOLE_FULL] = "console_full",
	[FAULT_CPU_LATE] = "cpu_late",
};

static struct site {
	uint64_t every;	     /* [atomic] */
	uint64_t after;	     /* [atomic] so many times from now on; 0: no more */
	uint64_t seed;	     /* [atomic] */
	uint64_t passed;     /* [atomic] */
	uint64_t happened;   /* [atomic] */
	uint32_t generation; /* [atomic] grows with each seed */
} sites[FAULT_SITES];

struct generator {
	uint32_t generation; /* [cpu] what x was made for */
	uint64_t x;	     /* [cpu] */
};
static DEFINE_PER_CPU(struct generator, generators[FAULT_SITES]);

static uint32_t started; /* [atomic] */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9UL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebUL;
	return x ^ x >> 31;
}

uint64_t fault_draw(enum fault_site s, uint64_t n)
{
	irqflags_t f = arch_irq_save();
	struct generator *g = &(*this_cpu_ptr(generators))[s];
	/* pairs with the release in set() */
	uint32_t now = atomic_load_acquire(&sites[s].generation);
	uint64_t x;

	if (g->generation != now) {
		g->generation = now;
		g->x = mix(atomic_load_relaxed(&sites[s].seed) * 64 + this_cpu()->id) | 1;
	}
	g->x ^= g->x << 13;
	g->x ^= g->x >> 7;
	g->x ^= g->x << 17;
	x = g->x * 0x2545f4914f6cdd1dUL >> 16;
	arch_irq_restore(f);
	return x % n;
}

static bool is_the_one(struct site *p)
{
	uint64_t n = atomic_load_relaxed(&p->after);

	while (n > 0)
		if (atomic_compare_exchange(&p->after, &n, n - 1))
			return n == 1;
	return false;
}

bool fault_hits(enum fault_site s)
{
	struct site *p = &sites[s];
	uint64_t every = atomic_load_relaxed(&p->every);
	bool hits;

	if (likely(!every && !atomic_load_relaxed(&p->after)))
		return false;
	if (!atomic_load_relaxed(&started) && every && s != FAULT_CPU_LATE)
		return false;
	atomic_add_relaxed(&p->passed, 1);
	hits = every ? fault_draw(s, every) == 0 : is_the_one(p);
	if (hits)
		atomic_add_relaxed(&p->happened, 1);
	return hits;
}

static void set(enum fault_site s, uint64_t every, uint64_t after, uint64_t seed)
{
	struct site *p = &sites[s];

	atomic_store_relaxed(&p->every, 0);
	atomic_store_relaxed(&p->seed, seed);
	/* the seed before its generation: pairs with the acquire in fault_draw() */
	atomic_publish(&p->generation, atomic_load_relaxed(&p->generation) + 1);
	atomic_store_relaxed(&p->after, after);
	atomic_store_relaxed(&p->every, every);
}

void fault_after(enum fault_site s, uint64_t n)
{
	set(s, 0, n, 0);
}

static char *cut(char *text, char at)
{
	char *rest = text ? strchr(text, at) : NULL;

	if (rest)
		*rest++ = '\0';
	return rest;
}

/* NAME:RATE[:SEED]. NULL, or what is wrong with it. */
static const char *ask_one(char *name)
{
	char *rate = cut(name, ':'), *seed_text = cut(rate, ':');
	bool one = rate && *rate == '@';
	uint64_t n, seed = 1;

	for (unsigned s = 0; s < FAULT_SITES; s++) {
		if (strcmp(name, names[s]) != 0)
			continue;
		if (!rate || parse_u64(rate + one, &n) < 0)
			return "its rate is not N or @N";
		if (seed_text && parse_u64(seed_text, &seed) < 0)
			return "its seed is not a number";
		set((enum fault_site)s, one ? 0 : n, one ? n : 0, seed);
		return NULL;
	}
	return "there is no such fault";
}

int fault_ask(char *text)
{
	for (char *next; text && *text; text = next) {
		const char *wrong;

		next = cut(text, ',');
		if (strcmp(text, "off") == 0) {
			for (unsigned s = 0; s < FAULT_SITES; s++)
				set((enum fault_site)s, 0, 0, 0);
			continue;
		}
		wrong = ask_one(text);
		if (wrong) {
			log_warn("core: fault %s: %s", text, wrong);
			return -EINVAL;
		}
	}
	return 0;
}

void fault_init(void)
{
	char text[256];
	int err = cmdline_get("fault", text, sizeof(text));

	if (err == -ENOENT)
		return;
	if (err == 0)
		log_info("core: faults asked for: %s", text);
	if (err < 0 || fault_ask(text) < 0)
		log_warn("core: fault= is not understood to its end");
}

void fault_start(void)
{
	atomic_store_relaxed(&started, 1);
}

struct fault_count fault_count(enum fault_site s)
{
	const struct site *p = &sites[s];

	return (struct fault_count){ names[s],
				     atomic_load_relaxed(&p->every),
				     atomic_load_relaxed(&p->after),
				     atomic_load_relaxed(&p->seed),
				     atomic_load_relaxed(&p->passed),
				     atomic_load_relaxed(&p->happened) };
}
