/* SPDX-License-Identifier: MIT */
#ifndef TERN_TESTS_KERNEL_KERNEL_TABLE_H
#define TERN_TESTS_KERNEL_KERNEL_TABLE_H

#include "arch/aarch64/arch.h"

/* Where the kernel's table maps va to, block entries included. 0 or -ENOENT. Context: nobody unmaps va meanwhile. */
int kernel_translate(vaddr_t va, paddr_t *out) __must_check;

#endif
