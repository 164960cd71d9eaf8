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

		if (p == gone || p->state != PROC_ALIVE || !parent || parent == gone)
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
	if (p->group->session->tty == tty && p->group->session->foreground != p->group->id) {
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
