/* SPDX-License-Identifier: MIT */
/* Processes from the kernel's side: numbers (RC-018), what others may see of one being born (RC-015), and starting one
 * while memory runs out at every step. */
#include "tests/kernel/ktest.h"
#include <linux/resource.h>
#include <linux/wait.h>
#include "fs/fdtable.h"
#include "kernel/context.h"
#include "kernel/core/panic.h"
#include "kernel/exit.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/proc/pidtab_priv.h"
#include "kernel/spawn.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"
#include "tests/kernel/crew.h"

#define ALL_CPUS (~(cpumask_t)0)

/* --- RC-018 ------------------------------------------------------------------------------------------------ */

/* Numbers go round at PID_MAX: those in use are passed over, 0 is never given. */
KTEST(pid_wrap)
{
	struct process *low[4], *p[10];
	int was = pidtab_set_next(PID_MAX - 100);

	/* Processes that have low numbers and keep them. */
	pidtab_set_next(2);
	for (unsigned i = 0; i < ARRAY_SIZE(low); i++) {
		low[i] = process_create(NULL, "low");
		KT_CHECK(low[i] != NULL && low[i]->pid > 1);
	}
	pidtab_set_next(PID_MAX - 2);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = process_create(NULL, "wrap");
		KT_CHECK(p[i] != NULL && p[i]->pid > 0 && p[i]->pid <= PID_MAX);
		for (unsigned j = 0; j < i; j++)
			KT_CHECK(p[j]->pid != p[i]->pid && p[j]->generation != p[i]->generation);
		for (unsigned j = 0; j < ARRAY_SIZE(low); j++)
			KT_CHECK(p[i]->pid != low[j]->pid);
	}
	KT_CHECK(p[ARRAY_SIZE(p) - 1]->pid < 100);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		process_abandon(p[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(low); i++)
		process_abandon(low[i]);
	pidtab_set_next(was);
}

/* --- spawning ------------------------------------------------------------------------------------------------- */

static int spawn(const char *path, struct process **out)
{
	const char *argv[] = { path, NULL };
	const struct spawn_args args = { .path = path, .argv = argv };

	return process_spawn(&args, out);
}

static void end_of(struct process *p, int want)
{
	int status = -1;

	wait_event(&p->exited.wq, process_exited(p, &status));
	KT_CHECK(status == want);
	process_put(p);
}

KTEST(spawn_errors)
{
	struct process *p;

	KT_CHECK(spawn("/no/such/file", &p) == -ENOENT);
	KT_CHECK(spawn("/bin", &p) == -EACCES);
	KT_CHECK(spawn("/bin/true/x", &p) == -ENOTDIR);
	KT_CHECK(spawn("/bin/true", &p) == 0);
	end_of(p, 0);
	KT_CHECK(spawn("/bin/false", &p) == 0);
	end_of(p, 1 << 8);
}

/* --- RC-015: who looks sees only whole processes ---------------------------------------------------------------- */

struct census {
	uint32_t stop;	 /* [atomic] */
	unsigned wrong;	 /* [atomic] */
	unsigned rounds; /* [self] */
};

static void count_one(struct process *p, void *arg)
{
	struct census *c = arg;
	int status;

	if (p->pid <= 0 || p->pid > PID_MAX || !p->name[0] || READ_ONCE(p->state) == PROC_NEW)
		atomic_fetch_add(&c->wrong, 1);
	if (process_session_id(p) == 0)
		atomic_fetch_add(&c->wrong, 1);
	(void)process_exited(p, &status);
}

static void census_fn(void *arg)
{
	struct census *c = arg;

	while (!READ_ONCE(c->stop)) {
		struct process *p;

		process_for_each(count_one, c);
		p = process_find(1 + (int)(c->rounds++ % 64));
		if (p) {
			if (READ_ONCE(p->state) == PROC_NEW)
				atomic_fetch_add(&c->wrong, 1);
			signal_send(p, SIG_CONT);
			process_put(p);
		}
		sched_yield();
	}
}

static void spawner_fn(void *arg)
{
	struct process *p;

	(void)arg;
	for (uint64_t i = 0; i < 10 * kt_scale(); i++) {
		int err = spawn("/bin/true", &p);

		KT_CHECK(err == 0);
		if (err == 0)
			end_of(p, 0);
	}
}

KTEST(pid_visibility)
{
	static struct census census;
	static struct crew spawners, lookers;

	census = (struct census){ 0 };
	crew_add(&lookers, census_fn, &census, ALL_CPUS);
	for (unsigned i = 0; i < 4; i++)
		crew_add(&spawners, spawner_fn, NULL, ALL_CPUS);
	crew_join(&spawners);
	WRITE_ONCE(census.stop, 1);
	crew_join(&lookers);
	KT_CHECK(census.wrong == 0);
}

/* --- kills from the kernel, at any moment of a life ---------------------------------------------------------------- */

KTEST(spawn_and_kill)
{
	uint64_t state = kt_seed() | 1;

	for (uint64_t i = 0; i < 20 * kt_scale(); i++) {
		struct process *p;
		int err = spawn("/bin/burn", &p);

		KT_CHECK(err == 0);
		if (err)
			return;
		if (i % 2)
			KT_CHECK(sleep_until(clock_now_ns() + crew_random(&state) % NS_PER_MS,
					     WAIT_UNINTERRUPTIBLE) == 0);
		signal_send(p, i % 4 < 2 ? SIG_KILL : SIG_TERM);
		end_of(p, i % 4 < 2 ? SIG_KILL : SIG_TERM);
	}
}

/* --- sessions and groups ------------------------------------------------------------------------------------------------ */

/* A process without threads: what it is sent stays pending. It leads a session, or joins the group of another. */
static struct process *figure(const char *name, struct process *of)
{
	struct process *p = process_create(NULL, name);

	if (p && of)
		process_join_group_of(p, of);
	if (!p || (!of && process_new_session(p) < 0)) {
		kt_fail(__FILE__, __LINE__, "no memory");
		return NULL;
	}
	process_publish(p, NULL, false);
	return p;
}

static void figure_end(struct process *p)
{
	process_zombie(p, 0);
	process_put(p);
}

static bool has_pending(struct process *p, int sig)
{
	return READ_ONCE(p->signals.pending.set) & BIT(sig - 1);
}

/* All groups of the session hear of it, with all their members, once they have moved too; other sessions do not. */
KTEST(signal_session)
{
	struct process *leader = figure("leader", NULL), *other = figure("other", NULL);
	struct process *mate = figure("mate", leader), *job = figure("job", leader);
	struct process *second = figure("second", leader);
	struct session *s = session_of(leader);

	KT_CHECK(process_set_group(job, 0, 0) == 0);
	KT_CHECK(process_set_group(second, 0, job->pid) == 0);
	signal_send_session(s, SIG_INT, 0);
	KT_CHECK(has_pending(leader, SIG_INT) && has_pending(mate, SIG_INT));
	KT_CHECK(has_pending(job, SIG_INT) && has_pending(second, SIG_INT));
	KT_CHECK(!has_pending(other, SIG_INT));
	/* Its group is gone from the session when the last member is. */
	KT_CHECK(process_set_group(second, 0, leader->pid) == 0);
	KT_CHECK(process_set_session(job) == -EPERM);
	KT_CHECK(process_set_group(job, 0, leader->pid) == 0);
	KT_CHECK(process_set_session(job) == job->pid);
	signal_send_session(s, SIG_TERM, 0);
	KT_CHECK(has_pending(second, SIG_TERM) && has_pending(leader, SIG_TERM));
	KT_CHECK(!has_pending(job, SIG_TERM) && !has_pending(other, SIG_TERM));
	/* a user's goes to what is his, or was, as with kill(2) */
	leader->cred.uid = leader->cred.suid = mate->cred.uid = 1000;
	signal_send_session(s, SIG_USR1, 1000);
	KT_CHECK(has_pending(leader, SIG_USR1) && has_pending(mate, SIG_USR1));
	KT_CHECK(!has_pending(second, SIG_USR1));
	signal_send_session(s, SIG_USR2, 0);
	KT_CHECK(has_pending(leader, SIG_USR2) && has_pending(second, SIG_USR2));
	session_put(s);
	figure_end(second);
	figure_end(job);
	figure_end(mate);
	figure_end(other);
	figure_end(leader);
}

/* RC-018: the number of a group or a session whose leader is no more is nobody's, as long as one is in it. */
KTEST(group_keeps_its_number)
{
	struct process *leader = figure("leader", NULL), *mate = figure("mate", leader), *p;
	int id = leader->pid, was = pidtab_set_next(id);

	figure_end(leader);
	KT_CHECK(process_find(id) == NULL);
	p = process_create(NULL, "next");
	KT_CHECK(p && p->pid != id);
	if (p)
		process_abandon(p);
	/* now the session alone has it */
	KT_CHECK(process_set_group(mate, 0, 0) == 0 && process_get_session_id(mate, 0) == id);
	pidtab_set_next(id);
	p = process_create(NULL, "next");
	KT_CHECK(p && p->pid != id);
	if (p)
		process_abandon(p);
	figure_end(mate);
	pidtab_set_next(id);
	p = process_create(NULL, "next");
	KT_CHECK(p && p->pid == id);
	if (p)
		process_abandon(p);
	pidtab_set_next(was);
}

static void regroup_fn(void *arg)
{
	struct process *p = arg;
	unsigned wrong = 0;

	for (uint64_t i = 0; i < 2000 * kt_scale(); i++)
		wrong += process_set_group(p, 0, 0) != -EPERM;
	KT_CHECK(wrong == 0);
}

static void secede_fn(void *arg)
{
	struct process *p = arg;

	for (uint64_t i = 0; i < 2000 * kt_scale(); i++)
		KT_CHECK(process_new_session(p) == 0);
}

/* One thread's setpgid looks at the session which another's setsid leaves and so frees. */
KTEST(setpgid_against_setsid)
{
	struct process *p = figure("seceder", NULL);
	struct crew crew = { 0 };

	crew_add(&crew, regroup_fn, p, ALL_CPUS);
	crew_add(&crew, secede_fn, p, ALL_CPUS);
	crew_add(&crew, regroup_fn, p, ALL_CPUS);
	crew_join(&crew);
	KT_CHECK(process_get_session_id(p, 0) == p->pid && process_get_group_id(p, 0) == p->pid);
	figure_end(p);
}

static uint32_t seceded; /* [atomic] */

static void secede_once_fn(void *arg)
{
	int id = process_set_session(arg);

	KT_CHECK(id == ((struct process *)arg)->pid || id == -EPERM);
	if (id > 0)
		atomic_fetch_add(&seceded, 1);
}

/* Of two threads that call setsid at once one makes the session. */
KTEST(setsid_by_two_threads)
{
	struct process *leader = figure("leader", NULL);

	for (uint64_t i = 0; i < 300 * kt_scale(); i++) {
		struct process *p = figure("mate", leader);
		struct crew crew = { 0 };

		seceded = 0;
		for (unsigned k = 0; k < 4; k++)
			crew_add(&crew, secede_once_fn, p, ALL_CPUS);
		crew_join(&crew);
		KT_CHECK(atomic_load_relaxed(&seceded) == 1);
		figure_end(p);
	}
	figure_end(leader);
}

/* A limit that is set while exec builds the new memory holds for that too. */
KTEST(limit_set_during_exec)
{
	const struct rlimit_pair one = { 1 << 20, 1 << 20 };
	struct process *p = figure("climber", NULL);
	struct vm_space *s = vm_space_create();

	if (!s)
		return kt_fail(__FILE__, __LINE__, "no memory");
	KT_CHECK(process_set_limit(p, RLIMIT_AS, &one, true) == 0);
	KT_CHECK(process_set_limit(p, RLIMIT_STACK, &one, true) == 0);
	KT_CHECK(process_set_image(p, "climbed", NULL, s) == NULL);
	KT_CHECK(s->as_limit == one.cur && s->stack_limit == one.cur);
	p->space = NULL;
	vm_space_put(s);
	figure_end(p);
}

/* --- numbers of threads ------------------------------------------------------------------------------------------------- */

static void never(void *arg)
{
	(void)arg;
}

/* They come from the numbers of processes, pass over those in use, and lead to the thread while it is one (RC-018). */
KTEST(thread_numbers)
{
	struct process *p = figure("herd", NULL), *other = figure("single", NULL);
	struct thread *t[8], *found;
	int was = pidtab_set_next(p->pid), tid;

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		t[i] = thread_create("member", never, NULL, KSTACK_SIZE);
		if (!t[i]) {
			kt_fail(__FILE__, __LINE__, "no memory");
			return;
		}
		pidtab_set_next(p->pid);
		process_add_thread(p, t[i]);
		KT_CHECK(i == 0 ? t[i]->tid == p->pid : t[i]->tid > p->pid);
		KT_CHECK(t[i]->tid != other->pid);
		for (unsigned j = 0; j < i; j++)
			KT_CHECK(t[j]->tid != t[i]->tid);
		found = thread_find(t[i]->tid);
		KT_CHECK(found == t[i]);
		if (found)
			thread_put(found);
	}
	KT_CHECK(process_get_group_id(other, t[3]->tid) == p->pid);
	KT_CHECK(process_set_group(p, t[3]->tid, 0) == -EINVAL);
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		tid = t[i]->tid;
		KT_CHECK(process_remove_thread(p, t[i]) == (i == ARRAY_SIZE(t) - 1));
		KT_CHECK(thread_find(tid) == NULL && process_of(t[i]) == NULL);
		thread_put(t[i]);
		process_put(p);
	}
	pidtab_set_next(was);
	figure_end(other);
	figure_end(p);
}

/* --- what a process ended of ---------------------------------------------------------------------------------------------- */

/* Whoever chooses it while its files are put, as the killer of the largest, comes too late. */
static void kill_meanwhile(struct file *f)
{
	signal_group_exit(f->priv, SIG_KILL);
	KT_CHECK(thread_killed(current_thread()));
}

static const struct file_ops last_ops = { .name = "last", .release = kill_meanwhile };

static void end_itself(void *arg)
{
	struct process *p = arg;

	process_add_thread(p, current_thread());
	space_switch(p->space);
	exit_current(7 << 8);
}

KTEST(killed_after_its_end)
{
	struct process *p = figure("ends", NULL);
	struct file *f = file_create(&last_ops, FILE_RDWR, NULL, p);

	p->files = fdtable_create();
	p->space = vm_space_create();
	KT_CHECK(f && p->files && p->space);
	KT_CHECK(fdtable_install(p->files, f, 0, false, 16) == 0);
	KT_CHECK(thread_spawn("ends", end_itself, p) == 0);
	end_of(p, 7 << 8);
}

/* --- parents and children ------------------------------------------------------------------------------------------------- */

static struct process *child_of(struct process *parent)
{
	struct process *p = process_create(parent, "child");

	if (!p) {
		kt_fail(__FILE__, __LINE__, "no memory");
		return NULL;
	}
	process_join_group_of(p, parent);
	process_publish(p, parent, false);
	return p;
}

static int look(struct process *parent, int type, int id, unsigned options, int *status)
{
	const struct wait_query q = { type, id, options };
	struct wait_result r = { .status = -1 };
	int found = process_wait_child(parent, &q, &r);

	*status = r.status;
	return found;
}

/* OWN-24, I-PROC-6: a brother is told as his parent's other child is, at the moment at which he is seen: that one may have got another parent, and
 * SIGCHLD, since the brother was begun. */
KTEST(brother_is_waited_for)
{
	struct process *elder = figure("elder", NULL), *parent = child_of(elder);
	struct process *p = child_of(parent), *brother;

	p->exit_signal = SIG_USR1;
	brother = process_create(p, "brother");
	KT_CHECK(brother);
	if (brother) {
		process_join_group_of(brother, p);
		figure_end(parent);
		KT_CHECK(p->exit_signal == SIG_CHLD);
		process_publish(brother, p, true);
		KT_CHECK(brother->exit_signal == SIG_CHLD);
		figure_end(brother);
	}
	figure_end(p);
	figure_end(elder);
}

/* --- OWN-25, I-PROC-7: whom a process lets look ---------------------------------------------------------------------------------------- */

#define SOMEBODY 1000

struct looked_at {
	struct process *p, *looker;
	uint32_t over; /* [atomic] */
	unsigned let_in;
};

static void put_ids(struct process *p, void *arg)
{
	uint32_t id = *(const uint32_t *)arg;

	WRITE_ONCE(p->cred.uid, id);
	WRITE_ONCE(p->cred.euid, id);
	WRITE_ONCE(p->cred.suid, id);
	WRITE_ONCE(p->cred.gid, id);
	WRITE_ONCE(p->cred.egid, id);
	WRITE_ONCE(p->cred.sgid, id);
	WRITE_ONCE(p->undumpable, id != 0);
}

/* root, then somebody who was root, and root again. */
static void change_ids(void *arg)
{
	struct looked_at *l = arg;

	for (uint32_t i = 0; i < 20000 * kt_scale(); i++) {
		uint32_t id = i % 2 ? 0 : SOMEBODY;

		process_inspect(l->p, put_ids, &id);
	}
	atomic_store_relaxed(&l->over, 1);
}

static void keep_looking(void *arg)
{
	struct looked_at *l = arg;

	current_thread()->process = l->looker;
	while (!atomic_load_relaxed(&l->over))
		l->let_in += process_may_look(l->p);
	current_thread()->process = NULL;
}

KTEST(who_was_root_lets_nobody_look)
{
	struct looked_at l = { .p = figure("was-root", NULL), .looker = figure("looker", NULL) };
	uint32_t id = SOMEBODY;
	struct crew crew = { 0 };

	if (!l.p || !l.looker)
		return;
	process_inspect(l.looker, put_ids, &id);
	l.looker->cred.fsuid = l.looker->cred.fsgid = id;
	KT_CHECK(l.looker->undumpable);
	crew_add(&crew, change_ids, &l, ALL_CPUS);
	crew_add(&crew, keep_looking, &l, ALL_CPUS);
	crew_join(&crew);
	KT_CHECK(l.let_in == 0);
	figure_end(l.looker);
	figure_end(l.p);
}

/* Each thing that becomes of a child is told once, and to the one who asked for it; kept if asked to. */
KTEST(wait_tells_once)
{
	struct process *parent = figure("parent", NULL), *c = child_of(parent);
	int status, value;

	KT_CHECK(look(parent, P_ALL, 0, WEXITED | WSTOPPED | WCONTINUED, &status) == 0);
	KT_CHECK(look(parent, P_PID, c->pid + 1, WEXITED, &status) == -ECHILD);
	KT_CHECK(look(parent, P_PGID, c->pid, WEXITED, &status) == -ECHILD);
	KT_CHECK(look(parent, P_ALL, 0, WEXITED | __WCLONE, &status) == -ECHILD);
	c->stopped = true;
	c->stop_sig = SIG_TSTP;
	KT_CHECK(look(parent, P_ALL, 0, WEXITED | WCONTINUED, &status) == 0);
	KT_CHECK(look(parent, P_PID, c->pid, WSTOPPED | WNOWAIT, &status) == 1);
	KT_CHECK(look(parent, P_PGID, 0, WSTOPPED, &status) == 1);
	KT_CHECK(status == 0x147f && wait_status_code(status, &value) == CHILD_STOPPED);
	KT_CHECK(look(parent, P_ALL, 0, WSTOPPED, &status) == 0);
	c->stopped = false;
	c->continued = true;
	KT_CHECK(look(parent, P_ALL, 0, WCONTINUED, &status) == 1 && status == 0xffff);
	KT_CHECK(look(parent, P_ALL, 0, WCONTINUED, &status) == 0);
	process_zombie(c, 3 << 8);
	KT_CHECK(look(parent, P_ALL, 0, WSTOPPED | WCONTINUED, &status) == 0);
	KT_CHECK(look(parent, P_ALL, 0, WEXITED | WNOWAIT, &status) == 1 && status == 3 << 8);
	KT_CHECK(look(parent, P_PID, c->pid, WEXITED, &status) == 1);
	KT_CHECK(look(parent, P_ALL, 0, WEXITED, &status) == -ECHILD);
	process_put(c);
	figure_end(parent);
}

/* Orphans go to the nearest ancestor that asked for them, dead ones too; without one, to nobody. */
KTEST(orphans)
{
	struct process *top = figure("top", NULL), *mid = child_of(top), *low = child_of(mid);
	struct process *alive = child_of(low), *dead = child_of(low);
	int status;

	top->subreaper = true;
	process_zombie(dead, 7 << 8);
	process_zombie(low, 0);
	KT_CHECK(alive->parent == top && dead->parent == top);
	KT_CHECK(look(top, P_PID, dead->pid, WEXITED, &status) == 1 && status == 7 << 8);
	KT_CHECK(look(mid, P_PID, low->pid, WEXITED, &status) == 1);
	process_zombie(mid, 0);
	KT_CHECK(look(top, P_PID, mid->pid, WEXITED, &status) == 1);
	process_zombie(top, 0);
	KT_CHECK(alive->parent != top);
	process_zombie(alive, 0);
	process_put(alive);
	process_put(dead);
	process_put(low);
	process_put(mid);
	process_put(top);
}

/* Children end while their parent does, on all CPUs: each is told of or reaped, none stays. */
static void end_fn(void *arg)
{
	struct process *p = arg;

	process_zombie(p, 0);
	process_put(p);
}

KTEST(ends_race)
{
	unsigned before = process_count();

	for (uint64_t round = 0; round < 10 * kt_scale(); round++) {
		struct process *top = figure("top", NULL), *mid = child_of(top);
		struct process *low = child_of(mid);
		struct crew crew = { 0 };
		int status;

		/* what low leaves goes to mid, which may be at its own end, then to top */
		top->subreaper = mid->subreaper = true;
		for (unsigned i = 0; i < 6; i++)
			crew_add(&crew, end_fn, child_of(low), ALL_CPUS);
		crew_add(&crew, end_fn, mid, ALL_CPUS);
		crew_add(&crew, end_fn, low, ALL_CPUS);
		crew_join(&crew);
		while (look(top, P_ALL, 0, WEXITED, &status) == 1)
			;
		KT_CHECK(list_empty(&top->children));
		figure_end(top);
	}
	KT_CHECK(process_count() == before);
}

static void leave_orphans(void *unused)
{
	for (unsigned i = 0; i < 30; i++) {
		struct process *low = figure("low", NULL), *child = child_of(low);

		figure_end(low);
		figure_end(child);
	}
}

/* OWN-3: who takes over all orphans ends while there come more, none of them its own: it has no child when it is over. */
KTEST(init_ends_race)
{
	unsigned before = process_count();

	for (uint64_t round = 0; round < 10 * kt_scale(); round++) {
		struct process *init = process_get(figure("init", NULL));
		struct crew crew = { 0 };

		process_set_init(init);
		for (unsigned i = 0; i < 3; i++)
			crew_add(&crew, leave_orphans, NULL, ALL_CPUS);
		crew_add(&crew, end_fn, init, ALL_CPUS);
		crew_join(&crew);
		KT_CHECK(list_empty(&init->children));
		process_put(init);
	}
	KT_CHECK(process_count() == before);
}

/* --- no memory, at each step in turn ---------------------------------------------------------------------------------- */

/* The account after the test says that nothing of a half-made process was left. */
KTEST(spawn_without_memory)
{
	unsigned refused = 0;

	for (uint64_t n = 1; n < 400; n++) {
		struct process *p;
		int err, status = 0;

		alloc_fail_after(n);
		err = spawn("/bin/true", &p);
		alloc_fail_after(0);
		if (err < 0) {
			KT_CHECK(err == -ENOMEM);
			refused++;
			continue;
		}
		/* The failure came later, to the program or to somebody else; or not at all. */
		wait_event(&p->exited.wq, process_exited(p, &status));
		/* a C library that gets no memory ends its program as it likes */
		KT_CHECK(WSTATUS_EXITED(status) || WSTATUS_SIGNAL(status) == SIG_KILL ||
			 WSTATUS_SIGNAL(status) == SIG_SEGV || WSTATUS_SIGNAL(status) == SIG_ABRT);
		process_put(p);
		if (refused > 0 && n > 2 * refused + 20)
			break;
	}
	KT_CHECK(refused > 5);
}

/* --- memory in small pieces --------------------------------------------------------------------------------------------- */

/* What is free lies in blocks of that order at most; and so many of them are. */
enum { SCATTER_ORDER = 3, SCATTERED = 512 };

static void give_back(struct list_head *blocks)
{
	while (!list_empty(blocks)) {
		struct page *b = list_first(blocks, struct page, link);

		list_del(&b->link);
		page_put(b);
	}
}

static void scatter(struct list_head *held)
{
	struct list_head gaps = LIST_HEAD_INIT(gaps);
	struct page *b;

	for (unsigned i = 0; i < 2 * SCATTERED; i++) {
		b = page_alloc(SCATTER_ORDER, 0);
		KT_CHECK(b);
		if (b)
			list_push_back(&b->link, i % 2 ? held : &gaps);
	}
	for (unsigned order = PAGE_ORDER_MAX; order > SCATTER_ORDER; order--)
		while ((b = page_alloc(order, 0)))
			list_push_back(&b->link, held);
	give_back(&gaps);
}

/* Arguments as long as there are find room wherever there is any. */
KTEST(spawn_scattered)
{
	enum { LONG = 100000, WORDS = 14 };
	char *word = kmalloc(LONG + 1);
	const char *argv[WORDS + 2] = { "/bin/echo" };
	const struct spawn_args args = { .path = argv[0], .argv = argv };
	struct list_head held = LIST_HEAD_INIT(held);
	struct process *p;
	int err;

	if (!word) {
		kt_fail(__FILE__, __LINE__, "no memory");
		return;
	}
	memset(word, 'w', LONG);
	word[LONG] = 0;
	for (unsigned i = 1; i <= WORDS; i++)
		argv[i] = word;
	scatter(&held);
	err = process_spawn(&args, &p);
	KT_CHECK(err == 0);
	/* it has nowhere to write to */
	if (err == 0)
		end_of(p, 1 << 8);
	give_back(&held);
	kfree(word);
}
