/* SPDX-License-Identifier: MIT */
/* The timers of timer_create. One is set, rings in an interrupt, and sends the signal it carries; a periodic one goes on when
 * that has been taken, so that one too fast for the program costs no more than it can take, and says how often it would have
 * rung since. If nobody wants the signal, it goes on after a millisecond at the least. All is under SIGHAND; an interrupt that
 * comes for a setting of before finds a later deadline, or none. */
#include "kernel/proc/lifecycle.h"
#include "kernel/proc/pidtab_priv.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"

#define RLIMIT_PENDING_K 11

struct ptimer {
	struct list_head link;	   /* [SIGHAND] */
	struct signal_entry entry; /* [SIGHAND] linked: the signal is on its way */
	struct process *process;   /* [init] it ends with it */
	struct ptimer_how how;	   /* [init] */
	struct timer timer;
	int id;		      /* [init] */
	bool rang;	      /* [SIGHAND] the signal of this setting is on its way */
	uint64_t deadline_ns; /* [SIGHAND] it rings, or rang; 0: not set */
	uint64_t
		wall_ns; /* [SIGHAND] the same by the wall clock, whatever that is set to; 0: not by that */
	uint64_t interval_ns; /* [SIGHAND] */
	uint64_t missed;      /* [SIGHAND] it rang, and the signal before was still on its way */
	int overrun;	      /* [SIGHAND] of the last signal taken */
};

static void go_on(struct ptimer *t, uint64_t now, uint64_t pause)
	__requires(t->process->signals.lock)
{
	t->missed += (now - t->deadline_ns) / t->interval_ns;
	t->deadline_ns += ((now - t->deadline_ns) / t->interval_ns + 1) * t->interval_ns;
	t->wall_ns = 0;
	timer_arm(&t->timer, MAX(t->deadline_ns, now + pause));
}

void ptimer_taken(struct ptimer *t) __no_lock_check
{
	if (t->rang && t->interval_ns)
		go_on(t, clock_now_ns(), 0);
	else if (t->rang)
		t->deadline_ns = 0;
	t->rang = false;
	t->overrun = (int)MIN(t->missed, (uint64_t)INT32_MAX);
	t->missed = 0;
	t->entry.info.uid = (uint32_t)t->overrun;
}

static void ring(struct ptimer *t, uint64_t now) __requires(t->process->signals.lock)
{
	struct thread *target = t->how.target;

	if (list_linked(&t->entry.link))
		t->missed++;
	else if (!target || list_linked(&target->process_link))
		signal_post_own(t->process, target, &t->entry);
	t->rang = list_linked(&t->entry.link);
	if (t->rang)
		return;
	if (t->interval_ns)
		go_on(t, now, NS_PER_MS);
	else
		t->deadline_ns = 0;
	t->missed = 0;
}

static void rings(struct timer *timer)
{
	struct ptimer *t = container_of(timer, struct ptimer, timer);
	uint64_t now = clock_now_ns();

	spin_lock(&t->process->signals.lock);
	if (t->deadline_ns && !t->rang && now >= t->deadline_ns)
		ring(t, now);
	else if (t->deadline_ns && !t->rang)
		timer_arm(timer, t->deadline_ns);
	spin_unlock(&t->process->signals.lock);
}

static struct ptimer *find(struct process *p, int id) __requires(p->signals.lock)
{
	struct ptimer *t;

	list_for_each (t, &p->signals.ptimers, link)
		if (t->id == id)
			return t;
	return NULL;
}

int ptimer_create(struct process *p, const struct ptimer_how *how)
{
	struct ptimer *t = kzalloc(sizeof(*t));
	irqflags_t f;
	int id;

	if (!t)
		return -EAGAIN;
	t->process = p;
	t->how = *how;
	timer_init(&t->timer, rings);
	list_init(&t->entry.link);
	t->entry.timer = t;
	f = spin_lock_irqsave(&p->signals.lock);
	if (p->signals.nr_queued >= rlimit_cur(p, RLIMIT_PENDING_K)) {
		spin_unlock_irqrestore(&p->signals.lock, f);
		kfree(t);
		return -EAGAIN;
	}
	p->signals.nr_queued++;
	do
		id = p->signals.next_ptimer++ & INT32_MAX;
	while (find(p, id));
	t->id = id;
	t->entry.info = (struct signal_info){ .signo = how->signo, .code = SIC_TIMER, .pid = id };
	t->entry.info.value = how->value_is_id ? (uint64_t)id : how->value;
	list_push_back(&t->link, &p->signals.ptimers);
	spin_unlock_irqrestore(&p->signals.lock, f);
	/* another thread may have guessed the number, and deleted it */
	return id;
}

static uint64_t time_left(const struct ptimer *t, uint64_t now)
{
	if (!t->deadline_ns)
		return 0;
	if (t->deadline_ns > now)
		return t->deadline_ns - now;
	if (t->interval_ns)
		return t->interval_ns - (now - t->deadline_ns) % t->interval_ns;
	return t->how.signo && !t->rang;
}

static void set_locked(struct process *p, struct ptimer *t, const struct signal_alarm *to,
		       bool absolute, uint64_t now) __requires(p->signals.lock)
{
	t->rang = false;
	t->missed = 0;
	t->overrun = 0;
	t->interval_ns = to->interval;
	t->wall_ns = absolute && t->how.wall ? to->left : 0;
	t->deadline_ns = !to->left    ? 0
			 : t->wall_ns ? MAX(clock_wall_deadline(t->wall_ns), 1UL)
				      : MAX(to->left + (absolute ? 0 : now), 1UL);
	if (t->deadline_ns && t->how.signo)
		timer_arm(&t->timer, t->deadline_ns);
}

int ptimer_set(struct process *p, int id, const struct signal_alarm *now, bool absolute,
	       struct signal_alarm *old)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	struct ptimer *t = find(p, id);
	uint64_t time = clock_now_ns();

	if (t) {
		*old = (struct signal_alarm){ time_left(t, time), t->interval_ns };
		if (now)
			set_locked(p, t, now, absolute, time);
	}
	spin_unlock_irqrestore(&p->signals.lock, f);
	return t ? 0 : -EINVAL;
}

int ptimer_overrun(struct process *p, int id)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	struct ptimer *t = find(p, id);
	int n = t ? t->overrun : -EINVAL;

	spin_unlock_irqrestore(&p->signals.lock, f);
	return n;
}

static void unlink_locked(struct process *p, struct ptimer *t) __requires(p->signals.lock)
{
	list_del(&t->link);
	t->deadline_ns = 0;
	p->signals.nr_queued--;
	signal_disown(p, t->how.target, &t->entry);
}

/* It is in no list, and has no deadline. */
static void destroy(struct ptimer *t)
{
	(void)timer_cancel(&t->timer);
	if (t->how.target)
		thread_put(t->how.target);
	kfree(t);
}

int ptimer_delete(struct process *p, int id)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	struct ptimer *t = find(p, id);

	if (t)
		unlink_locked(p, t);
	spin_unlock_irqrestore(&p->signals.lock, f);
	if (t)
		destroy(t);
	return t ? 0 : -EINVAL;
}

void ptimers_end(struct process *p)
{
	struct ptimer *t;
	irqflags_t f;

	do {
		f = spin_lock_irqsave(&p->signals.lock);
		t = list_first_or_null(&p->signals.ptimers, struct ptimer, link);
		if (t)
			unlink_locked(p, t);
		spin_unlock_irqrestore(&p->signals.lock, f);
		if (t)
			destroy(t);
	} while (t);
}

void ptimers_look_again(struct process *p)
{
	irqflags_t f = spin_lock_irqsave(&p->signals.lock);
	struct ptimer *t;

	list_for_each (t, &p->signals.ptimers, link) {
		if (!t->wall_ns || !t->deadline_ns || t->rang)
			continue;
		t->deadline_ns = MAX(clock_wall_deadline(t->wall_ns), 1UL);
		if (t->how.signo)
			timer_arm(&t->timer, t->deadline_ns);
	}
	spin_unlock_irqrestore(&p->signals.lock, f);
}
