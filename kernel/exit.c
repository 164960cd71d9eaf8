/* SPDX-License-Identifier: MIT */
/* How a process ends: each thread comes here by itself, at its return to user mode or in exit(2) (RC-016). */
#include "kernel/exit.h"
#include "drivers/tty/tty.h"
#include "fs/fdtable.h"
#include "kernel/context.h"
#include "kernel/core/perturb.h"
#include "kernel/futex.h"
#include "kernel/oom.h"
#include "kernel/proc/lifecycle.h"
#include "mm/vm/space.h"

void vfork_release(struct process *p)
{
	struct vfork_wait *v = __atomic_exchange_n(&p->vfork, NULL, __ATOMIC_ACQ_REL);

	if (!v)
		return;
	atomic_publish(&v->done, true);
	wake_all(&v->wq);
	vfork_wait_put(v);
}

struct belongings {
	struct fdtable *files;
	struct fs_state *fs;
	struct file *exe;
};

static void take_belongings(struct process *p, void *arg)
{
	*(struct belongings *)arg = (struct belongings){ p->files, p->fs, p->exe };
	p->files = NULL;
	p->fs = NULL;
	p->exe = NULL;
}

/* Last: who has no space has given all its memory back, or is about to (kill_largest() in oom.c). */
static void take_space(struct process *p, void *arg)
{
	*(struct vm_space **)arg = p->space;
	p->space = NULL;
}

void process_release(struct process *p)
{
	struct vm_space *space;
	struct belongings b;

	process_inspect(p, take_belongings, &b);
	if (b.files)
		fdtable_put(b.files);
	if (b.fs)
		fs_state_put(b.fs);
	if (b.exe)
		file_put(b.exe);
	process_inspect(p, take_space, &space);
	if (space)
		vm_space_put(space);
	oom_process_gone(p);
}

/* A session leader takes its terminal with it. */
static void leave_session(struct process *p)
{
	struct session *s;

	if (!session_is_leader(p))
		return;
	s = session_of(p);
	if (!s)
		return;
	tty_session_end(s, true);
	session_put(s);
}

void thread_release_tid(struct thread *t)
{
	futex_exit_robust();
	/* nobody else could look, as Linux has it */
	if (READ_ONCE(t->process->nr_threads) > 1 || vm_space_is_shared(t->space))
		futex_wake_clear_tid(t->clear_tid);
	t->clear_tid = 0;
}

void exit_current(int wait_status)
{
	struct thread *t = current_thread();
	struct process *p = t->process;

	/* I-PROC-3 */
	lock_check_none_held("exit");
	thread_release_tid(t);
	/* before it leaves: the last one gives the memory back */
	space_switch(NULL);
	fs_copy_destroy(t);
	if (process_remove_thread(p, t)) {
		/* what ended it as a whole, else what its last thread said: final before anything of it goes, whoever chooses it
		 * while that lasts; and nothing in its files keeps it, though no signal can reach it any more */
		signal_group_exit(p, wait_status);
		thread_notify(t, NOTIFY_KILL);
		leave_session(p);
		process_keep_peak(p);
		process_release(p);
		vfork_release(p);
		process_count_last(p, t);
		process_zombie(p, signal_exit_status(p));
	}
	process_put(p);
	thread_exit();
}
