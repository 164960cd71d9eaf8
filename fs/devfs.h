/* SPDX-License-Identifier: MIT */
#ifndef TERN_FS_DEVFS_H
#define TERN_FS_DEVFS_H

#include "fs/inode.h"

int devfs_init(struct dentry *root) __must_check; /* boot */
/* What a device's number means, wherever its node is; type: S_IFCHR or S_IFBLK. -ENXIO: nothing. */
int devfs_open_number(uint32_t type, uint32_t rdev, uint32_t flags, struct file **out) __must_check;
/* kernel/ calls it when the generator has become seeded: wakes the readers of /dev/random. Context: any. */
void devfs_random_seeded(void);

#endif
