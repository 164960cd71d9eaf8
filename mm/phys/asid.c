/* SPDX-License-Identifier: MIT */
/* ASIDs. A space gets a number when it is first activated in a generation; when numbers run out a new generation
 * begins: those that CPUs hold in TTBR0 right now keep theirs, everybody else draws a new one, and each CPU flushes
 * its TLB before it activates anything (L6).
 *
 * A context's value is its generation and number. Each CPU publishes the value it last activated; the quick way in
 * is to swap that for the next one's with a compare-exchange. A roll-over takes all of them away, with an exchange,
 * so that whoever comes after it takes the lock.
 *
 * I-ASID-1: two contexts that any CPU's TLB may hold entries of have different numbers.
 * I-ASID-2: a CPU's bit is in ctx->cpus before its TTBR0 holds ctx's table; it is cleared only before a flush
 * of the number on all CPUs, or where the context draws a fresh number, of which no TLB has entries. An invalidation stores the entry, then a full barrier, then reads
 * the number and the mask; an activation stores number and mask, then a full barrier, then writes TTBR0. So either
 * the invalidation sees the CPU, or the CPU's walker sees the entry. */
#include "mm/phys/asid.h"

#include "kernel/core/machine.h"
#include "kernel/core/perturb.h"
#include "kernel/core/spinlock.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

#define NUMBER_BITS 16
#define NUMBER_MASK (BIT(NUMBER_BITS) - 1)

struct asid_cpu {
	uint64_t
		active; /* [atomic] value in TTBR0; 0 after a roll-over until the next activation */
	uint64_t reserved; /* [ASID] what was active at the last roll-over */
	bool flush;	   /* [ASID] the TLB may hold numbers of older generations */
};

static DEFINE_PER_CPU(struct asid_cpu, asid_cpu);

static spinlock_t lock = SPINLOCK_INIT(ASID);
static uint64_t generation; /* [atomic] written under lock; the lowest NUMBER_BITS are 0 */
static uint64_t *used;	    /* [lock] a bit a number; number 0 is the empty table's */
static unsigned nr_numbers; /* [lock] those in use; the bitmap has room for all */
static unsigned hint;	    /* [lock] all numbers below it are used */

/* A number for each CPU, for the space being activated, and the empty one. */
static unsigned numbers_for(unsigned bits)
{
	while (1UL << bits < cpu_count() + 2)
		bits++;
	return 1u << MIN(bits, arch_asid_bits());
}

void asid_init(void)
{
	unsigned bits = arch_asid_bits();

	nr_numbers = numbers_for((unsigned)MIN(cmdline_u64("asid_bits", bits), (uint64_t)bits));
	used = kcalloc(DIV_ROUND_UP(1u << bits, 64), sizeof(uint64_t));
	if (!used)
		panic("asid: no memory for %u numbers", 1u << bits);
	used[0] = 1;
	hint = 1;
	generation = BIT(NUMBER_BITS);
}

static unsigned number_of(uint64_t value)
{
	return (unsigned)(value & NUMBER_MASK);
}

static bool current_generation(uint64_t value)
{
	return value && (value & ~NUMBER_MASK) == atomic_load_relaxed(&generation);
}

static void roll_over(void) __requires(lock)
{
	struct cpu *c;

	atomic_store_relaxed(&generation, generation + BIT(NUMBER_BITS));
	memset(used, 0, DIV_ROUND_UP(1u << arch_asid_bits(), 64) * sizeof(uint64_t));
	used[0] = 1;
	hint = 1;
	for_each_cpu (c) {
		struct asid_cpu *a = per_cpu_ptr(asid_cpu, c);
		/* pairs with the compare-exchange in asid_activate() */
		uint64_t value = atomic_exchange(&a->active, 0);

		/* twice rolled over without an activation there: still what TTBR0 holds */
		if (value)
			a->reserved = value;
		used[number_of(a->reserved) / 64] |= BIT(number_of(a->reserved) % 64);
		a->flush = true;
	}
}

/* A number kept over a roll-over: move every CPU's note of it on to this generation. */
static bool keep_reserved(uint64_t old, uint64_t *value) __requires(lock)
{
	bool found = false;
	struct cpu *c;

	*value = generation | number_of(old);
	for_each_cpu (c) {
		struct asid_cpu *a = per_cpu_ptr(asid_cpu, c);

		if (old && a->reserved == old) {
			a->reserved = *value;
			found = true;
		}
	}
	return found;
}

static bool draw_number(unsigned *out) __requires(lock)
{
	for (unsigned w = hint / 64; w < DIV_ROUND_UP(nr_numbers, 64); w++) {
		if (used[w] == UINT64_MAX)
			continue;
		*out = w * 64 + (unsigned)__builtin_ctzll(~used[w]);
		if (*out >= nr_numbers)
			return false;
		used[w] |= BIT(*out % 64);
		hint = *out + 1;
		return true;
	}
	return false;
}

static uint64_t renew(struct asid_ctx *ctx) __requires(lock)
{
	uint64_t value;
	unsigned number;

	if (keep_reserved(atomic_load_relaxed(&ctx->asid), &value)) {
		atomic_store_relaxed(&ctx->asid, value);
		return value;
	}
	if (!draw_number(&number)) {
		roll_over();
		/* it may be among those that a CPU holds only now */
		if (keep_reserved(atomic_load_relaxed(&ctx->asid), &value)) {
			atomic_store_relaxed(&ctx->asid, value);
			return value;
		}
		if (!draw_number(&number))
			BUG("asid: no free number of %u", nr_numbers);
	}
	value = generation | number;
	atomic_store_relaxed(&ctx->cpus, 0);
	/* pairs with the acquire in asid_activate(): who sees the number adds its bit to the new mask */
	atomic_publish(&ctx->asid, value);
	return value;
}

static __noinline uint64_t activate_slow(struct asid_ctx *ctx, struct asid_cpu *a)
{
	spin_lock(&lock);

	uint64_t value = atomic_load_acquire(&ctx->asid);

	if (!current_generation(value))
		value = renew(ctx);
	if (a->flush) {
		arch_tlb_flush_all_local();
		a->flush = false;
	}
	atomic_store_relaxed(&a->active, value);
	/* from here on it is active[] that says what this CPU holds */
	a->reserved = value;
	spin_unlock(&lock);
	return value;
}

void asid_activate(struct asid_ctx *ctx, paddr_t root)
{
	assert_irqs_off();

	struct cpu *c = this_cpu();
	struct asid_cpu *a = this_cpu_ptr(asid_cpu);
	uint64_t value = atomic_load_acquire(&ctx->asid);
	uint64_t old = atomic_load_relaxed(&a->active);

	/* pairs with the exchange in roll_over(): it took old away, or it finds value */
	if (!old || !current_generation(value) || !atomic_compare_exchange(&a->active, &old, value))
		value = activate_slow(ctx, a);
	/* I-ASID-2 */
	atomic_fetch_or(&ctx->cpus, BIT(c->id));
	atomic_fence();
	arch_set_user_table(root, (uint16_t)number_of(value));
}

/* Forget the CPUs that have left the context, before a flush of its number on all CPUs. Taking the bits away first
 * and looking who is active then cannot lose one: a CPU publishes its value, then adds its bit. */
static void forget_idle_cpus(struct asid_ctx *ctx, uint64_t value, uint64_t self)
{
	struct cpu *c;

	spin_lock(&lock);

	uint64_t old = atomic_fetch_and(&ctx->cpus, self), back = 0;

	/* pairs with the compare-exchange in asid_activate(); activate_slow() and roll_over() are shut out */
	atomic_fence();
	for_each_cpu (c) {
		struct asid_cpu *a = per_cpu_ptr(asid_cpu, c);
		uint64_t held = atomic_load_relaxed(&a->active);

		/* since a roll-over TTBR0 there has what was active then */
		if (!held)
			held = a->reserved;
		if ((old & BIT(c->id)) && number_of(held) == number_of(value))
			back |= BIT(c->id);
	}
	atomic_fetch_or(&ctx->cpus, back);
	spin_unlock(&lock);
}

/* Does any other CPU hold the context now? A hint: it decides only which flush is cheaper. */
static bool held_elsewhere(uint64_t value, uint64_t self)
{
	struct cpu *c;

	for_each_cpu (c)
		if (!(self & BIT(c->id)) &&
		    atomic_load_relaxed(&per_cpu_ptr(asid_cpu, c)->active) == value)
			return true;
	return false;
}

/* Invalidate one page, or the whole context, wherever its entries may be. The entry has been stored. */
static void flush(struct asid_ctx *ctx, vaddr_t va, bool all)
{
	irqflags_t f = arch_irq_save();
	uint64_t self = BIT(this_cpu()->id);

	/* I-ASID-2: pairs with the fence in asid_activate() */
	atomic_fence();

	uint64_t value = atomic_load_relaxed(&ctx->asid);
	uint16_t number = (uint16_t)number_of(value);

	if (!value) {
		/* never activated: no TLB has entries */
	} else if ((atomic_load_relaxed(&ctx->cpus) & ~self) == 0) {
		if (all)
			arch_tlb_flush_asid_local(number);
		else
			arch_tlb_flush_page_local(va, number);
	} else if (all || !held_elsewhere(value, self)) {
		/* once for all: from then on a local flush will do */
		forget_idle_cpus(ctx, value, self);
		arch_tlb_flush_asid(number);
	} else {
		arch_tlb_flush_page(va, number);
	}
	arch_irq_restore(f);
}

void asid_flush_page(struct asid_ctx *ctx, vaddr_t va)
{
	flush(ctx, va, false);
}

void asid_flush_all(struct asid_ctx *ctx)
{
	flush(ctx, 0, true);
}

void asid_limit(unsigned bits)
{
	irqflags_t f = spin_lock_irqsave(&lock);

	nr_numbers = bits ? numbers_for(bits) : 1u << arch_asid_bits();
	roll_over();
	spin_unlock_irqrestore(&lock, f);
}

uint64_t asid_generations(void)
{
	return atomic_load_relaxed(&generation) >> NUMBER_BITS;
}
