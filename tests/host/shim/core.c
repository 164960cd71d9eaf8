/* SPDX-License-Identifier: MIT */
/* Stand-ins for kernel/core: CPUs are host threads, a BUG is a jump back to the test or an abort. Spinlocks are
 * real (several host threads may run kernel code) and check rank, context and owner as the kernel's do. */
#include "tests/host/shim/shim.h"

#include "kernel/core/machine.h"
#include "kernel/core/fault.h"
#include "kernel/core/perturb.h"
#include "kernel/core/spinlock.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static __thread char bug_text[512];

struct machine machine = { .cmdline = "" };
uint64_t shim_asid_bits_cmdline;

static size_t arena_size;

/* --- CPUs and RAM ------------------------------------------------------------------------------------------- */

/* Each points at the one before: a CPU's offset is no pointer that the leak checker sees. */
static void *percpu_blocks;

void shim_cpus_init(unsigned n)
{
	size_t percpu_size = (size_t)(__stop_percpu_host - __start_percpu_host);

	shim_cpus_are(calloc(n, sizeof(struct cpu)), n);
	for (unsigned i = 0; i < n; i++) {
		void **block = calloc(1, 64 + percpu_size);
		char *copy = (char *)block + 64;

		*block = percpu_blocks;
		percpu_blocks = block;
		if (percpu_size)
			memcpy(copy, __start_percpu_host, percpu_size);
		shim_cpu_begin(i, copy);
	}
	shim_enter_cpu(0);
}

void shim_ram_init(uint64_t pa, size_t size)
{
	if (shim_linear_base)
		munmap((void *)shim_linear_base, arena_size);
	arena_size = size;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		abort();
	if (size <= (64UL << 20))
		memset(p, 0xe7, size);
	shim_linear_base = (uintptr_t)p;
	arch_linear_pa = pa;
	memset(&machine, 0, sizeof(machine));
	machine.cmdline = "";
	machine.ram[0] = (struct phys_range){ pa, size };
	machine.nr_ram = 1;
	machine.nr_cpus = cpu_count();
}

void shim_enter_cpu(unsigned id)
{
	shim_cpu = cpu_get(id);
	shim_nobody.id = (int)id;
	shim_set_current(&shim_nobody);
}

struct start {
	pthread_t thread;
	unsigned id;
	void (*fn)(unsigned id);
};

static void *start_thread(void *arg)
{
	struct start *s = arg;

	shim_enter_cpu(s->id);
	s->fn(s->id);
	return NULL;
}

void *shim_thread_start(unsigned id, void (*fn)(unsigned id))
{
	struct start *s = malloc(sizeof(*s));

	s->id = id;
	s->fn = fn;
	if (pthread_create(&s->thread, NULL, start_thread, s) != 0)
		abort();
	return s;
}

void shim_thread_join(void *thread)
{
	struct start *s = thread;

	pthread_join(s->thread, NULL);
	free(s);
}

void shim_set_current(void *t)
{
	shim_current = t;
	shim_cpu->current = t;
}

/* --- panic ------------------------------------------------------------------------------------------ */

void shim_bug(const char *file, int line, const char *text)
{
	struct arch_jump_buf *expect = current_base()->expect;

	if (!expect) {
		fprintf(stderr, "BUG at %s:%d: %s\n", file, line, text);
		abort();
	}
	current_base()->expect = NULL;
	snprintf(bug_text, sizeof(bug_text), "%s", text);
	arch_jump(expect, 1);
}

const char *shim_bug_text(void (*fn)(void *), void *arg)
{
	struct arch_jump_buf buf;

	current_base()->expect = &buf;
	if (arch_mark(&buf) == 0) {
		fn(arg);
		current_base()->expect = NULL;
		return NULL;
	}
	while (shim_cpu->spinlocks.n > 0) {
		spinlock_t *l =
			(spinlock_t *)shim_cpu->spinlocks.at[shim_cpu->spinlocks.n - 1].lock;
		spin_unlock(l);
	}
	shim_irqs_off = false;
	current_base()->preempt_depth = 0;
	return bug_text;
}

bool shim_expect_bug(void (*fn)(void *), void *arg, const char *text)
{
	const char *got = shim_bug_text(fn, arg);

	if (!got)
		fprintf(stderr, "expected a BUG with \"%s\", got none\n", text);
	else if (!strstr(got, text))
		fprintf(stderr, "expected a BUG with \"%s\", got \"%s\"\n", text, got);
	return got && strstr(got, text);
}

void assert_irqs_off(void)
{
	if (!shim_irqs_off)
		BUG("irqs are on");
}

void might_sleep(void)
{
	lock_check_may_sleep("might_sleep");
}

void lock_check_may_sleep(const char *where)
{
	if (shim_cpu->spinlocks.n > 0 || shim_cpu->irq_depth > 0 ||
	    current_base()->preempt_depth > 0)
		BUG("sleeping in atomic context: %s", where);
}

void preempt_enable_due(void)
{
}

/* --- locks ---------------------------------------------------------------------------------------------------- */

#define LOCK_CLASS(name, kind, irq, floor, protects) [LOCK_##name] = #irq,
static const char *const class_irq[LOCK_CLASSES] = {
#include "kernel/core/lock_ranks.def"
};
#undef LOCK_CLASS
static void push_held(spinlock_t *l, bool tried)
{
	struct held_stack *h = &shim_cpu->spinlocks;

	h->at[h->n++] = (struct held_lock){ .lock = l, .cls = l->cls, .tried = tried };
}

static void take(spinlock_t *l, bool pair) __no_lock_check
{
	struct held_stack *h = &shim_cpu->spinlocks;
	bool irq_class = strcmp(class_irq[l->cls], "IRQ") == 0;

	if (spin_held(l))
		BUG("lock %s taken twice by one CPU", lock_class_name(l->cls));
	if (irq_class && !shim_irqs_off)
		BUG("irq-safe lock %s taken with irqs on", lock_class_name(l->cls));
	if (!irq_class && shim_cpu->irq_depth > 0)
		BUG("lock %s taken in irq context", lock_class_name(l->cls));
	for (unsigned i = 0; i < h->n; i++)
		if (!h->at[i].tried && (h->at[i].cls > l->cls || (!pair && h->at[i].cls == l->cls)))
			BUG("lock rank: %s taken under %s", lock_class_name(l->cls),
			    lock_class_name(h->at[i].cls));
	preempt_disable();
	while (!spin_try(l))
		sched_yield();
	push_held(l, false);
}

void spin_lock(spinlock_t *l) __no_lock_check
{
	take(l, false);
}

void spin_lock_pair(spinlock_t *a, spinlock_t *b) __no_lock_check
{
	take(a < b ? a : b, false);
	take(a < b ? b : a, true);
}

bool spin_trylock(spinlock_t *l) __no_lock_check
{
	preempt_disable();
	if (!spin_try(l)) {
		preempt_enable();
		return false;
	}
	push_held(l, true);
	return true;
}

void (*shim_unlock_hook)(const void *lock);

void spin_unlock(spinlock_t *l) __no_lock_check
{
	struct held_stack *h = &shim_cpu->spinlocks;
	unsigned i = h->n;

	if (shim_unlock_hook)
		shim_unlock_hook(l);
	if (!spin_held(l))
		BUG("lock %s released by a CPU that does not hold it", lock_class_name(l->cls));
	while (h->at[i - 1].lock != l)
		i--;
	memmove(&h->at[i - 1], &h->at[i], (h->n - i) * sizeof(h->at[0]));
	h->n--;
	spin_release(l);
	preempt_enable();
}

irqflags_t spin_lock_irqsave(spinlock_t *l) __no_lock_check
{
	irqflags_t f = arch_irq_save();

	spin_lock(l);
	return f;
}

void spin_unlock_irqrestore(spinlock_t *l, irqflags_t f) __no_lock_check
{
	spin_unlock(l);
	arch_irq_restore(f);
}

void spin_handoff(spinlock_t *l)
{
	(void)l;
}

bool spin_held(const spinlock_t *l)
{
	return READ_ONCE(l->owner) == shim_cpu->id + 1;
}

void assert_spin_held(const spinlock_t *l) __no_lock_check
{
	if (!spin_held(l))
		BUG("lock %s is not held", lock_class_name(l->cls));
}

void perturb(enum perturb_point p)
{
	(void)p;
}

static uint64_t fault_in[FAULT_SITES];

void fault_after(enum fault_site s, uint64_t n)
{
	__atomic_store_n(&fault_in[s], n, __ATOMIC_RELAXED);
}

bool fault_hits(enum fault_site s)
{
	uint64_t n = READ_ONCE(fault_in[s]);

	while (n > 0)
		if (atomic_compare_exchange(&fault_in[s], &n, n - 1))
			return n == 1;
	return false;
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

__attribute__((weak)) uint64_t cmdline_u64(const char *name, uint64_t dflt)
{
	if (strcmp(name, "asid_bits") == 0 && shim_asid_bits_cmdline)
		return shim_asid_bits_cmdline;
	return dflt;
}
