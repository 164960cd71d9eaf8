/* SPDX-License-Identifier: MIT */
/* System calls on memory. */
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include "fs/tmpfs.h"
#include "kernel/context.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/vm/space.h"

int64_t sys_brk(const uint64_t a[6])
{
	return (int64_t)vm_brk(current_thread()->space, a[0]);
}

/* What programs may ask for beside read, write and execute changes nothing here. */
static unsigned vm_prot(uint64_t prot)
{
	return ((prot & PROT_READ) ? VM_READ : 0) | ((prot & PROT_WRITE) ? VM_WRITE : 0) |
	       ((prot & PROT_EXEC) ? VM_EXEC : 0);
}

/* mmap's arguments as vm_map() takes them. -EOPNOTSUPP: MAP_SHARED_VALIDATE with flags that are not known. The older two
 * types ignore such flags: no swap, no huge pages and no overcommit account, so nothing hangs on them. */
#define MAP_KNOWN                                                                                  \
	(MAP_TYPE | MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK |  \
	 MAP_POPULATE | MAP_NONBLOCK | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_LOCKED)

static int vm_flags(uint64_t prot, uint64_t flags, unsigned *out)
{
	uint64_t type = flags & MAP_TYPE;

	*out = vm_prot(prot);
	if (type == MAP_SHARED_VALIDATE && (flags & ~(uint64_t)MAP_KNOWN))
		return -EOPNOTSUPP;
	if (flags & MAP_HUGETLB)
		return -ENOMEM;
	if (type == MAP_SHARED_VALIDATE && (flags & MAP_ANONYMOUS))
		return -EINVAL;
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
		*out |= VM_SHARED;
	else if (type != MAP_PRIVATE)
		return -EINVAL;
	if (flags & MAP_GROWSDOWN) {
		if (*out & VM_SHARED || !(flags & MAP_ANONYMOUS))
			return -EINVAL;
		*out |= VM_STACK;
	}
	if (flags & MAP_FIXED_NOREPLACE)
		*out |= VM_FIXED_NOREPLACE;
	else if (flags & MAP_FIXED)
		*out |= VM_FIXED;
	return 0;
}

/* What a mapping of f is backed by, and how. */
static int file_backing(struct file *f, unsigned *flags, struct vm_backing **out)
{
	unsigned mode = READ_ONCE(f->flags) & FILE_ACCMODE;

	if (mode == FILE_WRONLY ||
	    ((*flags & VM_SHARED) && (*flags & VM_WRITE) && mode != FILE_RDWR))
		return -EACCES;
	if ((*flags & VM_SHARED) && mode != FILE_RDWR)
		*flags |= VM_NOWRITE;
	return f->ops->mmap ? f->ops->mmap(f, flags, out) : -ENODEV;
}

static int backing_for(const uint64_t a[6], unsigned *flags, struct vm_backing **out)
{
	int err = 0;

	*out = NULL;
	if (!(a[3] & MAP_ANONYMOUS)) {
		struct file *f = fd_get(a[4]);

		if (!f)
			return -EBADF;
		err = a[5] > INT64_MAX - a[1] ? -EOVERFLOW : file_backing(f, flags, out);
		file_put(f);
	}
	if (!err && !*out && (*flags & VM_SHARED))
		err = tmpfs_memory_create(ALIGN_UP(a[1], PAGE_SIZE), out);
	return err;
}

/* How many bytes the caller may lock. */
static uint64_t lock_limit(void)
{
	struct process *p = current_process();

	return caller_is_root() ? UINT64_MAX : process_get_limit(p, RLIMIT_MEMLOCK).cur;
}

int64_t sys_mmap(const uint64_t a[6])
{
	struct vm_space *s = current_thread()->space;
	struct vm_backing *backing;
	unsigned flags;
	vaddr_t at = 0;
	int err = vm_flags(a[2], a[3], &flags);

	if (!IS_ALIGNED(a[5], PAGE_SIZE) || a[1] == 0)
		return -EINVAL;
	if (err < 0)
		return err;
	if (a[1] > USER_MAX)
		return -ENOMEM;
	err = backing_for(a, &flags, &backing);
	if (err < 0)
		return err;
	err = vm_map(s, a[0], a[1], flags, backing, a[3] & MAP_ANONYMOUS ? 0 : a[5] / PAGE_SIZE,
		     &at);
	if (backing)
		vm_backing_put(backing);
	if (err < 0)
		return err;
	/* what cannot be brought in now comes when it is touched */
	if (a[3] & MAP_LOCKED)
		IGNORE(vm_lock_range(s, at, a[1], lock_limit(), true));
	else if ((a[3] & MAP_POPULATE) || READ_ONCE(s->map_flags))
		IGNORE(vm_populate(s, at, a[1], 0));
	return (int64_t)at;
}

int64_t sys_munmap(const uint64_t a[6])
{
	if (!IS_ALIGNED(a[0], PAGE_SIZE) || a[1] == 0)
		return -EINVAL;
	return vm_unmap(current_thread()->space, a[0], a[1]);
}

int64_t sys_mprotect(const uint64_t a[6])
{
	if (a[2] & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;
	return vm_protect(current_thread()->space, a[0], a[1], vm_prot(a[2]));
}

int64_t sys_mremap(const uint64_t a[6])
{
	struct vm_space *s = current_thread()->space;
	uint64_t old_len = ALIGN_UP(a[1], PAGE_SIZE), new_len = ALIGN_UP(a[2], PAGE_SIZE);
	unsigned flags;
	vaddr_t at = 0;
	int err;

	if ((a[3] & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED)) || a[3] == MREMAP_FIXED ||
	    !IS_ALIGNED(a[0], PAGE_SIZE) || new_len == 0 || old_len == 0)
		return -EINVAL;
	err = vm_move(s, a[0], old_len, new_len, a[3] & MREMAP_FIXED ? VM_FIXED : 0,
		      a[3] & MREMAP_MAYMOVE, a[4], &at);
	if (err < 0)
		return err;
	if (new_len > old_len && vm_range_mapped(s, at, new_len, &flags) && (flags & VM_LOCKED))
		IGNORE(vm_populate(s, at, new_len, 0));
	return (int64_t)at;
}

/* MADV_FREE: what is freed may be gone at once. Of private anonymous memory only. */
static int64_t advise_free(struct vm_space *s, const uint64_t a[6])
{
	unsigned flags;

	if (!vm_range_mapped(s, a[0], ALIGN_UP(a[1], PAGE_SIZE), &flags))
		return -ENOMEM;
	return flags & (VM_SHARED | VM_BACKED) ? -EINVAL : vm_discard(s, a[0], a[1]);
}

static int64_t advise(struct vm_space *s, const uint64_t a[6])
{
	unsigned flags;

	switch ((int)a[2]) {
	case MADV_DONTNEED:
		return vm_discard(s, a[0], a[1]);
	case MADV_FREE:
		return advise_free(s, a);
	case MADV_DONTFORK:
		return vm_change(s, a[0], a[1], 0, VM_DONTFORK);
	case MADV_DOFORK:
		return vm_change(s, a[0], a[1], VM_DONTFORK, 0);
	case MADV_WIPEONFORK:
		if (vm_range_mapped(s, a[0], a[1], &flags) && (flags & (VM_SHARED | VM_BACKED)))
			return -EINVAL;
		return vm_change(s, a[0], a[1], 0, VM_WIPEONFORK);
	case MADV_KEEPONFORK:
		return vm_change(s, a[0], a[1], VM_WIPEONFORK, 0);
	case MADV_POPULATE_READ:
		return vm_populate(s, a[0], a[1], VM_READ);
	case MADV_POPULATE_WRITE:
		return vm_populate(s, a[0], a[1], VM_WRITE);
	default:
		/* hints for a kernel that reads ahead, swaps or dumps core */
		return vm_range_mapped(s, a[0], ALIGN_UP(a[1], PAGE_SIZE), &flags) ? 0 : -ENOMEM;
	}
}

static bool advice_known(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return true;
	default:
		return false;
	}
}

int64_t sys_madvise(const uint64_t a[6])
{
	if (!advice_known((int)a[2]) || !IS_ALIGNED(a[0], PAGE_SIZE) ||
	    a[0] + ALIGN_UP(a[1], PAGE_SIZE) < a[0] || (a[1] && !ALIGN_UP(a[1], PAGE_SIZE)))
		return -EINVAL;
	return a[1] == 0 ? 0 : advise(current_thread()->space, a);
}

/* There is one copy of a file's page, and no disk. */
int64_t sys_msync(const uint64_t a[6])
{
	unsigned flags;

	if ((a[2] & ~(uint64_t)(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) ||
	    (a[2] & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC) || !IS_ALIGNED(a[0], PAGE_SIZE))
		return -EINVAL;
	if (a[1] == 0)
		return 0;
	if (a[1] > USER_MAX ||
	    !vm_range_mapped(current_thread()->space, a[0], ALIGN_UP(a[1], PAGE_SIZE), &flags))
		return -ENOMEM;
	return (a[2] & MS_INVALIDATE) && (flags & VM_LOCKED) ? -EBUSY : 0;
}

int64_t sys_mincore(const uint64_t a[6])
{
	vaddr_t addr = a[0], out = a[2];
	uint64_t pages = DIV_ROUND_UP(a[1], PAGE_SIZE);
	uint8_t seen[256];

	if (!IS_ALIGNED(addr, PAGE_SIZE))
		return -EINVAL;
	if (!user_range_ok(addr, a[1]))
		return -ENOMEM;
	while (pages > 0) {
		unsigned n = (unsigned)MIN(pages, sizeof(seen));
		int err = thread_killed(current_thread())
				  ? -EINTR
				  : vm_resident(current_thread()->space, addr, n, seen);

		if (!err)
			err = user_copy_to(out, seen, n);
		if (err)
			return err;
		addr += n * PAGE_SIZE;
		out += n;
		pages -= n;
	}
	return 0;
}

/* --- locking --------------------------------------------------------------------------------------------------------- */

static int64_t lock_range(vaddr_t addr, size_t len, bool now)
{
	struct vm_space *s = current_thread()->space;
	uint64_t limit = lock_limit();

	if (limit == 0)
		return -EPERM;
	if (len == 0)
		return 0;
	return vm_lock_range(s, addr, len, limit, now);
}

int64_t sys_mlock(const uint64_t a[6])
{
	return lock_range(a[0], a[1], true);
}

int64_t sys_mlock2(const uint64_t a[6])
{
	return a[2] & ~(uint64_t)MLOCK_ONFAULT ? -EINVAL : lock_range(a[0], a[1], a[2] == 0);
}

int64_t sys_munlock(const uint64_t a[6])
{
	vaddr_t start = ALIGN_DOWN(a[0], PAGE_SIZE);

	return vm_change(current_thread()->space, start, a[0] + a[1] - start, VM_LOCKED, 0);
}

int64_t sys_mlockall(const uint64_t a[6])
{
	uint64_t limit = lock_limit();

	if (a[0] == 0 || (a[0] & ~(uint64_t)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) ||
	    a[0] == MCL_ONFAULT)
		return -EINVAL;
	if (limit == 0)
		return -EPERM;
	return vm_lock_all(current_thread()->space, a[0] & MCL_CURRENT, a[0] & MCL_FUTURE, limit);
}

int64_t sys_munlockall(const uint64_t a[6])
{
	return vm_lock_all(current_thread()->space, false, false, 0);
}

/* Memory with a descriptor for a name. */
int64_t sys_memfd_create(const uint64_t a[6])
{
	static const char kind[] = "memfd:";
	char name[NAME_MAX_LEN + 1];
	struct file *f;
	ssize_t n;
	int err;

	if (a[1] & ~(uint64_t)(MFD_CLOEXEC | MFD_ALLOW_SEALING))
		return -EINVAL;
	memcpy(name, kind, sizeof(kind));
	n = user_copy_string(name + strlen(kind), a[0], sizeof(name) - strlen(kind));
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	err = tmpfs_memfd_create(name, a[1] & MFD_ALLOW_SEALING, &fs_context()->cred, &f);
	return err < 0 ? err : fd_install(f, 0, a[1] & MFD_CLOEXEC);
}
