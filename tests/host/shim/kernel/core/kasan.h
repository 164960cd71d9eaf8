/* SPDX-License-Identifier: MIT */
/* The host's address sanitizer does it. */
#ifndef TERN_KERNEL_CORE_KASAN_H
#define TERN_KERNEL_CORE_KASAN_H

#include "lib/types.h"
#include <sanitizer/asan_interface.h>

static inline void kasan_poison(const void *p, size_t n)
{
	ASAN_POISON_MEMORY_REGION(p, n);
}

static inline void kasan_unpoison(const void *p, size_t n)
{
	ASAN_UNPOISON_MEMORY_REGION(p, n);
}

#endif
