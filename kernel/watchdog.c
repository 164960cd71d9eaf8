/* SPDX-License-Identifier: MIT */
/* Three watchdogs. A timer of each CPU counts beats, looks whether a switch that is due does not come (soft lockup), and
 * whether the next CPU's beats go on (stuck CPU). A thread looks for threads that sleep where nothing but a wake-up
 * ends it, and hold or need what others wait for: those of processes, and whoever holds a mutex. A kernel thread that holds
 * nothing waits for work. */
#include "kernel/watchdog.h"
#include "kernel/core/clock.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "sched/thread.h"

struct watch {
	struct timer timer;
	uint64_t beats;		   /* [atomic] ticks of this CPU */
	uint64_t switches;	   /* [cpu] at the last */
	uint64_t buddy_beats;	   /* [cpu] the next CPU's at the last */
	unsigned due, buddy_still; /* [cpu] for how many ticks */
};

static DEFINE_PER_CPU(struct watch, watches);
static uint64_t limit;			 /* [atomic] ns; 0: off */
static uint32_t changed;		 /* [atomic] limit is another */
static void (*hook)(const char *text);	 /* [atomic] */
static struct waitq wq = WAITQ_INIT(wq); /* the thread's */
static uint64_t looks;			 /* [atomic] that thread's */

static void __printf(1, 2) tell(const char *fmt, ...)
{
	void (*fn)(const char *text) = READ_ONCE(hook);
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	fmt_vprint(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("%s: watchdog: %s", fn ? "expected" : "BUG", text);
	if (fn)
		fn(text);
}

/* --- CPUs ------------------------------------------------------------------------------------------------------- */

/* The thread that was interrupted has had preemption off, with a switch due, at each of the last ticks. */
static void check_schedules(struct watch *w, const struct cpu *c)
{
	const struct thread_base *t = current_base();
	struct sched_cpu_stats s;
	size_t offset;
	const char *name = symbol_of(c->irq_pc, &offset);

	sched_stats(c->id, &s);
	if (s.switches != w->switches || !t->preempt_depth || !READ_ONCE(c->need_resched)) {
		w->switches = s.switches;
		w->due = 0;
		return;
	}
	if (++w->due != WATCHDOG_TICKS)
		return;
	tell("cpu %u does not switch: thread %d %s has preemption off, at %lx %s+0x%zx", c->id,
	     t->id, t->name, c->irq_pc, name, offset);
	backtrace_print((uintptr_t)__builtin_frame_address(0), t->stack_lo, t->stack_hi);
	lock_dump_held();
}

static struct cpu *buddy_of(const struct cpu *c)
{
	struct cpu *b = cpu_get((c->id + 1) % cpu_count());

	return b == c || !READ_ONCE(b->online) ? NULL : b;
}

/* Where it is it cannot say; where it was last interrupted, and what it holds, it has left behind. */
static void check_buddy(struct watch *w, const struct cpu *c)
{
	const struct cpu *b = buddy_of(c);
	char thread[16] = "that is gone";
	uint64_t beats;
	const char *name;
	int id = 0;
	size_t offset;

	if (!b)
		return;
	beats = watchdog_beats(b->id);
	if (beats != w->buddy_beats) {
		w->buddy_beats = beats;
		w->buddy_still = 0;
		return;
	}
	if (++w->buddy_still != WATCHDOG_TICKS)
		return;
	IGNORE(thread_identify(READ_ONCE(b->current), &id, thread));
	name = symbol_of(READ_ONCE(b->irq_pc), &offset);
	tell("cpu %u takes no timer interrupt: thread %d %s, last interrupted at %lx %s+0x%zx",
	     b->id, id, thread, READ_ONCE(b->irq_pc), name, offset);
	lock_dump_held();
}

static void arm(struct watch *w)
{
	uint64_t ns = READ_ONCE(limit);

	if (ns)
		timer_arm(&w->timer, clock_now_ns() + ns / WATCHDOG_TICKS);
}

static void tick(struct timer *t)
{
	struct watch *w = container_of(t, struct watch, timer);
	const struct cpu *c = this_cpu();

	WRITE_ONCE(w->beats, w->beats + 1);
	check_schedules(w, c);
	check_buddy(w, c);
	arm(w);
}

/* In an interrupt of each CPU, or with them off: its timer is its own. */
static void start_here(void *unused)
{
	struct watch *w = per_cpu_ptr(watches, arch_cpu());

	w->due = 0;
	w->buddy_still = 0;
	arm(w);
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

static bool may_hang(const struct thread *t)
{
	return READ_ONCE(t->state) == THREAD_BLOCKED &&
	       READ_ONCE(t->wait_mode) == WAIT_UNINTERRUPTIBLE &&
	       (t->process || lock_held_by(&t->base, NULL, 0));
}

struct look {
	struct thread *found;
	uint64_t last_ns; /* the look before */
	bool bounded;
};

/* Under the registry's lock. Somebody has waited since the last look for a device, say, which is given its time: who waits for
 * what he holds waits as long. It may have woken meanwhile, or be awake, to look itself. */
static void look_for_bounded(struct thread *t, void *arg)
{
	struct look *look = arg;
	uint64_t since = READ_ONCE(t->bounded_since);

	if (since && since <= look->last_ns)
		look->bounded = true;
}

/* Under the registry's lock. Of those found at one look one is told of; the others keep their count for the next. */
static void look_at(struct thread *t, void *arg)
{
	struct look *look = arg;
	uint64_t switches = READ_ONCE(t->switches);

	if (!may_hang(t) || switches != t->hung_switches) {
		t->hung_switches = switches;
		t->hung_ticks = 0;
		return;
	}
	if (look->bounded)
		return;
	if (t->hung_ticks < WATCHDOG_TICKS && ++t->hung_ticks < WATCHDOG_TICKS)
		return;
	if (t->hung_ticks == WATCHDOG_TICKS && !look->found && refcount_get(&t->ref)) {
		t->hung_ticks++;
		look->found = t;
	}
}

static void tell_of_thread(struct thread *t)
{
	struct held_lock held[HELD_MAX];
	unsigned n = lock_held_by(&t->base, held, HELD_MAX);
	uintptr_t at = thread_sleeps_at(t), pc[16];
	size_t offset;
	const char *name = symbol_of(at, &offset);

	tell("thread %d %s sleeps and nothing can end it but a wake-up: at %lx %s+0x%zx, on %p",
	     t->base.id, t->name, at, name, offset, (const void *)READ_ONCE(t->waiting_on));
	for (unsigned i = 0; i < n; i++) {
		name = symbol_of(held[i].pc, &offset);
		log_warn("core: thread %d holds %s %p taken at %lx %s+0x%zx", t->base.id,
			 lock_class_name(held[i].cls), held[i].lock, held[i].pc, name, offset);
	}
	n = thread_trace(t, pc, ARRAY_SIZE(pc));
	for (unsigned i = 0; i < n; i++) {
		name = symbol_of(pc[i] - 4, &offset);
		log_warn("core:   %lx %s+0x%zx", pc[i], name, offset + 4);
	}
}

static void watch_threads(void *unused)
{
	for (;;) {
		uint64_t ns = READ_ONCE(limit);
		struct look look = { .last_ns = clock_now_ns() };
		uint64_t next = ns ? look.last_ns + ns / WATCHDOG_TICKS : DEADLINE_NEVER;

		if (wait_event_mode(&wq, atomic_exchange(&changed, 0), WAIT_UNINTERRUPTIBLE,
				    next) != -ETIMEDOUT)
			continue;
		thread_for_each(look_for_bounded, &look);
		thread_for_each(look_at, &look);
		WRITE_ONCE(looks, looks + 1);
		if (look.found) {
			tell_of_thread(look.found);
			thread_put(look.found);
		}
	}
}

/* --- settings --------------------------------------------------------------------------------------------------- */

uint64_t watchdog_limit(void)
{
	return READ_ONCE(limit);
}

void watchdog_set(uint64_t limit_ns)
{
	irqflags_t f;

	WRITE_ONCE(limit, limit_ns);
	preempt_disable();
	cpus_call(start_here, NULL);
	f = arch_irq_save();
	start_here(NULL);
	arch_irq_restore(f);
	preempt_enable();
	atomic_exchange(&changed, 1);
	wake_all(&wq);
}

void watchdog_set_hook(void (*fn)(const char *text))
{
	WRITE_ONCE(hook, fn);
}

uint64_t watchdog_beats(unsigned cpu)
{
	return READ_ONCE(per_cpu_ptr(watches, cpu_get(cpu))->beats);
}

uint64_t watchdog_looks(void)
{
	return READ_ONCE(looks);
}

int watchdog_init(void)
{
	struct cpu *c;

	for_each_cpu (c)
		timer_init(&per_cpu_ptr(watches, c)->timer, tick);
	watchdog_set(cmdline_u64("watchdog", WATCHDOG_SECONDS) * NS_PER_S);
	return thread_spawn("watchdog", watch_threads, NULL);
}
