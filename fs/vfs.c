/* SPDX-License-Identifier: MIT */
/* The operations on names. Each walks to its names, checks what the caller may do, then changes the directory under
 * its INODE lock and the cache under DCACHE in one step; what the walk found is looked up again there, for it may
 * have changed meanwhile. Two directories are locked by address, and renames are serialised by RENAME, so that the
 * shape of the tree stands still while one asks who is above whom. */
#include "fs/vfs.h"
#include "fs/dcache.h"
#include "fs/namei.h"
#include "fs/names.h"
#include "kernel/core/clock.h"
#include "kernel/core/panic.h"
#include "lib/fmt.h"
#include "lib/string.h"

struct mutex rename_lock;	/* RENAME */
struct dentry *vfs_root_dentry; /* [init] */

void vfs_names_init(void)
{
	mutex_init(&rename_lock, LOCK_RENAME);
}

struct dentry *vfs_root(void)
{
	return dentry_get(vfs_root_dentry);
}

static bool is_dir(const struct inode *i)
{
	return (READ_ONCE(i->mode) & S_IFMT) == S_IFDIR;
}

/* --- opening -------------------------------------------------------------------------------------------------- */

/* What open's flags ask for: decoded here and nowhere else (REL-006). Bits that Linux does not know are ignored, as
 * Linux ignores them; what it knows and is not here is refused. */
struct open_how {
	uint32_t status; /* kept in the file */
	unsigned rwx;	 /* permission needed on what is opened */
	bool create, exclusive, truncate, directory, nofollow, path, exec, unnamed;
};

static int open_decode(uint32_t flags, struct open_how *how)
{
	static const unsigned access[] = { 4, 2, 6, 6 };

	*how = (struct open_how){
		.directory = flags & VFS_O_DIRECTORY,
		.nofollow = flags & VFS_O_NOFOLLOW,
		.path = flags & VFS_O_PATH,
	};
	if (how->path) {
		how->status = flags & (VFS_O_PATH | VFS_O_DIRECTORY | VFS_O_NOFOLLOW);
		return 0;
	}
	if (flags & (VFS_O_DIRECT | VFS_O_ASYNC))
		return -EINVAL;
	how->status = flags & VFS_O_KEPT;
	how->rwx = access[flags & FILE_ACCMODE];
	how->create = flags & VFS_O_CREAT;
	how->exclusive = how->create && (flags & VFS_O_EXCL);
	how->truncate = flags & VFS_O_TRUNC;
	if (how->truncate)
		how->rwx |= 2;
	how->unnamed = flags & VFS_O_TMPFILE;
	if (how->unnamed && (!how->directory || !(how->rwx & 2)))
		return -EINVAL;
	return how->create && how->directory ? -EINVAL : 0;
}

static const struct file_ops path_ops = { .name = "path" };

/* Make the open file for d, all checks done. It takes over the caller's reference, which keeps the inode too. */
static int open_inode(const struct vfs_context *ctx, struct dentry *d, const struct open_how *how,
		      uint32_t flags, struct file **out)
{
	struct inode *i = d->inode;
	int by = how->exec ? -1 : how->rwx & 2 ? 1 : 0;
	struct file *f;
	int err;

	if ((i->mode & S_IFMT) != S_IFREG || how->path)
		by = 0;
	err = by ? inode_use(i, by) : 0;
	if (err)
		return err;
	if (how->path) {
		f = file_create(&path_ops, how->status, NULL, NULL);
		err = f ? 0 : -ENOMEM;
	} else if (i->ops->open) {
		err = i->ops->open(i, how->status | (flags & VFS_O_NOCTTY), &f);
	} else {
		err = is_dir(i) ? vfs_dir_open(i, how->status, &f) : -ENXIO;
	}
	if (err) {
		if (by)
			inode_unuse(i, by);
		return err;
	}
	if (ctx->cred.uid != 0)
		f->flags |= FILE_UNPRIVILEGED;
	f->inode = i;
	f->dentry = d;
	f->uses = by;
	*out = f;
	return 0;
}

/* May it be opened so? */
static int open_check(const struct vfs_context *ctx, const struct inode *i,
		      const struct open_how *how)
{
	uint32_t type = i->mode & S_IFMT;
	int err;

	if (type == S_IFLNK)
		return -ELOOP;
	if (type == S_IFDIR && ((how->rwx & 2) || how->create))
		return -EISDIR;
	if (how->exec && (type != S_IFREG || READ_ONCE(i->sb->no_exec)))
		return -EACCES;
	if (READ_ONCE(i->sb->no_dev) && (type == S_IFCHR || type == S_IFBLK))
		return -EACCES;
	err = inode_permission(i, &ctx->cred, how->rwx);
	if (err)
		return err;
	if ((how->rwx & 2) && type == S_IFREG && READ_ONCE(i->sb->read_only))
		return -EROFS;
	return (how->status & VFS_O_NOATIME) && !inode_owned(i, &ctx->cred) ? -EPERM : 0;
}

static int open_existing(const struct vfs_context *ctx, struct dentry *d,
			 const struct open_how *how, uint32_t flags, struct file **out)
{
	struct inode *i = d->inode;
	int err = 0;

	if (how->directory && !is_dir(i))
		return -ENOTDIR;
	if (!how->path)
		err = open_check(ctx, i, how);
	if (!err && how->truncate && (i->mode & S_IFMT) == S_IFREG)
		err = inode_truncate(i, &ctx->cred, 0);
	return err ? err : open_inode(ctx, d, how, flags, out);
}

/* --- creating ------------------------------------------------------------------------------------------------- */

static int may_change_dir(const struct vfs_context *ctx, const struct inode *dir)
{
	if (READ_ONCE(dir->sb->read_only))
		return -EROFS;
	if (!dir->ops->create)
		return -EPERM;
	return inode_permission(dir, &ctx->cred, 3);
}

/* Give a new inode its owner: the caller's, or the group of a set-group-id directory; who is not of that group makes no
 * program that runs with it. */
static void set_owner(const struct vfs_context *ctx, const struct inode *dir, struct inode *i)
{
	i->uid = ctx->cred.uid;
	i->gid = ctx->cred.gid;
	if (READ_ONCE(dir->mode) & S_ISGID) {
		i->gid = READ_ONCE(dir->gid);
		if (is_dir(i))
			i->mode |= S_ISGID;
		else if ((i->mode & (S_ISGID | 0010)) == (S_ISGID | 0010) && ctx->cred.uid != 0 &&
			 !inode_owned_group(i, &ctx->cred))
			i->mode &= ~S_ISGID;
	}
}

/* Have the names of a file system taken what it may have? */
static bool full_locked(struct superblock *sb) __requires(dcache_lock)
{
	uint64_t total, left;

	if (!sb->space)
		return false;
	sb->space(sb, &total, &left);
	return left == 0;
}

static int link_new(struct dentry *d, struct inode *i)
{
	int err;

	rwspin_write_lock(&dcache_lock);
	err = full_locked(d->sb) ? -ENOSPC : dentry_link_locked(d, i);
	if (!err && is_dir(i))
		WRITE_ONCE(d->parent->inode->nlink, d->parent->inode->nlink + 1);
	rwspin_write_unlock(&dcache_lock);
	return err;
}

/* Create what w found absent: w->child then. -EEXIST if somebody was faster. */
static int create_child(const struct vfs_context *ctx, struct walk *w, uint32_t mode, uint32_t rdev,
			const char *target)
{
	struct inode *dir = w->parent->inode, *i;
	struct dentry *d;
	int err = dir->ops->create ? may_change_dir(ctx, dir) : -ENOENT; /* as Linux's /proc */

	if (err)
		return err;
	d = dentry_create(w->parent, w->name, w->len);
	if (!d)
		return -ENOMEM;
	mutex_lock(&dir->lock);
	err = dir->ops->create(dir, mode, target, &i);
	if (err)
		goto unlock;
	i->rdev = rdev;
	set_owner(ctx, dir, i);
	err = link_new(d, i);
	if (err)
		inode_put(i);
	else
		inode_touch(dir);
unlock:
	mutex_unlock(&dir->lock);
	if (err)
		dentry_put(d);
	else
		w->child = d;
	return err;
}

/* One attempt: -EEXIST without O_EXCL means look again. */
static int open_or_create(const struct vfs_context *ctx, struct dentry *at, const char *path,
			  const struct open_how *how, uint32_t flags, uint32_t mode,
			  struct file **out)
{
	unsigned walk_flags = (how->create ? WALK_ABSENT : 0) | (how->exec ? WALK_EMPTY : 0) |
			      (how->exclusive || how->nofollow ? 0 : WALK_FOLLOW);
	struct walk w;
	int err;

	err = walk_path(ctx, at, path, walk_flags, &w);
	if (err)
		return err;
	if (w.child && how->exclusive) {
		err = -EEXIST;
	} else if (w.child) {
		err = open_existing(ctx, w.child, how, flags, out);
	} else if (w.slash) {
		err = -EISDIR;
	} else {
		mode = S_IFREG | (mode & 07777 & ~ctx->umask);
		err = create_child(ctx, &w, mode, 0, NULL);
		if (!err)
			err = open_inode(ctx, w.child, how, flags, out);
	}
	/* the file has it */
	if (!err)
		w.child = NULL;
	walk_end(&w);
	return err;
}

/* A new file in dir's file system that has no name there; VFS_O_EXCL: and never will. */
static int create_unnamed(const struct vfs_context *ctx, struct dentry *dir, uint32_t flags,
			  uint32_t mode, struct dentry **out)
{
	char name[24];
	struct inode *i;
	int err = dir->inode->ops->create ? may_change_dir(ctx, dir->inode) : -EOPNOTSUPP;

	if (!err)
		err = dir->inode->ops->create(dir->inode, S_IFREG | (mode & 07777 & ~ctx->umask),
					      NULL, &i);
	if (err)
		return err;
	set_owner(ctx, dir->inode, i);
	WRITE_ONCE(i->nlink, 0);
	i->linkable = !(flags & VFS_O_EXCL);
	*out = dentry_create(dir, name,
			     fmt_print(name, sizeof(name), "#%lu", (unsigned long)i->ino));
	if (!*out) {
		inode_put(i);
		return -ENOMEM;
	}
	(*out)->inode = i;
	(*out)->dead = true;
	return 0;
}

static int open_unnamed(const struct vfs_context *ctx, struct dentry *at, const char *path,
			const struct open_how *how, uint32_t flags, uint32_t mode,
			struct file **out)
{
	struct dentry *d;
	struct walk w;
	int err = walk_path(ctx, at, path, how->nofollow ? 0 : VFS_FOLLOW, &w);

	if (err)
		return err;
	err = is_dir(w.child->inode) ? create_unnamed(ctx, w.child, flags, mode, &d) : -ENOTDIR;
	walk_end(&w);
	if (err)
		return err;
	err = open_inode(ctx, d, how, flags, out);
	/* else the file has it */
	if (err)
		dentry_put(d);
	return err;
}

int vfs_open(const struct vfs_context *ctx, struct dentry *at, const char *path, uint32_t flags,
	     uint32_t mode, struct file **out)
{
	struct open_how how;
	int err = open_decode(flags, &how);

	if (err)
		return err;
	if (how.unnamed)
		return open_unnamed(ctx, at, path, &how, flags, mode, out);
	do {
		err = open_or_create(ctx, at, path, &how, flags, mode, out);
	} while (err == -EEXIST && !how.exclusive);
	return err;
}

int vfs_open_exec(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
		  struct file **out)
{
	struct open_how exec = { .rwx = 1, .nofollow = !(how & VFS_FOLLOW), .exec = true };

	if (*path == '\0' && !(how & VFS_EMPTY))
		return -ENOENT;
	return open_or_create(ctx, at, path, &exec, 0, 0, out);
}

static int make(const struct vfs_context *ctx, struct dentry *at, const char *path, uint32_t mode,
		uint32_t rdev, const char *target)
{
	struct walk w;
	int err;

	err = walk_path(ctx, at, path, WALK_ABSENT | WALK_NAME, &w);
	if (err)
		return err;
	if (w.found)
		err = -EEXIST;
	else if (w.slash && (mode & S_IFMT) != S_IFDIR)
		err = -ENOENT;
	else
		err = create_child(ctx, &w, mode, rdev, target);
	walk_end(&w);
	return err;
}

int vfs_mkdir(const struct vfs_context *ctx, struct dentry *at, const char *path, uint32_t mode)
{
	return make(ctx, at, path, S_IFDIR | (mode & 01777 & ~ctx->umask), 0, NULL);
}

int vfs_mknod(const struct vfs_context *ctx, struct dentry *at, const char *path, uint32_t mode,
	      uint32_t rdev)
{
	uint32_t type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;
	bool device = type == S_IFCHR || type == S_IFBLK;

	if (type == S_IFDIR)
		return -EPERM;
	if (!device && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EINVAL;
	if (device && ctx->cred.uid != 0)
		return -EPERM;
	return make(ctx, at, path, type | (mode & 07777 & ~ctx->umask), device ? rdev : 0, NULL);
}

int vfs_symlink(const struct vfs_context *ctx, const char *target, struct dentry *at,
		const char *path)
{
	if (*target == '\0')
		return -ENOENT;
	if (strnlen(target, VFS_PATH_MAX) == VFS_PATH_MAX)
		return -ENAMETOOLONG;
	return make(ctx, at, path, S_IFLNK | 0777, 0, target);
}

static int link_existing(const struct vfs_context *ctx, struct walk *w, struct inode *i)
{
	struct inode *dir = w->parent->inode;
	struct dentry *d;
	int err = i->sb != dir->sb ? -EXDEV : may_change_dir(ctx, dir);

	if (err)
		return err;
	if (is_dir(i))
		return -EPERM;
	d = dentry_create(w->parent, w->name, w->len);
	if (!d)
		return -ENOMEM;
	mutex_lock(&dir->lock);
	rwspin_write_lock(&dcache_lock);
	err = i->nlink == 0 && !i->linkable ? -ENOENT
	      : full_locked(dir->sb)	    ? -ENOSPC
					    : dentry_link_locked(d, i);
	if (!err) {
		inode_get(i);
		WRITE_ONCE(i->nlink, i->nlink + 1);
		i->linkable = false;
	}
	rwspin_write_unlock(&dcache_lock);
	if (!err) {
		inode_touch(dir);
		WRITE_ONCE(i->ctime_ns, clock_wall_ns());
	}
	mutex_unlock(&dir->lock);
	dentry_put(d);
	return err;
}

int vfs_link(const struct vfs_context *ctx, struct dentry *at, const char *old, unsigned how,
	     struct dentry *nat, const char *path)
{
	struct walk from, to;
	int err;

	err = walk_path(ctx, at, old, how, &from);
	if (err)
		return err;
	err = walk_path(ctx, nat, path, WALK_ABSENT | WALK_NAME, &to);
	if (err)
		goto end_from;
	if (to.found)
		err = -EEXIST;
	else if (to.slash)
		err = -ENOENT;
	else
		err = link_existing(ctx, &to, from.child->inode);
	walk_end(&to);
end_from:
	walk_end(&from);
	return err;
}

/* --- removing and renaming -------------------------------------------------------------------------------------- */

/* In a sticky directory only the owner of the name or of the directory may take it away. */
static bool sticky_forbids(const struct vfs_context *ctx, const struct inode *dir,
			   const struct inode *i)
{
	uint32_t uid = ctx->cred.uid;

	return (dir->mode & S_ISVTX) && uid != 0 && uid != i->uid && uid != dir->uid;
}

static int may_remove_locked(const struct vfs_context *ctx, const struct dentry *d, bool dir)
	__requires(dcache_lock)
{
	if (!d)
		return -ENOENT;
	if (sticky_forbids(ctx, d->parent->inode, d->inode))
		return -EPERM;
	if (is_dir(d->inode) && !dir)
		return -EISDIR;
	if (!is_dir(d->inode) && dir)
		return -ENOTDIR;
	if (d->mount_root)
		return -EBUSY;
	return d->children.node ? -ENOTEMPTY : 0;
}

/* Take d out of the tree and count its links down. The caller drops the pin by removed() after unlocking. */
static void remove_locked(struct dentry *d) __requires(dcache_lock)
{
	dentry_unlink_locked(d);
	WRITE_ONCE(d->inode->nlink, d->inode->nlink - 1);
	if (is_dir(d->inode)) {
		WRITE_ONCE(d->inode->nlink, d->inode->nlink - 1);
		WRITE_ONCE(d->parent->inode->nlink, d->parent->inode->nlink - 1);
	}
}

static void removed(struct dentry *d)
{
	WRITE_ONCE(d->inode->ctime_ns, clock_wall_ns());
	dentry_unhold(d);
}

int vfs_unlink(const struct vfs_context *ctx, struct dentry *at, const char *path, bool dir)
{
	static const int no_name[] = {
		[LAST_ROOT] = -EBUSY, [LAST_DOT] = -EINVAL, [LAST_DOTDOT] = -ENOTEMPTY
	};
	struct dentry *d = NULL;
	struct inode *parent;
	struct walk w;
	int err;

	err = walk_path(ctx, at, path, WALK_NAME, &w);
	if (err)
		return err;
	err = dir ? no_name[w.last] : -EISDIR;
	if (!w.parent)
		goto end;
	parent = w.parent->inode;
	err = may_change_dir(ctx, parent);
	if (err)
		goto end;
	mutex_lock(&parent->lock);
	rwspin_write_lock(&dcache_lock);
	d = dcache_find_hashed(w.parent, w.name, w.len, w.hash);
	err = may_remove_locked(ctx, d, dir);
	if (!err && w.slash && !dir)
		err = -ENOTDIR;
	if (!err)
		remove_locked(d);
	rwspin_write_unlock(&dcache_lock);
	if (!err)
		inode_touch(parent);
	mutex_unlock(&parent->lock);
	if (!err)
		removed(d);
end:
	walk_end(&w);
	return err;
}

/* The two directories of a rename, and what of the one leads to the other: it cannot be moved there. */
struct rename_way {
	const struct dentry *down, *up; /* in the old one, in the new one; NULL: nothing */
};

/* The name in dir that d is, or lies below; NULL: it does not lie below dir. RENAME holds the shape, however deep. */
static const struct dentry *name_towards(const struct dentry *d, const struct dentry *dir)
	__requires(rename_lock)
{
	for (; d->parent != d; d = d->parent)
		if (d->parent == dir)
			return d;
	return NULL;
}

/* The trailing slashes of a rename, and who lies below whom. t: what is at the new name, or NULL. */
static int rename_shape_locked(const struct walk *from, const struct walk *to,
			       const struct dentry *d, const struct dentry *t,
			       const struct rename_way *way, bool exchange) __requires(dcache_lock)
{
	if (exchange && to->slash && !is_dir(t->inode))
		return -ENOTDIR;
	if (!is_dir(d->inode) && (from->slash || (to->slash && !exchange)))
		return -ENOTDIR;
	if (d == way->down)
		return -EINVAL;
	if (t && t == way->up)
		return exchange ? -EINVAL : -ENOTEMPTY;
	return 0;
}

/* Another directory's ".." changes: that takes the right to write to it. */
static int may_move_dir(const struct vfs_context *ctx, const struct walk *from,
			const struct walk *to, const struct dentry *d)
{
	if (from->parent == to->parent || !is_dir(d->inode))
		return 0;
	return inode_permission(d->inode, &ctx->cred, 2);
}

/* Everything rename needs to know once the directories are locked. 0: *moved takes the place of *target (may be NULL);
 * 1: nothing to do. */
static int rename_check_locked(const struct vfs_context *ctx, const struct walk *from,
			       const struct walk *to, const struct rename_way *way, unsigned flags,
			       struct dentry **moved, struct dentry **target)
	__requires(dcache_lock)
{
	struct dentry *d = dcache_find_hashed(from->parent, from->name, from->len, from->hash);
	struct dentry *t = dcache_find_hashed(to->parent, to->name, to->len, to->hash);
	bool exchange = flags & VFS_RENAME_EXCHANGE;
	int err;

	if (!d || to->parent->dead)
		return -ENOENT;
	if (t && (flags & VFS_RENAME_NOREPLACE))
		return -EEXIST;
	if (!t && exchange)
		return -ENOENT;
	err = rename_shape_locked(from, to, d, t, way, exchange);
	if (err)
		return err;
	if (t && t->inode == d->inode)
		return 1;
	if (sticky_forbids(ctx, from->parent->inode, d->inode) ||
	    (t && sticky_forbids(ctx, to->parent->inode, t->inode)))
		return -EPERM;
	err = may_move_dir(ctx, from, to, d);
	if (!err && exchange)
		err = may_move_dir(ctx, to, from, t);
	if (!err && (d->mount_root || (t && t->mount_root)))
		err = -EBUSY;
	*moved = d;
	*target = t;
	return err || !t || exchange ? err : may_remove_locked(ctx, t, is_dir(d->inode));
}

/* The change itself, decided on. */
static void rename_change_locked(const struct walk *from, const struct walk *to, struct dentry *as,
				 struct dentry *d, struct dentry *t, bool exchange)
	__requires(dcache_lock)
{
	int dirs = is_dir(d->inode) - (exchange && is_dir(t->inode));

	if (t && !exchange)
		remove_locked(t);
	WRITE_ONCE(from->parent->inode->nlink, from->parent->inode->nlink - (uint32_t)dirs);
	WRITE_ONCE(to->parent->inode->nlink, to->parent->inode->nlink + (uint32_t)dirs);
	if (exchange)
		dentry_exchange_locked(d, t);
	else
		dentry_move_locked(d, as);
	WRITE_ONCE(d->inode->ctime_ns, clock_wall_ns());
	if (exchange)
		WRITE_ONCE(t->inode->ctime_ns, d->inode->ctime_ns);
}

static int rename_locked(const struct vfs_context *ctx, const struct walk *from,
			 const struct walk *to, unsigned flags, struct dentry *as)
	__requires(rename_lock)
{
	const struct rename_way way = { name_towards(to->parent, from->parent),
					name_towards(from->parent, to->parent) };
	bool exchange = flags & VFS_RENAME_EXCHANGE;
	struct dentry *d, *target = NULL;
	int err;

	rwspin_write_lock(&dcache_lock);
	err = rename_check_locked(ctx, from, to, &way, flags, &d, &target);
	if (!err)
		rename_change_locked(from, to, as, d, target, exchange);
	rwspin_write_unlock(&dcache_lock);
	if (err)
		return err < 0 ? err : 0;
	inode_touch(from->parent->inode);
	inode_touch(to->parent->inode);
	if (target && !exchange)
		removed(target);
	return 0;
}

static int rename_walked(const struct vfs_context *ctx, const struct walk *from,
			 const struct walk *to, unsigned flags)
{
	struct inode *a, *b;
	struct dentry *as;
	int err;

	if (!from->parent || !to->parent)
		return from->parent && (flags & VFS_RENAME_NOREPLACE) ? -EEXIST : -EBUSY;
	a = from->parent->inode;
	b = to->parent->inode;
	if (a->sb != b->sb)
		return -EXDEV;
	err = may_change_dir(ctx, a);
	if (!err)
		err = may_change_dir(ctx, b);
	if (err)
		return err;
	as = dentry_create(to->parent, to->name, to->len);
	if (!as)
		return -ENOMEM;
	mutex_lock(&rename_lock);
	if (a == b) {
		mutex_lock(&a->lock);
		err = rename_locked(ctx, from, to, flags, as);
		mutex_unlock(&a->lock);
	} else {
		mutex_lock_pair(&a->lock, &b->lock);
		err = rename_locked(ctx, from, to, flags, as);
		mutex_unlock(&a->lock);
		mutex_unlock(&b->lock);
	}
	mutex_unlock(&rename_lock);
	dentry_put(as);
	return err;
}

int vfs_rename(const struct vfs_context *ctx, struct dentry *at, const char *old,
	       struct dentry *nat, const char *path, unsigned flags)
{
	struct walk from, to;
	int err;

	if (flags & ~(VFS_RENAME_NOREPLACE | VFS_RENAME_EXCHANGE) ||
	    flags == (VFS_RENAME_NOREPLACE | VFS_RENAME_EXCHANGE))
		return -EINVAL;
	err = walk_path(ctx, at, old, WALK_NAME, &from);
	if (err)
		return err;
	err = walk_path(ctx, nat, path, WALK_ABSENT | WALK_NAME, &to);
	if (!err) {
		err = rename_walked(ctx, &from, &to, flags);
		walk_end(&to);
	}
	walk_end(&from);
	return err;
}

/* --- directories ---------------------------------------------------------------------------------------------------- */

int vfs_lookup_dir(const struct vfs_context *ctx, struct dentry *at, const char *path,
		   struct dentry **out)
{
	struct walk w;
	int err;

	err = walk_path(ctx, at, path, WALK_FOLLOW | (at ? WALK_EMPTY : 0), &w);
	if (err)
		return err;
	if (!is_dir(w.child->inode))
		err = -ENOTDIR;
	else
		err = inode_permission(w.child->inode, &ctx->cred, 1);
	if (err)
		dentry_put(w.child);
	else
		*out = w.child;
	return err;
}

/* Write "/name" in front of at, whose place is *left bytes from the start of the buffer. */
static bool prepend(char *buf, size_t *left, const struct dentry *d) __requires_shared(dcache_lock)
{
	if (*left < (size_t)d->name_len + 1)
		return false;
	*left -= d->name_len;
	memcpy(buf + *left, d->name, d->name_len);
	buf[--*left] = '/';
	return true;
}

/* The names from the caller's root to d, at the end of the buffer; *dead: one of them is unlinked. */
static bool path_before(const struct vfs_context *ctx, const struct dentry *d, char *buf,
			size_t *left, bool *dead)
{
	bool fits = true;

	rwspin_read_lock(&dcache_lock);
	for (; d != ctx->root && d->parent != d && fits; d = d->parent) {
		*dead |= d->dead;
		fits = prepend(buf, left, d);
	}
	rwspin_read_unlock(&dcache_lock);
	return fits;
}

static ssize_t path_text(const struct vfs_context *ctx, struct dentry *d, char *buf, size_t size,
			 const char *deleted)
{
	size_t end = strlen(deleted) + 1, left = size - end;
	bool dead = false;

	if (size < end + 1)
		return -ERANGE;
	if (!path_before(ctx, d, buf, &left, &dead))
		return -ERANGE;
	if (dead && !*deleted)
		return -ENOENT;
	if (left == size - end)
		buf[--left] = '/';
	memcpy(buf + size - end, dead ? deleted : "", dead ? end : 1);
	size = size - left - (dead ? 0 : end - 1);
	memmove(buf, buf + left, size);
	return (ssize_t)size;
}

ssize_t vfs_path_of(const struct vfs_context *ctx, struct dentry *d, char *buf, size_t size)
{
	return path_text(ctx, d, buf, size, "");
}

ssize_t vfs_describe(const struct vfs_context *ctx, struct dentry *d, char *buf, size_t size)
{
	return path_text(ctx, d, buf, size, " (deleted)");
}

/* The listing. Positions: 0 before ".", 1 before "..", then the cookie of the last entry given; entries that are not
 * in the cache are numbered from DYNAMIC_BASE on. */
#define DYNAMIC_BASE (1LL << 62)

struct listed {
	char name[NAME_MAX_LEN];
	size_t len;
	uint64_t ino;
	uint64_t cookie;
	uint8_t type;
};

static bool next_listed(struct dentry *dir, uint64_t after, struct listed *e)
{
	struct dentry *d;

	rwspin_read_lock(&dcache_lock);
	d = dentry_next_child_locked(dir, after);
	if (d) {
		memcpy(e->name, d->name, d->name_len);
		e->len = d->name_len;
		e->ino = d->inode->ino;
		e->type = DT_TYPE(d->inode->mode);
		e->cookie = d->cookie;
	}
	rwspin_read_unlock(&dcache_lock);
	return d;
}

static uint64_t parent_ino(struct dentry *d)
{
	uint64_t ino;

	rwspin_read_lock(&dcache_lock);
	ino = d->parent->inode->ino;
	rwspin_read_unlock(&dcache_lock);
	return ino;
}

typedef bool (*emit_fn)(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type,
			off_t next);

struct dynamic_emit {
	emit_fn emit;
	void *arg;
};

static bool emit_dynamic(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type,
			 off_t next)
{
	struct dynamic_emit *e = arg;

	return e->emit(e->arg, name, len, ino, type, DYNAMIC_BASE + next);
}

static bool list_dots(struct file *f, emit_fn emit, void *arg)
{
	if (f->pos == 0) {
		if (!emit(arg, ".", 1, f->inode->ino, DT_TYPE(S_IFDIR), 1))
			return false;
		f->pos = 1;
	}
	if (f->pos == 1) {
		if (!emit(arg, "..", 2, parent_ino(f->dentry), DT_TYPE(S_IFDIR), 2))
			return false;
		f->pos = 2;
	}
	return true;
}

static int dir_iterate(struct file *f, emit_fn emit, void *arg)
{
	struct inode *dir = f->inode;
	struct dynamic_emit dynamic = { emit, arg };
	struct listed e;
	uint64_t k;
	int err;

	if (READ_ONCE(f->dentry->dead))
		return -ENOENT;
	inode_accessed(f);
	if (!list_dots(f, emit, arg))
		return 0;
	while (f->pos < DYNAMIC_BASE && next_listed(f->dentry, (uint64_t)f->pos, &e)) {
		if (!emit(arg, e.name, e.len, e.ino, e.type, (off_t)e.cookie))
			return 0;
		f->pos = (off_t)e.cookie;
	}
	if (!dir->ops->iterate)
		return 0;
	k = f->pos < DYNAMIC_BASE ? 0 : (uint64_t)(f->pos - DYNAMIC_BASE);
	err = dir->ops->iterate(dir, &k, emit_dynamic, &dynamic);
	if (!err)
		f->pos = DYNAMIC_BASE + (off_t)k;
	return err;
}

static ssize_t dir_read(struct file *f, struct io *io, off_t *pos)
{
	return -EISDIR;
}

static off_t dir_seek(struct file *f, off_t offset, int whence)
{
	return file_seek_size(f, offset, whence, 0);
}

const struct file_ops vfs_dir_ops = {
	.name = "dir",
	.read = dir_read,
	.seek = dir_seek,
	.iterate = dir_iterate,
};

int vfs_dir_open(struct inode *i, uint32_t flags, struct file **out)
{
	*out = file_create(&vfs_dir_ops, flags, NULL, NULL);
	return *out ? 0 : -ENOMEM;
}
