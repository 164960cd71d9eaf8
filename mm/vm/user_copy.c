/* SPDX-License-Identifier: MIT */
/* User memory, by the CPU's one primitive with a fix-up for each instruction that touches it. A kernel thread has no
 * user memory, whatever TTBR0 still holds. */
#include "mm/vm/user_copy.h"

#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "lib/sanitize.h"
#include "lib/string.h"
#include "sched/thread.h"

static inline bool may_copy(vaddr_t addr, size_t n)
{
	return user_range_ok(addr, n) && current_thread()->space;
}

int user_copy_from(void *dst, vaddr_t src, size_t n)
{
	might_sleep();
	SAN_WRITES(dst, n);
	return may_copy(src, n) && arch_copy_from_user(dst, src, n) == 0 ? 0 : -EFAULT;
}

int user_copy_to(vaddr_t dst, const void *src, size_t n)
{
	might_sleep();
	SAN_READS(src, n);
	return may_copy(dst, n) && arch_copy_to_user(dst, src, n) == 0 ? 0 : -EFAULT;
}

int user_put_pair(vaddr_t dst, uint64_t first, uint64_t second)
{
	might_sleep();
	if (may_copy(dst, 2 * sizeof(first)) && arch_put_user64(dst, first) &&
	    arch_put_user64(dst + sizeof(first), second))
		return 0;
	return -EFAULT;
}

int user_get_pair(uint64_t *first, uint64_t *second, vaddr_t src)
{
	might_sleep();
	if (may_copy(src, 2 * sizeof(*first)) && arch_get_user64(first, src) &&
	    arch_get_user64(second, src + sizeof(*first)))
		return 0;
	return -EFAULT;
}

int user_zero(vaddr_t dst, size_t n)
{
	might_sleep();
	return may_copy(dst, n) && arch_zero_user(dst, n) == 0 ? 0 : -EFAULT;
}

ssize_t user_copy_string(char *dst, vaddr_t src, size_t size)
{
	size_t done = 0;

	while (done < size) {
		/* to the page's end: what follows the string may not be there */
		size_t n = MIN(size - done, PAGE_SIZE - (src & (PAGE_SIZE - 1)));
		const char *end;

		/* short steps, for most strings are short */
		n = MIN(n, (size_t)64);
		if (user_copy_from(dst + done, src, n) < 0)
			return -EFAULT;
		end = memchr(dst + done, 0, n);
		if (end)
			return end - dst;
		done += n;
		src += n;
	}
	return -ENAMETOOLONG;
}

int user_copy_from_nofault(void *dst, vaddr_t src, size_t n)
{
	struct thread_base *t = current_base();
	bool before = t->nofault;
	int err;

	SAN_WRITES(dst, n);
	t->nofault = true;
	err = may_copy(src, n) && arch_copy_from_user(dst, src, n) == 0 ? 0 : -EFAULT;
	t->nofault = before;
	return err;
}

/* --- transfers -------------------------------------------------------------------------------------------------------- */

void io_init_segments(struct io *io, const struct io_segment *seg, unsigned nr, bool user)
{
	io->seg = seg;
	io->nr_seg = nr;
	io->cur = (struct io_segment){ 0, 0 };
	io->left = 0;
	io->user = user;
	io->broken = false;
	io->end = UINT64_MAX;
	for (unsigned i = 0; i < nr; i++)
		io->left += seg[i].len;
}

/* Move one piece between io and kernel memory. */
static inline int move(const struct io *io, char *kernel, size_t n, bool to_io)
{
	if (!io->user) {
		if (to_io)
			memcpy((void *)io->cur.base, kernel, n);
		else
			memcpy(kernel, (const void *)io->cur.base, n);
		return 0;
	}
	return to_io ? user_copy_to(io->cur.base, kernel, n)
		     : user_copy_from(kernel, io->cur.base, n);
}

/* What can be moved at once: to the page's end, for a fault must not spoil what came before it. */
static inline size_t at_once(const struct io *io)
{
	return io->user ? MIN(io->cur.len, PAGE_SIZE - (io->cur.base & (PAGE_SIZE - 1)))
			: io->cur.len;
}

/* Bytes moved, or -EFAULT. */
static inline ssize_t step(struct io *io, char *kernel, size_t n, bool to_io)
{
	if (move(io, kernel, n, to_io) < 0)
		return -EFAULT;
	io->cur.base += n;
	io->cur.len -= n;
	io->left -= n;
	return (ssize_t)n;
}

static __noinline ssize_t transfer_steps(struct io *io, char *kernel, size_t n, bool to_io)
{
	size_t done = 0;

	while (done < n) {
		ssize_t moved;

		while (io->cur.len == 0) {
			ASSERT(io->nr_seg > 0);
			io->cur = *io->seg++;
			io->nr_seg--;
		}
		moved = step(io, kernel + done, MIN(n - done, at_once(io)), to_io);
		if (moved < 0)
			return done ? (ssize_t)done : moved;
		done += (size_t)moved;
	}
	return (ssize_t)done;
}

static inline ssize_t transfer(struct io *io, char *kernel, size_t n, bool to_io)
{
	n = MIN(n, io->left);
	return likely(n <= at_once(io)) ? step(io, kernel, n, to_io)
					: transfer_steps(io, kernel, n, to_io);
}

ssize_t io_copy_to(struct io *io, const void *src, size_t n)
{
	return transfer(io, (char *)(uintptr_t)src, n, true);
}

ssize_t io_copy_from(struct io *io, void *dst, size_t n)
{
	return transfer(io, dst, n, false);
}
