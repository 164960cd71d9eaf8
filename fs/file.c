/* SPDX-License-Identifier: MIT */
/* Open files: creation, reference counts and the transfers common to every type. What a type does is behind its
 * file_ops; here is what must be the same for all: access modes, positions, what stat tells. */
#include "fs/file.h"
#include "fs/epoll.h"
#include "fs/filelock.h"
#include "kernel/core/panic.h"
#include "kernel/proc/process.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"

static struct slab_cache *file_cache; /* [init] */

struct slab_cache *fs_cache(const char *name, size_t size, unsigned part)
{
	struct slab_cache *c = slab_create(name, size, 0);

	if (c)
		slab_bound(c, pages_usable() / part, caller_is_root);
	return c;
}

int file_init(void)
{
	if (!file_cache)
		file_cache = fs_cache("file", sizeof(struct file), 50);
	return file_cache ? 0 : -ENOMEM;
}

struct file *file_create(const struct file_ops *ops, uint32_t flags, struct poll_source *source,
			 void *priv)
{
	struct file *f = slab_zalloc(file_cache);

	if (!f)
		return NULL;
	f->ops = ops;
	f->flags = flags;
	f->source = source;
	f->priv = priv;
	refcount_init(&f->ref, 1);
	mutex_init(&f->pos_lock, LOCK_FILE_POS);
	return f;
}

struct file *file_get(struct file *f)
{
	bool alive = refcount_get(&f->ref);

	ASSERT(alive);
	return f;
}

static __noinline void put_last(struct file *f)
{
	struct inode *inode = f->inode;
	struct dentry *dentry = f->dentry;

	might_sleep();
	/* the last of them may be leaving it just now, under EPLINK */
	if (READ_ONCE(f->watchers.next))
		epoll_forget(f);
	filelock_release(inode, f);
	if (f->ops->release)
		f->ops->release(f);
	if (f->uses)
		inode_unuse(inode, f->uses);
	slab_free(file_cache, f);
	if (dentry)
		dentry_put(dentry);
}

void file_put(struct file *f)
{
	if (refcount_put(&f->ref))
		put_last(f);
}

static bool file_readable(const struct file *f)
{
	uint32_t flags = READ_ONCE(f->flags) & (FILE_ACCMODE | VFS_O_PATH);

	return flags == FILE_RDONLY || flags == FILE_RDWR;
}

static bool file_writable(const struct file *f)
{
	uint32_t flags = READ_ONCE(f->flags) & (FILE_ACCMODE | VFS_O_PATH);

	return flags == FILE_WRONLY || flags == FILE_RDWR;
}

bool file_nonblocking(const struct file *f)
{
	return READ_ONCE(f->flags) & (FILE_NONBLOCK | FILE_KERNEL_NONBLOCK);
}

/* Does it go on where the last transfer ended? */
static bool has_place(const struct file *f)
{
	return f->ops->seek && !f->ops->no_place;
}

ssize_t file_read(struct file *f, struct io *io)
{
	ssize_t n;

	if (!file_readable(f))
		return -EBADF;
	if (!f->ops->read)
		return -EINVAL;
	if (!has_place(f))
		return f->ops->read(f, io, NULL);
	mutex_lock(&f->pos_lock);
	n = f->ops->read(f, io, &f->pos);
	mutex_unlock(&f->pos_lock);
	return n;
}

ssize_t file_write(struct file *f, struct io *io)
{
	ssize_t n;

	if (!file_writable(f))
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	if (!has_place(f))
		return f->ops->write(f, io, NULL);
	mutex_lock(&f->pos_lock);
	n = f->ops->write(f, io, &f->pos);
	mutex_unlock(&f->pos_lock);
	return n;
}

ssize_t file_read_at(struct file *f, struct io *io, off_t *pos)
{
	if (!file_readable(f))
		return -EBADF;
	if (!f->ops->seek)
		return -ESPIPE;
	if (!f->ops->read || *pos < 0)
		return -EINVAL;
	return f->ops->read(f, io, pos);
}

ssize_t file_write_at(struct file *f, struct io *io, off_t *pos)
{
	if (!file_writable(f))
		return -EBADF;
	if (!f->ops->seek)
		return -ESPIPE;
	if (!f->ops->write || *pos < 0 || io->left > (uint64_t)(INT64_MAX - *pos))
		return -EINVAL;
	return f->ops->write(f, io, pos);
}

ssize_t file_read_kernel(struct file *f, void *buf, size_t n)
{
	struct io io;

	io_init_kernel(&io, buf, n);
	return file_read(f, &io);
}

ssize_t file_write_kernel(struct file *f, const void *buf, size_t n)
{
	struct io io;

	io_init_kernel(&io, buf, n);
	return file_write(f, &io);
}

uint32_t file_poll(struct file *f)
{
	if (READ_ONCE(f->flags) & VFS_O_PATH)
		return POLL_NVAL;
	if (!f->ops->poll)
		return POLL_IN | POLL_OUT;
	return f->ops->poll(f);
}

off_t file_seek(struct file *f, off_t offset, int whence)
{
	off_t at;

	if (READ_ONCE(f->flags) & VFS_O_PATH)
		return -EBADF;
	/* those files have no position, but Linux says it is 0 */
	if (!f->ops->seek)
		return f->ops->stat == file_stat_anonymous ? 0 : -ESPIPE;
	mutex_lock(&f->pos_lock);
	at = f->ops->seek(f, offset, whence);
	mutex_unlock(&f->pos_lock);
	return at;
}

off_t file_seek_size(struct file *f, off_t offset, int whence, uint64_t size)
{
	off_t base = 0;

	if (whence == 1)
		base = f->pos;
	else if (whence == 2)
		base = (off_t)size;
	else if ((whence == 3 || whence == 4) && (offset < 0 || (uint64_t)offset >= size))
		return -ENXIO;
	else if (whence == 4)
		offset = (off_t)size;
	else if (whence != 0 && whence != 3)
		return -EINVAL;
	if (__builtin_add_overflow(base, offset, &base) || base < 0)
		return -EINVAL;
	f->pos = base;
	return base;
}

ssize_t file_read_text(struct io *io, off_t *pos, const void *text, size_t len)
{
	ssize_t n;

	if (*pos < 0 || (uint64_t)*pos >= len)
		return 0;
	n = io_copy_to(io, (const char *)text + *pos, len - (size_t)*pos);
	if (n > 0)
		*pos += n;
	return n;
}

int file_allocate(struct file *f, int mode, off_t off, off_t len)
{
	off_t end;

	if (READ_ONCE(f->flags) & VFS_O_PATH)
		return -EBADF;
	if (off < 0 || len <= 0)
		return -EINVAL;
	/* keep the size, or make a hole without changing it */
	if (mode != 0 && mode != 1 && mode != 3)
		return -EOPNOTSUPP;
	if (!file_writable(f))
		return -EBADF;
	if (__builtin_add_overflow(off, len, &end))
		return -EFBIG;
	if (!f->ops->allocate)
		return !f->ops->seek ? -ESPIPE : f->ops->iterate ? -EISDIR : -ENODEV;
	return f->ops->allocate(f, mode, off, len);
}

int file_truncate(struct file *f, off_t size)
{
	if (READ_ONCE(f->flags) & VFS_O_PATH)
		return -EBADF;
	if (!file_writable(f) || !f->ops->truncate || size < 0)
		return -EINVAL;
	return f->ops->truncate(f, size);
}

int file_iterate(struct file *f,
		 bool (*emit)(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type,
			      off_t next),
		 void *arg)
{
	int err;

	if (READ_ONCE(f->flags) & VFS_O_PATH)
		return -EBADF;
	if (!f->ops->iterate)
		return -ENOTDIR;
	mutex_lock(&f->pos_lock);
	err = f->ops->iterate(f, emit, arg);
	mutex_unlock(&f->pos_lock);
	return err;
}

int file_stat(struct file *f, struct kstat *st)
{
	if (f->ops->stat)
		return f->ops->stat(f, st);
	if (!f->inode)
		return -EBADF;
	inode_stat(f->inode, st);
	return 0;
}

int file_stat_anonymous(struct file *f, struct kstat *st)
{
	(void)f;
	*st = (struct kstat){
		.dev = VFS_DEV_ANON, .ino = 1, .mode = 0600, .nlink = 1, .blksize = PAGE_SIZE
	};
	return 0;
}
