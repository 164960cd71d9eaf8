/* SPDX-License-Identifier: MIT */
/* Job control's rules about groups (POSIX base definitions 11.1.4, and Linux where that is silent). */
#include "kernel/proc/lifecycle.h"
#include "kernel/proc/pidtab_priv.h"
#include "lib/errno.h"

bool pgroup_is_orphaned(const struct pgroup *g, const struct process *gone)
{
	struct process *p;

	list_for_each (p, &g->members, group_link) {
		const struct process *parent = p->parent;

		if (p == gone || p->state != PROC_ALIVE || !parent || parent == gone ||
		    parent->pid == 1)
			continue;
		if (parent->group && parent->group != g && parent->group->session == g->session)
			return false;
	}
	return true;
}

int job_check(const struct tty *tty, int sig)
{
	struct process *p = current_process();
	struct pgroup *g = NULL;
	bool orphaned = false;

	if (!p)
		return 0;
	spin_lock(&pidtab_lock);
	if (!READ_ONCE(p->left_tty) && p->group->session->tty == tty &&
	    p->group->session->foreground != p->group->id) {
		g = p->group;
		ASSERT(refcount_get(&g->ref));
		orphaned = pgroup_is_orphaned(g, NULL);
	}
	spin_unlock(&pidtab_lock);
	if (!g)
		return 0;
	if (signal_held_off(sig)) {
		pgroup_put(g);
		return sig == SIG_TTIN ? -EIO : 0;
	}
	if (!orphaned)
		signal_send_group(g, sig);
	pgroup_put(g);
	return orphaned ? -EIO : -ERESTARTSYS;
}

/* Is q the parent through which somebody in the session of g looks after it? */
static bool looks_after(const struct process *q, const struct pgroup *g)
{
	return q && q->group && q->group != g && q->group->session == g->session;
}

/* Does a stopped member of g lose the last who could let it go on, when p ends? One that was killed as it stood goes on no
 * more, whatever it is sent. */
static bool left_stopped(const struct pgroup *g, const struct process *p) __requires(pidtab_lock)
{
	const struct process *m;

	list_for_each (m, &g->members, group_link)
		if (m != p && m->stopped && m->state == PROC_ALIVE &&
		    !READ_ONCE(m->signals.exiting))
			return pgroup_is_orphaned(g, p);
	return false;
}

/* Such a group, of p or of a child, with a reference. */
static struct pgroup *find_left_stopped(const struct process *p)
{
	struct pgroup *g = NULL;
	struct process *c;

	spin_lock(&pidtab_lock);
	if (looks_after(p->parent, p->group) && left_stopped(p->group, p))
		g = p->group;
	list_for_each (c, &p->children, sibling)
		if (!g && c->group && looks_after(p, c->group) && left_stopped(c->group, p))
			g = c->group;
	if (g)
		ASSERT(refcount_get(&g->ref));
	spin_unlock(&pidtab_lock);
	return g;
}

void job_release_orphans(struct process *p)
{
	struct pgroup *g;

	while ((g = find_left_stopped(p)) != NULL) {
		signal_send_group(g, SIG_HUP);
		signal_send_group(g, SIG_CONT);
		pgroup_put(g);
	}
}
