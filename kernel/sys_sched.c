/* SPDX-License-Identifier: MIT */
/* System calls on threads as the scheduler sees them, on limits, and what prctl(2) sets. */
#include <linux/personality.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/time_types.h>
#include "kernel/context.h"
#include "kernel/core/clock.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"

#define PID_INT(x)   ((int)(uint32_t)(x))
#define RT_PRIO_MAX  99
#define NOFILE_LIMIT (1UL << 20) /* nobody may have more */

/* --- who is meant ---------------------------------------------------------------------------------------------- */

/* The thread of that number (0: the caller), and its process: both with a reference. -ESRCH. */
static int target_get(int tid, struct thread **t, struct process **p)
{
	if (tid == 0)
		thread_get(current_thread());
	*t = tid ? thread_find(tid) : current_thread();
	if (!*t)
		return -ESRCH;
	*p = process_of(*t);
	if (*p)
		return 0;
	thread_put(*t);
	return -ESRCH;
}

static void target_put(struct thread *t, struct process *p)
{
	process_put(p);
	thread_put(t);
}

/* May the caller set how p's threads are scheduled? */
static bool may_schedule(const struct process *p)
{
	uint32_t uid = READ_ONCE(current_process()->cred.euid);

	/* each by itself: PIDTAB is held in a walk over threads */
	return uid == 0 || uid == READ_ONCE(p->cred.euid) || uid == READ_ONCE(p->cred.uid);
}

/* --- affinity ------------------------------------------------------------------------------------------------------ */

int64_t sys_sched_yield(const uint64_t a[6])
{
	sched_yield();
	return 0;
}

int64_t sys_sched_getaffinity(const uint64_t a[6])
{
	struct process *p;
	struct thread *t;
	cpumask_t mask;
	int err;

	if (a[1] < sizeof(mask) || (a[1] & 7))
		return -EINVAL;
	err = target_get(PID_INT(a[0]), &t, &p);
	if (err < 0)
		return err;
	mask = READ_ONCE(t->affinity);
	target_put(t, p);
	if (cpu_count() < CPU_MAX)
		mask &= BIT(cpu_count()) - 1;
	return user_copy_to(a[2], &mask, sizeof(mask)) < 0 ? -EFAULT : (int64_t)sizeof(mask);
}

int64_t sys_sched_setaffinity(const uint64_t a[6])
{
	cpumask_t mask = 0;
	struct process *p;
	struct thread *t;
	int err;

	if (user_copy_from(&mask, a[2], MIN(a[1], sizeof(mask))) < 0)
		return -EFAULT;
	err = target_get(PID_INT(a[0]), &t, &p);
	if (err < 0)
		return err;
	err = may_schedule(p) ? thread_set_affinity(t, mask) : -EPERM;
	target_put(t, p);
	return err;
}

int64_t sys_getcpu(const uint64_t a[6])
{
	uint32_t cpu = cpu_id_hint(), node = 0;

	if (a[0] && user_copy_to(a[0], &cpu, sizeof(cpu)) < 0)
		return -EFAULT;
	return a[1] ? user_copy_to(a[1], &node, sizeof(node)) : 0;
}

/* --- nice ------------------------------------------------------------------------------------------------------------ */

/* get and setpriority(2) go over the threads meant; the best priority, or the last error, is what comes of it. */
struct nice_walk {
	int which, who;
	bool set;
	int nice;
	int64_t result; /* -ESRCH: none yet */
	struct process *p;
};

static int set_one(const struct process *p, struct thread *t, int nice)
{
	const struct process *self = current_process();

	if (!may_schedule(p))
		return -EPERM;
	if (nice < READ_ONCE(t->nice) && READ_ONCE(self->cred.euid) != 0 &&
	    (uint64_t)(20 - nice) > rlimit_cur(p, RLIMIT_NICE))
		return -EACCES;
	return thread_set_nice(t, nice);
}

static void nice_thread(struct thread *t, void *arg)
{
	struct nice_walk *w = arg;
	int err;

	if (!w->set) {
		w->result = MAX(w->result, 20 - READ_ONCE(t->nice));
		return;
	}
	err = set_one(w->p, t, w->nice);
	if (w->result == -ESRCH || err < 0)
		w->result = err;
}

static void nice_process(struct process *p, void *arg)
{
	struct nice_walk *w = arg;

	if (w->which == PRIO_PGRP ? process_get_group_id(p, 0) != w->who
				  : READ_ONCE(p->cred.uid) != (uint32_t)w->who)
		return;
	w->p = p;
	process_for_each_thread(p, nice_thread, w);
}

static int64_t nice_walk(struct nice_walk *w)
{
	struct process *self = current_process();
	struct thread *t;

	w->result = -ESRCH;
	switch (w->which) {
	case PRIO_PROCESS:
		if (target_get(w->who, &t, &w->p) == 0) {
			nice_thread(t, w);
			target_put(t, w->p);
		}
		return w->result;
	case PRIO_PGRP:
		w->who = w->who ? w->who : process_get_group_id(self, 0);
		break;
	case PRIO_USER:
		w->who = w->who ? w->who : (int)READ_ONCE(self->cred.uid);
		break;
	default:
		return -EINVAL;
	}
	process_for_each(nice_process, w);
	return w->result;
}

int64_t sys_getpriority(const uint64_t a[6])
{
	struct nice_walk w = { .which = (int)a[0], .who = PID_INT(a[1]) };

	return nice_walk(&w);
}

int64_t sys_setpriority(const uint64_t a[6])
{
	struct nice_walk w = { .which = (int)a[0],
			       .who = PID_INT(a[1]),
			       .set = true,
			       .nice = MAX(-20, MIN((int)a[2], 19)) };

	return nice_walk(&w);
}

/* --- policies: there is one ------------------------------------------------------------------------------------------- */

static int64_t check_target(const uint64_t a[6])
{
	struct process *p;
	struct thread *t;
	int err;

	if (PID_INT(a[0]) < 0)
		return -EINVAL;
	err = target_get(PID_INT(a[0]), &t, &p);
	if (err == 0)
		target_put(t, p);
	return err;
}

/* Policy and priority: SCHED_NORMAL with 0 is what every thread has; the real-time ones are nobody's right here. */
static int64_t set_policy(const uint64_t a[6], int policy, vaddr_t param)
{
	int64_t err;
	int prio;

	if (!param)
		return -EINVAL;
	if (user_copy_from(&prio, param, sizeof(prio)) < 0)
		return -EFAULT;
	err = check_target(a);
	if (err < 0)
		return err;
	if (policy == SCHED_FIFO || policy == SCHED_RR)
		return prio < 1 || prio > RT_PRIO_MAX ? -EINVAL : -EPERM;
	return policy == SCHED_NORMAL && prio == 0 ? 0 : -EINVAL;
}

int64_t sys_sched_setscheduler(const uint64_t a[6])
{
	return set_policy(a, (int)a[1], a[2]);
}

int64_t sys_sched_setparam(const uint64_t a[6])
{
	return set_policy(a, SCHED_NORMAL, a[1]);
}

int64_t sys_sched_getscheduler(const uint64_t a[6])
{
	int64_t err = check_target(a);

	return err < 0 ? err : SCHED_NORMAL;
}

int64_t sys_sched_getparam(const uint64_t a[6])
{
	int64_t err = a[1] ? check_target(a) : -EINVAL;
	int prio = 0;

	return err < 0 ? err : user_copy_to(a[1], &prio, sizeof(prio));
}

static int64_t prio_bound(int policy, int bound)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		return bound;
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE:
	case SCHED_DEADLINE:
		return 0;
	default:
		return -EINVAL;
	}
}

int64_t sys_sched_get_priority_max(const uint64_t a[6])
{
	return prio_bound((int)a[0], RT_PRIO_MAX);
}

int64_t sys_sched_get_priority_min(const uint64_t a[6])
{
	return prio_bound((int)a[0], 1);
}

int64_t sys_sched_rr_get_interval(const uint64_t a[6])
{
	struct __kernel_timespec ts = { 0, EEVDF_SLICE_NS };
	int64_t err = check_target(a);

	return err < 0 ? err : user_copy_to(a[1], &ts, sizeof(ts));
}

/* --- limits ---------------------------------------------------------------------------------------------------------- */

/* May the caller see and set the limits of p? */
static bool may_limit(const struct process *p)
{
	const struct credentials *own = &current_process()->cred;
	struct credentials c;

	if (p == current_process() || caller_is_root())
		return true;
	process_get_cred(p, &c);
	return cred_is_only(&c, READ_ONCE(own->uid), READ_ONCE(own->gid));
}

static int change_limit(struct process *p, unsigned kind, const struct rlimit_pair *new,
			struct rlimit_pair *old)
{
	if (!may_limit(p))
		return -EPERM;
	if (kind >= RLIM_KINDS)
		return -EINVAL;
	*old = process_get_limit(p, kind);
	if (!new)
		return 0;
	if (new->cur > new->max)
		return -EINVAL;
	if (kind == RLIMIT_NOFILE && new->max > NOFILE_LIMIT)
		return -EPERM;
	return process_set_limit(p, kind, new, caller_is_root());
}

/* The memory of p is told its limits. */
static void limit_space(struct process *p)
{
	struct vm_space *space = process_space_get(p);

	if (!space)
		return;
	vm_set_limits(space, process_get_limit(p, RLIMIT_AS).cur,
		      process_get_limit(p, RLIMIT_DATA).cur,
		      process_get_limit(p, RLIMIT_STACK).cur);
	vm_space_put(space);
}

int64_t sys_prlimit64(const uint64_t a[6])
{
	struct rlimit_pair old, new;
	struct process *p;
	struct thread *t;
	int err;

	if (a[2] && user_copy_from(&new, a[2], sizeof(new)) < 0)
		return -EFAULT;
	err = target_get(PID_INT(a[0]), &t, &p);
	if (err < 0)
		return err;
	err = change_limit(p, (unsigned)a[1], a[2] ? &new : NULL, &old);
	if (err == 0 && a[2])
		limit_space(p);
	target_put(t, p);
	if (err == 0 && a[3])
		err = user_copy_to(a[3], &old, sizeof(old));
	return err;
}

/* --- prctl ---------------------------------------------------------------------------------------------------------------- */

static int64_t set_name(vaddr_t from)
{
	struct thread *t = current_thread();
	char name[sizeof(t->name)] = { 0 };
	ssize_t n = user_copy_string(name, from, sizeof(name));

	if (n < 0 && n != -ENAMETOOLONG)
		return n;
	name[sizeof(name) - 1] = '\0';
	str_copy(t->name, name, sizeof(t->name));
	if (t->tid == t->process->pid)
		process_set_name(t->process, name);
	return 0;
}

static int64_t give_int(vaddr_t to, int value)
{
	return user_copy_to(to, &value, sizeof(value));
}

int64_t sys_prctl(const uint64_t a[6])
{
	struct process *p = current_process();
	bool rest = a[2] || a[3] || a[4];

	switch ((int)a[0]) {
	case PR_SET_NAME:
		return set_name(a[1]);
	case PR_GET_NAME:
		return user_copy_to(a[1], current_thread()->name, sizeof(p->name));
	case PR_SET_PDEATHSIG:
		if (a[1] > NSIG)
			return -EINVAL;
		WRITE_ONCE(p->death_signal, (int)a[1]);
		return 0;
	case PR_GET_PDEATHSIG:
		return give_int(a[1], READ_ONCE(p->death_signal));
	case PR_SET_DUMPABLE:
		if (a[1] > 1)
			return -EINVAL;
		WRITE_ONCE(p->undumpable, !a[1]);
		return 0;
	case PR_GET_DUMPABLE:
		return !READ_ONCE(p->undumpable);
	case PR_SET_CHILD_SUBREAPER:
		WRITE_ONCE(p->subreaper, a[1] != 0);
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return give_int(a[1], READ_ONCE(p->subreaper));
	case PR_SET_NO_NEW_PRIVS:
		if (a[1] != 1 || rest)
			return -EINVAL;
		WRITE_ONCE(p->no_new_privs, true);
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return a[1] || rest ? -EINVAL : READ_ONCE(p->no_new_privs);
	default:
		return -EINVAL;
	}
}

/* There is one way of running programs; to ask for it, or which it is, is right. */
int64_t sys_personality(const uint64_t a[6])
{
	return (uint32_t)a[0] == PER_LINUX || (uint32_t)a[0] == UINT32_MAX ? PER_LINUX : -EINVAL;
}
