/* SPDX-License-Identifier: MIT */
/* Hanging file systems into the tree and taking them off. RENAME is held, so that names and shapes stand still; what a
 * walk sees changes in one hold of DCACHE. */
#include <linux/mount.h>
#include "fs/dcache.h"
#include "fs/names.h"
#include "fs/namei.h"
#include "fs/tmpfs.h"
#include "kernel/core/panic.h"
#include "lib/string.h"

#define UMOUNT_DETACH	2u
#define UMOUNT_NOFOLLOW 8u

static struct list_head mounts = LIST_HEAD_INIT(mounts); /* [DCACHE], changed under RENAME */
static uint64_t nr_mounts;				 /* [DCACHE] ever */
static uint64_t next_dev = VFS_DEV_FIRST_FREE;		 /* [atomic] */

uint64_t superblock_next_dev(void)
{
	return atomic_fetch_add(&next_dev, 1);
}

int superblock_set_root(struct superblock *sb, struct inode *root)
{
	sb->root = dentry_create_root(root);
	return sb->root ? 0 : -ENOMEM;
}

void superblock_put(struct superblock *sb)
{
	if (sb->destroy && refcount_put(&sb->ref))
		sb->destroy(sb);
}

/* RENAME holds the shape of the tree, however deep. */
static bool is_below(const struct dentry *d, const struct dentry *ancestor) __requires(rename_lock)
{
	while (d != ancestor && d->parent != d)
		d = d->parent;
	return d == ancestor;
}

/* The place of d is sb's from now on; NULL: the root of everything. */
static int cover(struct dentry *d, struct superblock *sb, struct dentry *as)
{
	int err = 0;

	rwspin_write_lock(&dcache_lock);
	if (sb->mounted)
		err = -EBUSY;
	else if (d && !d->hashed)
		err = -ENOENT;
	else if (d && !d->sb->mounted)
		err = -EINVAL;
	if (!err) {
		if (d)
			dentry_cover_locked(sb->root, dentry_get(d), as);
		sb->covered = d;
		sb->mounted = ++nr_mounts;
		list_push_back(&sb->mount_link, &mounts);
	}
	rwspin_write_unlock(&dcache_lock);
	return err;
}

/* What is on top of all that has been mounted on d. */
static struct dentry *topmost(struct dentry *d) __requires(rename_lock)
{
	struct superblock *sb;

	list_for_each (sb, &mounts, mount_link)
		if (sb->covered == d)
			d = sb->root;
	return d;
}

static void set_flags(struct superblock *sb, uint64_t flags)
{
	WRITE_ONCE(sb->read_only, !!(flags & MS_RDONLY));
	WRITE_ONCE(sb->no_exec, !!(flags & MS_NOEXEC));
	WRITE_ONCE(sb->no_dev, !!(flags & MS_NODEV));
	WRITE_ONCE(sb->no_atime, !!(flags & MS_NOATIME));
}

/* flags: MS_, as it is from the first moment on; NULL: as it is. */
static int mount_on(struct dentry *d, struct superblock *sb, const uint64_t *flags)
{
	struct dentry *as;
	int err = -ENOMEM;

	mutex_lock(&rename_lock);
	d = topmost(d);
	if (d->parent == d) {
		mutex_unlock(&rename_lock);
		return d->sb->mounted ? -EBUSY : -EINVAL;
	}
	if (flags && !sb->mounted)
		set_flags(sb, *flags);
	as = dentry_create(d->parent, d->name, d->name_len);
	if (as) {
		err = !sb->mounted && is_below(d, sb->root) ? -ELOOP : cover(d, sb, as);
		dentry_put(as);
	}
	mutex_unlock(&rename_lock);
	return err;
}

int superblock_attach(struct dentry *dir, const char *name, struct superblock *sb)
{
	struct dentry *d;
	struct inode *i;
	int err;

	if (!dir)
		return cover(NULL, sb, NULL);
	err = tmpfs_create(dir->sb, S_IFDIR | 0755, NULL, &i);
	if (err)
		return err;
	err = dentry_add(dir, name, strlen(name), i, &d);
	if (err) {
		inode_put(i);
		return err;
	}
	err = mount_on(d, sb, NULL);
	dentry_put(d);
	return err;
}

/* The first that was mounted after number *after, which is its own then, with a reference to its root. */
static struct superblock *next_mount(uint64_t *after)
{
	struct superblock *sb, *found = NULL;

	rwspin_read_lock(&dcache_lock);
	list_for_each (sb, &mounts, mount_link) {
		if (sb->mounted > *after) {
			found = sb;
			*after = sb->mounted;
			dentry_get(sb->root);
			break;
		}
	}
	rwspin_read_unlock(&dcache_lock);
	return found;
}

void superblock_for_each(void (*fn)(struct superblock *sb, void *arg), void *arg)
{
	struct superblock *sb;
	uint64_t at = 0;

	while ((sb = next_mount(&at))) {
		fn(sb, arg);
		dentry_put(sb->root);
	}
}

/* --- mount and umount ------------------------------------------------------------------------------------------------- */

/* There is one /dev, one /proc, one /sys: they can be in one place at a time. */
static struct superblock *only_one(const char *type)
{
	struct superblock *const all[] = { devfs_superblock(), procfs_superblock(),
					   sysfs_superblock() };

	for (size_t k = 0; k < ARRAY_SIZE(all); k++)
		if (strcmp(all[k]->type, type) == 0)
			return all[k];
	return NULL;
}

#define FLAGS_KNOWN                                                                                \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_NOATIME |              \
	 MS_NODIRATIME | MS_SILENT | MS_RELATIME | MS_REMOUNT)

static int mount_new(struct dentry *d, const char *type, uint64_t flags, const char *options)
{
	struct superblock *sb = only_one(type);
	int err;

	if (sb)
		return mount_on(d, sb, &flags);
	if (strcmp(type, "tmpfs") != 0)
		return -ENODEV;
	err = tmpfs_make("tmpfs", options, &sb);
	if (err)
		return err;
	err = mount_on(d, sb, &flags);
	if (err)
		dentry_kill_tree(sb->root);
	superblock_put(sb);
	return err;
}

int vfs_mount(const struct vfs_context *ctx, const char *type, const char *path, uint64_t flags,
	      const char *options)
{
	struct dentry *d;
	int err;

	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		flags &= ~(uint64_t)MS_MGC_MSK;
	if (flags & ~(uint64_t)FLAGS_KNOWN)
		return -EINVAL;
	err = vfs_lookup_dir(ctx, NULL, path, &d);
	if (err)
		return err;
	if (!(flags & MS_REMOUNT))
		err = mount_new(d, type, flags, options);
	else if (d->mount_root)
		set_flags(d->sb, flags);
	else
		err = -EINVAL;
	dentry_put(d);
	return err;
}

/* The caller has one reference to the root. */
static int uncover(struct superblock *sb, bool detach) __requires(rename_lock)
{
	struct dentry *parent = NULL, *covered = sb->covered;
	int err = 0;

	rwspin_write_lock(&dcache_lock);
	if (!sb->mounted)
		err = -EINVAL;
	else if (!covered || !sb->root->hashed || (atomic_load_relaxed(&sb->users) > 1 && !detach))
		err = -EBUSY;
	if (!err) {
		parent = dentry_uncover_locked(sb->root, covered);
		sb->mounted = 0;
		list_del(&sb->mount_link);
		WRITE_ONCE(sb->doomed, sb->destroy);
	}
	rwspin_write_unlock(&dcache_lock);
	if (err)
		return err;
	dentry_put(parent);
	dentry_put(covered);
	return 0;
}

/* One that is mounted below root and is not covered itself; NULL: none. */
static struct superblock *mounted_below(const struct dentry *root) __requires(rename_lock)
{
	struct superblock *sb;

	list_for_each (sb, &mounts, mount_link)
		if (sb->root->hashed && is_below(sb->root, root))
			return sb;
	return NULL;
}

/* What is mounted in a tree that is taken off goes with it. */
static void uncover_below(struct dentry *root) __requires(rename_lock)
{
	struct superblock *sb;
	struct dentry *below;
	int err = 0;

	while (!err && (sb = mounted_below(root))) {
		below = dentry_get(sb->root);
		err = uncover(sb, true);
		dentry_put(below);
	}
}

int vfs_umount(const struct vfs_context *ctx, const char *path, unsigned flags)
{
	struct superblock *sb;
	struct walk w;
	int err;

	if (flags & ~(1u | UMOUNT_DETACH | UMOUNT_NOFOLLOW))
		return -EINVAL;
	err = walk_path(ctx, NULL, path, flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW, &w);
	if (err)
		return err;
	sb = w.child->sb;
	mutex_lock(&rename_lock);
	err = w.child == sb->root ? uncover(sb, flags & UMOUNT_DETACH) : -EINVAL;
	if (!err)
		uncover_below(sb->root);
	mutex_unlock(&rename_lock);
	walk_end(&w);
	return err;
}
