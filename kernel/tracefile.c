/* SPDX-License-Identifier: MIT */
/* Who switches the trace, and who drains it: one at a time. Each CPU's ring is read up to where it was at the open, and the CPUs'
 * events are put in the order of their times. */
#include "kernel/tracefile.h"

#include "fs/procfs.h"
#include "kernel/core/clock.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/machine.h"
#include "kernel/core/percpu.h"
#include "kernel/core/trace.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "sched/mutex.h"
#include "sched/thread.h"

#define ORDER	   6	/* 8,192 events */
#define TEXT	   2048 /* so much is formatted at a time, and a line more */
#define BATCH	   16
#define WRITE_MOST 63

static struct mutex lock = MUTEX_INIT(lock, TRACE);

/* Where a CPU's ring has been drained up to. */
struct tail {
	uint64_t next, lost; /* [lock] */
	bool there;	     /* [lock] one has been taken from the ring and not shown */
	struct trace_record record;
};
static DEFINE_PER_CPU(struct tail, tails);

/* --- on and off --------------------------------------------------------------------------------------------------- */

static const char *const groups[] = { "switch", "wake", "lock", "irq", "call", "packet", "ssh" };
static_assert(BIT(ARRAY_SIZE(groups)) - 1 == TRACE_ALL, "a name each");

static bool ring_fill(struct trace_ring *r, unsigned order)
{
	struct page *p;

	while (!(p = page_alloc(order, 0)) && order)
		order--;
	if (!p)
		return false;
	trace_ring_open(r, page_addr(p), (PAGE_SIZE << order) / sizeof(struct trace_record));
	return true;
}

static void nothing(void *unused)
{
}

/* irqs are on, but at the boot, where nobody else writes yet. */
static void free_locked(void) __requires(lock)
{
	struct cpu *c;

	WRITE_ONCE(trace_mask, 0);
	for_each_cpu (c) {
		struct trace_ring *r = trace_ring_of(c);
		struct trace_record *at = r->at;

		atomic_store_relaxed(&r->at, NULL);
		/* who writes has interrupts off: whoever has answered does not write there any more */
		if (at && !arch_irqs_off())
			cpus_call(nothing, NULL);
		if (at)
			page_put(page_of_addr(at));
		*per_cpu_ptr(tails, c) = (struct tail){ .next = r->done };
	}
}

static int start_locked(uint32_t mask, unsigned order) __requires(lock)
{
	struct cpu *c;

	for_each_cpu (c) {
		struct trace_ring *r = trace_ring_of(c);

		if (mask && !trace_mask)
			*per_cpu_ptr(tails, c) = (struct tail){ .next = trace_ring_end(r) };
		if (mask && !r->at && !ring_fill(r, order)) {
			free_locked();
			return -ENOMEM;
		}
	}
	WRITE_ONCE(trace_mask, mask);
	return 0;
}

int trace_start(uint32_t mask, unsigned order)
{
	int err;

	mutex_lock(&lock);
	err = start_locked(mask, order);
	mutex_unlock(&lock);
	return err;
}

void trace_free(void)
{
	mutex_lock(&lock);
	free_locked();
	mutex_unlock(&lock);
}

/* "switch,wake", "all", "0x3". -EINVAL. */
static int parse_groups(char *text, uint32_t *mask)
{
	uint64_t number;

	*mask = 0;
	if (strcmp(text, "off") == 0)
		return 0;
	if (strcmp(text, "all") == 0) {
		*mask = TRACE_ALL;
		return 0;
	}
	if (parse_u64(text, &number) == 0) {
		*mask = (uint32_t)number;
		return number <= TRACE_ALL ? 0 : -EINVAL;
	}
	for (char *word = text, *comma; word; word = comma ? comma + 1 : NULL) {
		unsigned i = 0;

		comma = strchr(word, ',');
		if (comma)
			*comma = 0;
		while (i < ARRAY_SIZE(groups) && strcmp(word, groups[i]) != 0)
			i++;
		if (i == ARRAY_SIZE(groups))
			return -EINVAL;
		*mask |= BIT(i);
	}
	return 0;
}

/* Nobody else is there to keep out. */
void __no_lock_check trace_boot(void)
{
	char text[WRITE_MOST + 1];
	uint32_t mask;

	if (cmdline_get("trace", text, sizeof(text)) == -ENOENT)
		return;
	if (parse_groups(text, &mask) < 0)
		log_warn("trace: trace= takes all or some of switch,wake,lock,irq,call,packet,ssh");
	else if (start_locked(mask, ORDER) < 0)
		log_warn("trace: no memory");
}

/* --- as text -------------------------------------------------------------------------------------------------------- */

struct name {
	int id;
	char name[16];
};

static void copy_name(struct thread *t, unsigned i, void *arg)
{
	struct name *n = (struct name *)arg + i;

	n->id = t->base.id;
	str_copy(n->name, t->name, sizeof(n->name));
}

static void show_irq(unsigned irq, const char *name, uint64_t count, void *arg)
{
	proc_printf(arg, "# irq %u %s\n", irq, name);
}

/* What the events name by numbers. */
static void show_head(struct proc_text *t)
{
	struct name name[BATCH];
	unsigned n;

	proc_printf(t, "# tern trace 1: %u cpus\n", cpu_count());
	irq_for_each(show_irq, t);
	for (int last = 0; (n = thread_batch(last, BATCH, copy_name, name)) > 0;
	     last = name[n - 1].id)
		for (unsigned i = 0; i < n; i++)
			proc_printf(t, "# thread %d %s\n", name[i].id, name[i].name);
}

static void show_place(struct proc_text *t, uintptr_t pc)
{
	size_t offset;
	const char *name = symbol_of(pc, &offset);

	proc_printf(t, " %s+0x%zx\n", name, offset);
}

static void show_record(struct proc_text *t, unsigned cpu, const struct trace_record *r)
{
	static const char *const kinds[TRACE_KINDS] = {
		[TRACE_SWITCH] = "switch",
		[TRACE_WAKE] = "wake",
		[TRACE_LOCK_WAIT] = "lock-wait",
		[TRACE_LOCK_GOT] = "lock-got",
		[TRACE_IRQ_IN] = "irq-in",
		[TRACE_IRQ_OUT] = "irq-out",
		[TRACE_CALL_IN] = "call-in",
		[TRACE_CALL_OUT] = "call-out",
		[TRACE_RX] = "rx",
		[TRACE_TX] = "tx",
		[TRACE_SSH_IN] = "ssh-in",
		[TRACE_SSH_OUT] = "ssh-out",
		[TRACE_TEST] = "test",
	};
	uint64_t ns = clock_of_counter(r->word[0]), a = r->word[2], b = r->word[3];
	enum trace_kind kind = trace_record_kind(r);

	proc_printf(t, "%lu.%09lu %u %d%s %s", ns / NS_PER_S, ns % NS_PER_S, cpu,
		    trace_record_thread(r), trace_record_in_irq(r) ? "!" : "", kinds[kind]);
	switch (kind) {
	case TRACE_SWITCH:
		proc_printf(t, " %u %s %.8s\n", (uint32_t)a,
			    thread_state_name((enum thread_state)(a >> 32)), (const char *)&b);
		break;
	case TRACE_WAKE:
		proc_printf(t, " %u %lu %#lx\n", (uint32_t)a, a >> 32, b);
		break;
	case TRACE_LOCK_WAIT:
	case TRACE_LOCK_GOT:
		proc_printf(t, " %s", lock_class_name((enum lock_class)a));
		show_place(t, b);
		break;
	case TRACE_CALL_OUT:
		proc_printf(t, " %lu %ld\n", a, (int64_t)b);
		break;
	case TRACE_IRQ_IN:
	case TRACE_IRQ_OUT:
		proc_printf(t, " %lu\n", a);
		break;
	default:
		proc_printf(t, " %lu %#lx\n", a, b);
	}
}

/* --- the file --------------------------------------------------------------------------------------------------------- */

struct drain {
	struct proc_text text; /* [lock] formatted and not read yet, from `taken` on */
	size_t taken;	       /* [lock] */
	bool over;	       /* [lock] */
	uint64_t end[];	       /* [init] of each CPU's ring */
};

/* The CPU with the earliest event; NULL: none has any. */
static struct cpu *earliest(const struct drain *d) __requires(lock)
{
	struct cpu *c, *first = NULL;
	uint64_t time = 0;

	for_each_cpu (c) {
		struct tail *t = per_cpu_ptr(tails, c);

		if (!t->there && trace_ring_of(c)->at)
			t->there = trace_ring_get(trace_ring_of(c), &t->next, d->end[c->id],
						  &t->record, &t->lost);
		if (t->there && (!first || t->record.word[0] < time)) {
			first = c;
			time = t->record.word[0];
		}
	}
	return first;
}

/* More text behind none. */
static void format(struct drain *d) __requires(lock)
{
	struct cpu *c;

	d->text.len = 0;
	d->taken = 0;
	while (d->text.len < TEXT && !d->text.err && (c = earliest(d)) != NULL) {
		struct tail *t = per_cpu_ptr(tails, c);

		t->there = false;
		show_record(&d->text, c->id, &t->record);
	}
	if (d->text.len || d->over)
		return;
	d->over = true;
	for_each_cpu (c) {
		struct tail *t = per_cpu_ptr(tails, c);

		proc_printf(&d->text, "# lost %u %lu\n", c->id, t->lost);
		t->lost = 0;
	}
}

static ssize_t trace_read(struct file *f, struct io *io, off_t *pos)
{
	size_t n = MIN(io->left, PAGE_SIZE);
	struct drain *d = f->priv;
	char *part = n ? kmalloc(n) : NULL;
	ssize_t ret;

	if (!n)
		return 0;
	if (!part)
		return -ENOMEM;
	mutex_lock(&lock);
	if (d->taken == d->text.len)
		format(d);
	n = MIN(n, d->text.len - d->taken);
	if (!d->text.err) {
		memcpy(part, d->text.buf + d->taken, n);
		d->taken += n;
	}
	ret = d->text.err;
	mutex_unlock(&lock);
	/* what the reader has no memory for is lost: the lock is everybody's */
	if (!ret)
		ret = io_copy_to(io, part, n);
	kfree(part);
	return ret;
}

static ssize_t trace_write(struct file *f, struct io *io, off_t *pos)
{
	char text[WRITE_MOST + 1];
	ssize_t n = io->left > WRITE_MOST ? -EINVAL : io_copy_from(io, text, io->left);
	uint32_t mask;
	int err;

	if (n <= 0)
		return n;
	if (text[n - 1] == '\n')
		text[n - 1] = 0;
	text[n] = 0;
	if (strcmp(text, "free") == 0) {
		trace_free();
		return n;
	}
	err = parse_groups(text, &mask);
	if (err == 0)
		err = trace_start(mask, ORDER);
	return err < 0 ? err : n;
}

static void trace_release(struct file *f)
{
	struct drain *d = f->priv;

	kfree(d->text.buf);
	kfree(d);
}

static const struct file_ops trace_file_ops = {
	.name = "trace",
	.read = trace_read,
	.write = trace_write,
	.release = trace_release,
};

static int trace_open(struct inode *i, uint32_t flags, struct file **out)
{
	struct drain *d = kzalloc(sizeof(*d) + cpu_count() * sizeof(d->end[0]));
	struct cpu *c;

	if (!d)
		return -ENOMEM;
	for_each_cpu (c)
		d->end[c->id] = trace_ring_end(trace_ring_of(c));
	show_head(&d->text);
	*out = d->text.err ? NULL : file_create(&trace_file_ops, flags, NULL, d);
	if (*out)
		return 0;
	kfree(d->text.buf);
	kfree(d);
	return -ENOMEM;
}

/* A shell's ">" cuts before it writes. */
static int trace_truncate(struct inode *i, uint64_t size)
{
	return 0;
}

static const struct inode_ops trace_inode_ops = {
	.open = trace_open,
	.truncate = trace_truncate,
};

int tracefile_init(void)
{
	return procfs_register_file("tern/trace", 0600, &trace_inode_ops);
}
