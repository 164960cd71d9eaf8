/* SPDX-License-Identifier: MIT */
/* eventfd: a counter. It is changed by compare and exchange alone; each change is announced afterwards. */
#include "fs/event.h"
#include "kernel/core/panic.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
	uint64_t count; /* [atomic] at most COUNT_MAX */
	bool semaphore; /* [init] */
	struct poll_source source;
};

static bool take(struct eventfd *e, uint64_t *value)
{
	uint64_t old = atomic_load_relaxed(&e->count);

	do {
		if (old == 0)
			return false;
		*value = e->semaphore ? 1 : old;
	} while (!atomic_compare_exchange(&e->count, &old, old - *value));
	return true;
}

static bool add(struct eventfd *e, uint64_t value)
{
	uint64_t old = atomic_load_relaxed(&e->count);

	do {
		if (value > COUNT_MAX - old)
			return false;
	} while (!atomic_compare_exchange(&e->count, &old, old + value));
	return true;
}

static ssize_t eventfd_read(struct file *f, struct io *io, off_t *pos)
{
	struct eventfd *e = f->priv;
	uint64_t value;
	int err;

	(void)pos;
	if (io->left < sizeof(value))
		return -EINVAL;
	err = file_wait(f, &e->source.wq, take(e, &value));
	if (err)
		return err;
	poll_notify(&e->source, POLL_OUT);
	return io_copy_to(io, &value, sizeof(value)) == sizeof(value) ? (ssize_t)sizeof(value)
								      : -EFAULT;
}

static ssize_t eventfd_write(struct file *f, struct io *io, off_t *pos)
{
	struct eventfd *e = f->priv;
	uint64_t value;
	int err;

	(void)pos;
	if (io->left < sizeof(value))
		return -EINVAL;
	if (io_copy_from(io, &value, sizeof(value)) != sizeof(value))
		return -EFAULT;
	if (value > COUNT_MAX)
		return -EINVAL;
	err = file_wait(f, &e->source.wq, add(e, value));
	if (err)
		return err;
	poll_notify(&e->source, POLL_IN);
	return sizeof(value);
}

static uint32_t eventfd_poll(struct file *f)
{
	struct eventfd *e = f->priv;
	uint64_t count = atomic_load_acquire(&e->count);

	return (count > 0 ? POLL_IN : 0) | (count < COUNT_MAX ? POLL_OUT : 0);
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = f->priv;

	poll_source_check_idle(&e->source);
	kfree(e);
}

static const struct file_ops eventfd_ops = {
	.name = "eventfd",
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.stat = file_stat_anonymous,
	.release = eventfd_release,
};

int eventfd_create(uint64_t value, bool semaphore, uint32_t flags, struct file **out)
{
	struct eventfd *e = kzalloc(sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->count = value;
	e->semaphore = semaphore;
	poll_source_init(&e->source);
	*out = file_create(&eventfd_ops, FILE_RDWR | flags, &e->source, e);
	if (!*out)
		kfree(e);
	return *out ? 0 : -ENOMEM;
}
