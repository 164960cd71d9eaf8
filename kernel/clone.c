/* SPDX-License-Identifier: MIT */
/* clone(2) as posix_spawn uses it: a child that borrows the parent's memory until it execs or exits, while the parent
 * sleeps (CLONE_VM|CLONE_VFORK). A child with a copy of the memory, and threads, come with copy-on-write. */
#include "kernel/clone.h"
#include <linux/sched.h>
#include "fs/fdtable.h"
#include "kernel/context.h"
#include "kernel/core/log.h"
#include "kernel/exit.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/spawn.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"

/* What a new user thread starts with; it frees it. */
struct user_start {
	struct trap_frame frame;
	uint64_t tls;
};

static void enter_user(void *arg)
{
	struct user_start *s = arg, start = *s;

	kfree(s);
	arch_enter_user(&start.frame, start.tls);
}

struct thread *user_thread_create(struct process *p, const struct trap_frame *frame, uint64_t tls)
{
	struct user_start *s = kmalloc(sizeof(*s));
	struct thread *t;

	if (!s)
		return NULL;
	s->frame = *frame;
	s->tls = tls;
	t = thread_create(p->name, enter_user, s, KSTACK_SIZE);
	if (!t) {
		kfree(s);
		return NULL;
	}
	t->user = true;
	t->space = p->space;
	process_get(p);
	process_add_thread(p, t);
	return t;
}

/* The child's files, directory and memory, as flags say. What was made is undone by process_release(). */
static int share_resources(struct process *child, struct process *parent, uint64_t flags)
{
	child->files =
		(flags & CLONE_FILES) ? fdtable_get(parent->files) : fdtable_clone(parent->files);
	child->fs = fs_context_clone(parent->fs, child);
	if (!child->files || !child->fs)
		return -ENOMEM;
	vm_space_get(parent->space);
	child->space = parent->space;
	if (parent->exe)
		child->exe = file_get(parent->exe);
	return 0;
}

static struct thread *create_child(struct process *parent, uint64_t flags, uint64_t stack,
				   struct process **out)
{
	struct process *child = process_create(parent, parent->name);
	struct trap_frame frame = *arch_user_frame();
	struct thread *t;

	if (!child)
		return NULL;
	frame.x[0] = 0;
	frame.syscall = -1;
	if (stack)
		frame.sp_el0 = stack;
	if (share_resources(child, parent, flags) < 0)
		goto undo;
	t = user_thread_create(child, &frame, arch_user_tls());
	if (!t)
		goto undo;
	t->sig_blocked = current_thread()->sig_blocked;
	process_join_group_of(child, parent);
	*out = child;
	return t;
undo:
	process_release(child);
	process_abandon(child);
	return NULL;
}

/* Sleep until the child lets go of our memory. A kill ends our wait, not the child. */
static void wait_for_vfork(struct vfork_wait *v)
{
	int ignored = wait_event_killable(&v->wq, atomic_load_acquire(&v->done));

	(void)ignored;
	vfork_wait_put(v);
}

int64_t sys_clone(const uint64_t a[6])
{
	uint64_t flags = a[0] & ~0xffUL, stack = a[1];
	struct process *parent = current_process(), *child;
	struct vfork_wait *v;
	struct thread *t;
	int pid;

	if ((a[0] & 0xff) != SIG_CHLD || (flags & ~CLONE_FILES) != (CLONE_VM | CLONE_VFORK))
		return -ENOSYS;
	v = vfork_wait_create();
	if (!v)
		return -ENOMEM;
	t = create_child(parent, flags, stack, &child);
	if (!t) {
		vfork_wait_put(v);
		vfork_wait_put(v);
		return -ENOMEM;
	}
	child->vfork = v;
	pid = child->pid;
	process_publish(child, parent);
	/* A signal to our group that came before the child was a member found only us: what ends us now ends it, as if it
	 * had not been made. */
	if (thread_killed(current_thread()))
		signal_send(child, SIG_KILL);
	thread_start(t);
	thread_put(t);
	process_put(child);
	wait_for_vfork(v);
	return pid;
}
