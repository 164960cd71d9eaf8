/* SPDX-License-Identifier: MIT */
/* Address spaces on the real machine: kernel threads take a space and touch it with user copies, so that TLBs, tables
 * and faults are the CPU's own. */
#include "tests/kernel/ktest.h"

#include "kernel/context.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/asid.h"
#include "mm/phys/page.h"
#include "mm/phys/pgtable.h"
#include "tests/kernel/memory_backing.h"
#include "mm/vm/space.h"
#include "mm/vm/user_copy.h"
#include "tests/kernel/crew.h"

#define RW (VM_READ | VM_WRITE)

/* This thread has no space any more; the space's last user puts it. */
static void leave(struct vm_space *s)
{
	space_switch(NULL);
	vm_space_put(s);
	vm_space_reap();
}

static struct vm_space *enter(void)
{
	struct vm_space *s = vm_space_create();

	KT_CHECK(s != NULL);
	space_switch(s);
	return s;
}

KTEST(vm_basics)
{
	struct page_stats before, after;
	struct vm_space *s;
	uint64_t v = 1;
	vaddr_t at;

	page_stats(&before);
	s = enter();
	KT_CHECK(vm_map(s, 0, 64 * PAGE_SIZE, RW, NULL, 0, &at) == 0);
	KT_CHECK(user_copy_from(&v, at + 8, sizeof(v)) == 0 && v == 0);
	for (unsigned i = 0; i < 64; i++) {
		v = i + 100;
		KT_CHECK(user_copy_to(at + i * PAGE_SIZE, &v, sizeof(v)) == 0);
	}
	page_stats(&after);
	/* REL-005: what was touched is what is counted */
	KT_CHECK(after.user == before.user + 64);
	vm_check(s);
	for (unsigned i = 0; i < 64; i++) {
		KT_CHECK(user_copy_from(&v, at + i * PAGE_SIZE, sizeof(v)) == 0);
		KT_CHECK(v == i + 100);
	}
	KT_CHECK(vm_protect(s, at, PAGE_SIZE, VM_READ) == 0);
	KT_CHECK(user_copy_to(at, &v, sizeof(v)) == -EFAULT);
	KT_CHECK(user_copy_from(&v, at, sizeof(v)) == 0 && v == 100);
	KT_CHECK(vm_protect(s, at, PAGE_SIZE, 0) == 0);
	KT_CHECK(user_copy_from(&v, at, sizeof(v)) == -EFAULT);
	KT_CHECK(vm_protect(s, at, PAGE_SIZE, RW) == 0);
	KT_CHECK(user_copy_from(&v, at, sizeof(v)) == 0 && v == 100);
	KT_CHECK(vm_discard(s, at, PAGE_SIZE) == 0);
	KT_CHECK(user_copy_from(&v, at, sizeof(v)) == 0 && v == 0);
	KT_CHECK(vm_unmap(s, at, 32 * PAGE_SIZE) == 0);
	KT_CHECK(user_copy_from(&v, at + 31 * PAGE_SIZE, sizeof(v)) == -EFAULT);
	KT_CHECK(user_copy_from(&v, at + 32 * PAGE_SIZE, sizeof(v)) == 0 && v == 132);
	vm_check(s);
	leave(s);
	page_stats(&after);
	KT_CHECK(after.user == before.user && after.tables == before.tables);
}

/* MS-004: fresh memory is zero though RAM was full of something. */
KTEST(fresh_memory_is_zero)
{
	struct vm_space *s = enter();
	uint64_t buf[64];
	vaddr_t at;

	for (unsigned round = 0; round < 4; round++) {
		KT_CHECK(vm_map(s, 0, 128 * PAGE_SIZE, RW, NULL, 0, &at) == 0);
		for (unsigned i = 0; i < 128; i++) {
			KT_CHECK(user_copy_from(buf, at + i * PAGE_SIZE + 3584, 512) == 0);
			for (unsigned k = 0; k < 64; k++)
				KT_CHECK(buf[k] == 0);
			memset(buf, 0xa5, sizeof(buf));
			KT_CHECK(user_copy_to(at + i * PAGE_SIZE + 3584, buf, 512) == 0);
		}
		KT_CHECK(vm_unmap(s, at, 128 * PAGE_SIZE) == 0);
	}
	leave(s);
}

/* Constants of the image, mapped in place; a private write does not reach them. */
static const uint8_t image_bytes[3 * PAGE_SIZE] __aligned(4096) = { 1, 2, 3 };

KTEST(image_pages_in_place)
{
	struct vm_backing *b = vm_backing_memory_create(image_bytes, 2 * PAGE_SIZE + 100);
	struct vm_space *s = enter();
	uint8_t v[4] = { 9, 9, 9, 9 };
	vaddr_t at = 0;

	KT_CHECK(b && vm_map(s, 0, 3 * PAGE_SIZE, RW | VM_EXEC, b, 0, &at) == 0);
	KT_CHECK(user_copy_from(v, at, 4) == 0 && v[0] == 1 && v[2] == 3 && v[3] == 0);
	KT_CHECK(user_copy_from(v, at + 3 * PAGE_SIZE - 4, 4) == 0 && v[0] == 0);
	vm_check(s);
	v[0] = 77;
	KT_CHECK(user_copy_to(at, v, 1) == 0);
	KT_CHECK(image_bytes[0] == 1);
	KT_CHECK(user_copy_from(v, at, 2) == 0 && v[0] == 77 && v[1] == 2);
	vm_check(s);
	vm_backing_put(b);
	leave(s);
}

/* --- several threads in one space -------------------------------------------------------------------------------------- */

struct shared {
	struct vm_space *s;
	vaddr_t at;
	uint32_t stop;	  /* [atomic] */
	uint32_t version; /* [atomic] odd while the map is being changed */
	uint64_t seed;	  /* [init] */
	uint64_t faults;  /* [atomic] */
	uint64_t reads;	  /* [atomic] */
};

#define SHARED_PAGES 32

static void join_space(struct shared *sh)
{
	vm_space_get(sh->s);
	space_switch(sh->s);
}

static void leave_space(struct shared *sh)
{
	space_switch(NULL);
	vm_space_put(sh->s);
}

/* RC-006, RC-008: what a finished unmap or protect took away is gone on every CPU, TLB and all. The entry that the
 * reader's TLB may hold is tried without faulting it in. */
static void read_stale(void *arg)
{
	struct shared *sh = arg;
	uint64_t x = sh->seed ^ (uintptr_t)&x;

	join_space(sh);
	while (!atomic_load_relaxed(&sh->stop)) {
		vaddr_t va = sh->at + crew_random(&x) % SHARED_PAGES * PAGE_SIZE;
		uint32_t before = atomic_load_acquire(&sh->version), after;
		uint64_t v;
		int err = user_copy_from_nofault(&v, va, sizeof(v));

		atomic_fence();
		after = atomic_load_relaxed(&sh->version);
		/* version % 4: 0 mapped, 2 unmapped, odd on the way */
		if (before == after && before % 4 == 2)
			KT_CHECK(err == -EFAULT);
		if (err == 0)
			KT_CHECK(v == 0 || v == va);
		else
			atomic_add_relaxed(&sh->faults, 1);
		atomic_add_relaxed(&sh->reads, 1);
	}
	leave_space(sh);
}

/* Until the readers have looked at nearly every page. */
static void let_read(struct shared *sh)
{
	uint64_t enough = atomic_load_relaxed(&sh->reads) + 8 * SHARED_PAGES;

	while (atomic_load_relaxed(&sh->reads) < enough)
		sched_yield();
}

/* All at once, or so few at a time that each page is told to the TLBs by itself. */
static void take_away(const struct shared *sh, unsigned round)
{
	size_t len = (round & 2 ? 4 : SHARED_PAGES) * PAGE_SIZE;

	for (size_t off = 0; off < SHARED_PAGES * PAGE_SIZE; off += len) {
		if (round & 1)
			KT_CHECK(vm_unmap(sh->s, sh->at + off, len) == 0);
		else
			KT_CHECK(vm_protect(sh->s, sh->at + off, len, 0) == 0);
	}
}

KTEST(vm_shootdown)
{
	struct shared sh = { .s = enter(), .seed = kt_seed() };
	struct crew crew = { 0 };
	vaddr_t at;

	KT_CHECK(vm_map(sh.s, 0x40000000, SHARED_PAGES * PAGE_SIZE, RW, NULL, 0, &sh.at) == 0);
	for (unsigned i = 0; i < MIN(cpu_count(), 3u); i++)
		crew_add(&crew, read_stale, &sh, BIT(i));
	for (unsigned round = 0; round < 8 * kt_scale(); round++) {
		for (unsigned i = 0; i < SHARED_PAGES; i++) {
			vaddr_t va = sh.at + i * PAGE_SIZE;

			KT_CHECK(user_copy_to(va, &va, sizeof(va)) == 0);
		}
		let_read(&sh);
		atomic_fetch_add(&sh.version, 1);
		take_away(&sh, round);
		atomic_fetch_add(&sh.version, 1);
		let_read(&sh);
		atomic_fetch_add(&sh.version, 1);
		if (round & 1)
			KT_CHECK(vm_map(sh.s, sh.at, SHARED_PAGES * PAGE_SIZE, RW | VM_FIXED, NULL,
					0, &at) == 0);
		else
			KT_CHECK(vm_protect(sh.s, sh.at, SHARED_PAGES * PAGE_SIZE, RW) == 0);
		atomic_fetch_add(&sh.version, 1);
	}
	atomic_store_relaxed(&sh.stop, 1);
	crew_join(&crew);
	vm_check(sh.s);
	leave(sh.s);
}

/* RC-007: faults while regions come and go under them. A copy succeeds or is refused; nothing else. */
static void touch(void *arg)
{
	struct shared *sh = arg;
	uint64_t x = sh->seed ^ (uintptr_t)&x;

	join_space(sh);
	while (!atomic_load_relaxed(&sh->stop)) {
		uint64_t r = crew_random(&x), v = r;
		vaddr_t va = sh->at + r % SHARED_PAGES * PAGE_SIZE + (r >> 32) % 4088;
		int err = r >> 60 & 1 ? user_copy_to(va, &v, sizeof(v))
				      : user_copy_from(&v, va, sizeof(v));

		KT_CHECK(err == 0 || err == -EFAULT);
	}
	leave_space(sh);
}

KTEST(vm_fault_race)
{
	struct shared sh = { .s = enter(), .seed = kt_seed(), .at = 0x50000000 };
	struct vm_backing *b = vm_backing_memory_create(image_bytes, sizeof(image_bytes));
	struct crew crew = { 0 };
	uint64_t x = kt_seed();
	vaddr_t at;

	for (unsigned i = 0; i < MIN(cpu_count(), 3u); i++)
		crew_add(&crew, touch, &sh, UINT64_MAX);
	for (unsigned round = 0; round < 60 * kt_scale(); round++) {
		uint64_t r = crew_random(&x);
		unsigned first = r % SHARED_PAGES, n = 1 + (r >> 8) % (SHARED_PAGES - first);
		vaddr_t va = sh.at + first * PAGE_SIZE;
		unsigned prot = (r >> 16) & RW;

		switch (r >> 32 & 3) {
		case 0:
			KT_CHECK(vm_unmap(sh.s, va, n * PAGE_SIZE) == 0);
			break;
		case 1:
			/* refused where something is not mapped */
			if (vm_protect(sh.s, va, n * PAGE_SIZE, prot) < 0)
				sched_yield();
			break;
		default:
			KT_CHECK(vm_map(sh.s, va, n * PAGE_SIZE, prot | VM_FIXED,
					r >> 40 & 1 && n <= 3 ? b : NULL, 0, &at) == 0);
		}
		if (round % 20 == 0)
			vm_check(sh.s);
	}
	atomic_store_relaxed(&sh.stop, 1);
	crew_join(&crew);
	vm_check(sh.s);
	vm_backing_put(b);
	leave(sh.s);
}

/* Spaces made, used and left on all CPUs, most of them lazily held somewhere when they end. */
static void live_and_die(void *arg)
{
	uint64_t seed = (uint64_t)arg;

	for (unsigned i = 0; i < 20 * kt_scale(); i++) {
		struct vm_space *s = vm_space_create();
		uint64_t v = crew_random(&seed), w;
		vaddr_t at;

		if (!s) {
			kt_fail(__FILE__, __LINE__, "no memory for a space");
			return;
		}
		space_switch(s);
		KT_CHECK(vm_map(s, 0x10000000, 4 * PAGE_SIZE, RW, NULL, 0, &at) == 0);
		KT_CHECK(user_copy_to(at + PAGE_SIZE, &v, 8) == 0);
		sched_yield();
		KT_CHECK(user_copy_from(&w, at + PAGE_SIZE, 8) == 0 && v == w);
		space_switch(NULL);
		/* the CPU we come from may keep it in TTBR0 */
		KT_CHECK(thread_set_affinity(current_thread(), BIT(v % cpu_count())) == 0);
		vm_space_put(s);
	}
}

KTEST(space_storm)
{
	struct page_stats before, after;
	struct crew crew = { 0 };

	vm_space_reap();
	page_stats(&before);
	for (uint64_t i = 0; i < cpu_count() * 2 && i < CREW_MAX; i++)
		crew_add(&crew, live_and_die, (void *)(kt_seed() + i * 99), UINT64_MAX);
	crew_join(&crew);
	vm_space_reap();
	page_stats(&after);
	KT_CHECK(after.user == before.user);
	/* one space at most may be held by each CPU: none, for each was put */
	KT_CHECK(after.tables <= before.tables);
}

/* --- fork ------------------------------------------------------------------------------------------------------------------ */

#define FORK_PAGES 24

/* A copy shows one moment of the original, which one writer goes through in order again and again: no value is larger
 * than the one before it, and the first is at most one ahead of the last. Then it is ours to change. */
static void check_copy(struct shared *sh, struct vm_space *s, uint64_t *x)
{
	uint64_t first = 0, v = 0, last;

	for (unsigned i = 0; i < FORK_PAGES; i++) {
		last = v;
		KT_CHECK(user_copy_from(&v, sh->at + i * PAGE_SIZE, sizeof(v)) == 0);
		KT_CHECK(i == 0 || v <= last);
		first = i == 0 ? v : first;
	}
	KT_CHECK(first - v <= 1);
	for (unsigned n = 0; n < FORK_PAGES; n++) {
		vaddr_t va = sh->at + crew_random(x) % FORK_PAGES * PAGE_SIZE + 8;
		uint64_t mine = *x, back = 0;

		KT_CHECK(user_copy_to(va, &mine, sizeof(mine)) == 0);
		if (n % 8 == 0)
			sched_yield();
		KT_CHECK(user_copy_from(&back, va, sizeof(back)) == 0 && back == mine);
	}
	/* what the writer does meanwhile does not reach us */
	KT_CHECK(user_copy_from(&v, sh->at, sizeof(v)) == 0 && v == first);
	vm_check(s);
}

static void fork_and_touch(void *arg)
{
	struct shared *sh = arg;
	uint64_t x = sh->seed ^ (uintptr_t)&x;

	for (unsigned i = 0; i < 6 * kt_scale(); i++) {
		struct vm_space *child, *grandchild;

		if (vm_space_fork(sh->s, &child) < 0) {
			kt_fail(__FILE__, __LINE__, "no memory for a copy");
			break;
		}
		space_switch(child);
		check_copy(sh, child, &x);
		if (vm_space_fork(child, &grandchild) == 0) {
			space_switch(grandchild);
			vm_space_put(child);
			child = grandchild;
			vm_check(child);
		}
		space_switch(NULL);
		vm_space_put(child);
	}
	atomic_fetch_add(&sh->stop, 1);
}

/* A space forked by every CPU while its program writes; each copy is true, and in the end every page is where it was,
 * with one owner. */
static void storm_of_forks(void)
{
	struct shared sh = { .s = enter(), .seed = kt_seed() };
	struct page_stats before, after;
	struct crew crew = { 0 };
	uint64_t v = 1, n = MIN(cpu_count(), 4u) + 1;
	/* the writer has a CPU to itself if it can be, so that its TLB stays full */
	cpumask_t mine = BIT(0), others = cpu_count() > 1 ? ~mine : mine;

	KT_CHECK(vm_map(sh.s, 0x40000000, FORK_PAGES * PAGE_SIZE, RW, NULL, 0, &sh.at) == 0);
	for (unsigned i = 0; i < FORK_PAGES; i++)
		KT_CHECK(user_copy_to(sh.at + i * PAGE_SIZE, &v, sizeof(v)) == 0);
	vm_space_reap();
	page_stats(&before);
	KT_CHECK(thread_set_affinity(current_thread(), mine) == 0);
	for (unsigned i = 0; i < n; i++)
		crew_add(&crew, fork_and_touch, &sh, others);
	while (atomic_load_relaxed(&sh.stop) < n) {
		v++;
		for (unsigned i = 0; i < FORK_PAGES; i++)
			KT_CHECK(user_copy_to(sh.at + i * PAGE_SIZE, &v, sizeof(v)) == 0);
		if (others == mine)
			sched_yield();
	}
	KT_CHECK(thread_set_affinity(current_thread(), UINT64_MAX) == 0);
	crew_join(&crew);
	vm_space_reap();
	vm_check(sh.s);
	v++;
	for (unsigned i = 0; i < FORK_PAGES; i++)
		KT_CHECK(user_copy_to(sh.at + i * PAGE_SIZE, &v, sizeof(v)) == 0);
	page_stats(&after);
	KT_CHECK(after.user == before.user && after.tables == before.tables);
	leave(sh.s);
}

/* MS-006, X-03, X-04, PERF-006 */
KTEST(fork_storm)
{
	storm_of_forks();
}

/* A write to each page takes the space's own lock; of others that of the free pages, each CPU's own, and a switch's. */
static void write_watching_locks(vaddr_t at, unsigned pages)
{
	const uint64_t allowed = BIT(LOCK_VM_SPACE) | BIT(LOCK_PAGES) | BIT(LOCK_WAITQ) |
				 BIT(LOCK_THREAD) | BIT(LOCK_RUNQ) | BIT(LOCK_TIMER);
	uint64_t v = 1, taken = 0;

	for (unsigned i = 0; i < pages; i++) {
		current_base()->locks_taken = 0;
		KT_CHECK(user_copy_to(at + i * PAGE_SIZE, &v, sizeof(v)) == 0);
		KT_CHECK(current_base()->locks_taken & BIT(LOCK_VM_SPACE));
		taken |= current_base()->locks_taken;
	}
	if (taken & ~allowed)
		log_warn("ktest: a fault took %s",
			 lock_class_name((enum lock_class)__builtin_ctzl(taken & ~allowed)));
	KT_CHECK(!(taken & ~allowed));
}

/* PERF-006: faults of different spaces have no lock in common, whether they bring a page in, copy it, or find that nobody
 * else has it any more. */
KTEST(fault_takes_no_lock_of_all)
{
	enum { PAGES = 64 };
	struct vm_space *s, *child;
	vaddr_t at;

	/* where nobody else has the space's number, its flushes are local */
	KT_CHECK(thread_set_affinity(current_thread(), BIT(0)) == 0);
	s = enter();
	KT_CHECK(vm_map(s, 0x40000000, PAGES * PAGE_SIZE, RW, NULL, 0, &at) == 0);
	write_watching_locks(at, PAGES);
	KT_CHECK(vm_space_fork(s, &child) == 0);
	write_watching_locks(at, PAGES);
	vm_space_put(child);
	KT_CHECK(vm_space_fork(s, &child) == 0);
	vm_space_put(child);
	vm_space_reap();
	write_watching_locks(at, PAGES);
	leave(s);
	KT_CHECK(thread_set_affinity(current_thread(), UINT64_MAX) == 0);
}

/* L6: the same while address-space numbers run out all the time. */
KTEST(fork_storm_few_numbers)
{
	uint64_t before = asid_generations();

	asid_limit(4);
	storm_of_forks();
	KT_CHECK(asid_generations() > before + 1);
	asid_limit(0);
}

KTEST(space_nth_failure)
{
	bool failed = true;

	for (unsigned n = 1; failed && n < 100; n++) {
		struct vm_space *s;
		uint64_t v[2] = { 5 };
		vaddr_t at;

		failed = true;
		alloc_fail_after(n);
		s = vm_space_create();
		if (s) {
			space_switch(s);
			s->brk_start = s->brk = 0x100000;
			if (vm_brk(s, 0x200000) == 0x200000 && user_copy_to(0x100ff8, v, 16) == 0 &&
			    vm_map(s, 0, 3 * PAGE_SIZE, RW, NULL, 0, &at) == 0 &&
			    user_copy_to(at, v, 8) == 0)
				failed = vm_unmap(s, at + PAGE_SIZE, PAGE_SIZE) < 0;
			alloc_fail_after(0);
			vm_check(s);
			leave(s);
		}
		alloc_fail_after(0);
	}
	/* at last nothing was left to fail */
	KT_CHECK(!failed);
}
