/* SPDX-License-Identifier: MIT */
/* clone(2): a new process, with a copy of the caller's memory or the use of it, or a new thread of the caller's process.
 * Everything that can fail is done before the new one can be seen. */
#include "kernel/clone.h"
#include <linux/sched.h>
#include "fs/fdtable.h"
#include "kernel/context.h"
#include "kernel/exit.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/spawn.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"

#define CLONE_NAMESPACES                                                                           \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)
/* What a thread shares with the others of its process: all of it, or it is none. */
#define THREAD_SHARES (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND)

/* What a new user thread starts with; it frees it. */
struct user_start {
	struct trap_frame frame;
	vaddr_t set_tid; /* where it writes its number; 0: nowhere */
};

static void enter_user(void *arg)
{
	struct user_start *s = arg, start = *s;
	int tid = current_thread()->tid;

	kfree(s);
	if (start.set_tid)
		IGNORE(user_copy_to(start.set_tid, &tid, sizeof(tid)));
	arch_enter_user(&start.frame);
}

struct thread *user_thread_create(struct process *p, const struct trap_frame *frame,
				  vaddr_t set_tid)
{
	struct user_start *s = kmalloc(sizeof(*s));
	struct thread *t;

	if (!s)
		return NULL;
	s->frame = *frame;
	s->set_tid = set_tid;
	t = thread_create(p->name, enter_user, s, KSTACK_SIZE);
	if (!t) {
		kfree(s);
		return NULL;
	}
	t->user = true;
	t->space = p->space;
	return t;
}

/* A thread of p, which has its memory and files, that goes on where the caller is. */
static struct thread *copy_thread(struct process *p, const uint64_t a[6])
{
	struct thread *self = current_thread(), *t;
	struct trap_frame frame = *arch_user_frame();
	uint64_t flags = a[0];

	frame.x[0] = 0;
	frame.syscall = -1;
	if (a[1])
		frame.sp_el0 = a[1];
	t = user_thread_create(p, &frame, (flags & CLONE_CHILD_SETTID) ? a[4] : 0);
	if (!t)
		return NULL;
	/* what is shared is used by copies from now on */
	if ((flags & CLONE_FS) &&
	    (fs_copy_create(self, self->process) < 0 || fs_copy_create(t, p) < 0))
		goto discard;
	arch_user_copy(&t->arch, (flags & CLONE_SETTLS) ? a[3] : arch_user_tls());
	t->sig_blocked = self->sig_blocked;
	/* two threads cannot both use it */
	if ((flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM)
		t->sig.alt = self->sig.alt;
	if (flags & CLONE_CHILD_CLEARTID)
		t->clear_tid = a[4];
	IGNORE(thread_set_nice(t, READ_ONCE(self->nice)));
	IGNORE(thread_set_affinity(t, READ_ONCE(self->affinity)));
	return t;
discard:
	kfree(t->arg);
	thread_put(t);
	return NULL;
}

/* It has its number: the caller's memory is told of it before it runs. */
static int start_thread(struct thread *t, const uint64_t a[6])
{
	int tid = t->tid;

	if (a[0] & CLONE_PARENT_SETTID)
		IGNORE(user_copy_to(a[2], &tid, sizeof(tid)));
	thread_start(t);
	thread_put(t);
	return tid;
}

static int64_t clone_thread(struct process *p, const uint64_t a[6])
{
	struct thread *t = copy_thread(p, a);

	if (!t)
		return -ENOMEM;
	process_add_thread(p, t);
	return start_thread(t, a);
}

/* --- processes ------------------------------------------------------------------------------------------------- */

static int share_place(struct process *child, struct process *parent, uint64_t flags)
{
	if (flags & CLONE_FS) {
		ASSERT(refcount_get(&parent->fs->ref));
		child->fs = parent->fs;
		return 0;
	}
	child->fs = fs_state_clone(parent->fs, child);
	return child->fs ? 0 : -ENOMEM;
}

static int share_memory(struct process *child, struct process *parent, uint64_t flags)
{
	if (!(flags & CLONE_VM))
		return vm_space_fork(parent->space, &child->space);
	vm_space_get(parent->space);
	child->space = parent->space;
	return 0;
}

/* The child's files, directory and memory, as flags say. What was made is undone by process_release(). */
static int share_resources(struct process *child, struct process *parent, uint64_t flags)
{
	int err;

	child->files =
		(flags & CLONE_FILES) ? fdtable_get(parent->files) : fdtable_clone(parent->files);
	err = child->files ? share_place(child, parent, flags) : -ENOMEM;
	if (err == 0)
		err = share_memory(child, parent, flags);
	if (err == 0)
		child->exe = process_exe_get(parent);
	return err;
}

/* The child is of our group from the first moment: a signal to the group finds it, or found us before, and then is dealt
 * with first. */
static int create_child(struct process *parent, const uint64_t a[6], struct process **out,
			struct thread **thread)
{
	struct process *child = process_create(parent, parent->name);
	int err;

	if (!child)
		return -ENOMEM;
	child->exit_signal = (int)(a[0] & CSIGNAL);
	process_join_group_of(child, parent);
	err = signal_pending_current() ? -ERESTARTNOINTR : share_resources(child, parent, a[0]);
	*thread = err == 0 ? copy_thread(child, a) : NULL;
	if (!*thread) {
		process_release(child);
		process_abandon(child);
		return err < 0 ? err : -ENOMEM;
	}
	process_add_thread(child, *thread);
	*out = child;
	return 0;
}

/* Sleep until the child lets go of our memory. A kill ends our wait, not the child. */
static void wait_for_vfork(struct vfork_wait *v)
{
	IGNORE(wait_event_killable(&v->wq, atomic_load_acquire(&v->done)));

	vfork_wait_put(v);
}

static int64_t clone_process(struct process *parent, const uint64_t a[6])
{
	struct vfork_wait *v = NULL;
	struct process *child;
	struct thread *t;
	int err, pid;

	if (a[0] & CLONE_VFORK) {
		v = vfork_wait_create();
		if (!v)
			return -ENOMEM;
	}
	err = create_child(parent, a, &child, &t);
	if (err < 0) {
		kfree(v);
		return err;
	}
	child->vfork = v;
	process_publish(child, parent, a[0] & CLONE_PARENT);
	pid = start_thread(t, a);
	process_put(child);
	if (v)
		wait_for_vfork(v);
	return pid;
}

/* 0; -EINVAL: contradictory, or namespaces and such; -ENOSYS: Linux has it, we have not. */
static int check_flags(uint64_t flags)
{
	if (flags & (CLONE_NAMESPACES | CLONE_PIDFD))
		return -EINVAL;
	if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
		return -EINVAL;
	if ((flags & CLONE_PARENT) && current_process()->pid == 1)
		return -EINVAL;
	if (flags & CLONE_THREAD)
		return (flags & (THREAD_SHARES | CLONE_VFORK)) == THREAD_SHARES ? 0 : -ENOSYS;
	return (flags & CLONE_SIGHAND) ? -ENOSYS : 0;
}

int64_t sys_clone(const uint64_t a[6])
{
	struct process *p = current_process();
	int err = check_flags((uint32_t)a[0]);

	if (err < 0)
		return err;
	if (!process_may_multiply(p))
		return -EAGAIN;
	return (a[0] & CLONE_THREAD) ? clone_thread(p, a) : clone_process(p, a);
}
