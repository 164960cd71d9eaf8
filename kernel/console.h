/* SPDX-License-Identifier: MIT */
#ifndef TERN_KERNEL_CONSOLE_H
#define TERN_KERNEL_CONSOLE_H

#include "lib/types.h"

/* boot, in a thread, with files and terminals up: a thread that keeps a login shell on the console. With run=COMMAND
 * on the command line it runs that instead (by /bin/sh -c) and powers off with its exit status. */
void console_start(void);
/* The value of a word of the command line, whatever its length, for kfree(). NULL: no such word, no memory. */
char *cmdline_dup(const char *name) __must_check;

#endif
