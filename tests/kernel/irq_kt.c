/* SPDX-License-Identifier: MIT */
/* Interrupts, calls between CPUs, timers. Rows, L5, L9. */
#include "kernel/core/clock.h"
#include "kernel/core/clock_data.h"
#include "kernel/core/fault.h"
#include "kernel/core/irq.h"
#include "kernel/core/irqs_off.h"
#include "kernel/core/machine.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

/* --- X-18, I-IRQ-1: an interrupt that goes away between assertion and acknowledge --------------------------------- */

static uint32_t fired; /* [atomic] */

static void count_fire(struct timer *t)
{
	atomic_fetch_add(&fired, 1);
}

KTEST(irq_spurious)
{
	const struct irq_chip *chip = irq_chip();
	struct timer t;
	unsigned wrong = 0;

	timer_init(&t, count_fire);
	fired = 0;
	preempt_disable();
	for (uint64_t i = 0; i < 2000 * kt_scale(); i++) {
		irqflags_t f = arch_irq_save();
		uint32_t token;

		timer_arm(&t, clock_now_ns());
		clock_spin_ns(1000);
		chip->disable(machine.timer_irq);
		if (chip->ack(&token) != -1)
			wrong++;
		chip->enable(machine.timer_irq, IRQ_LEVEL);
		arch_irq_restore(f);
	}
	preempt_enable();
	timer_cancel(&t);
	KT_CHECK(wrong == 0);
	KT_CHECK(READ_ONCE(fired) > 0);
}

static void nothing(void *arg)
{
}

KTEST(irq_registration)
{
	KT_CHECK(irq_register(machine.timer_irq, IRQ_LEVEL, nothing, NULL, "x") == -EBUSY);
	KT_CHECK(irq_register(irq_chip()->nr_irqs, IRQ_LEVEL, nothing, NULL, "x") == -EINVAL);
	KT_CHECK(irq_register(1u << 31, IRQ_LEVEL, nothing, NULL, "x") == -EINVAL);
}

/* what the tree says, edge or level, is in the controller; GICD_ICFGR has two bits an interrupt. */
KTEST(irq_triggers)
{
	unsigned irq = irq_chip()->nr_irqs - 1;
	const char *config = (const char *)device_map(machine.gic.dist) + 0xc00 + irq / 16 * 4;
	uint32_t edge = 2U << irq % 16 * 2;

	irq_chip()->enable(irq, IRQ_EDGE);
	KT_CHECK(mmio_read32(config) & edge);
	irq_chip()->enable(irq, IRQ_LEVEL);
	KT_CHECK(!(mmio_read32(config) & edge));
	irq_chip()->disable(irq);
}

/* --- calls to all other CPUs, from all CPUs at once -------------------------------------------------------- */

#define CALLERS 8
#define CALLS	5

static uint32_t called[CALLERS][CPU_MAX]; /* [atomic] by caller and by who was called */

static void note_call(void *arg)
{
	uint32_t *mine = arg;

	KT_CHECK(arch_irqs_off() && arch_cpu()->irq_depth > 0);
	atomic_fetch_add(&mine[arch_cpu()->id], 1);
}

/* Each caller has its own argument: a call that another one's overtakes is counted in the wrong row. */
static void call_fn(void *arg)
{
	for (uint64_t i = 0; i < CALLS * kt_scale(); i++)
		cpus_call(note_call, called[(uintptr_t)arg]);
}

KTEST(irq_cpus_call)
{
	struct crew crew = { 0 };
	unsigned n = MIN(cpu_count(), (unsigned)CALLERS), wrong = 0;

	memset(called, 0, sizeof(called));
	for (unsigned i = 0; i < n; i++)
		crew_add(&crew, call_fn, (void *)(uintptr_t)i, BIT(i));
	crew_join(&crew);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < cpu_count(); k++)
			wrong += called[i][k] != (i == k ? 0 : CALLS * kt_scale());
	}
	KT_CHECK(wrong == 0);
}

/* --- timers, I-TIMER-1 ------------------------------------------------------------------------------------------------ */

#define STORM_TIMERS 32

struct storm_timer {
	struct timer timer;
	uint32_t runs;	  /* [atomic] */
	uint32_t running; /* [atomic] a callback is inside */
	uint32_t early;	  /* [atomic] fired before its deadline */
	uint32_t dead;	  /* [atomic] cancelled: no callback may begin */
	uint64_t deadline;
};

static struct storm_timer storm[STORM_TIMERS];
static uint32_t storm_wrong; /* [atomic] */

static void storm_fire(struct timer *t)
{
	struct storm_timer *s = container_of(t, struct storm_timer, timer);

	if (atomic_fetch_add(&s->running, 1) || READ_ONCE(s->dead))
		atomic_fetch_add(&storm_wrong, 1);
	if (clock_now_ns() < READ_ONCE(s->deadline))
		atomic_fetch_add(&s->early, 1);
	/* often long enough to be caught inside by a cancel */
	clock_spin_ns(s->runs % 4 * 20000);
	atomic_fetch_add(&s->runs, 1);
	atomic_fetch_sub(&s->running, 1);
}

/* Go to another CPU, and wait there till what was armed may well be running. */
static void storm_elsewhere(uint64_t *rnd)
{
	unsigned cpu = (unsigned)(crew_random(rnd) % cpu_count());

	KT_CHECK(thread_set_affinity(current_thread(), BIT(cpu)) == 0);
	clock_spin_ns(crew_random(rnd) % 100000);
}

/* Each thread owns a share of the timers, but other CPUs than the one that armed them cancel and move them, since the
 * threads wander. */
static void storm_fn(void *arg)
{
	uint64_t rnd = kt_seed() + (uintptr_t)arg;

	for (uint64_t i = 0; i < 500 * kt_scale(); i++) {
		struct storm_timer *s = &storm[(uintptr_t)arg * 4 + crew_random(&rnd) % 4];
		uint64_t deadline = clock_now_ns() + crew_random(&rnd) % 200000;

		timer_cancel(&s->timer);
		WRITE_ONCE(s->dead, 1);
		if (READ_ONCE(s->running) || timer_armed(&s->timer))
			atomic_fetch_add(&storm_wrong, 1);
		WRITE_ONCE(s->deadline, deadline);
		WRITE_ONCE(s->dead, 0);
		timer_arm(&s->timer, deadline);
		if (i % 3 == 0)
			storm_elsewhere(&rnd);
		if (i % 5 == 0)
			timer_arm(&s->timer, deadline + 1000);
	}
	for (unsigned i = 0; i < 4; i++)
		timer_cancel(&storm[(uintptr_t)arg * 4 + i].timer);
}

KTEST(timer_storm)
{
	struct crew crew = { 0 };
	uint64_t runs = 0;

	storm_wrong = 0;
	for (unsigned i = 0; i < STORM_TIMERS; i++) {
		storm[i] = (struct storm_timer){ 0 };
		timer_init(&storm[i].timer, storm_fire);
	}
	for (unsigned i = 0; i < STORM_TIMERS / 4; i++)
		crew_add(&crew, storm_fn, (void *)(uintptr_t)i, ~(cpumask_t)0);
	crew_join(&crew);
	for (unsigned i = 0; i < STORM_TIMERS; i++) {
		runs += storm[i].runs;
		KT_CHECK(storm[i].early == 0);
	}
	KT_CHECK(storm_wrong == 0);
	KT_CHECK(runs > 0);
}

/* A callback re-arms itself; the order of deadlines is the order of callbacks. */
/* Arms itself when it begins, and again when a cancel has come meanwhile. */
static struct timer twice;
static uint32_t twice_begun;

static void twice_fire(struct timer *t)
{
	timer_arm(t, clock_now_ns() + NS_PER_S);
	atomic_store_release(&twice_begun, 1);
	while (timer_armed(t) && clock_now_ns() < t->deadline_ns)
		arch_spin_hint();
	timer_arm(t, clock_now_ns() + 100 * NS_PER_S);
}

static void arm_twice(void *unused)
{
	timer_arm(&twice, clock_now_ns());
}

KTEST(timer_cancel_rearmed)
{
	struct crew crew = { 0 };

	if (cpu_count() < 2)
		return;
	KT_CHECK(thread_set_affinity(current_thread(), BIT(0)) == 0);
	timer_init(&twice, twice_fire);
	twice_begun = 0;
	crew_add(&crew, arm_twice, NULL, BIT(1));
	while (!atomic_load_acquire(&twice_begun))
		cond_resched();
	KT_CHECK(timer_cancel(&twice));
	KT_CHECK(!timer_armed(&twice));
	timer_cancel(&twice);
	crew_join(&crew);
	KT_CHECK(thread_set_affinity(current_thread(), ~(cpumask_t)0) == 0);
}

static uint32_t waits_begun, waits_for; /* [atomic] */

static void wait_for_arming(struct timer *t)
{
	uint64_t hang = crew_hang_deadline();

	atomic_store_release(&waits_begun, 1);
	while (!atomic_load_acquire(&waits_for) && clock_now_ns() < hang)
		arch_spin_hint();
	KT_CHECK(atomic_load_acquire(&waits_for));
}

static void arm_now(void *t)
{
	timer_arm(t, clock_now_ns());
}

/* RC-011: its callback may wait, for a lock, for who arms it again on another CPU; who arms it does not wait for its
 * callback. */
KTEST(timer_armed_while_it_runs)
{
	static struct timer t;
	struct crew crew = { 0 };

	if (cpu_count() < 2)
		return;
	KT_CHECK(thread_set_affinity(current_thread(), BIT(0)) == 0);
	timer_init(&t, wait_for_arming);
	waits_begun = waits_for = 0;
	crew_add(&crew, arm_now, &t, BIT(1));
	while (!atomic_load_acquire(&waits_begun))
		cond_resched();
	timer_arm(&t, clock_now_ns() + 100 * NS_PER_S);
	atomic_store_release(&waits_for, 1);
	crew_join(&crew);
	KT_CHECK(timer_cancel(&t));
	KT_CHECK(thread_set_affinity(current_thread(), ~(cpumask_t)0) == 0);
}

static uint64_t order_last;
static uint32_t order_wrong, order_runs;

static void order_fire(struct timer *t)
{
	if (t->deadline_ns < order_last)
		order_wrong++;
	order_last = t->deadline_ns;
	if (++order_runs < 200)
		timer_arm(t, t->deadline_ns + 20000);
}

KTEST(timer_rearm)
{
	struct timer t[3];
	irqflags_t flags;

	order_last = 0;
	order_wrong = 0;
	order_runs = 0;
	preempt_disable();
	/* None may fire, and look later than the others, while the host keeps us from arming the next. */
	flags = arch_irq_save();
	for (unsigned i = 0; i < 3; i++) {
		timer_init(&t[i], order_fire);
		timer_arm(&t[i], clock_now_ns() + 50000 + 7000 * i);
	}
	arch_irq_restore(flags);
	while (READ_ONCE(order_runs) < 200)
		arch_spin_hint();
	preempt_enable();
	for (unsigned i = 0; i < 3; i++)
		timer_cancel(&t[i]);
	KT_CHECK(order_wrong == 0);
}

/* X-16, I-TIMER-2: time is one for all CPUs: no CPU sees it go back, whoever looked last. */
static spinlock_t time_lock = SPINLOCK_INIT(FUTEX);
static uint64_t time_last;
static uint32_t time_wrong;

static void time_fn(void *arg)
{
	for (uint64_t i = 0; i < 5000 * kt_scale(); i++) {
		uint64_t now;

		spin_lock(&time_lock);
		now = clock_now_ns();
		if (now < time_last)
			time_wrong++;
		time_last = now;
		spin_unlock(&time_lock);
	}
}

KTEST(clock_monotonic)
{
	struct crew crew = { 0 };

	time_last = 0;
	time_wrong = 0;
	for (unsigned i = 0; i < MIN(cpu_count(), 8u); i++)
		crew_add(&crew, time_fn, NULL, BIT(i));
	crew_join(&crew);
	KT_CHECK(time_wrong == 0);
	/* deadline and counter convert into each other without an early moment */
	for (uint64_t ns = 1; ns < 1UL << 60; ns = ns * 3 + 7)
		KT_CHECK(clock_counter_to_ns(clock_ns_to_counter(ns) - clock_ns_to_counter(0)) >=
			 ns);
}

/* The clock jumps until the boot lies before the counter's zero: what was due then is due, and holds nothing up. */
KTEST(timer_of_before_the_counter)
{
	const struct clock_data *d = clock_page();
	uint64_t hang = crew_hang_deadline();
	struct timer t;

	while ((int64_t)READ_ONCE(d->counter_base) >= 0) {
		fault_after(FAULT_CLOCK_JUMP, 1);
		KT_CHECK(sleep_until(clock_now_ns() + NS_PER_MS, WAIT_UNINTERRUPTIBLE) == 0);
	}
	fault_after(FAULT_CLOCK_JUMP, 0);
	fired = 0;
	timer_init(&t, count_fire);
	timer_arm(&t, 1);
	while (!READ_ONCE(fired) && clock_now_ns() < hang)
		arch_spin_hint();
	KT_CHECK(READ_ONCE(fired) == 1);
	timer_cancel(&t);
}
