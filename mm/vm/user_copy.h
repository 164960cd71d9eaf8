/* SPDX-License-Identifier: MIT */
/* The only way to user memory. Ranges are checked, faults bring pages in or end in -EFAULT; no partial success is
 * reported but by the _partial forms. */
#ifndef TERN_MM_VM_USER_COPY_H
#define TERN_MM_VM_USER_COPY_H

#include "arch/aarch64/arch.h"
#include "lib/types.h"

/* Context: thread, may sleep; VM_SPACE is taken inside. 0 or -EFAULT. */
int user_copy_from(void *dst, vaddr_t src, size_t n) __must_check;
int user_copy_to(vaddr_t dst, const void *src, size_t n) __must_check;
int user_zero(vaddr_t dst, size_t n) __must_check;
/* Two words side by side. */
int user_put_pair(vaddr_t dst, uint64_t first, uint64_t second) __must_check;
int user_get_pair(uint64_t *first, uint64_t *second, vaddr_t src) __must_check;
/* A NUL-terminated string of less than size bytes. Length, -EFAULT, or -ENAMETOOLONG. */
ssize_t user_copy_string(char *dst, vaddr_t src, size_t size) __must_check;
/* Never sleeps: what is not present is -EFAULT. Any context with irqs on or off; not irq. */
int user_copy_from_nofault(void *dst, vaddr_t src, size_t n) __must_check;
/* Is [addr, addr+n) within the user's half? */
static inline bool user_range_ok(vaddr_t addr, size_t n)
{
	return addr <= USER_MAX && n <= USER_MAX - addr;
}

/* A transfer to or from user or kernel memory: what file operations take, so that system calls and kernel threads
 * use the same ones. A vector of segments; the current one advances. */
struct io_segment {
	uintptr_t base;
	size_t len;
};
struct io {
	const struct io_segment *seg; /* next segments, the caller's array */
	unsigned nr_seg;
	struct io_segment cur; /* what is left of the current one */
	size_t left;	       /* bytes left in all */
	bool user;	       /* bases are user addresses */
	bool broken;	       /* who would have read the rest is gone */
	uint64_t end;	       /* nothing is written into a file behind this: RLIMIT_FSIZE */
};
/* One buffer. */
static inline void io_init_one(struct io *io, uintptr_t base, size_t n, bool user)
{
	*io = (struct io){ .cur = { base, n }, .left = n, .user = user, .end = UINT64_MAX };
}
static inline void io_init_kernel(struct io *io, const void *buf, size_t n)
{
	io_init_one(io, (uintptr_t)buf, n, false);
}
static inline void io_init_user(struct io *io, vaddr_t buf, size_t n)
{
	io_init_one(io, buf, n, true);
}
void io_init_segments(struct io *io, const struct io_segment *seg, unsigned nr, bool user);
/* Move up to n bytes and advance. Returns bytes moved (MIN(n, io->left)), or -EFAULT if none could be. */
ssize_t io_copy_to(struct io *io, const void *src,
		   size_t n) __must_check; /* file read: fill the io */
ssize_t io_copy_from(struct io *io, void *dst,
		     size_t n) __must_check; /* file write: take from the io */

#endif
