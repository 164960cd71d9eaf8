/* SPDX-License-Identifier: MIT */
/* A disk as a file: /dev/vda, any bytes of it. There is no cache: what is read comes from the disk, and what write() has
 * returned for is on its way through to it (fsync waits until the disk has it for good). A transfer goes in runs of up to
 * max_bytes by way of memory of its own, so no user memory is a device's.
 *
 * I-BLOCK-2: a write that changes part of a block reads, changes and writes it under the disk's BLOCK, which every write
 * takes: none undoes another's bytes. */
#include <linux/fs.h>
#include "drivers/blockdev.h"
#include "fs/inode.h"
#include "kernel/proc/signal.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"
#include "sched/thread.h"

#define MAJOR 254u
#define DSYNC VFS_O_DSYNC

static uint64_t size_of(const struct blockdev *d)
{
	return d->sectors * BLOCK_SECTOR;
}

/* Memory for a transfer of up to `most` bytes, as much of it as there is in one piece: 0 bytes, none at all. */
struct run {
	struct block_request request;
	struct page *pages;
	char *data;
	size_t room;
};

static struct run *run_alloc(const struct blockdev *d, size_t most)
{
	struct run *r = kzalloc(sizeof(*r));
	unsigned order = 0;

	if (!r)
		return NULL;
	while ((PAGE_SIZE << order) < MIN(most, (size_t)d->max_bytes))
		order++;
	while (!(r->pages = page_alloc(order, 0)) && order)
		order--;
	if (!r->pages) {
		kfree(r);
		return NULL;
	}
	r->data = page_addr(r->pages);
	r->room = MIN((size_t)PAGE_SIZE << order, (size_t)d->max_bytes);
	return r;
}

static void run_free(struct run *r)
{
	page_put(r->pages);
	kfree(r);
}

static int move(struct blockdev *d, struct run *r, enum block_op op, uint64_t at, size_t offset,
		size_t len)
{
	r->request.op = op;
	r->request.sector = at / BLOCK_SECTOR;
	r->request.data = paddr(page_to_phys(r->pages).pa + offset);
	r->request.len = (uint32_t)len;
	return blockdev_do(d, &r->request);
}

/* What of the transfer fits into one run: whole blocks from `from` on, of which bytes [skip, skip + n) are asked for. */
struct span {
	uint64_t from;
	size_t len, skip, n;
};

static struct span span_at(const struct blockdev *d, const struct run *r, uint64_t pos, size_t left)
{
	uint64_t mask = d->block_size - 1;
	struct span s = { .from = pos & ~mask, .skip = pos & mask };

	left = (size_t)MIN((uint64_t)left, size_of(d) - pos);
	s.len = MIN(ALIGN_UP(s.skip + left, (size_t)d->block_size), r->room);
	s.n = MIN(left, s.len - s.skip);
	return s;
}

static ssize_t read_run(struct blockdev *d, struct run *r, struct io *io, uint64_t pos)
{
	struct span s = span_at(d, r, pos, io->left);
	int ret = move(d, r, BLOCK_READ, s.from, 0, s.len);

	return ret < 0 ? ret : io_copy_to(io, r->data + s.skip, s.n);
}

/* The blocks at the two ends of which only a part is to change. `edge` is memory of one block. */
static int read_edges(struct blockdev *d, struct run *r, struct run *edge, const struct span *s)
{
	size_t end = s->skip + s->n, last = s->len - d->block_size;
	int ret = 0;

	if (s->skip) {
		ret = move(d, edge, BLOCK_READ, s->from, 0, d->block_size);
		memcpy(r->data, edge->data, s->skip);
	}
	if (ret == 0 && end < s->len) {
		ret = move(d, edge, BLOCK_READ, s->from + last, 0, d->block_size);
		memcpy(r->data + end, edge->data + (end - last), s->len - end);
	}
	return ret;
}

static ssize_t write_run(struct blockdev *d, struct run *r, struct run *edge, struct io *io,
			 uint64_t pos)
{
	struct span s = span_at(d, r, pos, io->left);
	ssize_t n = io_copy_from(io, r->data + s.skip, s.n);
	int ret;

	if (n <= 0)
		return n;
	s.n = (size_t)n;
	s.len = ALIGN_UP(s.skip + s.n, (size_t)d->block_size);
	mutex_lock(&d->write_lock);
	ret = read_edges(d, r, edge, &s);
	if (ret == 0)
		ret = move(d, r, BLOCK_WRITE, s.from, 0, s.len);
	mutex_unlock(&d->write_lock);
	return ret < 0 ? ret : n;
}

static ssize_t block_read(struct file *f, struct io *io, off_t *pos)
{
	struct blockdev *d = f->priv;
	ssize_t done = 0, n = 0;
	struct run *r;

	if ((uint64_t)*pos >= size_of(d) || !io->left)
		return 0;
	r = run_alloc(d, io->left + d->block_size);
	if (!r)
		return -ENOMEM;
	while (io->left && (uint64_t)*pos < size_of(d)) {
		n = read_run(d, r, io, (uint64_t)*pos);
		if (n <= 0)
			break;
		done += n;
		*pos += n;
		if (signal_pending_current())
			break;
	}
	run_free(r);
	return done ? done : n;
}

static ssize_t write_runs(struct file *f, struct io *io, off_t *pos, struct run *r,
			  struct run *edge)
{
	struct blockdev *d = f->priv;
	ssize_t done = 0, n = 0;
	int err = 0;

	while (io->left && (uint64_t)*pos < size_of(d)) {
		n = write_run(d, r, edge, io, (uint64_t)*pos);
		if (n <= 0)
			break;
		done += n;
		*pos += n;
		if (signal_pending_current())
			break;
	}
	if (done && (READ_ONCE(f->flags) & DSYNC))
		err = blockdev_flush(d);
	/* as if nothing was written */
	if (err)
		*pos -= done;
	return err ?: done ?: n;
}

static ssize_t block_write(struct file *f, struct io *io, off_t *pos)
{
	struct blockdev *d = f->priv;
	struct run *r, *edge;
	ssize_t ret = -ENOMEM;

	if (d->read_only)
		return -EPERM;
	if (!io->left)
		return 0;
	if ((uint64_t)*pos >= size_of(d))
		return -ENOSPC;
	r = run_alloc(d, io->left + d->block_size);
	edge = run_alloc(d, d->block_size);
	if (r && edge)
		ret = write_runs(f, io, pos, r, edge);
	if (edge)
		run_free(edge);
	if (r)
		run_free(r);
	return ret;
}

static off_t block_seek(struct file *f, off_t offset, int whence)
{
	return file_seek_size(f, offset, whence, size_of(f->priv));
}

static int block_sync(struct file *f)
{
	return blockdev_flush(f->priv);
}

static int64_t block_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct blockdev *d = f->priv;
	uint64_t size = size_of(d), sectors = d->sectors;
	int32_t n = cmd == BLKROGET ? d->read_only : (int32_t)d->block_size;

	switch (cmd) {
	case BLKGETSIZE64:
		return user_copy_to(arg, &size, sizeof(size));
	case BLKGETSIZE:
		return user_copy_to(arg, &sectors, sizeof(sectors));
	case BLKSSZGET:
	case BLKPBSZGET:
	case BLKROGET:
		return user_copy_to(arg, &n, sizeof(n));
	case BLKFLSBUF:
		return blockdev_flush(d);
	default:
		return -ENOTTY;
	}
}

static const struct file_ops block_ops = {
	.name = "disk",
	.read = block_read,
	.write = block_write,
	.seek = block_seek,
	.sync = block_sync,
	.ioctl = block_ioctl,
};

static int block_open(const struct device_node *n, uint32_t flags, struct file **out)
{
	*out = file_create(&block_ops, flags, NULL, n->priv);
	return *out ? 0 : -ENOMEM;
}

static void add_node(struct blockdev *d, void *arg)
{
	int *err = arg;

	if (*err == 0)
		*err = devfs_add(d->name, S_IFBLK | 0600, MAJOR << 8 | d->number * 16, block_open,
				 d);
}

int blockfile_init(void)
{
	int err = 0;

	blockdev_for_each(add_node, &err);
	return err;
}

static void sync_one(struct blockdev *d, void *arg)
{
	int err = blockdev_flush(d);

	if (err && !*(int *)arg)
		*(int *)arg = err;
}

int blockfile_sync_all(void)
{
	int err = 0;

	blockdev_for_each(sync_one, &err);
	return err;
}
