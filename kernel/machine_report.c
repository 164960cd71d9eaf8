/* SPDX-License-Identifier: MIT */
/* A report on demand: what each CPU does, who stands in its run queue, what the rings of devices hold, and of each thread the state, where it sleeps and the mutexes it
 * holds. Nothing is stopped for it, so its lines are of moments close to each other, not of one. */
#include "kernel/machine_report.h"
#include "drivers/virtio/virtq.h"
#include "fs/procfs.h"
#include "kernel/core/clock.h"
#include "kernel/core/cpu_trace.h"
#include "kernel/core/log.h"
#include "kernel/core/perturb.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "sched/thread.h"

#define DEPTH 12
#define HELD  4
#define BATCH 8
#define WANTS 12

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

static void show_place(struct proc_text *t, uintptr_t pc, uintptr_t at)
{
	size_t offset;
	const char *name = symbol_of(at, &offset);

	proc_printf(t, "  %lx %s+0x%zx\n", pc, name, offset + (pc - at));
}

static void show_queue(struct proc_text *t, unsigned cpu)
{
	struct sched_wants w[WANTS];
	unsigned n = sched_queue(cpu, w, WANTS);

	for (unsigned i = 0; i < n; i++)
		proc_printf(t, " queue: thread %d %s%s, deadline %ld us%s\n", w[i].id, w[i].name,
			    w[i].runs ? " runs" : "", w[i].deadline_ns / (long)NS_PER_US,
			    w[i].eligible ? "" : ", has had its share");
}

static void show_cpu(struct proc_text *t, struct cpu *c)
{
	struct sched_cpu_stats s;
	struct cpu_trace trace;

	sched_stats(c->id, &s);
	proc_printf(t, "cpu %u: %u want it, %lu switches, %lu interrupts\n", c->id, s.nr_ready,
		    s.switches, READ_ONCE(c->irq_count));
	show_queue(t, c->id);
	if (!READ_ONCE(c->online) || !cpu_trace(c, &trace)) {
		proc_printf(t, " does not answer\n");
		return;
	}
	proc_printf(t, " thread %d %s\n", trace.thread, trace.name);
	if (trace.pc)
		show_place(t, trace.pc, trace.pc);
	for (unsigned i = 0; i < trace.n; i++)
		show_place(t, trace.frame[i], trace.frame[i] - 4);
}

static void fill_row(struct thread *th, unsigned i, void *arg)
{
	struct row *r = (struct row *)arg + i;

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
	static const char *const modes[] = {
		[WAIT_BOUNDED] = "for a wake-up or the end of its time",
		[WAIT_UNINTERRUPTIBLE] = "for a wake-up alone",
		[WAIT_KILLABLE] = "or a kill",
		[WAIT_INTERRUPTIBLE] = "or a signal",
	};

	proc_printf(t, "thread %d %s: %s, cpu %u%s", r->id, r->name, thread_state_name(r->state),
		    r->cpu, r->queued ? ", in its queue" : "");
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

static void show_threads(struct proc_text *t, void (*piece)(struct proc_text *t))
{
	struct row *row = kcalloc(BATCH, sizeof(*row));
	unsigned n;

	if (!row) {
		t->err = -ENOMEM;
		return;
	}
	for (int last = 0; (n = thread_batch(last, BATCH, fill_row, row)) > 0;
	     last = row[n - 1].id) {
		for (unsigned i = 0; i < n; i++) {
			show_thread(t, &row[i]);
			piece(t);
		}
	}
	kfree(row);
}

/* The numbers whose bits are set, runs of them as from-to. */
static void show_numbers(struct proc_text *t, const uint64_t *bits, unsigned n)
{
	for (unsigned i = 0, from; i < n; i++) {
		from = i;
		while (i < n && (bits[i / 64] & BIT(i % 64)))
			i++;
		if (i > from + 1)
			proc_printf(t, " %u-%u", from, i - 1);
		else if (i > from)
			proc_printf(t, " %u", from);
	}
}

static void show_rings(struct virtio_device *d, void *arg)
{
	struct proc_text *t = arg;
	struct virtq_view v;

	for (unsigned i = 0; i < VIRTIO_QUEUES; i++) {
		if (!d->queue[i])
			continue;
		virtq_look(d->queue[i], &v);
		proc_printf(t, "ring %s.%u: %u of %u descriptors free, %u buffers in flight%s\n",
			    d->name, i, v.nr_free, v.num, v.in_flight, v.failed ? ", broken" : "");
		proc_printf(t,
			    " available up to %u, published %u; used up to %u, taken %u\n"
			    " %lu submitted, %lu taken, %lu notifications, %lu refused\n",
			    v.shadow, v.published, v.used, v.last_used, v.submitted, v.collected,
			    v.notifies, v.full);
		proc_printf(t, " in flight:");
		show_numbers(t, v.heads, v.num);
		proc_printf(t, "\n");
	}
}

/* piece: so much is there now, less than a page, and may be taken out. */
static void show_pieces(struct proc_text *t, void (*piece)(struct proc_text *t))
{
	struct cpu *c;

	for_each_cpu (c) {
		show_cpu(t, c);
		piece(t);
	}
	virtio_for_each(show_rings, t);
	piece(t);
	if (!LOCKS_KNOWN)
		proc_printf(t, "what mutexes a thread holds only the debug image knows\n");
	show_threads(t, piece);
	piece(t);
}

static void keep(struct proc_text *t)
{
}

static void show_report(struct proc_text *t)
{
	show_pieces(t, keep);
}

/* --- at a BREAK --------------------------------------------------------------------------------------------------- */

static struct waitq wq = WAITQ_INIT(wq);
static uint32_t asked; /* [atomic] */

void machine_report_to_log(void)
{
	atomic_publish(&asked, 1);
	wake_one(&wq);
}

static void log_lines(struct proc_text *t)
{
	char *line = t->buf, *end;

	for (; line < t->buf + t->len && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		log_info("core: %s", line);
	}
	if (t->err)
		log_warn("core: the report lacks something here: error %d", -t->err);
	t->len = 0;
	t->err = 0;
}

static void to_log(void *unused)
{
	for (;;) {
		struct proc_text t = { 0 };

		wait_event(&wq, atomic_load_acquire(&asked));
		atomic_exchange(&asked, 0);
		log_info("core: ---- report ----");
		show_pieces(&t, log_lines);
		log_info("core: ---- end of report ----");
		kfree(t.buf);
	}
}

int machine_report_init(void)
{
	int err = procfs_register_private("tern/report", show_report);

	return err ? err : thread_spawn("report", to_log, NULL);
}
