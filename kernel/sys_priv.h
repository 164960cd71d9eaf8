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
	X(read) X(write) X(readv) X(writev) X(pread64) X(pwrite64) X(openat) X(close) \
	X(dup) X(dup3) X(fcntl) X(ioctl) X(lseek) X(fstat) X(newfstatat) X(getdents64) \
	X(pipe2) X(ppoll) X(getcwd) X(chdir) X(fchdir) X(mkdirat) X(unlinkat) X(renameat) \
	X(renameat2) X(linkat) X(symlinkat) X(readlinkat) X(faccessat) X(ftruncate) \
	X(fchmodat) X(fchownat) X(fsync) X(sync) X(umask) X(brk) X(mmap) X(munmap) \
	X(mprotect) X(madvise) X(clone) X(execve) X(exit) X(exit_group) X(wait4) X(getpid) \
	X(getppid) X(gettid) X(getuid) X(geteuid) X(getgid) X(getegid) X(getgroups) \
	X(getpgid) X(setpgid) X(getsid) X(setsid) X(set_tid_address) X(kill) X(tkill) \
	X(tgkill) X(rt_sigaction) X(rt_sigprocmask) X(rt_sigpending) X(sched_yield) \
	X(sched_getaffinity) X(sched_setaffinity) X(getpriority) X(setpriority) \
	X(prlimit64) X(getrusage) X(prctl) X(getcpu) X(uname) X(sysinfo) X(getrandom) \
	X(nanosleep) X(clock_nanosleep) X(clock_gettime) X(clock_getres) X(gettimeofday) \
	X(reboot)
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

#endif
