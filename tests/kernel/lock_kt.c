/* SPDX-License-Identifier: MIT */
/* The lock checker: each misuse ends in its report; and spinlocks do exclude. Rows RC-011, X-15, X-24, X-26, ARCH-003. */
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "kernel/core/rwspin.h"
#include "kernel/core/spinlock.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

static spinlock_t outer = SPINLOCK_INIT(FUTEX);
static spinlock_t inner = SPINLOCK_INIT(PGCACHE);
static spinlock_t same = SPINLOCK_INIT(FUTEX);
static spinlock_t irq_safe = SPINLOCK_INIT(VIRTQ);

static void take_twice(void *unused) __no_lock_check
{
	spin_lock(&outer);
	spin_lock(&outer);
}

static void take_inverted(void *unused) __no_lock_check
{
	spin_lock(&inner);
	spin_lock(&outer);
}

static void take_two_of_a_class(void *unused) __no_lock_check
{
	spin_lock(&outer);
	spin_lock(&same);
}

static void take_with_irqs_on(void *unused) __no_lock_check
{
	spin_lock(&irq_safe);
}

static void release_unheld(void *unused) __no_lock_check
{
	spin_unlock(&outer);
}

static void sleep_holding(void *unused) __no_lock_check
{
	spin_lock(&outer);
	might_sleep();
}

static void leave_holding(void *unused) __no_lock_check
{
	spin_lock(&outer);
	lock_check_none_held("return to user mode");
}

static void use_this_cpu_preemptible(void *unused)
{
	KT_CHECK(this_cpu() != NULL);
}

/* RC-011, ARCH-002, ARCH-003, X-26; I-LOCK-1, I-LOCK-2, I-LOCK-5, I-CPU-1 */
KTEST(lock_misuse)
{
	kt_expect_bug(take_twice, NULL, "FUTEX taken twice");
	kt_expect_bug(take_inverted, NULL, "FUTEX taken while holding PGCACHE");
	kt_expect_bug(take_two_of_a_class, NULL, "FUTEX taken while holding FUTEX");
	kt_expect_bug(take_with_irqs_on, NULL, "VIRTQ taken with interrupts on");
	kt_expect_bug(release_unheld, NULL, "released by somebody who does not hold it");
	kt_expect_bug(sleep_holding, NULL, "sleep while holding FUTEX");
	kt_expect_bug(leave_holding, NULL, "FUTEX held: return to user mode");
	kt_expect_bug(use_this_cpu_preemptible, NULL, "preempt_depth > 0");
	/* and what is right is silent */
	spin_lock(&outer);
	spin_lock(&inner);
	KT_CHECK(spin_held(&outer) && spin_held(&inner));
	spin_unlock(&inner);
	spin_unlock(&outer);
	KT_CHECK(!spin_held(&outer));
	KT_CHECK(current_base()->preempt_depth == 0);
}

/* I-RW-1: who reads sees no half of a change, and who writes is alone. */
static DEFINE_PER_CPU(uint32_t, both_reading);
static struct {
	struct rwspin lock;
	uint64_t a, b; /* [lock] equal */
} both = { RWSPIN_INIT(DCACHE, both_reading), 0, 0 };

static void readers_fn(void *arg)
{
	uint64_t a;

	for (uint64_t i = 0; i < 4000 * kt_scale(); i++) {
		if (i % 8 == (uintptr_t)arg) {
			rwspin_write_lock(&both.lock);
			a = READ_ONCE(both.a);
			WRITE_ONCE(both.a, a + 1);
			perturb(PERTURB_PUBLISH);
			WRITE_ONCE(both.b, a + 1);
			rwspin_write_unlock(&both.lock);
		} else {
			rwspin_read_lock(&both.lock);
			a = READ_ONCE(both.a);
			perturb(PERTURB_PUBLISH);
			KT_CHECK(a == READ_ONCE(both.b));
			rwspin_read_unlock(&both.lock);
		}
	}
}

KTEST(lock_readers)
{
	struct crew crew = { 0 };
	uint64_t before = both.a;

	for (uintptr_t i = 0; i < 4; i++)
		crew_add(&crew, readers_fn, (void *)i, ~(cpumask_t)0);
	crew_join(&crew);
	KT_CHECK(both.a == before + 4 * 500 * kt_scale() && both.b == both.a);
	KT_CHECK(current_base()->preempt_depth == 0);
}

static DEFINE_PER_CPU(uint32_t, misuse_reading);
static struct rwspin misused[] = { RWSPIN_INIT(DCACHE, misuse_reading) };

static void read_twice(void *arg) __no_lock_check
{
	rwspin_read_lock(misused);
	rwspin_read_lock(misused);
}

static void read_and_sleep(void *arg) __no_lock_check
{
	rwspin_read_lock(misused);
	might_sleep();
}

static void write_and_sleep(void *arg) __no_lock_check
{
	rwspin_write_lock(misused);
	might_sleep();
}

KTEST(lock_readers_misuse)
{
	kt_expect_bug(read_twice, NULL, "DCACHE taken twice");
	kt_expect_bug(read_and_sleep, NULL, "sleep while holding DCACHE");
	kt_expect_bug(write_and_sleep, NULL, "sleep while holding DCACHE");
	/* what they held has been let go */
	KT_CHECK(!misused->writing && !spin_held(&misused->writer));
	rwspin_write_lock(misused);
	rwspin_write_unlock(misused);
}

/* A class marked NOIRQ in interrupt context: what the checker asks is in_irq(), looked at from a timer. */
static bool was_in_irq;

static void note_irq(struct timer *t)
{
	was_in_irq = in_irq() && arch_irqs_off();
}

KTEST(lock_irq_context)
{
	struct timer t;

	timer_init(&t, note_irq);
	was_in_irq = false;
	timer_arm(&t, clock_now_ns());
	while (!READ_ONCE(was_in_irq))
		arch_spin_hint();
	timer_cancel(&t);
	KT_CHECK(!in_irq());
}

/* X-24, I-LOCK-4: the interrupt state after an unlock is the caller's, however contended; X-15: the lock excludes. */
static struct {
	spinlock_t lock;
	uint64_t count;
	uint64_t shadow;
} shared = { SPINLOCK_INIT(VIRTQ), 0, 0 };

static void count_fn(void *arg)
{
	unsigned wrong = 0;

	for (uint64_t i = 0; i < 20000 * kt_scale(); i++) {
		bool off = (i + (uintptr_t)arg) & 1;
		irqflags_t outside = 0, f;

		if (off)
			outside = arch_irq_save();
		f = spin_lock_irqsave(&shared.lock);
		if (shared.count++ != shared.shadow)
			wrong++;
		shared.shadow++;
		spin_unlock_irqrestore(&shared.lock, f);
		if (arch_irqs_off() != off)
			wrong++;
		if (off)
			arch_irq_restore(outside);
	}
	KT_CHECK(wrong == 0);
}

KTEST(lock_contended)
{
	struct crew crew = { 0 };
	uint64_t n = MIN(cpu_count(), 8u);

	shared.count = 0;
	shared.shadow = 0;
	for (unsigned i = 0; i < n; i++)
		crew_add(&crew, count_fn, (void *)(uintptr_t)i, BIT(i));
	crew_join(&crew);
	KT_CHECK(shared.count == n * 20000 * kt_scale());
}

static spinlock_t pair_a = SPINLOCK_INIT(FUTEX);
static spinlock_t pair_b = SPINLOCK_INIT(FUTEX);
static uint64_t pair_count;

static void pair_fn(void *arg) __no_lock_check
{
	for (uint64_t i = 0; i < 5000 * kt_scale(); i++) {
		if (arg)
			spin_lock_pair(&pair_a, &pair_b);
		else
			spin_lock_pair(&pair_b, &pair_a);
		pair_count++;
		spin_unlock(&pair_a);
		spin_unlock(&pair_b);
	}
}

KTEST(lock_pairs)
{
	struct crew crew = { 0 };
	unsigned n = MIN(cpu_count(), 4u);

	pair_count = 0;
	for (unsigned i = 0; i < n; i++)
		crew_add(&crew, pair_fn, (void *)(uintptr_t)(i & 1), BIT(i));
	crew_join(&crew);
	KT_CHECK(pair_count == n * 5000 * kt_scale());
}

/* The second try on a lock that is held is the point of it. */
static bool __no_lock_check only_the_first_try_takes(void)
{
	bool first = spin_trylock(&outer);
	bool second = first && spin_trylock(&outer);

	if (first)
		spin_unlock(&outer);
	return first && !second;
}

KTEST(lock_trylock)
{
	KT_CHECK(only_the_first_try_takes());
	KT_CHECK(current_base()->preempt_depth == 0);
}
