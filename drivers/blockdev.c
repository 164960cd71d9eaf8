/* SPDX-License-Identifier: MIT */
#include "drivers/blockdev.h"

#include "kernel/core/perturb.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "mm/phys/slab.h"
#include "sched/thread.h"

/* [init] filled while drivers are probed, by one thread */
static struct list_head disks = LIST_HEAD_INIT(disks);

/* vda to vdz, vdaa to vdzz: more slots no machine has. */
static void name(struct blockdev *d)
{
	unsigned high = d->number / 26;
	char low = (char)('a' + d->number % 26);

	if (high)
		fmt_print(d->name, sizeof(d->name), "vd%c%c", 'a' + (int)(high - 1) % 26, low);
	else
		fmt_print(d->name, sizeof(d->name), "vd%c", low);
}

void blockdev_init(struct blockdev *d)
{
	mutex_init(&d->write_lock, LOCK_BLOCK);
	mutex_init(&d->reset_lock, LOCK_BLOCKRESET);
	waitq_init(&d->wq);
	d->limit_ns = BLOCK_LIMIT_NS;
	d->look_ns = BLOCK_LOOK_NS;
}

void blockdev_register(struct blockdev *d)
{
	struct blockdev *other;

	d->number = 0;
	list_for_each (other, &disks, link)
		d->number++;
	name(d);
	list_push_back(&d->link, &disks);
}

void blockdev_for_each(void (*fn)(struct blockdev *d, void *arg), void *arg)
{
	struct blockdev *d;

	list_for_each (d, &disks, link)
		fn(d, arg);
}

void block_finish(struct blockdev *d, struct block_request *r, int error)
{
	r->error = error;
	/* pairs with the acquire in blockdev_do(): r is the caller's from here on */
	atomic_publish(&r->done, 1);
	atomic_add_relaxed(&d->finished, 1);
	wake_all(&d->wq);
}

/* Sleep until cond; meanwhile a device that does not answer is reset, which makes cond true. */
#define wait_or_reset(d, cond)                                                                     \
	do {                                                                                       \
		if (wait_event_mode(&(d)->wq, (cond) || (d)->ops->broken(d), WAIT_BOUNDED,         \
				    clock_now_ns() + MIN((d)->limit_ns, (d)->look_ns)) < 0)        \
			(d)->ops->look(d);                                                         \
		if (!(cond) && (d)->ops->broken(d))                                                \
			(d)->ops->reset(d);                                                        \
	} while (!(cond))

/* What the device asked for while it had nothing, or another has begun, comes first: that costs no request. Refused again, it is
 * dead, or breaks all the time. */
static int submit(struct blockdev *d, struct block_request *r)
{
	int ret;

	if (d->ops->broken(d))
		d->ops->reset(d);
	ret = d->ops->submit(d, r);
	if (ret != -EIO)
		return ret;
	d->ops->reset(d);
	return d->ops->submit(d, r);
}

static int submit_and_wait(struct blockdev *d, struct block_request *r)
{
	int ret;

	do {
		uint32_t finished = atomic_load_relaxed(&d->finished);

		WRITE_ONCE(r->done, 0);
		ret = submit(d, r);
		if (ret == -ENOBUFS)
			wait_or_reset(d, atomic_load_relaxed(&d->finished) != finished);
	} while (ret == -ENOBUFS);
	if (ret < 0)
		return ret;
	wait_or_reset(d, atomic_load_acquire(&r->done));
	return r->error;
}

int blockdev_do(struct blockdev *d, struct block_request *r)
{
	int ret;

	WRITE_ONCE(current_thread()->bounded_since, clock_now_ns());
	ret = submit_and_wait(d, r);
	WRITE_ONCE(current_thread()->bounded_since, 0);
	return ret;
}

int blockdev_flush(struct blockdev *d)
{
	struct block_request *r;
	int ret;

	if (!d->flushes || d->read_only)
		return 0;
	r = kzalloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->op = BLOCK_FLUSH;
	ret = blockdev_do(d, r);
	kfree(r);
	return ret;
}
