/* SPDX-License-Identifier: MIT */
/* The host's address sanitizer does it, for the arena. */
#ifndef TERN_KERNEL_CORE_KASAN_H
#define TERN_KERNEL_CORE_KASAN_H

#define NO_KASAN __attribute__((no_sanitize("address")))

#include "arch/aarch64/arch.h"
#include <sanitizer/asan_interface.h>

static inline void kasan_poison(const void *p, size_t n)
{
	if ((uintptr_t)p - LINEAR_BASE < LINEAR_SIZE)
		ASAN_POISON_MEMORY_REGION(p, n);
}

static inline void kasan_unpoison(const void *p, size_t n)
{
	if ((uintptr_t)p - LINEAR_BASE < LINEAR_SIZE)
		ASAN_UNPOISON_MEMORY_REGION(p, n);
}

#endif
