/* SPDX-License-Identifier: MIT */
/* Futexes under threads of several CPUs: no wake-up is lost, whatever is requeued, timed out or killed meanwhile; keys
 * are told apart by space, and are one where the page is. */
#include <linux/futex.h>
#include "kernel/context.h"
#include "kernel/core/clock.h"
#include "kernel/sys_priv.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"
#include "tests/kernel/crew.h"
#include "tests/kernel/ktest.h"
#include "tests/kernel/memory_backing.h"

#define ALL_CPUS (~(cpumask_t)0)
#define AT	 0x20000000UL
#define PRIVATE	 FUTEX_PRIVATE_FLAG

static int64_t futex(vaddr_t at, uint32_t op, uint32_t value, uint64_t a3, uint64_t a4, uint32_t v3)
{
	const uint64_t a[6] = { at, op, value, a3, a4, v3 };

	return sys_futex(a);
}

static uint32_t word(vaddr_t at)
{
	uint32_t v = 0;

	KT_CHECK(user_copy_from(&v, at, sizeof(v)) == 0);
	return v;
}

static void set_word(vaddr_t at, uint32_t v)
{
	KT_CHECK(user_copy_to(at, &v, sizeof(v)) == 0);
}

static struct vm_space *space_with_page(void)
{
	struct vm_space *s = vm_space_create();
	vaddr_t at;

	KT_CHECK(s &&
		 vm_map(s, AT, 2 * PAGE_SIZE, VM_READ | VM_WRITE | VM_FIXED, NULL, 0, &at) == 0);
	return s;
}

static void space_done(struct vm_space *s)
{
	space_switch(NULL);
	vm_space_put(s);
	vm_space_reap();
}

struct player {
	struct vm_space *space;
	uint32_t mine; /* waits until the word is this, then makes it the other */
	uint64_t rounds;
	uint32_t flag;
};

static void play(void *arg)
{
	struct player *p = arg;

	space_switch(p->space);
	for (uint64_t i = 0; i < p->rounds; i++) {
		while (word(AT) != p->mine)
			(void)futex(AT, FUTEX_WAIT | p->flag, !p->mine, 0, 0, 0);
		set_word(AT, !p->mine);
		KT_CHECK(futex(AT, FUTEX_WAKE | p->flag, 1, 0, 0, 0) >= 0);
	}
	space_switch(NULL);
}

/* X-08, RC-013: one word, two players: a wake-up that is lost hangs both. */
KTEST(futex_pingpong)
{
	struct vm_space *s = space_with_page();
	struct player p[2] = { { s, 0, 1000 * kt_scale(), PRIVATE },
			       { s, 1, 1000 * kt_scale(), PRIVATE } };
	struct crew crew = { 0 };

	crew_add(&crew, play, &p[0], ALL_CPUS);
	crew_add(&crew, play, &p[1], ALL_CPUS);
	crew_join(&crew);
	space_done(s);
}

struct aimed {
	struct vm_space *space;
	uint64_t rounds;
	uint64_t round; /* [atomic] odd: the sleeper is about to wait */
};

static void aimed_waker(void *arg)
{
	struct aimed *m = arg;
	uint64_t seed = kt_seed() | 1;

	space_switch(m->space);
	for (uint64_t i = 0; i < m->rounds; i++) {
		while (atomic_load_acquire(&m->round) != 2 * i + 1)
			cond_resched();
		clock_spin_ns(crew_random(&seed) % 16384);
		set_word(AT, 1);
		KT_CHECK(futex(AT, FUTEX_WAKE | PRIVATE, 1, 0, 0, 0) <= 1);
		/* one that is left to its time-out is not waited for by spinning: the clock may count instructions */
		for (unsigned n = 0; atomic_load_acquire(&m->round) == 2 * i + 1; n++)
			if (n < 1000)
				cond_resched();
			else
				KT_CHECK(sleep_until(crew_deadline_ms(1), WAIT_UNINTERRUPTIBLE) ==
					 0);
	}
	space_switch(NULL);
}

/* the word changes at every moment of the way to sleep; a wake-up that is lost leaves the sleeper to its time-out. */
KTEST(futex_wake_while_falling_asleep)
{
	struct aimed m = { .space = space_with_page(), .rounds = 500 * kt_scale() };
	int64_t limit[2] = { CREW_HANG_MS / 1000, 0 }, ret = 0;
	struct crew crew = { 0 };

	space_switch(m.space);
	KT_CHECK(user_copy_to(AT + 64, limit, sizeof(limit)) == 0);
	crew_add(&crew, aimed_waker, &m, ALL_CPUS);
	for (uint64_t i = 0; i < m.rounds; i++) {
		set_word(AT, 0);
		atomic_store_release(&m.round, 2 * i + 1);
		if (ret != -ETIMEDOUT)
			ret = futex(AT, FUTEX_WAIT | PRIVATE, 0, AT + 64, 0, 0);
		KT_CHECK(ret == 0 || ret == -EAGAIN);
		while (word(AT) == 0)
			sched_yield();
		atomic_store_release(&m.round, 2 * i + 2);
	}
	crew_join(&crew);
	space_done(m.space);
}

struct herd {
	struct vm_space *space;
	uint32_t asleep; /* [atomic] */
	uint32_t woken;	 /* [atomic] */
	uint64_t timeout_at;
};

static void herd_member(void *arg)
{
	struct herd *h = arg;
	int64_t ret;

	space_switch(h->space);
	atomic_fetch_add(&h->asleep, 1);
	do
		ret = futex(AT, FUTEX_WAIT | PRIVATE, 0, h->timeout_at, 0, 0);
	while (ret == -ETIMEDOUT);
	KT_CHECK(ret == 0);
	atomic_fetch_add(&h->woken, 1);
	space_switch(NULL);
}

/* Those waiting on one word are moved to another, in small lots, while some wake up there. With time-outs a few leave
 * and come back to the first word meanwhile. */
static void requeue_storm(bool timeouts)
{
	struct herd h = { .space = space_with_page() };
	struct crew crew = { 0 };
	struct timespec64 {
		int64_t s, ns;
	} soon = { 0, 300000 };
	uint64_t seed = kt_seed() | 1;

	space_switch(h.space);
	set_word(AT, 0);
	KT_CHECK(user_copy_to(AT + 64, &soon, sizeof(soon)) == 0);
	h.timeout_at = timeouts ? AT + 64 : 0;
	for (unsigned i = 0; i < 24; i++)
		crew_add(&crew, herd_member, &h, ALL_CPUS);
	while (atomic_load_relaxed(&h.woken) < 24) {
		int64_t moved = futex(AT, FUTEX_CMP_REQUEUE | PRIVATE, 0, crew_random(&seed) % 4,
				      AT + PAGE_SIZE + 8, 0);

		KT_CHECK(moved >= 0 && moved < 4);
		KT_CHECK(futex(AT + PAGE_SIZE + 8, FUTEX_WAKE | PRIVATE, 1, 0, 0, 0) <= 1);
		if (crew_random(&seed) % 8 == 0)
			(void)sleep_until(clock_now_ns() + 100 * NS_PER_US, WAIT_UNINTERRUPTIBLE);
	}
	crew_join(&crew);
	KT_CHECK(futex(AT, FUTEX_WAKE | PRIVATE, 100, 0, 0, 0) == 0);
	KT_CHECK(futex(AT + PAGE_SIZE + 8, FUTEX_WAKE | PRIVATE, 100, 0, 0, 0) == 0);
	space_done(h.space);
}

KTEST(futex_requeue_storm)
{
	requeue_storm(false);
	requeue_storm(true);
}

struct sleeper {
	struct vm_space *space;
	vaddr_t at;
	uint32_t flag;
	int64_t result;
};

static void sleeper_fn(void *arg)
{
	struct sleeper *w = arg;

	space_switch(w->space);
	w->result = futex(w->at, FUTEX_WAIT | w->flag, 0, 0, 0, 0);
	space_switch(NULL);
}

static struct thread *start_sleeper(struct sleeper *w)
{
	struct thread *t = thread_create("sleeper", sleeper_fn, w, KSTACK_SIZE);

	KT_CHECK(t);
	thread_start(t);
	crew_await_asleep(t);
	return t;
}

/* the same address in two spaces is two words, but the same page at two addresses is one. */
KTEST(futex_keys)
{
	static char memory[2 * PAGE_SIZE] __aligned(PAGE_SIZE);
	struct vm_backing *b = vm_backing_memory_create(memory, sizeof(memory));
	struct vm_space *one = space_with_page(), *two = space_with_page();
	struct sleeper private = { one, AT, 0, 1 }, shared = { one, 0, 0, 1 };
	struct thread *tp, *ts;
	vaddr_t in_two;

	KT_CHECK(b &&
		 vm_map(one, 0, PAGE_SIZE, VM_READ | VM_WRITE | VM_SHARED, b, 1, &shared.at) == 0);
	KT_CHECK(vm_map(two, 0x30000000, PAGE_SIZE, VM_READ | VM_WRITE | VM_SHARED, b, 1,
			&in_two) == 0);
	shared.at += 16;
	tp = start_sleeper(&private);
	ts = start_sleeper(&shared);
	space_switch(two);
	KT_CHECK(futex(AT, FUTEX_WAKE, 9, 0, 0, 0) == 0);
	KT_CHECK(futex(AT, FUTEX_WAKE | PRIVATE, 9, 0, 0, 0) == 0);
	KT_CHECK(futex(in_two + 16, FUTEX_WAKE | PRIVATE, 9, 0, 0, 0) == 0);
	KT_CHECK(futex(in_two + 12, FUTEX_WAKE, 9, 0, 0, 0) == 0);
	/* the mapping goes, the page and with it the key stay */
	KT_CHECK(vm_unmap(one, shared.at - 16, PAGE_SIZE) == 0);
	KT_CHECK(futex(in_two + 16, FUTEX_WAKE, 9, 0, 0, 0) == 1);
	thread_join(ts);
	space_switch(one);
	KT_CHECK(futex(AT, FUTEX_WAKE | PRIVATE, 9, 0, 0, 0) == 0);
	KT_CHECK(futex(AT, FUTEX_WAKE, 9, 0, 0, 0) == 1);
	thread_join(tp);
	KT_CHECK(private.result == 0 && shared.result == 0);
	thread_put(ts);
	thread_put(tp);
	vm_backing_put(b);
	space_switch(NULL);
	vm_space_put(two);
	space_done(one);
}

/* N2: killed while it waits, also after it was moved. */
KTEST(futex_killed)
{
	struct sleeper w = { space_with_page(), AT, PRIVATE, 1 };
	struct thread *t[2];

	for (int i = 0; i < 2; i++)
		t[i] = start_sleeper(&w);
	space_switch(w.space);
	KT_CHECK(futex(AT, FUTEX_REQUEUE | PRIVATE, 0, 1, AT + 4, 0) == 1);
	for (int i = 0; i < 2; i++) {
		thread_notify(t[i], NOTIFY_KILL | NOTIFY_SIGNAL);
		thread_join(t[i]);
		thread_put(t[i]);
	}
	KT_CHECK(w.result == -EINTR || w.result == -ERESTARTSYS);
	KT_CHECK(futex(AT, FUTEX_WAKE, 9, 0, 0, 0) == 0 &&
		 futex(AT + 4, FUTEX_WAKE, 9, 0, 0, 0) == 0);
	space_done(w.space);
}
