/* SPDX-License-Identifier: MIT */
/* The scheduler, the memory and the race detector of the models; what the compiler calls for -fsanitize=thread.
 *
 * A run is a function of its choices: who takes each step, and which message each load takes. They stand in `states`, a
 * step each; the next run repeats them up to the last that has an alternative left. Which other CPUs must be tried at a
 * step is found as the run goes on (Flanagan and Godefroid): if a later access of CPU p conflicts with step i, and no
 * chain of conflicts leads from i to it, p is to be tried there as well. A CPU all of whose choices at a step have been
 * run sleeps in the alternatives until a step conflicts with its next one. */
#include "tests/model/model.h"

#include "arch/aarch64/arch.h"
#include "lib/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#pragma clang attribute push(__attribute__((disable_sanitizer_instrumentation)),                   \
			     apply_to = function)

#define WORDS	 192
#define MESSAGES 8192 /* of all words together */
#define HISTORY	 256  /* of one word */
#define STEPS	 4096
#define GRANULES 65536 /* a power of 2 */
#define CELLS	 8
#define STACK	 (64UL << 10)
#define ARENA	 (4UL << 20)
#define SHOWN	 60

/* What a CPU is bound to have seen, or what a message brings along: of each word the oldest message it may still read,
 * of each CPU up to where its plain accesses are ordered before. */
struct view {
	uint16_t word[WORDS];
	uint16_t cpu[MODEL_CPUS];
};

struct message {
	uint64_t value;
	struct view brings;
};

/* Steps of the run by which conflicts are ordered: of each CPU the last one before. */
struct clock {
	uint16_t step[MODEL_CPUS];
};

struct word {
	uintptr_t at;
	unsigned size;
	uint16_t oldest; /* what a plain store left: nothing older can be read */
	uint16_t nr;
	bool stored; /* by a plain store: memory holds one message more */
	uint16_t message[HISTORY];
	/* for the reduction: the last write, the reads since, as step + 1 */
	uint16_t written, read[MODEL_CPUS];
	uint8_t writer;
	struct clock write_clock, read_clock;
};

enum op_kind { OP_NONE, OP_LOAD, OP_STORE, OP_RMW, OP_FENCE, OP_CHOICE };

struct op {
	uint8_t kind;
	uint16_t word;
};

struct cpu_state {
	jmp_buf at;
	bool ended, idle, loops, interrupted;
	struct op next;
	struct view now;   /* may read nothing older */
	struct view heard; /* came with what it read: `now` after an acquire fence */
	struct view said;  /* `now` at its last release fence: goes with its relaxed stores */
	struct clock clock;
	uint16_t read_word, read_message; /* what it read last */
	struct cpu *cpu;
	void *current;
	bool irqs_off;
	struct model_context *starts; /* a context that begins, and what it is passed */
	void *passed;
};

struct state {
	struct op next[MODEL_CPUS];
	uint8_t can_run, wanted, done, asleep;
	uint8_t cpu, before;
	uint8_t taken, ways; /* which message, of how many */
	uint16_t preemptions;
};

/* An access to some bytes of eight. */
struct cell {
	uint8_t bytes, cpu;
	bool write, atomic;
	uint16_t clock;
	uintptr_t pc;
};

struct granule {
	uintptr_t at;
	unsigned run;
	bool freed;
	uint8_t nr, words;
	uint8_t word[8];
	struct cell cell[CELLS];
};

struct shown {
	uint8_t cpu, kind, order;
	uintptr_t at, pc;
	uint64_t value;
};

enum ending { RUNS, ENDED, REDUNDANT };

/* Nothing of this is in the program's data, which each run begins with anew. */
static struct explorer {
	const struct modelled *m;
	bool active, alone, starting;
	enum ending ending;
	unsigned self, run, steps, prefix, runs, redundant, nr_words, nr_messages, nr_shown,
		longest;
	struct cpu_state cpu[MODEL_CPUS];
	struct view fenced; /* full fences have one order */
	struct word word[WORDS];
	struct message message[MESSAGES];
	struct state state[STEPS];
	struct granule granule[GRANULES];
	struct shown shown[STEPS];
	jmp_buf main;
	ucontext_t main_context;
	char *stack, *arena, *saved;
	size_t used;
	unsigned objects;
	uint64_t noted;
} * x;

extern char __data_start[], _end[], __executable_start[];
/* Where the program is built for scripts/coverage.py: how often each line has run, in all runs together. */
extern char __start___llvm_prf_cnts[] __attribute__((weak));
extern char __stop___llvm_prf_cnts[] __attribute__((weak));

static void join(struct view *v, const struct view *other)
{
	for (unsigned i = 0; i < x->nr_words; i++)
		v->word[i] = MAX(v->word[i], other->word[i]);
	for (unsigned i = 0; i < MODEL_CPUS; i++)
		v->cpu[i] = MAX(v->cpu[i], other->cpu[i]);
}

static void join_clock(struct clock *c, const struct clock *other)
{
	for (unsigned i = 0; i < MODEL_CPUS; i++)
		c->step[i] = MAX(c->step[i], other->step[i]);
}

/* --- what is said of a run that goes wrong -------------------------------------------------------------------- */

/* "function file:line" of n addresses, by the symbolizer; empty if there is none. */
static void find_places(const uintptr_t *pc, unsigned n, char (*place)[200])
{
	static char command[200 + 20 * (SHOWN + 2)];
	char path[100], line[200];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	unsigned at = 0;
	FILE *f;

	memset(place, 0, n * sizeof(*place));
	path[MAX(len, 0)] = 0;
	at = (unsigned)snprintf(command, sizeof(command), "llvm-symbolizer -p -s -e %s", path);
	for (unsigned i = 0; i < n; i++)
		at += (unsigned)snprintf(
			command + at, sizeof(command) - at, " %#lx",
			(unsigned long)(pc[i] - 1 - (uintptr_t)__executable_start));
	snprintf(command + at, sizeof(command) - at, " 2>/dev/null");
	f = popen(command, "r");
	/* an empty line ends each */
	for (unsigned i = 0; f && i < n && fgets(line, sizeof(line), f);) {
		if (line[0] == '\n')
			i++;
		else
			snprintf(place[i] + strlen(place[i]), sizeof(*place) - strlen(place[i]),
				 " %.*s", (int)strcspn(line, "\n"), line);
	}
	if (f)
		pclose(f);
}

static void print_run(void)
{
	static const char *const kinds[] = { "", "load", "store", "rmw", "fence", "choice" };
	static const char *const orders[] = { "relaxed", "consume", "acquire",
					      "release", "acq_rel", "seq_cst" };
	unsigned first = x->nr_shown > SHOWN ? x->nr_shown - SHOWN : 0;
	/* not on a small stack */
	static uintptr_t pc[SHOWN];
	static char place[SHOWN][200];

	for (unsigned i = first; i < x->nr_shown; i++)
		pc[i - first] = x->shown[i].pc;
	find_places(pc, x->nr_shown - first, place);
	printf("the run, its last %u steps:\n", x->nr_shown - first);
	for (unsigned i = first; i < x->nr_shown; i++) {
		struct shown *s = &x->shown[i];

		printf("  cpu %u: %-6s %-8s %#lx: %#llx %s\n", s->cpu, kinds[s->kind],
		       orders[s->order], (unsigned long)s->at, (unsigned long long)s->value,
		       place[i - first]);
	}
	fflush(stdout);
}

void model_fail(const char *file, int line, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	x->active = false;
	print_run();
	test_fail(file, line, "run %u: %s", x->runs + 1, text);
}

static void __noreturn fail_race(const struct cell *c, uintptr_t at, uintptr_t pc, bool write)
{
	uintptr_t both[2] = { pc, c->pc };
	char place[2][200];

	x->active = false;
	print_run();
	find_places(both, 2, place);
	printf("cpu %u %s %#lx:%s\n", x->self, write ? "writes" : "reads", (unsigned long)at,
	       place[0]);
	printf("cpu %u %s it:%s\n", c->cpu, c->write ? "has written" : "has read", place[1]);
	test_fail("model.c", 0, "run %u: data race", x->runs + 1);
}

static void __noreturn out_of(const char *what)
{
	model_fail("model.c", 0, "the model has too many %s", what);
}

static void show(enum op_kind kind, uintptr_t at, uint64_t value, int order, uintptr_t pc)
{
	if (x->nr_shown < STEPS)
		x->shown[x->nr_shown++] = (struct shown){
			(uint8_t)x->self, (uint8_t)kind, (uint8_t)order, at, pc, value
		};
}

/* --- places ---------------------------------------------------------------------------------------------------- */

static struct granule *granule_of(uintptr_t at)
{
	uintptr_t key = at >> 3;
	size_t i = (key * 0x9e3779b97f4a7c15u) >> 48;

	for (;; i++) {
		struct granule *g = &x->granule[i % GRANULES];

		if (g->run != x->run) {
			g->run = x->run;
			g->at = key;
			g->nr = g->words = 0;
			g->freed = false;
			return g;
		}
		if (g->at == key)
			return g;
	}
}

static void touch(struct granule *g, uintptr_t at, uint8_t bytes, bool write, bool atomic,
		  uintptr_t pc)
{
	struct view *now = &x->cpu[x->self].now;
	unsigned kept = 0;

	if (g->freed) {
		show(write ? OP_STORE : OP_LOAD, at, 0, 0, pc);
		model_fail("model.c", 0, "use after free");
	}
	for (struct cell *c = g->cell; c < g->cell + g->nr; c++) {
		bool seen = c->cpu == x->self || c->clock <= now->cpu[c->cpu];

		if ((c->bytes & bytes) && (c->write || write) && !(c->atomic && atomic) && !seen)
			fail_race(c, at, pc, write);
		/* else who races with it races with us */
		if (!seen || (c->bytes & ~bytes) || (c->write && !write) || (!c->atomic && atomic))
			g->cell[kept++] = *c;
	}
	if (kept == CELLS)
		out_of("accesses to one place");
	g->cell[kept] =
		(struct cell){ bytes, (uint8_t)x->self, write, atomic, now->cpu[x->self], pc };
	g->nr = (uint8_t)(kept + 1);
}

static void plain(const void *p, size_t n, bool write, uintptr_t pc)
{
	uintptr_t at = (uintptr_t)p, end = at + n;

	if (!x || !x->active || p == (void *)&shim_cpu || p == (void *)&shim_current ||
	    p == (void *)&shim_irqs_off)
		return;
	while (at < end) {
		uintptr_t next = MIN((at | 7) + 1, end);
		struct granule *g = granule_of(at);
		uint8_t bytes = (uint8_t)(((1u << (next - at)) - 1) << (at & 7));

		touch(g, at, bytes, write, false, pc);
		if (write)
			for (unsigned i = 0; i < g->words; i++)
				x->word[g->word[i]].stored = true;
		at = next;
	}
}

static uint64_t memory(uintptr_t at, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, (void *)at, size);
	return value;
}

static struct message *add_message(struct word *w, uint64_t value)
{
	struct message *m = &x->message[x->nr_messages];

	if (x->nr_messages == MESSAGES || w->nr == HISTORY)
		out_of("stores");
	w->message[w->nr++] = (uint16_t)x->nr_messages++;
	m->value = value;
	memset(&m->brings, 0, sizeof(m->brings));
	return m;
}

static struct word *word_of(uintptr_t at, unsigned size)
{
	struct granule *g = granule_of(at);
	struct word *w;

	for (unsigned i = 0; i < g->words; i++) {
		w = &x->word[g->word[i]];
		if (w->at == at && w->size == size)
			return w;
		if (w->at < at + size && at < w->at + w->size)
			model_fail("model.c", 0, "atomic accesses of two sizes overlap");
	}
	if (x->nr_words == WORDS)
		out_of("words");
	w = &x->word[x->nr_words];
	memset(w, 0, offsetof(struct word, message));
	memset(&w->written, 0, sizeof(*w) - offsetof(struct word, written));
	w->at = at;
	w->size = size;
	/* of what the views say nothing, all may read the first */
	for (unsigned i = 0; i < MODEL_CPUS; i++) {
		x->cpu[i].now.word[x->nr_words] = 0;
		x->cpu[i].heard.word[x->nr_words] = 0;
		x->cpu[i].said.word[x->nr_words] = 0;
	}
	x->fenced.word[x->nr_words] = 0;
	g->word[g->words++] = (uint8_t)x->nr_words++;
	(void)add_message(w, memory(at, size));
	return w;
}

/* --- who goes on ------------------------------------------------------------------------------------------------ */

static bool conflict(struct op a, struct op b)
{
	if (a.kind == OP_NONE || b.kind == OP_NONE || a.kind == OP_CHOICE || b.kind == OP_CHOICE)
		return false;
	return a.word == b.word && !(a.kind == OP_LOAD && b.kind == OP_LOAD);
}

/* It may go on unless it waits for a message that nobody has sent yet. */
static bool can_run(const struct cpu_state *c)
{
	const struct word *w = &x->word[c->next.word];

	if (c->ended)
		return false;
	if (c->next.kind != OP_LOAD && c->next.kind != OP_RMW)
		return true;
	return c->now.word[c->next.word] < w->nr || w->stored;
}

static void __noreturn go_main(unsigned unused)
{
	(void)unused;
	_longjmp(x->main, 1);
}

/* Step i conflicts with what CPU p does next; no chain of conflicts leads from the one to the other. */
static void want(unsigned i, unsigned p)
{
	struct state *s = &x->state[i];
	const struct clock *c = &x->cpu[p].clock;

	if (s->can_run & BIT(p)) {
		s->wanted |= (uint8_t)BIT(p);
		return;
	}
	/* the same access, which could not be made there */
	if (c->step[p] <= i)
		return;
	for (unsigned q = 0; q < x->m->cpus; q++)
		if ((s->can_run & BIT(q)) && c->step[q] > i + 1) {
			s->wanted |= (uint8_t)BIT(q);
			return;
		}
	s->wanted |= s->can_run;
}

/* Where preemptions are counted, p is wanted where the CPU of step i came on, too: that costs none. */
static void want_bounded(unsigned i, unsigned p)
{
	want(i, p);
	if (!x->m->preemptions)
		return;
	while (i && x->state[i - 1].cpu == x->state[i].cpu)
		i--;
	if (x->state[i].can_run & BIT(p))
		x->state[i].wanted |= (uint8_t)BIT(p);
	else
		x->state[i].wanted |= x->state[i].can_run;
}

/* CPU p takes step i. */
static void order_step(unsigned i, unsigned p)
{
	struct cpu_state *c = &x->cpu[p];
	struct word *w = &x->word[c->next.word];
	bool fresh = i + 1 >= x->prefix;

	if (c->next.kind != OP_CHOICE) {
		bool write = c->next.kind != OP_LOAD;

		if (fresh && w->written && c->clock.step[w->writer] < w->written && w->writer != p)
			want_bounded(w->written - 1u, p);
		for (unsigned q = 0; fresh && write && q < x->m->cpus; q++)
			if (q != p && w->read[q] && c->clock.step[q] < w->read[q])
				want_bounded(w->read[q] - 1u, p);
		join_clock(&c->clock, &w->write_clock);
		if (write)
			join_clock(&c->clock, &w->read_clock);
		c->clock.step[p] = (uint16_t)(i + 1);
		if (write) {
			w->write_clock = c->clock;
			w->written = (uint16_t)(i + 1);
			w->writer = (uint8_t)p;
			memset(w->read, 0, sizeof(w->read));
		} else {
			w->read[p] = (uint16_t)(i + 1);
			join_clock(&w->read_clock, &c->clock);
		}
	}
	c->clock.step[p] = (uint16_t)(i + 1);
}

static unsigned choose_one(unsigned mask, unsigned first)
{
	return mask & BIT(first) ? first : (unsigned)__builtin_ctz(mask);
}

/* Those of them that may be tried at this step. */
static unsigned allowed(const struct state *s, unsigned mask)
{
	if (!x->m->preemptions)
		return x->m->unreduced ? mask : mask & ~(unsigned)s->asleep;
	if ((s->can_run & BIT(s->before)) && s->preemptions >= x->m->preemptions)
		return mask & BIT(s->before);
	return mask;
}

static void new_state(struct state *s)
{
	struct state *last = x->steps ? s - 1 : NULL;

	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < x->m->cpus; i++) {
		s->next[i] = x->cpu[i].next;
		if (can_run(&x->cpu[i]))
			s->can_run |= (uint8_t)BIT(i);
	}
	if (!last)
		return;
	s->before = last->cpu;
	s->preemptions = last->preemptions;
	if (last->before != last->cpu && (last->can_run & BIT(last->before)) && x->steps > 1)
		s->preemptions++;
	for (unsigned i = 0; i < x->m->cpus; i++)
		if (((last->asleep | last->done) & BIT(i)) && i != last->cpu &&
		    !conflict(last->next[i], last->next[last->cpu]))
			s->asleep |= (uint8_t)BIT(i);
}

/* Decide who takes the next step, and count it. */
static unsigned next_step(void)
{
	struct state *s = &x->state[x->steps];

	if (x->steps == STEPS)
		model_fail("model.c", 0, "no end after %u steps", STEPS);
	if (x->steps >= x->prefix) {
		unsigned could;

		new_state(s);
		could = allowed(s, s->can_run);
		if (!could) {
			x->ending = s->can_run ? REDUNDANT : ENDED;
			go_main(0);
		}
		s->cpu = (uint8_t)choose_one(could, s->before);
		s->wanted = x->m->unreduced ? s->can_run : (uint8_t)BIT(s->cpu);
	}
	order_step(x->steps++, s->cpu);
	return s->cpu;
}

static void __noreturn go_on(unsigned cpu)
{
	x->self = cpu;
	shim_cpu = x->cpu[cpu].cpu;
	shim_current = x->cpu[cpu].current;
	shim_irqs_off = x->cpu[cpu].irqs_off;
	_longjmp(x->cpu[cpu].at, 1);
}

/* Returns when somebody goes on with this CPU. */
static void leave(void __attribute__((noreturn)) (*to)(unsigned), unsigned cpu)
{
	struct cpu_state *c = &x->cpu[x->self];

	c->cpu = shim_cpu;
	c->current = shim_current;
	c->irqs_off = shim_irqs_off;
	if (!_setjmp(c->at))
		to(cpu);
}

/* Before each access that others could tell the place of. */
static void point(enum op_kind kind, struct word *w)
{
	struct cpu_state *c = &x->cpu[x->self];

	c->next = (struct op){ (uint8_t)kind, w ? (uint16_t)(w - x->word) : 0 };
	if (x->starting) {
		leave(go_main, 0);
	} else {
		unsigned cpu = next_step();

		if (cpu != x->self)
			leave(go_on, cpu);
	}
	c->idle = false;
	c->next.kind = OP_NONE;
	c->now.cpu[x->self]++;
}

/* Of n ways this run's; the first is taken first. */
static unsigned choose(unsigned n)
{
	struct state *s;

	if (x->alone)
		return 0;
	s = &x->state[x->steps - 1];
	s->ways = (uint8_t)n;
	return s->taken;
}

unsigned model_choose(unsigned n)
{
	unsigned way;

	point(OP_CHOICE, NULL);
	way = choose(n);
	show(OP_CHOICE, 0, way, 0, (uintptr_t)__builtin_return_address(0));
	return way;
}

static void wait_for_news(void)
{
	struct cpu_state *c = &x->cpu[x->self];
	uint16_t *oldest = &c->now.word[c->read_word];

	if (x->alone)
		model_fail("model.c", 0, "waits, alone");
	*oldest = MAX(*oldest, (uint16_t)(c->read_message + 1));
}

void model_spin(void)
{
	if (x && x->active)
		wait_for_news();
}

void model_idle(void)
{
	wait_for_news();
	x->cpu[x->self].idle = true;
}

void model_note(unsigned bit)
{
	x->noted |= BIT(bit);
}

bool model_all_ended(void)
{
	for (unsigned i = 0; i < x->m->cpus; i++)
		if (!x->cpu[i].ended)
			return false;
	return true;
}

unsigned model_cpu(void)
{
	return x->self;
}

#define HEADER 64 /* with the size */

void *model_alloc(size_t size)
{
	char *p = x->arena + x->used;

	x->used += ALIGN_UP(size, 64UL) + HEADER;
	if (x->used > ARENA)
		out_of("bytes");
	memset(p + HEADER, 0, size);
	memcpy(p, &size, sizeof(size));
	x->objects++;
	return p + HEADER;
}

void model_free(void *p)
{
	size_t size;

	if (!p)
		return;
	memcpy(&size, (char *)p - HEADER, sizeof(size));
	/* who has not seen that it is free must not have touched it since */
	plain(p, size, true, (uintptr_t)__builtin_return_address(0));
	for (uintptr_t at = (uintptr_t)p; at < (uintptr_t)p + size; at += 8)
		granule_of(at)->freed = true;
	x->objects--;
}

unsigned model_objects(void)
{
	return x->objects;
}

struct model_context {
	jmp_buf at;
	void *stack;
	size_t size;
	void (*entry)(void *passed, void *arg);
	void *arg;
};

struct model_context *model_context(void *stack, size_t size,
				    void (*entry)(void *passed, void *arg), void *arg)
{
	struct model_context *c = model_alloc(sizeof(*c));

	*c = (struct model_context){ .stack = stack, .size = size, .entry = entry, .arg = arg };
	return c;
}

static void context_main(void)
{
	struct cpu_state *c = &x->cpu[x->self];

	c->starts->entry(c->passed, c->starts->arg);
	model_fail("model.c", 0, "a context has returned");
}

static void __noreturn enter(struct model_context *to)
{
	ucontext_t c;

	if (!to->entry)
		_longjmp(to->at, 1);
	getcontext(&c);
	c.uc_stack.ss_sp = to->stack;
	c.uc_stack.ss_size = to->size;
	c.uc_link = NULL;
	makecontext(&c, context_main, 0);
	x->cpu[x->self].starts = to;
	setcontext(&c);
	abort();
}

void *model_switch(struct model_context *from, struct model_context *to, void *pass)
{
	x->cpu[x->self].passed = pass;
	if (!_setjmp(from->at)) {
		from->entry = NULL;
		enter(to);
	}
	return x->cpu[x->self].passed;
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static bool acquires(int order)
{
	return order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
}

static bool releases(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static void interrupt(void)
{
	struct cpu_state *c = &x->cpu[x->self];

	if (!x->m->interrupt || shim_irqs_off || c->interrupted)
		return;
	c->interrupted = model_choose(2);
	if (!c->interrupted)
		return;
	shim_irqs_off = true;
	x->m->interrupt();
	shim_irqs_off = false;
}

/* The word there, with what plain stores have left, when this CPU's turn has come. */
static struct word *begin(enum op_kind kind, const volatile void *p, unsigned size, uintptr_t pc)
{
	uintptr_t at = (uintptr_t)p;
	struct word *w;

	interrupt();
	w = word_of(at, size);
	point(kind, w);
	touch(granule_of(at), at, (uint8_t)(((1u << size) - 1) << (at & 7)), kind != OP_LOAD, true,
	      pc);
	if (w->stored) {
		w->stored = false;
		if (x->message[w->message[w->nr - 1]].value != memory(at, size))
			(void)add_message(w, memory(at, size));
		w->oldest = (uint16_t)(w->nr - 1);
	}
	return w;
}

static uint64_t take(struct word *w, unsigned which, int order)
{
	struct cpu_state *c = &x->cpu[x->self];
	unsigned i = (unsigned)(w - x->word);
	struct message *m = &x->message[w->message[which]];

	c->now.word[i] = MAX(c->now.word[i], (uint16_t)which);
	c->read_word = (uint16_t)i;
	c->read_message = (uint16_t)which;
	join(&c->heard, &m->brings);
	if (acquires(order))
		join(&c->now, &m->brings);
	return m->value;
}

/* from: what a read-modify-write has read, whose message goes on with this one; NULL: a store. */
static void put(struct word *w, uint64_t value, int order, const struct message *from)
{
	struct cpu_state *c = &x->cpu[x->self];
	unsigned i = (unsigned)(w - x->word);
	struct message *m = add_message(w, value);

	c->now.word[i] = (uint16_t)(w->nr - 1);
	m->brings = releases(order) ? c->now : c->said;
	m->brings.word[i] = (uint16_t)(w->nr - 1);
	if (from)
		join(&m->brings, &from->brings);
	memcpy((void *)w->at, &value, w->size);
	c->now.cpu[x->self]++;
}

static unsigned oldest_of(const struct word *w)
{
	return MAX(x->cpu[x->self].now.word[w - x->word], w->oldest);
}

/* What one CPU does alone is seen by all. */
static bool modelled(void)
{
	return x && x->active && !x->alone;
}

/* The compiler adds to one as the model's CPUs add to anything. */
static bool is_counter(const volatile void *p)
{
	return (uintptr_t)p >= (uintptr_t)__start___llvm_prf_cnts &&
	       (uintptr_t)p < (uintptr_t)__stop___llvm_prf_cnts;
}

static uint64_t load(const volatile void *p, unsigned size, int order, uintptr_t pc)
{
	struct word *w;
	uint64_t value;

	if (!modelled())
		return memory((uintptr_t)p, size);
	w = begin(OP_LOAD, p, size, pc);
	value = take(w, w->nr - 1u - choose(w->nr - oldest_of(w)), order);
	show(OP_LOAD, (uintptr_t)p, value, order, pc);
	return value;
}

static void store(volatile void *p, unsigned size, uint64_t value, int order, uintptr_t pc)
{
	if (!modelled()) {
		memcpy((void *)p, &value, size);
		return;
	}
	put(begin(OP_STORE, p, size, pc), value, order, NULL);
	show(OP_STORE, (uintptr_t)p, value, order, pc);
}

enum rmw { RMW_SET, RMW_ADD, RMW_SUB, RMW_AND, RMW_OR, RMW_XOR };

static uint64_t compute(enum rmw what, uint64_t old, uint64_t value)
{
	switch (what) {
	case RMW_ADD:
		return old + value;
	case RMW_SUB:
		return old - value;
	case RMW_AND:
		return old & value;
	case RMW_OR:
		return old | value;
	case RMW_XOR:
		return old ^ value;
	default:
		return value;
	}
}

static uint64_t rmw(volatile void *p, unsigned size, enum rmw what, uint64_t value, int order,
		    uintptr_t pc)
{
	struct word *w;
	uint64_t old, new;
	struct message *m;

	if (!modelled() || is_counter(p)) {
		old = memory((uintptr_t)p, size);
		new = compute(what, old, value);
		memcpy((void *)p, &new, size);
		return old;
	}
	w = begin(OP_RMW, p, size, pc);
	m = &x->message[w->message[w->nr - 1]];
	old = take(w, w->nr - 1u, order);
	new = compute(what, old, value);
	put(w, new, order, m);
	show(OP_RMW, w->at, new, order, pc);
	return old;
}

/* An old message that it may fail by: the which-th older than the newest; none: the newest. */
static unsigned old_message(const struct word *w, uint64_t expected)
{
	unsigned oldest = oldest_of(w), n = 0;
	uint16_t older[HISTORY];

	for (unsigned i = w->nr - 1u; x->m->stale_cas && i-- > oldest;)
		if (x->message[w->message[i]].value != expected)
			older[n++] = (uint16_t)i;
	n = choose(n + 1);
	return n ? older[n - 1] : w->nr - 1u;
}

static uint64_t exchange_if(volatile void *p, unsigned size, uint64_t expected, uint64_t value,
			    int order, int failed, uintptr_t pc)
{
	struct word *w;
	unsigned which;
	uint64_t old;
	struct message *m;

	if (!modelled()) {
		old = memory((uintptr_t)p, size);
		if (old == expected)
			memcpy((void *)p, &value, size);
		return old;
	}
	w = begin(OP_RMW, p, size, pc);
	which = old_message(w, expected);
	m = &x->message[w->message[which]];
	if (m->value == expected) {
		old = take(w, which, order);
		put(w, value, order, m);
	} else {
		old = take(w, which, failed);
		order = failed;
	}
	show(old == expected ? OP_RMW : OP_LOAD, w->at, old == expected ? value : old, order, pc);
	return old;
}

static void fence(int order, uintptr_t pc)
{
	struct cpu_state *c;

	if (!modelled())
		return;
	c = &x->cpu[x->self];
	if (order == __ATOMIC_SEQ_CST)
		point(OP_FENCE, &x->word[0]);
	if (acquires(order))
		join(&c->now, &c->heard);
	if (order == __ATOMIC_SEQ_CST) {
		join(&c->now, &x->fenced);
		x->fenced = c->now;
	}
	if (releases(order))
		c->said = c->now;
	c->now.cpu[x->self]++;
	show(OP_FENCE, 0, 0, order, pc);
}

/* --- runs ----------------------------------------------------------------------------------------------------------- */

static void cpu_main(void)
{
	unsigned i = x->self;
	void (*run)(void);

	while (!x->m->run[i])
		i--;
	run = x->m->run[i];
	run();
	x->cpu[x->self].ended = true;
	if (x->starting)
		go_main(0);
	go_on(next_step());
}

static void start_cpu(unsigned i)
{
	ucontext_t c;

	x->self = i;
	shim_cpu = x->cpu[0].cpu;
	shim_current = x->cpu[0].current;
	shim_irqs_off = false;
	getcontext(&c);
	c.uc_stack.ss_sp = x->stack + i * STACK;
	c.uc_stack.ss_size = STACK;
	c.uc_link = NULL;
	makecontext(&c, cpu_main, 0);
	if (!_setjmp(x->main))
		setcontext(&c);
}

static void copy_data(char *to, const char *from)
{
	size_t size = (size_t)(_end - __data_start), counters = size, behind = size;

	if (__start___llvm_prf_cnts) {
		counters = (size_t)(__start___llvm_prf_cnts - __data_start);
		behind = (size_t)(__stop___llvm_prf_cnts - __data_start);
	}
	memcpy(to, from, counters);
	memcpy(to + behind, from + behind, size - behind);
}

static void reset(void)
{
	copy_data(__data_start, x->saved);
	x->run++;
	x->ending = RUNS;
	x->self = x->steps = x->nr_messages = x->nr_shown = 0;
	x->used = x->objects = 0;
	x->nr_words = 1; /* that of the fences */
	memset(&x->word[0], 0, sizeof(x->word[0]));
	memset(&x->fenced, 0, sizeof(x->fenced));
	memset(x->cpu, 0, sizeof(x->cpu));
	x->cpu[0].now.cpu[0] = 1;
}

static void one_run(void)
{
	reset();
	x->active = x->alone = true;
	x->m->setup();
	x->alone = false;
	x->cpu[0].cpu = shim_cpu;
	x->cpu[0].current = shim_current;
	/* whoever starts knows what was done so far */
	x->cpu[0].now.cpu[0]++;
	for (unsigned i = 1; i < x->m->cpus; i++) {
		x->cpu[i].now = x->cpu[0].now;
		x->cpu[i].now.cpu[0]--;
		x->cpu[i].now.cpu[i] = 1;
	}
	x->starting = true;
	for (unsigned i = 0; i < x->m->cpus; i++)
		start_cpu(i);
	x->starting = false;
	if (!_setjmp(x->main))
		go_on(next_step());
	if (x->ending == REDUNDANT) {
		x->active = false;
		return;
	}
	for (unsigned i = 0; i < x->m->cpus; i++) {
		if (!x->cpu[i].ended && !x->cpu[i].idle)
			model_fail("model.c", 0, "hangs: cpu %u waits for what nobody stores", i);
		join(&x->cpu[0].now, &x->cpu[i].now);
	}
	x->self = 0;
	x->alone = true;
	if (x->m->end)
		x->m->end();
	x->active = false;
}

/* The next run repeats this one up to its last step that can go otherwise. False: there is none. */
static bool next_run(void)
{
	for (unsigned i = x->steps; i-- > 0;) {
		struct state *s = &x->state[i];
		unsigned left;

		x->prefix = i + 1;
		if (s->taken + 1u < s->ways) {
			s->taken++;
			return true;
		}
		s->done |= (uint8_t)BIT(s->cpu);
		left = allowed(s, s->wanted & s->can_run) & ~(unsigned)s->done;
		if (left) {
			s->cpu = (uint8_t)choose_one(left, s->before);
			s->taken = s->ways = 0;
			return true;
		}
	}
	return false;
}

uint64_t model_explore(const char *name, const struct modelled *m)
{
	size_t size = (size_t)(_end - __data_start);
	struct explorer *e;
	uint64_t noted;

	e = mmap(NULL, sizeof(*e), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (e == MAP_FAILED)
		abort();
	x = e;
	x->m = m;
	x->stack = aligned_alloc(4096, STACK * MODEL_CPUS);
	x->arena = aligned_alloc(4096, ARENA);
	x->saved = malloc(size);
	copy_data(x->saved, __data_start);
	do {
		one_run();
		x->longest = MAX(x->longest, x->steps);
		if (x->ending == REDUNDANT)
			x->redundant++;
		else
			x->runs++;
	} while (next_run());
	printf("model %s: %u runs of up to %u steps, ", name, x->runs, x->longest);
	if (m->preemptions)
		printf("all with up to %u preemptions\n", m->preemptions);
	else
		printf("exhaustive (%u more given up as others' orders)\n", x->redundant);
	copy_data(__data_start, x->saved);
	free(x->saved);
	free(x->arena);
	free(x->stack);
	noted = x->noted;
	x = NULL;
	munmap(e, sizeof(*e));
	return noted;
}

/* --- what the compiler calls ------------------------------------------------------------------------------------------ */

#define PC ((uintptr_t)__builtin_return_address(0))

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

#define PLAIN(n)                                                                                   \
	void __tsan_read##n(void *p);                                                              \
	void __tsan_read##n(void *p)                                                               \
	{                                                                                          \
		plain(p, n, false, PC);                                                            \
	}                                                                                          \
	void __tsan_write##n(void *p);                                                             \
	void __tsan_write##n(void *p)                                                              \
	{                                                                                          \
		plain(p, n, true, PC);                                                             \
	}                                                                                          \
	void __tsan_unaligned_read##n(void *p);                                                    \
	void __tsan_unaligned_read##n(void *p)                                                     \
	{                                                                                          \
		plain(p, n, false, PC);                                                            \
	}                                                                                          \
	void __tsan_unaligned_write##n(void *p);                                                   \
	void __tsan_unaligned_write##n(void *p)                                                    \
	{                                                                                          \
		plain(p, n, true, PC);                                                             \
	}

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

#define FETCH(bits, type, name, what)                                                              \
	type __tsan_atomic##bits##_##name(volatile type *p, type v, int order);                    \
	type __tsan_atomic##bits##_##name(volatile type *p, type v, int order)                     \
	{                                                                                          \
		return (type)rmw(p, sizeof(type), what, v, order, PC);                             \
	}

#define ATOMIC(bits, type)                                                                         \
	type __tsan_atomic##bits##_load(const volatile type *p, int order);                        \
	type __tsan_atomic##bits##_load(const volatile type *p, int order)                         \
	{                                                                                          \
		return (type)load(p, sizeof(type), order, PC);                                     \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile type *p, type v, int order);                     \
	void __tsan_atomic##bits##_store(volatile type *p, type v, int order)                      \
	{                                                                                          \
		store(p, sizeof(type), v, order, PC);                                              \
	}                                                                                          \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type expected, type v,   \
							int order, int failed);                    \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type expected, type v,   \
							int order, int failed)                     \
	{                                                                                          \
		return (type)exchange_if(p, sizeof(type), expected, v, order, failed, PC);         \
	}                                                                                          \
	FETCH(bits, type, exchange, RMW_SET)                                                       \
	FETCH(bits, type, fetch_add, RMW_ADD)                                                      \
	FETCH(bits, type, fetch_sub, RMW_SUB)                                                      \
	FETCH(bits, type, fetch_and, RMW_AND)                                                      \
	FETCH(bits, type, fetch_or, RMW_OR)                                                        \
	FETCH(bits, type, fetch_xor, RMW_XOR)

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	fence(order, PC);
}

void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

#pragma clang attribute pop
