/* SPDX-License-Identifier: MIT */
#include "kernel/context.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"

static void set_cred(struct vfs_context *c, const struct process *p)
{
	c->cred = (struct vfs_cred){ p->cred.fsuid, p->cred.fsgid, p->cred.nr_groups,
				     p->cred.groups };
}

struct vfs_context *fs_context_create(const struct process *p)
{
	struct vfs_context *c = kzalloc(sizeof(*c));

	if (!c)
		return NULL;
	c->root = vfs_root();
	c->cwd = vfs_root();
	c->umask = 022;
	set_cred(c, p);
	return c;
}

struct vfs_context *fs_context_clone(const struct vfs_context *from, const struct process *p)
{
	struct vfs_context *c = kzalloc(sizeof(*c));

	if (!c)
		return NULL;
	c->root = dentry_get(from->root);
	c->cwd = dentry_get(from->cwd);
	c->umask = from->umask;
	set_cred(c, p);
	return c;
}

void fs_context_destroy(struct vfs_context *c)
{
	dentry_put(c->root);
	dentry_put(c->cwd);
	kfree(c);
}

void space_switch(struct vm_space *s)
{
	irqflags_t f = arch_irq_save();

	current_thread()->space = s;
	vm_space_activate(s);
	arch_irq_restore(f);
}

struct vfork_wait *vfork_wait_create(void)
{
	struct vfork_wait *v = kzalloc(sizeof(*v));

	if (!v)
		return NULL;
	refcount_init(&v->ref, 2);
	waitq_init(&v->wq);
	return v;
}

void vfork_wait_put(struct vfork_wait *v)
{
	if (refcount_put(&v->ref))
		kfree(v);
}
