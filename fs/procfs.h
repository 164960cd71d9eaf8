/* SPDX-License-Identifier: MIT */
/* /proc, for the floors above: texts, directories and links made on demand. */
#ifndef TERN_FS_PROCFS_H
#define TERN_FS_PROCFS_H

#include "fs/inode.h"

int procfs_init(struct dentry *root) __must_check; /* boot */
int procfs_register_basic(void) __must_check; /* boot: what fs/ itself shows (fs/procfiles.c) */

/* As procfs_register(), for root's eyes. */
int procfs_register_private(const char *path, void (*show)(struct proc_text *t)) __must_check;

/* Root may write to it: set() gets a line of at most PROC_LINE bytes, without its end; 0 or -errno. */
int procfs_register_settable(const char *path, void (*show)(struct proc_text *t),
			     int (*set)(char *line)) __must_check;

/* A file with operations of its own. */
int procfs_register_file(const char *path, uint32_t mode, const struct inode_ops *ops) __must_check;

/* What /proc/mounts shows. */
void procfs_show_mounts(struct proc_text *t);

/* Of one kind of text. All but show may be NULL. */
struct proc_text_ops {
	/* Prints it, whenever it is read from the beginning (I-PROCFS-1). Context: thread, no lock held. */
	void (*show)(struct proc_text *t, void *arg);
	/* At each open: who opens may be refused, and *as_opened is what show() finds in the text. 0 or -errno. */
	int (*open)(uint64_t *as_opened, void *arg);
	int (*set)(char *line);	    /* see procfs_register_settable(); NULL: a write is -EIO */
	void (*release)(void *arg); /* with the inode */
};
/* An inode of such a text. On failure release is not called. NULL: no memory. */
struct inode *procfs_text_inode(uint32_t mode, const struct proc_text_ops *ops,
				void *arg) __must_check;
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
