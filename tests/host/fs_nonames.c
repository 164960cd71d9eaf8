/* SPDX-License-Identifier: MIT */
/* For tests of files without names: fs/file.c without fs/vfs.c, and mostly without fs/epoll.c. */
#include "fs/epoll.h"
#include "fs/filelock.h"
#include "tests/host/test.h"

void dentry_put(struct dentry *d)
{
	test_fail(__FILE__, __LINE__, "a file has a name: %p", (void *)d);
}

void inode_unuse(struct inode *i, int by)
{
	test_fail(__FILE__, __LINE__, "a file has an inode: %p %d", (void *)i, by);
}

void inode_stat(struct inode *i, struct kstat *st)
{
	test_fail(__FILE__, __LINE__, "a file has an inode: %p %p", (void *)i, (void *)st);
}

__attribute__((weak)) void epoll_forget(struct file *f)
{
	test_fail(__FILE__, __LINE__, "a file is watched: %p", (void *)f);
}

void filelock_release(struct inode *i, const void *owner)
{
	(void)owner;
	if (i)
		test_fail(__FILE__, __LINE__, "a file has an inode: %p", (void *)i);
}
