/* SPDX-License-Identifier: MIT */
/* /proc: texts made when they are read from the beginning, registered by the floors that own the data. Registered names are
 * in the directory cache; those of processes are asked for each time and never kept. */
#include "fs/procfs.h"
#include "fs/names.h"
#include "kernel/core/panic.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

#define FIRST_TEXT 256UL

static struct superblock procfs_sb = {
	.type = "proc",
	.dev = VFS_DEV_PROCFS,
	.magic = 0x9fa0,
};
static struct superblock sysfs_sb = {
	.type = "sysfs",
	.dev = VFS_DEV_SYSFS,
	.magic = 0x62656572,
};
static const struct proc_root_ops *root_ops_extra; /* [init] */

/* What a text inode shows. */
struct proc_file {
	struct proc_text_ops ops;
	void *arg;
};

/* An open one. */
struct text_file {
	struct proc_text text; /* [pos_lock] I-PROCFS-1; empty: never read */
	off_t next;	       /* [pos_lock] where the last read of it ended */
	uint64_t as_opened;    /* [init] for proc_text.as_opened */
};

/* Room for n bytes more and a NUL. */
static bool make_room(struct proc_text *t, size_t n)
{
	size_t size = MAX(t->size ? t->size * 2 : FIRST_TEXT, t->len + n + 1);
	char *bigger;

	if (t->size - t->len > n)
		return true;
	bigger = krealloc(t->buf, size);
	if (!bigger) {
		t->err = -ENOMEM;
		return false;
	}
	t->buf = bigger;
	t->size = size;
	return true;
}

void proc_append(struct proc_text *t, const void *bytes, size_t n)
{
	if (t->err || !make_room(t, n))
		return;
	memcpy(t->buf + t->len, bytes, n);
	t->len += n;
}

void proc_printf(struct proc_text *t, const char *fmt, ...)
{
	size_t room, n = 0;
	va_list ap;

	while (!t->err && make_room(t, n)) {
		room = t->size - t->len;
		va_start(ap, fmt);
		n = fmt_vprint(t->buf + t->len, room, fmt, ap);
		va_end(ap);
		if (n < room) {
			t->len += n;
			return;
		}
	}
}

static int text_make(struct file *f, struct proc_text *t)
{
	const struct proc_file *p = f->inode->priv;
	const struct text_file *tf = f->priv;

	*t = (struct proc_text){ .as_opened = tf->as_opened };
	p->ops.show(t, p->arg);
	if (t->err)
		kfree(t->buf);
	return t->err;
}

/* Made without the lock (I-FLOOR-1): meanwhile another thread's read may move the position. */
static ssize_t text_read(struct file *f, struct io *io, off_t *given)
{
	off_t *pos = given ? given : &f->pos, made_for = -1;
	struct text_file *tf = f->priv;
	struct proc_text made = { 0 };
	ssize_t n;

	if (!io->left)
		return 0;
	mutex_lock(&f->pos_lock);
	while (*pos != made_for && (*pos == 0 || *pos != tf->next)) {
		made_for = *pos;
		mutex_unlock(&f->pos_lock);
		kfree(made.buf);
		n = text_make(f, &made);
		if (n < 0)
			return n;
		mutex_lock(&f->pos_lock);
	}
	if (*pos == made_for)
		SWAP(made, tf->text);
	n = file_read_text(io, pos, tf->text.buf, tf->text.len);
	tf->next = *pos;
	mutex_unlock(&f->pos_lock);
	kfree(made.buf);
	return n;
}

static ssize_t text_write(struct file *f, struct io *io, off_t *pos)
{
	const struct proc_file *p = f->inode->priv;
	size_t n = io->left;
	char line[PROC_LINE + 1];
	ssize_t got;
	int err;

	if (!p->ops.set)
		return -EIO;
	if (!n || n > PROC_LINE)
		return -EINVAL;
	got = io_copy_from(io, line, n);
	if (got <= 0)
		return got;
	line[got - (line[got - 1] == '\n')] = '\0';
	err = p->ops.set(line);
	return err < 0 ? err : got;
}

/* Where its end is nobody knows. */
static off_t text_seek(struct file *f, off_t offset, int whence)
{
	return whence > 1 ? -EINVAL : file_seek_size(f, offset, whence, 0);
}

static void text_release(struct file *f)
{
	struct text_file *tf = f->priv;

	kfree(tf->text.buf);
	kfree(tf);
}

static const struct file_ops text_ops = {
	.name = "proc",
	.no_place = true,
	.read = text_read,
	.write = text_write,
	.seek = text_seek,
	.release = text_release,
};

static int text_open(struct inode *i, uint32_t flags, struct file **out)
{
	const struct proc_file *p = i->priv;
	struct text_file *tf = kzalloc(sizeof(*tf));
	int err = 0;

	if (!tf)
		return -ENOMEM;
	if (p->ops.open)
		err = p->ops.open(&tf->as_opened, p->arg);
	if (!err) {
		*out = file_create(&text_ops, flags, NULL, tf);
		err = *out ? 0 : -ENOMEM;
	}
	if (err)
		kfree(tf);
	return err;
}

static void text_inode_release(struct inode *i)
{
	struct proc_file *p = i->priv;

	if (p->ops.release)
		p->ops.release(p->arg);
	kfree(p);
}

/* A shell's ">" cuts before it writes; there is nothing to cut. */
static int text_truncate(struct inode *i, uint64_t size)
{
	return 0;
}

static const struct inode_ops text_inode_ops = {
	.open = text_open,
	.truncate = text_truncate,
	.release = text_inode_release,
};

static struct inode *text_inode(struct superblock *sb, uint32_t mode, struct proc_text_ops ops,
				void *arg)
{
	struct proc_file *p = kmalloc(sizeof(*p));
	struct inode *i;

	if (!p)
		return NULL;
	*p = (struct proc_file){ ops, arg };
	i = inode_create(sb, &text_inode_ops, S_IFREG | mode, p);
	if (!i)
		kfree(p);
	return i;
}

struct inode *procfs_text_inode(uint32_t mode, const struct proc_text_ops *ops, void *arg)
{
	return text_inode(&procfs_sb, mode, *ops, arg);
}

struct inode *procfs_inode(uint32_t mode, const struct inode_ops *ops, void *priv, uint64_t key)
{
	struct inode *i = inode_create(&procfs_sb, ops, mode, priv);

	if (i)
		i->ino = key;
	return i;
}

/* --- registered names --------------------------------------------------------------------------------------------- */

static const struct inode_ops plain_dir_ops;

static struct inode *make_dir(void *arg)
{
	return inode_create(arg, &plain_dir_ops, S_IFDIR | 0555, NULL);
}

static void show_registered(struct proc_text *t, void *arg)
{
	void (*show)(struct proc_text *) = (void (*)(struct proc_text *))arg;

	show(t);
}

/* i's reference moves in, or goes. */
static int register_inode(struct dentry *root, const char *path, struct inode *i)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	struct dentry *dir;
	int err;

	if (!i)
		return -ENOMEM;
	err = dentry_make_path(root, path, (size_t)(name - path), make_dir, root->inode->sb, &dir);
	if (!err) {
		err = dentry_add(dir, name, strlen(name), i, NULL);
		dentry_put(dir);
	}
	if (err)
		inode_put(i);
	return err;
}

static int register_text(struct dentry *root, const char *path, uint32_t mode,
			 struct proc_text_ops ops, void *arg)
{
	return register_inode(root, path, text_inode(root->inode->sb, mode, ops, arg));
}

int procfs_register_file(const char *path, uint32_t mode, const struct inode_ops *ops)
{
	return register_inode(procfs_sb.root, path,
			      inode_create(&procfs_sb, ops, S_IFREG | mode, NULL));
}

static int register_shown(const char *path, uint32_t mode, void (*show)(struct proc_text *t),
			  int (*set)(char *line))
{
	return register_text(procfs_sb.root, path, mode,
			     (struct proc_text_ops){ .show = show_registered, .set = set },
			     (void *)show);
}

int procfs_register(const char *path, void (*show)(struct proc_text *t))
{
	return register_shown(path, 0444, show, NULL);
}

int procfs_register_private(const char *path, void (*show)(struct proc_text *t))
{
	return register_shown(path, 0400, show, NULL);
}

int procfs_register_settable(const char *path, void (*show)(struct proc_text *t),
			     int (*set)(char *line))
{
	return register_shown(path, 0444, show, set);
}

int sysfs_register(const char *path, void (*show)(struct proc_text *t, void *arg), void *arg)
{
	return register_text(sysfs_sb.root, path, 0444, (struct proc_text_ops){ .show = show },
			     arg);
}

static int root_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	if (!root_ops_extra)
		return -ENOENT;
	return root_ops_extra->lookup(name, len, out);
}

static int root_iterate(struct inode *dir, uint64_t *pos,
			bool (*emit)(void *arg, const char *name, size_t len, uint64_t ino,
				     uint8_t type, off_t next),
			void *arg)
{
	if (!root_ops_extra)
		return 0;
	return root_ops_extra->iterate(pos, emit, arg);
}

static const struct inode_ops root_dir_ops = {
	.lookup = root_lookup,
	.iterate = root_iterate,
};

void procfs_set_root_ops(const struct proc_root_ops *ops)
{
	root_ops_extra = ops;
}

struct superblock *procfs_superblock(void)
{
	return &procfs_sb;
}

struct superblock *sysfs_superblock(void)
{
	return &sysfs_sb;
}

int procfs_init(struct dentry *root)
{
	struct inode *proc = inode_create(&procfs_sb, &root_dir_ops, S_IFDIR | 0555, NULL);
	struct inode *sys = inode_create(&sysfs_sb, &plain_dir_ops, S_IFDIR | 0555, NULL);
	int err = proc && sys ? 0 : -ENOMEM;

	if (!err)
		err = superblock_set_root(&procfs_sb, proc);
	if (!err)
		err = superblock_set_root(&sysfs_sb, sys);
	if (!err)
		err = superblock_attach(root, "proc", &procfs_sb);
	if (!err)
		err = superblock_attach(root, "sys", &sysfs_sb);
	return err ? err : procfs_register_basic();
}
