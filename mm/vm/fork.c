/* SPDX-License-Identifier: MIT */
/* A copy of a space: its regions, and of its pages a reference each (X-04: by region, not by table). Writable entries of
 * private regions become read-only on both sides; the next write's fault copies, or reuses what nobody else has (I-VM-4). */
#include "mm/vm/space_priv.h"

#include "lib/errno.h"

struct share {
	struct flush f; /* what the original's TLBs may still write to */
	struct vm_space *to;
	bool keep_access; /* of a shared region: what may be written to may be so in both */
	int err;
};

/* The copy's table is made for the first page there is to go into it. */
static void share_entries(vaddr_t va, pte_t *e, unsigned n, void *arg)
{
	struct share *sh = arg;
	int64_t pages = 0, anon = 0;
	pte_t *copy = NULL;

	for (unsigned i = 0; i < n && !sh->err; i++) {
		pte_t v = pte_get(&e[i]);
		struct page *p;

		if (!v)
			continue;
		if (!copy) {
			copy = pgtable_leaf(&sh->to->table, va + i * PAGE_SIZE, true);
			if (!copy) {
				sh->err = -ENOMEM;
				break;
			}
			copy -= i;
		}
		if (arch_pte_writable(v) && !sh->keep_access) {
			v = arch_pte_read_only(v);
			pte_set(&e[i], v);
			flush_note(&sh->f, va + i * PAGE_SIZE);
		}
		p = frame_page(arch_pte_addr(v));
		page_get(p);
		pte_set(&copy[i], v);
		pages++;
		anon += page_is_anon(p);
	}
	space_account(sh->to, pages, anon);
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
	sh->keep_access = r->prot & VM_SHARED;
	if (!(r->prot & VM_WIPEONFORK))
		pgtable_walk(&from->table, r->start, r->end, share_entries, sh);
	return sh->err;
}

static int copy_space(struct vm_space *from, struct vm_space *to) __requires(from->lock, to->lock)
{
	struct share sh = { .f = { .space = from }, .to = to };
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
	flush_finish(&sh.f, false);
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
