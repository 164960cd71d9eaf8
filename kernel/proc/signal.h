/* SPDX-License-Identifier: MIT */
/* Signals: pending for a thread or its process, masks, dispositions; sending, taking, stopping and continuing. Frames for
 * handlers are kernel/signal.c's, built at the return to user mode.
 *
 * A process's signals and the list of its threads stay under SIGHAND, which an interrupt may take (timers); what others
 * see of it, and the tree, under PIDTAB, taken first. */
#ifndef TERN_KERNEL_PROC_SIGNAL_H
#define TERN_KERNEL_PROC_SIGNAL_H

#include "kernel/core/clock.h"
#include "kernel/core/spinlock.h"
#include "sched/thread.h"

struct process;
struct pgroup;
struct session;

#define NSIG 64
typedef uint64_t sigset_t64; /* bit n-1: signal n */
#define SIGMASK(sig) (1UL << ((sig)-1))

struct signal_action {
	uint64_t handler; /* 0 SIG_DFL, 1 SIG_IGN, else a user address */
	uint64_t flags;	  /* SA_* */
	uint64_t restorer;
	sigset_t64 mask;
};

/* What a signal tells: the bytes of the ABI's siginfo_t that mean something, laid out as there. */
struct signal_info {
	int32_t signo, err, code, unused;
	union {
		struct {
			int32_t pid;
			uint32_t uid;
			union {
				int32_t status;
				uint64_t value;
			};
			uint64_t utime, stime; /* ticks of 10 ms */
		};
		uint64_t addr;
	};
};

/* ITIMER_PROF and ITIMER_VIRTUAL. */
enum cpu_timer_kind { CPU_TIMER_ALL, CPU_TIMER_USER, CPU_TIMERS };

/* Shared by the threads of a process. */
struct signal_state {
	spinlock_t lock;		   /* SIGHAND */
	struct signal_pending pending;	   /* [lock] for any thread */
	struct signal_action action[NSIG]; /* [lock] */
	unsigned nr_queued;		   /* [lock] elements in use: RLIMIT_SIGPENDING */
	struct signal_entry *spare;	   /* [lock, read without] for the next one, or NULL */
	bool exiting;  /* [lock] exit_group or a fatal signal: exit_code is final */
	int exit_code; /* [lock] wait status word */
	bool unkillable; /* [PIDTAB] READ_ONCE without it; init: what would end or stop it by default is dropped */
	int stop_sig; /* [lock] not 0: it stops, or has; every thread sleeps when it comes to it */
	bool stop_begun;	  /* [lock] a stop was taken, and no SIGCONT has come since */
	bool stop_told;		  /* [lock] all have stopped and the parent knows */
	bool cont_due;		  /* [lock] it goes on, and the parent is to be told */
	unsigned nr_stopped;	  /* [lock] threads asleep */
	struct waitq stop_wait;	  /* where they sleep */
	struct timer alarm;	  /* ITIMER_REAL: sends SIGALRM if it is alarm_at */
	uint64_t alarm_at;	  /* [lock] 0: off, or it has rung */
	uint64_t alarm_interval;  /* [lock] ns; 0: once */
	bool alarm_rang;	  /* [lock] it is armed again when that SIGALRM is taken */
	struct list_head ptimers; /* [lock] kernel/proc/ptimer.c's */
	int next_ptimer;	  /* [lock] */
	struct cpu_timer {
		uint64_t next_ns; /* [lock] by the process's CPU time; 0: not set */
		uint64_t interval_ns;
	} cpu_timer[CPU_TIMERS]; /* kernel/proc/cputime.c's */
};

/* An interval timer: ns to the next, and between two; 0: none. */
struct signal_alarm {
	uint64_t left, interval;
};

/* What the numbers mean here: Linux arm64's. */
enum {
	SIG_HUP = 1,
	SIG_INT = 2,
	SIG_QUIT = 3,
	SIG_ILL = 4,
	SIG_TRAP = 5,
	SIG_ABRT = 6,
	SIG_BUS = 7,
	SIG_FPE = 8,
	SIG_KILL = 9,
	SIG_USR1 = 10,
	SIG_SEGV = 11,
	SIG_USR2 = 12,
	SIG_PIPE = 13,
	SIG_ALRM = 14,
	SIG_TERM = 15,
	SIG_CHLD = 17,
	SIG_CONT = 18,
	SIG_STOP = 19,
	SIG_TSTP = 20,
	SIG_TTIN = 21,
	SIG_TTOU = 22,
	SIG_URG = 23,
	SIG_XCPU = 24,
	SIG_XFSZ = 25,
	SIG_VTALRM = 26,
	SIG_PROF = 27,
	SIG_WINCH = 28,
	SIG_SYS = 31,
	SIG_RTMIN = 32,
};

/* si_code: how it came to be; Linux's numbers. */
enum signal_code {
	SIC_USER = 0,
	SIC_KERNEL = 0x80,
	SIC_QUEUE = -1,
	SIC_TIMER = -2,
	SIC_TKILL = -6,
	SIC_ILL_OPCODE = 1,
	SIC_FPE_DIVIDE = 3,
	SIC_FPE_OVERFLOW = 4,
	SIC_FPE_UNDERFLOW = 5,
	SIC_FPE_INEXACT = 6,
	SIC_FPE_INVALID = 7,
	SIC_FPE_UNKNOWN = 14,
	SIC_SEGV_UNMAPPED = 1,
	SIC_SEGV_ACCESS = 2,
	SIC_BUS_ALIGNMENT = 1,
	SIC_BUS_BEYOND = 2,
	SIC_BUS_HARDWARE = 3,
	SIC_TRAP_BREAK = 1,
	SIC_TRAP_TRACE = 2,
};

/* --- sending ----------------------------------------------------------------------------------------------------- */

/* Post sig, from the kernel, to a process: dropped if ignored and not blocked; fatal ones mark every thread. The caller
 * keeps p. Context: any but irq; no lock ranked at or inside PIDTAB held. */
void signal_send(struct process *p, int sig);
void signal_send_thread(struct thread *t, int sig);
/* To every member. Takes PIDTAB. */
void signal_send_group(struct pgroup *g, int sig);
/* To every process of a session that this user may signal: how many. */
unsigned signal_send_session(struct session *s, int sig, uint32_t uid);
/* From program `self` to every member that it may signal: 0, -EPERM if that is none, -ESRCH if the group is empty. sig 0
 * only asks. */
int signal_kill_group(struct process *self, struct pgroup *g, int sig) __must_check;
/* What kill(2) tells of its caller. */
struct signal_info signal_info_of(const struct process *self, int sig, int code);

/* End the process with this wait status word: exit_group, or a fault. The first to decide wins; every thread is told. */
void signal_group_exit(struct process *p, int status);
/* What it was decided to end with. */
int signal_exit_status(struct process *p);
/* The current thread did something wrong at addr: sig, blocked or ignored or not, before it does anything else. True: no
 * handler takes it and the process ends. False too for one that was told to die: it says nothing of the process any more. */
bool signal_force(int sig, int code, uint64_t addr);

/* --- the current thread -------------------------------------------------------------------------------------------- */

/* The mask, and what is pending but blocked; signals let through by a new mask act before the return to user mode. */
void signal_set_mask(sigset_t64 mask);
sigset_t64 signal_get_pending(void);
/* A mask for the rest of this system call, for those that wait with one: the old one comes back at the return to user
 * mode, behind the frame of a handler if the call was interrupted. Always 0. */
int signal_set_temp_mask(sigset_t64 mask);
/* Undo it now: the call was not interrupted. */
void signal_restore_mask(void);
/* Does it block sig, or its process ignore it? */
bool signal_held_off(int sig);
/* Is one deliverable? */
bool signal_pending_current(void);
/* Take one of set, waiting for it until the deadline: its number, -EAGAIN, or -EINTR for another. Context: may sleep. */
int signal_wait(sigset_t64 set, uint64_t deadline_ns, struct signal_info *info) __must_check;

/* A signal whose handler is to be entered. */
struct signal_delivery {
	struct signal_info info;
	struct signal_action action;
	sigset_t64 mask;    /* to be in force again after the handler */
	sigset_t64 blocked; /* what was in force before it: the same, or a call's own */
};
/* Before the return to user mode: take what is deliverable, acting on it (the thread may sleep in a stop) until one has a
 * handler: then true, with the mask set as the handler wants it. */
bool signal_take(struct signal_delivery *d) __must_check;
/* The handler could not be entered: the mask is what it was before signal_take(). */
void signal_untake(const struct signal_delivery *d);

/* --- processes ----------------------------------------------------------------------------------------------------- */

/* The disposition of sig, 1 to NSIG: what it was goes to old; set to act unless NULL. */
void signal_action(struct process *p, int sig, const struct signal_action *act,
		   struct signal_action *old);
/* exec: handlers go back to the default, ignored stay ignored; the other stack is gone. */
void signal_exec(struct process *p);

/* ITIMER_REAL: what it was goes to old; set to now unless NULL. Context: thread. */
void signal_alarm(struct process *p, const struct signal_alarm *now, struct signal_alarm *old);

/* The same for the timers of CPU time. */
void cputime_timer(struct process *p, enum cpu_timer_kind kind, const struct signal_alarm *now,
		   struct signal_alarm *old);
/* timer_create's. What one says: signal 0 is none; to one thread, or to any. */
struct ptimer_how {
	bool wall; /* its absolute times are the wall clock's */
	bool value_is_id;
	int signo;
	uint64_t value;
	struct thread *target; /* a reference, taken over on success; NULL: any */
};
/* Its number, -EAGAIN. Context of all: thread. */
int ptimer_create(struct process *p, const struct ptimer_how *how) __must_check;
/* What is left until it rings next, and its interval, go to old; set to now unless that is NULL. 0 or -EINVAL. */
int ptimer_set(struct process *p, int id, const struct signal_alarm *now, bool absolute,
	       struct signal_alarm *old) __must_check;
/* How many times it rang in vain before the last signal was taken; -EINVAL. */
int ptimer_overrun(struct process *p, int id);
int ptimer_delete(struct process *p, int id);
/* The wall clock was set. */
void ptimers_look_again(struct process *p);

/* RLIMIT_CPU of p has changed; a thread came to it. PIDTAB or SIGHAND held. */
void cputime_limit_changed(struct process *p);
void cputime_thread_joined(struct process *p, struct thread *t);
/* NOTIFY_CPU: the current thread, before it returns to user mode, sends what is due. */
void cputime_check(void);

/* A new process, and one that is gone with what was still pending. */
void signal_init(struct signal_state *s);
void signal_flush(struct process *p);

/* "KILL" for 9: the name without SIG as RFC 4254 6.10 wants it; NULL for an unnamed number. And back: 0 if unknown. */
const char *signal_name(int sig);
int signal_number(const char *name);
/* boot */
void signal_cache_init(void);

#endif
