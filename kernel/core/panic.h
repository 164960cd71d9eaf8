/* SPDX-License-Identifier: MIT */
/* Assertions and the end of the machine. Assertions are about us: input from users, the wire or a device is
 * data and gets an error. */
#ifndef TERN_KERNEL_CORE_PANIC_H
#define TERN_KERNEL_CORE_PANIC_H

#include "lib/types.h"

struct trap_frame;

/* Report and stop: message, registers, symbolised backtrace, locks held, the current thread of every CPU, then
 * exit with a failing status. Any context; never allocates; takes no lock but the console's, by force. */
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;
void panic_frame(const struct trap_frame *f, const char *fmt, ...) __printf(2, 3) __noreturn;

/* A broken invariant of ours. If a test expects it (current_base()->expect), it is printed as
 * "expected: ..." and control returns to the test; else it panics. */
void bug(const char *file, int line, const char *fmt, ...) __printf(3, 4) __noreturn;
#define BUG(...) bug(__FILE__, __LINE__, __VA_ARGS__)

/* Always on: cheap, guards memory or scheduler integrity. */
#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			bug(__FILE__, __LINE__, "assertion failed: %s", #cond);                    \
	} while (0)

/* Debug images only; may cost. */
#ifdef DEBUG
#define DASSERT(cond) ASSERT(cond)
#else
#define DASSERT(cond) ((void)sizeof(!(cond)))
#endif

/* Context checks: the comment of a function is the promise, these are the proof. Debug images. */
#ifdef DEBUG
void assert_irqs_off(void);
void might_sleep(void);
#else
static inline void assert_irqs_off(void)
{
}
static inline void might_sleep(void)
{
}
#endif

/* The text of the last BUG on this CPU that a test expected. */
const char *bug_expected_text(void);

/* The name of the function that holds pc, and the offset in it; "?" if unknown. */
const char *symbol_of(uintptr_t pc, size_t *offset);

/* The stack canary, by the compiler's name. */
extern uintptr_t __stack_chk_guard;
/* boot: draw the stack canary; the caller must never return. */
void stack_canary_init(uint64_t random);

/* Print the backtrace of a stack with symbols. Any context. */
void backtrace_print(uintptr_t fp, uintptr_t lo, uintptr_t hi);

#endif
