/* SPDX-License-Identifier: MIT */
/* What touches memory where the compiler does not see it (lib/string.c, copies to and from programs) says so to the
 * sanitizer of the image, if it has one. */
#ifndef TERN_LIB_SANITIZE_H
#define TERN_LIB_SANITIZE_H

#include "lib/types.h"

#if defined(SAN_ADDRESS)
/* with the types the compiler gives them */
void __asan_loadN_noabort(void *p, long n);
void __asan_storeN_noabort(void *p, long n);
#define SAN_READS(p, n)	 __asan_loadN_noabort((void *)(uintptr_t)(p), (long)(n))
#define SAN_WRITES(p, n) __asan_storeN_noabort((void *)(uintptr_t)(p), (long)(n))
#elif defined(SAN_THREAD)
void __tsan_read_range(void *p, long n);
void __tsan_write_range(void *p, long n);
#define SAN_READS(p, n)	 __tsan_read_range((void *)(uintptr_t)(p), (long)(n))
#define SAN_WRITES(p, n) __tsan_write_range((void *)(uintptr_t)(p), (long)(n))
#else
#define SAN_READS(p, n)	 ((void)0)
#define SAN_WRITES(p, n) ((void)0)
#endif

#endif
