/* SPDX-License-Identifier: MIT */
/* The compiler calls this for __builtin_popcountl() where it may use no vector register. */
#include "lib/types.h"

int __popcountdi2(int64_t x);

int __popcountdi2(int64_t x)
{
	uint64_t v = (uint64_t)x;

	v -= v >> 1 & 0x5555555555555555UL;
	v = (v & 0x3333333333333333UL) + (v >> 2 & 0x3333333333333333UL);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fUL;
	return (int)(v * 0x0101010101010101UL >> 56);
}
