/* SPDX-License-Identifier: MIT */
/* Clocks: the vDSO is a proper shared object and says what the calls say; the wall clock can be set and moves no other;
 * CPU clocks; alarms. And the trampoline, for programs that bring none. */
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/user/await.h"
#include "tests/user/check.h"

static char *vdso;
static int (*gettime)(int, struct timespec *);
static int (*timeofday)(struct timeval *, void *);
static int (*getres)(int, struct timespec *);
static char *trampoline;

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

static uint64_t by_call(int id)
{
	struct timespec t;

	CHECK(syscall(SYS_clock_gettime, id, &t) == 0);
	return ns_of(&t);
}

static uint64_t by_vdso(int id)
{
	struct timespec t;

	CHECK(gettime(id, &t) == 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	return ns_of(&t);
}

/* As libc looks it up: by the dynamic section, hash and version. */
static void *find(const char *name)
{
	Elf64_Ehdr *h = (void *)vdso;
	Elf64_Phdr *ph = (void *)(vdso + h->e_phoff);
	Elf64_Dyn *d = NULL;
	Elf64_Sym *sym = NULL;
	char *str = NULL;
	uint32_t *hash = NULL;
	uint16_t *versym = NULL;
	Elf64_Verdef *def = NULL;

	for (int i = 0; i < h->e_phnum; i++) {
		CHECK(ph[i].p_offset + ph[i].p_filesz <= 4096);
		if (ph[i].p_type == PT_DYNAMIC)
			d = (void *)(vdso + ph[i].p_offset);
	}
	CHECK(d != NULL);
	for (; d->d_tag; d++) {
		void *p = vdso + d->d_un.d_ptr;

		if (d->d_tag == DT_STRTAB)
			str = p;
		if (d->d_tag == DT_SYMTAB)
			sym = p;
		if (d->d_tag == DT_HASH)
			hash = p;
		if (d->d_tag == DT_VERSYM)
			versym = p;
		if (d->d_tag == DT_VERDEF)
			def = p;
	}
	CHECK(str && sym && hash && versym && def);
	for (uint32_t i = 0; i < hash[1]; i++) {
		Elf64_Verdef *v = def;

		if (strcmp(str + sym[i].st_name, name) != 0)
			continue;
		while ((v->vd_ndx & 0x7fff) != (versym[i] & 0x7fff) && v->vd_next)
			v = (void *)((char *)v + v->vd_next);
		CHECK(strcmp(str + ((Elf64_Verdaux *)((char *)v + v->vd_aux))->vda_name,
			     "LINUX_2.6.39") == 0);
		return vdso + sym[i].st_value;
	}
	return NULL;
}

static void shared_object(void)
{
	Elf64_Ehdr *h;

	vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	CHECK(vdso && ((uintptr_t)vdso & 4095) == 0);
	h = (void *)vdso;
	CHECK(memcmp(h->e_ident, ELFMAG, 4) == 0 && h->e_type == ET_DYN &&
	      h->e_machine == EM_AARCH64);
	CHECK(h->e_shnum == 0);
	*(void **)&gettime = find("__kernel_clock_gettime");
	*(void **)&timeofday = find("__kernel_gettimeofday");
	*(void **)&getres = find("__kernel_clock_getres");
	trampoline = find("__kernel_rt_sigreturn");
	CHECK(gettime && timeofday && getres && trampoline);
	CHECK(*(uint32_t *)trampoline == 0xd2801168 && *(uint32_t *)(trampoline + 4) == 0xd4000001);
	CHECK(mprotect(vdso, 4096, PROT_READ | PROT_WRITE) < 0);
	CHECK(mprotect(vdso - 4096, 4096, PROT_READ | PROT_WRITE) < 0);
}

static void same_as_calls(void)
{
	static const int ids[] = { CLOCK_REALTIME,	    CLOCK_MONOTONIC,
				   CLOCK_MONOTONIC_RAW,	    CLOCK_REALTIME_COARSE,
				   CLOCK_MONOTONIC_COARSE,  CLOCK_BOOTTIME,
				   CLOCK_THREAD_CPUTIME_ID, CLOCK_PROCESS_CPUTIME_ID };
	struct timespec t;
	struct timeval tv;

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		for (int n = 0; n < 200; n++) {
			uint64_t a = by_call(ids[i]), b = by_vdso(ids[i]), c = by_call(ids[i]);

			CHECK(a <= b && b <= c);
		}
	for (int n = 0; n < 200; n++) {
		uint64_t a = by_call(CLOCK_REALTIME), b, c;

		CHECK(timeofday(&tv, NULL) == 0);
		b = (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
		c = by_call(CLOCK_REALTIME);
		CHECK(a / 1000 <= b && b <= c / 1000);
	}
	CHECK(getres(CLOCK_MONOTONIC, &t) == 0 && t.tv_sec == 0 && t.tv_nsec == 1);
	CHECK(gettime(77, &t) == -EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_gettime, 12, &t), EINVAL);
}

static volatile int got;

static void handler(int sig)
{
	got = sig;
}

/* Without SA_RESTORER, as glibc asks for it. */
static void no_restorer(void)
{
	uint64_t act[4] = { (uintptr_t)handler, 0, 0, 0 };

	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, act, NULL, 8) == 0);
	CHECK(raise(SIGUSR1) == 0 && got == SIGUSR1);
	got = 0;
	if (fork() == 0) {
		raise(SIGUSR1);
		_exit(got != SIGUSR1);
	}
	CHECK(wait((int *)&got) > 0 && got == 0);
}

static void wall_clock(void)
{
	struct timespec was, set = { 1000000000, 5 }, now;
	struct timeval tv = { 1, 1000000 };
	struct timezone tz = { -60, 1 }, tz2;
	struct timex tx = { .modes = 0 };
	uint64_t mono = by_vdso(CLOCK_MONOTONIC);

	CHECK(clock_gettime(CLOCK_REALTIME, &was) == 0 && was.tv_sec > 1700000000);
	CHECK(clock_settime(CLOCK_REALTIME, &set) == 0);
	/* a step of years: what passes meanwhile is less than a thousand seconds on any host */
	CHECK(by_vdso(CLOCK_REALTIME) / 1000000000 - 1000000000 < 1000);
	CHECK(by_call(CLOCK_REALTIME) / 1000000000 - 1000000000 < 1000);
	CHECK(by_vdso(CLOCK_MONOTONIC) - mono < 1000000000000);
	CHECK(gettimeofday(&tv, NULL) == 0 && tv.tv_sec - 1000000000 < 1000);
	CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &set), EINVAL);
	set.tv_nsec = 1000000000;
	CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &set), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, 8), EFAULT);
	tv.tv_usec = 1000000;
	CHECK_ERRNO(syscall(SYS_settimeofday, &tv, NULL), EINVAL);
	CHECK(syscall(SYS_settimeofday, NULL, &tz) == 0 &&
	      syscall(SYS_gettimeofday, NULL, &tz2) == 0);
	CHECK(tz2.tz_minuteswest == -60 && tz2.tz_dsttime == 1);
	tz = (struct timezone){ 0, 0 };
	CHECK(syscall(SYS_settimeofday, NULL, &tz) == 0);
	CHECK(syscall(SYS_adjtimex, &tx) == TIME_ERROR && tx.time.tv_sec - 1000000000 < 1000);
	tx.modes = ADJ_FREQUENCY;
	CHECK_ERRNO(syscall(SYS_adjtimex, &tx), EPERM);
	now = was;
	now.tv_nsec += (long)((by_vdso(CLOCK_MONOTONIC) - mono) % 1000000);
	now.tv_sec += now.tv_nsec / 1000000000;
	now.tv_nsec %= 1000000000;
	CHECK(clock_settime(CLOCK_REALTIME, &now) == 0);
}

static volatile int stop;

static void *spin(void *arg)
{
	(void)arg;
	while (!stop)
		;
	return NULL;
}

static void cpu_clocks(void)
{
	uint64_t self, all, wall;
	clockid_t id;
	pthread_t t;

	CHECK(pthread_create(&t, NULL, spin, NULL) == 0);
	/* the span of each lies within that of the one before */
	wall = by_call(CLOCK_MONOTONIC);
	self = by_call(CLOCK_THREAD_CPUTIME_ID);
	all = by_call(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(pthread_getcpuclockid(t, &id) == 0 && AWAIT(by_call(id) > 10000000));
	all = by_call(CLOCK_PROCESS_CPUTIME_ID) - all;
	self = by_call(CLOCK_THREAD_CPUTIME_ID) - self;
	wall = by_call(CLOCK_MONOTONIC) - wall;
	CHECK(all <= 2 * wall);
	/* what of the process's time is not ours is the other one's */
	CHECK(by_call(id) + self >= all);
	stop = 1;
	pthread_join(t, NULL);
	CHECK(clock_getcpuclockid(getpid(), &id) == 0 && by_call(id) >= all);
	CHECK(by_call(CLOCK_PROCESS_CPUTIME_ID) >= all);
}

static volatile int rings;

static void ring(int sig)
{
	(void)sig;
	rings++;
}

/* It ends the storm by itself: on a slow host the next one is always there before this one is over, and the program has no
 * turn between the two. */
static void ring_200(int sig)
{
	static const struct itimerval off;

	(void)sig;
	if (++rings >= 200)
		CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

static void alarms(void)
{
	struct itimerval it = { { 0, 5000 }, { 0, 1000 } }, old;
	struct sigaction sa = { .sa_handler = ring };
	uint64_t begin = by_vdso(CLOCK_MONOTONIC);

	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &it, &old) == 0 && old.it_value.tv_sec == 0 &&
	      old.it_value.tv_usec == 0);
	while (rings < 10)
		pause();
	CHECK(by_vdso(CLOCK_MONOTONIC) - begin >= 46000000);
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_interval.tv_usec == 5000 &&
	      old.it_value.tv_usec <= 5000);
	it = (struct itimerval){ { 0, 0 }, { 0, 0 } };
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	/* the fastest there is costs no more than the program takes */
	it = (struct itimerval){ { 0, 1 }, { 0, 1 } };
	rings = 0;
	sa.sa_handler = ring_200;
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	while (rings < 200)
		;
	it = (struct itimerval){ { 0, 0 }, { 0, 0 } };
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	CHECK_ERRNO(setitimer(3, &it, NULL), EINVAL);
	it.it_value.tv_usec = 1000000;
	CHECK_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, &it, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, 8, NULL), EFAULT);
	/* an end with an alarm to come */
	if (fork() == 0) {
		alarm(1);
		_exit(0);
	}
	CHECK(wait(NULL) > 0);
}

/* --- timers ---------------------------------------------------------------------------------------------------------- */

static void ignore_it(int sig)
{
}

/* Timers that ring all the time are made, set, asked and deleted by several threads, each other's too. */
static void *timer_work(void *seed)
{
	uint32_t x = (uint32_t)(uintptr_t)seed;

	for (int i = 0; i < 100; i++) {
		struct sigevent e = { .sigev_notify = i % 3 ? SIGEV_SIGNAL : 4,
				      .sigev_signo = i % 2 ? SIGRTMIN + 1 : SIGUSR1 };
		struct itimerspec t = { { 0,
					  10000000 + (x = x * 1664525 + 1013904223) % 100000000 },
					{ 0, 1 + x % 5000 } };
		int id = -1, flags = x >> 8 & TIMER_ABSTIME;

		((int *)&e)[4] = (int)syscall(SYS_gettid);
		CHECK(syscall(SYS_timer_create, x & 64 ? CLOCK_REALTIME : CLOCK_MONOTONIC, &e,
			      &id) == 0);
		CHECK(syscall(SYS_timer_settime, id, flags, &t, NULL) == 0 || errno == EINVAL);
		(void)syscall(SYS_timer_settime, x >> 16 & 127, 0, &t, NULL);
		(void)syscall(SYS_timer_gettime, x >> 12 & 127, &t);
		(void)syscall(SYS_timer_getoverrun, id);
		/* some are left for the end */
		if (x >> 20 & 3)
			(void)syscall(SYS_timer_delete, x >> 24 & 1 ? id : id - 1);
	}
	return NULL;
}

static void timers(void)
{
	enum { THREADS = 4 };
	pthread_t t[THREADS];
	sigset_t all;
	int status;

	for (int round = 0; round < 4; round++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			signal(SIGRTMIN + 1, ignore_it);
			signal(SIGUSR1, round & 1 ? SIG_IGN : ignore_it);
			for (uintptr_t i = 0; i < THREADS; i++)
				CHECK(pthread_create(&t[i], NULL, timer_work,
						     (void *)(i + THREADS * (unsigned)round)) == 0);
			for (int i = 0; i < THREADS; i++)
				CHECK(pthread_join(t[i], NULL) == 0);
			/* what is on its way would end the next program */
			sigfillset(&all);
			sigprocmask(SIG_BLOCK, &all, NULL);
			if (round & 2)
				execl("/bin/true", "true", NULL);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
}

int main(void)
{
	shared_object();
	same_as_calls();
	no_restorer();
	wall_clock();
	cpu_clocks();
	alarms();
	timers();
	return 0;
}
