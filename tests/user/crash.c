/* SPDX-License-Identifier: MIT */
/* crash: write to address 8; nothing but SIGSEGV may come of it. */
#include <stdint.h>

int main(void)
{
	/* The compiler must not know the address, or it leaves a trap in place of the store. */
	volatile uintptr_t address = 8;

	*(volatile int *)address = 1;
	return 0;
}
