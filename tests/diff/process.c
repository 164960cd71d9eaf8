/* SPDX-License-Identifier: MIT */
/* fork, vfork, clone, exec, exit, wait, groups and sessions, as a parent and a child see them. */
#include <grp.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "tests/diff/lib/diff.h"

extern char **environ;
static int value = 1;
#define self diff_self

static int return_arg(void *arg)
{
	return (int)(intptr_t)arg;
}

static int die_by(void *arg)
{
	raise((int)(intptr_t)arg);
	return 77;
}

static int pause_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return 0;
}

CASE(exit_codes)
{
	static const int codes[] = { 0, 1, 42, 127, 128, 255, 256, 257, -1 };

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		REAP(start_child(return_arg, (void *)(intptr_t)codes[i]));
}

CASE(exit_signals)
{
	static const int sigs[] = { SIGHUP,  SIGINT,   SIGQUIT,	  SIGILL,  SIGTRAP, SIGABRT,
				    SIGBUS,  SIGFPE,   SIGKILL,	  SIGUSR1, SIGSEGV, SIGUSR2,
				    SIGPIPE, SIGALRM,  SIGTERM,	  SIGCHLD, SIGCONT, SIGURG,
				    SIGXCPU, SIGXFSZ,  SIGVTALRM, SIGPROF, SIGIO,   SIGPWR,
				    SIGSYS,  SIGWINCH, 34,	  64 };

	for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		REAP(start_child(die_by, (void *)(intptr_t)sigs[i]));
}

CASE(copies)
{
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int local = 1;
	int *heap = malloc(sizeof(int));
	pid_t pid;

	*heap = *shared = *private = 1;
	pid = fork();
	if (pid == 0) {
		Q(value == 1 && local == 1 && *heap == 1 && *shared == 1 && *private == 1);
		value = local = *heap = *shared = *private = 2;
		_exit(0);
	}
	REAP(pid);
	say("value %d local %d heap %d shared %d private %d", value, local, *heap, *shared,
	    *private);
}

CASE(shared_offset)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), flags;
	pid_t pid;

	R(write(fd, "0123456789", 10));
	R(lseek(fd, 2, SEEK_SET));
	pid = fork();
	if (pid == 0) {
		R(lseek(fd, 3, SEEK_CUR));
		fcntl(fd, F_SETFL, O_APPEND);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		_exit(0);
	}
	REAP(pid);
	R(lseek(fd, 0, SEEK_CUR));
	flags = fcntl(fd, F_GETFL);
	Q(flags & O_APPEND);
	R(fcntl(fd, F_GETFD));
}

CASE(ids)
{
	pid_t me = getpid(), pid;

	Q(getpid() == getpgrp());
	Q(getsid(0) == getpid());
	Q(syscall(SYS_gettid) == getpid());
	pid = fork();
	if (pid == 0) {
		Q(getppid() == me);
		Q(getpid() != me);
		Q(getpgrp() == me);
		Q(getsid(0) == me);
		Q(getpid() == syscall(SYS_gettid));
		_exit(0);
	}
	REAP(pid);
}

static int wait_for_go(void *arg)
{
	int *p = arg;
	char c;

	close(p[1]);
	while (read(p[0], &c, 1) < 0)
		;
	return 3;
}

CASE(wait4)
{
	struct rusage ru;
	int status = -1, p[2];
	pid_t a, b;

	R(waitpid(-1, &status, 0));
	R(waitpid(-1, &status, WNOHANG));
	R(waitpid(getppid(), &status, 0));
	R(waitpid(1 << 21, &status, 0));
	R(waitpid(0, &status, 0));
	R(syscall(SYS_wait4, -1, &status, 0x10, NULL));
	R(syscall(SYS_wait4, -1, &status, 0x80000000, NULL));
	R(syscall(SYS_wait4, -1, &status, WEXITED, NULL));
	R(syscall(SYS_wait4, INT32_MIN, &status, 0, NULL));
	R(pipe(p));
	a = start_child(wait_for_go, p);
	R(waitpid(-1, &status, WNOHANG));
	R(waitpid(a, &status, WNOHANG));
	R(waitpid(-getpid(), &status, WNOHANG));
	R(waitpid(-a, &status, WNOHANG));
	b = start_child(return_arg, (void *)5);
	Q(waitpid(b, &status, 0) == b);
	STATUS(status);
	R(waitpid(b, &status, 0));
	close(p[0]);
	close(p[1]);
	memset(&ru, 0xff, sizeof(ru));
	Q(wait4(-1, &status, 0, &ru) == a);
	STATUS(status);
	Q(ru.ru_utime.tv_usec >= 0 && ru.ru_utime.tv_usec < 1000000);
	R(wait4(-1, &status, 0, NULL));
	a = start_child(return_arg, NULL);
	Q(wait4(a, NULL, 0, NULL) == a);
	a = start_child(return_arg, (void *)7);
	R(syscall(SYS_wait4, -1, 8, 0, NULL));
	R(waitpid(-1, &status, 0));
}

static void say_info(int line, const siginfo_t *si)
{
	diff_say(line, "signo %d errno %d code %d pid %s uid %d status %d", si->si_signo,
		 si->si_errno, si->si_code, si->si_pid ? "set" : "0", (int)si->si_uid,
		 si->si_status);
}

CASE(waitid)
{
	siginfo_t si;
	pid_t pid;

	R(waitid(P_ALL, 0, &si, WEXITED));
	R(waitid(P_ALL, 0, &si, 0));
	R(waitid(P_ALL, 0, &si, WNOHANG));
	R(waitid(77, 0, &si, WEXITED));
	R(waitid(P_PID, 0, &si, WEXITED));
	R(waitid(P_PID, -5, &si, WEXITED));
	R(waitid(P_PGID, -5, &si, WEXITED));
	R(waitid(P_ALL, 0, &si, WEXITED | 0x10));
	pid = start_child(pause_for_ever, NULL);
	memset(&si, 0xff, sizeof(si));
	R(waitid(P_PID, pid, &si, WEXITED | WNOHANG));
	say("signo %d pid %d", si.si_signo, si.si_pid);
	kill(pid, SIGSTOP);
	R(waitid(P_PID, pid, &si, WSTOPPED | WNOWAIT));
	say_info(__LINE__, &si);
	R(waitid(P_ALL, 0, &si, WSTOPPED));
	say_info(__LINE__, &si);
	memset(&si, 0, sizeof(si));
	R(waitid(P_ALL, 0, &si, WSTOPPED | WNOHANG));
	say_info(__LINE__, &si);
	kill(pid, SIGCONT);
	R(waitid(P_PGID, 0, &si, WCONTINUED));
	say_info(__LINE__, &si);
	kill(pid, SIGTERM);
	R(waitid(P_PGID, getpgrp(), &si, WEXITED | WNOWAIT));
	say_info(__LINE__, &si);
	R(waitid(P_PID, pid, &si, WEXITED));
	say_info(__LINE__, &si);
	R(waitid(P_PID, pid, &si, WEXITED));
	pid = start_child(return_arg, (void *)9);
	R(waitid(P_PID, pid, &si, WEXITED));
	say_info(__LINE__, &si);
	pid = start_child(return_arg, (void *)9);
	R(waitid(P_PID, pid, NULL, WEXITED));
}

CASE(stops)
{
	static const int stop[] = { SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };
	pid_t pid = start_child(pause_for_ever, NULL);
	int status;

	/* a group of its own in our session, so that it is no orphan and stops */
	R(setpgid(pid, pid));
	for (int i = 0; i < 4; i++) {
		R(kill(pid, stop[i]));
		Q(waitpid(pid, &status, WUNTRACED) == pid);
		STATUS(status);
		say("%04x", status);
		R(waitpid(pid, &status, WUNTRACED | WNOHANG));
		R(waitpid(pid, &status, WCONTINUED | WNOHANG));
		R(kill(pid, SIGCONT));
		Q(waitpid(pid, &status, WCONTINUED) == pid);
		STATUS(status);
		R(waitpid(pid, &status, WCONTINUED | WNOHANG));
	}
	R(kill(pid, SIGSTOP));
	Q(waitpid(pid, &status, WUNTRACED) == pid);
	R(kill(pid, SIGTERM));
	R(waitpid(pid, &status, WNOHANG));
	R(kill(pid, SIGKILL));
	REAP(pid);
}

CASE(child_by_group)
{
	pid_t a = start_child(pause_for_ever, NULL), b = start_child(return_arg, (void *)1);
	int status;

	R(setpgid(a, a));
	R(kill(-a, SIGUSR1));
	Q(waitpid(-a, &status, 0) == a);
	STATUS(status);
	Q(waitpid(0, &status, 0) == b);
	STATUS(status);
	R(waitpid(-a, &status, 0));
	R(kill(-a, 0));
}

CASE(ignored_children)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };
	int status;
	pid_t pid;

	R(sigaction(SIGCHLD, &sa, NULL));
	pid = start_child(return_arg, NULL);
	R(waitpid(pid, &status, 0));
	start_child(return_arg, NULL);
	start_child(return_arg, NULL);
	R(waitpid(-1, &status, 0));
	sa.sa_handler = SIG_DFL;
	sa.sa_flags = SA_NOCLDWAIT;
	R(sigaction(SIGCHLD, &sa, NULL));
	pid = start_child(return_arg, NULL);
	R(waitpid(pid, &status, 0));
	sa.sa_flags = 0;
	R(sigaction(SIGCHLD, &sa, NULL));
	REAP(start_child(return_arg, (void *)3));
}

CASE(orphans)
{
	int p[2];
	char c;
	pid_t pid;

	R(pipe(p));
	pid = fork();
	if (pid == 0) {
		pid_t middle = getpid();

		if (fork() == 0) {
			AWAIT(getppid() != middle);
			Q(getppid() == 1);
			close(p[0]);
			_exit(0);
		}
		_exit(6);
	}
	close(p[1]);
	R(read(p[0], &c, 1));
	REAP(pid);
	R(waitpid(-1, NULL, 0));
}

CASE(subreaper)
{
	int status;
	pid_t pid;

	R(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid = fork();
	if (pid == 0) {
		pid_t middle = getpid();

		if (fork() == 0) {
			AWAIT(getppid() != middle);
			_exit(8);
		}
		_exit(6);
	}
	REAP(pid);
	OK(waitpid(-1, &status, 0));
	STATUS(status);
}

CASE(vfork)
{
	volatile int seen = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		seen = 1;
		_exit(11);
	}
	say("seen %d", seen);
	REAP(pid);
}

static int set_value(void *arg)
{
	value = (int)(intptr_t)arg;
	return 12;
}

static long raw_clone(unsigned long flags, void *stack, int *ptid, int *ctid)
{
	return syscall(SYS_clone, flags, stack, ptid, 0, ctid);
}

CASE(clone_flags)
{
	static char stack[32768] __attribute__((aligned(16)));
	int ptid = 0, ctid = 0, status;
	pid_t pid;

	pid = clone(set_value, stack + sizeof(stack), CLONE_VM | SIGCHLD, (void *)5);
	REAP(pid);
	say("value %d", value);
	pid = clone(set_value, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)6);
	say("value %d", value);
	REAP(pid);
	/* no exit signal: only __WALL or __WCLONE sees it */
	pid = clone(return_arg, stack + sizeof(stack), 0, (void *)3);
	R(waitpid(pid, &status, 0));
	Q(waitpid(pid, &status, __WALL) == pid);
	STATUS(status);
	signal(SIGUSR1, SIG_IGN);
	pid = clone(return_arg, stack + sizeof(stack), SIGUSR1, (void *)3);
	Q(waitpid(pid, &status, __WCLONE) == pid);
	STATUS(status);
	pid = raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, NULL, &ptid, &ctid);
	if (pid == 0)
		_exit(ctid == syscall(SYS_gettid) ? 0 : 1);
	Q(ptid == pid);
	Q(ctid == 0);
	REAP(pid);
	R(raw_clone(CLONE_SIGHAND | SIGCHLD, NULL, NULL, NULL));
	R(raw_clone(CLONE_THREAD | SIGCHLD, NULL, NULL, NULL));
	R(raw_clone(CLONE_THREAD | CLONE_VM, NULL, NULL, NULL));
	R(raw_clone(CLONE_FS | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL));
	pid = raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, NULL, BAD, BAD);
	if (pid == 0)
		_exit(4);
	REAP(pid);
}

CASE(clone_shares)
{
	char cwd[100];
	pid_t pid;
	int fd;

	mkdir("sub", 0755);
	pid = raw_clone(CLONE_FILES | CLONE_FS | SIGCHLD, NULL, NULL, NULL);
	if (pid == 0) {
		R(open("/dev/null", O_RDONLY));
		R(chdir("sub"));
		R(umask(077));
		_exit(0);
	}
	REAP(pid);
	R(fcntl(3, F_GETFD));
	say("cwd %s", getcwd(cwd, sizeof(cwd)));
	R(umask(022));
	pid = fork();
	if (pid == 0) {
		fd = open("/dev/null", O_RDONLY);
		R(chdir("/"));
		umask(0);
		_exit(fd);
	}
	REAP(pid);
	R(fcntl(4, F_GETFD));
	say("cwd %s", getcwd(cwd, sizeof(cwd)));
	R(umask(022));
}

CASE(clone3)
{
	char args[88] = { 0 };

	/* whole or not there at all: a library falls back on ENOSYS alone */
	long got = syscall(SYS_clone3, args, 7);

	Q(got == -1 && (errno == EINVAL || errno == ENOSYS));
}

CASE(groups)
{
	pid_t pid = start_child(pause_for_ever, NULL), other;

	R(setpgid(0, 0));
	R(setpgid(pid, pid));
	Q(getpgid(pid) == pid);
	R(setpgid(pid, 0));
	R(setpgid(pid, getpgrp()));
	Q(getpgid(pid) == getpgrp());
	R(setpgid(pid, 1 << 21));
	R(setpgid(pid, -1));
	R(setpgid(1, 1));
	R(setpgid(1 << 21, 0));
	R(setpgid(-1, 0));
	R(getpgid(1 << 21));
	R(getpgid(-1));
	R(getsid(1 << 21));
	R(getsid(-1));
	Q(getsid(pid) == getsid(0));
	R(setsid());
	R(kill(pid, SIGKILL));
	REAP(pid);
	pid = fork();
	if (pid == 0) {
		Q(setsid() == getpid());
		Q(getsid(0) == getpid() && getpgrp() == getpid());
		R(setpgid(0, 0));
		R(setsid());
		other = fork();
		if (other == 0)
			pause_for_ever(NULL);
		R(setpgid(other, getppid()));
		kill(other, SIGKILL);
		REAP(other);
		_exit(0);
	}
	REAP(pid);
	/* a zombie still has its group and session, and is still ours */
	pid = start_child(return_arg, NULL);
	until_asleep(pid);
	Q(getpgid(pid) == getpgrp());
	R(kill(pid, 0));
	R(kill(pid, SIGKILL));
	REAP(pid);
	R(kill(pid, 0));
}

/* ---- exec: the program runs itself, and diff_exec() below shows what its first argument names */

static pid_t run(const char *path, char *const argv[], char *const envp[])
{
	pid_t pid = fork();

	if (pid == 0) {
		execve(path, argv, envp);
		say("execve: %s", errno_name(errno));
		_exit(126);
	}
	return pid;
}

static char *no_env[] = { NULL };

CASE(exec_errors)
{
	char *argv[] = { (char *)"x", NULL };

	R(execve("/none", argv, no_env));
	R(execve("", argv, no_env));
	R(execve("/tmp", argv, no_env));
	R(execve(BAD, argv, no_env));
	R(execve("/tmp", BAD, no_env));
	put_file("text", "hello\n", 0755);
	R(execve("text", argv, no_env));
	put_file("plain", "hello\n", 0644);
	R(execve("plain", argv, no_env));
	put_file("empty", "", 0755);
	R(execve("empty", argv, no_env));
	put_file("short", "\177ELF", 0755);
	R(execve("short", argv, no_env));
	put_file("nosuch", "#!/none/such\n", 0755);
	R(execve("nosuch", argv, no_env));
	put_file("noname", "#!\n", 0755);
	R(execve("noname", argv, no_env));
	put_file("spaces", "#!   \n", 0755);
	R(execve("spaces", argv, no_env));
	put_file("loop", "#!/tmp/diff/loop\n", 0755);
	R(execve("/tmp/diff/loop", argv, no_env));
	put_file("isdir", "#!/tmp\n", 0755);
	R(execve("isdir", argv, no_env));
	put_file("denied", "#!/tmp/diff/plain\n", 0755);
	R(execve("denied", argv, no_env));
	R(execve("plain/x", argv, no_env));
	R(symlink("self-loop", "self-loop"));
	R(execve("self-loop", argv, no_env));
	R(mknod("fifo", S_IFIFO | 0777, 0));
	R(execve("fifo", argv, no_env));
	R(execve("/dev/null", argv, no_env));
	Q(access("/proc/self/exe", X_OK) == 0);
}

CASE(exec_busy)
{
	char *argv[] = { (char *)"text", NULL };
	int fd;

	put_file("text", "#!/none\n", 0755);
	fd = OK(open("text", O_WRONLY));
	R(execve("text", argv, no_env));
	close(fd);
	R(open("/proc/self/exe", O_WRONLY));
	R(truncate(self, 0));
}

CASE(exec_arguments)
{
	char *argv[] = { (char *)"argv-zero", (char *)"show", (char *)"",
			 (char *)"two words", (char *)"x=y",  NULL };
	char *env[] = { (char *)"A=1", (char *)"EMPTY=", (char *)"B", NULL };
	char *show_none[] = { (char *)"argv-zero", (char *)"show", NULL };
	char *nothing[] = { NULL };

	REAP(run(self, argv, env));
	REAP(run(self, show_none, no_env));
	REAP(run(self, show_none, NULL));
	/* a program always has a name, if an empty one */
	REAP(run(self, nothing, env));
	REAP(run(self, NULL, env));
}

CASE(exec_descriptors)
{
	char *argv[] = { (char *)"x", (char *)"descriptors", NULL };

	for (int i = 3; i < 10; i++)
		open("/dev/null", O_RDWR | (i & 1 ? O_CLOEXEC : 0));
	R(dup3(4, 20, O_CLOEXEC));
	R(dup2(20, 21));
	R(fcntl(4, F_DUPFD_CLOEXEC, 30));
	R(fcntl(4, F_DUPFD, 40));
	REAP(run(self, argv, no_env));
}

static void do_nothing(int sig)
{
	(void)sig;
}

CASE(exec_signals)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };
	char *argv[] = { (char *)"x", (char *)"signals", NULL };
	sigset_t set;

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = do_nothing;
	sigaction(SIGUSR2, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGRTMIN + 3);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	raise(SIGTERM);
	raise(SIGINT);
	REAP(run(self, argv, no_env));
	/* a child of fork has the mask but not what was pending; exec keeps what is pending */
	if (fork() == 0) {
		raise(SIGTERM);
		execve(self, argv, no_env);
	}
	wait(NULL);
}

CASE(exec_script)
{
	char *argv[] = { (char *)"zero", (char *)"one", (char *)"two", NULL };
	char text[300];

	snprintf(text, sizeof(text), "#!%s show\n", self);
	put_file("script", text, 0755);
	REAP(run("script", argv, no_env));
	REAP(run("./script", argv, no_env));
	REAP(run("/tmp/diff/script", argv, no_env));
	snprintf(text, sizeof(text), "#! \t %s \tshow\ta word  and another \t \nrest", self);
	put_file("script", text, 0755);
	REAP(run("script", argv, no_env));
	/* a script's interpreter may be a script */
	put_file("outer", "#!/tmp/diff/script inner\n", 0755);
	REAP(run("outer", argv, no_env));
	/* no newline at the end */
	snprintf(text, sizeof(text), "#!%s show", self);
	put_file("script", text, 0755);
	REAP(run("script", argv, no_env));
	argv[0] = NULL;
	REAP(run("script", argv, no_env));
}

CASE(exec_limits)
{
	static char big[140000];
	static char *many[3000];
	char *one[] = { (char *)"x", (char *)"count", big, NULL };

	memset(big, 'a', sizeof(big) - 1);
	/* one string may have 128 KiB with its NUL */
	REAP(run(self, one, no_env));
	big[131072] = 0;
	REAP(run(self, one, no_env));
	big[131071] = 0;
	REAP(run(self, one, no_env));
	/* all of them a quarter of the stack's limit: 2 MiB of 8 */
	big[1000] = 0;
	for (int i = 0; i < 2999; i++)
		many[i] = big;
	many[0] = (char *)"x";
	many[1] = (char *)"count";
	REAP(run(self, many, no_env));
	many[1500] = NULL;
	REAP(run(self, many, no_env));
}

CASE(exec_auxv)
{
	char *argv[] = { (char *)"x", (char *)"auxv", NULL };

	REAP(run(self, argv, no_env));
}

CASE(exec_name)
{
	char *argv[] = { (char *)"other-name", (char *)"comm", NULL };
	char name[20] = "";

	R(prctl(PR_SET_NAME, "a-name-that-is-too-long"));
	R(prctl(PR_GET_NAME, name));
	say("%s", name);
	symlink(self, "a-link-with-a-long-name");
	REAP(run("a-link-with-a-long-name", argv, no_env));
}

CASE(execveat)
{
	char *argv[] = { (char *)"x", (char *)"show", NULL };
	int fd;
	pid_t pid;

	fd = OK(open(self, O_RDONLY | O_CLOEXEC));
	R(syscall(SYS_execveat, fd, "", argv, no_env, 0));
	R(syscall(SYS_execveat, -1, "none", argv, no_env, 0));
	R(syscall(SYS_execveat, AT_FDCWD, "none", argv, no_env, 0));
	R(syscall(SYS_execveat, AT_FDCWD, "none", argv, no_env, 0x8000));
	pid = fork();
	if (pid == 0) {
		syscall(SYS_execveat, fd, "", argv, no_env, AT_EMPTY_PATH);
		_exit(errno);
	}
	REAP(pid);
}

CASE(fork_limit)
{
	struct rlimit r = { 0, 0 };
	pid_t pid = fork();

	if (pid == 0) {
		R(setrlimit(RLIMIT_NPROC, &r));
		/* root may do what it likes */
		if (fork() == 0)
			_exit(0);
		R(setgid(1000));
		R(setuid(1000));
		R(fork());
		R(raw_clone(SIGCHLD, NULL, NULL, NULL));
		_exit(0);
	}
	REAP(pid);
}

CASE(death_signal)
{
	int sig = -1, p[2];
	char c;
	pid_t pid;

	R(pipe(p));
	R(prctl(PR_GET_PDEATHSIG, &sig));
	say("%d", sig);
	R(prctl(PR_SET_PDEATHSIG, 65));
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			close(p[0]);
			if (write(p[1], "x", 1) == 1)
				pause_for_ever(NULL);
		}
		close(p[1]);
		while (read(p[0], &c, 1) < 0)
			;
		_exit(0);
	}
	REAP(pid);
	close(p[1]);
	/* ends when the grandchild has died */
	R(read(p[0], &c, 1));
}

/* How many of the addresses that a text of /proc/PID/stat tells, break, arguments and environment, are told. */
static int addresses_in(const char *text)
{
	const char *at = strrchr(text, ')');
	int told = 0;

	for (int field = 3; at && field <= 51; field++) {
		at = strchr(at + 1, ' ');
		told += at && field >= 47 && strtoul(at, NULL, 10) != 0;
	}
	return told;
}

static int addresses_told(pid_t pid)
{
	char name[40];

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	return addresses_in(slurp(name));
}

/* What one sees of oneself, and of a process that is somebody else's. */
CASE(looks)
{
	static const gid_t groups[] = { 5, 6, 7 };
	pid_t parent = getpid(), pid;
	gid_t got[8];
	void *head;
	size_t len;

	R(setgroups(3, groups));
	R(syscall(SYS_getgroups, 8, got));
	R(syscall(SYS_getgroups, 0x100000000, got));
	R(syscall(SYS_getgroups, 0x100000002, got));
	R(syscall(SYS_getgroups, 0xffffffff00000003, got));
	say("%d addresses", addresses_told(parent));
	pid = fork();
	if (pid == 0) {
		R(setresuid(1000, 1000, 1000));
		R(syscall(SYS_get_robust_list, 0, &head, &len));
		R(syscall(SYS_get_robust_list, getpid(), &head, &len));
		R(syscall(SYS_get_robust_list, parent, &head, &len));
		R(syscall(SYS_get_robust_list, 4000000, &head, &len));
		say("%d addresses of ours, %d of theirs", addresses_told(getpid()),
		    addresses_told(parent));
		_exit(0);
	}
	REAP(pid);
}

static int sit_as(void *arg)
{
	const gid_t *gid = arg;

	if (setresgid(gid[0], gid[1], gid[2]) || setresuid(1000, 1000, 1000) ||
	    prctl(PR_SET_DUMPABLE, 1))
		return 1;
	return pause_for_ever(NULL);
}

/* All three groups must be the looker's, as the users; and who may is asked of who reads, whoever opened. */
CASE(looks_by_group)
{
	static const gid_t gids[][3] = {
		{ 1000, 1000, 1000 }, { 2000, 2000, 2000 }, { 1000, 2000, 1000 },
		{ 2000, 1000, 1000 }, { 1000, 1000, 2000 },
	};
	pid_t parent = getpid(), pid, sitters[5];
	char text[600] = "", name[40];

	for (int i = 0; i < 5; i++) {
		sitters[i] = start_child(sit_as, (void *)gids[i]);
		until_asleep(sitters[i]);
	}
	pid = fork();
	if (pid == 0) {
		snprintf(name, sizeof(name), "/proc/%d/stat", parent);
		int fd = open(name, O_RDONLY);

		syscall(SYS_setfsuid, 1000);
		say("%d addresses of root's, to its file system's user", addresses_told(parent));
		R(setresgid(1000, 1000, 1000));
		R(setresuid(1000, 1000, 1000));
		for (int i = 0; i < 5; i++) {
			snprintf(name, sizeof(name), "/proc/%d/cwd", sitters[i]);
			say("%d addresses", addresses_told(sitters[i]));
			R(readlink(name, text, sizeof(text)) > 0);
		}
		Q(read(fd, text, sizeof(text) - 1) > 0);
		say("%d addresses in what root opened", addresses_in(text));
		_exit(0);
	}
	REAP(pid);
	for (int i = 0; i < 5; i++) {
		kill(sitters[i], SIGKILL);
		REAP(sitters[i]);
	}
}

/* What /proc tells of a sleep: by its name the function, which is the kernel's choice, and a number in stat. */
static void say_sleep(int line, const char *who, pid_t pid)
{
	char name[40], *at;
	bool one = false;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	at = strrchr(slurp(name), ')');
	for (int field = 3; at && field <= 35; field++)
		at = strchr(at + 1, ' ');
	one = at && atoi(at) == 1;
	snprintf(name, sizeof(name), "/proc/%d/wchan", pid);
	diff_say(line, "%s: %s, %d", who, strcmp(slurp(name), "0") ? "a name" : "0", one);
}
#define SLEEP(pid) say_sleep(__LINE__, #pid, pid)

CASE(wchan)
{
	pid_t sleeper = start_child(pause_for_ever, NULL),
	      stopped = start_child(pause_for_ever, NULL);
	pid_t parent = getpid(), pid;

	until_asleep(sleeper);
	SLEEP(sleeper);
	SLEEP(parent);
	kill(stopped, SIGSTOP);
	waitpid(stopped, NULL, WUNTRACED);
	until_asleep(stopped);
	SLEEP(stopped);
	pid = fork();
	if (pid == 0) {
		until_asleep(parent);
		SLEEP(parent);
		R(setresuid(1000, 1000, 1000));
		SLEEP(sleeper);
		SLEEP(parent);
		_exit(0);
	}
	REAP(pid);
	kill(sleeper, SIGKILL);
	REAP(sleeper);
	kill(stopped, SIGKILL);
	REAP(stopped);
}

/* Who has changed the user is closed to others of the new one until exec. */
CASE(dumpable)
{
	char *argv[] = { (char *)"x", (char *)"owner", NULL };
	pid_t pid;

	R(prctl(PR_GET_DUMPABLE));
	R(prctl(PR_SET_DUMPABLE, 0));
	REAP(run(self, argv, no_env));
	pid = fork();
	if (pid == 0) {
		R(setresgid(1000, 1000, 1000));
		R(setresuid(1000, 1000, 1000));
		R(prctl(PR_GET_DUMPABLE));
		REAP(run(self, argv, no_env));
		_exit(0);
	}
	REAP(pid);
	pid = fork();
	if (pid == 0) {
		R(setresuid(1000, 2000, 2000));
		REAP(run(self, argv, no_env));
		_exit(0);
	}
	REAP(pid);
}

/* exec makes the effective ids the saved and the file system's ones: what was to come back does not. */
static int exec_as(void *arg)
{
	const uid_t *id = arg;
	char *argv[] = { (char *)"x", (char *)"whose", NULL };

	R(setresgid(id[0], id[1], id[2]));
	R(setresuid(id[0], id[1], id[2]));
	if (id[3])
		syscall(SYS_setfsuid, id[3]);
	execve(self, argv, no_env);
	return 9;
}

CASE(exec_ids)
{
	static uid_t ids[][4] = {
		{ 1000, 1000, 0, 0 },	 { 1000, 0, 0, 0 },	  { 0, 1000, 0, 0 },
		{ 1000, 2000, 3000, 0 }, { 2000, 2000, 1000, 0 }, { 0, 0, 0, 1000 },
	};

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		REAP(start_child(exec_as, ids[i]));
}

CASE(usage)
{
	struct rusage ru;

	R(getrusage(RUSAGE_SELF, &ru));
	R(getrusage(RUSAGE_CHILDREN, &ru));
	Q(ru.ru_utime.tv_sec == 0 && ru.ru_maxrss == 0);
	R(getrusage(RUSAGE_THREAD, &ru));
	R(getrusage(5, &ru));
	R(getrusage(-5, &ru));
	R(getrusage(RUSAGE_SELF, BAD));
	REAP(start_child(return_arg, NULL));
	R(getrusage(RUSAGE_CHILDREN, &ru));
	Q(ru.ru_maxrss > 0);
}

CASE(priorities)
{
	R(getpriority(PRIO_PROCESS, 0));
	R(setpriority(PRIO_PROCESS, 0, 5));
	R(syscall(SYS_getpriority, PRIO_PROCESS, 0));
	R(setpriority(PRIO_PROCESS, 0, 100));
	R(syscall(SYS_getpriority, PRIO_PROCESS, 0));
	R(setpriority(PRIO_PROCESS, 0, -100));
	R(syscall(SYS_getpriority, PRIO_PROCESS, 0));
	R(setpriority(PRIO_PGRP, 0, 3));
	R(syscall(SYS_getpriority, PRIO_PGRP, 0));
	R(setpriority(7, 0, 3));
	R(syscall(SYS_getpriority, 7, 0));
	R(setpriority(PRIO_PROCESS, 1 << 21, 3));
	R(syscall(SYS_getpriority, PRIO_PROCESS, 1 << 21));
	R(setgid(1000));
	R(setuid(1000));
	R(setpriority(PRIO_PROCESS, 0, 4));
	R(setpriority(PRIO_PROCESS, 0, 2));
	R(setpriority(PRIO_PROCESS, 1, 5));
	R(syscall(SYS_getpriority, PRIO_PROCESS, 0));
}

CASE(scheduling)
{
	struct sched_param p = { 0 };
	struct timespec t;
	cpu_set_t set;

	R(syscall(SYS_sched_getscheduler, 0));
	R(syscall(SYS_sched_getscheduler, -1));
	R(syscall(SYS_sched_getscheduler, 1 << 21));
	R(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &p));
	R(syscall(SYS_sched_setscheduler, 0, 99, &p));
	p.sched_priority = 1;
	R(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &p));
	R(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL));
	R(syscall(SYS_sched_getparam, 0, &p));
	say("%d", p.sched_priority);
	R(sched_get_priority_max(SCHED_OTHER));
	R(sched_get_priority_min(SCHED_OTHER));
	R(sched_get_priority_max(SCHED_FIFO));
	R(sched_get_priority_min(SCHED_RR));
	R(sched_get_priority_max(77));
	R(sched_rr_get_interval(1 << 21, &t));
	R(syscall(SYS_sched_getaffinity, 0, 4, &set));
	R(syscall(SYS_sched_getaffinity, 0, 0, &set));
	OK(syscall(SYS_sched_getaffinity, 0, 128, &set));
	R(syscall(SYS_sched_getaffinity, 1 << 21, 128, &set));
	R(syscall(SYS_sched_getaffinity, 0, 128, BAD));
	CPU_ZERO(&set);
	R(sched_setaffinity(0, sizeof(set), &set));
	CPU_SET(0, &set);
	R(sched_setaffinity(0, sizeof(set), &set));
	R(sched_getcpu());
	R(sched_getaffinity(0, sizeof(set), &set));
	R(CPU_COUNT(&set));
	R(sched_setaffinity(1 << 21, sizeof(set), &set));
	R(sched_yield());
}

CASE(limits)
{
	static const int all[] = { RLIMIT_CPU,	    RLIMIT_FSIZE, RLIMIT_DATA,	 RLIMIT_STACK,
				   RLIMIT_CORE,	    RLIMIT_RSS,	  RLIMIT_NPROC,	 RLIMIT_NOFILE,
				   RLIMIT_MEMLOCK,  RLIMIT_AS,	  RLIMIT_LOCKS,	 RLIMIT_SIGPENDING,
				   RLIMIT_MSGQUEUE, RLIMIT_NICE,  RLIMIT_RTPRIO, RLIMIT_RTTIME };
	struct rlimit r = { 20, 10 };

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		R(getrlimit(all[i], &r));
	R(getrlimit(16, &r));
	R(getrlimit(-1, &r));
	r = (struct rlimit){ 20, 10 };
	R(setrlimit(RLIMIT_NOFILE, &r));
	r = (struct rlimit){ 10, 20 };
	R(setrlimit(RLIMIT_NOFILE, &r));
	R(getrlimit(RLIMIT_NOFILE, &r));
	say("%ld %ld", (long)r.rlim_cur, (long)r.rlim_max);
	for (int i = 3; i < 10; i++)
		R(dup(0));
	R(dup(0));
	R(dup2(0, 10));
	R(dup2(0, 9));
	R(fcntl(0, F_DUPFD, 10));
	R(fcntl(0, F_DUPFD, 9));
	R(open("/dev/null", O_RDONLY));
	r = (struct rlimit){ 20, 30 };
	R(setgid(1000));
	R(setuid(1000));
	R(setrlimit(RLIMIT_NOFILE, &r));
	r = (struct rlimit){ 20, 20 };
	R(setrlimit(RLIMIT_NOFILE, &r));
	R(syscall(SYS_prlimit64, 1 << 21, RLIMIT_NOFILE, NULL, NULL));
	R(syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, NULL, NULL));
	R(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, 8));
	R(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 8, NULL));
}

static int map_when_told(void *arg)
{
	int *fds = arg;
	char c;

	close(fds[1]);
	for (int i = 0; i < 3; i++) {
		read(fds[0], &c, 1);
		void *m = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		say("%s", m == MAP_FAILED ? errno_name(errno) : "mapped");
		write(fds[3], "", 1);
	}
	return 0;
}

/* One process may set another's, and it takes effect at once. */
CASE(limits_of_another)
{
	static const int kinds[] = { RLIMIT_AS, RLIMIT_DATA };
	struct rlimit old, tight = { 8 << 20, RLIM_INFINITY };
	int fds[4];
	pid_t pid;
	char c;

	R(pipe(fds));
	pipe(fds + 2);
	pid = start_child(map_when_told, fds);
	for (int i = 0; i < 2; i++) {
		R(syscall(SYS_prlimit64, pid, kinds[i], &tight, &old));
		Q(old.rlim_cur == RLIM_INFINITY);
		write(fds[1], "", 1);
		read(fds[2], &c, 1);
		R(syscall(SYS_prlimit64, pid, kinds[i], &old, NULL));
	}
	write(fds[1], "", 1);
	REAP(pid);
}

CASE(file_size_limit)
{
	struct rlimit r = { 100, 100 };
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char buf[200] = { 0 };
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_FSIZE, &r);
		R(write(fd, buf, 200));
		R(ftruncate(fd, 50));
		R(write(fd, buf, 1));
		_exit(0);
	}
	REAP(pid);
	signal(SIGXFSZ, SIG_IGN);
	R(setrlimit(RLIMIT_FSIZE, &r));
	R(lseek(fd, 0, SEEK_SET));
	R(write(fd, buf, 90));
	R(write(fd, buf, 90));
	R(write(fd, buf, 90));
	R(ftruncate(fd, 101));
	R(ftruncate(fd, 100));
	R(pwrite(fd, buf, 1, 100));
	R(pwrite(fd, buf, 10, 95));
}

int diff_exec(int argc, char **argv)
{
	if (argc < 2) {
		if (argc && strchr(argv[0], '/'))
			return -1;
		say("argc %d argv0 '%s'", argc, argc ? argv[0] : "-");
		return 0;
	}
	if (!strncmp(argv[1], "show", 4)) {
		for (int i = 0; i < argc; i++)
			say("argv[%d] = '%s'", i, argv[i]);
		for (char **e = environ; *e; e++)
			say("env '%s'", *e);
	} else if (!strcmp(argv[1], "count")) {
		say("%d arguments, the last of %zu bytes", argc, strlen(argv[argc - 1]));
	} else if (!strcmp(argv[1], "descriptors")) {
		for (int i = 0; i < 50; i++)
			if (fcntl(i, F_GETFD) >= 0)
				say("%d: cloexec %d", i, fcntl(i, F_GETFD));
	} else if (!strcmp(argv[1], "comm")) {
		char name[20] = "";

		prctl(PR_GET_NAME, name);
		say("%s", name);
	} else if (!strcmp(argv[1], "owner")) {
		struct stat st;

		R(prctl(PR_GET_DUMPABLE));
		R(stat("/proc/self/stat", &st));
		say("of %d %d", (int)st.st_uid, (int)st.st_gid);
	} else if (!strcmp(argv[1], "whose")) {
		uid_t u[3];
		gid_t g[3];

		R(getresuid(&u[0], &u[1], &u[2]));
		R(getresgid(&g[0], &g[1], &g[2]));
		say("uid %d %d %d gid %d %d %d", (int)u[0], (int)u[1], (int)u[2], (int)g[0],
		    (int)g[1], (int)g[2]);
		R(syscall(SYS_setfsuid, -1));
		R(syscall(SYS_setfsgid, -1));
		R(getauxval(AT_SECURE));
		R(setresuid(-1, 0, -1));
	} else if (!strcmp(argv[1], "signals")) {
		struct sigaction sa;
		sigset_t set, pending;

		sigprocmask(0, NULL, &set);
		sigpending(&pending);
		for (int i = 1; i < 65; i++) {
			memset(&sa, 0, sizeof(sa));
			if (i != 32 && i != 33 && i != 34)
				sigaction(i, NULL, &sa);
			if (sa.sa_handler == SIG_IGN)
				say("%s ignored", signal_name(i));
			if (sigismember(&set, i) == 1)
				say("%s blocked", signal_name(i));
			if (sigismember(&pending, i) == 1)
				say("%s pending", signal_name(i));
		}
	} else if (!strcmp(argv[1], "auxv")) {
		const char *platform = (const char *)getauxval(AT_PLATFORM);

		Q(getauxval(AT_PAGESZ) == 4096);
		Q(getauxval(AT_CLKTCK) == 100);
		Q(getauxval(AT_PHENT) == 56);
		Q(getauxval(AT_PHNUM) > 0 && getauxval(AT_PHDR) != 0);
		Q(getauxval(AT_BASE) == 0);
		Q(getauxval(AT_FLAGS) == 0);
		Q(getauxval(AT_ENTRY) != 0);
		say("uid %ld %ld gid %ld %ld secure %ld", getauxval(AT_UID), getauxval(AT_EUID),
		    getauxval(AT_GID), getauxval(AT_EGID), getauxval(AT_SECURE));
		Q(getauxval(AT_RANDOM) != 0);
		Q(getauxval(AT_SYSINFO_EHDR) != 0);
		Q(getauxval(AT_MINSIGSTKSZ) >= 4720);
		say("platform %s", platform ? platform : "none");
		Q(!strcmp((const char *)getauxval(AT_EXECFN), "/proc/self/exe") ||
		  strchr((const char *)getauxval(AT_EXECFN), '/'));
		Q((getauxval(AT_HWCAP) & 3) == 3);
		Q(((uintptr_t)argv & 7) == 0);
	} else {
		return -1;
	}
	return 0;
}
