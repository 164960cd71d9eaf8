/* SPDX-License-Identifier: MIT */
/* <endian.h> for third-party files in the kernel, which is little-endian. */
#ifndef TERN_LIB_LIBC_ENDIAN_H
#define TERN_LIB_LIBC_ENDIAN_H

#define htole64(v) (v)
#define le64toh(v) (v)
#define le32toh(v) (v)

#endif
