/* SPDX-License-Identifier: MIT */
#include "fs/filelock.h"
#include "kernel/core/clock.h"
#include "kernel/core/panic.h"
#include "mm/phys/slab.h"

static struct slab_cache *inode_cache; /* [init] */

int inode_init(void)
{
	inode_cache = slab_create("inode", sizeof(struct inode), 0);
	return inode_cache ? 0 : -ENOMEM;
}

static struct slab_cache *cache_of(const struct superblock *sb)
{
	return sb->inodes ? sb->inodes : inode_cache;
}

struct inode *inode_create(struct superblock *sb, const struct inode_ops *ops, uint32_t mode,
			   void *priv)
{
	struct inode *i = slab_zalloc(cache_of(sb));

	if (!i)
		return NULL;
	if (sb->destroy)
		ASSERT(refcount_get(&sb->ref));
	refcount_init(&i->ref, 1);
	mutex_init(&i->lock, LOCK_INODE);
	i->ops = ops;
	i->sb = sb;
	i->mode = mode;
	i->nlink = (mode & S_IFMT) == S_IFDIR ? 2 : 1;
	i->ino = atomic_fetch_add(&sb->next_ino, 1) + 1;
	i->priv = priv;
	i->atime_ns = clock_wall_ns();
	i->mtime_ns = i->atime_ns;
	i->ctime_ns = i->atime_ns;
	return i;
}

struct inode *inode_get(struct inode *i)
{
	bool alive = refcount_get(&i->ref);

	ASSERT(alive);
	return i;
}

void inode_put(struct inode *i)
{
	struct superblock *sb = i->sb;

	if (!refcount_put(&i->ref))
		return;
	if (i->ops->release)
		i->ops->release(i);
	filelock_destroy(i);
	slab_free(cache_of(sb), i);
	if (sb->destroy)
		superblock_put(sb);
}

void inode_touch(struct inode *i)
{
	uint64_t now = clock_wall_ns();

	WRITE_ONCE(i->mtime_ns, now);
	WRITE_ONCE(i->ctime_ns, now);
}

void inode_stat(struct inode *i, struct kstat *st)
{
	if (i->ops->refresh)
		i->ops->refresh(i);
	*st = (struct kstat){
		.dev = i->sb->dev,
		.ino = i->ino,
		.rdev = i->rdev,
		.size = READ_ONCE(i->size),
		.blocks = READ_ONCE(i->blocks),
		.mode = READ_ONCE(i->mode),
		.nlink = READ_ONCE(i->nlink),
		.uid = READ_ONCE(i->uid),
		.gid = READ_ONCE(i->gid),
		.blksize = PAGE_SIZE,
		.atime_ns = READ_ONCE(i->atime_ns),
		.mtime_ns = READ_ONCE(i->mtime_ns),
		.ctime_ns = READ_ONCE(i->ctime_ns),
	};
}

/* Once a day, or when it would be older than a change (Linux's relatime). */
void inode_accessed_now(struct inode *i)
{
	uint64_t at = READ_ONCE(i->atime_ns), now;

	if (READ_ONCE(i->sb->read_only) || READ_ONCE(i->sb->no_atime))
		return;
	now = clock_wall_ns();
	if (at <= READ_ONCE(i->mtime_ns) || at <= READ_ONCE(i->ctime_ns) ||
	    now - at >= 24 * 3600 * NS_PER_S)
		WRITE_ONCE(i->atime_ns, now);
}

void inode_accessed(struct file *f)
{
	if (!(READ_ONCE(f->flags) & VFS_O_NOATIME))
		inode_accessed_now(f->inode);
}

void inode_drop_suid(struct inode *i)
{
	uint32_t mode = i->mode;

	assert_mutex_held(&i->lock);
	if ((mode & S_IFMT) == S_IFDIR || !(mode & (S_ISUID | S_ISGID)))
		return;
	/* without the group's execute bit, set-group-id means something else */
	WRITE_ONCE(i->mode, mode & ~(S_ISUID | (mode & 0010 ? S_ISGID : 0)));
}

void inode_written(struct file *f)
{
	inode_touch(f->inode);
	if (READ_ONCE(f->flags) & FILE_UNPRIVILEGED)
		inode_drop_suid(f->inode);
}

int inode_use(struct inode *i, int by)
{
	int32_t old = atomic_load_relaxed(&i->writers);

	do {
		if (old * by < 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange(&i->writers, &old, old + by));
	return 0;
}

void inode_unuse(struct inode *i, int by)
{
	atomic_fetch_sub(&i->writers, by);
}

int inode_truncate(struct inode *i, const struct vfs_cred *cred, uint64_t size)
{
	int err;

	if (!i->ops->truncate)
		return -EINVAL;
	err = inode_use(i, 1);
	if (err)
		return err;
	mutex_lock(&i->lock);
	err = i->ops->truncate(i, size);
	if (!err && cred->uid != 0)
		inode_drop_suid(i);
	mutex_unlock(&i->lock);
	inode_unuse(i, 1);
	return err;
}

void superblock_stat(struct superblock *sb, struct kstatfs *st)
{
	*st = (struct kstatfs){ .magic = sb->magic,
				.dev = sb->dev,
				.read_only = READ_ONCE(sb->read_only) };
	if (sb->space)
		sb->space(sb, &st->blocks, &st->bfree);
}

bool vfs_in_group(const struct vfs_cred *cred, uint32_t gid)
{
	if (cred->gid == gid)
		return true;
	for (unsigned k = 0; k < cred->nr_groups; k++)
		if (READ_ONCE(cred->groups[k]) == gid)
			return true;
	return false;
}

bool inode_owned_group(const struct inode *i, const struct vfs_cred *cred)
{
	return vfs_in_group(cred, READ_ONCE(i->gid));
}

bool inode_owned(const struct inode *i, const struct vfs_cred *cred)
{
	return cred->uid == 0 || cred->uid == READ_ONCE(i->uid);
}

int inode_permission(const struct inode *i, const struct vfs_cred *cred, unsigned rwx)
{
	uint32_t mode = READ_ONCE(i->mode);

	if (cred->uid == 0) {
		/* root may do all but execute what nobody may */
		if (!(rwx & 1) || (mode & S_IFMT) == S_IFDIR || (mode & 0111))
			return 0;
		return -EACCES;
	}
	if (cred->uid == READ_ONCE(i->uid))
		mode >>= 6;
	else if (inode_owned_group(i, cred))
		mode >>= 3;
	if (!(rwx & ~mode & 7) || (i->ops->allows && i->ops->allows(i)))
		return 0;
	return -EACCES;
}
