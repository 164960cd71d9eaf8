/* SPDX-License-Identifier: MIT */
/* The user's frame while a system call runs. Row L9: nobody writes into it but who returns the result. */
#include "kernel/syscall.h"

#include <asm/poll.h>
#include <asm/unistd.h>
#include <linux/time.h>

#include "fs/fdtable.h"
#include "fs/file.h"
#include "kernel/context.h"
#include "kernel/core/clock.h"
#include "kernel/core/panic.h"
#include "kernel/proc/lifecycle.h"
#include "kernel/proc/process.h"
#include "kernel/signal.h"
#include "kernel/spawn.h"
#include "kernel/sys_priv.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"
#include "sched/wait.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

static struct trap_frame victim;
static uint32_t found; /* [atomic] the damage was noticed, or the time is up */
static uint64_t *target;
static bool missed; /* the time was up: nobody looks, and the others need not be tried */

/* Calls that give way, until one finds its frame changed. */
static void call_until_damaged(void *unused)
{
	uint64_t end = crew_hang_deadline();

	while (clock_now_ns() < end) {
		victim.x[8] = __NR_sched_yield;
		syscall_dispatch(&victim);
	}
	missed = true;
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
	uint64_t *const words[] = { &victim.x[1],   &victim.x[19], &victim.x[30],
				    &victim.sp_el0, &victim.elr,   &victim.spsr };

	victim = (struct trap_frame){ .elr = 0x400000 };
	missed = false;
	for (unsigned i = 0; i < ARRAY_SIZE(words) && !missed; i++)
		damage(words[i]);
}

/* --- what an interrupted call answers -------------------------------------------------------------------------------- */

static ssize_t interrupted(struct file *f, struct io *io, off_t *pos)
{
	return -ERESTARTSYS;
}

static const struct file_ops interrupted_ops = { .name = "interrupted", .read = interrupted };

static struct trap_frame read_of_3(void)
{
	return (struct trap_frame){ .x = { 3, 0x1000, 8, [8] = __NR_read },
				    .elr = 0x400004,
				    .syscall = -1 };
}

/* The calling thread belongs to a process with one file, whose reads are all interrupted. */
static void read_interrupted(void *arg)
{
	struct process *p = arg;
	struct thread *t = current_thread();
	struct trap_frame f = read_of_3();

	t->process = p;
	/* nobody wants to be let in: the program hears of it, and is not sent round for ever */
	syscall_dispatch(&f);
	KT_CHECK((int64_t)f.x[0] == -EINTR && f.elr == 0x400004 && f.syscall < 0);
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

/* fn, in a thread of a process whose file 3 is of that kind and announces itself there. */
static void with_file(const struct file_ops *ops, struct poll_source *source, void (*fn)(void *))
{
	struct process *p = process_create(NULL, "reader");
	struct fdtable *files = fdtable_create();
	struct file *f = file_create(ops, FILE_RDWR, source, NULL);
	struct crew crew = { 0 };

	KT_CHECK(p && files && f && fdtable_install(files, f, 3, false, 16) == 3);
	p->files = files;
	crew_add(&crew, fn, p, ~(cpumask_t)0);
	crew_join(&crew);
	p->files = NULL;
	fdtable_put(files);
	process_abandon(p);
}

KTEST(syscall_interrupted)
{
	with_file(&interrupted_ops, NULL, read_interrupted);
}

/* --- I-FD-2: whose reference keeps a file that is in use ------------------------------------------------------------ */

static ssize_t count_references(struct file *f, struct io *io, off_t *pos)
{
	return refcount_read(&f->ref);
}

static ssize_t close_itself(struct file *f, struct io *io, off_t *pos)
{
	return fdtable_close(current_process()->files, 3);
}

static const struct file_ops counting_ops = { .name = "counting", .read = count_references };
static const struct file_ops closing_ops = { .name = "closing", .read = close_itself };

static int64_t references_in_a_read(void)
{
	struct trap_frame f = read_of_3();

	syscall_dispatch(&f);
	return (int64_t)f.x[0];
}

/* Its thread is not started. */
static void never(void *arg)
{
}

/* A second thread, or another process's table, and each read counts its file. */
static void count_in_company(void *arg)
{
	struct process *p = arg;
	struct thread *t = current_thread(), *other;

	process_add_thread(p, t);
	KT_CHECK(references_in_a_read() == 1);
	other = thread_create("other", never, NULL, KSTACK_SIZE);
	KT_CHECK(other != NULL);
	process_add_thread(p, other);
	KT_CHECK(references_in_a_read() == 2);
	KT_CHECK(!process_remove_thread(p, other));
	process_put(p);
	thread_put(other);
	KT_CHECK(references_in_a_read() == 1);
	IGNORE(fdtable_get(p->files));
	KT_CHECK(references_in_a_read() == 2);
	fdtable_put(p->files);
	KT_CHECK(references_in_a_read() == 1);
	KT_CHECK(process_remove_thread(p, t));
	process_put(p);
}

KTEST(syscall_borrows_alone)
{
	with_file(&counting_ops, NULL, count_in_company);
}

static void dispatch_read(void *unused)
{
	struct trap_frame f = read_of_3();

	syscall_dispatch(&f);
}

static void close_while_read(void *arg)
{
	struct process *p = arg;
	struct thread *t = current_thread();

	process_add_thread(p, t);
	kt_expect_bug(dispatch_read, NULL, "fdtable_peek");
	KT_CHECK(process_remove_thread(p, t));
	process_put(p);
}

KTEST(syscall_borrowed_file_stays)
{
	with_file(&closing_ops, NULL, close_while_read);
}

/* --- N12: what comes between a look and the sleep ---------------------------------------------------------------------- */

static struct {
	struct poll_source source;
	unsigned looks, when;
	bool ready;
} news;

/* Nothing; and as soon as that has been said for the `when`-th time, there is something, once announced. */
static uint32_t late_news(struct file *f)
{
	uint32_t events = news.ready ? POLL_IN : 0;

	if (++news.looks == news.when) {
		news.ready = true;
		poll_notify(&news.source, POLL_IN);
	}
	return events;
}

static const struct file_ops late_ops = { .name = "late", .poll = late_news };

/* Only a poll that has missed it sleeps until there is no time left. */
static void poll_late(void *arg)
{
	const struct pollfd asked = { .fd = 3, .events = POLL_IN };
	const struct __kernel_timespec limit = { .tv_sec = 20 };
	struct __kernel_timespec left = { 0 };
	struct vm_space *s = vm_space_create();
	struct process *p = arg;
	vaddr_t at = 0;

	KT_CHECK(s && vm_map(s, 0, PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0, &at) == 0);
	space_switch(s);
	process_add_thread(p, current_thread());
	for (news.when = 1; news.when <= 2; news.when++) {
		const uint64_t a[6] = { at, 1, at + sizeof(asked) };

		news.looks = 0;
		news.ready = false;
		KT_CHECK(user_copy_to(at, &asked, sizeof(asked)) == 0);
		KT_CHECK(user_copy_to(a[2], &limit, sizeof(limit)) == 0);
		KT_CHECK(sys_ppoll(a) == 1 && news.looks == news.when + 1);
		KT_CHECK(user_copy_from(&left, a[2], sizeof(left)) == 0 && left.tv_sec > 0);
	}
	space_switch(NULL);
	KT_CHECK(process_remove_thread(p, current_thread()));
	process_put(p);
	vm_space_put(s);
	vm_space_reap();
}

KTEST(poll_looks_again)
{
	poll_source_init(&news.source);
	with_file(&late_ops, &news.source, poll_late);
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
