/* SPDX-License-Identifier: MIT */
/* Descriptor tables: a growing array of chunks and a bitmap with a lowest-free hint, under one spinlock. A lookup returns a
 * counted reference taken under the lock (RC-012). */
#ifndef TERN_FS_FDTABLE_H
#define TERN_FS_FDTABLE_H

#include "fs/file.h"
#include "kernel/core/spinlock.h"

struct fdarray {
	unsigned size;	       /* [init] a multiple of 64 */
	uint64_t *used;	       /* [table] */
	uint64_t *cloexec;     /* [table] */
	uint64_t *full;	       /* [table] bit w: used[w] is all ones */
	struct file **chunk[]; /* [init] of FD_CHUNK numbers each */
};

#define FD_CHUNK 64u

static inline struct file **fdarray_slot(const struct fdarray *a, unsigned fd)
{
	return &a->chunk[fd / FD_CHUNK][fd % FD_CHUNK];
}

struct fdtable {
	spinlock_t lock;     /* FDTABLE */
	struct refcount ref; /* of processes, and of those who look at one's files */
	struct fdarray *a;   /* [lock] */
	unsigned hint;	     /* [lock] */
	unsigned count;	     /* [lock] */
};

struct fdtable *fdtable_create(void) __must_check; /* NULL: no memory */
struct fdtable *fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t); /* the last closes everything; may sleep */
/* Has another a reference? It may drop it at any time; that it may change t only a process that has one can give away.
 * False: what they did to t is seen; pairs with the release in fdtable_put(). */
static inline bool fdtable_is_shared(const struct fdtable *t)
{
	return atomic_load_acquire(&t->ref.n) > 1;
}
/* A copy with every open file shared: NULL: no memory. */
struct fdtable *fdtable_clone(struct fdtable *t) __must_check;

/* The file at fd with a reference, or NULL. */
struct file *fdtable_lookup(struct fdtable *t, int fd) __must_check;
/* The same without a reference or the lock: for the one thread that may change t, and good until it does (I-FD-2). */
static inline __must_check struct file *fdtable_peek(const struct fdtable *t, int fd)
{
	const struct fdarray *a = t->a;

	return (unsigned)fd < a->size ? *fdarray_slot(a, (unsigned)fd) : NULL;
}
/* Put f (its reference is taken over on success) at the lowest free number >= min. fd, -EMFILE, -ENOMEM. */
int fdtable_install(struct fdtable *t, struct file *f, int min, bool cloexec,
		    uint64_t limit) __must_check;
/* The lowest free number for a file that is still to be had: to be settled by who reserved it, and open to nobody before.
 * fd, -EMFILE, -ENOMEM. */
int fdtable_reserve(struct fdtable *t, bool cloexec, uint64_t limit) __must_check;
/* f's reference is taken over; NULL: there is none, and the number is free again. */
void fdtable_settle(struct fdtable *t, int fd, struct file *f);
/* At exactly fd, closing what is there (dup3, spawn). f's reference is taken over on success. -EBUSY: reserved. */
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
/* Add to *pages about how many would come back with its files from number *fd on, as far as one hold may go. False: that was
 * all. True, and *fd may be the same: to be called again. Context: as PIDTAB's holder. */
bool fdtable_held(struct fdtable *t, unsigned *fd, uint64_t *pages) __must_check;
/* Every open descriptor is below it. */
unsigned fdtable_size(struct fdtable *t);

#endif
