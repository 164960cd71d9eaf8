/* SPDX-License-Identifier: MIT */
/* System calls on memory. */
#include <linux/mman.h>
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/vm/space.h"

int64_t sys_brk(const uint64_t a[6])
{
	return (int64_t)vm_brk(current_thread()->space, a[0]);
}

static int vm_flags(uint64_t prot, uint64_t flags, unsigned *out)
{
	if (prot & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC))
		return -EINVAL;
	*out = ((prot & PROT_READ) ? VM_READ : 0) | ((prot & PROT_WRITE) ? VM_WRITE : 0) |
	       ((prot & PROT_EXEC) ? VM_EXEC : 0) | ((flags & MAP_SHARED) ? VM_SHARED : 0);
	if (flags & MAP_FIXED_NOREPLACE)
		*out |= VM_FIXED_NOREPLACE;
	else if (flags & MAP_FIXED)
		*out |= VM_FIXED;
	return 0;
}

/* Flags that change nothing here: no swap, no huge pages, no overcommit accounting. */
#define MAP_NO_EFFECT                                                                              \
	(MAP_NORESERVE | MAP_STACK | MAP_POPULATE | MAP_NONBLOCK | MAP_DENYWRITE | MAP_EXECUTABLE)
#define MAP_KNOWN (MAP_TYPE | MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_NO_EFFECT)

static int64_t map_file(const uint64_t a[6], unsigned flags, vaddr_t *at)
{
	struct file *f = fd_get(a[4]);
	struct vm_backing *backing;
	int64_t err = -ENODEV;

	if (!f)
		return -EBADF;
	if ((f->flags & FILE_ACCMODE) == FILE_WRONLY)
		err = -EACCES;
	else if ((flags & VM_SHARED) && (flags & VM_WRITE))
		err = -ENODEV;
	else if (f->ops->mmap)
		err = f->ops->mmap(f, &backing);
	if (err == 0) {
		err = vm_map(current_thread()->space, a[0], a[1], flags, backing, a[5] / PAGE_SIZE,
			     at);
		vm_backing_put(backing);
	}
	file_put(f);
	return err;
}

int64_t sys_mmap(const uint64_t a[6])
{
	uint64_t type = a[3] & MAP_TYPE;
	unsigned flags;
	vaddr_t at = 0;
	int64_t err = vm_flags(a[2], a[3], &flags);

	if (err < 0)
		return err;
	if ((type != MAP_PRIVATE && type != MAP_SHARED) || a[1] == 0)
		return -EINVAL;
	if (a[3] & ~(uint64_t)MAP_KNOWN)
		return -EOPNOTSUPP;
	if (!IS_ALIGNED(a[5], PAGE_SIZE) || ((a[3] & MAP_FIXED) && !IS_ALIGNED(a[0], PAGE_SIZE)))
		return -EINVAL;
	if (a[3] & MAP_ANONYMOUS)
		err = vm_map(current_thread()->space, a[0], a[1], flags, NULL, 0, &at);
	else
		err = map_file(a, flags, &at);
	return err < 0 ? err : (int64_t)at;
}

int64_t sys_munmap(const uint64_t a[6])
{
	if (!IS_ALIGNED(a[0], PAGE_SIZE) || a[1] == 0)
		return -EINVAL;
	return vm_unmap(current_thread()->space, a[0], a[1]);
}

int64_t sys_mprotect(const uint64_t a[6])
{
	unsigned prot;
	int err = vm_flags(a[2], 0, &prot);

	if (err < 0 || !IS_ALIGNED(a[0], PAGE_SIZE))
		return -EINVAL;
	return a[1] == 0 ? 0 : vm_protect(current_thread()->space, a[0], a[1], prot);
}

int64_t sys_madvise(const uint64_t a[6])
{
	if (!IS_ALIGNED(a[0], PAGE_SIZE))
		return -EINVAL;
	switch ((int)a[2]) {
	case MADV_DONTNEED:
		return a[1] == 0 ? 0 : vm_discard(current_thread()->space, a[0], a[1]);
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
		return 0;
	default:
		return -EINVAL;
	}
}
