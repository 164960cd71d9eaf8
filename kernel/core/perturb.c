/* SPDX-License-Identifier: MIT */
/* Perturbed schedules. Each CPU draws from a generator of its own, so that a seed gives the same decisions in the same
 * order on each CPU, whatever the others do.
 *
 * PCT after Burckhardt et al.: a bug that takes d ordering constraints among n threads and k steps is found with probability
 * 1/(n k^(d-1)) at least. A step is a point. On one CPU the scheduler's choice makes it so. With more, a CPU waits at each
 * point while one with a higher thread runs: exactly so under QEMU's -icount, where a `yield` lets the next CPU go on until it gives
 * way itself; for a moment only where CPUs are truly parallel. A wait is bounded, since who is waited for may itself wait for us in a
 * way that cannot be seen here: in vain, it puts that one behind all. */
#include "kernel/core/perturb.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/core/clock.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"

/* Turns of an empty loop. Not of arch_spin_hint(): a machine of one CPU under TCG leaves the generated code at each,
 * and a delay meant to take microseconds takes milliseconds. */
#define DAWDLE_MAX 4096
/* How often another CPU is let on, under -icount. */
#define PASS_MAX 4
/* A timer interrupt comes within, ns: as many instructions under -icount. */
#define SOON_MAX 4096

/* Under -icount a CPU goes on until it gives way or any CPU's timer fires; and setting a timer gives way, too. So a CPU that comes to no
 * point would take whole slices of the clock, and another, woken only by its slice's end and giving way as it sets the next, none. Hence
 * each CPU that has a thread keeps its physical timer running, for at most so many counts from a point, and again as long from its
 * interrupt. */
#define TURN_MAX	   256
#define CNTP_ENABLE	   1
#define PHYSICAL_TIMER_IRQ 30 /* BSA 1.0, 3.8: PPI 14 */

#define DEPTH_MAX	   8
#define WAIT_TURNS	   64
#define WAIT_LOOPS	   64

/* Priorities: as threads come, behind a change, and behind all. */
#define PRIORITY_NEW	 0x80000000u
#define PRIORITY_CHANGED 0x40000000u

static struct {
	uint64_t first, last; /* [init] seeds for each test; 0: none */
	unsigned depth;	      /* [init] */
	bool pct;	      /* [init] */
} asked = { .depth = 3 };

/* Written by who begins and ends. */
static uint32_t mode;		    /* [atomic] enum perturb_mode */
static uint32_t generation;	    /* [atomic] grows with each beginning */
static uint64_t seed;		    /* [atomic] */
static unsigned odds_shift;	    /* [atomic] how rarely, for this seed */
static uint64_t change[DEPTH_MAX];  /* [atomic] the steps at which a priority changes */
static uint64_t step;		    /* [atomic] */
static uint64_t steps_taken = 4096; /* [atomic] in the run that was counted */
static uint32_t last_priority;	    /* [atomic] */

struct perturb_cpu {
	uint32_t generation; /* [cpu] what x was made for */
	uint64_t x;	     /* [cpu] */
	uint32_t runs;	     /* [atomic] priority of the thread here; 0: idle */
	uint32_t spins;	     /* [atomic] */
	uint64_t turn_end;   /* [cpu] counter */
	uint32_t overdue;    /* [atomic] PCT: another has waited in vain */
	bool waits;	     /* [cpu] PCT: at a point, for higher ones */
	bool moves;	     /* [cpu] */
	bool change_due;     /* [cpu] PCT: at the next interrupt */
};

static DEFINE_PER_CPU(struct perturb_cpu, perturb_cpu);

/* One in how many asks, at each point, before odds_shift: for a delay, a switch, a move, an interrupt. */
static const struct {
	uint16_t delay, resched, move, soon;
} odds[] = {
	[PERTURB_LOCK] = { 16, 0, 0, 64 },	 [PERTURB_UNLOCK] = { 16, 16, 64, 64 },
	[PERTURB_WAKE] = { 8, 4, 16, 16 },	 [PERTURB_SWITCH] = { 16, 16, 0, 16 },
	[PERTURB_IRQ_RETURN] = { 16, 2, 8, 16 }, [PERTURB_PUBLISH] = { 4, 4, 16, 8 },
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9UL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebUL;
	return x ^ x >> 31;
}

static struct perturb_cpu *here(void)
{
	return this_cpu_ptr(perturb_cpu);
}

uint64_t perturb_draw(void)
{
	struct perturb_cpu *c = here();
	uint32_t now = atomic_load_acquire(&generation);

	if (c->generation != now) {
		c->generation = now;
		c->x = mix(READ_ONCE(seed) * 64 + this_cpu()->id) | 1;
		c->moves = c->change_due = false;
	}
	c->x ^= c->x << 13;
	c->x ^= c->x >> 7;
	c->x ^= c->x << 17;
	return c->x * 0x2545f4914f6cdd1dUL >> 16;
}

/* irqs off. PCT: the thread here goes behind all others if one of them has waited for it in vain. */
static void let_others(void)
{
	struct perturb_cpu *c = here();

	if (!READ_ONCE(c->overdue))
		return;
	WRITE_ONCE(c->overdue, 0);
	if (!c->runs || perturb_mode() != PERTURB_PCT)
		return;
	perturb_last(current_base());
	WRITE_ONCE(c->runs, current_base()->perturb_priority);
	WRITE_ONCE(this_cpu()->need_resched, 1);
}

/* irqs off. */
static void begin_turn(uint64_t least)
{
	struct perturb_cpu *c = here();
	uint64_t turn = least + 1 + perturb_draw() % TURN_MAX;

	c->turn_end = arch_counter() + turn;
	sysreg_write(cntp_tval_el0, turn);
	sysreg_write(cntp_ctl_el0, CNTP_ENABLE);
}

static void turn_over(void *unused)
{
	if (perturb_mode() == PERTURB_OFF || !here()->runs) {
		sysreg_write(cntp_ctl_el0, 0);
		return;
	}
	begin_turn(TURN_MAX);
	let_others();
}

/* --- what is asked for ------------------------------------------------------------------------------------- */

/* A[..B][:D]; whether it is a range. */
static bool parse_seeds(char *text)
{
	char *colon = strchr(text, ':'), *dots;
	uint64_t depth;

	if (colon) {
		*colon = '\0';
		if (parse_u64(colon + 1, &depth) == 0)
			asked.depth = (unsigned)MIN(depth, (uint64_t)DEPTH_MAX);
	}
	dots = strchr(text, '.');
	if (dots && dots[1] == '.') {
		*dots = '\0';
		if (parse_u64(dots + 2, &asked.last) < 0)
			asked.last = 0;
	}
	if (parse_u64(text, &asked.first) < 0)
		asked.first = 0;
	return dots;
}

void perturb_init(void)
{
	char text[64], *seeds = text;
	bool range;

	if (cmdline_get("perturb", text, sizeof(text)) < 0)
		return;
	asked.pct = strncmp(text, "pct:", 4) == 0;
	if (asked.pct)
		seeds += 4;
	range = parse_seeds(seeds);
	if (!range)
		asked.last = asked.first;
	if (!asked.first || asked.last < asked.first) {
		log_warn("core: perturb=%s is not understood", text);
		asked.first = 0;
	} else if (!range && !asked.pct) {
		uint64_t whole = asked.first;

		log_info("core: schedules perturbed from seed %lu", whole);
		asked.first = 0;
		perturb_begin(whole);
	} else if (irq_register(PHYSICAL_TIMER_IRQ, IRQ_LEVEL, turn_over, NULL, "turn") < 0) {
		log_warn("core: no timer for turns");
	}
}

bool perturb_seeds(uint64_t *first, uint64_t *last)
{
	*first = asked.first;
	*last = asked.last;
	return asked.first != 0;
}

void perturb_begin(uint64_t s)
{
	uint64_t x = mix(s), total = READ_ONCE(steps_taken);
	irqflags_t f;

	WRITE_ONCE(mode, PERTURB_OFF);
	WRITE_ONCE(seed, s);
	WRITE_ONCE(odds_shift, x % 4);
	for (unsigned i = 0; i < DEPTH_MAX; i++) {
		x = mix(x + i + 1);
		WRITE_ONCE(change[i], i < asked.depth ? 1 + x % total : 0);
	}
	WRITE_ONCE(step, 0);
	WRITE_ONCE(last_priority, PRIORITY_CHANGED);
	/* Pairs with the acquire in draw(). */
	atomic_store_release(&generation, generation + 1);
	f = arch_irq_save();
	perturb_runs(current_base());
	arch_irq_restore(f);
	atomic_store_release(&mode, !s ? PERTURB_COUNT : asked.pct ? PERTURB_PCT : PERTURB_RANDOM);
}

void perturb_end(void)
{
	if (READ_ONCE(mode) == PERTURB_COUNT)
		WRITE_ONCE(steps_taken, MAX(READ_ONCE(step), 1UL));
	WRITE_ONCE(mode, PERTURB_OFF);
	WRITE_ONCE(seed, 0);
}

uint64_t perturb_seed(void)
{
	return READ_ONCE(seed);
}

enum perturb_mode perturb_mode(void)
{
	return READ_ONCE(mode);
}

/* --- draws --------------------------------------------------------------------------------------------------- */

/* One in n, by 12 bits of x; those that are drawn rarely by this seed more rarely yet. */
static bool drawn(uint64_t x, unsigned at, unsigned n)
{
	return n && (x >> at & 0xfff) % (n << READ_ONCE(odds_shift)) == 0;
}

static void dawdle(uint64_t n)
{
	for (; n > 0; n--)
		__asm__ __volatile__("");
}

static void interrupt_soon(uint64_t x)
{
	clock_interrupt_by(clock_now_ns() + x % SOON_MAX);
}

/* --- at random ------------------------------------------------------------------------------------------------ */

/* irqs off. How long to dawdle. */
static uint64_t at_random(enum perturb_point p, uint64_t *pass)
{
	uint64_t x = perturb_draw();

	if (drawn(x, 0, odds[p].resched))
		WRITE_ONCE(this_cpu()->need_resched, 1);
	if (drawn(x, 12, odds[p].move)) {
		here()->moves = true;
		WRITE_ONCE(this_cpu()->need_resched, 1);
	}
	if (drawn(x, 24, odds[p].soon))
		interrupt_soon(perturb_draw());
	if (!drawn(x, 36, odds[p].delay))
		return 0;
	x = perturb_draw();
	*pass = x % (PASS_MAX + 1);
	return (x >> 8) % (DAWDLE_MAX >> (x >> 40 & 7));
}

bool perturb_moves(void)
{
	struct perturb_cpu *c = here();
	bool moves = c->moves && perturb_mode() == PERTURB_RANDOM;

	c->moves = false;
	return moves;
}

/* --- by priorities -------------------------------------------------------------------------------------------- */

uint32_t perturb_priority(struct thread_base *t)
{
	uint32_t now = atomic_load_acquire(&generation);

	if (t->perturb_generation != now) {
		t->perturb_generation = now;
		t->perturb_priority = PRIORITY_NEW | (uint32_t)perturb_draw();
	}
	return t->perturb_priority;
}

void perturb_last(struct thread_base *t)
{
	(void)perturb_priority(t);
	t->perturb_priority = atomic_fetch_add(&last_priority, -1u);
}

void perturb_runs(struct thread_base *t)
{
	WRITE_ONCE(here()->runs, t ? perturb_priority(t) : 0);
	here()->waits = false;
}

void perturb_spins(bool spins)
{
	WRITE_ONCE(here()->spins, spins);
}

static void change_here(void)
{
	struct thread_base *t = current_base();

	(void)perturb_priority(t);
	t->perturb_priority =
		PRIORITY_CHANGED | ((uint32_t)perturb_draw() & (PRIORITY_CHANGED - 1));
	if (here()->runs)
		perturb_runs(t);
	WRITE_ONCE(this_cpu()->need_resched, 1);
}

/* Whether there is a CPU with a higher thread; if in_vain each is told that it keeps others waiting. */
static bool higher_elsewhere(bool in_vain)
{
	uint32_t mine = here()->runs;
	bool found = false;
	struct cpu *c;

	for_each_cpu (c) {
		struct perturb_cpu *other = per_cpu_ptr(perturb_cpu, c);

		if (READ_ONCE(other->runs) <= mine || READ_ONCE(other->spins))
			continue;
		found = true;
		if (in_vain)
			WRITE_ONCE(other->overdue, 1);
	}
	return found;
}

/* irqs off. Whether to wait for CPUs with higher threads. */
static bool by_priority(enum perturb_point p)
{
	uint64_t now = atomic_fetch_add(&step, 1) + 1;
	struct perturb_cpu *c = here();

	for (unsigned i = 0; i < DEPTH_MAX; i++) {
		if (READ_ONCE(change[i]) != now)
			continue;
		/* here, or at some instruction soon */
		c->change_due = perturb_draw() & 1;
		if (c->change_due)
			interrupt_soon(perturb_draw());
		else
			change_here();
	}
	if (p == PERTURB_IRQ_RETURN && c->change_due) {
		c->change_due = false;
		change_here();
	}
	if (p == PERTURB_WAKE || p == PERTURB_PUBLISH)
		WRITE_ONCE(this_cpu()->need_resched, 1);
	let_others();
	return !c->waits && c->runs != 0 && higher_elsewhere(false);
}

static void wait_for_higher(void)
{
	bool wait = true;

	for (unsigned i = 0; wait; i++) {
		irqflags_t f = arch_irq_save();

		wait = higher_elsewhere(i == WAIT_TURNS) && i < WAIT_TURNS;
		here()->waits = wait;
		arch_irq_restore(f);
		if (wait) {
			arch_spin_hint();
			dawdle(WAIT_LOOPS);
		}
	}
}

/* --- a point ---------------------------------------------------------------------------------------------------- */

void perturb(enum perturb_point p)
{
	enum perturb_mode m = perturb_mode();
	uint64_t loops = 0, pass = 0;
	bool wait = false;
	irqflags_t f;

	if (likely(m == PERTURB_OFF))
		return;
	f = arch_irq_save();
	if (asked.first && cpu_count() > 1 && here()->runs && arch_counter() >= here()->turn_end)
		begin_turn(0);
	if (m == PERTURB_RANDOM)
		loops = at_random(p, &pass);
	else if (m == PERTURB_PCT)
		wait = by_priority(p);
	else
		atomic_fetch_add(&step, 1);
	arch_irq_restore(f);
	if (wait)
		wait_for_higher();
	for (; pass; pass--)
		arch_spin_hint();
	dawdle(loops);
	/* where nothing follows that would look */
	preempt_disable();
	preempt_enable();
}
