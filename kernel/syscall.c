/* SPDX-License-Identifier: MIT */
/* The system-call table of the Linux arm64 ABI. What is not in it is -ENOSYS and counted. */
#include "kernel/syscall.h"
#include <asm/unistd.h>
#include "kernel/core/lock.h"
#include "kernel/core/panic.h"
#include "kernel/core/trace.h"
#include "kernel/proc/process.h"
#include "kernel/sys_priv.h"
#include "kernel/trap.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/slab.h"

static const syscall_fn table[] = {
#define ROW(name) [__NR_##name] = sys_##name,
	SYSCALLS(ROW)
#undef ROW
};

/* How often each program asked for each missing call. The list grows at its head and nothing ever leaves it; more than
 * the first UNKNOWN_MAX pairs are not told apart. */
#define UNKNOWN_MAX 256
struct unknown {
	struct unknown *next; /* [init] */
	unsigned nr;
	char program[16];
	uint64_t count; /* [atomic] */
};
static struct unknown *unknown; /* [atomic] */
static struct unknown unknown_rest = { .program = "(others)" };
static unsigned nr_unknown; /* [atomic] */

static struct unknown *find_unknown(unsigned nr, const char *program)
{
	struct unknown *u =
		atomic_load_acquire(&unknown); /* pairs with the exchange in count_unknown() */

	while (u && (u->nr != nr || strcmp(u->program, program) != 0))
		u = u->next;
	return u;
}

/* Two threads may add the same pair: then both are shown. */
static __noinline void count_unknown(uint64_t nr)
{
	struct unknown *u = find_unknown((unsigned)nr, current_process()->name), *new = NULL;

	if (!u) {
		if (atomic_fetch_add(&nr_unknown, 1) < UNKNOWN_MAX)
			new = kzalloc(sizeof(*new));
		if (!new)
			atomic_add_relaxed(&nr_unknown, -1);
	}
	if (!new) {
		atomic_add_relaxed(u ? &u->count : &unknown_rest.count, 1);
		return;
	}
	new->nr = (unsigned)nr;
	str_copy(new->program, current_process()->name, sizeof(new->program));
	new->next = atomic_load_relaxed(&unknown);
	new->count = 1;
	while (!atomic_compare_exchange(&unknown, &new->next, new))
		;
}

void syscall_for_each_unknown(void (*fn)(unsigned nr, const char *program, uint64_t count,
					 void *arg),
			      void *arg)
{
	for (struct unknown *u = atomic_load_acquire(&unknown); u; u = u->next)
		fn(u->nr, u->program, atomic_load_relaxed(&u->count), arg);
	if (atomic_load_relaxed(&unknown_rest.count))
		fn(0, unknown_rest.program, atomic_load_relaxed(&unknown_rest.count), arg);
}

/* All of a frame that a system call has no business with: exec, which does, never comes back here. */
static uint64_t frame_sum(const struct trap_frame *f)
{
	uint64_t sum = f->sp_el0 * 3 + f->elr * 5 + f->spsr * 7;

	for (unsigned i = 1; i < ARRAY_SIZE(f->x); i++)
		sum = sum * 31 + f->x[i];
	return sum;
}

/* A result that no program sees: false if the frame is left as it is. A call that was interrupted stays one until the
 * signal is dealt with (kernel/signal.c); nobody wanting to be let in, the program hears of it. */
static __noinline bool interrupted(struct trap_frame *f, int64_t ret)
{
	if (ret == -EFRAMESET)
		return false;
	if (signal_pending_current()) {
		f->syscall = (int64_t)f->x[8];
		f->orig_x0 = f->x[0];
		f->x[0] = (uint64_t)ret;
		return false;
	}
	f->x[0] = (uint64_t)-EINTR;
	return true;
}

inline bool syscall_dispatch(struct trap_frame *f)
{
	uint64_t sum = frame_sum(f);
	uint64_t nr = f->x[8];
	syscall_fn fn = nr < ARRAY_SIZE(table) ? table[nr] : NULL;
	int64_t ret = -ENOSYS;

	if (likely(fn))
		ret = fn(f->x);
	else
		count_unknown(nr);
	/* I-TRAP-5, L9 */
	DASSERT(ret == -EFRAMESET || frame_sum(f) == sum);
	/* I-FLOOR-1 */
	lock_check_none_held("system call");
	if (unlikely(ret <= -ERESTARTSYS && ret >= -EFRAMESET))
		return interrupted(f, ret);
	f->x[0] = (uint64_t)ret;
	return true;
}

static __noinline bool dispatch_traced(struct trap_frame *f)
{
	uint64_t nr = f->x[8];
	bool plain;

	trace_event(TRACE_CALL_IN, nr, f->x[0]);
	plain = syscall_dispatch(f);
	trace_event(TRACE_CALL_OUT, nr, f->x[0]);
	return plain;
}

bool syscall_enter(struct trap_frame *f)
{
	bool plain = trace_on(TRACE_CALL_IN) ? dispatch_traced(f) : syscall_dispatch(f);

	arch_irq_disable();
	if (likely(plain && !trap_work_due())) {
		trap_check_return(f);
		return true;
	}
	arch_irq_enable();
	trap_return_user(f);
	return false;
}
