/* SPDX-License-Identifier: MIT */
/* <string.h> for third-party files in the kernel, and the part of lib/string.h that is theirs. Self-contained: lib/types.h has
 * macros they also name. */
#ifndef TERN_LIB_LIBC_STRING_H
#define TERN_LIB_LIBC_STRING_H

#include <stddef.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

#endif
