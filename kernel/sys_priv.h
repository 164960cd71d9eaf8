/* SPDX-License-Identifier: MIT */
/* The system calls, for the table in syscall.c. Each takes the six argument registers and returns a result or a
 * negative errno. Context: thread, irqs on, no lock held. */
#ifndef TERN_KERNEL_SYS_PRIV_H
#define TERN_KERNEL_SYS_PRIV_H

#include "fs/file.h"
#include "kernel/proc/process.h"
#include "lib/types.h"

/* clang-format off */
#define SYSCALLS(X) \
	X(brk) \
	X(chdir) \
	X(clock_getres) \
	X(clock_gettime) \
	X(clock_nanosleep) \
	X(clone) \
	X(close) \
	X(dup) \
	X(dup3) \
	X(execve) \
	X(exit) \
	X(exit_group) \
	X(faccessat) \
	X(fchdir) \
	X(fchmodat) \
	X(fchownat) \
	X(fcntl) \
	X(fstat) \
	X(fsync) \
	X(ftruncate) \
	X(futex) \
	X(get_robust_list) \
	X(getcpu) \
	X(getcwd) \
	X(getdents64) \
	X(getegid) \
	X(geteuid) \
	X(getgid) \
	X(getgroups) \
	X(getpgid) \
	X(getpid) \
	X(getppid) \
	X(getpriority) \
	X(getrandom) \
	X(getrusage) \
	X(getsid) \
	X(gettid) \
	X(gettimeofday) \
	X(getuid) \
	X(ioctl) \
	X(kill) \
	X(linkat) \
	X(lseek) \
	X(madvise) \
	X(mkdirat) \
	X(mmap) \
	X(mprotect) \
	X(munmap) \
	X(nanosleep) \
	X(newfstatat) \
	X(openat) \
	X(pipe2) \
	X(ppoll) \
	X(prctl) \
	X(pread64) \
	X(prlimit64) \
	X(pwrite64) \
	X(read) \
	X(readlinkat) \
	X(readv) \
	X(reboot) \
	X(renameat) \
	X(renameat2) \
	X(rt_sigaction) \
	X(rt_sigpending) \
	X(rt_sigprocmask) \
	X(sched_getaffinity) \
	X(sched_setaffinity) \
	X(sched_yield) \
	X(set_robust_list) \
	X(set_tid_address) \
	X(setpgid) \
	X(setpriority) \
	X(setsid) \
	X(symlinkat) \
	X(sync) \
	X(sysinfo) \
	X(tgkill) \
	X(times) \
	X(tkill) \
	X(umask) \
	X(uname) \
	X(unlinkat) \
	X(wait4) \
	X(waitid) \
	X(write) \
	X(writev)
/* clang-format on */

#define DECLARE_SYSCALL(name) int64_t sys_##name(const uint64_t a[6]);
SYSCALLS(DECLARE_SYSCALL)
#undef DECLARE_SYSCALL

/* The caller's file at fd with a reference, or NULL (-EBADF). */
struct file *fd_get(uint64_t fd) __must_check;

/* Give the caller f at the lowest free descriptor >= min; its reference moves or is dropped. fd or -errno. */
int64_t fd_install(struct file *f, int min, bool cloexec) __must_check;

/* Write the ABI's struct stat. 0 or -EFAULT. */
int64_t stat_to_user(const struct kstat *k, vaddr_t to) __must_check;

/* A struct timespec of user memory as ns, longer ones as a very long time. 0, -EFAULT, -EINVAL. */
int time_from_user(vaddr_t from, uint64_t *ns) __must_check;
int time_to_user(vaddr_t to, uint64_t ns) __must_check;

#endif
