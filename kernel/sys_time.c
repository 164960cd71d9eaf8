/* SPDX-License-Identifier: MIT */
/* System calls on time. */
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/timex.h>
#include "kernel/core/clock.h"
#include "kernel/futex.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/vm/user_copy.h"
#include "sched/wait.h"

/* A struct timespec. */
int time_to_user(vaddr_t to, uint64_t ns)
{
	return user_put_pair(to, ns / NS_PER_S, ns % NS_PER_S);
}

int time_from_user(vaddr_t from, uint64_t *ns)
{
	uint64_t s, rest;
	int err = user_get_pair(&s, &rest, from);

	if (err < 0)
		return err;
	if ((int64_t)s < 0 || rest >= NS_PER_S)
		return -EINVAL;
	*ns = s > UINT64_MAX / NS_PER_S / 4 ? UINT64_MAX / 4 : s * NS_PER_S + rest;
	return 0;
}

/* Clocks of CPU time by number: -1 - pid above three bits that say whose and what of it. */
#define CPUCLOCK_MASK	7
#define CPUCLOCK_USER	1
#define CPUCLOCK_WHOLE	2
#define CPUCLOCK_THREAD 4

static unsigned cpu_clock_kind(uint64_t id)
{
	return id == CLOCK_PROCESS_CPUTIME_ID  ? CPUCLOCK_WHOLE
	       : id == CLOCK_THREAD_CPUTIME_ID ? CPUCLOCK_WHOLE | CPUCLOCK_THREAD
					       : CPUCLOCK_MASK;
}

static int thread_usage(int tid, struct usage *u)
{
	struct thread *t = tid ? thread_find(tid) : current_thread();
	int err = 0;

	if (!t)
		return -EINVAL;
	if (READ_ONCE(t->process) == current_process())
		u->cpu_ns = thread_cpu_ns(t, &u->user_ns);
	else
		err = -EINVAL;
	if (tid)
		thread_put(t);
	return err;
}

/* Of process pid, or of thread pid of the caller's process; 0: the caller. */
static int cpu_clock(int pid, unsigned kind, uint64_t *ns)
{
	unsigned part = kind & ~CPUCLOCK_THREAD;
	struct process *p;
	struct usage u;

	if (part > CPUCLOCK_WHOLE)
		return -EINVAL;
	if (kind & CPUCLOCK_THREAD) {
		int err = thread_usage(pid, &u);

		if (err < 0)
			return err;
	} else {
		p = pid ? process_find(pid) : process_get(current_process());
		if (!p)
			return -EINVAL;
		process_usage(p, false, &u);
		process_put(p);
	}
	*ns = part == CPUCLOCK_USER ? u.user_ns : u.cpu_ns;
	return 0;
}

static inline int read_clock(uint64_t id, uint64_t *ns)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI: /* nobody told us of leap seconds */
		*ns = clock_wall_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*ns = clock_now_ns();
		return 0;
	default:
		return (int)id < 0 ? cpu_clock(~((int)id >> 3), id & CPUCLOCK_MASK, ns)
				   : cpu_clock(0, cpu_clock_kind(id), ns);
	}
}

int64_t sys_clock_gettime(const uint64_t a[6])
{
	uint64_t ns;
	int err = read_clock(a[0], &ns);

	return err < 0 ? err : time_to_user(a[1], ns);
}

int64_t sys_clock_getres(const uint64_t a[6])
{
	uint64_t ns;
	int err = read_clock(a[0], &ns);

	return err < 0 || !a[1] ? err : time_to_user(a[1], 1);
}

static int32_t time_zone[2]; /* [atomic] each word: minutes west of Greenwich, what summer time */

int64_t sys_gettimeofday(const uint64_t a[6])
{
	uint64_t ns = clock_wall_ns();
	int64_t tv[2] = { (int64_t)(ns / NS_PER_S), (int64_t)(ns % NS_PER_S / NS_PER_US) };

	if (a[0] && user_copy_to(a[0], tv, sizeof(tv)) < 0)
		return -EFAULT;
	return a[1] ? user_copy_to(a[1], time_zone, sizeof(time_zone)) : 0;
}

/* --- setting the wall clock. The monotonic one does not notice; who waits for a time of this one looks again. ------------ */

static void look_again(struct thread *t, void *arg)
{
	wait_look_again(t);
}

static void all_look_again(struct process *p, void *arg)
{
	ptimers_look_again(p);
	process_for_each_thread(p, look_again, arg);
}

static int64_t set_wall(int64_t sec, int64_t ns)
{
	int err;

	if (sec < 0 || sec > (int64_t)(UINT64_MAX / NS_PER_S / 4) || ns < 0 ||
	    ns >= (int64_t)NS_PER_S)
		return -EINVAL;
	if (!caller_is_root())
		return -EPERM;
	err = clock_set_wall((uint64_t)sec * NS_PER_S + (uint64_t)ns);
	if (err)
		return err;
	process_for_each(all_look_again, NULL);
	return 0;
}

int64_t sys_clock_settime(const uint64_t a[6])
{
	struct __kernel_timespec ts;

	if (a[0] != CLOCK_REALTIME)
		return -EINVAL;
	if (user_copy_from(&ts, a[1], sizeof(ts)) < 0)
		return -EFAULT;
	return set_wall(ts.tv_sec, ts.tv_nsec);
}

int64_t sys_settimeofday(const uint64_t a[6])
{
	int32_t zone[2];
	int64_t tv[2];

	if (a[0] && user_copy_from(tv, a[0], sizeof(tv)) < 0)
		return -EFAULT;
	if (a[1] && user_copy_from(zone, a[1], sizeof(zone)) < 0)
		return -EFAULT;
	if (a[0] && (tv[1] < 0 || tv[1] >= 1000000))
		return -EINVAL;
	if (!caller_is_root())
		return -EPERM;
	for (unsigned i = 0; a[1] && i < ARRAY_SIZE(zone); i++)
		WRITE_ONCE(time_zone[i], zone[i]);
	return a[0] ? set_wall(tv[0], tv[1] * (int64_t)NS_PER_US) : 0;
}

/* What an unsynchronised clock says; nobody can steer it. */
static int64_t adjust(vaddr_t at)
{
	uint64_t now = clock_wall_ns();
	struct timex tx;

	if (user_copy_from(&tx, at, sizeof(tx)) < 0)
		return -EFAULT;
	if (tx.modes)
		return -EPERM;
	tx = (struct timex){ .maxerror = 16000000,
			     .esterror = 16000000,
			     .status = STA_UNSYNC,
			     .constant = 2,
			     .precision = 1,
			     .tolerance = 32768000,
			     .tick = 10000 };
	tx.time.tv_sec = (long)(now / NS_PER_S);
	tx.time.tv_usec = (long)(now % NS_PER_S / NS_PER_US);
	return user_copy_to(at, &tx, sizeof(tx)) < 0 ? -EFAULT : TIME_ERROR;
}

int64_t sys_adjtimex(const uint64_t a[6])
{
	return adjust(a[0]);
}

int64_t sys_clock_adjtime(const uint64_t a[6])
{
	return a[0] == CLOCK_REALTIME ? adjust(a[1]) : -EOPNOTSUPP;
}

/* --- sleeping --------------------------------------------------------------------------------------------------------- */

/* Sleep to a monotonic deadline. What is left goes to `rem` if a signal cut it short; if no handler ran (a stop), the
 * sleep goes on to the same deadline. */
static int64_t sleep_to(uint64_t deadline, vaddr_t rem)
{
	int err = sleep_until(deadline, WAIT_INTERRUPTIBLE);
	uint64_t now = clock_now_ns();

	if (err == 0 || now >= deadline)
		return 0;
	if (rem && time_to_user(rem, deadline - now) < 0)
		return -EFAULT;
	current_thread()->sig.restart_ns = deadline;
	current_thread()->sig.restart_user = rem;
	current_thread()->sig.restart_futex = false;
	return -ERESTART_RESTARTBLOCK;
}

/* To a time of the wall clock, whatever that is set to meanwhile. */
static int64_t sleep_to_wall(uint64_t wall_ns)
{
	struct waitq wq;
	int err;

	waitq_init(&wq);
	err = wait_event_mode(&wq, false, WAIT_INTERRUPTIBLE, clock_wall_deadline(wall_ns));
	waitq_check_idle(&wq);
	return err == -ETIMEDOUT ? 0 : -ERESTARTNOHAND;
}

/* What is set into x8 when such a sleep, or a wait for a futex, is made again: the other registers are as they were. */
int64_t sys_restart_syscall(const uint64_t a[6])
{
	struct thread_signals *s = &current_thread()->sig;
	uint64_t deadline = s->restart_ns;

	s->restart_ns = 0;
	if (!deadline)
		return -EINTR;
	return s->restart_futex ? futex_wait_again(a, deadline)
				: sleep_to(deadline, s->restart_user);
}

int64_t sys_nanosleep(const uint64_t a[6])
{
	uint64_t ns;
	int err = time_from_user(a[0], &ns);

	return err < 0 ? err : sleep_to(clock_now_ns() + ns, a[1]);
}

int64_t sys_clock_nanosleep(const uint64_t a[6])
{
	uint64_t ns, now;
	int err = read_clock(a[0], &now);

	if (err == 0 && a[0] != CLOCK_REALTIME && a[0] != CLOCK_MONOTONIC && a[0] != CLOCK_BOOTTIME)
		err = -EOPNOTSUPP;
	if (err == 0)
		err = time_from_user(a[2], &ns);
	if (err)
		return err;
	if (!(a[1] & TIMER_ABSTIME))
		return sleep_to(clock_now_ns() + ns, a[3]);
	if (a[0] == CLOCK_REALTIME)
		return sleep_to_wall(ns);
	return sleep_to(ns, 0);
}

/* --- alarms ------------------------------------------------------------------------------------------------------------ */

static int get_timeval(const int64_t tv[2], uint64_t *ns)
{
	if (tv[0] < 0 || tv[1] < 0 || tv[1] >= 1000000)
		return -EINVAL;
	*ns = MIN((uint64_t)tv[0], UINT64_MAX / NS_PER_S / 4) * NS_PER_S +
	      (uint64_t)tv[1] * NS_PER_US;
	return 0;
}

static void put_timeval(int64_t tv[2], uint64_t ns)
{
	tv[0] = (int64_t)(ns / NS_PER_S);
	tv[1] = (int64_t)(ns % NS_PER_S / NS_PER_US);
}

static int64_t itimer(uint64_t which, const struct signal_alarm *now, vaddr_t old_to)
{
	struct process *p = current_process();
	struct signal_alarm old;
	int64_t v[4];

	switch ((int)which) {
	case ITIMER_REAL:
		signal_alarm(p, now, &old);
		break;
	case ITIMER_VIRTUAL:
		cputime_timer(p, CPU_TIMER_USER, now, &old);
		break;
	case ITIMER_PROF:
		cputime_timer(p, CPU_TIMER_ALL, now, &old);
		break;
	default:
		return -EINVAL;
	}
	put_timeval(v, old.interval);
	put_timeval(v + 2, old.left);
	return old_to ? user_copy_to(old_to, v, sizeof(v)) : 0;
}

int64_t sys_getitimer(const uint64_t a[6])
{
	return a[1] ? itimer(a[0], NULL, a[1]) : -EFAULT;
}

int64_t sys_setitimer(const uint64_t a[6])
{
	struct signal_alarm now;
	int64_t v[4] = { 0 };

	if (a[1] && user_copy_from(v, a[1], sizeof(v)) < 0)
		return -EFAULT;
	if (get_timeval(v, &now.interval) < 0 || get_timeval(v + 2, &now.left) < 0)
		return -EINVAL;
	return itimer(a[0], &now, a[2]);
}

/* --- timers ------------------------------------------------------------------------------------------------------------ */

enum { NOTIFY_BY_SIGNAL, NOTIFY_NOT, NOTIFY_BY_LIBC, NOTIFY_THREAD = 4 };

/* The ABI's struct sigevent. */
struct event {
	uint64_t value;
	int32_t signo, notify, tid, unused[11];
};
static_assert(sizeof(struct event) == 64, "the ABI's");

static int event_check(const struct event *e, struct ptimer_how *how)
{
	how->value = e->value;
	if (e->notify == NOTIFY_NOT)
		return 0;
	if (e->notify == NOTIFY_THREAD) {
		how->target = thread_find(e->tid);
		if (!how->target || how->target->process != current_process())
			return -EINVAL;
	} else if (e->notify != NOTIFY_BY_SIGNAL && e->notify != NOTIFY_BY_LIBC) {
		return -EINVAL;
	}
	how->signo = e->signo;
	return e->signo > 0 && e->signo <= NSIG ? 0 : -EINVAL;
}

/* By a clock that a timer can go by. */
static int timer_clock(uint64_t id, bool *wall)
{
	uint64_t now;
	int err = read_clock(id, &now);

	*wall = id == CLOCK_REALTIME || id == CLOCK_TAI;
	if (err < 0 || *wall || id == CLOCK_MONOTONIC || id == CLOCK_BOOTTIME)
		return err;
	return -EOPNOTSUPP;
}

int64_t sys_timer_create(const uint64_t a[6])
{
	struct event e = { .signo = SIG_ALRM };
	struct ptimer_how how = { .value_is_id = !a[1] };
	int id, err;

	if (a[1] && user_copy_from(&e, a[1], sizeof(e)) < 0)
		return -EFAULT;
	err = timer_clock(a[0], &how.wall);
	if (err == 0)
		err = event_check(&e, &how);
	id = err < 0 ? err : ptimer_create(current_process(), &how);
	if (id < 0 && how.target)
		thread_put(how.target);
	if (id < 0)
		return id;
	if (user_copy_to(a[2], &id, sizeof(id)) == 0)
		return 0;
	(void)ptimer_delete(current_process(), id);
	return -EFAULT;
}

static int64_t put_timer(vaddr_t to, const struct signal_alarm *s)
{
	int err = time_to_user(to + offsetof(struct __kernel_itimerspec, it_interval), s->interval);

	return err < 0 ? err
		       : time_to_user(to + offsetof(struct __kernel_itimerspec, it_value), s->left);
}

int64_t sys_timer_settime(const uint64_t a[6])
{
	struct signal_alarm now, old;
	int64_t err = -EINVAL;

	if (a[2])
		err = time_from_user(a[2] + offsetof(struct __kernel_itimerspec, it_interval),
				     &now.interval);
	if (err == 0)
		err = time_from_user(a[2] + offsetof(struct __kernel_itimerspec, it_value),
				     &now.left);
	if (err == 0)
		err = ptimer_set(current_process(), (int)a[0], &now, a[1] & TIMER_ABSTIME, &old);
	return err == 0 && a[3] ? put_timer(a[3], &old) : err;
}

int64_t sys_timer_gettime(const uint64_t a[6])
{
	struct signal_alarm now;
	int err = ptimer_set(current_process(), (int)a[0], NULL, false, &now);

	return err < 0 ? err : put_timer(a[1], &now);
}

int64_t sys_timer_getoverrun(const uint64_t a[6])
{
	return ptimer_overrun(current_process(), (int)a[0]);
}

int64_t sys_timer_delete(const uint64_t a[6])
{
	return ptimer_delete(current_process(), (int)a[0]);
}
