/* SPDX-License-Identifier: MIT */
/* The end of the machine, and broken invariants. The first CPU that panics reports; the others are stopped and stay
 * silent. Nothing here allocates or waits for a lock. */
#include "kernel/core/panic.h"

#include "kernel/core/clock.h"
#include "arch/aarch64/image.h"
#include "kernel/core/irq.h"
#include "kernel/core/ksyms.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"

#define TEXT_MAX     192
#define EXIT_FAILURE 1

/* Names the compiler chose. */
void __stack_chk_fail(void) __noreturn;

uintptr_t __stack_chk_guard = 0x7465726e2d6b6579; /* [init] until stack_canary_init() */

static unsigned reporting;			 /* [atomic] 1 + the CPU that panicked first */
static unsigned depth;				 /* of that CPU: a panic in a panic */
static char bug_text[TEXT_MAX];			 /* of the reporting or the expecting CPU */
static DEFINE_PER_CPU(char[TEXT_MAX], expected); /* [cpu] */

void stack_canary_init(uint64_t random)
{
	/* a zero byte stops string functions that run over it */
	__stack_chk_guard = random & ~0xffUL;
}

void __stack_chk_fail(void)
{
	panic("stack smashed, found by the canary");
}

/* --- symbols and backtraces -------------------------------------------------------------------------------- */

const char *symbol_of(uintptr_t pc, size_t *offset)
{
	const char *name = ksym_names;
	uint32_t i = 0;

	*offset = 0;
	if (!ksym_count || pc < ksym_base || pc >= (uintptr_t)text_end)
		return "?";
	while (i + 1 < ksym_count && ksym_base + ksym_offsets[i + 1] <= pc) {
		name += strlen(name) + 1;
		i++;
	}
	*offset = pc - (ksym_base + ksym_offsets[i]);
	return name;
}

static bool print_frame(uintptr_t pc, void *arg)
{
	unsigned *n = arg;
	size_t offset;
	/* a return address: the call is the instruction before */
	const char *name = symbol_of(pc - 4, &offset);

	log_warn("core:   %lx %s+0x%zx", pc, name, offset + 4);
	return ++*n < 32;
}

void backtrace_print(uintptr_t fp, uintptr_t lo, uintptr_t hi)
{
	unsigned n = 0;

	arch_backtrace(fp, lo, hi, print_frame, &n);
}

/* --- the report ---------------------------------------------------------------------------------------------- */

static void print_registers(const struct trap_frame *f)
{
	size_t offset;
	const char *name = symbol_of(f->elr, &offset);

	log_warn("core: pc %lx %s+0x%zx", f->elr, name, offset);
	log_warn("core: lr %lx sp_el0 %lx spsr %lx frame %p", f->x[30], f->sp_el0, f->spsr, f);
	for (unsigned i = 0; i < 30; i += 3)
		log_warn("core: x%-2u %16lx  x%-2u %16lx  x%-2u %16lx", i, f->x[i], i + 1,
			 f->x[i + 1], i + 2, f->x[i + 2]);
}

/* From the frame's own frame pointer, or from here. */
static void print_backtrace(const struct trap_frame *f)
{
	const struct thread_base *t = current_base();
	uintptr_t fp = f ? f->x[29] : (uintptr_t)__builtin_frame_address(0);

	log_warn("core: backtrace:");
	backtrace_print(fp, t->stack_lo, t->stack_hi);
}

static void print_threads(void)
{
	struct cpu *c;

	for_each_cpu (c) {
		const struct thread_base *t = (const struct thread_base *)READ_ONCE(c->current);

		if (t)
			log_warn("core: cpu %u%s: thread %d %s, irq depth %d", c->id,
				 READ_ONCE(c->online) ? "" : " (offline)", t->id, t->name,
				 c->irq_depth);
	}
}

/* I-PANIC-1. Only one CPU gets through; a second panic on it shortens the report, a third ends it. */
static void claim_report(void)
{
	unsigned me = arch_cpu()->id + 1;
	unsigned nobody = 0;

	arch_irq_disable();
	if (!atomic_compare_exchange(&reporting, &nobody, me) && nobody != me) {
		for (;;)
			arch_wait_for_interrupt();
	}
	if (++depth > 2)
		arch_machine_exit(EXIT_FAILURE);
}

static void report(const struct trap_frame *f, const char *text) __noreturn;
static void report(const struct trap_frame *f, const char *text)
{
	const struct thread_base *t = current_base();

	log_panic_mode();
	irq_stop_others();
	/* what stands between the two marks scripts/symbolize.py reads */
	log_warn("core: ---- panic report ----");
	log_warn("PANIC: %s", text);
	log_warn("core: on cpu %u, thread %d %s, preempt depth %d, irq depth %d", arch_cpu()->id,
		 t->id, t->name, t->preempt_depth, arch_cpu()->irq_depth);
	if (f)
		print_registers(f);
	if (depth == 1) {
		print_backtrace(f);
		lock_dump_held();
		print_threads();
	}
	log_warn("core: ---- end of report ----");
	arch_machine_exit(EXIT_FAILURE);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	claim_report();
	va_start(ap, fmt);
	fmt_vprint(bug_text, sizeof(bug_text), fmt, ap);
	va_end(ap);
	report(NULL, bug_text);
}

void panic_frame(const struct trap_frame *f, const char *fmt, ...)
{
	va_list ap;

	claim_report();
	va_start(ap, fmt);
	fmt_vprint(bug_text, sizeof(bug_text), fmt, ap);
	va_end(ap);
	report(f, bug_text);
}

/* A test waits for a BUG of this thread, or of the interrupt it is in: give it the text instead of stopping. */
static void expected_end(const char *text)
{
	struct thread_base *t = current_base();
	struct arch_jump_buf *to = t->expect;

	if (!to || arch_cpu()->irq_depth != t->expect_depth)
		return;
	t->expect = NULL;
	str_copy(*per_cpu_ptr(expected, arch_cpu()), text, TEXT_MAX);
	log_info("expected: %s", text);
	arch_jump(to, 1);
}

const char *bug_expected_text(void)
{
	return *per_cpu_ptr(expected, arch_cpu());
}

void bug(const char *file, int line, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	arch_irq_disable();
	va_start(ap, fmt);
	fmt_vprint(text, sizeof(text), fmt, ap);
	va_end(ap);
	expected_end(text);
	panic("BUG: %s, %s:%d", text, file, line);
}

/* --- exceptions ---------------------------------------------------------------------------------------------- */

static const struct {
	uint8_t ec;
	const char *name;
} causes[] = {
	{ 0x00, "unknown instruction" },    { 0x0d, "branch target" },
	{ 0x0e, "illegal state" },	    { 0x15, "system call" },
	{ 0x18, "trapped register" },	    { 0x20, "instruction abort, user" },
	{ 0x21, "instruction abort" },	    { 0x22, "pc alignment" },
	{ 0x24, "data abort, user" },	    { 0x25, "data abort" },
	{ 0x26, "stack alignment" },	    { 0x2f, "SError" },
	{ 0x3c, "breakpoint instruction" },
};

static const char *cause_of(uint64_t esr)
{
	for (unsigned i = 0; i < ARRAY_SIZE(causes); i++) {
		if (causes[i].ec == esr >> 26)
			return causes[i].name;
	}
	return "exception";
}

void trap_fatal(const struct trap_frame *f, uint64_t esr, uint64_t far, const char *what)
{
	uint64_t insn = 0;

	char text[TEXT_MAX];

	if (!arch_probe_read64((const void *)ALIGN_DOWN(f->elr, 8UL), &insn))
		insn = 0;
	insn = f->elr & 4 ? insn >> 32 : insn & UINT32_MAX;
	fmt_print(text, sizeof(text), "%s: %s, esr %lx, far %lx, instruction %08lx", what,
		  cause_of(esr), esr, far, insn);
	expected_end(text);
	panic_frame(f, "%s", text);
}
