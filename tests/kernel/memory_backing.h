/* SPDX-License-Identifier: MIT */
/* A backing that is no file: what the tests of address spaces map. */
#ifndef TERN_TESTS_KERNEL_MEMORY_BACKING_H
#define TERN_TESTS_KERNEL_MEMORY_BACKING_H

#include "mm/vm/space.h"

/* len bytes of reserved RAM that stays for good, contiguous: in the image, or reached through the linear map. Pages
 * that lie whole and aligned in it are mapped in place; others, and the last, are copied once. One reference; NULL: no
 * memory. Context: thread. */
struct vm_backing *vm_backing_memory_create(const void *start, size_t len) __must_check;

#endif
