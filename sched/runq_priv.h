/* SPDX-License-Identifier: MIT */
/* The run queues, for sched/ alone. One per CPU; its lock also guards the scheduling state of every thread whose
 * t->rq points at it, asleep or not.
 *
 * I-SCHED-1: a thread is in at most one run queue's tree, that of t->rq; it is there (queued) while it wants the CPU,
 *            also while it runs and while it is BLOCKED but has not switched away yet.
 * I-SCHED-2: waiting_on is not NULL only between wait_prepare() and wait_finish().
 * I-SCHED-3: t->rq changes only with both queues' locks held and on_cpu == 0.
 * I-SCHED-4: on_cpu is 1 from the pick until another thread has finished the switch away from it: while it is 1 no
 *            other CPU may run, move or free the thread.
 * I-SCHED-5: the queue's lock is held from the pick across arch_switch() until the incoming thread has cleared the
 *            outgoing one's on_cpu. It changes hands there and nowhere else.
 * I-SCHED-6: while two want a CPU, its slice timer is armed for slice_end_ns or before, or it has been told to look. */
#ifndef TERN_SCHED_RUNQ_PRIV_H
#define TERN_SCHED_RUNQ_PRIV_H

#include "kernel/core/clock.h"
#include "kernel/core/percpu.h"
#include "sched/eevdf.h"
#include "sched/thread.h"

/* Once something else could run, the current thread may stay this long before it is asked again; and so long from its coming
 * onto the CPU whoever it wakes itself waits for it. */
#define SCHED_GRANULARITY_NS 750000UL

struct runq {
	spinlock_t lock;       /* RUNQ */
	unsigned cpu;	       /* [init] */
	struct cpu *c;	       /* [init] */
	struct thread *curr;   /* [lock] NULL until sched_start() on this CPU */
	struct thread *idle;   /* [init] never in the tree */
	struct eevdf ready;    /* [lock] */
	struct timer slice;    /* [cpu] */
	bool slice_armed;      /* [cpu] irqs off */
	uint64_t slice_end_ns; /* [lock] when curr must be compared with the others again */
	uint64_t picked_ns;    /* [lock] when curr came onto the CPU */
	struct timer watch;    /* for curr's watch_ns; else it fires for nothing */
	struct list_head dead; /* [lock] off their CPU, waiting to be reaped */
	uint64_t switches;     /* [lock] */
	uint64_t idle_ns;      /* [lock] */
	uint64_t user_ns;      /* [lock] */
	uint64_t user_mark;    /* [lock] arch_user_ns() when this CPU charged last */
	uint64_t counted_ns;   /* [lock] and when that was */
	uint64_t steals;       /* [lock] threads this CPU took from others */
};

/* CPUs with nothing to run. Set and cleared under the CPU's run-queue lock; others read it as a hint. */
extern cpumask_t sched_idle_cpus; /* [atomic] */
/* CPUs that have called sched_start(). */
extern cpumask_t sched_online_cpus; /* [atomic] */

struct runq *runq_of_cpu(unsigned cpu);
/* Context: irqs off. */
struct runq *this_runq(void);

/* Both, in the one order all use; the same one is taken once. irqs off. */
void runq_lock_two(struct runq *a, struct runq *b) __acquires(a->lock, b->lock);
void runq_unlock_two(struct runq *a, struct runq *b) __releases(a->lock, b->lock);
/* The queue t belongs to, locked. */
struct runq *runq_lock_of(struct thread *t, irqflags_t *f);

/* No CPU needs to be told. */
#define KICK_NONE (-1)
/* Charge rq's current thread up to now. rq->lock held. */
void runq_charge(struct runq *rq) __requires(rq->lock);
/* Of what rq's current thread was charged and that has not been shared out, find how much was in user mode. rq's CPU has counted
 * it; another, which asks meanwhile, supposes that the thread goes on as it did, and the next count makes up for it: so both
 * parts only grow, and both come right (I-SCHED-7). rq->lock held. */
void runq_share_out(struct runq *rq) __requires(rq->lock);
/* Put t, not queued, t->rq == rq, into the tree; rq's current thread is charged up to now. Returns the CPU to tell by
 * sched_kick() once unlocked. */
int runq_enqueue(struct runq *rq, struct thread *t) __requires(rq->lock) __must_check;
/* The same for this CPU's own queue: nobody else need be told. */
static inline void runq_enqueue_here(struct runq *rq, struct thread *t) __requires(rq->lock)
{
	int kick = runq_enqueue(rq, t);

	DASSERT(kick == KICK_NONE);
}
/* t has run for ns since it was charged last. */
void runq_dequeue(struct runq *rq, struct thread *t, uint64_t ns) __requires(rq->lock);
void sched_kick(int cpu);
/* Restore, and honour a reschedule that came up while interrupts were off. */
static inline void irq_restore_resched(irqflags_t f)
{
	arch_irq_restore(f);
	if (unlikely(READ_ONCE(arch_cpu()->need_resched)))
		preempt_enable_due();
}
/* Somebody waits on a queue that cannot run it yet: let an idle CPU that may come and steal. */
void sched_kick_stealer(const struct runq *rq, cpumask_t mask);

/* BLOCKED -> READY, and onto a queue. False if t was not BLOCKED. t->lock held, irqs off. The CPUs that must look are
 * added to *kicks: the caller interrupts them when it has dropped its locks, which the woken thread takes first of
 * all, and before it may be switched away from. */
bool thread_wake_locked(struct thread *t, cpumask_t *kicks) __requires(t->lock);

void sched_kick_all(cpumask_t cpus);
/* Switch away if still BLOCKED. Context: thread. */
void sched_block(void);
/* Switch away for ever; the thread is DEAD. */
void sched_exit(void) __noreturn;

/* Where a thread that may run on mask, and last ran on rq, had best wake up or start. */
struct runq *runq_select(cpumask_t mask, struct runq *last, bool new);
/* Take a ready thread from another CPU. irqs off, no lock held. */
bool runq_steal(struct runq *rq);
/* t is `moving`, off its CPU, in no tree: put it on a queue it may run on. irqs off, no lock held. */
void thread_push_away(struct thread *t);

/* Free what has died on this queue. Context: thread. */
void runq_reap(struct runq *rq);
void reaper_init(void);
/* now: somebody waits for it. */
void reaper_wake(bool now);

void thread_cache_init(void);
/* A struct thread with no stack of its own: the idle threads. */
struct thread *thread_alloc(const char *name);

/* Tests widen the window between choosing the next thread and having left the old one. */
extern uint64_t sched_test_window_ns; /* [atomic] */
#ifdef DEBUG
static inline void switch_window(void)
{
	uint64_t ns = READ_ONCE(sched_test_window_ns);

	if (ns)
		clock_spin_ns(ns);
}

/* perturb= (choose_perturbed.c). Context: irqs off. Who runs here instead of next; rq->lock held. */
struct thread *perturbed_next(struct runq *rq, struct thread *next) __requires(rq->lock);
/* The current thread gives way of itself. */
void perturbed_yield(void);
/* Whether t, which was current here, is to go to another CPU. rq->lock held. */
bool perturbed_move(const struct runq *rq, const struct thread *t) __requires(rq->lock);
/* The queue that t goes to instead of target. */
struct runq *perturbed_target(const struct thread *t, struct runq *target);
/* An idle CPU waits for an interrupt; with `replay` on the command line not all do at once. */
void perturbed_wait(void);
#else
static inline void switch_window(void)
{
}
static inline struct thread *perturbed_next(struct runq *rq, struct thread *next)
{
	return next;
}
static inline void perturbed_yield(void)
{
}
static inline void perturbed_wait(void)
{
	arch_wait_for_interrupt();
}
static inline bool perturbed_move(const struct runq *rq, const struct thread *t)
{
	return false;
}
static inline struct runq *perturbed_target(const struct thread *t, struct runq *target)
{
	return target;
}
#endif

#endif
