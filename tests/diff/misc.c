/* SPDX-License-Identifier: MIT */
/* Clocks and timers, who one is and may become, and the small calls about the system. */
#include <grp.h>
#include <linux/futex.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include "tests/diff/lib/diff.h"

CASE(clocks)
{
	static const int all[] = { CLOCK_REALTIME,
				   CLOCK_MONOTONIC,
				   CLOCK_PROCESS_CPUTIME_ID,
				   CLOCK_THREAD_CPUTIME_ID,
				   CLOCK_MONOTONIC_RAW,
				   CLOCK_REALTIME_COARSE,
				   CLOCK_MONOTONIC_COARSE,
				   CLOCK_BOOTTIME,
				   CLOCK_TAI,
				   10,
				   12,
				   77,
				   -1 };
	struct timespec t;

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		t = (struct timespec){ -1, -1 };
		R(syscall(SYS_clock_gettime, all[i], &t));
		Q(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
		R(clock_gettime(all[i], &t));
		R(syscall(SYS_clock_getres, all[i], &t));
		R(syscall(SYS_clock_getres, all[i], NULL));
	}
	R(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, BAD));
	R(syscall(SYS_clock_getres, CLOCK_MONOTONIC, BAD));
	Q(now_ns(CLOCK_REALTIME) > 1500000000LL * 1000000000);
	int64_t a = now_ns(CLOCK_MONOTONIC);

	/* what the clock must show */
	let_pass(5);
	Q(now_ns(CLOCK_MONOTONIC) - a >= 5000000);
	R(syscall(SYS_clock_getres, CLOCK_MONOTONIC, &t));
	say("%ld %ld", (long)t.tv_sec, (long)t.tv_nsec);
}

CASE(wall_clock)
{
	struct timespec t, now;
	struct timeval tv;
	int64_t mono = now_ns(CLOCK_MONOTONIC);

	R(syscall(SYS_gettimeofday, &tv, NULL));
	Q(tv.tv_usec >= 0 && tv.tv_usec < 1000000);
	R(syscall(SYS_gettimeofday, NULL, NULL));
	R(syscall(SYS_gettimeofday, BAD, NULL));
	clock_gettime(CLOCK_REALTIME, &now);
	t = now;
	t.tv_sec += 1000000;
	R(clock_settime(CLOCK_REALTIME, &t));
	Q(now_ns(CLOCK_REALTIME) / 1000000000 - t.tv_sec < 10);
	Q(now_ns(CLOCK_REALTIME) / 1000000000 >= t.tv_sec);
	Q(now_ns(CLOCK_MONOTONIC) - mono < 10000000000);
	t.tv_sec -= 1000000;
	R(clock_settime(CLOCK_REALTIME, &t));
	t.tv_nsec = 1000000000;
	R(clock_settime(CLOCK_REALTIME, &t));
	t.tv_nsec = -1;
	R(clock_settime(CLOCK_REALTIME, &t));
	t = (struct timespec){ -1, 0 };
	R(clock_settime(CLOCK_REALTIME, &t));
	/* before the boot */
	t = (struct timespec){ 0, 0 };
	R(clock_settime(CLOCK_REALTIME, &t));
	R(clock_settime(CLOCK_REALTIME, BAD));
	t = (struct timespec){ 1000, 0 };
	R(clock_settime(CLOCK_MONOTONIC, &t));
	R(clock_settime(CLOCK_PROCESS_CPUTIME_ID, &t));
	R(clock_settime(77, &t));
	R(syscall(SYS_settimeofday, BAD, NULL));
	if (fork() == 0) {
		setuid(1000);
		R(clock_settime(CLOCK_REALTIME, &now));
		_exit(0);
	}
	wait(NULL);
}

static void step(int64_t seconds)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += seconds;
	clock_settime(CLOCK_REALTIME, &t);
}

static struct timespec in_ms(int64_t ms)
{
	int64_t ns = now_ns(CLOCK_REALTIME) + ms * 1000000;

	return (struct timespec){ ns / 1000000000, ns % 1000000000 };
}

/* The waits that a step of the wall clock may concern: each says how it ends. */
static int wait_for_wall(void *arg)
{
	static int word;
	struct timespec t = in_ms(1000000);

	if (*(char *)arg == 's')
		R(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL));
	else if (*(char *)arg == 'f')
		R(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, NULL,
			  -1));
	else if (*(char *)arg == 'r')
		R(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0,
			  &(struct timespec){ 0, 300000000 }, NULL));
	if (*(char *)arg == 'b') {
		int64_t begin = now_ns(CLOCK_MONOTONIC);

		t = in_ms(2000);
		R(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL));
		Q(now_ns(CLOCK_MONOTONIC) - begin >= 2900000000);
	}
	return 0;
}

CASE(wall_steps)
{
	int64_t begin;
	pid_t pid;

	for (const char *kind = "sf"; *kind; kind++) {
		pid = start_child(wait_for_wall, (char *)kind);
		until_asleep(pid);
		/* not there yet, then further away, then past it */
		step(500);
		let_pass(50);
		R(waitpid(pid, NULL, WNOHANG));
		step(-1000);
		/* in which it must not end */
		let_pass(50);
		R(waitpid(pid, NULL, WNOHANG));
		step(2000);
		REAP(pid);
		step(-1500);
	}
	begin = now_ns(CLOCK_MONOTONIC);
	pid = start_child(wait_for_wall, (char *)"r");
	until_asleep(pid);
	step(1000);
	REAP(pid);
	Q(now_ns(CLOCK_MONOTONIC) - begin >= 300000000);
	/* a deadline that a step back moves away is not met by the old one */
	pid = start_child(wait_for_wall, (char *)"b");
	until_asleep(pid);
	step(-1);
	REAP(pid);
	step(-999);
}

/* What the host halts counts as used: so not each time. */
static bool sleep_costs_nothing(void)
{
	int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);

	/* what must cost no CPU time */
	let_pass(50);
	return now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu < 30000000;
}

static int has_used_little(void *arg)
{
	(void)arg;
	return now_ns(CLOCK_PROCESS_CPUTIME_ID) >= 50000000;
}

static bool child_begins_anew(void)
{
	int status = -1;
	pid_t pid = start_child(has_used_little, NULL);

	return waitpid(pid, &status, 0) == pid && status == 0;
}

CASE(cpu_time)
{
	struct tms a, b;
	clock_t at = times(&a);
	int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);

	Q(at > 0);
	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu < 50000000)
		;
	times(&b);
	Q(b.tms_utime + b.tms_stime - a.tms_utime - a.tms_stime >= 3);
	Q(b.tms_cutime == 0 && b.tms_cstime == 0);
	Q(AWAIT(sleep_costs_nothing()));
	Q(AWAIT(child_begins_anew()));
	if (fork() == 0) {
		cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
		while (now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu < 50000000)
			;
		_exit(0);
	}
	wait(NULL);
	times(&b);
	Q(b.tms_cutime + b.tms_cstime >= 3);
	R(syscall(SYS_times, BAD));
	Q(syscall(SYS_times, NULL) > 0);
}

static volatile int fired;

static void fire(int sig, siginfo_t *si, void *context)
{
	(void)context;
	if (!fired)
		say("%s code %d value %d", signal_name(sig), si->si_code, si->si_value.sival_int);
	fired++;
}

CASE(posix_timers)
{
	struct sigaction sa = { .sa_sigaction = fire, .sa_flags = SA_SIGINFO };
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec t = { { 0, 3000000 }, { 0, 3000000 } }, now;
	int id = -1;

	sigaction(SIGUSR1, &sa, NULL);
	e.sigev_value.sival_int = 77;
	R(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id));
	say("id %d", id);
	R(syscall(SYS_timer_gettime, id, &now));
	say("%ld %ld", (long)now.it_value.tv_sec, (long)now.it_value.tv_nsec);
	R(syscall(SYS_timer_settime, id, 0, &t, NULL));
	AWAIT(fired >= 3);
	Q(fired >= 3);
	R(syscall(SYS_timer_getoverrun, id) >= 0);
	R(syscall(SYS_timer_delete, id));
	R(syscall(SYS_timer_delete, id));
	R(syscall(SYS_timer_settime, id, 0, &t, NULL));
	R(syscall(SYS_timer_gettime, 99, &now));
	R(syscall(SYS_timer_create, 77, &e, &id));
	R(syscall(SYS_timer_create, CLOCK_MONOTONIC, BAD, &id));
	R(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, BAD));
	e.sigev_signo = 99;
	R(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id));
	e.sigev_notify = 99;
	R(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id));
	R(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id));
}

static struct itimerspec spec(long ms, long every_ms)
{
	return (struct itimerspec){ { every_ms / 1000, every_ms % 1000 * 1000000 },
				    { ms / 1000, ms % 1000 * 1000000 } };
}

static int new_timer(int clock, int notify, int signo, int tid)
{
	struct sigevent e = { .sigev_notify = notify, .sigev_signo = signo };
	int id = -1;

	e.sigev_value.sival_int = 5;
	((int *)&e)[4] = tid;
	return syscall(SYS_timer_create, clock, &e, &id) < 0 ? -errno : id;
}

/* What a blocked signal says when it is taken. */
static void take_one(int line, int signo, long ms)
{
	struct timespec limit = { ms / 1000, ms % 1000 * 1000000 };
	siginfo_t si = { 0 };
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, signo);
	got = sigtimedwait(&set, &si, &limit);
	if (got < 0)
		diff_say(line, "none");
	else
		diff_say(line, "%d code %d id %d value %d", got, si.si_code, si.si_timerid,
			 si.si_value.sival_int);
}
#define TAKE(signo, ms) take_one(__LINE__, signo, ms)

static bool is_pending(int signo)
{
	sigset_t set;

	return sigpending(&set) == 0 && sigismember(&set, signo) == 1;
}

CASE(posix_timers_told)
{
	struct itimerspec t, old;
	sigset_t all;
	int id, other;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	/* once, and then not any more */
	id = new_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0);
	t = spec(1, 0);
	R(syscall(SYS_timer_settime, id, 0, &t, &old));
	Q(old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0);
	TAKE(SIGUSR1, 20000);
	R(syscall(SYS_timer_gettime, id, &old));
	Q(old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0);
	R(syscall(SYS_timer_getoverrun, id));
	TAKE(SIGUSR1, 0);
	/* a thread's own, by number; the wall clock */
	other = new_timer(CLOCK_REALTIME, SIGEV_THREAD_ID, SIGRTMIN + 1, getpid());
	say("id %d", other);
	clock_gettime(CLOCK_REALTIME, &t.it_value);
	R(syscall(SYS_timer_settime, other, TIMER_ABSTIME, &t, NULL));
	TAKE(SIGRTMIN + 1, 20000);
	/* so long ago that many were missed; one signal says so */
	t = spec(1, 1);
	R(syscall(SYS_timer_settime, id, 0, &t, NULL));
	let_pass(20);
	TAKE(SIGUSR1, 20000);
	Q(syscall(SYS_timer_getoverrun, id) > 2);
	R(syscall(SYS_timer_gettime, id, &old));
	Q(old.it_interval.tv_nsec == 1000000 && old.it_value.tv_nsec > 0);
	/* stopped with its signal on the way */
	TAKE(SIGUSR1, 20000);
	AWAIT(is_pending(SIGUSR1));
	t = spec(0, 0);
	R(syscall(SYS_timer_settime, id, 0, &t, &old));
	TAKE(SIGUSR1, 20000);
	TAKE(SIGUSR1, 20);
	/* deleted with its signal on the way */
	t = spec(1, 0);
	R(syscall(SYS_timer_settime, id, 0, &t, NULL));
	AWAIT(is_pending(SIGUSR1));
	R(syscall(SYS_timer_delete, id));
	TAKE(SIGUSR1, 20000);
	/* ignored, and then not any more */
	signal(SIGUSR2, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	id = new_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 0);
	t = spec(1, 1);
	R(syscall(SYS_timer_settime, id, 0, &t, NULL));
	/* so often does it go off unheard */
	let_pass(5);
	sigprocmask(SIG_BLOCK, &all, NULL);
	TAKE(SIGUSR2, 20000);
	/* one that says nothing */
	id = new_timer(CLOCK_BOOTTIME, SIGEV_NONE, 0, 0);
	t = spec(1000000, 0);
	R(syscall(SYS_timer_settime, id, 0, &t, NULL));
	R(syscall(SYS_timer_gettime, id, &old));
	Q(old.it_value.tv_sec >= 900);
	t.it_value.tv_nsec = -1;
	R(syscall(SYS_timer_settime, id, 0, &t, NULL));
	R(syscall(SYS_timer_settime, id, 0, NULL, NULL));
	R(syscall(SYS_timer_settime, id, 0, BAD, NULL));
	R(syscall(SYS_timer_gettime, id, BAD));
	say("%d", new_timer(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGUSR1, 1));
	say("%d", new_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, 0, 0));
	say("%d", new_timer(CLOCK_MONOTONIC_RAW, SIGEV_SIGNAL, SIGUSR1, 0));
	/* not a child's */
	if (fork() == 0) {
		R(syscall(SYS_timer_gettime, id, &old));
		_exit(0);
	}
	wait(NULL);
}

/* ---- who one is */

static void say_ids(int line)
{
	unsigned r, e, s, rg, eg, sg;

	syscall(SYS_getresuid, &r, &e, &s);
	syscall(SYS_getresgid, &rg, &eg, &sg);
	diff_say(line, "uid %u %u %u gid %u %u %u", r, e, s, rg, eg, sg);
}
#define IDS() say_ids(__LINE__)

static int by_raw(const char *what)
{
	if (!strcmp(what, "setuid")) {
		R(syscall(SYS_setuid, 1000));
		IDS();
		R(syscall(SYS_setuid, 1000));
		R(syscall(SYS_setuid, 0));
		R(syscall(SYS_setuid, 1001));
		R(syscall(SYS_setgid, 0));
		R(syscall(SYS_setgid, 5));
	} else if (!strcmp(what, "setresuid")) {
		R(syscall(SYS_setresuid, 1, 2, 3));
		IDS();
		R(syscall(SYS_setresuid, -1, 3, -1));
		R(syscall(SYS_setresuid, 2, 1, -1));
		R(syscall(SYS_setresuid, 3, 1, 1));
		R(syscall(SYS_setresuid, 4, -1, -1));
		IDS();
	} else if (!strcmp(what, "setreuid")) {
		R(syscall(SYS_setreuid, 1000, 1001));
		IDS();
		R(syscall(SYS_setreuid, -1, 1000));
		IDS();
		R(syscall(SYS_setreuid, -1, 1001));
		IDS();
		R(syscall(SYS_setreuid, 0, -1));
		R(syscall(SYS_setuid, 1001));
	} else if (!strcmp(what, "seteuid")) {
		R(syscall(SYS_setresuid, -1, 1000, -1));
		IDS();
		R(open("/tmp/diff/secret", O_RDONLY));
		R(syscall(SYS_setresuid, -1, 0, -1));
		R(open("/tmp/diff/secret", O_RDONLY) >= 0);
		IDS();
	} else if (!strcmp(what, "groups")) {
		R(syscall(SYS_setgid, 50));
		IDS();
		R(syscall(SYS_setresgid, 1, 2, 3));
		IDS();
		R(syscall(SYS_setregid, 7, 8));
		IDS();
	} else {
		R(syscall(SYS_setresuid, 1000, 1000, 0));
		IDS();
		R(syscall(SYS_setuid, 0));
		IDS();
		R(syscall(SYS_setgroups, 0, NULL));
		R(syscall(SYS_setfsuid, 0));
	}
	return 0;
}

static int by_name(void *arg)
{
	return by_raw(arg);
}

CASE(identity)
{
	IDS();
	put_file("secret", "x", 0600);
	REAP(start_child(by_name, (void *)"setuid"));
	REAP(start_child(by_name, (void *)"setresuid"));
	REAP(start_child(by_name, (void *)"setreuid"));
	REAP(start_child(by_name, (void *)"seteuid"));
	REAP(start_child(by_name, (void *)"groups"));
	REAP(start_child(by_name, (void *)"saved"));
	IDS();
	R(syscall(SYS_getresuid, BAD, NULL, NULL));
	R(syscall(SYS_getresgid, BAD, NULL, NULL));
	R(syscall(SYS_setuid, -1));
	R(syscall(SYS_setresuid, -1, -1, -1));
}

CASE(groups)
{
	gid_t g[3] = { 5, 6, 7 }, got[10] = { 0 };

	R(setgroups(3, g));
	R(getgroups(0, NULL));
	R(getgroups(2, got));
	R(getgroups(10, got));
	say("%u %u %u", got[0], got[1], got[2]);
	R(getgroups(-1, got));
	R(getgroups(3, BAD));
	R(setgroups(3, BAD));
	R(setgroups(70000, g));
	put_file("f", "", 0640);
	chown("f", 0, 6);
	if (fork() == 0) {
		R(syscall(SYS_setuid, 1000));
		R(open("f", O_RDONLY) >= 0);
		R(open("f", O_RDWR));
		R(setgroups(3, g));
		R(syscall(SYS_setgid, 6));
		_exit(0);
	}
	wait(NULL);
	if (fork() == 0) {
		R(setgroups(0, NULL));
		R(syscall(SYS_setuid, 1000));
		R(open("f", O_RDONLY));
		_exit(0);
	}
	wait(NULL);
}

/* access() asks for the real user, everything else for the effective one. */
CASE(access_and_open)
{
	put_file("f", "", 0600);
	R(syscall(SYS_setresuid, 1000, 0, 0));
	R(access("f", R_OK));
	R(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
	R(open("f", O_RDONLY) >= 0);
}

/* ---- the system */

CASE(uname)
{
	struct utsname u;

	R(uname(&u));
	say("%s %s", u.sysname, u.machine);
	R(syscall(SYS_uname, BAD));
	R(sethostname("a-name", 6));
	uname(&u);
	say("%s", u.nodename);
	R(sethostname("x", 65));
	R(sethostname("x", -1));
	R(sethostname(BAD, 5));
	R(setdomainname("dom", 3));
	uname(&u);
	say("%s", u.domainname);
}

CASE(sysinfo)
{
	struct sysinfo s;

	R(sysinfo(&s));
	Q(s.totalram > s.freeram && s.mem_unit == 1 && s.procs > 0 && s.uptime > 0);
	Q(s.totalswap == 0);
	R(syscall(SYS_sysinfo, BAD));
	R(sysconf(_SC_PAGESIZE));
	Q(sysconf(_SC_NPROCESSORS_ONLN) > 0);
}

CASE(prctl)
{
	char name[20] = "";
	int v = -1;

	R(prctl(PR_SET_NAME, "short"));
	R(prctl(PR_GET_NAME, name));
	say("%s", name);
	R(prctl(PR_SET_NAME, BAD));
	R(prctl(PR_GET_NAME, BAD));
	R(prctl(7777));
	R(prctl(PR_GET_DUMPABLE));
	R(prctl(PR_SET_DUMPABLE, 0));
	R(prctl(PR_GET_DUMPABLE));
	R(prctl(PR_SET_DUMPABLE, 5));
	R(prctl(PR_SET_PDEATHSIG, SIGUSR1));
	R(prctl(PR_GET_PDEATHSIG, &v));
	say("%d", v);
	R(prctl(PR_GET_CHILD_SUBREAPER, &v));
	say("%d", v);
	R(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	R(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	R(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

CASE(personality)
{
	R(personality(0xffffffff));
}

CASE(missing_calls)
{
	R(syscall(9999));
	R(syscall(-1));
	R(syscall(244));
	R(syscall(300));
	R(syscall(511));
	R(syscall(1L << 32 | 9999));
}

CASE(rights_of_root)
{
	if (fork() == 0) {
		R(syscall(SYS_setuid, 1000));
		R(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
		R(sethostname("x", 1));
		R(settimeofday(&(struct timeval){ 5, 5 }, NULL));
		R(chroot("/"));
		R(mknod("/tmp/x", S_IFCHR | 0600, 0x103));
		R(syscall(SYS_setgid, 5));
		R(nice(-5));
		R(syscall(SYS_syslog, 5, NULL, 0));
		R(vhangup());
		_exit(0);
	}
	wait(NULL);
	R(syscall(SYS_reboot, 1, 2, 3, NULL));
	R(syscall(SYS_reboot, 0xfee1dead, 672274793, 77, NULL));
}
