/* SPDX-License-Identifier: MIT */
/* What a process carries from floors above kernel/proc: its place in the file tree, its memory, its files, its vfork
 * parent; for its own threads, and for others who look. */
#ifndef TERN_KERNEL_CONTEXT_H
#define TERN_KERNEL_CONTEXT_H

#include "fs/vfs.h"
#include "kernel/proc/process.h"

struct vm_space;

/* Where a process, and those made with CLONE_FS, are in the file tree. A lone thread uses ctx as it is, without a lock
 * or a reference; threads that share it each use a copy of their own, made anew when the generation tells of a change. */
struct fs_state {
	struct refcount ref;
	spinlock_t lock;	/* FSCTX */
	uint32_t generation;	/* [lock] stored with release */
	struct vfs_context ctx; /* [lock] */
};

/* At the root directory with p's credentials; or a copy of another's. NULL: no memory. */
struct fs_state *fs_state_create(const struct process *p) __must_check;
struct fs_state *fs_state_clone(struct fs_state *from, const struct process *p) __must_check;
void fs_state_put(struct fs_state *fs);

/* The current thread's view: good until its next system call. */
const struct vfs_context *fs_context(void) __must_check;
/* Change it, for all who share it. The reference moves in. */
void fs_set_cwd(struct dentry *d);
void fs_set_root(struct dentry *d);
uint32_t fs_set_umask(uint32_t mask); /* returns the old one */
/* The current process's credentials are others now. */
void fs_set_cred(void);

/* t, of p, uses a place that others will use too: it gets a copy of its own, unless it has one. 0 or -ENOMEM. */
int fs_copy_create(struct thread *t, const struct process *p) __must_check;
void fs_copy_destroy(struct thread *t);

/* Of any process, with a reference; NULL once it is gone. */
struct fdtable *process_files_get(struct process *p) __must_check;
struct vm_space *process_space_get(struct process *p) __must_check;
struct file *process_exe_get(struct process *p) __must_check;
struct dentry *process_cwd_get(struct process *p) __must_check;
struct dentry *process_root_get(struct process *p) __must_check;

/* May the caller see into p: its memory, its files? */
bool process_may_look(struct process *p);

/* The most memory p has had so far, in pages; kept in its account when its memory goes. */
uint64_t process_peak_pages(struct process *p);
void process_keep_peak(struct process *p);

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
