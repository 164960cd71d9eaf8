/* SPDX-License-Identifier: MIT */
/* Descriptor tables: a growing array and a bitmap with a lowest-free hint, under one spinlock. A lookup returns a
 * counted reference taken under the lock (RC-012). */
#ifndef TERN_FS_FDTABLE_H
#define TERN_FS_FDTABLE_H

#include "fs/file.h"

struct fdtable;

struct fdtable *fdtable_create(void) __must_check; /* NULL: no memory */
struct fdtable *fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t); /* the last closes everything; may sleep */
/* Has another process a reference? It may drop it at any time; only a holder can add one. */
bool fdtable_is_shared(const struct fdtable *t);
/* A copy with every open file shared: NULL: no memory. */
struct fdtable *fdtable_clone(struct fdtable *t) __must_check;

/* The file at fd with a reference, or NULL. */
struct file *fdtable_lookup(struct fdtable *t, int fd) __must_check;
/* Put f (its reference is taken over on success) at the lowest free number >= min. fd, -EMFILE, -ENOMEM. */
int fdtable_install(struct fdtable *t, struct file *f, int min, bool cloexec,
		    uint64_t limit) __must_check;
/* At exactly fd, closing what is there (dup3, spawn). f's reference is taken over on success. */
int fdtable_install_at(struct fdtable *t, int fd, struct file *f, bool cloexec,
		       uint64_t limit) __must_check;
int fdtable_close(struct fdtable *t, int fd) __must_check; /* 0 or -EBADF */
/* The first used number >= from, or -1. */
int fdtable_next(struct fdtable *t, unsigned from) __must_check;
int fdtable_get_cloexec(struct fdtable *t, int fd);
int fdtable_set_cloexec(struct fdtable *t, int fd, bool on) __must_check;
/* Close every descriptor from first to last, or mark them close-on-exec. */
void fdtable_close_range(struct fdtable *t, unsigned first, unsigned last, bool cloexec);
void fdtable_close_on_exec(struct fdtable *t);
unsigned fdtable_count(struct fdtable *t);
/* About how many pages would come back with it. Context: as PIDTAB's holder; 0 if it is being changed. */
uint64_t fdtable_held(struct fdtable *t);
/* Every open descriptor is below it. */
unsigned fdtable_size(struct fdtable *t);

#endif
