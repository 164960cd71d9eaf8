/* SPDX-License-Identifier: MIT */
/* Names to files: the directory tree with its cache, tmpfs as root filled from the initramfs (built-in files mapped in
 * place), devfs and procfs. */
#ifndef TERN_FS_VFS_H
#define TERN_FS_VFS_H

#include "fs/file.h"

struct dentry;
struct fdtable;
struct kstatfs;

/* Who asks, and from where. Copied into each process by kernel/. */
struct vfs_cred {
	uint32_t uid, gid;
	unsigned nr_groups;
	const uint32_t *groups;
};
struct vfs_context {
	struct dentry *root; /* a reference */
	struct dentry *cwd;  /* a reference */
	uint32_t umask;
	struct vfs_cred cred;
	/* Search only directories that nobody but root and this user may write: -EPERM. So nobody else has chosen where a path
	 * leads, by whichever links it goes. */
	bool wary;
	uint32_t wary_of_all_but;
};

/* Open flags beyond the status flags, values of Linux arm64. */
#define VFS_O_CREAT	00000100u
#define VFS_O_EXCL	00000200u
#define VFS_O_NOCTTY	00000400u
#define VFS_O_TRUNC	00001000u
#define VFS_O_DSYNC	00010000u
#define VFS_O_ASYNC	00020000u
#define VFS_O_DIRECTORY 00040000u
#define VFS_O_NOFOLLOW	00100000u
#define VFS_O_DIRECT	00200000u
#define VFS_O_LARGEFILE 00400000u
#define VFS_O_NOATIME	01000000u
#define VFS_O_CLOEXEC	02000000u
#define VFS_O_SYNC	04010000u
#define VFS_O_PATH	010000000u
#define VFS_O_TMPFILE	020000000u

/* What fcntl shows of them. */
#define VFS_O_KEPT                                                                                 \
	(FILE_ACCMODE | FILE_APPEND | FILE_NONBLOCK | VFS_O_SYNC | VFS_O_DIRECTORY |               \
	 VFS_O_NOFOLLOW | VFS_O_LARGEFILE | VFS_O_NOATIME | VFS_O_PATH)

#define VFS_PATH_MAX 4096

/* How a path is taken. */
#define VFS_FOLLOW BIT(0) /* a symbolic link at its end is followed */
#define VFS_EMPTY  BIT(1) /* an empty one is the place it starts from */

/* Each takes the directory to start from for relative names (NULL: ctx->cwd) and, where a link at the end may be meant
 * itself, how. 0 or -errno as Linux's calls. */
int vfs_open(const struct vfs_context *ctx, struct dentry *at, const char *path, uint32_t flags,
	     uint32_t mode, struct file **out) __must_check;
/* A regular file that may be executed, for reading it, though it may not be read. -EACCES. */
int vfs_open_exec(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
		  struct file **out) __must_check;
int vfs_stat(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	     struct kstat *st) __must_check;
int vfs_statfs(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	       struct kstatfs *st) __must_check;
int vfs_access(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	       unsigned rwx) __must_check;
int vfs_mkdir(const struct vfs_context *ctx, struct dentry *at, const char *path,
	      uint32_t mode) __must_check;
/* Any type but a directory; devices for root. */
int vfs_mknod(const struct vfs_context *ctx, struct dentry *at, const char *path, uint32_t mode,
	      uint32_t rdev) __must_check;
int vfs_unlink(const struct vfs_context *ctx, struct dentry *at, const char *path,
	       bool dir) __must_check;
int vfs_symlink(const struct vfs_context *ctx, const char *target, struct dentry *at,
		const char *path) __must_check;
int vfs_link(const struct vfs_context *ctx, struct dentry *at, const char *old, unsigned how,
	     struct dentry *nat, const char *path) __must_check;
#define VFS_RENAME_NOREPLACE BIT(0)
#define VFS_RENAME_EXCHANGE  BIT(1)
int vfs_rename(const struct vfs_context *ctx, struct dentry *at, const char *old,
	       struct dentry *nat, const char *path, unsigned flags) __must_check;
ssize_t vfs_readlink(const struct vfs_context *ctx, struct dentry *at, const char *path, char *buf,
		     size_t size) __must_check;
int vfs_chmod(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	      uint32_t mode) __must_check;
int vfs_chown(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
	      uint32_t uid, uint32_t gid) __must_check;
int vfs_truncate(const struct vfs_context *ctx, struct dentry *at, const char *path,
		 uint64_t size) __must_check;
/* Access and modification time; each may be one of these. */
#define VFS_TIME_NOW  UINT64_MAX
#define VFS_TIME_OMIT (UINT64_MAX - 1)
int vfs_set_times(const struct vfs_context *ctx, struct dentry *at, const char *path, unsigned how,
		  const uint64_t ns[2]) __must_check;
/* The directory named, for chdir, or at itself if its path is empty: a reference. */
int vfs_lookup_dir(const struct vfs_context *ctx, struct dentry *at, const char *path,
		   struct dentry **out) __must_check;
/* The absolute name. Length with NUL, or -ERANGE, -ENOENT (unlinked). */
ssize_t vfs_path_of(const struct vfs_context *ctx, struct dentry *d, char *buf,
		    size_t size) __must_check;
/* The same for reports: an unlinked name is followed by " (deleted)". */
ssize_t vfs_describe(const struct vfs_context *ctx, struct dentry *d, char *buf,
		     size_t size) __must_check;

/* type, options: NUL-terminated; flags: Linux's MS_*. The caller has checked that it may. */
int vfs_mount(const struct vfs_context *ctx, const char *type, const char *path, uint64_t flags,
	      const char *options) __must_check;
int vfs_umount(const struct vfs_context *ctx, const char *path, unsigned flags) __must_check;
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
struct dentry *vfs_root(void); /* a reference */

/* boot, in a thread: root, /dev, /proc; unpack the built-in cpio in place, then the initrd over it. */
int vfs_init(void);
int initramfs_unpack(const void *start, size_t len, bool in_place) __must_check;

/* --- registries ----------------------------------------------------------------------------------------------- */

/* A device node /dev/NAME. open makes the file. mode includes S_IFCHR or S_IFBLK. name is kept, not copied. */
struct device_node {
	const char *name;
	uint32_t mode;
	uint32_t rdev; /* major << 8 | minor */
	int (*open)(const struct device_node *d, uint32_t flags, struct file **out);
	void *priv;
};
int devfs_register(const struct device_node *d) __must_check;
/* A numbered node below /dev/DIR, as /dev/pts/N. */
int devfs_add(const char *path, uint32_t mode, uint32_t rdev,
	      int (*open)(const struct device_node *, uint32_t, struct file **),
	      void *priv) __must_check;
void devfs_remove(const char *path);
/* /dev/vda and so on, one for each disk there is. Boot. */
int blockfile_init(void) __must_check;
/* What was written to them all is on the disks. 0, or the first error. May sleep. */
int blockfile_sync_all(void);
struct dentry *devfs_root(void); /* a reference; wherever, and under whatever, it is mounted */

#define PROC_LINE 255
/* A file /proc/NAME whose text show() prints. */
struct proc_text {
	char *buf;
	size_t len, size;   /* proc_printf grows it */
	int err;	    /* what the read fails with */
	uint64_t as_opened; /* what open() of fs/procfs.h noted */
};
void proc_printf(struct proc_text *t, const char *fmt, ...) __printf(2, 3);
void proc_append(struct proc_text *t, const void *bytes, size_t n);
int procfs_register(const char *path, void (*show)(struct proc_text *t)) __must_check;
/* The same below /sys. */
int sysfs_register(const char *path, void (*show)(struct proc_text *t, void *arg),
		   void *arg) __must_check;

#endif
