/* SPDX-License-Identifier: MIT */
/* Paths to dentries, for fs/ itself. */
#ifndef TERN_FS_NAMEI_H
#define TERN_FS_NAMEI_H

#include "fs/inode.h"

#define WALK_FOLLOW VFS_FOLLOW
#define WALK_EMPTY  VFS_EMPTY
#define WALK_ABSENT BIT(2) /* the last name need not exist: found is false then */
#define WALK_NAME                                                                                  \
	BIT(3) /* the name itself is meant: a slash behind it follows no link and is not minded */

/* What a path without a last name ended with. */
enum walk_last { LAST_NAME, LAST_ROOT, LAST_DOT, LAST_DOTDOT };

/* Where a path led. One of the dentries is a reference, the other NULL. */
struct walk {
	struct dentry *child; /* what the path names */
	struct dentry
		*parent;     /* of the last name, if that is meant (WALK_NAME) or it is not there */
	bool found;	     /* the last name is there */
	bool slash;	     /* it was followed by '/': must be a directory */
	enum walk_last last; /* LAST_NAME: the path has one */
	size_t len;	     /* of the last name */
	uint32_t hash;	     /* of it in parent */
	char name[NAME_MAX_LEN + 1]; /* the last name, when parent is set */
};

/* 0 and *w, to be ended with walk_end(). -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG, -ENOMEM. */
int walk_path(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned flags,
	      struct walk *w) __must_check;
void walk_end(struct walk *w);

#endif
