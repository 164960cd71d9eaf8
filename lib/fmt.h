/* SPDX-License-Identifier: MIT */
/* Formatting: %d %u %x %X %lu %ld %lx %llu %llx %zu %zd %zx %c %s %p %% with flags - 0 # and width, precision for %s
 * (%.*s). Never writes past the end; always ends with NUL if size > 0. */
#ifndef TERN_LIB_FMT_H
#define TERN_LIB_FMT_H

#include "lib/types.h"
#include <stdarg.h>

/* Returns the length the whole text would have; >= size means it was cut. */
size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list ap);
size_t fmt_print(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

/* The value of a hexadecimal digit; -1: it is none. */
int hex_digit(char c);

/* Parse an unsigned number (decimal, 0x hex). Returns 0 and *out, or -EINVAL / -ERANGE; the text must end there. */
int parse_u64(const char *s, uint64_t *out) __must_check;

#endif
