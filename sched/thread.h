/* SPDX-License-Identifier: MIT */
/* Threads: what runs. A process (kernel/proc) has one or more; kernel threads have none. */
#ifndef TERN_SCHED_THREAD_H
#define TERN_SCHED_THREAD_H

#include "kernel/core/current.h"
#include "kernel/core/percpu.h"
#include "lib/rbtree.h"
#include "lib/refcount.h"
#include "mm/phys/kstack.h"
#include "sched/eevdf.h"
#include "sched/wait.h"

struct vm_space;
struct process;

/* A thread's states. Every move is made under the lock of the run queue it is on or last ran on; a move into or out
 * of BLOCKED also under t->lock, taken first. The thread's own two moves, while it runs, need t->lock alone: of one that runs
 * nobody else changes the state but its CPU's scheduler, and interrupts are off.
 *   NEW      -> READY     thread_start()          creator
 *   READY    -> RUNNING   the scheduler's pick    the CPU that will run it
 *   RUNNING  -> READY     preempted or yielding   that CPU, irqs off
 *   RUNNING  -> BLOCKED   wait_prepare()          itself; it stays on its run queue until it switches away
 *   BLOCKED  -> READY     wake, timeout, signal   anyone, once
 *   BLOCKED  -> RUNNING   wait_finish()           itself, never having switched; or READY -> RUNNING, woken meanwhile
 *   RUNNING  -> DEAD      thread_exit()           itself; freed by the last put, after on_cpu is 0 */
enum thread_state { THREAD_NEW, THREAD_READY, THREAD_RUNNING, THREAD_BLOCKED, THREAD_DEAD };

/* Why a return to user mode, or a wait, must look up: bits of thread->notify. */
#define NOTIFY_SIGNAL BIT(0) /* a signal may be deliverable: ends INTERRUPTIBLE waits */
#define NOTIFY_KILL   BIT(1) /* the thread must die: ends KILLABLE waits too; never cleared */

#define NOTIFY_MASK                                                                                \
	BIT(2) /* a temporary signal mask is to be undone at the return to user mode: ends no wait */
#define NOTIFY_CPU                                                                                 \
	BIT(3) /* its process's CPU time is to be compared with its limits: ends no wait */

#define THREAD_MAGIC 0x54485244u

/* Signals waiting to be taken. A number in the set without an element in the queue has nothing more to tell. */
struct signal_pending {
	uint64_t set; /* bit n-1: signal n */
	struct list_head queue;
};

/* What kernel/proc/signal.c keeps of a thread. */
struct thread_signals {
	struct signal_pending pending; /* for this thread alone */
	uint64_t saved;		       /* the mask that NOTIFY_MASK brings back */
	uint64_t waited;	       /* what rt_sigtimedwait takes, blocked or not */
	bool stopped;		       /* it sleeps until its process goes on */
	struct signal_stack {
		uint64_t sp, size;
		int flags;
	} alt;				   /* [self] the other stack; size 0: none */
	uint64_t fault_addr, fault_esr;	   /* [self] of its last fault, for the frame */
	uint64_t restart_ns, restart_user; /* [self] what restart_syscall goes on with */
	bool restart_futex;		   /* [self] with a futex's wait, not a sleep */
};

struct thread {
	struct thread_base base;  /* first: kernel/core sees only this */
	struct arch_thread arch;  /* [runq] while off CPU, [self] */
	spinlock_t lock;	  /* THREAD */
	enum thread_state state;  /* [runq] + [lock] as above */
	struct waitq *waiting_on; /* [lock] NULL unless BLOCKED: I-SCHED-2 */
	enum wait_mode wait_mode; /* [lock] */
	uint32_t notify;	  /* [atomic] NOTIFY_* */
	uint32_t on_cpu; /* [atomic] 1 from pick until its registers are saved: I-SCHED-4 */
	struct runq
		*rq; /* [runq] where it is or last ran; moves under both locks with on_cpu == 0 */
	bool queued; /* [runq] in rq's tree */
	struct refcount ref;
	struct kstack stack;	 /* [init] */
	struct vm_space *space;	 /* [self] NULL for kernel threads */
	bool user;		 /* [init] has user register state (vector registers, TPIDR_EL0) */
	struct process *process; /* [init] NULL for kernel threads */
	struct list_head process_link; /* [process] kernel/proc's */
	int tid;		       /* [process] its number in the pid table; 0: kernel thread */
	struct list_head tid_link;     /* [process] kernel/proc's */
	struct vfs_context *fs;	       /* [self] kernel's: a copy of its process's (context.h) */
	uint32_t fs_generation;	       /* [self] kernel's: of what that is a copy */
	uint64_t sig_blocked;	       /* [SIGHAND] kernel/proc's: the signal mask */
	struct thread_signals sig;     /* [SIGHAND] kernel/proc's: the rest of its signals */
	uint64_t clear_tid; /* [self] kernel's: user word to zero and wake at exit; 0: none */
	uint64_t
		robust_list; /* [self], and who has sealed its memory: head of the user's list of locks held; 0: none */
	void (*entry)(void *); /* [init] */
	void *arg;	       /* [init] */

	struct eevdf_entity ent; /* [runq] its place among those who want the CPU */
	int8_t nice;		 /* [runq] NICE_MIN .. NICE_MAX */
	bool moving; /* [runq] taken off rq, about to be pushed to another: counts as queued */
	cpumask_t affinity;	/* [runq] */
	uint64_t exec_start_ns; /* [runq] charged up to here */
	uint64_t runtime_ns;	/* [runq] total CPU time */
	uint64_t switches;	/* [runq] times it was switched to */
	uint64_t
		unshared_ns; /* [runq] part of it of which is not known yet how much was in user mode */
	uint64_t user_ns; /* [runq] part of it in user mode */
	int64_t user_owed; /* [runq] counted in user mode and not in user_ns yet, or the other way round */
	bool in_user; /* [runq] it spent most of what was charged last there */
	uint64_t
		bounded_since; /* [self] since when a device is given its time, however often it looked meanwhile; 0: none is */
	uint64_t hung_switches; /* [registry] the watchdog's: switches at its last look */
	unsigned hung_ticks;	/* [registry] for how many looks it has slept, and not killable */
	uint64_t watch_ns;	/* [runq] NOTIFY_CPU when runtime_ns comes to this; 0: never */

	struct waitq exit_wq;	    /* woken when it is dead and off its CPU */
	struct list_head dead_link; /* [runq] waiting to be reaped */
	void (*on_free)(
		struct thread
			*t); /* [init] the owner's hook when the last reference goes; may be NULL */
	struct rb_node all_node;    /* [registry] every thread by id, for reports */
	char name[16] __aligned(8); /* [self] what base.name points at */
	uint32_t magic;		    /* [init] THREAD_MAGIC while it lives (A11) */
};

static inline struct thread *current_thread(void)
{
	return arch_current();
}

/* Create a kernel thread (or, with space/process set before thread_start(), a user one). name is copied up to 15
 * bytes. State NEW, one reference, the caller's. stack_size: KSTACK_SIZE or KSTACK_SIZE_LARGE. NULL: no memory.
 * Context: thread. */
struct thread *thread_create(const char *name, void (*entry)(void *), void *arg,
			     size_t stack_size) __must_check;
/* NEW -> READY. The scheduler holds a reference of its own until the thread is dead and off its CPU. */
void thread_start(struct thread *t);
/* create + start + put: fire and forget. 0 or -ENOMEM. */
int thread_spawn(const char *name, void (*entry)(void *), void *arg) __must_check;
int thread_spawn_deep(const char *name, void (*entry)(void *),
		      void *arg) __must_check; /* on a large stack */
void thread_exit(void) __noreturn;
void thread_get(struct thread *t);
void thread_put(struct thread *t);
/* Wait until t is DEAD. The caller holds a reference. */
void thread_join(struct thread *t);

/* Set notify bits and wake t if it sleeps in a mode that they end. Context: any but irq; caller may hold SIGHAND. */
void thread_notify(struct thread *t, uint32_t bits);
/* Of the current thread before its return to user mode: the acquire is a load after every earlier store-release (LDAR
 * after STLR), and so after its on_cpu was stored, and the run queue unlocked. Pairs with thread_notify(), which sets the bits,
 * then looks at on_cpu: one of the two sees the other. */
static inline uint32_t thread_notified(const struct thread *t)
{
	return atomic_load_acquire(&t->notify);
}
static inline bool thread_killed(const struct thread *t)
{
	return thread_notified(t) & NOTIFY_KILL;
}

/* CPU time up to now, of a thread that runs elsewhere as well; unless NULL, *user_ns gets its part in user mode. Neither that
 * nor the rest ever falls. Context: any but irq. */
uint64_t thread_cpu_ns(struct thread *t, uint64_t *user_ns);
/* NOTIFY_CPU for the current thread when it has had this much CPU time more; instead of what it asked for before. */
void thread_watch_cpu(uint64_t ns);

/* Where t sleeps: in the function outside of sched/ that waits, behind its call. 0: it does not sleep. Context: any but irq. */
uintptr_t thread_sleeps_at(struct thread *t);
/* Its backtrace, innermost first, up to room addresses. How many; 0: it does not sleep. Context: any but irq. */
unsigned thread_trace(struct thread *t, uintptr_t *pc, unsigned room);
/* The same for who is called by thread_for_each(), without a lock: nonsense if it is woken meanwhile. */
unsigned thread_trace_guess(const struct thread *t, uintptr_t *pc, unsigned room);
/* The CPU it is on or was on last, and whether it wants it. A hint. */
void thread_place(const struct thread *t, unsigned *cpu, bool *queued);

int thread_set_nice(struct thread *t, int nice) __must_check;
/* -EINVAL if no online CPU is in the mask. Moves it if it runs elsewhere. */
int thread_set_affinity(struct thread *t, cpumask_t mask) __must_check;
/* Call fn for each thread, under the registry lock: format, do not sleep. */
void thread_for_each(void (*fn)(struct thread *t, void *arg), void *arg);
/* The same for at most `most` whose id is above `after`, in its order, i counted from 0: for reports, which need not hold all of
 * them at once. How many there were. */
unsigned thread_batch(int after, unsigned most, void (*fn)(struct thread *t, unsigned i, void *arg),
		      void *arg);
/* Whom did this point at? False: it is gone, or the registry is in use. Context: any, irqs off. */
bool thread_identify(const struct thread *t, int *id, char name[16]) __must_check;
const char *thread_state_name(enum thread_state s);

/* --- the scheduler ------------------------------------------------------------------------------------------------ */

/* boot: run queues, the boot thread becomes CPU 0's idle thread after sched_start(). */
void sched_init(void);
/* On each CPU: become the idle thread. Does not return. irqs off in. */
void sched_start(void) __noreturn;
/* Give the CPU away if somebody else should run; the thread stays READY. */
void sched_yield(void);
/* In long loops of the kernel, and before a return to user mode: switch if due. Context: thread, depth 0. */
void cond_resched(void);
/* mm/vm registers how to make a space current at a switch. */
void sched_set_space_switch(void (*activate)(struct vm_space *s));

struct sched_cpu_stats {
	uint64_t switches;
	uint64_t idle_ns;
	uint64_t user_ns;
	uint64_t steals;
	unsigned nr_ready;
};
void sched_stats(unsigned cpu, struct sched_cpu_stats *out);

/* Who wants a CPU: in the order of their deadlines. Of those that may have it now (eligible) the first runs. */
struct sched_wants {
	int id;
	char name[16];
	bool runs, eligible;
	int64_t deadline_ns; /* from the queue's virtual time on */
};
/* Up to room of them; how many. */
unsigned sched_queue(unsigned cpu, struct sched_wants *out, unsigned room);

#endif
