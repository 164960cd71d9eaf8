/* SPDX-License-Identifier: MIT */
/* Files in memory. */
#ifndef TERN_FS_TMPFS_H
#define TERN_FS_TMPFS_H

#include "fs/inode.h"

struct vm_backing;

int tmpfs_init(void); /* boot */
/* A file system of its own with a root, one reference. options as tmpfs(5): size, mode, uid, gid; NULL: none. 0,
 * -EINVAL, -ENOMEM. type is kept, not copied. */
int tmpfs_make(const char *type, const char *options, struct superblock **out) __must_check;
/* A new inode by mode; target: of a symbolic link. 0 or -ENOMEM. */
int tmpfs_create(struct superblock *sb, uint32_t mode, const char *target,
		 struct inode **out) __must_check;
/* Is it a regular file in memory? */
bool tmpfs_is_file(const struct inode *i);
/* Make the contents of an empty regular file the n bytes at data, which stay as they are for ever; pages are copied
 * only when they are written. */
void tmpfs_set_in_place(struct inode *i, const void *data, size_t n);
/* Memory without a name, zeroed, len bytes: what mappings share that have no file. One reference. */
int tmpfs_memory_create(size_t len, struct vm_backing **out) __must_check;
/* An open file of that name in no directory, the caller's. What may be done to it can be restricted for good: by seals, Linux's
 * F_SEAL_*; to that belongs that no more can be set, which holds for all other files from the beginning. */
int tmpfs_memfd_create(const char *name, bool sealable, const struct vfs_cred *cred,
		       struct file **out) __must_check;
int tmpfs_seals(struct file *f) __must_check; /* -EINVAL: no file in memory */
/* -EBUSY: to be sealed against writing, while it is mapped shared and can be written to; -EPERM. */
int tmpfs_add_seals(struct file *f, uint32_t seals) __must_check;
/* Pages in use by all files. */
uint64_t tmpfs_pages(void);
/* More pages than this are not given to files: -ENOSPC. boot */
void tmpfs_set_limit(uint64_t pages);

#endif
