/* SPDX-License-Identifier: MIT */
/* The exception frame, for C and assembly alike. Every exception from EL0 and EL1 builds one in full and
 * restores it in full; nothing is used as scratch once the restore begins (seed 001). */
#ifndef TERN_ARCH_AARCH64_FRAME_H
#define TERN_ARCH_AARCH64_FRAME_H

#define FRAME_X(n)    (8 * (n))
#define FRAME_SP_EL0  248
#define FRAME_ELR     256
#define FRAME_SPSR    264
#define FRAME_SYSCALL 272
#define FRAME_FP      288 /* a frame record (x29, elr) so that backtraces cross exceptions */
#define FRAME_SIZE    304

/* The exception class of a system call, told apart by the vectors. */
#define ESR_EC_SVC64 0x15

/* What the vectors read of struct cpu and struct thread_base: kernel/core asserts that these are right. */
#define CPU_CURRENT	   24
#define CPU_OVERFLOW_STACK 48
#define CPU_BOOT_THREAD	   56
#define CPU_SCRATCH	   64
#define BASE_STACK_LO	   8
#define BASE_STACK_HI	   16

#ifndef __ASSEMBLER__
#include "lib/types.h"

struct trap_frame {
	uint64_t x[31];
	uint64_t sp_el0;
	uint64_t elr;
	uint64_t spsr;
	int64_t syscall;  /* of an interrupted system call that is not settled yet, else -1 */
	uint64_t orig_x0; /* x0 at entry of that call, for restart */
	uint64_t record[2];
};

#define FRAME_IS(member, off) static_assert(offsetof(struct trap_frame, member) == (off), #member)
FRAME_IS(sp_el0, FRAME_SP_EL0);
FRAME_IS(elr, FRAME_ELR);
FRAME_IS(spsr, FRAME_SPSR);
FRAME_IS(syscall, FRAME_SYSCALL);
FRAME_IS(record, FRAME_FP);
static_assert(sizeof(struct trap_frame) == FRAME_SIZE && FRAME_SIZE % 16 == 0, "frame size");

static inline bool frame_from_user(const struct trap_frame *f)
{
	return (f->spsr & 0xf) == 0;
}
#endif

#endif
