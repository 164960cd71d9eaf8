/* SPDX-License-Identifier: MIT */
/* The pieces of vfs_init(), for fs/ itself and for hosted tests. */
#ifndef TERN_FS_NAMES_H
#define TERN_FS_NAMES_H

struct dentry;

extern struct dentry *vfs_root_dentry; /* [init] */

/* The built-in archive, linked into the image by the Makefile. */
extern const char initramfs_start[], initramfs_end[];

struct superblock *procfs_superblock(void);
struct superblock *sysfs_superblock(void);
struct superblock *devfs_superblock(void);

extern struct mutex rename_lock; /* RENAME */

void vfs_names_init(void);
int vfs_tree_init(void);
/* Unpack the built-in archive in place, then the boot loader's over it (fs/firstfiles.c). */
int vfs_first_files(void);

#endif
