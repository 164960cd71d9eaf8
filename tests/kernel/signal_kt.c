/* SPDX-License-Identifier: MIT */
/* Signals against sleeps, exits and stops, from several CPUs, with kernel threads as the threads of a process. */
#include "kernel/proc/lifecycle.h"
#include "kernel/proc/pidtab_priv.h"
#include "kernel/core/panic.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define ALL_CPUS (~(cpumask_t)0)
#define HANDLER	 0x400000
#define SIG_RT	 (SIG_RTMIN + 2)

static struct process *subject; /* [init] of a test */
static uint32_t stop;		/* [atomic] */
static uint32_t taken, sent;	/* [atomic] */

static struct process *subject_create(void)
{
	struct signal_action act = { .handler = HANDLER }, was;

	subject = process_create(NULL, "subject");
	if (!subject || process_new_session(subject) < 0) {
		kt_fail(__FILE__, __LINE__, "no memory");
		return NULL;
	}
	process_publish(subject, NULL, false);
	signal_action(subject, SIG_RT, &act, &was);
	signal_action(subject, SIG_ALRM, &act, &was);
	signal_action(subject, SIG_USR1, &act, &was);
	signal_action(subject, SIG_USR2, &act, &was);
	atomic_store_relaxed(&stop, 0);
	atomic_store_relaxed(&taken, 0);
	atomic_store_relaxed(&sent, 0);
	return subject;
}

static void subject_end(void)
{
	process_zombie(subject, 0);
	process_put(subject);
}

static void join(void)
{
	process_add_thread(subject, current_thread());
}

static void leave(void)
{
	struct process *p = subject;
	bool last = process_remove_thread(p, current_thread());

	(void)last;
	atomic_fetch_and(&current_thread()->notify, 0);
	process_put(p);
}

/* As the return to user mode: all there is to take, and each handler's end. */
static unsigned take_all(void)
{
	struct signal_delivery d;
	unsigned n = 0;

	while (signal_take(&d)) {
		KT_CHECK(d.action.handler == HANDLER && d.info.signo == (int32_t)d.info.value);
		n++;
		signal_set_mask(d.mask);
	}
	return n;
}

/* --- I-SIG-1: each is taken once, whoever sleeps ---------------------------------------------------------------------- */

/* Sleeps with nothing else to wake it: one that is missed lasts for ever. */
static void taker(void *unused)
{
	join();
	while (!atomic_load_acquire(&stop) || signal_pending_current()) {
		int err = sleep_until(crew_hang_deadline(), WAIT_INTERRUPTIBLE);

		KT_CHECK(err == -ERESTARTSYS);
		atomic_fetch_add(&taken, take_all());
	}
	leave();
}

static void sender(void *unused)
{
	uint64_t state = kt_seed() | 1;

	for (uint64_t i = 0; i < 300 * kt_scale(); i++) {
		struct signal_info info = { .signo = SIG_RT, .code = SIC_QUEUE, .value = SIG_RT };
		struct thread *t;
		int err;

		spin_lock(&pidtab_lock);
		t = list_first_or_null(&subject->threads, struct thread, process_link);
		err = signal_post(subject, crew_random(&state) % 2 ? t : NULL, &info);
		spin_unlock(&pidtab_lock);
		if (err == 0)
			atomic_fetch_add(&sent, 1);
		else
			KT_CHECK(err == -EAGAIN);
		if (i % 8 == 0)
			KT_CHECK(sleep_until(clock_now_ns() + crew_random(&state) % 100000,
					     WAIT_UNINTERRUPTIBLE) == 0);
	}
}

KTEST(signal_each_taken_once)
{
	static struct crew takers, senders;

	takers.n = senders.n = 0;
	if (!subject_create())
		return;
	for (unsigned i = 0; i < 3; i++)
		crew_add(&takers, taker, NULL, ALL_CPUS);
	while (READ_ONCE(subject->nr_threads) < 3)
		sched_yield();
	for (unsigned i = 0; i < 3; i++)
		crew_add(&senders, sender, NULL, ALL_CPUS);
	crew_join(&senders);
	atomic_store_release(&stop, 1);
	/* each taker is told that it is over by one more */
	while (READ_ONCE(subject->nr_threads) > 0) {
		struct signal_info info = { .signo = SIG_RT, .code = SIC_QUEUE, .value = SIG_RT };

		spin_lock(&pidtab_lock);
		if (subject->nr_threads && signal_post(subject, NULL, &info) == 0)
			atomic_fetch_add(&sent, 1);
		spin_unlock(&pidtab_lock);
		KT_CHECK(sleep_until(clock_now_ns() + NS_PER_MS, WAIT_UNINTERRUPTIBLE) == 0);
	}
	crew_join(&takers);
	/* what the last one left behind is still there */
	KT_CHECK(taken + subject->signals.nr_queued == sent);
	subject_end();
}

/* --- threads that come and go while they are sent to, by number ------------------------------------------------------------ */

static void comes_and_goes(void *unused)
{
	while (!atomic_load_acquire(&stop)) {
		join();
		signal_set_mask(SIGMASK(SIG_USR1));
		sched_yield();
		take_all();
		leave();
	}
}

static void shoots_at(void *unused)
{
	struct signal_info info = { .signo = SIG_USR1, .code = SIC_TKILL, .value = SIG_USR1 };
	struct signal_info rt = { .signo = SIG_RT, .code = SIC_QUEUE, .value = SIG_RT };

	for (uint64_t i = 0; i < 3000 * kt_scale(); i++) {
		int tid = subject->pid + (int)(i % 64);
		int err = process_kill_thread(subject, 0, tid, i % 2 ? &info : &rt);

		KT_CHECK(err == 0 || err == -ESRCH || err == -EAGAIN);
	}
}

KTEST(signal_versus_exit)
{
	static struct crew targets, shooters;

	targets.n = shooters.n = 0;
	if (!subject_create())
		return;
	for (unsigned i = 0; i < 3; i++)
		crew_add(&targets, comes_and_goes, NULL, ALL_CPUS);
	for (unsigned i = 0; i < 2; i++)
		crew_add(&shooters, shoots_at, NULL, ALL_CPUS);
	crew_join(&shooters);
	atomic_store_release(&stop, 1);
	crew_join(&targets);
	subject_end();
}

/* --- what a waiting thread was chosen for and does not take -------------------------------------------------------------- */

#define BOTH (SIGMASK(SIG_USR1) | SIGMASK(SIG_USR2))

static void waits_for_one(void *unused)
{
	struct signal_info info;

	join();
	signal_set_mask(BOTH);
	KT_CHECK(signal_wait(BOTH, crew_hang_deadline(), &info) == SIG_USR1);
	/* who leaves passes on, too */
	while (!atomic_load_acquire(&stop))
		sched_yield();
	leave();
}

static void takes_the_other(void *unused)
{
	join();
	KT_CHECK(sleep_until(crew_hang_deadline(), WAIT_INTERRUPTIBLE) == -ERESTARTSYS);
	KT_CHECK(take_all() == 1);
	atomic_store_release(&stop, 1);
	leave();
}

/* I-SIG-1: both are sent before the first to be asked, who waits for either, can take one. */
KTEST(signal_waiter_passes_on)
{
	static struct crew crew;

	crew.n = 0;
	if (!subject_create())
		return;
	KT_CHECK(thread_set_affinity(current_thread(), BIT(0)) == 0);
	crew_add(&crew, waits_for_one, NULL, BIT(0));
	crew_await_asleep(crew.thread[0]);
	crew_add(&crew, takes_the_other, NULL, BIT(0));
	crew_await_asleep(crew.thread[1]);
	spin_lock(&pidtab_lock);
	for (int sig = SIG_USR1; sig <= SIG_USR2; sig += SIG_USR2 - SIG_USR1) {
		struct signal_info info = { .signo = sig,
					    .code = SIC_QUEUE,
					    .value = (uint64_t)sig };

		KT_CHECK(signal_post(subject, NULL, &info) == 0);
	}
	spin_unlock(&pidtab_lock);
	crew_join(&crew);
	KT_CHECK(thread_set_affinity(current_thread(), ALL_CPUS) == 0);
	subject_end();
}

/* --- a thread that exec ends faults on its way ------------------------------------------------------------------------- */

static void faults_late(void *unused)
{
	join();
	while (!thread_killed(current_thread()))
		sched_yield();
	KT_CHECK(!signal_force(SIG_SEGV, SIC_KERNEL, 0));
	leave();
}

static void survives(void *unused)
{
	join();
	while (READ_ONCE(subject->nr_threads) < 2)
		sched_yield();
	KT_CHECK(process_survive(subject) == 0);
	leave();
}

/* It no longer decides what becomes of the process: exec goes on. */
KTEST(signal_of_one_told_to_die)
{
	static struct crew crew;

	crew.n = 0;
	if (!subject_create())
		return;
	crew_add(&crew, faults_late, NULL, ALL_CPUS);
	crew_add(&crew, survives, NULL, ALL_CPUS);
	crew_join(&crew);
	KT_CHECK(!subject->signals.exiting);
	subject_end();
}

/* --- alarms ring in interrupts ------------------------------------------------------------------------------------------------ */

static void hears_alarms(void *unused)
{
	struct signal_delivery d;

	join();
	while (!atomic_load_acquire(&stop)) {
		int err = sleep_until(crew_deadline_ms(2), WAIT_INTERRUPTIBLE);

		KT_CHECK(err == 0 || err == -ERESTARTSYS);
		while (signal_take(&d)) {
			KT_CHECK(d.info.signo == SIG_ALRM && d.info.code == SIC_KERNEL);
			atomic_fetch_add(&taken, 1);
			signal_set_mask(d.mask);
		}
	}
	leave();
}

KTEST(signal_alarms)
{
	static struct crew crew;
	struct signal_alarm often = { 20000, 20000 }, off = { 0, 0 }, old;
	uint64_t hang = crew_hang_deadline();

	crew.n = 0;
	if (!subject_create())
		return;
	for (unsigned i = 0; i < 2; i++)
		crew_add(&crew, hears_alarms, NULL, ALL_CPUS);
	for (uint64_t i = 0; i < 100 * kt_scale(); i++) {
		signal_alarm(subject, i % 3 ? &often : &off, &old);
		KT_CHECK(sleep_until(clock_now_ns() + 200000, WAIT_UNINTERRUPTIBLE) == 0);
	}
	signal_alarm(subject, &often, &old);
	while (atomic_load_relaxed(&taken) <= 10 && clock_now_ns() < hang)
		KT_CHECK(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) == 0);
	KT_CHECK(atomic_load_relaxed(&taken) > 10);
	signal_alarm(subject, &off, &old);
	atomic_store_release(&stop, 1);
	crew_join(&crew);
	/* the end of the process cancels it */
	signal_alarm(subject, &(struct signal_alarm){ NS_PER_MS, 0 }, &old);
	subject_end();
	KT_CHECK(sleep_until(crew_deadline_ms(3), WAIT_UNINTERRUPTIBLE) == 0);
}

#define SETS 200

static uint64_t asked, taken_for, off_for; /* [atomic] rounds */

static void takes_when_asked(void *unused)
{
	struct signal_delivery d;

	join();
	for (uint64_t i = 1; i <= SETS * kt_scale(); i++) {
		while (atomic_load_acquire(&asked) < i)
			sched_yield();
		while (signal_take(&d))
			signal_set_mask(d.mask);
		atomic_store_release(&taken_for, i);
	}
	leave();
}

static void switches_off_when_asked(void *unused)
{
	struct signal_alarm off = { 0, 0 }, old;

	for (uint64_t i = 1; i <= SETS * kt_scale(); i++) {
		while (atomic_load_acquire(&asked) < i)
			sched_yield();
		signal_alarm(subject, &off, &old);
		atomic_store_release(&off_for, i);
	}
}

/* It is off, though somebody takes its last signal meanwhile: both come to the lock while it is held. */
KTEST(signal_alarm_off)
{
	struct signal_alarm soon = { 50000, 3600 * NS_PER_S }, now, old;
	struct crew crew = { 0 };
	irqflags_t f;

	if (!subject_create())
		return;
	asked = taken_for = off_for = 0;
	crew_add(&crew, takes_when_asked, NULL, ALL_CPUS);
	crew_add(&crew, switches_off_when_asked, NULL, ALL_CPUS);
	while (READ_ONCE(subject->nr_threads) < 1)
		sched_yield();
	for (uint64_t i = 1; i <= SETS * kt_scale(); i++) {
		signal_alarm(subject, &soon, &old);
		do {
			sched_yield();
			signal_alarm(subject, NULL, &now);
		} while (now.left);
		f = spin_lock_irqsave(&subject->signals.lock);
		atomic_store_release(&asked, i);
		clock_spin_ns(20000);
		spin_unlock_irqrestore(&subject->signals.lock, f);
		while (atomic_load_acquire(&taken_for) < i || atomic_load_acquire(&off_for) < i)
			sched_yield();
		signal_alarm(subject, NULL, &now);
		KT_CHECK(now.left == 0);
	}
	crew_join(&crew);
	subject_end();
}

static uint64_t set_on, set_off; /* [atomic] times */

static void sets_alarms(void *unused)
{
	struct signal_alarm on = { 3600 * NS_PER_S, 3600 * NS_PER_S }, old;

	for (uint64_t i = 1; i <= SETS * kt_scale(); i++) {
		while (atomic_load_acquire(&set_off) + 1 < i)
			sched_yield();
		signal_alarm(subject, &on, &old);
		atomic_store_release(&set_on, i);
	}
}

/* One sets it while another switches it off: it is as one of them says, not a part of each. */
KTEST(signal_alarm_of_two)
{
	struct signal_alarm off = { 0, 0 }, now, old;
	struct crew crew = { 0 };

	if (!subject_create())
		return;
	set_on = set_off = 0;
	crew_add(&crew, sets_alarms, NULL, ALL_CPUS);
	for (uint64_t i = 1; i <= SETS * kt_scale(); i++) {
		signal_alarm(subject, &off, &old);
		while (atomic_load_acquire(&set_on) < i)
			sched_yield();
		signal_alarm(subject, NULL, &now);
		KT_CHECK(!now.left == !now.interval);
		atomic_store_release(&set_off, i);
	}
	crew_join(&crew);
	signal_alarm(subject, &off, &old);
	subject_end();
}

/* --- a stop is over when all have come to it, also by leaving ------------------------------------------------------------------- */

static void stops_often(void *unused)
{
	uint64_t state = (uint64_t)(uintptr_t)current_thread() | 1;

	join();
	while (!atomic_load_acquire(&stop)) {
		int err = sleep_until(clock_now_ns() + crew_random(&state) % 100000,
				      WAIT_INTERRUPTIBLE);

		KT_CHECK(err == 0 || err == -ERESTARTSYS);
		take_all();
		if (crew_random(&state) % 4 == 0) {
			leave();
			sched_yield();
			join();
		}
	}
	leave();
}

static bool reached(bool stopped)
{
	bool is;

	spin_lock(&pidtab_lock);
	is = subject->stopped;
	spin_unlock(&pidtab_lock);
	return is == stopped;
}

KTEST(signal_stops_all)
{
	static struct crew crew;

	crew.n = 0;
	if (!subject_create())
		return;
	for (unsigned i = 0; i < 4; i++)
		crew_add(&crew, stops_often, NULL, ALL_CPUS);
	for (uint64_t i = 0; i < 60 * kt_scale(); i++) {
		uint64_t end = crew_hang_deadline();

		signal_send(subject, SIG_STOP);
		while (!reached(true) && clock_now_ns() < end)
			sched_yield();
		KT_CHECK(reached(true));
		signal_send(subject, SIG_CONT);
		KT_CHECK(reached(false));
	}
	atomic_store_release(&stop, 1);
	crew_join(&crew);
	KT_CHECK(subject->signals.nr_stopped == 0);
	subject_end();
}

/* --- who was to take it cannot, or was to stop has gone --------------------------------------------------------------------- */

static struct waitq go = WAITQ_INIT(go);
static uint32_t go_on; /* [atomic] */

/* The first of the process: what is sent is for it, but it shuts itself, or leaves, before it looks. */
static void shuts_or_leaves(void *shut)
{
	join();
	wait_event(&go, atomic_load_acquire(&go_on));
	if (shut) {
		KT_CHECK(signal_pending_current());
		signal_set_mask(SIGMASK(SIG_RT));
		KT_CHECK(!signal_pending_current());
		wait_event(&go, atomic_load_acquire(&go_on) == 2);
	}
	leave();
}

static void second(void *unused)
{
	join();
	KT_CHECK(sleep_until(crew_hang_deadline(), WAIT_INTERRUPTIBLE) == -ERESTARTSYS);
	atomic_fetch_add(&taken, take_all());
	leave();
}

static void two_threads(struct crew *c, bool shut)
{
	c->n = 0;
	atomic_store_relaxed(&go_on, 0);
	crew_add(c, shuts_or_leaves, shut ? &go : NULL, ALL_CPUS);
	while (READ_ONCE(subject->nr_threads) < 1)
		sched_yield();
	crew_add(c, second, NULL, ALL_CPUS);
	while (READ_ONCE(subject->nr_threads) < 2)
		sched_yield();
}

static void say_go(uint32_t n)
{
	atomic_store_release(&go_on, n);
	wake_all(&go);
}

static void retargeted(bool shut)
{
	static struct crew crew;
	struct signal_info info = { .signo = SIG_RT, .code = SIC_QUEUE, .value = SIG_RT };
	uint64_t end = crew_deadline_ms(CREW_HANG_MS / 2);

	if (!subject_create())
		return;
	two_threads(&crew, shut);
	spin_lock(&pidtab_lock);
	KT_CHECK(signal_post(subject, NULL, &info) == 0);
	spin_unlock(&pidtab_lock);
	say_go(1);
	while (atomic_load_relaxed(&taken) == 0 && clock_now_ns() < end)
		sched_yield();
	KT_CHECK(atomic_load_relaxed(&taken) == 1);
	say_go(2);
	crew_join(&crew);
	subject_end();
}

KTEST(signal_finds_another)
{
	retargeted(true);
	retargeted(false);
}

static unsigned nr_stopped(void)
{
	irqflags_t f = spin_lock_irqsave(&subject->signals.lock);
	unsigned n = subject->signals.nr_stopped;

	spin_unlock_irqrestore(&subject->signals.lock, f);
	return n;
}

KTEST(signal_stop_by_leaving)
{
	static struct crew crew;
	uint64_t end = crew_deadline_ms(CREW_HANG_MS / 2);

	if (!subject_create())
		return;
	two_threads(&crew, false);
	signal_send(subject, SIG_STOP);
	/* the first was found, but it does not look: the second is told by its own hand */
	thread_notify(crew.thread[1], NOTIFY_SIGNAL);
	while (nr_stopped() < 1 && clock_now_ns() < end)
		sched_yield();
	KT_CHECK(nr_stopped() == 1 && reached(false));
	say_go(1);
	while (!reached(true) && clock_now_ns() < end)
		sched_yield();
	KT_CHECK(reached(true));
	signal_send(subject, SIG_CONT);
	crew_join(&crew);
	subject_end();
}
