/* SPDX-License-Identifier: MIT */
/* The lock checker: each misuse ends in its report; and spinlocks do exclude. Rows RC-011, X-15, X-24, X-26, ARCH-003. */
#include "fs/vfs.h"
#include "kernel/core/lock_stat.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/perturb.h"
#include "kernel/core/rwspin.h"
#include "kernel/core/spinlock.h"
#include "lib/string.h"
#include "mm/phys/slab.h"
#include "mm/vm/user_copy.h"
#include "sched/mutex.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"

static spinlock_t outer = SPINLOCK_INIT(FUTEX);
static spinlock_t inner = SPINLOCK_INIT(PGCACHE);
static spinlock_t same = SPINLOCK_INIT(FUTEX);
static spinlock_t irq_safe = SPINLOCK_INIT(VIRTQ);

static void take_twice(void *unused) __no_lock_check
{
	spin_lock(&outer);
	spin_lock(&outer);
}

static void take_inverted(void *unused) __no_lock_check
{
	spin_lock(&inner);
	spin_lock(&outer);
}

static void take_two_of_a_class(void *unused) __no_lock_check
{
	spin_lock(&outer);
	spin_lock(&same);
}

static void take_with_irqs_on(void *unused) __no_lock_check
{
	spin_lock(&irq_safe);
}

static void try_with_irqs_on(void *unused) __no_lock_check
{
	if (spin_trylock(&irq_safe))
		spin_unlock(&irq_safe);
}

static void release_unheld(void *unused) __no_lock_check
{
	spin_unlock(&outer);
}

static void sleep_holding(void *unused) __no_lock_check
{
	spin_lock(&outer);
	might_sleep();
}

static void leave_holding(void *unused) __no_lock_check
{
	spin_lock(&outer);
	lock_check_none_held("return to user mode");
}

static void use_this_cpu_preemptible(void *unused)
{
	KT_CHECK(this_cpu() != NULL);
}

/* RC-011, ARCH-002, ARCH-003, X-26; I-LOCK-1, I-LOCK-2, I-LOCK-5, I-CPU-1 */
KTEST(lock_misuse)
{
	kt_expect_bug(take_twice, NULL, "FUTEX taken twice");
	kt_expect_bug(take_inverted, NULL, "FUTEX taken while holding PGCACHE");
	kt_expect_bug(take_two_of_a_class, NULL, "FUTEX taken while holding FUTEX");
	kt_expect_bug(take_with_irqs_on, NULL, "VIRTQ taken with interrupts on");
	kt_expect_bug(try_with_irqs_on, NULL, "VIRTQ taken with interrupts on");
	kt_expect_bug(release_unheld, NULL, "released by somebody who does not hold it");
	kt_expect_bug(sleep_holding, NULL, "sleep while holding FUTEX");
	kt_expect_bug(leave_holding, NULL, "FUTEX held: return to user mode");
	kt_expect_bug(use_this_cpu_preemptible, NULL, "preempt_depth > 0");
	/* and what is right is silent */
	spin_lock(&outer);
	spin_lock(&inner);
	KT_CHECK(spin_held(&outer) && spin_held(&inner));
	spin_unlock(&inner);
	spin_unlock(&outer);
	KT_CHECK(!spin_held(&outer));
	KT_CHECK(current_base()->preempt_depth == 0);
}

/* I-RW-1: who reads sees no half of a change, and who writes is alone. */
static DEFINE_PER_CPU(uint32_t, both_reading);
static struct {
	struct rwspin lock;
	uint64_t a, b; /* [lock] equal */
} both = { RWSPIN_INIT(DCACHE, both_reading), 0, 0 };

static void readers_fn(void *arg)
{
	uint64_t a;

	for (uint64_t i = 0; i < 4000 * kt_scale(); i++) {
		if (i % 8 == (uintptr_t)arg) {
			rwspin_write_lock(&both.lock);
			a = READ_ONCE(both.a);
			WRITE_ONCE(both.a, a + 1);
			perturb(PERTURB_PUBLISH);
			WRITE_ONCE(both.b, a + 1);
			rwspin_write_unlock(&both.lock);
		} else {
			rwspin_read_lock(&both.lock);
			a = READ_ONCE(both.a);
			perturb(PERTURB_PUBLISH);
			KT_CHECK(a == READ_ONCE(both.b));
			rwspin_read_unlock(&both.lock);
		}
	}
}

KTEST(lock_readers)
{
	struct crew crew = { 0 };
	uint64_t before = both.a;

	for (uintptr_t i = 0; i < 4; i++)
		crew_add(&crew, readers_fn, (void *)i, ~(cpumask_t)0);
	crew_join(&crew);
	KT_CHECK(both.a == before + 4 * 500 * kt_scale() && both.b == both.a);
	KT_CHECK(current_base()->preempt_depth == 0);
}

static DEFINE_PER_CPU(uint32_t, misuse_reading);
static struct rwspin misused[] = { RWSPIN_INIT(DCACHE, misuse_reading) };

static void read_twice(void *arg) __no_lock_check
{
	rwspin_read_lock(misused);
	rwspin_read_lock(misused);
}

static void read_and_sleep(void *arg) __no_lock_check
{
	rwspin_read_lock(misused);
	might_sleep();
}

static void write_and_sleep(void *arg) __no_lock_check
{
	rwspin_write_lock(misused);
	might_sleep();
}

KTEST(lock_readers_misuse)
{
	kt_expect_bug(read_twice, NULL, "DCACHE taken twice");
	kt_expect_bug(read_and_sleep, NULL, "sleep while holding DCACHE");
	kt_expect_bug(write_and_sleep, NULL, "sleep while holding DCACHE");
	/* what they held has been let go */
	KT_CHECK(!misused->writing && !spin_held(&misused->writer));
	rwspin_write_lock(misused);
	rwspin_write_unlock(misused);
}

/* Run fn in an interrupt, a timer's. */
static void (*irq_fn)(void);
static bool irq_fn_done;

static void irq_timer(struct timer *t)
{
	KT_CHECK(in_irq() && arch_irqs_off());
	irq_fn();
	WRITE_ONCE(irq_fn_done, true);
}

static void in_interrupt(void (*fn)(void))
{
	struct timer t;

	irq_fn = fn;
	irq_fn_done = false;
	timer_init(&t, irq_timer);
	timer_arm(&t, clock_now_ns());
	while (!READ_ONCE(irq_fn_done))
		arch_spin_hint();
	timer_cancel(&t);
	KT_CHECK(!in_irq());
}

static void take_noirq(void *unused) __no_lock_check
{
	spin_lock(&outer);
}

static void irq_takes(void)
{
	spin_lock(&irq_safe);
	spin_unlock(&irq_safe);
	kt_expect_bug(take_noirq, NULL,
		      "FUTEX taken in interrupt context, and with interrupts on at");
}

/* I-LOCK-2: what was seen of a class, and not the table alone, speaks against it; each report names the other place. */
KTEST(lock_irq_context)
{
	spin_lock(&outer);
	spin_unlock(&outer);
	in_interrupt(irq_takes);
	kt_expect_bug(take_with_irqs_on, NULL,
		      "VIRTQ taken with interrupts on, and in an interrupt at");
}

/* I-LOCK-6: of locks of one class, those that were nested. */
static struct mutex ring[4];

static void nest(void *pair) __no_lock_check
{
	struct mutex **m = pair;

	mutex_lock(m[0]);
	mutex_lock_nested(m[1]);
	mutex_unlock(m[1]);
	mutex_unlock(m[0]);
}

/* The harness forgets what was held when the report came; it stays locked. */
static void let_go(struct mutex *m)
{
	atomic_store_release(&m->owner, NULL);
}

KTEST(lock_circle)
{
	static struct mutex *steps[][2] = { { &ring[0], &ring[1] },
					    { &ring[1], &ring[2] },
					    { &ring[2], &ring[3] } };
	static struct mutex *back[] = { &ring[1], &ring[0] }, *around[] = { &ring[3], &ring[0] },
			    *shortcut[] = { &ring[0], &ring[3] };

	for (size_t i = 0; i < ARRAY_SIZE(ring); i++)
		mutex_init(&ring[i], LOCK_EPOLL);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		nest(steps[i]);
	nest(steps[0]);
	kt_expect_bug(nest, back, "a circle of EPOLL");
	let_go(&ring[1]);
	kt_expect_bug(nest, around, "a circle of EPOLL");
	let_go(&ring[3]);
	nest(shortcut);
	/* a lock that begins anew has no past, and nothing led through it */
	mutex_init(&ring[1], LOCK_EPOLL);
	mutex_init(&ring[0], LOCK_EPOLL);
	nest(back);
	nest(around);
	for (size_t i = 0; i < ARRAY_SIZE(ring); i++)
		mutex_init(&ring[i], LOCK_EPOLL);
}

/* More pairs than are remembered: the oldest go, and those that are left are still held against what comes. */
KTEST(lock_circle_of_many)
{
	static struct mutex many[600];
	static struct mutex *pair[2];
	unsigned n = ARRAY_SIZE(many);

	for (unsigned i = 0; i < n; i++)
		mutex_init(&many[i], LOCK_EPOLL);
	for (unsigned i = 0; i + 1 < n; i++)
		nest((struct mutex *[]){ &many[i], &many[i + 1] });
	pair[0] = &many[n - 1];
	pair[1] = &many[n - 100];
	kt_expect_bug(nest, pair, "a circle of EPOLL");
	let_go(pair[0]);
	for (unsigned i = 0; i < n; i++)
		mutex_init(&many[i], LOCK_EPOLL);
}

/* I-LOCK-5: whatever may sleep says so, wherever it may not, also when it would find nothing to wait for. */
static struct mutex free_mutex = MUTEX_INIT(free_mutex, EPOLL);
static struct waitq nobody = WAITQ_INIT(nobody);

static void do_mutex(void *unused) __no_lock_check
{
	mutex_lock(&free_mutex);
}

static void do_wait(void *unused)
{
	wait_event(&nobody, true);
}

static void do_sleep(void *unused)
{
	KT_CHECK(sleep_until(0, WAIT_UNINTERRUPTIBLE) == 0);
}

static void do_yield(void *unused)
{
	sched_yield();
}

static void do_resched(void *unused)
{
	cond_resched();
}

static void do_exit(void *unused)
{
	thread_exit();
}

static void do_user_copy(void *unused)
{
	char c;

	KT_CHECK(user_copy_from(&c, USER_MIN, 1) != 0);
}

static void (*const sleepers[])(void *) = { do_mutex,	do_wait, do_sleep,    do_yield,
					    do_resched, do_exit, do_user_copy };

static void each_sleeper(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(sleepers); i++)
		kt_expect_bug(sleepers[i], NULL, text);
}

static void sleep_in_interrupt(void)
{
	each_sleeper("sleep with interrupts off");
}

KTEST(lock_sleep_in_atomic)
{
	irqflags_t f;

	spin_lock(&outer);
	each_sleeper("sleep while holding FUTEX");
	spin_unlock(&outer);
	preempt_disable();
	each_sleeper("sleep with preemption off");
	preempt_enable();
	f = arch_irq_save();
	each_sleeper("sleep with interrupts off");
	arch_irq_restore(f);
	in_interrupt(sleep_in_interrupt);
	KT_CHECK(!mutex_held(&free_mutex) && list_empty(&nobody.sleepers));
}

/* X-24, I-LOCK-4: the interrupt state after an unlock is the caller's, however contended; X-15: the lock excludes. */
static struct {
	spinlock_t lock;
	uint64_t count;
	uint64_t shadow;
} shared = { SPINLOCK_INIT(VIRTQ), 0, 0 };

static void count_fn(void *arg)
{
	unsigned wrong = 0;

	for (uint64_t i = 0; i < 20000 * kt_scale(); i++) {
		bool off = (i + (uintptr_t)arg) & 1;
		irqflags_t outside = 0, f;

		if (off)
			outside = arch_irq_save();
		f = spin_lock_irqsave(&shared.lock);
		if (shared.count++ != shared.shadow)
			wrong++;
		shared.shadow++;
		spin_unlock_irqrestore(&shared.lock, f);
		if (arch_irqs_off() != off)
			wrong++;
		if (off)
			arch_irq_restore(outside);
	}
	KT_CHECK(wrong == 0);
}

KTEST(lock_contended)
{
	struct crew crew = { 0 };
	uint64_t n = MIN(cpu_count(), 8u);

	shared.count = 0;
	shared.shadow = 0;
	for (unsigned i = 0; i < n; i++)
		crew_add(&crew, count_fn, (void *)(uintptr_t)i, BIT(i));
	crew_join(&crew);
	KT_CHECK(shared.count == n * 20000 * kt_scale());
}

static spinlock_t pair_a = SPINLOCK_INIT(FUTEX);
static spinlock_t pair_b = SPINLOCK_INIT(FUTEX);
static uint64_t pair_count;

static void pair_fn(void *arg) __no_lock_check
{
	for (uint64_t i = 0; i < 5000 * kt_scale(); i++) {
		if (arg)
			spin_lock_pair(&pair_a, &pair_b);
		else
			spin_lock_pair(&pair_b, &pair_a);
		pair_count++;
		spin_unlock(&pair_a);
		spin_unlock(&pair_b);
	}
}

KTEST(lock_pairs)
{
	struct crew crew = { 0 };
	unsigned n = MIN(cpu_count(), 4u);

	pair_count = 0;
	for (unsigned i = 0; i < n; i++)
		crew_add(&crew, pair_fn, (void *)(uintptr_t)(i & 1), BIT(i));
	crew_join(&crew);
	KT_CHECK(pair_count == n * 5000 * kt_scale());
}

/* The second try on a lock that is held is the point of it. */
static bool __no_lock_check only_the_first_try_takes(void)
{
	bool first = spin_trylock(&outer);
	bool second = first && spin_trylock(&outer);

	if (first)
		spin_unlock(&outer);
	return first && !second;
}

KTEST(lock_trylock)
{
	KT_CHECK(only_the_first_try_takes());
	KT_CHECK(current_base()->preempt_depth == 0);
}

/* --- statistics ------------------------------------------------------------------------------------------------- */

static spinlock_t timed = SPINLOCK_INIT(LOADAVG);

static __noinline void hold_for(uint64_t ns)
{
	spin_lock(&timed);
	clock_spin_ns(ns);
	spin_unlock(&timed);
}

/* Where the longest was is told of the longest alone: hold until ours is. */
KTEST(lock_stat_hold)
{
	struct lock_stat before, after;
	const char *at = "";
	uint64_t ns = 200 * NS_PER_US;
	size_t offset;

	for (int tries = 0; tries < 5 && strcmp(at, "hold_for") != 0; tries++, ns *= 4) {
		lock_stat_get(LOCK_LOADAVG, &before);
		hold_for(ns);
		lock_stat_get(LOCK_LOADAVG, &after);
		KT_CHECK(after.count > before.count);
		/* a count of the counter may be lost to rounding on each CPU */
		KT_CHECK(after.hold + NS_PER_US >= before.hold + ns);
		KT_CHECK(after.hold_max + NS_PER_US >= ns);
		at = symbol_of(after.hold_max_at, &offset);
	}
	KT_CHECK(strcmp(at, "hold_for") == 0);
}

static struct mutex awaited;

static void waiter_fn(void *unused)
{
	mutex_lock(&awaited);
	mutex_unlock(&awaited);
}

/* One that waits for a mutex has waited for as long as it was made to. */
KTEST(lock_stat_wait)
{
	struct lock_stat before, after;
	const char *at = "";
	uint64_t ns = 200 * NS_PER_US;
	size_t offset;

	mutex_init(&awaited, LOCK_TIMERFDS);
	for (int tries = 0; tries < 5 && strcmp(at, "waiter_fn") != 0; tries++, ns *= 4) {
		struct thread *t = thread_create("waiter", waiter_fn, NULL, KSTACK_SIZE);

		lock_stat_get(LOCK_TIMERFDS, &before);
		mutex_lock(&awaited);
		thread_start(t);
		crew_await_asleep(t);
		clock_spin_ns(ns);
		mutex_unlock(&awaited);
		thread_join(t);
		thread_put(t);
		lock_stat_get(LOCK_TIMERFDS, &after);
		KT_CHECK(after.contended == before.contended + 1);
		KT_CHECK(after.wait + NS_PER_US >= before.wait + ns);
		at = symbol_of(after.wait_max_at, &offset);
	}
	KT_CHECK(strcmp(at, "waiter_fn") == 0);
}

static bool has_line(const char *text, const char *start)
{
	while (text && strncmp(text, start, strlen(start)) != 0) {
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return text;
}

/* Each class, and each CPU, has a line in the file. */
KTEST(lock_stat_file)
{
	struct vfs_context ctx = { .root = vfs_root() };
	enum { SIZE = 16384 };
	char *text = kzalloc(SIZE);
	struct file *f = NULL;

	ctx.cwd = ctx.root;
	if (!text || vfs_open(&ctx, NULL, "/proc/tern/lockstat", FILE_RDONLY, 0, &f) < 0) {
		kt_fail(__FILE__, __LINE__, "not to be opened");
		goto out;
	}
	KT_CHECK(file_read_kernel(f, text, SIZE - 1) > 0);
	for (unsigned i = 0; i < LOCK_CLASSES; i++)
		KT_CHECK(has_line(text, lock_class_name((enum lock_class)i)));
	KT_CHECK(has_line(text, "cpu0 "));
	file_put(f);
out:
	kfree(text);
	dentry_put(ctx.root);
}
