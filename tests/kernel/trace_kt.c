/* SPDX-License-Identifier: MIT */
/* The trace: rings that are written over while they are read lose events, and count them, but no event is torn, out of order or
 * there twice (I-TRACE-1); what happened is in the order in which it happened; and an event costs little. */
#include "fs/vfs.h"
#include "kernel/core/percpu.h"
#include "kernel/core/trace.h"
#include "kernel/tracefile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "sched/mutex.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

#define WRITERS 2 /* of each CPU */
#define EVENTS	4000
#define SIZE	65536

static uint64_t seal(uint64_t number, uint64_t thread)
{
	return (number * 0x9e3779b97f4a7c15) ^ thread;
}

static void write_fn(void *arg)
{
	for (uint64_t i = 1; i <= EVENTS * kt_scale(); i++)
		trace_event(TRACE_TEST, i, seal(i, (uint32_t)current_base()->id));
}

struct reader {
	struct trace_ring *ring;
	uint64_t next, lost, got, last_time;
	int thread[WRITERS];	/* whose events there are */
	uint64_t last[WRITERS]; /* and the last of each */
};

static void look_at(struct reader *r, const struct trace_record *e)
{
	int thread = trace_record_thread(e);
	unsigned i = 0;

	while (i < WRITERS && r->thread[i] && r->thread[i] != thread)
		i++;
	KT_CHECK(i < WRITERS && trace_record_kind(e) == TRACE_TEST);
	if (i == WRITERS)
		return;
	r->thread[i] = thread;
	KT_CHECK(e->word[3] == seal(e->word[2], (uint32_t)thread));
	KT_CHECK(e->word[2] > r->last[i] && e->word[0] >= r->last_time);
	r->last[i] = e->word[2];
	r->last_time = e->word[0];
	r->got++;
}

static void drain(struct reader *r)
{
	uint64_t end = trace_ring_end(r->ring);
	struct trace_record e;

	while (trace_ring_get(r->ring, &r->next, end, &e, &r->lost))
		look_at(r, &e);
}

/* Rings of 128 events, read by one while all CPUs write. */
KTEST(trace_is_never_torn)
{
	unsigned n = cpu_count();
	struct reader *reader = kcalloc(n, sizeof(*reader));
	struct crew crew = { 0 };
	uint64_t lost = 0;
	bool busy;

	/* no other group is on: who saw one on may be late with its event */
	trace_free();
	KT_CHECK(reader && trace_start(BIT(TRACE_TEST / 2), 0) == 0);
	for (unsigned i = 0; i < n; i++) {
		reader[i].ring = trace_ring_of(cpu_get(i));
		KT_CHECK(reader[i].ring->mask == 127);
		reader[i].next = trace_ring_end(reader[i].ring);
		for (unsigned k = 0; k < WRITERS; k++)
			crew_add(&crew, write_fn, NULL, BIT(i));
	}
	do {
		busy = false;
		for (unsigned i = 0; i < n; i++)
			drain(&reader[i]);
		for (unsigned i = 0; i < crew.n; i++)
			busy |= READ_ONCE(crew.thread[i]->state) != THREAD_DEAD;
	} while (busy);
	crew_join(&crew);
	for (unsigned i = 0; i < n; i++) {
		drain(&reader[i]);
		KT_CHECK(reader[i].got + reader[i].lost == WRITERS * EVENTS * kt_scale());
		KT_CHECK(reader[i].got >= 127);
		lost += reader[i].lost;
	}
	KT_CHECK(lost);
	kfree(reader);
	trace_free();
}

/* At 62.5 MHz the counter moves once in 16 instructions. */
KTEST(icount_trace_event)
{
	uint64_t start, ns;

	KT_CHECK(trace_start(TRACE_ALL, 0) == 0 && trace_start(0, 0) == 0);
	start = clock_now_ns();
	for (unsigned i = 0; i < 1000; i++) {
		trace_event(TRACE_TEST, i, 0);
		trace_event(TRACE_TEST, i, 1);
		trace_event(TRACE_TEST, i, 2);
		trace_event(TRACE_TEST, i, 3);
	}
	ns = clock_now_ns() - start;
	log_info("trace: %lu.%02lu instructions an event", ns / 4000, ns % 4000 / 40);
	KT_CHECK(ns <= 4000 * 40);
	trace_free();
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static char *text;

static struct file *open_trace(uint32_t flags)
{
	struct vfs_context ctx = { .root = vfs_root() };
	struct file *f = NULL;

	ctx.cwd = ctx.root;
	KT_CHECK(vfs_open(&ctx, NULL, "/proc/tern/trace", flags, 0, &f) == 0);
	dentry_put(ctx.root);
	return f;
}

static ssize_t write_trace(const char *words)
{
	struct file *f = open_trace(FILE_WRONLY);
	ssize_t n = file_write_kernel(f, words, strlen(words));

	file_put(f);
	return n;
}

static void read_trace(void)
{
	struct file *f = open_trace(FILE_RDONLY);
	size_t n = 0;
	ssize_t more;

	while ((more = file_read_kernel(f, text + n, SIZE - 1 - n)) > 0)
		n += (size_t)more;
	KT_CHECK(more == 0);
	text[n] = 0;
	file_put(f);
}

/* The first line from here on that has all of this behind its fourth word's beginning; NULL: none. */
static const char *find(const char *from, const char *what)
{
	for (; from && *from; from++)
		if (strncmp(from, what, strlen(what)) == 0)
			return from + strlen(what);
	return NULL;
}

static struct mutex wanted;

static void want_fn(void *unused)
{
	mutex_lock(&wanted);
	mutex_unlock(&wanted);
}

/* A thread wants a mutex, sleeps, is woken by whom it waited for, and has it. */
KTEST(trace_tells_who_woke_whom)
{
	struct thread *t = thread_create("wants", want_fn, NULL, KSTACK_SIZE);
	char line[64];
	const char *at;

	text = kzalloc(SIZE);
	mutex_init(&wanted, LOCK_BLOCK);
	KT_CHECK(write_trace("wake,switch,nothing\n") == -EINVAL && write_trace("0x80") == -EINVAL);
	KT_CHECK(write_trace("switch,wake,lock\n") == 17);
	mutex_lock(&wanted);
	thread_start(t);
	crew_await_asleep(t);
	mutex_unlock(&wanted);
	thread_join(t);
	KT_CHECK(write_trace("off\n") == 4);
	read_trace();
	KT_CHECK(strncmp(text, "# tern trace 1: ", 16) == 0 && find(text, "# irq "));
	fmt_print(line, sizeof(line), "# thread %d ktest\n", current_base()->id);
	KT_CHECK(find(text, line));
	fmt_print(line, sizeof(line), " %d lock-wait BLOCK want_fn+", t->base.id);
	at = find(text, line);
	fmt_print(line, sizeof(line), " %d wake %d ", current_base()->id, t->base.id);
	at = find(at, line);
	fmt_print(line, sizeof(line), " switch %d ", t->base.id);
	at = find(at, line);
	fmt_print(line, sizeof(line), " %d lock-got BLOCK want_fn+", t->base.id);
	at = find(at, line);
	KT_CHECK(at);
	KT_CHECK(find(at, "# lost 0 0\n"));
	read_trace();
	KT_CHECK(!find(text, " lock-wait "));
	KT_CHECK(write_trace("free") == 4);
	thread_put(t);
	kfree(text);
}
