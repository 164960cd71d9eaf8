/* SPDX-License-Identifier: MIT */
/* Bringing pages in. Region, entry and page are looked at and changed under the space's lock; only the backing's
 * fill runs without it, and afterwards everything is looked up again if anything has changed (RC-007, RC-008).
 *
 * I-VM-3: each entry that is not 0 holds one reference to its page, and space->pages counts them.
 * I-VM-4: an entry of a private mapping is writable only if its page is anonymous and has no other reference. */
#include "mm/vm/space_priv.h"

#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "sched/thread.h"

/* One fault on a backing that has its pages at hand maps up to this many, aligned. */
#define FAULT_AROUND 16

/* Not an errno: look everything up again. */
#define FAULT_AGAIN 1

void vm_sync_page(struct page *p)
{
	if (READ_ONCE(p->flags) & PAGE_SYNCED)
		return;
	atomic_fetch_or(&p->flags, PAGE_CODE);
	/* pairs with the one below: we see what was written, or the writer that it is code */
	atomic_fence();
	arch_sync_icache(page_addr(p), PAGE_SIZE);
	__atomic_fetch_or(&p->flags, PAGE_SYNCED, __ATOMIC_RELEASE);
}

void vm_page_written(struct page *p)
{
	atomic_fence();
	if (READ_ONCE(p->flags) & PAGE_CODE)
		arch_sync_icache(page_addr(p), PAGE_SIZE);
}

static void copy_page(struct page *to, const struct page *from)
{
	preempt_disable();
	arch_copy_page(frame_virt(frame_phys(to)), frame_virt(frame_phys(from)));
	preempt_enable();
}

static struct page *alloc_anonymous(unsigned flags)
{
	struct page *p = page_alloc(0, flags | ALLOC_USER);

	if (!p)
		return NULL;
	p->flags = PAGE_ANON;
	return p;
}

static void place(const struct vm_region *r, pte_t *e, struct page *p, bool write)
{
	if ((r->prot & VM_EXEC) && !(READ_ONCE(p->flags) & PAGE_SYNCED))
		vm_sync_page(p);
	pte_set(e, vm_entry(r, p, write));
}

static void install(struct vm_space *s, const struct vm_region *r, pte_t *e, struct page *p,
		    bool write) __requires(s->lock)
{
	place(r, e, p, write);
	arch_pte_sync();
	space_account(s, 1, page_is_anon(p));
}

/* --- which region ----------------------------------------------------------------------------------------------------- */

static int check_access(const struct vm_region *r, enum vm_fault_access access)
{
	switch (access) {
	case VM_FAULT_WRITE:
		return r->prot & VM_WRITE ? 0 : -EACCES;
	case VM_FAULT_EXEC:
		return r->prot & VM_EXEC ? 0 : -EACCES;
	default:
		/* the table cannot refuse reads of what may be written or executed */
		return r->prot & VM_PROT ? 0 : -EACCES;
	}
}

/* REL-002: down to its limit, and never near what is mapped below. */
static bool grow_stack(struct vm_space *s, struct vm_region *r, vaddr_t va) __requires(s->lock)
{
	struct vm_region *prev = region_prev(r);
	uint64_t more = (r->start - va) / PAGE_SIZE;

	if (!(r->prot & VM_STACK) || r->end - va > s->stack_limit)
		return false;
	if (va < VM_LOWEST || (prev && va < prev->end + VM_STACK_GAP))
		return false;
	if (over_limit(s, more, r->prot))
		return false;
	region_resize(s, r, va, r->end);
	return true;
}

static int find_region(struct vm_space *s, vaddr_t va, enum vm_fault_access access,
		       struct vm_region **out) __requires(s->lock)
{
	struct vm_region *r = region_find(s, va);

	if (va >= USER_MAX || !r || (r->start > va && !grow_stack(s, r, va)))
		return -EFAULT;
	*out = r;
	return check_access(r, access);
}

/* --- the cases ---------------------------------------------------------------------------------------------------------- */

/* A write to a page mapped read-only: the sole owner writes in place, others get a copy (MS-006, X-03). The old entry
 * goes before the new one comes: break before make. */
static int fault_copy(struct vm_space *s, const struct vm_region *r, vaddr_t va, pte_t *e,
		      struct page *p) __requires(s->lock)
{
	struct page *copy;

	ASSERT(refcount_read(&p->ref) >= 1);
	if ((r->prot & VM_SHARED) || page_is_sole(p)) {
		pte_set(e, vm_entry(r, p, true));
		asid_flush_page(&s->asid, va);
		return 0;
	}
	copy = alloc_anonymous(0);
	if (!copy)
		return -ENOMEM;
	copy_page(copy, p);
	if (r->prot & VM_EXEC)
		vm_sync_page(copy);
	pte_set(e, 0);
	asid_flush_page(&s->asid, va);
	pte_set(e, vm_entry(r, copy, true));
	arch_pte_sync();
	space_account(s, 0, 1 - (int64_t)page_is_anon(p));
	page_put(p);
	return 0;
}

/* The entry is there: somebody was faster, this CPU's TLB is behind, or it is a write to a read-only one. */
static int fault_present(struct vm_space *s, const struct vm_region *r, vaddr_t va, pte_t *e,
			 enum vm_fault_access access) __requires(s->lock)
{
	pte_t v = pte_get(e);

	if (access == VM_FAULT_WRITE && !arch_pte_writable(v))
		return fault_copy(s, r, va, e, frame_page(arch_pte_addr(v)));
	asid_flush_page(&s->asid, va);
	return 0;
}

static int fault_anonymous(struct vm_space *s, const struct vm_region *r, pte_t *e)
	__requires(s->lock)
{
	struct page *p = alloc_anonymous(ALLOC_ZERO);

	if (!p)
		return -ENOMEM;
	install(s, r, e, p, r->prot & VM_WRITE);
	return 0;
}

/* p's reference is ours to place. */
static int install_backed(struct vm_space *s, const struct vm_region *r, pte_t *e, struct page *p,
			  enum vm_fault_access access) __requires(s->lock)
{
	struct page *copy;

	if (access != VM_FAULT_WRITE || (r->prot & VM_SHARED)) {
		install(s, r, e, p, (r->prot & VM_SHARED) && (r->prot & VM_WRITE));
		return 0;
	}
	copy = alloc_anonymous(0);
	if (copy) {
		copy_page(copy, p);
		install(s, r, e, copy, true);
	}
	page_put(p);
	return copy ? 0 : -ENOMEM;
}

/* Map the pages around va that the backing has at hand: they share its table page. */
static void fault_around(struct vm_space *s, const struct vm_region *r, vaddr_t va, pte_t *e)
	__requires(s->lock)
{
	vaddr_t from = ALIGN_DOWN(va, FAULT_AROUND * PAGE_SIZE);
	vaddr_t to = MIN(from + FAULT_AROUND * PAGE_SIZE, r->end);
	bool write = (r->prot & VM_SHARED) && (r->prot & VM_WRITE);
	struct page *around[FAULT_AROUND];
	int64_t pages = 0, anon = 0;
	unsigned n;

	from = MAX(from, r->start);
	n = (unsigned)((to - from) / PAGE_SIZE);
	e -= (va - from) / PAGE_SIZE;
	r->backing->peek(r->backing, region_index(r, from), n, around);
	for (unsigned i = 0; i < n; i++) {
		struct page *p = around[i];

		if (!p)
			continue;
		if (pte_get(&e[i]) != 0) {
			page_put(p);
			continue;
		}
		place(r, &e[i], p, write);
		pages++;
		anon += page_is_anon(p);
	}
	arch_pte_sync();
	space_account(s, pages, anon);
}

/* Let the backing fill the page, unlocked. Whatever has changed meanwhile, the page is used only where a look-up now
 * leads to the same page of the same backing. */
static int fill_unlocked(struct vm_space *s, struct vm_backing *b, uint64_t index,
			 struct page **out) __requires(s->lock)
{
	int err;

	if (!refcount_get(&b->ref))
		BUG("vm: backing %p is dead", (void *)b);
	mutex_unlock(&s->lock);
	err = b->fill(b, index, out);
	vm_backing_put(b);
	mutex_lock(&s->lock);
	return err;
}

static int fault_backed(struct vm_space *s, struct vm_region *r, vaddr_t va, pte_t *e,
			enum vm_fault_access access) __requires(s->lock)
{
	struct vm_backing *b = r->backing;
	uint64_t index = region_index(r, va), generation = s->generation;
	struct page *p = vm_backing_peek(b, index);
	int err;

	if (!p) {
		err = fill_unlocked(s, b, index, &p);
		if (err)
			return err;
		/* RC-008; the same generation means the same tables, but somebody may have brought the page in */
		if (s->generation != generation) {
			if (s->sealed || find_region(s, va, access, &r) < 0 || r->backing != b ||
			    region_index(r, va) != index) {
				page_put(p);
				return FAULT_AGAIN;
			}
			e = pgtable_leaf(&s->table, va, true);
		}
		/* the object may have become shorter: with the lock held, peek knows */
		if (b->peek) {
			struct page *now = vm_backing_peek(b, index);

			page_put(p);
			if (!now)
				return FAULT_AGAIN;
			p = now;
		}
		if (!e || pte_get(e) != 0) {
			page_put(p);
			return e ? fault_present(s, r, va, e, access) : -ENOMEM;
		}
	}
	err = install_backed(s, r, e, p, access);
	if (!err && b->peek)
		fault_around(s, r, va, e);
	return err;
}

static int fault_locked(struct vm_space *s, vaddr_t va, enum vm_fault_access access)
	__requires(s->lock)
{
	struct vm_region *r;
	int err = s->sealed ? -EINTR : find_region(s, va, access, &r);
	pte_t *e;

	if (err)
		return err;
	e = pgtable_leaf(&s->table, va, true);
	if (!e)
		return -ENOMEM;
	if (pte_get(e) != 0)
		return fault_present(s, r, va, e, access);
	if (r->backing)
		return fault_backed(s, r, va, e, access);
	return fault_anonymous(s, r, e);
}

int vm_fault(struct vm_space *s, vaddr_t addr, enum vm_fault_access access)
{
	int err;

	might_sleep();
	mutex_lock(&s->lock);
	do {
		err = fault_locked(s, ALIGN_DOWN(addr, PAGE_SIZE), access);
	} while (err == FAULT_AGAIN);
	mutex_unlock(&s->lock);
	return err;
}

/* *va moves on. */
static int populate_page(struct vm_space *s, vaddr_t *va, unsigned access) __requires(s->lock)
{
	struct vm_region *r = region_find(s, *va);
	bool write = access == VM_WRITE;
	int err;

	if (!r || r->start > *va)
		return -ENOMEM;
	if (access && !(r->prot & access))
		return -EINVAL;
	if (!access)
		write = (r->prot & (VM_WRITE | VM_SHARED)) == VM_WRITE;
	err = fault_locked(s, *va, write ? VM_FAULT_WRITE : VM_FAULT_READ);
	if (err == FAULT_AGAIN)
		return 0;
	*va += PAGE_SIZE;
	return err == -EACCES || (access && err == -EIO) ? -EFAULT : err;
}

int vm_populate(struct vm_space *s, vaddr_t addr, size_t len, unsigned access)
{
	vaddr_t va = ALIGN_DOWN(addr, PAGE_SIZE);
	int err = 0;

	might_sleep();
	while (!err && va < addr + len) {
		mutex_lock(&s->lock);
		for (unsigned n = 0; !err && va < addr + len && n < FAULT_AROUND; n++)
			err = populate_page(s, &va, access);
		mutex_unlock(&s->lock);
		if (thread_killed(current_thread()))
			err = -EINTR;
	}
	return err;
}

/* --- by page, for any space ----------------------------------------------------------------------------------------------- */

/* The page behind va with the access wanted, its lock held so that it stays. NULL: fault it in first. */
static void *page_at(struct vm_space *s, vaddr_t va, bool write) __requires(s->lock)
{
	pte_t *e = pgtable_leaf(&s->table, va, false);
	pte_t v = e ? pte_get(e) : 0;

	if (!arch_pte_valid(v) || (write && !(arch_pte_prot(v) & PTE_WRITE)))
		return NULL;
	return frame_virt(arch_pte_addr(v));
}

static int access_space(struct vm_space *s, vaddr_t addr, char *kernel, size_t n, bool write)
{
	while (n > 0) {
		size_t off = addr & (PAGE_SIZE - 1), len = MIN(n, PAGE_SIZE - off);
		char *p;

		mutex_lock(&s->lock);
		p = addr < USER_MAX ? page_at(s, addr, write) : NULL;
		if (p && write && kernel)
			memcpy(p + off, kernel, len);
		else if (p && write)
			memset(p + off, 0, len);
		else if (p)
			memcpy(kernel, p + off, len);
		mutex_unlock(&s->lock);
		if (!p) {
			int err = vm_fault(s, addr, write ? VM_FAULT_WRITE : VM_FAULT_READ);

			if (err)
				return err == -ENOMEM ? err : -EFAULT;
			continue;
		}
		addr += len;
		kernel = kernel ? kernel + len : NULL;
		n -= len;
	}
	return 0;
}

int vm_write(struct vm_space *s, vaddr_t addr, const void *src, size_t n)
{
	return access_space(s, addr, (char *)(uintptr_t)src, n, true);
}

int vm_read(struct vm_space *s, vaddr_t addr, void *dst, size_t n)
{
	return access_space(s, addr, dst, n, false);
}
