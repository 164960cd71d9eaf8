/* SPDX-License-Identifier: MIT */
/* Threads' lives: creation, start, exit, and who frees them. A thread cannot free the stack it stands on: when it has
 * switched away for ever, its CPU puts it on a list, and the reaper, or whoever creates the next thread, drops the
 * scheduler's reference. */
#include "sched/thread.h"
#include "kernel/core/panic.h"
#include "kernel/core/perturb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "sched/runq_priv.h"

/* A CPU whose user mode is asked for is made to count it this often. */
#define COUNT_STALE_NS (10 * NS_PER_MS)

static struct slab_cache *thread_cache; /* [init] */
static spinlock_t registry_lock = SPINLOCK_INIT(THREAD);
static struct rb_root registry; /* [registry_lock] */
static int last_id;		/* [registry_lock] */

static struct waitq reaper_wq = WAITQ_INIT(reaper_wq);
static uint32_t reaper_due; /* [atomic] REAP_... */

/* Nobody waits for most that die, and whoever creates the next thread takes them along: the reaper leaves it some time. */
#define REAP_SOON  BIT(0)
#define REAP_NOW   BIT(1)
#define REAP_DELAY (2 * NS_PER_MS)

void thread_cache_init(void)
{
	thread_cache = slab_create("thread", sizeof(struct thread), 16);
	if (!thread_cache)
		panic("sched: no memory for threads");
}

static struct thread *thread_of(const struct rb_node *n)
{
	return n ? rb_entry(n, struct thread, all_node) : NULL;
}

static bool by_id(const struct rb_node *a, const struct rb_node *b)
{
	return thread_of(a)->base.id < thread_of(b)->base.id;
}

static void registry_add(struct thread *t)
{
	irqflags_t f = spin_lock_irqsave(&registry_lock);

	t->base.id = ++last_id;
	rb_insert(&registry, &t->all_node, by_id);
	spin_unlock_irqrestore(&registry_lock, f);
}

static void registry_remove(struct thread *t)
{
	irqflags_t f = spin_lock_irqsave(&registry_lock);

	rb_erase(&registry, &t->all_node);
	spin_unlock_irqrestore(&registry_lock, f);
}

/* The first above an id. */
static struct thread *registry_above(int id)
{
	struct rb_node *n = registry.node, *found = NULL;

	while (n) {
		bool above = thread_of(n)->base.id > id;

		found = above ? n : found;
		n = above ? n->left : n->right;
	}
	return thread_of(found);
}

static struct thread *registry_next(const struct thread *t)
{
	return thread_of(rb_next(&t->all_node));
}

void thread_for_each(void (*fn)(struct thread *t, void *arg), void *arg)
{
	irqflags_t f = spin_lock_irqsave(&registry_lock);

	for (struct thread *t = registry_above(0); t; t = registry_next(t))
		fn(t, arg);
	spin_unlock_irqrestore(&registry_lock, f);
}

unsigned thread_batch(int after, unsigned most, void (*fn)(struct thread *t, unsigned i, void *arg),
		      void *arg)
{
	irqflags_t f = spin_lock_irqsave(&registry_lock);
	struct thread *t = registry_above(after);
	unsigned n = 0;

	for (; t && n < most; t = registry_next(t))
		fn(t, n++, arg);
	spin_unlock_irqrestore(&registry_lock, f);
	return n;
}

bool thread_identify(const struct thread *which, int *id, char name[16])
{
	bool found = false;

	if (!spin_trylock(&registry_lock))
		return false;
	for (struct thread *t = registry_above(0); t; t = registry_next(t)) {
		if (t != which)
			continue;
		*id = t->base.id;
		str_copy(name, t->name, sizeof(t->name));
		found = true;
	}
	spin_unlock(&registry_lock);
	return found;
}

const char *thread_state_name(enum thread_state s)
{
	static const char *const names[] = {
		[THREAD_NEW] = "new",	      [THREAD_READY] = "ready",
		[THREAD_RUNNING] = "running", [THREAD_BLOCKED] = "blocked",
		[THREAD_DEAD] = "dead",
	};

	return names[s];
}

struct thread *thread_alloc(const char *name)
{
	struct thread *t = slab_zalloc(thread_cache);

	if (!t)
		return NULL;
	str_copy(t->name, name, sizeof(t->name));
	t->base.name = t->name;
	/* As if it had taken its run queue's lock: switch_finish() releases it. */
	t->base.preempt_depth = 1;
	spin_init(&t->lock, LOCK_THREAD);
	refcount_init(&t->ref, 1);
	eevdf_entity_init(&t->ent, eevdf_weight(0));
	t->affinity = ~(cpumask_t)0;
	waitq_init(&t->exit_wq);
	list_init(&t->dead_link);
	list_init(&t->process_link);
	list_init(&t->tid_link);
	t->magic = THREAD_MAGIC;
	registry_add(t);
	return t;
}

static void thread_free(struct thread *t)
{
	ASSERT(t->state == THREAD_NEW || t->state == THREAD_DEAD);
	ASSERT(!t->queued && !t->moving && !atomic_load_acquire(&t->on_cpu));
	ASSERT(!list_linked(&t->dead_link) && !t->waiting_on);
	waitq_check_idle(&t->exit_wq);
	registry_remove(t);
	if (t->on_free)
		t->on_free(t);
	if (t->stack.hi)
		kstack_free(&t->stack);
	t->magic = 0;
	slab_free(thread_cache, t);
}

void thread_get(struct thread *t)
{
	if (!refcount_get(&t->ref))
		BUG("reference taken to dead thread %s", t->name);
}

void thread_put(struct thread *t)
{
	if (refcount_put(&t->ref))
		thread_free(t);
}

static void thread_main(void *arg)
{
	struct thread *t = arg;

	ASSERT(t == current_thread() && t->base.preempt_depth == 0);
	arch_irq_enable();
	preempt_resched();
	t->entry(t->arg);
	thread_exit();
}

struct thread *thread_create(const char *name, void (*entry)(void *), void *arg, size_t stack_size)
{
	struct thread *t;
	irqflags_t f;

	for (unsigned i = 0; i < cpu_count(); i++)
		runq_reap(runq_of_cpu(i));
	t = thread_alloc(name);
	if (!t)
		return NULL;
	if (kstack_alloc(&t->stack, stack_size) < 0)
		goto put;
	t->base.stack_lo = t->stack.lo;
	t->base.stack_hi = t->stack.hi;
	t->entry = entry;
	t->arg = arg;
	arch_thread_init(&t->arch, (void *)t->stack.hi, thread_main, t);
	f = arch_irq_save();
	WRITE_ONCE(t->rq, this_runq());
	arch_irq_restore(f);
	return t;
put:
	thread_put(t);
	return NULL;
}

void __no_lock_check thread_start(struct thread *t)
{
	irqflags_t f;
	struct runq *dst, *src;
	int kick;

	thread_get(t);
	perturb(PERTURB_PUBLISH);
	f = arch_irq_save();
	for (;;) {
		src = READ_ONCE(t->rq);
		dst = runq_select(READ_ONCE(t->affinity), src, true);
		runq_lock_two(src, dst);
		if (t->affinity & BIT(dst->cpu))
			break;
		runq_unlock_two(src, dst);
	}
	ASSERT(t->state == THREAD_NEW && t->rq == src);
	WRITE_ONCE(t->rq, dst);
	WRITE_ONCE(t->state, THREAD_READY);
	runq_charge(dst);
	kick = runq_enqueue(dst, t);
	runq_unlock_two(src, dst);
	sched_kick(kick);
	sched_kick_stealer(dst, READ_ONCE(t->affinity));
	irq_restore_resched(f);
}

static int spawn(struct thread *t)
{
	if (!t)
		return -ENOMEM;
	thread_start(t);
	thread_put(t);
	return 0;
}

int thread_spawn(const char *name, void (*entry)(void *), void *arg)
{
	return spawn(thread_create(name, entry, arg, KSTACK_SIZE));
}

int thread_spawn_deep(const char *name, void (*entry)(void *), void *arg)
{
	return spawn(thread_create(name, entry, arg, KSTACK_SIZE_LARGE));
}

void __no_lock_check thread_exit(void)
{
	struct thread *t = current_thread();

	might_sleep();
	lock_check_none_held("thread exit");
	ASSERT(t->state == THREAD_RUNNING && !t->waiting_on);
	sched_exit();
}

uint64_t __no_lock_check thread_cpu_ns(struct thread *t, uint64_t *user_ns)
{
	irqflags_t f;
	struct runq *rq = runq_lock_of(t, &f);
	int kick = KICK_NONE;
	uint64_t ns;

	if (rq->curr == t) {
		runq_charge(rq);
		runq_share_out(rq);
		/* too much of it is a guess: let its CPU count */
		if (t->user && t->exec_start_ns - rq->counted_ns > COUNT_STALE_NS &&
		    !atomic_exchange(&rq->c->need_resched, 1))
			kick = (int)rq->cpu;
	}
	ns = t->runtime_ns;
	if (user_ns)
		*user_ns = t->user_ns;
	spin_unlock(&rq->lock);
	sched_kick(kick);
	arch_irq_restore(f);
	return ns;
}

void thread_join(struct thread *t)
{
	/* acquire: what we see of on_cpu is not older than its end. Pairs with the release in put_prev() */
	wait_event(&t->exit_wq, atomic_load_acquire(&t->state) == THREAD_DEAD &&
					!atomic_load_acquire(&t->on_cpu));
}

void runq_reap(struct runq *rq)
{
	struct list_head dead;
	irqflags_t f;

	if (!list_linked(&rq->dead))
		return;
	list_init(&dead);
	f = spin_lock_irqsave(&rq->lock);
	list_splice_back(&rq->dead, &dead);
	spin_unlock_irqrestore(&rq->lock, f);
	while (!list_empty(&dead)) {
		struct thread *t = list_first(&dead, struct thread, dead_link);

		list_del(&t->dead_link);
		wake_all(&t->exit_wq);
		thread_put(t);
	}
}

static void reaper(void *arg)
{
	(void)arg;
	for (;;) {
		wait_event(&reaper_wq, atomic_load_acquire(&reaper_due));
		(void)wait_event_mode(&reaper_wq, atomic_load_acquire(&reaper_due) & REAP_NOW,
				      WAIT_UNINTERRUPTIBLE, clock_now_ns() + REAP_DELAY);
		atomic_exchange(&reaper_due, 0);
		for (unsigned i = 0; i < cpu_count(); i++)
			runq_reap(runq_of_cpu(i));
	}
}

void reaper_wake(bool now)
{
	uint32_t bit = now ? REAP_NOW : REAP_SOON;

	/* Pairs with the exchange in reaper(): the list was filled before. */
	if (!(atomic_fetch_or(&reaper_due, bit) & bit))
		wake_one(&reaper_wq);
}

void reaper_init(void)
{
	if (thread_spawn("reaper", reaper, NULL) < 0)
		panic("sched: no memory for the reaper");
}
