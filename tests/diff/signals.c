/* SPDX-License-Identifier: MIT */
/* Signals: handlers, masks, queues, information, restart, stacks, waiting for them, and who may send them. */
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ucontext.h>
#include "tests/diff/lib/diff.h"

static volatile int count, last, order[200], order_count;
/* What our children see of count, once share_count() has been called. */
static volatile int *handled;

static void share_count(void)
{
	handled = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void handler(int sig)
{
	last = sig;
	count++;
	if (handled)
		*handled = count;
	if (order_count < 200)
		order[order_count++] = sig;
}

static void on(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

static void say_info(int sig, siginfo_t *si, void *context)
{
	(void)context;
	say("%s: signo %d errno %d code %d pid %s uid %d value %d", signal_name(sig), si->si_signo,
	    si->si_errno, si->si_code, who(si->si_pid), (int)si->si_uid, si->si_value.sival_int);
}

static void on_info(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO };

	sigaction(sig, &sa, NULL);
}

static sigset_t set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	if (a)
		sigaddset(&set, a);
	if (b)
		sigaddset(&set, b);
	return set;
}

static void say_set(int line, const char *name, const sigset_t *set)
{
	char text[600] = "";

	for (int i = 1; i < 65; i++)
		if (sigismember(set, i) == 1)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s",
				 signal_name(i));
	diff_say(line, "%s:%s", name, text);
}
#define SET(set) say_set(__LINE__, #set, &(set))

CASE(handlers)
{
	on(SIGUSR1, handler, 0);
	R(raise(SIGUSR1));
	say("count %d last %s", count, signal_name(last));
	R(kill(getpid(), SIGUSR1));
	say("count %d", count);
	on(SIGUSR1, handler, SA_RESETHAND);
	R(raise(SIGUSR1));
	say("count %d", count);
	Q(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
	R(raise(SIGUSR1));
	Q(signal(SIGUSR1, SIG_DFL) == SIG_IGN);
	for (int i = 1; i < 65; i++) {
		if (i == SIGKILL || i == SIGSTOP || (i >= 32 && i <= 34))
			continue;
		on(i, handler, 0);
		raise(i);
		if (last != i)
			say("%d not delivered", i);
	}
	say("count %d", count);
}

/* As the kernel has it, with its own size of a set. */
struct kaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};

static long raw_action(int sig, const void *act, void *old, long size)
{
	return syscall(SYS_rt_sigaction, sig, act, old, size);
}

CASE(sigaction)
{
	struct kaction a = { SIG_IGN, 0, NULL, ~0UL }, old;

	R(raw_action(SIGUSR1, &a, NULL, 8));
	memset(&old, 0xff, sizeof(old));
	R(raw_action(SIGUSR1, NULL, &old, 8));
	say("handler %ld flags %lx mask %lx", (long)old.handler, old.flags, old.mask);
	R(raw_action(SIGKILL, &a, NULL, 8));
	R(raw_action(SIGSTOP, &a, NULL, 8));
	R(raw_action(SIGKILL, NULL, &old, 8));
	a.handler = SIG_DFL;
	R(raw_action(SIGKILL, &a, NULL, 8));
	R(raw_action(0, &a, NULL, 8));
	R(raw_action(65, &a, NULL, 8));
	R(raw_action(-1, &a, NULL, 8));
	R(raw_action(64, &a, NULL, 8));
	R(raw_action(32, &a, NULL, 8));
	R(raw_action(SIGUSR1, &a, NULL, 16));
	R(raw_action(SIGUSR1, &a, NULL, 4));
	R(raw_action(SIGUSR1, BAD, NULL, 8));
	R(raw_action(SIGUSR1, NULL, BAD, 8));
	a.flags = ~0UL;
	R(raw_action(SIGUSR2, &a, NULL, 8));
	R(raw_action(SIGUSR2, NULL, &old, 8));
	say("flags %lx", old.flags);
	/* what is pending and becomes ignored is gone */
	sigset_t set = set_of(SIGUSR1, 0);

	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	on(SIGUSR1, SIG_IGN, 0);
	sigpending(&set);
	SET(set);
	on(SIGUSR1, SIG_DFL, 0);
	sigpending(&set);
	SET(set);
}

CASE(masks)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2), old, pending;
	unsigned long all = ~0UL, got;

	on(SIGUSR1, handler, 0);
	on(SIGUSR2, handler, 0);
	R(sigprocmask(SIG_BLOCK, &set, &old));
	SET(old);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR1);
	say("count %d", count);
	sigpending(&pending);
	SET(pending);
	set = set_of(SIGUSR1, 0);
	R(sigprocmask(SIG_UNBLOCK, &set, &old));
	SET(old);
	say("count %d last %s", count, signal_name(last));
	sigemptyset(&set);
	R(sigprocmask(SIG_SETMASK, &set, NULL));
	say("count %d last %s", count, signal_name(last));
	R(syscall(SYS_rt_sigprocmask, 3, &set, NULL, 8));
	R(syscall(SYS_rt_sigprocmask, -1, NULL, &got, 8));
	R(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, 4));
	R(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, 128));
	R(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, 8));
	R(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, 8, 8));
	R(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, 8));
	R(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &got, 8));
	say("mask %lx", got);
	R(syscall(SYS_rt_sigpending, &got, 4));
	R(syscall(SYS_rt_sigpending, &got, 9));
	R(syscall(SYS_rt_sigpending, 8, 8));
}

CASE(handler_masks)
{
	struct sigaction sa = { .sa_handler = handler };
	sigset_t now;

	sigaddset(&sa.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &sa, NULL);
	on(SIGUSR2, handler, 0);
	raise(SIGUSR1);
	sigprocmask(0, NULL, &now);
	SET(now);
}

static void mask_inside(int sig)
{
	sigset_t now;

	sigprocmask(0, NULL, &now);
	SET(now);
	if (sig == SIGUSR1 && count++ == 0) {
		raise(SIGUSR1);
		raise(SIGUSR2);
		say("inside still");
	}
}

CASE(nested)
{
	struct sigaction sa = { .sa_handler = mask_inside };

	sigaddset(&sa.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &sa, NULL);
	on(SIGUSR2, mask_inside, SA_NODEFER);
	raise(SIGUSR1);
	say("again with SA_NODEFER");
	count = 0;
	sa.sa_flags = SA_NODEFER;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
}

/* Of several pending ones: synchronous first, then by number, the real-time ones in order. */
CASE(delivery_order)
{
	static const int all[] = { 40, SIGTERM, 36, SIGHUP, 40, SIGUSR1, 64, SIGSEGV, SIGHUP, 36 };
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		/* one at a time: the others are masked in a handler */
		struct sigaction sa = { .sa_handler = handler };

		sigfillset(&sa.sa_mask);
		sigaction(all[i], &sa, NULL);
		raise(all[i]);
	}
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	for (int i = 0; i < order_count; i++)
		say("%s", signal_name(order[i]));
}

CASE(info)
{
	union sigval v = { .sival_int = 1234 };
	struct itimerval it = { { 0, 0 }, { 0, 1000 } };
	pid_t pid;

	on_info(SIGUSR1, say_info, 0);
	on_info(SIGALRM, say_info, 0);
	on_info(SIGCHLD, say_info, 0);
	on_info(40, say_info, 0);
	kill(getpid(), SIGUSR1);
	raise(SIGUSR1);
	sigqueue(getpid(), SIGUSR1, v);
	sigqueue(getpid(), 40, v);
	sigset_t set = set_of(SIGUSR1, 40);

	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	siginfo_t si;

	say_info(sigwaitinfo(&set, &si), &si, NULL);
	pid = fork();
	if (pid == 0) {
		kill(getppid(), SIGUSR1);
		sigqueue(getppid(), 40, v);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 3; i++)
		say_info(sigwaitinfo(&set, &si), &si, NULL);
}

static void say_child(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)context;
	say("code %d status %d", si->si_code, si->si_status);
	count++;
}

static void until_count(int n)
{
	AWAIT(count >= n);
}

CASE(sigchld)
{
	pid_t pid;

	on_info(SIGCHLD, say_child, SA_RESTART);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	setpgid(pid, pid);
	kill(pid, SIGSTOP);
	until_count(1);
	kill(pid, SIGCONT);
	until_count(2);
	kill(pid, SIGTERM);
	until_count(3);
	REAP(pid);
	pid = fork();
	if (pid == 0)
		_exit(33);
	until_count(4);
	REAP(pid);
	on_info(SIGCHLD, say_child, SA_NOCLDSTOP);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	setpgid(pid, pid);
	kill(pid, SIGSTOP);
	while (waitpid(pid, NULL, WUNTRACED) < 0)
		;
	kill(pid, SIGCONT);
	kill(pid, SIGKILL);
	until_count(5);
	REAP(pid);
}

CASE(queues)
{
	sigset_t set = set_of(SIGUSR1, 40), pending;
	union sigval v;

	sigprocmask(SIG_BLOCK, &set, NULL);
	on_info(SIGUSR1, say_info, 0);
	on_info(40, say_info, 0);
	for (int i = 0; i < 3; i++) {
		v.sival_int = i;
		R(sigqueue(getpid(), SIGUSR1, v));
		R(sigqueue(getpid(), 40, v));
	}
	sigpending(&pending);
	SET(pending);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigpending(&pending);
	SET(pending);
}

CASE(queue_limit)
{
	sigset_t set = set_of(40, 0);
	struct rlimit r;
	rlim_t n = 0;

	R(getrlimit(RLIMIT_SIGPENDING, &r));
	Q(r.rlim_cur == r.rlim_max && r.rlim_cur > 50 && r.rlim_cur < 100000);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (n < 1000000 && sigqueue(getpid(), 40, (union sigval){ 0 }) == 0)
		n++;
	/* Linux counts those of the same user's other processes too */
	Q(n <= r.rlim_cur && n + 20 > r.rlim_cur);
	R(sigqueue(getpid(), 40, (union sigval){ 0 }));
	R(kill(getpid(), 40));
}

CASE(waits_for_signals)
{
	struct timespec none = { 0, 0 }, little = { 0, 20000000 }, bad = { 0, 1000000000 };
	sigset_t set = set_of(SIGUSR1, 40);
	union sigval v = { .sival_int = 7 };
	siginfo_t si;

	sigprocmask(SIG_BLOCK, &set, NULL);
	R(sigtimedwait(&set, &si, &none));
	R(sigtimedwait(&set, &si, &little));
	R(sigtimedwait(&set, &si, &bad));
	bad.tv_nsec = -1;
	R(sigtimedwait(&set, &si, &bad));
	raise(SIGUSR1);
	sigqueue(getpid(), 40, v);
	R(sigtimedwait(&set, &si, &none));
	say_info(si.si_signo, &si, NULL);
	R(sigwaitinfo(&set, &si));
	say_info(si.si_signo, &si, NULL);
	R(sigtimedwait(&set, NULL, &none));
	if (fork() == 0) {
		until_asleep(getppid());
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	R(sigwaitinfo(&set, &si));
	wait(NULL);
	on(SIGUSR2, handler, SA_RESTART);
	if (fork() == 0) {
		until_asleep(getppid());
		kill(getppid(), SIGUSR2);
		_exit(0);
	}
	/* the library would try again */
	R(syscall(SYS_rt_sigtimedwait, &set, &si, NULL, 8));
	say("count %d", count);
	wait(NULL);
	R(syscall(SYS_rt_sigtimedwait, &set, NULL, &none, 4));
	R(syscall(SYS_rt_sigtimedwait, 8, NULL, &none, 8));
	R(syscall(SYS_rt_sigtimedwait, &set, NULL, 8, 8));
	raise(SIGUSR1);
	R(syscall(SYS_rt_sigtimedwait, &set, 8, &none, 8));
	R(syscall(SYS_rt_sigtimedwait, &set, NULL, &none, 8));
}

CASE(suspend)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2), one = set_of(SIGUSR2, 0), now;

	on(SIGUSR1, mask_inside, SA_RESTART);
	count = 1;
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	raise(SIGUSR1);
	R(sigsuspend(&one));
	sigprocmask(0, NULL, &now);
	SET(now);
	sigpending(&now);
	SET(now);
	R(syscall(SYS_rt_sigsuspend, &one, 4));
	R(syscall(SYS_rt_sigsuspend, 8, 8));
	if (fork() == 0) {
		until_asleep(getppid());
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	R(sigsuspend(&one));
	wait(NULL);
}

/* ---- interrupted calls, with and without SA_RESTART */

static void poke_parent(int sig)
{
	if (fork() == 0) {
		until_asleep(getppid());
		kill(getppid(), sig);
		_exit(0);
	}
}

/* Send it, and see the parent asleep again behind its handler; or, if it has none, all the while. */
static void interrupt_parent(int sig)
{
	int before = handled ? *handled : 0;

	until_asleep(getppid());
	kill(getppid(), sig);
	if (handled)
		AWAIT(*handled != before);
	else
		/* in which what is ignored could wake it */
		let_pass(50);
	until_asleep(getppid());
}

static void ends_by_write(int fd, int sig)
{
	if (fork() == 0) {
		interrupt_parent(sig);
		if (write(fd, "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
}

static void reap_all(void)
{
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

CASE(restarts)
{
	static const int flags[] = { 0, SA_RESTART };
	struct timespec t = { 1000, 0 }, rest;
	struct timeval tv = { 1000, 0 };
	char c;
	int p[2], e;

	share_count();
	pipe(p);
	for (int i = 0; i < 2; i++) {
		say("with flags %x", flags[i]);
		on(SIGUSR1, handler, flags[i]);
		ends_by_write(p[1], SIGUSR1);
		R(read(p[0], &c, 1));
		reap_all();
		if (!i)
			R(read(p[0], &c, 1));
		ends_by_write(p[1], SIGUSR1);
		struct iovec iov = { &c, 1 };

		R(readv(p[0], &iov, 1));
		reap_all();
		if (!i)
			R(read(p[0], &c, 1));
		struct pollfd f = { p[0], POLLIN, 0 };

		poke_parent(SIGUSR1);
		R(poll(&f, 1, 1000000));
		reap_all();
		fd_set set;

		FD_ZERO(&set);
		FD_SET(p[0], &set);
		poke_parent(SIGUSR1);
		R(select(p[0] + 1, &set, NULL, NULL, &tv));
		reap_all();
		e = epoll_create1(EPOLL_CLOEXEC);
		struct epoll_event ev = { .events = EPOLLIN };

		R(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev));
		poke_parent(SIGUSR1);
		R(epoll_wait(e, &ev, 1, 1000000));
		reap_all();
		close(e);
		poke_parent(SIGUSR1);
		R(nanosleep(&t, &rest));
		Q(rest.tv_sec > 0 && rest.tv_sec < 1000);
		reap_all();
		poke_parent(SIGUSR1);
		R(pause());
		reap_all();
	}
	say("count %d", count);
}

CASE(restart_wait)
{
	pid_t pid;
	int status;

	share_count();
	for (int i = 0; i < 2; i++) {
		on(SIGUSR1, handler, i ? SA_RESTART : 0);
		pid = fork();
		if (pid == 0) {
			interrupt_parent(SIGUSR1);
			_exit(3);
		}
		Q(waitpid(pid, &status, 0) == pid);
		if (!i)
			Q(waitpid(pid, &status, 0) == pid);
		STATUS(status);
	}
	say("count %d", count);
}

/* What is ignored, and a stop and continue, interrupt nothing. */
CASE(no_interruption)
{
	int p[2];
	char c;
	pid_t me = getpid();

	pipe(p);
	on(SIGUSR1, SIG_IGN, 0);
	ends_by_write(p[1], SIGUSR1);
	R(read(p[0], &c, 1));
	reap_all();
	ends_by_write(p[1], SIGCHLD);
	R(read(p[0], &c, 1));
	reap_all();
	ends_by_write(p[1], SIGWINCH);
	R(read(p[0], &c, 1));
	reap_all();
	/* our group is an orphan's: SIGSTOP stops it all the same */
	if (fork() == 0) {
		until_asleep(me);
		kill(me, SIGSTOP);
		until_asleep(me);
		kill(me, SIGCONT);
		/* in which the call could end without the byte */
		let_pass(20);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
	R(read(p[0], &c, 1));
	reap_all();
}

CASE(stop_and_poll)
{
	struct timespec t = { 0, 200000000 };
	struct pollfd f = { 0 };
	pid_t me = getpid();
	int64_t begin = now_ns(CLOCK_MONOTONIC);

	if (fork() == 0) {
		until_asleep(me);
		kill(me, SIGSTOP);
		AWAIT(state_of(me) == 'T');
		kill(me, SIGCONT);
		_exit(0);
	}
	R(nanosleep(&t, NULL));
	Q(now_ns(CLOCK_MONOTONIC) - begin >= 200000000);
	reap_all();
	if (fork() == 0) {
		until_asleep(me);
		kill(me, SIGSTOP);
		AWAIT(state_of(me) == 'T');
		kill(me, SIGCONT);
		_exit(0);
	}
	R(poll(&f, 0, 200));
	reap_all();
}

CASE(orphan_stop)
{
	/* the case leads a session: an orphaned group does not stop for the terminal's signals */
	R(raise(SIGTSTP));
	R(raise(SIGTTIN));
	R(raise(SIGTTOU));
	say("still here");
}

CASE(continue_clears)
{
	sigset_t set = set_of(SIGTSTP, SIGCONT), pending;

	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGTSTP);
	sigpending(&pending);
	SET(pending);
	raise(SIGCONT);
	sigpending(&pending);
	SET(pending);
	raise(SIGTSTP);
	sigpending(&pending);
	SET(pending);
}

CASE(mask_in_ppoll)
{
	sigset_t set = set_of(SIGUSR1, 0), none, now;
	struct timespec t = { 1, 0 };

	sigemptyset(&none);
	on(SIGUSR1, mask_inside, 0);
	count = 1;
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	R(ppoll(NULL, 0, &t, &none));
	sigprocmask(0, NULL, &now);
	SET(now);
	raise(SIGUSR1);
	R(pselect(0, NULL, NULL, NULL, &t, &none));
	raise(SIGUSR1);
	t = (struct timespec){ 0, 0 };
	/* nothing to wait for: the mask was never needed */
	R(ppoll(NULL, 0, &t, &none));
	sigpending(&now);
	SET(now);
	R(syscall(SYS_ppoll, NULL, 0, &t, &none, 4));
}

/* ---- stacks and frames */

static char *alt;

static void where(int sig)
{
	stack_t now;
	char here;

	(void)sig;
	Q(&here >= alt && &here < alt + 16384);
	sigaltstack(NULL, &now);
	say("flags %d", now.ss_flags);
	R(sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL));
}

CASE(stacks)
{
	stack_t s = { 0 }, old;

	alt = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	R(sigaltstack(NULL, &old));
	say("flags %d size %zu", old.ss_flags, old.ss_size);
	s.ss_sp = alt;
	s.ss_size = 16384;
	R(sigaltstack(&s, NULL));
	R(sigaltstack(NULL, &old));
	Q(old.ss_sp == alt && old.ss_size == 16384 && old.ss_flags == 0);
	s.ss_size = 100;
	R(sigaltstack(&s, NULL));
	s.ss_size = 5119;
	R(syscall(SYS_sigaltstack, &s, NULL));
	s.ss_size = 5120;
	R(syscall(SYS_sigaltstack, &s, NULL));
	s.ss_flags = 5;
	R(syscall(SYS_sigaltstack, &s, NULL));
	R(syscall(SYS_sigaltstack, 8, NULL));
	R(syscall(SYS_sigaltstack, NULL, 8));
	s = (stack_t){ .ss_sp = alt, .ss_size = 16384 };
	R(sigaltstack(&s, NULL));
	on(SIGUSR1, where, SA_ONSTACK);
	raise(SIGUSR1);
	on(SIGUSR1, where, 0);
	raise(SIGUSR1);
	if (fork() == 0) {
		R(sigaltstack(NULL, &old));
		Q(old.ss_flags == SS_DISABLE);
		_exit(0);
	}
	wait(NULL);
}

static sigjmp_buf back;

static void jump(int sig, siginfo_t *si, void *context)
{
	ucontext_t *u = context;

	say("%s code %d at %s", signal_name(sig), si->si_code,
	    sig != SIGSEGV && sig != SIGBUS ? "-"
	    : (uintptr_t)si->si_addr == 8   ? "8"
	    : si->si_addr		    ? "some address"
					    : "0");
	Q(u->uc_mcontext.pc != 0 && u->uc_mcontext.sp != 0);
	siglongjmp(back, 1);
}

static volatile char sink;

CASE(faults)
{
	char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *file;
	int fd = open("f", O_RDWR | O_CREAT, 0600);

	on_info(SIGSEGV, jump, SA_ONSTACK);
	on_info(SIGBUS, jump, 0);
	on_info(SIGILL, jump, 0);
	on_info(SIGTRAP, jump, 0);
	if (!sigsetjmp(back, 1))
		sink = *(volatile char *)BAD;
	if (!sigsetjmp(back, 1))
		*(volatile char *)BAD = 1;
	if (!sigsetjmp(back, 1))
		*(volatile char *)p = 1;
	mprotect(p, 4096, PROT_NONE);
	if (!sigsetjmp(back, 1))
		sink = *(volatile char *)p;
	if (!sigsetjmp(back, 1))
		sink = *(volatile char *)0xffff000000001000;
	if (!sigsetjmp(back, 1))
		sink = *(volatile char *)0x00f0000000001000;
	if (!sigsetjmp(back, 1))
		((void (*)(void))BAD)();
	if (!sigsetjmp(back, 1))
		((void (*)(void))p)();
	if (!sigsetjmp(back, 1))
		__asm__ volatile(".inst 0");
	if (!sigsetjmp(back, 1))
		__asm__ volatile("brk #7");
	if (!sigsetjmp(back, 1))
		__asm__ volatile("mrs x0, sctlr_el1" ::: "x0");
	if (!sigsetjmp(back, 1))
		__asm__ volatile("hvc #0" ::: "x0", "x1", "x2", "x3");
	file = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	if (!sigsetjmp(back, 1))
		sink = *(volatile char *)file;
	if (!sigsetjmp(back, 1))
		__asm__ volatile(
			"mov x1, sp\n add x2, sp, #8\n mov sp, x2\n ldr x0, [sp]\n mov sp, x1" ::
				: "x0", "x1", "x2", "memory");
	if (!sigsetjmp(back, 1))
		((void (*)(void))((uintptr_t)jump + 2))();
	say("done");
}

/* A fault whose signal is blocked or ignored kills. */
CASE(fault_blocked)
{
	sigset_t set = set_of(SIGSEGV, 0);
	int status;

	if (fork() == 0) {
		on(SIGSEGV, handler, 0);
		sigprocmask(SIG_BLOCK, &set, NULL);
		sink = *(volatile char *)BAD;
		_exit(0);
	}
	wait(&status);
	STATUS(status);
	if (fork() == 0) {
		on(SIGSEGV, SIG_IGN, 0);
		sink = *(volatile char *)BAD;
		_exit(0);
	}
	wait(&status);
	STATUS(status);
	/* no room for the frame */
	if (fork() == 0) {
		on(SIGUSR1, handler, 0);
		__asm__ volatile("mov x0, #16\n mov sp, x0\n"
				 "mov x8, #172\n svc #0\n mov x1, #10\n mov x8, #129\n svc #0\n"
				 "mov x0, #5\n mov x8, #94\n svc #0" ::
					 : "x0", "x1", "x8");
		_exit(0);
	}
	wait(&status);
	STATUS(status);
}

static void edit(int sig, siginfo_t *si, void *context)
{
	ucontext_t *u = context;
	struct {
		uint32_t magic, size;
	} *head = (void *)u->uc_mcontext.__reserved;
	sigset_t *mask = &u->uc_sigmask;

	(void)sig;
	(void)si;
	Q(((uintptr_t)u & 15) == 0);
	Q(((uintptr_t)si & 15) == 0);
	say("magic %x size %x", head->magic, head->size);
	Q(u->uc_link == NULL);
	say("flags %lx", (long)u->uc_flags);
	say("stack flags %d", u->uc_stack.ss_flags);
	sigaddset(mask, SIGHUP);
	u->uc_mcontext.regs[19] = 77;
}

CASE(contexts)
{
	register long x19 __asm__("x19") = 1;
	sigset_t now;
	pid_t me = getpid();

	on_info(SIGUSR1, edit, 0);
	register long x0 __asm__("x0") = me;
	register long x1 __asm__("x1") = SIGUSR1;
	register long x8 __asm__("x8") = SYS_kill;
	__asm__ volatile("svc #0" : "+r"(x0), "+r"(x19) : "r"(x1), "r"(x8) : "memory");
	say("x19 %ld result %ld", x19, x0);
	sigprocmask(0, NULL, &now);
	SET(now);
}

static void privileged(int sig, siginfo_t *si, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	(void)si;
	u->uc_mcontext.pstate |= 5;
}

static void bad_frame(int sig, siginfo_t *si, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	(void)si;
	*(unsigned char *)u->uc_mcontext.__reserved ^= 0xff;
}

static void flags_set(int sig, siginfo_t *si, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	(void)si;
	u->uc_mcontext.pstate |= 0xf0000000;
}

CASE(bad_contexts)
{
	pid_t pid = fork();

	if (pid == 0) {
		on_info(SIGUSR1, privileged, 0);
		raise(SIGUSR1);
		_exit(1);
	}
	REAP(pid);
	pid = fork();
	if (pid == 0) {
		on_info(SIGUSR1, bad_frame, 0);
		raise(SIGUSR1);
		_exit(1);
	}
	REAP(pid);
	pid = fork();
	if (pid == 0) {
		on_info(SIGUSR1, flags_set, 0);
		raise(SIGUSR1);
		_exit(1);
	}
	REAP(pid);
	pid = fork();
	if (pid == 0) {
		syscall(SYS_rt_sigreturn);
		_exit(1);
	}
	REAP(pid);
}

static void say_mask(int sig, siginfo_t *si, void *context)
{
	ucontext_t *u = context;
	sigset_t now;

	(void)si;
	say("handler of %s", signal_name(sig));
	SET(u->uc_sigmask);
	sigprocmask(0, NULL, &now);
	SET(now);
	_exit(0);
}

/* A call with a stack pointer where no frame can be written; the handler of the fault that makes has a stack of its own. */
static void call_without_stack(long nr, long a, long b)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;

	__asm__ volatile("mov x19, sp\n mov sp, %3\n svc #0\n mov sp, x19"
			 : "+r"(x0)
			 : "r"(x1), "r"(x8), "r"(16L)
			 : "x19", "memory");
}

/* A handler that cannot be entered blocks nothing: the fault of that has the mask of before. */
CASE(no_room_for_a_frame)
{
	stack_t other = { .ss_size = 32768 };
	struct sigaction sa = { .sa_handler = handler };
	sigset_t none = set_of(SIGUSR2, 0);
	pid_t pid;

	other.ss_sp = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	R(sigaltstack(&other, NULL));
	on_info(SIGSEGV, say_mask, SA_ONSTACK);
	sa.sa_mask = set_of(SIGHUP, 0);
	sigaction(SIGUSR1, &sa, NULL);
	pid = fork();
	if (pid == 0)
		call_without_stack(SYS_kill, getpid(), SIGUSR1);
	REAP(pid);
	/* it would block the fault's signal */
	sa.sa_mask = set_of(SIGSEGV, 0);
	sigaction(SIGUSR1, &sa, NULL);
	pid = fork();
	if (pid == 0)
		call_without_stack(SYS_kill, getpid(), SIGUSR1);
	REAP(pid);
	/* the mask of before is not that of the call */
	pid = fork();
	if (pid == 0) {
		sigset_t blocked = set_of(SIGUSR1, SIGHUP);

		sigprocmask(SIG_BLOCK, &blocked, NULL);
		raise(SIGUSR1);
		call_without_stack(SYS_rt_sigsuspend, (long)&none, 8);
	}
	REAP(pid);
	/* nor can the fault's */
	on_info(SIGSEGV, say_mask, 0);
	pid = fork();
	if (pid == 0)
		call_without_stack(SYS_kill, getpid(), SIGUSR1);
	REAP(pid);
}

static void clobber(int sig)
{
	(void)sig;
	count++;
	__asm__ volatile(
		"movi v8.16b, #255\n movi v0.16b, #255\n movi v31.16b, #255\n msr fpsr, xzr" ::
			: "v0", "v8", "v31");
}

CASE(vector_registers)
{
	uint64_t a = 1, b = 2, c = 3;
	long x0 = getpid();

	on(SIGUSR1, clobber, 0);
	__asm__ volatile("fmov d0, %1\n fmov d8, %2\n fmov d31, %3\n mov x0, %0\n mov x1, #10\n"
			 "mov x8, #129\n svc #0\n fmov %1, d0\n fmov %2, d8\n fmov %3, d31\n"
			 : "+r"(x0), "+r"(a), "+r"(b), "+r"(c)
			 :
			 : "x0", "x1", "x8", "v0", "v8", "v31", "memory");
	say("%lu %lu %lu, count %d", a, b, c, count);
}

/* ---- sending */

CASE(permission)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	R(kill(1 << 21, 0));
	R(kill(pid, 65));
	R(kill(pid, -1));
	R(kill(pid, 0));
	R(kill(-(1 << 21), SIGTERM));
	R(kill(INT32_MIN, SIGTERM));
	R(syscall(SYS_tkill, pid, 0));
	R(syscall(SYS_tkill, 0, 0));
	R(syscall(SYS_tkill, -1, 0));
	R(syscall(SYS_tgkill, pid, pid, 0));
	R(syscall(SYS_tgkill, getpid(), pid, 0));
	R(syscall(SYS_tgkill, 0, pid, 0));
	R(syscall(SYS_tgkill, pid, pid, 65));
	if (fork() == 0) {
		R(setgid(1000));
		R(setuid(1000));
		R(kill(pid, 0));
		R(kill(pid, SIGTERM));
		R(kill(1, 0));
		R(kill(pid, SIGCONT));
		R(syscall(SYS_tkill, pid, SIGTERM));
		R(kill(0, 0));
		_exit(0);
	}
	wait(NULL);
	R(kill(pid, SIGKILL));
	REAP(pid);
}

CASE(queueinfo)
{
	siginfo_t si;
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	memset(&si, 0, sizeof(si));
	si.si_code = SI_QUEUE;
	R(syscall(SYS_rt_sigqueueinfo, pid, 0, &si));
	si.si_code = SI_USER;
	R(syscall(SYS_rt_sigqueueinfo, pid, 0, &si));
	R(syscall(SYS_rt_sigqueueinfo, getpid(), 0, &si));
	si.si_code = SI_TKILL;
	R(syscall(SYS_rt_sigqueueinfo, pid, 0, &si));
	R(syscall(SYS_rt_sigqueueinfo, pid, SIGTERM, 8));
	R(syscall(SYS_rt_sigqueueinfo, pid, 65, &si));
	kill(pid, SIGKILL);
	REAP(pid);
}

CASE(to_groups)
{
	pid_t a, b, leader;

	on(SIGUSR1, handler, 0);
	leader = fork();
	if (leader == 0) {
		setpgid(0, 0);
		a = fork();
		if (a == 0)
			for (;;)
				pause();
		on(SIGUSR2, SIG_IGN, 0);
		b = fork();
		if (b == 0)
			for (;;)
				pause();
		R(kill(0, SIGUSR2));
		REAP(a);
		R(kill(-getpgrp(), SIGTERM));
		_exit(0);
	}
	REAP(leader);
	say("count %d", count);
}

CASE(alarms)
{
	struct itimerval it, old;

	on(SIGALRM, handler, 0);
	on(SIGVTALRM, handler, 0);
	on(SIGPROF, handler, 0);
	R(alarm(1000));
	R(alarm(0) > 900);
	R(alarm(0));
	it = (struct itimerval){ { 0, 2000 }, { 0, 2000 } };
	R(setitimer(ITIMER_REAL, &it, &old));
	say("%ld.%ld %ld.%ld", (long)old.it_interval.tv_sec, (long)old.it_interval.tv_usec,
	    (long)old.it_value.tv_sec, (long)old.it_value.tv_usec);
	while (count < 3)
		pause();
	it = (struct itimerval){ { 0, 0 }, { 0, 0 } };
	R(setitimer(ITIMER_REAL, &it, &old));
	say("%ld.%ld", (long)old.it_interval.tv_sec, (long)old.it_interval.tv_usec);
	R(getitimer(ITIMER_REAL, &old));
	say("%ld.%ld", (long)old.it_value.tv_sec, (long)old.it_value.tv_usec);
	count = 0;
	it.it_value.tv_usec = 5000;
	R(setitimer(ITIMER_VIRTUAL, &it, NULL));
	while (!count)
		;
	say("last %s", signal_name(last));
	R(setitimer(ITIMER_PROF, &it, NULL));
	while (count < 2)
		;
	say("last %s", signal_name(last));
	R(setitimer(3, &it, NULL));
	R(getitimer(-1, &it));
	it.it_value.tv_usec = 1000000;
	R(setitimer(ITIMER_REAL, &it, NULL));
	it.it_value.tv_usec = -1;
	R(setitimer(ITIMER_REAL, &it, NULL));
	R(syscall(SYS_setitimer, ITIMER_REAL, 8, NULL));
	R(syscall(SYS_getitimer, ITIMER_REAL, 8));
	/* not inherited by fork */
	R(alarm(1000));
	if (fork() == 0) {
		R(alarm(0));
		_exit(0);
	}
	wait(NULL);
	R(alarm(0) > 900);
}

static void compute_ms(int ms)
{
	clock_t end = clock() + ms * 1000;

	while (clock() < end)
		for (volatile int i = 0; i < 20000; i++)
			;
}

static void count_info(int sig, siginfo_t *si, void *context)
{
	if (!count++)
		say_info(sig, si, context);
}

CASE(cpu_timers)
{
	struct itimerval it = { { 0, 8000 }, { 0, 200000 } }, off = { { 0, 0 }, { 0, 0 } }, old;
	char zeros[1 << 16];
	int zero = open("/dev/zero", O_RDONLY);

	on_info(SIGVTALRM, count_info, 0);
	on_info(SIGPROF, count_info, 0);
	R(setitimer(ITIMER_VIRTUAL, &it, &old));
	Q(!timerisset(&old.it_value) && !timerisset(&old.it_interval));
	/* a sleep does not make it run */
	let_pass(250);
	Q(count == 0);
	while (count < 3)
		compute_ms(1);
	R(getitimer(ITIMER_VIRTUAL, &old));
	Q(old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 12000);
	say("%ld.%ld", (long)old.it_interval.tv_sec, (long)old.it_interval.tv_usec);
	R(setitimer(ITIMER_VIRTUAL, &off, &old));
	count = 0;
	compute_ms(30);
	R(count);
	R(setitimer(ITIMER_PROF, &it, NULL));
	/* sleep, which none of these timers counts */
	let_pass(250);
	Q(count == 0);
	while (count < 3)
		read(zero, zeros, sizeof(zeros));
	R(setitimer(ITIMER_PROF, &off, &old));
	/* once; the other kind is on its own; none is the child's */
	count = 0;
	it = (struct itimerval){ { 0, 0 }, { 0, 300000 } };
	R(setitimer(ITIMER_PROF, &it, NULL));
	R(getitimer(ITIMER_VIRTUAL, &old));
	Q(!timerisset(&old.it_value));
	if (fork() == 0) {
		R(getitimer(ITIMER_PROF, &old));
		Q(!timerisset(&old.it_value));
		compute_ms(400);
		R(count);
		_exit(0);
	}
	wait(NULL);
	while (!count)
		compute_ms(1);
	compute_ms(50);
	R(count);
	R(getitimer(ITIMER_PROF, &old));
	Q(!timerisset(&old.it_value));
	it.it_value.tv_sec = 1000;
	R(setitimer(ITIMER_PROF, &it, NULL));
	R(setitimer(ITIMER_PROF, NULL, &old));
	Q(old.it_value.tv_sec == 1000 || old.it_value.tv_sec == 999);
	R(getitimer(ITIMER_PROF, &old));
	Q(!timerisset(&old.it_value));
}

static void over(int sig)
{
	struct rlimit r;

	getrlimit(RLIMIT_CPU, &r);
	say("%s after %ld s, limit %ld %ld", signal_name(sig), (long)(clock() / 1000000),
	    (long)r.rlim_cur, (long)r.rlim_max);
}

static int run_on(void *limit)
{
	if (limit)
		setrlimit(RLIMIT_CPU, limit);
	for (;;)
		compute_ms(1000);
	return 0;
}

CASE(cpu_limit)
{
	struct rlimit r = { 1, 2 };
	pid_t pid;

	on(SIGXCPU, over, 0);
	REAP(start_child(run_on, &r));
	r = (struct rlimit){ 1, 1 };
	REAP(start_child(run_on, &r));
	/* what has been used counts, also if another says so */
	on(SIGXCPU, SIG_DFL, 0);
	pid = start_child(run_on, NULL);
	r = (struct rlimit){ 1, 5 };
	R(syscall(SYS_prlimit64, pid, RLIMIT_CPU, &r, NULL));
	REAP(pid);
	/* a thread may pass it as well; a child begins anew */
	setrlimit(RLIMIT_CPU, &(struct rlimit){ 20, 20 });
	if (fork() == 0) {
		R(getrlimit(RLIMIT_CPU, &r));
		say("%ld %ld", (long)r.rlim_cur, (long)r.rlim_max);
		_exit(0);
	}
	wait(NULL);
}

/* Who had written some of it by then is told both. */
CASE(pipe_breaks_halfway)
{
	static char buf[200000];
	int p[2];
	pid_t pid;

	on(SIGPIPE, handler, 0);
	pipe(p);
	pid = fork();
	if (pid == 0) {
		close(p[1]);
		until_asleep(getppid());
		_exit(0);
	}
	close(p[0]);
	R(write(p[1], buf, sizeof(buf)));
	say("count %d", count);
	R(write(p[1], buf, 1));
	say("count %d", count);
	REAP(pid);
}

CASE(broken_pipe)
{
	int p[2];
	pid_t pid;

	pipe(p);
	close(p[0]);
	pid = fork();
	if (pid == 0) {
		R(write(p[1], "x", 1));
		_exit(0);
	}
	REAP(pid);
	on(SIGPIPE, handler, 0);
	R(write(p[1], "x", 1));
	say("count %d", count);
	on(SIGPIPE, SIG_IGN, 0);
	R(write(p[1], "x", 1));
	R(write(p[1], "", 0));
}

CASE(kill_all_states)
{
	int p[2], status;
	pid_t pid;

	pipe(p);
	for (int how = 0; how < 4; how++) {
		pid = fork();
		if (pid == 0) {
			char c;

			if (how == 0)
				for (;;)
					__asm__ volatile("");
			if (how == 1)
				R(read(p[0], &c, 1));
			if (how == 2)
				raise(SIGSTOP);
			if (how == 3) {
				sigset_t all;

				sigfillset(&all);
				sigprocmask(SIG_SETMASK, &all, NULL);
				pause();
			}
			_exit(0);
		}
		if (how)
			until_asleep(pid);
		R(kill(pid, SIGKILL));
		Q(waitpid(pid, &status, 0) == pid);
		STATUS(status);
	}
}
