/* SPDX-License-Identifier: MIT */
/* What fs/ and drivers/tty need of the floors below, hosted: locks, waits, poll sources, time and copies over pthreads, so
 * that the very sources run under ASan with real threads. Above tests/host/memory_env.c. A lock taken twice by one thread, or
 * released by another, ends the test. */
#include "tests/host/fs_env.h"
#include "fs/file.h"
#include "kernel/core/clock.h"
#include "kernel/core/current.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/perturb.h"
#include "kernel/core/random.h"
#include "kernel/core/rwspin.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "mm/vm/space.h"
#include "mm/phys/slab.h"
#include "sched/mutex.h"
#include "sched/poll.h"
#include "tests/host/test.h"
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

__thread int env_signal;
uint64_t env_notifies;
uint64_t env_written;
static pthread_mutex_t env_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t env_cond = PTHREAD_COND_INITIALIZER;

void shim_bug(const char *file, int line, const char *text)
{
	test_fail(file, line, "BUG: %s", text);
}

void might_sleep(void)
{
}

uint64_t clock_now_ns(void)
{
	return arch_counter();
}

uint64_t clock_wall_ns(void)
{
	return clock_now_ns();
}

uint32_t env_random;

uint32_t random_u32(void)
{
	return 0x5eed5eed + 0x10001 * env_random++;
}

/* --- locks -------------------------------------------------------------------------------------------------- */

void spin_lock(spinlock_t *l) __no_lock_check
{
	while (atomic_exchange(&l->owner, 1))
		sched_yield();
}

bool spin_trylock(spinlock_t *l) __no_lock_check
{
	return !atomic_exchange(&l->owner, 1);
}

__thread void (*env_unlock_hook)(spinlock_t *l);

void spin_unlock(spinlock_t *l) __no_lock_check
{
	void (*hook)(spinlock_t * l) = env_unlock_hook;

	if (!atomic_exchange(&l->owner, 0))
		test_fail(__FILE__, __LINE__, "a spinlock not held is released");
	env_unlock_hook = NULL;
	if (hook)
		hook(l);
}

irqflags_t spin_lock_irqsave(spinlock_t *l) __no_lock_check
{
	spin_lock(l);
	return 0;
}

void spin_unlock_irqrestore(spinlock_t *l, irqflags_t f) __no_lock_check
{
	(void)f;
	spin_unlock(l);
}

/* There is one: the directory cache's. */
static pthread_rwlock_t env_rwspin = PTHREAD_RWLOCK_INITIALIZER;
static __thread bool env_reads;

void rwspin_read_lock(struct rwspin *l) __no_lock_check
{
	(void)l;
	if (env_reads)
		test_fail(__FILE__, __LINE__, "a reader reads again");
	pthread_rwlock_rdlock(&env_rwspin);
	env_reads = true;
}

void rwspin_read_unlock(struct rwspin *l) __no_lock_check
{
	(void)l;
	if (!env_reads)
		test_fail(__FILE__, __LINE__, "what is not read is released");
	env_reads = false;
	pthread_rwlock_unlock(&env_rwspin);
}

void rwspin_write_lock(struct rwspin *l) __no_lock_check
{
	(void)l;
	if (env_reads)
		test_fail(__FILE__, __LINE__, "a reader writes");
	pthread_rwlock_wrlock(&env_rwspin);
}

void rwspin_write_unlock(struct rwspin *l) __no_lock_check
{
	(void)l;
	pthread_rwlock_unlock(&env_rwspin);
}

void perturb(enum perturb_point p)
{
	(void)p;
}

void lock_order_forget(const void *lock)
{
	(void)lock;
}

void page_stats(struct page_stats *out)
{
	*out = (struct page_stats){ .total = 1 << 15 };
}

/* --- mappings: nobody has any ---------------------------------------------------------------------------------- */

void vm_mapping_init(struct vm_mapping *m)
{
}

void vm_mapping_trim(struct vm_mapping *m, uint64_t from, uint64_t end, bool copies)
{
}

void vm_page_written(struct page *p)
{
	env_written++;
}

/* --- waits: one condition variable for all, each wake-up counted --------------------------------------------- */

static uint64_t env_wakeups;

void waitq_init(struct waitq *wq)
{
	spin_init(&wq->lock, LOCK_WAITQ);
	wq->magic = WAITQ_MAGIC;
	wq->pausing = 0;
	list_init(&wq->sleepers);
}

/* [env_lock] How many threads sleep. */
static unsigned env_asleep;

/* How many there were when this thread began to wait. */
static __thread uint64_t wakeups_seen;

void wait_prepare(struct waitq *wq, struct wait_entry *e, enum wait_mode mode)
{
	(void)mode;
	if (wq->magic != WAITQ_MAGIC)
		test_fail(__FILE__, __LINE__, "not a wait queue");
	e->wq = wq;
	pthread_mutex_lock(&env_lock);
	wakeups_seen = env_wakeups;
	pthread_mutex_unlock(&env_lock);
}

int wait_sleep(struct wait_entry *e, enum wait_mode mode, uint64_t deadline_ns)
{
	struct timespec limit;
	int ret = 0;

	if (env_signal)
		return mode == WAIT_UNINTERRUPTIBLE ? 0 : env_signal;
	pthread_mutex_lock(&env_lock);
	env_asleep++;
	while (env_wakeups == wakeups_seen && !ret) {
		if (deadline_ns != DEADLINE_NEVER && clock_now_ns() >= deadline_ns) {
			ret = -ETIMEDOUT;
			break;
		}
		clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_nsec += 1000000;
		if (limit.tv_nsec >= 1000000000) {
			limit.tv_nsec -= 1000000000;
			limit.tv_sec++;
		}
		pthread_cond_timedwait(&env_cond, &env_lock, &limit);
	}
	env_asleep--;
	pthread_mutex_unlock(&env_lock);
	return ret;
}

void env_await_asleep(void)
{
	pthread_mutex_lock(&env_lock);
	while (!env_asleep) {
		pthread_mutex_unlock(&env_lock);
		sched_yield();
		pthread_mutex_lock(&env_lock);
	}
	pthread_mutex_unlock(&env_lock);
}

void wait_finish(struct wait_entry *e)
{
	(void)e;
}

unsigned waitq_wake(struct waitq *wq, unsigned n)
{
	(void)n;
	if (wq->magic != WAITQ_MAGIC)
		test_fail(__FILE__, __LINE__, "not a wait queue");
	pthread_mutex_lock(&env_lock);
	env_wakeups++;
	pthread_cond_broadcast(&env_cond);
	pthread_mutex_unlock(&env_lock);
	return 0;
}

/* A test that has the real ones links sched/poll.c. */
__attribute__((weak)) void poll_source_init(struct poll_source *s)
{
	spin_init(&s->lock, LOCK_POLLSRC);
	list_init(&s->watchers);
	waitq_init(&s->wq);
}

__attribute__((weak)) void poll_notify(struct poll_source *s, uint32_t events)
{
	(void)events;
	atomic_add_relaxed(&env_notifies, 1);
	wake_all(&s->wq);
}

__attribute__((weak)) void poll_source_check_idle(struct poll_source *s)
{
	if (!list_empty(&s->watchers))
		test_fail(__FILE__, __LINE__, "a poll source goes with a watcher left");
}

void page_set_owner(struct page *p, enum page_owner owner)
{
	p->owner = owner;
}

/* --- copies ------------------------------------------------------------------------------------------------------ */

void io_init_segments(struct io *io, const struct io_segment *seg, unsigned nr, bool user)
{
	*io = (struct io){ .seg = seg, .nr_seg = nr, .user = user, .end = UINT64_MAX };
	for (unsigned i = 0; i < nr; i++)
		io->left += seg[i].len;
}

static size_t io_piece(struct io *io, size_t n)
{
	while (io->cur.len == 0 && io->nr_seg > 0) {
		io->cur = *io->seg++;
		io->nr_seg--;
	}
	return MIN(n, io->cur.len);
}

static ssize_t io_move(struct io *io, char *buf, size_t n, bool to_io)
{
	size_t done = 0, piece;

	n = MIN(n, io->left);
	while (done < n) {
		piece = io_piece(io, n - done);
		if (io->cur.base == ENV_BAD_ADDRESS)
			return done ? (ssize_t)done : -EFAULT;
		if (to_io)
			memcpy((void *)io->cur.base, buf + done, piece);
		else
			memcpy(buf + done, (void *)io->cur.base, piece);
		io->cur.base += piece;
		io->cur.len -= piece;
		io->left -= piece;
		done += piece;
	}
	return (ssize_t)done;
}

ssize_t io_copy_to(struct io *io, const void *src, size_t n)
{
	return io_move(io, (char *)(uintptr_t)src, n, true);
}

ssize_t io_copy_from(struct io *io, void *dst, size_t n)
{
	return io_move(io, dst, n, false);
}

/* User addresses are ours here. */
int user_copy_from(void *dst, vaddr_t src, size_t n)
{
	if (src == ENV_BAD_ADDRESS)
		return -EFAULT;
	memcpy(dst, (void *)src, n);
	return 0;
}

int user_copy_to(vaddr_t dst, const void *src, size_t n)
{
	if (dst == ENV_BAD_ADDRESS)
		return -EFAULT;
	memcpy((void *)dst, src, n);
	return 0;
}

/* --- for fs/devfs.c ------------------------------------------------------------------------------------------------ */

bool env_unseeded;
bool random_seeded(void)
{
	return !READ_ONCE(env_unseeded);
}

int random_bytes(void *buf, size_t n)
{
	if (!random_seeded())
		return -EAGAIN;
	for (size_t i = 0; i < n; i++)
		((uint8_t *)buf)[i] = (uint8_t)test_random();
	return 0;
}

void random_add(const void *p, size_t n, unsigned bits)
{
	(void)p;
	(void)n;
	(void)bits;
}

void cond_resched(void)
{
}

bool signal_pending_current(void)
{
	return env_signal != 0;
}

/* The page whose memory this is: only for env_page_memory(). */
static struct page *env_memory_page;

void *env_page_memory(void)
{
	if (!env_memory_page)
		env_memory_page = page_alloc(2, ALLOC_ZERO);
	return env_memory_page->priv;
}

struct page *page_of_addr(const void *linear)
{
	if (!env_memory_page || (char *)linear < (char *)env_memory_page->priv ||
	    (char *)linear >= (char *)env_memory_page->priv + (PAGE_SIZE << 2))
		test_fail(__FILE__, __LINE__, "page_of_addr of what is not the page memory");
	return env_memory_page;
}
