/* SPDX-License-Identifier: MIT */
/* epoll: files that tell which of many others are ready. */
#ifndef TERN_FS_EPOLL_H
#define TERN_FS_EPOLL_H

#include "fs/file.h"

struct epoll_event;

int epoll_init(void) __must_check;		  /* boot */
int epoll_create(struct file **out) __must_check; /* 0, -ENOMEM */
bool file_is_epoll(const struct file *f);
/* EPOLL_CTL_ADD, _MOD, _DEL of `target`, known as fd; ev is not used for the last. The caller has references to both
 * files. 0; -EINVAL, -EPERM target cannot be waited for, -EEXIST, -ENOENT, -ELOOP, -ENOMEM. */
int epoll_control(struct file *epoll, unsigned op, struct file *target, int fd,
		  const struct epoll_event *ev) __must_check;
/* Give up to `max` events to `to`, waiting until there is one. How many, 0 when the time is up; -EFAULT,
 * -EINTR. */
int epoll_wait(struct file *epoll, struct io *to, int max, uint64_t deadline_ns) __must_check;

/* f is being released, its last reference has gone: nobody watches it from now on. file_put() calls it. */
void epoll_forget(struct file *f);

#endif
