/* SPDX-License-Identifier: MIT */
/* What follows a process's CPU time: ITIMER_PROF, ITIMER_VIRTUAL and RLIMIT_CPU. While one of them is set, each of its threads
 * is told (NOTIFY_CPU) no later than when that could be due, reckons what all of them have used, on its way to user mode, and
 * says when it wants to be told again. A process that has none of them, or sleeps, is never looked at. */
#include <linux/resource.h>
#include "kernel/proc/lifecycle.h"
#include "kernel/proc/pidtab_priv.h"

/* How exact it is; and with several threads, for each knows only by looking what the others have used. */
#define STEP_NS	       NS_PER_MS
#define STEP_SHARED_NS (10 * NS_PER_MS)
#define NEVER	       UINT64_MAX

static void tell_threads(struct process *p)
{
	struct thread *t;

	list_for_each (t, &p->threads, process_link)
		thread_notify(t, NOTIFY_CPU);
}

/* A limit in seconds as ns. */
static uint64_t limit_ns(uint64_t seconds)
{
	return seconds > NEVER / NS_PER_S ? NEVER : seconds * NS_PER_S;
}

static bool is_watched(const struct process *p)
{
	return rlimit_cur(p, RLIMIT_CPU) != UINT64_MAX ||
	       READ_ONCE(p->signals.cpu_timer[0].next_ns) ||
	       READ_ONCE(p->signals.cpu_timer[1].next_ns);
}

void cputime_limit_changed(struct process *p)
{
	if (is_watched(p))
		tell_threads(p);
}

/* Who was alone reckoned with all of what is left. */
void cputime_thread_joined(struct process *p, struct thread *t)
{
	if (!is_watched(p))
		return;
	thread_notify(t, NOTIFY_CPU);
	if (p->nr_threads == 2)
		tell_threads(p);
}

/* What the timer goes by. */
static uint64_t time_of(const struct usage *u, enum cpu_timer_kind kind)
{
	return kind == CPU_TIMER_USER ? u->user_ns : u->cpu_ns;
}

void cputime_timer(struct process *p, enum cpu_timer_kind kind, const struct signal_alarm *now,
		   struct signal_alarm *old)
{
	struct cpu_timer *c = &p->signals.cpu_timer[kind];
	struct usage u;
	irqflags_t f;
	uint64_t at;

	process_usage(p, false, &u);
	at = time_of(&u, kind);
	f = spin_lock_irqsave(&p->signals.lock);
	old->interval = c->interval_ns;
	old->left = !c->next_ns ? 0 : c->next_ns > at ? c->next_ns - at : NS_PER_US;
	if (now) {
		WRITE_ONCE(c->next_ns, now->left ? at + now->left : 0);
		c->interval_ns = now->interval;
		if (c->next_ns)
			tell_threads(p);
	}
	spin_unlock_irqrestore(&p->signals.lock, f);
}

/* How long until the timer is due, NEVER if it is not set; *rings if it was. */
static uint64_t check_timer(struct process *p, enum cpu_timer_kind kind, uint64_t at, bool *rings)
{
	struct cpu_timer *c = &p->signals.cpu_timer[kind];
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	uint64_t left;

	*rings = c->next_ns && at >= c->next_ns;
	if (*rings && c->interval_ns)
		WRITE_ONCE(c->next_ns,
			   c->next_ns + ((at - c->next_ns) / c->interval_ns + 1) * c->interval_ns);
	else if (*rings)
		WRITE_ONCE(c->next_ns, 0);
	left = c->next_ns ? c->next_ns - at : NEVER;
	spin_unlock_irqrestore(&p->signals.lock, f);
	return left;
}

/* The same for the limit, and the signal that is due by it, or 0: the soft one moves on by a second each time, as on Linux. */
static uint64_t check_limit(struct process *p, uint64_t at, int *sig)
{
	struct rlimit_pair *l = &p->rlimits[RLIMIT_CPU];
	uint64_t next = NEVER;

	*sig = 0;
	spin_lock(&pidtab_lock);
	if (l->cur != UINT64_MAX && at >= limit_ns(l->max)) {
		*sig = SIG_KILL;
	} else if (l->cur != UINT64_MAX) {
		if (at >= limit_ns(l->cur)) {
			*sig = SIG_XCPU;
			WRITE_ONCE(l->cur, l->cur + 1);
		}
		next = limit_ns(MIN(l->cur, l->max));
	}
	spin_unlock(&pidtab_lock);
	return next == NEVER ? NEVER : next - MIN(at, next);
}

void cputime_check(void)
{
	static const int signals[] = { [CPU_TIMER_ALL] = SIG_PROF, [CPU_TIMER_USER] = SIG_VTALRM };
	struct thread *t = current_thread();
	struct process *p = t->process;
	struct usage u;
	unsigned threads;
	uint64_t left;
	int sig;

	/* before the look: what is set after it is told again */
	atomic_fetch_and(&t->notify, ~(uint32_t)NOTIFY_CPU);
	process_usage(p, false, &u);
	left = check_limit(p, u.cpu_ns, &sig);
	if (sig)
		signal_send(p, sig);
	for (enum cpu_timer_kind kind = 0; kind < CPU_TIMERS; kind++) {
		bool rings = false;

		left = MIN(left, check_timer(p, kind, time_of(&u, kind), &rings));
		if (rings)
			signal_send(p, signals[kind]);
	}
	if (left == NEVER)
		return;
	threads = READ_ONCE(p->nr_threads);
	if (threads > 1)
		left = MIN(left / threads, STEP_SHARED_NS);
	thread_watch_cpu(MAX(left, STEP_NS));
}
