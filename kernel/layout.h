/* SPDX-License-Identifier: MIT */
/* Where the parts of a program go. */
#ifndef TERN_KERNEL_LAYOUT_H
#define TERN_KERNEL_LAYOUT_H

#include "arch/aarch64/arch.h"
#include "lib/elf.h"

/* No stack ends above it. */
#define STACK_TOP (USER_MAX - (1UL << 20))

struct layout {
	uint64_t bias; /* to be added to the file's addresses */
	vaddr_t brk, stack_top, mmap_base;
};

void layout_init(void); /* boot: the command line */
/* A new place for each program that starts, or always the same with `norandom` on the command line. stack_max: the limit
 * of its stack. */
void layout_choose(const struct elf_image *elf, uint64_t stack_max, struct layout *out);

#endif
