/* SPDX-License-Identifier: MIT */
/* /proc/tern/report: every CPU, one that cannot answer too, and where a thread sleeps with what it holds. */
#include "fs/vfs.h"
#include "kernel/core/cpu_trace.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"
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

KTEST(report_names_all)
{
	struct thread *t = thread_create("sleeps", sleep_fn, NULL, KSTACK_SIZE);
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

static uint32_t inside, done; /* [atomic] */

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
