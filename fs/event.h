/* SPDX-License-Identifier: MIT */
/* Files that are only there to be waited for: eventfd counters and timers. */
#ifndef TERN_FS_EVENT_H
#define TERN_FS_EVENT_H

#include "fs/file.h"

/* semaphore: a read takes 1, not all. flags: FILE_NONBLOCK. 0, -ENOMEM. */
int eventfd_create(uint64_t value, bool semaphore, uint32_t flags, struct file **out) __must_check;

/* A timer that is not armed, on the wall clock or the monotonic one. 0, -ENOMEM. */
int timerfd_create(bool wall, uint32_t flags, struct file **out) __must_check;
struct timerfd_setting {
	uint64_t value_ns;    /* until it expires, or when; 0: disarmed */
	uint64_t interval_ns; /* then again and again; 0: once */
};
/* cancel_on_set: with an absolute time of the wall clock, a step of that makes the next read -ECANCELED. *old is what was
 * set, as timerfd_get() tells. -EINVAL: no timerfd. */
int timerfd_set(struct file *f, const struct timerfd_setting *new, bool absolute,
		bool cancel_on_set, struct timerfd_setting *old) __must_check;
/* The time left. -EINVAL: no timerfd. */
int timerfd_get(struct file *f, struct timerfd_setting *out) __must_check;

#endif
