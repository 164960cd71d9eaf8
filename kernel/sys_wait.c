/* SPDX-License-Identifier: MIT */
/* Waiting for children, and what processes have used. */
#include <linux/resource.h>
#include <linux/times.h>
#include <linux/wait.h>
#include "kernel/context.h"
#include "kernel/core/clock.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/vm/user_copy.h"

#define PID_INT(x)    ((int)(uint32_t)(x))
#define WAIT_KINDS    (__WNOTHREAD | __WCLONE | __WALL)
#define CLOCK_TICK_NS (NS_PER_S / 100)

/* --- accounts ---------------------------------------------------------------------------------------------------- */

static void timeval_of(struct __kernel_old_timeval *tv, uint64_t ns)
{
	tv->tv_sec = (long)(ns / NS_PER_S);
	tv->tv_usec = (long)(ns % NS_PER_S / NS_PER_US);
}

static int usage_to_user(const struct usage *u, vaddr_t to)
{
	struct rusage ru;

	memset(&ru, 0, sizeof(ru));
	timeval_of(&ru.ru_utime, u->user_ns);
	timeval_of(&ru.ru_stime, u->cpu_ns - u->user_ns);
	ru.ru_maxrss = (long)(u->max_pages * (PAGE_SIZE / 1024));
	ru.ru_minflt = (long)u->min_faults;
	ru.ru_nvcsw = (long)u->switches;
	return user_copy_to(to, &ru, sizeof(ru));
}

int64_t sys_getrusage(const uint64_t a[6])
{
	struct usage u = { 0 };

	switch ((int)a[0]) {
	case RUSAGE_SELF:
	case RUSAGE_CHILDREN:
		process_usage(current_process(), (int)a[0] == RUSAGE_CHILDREN, &u);
		if ((int)a[0] == RUSAGE_SELF)
			u.max_pages = process_peak_pages(current_process());
		break;
	case 1 /* RUSAGE_THREAD */:
		usage_add_thread(&u, current_thread());
		break;
	default:
		return -EINVAL;
	}
	return usage_to_user(&u, a[1]);
}

int64_t sys_times(const uint64_t a[6])
{
	struct usage own, children;
	struct tms t;

	process_usage(current_process(), false, &own);
	process_usage(current_process(), true, &children);
	t.tms_utime = (long)(own.user_ns / CLOCK_TICK_NS);
	t.tms_stime = (long)((own.cpu_ns - own.user_ns) / CLOCK_TICK_NS);
	t.tms_cutime = (long)(children.user_ns / CLOCK_TICK_NS);
	t.tms_cstime = (long)((children.cpu_ns - children.user_ns) / CLOCK_TICK_NS);
	if (a[0] && user_copy_to(a[0], &t, sizeof(t)) < 0)
		return -EFAULT;
	return (int64_t)(clock_now_ns() / CLOCK_TICK_NS);
}

/* --- waiting ------------------------------------------------------------------------------------------------------- */

/* 1 and *r; 0: WNOHANG and no news; -ECHILD, -ERESTARTSYS. */
static int wait_for_child(const struct wait_query *q, struct wait_result *r)
{
	struct process *p = current_process();
	int found = process_wait_child(p, q, r), err = 0;

	if (found == 0 && !(q->options & WNOHANG))
		err = wait_event_interruptible(&p->child_wait,
					       (found = process_wait_child(p, q, r)) != 0);
	return err < 0 ? err : found;
}

int64_t sys_wait4(const uint64_t a[6])
{
	struct wait_query q = { P_ALL, 0, (uint32_t)a[2] | WEXITED };
	struct wait_result r;
	int which = PID_INT(a[0]), found;

	if ((uint32_t)a[2] & ~(WNOHANG | WUNTRACED | WCONTINUED | WAIT_KINDS))
		return -EINVAL;
	if (which == INT32_MIN)
		return -ESRCH;
	if (which != -1) {
		q.type = which > 0 ? P_PID : P_PGID;
		q.id = which > 0 ? which : -which;
	}
	found = wait_for_child(&q, &r);
	if (found <= 0)
		return found;
	if (a[1] && user_copy_to(a[1], &r.status, sizeof(r.status)) < 0)
		return -EFAULT;
	if (a[3] && usage_to_user(&r.usage, a[3]) < 0)
		return -EFAULT;
	return r.pid;
}

/* The fields of siginfo that waitid(2) fills; zeros if there was no news. */
static int siginfo_to_user(const struct wait_result *r, vaddr_t to)
{
	int signo[3] = { 0 }, child[3] = { r->pid, (int)r->uid, 0 };

	if (r->pid) {
		signo[0] = SIG_CHLD;
		signo[2] = wait_status_code(r->status, &child[2]);
	}
	if (user_copy_to(to, signo, sizeof(signo)) < 0)
		return -EFAULT;
	return user_copy_to(to + 16, child, sizeof(child));
}

int64_t sys_waitid(const uint64_t a[6])
{
	struct wait_query q = { (int)a[0], PID_INT(a[1]), (uint32_t)a[3] };
	struct wait_result r = { 0 };
	int found;

	if (q.options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | WAIT_KINDS))
		return -EINVAL;
	if (!(q.options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	if ((q.type == P_PID && q.id <= 0) || (q.type == P_PGID && q.id < 0) || q.type < P_ALL ||
	    q.type > P_PIDFD)
		return -EINVAL;
	/* no descriptor is a process's */
	if (q.type == P_PIDFD)
		return q.id < 0 ? -EINVAL : -EBADF;
	found = wait_for_child(&q, &r);
	if (a[4] && found > 0 && usage_to_user(&r.usage, a[4]) < 0)
		return -EFAULT;
	if (a[2] && siginfo_to_user(&r, a[2]) < 0)
		return -EFAULT;
	return MIN(found, 0);
}
