/* SPDX-License-Identifier: MIT */
/* A copy of a space: its regions, and of its pages a reference each (X-04: by region, not by table). Writable entries of
 * private regions become read-only on both sides; the next write's fault copies, or reuses what nobody else has (I-VM-4). */
#include "mm/vm/space_priv.h"

#include "lib/errno.h"

#define TABLE_SPAN (PAGE_SIZE / sizeof(pte_t) * PAGE_SIZE)

struct share {
	struct gather g; /* what the original's TLBs may still write to */
	const struct vm_region *r;
	struct vm_space *to;
	pte_t *e; /* the copy's entry for va, so that its neighbours need no walk; NULL: none yet */
	vaddr_t va;
	int err;
};

static pte_t *entry_in_copy(struct share *sh, vaddr_t va)
{
	if (sh->e && ALIGN_DOWN(va, TABLE_SPAN) == ALIGN_DOWN(sh->va, TABLE_SPAN))
		sh->e += (va - sh->va) / PAGE_SIZE;
	else
		sh->e = pgtable_leaf(&sh->to->table, va, true);
	sh->va = va;
	return sh->e;
}

static void share_leaf(vaddr_t va, pte_t *e, void *arg)
{
	struct share *sh = arg;
	pte_t v = pte_get(e), *copy = sh->err ? NULL : entry_in_copy(sh, va);
	struct page *p = page_of_phys(arch_pte_addr(v));

	if (!copy) {
		sh->err = -ENOMEM;
		return;
	}
	if (arch_pte_writable(v) && !(sh->r->prot & VM_SHARED)) {
		v = vm_entry(sh->r, p, false);
		pte_set(e, v);
		gather_note(&sh->g, va);
	}
	page_get(p);
	pte_set(copy, v);
	space_account(sh->to, p, 1);
}

static int copy_region(struct share *sh, struct vm_space *from, struct vm_space *to,
		       const struct vm_region *r) __requires(from->lock, to->lock)
{
	unsigned prot = r->prot & ~VM_LOCKED;
	struct vm_region *copy = region_create(r->start, r->end, prot, r->backing, r->offset);

	if (!copy)
		return -ENOMEM;
	copy->round = r->round;
	region_insert(to, copy);
	sh->r = r;
	if (!(r->prot & VM_WIPEONFORK))
		pgtable_walk(&from->table, r->start, r->end, share_leaf, sh);
	return sh->err;
}

static int copy_space(struct vm_space *from, struct vm_space *to) __requires(from->lock, to->lock)
{
	struct share sh = { .g = { .space = from }, .to = to };
	int err = from->sealed ? -EINTR : 0;

	to->brk_start = from->brk_start;
	to->brk = from->brk;
	to->arg_start = from->arg_start;
	to->arg_end = from->arg_end;
	to->env_end = from->env_end;
	to->mmap_base = from->mmap_base;
	to->vdso = from->vdso;
	to->stack_limit = from->stack_limit;
	to->as_limit = from->as_limit;
	to->data_limit = from->data_limit;
	for (struct vm_region *r = region_find(from, 0); r && !err; r = region_next(r))
		if (!(r->prot & VM_DONTFORK))
			err = copy_region(&sh, from, to, r);
	/* before the lock is dropped: from here on no page both have can be written to */
	gather_invalidate(&sh.g, false);
	return err;
}

int vm_space_fork(struct vm_space *from, struct vm_space **out)
{
	struct vm_space *to = vm_space_create();
	int err;

	if (!to)
		return -ENOMEM;
	mutex_lock_pair(&from->lock, &to->lock);
	err = copy_space(from, to);
	mutex_unlock(&to->lock);
	mutex_unlock(&from->lock);
	if (err)
		vm_space_put(to);
	else
		*out = to;
	return err;
}
