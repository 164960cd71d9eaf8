/* SPDX-License-Identifier: MIT */
/* hello COUNT DELAY_MS: print COUNT lines "hello (i/COUNT)", DELAY_MS apart, each by one write. */
#include <stdio.h>
#include <time.h>

#include "user/lib/say.h"

int main(int argc, char **argv)
{
	unsigned long count, delay_ms;

	if (argc != 3 || parse_number(argv[1], &count) || parse_number(argv[2], &delay_ms)) {
		say(2, "usage: hello COUNT DELAY_MS\n");
		return 2;
	}

	struct timespec delay = { .tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned long i = 1; i <= count; i++) {
		if (printf("hello (%lu/%lu)\n", i, count) < 0)
			return 1;
		if (delay_ms > 0 && i < count)
			nanosleep(&delay, NULL);
	}
	return fflush(stdout) ? 1 : 0;
}
