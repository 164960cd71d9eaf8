/* SPDX-License-Identifier: MIT */
/* Signals: pending sets for thread and process, mask, dispositions; sending. Delivery is kernel/signal.c, at the
 * return to user mode. */
#ifndef TERN_KERNEL_PROC_SIGNAL_H
#define TERN_KERNEL_PROC_SIGNAL_H

#include "kernel/core/spinlock.h"
#include "lib/types.h"

struct process;
struct pgroup;
struct session;
struct thread;

#define NSIG 64
typedef uint64_t sigset_t64; /* bit n-1: signal n */

struct signal_action {
	uint64_t handler; /* 0 SIG_DFL, 1 SIG_IGN, else a user address */
	uint64_t flags;
	uint64_t restorer;
	sigset_t64 mask;
};

/* Shared by the threads of a process. */
struct signal_state {
	spinlock_t lock;		   /* SIGHAND */
	sigset_t64 pending;		   /* [lock] for any thread */
	struct signal_action action[NSIG]; /* [lock] */
	bool exiting;  /* [lock] exit_group or a fatal signal: exit_code is final */
	int exit_code; /* [lock] wait status word */
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
	SIG_WINCH = 28,
	SIG_SYS = 31,
};

/* Post sig to a process: dropped if ignored and not blocked; fatal ones mark every thread. Context: any but irq; no
 * lock ranked at or inside SIGHAND held. */
void signal_send(struct process *p, int sig);
void signal_send_thread(struct thread *t, int sig);
/* To every member. Takes PIDTAB. */
void signal_send_group(struct pgroup *g, int sig);
/* To every process of a session. */
void signal_send_session(struct session *s, int sig);

/* End the process with this wait status word: exit_group, or a fault. The first to decide wins; every thread is told. */
void signal_group_exit(struct process *p, int status);
/* A fault of p's own that no handler takes: it ends with this signal. */
void signal_fault(struct process *p, int sig);
/* What it was decided to end with. */
int signal_exit_status(struct process *p);

/* The current thread's mask, and what is pending but blocked; signals let through by a new mask act at once. */
void signal_set_mask(sigset_t64 mask);
sigset_t64 signal_get_pending(void);
/* Dispositions; sig is 1 to NSIG. */
void signal_get_action(struct process *p, int sig, struct signal_action *out);
void signal_set_action(struct process *p, int sig, const struct signal_action *act);
/* exec: handlers go back to the default, ignored stay ignored. */
void signal_exec(struct process *p);

/* Does the current thread block sig, or its process ignore it? */
bool signal_held_off(int sig);
/* Is one deliverable to the current thread? */
bool signal_pending_current(void);
/* "KILL" for 9: the name without SIG as RFC 4254 6.10 wants it; NULL for an unnamed number. And back: 0 if unknown. */
const char *signal_name(int sig);
int signal_number(const char *name);

#endif
