/* SPDX-License-Identifier: MIT */
/* System calls that take names. */
#include <linux/fcntl.h>
#include "fs/fdtable.h"
#include "fs/vfs.h"
#include "kernel/context.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"

#define FD_INT(x) ((int)(uint32_t)(x))

/* A path and the directory it starts from. */
struct where {
	char *path;
	struct file *dir_file; /* keeps dir alive */
	struct dentry *dir;    /* NULL: the working directory */
};

static int where_get(struct where *w, uint64_t dirfd, vaddr_t user_path)
{
	ssize_t n;

	*w = (struct where){ 0 };
	w->path = kmalloc(VFS_PATH_MAX);
	if (!w->path)
		return -ENOMEM;
	n = user_copy_string(w->path, user_path, VFS_PATH_MAX);
	if (n < 0)
		goto fail;
	if (FD_INT(dirfd) != AT_FDCWD && w->path[0] != '/') {
		w->dir_file = fd_get(dirfd);
		n = -EBADF;
		if (!w->dir_file)
			goto fail;
		w->dir = w->dir_file->dentry;
		n = -ENOTDIR;
		if (!w->dir)
			goto fail_file;
	}
	return 0;
fail_file:
	file_put(w->dir_file);
fail:
	kfree(w->path);
	return (int)n;
}

static void where_put(struct where *w)
{
	if (w->dir_file)
		file_put(w->dir_file);
	kfree(w->path);
}

static const struct vfs_context *ctx(void)
{
	return fs_context();
}

int64_t sys_openat(const uint64_t a[6])
{
	uint32_t flags = (uint32_t)a[2] & ~(uint32_t)O_LARGEFILE;
	struct file *f = NULL;
	struct where w;
	int64_t err = where_get(&w, a[0], a[1]);

	if (err < 0)
		return err;
	err = vfs_open(ctx(), w.dir, w.path, flags, (uint32_t)a[3] & 07777, &f);
	where_put(&w);
	return err < 0 ? err : fd_install(f, 0, a[2] & O_CLOEXEC);
}

int64_t sys_newfstatat(const uint64_t a[6])
{
	struct kstat k;
	struct where w;
	int64_t err;

	if (a[3] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
		return -EINVAL;
	err = where_get(&w, a[0], a[1]);
	if (err < 0)
		return err;
	if (w.path[0] == '\0' && (a[3] & AT_EMPTY_PATH)) {
		const uint64_t fstat_args[6] = { a[0], a[2] };

		where_put(&w);
		return sys_fstat(fstat_args);
	}
	err = vfs_stat(ctx(), w.dir, w.path, !(a[3] & AT_SYMLINK_NOFOLLOW), &k);
	where_put(&w);
	return err < 0 ? err : stat_to_user(&k, a[2]);
}

int64_t sys_faccessat(const uint64_t a[6])
{
	struct where w;
	int64_t err = where_get(&w, a[0], a[1]);

	if (err < 0)
		return err;
	err = (a[2] & ~7UL) ? -EINVAL : vfs_access(ctx(), w.dir, w.path, (unsigned)a[2]);
	where_put(&w);
	return err;
}

int64_t sys_mkdirat(const uint64_t a[6])
{
	struct where w;
	int64_t err = where_get(&w, a[0], a[1]);

	if (err < 0)
		return err;
	err = vfs_mkdir(ctx(), w.dir, w.path, (uint32_t)a[2] & 01777);
	where_put(&w);
	return err;
}

int64_t sys_unlinkat(const uint64_t a[6])
{
	struct where w;
	int64_t err;

	if (a[2] & ~(uint64_t)AT_REMOVEDIR)
		return -EINVAL;
	err = where_get(&w, a[0], a[1]);
	if (err < 0)
		return err;
	err = vfs_unlink(ctx(), w.dir, w.path, a[2] & AT_REMOVEDIR);
	where_put(&w);
	return err;
}

typedef int (*two_paths_fn)(const struct vfs_context *, struct dentry *, const char *,
			    struct dentry *, const char *);

static int64_t two_paths(two_paths_fn fn, uint64_t fd1, uint64_t path1, uint64_t fd2,
			 uint64_t path2)
{
	struct where from, to;
	int64_t err = where_get(&from, fd1, path1);

	if (err < 0)
		return err;
	err = where_get(&to, fd2, path2);
	if (err == 0) {
		err = fn(ctx(), from.dir, from.path, to.dir, to.path);
		where_put(&to);
	}
	where_put(&from);
	return err;
}

/* What musl's rename() calls. */
int64_t sys_renameat(const uint64_t a[6])
{
	return two_paths(vfs_rename, a[0], a[1], a[2], a[3]);
}

int64_t sys_renameat2(const uint64_t a[6])
{
	return a[4] ? -EINVAL : two_paths(vfs_rename, a[0], a[1], a[2], a[3]);
}

int64_t sys_linkat(const uint64_t a[6])
{
	return a[4] ? -EINVAL : two_paths(vfs_link, a[0], a[1], a[2], a[3]);
}

int64_t sys_symlinkat(const uint64_t a[6])
{
	struct where target, w;
	int64_t err = where_get(&target, (uint64_t)AT_FDCWD, a[0]);

	if (err < 0)
		return err;
	err = where_get(&w, a[1], a[2]);
	if (err == 0) {
		err = vfs_symlink(ctx(), target.path, w.dir, w.path);
		where_put(&w);
	}
	where_put(&target);
	return err;
}

int64_t sys_readlinkat(const uint64_t a[6])
{
	size_t size = MIN(a[3], (uint64_t)VFS_PATH_MAX);
	struct where w;
	ssize_t n;
	char *buf;
	int64_t err;

	if ((int64_t)a[3] <= 0)
		return -EINVAL;
	err = where_get(&w, a[0], a[1]);
	if (err < 0)
		return err;
	buf = kmalloc(VFS_PATH_MAX);
	n = buf ? vfs_readlink(ctx(), w.dir, w.path, buf, size) : -ENOMEM;
	if (n > 0 && user_copy_to(a[2], buf, (size_t)n) < 0)
		n = -EFAULT;
	kfree(buf);
	where_put(&w);
	return n;
}

int64_t sys_fchmodat(const uint64_t a[6])
{
	struct where w;
	int64_t err = where_get(&w, a[0], a[1]);

	if (err < 0)
		return err;
	err = vfs_chmod(ctx(), w.dir, w.path, (uint32_t)a[2] & 07777);
	where_put(&w);
	return err;
}

int64_t sys_fchownat(const uint64_t a[6])
{
	struct where w;
	int64_t err = a[4] ? -EINVAL : where_get(&w, a[0], a[1]);

	if (err < 0)
		return err;
	err = vfs_chown(ctx(), w.dir, w.path, (uint32_t)a[2], (uint32_t)a[3]);
	where_put(&w);
	return err;
}

int64_t sys_getcwd(const uint64_t a[6])
{
	char *buf = kmalloc(VFS_PATH_MAX);
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	n = vfs_path_of(ctx(), ctx()->cwd, buf, MIN(a[1], (uint64_t)VFS_PATH_MAX));
	if (n > 0 && user_copy_to(a[0], buf, (size_t)n) < 0)
		n = -EFAULT;
	kfree(buf);
	return n;
}

int64_t sys_chdir(const uint64_t a[6])
{
	struct dentry *d;
	struct where w;
	int64_t err = where_get(&w, (uint64_t)AT_FDCWD, a[0]);

	if (err < 0)
		return err;
	err = vfs_lookup_dir(ctx(), NULL, w.path, &d);
	where_put(&w);
	if (err == 0)
		fs_set_cwd(d);
	return err;
}

int64_t sys_fchdir(const uint64_t a[6])
{
	struct file *f = fd_get(a[0]);
	struct dentry *d;
	int64_t err = -ENOTDIR;

	if (!f)
		return -EBADF;
	if (f->dentry)
		err = vfs_lookup_dir(ctx(), f->dentry, ".", &d);
	file_put(f);
	if (err == 0)
		fs_set_cwd(d);
	return err;
}

int64_t sys_umask(const uint64_t a[6])
{
	return fs_set_umask((uint32_t)a[0] & 0777);
}
