/* SPDX-License-Identifier: MIT */
/* Signals at any moment: threads that send to each other while they sleep, wait, take and change masks; a process that is
 * stopped, continued and killed while its threads do all of that, exec or exit. What is counted must be what was sent. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

#define THREADS 6
#define EACH	150

static atomic_int taken, sent, ready, done;
static pid_t tids[THREADS];
static char *self;

static void count(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	if (si->si_code != SI_QUEUE || si->si_value.sival_int != sig)
		_exit(9);
	atomic_fetch_add(&taken, 1);
}

static unsigned rnd(unsigned long *x)
{
	*x = *x * 6364136223846793005UL + 1442695040888963407UL;
	return (unsigned)(*x >> 33);
}

/* One way to spend time in which a signal may come. */
static void spend(unsigned how, int fd)
{
	struct timespec ts = { 0, 200000 };
	struct pollfd pfd = { fd, POLLIN, 0 };
	sigset_t set, old, one;
	siginfo_t si;

	switch (how % 7) {
	case 0:
		nanosleep(&ts, NULL);
		break;
	case 1:
		poll(&pfd, 1, 1);
		break;
	case 2:
		sigfillset(&set);
		sigprocmask(SIG_SETMASK, &set, &old);
		sched_yield();
		sigprocmask(SIG_SETMASK, &old, NULL);
		break;
	case 3:
		/* what is taken here is not the handler's */
		sigemptyset(&one);
		sigaddset(&one, SIGRTMIN + 3);
		pthread_sigmask(SIG_BLOCK, &one, &old);
		if (sigtimedwait(&one, &si, &ts) > 0)
			count(si.si_signo, &si, NULL);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		break;
	case 4:
		sigfillset(&set);
		sigprocmask(SIG_SETMASK, &set, &old);
		ppoll(&pfd, 1, &ts, &old);
		sigprocmask(SIG_SETMASK, &old, NULL);
		break;
	case 5:
		getppid();
		break;
	default:
		for (volatile int i = 0; i < 2000; i++)
			;
	}
}

static void *sender(void *arg)
{
	unsigned long x = (unsigned long)arg * 7919 + 1;
	int p[2], me = (int)(long)arg;

	CHECK(pipe(p) == 0);
	tids[me] = (pid_t)syscall(SYS_gettid);
	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < THREADS)
		sched_yield();
	for (int i = 0; i < EACH;) {
		int sig = SIGRTMIN + (int)(rnd(&x) % 6);
		siginfo_t si = { .si_code = SI_QUEUE };

		si.si_value.sival_int = sig;
		if (syscall(SYS_rt_tgsigqueueinfo, getpid(), tids[rnd(&x) % THREADS], sig, &si) ==
		    0) {
			atomic_fetch_add(&sent, 1);
			i++;
		} else {
			CHECK(errno == EAGAIN);
		}
		spend(rnd(&x), p[0]);
	}
	atomic_fetch_add(&done, 1);
	/* nobody sends any more: what is pending is taken */
	while (atomic_load(&done) < THREADS)
		spend(rnd(&x), p[0]);
	for (int i = 0; i < 7; i++)
		spend((unsigned)i, p[0]);
	close(p[0]);
	close(p[1]);
	return NULL;
}

static void exchange(void)
{
	pthread_t t[THREADS];
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_RESTART };

	sa.sa_sigaction = count;
	for (int i = 0; i < 6; i++)
		CHECK(sigaction(SIGRTMIN + i, &sa, NULL) == 0);
	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, sender, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(taken == sent && sent == THREADS * EACH);
}

/* --- stop, continue, kill at any moment -------------------------------------------------------------------------------------- */

static void *busy(void *arg)
{
	unsigned long x = (unsigned long)arg + 3;
	int p[2];

	CHECK(pipe(p) == 0);
	for (;;)
		spend(rnd(&x), p[0]);
	return NULL;
}

static void many_threads(void)
{
	pthread_t t;

	for (long i = 0; i < 3; i++)
		pthread_create(&t, NULL, busy, (void *)i);
	busy((void *)9L);
}

/* Becomes itself again and again. */
static void exec_again(const char *how)
{
	char *args[] = { self, (char *)how, NULL }, *env[] = { NULL };

	execve(self, args, env);
	_exit(8);
}

static void stops(void)
{
	static const char *const kinds[] = { "threads", "exec" };
	unsigned long x = 4711;

	for (int round = 0; round < 12; round++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			exec_again(kinds[round % 2]);
		for (int i = 0; i < 12; i++) {
			/* stopped anywhere */
			let_pass_us((long)(rnd(&x) % 2000));
			CHECK(kill(pid, i % 3 ? SIGSTOP : SIGTSTP) == 0);
			/* one in our own group, which is not orphaned, or SIGSTOP */
			if (i % 3) {
				CHECK(waitpid(pid, &status, WUNTRACED) == pid);
				CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
				CHECK(waitpid(pid, &status, WUNTRACED | WNOHANG) == 0);
			}
			CHECK(kill(pid, SIGCONT) == 0);
			if (i % 3) {
				CHECK(waitpid(pid, &status, WCONTINUED) == pid &&
				      WIFCONTINUED(status));
			} else {
				while (waitpid(pid, &status, WUNTRACED | WCONTINUED | WNOHANG) > 0)
					CHECK(WIFSTOPPED(status) || WIFCONTINUED(status));
			}
		}
		if (round % 3 == 0)
			CHECK(kill(pid, SIGSTOP) == 0);
		CHECK(kill(pid, round % 3 == 1 ? SIGTERM : SIGKILL) == 0);
		do {
			CHECK(waitpid(pid, &status, 0) == pid);
		} while (!WIFSIGNALED(status));
		CHECK(WTERMSIG(status) == (round % 3 == 1 ? SIGTERM : SIGKILL));
	}
}

/* SIGTERM does not end a stopped process before it goes on; SIGKILL does. */
static void stopped_ends(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		exec_again("threads");
	CHECK(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid &&
	      WIFSTOPPED(status));
	CHECK(kill(pid, SIGTERM) == 0);
	/* in which a stopped process could die */
	let_pass(20);
	CHECK(waitpid(pid, &status, WNOHANG) == 0);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	      WTERMSIG(status) == SIGTERM);
}

/* --- what the parent is told -------------------------------------------------------------------------------------------------- */

static volatile siginfo_t child_info;
static volatile int child_count;

static void on_child(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	child_info = *si;
	child_count++;
}

static void await_count(int n)
{
	CHECK(AWAIT(child_count >= n) && child_count == n);
}

static void parents(void)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_RESTART };
	int status;
	pid_t pid;

	sa.sa_sigaction = on_child;
	CHECK(sigaction(SIGCHLD, &sa, NULL) == 0);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	kill(pid, SIGSTOP);
	await_count(1);
	CHECK(child_info.si_code == CLD_STOPPED && child_info.si_status == SIGSTOP &&
	      child_info.si_pid == pid);
	kill(pid, SIGCONT);
	await_count(2);
	CHECK(child_info.si_code == CLD_CONTINUED && child_info.si_status == SIGCONT);
	sa.sa_flags |= SA_NOCLDSTOP;
	CHECK(sigaction(SIGCHLD, &sa, NULL) == 0);
	kill(pid, SIGSTOP);
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	kill(pid, SIGCONT);
	/* in which a third signal could come */
	let_pass(10);
	CHECK(child_count == 2);
	kill(pid, SIGABRT);
	await_count(3);
	CHECK(child_info.si_code == CLD_DUMPED && child_info.si_status == SIGABRT);
	CHECK(waitpid(pid, &status, 0) == pid);
	/* nobody waits: with SA_NOCLDWAIT, and with SIG_IGN */
	sa.sa_flags = SA_SIGINFO | SA_NOCLDWAIT;
	for (int i = 0; i < 2; i++) {
		CHECK(sigaction(SIGCHLD, &sa, NULL) == 0);
		pid = fork();
		if (pid == 0)
			_exit(3);
		errno = 0;
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			errno = 0;
		CHECK(errno == ECHILD);
		sa.sa_handler = SIG_IGN;
		sa.sa_flags = 0;
	}
	signal(SIGCHLD, SIG_DFL);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1) {
		if (strcmp(argv[1], "threads") == 0)
			many_threads();
		exec_again(argv[1]);
	}
	exchange();
	parents();
	stopped_ends();
	stops();
	return 0;
}
