/* SPDX-License-Identifier: MIT */
/* System calls on credentials. They are the process's, not a thread's as in Linux: C libraries make every thread change
 * its own, with the same result. Each change is checked and made in one piece under PIDTAB. */
#include "kernel/context.h"
#include "kernel/core/perturb.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/vm/user_copy.h"

#define NO_ID UINT32_MAX /* (uid_t)-1: leave it */

struct ids {
	uint32_t real, effective, saved, fs;
};

static struct ids ids_of(const struct credentials *c, bool group)
{
	return group ? (struct ids){ c->gid, c->egid, c->sgid, c->fsgid }
		     : (struct ids){ c->uid, c->euid, c->suid, c->fsuid };
}

static void ids_put(struct credentials *c, bool group, const struct ids *i)
{
	WRITE_ONCE(*(group ? &c->gid : &c->uid), i->real);
	WRITE_ONCE(*(group ? &c->egid : &c->euid), i->effective);
	WRITE_ONCE(*(group ? &c->sgid : &c->suid), i->saved);
	WRITE_ONCE(*(group ? &c->fsgid : &c->fsuid), i->fs);
}

struct change {
	bool group; /* gid, not uid */
	uint32_t arg[3];
	/* Change *i, or not. The call's result. */
	int64_t (*rule)(struct ids *i, const uint32_t arg[3], bool root);
	int64_t result;
};

static void apply(struct process *p, void *arg)
{
	struct change *c = arg;
	struct ids was = ids_of(&p->cred, c->group), now = was;

	c->result = c->rule(&now, c->arg, p->cred.euid == 0);
	if (c->result < 0)
		return;
	ids_put(&p->cred, c->group, &now);
	if (now.effective != was.effective || now.fs != was.fs) {
		WRITE_ONCE(p->undumpable, true);
		WRITE_ONCE(p->death_signal, 0);
	}
}

static int64_t change(bool group, int64_t (*rule)(struct ids *, const uint32_t[3], bool),
		      const uint64_t a[6])
{
	struct change c = { group, { (uint32_t)a[0], (uint32_t)a[1], (uint32_t)a[2] }, rule, 0 };

	process_inspect(current_process(), apply, &c);
	if (c.result >= 0)
		fs_set_cred();
	return c.result;
}

/* --- the rules ------------------------------------------------------------------------------------------------- */

static int64_t rule_set(struct ids *i, const uint32_t arg[3], bool root)
{
	if (arg[0] == NO_ID)
		return -EINVAL;
	if (!root && arg[0] != i->real && arg[0] != i->saved)
		return -EPERM;
	if (root)
		i->real = i->saved = arg[0];
	i->effective = i->fs = arg[0];
	return 0;
}

static bool may_be(const struct ids *i, uint32_t id, bool root)
{
	return root || id == NO_ID || id == i->real || id == i->effective || id == i->saved;
}

static int64_t rule_setre(struct ids *i, const uint32_t arg[3], bool root)
{
	const struct ids was = *i;

	if (!may_be(i, arg[1], root) ||
	    !(root || arg[0] == NO_ID || arg[0] == i->real || arg[0] == i->effective))
		return -EPERM;
	if (arg[0] != NO_ID)
		i->real = arg[0];
	if (arg[1] != NO_ID)
		i->effective = arg[1];
	if (arg[0] != NO_ID || (arg[1] != NO_ID && arg[1] != was.real))
		i->saved = i->effective;
	i->fs = i->effective;
	return 0;
}

static int64_t rule_setres(struct ids *i, const uint32_t arg[3], bool root)
{
	if (!may_be(i, arg[0], root) || !may_be(i, arg[1], root) || !may_be(i, arg[2], root))
		return -EPERM;
	if (arg[0] != NO_ID)
		i->real = arg[0];
	if (arg[1] != NO_ID)
		i->effective = arg[1];
	if (arg[2] != NO_ID)
		i->saved = arg[2];
	i->fs = i->effective;
	return 0;
}

/* It tells the old one, whether it changes it or not. */
static int64_t rule_setfs(struct ids *i, const uint32_t arg[3], bool root)
{
	uint32_t was = i->fs;

	if (arg[0] != NO_ID && (may_be(i, arg[0], root) || arg[0] == was))
		i->fs = arg[0];
	return was;
}

/* --- the calls -------------------------------------------------------------------------------------------------- */

#define CHANGE(name, group, rule)                                                                  \
	int64_t sys_##name(const uint64_t a[6])                                                    \
	{                                                                                          \
		return change(group, rule, a);                                                     \
	}
CHANGE(setuid, false, rule_set)
CHANGE(setgid, true, rule_set)
CHANGE(setreuid, false, rule_setre)
CHANGE(setregid, true, rule_setre)
CHANGE(setresuid, false, rule_setres)
CHANGE(setresgid, true, rule_setres)
CHANGE(setfsuid, false, rule_setfs)
CHANGE(setfsgid, true, rule_setfs)

static int64_t get_three(const uint64_t a[6], bool group)
{
	struct credentials c;
	struct ids i;

	process_get_cred(current_process(), &c);
	i = ids_of(&c, group);
	if (user_copy_to(a[0], &i.real, sizeof(i.real)) < 0 ||
	    user_copy_to(a[1], &i.effective, sizeof(i.effective)) < 0 ||
	    user_copy_to(a[2], &i.saved, sizeof(i.saved)) < 0)
		return -EFAULT;
	return 0;
}

int64_t sys_getresuid(const uint64_t a[6])
{
	return get_three(a, false);
}

int64_t sys_getresgid(const uint64_t a[6])
{
	return get_three(a, true);
}

#define TELL(name, member)                                                                         \
	int64_t sys_##name(const uint64_t a[6])                                                    \
	{                                                                                          \
		return READ_ONCE(current_process()->cred.member);                                  \
	}
TELL(getuid, uid)
TELL(geteuid, euid)
TELL(getgid, gid)
TELL(getegid, egid)

int64_t sys_getgroups(const uint64_t a[6])
{
	const struct credentials *c = &current_process()->cred;
	int n = (int)atomic_load_acquire(&c->nr_groups), room = (int)a[0];
	uint32_t groups[CRED_GROUPS];

	if (room < 0 || (room > 0 && room < n))
		return -EINVAL;
	for (int i = 0; i < n; i++)
		groups[i] = READ_ONCE(c->groups[i]);
	if (room > 0 && user_copy_to(a[1], groups, (size_t)n * sizeof(groups[0])) < 0)
		return -EFAULT;
	return n;
}

struct groups {
	uint32_t id[CRED_GROUPS];
	unsigned n;
};

/* Who reads meanwhile sees each entry as it was or is. */
static void put_groups(struct process *p, void *arg)
{
	const struct groups *g = arg;

	WRITE_ONCE(p->cred.nr_groups, MIN(p->cred.nr_groups, g->n));
	for (unsigned i = 0; i < g->n; i++)
		WRITE_ONCE(p->cred.groups[i], g->id[i]);
	atomic_publish(&p->cred.nr_groups, g->n);
}

int64_t sys_setgroups(const uint64_t a[6])
{
	struct groups g;

	if (!caller_is_root())
		return -EPERM;
	if ((int)a[0] < 0 || (int)a[0] > CRED_GROUPS)
		return -EINVAL;
	g.n = (unsigned)a[0];
	if (g.n && user_copy_from(g.id, a[1], g.n * sizeof(g.id[0])) < 0)
		return -EFAULT;
	process_inspect(current_process(), put_groups, &g);
	fs_set_cred();
	return 0;
}
