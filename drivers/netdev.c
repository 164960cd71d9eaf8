/* SPDX-License-Identifier: MIT */
#include "drivers/netdev.h"

#include "kernel/core/perturb.h"
#include "lib/fmt.h"

/* [init] filled while drivers are probed, by one thread, before the stack starts */
static struct list_head devices = LIST_HEAD_INIT(devices);

void netdev_register(struct netdev *d)
{
	unsigned n = 0;
	struct netdev *other;

	list_for_each (other, &devices, link)
		n++;
	fmt_print(d->name, sizeof(d->name), "eth%u", n);
	list_push_back(&d->link, &devices);
}

void netdev_for_each(void (*fn)(struct netdev *d, void *arg), void *arg)
{
	struct netdev *d;

	list_for_each (d, &devices, link)
		fn(d, arg);
}

void netdev_open(struct netdev *d, void (*event)(void *arg), void *arg)
{
	d->event_arg = arg;
	/* pairs with the acquire in the driver's interrupt handler: the argument comes first */
	atomic_publish(&d->event, event);
}
