/* SPDX-License-Identifier: MIT */
/* /proc/PID, /proc/self, /proc/thread-self and what lies below them. Each inode holds its process; facts are copied
 * under PIDTAB, which forbids to allocate, and printed after it. */
#include "drivers/tty/tty.h"
#include "fs/fdtable.h"
#include "fs/pipe.h"
#include "fs/procfs.h"
#include "kernel/context.h"
#include "kernel/core/clock.h"
#include "kernel/core/percpu.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/procinfo.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"

#define TICKS(ns) ((unsigned long)((ns) / (NS_PER_S / 100)))
#define UL(x)	  ((unsigned long)(x))

/* What an inode below /proc stands for. */
struct pid_node {
	struct process *p; /* a reference */
	int tid;	   /* 0: the whole process */
	int fd;
	const struct pid_entry *entry;
};

struct pid_entry {
	const char *name;
	uint32_t mode;
	void (*show)(struct proc_text *t, const struct pid_node *n); /* texts */
	const struct inode_ops *ops;				     /* links and directories */
	unsigned flags;
};

#define OF_PROCESS 1 /* a thread has none */
#define OF_SPACE   2 /* of the memory at the open: that alone was asked for then */
#define OUTLIVES   4 /* read behind the end it is no error */

static const struct inode_ops dir_ops, task_ops, fd_dir_ops, fd_link_ops;

typedef bool (*emit_fn)(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type,
			off_t next);

static int parse_id(const char *name, size_t len)
{
	int n = 0;

	if (len == 0 || len > 9 || (name[0] == '0' && len > 1))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		n = n * 10 + (name[i] - '0');
	}
	return n;
}

/* --- facts ---------------------------------------------------------------------------------------------------------- */

struct facts {
	int pid, ppid, pgid, sid, tpgid;
	unsigned tty, nr_threads;
	char name[16], state;
	int exit_signal, exit_code, nice;
	uint64_t start_ns, cpu_ns, user_ns, switches, pending, blocked;
	struct credentials cred;
	bool no_new_privs, waiting;
	struct rlimit_pair rlimits[RLIM_KINDS];
};

struct facts_query {
	struct facts *f;
	int tid;
	bool found;
};

static void add_thread(struct thread *t, void *arg)
{
	struct facts_query *q = arg;
	struct facts *f = q->f;
	enum thread_state state = READ_ONCE(t->state);

	if (q->tid && q->tid != t->tid)
		return;
	if (q->tid)
		f->cpu_ns = thread_cpu_ns(t, &f->user_ns);
	f->switches += READ_ONCE(t->switches);
	/* of a process, its first thread tells the state */
	if (t->tid != (q->tid ? q->tid : f->pid))
		return;
	q->found = true;
	f->waiting = state == THREAD_BLOCKED;
	if (f->waiting && f->state == 'R')
		f->state = READ_ONCE(t->wait_mode) == WAIT_INTERRUPTIBLE ? 'S' : 'D';
	f->pending = READ_ONCE(t->sig.pending.set);
	f->blocked = READ_ONCE(t->sig_blocked);
	f->nice = (int)READ_ONCE(t->nice);
	if (q->tid)
		str_copy(f->name, t->name, sizeof(f->name));
}

static void add_process(struct process *p, void *arg)
{
	struct facts *f = ((struct facts_query *)arg)->f;
	struct session *s = p->group ? p->group->session : NULL;

	f->pid = p->pid;
	f->ppid = p->parent_pid;
	f->pgid = p->group ? p->group->id : 0;
	f->sid = s ? s->id : 0;
	f->tty = s && s->tty ? tty_device(s->tty) : 0;
	f->tpgid = f->tty ? s->foreground : -1;
	f->nr_threads = p->nr_threads;
	f->state = p->state == PROC_ZOMBIE ? 'Z' : p->stopped ? 'T' : 'R';
	f->exit_signal = p->exit_signal;
	f->exit_code = p->state == PROC_ZOMBIE ? p->wait_status : 0;
	f->start_ns = p->start_ns;
	f->cred = p->cred;
	f->no_new_privs = READ_ONCE(p->no_new_privs);
	memcpy(f->rlimits, p->rlimits, sizeof(f->rlimits));
	memcpy(f->name, p->name, sizeof(f->name));
}

/* NULL: no memory, which the text then says. */
static struct facts *get_facts(struct proc_text *t, const struct pid_node *n)
{
	struct facts *f = kzalloc(sizeof(*f));
	struct facts_query q = { f, n->tid, false };

	if (!f) {
		t->err = -ENOMEM;
		return NULL;
	}
	process_inspect(n->p, add_process, &q);
	process_for_each_thread(n->p, add_thread, &q);
	if (!q.found && f->nr_threads)
		f->state = 'Z';
	return f;
}

struct memory {
	struct vm_stats vm;
	uint64_t args, args_end, env_end, brk_start;
};

static void get_memory(struct process *p, struct memory *m)
{
	struct vm_space *s = process_space_get(p);

	memset(m, 0, sizeof(*m));
	if (!s)
		return;
	vm_stats(s, &m->vm);
	m->args = s->arg_start;
	m->args_end = s->arg_end;
	m->env_end = s->env_end;
	m->brk_start = s->brk_start;
	vm_space_put(s);
}

static void get_signals(struct process *p, uint64_t *ignored, uint64_t *caught)
{
	struct signal_action a;

	*ignored = 0;
	*caught = 0;
	for (int sig = 1; sig <= NSIG; sig++) {
		signal_action(p, sig, NULL, &a);
		*ignored |= a.handler == 1 ? BIT(sig - 1) : 0;
		*caught |= a.handler > 1 ? BIT(sig - 1) : 0;
	}
}

/* --- texts ------------------------------------------------------------------------------------------------------------ */

/* The 52 fields of proc(5). */
static void show_stat(struct proc_text *t, const struct pid_node *n)
{
	struct facts *f = get_facts(t, n);
	struct usage children, all;
	uint64_t ignored, caught;
	struct memory m;
	bool sleeps;

	if (!f)
		return;
	get_memory(n->p, &m);
	sleeps = f->state != 'R' && (n->tid || f->nr_threads < 2);
	/* where things are, and what it ended with, is not for everybody */
	if (!process_may_look(n->p)) {
		m.brk_start = m.args = m.args_end = m.env_end = (uint64_t)(f->exit_code = 0);
		sleeps = false;
	}
	get_signals(n->p, &ignored, &caught);
	process_usage(n->p, true, &children);
	process_usage(n->p, false, &all);
	if (!n->tid) {
		f->cpu_ns = all.cpu_ns;
		f->user_ns = all.user_ns;
	}
	proc_printf(t, "%d (%s) %c %d %d %d %u %d 0 ", n->tid ? n->tid : f->pid, f->name, f->state,
		    f->ppid, f->pgid, f->sid, f->tty, f->tpgid);
	proc_printf(t, "%lu %lu 0 0 %lu %lu %lu %lu ", UL(all.min_faults), UL(children.min_faults),
		    TICKS(f->user_ns), TICKS(f->cpu_ns - f->user_ns), TICKS(children.user_ns),
		    TICKS(children.cpu_ns - children.user_ns));
	proc_printf(t, "%d %d %u 0 %lu %lu %lu %lu ", 20 + f->nice, f->nice, f->nr_threads,
		    TICKS(f->start_ns), UL(m.vm.mapped * PAGE_SIZE), UL(m.vm.resident),
		    UL(f->rlimits[5 /* RLIMIT_RSS */].cur));
	proc_printf(t, "0 0 0 0 0 %lu %lu %lu %lu ", UL(f->pending), UL(f->blocked), UL(ignored),
		    UL(caught));
	proc_printf(t, "%d 0 0 %d 0 0 0 0 0 0 0 0 %lu %lu %lu %lu %lu %d\n", sleeps, f->exit_signal,
		    UL(m.brk_start), UL(m.args), UL(m.args_end), UL(m.args_end), UL(m.env_end),
		    f->exit_code);
	kfree(f);
}

static void show_statm(struct proc_text *t, const struct pid_node *n)
{
	struct memory m;

	get_memory(n->p, &m);
	proc_printf(t, "%lu %lu %lu %lu 0 %lu 0\n", UL(m.vm.mapped), UL(m.vm.resident),
		    UL(m.vm.resident - MIN(m.vm.anonymous, m.vm.resident)), UL(m.vm.text),
		    UL(m.vm.data + m.vm.stack));
}

static const char *state_text(char state)
{
	switch (state) {
	case 'S':
		return "S (sleeping)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	case 'Z':
		return "Z (zombie)";
	default:
		return "R (running)";
	}
}

static void status_kb(struct proc_text *t, const char *name, uint64_t pages)
{
	proc_printf(t, "%s:\t%8lu kB\n", name, UL(pages * (PAGE_SIZE / 1024)));
}

static void status_memory(struct proc_text *t, const struct pid_node *n)
{
	struct memory m;

	get_memory(n->p, &m);
	if (!m.vm.mapped)
		return;
	status_kb(t, "VmPeak", m.vm.peak_mapped);
	status_kb(t, "VmSize", m.vm.mapped);
	status_kb(t, "VmLck", m.vm.locked);
	status_kb(t, "VmHWM", m.vm.peak_resident);
	status_kb(t, "VmRSS", m.vm.resident);
	status_kb(t, "RssAnon", m.vm.anonymous);
	status_kb(t, "RssFile", m.vm.resident - MIN(m.vm.anonymous, m.vm.resident));
	status_kb(t, "VmData", m.vm.data);
	status_kb(t, "VmStk", m.vm.stack);
	status_kb(t, "VmExe", m.vm.text);
	status_kb(t, "VmLib", 0);
	status_kb(t, "VmSwap", 0);
}

static void show_status(struct proc_text *t, const struct pid_node *n)
{
	struct facts *f = get_facts(t, n);
	const struct credentials *c;
	uint64_t ignored, caught;

	if (!f)
		return;
	c = &f->cred;
	proc_printf(t, "Name:\t%s\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n", f->name,
		    state_text(f->state), f->pid, n->tid ? n->tid : f->pid, f->ppid);
	proc_printf(t, "TracerPid:\t0\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nGroups:\t",
		    c->uid, c->euid, c->suid, c->fsuid, c->gid, c->egid, c->sgid, c->fsgid);
	for (unsigned k = 0; k < c->nr_groups; k++)
		proc_printf(t, "%u ", c->groups[k]);
	proc_printf(t, "\n");
	status_memory(t, n);
	get_signals(n->p, &ignored, &caught);
	proc_printf(t, "Threads:\t%u\nSigPnd:\t%016lx\nSigBlk:\t%016lx\n", f->nr_threads,
		    UL(f->pending), UL(f->blocked));
	proc_printf(t, "SigIgn:\t%016lx\nSigCgt:\t%016lx\nNoNewPrivs:\t%d\n", UL(ignored),
		    UL(caught), f->no_new_privs);
	proc_printf(t, "Cpus_allowed_list:\t0-%u\nvoluntary_ctxt_switches:\t%lu\n", cpu_count() - 1,
		    UL(f->switches));
	kfree(f);
}

/* The bytes [from, end) of the process's memory, as they are now. */
static void show_memory(struct proc_text *t, struct vm_space *s, bool environment)
{
	uint64_t at, end;
	char buf[256];

	if (!s)
		return;
	at = environment ? s->arg_end : s->arg_start;
	end = environment ? s->env_end : s->arg_end;
	while (at < end) {
		size_t n = MIN(end - at, sizeof(buf));

		if (vm_read(s, at, buf, n) < 0)
			break;
		proc_append(t, buf, n);
		at += n;
	}
	vm_space_put(s);
}

static void show_cmdline(struct proc_text *t, const struct pid_node *n)
{
	show_memory(t, process_space_get(n->p), false);
}

/* NULL: that has ended, or is another program's now. */
static struct vm_space *space_as_opened(const struct proc_text *t, const struct pid_node *n)
{
	struct vm_space *s = process_space_get(n->p);

	if (!s || s->id == t->as_opened)
		return s;
	vm_space_put(s);
	return NULL;
}

static void show_environ(struct proc_text *t, const struct pid_node *n)
{
	show_memory(t, space_as_opened(t, n), true);
}

static void show_comm(struct proc_text *t, const struct pid_node *n)
{
	struct facts *f = get_facts(t, n);

	if (f)
		proc_printf(t, "%s\n", f->name);
	kfree(f);
}

struct sleep_query {
	int tid;
	uintptr_t at;
};

static void find_sleep(struct thread *t, void *arg)
{
	struct sleep_query *q = arg;

	if (t->tid == q->tid)
		q->at = thread_sleeps_at(t);
}

/* The kernel's function that waits; not for everybody, and of a process its first thread's. */
static void show_wchan(struct proc_text *t, const struct pid_node *n)
{
	struct sleep_query q = { .tid = n->tid ? n->tid : n->p->pid };
	size_t offset;

	if (process_may_look(n->p))
		process_for_each_thread(n->p, find_sleep, &q);
	/* a return address: the call is the instruction before */
	proc_printf(t, "%s", q.at ? symbol_of(q.at - 4, &offset) : "0");
}

static void show_limit(struct proc_text *t, uint64_t value)
{
	if (value == UINT64_MAX)
		proc_printf(t, "%-20s ", "unlimited");
	else
		proc_printf(t, "%-20lu ", UL(value));
}

static void show_limits(struct proc_text *t, const struct pid_node *n)
{
	static const char *const names[RLIM_KINDS][2] = {
		{ "Max cpu time", "seconds" },	   { "Max file size", "bytes" },
		{ "Max data size", "bytes" },	   { "Max stack size", "bytes" },
		{ "Max core file size", "bytes" }, { "Max resident set", "bytes" },
		{ "Max processes", "processes" },  { "Max open files", "files" },
		{ "Max locked memory", "bytes" },  { "Max address space", "bytes" },
		{ "Max file locks", "locks" },	   { "Max pending signals", "signals" },
		{ "Max msgqueue size", "bytes" },  { "Max nice priority", "" },
		{ "Max realtime priority", "" },   { "Max realtime timeout", "us" },
	};
	struct facts *f = get_facts(t, n);

	if (!f)
		return;
	proc_printf(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned k = 0; k < RLIM_KINDS; k++) {
		proc_printf(t, "%-25s ", names[k][0]);
		show_limit(t, f->rlimits[k].cur);
		show_limit(t, f->rlimits[k].max);
		proc_printf(t, "%-10s\n", names[k][1]);
	}
	kfree(f);
}

static void show_mounts(struct proc_text *t, const struct pid_node *n)
{
	procfs_show_mounts(t);
}

static void show_region(const struct vm_region_info *r, void *arg)
{
	struct proc_text *t = arg;
	struct kstat st = { 0 };
	char *path = r->file ? kmalloc(VFS_PATH_MAX) : NULL;
	const char *name = r->name ? r->name : "";

	if (path && r->file->dentry &&
	    vfs_describe(fs_context(), r->file->dentry, path, VFS_PATH_MAX) > 0)
		name = path;
	if (r->file && file_stat(r->file, &st) < 0)
		st = (struct kstat){ 0 };
	proc_printf(t, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu %*s%s\n", UL(r->start), UL(r->end),
		    r->prot & VM_READ ? 'r' : '-', r->prot & VM_WRITE ? 'w' : '-',
		    r->prot & VM_EXEC ? 'x' : '-', r->prot & VM_SHARED ? 's' : 'p', UL(r->offset),
		    (unsigned)(st.dev >> 8), (unsigned)(st.dev & 0xff), UL(st.ino),
		    name[0] ? 20 : 0, "", name);
	kfree(path);
}

static void show_maps(struct proc_text *t, const struct pid_node *n)
{
	struct vm_space *s = space_as_opened(t, n);

	if (!s)
		return;
	vm_for_each_region(s, show_region, t);
	vm_space_put(s);
}

/* --- nodes ------------------------------------------------------------------------------------------------------------ */

static void node_release(void *arg)
{
	struct pid_node *n = arg;

	process_put(n->p);
	kfree(n);
}

static void inode_release(struct inode *i)
{
	node_release(i->priv);
}

static void find_number(struct process *p, void *arg)
{
	*(bool *)arg = !list_linked(&p->hash);
}

/* Has the process been waited for? */
static bool process_has_gone(struct process *p)
{
	bool gone;

	process_inspect(p, find_number, &gone);
	return gone;
}

static void find_tid(struct thread *t, void *arg)
{
	int *tid = arg;

	if (t->tid == *tid)
		*tid = 0;
}

/* Has the thread ended? The first one is there until its process has gone. */
static bool thread_has_gone(struct process *p, int tid)
{
	if (tid == p->pid)
		return false;
	process_for_each_thread(p, find_tid, &tid);
	return tid;
}

static void show_entry(struct proc_text *t, void *arg)
{
	const struct pid_node *n = arg;

	if (!(n->entry->flags & OUTLIVES) &&
	    (process_has_gone(n->p) || (n->tid && thread_has_gone(n->p, n->tid))))
		t->err = -ESRCH;
	else
		n->entry->show(t, n);
}

static int open_entry(uint64_t *as_opened, void *arg)
{
	const struct pid_node *n = arg;
	struct vm_space *s;
	int err;

	if (!(n->entry->flags & OF_SPACE))
		return 0;
	s = process_space_get(n->p);
	/* asked when there is a space: another program's would come after its rights */
	err = process_may_look(n->p) ? 0 : -EACCES;
	*as_opened = s ? s->id : 0;
	if (s)
		vm_space_put(s);
	return err;
}

static void get_owner(struct process *p, void *arg)
{
	struct inode *i = arg;

	bool undumpable = READ_ONCE(p->undumpable);

	i->uid = undumpable ? 0 : p->cred.euid;
	i->gid = undumpable ? 0 : p->cred.egid;
}

/* Numbers tell directories of a process and of its thread with the same number apart. */
static uint64_t node_number(const struct pid_node *n, unsigned index)
{
	uint64_t id = (uint64_t)(n->tid ? n->tid : n->p->pid);

	return id << 32 | (n->tid ? BIT(31) : 0) | index;
}

/* An inode that stands for what n says. */
static int make_node(const struct pid_node *from, uint32_t mode, const struct inode_ops *ops,
		     unsigned index, struct inode **out)
{
	static const struct proc_text_ops texts = { .show = show_entry,
						    .open = open_entry,
						    .release = node_release };
	struct pid_node *n = kmalloc(sizeof(*n));
	struct inode *i;

	if (!n)
		return -ENOMEM;
	*n = *from;
	i = ops ? procfs_inode(mode, ops, n, node_number(n, index))
		: procfs_text_inode(mode, &texts, n);
	if (!i) {
		kfree(n);
		return -ENOMEM;
	}
	process_get(n->p);
	if (!ops)
		i->ino = node_number(n, index);
	process_inspect(n->p, get_owner, i);
	*out = i;
	return 0;
}

/* --- links ------------------------------------------------------------------------------------------------------------ */

static struct dentry *exe_dentry(struct process *p)
{
	struct file *f = process_exe_get(p);
	struct dentry *d = f && f->dentry ? dentry_get(f->dentry) : NULL;

	if (f)
		file_put(f);
	return d;
}

static int follow_to(struct inode *i, struct dentry *(*get)(struct process *), struct dentry **out)
{
	const struct pid_node *n = i->priv;

	if (!process_may_look(n->p))
		return -EACCES;
	*out = get(n->p);
	return *out ? 0 : -ENOENT;
}

static ssize_t describe(struct dentry *d, char *buf, size_t size)
{
	char *text = kmalloc(VFS_PATH_MAX);
	ssize_t n = text ? vfs_describe(fs_context(), d, text, VFS_PATH_MAX) : -ENOMEM;

	if (n > 0) {
		n = MIN(n - 1, (ssize_t)size);
		memcpy(buf, text, (size_t)n);
	}
	kfree(text);
	return n;
}

static ssize_t readlink_to(struct inode *i, struct dentry *(*get)(struct process *), char *buf,
			   size_t size)
{
	struct dentry *d;
	ssize_t n = follow_to(i, get, &d);

	if (n < 0)
		return n;
	n = describe(d, buf, size);
	dentry_put(d);
	return n;
}

#define PLACE_LINK(name, get)                                                                      \
	static int name##_follow(struct inode *i, struct dentry **out)                             \
	{                                                                                          \
		return follow_to(i, get, out);                                                     \
	}                                                                                          \
	static ssize_t name##_readlink(struct inode *i, char *buf, size_t size)                    \
	{                                                                                          \
		return readlink_to(i, get, buf, size);                                             \
	}                                                                                          \
	static const struct inode_ops name##_ops = { .follow = name##_follow,                      \
						     .readlink = name##_readlink,                  \
						     .release = inode_release }
PLACE_LINK(exe, exe_dentry);
PLACE_LINK(cwd, process_cwd_get);
PLACE_LINK(root, process_root_get);

/* --- the directory of a process, or of a thread ------------------------------------------------------------------------- */

static const struct pid_entry entries[] = {
	{ "task", S_IFDIR | 0555, NULL, &task_ops, OF_PROCESS },
	{ "fd", S_IFDIR | 0500, NULL, &fd_dir_ops, 0 },
	{ "environ", S_IFREG | 0400, show_environ, NULL, OF_SPACE | OUTLIVES },
	{ "status", S_IFREG | 0444, show_status, NULL, 0 },
	{ "limits", S_IFREG | 0444, show_limits, NULL, 0 },
	{ "comm", S_IFREG | 0444, show_comm, NULL, 0 },
	{ "cmdline", S_IFREG | 0444, show_cmdline, NULL, 0 },
	{ "stat", S_IFREG | 0444, show_stat, NULL, 0 },
	{ "statm", S_IFREG | 0444, show_statm, NULL, 0 },
	{ "maps", S_IFREG | 0444, show_maps, NULL, OF_SPACE },
	{ "cwd", S_IFLNK | 0777, NULL, &cwd_ops, 0 },
	{ "root", S_IFLNK | 0777, NULL, &root_ops, 0 },
	{ "exe", S_IFLNK | 0777, NULL, &exe_ops, 0 },
	{ "mounts", S_IFREG | 0444, show_mounts, NULL, OUTLIVES },
	{ "wchan", S_IFREG | 0444, show_wchan, NULL, 0 },
};

static int dir_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct pid_node n = *(struct pid_node *)dir->priv;

	for (unsigned k = 0; k < ARRAY_SIZE(entries); k++) {
		const struct pid_entry *e = &entries[k];

		if (strlen(e->name) != len || memcmp(e->name, name, len) != 0 ||
		    (n.tid && e->flags & OF_PROCESS))
			continue;
		n.entry = e;
		return make_node(&n, e->mode & ~(uint32_t)(e->ops ? 0 : S_IFMT), e->ops, k + 1,
				 out);
	}
	return -ENOENT;
}

static int dir_iterate(struct inode *dir, uint64_t *pos, emit_fn emit, void *arg)
{
	const struct pid_node *n = dir->priv;

	for (; *pos < ARRAY_SIZE(entries); (*pos)++) {
		const struct pid_entry *e = &entries[*pos];

		if (n->tid && e->flags & OF_PROCESS)
			continue;
		if (!emit(arg, e->name, strlen(e->name), node_number(n, (unsigned)*pos + 1),
			  DT_TYPE(e->mode), (off_t)*pos + 1))
			break;
	}
	return 0;
}

static const struct inode_ops dir_ops = {
	.lookup = dir_lookup,
	.iterate = dir_iterate,
	.release = inode_release,
};

/* --- numbers in order: processes, threads ----------------------------------------------------------------------------- */

struct numbers {
	int *n;
	unsigned count, room;
};

static void numbers_add(struct numbers *s, int n)
{
	unsigned at = s->count++;

	if (at >= s->room)
		return;
	for (; at > 0 && s->n[at - 1] > n; at--)
		s->n[at] = s->n[at - 1];
	s->n[at] = n;
}

static void add_pid(struct process *p, void *arg)
{
	numbers_add(arg, p->pid);
}

static void add_tid(struct thread *t, void *arg)
{
	numbers_add(arg, t->tid);
}

/* All processes, or the threads of one, sorted. */
static int numbers_get(struct numbers *s, struct process *p)
{
	*s = (struct numbers){ .room = p ? READ_ONCE(p->nr_threads) : process_count() };
	do {
		kfree(s->n);
		s->room = MAX(s->room, s->count) + 16;
		s->count = 0;
		s->n = kmalloc(s->room * sizeof(*s->n));
		if (!s->n)
			return -ENOMEM;
		if (p)
			process_for_each_thread(p, add_tid, s);
		else
			process_for_each(add_pid, s);
	} while (s->count > s->room);
	return 0;
}

/* Each as a directory's name, those above *pos - base. bit: what tells threads' numbers apart. */
static int numbers_emit(struct process *p, uint64_t *pos, uint64_t base, uint64_t bit, emit_fn emit,
			void *arg)
{
	struct numbers s;
	char name[12];
	int err = numbers_get(&s, p);

	for (unsigned k = 0; !err && k < s.count; k++) {
		uint64_t next = (uint64_t)s.n[k] + base;

		if (next <= *pos)
			continue;
		if (!emit(arg, name, fmt_print(name, sizeof(name), "%d", s.n[k]),
			  (uint64_t)s.n[k] << 32 | bit, DT_TYPE(S_IFDIR), (off_t)next))
			break;
		*pos = next;
	}
	kfree(s.n);
	return err;
}

static int task_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct pid_node n = *(struct pid_node *)dir->priv;
	struct thread *t;
	bool ours;

	n.tid = parse_id(name, len);
	t = n.tid > 0 ? thread_find(n.tid) : NULL;
	if (!t)
		return -ENOENT;
	ours = t->process == n.p;
	thread_put(t);
	return ours ? make_node(&n, S_IFDIR | 0555, &dir_ops, 0, out) : -ENOENT;
}

static int task_iterate(struct inode *dir, uint64_t *pos, emit_fn emit, void *arg)
{
	return numbers_emit(((struct pid_node *)dir->priv)->p, pos, 0, BIT(31), emit, arg);
}

static const struct inode_ops task_ops = {
	.lookup = task_lookup,
	.iterate = task_iterate,
	.release = inode_release,
};

/* --- open files ---------------------------------------------------------------------------------------------------------- */

#define FD_NUMBER(fd) (0x1000u + (unsigned)(fd))

static struct file *node_file(struct process *p, int fd)
{
	struct fdtable *files = process_files_get(p);
	struct file *f = files ? fdtable_lookup(files, fd) : NULL;

	if (files)
		fdtable_put(files);
	return f;
}

static int fd_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct pid_node n = *(struct pid_node *)dir->priv;
	struct file *f;
	uint32_t rights;

	n.fd = parse_id(name, len);
	f = n.fd >= 0 && process_may_look(n.p) ? node_file(n.p, n.fd) : NULL;
	if (!f)
		return -ENOENT;
	rights = ((READ_ONCE(f->flags) & FILE_ACCMODE) != FILE_WRONLY ? 0500 : 0) |
		 ((READ_ONCE(f->flags) & FILE_ACCMODE) != FILE_RDONLY ? 0300 : 0);
	file_put(f);
	return make_node(&n, S_IFLNK | rights, &fd_link_ops, FD_NUMBER(n.fd), out);
}

static int fd_iterate(struct inode *dir, uint64_t *pos, emit_fn emit, void *arg)
{
	const struct pid_node *n = dir->priv;
	struct fdtable *files = process_may_look(n->p) ? process_files_get(n->p) : NULL;
	char name[12];
	int fd;

	if (!files)
		return process_may_look(n->p) ? 0 : -EACCES;
	while ((fd = fdtable_next(files, (unsigned)*pos)) >= 0) {
		if (!emit(arg, name, fmt_print(name, sizeof(name), "%d", fd),
			  node_number(n, FD_NUMBER(fd)), DT_TYPE(S_IFLNK), fd + 1))
			break;
		*pos = (uint64_t)fd + 1;
	}
	fdtable_put(files);
	return 0;
}

static int fd_follow(struct inode *i, struct dentry **out)
{
	const struct pid_node *n = i->priv;
	struct file *f = process_may_look(n->p) ? node_file(n->p, n->fd) : NULL;
	int err = -ENOENT;

	if (!f)
		return err;
	if (f->dentry) {
		*out = dentry_get(f->dentry);
		err = 0;
	} else {
		err = pipe_dentry(f, out);
	}
	file_put(f);
	return err;
}

/* What has no name is called by its kind: pipe:[7]. */
static size_t anonymous_name(struct file *f, char *buf, size_t size)
{
	struct kstat st;

	if (file_stat(f, &st) == 0 && (st.mode & S_IFMT))
		return fmt_print(buf, size, "%s:[%lu]", f->ops->name, UL(st.ino));
	return fmt_print(buf, size, "anon_inode:[%s]", f->ops->name);
}

static ssize_t fd_readlink(struct inode *i, char *buf, size_t size)
{
	const struct pid_node *n = i->priv;
	struct file *f = process_may_look(n->p) ? node_file(n->p, n->fd) : NULL;
	char name[64];
	ssize_t len;

	if (!f)
		return -ENOENT;
	if (f->dentry) {
		len = describe(f->dentry, buf, size);
	} else {
		len = (ssize_t)MIN(anonymous_name(f, name, sizeof(name)), size);
		memcpy(buf, name, (size_t)len);
	}
	file_put(f);
	return len;
}

/* Its own descriptors are nobody's secret, whoever's the process is now. */
static bool fd_dir_allows(const struct inode *i)
{
	return ((const struct pid_node *)i->priv)->p == current_process();
}

static const struct inode_ops fd_dir_ops = {
	.allows = fd_dir_allows,
	.lookup = fd_lookup,
	.iterate = fd_iterate,
	.release = inode_release,
};
static const struct inode_ops fd_link_ops = {
	.follow = fd_follow,
	.readlink = fd_readlink,
	.release = inode_release,
};

/* --- /proc itself ----------------------------------------------------------------------------------------------------------- */

static ssize_t put_text(char *buf, size_t size, const char *text, size_t len)
{
	memcpy(buf, text, MIN(len, size));
	return (ssize_t)MIN(len, size);
}

static ssize_t self_readlink(struct inode *i, char *buf, size_t size)
{
	char text[12];

	if (!current_process())
		return -ENOENT;
	return put_text(buf, size, text,
			fmt_print(text, sizeof(text), "%d", current_process()->pid));
}

static ssize_t thread_self_readlink(struct inode *i, char *buf, size_t size)
{
	char text[40];

	if (!current_process())
		return -ENOENT;
	return put_text(buf, size, text,
			fmt_print(text, sizeof(text), "%d/task/%d", current_process()->pid,
				  current_thread()->tid));
}

static const struct inode_ops self_ops = { .readlink = self_readlink };
static const struct inode_ops thread_self_ops = { .readlink = thread_self_readlink };

static const struct {
	const char *name;
	const struct inode_ops *ops;
} selves[] = { { "self", &self_ops }, { "thread-self", &thread_self_ops } };

static int root_lookup(const char *name, size_t len, struct inode **out)
{
	struct pid_node n = { .p = NULL };
	int pid = parse_id(name, len), err;

	for (unsigned k = 0; k < ARRAY_SIZE(selves); k++) {
		if (strlen(selves[k].name) != len || memcmp(selves[k].name, name, len) != 0)
			continue;
		*out = procfs_inode(S_IFLNK | 0777, selves[k].ops, NULL, k + 2);
		return *out ? 0 : -ENOMEM;
	}
	n.p = pid > 0 ? process_find(pid) : NULL;
	if (!n.p)
		return -ENOENT;
	err = make_node(&n, S_IFDIR | 0555, &dir_ops, 0, out);
	process_put(n.p);
	return err;
}

/* Positions: 0 and 1 the two links, then the number of the last process given and one more. */
static int root_iterate(uint64_t *pos, emit_fn emit, void *arg)
{
	for (; *pos < ARRAY_SIZE(selves); (*pos)++)
		if (!emit(arg, selves[*pos].name, strlen(selves[*pos].name), *pos + 2,
			  DT_TYPE(S_IFLNK), (off_t)*pos + 1))
			return 0;
	return numbers_emit(NULL, pos, ARRAY_SIZE(selves), 0, emit, arg);
}

void procpid_init(void)
{
	static const struct proc_root_ops ops = { root_lookup, root_iterate };

	procfs_set_root_ops(&ops);
}
