/* SPDX-License-Identifier: MIT */
#ifndef TERN_FS_DEVFS_H
#define TERN_FS_DEVFS_H

#include "fs/inode.h"

int devfs_init(struct dentry *root) __must_check; /* boot */
/* kernel/ calls it when the generator has become seeded: wakes the readers of /dev/random. Context: any. */
void devfs_random_seeded(void);

#endif
