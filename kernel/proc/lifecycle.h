/* SPDX-License-Identifier: MIT */
/* How kernel/ makes and ends processes: the moves of process.h's state table, each under PIDTAB inside. */
#ifndef TERN_KERNEL_PROC_LIFECYCLE_H
#define TERN_KERNEL_PROC_LIFECYCLE_H

#include "kernel/proc/process.h"

/* boot: the tables. */
void process_init(void);

/* A process in state NEW with a pid of its own, one reference, no thread, group or session; parent NULL. Credentials,
 * limits and dispositions are copied from `from` (NULL: root, defaults). NULL: no memory. Context: thread. */
struct process *process_create(const struct process *from, const char *name) __must_check;
/* Into a new session and group whose ids are its pid. 0 or -ENOMEM. */
int process_new_session(struct process *p) __must_check;
/* Into the group of `of`. Before process_publish(). */
void process_join_group_of(struct process *p, struct process *of);
/* t becomes a thread of p, with a reference to it and a number: p's for the first one. */
void process_add_thread(struct process *p, struct thread *t);
/* May p make one more process or thread (RLIMIT_NPROC)? */
bool process_may_multiply(const struct process *p) __must_check;
/* NEW -> ALIVE: visible from now on (I-PROC-1, RC-015). Its parent is `from`, or that one's parent if it is to be
 * a sibling; NULL: the kernel. The table holds a reference until reaped. */
void process_publish(struct process *p, struct process *from, bool sibling);
/* A process that was never published: undo process_create() and what followed. */
void process_abandon(struct process *p);

/* A new program: its name and file (the reference moves in; the old one comes back for the caller to put). The effective ids
 * become the saved and the file system's ones too. */
struct file *process_set_image(struct process *p, const char *name, struct file *exe,
			       struct vm_space *space) __must_check;
/* exec: the other threads of p are told to die and waited for; the current one takes the leader's number (I-PROC-4).
 * 0; -EAGAIN, -EINTR: it is to die itself. */
int process_survive(struct process *p) __must_check;

/* What changes hands when the last thread of p exits: ALIVE -> ZOMBIE. Children go to the nearest ancestor that asked for
 * orphans, to init, else to the kernel. Tells the parent (exit_signal, child_wait) and p->exited. If nobody will wait, it
 * is reaped at once. */
void process_zombie(struct process *p, int wait_status);
/* Orphans come to p from now on. */
void process_set_init(struct process *p);
/* The thread leaves its process; true if it was the last. */
bool process_remove_thread(struct process *p, struct thread *t) __must_check;

/* Has it ended? Then *status is its wait status word; true also after it was reaped. */
bool process_zombie_status(struct process *p, int *status);

/* Accounts: what thread t used, added; what p used, all threads, or its children that were waited for. */
void usage_add_thread(struct usage *to, struct thread *t);
/* t, the last, is counted with those that have ended; it takes no more part. */
void process_count_last(struct process *p, struct thread *t);
/* The most pages that a memory it no longer has held. */
void process_set_peak(struct process *p, uint64_t pages);
void process_usage(struct process *p, bool children, struct usage *out);

/* wait: a child of the type and id of waitid(2) that has something to tell of what options ask for. Told once, a
 * zombie reaped, unless WNOWAIT. 1 and *out; 0: there are such children, none has news. -ECHILD: no such child. */
struct wait_query {
	int type; /* P_ALL, P_PID, P_PGID (id 0: the caller's) */
	int id;
	unsigned options; /* WEXITED, WSTOPPED ... */
};
struct wait_result {
	int pid;
	int status; /* wait4's word */
	uint32_t uid;
	struct usage usage; /* with its own children's */
};
/* The si_code of a SIGCHLD that tells of this status word, and its si_status. */
enum child_code {
	CHILD_EXITED = 1,
	CHILD_KILLED,
	CHILD_DUMPED,
	CHILD_TRAPPED,
	CHILD_STOPPED,
	CHILD_CONTINUED
};
#define STATUS_CONTINUED    0xffff
#define STATUS_STOPPED(sig) ((sig) << 8 | 0x7f)
enum child_code wait_status_code(int status, int *value);
int process_wait_child(struct process *parent, const struct wait_query *q,
		       struct wait_result *out) __must_check;

/* setpgid, setsid with Linux's errors; getsid and getpgid. `self` is the caller. */
int process_set_group(struct process *self, int pid, int pgid) __must_check;
int process_set_session(struct process *self) __must_check;
int process_get_group_id(struct process *self, int pid) __must_check;
int process_get_session_id(struct process *self, int pid) __must_check;

/* May `self` signal `p`? (kill(2)) PIDTAB held. */
bool process_may_signal(const struct process *self, const struct process *p, int sig);
/* If it may, send what info says (signo 0: nothing) to a process, or to one thread (tgid 0: of whatever process). 0, -ESRCH,
 * -EPERM, -EAGAIN. */
int process_kill_info(struct process *self, int pid, const struct signal_info *info) __must_check;
int process_kill_thread(struct process *self, int tgid, int tid,
			const struct signal_info *info) __must_check;
/* kill(2)'s pid argument: one, a group, all. 0 or -ESRCH, -EPERM. */
int process_kill(struct process *self, int pid, int sig) __must_check;

/* What p is to permission checks, all of one moment. Takes PIDTAB. */
void process_get_cred(const struct process *p, struct credentials *out);
/* Small facts, each read under PIDTAB. */
void process_set_name(struct process *p, const char *name);
struct rlimit_pair process_get_limit(struct process *p, unsigned kind);
/* -EPERM: raising the hard limit when not privileged. */
int process_set_limit(struct process *p, unsigned kind, const struct rlimit_pair *limit,
		      bool privileged) __must_check;
unsigned process_count(void);

/* The terminal of a session: drivers/tty calls these. Taking sets the leader's group as foreground. */
int session_take_tty(struct session *s,
		     struct tty *tty) __must_check; /* -EPERM: it has one, or not the leader */
/* The terminal, with get() called on it under PIDTAB so that it stays; NULL: none. */
struct tty *session_get_tty(struct session *s, void (*get)(struct tty *)) __must_check;
/* Part from the terminal, if it is this one (NULL: whichever it is, and from its foreground group): it with its
 * reference, or NULL. */
struct tty *session_drop_tty(struct session *s, const struct tty *only) __must_check;
int session_set_foreground(struct session *s, int pgid) __must_check; /* -EPERM, -ESRCH */
/* May the current process do with a terminal what sig (SIG_TTIN, SIG_TTOU) is for? 0; -ERESTARTSYS: its group is in the
 * background of that terminal and has been sent sig; -EIO: that would not help. */
int job_check(const struct tty *tty, int sig) __must_check;
/* p ends: stopped groups that nobody in their session looks after any more get SIGHUP and SIGCONT. Before its children
 * get another parent. */
void job_release_orphans(struct process *p);
struct session *session_of(struct process *p) __must_check; /* a reference */
bool session_is_leader(struct process *p);

#endif
