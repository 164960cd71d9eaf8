/* SPDX-License-Identifier: MIT */
/* A thread's stack before its first switch, and where its user frame lies. */
#include "arch/aarch64/arch.h"
#include "lib/string.h"

/* What arch_switch() (switch.S) pops: x19 to x30. */
struct switch_frame {
	uint64_t x19;
	uint64_t x20;
	uint64_t x21_28[8];
	uint64_t x29;
	uint64_t x30;
};
static_assert(sizeof(struct switch_frame) == 96, "SWITCH_SIZE in switch.S");
static_assert(offsetof(struct arch_thread, sp) == 0, "switch.S");
static_assert(offsetof(struct arch_thread, tpidr_el0) == 8, "switch.S");
static_assert(offsetof(struct arch_thread, fpsimd) == 16, "switch.S");
static_assert(offsetof(struct fpsimd_state, fpsr) == 512, "fpsimd.S");
static_assert(offsetof(struct fpsimd_state, fpcr) == 516, "fpsimd.S");

void thread_first(void);
void fpsimd_save(struct fpsimd_state *s);

void arch_thread_init(struct arch_thread *at, void *stack_top, void (*entry)(void *), void *arg)
{
	struct switch_frame *f = (struct switch_frame *)stack_top - 1;

	memset(at, 0, sizeof(*at));
	memset(f, 0, sizeof(*f));
	f->x19 = (uintptr_t)entry;
	f->x20 = (uintptr_t)arg;
	f->x30 = (uintptr_t)thread_first;
	at->sp = (uintptr_t)f;
}

uintptr_t arch_thread_fp(const struct arch_thread *at)
{
	return ((const struct switch_frame *)at->sp)->x29;
}

/* I-TRAP-2 */
struct trap_frame *arch_user_frame(void)
{
	uintptr_t top = *(uintptr_t *)((char *)arch_current() + BASE_STACK_HI);

	return (struct trap_frame *)top - 1;
}

void arch_user_copy(struct arch_thread *to, uint64_t tls)
{
	to->tpidr_el0 = tls;
	fpsimd_save(&to->fpsimd);
}
