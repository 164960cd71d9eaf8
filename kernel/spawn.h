/* SPDX-License-Identifier: MIT */
/* Starting a process from the kernel: init, and the SSH server's sessions. */
#ifndef TERN_KERNEL_SPAWN_H
#define TERN_KERNEL_SPAWN_H

#include "fs/file.h"
#include "kernel/proc/process.h"

struct spawn_args {
	const char *path;
	const char *const *argv; /* NULL-terminated */
	const char *const *envp;
	const char *cwd; /* NULL: "/" */
	uint32_t uid, gid;
	const uint32_t *groups; /* supplementary ones, nr_groups of them, at most CRED_GROUPS */
	unsigned nr_groups;
	struct file *stdio[3]; /* each gets a reference of its own; the caller keeps its */
	struct file
		*tty; /* NULL, or the slave to become the controlling terminal of the new session */
};

/* A new process in a new session and group of its own, parent: the kernel. *out has a reference. 0, or exec's errors
 * (-ENOENT, -EACCES, -ENOEXEC, -ENOMEM ...). Context: thread. */
int process_spawn(const struct spawn_args *a, struct process **out) __must_check;

/* Has it ended? Then *status is the word of wait4. Announced on p->exited (POLL_IN). */
bool process_exited(struct process *p, int *status);
#define WSTATUS_EXITED(s) (((s)&0x7f) == 0)
#define WSTATUS_CODE(s)	  (((s) >> 8) & 0xff)
#define WSTATUS_SIGNAL(s) ((s)&0x7f)

/* sig to every process of p's session that this user may signal (hang-up of an SSH channel without a pty: its group).
 * 0, or -EPERM if there is none. */
int process_signal_session(struct process *p, int sig, uint32_t uid);

#endif
