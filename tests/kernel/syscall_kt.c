/* SPDX-License-Identifier: MIT */
/* The user's frame while a system call runs. Row L9: nobody writes into it but who returns the result. */
#include "kernel/syscall.h"

#include <asm/unistd.h>

#include "fs/fdtable.h"
#include "fs/file.h"
#include "kernel/core/clock.h"
#include "kernel/core/panic.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/proc/process.h"
#include "kernel/signal.h"
#include "kernel/spawn.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "sched/wait.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

static struct trap_frame victim;
static uint32_t found; /* [atomic] the damage was noticed, or the time is up */
static uint64_t *target;

/* Calls that give way, until one finds its frame changed. */
static void call_until_damaged(void *unused)
{
	uint64_t end = crew_deadline_ms(2000);

	while (clock_now_ns() < end) {
		victim.x[8] = __NR_sched_yield;
		syscall_dispatch(&victim);
	}
}

static void caller(void *unused)
{
	kt_expect_bug(call_until_damaged, NULL, "frame_sum");
	atomic_store_release(&found, 1);
}

/* On the same CPU: it runs inside the other's call. */
static void scribbler(void *unused)
{
	while (!atomic_load_acquire(&found)) {
		WRITE_ONCE(*target, *target + 1);
		sched_yield();
	}
}

static void damage(uint64_t *what)
{
	struct crew crew = { 0 };

	target = what;
	atomic_store_relaxed(&found, 0);
	crew_add(&crew, caller, NULL, BIT(0));
	crew_add(&crew, scribbler, NULL, BIT(0));
	crew_join(&crew);
}

KTEST(syscall_frame_overwritten)
{
	victim = (struct trap_frame){ .elr = 0x400000 };
	damage(&victim.x[1]);
	damage(&victim.x[19]);
	damage(&victim.x[30]);
	damage(&victim.sp_el0);
	damage(&victim.elr);
	damage(&victim.spsr);
}

/* --- what an interrupted call answers -------------------------------------------------------------------------------- */

static ssize_t interrupted(struct file *f, struct io *io, off_t *pos)
{
	return -ERESTARTSYS;
}

static const struct file_ops interrupted_ops = { .name = "interrupted", .read = interrupted };

/* The calling thread belongs to a process with one file, whose reads are all interrupted. */
static void read_interrupted(void *arg)
{
	struct process *p = arg;
	struct thread *t = current_thread();
	struct trap_frame f = { .elr = 0x400004 };

	t->process = p;
	f.x[8] = __NR_read;
	f.x[0] = 3;
	f.x[1] = 0x1000;
	f.x[2] = 8;
	/* nobody wants to be let in: the program hears of it, and is not sent round for ever */
	syscall_dispatch(&f);
	KT_CHECK((int64_t)f.x[0] == -EINTR && f.elr == 0x400004);
	/* a signal waits: the call is made again once it has been looked at */
	f.x[0] = 3;
	process_add_thread(p, t);
	atomic_fetch_or(&t->notify, NOTIFY_SIGNAL);
	syscall_dispatch(&f);
	KT_CHECK((int64_t)f.x[0] == -ERESTARTSYS && f.syscall == __NR_read);
	signal_deliver(&f);
	KT_CHECK(f.x[0] == 3 && f.elr == 0x400000 && f.syscall < 0);
	KT_CHECK(process_remove_thread(p, t));
	process_put(p);
	t->process = NULL;
}

KTEST(syscall_interrupted)
{
	struct process *p = process_create(NULL, "interrupted");
	struct fdtable *files = fdtable_create();
	struct file *f = file_create(&interrupted_ops, FILE_RDWR, NULL, NULL);
	struct crew crew = { 0 };

	KT_CHECK(p && files && f && fdtable_install(files, f, 3, false, 16) == 3);
	p->files = files;
	crew_add(&crew, read_interrupted, p, ~(cpumask_t)0);
	crew_join(&crew);
	p->files = NULL;
	fdtable_put(files);
	process_abandon(p);
}

/* --- a timer every 100 us on each CPU while real programs make calls: the debug image sums each frame -------------------- */

static void tick(struct timer *t)
{
	timer_arm(t, clock_now_ns() + 100000);
}

static void run_regcheck(void *unused)
{
	const char *argv[] = { "/bin/regcheck", NULL };
	const struct spawn_args args = { .path = argv[0], .argv = argv };
	struct process *p;
	int status = -1;

	if (process_spawn(&args, &p) < 0) {
		kt_fail(__FILE__, __LINE__, "no regcheck");
		return;
	}
	wait_event(&p->exited.wq, process_exited(p, &status));
	KT_CHECK(status == 0);
	process_put(p);
}

/* Armed where it runs, so each CPU gets its own. */
static void arm(void *timer)
{
	timer_arm(timer, clock_now_ns());
}

KTEST(syscall_frames_under_timers)
{
	static struct timer timers[8];
	static struct crew arming, programs;
	unsigned n = MIN(cpu_count(), (unsigned)ARRAY_SIZE(timers));

	arming.n = 0;
	programs.n = 0;

	for (unsigned i = 0; i < n; i++) {
		timer_init(&timers[i], tick);
		crew_add(&arming, arm, &timers[i], BIT(i));
	}
	crew_join(&arming);
	crew_add(&programs, run_regcheck, NULL, ~(cpumask_t)0);
	crew_add(&programs, run_regcheck, NULL, ~(cpumask_t)0);
	crew_join(&programs);
	for (unsigned i = 0; i < n; i++)
		timer_cancel(&timers[i]);
}
