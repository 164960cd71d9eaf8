/* SPDX-License-Identifier: MIT */
/* regcheck [SECONDS [COPIES]]: does the kernel give back every register as it was?
 *
 * Each round fills x0-x30, SP, NZCV, v0-v31, FPCR, FPSR and TPIDR_EL0 with random values, then makes a
 * system call, lets a handler change them all, spins through timer interrupts, or touches a page for the first time, and compares. COPIES
 * processes run at once, so that another thread's registers are there to leak. SECONDS 0: one pass. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/lib/say.h"
#include "user/regcheck/regs.h"

#define AREA_SIZE   (1UL << 20)
#define PAGE	    4096UL
#define FPCR_BITS   0x07c00000UL /* AHP, DN, FZ, RMode */
#define FPSR_BITS   0x0800009fUL /* QC, IDC, IXC, UFC, OFC, DZC, IOC */
#define SPIN_ROUNDS 2000000

enum operation {
	OP_GETPID,
	OP_BRK,
	OP_READ,
	OP_YIELD,
	OP_UNKNOWN,
	OP_SIGNAL,
	OP_LOAD,
	OP_STORE,
	OP_SPIN,
	OP_COUNT,
};

static const struct {
	const char *name;
	regs_run_t *run;
	unsigned number; /* of the system call */
	uint64_t first;	 /* its first argument */
} operations[OP_COUNT] = {
	[OP_GETPID] = { "getpid", regs_run_svc, 172, 0 },
	[OP_BRK] = { "brk", regs_run_svc, 214, 0 },
	[OP_READ] = { "read of descriptor -1", regs_run_svc, 63, -1UL },
	[OP_YIELD] = { "sched_yield", regs_run_svc, 124, 0 },
	[OP_UNKNOWN] = { "an unknown system call", regs_run_svc, 4000, 0 },
	[OP_SIGNAL] = { "a signal to itself", regs_run_svc, 129, 0 },
	[OP_LOAD] = { "a load from a new page", regs_run_load, 0, 0 },
	[OP_STORE] = { "a store to a new page", regs_run_store, 0, 0 },
	[OP_SPIN] = { "a spin through interrupts", regs_run_spin, 0, 0 },
};

static uint64_t seed;
static char *area;
static size_t area_used;

static uint64_t random_word(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 2685821657736338717UL;
}

/* An address on a page not touched before. */
static char *fresh_page(void)
{
	if (!area || area_used == AREA_SIZE) {
		if (area)
			munmap(area, AREA_SIZE);
		area = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
		if (area == MAP_FAILED) {
			say(2, "regcheck: mmap: %s\n", strerror(errno));
			exit(1);
		}
		area_used = 0;
	}
	area_used += PAGE;
	return area + area_used - PAGE;
}

static void fill(struct regs *in, enum operation op)
{
	for (int i = 0; i < 31; i++)
		in->x[i] = random_word();
	for (int i = 0; i < 32; i++) {
		in->v[i][0] = random_word();
		in->v[i][1] = random_word();
	}
	in->nzcv = random_word() & 0xf0000000;
	in->fpcr = random_word() & FPCR_BITS;
	in->fpsr = random_word() & FPSR_BITS;
	in->tpidr = random_word();
	if (operations[op].run == regs_run_svc) {
		in->x[8] = operations[op].number;
		in->x[0] = operations[op].first;
	}
	if (op == OP_READ) {
		in->x[1] = (uint64_t)in;
		in->x[2] = 1;
	}
	if (op == OP_SIGNAL) {
		in->x[0] = (uint64_t)getpid();
		in->x[1] = SIGUSR1;
	}
	if (op == OP_LOAD || op == OP_STORE)
		in->x[28] = (uint64_t)fresh_page() + (random_word() & (PAGE - 8));
	if (op == OP_SPIN)
		in->x[30] = SPIN_ROUNDS;
}

/* The value that the operation must leave in x0, if it is known. */
static int result_is_known(enum operation op, uint64_t *expected)
{
	switch (op) {
	case OP_GETPID:
		*expected = (uint64_t)getpid();
		return 1;
	case OP_READ:
		*expected = -(uint64_t)EBADF;
		return 1;
	case OP_UNKNOWN:
		*expected = -(uint64_t)ENOSYS;
		return 1;
	case OP_SIGNAL:
		*expected = 0;
		return 1;
	default:
		return 0;
	}
}

static int differs(enum operation op, const char *what, int number, uint64_t got, uint64_t wanted)
{
	if (got == wanted)
		return 0;
	say(1, "regcheck: FAIL: after %s %s%d is %lx, was %lx\n", operations[op].name, what, number,
	    got, wanted);
	return 1;
}

/* Returns how many registers are wrong. */
static int compare(enum operation op, struct regs *in, const struct regs *out)
{
	int bad = 0;

	if (operations[op].run == regs_run_svc && !result_is_known(op, &in->x[0]))
		in->x[0] = out->x[0];
	if (op == OP_LOAD)
		in->x[29] = 0;
	if (op == OP_SPIN)
		in->x[30] = 0;
	for (int i = 0; i < 31; i++)
		bad += differs(op, "x", i, out->x[i], in->x[i]);
	for (int i = 0; i < 32; i++) {
		bad += differs(op, "low half of v", i, out->v[i][0], in->v[i][0]);
		bad += differs(op, "high half of v", i, out->v[i][1], in->v[i][1]);
	}
	bad += differs(op, "SP_EL", 0, out->sp, (uint64_t)out);
	bad += differs(op, "TPIDR_EL", 0, out->tpidr, in->tpidr);
	bad += differs(op, "NZCV of EL", 0, out->nzcv, in->nzcv);
	bad += differs(op, "FPCR of EL", 0, out->fpcr, in->fpcr);
	bad += differs(op, "FPSR of EL", 0, out->fpsr, in->fpsr);
	if (op == OP_STORE && *(volatile uint8_t *)in->x[28] != (uint8_t)in->x[27]) {
		say(1, "regcheck: FAIL: a store to a new page was lost\n");
		bad++;
	}
	return bad;
}

static int pass(void)
{
	static struct regs in, out;
	int bad = 0;

	for (int op = 0; op < OP_COUNT; op++) {
		for (int i = 0; i < (op == OP_SPIN ? 1 : 50) && !bad; i++) {
			fill(&in, op);
			operations[op].run(&in, &out);
			bad += compare(op, &in, &out);
		}
	}
	return bad;
}

/* The handler has a stack of its own: where SP points there is nothing but the registers. */
static int prepare(void)
{
	static char stack[16384];
	const stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct sigaction action = { .sa_handler = regs_trash, .sa_flags = SA_ONSTACK };

	return sigaltstack(&other, NULL) || sigaction(SIGUSR1, &action, NULL);
}

static unsigned long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

static int check(unsigned long seconds)
{
	unsigned long start = now_ms(), passes = 0;

	seed = (uint64_t)getpid() * 0x9e3779b97f4a7c15UL + start + 1;
	if (prepare()) {
		say(2, "regcheck: %s\n", strerror(errno));
		return 1;
	}
	do {
		if (pass())
			return 1;
		passes++;
	} while (now_ms() - start < seconds * 1000);
	say(1, "regcheck: ok, %lu passes\n", passes);
	return 0;
}

/* Run copies of this program; each reports for itself. */
static int run_copies(const char *self, char *seconds, unsigned long copies)
{
	char name[] = "regcheck";
	char *words[] = { name, seconds, NULL };
	int failed = 0, status, error;
	pid_t pid;

	for (unsigned long i = 0; i < copies; i++) {
		error = posix_spawn(&pid, self, NULL, NULL, words, environ);
		if (error) {
			say(2, "regcheck: copy %lu: %s\n", i, strerror(error));
			failed = 1;
		}
	}
	while ((pid = wait(&status)) > 0)
		failed |= status != 0;
	say(1, failed ? "regcheck: FAIL\n" : "regcheck: all ok\n");
	return failed;
}

int main(int argc, char **argv)
{
	unsigned long seconds = 2, copies = 1;

	if (argc > 3 || (argc > 1 && parse_number(argv[1], &seconds)) ||
	    (argc > 2 && parse_number(argv[2], &copies))) {
		say(2, "usage: regcheck [SECONDS [COPIES]]\n");
		return 2;
	}
	if (copies > 1)
		return run_copies(strchr(argv[0], '/') ? argv[0] : "/bin/regcheck", argv[1],
				  copies);
	return check(seconds);
}
