/* SPDX-License-Identifier: MIT */
/* The system calls, for the table in syscall.c. Each takes the six argument registers and returns a result or a
 * negative errno. Context: thread, irqs on, no lock held. */
#ifndef TERN_KERNEL_SYS_PRIV_H
#define TERN_KERNEL_SYS_PRIV_H

#include "fs/fdtable.h"
#include "kernel/proc/process.h"
#include "lib/types.h"

/* clang-format off */
#define SYSCALLS(X) \
	X(accept) \
	X(accept4) \
	X(adjtimex) \
	X(bind) \
	X(brk) \
	X(chdir) \
	X(chroot) \
	X(clock_adjtime) \
	X(clock_getres) \
	X(clock_gettime) \
	X(clock_nanosleep) \
	X(clock_settime) \
	X(clone) \
	X(close) \
	X(close_range) \
	X(connect) \
	X(copy_file_range) \
	X(dup) \
	X(dup3) \
	X(epoll_create1) \
	X(epoll_ctl) \
	X(epoll_pwait) \
	X(epoll_pwait2) \
	X(eventfd2) \
	X(execve) \
	X(execveat) \
	X(exit) \
	X(exit_group) \
	X(faccessat) \
	X(faccessat2) \
	X(fadvise64) \
	X(fallocate) \
	X(fchdir) \
	X(fchmod) \
	X(fchmodat) \
	X(fchown) \
	X(fchownat) \
	X(fcntl) \
	X(fdatasync) \
	X(flock) \
	X(fstat) \
	X(fstatfs) \
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
	X(getitimer) \
	X(getpeername) \
	X(getpgid) \
	X(getpid) \
	X(getppid) \
	X(getpriority) \
	X(getrandom) \
	X(getresgid) \
	X(getresuid) \
	X(getrusage) \
	X(getsid) \
	X(getsockname) \
	X(getsockopt) \
	X(gettid) \
	X(gettimeofday) \
	X(getuid) \
	X(ioctl) \
	X(kill) \
	X(linkat) \
	X(listen) \
	X(lseek) \
	X(madvise) \
	X(memfd_create) \
	X(mincore) \
	X(mkdirat) \
	X(mknodat) \
	X(mlock) \
	X(mlock2) \
	X(mlockall) \
	X(mmap) \
	X(mount) \
	X(mprotect) \
	X(mremap) \
	X(msync) \
	X(munlock) \
	X(munlockall) \
	X(munmap) \
	X(nanosleep) \
	X(newfstatat) \
	X(openat) \
	X(personality) \
	X(pipe2) \
	X(ppoll) \
	X(prctl) \
	X(pread64) \
	X(preadv) \
	X(preadv2) \
	X(prlimit64) \
	X(pselect6) \
	X(pwrite64) \
	X(pwritev) \
	X(pwritev2) \
	X(read) \
	X(readahead) \
	X(readlinkat) \
	X(readv) \
	X(reboot) \
	X(recvfrom) \
	X(recvmsg) \
	X(renameat) \
	X(renameat2) \
	X(restart_syscall) \
	X(rt_sigaction) \
	X(rt_sigpending) \
	X(rt_sigprocmask) \
	X(rt_sigqueueinfo) \
	X(rt_sigreturn) \
	X(rt_sigsuspend) \
	X(rt_sigtimedwait) \
	X(rt_tgsigqueueinfo) \
	X(sched_get_priority_max) \
	X(sched_get_priority_min) \
	X(sched_getaffinity) \
	X(sched_getparam) \
	X(sched_getscheduler) \
	X(sched_rr_get_interval) \
	X(sched_setaffinity) \
	X(sched_setparam) \
	X(sched_setscheduler) \
	X(sched_yield) \
	X(sendfile) \
	X(sendmmsg) \
	X(sendmsg) \
	X(sendto) \
	X(set_robust_list) \
	X(set_tid_address) \
	X(setdomainname) \
	X(setfsgid) \
	X(setfsuid) \
	X(setgid) \
	X(setgroups) \
	X(sethostname) \
	X(setitimer) \
	X(setpgid) \
	X(setpriority) \
	X(setregid) \
	X(setresgid) \
	X(setresuid) \
	X(setreuid) \
	X(setsid) \
	X(setsockopt) \
	X(settimeofday) \
	X(setuid) \
	X(shutdown) \
	X(sigaltstack) \
	X(socket) \
	X(socketpair) \
	X(statfs) \
	X(statx) \
	X(symlinkat) \
	X(sync) \
	X(syncfs) \
	X(sysinfo) \
	X(syslog) \
	X(tgkill) \
	X(timer_create) \
	X(timer_delete) \
	X(timer_getoverrun) \
	X(timer_gettime) \
	X(timer_settime) \
	X(timerfd_create) \
	X(timerfd_gettime) \
	X(timerfd_settime) \
	X(times) \
	X(tkill) \
	X(truncate) \
	X(umask) \
	X(umount2) \
	X(uname) \
	X(unlinkat) \
	X(utimensat) \
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

/* The same, but for a part of this call only, in which the caller neither closes nor replaces a descriptor. Who is the only
 * thread with these descriptors takes no reference: its table's keeps the file, and nobody else can change the table
 * (I-FD-2). file NULL: -EBADF, and nothing to be returned. */
struct borrowed {
	struct file *file;
	int fd;
	bool counted;
};

/* Is the current thread the only one with its descriptors? Then it is until it makes another itself: a thread of its process
 * is made by one of it, another process shares the table only by its clone(), and who looks at its files from outside
 * (/proc/PID/fd) has a reference to the table and changes nothing. The acquire is for what threads that have left did to the
 * table: pairs with the release in signal_thread_leave(). */
static inline bool fds_alone(void)
{
	const struct process *p = current_process();

	return atomic_load_acquire(&p->nr_threads) == 1 && !fdtable_is_shared(p->files);
}

static inline __must_check struct borrowed fd_borrow(uint64_t fd)
{
	struct borrowed b = { .fd = (int)(uint32_t)fd, .counted = !fds_alone() };
	struct fdtable *t = current_process()->files;

	b.file = b.counted ? fdtable_lookup(t, b.fd) : fdtable_peek(t, b.fd);
	return b;
}

static inline void fd_return(struct borrowed b)
{
	/* I-FD-2 */
	DASSERT(b.counted || fdtable_peek(current_process()->files, b.fd) == b.file);
	if (b.counted)
		file_put(b.file);
}

/* Descriptor numbers end below it. */
uint64_t fd_limit(void);

#define TRANSFER_MAX 0x7ffff000UL
/* The caller's array of segments, checked; what is more than TRANSFER_MAX in all is left out. 0, -EFAULT, -EINVAL. */
int64_t segments_from_user(vaddr_t from, uint64_t count, struct io_segment *seg) __must_check;

/* Give the caller f at the lowest free descriptor >= min; its reference moves or is dropped. fd or -errno. */
int64_t fd_install(struct file *f, int min, bool cloexec) __must_check;
/* Both, and their numbers to the user at `at`; the references are used up either way. 0, or -errno and neither. */
int64_t fd_install_two(struct file *end[2], bool cloexec, vaddr_t at) __must_check;

/* A descriptor table of the process's own, in place of one it shares. 0 or -ENOMEM. */
int process_own_files(struct process *p) __must_check;

/* May the caller make a file that large (RLIMIT_FSIZE)? 0 or -EFBIG, with SIGXFSZ. */
int64_t check_new_size(uint64_t size) __must_check;

/* fcntl's F_GETLK and its like. */
int64_t fcntl_lock(struct file *f, uint64_t fd, unsigned cmd, vaddr_t arg) __must_check;

/* A path of the caller's and the directory it starts from. */
struct where {
	const char *path;
	struct file *file;  /* of the descriptor, with a reference; NULL: not used */
	struct dentry *dir; /* NULL: the working directory, or the file has no name */
	unsigned how;	    /* VFS_FOLLOW, VFS_EMPTY */
	char *buf;	    /* for a path that is longer than near has room for; NULL: none */
	char near[120];
};
/* at_flags: AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH count, checked by the caller. 0, -EFAULT, -EBADF, -ENOTDIR,
 * -ENAMETOOLONG, -ENOMEM. */
int where_get(struct where *w, uint64_t dirfd, vaddr_t path, uint64_t at_flags) __must_check;
void where_put(struct where *w);

/* Write the ABI's struct stat. 0 or -EFAULT. */
int64_t stat_to_user(const struct kstat *k, vaddr_t to) __must_check;

/* A struct timespec of user memory as ns, longer ones as a very long time. 0, -EFAULT, -EINVAL. */
int time_from_user(vaddr_t from, uint64_t *ns) __must_check;
int time_to_user(vaddr_t to, uint64_t ns) __must_check;

#endif
