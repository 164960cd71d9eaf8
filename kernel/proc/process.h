/* SPDX-License-Identifier: MIT */
/* Processes, groups, sessions, the pid table. Creating, exec and exit are in kernel/ (they need files and memory);
 * here are the objects, their lookups and their locks.
 *
 * A process's states, under PIDTAB:
 *   NEW     -> ALIVE    process_publish(): the last step of creation (RC-015)
 *   ALIVE   -> ZOMBIE   its last thread has exited
 *   ZOMBIE  -> (freed)  wait4 by the parent, or at once if the parent ignores SIGCHLD or the kernel is the parent */
#ifndef TERN_KERNEL_PROC_PROCESS_H
#define TERN_KERNEL_PROC_PROCESS_H

#include "kernel/proc/cred.h"
#include "kernel/proc/signal.h"
#include "lib/list.h"
#include "lib/refcount.h"
#include "sched/poll.h"
#include "sched/thread.h"

struct fdtable;
struct fs_state;
struct tty;
struct file;
struct vfork_wait;

#define PID_MAX 4194304

enum process_state { PROC_NEW, PROC_ALIVE, PROC_ZOMBIE };

#define RLIM_KINDS 16
struct rlimit_pair {
	uint64_t cur, max;
};

struct pgroup {
	int id; /* [init] */
	struct refcount ref;
	struct list_head members;      /* [PIDTAB] process->group_link */
	struct session *session;       /* [init] a reference */
	struct list_head table;	       /* [PIDTAB] */
	struct list_head session_link; /* [PIDTAB] in session->groups, while it has members */
};

struct session {
	int id; /* [init] */
	struct refcount ref;
	struct tty *tty; /* [PIDTAB] controlling terminal, a reference kept by drivers/tty; NULL */
	int foreground; /* [PIDTAB] id of the terminal's foreground group; stays after a hang-up; 0: none */
	struct list_head table;	 /* [PIDTAB] by id, while the session exists */
	struct list_head groups; /* [PIDTAB] pgroup->session_link */
};

/* What getrusage(2) tells. */
struct usage {
	uint64_t cpu_ns, user_ns;
	uint64_t switches;
	uint64_t min_faults;
	uint64_t max_pages;
};

struct process {
	struct refcount ref;
	int pid;		   /* [init] */
	uint64_t generation;	   /* [init] tells pid reuse apart */
	enum process_state state;  /* [PIDTAB] */
	struct process *parent;	   /* [PIDTAB] NULL: the kernel; then it reaps itself */
	int parent_pid;		   /* [PIDTAB], read anywhere: its number, 0 for the kernel */
	struct list_head children; /* [PIDTAB] */
	struct list_head sibling;  /* [PIDTAB] */
	struct list_head all;	   /* [PIDTAB] in order of creation */
	struct list_head hash;	   /* [PIDTAB] by pid */
	struct usage dead;	   /* [PIDTAB] of its threads that have ended */
	struct usage reaped;	   /* [PIDTAB] of children waited for, and of theirs */
	int exit_signal;	   /* [PIDTAB] for the parent when it ends; 0: none */

	struct pgroup *group;	     /* [PIDTAB] a reference */
	struct list_head group_link; /* [PIDTAB] */
	struct list_head threads;    /* [PIDTAB + SIGHAND; either to look] thread->process_link */
	unsigned
		nr_threads; /* [PIDTAB + SIGHAND, read without] less with release: fds_alone() of kernel/ */
	struct thread *survivor; /* [PIDTAB] in exec: the others are told to die (I-PROC-4) */
	bool exec_done;		 /* [PIDTAB] setpgid by the parent is over */
	/* Job control, for wait: stopped by stop_sig, told or not yet; continued and not told yet. */
	bool stopped, stop_reported, continued; /* [PIDTAB] kernel/proc/signal.c's */
	int stop_sig;				/* [PIDTAB] */
	bool subreaper;				/* [atomic] orphans below it come to it */
	bool no_new_privs;			/* [atomic] prctl */
	bool left_tty; /* [atomic] it, and who it makes, gave up the session's terminal for themselves */
	bool undumpable;  /* [atomic] prctl; with other ids in one hold of PIDTAB */
	int death_signal; /* [atomic] what it gets when its parent ends; 0: none */
	int wait_status;  /* [PIDTAB] the word wait4 gives; before the end: its first thread's */
	struct poll_source exited;   /* notified when it becomes a ZOMBIE: for kernel parents */
	struct waitq child_wait;     /* its wait4 sleeps here, and its exec for the other threads */
	struct signal_state signals; /* see signal.h */
	/* I-PROC-5: changed under PIDTAB, by the only thread: its threads read them as they are, others by kernel/context.h. */
	struct vm_space *space; /* a reference */
	struct fdtable *files;	/* a reference */
	struct fs_state *fs;	/* kernel/context.h; a reference */
	/* Changed under PIDTAB by any of its threads, limits by other processes too: READ_ONCE without it. */
	struct credentials cred;
	struct rlimit_pair rlimits[RLIM_KINDS];
	char name[16];	  /* [PIDTAB] comm */
	struct file *exe; /* [PIDTAB] */
	struct vfork_wait
		*vfork;	   /* [atomic] kernel/context.h: taken once, by exec or exit; a reference */
	uint64_t start_ns; /* [init] */
	uint32_t oom_victim; /* [atomic] chosen by kernel/oom.c and not yet gone */
	uint64_t min_faults; /* [atomic] */
	uint64_t poll_pages; /* [atomic] of sets its threads wait for or look at */
};

/* The current thread's process; NULL in kernel threads. */
static inline struct process *current_process(void)
{
	return current_thread()->process;
}

/* Does the caller work for root, or is it the kernel? */
bool caller_is_root(void);
/* The soft limit of a kind, as it is just now. */
static inline uint64_t rlimit_cur(const struct process *p, unsigned kind)
{
	return READ_ONCE(p->rlimits[kind].cur);
}
/* Does its process end, or has ended? False of a kernel thread. */
bool caller_is_ending(void);

struct process *process_get(struct process *p);
void process_put(struct process *p);
/* By number, a reference, published ones only. NULL: none. */
struct process *process_find(int pid) __must_check;
/* A thread by its number, a reference; NULL: none, or it has left its process. */
struct thread *thread_find(int tid) __must_check;
/* The process it is a thread of, a reference; NULL: it has left it. */
struct process *process_of(struct thread *t) __must_check;
struct pgroup *pgroup_find(int id) __must_check;
void pgroup_put(struct pgroup *g);
void session_put(struct session *s);
int process_session_id(struct process *p);

/* Call fn for each published process with a reference held and PIDTAB dropped (RC-017): fn may sleep. */
void process_for_each(void (*fn)(struct process *p, void *arg), void *arg);

/* Call fn with PIDTAB held, so that what p points at stays; and for each of its threads. fn sleeps for nothing. */
void process_inspect(struct process *p, void (*fn)(struct process *p, void *arg), void *arg);
void process_for_each_thread(struct process *p, void (*fn)(struct thread *t, void *arg), void *arg);

/* Foreground group and controlling terminal, for drivers/tty. A reference or NULL. */
struct pgroup *session_foreground(struct session *s) __must_check;

#endif
