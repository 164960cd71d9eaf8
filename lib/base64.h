/* SPDX-License-Identifier: MIT */
/* Base 64 (RFC 4648 s4), strict: no stray characters, right padding, unused bits zero. */
#ifndef TERN_LIB_BASE64_H
#define TERN_LIB_BASE64_H

#include "lib/types.h"

/* Decode n characters into out (at most cap bytes). White space is skipped only if skip_space. Returns the
 * count of bytes, -EINVAL for bad text, -ENOSPC if out is too small. Time depends on the text's length and
 * white space only loosely: not for guarding secrets against local timing. */
ssize_t base64_decode(const char *text, size_t n, uint8_t *out, size_t cap,
		      bool skip_space) __must_check;

/* Encode n bytes and end with NUL; pad adds the '='. out needs 4 * ((n + 2) / 3) + 1 bytes. Returns the length. */
size_t base64_encode(const uint8_t *p, size_t n, char *out, bool pad);

#endif
