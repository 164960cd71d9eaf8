/* SPDX-License-Identifier: MIT */
/* The runner of the in-kernel tests. */
#include "tests/kernel/ktest.h"

#include "arch/aarch64/arch.h"
#include "kernel/core/clock.h"
#include "kernel/core/current.h"
#include "kernel/core/irqs_off.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "kernel/core/random.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/kstack.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "sched/thread.h"

static const struct ktest *running; /* [init] by the runner */
static uint32_t failed;		    /* [atomic] checks of the running test that failed */

void kt_fail(const char *file, int line, const char *what)
{
	if (atomic_fetch_add(&failed, 1) == 0)
		log_info("ktest: not ok %s: %s:%d: %s", running->name, file, line, what);
	else
		log_info("ktest: also %s: %s:%d: %s", running->name, file, line, what);
}

static bool contains(const char *text, const char *part)
{
	size_t n = strlen(part);

	for (; *text; text++) {
		if (strncmp(text, part, n) == 0)
			return true;
	}
	return n == 0;
}

void kt_expect_bug(void (*fn)(void *), void *arg, const char *text)
{
	struct thread_base *t = current_base();
	/* in an interrupt: what the thread below waits for is another matter */
	struct arch_jump_buf *outer = t->expect;
	int outer_depth = t->expect_depth;
	int preempt_depth = t->preempt_depth;
	unsigned mutexes = t->mutexes.n;
	irqflags_t f = arch_irq_save();
	unsigned spinlocks = arch_cpu()->spinlocks.n;
	int irq_depth = arch_cpu()->irq_depth;
	struct arch_jump_buf here;

	/* with irqs off, and so it comes back: an interrupt must not meet the locks that the BUG left held */
	if (arch_mark(&here) == 0) {
		arch_irq_restore(f);
		/* an interrupt between the two sees no expectation, or its own depth differs */
		t->expect_depth = irq_depth;
		t->expect = &here;
		fn(arg);
		t->expect_depth = outer_depth;
		t->expect = outer;
		kt_fail(__FILE__, __LINE__, "a BUG was expected");
		log_info("ktest: expected: %s", text);
		return;
	}
	t->expect_depth = outer_depth;
	t->expect = outer;
	lock_drop_above(spinlocks, mutexes);
	t->preempt_depth = preempt_depth;
	if (!contains(bug_expected_text(), text)) {
		kt_fail(__FILE__, __LINE__, "another BUG was expected");
		log_info("ktest: expected: %s", text);
	}
	arch_irq_restore(f);
}

uint64_t kt_seed(void)
{
	return cmdline_u64("seed", random_u32() | 1) + perturb_seed();
}

uint64_t kt_scale(void)
{
	return cmdline_u64("scale", 1);
}

/* Is name one of the comma-separated names? */
static bool wanted(const char *names, const char *name)
{
	size_t len = strlen(name);

	/* those that end the machine or take long run alone, and those that count need QEMU's -icount: by name */
	if (strcmp(names, "all") == 0)
		return strncmp(name, "die_", 4) != 0 && strncmp(name, "long_", 5) != 0 &&
		       strncmp(name, "icount_", 7) != 0;
	for (;;) {
		if (strncmp(names, name, len) == 0 && (names[len] == ',' || !names[len]))
			return true;
		names = strchr(names, ',');
		if (!names)
			return false;
		names++;
	}
}

struct account {
	uint64_t pages, slab_bytes;
};

static struct account take_account(void)
{
	struct page_stats s;

	(void)kstack_reap();
	page_stats(&s);
	return (struct account){ s.kernel + s.user, slab_bytes_in_use() };
}

static bool grew(const struct account *from, const struct account *to)
{
	return to->pages > from->pages || to->slab_bytes > from->slab_bytes;
}

/* Threads that have ended are freed a moment later by others, on a busy host much later. */
static struct account settled_account(const struct account *before, uint64_t limit_ns)
{
	uint64_t end = clock_now_ns() + limit_ns;
	struct account now = take_account();

	while (grew(before, &now) && clock_now_ns() < end) {
		int ignored = sleep_until(clock_now_ns() + NS_PER_MS, WAIT_UNINTERRUPTIBLE);

		(void)ignored;
		now = take_account();
	}
	return now;
}

static void test_main(void *arg)
{
	const struct ktest *t = arg;

	t->fn();
}

static bool run_in_thread(const struct ktest *t)
{
	struct thread *thread =
		thread_create("ktest", test_main, (void *)(uintptr_t)t, KSTACK_SIZE);

	if (!thread) {
		kt_fail(__FILE__, __LINE__, "no memory for the test's thread");
		return false;
	}
	thread_start(thread);
	thread_join(thread);
	thread_put(thread);
	return true;
}

/* What a first run leaves may be caches of files it was the first to use: only what a second run adds is lost. */
static bool run_one(const struct ktest *t)
{
	struct account before = take_account(), after;

	running = t;
	failed = 0;
	if (!run_in_thread(t))
		return false;
	after = settled_account(&before, 300 * NS_PER_MS);
	if (!failed && grew(&before, &after)) {
		before = after;
		(void)run_in_thread(t);
		after = settled_account(&before, 20 * NS_PER_S);
		if (grew(&before, &after)) {
			char what[128];

			fmt_print(
				what, sizeof(what),
				"it leaves something behind: %lu pages, %lu slab bytes before; %lu and %lu after",
				before.pages, before.slab_bytes, after.pages, after.slab_bytes);
			kt_fail(__FILE__, __LINE__, what);
		}
	}
	return !failed;
}

/* Of the clock: under QEMU's -icount, where nobody waits for a host, more than any test takes with a perturbed schedule. */
#define HANG_NS (60 * NS_PER_S)

static void hangs(struct timer *unused)
{
	panic("ktest: %s hangs, perturbed by seed %lu", running->name, perturb_seed());
}

static bool run_with_seed(const struct ktest *t, uint64_t seed)
{
	static struct timer limit;
	bool ok;

	if (seed)
		log_info("ktest: seed %lu", seed);
	timer_init(&limit, hangs);
	timer_arm(&limit, clock_now_ns() + HANG_NS);
	perturb_begin(seed);
	ok = run_one(t);
	perturb_end();
	(void)timer_cancel(&limit);
	return ok;
}

/* Once, or by perturb=A..B once undisturbed, which fills caches and counts steps, and then with each seed until one fails. */
static bool run_all_seeds(const struct ktest *t)
{
	uint64_t seed, last;
	bool ok;

	if (!perturb_seeds(&seed, &last))
		return run_one(t);
	for (ok = run_with_seed(t, 0); ok && seed <= last; seed++) {
		ok = run_with_seed(t, seed);
		if (!ok)
			log_info("ktest: fails with seed %lu", seed);
	}
	return ok;
}

void ktest_run_all(const char *names)
{
	unsigned plan = 0, passed = 0;
	const char *where;
	size_t offset;

	for (const struct ktest *t = ktests_start; t < ktests_end; t++)
		plan += wanted(names, t->name);
	log_info("ktest: plan %u", plan);
	for (const struct ktest *t = ktests_start; t < ktests_end; t++) {
		if (wanted(names, t->name) && run_all_seeds(t)) {
			log_info("ktest: ok %s", t->name);
			passed++;
		}
	}
	where = symbol_of(irqs_off_longest_end(), &offset);
	log_info("ktest: longest time with interrupts off: %lu ns, to %s+%zu",
		 irqs_off_longest_ns(), where, offset);
	log_info("ktest: end %u passed, %u failed", passed, plan - passed);
	arch_machine_exit(plan == passed && plan ? 0 : 1);
}
