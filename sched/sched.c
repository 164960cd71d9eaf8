/* SPDX-License-Identifier: MIT */
/* Choosing and switching. The lock of the CPU's run queue is held from the choice until the old thread's registers
 * are saved, and is released by the thread that comes in: in sched_switched() if it runs for the first time, else
 * behind its own arch_switch(). So nobody can run, move or free a thread that is half switched away (I-SCHED-4, 5).
 *
 * No tick: a CPU's slice timer is armed only while more than one thread wants it. An idle CPU waits with interrupts
 * masked, having looked at need_resched after masking: whoever queues work sets that, then sends an interrupt. */
#include "sched/runq_priv.h"
#include "kernel/core/irq.h"
#include "kernel/core/perturb.h"
#include "kernel/core/trace.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

static DEFINE_PER_CPU(struct runq, runqs);

cpumask_t sched_idle_cpus;
cpumask_t sched_online_cpus;
uint64_t sched_test_window_ns;
static void (*space_activate)(struct vm_space *s); /* [init] */

/* What becomes of the thread that calls schedule(). */
enum leave { LEAVE_READY, LEAVE_YIELD, LEAVE_IF_BLOCKED, LEAVE_FOR_EVER };

struct runq *runq_of_cpu(unsigned cpu)
{
	return per_cpu_ptr(runqs, cpu_get(cpu));
}

struct runq *this_runq(void)
{
	return this_cpu_ptr(runqs);
}

void __no_lock_check runq_lock_two(struct runq *a, struct runq *b)
{
	if (a == b)
		spin_lock(&a->lock);
	else
		spin_lock_pair(&a->lock, &b->lock);
}

void __no_lock_check runq_unlock_two(struct runq *a, struct runq *b)
{
	if (a != b)
		spin_unlock(&b->lock);
	spin_unlock(&a->lock);
}

struct runq __no_lock_check *runq_lock_of(struct thread *t, irqflags_t *f)
{
	for (;;) {
		struct runq *rq;

		*f = arch_irq_save();
		rq = READ_ONCE(t->rq);
		spin_lock(&rq->lock);
		if (rq == t->rq)
			return rq;
		spin_unlock(&rq->lock);
		arch_irq_restore(*f);
	}
}

void runq_share_out(struct runq *rq)
{
	struct thread *t = rq->curr;
	uint64_t ns, add;

	if (!t || !t->user || !t->unshared_ns)
		return;
	ns = t->unshared_ns;
	t->unshared_ns = 0;
	add = t->in_user ? ns : 0;
	if (rq == this_runq()) {
		uint64_t now = t->exec_start_ns, count = arch_user_ns(now);

		t->user_owed += (int64_t)(count - rq->user_mark);
		rq->user_mark = count;
		add = t->user_owed < 0 ? 0 : MIN((uint64_t)t->user_owed, ns);
		t->in_user = add > ns / 2;
		rq->counted_ns = now;
	}
	t->user_owed -= (int64_t)add;
	t->user_ns += add;
	DASSERT(t->user_ns <= t->runtime_ns);
	rq->user_ns += add;
}

/* rq's current thread has run up to now. Since when, ns: its place in the tree is still to be told. */
static uint64_t charge_time(struct runq *rq)
{
	struct thread *t = rq->curr;
	uint64_t now = clock_now_ns(), ns;

	if (!t || now <= t->exec_start_ns)
		return 0;
	ns = now - t->exec_start_ns;
	t->exec_start_ns = now;
	WRITE_ONCE(t->runtime_ns, t->runtime_ns + ns);
	t->unshared_ns += ns;
	if (t == rq->idle)
		rq->idle_ns += ns;
	return ns;
}

void runq_charge(struct runq *rq)
{
	uint64_t ns;

	DASSERT(spin_held(&rq->lock));
	ns = charge_time(rq);
	if (ns && rq->curr->queued)
		(void)eevdf_charge(&rq->ready, &rq->curr->ent, ns);
}

/* --- the slice timer ----------------------------------------------------------------------------------------- */

/* On this CPU: make sure the timer fires at slice_end_ns. It is left armed when it is early; then it re-arms. */
static void slice_arm(struct runq *rq)
{
	if (rq->ready.nr < 2)
		return;
	if (rq->slice_armed && rq->slice.deadline_ns <= rq->slice_end_ns)
		return;
	rq->slice_armed = true;
	timer_arm(&rq->slice, rq->slice_end_ns);
}

static void slice_fired(struct timer *timer)
{
	struct runq *rq = container_of(timer, struct runq, slice);

	DASSERT(rq == this_runq());
	spin_lock(&rq->lock);
	rq->slice_armed = false;
	if (rq->ready.nr >= 2) {
		if (clock_now_ns() < rq->slice_end_ns)
			slice_arm(rq);
		else
			WRITE_ONCE(rq->c->need_resched, 1);
	}
	spin_unlock(&rq->lock);
}

/* --- the watch on CPU time ------------------------------------------------------------------------------------ */

/* t runs on this CPU, charged up to now. */
static void watch_arm(struct runq *rq, struct thread *t)
{
	uint64_t left = t->watch_ns > t->runtime_ns ? t->watch_ns - t->runtime_ns : 0;

	timer_arm(&rq->watch, t->exec_start_ns + left);
}

/* Whom it was armed for may have been switched away from: it is armed again when that comes back. */
static void watch_fired(struct timer *timer)
{
	struct runq *rq = container_of(timer, struct runq, watch);
	struct thread *t;

	spin_lock(&rq->lock);
	runq_charge(rq);
	t = rq->curr;
	if (t->watch_ns && t->runtime_ns < t->watch_ns) {
		watch_arm(rq, t);
	} else if (t->watch_ns) {
		t->watch_ns = 0;
		atomic_fetch_or(&t->notify, NOTIFY_CPU);
	}
	spin_unlock(&rq->lock);
}

void thread_watch_cpu(uint64_t ns)
{
	irqflags_t f = arch_irq_save();
	struct runq *rq = this_runq();

	spin_lock(&rq->lock);
	runq_charge(rq);
	rq->curr->watch_ns = rq->curr->runtime_ns + ns;
	watch_arm(rq, rq->curr);
	spin_unlock(&rq->lock);
	arch_irq_restore(f);
}

/* --- onto a queue ---------------------------------------------------------------------------------------------- */

int runq_enqueue(struct runq *rq, struct thread *t)
{
	struct thread *curr = rq->curr;
	bool here = rq == this_runq(), resched, sooner = false;
	uint64_t end;

	DASSERT(spin_held(&rq->lock) && t->rq == rq && !t->queued && !t->moving);
	ASSERT(t->magic == THREAD_MAGIC && !atomic_load_acquire(&t->on_cpu));
	WRITE_ONCE(t->queued, true);
	eevdf_add(&rq->ready, &t->ent);
	/* this bit changes under our lock; the word is everybody's */
	if (READ_ONCE(sched_idle_cpus) & BIT(rq->cpu))
		atomic_fetch_and(&sched_idle_cpus, ~BIT(rq->cpu));
	if (!curr)
		return KICK_NONE;
	end = curr->exec_start_ns + SCHED_GRANULARITY_NS;
	resched = curr == rq->idle || eevdf_pick(&rq->ready) != &curr->ent;
	/* who wakes another is mostly about to sleep: let it, if it has just come */
	if (resched && curr != rq->idle && here && !rq->c->irq_depth) {
		end = rq->picked_ns + SCHED_GRANULARITY_NS;
		resched = end <= curr->exec_start_ns;
	}
	if (!resched) {
		sooner = rq->ready.nr == 2 || end < rq->slice_end_ns;
		if (sooner)
			rq->slice_end_ns = end;
		if (here)
			slice_arm(rq);
	}
	/* Only a CPU itself can arm its timer: it is told even if nothing else changes for it now. */
	if (resched || (sooner && !here))
		if (!atomic_exchange(&rq->c->need_resched, 1) && !here)
			return (int)rq->cpu;
	return KICK_NONE;
}

void runq_dequeue(struct runq *rq, struct thread *t, uint64_t ns)
{
	DASSERT(spin_held(&rq->lock) && t->rq == rq && t->queued);
	eevdf_remove(&rq->ready, &t->ent, ns);
	WRITE_ONCE(t->queued, false);
}

void sched_kick(int cpu)
{
	if (cpu != KICK_NONE)
		irq_send_resched((unsigned)cpu);
}

/* The idle CPU that is to steal from rq, marked to reschedule: as a mask, 0 for none. */
static cpumask_t find_stealer(const struct runq *rq, cpumask_t mask)
{
	cpumask_t idle;
	unsigned cpu;

	if (READ_ONCE(rq->ready.nr) < 2)
		return 0;
	/* Pairs with the fence in idle_look_around(): it sees our thread, or we see its bit. */
	atomic_fence();
	idle = READ_ONCE(sched_idle_cpus) & mask & ~BIT(rq->cpu);
	if (!idle)
		return 0;
	cpu = (unsigned)__builtin_ctzl(idle);
	return atomic_exchange(&cpu_get(cpu)->need_resched, 1) ? 0 : BIT(cpu);
}

void sched_kick_stealer(const struct runq *rq, cpumask_t mask)
{
	sched_kick_all(find_stealer(rq, mask));
}

void sched_kick_all(cpumask_t cpus)
{
	for (; cpus; cpus &= cpus - 1)
		irq_send_resched((unsigned)__builtin_ctzl(cpus));
}

/* --- the switch --------------------------------------------------------------------------------------------------- */

/* The first thing any thread does when it has come onto a CPU; prev is what ran there before. The lock that prev's
 * path took is ours to release. */
static void __no_lock_check switch_finish(struct thread *prev)
{
	struct runq *rq = this_runq();
	bool dead, moving, joined = false;

	spin_handoff(&rq->lock);
	ASSERT(prev->magic == THREAD_MAGIC && current_thread()->magic == THREAD_MAGIC);
	ASSERT(rq->curr == current_thread() && current_thread()->rq == rq);
	dead = prev->state == THREAD_DEAD;
	moving = prev->moving;
	if (dead)
		list_push_back(&prev->dead_link, &rq->dead);
	/* Its registers are saved before anybody may run it: pairs with the acquire in runq_enqueue(). */
	atomic_publish(&prev->on_cpu, 0);
	/* after on_cpu, before the lock goes: then it may be freed. Pairs with the fence of thread_join()'s wait */
	if (dead)
		joined = waitq_has_sleepers(&prev->exit_wq);
	spin_unlock(&rq->lock);
	if (dead)
		reaper_wake(joined);
	if (moving)
		thread_push_away(prev);
}

void sched_switched(struct thread *prev)
{
	switch_finish(prev);
}

static void switch_to(struct runq *rq, struct thread *prev, struct thread *next)
{
	ASSERT(next->magic == THREAD_MAGIC && !atomic_load_acquire(&next->on_cpu));
	rq->switches++;
	WRITE_ONCE(next->switches, next->switches + 1);
	next->exec_start_ns = rq->picked_ns = prev->exec_start_ns;
	WRITE_ONCE(next->on_cpu, 1);
	rq->curr = next;
	if (unlikely(next->watch_ns))
		watch_arm(rq, next);
	trace(TRACE_SWITCH, (uint32_t)next->base.id | (uint64_t)prev->state << 32,
	      *(const uint64_t *)next->name);
	perturb(PERTURB_SWITCH);
	switch_window();
	if (next->space)
		space_activate(next->space);
	prev = arch_switch(prev, &prev->arch, prev->user, next, &next->arch, next->user);
	switch_finish(prev);
}

/* prev has run for ns more. Take it out of the tree if it does not want, or may not have, this CPU any more. */
static void put_prev(struct runq *rq, struct thread *prev, enum leave leave, uint64_t ns)
	__requires(rq->lock)
{
	bool blocked = leave == LEAVE_IF_BLOCKED && prev->state == THREAD_BLOCKED;

	/* release: on_cpu was stored before. Pairs with the acquire in thread_join() */
	if (leave == LEAVE_FOR_EVER)
		atomic_publish(&prev->state, THREAD_DEAD);
	else if (prev->state == THREAD_RUNNING)
		WRITE_ONCE(prev->state, THREAD_READY);
	if (prev == rq->idle)
		return;
	if (blocked || leave == LEAVE_FOR_EVER) {
		runq_dequeue(rq, prev, ns);
	} else if (!(prev->affinity & BIT(rq->cpu)) || perturbed_move(rq, prev)) {
		runq_dequeue(rq, prev, ns);
		prev->moving = true;
	} else if (leave == LEAVE_YIELD) {
		eevdf_yield(&rq->ready, &prev->ent, ns);
	} else if (ns) {
		(void)eevdf_charge(&rq->ready, &prev->ent, ns);
	}
}

static struct thread *pick_next(struct runq *rq)
{
	struct eevdf_entity *e = eevdf_pick(&rq->ready);

	if (e)
		return container_of(e, struct thread, ent);
	atomic_fetch_or(&sched_idle_cpus, BIT(rq->cpu));
	return rq->idle;
}

/* When next must be compared with the others again: at the end of its slice, sooner if it merely goes on. */
static uint64_t slice_end(const struct thread *prev, const struct thread *next)
{
	uint64_t left = eevdf_slice_left(&next->ent);

	return prev->exec_start_ns + (prev == next ? MIN(left, SCHED_GRANULARITY_NS) : left);
}

/* Context: irqs off, preemption on, no spinlock held. On return the thread runs again, on this or another CPU. */
static void __no_lock_check schedule(enum leave leave)
{
	struct runq *rq = this_runq();
	struct thread *prev = rq->curr, *next;

	DASSERT(arch_irqs_off() && prev == current_thread());
	if (prev->base.preempt_depth != 0)
		BUG("lock held at a switch: preemption depth %d in %s", prev->base.preempt_depth,
		    prev->base.name);
	spin_lock(&rq->lock);
	WRITE_ONCE(rq->c->need_resched, 0);
	put_prev(rq, prev, leave, charge_time(rq));
	runq_share_out(rq);
	next = perturbed_next(rq, pick_next(rq));
	if (next->state == THREAD_READY)
		WRITE_ONCE(next->state, THREAD_RUNNING);
	if (next != rq->idle)
		rq->slice_end_ns = slice_end(prev, next);
	slice_arm(rq);
	if (next != prev) {
		switch_to(rq, prev, next);
		return;
	}
	spin_unlock(&rq->lock);
}

void sched_block(void)
{
	irqflags_t f = arch_irq_save();

	schedule(LEAVE_IF_BLOCKED);
	irq_restore_resched(f);
}

void sched_exit(void)
{
	arch_irq_disable();
	schedule(LEAVE_FOR_EVER);
	BUG("a dead thread ran again");
}

void sched_yield(void)
{
	irqflags_t f;

	might_sleep();
	f = arch_irq_save();
	perturbed_yield();
	schedule(LEAVE_YIELD);
	irq_restore_resched(f);
}

/* Switch while asked to. irqs off. */
static void resched_if_due(void)
{
	while (READ_ONCE(this_cpu()->need_resched) && this_runq()->curr)
		schedule(LEAVE_READY);
}

void preempt_resched(void)
{
	irqflags_t f = arch_irq_save();

	resched_if_due();
	arch_irq_restore(f);
}

void trap_preempt(void)
{
	if (current_base()->preempt_depth == 0)
		resched_if_due();
}

void cond_resched(void)
{
	might_sleep();
	preempt_resched();
}

void sched_set_space_switch(void (*activate)(struct vm_space *s))
{
	space_activate = activate;
}

/* --- waking ------------------------------------------------------------------------------------------------------ */

bool __no_lock_check thread_wake_locked(struct thread *t, cpumask_t *kicks)
{
	struct runq *src, *dst;
	int kick = KICK_NONE;

	DASSERT(spin_held(&t->lock) && arch_irqs_off());
	perturb(PERTURB_WAKE);
	if (READ_ONCE(t->state) != THREAD_BLOCKED)
		return false;
	for (;;) {
		src = READ_ONCE(t->rq);
		dst = READ_ONCE(t->queued) ? src
					   : perturbed_target(t, runq_select(READ_ONCE(t->affinity),
									     src, false));
		runq_lock_two(src, dst);
		if (t->rq == src && (t->queued || t->moving || (t->affinity & BIT(dst->cpu))))
			break;
		runq_unlock_two(src, dst);
	}
	trace(TRACE_WAKE, (uint32_t)t->base.id | (uint64_t)dst->cpu << 32,
	      (uintptr_t)t->waiting_on);
	WRITE_ONCE(t->state, THREAD_READY);
	if (!t->queued && !t->moving) {
		runq_charge(src);
		eevdf_settle(&src->ready, &t->ent);
		if (dst != src)
			runq_charge(dst);
		WRITE_ONCE(t->rq, dst);
		kick = runq_enqueue(dst, t);
	}
	runq_unlock_two(src, dst);
	if (kick != KICK_NONE)
		*kicks |= BIT(kick);
	*kicks |= find_stealer(dst, READ_ONCE(t->affinity));
	return true;
}

/* --- idle ----------------------------------------------------------------------------------------------------------- */

/* irqs off. Nothing to do here: take from others, else wait. */
static void idle_look_around(struct runq *rq)
{
	/* Our idle bit is set. Pairs with the fence in sched_kick_stealer(). */
	atomic_fence();
	if (runq_steal(rq)) {
		schedule(LEAVE_READY);
		return;
	}
	if (rq->slice_armed) {
		timer_cancel(&rq->slice);
		rq->slice_armed = false;
	}
	if (!READ_ONCE(rq->c->need_resched))
		perturbed_wait();
}

static void __noreturn idle_loop(void)
{
	for (;;) {
		struct runq *rq = this_runq();

		if (READ_ONCE(rq->c->need_resched))
			schedule(LEAVE_READY);
		else
			idle_look_around(rq);
		arch_irq_enable();
		arch_irq_disable();
	}
}

/* On its own, so that nobody has asked before who the current thread is: arch_current() may be kept across anything. */
static void __noinline __noreturn become_idle(struct runq *rq)
{
	spin_lock(&rq->lock);
	rq->curr = rq->idle;
	WRITE_ONCE(rq->c->need_resched, 1);
	spin_unlock(&rq->lock);
	atomic_fetch_or(&sched_online_cpus, BIT(rq->cpu));
	idle_loop();
}

void sched_start(void)
{
	struct runq *rq = this_runq();
	struct thread *idle = rq->idle;

	DASSERT(arch_irqs_off());
	idle->base.preempt_depth = 0;
	idle->state = THREAD_RUNNING;
	idle->exec_start_ns = clock_now_ns();
	idle->on_cpu = 1;
	arch_set_current(idle);
	rq->c->current = idle;
	become_idle(rq);
}

static void runq_init(struct runq *rq, struct cpu *c)
{
	struct thread_base *boot = c->boot_thread;

	spin_init(&rq->lock, LOCK_RUNQ);
	rq->cpu = c->id;
	rq->c = c;
	eevdf_init(&rq->ready);
	timer_init(&rq->slice, slice_fired);
	timer_init(&rq->watch, watch_fired);
	list_init(&rq->dead);
	rq->idle = thread_alloc("idle");
	if (!rq->idle)
		panic("sched: no memory for the idle thread of CPU %u", c->id);
	rq->idle->base.stack_lo = boot->stack_lo;
	rq->idle->base.stack_hi = boot->stack_hi;
	rq->idle->rq = rq;
	rq->idle->affinity = BIT(c->id);
}

void sched_init(void)
{
	struct cpu *c;

	thread_cache_init();
	for_each_cpu (c)
		runq_init(per_cpu_ptr(runqs, c), c);
	reaper_init();
}

void sched_stats(unsigned cpu, struct sched_cpu_stats *out)
{
	struct runq *rq = runq_of_cpu(cpu);
	irqflags_t f = spin_lock_irqsave(&rq->lock);

	runq_charge(rq);
	runq_share_out(rq);
	*out = (struct sched_cpu_stats){
		.switches = rq->switches,
		.idle_ns = rq->idle_ns,
		.user_ns = rq->user_ns,
		.steals = rq->steals,
		.nr_ready = rq->ready.nr,
	};
	spin_unlock_irqrestore(&rq->lock, f);
}

unsigned sched_queue(unsigned cpu, struct sched_wants *out, unsigned room)
{
	struct runq *rq = runq_of_cpu(cpu);
	irqflags_t f = spin_lock_irqsave(&rq->lock);
	struct rb_node *node = rb_first(&rq->ready.tree);
	unsigned n;

	for (n = 0; node && n < room; n++, node = rb_next(node)) {
		const struct thread *t = rb_entry(node, struct thread, ent.node);

		out[n] = (struct sched_wants){
			.id = t->base.id,
			.runs = t == rq->curr,
			.eligible = (int64_t)(t->ent.vruntime - rq->ready.base) <= 0,
			.deadline_ns = (int64_t)(t->ent.deadline - rq->ready.base),
		};
		str_copy(out[n].name, t->name, sizeof(out[n].name));
	}
	spin_unlock_irqrestore(&rq->lock, f);
	return n;
}
