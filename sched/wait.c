/* SPDX-License-Identifier: MIT */
/* Wait queues. Why no wake-up is lost (I-WAIT-1): the sleeper links its entry and becomes BLOCKED before it tests the
 * condition; the waker makes the condition true before it takes wq->lock to look. Whoever takes that lock second sees
 * what the first did: either the waker finds the entry and makes the thread READY, which the switch then notices under
 * the run queue's lock, or the sleeper's test comes later than the change and is true.
 *
 * A time-out, a signal and a wake-up all do the same thing, BLOCKED -> READY under t->lock, once; only the sleeper
 * takes its entry off the list. Order of locks: WAITQ, THREAD, RUNQ. */
#include "sched/wait.h"
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
	t->waiting_on = wq;
	t->wait_mode = mode;
	t->state = THREAD_BLOCKED;
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
	t->waiting_on = NULL;
	t->state = THREAD_RUNNING;
	spin_unlock(&t->lock);
	spin_unlock_irqrestore(&wq->lock, f);
}

/* What t's notify bits say to a wait of this mode: 0, -EINTR or -ERESTARTSYS. */
static int wait_ended(const struct thread *t, enum wait_mode mode)
{
	uint32_t notify = atomic_load_acquire(&t->notify);

	if (mode == WAIT_UNINTERRUPTIBLE)
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

int wait_sleep(struct wait_entry *e, enum wait_mode mode, uint64_t deadline_ns)
{
	struct thread *t = e->thread;
	struct sleep_timer st;
	int ret = wait_ended(t, mode);

	if (ret)
		return ret;
	if (deadline_ns == DEADLINE_NEVER) {
		sched_block();
		return wait_ended(t, mode);
	}
	if (clock_now_ns() >= deadline_ns)
		return -ETIMEDOUT;
	st.thread = t;
	st.fired = false;
	timer_init(&st.timer, sleep_fired);
	timer_arm(&st.timer, deadline_ns);
	sched_block();
	(void)timer_cancel(&st.timer);
	ret = wait_ended(t, mode);
	if (ret)
		return ret;
	return st.fired ? -ETIMEDOUT : 0;
}

/* Sleepers looked at with interrupts off at a stretch. */
#define WAKE_BATCH 32

/* Each that is looked at goes to the end of the list, behind our mark. A mark that has come to the front has done its work,
 * whoever's it is: all that were before it have been looked at, by its waker or by another. */
unsigned waitq_wake(struct waitq *wq, unsigned n)
{
	struct wait_entry *e, mark = { .thread = NULL };
	unsigned woken = 0, seen = 0;
	cpumask_t kicks = 0;
	irqflags_t f;

	waitq_check(wq);
	if (!waitq_has_sleepers(wq))
		return 0;
	preempt_disable();
	f = spin_lock_irqsave(&wq->lock);
	list_push_back(&mark.link, &wq->sleepers);
	for (;;) {
		e = list_first(&wq->sleepers, struct wait_entry, link);
		list_del(&e->link);
		if (e->thread) {
			struct thread *t = e->thread;

			list_push_back(&e->link, &wq->sleepers);
			spin_lock(&t->lock);
			ASSERT(t->waiting_on == wq);
			woken += thread_wake_locked(t, &kicks);
			spin_unlock(&t->lock);
		}
		if (!list_linked(&mark.link) || (n && woken == n))
			break;
		if (++seen % WAKE_BATCH == 0) {
			wq->pausing++;
			spin_unlock_irqrestore(&wq->lock, f);
			f = spin_lock_irqsave(&wq->lock);
			wq->pausing--;
			if (!list_linked(&mark.link))
				break;
		}
	}
	list_del(&mark.link);
	spin_unlock_irqrestore(&wq->lock, f);
	sched_kick_all(kicks);
	preempt_enable();
	return woken;
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

int sleep_until(uint64_t deadline_ns, enum wait_mode mode)
{
	struct waitq wq;
	int ret;

	waitq_init(&wq);
	ret = wait_event_mode(&wq, false, mode, deadline_ns);
	waitq_check_idle(&wq);
	return ret == -ETIMEDOUT ? 0 : ret;
}
