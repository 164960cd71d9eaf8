/* SPDX-License-Identifier: MIT */
/* System calls on time. */
#include <linux/time.h>
#include <linux/time_types.h>
#include "kernel/core/clock.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/vm/user_copy.h"
#include "sched/wait.h"

int time_to_user(vaddr_t to, uint64_t ns)
{
	struct __kernel_timespec ts = { (long long)(ns / NS_PER_S), (long long)(ns % NS_PER_S) };

	return user_copy_to(to, &ts, sizeof(ts));
}

int time_from_user(vaddr_t from, uint64_t *ns)
{
	struct __kernel_timespec ts;
	int err = user_copy_from(&ts, from, sizeof(ts));

	if (err < 0)
		return err;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long long)NS_PER_S)
		return -EINVAL;
	if ((uint64_t)ts.tv_sec > UINT64_MAX / NS_PER_S / 4)
		*ns = UINT64_MAX / 4;
	else
		*ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	return 0;
}

static int read_clock(uint64_t id, uint64_t *ns)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		*ns = clock_wall_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*ns = clock_now_ns();
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
	case CLOCK_PROCESS_CPUTIME_ID:
		*ns = current_thread()->runtime_ns +
		      (clock_now_ns() - current_thread()->exec_start_ns);
		return 0;
	default:
		return -EINVAL;
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

int64_t sys_gettimeofday(const uint64_t a[6])
{
	uint64_t ns = clock_wall_ns();
	int64_t tv[2] = { (int64_t)(ns / NS_PER_S), (int64_t)(ns % NS_PER_S / NS_PER_US) };

	return a[0] ? user_copy_to(a[0], tv, sizeof(tv)) : 0;
}

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
	return -ERESTART_RESTARTBLOCK;
}

/* What is set into x8 when such a sleep is made again. */
int64_t sys_restart_syscall(const uint64_t a[6])
{
	struct thread_signals *s = &current_thread()->sig;
	uint64_t deadline = s->restart_ns;

	(void)a;
	s->restart_ns = 0;
	return deadline ? sleep_to(deadline, s->restart_user) : -EINTR;
}

int64_t sys_nanosleep(const uint64_t a[6])
{
	uint64_t ns;
	int err = time_from_user(a[0], &ns);

	return err < 0 ? err : sleep_to(clock_now_ns() + ns, a[1]);
}

int64_t sys_clock_nanosleep(const uint64_t a[6])
{
	bool absolute = a[1] & TIMER_ABSTIME;
	uint64_t ns, now;
	int err = time_from_user(a[2], &ns);

	if (err < 0)
		return err;
	if ((a[1] & ~(uint64_t)TIMER_ABSTIME) ||
	    (a[0] != CLOCK_REALTIME && a[0] != CLOCK_MONOTONIC && a[0] != CLOCK_BOOTTIME))
		return -EINVAL;
	if (!absolute)
		return sleep_to(clock_now_ns() + ns, a[3]);
	err = read_clock(a[0], &now);
	if (err < 0 || ns <= now)
		return err;
	return sleep_to(clock_now_ns() + (ns - now), 0);
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

/* The timers of CPU time are not there: exact ones need a deadline at every switch. */
static int64_t itimer(uint64_t which, const struct signal_alarm *now, vaddr_t old_to)
{
	struct signal_alarm old;
	int64_t v[4];

	if ((int)which != ITIMER_REAL)
		return -EINVAL;
	signal_alarm(current_process(), now, &old);
	put_timeval(v, old.interval);
	put_timeval(v + 2, old.left);
	return old_to ? user_copy_to(old_to, v, sizeof(v)) : 0;
}

int64_t sys_getitimer(const uint64_t a[6])
{
	return itimer(a[0], NULL, a[1]);
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
