/* SPDX-License-Identifier: MIT */
/* Out of memory. One victim at a time: the process with the most pages, those the kernel keeps for it too, but never init. A
 * system call that needs kernel memory has its -ENOMEM instead; programs leave the kernel a reserve of pages for that
 * (ALLOC_USER). */
#include "kernel/oom.h"
#include "fs/fdtable.h"
#include "kernel/context.h"
#include "kernel/core/log.h"
#include "kernel/core/perturb.h"
#include "kernel/futex.h"
#include "kernel/proc/process.h"
#include "lib/errno.h"
#include "mm/phys/kstack.h"
#include "mm/vm/space.h"
#include "sched/mutex.h"

static struct mutex choice_mutex = MUTEX_INIT(choice_mutex, OOM);
static uint32_t kills;	 /* [choice_mutex], read anywhere: victims so far */
static uint32_t holders; /* [atomic] of victims' memory: themselves, and who ends them */
static struct waitq gone_wq = WAITQ_INIT(gone_wq);

struct choice {
	struct process *p;	/* a reference */
	struct vm_space *space; /* a reference: it is not given back while we choose */
	uint64_t pages;
	struct vm_space *spared; /* init's: its children share it until they exec */
};

/* The last one would take locks that the caller may hold. */
static void choice_put(struct choice *c)
{
	if (!c->p)
		return;
	vm_space_put_async(c->space);
	process_put(c->p);
}

/* What the kernel keeps for a process. */
struct kept {
	uint64_t pages;
	unsigned fd; /* files up to it are counted */
	bool more;
};

static void add_threads(struct process *p, void *arg)
{
	((struct kept *)arg)->pages +=
		p->nr_threads * (KSTACK_SIZE / PAGE_SIZE) + atomic_load_relaxed(&p->poll_pages);
}

static void add_files(struct process *p, void *arg)
{
	struct kept *k = arg;

	k->more = p->files && fdtable_held(p->files, &k->fd, &k->pages);
}

static uint64_t kept_pages(struct process *p)
{
	struct kept k = { .more = true };

	process_inspect(p, add_threads, &k);
	/* not all in one hold: there may be a million */
	while (k.more)
		process_inspect(p, add_files, &k);
	return k.pages;
}

static void consider(struct process *p, void *arg)
{
	struct choice *best = arg;
	struct choice c = { .p = process_get(p), .space = process_space_get(p) };

	if (!c.space) {
		process_put(p);
		return;
	}
	c.pages = vm_space_footprint(c.space) + kept_pages(p);
	if (c.space == best->spared || atomic_load_relaxed(&p->oom_victim) ||
	    c.pages <= best->pages) {
		choice_put(&c);
		return;
	}
	choice_put(best);
	c.spared = best->spared;
	*best = c;
}

static void let_go(void)
{
	if (atomic_fetch_sub(&holders, 1) == 1)
		wake_all(&gone_wq);
}

void oom_process_gone(struct process *p)
{
	if (atomic_exchange(&p->oom_victim, 0))
		let_go();
}

static void choose(struct choice *best)
{
	struct process *init = process_find(1);

	if (init)
		best->spared = process_space_get(init);
	process_for_each(consider, best);
	if (best->spared)
		vm_space_put_async(best->spared);
	if (init)
		process_put(init);
}

/* Whoever lives in the victim's memory ends with it, and cannot let go of its locks by itself. */
static void settle_sharer(struct process *p, void *arg)
{
	struct vm_space *s = process_space_get(p);

	if (s == arg) {
		signal_group_exit(p, SIG_KILL);
		futex_settle_sealed(p, s);
	}
	if (s)
		vm_space_put_async(s);
}

/* 0, and the caller is to put the choice and let go; or -ENOMEM: there is nobody. */
static int kill_largest(struct choice *best) __requires(choice_mutex)
{
	const struct process *asking = current_process();
	struct vm_space *left;

	choose(best);
	if (!best->p)
		return -ENOMEM;
	/* what is ending anyway gives its memory back sooner */
	log_warn("oom: no memory for %s[%d]: killed %s[%d]%s, the largest with %lu KiB",
		 asking->name, asking->pid, best->p->name, best->p->pid,
		 READ_ONCE(best->p->signals.exiting) ? " as it ended" : "",
		 (unsigned long)best->pages * 4);
	atomic_fetch_add(&holders, 2);
	/* before its end can begin: pairs with the exchange in oom_process_gone() */
	atomic_publish(&best->p->oom_victim, 1);
	signal_group_exit(best->p, SIG_KILL);
	vm_space_seal(best->space);
	process_for_each(settle_sharer, best->space);
	vm_space_strip(best->space);
	/* it was over already, and may have looked before it was chosen */
	left = process_space_get(best->p);
	if (left)
		vm_space_put_async(left);
	else
		oom_process_gone(best->p);
	WRITE_ONCE(kills, kills + 1);
	return 0;
}

static int may_ask(void)
{
	if (!current_process())
		return -ENOMEM;
	return thread_killed(current_thread()) ? -EINTR : 0;
}

uint32_t oom_kills(void)
{
	return READ_ONCE(kills);
}

int oom_wait(uint32_t seen)
{
	struct choice best = { 0 };
	int err = may_ask();

	if (err)
		return err;
	mutex_lock(&choice_mutex);
	/* I-OOM-1 */
	if (kills == seen && !atomic_load_acquire(&holders))
		err = kill_largest(&best);
	mutex_unlock(&choice_mutex);
	if (best.p) {
		vm_space_put(best.space);
		process_put(best.p);
		let_go();
	}
	return err ? err : wait_event_killable(&gone_wq, !atomic_load_acquire(&holders));
}

int oom_relieve(uint32_t seen)
{
	struct choice best = { 0 };
	int err = may_ask();

	if (err)
		return err;
	mutex_lock(&choice_mutex);
	/* I-OOM-2 */
	if (kills == seen)
		err = kill_largest(&best);
	mutex_unlock(&choice_mutex);
	if (best.p) {
		choice_put(&best);
		let_go();
	}
	return err ? err : may_ask();
}
