/* SPDX-License-Identifier: MIT */
/* /proc/tern/report: every CPU, one that cannot answer too, and where a thread sleeps with what it holds. */
#include "drivers/virtio/virtio.h"
#include "fs/vfs.h"
#include "kernel/core/cpu_trace.h"
#include "kernel/machine_report.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "sched/mutex.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define SIZE 65536

static char *text;

static void read_report(void)
{
	struct vfs_context ctx = { .root = vfs_root() };
	struct file *f;
	ssize_t n;

	ctx.cwd = ctx.root;
	KT_CHECK(vfs_open(&ctx, NULL, "/proc/tern/report", FILE_RDONLY, 0, &f) == 0);
	n = file_read_kernel(f, text, SIZE - 1);
	KT_CHECK(n > 0);
	text[MAX(n, 0)] = 0;
	file_put(f);
	dentry_put(ctx.root);
}

/* What stands behind the first line that begins so; NULL: none does. */
static const char *find_line(const char *from, const char *start)
{
	while (from && strncmp(from, start, strlen(start)) != 0) {
		from = strchr(from, '\n');
		from += from != NULL;
	}
	return from ? from + strlen(start) : NULL;
}

static bool names(const char *from, const char *word)
{
	for (; from && *from; from++)
		if (strncmp(from, word, strlen(word)) == 0)
			return true;
	return false;
}

static struct mutex held;
static struct waitq gate = WAITQ_INIT(gate);
static uint32_t open; /* [atomic] */

static void sleep_fn(void *unused)
{
	mutex_lock(&held);
	wait_event(&gate, atomic_load_acquire(&open));
	mutex_unlock(&held);
}

static void count_rings(struct virtio_device *d, void *n)
{
	for (unsigned i = 0; i < VIRTIO_QUEUES; i++)
		*(unsigned *)n += d->queue[i] != NULL;
}

KTEST(report_names_all)
{
	struct thread *t = thread_create("sleeps", sleep_fn, NULL, KSTACK_SIZE);
	unsigned rings = 0;
	char line[32], *next;
	const char *at;

	text = kzalloc(SIZE);
	mutex_init(&held, LOCK_BLOCK);
	atomic_store_release(&open, 0);
	thread_start(t);
	crew_await_asleep(t);
	read_report();
	for (unsigned i = 0; i < cpu_count(); i++) {
		fmt_print(line, sizeof(line), "cpu %u: ", i);
		KT_CHECK(find_line(text, line));
	}
	fmt_print(line, sizeof(line), " queue: thread %d ktest runs", current_base()->id);
	KT_CHECK(names(text, line));
	virtio_for_each(count_rings, &rings);
	for (at = text; (at = find_line(at, "ring virtio")) != NULL; rings--)
		KT_CHECK(names(at, " in flight:"));
	KT_CHECK(rings == 0);
	fmt_print(line, sizeof(line), "thread %d sleeps: blocked", t->base.id);
	at = find_line(text, line);
	next = at ? strchr(at, '\n') : NULL;
	KT_CHECK(next && names(at, "for a wake-up alone"));
	KT_CHECK(next && strncmp(next, "\n holds BLOCK ", 14) == 0 && names(next, "sleep_fn+"));
	fmt_print(line, sizeof(line), "thread %d ktest: running", current_base()->id);
	KT_CHECK(find_line(text, line));
	atomic_store_release(&open, 1);
	wake_all(&gate);
	thread_join(t);
	thread_put(t);
	kfree(text);
}

/* What a BREAK puts into the log, its two marks included, at most SIZE bytes of it. */
static void break_report(uint64_t fail_at)
{
	uint64_t seq = 0, limit = crew_hang_deadline();
	size_t n = 0;

	while (log_read(&seq, text, SIZE))
		;
	text[0] = 0;
	alloc_fail_after(fail_at);
	machine_report_to_log();
	while (!names(text, "---- end of report ----") && clock_now_ns() < limit) {
		size_t more = log_read(&seq, text + n, SIZE - 1 - n);

		n += more;
		text[n] = 0;
		if (!more)
			IGNORE(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE));
	}
	alloc_fail_after(0);
	KT_CHECK(names(text, "---- end of report ----"));
}

/* All memory in pieces of more than a page, and every other of SINGLES pages. */
#define SINGLES 128
#define THREADS 32
static struct list_head eaten = LIST_HEAD_INIT(eaten);

static void eat(void)
{
	static struct page *single[SINGLES];
	struct page *p;

	pages_drain_caches();
	for (unsigned i = 0; i < SINGLES; i++)
		single[i] = page_alloc(0, 0);
	for (unsigned order = PAGE_ORDER_MAX; order > 0; order--)
		while ((p = page_alloc(order, ALLOC_ATOMIC)) != NULL)
			list_push_back(&p->link, &eaten);
	for (unsigned i = 0; i < SINGLES; i++) {
		if (i % 2)
			list_push_back(&single[i]->link, &eaten);
		else
			page_put(single[i]);
	}
}

static void spit_out(void)
{
	while (!list_empty(&eaten)) {
		struct page *p = list_first(&eaten, struct page, link);

		list_del(&p->link);
		page_put(p);
	}
}

static void gate_fn(void *unused)
{
	wait_event(&gate, atomic_load_acquire(&open));
}

/* In memory that is all in single pages the report is whole; and of a part for which there is none it says so. */
KTEST(report_at_a_break)
{
	struct crew crew = { 0 };
	const char *at;
	unsigned n = 0;

	text = kzalloc(SIZE);
	atomic_store_release(&open, 0);
	for (unsigned i = 0; i < THREADS; i++)
		crew_add(&crew, gate_fn, NULL, UINT64_MAX);
	for (unsigned i = 0; i < THREADS; i++)
		crew_await_asleep(crew.thread[i]);
	eat();
	break_report(0);
	spit_out();
	for (at = text; *at; at++)
		n += strncmp(at, " crew: blocked", 14) == 0;
	KT_CHECK(n >= THREADS && !names(text, "the report lacks"));
	break_report(1);
	KT_CHECK(names(text, "the report lacks something here: error 12"));
	atomic_store_release(&open, 1);
	wake_all(&gate);
	crew_join(&crew);
	kfree(text);
}

/* CPU 1 answers all the time, whether it was asked or not, and never twice alike: by what it says it interrupted one
 * can tell how many frames there are. */
static uint32_t inside, done; /* [atomic] */

static void __noinline answer_from(unsigned depth)
{
	if (depth) {
		answer_from(depth - 1);
		__asm__ __volatile__("" : : : "memory");
		return;
	}
	cpu_trace_answer(NULL);
}

static void answers_fn(void *unused)
{
	irqflags_t f = arch_irq_save();

	atomic_store_release(&inside, 1);
	for (unsigned depth = 0; !atomic_load_acquire(&done); depth = (depth + 1) % 8) {
		WRITE_ONCE(this_cpu()->irq_pc, depth + 1);
		answer_from(depth);
	}
	arch_irq_restore(f);
}

static void ask_often_fn(void *unused)
{
	struct cpu_trace trace;
	unsigned base = 0;

	while (!atomic_load_acquire(&inside))
		sched_yield();
	for (unsigned i = 0; i < 100; i++) {
		if (!cpu_trace(cpu_get(1), &trace))
			continue;
		if (!base)
			base = trace.n - (unsigned)trace.pc;
		KT_CHECK(trace.n - (unsigned)trace.pc == base);
	}
	KT_CHECK(base);
	atomic_store_release(&done, 1);
}

KTEST(report_trace_is_whole)
{
	struct crew crew = { 0 };

	if (cpu_count() == 1)
		return;
	inside = done = 0;
	crew_add(&crew, answers_fn, NULL, BIT(1));
	crew_add(&crew, ask_often_fn, NULL, BIT(0));
	crew_join(&crew);
}

static void deaf_fn(void *unused)
{
	uint64_t limit = crew_hang_deadline();
	irqflags_t f = arch_irq_save();

	atomic_store_release(&inside, 1);
	while (!atomic_load_acquire(&done) && clock_now_ns() < limit)
		arch_spin_hint();
	arch_irq_restore(f);
}

static void ask_fn(void *unused)
{
	uint64_t limit = crew_hang_deadline();
	struct cpu_trace trace;

	while (!atomic_load_acquire(&inside))
		sched_yield();
	KT_CHECK(!cpu_trace(cpu_get(1), &trace));
	read_report();
	KT_CHECK(names(find_line(text, "cpu 1: "), "does not answer"));
	atomic_store_release(&done, 1);
	/* and when it hears again it answers, soon or when the host lets it */
	while (!cpu_trace(cpu_get(1), &trace) && clock_now_ns() < limit)
		;
	KT_CHECK(trace.pc && trace.n > 0 && clock_now_ns() < limit);
}

KTEST(report_deaf_cpu)
{
	struct crew crew = { 0 };

	if (cpu_count() == 1)
		return;
	text = kzalloc(SIZE);
	inside = done = 0;
	crew_add(&crew, deaf_fn, NULL, BIT(1));
	crew_add(&crew, ask_fn, NULL, BIT(0));
	crew_join(&crew);
	kfree(text);
}
