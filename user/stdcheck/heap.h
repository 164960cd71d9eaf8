/* SPDX-License-Identifier: MIT */
/* Three ways to get memory behind one face. */
#ifndef TERN_USER_STDCHECK_HEAP_H
#define TERN_USER_STDCHECK_HEAP_H

#include <stddef.h>

struct heap {
	const char *name;
	/* Change p, of old_size bytes, to size bytes; p NULL: a new block; size 0: give it back. NULL: no memory. */
	void *(*resize)(void *p, size_t old_size, size_t size);
	/* Give everything back; returns 0, or -1 after saying what the kernel did wrong. */
	int (*close)(void);
};

/* A bump allocator over brk, its whole state two words in bss. */
extern const struct heap heap_brk;
/* A mapping of its own for each block. */
extern const struct heap heap_mmap;
/* The C library's malloc. */
extern const struct heap heap_libc;

#endif
