/* SPDX-License-Identifier: MIT */
/* burn [SECONDS]: keep one CPU busy, for ever or for so long, then print the rounds done. */
#include <time.h>

#include "user/lib/say.h"

/* One round: work that the compiler cannot leave out and that touches no memory. */
static unsigned long spin(unsigned long x)
{
	for (int i = 0; i < 1000000; i++)
		x = x * 6364136223846793005UL + 1442695040888963407UL;
	return x;
}

static unsigned long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	unsigned long rounds = 0, seconds = 0, x = 1;
	unsigned long start = now_ms();

	if (argc > 1 && parse_number(argv[1], &seconds)) {
		say(2, "usage: burn [SECONDS]\n");
		return 2;
	}
	do {
		x = spin(x);
		__asm__ __volatile__("" ::"r"(x));
		rounds++;
	} while (argc < 2 || now_ms() - start < seconds * 1000);
	say(1, "%lu million steps\n", rounds);
	return 0;
}
