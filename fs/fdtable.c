/* SPDX-License-Identifier: MIT */
/* Descriptor tables. Files are in chunks, which stay where they are; the array of these and the bitmaps are one allocation,
 * replaced by one twice the size when full: 24 bytes for 64 numbers, 386 KiB for as many as there may be.
 *
 * Lowest free number: every number below `hint` is in use, and a second bitmap tells which 64-number words are
 * full, so the search does not depend on how many files are open (PERF-008).
 *
 * I-FD-1: a bit in used is set where there is a file, and where a number is reserved for a file that is being made;
 * that one is open to nobody.
 * A lookup takes its reference under the lock, so a close elsewhere cannot free the file under it (RC-012). */
#include "fs/fdtable.h"
#include "fs/filelock.h"
#include "kernel/core/panic.h"
#include "kernel/core/spinlock.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

#define FD_FIRST_SIZE FD_CHUNK
#define FD_MAX_SIZE   (1u << 20)

static bool bit_test(const uint64_t *map, unsigned n)
{
	return map[n / 64] >> (n % 64) & 1;
}

static void bit_assign(uint64_t *map, unsigned n, bool on)
{
	uint64_t bit = BIT(n % 64);

	map[n / 64] = on ? map[n / 64] | bit : map[n / 64] & ~bit;
}

/* With its chunks from a number on. */
static void fdarray_free(struct fdarray *a, unsigned from)
{
	for (unsigned w = from / FD_CHUNK; w < a->size / FD_CHUNK; w++)
		kfree(a->chunk[w]);
	kfree(a);
}

/* The chunks below a number are another's. */
static struct fdarray *fdarray_create(unsigned size, unsigned from)
{
	unsigned words = size / 64;
	unsigned full_words = DIV_ROUND_UP(words, 64u);
	size_t maps = (2 * words + full_words) * sizeof(uint64_t);
	struct fdarray *a = kzalloc(sizeof(*a) + words * sizeof(a->chunk[0]) + maps);

	if (!a)
		return NULL;
	a->size = size;
	a->used = (uint64_t *)&a->chunk[words];
	a->cloexec = a->used + words;
	a->full = a->cloexec + words;
	for (unsigned w = from / FD_CHUNK; w < words; w++) {
		a->chunk[w] = kcalloc(FD_CHUNK, sizeof(struct file *));
		if (!a->chunk[w]) {
			fdarray_free(a, from);
			return NULL;
		}
	}
	return a;
}

static void fdarray_copy_maps(struct fdarray *to, const struct fdarray *from)
{
	unsigned words = from->size / 64;

	memcpy(to->used, from->used, words * sizeof(uint64_t));
	memcpy(to->cloexec, from->cloexec, words * sizeof(uint64_t));
	memcpy(to->full, from->full, DIV_ROUND_UP(words, 64u) * sizeof(uint64_t));
}

/* The first number >= from that is free, a->size if none. */
static unsigned fdarray_find_free(const struct fdarray *a, unsigned from)
{
	unsigned words = a->size / 64, w = from / 64;
	uint64_t free;

	if (from >= a->size)
		return a->size;
	free = ~a->used[w] & (~0UL << (from % 64));
	while (!free) {
		if (++w >= words)
			return a->size;
		if (w % 64 == 0 && a->full[w / 64] == ~0UL) {
			w += 63;
			continue;
		}
		free = ~a->used[w];
	}
	return w * 64 + (unsigned)__builtin_ctzl(free);
}

/* f NULL: reserve it. */
static void slot_fill(struct fdtable *t, unsigned fd, struct file *f, bool cloexec)
	__requires(t->lock)
{
	struct fdarray *a = t->a;

	*fdarray_slot(a, fd) = f;
	bit_assign(a->used, fd, true);
	bit_assign(a->cloexec, fd, cloexec);
	if (a->used[fd / 64] == ~0UL)
		bit_assign(a->full, fd / 64, true);
	t->count++;
	if (fd == t->hint)
		t->hint++;
}

/* t->lock held, or t known to nobody else. */
static struct file *slot_clear(struct fdtable *t, unsigned fd)
{
	struct fdarray *a = t->a;
	struct file **slot = fdarray_slot(a, fd), *f = *slot;

	*slot = NULL;
	bit_assign(a->used, fd, false);
	bit_assign(a->cloexec, fd, false);
	bit_assign(a->full, fd / 64, false);
	t->count--;
	if (fd < t->hint)
		t->hint = fd;
	return f;
}

static bool slot_open(const struct fdtable *t, int fd) __requires(t->lock)
{
	return fd >= 0 && (unsigned)fd < t->a->size && *fdarray_slot(t->a, (unsigned)fd);
}

static struct fdtable *fdtable_create_sized(unsigned size)
{
	struct fdtable *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->a = fdarray_create(size, 0);
	if (!t->a) {
		kfree(t);
		return NULL;
	}
	spin_init(&t->lock, LOCK_FDTABLE);
	refcount_init(&t->ref, 1);
	return t;
}

struct fdtable *fdtable_create(void)
{
	return fdtable_create_sized(FD_FIRST_SIZE);
}

struct fdtable *fdtable_get(struct fdtable *t)
{
	bool alive = refcount_get(&t->ref);

	ASSERT(alive);
	return t;
}

/* f has left t. The locks of whoever uses t on its inode go with the first descriptor that does. */
static void leave(struct fdtable *t, struct file *f)
{
	filelock_release(f->inode, t);
	file_put(f);
}

void fdtable_put(struct fdtable *t)
{
	if (!refcount_put(&t->ref))
		return;
	might_sleep();
	/* the last reference: nobody else can look */
	for (unsigned w = 0; w < t->a->size / 64; w++)
		for (uint64_t used = t->a->used[w]; used; used &= used - 1)
			leave(t, t->a->chunk[w][__builtin_ctzl(used)]);
	fdarray_free(t->a, 0);
	kfree(t);
}

struct fdtable *fdtable_clone(struct fdtable *t)
{
	struct fdtable *copy;
	unsigned size;

	for (;;) {
		spin_lock(&t->lock);
		size = t->a->size;
		spin_unlock(&t->lock);
		copy = fdtable_create_sized(size);
		if (!copy)
			return NULL;
		spin_lock(&t->lock);
		if (t->a->size == size)
			break;
		spin_unlock(&t->lock);
		fdtable_put(copy);
	}
	fdarray_copy_maps(copy->a, t->a);
	copy->hint = t->hint;
	copy->count = t->count;
	for (unsigned w = 0; w < size / 64; w++) {
		for (uint64_t used = copy->a->used[w]; used; used &= used - 1) {
			unsigned k = (unsigned)__builtin_ctzl(used);
			struct file *f = t->a->chunk[w][k];

			/* another thread's that is being made */
			if (!f)
				slot_clear(copy, w * 64 + k);
			else
				copy->a->chunk[w][k] = file_get(f);
		}
	}
	spin_unlock(&t->lock);
	return copy;
}

struct file *fdtable_lookup(struct fdtable *t, int fd)
{
	struct file *f = NULL;

	spin_lock(&t->lock);
	if (slot_open(t, fd))
		f = file_get(*fdarray_slot(t->a, (unsigned)fd));
	spin_unlock(&t->lock);
	return f;
}

/* Make room for fd. The lock is dropped for the allocation; the caller looks again. */
static int fdtable_grow(struct fdtable *t, unsigned fd)
{
	struct fdarray *bigger, *old;
	unsigned size = FD_FIRST_SIZE, had;
	bool grown;

	if (fd >= FD_MAX_SIZE)
		return -EMFILE;
	while (size <= fd)
		size *= 2;
	had = fdtable_size(t);
	if (had >= size)
		return 0;
	bigger = fdarray_create(size, had);
	if (!bigger)
		return -ENOMEM;
	spin_lock(&t->lock);
	old = t->a;
	/* another thread may have been faster */
	grown = old->size == had;
	if (grown) {
		memcpy(bigger->chunk, old->chunk, had / FD_CHUNK * sizeof(old->chunk[0]));
		fdarray_copy_maps(bigger, old);
		t->a = bigger;
	}
	spin_unlock(&t->lock);
	if (grown)
		kfree(old);
	else
		fdarray_free(bigger, had);
	return 0;
}

int fdtable_install(struct fdtable *t, struct file *f, int min, bool cloexec, uint64_t limit)
{
	unsigned fd;
	int err;

	if (min < 0)
		return -EINVAL;
	for (;;) {
		spin_lock(&t->lock);
		fd = fdarray_find_free(t->a, MAX((unsigned)min, t->hint));
		if (fd < (unsigned)min)
			fd = (unsigned)min;
		if (fd >= limit) {
			spin_unlock(&t->lock);
			return -EMFILE;
		}
		if (fd < t->a->size)
			break;
		spin_unlock(&t->lock);
		err = fdtable_grow(t, fd);
		if (err)
			return err;
	}
	/* none between the hint and fd is free: the next search need not pass them again */
	if ((unsigned)min <= t->hint)
		t->hint = fd;
	slot_fill(t, fd, f, cloexec);
	spin_unlock(&t->lock);
	return (int)fd;
}

int fdtable_reserve(struct fdtable *t, bool cloexec, uint64_t limit)
{
	return fdtable_install(t, NULL, 0, cloexec, limit);
}

void fdtable_settle(struct fdtable *t, int fd, struct file *f)
{
	spin_lock(&t->lock);
	ASSERT(bit_test(t->a->used, (unsigned)fd) && !slot_open(t, fd));
	if (f)
		*fdarray_slot(t->a, (unsigned)fd) = f;
	else
		slot_clear(t, (unsigned)fd);
	spin_unlock(&t->lock);
}

int fdtable_install_at(struct fdtable *t, int fd, struct file *f, bool cloexec, uint64_t limit)
{
	struct file *old = NULL;
	int err;

	if (fd < 0 || (uint64_t)fd >= limit)
		return -EBADF;
	for (;;) {
		spin_lock(&t->lock);
		if ((unsigned)fd < t->a->size)
			break;
		spin_unlock(&t->lock);
		err = fdtable_grow(t, (unsigned)fd);
		if (err)
			return err;
	}
	if (slot_open(t, fd)) {
		old = slot_clear(t, (unsigned)fd);
	} else if (bit_test(t->a->used, (unsigned)fd)) {
		spin_unlock(&t->lock);
		return -EBUSY;
	}
	slot_fill(t, (unsigned)fd, f, cloexec);
	spin_unlock(&t->lock);
	if (old)
		leave(t, old);
	return fd;
}

int fdtable_close(struct fdtable *t, int fd)
{
	struct file *f = NULL;

	spin_lock(&t->lock);
	if (slot_open(t, fd))
		f = slot_clear(t, (unsigned)fd);
	spin_unlock(&t->lock);
	if (!f)
		return -EBADF;
	leave(t, f);
	return 0;
}

int fdtable_next(struct fdtable *t, unsigned from)
{
	int found = -1;

	spin_lock(&t->lock);
	while (from < t->a->size && found < 0) {
		uint64_t used = t->a->used[from / 64] >> (from % 64);

		from = used ? from + (unsigned)__builtin_ctzl(used) : ALIGN_DOWN(from, 64u) + 64;
		if (used && *fdarray_slot(t->a, from))
			found = (int)from;
		from += used != 0;
	}
	spin_unlock(&t->lock);
	return found;
}

int fdtable_get_cloexec(struct fdtable *t, int fd)
{
	int on = -EBADF;

	spin_lock(&t->lock);
	if (slot_open(t, fd))
		on = bit_test(t->a->cloexec, (unsigned)fd);
	spin_unlock(&t->lock);
	return on;
}

int fdtable_set_cloexec(struct fdtable *t, int fd, bool on)
{
	int err = -EBADF;

	spin_lock(&t->lock);
	if (slot_open(t, fd)) {
		bit_assign(t->a->cloexec, (unsigned)fd, on);
		err = 0;
	}
	spin_unlock(&t->lock);
	return err;
}

/* The file of the next used number in [*fd, last], taken out of the table, or marked; NULL: no more. */
static struct file *take_used(struct fdtable *t, unsigned *fd, unsigned last, bool cloexec)
{
	struct file *f = NULL;
	unsigned n = *fd;

	spin_lock(&t->lock);
	last = MIN(last, t->a->size - 1);
	while (n <= last && !f) {
		uint64_t used = t->a->used[n / 64] >> (n % 64);

		n = used ? n + (unsigned)__builtin_ctzl(used) : ALIGN_DOWN(n, 64u) + 64;
		if (!used || n > last)
			continue;
		if (cloexec)
			bit_assign(t->a->cloexec, n++, true);
		else if (*fdarray_slot(t->a, n))
			f = slot_clear(t, n);
		else
			n++;
	}
	spin_unlock(&t->lock);
	*fd = n;
	return f;
}

void fdtable_close_range(struct fdtable *t, unsigned first, unsigned last, bool cloexec)
{
	struct file *f;

	while ((f = take_used(t, &first, last, cloexec)))
		leave(t, f);
}

/* The next number >= *fd marked close-on-exec, taken out of the table; NULL: no more. */
static struct file *take_cloexec(struct fdtable *t, unsigned *fd)
{
	struct file *f = NULL;

	spin_lock(&t->lock);
	for (unsigned w = *fd / 64; w < t->a->size / 64 && !f; w++) {
		uint64_t set = t->a->cloexec[w];

		if (!set)
			continue;
		*fd = w * 64 + (unsigned)__builtin_ctzl(set);
		f = slot_clear(t, *fd);
	}
	spin_unlock(&t->lock);
	return f;
}

void fdtable_close_on_exec(struct fdtable *t)
{
	unsigned fd = 0;
	struct file *f;

	while ((f = take_cloexec(t, &fd)))
		leave(t, f);
}

unsigned fdtable_count(struct fdtable *t)
{
	unsigned n;

	spin_lock(&t->lock);
	n = t->count;
	spin_unlock(&t->lock);
	return n;
}

/* Numbers looked at in one hold. */
enum { HELD_STEP = 1024 };

bool fdtable_held(struct fdtable *t, unsigned *fd, uint64_t *pages)
{
	unsigned size, end;

	/* tried, for the order is the other one */
	if (!spin_trylock(&t->lock))
		return true;
	size = t->a->size;
	end = MIN(*fd + HELD_STEP, size);
	if (*fd == 0)
		*pages += size * sizeof(struct file *) / PAGE_SIZE;
	for (unsigned w = *fd / 64; w < end / 64; w++) {
		for (uint64_t used = t->a->used[w]; used; used &= used - 1) {
			const struct file *f = t->a->chunk[w][__builtin_ctzl(used)];

			/* each number that stands for it counts a share */
			if (f && f->ops->held)
				*pages += f->ops->held(f) / refcount_read(&f->ref);
		}
	}
	spin_unlock(&t->lock);
	*fd = end;
	return end < size;
}

unsigned fdtable_size(struct fdtable *t)
{
	unsigned n;

	spin_lock(&t->lock);
	n = t->a->size;
	spin_unlock(&t->lock);
	return n;
}
