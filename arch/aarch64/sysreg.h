/* SPDX-License-Identifier: MIT */
/* System registers by name. Only arch/ and drivers/chip/ use them. */
#ifndef TERN_ARCH_AARCH64_SYSREG_H
#define TERN_ARCH_AARCH64_SYSREG_H

#include "lib/types.h"

#define sysreg_read(reg)                                                                           \
	({                                                                                         \
		uint64_t sysreg_v;                                                                 \
		__asm__ __volatile__("mrs %0, " #reg : "=r"(sysreg_v));                            \
		sysreg_v;                                                                          \
	})
#define sysreg_write(reg, v)                                                                       \
	__asm__ __volatile__("msr " #reg ", %0" : : "r"((uint64_t)(v)) : "memory")
#define isb()	     __asm__ __volatile__("isb" : : : "memory")
#define dsb(domain)  __asm__ __volatile__("dsb " #domain : : : "memory")
#define field(v, lo) ((unsigned)((v) >> (lo)) & 0xf)

#endif
