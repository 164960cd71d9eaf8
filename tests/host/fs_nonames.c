/* SPDX-License-Identifier: MIT */
/* For tests of files without names: fs/file.c without fs/vfs.c. */
#include "fs/inode.h"
#include "tests/host/test.h"

void dentry_put(struct dentry *d)
{
	test_fail(__FILE__, __LINE__, "a file has a name: %p", (void *)d);
}

void inode_put(struct inode *i)
{
	test_fail(__FILE__, __LINE__, "a file has an inode: %p", (void *)i);
}

void inode_stat(struct inode *i, struct kstat *st)
{
	test_fail(__FILE__, __LINE__, "a file has an inode: %p %p", (void *)i, (void *)st);
}
