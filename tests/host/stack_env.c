/* SPDX-License-Identifier: MIT */
/* What net/ needs of the floors below, hosted and single-threaded: nothing sleeps, time stands until the test moves
 * it, notifications are counted. Above tests/host/net_env.c and tests/host/shim/. */
#include "tests/host/stack_env.h"

#include "drivers/netdev.h"
#include "drivers/virtio/pci.h"
#include "fs/vfs.h"
#include "kernel/core/machine.h"
#include "kernel/core/panic.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"
#include "sched/poll.h"
#include "sched/thread.h"
#include <string.h>

uint64_t env_notifies;
uint32_t env_events;
void (*env_copy_hook)(void);
void (*env_notify_hook)(void);
void (*env_sleep_hook)(void);

static void call_once(void (**hook)(void))
{
	void (*fn)(void) = *hook;

	*hook = NULL;
	if (fn)
		fn();
}

unsigned waitq_wake(struct waitq *wq, unsigned n)
{
	return 0;
}

void wait_prepare(struct waitq *wq, struct wait_entry *e, enum wait_mode mode)
{
}

int wait_sleep(struct wait_entry *e, enum wait_mode mode, uint64_t deadline_ns)
{
	if (!env_sleep_hook)
		BUG("a hosted test of net/ would sleep");
	env_sleep_hook();
	return 0;
}

void wait_finish(struct wait_entry *e)
{
}

void waitq_init(struct waitq *wq)
{
}

int thread_spawn(const char *name, void (*entry)(void *), void *arg)
{
	return 0;
}

void poll_source_init(struct poll_source *s)
{
}

void poll_notify(struct poll_source *s, uint32_t events)
{
	env_notifies++;
	env_events |= events;
	call_once(&env_notify_hook);
	/* its watchers are looked at */
	(void)READ_ONCE(s->watchers.next);
}

void poll_source_check_idle(struct poll_source *s)
{
}

void pci_report_network(void)
{
}

int cmdline_get(const char *name, char *value, size_t size)
{
	return -ENOENT;
}

int user_copy_to(vaddr_t dst, const void *src, size_t n)
{
	return -EFAULT;
}

int user_copy_from(void *dst, vaddr_t src, size_t n)
{
	return -EFAULT;
}

ssize_t user_copy_string(char *dst, vaddr_t src, size_t size)
{
	return -EFAULT;
}

int procfs_register(const char *path, void (*show)(struct proc_text *t))
{
	return 0;
}

void proc_printf(struct proc_text *t, const char *fmt, ...)
{
}

static ssize_t move(struct io *io, void *kernel, size_t n, bool to_io)
{
	n = MIN(n, io->left);
	if (to_io)
		memcpy((void *)io->cur.base, kernel, n);
	else
		memcpy(kernel, (void *)io->cur.base, n);
	io->cur.base += n;
	io->cur.len -= n;
	io->left -= n;
	return (ssize_t)n;
}

ssize_t io_copy_to(struct io *io, const void *src, size_t n)
{
	return move(io, (void *)src, n, true);
}

ssize_t io_copy_from(struct io *io, void *dst, size_t n)
{
	ssize_t ret = move(io, dst, n, false);

	call_once(&env_copy_hook);
	return ret;
}
