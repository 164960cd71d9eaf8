/* SPDX-License-Identifier: MIT */
/* What is asked and changed about the object behind a name: statistics, rights, owners, times, size. */
#include "fs/dcache.h"
#include "fs/namei.h"
#include "kernel/core/clock.h"

int vfs_stat(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	     struct kstat *st)
{
	struct walk w;
	int err = walk_path(ctx, at, path, how, &w);

	if (err)
		return err;
	inode_stat(w.child->inode, st);
	walk_end(&w);
	return 0;
}

int vfs_statfs(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	       struct kstatfs *st)
{
	struct walk w;
	int err = walk_path(ctx, at, path, how, &w);

	if (err)
		return err;
	superblock_stat(w.child->inode->sb, st);
	walk_end(&w);
	return 0;
}

int vfs_access(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	       unsigned rwx)
{
	struct walk w;
	int err;

	if (rwx > 7)
		return -EINVAL;
	err = walk_path(ctx, at, path, how, &w);
	if (err)
		return err;
	err = inode_permission(w.child->inode, &ctx->cred, rwx);
	if (!err && (rwx & 2) && READ_ONCE(w.child->inode->sb->read_only))
		err = -EROFS;
	walk_end(&w);
	return err;
}

ssize_t vfs_readlink(const struct vfs_context *ctx, struct dentry *at, const char *path, char *buf,
		     size_t size)
{
	struct inode *i;
	struct walk w;
	ssize_t n;
	int err;

	err = walk_path(ctx, at, path, WALK_EMPTY, &w);
	if (err)
		return err;
	i = w.child->inode;
	n = *path ? -EINVAL : -ENOENT;
	if (i->ops->readlink && size > 0)
		n = i->ops->readlink(i, buf, size);
	if (n >= 0)
		inode_accessed_now(i);
	walk_end(&w);
	return n;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

static int inode_chmod(struct inode *i, const struct vfs_cred *cred, uint32_t mode)
{
	int err = inode_owned(i, cred) ? 0 : -EPERM;

	if (err)
		return err;
	if (cred->uid != 0 && !inode_owned_group(i, cred))
		mode &= ~S_ISGID;
	WRITE_ONCE(i->mode, (i->mode & S_IFMT) | (mode & 07777));
	return 0;
}

/* -1: leave it. Others than root may only give their files to a group of theirs. */
static int inode_chown(struct inode *i, const struct vfs_cred *cred, uint32_t uid, uint32_t gid)
	__requires(i->lock)
{
	bool owned = cred->uid == i->uid;
	bool may_uid = uid == UINT32_MAX || (owned && uid == i->uid);
	bool may_gid = gid == UINT32_MAX || (owned && (gid == i->gid || vfs_in_group(cred, gid)));

	if (cred->uid != 0 && !(may_uid && may_gid))
		return -EPERM;
	WRITE_ONCE(i->uid, uid == UINT32_MAX ? i->uid : uid);
	WRITE_ONCE(i->gid, gid == UINT32_MAX ? i->gid : gid);
	inode_drop_suid(i);
	return 0;
}

/* Both now is what who may write may do; any other time is the owner's business. */
static int inode_set_times(struct inode *i, const struct vfs_cred *cred, const uint64_t ns[2])
{
	uint64_t now = clock_wall_ns();
	bool touch = ns[0] == VFS_TIME_NOW && ns[1] == VFS_TIME_NOW;

	if (!inode_owned(i, cred)) {
		if (!touch)
			return -EPERM;
		if (inode_permission(i, cred, 2))
			return -EACCES;
	}
	if (ns[0] != VFS_TIME_OMIT)
		WRITE_ONCE(i->atime_ns, ns[0] == VFS_TIME_NOW ? now : ns[0]);
	if (ns[1] != VFS_TIME_OMIT)
		WRITE_ONCE(i->mtime_ns, ns[1] == VFS_TIME_NOW ? now : ns[1]);
	return 0;
}

struct change {
	enum { CHANGE_MODE, CHANGE_OWNER, CHANGE_TIMES } kind;
	uint32_t mode, uid, gid;
	const uint64_t *ns;
};

static int change(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
		  const struct change *c)
{
	struct inode *i;
	struct walk w;
	int err;

	err = walk_path(ctx, at, path, how, &w);
	if (err)
		return err;
	i = w.child->inode;
	mutex_lock(&i->lock);
	if (READ_ONCE(i->sb->read_only))
		err = -EROFS;
	else if (c->kind == CHANGE_MODE)
		err = (i->mode & S_IFMT) == S_IFLNK ? -EOPNOTSUPP
						    : inode_chmod(i, &ctx->cred, c->mode);
	else if (c->kind == CHANGE_OWNER)
		err = inode_chown(i, &ctx->cred, c->uid, c->gid);
	else
		err = inode_set_times(i, &ctx->cred, c->ns);
	if (!err)
		WRITE_ONCE(i->ctime_ns, clock_wall_ns());
	mutex_unlock(&i->lock);
	walk_end(&w);
	return err;
}

int vfs_chmod(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	      uint32_t mode)
{
	return change(ctx, at, path, how, &(struct change){ CHANGE_MODE, .mode = mode });
}

int vfs_chown(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	      uint32_t uid, uint32_t gid)
{
	return change(ctx, at, path, how, &(struct change){ CHANGE_OWNER, .uid = uid, .gid = gid });
}

int vfs_set_times(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
		  const uint64_t ns[2])
{
	return change(ctx, at, path, how, &(struct change){ CHANGE_TIMES, .ns = ns });
}

int vfs_truncate(const struct vfs_context *ctx, struct dentry *at, const char *path, uint64_t size)
{
	struct inode *i;
	struct walk w;
	int err;

	err = walk_path(ctx, at, path, WALK_FOLLOW, &w);
	if (err)
		return err;
	i = w.child->inode;
	if ((READ_ONCE(i->mode) & S_IFMT) == S_IFDIR)
		err = -EISDIR;
	else if ((i->mode & S_IFMT) != S_IFREG)
		err = -EINVAL;
	else
		err = inode_permission(i, &ctx->cred, 2);
	if (!err)
		err = READ_ONCE(i->sb->read_only) ? -EROFS : inode_truncate(i, &ctx->cred, size);
	walk_end(&w);
	return err;
}
