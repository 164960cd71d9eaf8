/* SPDX-License-Identifier: MIT */
/* The spinlock, the reference count and the wait queue's handshake under relacy. */
#include "tests/model/relacy_words.h"

#include "tests/model/relacy.h"

#define TERN_KERNEL_CORE_LOCK_H
#define TERN_KERNEL_CORE_PERCPU_H
#define TERN_KERNEL_CORE_PANIC_H
#define TERN_KERNEL_CORE_PERTURB_H
#define TERN_KERNEL_CORE_TRACE_H
#define TERN_KERNEL_CORE_IRQS_OFF_H
#define TERN_KERNEL_CORE_LOCK_ORDER_H
#define TERN_KERNEL_CORE_LOCK_STAT_H
#define BUG(...)      RL_ASSERT(!"BUG")
#define ASSERT(cond)  RL_ASSERT(cond)
#define DASSERT(cond) ((void)0)

enum lock_class { LOCK_NONE, LOCK_WAITQ, LOCK_THREAD };
typedef uint64_t irqflags_t;
struct cpu {
	unsigned id;
	struct {
		unsigned n;
	} spinlocks;
};
static struct cpu cpus[] = { { 0 }, { 1 }, { 2 }, { 3 } };
struct thread_base {
	int preempt_depth;
};

static struct cpu *this_cpu()
{
	return &cpus[rl::thread_index()];
}
#define arch_cpu this_cpu
static irqflags_t arch_irq_save()
{
	return 0;
}
static void arch_irq_restore(irqflags_t)
{
}
static bool arch_irqs_off()
{
	return true;
}
static struct thread_base *current_base()
{
	static struct thread_base base = { 1 };

	return &base;
}
static void preempt_disable()
{
}
static void preempt_enable()
{
}
static void preempt_resched()
{
}
static void arch_spin_hint()
{
	rl::yield(1, $);
}
static const char *lock_class_name(int)
{
	return "";
}
static uint64_t lock_stat_now()
{
	return 0;
}
static void lock_stat_waited(int, uint64_t, uintptr_t)
{
}
static void lock_order_forget(const void *)
{
}
static void perturb_spins(bool)
{
}
#define trace(...)		 ((void)0)
#define perturb(point)		 ((void)0)
#define lock_check_acquire(...)	 ((void)0)
#define lock_check_acquired(...) ((void)0)
#define lock_check_context(...)	 ((void)0)

#define uint32_t		 shared_word<unsigned>
#include "kernel/core/spinlock.h"
#include "kernel/core/spinlock.c"
#include "lib/refcount.h"
#undef uint32_t

struct locks : rl::test_suite<locks, 2> {
	spinlock_t lock;
	rl::var<int> held;

	void before()
	{
		threads_run = false;
		spin_init(&lock, LOCK_NONE);
		held($) = 0;
		threads_run = true;
	}
	void thread(unsigned)
	{
		spin_lock(&lock);
		held($) = held($) + 1;
		spin_unlock(&lock);
	}
	void after()
	{
		RL_ASSERT(held($) == 2);
	}
};

/* Who puts the last reference sees what the others have done with the object. */
struct counts : rl::test_suite<counts, 3> {
	struct refcount ref;
	rl::var<int> used[3];

	void before()
	{
		threads_run = false;
		refcount_init(&ref, 3);
		for (int i = 0; i < 3; i++)
			used[i]($) = 0;
		threads_run = true;
	}
	void thread(unsigned i)
	{
		used[i]($) = 1;
		if (!refcount_put(&ref))
			return;
		for (int k = 0; k < 3; k++)
			RL_ASSERT(used[k]($) == 1);
	}
};

/* --- the wait queue: each CPU has but one thread ------------------------------------------------------------- */

#define TERN_ARCH_AARCH64_IMAGE_H
#define TERN_KERNEL_CORE_CLOCK_H
#define TERN_KERNEL_CORE_IRQ_H
#define TERN_LIB_LIST_H
#define TERN_SCHED_MUTEX_H
#define TERN_SCHED_RUNQ_PRIV_H
#define ARRAY_SIZE(a)	      (sizeof(a) / sizeof((a)[0]))
#define DEADLINE_NEVER	      UINT64_MAX
#define might_sleep()	      ((void)0)
#define atomic_fetch_or(p, v) ((p)->shared.fetch_or((v), rl::mo_seq_cst, $))
#define container_of(ptr, type, member)                                                            \
	((type *)((char *)(struct list_head *)(ptr)-offsetof(type, member)))

/* lib/list.h, whose pointers the waker looks at without the lock. */
struct list_head {
	shared_member<list_head *> next, prev;
};
#define list_entry(ptr, type, member)  container_of(ptr, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member)  list_entry((head)->prev, type, member)
static void list_init(struct list_head *l)
{
	l->next = l;
	l->prev = l;
}
static bool list_linked(const struct list_head *l)
{
	return l->next != l;
}
static bool list_empty(const struct list_head *l)
{
	return !list_linked(l);
}
static void list_insert_between(struct list_head *l, struct list_head *prev, struct list_head *next)
{
	l->next = next;
	l->prev = prev;
	next->prev = l;
	prev->next = l;
}
static void list_push_back(struct list_head *l, struct list_head *head)
{
	list_insert_between(l, head->prev, head);
}
static void list_del(struct list_head *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
	list_init(l);
}

#include "sched/wait.h"

typedef uint64_t cpumask_t;
enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_BLOCKED };
enum { NOTIFY_SIGNAL = 1, NOTIFY_KILL = 2 };
struct arch_thread {
};
struct runq {
	spinlock_t lock;
	unsigned cpu;
};
struct thread {
	spinlock_t lock;
	const char *name;
	shared_member<enum thread_state> state;
	shared_member<enum wait_mode> wait_mode;
	shared_member<struct waitq *> waiting_on;
	shared_word<unsigned> notify, on_cpu;
	struct runq *rq;
	bool queued, moving;
	struct arch_thread arch;
	struct {
		uintptr_t lo, hi;
	} stack;
};
struct timer {
};
static struct thread *threads;
static char sched_text_start[1], sched_text_end[1];

static struct thread *current_thread()
{
	return &threads[rl::thread_index()];
}
static void sched_block()
{
	while (atomic_load_acquire(&current_thread()->state) == THREAD_BLOCKED)
		rl::yield(1, $);
}
static bool thread_wake_locked(struct thread *t, cpumask_t *)
{
	if (t->state != THREAD_BLOCKED)
		return false;
	atomic_store_release(&t->state, THREAD_READY);
	return true;
}
static void sched_kick_all(cpumask_t)
{
}
static void irq_send_resched(unsigned)
{
}
static struct runq *runq_lock_of(struct thread *t, irqflags_t *)
{
	return t->rq;
}
static uint64_t clock_now_ns()
{
	return 0;
}
static void timer_init(struct timer *, void (*)(struct timer *))
{
}
static void timer_arm(struct timer *, uint64_t)
{
}
static bool timer_cancel(struct timer *)
{
	return false;
}
#define arch_backtrace(...) ((void)0)

#include "sched/wait.c"

/* A sleeper, and who wakes it: no wake-up is lost, and what was done before is seen. */
struct waits : rl::test_suite<waits, 2> {
	struct waitq wq;
	struct thread thread_of[2];
	shared_word<unsigned> there;
	rl::var<int> data;

	void before()
	{
		threads_run = false;
		threads = thread_of;
		waitq_init(&wq);
		for (int i = 0; i < 2; i++) {
			spin_init(&threads[i].lock, LOCK_THREAD);
			threads[i].name = "thread";
			threads[i].state = THREAD_RUNNING;
			threads[i].waiting_on = NULL;
			threads[i].notify = 0;
			threads[i].on_cpu = 1;
		}
		there = 0;
		data($) = 0;
		threads_run = true;
	}
	void thread(unsigned i)
	{
		if (i) {
			data($) = 1;
			atomic_store_release(&there, 1);
			wake_all(&wq);
		} else {
			wait_event(&wq, atomic_load_acquire(&there));
			RL_ASSERT(data($) == 1);
		}
	}
};

unsigned long relacy_spinlock(void)
{
	return explore<locks>(0);
}

unsigned long relacy_refcount(void)
{
	return explore<counts>(0);
}

unsigned long relacy_wait(void)
{
	return explore<waits>(3);
}
