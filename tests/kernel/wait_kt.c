/* SPDX-License-Identifier: MIT */
/* Sleeping and waking: rows RC-013, RC-014, REL-008; time-outs, kills. */
#include "tests/kernel/ktest.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "sched/mutex.h"
#include "sched/wait.h"
#include "tests/kernel/crew.h"

#define ALL_CPUS (~(cpumask_t)0)

/* --- RC-013: a mailbox of one slot ------------------------------------------------------------------------------ */

struct mailbox {
	struct waitq wq;
	uint64_t full; /* [atomic] */
	uint64_t rounds;
	unsigned lost; /* [atomic] waits that only their time-out ended */
};

/* Wait for the slot to be in the state wanted. Who sleeps until the time-out has lost a wake-up, also if the state is
 * the one it wants by then. */
static void mailbox_wait(struct mailbox *m, uint64_t want)
{
	uint64_t end = crew_hang_deadline();

	while (wait_event_mode(&m->wq, atomic_load_acquire(&m->full) == want, WAIT_UNINTERRUPTIBLE,
			       end) < 0)
		end = DEADLINE_NEVER;
	if (clock_now_ns() >= end || end == DEADLINE_NEVER)
		atomic_fetch_add(&m->lost, 1);
}

static void sender_fn(void *arg)
{
	struct mailbox *m = arg;

	for (uint64_t i = 0; i < m->rounds; i++) {
		mailbox_wait(m, 0);
		atomic_store_release(&m->full, 1);
		wake_all(&m->wq);
	}
}

static void receiver_fn(void *arg)
{
	struct mailbox *m = arg;

	for (uint64_t i = 0; i < m->rounds; i++) {
		mailbox_wait(m, 1);
		atomic_store_release(&m->full, 0);
		wake_all(&m->wq);
	}
}

static void pingpong(cpumask_t a, cpumask_t b)
{
	struct mailbox m = { .rounds = 1000 * kt_scale() };
	struct crew crew = { 0 };

	waitq_init(&m.wq);
	crew_add(&crew, sender_fn, &m, a);
	crew_add(&crew, receiver_fn, &m, b);
	crew_join(&crew);
	KT_CHECK(m.lost == 0);
	KT_CHECK(!waitq_has_sleepers(&m.wq));
}

KTEST(pingpong)
{
	pingpong(BIT(0), BIT(0));
	pingpong(BIT(0), BIT(cpu_count() - 1));
	pingpong(ALL_CPUS, ALL_CPUS);
}

/* --- RC-014: many sleepers and wakers, time-outs and kills on one queue -------------------------------------- */

struct station {
	struct waitq wq;
	uint32_t tickets;			/* [atomic] given and not yet taken */
	uint64_t given, taken, timeouts, kills; /* [atomic] */
	uint32_t stop;				/* [atomic] */
};

static bool take_ticket(struct station *s)
{
	uint32_t n = READ_ONCE(s->tickets);

	while (n > 0)
		if (atomic_compare_exchange(&s->tickets, &n, n - 1))
			return true;
	return false;
}

static void sleeper_fn(void *arg)
{
	struct station *s = arg;
	uint64_t state = (uintptr_t)current_thread() | 1;

	while (!READ_ONCE(s->stop)) {
		uint64_t deadline = clock_now_ns() + crew_random(&state) % (2 * NS_PER_MS);
		int ret = wait_event_mode(&s->wq, take_ticket(s), WAIT_KILLABLE, deadline);

		if (ret == 0)
			atomic_fetch_add(&s->taken, 1);
		else if (ret == -ETIMEDOUT)
			atomic_fetch_add(&s->timeouts, 1);
		else if (ret == -EINTR)
			break;
		else
			KT_CHECK(false);
	}
	if (thread_killed(current_thread()))
		atomic_fetch_add(&s->kills, 1);
}

static void waker_fn(void *arg)
{
	struct station *s = arg;
	uint64_t state = (uintptr_t)current_thread() | 1;

	while (!READ_ONCE(s->stop)) {
		atomic_fetch_add(&s->tickets, 1);
		atomic_fetch_add(&s->given, 1);
		wake_one(&s->wq);
		if (crew_random(&state) % 4 == 0)
			sched_yield();
		/* Enough lie about: let them be taken, and waits time out. */
		if (READ_ONCE(s->tickets) > 16)
			KT_CHECK(sleep_until(clock_now_ns() + crew_random(&state) % (3 * NS_PER_MS),
					     WAIT_UNINTERRUPTIBLE) == 0);
	}
}

/* Until so many tickets have been taken, and some waits have timed out. */
static void await_storm(struct station *s, uint64_t taken)
{
	while (READ_ONCE(s->taken) < taken || READ_ONCE(s->timeouts) < taken / 100)
		KT_CHECK(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) == 0);
}

KTEST(wait_storm)
{
	struct station s = { 0 };
	static struct crew sleepers, wakers;

	waitq_init(&s.wq);
	for (unsigned i = 0; i < 8; i++) {
		crew_add(&sleepers, sleeper_fn, &s, ALL_CPUS);
		crew_add(&wakers, waker_fn, &s, ALL_CPUS);
	}
	/* Half of the sleepers are killed one by one while the storm goes on. */
	for (unsigned i = 0; i < 4; i++) {
		await_storm(&s, (i + 1) * 100 * kt_scale());
		thread_notify(sleepers.thread[i], NOTIFY_KILL);
		thread_join(sleepers.thread[i]);
	}
	WRITE_ONCE(s.stop, 1);
	crew_join(&wakers);
	crew_join(&sleepers);
	KT_CHECK(s.kills == 4);
	KT_CHECK(s.given == s.taken + s.tickets);
	KT_CHECK(!waitq_has_sleepers(&s.wq));
}

/* --- a wake-up is not spent on who is awake already ---------------------------------------------------------------- */

struct turn {
	struct waitq *wq;
	const uint32_t *open; /* [atomic] */
	int ret;	      /* 1: not back yet */
};

static void turn_fn(void *arg)
{
	struct turn *t = arg;
	int ret = wait_event_mode(t->wq, READ_ONCE(*t->open), WAIT_KILLABLE, DEADLINE_NEVER);

	WRITE_ONCE(t->ret, ret);
}

/* The first of two sleepers is killed and cannot run yet: it is still on the list when one is to be woken. */
KTEST(wake_passes_over_the_woken)
{
	struct waitq wq;
	uint32_t open = 0;
	struct turn first = { &wq, &open, 1 }, second = { &wq, &open, 1 };
	struct crew crew = { 0 };

	waitq_init(&wq);
	KT_CHECK(thread_set_affinity(current_thread(), BIT(0)) == 0);
	crew_add(&crew, turn_fn, &first, BIT(0));
	crew_await_asleep(crew.thread[0]);
	crew_add(&crew, turn_fn, &second, BIT(0));
	crew_await_asleep(crew.thread[1]);
	preempt_disable();
	thread_notify(crew.thread[0], NOTIFY_KILL);
	WRITE_ONCE(open, 1);
	KT_CHECK(waitq_wake(&wq, 1) == 1);
	KT_CHECK(READ_ONCE(first.ret) == 1 && READ_ONCE(second.ret) == 1);
	preempt_enable();
	/* So that a wake-up that was spent fails the test, not hangs it. */
	KT_CHECK(sleep_until(crew_deadline_ms(20), WAIT_UNINTERRUPTIBLE) == 0);
	wake_all(&wq);
	crew_join(&crew);
	KT_CHECK(second.ret == 0);
	KT_CHECK(thread_set_affinity(current_thread(), ALL_CPUS) == 0);
}

/* --- many are woken, and interrupts get in meanwhile -------------------------------------------------------------- */

#define MANY 300

static struct many {
	struct waitq wq;
	struct timer timer;
	struct thread *thread[MANY];
	uint32_t round;	     /* [atomic] */
	uint32_t woken;	     /* [atomic] waits that have ended in this round */
	uint32_t in_between; /* [atomic] interrupts that found some asleep and some not */
	uint32_t missed;     /* [atomic] and no waker about to come back */
	bool wakes;	     /* [init] each of these wakes all as well */
	uint32_t woke;	     /* [atomic] so many, in this round */
	uint32_t looking;    /* [atomic] */
	uint32_t stop;	     /* [atomic] */
} many;

static void many_fn(void *arg)
{
	for (uint32_t k = 1; !READ_ONCE(many.stop); k++) {
		wait_event(&many.wq, READ_ONCE(many.round) >= k);
		atomic_fetch_add(&many.woken, 1);
	}
}

static void many_look(struct timer *t)
{
	unsigned asleep = 0;

	if (!READ_ONCE(many.looking))
		return;
	for (unsigned k = 0; k < MANY; k++)
		asleep += READ_ONCE(many.thread[k]->state) == THREAD_BLOCKED;
	if (asleep > 0 && asleep < MANY) {
		atomic_fetch_add(&many.in_between, 1);
		atomic_fetch_add(&many.missed, READ_ONCE(many.wq.pausing) != 1);
		if (many.wakes)
			atomic_fetch_add(&many.woke, waitq_wake(&many.wq, 0));
	}
	timer_arm(t, clock_now_ns() + 20 * NS_PER_US);
}

/* All sleep, on this CPU; all are woken, once each, and none of them runs before that. */
static void many_wake(void)
{
	unsigned woken;

	for (unsigned k = 0; k < MANY; k++)
		crew_await_asleep(many.thread[k]);
	WRITE_ONCE(many.woken, 0);
	WRITE_ONCE(many.woke, 0);
	preempt_disable();
	WRITE_ONCE(many.looking, 1);
	timer_arm(&many.timer, clock_now_ns() + 20 * NS_PER_US);
	atomic_fetch_add(&many.round, 1);
	woken = waitq_wake(&many.wq, 0);
	WRITE_ONCE(many.looking, 0);
	KT_CHECK(woken + READ_ONCE(many.woke) == MANY && READ_ONCE(many.woken) == 0);
	preempt_enable();
	(void)timer_cancel(&many.timer);
	while (READ_ONCE(many.woken) < MANY)
		KT_CHECK(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) == 0);
}

/* The host may keep the timer's interrupt back for as long as a round takes; not each time. */
static void many_rounds(bool wakes)
{
	uint64_t end = crew_hang_deadline();

	many = (struct many){ .wakes = wakes };
	waitq_init(&many.wq);
	timer_init(&many.timer, many_look);
	KT_CHECK(thread_set_affinity(current_thread(), BIT(0)) == 0);
	for (unsigned k = 0; k < MANY; k++) {
		many.thread[k] = thread_create("many", many_fn, NULL, KSTACK_SIZE);
		KT_CHECK(many.thread[k] != NULL);
		KT_CHECK(thread_set_affinity(many.thread[k], BIT(0)) == 0);
		thread_start(many.thread[k]);
	}
	while (!READ_ONCE(many.in_between) && clock_now_ns() < end)
		many_wake();
	KT_CHECK(READ_ONCE(many.in_between) > 0 && READ_ONCE(many.missed) == 0);
	WRITE_ONCE(many.stop, 1);
	many_wake();
	for (unsigned k = 0; k < MANY; k++) {
		thread_join(many.thread[k]);
		thread_put(many.thread[k]);
	}
	waitq_check_idle(&many.wq);
	KT_CHECK(thread_set_affinity(current_thread(), ALL_CPUS) == 0);
}

KTEST(wake_all_lets_interrupts_in)
{
	many_rounds(false);
}

/* Who comes while another waker lets interrupts in takes over what that has left, and its mark. */
KTEST(wake_all_within_wake_all)
{
	many_rounds(true);
}

static void check_idle(void *wq)
{
	waitq_check_idle(wq);
}

/* I-WAIT-2 */
KTEST(waitq_in_use_may_not_go)
{
	struct waitq wq;
	uint32_t open = 0;
	struct turn turn = { &wq, &open, 1 };
	struct crew crew = { 0 };

	waitq_init(&wq);
	crew_add(&crew, turn_fn, &turn, ALL_CPUS);
	crew_await_asleep(crew.thread[0]);
	kt_expect_bug(check_idle, &wq, "goes away in use");
	WRITE_ONCE(open, 1);
	wake_all(&wq);
	crew_join(&crew);
	wq.pausing++;
	kt_expect_bug(check_idle, &wq, "goes away in use");
	wq.pausing--;
	waitq_check_idle(&wq);
}

/* --- modes -------------------------------------------------------------------------------------------------------- */

struct nap {
	enum wait_mode mode;
	int ret; /* 1: not back yet */
	uint64_t deadline_ns;
};

static void nap_fn(void *arg)
{
	struct nap *n = arg;
	int ret = sleep_until(n->deadline_ns, n->mode);

	WRITE_ONCE(n->ret, ret);
}

/* Sleep in a mode, get bits, and see what the wait says. */
static int nap_notified(enum wait_mode mode, uint32_t bits, uint64_t ms)
{
	struct nap n = { .mode = mode, .ret = 1, .deadline_ns = crew_deadline_ms(ms) };
	struct crew crew = { 0 };

	crew_add(&crew, nap_fn, &n, ALL_CPUS);
	crew_await_asleep(crew.thread[0]);
	thread_notify(crew.thread[0], bits);
	crew_join(&crew);
	return n.ret;
}

KTEST(wait_modes)
{
	KT_CHECK(nap_notified(WAIT_KILLABLE, NOTIFY_KILL, 20000) == -EINTR);
	KT_CHECK(nap_notified(WAIT_INTERRUPTIBLE, NOTIFY_KILL, 20000) == -EINTR);
	KT_CHECK(nap_notified(WAIT_INTERRUPTIBLE, NOTIFY_SIGNAL, 20000) == -ERESTARTSYS);
	KT_CHECK(nap_notified(WAIT_KILLABLE, NOTIFY_SIGNAL, 50) == 0);
	KT_CHECK(nap_notified(WAIT_UNINTERRUPTIBLE, NOTIFY_KILL | NOTIFY_SIGNAL, 50) == 0);
}

KTEST(sleep_times)
{
	uint64_t early = 0;

	for (uint64_t i = 0; i < 50 * kt_scale(); i++) {
		uint64_t due = clock_now_ns() + i % 10 * 200 * NS_PER_US;

		KT_CHECK(sleep_until(due, WAIT_UNINTERRUPTIBLE) == 0);
		early += clock_now_ns() < due;
	}
	KT_CHECK(early == 0);
}

/* --- REL-008: a smashed pointer is a report, not a wild write ---------------------------------------------------- */

static void notify_smashed(void *arg)
{
	thread_notify(arg, NOTIFY_KILL);
}

KTEST(waiting_on_smashed)
{
	static uint64_t not_a_queue[8];
	struct nap n = { .mode = WAIT_KILLABLE, .ret = 1, .deadline_ns = crew_deadline_ms(20000) };
	struct crew crew = { 0 };
	struct waitq *was = NULL;
	struct thread *t;

	crew_add(&crew, nap_fn, &n, ALL_CPUS);
	t = crew.thread[0];
	while (!was) {
		irqflags_t f;

		KT_CHECK(sleep_until(crew_deadline_ms(2), WAIT_UNINTERRUPTIBLE) == 0);
		f = spin_lock_irqsave(&t->lock);
		was = t->waiting_on;
		if (was)
			t->waiting_on = (struct waitq *)not_a_queue;
		spin_unlock_irqrestore(&t->lock, f);
	}
	kt_expect_bug(notify_smashed, t, "not a wait queue");
	for (unsigned i = 0; i < ARRAY_SIZE(not_a_queue); i++)
		KT_CHECK(not_a_queue[i] == 0);
	t->waiting_on = was;
	thread_notify(t, NOTIFY_KILL);
	crew_join(&crew);
	KT_CHECK(n.ret == -EINTR);
}

static bool sleeping_condition(void)
{
	return sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) == 0;
}

static struct waitq nested_wq = WAITQ_INIT(nested_wq);

static void nested_fn(void *arg)
{
	(void)arg;
	wait_event(&nested_wq, sleeping_condition());
}

static void nested_expect_fn(void *arg)
{
	(void)arg;
	kt_expect_bug(nested_fn, NULL, "waits while it waits");
	/* The wait was left in the middle: tidy up as wait_finish() would. */
	waitq_init(&nested_wq);
	current_thread()->waiting_on = NULL;
	current_thread()->state = THREAD_RUNNING;
}

KTEST(wait_condition_may_not_sleep)
{
	struct crew crew = { 0 };

	crew_add(&crew, nested_expect_fn, NULL, ALL_CPUS);
	crew_join(&crew);
}

/* --- a wait for state under a mutex -------------------------------------------------------------------------------- */

struct store {
	struct mutex lock;
	struct waitq wq;
	unsigned level; /* [lock] */
	uint64_t rounds;
	uint64_t moved; /* [lock] */
};

static void producer_fn(void *arg)
{
	struct store *s = arg;

	for (uint64_t i = 0; i < s->rounds; i++) {
		mutex_lock(&s->lock);
		KT_CHECK(wait_event_mutex(&s->wq, &s->lock, s->level < 4, WAIT_UNINTERRUPTIBLE,
					  DEADLINE_NEVER) == 0);
		KT_CHECK(s->level < 4 && mutex_held(&s->lock));
		s->level++;
		mutex_unlock(&s->lock);
		wake_all(&s->wq);
	}
}

static void consumer_fn(void *arg)
{
	struct store *s = arg;

	for (uint64_t i = 0; i < s->rounds; i++) {
		mutex_lock(&s->lock);
		KT_CHECK(wait_event_mutex(&s->wq, &s->lock, s->level > 0, WAIT_UNINTERRUPTIBLE,
					  DEADLINE_NEVER) == 0);
		s->level--;
		s->moved++;
		mutex_unlock(&s->lock);
		wake_all(&s->wq);
	}
}

static void run_store(unsigned pairs)
{
	struct store s = { .rounds = 1000 * kt_scale() };
	struct crew crew = { 0 };

	mutex_init(&s.lock, LOCK_PIPE);
	waitq_init(&s.wq);
	for (unsigned i = 0; i < pairs; i++) {
		crew_add(&crew, producer_fn, &s, ALL_CPUS);
		crew_add(&crew, consumer_fn, &s, ALL_CPUS);
	}
	crew_join(&crew);
	KT_CHECK(s.level == 0 && s.moved == pairs * s.rounds);
}

/* With one pair a lost wake-up has nobody to make good for it. */
KTEST(wait_mutex)
{
	run_store(1);
	run_store(2);
}
