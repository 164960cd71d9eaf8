/* SPDX-License-Identifier: MIT */
/* lib/string.c and ssh/sntrup761.c for ssh_timing_test.c: without assembly, which MSan cannot see through. */
#include "lib/errno.h"
#include "ssh/kem.h"
#include <endian.h>
#include <openssh/crypto_api.h>
#include <sanitizer/msan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define __asm__ (void)
#define __volatile__(...) 0
#define secure_equal secure_equal_kept
#include "lib/string.c"
#undef secure_equal
#undef __asm__
#undef __volatile__

bool secure_equal(const void *a, const void *b, size_t n);

/* What it answers is told to the peer. */
bool secure_equal(const void *a, const void *b, size_t n)
{
	bool same = secure_equal_kept(a, b, n);

	__msan_unpoison(&same, sizeof(same));
	return same;
}

#undef __x86_64__
#include "ssh/sntrup761.c"

volatile crypto_int16 crypto_int16_optblocker;
volatile crypto_int32 crypto_int32_optblocker;
volatile crypto_int64 crypto_int64_optblocker;
