/* SPDX-License-Identifier: MIT */
#ifndef TERN_KERNEL_PROCINFO_H
#define TERN_KERNEL_PROCINFO_H

/* boot, after vfs_init(): /proc entries whose facts lie in kernel/ and below fs/. */
void procinfo_init(void);
/* boot: /proc/PID and its like (kernel/procpid.c). */
void procpid_init(void);
/* boot: /proc/tern/lockstat and /proc/tern/faults (kernel/lockstat_check.c, kernel/fault_check.c). */
#ifdef DEBUG
void lockstat_init(void);
void faults_init(void);
#else
static inline void lockstat_init(void)
{
}
static inline void faults_init(void)
{
}
#endif

#endif
