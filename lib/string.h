/* SPDX-License-Identifier: MIT */
/* Memory and string functions, with the C library's meaning. lib/string.c defines them for the kernel;
 * hosted builds use the host's. */
#ifndef TERN_LIB_STRING_H
#define TERN_LIB_STRING_H

#include "lib/types.h"

#ifdef HOSTED
#include <string.h>
#else
#include "lib/libc/string.h"
#endif

/* Copy at most size - 1 bytes of src to dst and end it with NUL. Returns strlen(src): >= size means cut. */
size_t str_copy(char *dst, const char *src, size_t size);

/* Zero n bytes; the compiler may not leave it out. For secrets. */
void secure_zero(void *p, size_t n);

/* Compare n bytes in time that depends on n alone. Returns true if equal. */
bool secure_equal(const void *a, const void *b, size_t n) __must_check;

#endif
