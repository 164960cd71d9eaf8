/* SPDX-License-Identifier: MIT */
/* Signals. A signal that is ignored is dropped at once unless blocked; a fatal one that some thread would take decides the
 * process's end by the sender's hand, so that a thread that computes for ever is ended by its next return to user mode and
 * one that sleeps is woken (RC-016, N2); what has a handler, or stops, is taken by a thread itself, on its way back to user
 * mode. NOTIFY_SIGNAL of a thread is set whenever there may be something for it to take; only it clears the bit. */
#include "kernel/proc/signal.h"
#include <asm/signal.h>
#include "kernel/core/perturb.h"
#include "kernel/proc/pidtab_priv.h"
#include "kernel/proc/lifecycle.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

#define MASK(sig)      SIGMASK(sig)

#define DEFAULT_IGNORE (MASK(SIG_CHLD) | MASK(SIG_CONT) | MASK(SIG_URG) | MASK(SIG_WINCH))
#define DEFAULT_STOP   (MASK(SIG_STOP) | MASK(SIG_TSTP) | MASK(SIG_TTIN) | MASK(SIG_TTOU))
#define DEFAULT_CORE                                                                               \
	(MASK(SIG_QUIT) | MASK(SIG_ILL) | MASK(SIG_TRAP) | MASK(SIG_ABRT) | MASK(SIG_BUS) |        \
	 MASK(SIG_FPE) | MASK(SIG_SEGV) | MASK(SIG_SYS) | MASK(SIG_XCPU) | MASK(SIG_XFSZ))
#define UNBLOCKABLE (MASK(SIG_KILL) | MASK(SIG_STOP))
/* A thread's own mistakes: taken before all others, so that the handler sees the state of the mistake. */
#define SYNCHRONOUS                                                                                \
	(MASK(SIG_ILL) | MASK(SIG_TRAP) | MASK(SIG_BUS) | MASK(SIG_FPE) | MASK(SIG_SEGV) |         \
	 MASK(SIG_SYS))

/* What sigaction keeps, so that programs can ask which flags there are. */
#define KNOWN_FLAGS                                                                                \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS | SA_RESTORER | SA_ONSTACK | \
	 SA_RESTART | SA_NODEFER | SA_RESETHAND)

#define HANDLER_DFL	 0
#define HANDLER_IGN	 1
#define RLIMIT_PENDING_K 11

static_assert(sizeof(struct signal_info) == 48, "the bytes of siginfo_t that mean something");
static_assert(offsetof(struct signal_info, pid) == 16, "the ABI's");

static struct slab_cache *entry_cache; /* [init] */

static const char *const names[] = {
	[SIG_HUP] = "HUP",     [SIG_INT] = "INT",   [SIG_QUIT] = "QUIT",     [SIG_ILL] = "ILL",
	[SIG_TRAP] = "TRAP",   [SIG_ABRT] = "ABRT", [SIG_BUS] = "BUS",	     [SIG_FPE] = "FPE",
	[SIG_KILL] = "KILL",   [SIG_USR1] = "USR1", [SIG_SEGV] = "SEGV",     [SIG_USR2] = "USR2",
	[SIG_PIPE] = "PIPE",   [SIG_ALRM] = "ALRM", [SIG_TERM] = "TERM",     [SIG_CHLD] = "CHLD",
	[SIG_CONT] = "CONT",   [SIG_STOP] = "STOP", [SIG_TSTP] = "TSTP",     [SIG_TTIN] = "TTIN",
	[SIG_TTOU] = "TTOU",   [SIG_URG] = "URG",   [SIG_XCPU] = "XCPU",     [SIG_XFSZ] = "XFSZ",
	[SIG_WINCH] = "WINCH", [SIG_SYS] = "SYS",   [SIG_VTALRM] = "VTALRM", [SIG_PROF] = "PROF",
};

void signal_cache_init(void)
{
	entry_cache = slab_create("signal", sizeof(struct signal_entry), 16);
	ASSERT(entry_cache != NULL);
}

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

/* --- the end ------------------------------------------------------------------------------------------------------- */

/* The process ends with this wait status: every thread is told. The first to decide wins. I-SIG-2 */
static void group_exit_locked(struct process *p, int status) __requires(p->signals.lock)
{
	struct thread *t;

	if (p->signals.exiting)
		return;
	WRITE_ONCE(p->signals.exiting, true);
	p->signals.exit_code = status;
	list_for_each (t, &p->threads, process_link)
		thread_notify(t, NOTIFY_KILL);
}

void signal_group_exit(struct process *p, int status)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);

	group_exit_locked(p, status);
	spin_unlock_irqrestore(&p->signals.lock, f);
}

int signal_exit_status(struct process *p)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	int status = p->signals.exit_code;

	spin_unlock_irqrestore(&p->signals.lock, f);
	return status;
}

static int status_of(int sig)
{
	return sig | ((DEFAULT_CORE & MASK(sig)) ? 0x80 : 0);
}

/* --- pending sets --------------------------------------------------------------------------------------------------- */

/* One that is pending already says no more by coming again, but for the real-time ones. Those a program queues, and all
 * real-time ones, are bounded by the receiver's limit; what the kernel sends needs no memory. */
static int enqueue(struct process *p, struct signal_pending *q, const struct signal_info *info,
		   struct signal_entry *own) __requires(p->signals.lock)
{
	bool standard = info->signo < SIG_RTMIN;
	struct signal_entry *e = NULL;

	if (own) {
		list_push_back(&own->link, &q->queue);
		WRITE_ONCE(q->set, q->set | MASK(info->signo));
		return 0;
	}
	if (standard && ((q->set & MASK(info->signo)) || info->code == SIC_KERNEL)) {
		WRITE_ONCE(q->set, q->set | MASK(info->signo));
		return 0;
	}
	if ((standard && info->code >= 0) ||
	    p->signals.nr_queued < rlimit_cur(p, RLIMIT_PENDING_K)) {
		e = p->signals.spare ?: slab_alloc(entry_cache);
		WRITE_ONCE(p->signals.spare, NULL);
	}
	if (!e && !standard && info->code != SIC_USER)
		return -EAGAIN;
	if (e) {
		e->info = *info;
		e->timer = NULL;
		p->signals.nr_queued++;
		list_push_back(&e->link, &q->queue);
	}
	WRITE_ONCE(q->set, q->set | MASK(info->signo));
	return 0;
}

static void free_entry(struct process *p, struct signal_entry *e) __requires(p->signals.lock)
{
	list_del(&e->link);
	if (e->timer) {
		ptimer_taken(e->timer);
		return;
	}
	p->signals.nr_queued--;
	if (p->signals.spare)
		slab_free(entry_cache, e);
	else
		WRITE_ONCE(p->signals.spare, e);
}

static void flush(struct process *p, struct signal_pending *q, sigset_t64 which)
	__requires(p->signals.lock)
{
	struct signal_entry *e, *next;

	if (!(q->set & which))
		return;
	WRITE_ONCE(q->set, q->set & ~which);
	list_for_each_safe (e, next, &q->queue, link)
		if (MASK(e->info.signo) & which)
			free_entry(p, e);
}

static void flush_all(struct process *p, sigset_t64 which) __requires(p->signals.lock)
{
	struct thread *t;

	flush(p, &p->signals.pending, which);
	list_for_each (t, &p->threads, process_link)
		flush(p, &t->sig.pending, which);
}

/* The first of q that is in set, taken out; 0: none. */
static int dequeue_from(struct process *p, struct signal_pending *q, sigset_t64 set,
			struct signal_info *info) __requires(p->signals.lock)
{
	sigset_t64 due = q->set & set, now = (due & SYNCHRONOUS) ?: due;
	struct signal_entry *e, *next, *found = NULL;
	int sig;

	if (!due)
		return 0;
	sig = __builtin_ctzl(now) + 1;
	*info = (struct signal_info){ .signo = sig, .code = SIC_KERNEL };
	WRITE_ONCE(q->set, q->set & ~MASK(sig));
	list_for_each_safe (e, next, &q->queue, link) {
		if (e->info.signo != sig)
			continue;
		if (found) {
			WRITE_ONCE(q->set, q->set | MASK(sig));
			break;
		}
		found = e;
		*info = e->info;
	}
	if (found) {
		bool own = found->timer;

		free_entry(p, found);
		/* how often it has run over since is known now */
		if (own)
			*info = found->info;
	}
	return sig;
}

static void alarm_arm(struct signal_state *s, uint64_t at) __requires(s->lock)
{
	s->alarm_at = at;
	timer_arm(&s->alarm, at);
}

/* A periodic alarm goes on once its signal is taken, so that one too fast for the program costs no more than it can take. */
static void alarm_again(struct signal_state *s) __requires(s->lock)
{
	uint64_t late = clock_now_ns() - s->alarm.deadline_ns;

	s->alarm_rang = false;
	if (s->alarm_interval)
		alarm_arm(s, s->alarm.deadline_ns +
				     (late / s->alarm_interval + 1) * s->alarm_interval);
}

static int dequeue(struct process *p, struct thread *t, sigset_t64 set, struct signal_info *info)
	__requires(p->signals.lock)
{
	int sig = dequeue_from(p, &t->sig.pending, set, info)
			  ?: dequeue_from(p, &p->signals.pending, set, info);

	if (sig == SIG_ALRM && p->signals.alarm_rang)
		alarm_again(&p->signals);
	return sig;
}

/* --- masks ------------------------------------------------------------------------------------------------------------ */

/* What t would not take now, though rt_sigtimedwait lets some in. */
static sigset_t64 closed_to(const struct thread *t)
{
	return t->sig_blocked & ~t->sig.waited;
}

/* Is there something for t, the current thread, to take? Then, and only then, the bit. */
static void recalc(struct process *p, struct thread *t) __requires(p->signals.lock)
{
	if (((t->sig.pending.set | p->signals.pending.set) & ~closed_to(t)) || p->signals.stop_sig)
		atomic_fetch_or(&t->notify, NOTIFY_SIGNAL);
	else if (READ_ONCE(t->notify) & NOTIFY_SIGNAL)
		atomic_fetch_and(&t->notify, ~(uint32_t)NOTIFY_SIGNAL);
}

/* Others may take what t leaves pending for the process. I-SIG-1 */
static void retarget(struct process *p, const struct thread *t, sigset_t64 set)
	__requires(p->signals.lock)
{
	struct thread *other;

	set &= p->signals.pending.set;
	if (!set)
		return;
	list_for_each (other, &p->threads, process_link)
		if (other != t && (set & ~closed_to(other)))
			thread_notify(other, NOTIFY_SIGNAL);
}

static void set_mask_locked(struct process *p, struct thread *t, sigset_t64 mask)
	__requires(p->signals.lock)
{
	sigset_t64 newly = mask & ~t->sig_blocked;

	WRITE_ONCE(t->sig_blocked, mask & ~UNBLOCKABLE);
	recalc(p, t);
	retarget(p, t, newly);
}

void signal_set_mask(sigset_t64 mask)
{
	struct thread *t = current_thread();
	irqflags_t f = spin_lock_irqsave(&t->process->signals.lock);

	set_mask_locked(t->process, t, mask);
	spin_unlock_irqrestore(&t->process->signals.lock, f);
}

int signal_set_temp_mask(sigset_t64 mask)
{
	struct thread *t = current_thread();

	t->sig.saved = t->sig_blocked;
	atomic_fetch_or(&t->notify, NOTIFY_MASK);
	signal_set_mask(mask);
	return 0;
}

void signal_restore_mask(void)
{
	struct thread *t = current_thread();

	if (!(READ_ONCE(t->notify) & NOTIFY_MASK))
		return;
	atomic_fetch_and(&t->notify, ~(uint32_t)NOTIFY_MASK);
	signal_set_mask(t->sig.saved);
}

sigset_t64 signal_get_pending(void)
{
	struct thread *t = current_thread();
	irqflags_t f = spin_lock_irqsave(&t->process->signals.lock);
	sigset_t64 set = (t->sig.pending.set | t->process->signals.pending.set) & t->sig_blocked;

	spin_unlock_irqrestore(&t->process->signals.lock, f);
	return set;
}

bool signal_pending_current(void)
{
	return READ_ONCE(current_thread()->notify) & (NOTIFY_SIGNAL | NOTIFY_KILL);
}

bool signal_held_off(int sig)
{
	struct thread *t = current_thread();

	return (t->sig_blocked & MASK(sig)) ||
	       READ_ONCE(t->process->signals.action[sig - 1].handler) == HANDLER_IGN;
}

/* --- posting ------------------------------------------------------------------------------------------------------------ */

static bool is_ignored(const struct process *p, int sig)
{
	uint64_t handler = p->signals.action[sig - 1].handler;

	return handler == HANDLER_IGN || (handler == HANDLER_DFL && (DEFAULT_IGNORE & MASK(sig)));
}

static bool is_fatal(const struct process *p, int sig)
{
	return p->signals.action[sig - 1].handler == HANDLER_DFL &&
	       !READ_ONCE(p->signals.unkillable) && !((DEFAULT_IGNORE | DEFAULT_STOP) & MASK(sig));
}

/* A thread that takes it: a stopped one takes nothing but the end. */
static struct thread *find_taker(struct process *p, struct thread *only, int sig)
	__requires(p->signals.lock)
{
	struct thread *t;

	list_for_each (t, &p->threads, process_link)
		if ((!only || t == only) && !(closed_to(t) & MASK(sig)) &&
		    (!t->sig.stopped || sig == SIG_KILL))
			return t;
	return NULL;
}

/* A stop is over, whether all have come to it or not. */
static void resume(struct process *p) __requires(p->signals.lock)
{
	struct thread *t;

	p->signals.stop_begun = false;
	if (!p->signals.stop_sig)
		return;
	p->signals.cont_due |= p->signals.stop_told;
	p->signals.stop_sig = 0;
	p->signals.stop_told = false;
	p->signals.nr_stopped = 0;
	list_for_each (t, &p->threads, process_link)
		WRITE_ONCE(t->sig.stopped, false);
	wake_all(&p->signals.stop_wait);
}

/* Is it dropped, as the first thread's mask (or the only receiver's) and the disposition say? What is blocked or waited
 * for is kept, also for init. A process without threads keeps everything. */
static bool is_dropped(struct process *p, struct thread *only, int sig) __requires(p->signals.lock)
{
	struct thread *t = only ?: list_first_or_null(&p->threads, struct thread, process_link);

	if (t && ((t->sig_blocked | t->sig.waited) & MASK(sig)))
		return false;
	if (READ_ONCE(p->signals.unkillable) && p->signals.action[sig - 1].handler == HANDLER_DFL)
		return true;
	return t && is_ignored(p, sig);
}

static int post_locked(struct process *p, struct thread *only, const struct signal_info *info,
		       struct signal_entry *own) __requires(p->signals.lock)
{
	int sig = info->signo, err;
	struct thread *t;

	if (p->signals.exiting)
		return 0;
	/* what is dropped is freed, and not in an interrupt */
	if ((DEFAULT_STOP & MASK(sig)) && !own)
		flush_all(p, MASK(SIG_CONT));
	if (sig == SIG_CONT) {
		if (!own)
			flush_all(p, DEFAULT_STOP);
		resume(p);
	}
	if (is_dropped(p, only, sig))
		return 0;
	t = find_taker(p, only, sig);
	if (t && is_fatal(p, sig) && !(t->sig.waited & MASK(sig))) {
		group_exit_locked(p, status_of(sig));
		return 0;
	}
	err = enqueue(p, only ? &only->sig.pending : &p->signals.pending, info, own);
	if (err == 0 && t)
		thread_notify(t, NOTIFY_SIGNAL);
	return err;
}

static int post(struct process *p, struct thread *only, const struct signal_info *info)
{
	struct signal_entry *e = NULL;
	irqflags_t f;
	int err;

	ASSERT(info->signo > 0 && info->signo <= NSIG);
	/* an allocation takes long, with interrupts off */
	if (info->code != SIC_KERNEL && !READ_ONCE(p->signals.spare))
		e = slab_alloc(entry_cache);
	f = spin_lock_irqsave(&p->signals.lock);
	if (!p->signals.spare) {
		WRITE_ONCE(p->signals.spare, e);
		e = NULL;
	}
	err = post_locked(p, only, info, NULL);
	spin_unlock_irqrestore(&p->signals.lock, f);
	if (e)
		slab_free(entry_cache, e);
	return err;
}

void signal_post_own(struct process *p, struct thread *only, struct signal_entry *e)
{
	IGNORE(post_locked(p, only, &e->info, e));
}

void signal_disown(struct process *p, struct thread *only, struct signal_entry *e)
{
	struct signal_pending *q = only ? &only->sig.pending : &p->signals.pending;

	if (!list_linked(&e->link))
		return;
	list_del(&e->link);
	/* not as one that comes again */
	WRITE_ONCE(q->set, q->set & ~MASK(e->info.signo));
	IGNORE(enqueue(p, q, &e->info, NULL));
	WRITE_ONCE(q->set, q->set | MASK(e->info.signo));
}

/* In an interrupt: the signal needs no memory, and stops or continues nothing. The alarm may be off by now, or set to another
 * time: setitimer does not cancel its timer. */
static void alarm_rings(struct timer *timer)
{
	struct process *p = container_of(timer, struct process, signals.alarm);
	struct signal_info info = { .signo = SIG_ALRM, .code = SIC_KERNEL };

	spin_lock(&p->signals.lock);
	if (p->signals.alarm_at && p->signals.alarm_at <= clock_now_ns()) {
		p->signals.alarm_at = 0;
		p->signals.alarm_rang = true;
		IGNORE(post_locked(p, NULL, &info, NULL));
	}
	spin_unlock(&p->signals.lock);
}

void signal_alarm(struct process *p, const struct signal_alarm *now, struct signal_alarm *old)
{
	struct signal_state *s = &p->signals;
	irqflags_t f = spin_lock_irqsave(&s->lock);
	uint64_t t = clock_now_ns();

	old->interval = s->alarm_interval;
	old->left = 0;
	if (s->alarm_at)
		old->left = s->alarm_at > t ? s->alarm_at - t : NS_PER_US;
	if (now) {
		s->alarm_rang = false;
		s->alarm_interval = now->interval;
		s->alarm_at = 0;
		if (now->left)
			alarm_arm(s, t + now->left);
	}
	spin_unlock_irqrestore(&s->lock, f);
}

static uint64_t ticks(uint64_t ns)
{
	return ns / (NS_PER_S / 100);
}

void signal_tell_parent(struct process *p, int sig, int status)
{
	struct process *parent = p->parent;
	struct signal_info info = { .signo = sig,
				    .pid = p->pid,
				    .uid = p->cred.uid,
				    .utime = ticks(p->dead.user_ns),
				    .stime = ticks(p->dead.cpu_ns - p->dead.user_ns) };

	if (!parent)
		return;
	info.code = (int)wait_status_code(status, &info.status);
	if (sig > 0 && sig <= NSIG &&
	    (info.code < (int)CHILD_STOPPED ||
	     !(READ_ONCE(parent->signals.action[SIG_CHLD - 1].flags) & SA_NOCLDSTOP)))
		IGNORE(post(parent, NULL, &info));
	wake_all(&parent->child_wait);
}

/* The parent learns that p goes on: from who sent SIGCONT, or, if that was an interrupt, from the first that woke. */
static void publish_continue(struct process *p) __requires(pidtab_lock)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	bool due = p->signals.cont_due;

	p->signals.cont_due = false;
	spin_unlock_irqrestore(&p->signals.lock, f);
	if (!due)
		return;
	p->stopped = false;
	p->continued = true;
	signal_tell_parent(p, SIG_CHLD, STATUS_CONTINUED);
}

int signal_post(struct process *p, struct thread *only, const struct signal_info *info)
	__requires(pidtab_lock)
{
	int err = post(p, only, info);

	if (info->signo == SIG_CONT)
		publish_continue(p);
	return err;
}

static struct signal_info from_kernel(int sig)
{
	return (struct signal_info){ .signo = sig, .code = SIC_KERNEL };
}

void signal_send(struct process *p, int sig)
{
	struct signal_info info = from_kernel(sig);

	spin_lock(&pidtab_lock);
	IGNORE(signal_post(p, NULL, &info));
	spin_unlock(&pidtab_lock);
}

void signal_send_thread(struct thread *t, int sig)
{
	struct signal_info info = from_kernel(sig);

	spin_lock(&pidtab_lock);
	if (t->process)
		IGNORE(signal_post(t->process, t, &info));
	spin_unlock(&pidtab_lock);
}

/* self: who asks (NULL: the kernel, for the user of this number). Returns how many were signalled, out of *seen. */
static unsigned post_group(struct process *self, uint32_t uid, struct pgroup *g,
			   const struct signal_info *info, unsigned *seen) __requires(pidtab_lock)
{
	struct process *p;
	unsigned sent = 0;

	list_for_each (p, &g->members, group_link) {
		/* one being born keeps it for its thread */
		if (p->state == PROC_ZOMBIE)
			continue;
		++*seen;
		if (self ? !process_may_signal(self, p, info->signo)
			 : uid != 0 && p->cred.uid != uid && p->cred.suid != uid)
			continue;
		sent++;
		if (info->signo && signal_post(p, NULL, info) < 0)
			sent--;
	}
	return sent;
}

void signal_send_group(struct pgroup *g, int sig)
{
	struct signal_info info = from_kernel(sig);
	unsigned seen = 0;

	spin_lock(&pidtab_lock);
	post_group(NULL, 0, g, &info, &seen);
	spin_unlock(&pidtab_lock);
}

struct signal_info signal_info_of(const struct process *self, int sig, int code)
{
	return (struct signal_info){
		.signo = sig, .code = code, .pid = self->pid, .uid = READ_ONCE(self->cred.uid)
	};
}

int signal_kill_group(struct process *self, struct pgroup *g, int sig)
{
	struct signal_info info = signal_info_of(self, sig, SIC_USER);
	unsigned seen = 0, sent;

	spin_lock(&pidtab_lock);
	sent = post_group(self, 0, g, &info, &seen);
	spin_unlock(&pidtab_lock);
	return sent ? 0 : seen ? -EPERM : -ESRCH;
}

unsigned signal_send_session(struct session *s, int sig, uint32_t uid)
{
	struct signal_info info = from_kernel(sig);
	struct pgroup *g;
	unsigned seen = 0, sent = 0;

	spin_lock(&pidtab_lock);
	list_for_each (g, &s->groups, session_link)
		sent += post_group(NULL, uid, g, &info, &seen);
	spin_unlock(&pidtab_lock);
	return sent;
}

static void signal_reset(struct signal_action *a)
{
	WRITE_ONCE(a->handler, HANDLER_DFL);
	WRITE_ONCE(a->flags, 0);
	a->restorer = 0;
	a->mask = 0;
}

bool signal_force(int sig, int code, uint64_t addr)
{
	struct signal_info info = { .signo = sig, .code = code, .addr = addr };
	struct thread *t = current_thread();
	struct process *p = t->process;
	struct signal_action *a = &p->signals.action[sig - 1];
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	bool dies;

	/* one that has been told to die, by exec for one, no longer decides about the process */
	if (p->signals.exiting || thread_killed(t)) {
		spin_unlock_irqrestore(&p->signals.lock, f);
		return false;
	}
	if (a->handler == HANDLER_IGN || (t->sig_blocked & MASK(sig)))
		signal_reset(a);
	dies = a->handler == HANDLER_DFL;
	if (dies) {
		group_exit_locked(p, status_of(sig));
	} else {
		IGNORE(enqueue(p, &t->sig.pending, &info, NULL));
		recalc(p, t);
	}
	spin_unlock_irqrestore(&p->signals.lock, f);
	return dies;
}

/* --- stopping ------------------------------------------------------------------------------------------------------------ */

/* The parent learns that p has stopped, once the last thread has: by that thread, or by one that left. I-SIG-3 */
static void publish_stop(struct process *p) __requires(pidtab_lock)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	int sig = p->signals.stop_sig;

	if (p->signals.stop_told || p->signals.exiting || p->signals.nr_stopped < p->nr_threads)
		sig = 0;
	if (sig)
		p->signals.stop_told = true;
	spin_unlock_irqrestore(&p->signals.lock, f);
	if (!sig)
		return;
	p->stopped = true;
	p->stop_sig = sig;
	p->stop_reported = false;
	p->continued = false;
	signal_tell_parent(p, SIG_CHLD, STATUS_STOPPED(sig));
}

/* Sleep until SIGCONT or the end. */
static void stop_here(struct process *p, struct thread *t)
{
	irqflags_t f;

	spin_lock(&pidtab_lock);
	f = spin_lock_irqsave(&p->signals.lock);
	if (p->signals.stop_sig && !p->signals.exiting && !thread_killed(t)) {
		WRITE_ONCE(t->sig.stopped, true);
		p->signals.nr_stopped++;
	}
	spin_unlock_irqrestore(&p->signals.lock, f);
	publish_stop(p);
	spin_unlock(&pidtab_lock);
	IGNORE(wait_event_killable(&p->signals.stop_wait, !READ_ONCE(t->sig.stopped)));
	spin_lock(&pidtab_lock);
	publish_continue(p);
	spin_unlock(&pidtab_lock);
}

/* Begin a stop by sig, unless a SIGCONT came since it was taken (stop_begun). A terminal's stops would never end in a
 * group that no shell looks after. */
static void begin_stop(struct process *p, int sig)
{
	struct thread *t;
	irqflags_t f;
	bool orphaned;

	spin_lock(&pidtab_lock);
	orphaned = sig != SIG_STOP && pgroup_is_orphaned(p->group, NULL);
	f = spin_lock_irqsave(&p->signals.lock);
	if (p->signals.stop_begun && !orphaned && !p->signals.stop_sig) {
		p->signals.stop_sig = sig;
		list_for_each (t, &p->threads, process_link)
			thread_notify(t, NOTIFY_SIGNAL);
	}
	spin_unlock_irqrestore(&p->signals.lock, f);
	spin_unlock(&pidtab_lock);
}

/* --- taking ------------------------------------------------------------------------------------------------------------- */

enum taken { TAKEN_NONE, TAKEN_HANDLER, TAKEN_STOP, TAKEN_STOPPED };

/* The mask during the handler, and the one after it. */
static void enter_handler(struct process *p, struct thread *t, struct signal_delivery *d)
	__requires(p->signals.lock)
{
	struct signal_action *a = &p->signals.action[d->info.signo - 1];
	sigset_t64 more = a->mask | ((a->flags & SA_NODEFER) ? 0 : MASK(d->info.signo));

	d->action = *a;
	if (a->flags & SA_RESETHAND)
		WRITE_ONCE(a->handler, HANDLER_DFL);
	d->mask = d->blocked = t->sig_blocked;
	if (READ_ONCE(t->notify) & NOTIFY_MASK) {
		d->mask = t->sig.saved;
		atomic_fetch_and(&t->notify, ~(uint32_t)NOTIFY_MASK);
	}
	set_mask_locked(p, t, t->sig_blocked | more);
}

static enum taken take_locked(struct process *p, struct thread *t, struct signal_delivery *d)
	__requires(p->signals.lock)
{
	uint64_t handler;
	int sig;

	for (;;) {
		/* another thread's exec ends this one, stopped or not */
		if (p->signals.exiting || thread_killed(t))
			return TAKEN_NONE;
		if (p->signals.stop_sig)
			return TAKEN_STOPPED;
		sig = dequeue(p, t, ~t->sig_blocked, &d->info);
		if (!sig) {
			recalc(p, t);
			return TAKEN_NONE;
		}
		handler = p->signals.action[sig - 1].handler;
		if (handler > HANDLER_IGN) {
			enter_handler(p, t, d);
			return TAKEN_HANDLER;
		}
		if (is_ignored(p, sig) || READ_ONCE(p->signals.unkillable))
			continue;
		if (DEFAULT_STOP & MASK(sig)) {
			p->signals.stop_begun = true;
			return TAKEN_STOP;
		}
		group_exit_locked(p, status_of(sig));
	}
}

bool signal_take(struct signal_delivery *d)
{
	struct thread *t = current_thread();
	struct process *p = t->process;

	for (;;) {
		irqflags_t f = spin_lock_irqsave(&p->signals.lock);
		enum taken taken = take_locked(p, t, d);

		spin_unlock_irqrestore(&p->signals.lock, f);
		if (taken == TAKEN_STOP)
			begin_stop(p, d->info.signo);
		else if (taken == TAKEN_STOPPED)
			stop_here(p, t);
		else
			return taken == TAKEN_HANDLER;
	}
}

void signal_untake(const struct signal_delivery *d)
{
	signal_set_mask(d->mask);
	if (d->blocked != d->mask)
		IGNORE(signal_set_temp_mask(d->blocked));
}

int signal_wait(sigset_t64 set, uint64_t deadline_ns, struct signal_info *info)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	int sig, err = 0;
	irqflags_t f;

	set &= ~UNBLOCKABLE;
	f = spin_lock_irqsave(&p->signals.lock);
	sig = dequeue(p, t, set, info);
	if (!sig && deadline_ns) {
		t->sig.waited = set;
		recalc(p, t);
		spin_unlock_irqrestore(&p->signals.lock, f);
		err = sleep_until(deadline_ns, WAIT_INTERRUPTIBLE);
		f = spin_lock_irqsave(&p->signals.lock);
		t->sig.waited = 0;
		sig = dequeue(p, t, set, info);
	}
	recalc(p, t);
	retarget(p, t, set);
	spin_unlock_irqrestore(&p->signals.lock, f);
	return sig ? sig : err < 0 ? -EINTR : -EAGAIN;
}

/* --- processes and threads ------------------------------------------------------------------------------------------------ */

void signal_action(struct process *p, int sig, const struct signal_action *act,
		   struct signal_action *old)
{
	struct signal_action *a = &p->signals.action[sig - 1];
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);

	*old = *a;
	if (act) {
		/* signal_held_off() and signal_tell_parent() look without the lock */
		WRITE_ONCE(a->handler, act->handler);
		WRITE_ONCE(a->flags, act->flags & KNOWN_FLAGS);
		a->restorer = act->restorer;
		a->mask = act->mask & ~UNBLOCKABLE;
		if (is_ignored(p, sig))
			flush_all(p, MASK(sig));
	}
	spin_unlock_irqrestore(&p->signals.lock, f);
}

void signal_exec(struct process *p)
{
	irqflags_t f;

	ptimers_end(p);
	f = spin_lock_irqsave(&p->signals.lock);

	for (int i = 0; i < NSIG; i++) {
		bool ignored = p->signals.action[i].handler == HANDLER_IGN;

		signal_reset(&p->signals.action[i]);
		if (ignored)
			WRITE_ONCE(p->signals.action[i].handler, HANDLER_IGN);
	}
	spin_unlock_irqrestore(&p->signals.lock, f);
	current_thread()->sig.alt.size = 0;
}

static void pending_init(struct signal_pending *q)
{
	q->set = 0;
	list_init(&q->queue);
}

void signal_init(struct signal_state *s)
{
	spin_init(&s->lock, LOCK_SIGHAND);
	pending_init(&s->pending);
	waitq_init(&s->stop_wait);
	timer_init(&s->alarm, alarm_rings);
	list_init(&s->ptimers);
}

void signal_thread_join(struct process *p, struct thread *t)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);

	pending_init(&t->sig.pending);
	list_push_back(&t->process_link, &p->threads);
	WRITE_ONCE(p->nr_threads, p->nr_threads + 1);
	/* what its process has been told it has been told */
	if (p->signals.exiting)
		thread_notify(t, NOTIFY_KILL);
	if (p->signals.stop_sig || (p->signals.pending.set & ~closed_to(t)))
		thread_notify(t, NOTIFY_SIGNAL);
	cputime_thread_joined(p, t);
	spin_unlock_irqrestore(&p->signals.lock, f);
}

void signal_thread_leave(struct process *p, struct thread *t)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);

	list_del(&t->process_link);
	/* pairs with the acquire of who looks whether it is alone now */
	atomic_publish(&p->nr_threads, p->nr_threads - 1);
	if (t->sig.stopped)
		p->signals.nr_stopped--;
	flush(p, &t->sig.pending, ~0UL);
	retarget(p, t, ~0UL);
	spin_unlock_irqrestore(&p->signals.lock, f);
	if (READ_ONCE(p->nr_threads))
		publish_stop(p);
}

void signal_flush(struct process *p)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);

	flush(p, &p->signals.pending, ~0UL);
	if (p->signals.spare)
		slab_free(entry_cache, p->signals.spare);
	p->signals.spare = NULL;
	spin_unlock_irqrestore(&p->signals.lock, f);
}
