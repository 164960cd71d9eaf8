/* SPDX-License-Identifier: MIT */
/* Wait queues. Why no wake-up is lost (I-WAIT-1): the sleeper links its entry and becomes BLOCKED before it tests the
 * condition; the waker makes the condition true before it takes wq->lock to look. Whoever takes that lock second sees
 * what the first did: either the waker finds the entry and makes the thread READY, which the switch then notices under
 * the run queue's lock, or the sleeper's test comes later than the change and is true.
 *
 * A time-out, a signal and a wake-up all do the same thing, BLOCKED -> READY under t->lock, once; only the sleeper
 * takes its entry off the list. Order of locks: WAITQ, THREAD, RUNQ. relacy compiles this, as C++. */
#include "sched/wait.h"
#include "arch/aarch64/image.h"
#include "lib/errno.h"
#include "kernel/core/irq.h"
#include "kernel/core/panic.h"
#include "sched/mutex.h"
#include "sched/runq_priv.h"

/* On the sleeper's stack; cancelled before that goes. */
struct sleep_timer {
	struct timer timer;
	struct thread *thread; /* [init] */
	bool fired;	       /* [thread->lock] */
};

void waitq_init(struct waitq *wq)
{
	spin_init(&wq->lock, LOCK_WAITQ);
	wq->magic = WAITQ_MAGIC;
	wq->pausing = 0;
	list_init(&wq->sleepers);
}

static void waitq_check(const struct waitq *wq)
{
	if (wq->magic != WAITQ_MAGIC)
		BUG("not a wait queue: %p (magic %x)", (const void *)wq, wq->magic);
}

void wait_prepare(struct waitq *wq, struct wait_entry *e, enum wait_mode mode)
{
	struct thread *t = current_thread();
	irqflags_t f;

	might_sleep();
	waitq_check(wq);
	if (t->waiting_on)
		BUG("%s waits while it waits: a wait's condition slept", t->name);
	e->thread = t;
	e->wq = wq;
	f = spin_lock_irqsave(&wq->lock);
	list_push_back(&e->link, &wq->sleepers);
	spin_lock(&t->lock);
	ASSERT(t->state == THREAD_RUNNING);
	WRITE_ONCE(t->waiting_on, wq);
	WRITE_ONCE(t->wait_mode, mode);
	WRITE_ONCE(t->state, THREAD_BLOCKED);
	spin_unlock(&t->lock);
	spin_unlock_irqrestore(&wq->lock, f);
	/* The link before the test of the condition: pairs with the fence in waitq_has_sleepers(). */
	atomic_fence();
}

void wait_finish(struct wait_entry *e)
{
	struct thread *t = current_thread();
	struct waitq *wq = e->wq;
	irqflags_t f;

	ASSERT(e->thread == t);
	f = spin_lock_irqsave(&wq->lock);
	list_del(&e->link);
	spin_lock(&t->lock);
	if (t->waiting_on != wq)
		BUG("%s was asleep on %p and finds %p", t->name, (void *)wq, (void *)t->waiting_on);
	WRITE_ONCE(t->waiting_on, NULL);
	WRITE_ONCE(t->state, THREAD_RUNNING);
	spin_unlock(&t->lock);
	spin_unlock_irqrestore(&wq->lock, f);
}

/* What t's notify bits say to a wait of this mode: 0, -EINTR or -ERESTARTSYS. */
static int wait_ended(const struct thread *t, enum wait_mode mode)
{
	uint32_t notify = atomic_load_acquire(&t->notify);

	if (mode <= WAIT_UNINTERRUPTIBLE)
		return 0;
	if (notify & NOTIFY_KILL)
		return -EINTR;
	if (mode == WAIT_INTERRUPTIBLE && (notify & NOTIFY_SIGNAL))
		return -ERESTARTSYS;
	return 0;
}

static void sleep_fired(struct timer *timer)
{
	struct sleep_timer *st = container_of(timer, struct sleep_timer, timer);
	struct thread *t = st->thread;
	cpumask_t kicks = 0;

	spin_lock(&t->lock);
	st->fired = true;
	(void)thread_wake_locked(t, &kicks);
	spin_unlock(&t->lock);
	sched_kick_all(kicks);
}

/* True if the deadline ended it. */
static __noinline bool block_until(struct thread *t, uint64_t deadline_ns)
{
	struct sleep_timer st = { .thread = t };

	if (clock_now_ns() >= deadline_ns)
		return true;
	timer_init(&st.timer, sleep_fired);
	timer_arm(&st.timer, deadline_ns);
	sched_block();
	(void)timer_cancel(&st.timer);
	return st.fired;
}

int wait_sleep(struct wait_entry *e, enum wait_mode mode, uint64_t deadline_ns)
{
	struct thread *t = e->thread;
	int ret = wait_ended(t, mode);
	bool late = false;

	if (ret)
		return ret;
	if (deadline_ns == DEADLINE_NEVER)
		sched_block();
	else
		late = block_until(t, deadline_ns);
	ret = wait_ended(t, mode);
	return ret ? ret : late ? -ETIMEDOUT : 0;
}

/* Sleepers looked at with interrupts off at a stretch. */
#define WAKE_BATCH 32

/* Let interrupts in. Who is still to be looked at, up to `last`, stands before a mark of ours meanwhile; at the front the mark
 * has done its work, and another waker that finds it there takes it off. The last that is left then, or NULL. */
static __noinline struct wait_entry *let_irqs_in(struct waitq *wq, struct wait_entry *last,
						 irqflags_t *f) __requires(wq->lock)
{
	struct wait_entry mark = { .thread = NULL };
	bool left;

	list_insert_between(&mark.link, &last->link, last->link.next);
	WRITE_ONCE(wq->pausing, wq->pausing + 1);
	spin_unlock_irqrestore(&wq->lock, *f);
	*f = spin_lock_irqsave(&wq->lock);
	WRITE_ONCE(wq->pausing, wq->pausing - 1);
	left = list_linked(&mark.link) && mark.link.prev != &wq->sleepers;
	last = list_entry(mark.link.prev, struct wait_entry, link);
	list_del(&mark.link);
	return left ? last : NULL;
}

/* Each that is looked at goes to the end of the list, but for the last. */
static __noinline unsigned wake_sleepers(struct waitq *wq, unsigned n)
{
	struct wait_entry *e, *last;
	unsigned woken = 0, seen = 0;
	cpumask_t kicks = 0;
	irqflags_t f;

	preempt_disable();
	f = spin_lock_irqsave(&wq->lock);
	last = list_empty(&wq->sleepers) ? NULL : list_last(&wq->sleepers, struct wait_entry, link);
	while (last) {
		struct thread *t;

		e = list_first(&wq->sleepers, struct wait_entry, link);
		t = e->thread;
		if (t) {
			spin_lock(&t->lock);
			ASSERT(t->waiting_on == wq);
			woken += thread_wake_locked(t, &kicks);
			spin_unlock(&t->lock);
		}
		if (e == last || (n && woken == n))
			break;
		list_del(&e->link);
		if (t)
			list_push_back(&e->link, &wq->sleepers);
		if (++seen % WAKE_BATCH == 0)
			last = let_irqs_in(wq, last, &f);
	}
	spin_unlock_irqrestore(&wq->lock, f);
	sched_kick_all(kicks);
	preempt_enable();
	return woken;
}

unsigned waitq_wake(struct waitq *wq, unsigned n)
{
	waitq_check(wq);
	return waitq_has_sleepers(wq) ? wake_sleepers(wq, n) : 0;
}

void thread_notify(struct thread *t, uint32_t bits)
{
	cpumask_t kicks = 0;
	irqflags_t f;

	preempt_disable();
	atomic_fetch_or(&t->notify, bits);
	f = spin_lock_irqsave(&t->lock);
	if (t->waiting_on) {
		waitq_check(t->waiting_on);
		/* The sleeper tests notify after it became BLOCKED under this lock: one of us sees the other. */
		if (wait_ended(t, t->wait_mode))
			(void)thread_wake_locked(t, &kicks);
	}
	spin_unlock_irqrestore(&t->lock, f);
	sched_kick_all(kicks);
	preempt_enable();
	/* A thread that computes in user mode sees its bits on the way back from an interrupt. The bits are set before this
	 * look; whoever is switched in or out meanwhile passes the check of trap_return_user() by itself. */
	if (t != current_thread() && atomic_load_acquire(&t->on_cpu))
		irq_send_resched(READ_ONCE(t->rq)->cpu);
}

void wait_look_again(struct thread *t)
{
	cpumask_t kicks = 0;
	irqflags_t f;

	preempt_disable();
	/* it became BLOCKED under this lock, and works its deadline out after that: one of us sees the other */
	f = spin_lock_irqsave(&t->lock);
	if (t->waiting_on)
		(void)thread_wake_locked(t, &kicks);
	spin_unlock_irqrestore(&t->lock, f);
	sched_kick_all(kicks);
	preempt_enable();
}

struct trace {
	uintptr_t *pc;
	unsigned n, room;
};

static bool trace_add(uintptr_t pc, void *arg)
{
	struct trace *trace = (struct trace *)arg;

	trace->pc[trace->n++] = pc;
	return trace->n < trace->room;
}

unsigned __no_lock_check thread_trace(struct thread *t, uintptr_t *pc, unsigned room)
{
	struct trace trace = { pc, 0, room };
	irqflags_t f = spin_lock_irqsave(&t->lock), unused;
	struct runq *rq = runq_lock_of(t, &unused);
	/* off its CPU, and on nobody's queue: nothing but a wake-up, under t->lock, lets it run and use its stack */
	bool asleep = t->state == THREAD_BLOCKED && !t->queued && !t->moving &&
		      !atomic_load_acquire(&t->on_cpu);

	spin_unlock(&rq->lock);
	if (asleep)
		arch_backtrace(arch_thread_fp(&t->arch), t->stack.lo, t->stack.hi, trace_add,
			       &trace);
	spin_unlock_irqrestore(&t->lock, f);
	return trace.n;
}

/* Its stack goes only when it is off the registry, and the walk reads nothing outside of that. */
unsigned thread_trace_guess(const struct thread *t, uintptr_t *pc, unsigned room)
{
	struct trace trace = { pc, 0, room };

	if (READ_ONCE(t->state) == THREAD_BLOCKED && !atomic_load_acquire(&t->on_cpu))
		arch_backtrace(arch_thread_fp(&t->arch), t->stack.lo, t->stack.hi, trace_add,
			       &trace);
	return trace.n;
}

void thread_place(const struct thread *t, unsigned *cpu, bool *queued)
{
	const struct runq *rq = READ_ONCE(t->rq);

	*cpu = rq ? rq->cpu : 0;
	*queued = READ_ONCE(t->queued);
}

uintptr_t thread_sleeps_at(struct thread *t)
{
	uintptr_t pc[16];
	unsigned n = thread_trace(t, pc, ARRAY_SIZE(pc)), i = 0;

	while (i + 1 < n && pc[i] >= (uintptr_t)sched_text_start &&
	       pc[i] < (uintptr_t)sched_text_end)
		i++;
	return n ? pc[i] : 0;
}

int sleep_until(uint64_t deadline_ns, enum wait_mode mode)
{
	struct waitq wq;
	int ret;

	waitq_init(&wq);
	ret = wait_event_mode(&wq, false, mode, deadline_ns);
	waitq_check_idle(&wq);
	return ret == -ETIMEDOUT ? 0 : ret;
}
