/* SPDX-License-Identifier: MIT */
/* Posting signals. A signal that is ignored is dropped at once unless blocked; a fatal one that some thread will take
 * decides the process's end here, so that a thread that computes for ever is ended by its next return to user mode and
 * one that sleeps is woken (RC-016, N2). Stopping and handlers come with full fork: stop signals are dropped. */
#include "kernel/proc/signal.h"
#include "kernel/proc/pidtab_priv.h"
#include "kernel/proc/process.h"
#include "lib/string.h"

#define MASK(sig)      (1UL << ((sig)-1))

#define DEFAULT_IGNORE (MASK(SIG_CHLD) | MASK(SIG_CONT) | MASK(SIG_URG) | MASK(SIG_WINCH))
#define DEFAULT_STOP   (MASK(SIG_STOP) | MASK(SIG_TSTP) | MASK(SIG_TTIN) | MASK(SIG_TTOU))
#define DEFAULT_CORE                                                                               \
	(MASK(SIG_QUIT) | MASK(SIG_ILL) | MASK(SIG_TRAP) | MASK(SIG_ABRT) | MASK(SIG_BUS) |        \
	 MASK(SIG_FPE) | MASK(SIG_SEGV) | MASK(SIG_SYS))
#define UNBLOCKABLE (MASK(SIG_KILL) | MASK(SIG_STOP))

static const char *const names[] = {
	[SIG_HUP] = "HUP",   [SIG_INT] = "INT",	  [SIG_QUIT] = "QUIT",	 [SIG_ILL] = "ILL",
	[SIG_TRAP] = "TRAP", [SIG_ABRT] = "ABRT", [SIG_BUS] = "BUS",	 [SIG_FPE] = "FPE",
	[SIG_KILL] = "KILL", [SIG_USR1] = "USR1", [SIG_SEGV] = "SEGV",	 [SIG_USR2] = "USR2",
	[SIG_PIPE] = "PIPE", [SIG_ALRM] = "ALRM", [SIG_TERM] = "TERM",	 [SIG_CHLD] = "CHLD",
	[SIG_CONT] = "CONT", [SIG_STOP] = "STOP", [SIG_TSTP] = "TSTP",	 [SIG_TTIN] = "TTIN",
	[SIG_TTOU] = "TTOU", [SIG_URG] = "URG",	  [SIG_WINCH] = "WINCH", [SIG_SYS] = "SYS",
};

const char *signal_name(int sig)
{
	return sig > 0 && sig < (int)ARRAY_SIZE(names) ? names[sig] : NULL;
}

int signal_number(const char *name)
{
	for (int i = 1; i < (int)ARRAY_SIZE(names); i++)
		if (names[i] && strcmp(names[i], name) == 0)
			return i;
	return 0;
}

/* The process ends with this wait status: every thread is told. The first to decide wins. */
static void group_exit_locked(struct process *p, int status)
{
	struct thread *t;

	if (p->signals.exiting)
		return;
	p->signals.exiting = true;
	p->signals.exit_code = status;
	list_for_each (t, &p->threads, process_link)
		thread_notify(t, NOTIFY_KILL);
}

void signal_group_exit(struct process *p, int status)
{
	irqflags_t f;

	spin_lock(&pidtab_lock);
	f = spin_lock_irqsave(&p->signals.lock);
	group_exit_locked(p, status);
	spin_unlock_irqrestore(&p->signals.lock, f);
	spin_unlock(&pidtab_lock);
}

static int status_of(int sig)
{
	return sig | ((DEFAULT_CORE & MASK(sig)) ? 0x80 : 0);
}

void signal_fault(struct process *p, int sig)
{
	signal_group_exit(p, status_of(sig));
}

/* Does the disposition drop it? So does, as long as handlers are not run, a handler for what would not kill. */
static bool is_ignored(const struct process *p, int sig)
{
	const struct signal_action *a = &p->signals.action[sig - 1];

	if (sig == SIG_KILL)
		return false;
	if (sig == SIG_STOP)
		return true;
	return a->handler == 1 || ((DEFAULT_IGNORE | DEFAULT_STOP) & MASK(sig));
}

static bool blocks(const struct thread *t, int sig)
{
	return (t->sig_blocked & ~UNBLOCKABLE) & MASK(sig);
}

/* Post to the process, or to `only` of its threads. PIDTAB keeps the thread list still. */
static void post_locked(struct process *p, struct thread *only, int sig)
{
	struct thread *t;
	bool all_block = true;

	list_for_each (t, &p->threads, process_link)
		if ((!only || t == only) && !blocks(t, sig))
			all_block = false;
	if (p->signals.exiting || (!all_block && is_ignored(p, sig)))
		return;
	if (all_block) {
		if (only)
			only->sig_pending |= MASK(sig);
		else
			p->signals.pending |= MASK(sig);
		return;
	}
	group_exit_locked(p, status_of(sig));
}

static void post(struct process *p, struct thread *only, int sig)
{
	irqflags_t f;

	ASSERT(sig > 0 && sig <= NSIG);
	f = spin_lock_irqsave(&p->signals.lock);
	post_locked(p, only, sig);
	spin_unlock_irqrestore(&p->signals.lock, f);
}

void signal_send(struct process *p, int sig)
{
	spin_lock(&pidtab_lock);
	post(p, NULL, sig);
	spin_unlock(&pidtab_lock);
}

void signal_send_thread(struct thread *t, int sig)
{
	spin_lock(&pidtab_lock);
	if (t->process && list_linked(&t->process_link))
		post(t->process, t, sig);
	spin_unlock(&pidtab_lock);
}

static void post_group(struct pgroup *g, int sig) __requires(pidtab_lock)
{
	struct process *p;

	list_for_each (p, &g->members, group_link)
		if (p->state == PROC_ALIVE)
			post(p, NULL, sig);
}

void signal_send_group(struct pgroup *g, int sig)
{
	spin_lock(&pidtab_lock);
	post_group(g, sig);
	spin_unlock(&pidtab_lock);
}

void signal_send_session(struct session *s, int sig)
{
	struct pgroup *g;

	spin_lock(&pidtab_lock);
	list_for_each (g, &s->groups, session_link)
		post_group(g, sig);
	spin_unlock(&pidtab_lock);
}

bool signal_held_off(int sig)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	bool held = blocks(t, sig) || p->signals.action[sig - 1].handler == 1;

	spin_unlock_irqrestore(&p->signals.lock, f);
	return held;
}

bool signal_pending_current(void)
{
	return READ_ONCE(current_thread()->notify) != 0;
}

/* The current thread's mask changed: what was held back and no longer is takes its default action now. */
void signal_set_mask(sigset_t64 mask)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	sigset_t64 due;
	irqflags_t f;

	spin_lock(&pidtab_lock);
	f = spin_lock_irqsave(&p->signals.lock);
	t->sig_blocked = mask & ~UNBLOCKABLE;
	due = (t->sig_pending | p->signals.pending) & ~t->sig_blocked;
	t->sig_pending &= ~due;
	p->signals.pending &= ~due;
	for (int sig = 1; sig <= NSIG; sig++)
		if (due & MASK(sig))
			post_locked(p, t, sig);
	spin_unlock_irqrestore(&p->signals.lock, f);
	spin_unlock(&pidtab_lock);
}

void signal_get_action(struct process *p, int sig, struct signal_action *out)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);

	*out = p->signals.action[sig - 1];
	spin_unlock_irqrestore(&p->signals.lock, f);
}

void signal_set_action(struct process *p, int sig, const struct signal_action *act)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);

	p->signals.action[sig - 1] = *act;
	if (is_ignored(p, sig))
		p->signals.pending &= ~MASK(sig);
	spin_unlock_irqrestore(&p->signals.lock, f);
}

sigset_t64 signal_get_pending(void)
{
	struct thread *t = current_thread();
	irqflags_t f = spin_lock_irqsave(&t->process->signals.lock);
	sigset_t64 set = (t->sig_pending | t->process->signals.pending) & t->sig_blocked;

	spin_unlock_irqrestore(&t->process->signals.lock, f);
	return set;
}

void signal_exec(struct process *p)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);

	for (int i = 0; i < NSIG; i++) {
		struct signal_action *a = &p->signals.action[i];
		uint64_t keep = a->handler == 1 ? 1 : 0;

		*a = (struct signal_action){ .handler = keep };
	}
	spin_unlock_irqrestore(&p->signals.lock, f);
}

int signal_exit_status(struct process *p)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	int status = p->signals.exit_code;

	spin_unlock_irqrestore(&p->signals.lock, f);
	return status;
}
