/* SPDX-License-Identifier: MIT */
#include "kernel/context.h"
#include "fs/fdtable.h"
#include "kernel/core/perturb.h"
#include "kernel/proc/lifecycle.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/phys/slab.h"
#include "mm/vm/space.h"

/* --- the place in the file tree ------------------------------------------------------------------------------ */

static void set_cred(struct vfs_context *c, const struct process *p)
{
	c->cred = (struct vfs_cred){ READ_ONCE(p->cred.fsuid), READ_ONCE(p->cred.fsgid),
				     atomic_load_acquire(&p->cred.nr_groups), p->cred.groups };
}

struct fs_state *fs_state_create(const struct process *p)
{
	struct fs_state *fs = kzalloc(sizeof(*fs));

	if (!fs)
		return NULL;
	refcount_init(&fs->ref, 1);
	spin_init(&fs->lock, LOCK_FSCTX);
	fs->ctx.root = vfs_root();
	fs->ctx.cwd = vfs_root();
	fs->ctx.umask = 022;
	set_cred(&fs->ctx, p);
	return fs;
}

/* A copy with references of its own, for p. */
static void copy_context(struct fs_state *from, struct vfs_context *to, const struct process *p)
	__requires(from->lock)
{
	*to = from->ctx;
	dentry_get(to->root);
	dentry_get(to->cwd);
	set_cred(to, p);
}

static void drop_context(struct vfs_context *c)
{
	dentry_put(c->root);
	dentry_put(c->cwd);
}

struct fs_state *fs_state_clone(struct fs_state *from, const struct process *p)
{
	struct fs_state *fs = kzalloc(sizeof(*fs));

	if (!fs)
		return NULL;
	refcount_init(&fs->ref, 1);
	spin_init(&fs->lock, LOCK_FSCTX);
	spin_lock(&from->lock);
	copy_context(from, &fs->ctx, p);
	spin_unlock(&from->lock);
	return fs;
}

void fs_state_put(struct fs_state *fs)
{
	if (!refcount_put(&fs->ref))
		return;
	drop_context(&fs->ctx);
	kfree(fs);
}

static void refresh(struct thread *t, struct fs_state *fs)
{
	struct vfs_context old = *t->fs;

	spin_lock(&fs->lock);
	copy_context(fs, t->fs, t->process);
	t->fs_generation = fs->generation;
	spin_unlock(&fs->lock);
	drop_context(&old);
}

const struct vfs_context *fs_context(void)
{
	struct thread *t = current_thread();
	struct fs_state *fs = t->process->fs;

	if (!t->fs)
		return &fs->ctx;
	/* pairs with changed(): a change made before this call began is seen */
	if (t->fs_generation != atomic_load_acquire(&fs->generation))
		refresh(t, fs);
	return t->fs;
}

int fs_copy_create(struct thread *t, const struct process *p)
{
	struct fs_state *fs = p->fs;
	struct vfs_context *copy;

	if (t->fs)
		return 0;
	copy = kmalloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	spin_lock(&fs->lock);
	copy_context(fs, copy, p);
	t->fs_generation = fs->generation;
	spin_unlock(&fs->lock);
	t->fs = copy;
	return 0;
}

void fs_copy_destroy(struct thread *t)
{
	if (!t->fs)
		return;
	drop_context(t->fs);
	kfree(t->fs);
	t->fs = NULL;
}

static void changed(struct fs_state *fs) __requires(fs->lock)
{
	atomic_publish(&fs->generation, fs->generation + 1);
}

static void swap_dentry(struct fs_state *fs, struct dentry **where, struct dentry *d)
{
	struct dentry *old;

	spin_lock(&fs->lock);
	old = *where;
	*where = d;
	changed(fs);
	spin_unlock(&fs->lock);
	dentry_put(old);
}

void fs_set_cwd(struct dentry *d)
{
	struct fs_state *fs = current_process()->fs;

	swap_dentry(fs, &fs->ctx.cwd, d);
}

void fs_set_root(struct dentry *d)
{
	struct fs_state *fs = current_process()->fs;

	swap_dentry(fs, &fs->ctx.root, d);
}

uint32_t fs_set_umask(uint32_t mask)
{
	struct fs_state *fs = current_process()->fs;
	uint32_t old;

	spin_lock(&fs->lock);
	old = fs->ctx.umask;
	fs->ctx.umask = mask;
	changed(fs);
	spin_unlock(&fs->lock);
	return old;
}

void fs_set_cred(void)
{
	struct process *p = current_process();

	spin_lock(&p->fs->lock);
	set_cred(&p->fs->ctx, p);
	changed(p->fs);
	spin_unlock(&p->fs->lock);
}

/* --- for others who look --------------------------------------------------------------------------------------- */

static void grab_files(struct process *p, void *out)
{
	if (p->files)
		*(struct fdtable **)out = fdtable_get(p->files);
}

static void grab_space(struct process *p, void *out)
{
	if (!p->space)
		return;
	vm_space_get(p->space);
	*(struct vm_space **)out = p->space;
}

static void grab_exe(struct process *p, void *out)
{
	if (p->exe)
		*(struct file **)out = file_get(p->exe);
}

static void grab_fs(struct process *p, void *out)
{
	if (!p->fs)
		return;
	ASSERT(refcount_get(&p->fs->ref));
	*(struct fs_state **)out = p->fs;
}

struct fdtable *process_files_get(struct process *p)
{
	struct fdtable *files = NULL;

	process_inspect(p, grab_files, &files);
	return files;
}

struct vm_space *process_space_get(struct process *p)
{
	struct vm_space *space = NULL;

	process_inspect(p, grab_space, &space);
	return space;
}

struct file *process_exe_get(struct process *p)
{
	struct file *exe = NULL;

	process_inspect(p, grab_exe, &exe);
	return exe;
}

static struct dentry *place_of(struct process *p, bool root)
{
	struct fs_state *fs = NULL;
	struct dentry *d;

	process_inspect(p, grab_fs, &fs);
	if (!fs)
		return NULL;
	spin_lock(&fs->lock);
	d = dentry_get(root ? fs->ctx.root : fs->ctx.cwd);
	spin_unlock(&fs->lock);
	fs_state_put(fs);
	return d;
}

struct dentry *process_cwd_get(struct process *p)
{
	return place_of(p, false);
}

struct dentry *process_root_get(struct process *p)
{
	return place_of(p, true);
}

struct looker {
	uint32_t uid, gid;
	bool may;
};

static void ask_whether(struct process *p, void *arg)
{
	struct looker *l = arg;

	l->may = !READ_ONCE(p->undumpable) && cred_is_only(&p->cred, l->uid, l->gid);
}

bool process_may_look(struct process *p)
{
	const struct process *self = current_process();
	struct looker l;

	if (self == p || caller_is_root())
		return true;
	l = (struct looker){ READ_ONCE(self->cred.fsuid), READ_ONCE(self->cred.fsgid), false };
	/* both of one moment: whoever takes other ids lets nobody look from then on */
	process_inspect(p, ask_whether, &l);
	return l.may;
}

uint64_t process_peak_pages(struct process *p)
{
	struct vm_space *space = process_space_get(p);
	struct vm_stats stats = { 0 };

	if (space) {
		vm_stats(space, &stats);
		vm_space_put(space);
	}
	return MAX(READ_ONCE(p->dead.max_pages), stats.peak_resident);
}

void process_keep_peak(struct process *p)
{
	process_set_peak(p, process_peak_pages(p));
}

/* --- memory, vfork ------------------------------------------------------------------------------------------------ */

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
	if (!refcount_put(&v->ref))
		return;
	waitq_check_idle(&v->wq);
	kfree(v);
}
