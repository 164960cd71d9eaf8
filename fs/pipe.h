/* SPDX-License-Identifier: MIT */
/* Pipes: 64 KiB at first, writes up to PIPE_ATOMIC whole, back-pressure both ways; -EPIPE (the system call raises SIGPIPE). */
#ifndef TERN_FS_PIPE_H
#define TERN_FS_PIPE_H

#include "fs/file.h"

#define PIPE_SIZE   65536
#define PIPE_ATOMIC 4096

/* 0 and both ends, or -ENOMEM. flags: FILE_NONBLOCK for both. */
int pipe_create(struct file **read_end, struct file **write_end, uint32_t flags) __must_check;
/* Before anybody else knows the pipe: whose it is, for who opens it again. */
void pipe_set_owner(struct file *end, uint32_t uid, uint32_t gid);

/* What a pipe holds: PIPE_SIZE unless another size was set: a page at least, and a power of two. -EBADF: not a pipe; -EBUSY: more
 * lies in it; -EPERM: more than a user may have; -EINVAL, -ENOMEM. */
#define PIPE_SIZE_MAX (1U << 31)
int64_t pipe_size(struct file *f) __must_check;
int64_t pipe_set_size(struct file *f, uint64_t want) __must_check;

/* The pipe behind either end with a reference, or NULL: not a pipe. And for those with a name: a new one without ends and
 * with one reference. */
struct pipe;
struct pipe *pipe_of(struct file *f) __must_check;
/* A name that opens it again; a reference. -ENXIO: not a pipe. */
int pipe_dentry(struct file *f, struct dentry **out) __must_check;
struct pipe *pipe_alloc(void) __must_check; /* NULL: no memory */
void pipe_put(struct pipe *p);
/* One more end, or both (FILE_RDWR). Reading and writing ends wait for each other; -ENXIO: a writer that will not wait
 * and nobody reads; -ERESTARTSYS. */
int pipe_open(struct pipe *p, uint32_t flags, struct file **out) __must_check;

#endif
