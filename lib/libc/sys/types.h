/* SPDX-License-Identifier: MIT */
/* <sys/types.h> for third-party files in the kernel. */
#ifndef TERN_LIB_LIBC_SYS_TYPES_H
#define TERN_LIB_LIBC_SYS_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef int64_t ssize_t;
typedef int64_t off_t;

#endif
