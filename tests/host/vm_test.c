/* SPDX-License-Identifier: MIT */
/* sources: lib/rbtree.c mm/phys/boot.c mm/phys/buddy.c mm/phys/page.c mm/phys/page_check.c mm/phys/slab.c mm/phys/slab_check.c mm/phys/kmalloc.c */
/* sources: mm/phys/pgtable.c mm/phys/asid.c mm/phys/kstack.c mm/vm/region.c mm/vm/space.c mm/vm/space_check.c mm/vm/map.c mm/vm/fault.c mm/vm/fork.c */
/* sources: mm/vm/change.c mm/vm/move.c mm/vm/query.c mm/vm/word.c */
/* sources: mm/vm/user_copy.c tests/kernel/memory_backing.c tests/kernel/kernel_table.c */
/* sources: @tests/host/shim.sources tests/host/shim/mutex.c tests/host/shim/thread.c */
/* Address spaces against a byte-a-page model: random map, unmap, protect, brk, discard, writes and reads. */
#include "tests/host/shim/shim.h"
#include "tests/host/test.h"

#include "kernel/core/machine.h"
#include "lib/errno.h"
#include "mm/phys/page.h"
#include "mm/phys/slab.h"
#include "tests/kernel/memory_backing.h"
#include "mm/vm/space_priv.h"
#include "mm/vm/user_copy.h"
#include "sched/thread.h"

#include <stdlib.h>
#include <string.h>

#define RAM_PA	       0x40000000UL
#define MIB	       (1UL << 20)

#define RESERVED_BYTES (2 * MIB)
static char *reserved_bytes;
static __thread struct thread self_thread;

static struct vm_space *boot(size_t ram)
{
	shim_cpus_init(4);
	shim_ram_init(RAM_PA, ram);
	/* as an initrd is */
	machine.reserved[0] = (struct phys_range){ RAM_PA + ram / 2, RESERVED_BYTES };
	machine.nr_reserved = 1;
	reserved_bytes = (char *)shim_linear_base + ram / 2;
	pages_init();
	slab_init();
	kstack_init();
	asid_init();
	vm_init();

	struct vm_space *s = vm_space_create();

	CHECK(s != NULL);
	self_thread.base.name = "test";
	self_thread.space = s;
	shim_set_current(&self_thread);
	return s;
}

static uint64_t free_pages(void)
{
	struct page_stats st;

	slab_reap();
	page_stats(&st);
	CHECK_EQ(st.total, st.free + st.reserved + st.slab + st.tables + st.user + st.kernel);
	return st.free;
}

/* The user's own instructions, as far as copies are concerned: the table decides, a miss is a fault. */
static bool user_byte(vaddr_t va, bool write, uint8_t *byte)
{
	struct vm_space *s = vm_current();

	for (int tries = 0; tries < 3; tries++) {
		pte_t *e = pgtable_leaf(&s->table, va, false);
		pte_t v = e ? pte_get(e) : 0;

		if (arch_pte_valid(v) && (!write || (arch_pte_prot(v) & PTE_WRITE))) {
			uint8_t *p = (uint8_t *)phys_to_virt(arch_pte_addr(v)) + va % PAGE_SIZE;

			if (write)
				*p = *byte;
			else
				*byte = *p;
			return true;
		}
		if (current_base()->nofault ||
		    vm_fault(s, va, write ? VM_FAULT_WRITE : VM_FAULT_READ) < 0)
			return false;
	}
	return false;
}

size_t arch_copy_from_user(void *dst, vaddr_t src, size_t n)
{
	uint8_t *d = dst;

	while (n > 0 && user_byte(src++, false, d++))
		n--;
	return n;
}

size_t arch_copy_to_user(vaddr_t dst, const void *src, size_t n)
{
	const uint8_t *p = src;

	for (; n > 0; n--, p++) {
		uint8_t byte = *p;

		if (!user_byte(dst++, true, &byte))
			break;
	}
	return n;
}

size_t arch_zero_user(vaddr_t dst, size_t n)
{
	uint8_t zero = 0;

	while (n > 0 && user_byte(dst++, true, &zero))
		n--;
	return n;
}

/* --- REL-001: the model ------------------------------------------------------------------------------------------- */

#define PAGES 256
#define BASE  0x10000000UL

static vaddr_t page_va(unsigned i)
{
	return BASE + i * PAGE_SIZE;
}

struct model {
	bool mapped[PAGES];
	unsigned prot[PAGES];
	uint8_t value[PAGES]; /* first and last byte of the page */
	bool file[PAGES];
	unsigned index[PAGES]; /* of the file's page, where there is one */
	uint8_t file_value[PAGES];
};

static bool uniform(const struct model *m, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		if (!m->mapped[i] || m->prot[i] != m->prot[first] || m->file[i] || m->file[first])
			return false;
	return true;
}

/* mremap to a place of its own: whole, or refused with nothing done. */
static void step_move(struct vm_space *s, struct model *m, unsigned first, unsigned n)
{
	unsigned to = (unsigned)test_below(PAGES - n + 1),
		 new_n = 1 + (unsigned)test_below(PAGES - to);
	static struct model old;
	vaddr_t out = 0;
	int err;

	if (new_n > n && !uniform(m, first, n))
		new_n = n;
	err = vm_move(s, page_va(first), n * PAGE_SIZE, new_n * PAGE_SIZE, VM_FIXED, true,
		      page_va(to), &out);
	if (to < first + n && first < to + new_n) {
		CHECK_EQ(err, -EINVAL);
		return;
	}
	if (err) {
		/* not one region: the file's pages may or may not continue each other */
		CHECK_EQ(err, -EFAULT);
		CHECK(!uniform(m, first, MIN(n, new_n)));
		return;
	}
	CHECK_EQ(out, page_va(to));
	old = *m;
	for (unsigned i = first; i < first + n; i++)
		m->mapped[i] = false;
	for (unsigned i = 0; i < new_n; i++) {
		bool moved = i < n;

		m->mapped[to + i] = true;
		m->prot[to + i] = old.prot[first + (moved ? i : 0)];
		m->value[to + i] = moved ? old.value[first + i] : 0;
		m->file[to + i] = moved && old.file[first + i];
		m->index[to + i] = moved ? old.index[first + i] : 0;
	}
}

static void check_page(struct vm_space *s, const struct model *m, unsigned i)
{
	uint8_t first = 0xcc, last = 0xcc;
	int want = !m->mapped[i] || !m->prot[i] ? -EFAULT : 0;

	CHECK_EQ(vm_read(s, page_va(i), &first, 1), want);
	CHECK_EQ(user_copy_from(&last, page_va(i) + PAGE_SIZE - 1, 1), want);
	if (!want) {
		CHECK_EQ(first, m->value[i]);
		CHECK_EQ(last, m->value[i]);
	}
	CHECK_EQ(vm_fault(s, page_va(i), VM_FAULT_WRITE), !m->mapped[i]		  ? -EFAULT
							  : m->prot[i] & VM_WRITE ? 0
										  : -EACCES);
	CHECK_EQ(vm_fault(s, page_va(i), VM_FAULT_EXEC), !m->mapped[i]		? -EFAULT
							 : m->prot[i] & VM_EXEC ? 0
										: -EACCES);
}

static unsigned random_prot(void)
{
	return (unsigned)test_below(8) & (VM_READ | VM_WRITE | VM_EXEC);
}

static char *file_bytes;
static struct vm_backing *file;

static void step(struct vm_space *s, struct model *m)
{
	unsigned first = (unsigned)test_below(PAGES), n = 1 + (unsigned)test_below(PAGES - first);
	unsigned prot = random_prot();
	bool whole = true, from_file = test_below(3) == 0;
	vaddr_t out;
	uint8_t value = (uint8_t)test_random();

	if (test_below(2))
		n = MIN(n, 1 + (unsigned)test_below(8));
	for (unsigned i = first; i < first + n; i++)
		whole &= m->mapped[i];
	switch (test_below(8)) {
	case 0:
		CHECK_EQ(vm_map(s, page_va(first), n * PAGE_SIZE, prot | VM_FIXED,
				from_file ? file : NULL, first, &out),
			 0);
		CHECK_EQ(out, page_va(first));
		for (unsigned i = first; i < first + n; i++) {
			m->mapped[i] = true;
			m->prot[i] = prot;
			m->file[i] = from_file;
			m->index[i] = i;
			m->value[i] = from_file ? m->file_value[i] : 0;
		}
		break;
	case 1:
		CHECK_EQ(vm_unmap(s, page_va(first), n * PAGE_SIZE), 0);
		for (unsigned i = first; i < first + n; i++)
			m->mapped[i] = false;
		break;
	case 2:
		CHECK_EQ(vm_protect(s, page_va(first), n * PAGE_SIZE, prot), whole ? 0 : -ENOMEM);
		for (unsigned i = first; whole && i < first + n; i++)
			m->prot[i] = prot;
		break;
	case 3:
		CHECK_EQ(vm_discard(s, page_va(first), n * PAGE_SIZE), whole ? 0 : -ENOMEM);
		for (unsigned i = first; i < first + n; i++)
			if (m->mapped[i])
				m->value[i] = m->file[i] ? m->file_value[m->index[i]] : 0;
		break;
	case 4:
		step_move(s, m, first, MIN(n, 40u));
		break;
	default:
		for (unsigned i = first; i < first + MIN(n, 4u); i++) {
			int want = m->mapped[i] && (m->prot[i] & VM_WRITE) ? 0 : -EFAULT;

			CHECK_EQ(vm_write(s, page_va(i), &value, 1), want);
			CHECK_EQ(user_copy_to(page_va(i) + PAGE_SIZE - 1, &value, 1), want);
			if (!want)
				m->value[i] = value;
		}
	}
}

TEST(space_matches_model)
{
	static struct model m;
	struct vm_space *s = boot(32 * MIB);

	file_bytes = reserved_bytes;
	for (unsigned i = 0; i < PAGES; i++) {
		m.file_value[i] = (uint8_t)test_random();
		memset(file_bytes + i * PAGE_SIZE, m.file_value[i], PAGE_SIZE);
	}
	/* the last page is not whole: it is a copy, but for the model it is the same */
	file = vm_backing_memory_create(file_bytes, PAGES * PAGE_SIZE);
	CHECK(file != NULL);

	self_thread.space = NULL;
	vm_space_put(s);

	uint64_t before = free_pages(), used = slab_bytes_in_use();
	struct vm_space *t = vm_space_create();

	self_thread.space = t;
	irqflags_t f = arch_irq_save();
	vm_space_activate(t);
	arch_irq_restore(f);
	for (int i = 0; i < 20000 * test_scale; i++) {
		step(t, &m);
		check_page(t, &m, (unsigned)test_below(PAGES));
		if (i % 200 == 0) {
			vm_check(t);
			for (unsigned k = 0; k < PAGES; k++)
				check_page(t, &m, k);
		}
	}
	vm_check(t);
	for (unsigned i = 0; i < PAGES; i++)
		CHECK_EQ((uint8_t)file_bytes[i * PAGE_SIZE], m.file_value[i]);
	self_thread.space = NULL;
	vm_space_put(t);
	CHECK_EQ(slab_bytes_in_use(), used);
	CHECK_EQ(free_pages(), before);
}

static struct vm_space *forked(struct vm_space *s)
{
	struct vm_space *copy = NULL;

	CHECK_EQ(vm_space_fork(s, &copy), 0);
	CHECK_EQ(copy->pages, s->pages);
	CHECK_EQ(copy->nr_regions, s->nr_regions);
	vm_check(copy);
	vm_check(s);
	return copy;
}

/* MS-006, X-03, X-04: spaces that fork from each other, each against a model of its own: a copy shows what the original
 * showed, and from then on neither sees what the other does. */
TEST(forks_match_models)
{
	enum { SPACES = 4 };
	static struct model m[SPACES];
	struct vm_space *s[SPACES] = { boot(32 * MIB) };
	uint64_t before, used;

	for (unsigned i = 0; i < PAGES; i++)
		for (unsigned k = 0; k < SPACES; k++)
			m[k].file_value[i] = (uint8_t)(i * 7);
	for (unsigned i = 0; i < PAGES; i++)
		memset(reserved_bytes + i * PAGE_SIZE, (uint8_t)(i * 7), PAGE_SIZE);
	file = vm_backing_memory_create(reserved_bytes, PAGES * PAGE_SIZE);
	CHECK(file != NULL);
	self_thread.space = NULL;
	vm_space_put(s[0]);
	before = free_pages();
	used = slab_bytes_in_use();
	for (unsigned i = 0; i < SPACES; i++)
		s[i] = vm_space_create();
	for (int n = 0; n < 40000 * test_scale; n++) {
		unsigned k = (unsigned)test_below(SPACES), to = (unsigned)test_below(SPACES);

		if (k != to && test_below(32) == 0) {
			self_thread.space = NULL;
			vm_space_put(s[to]);
			s[to] = forked(s[k]);
			m[to] = m[k];
		}
		self_thread.space = s[to];
		step(s[to], &m[to]);
		self_thread.space = s[k];
		check_page(s[k], &m[k], (unsigned)test_below(PAGES));
		if (n % 500 == 0)
			for (unsigned i = 0; i < PAGES; i++)
				check_page(s[k], &m[k], i);
	}
	self_thread.space = NULL;
	for (unsigned i = 0; i < SPACES; i++) {
		vm_check(s[i]);
		vm_space_put(s[i]);
	}
	vm_space_reap();
	CHECK_EQ(slab_bytes_in_use(), used);
	CHECK_EQ(free_pages(), before);
}

/* --- L8: what may be executed has been made known to the instruction cache ------------------------------------------- */

#define RAM_PAGES (32 * MIB / PAGE_SIZE)
static bool synced[RAM_PAGES]; /* since it was allocated */

static struct page *ram_page(unsigned i)
{
	return page_of_addr((char *)shim_linear_base + i * PAGE_SIZE);
}

static void note_synced(const void *va, size_t len)
{
	CHECK_EQ(len, PAGE_SIZE);
	synced[((const char *)va - (const char *)shim_linear_base) / PAGE_SIZE] = true;
}

static void executable_leaves(vaddr_t va, pte_t *e, unsigned n, void *arg)
{
	for (; n-- > 0; e++) {
		pte_t v = pte_get(e);

		if (arch_pte_valid(v) && (arch_pte_prot(v) & PTE_EXEC) &&
		    !synced[(arch_pte_addr(v).pa - RAM_PA) / PAGE_SIZE])
			test_fail(__FILE__, __LINE__, "a page of old instructions");
	}
}

/* Whatever way an entry comes to allow execution: a fault, a copy, a fork, a file's page, a change of protection. */
TEST(executable_pages_are_synced)
{
	static struct model m;
	struct vm_space *s = boot(RAM_PAGES * PAGE_SIZE), *child;

	memset(synced, 0, sizeof(synced));
	shim_on_sync_icache = note_synced;
	memset(reserved_bytes, 0, PAGES * PAGE_SIZE);
	file = vm_backing_memory_create(reserved_bytes, PAGES * PAGE_SIZE);
	CHECK(file != NULL);
	for (int n = 0; n < 3000 * test_scale; n++) {
		/* what was given back is somebody else's bytes when it comes again */
		for (unsigned i = 0; i < RAM_PAGES; i++)
			synced[i] &= ram_page(i)->owner == PAGE_USER ||
				     ram_page(i)->owner == PAGE_RESERVED;
		step(s, &m);
		check_page(s, &m, (unsigned)test_below(PAGES));
		if (n % 100 == 0) {
			child = forked(s);
			self_thread.space = NULL;
			vm_space_put(s);
			s = self_thread.space = child;
		}
		pgtable_walk(&s->table, 0, USER_MAX, executable_leaves, NULL);
	}
	shim_on_sync_icache = NULL;
}

/* The account of one page through fork, a write by each side, and the end of one: shared, copied once, reused. */
TEST(fork_shares_then_copies_once)
{
	struct vm_space *s = boot(32 * MIB), *copy;
	uint64_t before;
	vaddr_t at;
	char c = 'a';
	pte_t *e;

	CHECK_EQ(vm_map(s, 0, 64 * PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0, &at), 0);
	for (unsigned i = 0; i < 64; i++)
		CHECK_EQ(vm_write(s, at + i * PAGE_SIZE, &c, 1), 0);
	s->brk_start = s->brk = 0x300000;
	copy = forked(s);
	CHECK_EQ(copy->brk, 0x300000);
	CHECK_EQ(copy->pages, 64);
	e = pgtable_leaf(&s->table, at, false);
	CHECK_EQ(refcount_read(&page_of_phys(arch_pte_addr(pte_get(e)))->ref), 2);
	before = free_pages();
	c = 'b';
	/* the first writer copies, the second finds itself alone */
	CHECK_EQ(vm_write(copy, at, &c, 1), 0);
	CHECK_EQ(free_pages(), before - 1);
	CHECK_EQ(vm_read(s, at, &c, 1), 0);
	CHECK_EQ(c, 'a');
	CHECK_EQ(vm_write(s, at, &c, 1), 0);
	CHECK_EQ(free_pages(), before - 1);
	CHECK_EQ(vm_read(copy, at, &c, 1), 0);
	CHECK_EQ(c, 'b');
	/* reads make nothing writable, nor does a protection that comes and goes */
	CHECK_EQ(vm_protect(s, at, 64 * PAGE_SIZE, 0), 0);
	CHECK_EQ(vm_protect(s, at, 64 * PAGE_SIZE, VM_READ | VM_WRITE), 0);
	vm_check(s);
	vm_check(copy);
	vm_space_put(copy);
	/* tables and the copied page */
	before = free_pages();
	for (unsigned i = 0; i < 64; i++)
		CHECK_EQ(vm_write(s, at + i * PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(free_pages(), before);
	vm_check(s);
}

TEST(fork_nth_failure_leaks_nothing)
{
	struct vm_space *s = boot(32 * MIB), *copy = NULL;
	uint64_t before, used;
	char c = 1;
	vaddr_t at;

	for (unsigned i = 1; i < 5; i++) {
		at = (vaddr_t)i << 30;
		CHECK_EQ(vm_map(s, at, 3 * PAGE_SIZE, VM_READ | VM_WRITE | VM_FIXED, NULL, 0, &at),
			 0);
		CHECK_EQ(vm_write(s, at, &c, 1), 0);
		CHECK_EQ(vm_write(s, at + PAGE_SIZE, &c, 1), 0);
	}
	vm_space_put(forked(s));
	before = free_pages();
	used = slab_bytes_in_use();
	for (uint64_t n = 1; !copy; n++) {
		CHECK(n < 100);
		alloc_fail_after(n);
		if (vm_space_fork(s, &copy) < 0)
			CHECK(!copy);
		alloc_fail_after(0);
		vm_check(s);
		if (!copy) {
			CHECK_EQ(slab_bytes_in_use(), used);
			CHECK_EQ(free_pages(), before);
		}
	}
	vm_space_put(copy);
	CHECK_EQ(free_pages(), before);
}

/* The hole search against a scan of the same regions; H4: what was unmapped is used again. */
TEST(holes_match_a_scan)
{
	enum { WINDOW = 128 };
	struct vm_space *s = boot(32 * MIB);
	bool used[WINDOW] = { false };
	vaddr_t out, base;

	s->mmap_base = VM_LOWEST + WINDOW * PAGE_SIZE;
	base = VM_LOWEST;
	for (int i = 0; i < 20000 * test_scale; i++) {
		unsigned n = 1 + (unsigned)test_below(6), at = WINDOW;

		if (test_below(2)) {
			unsigned first = (unsigned)test_below(WINDOW - n);

			CHECK_EQ(vm_unmap(s, base + first * PAGE_SIZE, n * PAGE_SIZE), 0);
			memset(used + first, 0, n);
			continue;
		}
		for (unsigned k = WINDOW - n + 1; k-- > 0 && at == WINDOW;)
			if (!memchr(used + k, 1, n))
				at = k;
		/* different protections keep the regions apart */
		int err = vm_map(s, 0, n * PAGE_SIZE, 1 + (unsigned)test_below(7), NULL, 0, &out);

		if (at == WINDOW) {
			CHECK_EQ(err, -ENOMEM);
			continue;
		}
		CHECK_EQ(err, 0);
		CHECK_EQ(out, base + at * PAGE_SIZE);
		memset(used + at, 1, n);
		if (i % 100 == 0)
			vm_check(s);
	}
}

/* REL-001: a place that is asked for is given only if all of it is free; what is there stays, wherever it begins. */
TEST(hint_takes_nothing_from_others)
{
	struct vm_space *s = boot(32 * MIB);
	vaddr_t old, at;
	uint8_t v = 7, w;

	for (int first = 0; first < 6; first++) {
		old = BASE + 2 * PAGE_SIZE;
		CHECK_EQ(vm_map(s, old, 2 * PAGE_SIZE, VM_READ | VM_WRITE | VM_FIXED, NULL, 0, &at),
			 0);
		CHECK_EQ(vm_write(s, old, &v, 1), 0);
		CHECK_EQ(vm_write(s, old + PAGE_SIZE, &v, 1), 0);
		for (unsigned n = 1; n < 6; n++) {
			vaddr_t want = page_va((unsigned)first);
			bool free = want + n * PAGE_SIZE <= old || want >= old + 2 * PAGE_SIZE;

			CHECK_EQ(vm_map(s, want, n * PAGE_SIZE, VM_READ, NULL, 0, &at), 0);
			CHECK_EQ(at == want, free);
			CHECK(at + n * PAGE_SIZE <= old || at >= old + 2 * PAGE_SIZE);
			for (unsigned k = 0; k < 2; k++) {
				CHECK_EQ(vm_read(s, old + k * PAGE_SIZE, &w, 1), 0);
				CHECK_EQ(w, v);
			}
			CHECK_EQ(vm_unmap(s, at, n * PAGE_SIZE), 0);
		}
		vm_check(s);
	}
}

TEST(neighbours_join)
{
	struct vm_space *s = boot(32 * MIB);
	vaddr_t out;

	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(vm_map(s, 0, PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0, &out), 0);
	CHECK_EQ(s->nr_regions, 1);
	CHECK_EQ(vm_protect(s, out + 50 * PAGE_SIZE, PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(s->nr_regions, 3);
	CHECK_EQ(vm_protect(s, out + 50 * PAGE_SIZE, PAGE_SIZE, VM_READ | VM_WRITE), 0);
	CHECK_EQ(s->nr_regions, 1);
	/* with the part of a region that is mapped so already, and with its rest */
	CHECK_EQ(vm_protect(s, out, 50 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(s->nr_regions, 2);
	CHECK_EQ(vm_protect(s, out, 70 * PAGE_SIZE, VM_READ | VM_WRITE), 0);
	CHECK_EQ(s->nr_regions, 1);
	vm_check(s);
}

TEST(bad_arguments)
{
	struct vm_space *s = boot(32 * MIB);
	unsigned rw = VM_READ | VM_WRITE;
	vaddr_t out = 77;

	CHECK_EQ(vm_map(s, 0, 0, rw, NULL, 0, &out), -EINVAL);
	CHECK_EQ(vm_map(s, 0, SIZE_MAX, rw, NULL, 0, &out), -ENOMEM);
	CHECK_EQ(vm_map(s, 0x20001, PAGE_SIZE, rw | VM_FIXED, NULL, 0, &out), -EINVAL);
	CHECK_EQ(vm_map(s, 0, PAGE_SIZE, rw | VM_FIXED, NULL, 0, &out), -ENOMEM);
	CHECK_EQ(vm_map(s, USER_MAX - PAGE_SIZE, 2 * PAGE_SIZE, rw | VM_FIXED, NULL, 0, &out),
		 -ENOMEM);
	CHECK_EQ(out, 77);
	CHECK_EQ(vm_map(s, USER_MAX - PAGE_SIZE, PAGE_SIZE, rw | VM_FIXED, NULL, 0, &out), 0);
	CHECK_EQ(vm_map(s, out, PAGE_SIZE, rw | VM_FIXED_NOREPLACE, NULL, 0, &out), -EEXIST);
	CHECK_EQ(vm_fault(s, USER_MAX, VM_FAULT_READ), -EFAULT);
	CHECK_EQ(vm_fault(s, UINTPTR_MAX, VM_FAULT_READ), -EFAULT);
	CHECK_EQ(vm_fault(s, USER_MAX - 1, VM_FAULT_READ), 0);
	CHECK_EQ(vm_unmap(s, 0x20001, PAGE_SIZE), -EINVAL);
	CHECK_EQ(vm_unmap(s, USER_MAX - PAGE_SIZE, 2 * PAGE_SIZE), -EINVAL);
	CHECK_EQ(vm_protect(s, 0x20000, PAGE_SIZE, VM_SHARED), -EINVAL);
	CHECK_EQ(user_copy_to(USER_MAX - 4, &out, 8), -EFAULT);
	CHECK_EQ(user_copy_to(UINTPTR_MAX - 4, &out, 8), -EFAULT);
	self_thread.space = NULL;
	CHECK_EQ(user_copy_to(USER_MAX - 8, &out, 8), -EFAULT);
	self_thread.space = s;
	s->as_limit = 3 * PAGE_SIZE;
	CHECK_EQ(vm_map(s, 0, 3 * PAGE_SIZE, rw, NULL, 0, &out), -ENOMEM);
	CHECK_EQ(vm_map(s, 0, 2 * PAGE_SIZE, rw, NULL, 0, &out), 0);
}

/* mremap(2)'s answers, those of linux-abi 4.4 among them: -ENOMEM where it is mapped and cannot grow, another errno where
 * it is not. */
TEST(move_answers)
{
	struct vm_space *s = boot(32 * MIB);
	vaddr_t at = 0x10000000, out = 0, other;
	char c = 'x';

	CHECK_EQ(vm_map(s, at, 4 * PAGE_SIZE, VM_READ | VM_WRITE | VM_FIXED, NULL, 0, &out), 0);
	CHECK_EQ(vm_map(s, at + 4 * PAGE_SIZE, PAGE_SIZE, VM_READ | VM_FIXED, NULL, 0, &out), 0);
	out = 0;
	CHECK_EQ(vm_move(s, at, PAGE_SIZE, 2 * PAGE_SIZE, 0, false, 0, &out), -ENOMEM);
	CHECK_EQ(vm_move(s, at - PAGE_SIZE, PAGE_SIZE, 2 * PAGE_SIZE, 0, false, 0, &out), -EFAULT);
	CHECK_EQ(vm_move(s, at, 4 * PAGE_SIZE, 5 * PAGE_SIZE, 0, false, 0, &out), -ENOMEM);
	CHECK_EQ(vm_move(s, at, 5 * PAGE_SIZE, 6 * PAGE_SIZE, 0, true, 0, &out), -EFAULT);
	CHECK_EQ(vm_move(s, at, PAGE_SIZE, PAGE_SIZE, VM_FIXED, true, at, &out), -EINVAL);
	CHECK_EQ(out, 0);
	/* in place, at the end of all */
	CHECK_EQ(vm_move(s, at + 4 * PAGE_SIZE, PAGE_SIZE, 9 * PAGE_SIZE, 0, false, 0, &out), 0);
	CHECK_EQ(out, at + 4 * PAGE_SIZE);
	CHECK_EQ(s->mapped_pages, 13);
	CHECK_EQ(vm_move(s, out, 9 * PAGE_SIZE, PAGE_SIZE, 0, false, 0, &out), 0);
	CHECK_EQ(s->mapped_pages, 5);
	/* elsewhere, with what it holds */
	CHECK_EQ(vm_write(s, at + 3 * PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(vm_move(s, at, 4 * PAGE_SIZE, 8 * PAGE_SIZE, 0, true, 0, &other), 0);
	CHECK(other != at);
	CHECK_EQ(vm_read(s, at, &c, 1), -EFAULT);
	c = 0;
	CHECK_EQ(vm_read(s, other + 3 * PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(c, 'x');
	CHECK_EQ(s->pages, 1);
	vm_check(s);
	s->as_limit = 12 * PAGE_SIZE;
	CHECK_EQ(vm_move(s, other, 8 * PAGE_SIZE, 12 * PAGE_SIZE, 0, true, 0, &out), -ENOMEM);
	s->as_limit = UINT64_MAX;
	for (uint64_t n = 1, err = 1; err; n++) {
		alloc_fail_after(n);
		err = (uint64_t)(int64_t)vm_move(s, other, 8 * PAGE_SIZE, 8 * PAGE_SIZE, VM_FIXED,
						 true, 0x4000000000, &out);
		alloc_fail_after(0);
		CHECK(n < 50);
		vm_check(s);
		CHECK_EQ(vm_read(s, (err ? other : out) + 3 * PAGE_SIZE, &c, 1), 0);
		CHECK_EQ(c, 'x');
	}
}

static void has_no_name(const struct vm_region_info *info, void *arg)
{
	(void)arg;
	CHECK(!info->name);
}

/* What mremap took elsewhere is neither stack nor heap: it does not grow down, and nobody calls it so. */
TEST(what_moved_is_no_stack_and_no_heap)
{
	struct vm_space *s = boot(32 * MIB);
	vaddr_t top = 0x40000000, heap = 0x500000, out;

	CHECK_EQ(vm_map(s, top - PAGE_SIZE, PAGE_SIZE, VM_READ | VM_WRITE | VM_STACK | VM_FIXED,
			NULL, 0, &out),
		 0);
	s->brk_start = s->brk = heap;
	CHECK_EQ(vm_brk(s, heap + 2 * PAGE_SIZE), heap + 2 * PAGE_SIZE);
	CHECK_EQ(
		vm_move(s, top - PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, VM_FIXED, true, 0x20000000, &out),
		0);
	CHECK_EQ(vm_move(s, heap, 2 * PAGE_SIZE, 2 * PAGE_SIZE, VM_FIXED, true, 0x30000000, &out),
		 0);
	CHECK_EQ(vm_fault(s, 0x20000000, VM_FAULT_WRITE), 0);
	CHECK_EQ(vm_fault(s, 0x20000000 - PAGE_SIZE, VM_FAULT_WRITE), -EFAULT);
	vm_for_each_region(s, has_no_name, NULL);
	vm_check(s);
}

/* What is changed or unmapped as a whole needs no memory; what is cut does, and without any nothing has happened. */
TEST(whole_regions_need_no_memory)
{
	struct vm_space *s = boot(32 * MIB);
	unsigned rw = VM_READ | VM_WRITE, flags;
	vaddr_t at = 0x400000, out;
	char c = 'x';

	CHECK_EQ(vm_map(s, at, 4 * PAGE_SIZE, rw | VM_FIXED, NULL, 0, &out), 0);
	CHECK_EQ(vm_map(s, at + 8 * PAGE_SIZE, PAGE_SIZE, rw | VM_FIXED, NULL, 0, &out), 0);
	CHECK_EQ(vm_write(s, at, &c, 1), 0);
	for (int i = 0; i < 4; i++) {
		alloc_fail_after(1);
		CHECK_EQ(vm_protect(s, at, 4 * PAGE_SIZE, i & 1 ? rw : VM_READ), 0);
		CHECK_EQ(vm_change(s, at, 4 * PAGE_SIZE, 0, VM_DONTFORK), 0);
		CHECK_EQ(vm_protect(s, at + PAGE_SIZE, 3 * PAGE_SIZE, VM_READ | VM_EXEC), -ENOMEM);
		vm_check(s);
		alloc_fail_after(1);
		CHECK_EQ(vm_unmap(s, at, 3 * PAGE_SIZE), -ENOMEM);
		CHECK_EQ(s->nr_regions, 2);
		CHECK(vm_range_mapped(s, at, 4 * PAGE_SIZE, &flags));
		CHECK_EQ(flags, (i & 1 ? rw : VM_READ) | VM_DONTFORK);
		CHECK_EQ(vm_read(s, at, &c, 1), 0);
		CHECK_EQ(c, 'x');
	}
	alloc_fail_after(1);
	/* a hole in the midst, and both regions */
	CHECK_EQ(vm_protect(s, at, 9 * PAGE_SIZE, VM_READ), -ENOMEM);
	CHECK_EQ(vm_unmap(s, at, 9 * PAGE_SIZE), 0);
	alloc_fail_after(0);
	CHECK_EQ(s->nr_regions, 0);
	CHECK_EQ(s->pages, 0);
	vm_check(s);
}

/* What mlock, madvise and the limits say, and what is counted. */
TEST(flags_and_limits)
{
	struct vm_space *s = boot(32 * MIB), *copy;
	unsigned rw = VM_READ | VM_WRITE, flags;
	uint8_t seen[4];
	struct vm_stats st;
	vaddr_t at, out;
	char c = 'x';

	CHECK_EQ(vm_map(s, 0, 4 * PAGE_SIZE, rw, NULL, 0, &at), 0);
	CHECK_EQ(vm_write(s, at + PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(vm_resident(s, at, 4, seen), 0);
	CHECK(!seen[0] && seen[1] && !seen[2] && !seen[3]);
	CHECK_EQ(vm_resident(s, at, 5, seen), -ENOMEM);
	/* all or nothing */
	CHECK_EQ(vm_lock_range(s, at + 1, 3 * PAGE_SIZE, 3 * PAGE_SIZE, true), -ENOMEM);
	CHECK_EQ(vm_lock_range(s, at, 2 * PAGE_SIZE, 2 * PAGE_SIZE, true), 0);
	CHECK_EQ(vm_lock_range(s, at, 2 * PAGE_SIZE, 2 * PAGE_SIZE, true), 0);
	CHECK_EQ(vm_lock_range(s, at + 3 * PAGE_SIZE, 2 * PAGE_SIZE, MIB, true), -ENOMEM);
	CHECK_EQ(s->locked_pages, 2);
	CHECK_EQ(s->pages, 2);
	CHECK_EQ(vm_discard(s, at, 2 * PAGE_SIZE), -EINVAL);
	copy = forked(s);
	CHECK_EQ(copy->locked_pages, 0);
	vm_space_put(copy);
	CHECK_EQ(vm_change(s, at, 4 * PAGE_SIZE, VM_LOCKED, 0), 0);
	CHECK_EQ(s->locked_pages, 0);
	CHECK_EQ(s->nr_regions, 1);
	CHECK_EQ(vm_lock_all(s, true, true, MIB), 0);
	CHECK_EQ(s->pages, 4);
	CHECK_EQ(vm_map(s, 0, PAGE_SIZE, rw, NULL, 0, &out), 0);
	CHECK_EQ(s->locked_pages, 5);
	CHECK_EQ(vm_lock_all(s, false, false, 0), 0);
	CHECK_EQ(s->locked_pages, 0);
	CHECK_EQ(vm_unmap(s, out, PAGE_SIZE), 0);
	/* in copies: not at all, or fresh */
	CHECK_EQ(vm_change(s, at, PAGE_SIZE, 0, VM_DONTFORK), 0);
	CHECK_EQ(vm_change(s, at + PAGE_SIZE, PAGE_SIZE, 0, VM_WIPEONFORK), 0);
	CHECK_EQ(vm_space_fork(s, &copy), 0);
	CHECK_EQ(vm_read(copy, at, &c, 1), -EFAULT);
	CHECK_EQ(vm_read(copy, at + PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(c, 0);
	vm_check(copy);
	vm_space_put(copy);
	/* RLIMIT_DATA is about what is private and writable */
	vm_set_limits(s, UINT64_MAX, 5 * PAGE_SIZE, MIB);
	CHECK_EQ(vm_map(s, 0, 9 * PAGE_SIZE, VM_READ, NULL, 0, &out), 0);
	CHECK_EQ(vm_protect(s, out, 2 * PAGE_SIZE, rw), -ENOMEM);
	CHECK_EQ(vm_protect(s, out, PAGE_SIZE, rw), 0);
	CHECK_EQ(vm_map(s, 0, PAGE_SIZE, rw, NULL, 0, &at), -ENOMEM);
	/* a file that is not open for writing */
	CHECK_EQ(vm_map(s, 0, PAGE_SIZE, VM_READ | VM_SHARED | VM_NOWRITE, NULL, 0, &at), 0);
	CHECK_EQ(vm_protect(s, at, PAGE_SIZE, rw), -EACCES);
	CHECK(vm_range_mapped(s, at, PAGE_SIZE, &flags) && (flags & VM_NOWRITE));
	CHECK(!vm_range_mapped(s, at - PAGE_SIZE, 100 * PAGE_SIZE, &flags));
	vm_stats(s, &st);
	CHECK_EQ(st.mapped, 14);
	CHECK_EQ(st.peak_mapped, 14);
	CHECK_EQ(st.data, 5);
	CHECK_EQ(st.resident, 4);
	CHECK_EQ(st.anonymous, 4);
	CHECK_EQ(st.peak_resident, 4);
	vm_check(s);
}

/* Pages of a file mapped shared are the same on both sides of a fork, and no copy of them is ever made. */
TEST(shared_pages_stay_shared)
{
	struct vm_space *s = boot(32 * MIB), *copy;
	struct vm_backing *b = vm_backing_memory_create(reserved_bytes, 4 * PAGE_SIZE);
	struct page *page = NULL, *page2 = NULL;
	uint64_t before;
	vaddr_t at, private;
	char c = 'x';

	CHECK_EQ(vm_map(s, 0, 4 * PAGE_SIZE, VM_READ | VM_WRITE | VM_SHARED, b, 0, &at), 0);
	CHECK_EQ(vm_map(s, 0, PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0, &private), 0);
	CHECK_EQ(vm_write(s, at, &c, 1), 0);
	copy = forked(s);
	before = free_pages();
	c = 'y';
	CHECK_EQ(vm_write(copy, at, &c, 1), 0);
	CHECK_EQ(vm_read(s, at, &c, 1), 0);
	CHECK_EQ(c, 'y');
	CHECK_EQ(vm_write(s, at + PAGE_SIZE, &c, 1), 0);
	c = 0;
	CHECK_EQ(vm_read(copy, at + PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(c, 'y');
	CHECK_EQ(reserved_bytes[PAGE_SIZE], 'y');
	CHECK_EQ(s->anon_pages, 0);
	CHECK_EQ(free_pages(), before);
	/* a futex there has one name */
	CHECK_EQ(vm_shared_page(s, at + 2 * PAGE_SIZE + 8, &page), 0);
	CHECK_EQ(vm_shared_page(copy, at + 2 * PAGE_SIZE, &page2), 0);
	CHECK(page != NULL && page == page2);
	page_put(page);
	page_put(page2);
	CHECK_EQ(vm_shared_page(s, private, &page), 0);
	CHECK(page == NULL);
	CHECK_EQ(vm_shared_page(s, 0x1000, &page), -EFAULT);
	vm_check(s);
	vm_check(copy);
	vm_space_put(copy);
	CHECK_EQ(vm_unmap(s, at, 4 * PAGE_SIZE), 0);
	vm_backing_put(b);
}

/* What the vDSO is: pages of the kernel's that nobody can write to, named in the list. */
static void find_vdso(const struct vm_region_info *info, void *arg)
{
	if (info->name && strcmp(info->name, "[vdso]") == 0)
		*(vaddr_t *)arg = info->start;
}

TEST(kernel_pages)
{
	struct vm_space *s = boot(32 * MIB), *copy;
	struct page *pages[2] = { page_alloc(0, ALLOC_ZERO), page_alloc(0, ALLOC_ZERO) };
	struct vm_backing *b = vm_backing_kernel_pages("[vdso]", pages, 2);
	vaddr_t at, found = 0;
	char c = 'v';

	for (unsigned i = 0; i < 2; i++)
		page_set_owner(pages[i], PAGE_USER);
	*(char *)page_addr(pages[1]) = 'v';
	CHECK_EQ(vm_map(s, 0, 2 * PAGE_SIZE, VM_READ | VM_EXEC | VM_NOWRITE, b, 0, &at), 0);
	copy = forked(s);
	CHECK_EQ(vm_fault(copy, at, VM_FAULT_EXEC), 0);
	CHECK_EQ(vm_read(copy, at + PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(c, 'v');
	CHECK_EQ(vm_write(s, at, &c, 1), -EFAULT);
	CHECK_EQ(vm_protect(s, at, PAGE_SIZE, VM_READ | VM_WRITE), -EACCES);
	vm_for_each_region(copy, find_vdso, &found);
	CHECK_EQ(found, at);
	vm_check(copy);
	vm_space_put(copy);
	CHECK_EQ(vm_unmap(s, at, 2 * PAGE_SIZE), 0);
	vm_backing_put(b);
	CHECK_EQ(refcount_read(&pages[1]->ref), 1);
}

TEST(break_moves)
{
	struct vm_space *s = boot(32 * MIB);
	uint8_t b = 5;
	vaddr_t out;

	s->brk_start = s->brk = 0x500123;
	CHECK_EQ(vm_brk(s, 0), 0x500123);
	CHECK_EQ(vm_brk(s, 0x503000), 0x503000);
	CHECK_EQ(vm_write(s, 0x502fff, &b, 1), 0);
	CHECK_EQ(vm_write(s, 0x503000, &b, 1), -EFAULT);
	CHECK_EQ(vm_brk(s, 0x504001), 0x504001);
	CHECK_EQ(s->nr_regions, 1);
	CHECK_EQ(vm_brk(s, 0x502000), 0x502000);
	CHECK_EQ(vm_read(s, 0x502fff, &b, 1), -EFAULT);
	CHECK_EQ(vm_brk(s, 0x503000), 0x503000);
	CHECK_EQ(vm_read(s, 0x502fff, &b, 1), 0);
	CHECK_EQ(b, 0);
	CHECK_EQ(vm_map(s, 0x600000, PAGE_SIZE, VM_READ | VM_FIXED, NULL, 0, &out), 0);
	CHECK_EQ(vm_brk(s, 0x600001), 0x503000);
	CHECK_EQ(vm_brk(s, 0x600000), 0x600000);
	CHECK_EQ(vm_brk(s, 0x400000), 0x600000);
	CHECK_EQ(vm_brk(s, UINTPTR_MAX), 0x600000);
	vm_check(s);
}

/* REL-002: a heap that comes up to the stack leaves it its limit and the gap. */
TEST(break_leaves_the_stack_its_room)
{
	struct vm_space *s = boot(32 * MIB);
	vaddr_t top = 0x40000000, out;
	uint8_t b = 5;

	s->stack_limit = MIB;
	CHECK_EQ(vm_map(s, top - PAGE_SIZE, PAGE_SIZE, VM_READ | VM_WRITE | VM_STACK | VM_FIXED,
			NULL, 0, &out),
		 0);
	s->brk_start = s->brk = top - 3 * MIB;
	CHECK_EQ(vm_brk(s, top - 2 * MIB), top - 2 * MIB);
	CHECK_EQ(vm_brk(s, top - 2 * MIB + 1), top - 2 * MIB);
	CHECK_EQ(vm_brk(s, top + 1), top - 2 * MIB);
	CHECK_EQ(vm_write(s, top - MIB, &b, 1), 0);
	s->stack_limit = UINT64_MAX;
	CHECK_EQ(vm_brk(s, top - 3 * MIB), top - 3 * MIB);
	CHECK_EQ(vm_brk(s, top - 3 * MIB + 1), top - 3 * MIB);
	vm_check(s);
}

/* REL-002 */
TEST(stack_grows_to_its_limit)
{
	struct vm_space *s = boot(32 * MIB);
	vaddr_t top = 0x40000000, out;

	s->stack_limit = MIB;
	CHECK_EQ(vm_map(s, top - PAGE_SIZE, PAGE_SIZE, VM_READ | VM_WRITE | VM_STACK | VM_FIXED,
			NULL, 0, &out),
		 0);
	CHECK_EQ(vm_fault(s, top - 3 * PAGE_SIZE, VM_FAULT_WRITE), 0);
	CHECK_EQ(vm_fault(s, top - MIB, VM_FAULT_WRITE), 0);
	CHECK_EQ(vm_fault(s, top - MIB - 1, VM_FAULT_WRITE), -EFAULT);
	/* something below keeps its distance */
	s->stack_limit = 8 * MIB;
	CHECK_EQ(vm_map(s, top - 3 * MIB, PAGE_SIZE, VM_READ | VM_FIXED, NULL, 0, &out), 0);
	CHECK_EQ(vm_fault(s, top - 3 * MIB + 8 * PAGE_SIZE, VM_FAULT_WRITE), -EFAULT);
	CHECK_EQ(vm_fault(s, top - 3 * MIB + PAGE_SIZE + VM_STACK_GAP, VM_FAULT_WRITE), 0);
	vm_check(s);
}

/* In place where whole pages are, copied where not; private writes stay private; zeros behind the end. */
TEST(memory_backing)
{
	struct vm_space *s = boot(32 * MIB);
	char *bytes = reserved_bytes, c = 0;
	vaddr_t at, at2;

	memset(bytes, 'a', 4 * PAGE_SIZE);
	uint64_t before = free_pages();
	struct vm_backing *b = vm_backing_memory_create(bytes, 2 * PAGE_SIZE + 100);
	struct vm_backing *odd = vm_backing_memory_create(bytes + 8, PAGE_SIZE);

	CHECK_EQ(vm_map(s, 0, 4 * PAGE_SIZE, VM_READ | VM_WRITE, b, 0, &at), 0);
	CHECK_EQ(vm_map(s, 0, PAGE_SIZE, VM_READ, odd, 0, &at2), 0);
	CHECK_EQ(vm_read(s, at, &c, 1), 0);
	CHECK_EQ(c, 'a');
	CHECK_EQ(arch_pte_addr(pte_get(pgtable_leaf(&s->table, at, false))).pa,
		 virt_to_phys(bytes).pa);
	CHECK_EQ(vm_read(s, at + 2 * PAGE_SIZE + 99, &c, 1), 0);
	CHECK_EQ(c, 'a');
	CHECK_EQ(vm_read(s, at + 2 * PAGE_SIZE + 100, &c, 1), 0);
	CHECK_EQ(c, 0);
	CHECK_EQ(vm_fault(s, at + 3 * PAGE_SIZE, VM_FAULT_READ), -EIO);
	CHECK_EQ(vm_read(s, at2 + PAGE_SIZE - 1, &c, 1), 0);
	CHECK_EQ(c, 'a');
	c = 'b';
	CHECK_EQ(vm_write(s, at, &c, 1), 0);
	CHECK_EQ(vm_write(s, at + PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(bytes[0], 'a');
	CHECK_EQ(bytes[PAGE_SIZE], 'a');
	CHECK_EQ(vm_read(s, at, &c, 1), 0);
	CHECK_EQ(c, 'b');
	vm_check(s);
	CHECK_EQ(vm_unmap(s, at, 4 * PAGE_SIZE), 0);
	CHECK_EQ(vm_unmap(s, at2, PAGE_SIZE), 0);
	vm_backing_put(b);
	vm_backing_put(odd);
	CHECK_EQ(free_pages(), before);
}

static unsigned references(const char *bytes, unsigned page)
{
	return refcount_read(&page_of_addr(bytes + page * PAGE_SIZE)->ref);
}

/* One fault brings in what lies around it, within 64 KiB and the region, and nothing twice: not what has been copied, not
 * what is there; and each entry has one reference. */
TEST(a_fault_brings_its_neighbours)
{
	struct vm_space *s = boot(32 * MIB);
	struct vm_backing *b = vm_backing_memory_create(reserved_bytes, 40 * PAGE_SIZE);
	vaddr_t at = 0x400000, out;
	char c = 'x';

	/* pages 2 to 31 of the object */
	CHECK_EQ(vm_map(s, at, 30 * PAGE_SIZE, VM_READ | VM_WRITE | VM_FIXED, b, 2, &out), 0);
	/* the write copies one, and the other fifteen come along */
	CHECK_EQ(vm_write(s, at + 3 * PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(s->pages, 16);
	CHECK_EQ(s->anon_pages, 1);
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(references(reserved_bytes, i), 1 + (i >= 2 && i < 18 && i != 5));
	/* again, with one of them thrown out: nothing but that one is new */
	CHECK_EQ(vm_discard(s, at + 7 * PAGE_SIZE, PAGE_SIZE), 0);
	CHECK_EQ(vm_read(s, at + 7 * PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(s->pages, 16);
	/* up to the region's end */
	CHECK_EQ(vm_read(s, at + 20 * PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(s->pages, 30);
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(references(reserved_bytes, i), 1 + (i >= 2 && i < 32 && i != 5));
	vm_check(s);
	CHECK_EQ(vm_unmap(s, at, 30 * PAGE_SIZE), 0);
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(references(reserved_bytes, i), 1);
	CHECK_EQ(s->pages, 0);
	vm_backing_put(b);
}

/* Code that the kernel writes over is seen by who executes it; nothing else costs that. */
TEST(written_code_is_seen)
{
	struct vm_space *s = boot(32 * MIB);
	struct vm_backing *b = vm_backing_memory_create(reserved_bytes, 2 * PAGE_SIZE);
	vaddr_t at;

	CHECK_EQ(vm_map(s, 0, 2 * PAGE_SIZE, VM_READ | VM_EXEC, b, 0, &at), 0);
	shim_syncs = 0;
	vm_page_written(page_of_addr(reserved_bytes));
	CHECK_EQ(shim_syncs, 0);
	CHECK_EQ(vm_fault(s, at, VM_FAULT_EXEC), 0);
	shim_syncs = 0;
	vm_page_written(page_of_addr(reserved_bytes));
	CHECK_EQ(shim_syncs, 1);
	CHECK_EQ(vm_unmap(s, at, 2 * PAGE_SIZE), 0);
	vm_backing_put(b);
}

/* What an object no longer shows goes from its mappings; private copies of it go only with what lies behind its end. */
TEST(trim_leaves_private_copies)
{
	struct vm_space *s = boot(32 * MIB);
	struct vm_backing *b = vm_backing_memory_create(reserved_bytes, 4 * PAGE_SIZE);
	struct vm_mapping m;
	char c = 'c';
	vaddr_t at;

	vm_mapping_init(&m);
	b->mapping = &m;
	/* from the object's second page on */
	CHECK_EQ(vm_map(s, 0, 3 * PAGE_SIZE, VM_READ | VM_WRITE, b, 1, &at), 0);
	CHECK_EQ(vm_write(s, at + PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(vm_populate(s, at, 3 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(s->pages, 3);
	vm_mapping_trim(&m, 0, 1, false);
	CHECK_EQ(s->pages, 3);
	/* from before the mapping */
	vm_mapping_trim(&m, 0, 3, false);
	CHECK_EQ(s->pages, 2);
	CHECK_EQ(pte_get(pgtable_leaf(&s->table, at, false)), 0);
	CHECK_EQ(vm_read(s, at + PAGE_SIZE, &c, 1), 0);
	CHECK_EQ(c, 'c');
	vm_mapping_trim(&m, 2, UINT64_MAX, true);
	CHECK_EQ(pte_get(pgtable_leaf(&s->table, at + PAGE_SIZE, false)), 0);
	CHECK_EQ(pte_get(pgtable_leaf(&s->table, at + 2 * PAGE_SIZE, false)), 0);
	vm_check(s);
	CHECK_EQ(vm_unmap(s, at, 3 * PAGE_SIZE), 0);
	vm_backing_put(b);
}

/* --- a backing that is slow, with the map changing meanwhile ---------------------------------------------------- */

static struct vm_space *racing;
static vaddr_t racing_at;
static int race_kind;

static int slow_fill(struct vm_backing *b, uint64_t index, struct page **out)
{
	static struct vm_backing *replace;
	struct page *p;
	vaddr_t got;

	CHECK(!mutex_held(&racing->lock));
	switch (race_kind) {
	case 1:
		CHECK_EQ(vm_unmap(racing, racing_at, PAGE_SIZE), 0);
		break;
	case 2:
		CHECK_EQ(vm_protect(racing, racing_at, PAGE_SIZE, 0), 0);
		break;
	case 3:
		CHECK_EQ(vm_map(racing, racing_at, PAGE_SIZE, VM_READ | VM_FIXED, replace, 0, &got),
			 0);
		break;
	case 4:
		/* somebody else's fault comes first */
		race_kind = 0;
		CHECK_EQ(vm_fault(racing, racing_at, VM_FAULT_READ), 0);
		break;
	case 5:
		/* the region stays, its neighbour goes, tables and all */
		CHECK_EQ(vm_unmap(racing, racing_at + PAGE_SIZE, PAGE_SIZE), 0);
		break;
	case 6:
		return -EIO;
	case 7:
		/* nothing to discard yet, but the empty table goes */
		CHECK_EQ(vm_discard(racing, racing_at, 2 * PAGE_SIZE), 0);
		break;
	}
	p = page_alloc(0, ALLOC_ZERO);
	page_set_owner(p, PAGE_USER);
	*(char *)page_addr(p) = 'f';
	*out = p;
	return 0;
}

static void no_release(struct vm_backing *b)
{
}

TEST(fill_races_with_the_map)
{
	static const int want[] = { 0, -EFAULT, -EACCES, 0, 0, 0, -EIO, 0 };
	struct vm_backing b = { .fill = slow_fill, .release = no_release };
	struct vm_space *s = boot(32 * MIB);
	uint64_t before;
	char c;

	racing = s;
	refcount_init(&b.ref, 1);
	/* one round first: tables and caches stay warm */
	before = 0;
	for (int round = 0; round < 3; round++) {
		for (int kind = 0; kind < 8; kind++) {
			race_kind = kind;
			CHECK_EQ(vm_map(s, 0, 2 * PAGE_SIZE, VM_READ, &b, 7, &racing_at), 0);
			CHECK_EQ(vm_fault(s, racing_at, VM_FAULT_READ), want[kind]);
			vm_check(s);
			if (want[kind] == 0) {
				CHECK_EQ(vm_read(s, racing_at, &c, 1), 0);
				CHECK_EQ(c, kind == 3 ? 0 : 'f');
			}
			CHECK_EQ(vm_unmap(s, racing_at, 2 * PAGE_SIZE), 0);
			CHECK_EQ(s->pages, 0);
		}
		if (round)
			CHECK_EQ(free_pages(), before);
		before = free_pages();
	}
	CHECK_EQ(refcount_read(&b.ref), 1);
}

TEST(nth_failure_leaks_nothing)
{
	struct vm_space *warm = boot(32 * MIB), *s;
	struct vm_backing *b = vm_backing_memory_create(reserved_bytes, 2 * PAGE_SIZE + 8);
	uint64_t before, used;
	char c = 1;
	vaddr_t at;
	bool failed = true;

	self_thread.space = NULL;
	vm_space_put(warm);
	used = slab_bytes_in_use();
	before = free_pages();
	for (uint64_t n = 1; failed; n++) {
		int bad = 0;

		CHECK(n < 200);
		alloc_fail_after(n);
		s = vm_space_create();
		if (s) {
			s->brk = s->brk_start = 0x100000;
			bad |= vm_brk(s, 0x103000) != 0x103000;
			bad |= vm_write(s, 0x100000, &c, 1);
			bad |= vm_map(s, 0, 4 * PAGE_SIZE, VM_READ | VM_WRITE, b, 0, &at);
			if (!bad) {
				bad |= vm_write(s, at, &c, 1);
				bad |= vm_protect(s, at, PAGE_SIZE, VM_READ);
				bad |= vm_read(s, at + 2 * PAGE_SIZE, &c, 1);
				bad |= vm_unmap(s, at + PAGE_SIZE, PAGE_SIZE);
			}
		}
		failed = bad || !s;
		alloc_fail_after(0);
		if (s) {
			vm_check(s);
			vm_space_put(s);
		}
		CHECK_EQ(slab_bytes_in_use(), used);
	}
	vm_backing_put(b);
	CHECK(free_pages() >= before);
}

/* A CPU that holds the space in TTBR0 keeps its tables, and only them. */
TEST(lazy_cpu_keeps_tables)
{
	struct vm_space *s = boot(32 * MIB), *t = vm_space_create();
	uint64_t before;
	char c = 1;
	vaddr_t at;

	before = free_pages();
	CHECK_EQ(vm_map(s, 0, PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0, &at), 0);
	CHECK_EQ(vm_write(s, at, &c, 1), 0);
	shim_irqs_off = true;
	vm_space_activate(s);
	shim_cpu = cpu_get(1);
	vm_space_activate(s);
	vm_space_activate(NULL);
	shim_cpu = cpu_get(0);
	vm_space_activate(t);
	shim_irqs_off = false;
	CHECK_EQ(s->active, 1);
	self_thread.space = t;
	vm_space_put(s);
	/* its page is back, its three tables wait for CPU 1 */
	CHECK_EQ(free_pages(), before - 2);
	CHECK_EQ(s->active, 1);
	vm_space_reap();
	CHECK_EQ(free_pages(), before + 1);
}

/* --- threads of one space ------------------------------------------------------------------------------------------- */

#define RACE_PAGES 64
static vaddr_t race_at;
static uint32_t race_stop;

static void touch(unsigned id)
{
	uint64_t x = test_seed * 77 + id;

	self_thread.base.name = "toucher";
	self_thread.space = racing;
	shim_set_current(&self_thread);
	while (!atomic_load_relaxed(&race_stop)) {
		vaddr_t va;
		char c = (char)id;
		int err;

		x = x * 6364136223846793005u + 1442695040888963407u;
		va = race_at + (x >> 33) % RACE_PAGES * PAGE_SIZE;
		/* done, or refused because the page is gone or protected */
		err = x >> 60 & 1 ? vm_write(racing, va, &c, 1) : vm_read(racing, va, &c, 1);
		CHECK(err == 0 || err == -EFAULT);
	}
}

TEST(threads_fault_while_the_map_changes)
{
	void *t[3];
	struct vm_backing *b;
	uint64_t before;
	vaddr_t out;

	racing = boot(32 * MIB);
	b = vm_backing_memory_create(reserved_bytes, RACE_PAGES * PAGE_SIZE - 10);
	CHECK_EQ(vm_map(racing, 0, RACE_PAGES * PAGE_SIZE, VM_READ, NULL, 0, &race_at), 0);
	/* its tables stay */
	CHECK_EQ(vm_map(racing, race_at + RACE_PAGES * PAGE_SIZE, PAGE_SIZE, VM_READ | VM_FIXED,
			NULL, 0, &out),
		 0);
	CHECK_EQ(vm_fault(racing, out, VM_FAULT_READ), 0);
	for (unsigned i = 0; i < 3; i++)
		t[i] = shim_thread_start(i + 1, touch);
	for (int i = 0; i < 3000 * test_scale; i++) {
		unsigned first = (unsigned)test_below(RACE_PAGES);
		size_t len = (1 + test_below(RACE_PAGES - first)) * PAGE_SIZE;
		vaddr_t va = race_at + first * PAGE_SIZE;

		if (test_below(3))
			CHECK_EQ(vm_map(racing, va, len, random_prot() | VM_FIXED,
					test_below(2) ? b : NULL, first, &out),
				 0);
		else if (test_below(2))
			CHECK_EQ(vm_unmap(racing, va, len), 0);
		else if (vm_protect(racing, va, len, random_prot()) == 0)
			vm_check(racing);
	}
	atomic_store_relaxed(&race_stop, 1);
	for (unsigned i = 0; i < 3; i++)
		shim_thread_join(t[i]);
	vm_check(racing);
	CHECK_EQ(vm_unmap(racing, race_at, RACE_PAGES * PAGE_SIZE), 0);
	CHECK_EQ(racing->pages, 1);
	vm_backing_put(b);
	before = free_pages();
	CHECK_EQ(vm_map(racing, race_at, PAGE_SIZE, VM_READ | VM_FIXED, NULL, 0, &out), 0);
	CHECK_EQ(vm_fault(racing, race_at, VM_FAULT_READ), 0);
	CHECK_EQ(vm_unmap(racing, race_at, PAGE_SIZE), 0);
	CHECK_EQ(free_pages(), before);
	for (unsigned i = 0; i < RACE_PAGES; i++)
		CHECK_EQ(refcount_read(&page_of_addr(reserved_bytes + i * PAGE_SIZE)->ref), 1);
}
