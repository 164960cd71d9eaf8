/* SPDX-License-Identifier: MIT */
/* Who a process is, to permission checks. */
#ifndef TERN_KERNEL_PROC_CRED_H
#define TERN_KERNEL_PROC_CRED_H

#include "lib/atomic.h"

#define CRED_GROUPS 32 /* supplementary groups of one process */

struct credentials {
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	unsigned nr_groups;
	uint32_t groups[CRED_GROUPS];
};

/* Are uid and gid all that the process is and may become? */
static inline bool cred_is_only(const struct credentials *c, uint32_t uid, uint32_t gid)
{
	return uid == c->uid && uid == c->euid && uid == c->suid && gid == c->gid &&
	       gid == c->egid && gid == c->sgid;
}

/* May c act for files' group gid: its file-system group or a supplementary one? */
static inline bool cred_in_group(const struct credentials *c, uint32_t gid)
{
	unsigned n = atomic_load_acquire(&c->nr_groups);

	if (READ_ONCE(c->fsgid) == gid)
		return true;
	for (unsigned i = 0; i < n; i++)
		if (READ_ONCE(c->groups[i]) == gid)
			return true;
	return false;
}

#endif
