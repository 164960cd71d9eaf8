/* SPDX-License-Identifier: MIT */
/* Memory and string functions, with the C library's meaning. lib/string.c defines them for the kernel;
 * hosted builds use the host's. */
#ifndef TERN_LIB_STRING_H
#define TERN_LIB_STRING_H

#include "lib/types.h"

#ifdef HOSTED
#include <string.h>
#else
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

/* Copy at most size - 1 bytes of src to dst and end it with NUL. Returns strlen(src): >= size means cut. */
size_t str_copy(char *dst, const char *src, size_t size);

/* Zero n bytes; the compiler may not leave it out. For secrets. */
void secure_zero(void *p, size_t n);

/* Compare n bytes in time that depends on n alone. Returns true if equal. */
bool secure_equal(const void *a, const void *b, size_t n) __must_check;

#endif
