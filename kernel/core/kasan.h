/* SPDX-License-Identifier: MIT */
/* The address sanitizer's two hooks (SAN=address): whoever hands memory out says which bytes may be touched. Empty
 * in other images. */
#ifndef TERN_KERNEL_CORE_KASAN_H
#define TERN_KERNEL_CORE_KASAN_H

#include "lib/types.h"

#ifdef __SANITIZE_ADDRESS__
/* Linear-map addresses, any others are ignored; 8-byte aligned starts. Context: any. */
void kasan_poison(const void *p, size_t n);
void kasan_unpoison(const void *p, size_t n);
#else
static inline void kasan_poison(const void *p, size_t n)
{
	(void)p;
	(void)n;
}

static inline void kasan_unpoison(const void *p, size_t n)
{
	(void)p;
	(void)n;
}
#endif

#endif
