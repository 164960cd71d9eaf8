/* SPDX-License-Identifier: MIT */
/* A name for a pipe that has none, so that /proc/PID/fd/N can be opened. */
#include "fs/pipe.h"
#include "fs/dcache.h"
#include "fs/names.h"

static struct superblock pipe_sb = { .type = "pipefs", .magic = 0x50495045, .dev = VFS_DEV_PIPE };

static int open_again(struct inode *i, uint32_t flags, struct file **out)
{
	return pipe_open(i->priv, flags, out);
}

static void release(struct inode *i)
{
	pipe_put(i->priv);
}

static const struct inode_ops again_ops = { .open = open_again, .release = release };

int pipe_dentry(struct file *f, struct dentry **out)
{
	struct pipe *p = pipe_of(f);
	struct kstat st;
	struct inode *i;
	struct dentry *d;
	int err;

	if (!p)
		return -ENXIO;
	err = file_stat(f, &st);
	i = err ? NULL : inode_create(&pipe_sb, &again_ops, S_IFIFO | 0600, p);
	if (!i) {
		pipe_put(p);
		return -ENOMEM;
	}
	i->uid = st.uid;
	i->gid = st.gid;
	d = dentry_create(vfs_root_dentry, "pipe", 4);
	if (!d) {
		inode_put(i);
		return -ENOMEM;
	}
	d->inode = i;
	WRITE_ONCE(d->dead, true);
	*out = d;
	return 0;
}
