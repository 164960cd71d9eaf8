/* SPDX-License-Identifier: MIT */
/* A program that breaks a rule dies alone, of the right signal. The child is this program with a number. */
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/user/check.h"

static int deep(volatile int n)
{
	volatile char hole[4096];

	hole[0] = (char)n;
	return n == -1 ? 0 : deep(n + 1) + hole[0];
}

static const char text[] = "read-only";

static int misdeed(int what)
{
	/* The compiler must not know the address. */
	volatile unsigned long low = 8;
	char *m;

	switch (what) {
	case 0:
		return *(volatile int *)low;
	case 1:
		*(volatile char *)(unsigned long)text = 1;
		return 0;
	case 2:
		return *(volatile int *)0xffffffc000000000UL;
	case 3:
		m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		munmap(m, 4096);
		*(volatile char *)m = 1;
		return 0;
	case 4:
		m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		((void (*)(void))m)();
		return 0;
	case 5:
		return deep(0);
	case 6:
		__asm__ volatile(".inst 0");
		return 0;
	case 7:
		__asm__ volatile("brk #1");
		return 0;
	case 8:
		__asm__ volatile("msr ttbr0_el1, xzr");
		return 0;
	case 9:
		__asm__ volatile("adr x9, .\n\tadd x9, x9, #2\n\tbr x9" : : : "x9");
		return 0;
	case 10:
		abort();
	case 11:
		__asm__ volatile("wfe\n\twfi");
		return 77;
	case 12:
		m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mprotect(m, 4096, PROT_NONE);
		return *(volatile char *)m;
	default:
		return 1;
	}
}

int main(int argc, char **argv)
{
	static const struct {
		int sig, status;
	} want[] = {
		{ SIGSEGV, 0 }, { SIGSEGV, 0 }, { SIGSEGV, 0 }, { SIGSEGV, 0 }, { SIGSEGV, 0 },
		{ SIGSEGV, 0 }, { SIGILL, 0 },	{ SIGTRAP, 0 }, { SIGILL, 0 },	{ SIGBUS, 0 },
		{ SIGABRT, 0 }, { 0, 77 },	{ SIGSEGV, 0 },
	};

	if (argc > 1)
		return misdeed(atoi(argv[1]));
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		char number[12];
		char *args[] = { argv[0], number, NULL }, *env[] = { NULL };
		int status;
		pid_t pid;

		snprintf(number, sizeof(number), "%u", i);
		CHECK(posix_spawn(&pid, argv[0], NULL, NULL, args, env) == 0);
		CHECK(waitpid(pid, &status, 0) == pid);
		if (want[i].sig ? !WIFSIGNALED(status) || WTERMSIG(status) != want[i].sig
				: !WIFEXITED(status) || WEXITSTATUS(status) != want[i].status) {
			printf("misdeed %u: status %#x\n", i, status);
			return 1;
		}
	}
	return 0;
}
