/* SPDX-License-Identifier: MIT */
/* Pipes: 64 KiB, writes up to PIPE_ATOMIC whole, back-pressure both ways; -EPIPE (the system call raises SIGPIPE). */
#ifndef TERN_FS_PIPE_H
#define TERN_FS_PIPE_H

#include "fs/file.h"

#define PIPE_SIZE   65536
#define PIPE_ATOMIC 4096

/* 0 and both ends, or -ENOMEM. flags: FILE_NONBLOCK for both. */
int pipe_create(struct file **read_end, struct file **write_end, uint32_t flags) __must_check;

#endif
