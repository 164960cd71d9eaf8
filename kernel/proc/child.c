/* SPDX-License-Identifier: MIT */
/* Parents and children: the end of a process as its parent sees it, who takes over orphans, and what wait(2) finds. All
 * under PIDTAB. */
#include <linux/wait.h>
#include "kernel/proc/lifecycle.h"
#include "kernel/proc/pidtab_priv.h"
#include "lib/errno.h"

#define SA_NOCLDWAIT 2

static struct process
	*init_process; /* [PIDTAB] takes over orphans; no reference: cleared at its end */

void process_set_init(struct process *p)
{
	spin_lock(&pidtab_lock);
	if (p->state == PROC_ALIVE) {
		init_process = p;
		WRITE_ONCE(p->signals.unkillable, true);
	}
	spin_unlock(&pidtab_lock);
}

/* --- accounts -------------------------------------------------------------------------------------------------- */

static void usage_add(struct usage *to, const struct usage *u)
{
	to->cpu_ns += u->cpu_ns;
	to->user_ns += u->user_ns;
	to->switches += u->switches;
	to->min_faults += u->min_faults;
	WRITE_ONCE(to->max_pages, MAX(to->max_pages, u->max_pages));
}

void usage_add_thread(struct usage *to, struct thread *t)
{
	struct usage u = { .switches = READ_ONCE(t->switches) };

	u.cpu_ns = thread_cpu_ns(t, &u.user_ns);
	usage_add(to, &u);
}

void process_count_last(struct process *p, struct thread *t)
{
	/* somebody may be asking */
	spin_lock(&pidtab_lock);
	usage_add_thread(&p->dead, t);
	spin_unlock(&pidtab_lock);
}

void process_set_peak(struct process *p, uint64_t pages)
{
	spin_lock(&pidtab_lock);
	WRITE_ONCE(p->dead.max_pages, pages);
	spin_unlock(&pidtab_lock);
}

void process_usage(struct process *p, bool children, struct usage *out)
{
	struct thread *t;

	spin_lock(&pidtab_lock);
	*out = children ? p->reaped : p->dead;
	if (!children) {
		list_for_each (t, &p->threads, process_link)
			usage_add_thread(out, t);
		out->min_faults = READ_ONCE(p->min_faults);
	}
	spin_unlock(&pidtab_lock);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static bool ignores_children(struct process *parent)
{
	irqflags_t f = spin_lock_irqsave(&parent->signals.lock);
	const struct signal_action *a = &parent->signals.action[SIG_CHLD - 1];
	bool ignores = a->handler == 1 || (a->flags & SA_NOCLDWAIT);

	spin_unlock_irqrestore(&parent->signals.lock, f);
	return ignores;
}

/* Will nobody wait for zombie c? */
static bool unwanted(struct process *c) __requires(pidtab_lock)
{
	return !c->parent || (c->exit_signal == SIG_CHLD && ignores_children(c->parent));
}

/* Who takes over the children of p: the nearest ancestor that asked for them, else init; NULL: the kernel. */
static struct process *heir_of(struct process *p) __requires(pidtab_lock)
{
	struct process *a = p->parent;

	while (a && !READ_ONCE(a->subreaper))
		a = a->parent;
	if (!a && init_process != p)
		a = init_process;
	return a;
}

/* c, a child of p, which ends, gets its new parent. */
static void give_away(struct process *p, struct process *c) __requires(pidtab_lock)
{
	struct process *heir = heir_of(p);

	list_del(&c->sibling);
	process_set_parent(c, heir);
	c->exit_signal = SIG_CHLD;
	if (heir)
		list_push_back(&c->sibling, &heir->children);
	if (c->state == PROC_ZOMBIE)
		signal_tell_parent(c, SIG_CHLD, c->wait_status);
}

/* ALIVE -> ZOMBIE */
static void become_zombie(struct process *p, int wait_status) __requires(pidtab_lock)
{
	if (init_process == p)
		init_process = NULL;
	p->wait_status = wait_status;
	p->dead.min_faults = p->min_faults;
	WRITE_ONCE(p->state, PROC_ZOMBIE);
	signal_tell_parent(p, p->exit_signal, wait_status);
}

/* A step of the end of p: its first child goes, or, where there is none, p becomes a zombie; in one piece, since it may
 * inherit children to the last. Returns the child, referenced, or NULL; *unlinked: the group of whom nobody waits for. */
static struct process *end_step(struct process *p, int wait_status, struct pgroup **unlinked)
{
	struct process *c, *ended;

	spin_lock(&pidtab_lock);
	c = list_first_or_null(&p->children, struct process, sibling);
	if (c)
		give_away(p, process_get(c));
	else
		become_zombie(p, wait_status);
	ended = c ? c : p;
	*unlinked = ended->state == PROC_ZOMBIE && unwanted(ended) ? process_unlink(ended) : NULL;
	spin_unlock(&pidtab_lock);
	return c;
}

void process_zombie(struct process *p, int wait_status)
{
	struct process *c;
	struct pgroup *g;

	(void)timer_cancel(&p->signals.alarm);
	ptimers_end(p);
	job_release_orphans(p);
	while ((c = end_step(p, wait_status, &g))) {
		int sig = READ_ONCE(c->death_signal);

		if (sig && READ_ONCE(c->state) != PROC_ZOMBIE)
			signal_send(c, sig);
		if (g)
			process_drop_unlinked(c, g);
		process_put(c);
	}
	poll_notify(&p->exited, POLL_IN);
	if (g)
		process_drop_unlinked(p, g);
}

bool process_zombie_status(struct process *p, int *status)
{
	bool ended;

	spin_lock(&pidtab_lock);
	ended = p->state == PROC_ZOMBIE;
	if (ended)
		*status = p->wait_status;
	spin_unlock(&pidtab_lock);
	return ended;
}

/* --- waiting --------------------------------------------------------------------------------------------------------- */

enum child_code wait_status_code(int status, int *value)
{
	int sig = status & 0x7f;

	if (status == STATUS_CONTINUED) {
		*value = SIG_CONT;
		return CHILD_CONTINUED;
	}
	if (sig == 0 || sig == 0x7f) {
		*value = status >> 8 & 0xff;
		return sig ? CHILD_STOPPED : CHILD_EXITED;
	}
	*value = sig;
	return (status & 0x80) ? CHILD_DUMPED : CHILD_KILLED;
}

static bool child_matches(const struct process *parent, const struct process *c,
			  const struct wait_query *q)
{
	bool clone = c->exit_signal != SIG_CHLD;

	if (!(q->options & __WALL) && clone != !!(q->options & __WCLONE))
		return false;
	if (q->type == P_PGID)
		return c->group->id == (q->id ? q->id : parent->group->id);
	return q->type == P_ALL || c->pid == q->id;
}

/* What there is to tell of c, told once unless WNOWAIT says to keep it: its wait status word, or -1. */
static int child_event(struct process *c, unsigned options)
{
	bool keep = options & WNOWAIT;

	if (c->state == PROC_ZOMBIE)
		return (options & WEXITED) ? c->wait_status : -1;
	if (c->stopped && !c->stop_reported && (options & WSTOPPED)) {
		c->stop_reported = !keep;
		return STATUS_STOPPED(c->stop_sig);
	}
	if (c->continued && (options & WCONTINUED)) {
		c->continued = keep;
		return STATUS_CONTINUED;
	}
	return -1;
}

/* c has something to tell; a zombie goes unless it is kept. Its group reference, or NULL. */
static struct pgroup *take_child(struct process *parent, struct process *c, int status,
				 unsigned options, struct wait_result *out) __requires(pidtab_lock)
{
	*out = (struct wait_result){
		.pid = c->pid, .status = status, .uid = c->cred.uid, .usage = c->dead
	};
	usage_add(&out->usage, &c->reaped);
	if (c->state != PROC_ZOMBIE || (options & WNOWAIT))
		return NULL;
	usage_add(&parent->reaped, &out->usage);
	return process_unlink(c);
}

int process_wait_child(struct process *parent, const struct wait_query *q, struct wait_result *out)
{
	struct process *c, *found = NULL;
	struct pgroup *g = NULL;
	bool any = false;
	int status = -1;

	spin_lock(&pidtab_lock);
	if (q->type == P_PID) {
		found = process_child(parent, q->id);
		any = found && child_matches(parent, found, q);
		if (any)
			status = child_event(found, q->options);
	} else {
		list_for_each (c, &parent->children, sibling) {
			if (!child_matches(parent, c, q))
				continue;
			any = true;
			found = c;
			status = child_event(c, q->options);
			if (status >= 0)
				break;
		}
	}
	if (status >= 0)
		g = take_child(parent, found, status, q->options, out);
	spin_unlock(&pidtab_lock);
	if (g)
		process_drop_unlinked(found, g);
	return status >= 0 ? 1 : any ? 0 : -ECHILD;
}
