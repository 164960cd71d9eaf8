/* SPDX-License-Identifier: MIT */
/* Tests that end in a panic, run one at a time by name; tests/blackbox/test_panic.py reads what they print. */
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/spinlock.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

static spinlock_t held = SPINLOCK_INIT(PGCACHE);

KTEST(die_panic)
{
	spin_lock(&held);
	panic("on purpose, number %d", 42);
}

KTEST(die_fault)
{
	/* no access that a sanitizer could make first */
	__asm__ __volatile__("str wzr, [%0]"
			     :
			     : "r"(KSTACK_AREA_BASE + KSTACK_AREA_SIZE - 8)
			     : "memory");
}

static unsigned __noinline recurse(unsigned depth)
{
	char room[256];

	__asm__ __volatile__("" : : "r"(room) : "memory");
	return depth == 1u << 30 ? 0 : recurse(depth + 1) + (unsigned)(uintptr_t)room;
}

KTEST(die_overflow)
{
	KT_CHECK(recurse(0) != 1);
}

/* A10: LOG is held by the very CPU that panics. */
static const struct console_ops *real_console;

static void write_and_panic(const char *s, size_t n)
{
	static unsigned times;

	if (times++ == 0)
		panic("inside the console's write");
	real_console->write(s, n);
}

KTEST(die_in_log)
{
	static const struct console_ops bad = { "bad", write_and_panic };

	current_base()->alloc_forbidden = true;
	real_console = log_console();
	log_set_console(&bad);
	log_info("never seen");
}

/* Every CPU panics at once: one report. */
static void panic_fn(void *unused)
{
	panic("all at once");
}

KTEST(die_everywhere)
{
	struct crew crew = { 0 };

	for (unsigned i = 0; i < cpu_count() && i < CREW_MAX; i++)
		crew_add(&crew, panic_fn, NULL, BIT(i));
	crew_join(&crew);
}

static void panic_in_irq(struct timer *t)
{
	panic("in an interrupt");
}

KTEST(die_in_irq)
{
	struct timer t;

	timer_init(&t, panic_in_irq);
	timer_arm(&t, clock_now_ns());
	for (;;)
		arch_spin_hint();
}
