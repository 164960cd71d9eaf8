/* SPDX-License-Identifier: MIT */
/* A report on demand: what each CPU does, how its run queue is, and of each thread the state, where it sleeps and the mutexes it
 * holds. Nothing is stopped for it, so its lines are of moments close to each other, not of one. */
#include "kernel/machine_report.h"
#include "fs/procfs.h"
#include "kernel/core/clock.h"
#include "kernel/core/cpu_trace.h"
#include "kernel/core/log.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "sched/thread.h"

#define DEPTH 12
#define HELD  4

/* Copied under the registry's lock, which forbids to allocate. */
struct row {
	int id;
	char name[16];
	enum thread_state state;
	enum wait_mode mode;
	unsigned cpu;
	bool queued;
	const void *waits_on;
	unsigned n, held;
	uintptr_t pc[DEPTH];
	struct held_lock lock[HELD];
};

struct rows {
	struct row *row;
	unsigned n, room;
};

static void show_place(struct proc_text *t, uintptr_t pc, uintptr_t at)
{
	size_t offset;
	const char *name = symbol_of(at, &offset);

	proc_printf(t, "  %lx %s+0x%zx\n", pc, name, offset + (pc - at));
}

static void show_cpus(struct proc_text *t)
{
	struct sched_cpu_stats s;
	struct cpu_trace trace;
	struct cpu *c;

	for_each_cpu (c) {
		sched_stats(c->id, &s);
		proc_printf(t, "cpu %u: %u want it, %lu switches, %lu interrupts\n", c->id,
			    s.nr_ready, s.switches, READ_ONCE(c->irq_count));
		if (!READ_ONCE(c->online) || !cpu_trace(c, &trace)) {
			proc_printf(t, " does not answer\n");
			continue;
		}
		proc_printf(t, " thread %d %s\n", trace.thread, trace.name);
		if (trace.pc)
			show_place(t, trace.pc, trace.pc);
		for (unsigned i = 0; i < trace.n; i++)
			show_place(t, trace.frame[i], trace.frame[i] - 4);
	}
}

static void add_row(struct thread *th, void *arg)
{
	struct rows *rows = arg;
	struct row *r = &rows->row[rows->n];

	if (rows->n++ >= rows->room)
		return;
	r->id = th->base.id;
	str_copy(r->name, th->base.name, sizeof(r->name));
	r->state = READ_ONCE(th->state);
	r->mode = READ_ONCE(th->wait_mode);
	r->waits_on = READ_ONCE(th->waiting_on);
	thread_place(th, &r->cpu, &r->queued);
	r->n = thread_trace_guess(th, r->pc, DEPTH);
	r->held = lock_held_by(&th->base, r->lock, HELD);
}

static void show_thread(struct proc_text *t, const struct row *r)
{
	static const char *const states[] = {
		[THREAD_NEW] = "new",	      [THREAD_READY] = "ready",
		[THREAD_RUNNING] = "running", [THREAD_BLOCKED] = "blocked",
		[THREAD_DEAD] = "dead",
	};
	static const char *const modes[] = {
		[WAIT_UNINTERRUPTIBLE] = "for a wake-up alone",
		[WAIT_KILLABLE] = "or a kill",
		[WAIT_INTERRUPTIBLE] = "or a signal",
	};

	proc_printf(t, "thread %d %s: %s, cpu %u%s", r->id, r->name, states[r->state], r->cpu,
		    r->queued ? ", in its queue" : "");
	if (r->waits_on)
		proc_printf(t, ", waits on %p %s", r->waits_on, modes[r->mode]);
	proc_printf(t, "\n");
	for (unsigned i = 0; i < MIN(r->held, (unsigned)HELD); i++) {
		proc_printf(t, " holds %s %p taken at", lock_class_name(r->lock[i].cls),
			    r->lock[i].lock);
		show_place(t, r->lock[i].pc, r->lock[i].pc - 4);
	}
	for (unsigned i = 0; i < r->n; i++)
		show_place(t, r->pc[i], r->pc[i] - 4);
}

static void show_report(struct proc_text *t)
{
	struct rows rows = { 0 };

	show_cpus(t);
	do {
		kfree(rows.row);
		rows.room = rows.n + 16;
		rows.n = 0;
		rows.row = kcalloc(rows.room, sizeof(*rows.row));
		if (!rows.row) {
			t->err = -ENOMEM;
			return;
		}
		thread_for_each(add_row, &rows);
	} while (rows.n > rows.room);
	for (unsigned i = 0; i < rows.n; i++)
		show_thread(t, &rows.row[i]);
	kfree(rows.row);
}

/* --- at a BREAK --------------------------------------------------------------------------------------------------- */

static struct waitq wq = WAITQ_INIT(wq);
static uint32_t asked; /* [atomic] */

void machine_report_to_log(void)
{
	atomic_store_release(&asked, 1);
	wake_one(&wq);
}

static void to_log(void *unused)
{
	for (;;) {
		struct proc_text t = { 0 };
		char *line, *end;

		wait_event(&wq, atomic_load_acquire(&asked));
		atomic_exchange(&asked, 0);
		show_report(&t);
		log_info("core: ---- report ----");
		for (line = t.buf; line && (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			log_info("core: %s", line);
		}
		log_info("core: ---- end of report ----");
		kfree(t.buf);
	}
}

int machine_report_init(void)
{
	int err = procfs_register_private("tern/report", show_report);

	return err ? err : thread_spawn("report", to_log, NULL);
}
