/* SPDX-License-Identifier: MIT */
/* Out of memory. One victim at a time: the process with the most pages, but never init. A system call that needs kernel
 * memory has its -ENOMEM instead; programs leave the kernel a reserve of pages for that (ALLOC_USER). */
#include "kernel/oom.h"
#include "kernel/context.h"
#include "kernel/core/log.h"
#include "kernel/proc/process.h"
#include "lib/errno.h"
#include "mm/vm/space.h"

static uint32_t busy; /* [atomic] a victim has been chosen and has not given its memory back */
static struct waitq gone_wq = WAITQ_INIT(gone_wq);

struct choice {
	struct process *p;	/* a reference */
	struct vm_space *space; /* a reference: it is not given back while we choose */
	uint64_t pages;
};

static void choice_put(struct choice *c)
{
	if (!c->p)
		return;
	vm_space_put(c->space);
	process_put(c->p);
}

static void consider(struct process *p, void *arg)
{
	struct choice *best = arg;
	struct choice c = { .p = process_get(p), .space = process_space_get(p) };

	if (!c.space) {
		process_put(p);
		return;
	}
	c.pages = READ_ONCE(c.space->pages);
	if (p->pid == 1 || c.pages <= best->pages) {
		choice_put(&c);
		return;
	}
	choice_put(best);
	*best = c;
}

static void set_idle(void)
{
	atomic_store_release(&busy, 0);
	wake_all(&gone_wq);
}

void oom_process_gone(struct process *p)
{
	if (atomic_exchange(&p->oom_victim, 0))
		set_idle();
}

static void kill_largest(struct process *asking)
{
	struct choice best = { 0 };
	struct vm_space *left;

	process_for_each(consider, &best);
	if (!best.p) {
		set_idle();
		return;
	}
	log_warn("oom: no memory for %s[%d]: killed %s[%d], the largest with %lu KiB", asking->name,
		 asking->pid, best.p->name, best.p->pid, (unsigned long)best.pages * 4);
	/* before its end can begin: pairs with the exchange in oom_process_gone() */
	atomic_store_release(&best.p->oom_victim, 1);
	signal_group_exit(best.p, SIG_KILL);
	vm_space_put(best.space);
	/* it was over already, and may have looked before it was chosen */
	left = process_space_get(best.p);
	if (left)
		vm_space_put(left);
	else
		oom_process_gone(best.p);
	process_put(best.p);
}

int oom_wait(uint64_t deadline_ns)
{
	uint32_t none = 0;

	if (!current_process())
		return -ENOMEM;
	if (thread_killed(current_thread()))
		return -EINTR;
	/* I-OOM-1 */
	if (atomic_compare_exchange(&busy, &none, 1))
		kill_largest(current_process());
	return wait_event_mode(&gone_wq, !atomic_load_acquire(&busy), WAIT_KILLABLE, deadline_ns);
}
