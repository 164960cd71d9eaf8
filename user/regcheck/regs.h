/* SPDX-License-Identifier: MIT */
/* What a program can see of the CPU, and the offsets by which regs.S finds it. */
#ifndef TERN_USER_REGCHECK_REGS_H
#define TERN_USER_REGCHECK_REGS_H

#define REGS_X	   0
#define REGS_SP	   248
#define REGS_NZCV  256
#define REGS_FPCR  264
#define REGS_FPSR  272
#define REGS_TPIDR 280
#define REGS_V	   288
#define REGS_HOST  800

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct regs {
	uint64_t x[31];
	uint64_t sp;
	uint64_t nzcv, fpcr, fpsr;
	uint64_t tpidr;
	uint64_t v[32][2];
	uint64_t host[32]; /* the caller's own registers meanwhile */
} __attribute__((aligned(16)));

_Static_assert(offsetof(struct regs, sp) == REGS_SP, "regs.S");
_Static_assert(offsetof(struct regs, tpidr) == REGS_TPIDR, "regs.S");
_Static_assert(offsetof(struct regs, v) == REGS_V, "regs.S");
_Static_assert(offsetof(struct regs, host) == REGS_HOST, "regs.S");

/* Load every register from in, with SP pointing to out; do one thing; store every register to out. */
typedef void regs_run_t(const struct regs *in, struct regs *out);

/* svc #0, as the registers say. */
regs_run_t regs_run_svc;
/* Count x30 down to 0: time for interrupts to come. */
regs_run_t regs_run_spin;
/* Load x29 from the address in x28. */
regs_run_t regs_run_load;
/* Store w27 as a byte to the address in x28. */
regs_run_t regs_run_store;
/* A signal handler that changes every register it may. */
void regs_trash(int number);
#endif

#endif
