/* SPDX-License-Identifier: MIT */
/* /proc, for the floors above: texts, directories and links made on demand. */
#ifndef TERN_FS_PROCFS_H
#define TERN_FS_PROCFS_H

#include "fs/inode.h"

int procfs_init(struct dentry *root) __must_check; /* boot */
int procfs_register_basic(void) __must_check; /* boot: what fs/ itself shows (fs/procfiles.c) */

/* As procfs_register(), for root's eyes. */
int procfs_register_private(const char *path, void (*show)(struct proc_text *t)) __must_check;

/* A file with operations of its own. */
int procfs_register_file(const char *path, uint32_t mode, const struct inode_ops *ops) __must_check;

/* What /proc/mounts shows. */
void procfs_show_mounts(struct proc_text *t);

/* An inode whose text show(t, arg) prints at each open. release (may be NULL) drops arg with the inode; on failure it
 * is not called. NULL: no memory. */
struct inode *procfs_text_inode(uint32_t mode, void (*show)(struct proc_text *t, void *arg),
				void *arg, void (*release)(void *arg)) __must_check;
/* An inode with operations of the caller's own: a directory with lookup and iterate, a link with readlink or follow.
 * Its number is made of key, so that a listing and a stat agree. */
struct inode *procfs_inode(uint32_t mode, const struct inode_ops *ops, void *priv,
			   uint64_t key) __must_check;
/* Names directly below /proc that are not registered (processes, "self"): asked last. One registration. */
struct proc_root_ops {
	int (*lookup)(const char *name, size_t len, struct inode **out);
	/* As inode_ops.iterate. */
	int (*iterate)(uint64_t *pos,
		       bool (*emit)(void *arg, const char *name, size_t len, uint64_t ino,
				    uint8_t type, off_t next),
		       void *arg);
};
void procfs_set_root_ops(const struct proc_root_ops *ops);

#endif
