/* SPDX-License-Identifier: MIT */
/* What a process carries from floors above kernel/proc: its place in the file tree, its memory, its vfork parent. */
#ifndef TERN_KERNEL_CONTEXT_H
#define TERN_KERNEL_CONTEXT_H

#include "fs/vfs.h"
#include "kernel/proc/process.h"

struct vm_space;

/* A context at the root directory with p's credentials; or a copy of another's. NULL: no memory. */
struct vfs_context *fs_context_create(const struct process *p) __must_check;
struct vfs_context *fs_context_clone(const struct vfs_context *from,
				     const struct process *p) __must_check;
void fs_context_destroy(struct vfs_context *c);

/* Make s the memory of the current thread (NULL: none), at once. References are the caller's business. */
void space_switch(struct vm_space *s);

/* A parent asleep in vfork and the child it waits for share this; each puts its reference. */
struct vfork_wait {
	struct refcount ref;
	bool done; /* [atomic] release-set by the child, pairs with the acquire in the parent's wait */
	struct waitq wq;
};
struct vfork_wait *vfork_wait_create(void) __must_check; /* two references */
void vfork_wait_put(struct vfork_wait *v);

#endif
