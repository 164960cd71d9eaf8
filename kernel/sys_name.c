/* SPDX-License-Identifier: MIT */
/* System calls that take names. */
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/time_types.h>
#include "fs/vfs.h"
#include "kernel/context.h"
#include "kernel/core/clock.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"

#define FD_INT(x) ((int)(uint32_t)(x))
/* In tv_nsec; no header of the kernel has them. */
#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

/* The path is copied anew if it turns out to be long: only then is it worth an allocation. */
static int path_get(struct where *w, vaddr_t user_path)
{
	ssize_t n = user_copy_string(w->near, user_path, sizeof(w->near));

	w->path = w->near;
	if (n != -ENAMETOOLONG)
		return (int)MIN(n, (ssize_t)0);
	w->buf = kmalloc(VFS_PATH_MAX);
	if (!w->buf)
		return -ENOMEM;
	w->path = w->buf;
	n = user_copy_string(w->buf, user_path, VFS_PATH_MAX);
	if (n < 0)
		kfree(w->buf);
	return (int)MIN(n, (ssize_t)0);
}

int where_get(struct where *w, uint64_t dirfd, vaddr_t user_path, uint64_t at_flags)
{
	int err;

	w->how = ((at_flags & AT_SYMLINK_NOFOLLOW) ? 0 : VFS_FOLLOW) |
		 ((at_flags & AT_EMPTY_PATH) ? VFS_EMPTY : 0);
	w->file = NULL;
	w->dir = NULL;
	w->buf = NULL;
	err = path_get(w, user_path);
	if (err || FD_INT(dirfd) == AT_FDCWD || w->path[0] == '/')
		return err;
	w->file = fd_get(dirfd);
	err = -EBADF;
	if (!w->file)
		goto fail;
	w->dir = w->file->dentry;
	if (w->dir || !w->path[0])
		return 0;
	err = -ENOTDIR;
	file_put(w->file);
fail:
	kfree(w->buf);
	return err;
}

/* What fd stands for, as if named. */
static int where_fd(struct where *w, uint64_t fd)
{
	w->path = "";
	w->buf = NULL;
	w->how = VFS_EMPTY;
	w->file = fd_get(fd);
	if (!w->file)
		return -EBADF;
	w->dir = w->file->dentry;
	if (!(w->file->flags & O_PATH))
		return 0;
	file_put(w->file);
	return -EBADF;
}

void where_put(struct where *w)
{
	if (w->file)
		file_put(w->file);
	kfree(w->buf);
}

static const struct vfs_context *ctx(void)
{
	return fs_context();
}

typedef int64_t (*where_fn)(const struct where *w, const uint64_t a[6]);

/* Call fn for a place and let go of it. What has no name has no inode to change. */
static int64_t at_where(int err, struct where *w, where_fn fn, const uint64_t a[6])
{
	int64_t ret = err;

	if (err < 0)
		return err;
	ret = w->file && !w->dir ? -EINVAL : fn(w, a);
	where_put(w);
	return ret;
}

static int64_t at_path(uint64_t dirfd, vaddr_t path, uint64_t flags, where_fn fn,
		       const uint64_t a[6])
{
	struct where w;

	return at_where(where_get(&w, dirfd, path, flags), &w, fn, a);
}

static int64_t at_fd(uint64_t fd, where_fn fn, const uint64_t a[6])
{
	struct where w;

	return at_where(where_fd(&w, fd), &w, fn, a);
}

static int64_t do_open(const struct where *w, const uint64_t a[6])
{
	struct file *f = NULL;
	int err = vfs_open(ctx(), w->dir, w->path, (uint32_t)a[2] | VFS_O_LARGEFILE,
			   (uint32_t)a[3] & 07777, &f);

	return err < 0 ? err : fd_install(f, 0, a[2] & O_CLOEXEC);
}

int64_t sys_openat(const uint64_t a[6])
{
	return at_path(a[0], a[1], 0, do_open, a);
}

/* --- rights --------------------------------------------------------------------------------------------------- */

/* Asked for whom the process works for, not with what rights: by the real ids. */
static int64_t access_by_real_ids(const struct where *w, unsigned rwx)
{
	const struct credentials *cred = &current_process()->cred;
	struct vfs_context real = *ctx();

	real.cred.uid = READ_ONCE(cred->uid);
	real.cred.gid = READ_ONCE(cred->gid);
	return vfs_access(&real, w->dir, w->path, w->how, rwx);
}

static int64_t do_access(const struct where *w, const uint64_t a[6])
{
	if (a[3] & AT_EACCESS)
		return vfs_access(ctx(), w->dir, w->path, w->how, (unsigned)a[2]);
	return access_by_real_ids(w, (unsigned)a[2]);
}

int64_t sys_faccessat2(const uint64_t a[6])
{
	if ((a[2] & ~7UL) || (a[3] & ~(uint64_t)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	return at_path(a[0], a[1], a[3], do_access, a);
}

int64_t sys_faccessat(const uint64_t a[6])
{
	return sys_faccessat2((const uint64_t[6]){ a[0], a[1], a[2] });
}

/* fchmodat's and fchmod's arguments end alike. */
static int64_t do_chmodat(const struct where *w, const uint64_t a[6])
{
	return vfs_chmod(ctx(), w->dir, w->path, w->how, (uint32_t)a[2]);
}

int64_t sys_fchmodat(const uint64_t a[6])
{
	return at_path(a[0], a[1], 0, do_chmodat, a);
}

int64_t sys_fchmod(const uint64_t a[6])
{
	return at_fd(a[0], do_chmodat, (const uint64_t[6]){ a[0], 0, a[1] });
}

static int64_t do_chown(const struct where *w, const uint64_t a[6])
{
	return vfs_chown(ctx(), w->dir, w->path, w->how, (uint32_t)a[2], (uint32_t)a[3]);
}

int64_t sys_fchownat(const uint64_t a[6])
{
	if (a[4] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return at_path(a[0], a[1], a[4], do_chown, a);
}

int64_t sys_fchown(const uint64_t a[6])
{
	return at_fd(a[0], do_chown, (const uint64_t[6]){ a[0], 0, a[1], a[2] });
}

/* --- sizes and times ---------------------------------------------------------------------------------------------- */

static int64_t do_truncate(const struct where *w, const uint64_t a[6])
{
	int64_t err = check_new_size(a[1]);

	return err < 0 ? err : vfs_truncate(ctx(), w->dir, w->path, a[1]);
}

int64_t sys_truncate(const uint64_t a[6])
{
	return (off_t)a[1] < 0 ? -EINVAL : at_path((uint64_t)AT_FDCWD, a[0], 0, do_truncate, a);
}

/* One of utimensat's two: what it means as VFS_TIME_* or nanoseconds, those before 1970 as 1970. */
static int file_time(const struct __kernel_timespec *ts, uint64_t *ns)
{
	static const int64_t last = INT64_MAX / (int64_t)NS_PER_S - 1;

	if (ts->tv_nsec == UTIME_NOW || ts->tv_nsec == UTIME_OMIT) {
		*ns = ts->tv_nsec == UTIME_NOW ? VFS_TIME_NOW : VFS_TIME_OMIT;
		return 0;
	}
	if (ts->tv_nsec < 0 || ts->tv_nsec >= (int64_t)NS_PER_S)
		return -EINVAL;
	*ns = 0;
	if (ts->tv_sec >= 0)
		*ns = (uint64_t)MIN(ts->tv_sec, last) * NS_PER_S + (uint64_t)ts->tv_nsec;
	return 0;
}

/* a[2] is here the address of the two times, in the kernel. */
static int64_t do_set_times(const struct where *w, const uint64_t a[6])
{
	return vfs_set_times(ctx(), w->dir, w->path, w->how, (const uint64_t *)a[2]);
}

int64_t sys_utimensat(const uint64_t a[6])
{
	uint64_t ns[2] = { VFS_TIME_NOW, VFS_TIME_NOW };
	const uint64_t args[6] = { a[0], a[1], (uintptr_t)ns };
	struct __kernel_timespec ts[2];
	int err = 0;

	if (a[2]) {
		err = user_copy_from(ts, a[2], sizeof(ts));
		if (err == 0)
			err = file_time(&ts[0], &ns[0]);
		if (err == 0)
			err = file_time(&ts[1], &ns[1]);
	}
	if (err < 0)
		return err;
	if (ns[0] == VFS_TIME_OMIT && ns[1] == VFS_TIME_OMIT)
		return 0;
	if (!a[1] && FD_INT(a[0]) != AT_FDCWD)
		return a[3] ? -EINVAL : at_fd(a[0], do_set_times, args);
	if (a[3] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return at_path(a[0], a[1], a[3], do_set_times, args);
}

/* --- names ---------------------------------------------------------------------------------------------------------- */

static int64_t do_mkdir(const struct where *w, const uint64_t a[6])
{
	return vfs_mkdir(ctx(), w->dir, w->path, (uint32_t)a[2]);
}

int64_t sys_mkdirat(const uint64_t a[6])
{
	return at_path(a[0], a[1], 0, do_mkdir, a);
}

static int64_t do_mknod(const struct where *w, const uint64_t a[6])
{
	return vfs_mknod(ctx(), w->dir, w->path, (uint32_t)a[2], (uint32_t)a[3]);
}

int64_t sys_mknodat(const uint64_t a[6])
{
	return at_path(a[0], a[1], 0, do_mknod, a);
}

static int64_t do_unlink(const struct where *w, const uint64_t a[6])
{
	return vfs_unlink(ctx(), w->dir, w->path, a[2] & AT_REMOVEDIR);
}

int64_t sys_unlinkat(const uint64_t a[6])
{
	return a[2] & ~(uint64_t)AT_REMOVEDIR ? -EINVAL : at_path(a[0], a[1], 0, do_unlink, a);
}

static int64_t two_paths(const uint64_t a[6], uint64_t at_flags,
			 int64_t (*fn)(const struct where *, const struct where *, uint64_t))
{
	struct where from, to;
	int64_t ret = where_get(&from, a[0], a[1], at_flags);

	if (ret < 0)
		return ret;
	ret = where_get(&to, a[2], a[3], 0);
	if (ret == 0) {
		ret = fn(&from, &to, a[4]);
		where_put(&to);
	}
	where_put(&from);
	return ret;
}

static int64_t do_rename(const struct where *from, const struct where *to, uint64_t flags)
{
	return vfs_rename(ctx(), from->dir, from->path, to->dir, to->path, (unsigned)flags);
}

int64_t sys_renameat2(const uint64_t a[6])
{
	return two_paths(a, 0, do_rename);
}

/* What musl's rename() calls. */
int64_t sys_renameat(const uint64_t a[6])
{
	return sys_renameat2((const uint64_t[6]){ a[0], a[1], a[2], a[3] });
}

/* A file without a name is given one by root alone: others might be given what they could not reach. */
static int64_t do_link(const struct where *from, const struct where *to, uint64_t flags)
{
	if (!*from->path && (flags & AT_EMPTY_PATH) && ctx()->cred.uid != 0)
		return -ENOENT;
	if (from->file && !from->dir)
		return -EXDEV;
	return vfs_link(ctx(), from->dir, from->path, from->how, to->dir, to->path);
}

int64_t sys_linkat(const uint64_t a[6])
{
	uint64_t nofollow = a[4] & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW;

	if (a[4] & ~(uint64_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	/* who was given a descriptor only could make a name of what he could not reach by one */
	if ((a[4] & AT_EMPTY_PATH) && ctx()->cred.uid != 0)
		return -ENOENT;
	return two_paths(a, (a[4] & AT_EMPTY_PATH) | nofollow, do_link);
}

static int64_t do_symlink(const struct where *target, const struct where *w, uint64_t flags)
{
	(void)flags;
	return vfs_symlink(ctx(), target->path, w->dir, w->path);
}

int64_t sys_symlinkat(const uint64_t a[6])
{
	return two_paths((const uint64_t[6]){ (uint64_t)AT_FDCWD, a[0], a[1], a[2] }, 0,
			 do_symlink);
}

static int64_t do_readlink(const struct where *w, const uint64_t a[6])
{
	size_t size = MIN(a[3], (uint64_t)VFS_PATH_MAX);
	char *buf = kmalloc(VFS_PATH_MAX);
	ssize_t n = buf ? vfs_readlink(ctx(), w->dir, w->path, buf, size) : -ENOMEM;

	if (n > 0 && user_copy_to(a[2], buf, (size_t)n) < 0)
		n = -EFAULT;
	kfree(buf);
	return n;
}

int64_t sys_readlinkat(const uint64_t a[6])
{
	return (int)a[3] <= 0 ? -EINVAL : at_path(a[0], a[1], 0, do_readlink, a);
}

/* --- places --------------------------------------------------------------------------------------------------------- */

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

static int64_t do_chdir(const struct where *w, const uint64_t a[6])
{
	struct dentry *d;
	int err = vfs_lookup_dir(ctx(), w->dir, w->path, &d);

	if (err == 0)
		fs_set_cwd(d);
	return err;
}

int64_t sys_chdir(const uint64_t a[6])
{
	return at_path((uint64_t)AT_FDCWD, a[0], 0, do_chdir, a);
}

int64_t sys_fchdir(const uint64_t a[6])
{
	struct where w = { .path = "", .file = fd_get(a[0]) };

	if (!w.file)
		return -EBADF;
	w.dir = w.file->dentry;
	if (w.dir)
		return at_where(0, &w, do_chdir, a);
	where_put(&w);
	return -ENOTDIR;
}

static int64_t do_chroot(const struct where *w, const uint64_t a[6])
{
	struct dentry *d;
	int err = vfs_lookup_dir(ctx(), w->dir, w->path, &d);

	if (err == 0)
		fs_set_root(d);
	return err;
}

int64_t sys_chroot(const uint64_t a[6])
{
	if (!caller_is_root())
		return -EPERM;
	return at_path((uint64_t)AT_FDCWD, a[0], 0, do_chroot, a);
}

/* --- file systems ---------------------------------------------------------------------------------------------------- */

/* A string argument that may be absent, in a buffer of VFS_PATH_MAX. 0 or -errno; *out is the caller's to free, always. */
static int optional_string(vaddr_t from, char **out)
{
	ssize_t n;

	*out = NULL;
	if (!from)
		return 0;
	*out = kmalloc(VFS_PATH_MAX);
	if (!*out)
		return -ENOMEM;
	n = user_copy_string(*out, from, VFS_PATH_MAX);
	return n < 0 ? (int)n : 0;
}

int64_t sys_mount(const uint64_t a[6])
{
	char *type = NULL, *options = NULL;
	struct where w;
	int64_t ret;

	if (!caller_is_root())
		return -EPERM;
	ret = where_get(&w, (uint64_t)AT_FDCWD, a[1], 0);
	if (ret < 0)
		return ret;
	ret = optional_string(a[2], &type);
	if (ret == 0)
		ret = optional_string(a[4], &options);
	if (ret == 0)
		ret = vfs_mount(ctx(), type ? type : "", w.path, a[3], options);
	kfree(options);
	kfree(type);
	where_put(&w);
	return ret;
}

static int64_t do_umount(const struct where *w, const uint64_t a[6])
{
	return vfs_umount(ctx(), w->path, (unsigned)a[1]);
}

int64_t sys_umount2(const uint64_t a[6])
{
	if (!caller_is_root())
		return -EPERM;
	return at_path((uint64_t)AT_FDCWD, a[0], 0, do_umount, a);
}

int64_t sys_umask(const uint64_t a[6])
{
	return fs_set_umask((uint32_t)a[0] & 0777);
}
