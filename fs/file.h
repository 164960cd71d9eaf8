/* SPDX-License-Identifier: MIT */
/* Open files: everything a program or a session can wait for. System calls and kernel threads (the SSH server) use
 * the same calls. Readiness is computed from state under the object's spinlock (or atomics), by the one poll
 * function of its type, and announced through its poll source. */
#ifndef TERN_FS_FILE_H
#define TERN_FS_FILE_H

#include "lib/refcount.h"
#include "mm/vm/user_copy.h"
#include "sched/mutex.h"
#include "sched/poll.h"

struct file;
struct inode;
struct vm_backing;
struct kstat;

/* Status flags: the values of Linux arm64's O_*. */
#define FILE_ACCMODE  00000003u
#define FILE_RDONLY   00000000u
#define FILE_WRONLY   00000001u
#define FILE_RDWR     00000002u
#define FILE_APPEND   00002000u
#define FILE_NONBLOCK 00004000u
/* As O_NONBLOCK for this file's kernel user, whatever programs set. Not visible to them. */
#define FILE_KERNEL_NONBLOCK BIT(30)
/* Opened by somebody other than root: what is written loses its set-id bits. Not visible either. */
#define FILE_UNPRIVILEGED BIT(29)

struct file_ops {
	const char *name; /* "pipe", "tty", "socket", "tmpfs" ... for reports and /proc/PID/fd */
	bool no_place; /* transfers are given none: any is as good, or the type keeps pos itself */
	/* Up to io->left bytes; *pos is advanced by seekable files (NULL for others). Bytes moved, 0 at the end of file,
	 * -EAGAIN if it would block and the file is non-blocking, -EINTR, -ERESTARTSYS, -EPIPE ... */
	ssize_t (*read)(struct file *f, struct io *io, off_t *pos);
	ssize_t (*write)(struct file *f, struct io *io, off_t *pos);
	/* The events true now. Never sleeps, takes no mutex (but an epoll's, which asks others). NULL: always readable and
	 * writable. */
	uint32_t (*poll)(struct file *f);
	/* arg is a user address or a number, by cmd. -ENOTTY: not for this type. */
	int64_t (*ioctl)(struct file *f, unsigned cmd, uint64_t arg);
	/* New position or -errno. pos_lock held: callers use file_seek(). NULL: cannot seek. */
	off_t (*seek)(struct file *f, off_t offset, int whence);
	/* The object behind a mapping of these VM_* flags, one reference for the caller; *out NULL: fresh memory. It may add
	 * VM_NOWRITE. NULL: -ENODEV. */
	int (*mmap)(struct file *f, unsigned *flags, struct vm_backing **out);
	/* Next directory entries from f->pos on: calls emit until it says false. pos_lock held: callers use
	 * file_iterate(). */
	int (*iterate)(struct file *f,
		       bool (*emit)(void *arg, const char *name, size_t len, uint64_t ino,
				    uint8_t type, off_t next),
		       void *arg);
	int (*stat)(struct file *f, struct kstat *st); /* NULL: from the inode */
	int (*truncate)(struct file *f, off_t size);
	int (*sync)(struct file *f); /* what was written is on the disk; NULL: there is none */
	/* Linux's modes; off >= 0, len > 0, their sum too. NULL: -EOPNOTSUPP. */
	int (*allocate)(struct file *f, int mode, off_t off, off_t len);
	/* Pages of the kernel's behind it, for who is to end when memory is out. Sleeps for nothing. NULL: next to none. */
	uint64_t (*held)(const struct file *f);
	/* The last reference went. May sleep. */
	void (*release)(struct file *f);
};

struct file {
	const struct file_ops *ops; /* [init] */
	struct refcount ref;
	uint32_t flags;		    /* [atomic] FILE_* */
	struct poll_source *source; /* [init] NULL: never announces (always ready) */
	struct inode *inode;	    /* [init] the dentry's; NULL for sockets and anonymous pipes */
	struct dentry *dentry;	    /* [init] a reference; NULL if it has no name */
	int uses;		    /* [init] what it adds to inode->writers: 1, -1, 0 */
	struct mutex pos_lock;	    /* FILE_POS */
	off_t pos;		    /* [pos_lock] */
	struct list_head watchers;  /* [EPLINK] fs/epoll.c's; next NULL: never watched */
	void *priv;		    /* the type's */
};

/* For objects that programs make at will: a cache that leaves to all users one part in `part` of memory. Root's may be
 * more. NULL: no memory. */
struct slab_cache *fs_cache(const char *name, size_t size, unsigned part) __must_check;

/* A new file with one reference, -ENOMEM as NULL. source may be NULL. */
struct file *file_create(const struct file_ops *ops, uint32_t flags, struct poll_source *source,
			 void *priv) __must_check;
struct file *file_get(struct file *f);
void file_put(struct file *f); /* may sleep */

/* Transfers at the file's own position (seekable files serialise on FILE_POS). Context: thread, may sleep unless the
 * file is non-blocking. */
ssize_t file_read(struct file *f, struct io *io) __must_check;
ssize_t file_write(struct file *f, struct io *io) __must_check;
/* At *pos; the file's own position is not used. -ESPIPE for what cannot seek. */
ssize_t file_read_at(struct file *f, struct io *io, off_t *pos) __must_check;
ssize_t file_write_at(struct file *f, struct io *io, off_t *pos) __must_check;
/* Kernel-buffer forms. */
ssize_t file_read_kernel(struct file *f, void *buf, size_t n) __must_check;
ssize_t file_write_kernel(struct file *f, const void *buf, size_t n) __must_check;
uint32_t file_poll(struct file *f);
off_t file_seek(struct file *f, off_t offset, int whence) __must_check;
int file_truncate(struct file *f, off_t size) __must_check;
int file_allocate(struct file *f, int mode, off_t off, off_t len) __must_check;
/* Directory entries from the file's position on. emit may sleep; an entry it refuses comes again next time.
 * -ENOTDIR. */
int file_iterate(struct file *f,
		 bool (*emit)(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type,
			      off_t next),
		 void *arg) __must_check;
/* For seek operations of files with a size: whence 0, 1 or 2 about f->pos; data up to the size, a hole there. */
off_t file_seek_size(struct file *f, off_t offset, int whence, uint64_t size) __must_check;
/* For read operations of text in memory. */
ssize_t file_read_text(struct io *io, off_t *pos, const void *text, size_t len) __must_check;
bool file_nonblocking(const struct file *f);
/* For read and write operations: wait on wq until cond is true. 0, -EAGAIN if the file must not wait, -ERESTARTSYS. */
#define file_wait(f, wq, cond)                                                                     \
	((cond) ? 0 : file_nonblocking(f) ? -EAGAIN : wait_event_interruptible((wq), (cond)))

/* What stat tells; kernel/ turns it into the user's structure. */
struct kstat {
	uint64_t dev, ino, rdev, size, blocks;
	uint32_t mode, nlink, uid, gid, blksize;
	uint64_t atime_ns, mtime_ns, ctime_ns;
};
int file_stat(struct file *f, struct kstat *st) __must_check;
/* For stat operations of files without an inode or a kind: epoll, eventfd, timerfd. */
int file_stat_anonymous(struct file *f, struct kstat *st);

int file_init(void); /* boot, before the first file; vfs_init() calls it */

#endif
