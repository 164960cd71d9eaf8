/* SPDX-License-Identifier: MIT */
/* Inodes and directory entries: what file systems give to the tree of names. For fs/ and for the floors above that
 * add directories of their own (/proc/PID).
 *
 * The tree is made of dentries. A dentry holds its parent and its inode. It is found by (parent, name) in one hash
 * under DCACHE. A name that a file system keeps in memory is pinned: the link itself counts as a reference, and what is not
 * there does not exist. Names change under the directory's INODE lock, and the cache with them, so that the cache is never
 * behind the file system. */
#ifndef TERN_FS_INODE_H
#define TERN_FS_INODE_H

#include "fs/file.h"
#include "fs/vfs.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "lib/rbtree.h"

/* Mode bits of the Linux ABI. */
#define S_IFMT	      00170000
#define S_IFSOCK      0140000
#define S_IFLNK	      0120000
#define S_IFREG	      0100000
#define S_IFBLK	      0060000
#define S_IFDIR	      0040000
#define S_IFCHR	      0020000
#define S_IFIFO	      0010000
#define S_ISUID	      0004000
#define S_ISGID	      0002000
#define S_ISVTX	      0001000

#define DT_TYPE(mode) ((uint8_t)(((mode)&S_IFMT) >> 12))

/* Device numbers of what has no device: st_dev. */
enum {
	VFS_DEV_PROCFS = 1,
	VFS_DEV_PIPE,
	VFS_DEV_SYSFS,
	VFS_DEV_ANON,
	VFS_DEV_SOCKET,
	VFS_DEV_FIRST_FREE
};

/* What statfs tells; kernel/ turns it into the user's structure. Blocks are pages. */
struct kstatfs {
	uint64_t magic, dev, blocks, bfree;
	bool read_only;
};

#define NAME_MAX_LEN 255
#define SYMLINK_MAX  40

struct inode;
struct file_locks;

/* A file system: what its inodes have in common, and where its tree hangs.
 *
 * Mounting puts the root's dentry in the place of the directory's, which stays aside until the root leaves again: a walk
 * knows nothing of mounts. A tree is in one place at a time. users counts the references to its dentries that come from
 * outside of it: not a child's to its parent, not a link's to what it names. */
struct superblock {
	const char *type;			   /* "tmpfs" */
	uint64_t dev;				   /* [init] st_dev */
	uint64_t magic;				   /* [init] for statfs */
	bool read_only, no_exec, no_dev, no_atime; /* [atomic] */
	uint64_t next_ino;			   /* [atomic] */
	struct slab_cache *
		inodes; /* [init] where they come from, if they are more than a struct inode; or NULL */
	struct refcount ref; /* its inodes and its maker; not counted if there is no destroy */
	void (*destroy)(struct superblock *sb);
	/* Pages it may have and has left; NULL: it has none. */
	void (*space)(struct superblock *sb, uint64_t *total, uint64_t *left);
	struct dentry *root;	     /* [init] pinned */
	struct dentry *covered;	     /* [DCACHE] pinned; what root stands in for; NULL: nothing */
	struct list_head mount_link; /* [DCACHE] in the order of mounting */
	uint64_t mounted;	     /* [DCACHE] its number among all mounts ever; 0: it is not */
	bool doomed;	/* [DCACHE] to be taken apart when nobody uses it, by who takes this back */
	uint64_t users; /* [atomic] */
	uint64_t names; /* [DCACHE] linked ones */
};

/* Numbers for what has none of its own: st_dev. */
uint64_t superblock_next_dev(void);
/* Make root (its reference moves in) the root of sb. 0 or -ENOMEM. */
int superblock_set_root(struct superblock *sb, struct inode *root) __must_check;
void superblock_put(struct superblock *sb);
/* boot: make a directory called name below dir and hang sb there. */
int superblock_attach(struct dentry *dir, const char *name, struct superblock *sb) __must_check;
/* Call fn for each mounted one with a reference to its root, no lock held. */
void superblock_for_each(void (*fn)(struct superblock *sb, void *arg), void *arg);

struct inode_ops {
	/* Directories whose names are not all in the cache: 0 and an inode with a reference, or -ENOENT. Such answers
	 * are not kept. NULL: what is not in the cache is not there. Called with the directory's INODE held. */
	int (*lookup)(struct inode *dir, const char *name, size_t len, struct inode **out);
	/* Names beyond those in the cache, after them in the listing; *pos starts at 0. As file_ops.iterate. */
	int (*iterate)(struct inode *dir, uint64_t *pos,
		       bool (*emit)(void *arg, const char *name, size_t len, uint64_t ino,
				    uint8_t type, off_t next),
		       void *arg);
	/* A new inode for the directory (regular, directory or symbolic link by mode). NULL: -EPERM. */
	int (*create)(struct inode *dir, uint32_t mode, const char *target, struct inode **out);
	/* An open file (inode and dentry are filled in by the caller). NULL: -ENXIO. May sleep, no lock held. */
	int (*open)(struct inode *i, uint32_t flags, struct file **out);
	/* The text of a symbolic link; length, not more than size. */
	ssize_t (*readlink)(struct inode *i, char *buf, size_t size);
	/* A link to an object rather than to a name (/proc/PID/fd/N): a dentry with a reference. May be NULL. */
	int (*follow)(struct inode *i, struct dentry **out);
	/* Set the size. INODE held. NULL: -EINVAL. */
	int (*truncate)(struct inode *i, uint64_t size);
	/* Bring the statistics up to date before they are read. May be NULL. */
	void (*refresh)(struct inode *i);
	/* May the caller do with it what its mode denies him? NULL: no. */
	bool (*allows)(const struct inode *i);
	/* The last reference went. */
	void (*release)(struct inode *i);
};

struct inode {
	const struct inode_ops *ops; /* [init] */
	struct superblock *sb;	     /* [init] */
	struct refcount ref;
	struct mutex lock;		       /* INODE */
	uint64_t ino;			       /* [init] */
	uint32_t mode;			       /* [lock]; the type is [init] */
	uint32_t nlink;			       /* [lock] */
	bool linkable;			       /* [DCACHE] without a name it may still get one */
	uint32_t uid, gid;		       /* [lock] */
	uint32_t rdev;			       /* [init] */
	uint64_t size;			       /* [lock], read anywhere */
	uint64_t blocks;		       /* [lock] of 512 bytes */
	uint64_t atime_ns, mtime_ns, ctime_ns; /* [atomic] */
	int32_t writers; /* [atomic] files that write it; below 0: files of programs that run it */
	void *priv;	 /* the file system's */
	struct file_locks *locks; /* [atomic] set once: fs/filelock.c's */
};

/* One reference, nlink 1 (2 for a directory), times now. NULL: no memory. */
struct inode *inode_create(struct superblock *sb, const struct inode_ops *ops, uint32_t mode,
			   void *priv) __must_check;
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i);   /* may sleep */
void inode_touch(struct inode *i); /* mtime and ctime are now */
void inode_stat(struct inode *i, struct kstat *st);
/* I-EXEC-1: one more that writes it (by 1), or runs it (by -1): -ETXTBSY while the others do. Ended by inode_unuse(). */
int inode_use(struct inode *i, int by) __must_check;
void inode_unuse(struct inode *i, int by);

/* A dentry's life, under DCACHE:
 *   linked     in the hash and in its parent's children, pinned
 *   covered    something is mounted there and has its place: pinned only
 *   dead       unlinked or never linked: freed with the last reference */
struct dentry {
	struct list_head hash_link; /* [DCACHE] */
	struct rb_node child_node;  /* [DCACHE] in parent->children, by cookie */
	struct rb_root children;    /* [DCACHE] */
	struct dentry *parent; /* [DCACHE] a reference; itself for a root that is not mounted */
	struct superblock *sb; /* [init] */
	struct inode *inode;   /* [DCACHE] a reference. Set once, when it is linked */
	uint64_t cookie;       /* [DCACHE] place in its directory's listing, never reused there */
	uint64_t next_cookie;  /* [DCACHE] for the next child */
	struct refcount refs;
	uint32_t hash;	   /* [DCACHE] */
	uint16_t name_len; /* [DCACHE] */
	bool pinned;	   /* [DCACHE] the link is one of refs */
	bool hashed;	   /* [DCACHE] */
	bool dead;	   /* [DCACHE] unlinked: nothing may be added below */
	bool mount_root;   /* [init] of a file system: may not be moved or removed */
	char *name;	   /* [DCACHE] inline_name or its own allocation */
	char inline_name[32];
};

/* Link a pinned name to inode below dir (memory file systems: /dev, /proc). The inode's reference is taken over on
 * success. -EEXIST, -ENOMEM. */
int dentry_add(struct dentry *dir, const char *name, size_t len, struct inode *inode,
	       struct dentry **out) __must_check;
/* Remove a pinned name, if it is there. */
void dentry_remove(struct dentry *dir, const char *name, size_t len);
/* The dentry of a path of directories below dir, missing ones made with mkdir's inode (NULL: -ENOENT). A reference.
 * Slashes at the end do not matter. */
int dentry_make_path(struct dentry *dir, const char *path, size_t len,
		     struct inode *(*mkdir)(void *arg), void *arg,
		     struct dentry **out) __must_check;
/* The listing of a directory from the cache, for file_ops.iterate of directories. */
extern const struct file_ops vfs_dir_ops;
int vfs_dir_open(struct inode *i, uint32_t flags, struct file **out);

/* It was read, through this file: the access time moves by the rules of relatime, unless the file was opened O_NOATIME. */
void inode_accessed(struct file *f);
void inode_accessed_now(struct inode *i);
/* Contents changed through f, under INODE: times, and set-id bits if it was opened without privilege. */
void inode_written(struct file *f) __requires(f->inode->lock);
/* Take away what a change of owner or contents must take away. INODE held. */
void inode_drop_suid(struct inode *i) __requires(i->lock);

int inode_truncate(struct inode *i, const struct vfs_cred *cred, uint64_t size) __must_check;
void superblock_stat(struct superblock *sb, struct kstatfs *st);

bool vfs_in_group(const struct vfs_cred *cred, uint32_t gid);
/* The owner, or root. */
bool inode_owned(const struct inode *i, const struct vfs_cred *cred);
/* May these credentials do this (4 read, 2 write, 1 search) to the inode? 0 or -EACCES. */
int inode_permission(const struct inode *i, const struct vfs_cred *cred, unsigned rwx);
bool inode_owned_group(const struct inode *i, const struct vfs_cred *cred);
int inode_init(void); /* boot */

#endif
