/* SPDX-License-Identifier: MIT */
/* Time and one-shot timers. All time is ns of the virtual counter since boot; no tick exists. */
#ifndef TERN_KERNEL_CORE_CLOCK_H
#define TERN_KERNEL_CORE_CLOCK_H

#include "kernel/core/spinlock.h"
#include "lib/rbtree.h"

/* Monotonic ns since boot. Any context. */
uint64_t clock_now_ns(void);
/* Wall clock, ns since 1970: monotonic plus an offset from the RTC or clock_set_wall(). I-TIMER-3: it is never behind the
 * monotonic one. -EINVAL if ns would be, and nothing is changed. */
uint64_t clock_wall_ns(void);
int clock_set_wall(uint64_t ns) __must_check;
/* Told after each step of the wall clock, in the context of who set it: a thread. Never taken away again; a second time
 * does nothing. */
struct wall_watcher {
	void (*stepped)(void);	   /* [init] */
	struct wall_watcher *next; /* [init] */
	bool watching;		   /* [the caller's] */
};
void clock_watch_wall(struct wall_watcher *w);
/* The monotonic time at which the wall clock shows wall_ns, as it is set now. */
uint64_t clock_wall_deadline(uint64_t wall_ns);
/* Spin for at least ns: before interrupts work and in drivers' resets of under 100 us only. */
void clock_spin_ns(uint64_t ns);

/* The page (clock_data.h) that the vDSO shows to programs. */
const void *clock_page(void);

/* boot, first of all: time zero. */
void clock_init(void);
/* The counter's value at which clock_now_ns() has reached ns; as a signed number negative if that was before the counter began, as
 * after a jump it can have been. UINT64_MAX: never. */
uint64_t clock_ns_to_counter(uint64_t ns);
/* clock_now_ns() at this value of the counter. */
uint64_t clock_of_counter(uint64_t count);
/* A span of the counter in ns. */
uint64_t clock_counter_to_ns(uint64_t count);

struct timer;
/* Runs in irq context on the CPU that armed it, with no lock held. May re-arm its own timer. */
typedef void (*timer_fn)(struct timer *t);

/* States: idle -> armed (timer_arm) -> running -> idle or armed again; armed -> idle (timer_cancel). */
struct timer {
	struct rb_node node;	   /* [its queue's TIMER lock] */
	uint64_t deadline_ns;	   /* [TIMER] */
	timer_fn fn;		   /* [init] */
	struct timer_queue *queue; /* [TIMER] the CPU's queue it is on or runs on; NULL when idle */
	bool armed;		   /* [TIMER] */
};

void timer_init(struct timer *t, timer_fn fn);
/* Arm, or move, to fire at deadline_ns or soon after. Context: any; irqs may be off. */
void timer_arm(struct timer *t, uint64_t deadline_ns);
/* Disarm. Returns only when no callback of t runs elsewhere. True if it was armed and will not fire. Not from its
 * own callback; the caller holds no lock the callback takes. Context: any but irq for a timer of another CPU. */
bool timer_cancel(struct timer *t);
bool timer_armed(struct timer *t);

/* The clock-event device (drivers/chip/timer.c): program this CPU's next interrupt; DEADLINE_NEVER stops it. */
struct clock_event_ops {
	void (*set_next)(uint64_t deadline_ns);
	void (*cpu_init)(void);
};
void clock_set_event_device(const struct clock_event_ops *ops);
/* The device's interrupt handler calls this: runs what is due. irq context. */
void timer_interrupt(void);
/* For tests: the timer's interrupt comes to this CPU by then, though nothing is due. Context: irqs off. */
void clock_interrupt_by(uint64_t deadline_ns);
/* On each CPU as it comes up. */
void clock_cpu_init(void);

#endif
