/* SPDX-License-Identifier: MIT */
/* The watchdogs: each is given what it is there for, and says so; and a clock that jumps is nothing to them (I-WATCH-1). */
#include "kernel/watchdog.h"
#include "kernel/core/percpu.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "sched/mutex.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define LIMIT (100 * NS_PER_MS)

static const char *awaited; /* [init] what a report must begin with */
static uint32_t told;	    /* [atomic] one did */
static uint64_t limit_before;

static void note(const char *text)
{
	if (strncmp(text, awaited, strlen(awaited)) == 0)
		atomic_store_release(&told, 1);
}

static void begin(const char *text)
{
	awaited = text;
	told = 0;
	limit_before = watchdog_limit();
	watchdog_set_hook(note);
	watchdog_set(LIMIT);
}

static void end(void)
{
	watchdog_set(limit_before);
	watchdog_set_hook(NULL);
}

/* With interrupts or preemption off, or neither; only a hang ends it otherwise. */
static void spin_until_told(void)
{
	uint64_t limit = crew_hang_deadline();

	while (!atomic_load_acquire(&told) && clock_now_ns() < limit)
		arch_spin_hint();
}

static struct mutex outer, inner;

static void hang_fn(void *unused)
{
	mutex_lock(&outer);
	mutex_lock(&inner);
	mutex_unlock(&inner);
	mutex_unlock(&outer);
}

KTEST(watchdog_hung_thread)
{
	struct thread *t = thread_create("hangs", hang_fn, NULL, KSTACK_SIZE);
	char text[32];

	mutex_init(&outer, LOCK_BLOCK);
	mutex_init(&inner, LOCK_TIMERFDS);
	mutex_lock(&inner);
	thread_start(t);
	crew_await_asleep(t);
	fmt_print(text, sizeof(text), "thread %d hangs sleeps", t->base.id);
	begin(text);
	spin_until_told();
	KT_CHECK(told);
	end();
	mutex_unlock(&inner);
	thread_join(t);
	thread_put(t);
}

static uint32_t inside; /* [atomic] */

static void no_preemption_fn(void *unused)
{
	preempt_disable();
	atomic_store_release(&inside, 1);
	spin_until_told();
	preempt_enable();
}

static void nothing_fn(void *unused)
{
}

KTEST(watchdog_soft_lockup)
{
	unsigned cpu = cpu_count() - 1;
	struct crew crew = { 0 };
	char text[32];

	inside = 0;
	fmt_print(text, sizeof(text), "cpu %u does not switch", cpu);
	begin(text);
	crew_add(&crew, no_preemption_fn, NULL, BIT(cpu));
	while (!atomic_load_acquire(&inside))
		sched_yield();
	crew_add(&crew, nothing_fn, NULL, BIT(cpu));
	crew_join(&crew);
	KT_CHECK(told);
	end();
}

static void irqs_off_fn(void *unused)
{
	irqflags_t f = arch_irq_save();

	spin_until_told();
	arch_irq_restore(f);
}

KTEST(watchdog_stuck_cpu)
{
	struct thread *t;
	char text[64];

	if (cpu_count() == 1)
		return;
	t = thread_create("deaf", irqs_off_fn, NULL, KSTACK_SIZE);
	KT_CHECK(thread_set_affinity(t, BIT(1)) == 0);
	fmt_print(text, sizeof(text), "cpu 1 takes no timer interrupt: thread %d deaf,",
		  t->base.id);
	begin(text);
	thread_start(t);
	thread_join(t);
	KT_CHECK(told);
	end();
	thread_put(t);
}

static uint32_t frozen; /* [atomic] CPUs that stand still */

/* As if the host had halted the machine: no CPU does anything while the clock goes on. */
static void freeze_fn(void *until)
{
	irqflags_t f = arch_irq_save();

	atomic_fetch_add(&frozen, 1);
	while (atomic_load_acquire(&frozen) < cpu_count() || clock_now_ns() < *(uint64_t *)until)
		arch_spin_hint();
	arch_irq_restore(f);
}

KTEST(watchdog_clock_jumps)
{
	struct thread *t = thread_create("hangs", hang_fn, NULL, KSTACK_SIZE);
	static uint64_t beats[CPU_MAX];
	uint64_t until, ticks, looks;
	uint32_t alarm;
	struct crew crew = { 0 };

	mutex_init(&outer, LOCK_BLOCK);
	mutex_init(&inner, LOCK_TIMERFDS);
	mutex_lock(&inner);
	thread_start(t);
	crew_await_asleep(t);
	begin("");
	for (unsigned i = 0; i < cpu_count(); i++)
		beats[i] = watchdog_beats(i);
	looks = watchdog_looks();
	frozen = 0;
	until = clock_now_ns() + 10 * LIMIT;
	for (unsigned i = 0; i < cpu_count(); i++)
		crew_add(&crew, freeze_fn, &until, BIT(i));
	crew_join(&crew);
	/* as many ticks as there were, so much may be told, by whichever CPU had them */
	alarm = atomic_load_acquire(&told);
	ticks = watchdog_looks() - looks;
	for (unsigned i = 0; i < cpu_count(); i++)
		ticks = MAX(ticks, watchdog_beats(i) - beats[i]);
	KT_CHECK(!alarm || ticks + 1 >= WATCHDOG_TICKS);
	KT_CHECK(clock_now_ns() >= until);
	end();
	mutex_unlock(&inner);
	thread_join(t);
	thread_put(t);
}
