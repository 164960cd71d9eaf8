/* SPDX-License-Identifier: MIT */
/* The runtime of the race detector: what the compiler calls before each access and instead of each atomic operation. Of
 * the plain accesses few are watched: the address goes into a table that every access looks into, and the CPU stands still
 * for some microseconds, interrupts off. Each place in the code is counted by itself: its first access is watched, then ever
 * fewer, so that what runs seldom is watched as often as can be, and what runs all the time costs little. An access of
 * another CPU that meets it in the table is the other side of a race, and leaves its backtrace; a value that has changed when
 * nobody was met had a writer that is not instrumented. Whoever holds a lock that keeps the others out meets nobody, so
 * nothing need be known of locks. Not instrumented itself. */
#include "kernel/core/kcsan.h"

#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"
#include "lib/atomic.h"
#include "lib/string.h"

#define WATCHES                                                                                    \
	64 /* accesses that may be watched at a time; two whose slot is one wait for another day */
#define FRAMES 14  /* of each side's backtrace */
#define KNOWN  256 /* pairs of places reported; each but once */
#define EVERY                                                                                      \
	2000 /* plain accesses of a place from one that is watched to the next, on average, at most */
#define EVERY_MAX 32767UL
#define PLACES	  65536
#define DELAY_NS  20000
#define IN_IRQ_NS 4000
#define NAME_SIZE 24
#define GRANULE	  8UL
#define CALLER	  ((uintptr_t)__builtin_return_address(0))

enum kind { READ, WRITE = 1, MARKED = 2 };

/* A slot: 0 if free, else the low 48 bits of an address, the size (1 to 8, within a granule) and the kind, as watched(); or
 * one of these, while a side that met it writes down who it is, and then. */
#define MET   1UL
#define NOTED 2UL

struct side {
	uintptr_t at;
	size_t size;
	enum kind kind;
	unsigned cpu;
	int thread;
	int irq_depth;
	char name[NAME_SIZE]; /* a copy: the thread may be gone when it is printed */
	unsigned n;
	uintptr_t pc[FRAMES];
};

struct sampler {
	uint64_t x; /* [cpu] */
	bool busy;  /* [cpu] in here: nothing is watched or met */
};

static DEFINE_PER_CPU(struct sampler, sampler);
/* Not in bss, which a restart finds as it was. */
static bool on __section(".data.kcsan"); /* [atomic] */
static unsigned every;			 /* [atomic] */
static unsigned at_boot;		 /* [init] what races= says */
static uint64_t counts_per_us;		 /* [init] of the counter */
static uint64_t slots[WATCHES];		 /* [atomic] */
static struct side met[WATCHES]; /* [whoever set its slot to MET; after NOTED the watcher] */

static unsigned reporting; /* [atomic] 1: a report is being printed */
static struct side mine;   /* [reporting] */
static struct {
	uintptr_t a, b;
} known[KNOWN];				   /* [reporting] */
static unsigned nr_known;		   /* [reporting] */
static uintptr_t expected_lo, expected_hi; /* [atomic] */
static unsigned nr_expected;		   /* [atomic] */

/* A place, or several of one hash. [approximate: CPUs count over each other] */
static struct {
	uint16_t left;	/* plain accesses until one is watched */
	uint16_t every; /* from the last to that, on average */
} places[PLACES];

static uint64_t *slot_of(uintptr_t p)
{
	uintptr_t g = p / GRANULE;

	return &slots[(g ^ g / WATCHES) % WATCHES];
}

#define ADDRESS_BITS 48
#define LOW(p)	     ((p) & (BIT(ADDRESS_BITS) - 1))

static uint64_t watched(uintptr_t p, size_t n, enum kind kind)
{
	return BIT(63) | (uint64_t)kind << 56 | (uint64_t)n << ADDRESS_BITS | LOW(p);
}

/* Does an access of n bytes at p race with what the slot says? */
static bool races(uint64_t slot, uintptr_t p, size_t n, enum kind kind)
{
	uintptr_t at = LOW(slot);
	size_t size = slot >> ADDRESS_BITS & 15;

	return (slot & BIT(63)) && LOW(p) < at + size && at < LOW(p) + n &&
	       ((kind & WRITE) || (slot >> 56 & WRITE));
}

/* --- reports ------------------------------------------------------------------------------------------------- */

static bool note_frame(uintptr_t pc, void *arg)
{
	struct side *s = arg;

	/* the first is whoever touched the memory: what lies above it is this file */
	if (s->n > 0 || pc == s->pc[0])
		s->pc[s->n++] = pc;
	return s->n < FRAMES;
}

static void note_side(struct side *s, uintptr_t p, size_t n, enum kind kind, uintptr_t pc)
{
	const struct thread_base *t = current_base();

	*s = (struct side){ .at = p,
			    .size = n,
			    .kind = kind,
			    .cpu = arch_cpu()->id,
			    .thread = t->id,
			    .irq_depth = arch_cpu()->irq_depth,

			    .pc = { pc } };
	str_copy(s->name, t->name, sizeof(s->name));
	arch_backtrace((uintptr_t)__builtin_frame_address(0), t->stack_lo, t->stack_hi, note_frame,
		       s);
	s->n = MAX(s->n, 1U);
}

static const char *kind_name(enum kind kind)
{
	switch (kind) {
	case READ:
		return "read";
	case WRITE:
		return "write";
	case READ | MARKED:
		return "marked read";
	default:
		return "marked write";
	}
}

static void print_side(const struct side *s)
{
	log_warn("core: %s of %zu bytes at %lx, cpu %u, thread %d %s%s:", kind_name(s->kind),
		 s->size, s->at, s->cpu, s->thread, s->name,
		 s->irq_depth ? ", in an interrupt" : "");
	for (unsigned i = 0; i < s->n; i++) {
		size_t offset;
		/* a return address: the call is the instruction before */
		const char *name = symbol_of(s->pc[i] - 4, &offset);

		log_warn("core:   %lx %s+0x%zx", s->pc[i], name, offset + 4);
	}
}

static bool is_known(uintptr_t a, uintptr_t b)
{
	for (unsigned i = 0; i < nr_known; i++)
		if ((known[i].a == a && known[i].b == b) || (known[i].a == b && known[i].b == a))
			return true;
	if (nr_known < KNOWN) {
		known[nr_known].a = a;
		known[nr_known++].b = b;
	}
	return false;
}

static bool is_expected(uintptr_t p)
{
	return p >= READ_ONCE(expected_lo) && p < READ_ONCE(expected_hi);
}

/* other: NULL if the value changed and nobody was met. irqs off, busy, LOG not held. */
static void report(uintptr_t p, size_t n, enum kind kind, uintptr_t pc, const struct side *other)
{
	bool expected = is_expected(p);
	size_t offset;

	while (atomic_exchange(&reporting, 1))
		arch_spin_hint();
	if (expected || !is_known(pc, other ? other->pc[0] : 0)) {
		/* a test expects to see both sides */
		if (expected && other)
			atomic_add_relaxed(&nr_expected, 1);
		note_side(&mine, p, n, kind, pc);
		log_warn("%s kcsan: data race of %s and %s",
			 expected ? "expected:" : "BUG:", symbol_of(pc - 4, &offset),
			 other ? symbol_of(other->pc[0] - 4, &offset)
			       : "somebody not instrumented");
		print_side(&mine);
		if (other)
			print_side(other);
	}
	atomic_store_release(&reporting, 0);
}

/* --- both sides ---------------------------------------------------------------------------------------------- */

/* The access is the other side of what the slot says. */
static void __noinline meet(uint64_t *slot, uint64_t seen, uintptr_t p, size_t n, enum kind kind,
			    uintptr_t pc)
{
	irqflags_t f = arch_irq_save();

	if (!per_cpu_ptr(sampler, arch_cpu())->busy && !current_base()->races_ignored &&
	    atomic_compare_exchange(slot, &seen, MET)) {
		note_side(&met[slot - slots], p, n, kind, pc);
		/* pairs with the acquire in finish() */
		atomic_store_release(slot, NOTED);
	}
	arch_irq_restore(f);
}

static uint64_t value_at(uintptr_t p, size_t n)
{
	uint64_t v = 0;

	__asm__ __volatile__("" : : : "memory");
	memcpy(&v, (const void *)p, n);
	return v;
}

static void dawdle(uint64_t ns)
{
	uint64_t end = arch_counter() + ns * counts_per_us / NS_PER_US;

	while (arch_counter() < end)
		;
}

/* Frees the slot. True if somebody was met, who is in met[]. */
static bool finish(uint64_t *slot, uint64_t mark, struct side *other)
{
	if (atomic_compare_exchange(slot, &mark, 0))
		return false;
	while (atomic_load_acquire(slot) != NOTED)
		arch_spin_hint();
	*other = met[slot - slots];
	atomic_store_release(slot, 0);
	return true;
}

/* A lock under which the log cannot be written: its own, or one behind it. */
static bool log_is_out_of_reach(void)
{
	const struct held_stack *s = &arch_cpu()->spinlocks;

	for (unsigned i = 0; i < s->n; i++)
		if (s->at[i].cls >= LOCK_LOG)
			return true;
	return false;
}

static uint64_t draw(struct sampler *s)
{
	s->x ^= s->x << 13;
	s->x ^= s->x >> 7;
	s->x ^= s->x << 17;
	return s->x >> 8;
}

static void watch(struct sampler *s, uintptr_t p, size_t n, enum kind kind, uintptr_t pc)
{
	struct side other;
	uint64_t *slot, mark, before, none = 0;
	bool was_met;

	if (n > GRANULE) {
		p += draw(s) % n;
		n = 1;
	}
	n = MIN(n, GRANULE - p % GRANULE);
	slot = slot_of(p);
	mark = watched(p, n, kind);
	before = value_at(p, n);
	if (!atomic_compare_exchange(slot, &none, mark))
		return;
	dawdle(draw(s) % (arch_cpu()->irq_depth ? IN_IRQ_NS : 2 * DELAY_NS));
	was_met = finish(slot, mark, &other);
	if (was_met || value_at(p, n) != before)
		report(p, n, kind, pc, was_met ? &other : NULL);
}

static void __noinline sample(uintptr_t p, size_t n, enum kind kind, uintptr_t pc)
{
	irqflags_t f = arch_irq_save();
	struct sampler *s = per_cpu_ptr(sampler, arch_cpu());

	if (!s->busy && !current_base()->races_ignored && p >= KERNEL_SPACE_BASE &&
	    !log_is_out_of_reach()) {
		s->busy = true;
		watch(s, p, n, kind, pc);
		s->busy = false;
	}
	arch_irq_restore(f);
}

static void __noinline count_anew(unsigned place)
{
	irqflags_t f = arch_irq_save();
	uint64_t n = MIN(READ_ONCE(places[place].every) + 1U, READ_ONCE(every));

	WRITE_ONCE(places[place].every, (uint16_t)n);
	WRITE_ONCE(places[place].left,
		   (uint16_t)(draw(per_cpu_ptr(sampler, arch_cpu())) % (2 * n)));
	arch_irq_restore(f);
}

/* Is this access of the place one that is watched? */
static inline bool is_due(uintptr_t pc)
{
	unsigned place = (pc / 4 ^ pc / 4 / PLACES) % PLACES;
	uint16_t left = READ_ONCE(places[place].left);

	if (likely(left)) {
		WRITE_ONCE(places[place].left, (uint16_t)(left - 1));
		return false;
	}
	count_anew(place);
	return true;
}

/* One access within a granule, or what lies in it of a longer one. */
static inline void look(uintptr_t p, size_t n, enum kind kind, uintptr_t pc)
{
	uint64_t *slot = slot_of(p);
	uint64_t seen = READ_ONCE(*slot);

	if (unlikely(seen) && races(seen, p, n, kind))
		meet(slot, seen, p, n, kind, pc);
}

static inline void touched(uintptr_t p, size_t n, enum kind kind, uintptr_t pc)
{
	if (!READ_ONCE(on))
		return;
	look(p, n, kind, pc);
	if (!(kind & MARKED) && unlikely(is_due(pc)))
		sample(p, n, kind, pc);
}

static void touched_range(uintptr_t p, size_t n, enum kind kind, uintptr_t pc)
{
	uintptr_t first;
	size_t nr;

	if (!READ_ONCE(on) || !n)
		return;
	/* of a long one each slot once is enough */
	first = p / GRANULE;
	nr = (p + n - 1) / GRANULE - first + 1;
	for (size_t i = 0; i < MIN(nr, (size_t)WATCHES); i++) {
		uint64_t *slot = nr > WATCHES ? &slots[i] : slot_of((first + i) * GRANULE);
		uint64_t seen = READ_ONCE(*slot);

		if (unlikely(seen) && races(seen, p, n, kind))
			meet(slot, seen, p, n, kind, pc);
	}
	if (unlikely(is_due(pc)))
		sample(p, n, kind, pc);
}

/* --- what the compiler calls -------------------------------------------------------------------------------- */

void __tsan_init(void);
void __tsan_init(void)
{
}

#define PLAIN(name, n, kind)                                                                       \
	void __tsan_##name##n(uintptr_t p);                                                        \
	void __tsan_##name##n(uintptr_t p)                                                         \
	{                                                                                          \
		touched(p, n, kind, CALLER);                                                       \
	}                                                                                          \
	void __tsan_volatile_##name##n(uintptr_t p);                                               \
	void __tsan_volatile_##name##n(uintptr_t p)                                                \
	{                                                                                          \
		touched(p, n, (kind) | MARKED, CALLER);                                            \
	}

#define WIDE(name, n, kind)                                                                        \
	void __tsan_##name##n(uintptr_t p);                                                        \
	void __tsan_##name##n(uintptr_t p)                                                         \
	{                                                                                          \
		touched_range(p, n, kind, CALLER);                                                 \
	}

#define RANGE(name, kind)                                                                          \
	void __tsan_##name(uintptr_t p, size_t n);                                                 \
	void __tsan_##name(uintptr_t p, size_t n)                                                  \
	{                                                                                          \
		touched_range(p, n, kind, CALLER);                                                 \
	}

#define UNALIGNED(name, n, kind) WIDE(unaligned_##name, n, kind)
#define BOTH(what, n)		 what(read, n, READ) what(write, n, WRITE)

BOTH(PLAIN, 1)
BOTH(PLAIN, 2)
BOTH(PLAIN, 4)
BOTH(PLAIN, 8)
BOTH(WIDE, 16)
BOTH(UNALIGNED, 2)
BOTH(UNALIGNED, 4)
BOTH(UNALIGNED, 8)
BOTH(UNALIGNED, 16)
RANGE(read_range, READ)
RANGE(write_range, WRITE)

/* Atomic operations, all in the strongest order: which order would do is a matter for the models, not for this image. */
#define UPDATE(bits, op)                                                                           \
	uint##bits##_t __tsan_atomic##bits##_fetch_##op(uint##bits##_t *p, uint##bits##_t v,       \
							int order);                                \
	uint##bits##_t __tsan_atomic##bits##_fetch_##op(uint##bits##_t *p, uint##bits##_t v,       \
							int order)                                 \
	{                                                                                          \
		touched((uintptr_t)p, bits / 8, WRITE | MARKED, CALLER);                           \
		return __atomic_fetch_##op(p, v, __ATOMIC_SEQ_CST);                                \
	}

#define EXCHANGE(bits, strength)                                                                   \
	bool __tsan_atomic##bits##_compare_exchange_##strength(                                    \
		uint##bits##_t *p, uint##bits##_t *old, uint##bits##_t v, int good, int bad);      \
	bool __tsan_atomic##bits##_compare_exchange_##strength(                                    \
		uint##bits##_t *p, uint##bits##_t *old, uint##bits##_t v, int good, int bad)       \
	{                                                                                          \
		touched((uintptr_t)p, bits / 8, WRITE | MARKED, CALLER);                           \
		return __atomic_compare_exchange_n(p, old, v, false, __ATOMIC_SEQ_CST,             \
						   __ATOMIC_SEQ_CST);                              \
	}

#define ATOMIC(bits)                                                                               \
	uint##bits##_t __tsan_atomic##bits##_load(const uint##bits##_t *p, int order);             \
	uint##bits##_t __tsan_atomic##bits##_load(const uint##bits##_t *p, int order)              \
	{                                                                                          \
		touched((uintptr_t)p, bits / 8, READ | MARKED, CALLER);                            \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                       \
	}                                                                                          \
	void __tsan_atomic##bits##_store(uint##bits##_t *p, uint##bits##_t v, int order);          \
	void __tsan_atomic##bits##_store(uint##bits##_t *p, uint##bits##_t v, int order)           \
	{                                                                                          \
		touched((uintptr_t)p, bits / 8, WRITE | MARKED, CALLER);                           \
		__atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                          \
	}                                                                                          \
	uint##bits##_t __tsan_atomic##bits##_exchange(uint##bits##_t *p, uint##bits##_t v,         \
						      int order);                                  \
	uint##bits##_t __tsan_atomic##bits##_exchange(uint##bits##_t *p, uint##bits##_t v,         \
						      int order)                                   \
	{                                                                                          \
		touched((uintptr_t)p, bits / 8, WRITE | MARKED, CALLER);                           \
		return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                \
	}                                                                                          \
	UPDATE(bits, add)                                                                          \
	UPDATE(bits, sub)                                                                          \
	UPDATE(bits, and)                                                                          \
	UPDATE(bits, or)                                                                           \
	UPDATE(bits, xor)                                                                          \
	EXCHANGE(bits, strong)                                                                     \
	EXCHANGE(bits, weak)

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	atomic_fence();
}

/* --- the door ------------------------------------------------------------------------------------------------ */

void kcsan_ignore(int step)
{
	current_base()->races_ignored += step;
	__asm__ __volatile__("" : : : "memory");
}

void kcsan_watch_every(unsigned n)
{
	WRITE_ONCE(every, n ? n : at_boot);
}

void kcsan_expect(const void *p, size_t n)
{
	WRITE_ONCE(expected_lo, (uintptr_t)p);
	WRITE_ONCE(expected_hi, (uintptr_t)p + n);
	WRITE_ONCE(nr_expected, 0);
}

unsigned kcsan_expected(void)
{
	return READ_ONCE(nr_expected);
}

void kcsan_start(void)
{
	struct cpu *c;

	at_boot = (unsigned)MIN(MAX(cmdline_u64("races", EVERY), 1UL), EVERY_MAX);
	kcsan_watch_every(0);
	for_each_cpu (c) {
		struct sampler *s = per_cpu_ptr(sampler, c);

		s->x = (c->id + 1) * 0x9e3779b97f4a7c15UL ^ arch_counter();
	}
	counts_per_us = arch_counter_hz() / 1000000;
	if (cpu_count() > 1)
		WRITE_ONCE(on, true);
	log_info("core: race detector %s, one plain access of a place in %u watched, at first all",
		 cpu_count() > 1 ? "on" : "idle on one cpu", at_boot);
}
