/* SPDX-License-Identifier: MIT */
/* How a process ends: each thread comes here by itself, at its return to user mode or in exit(2) (RC-016). */
#include "kernel/exit.h"
#include "drivers/tty/tty.h"
#include "fs/fdtable.h"
#include "kernel/context.h"
#include "kernel/proc/lifecycle.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"

void vfork_release(struct process *p)
{
	struct vfork_wait *v = __atomic_exchange_n(&p->vfork, NULL, __ATOMIC_ACQ_REL);

	if (!v)
		return;
	atomic_store_release(&v->done, true);
	wake_all(&v->wq);
	vfork_wait_put(v);
}

void process_release(struct process *p)
{
	struct fdtable *files = p->files;
	struct vfs_context *fs = p->fs;
	struct vm_space *space = p->space;
	struct file *exe = p->exe;

	p->files = NULL;
	p->fs = NULL;
	p->space = NULL;
	p->exe = NULL;
	if (files)
		fdtable_put(files);
	if (fs)
		fs_context_destroy(fs);
	if (exe)
		file_put(exe);
	if (space)
		vm_space_put(space);
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
	tty_session_end(s);
	session_put(s);
}

void exit_current(int wait_status)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	bool last;

	/* I-PROC-3 */
	lock_check_none_held("exit");
	if (t->clear_tid) {
		uint32_t zero = 0;
		int ignored = user_copy_to(t->clear_tid, &zero, sizeof(zero));

		(void)ignored;
	}
	last = process_remove_thread(p, t);
	if (last) {
		leave_session(p);
		space_switch(NULL);
		process_release(p);
		vfork_release(p);
		process_account(p, t->runtime_ns);
		process_zombie(p, wait_status);
	} else {
		space_switch(NULL);
	}
	process_put(p);
	thread_exit();
}
