/* SPDX-License-Identifier: MIT */
/* The tables behind process.c, for kernel/proc alone; creation and death go through the calls in lifecycle.h. */
#ifndef TERN_KERNEL_PROC_PIDTAB_PRIV_H
#define TERN_KERNEL_PROC_PIDTAB_PRIV_H

#include "kernel/proc/process.h"

extern spinlock_t pidtab_lock; /* PIDTAB */

struct process;
struct pgroup;
struct thread;
struct signal_info;

/* A zombie goes out of every table. The group reference it held is given to process_drop_unlinked(), with PIDTAB dropped. */
struct pgroup *process_unlink(struct process *p) __requires(pidtab_lock) __must_check;
void process_drop_unlinked(struct process *p, struct pgroup *g);
static inline void process_set_parent(struct process *p, struct process *parent)
	__requires(pidtab_lock)
{
	p->parent = parent;
	WRITE_ONCE(p->parent_pid, parent ? parent->pid : 0);
}
/* A published child of parent by number; NULL. */
struct process *process_child(struct process *parent, int pid) __requires(pidtab_lock) __must_check;

/* signal.c. Post to p, or to one of its threads alone: 0, or -EAGAIN if no more can be queued. */
int signal_post(struct process *p, struct thread *only, const struct signal_info *info)
	__requires(pidtab_lock) __must_check;
/* A thread joins p's list, or leaves it. */
void signal_thread_join(struct process *p, struct thread *t) __requires(pidtab_lock);
void signal_thread_leave(struct process *p, struct thread *t) __requires(pidtab_lock);
/* sig (0: none), if it is not SIGCHLD unwanted for stops, and the end of a wait4 for p's parent: what became of p, as a wait
 * status word. */
void signal_tell_parent(struct process *p, int sig, int status) __requires(pidtab_lock);

/* job.c. A group is orphaned if no member has a parent in another group of the session: nobody would continue it. A process
 * that is `gone` counts no more, as member or as parent. */
bool pgroup_is_orphaned(const struct pgroup *g, const struct process *gone) __requires(pidtab_lock);

/* A signal that waits to be taken. A timer's own is part of it, so that it can be sent in an interrupt. */
struct signal_entry {
	struct list_head link; /* [SIGHAND] */
	struct signal_info info;
	struct ptimer *timer; /* [init] NULL: allocated */
};
/* Post a timer's own, which is not on its way already. It drops no other signal. Dropped itself, it is not linked. */
void signal_post_own(struct process *p, struct thread *only, struct signal_entry *e)
	__requires(p->signals.lock);
/* Its timer goes, and what it has sent stays. */
void signal_disown(struct process *p, struct thread *only, struct signal_entry *e)
	__requires(p->signals.lock);
/* ptimer.c. The signal has been taken, or dropped: the timer goes on. */
void ptimer_taken(struct ptimer *t);
/* Exec, and the end: no timer is left. */
void ptimers_end(struct process *p);

/* Tests: the number tried first for the next process. Returns the one it would have been. */
int pidtab_set_next(int pid);

#endif
