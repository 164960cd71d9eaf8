/* SPDX-License-Identifier: MIT */
/* Advisory locks: fcntl's ranges, whose owner is a descriptor table or an open file, and flock's, on whole files. The
 * two kinds know nothing of each other. */
#ifndef TERN_FS_FILELOCK_H
#define TERN_FS_FILELOCK_H

#include "fs/inode.h"

enum lock_type { LOCK_SHARED, LOCK_EXCLUSIVE, LOCK_NONE };

struct file_lock {
	const void *owner; /* compared, never looked into */
	bool whole;	   /* flock's kind */
	enum lock_type type;
	off_t start, end; /* both belong to it */
	int pid;	  /* for who asks */
};

int filelock_init(void) __must_check; /* boot */
/* Set, change or take away. A lock in the way: -EAGAIN, or wait for it: -ERESTARTSYS, and -EDEADLK if its owner waits for
 * us. -ENOLCK: no memory, or too many; -EINVAL: not a file with a name. */
int filelock_set(struct file *f, const struct file_lock *want, bool wait) __must_check;
/* What is in the way of want: true and *out. */
bool filelock_test(struct file *f, const struct file_lock *want, struct file_lock *out);
/* The owner lets go of everything he has on i. Cheap if nobody ever locked it. */
void filelock_release(struct inode *i, const void *owner);
void filelock_destroy(struct inode *i); /* with the inode */

#endif
