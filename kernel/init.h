/* SPDX-License-Identifier: MIT */
/* The first program. */
#ifndef TERN_KERNEL_INIT_H
#define TERN_KERNEL_INIT_H

#include "lib/types.h"

/* boot, in a thread, with files and terminals up and before any other program: start pid 1 with the console as its
 * standard files, /sbin/init or what init=PATH names. With run=COMMAND it is /bin/sh -c COMMAND instead, in a session
 * on the console. */
void init_start(void);
/* boot, as the last step: when pid 1 ends so does the machine, with its exit status. Returns if there is none. */
void init_wait(void);
/* The value of a word of the command line, whatever its length, for kfree(). NULL: no such word, no memory. */
char *cmdline_dup(const char *name) __must_check;

#endif
