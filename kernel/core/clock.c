/* SPDX-License-Identifier: MIT */
/* Time from the virtual counter, and one-shot timers: a queue for each CPU, ordered by deadline; the hardware is set to
 * the first. Time is derived from the counter alone, so no CPU's interrupts can make it run faster. */
#include "kernel/core/clock.h"
#include "kernel/core/clock_data.h"

#include "kernel/core/fault.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "lib/atomic.h"
#include "lib/errno.h"

struct timer_queue {
	spinlock_t lock;       /* TIMER */
	struct rb_root tree;   /* [lock] armed timers by deadline */
	struct timer *running; /* [lock] whose callback runs now */
	uint64_t programmed;   /* [lock] what the hardware is set to */
	unsigned cpu;	       /* [init] */
};

static DEFINE_PER_CPU(struct timer_queue, timer_queue);

static struct wall_watcher *wall_watchers;  /* [atomic] */
static const struct clock_event_ops *event; /* [init] */

/* Programs see all of this page. */
static union {
	struct clock_data data;
	uint8_t page[PAGE_SIZE];
} shared __aligned(PAGE_SIZE);

void clock_init(void)
{
	shared.data.counter_hz = arch_counter_hz();
	/* firmware that does not say how fast the counter is leaves nothing to divide by */
	if (!shared.data.counter_hz)
		shared.data.counter_hz = 62500000;
	shared.data.ns_whole =
		NS_PER_S % shared.data.counter_hz ? 0 : NS_PER_S / shared.data.counter_hz;
	shared.data.counter_base = arch_counter();
}

uint64_t clock_counter_to_ns(uint64_t count)
{
	return clock_data_ns(&shared.data, count);
}

uint64_t clock_of_counter(uint64_t count)
{
	return clock_counter_to_ns(count - READ_ONCE(shared.data.counter_base));
}

const void *clock_page(void)
{
	return &shared;
}

uint64_t clock_now_ns(void)
{
	return clock_of_counter(arch_counter());
}

/* The last count that stands for a time; beyond it is never. */
#define COUNT_NEVER (UINT64_MAX >> 2)

uint64_t clock_ns_to_counter(uint64_t ns)
{
	uint64_t s = ns / NS_PER_S;
	uint64_t count;

	if (s > COUNT_NEVER / shared.data.counter_hz)
		return UINT64_MAX;
	count = s * shared.data.counter_hz +
		(ns % NS_PER_S * shared.data.counter_hz + NS_PER_S - 1) / NS_PER_S;
	return count > COUNT_NEVER ? UINT64_MAX : READ_ONCE(shared.data.counter_base) + count;
}

uint64_t clock_wall_ns(void)
{
	return clock_now_ns() + READ_ONCE(shared.data.wall_offset);
}

/* Its fields before it is found: pairs with the acquire in clock_set_wall(). */
void clock_watch_wall(struct wall_watcher *w)
{
	if (w->watching)
		return;
	w->watching = true;
	w->next = atomic_load_relaxed(&wall_watchers);
	while (!atomic_compare_exchange(&wall_watchers, &w->next, w))
		;
}

int clock_set_wall(uint64_t ns)
{
	uint64_t now = clock_now_ns();

	if (ns < now)
		return -EINVAL;
	WRITE_ONCE(shared.data.wall_offset, ns - now);
	for (struct wall_watcher *w = atomic_load_acquire(&wall_watchers); w; w = w->next)
		w->stepped();
	return 0;
}

uint64_t clock_wall_deadline(uint64_t wall_ns)
{
	uint64_t offset = READ_ONCE(shared.data.wall_offset);

	return wall_ns > offset ? wall_ns - offset : 0;
}

void clock_spin_ns(uint64_t ns)
{
	uint64_t end = clock_now_ns() + ns;

	while (clock_now_ns() < end)
		arch_spin_hint();
}

static bool timer_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct timer, node)->deadline_ns <
	       rb_entry(b, struct timer, node)->deadline_ns;
}

void timer_init(struct timer *t, timer_fn fn)
{
	rb_node_init(&t->node);
	t->deadline_ns = 0;
	t->fn = fn;
	t->queue = NULL;
	t->armed = false;
}

/* Set the hardware to the first deadline, if that changed. Only the queue's own CPU can. */
static void queue_program(struct timer_queue *q) __requires(q->lock)
{
	struct rb_node *first = rb_first(&q->tree);
	uint64_t next = first ? rb_entry(first, struct timer, node)->deadline_ns : DEADLINE_NEVER;

	if (q->cpu != arch_cpu()->id || next == q->programmed || !event)
		return;
	q->programmed = next;
	event->set_next(next);
}

static void queue_insert(struct timer_queue *q, struct timer *t, uint64_t deadline_ns)
	__requires(q->lock)
{
	if (t->armed)
		rb_erase(&q->tree, &t->node);
	t->deadline_ns = deadline_ns;
	WRITE_ONCE(t->armed, true);
	rb_insert(&q->tree, &t->node, timer_less);
	/* While callbacks run, the loop in timer_interrupt() programs at its end. */
	if (!q->running)
		queue_program(q);
}

/* Lock the queue t is on; NULL, with nothing locked, if it is on none. */
static struct timer_queue *queue_lock_of(struct timer *t, irqflags_t *f) __no_lock_check
{
	for (;;) {
		/* pairs with the release in run_one(): on none, its callback is over */
		struct timer_queue *q = atomic_load_acquire(&t->queue);

		if (!q)
			return NULL;
		*f = spin_lock_irqsave(&q->lock);
		if (READ_ONCE(t->queue) == q)
			return q;
		spin_unlock_irqrestore(&q->lock, *f);
	}
}

/* Take t off a queue of another CPU, so that it can be armed here; if its callback is running there, it has to be
 * armed there. True if it is done. */
static bool arm_elsewhere(struct timer *t, uint64_t deadline_ns) __no_lock_check
{
	irqflags_t f;
	struct timer_queue *q = queue_lock_of(t, &f);
	bool done = false;

	if (!q)
		return false;
	if (q->running == t || q->cpu == arch_cpu()->id) {
		queue_insert(q, t, deadline_ns);
		done = true;
	} else if (t->armed) {
		rb_erase(&q->tree, &t->node);
		WRITE_ONCE(t->armed, false);
		/* pairs with the acquire in queue_lock_of(), as in run_one() */
		atomic_publish(&t->queue, NULL);
	}
	spin_unlock_irqrestore(&q->lock, f);
	return done;
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	while (!arm_elsewhere(t, deadline_ns)) {
		irqflags_t f = arch_irq_save();
		struct timer_queue *q = this_cpu_ptr(timer_queue);
		struct timer_queue *none = NULL;
		bool mine;

		spin_lock(&q->lock);
		/* two may arm at once; one claims it, the other moves it */
		mine = atomic_compare_exchange(&t->queue, &none, q);
		if (mine)
			queue_insert(q, t, deadline_ns);
		spin_unlock(&q->lock);
		arch_irq_restore(f);
		if (mine)
			return;
	}
}

bool timer_cancel(struct timer *t) __no_lock_check
{
	bool was_armed = false;

	for (;;) {
		irqflags_t f;
		struct timer_queue *q = queue_lock_of(t, &f);
		bool runs;

		if (!q)
			return was_armed;
		runs = q->running == t;
		/* It would wait for itself. */
		DASSERT(!(runs && q->cpu == arch_cpu()->id));
		if (t->armed) {
			rb_erase(&q->tree, &t->node);
			WRITE_ONCE(t->armed, false);
			was_armed = true;
		}
		/* pairs with the acquire in queue_lock_of(): who finds it on none may arm it on another queue */
		if (!runs)
			atomic_publish(&t->queue, NULL);
		spin_unlock_irqrestore(&q->lock, f);
		if (!runs)
			return was_armed;
		/* Pairs with the store in run_one(): then nothing of t is used there any more. The callback may have armed it
		 * again. */
		while (atomic_load_acquire(&q->running) == t)
			arch_spin_hint();
	}
}

bool timer_armed(struct timer *t)
{
	return READ_ONCE(t->armed);
}

/* Run the callback of t, the first and due. Nothing of t is touched after running is cleared. */
static void run_one(struct timer_queue *q, struct timer *t) __no_lock_check
{
	rb_erase(&q->tree, &t->node);
	WRITE_ONCE(t->armed, false);
	WRITE_ONCE(q->running, t);
	spin_unlock(&q->lock);
	t->fn(t);
	spin_lock(&q->lock);
	if (!t->armed)
		/* pairs with the acquire in queue_lock_of(): t may be gone as soon as this is seen */
		atomic_publish(&t->queue, NULL);
	atomic_publish(&q->running, NULL);
}

void timer_interrupt(void)
{
	struct timer_queue *q = this_cpu_ptr(timer_queue);

	assert_irqs_off();
	/* what is programmed then comes late, as where a host has halted the machine */
	if (fault_hits(FAULT_CLOCK_JUMP))
		atomic_fetch_sub(&shared.data.counter_base,
				 fault_draw(FAULT_CLOCK_JUMP, 2 * shared.data.counter_hz));
	spin_lock(&q->lock);
	for (;;) {
		struct rb_node *first = rb_first(&q->tree);
		struct timer *t = first ? rb_entry(first, struct timer, node) : NULL;

		if (!t || t->deadline_ns > clock_now_ns())
			break;
		run_one(q, t);
	}
	/* the hardware fired: what it was set to is past */
	q->programmed = DEADLINE_NEVER;
	queue_program(q);
	if (!rb_first(&q->tree) && event)
		event->set_next(DEADLINE_NEVER);
	spin_unlock(&q->lock);
}

void clock_interrupt_by(uint64_t deadline_ns)
{
	const struct timer_queue *q = per_cpu_ptr(timer_queue, arch_cpu());

	assert_irqs_off();
	if (event && deadline_ns < q->programmed)
		event->set_next(deadline_ns);
}

void clock_set_event_device(const struct clock_event_ops *ops)
{
	event = ops;
}

void clock_cpu_init(void)
{
	struct timer_queue *q = per_cpu_ptr(timer_queue, arch_cpu());

	spin_init(&q->lock, LOCK_TIMER);
	rb_init(&q->tree, NULL);
	q->programmed = DEADLINE_NEVER;
	q->cpu = arch_cpu()->id;
	if (event)
		event->cpu_init();
}
