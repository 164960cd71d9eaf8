/* SPDX-License-Identifier: MIT */
/* The root file system, /dev and /proc, and the files they start with. */
#include "fs/dcache.h"
#include "fs/devfs.h"
#include "fs/epoll.h"
#include "fs/filelock.h"
#include "fs/names.h"
#include "fs/procfs.h"
#include "fs/tmpfs.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"

static int make_root(void)
{
	struct superblock *sb;
	int err = tmpfs_make("tmpfs", "mode=0755", &sb);

	if (err)
		return err;
	vfs_root_dentry = sb->root;
	return superblock_attach(NULL, NULL, sb);
}

/* The tree without any file in it. Nothing is undone on failure: the machine cannot go on without a root. */
int vfs_tree_init(void)
{
	int err = file_init();

	vfs_names_init();
	if (!err)
		err = epoll_init();
	if (!err)
		err = filelock_init();
	if (!err)
		err = inode_init();
	if (!err)
		err = tmpfs_init();
	if (!err)
		err = dcache_init();
	if (!err)
		err = make_root();
	if (!err)
		err = devfs_init(vfs_root_dentry);
	if (!err)
		err = procfs_init(vfs_root_dentry);
	return err;
}

int vfs_init(void)
{
	int err = vfs_tree_init();

	return err ? err : vfs_first_files();
}
