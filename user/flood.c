/* SPDX-License-Identifier: MIT */
/* flood BYTES SEED: write BYTES bytes that depend on SEED alone. The stream is the 64-bit words of
 * xorshift64* started at SEED (0 counts as 1), least significant byte first. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "user/lib/say.h"

static uint64_t buffer[4096];

static uint64_t next(unsigned long *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717UL;
}

int main(int argc, char **argv)
{
	unsigned long left, state;

	if (argc != 3 || parse_number(argv[1], &left) || parse_number(argv[2], &state)) {
		say(2, "usage: flood BYTES SEED\n");
		return 2;
	}
	if (!state)
		state = 1;
	while (left > 0) {
		size_t n = left < sizeof(buffer) ? left : sizeof(buffer);

		for (size_t i = 0; i < (n + 7) / 8; i++)
			buffer[i] = next(&state);
		if (write_all(1, buffer, n)) {
			say(2, "flood: %s with %lu bytes or less to go\n", strerror(errno), left);
			return 1;
		}
		left -= n;
	}
	return 0;
}
