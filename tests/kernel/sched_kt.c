/* SPDX-License-Identifier: MIT */
/* The scheduler under load: rows RC-001 to RC-004, X-01, X-02, X-26, A11, L4 of the bug classes, affinity, weights. */
#include "tests/kernel/ktest.h"
#include "kernel/core/perturb.h"
#include "kernel/core/panic.h"
#include "kernel/core/spinlock.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "sched/mutex.h"
#include "sched/runq_priv.h"
#include "tests/kernel/crew.h"

#define ALL_CPUS (~(cpumask_t)0)

/* I-SCHED-6. Under rq's lock. */
static bool slice_in_time(const struct runq *rq)
{
	return rq->ready.nr < 2 || READ_ONCE(rq->c->need_resched) ||
	       (rq->slice_armed && rq->slice.deadline_ns <= rq->slice_end_ns);
}

/* I-SCHED-1 and -6, I-EEVDF-1 and -2 on every queue, and one idle thread a CPU, in no tree. */
static void check_queues(void)
{
	for (unsigned i = 0; i < cpu_count(); i++) {
		struct runq *rq = runq_of_cpu(i);
		irqflags_t f = spin_lock_irqsave(&rq->lock);
		bool sound = eevdf_check(&rq->ready) && slice_in_time(rq),
		     idle = rq->idle->rq == rq && !rq->idle->queued;

		for (struct rb_node *n = rb_first(&rq->ready.tree); n; n = rb_next(n)) {
			struct thread *t = rb_entry(n, struct thread, ent.node);

			if (t->rq != rq || !t->queued || t->magic != THREAD_MAGIC)
				sound = false;
		}
		spin_unlock_irqrestore(&rq->lock, f);
		KT_CHECK(sound);
		KT_CHECK(idle);
	}
}

/* --- who wakes on a busy CPU is looked at in time ------------------------------------------------------------ */

static void hog_fn(void *arg)
{
	while (!READ_ONCE(*(bool *)arg))
		cond_resched();
}

static void dozer_fn(void *arg)
{
	while (!READ_ONCE(*(bool *)arg))
		KT_CHECK(sleep_until(clock_now_ns() + 100000, WAIT_UNINTERRUPTIBLE) == 0);
}

/* Two keep a CPU busy, a third comes and goes there, woken by another CPU's timer when it has moved its affinity. */
KTEST(slice_timer_in_time)
{
	unsigned cpu = cpu_count() - 1, late = 0;
	struct runq *rq = runq_of_cpu(cpu);
	struct crew crew = { 0 };
	bool stop = false;

	for (unsigned i = 0; i < 2; i++)
		crew_add(&crew, hog_fn, &stop, BIT(cpu));
	for (unsigned i = 0; i < 4; i++)
		crew_add(&crew, dozer_fn, &stop, BIT(i % cpu_count()));
	for (unsigned n = 0; n < 400 * kt_scale(); n++) {
		irqflags_t f;

		/* onto the busy CPU from this one, and away again */
		KT_CHECK(thread_set_affinity(crew.thread[2 + n % 4],
					     n % 8 < 4 ? BIT(cpu) : BIT(0)) == 0);
		f = spin_lock_irqsave(&rq->lock);
		late += !slice_in_time(rq);
		spin_unlock_irqrestore(&rq->lock, f);
		KT_CHECK(sleep_until(clock_now_ns() + 200000, WAIT_UNINTERRUPTIBLE) == 0);
	}
	WRITE_ONCE(stop, true);
	crew_join(&crew);
	KT_CHECK(late == 0);
	check_queues();
}

/* --- RC-001: current and this_cpu agree ------------------------------------------------------------------ */

static void current_fn(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg;
	struct thread *self = current_thread();
	unsigned wrong = 0;

	for (uint64_t i = 0; i < 5000 * kt_scale(); i++) {
		irqflags_t f = arch_irq_save();

		if (current_thread() != self || this_cpu()->current != self ||
		    this_cpu()->id != cpu || this_runq()->curr != self)
			wrong++;
		arch_irq_restore(f);
		sched_yield();
	}
	KT_CHECK(wrong == 0);
}

KTEST(smp_current)
{
	struct crew crew = { 0 };

	for (unsigned i = 0; i < 4 * MIN(cpu_count(), 8u); i++)
		crew_add(&crew, current_fn, (void *)(uintptr_t)(i / 4), BIT(i / 4));
	crew_join(&crew);
	check_queues();
}

/* --- RC-002, X-01: one thread, one CPU ----------------------------------------------------------------------- */

struct resident {
	uint32_t inside;  /* [atomic] */
	uint64_t rounds;  /* [atomic] */
	const bool *stop; /* [atomic] */
};

/* Two CPUs on one thread would meet inside, or find each other's values on the shared stack. */
static void resident_fn(void *arg)
{
	struct resident *r = arg;
	uint64_t pattern[8], bad = 0;

	do {
		if (atomic_exchange(&r->inside, 1))
			bad++;
		for (unsigned i = 0; i < ARRAY_SIZE(pattern); i++)
			WRITE_ONCE(pattern[i], r->rounds ^ (i << 8));
		for (unsigned i = 0; i < ARRAY_SIZE(pattern); i++)
			if (READ_ONCE(pattern[i]) != (r->rounds ^ (i << 8)))
				bad++;
		WRITE_ONCE(r->rounds, r->rounds + 1);
		atomic_exchange(&r->inside, 0);
		sched_yield();
	} while (!READ_ONCE(*r->stop));
	KT_CHECK(bad == 0);
}

static struct resident residents[CREW_MAX];

static uint64_t steals_total(void)
{
	struct sched_cpu_stats s;
	uint64_t n = 0;

	for (unsigned i = 0; i < cpu_count(); i++) {
		sched_stats(i, &s);
		n += s.steals;
	}
	return n;
}

/* Until each of n has gone round `rounds` times and, with more CPUs than one, some were stolen. A perturbed schedule may move so many
 * that no CPU is ever idle, and none steals. */
static bool residents_done(unsigned n, uint64_t rounds, uint64_t steals_before)
{
	for (unsigned i = 0; i < n; i++)
		if (READ_ONCE(residents[i].rounds) < rounds)
			return false;
	return cpu_count() == 1 || perturb_seed() || steals_total() > steals_before;
}

static void run_residents(unsigned n, uint64_t rounds)
{
	struct crew crew = { 0 };
	uint64_t before = steals_total();
	bool stop = false;

	/* All on CPU 0, then free to go where they like: the others must come and take them. */
	for (unsigned i = 0; i < n; i++) {
		residents[i] = (struct resident){ .stop = &stop };
		crew_add(&crew, resident_fn, &residents[i], BIT(0));
	}
	for (unsigned i = 0; i < n; i++)
		KT_CHECK(thread_set_affinity(crew.thread[i], ALL_CPUS) == 0);
	while (!residents_done(n, rounds, before))
		KT_CHECK(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) == 0);
	WRITE_ONCE(stop, true);
	crew_join(&crew);
	check_queues();
}

KTEST(steal_storm)
{
	run_residents(CREW_MAX, 200 * kt_scale());
}

KTEST(switch_window)
{
	WRITE_ONCE(sched_test_window_ns, 200 * NS_PER_US);
	run_residents(16, 8 * kt_scale());
	WRITE_ONCE(sched_test_window_ns, 0);
}

/* --- RC-003: an idle CPU hears of its work ---------------------------------------------------------------------- */

struct bell {
	struct waitq wq;
	uint64_t rung;	 /* [atomic] */
	uint64_t served; /* [atomic] */
	struct waitq done;
	uint64_t rounds;
};

static void bell_fn(void *arg)
{
	struct bell *b = arg;

	for (uint64_t i = 1; i <= b->rounds; i++) {
		wait_event(&b->wq, atomic_load_acquire(&b->rung) >= i);
		atomic_store_release(&b->served, i);
		wake_one(&b->done);
	}
}

static void ring_from_cpu0(void *arg)
{
	struct bell *b = arg;

	for (uint64_t i = 1; i <= b->rounds; i++) {
		uint64_t end = crew_hang_deadline();
		int ret;

		atomic_store_release(&b->rung, i);
		wake_one(&b->wq);
		ret = wait_event_mode(&b->done, atomic_load_acquire(&b->served) >= i,
				      WAIT_UNINTERRUPTIBLE, end);
		KT_CHECK(ret == 0 && clock_now_ns() < end);
		if (ret)
			wait_event(&b->done, atomic_load_acquire(&b->served) >= i);
	}
}

KTEST(wake_idle)
{
	for (unsigned cpu = 0; cpu < MIN(cpu_count(), 4u); cpu++) {
		struct crew crew = { 0 };
		struct bell b = { .rounds = 150 * kt_scale() };

		waitq_init(&b.wq);
		waitq_init(&b.done);
		crew_add(&crew, bell_fn, &b, BIT(cpu));
		crew_add(&crew, ring_from_cpu0, &b, BIT(0));
		crew_join(&crew);
	}
}

/* --- the list of all ----------------------------------------------------------------------------------------------- */

static void count_batch(struct thread *t, unsigned i, void *arg)
{
	*(unsigned *)arg += 1;
}

static uint64_t time_of_batch(int after)
{
	uint64_t best = UINT64_MAX;
	unsigned n = 0;

	for (unsigned round = 0; round < 10; round++) {
		uint64_t t = arch_counter();

		thread_batch(after, 1, count_batch, &n);
		best = MIN(best, arch_counter() - t);
	}
	KT_CHECK(n == 10);
	return best;
}

/* A report that reads on behind an id finds it as fast among thousands. */
KTEST(icount_batch_of_threads_is_found_at_once)
{
	enum { MANY = 2000 };
	struct thread **t = kmalloc(MANY * sizeof(struct thread *));
	uint64_t first = time_of_batch(0), last;
	unsigned n = 0;

	KT_CHECK(t != NULL);
	while (t && n < MANY && (t[n] = thread_alloc("bystander")))
		n++;
	KT_CHECK(n > 1000);
	last = n > 1 ? time_of_batch(t[n - 2]->base.id) : 0;
	while (n > 0)
		thread_put(t[--n]);
	kfree(t);
	log_info(
		"ktest: the first of all threads is found in %lu counts, the last of thousands in %lu",
		(unsigned long)first, (unsigned long)last);
	KT_CHECK(last < first * 10);
}

/* --- RC-004, A11: births and deaths ---------------------------------------------------------------------------- */

struct nursery {
	uint32_t born; /* [atomic] */
	uint32_t bad;  /* [atomic] */
	uint64_t n;
};

static void infant_fn(void *arg)
{
	struct nursery *n = arg;
	struct thread *t = current_thread();

	if (t->magic != THREAD_MAGIC || t->arg != arg || t->state != THREAD_RUNNING || !t->on_cpu ||
	    t->base.preempt_depth != 0 || strcmp(t->base.name, "infant") != 0)
		atomic_fetch_add(&n->bad, 1);
	atomic_fetch_add(&n->born, 1);
}

static void midwife_fn(void *arg)
{
	struct nursery *n = arg;

	for (uint64_t i = 0; i < n->n; i++) {
		struct thread *t = thread_create("infant", infant_fn, n, KSTACK_SIZE);

		KT_CHECK(t != NULL);
		if (!t)
			return;
		thread_start(t);
		if (i % 4 == 0)
			thread_join(t);
		thread_put(t);
	}
}

KTEST(spawn_storm)
{
	unsigned crews = MIN(cpu_count() * 2, 16u);
	struct nursery n = { .n = 1000 * kt_scale() / crews };
	struct crew crew = { 0 };

	for (unsigned i = 0; i < crews; i++)
		crew_add(&crew, midwife_fn, &n, ALL_CPUS);
	crew_join(&crew);
	while (READ_ONCE(n.born) < crews * n.n)
		KT_CHECK(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) == 0);
	KT_CHECK(n.born == crews * n.n);
	KT_CHECK(n.bad == 0);
	check_queues();
}

static void mayfly_fn(void *arg)
{
	uint64_t end = clock_now_ns() + (uint64_t)(uintptr_t)arg;

	/* Ends somewhere around its slice timer. */
	while (clock_now_ns() < end)
		;
}

KTEST(tick_vs_exit)
{
	uint64_t state = kt_seed() | 1;

	for (uint64_t round = 0; round < 5 * kt_scale(); round++) {
		struct crew crew = { 0 };

		for (unsigned i = 0; i < 32; i++)
			crew_add(&crew, mayfly_fn,
				 (void *)(uintptr_t)(SCHED_GRANULARITY_NS / 2 +
						     crew_random(&state) % (3 * NS_PER_MS)),
				 ALL_CPUS);
		crew_join(&crew);
	}
	check_queues();
}

/* --- affinity ------------------------------------------------------------------------------------------------------- */

struct tourist {
	uint32_t stop; /* [atomic] */
	uint64_t seen; /* [atomic] CPUs it found itself on */
};

static void tourist_fn(void *arg)
{
	struct tourist *t = arg;

	while (!READ_ONCE(t->stop))
		atomic_fetch_or(&t->seen, BIT(cpu_id_hint()));
}

KTEST(affinity)
{
	struct tourist tourist = { 0 };
	struct crew crew = { 0 };
	unsigned wrong = 0;

	for (unsigned i = 0; i < 4 * cpu_count(); i++) {
		unsigned cpu = i % cpu_count();

		KT_CHECK(thread_set_affinity(current_thread(), BIT(cpu)) == 0);
		wrong += cpu_id_hint() != cpu;
	}
	KT_CHECK(wrong == 0);
	KT_CHECK(thread_set_affinity(current_thread(), ALL_CPUS) == 0);
	if (cpu_count() < 64)
		KT_CHECK(thread_set_affinity(current_thread(), BIT(63)) == -EINVAL);

	/* One that runs without pause is moved by another. */
	crew_add(&crew, tourist_fn, &tourist, ALL_CPUS);
	for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
		uint64_t end = crew_hang_deadline();

		KT_CHECK(thread_set_affinity(crew.thread[0], BIT(cpu)) == 0);
		while (!(READ_ONCE(tourist.seen) & BIT(cpu)) && clock_now_ns() < end)
			KT_CHECK(sleep_until(clock_now_ns() + 100 * NS_PER_US,
					     WAIT_UNINTERRUPTIBLE) == 0);
		KT_CHECK(READ_ONCE(tourist.seen) & BIT(cpu));
	}
	WRITE_ONCE(tourist.stop, 1);
	crew_join(&crew);
}

/* --- shares -------------------------------------------------------------------------------------------------------------- */

struct worker {
	const uint32_t *stop; /* [atomic] */
	uint64_t run_ns;      /* 0: always; else work this long, then sleep */
	uint64_t nap_ns;
	uint64_t naps; /* [self] */
};

static void worker_fn(void *arg)
{
	struct worker *w = arg;

	while (!READ_ONCE(*w->stop)) {
		uint64_t end = clock_now_ns() + w->run_ns;

		if (!w->run_ns)
			continue;
		while (clock_now_ns() < end)
			;
		KT_CHECK(sleep_until(clock_now_ns() + w->nap_ns, WAIT_UNINTERRUPTIBLE) == 0);
		w->naps++;
	}
}

/* Two on one CPU; whether fair(their CPU times) is true at each of many moments. Instructions are the clock. */
static bool race(struct worker *a, struct worker *b, int nice_b, uint64_t moments,
		 bool (*fair)(uint64_t a, uint64_t b, int nice_b))
{
	struct crew crew = { 0 };
	uint32_t stop = 0;
	bool ok = true;

	a->stop = b->stop = &stop;
	crew_add(&crew, worker_fn, a, BIT(0));
	crew_add(&crew, worker_fn, b, BIT(0));
	KT_CHECK(thread_set_nice(crew.thread[1], nice_b) == 0);
	for (uint64_t i = 0; i < moments && ok; i++) {
		struct sched_cpu_stats charge;
		uint64_t ran_a, ran_b;

		KT_CHECK(sleep_until(clock_now_ns() + 1300 * NS_PER_US, WAIT_UNINTERRUPTIBLE) == 0);
		sched_stats(0, &charge);
		ran_a = READ_ONCE(crew.thread[0]->runtime_ns);
		ran_b = READ_ONCE(crew.thread[1]->runtime_ns);
		ok = fair(ran_a, ran_b, nice_b);
		if (!ok)
			log_info("ktest: nice %d after %lu ns: %lu ns", nice_b, ran_a, ran_b);
	}
	WRITE_ONCE(stop, 1);
	crew_join(&crew);
	return ok;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static uint64_t ideal_of_b(uint64_t total, int nice_b)
{
	return total * eevdf_weight(nice_b) / (eevdf_weight(nice_b) + eevdf_weight(0));
}

/* EEVDF's promise: nobody is ever more than a slice ahead of the ideal, or behind it. */
static bool within_a_slice(uint64_t a, uint64_t b, int nice_b)
{
	return distance(b, ideal_of_b(a + b, nice_b)) <= EEVDF_SLICE_NS;
}

KTEST(icount_service_error)
{
	static const int nice[] = { 0, 5, 10, -5 };

	for (unsigned i = 0; i < ARRAY_SIZE(nice); i++) {
		struct worker a = { 0 }, b = { 0 };

		KT_CHECK(race(&a, &b, nice[i], 50 * kt_scale(), within_a_slice));
	}
	KT_CHECK(thread_set_nice(current_thread(), 20) == -EINVAL);
}

/* Within 2 %, once the slice under way no longer counts for more. */
static bool weights_hold(uint64_t a, uint64_t b, int nice_b)
{
	uint64_t total = a + b;

	return total < 100 * NS_PER_MS || distance(b, ideal_of_b(total, nice_b)) <= total / 50;
}

KTEST(icount_nice_weights)
{
	static const int nice[] = { 0, 5, 10 };

	for (unsigned i = 0; i < ARRAY_SIZE(nice); i++) {
		struct worker a = { 0 }, b = { 0 };

		KT_CHECK(race(&a, &b, nice[i], 100 * kt_scale(), weights_hold));
	}
}

static bool no_gain(uint64_t a, uint64_t b, int nice_b)
{
	(void)nice_b;
	return b <= a + EEVDF_SLICE_NS;
}

KTEST(icount_sleeper_gains_nothing)
{
	static const uint64_t run_us[] = { 200, 1000, 4000 };

	for (unsigned i = 0; i < ARRAY_SIZE(run_us); i++) {
		struct worker a = { 0 },
			      b = { .run_ns = run_us[i] * NS_PER_US, .nap_ns = 50 * NS_PER_US };

		KT_CHECK(race(&a, &b, 0, 60 * kt_scale(), no_gain));
		KT_CHECK(b.naps > 0);
	}
}

static void spin_until_fn(void *arg)
{
	uint32_t *stop = arg;

	while (!READ_ONCE(*stop))
		;
}

struct debtor {
	uint32_t stop;	/* [atomic] */
	uint64_t worst; /* [self] lateness of a wake-up, ns */
};

/* A millisecond at nice 19 is a debt of 68 to one at nice 0. */
static void debtor_fn(void *arg)
{
	struct debtor *d = arg;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t due = crew_deadline_ms(1), late;

		while (clock_now_ns() < due)
			;
		due = crew_deadline_ms(100);
		KT_CHECK(sleep_until(due, WAIT_UNINTERRUPTIBLE) == 0);
		late = clock_now_ns() - due;
		d->worst = MAX(d->worst, late);
	}
	WRITE_ONCE(d->stop, 1);
}

/* While it sleeps, one that nobody interrupts pays it back: also what that has run since it was charged last counts. */
KTEST(icount_debt_is_forgiven)
{
	struct debtor d = { 0 };
	struct crew crew = { 0 };

	crew_add(&crew, spin_until_fn, &d.stop, BIT(0));
	crew_add(&crew, debtor_fn, &d, BIT(0));
	KT_CHECK(thread_set_nice(crew.thread[1], 19) == 0);
	crew_join(&crew);
	log_info("ktest: the worst wake-up of a debtor took %lu ns", d.worst);
	KT_CHECK(d.worst <= 2 * SCHED_GRANULARITY_NS);
}

/* --- who wakes another goes on ------------------------------------------------------------------------------------- */

#define RING 4

struct station {
	struct waitq wq;
	uint64_t *token; /* [atomic] of the next hop */
	uint64_t number, hops;
};

static struct station ring[RING];

static void station_fn(void *arg)
{
	struct station *s = arg;

	for (uint64_t hop = s->number; hop < s->hops; hop += RING) {
		wait_event(&s->wq, atomic_load_acquire(s->token) == hop);
		atomic_store_release(s->token, hop + 1);
		wake_one(&ring[(s->number + 1) % RING].wq);
	}
}

/* A token goes round: each that passes it on is about to sleep, and is not switched away from before. */
KTEST(icount_waker_goes_on)
{
	uint64_t hops = 1000 * kt_scale(), token = 0;
	struct sched_cpu_stats before, after;
	struct crew crew = { 0 };

	KT_CHECK(thread_set_affinity(current_thread(), BIT(0)) == 0);
	sched_stats(0, &before);
	for (unsigned i = 0; i < RING; i++) {
		ring[i] = (struct station){ .token = &token, .number = i, .hops = hops };
		waitq_init(&ring[i].wq);
	}
	for (unsigned i = 0; i < RING; i++)
		crew_add(&crew, station_fn, &ring[i], BIT(0));
	crew_join(&crew);
	sched_stats(0, &after);
	log_info("ktest: %lu switches for %lu hops", after.switches - before.switches, hops);
	KT_CHECK(after.switches - before.switches < hops + hops / 10);
	KT_CHECK(thread_set_affinity(current_thread(), ALL_CPUS) == 0);
}

/* --- no lock across a switch --------------------------------------------------------------------------------------- */

static spinlock_t held = SPINLOCK_INIT(FUTEX);

static void __no_lock_check yield_with_lock(void *arg)
{
	(void)arg;
	spin_lock(&held);
	sched_yield();
}

static void yield_unpreemptible(void *arg)
{
	(void)arg;
	preempt_disable();
	sched_yield();
}

static void __no_lock_check exit_with_mutex(void *arg)
{
	mutex_lock(arg);
	thread_exit();
}

KTEST(switch_with_lock)
{
	static struct mutex m;

	kt_expect_bug(yield_with_lock, NULL, "");
	spin_init(&held, LOCK_FUTEX);
	kt_expect_bug(yield_unpreemptible, NULL, "");
	mutex_init(&m, LOCK_INODE);
	kt_expect_bug(exit_with_mutex, &m, "");
}

/* --- L4: registers across a switch ------------------------------------------------------------------------------------ */

/* Fill x19-x28 from seed, give the CPU away, and count those that changed. */
static uint64_t registers_across_yield(uint64_t seed)
{
	register uint64_t x0 __asm__("x0") = seed;

	__asm__ __volatile__("stp x19, x20, [sp, #-96]!\n\t"
			     "stp x21, x22, [sp, #16]\n\t"
			     "stp x23, x24, [sp, #32]\n\t"
			     "stp x25, x26, [sp, #48]\n\t"
			     "stp x27, x28, [sp, #64]\n\t"
			     "str x0, [sp, #80]\n\t"
			     "add x19, x0, #1\n\tadd x20, x0, #2\n\tadd x21, x0, #3\n\t"
			     "add x22, x0, #4\n\tadd x23, x0, #5\n\tadd x24, x0, #6\n\t"
			     "add x25, x0, #7\n\tadd x26, x0, #8\n\tadd x27, x0, #9\n\t"
			     "add x28, x0, #10\n\t"
			     "bl sched_yield\n\t"
			     "ldr x1, [sp, #80]\n\t"
			     "sub x19, x19, #1\n\tsub x20, x20, #2\n\tsub x21, x21, #3\n\t"
			     "sub x22, x22, #4\n\tsub x23, x23, #5\n\tsub x24, x24, #6\n\t"
			     "sub x25, x25, #7\n\tsub x26, x26, #8\n\tsub x27, x27, #9\n\t"
			     "sub x28, x28, #10\n\t"
			     "mov x0, #0\n\t"
			     "cmp x19, x1\n\tcinc x0, x0, ne\n\tcmp x20, x1\n\tcinc x0, x0, ne\n\t"
			     "cmp x21, x1\n\tcinc x0, x0, ne\n\tcmp x22, x1\n\tcinc x0, x0, ne\n\t"
			     "cmp x23, x1\n\tcinc x0, x0, ne\n\tcmp x24, x1\n\tcinc x0, x0, ne\n\t"
			     "cmp x25, x1\n\tcinc x0, x0, ne\n\tcmp x26, x1\n\tcinc x0, x0, ne\n\t"
			     "cmp x27, x1\n\tcinc x0, x0, ne\n\tcmp x28, x1\n\tcinc x0, x0, ne\n\t"
			     "ldp x21, x22, [sp, #16]\n\t"
			     "ldp x23, x24, [sp, #32]\n\t"
			     "ldp x25, x26, [sp, #48]\n\t"
			     "ldp x27, x28, [sp, #64]\n\t"
			     "ldp x19, x20, [sp], #96\n\t"
			     : "+r"(x0)
			     :
			     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
			       "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x30", "cc",
			       "memory");
	return x0;
}

static void registers_fn(void *arg)
{
	uint64_t bad = 0;

	for (uint64_t i = 0; i < 2000 * kt_scale(); i++)
		bad += registers_across_yield((uintptr_t)arg * 1000003 + i * 100);
	KT_CHECK(bad == 0);
}

KTEST(switch_registers)
{
	struct crew crew = { 0 };

	for (unsigned i = 0; i < 2 * MIN(cpu_count(), 8u); i++)
		crew_add(&crew, registers_fn, (void *)(uintptr_t)(i + 1), ALL_CPUS);
	crew_join(&crew);
}

/* --- preemption --------------------------------------------------------------------------------------------------------- */

/* Two that never give way share a CPU with a third that sleeps and wakes: all get on. The third's worst delay. */
static uint64_t wake_among_spinners(unsigned cpu)
{
	struct crew crew = { 0 };
	uint32_t stop = 0;
	uint64_t worst = 0;

	crew_add(&crew, spin_until_fn, &stop, BIT(cpu));
	crew_add(&crew, spin_until_fn, &stop, BIT(cpu));
	KT_CHECK(thread_set_affinity(current_thread(), BIT(cpu)) == 0);
	for (unsigned i = 0; i < 30; i++) {
		uint64_t due = crew_deadline_ms(2), late;

		KT_CHECK(sleep_until(due, WAIT_UNINTERRUPTIBLE) == 0);
		late = clock_now_ns() - due;
		worst = MAX(worst, late);
	}
	WRITE_ONCE(stop, 1);
	crew_join(&crew);
	KT_CHECK(thread_set_affinity(current_thread(), ALL_CPUS) == 0);
	return worst;
}

/* Without preemption it never ends. */
KTEST(preemption)
{
	(void)wake_among_spinners(cpu_count() - 1);
}

KTEST(icount_wake_preempts)
{
	uint64_t worst = wake_among_spinners(0);

	log_info("ktest: the worst wake-up among spinners took %lu ns", worst);
	KT_CHECK(worst <= 2 * EEVDF_SLICE_NS);
}
