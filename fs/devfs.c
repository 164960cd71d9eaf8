/* SPDX-License-Identifier: MIT */
/* /dev: nodes registered by their drivers, all in the directory cache. The nodes every system has are here. */
#include "fs/devfs.h"
#include "fs/dcache.h"
#include "fs/names.h"
#include "fs/tmpfs.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/random.h"
#include "kernel/proc/signal.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "sched/thread.h"
#include "sched/wait.h"

static struct superblock *devfs_sb;		       /* [init] a tmpfs */
static struct list_head nodes = LIST_HEAD_INIT(nodes); /* [DCACHE] struct node */

/* A registered node, as long as it has a name or is open. */
struct node {
	struct device_node d;
	struct list_head link; /* [DCACHE] */
};

static int node_open(struct inode *i, uint32_t flags, struct file **out)
{
	const struct node *n = i->priv;

	return n->d.open(&n->d, flags, out);
}

static void node_release(struct inode *i)
{
	struct node *n = i->priv;

	rwspin_write_lock(&dcache_lock);
	list_del(&n->link);
	rwspin_write_unlock(&dcache_lock);
	kfree(n);
}

static const struct inode_ops node_ops = { .open = node_open, .release = node_release };

int devfs_open_number(uint32_t type, uint32_t rdev, uint32_t flags, struct file **out)
{
	struct device_node found = { .open = NULL };
	struct node *n;

	rwspin_read_lock(&dcache_lock);
	list_for_each (n, &nodes, link)
		if (n->d.rdev == rdev && (n->d.mode & S_IFMT) == type)
			found = n->d;
	rwspin_read_unlock(&dcache_lock);
	return found.open ? found.open(&found, flags, out) : -ENXIO;
}

struct superblock *devfs_superblock(void)
{
	return devfs_sb;
}

static struct inode *make_dir(void *arg)
{
	struct inode *i;

	return tmpfs_create(devfs_sb, S_IFDIR | 0755, NULL, &i) ? NULL : i;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add_node(const struct device_node *d, const char *path)
{
	const char *name = last_name(path);
	struct node *n = kmalloc(sizeof(*n));
	struct dentry *dir;
	struct inode *i;
	int err;

	if (!n)
		return -ENOMEM;
	err = dentry_make_path(devfs_sb->root, path, (size_t)(name - path), make_dir, NULL, &dir);
	if (err)
		goto free_node;
	err = -ENOMEM;
	i = inode_create(devfs_sb, &node_ops, d->mode, n);
	if (!i)
		goto put_dir;
	i->rdev = d->rdev;
	n->d = *d;
	rwspin_write_lock(&dcache_lock);
	list_push_back(&n->link, &nodes);
	rwspin_write_unlock(&dcache_lock);
	err = dentry_add(dir, name, strlen(name), i, NULL);
	dentry_put(dir);
	if (err)
		inode_put(i);
	return err;

put_dir:
	dentry_put(dir);
free_node:
	kfree(n);
	return err;
}

int devfs_register(const struct device_node *node)
{
	return add_node(node, node->name);
}

int devfs_add(const char *path, uint32_t mode, uint32_t rdev,
	      int (*open)(const struct device_node *, uint32_t, struct file **), void *priv)
{
	return add_node(&(struct device_node){ "", mode, rdev, open, priv }, path);
}

struct dentry *devfs_root(void)
{
	return dentry_get(devfs_sb->root);
}

void devfs_remove(const char *path)
{
	const char *name = last_name(path);
	struct dentry *dir;

	if (dentry_make_path(devfs_sb->root, path, (size_t)(name - path), NULL, NULL, &dir))
		return;
	dentry_remove(dir, name, strlen(name));
	dentry_put(dir);
}

/* --- the nodes without a driver --------------------------------------------------------------------------------- */

static ssize_t read_nothing(struct file *f, struct io *io, off_t *pos)
{
	return 0;
}

static ssize_t write_nothing(struct file *f, struct io *io, off_t *pos)
{
	ssize_t n = (ssize_t)io->left;

	io->left = 0;
	return n;
}

static ssize_t write_full(struct file *f, struct io *io, off_t *pos)
{
	return io->left ? -ENOSPC : 0;
}

static ssize_t read_zeros(struct file *f, struct io *io, off_t *pos)
{
	static const uint8_t zeros[1024];
	ssize_t done = 0, n;

	while (io->left > 0) {
		n = io_copy_to(io, zeros, sizeof(zeros));
		if (n <= 0)
			return done > 0 ? done : n;
		done += n;
		cond_resched();
		if (signal_pending_current())
			break;
	}
	return done;
}

static off_t seek_nowhere(struct file *f, off_t offset, int whence)
{
	f->pos = 0;
	return 0;
}

static const struct file_ops null_ops = {
	.name = "null",
	.read = read_nothing,
	.write = write_nothing,
	.seek = seek_nowhere,
	.no_place = true,
};
static int map_zeros(struct file *f, unsigned *flags, struct vm_backing **out)
{
	*out = NULL;
	return 0;
}

static const struct file_ops zero_ops = {
	.name = "zero",
	.mmap = map_zeros,
	.read = read_zeros,
	.write = write_nothing,
	.seek = seek_nowhere,
	.no_place = true,
};
static const struct file_ops full_ops = {
	.name = "full",
	.read = read_zeros,
	.write = write_full,
	.seek = seek_nowhere,
	.no_place = true,
};

/* --- random ------------------------------------------------------------------------------------------------------ */

static struct waitq seeded_wait = WAITQ_INIT(seeded_wait);

void devfs_random_seeded(void)
{
	wake_all(&seeded_wait);
}

static int wait_seeded(void)
{
	if (random_seeded())
		return 0;
	log_info("fs: %s waits for random numbers: there is no seed yet", current_base()->name);
	return wait_event_interruptible(&seeded_wait, random_seeded());
}

static ssize_t read_random(struct file *f, struct io *io, off_t *pos)
{
	uint8_t buf[256];
	ssize_t done = 0, n;
	int err;

	if (!random_seeded() && file_nonblocking(f))
		return -EAGAIN;
	err = wait_seeded();
	while (!err && io->left > 0) {
		err = random_bytes(buf, MIN(io->left, sizeof(buf)));
		if (err)
			break;
		n = io_copy_to(io, buf, sizeof(buf));
		if (n <= 0) {
			err = (int)n;
			break;
		}
		done += n;
		cond_resched();
		if (signal_pending_current())
			break;
	}
	secure_zero(buf, sizeof(buf));
	return done > 0 ? done : err;
}

/* What programs write is mixed in and counted as nothing. */
static ssize_t write_random(struct file *f, struct io *io, off_t *pos)
{
	uint8_t buf[256];
	ssize_t done = 0, n;

	while (io->left > 0) {
		n = io_copy_from(io, buf, sizeof(buf));
		if (n <= 0)
			return done > 0 ? done : n;
		random_add(buf, (size_t)n, 0);
		done += n;
		cond_resched();
		if (signal_pending_current())
			break;
	}
	return done;
}

static const struct file_ops random_ops = {
	.name = "random",
	.read = read_random,
	.write = write_random,
	.seek = seek_nowhere,
	.no_place = true,
};

static int open_ops(const struct device_node *d, uint32_t flags, struct file **out)
{
	*out = file_create(d->priv, flags, NULL, NULL);
	return *out ? 0 : -ENOMEM;
}

static const struct {
	const char *name;
	uint32_t minor;
	const struct file_ops *ops;
} simple_nodes[] = {
	{ "null", 3, &null_ops },     { "zero", 5, &zero_ops },	     { "full", 7, &full_ops },
	{ "random", 8, &random_ops }, { "urandom", 9, &random_ops },
};

static const char *const links[][2] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
};

static int add_link(const char *name, const char *target)
{
	struct inode *i;
	int err = tmpfs_create(devfs_sb, S_IFLNK | 0777, target, &i);

	if (err)
		return err;
	err = dentry_add(devfs_sb->root, name, strlen(name), i, NULL);
	if (err)
		inode_put(i);
	return err;
}

int devfs_init(struct dentry *root)
{
	struct superblock *shm;
	struct dentry *pts;
	int err = tmpfs_make("devtmpfs", "mode=0755", &devfs_sb);

	if (!err) {
		/* drivers register nodes wherever it is mounted, or not at all */
		devfs_sb->destroy = NULL;
		err = superblock_attach(root, "dev", devfs_sb);
	}
	for (size_t k = 0; k < ARRAY_SIZE(simple_nodes) && !err; k++)
		err = devfs_add(simple_nodes[k].name, S_IFCHR | 0666,
				1 << 8 | simple_nodes[k].minor, open_ops,
				(void *)(uintptr_t)simple_nodes[k].ops);
	for (size_t k = 0; k < ARRAY_SIZE(links) && !err; k++)
		err = add_link(links[k][0], links[k][1]);
	if (!err)
		err = dentry_make_path(devfs_sb->root, "pts", 3, make_dir, NULL, &pts);
	if (err)
		return err;
	dentry_put(pts);
	err = tmpfs_make("tmpfs", NULL, &shm);
	if (err)
		return err;
	err = superblock_attach(devfs_sb->root, "shm", shm);
	superblock_put(shm);
	return err;
}
