/* SPDX-License-Identifier: MIT */
/* The address sanitizer's hooks (SAN=address): whoever hands memory out says which bytes may be touched. Empty in
 * other images. */
#ifndef TERN_KERNEL_CORE_KASAN_H
#define TERN_KERNEL_CORE_KASAN_H

#include "lib/types.h"

/* A function whose own accesses are not checked. */
#define NO_KASAN __attribute__((no_sanitize("address")))

#ifdef SAN_ADDRESS
/* Linear-map and kernel-stack addresses, any others are ignored; 8-byte aligned starts. Context: any. */
void kasan_poison(const void *p, size_t n);
void kasan_unpoison(const void *p, size_t n);
/* boot: memory for the shadow of RAM and of kernel stacks, three sixteenths of RAM in all; from here on errors are found. */
void kasan_start(void *(*alloc)(size_t size, size_t align));
#else
static inline void kasan_poison(const void *p, size_t n)
{
}

static inline void kasan_unpoison(const void *p, size_t n)
{
}

static inline void kasan_start(void *(*alloc)(size_t size, size_t align))
{
}
#endif

#endif
