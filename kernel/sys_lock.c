/* SPDX-License-Identifier: MIT */
/* fcntl's locks, whose owner is the caller's descriptor table or (OFD) the open file; and flock. */
#include <linux/fcntl.h>
#include "fs/fdtable.h"
#include "fs/filelock.h"
#include "kernel/core/kcsan.h"
#include "kernel/sys_priv.h"
#include "mm/vm/user_copy.h"

#define FD_INT(x) ((int)(uint32_t)(x))

/* The range of a struct flock as its first and last byte. */
static int lock_range(struct file *f, const struct flock *fl, struct file_lock *l)
{
	struct kstat st = { 0 };
	off_t base = 0;

	if (fl->l_whence == 1)
		/* as on Linux without FILE_POS, whose holder may sleep */
		base = data_race(READ_ONCE(f->pos));
	else if (fl->l_whence == 2 && file_stat(f, &st) == 0)
		base = (off_t)st.size;
	else if (fl->l_whence != 0)
		return -EINVAL;
	if (__builtin_add_overflow(base, fl->l_start, &l->start))
		return -EOVERFLOW;
	if (l->start < 0)
		return -EINVAL;
	l->end = INT64_MAX;
	if (fl->l_len > 0 && __builtin_add_overflow(l->start, fl->l_len - 1, &l->end))
		return -EOVERFLOW;
	if (fl->l_len < 0) {
		l->end = l->start - 1;
		l->start += fl->l_len;
	}
	return l->start < 0 ? -EINVAL : 0;
}

static int lock_type(short type, enum lock_type *out)
{
	if (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK)
		return -EINVAL;
	*out = type == F_RDLCK ? LOCK_SHARED : type == F_WRLCK ? LOCK_EXCLUSIVE : LOCK_NONE;
	return 0;
}

static int64_t get_lock(struct file *f, const struct file_lock *want, struct flock *fl, vaddr_t to)
{
	struct file_lock l;

	if (want->type == LOCK_NONE)
		return -EINVAL;
	if (!filelock_test(f, want, &l)) {
		fl->l_type = F_UNLCK;
	} else {
		fl->l_type = l.type == LOCK_SHARED ? F_RDLCK : F_WRLCK;
		fl->l_whence = 0;
		fl->l_start = l.start;
		fl->l_len = l.end == INT64_MAX ? 0 : l.end - l.start + 1;
		fl->l_pid = l.pid;
	}
	return user_copy_to(to, fl, sizeof(*fl));
}

/* A close elsewhere that came before the lock did not find it: then it must not stay. */
static int64_t set_lock(struct file *f, uint64_t fd, const struct file_lock *want, bool wait)
{
	uint32_t access = f->flags & FILE_ACCMODE;
	struct file *still;
	int64_t ret;

	if ((want->type == LOCK_SHARED && access == FILE_WRONLY) ||
	    (want->type == LOCK_EXCLUSIVE && access == FILE_RDONLY))
		return -EBADF;
	ret = filelock_set(f, want, wait);
	if (ret < 0 || want->type == LOCK_NONE || want->owner == f)
		return ret;
	still = fd_get(fd);
	if (still != f) {
		filelock_release(f->inode, want->owner);
		ret = -EBADF;
	}
	if (still)
		file_put(still);
	return ret;
}

int64_t fcntl_lock(struct file *f, uint64_t fd, unsigned cmd, vaddr_t arg)
{
	bool ofd = cmd >= F_OFD_GETLK;
	struct file_lock want = { .owner = ofd ? (const void *)f : current_process()->files,
				  .pid = ofd ? -1 : current_process()->pid };
	struct flock fl;
	int64_t ret = (f->flags & O_PATH) ? -EBADF : user_copy_from(&fl, arg, sizeof(fl));

	if (ret == 0)
		ret = lock_type(fl.l_type, &want.type);
	if (ret == 0 && ofd && fl.l_pid)
		ret = -EINVAL;
	if (ret == 0)
		ret = lock_range(f, &fl, &want);
	if (ret < 0)
		return ret;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK)
		return get_lock(f, &want, &fl, arg);
	return set_lock(f, fd, &want, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

int64_t sys_flock(const uint64_t a[6])
{
	static const enum lock_type types[] = {
		[1] = LOCK_SHARED, [2] = LOCK_EXCLUSIVE, [8] = LOCK_NONE
	};
	unsigned op = (unsigned)a[1] & ~4u;
	struct file *f = fd_get(a[0]);
	struct file_lock want = { .owner = f, .whole = true, .end = INT64_MAX };
	int64_t ret = -EINVAL;

	if (!f)
		return -EBADF;
	if (op == 1 || op == 2 || op == 8) {
		want.type = types[op];
		want.pid = current_process()->pid;
		ret = (f->flags & O_PATH) ? -EBADF : filelock_set(f, &want, !(a[1] & 4));
	}
	file_put(f);
	return ret;
}
