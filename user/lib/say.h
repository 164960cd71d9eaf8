/* SPDX-License-Identifier: MIT */
/* A printf of few bytes, for programs that live in the kernel image. hello uses the C library's own. */
#ifndef TERN_USER_LIB_SAY_H
#define TERN_USER_LIB_SAY_H

/* Write text to a descriptor by one write: %s, %c, %%, and %d, %u, %x, each also with l. A text of more
 * than 511 bytes is cut. */
void say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Write all n bytes, however many writes that takes. Returns 0, or -1 with errno set. */
int write_all(int fd, const void *data, unsigned long n);

/* The number that is the whole of text, in decimal. Returns 0, or -1 if text is something else. */
int parse_number(const char *text, unsigned long *number);

#endif
