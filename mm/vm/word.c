/* SPDX-License-Identifier: MIT */
/* Single words of user memory, for futexes: which page a shared one lies in, and changing one in place. */
#include "mm/vm/space_priv.h"

#include "lib/errno.h"

/* The page in the table at addr that allows the access, with a reference. NULL: to be brought in. */
static struct page *page_in_table(struct vm_space *s, vaddr_t addr, bool write) __requires(s->lock)
{
	pte_t *e = pgtable_leaf(&s->table, ALIGN_DOWN(addr, PAGE_SIZE), false);
	pte_t v = e ? pte_get(e) : 0;
	struct page *p;

	if (!arch_pte_valid(v) || (write && !(arch_pte_prot(v) & PTE_WRITE)))
		return NULL;
	p = page_of_phys(arch_pte_addr(v));
	page_get(p);
	return p;
}

int vm_shared_page(struct vm_space *s, vaddr_t addr, struct page **out)
{
	bool found = false;
	int err = 0;

	*out = NULL;
	do {
		struct vm_region *r;
		bool shared, write;

		mutex_lock(&s->lock);
		r = region_find(s, addr);
		shared = r && r->start <= addr && (r->prot & VM_SHARED);
		/* a page that can be written is there as writers see it */
		write = shared && (r->prot & VM_WRITE);
		if (shared)
			*out = page_in_table(s, addr, write);
		found = *out || (r && r->start <= addr && !shared);
		mutex_unlock(&s->lock);
		if (!found)
			err = vm_fault(s, addr, write ? VM_FAULT_WRITE : VM_FAULT_READ);
	} while (!found && !err);
	return err ? -EFAULT : 0;
}

struct page *vm_sealed_page(struct vm_space *s, vaddr_t addr, bool shared)
{
	const unsigned want = shared ? VM_SHARED | VM_WRITE : VM_READ;
	struct page *p = NULL;
	struct vm_region *r;
	pte_t *e = NULL;

	mutex_lock(&s->lock);
	ASSERT(s->sealed);
	r = addr < USER_MAX ? region_find(s, addr) : NULL;
	if (r && r->start <= addr && (r->prot & want) == want)
		e = pgtable_leaf(&s->table, ALIGN_DOWN(addr, PAGE_SIZE), false);
	if (e && pte_get(e) != 0) {
		p = page_of_phys(arch_pte_addr(pte_get(e)));
		page_get(p);
	}
	mutex_unlock(&s->lock);
	return p;
}

int vm_word_update(struct vm_space *s, vaddr_t addr, void (*fn)(uint32_t *word, void *arg),
		   void *arg)
{
	struct page *p;
	int err = 0;

	if ((addr & 3) || addr >= USER_MAX)
		return -EFAULT;
	do {
		mutex_lock(&s->lock);
		p = page_in_table(s, addr, true);
		if (p) {
			fn((uint32_t *)((char *)page_addr(p) + (addr & (PAGE_SIZE - 1))), arg);
			/* while we hold the lock: a page of ours alone is to look so */
			page_put(p);
		}
		mutex_unlock(&s->lock);
		if (!p)
			err = vm_fault(s, addr, VM_FAULT_WRITE);
	} while (!p && !err);
	return err ? -EFAULT : 0;
}
