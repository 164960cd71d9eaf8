/* SPDX-License-Identifier: MIT */
/* <errno.h> for third-party files in the kernel. There is no errno: a file that sets it gets a dead word. */
#ifndef TERN_LIB_LIBC_ERRNO_H
#define TERN_LIB_LIBC_ERRNO_H

#include "lib/errno.h"

static int errno __attribute__((unused));

#endif
