/* SPDX-License-Identifier: MIT */
/* System calls that tell about files and file systems. */
#include <linux/fcntl.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/stat.h>
#include "fs/inode.h"
#include "kernel/context.h"
#include "kernel/sys_priv.h"
#include "lib/string.h"
#include "mm/vm/user_copy.h"

/* The user's device numbers: Linux's 32-bit form, which is ours too. */
static uint32_t dev_major(uint64_t dev)
{
	return (uint32_t)(dev >> 8) & 0xfff;
}

static uint32_t dev_minor(uint64_t dev)
{
	return (uint32_t)((dev & 0xff) | (dev >> 12 & 0xfff00));
}

int64_t stat_to_user(const struct kstat *k, vaddr_t to)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	st.st_dev = k->dev;
	st.st_ino = k->ino;
	st.st_mode = k->mode;
	st.st_nlink = k->nlink;
	st.st_uid = k->uid;
	st.st_gid = k->gid;
	st.st_rdev = k->rdev;
	st.st_size = (long)k->size;
	st.st_blksize = (int)k->blksize;
	st.st_blocks = (long)k->blocks;
	st.st_atime = (long)(k->atime_ns / NS_PER_S);
	st.st_atime_nsec = k->atime_ns % NS_PER_S;
	st.st_mtime = (long)(k->mtime_ns / NS_PER_S);
	st.st_mtime_nsec = k->mtime_ns % NS_PER_S;
	st.st_ctime = (long)(k->ctime_ns / NS_PER_S);
	st.st_ctime_nsec = k->ctime_ns % NS_PER_S;
	return user_copy_to(to, &st, sizeof(st));
}

int64_t sys_fstat(const uint64_t a[6])
{
	struct borrowed b = fd_borrow(a[0]);
	struct kstat k;
	int64_t ret;

	if (!b.file)
		return -EBADF;
	ret = file_stat(b.file, &k);
	fd_return(b);
	return ret < 0 ? ret : stat_to_user(&k, a[1]);
}

#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)

/* What has no name is asked by its descriptor. */
static int64_t stat_at(uint64_t fd, vaddr_t path, uint64_t flags, struct kstat *k)
{
	struct where w;
	int64_t ret = where_get(&w, fd, path, flags);

	if (ret < 0)
		return ret;
	if (w.file && !*w.path && (w.how & VFS_EMPTY))
		ret = file_stat(w.file, k);
	else
		ret = vfs_stat(fs_context(), w.dir, w.path, w.how, k);
	where_put(&w);
	return ret;
}

int64_t sys_newfstatat(const uint64_t a[6])
{
	struct kstat k;
	int64_t ret = a[3] & ~(uint64_t)STAT_FLAGS ? -EINVAL : stat_at(a[0], a[1], a[3], &k);

	return ret < 0 ? ret : stat_to_user(&k, a[2]);
}

static struct statx_timestamp statx_time(uint64_t ns)
{
	return (struct statx_timestamp){ .tv_sec = (int64_t)(ns / NS_PER_S),
					 .tv_nsec = (uint32_t)(ns % NS_PER_S) };
}

int64_t sys_statx(const uint64_t a[6])
{
	struct statx st;
	struct kstat k;
	int64_t ret;

	if (((uint32_t)a[3] & STATX__RESERVED) ||
	    (a[2] & ~(uint64_t)(STAT_FLAGS | AT_STATX_SYNC_TYPE)) ||
	    (a[2] & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	ret = stat_at(a[0], a[1], a[2], &k);
	if (ret < 0)
		return ret;
	memset(&st, 0, sizeof(st));
	st.stx_mask = STATX_BASIC_STATS;
	st.stx_blksize = k.blksize;
	st.stx_nlink = k.nlink;
	st.stx_uid = k.uid;
	st.stx_gid = k.gid;
	st.stx_mode = (uint16_t)k.mode;
	st.stx_ino = k.ino;
	st.stx_size = k.size;
	st.stx_blocks = k.blocks;
	st.stx_atime = statx_time(k.atime_ns);
	st.stx_mtime = statx_time(k.mtime_ns);
	st.stx_ctime = statx_time(k.ctime_ns);
	st.stx_rdev_major = dev_major(k.rdev);
	st.stx_rdev_minor = dev_minor(k.rdev);
	st.stx_dev_major = dev_major(k.dev);
	st.stx_dev_minor = dev_minor(k.dev);
	return user_copy_to(a[4], &st, sizeof(st));
}

/* --- file systems --------------------------------------------------------------------------------------------------- */

static int64_t statfs_to_user(const struct kstatfs *k, vaddr_t to)
{
	struct statfs st;

	memset(&st, 0, sizeof(st));
	st.f_type = (long)k->magic;
	st.f_bsize = PAGE_SIZE;
	st.f_frsize = PAGE_SIZE;
	st.f_blocks = (long)k->blocks;
	st.f_bfree = (long)k->bfree;
	st.f_bavail = (long)k->bfree;
	st.f_fsid.val[0] = (int)k->dev;
	st.f_namelen = NAME_MAX_LEN;
	/* the flags are valid; relatime, perhaps read-only */
	st.f_flags = 0x20 | 0x1000 | k->read_only;
	return user_copy_to(to, &st, sizeof(st));
}

int64_t sys_statfs(const uint64_t a[6])
{
	struct kstatfs k;
	struct where w;
	int64_t ret = where_get(&w, (uint64_t)AT_FDCWD, a[0], 0);

	if (ret < 0)
		return ret;
	ret = vfs_statfs(fs_context(), w.dir, w.path, w.how, &k);
	where_put(&w);
	return ret < 0 ? ret : statfs_to_user(&k, a[1]);
}

int64_t sys_fstatfs(const uint64_t a[6])
{
	struct kstatfs
		k = { .magic = 0x50495045 /* PIPEFS_MAGIC: what has no inode is nowhere else */ };
	struct file *f = fd_get(a[0]);

	if (!f)
		return -EBADF;
	if (f->inode)
		superblock_stat(f->inode->sb, &k);
	file_put(f);
	return statfs_to_user(&k, a[1]);
}
