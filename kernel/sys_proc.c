/* SPDX-License-Identifier: MIT */
/* System calls on processes. */
#include <linux/fcntl.h>
#include <linux/resource.h>
#include "fs/fdtable.h"
#include "kernel/clone.h"
#include "kernel/context.h"
#include "kernel/exec.h"
#include "kernel/exit.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"

#define PID_INT(x)	  ((int)(uint32_t)(x))
#define EXIT_STATUS(code) (((int)(code)&0xff) << 8)

/* --- programs ----------------------------------------------------------------------------------------------- */

/* Collect a NULL-terminated user array of strings. */
static int add_user_strings(struct exec_args *args, vaddr_t list, unsigned *count)
{
	for (; list; list += sizeof(uint64_t)) {
		uint64_t s;
		int err = user_copy_from(&s, list, sizeof(s));

		if (err < 0 || s == 0)
			return err;
		err = exec_args_add_user(args, s, count);
		if (err < 0)
			return err;
	}
	return 0;
}

/* argv and envp of the caller for the program at w, which is told this name. */
static int load_from_user(struct process *p, const struct where *w, const char *name, vaddr_t argv,
			  vaddr_t envp, struct exec_image *img)
{
	const struct exec_source from = { fs_context(), w->dir, w->path, w->how, name };
	struct exec_args args;
	int err;

	exec_args_init(&args, rlimit_cur(p, RLIMIT_STACK), name);
	err = add_user_strings(&args, argv, &args.argc);
	if (err == 0 && args.argc == 0)
		err = exec_args_add(&args, "", &args.argc);
	if (err == 0)
		err = add_user_strings(&args, envp, &args.envc);
	if (err == 0)
		err = exec_load(p, &from, &args, img);
	exec_args_free(&args);
	return err;
}

/* The name of a program that was found from a descriptor. */
static char *name_by_fd(int fd, const char *path)
{
	size_t size = strlen(path) + sizeof("/dev/fd/-2147483648/");
	char *name = kmalloc(size);

	if (name)
		fmt_print(name, size, *path ? "/dev/fd/%d/%s" : "/dev/fd/%d", fd, path);
	return name;
}

static void set_files(struct process *p, void *files)
{
	p->files = files;
}

/* The descriptors of a child made with CLONE_FILES are its parent's too: the new program gets a table of its own, for
 * exec closes some. */
int process_own_files(struct process *p)
{
	struct fdtable *shared = p->files, *own;

	if (!fdtable_is_shared(shared))
		return 0;
	/* the other threads would have to get it as well */
	if (READ_ONCE(p->nr_threads) > 1)
		return -ENOSYS;
	own = fdtable_clone(shared);
	if (!own)
		return -ENOMEM;
	process_inspect(p, set_files, own);
	fdtable_put(shared);
	return 0;
}

static int64_t exec_at(uint64_t dirfd, const uint64_t a[3], uint64_t at_flags)
{
	struct process *p = current_process();
	struct exec_image img;
	struct where w;
	char *name = NULL;
	int err = where_get(&w, dirfd, a[0], at_flags);

	if (err < 0)
		return err;
	if (w.file)
		name = name_by_fd((int)dirfd, w.path);
	err = w.file && !name ? -ENOMEM
			      : load_from_user(p, &w, name ? name : w.path, a[1], a[2], &img);
	kfree(name);
	where_put(&w);
	if (err < 0)
		return err;
	err = process_survive(p);
	if (err == 0)
		err = process_own_files(p);
	if (err < 0) {
		exec_image_free(&img);
		return err;
	}
	exec_become(p, &img);
}

int64_t sys_execve(const uint64_t a[6])
{
	return exec_at((uint64_t)AT_FDCWD, a, 0);
}

int64_t sys_execveat(const uint64_t a[6])
{
	if (a[4] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return exec_at(a[0], a + 1, a[4]);
}

int64_t sys_exit(const uint64_t a[6])
{
	exit_current(EXIT_STATUS(a[0]));
}

int64_t sys_exit_group(const uint64_t a[6])
{
	signal_group_exit(current_process(), EXIT_STATUS(a[0]));
	exit_current(signal_exit_status(current_process()));
}

/* --- identity ------------------------------------------------------------------------------------------------------ */

int64_t sys_getpid(const uint64_t a[6])
{
	return current_process()->pid;
}

int64_t sys_gettid(const uint64_t a[6])
{
	return current_thread()->tid;
}

int64_t sys_getppid(const uint64_t a[6])
{
	return READ_ONCE(current_process()->parent_pid);
}

int64_t sys_getpgid(const uint64_t a[6])
{
	return process_get_group_id(current_process(), PID_INT(a[0]));
}

int64_t sys_setpgid(const uint64_t a[6])
{
	return process_set_group(current_process(), PID_INT(a[0]), PID_INT(a[1]));
}

int64_t sys_getsid(const uint64_t a[6])
{
	return process_get_session_id(current_process(), PID_INT(a[0]));
}

int64_t sys_setsid(const uint64_t a[6])
{
	return process_set_session(current_process());
}

int64_t sys_set_tid_address(const uint64_t a[6])
{
	current_thread()->clear_tid = a[0];
	return sys_gettid(a);
}
