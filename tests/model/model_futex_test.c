/* SPDX-License-Identifier: MIT */
/* sources: @tests/model/model.sources tests/model/env_sleep.c sched/wait.c kernel/futex.c */
/* Futexes (X-08, I-FUTEX-1): who waits while the word has its value is woken by whoever changes it and then wakes, also when
 * it was moved to another word in between; the waiter, which is on a stack, is nobody's when it returns. */
#include <linux/futex.h>
#include "kernel/context.h"
#include "kernel/futex.h"
#include "kernel/proc/process.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"
#include "tests/model/env.h"

#define AT   0x20000000UL
#define MOVE 0x20000040UL

/* The program's memory: one word at each. */
static uint32_t first, second; /* [atomic] */

static uint32_t *word(vaddr_t at)
{
	MODEL_CHECK(at == AT || at == MOVE);
	return at == AT ? &first : &second;
}

static int64_t futex(vaddr_t at, uint32_t op, uint32_t value, uint64_t a3, uint64_t a4)
{
	const uint64_t a[6] = { at, op | FUTEX_PRIVATE_FLAG, value, a3, a4, 0 };

	return sys_futex(a);
}

static void two_cpus(void)
{
	env_cpus(2);
	futex_init();
}

static void three_cpus(void)
{
	env_cpus(3);
	futex_init();
}

static void end(void)
{
	MODEL_CHECK(model_all_ended());
}

static void waits(void)
{
	env_enter();
	while (!atomic_load_relaxed(&first)) {
		int64_t ret = futex(AT, FUTEX_WAIT, 0, 0, 0);

		MODEL_CHECK(ret == 0 || ret == -EAGAIN);
	}
}

static void wakes(void)
{
	env_enter();
	atomic_store_relaxed(&first, 1);
	MODEL_CHECK(futex(AT, FUTEX_WAKE, 1, 0, 0) <= 1);
}

static void wakes_all(void)
{
	env_enter();
	atomic_store_relaxed(&first, 1);
	MODEL_CHECK(futex(AT, FUTEX_WAKE, 2, 0, 0) <= 2);
}

/* All that wait for the first word are woken by way of the second. */
static void moves(void)
{
	env_enter();
	atomic_store_relaxed(&first, 1);
	MODEL_CHECK(futex(AT, FUTEX_REQUEUE, 0, 2, MOVE) <= 2);
	MODEL_CHECK(futex(MOVE, FUTEX_WAKE, 2, 0, 0) <= 2);
}

TEST(model_futex)
{
	const struct modelled two = {
		.cpus = 2, .setup = two_cpus, .run = { waits, wakes }, .end = end
	};
	const struct modelled three = { .cpus = 3,
					.setup = three_cpus,
					.run = { waits, waits, wakes_all },
					.end = end,
					.preemptions = test_scale > 1 ? 3 : 2 };

	model_explore("futex, a waiter and a waker", &two);
	model_explore("futex, two waiters and a waker", &three);
}

TEST(model_futex_moved)
{
	const struct modelled two = {
		.cpus = 2, .setup = two_cpus, .run = { waits, moves }, .end = end
	};
	const struct modelled three = { .cpus = 3,
					.setup = three_cpus,
					.run = { waits, moves, wakes },
					.end = end,
					.preemptions = test_scale > 1 ? 3 : 2 };

	model_explore("futex, a waiter is moved, then woken", &two);
	model_explore("futex, moved and woken from two sides", &three);
}

/* --- what the source names ------------------------------------------------------------------------------------------ */

int user_copy_from(void *dst, vaddr_t src, size_t n)
{
	*(uint32_t *)dst = atomic_load_relaxed(word(src));
	return 0;
}

int user_copy_from_nofault(void *dst, vaddr_t src, size_t n)
{
	return user_copy_from(dst, src, n);
}

int user_copy_to(vaddr_t dst, const void *src, size_t n)
{
	return -EFAULT;
}

int vm_shared_page(struct vm_space *s, vaddr_t addr, struct page **out)
{
	return -EFAULT;
}

struct page *vm_sealed_page(struct vm_space *s, vaddr_t addr, bool shared)
{
	return NULL;
}

bool vm_space_is_sealed(const struct vm_space *s)
{
	return false;
}

int vm_word_update(struct vm_space *s, vaddr_t addr, void (*fn)(uint32_t *word, void *arg),
		   void *arg)
{
	return -EFAULT;
}

uint64_t clock_wall_deadline(uint64_t wall_ns)
{
	return wall_ns;
}

int time_from_user(vaddr_t from, uint64_t *ns)
{
	return -EFAULT;
}

void process_put(struct process *p)
{
}

struct thread *thread_find(int tid)
{
	return NULL;
}

void thread_put(struct thread *t)
{
}

struct process *process_of(struct thread *t)
{
	return NULL;
}

void process_for_each_thread(struct process *p, void (*fn)(struct thread *t, void *arg), void *arg)
{
}

bool process_may_look(struct process *p)
{
	return false;
}
