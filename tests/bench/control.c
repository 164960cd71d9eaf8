/* SPDX-License-Identifier: MIT */
/* The control of the bench: the same binary on both kernels. Prints the time of a spin loop and the rate of a
 * copy, neither of which a kernel can help: if they move between two runs, the host has moved. */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "user/lib/say.h"

#define SPINS	  20000000
#define COPY	  65536
#define COPIES	  4096
#define PAST_COPY (3 * COPY)

/* The two halves of a copy lie 192 KiB apart: at 1 MiB they would share entries of QEMU's TLB. */
static unsigned char area[PAST_COPY + COPY];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(void)
{
	uint64_t begin = now_ns(), x = 1, spin_ns, copy_ns;

	for (unsigned i = 0; i < SPINS; i++)
		x = x * 6364136223846793005U + 1442695040888963407U;
	spin_ns = now_ns() - begin;

	begin = now_ns();
	for (unsigned i = 0; i < COPIES; i++) {
		area[i % COPY] = (unsigned char)x;
		memcpy(area + PAST_COPY, area, COPY);
		__asm__ volatile("" : : "r"(area) : "memory");
	}
	copy_ns = now_ns() - begin;
	say(1, "%lu %lu\n", (unsigned long)(spin_ns / 1000),
	    (unsigned long)((uint64_t)COPIES * COPY * 1000 / (copy_ns ? copy_ns : 1)));
	return x == 0;
}
