/* SPDX-License-Identifier: MIT */
#include "kernel/spawn.h"
#include <linux/resource.h>
#include "drivers/tty/tty.h"
#include "fs/fdtable.h"
#include "kernel/clone.h"
#include "kernel/context.h"
#include "kernel/exec.h"
#include "kernel/exit.h"
#include "kernel/proc/lifecycle.h"
#include "lib/errno.h"
#include "lib/string.h"

static int add_strings(struct exec_args *args, const char *const *list, unsigned *count)
{
	int err = 0;

	for (; err == 0 && list && *list; list++)
		err = exec_args_add(args, *list, count);
	return err;
}

static void set_user(struct process *p, const struct spawn_args *a)
{
	struct credentials *c = &p->cred;

	ASSERT(a->nr_groups <= CRED_GROUPS);
	c->uid = c->euid = c->suid = c->fsuid = a->uid;
	c->gid = c->egid = c->sgid = c->fsgid = a->gid;
	c->nr_groups = a->nr_groups;
	if (a->nr_groups > 0)
		memcpy(c->groups, a->groups, a->nr_groups * sizeof(c->groups[0]));
}

static int set_stdio(struct process *p, const struct spawn_args *a)
{
	for (int fd = 0; fd < 3; fd++) {
		int err;

		if (!a->stdio[fd])
			continue;
		err = fdtable_install_at(p->files, fd, file_get(a->stdio[fd]), false, 3);
		if (err < 0) {
			file_put(a->stdio[fd]);
			return err;
		}
	}
	return 0;
}

static int set_terminal(struct process *p, struct file *tty)
{
	struct session *s = session_of(p);
	int err = tty_set_controlling(tty, s);

	session_put(s);
	return err;
}

/* Files, directory, session: all but the program itself. */
static int set_surroundings(struct process *p, const struct spawn_args *a)
{
	struct dentry *cwd;
	int err;

	p->files = fdtable_create();
	p->fs = fs_state_create(p);
	if (!p->files || !p->fs)
		return -ENOMEM;
	err = set_stdio(p, a);
	if (err == 0)
		err = process_new_session(p);
	if (err == 0 && a->cwd && vfs_lookup_dir(&p->fs->ctx, NULL, a->cwd, &cwd) == 0) {
		dentry_put(p->fs->ctx.cwd);
		p->fs->ctx.cwd = cwd;
	}
	return err;
}

static int load_program(struct process *p, const struct spawn_args *a)
{
	const struct exec_source from = { &p->fs->ctx, NULL, a->path, VFS_FOLLOW, a->path };
	struct exec_args args;
	struct exec_image img;
	struct thread *t;
	int err;

	exec_args_init(&args, rlimit_cur(p, RLIMIT_STACK), a->path);
	err = add_strings(&args, a->argv, &args.argc);
	if (err == 0)
		err = add_strings(&args, a->envp, &args.envc);
	if (err == 0)
		err = exec_load(p, &from, &args, &img);
	exec_args_free(&args);
	if (err < 0)
		return err;
	exec_adopt(p, &img);
	t = user_thread_create(p, &img.frame, 0);
	if (!t)
		return -ENOMEM;
	process_add_thread(p, t);
	process_publish(p, NULL, false);
	if (a->tty)
		err = set_terminal(p, a->tty);
	thread_start(t);
	thread_put(t);
	if (err < 0)
		signal_send(p, SIG_KILL);
	return 0;
}

int process_spawn(const struct spawn_args *a, struct process **out)
{
	struct process *p = process_create(NULL, "spawn");
	int err;

	if (!p)
		return -ENOMEM;
	set_user(p, a);
	err = set_surroundings(p, a);
	if (err == 0)
		err = load_program(p, a);
	if (err < 0) {
		process_release(p);
		process_abandon(p);
		return err;
	}
	*out = p;
	return 0;
}

bool process_exited(struct process *p, int *status)
{
	return process_zombie_status(p, status);
}

int process_signal_session(struct process *p, int sig, uint32_t uid)
{
	struct session *s = session_of(p);
	unsigned sent;

	if (!s)
		return -EPERM;
	sent = signal_send_session(s, sig, uid);
	session_put(s);
	return sent ? 0 : -EPERM;
}
