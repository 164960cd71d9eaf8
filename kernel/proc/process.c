/* SPDX-License-Identifier: MIT */
/* The pid table and the process tree. Everything here is under PIDTAB; nothing sleeps with it held. Lookups return
 * counted references; what is published is complete (I-PROC-1). A group lives while it has members, a session while it
 * has groups; the numbers of both stay taken until then, so no id is given twice (RC-018). */
#include <linux/resource.h>
#include "kernel/proc/lifecycle.h"
#include "kernel/proc/pidtab_priv.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"

#define BUCKETS	    1024
#define STACK_LIMIT (8UL << 20)
#define NOFILE_SOFT 1024
#define NOFILE_HARD 65536
/* Threads of one user, and signals queued for one process: as many as this part of the pages, as Linux has it for the
 * threads. */
#define MANY_OF_PAGES 64
#define MANY_LEAST    1024UL

spinlock_t pidtab_lock = SPINLOCK_INIT(PIDTAB);
static struct list_head by_pid[BUCKETS];     /* [PIDTAB] process->hash */
static struct list_head by_tid[BUCKETS];     /* [PIDTAB] thread->tid_link */
static struct list_head by_group[BUCKETS];   /* [PIDTAB] pgroup->table */
static struct list_head by_session[BUCKETS]; /* [PIDTAB] session->table */
static struct list_head all_processes;	     /* [PIDTAB] in order of creation */
static int next_pid = 1;		     /* [PIDTAB] */
static unsigned nr_processes;		     /* [PIDTAB] published and not yet reaped */
static uint64_t next_generation = 1;	     /* [PIDTAB] */
static struct slab_cache *process_cache;     /* [init] */
static uint64_t many;			     /* [init] the limit where nobody has set one */

void process_init(void)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		list_init(&by_pid[i]);
		list_init(&by_tid[i]);
		list_init(&by_group[i]);
		list_init(&by_session[i]);
	}
	list_init(&all_processes);
	many = MAX(pages_usable() / MANY_OF_PAGES, MANY_LEAST);
	process_cache = slab_create("process", sizeof(struct process), 16);
	ASSERT(process_cache != NULL);
	signal_cache_init();
}

/* --- lookups --------------------------------------------------------------------------------------------- */

static struct list_head *bucket(struct list_head *table, int id)
{
	return &table[(unsigned)id % BUCKETS];
}

static struct process *find_locked(int pid) __requires(pidtab_lock)
{
	struct process *p;

	list_for_each (p, bucket(by_pid, pid), hash)
		if (p->pid == pid)
			return p;
	return NULL;
}

static struct thread *find_thread_locked(int tid) __requires(pidtab_lock)
{
	struct thread *t;

	list_for_each (t, bucket(by_tid, tid), tid_link)
		if (t->tid == tid)
			return t;
	return NULL;
}

/* The process of that number, or with a thread of that number. */
static struct process *find_any_locked(int id) __requires(pidtab_lock)
{
	struct process *p = find_locked(id);
	struct thread *t = p ? NULL : find_thread_locked(id);

	return t ? t->process : p;
}

struct process *process_child(struct process *parent, int pid)
{
	struct process *c = find_locked(pid);

	return c && c->parent == parent ? c : NULL;
}

static struct pgroup *find_group_locked(int id) __requires(pidtab_lock)
{
	struct pgroup *g;

	list_for_each (g, bucket(by_group, id), table)
		if (g->id == id)
			return g;
	return NULL;
}

static bool session_exists(int id) __requires(pidtab_lock)
{
	struct session *s;

	list_for_each (s, bucket(by_session, id), table)
		if (s->id == id)
			return true;
	return false;
}

static bool id_in_use(int id) __requires(pidtab_lock)
{
	return find_locked(id) || find_thread_locked(id) || find_group_locked(id) ||
	       session_exists(id);
}

bool caller_is_root(void)
{
	const struct process *p = current_process();

	return !p || READ_ONCE(p->cred.euid) == 0;
}

bool caller_is_ending(void)
{
	const struct process *p = current_process();

	/* its last thread has left it by then */
	return p ? READ_ONCE(p->signals.exiting) : thread_killed(current_thread());
}

struct process *process_get(struct process *p)
{
	ASSERT(refcount_get(&p->ref));
	return p;
}

struct process *process_find(int pid)
{
	struct process *p;

	spin_lock(&pidtab_lock);
	p = find_locked(pid);
	if (p && p->state == PROC_NEW)
		p = NULL;
	if (p)
		process_get(p);
	spin_unlock(&pidtab_lock);
	return p;
}

struct thread *thread_find(int tid)
{
	struct thread *t;

	spin_lock(&pidtab_lock);
	t = find_thread_locked(tid);
	if (t && t->process->state == PROC_NEW)
		t = NULL;
	if (t)
		thread_get(t);
	spin_unlock(&pidtab_lock);
	return t;
}

struct process *process_of(struct thread *t)
{
	struct process *p;

	spin_lock(&pidtab_lock);
	p = t->process ? process_get(t->process) : NULL;
	spin_unlock(&pidtab_lock);
	return p;
}

void process_inspect(struct process *p, void (*fn)(struct process *p, void *arg), void *arg)
{
	spin_lock(&pidtab_lock);
	fn(p, arg);
	spin_unlock(&pidtab_lock);
}

void process_for_each_thread(struct process *p, void (*fn)(struct thread *t, void *arg), void *arg)
{
	struct thread *t;

	spin_lock(&pidtab_lock);
	list_for_each (t, &p->threads, process_link)
		fn(t, arg);
	spin_unlock(&pidtab_lock);
}

struct pgroup *pgroup_find(int id)
{
	struct pgroup *g;

	spin_lock(&pidtab_lock);
	g = find_group_locked(id);
	if (g)
		ASSERT(refcount_get(&g->ref));
	spin_unlock(&pidtab_lock);
	return g;
}

/* --- groups and sessions ------------------------------------------------------------------------------------ */

void session_put(struct session *s)
{
	if (!refcount_put(&s->ref))
		return;
	spin_lock(&pidtab_lock);
	list_del(&s->table);
	spin_unlock(&pidtab_lock);
	ASSERT(!s->tty);
	kfree(s);
}

void pgroup_put(struct pgroup *g)
{
	struct session *s = g->session;

	if (!refcount_put(&g->ref))
		return;
	ASSERT(list_empty(&g->members));
	session_put(s);
	kfree(g);
}

static struct session *session_create(int id)
{
	struct session *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->id = id;
	refcount_init(&s->ref, 1);
	list_init(&s->table);
	list_init(&s->groups);
	return s;
}

/* A group of s, which gains a reference from it. Not yet in the table. */
static struct pgroup *pgroup_create(int id, struct session *s)
{
	struct pgroup *g = kzalloc(sizeof(*g));

	if (!g)
		return NULL;
	g->id = id;
	refcount_init(&g->ref, 1);
	list_init(&g->members);
	list_init(&g->table);
	list_init(&g->session_link);
	ASSERT(refcount_get(&s->ref));
	g->session = s;
	return g;
}

/* Leave the present group. Returns the reference the membership held: the caller puts it with PIDTAB dropped. */
static struct pgroup *leave_group(struct process *p) __requires(pidtab_lock)
{
	struct pgroup *g = p->group;

	if (!g)
		return NULL;
	list_del(&p->group_link);
	p->group = NULL;
	if (list_empty(&g->members)) {
		list_del(&g->table);
		list_del(&g->session_link);
	}
	return g;
}

/* Join g; a reference is taken. A group is in the table while it has members. */
static void join_group(struct process *p, struct pgroup *g) __requires(pidtab_lock)
{
	if (list_empty(&g->members)) {
		list_push_back(&g->table, bucket(by_group, g->id));
		list_push_back(&g->session_link, &g->session->groups);
	}
	list_push_back(&p->group_link, &g->members);
	ASSERT(refcount_get(&g->ref));
	p->group = g;
}

/* Make p the leader of a new session and group; once: -EPERM if there is one of its number. The objects are made first: no
 * allocation under the lock. */
static int new_session(struct process *p, bool once)
{
	struct session *s = session_create(p->pid);
	struct pgroup *g, *old = NULL;
	int err = 0;

	if (!s)
		return -ENOMEM;
	g = pgroup_create(p->pid, s);
	if (!g) {
		kfree(s);
		return -ENOMEM;
	}
	spin_lock(&pidtab_lock);
	if (once && (find_group_locked(p->pid) || session_exists(p->pid))) {
		err = -EPERM;
	} else {
		list_push_back(&s->table, bucket(by_session, s->id));
		old = leave_group(p);
		join_group(p, g);
		WRITE_ONCE(p->left_tty, false);
	}
	spin_unlock(&pidtab_lock);
	if (old)
		pgroup_put(old);
	pgroup_put(g);
	session_put(s);
	return err;
}

int process_new_session(struct process *p)
{
	return new_session(p, false);
}

void process_join_group_of(struct process *p, struct process *of)
{
	spin_lock(&pidtab_lock);
	join_group(p, of->group);
	spin_unlock(&pidtab_lock);
}

int process_set_session(struct process *self)
{
	int err = new_session(self, true);

	return err < 0 ? err : self->pid;
}

/* May `self` move `p` into group `pgid`? The rules of setpgid(2). */
static int check_set_group(struct process *self, struct process *p, int pgid)
	__requires(pidtab_lock)
{
	struct pgroup *g;

	if (!p || p->state != PROC_ALIVE || (p != self && p->parent != self))
		return -ESRCH;
	if (p != self && p->group->session != self->group->session)
		return -EPERM;
	if (p != self && p->exec_done)
		return -EACCES;
	if (p->group->session->id == p->pid)
		return -EPERM;
	g = find_group_locked(pgid);
	if (pgid != p->pid && (!g || g->session != self->group->session))
		return -EPERM;
	return g && g->session != p->group->session ? -EPERM : 0;
}

int process_set_group(struct process *self, int pid, int pgid)
{
	struct pgroup *fresh, *g, *old = NULL;
	struct session *s;
	struct process *p;
	int err = -EPERM;

	pid = pid ? pid : self->pid;
	pgid = pgid ? pgid : pid;
	if (pgid < 0)
		return -EINVAL;
	s = session_of(self);
	fresh = pgroup_create(pgid, s);
	session_put(s);
	if (!fresh)
		return -ENOMEM;
	spin_lock(&pidtab_lock);
	p = find_any_locked(pid);
	/* another thread may have called setsid meanwhile */
	if (p && p->pid != pid)
		err = -EINVAL;
	else if (self->group->session == fresh->session)
		err = check_set_group(self, p, pgid);
	if (err == 0 && p->group->id != pgid) {
		g = find_group_locked(pgid);
		old = leave_group(p);
		join_group(p, g ? g : fresh);
	}
	spin_unlock(&pidtab_lock);
	if (old)
		pgroup_put(old);
	pgroup_put(fresh);
	return err;
}

static int id_of(struct process *self, int pid, bool session)
{
	struct process *p;
	int id = -ESRCH;

	spin_lock(&pidtab_lock);
	p = pid ? find_any_locked(pid) : self;
	if (p && p->state != PROC_NEW && p->group)
		id = session ? p->group->session->id : p->group->id;
	spin_unlock(&pidtab_lock);
	return id;
}

int process_get_group_id(struct process *self, int pid)
{
	return id_of(self, pid, false);
}

int process_get_session_id(struct process *self, int pid)
{
	return id_of(self, pid, true);
}

int process_session_id(struct process *p)
{
	return process_get_session_id(p, 0);
}

/* --- terminals of sessions ------------------------------------------------------------------------------------- */

struct session *session_of(struct process *p)
{
	struct session *s = NULL;

	spin_lock(&pidtab_lock);
	if (p->group) {
		s = p->group->session;
		ASSERT(refcount_get(&s->ref));
	}
	spin_unlock(&pidtab_lock);
	return s;
}

bool session_is_leader(struct process *p)
{
	return process_session_id(p) == p->pid;
}

struct pgroup *session_foreground(struct session *s)
{
	struct pgroup *g;

	spin_lock(&pidtab_lock);
	g = find_group_locked(s->foreground);
	if (g && g->session != s)
		g = NULL;
	if (g)
		ASSERT(refcount_get(&g->ref));
	spin_unlock(&pidtab_lock);
	return g;
}

int session_take_tty(struct session *s, struct tty *tty)
{
	struct pgroup *g;
	int err = -EPERM;

	spin_lock(&pidtab_lock);
	g = find_group_locked(s->id);
	if (!s->tty && g && g->session == s) {
		s->tty = tty;
		WRITE_ONCE(s->foreground, g->id);
		err = 0;
	}
	spin_unlock(&pidtab_lock);
	return err;
}

struct tty *session_get_tty(struct session *s, void (*get)(struct tty *))
{
	struct tty *tty;

	spin_lock(&pidtab_lock);
	tty = s->tty;
	if (tty)
		get(tty);
	spin_unlock(&pidtab_lock);
	return tty;
}

struct tty *session_drop_tty(struct session *s, const struct tty *only)
{
	struct tty *tty = NULL;

	spin_lock(&pidtab_lock);
	if (!only || s->tty == only) {
		tty = s->tty;
		s->tty = NULL;
	}
	if (!only)
		WRITE_ONCE(s->foreground, 0);
	spin_unlock(&pidtab_lock);
	return tty;
}

int session_set_foreground(struct session *s, int pgid)
{
	struct pgroup *g;
	int err = 0;

	spin_lock(&pidtab_lock);
	g = find_group_locked(pgid);
	if (!g)
		err = -ESRCH;
	else if (g->session != s || !s->tty)
		err = -EPERM;
	else
		WRITE_ONCE(s->foreground, pgid);
	spin_unlock(&pidtab_lock);
	return err;
}

/* --- birth ----------------------------------------------------------------------------------------------------- */

static void default_limits(struct process *p)
{
	for (unsigned i = 0; i < RLIM_KINDS; i++)
		p->rlimits[i] = (struct rlimit_pair){ UINT64_MAX, UINT64_MAX };
	p->rlimits[RLIMIT_STACK].cur = STACK_LIMIT;
	p->rlimits[RLIMIT_CORE].cur = 0;
	p->rlimits[RLIMIT_NPROC] = p->rlimits[RLIMIT_SIGPENDING] =
		(struct rlimit_pair){ many, many };
	p->rlimits[RLIMIT_NICE] = (struct rlimit_pair){ 0, 0 };
	p->rlimits[RLIMIT_RTPRIO] = (struct rlimit_pair){ 0, 0 };
	p->rlimits[RLIMIT_NOFILE] = (struct rlimit_pair){ NOFILE_SOFT, NOFILE_HARD };
}

static void inherit(struct process *p, const struct process *from)
{
	irqflags_t f;

	spin_lock(&pidtab_lock);
	p->cred = from->cred;
	p->no_new_privs = READ_ONCE(from->no_new_privs);
	p->left_tty = READ_ONCE(from->left_tty);
	p->undumpable = READ_ONCE(from->undumpable);
	memcpy(p->rlimits, from->rlimits, sizeof(p->rlimits));
	spin_unlock(&pidtab_lock);
	f = spin_lock_irqsave((spinlock_t *)(uintptr_t)&from->signals.lock);
	memcpy(p->signals.action, from->signals.action, sizeof(p->signals.action));
	spin_unlock_irqrestore((spinlock_t *)(uintptr_t)&from->signals.lock, f);
}

/* The next number that no process, thread, group or session bears. */
static int next_id(void) __requires(pidtab_lock)
{
	int id;

	do {
		id = next_pid;
		next_pid = id == PID_MAX ? 1 : id + 1;
	} while (id_in_use(id));
	return id;
}

static void assign_pid(struct process *p) __requires(pidtab_lock)
{
	p->pid = next_id();
	p->generation = next_generation++;
	list_push_back(&p->hash, bucket(by_pid, p->pid));
}

int pidtab_set_next(int pid)
{
	int was;

	spin_lock(&pidtab_lock);
	was = next_pid;
	next_pid = pid;
	spin_unlock(&pidtab_lock);
	return was;
}

struct process *process_create(const struct process *from, const char *name)
{
	struct process *p = slab_zalloc(process_cache);

	if (!p)
		return NULL;
	refcount_init(&p->ref, 1);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->all);
	list_init(&p->group_link);
	list_init(&p->threads);
	poll_source_init(&p->exited);
	waitq_init(&p->child_wait);
	signal_init(&p->signals);
	str_copy(p->name, name, sizeof(p->name));
	p->exit_signal = SIG_CHLD;
	if (from)
		inherit(p, from);
	else
		default_limits(p);
	p->start_ns = clock_now_ns();
	spin_lock(&pidtab_lock);
	assign_pid(p);
	spin_unlock(&pidtab_lock);
	return p;
}

void process_add_thread(struct process *p, struct thread *t)
{
	process_get(p);
	spin_lock(&pidtab_lock);
	WRITE_ONCE(t->process, p);
	t->tid = p->nr_threads ? next_id() : p->pid;
	list_push_back(&t->tid_link, bucket(by_tid, t->tid));
	signal_thread_join(p, t);
	/* who told the others to die did not find this one */
	if (p->survivor)
		thread_notify(t, NOTIFY_KILL);
	spin_unlock(&pidtab_lock);
}

int process_survive(struct process *p)
{
	struct thread *self = current_thread(), *t;
	irqflags_t f;
	int err = 0;

	if (READ_ONCE(p->nr_threads) == 1 && self->tid == p->pid)
		return 0;
	spin_lock(&pidtab_lock);
	/* all of them at once: none sees another's end and faults before it is told itself */
	f = spin_lock_irqsave(&p->signals.lock);
	if (p->signals.exiting || p->survivor)
		err = -EAGAIN;
	else
		p->survivor = self;
	list_for_each (t, &p->threads, process_link)
		if (err == 0 && t != self)
			thread_notify(t, NOTIFY_KILL);
	spin_unlock_irqrestore(&p->signals.lock, f);
	spin_unlock(&pidtab_lock);
	if (err == 0)
		err = wait_event_killable(&p->child_wait, READ_ONCE(p->nr_threads) == 1);
	if (err < 0)
		return err;
	spin_lock(&pidtab_lock);
	p->survivor = NULL;
	list_del(&self->tid_link);
	self->tid = p->pid;
	list_push_back(&self->tid_link, bucket(by_tid, self->tid));
	spin_unlock(&pidtab_lock);
	return 0;
}

bool process_may_multiply(const struct process *p)
{
	uint64_t limit = rlimit_cur(p, RLIMIT_NPROC), n = 0;
	const struct process *q;

	if (READ_ONCE(p->cred.uid) == 0 || limit == UINT64_MAX)
		return true;
	spin_lock(&pidtab_lock);
	list_for_each (q, &all_processes, all)
		if (q->cred.uid == p->cred.uid)
			n += q->nr_threads;
	spin_unlock(&pidtab_lock);
	return n < limit;
}

void process_publish(struct process *p, struct process *from, bool sibling)
{
	struct process *parent;

	process_get(p);
	spin_lock(&pidtab_lock);
	ASSERT(p->state == PROC_NEW && p->group);
	parent = sibling ? from->parent : from;
	/* what ours is told, in the same hold: it may get another parent, and SIGCHLD, at any time */
	if (sibling)
		p->exit_signal = from->exit_signal;
	process_set_parent(p, parent);
	if (parent)
		list_push_back(&p->sibling, &parent->children);
	list_push_back(&p->all, &all_processes);
	p->state = PROC_ALIVE;
	nr_processes++;
	spin_unlock(&pidtab_lock);
}

struct file *process_set_image(struct process *p, const char *name, struct file *exe,
			       struct vm_space *space)
{
	struct file *old;

	spin_lock(&pidtab_lock);
	old = p->exe;
	p->exe = exe;
	p->space = space;
	/* nobody else has it yet; and who changes a limit from now on finds it */
	space->as_limit = p->rlimits[RLIMIT_AS].cur;
	space->data_limit = p->rlimits[RLIMIT_DATA].cur;
	space->stack_limit = p->rlimits[RLIMIT_STACK].cur;
	p->exec_done = true;
	WRITE_ONCE(p->cred.suid, p->cred.euid);
	WRITE_ONCE(p->cred.fsuid, p->cred.euid);
	WRITE_ONCE(p->cred.sgid, p->cred.egid);
	WRITE_ONCE(p->cred.fsgid, p->cred.egid);
	WRITE_ONCE(p->undumpable, p->cred.euid != p->cred.uid || p->cred.egid != p->cred.gid);
	p->exit_signal = SIG_CHLD;
	str_copy(p->name, name, sizeof(p->name));
	spin_unlock(&pidtab_lock);
	return old;
}

void process_abandon(struct process *p)
{
	struct pgroup *g;

	spin_lock(&pidtab_lock);
	ASSERT(p->state == PROC_NEW);
	g = leave_group(p);
	list_del(&p->hash);
	spin_unlock(&pidtab_lock);
	if (g)
		pgroup_put(g);
	process_put(p);
}

void process_put(struct process *p)
{
	if (!refcount_put(&p->ref))
		return;
	/* I-PROC-2 */
	ASSERT(!p->group && !p->space && !p->files && !p->fs && list_empty(&p->threads));
	signal_flush(p);
	poll_source_check_idle(&p->exited);
	waitq_check_idle(&p->child_wait);
	waitq_check_idle(&p->signals.stop_wait);
	slab_free(process_cache, p);
}

/* --- small facts ----------------------------------------------------------------------------------------- */

void process_set_name(struct process *p, const char *name)
{
	spin_lock(&pidtab_lock);
	str_copy(p->name, name, sizeof(p->name));
	spin_unlock(&pidtab_lock);
}

void process_get_cred(const struct process *p, struct credentials *out)
{
	spin_lock(&pidtab_lock);
	*out = p->cred;
	spin_unlock(&pidtab_lock);
}

struct rlimit_pair process_get_limit(struct process *p, unsigned kind)
{
	struct rlimit_pair r;

	spin_lock(&pidtab_lock);
	r = p->rlimits[kind];
	spin_unlock(&pidtab_lock);
	return r;
}

int process_set_limit(struct process *p, unsigned kind, const struct rlimit_pair *limit,
		      bool privileged)
{
	int err = 0;

	spin_lock(&pidtab_lock);
	if (limit->max > p->rlimits[kind].max && !privileged)
		err = -EPERM;
	if (err == 0) {
		WRITE_ONCE(p->rlimits[kind].cur, limit->cur);
		WRITE_ONCE(p->rlimits[kind].max, limit->max);
		if (kind == RLIMIT_CPU)
			cputime_limit_changed(p);
	}
	spin_unlock(&pidtab_lock);
	return err;
}

unsigned process_count(void)
{
	unsigned n;

	spin_lock(&pidtab_lock);
	n = nr_processes;
	spin_unlock(&pidtab_lock);
	return n;
}

/* --- death ------------------------------------------------------------------------------------------------------ */

bool process_remove_thread(struct process *p, struct thread *t)
{
	bool last, alone;

	/* the last one to leave gives the memory back */
	DASSERT(!t->space);
	spin_lock(&pidtab_lock);
	signal_thread_leave(p, t);
	list_del(&t->tid_link);
	WRITE_ONCE(t->process, NULL);
	last = p->nr_threads == 0;
	alone = p->survivor && p->nr_threads == 1;
	if (!last)
		usage_add_thread(&p->dead, t);
	spin_unlock(&pidtab_lock);
	if (alone)
		wake_all(&p->child_wait);
	return last;
}

struct pgroup *process_unlink(struct process *p)
{
	list_del(&p->hash);
	list_del(&p->all);
	nr_processes--;
	list_del(&p->sibling);
	process_set_parent(p, NULL);
	return leave_group(p);
}

void process_drop_unlinked(struct process *p, struct pgroup *g)
{
	pgroup_put(g);
	process_put(p);
}

/* --- signals by number --------------------------------------------------------------------------------------------- */

bool process_may_signal(const struct process *self, const struct process *p, int sig)
{
	const struct credentials *a = &self->cred, *b = &p->cred;

	/* a shell's job may have become somebody else's */
	if (sig == SIG_CONT && p->group && self->group && p->group->session == self->group->session)
		return true;
	return a->euid == 0 || a->euid == b->uid || a->euid == b->suid || a->uid == b->uid ||
	       a->uid == b->suid;
}

static struct process *after(struct process *p) __requires(pidtab_lock)
{
	struct process *n;

	assert_spin_held(&pidtab_lock);
	if (p && list_linked(&p->all)) {
		n = list_first(&p->all, struct process, all);
		return &n->all == &all_processes ? NULL : n;
	}
	list_for_each (n, &all_processes, all) {
		if (!p || n->generation > p->generation)
			return n;
	}
	return NULL;
}

/* The published process after p in order of creation, with a reference; NULL as p: the first. If p died meanwhile its
 * place is found again by generation. */
static struct process *next_process(struct process *p)
{
	struct process *found;

	spin_lock(&pidtab_lock);
	found = after(p);
	if (found)
		process_get(found);
	spin_unlock(&pidtab_lock);
	return found;
}

void process_for_each(void (*fn)(struct process *p, void *arg), void *arg)
{
	struct process *p = next_process(NULL), *next;

	while (p) {
		fn(p, arg);
		next = next_process(p);
		process_put(p);
		p = next;
	}
}

struct kill_all {
	struct process *self;
	struct signal_info info;
	unsigned seen, sent;
};

static void kill_one_of_all(struct process *p, void *arg)
{
	struct kill_all *k = arg;

	if (p == k->self || p->signals.unkillable)
		return;
	k->seen++;
	if (process_kill_info(k->self, p->pid, &k->info) == 0)
		k->sent++;
}

static int kill_group(struct process *self, int pgid, int sig)
{
	struct pgroup *g = pgroup_find(pgid ? pgid : process_get_group_id(self, 0));
	int err;

	if (!g)
		return -ESRCH;
	err = signal_kill_group(self, g, sig);
	pgroup_put(g);
	return err;
}

/* To p, or to one of its threads; signo 0 only asks. */
static int kill_locked(struct process *self, struct process *p, struct thread *only,
		       const struct signal_info *info) __requires(pidtab_lock)
{
	if (!process_may_signal(self, p, info->signo))
		return -EPERM;
	return info->signo ? signal_post(p, only, info) : 0;
}

int process_kill_info(struct process *self, int pid, const struct signal_info *info)
{
	struct process *p;
	int err = -ESRCH;

	spin_lock(&pidtab_lock);
	p = find_any_locked(pid);
	if (p && p->state != PROC_NEW)
		err = kill_locked(self, p, NULL, info);
	spin_unlock(&pidtab_lock);
	return err;
}

int process_kill_thread(struct process *self, int tgid, int tid, const struct signal_info *info)
{
	struct process *p;
	struct thread *t;
	int err = -ESRCH;

	spin_lock(&pidtab_lock);
	t = find_thread_locked(tid);
	p = t ? t->process : NULL;
	if (p && p->state != PROC_NEW && (!tgid || p->pid == tgid))
		err = info->signo < 0 || info->signo > NSIG ? -EINVAL
							    : kill_locked(self, p, t, info);
	spin_unlock(&pidtab_lock);
	return err;
}

int process_kill(struct process *self, int pid, int sig)
{
	struct kill_all k = { .self = self };

	if (sig < 0 || sig > NSIG)
		return -EINVAL;
	/* the one number without a negative */
	if (pid == INT32_MIN)
		return -ESRCH;
	k.info = signal_info_of(self, sig, SIC_USER);
	if (pid > 0)
		return process_kill_info(self, pid, &k.info);
	if (pid != -1)
		return kill_group(self, -pid, sig);
	process_for_each(kill_one_of_all, &k);
	return k.sent ? 0 : k.seen ? -EPERM : -ESRCH;
}
