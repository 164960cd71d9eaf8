/* SPDX-License-Identifier: MIT */
/* Loading a program: file, arguments, memory, first frame. */
#ifndef TERN_KERNEL_EXEC_H
#define TERN_KERNEL_EXEC_H

#include "arch/aarch64/frame.h"
#include "fs/vfs.h"
#include "kernel/proc/process.h"

#define EXEC_STRING_MAX (128UL << 10) /* one argument, as Linux */
#define EXEC_ARGS_MAX	(6UL << 20)   /* all of them, as Linux: or a quarter of the stack limit */

/* Arguments and environment: NUL-terminated strings one after the other, argv first, in pieces of a page: memory may be free
 * in pieces only. */
struct exec_args {
	char **piece;
	size_t len;
	unsigned nr, max; /* pieces; room for so many */
	size_t room;	  /* for the strings and the pointers to them */
	unsigned argc, envc;
};

/* None yet, for a program of this name in a process with this limit of its stack. */
void exec_args_init(struct exec_args *a, uint64_t stack_limit, const char *path);
/* Append one string, counted in argc or envc; from kernel memory, or from user memory. 0, -E2BIG, -ENOMEM, -EFAULT. */
int exec_args_add(struct exec_args *a, const char *s, unsigned *count) __must_check;
int exec_args_add_user(struct exec_args *a, vaddr_t s, unsigned *count) __must_check;
void exec_args_free(struct exec_args *a);

/* What is needed to become the program. */
struct exec_image {
	struct vm_space *space; /* a reference */
	struct file *file;	/* a reference */
	struct trap_frame frame;
	char name[16];
};

/* Which file: as vfs_open_exec() takes it, and the name the program is told. */
struct exec_source {
	const struct vfs_context *ctx;
	struct dentry *at;
	const char *path;
	unsigned how;
	const char *name;
};

/* Open and check the file, or the interpreter that its first line names (args grow by it), build a new space with
 * segments, stack and auxiliary vector. Nothing of p changes. On failure *out is empty. 0; -ENOENT, -EACCES, -ENOEXEC,
 * -ENOMEM, -E2BIG ... Context: thread. */
int exec_load(struct process *p, const struct exec_source *from, struct exec_args *args,
	      struct exec_image *out) __must_check;
void exec_image_free(struct exec_image *img);

/* Give a process that has not run its image (references move). */
void exec_adopt(struct process *p, struct exec_image *img);
/* Become the image: the point of no return. Context: a thread of p, the only one. */
void exec_become(struct process *p, struct exec_image *img) __noreturn;

#endif
