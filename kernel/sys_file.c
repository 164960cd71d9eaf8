/* SPDX-License-Identifier: MIT */
/* System calls on descriptors: reading, writing, duplicating, waiting. */
#include <linux/close_range.h>
#include <linux/fadvise.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <asm/ioctls.h>
#include <linux/fs.h>
#include "fs/fdtable.h"
#include "fs/inode.h"
#include "fs/pipe.h"
#include "fs/tmpfs.h"
#include "fs/vfs.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"

#define IOV_MAX_SEGMENTS 1024
#define FD_INT(x)	 ((int)(uint32_t)(x))

struct file *fd_get(uint64_t fd)
{
	return fdtable_lookup(current_process()->files, FD_INT(fd));
}

uint64_t fd_limit(void)
{
	return rlimit_cur(current_process(), RLIMIT_NOFILE);
}

static uint64_t size_limit(void)
{
	return rlimit_cur(current_process(), RLIMIT_FSIZE);
}

/* A program that writes where nobody reads, or nobody any more, is told by SIGPIPE as well, behind what its files may reach by
 * SIGXFSZ. */
static int64_t after_write(int64_t n, bool broken)
{
	if (broken)
		signal_send_thread(current_thread(), SIG_PIPE);
	if (n == -EFBIG && size_limit() != UINT64_MAX)
		signal_send_thread(current_thread(), SIG_XFSZ);
	return n;
}

int64_t check_new_size(uint64_t size)
{
	return size > size_limit() && (int64_t)size > 0 ? after_write(-EFBIG, false) : 0;
}

/* Move data one way; pos NULL: at the file's own position. */
static inline int64_t transfer(struct file *f, struct io *io, bool write, off_t *pos)
{
	int64_t n;

	io->end = size_limit();
	if (!write)
		return pos ? file_read_at(f, io, pos) : file_read(f, io);
	n = pos ? file_write_at(f, io, pos) : file_write(f, io);
	return after_write(n, io->broken);
}

static inline int64_t transfer_buffer(const uint64_t a[6], bool write, off_t *pos)
{
	struct borrowed b = fd_borrow(a[0]);
	int64_t ret = -EFAULT;
	struct io io;

	if (!b.file)
		return -EBADF;
	if (user_range_ok(a[1], a[2])) {
		io_init_user(&io, a[1], MIN(a[2], TRANSFER_MAX));
		ret = transfer(b.file, &io, write, pos);
	}
	fd_return(b);
	return ret;
}

int64_t sys_read(const uint64_t a[6])
{
	return transfer_buffer(a, false, NULL);
}

int64_t sys_write(const uint64_t a[6])
{
	return transfer_buffer(a, true, NULL);
}

int64_t sys_pread64(const uint64_t a[6])
{
	off_t pos = (off_t)a[3];

	return pos < 0 ? -EINVAL : transfer_buffer(a, false, &pos);
}

int64_t sys_pwrite64(const uint64_t a[6])
{
	off_t pos = (off_t)a[3];

	return pos < 0 ? -EINVAL : transfer_buffer(a, true, &pos);
}

/* struct iovec and struct io_segment have the same members in the same order. */
int64_t segments_from_user(vaddr_t from, uint64_t count, struct io_segment *seg)
{
	int64_t ret = user_copy_from(seg, from, count * sizeof(*seg));
	uint64_t total = 0;

	for (uint64_t i = 0; ret == 0 && i < count; i++) {
		if ((int64_t)seg[i].len < 0)
			ret = -EINVAL;
		else if (!user_range_ok(seg[i].base, seg[i].len))
			ret = -EFAULT;
		seg[i].len = MIN(seg[i].len, TRANSFER_MAX - total);
		total += seg[i].len;
	}
	return ret;
}

static int64_t transfer_vector(const uint64_t a[6], bool write, off_t *pos)
{
	struct borrowed b = fd_borrow(a[0]);
	struct io_segment *seg;
	struct io io;
	int64_t ret;

	if (!b.file)
		return -EBADF;
	seg = a[2] <= IOV_MAX_SEGMENTS ? kcalloc(a[2] + 1, sizeof(*seg)) : NULL;
	ret = a[2] > IOV_MAX_SEGMENTS ? -EINVAL : seg ? 0 : -ENOMEM;
	if (ret == 0)
		ret = segments_from_user(a[1], a[2], seg);
	if (ret == 0) {
		io_init_segments(&io, seg, (unsigned)a[2], true);
		ret = transfer(b.file, &io, write, pos);
	}
	kfree(seg);
	fd_return(b);
	return ret;
}

int64_t sys_readv(const uint64_t a[6])
{
	return transfer_vector(a, false, NULL);
}

int64_t sys_writev(const uint64_t a[6])
{
	return transfer_vector(a, true, NULL);
}

static int64_t transfer_vector_at(const uint64_t a[6], bool write)
{
	off_t pos = (off_t)a[3];

	return pos < 0 ? -EINVAL : transfer_vector(a, write, &pos);
}

int64_t sys_preadv(const uint64_t a[6])
{
	return transfer_vector_at(a, false);
}

int64_t sys_pwritev(const uint64_t a[6])
{
	return transfer_vector_at(a, true);
}

/* Everything is as synchronous and as urgent as it can be; the other flags are not there. Position -1: the file's own. */
static int64_t transfer_vector2(const uint64_t a[6], bool write)
{
	if (a[5] & ~(uint64_t)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
		return -EOPNOTSUPP;
	return (int64_t)a[3] == -1 ? transfer_vector(a, write, NULL) : transfer_vector_at(a, write);
}

int64_t sys_preadv2(const uint64_t a[6])
{
	return transfer_vector2(a, false);
}

int64_t sys_pwritev2(const uint64_t a[6])
{
	return transfer_vector2(a, true);
}

int64_t sys_close(const uint64_t a[6])
{
	return fdtable_close(current_process()->files, FD_INT(a[0]));
}

int64_t sys_close_range(const uint64_t a[6])
{
	unsigned first = (unsigned)a[0], last = (unsigned)a[1];
	int err = 0;

	if ((a[2] & ~(uint64_t)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last)
		return -EINVAL;
	if (a[2] & CLOSE_RANGE_UNSHARE)
		err = process_own_files(current_process());
	if (err == 0)
		fdtable_close_range(current_process()->files, first, last,
				    a[2] & CLOSE_RANGE_CLOEXEC);
	return err;
}

/* --- from file to file ----------------------------------------------------------------------------------------------- */

#define COPY_CHUNK (8 * PAGE_SIZE)

static bool is_regular(const struct file *f)
{
	return f->inode && (READ_ONCE(f->inode->mode) & S_IFMT) == S_IFREG;
}

/* From *from on, through kernel memory; to NULL: to out's own position. Nothing is held while out is waited for. What has
 * been written counts, also if it is cut short. */
static int64_t copy_bytes(struct file *in, off_t *from, struct file *out, off_t *to, uint64_t count)
{
	char *buf = kmalloc(COPY_CHUNK);
	int64_t done = 0, n = 0;
	struct io io;

	if (!buf)
		return -ENOMEM;
	while ((uint64_t)done < count && !(done && signal_pending_current())) {
		off_t at = *from;

		io_init_kernel(&io, buf, MIN(count - (uint64_t)done, COPY_CHUNK));
		n = file_read_at(in, &io, &at);
		if (n <= 0)
			break;
		io_init_kernel(&io, buf, (size_t)n);
		io.end = size_limit();
		n = to ? file_write_at(out, &io, to) : file_write(out, &io);
		n = after_write(n, io.broken);
		if (n <= 0)
			break;
		*from += n;
		done += n;
		cond_resched();
	}
	kfree(buf);
	return done ? done : n;
}

static bool may_copy(const struct file *in, const struct file *out)
{
	return (READ_ONCE(in->flags) & FILE_ACCMODE) != FILE_WRONLY &&
	       (READ_ONCE(out->flags) & FILE_ACCMODE) != FILE_RDONLY;
}

/* A position at a user address, or 0: the file's own. */
static int64_t load_position(struct file *f, vaddr_t at, off_t *pos)
{
	if (at)
		return user_copy_from(pos, at, sizeof(*pos));
	*pos = file_seek(f, 0, SEEK_CUR);
	return MIN(*pos, 0);
}

static int64_t store_position(struct file *f, vaddr_t at, off_t pos)
{
	return at ? user_copy_to(at, &pos, sizeof(pos)) : MIN(file_seek(f, pos, SEEK_SET), 0);
}

static int64_t send_file(struct file *out, struct file *in, vaddr_t pos_at, uint64_t count)
{
	int64_t ret, err;
	off_t pos;

	if (!is_regular(in))
		return pos_at && !in->ops->seek ? -ESPIPE : -EINVAL;
	ret = load_position(in, pos_at, &pos);
	if (ret < 0)
		return ret;
	if (pos < 0 || (READ_ONCE(out->flags) & FILE_APPEND))
		return -EINVAL;
	ret = copy_bytes(in, &pos, out, NULL, MIN(count, TRANSFER_MAX));
	err = store_position(in, pos_at, pos);
	return err < 0 ? err : ret;
}

int64_t sys_sendfile(const uint64_t a[6])
{
	struct file *out = fd_get(a[0]), *in = fd_get(a[1]);
	int64_t ret = in && out && may_copy(in, out) ? send_file(out, in, a[2], a[3]) : -EBADF;

	if (in)
		file_put(in);
	if (out)
		file_put(out);
	return ret;
}

static int64_t copy_range(struct file *in, struct file *out, const uint64_t a[6])
{
	uint64_t count = MIN(a[4], TRANSFER_MAX);
	off_t from = 0, to = 0;
	int64_t ret, err;

	if (a[5] || !is_regular(in) || !is_regular(out))
		return -EINVAL;
	if (READ_ONCE(out->flags) & FILE_APPEND)
		return -EBADF;
	ret = load_position(in, a[1], &from);
	if (ret == 0)
		ret = load_position(out, a[3], &to);
	if (ret < 0)
		return ret;
	if (from < 0 || to < 0)
		return -EINVAL;
	if (MAX(from, to) > INT64_MAX - (off_t)count)
		return -EOVERFLOW;
	if (in->inode == out->inode && from < to + (off_t)count && to < from + (off_t)count)
		return -EINVAL;
	ret = copy_bytes(in, &from, out, &to, count);
	err = store_position(in, a[1], from);
	if (err == 0)
		err = store_position(out, a[3], to);
	return err < 0 ? err : ret;
}

int64_t sys_copy_file_range(const uint64_t a[6])
{
	struct file *in = fd_get(a[0]), *out = fd_get(a[2]);
	int64_t ret = in && out && may_copy(in, out) ? copy_range(in, out, a) : -EBADF;

	if (in)
		file_put(in);
	if (out)
		file_put(out);
	return ret;
}

/* --- duplicates and flags ------------------------------------------------------------------------------------ */

int64_t fd_install(struct file *f, int min, bool cloexec)
{
	int fd = fdtable_install(current_process()->files, f, min, cloexec, fd_limit());

	if (fd < 0)
		file_put(f);
	return fd;
}

int64_t sys_dup(const uint64_t a[6])
{
	struct file *f = fd_get(a[0]);

	return f ? fd_install(f, 0, false) : -EBADF;
}

int64_t sys_dup3(const uint64_t a[6])
{
	struct file *f;
	int err;

	if (a[2] & ~(uint64_t)O_CLOEXEC)
		return -EINVAL;
	if (FD_INT(a[0]) == FD_INT(a[1]))
		return -EINVAL;
	f = fd_get(a[0]);
	if (!f)
		return -EBADF;
	err = fdtable_install_at(current_process()->files, FD_INT(a[1]), f, a[2] & O_CLOEXEC,
				 fd_limit());
	if (err < 0) {
		file_put(f);
		return err;
	}
	return FD_INT(a[1]);
}

#define SETTABLE_FLAGS (FILE_APPEND | FILE_NONBLOCK | VFS_O_NOATIME)

/* Of those in mask. */
static int64_t set_flags(struct file *f, uint32_t mask, uint64_t flags)
{
	uint32_t old = atomic_load_relaxed(&f->flags);

	while (!atomic_compare_exchange(&f->flags, &old, (old & ~mask) | ((uint32_t)flags & mask)))
		;
	return 0;
}

static int64_t file_control(struct file *f, uint64_t fd, uint64_t cmd, uint64_t arg)
{
	struct fdtable *t = current_process()->files;

	switch (cmd) {
	case F_GETFD:
		return fdtable_get_cloexec(t, FD_INT(fd));
	case F_SETFD:
		return fdtable_set_cloexec(t, FD_INT(fd), arg & FD_CLOEXEC);
	case F_GETFL:
		return atomic_load_relaxed(&f->flags) & VFS_O_KEPT;
	case F_SETFL:
		if (arg & (O_DIRECT | FASYNC))
			return -EINVAL;
		return set_flags(f, SETTABLE_FLAGS, arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return fcntl_lock(f, fd, (unsigned)cmd, arg);
	case F_GETOWN:
		return 0;
	case F_GETPIPE_SZ:
		return pipe_size(f);
	case F_SETPIPE_SZ:
		return pipe_set_size(f, arg);
	case F_GET_SEALS:
		return tmpfs_seals(f);
	case F_ADD_SEALS:
		return tmpfs_add_seals(f, (uint32_t)arg);
	default:
		return -EINVAL;
	}
}

int64_t sys_fcntl(const uint64_t a[6])
{
	struct borrowed b = fd_borrow(a[0]);
	int64_t ret = -EINVAL;

	if (!b.file)
		return -EBADF;
	if (a[1] != F_DUPFD && a[1] != F_DUPFD_CLOEXEC)
		ret = file_control(b.file, a[0], a[1], a[2]);
	else if (a[2] < fd_limit())
		ret = fd_install(file_get(b.file), FD_INT(a[2]), a[1] == F_DUPFD_CLOEXEC);
	fd_return(b);
	return ret;
}

int64_t sys_ioctl(const uint64_t a[6])
{
	struct borrowed b = fd_borrow(a[0]);
	struct file *f = b.file;
	struct fdtable *t = current_process()->files;
	int64_t ret = -ENOTTY;
	int on;

	if (!f)
		return -EBADF;
	switch ((uint32_t)a[1]) {
	case FIOCLEX:
	case FIONCLEX:
		ret = fdtable_set_cloexec(t, FD_INT(a[0]), (uint32_t)a[1] == FIOCLEX);
		break;
	case FIONBIO:
		ret = user_copy_from(&on, a[2], sizeof(on));
		if (ret == 0)
			ret = set_flags(f, FILE_NONBLOCK, on ? FILE_NONBLOCK : 0);
		break;
	default:
		if (READ_ONCE(f->flags) & O_PATH)
			ret = -EBADF;
		else if (f->ops->ioctl)
			ret = f->ops->ioctl(f, (unsigned)a[1], a[2]);
	}
	fd_return(b);
	return ret;
}

int64_t sys_lseek(const uint64_t a[6])
{
	struct borrowed b = fd_borrow(a[0]);
	int64_t ret;

	if (!b.file)
		return -EBADF;
	ret = file_seek(b.file, (off_t)a[1], (int)a[2]);
	fd_return(b);
	return ret;
}

int64_t fd_install_two(struct file *end[2], bool cloexec, vaddr_t at)
{
	int ignored, fd[2];
	int64_t err;

	fd[0] = (int)fd_install(end[0], 0, cloexec);
	if (fd[0] < 0) {
		file_put(end[1]);
		return fd[0];
	}
	fd[1] = (int)fd_install(end[1], 0, cloexec);
	err = fd[1] < 0 ? fd[1] : user_copy_to(at, fd, sizeof(fd));
	if (err < 0) {
		ignored = fdtable_close(current_process()->files, fd[0]);
		if (fd[1] >= 0)
			ignored = fdtable_close(current_process()->files, fd[1]);
		(void)ignored;
	}
	return err;
}

int64_t sys_pipe2(const uint64_t a[6])
{
	const struct credentials *c = &current_process()->cred;
	struct file *end[2];
	int err;

	if (a[1] & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	err = pipe_create(&end[0], &end[1], (a[1] & O_NONBLOCK) ? FILE_NONBLOCK : 0);
	if (err < 0)
		return err;
	pipe_set_owner(end[0], READ_ONCE(c->fsuid), READ_ONCE(c->fsgid));
	return fd_install_two(end, a[1] & O_CLOEXEC, a[0]);
}

/* Memory is as durable as it gets; what is neither a file, a directory nor a disk has nothing to sync. */
int64_t sys_fsync(const uint64_t a[6])
{
	struct file *f = fd_get(a[0]);
	struct kstat k;
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = (READ_ONCE(f->flags) & O_PATH) ? -EBADF : file_stat(f, &k);
	if (ret == 0 && f->ops->sync)
		ret = f->ops->sync(f);
	else if (ret == 0 && (k.mode & 0170000) != 0100000 && (k.mode & 0170000) != 0040000)
		ret = -EINVAL;
	file_put(f);
	return ret;
}

int64_t sys_fdatasync(const uint64_t a[6])
{
	return sys_fsync(a);
}

int64_t sys_syncfs(const uint64_t a[6])
{
	struct file *f = fd_get(a[0]);
	int64_t ret = f && !(READ_ONCE(f->flags) & O_PATH) ? 0 : -EBADF;

	if (f)
		file_put(f);
	return ret;
}

int64_t sys_sync(const uint64_t a[6])
{
	/* nobody to tell: who wants to know calls fsync */
	(void)blockfile_sync_all();
	return 0;
}

int64_t sys_ftruncate(const uint64_t a[6])
{
	struct file *f = fd_get(a[0]);
	int64_t ret;

	if (!f)
		return -EBADF;
	/* to make it smaller is right */
	ret = f->inode && a[1] > READ_ONCE(f->inode->size) ? check_new_size(a[1]) : 0;
	if (ret == 0)
		ret = file_truncate(f, (off_t)a[1]);
	file_put(f);
	return ret;
}

int64_t sys_fallocate(const uint64_t a[6])
{
	struct file *f = fd_get(a[0]);
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = check_new_size(a[2] + a[3]);
	if (ret == 0)
		ret = file_allocate(f, (int)a[1], (off_t)a[2], (off_t)a[3]);
	file_put(f);
	return ret;
}

/* Hints: nothing is read before it is asked for, and there is one copy of a file's bytes. */
int64_t sys_fadvise64(const uint64_t a[6])
{
	struct file *f = fd_get(a[0]);
	struct kstat st = { 0 };
	int64_t ret = 0;

	if (!f)
		return -EBADF;
	if (READ_ONCE(f->flags) & O_PATH)
		ret = -EBADF;
	else if (file_stat(f, &st) == 0 && (st.mode & S_IFMT) == S_IFIFO)
		ret = -ESPIPE;
	else if ((int64_t)a[2] < 0 || (uint32_t)a[3] > POSIX_FADV_NOREUSE)
		ret = -EINVAL;
	file_put(f);
	return ret;
}

int64_t sys_readahead(const uint64_t a[6])
{
	struct file *f = fd_get(a[0]);
	struct kstat st = { 0 };
	int64_t ret = 0;

	if (!f)
		return -EBADF;
	if ((READ_ONCE(f->flags) & O_PATH) || (READ_ONCE(f->flags) & FILE_ACCMODE) == FILE_WRONLY)
		ret = -EBADF;
	else if (file_stat(f, &st) < 0 || (st.mode & S_IFMT) != S_IFREG || (int64_t)a[2] < 0)
		ret = -EINVAL;
	file_put(f);
	return ret;
}

/* --- directories ------------------------------------------------------------------------------------------------- */

struct dirent_head {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
} __packed;

struct dirent_sink {
	vaddr_t at;
	size_t left;
	int64_t written;
	int err;
};

static bool emit_dirent(void *arg, const char *name, size_t len, uint64_t ino, uint8_t type,
			off_t next)
{
	struct dirent_sink *s = arg;
	size_t rec = ALIGN_UP(sizeof(struct dirent_head) + len + 1, 8UL);
	uint8_t buf[sizeof(struct dirent_head) + 256 + 8] = { 0 };
	struct dirent_head h = { ino, next, (uint16_t)rec, type };

	if (rec > s->left || rec > sizeof(buf)) {
		s->err = s->written ? 0 : -EINVAL;
		return false;
	}
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), name, len);
	s->err = user_copy_to(s->at, buf, rec);
	if (s->err < 0)
		return false;
	s->at += rec;
	s->left -= rec;
	s->written += (int64_t)rec;
	return true;
}

int64_t sys_getdents64(const uint64_t a[6])
{
	struct dirent_sink s = { .at = a[1], .left = MIN(a[2], TRANSFER_MAX) };
	struct borrowed b = fd_borrow(a[0]);
	int64_t ret;

	if (!b.file)
		return -EBADF;
	ret = file_iterate(b.file, emit_dirent, &s);
	fd_return(b);
	if (s.written)
		return s.written;
	return ret < 0 ? ret : s.err;
}
