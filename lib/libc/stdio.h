/* SPDX-License-Identifier: MIT */
/* <stdio.h> for third-party files that include it and call nothing of it. */
#ifndef TERN_LIB_LIBC_STDIO_H
#define TERN_LIB_LIBC_STDIO_H

#endif
