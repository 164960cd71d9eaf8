/* SPDX-License-Identifier: MIT */
/* The first files: a cpio archive into the root file system. Directories that are there already take the archive's
 * mode; files that are there are replaced, so that an initrd lies over the built-in files. Devices and other special
 * files are /dev's business and passed over. */
#include "fs/inode.h"
#include "fs/tmpfs.h"
#include "kernel/core/log.h"
#include "lib/cpio.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

struct unpack {
	struct vfs_context ctx;
	bool in_place;
	struct hard_link *links; /* the inodes of the archive that have several names */
	unsigned files;
	unsigned skipped;
};

/* A file of the archive with several names; the data comes with any of them. */
struct hard_link {
	struct hard_link *next;
	uint32_t ino, dev_major, dev_minor;
	char *path;
};

static int write_all(struct file *f, const uint8_t *data, size_t n)
{
	ssize_t done = n > 0 ? file_write_kernel(f, data, n) : 0;

	if (done < 0)
		return (int)done;
	return (size_t)done == n ? 0 : -ENOSPC;
}

static int fill_file(struct unpack *u, const struct cpio_entry *e)
{
	struct file *f;
	int err;

	err = vfs_open(&u->ctx, NULL, e->name, FILE_WRONLY | VFS_O_CREAT | VFS_O_TRUNC,
		       e->mode & 07777, &f);
	if (err)
		return err;
	if (!tmpfs_is_file(f->inode))
		err = -EINVAL;
	else if (u->in_place)
		tmpfs_set_in_place(f->inode, e->data, e->size);
	else
		err = write_all(f, e->data, e->size);
	file_put(f);
	return err;
}

static struct hard_link *find_link(struct unpack *u, const struct cpio_entry *e)
{
	struct hard_link *l = u->links;

	while (l &&
	       (l->ino != e->ino || l->dev_major != e->dev_major || l->dev_minor != e->dev_minor))
		l = l->next;
	return l;
}

static int remember_link(struct unpack *u, const struct cpio_entry *e)
{
	struct hard_link *l = kzalloc(sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->path = kstrdup(e->name);
	if (!l->path) {
		kfree(l);
		return -ENOMEM;
	}
	l->ino = e->ino;
	l->dev_major = e->dev_major;
	l->dev_minor = e->dev_minor;
	l->next = u->links;
	u->links = l;
	return 0;
}

static void forget_links(struct unpack *u)
{
	struct hard_link *l;

	while ((l = u->links)) {
		u->links = l->next;
		kfree(l->path);
		kfree(l);
	}
}

/* What has this name now makes room, unless it is a directory. */
static int make_room(struct unpack *u, const char *name)
{
	int err = vfs_unlink(&u->ctx, NULL, name, false);

	return err == -ENOENT ? 0 : err;
}

static int unpack_file(struct unpack *u, const struct cpio_entry *e)
{
	struct hard_link *l = e->nlink > 1 ? find_link(u, e) : NULL;
	int err = make_room(u, e->name);

	if (!err && l)
		err = vfs_link(&u->ctx, NULL, l->path, 0, NULL, e->name);
	if (!err && e->nlink > 1 && !l)
		err = remember_link(u, e);
	if (!err && (!l || e->size > 0))
		err = fill_file(u, e);
	return err;
}

static int unpack_link(struct unpack *u, const struct cpio_entry *e)
{
	char *target;
	int err;

	if (e->size == 0 || e->size >= VFS_PATH_MAX)
		return -EINVAL;
	target = kmalloc(e->size + 1);
	if (!target)
		return -ENOMEM;
	memcpy(target, e->data, e->size);
	target[e->size] = '\0';
	err = make_room(u, e->name);
	if (!err)
		err = vfs_symlink(&u->ctx, target, NULL, e->name);
	kfree(target);
	return err;
}

static int unpack_dir(struct unpack *u, const struct cpio_entry *e)
{
	int err = vfs_mkdir(&u->ctx, NULL, e->name, e->mode & 07777);

	if (err == -EEXIST)
		err = vfs_chmod(&u->ctx, NULL, e->name, VFS_FOLLOW, e->mode & 07777);
	return err;
}

static int unpack_entry(struct unpack *u, const struct cpio_entry *e)
{
	bool link = (e->mode & S_IFMT) == S_IFLNK;
	int err = 0;

	switch (e->mode & S_IFMT) {
	case S_IFREG:
		err = unpack_file(u, e);
		break;
	case S_IFDIR:
		err = unpack_dir(u, e);
		break;
	case S_IFLNK:
		err = unpack_link(u, e);
		break;
	default:
		u->skipped++;
		return 0;
	}
	if (!err && !link && (e->uid || e->gid))
		err = vfs_chown(&u->ctx, NULL, e->name, VFS_FOLLOW, e->uid, e->gid);
	u->files++;
	return err;
}

int initramfs_unpack(const void *start, size_t len, bool in_place)
{
	struct unpack u = { .in_place = in_place };
	struct cpio_entry e;
	struct cpio c;
	int ret;

	u.ctx.root = vfs_root();
	u.ctx.cwd = u.ctx.root;
	cpio_init(&c, start, len);
	while ((ret = cpio_next(&c, &e)) > 0) {
		ret = unpack_entry(&u, &e);
		if (ret < 0) {
			log_warn("fs: initramfs: %s: error %d", e.name, -ret);
			break;
		}
	}
	forget_links(&u);
	dentry_put(u.ctx.root);
	if (u.skipped)
		log_info("fs: initramfs: %u special files passed over", u.skipped);
	return ret;
}
