/* SPDX-License-Identifier: MIT */
/* Handlers: what they are shown, what they find again, what a mask lets in and when; calls that are interrupted; queues. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

/* Of the frame's records: magic numbers, and the vector registers' in words. */
#define FP_RECORD  0x46508001U
#define ESR_RECORD 0x45535201U
#define FP_WORDS   (0x210 / 4)

static volatile int got, order[64], depth, deepest;
static volatile siginfo_t seen;
static ucontext_t *seen_uc;

static void note(int sig, siginfo_t *si, void *uc)
{
	CHECK(((uintptr_t)__builtin_frame_address(0) & 15) == 0);
	seen = *si;
	seen_uc = uc;
	order[got % 64] = sig;
	got++;
}

static void set(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | flags };

	sa.sa_sigaction = fn;
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static sigset_t mask_of(int sig)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, sig);
	return s;
}

/* --- what a handler is shown -------------------------------------------------------------------------------------- */

static void basics(void)
{
	struct sigaction sa;

	set(SIGUSR1, note, 0);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(got == 1 && seen.si_signo == SIGUSR1 && seen.si_code == SI_USER);
	CHECK(seen.si_pid == getpid() && seen.si_uid == getuid());
	CHECK(raise(SIGUSR1) == 0 && got == 2 && seen.si_code == SI_TKILL);
	set(SIGUSR1, note, SA_RESETHAND);
	CHECK(raise(SIGUSR1) == 0 && got == 3);
	CHECK(sigaction(SIGUSR1, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
	CHECK_ERRNO(sigaction(SIGKILL, &sa, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 16), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, (void *)-8L, NULL, 8), EFAULT);
	CHECK_ERRNO(kill(getpid(), 65), EINVAL);
	CHECK_ERRNO(kill(getpid(), -1), EINVAL);
	CHECK_ERRNO(kill(INT32_MIN, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), getpid() + 1000, SIGUSR1), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, 0, getpid(), SIGUSR1), EINVAL);
	CHECK_ERRNO(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
}

/* The layout that unwinders and debuggers know by heart. */
static void layout(int sig, siginfo_t *si, void *v)
{
	ucontext_t *uc = v;
	char *records = (char *)&uc->uc_mcontext + 288;
	uint32_t *r = (uint32_t *)records;
	uint64_t *record = (uint64_t *)__builtin_frame_address(0), *outer;

	CHECK((char *)uc == (char *)si + 128 && ((uintptr_t)si & 15) == 0);
	CHECK(r[0] == 0x46508001 && r[1] == 0x210);
	CHECK(r[0x210 / 4] == 0 && r[0x210 / 4 + 1] == 0);
	/* the handler's own record leads to the one that the kernel made, and that to the interrupted function's */
	outer = (uint64_t *)record[0];
	CHECK((char *)outer == (char *)si + 4688);
	CHECK(outer[0] == uc->uc_mcontext.regs[29] && outer[1] == uc->uc_mcontext.regs[30]);
	CHECK(uc->uc_mcontext.sp == (uintptr_t)outer + 16 ||
	      uc->uc_mcontext.sp == (uintptr_t)outer + 24);
	CHECK((uc->uc_mcontext.pstate & 0xf) == 0);
	note(sig, si, v);
}

static void layouts(void)
{
	set(SIGUSR1, layout, 0);
	got = 0;
	CHECK(raise(SIGUSR1) == 0 && got == 1);
}

/* --- nested handlers; all registers are found again ------------------------------------------------------------------- */

static void nested(int sig, siginfo_t *si, void *uc)
{
	double a = 1.5, b = 2.25;

	(void)si;
	(void)uc;
	depth++;
	if (depth > deepest)
		deepest = depth;
	/* spoil vector registers and FPSR */
	for (int i = 0; i < 100; i++)
		__asm__ volatile("fmul %d0, %d0, %d1" : "+w"(a) : "w"(b));
	__asm__ volatile("movi v8.2d, #0\n\tmovi v31.2d, #0\n\tmovi v0.2d, #0\n\tmsr fpsr, xzr" ::
				 : "v8", "v31", "v0");
	if (sig < SIGRTMIN + 5)
		raise(sig + 1);
	depth--;
	got++;
}

static void registers(void)
{
	uint64_t out[8], fpsr, pid = (uint64_t)getpid();

	for (int i = 0; i <= 5; i++)
		set(SIGRTMIN + i, nested, 0);
	got = 0;
	__asm__ volatile(
		"msr fpsr, %[q]\n\t"
		"movi v0.16b, #0x11\n\tmovi v8.16b, #0x88\n\tmovi v31.16b, #0x3f\n\t"
		"mov x19, #0x1919\n\tmov x8, %[nr]\n\tmov x0, %[pid]\n\tmov x1, %[sig]\n\t"
		"mov x2, #22\n\tmov x17, #17\n\tsvc #0\n\t"
		"umov %[o0], v0.d[0]\n\tumov %[o1], v8.d[1]\n\tumov %[o2], v31.d[1]\n\t"
		"mov %[o3], x19\n\tmov %[o4], x2\n\tmov %[o5], x17\n\tmov %[o6], x0\n\t"
		"mrs %[f], fpsr"
		: [o0] "=&r"(out[0]), [o1] "=&r"(out[1]), [o2] "=&r"(out[2]), [o3] "=&r"(out[3]),
		  [o4] "=&r"(out[4]), [o5] "=&r"(out[5]), [o6] "=&r"(out[6]), [f] "=&r"(fpsr)
		: [q] "r"(0x8000000UL), [nr] "r"((long)SYS_kill), [pid] "r"(pid),
		  [sig] "r"((long)SIGRTMIN)
		: "x0", "x1", "x2", "x8", "x17", "x19", "v0", "v8", "v31", "memory");
	CHECK(got == 6 && deepest == 6);
	CHECK(out[0] == 0x1111111111111111 && out[1] == 0x8888888888888888 &&
	      out[2] == 0x3f3f3f3f3f3f3f3f);
	CHECK(out[3] == 0x1919 && out[4] == 22 && out[5] == 17 && out[6] == 0 && fpsr == 0x8000000);
}

/* A frame as a handler may leave it: another record before that of the vector registers, which has other values. */
static void move_records(int sig, siginfo_t *si, void *v)
{
	uint32_t *r = (uint32_t *)((char *)&((ucontext_t *)v)->uc_mcontext + 288);

	memmove(r + 4, r, 4 * (FP_WORDS + 2));
	memcpy(r, (uint32_t[]){ ESR_RECORD, 16, 0, 0 }, 16);
	r[4 + 2] = 0x8000000;
	memset(&r[4 + 4 + 8 * 4], 0x77, 16);
	note(sig, si, v);
}

static void moved_records(void)
{
	uint64_t low, high, last, fpsr;

	set(SIGUSR1, move_records, 0);
	got = 0;
	__asm__ volatile(
		"movi v8.16b, #0x88\n\tmovi v31.16b, #0x3f\n\tmsr fpsr, xzr\n\t"
		"mov x8, %[nr]\n\tmov x0, %[pid]\n\tmov x1, %[sig]\n\tsvc #0\n\t"
		"umov %[low], v8.d[0]\n\tumov %[high], v8.d[1]\n\tumov %[last], v31.d[1]\n\t"
		"mrs %[fpsr], fpsr"
		: [low] "=&r"(low), [high] "=&r"(high), [last] "=&r"(last), [fpsr] "=&r"(fpsr)
		: [nr] "r"((long)SYS_kill), [pid] "r"((long)getpid()), [sig] "r"((long)SIGUSR1)
		: "x0", "x1", "x8", "v8", "v31", "memory");
	CHECK(got == 1 && low == 0x7777777777777777 && high == low);
	CHECK(last == 0x3f3f3f3f3f3f3f3f && fpsr == 0x8000000);
}

/* --- masks ----------------------------------------------------------------------------------------------------------------- */

static void hold(int sig, siginfo_t *si, void *uc)
{
	int before = got;

	note(sig, si, uc);
	if (depth++ == 0) {
		raise(SIGUSR2);
		raise(SIGUSR1);
		CHECK(got == before + 1);
	}
}

static void masks(void)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO };
	sigset_t usr1 = mask_of(SIGUSR1), old, pending;

	/* sa_mask and the signal itself wait for the handler's end; standard ones collapse */
	sa.sa_sigaction = hold;
	sa.sa_mask = mask_of(SIGUSR2);
	set(SIGUSR2, note, 0);
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	got = depth = 0;
	raise(SIGUSR1);
	CHECK(got == 3 && order[0] == SIGUSR1);
	/* blocked, pending once however often it comes, let in by the mask before the call returns */
	set(SIGUSR1, note, 0);
	CHECK(sigprocmask(SIG_BLOCK, &usr1, &old) == 0);
	got = 0;
	for (int i = 0; i < 5; i++)
		kill(getpid(), SIGUSR1);
	CHECK(got == 0 && sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	CHECK(got == 1);
	/* SIG_IGN drops what is pending */
	CHECK(sigprocmask(SIG_BLOCK, &usr1, &old) == 0);
	kill(getpid(), SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
	set(SIGUSR1, note, 0);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && got == 1);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 9, &usr1, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &usr1, NULL, 16), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8L, NULL, 8), EFAULT);
	/* KILL and STOP cannot be blocked */
	sigfillset(&pending);
	CHECK(sigprocmask(SIG_SETMASK, &pending, &old) == 0 &&
	      sigprocmask(SIG_SETMASK, &old, &pending) == 0);
	CHECK(!sigismember(&pending, SIGKILL) && !sigismember(&pending, SIGSTOP) &&
	      sigismember(&pending, 40));
}

static void no_defer(int sig, siginfo_t *si, void *uc)
{
	(void)si;
	(void)uc;
	got++;
	if (got < 10)
		raise(sig);
	deepest++;
}

/* --- real-time queues ------------------------------------------------------------------------------------------------------- */

static void queues(void)
{
	sigset_t rt, old;
	union sigval v;
	siginfo_t si;
	struct rlimit was, few = { 20, 20 };
	struct timespec none = { 0 }, some = { 0, 20000000 };
	int n;

	got = deepest = 0;
	set(SIGUSR1, no_defer, SA_NODEFER);
	raise(SIGUSR1);
	CHECK(got == 10 && deepest == 10);
	sigemptyset(&rt);
	for (int i = 0; i < 4; i++) {
		set(SIGRTMIN + i, note, 0);
		sigaddset(&rt, SIGRTMIN + i);
	}
	CHECK(sigprocmask(SIG_BLOCK, &rt, &old) == 0);
	/* the lowest number first, each number in order */
	for (int i = 0; i < 3; i++)
		for (int s = 3; s >= 0; s--) {
			v.sival_int = 10 * s + i;
			CHECK(sigqueue(getpid(), SIGRTMIN + s, v) == 0);
		}
	for (int s = 0; s < 2; s++)
		for (int i = 0; i < 3; i++) {
			CHECK(sigtimedwait(&rt, &si, &none) == SIGRTMIN + s);
			CHECK(si.si_code == SI_QUEUE && si.si_value.sival_int == 10 * s + i &&
			      si.si_pid == getpid());
		}
	got = 0;
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	CHECK(got == 6);
	CHECK_ERRNO(sigtimedwait(&rt, &si, &none), EAGAIN);
	CHECK_ERRNO(sigtimedwait(&rt, &si, &some), EAGAIN);
	CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &rt, &si, &none, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, 8L, &si, &none, 8), EFAULT);
	/* bounded */
	CHECK(getrlimit(RLIMIT_SIGPENDING, &was) == 0);
	few.rlim_max = was.rlim_max;
	CHECK(setrlimit(RLIMIT_SIGPENDING, &few) == 0);
	CHECK(sigprocmask(SIG_BLOCK, &rt, &old) == 0);
	for (n = 0; n < 100 && sigqueue(getpid(), SIGRTMIN, v) == 0; n++)
		;
	CHECK(n == 20 && errno == EAGAIN);
	CHECK(kill(getpid(), SIGUSR2) == 0);
	for (n = 0; sigtimedwait(&rt, &si, &none) > 0; n++)
		;
	CHECK(n == 20);
	CHECK(setrlimit(RLIMIT_SIGPENDING, &was) == 0);
	/* also for who has set no limit */
	for (n = 0; n < 200000 && sigqueue(getpid(), SIGRTMIN, v) == 0; n++)
		;
	CHECK(n > 100 && n < 200000 && errno == EAGAIN);
	while (sigtimedwait(&rt, &si, &none) > 0)
		;
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	/* nobody may say of another's signal that the kernel sent it */
	si.si_code = SI_USER;
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, 1, SIGUSR1, &si), EPERM);
	si.si_code = SI_QUEUE;
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, 3999999, SIGUSR1, &si), ESRCH);
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 8L), EFAULT);
}

/* --- interrupted calls ------------------------------------------------------------------------------------------------------- */

/* Once, or again and again: the first may come before the call that it is to interrupt. */
static void set_alarm(int ms, int again_ms)
{
	struct itimerval it = { { 0, again_ms * 1000 }, { 0, ms * 1000 } };

	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
}

#define INTERRUPTED(call)                                                                          \
	do {                                                                                       \
		set_alarm(20, 20);                                                                 \
		CHECK_ERRNO(call, EINTR);                                                          \
		set_alarm(0, 0);                                                                   \
	} while (0)

static bool is_pending(int sig)
{
	sigset_t s;

	return sigpending(&s) == 0 && sigismember(&s, sig);
}

static int pipe_in[2];

/* When it comes, the pipe has something to read. */
static void fill(int sig, siginfo_t *si, void *uc)
{
	note(sig, si, uc);
	CHECK(write(pipe_in[1], "x", 1) == 1);
}

static void interrupted(void)
{
	struct timespec nap = { 1000, 0 }, rem = { 0 };
	struct pollfd pfd;
	sigset_t none, alrm = mask_of(SIGALRM), old;
	char c;

	CHECK(pipe(pipe_in) == 0);
	pfd = (struct pollfd){ pipe_in[0], POLLIN, 0 };
	/* read is restarted with SA_RESTART and ends without */
	set(SIGALRM, fill, SA_RESTART);
	set_alarm(20, 0);
	CHECK(read(pipe_in[0], &c, 1) == 1 && c == 'x');
	CHECK(seen.si_code == SI_KERNEL);
	set(SIGALRM, note, 0);
	INTERRUPTED(read(pipe_in[0], &c, 1));
	/* these are not, whatever the handler says */
	set(SIGALRM, note, SA_RESTART);
	INTERRUPTED(nanosleep(&nap, &rem));
	CHECK(rem.tv_sec > 0 && rem.tv_sec < 1000);
	INTERRUPTED(poll(&pfd, 1, 1000000));
	sigemptyset(&none);
	INTERRUPTED(sigsuspend(&none));
	INTERRUPTED(pause());
	/* ignored: nothing is interrupted */
	signal(SIGALRM, SIG_IGN);
	set_alarm(5, 0);
	nap = (struct timespec){ 0, 30000000 };
	CHECK(nanosleep(&nap, NULL) == 0);
	/* a mask for the wait alone: the handler runs in it and the old mask is back after */
	set(SIGALRM, note, 0);
	CHECK(sigprocmask(SIG_BLOCK, &alrm, NULL) == 0);
	got = 0;
	set_alarm(1, 0);
	CHECK(AWAIT(is_pending(SIGALRM)) && got == 0);
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	CHECK(got == 1);
	CHECK(sigprocmask(SIG_UNBLOCK, &alrm, &old) == 0 && sigismember(&old, SIGALRM));
	CHECK_ERRNO(syscall(SYS_rt_sigsuspend, &none, 16), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigsuspend, 8L, 8), EFAULT);
	close(pipe_in[0]);
	close(pipe_in[1]);
}

/* --- faults ------------------------------------------------------------------------------------------------------------------- */

static sigjmp_buf back;

static void fault(int sig, siginfo_t *si, void *uc)
{
	uint32_t *r = (uint32_t *)((char *)&((ucontext_t *)uc)->uc_mcontext + 288 + 0x210);

	note(sig, si, uc);
	if (sig == SIGSEGV || sig == SIGBUS) {
		CHECK(((ucontext_t *)uc)->uc_mcontext.fault_address == (uintptr_t)si->si_addr);
		CHECK(r[0] == 0x45535201 && r[1] == 16);
	}
	siglongjmp(back, 1);
}

static void *volatile nowhere = (void *)0x10;

static void faults(void)
{
	char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 5; i++)
		set((int[]){ SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE }[i], fault, 0);
	if (!sigsetjmp(back, 1))
		*(volatile int *)nowhere = 1;
	CHECK(seen.si_signo == SIGSEGV && seen.si_code == SEGV_MAPERR && seen.si_addr == nowhere);
	if (!sigsetjmp(back, 1))
		*(volatile char *)(page + 4096 + 5) = 1;
	CHECK(seen.si_signo == SIGSEGV && seen.si_code == SEGV_ACCERR &&
	      seen.si_addr == page + 4096 + 5);
	if (!sigsetjmp(back, 1))
		*(volatile char *)0xffffff8000000000UL = 1;
	CHECK(seen.si_signo == SIGSEGV && seen.si_code == SEGV_MAPERR &&
	      seen.si_addr == (void *)0xffffff8000000000UL);
	if (!sigsetjmp(back, 1))
		((void (*)(void))page)();
	CHECK(seen.si_signo == SIGSEGV && seen.si_code == SEGV_ACCERR && seen.si_addr == page);
	if (!sigsetjmp(back, 1))
		((void (*)(void))((char *)layouts + 2))();
	CHECK(seen.si_signo == SIGBUS && seen.si_code == BUS_ADRALN &&
	      seen.si_addr == (char *)layouts + 2);
	if (!sigsetjmp(back, 1))
		__asm__ volatile(".inst 0" ::: "memory");
	CHECK(seen.si_signo == SIGILL && seen.si_code == ILL_ILLOPC);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("brk #7" ::: "memory");
	CHECK(seen.si_signo == SIGTRAP && seen.si_code == TRAP_BRKPT);
	munmap(page, 8192);
}

/* --- the other stack ---------------------------------------------------------------------------------------------------------- */

static char alt[32768] __attribute__((aligned(16)));

static void on_alt(int sig, siginfo_t *si, void *v)
{
	stack_t now, other = { .ss_sp = alt, .ss_size = 16384 };
	ucontext_t *uc = v;
	char here;

	CHECK(&here > alt && &here < alt + sizeof(alt));
	CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_ONSTACK);
	CHECK_ERRNO(sigaltstack(&other, NULL), EPERM);
	CHECK(uc->uc_stack.ss_sp == alt && uc->uc_stack.ss_size == sizeof(alt));
	if (depth++ == 0)
		raise(sig == SIGUSR1 ? SIGUSR2 : SIGUSR1);
	note(sig, si, v);
}

static void deep(int n)
{
	volatile char big[16384];

	big[0] = (char)n;
	if (n > 0)
		deep(n + 1);
	big[1] = big[0];
}

static void overflow(int sig, siginfo_t *si, void *uc)
{
	(void)si;
	(void)uc;
	got = sig;
	siglongjmp(back, 1);
}

static void other_stack(void)
{
	stack_t ss = { .ss_sp = alt, .ss_size = 5119 }, old;
	int unused;

	memset(&old, 0xaa, sizeof(old));
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
	/* of the kernel's own stack nothing is seen */
	memcpy(&unused, (char *)&old.ss_flags + sizeof(old.ss_flags), sizeof(unused));
	CHECK(unused == 0);
	CHECK_ERRNO(syscall(SYS_sigaltstack, &ss, NULL), ENOMEM);
	ss.ss_size = sizeof(alt);
	ss.ss_flags = 77;
	CHECK_ERRNO(syscall(SYS_sigaltstack, &ss, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_sigaltstack, 8L, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_sigaltstack, NULL, 8L), EFAULT);
	ss.ss_flags = 0;
	CHECK(sigaltstack(&ss, NULL) == 0);
	set(SIGUSR1, on_alt, SA_ONSTACK);
	set(SIGUSR2, on_alt, SA_ONSTACK);
	got = depth = 0;
	raise(SIGUSR1);
	CHECK(got == 2);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == 0 && old.ss_sp == alt);
	/* a stack that runs over is reported on the other one */
	set(SIGSEGV, overflow, SA_ONSTACK);
	for (int i = 0; i < 3; i++) {
		got = 0;
		if (!sigsetjmp(back, 1))
			deep(1);
		CHECK(got == SIGSEGV);
	}
	ss.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&ss, &old) == 0 && old.ss_sp == alt);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
}

/* --- ends ------------------------------------------------------------------------------------------------------------------------ */

static char *self;
static int which;

static pid_t start(const char *what)
{
	char n[2] = { (char)('0' + which), 0 }, *args[] = { self, (char *)what, n, NULL },
	     *env[] = { NULL };
	pid_t pid;

	CHECK(posix_spawn(&pid, self, NULL, NULL, args, env) == 0);
	return pid;
}

/* The signal that ends it. REL-007: one that faults for ever would keep our output open too. */
static int end_of(pid_t pid)
{
	int status = 0;
	bool ended = AWAIT(waitpid(pid, &status, WNOHANG) == pid);

	if (!ended)
		kill(pid, SIGKILL);
	CHECK(ended && WIFSIGNALED(status));
	return WTERMSIG(status);
}

static int status_of(const char *what)
{
	return end_of(start(what));
}

static void forge(int sig, siginfo_t *si, void *v)
{
	ucontext_t *uc = v;
	uint32_t *r = (uint32_t *)((char *)&uc->uc_mcontext + 288);

	(void)si;
	switch (sig - SIGRTMIN) {
	case 0:
		uc->uc_mcontext.pstate |= 5; /* EL1 */
		break;
	case 1:
		uc->uc_mcontext.pstate |= 0x80; /* interrupts off */
		break;
	case 2:
		uc->uc_mcontext.pstate |= 0x10; /* AArch32 */
		break;
	case 3:
		r[0] = 0x12345678;
		break;
	case 4:
		r[1] = 0x7ffffff0;
		break;
	case 5:
		r[0] = r[1] = 0;
		break;
	case 6:
		r[1] = 8;
		break;
	case 7: /* twice */
		memmove(r + FP_WORDS, r, 4 * (FP_WORDS + 2));
		break;
	case 8: /* behind so many others that the end has no room */
		for (int at = 0; at < 4096 - 4 * FP_WORDS; at += 16)
			memcpy((char *)r + at, (uint32_t[]){ ESR_RECORD, 16, 0, 0 }, 16);
		memcpy((char *)r + 4096 - 4 * FP_WORDS, (uint32_t[]){ FP_RECORD, 4 * FP_WORDS }, 8);
		break;
	case 9: /* not at all */
		memcpy(r, (uint32_t[]){ ESR_RECORD, 16, 0, 0, 0, 0 }, 24);
		break;
	}
}

static void forged(void)
{
	set(SIGRTMIN + which, forge, 0);
	raise(SIGRTMIN + which);
}

/* Nowhere, not aligned, and where only half of a frame is mapped. */
static void bad_return(void)
{
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(m != MAP_FAILED && munmap(m + 4096, 4096) == 0);
	memcpy(m + 4096 - 400, (uint32_t[]){ FP_RECORD, 4 * FP_WORDS }, 8);
	__asm__ volatile("mov sp, %0\n\tmov x8, #139\n\tsvc #0"
			 :
			 : "r"(which == 0   ? 0x10000008UL
			       : which == 1 ? 8UL
					    : (unsigned long)m + 4096 - 400 - 592)
			 : "x8");
}

static void bad_stack(void)
{
	set(SIGSEGV, note, 0);
	set(SIGUSR1, note, 0);
	__asm__ volatile("mov sp, %0\n\tmov x0, %1\n\tmov x1, %2\n\tmov x8, %3\n\tsvc #0\n\tb ."
			 :
			 : "r"(which == 0   ? 0x100UL
			       : which == 1 ? 0xfffffffffffffff0UL
					    : 0xffffff8000001000UL),
			   "r"((long)getppid()), "r"((long)SIGUSR2), "r"((long)SYS_kill)
			 : "x0", "x1", "x8");
}

static void blocked_fault(void)
{
	sigset_t segv = mask_of(SIGSEGV);

	set(SIGSEGV, note, 0);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	*(volatile int *)nowhere = 1;
}

static void ignored_fault(void)
{
	signal(SIGSEGV, SIG_IGN);
	*(volatile int *)nowhere = 1;
}

static void default_rt(void)
{
	signal(SIGRTMIN + 9, SIG_DFL);
	raise(SIGRTMIN + 9);
}

static void ends(void)
{
	sigset_t told = mask_of(SIGUSR2);

	for (which = 0; which < 10; which++)
		CHECK(status_of("forged") == SIGSEGV);
	for (which = 0; which < 3; which++)
		CHECK(status_of("bad_return") == SIGSEGV);
	CHECK(status_of("blocked_fault") == SIGSEGV);
	CHECK(status_of("ignored_fault") == SIGSEGV);
	CHECK(status_of("default_rt") == SIGRTMIN + 9);
	CHECK(sigprocmask(SIG_BLOCK, &told, NULL) == 0);
	for (which = 0; which < 3; which++) {
		pid_t pid = start("bad_stack");

		/* it says so on the bad stack */
		CHECK(sigtimedwait(&told, NULL, &(struct timespec){ 20, 0 }) == SIGUSR2);
		CHECK(kill(pid, SIGUSR1) == 0);
		CHECK(end_of(pid) == SIGSEGV);
	}
}

static int child(const char *what)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} table[] = { { "forged", forged },
		      { "bad_return", bad_return },
		      { "blocked_fault", blocked_fault },
		      { "ignored_fault", ignored_fault },
		      { "default_rt", default_rt },
		      { "bad_stack", bad_stack } };

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, what) == 0)
			table[i].fn();
	return 77;
}

/* --- what a thread was told of before it went ---------------------------------------------------------------------- */

#define WAITERS 0x80000000U

/* A lock that its owner dies with; the list never ends, so that its owner takes long to go. */
static struct {
	void *next;
	uint32_t word;
} lock = { &lock, 0 };

static pid_t sleeper_id, teller_id;

static void *sleeps(void *arg)
{
	struct timespec t = { AWAIT_SECONDS, 0 };

	(void)arg;
	sleeper_id = (pid_t)syscall(SYS_gettid);
	_exit(nanosleep(&t, NULL) == -1 && errno == EINTR && got == 1 ? 0 : 1);
}

static void *tells(void *arg)
{
	teller_id = (pid_t)syscall(SYS_gettid);
	CHECK(syscall(SYS_futex, &lock.word, 0, lock.word, NULL) == 0);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	return arg;
}

/* The first thread is told, and is on its way out: the one that is left takes the signal. I-SIG-1 */
static void told_and_gone(void)
{
	static struct {
		void *list;
		long offset;
		void *pending;
	} head = { &lock, (char *)&lock.word - (char *)&lock, NULL };
	sigset_t usr1 = mask_of(SIGUSR1);
	pid_t pid = fork();
	pthread_t t;
	int status;

	if (pid) {
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		return;
	}
	got = 0;
	set(SIGUSR1, note, 0);
	lock.word = (uint32_t)syscall(SYS_gettid) | WAITERS;
	CHECK(pthread_create(&t, NULL, sleeps, NULL) == 0);
	CHECK(AWAIT(sleeper_id) && until_thread_asleep(sleeper_id));
	CHECK(pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0);
	CHECK(pthread_create(&t, NULL, tells, NULL) == 0);
	CHECK(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL) == 0);
	CHECK(AWAIT(teller_id) && until_thread_asleep(teller_id));
	CHECK(syscall(SYS_set_robust_list, &head, sizeof(head)) == 0);
	syscall(SYS_exit, 0);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 2) {
		which = argv[2][0] - '0';
		return child(argv[1]);
	}
	basics();
	layouts();
	registers();
	moved_records();
	masks();
	queues();
	interrupted();
	faults();
	other_stack();
	ends();
	told_and_gone();
	return 0;
}
